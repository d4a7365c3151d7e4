//! The signals that stop a program.

use std::{fs, future::pending, io};

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

/// What tells a program to stop. To be caught before anything is started, so that none is missed.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    /// Ctrl-\. By default it would end the program at once, and what it has started with it.
    quit: unix::Signal,
    /// A terminal that closes. `None` under `nohup`, which ignores it so that the program outlives the terminal: to
    /// catch it would end that.
    hang_up: Option<unix::Signal>,
    /// A file that may not grow any more (`ulimit -f`) is an error of that write, and not the end of the program.
    _file_too_large: unix::Signal,
}

impl Signals {
    /// Catches them from now on, for as long as the process lives.
    pub fn catch() -> io::Result<Self> {
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

    /// Waits for the next of them.
    pub async fn next(&mut self) {
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
