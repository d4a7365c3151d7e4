//! A session that was never linked leaves nothing, and one that was linked is never begun anew for want of its profile.

use std::fs;

use super::*;
use crate::{
    browser::ProfileNote,
    session::{ForgetError, command::Origin, keeping::desired::DesiredFile},
};

const STORAGE: &str = "Default/IndexedDB/storage";

/// A session whose Chrome makes a profile folder, as a real one does.
struct Lodger {
    stage: Stage,
    desired: DesiredFile,
    session: Session,
}

impl Lodger {
    fn new() -> Self {
        let stage = Stage::new(1, 1);
        let desired = stage.desired("51");
        let session = stage.session_as("51", None, desired.clone());
        Self {
            stage,
            desired,
            session,
        }
    }

    fn make_profile(&self) {
        self.copy_a_profile();
        self.note(|note| note.chrome = Some("156.0.0.0".to_owned()));
    }

    /// Another program has left one here.
    fn copy_a_profile(&self) {
        let storage = self.stage.profile("51").join(STORAGE);
        fs::create_dir_all(storage.parent().unwrap()).unwrap();
        fs::write(storage, "linked").unwrap();
    }

    fn note(&self, change: impl FnOnce(&mut ProfileNote)) {
        ProfileNote::change(&self.stage.profile("51"), change).unwrap();
    }

    /// As `session-manager adopt` does.
    fn adopt(&self) {
        let profile = self.stage.profile("51");
        fs::rename(&profile, profile.with_extension("before")).ok();
        self.make_profile();
        self.note(|note| note.linked_once = true);
    }

    fn has_storage(&self) -> bool {
        let storage = self.stage.profile("51").join(STORAGE);
        storage.try_exists().unwrap()
    }

    /// Its first start has failed, for want of a network.
    async fn failed(&mut self) {
        self.session.handle.start();
        let page = self.session.opened().await;
        self.make_profile();
        let lost = Fact::PageLost("no network".to_owned());
        page.send(lost).await.unwrap();
        assert!(matches!(self.session.call().await, Call::Closed));
        let ended = |snapshot: &Snapshot| !snapshot.state.is_running();
        self.session.snapshots.wait_for(ended).await.unwrap();
    }

    /// Was READY, and runs.
    async fn linked() -> (Self, mpsc::Sender<Fact>) {
        let mut lodger = Self::new();
        lodger.session.handle.start();
        let page = lodger.session.opened().await;
        lodger.make_profile();
        say(&page, ready()).await;
        lodger.session.reaches("READY").await;
        lodger.remembers_its_link().await;
        (lodger, page)
    }

    /// Was READY, and was closed in order.
    async fn closed() -> Self {
        let (mut lodger, _page) = Self::linked().await;
        lodger.session.handle.disconnect(false).await.unwrap();
        assert!(matches!(lodger.session.call().await, Call::Closed));
        lodger
    }

