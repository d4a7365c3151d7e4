//! A profile on its way to another machine: out of its folder into one encrypted file, and from such a file into a folder.
//!
//! The file is a snapshot ([`archive`]) within an encryption ([`sealed`]). Invariants: a profile is read and exchanged only
//! under its lock; nothing is unpacked before the whole file has been found right; whatever fails, the profile is as before,
//! and no half file stands under the name that was asked for.

use std::{
    ffi::OsString,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{
    ComesFrom, CopyAge, Manifest, Origin, SnapshotError,
    archive::{self, Verified},
    contents::Contents,
    end_generation, put_in_place,
    sealed::{self, Opened, Passphrase},
    store, take_place,
};
use crate::{
    browser::profile::{self, Profile, ProfileNote, exchange::Places},
    files::{Durability, NewFile, folder_of},
};

/// A profile that no Chrome uses, with its lock held, so that none begins to.
#[derive(Debug)]
pub struct HeldProfile(Profile);

/// Where an export is to go.
#[derive(Clone, Debug)]
pub struct ExportTo {
    /// The file.
    pub path: PathBuf,
    /// Whether one that is there may go.
    pub may_replace: bool,
}

impl ExportTo {
    /// Refuses at once what would be refused in the end.
    pub fn check(&self) -> Result<(), SnapshotError> {
        let is_there = fs::symlink_metadata(&self.path).is_ok();
        if is_there && !self.may_replace {
            return Err(SnapshotError::FileThere {
                path: self.path.clone(),
            });
        }
        Ok(())
    }
}

impl HeldProfile {
    /// Takes the lock of a profile, if there is one.
    pub async fn take(path: &Path) -> Result<Self, SnapshotError> {
        let is_there = Places::of(path).has_profile();
        if !is_there.map_err(|source| SnapshotError::io("looking at", path, source))? {
            return Err(SnapshotError::NoProfile {
                path: path.to_owned(),
            });
        }
        Ok(Self(profile::claim(path, &CancellationToken::new()).await?))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Writes the profile into one encrypted file, which is whole and on disk when this returns. Gives up, and leaves
    /// nothing, when `give_up` is cancelled.
    pub async fn export(
        self,
        origin: Origin,
        to: ExportTo,
        passphrase: Passphrase,
        give_up: CancellationToken,
    ) -> Result<Manifest, SnapshotError> {
        spawn_blocking(move || write(&self.0, origin, &to, &passphrase, &give_up))
            .await
            .unwrap_or(Err(SnapshotError::GivenUp))
    }
}

fn write(
    profile: &Profile,
    origin: Origin,
    to: &ExportTo,
    passphrase: &Passphrase,
    give_up: &CancellationToken,
) -> Result<Manifest, SnapshotError> {
    to.check()?;
    let failed = |source| SnapshotError::io("writing", &to.path, source);
    let name = to
        .path
        .file_name()
        .ok_or_else(|| failed(ErrorKind::InvalidFilename.into()))?;
    let folder = folder_of(&to.path);
    let generation = end_generation(profile)?;
    let contents = Contents::of(&profile.folder)
        .map_err(|source| SnapshotError::io("reading", &profile.folder, source))?;
    store::ensure_space(folder, contents.bytes())?;
    let chrome = ProfileNote::read_or_linked(&profile.folder).chrome;
    let manifest = Manifest::new(origin, chrome, generation, &contents);

    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.incomplete", std::process::id()));
    let new = NewFile::create(folder.join(hidden)).map_err(failed)?;
    let mut out = sealed::seal(new.file(), passphrase).map_err(failed)?;
    archive::write(&profile.folder, &contents, &manifest, &mut out, give_up)
        .map_err(|why| on_the_disk_of(&to.path, why))?;
    out.finish().map_err(failed)?;
    // Some hundred megabytes, which may take as long as to write them. Another program may have put a file there meanwhile.
    new.file().sync_all().map_err(failed)?;
    to.check()?;
    // The person may delete the profile as soon as this says that the export is done.
    new.put_in_place(&to.path, Durability::PowerCut)
        .map_err(failed)?;
    Ok(manifest)
}

/// A disk that is full while a profile is written elsewhere is the other one.
fn on_the_disk_of(file: &Path, why: SnapshotError) -> SnapshotError {
    if let SnapshotError::Io { source, .. } = &why
        && source.kind() == ErrorKind::StorageFull
    {
        return SnapshotError::io("writing", file, ErrorKind::StorageFull.into());
    }
    why
}

/// An export that was opened with its passphrase, read to its end, and found whole.
#[derive(Debug)]
pub struct Export(Verified<Opened>);

impl Export {
    /// Opens the file and reads all of it, unless `give_up` is cancelled. Half a second of work for the passphrase alone.
    pub async fn open(
        path: &Path,
        passphrase: Passphrase,
        give_up: &CancellationToken,
    ) -> Result<Self, SnapshotError> {
        let (path, give_up) = (path.to_owned(), give_up.clone());
        let open = move || {
            let opened = sealed::open(&path, &passphrase)?;
            archive::verify_from(opened, &path, &give_up).map(Self)
        };
        spawn_blocking(open)
            .await
            .unwrap_or(Err(SnapshotError::GivenUp))
    }

    /// Makes it the profile in this folder. One that is there is set aside when it `may_replace` it, else refused. Leaves all as
    /// it was when `give_up` is cancelled in time; to be waited for, as it is done off the runtime.
    pub async fn put_in_place(
        self,
        path: &Path,
        may_replace: bool,
        give_up: CancellationToken,
    ) -> Result<Manifest, SnapshotError> {
        // Given up below, not here: to release the lock here would leave the empty folder that came with it.
        let profile = profile::claim(path, &CancellationToken::new()).await?;
        spawn_blocking(move || self.into_folder(&profile, may_replace, &give_up))
            .await
            .unwrap_or(Err(SnapshotError::GivenUp))
    }

    fn into_folder(
        self,
        profile: &Profile,
        may_replace: bool,
        give_up: &CancellationToken,
    ) -> Result<Manifest, SnapshotError> {
        take_place(
            profile,
            |_| may_replace,
            || {
                let (bytes, copy) = (self.0.manifest.bytes, CopyAge::of(&self.0.manifest));
                let unpack = |folder: &Path| self.0.unpack(folder, give_up);
                put_in_place(profile, bytes, copy, ComesFrom::Elsewhere, unpack)
            },
        )
    }
}

#[cfg(test)]
mod tests;
