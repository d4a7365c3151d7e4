//! The manifest of a snapshot in blocks: what it is a copy of, its files, and where the blocks of each file lie.
//!
//! ```text
//!  magic, one line │ head, one line of JSON │ body: JSON, packed by zstd, encrypted if there is a key │ BLAKE3 of all before it
//! ```
//!
//! The head says without any key which packs the snapshot needs, so that those of a snapshot that cannot be opened are not taken for
//! waste. Whatever is in the body was checked before it is used: it may come from a store that others can write to.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read, Write},
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    Manifest, Origin, SnapshotError,
    contents::{Contents, Stamp},
    pack::BLOCK,
    sealed::is_damage,
    unpack::ENTRIES_MAX,
    vault::Vault,
};

const MAGIC: &[u8] = b"session-manager snapshot\n";

/// Grows when an earlier version could not read what a later one writes.
const FORMAT: u32 = 2;

/// A head names some packs. A longer one was not written by this service.
const HEAD_MAX: u64 = 256 * 1024;

/// That of a profile of 5 GB has 20,000 blocks, which take some 3 MB.
const BODY_MAX: usize = 64 * 1024 * 1024;

const LEVEL: i32 = 1;

const CHECKSUM_LENGTH: usize = blake3::OUT_LEN;

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Listing {
    pub(super) manifest: Manifest,
    /// When the files were looked at, in the terms of [`Stamp`].
    pub(super) looked_at: i64,
    /// The packs that the blocks are in.
    pub(super) packs: Vec<String>,
    pub(super) blocks: Vec<Placed>,
    /// Each before those in it.
    pub(super) folders: Vec<PathBuf>,
    pub(super) files: Vec<Filed>,
}

/// One block, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Placed {
    #[serde(with = "hexadecimal")]
    pub(super) name: blake3::Hash,
    /// Which of the listing's packs it is in.
    pub(super) pack: usize,
    pub(super) at: u64,
    /// How long it is there.
    pub(super) stored: u64,
    /// How long it is itself.
    pub(super) size: u64,
}

/// One file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Filed {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    /// Its blocks in their order: which of the listing's they are.
    pub(super) blocks: Vec<usize>,
}

mod hexadecimal {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(hash: &blake3::Hash, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hash.to_hex())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<blake3::Hash, D::Error> {
        let text = String::deserialize(from)?;
        blake3::Hash::from_hex(&text).map_err(D::Error::custom)
    }
}

/// What can be read without a key.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    format: u32,
    /// Of the key that the body is encrypted with.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    packs: Vec<String>,
}

/// Of any format: what must be known before the rest is read.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

impl Listing {
    /// Of nothing yet.
    pub(super) fn empty() -> Self {
        let contents = Contents::default();
        Self {
            manifest: Manifest::new(Origin::default(), None, 0, &contents),
            looked_at: 0,
            packs: Vec::new(),
            blocks: Vec::new(),
            folders: Vec::new(),
            files: Vec::new(),
        }
    }

    pub(super) fn write(&self, mut out: impl Write, vault: &Vault) -> io::Result<()> {
        let head = Head {
            format: FORMAT,
            key: vault.fingerprint().map(str::to_owned),
            packs: self.packs.clone(),
        };
        let head = [MAGIC, &serde_json::to_vec(&head)?, b"\n"].concat();
        let body = zstd::bulk::compress(&serde_json::to_vec(self)?, LEVEL)?;
        let body = vault.seal(body, &head);
        let body = body.ok_or_else(|| io::Error::other("it could not be encrypted"))?;
        let whole = [head, body].concat();
        out.write_all(&whole)?;
        out.write_all(blake3::hash(&whole).as_bytes())?;
        out.flush()
    }

    /// The packs that the snapshot in this file needs. Asks for no key, and believes a file that is damaged elsewhere.
    pub(super) fn packs_of(path: &Path) -> Result<Vec<String>, SnapshotError> {
        let file = File::open(path).map_err(|source| SnapshotError::io("opening", path, source))?;
        Ok(head(&mut BufReader::new(file), path)?.0.packs)
    }

