//! `serve`: the service itself, from its settings to its end.
//!
//! Responsible for what stands around it: settings that are wrong are told before anything starts, the log begins, signals stop it.

use std::{error::Error, path::Path};

use clap::Args;
use startup::Signals;
use tokio_util::task::AbortOnDropHandle;

use super::{Ended, exit::Exit, screen::remark};
use crate::{
    app::{App, StartError},
    config::Config,
    telemetry::{self, DroppedLines},
};

/// How the service is to run, besides its settings.
#[derive(Args, Clone, Copy, Debug)]
pub struct ServeArguments {
    /// Use a simulated WhatsApp Web and phone instead of the real one (SANDBOX=1).
    #[arg(long)]
    pub sandbox: bool,
}

pub(super) async fn run(arguments: ServeArguments, dotenv: &Path) -> Ended {
    let config = match Config::load_to_serve(dotenv, arguments.sandbox) {
        Ok(config) => config,
        Err(faults) => {
            remark(&format!(
                "session-manager: the settings are wrong:\n{faults}"
            ));
            return Exit::Misconfigured.into();
        }
    };
    let log = match telemetry::init(config.log_format, &config.log_filter) {
        Ok(log) => log,
        Err(why) => {
            remark(&format!("session-manager: {why}"));
            return Exit::Failed.into();
        }
    };
    for slip in &config.slips {
        tracing::warn!("{slip}");
    }
    let served = serve(config, log.dropped()).await;
    Ended {
        exit: served.map_or_else(|why| explain(&*why), |()| Exit::Done),
        log: Some(log),
    }
}

fn explain(why: &(dyn Error + 'static)) -> Exit {
    tracing::error!("session-manager failed: {why}");
    match why.downcast_ref() {
        Some(StartError::ChromeArguments(_)) => Exit::Misconfigured,
        // What another try may find mended.
        Some(
            StartError::Folder { .. }
            | StartError::Bind { .. }
            | StartError::Sandbox(_)
            | StartError::SandboxThreads(_),
        )
        | None => Exit::Failed,
    }
}

async fn serve(config: Config, dropped_lines: DroppedLines) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::catch()?;
    // On a thread of the runtime, so that a signal is heard while a disk hangs.
    let bound = AbortOnDropHandle::new(tokio::spawn(App::bind(config, dropped_lines)));
    let app = tokio::select! {
        bound = bound => bound??,
        () = signals.next() => {
            tracing::info!("stopped before the start was done");
            return Ok(());
        }
    };
    app.run_until(async || signals.next().await).await?;
    Ok(())
}
