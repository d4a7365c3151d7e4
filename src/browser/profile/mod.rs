//! The profile folder: made private, held by one service at a time, and free of other processes before Chrome starts on it.
//!
//! Chrome's own lock protects nothing (headless-shell has none, the browser's can be fooled), so two things decide:
//! the service's lock, an open locked file next to the folder, held as long as the Chrome lives; and `/proc`. A Chrome that this
//! service did not start is never touched, and neither are its files.

pub(in crate::browser) mod exchange;
pub(in crate::browser) mod last_used;
mod leveldb;
mod note;
mod sweep;

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

pub use self::{
    note::{Beginning, Gap, Link, ProfileNote, Rescue},
    sweep::{Swept, sweep},
};
use super::{
    BrowserError,
    processes::{
        leftovers::{self, SINGLETONS},
        process::LOOK_INTERVAL,
    },
    procfs::{self, Chrome},
};
use crate::files::{FOLDER_MODE, folder_of, found, make_folder, remove_file, remove_folder};

const LOCK_ENDING: &str = ".lock";

/// To take the lock takes microseconds, to settle an exchange of profiles a second or two; a disk that hangs must not hold a
/// start up for ever.
const HOLD_TIMEOUT: Duration = Duration::from_secs(20);

/// Helpers of a main process that has just died are gone after some 40 ms.
const HELPERS_TIMEOUT: Duration = Duration::from_secs(5);

/// A profile folder that no other process uses and no other part of the service can open. Dropping it releases the folder.
#[derive(Debug)]
pub(in crate::browser) struct Profile {
    /// The folder without links.
    pub(in crate::browser) folder: PathBuf,
    lock: File,
}

impl Drop for Profile {
    fn drop(&mut self) {
        // Closing would do, were it not for programs just being started elsewhere, which share the file for a moment.
        if let Err(error) = self.lock.unlock() {
            tracing::debug!(%error, "the profile's lock goes with its file");
        }
    }
}

/// Makes the folder when there is none, takes its lock and sees to it that no process uses it.
///
/// A Chrome left over from a service that is gone is ended; any other is a reason to refuse. Once cancelled it holds nothing
/// when it returns.
pub(in crate::browser) async fn claim(
    path: &Path,
    cancel: &CancellationToken,
) -> Result<Profile, BrowserError> {
    // Waited for whatever happens, or a start that is called off would leave the lock behind for a moment.
    let profile = hold_soon(path).await?;
    let profile = cancel
        .run_until_cancelled(clear(profile))
        .await
        .unwrap_or(Err(BrowserError::Cancelled))?;
    // Not cut short either, for the same reason.
    let folder = profile.folder.clone();
    let unusable = |source| BrowserError::ProfileUnusable {
        path: folder,
        source,
    };
    soon(path, move || tidy(profile).map_err(unusable)).await
}

/// To settle an exchange of profiles that was interrupted may be to delete some hundred megabytes.
async fn hold_soon(path: &Path) -> Result<Profile, BrowserError> {
    let wanted = path.to_owned();
    soon(path, move || hold(&wanted)).await
}

/// Does the work off the runtime, for the disk may hang; and waits for it no longer than [`HOLD_TIMEOUT`].
async fn soon(
    path: &Path,
    work: impl FnOnce() -> Result<Profile, BrowserError> + Send + 'static,
) -> Result<Profile, BrowserError> {
    let unusable = |source| BrowserError::ProfileUnusable {
        path: path.to_owned(),
        source,
    };
    match timeout(HOLD_TIMEOUT, spawn_blocking(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(lost)) => Err(unusable(lost.into())),
        Err(_elapsed) => Err(unusable(io::ErrorKind::TimedOut.into())),
    }
}

/// Sees to it that no process uses the folder.
async fn clear(profile: Profile) -> Result<Profile, BrowserError> {
    for chrome in on(&profile.folder).await? {
        if !chrome.helper {
            end_when_left_over(&chrome, &profile.folder).await?;
        }
    }
    wait_for_helpers(&profile.folder).await?;
    Ok(profile)
}

