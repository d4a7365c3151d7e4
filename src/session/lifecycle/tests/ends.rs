//! How a session ends, and who is told.

use super::*;
use crate::ledger::{Failure, SendState};

#[tokio::test(start_paused = true)]
async fn a_logout_unlinks_closes_and_deletes_the_profile() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let profile = stage.profile("51");
    std::fs::create_dir_all(&profile).unwrap();
    let _page = session.ready().await;
    assert_eq!(
        session.handle.disconnect(true).await.unwrap(),
        DisconnectOutcome::LoggedOut
    );
    assert!(matches!(session.call().await, Call::LoggedOut));
    assert!(matches!(session.call().await, Call::Closed));
    assert!(!profile.try_exists().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_logout_fails_what_waits_so_that_no_other_account_ever_sends_it() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    std::fs::create_dir_all(stage.profile("51")).unwrap();
    let page = session.ready().await;
    say(&page, offline()).await;
    session.reaches("AUTHENTICATED").await;
    let waiting = session.send_as("5491158254201", None, false);
    let key = waiting.await.unwrap().unwrap().message_id;
    assert_eq!(stage.state(&key).await, SendState::Queued);
    session.handle.disconnect(true).await.unwrap();
    let record = stage.ledger.find(&key).await.unwrap().unwrap();
    let failure = record.borrow().failure;
    assert_eq!(failure, Some(Failure::OtherAccount));
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_comes_through_while_the_session_ends_is_answered_and_deletes_the_profile() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let profile = stage.profile("51");
    std::fs::create_dir_all(&profile).unwrap();
    let _page = session.ready().await;
    let unlinked = session.plan.logouts.hold();
    let handle = session.handle.clone();
    let disconnect = |logout| {
        let handle = handle.clone();
        tokio::spawn(async move { handle.disconnect(logout).await })
    };
    let (first, second) = (disconnect(true), disconnect(true));
    assert!(matches!(session.call().await, Call::LoggedOut));
    let third = disconnect(false);
    // It is heard before the page answers.
    tokio::time::sleep(Duration::from_millis(100)).await;
    unlinked.send(Ok(())).unwrap();
    for asked in [first, second, third] {
        let outcome = asked.await.unwrap();
        assert!(
            matches!(outcome, Ok(DisconnectOutcome::LoggedOut)),
            "{outcome:?}"
        );
    }
    assert!(matches!(session.call().await, Call::Closed));
    assert!(!profile.try_exists().unwrap());
    let reason = session.handle.snapshot().reason.unwrap();
    assert_eq!(reason.code, ReasonCode::LoggedOut);
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_does_not_come_through_in_time_keeps_the_profile_and_says_so() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let profile = stage.profile("51");
    std::fs::create_dir_all(&profile).unwrap();
    let _page = session.ready().await;
    let _held = session.plan.logouts.hold();
    let handle = session.handle.clone();
    let logout = tokio::spawn(async move { handle.disconnect(true).await });
    assert!(matches!(session.call().await, Call::LoggedOut));
    let ended = session.handle.disconnect(false).await.unwrap();
    assert_eq!(ended, DisconnectOutcome::Disconnected);
    let refused = logout.await.unwrap().unwrap_err();
    assert!(
        matches!(refused, DisconnectError::LogoutUnconfirmed(_)),
        "{refused:?}"
    );
    assert!(profile.try_exists().unwrap());
}

#[tokio::test(start_paused = true)]
async fn two_logouts_at_once_ask_the_page_once_and_get_the_same_answer() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    let refused = session.plan.logouts.hold();
    let logout = || {
        let handle = session.handle.clone();
        tokio::spawn(async move { handle.disconnect(true).await })
    };
    let (one, other) = (logout(), logout());
    assert!(matches!(session.call().await, Call::LoggedOut));
    tokio::time::sleep(Duration::from_millis(100)).await;
    refused
        .send(Err(LogoutError("the menu is gone".to_owned())))
        .unwrap();
    for asked in [one, other] {
        let refused = asked.await.unwrap().unwrap_err();
        assert!(
            matches!(&refused, DisconnectError::LogoutUnconfirmed(why) if why == "the menu is gone"),
            "{refused:?}"
        );
    }
    assert!(session.calls.try_recv().is_err());
    assert_eq!(session.handle.snapshot().state, SessionState::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_service_closes_the_page_and_ends_the_actor() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    stage.stop.cancel();
    assert!(matches!(session.call().await, Call::Closed));
    timeout(NEVER, &mut session.task).await.unwrap().unwrap();
    assert!(matches!(
        session.send("5491158254201").await.unwrap(),
        Err(SendError::ShuttingDown)
    ));
}
