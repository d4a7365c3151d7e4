//! The actor against a scripted page, in paused time: minutes pass in no time, and nothing depends on the machine.

mod desired;
mod ends;
mod forgetting;
mod healing;
mod hearing;
mod hibernation;
mod kill_points;
mod page;
mod pairing;
mod passkey;
mod reading;
mod safekeeping;
mod scenario;
mod sends;
mod stalls;
mod starts;

use std::{sync::Arc, time::Duration};

use page::*;
use scenario::*;
use tokio::time::timeout;

use crate::{
    config::SessionConfig,
    ledger::{SendState, Step},
    session::{
        ConnectError, DisconnectError, DisconnectOutcome, Phase, ReasonCode, SendError,
        SessionState, Snapshot, StaleSends, WaitFor,
    },
    whatsapp::{
        Fact, HandOverError, LogoutError, LookUpError, ResetError, Standing, Trouble, Whose,
    },
};

/// The wait that callers have unless they say otherwise.
const USUAL_WAIT: WaitFor = WaitFor::Code(Duration::from_secs(8));

fn in_trouble(trouble: Trouble) -> Standing {
    Standing {
        trouble: Some(trouble),
        online: trouble != Trouble::OpenedElsewhere,
        ..ready()
    }
}

#[tokio::test(start_paused = true)]
async fn twenty_connects_at_once_open_one_page_and_get_one_answer() {
    let mut session = Scenario::new();
    let connect = || session.asked(|handle| async move { handle.connect(USUAL_WAIT).await });
    let connects: Vec<_> = (0..20).map(|_| connect()).collect();
    session.asks(Call::Opened).await;
    session.says(login(Some("a"))).await;
    let mut revisions = Vec::new();
    for connect in connects {
        revisions.push(connect.await.unwrap().unwrap().snapshot.revision);
    }
    revisions.dedup();
    assert_eq!(revisions.len(), 1);
    session.has_asked_nothing();
}

#[tokio::test(start_paused = true)]
async fn a_connect_answers_at_its_deadline_when_the_page_takes_longer() {
    let session = Scenario::new();
    let outcome = session.handle.connect(USUAL_WAIT).await.unwrap();
    assert_eq!(outcome.snapshot.state, SessionState::Init);
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_page_is_never_recognised_says_so() {
    let mut session = Scenario::new();
    let failed = session.handle.connect(WaitFor::Ready).await.unwrap_err();
    assert_is!(failed, ConnectError::Failed(reason) if reason.code == ReasonCode::PageNotRecognised);
    session.asks(Call::Opened).await;
    session.asks(Call::Closed).await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_whatsapp_removed_says_so_in_its_word() {
    let mut session = Scenario::ready().await;
    let word = "account_locked";
    session.tells(Fact::LoggedOut(word.to_owned())).await;
    session.says(login(Some("a"))).await;
    let code = ReasonCode::RemovedByWhatsApp;
    let reason = session.reaches_for("QR_REQUIRED", code).await;
    assert!(reason.detail.contains(word), "{}", reason.detail);
    assert_eq!(session.snapshot().account, None);
}

/// Two profiles that are copies of one: the sessions take the account from each other.
#[tokio::test(start_paused = true)]
async fn two_sessions_of_one_account_end_their_contest_and_name_each_other() {
    let stage = Stage::of_two(2);
    let mut session = Scenario::of(&stage, "51");
    session.becomes_ready().await;
    let mut other = Scenario::of(&stage, "96");
    other.becomes_ready().await;
    for _ in 0..4 {
        session.says(in_trouble(Trouble::OpenedElsewhere)).await;
        let code = ReasonCode::OpenedElsewhere;
        let reason = session.reaches_for("AUTHENTICATED", code).await;
        assert!(reason.detail.contains("session 96"), "{}", reason.detail);
        session.asks(Call::TakenOver).await;
        assert_eq!(session.shows(ready(), "READY").await.reason, None);
    }
    session.says(in_trouble(Trouble::OpenedElsewhere)).await;
    let is_left = |reason: &crate::session::Reason| reason.detail.contains("taken back 4 times");
    let left = session.sees(|now| now.reason.as_ref().is_some_and(is_left));
    assert_eq!(left.await.state, SessionState::Authenticated);
    rests(NEVER).await;
    session.has_asked_nothing();
    assert_eq!(other.snapshot().state, SessionState::Ready);
    assert_eq!((other.snapshot().stalls, session.snapshot().stalls), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn trouble_that_needs_a_person_ends_the_session_with_its_reason() {
    for (trouble, code) in [
        (Trouble::UpdateRequired, ReasonCode::UpdateRequired),
        (Trouble::TemporarilyBanned, ReasonCode::TemporarilyBanned),
        (Trouble::PasskeyRequired, ReasonCode::PasskeyRequired),
        (Trouble::StorageError, ReasonCode::StorageError),
    ] {
        let mut session = Scenario::ready().await;
        session.says(in_trouble(trouble)).await;
        session.reaches_for("ERROR", code).await;
        session.asks(Call::Closed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_beyond_the_limit_is_refused_and_one_that_ended_makes_room() {
    let stage = Arc::new(Stage::new());
    let (mut first, second) = (Scenario::of(&stage, "1"), Scenario::of(&stage, "2"));
    first.becomes_ready().await;
    let refused = second.handle.connect(WaitFor::Ready).await.unwrap_err();
    assert_is!(refused, ConnectError::Full(_));
    first.disconnects().await;
    second.handle.connect(USUAL_WAIT).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_calls_a_start_off_that_still_waits_for_its_turn() {
    let stage = Stage::of_two(1);
    let (mut first, second) = (Scenario::of(&stage, "1"), Scenario::of(&stage, "2"));
    first.starts().await;
    second.handle.start();
    second.disconnects().await;
    assert_eq!(second.snapshot().state, SessionState::Disconnected);
}
