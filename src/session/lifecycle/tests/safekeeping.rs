//! What is done so that a profile is not lost, and when.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{healing::lose_chrome, *};
use crate::ledger::SendState;

const STORAGE: &str = "Default/IndexedDB/storage";

/// A session with a real profile folder, which says what it holds.
struct Kept {
    stage: Stage,
    session: Session,
}

impl Kept {
    /// Linked and READY, then closed in order.
    async fn closed() -> Self {
        Self::closed_on(Stage::new(1, 1)).await
    }

    async fn closed_on(stage: Stage) -> Self {
        let mut session = stage.session("51");
        let storage = stage.profile("51").join(STORAGE);
        fs::create_dir_all(storage.parent().unwrap()).unwrap();
        fs::write(storage, "linked").unwrap();
        let _page = session.ready().await;
        let mut kept = Self { stage, session };
        kept.disconnect().await;
        kept
    }

    async fn ready(&mut self) -> mpsc::Sender<Fact> {
        self.session.ready().await
    }

    async fn disconnect(&mut self) {
        self.session.handle.disconnect(false).await.unwrap();
        assert!(matches!(self.session.call().await, Call::Closed));
    }

    fn storage(&self) -> Option<String> {
        fs::read_to_string(self.stage.profile("51").join(STORAGE)).ok()
    }

    /// As a crash of the machine may.
    fn damage(&self) {
        fs::write(self.stage.profile("51").join(STORAGE), "garbage").unwrap();
    }

    /// Since the last snapshot.
    fn use_further(&self) {
        fs::write(self.stage.profile("51").join(STORAGE), "linked, and used").unwrap();
    }

    fn snapshots(&self) -> Vec<PathBuf> {
        entries(&self.stage.folder.path().join("snapshots/51"))
    }

    /// What the folders that were set aside hold.
    fn set_aside(&self) -> Vec<String> {
        let folders = entries(&self.stage.folder.path().join("tokens/51.aside"));
        let storage = |folder: PathBuf| fs::read_to_string(folder.join(STORAGE)).unwrap();
        folders.into_iter().map(storage).collect()
    }

    /// Starts and lets the page show a code that a phone could scan.
    async fn shows_a_code(&mut self) -> mpsc::Sender<Fact> {
        self.session.handle.start();
        let page = self.session.opened().await;
        say(&page, login(Some("a"))).await;
        page
    }

    /// Asserts that the session takes another Chrome by itself, and gives its page.
    async fn opened_anew(&mut self) -> mpsc::Sender<Fact> {
        assert!(matches!(self.session.call().await, Call::Closed));
        let page = self.session.opened().await;
        let state = self.session.handle.snapshot().state;
        assert_eq!(state, SessionState::Init);
        page
    }
}

