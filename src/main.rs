//! The command `session-manager`: reads arguments and settings, starts the service, says how it ended.
//!
//! Exit codes: 0 stopped on request, 1 failed, 64 the settings are wrong (a supervisor need not try again).

use std::process::ExitCode;

use clap::Parser;
use session_manager::{app::App, config::Config, telemetry};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A bad configuration, as in sysexits.h.
const EX_USAGE: u8 = 64;

/// Keeps one headless Chrome per WhatsApp account and serves them over HTTP. Settings are environment variables or lines
/// of the file .env; .env.example lists them all.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Use a simulated WhatsApp Web and phone instead of the real one (SANDBOX=1).
    #[arg(long)]
    sandbox: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match load_config(&arguments) {
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
    match serve(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tracing::error!("session-manager failed: {why}");
            ExitCode::FAILURE
        }
    }
}

fn load_config(arguments: &Arguments) -> Result<Config, String> {
    match dotenvy::dotenv() {
        Ok(_) => {}
        Err(why) if why.not_found() => {}
        Err(why) => return Err(format!(".env: {why}")),
    }
    Config::from_env(arguments.sandbox).map_err(|faults| faults.to_string())
}

async fn serve(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    // Signals are caught before anything is started, so that none is missed.
    let mut stops = [
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    ];
    let mut hard_stops = [
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    ];
    let app = App::bind(config).await?;
    let sandbox = app.sandbox_addr().map(|addr| format!("http://{addr}"));
    tracing::info!(api = format!("http://{}", app.addr()), sandbox, "listening");
    app.run_until(received(&mut stops), async move {
        received(&mut hard_stops).await;
        received(&mut hard_stops).await;
    })
    .await?;
    Ok(())
}

/// Resolves when any of the signals arrives.
async fn received([terminate, interrupt]: &mut [Signal; 2]) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn complain(why: &str) {
    #[expect(clippy::print_stderr, reason = "there is no log yet")]
    {
        eprintln!("session-manager: {why}");
    }
}
