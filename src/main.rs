//! The command `session-manager`: reads its arguments, does what they say, and says how that ended.
//!
//! Exit codes: `command::Exit`. Those of the service: 0 stopped on request, 1 failed, 64 the settings are wrong (a supervisor
//! need not try again).

use std::{path::Path, process::ExitCode, time::Duration};

use clap::Parser;
use rustix::process::{Resource, Rlimit, setrlimit};
use session_manager::command::{Command, ServeArguments};
use tokio::runtime::Runtime;

/// What is dropped at the end kills its Chrome within milliseconds; a call to a disk that hangs may never return, and is left
/// behind then. Together with the stop budget and the wait for the last log lines less than the `kill_timeout` of the supervisor.
const REST_TIMEOUT: Duration = Duration::from_secs(1);

/// Settings that are not in the environment.
const DOTENV: &str = ".env";

/// Keeps one headless Chrome per WhatsApp account and serves them over HTTP. Settings are environment variables or lines
/// of the file .env; .env.example lists them all.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    serve: ServeArguments,
    #[command(subcommand)]
    command: Option<Command>,
}

#[expect(clippy::print_stderr, reason = "there is no log yet")]
fn main() -> ExitCode {
    let command = Arguments::parse().command();
    forbid_core_dumps();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(why) => {
            eprintln!("session-manager: no threads can be started: {why}");
            return ExitCode::FAILURE;
        }
    };
    let ended = command.run(&runtime, Path::new(DOTENV));
    runtime.shutdown_timeout(REST_TIMEOUT);
    ended.finish()
}

/// A core dump of the service, or of a Chrome that it starts, would hold keys, texts and the accounts themselves. The limit is
/// inherited by every Chrome and cannot be raised again without privileges.
fn forbid_core_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // To lower a limit is always allowed; a system that refuses it all the same is no reason not to serve.
    let _refused = setrlimit(Resource::Core, none);
}

impl Arguments {
    /// The service, unless something else is asked for. What is said before `serve` counts as if said after it.
    fn command(self) -> Command {
        match self.command {
            None => Command::Serve(self.serve),
            Some(Command::Serve(own)) => Command::Serve(ServeArguments {
                sandbox: self.serve.sandbox || own.sandbox,
            }),
            Some(command) => command,
        }
    }
}
