//! `status`: what the sessions are doing, as a table; one of them in detail.

use std::{path::Path, time::Duration};

use clap::Args;
use jiff::Timestamp;
use tokio::time::interval;

use super::{
    Fault,
    client::{Answer, Client, ClientError, Connection, READ_TIMEOUT},
    exit::{CODES, Exit},
    screen::{self, Interrupts, Screen, Size, remark, say},
};
use crate::{
    http::contract::{Sessions, Status},
    session::{ClienteId, Phase},
};

/// How often `--watch` looks: fast enough for a person, nothing for the service.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// Show what the sessions are doing.
///
/// All sessions that the service knows, as a table. When one is named: that one in detail, and the exit code says whether it
/// can send: 0 when it is READY, else 1.
#[derive(Args, Clone, Debug)]
#[command(after_help = CODES)]
pub struct Arguments {
    /// The session; all of them when left out.
    cliente_id: Option<ClienteId>,
    /// Keep looking, every two seconds, until Ctrl-C.
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    #[command(flatten)]
    pub(super) connection: Connection,
}

pub(super) async fn run(arguments: &Arguments, dotenv: &Path) -> Result<Exit, Fault> {
    let client = Client::new(&arguments.connection, dotenv)?;
    if !arguments.watch {
        return once(arguments, &client).await;
    }
    let mut interrupts = Interrupts::catch()?;
    tokio::select! {
        signal = interrupts.next() => Ok(Exit::Signalled(signal)),
        fault = watch(arguments, &client) => Err(fault),
    }
}

async fn once(arguments: &Arguments, client: &Client) -> Result<Exit, Fault> {
    let answer = ask(arguments, client).await?;
    if answer.body["state"] == "DISCONNECTED"
        && let Some(id) = answer.body["session"].as_str()
        && !is_known(id, client).await?
    {
        remark(&format!(
            "session-manager: the service knows no session {id}: it was never connected there; `session-manager status` shows all"
        ));
    }
    let exit = match arguments.cliente_id {
        Some(_) if answer.body["state"] != "READY" => Exit::Failed,
        Some(_) | None => Exit::Done,
    };
    if arguments.connection.json {
        say(&answer.body.to_string())?;
    } else {
        for line in in_words(arguments, client, &answer)? {
            say(&line)?;
        }
    }
    Ok(exit)
}

/// A session that was never seen has a status like any other that is not running.
async fn is_known(id: &str, client: &Client) -> Result<bool, ClientError> {
    let all = client.ask(client.get("/sessions"), READ_TIMEOUT).await?;
    let all: Sessions = all.read(client)?;
    Ok(all.details.iter().any(|session| session.session == id))
}

/// Ends only with a fault. Where there is no terminal to draw on, each answer is printed below the one before.
async fn watch(arguments: &Arguments, client: &Client) -> Fault {
    let look = async {
        let mut screen = Screen::is_there().then(Screen::open).transpose()?;
        let mut ticks = interval(WATCH_INTERVAL);
        loop {
            ticks.tick().await;
            let answer = ask(arguments, client).await?;
            let lines = in_words(arguments, client, &answer)?;
            if let Some(screen) = &mut screen {
                screen.draw(&cut(&lines, Screen::size()))?;
            } else {
                say(&lines.join("\n"))?;
            }
        }
    };
    let ended: Result<std::convert::Infallible, Fault> = look.await;
    match ended {
        Ok(never) => match never {},
        Err(fault) => fault,
    }
}

/// What of the lines fits the window.
fn cut(lines: &[String], size: Size) -> Vec<String> {
    let lines = lines.iter().take(size.lines);
    lines.map(|line| size.cut(line)).collect()
}

async fn ask(arguments: &Arguments, client: &Client) -> Result<Answer, ClientError> {
    match &arguments.cliente_id {
        Some(id) => client.status(id).await,
        None => client.ask(client.get("/sessions"), READ_TIMEOUT).await,
    }
}

fn in_words(
    arguments: &Arguments,
    client: &Client,
    answer: &Answer,
) -> Result<Vec<String>, ClientError> {
    let now = Timestamp::now();
    Ok(match &arguments.cliente_id {
        Some(_) => one(&answer.read(client)?, now),
        None => table(&answer.read::<Sessions>(client)?.details, now),
    })
}