    async fn remembers_its_link(&self) {
        let remembers = async {
            while self.desired.linked_at().await.is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(NEVER, remembers).await.unwrap();
    }

    /// Shows a code.
    async fn shows_a_code(&mut self) -> mpsc::Sender<Fact> {
        self.session.handle.start();
        let page = self.session.opened().await;
        self.make_profile();
        say(&page, login(Some("a"))).await;
        self.session.reaches("QR_REQUIRED").await;
        page
    }

    async fn assert_missing(&mut self) {
        let last = self.session.reaches("ERROR").await;
        let reason = last.reason.unwrap();
        assert_eq!(reason.code, ReasonCode::ProfileMissing);
        for remedy in ["is missing (", "DELETE /sessions/51"] {
            assert!(reason.detail.contains(remedy), "{}", reason.detail);
        }
        assert!(self.desired.is_owed().await, "it should be up and READY");
        assert!(self.desired.linked_at().await.is_some());
    }

    fn tokens(&self) -> std::path::PathBuf {
        self.stage.folder.path().join("tokens")
    }

    fn aside(&self) -> std::path::PathBuf {
        self.stage.folder.path().join("unmounted")
    }

    /// What is left in a folder of the stage.
    fn left_in(&self, folder: &str) -> usize {
        let folder = fs::read_dir(self.stage.folder.path().join(folder));
        folder.map_or(0, Iterator::count)
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_not_mounted_are_an_error_and_no_scan_and_come_back() {
    let mut lodger = Lodger::closed().await;
    fs::rename(lodger.tokens(), lodger.aside()).unwrap();
    fs::create_dir(lodger.tokens()).unwrap();
    lodger
        .session
        .handle
        .start_for(Origin::Caller)
        .await
        .unwrap();
    lodger.assert_missing().await;
    assert_eq!(lodger.left_in("tokens"), 0, "no profile is begun there");
    fs::remove_dir(lodger.tokens()).unwrap();
    fs::rename(lodger.aside(), lodger.tokens()).unwrap();
    lodger.session.ready().await;
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_was_removed_from_its_place_comes_back_from_its_snapshot() {
    let mut lodger = Lodger::closed().await;
    assert_eq!(lodger.left_in("snapshots/51"), 1);
    fs::remove_dir_all(lodger.stage.profile("51")).unwrap();
    lodger.session.handle.start();
    let _page = lodger.session.opened().await;
    let storage = fs::read_to_string(lodger.stage.profile("51").join(STORAGE));
    assert_eq!(storage.unwrap(), "linked");
}

#[tokio::test(start_paused = true)]
async fn without_a_snapshot_a_removed_profile_is_an_error() {
    let mut lodger = Lodger::closed().await;
    fs::remove_dir_all(lodger.stage.profile("51")).unwrap();
    fs::remove_dir_all(lodger.stage.folder.path().join("snapshots")).unwrap();
    lodger.session.handle.start();
    lodger.assert_missing().await;
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_taken_away_while_a_session_runs_end_it_and_not_its_link() {
    for says_login in [false, true] {
        let (mut lodger, page) = Lodger::linked().await;
        fs::rename(lodger.tokens(), lodger.aside()).unwrap();
        if says_login {
            say(&page, login(Some("a"))).await;
        }
        lodger.assert_missing().await;
        fs::rename(lodger.aside(), lodger.tokens()).unwrap();
        lodger.remembers_its_link().await;
        assert!(matches!(lodger.session.call().await, Call::Closed));
        lodger.session.ready().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_was_removed_on_the_phone_still_asks_for_a_scan() {
    let (mut lodger, page) = Lodger::linked().await;
    say(&page, login(Some("a"))).await;
    lodger.session.reaches("QR_REQUIRED").await;
    let forgets = async {
        while lodger.desired.is_linked().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(NEVER, forgets).await.unwrap();
    // Nobody scans: what was linked once is not deleted for that.
    let last = lodger.session.reaches("DISCONNECTED").await;
    assert!(!last.is_forgotten);
    assert!(lodger.stage.profile("51").try_exists().unwrap());
}

#[tokio::test(start_paused = true)]
async fn codes_that_nobody_scanned_leave_nothing() {
    for is_told in [false, true] {
        let mut lodger = Lodger::new();
        let _page = lodger.shows_a_code().await;
        if is_told {
            lodger.session.handle.disconnect(false).await.unwrap();
        }
        let forgotten = |snapshot: &Snapshot| snapshot.is_forgotten;
        let last = timeout(NEVER, lodger.session.snapshots.wait_for(forgotten)).await;
        let last = last.unwrap().unwrap().clone();
        let why = last.reason.unwrap().code;
        let wanted = if is_told {
            ReasonCode::DisconnectRequested
        } else {
            ReasonCode::QrTimeout
        };
        assert_eq!((last.state.name(), why), ("DISCONNECTED", wanted));
        for folder in ["tokens", "evidence", "sessions", "snapshots"] {
            assert_eq!(lodger.left_in(folder), 0, "{folder}");
        }
        assert!(matches!(lodger.session.call().await, Call::Closed));
        // It can be connected again all the same.
        let _page = lodger.shows_a_code().await;
        assert!(!lodger.session.handle.snapshot().is_forgotten);
    }
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_was_there_before_is_not_deleted_for_codes_that_nobody_scanned() {
    let mut lodger = Lodger::new();
    lodger.copy_a_profile();
    let _page = lodger.shows_a_code().await;
    lodger.session.reaches("DISCONNECTED").await;
    assert!(
        lodger
            .stage
            .profile("51")
            .join(STORAGE)
            .try_exists()
            .unwrap()
    );
}

#[tokio::test(start_paused = true)]
async fn an_operator_deletes_what_is_not_linked_and_neither_what_runs_nor_what_is() {
    let (mut lodger, page) = Lodger::linked().await;
    let refused = lodger.session.handle.forget().await;
    assert!(matches!(refused, Err(ForgetError::Running)), "{refused:?}");
    lodger.session.handle.disconnect(false).await.unwrap();
    assert!(matches!(lodger.session.call().await, Call::Closed));
    drop(page);
    let refused = lodger.session.handle.forget().await;
    assert!(matches!(refused, Err(ForgetError::Linked)), "{refused:?}");
    // A profile that this service has never used may be linked, too.
    let other = Lodger::new();
    other.copy_a_profile();
    let refused = other.session.handle.forget().await;
    assert!(matches!(refused, Err(ForgetError::Linked)), "{refused:?}");

    // One that is missing is given up, and begins anew with a scan.
    fs::remove_dir_all(lodger.tokens()).unwrap();
    lodger.session.handle.start();
    lodger.assert_missing().await;
    lodger.session.handle.forget().await.unwrap();
    let last = lodger.session.handle.snapshot();
    assert_eq!((last.state.name(), last.reason), ("DISCONNECTED", None));
    assert!(last.is_forgotten);
    assert_eq!(lodger.left_in("sessions"), 0);
    let _page = lodger.shows_a_code().await;
}

#[tokio::test(start_paused = true)]
async fn a_logout_of_a_session_whose_profile_is_missing_gives_it_up() {
    let mut lodger = Lodger::closed().await;
    fs::remove_dir_all(lodger.tokens()).unwrap();
    lodger.session.handle.start();
    lodger.assert_missing().await;
    lodger.session.handle.disconnect(true).await.unwrap();
    assert_eq!(lodger.left_in("sessions"), 0);
    let _page = lodger.shows_a_code().await;
}

#[tokio::test(start_paused = true)]
async fn an_adopted_profile_is_deleted_by_nobody_before_it_was_ready() {
    let lodger = Lodger::new();
    lodger.adopt();
    let refused = lodger.session.handle.forget().await;
    assert!(matches!(refused, Err(ForgetError::Linked)), "{refused:?}");
    assert!(lodger.has_storage());

    // Nor one that was copied here by hand, whose first start has failed.
    let mut lodger = Lodger::new();
    lodger.copy_a_profile();
    lodger.failed().await;
    let refused = lodger.session.handle.forget().await;
    assert!(matches!(refused, Err(ForgetError::Linked)), "{refused:?}");
    assert!(lodger.has_storage());
}

#[tokio::test(start_paused = true)]
async fn a_profile_adopted_after_a_first_start_that_failed_outlives_codes_that_nobody_scanned() {
    for is_told in [false, true] {
        let mut lodger = Lodger::new();
        lodger.failed().await;
        assert!(lodger.desired.is_newcomer().await);
        lodger.adopt();
        let refused = lodger.session.handle.forget().await;
        assert!(matches!(refused, Err(ForgetError::Linked)), "{refused:?}");
        let _page = lodger.shows_a_code().await;
        assert!(!lodger.desired.is_newcomer().await);
        if is_told {
            lodger.session.handle.disconnect(false).await.unwrap();
        }
        lodger.session.reaches("DISCONNECTED").await;
        assert!(matches!(lodger.session.call().await, Call::Closed));
        assert!(lodger.has_storage());
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_could_not_be_noted_is_not_deleted() {
    let mut lodger = Lodger::new();
    let page = lodger.shows_a_code().await;
    // Nothing can be written there, as on a full disk.
    let profile = lodger.stage.profile("51");
    fs::create_dir(profile.join("session-manager.json.new")).unwrap();
    say(&page, ready()).await;
    lodger.session.reaches("READY").await;
    lodger.session.handle.disconnect(false).await.unwrap();
    assert_eq!(ProfileNote::read(&profile).unwrap().link(), None);
    assert!(lodger.has_storage());
}

#[tokio::test(start_paused = true)]
async fn an_operator_deletes_what_was_removed_on_the_phone() {
    let (mut lodger, page) = Lodger::linked().await;
    lodger.note(|note| note.linked_once = true);
    say(&page, login(Some("a"))).await;
    lodger.session.reaches("DISCONNECTED").await;
    lodger.session.handle.forget().await.unwrap();
    assert!(!lodger.has_storage());
}

#[tokio::test(start_paused = true)]
async fn a_first_start_that_failed_is_told_of_for_an_hour_and_then_leaves_nothing() {
    let mut lodger = Lodger::new();
    lodger.failed().await;
    tokio::time::sleep(Duration::from_secs(3500)).await;
    let last = lodger.session.handle.snapshot();
    let why = last.reason.clone().unwrap();
    assert!(!last.is_forgotten && why.code == ReasonCode::PageLost);
    assert!(lodger.has_storage());
    assert_eq!(lodger.left_in("evidence"), 1);
    let forgotten = |snapshot: &Snapshot| snapshot.is_forgotten;
    let last = timeout(NEVER, lodger.session.snapshots.wait_for(forgotten)).await;
    let last = last.unwrap().unwrap().clone();
    assert_eq!(last.reason.unwrap(), why);
    for folder in ["tokens", "evidence", "sessions", "snapshots"] {
        assert_eq!(lodger.left_in(folder), 0, "{folder}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_left_starts_no_chrome_for_a_caller_who_has_gone() {
    let mut lodger = Lodger::new();
    let _page = lodger.shows_a_code().await;
    lodger.session.reaches("DISCONNECTED").await;
    let forgotten = |snapshot: &Snapshot| snapshot.is_forgotten;
    lodger.session.snapshots.wait_for(forgotten).await.unwrap();
    assert!(matches!(lodger.session.call().await, Call::Closed));
    let Session {
        handle, mut calls, ..
    } = lodger.session;
    handle.start();
    // As the registry does when nobody else has one.
    drop(handle);
    let opened = timeout(NEVER, calls.recv()).await;
    assert!(matches!(opened, Ok(None)), "it started: {opened:?}");
}
