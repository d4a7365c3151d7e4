//! A folder for a profile that a command throws away.

use std::{io, path::Path};

use tempfile::{Builder, TempDir};

/// A folder on the disk of the profiles, since Chrome may work on one disk and not on another; elsewhere if that folder cannot be
/// used. `prefix` begins with a dot: then its name cannot be the name of a session. Dropping it deletes it.
pub(super) fn folder(prefix: &str, tokens_dir: &Path) -> io::Result<TempDir> {
    let beside = Builder::new().prefix(prefix).tempdir_in(tokens_dir);
    beside.or_else(|_| Builder::new().prefix(prefix).tempdir())
}
