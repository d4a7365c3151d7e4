//! What is done so that a profile is never lost: when a snapshot is taken, and what becomes of a profile that is of no use.
//!
//! Decides; how a folder is copied and exchanged is [`browser`]'s part.
//!
//! ```text
//!  was READY, closed in order ──▶ a snapshot
//!  READY after a scan, and every few minutes ──▶ a snapshot, while Chrome is stopped for a moment
//!  linked, but the storage is gone or cannot be used ──▶ set aside, snapshot in its place ──▶ a start
//!                                                          └─ none, or no use either ──▶ a scan, and why
//!  linked, and the profile is gone from its place ──▶ snapshot in its place ──▶ a start
//!                                                          └─ none ──▶ ERROR, no scan
//!  linked, and TOKENS_DIR knows nothing of it ──▶ ERROR: a volume that is not mounted is no loss
//! ```
//!
//! Invariants: only a link is copied that was READY and ended well, or that is READY while its Chrome is stopped; a snapshot is used only for the very link that it is
//! of; for one loss that is tried once, also over restarts of the service, and a second time only with a copy of another kind.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{fs::try_exists, task::spawn_blocking};

use crate::{
    browser::{
        self, Closed, Freezer, HeldProfile, Kind, Link, Manifest, ProfileNote, ProfileSnapshots,
        Rescue, SnapshotError, Taken, Taking,
    },
    session::{
        ClienteId, Reason, ReasonCode, SessionState, Snapshot,
        linking::account_link::{self, link_of},
        run_end::End,
    },
};

/// What has become of a copy of a running profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) struct Copied {
    /// When the last one was taken, if there is one.
    pub(in crate::session) taken_at: Option<Timestamp>,
    /// When the next one is due; `None` when this one failed.
    pub(in crate::session) next_in: Option<Duration>,
}

/// Whether a copy of a running profile is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) enum BegunCopy {
    NotDue(Copied),
    Due(DueCopy),
}

/// A copy of a running profile that is to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) struct DueCopy {
    link: Link,
    last: Option<Timestamp>,
    /// The one that was ended for it.
    pub(in crate::session) generation: u64,
}

impl DueCopy {
    /// It cannot be taken now.
    pub(in crate::session) fn put_off(self) -> Copied {
        Copied {
            taken_at: self.last,
            next_in: None,
        }
    }
}

/// What one session does about its profile.
#[derive(Clone, Debug)]
pub(in crate::session) struct Safekeeping {
    id: ClienteId,
    profile: PathBuf,
    snapshots: ProfileSnapshots,
}

impl Safekeeping {
    pub(in crate::session) const fn new(
        id: ClienteId,
        profile: PathBuf,
        snapshots: ProfileSnapshots,
    ) -> Self {
        Self {
            id,
            profile,
            snapshots,
        }
    }

    /// Chrome has been closed. Takes a snapshot when the profile is worth one, and answers when it did.
    pub(in crate::session) async fn after_close(
        &self,
        before: &Snapshot,
        why: &End,
        closed: Closed,
    ) -> Option<Timestamp> {
        if !is_worth_a_snapshot(before, why, closed) {
            return None;
        }
        // Without a note it could not be told later whose copy it is.
        let link = link_of(&self.profile).await?;
        let origin = account_link::origin(link, &self.id);
        match self.snapshots.take(origin).await {
            Ok(Taken::New(taking)) => Some(log(&taking)),
            Ok(Taken::Unchanged | Taken::Off) => None,
            Err(why) => {
                log_failure(&why);
                None
            }
        }
    }

