//! Where the snapshots of one profile lie, as objects with names: put whole, read in parts, listed, deleted.
//!
//! These four are all that a snapshot needs of a store, so that one elsewhere can take the place of this folder: an object is never
//! changed, and never replaced. An object that is listed is whole and on disk: it is written under another name, synced, and renamed.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::SnapshotError;
use crate::files::{
    Durability, NewFile, found, make_folder, remove_file, remove_folder, sync_folder,
};

/// One that is being written. There is never more than one: the folder is locked.
const INCOMPLETE: &str = "incomplete";

/// Whoever adds or removes objects holds the lock of this file.
const LOCK: &str = "lock";

/// The holder of the lock gives up within milliseconds once it is asked to; it is looked for as often as that.
const LOCK_INTERVAL: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    pub(super) folder: PathBuf,
}

/// The right to add and to remove objects.
#[derive(Debug)]
pub(super) struct Writing {
    _lock: File,
}

impl Objects {
    /// Makes the folder and waits for the right to change it, until `give_up` is cancelled. A snapshot that was given up may
    /// still be at it for a moment.
    pub(super) fn lock(&self, give_up: &CancellationToken) -> Result<Writing, SnapshotError> {
        let failed = |source| SnapshotError::io("writing to", &self.folder, source);
        make_folder(&self.folder).map_err(failed)?;
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.folder.join(LOCK))
            .map_err(failed)?;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if give_up.is_cancelled() => {
                    return Err(SnapshotError::GivenUp);
                }
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_INTERVAL),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        // What a killed service has left.
        remove_file(&self.folder.join(INCOMPLETE)).map_err(failed)?;
        Ok(Writing { _lock: lock })
    }

    /// The file of this object, for messages and for reading.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Begins an object, which has no name yet.
    pub(super) fn begin(&self, _writing: &Writing) -> io::Result<NewFile> {
        NewFile::create(self.folder.join(INCOMPLETE))
    }

    /// Gives an object its name; it is on disk when this returns.
    pub(super) fn put(&self, object: NewFile, name: &str) -> io::Result<()> {
        object.put_in_place(&self.path(name), Durability::PowerCut)
    }

    /// Opens an object to read parts of it.
    pub(super) fn open(&self, name: &str) -> io::Result<File> {
        File::open(self.path(name))
    }

    /// How large an object is; `None` when there is none.
    pub(super) fn size(&self, name: &str) -> io::Result<Option<u64>> {
        Ok(found(fs::metadata(self.path(name)))?.map(|file| file.len()))
    }

    /// The names of all objects with this ending, sorted.
    pub(super) fn list(&self, ending: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in found(fs::read_dir(&self.folder))?.into_iter().flatten() {
            let name = entry?.file_name();
            names.extend(
                name.to_str()
                    .filter(|name| name.ends_with(ending))
                    .map(str::to_owned),
            );
        }
        names.sort();
        Ok(names)
    }

    /// Removes objects. What is removed is gone after a power cut, too.
    pub(super) fn delete<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        _writing: &Writing,
    ) -> io::Result<()> {
        let mut is_any = false;
        for name in names {
            remove_file(&self.path(name))?;
            is_any = true;
        }
        if is_any {
            sync_folder(&self.folder)
        } else {
            Ok(())
        }
    }

    /// Removes all there is.
    pub(super) fn delete_all(&self) -> io::Result<()> {
        remove_folder(&self.folder)
    }

    /// Whether there is a store at all.
    pub(super) fn is_there(&self) -> io::Result<bool> {
        Path::try_exists(&self.folder)
    }
}
