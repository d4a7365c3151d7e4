//! `listen`: what happens in the sessions, as it happens: messages, what becomes of them, and states.
//!
//! Reads the log of events by its cursor, so it misses nothing while the service or the network is away. The first request decides
//! whether the service is there at all; after that, the command waits for it to come back.

mod save;

use std::{
    future::pending,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use jiff::Timestamp;
use reqwest::StatusCode;
use save::{Folder, Handing, Saver};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    Fault,
    client::{Answer, Client, ClientError, Connection, READ_TIMEOUT},
    exit::{CODES, Exit},
    screen::{Interrupts, moment, one_line, remark, say},
};
use crate::{
    heard::{
        GroupNews, HeardAck, HeardEdit, HeardGroupJoin, HeardGroupLeave, HeardGroupParticipants,
        HeardGroupUpdate, HeardMessage, HeardReaction, HeardResolved, HeardRevoke, MessageKind,
        Person, Source,
    },
    session::ClienteId,
};

/// How long the service lets a request wait for the next event: less than what proxies cut.
const WAIT: Duration = Duration::from_secs(30);

/// Between two requests while the service is away, or does not let a request wait: it stops, or has many that wait.
const RETRY: Duration = Duration::from_secs(2);

/// Show what happens, as it happens: messages that come in and go out, ticks, states.
///
/// Goes on until Ctrl-C, also when the service is restarted meanwhile, and misses nothing of what it can read. The last line says
/// with which --after another listen goes on. The key needs the scope receive.
#[derive(Args, Clone, Debug)]
#[command(after_help = CODES)]
pub struct Arguments {
    /// The session; all of them when left out.
    cliente_id: Option<ClienteId>,
    /// Only events of these types, with commas between them, such as message.any,session.status.
    #[arg(long, alias = "type", value_name = "TYPES", value_delimiter = ',')]
    types: Vec<String>,
    /// From where on: latest, oldest, or where another listen has ended.
    #[arg(long, value_name = "CURSOR", default_value = "latest")]
    after: String,
    /// Save the files of messages into this folder, while events go on. Where a file is, or why it was not saved, is a line of its own
    /// after that of its message; with --json an object with `event`, the id of the message's event, and `saved` or `not_saved`. What
    /// is passing is tried again until Ctrl-C. A file that is there already is not fetched again.
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    #[command(flatten)]
    pub(super) connection: Connection,
}

pub(super) async fn run(arguments: &Arguments, dotenv: &Path) -> Result<Exit, Fault> {
    let client = Client::new(&arguments.connection, dotenv)?;
    let mut interrupts = Interrupts::catch()?;
    let folder = arguments.save.as_deref().map(Folder::open).transpose();
    let folder = folder.map_err(Fault::Saving)?;
    let saving = folder.map(|folder| Saver::new(folder, &client, arguments.connection.json));
    let (mut saver, files) = saving.unzip();
    let mut listener = Listener {
        arguments,
        client: &client,
        cursor: Some(arguments.after.clone()).filter(|after| after != "oldest"),
        files,
    };
    let save = async {
        match &mut saver {
            Some(saver) => saver.work().await,
            None => pending().await,
        }
    };
    let ended = tokio::select! {
        fault = listener.follow() => Err(fault),
        why = save => Err(Fault::Terminal(why)),
        signal = interrupts.next() => Ok(Exit::Signalled(signal)),
    };
    // Where the output is gone, so is the one who would read it.
    saver.map(Saver::end).transpose().ok();
    if let Some(cursor) = listener.cursor.filter(|cursor| *cursor != arguments.after) {
        remark(&format!("to go on from here: --after {cursor}"));
    }
    ended
}

struct Listener<'a> {
    arguments: &'a Arguments,
    client: &'a Client,
    /// `None`: from the oldest event on.
    cursor: Option<String>,
    /// Where the files of messages are handed over to be saved.
    files: Option<Handing>,
}

/// `GET /events`.
#[derive(Deserialize)]
struct Page {
    events: Vec<Value>,
    next: i64,
}

