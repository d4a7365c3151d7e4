//! What is done so that a profile is not lost, and when.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    browser::{ProfileNote, SnapshotRoot},
    session::linking::account_link::origin,
};

/// One that the session's service does not have.
const SNAPSHOT_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

const STORAGE: &str = "Default/IndexedDB/storage";
const EVERY: Duration = Duration::from_secs(600);

/// A session with a real profile folder, which says what it holds.
impl Scenario {
    /// Linked and READY, then closed in order.
    async fn kept() -> Self {
        Self::kept_with(|_| {}).await
    }

    async fn kept_with(change: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut session = Self::on(Stage::with(change));
        session.store("linked");
        session.becomes_ready().await;
        session.ends().await;
        assert_eq!(session.snapshots(), 1);
        session
    }

    /// The same, and its storage was lost since, as a crash of the machine may make it.
    async fn damaged() -> Self {
        let session = Self::kept().await;
        session.store("garbage");
        session
    }

    pub(super) fn store(&self, what: &str) {
        let storage = self.stage.path("tokens/51").join(STORAGE);
        fs::create_dir_all(storage.parent().unwrap()).unwrap();
        fs::write(storage, what).unwrap();
    }

    pub(super) fn storage(&self) -> Option<String> {
        fs::read_to_string(self.stage.path("tokens/51").join(STORAGE)).ok()
    }

    #[track_caller]
    fn assert_storage(&self, storage: &str, set_aside: &[&str]) {
        assert_eq!(self.storage().as_deref(), Some(storage));
        assert_eq!(self.set_aside(), set_aside);
    }

    pub(super) fn snapshots(&self) -> usize {
        let is_manifest = |path: &&PathBuf| path.extension().is_some_and(|it| it == "manifest");
        entries(&self.stage.path("snapshots/51"))
            .iter()
            .filter(is_manifest)
            .count()
    }

    /// One that is copied while it runs, and is READY.
    async fn copied_while_it_runs() -> Self {
        Self::copied_every(EVERY).await
    }

    async fn copied_every(every: Duration) -> Self {
        let mut session = Self::on(Stage::with(|config| {
            config.snapshot_every = Some(every);
        }));
        session.store("linked");
        session.becomes_ready().await;
        session.sees(|now| now.profile_copied_at.is_some()).await;
        session
    }

    /// Its Chrome ends, and its storage with it, as in a power cut; it begins again.
    async fn loses_its_storage(&mut self) {
        self.loses_chrome().await;
        self.asks(Call::Closed).await;
        self.store("garbage");
        self.asks(Call::Opened).await;
        self.says(login(Some("a"))).await;
        self.begins_again().await;
    }

    /// What the folders that were set aside hold.
    fn set_aside(&self) -> Vec<String> {
        let folders = entries(&self.stage.path("tokens/51.aside"));
        let storage = |folder: PathBuf| fs::read_to_string(folder.join(STORAGE)).unwrap();
        folders.into_iter().map(storage).collect()
    }

    /// Starts and lets the page show a code that a phone could scan; a profile that was linked is tried again.
    async fn starts_with_a_code(&mut self) {
        self.starts().await;
        self.says(login(Some("a"))).await;
    }

    /// Asserts that the session takes another Chrome by itself.
    async fn begins_again(&mut self) {
        self.replaces_chrome().await;
        assert_eq!(self.snapshot().state, SessionState::Init);
    }

