//! `serve`: the service itself, from its settings to its end.
//!
//! Responsible for what stands around it: settings that are wrong are told before anything starts, the log begins, signals stop it.

use std::{io, path::Path};

use clap::Args;
use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

use super::{exit::Exit, screen::remark};
use crate::{
    app::{App, StartError},
    config::Config,
    telemetry,
};

/// How the service is to run, besides its settings.
#[derive(Args, Clone, Copy, Debug)]
pub struct ServeArguments {
    /// Use a simulated WhatsApp Web and phone instead of the real one (SANDBOX=1).
    #[arg(long)]
    pub sandbox: bool,
}

pub(super) async fn run(arguments: ServeArguments, dotenv: &Path) -> Exit {
    let config = match Config::load_to_serve(dotenv, arguments.sandbox) {
        Ok(config) => config,
        Err(faults) => {
            remark(&format!(
                "session-manager: the settings are wrong:\n{faults}"
            ));
            return Exit::Misconfigured;
        }
    };
    if let Err(why) = telemetry::init(config.log_format, &config.log_filter) {
        remark(&format!("session-manager: {why}"));
        return Exit::Failed;
    }
    for slip in &config.slips {
        tracing::warn!("{slip}");
    }
    let Err(why) = serve(config).await else {
        return Exit::Done;
    };
    tracing::error!("session-manager failed: {why}");
    match why.downcast_ref() {
        Some(StartError::ChromeArguments(_)) => Exit::Misconfigured,
        // What another try may find mended.
        Some(StartError::Folder { .. } | StartError::Bind { .. } | StartError::Sandbox(_))
        | None => Exit::Failed,
    }
}

async fn serve(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let mut signals = Signals::catch()?;
    let app = App::bind(config).await?;
    app.run_until(async || signals.next().await).await?;
    Ok(())
}

/// What tells the service to stop. Caught before anything is started, so that none is missed.
struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    /// A file that may not grow any more (`ulimit -f`) is an error of that write, and not the end of the service.
    _file_too_large: unix::Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_too_large: signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
