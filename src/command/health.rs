//! `health`: whether the service is up. For a person, a supervisor, and a container's own check.

use std::path::Path;

use clap::Args;

use super::{
    Fault,
    client::{Client, Connection, READ_TIMEOUT},
    exit::{CODES, Exit},
    screen::say,
    status::span,
};
use crate::http::contract::Health;

/// Ask whether the service is up; this needs no key.
#[derive(Args, Clone, Debug)]
#[command(after_help = CODES)]
pub struct Arguments {
    #[command(flatten)]
    pub(super) connection: Connection,
}

pub(super) async fn run(arguments: &Arguments, dotenv: &Path) -> Result<Exit, Fault> {
    let client = Client::new(&arguments.connection, dotenv)?;
    let answer = client.ask(client.get("/health"), READ_TIMEOUT).await?;
    if arguments.connection.json {
        say(&answer.body.to_string())?;
    } else {
        say(&in_words(&answer.read(&client)?))?;
    }
    Ok(Exit::Done)
}

fn in_words(health: &Health) -> String {
    let states = health.sessions.iter().filter(|(_, count)| **count > 0);
    let states: Vec<String> = states
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let sessions = if states.is_empty() {
        "no sessions".to_owned()
    } else {
        states.join(", ")
    };
    format!(
        "up for {}, version {}: {sessions}",
        span(i64::try_from(health.uptime_seconds).unwrap_or(i64::MAX)),
        health.version
    )
}
