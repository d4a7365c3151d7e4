//! The ledger's file: how it is opened, what a commit outlives, and whether it is still the file that was opened. This module
//! and its children are the only code that knows `SQLite`.
//!
//! [`sends`], [`events`] and [`consumers`] know what is in the file. Not responsible for when it is written.
//!
//! One process has the file, by the VFS `unix-excl`. That keeps other processes out: of two services on one folder, each
//! would hand over what the other has queued. It still allows this process several connections, so reads have their own,
//! and in WAL mode no write waits for them.

pub(super) mod consumers;
pub(super) mod events;
pub(super) mod generations;
pub(super) mod hearing;
pub(super) mod places;
pub(super) mod readers;
pub(super) mod sends;
pub(super) mod stamp;
pub(super) mod who;

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
    sync::LazyLock,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};
use rusqlite_migration::{M, Migrations};
use rustix::fs::{Access, access};

/// The file in the ledger's folder.
const FILE: &str = "ledger.sqlite3";

/// The write-ahead log: commits that `SQLite` has not moved into the file yet.
const LOG: &str = "ledger.sqlite3-wal";

/// The name that the log gets when its file was overwritten.
const LOG_ASIDE: &str = "ledger.sqlite3-wal.aside";

/// Records that the folder had a ledger. Without this file the ledger may be made; with it, a missing ledger is an error.
const BEGUN: &str = "ledger.begun";

/// The text of that file, for an operator who opens it.
const BEGUN_TEXT: &str = "A ledger was begun in this folder, so a missing ledger.sqlite3 is an error here and no reason to begin a new one.\n\
    Put the file back. To begin a new ledger on purpose, stop the service and move this whole folder aside.\n";

/// See the module.
const VFS: &str = "unix-excl";

/// How long the check of the whole file may take when it is first opened, while sends wait: enough for 200 MB on a slow disk.
/// A longer check is done again while the service goes on.
const CHECK_AT_OPENING: Duration = Duration::from_secs(2);

/// `SQLite` asks whether to go on after this many steps of its virtual machine, which take some tenths of a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

/// A log that is longer than this is cut off. `SQLite` writes the log from its beginning again only in a moment without a read;
/// while one read follows another without a pause, the log would grow without limit.
const LONG_LOG: u64 = 32 * 1024 * 1024;

/// Each is applied once, in order. A migration that was released is never changed.
static MIGRATIONS: LazyLock<Migrations<'static>> = LazyLock::new(|| {
    Migrations::new(vec![
        M::up(include_str!("schema.sql")),
        M::up(include_str!("indexes.sql")),
        M::up(include_str!("stamp.sql")),
        M::up(include_str!("generations.sql")),
        M::up(include_str!("events.sql")),
        M::up(include_str!("consumers.sql")),
        M::up(include_str!("hearing.sql")),
        M::up(include_str!("extras.sql")),
        M::up(include_str!("owed.sql")),
        M::up(include_str!("numberless.sql")),
        M::up(include_str!("places.sql")),
        M::up(include_str!("who.sql")),
    ])
});

/// What a transaction, or a read, works on.
pub(super) type File = Connection;

/// Why the file cannot be used, with the remedy.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("{0}; free the disk, or mend the rights of DATA_DIR")]
    Io(#[from] io::Error),
    #[error("{why}{}", remedy(why))]
    Sqlite { why: rusqlite::Error },
    #[error("{0}; use the version of session-manager that wrote the file, or a newer one")]
    Migration(rusqlite_migration::Error),
    #[error(
        "{} is gone: put that very file back, or its folder (is DATA_DIR mounted?)", .0.display()
    )]
    Missing(PathBuf),
    #[error(
        "{} is not the file that this service has open: put that one back, or restart the service to go on with this one", .0.display()
    )]
    Replaced(PathBuf),
    #[error(
        "{} was overwritten by another program: put back a copy that is whole, then restart the service", .0.display()
    )]
    Overwritten(PathBuf),
    #[error(
        "{} is damaged ({found}): stop the service and put back a copy, or what can be recovered of it (docs/operations.md)", path.display()
    )]
    Damaged { path: PathBuf, found: String },
    /// The damage was found, and logged in full, before.
    #[error("{0}")]
    Spoilt(String),
}

