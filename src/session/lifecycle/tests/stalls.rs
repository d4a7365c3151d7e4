//! A session that says READY sends, or says within two minutes why it does not.

use super::*;

/// The rule.
const TWO_MINUTES: Duration = Duration::from_secs(120);

#[tokio::test(start_paused = true)]
async fn a_page_that_takes_and_never_sends_is_loaded_again_and_then_replaced_and_nothing_goes_twice()
 {
    let mut session = Scenario::ready().await;
    let begin = tokio::time::Instant::now();
    let pending = session.send(TO);
    let key = session.hands_over().await;
    assert_eq!(pending.sent().await.ack, 0, "202");
    session.asks(Call::Reloaded).await;
    assert!(begin.elapsed() <= TWO_MINUTES, "{:?}", begin.elapsed());
    let code = ReasonCode::SendsStalled;
    session.reaches_for("AUTHENTICATED", code).await;
    let healed = session.snapshot();
    assert_eq!((healed.reloads, healed.stalls), (1, 1));
    // The store does not have it: it is handed over again, under its id.
    session.is_back().await;
    session.looks_up(&key).await;
    assert_eq!(session.hands_over().await, key);
    session.replaces_chrome().await;
    // Now it does, and goes on not sending it: that is said, and nothing is done for it once more.
    session.plan.look_ups.plan(Ok(Some(0)));
    session.says(ready()).await;
    session.looks_up(&key).await;
    let is_said = |now: &Snapshot| now.reason.as_ref().is_some_and(|why| why.code == code);
    let said = session
        .sees(|now| now.state == SessionState::Ready && is_said(now))
        .await;
    assert_eq!((said.reloads, said.restarts), (1, 1));
    rests(NEVER).await;
    session.has_asked_nothing();
    session.ack(&key).await;
    session.stage.becomes(&key, SendState::Sent).await;
    session.sees(|now| now.reason.is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_network_is_not_healed_for_its_messages() {
    let mut session = Scenario::ready().await;
    let pending = session.send(TO);
    let key = session.hands_over().await;
    session.shows(offline(), "AUTHENTICATED").await;
    assert_eq!(pending.sent().await.ack, 0);
    rests(NEVER).await;
    session.has_asked_nothing();
    session.plan.look_ups.plan(Ok(Some(0)));
    session.says(ready()).await;
    session.looks_up(&key).await;
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_cannot_be_used_is_the_reason_beside_ready_until_it_can() {
    let mut session = Scenario::ready().await;
    let accepted = session.plan.prepares.hold();
    let promised = session.promise(TO).await;
    session.asks(Call::Prepared).await;
    session.stage.break_ledger();
    let begin = tokio::time::Instant::now();
    accepted.send(()).unwrap();
    let said = session.sees(|now| now.reason.is_some()).await;
    assert!(begin.elapsed() <= TWO_MINUTES, "{:?}", begin.elapsed());
    assert_eq!(said.state, SessionState::Ready);
    assert_eq!(said.reason.unwrap().code, ReasonCode::LedgerUnavailable);
    rests(Duration::from_secs(600)).await;
    session.has_asked_nothing();
    session.stage.mend_ledger();
    assert_eq!(session.hands_over_and_ack().await, promised);
    session.sees(|now| now.reason.is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn commands_and_time_have_their_turn_while_the_page_never_stops_telling() {
    let mut session = Scenario::ready().await;
    let _held = session.plan.prepares.hold();
    let sent = session.send(TO);
    session.asks(Call::Prepared).await;
    // Never fewer than fill the channel.
    let page = session.page();
    let flood = tokio::spawn(async move {
        let mut told = 0_u64;
        loop {
            let news = Fact::Ack {
                key: "3EB0FF".to_owned(),
                ack: 0,
            };
            if page.send(news).await.is_err() {
                return told;
            }
            told += 1;
        }
    });
    let ended = timeout(NEVER, session.handle.disconnect(false)).await;
    ended.expect("the disconnect is heard").unwrap();
    sent.refused().await;
    assert!(flood.await.unwrap() > 0);
}
