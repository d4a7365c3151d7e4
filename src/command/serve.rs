//! `serve`: the service itself, from its settings to its end.
//!
//! Responsible for what stands around it: settings that are wrong are told before anything starts, the log begins, signals stop it.

use std::{error::Error, io, path::Path};

use startup::Signals;
use tokio_util::task::AbortOnDropHandle;

use super::{Ended, doctor::ports::remedy_for_taken, exit::Exit, screen::remark};
use crate::{
    app::{App, StartError},
    config::Config,
    telemetry::{self, DroppedLines},
};

pub(super) async fn run(dotenv: &Path, sandbox: bool) -> Ended {
    let config = match Config::load_to_serve(dotenv, sandbox) {
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
    let exit = match serve(config, log.dropped()).await {
        Ok(()) => Exit::Done,
        Err(why) => explain(&*why).await,
    };
    Ended {
        exit,
        log: Some(log),
    }
}

async fn explain(why: &(dyn Error + 'static)) -> Exit {
    let why_not_started: Option<&StartError> = why.downcast_ref();
    let mut remedy = String::new();
    if let Some(StartError::Bind {
        variable,
        addr,
        source,
    }) = why_not_started
        && source.kind() == io::ErrorKind::AddrInUse
    {
        remedy = format!("; {}", remedy_for_taken(variable, *addr).await);
    }
    tracing::error!("session-manager failed: {why}{remedy}");
    match why_not_started {
        Some(StartError::ChromeArguments(_) | StartError::RealProfiles { .. }) => {
            Exit::Misconfigured
        }
        // What another try may find mended.
        Some(
            StartError::Folder { .. }
            | StartError::Bind { .. }
            | StartError::Received(_)
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