impl Listener<'_> {
    /// Ends only with a fault.
    async fn follow(&mut self) -> Fault {
        let follow = async {
            // Without a wait, so that the cursor is known before anything can go wrong.
            let answer = self.ask(Duration::ZERO).await?;
            self.show(&answer).await?;
            let mut is_away = false;
            loop {
                let asked_at = Instant::now();
                match self.ask(WAIT).await {
                    Ok(answer) => {
                        if is_away {
                            remark("the service is back");
                        }
                        is_away = false;
                        let is_empty = !self.show(&answer).await?;
                        if is_empty && asked_at.elapsed() < WAIT {
                            sleep(RETRY).await;
                        }
                    }
                    Err(why) if is_passing(&why) => {
                        if !is_away {
                            remark(&format!("session-manager: {why}; trying again"));
                        }
                        is_away = true;
                        sleep(RETRY).await;
                    }
                    Err(why) => return Err(Fault::from(why)),
                }
            }
        };
        let ended: Result<std::convert::Infallible, Fault> = follow.await;
        match ended {
            Ok(never) => match never {},
            Err(fault) => fault,
        }
    }

    /// The next part of the log; from the oldest one on that is left, if it was read too late, or if the log ends before the cursor.
    async fn ask(&mut self, wait: Duration) -> Result<Answer, ClientError> {
        let asked = self.client.ask(self.request(wait), wait + READ_TIMEOUT);
        let (why, oldest) = match asked.await {
            Err(ClientError::Refused {
                status: StatusCode::GONE,
                message,
                body,
                ..
            }) => (message, body["oldest"].as_i64().unwrap_or_default()),
            answered => return answered,
        };
        remark(&one_line(&format!(
            "session-manager: {why}. This goes on with the oldest one"
        )));
        self.cursor = Some(oldest.to_string());
        let asked = self.client.ask(self.request(wait), wait + READ_TIMEOUT);
        asked.await
    }

    fn request(&self, wait: Duration) -> reqwest::RequestBuilder {
        let wait = wait.as_secs().to_string();
        let id = self.arguments.cliente_id.as_ref().map(ClienteId::as_str);
        let types = Some(self.arguments.types.join(",")).filter(|types| !types.is_empty());
        let given = [
            ("after", self.cursor.as_deref()),
            ("types", types.as_deref()),
            ("cliente_id", id),
            ("wait", Some(wait.as_str())),
        ];
        let given = given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        self.client.get("/events").query(&given.collect::<Vec<_>>())
    }

    /// Shows what has happened. Answers whether anything has.
    async fn show(&mut self, answer: &Answer) -> Result<bool, Fault> {
        let page: Page = answer.read(self.client)?;
        for event in &page.events {
            if self.arguments.connection.json {
                say(&event.to_string())?;
            } else {
                say(&in_words(event))?;
            }
            if let Some(files) = &self.files {
                files.hand_over(event).await;
            }
        }
        self.cursor = Some(page.next.to_string());
        Ok(!page.events.is_empty())
    }
}

/// Whether the same request may be answered later: the service is away, starts again, or has too much to do.
fn is_passing(why: &ClientError) -> bool {
    match why {
        ClientError::NotRunning { .. }
        | ClientError::BrokeOff { .. }
        | ClientError::TooSlow { .. }
        | ClientError::NotOurs { .. } => true,
        ClientError::Refused { status, .. } => {
            status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
        }
        ClientError::Settings(_)
        | ClientError::InvalidUrl
        | ClientError::Tls
        | ClientError::Setup(_)
        | ClientError::Unauthorized { .. } => false,
    }
}

/// How the line of an event begins: when, and in which session.
fn head(event: &Value) -> String {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    // UTC, as in the log of the service.
    let at = text("timestamp").parse::<Timestamp>();
    let at = at.map_or_else(|_| text("timestamp").to_owned(), moment);
    format!("{at}  {}  ", text("session"))
}

