//! The subcommands of the binary.
//!
//! Each has a file of its own under this one; without a subcommand the binary does `serve`, the service itself.
//! `doctor` looks at this machine, and `probe` at WhatsApp Web; `key`, `export`, `import` and `adopt` work on files. The others are thin clients of
//! the HTTP API: they put its answers into words, and leave every decision to the service. Only this module and `main`
//! write to a terminal.

mod adopt;
mod client;
mod doctor;
mod exit;
mod export;
mod health;
mod import;
mod key;
mod listen;
mod passphrase;
mod probe;
mod qr;
mod scratch;
mod screen;
mod send;
mod serve;
mod status;
mod webhook;

use std::{io, path::Path, process::ExitCode};

use clap::Subcommand;
use client::ClientError;
pub use exit::Exit;
pub use key::KeyCommand;
use tokio::runtime::Runtime;
pub use webhook::WebhookCommand;

use crate::{config::Config, telemetry::Log};

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run the service. This is what happens without a subcommand.
    Serve,
    /// Link a phone: show a session's code in this terminal until the session is READY.
    Qr(qr::Arguments),
    /// Show what the sessions are doing.
    Status(status::Arguments),
    /// Send a text or a file and say what became of it.
    Send(send::Arguments),
    /// Show what happens, as it happens: messages that come in and go out, ticks, states.
    Listen(listen::Arguments),
    /// Ask whether the service is up; this needs no key.
    Health(health::Arguments),
    /// Write a linked account into one encrypted file, to move it to another host.
    Export(export::Arguments),
    /// Take an account that was exported on another host.
    Import(import::Arguments),
    /// Take over an account that another program has linked in this machine's Chrome, without a scan.
    Adopt(adopt::Arguments),
    /// Look whether this machine can run the service, and say what to do where it cannot.
    Doctor(doctor::Arguments),
    /// Look whether the service can work with WhatsApp Web as it is today, and write a report of it.
    Probe(probe::Arguments),
    /// Make, show and revoke keys, each with its own rights.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Make, show and try webhooks, and have what was given up delivered again.
    #[command(subcommand)]
    Webhook(WebhookCommand),
}

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[from] io::Error),
    #[error("a folder for a profile cannot be used: {0}")]
    Folder(io::Error),
    #[error("the folder of --save cannot be used: {0}")]
    Saving(io::Error),
    #[error("{0}")]
    Sandbox(String),
    #[error("the file cannot be sent: {0}")]
    Sending(String),
    #[error("a service for this command does not run: {0}")]
    Service(String),
}

/// How a command ended, and the log that it began, if it did.
#[derive(Debug)]
#[must_use]
pub struct Ended {
    exit: Exit,
    log: Option<Log>,
}

impl Ended {
    /// Waits for the last lines of the log. To be called when nothing runs any more that could log.
    pub fn finish(self) -> ExitCode {
        if let Some(log) = self.log {
            log.finish();
        }
        self.exit.into()
    }
}

impl From<Exit> for Ended {
    fn from(exit: Exit) -> Self {
        Self { exit, log: None }
    }
}

