//! The keys of a running service: `API_KEY`, and those of the file as it is now.
//!
//! The file is looked at with every request, which costs a microsecond or two: a key that was added or revoked is so with the
//! next request, and there is no task that could fall behind. It is read only when it has changed.
//!
//! Keys are asked for when `API_KEY` is set or the file is there, be it empty, broken or full of expired keys; and once
//! they have been asked for, until the service ends. So no slip with the file opens the door.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;

use super::{Digest, Key, KeyFile, Scope};

/// Recognises keys. Its `Debug` shows none.
#[derive(Debug)]
pub struct Keyring {
    master: Option<Digest>,
    file: KeyFile,
    seen: Mutex<Seen>,
}

/// What the file said when it was last looked at.
#[derive(Debug, Default)]
struct Seen {
    stamp: Stamp,
    /// The last ones that could be read.
    keys: Vec<Arc<Key>>,
    /// Whether the file has ever been there.
    has_been_there: bool,
    /// Why it could not be read last time: said once.
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

/// What is to be thought of a request's keys.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Nobody is asked for a key.
    NotAsked,
    /// It carries none.
    Missing,
    /// It carries none that is known.
    Wrong,
    /// It carries one that was good once.
    Expired,
    /// It carries `API_KEY`.
    Master,
    /// It carries one of the file's.
    Known(Arc<Key>),
}

impl Verdict {
    /// How much can be done with it.
    fn worth(&self) -> (u8, Option<Scope>, usize) {
        match self {
            Self::Missing => (0, None, 0),
            Self::Wrong => (1, None, 0),
            Self::Expired => (2, None, 0),
            Self::Known(key) => {
                let sessions = key.cliente_ids.as_ref().map_or(usize::MAX, BTreeSet::len);
                (3, Some(key.scope), sessions)
            }
            Self::Master => (4, None, 0),
            Self::NotAsked => (5, None, 0),
        }
    }
}

impl Keyring {
    /// The setting `API_KEY`, and the file at `path`, which is first read when it is needed.
    pub fn new(master: Option<&str>, path: PathBuf) -> Self {
        Self {
            master: master.map(|key| Digest::of(key.as_bytes())),
            file: KeyFile::new(path),
            seen: Mutex::default(),
        }
    }

    /// Whether a request without a key is refused.
    pub fn is_asked_for(&self) -> bool {
        self.master.is_some() || self.look(|seen| seen.has_been_there)
    }

    /// What is to be thought of a request that carries these keys: the best that can be said of any. Of two that are known, that
    /// is the one with the wider scope; of two alike, the one for more sessions.
    pub fn judge(&self, keys: &[&[u8]], now: Timestamp) -> Verdict {
        self.look(|seen| {
            if self.master.is_none() && !seen.has_been_there {
                return Verdict::NotAsked;
            }
            let of_each = keys.iter().map(|key| self.judge_one(seen, key, now));
            of_each
                .max_by_key(Verdict::worth)
                .unwrap_or(Verdict::Missing)
        })
    }

    fn judge_one(&self, seen: &Seen, key: &[u8], now: Timestamp) -> Verdict {
        let digest = Digest::of(key);
        if self.master.is_some_and(|master| master.is(&digest)) {
            return Verdict::Master;
        }
        match seen.keys.iter().find(|key| key.digest.is(&digest)) {
            Some(key) if key.is_expired(now) => Verdict::Expired,
            Some(key) => Verdict::Known(Arc::clone(key)),
            None => Verdict::Wrong,
        }
    }

    /// Whether a key that was known is still in force, with the rights that it had.
    pub fn still_has(&self, key: &Key, now: Timestamp) -> bool {
        self.look(|seen| {
            seen.keys.iter().any(|known| {
                known.digest.is(&key.digest)
                    && known.scope == key.scope
                    && known.cliente_ids == key.cliente_ids
                    && !known.is_expired(now)
            })
        })
    }

    /// Looks whether the file has changed, and then at what is known of it.
    fn look<T>(&self, at: impl FnOnce(&Seen) -> T) -> T {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Before it is read: a change in between is seen by the next look.
        let stamp = self.stamp();
        if stamp != seen.stamp {
            // What could not be read is tried again with the next look.
            seen.stamp = if self.read(&mut seen) {
                stamp
            } else {
                Stamp::NotLookedAt
            };
        }
        at(&seen)
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

    /// Whether what the file has in it is known now.
    fn read(&self, seen: &mut Seen) -> bool {
        let path = self.file.path().display();
        let read = self.file.read();
        let trouble = read.as_ref().err().map(ToString::to_string);
        let is_news = trouble != seen.trouble;
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
        seen.trouble.is_none()
    }
}
