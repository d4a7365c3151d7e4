//! The actor against a scripted page, in paused time: minutes pass in no time, and nothing depends on the machine.

mod desired;
mod ends;
mod forgetting;
mod healing;
mod hibernation;
mod kill_points;
mod page;
mod pairing;
mod safekeeping;
mod sends;
mod stage;
mod stalls;
mod starts;

use std::{num::NonZeroUsize, time::Duration};

use page::*;
use stage::*;
use tokio::{sync::mpsc, time::timeout};

use crate::{
    session::{
        ConnectError, DisconnectError, DisconnectOutcome, Phase, ReasonCode, SendError,
        SessionState, Snapshot, WaitFor,
    },
    whatsapp::{Fact, HandOverError, LogoutError, LookUpError, Outgoing, Standing, Trouble},
};

/// The wait that callers have unless they say otherwise.
const USUAL_WAIT: WaitFor = WaitFor::Code(Duration::from_secs(8));

#[tokio::test(start_paused = true)]
async fn an_unscanned_code_disconnects_the_session_after_fresh_codes_were_asked_for() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    session.handle.start();
    let page = session.opened().await;
    say(&page, login(Some("a"))).await;
    session.reaches("QR_REQUIRED").await;
    say(&page, login(None)).await;
    assert!(matches!(session.call().await, Call::RefreshCodes));
    say(&page, login(Some("b"))).await;
    let last = session.reaches("DISCONNECTED").await;
    assert_eq!(last.reason.unwrap().code, ReasonCode::QrTimeout);
    assert!(matches!(session.call().await, Call::Closed));
}