/// Removes what a killed Chrome has left, and sees that the folder is private.
fn tidy(profile: Profile) -> io::Result<Profile> {
    for name in SINGLETONS {
        remove_whatever_it_is(&profile.folder.join(name))?;
    }
    fs::set_permissions(&profile.folder, Permissions::from_mode(FOLDER_MODE))?;
    leveldb::mend(&profile.folder);
    Ok(profile)
}

/// The lock of a profile: a file next to its folder.
pub fn lock_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(LOCK_ENDING);
    path.with_file_name(name)
}

/// What becomes of what was set aside of a profile that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aside {
    /// It may be an account's.
    Stays,
    /// It goes too, as its account has been logged out.
    Goes,
}

/// Deletes a profile folder for good, with its lock. Refuses while a process uses it.
pub async fn delete_profile(path: &Path, aside: Aside) -> Result<(), BrowserError> {
    let deleted = delete_profile_unless(path, aside, |_| false).await;
    deleted.map(|_is_deleted| ())
}

/// As [`delete_profile`], unless `is_kept` answers that the folder stays. It is asked, on a thread that may block, while the
/// lock is held: another program that puts a profile there needs the same lock, so it does so before or after. Answers
/// whether the folder was deleted.
pub async fn delete_profile_unless(
    path: &Path,
    aside: Aside,
    is_kept: impl FnOnce(&Path) -> bool + Send + 'static,
) -> Result<bool, BrowserError> {
    let profile = claim(path, &CancellationToken::new()).await?;
    // Some hundred megabytes in thousands of files; the lock is held until they are gone.
    let deleted = spawn_blocking(move || {
        if is_kept(&profile.folder) {
            return Ok(false);
        }
        if aside == Aside::Goes {
            exchange::delete_set_aside(&profile.folder)?;
        }
        fs::remove_dir_all(&profile.folder)?;
        // A process that has opened it meanwhile finds that it is not in its place any more, and opens the next one.
        fs::remove_file(lock_of(&profile.folder))?;
        Ok(true)
    })
    .await;
    deleted
        .unwrap_or_else(|error| Err(error.into()))
        .map_err(|source| BrowserError::ProfileUnusable {
            path: path.to_owned(),
            source,
        })
}

/// The lock's file stands next to the folder, so that it stays when the folder is removed. It goes with a profile that is
/// deleted, and only while it is held: so a process that has got the lock of a removed file tries again.
pub(in crate::browser) fn hold(path: &Path) -> Result<Profile, BrowserError> {
    let unusable = |source| BrowserError::ProfileUnusable {
        path: path.to_owned(),
        source,
    };
    let open = || {
        let folder = without_links(path)?;
        if folder.file_name().is_none() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(lock_of(&folder))?;
        Ok((folder, lock))
    };
    let (folder, mut lock) = open().map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) if !is_in_its_place(&lock, &lock_of(&folder)).map_err(unusable)? => {
            return hold(path);
        }
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(BrowserError::ProfileLocked {
                path: folder,
                holder: io::read_to_string(&lock)
                    .ok()
                    .and_then(|text| text.trim().parse().ok()),
            });
        }
        Err(TryLockError::Error(source)) => return Err(unusable(source)),
    }
    let prepare = || {
        // For people and for the message above; the lock itself is what counts.
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())?;
        exchange::settle(&folder)?;
        make_folder(&folder)
    };
    let mut prepare = prepare;
    prepare().map_err(unusable)?;
    Ok(Profile { folder, lock })
}

/// Whether this open file is the one of that name.
fn is_in_its_place(file: &File, path: &Path) -> io::Result<bool> {
    let Some(present) = found(fs::metadata(path))? else {
        return Ok(false);
    };
    let own = file.metadata()?;
    Ok((own.dev(), own.ino()) == (present.dev(), present.ino()))
}

