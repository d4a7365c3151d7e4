//! `session-manager webhook`: makes and lists webhooks, tries one, and has what was given up tried again.
//!
//! A secret is never an argument, which every user of the machine can read: it comes from a file, or the service makes it and it
//! is printed once, alone on standard output.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    Fault,
    client::{Client, Connection, READ_TIMEOUT},
    exit::{CODES, Exit},
    screen::{remark, say, table},
};
use crate::session::ClienteId;

/// The service waits up to 15 s for a receiver.
const TEST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

/// What is to be done with webhooks.
#[derive(Clone, Debug, Subcommand)]
pub enum WebhookCommand {
    /// Make a webhook, which is given what happens from now on, and print its secret, once.
    Add(AddArguments),
    /// Show what webhooks there are, and what became of their events.
    List(ListArguments),
    /// Send an event to a webhook, once and at once, and say what it answers.
    Test(OneArguments),
    /// Have the events tried again that were given up.
    Redrive(RedriveArguments),
}

/// Make a webhook, which is given what happens from now on, and print its secret, once.
#[derive(Args, Clone, Debug)]
#[command(after_help = CODES)]
pub struct AddArguments {
    /// Where events are posted to.
    to: String,
    /// A type of events that it wants, such as message.any; may be given more than once. Default: all.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// A session whose events it wants; may be given more than once. Default: all sessions.
    #[arg(long = "cliente-id", value_name = "ID")]
    cliente_ids: Vec<ClienteId>,
    /// A file that holds the secret to sign with. Default: the service makes one.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// A file with headers for each request, one to a line, such as `Authorization: Bearer …`.
    #[arg(long, value_name = "FILE")]
    headers_file: Option<PathBuf>,
    /// Send the envelope and the headers of another service: waha.
    #[arg(long, value_name = "SERVICE")]
    compat: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Show what webhooks there are, and what became of their events.
#[derive(Args, Clone, Debug)]
#[command(after_help = CODES)]
pub struct ListArguments {
    #[command(flatten)]
    connection: Connection,
}

/// Send an event to a webhook, once and at once, and say what it answers.
#[derive(Args, Clone, Debug)]
#[command(after_help = CODES)]
pub struct OneArguments {
    /// Its id, as `list` shows it.
    id: String,
    #[command(flatten)]
    connection: Connection,
}

/// Have the events tried again that were given up.
#[derive(Args, Clone, Debug)]
#[command(after_help = CODES)]
pub struct RedriveArguments {
    /// Its id, as `list` shows it.
    id: String,
    /// An event that is meant, by its id; may be given more than once. Default: all that were given up.
    #[arg(long = "event", value_name = "ID")]
    events: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

impl WebhookCommand {
    /// Whether it prints the API's own JSON.
    pub(super) const fn wants_json(&self) -> bool {
        let connection = match self {
            Self::Add(arguments) => &arguments.connection,
            Self::List(arguments) => &arguments.connection,
            Self::Test(arguments) => &arguments.connection,
            Self::Redrive(arguments) => &arguments.connection,
        };
        connection.json
    }
}

pub(super) async fn run(command: &WebhookCommand, dotenv: &Path) -> Result<Exit, Fault> {
    match command {
        WebhookCommand::Add(arguments) => add(arguments, dotenv).await,
        WebhookCommand::List(arguments) => list(arguments, dotenv).await,
        WebhookCommand::Test(arguments) => test(arguments, dotenv).await,
        WebhookCommand::Redrive(arguments) => redrive(arguments, dotenv).await,
    }
}

async fn add(arguments: &AddArguments, dotenv: &Path) -> Result<Exit, Fault> {
    let client = Client::new(&arguments.connection, dotenv)?;
    let body = body_of(arguments)?;
    let request = client.post("/webhooks", &body);
    let answer = client.ask(request, READ_TIMEOUT).await?.body;
    if arguments.connection.json {
        say(&answer.to_string())?;
        return Ok(Exit::Done);
    }
    let id = answer["webhook"]["id"].as_str().unwrap_or_default();
    let made = answer["secret"].as_str();
    let rest = if made.is_some() {
        "; this is the only time that its secret is shown"
    } else {
        ""
    };
    remark(&format!("webhook {id} is made{rest}"));
    if let Some(secret) = made {
        say(secret)?;
    }
    Ok(Exit::Done)
}

fn body_of(arguments: &AddArguments) -> io::Result<Value> {
    let mut body = Map::new();
    body.insert("url".to_owned(), arguments.to.as_str().into());
    if !arguments.types.is_empty() {
        body.insert("types".to_owned(), json!(arguments.types));
    }
    if !arguments.cliente_ids.is_empty() {
        let ids = arguments.cliente_ids.iter().map(ClienteId::as_str);
        body.insert("cliente_ids".to_owned(), ids.collect());
    }
    if let Some(file) = &arguments.secret_file {
        let secret = read(file)?;
        body.insert("secret".to_owned(), secret.trim().into());
    }
    if let Some(file) = &arguments.headers_file {
        body.insert("headers".to_owned(), headers_in(&read(file)?)?.into());
    }
    if let Some(compat) = &arguments.compat {
        body.insert("compat".to_owned(), compat.as_str().into());
    }
    Ok(body.into())
}

fn read(file: &Path) -> io::Result<String> {
    fs::read_to_string(file)
        .map_err(|why| io::Error::new(why.kind(), format!("{}: {why}", file.display())))
}

/// The headers of a file. No error repeats a line, which may hold a secret.
fn headers_in(text: &str) -> io::Result<Map<String, Value>> {
    let mut headers = Map::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| {
            io::Error::other(format!(
                "line {number} of --headers-file is no header: write Name: value"
            ))
        })?;
        headers.insert(name.trim().to_owned(), value.trim().into());
    }
    Ok(headers)
}

