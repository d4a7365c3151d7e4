//! What a session leaves on disk for the next service: whether it should be up.

use super::*;
use crate::session::{
    command::AskedBy,
    keeping::desired::{Desired, DesiredFile, read_all},
};

impl Scenario {
    /// What the next service would read.
    fn left(&self) -> Option<Desired> {
        read_all(&self.stage.path("sessions")).remove(&"51".parse().unwrap())
    }

    fn leaves_up(&self) -> bool {
        self.left().is_some_and(|desired| desired.is_up())
    }

    async fn remembers(&self, was_ready: bool) {
        let left = || self.left().map(|desired| desired.was_ready());
        until(async || left() == Some(was_ready)).await;
    }

    async fn starts_for(&self, asked_by: AskedBy) {
        self.handle.start_for(asked_by).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_is_answered_is_on_disk_and_so_is_a_disconnect() {
    let session = Scenario::new();
    session.starts_for(AskedBy::Caller).await;
    assert!(session.leaves_up());
    session.disconnects().await;
    assert!(!session.leaves_up());
    // So is one of a session that has ended by itself, and waits for the next service.
    session.starts_for(AskedBy::Caller).await;
    for _ in 0..2 {
        session.handle.disconnect(false).await.unwrap();
    }
    assert!(!session.leaves_up());
    // It is not restored.
    session.starts_for(AskedBy::Restore).await;
    assert_eq!(session.snapshot().state, SessionState::Disconnected);
    session.starts_for(AskedBy::Caller).await;
    assert_eq!(session.snapshot().state, SessionState::Init);
}

/// Why this is not in the ledger.
#[tokio::test(start_paused = true)]
async fn a_disconnect_is_remembered_while_the_ledger_cannot_be_used() {
    let session = Scenario::ready().await;
    // The file must have been opened, so that it can be taken away.
    session.stage.ledger.open_sends("51").await.unwrap();
    session.stage.break_ledger();
    session.disconnects().await;
    assert!(!session.leaves_up());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_ready_is_remembered_as_such_until_it_is_unlinked() {
    let mut session = Scenario::ready().await;
    session.remembers(true).await;
    session.shows(login(Some("a")), "QR_REQUIRED").await;
    session.remembers(false).await;
    assert!(session.leaves_up());
    // No phone scans the code.
    session.reaches("DISCONNECTED").await;
    assert!(!session.leaves_up());
}

#[tokio::test(start_paused = true)]
async fn why_a_device_was_unlinked_is_told_by_the_next_service_until_it_is_linked_again() {
    let mut session = Scenario::ready().await;
    session.shows(login(Some("a")), "QR_REQUIRED").await;
    session.assert_reason(ReasonCode::Unlinked);
    session.remembers(false).await;
    session.reaches("DISCONNECTED").await;
    session.assert_reason(ReasonCode::QrTimeout);

    let left = || {
        DesiredFile::new(
            &session.stage.path("sessions"),
            &"51".parse().unwrap(),
            session.left(),
        )
    };
    let mut next = Scenario::remembering(&session.stage, "51", left());
    let seen = next.sees(|now| now.reason.is_some()).await;
    assert_eq!(seen.state, SessionState::Disconnected);
    next.assert_reason(ReasonCode::Unlinked);
    // Also on the login screen.
    next.shows_a_code().await;
    next.assert_reason(ReasonCode::Unlinked);
    assert_eq!(next.shows(ready(), "READY").await.reason, None);
    next.remembers(true).await;
    next.stops().await;
    let third = Scenario::remembering(&session.stage, "51", left());
    rests(Duration::from_secs(1)).await;
    assert_eq!(third.snapshot().reason, None);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_fails_or_stops_with_the_service_is_still_to_be_up() {
    let mut session = Scenario::ready().await;
    session.says(in_trouble(Trouble::TemporarilyBanned)).await;
    session.reaches("ERROR").await;
    assert!(session.leaves_up());
    session.asks(Call::Closed).await;
    session.becomes_ready().await;
    session.stops().await;
    assert!(session.leaves_up());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_sleeps_when_the_service_stops_is_to_be_up_in_the_next() {
    let mut session = Scenario::asleep().await;
    session.stops().await;
    assert!(session.leaves_up() && session.left().unwrap().was_ready());
}

#[tokio::test(start_paused = true)]
async fn a_logout_leaves_nothing() {
    let session = Scenario::ready().await;
    session.handle.disconnect(true).await.unwrap();
    assert_eq!(session.left(), None);
}

#[tokio::test(start_paused = true)]
async fn an_actor_in_the_place_of_one_that_has_panicked_goes_by_what_that_one_has_remembered() {
    for was_ready in [false, true] {
        let mut session = Scenario::new();
        session.starts().await;
        if was_ready {
            session.shows(ready(), "READY").await;
            session.remembers(true).await;
        }
        session.panics().await;
        let mut next = session.successor().stuck_in(Phase::Navigate);
        next.starts().await;
        let detail = next.reaches("DISCONNECTED").await.reason.unwrap().detail;
        assert_eq!(detail.ends_with("by itself"), was_ready, "{detail}");
    }
}
