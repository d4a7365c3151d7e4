//! One file that holds a profile: what it is, its files, and a checksum over both.
//!
//! ```text
//!  magic, one line │ manifest, one line of JSON │ tar, packed by zstd │ SHA-256 of all before it, 32 bytes
//! ```
//!
//! Knows the format, and not where such files lie. Nothing is unpacked before all of the file has been read and its checksum
//! found right.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::{
    SnapshotError,
    contents::Contents,
    sealed::is_damage,
    unpack::{self, ENTRIES_MAX},
};
use crate::{files::FOLDER_MODE, masked::Number};

/// How every snapshot begins, whatever its format.
const MAGIC: &[u8] = b"session-manager profile\n";

/// Grows when an older version could not read what a newer one writes.
const FORMAT: u32 = 1;

/// A manifest takes some 250 bytes. A longer one was not written by this service.
const MANIFEST_MAX: u64 = 64 * 1024;

/// Most of a profile is packed by its databases already: higher levels cost time and save next to nothing.
const LEVEL: i32 = 1;

const CHECKSUM_LENGTH: u64 = 32;

/// The accounts' keys lie in it.
pub(super) const FILE_MODE: u32 = 0o600;

/// The description at the beginning of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of the file.
    format: u32,
    /// The session that it was taken of.
    pub cliente_id: String,
    /// The account that was linked, digits only, if the page reported it.
    pub account: Option<Number>,
    /// When that account was linked: distinguishes one link from the next.
    pub linked_at: Option<Timestamp>,
    /// The Chrome that used the profile last.
    pub chrome: Option<String>,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// How many files it has.
    pub files: u64,
    /// How large they are when unpacked.
    pub bytes: u64,
    /// It has every hand-over up to this generation of the profile. Earlier versions did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// How Chrome was kept from writing meanwhile. Exports do not say it: they are always of a Chrome that was closed.
    #[serde(default, skip_serializing_if = "Kind::is_closed")]
    pub kind: Kind,
}

/// How Chrome was kept from writing to a profile while it was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It had been closed in order.
    #[default]
    Closed,
    /// It was stopped for a moment, and went on: the copy is what a SIGKILL in that moment would have left.
    Frozen,
}

impl Kind {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_closed(&self) -> bool {
        *self == Self::Closed
    }
}

/// The part of a manifest that comes from the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// See [`Manifest::cliente_id`].
    pub cliente_id: String,
    /// See [`Manifest::account`].
    pub account: Option<Number>,
    /// See [`Manifest::linked_at`].
    pub linked_at: Option<Timestamp>,
}

impl Manifest {
    /// `generation` is the one that this copy has ended.
    pub(super) fn new(
        origin: Origin,
        chrome: Option<String>,
        generation: u64,
        contents: &Contents,
    ) -> Self {
        Self {
            format: FORMAT,
            cliente_id: origin.cliente_id,
            account: origin.account,
            linked_at: origin.linked_at,
            chrome,
            taken_at: Timestamp::now(),
            files: contents.files.len().try_into().unwrap_or(u64::MAX),
            bytes: contents.bytes(),
            generation: Some(generation),
            kind: Kind::Closed,
        }
    }

    /// The same of a running profile, as it stood still at this moment.
    pub(super) fn frozen_at(self, taken_at: Timestamp) -> Self {
        Self {
            kind: Kind::Frozen,
            taken_at,
            ..self
        }
    }
}

/// Writes the whole file to `out`. Gives up between two pieces when `give_up` is cancelled.
pub(super) fn write(
    folder: &Path,
    contents: &Contents,
    manifest: &Manifest,
    out: impl Write,
    give_up: &CancellationToken,
) -> Result<(), SnapshotError> {
    let pack = || {
        if contents.folders.len() + contents.files.len() > ENTRIES_MAX {
            // Nothing would unpack it.
            return Err(io::Error::other("it has too many files for a profile"));
        }
        let mut out = Summed::new(BufWriter::new(out));
        out.write_all(MAGIC)?;
        serde_json::to_writer(&mut out, manifest)?;
        out.write_all(b"\n")?;
        let mut tar = tar::Builder::new(zstd::Encoder::new(out, LEVEL)?);
        for path in &contents.folders {
            let mut header = header(tar::EntryType::Directory, 0, FOLDER_MODE);
            tar.append_data(&mut header, path, io::empty())?;
        }
        for (path, stamp) in &contents.files {
            let mut header = header(tar::EntryType::Regular, stamp.size, FILE_MODE);
            let file = File::open(folder.join(path))?;
            let exactly = Exactly {
                rest: stamp.size,
                file: UnlessGivenUp {
                    inner: file,
                    give_up,
                },
            };
            tar.append_data(&mut header, path, exactly)?;
        }
        let (mut out, checksum) = tar.into_inner()?.finish()?.finish();
        out.write_all(&checksum)?;
        out.flush()
    };
    pack().map_err(|source| {
        if give_up.is_cancelled() {
            return SnapshotError::GivenUp;
        }
        SnapshotError::io("writing the snapshot of", folder, source)
    })
}

fn header(kind: tar::EntryType, bytes: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(bytes);
    header.set_mode(mode);
    header
}

/// A file that has been found whole.
pub(super) struct Verified<R = File> {
    pub(super) manifest: Manifest,
    file: R,
    /// Where the packed files begin and how long they are.
    packed: (u64, u64),
}

impl<R> fmt::Debug for Verified<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}

/// Reads only the description at the beginning of a file.
pub(super) fn manifest(path: &Path) -> Result<Manifest, SnapshotError> {
    let file = File::open(path).map_err(|source| SnapshotError::io("opening", path, source))?;
    Ok(beginning(&mut BufReader::new(file), path)?.0)
}

