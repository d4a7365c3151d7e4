//! The keys of a running service: `API_KEY`, and those of the file as it was when it was last looked at.
//!
//! A request asks what is known and never touches the file, which may lie on a mount that hangs:
//! [`watch`](super::watch) looks at it. It is read only when it has changed.
//!
//! Keys are asked for when `API_KEY` is set or the file is there, be it empty, broken or full of expired keys; and once
//! they have been asked for, until the service ends. So no slip with the file opens the door.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::{Digest, Key, KeyFile, KeyFileError};

/// Recognises keys. Its `Debug` shows none.
#[derive(Debug)]
pub struct Keyring {
    master: Option<Digest>,
    file: KeyFile,
    seen: Mutex<Seen>,
}

/// What was in the file when it was last read.
#[derive(Debug, Default)]
struct Seen {
    stamp: Stamp,
    /// Whether it has ever been looked at.
    is_known: bool,
    /// The last ones that could be read.
    keys: Vec<Arc<Key>>,
    /// Whether the file has ever been there.
    has_been_there: bool,
    /// Why it could not be read last time: logged once.
    trouble: Option<String>,
}

/// Tells one content of the file from another. A file that takes the place of another has another inode, for both are
/// there for a moment.
#[derive(Debug, Default, PartialEq)]
enum Stamp {
    #[default]
    NotLookedAt,
    Absent,
    Unreachable(io::ErrorKind),
    File {
        place: (u64, u64),
        size: u64,
        written: (i64, i64),
        changed: (i64, i64),
    },
}

/// How a request's key is judged.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// No key is asked for.
    NotAsked,
    /// It carries none.
    Missing,
    /// It carries one that is not known.
    Wrong,
    /// It carries one that was good once.
    Expired,
    /// It carries `API_KEY`.
    Master,
    /// It carries one of the file's.
    Known(Arc<Key>),
}

impl Keyring {
    /// The setting `API_KEY`, and the file at `path`. Until that is read, only `API_KEY` is accepted.
    pub fn new(master: Option<&str>, path: PathBuf) -> Self {
        Self {
            master: master.map(|key| Digest::of(key.as_bytes())),
            file: KeyFile::new(path),
            seen: Mutex::default(),
        }
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Whether a request without a key is refused.
    pub fn is_asked_for(&self) -> bool {
        self.master.is_some() || self.seen.lock().asks()
    }

    /// Judges a request that carries this key.
    pub fn judge(&self, key: Option<&[u8]>, now: Timestamp) -> Verdict {
        let digest = key.map(Digest::of);
        let is_master = |master: Digest| digest.is_some_and(|digest| master.is(&digest));
        if self.master.is_some_and(is_master) {
            return Verdict::Master;
        }
        let seen = self.seen.lock();
        if self.master.is_none() && !seen.asks() {
            return Verdict::NotAsked;
        }
        let Some(digest) = digest else {
            return Verdict::Missing;
        };
        match seen.keys.iter().find(|key| key.digest.is(&digest)) {
            Some(key) if key.is_expired(now) => Verdict::Expired,
            Some(key) => Verdict::Known(Arc::clone(key)),
            None => Verdict::Wrong,
        }
    }

    /// Whether a key that was known is still in force, with the rights that it had.
    pub fn still_has(&self, key: &Key, now: Timestamp) -> bool {
        self.seen.lock().keys.iter().any(|known| {
            known.digest.is(&key.digest)
                && known.scope == key.scope
                && known.cliente_ids == key.cliente_ids
                && !known.is_expired(now)
        })
    }

    /// Looks whether the file has changed, and reads it when it has. May block for as long as the file's disk does.
    pub fn look(&self) {
        // Before it is read: a change in between is seen by the next look.
        let stamp = self.stamp();
        if stamp == self.seen.lock().stamp {
            return;
        }
        let read = self.file.read();
        let mut seen = self.seen.lock();
        self.take(&mut seen, read);
        // What could not be read is tried again with the next look.
        seen.stamp = if seen.trouble.is_none() {
            stamp
        } else {
            Stamp::NotLookedAt
        };
    }

    fn stamp(&self) -> Stamp {
        match fs::metadata(self.file.path()) {
            Ok(file) => Stamp::File {
                place: (file.dev(), file.ino()),
                size: file.size(),
                written: (file.mtime(), file.mtime_nsec()),
                changed: (file.ctime(), file.ctime_nsec()),
            },
            Err(why) if why.kind() == io::ErrorKind::NotFound => Stamp::Absent,
            Err(why) => Stamp::Unreachable(why.kind()),
        }
    }

    fn take(&self, seen: &mut Seen, read: Result<Option<Vec<Key>>, KeyFileError>) {
        let path = self.file.path().display();
        let trouble = read.as_ref().err().map(ToString::to_string);
        let is_news = trouble != seen.trouble;
        seen.is_known = true;
        seen.trouble = trouble;
        match read {
            Ok(Some(keys)) => {
                let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
                tracing::info!("a key is asked for; those of {path}: {}", names.join(", "));
                seen.keys = keys.into_iter().map(Arc::new).collect();
                seen.has_been_there = true;
            }
            Ok(None) if seen.has_been_there => {
                tracing::warn!("{path} is gone: none of its keys is taken any more");
                seen.keys.clear();
            }
            Ok(None) => {}
            Err(why) => {
                let kept = seen.keys.len();
                if is_news {
                    tracing::error!(
                        "API_KEYS_FILE: {why}; the {kept} keys read before stay in force"
                    );
                }
                seen.has_been_there = true;
            }
        }
    }
}

impl Seen {
    /// Whether the file makes the service ask for keys. Before it is known, it may.
    const fn asks(&self) -> bool {
        !self.is_known || self.has_been_there
    }
}
