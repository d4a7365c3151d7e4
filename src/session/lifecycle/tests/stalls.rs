//! A session that says READY sends, or says within two minutes why it does not.

use std::num::NonZeroU32;

use super::{
    sends::{TO, acknowledge},
    *,
};
use crate::ledger::SendState;

/// The rule.
const TWO_MINUTES: Duration = Duration::from_secs(120);

/// The page is back after a reload.
async fn is_back(page: &mpsc::Sender<Fact>) {
    for standing in [Standing::default(), ready()] {
        say(page, standing).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_takes_and_never_sends_is_loaded_again_and_then_replaced_and_nothing_goes_twice()
 {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let begin = tokio::time::Instant::now();
    let pending = session.send(TO);
    let key = session.handed_over().await.key;
    assert_eq!(pending.await.unwrap().unwrap().ack, 0, "202");
    assert!(matches!(session.call().await, Call::Reloaded));
    assert!(begin.elapsed() <= TWO_MINUTES, "{:?}", begin.elapsed());
    let healed = session.reaches("AUTHENTICATED").await;
    assert_eq!(healed.reason.unwrap().code, ReasonCode::SendsStalled);
    assert_eq!((healed.reloads, healed.stalls), (1, 1));
    // The store does not have it: it is handed over again, under its id.
    is_back(&page).await;
    assert_eq!(session.looked_up().await, key);
    assert_eq!(session.handed_over().await.key, key);
    assert!(matches!(session.call().await, Call::Closed));
    let page = session.opened().await;
    // Now it does, and goes on not sending it: that is said, and nothing is done for it once more.
    session.plan.look_ups.plan(Ok(Some(0)));
    say(&page, ready()).await;
    assert_eq!(session.looked_up().await, key);
    let said = session.snapshots.wait_for(|now| {
        now.state == SessionState::Ready
            && now.reason.as_ref().map(|reason| reason.code) == Some(ReasonCode::SendsStalled)
    });
    let said = timeout(NEVER, said).await.unwrap().unwrap().clone();
    assert_eq!((said.reloads, said.restarts), (1, 1));
    rests(NEVER).await;
    assert!(session.calls.try_recv().is_err(), "something was done");
    acknowledge(&page, &key).await;
    stage.becomes(&key, SendState::Sent).await;
    let over = session.snapshots.wait_for(|now| now.reason.is_none());
    timeout(NEVER, over).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_session_that_waits_for_its_pace_is_left_alone() {
    let mut stage = Stage::new(1, 1);
    stage.config.sends.rate_per_minute = NonZeroU32::new(1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    for _ in 0..20 {
        drop(session.send_as(TO, None, false).await.unwrap().unwrap());
    }
    for _ in 0..20 {
        let key = session.handed_over().await.key;
        acknowledge(&page, &key).await;
    }
    rests(NEVER).await;
    assert!(session.calls.try_recv().is_err());
    let snapshot = session.handle.snapshot();
    assert_eq!((snapshot.reason, snapshot.stalls), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_network_is_not_healed_for_its_messages() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let pending = session.send(TO);
    let key = session.handed_over().await.key;
    say(&page, offline()).await;
    session.reaches("AUTHENTICATED").await;
    drop(pending.await);
    rests(NEVER).await;
    assert!(session.calls.try_recv().is_err(), "something was done");
    session.plan.look_ups.plan(Ok(Some(0)));
    say(&page, ready()).await;
    assert_eq!(session.looked_up().await, key);
    acknowledge(&page, &key).await;
    stage.becomes(&key, SendState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_cannot_be_used_is_the_reason_beside_ready_until_it_can() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let accepted = session.plan.prepares.hold();
    let waiting = session.send_as(TO, None, false).await.unwrap().unwrap();
    assert!(matches!(session.call().await, Call::Prepared));
    stage.break_ledger();
    let begin = tokio::time::Instant::now();
    accepted.send(()).unwrap();
    let said = session.snapshots.wait_for(|now| now.reason.is_some());
    let said = timeout(NEVER, said).await.unwrap().unwrap().clone();
    assert!(begin.elapsed() <= TWO_MINUTES, "{:?}", begin.elapsed());
    assert_eq!(said.state, SessionState::Ready);
    assert_eq!(said.reason.unwrap().code, ReasonCode::LedgerUnavailable);
    rests(Duration::from_secs(600)).await;
    assert!(session.calls.try_recv().is_err(), "no page was reloaded");
    stage.mend_ledger();
    let key = session.handed_over().await.key;
    assert_eq!(key, waiting.message_id);
    acknowledge(&page, &key).await;
    let over = session.snapshots.wait_for(|now| now.reason.is_none());
    timeout(NEVER, over).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn commands_and_time_have_their_turn_while_the_page_never_stops_telling() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let _held = session.plan.prepares.hold();
    let sent = session.send(TO);
    assert!(matches!(session.call().await, Call::Prepared));
    // Never fewer than fill the channel.
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
    assert!(sent.await.unwrap().is_err());
    assert!(flood.await.unwrap() > 0);
}