fn entries(folder: &std::path::Path) -> Vec<PathBuf> {
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
async fn a_session_that_was_ready_leaves_a_snapshot_when_it_is_closed() {
    let kept = Kept::closed().await;
    assert_eq!(kept.snapshots().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_service_leaves_a_snapshot_too() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    fs::create_dir_all(stage.profile("51")).unwrap();
    let _page = session.ready().await;
    stage.stop.cancel();
    timeout(NEVER, &mut session.task).await.unwrap().unwrap();
    let snapshots = entries(&stage.folder.path().join("snapshots/51"));
    assert_eq!(snapshots.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn neither_an_unlinked_session_nor_one_that_failed_leaves_a_snapshot() {
    for fails in [true, false] {
        let stage = Stage::new(1, 1);
        let mut session = stage.session("51");
        fs::create_dir_all(stage.profile("51")).unwrap();
        if fails {
            let page = session.ready().await;
            let lost = Fact::BrowserLost("killed".to_owned());
            page.send(lost).await.unwrap();
            session.reaches("DISCONNECTED").await;
        } else {
            session.handle.start();
            let page = session.opened().await;
            say(&page, login(Some("a"))).await;
            session.reaches("QR_REQUIRED").await;
            session.handle.disconnect(false).await.unwrap();
        }
        let snapshots = entries(&stage.folder.path().join("snapshots/51"));
        assert_eq!(snapshots, [""; 0].map(PathBuf::from), "fails: {fails}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_lost_comes_back_from_the_snapshot_with_nobody_asking() {
    let mut kept = Kept::closed().await;
    kept.damage();
    let _page = kept.shows_a_code().await;
    let page = kept.opened_anew().await;
    assert_eq!(kept.storage().as_deref(), Some("linked"));
    assert_eq!(kept.set_aside(), ["garbage"]);
    say(&page, ready()).await;
    let ready = kept.session.reaches("READY").await;
    assert_eq!(ready.reason, None);
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_over_before_a_snapshot_took_its_place_is_never_handed_over_again() {
    let mut kept = Kept::closed().await;
    let page = kept.ready().await;
    let sent = kept.session.send("5491158254201");
    let key = kept.session.handed_over().await.key;
    lose_chrome(&page).await;
    assert!(matches!(
        sent.await.unwrap(),
        Err(SendError::Unconfirmed { .. })
    ));
    kept.damage();
    let page = kept.opened_anew().await;
    say(&page, login(Some("a"))).await;
    let page = kept.opened_anew().await;
    assert_eq!(kept.storage().as_deref(), Some("linked"));
    // The snapshot is from before the message: the page does not have it.
    say(&page, ready()).await;
    assert_eq!(kept.session.looked_up().await, key);
    kept.stage.becomes(&key, SendState::Unknown).await;
    kept.session.reaches("READY").await;
    assert!(kept.session.calls.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_login_screen_without_a_code_may_still_turn_out_to_be_linked() {
    let mut kept = Kept::closed().await;
    kept.session.handle.start();
    let page = kept.session.opened().await;
    say(&page, login(None)).await;
    say(&page, ready()).await;
    kept.session.reaches("READY").await;
    assert_eq!(kept.set_aside(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_lost_without_a_snapshot_asks_for_a_scan_and_says_why() {
    let mut kept = Kept::closed().await;
    fs::remove_dir_all(kept.stage.folder.path().join("snapshots")).unwrap();
    kept.damage();
    let _page = kept.shows_a_code().await;
    for again in [false, true] {
        let page = if again {
            kept.disconnect().await;
            kept.session.handle.start();
            kept.session.opened().await
        } else {
            kept.opened_anew().await
        };
        say(&page, login(Some("b"))).await;
        let asks = kept.session.reaches("QR_REQUIRED").await;
        let reason = asks.reason.unwrap();
        assert_eq!(reason.code, ReasonCode::StorageLost);
        assert!(reason.detail.contains("scan"), "{}", reason.detail);
    }
    // Chrome has begun its storage anew, and it can be linked.
    assert_eq!(kept.storage().as_deref(), Some("garbage"));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_no_use_is_tried_once_and_again_after_a_scan() {
    let mut kept = Kept::closed().await;
    kept.damage();
    let _page = kept.shows_a_code().await;
    let page = kept.opened_anew().await;
    say(&page, login(Some("b"))).await;
    let asks = kept.session.reaches("QR_REQUIRED").await;
    assert_eq!(asks.reason.unwrap().code, ReasonCode::StorageLost);
    assert_eq!(kept.set_aside(), ["garbage"]);

    say(&page, ready()).await;
    kept.session.reaches("READY").await;
    kept.disconnect().await;
    kept.damage();
    let _page = kept.shows_a_code().await;
    kept.opened_anew().await;
    assert_eq!(kept.storage().as_deref(), Some("linked"));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_another_link_is_not_used() {
    let mut kept = Kept::closed().await;
    // Removed on the phone, and linked to somebody else, in a run that did not end well.
    kept.session.handle.start();
    let page = kept.session.opened().await;
    say(&page, ready()).await;
    kept.session.reaches("READY").await;
    say(&page, login(Some("a"))).await;
    kept.session.reaches("QR_REQUIRED").await;
    let account = Some("5491100000002".into());
    say(&page, Standing { account, ..ready() }).await;
    kept.session.reaches("READY").await;
    page.send(Fact::BrowserLost("killed".to_owned()))
        .await
        .unwrap();
    kept.session.reaches("DISCONNECTED").await;
    assert!(matches!(kept.session.call().await, Call::Closed));

    kept.damage();
    let _page = kept.shows_a_code().await;
    let page = kept.opened_anew().await;
    assert_eq!(kept.storage().as_deref(), Some("garbage"));
    say(&page, login(Some("b"))).await;
    let asks = kept.session.reaches("QR_REQUIRED").await;
    assert_eq!(asks.reason.unwrap().code, ReasonCode::StorageLost);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_was_removed_is_no_loss_and_its_profile_stays() {
    let mut kept = Kept::closed().await;
    kept.session.handle.start();
    let page = kept.session.opened().await;
    say(&page, ready()).await;
    kept.session.reaches("READY").await;
    let removed = Fact::LoggedOut("user_initiated".to_owned());
    page.send(removed).await.unwrap();
    say(&page, login(Some("a"))).await;
    let asks = kept.session.reaches("QR_REQUIRED").await;
    assert_eq!(asks.reason.unwrap().code, ReasonCode::Unlinked);
    kept.disconnect().await;

    let page = kept.shows_a_code().await;
    let asks = kept.session.reaches("QR_REQUIRED").await;
    assert_eq!(asks.reason, None);
    assert_eq!(kept.storage().as_deref(), Some("linked"));
    say(&page, ready()).await;
    kept.session.reaches("READY").await;
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_is_told_before_the_page_is_up_is_no_loss() {
    let mut kept = Kept::closed().await;
    kept.session.handle.start();
    let page = kept.session.opened().await;
    let removed = Fact::LoggedOut("unknown_companion".to_owned());
    page.send(removed).await.unwrap();
    say(&page, login(Some("a"))).await;
    kept.session.reaches("QR_REQUIRED").await;
    assert_eq!(kept.set_aside(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn storage_that_cannot_be_used_makes_way_for_the_snapshot_and_then_for_an_empty_profile() {
    let mut kept = Kept::closed().await;
    kept.damage();
    kept.session.handle.start();
    let page = kept.session.opened().await;
    say(&page, broken_storage()).await;
    let page = kept.opened_anew().await;
    assert_eq!(kept.storage().as_deref(), Some("linked"));
    say(&page, broken_storage()).await;
    let page = kept.opened_anew().await;
    assert_eq!(kept.storage(), None);
    assert_eq!(kept.set_aside(), ["garbage", "linked"]);
    say(&page, login(Some("a"))).await;
    let asks = kept.session.reaches("QR_REQUIRED").await;
    assert_eq!(asks.reason.unwrap().code, ReasonCode::StorageLost);
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_nothing_can_take_the_place_of_is_left_and_the_reason_says_so() {
    let mut kept = Kept::closed().await;
    fs::remove_dir_all(kept.stage.folder.path().join("snapshots")).unwrap();
    // Where it would be set aside.
    fs::write(kept.stage.folder.path().join("tokens/51.aside"), "").unwrap();
    kept.session.handle.start();
    let page = kept.session.opened().await;
    say(&page, broken_storage()).await;
    let reason = kept.session.reaches("ERROR").await.reason.unwrap();
    assert_eq!(reason.code, ReasonCode::StorageError);
    assert!(reason.detail.contains("left as it is"), "{}", reason.detail);
    assert_eq!(kept.storage().as_deref(), Some("linked"));
}

#[tokio::test(start_paused = true)]
async fn storage_that_fails_while_the_session_runs_leaves_the_profile_where_it_is() {
    let mut kept = Kept::closed().await;
    kept.session.handle.start();
    let page = kept.session.opened().await;
    say(&page, ready()).await;
    kept.session.reaches("READY").await;
    say(&page, broken_storage()).await;
    let ended = kept.session.reaches("ERROR").await;
    assert_eq!(ended.reason.unwrap().code, ReasonCode::StorageError);
    assert_eq!(kept.storage().as_deref(), Some("linked"));
    assert_eq!(kept.set_aside(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_logout_takes_snapshots_and_what_was_set_aside_along() {
    let mut kept = Kept::closed().await;
    kept.damage();
    let _page = kept.shows_a_code().await;
    let page = kept.opened_anew().await;
    say(&page, ready()).await;
    kept.session.reaches("READY").await;
    assert_eq!((kept.set_aside().len(), kept.snapshots().len()), (1, 1));
    kept.session.handle.disconnect(true).await.unwrap();
    assert_eq!((kept.set_aside().len(), kept.snapshots().len()), (0, 0));
    assert!(!kept.stage.profile("51").try_exists().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_profile_on_which_each_chrome_was_ready_before_it_was_lost_is_not_replaced() {
    let mut kept = Kept::closed().await;
    kept.use_further();
    let mut page = kept.ready().await;
    for _ in 0..6 {
        lose_chrome(&page).await;
        page = kept.opened_anew().await;
        say(&page, ready()).await;
        kept.session.reaches("READY").await;
    }
    assert_eq!(kept.storage().as_deref(), Some("linked, and used"));
    assert_eq!(kept.set_aside(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_could_not_be_used_for_want_of_a_network_is_not_replaced() {
    let mut kept = Kept::closed().await;
    kept.use_further();
    let mut page = kept.ready().await;
    lose_chrome(&page).await;
    for _ in 0..20 {
        page = kept.opened_anew().await;
        say(&page, offline()).await;
        kept.session.reaches("AUTHENTICATED").await;
    }
    assert_eq!(kept.storage().as_deref(), Some("linked, and used"));
    assert_eq!(kept.set_aside(), [""; 0]);
    page = kept.opened_anew().await;
    say(&page, ready()).await;
    kept.session.reaches("READY").await;
}

#[tokio::test(start_paused = true)]
async fn a_profile_on_which_no_chrome_is_ready_any_more_gives_way_to_its_snapshot() {
    let mut kept = Kept::closed().await;
    kept.damage();
    let mut page = kept.ready().await;
    for _ in 0..5 {
        lose_chrome(&page).await;
        page = kept.opened_anew().await;
    }
    assert_eq!(kept.storage().as_deref(), Some("linked"));
    assert_eq!(kept.set_aside(), ["garbage"]);
    say(&page, ready()).await;
    kept.session.reaches("READY").await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_somebody_asks_for_takes_the_snapshot_too_when_that_is_due() {
    let mut kept = Kept::closed().await;
    kept.damage();
    let mut page = kept.ready().await;
    for _ in 0..5 {
        lose_chrome(&page).await;
        assert!(matches!(kept.session.call().await, Call::Closed));
        let waits = |snapshot: &Snapshot| snapshot.retry_at.is_some();
        let waiting = kept.session.snapshots.wait_for(waits);
        timeout(NEVER, waiting).await.unwrap().unwrap();
        kept.session.handle.start();
        page = kept.session.opened().await;
    }
    assert_eq!(kept.storage().as_deref(), Some("linked"));
    assert_eq!(kept.set_aside(), ["garbage"]);
}

/// What the machine of one test has free.
static FREE_MB: AtomicU64 = AtomicU64::new(1000);

#[tokio::test(start_paused = true)]
async fn a_session_without_memory_for_the_chrome_that_is_to_try_another_profile_says_so() {
    let mut stage = Stage::new(1, 1);
    stage.needs_memory(400, || Some(FREE_MB.load(Ordering::Relaxed)));
    let mut kept = Kept::closed_on(stage).await;
    kept.damage();
    kept.session.handle.start();
    let page = kept.session.opened().await;
    FREE_MB.store(100, Ordering::Relaxed);
    say(&page, login(Some("a"))).await;
    let ended = kept.session.reaches("DISCONNECTED").await;
    let reason = ended.reason.unwrap();
    assert_eq!(reason.code, ReasonCode::Capacity);
    assert!(reason.detail.contains("MIN_FREE_MEMORY_MB"));
}
