//! The folder that a service under test works in, with the proof that nothing is left running on it.

use std::path::{Path, PathBuf};

use super::{chrome::Folder, secrets::Secrets};

/// A temporary folder with `tokens` and `data`. It outlives the services that are started on it one after another, and
/// fails the test when a Chrome outlives it.
pub(crate) struct Home {
    folder: Folder,
    /// Where the sandbox listened first. A link belongs to an address, so a later service must have the same one.
    pub(super) sandbox_port: Option<u16>,
    /// What must not be in the log of a service on it. What one of them has heard, the next may say.
    pub(super) secrets: Secrets,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            folder: Folder::new(),
            sandbox_port: None,
            secrets: Secrets::default(),
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

    /// Writes a program that can be started in place of Chrome.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        self.folder.script(name, text)
    }

    /// The ledger of a service with a sandbox.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.data().join("sandbox/ledger")
    }

    /// The Chromes of this test: every process that has the folder on its command line.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.folder.processes()
    }

    /// For after a stop, which promises it.
    pub(crate) fn assert_nobody_is_left(&self) {
        self.folder.assert_nobody_is_left();
    }
}