    async fn asks_for_a_scan(&mut self) -> crate::session::Reason {
        self.says(login(Some("b"))).await;
        let code = ReasonCode::StorageLost;
        self.reaches_for("QR_REQUIRED", code).await
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

fn broken_storage() -> Standing {
    Standing {
        recognised: true,
        trouble: Some(Trouble::StorageError),
        ..Standing::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_leaves_a_snapshot_when_it_stops_in_order_and_neither_unlinked_nor_failed() {
    for (how, snapshots) in [("stops", 1), ("fails", 0), ("unlinked", 0)] {
        let mut session = Scenario::new();
        session.store("linked");
        if how == "unlinked" {
            session.shows_a_code().await;
            session.disconnects().await;
        } else {
            session.becomes_ready().await;
        }
        if how == "stops" {
            session.stops().await;
        } else if how == "fails" {
            session.loses_chrome().await;
            session.reaches("DISCONNECTED").await;
        }
        assert_eq!(session.snapshots(), snapshots, "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_lost_comes_back_from_the_snapshot_by_itself() {
    let mut session = Scenario::damaged().await;
    session.starts_with_a_code().await;
    session.begins_again().await;
    session.assert_storage("linked", &["garbage"]);
    assert_eq!(session.shows(ready(), "READY").await.reason, None);
    // A logout takes all of it along.
    session.handle.disconnect(true).await.unwrap();
    assert_eq!((session.set_aside().len(), session.snapshots()), (0, 0));
    assert!(!session.stage.path("tokens/51").try_exists().unwrap());
}

/// A session that was READY on a snapshot after something was handed over to TO, and nothing to OTHER.
async fn put_back(change: impl FnOnce(&mut SessionConfig)) -> Scenario {
    let mut session = Scenario::kept_with(change).await;
    session.becomes_ready().await;
    let sent = session.send(TO);
    session.hands_over_and_ack().await;
    sent.sent().await;
    session.loses_chrome().await;
    session.store("garbage");
    session.begins_again().await;
    session.says(login(Some("a"))).await;
    session.begins_again().await;
    session.shows(ready(), "READY").await;
    session
}

fn lacking() -> Result<(), ResetError> {
    Err(ResetError::Lacking("no such function".to_owned()))
}

impl Scenario {
    /// Whose Signal sessions the page is asked to reset next: a number, or none for the account's own devices.
    async fn resets(&mut self) -> Option<String> {
        let call = self.call().await;
        let Call::Reset(whose) = call else {
            panic!("{call:?}");
        };
        match whose {
            Whose::Recipient(prepared) => Some((*prepared.chat).to_owned()),
            Whose::OwnDevices => None,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn before_a_send_to_whom_a_snapshot_does_not_know_new_signal_sessions_are_begun_once() {
    let mut session = put_back(|_| {}).await;
    let other = session.send(OTHER);
    assert_eq!(
        session.resets().await,
        None,
        "the own devices, and not Other"
    );
    session.hands_over_and_ack().await;
    other.sent().await;
    // A page that reloads itself in the midst of it is asked again.
    session.plan.resets.plan(Err(ResetError::NoAnswer(
        "between two documents".to_owned(),
    )));
    for resets in [2, 0] {
        let sent = session.send(TO);
        for _ in 0..resets {
            assert_eq!(
                session.resets().await.as_deref(),
                Some("5491158254201@c.us")
            );
        }
        session.hands_over_and_ack().await;
        sent.sent().await;
    }
    session.has_asked_nothing();
}

#[tokio::test(start_paused = true)]
async fn a_page_that_cannot_begin_new_signal_sessions_gets_nothing_for_those_recipients() {
    let mut session = put_back(|_| {}).await;
    session.plan.resets.plan(lacking());
    let stale = session.sees(|now| now.stale.is_some()).await.stale.unwrap();
    assert_eq!((stale.recipients, stale.own_devices), (1, true));
    assert!(stale.copied_at < stale.restored_at, "{stale:?}");
    assert_eq!(stale.cannot_reset, None);
    for (to, is_stale) in [(TO, true), (OTHER, false)] {
        let checked = session.handle.check(to.parse().unwrap()).await.unwrap();
        assert_eq!(checked.is_stale, is_stale, "{to}");
    }
    let refused = session.send(TO);
    assert!(session.resets().await.is_some());
    assert_is!(refused.refused().await, SendError::ProfileStale(_));
    let why = "no such function";
    session
        .sees(|now| {
            let stale = now.stale.as_ref().unwrap();
            stale.cannot_reset.as_deref() == Some(why)
        })
        .await;
    // Other's message is seen by Other; what the own phone shows is another matter.
    session.plan.resets.plan(lacking());
    for resets in [1, 0] {
        let other = session.send(OTHER);
        for _ in 0..resets {
            assert_eq!(session.resets().await, None);
        }
        session.hands_over_and_ack().await;
        other.sent().await;
    }
    // And what is left to be done outlives the page.
    session.loses_chrome().await;
    session.begins_again().await;
    session.shows(ready(), "READY").await;
    let sent = session.send(TO);
    assert!(session.resets().await.is_some());
    assert_eq!(session.resets().await, None);
    session.hands_over_and_ack().await;
    sent.sent().await;
    // Then it does not matter any more.
    session.sees(|now| now.stale.is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn who_accepts_the_risk_sends_all_the_same_and_what_is_left_to_be_done_stays() {
    let mut session = put_back(|config| config.stale_sends = StaleSends::Risk).await;
    for _ in 0..2 {
        session.plan.resets.plan(lacking());
    }
    for resets in [2, 1] {
        let sent = session.send(TO);
        for _ in 0..resets {
            session.resets().await;
        }
        session.hands_over_and_ack().await;
        sent.sent().await;
    }
    session.has_asked_nothing();
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_over_before_a_snapshot_took_its_place_is_never_handed_over_again() {
    let mut session = Scenario::kept().await;
    session.becomes_ready().await;
    let sent = session.send(TO);
    let key = session.hands_over().await;
    session.loses_chrome().await;
    assert_is!(sent.refused().await, SendError::Unconfirmed { .. });
    session.store("garbage");
    session.begins_again().await;
    session.says(login(Some("a"))).await;
    session.begins_again().await;
    session.assert_storage("linked", &["garbage"]);
    // The snapshot is from before the message: the page does not have it.
    session.says(ready()).await;
    session.looks_up(&key).await;
    session.stage.becomes(&key, SendState::Unknown).await;
    session.reaches("READY").await;
    session.has_asked_nothing();
}

#[tokio::test(start_paused = true)]
async fn a_login_screen_without_a_code_may_still_turn_out_to_be_linked() {
    let mut session = Scenario::kept().await;
    session.starts().await;
    session.says(login(None)).await;
    session.shows(ready(), "READY").await;
    session.assert_storage("linked", &[]);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_lost_without_a_snapshot_asks_for_a_scan_and_says_why() {
    let mut session = Scenario::damaged().await;
    fs::remove_dir_all(session.stage.path("snapshots")).unwrap();
    session.starts_with_a_code().await;
    session.begins_again().await;
    for _ in 0..2 {
        let reason = session.asks_for_a_scan().await;
        assert!(reason.detail.contains("scan"), "{}", reason.detail);
        session.ends().await;
        session.starts().await;
    }
    // Chrome has begun its storage again, and it can be linked.
    assert_eq!(session.storage().as_deref(), Some("garbage"));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_no_use_is_tried_once_and_again_after_a_scan() {
    let mut session = Scenario::damaged().await;
    session.starts_with_a_code().await;
    session.begins_again().await;
    session.asks_for_a_scan().await;
    assert_eq!(session.set_aside(), ["garbage"]);

    session.shows(ready(), "READY").await;
    session.ends().await;
    session.store("garbage");
    session.starts_with_a_code().await;
    session.begins_again().await;
    assert_eq!(session.storage().as_deref(), Some("linked"));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_another_link_is_not_used() {
    let mut session = Scenario::kept().await;
    // Removed on the phone, and linked to another account, in a run that did not end well.
    session.becomes_ready().await;
    session.shows(login(Some("a")), "QR_REQUIRED").await;
    let account = Some("5491100000002".into());
    session
        .shows(Standing { account, ..ready() }, "READY")
        .await;
    session.loses_chrome().await;
    session.reaches("DISCONNECTED").await;
    session.asks(Call::Closed).await;

    session.store("garbage");
    session.starts_with_a_code().await;
    session.begins_again().await;
    assert_eq!(session.storage().as_deref(), Some("garbage"));
    session.asks_for_a_scan().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_was_removed_is_no_loss_and_its_profile_stays() {
    let mut session = Scenario::kept().await;
    session.becomes_ready().await;
    let removed = Fact::LoggedOut("user_initiated".to_owned());
    session.tells(removed).await;
    session.says(login(Some("a"))).await;
    let code = ReasonCode::Unlinked;
    session.reaches_for("QR_REQUIRED", code).await;
    session.ends().await;

    session.shows_a_code().await;
    assert_eq!(session.snapshot().reason, None);
    session.assert_storage("linked", &[]);
    session.shows(ready(), "READY").await;
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_is_told_before_the_page_is_up_is_no_loss() {
    let mut session = Scenario::kept().await;
    session.starts().await;
    let removed = Fact::LoggedOut("unknown_companion".to_owned());
    session.tells(removed).await;
    session.shows(login(Some("a")), "QR_REQUIRED").await;
    assert_eq!(session.set_aside(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn storage_that_cannot_be_used_makes_way_for_the_snapshot_and_then_for_an_empty_profile() {
    let mut session = Scenario::damaged().await;
    session.starts().await;
    session.says(broken_storage()).await;
    session.begins_again().await;
    assert_eq!(session.storage().as_deref(), Some("linked"));
    session.says(broken_storage()).await;
    session.begins_again().await;
    assert_eq!(session.storage(), None);
    assert_eq!(session.set_aside(), ["garbage", "linked"]);
    session.asks_for_a_scan().await;
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_nothing_can_take_the_place_of_is_left_and_the_reason_says_so() {
    let mut session = Scenario::kept().await;
    fs::remove_dir_all(session.stage.path("snapshots")).unwrap();
    // Where it would be set aside.
    fs::write(session.stage.path("tokens/51.aside"), "").unwrap();
    session.starts().await;
    session.says(broken_storage()).await;
    let code = ReasonCode::StorageError;
    let reason = session.reaches_for("ERROR", code).await;
    assert!(reason.detail.contains("left as it is"), "{}", reason.detail);
    assert_eq!(session.storage().as_deref(), Some("linked"));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_without_its_key_costs_nothing_and_needs_a_person() {
    let mut session = Scenario::kept().await;
    let (profile, id) = (session.stage.path("tokens/51"), "51".parse().unwrap());
    let link = ProfileNote::read(&profile).unwrap().link().cloned();
    let key = SNAPSHOT_KEY.parse().unwrap();
    let root = SnapshotRoot::new(
        session.stage.path("snapshots"),
        1,
        1,
        CancellationToken::new(),
    );
    let with_key = root.encrypted_with(Some(&key)).of("51", profile);
    with_key.take(origin(link.unwrap(), &id)).await.unwrap();
    session.store("garbage");
    for _ in 0..2 {
        session.starts_with_a_code().await;
        let code = ReasonCode::SnapshotUnusable;
        let reason = session.reaches_for("ERROR", code).await;
        assert!(reason.detail.contains("SNAPSHOT_KEY"), "{}", reason.detail);
        session.asks(Call::Closed).await;
        session.assert_storage("garbage", &[]);
        assert_eq!(session.snapshots(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn storage_that_fails_while_the_session_runs_leaves_the_profile_where_it_is() {
    let mut session = Scenario::kept().await;
    session.becomes_ready().await;
    session.says(broken_storage()).await;
    let code = ReasonCode::StorageError;
    session.reaches_for("ERROR", code).await;
    session.assert_storage("linked", &[]);
}

#[tokio::test(start_paused = true)]
async fn a_profile_is_not_replaced_while_its_chromes_were_ready_or_have_no_network() {
    for (times, has_network) in [(6, true), (20, false)] {
        let mut session = Scenario::kept().await;
        // Since the last snapshot.
        session.store("linked, and used");
        session.becomes_ready().await;
        session.loses_chrome().await;
        for _ in 0..times {
            session.begins_again().await;
            if has_network {
                session.shows(ready(), "READY").await;
                session.loses_chrome().await;
            } else {
                session.shows(offline(), "AUTHENTICATED").await;
            }
        }
        session.begins_again().await;
        session.assert_storage("linked, and used", &[]);
        session.shows(ready(), "READY").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_profile_on_which_no_chrome_is_ready_any_more_gives_way_to_its_snapshot() {
    // By itself, or by the word of a caller who does not wait for that.
    for asks in [false, true] {
        let mut session = Scenario::damaged().await;
        session.becomes_ready().await;
        for _ in 0..5 {
            session.loses_chrome().await;
            if asks {
                session.sees(|now| now.retry_at.is_some()).await;
                session.handle.start();
            }
            session.replaces_chrome().await;
        }
        session.assert_storage("linked", &["garbage"]);
        session.shows(ready(), "READY").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_without_memory_for_the_chrome_that_is_to_try_another_profile_says_so() {
    let mut session = Scenario::kept_with(|config| config.min_free_memory_mb = 400).await;
    session.store("garbage");
    session.starts().await;
    set_free_mb(100);
    session.says(login(Some("a"))).await;
    let code = ReasonCode::Capacity;
    let reason = session.reaches_for("DISCONNECTED", code).await;
    assert!(reason.detail.contains("MIN_FREE_MEMORY_MB"));
}

#[tokio::test(start_paused = true)]
async fn a_session_has_a_copy_of_its_profile_as_soon_as_it_is_ready() {
    let mut session = Scenario::copied_while_it_runs().await;
    session.loses_its_storage().await;
    session.assert_storage("linked", &["garbage"]);
    assert_eq!(session.shows(ready(), "READY").await.reason, None);
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_a_running_chrome_that_is_of_no_use_gives_way_to_the_last_of_a_closed_one() {
    let mut session = Scenario::kept_with(|config| config.snapshot_every = Some(EVERY)).await;
    // Its page has not noticed yet.
    session.store("spoiled");
    session.becomes_ready().await;
    let before = session.snapshot().profile_copied_at;
    session.sees(|now| now.profile_copied_at != before).await;
    session.loses_its_storage().await;
    session.assert_storage("spoiled", &["garbage"]);
    session.says(login(Some("a"))).await;
    session.begins_again().await;
    session.assert_storage("linked", &["garbage", "spoiled"]);
    // Each once.
    session.asks_for_a_scan().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_runs_is_copied_again_as_often_as_asked_for() {
    let mut session = Scenario::copied_while_it_runs().await;
    session.store("used since");
    let first = session.snapshot().profile_copied_at;
    tokio::time::sleep(EVERY / 2).await;
    assert_eq!(session.snapshot().profile_copied_at, first);
    session
        .sees(|now| now.profile_copied_at != first && now.profile_copied_at.is_some())
        .await;
    session.loses_its_storage().await;
    session.assert_storage("used since", &["garbage"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_over_after_a_copy_counts_into_the_next_generation() {
    // Before a send that WhatsApp's server does not take counts as stalled.
    let mut session = Scenario::copied_every(EVERY / 10).await;
    let profile = session.stage.path("tokens/51");
    let in_profile = || ProfileNote::read(&profile).unwrap().generation;
    let ledger = session.stage.ledger.clone();
    let of = async |key: &str| ledger.find(key).await.unwrap().unwrap().borrow().generation;
    // The copy says that it has everything of the first one.
    assert!(in_profile() >= 1);
    let sent = session.send(TO);
    let taken = session.hands_over_and_ack().await;
    sent.sent().await;
    let generation = of(&taken).await;
    assert!(generation >= Some(1), "{generation:?}");
    // One that is on its way when a copy is taken may be in it, or not.
    let on_its_way = session.send(TO);
    let key = session.hands_over().await;
    let before = in_profile();
    until(async || in_profile() > before && of(&key).await == Some(in_profile())).await;
    // The other one is in it for certain.
    assert_eq!(of(&taken).await, generation);
    session.ack(&key).await;
    drop(on_its_way);
}

#[tokio::test(start_paused = true)]
async fn a_copy_makes_no_send_new_that_was_handed_over_before_another_copy_took_the_profiles_place()
{
    let mut session = Scenario::copied_every(EVERY / 10).await;
    let sent = session.send(TO);
    let key = session.hands_over().await;
    session.loses_its_storage().await;
    assert_is!(sent.refused().await, SendError::Unconfirmed { .. });
    let silent = || Err(LookUpError::NoAnswer("no answer".to_owned()));
    for _ in 0..3 {
        session.plan.look_ups.plan(silent());
    }
    session.shows(ready(), "READY").await;
    for _ in 0..3 {
        session.looks_up(&key).await;
    }
    let before = session.snapshot().profile_copied_at;
    session.store("used since");
    session.sees(|now| now.profile_copied_at != before).await;
    // The page that is asked again does not have it, and need not know.
    session.looks_up(&key).await;
    session.stage.becomes(&key, SendState::Unknown).await;
    session.has_asked_nothing();
}

#[tokio::test(start_paused = true)]
async fn to_close_a_session_goes_before_to_copy_it() {
    let mut session = Scenario::on(Stage::with(|config| {
        config.snapshot_every = Some(EVERY);
    }));
    session.store(&"linked".repeat(1_000_000));
    session.becomes_ready().await;
    session.ends().await;
    assert_eq!(session.snapshots(), 1);
    session.store("garbage");
    session.starts().await;
    session.says(login(Some("a"))).await;
    session.begins_again().await;
    assert!(session.storage().unwrap().starts_with("linkedlinked"));
}