fn table(sessions: &[Status], now: Timestamp) -> Vec<String> {
    if sessions.is_empty() {
        return vec![
            "no sessions yet: `session-manager qr 51` starts one and shows its code".to_owned(),
        ];
    }
    let head = ["SESSION", "STATE", "FOR", "ACCOUNT", "ADAPTER", "NOTE"].map(str::to_owned);
    let rows = sessions.iter().map(|session| {
        [
            session.session.clone(),
            session.state.to_string(),
            span(age(session.since.0, now)),
            session.account.clone().unwrap_or_default(),
            session
                .adapter
                .serving
                .as_deref()
                .unwrap_or_default()
                .to_owned(),
            session
                .reason
                .as_deref()
                .map(str::to_owned)
                .or_else(|| progress(session))
                .or_else(|| session.hibernating.then(|| "hibernating".to_owned()))
                .into_iter()
                .chain(outlook(session, now))
                .collect::<Vec<_>>()
                .join(", "),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    screen::table(&rows)
}

fn one(session: &Status, now: Timestamp) -> Vec<String> {
    let mut lines = vec![format!(
        "session {} is {}, for {}",
        session.session,
        session.state,
        span(age(session.since.0, now))
    )];
    let missing = Some(session.adapter.missing.join(", ")).filter(|missing| !missing.is_empty());
    let facts = [
        ("account", session.account.clone()),
        (
            "adapter",
            session.adapter.serving.as_deref().map(str::to_owned),
        ),
        ("missing", missing),
        ("under way", progress(session)),
        (
            "failed in",
            session.failed_phase.map(|phase| phase.as_str().to_owned()),
        ),
        ("Chrome", chrome(session)),
        ("reason", session.reason.as_deref().map(str::to_owned)),
        ("", session.detail.clone()),
        ("next", outlook(session, now)),
    ];
    let known = facts
        .into_iter()
        .filter_map(|(name, fact)| Some((name, fact?)));
    lines.extend(known.map(|(name, fact)| format!("  {name:<10}{fact}")));
    lines
}

/// Its process, or why there is none.
fn chrome(session: &Status) -> Option<String> {
    let hibernates = || "closed until something is to be sent".to_owned();
    let process = session.chrome_pid.map(|pid| format!("pid {pid}"));
    process.or_else(|| session.hibernating.then(hibernates))
}

/// How far a start has got.
fn progress(session: &Status) -> Option<String> {
    // The phase of such a start goes on until a phone has taken the code.
    let has_code =
        session.attempts.is_some_and(|codes| 0 < codes) || session.pairing_code.is_some();
    if has_code && session.state == "QR_REQUIRED" {
        return Some("shows a code, waiting for a phone".to_owned());
    }
    let phase = session.phase.as_ref().map(|phase| in_progress(phase.name));
    let percent = session.sync_percent.map(|percent| format!("{percent} %"));
    match (phase, percent) {
        (Some(phase), Some(percent)) => Some(format!("{phase}: {percent}")),
        (phase, percent) => phase.map(str::to_owned).or(percent),
    }
}

/// What a session does in a phase of its start.
pub(super) const fn in_progress(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "waiting for its turn to start",
        Phase::Launch => "starting Chrome",
        Phase::Navigate => "opening WhatsApp Web",
        Phase::Inject => "WhatsApp Web is loading",
        Phase::Link => "waiting for a code or an account",
        Phase::Sync => "syncing the chats",
    }
}

/// When the service starts it again.
fn outlook(session: &Status, now: Timestamp) -> Option<String> {
    let left = session.retry_at?.0.duration_since(now).as_secs();
    Some(format!("starts again in {}", span(left)))
}

fn age(since: Timestamp, now: Timestamp) -> i64 {
    now.duration_since(since).as_secs()
}

/// A time in one number and its unit, which is enough for an age.
pub(super) fn span(seconds: i64) -> String {
    match seconds {
        ..=0 => "0 s".to_owned(),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        172_800.. => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sessions() -> [Status; 6] {
        let modules = json!({"serving": "modules", "since": null, "missing": []});
        let sessions = [
            json!({"session": "51", "state": "READY", "since": "2026-11-22T10:00:00.000Z", "account": "5491158254201",
             "adapter": modules, "chrome_pid": 17}),
            json!({"session": "admin", "state": "DISCONNECTED", "since": "2026-11-22T12:59:00.000Z", "reason": "QR_TIMEOUT",
             "detail": "the code was not scanned", "failed_phase": "LINK",
             "adapter": {"serving": null, "since": null, "missing": ["modules: WAWebX"]}}),
            json!({"session": "7", "state": "DISCONNECTED", "since": "2026-11-22T12:59:55.000Z", "reason": "BROWSER_LOST",
             "detail": "it is started again", "retry_at": "2026-11-22T13:00:20.500Z"}),
            json!({"session": "syncs", "state": "AUTHENTICATED", "since": "2026-11-22T12:59:00.000Z", "sync_percent": 40,
             "adapter": modules, "phase": {"name": "SYNC", "since": "2026-11-22T12:59:00.000Z", "until": null}}),
            json!({"session": "sleeps", "state": "READY", "since": "2026-11-22T10:00:00.000Z", "account": "5491158254201",
             "adapter": modules, "hibernating": true}),
            json!({"session": "scans", "state": "QR_REQUIRED", "since": "2026-11-22T12:59:00.000Z", "attempts": 2,
             "adapter": modules, "phase": {"name": "LINK", "since": "2026-11-22T12:59:00.000Z", "until": null}}),
        ];
        sessions.map(|says| Status::sample(&says))
    }

    fn now() -> Timestamp {
        "2026-11-22T13:00:00Z".parse().unwrap()
    }

    #[test]
    fn sessions_are_shown_as_a_table_and_each_with_what_is_known_of_it() {
        let shown = |lines: Vec<String>| lines.join("\n") + "\n";
        let alone = sessions().map(|session| shown(one(&session, now())));
        let tables = [&sessions()[..], &[]].map(|sessions| shown(table(sessions, now())));
        let all = [&tables[..], &alone[..]].concat();
        insta::assert_snapshot!("shown", all.join("\n"));
    }

    #[test]
    fn a_span_has_one_number_and_its_unit() {
        let spans = [-3, 1, 119, 120, 7199, 7200, 172_799, 172_800].map(span);
        let wanted = [
            "0 s", "1 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days",
        ];
        assert_eq!(spans, wanted);
    }

    #[test]
    fn a_watched_table_never_leaves_its_window() {
        let size = Size {
            columns: 7,
            lines: 2,
        };
        assert_eq!(
            cut(&table(&sessions(), now()), size),
            ["SESSION", "51     "]
        );
    }
}