async fn list(arguments: &ListArguments, dotenv: &Path) -> Result<Exit, Fault> {
    let client = Client::new(&arguments.connection, dotenv)?;
    let answer = client.ask(client.get("/webhooks"), READ_TIMEOUT).await?;
    if arguments.connection.json {
        say(&answer.body.to_string())?;
    } else {
        for line in in_words(&answer.body) {
            say(&line)?;
        }
    }
    Ok(Exit::Done)
}

/// A table, and below it why each one is off or has failed.
fn in_words(answer: &Value) -> Vec<String> {
    let webhooks = answer["webhooks"].as_array().cloned().unwrap_or_default();
    if webhooks.is_empty() {
        return vec!["no webhooks".to_owned()];
    }
    let heads = [
        "id",
        "",
        "delivered",
        "waiting",
        "dead",
        "missed",
        "address",
    ];
    let mut rows = vec![heads.map(str::to_owned)];
    let mut remarks = Vec::new();
    for webhook in &webhooks {
        let text = |name: &str| webhook[name].as_str().unwrap_or_default().to_owned();
        let count = |name: &str| webhook["deliveries"][name].to_string();
        let is_on = webhook["enabled"] == true;
        rows.push([
            text("id"),
            if is_on { "on" } else { "off" }.to_owned(),
            count("delivered"),
            count("waiting"),
            count("dead"),
            count("missed"),
            text("url"),
        ]);
        let off = webhook["off_because"].as_str();
        let failure = webhook["deliveries"]["failure"].as_str();
        let why = off.map_or_else(
            || failure.map(|why| format!("last failure: {why}")),
            |why| Some(format!("off: {why}")),
        );
        remarks.extend(why.map(|why| format!("{}: {why}", text("id"))));
    }
    table(&rows).into_iter().chain(remarks).collect()
}

async fn test(arguments: &OneArguments, dotenv: &Path) -> Result<Exit, Fault> {
    let client = Client::new(&arguments.connection, dotenv)?;
    let request = client.post(&format!("/webhooks/{}/test", arguments.id), &json!({}));
    let answer = client.ask(request, TEST_TIMEOUT).await?.body;
    let is_delivered = answer["delivered"] == true;
    if arguments.connection.json {
        say(&answer.to_string())?;
    } else {
        let took = &answer["took_ms"];
        let failure = answer["failure"]
            .as_str()
            .unwrap_or("nothing is said of it");
        say(&if is_delivered {
            format!(
                "delivered: it answered {} after {took} ms",
                answer["status"]
            )
        } else {
            format!("not delivered: {failure}")
        })?;
    }
    Ok(if is_delivered {
        Exit::Done
    } else {
        Exit::Failed
    })
}

async fn redrive(arguments: &RedriveArguments, dotenv: &Path) -> Result<Exit, Fault> {
    let client = Client::new(&arguments.connection, dotenv)?;
    let body = if arguments.events.is_empty() {
        json!({})
    } else {
        json!({ "event_ids": arguments.events })
    };
    let path = format!("/webhooks/{}/redrive", arguments.id);
    let answer = client
        .ask(client.post(&path, &body), READ_TIMEOUT)
        .await?
        .body;
    if arguments.connection.json {
        say(&answer.to_string())?;
    } else {
        let not_dead = answer["not_dead"].as_u64().filter(|count| 0 < *count);
        let of_those = not_dead.map(|count| {
            format!("; {count} of those that were named are no dead letters of this webhook")
        });
        let of_those = of_those.unwrap_or_default();
        say(&format!("{} are tried again{of_those}", answer["redriven"]))?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_are_a_table_with_what_is_wrong_below_it() {
        let answer = json!({"webhooks": [
            {"id": "wh_1", "url": "https://a.example/", "enabled": true,
             "deliveries": {"delivered": 12, "waiting": 3, "dead": 1, "missed": 0, "failure": "it answered 500"}},
            {"id": "wh_2", "url": "https://b.example/", "enabled": false, "off_because": "it answered 410",
             "deliveries": {"delivered": 0, "waiting": 0, "dead": 0, "missed": 0}},
        ]});
        assert_eq!(
            in_words(&answer),
            [
                "id         delivered  waiting  dead  missed  address",
                "wh_1  on   12         3        1     0       https://a.example/",
                "wh_2  off  0          0        0     0       https://b.example/",
                "wh_1: last failure: it answered 500",
                "wh_2: off: it answered 410",
            ]
        );
        assert_eq!(in_words(&json!({"webhooks": []})), ["no webhooks"]);
    }

    #[test]
    fn headers_come_from_a_file_and_no_error_repeats_one() {
        let headers = headers_in("Authorization: Bearer a:b\n\nX-A:1\n").unwrap();
        assert_eq!(headers["Authorization"], "Bearer a:b");
        assert_eq!(headers["X-A"], "1");
        let why = headers_in("X-A: 1\nsecret\n").unwrap_err().to_string();
        assert!(why.contains("line 2") && !why.contains("secret"), "{why}");
    }
}