/// Where the folder is or will be, with its parent made.
fn without_links(path: &Path) -> io::Result<PathBuf> {
    if let Some(folder) = found(path.canonicalize())? {
        return Ok(folder);
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = folder_of(path);
    make_folder(parent)?;
    Ok(parent.canonicalize()?.join(name))
}

/// Off the runtime: a machine may have thousands of processes to look at.
async fn on(folder: &Path) -> Result<Vec<Chrome>, BrowserError> {
    let wanted = folder.to_owned();
    let look = move || {
        let mut chromes = procfs::chromes();
        chromes.retain(|chrome| chrome.works_on(&wanted));
        chromes
    };
    spawn_blocking(look)
        .await
        .map_err(|error| BrowserError::ProfileUnusable {
            path: folder.to_owned(),
            source: error.into(),
        })
}

async fn end_when_left_over(chrome: &Chrome, folder: &Path) -> Result<(), BrowserError> {
    let in_use = BrowserError::ProfileInUse {
        path: folder.to_owned(),
        pid: chrome.id.pid,
    };
    // It may have gone with one before it, whose group it was in: nothing can be asked of it then. What is read here and by
    // `is_left_over` are a few lines of /proc, which the kernel makes up without waiting for any disk or process.
    if !chrome.id.is_alive() {
        return Ok(());
    }
    // One of this service is left over too: had it a session, that session would hold the lock that we hold.
    if !leftovers::is_left_over(chrome) && chrome.owner != procfs::ProcessId::of_this_service() {
        return Err(in_use);
    }
    if leftovers::end(chrome).await {
        Ok(())
    } else {
        Err(in_use)
    }
}

async fn wait_for_helpers(folder: &Path) -> Result<(), BrowserError> {
    let patience = Instant::now() + HELPERS_TIMEOUT;
    while let Some(chrome) = on(folder).await?.first() {
        // A main process that is stopped is refused or ended before this; what it leaves is stopped for nothing.
        leftovers::wake(chrome);
        if patience < Instant::now() {
            return Err(BrowserError::ProfileInUse {
                path: folder.to_owned(),
                pid: chrome.id.pid,
            });
        }
        sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}

fn remove_whatever_it_is(path: &Path) -> io::Result<()> {
    match found(fs::symlink_metadata(path))? {
        Some(entry) if entry.is_dir() => remove_folder(path),
        Some(_) => remove_file(path),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_profile_that_another_program_has_filled_before_the_lock_is_had_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("51");
        let is_kept = |folder: &Path| folder.join("linked").try_exists().unwrap();
        let delete = async || delete_profile_unless(&path, Aside::Stays, is_kept).await;
        let held = hold(&path).unwrap();
        fs::write(path.join("linked"), "").unwrap();
        assert!(matches!(
            delete().await,
            Err(BrowserError::ProfileLocked { .. })
        ));
        drop(held);
        assert!(!delete().await.unwrap() && is_kept(&path));
        fs::remove_file(path.join("linked")).unwrap();
        assert!(delete().await.unwrap() && !path.try_exists().unwrap());
    }

    #[tokio::test]
    async fn a_profile_that_is_deleted_leaves_nothing_and_can_be_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let profile = folder.path().join("51");
        for _ in 0..3 {
            drop(hold(&profile).unwrap());
            delete_profile(&profile, Aside::Goes).await.unwrap();
            assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        }
        // One that holds the lock of a file that was removed holds nothing.
        let stale = File::create(lock_of(&profile)).unwrap();
        stale.try_lock().unwrap();
        fs::remove_file(lock_of(&profile)).unwrap();
        let held = hold(&profile).unwrap();
        assert!(matches!(
            hold(&profile),
            Err(BrowserError::ProfileLocked { .. })
        ));
        drop(held);
    }

    #[tokio::test]
    async fn a_start_that_is_called_off_leaves_the_next_one_its_profile() {
        let folder = tempfile::tempdir().unwrap();
        let profile = folder.path().join("51");
        let cancel = CancellationToken::new();
        cancel.cancel();
        for _ in 0..10 {
            let claimed = claim(&profile, &cancel).await;
            assert!(
                matches!(claimed, Err(BrowserError::Cancelled)),
                "{claimed:?}"
            );
            drop(hold(&profile).unwrap());
        }
    }
}
