//! Copies of a profile that no Chrome writes to: taken, kept, and put in its place when the profile does not work any more.
//!
//! ```text
//!  DATA_DIR/snapshots/51/<time>.manifest, .pack   store over objects: listing, pack, vault (the key); contents
//!                        <time>.snapshot          of an earlier version: archive, unpack
//!  TOKENS_DIR/51/   51.lock   51.aside/<time>/    exchange: what stands next to the profile while a copy takes its place
//!                   51.staging/                   staging: what of a running profile is copied while its Chrome is stopped
//!  a file for another machine                     transfer, sealed, in the format of archive
//!  a profile that another program has made        foreign
//! ```
//!
//! Knows folders and files; whose account it is and whether a snapshot is worth taking, the caller knows. Invariants: a
//! profile is copied and exchanged only under its lock, which a Chrome that is stopped for it holds itself; a Chrome that was
//! stopped goes on, whatever happens; no snapshot is unpacked before its checksums were found right; whatever fails, the profile
//! and the last good snapshot are as before.

mod archive;
mod contents;
mod error;
mod foreign;
mod listing;
mod objects;
mod pack;
mod sealed;
mod staging;
mod store;
mod transfer;
mod unpack;
mod vault;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use archive::{Kind, Manifest, Origin};
pub use error::SnapshotError;
pub use foreign::{Adopted, ForeignError, ForeignProfile, SiteStorage, foreign_profiles};
use jiff::Timestamp;
pub use sealed::{InvalidPassphrase, Passphrase};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
pub use transfer::{Export, ExportTo, HeldProfile};
pub use vault::{InvalidSnapshotKey, SnapshotKey};

use self::{
    objects::Objects,
    staging::{Look, Staging},
    store::{Added, Disk, Store},
    vault::Vault,
};
use super::{
    processes::freezer::{Freezer, Frozen},
    profile::{
        self, Profile, ProfileNote,
        exchange::{EXCHANGE, Places, SET_ASIDE, Step},
    },
};

/// The longest that a Chrome is stopped, and then it goes on without a copy. WhatsApp's server pings a page every 12 s or so, and a
/// caller whose send waits should not notice. It took 20 to 60 ms (docs/profiles.md#snapshots).
const FROZEN_MAX: Duration = Duration::from_secs(2);

/// A hundred megabytes take a second or two. The caller that closed the session waits for it, and a disk that hangs must not hold
/// them up for long.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(60);

