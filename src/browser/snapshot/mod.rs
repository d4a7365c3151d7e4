//! Copies of a profile that no Chrome uses: taken, kept, and put in its place when the profile does not work any more.
//!
//! ```text
//!  DATA_DIR/snapshots/51/<time>.snapshot        store, archive, contents, unpack
//!  TOKENS_DIR/51/   51.lock   51.aside/<time>/  exchange: what stands next to the profile while a copy takes its place
//!  a file for another machine                   transfer, sealed
//!  a profile that another program has made      foreign
//! ```
//!
//! Knows folders and files; whose account it is and whether a snapshot is worth taking, the caller knows. Invariants: a
//! profile is copied and exchanged only under its lock; no snapshot is unpacked before its checksum was found right;
//! whatever fails, the profile and the last good snapshot are as before.

mod archive;
mod contents;
mod error;
mod foreign;
mod sealed;
mod store;
mod transfer;
mod unpack;

use std::{
    io::{self, Read, Seek},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use archive::{Manifest, Origin};
pub use error::SnapshotError;
pub use foreign::{Adopted, ForeignError, ForeignProfile, SiteStorage, foreign_profiles};
use jiff::{SignedDuration, Timestamp};
pub use sealed::{InvalidPassphrase, Passphrase};
use tokio::{sync::Semaphore, task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;
pub use transfer::{Export, ExportTo, HeldProfile};

use self::{
    archive::Verified,
    store::{Disk, Store},
};
use super::profile::{
    self, Profile, ProfileNote,
    exchange::{EXCHANGE, Places, SET_ASIDE, Step},
};

/// A session that is closed and started again every few minutes need not be copied each time; and what WhatsApp has done
/// meanwhile it does again.
const SNAPSHOT_MIN_AGE: SignedDuration = SignedDuration::from_mins(10);

/// A hundred megabytes take a second or two. The caller that closed the session waits for it, and a disk that hangs must not hold
/// them up for long.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the snapshots of all profiles are, and what they share.
#[derive(Clone, Debug)]
pub struct SnapshotRoot {
    folder: PathBuf,
    keep: usize,
    /// One permit per snapshot that may be written at once.
    turns: Arc<Semaphore>,
    give_up: CancellationToken,
    /// How much there is of the disk that a folder is on.
    look_at: fn(&Path) -> io::Result<Disk>,
}

impl SnapshotRoot {
    /// One folder per profile under `folder`. Keeps `keep` of each, 0: none are taken, and none used. At most `at_once`
    /// are written at a time, and none is finished once `give_up` is cancelled.
    pub fn new(folder: PathBuf, keep: usize, at_once: usize, give_up: CancellationToken) -> Self {
        Self {
            folder,
            keep,
            turns: Arc::new(Semaphore::new(at_once)),
            give_up,
            look_at: Disk::of,
        }
    }

    /// The snapshots of one profile.
    pub fn of(&self, name: &str, profile: PathBuf) -> ProfileSnapshots {
        ProfileSnapshots {
            profile,
            store: Store {
                folder: self.folder.join(name),
                keep: self.keep,
            },
            turns: Arc::clone(&self.turns),
            give_up: self.give_up.clone(),
            look_at: self.look_at,
        }
    }
}

/// The snapshots of one profile. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ProfileSnapshots {
    profile: PathBuf,
    store: Store,
    turns: Arc<Semaphore>,
    give_up: CancellationToken,
    look_at: fn(&Path) -> io::Result<Disk>,
}

/// What became of the request for a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// There is a new one.
    New(Manifest),
    /// The last one of the same link is young enough.
    StillYoung,
    /// None are wanted.
    Off,
}

