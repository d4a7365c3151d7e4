//! Why a profile could not be copied, or a copy not take its place.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::browser::BrowserError;

/// Why there is no snapshot, or none could take the profile's place. Everything is as before.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The profile cannot be held.
    #[error(transparent)]
    Profile(#[from] BrowserError),
    /// A file or folder cannot be read or written.
    #[error("{doing} {} failed: {source}", path.display())]
    Io {
        /// What was done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The disk is too full.
    #[error(
        "{} has {} MB left, and {} MB are needed", path.display(), free / 1_000_000, needed / 1_000_000
    )]
    NoSpace {
        /// A folder on the disk.
        path: PathBuf,
        /// How many bytes are needed.
        needed: u64,
        /// How many there are.
        free: u64,
    },
    /// Another kind of file.
    #[error("{} is no snapshot of a profile", path.display())]
    NotASnapshot {
        /// The file.
        path: PathBuf,
    },
    /// A file of a later version.
    #[error("{} has format {format}, which this version does not know; use the version that wrote it, or a newer one", path.display())]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// It is not what was written.
    #[error("{} is damaged: its checksum is wrong, or its end is missing", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// It is encrypted, and the key that it was encrypted with is not set.
    #[error(
        "{} is encrypted, and {}: set the key that was set when it was written", path.display(),
        if *has_key { "SNAPSHOT_KEY is another key" } else { "SNAPSHOT_KEY is not set" }
    )]
    OtherKey {
        /// The file.
        path: PathBuf,
        /// Whether there is a key at all.
        has_key: bool,
    },
    /// It does not come from an export.
    #[error("{} is not a file that `session-manager export` has written", path.display())]
    NotAnExport {
        /// The file.
        path: PathBuf,
    },
    /// Its encryption is of another version, or takes more work than this machine should do.
    #[error("{} is encrypted in a way that this version does not open; use the version that wrote it, or a newer one", path.display())]
    OtherEncryption {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase does not open it. If its first lines were changed, no passphrase does.
    #[error("the passphrase does not open {}", path.display())]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// A file would be lost.
    #[error("there is a file {} already", path.display())]
    FileThere {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing to copy.
    #[error("there is no profile {}", path.display())]
    NoProfile {
        /// Its folder.
        path: PathBuf,
    },
    /// A profile would have to make way.
    #[error("there is a profile {} already", path.display())]
    ProfileThere {
        /// Its folder.
        path: PathBuf,
    },
    /// Its Chrome could not be stopped, or went on before all was copied.
    #[error("Chrome could not be kept still for long enough: {0}")]
    NotStill(String),
    /// It took too long, or the service stops.
    #[error("it was not finished in time")]
    GivenUp,
    /// A disk does not answer, and the work on it is left to itself.
    #[error(
        "a disk does not answer (TOKENS_DIR or DATA_DIR); the copy is given up, and the profile stays in use until the disk answers"
    )]
    Hangs,
}

impl SnapshotError {
    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}
