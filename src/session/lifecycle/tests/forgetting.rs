//! A session that was never linked leaves nothing, and one that was linked does not begin again when its profile is missing.

use std::fs;

use super::*;
use crate::{browser::ProfileNote, session::ForgetError};

/// A session whose Chrome makes a profile folder, as a real one does.
impl Scenario {
    fn make_profile(&self) {
        self.store("linked");
        self.note(|note| note.chrome = Some("156.0.0.0".to_owned()));
    }

    fn note(&self, change: impl FnOnce(&mut ProfileNote)) {
        ProfileNote::change(&self.stage.path("tokens/51"), change).unwrap();
    }

    /// As `session-manager adopt` does.
    fn adopt(&self) {
        let profile = self.stage.path("tokens/51");
        fs::rename(&profile, profile.with_extension("before")).ok();
        self.make_profile();
        self.note(|note| note.linked_once = true);
    }

    /// Its first start has failed, for want of a network.
    async fn failed(&mut self) {
        self.starts().await;
        self.make_profile();
        self.tells(Fact::PageLost("no network".to_owned())).await;
        self.asks(Call::Closed).await;
        self.sees(|now| !now.state.is_running()).await;
    }

    /// Was READY, and runs.
    async fn linked() -> Self {
        let mut session = Self::new();
        session.starts().await;
        session.make_profile();
        session.shows(ready(), "READY").await;
        session.remembers_its_link().await;
        session
    }

    /// Was READY, and was closed in order.
    async fn closed() -> Self {
        let mut session = Self::linked().await;
        session.ends().await;
        session
    }

    async fn remembers_its_link(&self) {
        until(async || self.desired.linked_at().await.is_some()).await;
    }

    async fn shows_a_code_with_a_profile(&mut self) {
        self.starts().await;
        self.make_profile();
        self.shows(login(Some("a")), "QR_REQUIRED").await;
    }

    async fn is_missing_its_profile(&mut self) {
        let code = ReasonCode::ProfileMissing;
        let reason = self.reaches_for("ERROR", code).await;
        for remedy in ["is missing (", "DELETE /sessions/51"] {
            assert!(reason.detail.contains(remedy), "{}", reason.detail);
        }
        assert!(
            self.desired.must_be_ready().await,
            "it should be up and READY"
        );
        assert!(self.desired.linked_at().await.is_some());
    }

    async fn is_not_forgotten_for_its_link(&self) {
        assert_is!(self.handle.forget().await, Err(ForgetError::Linked));
        assert_eq!(self.storage().as_deref(), Some("linked"));
    }

    async fn is_forgotten(&mut self) -> Snapshot {
        self.sees(|now| now.is_forgotten).await
    }

    /// The disk of the profiles is taken away, or comes back.
    fn unmount(&self) {
        fs::rename(self.stage.path("tokens"), self.stage.path("unmounted")).unwrap();
    }

    fn mount(&self) {
        fs::remove_dir(self.stage.path("tokens")).ok();
        fs::rename(self.stage.path("unmounted"), self.stage.path("tokens")).unwrap();
    }

    fn left_in(&self, folder: &str) -> usize {
        fs::read_dir(self.stage.path(folder)).map_or(0, Iterator::count)
    }