impl ProfileSnapshots {
    /// Copies the profile, unless the last copy of the same link is young. The profile must have been closed in order.
    pub async fn take(&self, origin: Origin) -> Result<Taken, SnapshotError> {
        if self.store.keep == 0 {
            return Ok(Taken::Off);
        }
        let give_up = self.give_up.child_token();
        // A caller that goes away takes its snapshot along.
        let _guard = give_up.clone().drop_guard();
        let turn = Arc::clone(&self.turns).acquire_owned();
        let Some(Ok(turn)) = give_up.run_until_cancelled(turn).await else {
            return Err(SnapshotError::GivenUp);
        };
        let profile = profile::claim(&self.profile, &CancellationToken::new()).await?;
        let (store, token) = (self.store.clone(), give_up.clone());
        let work = spawn_blocking(move || {
            let _turn = turn;
            if is_still_young(&store, &origin)? {
                return Ok(Taken::StillYoung);
            }
            let chrome = ProfileNote::read_or_linked(&profile.folder).chrome;
            let generation = end_generation(&profile)?;
            store
                .add(&profile.folder, origin, chrome, generation, &token)
                .map(Taken::New)
        });
        tokio::pin!(work);
        let done = tokio::select! {
            done = &mut work => done,
            () = sleep(SNAPSHOT_TIMEOUT) => {
                give_up.cancel();
                work.await
            }
        };
        done.unwrap_or(Err(SnapshotError::GivenUp))
    }

    /// Puts the newest snapshot that is whole and `fits` in the place of the profile, which is set aside. `None` when
    /// there is no such snapshot: the profile then stays, as it does on a disk so full that no profile could be used.
    pub async fn restore(
        &self,
        fits: impl Fn(&Manifest) -> bool + Send + 'static,
    ) -> Result<Option<Manifest>, SnapshotError> {
        if self.store.keep == 0 {
            return Ok(None);
        }
        let (store, look_at) = (self.store.clone(), self.look_at);
        let profile = profile::claim(&self.profile, &CancellationToken::new()).await?;
        self.off_the_runtime(move || {
            let Some(chosen) = store.newest_whole(fits)? else {
                return Ok(None);
            };
            ensure_a_page_can_store(&profile, look_at)?;
            // A second or two of work, which a service that stops waits for.
            put_in_place(&profile, chosen, ComesFrom::Here, &CancellationToken::new()).map(Some)
        })
        .await
    }

    /// Takes the profile out of the way, so that the next start has an empty one. On a disk so full that no profile could be
    /// used it stays.
    pub async fn set_aside(&self) -> Result<(), SnapshotError> {
        let profile = profile::claim(&self.profile, &CancellationToken::new()).await?;
        let look_at = self.look_at;
        self.off_the_runtime(move || {
            ensure_a_page_can_store(&profile, look_at)?;
            let places = Places::of(&profile.folder);
            SET_ASIDE
                .iter()
                .try_for_each(|step| perform(&places, *step))
        })
        .await
    }

    /// Removes the snapshots that `are` of no more use; one that cannot be read stays.
    pub async fn forget(
        &self,
        are: impl Fn(&Manifest) -> bool + Send + 'static,
    ) -> Result<(), SnapshotError> {
        let store = self.store.clone();
        self.off_the_runtime(move || store.forget(are)).await
    }

    /// Removes all snapshots, for an account that is not linked any more.
    pub async fn delete(&self) -> Result<(), SnapshotError> {
        let store = self.store.clone();
        self.off_the_runtime(move || {
            store
                .delete()
                .map_err(|source| SnapshotError::io("deleting", &store.folder, source))
        })
        .await
    }

    /// Thousands of files; the lock moves into the task, which holds it until they are done.
    async fn off_the_runtime<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, SnapshotError> + Send + 'static,
    ) -> Result<T, SnapshotError> {
        spawn_blocking(work)
            .await
            .unwrap_or(Err(SnapshotError::GivenUp))
    }
}

fn is_still_young(store: &Store, origin: &Origin) -> Result<bool, SnapshotError> {
    let Some(newest) = store.all()?.into_iter().next() else {
        return Ok(false);
    };
    // One that cannot be read is worth nothing.
    let Ok(newest) = archive::manifest(&newest) else {
        return Ok(false);
    };
    let age = Timestamp::now().duration_since(newest.taken_at);
    let is_same = newest.account == origin.account && newest.linked_at == origin.linked_at;
    Ok(is_same && (SignedDuration::ZERO..SNAPSHOT_MIN_AGE).contains(&age))
}

