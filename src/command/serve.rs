//! `serve`: the service itself, from its settings to its end.
//!
//! Responsible for what stands around it: settings that are wrong are told before anything starts, the log begins, signals stop it.

use std::{error::Error, fs, future::pending, io, path::Path};

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};
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

/// What tells the service to stop. Caught before anything is started, so that none is missed.
struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    /// Ctrl-\. By default it would end the service at once, and its Chromes with it.
    quit: unix::Signal,
    /// A terminal that closes. `None` under `nohup`, which ignores it so that the service outlives the terminal: to
    /// catch it would end that.
    hang_up: Option<unix::Signal>,
    /// A file that may not grow any more (`ulimit -f`) is an error of that write, and not the end of the service.
    _file_too_large: unix::Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        let hang_up = if is_ignored(Signal::HUP) {
            None
        } else {
            Some(signal(SignalKind::hangup())?)
        };
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hang_up,
            _file_too_large: signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?,
        })
    }

    async fn next(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => pending().await,
            }
        };
        let name = tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.quit.recv() => "SIGQUIT",
            _ = hang_up => "SIGHUP",
        };
        tracing::info!(signal = name, "told to stop by {name}");
    }
}

/// Whether the signal was ignored when the process started, and has not been caught since. A kernel that does not tell
/// has none ignored.
fn is_ignored(signal: Signal) -> bool {
    // Made up by the kernel without waiting for anything, and read once.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}
