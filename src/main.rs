//! The command `session-manager`: reads arguments and settings, starts the service, says how it ended.
//!
//! Exit codes: 0 stopped on request, 1 failed, 64 the settings are wrong (a supervisor need not try again).

use std::{path::Path, process::ExitCode};

use clap::Parser;
use rustix::process::Signal;
use session_manager::{app::App, command::Command, config::Config, telemetry};
use tokio::signal::unix::{SignalKind, signal};

/// A bad configuration, as in sysexits.h.
const EX_USAGE: u8 = 64;

/// Keeps one headless Chrome per WhatsApp account and serves them over HTTP. Settings are environment variables or lines
/// of the file .env; .env.example lists them all.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Use a simulated WhatsApp Web and phone instead of the real one (SANDBOX=1).
    #[arg(long, global = true)]
    sandbox: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (command, dotenv) = (arguments.command.unwrap_or_default(), Path::new(".env"));
    let loaded = match command {
        Command::Serve => Config::load_to_serve(dotenv, arguments.sandbox),
        Command::Key(_) => Config::load(dotenv, arguments.sandbox),
    };
    let config = match loaded {
        Ok(config) => config,
        Err(faults) => {
            complain(&format!("the settings are wrong:\n{faults}"));
            return ExitCode::from(EX_USAGE);
        }
    };
    match command {
        Command::Serve => serve(config).await,
        Command::Key(command) => told(command.run(&config)),
    }
}

/// How a command of a moment ended: what it has to say goes to whoever gave it.
fn told(ended: Result<(), Box<dyn std::error::Error>>) -> ExitCode {
    let Err(why) = ended else {
        return ExitCode::SUCCESS;
    };
    complain(&why.to_string());
    ExitCode::FAILURE
}

async fn serve(config: Config) -> ExitCode {
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
