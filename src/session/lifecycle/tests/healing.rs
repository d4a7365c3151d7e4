//! What breaks is mended without a call.

use std::num::NonZeroU64;

use super::*;
use crate::{browser::Measure, session::MemoryReport, whatsapp::Silence};

impl Scenario {
    async fn crashes(&self) {
        self.tells(Fact::PageLost("the page crashed".to_owned()))
            .await;
    }

    /// It takes this much memory, so many times in a row.
    async fn takes(&self, mb: u64, times: u32) {
        for _ in 0..times {
            let memory = MemoryReport {
                mb,
                measure: Measure::Pss,
                at: jiff::Timestamp::UNIX_EPOCH,
            };
            self.handle.tell_memory(1, memory);
            seconds(10).await;
        }
    }

    /// Will start by itself.
    async fn waits_to_start(&mut self) {
        self.sees(|now| now.retry_at.is_some()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_crashes_is_reloaded_and_its_chrome_replaced_if_that_does_not_help() {
    let mut session = Scenario::ready().await;
    session.crashes().await;
    session.asks(Call::Reloaded).await;
    let code = ReasonCode::PageLost;
    session.reaches_for("AUTHENTICATED", code).await;
    session.is_back().await;
    assert_eq!(session.reaches("READY").await.reloads, 1);
    session.crashes().await;
    session.replaces_chrome().await;
    let healed = session.shows(ready(), "READY").await;
    assert_eq!((healed.restarts, healed.retry_at), (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_does_not_come_back_from_a_reload_is_replaced_with_its_chrome() {
    let mut session = Scenario::ready().await;
    let elsewhere = "https://elsewhere.example".to_owned();
    session.tells(Fact::PageElsewhere(elsewhere)).await;
    session.asks(Call::Reloaded).await;
    session.replaces_chrome().await;
}

#[tokio::test(start_paused = true)]
async fn a_page_without_a_sign_of_life_is_reloaded_and_a_chrome_without_one_replaced() {
    let mut session = Scenario::ready().await;
    let hangs = "no answer".to_owned();
    session.plan.pings.plan(Err(Silence::Page(hangs.clone())));
    session.asks(Call::Reloaded).await;
    session.is_back().await;
    session.reaches("READY").await;
    session.plan.pings.plan(Err(Silence::Chrome(hangs)));
    session.replaces_chrome().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_waits_for_its_next_start_obeys_its_callers() {
    let mut session = Scenario::ready().await;
    // Twice, so that the wait is not over in a moment.
    for _ in 0..2 {
        session.loses_chrome().await;
        session.replaces_chrome().await;
    }
    session.loses_chrome().await;
    session.waits_to_start().await;
    session.disconnects().await;
    assert_eq!(session.snapshot().retry_at, None);
    session.assert_reason(ReasonCode::DisconnectRequested);
    session.asks(Call::Closed).await;
    session.asks_nothing().await;

    session.becomes_ready().await;
    session.loses_chrome().await;
    session.waits_to_start().await;
    session.handle.start();
    session.replaces_chrome().await;
    assert_eq!(session.snapshot().retry_at, None);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_keeps_failing_is_given_up_until_a_caller_asks_after_its_end() {
    for asks in [false, true] {
        let mut session = Scenario::ready().await;
        for _ in 0..session.stage.config().heals_per_hour {
            session.loses_chrome().await;
            if asks {
                session.waits_to_start().await;
                session.handle.start();
            }
            session.replaces_chrome().await;
        }
        session.loses_chrome().await;
        let code = ReasonCode::KeepsFailing;
        let reason = session.reaches_for("ERROR", code).await;
        assert!(reason.detail.contains("BROWSER_LOST"), "{}", reason.detail);
        session.asks(Call::Closed).await;
        session.becomes_ready().await;
        session.loses_chrome().await;
        session.replaces_chrome().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_takes_too_much_memory_is_relieved_once_nothing_is_to_be_sent() {
    // One that is not to be healed comes back all the same: it has not failed.
    for heals_per_hour in [10, 0] {
        let mut session = Scenario::ready_with(|config| {
            config.memory_mb = NonZeroU64::new(1000);
            config.heals_per_hour = heals_per_hour;
        })
        .await;
        session.takes(1000, 8).await;
        let sent = session.send(TO);
        let key = session.hands_over().await;
        session.takes(1001, 8).await;
        session.has_asked_nothing();
        session.ack(&key).await;
        sent.sent().await;
        session.takes(1001, 1).await;
        session.asks(Call::Reloaded).await;
        session.is_back().await;
        session.reaches("READY").await;
        session.takes(1001, 8).await;
        session.replaces_chrome().await;
        let relieved = session.shows(ready(), "READY").await;
        assert_eq!((relieved.reloads, relieved.restarts), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn sends_are_refused_while_a_chrome_is_being_closed_whatever_else_waits() {
    let mut session = Scenario::ready().await;
    let closed = session.plan.closes.hold();
    let disconnect = session.asked(|h| async move { h.disconnect(false).await });
    let connect = session.asked(|h| async move { h.connect(USUAL_WAIT).await });
    session.asks(Call::Closed).await;
    rests(Duration::from_secs(1)).await;
    let refused = timeout(Duration::from_secs(1), session.send(TO).refused());
    assert_is!(refused.await.unwrap(), SendError::NotReady { .. });
    closed.send(()).unwrap();
    disconnect.await.unwrap().unwrap();
    session.asks(Call::Opened).await;
    session.says(login(Some("a"))).await;
    connect.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_after_a_connect_is_heard_though_both_came_while_a_chrome_was_closed() {
    let mut session = Scenario::ready().await;
    let closed = session.plan.closes.hold();
    session.loses_chrome().await;
    session.asks(Call::Closed).await;
    let connected = session.asked(|h| async move { h.connect(WaitFor::Ready).await });
    let disconnected = session.asked(|h| async move { h.disconnect(false).await });
    rests(Duration::from_secs(1)).await;
    closed.send(()).unwrap();
    let at_once = timeout(Duration::from_secs(10), disconnected).await;
    at_once.unwrap().unwrap().unwrap();
    connected.await.unwrap().unwrap_err();
    assert_eq!(session.snapshot().state, SessionState::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_being_reloaded_is_given_nothing_until_it_can_send() {
    let mut session = Scenario::ready().await;
    session.crashes().await;
    session.asks(Call::Reloaded).await;
    let promised = session.promise(TO).await;
    rests(Duration::from_secs(5)).await;
    session.has_asked_nothing();
    session.says(ready()).await;
    assert_eq!(session.hands_over().await, promised);
}
