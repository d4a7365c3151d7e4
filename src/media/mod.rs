//! Files that are to be sent, from before their send is accepted until no send needs them.
//!
//! ```text
//!  POST /media, data, url ──▶ Incoming (streamed to disk, hashed on the way) ──▶ <sha256>, synced ──▶ a send may be accepted
//! ```
//! Responsible for: the folder, the names that callers get for files, how long each is kept. What may be sent as what is [`kind`]'s
//! part, a file's name [`name`]'s. Not responsible for: who may bring files (`http`), who fetches them (`delivery`), what the page makes of
//! them (`whatsapp`). Imports `extras`, `files` and `masked`.
//!
//! Invariants: a file has the name of its hash only when all of it is on disk; a file is in memory in parts only; one that an open send
//! needs is not removed.

pub mod kind;
pub mod name;

use std::{
    collections::HashSet,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::{io::AsyncWriteExt as _, task::spawn_blocking};

use crate::{
    files::{Durability, make_folder, remove_file, sync_folder, write_atomically},
    masked::Text,
};

/// How long a file is kept after it came, or was last given to a send, when no open send needs it: a caller that brings a file with
/// `POST /media` sends it within the day, and a request that is repeated within the day finds it.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The first bytes say what a file is: the longest signature that is looked at ends within these.
pub const HEAD_BYTES: usize = 512;

/// The name of an id's file, and that of a mark of the last use.
const ID_ENDING: &str = "id";
const USED_ENDING: &str = "used";
const PART_ENDING: &str = "part";

/// An id is this and 22 letters, digits, `-` and `_`: 128 random bits. That of a file that came in begins otherwise.
const ID_START: &str = "fil_";
const ID_RANDOM: usize = 16;

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// It has more bytes than a file may have.
    #[error("the file has more than {} MB, the most that MEDIA_MAX_MB allows", .0 / 1_000_000)]
    TooLarge(u64),
    /// It has no byte.
    #[error("the file is empty")]
    Empty,
    /// The disk did not take it.
    #[error("the file cannot be kept (DATA_DIR): {0}")]
    Storage(#[from] io::Error),
}

/// A file that is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// SHA-256 of its bytes, in 64 hexadecimal digits: its name.
    pub sha256: String,
    /// How many they are.
    pub bytes: u64,
    /// The type that its giver has named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mimetype: Option<String>,
    /// The name that its giver has given it, made harmless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<Text>,
    /// Its first bytes, in base64: they say what it is.
    head: String,
}

impl Kept {
    /// The same with what its giver says of it.
    #[must_use]
    pub fn named(self, mimetype: Option<String>, filename: Option<String>) -> Self {
        let filename = filename.map(Into::into);
        Self {
            mimetype,
            filename,
            ..self
        }
    }

    /// Its first bytes.
    pub fn head(&self) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD
            .decode(&self.head)
            .unwrap_or_default()
    }
}

/// The folder of the files. A clone is the same.
#[derive(Clone, Debug)]
pub struct MediaStore {
    folder: Arc<Path>,
    largest: u64,
}

impl MediaStore {
    /// Files in this folder, which is made when the first one comes. `largest`: the most bytes of a file.
    pub fn new(folder: &Path, largest: u64) -> Self {
        Self {
            folder: folder.into(),
            largest,
        }
    }

    /// The most bytes of a file.
    pub const fn largest(&self) -> u64 {
        self.largest
    }