/// A thread that was told to give up does so between two files or blocks, which takes milliseconds. One that has not by then hangs
/// in a call to a disk that does not answer, which no program can end. Its caller is on the way to close a session.
const GIVE_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the snapshots of all profiles are, and what they share.
#[derive(Clone, Debug)]
pub struct SnapshotRoot {
    folder: PathBuf,
    keep: usize,
    vault: Vault,
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
            vault: Vault::new(None),
            turns: Arc::new(Semaphore::new(at_once)),
            give_up,
            look_at: Disk::of,
        }
    }

    /// The same, encrypted with this key, if there is one.
    #[must_use]
    pub fn encrypted_with(self, key: Option<&SnapshotKey>) -> Self {
        let vault = Vault::new(key);
        Self { vault, ..self }
    }

    /// The snapshots of one profile.
    pub fn of(&self, name: &str, profile: PathBuf) -> ProfileSnapshots {
        ProfileSnapshots {
            profile,
            store: Store {
                objects: Objects {
                    folder: self.folder.join(name),
                },
                vault: self.vault.clone(),
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
    New(Taking),
    /// Nothing was sent or received since the last one, which is of the same link.
    Unchanged,
    /// None are wanted.
    Off,
}

/// A snapshot that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taking {
    /// What it is a copy of.
    pub manifest: Manifest,
    /// How much of it was not in the one before, as it is stored.
    pub new_bytes: u64,
    /// For how long Chrome was stopped for it; zero where it had been closed.
    pub frozen: Duration,
}

impl Added {
    fn taken(self, frozen: Duration) -> Taken {
        Taken::New(Taking {
            manifest: self.manifest,
            new_bytes: self.new_bytes,
            frozen,
        })
    }
}

impl ProfileSnapshots {
    /// Copies the profile, of which the Chrome must have been closed in order.
    pub async fn take(&self, origin: Origin) -> Result<Taken, SnapshotError> {
        if self.store.keep == 0 {
            return Ok(Taken::Off);
        }
        let turn = self.turn().await?;
        let profile = profile::claim(&self.profile, &CancellationToken::new()).await?;
        let this = self.clone();
        turn.take(move |give_up| this.copy_closed(&profile, origin, give_up))
            .await
    }

    /// Copies the profile of a Chrome that runs, and stops it for the moment that this takes. The caller must have its Chrome, and
    /// have ended this `generation` of the profile. Once this is dropped Chrome goes on, and no copy is made.
    pub async fn take_frozen(
        &self,
        origin: Origin,
        generation: u64,
        freezer: Option<Freezer>,
    ) -> Result<Taken, SnapshotError> {
        if self.store.keep == 0 {
            return Ok(Taken::Off);
        }
        let turn = self.turn().await?;
        // Dropped with this future: the thread may be in the middle of a file.
        let _thaws = freezer.clone().map(Freezer::thaws_when_dropped);
        let this = self.clone();
        turn.take(move |give_up| this.copy_frozen(origin, generation, freezer.as_ref(), give_up))
            .await
    }

    /// Waits for as long as a snapshot may take, and no longer: those that have their turn may be on a disk that hangs.
    async fn turn(&self) -> Result<Turn, SnapshotError> {
        let give_up = self.give_up.child_token();
        let permit = Arc::clone(&self.turns).acquire_owned();
        let permit = timeout(SNAPSHOT_TIMEOUT, give_up.run_until_cancelled(permit)).await;
        match permit {
            Ok(Some(Ok(permit))) => Ok(Turn { permit, give_up }),
            _ => Err(SnapshotError::GivenUp),
        }
    }

    fn copy_closed(
        &self,
        profile: &Profile,
        origin: Origin,
        give_up: &CancellationToken,
    ) -> Result<Taken, SnapshotError> {
        let folder = &profile.folder;
        let writing = self.store.objects.lock(give_up)?;
        let known = self.store.known()?;
        let generation = end_generation(profile)?;
        let look = Look::at(folder).map_err(|why| SnapshotError::io("reading", folder, why))?;
        store::ensure_space(&self.store.objects.folder, known.bytes_missing(&look))?;
        let manifest = Manifest::new(origin, chrome_of(folder), generation, &look.contents);
        let content = |path: &Path| Some(folder.join(path));
        let added = self
            .store
            .add(manifest, &look, &known, content, &writing, give_up)?;
        Ok(added.taken(Duration::ZERO))
    }

    fn copy_frozen(
        &self,
        origin: Origin,
        generation: u64,
        freezer: Option<&Freezer>,
        give_up: &CancellationToken,
    ) -> Result<Taken, SnapshotError> {
        // Where its Chrome has it, whatever becomes of links to it.
        let folder = self.profile.canonicalize();
        let folder =
            &folder.map_err(|source| SnapshotError::io("looking at", &self.profile, source))?;
        let reading = |source: io::Error| {
            if give_up.is_cancelled() {
                return SnapshotError::GivenUp;
            }
            SnapshotError::io("copying", folder, source)
        };
        let writing = self.store.objects.lock(give_up)?;
        let known = self.store.known()?;
        let before = Look::at(folder).map_err(reading)?;
        if is_of_the_same(known.manifest(), &origin) && known.has_the_storage_of(&before) {
            return Ok(Taken::Unchanged);
        }
        let bytes = known.bytes_missing(&before);
        let staging = Places::of(folder).staging;
        store::ensure_space_in_both(folder, &self.store.objects.folder, bytes)?;
        let mut staging = Staging::begin(staging).map_err(reading)?;
        let goes_on = || !give_up.is_cancelled();
        staging
            .copy(
                folder,
                &before,
                &known,
                staging::Profile::IsWritten,
                &goes_on,
            )
            .map_err(reading)?;
        if give_up.is_cancelled() {
            return Err(SnapshotError::GivenUp);
        }
        let stopped = freezer
            .map(|freezer| freezer.freeze(FROZEN_MAX))
            .transpose();
        let stopped = stopped.map_err(|why| SnapshotError::NotStill(why.to_string()))?;
        let taken_at = Timestamp::now();
        let copied = {
            let is_still = || stopped.as_ref().is_none_or(Frozen::holds);
            let goes_on = || !give_up.is_cancelled() && is_still();
            Look::at(folder).and_then(|look| {
                let state = staging::Profile::StandsStill;
                staging.copy(folder, &look, &known, state, &goes_on)?;
                Ok((look, chrome_of(folder)))
            })
        };
        let frozen = match stopped.map(Frozen::thaw) {
            None => Duration::ZERO,
            Some(Some(frozen)) => frozen,
            // It may have written while the last files were copied.
            Some(None) if give_up.is_cancelled() => return Err(SnapshotError::GivenUp),
            Some(None) => {
                let why = format!("it took longer than {} ms to copy", FROZEN_MAX.as_millis());
                return Err(SnapshotError::NotStill(why));
            }
        };
        let (look, chrome) = copied.map_err(reading)?;
        let manifest = Manifest::new(origin, chrome, generation, &look.contents);
        let manifest = manifest.frozen_at(taken_at);
        let content = |path: &Path| staging.path_of(path);
        let added = self
            .store
            .add(manifest, &look, &known, content, &writing, give_up)?;
        Ok(added.taken(frozen))
    }

    /// What the newest one is a copy of, if there is one. Blocks.
    ///
    /// # Errors
    ///
    /// It cannot be read, or not be opened with the key that is set.
    pub fn newest(&self) -> Result<Option<Manifest>, SnapshotError> {
        let newest = self.store.all()?.into_iter().next();
        newest.map(|name| self.store.manifest(&name)).transpose()
    }

    /// Whether any are taken and used.
    pub fn are_kept(&self) -> bool {
        self.store.keep > 0
    }

    /// When the last snapshot of this link was taken, if there is one that can be opened.
    pub async fn taken_at(
        &self,
        fits: impl Fn(&Manifest) -> bool + Send + 'static,
    ) -> Result<Option<Timestamp>, SnapshotError> {
        let store = self.store.clone();
        self.off_the_runtime(move || {
            for name in store.all()? {
                match store.manifest(&name) {
                    Ok(manifest) if fits(&manifest) => return Ok(Some(manifest.taken_at)),
                    Ok(_) => {}
                    Err(why) => tracing::debug!(error = %why, "passed a snapshot over: {why}"),
                }
            }
            Ok(None)
        })
        .await
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
            let Some(chosen) = store.newest_whole(fits, &CancellationToken::new())? else {
                return Ok(None);
            };
            ensure_a_page_can_store(&profile, look_at)?;
            // A second or two of work, which a service that stops waits for.
            let (bytes, copy) = (chosen.manifest().bytes, CopyAge::of(chosen.manifest()));
            let unpack = |folder: &Path| chosen.unpack(folder, &CancellationToken::new());
            put_in_place(&profile, bytes, copy, ComesFrom::Here, unpack).map(Some)
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
        self.off_the_runtime(move || store.delete()).await
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

/// The right to write a snapshot.
struct Turn {
    permit: OwnedSemaphorePermit,
    give_up: CancellationToken,
}

impl Turn {
    /// Does the work off the runtime, as long as a snapshot may take. A caller that goes away takes its snapshot along: the thread
    /// gives up within a moment, and until then it keeps the turn. One that a disk does not let go is left to itself.
    async fn take(
        self,
        work: impl FnOnce(&CancellationToken) -> Result<Taken, SnapshotError> + Send + 'static,
    ) -> Result<Taken, SnapshotError> {
        let Self { permit, give_up } = self;
        let _guard = give_up.clone().drop_guard();
        let token = give_up.clone();
        let mut work = spawn_blocking(move || {
            let _permit = permit;
            work(&token)
        });
        let done = tokio::select! {
            done = &mut work => done,
            () = sleep(SNAPSHOT_TIMEOUT) => {
                give_up.cancel();
                let Ok(done) = timeout(GIVE_UP_TIMEOUT, work).await else {
                    return Err(SnapshotError::Hangs);
                };
                done
            }
        };
        done.unwrap_or(Err(SnapshotError::GivenUp))
    }
}

/// Whether the last snapshot is of the link that is to be copied.
fn is_of_the_same(last: Option<&Manifest>, origin: &Origin) -> bool {
    last.is_some_and(|last| last.account == origin.account && last.linked_at == origin.linked_at)
}

fn chrome_of(profile: &Path) -> Option<String> {
    ProfileNote::read_or_linked(profile).chrome
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

/// How old a copy is that takes a profile's place, as far as it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CopyAge {
    /// It has the hand-overs up to this one.
    generation: Option<u64>,
    taken_at: Option<Timestamp>,
}

impl CopyAge {
    const fn of(manifest: &Manifest) -> Self {
        Self {
            generation: manifest.generation,
            taken_at: Some(manifest.taken_at),
        }
    }
}

/// Exchanges the profile for the copy that is unpacked, `bytes` in all. To unpack may be given up; from there on it is finished,
/// whatever comes.
fn put_in_place(
    profile: &Profile,
    bytes: u64,
    copy: CopyAge,
    from: ComesFrom,
    unpack: impl FnOnce(&Path) -> Result<Manifest, SnapshotError>,
) -> Result<Manifest, SnapshotError> {
    let mut manifest = None;
    exchange_for(profile, bytes, copy, from, EXCHANGE, |unpacking| {
        manifest = Some(unpack(unpacking)?);
        Ok::<_, SnapshotError>(())
    })?;
    manifest.ok_or(SnapshotError::GivenUp)
}

/// Exchanges the profile for what `unpack` puts into the folder that it is given, `bytes` in all and as old as `copy` says.
fn exchange_for<E: From<SnapshotError>>(
    profile: &Profile,
    bytes: u64,
    copy: CopyAge,
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
                    note.copied_at = copy.taken_at;
                    let is_from_elsewhere = from == ComesFrom::Elsewhere;
                    note.on_restored(copy.generation, is_from_elsewhere, replaced.as_ref());
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
