//! The folder that a service under test works in, and the proof that nothing is left running on it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// After the leader of a Chrome is gone, its helpers live on for some 40 ms (STYLE.md section 8); a busy host needs more.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// A temporary folder with `tokens` and `data`. Outlives the services that are started on it one after another.
///
/// Dropping it asserts that no process has the tokens folder on its command line.
#[derive(Debug)]
pub(crate) struct Home {
    folder: TempDir,
    /// Where the sandbox listened first. A profile belongs to an address, so a later service must have the same one.
    pub(super) sandbox_port: Option<u16>,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("session-manager-")
            .tempdir()
            .unwrap();
        Self {
            folder,
            sandbox_port: None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.path().join("tokens")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Every process that has the tokens folder on its command line: the Chromes of this test.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let tokens = self.tokens();
        let tokens = tokens.as_os_str().as_encoded_bytes();
        let pids = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        pids.filter(|pid| {
            // A process may end while it is looked at, and a zombie has no command line.
            let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            command_line
                .windows(tokens.len())
                .any(|part| part == tokens)
        })
        .collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let deadline = Instant::now() + LAST_BREATH;
        while !self.processes().is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        let left = self.processes();
        for pid in left.iter().filter_map(|&pid| Pid::from_raw(pid)) {
            // Whoever has ended by now needs no signal.
            let _ended = kill_process(pid, Signal::KILL);
        }
        if !left.is_empty() && !std::thread::panicking() {
            panic!(
                "the test left processes running on {}: {left:?}",
                self.tokens().display()
            );
        }
    }
}
