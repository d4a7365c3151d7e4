//! What a session leaves on disk for the next service: whether it should be up.

use super::*;
use crate::session::{
    command::AskedBy,
    keeping::desired::{Desired, read_all},
};

/// What the next service would read.
fn left(stage: &Stage) -> Option<Desired> {
    let folder = stage.folder.path().join("sessions");
    read_all(&folder).remove(&"51".parse().unwrap())
}

fn is_up(stage: &Stage) -> bool {
    left(stage).is_some_and(|desired| desired.is_up())
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_is_answered_is_on_disk_and_so_is_a_disconnect() {
    let stage = Stage::new(1, 1);
    let session = stage.session("51");
    session.handle.start_for(AskedBy::Caller).await.unwrap();
    assert!(is_up(&stage));
    session.handle.disconnect(false).await.unwrap();
    assert!(!is_up(&stage));
    // So is one of a session that has ended by itself, and waits for the next service.
    session.handle.start_for(AskedBy::Caller).await.unwrap();
    session.handle.disconnect(false).await.unwrap();
    session.handle.disconnect(false).await.unwrap();
    assert!(!is_up(&stage));
}

/// Why this is not in the ledger.
#[tokio::test(start_paused = true)]
async fn a_disconnect_is_remembered_while_the_ledger_cannot_be_used() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    // The file must have been opened, so that it can be taken away.
    stage.ledger.open_sends("51").await.unwrap();
    stage.break_ledger();
    session.handle.disconnect(false).await.unwrap();
    assert!(!is_up(&stage));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_ready_is_remembered_as_such_until_it_is_unlinked() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let remembers = async |was_ready: bool| {
        while left(&stage).is_none_or(|desired| desired.was_ready() != was_ready) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(NEVER, remembers(true)).await.unwrap();
    say(&page, login(Some("a"))).await;
    session.reaches("QR_REQUIRED").await;
    timeout(NEVER, remembers(false)).await.unwrap();
    assert!(is_up(&stage));
    // Nobody scans.
    session.reaches("DISCONNECTED").await;
    assert_eq!(left(&stage), None);
}

#[tokio::test(start_paused = true)]
async fn what_ends_a_session_against_everybodys_will_leaves_it_up() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let banned = Standing {
        trouble: Some(Trouble::TemporarilyBanned),
        ..ready()
    };
    say(&page, banned).await;
    session.reaches("ERROR").await;
    assert!(is_up(&stage));

    assert!(matches!(session.call().await, Call::Closed));
    let _page = session.ready().await;
    stage.stop.cancel();
    timeout(NEVER, &mut session.task).await.unwrap().unwrap();
    assert!(is_up(&stage));
}

#[tokio::test(start_paused = true)]
async fn a_logout_leaves_nothing() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    session.handle.disconnect(true).await.unwrap();
    assert_eq!(left(&stage), None);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_disconnected_before_its_turn_is_not_restored() {
    let stage = Stage::new(1, 1);
    let session = stage.session("51");
    session.handle.start_for(AskedBy::Restore).await.unwrap();
    assert_eq!(session.handle.snapshot().state, SessionState::Disconnected);
    session.handle.start_for(AskedBy::Caller).await.unwrap();
    assert_eq!(session.handle.snapshot().state, SessionState::Init);
}

#[tokio::test(start_paused = true)]
async fn an_actor_in_the_place_of_one_that_has_panicked_goes_by_what_that_one_has_remembered() {
    let stage = Stage::new(1, 1);
    let desired = stage.desired("51");
    for was_ready in [false, true] {
        let mut session = stage.session_as("51", None, desired.clone());
        if was_ready {
            let _page = session.ready().await;
            while left(&stage).is_none_or(|desired| !desired.was_ready()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        } else {
            session.handle.start();
            session.opened().await;
        }
        session.task.abort();
        session.task.await.unwrap_err();
        let mut next = stage.session_as("51", Some(Phase::Navigate), desired.clone());
        next.handle.start();
        next.opened().await;
        let failed = next.reaches("DISCONNECTED").await;
        let detail = failed.reason.unwrap().detail;
        assert_eq!(detail.ends_with("by itself"), was_ready, "{detail}");
        next.task.abort();
        next.task.await.unwrap_err();
    }
}
