//! The ledger's file: how it is opened, what a commit outlives. The only place that knows `SQLite`.
//!
//! What is in it, [`sends`] knows. Not responsible for when it is written.

pub(super) mod sends;

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::Path,
    sync::LazyLock,
    time::Duration,
};

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};
use rustix::fs::{Access, access};

/// The file in the ledger's folder.
const FILE: &str = "ledger.sqlite3";

/// Each is applied once, in order; one that has been released is never changed.
static MIGRATIONS: LazyLock<Migrations<'static>> =
    LazyLock::new(|| Migrations::new(vec![M::up(include_str!("schema.sql"))]));

/// What a transaction works on.
pub(super) type File = Connection;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Migration(#[from] rusqlite_migration::Error),
}

/// An open file.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    identity: Identity,
    /// What the connection is set to.
    commit: Commit,
    has_unsynced: bool,
}

/// Device and number of a file: the same ones under the same name are the same file.
type Identity = (u64, u64);

/// How much a commit outlives, once it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Commit {
    /// Every end of the service. A power cut may undo the last ones, until [`Store::sync`].
    Written,
    /// A power cut as well, together with all commits before it.
    Synced,
}

impl Store {
    /// Opens the file in `folder`, and makes both if they are not there: for nobody else to read.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        make_folder(folder)?;
        let path = folder.join(FILE);
        let identity = make_file(&path)?;
        let mut connection = Connection::open(&path)?;
        // Whoever finds the file taken is told at once, and tries again with the next request.
        connection.busy_timeout(Duration::ZERO)?;
        // The lock is kept: two services on one folder would each hand over what the other has queued. Deleted texts are
        // overwritten.
        connection.execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA secure_delete = ON;",
        )?;
        MIGRATIONS.to_latest(&mut connection)?;
        Ok(Self {
            connection,
            identity,
            commit: Commit::Synced,
            // What a service that was killed has left behind may not be.
            has_unsynced: true,
        })
    }

    /// Whether this is still the file in `folder`.
    pub(super) fn is_in(&self, folder: &Path) -> bool {
        fs::metadata(folder.join(FILE))
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity)
    }

    /// Moves everything from the log into the file proper, and cuts the log off.
    pub(super) fn empty_the_log(&mut self) -> Result<(), StoreError> {
        self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    /// Lets all that has been committed outlive a power cut.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)")
    }

    /// Whether anything has been committed that may not outlive one.
    pub(super) const fn has_unsynced(&self) -> bool {
        self.has_unsynced
    }

    fn checkpoint(&mut self, pragma: &str) -> Result<(), StoreError> {
        let is_busy: bool = self.connection.query_row(pragma, [], |row| row.get(0))?;
        if is_busy {
            return Err(io::Error::from(io::ErrorKind::ResourceBusy).into());
        }
        self.has_unsynced = false;
        Ok(())
    }

    /// Runs `work` as one transaction: when this answers, all of it outlives what `commit` says, or none has happened.
    pub(super) fn transact<T>(
        &mut self,
        commit: Commit,
        work: impl FnOnce(&File) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.commit != commit {
            // `FULL` syncs the log at each commit, `NORMAL` only before it is moved into the file proper.
            let synchronous = match commit {
                Commit::Written => "NORMAL",
                Commit::Synced => "FULL",
            };
            let connection = &self.connection;
            connection.pragma_update(None, "synchronous", synchronous)?;
            self.commit = commit;
        }
        let changes = self.connection.total_changes();
        let transaction = self.connection.transaction()?;
        let outcome = work(&transaction)?;
        transaction.commit()?;
        // A commit of nothing syncs nothing.
        if self.connection.total_changes() != changes {
            self.has_unsynced = commit == Commit::Written;
        }
        Ok(outcome)
    }
}

/// Sees that the folder may be written. An open file can be, long after its folder cannot; but the log could not be made
/// again, and whoever takes the right away wants nothing written.
pub(super) fn check_writable(folder: &Path) -> Result<(), StoreError> {
    access(folder, Access::WRITE_OK).map_err(|why| StoreError::Io(why.into()))
}

/// Makes the folder if it is not there, and sees to it that it will be there after a power cut as well.
fn make_folder(folder: &Path) -> Result<(), StoreError> {
    if !fs::exists(folder)? {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
        if let Some(parent) = folder.parent() {
            fs::File::open(parent)?.sync_all()?;
        }
    }
    keep_private(folder, 0o700)
}

/// Makes the file if it is not there; `SQLite` gives its other files the mode of this one.
///
/// Whoever closes a file that `SQLite` has open takes its locks away, and a second service could write beside this one:
/// so this is over before `SQLite` opens it, and nothing else here ever opens it.
fn make_file(path: &Path) -> Result<Identity, StoreError> {
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).mode(0o600).open(path)?;
    keep_private(path, 0o600)?;
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Takes rights away from others, should the folder have come out of a backup without its mode.
fn keep_private(path: &Path, mode: u32) -> Result<(), StoreError> {
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(())
}