    /// Begins a file.
    pub async fn begin(&self) -> Result<Incoming, MediaError> {
        let folder = Arc::clone(&self.folder);
        blocking(move || make_folder(&folder)).await?;
        let path = self.folder.join(format!("{}.{PART_ENDING}", random_name()));
        let mut options = tokio::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600);
        Ok(Incoming {
            file: file.open(&path).await?,
            part: Part(path),
            folder: Arc::clone(&self.folder),
            hash: Sha256::new(),
            bytes: 0,
            head: Vec::new(),
            largest: self.largest,
        })
    }

    /// Keeps bytes that are in memory already.
    #[cfg(test)]
    async fn keep(&self, bytes: &[u8]) -> Result<Kept, MediaError> {
        let mut incoming = self.begin().await?;
        incoming.write(bytes).await?;
        incoming.finish().await
    }

    /// Gives a file a name for later requests, with what is known of it.
    pub async fn name(&self, kept: Kept) -> Result<String, MediaError> {
        let id = format!("{ID_START}{}", random_name());
        let path = self.folder.join(format!("{id}.{ID_ENDING}"));
        blocking(move || {
            let about = serde_json::to_vec(&kept)?;
            write_atomically(&path, &about, Durability::PowerCut)
        })
        .await?;
        Ok(id)
    }

    /// The file that a caller has a name for, if it is still there. Its name is kept from now on for as long as one that has just come.
    pub async fn find(&self, id: &str) -> Result<Option<Kept>, MediaError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !id.starts_with(ID_START) || id.len() > 64 || !id.bytes().all(is_plain) {
            return Ok(None);
        }
        let path = self.folder.join(format!("{id}.{ID_ENDING}"));
        let folder = Arc::clone(&self.folder);
        let found = blocking(move || {
            let about = match fs::read(&path) {
                Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
                about => about?,
            };
            let kept: Kept = serde_json::from_slice(&about)?;
            let named = fs::File::options().write(true).open(&path)?;
            named.set_modified(SystemTime::now())?;
            Ok(folder.join(&kept.sha256).is_file().then_some(kept))
        });
        Ok(found.await?)
    }

    /// A send is about to need this file: it is kept from now on for as long as one that has just come.
    pub async fn mark_used(&self, sha256: &str) -> Result<(), MediaError> {
        let path = self.folder.join(format!("{sha256}.{USED_ENDING}"));
        // Not the file itself: a browser that reads a file refuses to go on when its time has changed.
        blocking(move || fs::write(&path, b"")).await?;
        Ok(())
    }

    /// Removes what is older than [`KEPT_FOR`], but for the files that open sends need. Answers how many files went.
    pub async fn sweep(&self, needed: HashSet<String>) -> io::Result<usize> {
        let folder = Arc::clone(&self.folder);
        let swept = blocking(move || sweep(&folder, &needed, SystemTime::now())).await;
        match swept {
            Err(why) if why.kind() == ErrorKind::NotFound => Ok(0),
            swept => swept,
        }
    }
}

/// A file on its way to its place. Dropped before it is there, it is removed.
#[derive(Debug)]
pub struct Incoming {
    file: tokio::fs::File,
    part: Part,
    folder: Arc<Path>,
    hash: Sha256,
    bytes: u64,
    head: Vec<u8>,
    largest: u64,
}

#[derive(Debug)]
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // Gone already when the file was finished; else what is left of it goes with the next start at the latest.
        remove_file(&self.0).ok();
    }
}

impl Incoming {
    /// Takes the next bytes.
    pub async fn write(&mut self, part: &[u8]) -> Result<(), MediaError> {
        self.bytes += part.len() as u64;
        if self.largest < self.bytes {
            return Err(MediaError::TooLarge(self.largest));
        }
        let missing = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend(part.iter().take(missing));
        self.hash.update(part);
        self.file.write_all(part).await?;
        Ok(())
    }

    /// Its first bytes, as far as they have come.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// How many have come.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The last bytes are there. A file without a byte is none.
    pub fn whole(self) -> Result<Self, MediaError> {
        if self.bytes == 0 {
            return Err(MediaError::Empty);
        }
        Ok(self)
    }

    /// The last bytes are there: it gets its name, and survives a power cut from now on.
    pub async fn finish(self) -> Result<Kept, MediaError> {
        let Self {
            mut file,
            part,
            folder,
            hash,
            bytes,
            head,
            largest: _,
        } = self.whole()?;
        file.flush().await?;
        file.sync_all().await?;
        drop(file);
        let sha256 = HEXLOWER.encode(&hash.finalize());
        let kept = Kept {
            sha256: sha256.clone(),
            bytes,
            mimetype: None,
            filename: None,
            head: BASE64_URL_SAFE_NO_PAD.encode(&head),
        };
        blocking(move || {
            let path = folder.join(&sha256);
            // A page may be reading the one that is there, which has the same bytes: it stays, and counts as new.
            if path.is_file() {
                fs::write(folder.join(format!("{sha256}.{USED_ENDING}")), b"")?;
            } else {
                fs::rename(&part.0, &path)?;
            }
            sync_folder(&folder)
        })
        .await?;
        Ok(kept)
    }
}

