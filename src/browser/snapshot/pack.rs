//! The blocks of files: up to 256 KiB each, named by their content, and the new ones of a snapshot packed into one object.
//!
//! ```text
//!  magic, one line │ block: packed by zstd, encrypted if there is a key │ block │ …
//! ```
//!
//! Blocks of a fixed size, because Chromium's databases change in the middle: `LevelDB` writes small files once, and `SQLite` pages of
//! a large one. A block is checked by its name whenever it is read.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write as _},
    os::unix::fs::FileExt as _,
};

use super::{
    objects::{Objects, Writing},
    vault::Vault,
};
use crate::files::NewFile;

/// How long a block is that is not the last of its file.
pub(super) const BLOCK: u64 = 256 * 1024;

const MAGIC: &[u8; 23] = b"session-manager pack 1\n";

/// How long a pack is without any block.
pub(super) const HEAD: u64 = 23;

/// Most of a profile is packed by its databases already.
const LEVEL: i32 = 1;

/// A pack that is being written.
#[derive(Debug)]
pub(super) struct NewPack {
    out: BufWriter<File>,
    object: NewFile,
    ends: u64,
}

impl NewPack {
    pub(super) fn begin(objects: &Objects, writing: &Writing) -> io::Result<Self> {
        let object = objects.begin(writing)?;
        let mut out = BufWriter::new(object.file().try_clone()?);
        out.write_all(MAGIC)?;
        Ok(Self {
            out,
            object,
            ends: HEAD,
        })
    }

    /// Adds a block. Answers where it is, and how long it is there.
    pub(super) fn add(
        &mut self,
        name: &blake3::Hash,
        block: &[u8],
        vault: &Vault,
    ) -> io::Result<(u64, u64)> {
        let packed = zstd::bulk::compress(block, LEVEL)?;
        let sealed = vault.seal(packed, name.as_bytes());
        let sealed = sealed.ok_or_else(|| io::Error::other("it could not be encrypted"))?;
        self.out.write_all(&sealed)?;
        let length = sealed.len().try_into().unwrap_or(u64::MAX);
        let at = self.ends;
        self.ends += length;
        Ok((at, length))
    }

    /// How large it is.
    pub(super) const fn bytes(&self) -> u64 {
        self.ends
    }

    /// Has it on disk under its name.
    pub(super) fn put(self, objects: &Objects, name: &str) -> io::Result<()> {
        let Self {
            mut out, object, ..
        } = self;
        out.flush()?;
        objects.put(object, name)
    }
}

/// Reads a block; `None` when it is not what was packed.
pub(super) fn read(
    pack: &File,
    (at, stored): (u64, u64),
    name: &blake3::Hash,
    vault: &Vault,
) -> io::Result<Option<Vec<u8>>> {
    // Its names says what it must be; a longer one is not it, and must not take up memory.
    if stored > 2 * BLOCK {
        return Ok(None);
    }
    let mut sealed = vec![0; usize::try_from(stored).unwrap_or(usize::MAX)];
    match pack.read_exact_at(&mut sealed, at) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let most = usize::try_from(BLOCK).unwrap_or(usize::MAX);
    let block = vault
        .open(sealed, name.as_bytes())
        .and_then(|packed| zstd::bulk::decompress(&packed, most).ok());
    Ok(block.filter(|block| vault.name(block) == *name))
}

/// The next block of a file; an empty one at its end.
pub(super) fn next_block(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut block = Vec::new();
    file.take(BLOCK).read_to_end(&mut block)?;
    Ok(block)
}
