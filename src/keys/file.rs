//! The file of keys: read whole, written whole, atomically, for its owner alone.
//!
//! Changed by one command at a time, which holds a lock file next to it. A reader needs no lock: it finds the file before a
//! change or after it, never between.

use std::{
    fs::{self, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::{Key, KeyName};
use crate::files::{Durability, NewFile, beside, folder_of, make_folder};

/// Some 4000 keys; a larger file was not written by this service.
const LARGEST: u64 = 1024 * 1024;

/// What is written. Another number is a later form, which must not be half understood.
const VERSION: u32 = 1;

/// The permission of others than the owner to change the file.
const OTHERS_MAY_WRITE: u32 = 0o022;

/// Where the keys are kept. The file need not be there.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
}

/// Why the keys cannot be read or changed. Never repeats what stands in the file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Its error.
        source: io::Error,
    },
    /// A folder, a pipe, a device.
    #[error("{}: it is not a regular file: name the file that `session-manager key` writes", .0.display())]
    NotAFile(PathBuf),
    /// Another user of the machine could add a key.
    #[error("{}: others than its owner may write to it: chmod 600 it", .0.display())]
    OthersMayWrite(PathBuf),
    /// Not what is written here.
    #[error("{}: it is no list of keys as `session-manager key` writes it: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Where and how.
        why: String,
    },
    /// Two commands at once.
    #[error("{}: another command is changing it: try again", .0.display())]
    Busy(PathBuf),
    /// A name is given once.
    #[error("there is a key called {0} already: revoke it first, or choose another name")]
    NameTaken(KeyName),
    /// Nothing to revoke.
    #[error("there is no key called {0}: `session-manager key list` shows them")]
    UnknownName(KeyName),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    keys: Vec<Key>,
}

impl KeyFile {
    /// The file at `path`.
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keys in it; `None` when it is not there.
    pub fn read(&self) -> Result<Option<Vec<Key>>, KeyFileError> {
        let io = |source| self.io(source);
        // Looked at before it is opened, since to open a device may do something, and after, since it may be another
        // file by then. Without the flag, to open a pipe that no program writes to would never return.
        let opened = fs::metadata(&self.path).and_then(|metadata| {
            if !metadata.is_file() {
                return Ok(None);
            }
            let mut options = OpenOptions::new();
            options.read(true);
            options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
            let file = options.open(&self.path)?;
            Ok(Some((file.metadata()?, file)))
        });
        let (metadata, file) = match opened {
            Ok(Some((metadata, file))) if metadata.is_file() => (metadata, file),
            Ok(_) => return Err(KeyFileError::NotAFile(self.path.clone())),
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(io(why)),
        };
        if metadata.mode() & OTHERS_MAY_WRITE != 0 {
            return Err(KeyFileError::OthersMayWrite(self.path.clone()));
        }
        if metadata.len() > LARGEST {
            return Err(self.unreadable("it is larger than 1 MB"));
        }
        let mut text = Vec::new();
        file.take(LARGEST).read_to_end(&mut text).map_err(io)?;
        self.parse(&text).map(Some)
    }

    fn parse(&self, text: &[u8]) -> Result<Vec<Key>, KeyFileError> {
        // A parser's complaint may quote what it read.
        let contents: Contents = serde_json::from_slice(text).map_err(|why| {
            self.unreadable(&format!("line {} column {}", why.line(), why.column()))
        })?;
        if contents.version != VERSION {
            return Err(self.unreadable("it was written by another version"));
        }
        let keys = contents.keys;
        let is_repeated = |at: usize| {
            let (key, before) = (&keys[at], &keys[..at]);
            before
                .iter()
                .any(|other| other.name == key.name || other.digest.is(&key.digest))
        };
        match (0..keys.len()).find(|at| is_repeated(*at)) {
            None => Ok(keys),
            Some(at) => Err(self.unreadable(&format!("key {} is there twice", at + 1))),
        }
    }

    /// Adds a key; makes the file when it is not there.
    pub fn add(&self, key: Key) -> Result<(), KeyFileError> {
        self.change(|keys| {
            if keys.iter().any(|known| known.name == key.name) {
                return Err(KeyFileError::NameTaken(key.name));
            }
            keys.push(key);
            Ok(())
        })
    }

    /// Takes a key out. Answers how many are left.
    pub fn revoke(&self, name: &KeyName) -> Result<usize, KeyFileError> {
        self.change(|keys| {
            let before = keys.len();
            keys.retain(|key| key.name != *name);
            if keys.len() == before {
                return Err(KeyFileError::UnknownName(name.clone()));
            }
            Ok(keys.len())
        })
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<Key>) -> Result<T, KeyFileError>,
    ) -> Result<T, KeyFileError> {
        make_folder(folder_of(&self.path)).map_err(|source| self.io(source))?;
        let mut lock = OpenOptions::new();
        lock.write(true).create(true).truncate(false).mode(0o600);
        let lock = lock
            .open(beside(&self.path, "lock"))
            .map_err(|source| self.io(source))?;
        lock.try_lock().map_err(|why| match why {
            TryLockError::WouldBlock => KeyFileError::Busy(self.path.clone()),
            TryLockError::Error(source) => self.io(source),
        })?;
        let mut keys = self.read()?.unwrap_or_default();
        let changed = change(&mut keys)?;
        self.write(keys).map_err(|source| self.io(source))?;
        Ok(changed)
    }

    fn write(&self, keys: Vec<Key>) -> io::Result<()> {
        let contents = Contents {
            version: VERSION,
            keys,
        };
        let new = NewFile::create(beside(&self.path, "new"))?;
        let mut file = new.file();
        // Root may be at work here for the service's own user, who must be able to read what comes of it.
        let owner = fs::metadata(&self.path).or_else(|_| fs::metadata(folder_of(&self.path)))?;
        let ours = file.metadata()?;
        if (owner.uid(), owner.gid()) != (ours.uid(), ours.gid()) && ours.uid() == 0 {
            fchown(file, Some(owner.uid()), Some(owner.gid()))?;
        }
        file.write_all(serde_json::to_string_pretty(&contents)?.as_bytes())?;
        file.write_all(b"\n")?;
        // A key that was shown is shown once, and one that was revoked must stay so after a power cut.
        new.put_in_place(&self.path, Durability::PowerCut)
    }

    fn io(&self, source: io::Error) -> KeyFileError {
        KeyFileError::Io {
            path: self.path.clone(),
            source,
        }
    }

    fn unreadable(&self, why: &str) -> KeyFileError {
        KeyFileError::Unreadable {
            path: self.path.clone(),
            why: why.to_owned(),
        }
    }
}