    /// Reads and checks all of it. Answers what opens its blocks, too: one from before there was a key needs none.
    pub(super) fn read(path: &Path, vault: &Vault) -> Result<(Self, Vault), SnapshotError> {
        let damaged = || SnapshotError::Damaged {
            path: path.to_owned(),
        };
        let file = File::open(path).map_err(|source| SnapshotError::io("opening", path, source))?;
        let mut whole = Vec::new();
        let most = u64::try_from(BODY_MAX).unwrap_or(u64::MAX) + HEAD_MAX;
        file.take(most)
            .read_to_end(&mut whole)
            .map_err(|source| SnapshotError::io("reading", path, source))?;
        let (head, begins) = head(&mut whole.as_slice(), path)?;
        let ends = whole.len().checked_sub(CHECKSUM_LENGTH);
        let ends = ends.filter(|ends| begins <= *ends).ok_or_else(damaged)?;
        if blake3::hash(&whole[..ends]).as_bytes().as_slice() != &whole[ends..] {
            return Err(damaged());
        }
        let vault = match head.key.as_deref() {
            None => Vault::new(None),
            key if key == vault.fingerprint() => vault.clone(),
            Some(_) => {
                return Err(SnapshotError::OtherKey {
                    path: path.to_owned(),
                    has_key: vault.fingerprint().is_some(),
                });
            }
        };
        let body = vault.open(whole[begins..ends].to_vec(), &whole[..begins]);
        let body = zstd::bulk::decompress(&body.ok_or_else(damaged)?, BODY_MAX);
        let listing = body.map_err(|_| damaged())?;
        let listing: Self = serde_json::from_slice(&listing).map_err(|_| damaged())?;
        if listing.packs != head.packs || !listing.is_sound() {
            return Err(damaged());
        }
        Ok((listing, vault))
    }

    /// Whether it describes a profile that can be written: within a folder, and as large as it says.
    fn is_sound(&self) -> bool {
        let is_name = |pack: &String| {
            let mut components = Path::new(pack).components();
            matches!(components.next(), Some(Component::Normal(_))) && components.next().is_none()
        };
        let is_within = |path: &Path| {
            let mut components = path.components().peekable();
            components.peek().is_some()
                && components.all(|component| matches!(component, Component::Normal(_)))
        };
        let is_placed =
            |block: &Placed| block.pack < self.packs.len() && (1..=BLOCK).contains(&block.size);
        let size_of = |file: &Filed| -> Option<u64> {
            let mut sizes = file
                .blocks
                .iter()
                .map(|at| Some(self.blocks.get(*at)?.size));
            sizes.try_fold(0, |sum, size| Some(sum + size?))
        };
        let is_filed =
            |file: &Filed| is_within(&file.path) && size_of(file) == Some(file.stamp.size);
        let sum = || {
            self.files
                .iter()
                .try_fold(0_u64, |sum, file| sum.checked_add(file.stamp.size))
        };
        self.folders.len() + self.files.len() <= ENTRIES_MAX
            && self.packs.iter().all(is_name)
            && self.blocks.iter().all(is_placed)
            && self.folders.iter().all(|folder| is_within(folder))
            && self.files.iter().all(is_filed)
            && usize::try_from(self.manifest.files) == Ok(self.files.len())
            && sum() == Some(self.manifest.bytes)
    }
}

/// The head, and where the body begins.
fn head(file: &mut impl io::BufRead, path: &Path) -> Result<(Head, usize), SnapshotError> {
    let path = || path.to_owned();
    let failed = |source: io::Error| {
        if is_damage(&source) {
            return SnapshotError::Damaged { path: path() };
        }
        SnapshotError::io("reading", &path(), source)
    };
    let mut magic = [0; MAGIC.len()];
    match file.read_exact(&mut magic) {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(failed(error)),
        Ok(()) if magic == MAGIC => {}
        _ => return Err(SnapshotError::NotASnapshot { path: path() }),
    }
    let mut line = Vec::new();
    file.take(HEAD_MAX)
        .read_until(b'\n', &mut line)
        .map_err(failed)?;
    let damaged = |_| SnapshotError::Damaged { path: path() };
    let Version { format } = serde_json::from_slice(&line).map_err(damaged)?;
    if format != FORMAT {
        return Err(SnapshotError::OtherFormat {
            path: path(),
            format,
        });
    }
    let head = serde_json::from_slice(&line).map_err(damaged)?;
    Ok((head, MAGIC.len() + line.len()))
}