    /// The session is READY and runs: whether a copy of its profile is due, since there is none of its link, or the last one is as
    /// old as `min_age`. If so, the generation of the profile is ended, and [`copy_running`](Self::copy_running) is to follow.
    pub(in crate::session) async fn begin_copy(
        &self,
        min_age: Duration,
        every: Duration,
    ) -> BegunCopy {
        let link = link_of(&self.profile).await;
        let Some(link) = link.filter(|_| self.snapshots.are_kept()) else {
            return BegunCopy::NotDue(Copied {
                taken_at: None,
                next_in: Some(every),
            });
        };
        let last = self.snapshots.taken_at(is_of(&link)).await;
        let last = last.unwrap_or_else(|why| {
            log_failure(&why);
            None
        });
        // The clock may have been set since.
        let age = last.map(|last| Timestamp::now().duration_since(last));
        let age = age.map(|age| Duration::try_from(age).unwrap_or_default());
        let rest = age.and_then(|age| min_age.checked_sub(age));
        if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
            return BegunCopy::NotDue(Copied {
                taken_at: last,
                next_in: Some(rest),
            });
        }
        let profile = self.profile.clone();
        // Off the runtime, as the disk may hang.
        let ended = spawn_blocking(move || ProfileNote::end_generation(&profile)).await;
        match ended.map_err(std::io::Error::from).flatten() {
            Ok(generation) => BegunCopy::Due(DueCopy {
                link,
                last,
                generation,
            }),
            Err(error) => {
                tracing::warn!(%error, "no snapshot of the profile was taken, since nothing can be noted in it: {error}");
                BegunCopy::NotDue(Copied {
                    taken_at: last,
                    next_in: None,
                })
            }
        }
    }

    /// Takes the copy, if anything was sent or received since the last one. Its Chrome is stopped for a moment. What is handed over
    /// meanwhile must count into the generation after the one that was ended.
    pub(in crate::session) async fn copy_running(
        &self,
        due: DueCopy,
        freezer: Option<Freezer>,
        every: Duration,
    ) -> Copied {
        let DueCopy {
            link,
            last,
            generation,
        } = due;
        let origin = account_link::origin(link, &self.id);
        let taken = self.snapshots.take_frozen(origin, generation, freezer);
        let (taken_at, next_in) = match taken.await {
            Ok(Taken::New(taking)) => (Some(log(&taking)), Some(every)),
            Ok(Taken::Unchanged | Taken::Off) => (last, Some(every)),
            Err(why) => {
                log_failure(&why);
                (last, None)
            }
        };
        Copied { taken_at, next_in }
    }

    /// Before a start: sees that the profile of a session that was linked then is there. A snapshot takes its place when it
    /// was removed from where it lay.
    ///
    /// # Errors
    ///
    /// It is not there, and nothing may begin in its place.
    pub(in crate::session) async fn find_profile(
        &self,
        linked_at: Option<Timestamp>,
    ) -> Result<(), Reason> {
        let Some(linked_at) = linked_at else {
            return Ok(());
        };
        if !account_link::is_missing(&self.profile).await {
            return Ok(());
        }
        // The lock stays next to a folder that is removed. Without either, this is not the folder that the profile lay in: a
        // copy that went on here would be a second device with the same keys, once the right folder is back.
        let is_in_its_place =
            has(&self.profile).await || has(&browser::lock_of(&self.profile)).await;
        if !is_in_its_place {
            return Err(profile_missing(
                &self.id,
                &self.profile,
                "is TOKENS_DIR mounted? if not, mount it",
            ));
        }
        let of_this_link = move |manifest: &Manifest| manifest.linked_at == Some(linked_at);
        match self.snapshots.restore(of_this_link).await {
            Ok(Some(manifest)) => {
                tracing::warn!(
                    session.reason = ReasonCode::ProfileMissing.as_str(),
                    snapshot.taken_at = %manifest.taken_at,
                    "the profile was gone, and the snapshot of {} is in its place",
                    manifest.taken_at,
                );
                if let Some(link) = link_of(&self.profile).await {
                    let rescue = self.rescued_by(&manifest, &link).await;
                    if let Err(error) = self.note(link, rescue).await {
                        tracing::error!(%error, "nothing can be noted in the profile folder: {error}");
                    }
                }
                Ok(())
            }
            Ok(None) => Err(profile_missing(
                &self.id,
                &self.profile,
                "it was removed, and there is no snapshot of its link; if there is a copy, put it back",
            )),
            Err(error) => {
                let why = format!(
                    "it was removed, and the snapshot cannot be used: {error}; see to that"
                );
                Err(profile_missing(&self.id, &self.profile, &why))
            }
        }
    }

    /// Whether the session has no profile folder yet.
    pub(in crate::session) async fn has_no_folder(&self) -> bool {
        matches!(try_exists(&self.profile).await, Ok(false))
    }

    /// Whether the profile is gone that the session was linked by, if it was.
    pub(in crate::session) async fn is_missing(&self) -> bool {
        account_link::is_missing(&self.profile).await
    }

    /// Whether the profile may hold a link.
    pub(in crate::session) async fn may_be_linked(&self) -> bool {
        let profile = self.profile.clone();
        // Off the runtime: the disk may hang. Only a runtime that goes down does not look.
        let looked = spawn_blocking(move || account_link::may_be_linked(&profile)).await;
        looked.unwrap_or(true)
    }

    /// Whether the service has seen the link of the profile go.
    pub(in crate::session) async fn is_unlinked(&self) -> bool {
        let profile = self.profile.clone();
        let looked = spawn_blocking(move || account_link::is_gone(&profile)).await;
        looked.unwrap_or(false)
    }

    /// Deletes a profile that no phone has ever scanned, or whose link is gone. Answers `false` and keeps it when it may hold
    /// a link after all: `session-manager adopt` may have put one there in this moment. What was set aside stays: it may be
    /// an account's.
    pub(in crate::session) async fn delete_unlinked(&self) -> Result<bool, browser::BrowserError> {
        let stays = browser::Aside::Stays;
        browser::delete_profile_unless(&self.profile, stays, account_link::may_be_linked).await
    }

    /// Keeps every other program from the profile while no Chrome does. `None` when it cannot be had: then the next start says why.
    pub(in crate::session) async fn hold(&self) -> Option<HeldProfile> {
        let held = HeldProfile::take(&self.profile).await;
        held.inspect_err(|error| tracing::warn!(%error, "the profile is not held while no Chrome has it: {error}"))
            .ok()
    }

    /// The session ended for this reason; with `is_starting` before it was READY. Does what can be done for a profile that
    /// has lost its link or cannot be used; once for each loss. Answers whether the session is to be started again: another profile is
    /// in its place, or this one is to ask for a scan. Where nothing could be done, `why` says so.
    pub(in crate::session) async fn rescue(&self, why: &mut Reason, is_starting: bool) -> bool {
        if !is_the_profiles_fault(why.code, is_starting) {
            return false;
        }
        let Some(link) = link_of(&self.profile).await else {
            return false;
        };
        let next = match (link.rescue, why.code) {
            (Rescue::None | Rescue::FrozenCopy, _) => self.restore(&link, why).await,
            (Rescue::ProfileCopy, ReasonCode::StorageError) => self.empty(why).await,
            (Rescue::ProfileCopy | Rescue::All, _) => return false,
        };
        let noted = match next {
            Ok(rescue) => self.note(link, rescue).await,
            Err(error) => {
                tracing::error!(%error, "the profile is of no use, and nothing could take its place: {error}");
                // To ask for a scan would cost the link, which is still in the snapshot: a person must act first.
                let is_for_want_of_key = matches!(error, SnapshotError::OtherKey { .. });
                if why.code == ReasonCode::StorageLost || is_for_want_of_key {
                    why.code = ReasonCode::SnapshotUnusable;
                }
                why.detail = format!(
                    "the storage of the profile is damaged, and nothing could take its place, so it was left as it is: {error}; \
                     then POST /connect"
                );
                return false;
            }
        };
        if let Err(error) = noted {
            tracing::error!(%error, "nothing can be noted in the profile folder: {error}");
            return false;
        }
        true
    }

    /// No new Chrome has helped on this profile: the last snapshot of its link takes its place, if there is one, once for each
    /// link that was READY.
    pub(in crate::session) async fn restore_copy(&self) {
        let Some(link) = link_of(&self.profile).await else {
            return;
        };
        if !matches!(link.rescue, Rescue::None | Rescue::FrozenCopy) {
            return;
        }
        match self.put_back(&link).await {
            Ok(Some((manifest, rescue))) => {
                tracing::warn!(
                    snapshot.taken_at = %manifest.taken_at,
                    "no new Chrome has helped: the profile was set aside, and the snapshot of {} is in its place",
                    manifest.taken_at,
                );
                if let Err(error) = self.note(link, rescue).await {
                    tracing::error!(%error, "nothing can be noted in the profile folder: {error}");
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "no new Chrome has helped, and the snapshot cannot be used: {error}");
            }
        }
    }

    async fn restore(&self, link: &Link, why: &Reason) -> Result<Rescue, SnapshotError> {
        let Some((manifest, rescue)) = self.put_back(link).await? else {
            return self.empty(why).await;
        };
        tracing::warn!(
            session.reason = why.code.as_str(),
            snapshot.taken_at = %manifest.taken_at,
            "the profile is of no use ({}): it was set aside, and the snapshot of {} is in its place",
            why.code.as_str(),
            manifest.taken_at,
        );
        Ok(rescue)
    }

    /// Puts the last copy of this link in the place of its profile, and answers what has been done with that. After one of a running
    /// Chrome, which may have what that one had already spoiled, it is the last of a Chrome that was closed.
    async fn put_back(&self, link: &Link) -> Result<Option<(Manifest, Rescue)>, SnapshotError> {
        let (is_its, is_second) = (is_of(link), link.rescue == Rescue::FrozenCopy);
        let fits = move |manifest: &Manifest| {
            is_its(manifest) && (!is_second || manifest.kind == Kind::Closed)
        };
        let Some(manifest) = self.snapshots.restore(fits).await? else {
            return Ok(None);
        };
        let rescue = self.rescued_by(&manifest, link).await;
        Ok(Some((manifest, rescue)))
    }

    async fn rescued_by(&self, manifest: &Manifest, link: &Link) -> Rescue {
        let is_its = is_of(link);
        let is_closed = move |other: &Manifest| is_its(other) && other.kind == Kind::Closed;
        let may_be_spoiled = manifest.kind == Kind::Frozen;
        if may_be_spoiled && matches!(self.snapshots.taken_at(is_closed).await, Ok(Some(_))) {
            Rescue::FrozenCopy
        } else {
            Rescue::ProfileCopy
        }
    }

    /// Storage that does not work makes way for an empty folder; storage that Chrome has created again can be linked as it is.
    async fn empty(&self, why: &Reason) -> Result<Rescue, SnapshotError> {
        if why.code != ReasonCode::StorageLost {
            self.snapshots.set_aside().await?;
        }
        tracing::error!(
            session.reason = why.code.as_str(),
            "the profile has lost its link, and no snapshot can bring it back: a phone must scan again"
        );
        Ok(Rescue::All)
    }

    /// Notes what has been done about the loss of this link.
    async fn note(&self, link: Link, rescue: Rescue) -> std::io::Result<()> {
        tokio::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.profile)
            .await?;
        account_link::note(&self.profile, Some(Link { rescue, ..link })).await
    }

    /// The device is unlinked: its copies hold keys that are of no use.
    pub(in crate::session) async fn delete(&self) -> Result<(), SnapshotError> {
        self.snapshots.delete().await
    }
}

