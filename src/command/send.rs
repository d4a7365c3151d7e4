//! `send`: one text or file to one number, and what became of it.
//!
//! The service answers when WhatsApp's server has the text, or after a while without. What is open then is asked for until it is known.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use serde_json::{Value, json};
use tokio::time::{Instant, interval, timeout_at};

use super::{
    Fault,
    client::{Answer, Client, ClientError, Connection, READ_TIMEOUT},
    exit::{CODES, Exit},
    screen::{remark, say},
};
use crate::session::ClienteId;

/// How often an open message is asked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Send a text or a file and say what became of it.
///
/// Ends with 0 once WhatsApp's server has it (with --async: once the service has written it down), with 1 when it was certainly
/// not sent, and with 5 when that is not known in time. After a 5, repeat it only with the same --idempotency-key: without
/// one it may arrive twice.
#[derive(Args, Clone, Debug)]
#[command(after_help = CODES)]
pub struct Arguments {
    /// The session that sends.
    cliente_id: ClienteId,
    /// The recipient's phone number with its country code, such as 5491158254201, or the address of a group, which ends in @g.us.
    #[arg(allow_hyphen_values = true)]
    to: String,
    /// The text; - reads it from standard input, less one newline at its end. (An argument can be seen in the list of processes.)
    #[arg(allow_hyphen_values = true, required_unless_present_any = ["file", "caption", "kind", "view_once"])]
    message: Option<String>,
    /// Send this file in place of a text.
    #[arg(long, value_name = "PATH", conflicts_with = "message")]
    file: Option<PathBuf>,
    /// The text below the file.
    #[arg(long, value_name = "TEXT", requires = "file")]
    caption: Option<String>,
    /// As what the file is sent [default: by its first bytes].
    #[arg(long, requires = "file", value_parser = ["image", "video", "audio", "voice", "document", "sticker"])]
    kind: Option<String>,
    /// Let the file, a picture or a video, be looked at once only.
    #[arg(long, requires = "file")]
    view_once: bool,
    /// Answer this message of the chat: its id, as `listen --json` prints it.
    #[arg(long, value_name = "ID")]
    quote: Option<String>,
    /// A name of your own for this message: the same one again is answered with what became of the first.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Do not wait: end as soon as the service has written it down, and let it go out in its turn.
    #[arg(long = "async")]
    is_async: bool,
    /// How long to wait, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86400))]
    timeout: u64,
    #[command(flatten)]
    pub(super) connection: Connection,
}

pub(super) async fn run(arguments: &Arguments, dotenv: &Path) -> Result<Exit, Fault> {
    let client = Client::new(&arguments.connection, dotenv)?;
    let patience = Duration::from_secs(arguments.timeout);
    let until = Instant::now() + patience;
    let (field, content) = match (&arguments.file, arguments.message.as_deref()) {
        (Some(path), _) => ("media", medium(arguments, &client, path, patience).await?),
        (None, Some("-")) => {
            let read = io::read_to_string(io::stdin())?;
            ("message", read.strip_suffix('\n').unwrap_or(&read).into())
        }
        (None, text) => ("message", text.into()),
    };
    let request = request(arguments, &client, field, content);
    let (answer, wanted) = match client.ask(request, patience).await {
        Ok(answer) => (answer, !arguments.is_async),
        Err(ClientError::Refused { body, .. }) if body["code"] == "SEND_UNCONFIRMED" => {
            (Answer { body }, true)
        }
        Err(why @ ClientError::TooSlow { .. }) => {
            remark(&format!(
                "session-manager: {why}: the message may have been sent, or may still be"
            ));
            return Ok(Exit::Undecided);
        }
        Err(why) => return Err(in_own_words(why).into()),
    };
    let last = if wanted && is_open(&answer.body) {
        follow(&client, answer, until).await?
    } else {
        answer
    };
    let (exit, line) = verdict(&last.body, arguments.is_async);
    if arguments.connection.json {
        say(&last.body.to_string())?;
    } else {
        say(&line)?;
    }
    Ok(exit)
}

/// Brings the file, and gives what a send says of it.
async fn medium(
    arguments: &Arguments,
    client: &Client,
    path: &Path,
    patience: Duration,
) -> Result<Value, Fault> {
    let file = opened(path).await.map_err(Fault::Sending)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let brought = client.ask(client.bring(file, &name), patience).await?;
    let mut medium = json!({"id": brought.body["id"]});
    if let Some(caption) = &arguments.caption {
        medium["caption"] = Value::from(caption.as_str());
    }
    if let Some(kind) = &arguments.kind {
        medium["kind"] = Value::from(kind.as_str());
    }
    if arguments.view_once {
        medium["view_once"] = Value::from(true);
    }
    Ok(medium)
}

/// Opens what is a file: to open a pipe would wait for its other end.
async fn opened(path: &Path) -> Result<tokio::fs::File, String> {
    let told = |why: io::Error| format!("{}: {why}", path.display());
    let found = tokio::fs::metadata(path).await.map_err(told)?;
    if found.is_dir() {
        return Err(format!("{} is a folder", path.display()));
    }
    if !found.is_file() {
        return Err(format!("{} is no regular file", path.display()));
    }
    tokio::fs::File::open(path).await.map_err(told)
}

