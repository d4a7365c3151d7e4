//! The command `session-manager`: reads arguments and settings, starts the service or another command, says how it ended.
//!
//! Exit codes of the service: 0 stopped on request, 1 failed, 64 the settings are wrong (a supervisor need not try again).
//! Those of the other commands: `command::Exit`.

use std::{path::Path, process::ExitCode, time::Duration};

use clap::Parser;
use rustix::process::Signal;
use session_manager::{
    app::App,
    command::{Command, ServeArguments},
    config::Config,
    telemetry,
};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

/// A bad configuration, as in sysexits.h.
const EX_USAGE: u8 = 64;

/// What is dropped at the end kills its Chrome within milliseconds; a call to a disk that hangs may never return, and is left
/// behind then. Together with the stop budget less than the `kill_timeout` of the supervisor.
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

fn main() -> ExitCode {
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(why) => {
            complain(&format!("no threads can be started: {why}"));
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(start(Arguments::parse()));
    runtime.shutdown_timeout(REST_TIMEOUT);
    ended
}

async fn start(arguments: Arguments) -> ExitCode {
    match arguments.command {
        None => serve(arguments.serve.sandbox).await,
        Some(Command::Serve(own)) => serve(arguments.serve.sandbox || own.sandbox).await,
        Some(command) => command.run(Path::new(DOTENV)).await.into(),
    }
}

async fn serve(sandbox: bool) -> ExitCode {
    let config = match Config::load_to_serve(Path::new(DOTENV), sandbox) {
        Ok(config) => config,
        Err(faults) => {
            complain(&format!("the settings are wrong:\n{faults}"));
            return ExitCode::from(EX_USAGE);
        }
    };
    if let Err(why) = telemetry::init(config.log_format, &config.log_filter) {
        complain(&why.to_string());
        return ExitCode::FAILURE;
    }
    let Err(why) = run(config).await else {
        return ExitCode::SUCCESS;
    };
    tracing::error!("session-manager failed: {why}");
    ExitCode::FAILURE
}

async fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    // Caught before anything is started, so that none is missed.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // A file that may not grow any more (`ulimit -f`) is an error of that write, and not the end of the service.
    let _file_too_large = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?;
    let app = App::bind(config).await?;
    app.run_until(async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
    .await?;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "there is no log yet")]
fn complain(why: &str) {
    eprintln!("session-manager: {why}");
}
