//! How a session ends, and who is told.

use super::*;
use crate::ledger::Failure;

/// A session with a profile, of which a logout waits for the page's answer.
async fn with_a_profile() -> Scenario {
    let session = Scenario::ready().await;
    std::fs::create_dir_all(session.stage.path("tokens/51")).unwrap();
    session
}

#[tokio::test(start_paused = true)]
async fn a_logout_fails_what_waits_so_that_no_other_account_ever_sends_it() {
    let mut session = Scenario::ready().await;
    session.shows(offline(), "AUTHENTICATED").await;
    let key = session.promise(TO).await;
    session.handle.disconnect(true).await.unwrap();
    let record = session.stage.ledger.find(&key).await.unwrap().unwrap();
    assert_eq!(record.borrow().failure, Some(Failure::OtherAccount));
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_comes_through_while_the_session_ends_is_answered_and_deletes_the_profile() {
    let mut session = with_a_profile().await;
    let unlinked = session.plan.logouts.hold();
    let disconnect = |logout| session.asked(move |h| async move { h.disconnect(logout).await });
    let (first, second) = (disconnect(true), disconnect(true));
    session.asks(Call::LoggedOut).await;
    let third = session.asked(|h| async move { h.disconnect(false).await });
    // It is heard before the page answers.
    seconds(1).await;
    unlinked.send(Ok(())).unwrap();
    for asked in [first, second, third] {
        assert_is!(asked.await.unwrap(), Ok(DisconnectOutcome::LoggedOut));
    }
    session.asks(Call::Closed).await;
    assert!(!session.stage.path("tokens/51").try_exists().unwrap());
    session.assert_reason(ReasonCode::LoggedOut);
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_does_not_come_through_in_time_keeps_the_profile_and_says_so() {
    let mut session = with_a_profile().await;
    let _held = session.plan.logouts.hold();
    let logout = session.asked(|h| async move { h.disconnect(true).await });
    session.asks(Call::LoggedOut).await;
    session.disconnects().await;
    let refused = logout.await.unwrap();
    assert_is!(refused, Err(DisconnectError::LogoutUnconfirmed(_)));
    assert!(session.stage.path("tokens/51").try_exists().unwrap());
}

#[tokio::test(start_paused = true)]
async fn two_logouts_at_once_ask_the_page_once_and_get_the_same_answer() {
    let mut session = Scenario::ready().await;
    let refused = session.plan.logouts.hold();
    let logouts = [(); 2].map(|()| session.asked(|h| async move { h.disconnect(true).await }));
    session.asks(Call::LoggedOut).await;
    seconds(1).await;
    let why = "the menu is gone";
    refused.send(Err(LogoutError(why.to_owned()))).unwrap();
    for asked in logouts {
        let refused = asked.await.unwrap().unwrap_err();
        assert_is!(refused, DisconnectError::LogoutUnconfirmed(said) if said == why);
    }
    session.has_asked_nothing();
    assert_eq!(session.snapshot().state, SessionState::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_service_closes_the_page_and_ends_the_actor() {
    let mut session = Scenario::ready().await;
    session.stops().await;
    session.asks(Call::Closed).await;
    assert_is!(session.send(TO).refused().await, SendError::ShuttingDown);
}