impl StoreError {
    /// Whether a person must act and then restart the service: what is in memory no longer fits the file.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::Overwritten(_) | Self::Damaged { .. })
    }

    /// The same error; [`Damaged`](Self::Damaged) if `SQLite` reports that the content of the file is wrong.
    pub(super) fn about(self, folder: &Path) -> Self {
        if let Self::Sqlite { why } = &self
            && is_damage(why)
        {
            let (path, found) = (folder.join(FILE), why.to_string());
            return Self::Damaged { path, found };
        }
        self
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(why: rusqlite::Error) -> Self {
        Self::Sqlite { why }
    }
}

impl From<rusqlite_migration::Error> for StoreError {
    fn from(why: rusqlite_migration::Error) -> Self {
        if let rusqlite_migration::Error::RusqliteError { err, .. } = why {
            Self::Sqlite { why: err }
        } else {
            Self::Migration(why)
        }
    }
}

fn is_damage(why: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode as E;
    matches!(
        why.sqlite_error_code(),
        Some(E::DatabaseCorrupt | E::NotADatabase)
    )
}

fn remedy(why: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode as E;
    if matches!(
        why.sqlite_error_code(),
        Some(E::DatabaseBusy | E::DatabaseLocked)
    ) {
        "; another program has it open: end the other service on this DATA_DIR, or that program"
    } else {
        "; free the disk, or mend the rights of DATA_DIR"
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    path: PathBuf,
    identity: Identity,
    /// Size and time of the file after this service last wrote it. If they differ, another program has written it.
    left: Looks,
    /// What was written into the file when it was opened.
    opening: Opening,
    checked: Checked,
    /// What the connection's `synchronous` is set to.
    commit: Commit,
    has_unsynced: bool,
}

/// Device and number of a file: the same ones under the same name are the same file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    number: u64,
}

/// A file that this service has had open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) identity: Identity,
    /// What was written into it then.
    opening: Opening,
}

/// A random number for each service that opens a file: it tells this file from a copy that was made before.
type Opening = [u8; 16];

impl Identity {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            number: metadata.ino(),
        }
    }
}

/// What changes with every write of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Looks {
    bytes: u64,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
}

impl Looks {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// How far a check of the whole file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// All of it is undamaged.
    Whole,
    /// There was no time for all of it. What was checked is undamaged.
    InPart,
}

/// What a commit outlives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Commit {
    /// Every end of the service. A power cut may undo the last commits, until [`Store::sync`].
    Written,
    /// A power cut as well, together with all commits before it.
    Synced,
}