#[tokio::test(start_paused = true)]
async fn twenty_connects_at_once_open_one_page_and_get_one_answer() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let connects = (0..20).map(|_| {
        let handle = session.handle.clone();
        tokio::spawn(async move { handle.connect(USUAL_WAIT).await.unwrap().snapshot.revision })
    });
    let connects: Vec<_> = connects.collect();
    let page = session.opened().await;
    say(&page, login(Some("a"))).await;
    let mut revisions = Vec::new();
    for connect in connects {
        revisions.push(connect.await.unwrap());
    }
    revisions.dedup();
    assert_eq!(revisions.len(), 1);
    assert!(
        session.calls.try_recv().is_err(),
        "a second page was opened"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connect_answers_at_its_deadline_when_the_page_takes_longer() {
    let stage = Stage::new(1, 1);
    let session = stage.session("51");
    let outcome = session.handle.connect(USUAL_WAIT).await.unwrap();
    assert_eq!(outcome.snapshot.state, SessionState::Init);
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_page_is_never_recognised_says_so() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let failed = session.handle.connect(WaitFor::Ready).await.unwrap_err();
    assert!(
        matches!(&failed, ConnectError::Failed(reason) if reason.code == ReasonCode::PageNotRecognised),
        "{failed:?}"
    );
    session.opened().await;
    assert!(matches!(session.call().await, Call::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_healthy_reconnect_keeps_ready_and_a_lost_network_takes_it_away() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    say(&page, offline()).await;
    tokio::time::advance(Duration::from_secs(3)).await;
    say(&page, ready()).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(session.handle.snapshot().state, SessionState::Ready);

    say(&page, offline()).await;
    let lost = session.reaches("AUTHENTICATED").await;
    assert_eq!(lost.reason.unwrap().code, ReasonCode::NetworkLost);
    say(&page, ready()).await;
    session.reaches("READY").await;
}

#[tokio::test(start_paused = true)]
async fn an_unlinked_session_asks_for_a_scan_and_says_why() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    say(&page, login(Some("a"))).await;
    let unlinked = session.reaches("QR_REQUIRED").await;
    assert_eq!(unlinked.reason.unwrap().code, ReasonCode::Unlinked);
    assert_eq!(unlinked.account, None);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_whatsapp_removed_says_so_in_its_word() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let reason = "account_locked".to_owned();
    page.send(Fact::LoggedOut(reason)).await.unwrap();
    say(&page, login(Some("a"))).await;
    let reason = session.reaches("QR_REQUIRED").await.reason.unwrap();
    assert_eq!(reason.code, ReasonCode::RemovedByWhatsApp);
    assert!(
        reason.detail.contains("account_locked"),
        "{}",
        reason.detail
    );
}

#[tokio::test(start_paused = true)]
async fn an_account_opened_elsewhere_is_taken_back() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let elsewhere = Standing {
        online: false,
        trouble: Some(Trouble::OpenedElsewhere),
        ..ready()
    };
    say(&page, elsewhere).await;
    let asleep = session.reaches("AUTHENTICATED").await;
    assert_eq!(asleep.reason.unwrap().code, ReasonCode::OpenedElsewhere);
    assert!(matches!(session.call().await, Call::TakenOver));
    say(&page, ready()).await;
    assert_eq!(session.reaches("READY").await.reason, None);
}

/// Two profiles that are copies of one: the sessions take the account from each other.
#[tokio::test(start_paused = true)]
async fn two_sessions_of_one_account_end_their_contest_and_name_each_other() {
    let stage = Stage::new(2, 2);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let mut other = stage.session("96");
    let _other_page = other.ready().await;
    let elsewhere = Standing {
        online: false,
        trouble: Some(Trouble::OpenedElsewhere),
        ..ready()
    };
    for _ in 0..4 {
        say(&page, elsewhere.clone()).await;
        let reason = session.reaches("AUTHENTICATED").await.reason.unwrap();
        assert_eq!(reason.code, ReasonCode::OpenedElsewhere);
        assert!(reason.detail.contains("session 96"), "{}", reason.detail);
        assert!(matches!(session.call().await, Call::TakenOver));
        say(&page, ready()).await;
        session.reaches("READY").await;
    }
    say(&page, elsewhere).await;
    let left = session.snapshots.wait_for(|snapshot| {
        let reason = snapshot.reason.as_ref();
        reason.is_some_and(|reason| reason.detail.contains("taken back 4 times"))
    });
    assert_eq!(left.await.unwrap().state, SessionState::Authenticated);
    rests(Duration::from_secs(3600)).await;
    assert!(session.calls.try_recv().is_err(), "it was left there");
    let snapshot = other.handle.snapshot();
    assert_eq!(snapshot.state, SessionState::Ready);
    assert_eq!((snapshot.stalls, session.handle.snapshot().stalls), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn trouble_that_needs_a_person_ends_the_session_with_its_reason() {
    for (trouble, code) in [
        (Trouble::UpdateRequired, ReasonCode::UpdateRequired),
        (Trouble::TemporarilyBanned, ReasonCode::TemporarilyBanned),
        (Trouble::PasskeyRequired, ReasonCode::PasskeyRequired),
        (Trouble::StorageError, ReasonCode::StorageError),
    ] {
        let stage = Stage::new(1, 1);
        let mut session = stage.session("51");
        let page = session.ready().await;
        say(
            &page,
            Standing {
                trouble: Some(trouble),
                ..ready()
            },
        )
        .await;
        let ended = session.reaches("ERROR").await;
        assert_eq!(ended.reason.unwrap().code, code);
        assert!(matches!(session.call().await, Call::Closed));
    }
}

#[tokio::test(start_paused = true)]
async fn starts_queue_up_behind_the_limit() {
    let stage = Stage::new(2, 1);
    let (mut first, mut second) = (stage.session("1"), stage.session("2"));
    first.handle.start();
    let page = first.opened().await;
    second.handle.start();
    second.reaches("INIT").await;
    assert!(
        second.calls.try_recv().is_err(),
        "the second started beside the first"
    );
    say(&page, login(Some("a"))).await;
    second.opened().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_beyond_the_limit_is_refused_and_one_that_ended_makes_room() {
    let stage = Stage::new(1, 1);
    let (mut first, second) = (stage.session("1"), stage.session("2"));
    let _page = first.ready().await;
    let refused = second.handle.connect(WaitFor::Ready).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Full(_)), "{refused:?}");
    first.handle.disconnect(false).await.unwrap();
    second.handle.connect(USUAL_WAIT).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_calls_a_start_off_that_still_waits_for_its_turn() {
    let stage = Stage::new(2, 1);
    let (mut first, second) = (stage.session("1"), stage.session("2"));
    first.handle.start();
    let _page = first.opened().await;
    second.handle.start();
    assert_eq!(
        second.handle.disconnect(false).await.unwrap(),
        DisconnectOutcome::Disconnected
    );
    assert_eq!(second.handle.snapshot().state, SessionState::Disconnected);
}