fn request(
    arguments: &Arguments,
    client: &Client,
    field: &str,
    content: Value,
) -> reqwest::RequestBuilder {
    let mut body = json!({"to": arguments.to, "async": arguments.is_async});
    body[field] = content;
    if let Some(quote) = &arguments.quote {
        body["quote"] = Value::from(quote.as_str());
    }
    if let Some(key) = &arguments.idempotency_key {
        body["idempotency_key"] = Value::from(key.as_str());
    }
    // The body of a send takes numbers only; the header takes each name of a session.
    let id = arguments.cliente_id.as_str();
    client.post("/send", &body).header("x-cliente-id", id)
}

/// A refusal in the words of the command line; programs read the answer itself.
fn in_own_words(why: ClientError) -> ClientError {
    let ClientError::Refused {
        status,
        code,
        message,
        retry_after,
        body,
    } = why
    else {
        return why;
    };
    let message = if code == "QUEUE_TIMEOUT" {
        "its turn does not come in time; nothing was sent: try again later, or let it go out in its turn with --async".to_owned()
    } else {
        message
    };
    ClientError::Refused {
        status,
        code,
        message,
        retry_after,
        body,
    }
}

/// Asks for the message until nothing more is to be learned, or time runs out; gives the last answer.
async fn follow(client: &Client, first: Answer, until: Instant) -> Result<Answer, ClientError> {
    let Some(id) = first.body["message_id"].as_str().map(str::to_owned) else {
        return Ok(first);
    };
    let mut last = first;
    let mut ticks = interval(LOOK_INTERVAL);
    while is_open(&last.body) && timeout_at(until, ticks.tick()).await.is_ok() {
        last = client
            .ask(client.get(&format!("/messages/{id}")), READ_TIMEOUT)
            .await?;
    }
    Ok(last)
}

/// How far a message has got, by either kind of answer.
fn state(answer: &Value) -> &str {
    let state = answer["state"]
        .as_str()
        .or(answer["message_state"].as_str());
    state.unwrap_or("handed")
}

fn is_open(answer: &Value) -> bool {
    matches!(state(answer), "queued" | "handed")
}

fn verdict(answer: &Value, is_async: bool) -> (Exit, String) {
    let id = answer["message_id"].as_str().unwrap_or("unknown");
    let (exit, became) = match state(answer) {
        "sent" => (Exit::Done, "sent: WhatsApp's server has it".to_owned()),
        "delivered" => (Exit::Done, "delivered".to_owned()),
        "read" => (Exit::Done, "read".to_owned()),
        "queued" if is_async => (Exit::Done, "accepted: it goes out in its turn".to_owned()),
        "handed" if is_async => (
            Exit::Done,
            "accepted: WhatsApp's own queue has it".to_owned(),
        ),
        "failed" | "cancelled" => (Exit::Failed, format!("not sent: {}", why(answer))),
        "unknown" => (
            Exit::Undecided,
            "unknown: WhatsApp cannot say whether it was sent; look at the phone".to_owned(),
        ),
        open => (Exit::Undecided, format!("not known yet: it is {open}")),
    };
    (exit, format!("{became} (message {id})"))
}

fn why(answer: &Value) -> String {
    let texts = ["detail", "code", "state"].map(|name| answer[name].as_str());
    let known = texts.into_iter().flatten().next();
    known.unwrap_or("the service does not say why").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_a_message_decides_the_exit_code() {
        let exit = |answer: Value, is_async| verdict(&answer, is_async).0;
        let sent = json!({"message": "Message sent", "message_state": "sent", "message_id": "true_1@c.us_3EB0"});
        assert_eq!(exit(sent.clone(), false), Exit::Done);
        assert!(verdict(&sent, false).1.contains("true_1@c.us_3EB0"));
        assert_eq!(exit(json!({"state": "read"}), false), Exit::Done);
        assert_eq!(exit(json!({"message_state": "queued"}), true), Exit::Done);
        assert_eq!(
            exit(json!({"message_state": "queued"}), false),
            Exit::Undecided
        );
        assert_eq!(exit(json!({"state": "unknown"}), false), Exit::Undecided);
        // An answer without a state is that of a send in doubt.
        assert_eq!(
            exit(
                json!({"code": "SEND_UNCONFIRMED", "message_id": "3EB0"}),
                false
            ),
            Exit::Undecided
        );
        let failed = json!({"state": "failed", "code": "QUEUE_TIMEOUT"});
        assert_eq!(verdict(&failed, false).0, Exit::Failed);
        assert!(verdict(&failed, false).1.contains("QUEUE_TIMEOUT"));
    }

    #[tokio::test]
    async fn what_is_no_file_is_named_and_is_not_waited_for() {
        let folder = tempfile::TempDir::new().unwrap();
        let told = async |path: &Path| opened(path).await.unwrap_err();
        assert!(told(folder.path()).await.ends_with("is a folder"));
        let missing = told(&folder.path().join("nope.jpg")).await;
        assert!(missing.contains("nope.jpg: No such file"), "{missing}");
        let socket = folder.path().join("socket");
        let _kept = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(told(&socket).await.ends_with("is no regular file"));
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_this_command() {
        let told = |code: &str| {
            let refused = ClientError::Refused {
                status: reqwest::StatusCode::TOO_MANY_REQUESTS,
                code: code.to_owned(),
                message: "not now: send it with \"async\": true".to_owned(),
                retry_after: None,
                body: json!({}),
            };
            in_own_words(refused).to_string()
        };
        let late = told("QUEUE_TIMEOUT");
        assert!(late.contains("--async") && !late.contains('"'), "{late}");
        assert!(told("QUEUE_FULL").contains("not now"));
    }
}