fn ensure_a_page_can_store(
    profile: &Profile,
    look_at: fn(&Path) -> io::Result<Disk>,
) -> Result<(), SnapshotError> {
    let parent = profile.folder.parent().unwrap_or(&profile.folder);
    store::ensure_a_page_can_store(parent, look_at)
}

/// Ends the generation of a profile that no Chrome uses, before it is copied.
fn end_generation(profile: &Profile) -> Result<u64, SnapshotError> {
    ProfileNote::end_generation(&profile.folder)
        .map_err(|source| SnapshotError::io("writing to", &profile.folder, source))
}

/// Where a copy comes from that takes a profile's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ComesFrom {
    /// This service has taken it, and its ledger knows what was handed over since.
    Here,
    /// Another host or another program.
    Elsewhere,
}

/// Can be given up until all is unpacked; from there on it is finished, whatever comes.
fn put_in_place<R: Read + Seek>(
    profile: &Profile,
    chosen: Verified<R>,
    from: ComesFrom,
    give_up: &CancellationToken,
) -> Result<Manifest, SnapshotError> {
    let (bytes, generation) = (chosen.manifest.bytes, chosen.manifest.generation);
    let mut manifest = None;
    exchange_for(profile, bytes, generation, from, EXCHANGE, |unpacking| {
        manifest = Some(chosen.unpack(unpacking, give_up)?);
        Ok::<_, SnapshotError>(())
    })?;
    manifest.ok_or(SnapshotError::GivenUp)
}

/// Exchanges the profile for what `unpack` puts into the folder that it is given, `bytes` in all. That has the hand-overs up to
/// `generation`, if it is known.
fn exchange_for<E: From<SnapshotError>>(
    profile: &Profile,
    bytes: u64,
    generation: Option<u64>,
    from: ComesFrom,
    steps: impl IntoIterator<Item = Step>,
    unpack: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let places = Places::of(&profile.folder);
    let parent = profile.folder.parent().unwrap_or(&profile.folder);
    store::ensure_space(parent, bytes)?;
    let mut unpack = Some(unpack);
    for step in steps {
        match (step, unpack.take_if(|_| step == Step::Unpack)) {
            (Step::Unpack, Some(unpack)) => {
                unpack(&places.unpacking)?;
                // Before it takes its place, so that it is known whatever is killed meanwhile.
                let replaced = ProfileNote::read(&profile.folder).ok();
                ProfileNote::change(&places.unpacking, |note| {
                    note.on_restored(generation, from == ComesFrom::Elsewhere, replaced.as_ref());
                })
                .map_err(|source| SnapshotError::io("writing to", &places.unpacking, source))?;
            }
            (step, _) => perform(&places, step)?,
        }
    }
    Ok(())
}

/// Lets `put` put another profile in the place of this one, unless there is one that may not make way. Leaves all as it
/// was when that fails.
fn take_place<T, E: From<SnapshotError>>(
    profile: &Profile,
    may_make_way: impl FnOnce(&Path) -> bool,
    put: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let folder = &profile.folder;
    let failed = |source| SnapshotError::io("looking at", folder, source);
    let is_empty = std::fs::read_dir(folder).map_err(failed)?.next().is_none();
    if is_empty {
        // It came with the lock, or is nothing to keep.
        std::fs::remove_dir(folder).map_err(failed)?;
    } else if !may_make_way(folder) {
        return Err(SnapshotError::ProfileThere {
            path: folder.clone(),
        }
        .into());
    }
    let done = put();
    if done.is_err() {
        // What was unpacked takes up space that may be needed. The next holder of the profile would remove it too.
        Places::of(folder).settle().ok();
    }
    done
}

fn perform(places: &Places, step: Step) -> Result<(), SnapshotError> {
    let performed = places.perform(step);
    match (step, performed) {
        // By then all that matters is done.
        (Step::Prune, Err(why)) => {
            tracing::warn!(error = %why, "an old profile that was set aside could not be removed: {why}");
            Ok(())
        }
        (_, Err(source)) => Err(SnapshotError::io("exchanging", &places.profile, source)),
        (_, Ok(())) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