/// Says that a snapshot was taken, and answers when.
fn log(taking: &Taking) -> Timestamp {
    let manifest = &taking.manifest;
    let frozen_ms = u64::try_from(taking.frozen.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        snapshot.files = manifest.files,
        snapshot.bytes = manifest.bytes,
        snapshot.new_bytes = taking.new_bytes,
        snapshot.frozen_ms = frozen_ms,
        "took a snapshot of the profile"
    );
    manifest.taken_at
}

fn log_failure(why: &SnapshotError) {
    tracing::warn!(
        error = %why,
        "no snapshot of the profile was taken: {why}; the last one, if any, stays"
    );
}

/// Whether a snapshot is one of this link: another account's must never take its place.
fn is_of(link: &Link) -> impl Fn(&Manifest) -> bool + Send + use<> {
    let linked_at = link.linked_at;
    move |manifest| manifest.linked_at == Some(linked_at)
}

/// Whether a profile is worth a snapshot: linked, READY in this run, ended by request, and written out by Chrome.
fn is_worth_a_snapshot(before: &Snapshot, why: &End, closed: Closed) -> bool {
    let is_linked = matches!(
        before.state,
        SessionState::Ready | SessionState::Hibernating | SessionState::Authenticated
    );
    // The phase of a start goes when the session is READY.
    let was_ready = is_linked && before.phase.is_none();
    was_ready && !why.unlinked && !why.reason.is_failure() && closed == Closed::Asked
}