    #[track_caller]
    fn assert_nothing_is_left(&self) {
        for folder in ["tokens", "evidence", "sessions", "snapshots"] {
            assert_eq!(self.left_in(folder), 0, "{folder}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_not_mounted_are_an_error_and_no_scan_and_come_back() {
    let mut session = Scenario::closed().await;
    session.unmount();
    fs::create_dir(session.stage.path("tokens")).unwrap();
    session.handle.start();
    session.is_missing_its_profile().await;
    assert_eq!(session.left_in("tokens"), 0, "no profile is begun there");
    session.mount();
    session.becomes_ready().await;
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_was_removed_comes_back_from_its_snapshot_or_is_an_error() {
    for has_snapshot in [true, false] {
        let mut session = Scenario::closed().await;
        // Its manifest, its pack, and the lock of both.
        assert_eq!(session.left_in("snapshots/51"), 3);
        fs::remove_dir_all(session.stage.path("tokens/51")).unwrap();
        if has_snapshot {
            session.starts().await;
            assert_eq!(session.storage().as_deref(), Some("linked"));
        } else {
            fs::remove_dir_all(session.stage.path("snapshots")).unwrap();
            session.handle.start();
            session.is_missing_its_profile().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_taken_away_while_a_session_runs_end_it_and_not_its_link() {
    for says_login in [false, true] {
        let mut session = Scenario::linked().await;
        session.unmount();
        if says_login {
            session.says(login(Some("a"))).await;
        }
        session.is_missing_its_profile().await;
        session.mount();
        session.remembers_its_link().await;
        session.asks(Call::Closed).await;
        session.becomes_ready().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_was_removed_on_the_phone_asks_for_a_scan_and_is_not_deleted_for_that() {
    let mut session = Scenario::linked().await;
    session.says(login(Some("a"))).await;
    let code = ReasonCode::Unlinked;
    session.reaches_for("QR_REQUIRED", code).await;
    until(async || !session.desired.is_linked().await).await;
    // No phone scans the code: what was linked once is not deleted for that.
    let last = session.reaches("DISCONNECTED").await;
    assert!(!last.is_forgotten);
    assert_eq!(session.storage().as_deref(), Some("linked"));
    // An operator may do so.
    session.note(|note| note.linked_once = true);
    session.handle.forget().await.unwrap();
    assert_eq!(session.storage(), None);
}

#[tokio::test(start_paused = true)]
async fn codes_that_were_not_scanned_leave_nothing() {
    for (is_told, code) in [
        (false, ReasonCode::QrTimeout),
        (true, ReasonCode::DisconnectRequested),
    ] {
        let mut session = Scenario::new();
        session.shows_a_code_with_a_profile().await;
        if is_told {
            session.disconnects().await;
        }
        let last = session.is_forgotten().await;
        assert_eq!(last.state.name(), "DISCONNECTED");
        assert_eq!(last.reason.unwrap().code, code);
        session.assert_nothing_is_left();
        session.asks(Call::Closed).await;
        // It can be connected again all the same.
        session.shows_a_code_with_a_profile().await;
        assert!(!session.snapshot().is_forgotten);
    }
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_was_there_before_is_not_deleted_for_codes_that_were_not_scanned() {
    let mut session = Scenario::new();
    session.store("linked");
    session.shows_a_code_with_a_profile().await;
    session.reaches("DISCONNECTED").await;
    assert_eq!(session.storage().as_deref(), Some("linked"));
}

#[tokio::test(start_paused = true)]
async fn an_operator_deletes_what_is_missing_and_neither_what_runs_nor_what_is_linked() {
    let mut session = Scenario::linked().await;
    assert_is!(session.handle.forget().await, Err(ForgetError::Running));
    session.ends().await;
    session.is_not_forgotten_for_its_link().await;
    // One that is missing is given up, and begins again with a scan.
    fs::remove_dir_all(session.stage.path("tokens")).unwrap();
    session.handle.start();
    session.is_missing_its_profile().await;
    session.handle.forget().await.unwrap();
    let last = session.snapshot();
    assert_eq!((last.state.name(), last.reason), ("DISCONNECTED", None));
    assert!(last.is_forgotten);
    assert_eq!(session.left_in("sessions"), 0);
    session.shows_a_code_with_a_profile().await;
}

#[tokio::test(start_paused = true)]
async fn a_logout_of_a_session_whose_profile_is_missing_gives_it_up() {
    let mut session = Scenario::closed().await;
    fs::remove_dir_all(session.stage.path("tokens")).unwrap();
    session.handle.start();
    session.is_missing_its_profile().await;
    session.handle.disconnect(true).await.unwrap();
    assert_eq!(session.left_in("sessions"), 0);
    session.shows_a_code_with_a_profile().await;
}

#[tokio::test(start_paused = true)]
async fn a_profile_from_elsewhere_is_not_deleted_before_it_was_ready() {
    // It was copied here by hand, or adopted.
    let session = Scenario::new();
    session.store("linked");
    session.is_not_forgotten_for_its_link().await;
    let session = Scenario::new();
    session.adopt();
    session.is_not_forgotten_for_its_link().await;
    // Nor one whose first start has failed.
    let mut session = Scenario::new();
    session.store("linked");
    session.failed().await;
    session.is_not_forgotten_for_its_link().await;
}

#[tokio::test(start_paused = true)]
async fn a_profile_adopted_after_a_first_start_that_failed_outlives_codes_that_were_not_scanned() {
    for is_told in [false, true] {
        let mut session = Scenario::new();
        session.failed().await;
        assert!(session.desired.is_newcomer().await);
        session.adopt();
        session.is_not_forgotten_for_its_link().await;
        session.shows_a_code_with_a_profile().await;
        assert!(!session.desired.is_newcomer().await);
        if is_told {
            session.disconnects().await;
        }
        session.reaches("DISCONNECTED").await;
        session.asks(Call::Closed).await;
        assert_eq!(session.storage().as_deref(), Some("linked"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_could_not_be_noted_is_not_deleted() {
    let mut session = Scenario::new();
    session.shows_a_code_with_a_profile().await;
    // Nothing can be written there, as on a full disk.
    let profile = session.stage.path("tokens/51");
    fs::create_dir(profile.join("session-manager.json.new")).unwrap();
    session.shows(ready(), "READY").await;
    session.disconnects().await;
    assert_eq!(ProfileNote::read(&profile).unwrap().link(), None);
    assert_eq!(session.storage().as_deref(), Some("linked"));
}

#[tokio::test(start_paused = true)]
async fn a_first_start_that_failed_is_told_of_for_an_hour_and_then_leaves_nothing() {
    let mut session = Scenario::new();
    session.failed().await;
    seconds(3500).await;
    let last = session.snapshot();
    let why = last.reason.clone().unwrap();
    assert!(!last.is_forgotten && why.code == ReasonCode::PageLost);
    assert_eq!(session.storage().as_deref(), Some("linked"));
    assert_eq!(session.left_in("evidence"), 1);
    assert_eq!(session.is_forgotten().await.reason, Some(why));
    session.assert_nothing_is_left();
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_left_starts_no_chrome_for_a_caller_who_has_gone() {
    let mut session = Scenario::new();
    session.shows_a_code_with_a_profile().await;
    session.is_forgotten().await;
    session.asks(Call::Closed).await;
    let Scenario {
        handle, mut calls, ..
    } = session;
    handle.start();
    // As the registry does when no other caller has one.
    drop(handle);
    assert_is!(timeout(NEVER, calls.recv()).await, Ok(None));
}