impl Store {
    /// Opens the file in `folder`. Makes both, readable by this user only, if the folder never had a ledger. `known` is the
    /// file that this service had open before; with it, every other file is refused.
    pub(super) fn open(folder: &Path, known: Option<Known>) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        match (look_at(&path)?, known) {
            (Some(found), Some(known)) if Identity::of(&found) != known.identity => {
                return Err(StoreError::Replaced(path));
            }
            (None, Some(_)) => return Err(StoreError::Missing(path)),
            (None, None) if look_at(&folder.join(BEGUN))?.is_some() => {
                return Err(StoreError::Missing(path));
            }
            (None, None) => {
                make_folder(folder)?;
                make_file(&path)?;
            }
            (Some(_), _) => {}
        }
        keep_private(folder, 0o700)?;
        keep_private(&path, 0o600)?;
        Self::open_file(folder, path, known).map_err(|why| why.about(folder))
    }

    fn open_file(folder: &Path, path: PathBuf, known: Option<Known>) -> Result<Self, StoreError> {
        let mut connection = connect(&path)?;
        // A damaged file must be found before the service writes into it. Once per life of the service: a check takes seconds.
        let checked = match known {
            Some(_) => Checked::Whole,
            None => check(&connection, &path, CHECK_AT_OPENING)?,
        };
        // `secure_delete` overwrites deleted texts with zeros. `synchronous` changes with each kind of commit.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA secure_delete = ON;",
        )?;
        MIGRATIONS.to_latest(&mut connection)?;
        let opening = match known {
            // The number stays: a file that is opened again on a full disk can be read, but not written.
            Some(known) if opened_by(&connection)? == known.opening => known.opening,
            Some(_) => return Err(StoreError::Overwritten(path)),
            None => {
                let opening = rand::random();
                connection.execute(
                    "INSERT INTO opened (only, by) VALUES (1, ?1) ON CONFLICT (only) DO UPDATE SET by = excluded.by",
                    [opening],
                )?;
                opening
            }
        };
        let metadata = fs::metadata(&path)?;
        let mut store = Self {
            identity: Identity::of(&metadata),
            left: Looks::of(&metadata),
            connection,
            path,
            opening,
            checked,
            commit: Commit::Synced,
            // A service that was killed may have left commits that are not synced.
            has_unsynced: true,
        };
        if known.is_some() {
            return Ok(store);
        }
        // The random number must be in the file itself, not only in its log: a copy of the file would else look the same.
        store.empty_the_log()?;
        let begun = folder.join(BEGUN);
        if look_at(&begun)?.is_none() {
            fs::write(&begun, BEGUN_TEXT)?;
            keep_private(&begun, 0o600)?;
            fs::File::open(folder)?.sync_all()?;
        }
        Ok(store)
    }

    /// What tells this file from every other one.
    pub(super) const fn known(&self) -> Known {
        Known {
            identity: self.identity,
            opening: self.opening,
        }
    }

    /// How much of it was checked for damage when it was opened, while sends waited.
    pub(super) const fn checked(&self) -> Checked {
        self.checked
    }

    /// Checks that the file in the folder is the one that is open, and that no other program has written it. Takes microseconds,
    /// unless the time of its last change is not the expected one: then its content is checked.
    pub(super) fn check_place(&mut self) -> Result<(), StoreError> {
        let Some(found) = look_at(&self.path)? else {
            return Err(StoreError::Missing(self.path.clone()));
        };
        if Identity::of(&found) != self.identity {
            return Err(StoreError::Replaced(self.path.clone()));
        }
        let found = Looks::of(&found);
        if found == self.left {
            return Ok(());
        }
        if found.bytes == self.left.bytes && self.is_ours() {
            tracing::warn!(
                "{} was touched by another program; its content is as this service left it",
                self.path.display()
            );
            self.left = found;
            return Ok(());
        }
        Err(StoreError::Overwritten(self.path.clone()))
    }

    /// Whether the file holds what this service has written since it was opened. Asked only when its time of change is not the
    /// expected one: a network file system may correct that time by itself, and `touch` changes nothing else.
    fn is_ours(&self) -> bool {
        // A new connection, since this one has pages in its cache as they were before.
        let look = || -> Result<bool, StoreError> {
            let fresh = connect(&self.path)?;
            check(&fresh, &self.path, CHECK_AT_OPENING)?;
            Ok(opened_by(&fresh)? == self.opening)
        };
        look().unwrap_or(false)
    }

    /// Closes a file that another program has overwritten or damaged, without writing to it. The log belongs to the former
    /// content of the file. `SQLite` would apply it to the new content at the next opening, and so damage it.
    pub(super) fn abandon(self, why: &StoreError) {
        let kept = self
            .connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        if let Err(why) = kept {
            tracing::error!(error = %why, "the ledger's file may be written once more while it is closed: {why}");
        }
        if matches!(why, StoreError::Overwritten(_)) {
            let moved = fs::rename(
                self.path.with_file_name(LOG),
                self.path.with_file_name(LOG_ASIDE),
            );
            if let Err(why) = moved
                && why.kind() != ErrorKind::NotFound
            {
                tracing::error!(error = %why, "the log of the overwritten ledger could not be set aside: {why}; remove {LOG} before the restart");
            }
        }
    }

    /// Moves everything from the log into the file proper, and cuts the log off.
    pub(super) fn empty_the_log(&mut self) -> Result<(), StoreError> {
        let moved = self.checkpoint("PRAGMA wal_checkpoint(TRUNCATE)")?;
        if moved.is_complete {
            self.has_unsynced = false;
            Ok(())
        } else {
            // A read still uses the log. The caller tries again.
            Err(io::Error::from(ErrorKind::ResourceBusy).into())
        }
    }

    /// Whether the log has to be cut off.
    pub(super) fn has_a_long_log(&self) -> bool {
        let log = fs::metadata(self.path.with_file_name(LOG));
        log.is_ok_and(|log| LONG_LOG < log.len())
    }

    /// Makes all commits outlive a power cut.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        let moved = self.checkpoint("PRAGMA wal_checkpoint(PASSIVE)")?;
        if !moved.is_complete {
            // While a read uses the log, SQLite may have neither moved it into the file nor synced it. So sync the log itself.
            // To close this second handle is safe: SQLite holds no lock on the log, and POSIX locks are lost when any handle of
            // the process on a locked file is closed.
            fs::File::open(self.path.with_file_name(LOG))?.sync_data()?;
        }
        self.has_unsynced = false;
        Ok(())
    }

    /// Whether a power cut may undo a commit.
    pub(super) const fn has_unsynced(&self) -> bool {
        self.has_unsynced
    }

    fn checkpoint(&mut self, pragma: &str) -> Result<Moved, StoreError> {
        let moved = self.connection.query_row(pragma, [], |row| {
            let is_busy: bool = row.get(0)?;
            let (frames, moved): (i64, i64) = (row.get(1)?, row.get(2)?);
            Ok(Moved {
                is_complete: !is_busy && frames == moved,
            })
        })?;
        self.note_looks();
        Ok(moved)
    }

    /// Remembers size and time of the file after this service wrote it. An error is left to the next
    /// [`check_place`](Self::check_place), which reports it.
    fn note_looks(&mut self) {
        if let Ok(Some(found)) = look_at(&self.path)
            && Identity::of(&found) == self.identity
        {
            self.left = Looks::of(&found);
        }
    }

    /// Runs `work` as one transaction. After a success, all of it outlives what `commit` says; after an error, none of it has
    /// happened.
    pub(super) fn transact<T>(
        &mut self,
        commit: Commit,
        work: impl FnOnce(&File) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.commit != commit {
            // `FULL` syncs the log at each commit. `NORMAL` syncs it only before the log is moved into the file.
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
        // A commit without a change syncs nothing, not even the commits before it: `has_unsynced` stays then.
        if self.connection.total_changes() != changes {
            self.has_unsynced = commit == Commit::Written;
            // A commit may move the log into the file (SQLite's automatic checkpoint), which changes size and time.
            self.note_looks();
        }
        Ok(outcome)
    }
}