/// One event as a line: when, in which session, and what.
fn in_words(event: &Value) -> String {
    let late = if event["late"] == true { " (late)" } else { "" };
    let data = &event["data"];
    let kind = event["type"].as_str().unwrap_or_default();
    let what = match kind {
        "message" => told(data, incoming),
        "message.own" => told(data, own),
        "message.ack" => told(data, ack),
        "message.edited" => told(data, edited),
        "message.revoked" => told(data, revoked),
        "message.reaction" => told(data, reaction),
        "message.waiting" => told(data, waiting),
        "message.resolved" => told(data, resolved),
        "group.joined" => told(data, group_joined),
        "group.left" => told(data, group_left),
        "group.participants" => told(data, group_participants),
        "group.updated" => told(data, group_updated),
        "session.status" => Some(status(data)),
        _ => None,
    };
    // A type or a shape of a newer service is shown as it is.
    let what = what.unwrap_or_else(|| format!("{kind} {data}"));
    one_line(&format!("{}{what}{late}", head(event)))
}

fn told<T: DeserializeOwned>(data: &Value, words: impl Fn(&T) -> String) -> Option<String> {
    T::deserialize(data).ok().map(|data| words(&data))
}

fn incoming(message: &HeardMessage) -> String {
    format!("< {}: {}", who(message), content(message))
}

fn own(message: &HeardMessage) -> String {
    let to = match (&message.to, &message.group_name) {
        _ if message.is_group => message.group_name.clone().map(String::from),
        (Some(to), _) => Some(person(to)),
        (None, _) => None,
    };
    let to = to.unwrap_or_else(|| String::from(message.chat.clone()));
    let from = match message.source {
        Some(Source::Api) => "api",
        Some(Source::Phone) => "phone",
        None => "?",
    };
    format!("> {to}: {} [{from}]", content(message))
}

fn waiting(message: &HeardMessage) -> String {
    format!("< {}: cannot be decrypted yet", who(message))
}

/// Who wrote it, and in which group.
fn who(message: &HeardMessage) -> String {
    let from = person(&message.from);
    if !message.is_group {
        return from;
    }
    let group = message.group_name.clone().map(String::from);
    let group = group.unwrap_or_else(|| String::from(message.chat.clone()));
    format!("{from} in {group}")
}

/// The name, and what else is known.
fn person(person: &Person) -> String {
    let address = person.phone.as_ref().map(|phone| format!("+{}", &**phone));
    let lid = || person.lid.clone().map(String::from);
    let address = address.or_else(lid).unwrap_or_else(|| "?".to_owned());
    match &person.name {
        Some(name) => format!("{} ({address})", &**name),
        None => address,
    }
}

/// The text; of what is no text, its kind too.
fn content(message: &HeardMessage) -> String {
    let text = message.text.clone().or_else(|| message.caption.clone());
    let text = text.map_or_else(String::new, String::from);
    if message.kind == MessageKind::Text {
        return text;
    }
    let kind = word(message.kind);
    let known = [details(message), Some(text)].into_iter().flatten();
    let known: Vec<_> = known.filter(|text| !text.is_empty()).collect();
    format!("[{kind}] {}", known.join(": "))
        .trim_end()
        .to_owned()
}

/// What is known of what is no text, beside its kind.
fn details(message: &HeardMessage) -> Option<String> {
    if let Some(place) = &message.location {
        let address = place
            .address
            .as_deref()
            .map(|text| text.replace('\n', ", "));
        let at = format!("{}, {}", place.latitude, place.longitude);
        let words = [place.name.as_deref(), address.as_deref(), Some(&*at)];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        return Some(words.join(", "));
    }
    if let Some(poll) = &message.poll {
        let options: Vec<&str> = poll.options.iter().map(|option| &**option).collect();
        return Some(format!("{} ({})", &*poll.question, options.join(", ")));
    }
    if !message.contacts.is_empty() {
        let names = message.contacts.iter().map(|card| card.name.as_deref());
        let names: Vec<&str> = names.map(|name| name.unwrap_or("?")).collect();
        return Some(names.join(", "));
    }
    let name = message.media.as_ref()?.filename.as_ref()?;
    Some(String::from(name.clone()))
}

fn ack(ack: &HeardAck) -> String {
    let state = serde_json::to_value(ack.state).unwrap_or_default();
    format!("{} {}", ack.key, state.as_str().unwrap_or_default())
}

fn edited(edit: &HeardEdit) -> String {
    format!(
        "{} edited by {}: {}",
        edit.key,
        person(&edit.from),
        &*edit.text
    )
}

