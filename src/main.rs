//! The command `session-manager`: reads its arguments, does what they say, and says how that ended.
//!
//! Exit codes: `command::Exit`. Those of the service: 0 stopped on request, 1 failed, 64 the settings are wrong (a supervisor
//! need not try again).

use std::{
    io, num::NonZeroUsize, path::Path, process::ExitCode, sync::RwLock, thread, time::Duration,
};

use clap::{CommandFactory as _, Parser, error::ErrorKind};
use rustix::process::{Resource, Rlimit, setrlimit};
use session_manager::{browser::ProcessRoom, command::Command};
use tokio::runtime::Runtime;

/// What is dropped at the end kills its Chrome within milliseconds; a call to a disk that hangs may never return, and is left
/// behind then. Together with the stop budget and the wait for the last log lines less than the `kill_timeout` of the
/// supervisor.
const REST_TIMEOUT: Duration = Duration::from_secs(1);

/// Settings that are not in the environment.
const DOTENV: &str = ".env";

/// Keeps one headless Chrome per WhatsApp account and serves them over HTTP. Settings are environment variables or lines
/// of the file .env; .env.example lists them all.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Use a simulated WhatsApp Web and phone, and the folders of their sessions, instead of the real ones (SANDBOX=1). For
    /// the service, doctor, probe, export, import and adopt.
    #[arg(long, global = true)]
    sandbox: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[expect(clippy::print_stderr, reason = "there is no log yet")]
fn main() -> ExitCode {
    let Arguments { sandbox, command } = Arguments::parse();
    let command = command.unwrap_or(Command::Serve);
    if let Some(why) = command.why_no_sandbox().filter(|_| sandbox) {
        Arguments::command()
            .error(ErrorKind::ArgumentConflict, why)
            .exit();
    }
    forbid_core_dumps();
    let runtime = match start_threads().and_then(|()| Runtime::new()) {
        Ok(runtime) => runtime,
        Err(why) => {
            eprintln!("session-manager: {}", no_threads(&why));
            return ExitCode::FAILURE;
        }
    };
    let ended = command.run(&runtime, Path::new(DOTENV), sandbox);
    runtime.shutdown_timeout(REST_TIMEOUT);
    ended.finish()
}

/// Starts and ends as many threads as the runtime is about to start. Where a limit lets one of them not start, the runtime
/// panics, and the threads that it has started by then keep the process from ending.
fn start_threads() -> io::Result<()> {
    let count = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let gate = RwLock::new(());
    thread::scope(|scope| {
        // Until then they all stay.
        let _closed = gate.write();
        for _ in 0..count {
            thread::Builder::new().spawn_scoped(scope, || drop(gate.read()))?;
        }
        Ok(())
    })
}

/// What a person can do about it.
fn no_threads(why: &io::Error) -> String {
    let least = ProcessRoom::read().least();
    let limit = least.map_or_else(String::new, |(limit, room)| {
        format!("; the narrowest limit on processes and threads is {limit}, which leaves {room}: raise it")
    });
    format!("its threads cannot be started: {why}{limit}")
}

/// A core dump of the service, or of a Chrome that it starts, would hold keys, texts and the accounts themselves. The
/// limit is inherited by every Chrome and cannot be raised again without privileges.
fn forbid_core_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // To lower a limit is always allowed; a system that refuses it all the same is no reason not to serve.
    let _refused = setrlimit(Resource::Core, none);
}