/// Reads all of the file and compares its checksum. The open file is the one that is unpacked, even if files are renamed meanwhile.
pub(super) fn verify(path: &Path) -> Result<Verified, SnapshotError> {
    let file = File::open(path).map_err(|source| SnapshotError::io("reading", path, source))?;
    verify_from(file, path, &CancellationToken::new())
}

/// The same for what is read in another way from the file of this name, until `give_up` is cancelled.
pub(super) fn verify_from<R: Read + Seek>(
    mut file: R,
    path: &Path,
    give_up: &CancellationToken,
) -> Result<Verified<R>, SnapshotError> {
    let damaged = || SnapshotError::Damaged {
        path: path.to_owned(),
    };
    let failed = |source| {
        if give_up.is_cancelled() {
            return SnapshotError::GivenUp;
        }
        if is_damage(&source) {
            return damaged();
        }
        SnapshotError::io("reading", path, source)
    };
    // An encryption proves its length with that, before anything in it is believed.
    let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let (manifest, begins) = beginning(&mut BufReader::new(&mut file), path)?;
    let ends = length.checked_sub(CHECKSUM_LENGTH).ok_or_else(damaged)?;
    let packed = ends.checked_sub(begins).ok_or_else(damaged)?;

    let mut is_right = || {
        file.seek(SeekFrom::Start(0))?;
        let mut sum = Summed::new(io::sink());
        let inner = BufReader::new(&mut file).take(ends);
        io::copy(&mut UnlessGivenUp { inner, give_up }, &mut sum)?;
        let mut stored = Vec::new();
        file.seek(SeekFrom::Start(ends))?;
        (&mut file).take(CHECKSUM_LENGTH).read_to_end(&mut stored)?;
        Ok(sum.finish().1 == stored)
    };
    if !is_right().map_err(failed)? {
        return Err(damaged());
    }
    Ok(Verified {
        manifest,
        file,
        packed: (begins, packed),
    })
}

/// The manifest, and where the packed files begin.
fn beginning(file: &mut impl BufRead, path: &Path) -> Result<(Manifest, u64), SnapshotError> {
    /// Of any format: what must be known before the rest is read.
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let failed = |source| {
        if is_damage(&source) {
            return SnapshotError::Damaged {
                path: path.to_owned(),
            };
        }
        SnapshotError::io("reading", path, source)
    };
    let not_one = || SnapshotError::NotASnapshot {
        path: path.to_owned(),
    };
    let mut magic = [0; MAGIC.len()];
    match file.read_exact(&mut magic) {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(failed(error)),
        Ok(()) if magic == MAGIC => {}
        _ => return Err(not_one()),
    }
    let mut line = Vec::new();
    file.take(MANIFEST_MAX)
        .read_until(b'\n', &mut line)
        .map_err(failed)?;
    let version: Version = serde_json::from_slice(&line).map_err(|_| SnapshotError::Damaged {
        path: path.to_owned(),
    })?;
    if version.format != FORMAT {
        return Err(SnapshotError::OtherFormat {
            path: path.to_owned(),
            format: version.format,
        });
    }
    let manifest = serde_json::from_slice(&line).map_err(|_| SnapshotError::Damaged {
        path: path.to_owned(),
    })?;
    let begins = MAGIC.len() + line.len();
    Ok((manifest, begins.try_into().unwrap_or(u64::MAX)))
}

impl<R: Read + Seek> Verified<R> {
    /// Unpacks into a folder that is not there yet, and has it all on disk when it returns; gives up until then when `give_up`
    /// is cancelled. Of what was written the caller disposes.
    pub(super) fn unpack(
        mut self,
        folder: &Path,
        give_up: &CancellationToken,
    ) -> Result<Manifest, SnapshotError> {
        let (begins, packed) = self.packed;
        let mut unpack = || {
            self.file.seek(SeekFrom::Start(begins))?;
            let looked_at = BufReader::new(&mut self.file).take(packed);
            unpack::check(looked_at, &self.manifest, give_up)?;
            self.file.seek(SeekFrom::Start(begins))?;
            let packed = BufReader::new(&mut self.file).take(packed);
            unpack::unpack(packed, &self.manifest, folder, give_up)
        };
        unpack().map_err(|source| {
            if give_up.is_cancelled() {
                return SnapshotError::GivenUp;
            }
            SnapshotError::io("unpacking a snapshot into", folder, source)
        })?;
        Ok(self.manifest)
    }
}

/// Counts a checksum of what passes.
struct Summed<W> {
    inner: W,
    sum: Sha256,
}

impl<W> Summed<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            sum: Sha256::new(),
        }
    }

    fn finish(self) -> (W, Vec<u8>) {
        (self.inner, self.sum.finalize().to_vec())
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(piece)?;
        self.sum.update(&piece[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A file of a known length: one that has become shorter is still being written.
struct Exactly<'a> {
    rest: u64,
    file: UnlessGivenUp<'a, File>,
}

impl Read for Exactly<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let read = (&mut self.file).take(self.rest).read(piece)?;
        if read == 0 && self.rest > 0 {
            return Err(io::Error::other("a file became shorter while it was read"));
        }
        self.rest -= u64::try_from(read).unwrap_or(u64::MAX);
        Ok(read)
    }
}

/// Fails between two pieces once it is given up.
pub(super) struct UnlessGivenUp<'a, R> {
    pub(super) inner: R,
    pub(super) give_up: &'a CancellationToken,
}

impl<R: Read> Read for UnlessGivenUp<'_, R> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        if self.give_up.is_cancelled() {
            return Err(io::Error::other("given up"));
        }
        self.inner.read(piece)
    }
}
