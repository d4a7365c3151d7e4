//! `qr`: a session's code in a terminal, until a phone has taken it.
//!
//! Asks the service to start the session, and reads its status until it is READY or has ended. [`view`] puts a status into
//! words; this file asks, draws and ends.

pub(super) mod view;

use std::{future::pending, path::Path, pin::pin, time::Duration};

use clap::Args;
use serde_json::{Value, json};
use tokio::time::{interval, sleep};
use view::View;

use super::{
    Fault,
    client::{Client, Connection},
    exit::{CODES, Exit},
    screen::{Interrupts, Screen, remark, say},
};
use crate::{http::contract::Status, session::ClienteId};

/// How often the status is looked at: a new code is shown before a person has raised the phone.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Link a phone: show a session's code in this terminal until the session is READY.
///
/// Starts the session unless it runs, and draws each new code in the place of the one before. Where the output is no
/// terminal, each code is printed once, and what goes on is said on standard error. Ctrl-C only closes this view: the
/// session goes on.
///
/// A code needs 33 lines; in a smaller window it is drawn with smaller characters, which old terminals show as boxes.
#[derive(Args, Clone, Debug)]
#[command(after_help = CODES)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own, given or not"
)]
pub struct Arguments {
    /// The session to link.
    cliente_id: ClienteId,
    /// Link by phone number: show the eight characters to type on the phone with this number, such as +5491158254201.
    #[arg(long, value_name = "NUMBER", conflicts_with = "no_connect")]
    phone: Option<String>,
    /// With --phone: also when another session has this number. WhatsApp then removes the device of that session.
    #[arg(long, requires = "phone")]
    force: bool,
    /// Only watch: do not start the session.
    #[arg(long)]
    no_connect: bool,
    /// Swap light and dark: for a terminal that shows no colours, on a light background.
    #[arg(long)]
    invert: bool,
    /// Print each code once, as where the output is no terminal.
    #[arg(long)]
    plain: bool,
    /// How long to wait for READY, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=86400))]
    timeout: u64,
    #[command(flatten)]
    pub(super) connection: Connection,
}

pub(super) async fn run(arguments: &Arguments, dotenv: &Path) -> Result<Exit, Fault> {
    let client = Client::new(&arguments.connection, dotenv)?;
    let id = &arguments.cliente_id;
    let mut interrupts = Interrupts::catch()?;
    // Each of these restores the terminal when it is dropped, so the last word is printed on the normal screen.
    let (exit, last_word) = tokio::select! {
        ended = follow(arguments, &client) => ended?,
        signal = interrupts.next() => (
            Exit::Signalled(signal),
            format!("session {id} goes on; `session-manager qr {id}` shows its code again"),
        ),
        () = sleep(Duration::from_secs(arguments.timeout)) => (
            Exit::Undecided,
            format!("session {id} is not READY after {} s; it goes on", arguments.timeout),
        ),
    };
    if exit == Exit::Done && !arguments.connection.json {
        say(&last_word)?;
    } else {
        remark(&last_word);
    }
    Ok(exit)
}

/// Shows the session until it is READY or has ended; returns the last line about it.
async fn follow(arguments: &Arguments, client: &Client) -> Result<(Exit, String), Fault> {
    let id = &arguments.cliente_id;
    let mut canvas = Canvas::new(arguments)?;
    let mut connect = pin!(async {
        if arguments.no_connect {
            return pending().await;
        }
        let mut body = json!({"cliente_id": id.as_str()});
        if let Some(phone) = &arguments.phone {
            body["phone"] = Value::from(phone.as_str());
            body["force"] = Value::from(arguments.force);
        }
        let patience = Duration::from_secs(arguments.timeout);
        client.ask(client.post("/connect", &body), patience).await
    });
    let mut is_started = arguments.no_connect;
    let mut ticks = interval(LOOK_INTERVAL);
    loop {
        tokio::select! {
            biased;
            connected = &mut connect, if !is_started => {
                connected?;
                is_started = true;
            }
            _ = ticks.tick() => {}
        }
        let answer = client.status(id).await?;
        let status: Status = answer.read(client)?;
        let view = View::of(&status, arguments.phone.is_some());
        match &view {
            View::Ready { .. } => {
                canvas.show(&view, &answer.body)?;
                return Ok((Exit::Done, view.in_words(id)));
            }
            // Before the service has answered, this is how the last start ended.
            View::Ended { .. } if is_started => {
                canvas.show(&view, &answer.body)?;
                return Ok((Exit::Failed, view.in_words(id)));
            }
            View::Ended { .. } => {}
            View::Code { .. } | View::PairingCode { .. } | View::Waiting { .. } => {
                canvas.show(&view, &answer.body)?;
            }
        }
    }
}

/// Where the views go.
enum Canvas<'a> {
    /// Drawn in place.
    Screen(&'a Arguments, Screen),
    /// Each one once.
    Lines {
        arguments: &'a Arguments,
        said: String,
        drawn: String,
    },
    /// The API's own words, when they have changed.
    Json { said: Option<View> },
}

impl<'a> Canvas<'a> {
    fn new(arguments: &'a Arguments) -> Result<Self, Fault> {
        Ok(if arguments.connection.json {
            Self::Json { said: None }
        } else if Screen::is_there() && !arguments.plain {
            Self::Screen(arguments, Screen::open()?)
        } else {
            Self::Lines {
                arguments,
                said: String::new(),
                drawn: String::new(),
            }
        })
    }

    fn show(&mut self, view: &View, answer: &Value) -> Result<(), Fault> {
        match self {
            Self::Screen(arguments, screen) => {
                let frame = view.frame(&arguments.cliente_id, Screen::size(), arguments.invert);
                screen.draw(&frame)?;
            }
            Self::Lines {
                arguments,
                said,
                drawn,
            } => {
                let words = view.in_words(&arguments.cliente_id);
                let is_last_word = matches!(view, View::Ready { .. } | View::Ended { .. });
                if words != *said && !is_last_word {
                    remark(&words);
                    *said = words;
                }
                if let Some(code) = view.picture(arguments.invert)
                    && code != *drawn
                {
                    say(&code)?;
                    *drawn = code;
                }
            }
            Self::Json { said } => {
                if said.as_ref() != Some(view) {
                    say(&answer.to_string())?;
                    *said = Some(view.clone());
                }
            }
        }
        Ok(())
    }
}
