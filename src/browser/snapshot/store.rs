//! The snapshots of one profile in their folder: named by their time, the newest first, never half written.
//!
//! Blocks; its callers are off the runtime. A snapshot is written under another name, synced, and then renamed, so that what is
//! called a snapshot is one; the checksum guards against what happens to it afterwards.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tokio_util::sync::CancellationToken;

use super::{
    Manifest, Origin, SnapshotError,
    archive::{self, Verified},
    contents::Contents,
};
use crate::{
    browser::profile::exchange::file_name,
    files::{Durability, NewFile, found, make_folder, remove_file, remove_folder},
};

/// What a disk must have left after a snapshot was written or unpacked: profiles and the ledger need it more.
const SPACE_RESERVE: u64 = 64 * 1024 * 1024;

/// With less than this left of a disk, or less than its hundredth part, Chrome lets no page store anything more, and may
/// even take away what one has stored (`MustRemainAvailableBytes`, `MustRemainAvailableRatio`).
const CHROME_RESERVE: u64 = 1024 * 1024 * 1024;

const ENDING: &str = ".snapshot";

/// One that is being written. There is never more than one: the profile is locked.
const INCOMPLETE: &str = "incomplete";

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) folder: PathBuf,
    /// How many are kept.
    pub(super) keep: usize,
}

impl Store {
    /// Every snapshot, the newest first.
    pub(super) fn all(&self) -> Result<Vec<PathBuf>, SnapshotError> {
        let read = || {
            let mut all = Vec::new();
            for entry in found(fs::read_dir(&self.folder))?.into_iter().flatten() {
                let entry = entry?;
                if entry.file_name().to_string_lossy().ends_with(ENDING) {
                    all.push(entry.path());
                }
            }
            all.sort();
            all.reverse();
            Ok(all)
        };
        read().map_err(|source| SnapshotError::io("reading", &self.folder, source))
    }

    /// Adds a snapshot of `profile`, which ends its `generation`, to the others, and removes those that are too many.
    pub(super) fn add(
        &self,
        profile: &Path,
        origin: Origin,
        chrome: Option<String>,
        generation: u64,
        give_up: &CancellationToken,
    ) -> Result<Manifest, SnapshotError> {
        let failed = |source| SnapshotError::io("writing to", &self.folder, source);
        let contents = Contents::of(profile)
            .map_err(|source| SnapshotError::io("reading", profile, source))?;
        make_folder(&self.folder).map_err(failed)?;
        // What a killed service has left.
        let incomplete = self.folder.join(INCOMPLETE);
        remove_file(&incomplete).map_err(failed)?;
        ensure_space(&self.folder, contents.bytes())?;

        let manifest = Manifest::new(origin, chrome, generation, &contents);
        let name = format!("{}{ENDING}", file_name(manifest.taken_at));
        let new = NewFile::create(incomplete).map_err(failed)?;
        archive::write(profile, &contents, &manifest, new.file(), give_up)?;
        // The older ones go next, and after a power cut this one must be able to take their place.
        new.put_in_place(&self.folder.join(name), Durability::PowerCut)
            .map_err(failed)?;
        for old in self.all()?.into_iter().skip(self.keep) {
            remove_file(&old).map_err(failed)?;
        }
        Ok(manifest)
    }

    /// The newest one that `fits` and is whole.
    pub(super) fn newest_whole(
        &self,
        fits: impl Fn(&Manifest) -> bool,
    ) -> Result<Option<Verified>, SnapshotError> {
        for path in self.all()? {
            match archive::verify(&path) {
                Ok(verified) if fits(&verified.manifest) => return Ok(Some(verified)),
                Ok(_) => {}
                Err(why) => {
                    tracing::warn!(error = %why, "passed a snapshot over: {why}");
                }
            }
        }
        Ok(None)
    }

    /// Removes those that `are` of no more use.
    pub(super) fn forget(&self, are: impl Fn(&Manifest) -> bool) -> Result<(), SnapshotError> {
        for path in self.all()? {
            if archive::manifest(&path).is_ok_and(|manifest| are(&manifest)) {
                remove_file(&path)
                    .map_err(|source| SnapshotError::io("deleting", &path, source))?;
            }
        }
        Ok(())
    }

    /// Removes them all.
    pub(super) fn delete(&self) -> io::Result<()> {
        remove_folder(&self.folder)
    }
}

/// A disk, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disk {
    pub(super) free: u64,
    pub(super) total: u64,
}

impl Disk {
    /// The one that `folder` is on.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let disk = rustix::fs::statvfs(folder)?;
        Ok(Self {
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            total: disk.f_blocks.saturating_mul(disk.f_frsize),
        })
    }

    /// What must be free of it for pages to store anything.
    fn reserve_of_chrome(self) -> u64 {
        (self.total / 100).clamp(SPACE_RESERVE, CHROME_RESERVE)
    }

    fn ensure(self, folder: &Path, needed: u64) -> Result<(), SnapshotError> {
        if self.free < needed {
            return Err(SnapshotError::NoSpace {
                path: folder.to_owned(),
                needed,
                free: self.free,
            });
        }
        Ok(())
    }
}

/// Refuses when a disk would be left with next to nothing.
pub(super) fn ensure_space(folder: &Path, bytes: u64) -> Result<(), SnapshotError> {
    let disk =
        Disk::of(folder).map_err(|source| SnapshotError::io("looking at", folder, source))?;
    disk.ensure(folder, bytes.saturating_add(SPACE_RESERVE))
}

/// Refuses when a page cannot store anything for want of space: then no other profile works any better than this one.
pub(super) fn ensure_a_page_can_store(
    folder: &Path,
    look_at: fn(&Path) -> io::Result<Disk>,
) -> Result<(), SnapshotError> {
    let disk = look_at(folder).map_err(|source| SnapshotError::io("looking at", folder, source))?;
    disk.ensure(folder, disk.reserve_of_chrome())
}
