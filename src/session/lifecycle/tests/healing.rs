//! What breaks is mended without a call.

use std::num::NonZeroU64;

use super::{
    sends::{TO, acknowledge},
    *,
};
use crate::{browser::Measure, session::MemoryReport, whatsapp::Silence};

pub(super) async fn lose_chrome(page: &mpsc::Sender<Fact>) {
    let lost = Fact::BrowserLost("Chrome was ended by signal 9".to_owned());
    page.send(lost).await.unwrap();
}

async fn crash(page: &mpsc::Sender<Fact>) {
    let crashed = Fact::PageLost("the page crashed".to_owned());
    page.send(crashed).await.unwrap();
}

impl Session {
    /// Asserts that the page is loaded anew, and nothing else.
    async fn reloaded(&mut self) {
        let call = self.call().await;
        assert!(matches!(call, Call::Reloaded), "{call:?}");
    }

    /// Asserts that Chrome is closed, and a new one opened.
    async fn replaced(&mut self) -> mpsc::Sender<Fact> {
        let call = self.call().await;
        assert!(matches!(call, Call::Closed), "{call:?}");
        self.opened().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_chrome_is_lost_is_ready_again_with_nobody_calling() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    lose_chrome(&page).await;
    let lost = session.reaches("DISCONNECTED").await;
    let reason = lost.reason.unwrap();
    assert_eq!(reason.code, ReasonCode::BrowserLost);
    assert!(reason.detail.ends_with("by itself"), "{}", reason.detail);
    let page = session.replaced().await;
    say(&page, ready()).await;
    let healed = session.reaches("READY").await;
    assert_eq!((healed.restarts, healed.retry_at), (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_crashes_is_loaded_anew_and_its_chrome_replaced_if_that_does_not_help() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    crash(&page).await;
    session.reloaded().await;
    let broken = session.reaches("AUTHENTICATED").await;
    assert_eq!(broken.reason.unwrap().code, ReasonCode::PageLost);
    for standing in [Standing::default(), ready()] {
        say(&page, standing).await;
    }
    assert_eq!(session.reaches("READY").await.reloads, 1);
    crash(&page).await;
    let page = session.replaced().await;
    say(&page, ready()).await;
    assert_eq!(session.reaches("READY").await.restarts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_does_not_come_back_from_a_reload_is_replaced_with_its_chrome() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let left = Fact::PageElsewhere("https://elsewhere.example".to_owned());
    page.send(left).await.unwrap();
    session.reloaded().await;
    session.replaced().await;
}

#[tokio::test(start_paused = true)]
async fn a_page_without_a_sign_of_life_is_loaded_anew_and_a_chrome_without_one_replaced() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let hangs = "no answer".to_owned();
    session.plan.pings.plan(Err(Silence::Page(hangs.clone())));
    session.reloaded().await;
    for standing in [Standing::default(), ready()] {
        say(&page, standing).await;
    }
    session.reaches("READY").await;
    session.plan.pings.plan(Err(Silence::Chrome(hangs)));
    session.replaced().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_is_its_callers_to_repeat() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session_stuck_in("51", Some(Phase::Navigate));
    session.handle.start();
    session.opened().await;
    let failed = session.reaches("DISCONNECTED").await;
    assert_eq!(failed.retry_at, None);
    assert!(matches!(session.call().await, Call::Closed));
    let nothing = timeout(NEVER, session.calls.recv()).await;
    assert!(nothing.is_err(), "it started again: {nothing:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_waits_for_its_next_start_obeys_its_callers() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let mut page = session.ready().await;
    // Twice, so that the wait is not over in a moment.
    for _ in 0..2 {
        lose_chrome(&page).await;
        page = session.replaced().await;
    }
    lose_chrome(&page).await;
    let waiting = session.snapshots.wait_for(|now| now.retry_at.is_some());
    timeout(NEVER, waiting).await.unwrap().unwrap();
    let outcome = session.handle.disconnect(false).await.unwrap();
    assert_eq!(outcome, DisconnectOutcome::Disconnected);
    let ended = session.handle.snapshot();
    assert_eq!(ended.retry_at, None);
    assert_eq!(ended.reason.unwrap().code, ReasonCode::DisconnectRequested);
    assert!(matches!(session.call().await, Call::Closed));
    let nothing = timeout(NEVER, session.calls.recv()).await;
    assert!(nothing.is_err(), "it started again: {nothing:?}");

    let page = session.ready().await;
    lose_chrome(&page).await;
    let waiting = session.snapshots.wait_for(|now| now.retry_at.is_some());
    timeout(NEVER, waiting).await.unwrap().unwrap();
    session.handle.start();
    session.replaced().await;
    assert_eq!(session.handle.snapshot().retry_at, None);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_fails_again_and_again_is_given_up_until_somebody_asks() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let mut page = session.ready().await;
    for _ in 0..HEALS_PER_HOUR {
        lose_chrome(&page).await;
        page = session.replaced().await;
    }
    lose_chrome(&page).await;
    let given_up = session.reaches("ERROR").await;
    let reason = given_up.reason.unwrap();
    assert_eq!(reason.code, ReasonCode::KeepsFailing);
    assert!(reason.detail.contains("BROWSER_LOST"), "{}", reason.detail);
    assert!(matches!(session.call().await, Call::Closed));
    session.ready().await;
}

/// It takes this much, so many times in a row.
async fn takes(session: &Session, mb: u64, times: u32) {
    for _ in 0..times {
        let memory = MemoryReport {
            mb,
            measure: Measure::Pss,
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        session.handle.tell_memory(1, memory);
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_takes_too_much_memory_is_relieved_once_nothing_is_to_be_sent() {
    let mut stage = Stage::new(1, 1);
    stage.config.memory_mb = NonZeroU64::new(1000);
    let mut session = stage.session("51");
    let page = session.ready().await;
    takes(&session, 1000, 8).await;
    let sent = session.send(TO);
    let Outgoing { key, .. } = session.handed_over().await;
    takes(&session, 1001, 8).await;
    assert!(session.calls.try_recv().is_err(), "in the midst of a send");
    acknowledge(&page, &key).await;
    sent.await.unwrap().unwrap();
    takes(&session, 1001, 1).await;
    session.reloaded().await;
    for standing in [Standing::default(), ready()] {
        say(&page, standing).await;
    }
    session.reaches("READY").await;
    takes(&session, 1001, 8).await;
    let page = session.replaced().await;
    say(&page, ready()).await;
    let relieved = session.reaches("READY").await;
    assert_eq!((relieved.reloads, relieved.restarts), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_not_to_be_healed_comes_back_all_the_same_when_it_was_ended_for_its_memory()
 {
    let mut stage = Stage::new(1, 1);
    stage.config.memory_mb = NonZeroU64::new(1000);
    stage.config.heals_per_hour = 0;
    let mut session = stage.session("51");
    let page = session.ready().await;
    takes(&session, 1001, 8).await;
    session.reloaded().await;
    for standing in [Standing::default(), ready()] {
        say(&page, standing).await;
    }
    session.reaches("READY").await;
    takes(&session, 1001, 8).await;
    let page = session.replaced().await;
    say(&page, ready()).await;
    session.reaches("READY").await;
}

#[tokio::test(start_paused = true)]
async fn sends_are_refused_while_a_chrome_is_being_closed_whatever_else_waits() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    let closed = session.plan.closes.hold();
    let [disconnect, connect] = [true, false].map(|ends| {
        let handle = session.handle.clone();
        tokio::spawn(async move {
            if ends {
                handle.disconnect(false).await.unwrap();
            } else {
                handle.connect(USUAL_WAIT).await.unwrap();
            }
        })
    });
    assert!(matches!(session.call().await, Call::Closed));
    rests(Duration::from_secs(1)).await;
    let refused = timeout(Duration::from_secs(1), session.send(TO)).await;
    assert!(refused.unwrap().unwrap().is_err());
    closed.send(()).unwrap();
    disconnect.await.unwrap();
    let page = session.opened().await;
    say(&page, login(Some("a"))).await;
    connect.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_disconnects_after_a_connect_is_heard_though_both_came_while_a_chrome_was_closed() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let closed = session.plan.closes.hold();
    lose_chrome(&page).await;
    assert!(matches!(session.call().await, Call::Closed));
    let asked = [false, true].map(|ends| {
        let handle = session.handle.clone();
        tokio::spawn(async move {
            if ends {
                handle.disconnect(false).await.is_ok()
            } else {
                handle.connect(WaitFor::Ready).await.is_ok()
            }
        })
    });
    rests(Duration::from_secs(1)).await;
    closed.send(()).unwrap();
    let [connected, disconnected] = asked;
    let at_once = timeout(Duration::from_secs(10), disconnected).await;
    assert!(at_once.unwrap().unwrap());
    assert!(!connected.await.unwrap());
    assert_eq!(session.handle.snapshot().state, SessionState::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_again_and_again_for_a_session_that_is_being_healed_does_not_keep_it_from_its_limit()
 {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let mut page = session.ready().await;
    for _ in 0..HEALS_PER_HOUR {
        lose_chrome(&page).await;
        let waiting = session.snapshots.wait_for(|now| now.retry_at.is_some());
        timeout(NEVER, waiting).await.unwrap().unwrap();
        session.handle.start();
        page = session.replaced().await;
    }
    lose_chrome(&page).await;
    let given_up = session.reaches("ERROR").await;
    assert_eq!(given_up.reason.unwrap().code, ReasonCode::KeepsFailing);
    // From there somebody's word begins anew.
    assert!(matches!(session.call().await, Call::Closed));
    let page = session.ready().await;
    lose_chrome(&page).await;
    session.replaced().await;
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_being_loaded_anew_is_given_nothing_until_it_can_send() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    crash(&page).await;
    session.reloaded().await;
    let promised = session.send_as(TO, None, false).await.unwrap().unwrap();
    rests(Duration::from_secs(5)).await;
    let asked = session.calls.try_recv();
    assert!(asked.is_err(), "{asked:?}");
    say(&page, ready()).await;
    assert_eq!(session.handed_over().await.key, promised.message_id);
}