impl Command {
    /// Why `--sandbox` is refused with this command, if it is: a person would take it for a command on simulated sessions.
    pub const fn why_no_sandbox(&self) -> Option<&'static str> {
        match self {
            Self::Serve
            | Self::Doctor(_)
            | Self::Probe(_)
            | Self::Export(_)
            | Self::Import(_)
            | Self::Adopt(_) => None,
            Self::Qr(_)
            | Self::Status(_)
            | Self::Send(_)
            | Self::Listen(_)
            | Self::Health(_)
            | Self::Webhook(_) => Some(
                "--sandbox cannot be used with this command: it asks a running service, and that service has the simulated WhatsApp or the real one; leave --sandbox out",
            ),
            Self::Key(_) => Some(
                "--sandbox cannot be used with this command: keys are the same with and without the sandbox; leave --sandbox out",
            ),
        }
    }

    /// Runs the command to its end. `dotenv` is the file with settings, which may be absent; `sandbox` turns the sandbox on even
    /// where the settings do not.
    ///
    /// This is not an `async fn`: the compiler writes the code of a future where it is awaited. If `main` awaited this one,
    /// the whole service would be compiled once more for it, which took a minute of a first build.
    pub fn run(self, runtime: &Runtime, dotenv: &Path, sandbox: bool) -> Ended {
        runtime.block_on(self.carry_out(dotenv, sandbox))
    }

    async fn carry_out(self, dotenv: &Path, sandbox: bool) -> Ended {
        let (outcome, wants_json) = match self {
            Self::Serve => return serve::run(dotenv, sandbox).await,
            Self::Key(command) => return keys(command, dotenv).into(),
            Self::Export(arguments) => {
                let done = export::run(arguments, dotenv, sandbox).await;
                return on_files(done, "; --force writes over it");
            }
            Self::Import(arguments) => {
                let done = import::run(arguments, dotenv, sandbox).await;
                return on_files(done, "; --replace sets it aside");
            }
            Self::Adopt(arguments) => {
                let done = adopt::run(arguments, dotenv, sandbox).await;
                let remedy = ", which may be linked; --replace sets it aside";
                return on_files(done, remedy);
            }
            Self::Qr(arguments) => (qr::run(&arguments, dotenv).await, arguments.connection.json),
            Self::Status(arguments) => (
                status::run(&arguments, dotenv).await,
                arguments.connection.json,
            ),
            Self::Send(arguments) => (
                send::run(&arguments, dotenv).await,
                arguments.connection.json,
            ),
            Self::Listen(arguments) => (
                listen::run(&arguments, dotenv).await,
                arguments.connection.json,
            ),
            Self::Health(arguments) => (
                health::run(&arguments, dotenv).await,
                arguments.connection.json,
            ),
            Self::Webhook(command) => {
                let wants_json = command.wants_json();
                (webhook::run(&command, dotenv).await, wants_json)
            }
            Self::Doctor(arguments) => (
                doctor::run(&arguments, dotenv, sandbox).await,
                arguments.json,
            ),
            Self::Probe(arguments) => (
                Box::pin(probe::run(&arguments, dotenv, sandbox)).await,
                arguments.json,
            ),
        };
        outcome
            .unwrap_or_else(|fault| explain(&fault, wants_json))
            .into()
    }
}

/// How a command ends that works on files. `remedy` is for a file or a profile that is there already.
fn on_files(done: Result<Exit, export::Fault>, remedy: &str) -> Ended {
    done.unwrap_or_else(|fault| export::explain(&fault, remedy))
        .into()
}

/// Keys are in a file: no service is asked.
fn keys(command: KeyCommand, dotenv: &Path) -> Exit {
    let done = match Config::load(dotenv, false) {
        Ok(config) => command.run(&config).map_err(|why| (why, Exit::Failed)),
        Err(faults) => Err((
            format!("the settings are wrong:\n{faults}").into(),
            Exit::Misconfigured,
        )),
    };
    match done {
        Ok(()) => Exit::Done,
        Err((why, exit)) => {
            screen::remark(&format!("session-manager: {why}"));
            exit
        }
    }
}

fn explain(fault: &Fault, wants_json: bool) -> Exit {
    match fault {
        // The reader of the answer has closed the pipe: it has read enough.
        Fault::Terminal(why) if why.kind() == io::ErrorKind::BrokenPipe => {
            return Exit::Signalled(exit::SIGPIPE);
        }
        Fault::Client(why) if wants_json => {
            // If standard output is closed, the exit code is all that can be said.
            let _closed = screen::say(&why.json().to_string());
        }
        Fault::Client(_)
        | Fault::Terminal(_)
        | Fault::Folder(_)
        | Fault::Saving(_)
        | Fault::Sending(_)
        | Fault::Sandbox(_)
        | Fault::Service(_) => {
            screen::remark(&format!("session-manager: {fault}"));
        }
    }
    match fault {
        Fault::Client(why) => why.exit(),
        Fault::Terminal(_)
        | Fault::Folder(_)
        | Fault::Saving(_)
        | Fault::Sending(_)
        | Fault::Sandbox(_)
        | Fault::Service(_) => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `--help` prints of a command and of those below it.
    fn help(command: &mut clap::Command) -> String {
        let title = format!("==> {}", command.get_bin_name().unwrap_or_default());
        let text = command.render_long_help().to_string();
        let lines = text.lines().map(|line| line.trim_end().to_owned());
        let own: Vec<_> = [title].into_iter().chain(lines).collect();
        let below = command.get_subcommands_mut().map(help);
        [own.join("\n") + "\n\n"].into_iter().chain(below).collect()
    }

    #[test]
    fn each_command_says_what_it_does_and_how_it_ends() {
        let mut program = Command::augment_subcommands(clap::Command::new("session-manager"));
        program = program
            .bin_name("session-manager")
            .disable_help_subcommand(true);
        program.build();
        insta::assert_snapshot!("help", help(&mut program));
    }
}