/// Whether a run that ended so ended because of the profile. Storage that fails while the session runs is given a new Chrome
/// first: it may be the disk, and the next start will tell.
fn is_the_profiles_fault(code: ReasonCode, is_starting: bool) -> bool {
    code == ReasonCode::StorageLost || (code == ReasonCode::StorageError && is_starting)
}

/// A session that was linked has no profile.
pub(in crate::session) fn profile_missing(
    id: &ClienteId,
    profile: &Path,
    what_to_do: &str,
) -> Reason {
    let detail = format!(
        "the profile of this session is missing ({}): {what_to_do}, then POST /connect; \
         to give the link up and scan again: DELETE /sessions/{id}, then POST /connect",
        profile.display()
    );
    Reason::new(ReasonCode::ProfileMissing, detail)
}

/// What cannot be looked at may be there.
async fn has(path: &Path) -> bool {
    try_exists(path).await.unwrap_or(true)
}

/// Why a linked profile shows a login screen.
pub(in crate::session) fn storage_lost(is_final: bool) -> Reason {
    let detail = if is_final {
        "the profile has lost its link without a word from WhatsApp (its storage was damaged), and no snapshot could bring it back; \
         scan a code to link it again"
    } else {
        "the profile has lost its link without a word from WhatsApp (its storage was damaged); the last snapshot takes its place"
    };
    Reason::new(ReasonCode::StorageLost, detail)
}