fn revoked(revoke: &HeardRevoke) -> String {
    match &revoke.by {
        Some(by) => format!("{} taken back by {}", revoke.key, person(by)),
        None => format!("{} taken back", revoke.key),
    }
}

fn reaction(reaction: &HeardReaction) -> String {
    let from = person(&reaction.from);
    match &reaction.emoji {
        Some(emoji) => format!("{} {} from {from}", reaction.key, &**emoji),
        None => format!("{} without a reaction from {from} again", reaction.key),
    }
}

fn resolved(resolved: &HeardResolved) -> String {
    format!("{} is {}", &*resolved.chat, person(&resolved.from))
}

/// Which group, by its name.
fn group(news: &GroupNews) -> String {
    let name = news.group_name.clone().map(String::from);
    name.unwrap_or_else(|| String::from(news.chat.clone()))
}

/// Who has done it.
fn by(news: &GroupNews) -> String {
    let by = news.by.as_ref().map(person);
    by.map_or_else(String::new, |by| format!(" by {by}"))
}

fn group_joined(join: &HeardGroupJoin) -> String {
    format!(
        "now in {}: {}{}",
        group(&join.news),
        word(join.how),
        by(&join.news)
    )
}

fn group_left(leave: &HeardGroupLeave) -> String {
    format!(
        "no longer in {}: {}{}",
        group(&leave.news),
        word(leave.how),
        by(&leave.news)
    )
}

fn group_participants(change: &HeardGroupParticipants) -> String {
    let people: Vec<String> = change.participants.iter().map(person).collect();
    let (group, by) = (group(&change.news), by(&change.news));
    format!("{group}: {} {}{by}", people.join(", "), word(change.action))
}

fn group_updated(update: &HeardGroupUpdate) -> String {
    let text = update.subject.as_ref().or(update.description.as_ref());
    let text = text.map_or_else(String::new, |text| format!(": {}", &**text));
    let what = update.setting.clone().unwrap_or_else(|| word(update.what));
    format!(
        "{} has another {what}{}{text}",
        group(&update.news),
        by(&update.news)
    )
}