fn sweep(folder: &Path, needed: &HashSet<String>, now: SystemTime) -> io::Result<usize> {
    let is_old = |path: &Path| {
        let changed = fs::metadata(path).and_then(|about| about.modified());
        let age = changed.ok().and_then(|at| now.duration_since(at).ok());
        age.is_some_and(|age| KEPT_FOR < age)
    };
    let paths = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let paths = paths.collect::<io::Result<Vec<_>>>()?;
    let mut named = HashSet::new();
    for path in &paths {
        let ending = path.extension().and_then(|ending| ending.to_str());
        if ending == Some(PART_ENDING) && is_old(path) {
            // A service that was killed had begun it.
            remove_file(path)?;
        }
        if ending != Some(ID_ENDING) {
            continue;
        }
        if is_old(path) {
            remove_file(path)?;
        } else if let Ok(kept) = serde_json::from_slice::<Kept>(&fs::read(path)?) {
            named.insert(kept.sha256);
        }
    }
    let mut removed = 0;
    for path in paths.iter().filter(|path| path.extension().is_none()) {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name else { continue };
        let used = folder.join(format!("{name}.{USED_ENDING}"));
        let was_used_lately = used.is_file() && !is_old(&used);
        if needed.contains(name) || named.contains(name) || was_used_lately || !is_old(path) {
            continue;
        }
        remove_file(path)?;
        remove_file(&used)?;
        removed += 1;
    }
    Ok(removed)
}

async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(act).await.map_err(io::Error::other)?
}

fn random_name() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; ID_RANDOM]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &Path) -> MediaStore {
        MediaStore::new(&folder.join("outgoing"), 1000)
    }

    #[tokio::test]
    async fn a_file_has_the_name_of_its_hash_once_all_of_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let mut incoming = store.begin().await.unwrap();
        incoming.write(b"ab").await.unwrap();
        incoming.write(b"c").await.unwrap();
        let kept = incoming.finish().await.unwrap();
        // FIPS 180-2, B.1.
        assert_eq!(
            kept.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!((kept.bytes, kept.head()), (3, b"abc".to_vec()));
        let names: Vec<_> = fs::read_dir(folder.path().join("outgoing"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, [kept.sha256.as_str()]);
        assert_eq!(store.keep(b"abc").await.unwrap(), kept);
    }

    #[tokio::test]
    async fn what_is_too_large_or_broke_off_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let refused = store.keep(&[7; 1001]).await;
        assert!(matches!(refused, Err(MediaError::TooLarge(1000))));
        let refused = store.keep(b"").await;
        assert!(matches!(refused, Err(MediaError::Empty)));
        let mut incoming = store.begin().await.unwrap();
        incoming.write(b"half").await.unwrap();
        drop(incoming);
        let left = fs::read_dir(folder.path().join("outgoing"))
            .unwrap()
            .count();
        assert_eq!(left, 0);
    }

    #[tokio::test]
    async fn a_file_is_found_by_the_id_that_it_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let kept = Kept {
            mimetype: Some("application/pdf".to_owned()),
            ..store.keep(b"%PDF-").await.unwrap()
        };
        let id = store.name(kept.clone()).await.unwrap();
        assert_eq!(store.find(&id).await.unwrap(), Some(kept));
        for other in ["fil_AAAA", "../x", "", "fil_../../x"] {
            assert_eq!(store.find(other).await.unwrap(), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_file_goes_when_it_is_old_and_no_send_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let old = SystemTime::now() - KEPT_FOR - Duration::from_secs(60);
        let path = |name: &str| folder.path().join("outgoing").join(name);
        let age = |name: &str| {
            let file = fs::File::options().write(true).open(path(name)).unwrap();
            file.set_modified(old).unwrap();
        };
        let unused = store.keep(b"unused").await.unwrap().sha256;
        let needed = store.keep(b"needed").await.unwrap().sha256;
        let named = store.keep(b"named").await.unwrap();
        let again = store.keep(b"again").await.unwrap().sha256;
        let young = store.keep(b"young").await.unwrap().sha256;
        let id = store.name(named.clone()).await.unwrap();
        for name in [&unused, &needed, &named.sha256, &again] {
            age(name);
        }
        store.mark_used(&again).await.unwrap();
        let open = HashSet::from([needed.clone()]);
        assert_eq!(store.sweep(open).await.unwrap(), 1);
        assert!(!path(&unused).is_file());
        for name in [&needed, &named.sha256, &again, &young] {
            assert!(path(name).is_file(), "{name}");
        }
        age(&format!("{id}.id"));
        assert!(store.find(&id).await.unwrap().is_some());
        assert_eq!(store.sweep(HashSet::new()).await.unwrap(), 1, "needed");
        assert!(path(&named.sha256).is_file(), "it was named again");
        age(&format!("{id}.id"));
        age(&format!("{again}.used"));
        assert_eq!(store.sweep(HashSet::new()).await.unwrap(), 2);
        assert_eq!(store.find(&id).await.unwrap(), None);
        assert!(path(&young).is_file());
    }
}
