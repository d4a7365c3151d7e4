//! The files of an archive, into a folder: as many and as much as its manifest says, and not a byte more.
//!
//! The file may have been packed to do harm: a few kilobytes unpack to more than any disk holds. Room was looked for by what the
//! manifest says, so the archive is held to that; what the manifest does not limit is limited here.

use std::{
    fs::{DirBuilder, File},
    io::{self, Read},
    os::unix::fs::DirBuilderExt as _,
    path::{Component, Path, PathBuf},
};

use tokio_util::sync::CancellationToken;

use super::archive::{Manifest, UnlessGivenUp};
use crate::files::{FOLDER_MODE, make_folder, private_file};

/// How many files and folders a profile may have. Empty ones take room and time too, and pack to next to nothing: to
/// make and remove 300,000 folders of a small file kept a fast disk busy for 13 s, and a slow one for minutes. A fresh
/// profile has some 250 entries with all caches. One that is years old has some thousand, because its databases are
/// files of 2 MB each.
pub(super) const ENTRIES_MAX: usize = 50_000;

/// The longest path that Linux knows, in bytes.
const PATH_MAX: u64 = 4096;

/// Unpacks into a folder that is not there yet, and has it all on disk when it returns. What is there of it when it fails
/// or gives up is the caller's to remove.
pub(super) fn unpack(
    packed: impl Read,
    manifest: &Manifest,
    folder: &Path,
    give_up: &CancellationToken,
) -> io::Result<()> {
    walk(ENTRIES_MAX, packed, manifest, Some(folder), give_up)
}

/// Refuses what [`unpack`] would refuse, and writes nothing: an archive that means harm is not worth the work of a disk.
pub(super) fn check(
    packed: impl Read,
    manifest: &Manifest,
    give_up: &CancellationToken,
) -> io::Result<()> {
    walk(ENTRIES_MAX, packed, manifest, None, give_up)
}

/// Goes through all of it, and writes it into the folder, if there is one.
fn walk(
    entries_max: usize,
    packed: impl Read,
    manifest: &Manifest,
    folder: Option<&Path>,
    give_up: &CancellationToken,
) -> io::Result<()> {
    let too_many = || io::Error::other("it has too many files for a profile");
    if manifest.files > entries_max.try_into().unwrap_or(u64::MAX) {
        return Err(too_many());
    }
    let mut tar = tar::Archive::new(zstd::Decoder::new(packed)?);
    if let Some(folder) = folder {
        make_folder(folder)?;
    }
    let (mut files, mut bytes) = (manifest.files, manifest.bytes);
    let mut long_path = None;
    let mut entries = 0;
    // Raw: else a path of any length is read into memory, and a file may be larger than what is packed of it.
    for entry in tar.entries()?.raw(true) {
        if give_up.is_cancelled() {
            return Err(io::Error::other("given up"));
        }
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        // What is not copied is skipped: of any length, that takes any time. One path after another would never end.
        if kind.is_gnu_longname() && entry.size() <= PATH_MAX && long_path.is_none() {
            long_path = Some(path_in(entry)?);
            continue;
        }
        entries += 1;
        if entries > entries_max {
            return Err(too_many());
        }
        let path = match long_path.take() {
            Some(path) => path,
            None => entry.path()?.into_owned(),
        };
        let below = below(&path)?;
        let path = folder.map(|folder| folder.join(below));
        if kind.is_dir() && entry.size() == 0 {
            if let Some(path) = path {
                // Not those above it: they came before, and were counted.
                DirBuilder::new().mode(FOLDER_MODE).create(path)?;
            }
            continue;
        }
        if !kind.is_file() {
            return Err(io::Error::other("it has more than files and folders"));
        }
        let size = entry.size();
        let left = (files.checked_sub(1), bytes.checked_sub(size));
        let (Some(files_left), Some(bytes_left)) = left else {
            return Err(io::Error::other("it has more in it than it says"));
        };
        (files, bytes) = (files_left, bytes_left);
        let inner = &mut entry;
        let mut content = UnlessGivenUp { inner, give_up };
        let copied = match path {
            Some(path) => io::copy(&mut content, &mut private_file(&path)?)?,
            None => io::copy(&mut content, &mut io::sink())?,
        };
        if copied != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    if (files, bytes) != (0, 0) {
        return Err(io::Error::other("some of its files are missing"));
    }
    if let Some(folder) = folder {
        // One call for a thousand files.
        rustix::fs::syncfs(File::open(folder)?)?;
    }
    if give_up.is_cancelled() {
        return Err(io::Error::other("given up"));
    }
    Ok(())
}

/// The path that is written in place of a file, for the next one.
fn path_in(entry: impl Read) -> io::Result<PathBuf> {
    let mut path = String::new();
    entry.take(PATH_MAX).read_to_string(&mut path)?;
    Ok(path.trim_end_matches('\0').into())
}

/// A path that stays within its folder.
fn below(path: &Path) -> io::Result<&Path> {
    let mut components = path.components();
    if components.all(|component| matches!(component, Component::Normal(_))) {
        Ok(path)
    } else {
        Err(io::Error::other("a path in it leads out of the profile"))
    }
}

#[cfg(test)]
mod tests;