/// A unit variant is written as its name.
fn word(variant: impl Serialize) -> String {
    let word = serde_json::to_value(variant).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

fn status(data: &Value) -> String {
    let text = |name: &str| data[name].as_str();
    let reason = text("reason").map_or_else(String::new, |reason| format!(" ({reason})"));
    let detail = text("detail").map_or_else(String::new, |detail| format!(": {detail}"));
    format!(
        "session is {}{reason}{detail}",
        text("state").unwrap_or("?")
    )
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::get};
    use clap::Parser;
    use serde_json::json;
    use tokio::{net::TcpListener, sync::mpsc, time::timeout};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[tokio::test]
    async fn a_service_that_lets_no_request_wait_is_asked_again_after_a_rest() {
        let (asked, mut seen) = mpsc::channel(8);
        let empty = move || {
            // More than it has places for are too many: then it spins.
            asked.try_send(Instant::now()).ok();
            async { axum::Json(json!({"success": true, "events": [], "next": 5})) }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/events", get(empty));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = Client::without_key(&url).unwrap();
        let Line { arguments } = Line::parse_from(["listen"]);
        let mut listener = Listener {
            arguments: &arguments,
            client: &client,
            cursor: None,
            files: None,
        };
        let three =
            async { [seen.recv().await, seen.recv().await, seen.recv().await].map(Option::unwrap) };
        let followed = async {
            tokio::select! {
                _fault = listener.follow() => panic!("it goes on until it is ended"),
                three = three => three,
            }
        };
        let [_, first, second] = timeout(Duration::from_secs(30), followed).await.unwrap();
        assert!(second - first >= RETRY, "{:?}", second - first);
    }

    fn line(kind: &str, data: &Value) -> String {
        let event = json!({
            "id": "evt_1", "type": kind, "timestamp": "2026-09-21T14:13:20.000Z", "cliente_id": 51, "session": "51",
            "me": {"phone": null, "lid": null}, "late": false, "data": data,
        });
        let line = in_words(&event);
        let what = line.strip_prefix("2026-09-21 14:13:20Z  51  ");
        what.unwrap_or_else(|| panic!("{line}")).to_owned()
    }

    /// What an event says, with more of it.
    fn extended(data: &Value, more: &Value) -> Value {
        let mut data = data.clone();
        let fields = data.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        data
    }

    #[test]
    fn what_is_no_text_is_one_line_with_what_is_known_of_it() {
        let media = json!({"mimetype": "application/pdf", "bytes": 9, "filename": "lista.pdf"});
        let place = json!({"latitude": -34.6, "longitude": -58.38, "name": "Obelisco", "address": "9 de Julio\nCABA"});
        let poll = json!({"question": "¿Cuándo?", "options": ["Hoy", "Mañana"]});
        for (more, shown) in [
            (
                json!({"kind": "document", "caption": "precios", "media": media}),
                "[document] lista.pdf: precios",
            ),
            (
                json!({"kind": "location", "location": place}),
                "[location] Obelisco, 9 de Julio, CABA, -34.6, -58.38",
            ),
            (
                json!({"kind": "poll", "poll": poll}),
                "[poll] ¿Cuándo? (Hoy, Mañana)",
            ),
            (
                json!({"kind": "contact", "contacts": [{"name": "Luz", "vcard": ""}]}),
                "[contact] Luz",
            ),
        ] {
            let message = json!({
                "id": "false_111@lid_3A", "key": "3A", "chat": "111@lid", "is_group": false, "from": {"phone": "5491158254201"},
            });
            let said = line("message", &extended(&message, &more));
            assert_eq!(said, format!("< +5491158254201: {shown}"));
        }
    }

    #[test]
    fn each_event_is_one_line_in_words() {
        let ana = json!({"phone": "5491158254201", "lid": null, "name": "Ana"});
        let text = json!({
            "id": "false_111@lid_3A", "key": "3A", "chat": "111@lid", "is_group": false, "from": ana, "kind": "text",
            "text": "hola\n¿qué tal?",
        });
        let with = |more: &Value| extended(&text, more);
        let picture = json!({
            "is_group": true, "group_name": "Familia", "kind": "image", "text": null, "caption": "mira",
        });
        let own = json!({"to": {"lid": "222@lid"}, "source": "phone"});
        let of = json!({"id": "x_3A", "key": "3A", "chat": "111@lid", "is_group": false, "from": ana, "is_own": false});
        let of = |more: &Value| extended(&of, more);
        for (kind, data, shown) in [
            (
                "message",
                text.clone(),
                "< Ana (+5491158254201): hola\\u000a¿qué tal?",
            ),
            (
                "message",
                with(&picture),
                "< Ana (+5491158254201) in Familia: [image] mira",
            ),
            (
                "message.own",
                with(&own),
                "> 222@lid: hola\\u000a¿qué tal? [phone]",
            ),
            (
                "message.ack",
                of(&json!({"ack": 3, "state": "read"})),
                "3A read",
            ),
            (
                "message.edited",
                of(&json!({"text": "chau"})),
                "3A edited by Ana (+5491158254201): chau",
            ),
            (
                "message.revoked",
                of(&json!({"is_by_admin": false})),
                "3A taken back",
            ),
            (
                "message.reaction",
                of(&json!({"emoji": "👍"})),
                "3A 👍 from Ana (+5491158254201)",
            ),
            (
                "message.reaction",
                of(&json!({"emoji": null})),
                "3A without a reaction from Ana (+5491158254201) again",
            ),
            (
                "message.waiting",
                with(&json!({"kind": "waiting"})),
                "< Ana (+5491158254201): cannot be decrypted yet",
            ),
            (
                "message.resolved",
                json!({"from": ana, "chat": "111@lid"}),
                "111@lid is Ana (+5491158254201)",
            ),
            (
                "session.status",
                json!({"state": "ERROR", "reason": "BROWSER_LOST", "detail": "gone"}),
                "session is ERROR (BROWSER_LOST): gone",
            ),
            ("message.new", json!({"a": 1}), "message.new {\"a\":1}"),
        ] {
            assert_eq!(line(kind, &data), shown);
        }
    }
}