/// Writes what is there once more: on a disk that takes nothing this fails, though it changes nothing.
pub(super) fn touch(file: &File) -> Result<(), StoreError> {
    file.execute("UPDATE opened SET by = by", [])?;
    Ok(())
}

/// The file that is there when a ledger was begun in this folder.
pub(super) fn begun_in(folder: &Path) -> PathBuf {
    folder.join(BEGUN)
}

/// Checks that the folder may be written. An open file can still be written after its folder may not; but the log could not
/// be made again then, and an operator who takes the right away wants nothing to be written.
pub(super) fn check_writable(folder: &Path) -> Result<(), StoreError> {
    access(folder, Access::WRITE_OK).map_err(|why| StoreError::Io(why.into()))
}

/// What became of a log.
#[derive(Clone, Copy, Debug)]
struct Moved {
    /// All of it is in the file now.
    is_complete: bool,
}

/// A connection to a file that is there.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags_and_vfs(path, flags, VFS)?;
    // Do not wait inside SQLite: a caller that finds the file locked is answered at once, and the next request tries again. So
    // does a checkpoint that a read is in the way of.
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}

/// The number that the service wrote which opened the file last.
fn opened_by(connection: &Connection) -> Result<Opening, StoreError> {
    Ok(connection.query_row("SELECT by FROM opened", [], |row| row.get(0))?)
}

/// Checks the whole file for damage, for `limit` at most.
fn check(connection: &Connection, path: &Path, limit: Duration) -> Result<Checked, StoreError> {
    let until = Instant::now() + limit;
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || until < Instant::now()))?;
    let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match found {
        Ok(found) if found == "ok" => Ok(Checked::Whole),
        Ok(found) => Err(StoreError::Damaged {
            path: path.to_owned(),
            found,
        }),
        Err(why) if is_interruption(&why) => Ok(Checked::InPart),
        Err(why) if is_damage(&why) => Err(StoreError::Damaged {
            path: path.to_owned(),
            found: why.to_string(),
        }),
        Err(why) => Err(why.into()),
    }
}

fn is_interruption(why: &rusqlite::Error) -> bool {
    why.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted)
}

/// The file or folder of this name; `None` if there is none.
fn look_at(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(why) => Err(why),
    }
}

/// Makes the folder if it is not there, so that it outlives a power cut.
fn make_folder(folder: &Path) -> Result<(), StoreError> {
    if !fs::exists(folder)? {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
        if let Some(parent) = folder.parent() {
            fs::File::open(parent)?.sync_all()?;
        }
    }
    Ok(())
}

/// Makes the file; `SQLite` gives its other files the mode of this one.
///
/// POSIX takes away all locks of a process on a file when it closes any handle on that file. If that happened to the open
/// ledger, a second service could write it too. So this opens only a file that does not exist yet.
fn make_file(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    Ok(())
}

/// Takes the rights of other users away, for a folder that came out of a backup without its mode.
fn keep_private(path: &Path, mode: u32) -> Result<(), StoreError> {
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(())
}
