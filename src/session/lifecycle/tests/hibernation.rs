//! A session that nobody needs closes its Chrome, and whoever sends does not notice.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio_util::sync::CancellationToken;

use super::{
    sends::{TO, acknowledge},
    *,
};
use crate::{
    browser::Measure,
    ledger::{SendState, Step},
    session::{LinkedProfile, MemoryReport, TransferError, keeping::desired::read_all},
};

const AFTER: Duration = Duration::from_secs(600);

fn stage() -> Stage {
    let mut stage = Stage::new(1, 1);
    stage.config.hibernate_after = Some(AFTER);
    stage
}

impl Session {
    async fn hibernates(&mut self) -> Snapshot {
        let hibernates = |snapshot: &Snapshot| snapshot.state == SessionState::Hibernating;
        let hibernates = timeout(NEVER, self.snapshots.wait_for(hibernates)).await;
        hibernates.expect("it stays awake").unwrap().clone()
    }

    async fn is_awake(&mut self) {
        let is_ready = |snapshot: &Snapshot| snapshot.state == SessionState::Ready;
        let awake = timeout(NEVER, self.snapshots.wait_for(is_ready)).await;
        awake.expect("it does not wake").unwrap();
    }

    /// Lets it be ready, and then sleep.
    async fn asleep(&mut self) {
        let _page = self.ready().await;
        self.hibernates().await;
        assert!(matches!(self.call().await, Call::Closed));
    }

    async fn asks_nothing(&mut self) {
        let nothing = timeout(NEVER, self.calls.recv()).await;
        assert!(nothing.is_err(), "{nothing:?}");
    }

    /// Every state that is told from now on, until its actor ends.
    fn told(&self) -> tokio::task::JoinHandle<Vec<&'static str>> {
        let mut snapshots = self.handle.subscribe();
        tokio::spawn(async move {
            let mut told = vec![snapshots.borrow_and_update().state.name()];
            while snapshots.changed().await.is_ok() {
                told.push(snapshots.borrow_and_update().state.name());
            }
            told
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_needs_closes_its_chrome_and_stays_ready() {
    let stage = stage();
    let mut session = stage.session("51");
    let page = session.ready().await;
    let began = tokio::time::Instant::now();
    // It is measured all the while, and pinged: neither is a need.
    let handle = session.handle.clone();
    let measuring = tokio::spawn(async move {
        loop {
            let memory = MemoryReport {
                mb: 100,
                measure: Measure::Pss,
                at: jiff::Timestamp::UNIX_EPOCH,
            };
            handle.tell_memory(1, memory);
            tokio::time::sleep(Duration::from_secs(15)).await;
        }
    });
    let asleep = session.hibernates().await;
    measuring.abort();
    assert!((AFTER..AFTER + Duration::from_secs(20)).contains(&began.elapsed()));
    assert_eq!((asleep.state.name(), asleep.reason), ("READY", None));
    assert!(matches!(session.call().await, Call::Closed));
    page.closed().await;
    let asleep = session.handle.snapshot();
    assert_eq!(asleep.account.as_deref(), Some("5491100000001"));
    assert_eq!((asleep.chrome_pid, asleep.memory), (None, None));
    session.asks_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_sleeps_only_when_it_is_set_to() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    session.asks_nothing().await;
    assert_eq!(session.handle.snapshot().state, SessionState::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_whatsapp_has_not_taken_keeps_its_session_awake() {
    let mut stage = stage();
    // Sooner than a page is loaded again that takes messages and sends none.
    stage.config.hibernate_after = Some(Duration::from_secs(20));
    let mut session = stage.session("51");
    let page = session.ready().await;
    let sent = session.send(TO);
    let Outgoing { key, .. } = session.handed_over().await;
    assert_eq!(sent.await.unwrap().unwrap().ack, 0);
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert!(session.calls.try_recv().is_err(), "it fell asleep");
    acknowledge(&page, &key).await;
    session.hibernates().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_may_be_lost_keeps_its_session_awake() {
    let mut stage = stage();
    // Longer than a page is asked in vain, and than the pause before it is asked again.
    stage.config.hibernate_after = Some(Duration::from_secs(20));
    let mut session = stage.session("51");
    let _page = session.ready().await;
    let unknown = HandOverError::Unknown("the page did not say".to_owned());
    session.plan.hand_overs.plan(Err(unknown));
    for _ in 0..4 {
        let busy = LookUpError::NoAnswer("busy".to_owned());
        session.plan.look_ups.plan(Err(busy));
    }
    let sent = session.send(TO);
    let Outgoing { key, .. } = session.handed_over().await;
    sent.await.unwrap().unwrap_err();
    for _ in 0..4 {
        assert_eq!(session.looked_up().await, key);
    }
    assert_eq!(session.handle.snapshot().state, SessionState::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_connection_is_lost_does_not_sleep() {
    let stage = stage();
    let mut session = stage.session("51");
    let page = session.ready().await;
    say(&page, offline()).await;
    session.reaches("AUTHENTICATED").await;
    session.asks_nothing().await;
    say(&page, ready()).await;
    session.hibernates().await;
}

#[tokio::test(start_paused = true)]
async fn a_send_wakes_its_session_and_goes_out_once_with_nobody_seeing_but_ready() {
    let stage = stage();
    let mut session = stage.session("51");
    session.asleep().await;
    let told = session.told();
    let sent = session.send(TO);
    let page = session.opened().await;
    let waking = session.handle.snapshot();
    assert_eq!(waking.state, SessionState::Hibernating);
    assert!(waking.phase.is_some(), "nothing says that it wakes");
    let linking = Standing {
        online: false,
        ..ready()
    };
    for standing in [Standing::default(), linking, ready()] {
        say(&page, standing).await;
        // Whoever looks is given the time to see it.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let key = session.handed_over().await.key;
    acknowledge(&page, &key).await;
    assert_eq!(sent.await.unwrap().unwrap().ack, 1);
    let awake = session.handle.snapshot();
    assert_eq!((awake.restarts, awake.phase), (0, None));
    session.hibernates().await;
    assert!(matches!(session.call().await, Call::Closed));
    stage.stop.cancel();
    let told = told.await.unwrap();
    let (last, before) = told.split_last().unwrap();
    assert!(before.iter().all(|state| *state == "READY"), "{told:?}");
    assert_eq!(*last, "DISCONNECTED");
}

#[tokio::test(start_paused = true)]
async fn ten_sends_at_once_wake_their_session_once_and_keep_their_order() {
    let stage = stage();
    let mut session = stage.session("51");
    session.asleep().await;
    let (mut sends, mut page) = (Vec::new(), None);
    for number in 0..10 {
        // Some before there is a Chrome, some after, and some of those whose callers do not wait.
        let to = format!("549115825420{number}");
        let waits = number % 3 != 0;
        let send = session.send_as(&to, None, waits);
        if waits {
            tokio::time::sleep(Duration::from_millis(10)).await;
        } else {
            assert_eq!(send.await.unwrap().unwrap().state, SendState::Queued);
        }
        sends.push(to);
        if number == 5 {
            let opened = session.opened().await;
            say(&opened, Standing::default()).await;
            page = Some(opened);
        }
    }
    let page = page.unwrap();
    say(&page, ready()).await;
    for to in sends {
        let outgoing = session.handed_over().await;
        assert_eq!(*outgoing.to, *to);
        acknowledge(&page, &outgoing.key).await;
        stage.becomes(&outgoing.key, SendState::Sent).await;
    }
    assert!(session.calls.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_send_that_comes_while_chrome_is_being_closed_waits_for_the_next_one() {
    let stage = stage();
    let mut session = stage.session("51");
    let _page = session.ready().await;
    let closed = session.plan.closes.hold();
    session.hibernates().await;
    assert!(matches!(session.call().await, Call::Closed));
    let waits = session.send(TO);
    let accepted = session.send_as(TO, None, false).await.unwrap().unwrap();
    closed.send(()).unwrap();
    let page = session.opened().await;
    say(&page, ready()).await;
    let first = session.handed_over().await.key;
    acknowledge(&page, &first).await;
    waits.await.unwrap().unwrap();
    assert_eq!(session.handed_over().await.key, accepted.message_id);
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_the_next_chrome_starts_waits_for_its_page() {
    let stage = stage();
    let mut session = stage.session("51");
    session.asleep().await;
    let starts = session.plan.opens.hold();
    let sent = session.send(TO);
    let launches = |snapshot: &Snapshot| {
        let phase = snapshot.phase.as_ref();
        phase.is_some_and(|phase| phase.name == Phase::Launch)
    };
    session.snapshots.wait_for(launches).await.unwrap();
    let accepted = session.send_as(TO, None, false).await.unwrap().unwrap();
    assert_eq!(accepted.state, SendState::Queued);
    let handle = session.handle.clone();
    let checked = tokio::spawn(async move { handle.check("5491158254202".parse().unwrap()).await });
    let connected = session.handle.connect(USUAL_WAIT).await.unwrap();
    assert!(connected.already_connected);
    starts.send(()).unwrap();
    let page = session.opened().await;
    say(&page, ready()).await;
    let first = session.handed_over().await.key;
    acknowledge(&page, &first).await;
    sent.await.unwrap().unwrap();
    assert_eq!(session.handed_over().await.key, accepted.message_id);
    checked.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_disconnects_while_chrome_is_being_closed_is_heard_before_a_send_wakes_it() {
    let stage = stage();
    let mut session = stage.session("51");
    let _page = session.ready().await;
    let closed = session.plan.closes.hold();
    session.hibernates().await;
    assert!(matches!(session.call().await, Call::Closed));
    let promised = session.send_as(TO, None, false).await.unwrap().unwrap();
    let handle = session.handle.clone();
    let disconnect = tokio::spawn(async move { handle.disconnect(false).await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    closed.send(()).unwrap();
    let outcome = timeout(NEVER, disconnect).await.unwrap().unwrap();
    assert_eq!(outcome.unwrap(), DisconnectOutcome::Disconnected);
    // It was promised for later.
    stage.becomes(&promised.message_id, SendState::Queued).await;
    session.asks_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_sleeps_leaves_a_snapshot_and_lets_nobody_else_at_its_profile() {
    let stage = stage();
    let mut session = stage.session("51");
    std::fs::create_dir_all(stage.profile("51").join("Default")).unwrap();
    session.asleep().await;
    let is_asleep = |snapshot: &Snapshot| snapshot.chrome_pid.is_none();
    session.snapshots.wait_for(is_asleep).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let snapshots = std::fs::read_dir(stage.folder.path().join("snapshots/51"));
    assert_eq!(snapshots.unwrap().count(), 1);
    let id = "51".parse().unwrap();
    let tokens = stage.folder.path().join("tokens");
    let refused = LinkedProfile::take(&id, &tokens).await;
    assert!(
        matches!(refused, Err(TransferError::Running { holder: Some(pid), .. }) if pid == std::process::id()),
        "{refused:?}"
    );
    let sent = session.send(TO);
    let page = session.opened().await;
    // Its Chrome has it to itself.
    LinkedProfile::take(&id, &tokens).await.unwrap();
    say(&page, ready()).await;
    acknowledge(&page, &session.handed_over().await.key).await;
    sent.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_send_that_was_promised_while_its_session_slept_is_sent_by_the_next_service() {
    let mut stage = stage();
    let mut session = stage.session("51");
    session.asleep().await;
    let promised = session.send_as(TO, None, false).await.unwrap().unwrap();
    session.opened().await;
    stage.stop.cancel();
    timeout(NEVER, &mut session.task).await.unwrap().unwrap();
    stage.stop = CancellationToken::new();
    let mut next = stage.session("51");
    let page = next.ready().await;
    let key = next.handed_over().await.key;
    assert_eq!(key, promised.message_id);
    acknowledge(&page, &key).await;
    next.hibernates().await;
    assert!(matches!(next.call().await, Call::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_repetition_is_answered_without_waking_anybody() {
    let stage = stage();
    let mut session = stage.session("51");
    let page = session.ready().await;
    let sent = session.send_as(TO, Some("order-7"), true);
    let key = session.handed_over().await.key;
    acknowledge(&page, &key).await;
    let sent = sent.await.unwrap().unwrap();
    session.hibernates().await;
    assert!(matches!(session.call().await, Call::Closed));
    let again = session.send_as(TO, Some("order-7"), true);
    let again = again.await.unwrap().unwrap();
    assert!(again.is_repeated && again.message_id == sent.message_id);
    session.asks_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_taken_back_before_its_session_wakes_is_not_handed_over() {
    let stage = stage();
    let mut session = stage.session("51");
    session.asleep().await;
    let accepted = session.send_as(TO, None, false).await.unwrap().unwrap();
    let key = accepted.message_id;
    let cancelled = stage.ledger.advance(&key, Step::Cancelled).await;
    assert!(cancelled.unwrap());
    session.handle.remove(&key);
    let page = session.opened().await;
    say(&page, ready()).await;
    session.hibernates().await;
    assert!(matches!(session.call().await, Call::Closed));
}

#[tokio::test(start_paused = true)]
async fn as_many_sends_wait_for_a_session_that_sleeps_as_for_any_other() {
    let mut stage = stage();
    stage.config.sends.queue_max = NonZeroUsize::MIN;
    let mut session = stage.session("51");
    session.asleep().await;
    let key = Some("order-7");
    session.send_as(TO, key, false).await.unwrap().unwrap();
    let refused = session.send(TO).await.unwrap().unwrap_err();
    assert!(
        matches!(refused, SendError::QueueFull { .. }),
        "{refused:?}"
    );
    let again = session.send_as(TO, key, false).await.unwrap().unwrap();
    assert!(again.is_repeated);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_sleeps_does_not_forget_how_fast_it_has_sent() {
    let mut stage = stage();
    // Five at once, then one a minute: the sixth has to wait for longer than its caller does.
    stage.config.sends.rate_per_minute = NonZeroU32::new(1);
    stage.config.hibernate_after = Some(Duration::from_secs(1));
    let mut session = stage.session("51");
    let page = session.ready().await;
    for _ in 0..5 {
        let sent = session.send(TO);
        let key = session.handed_over().await.key;
        acknowledge(&page, &key).await;
        sent.await.unwrap().unwrap();
    }
    session.hibernates().await;
    assert!(matches!(session.call().await, Call::Closed));
    let refused = session.send(TO).await.unwrap().unwrap_err();
    assert!(
        matches!(refused, SendError::TurnNotCome { .. }),
        "{refused:?}"
    );
    session.asks_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_sleeps_is_disconnected_at_once() {
    let stage = stage();
    let mut session = stage.session("51");
    session.asleep().await;
    let outcome = session.handle.disconnect(false).await.unwrap();
    assert_eq!(outcome, DisconnectOutcome::Disconnected);
    let ended = session.handle.snapshot();
    assert_eq!(ended.state, SessionState::Disconnected);
    assert_eq!(ended.account, None);
    assert_eq!(ended.reason.unwrap().code, ReasonCode::DisconnectRequested);
    let refused = session.send(TO).await.unwrap().unwrap_err();
    assert!(matches!(refused, SendError::NotReady { .. }), "{refused:?}");
    session.asks_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_wakes_is_disconnected_and_its_sends_are_answered() {
    let stage = stage();
    let mut session = stage.session("51");
    session.asleep().await;
    let sent = session.send(TO);
    let _page = session.opened().await;
    let outcome = session.handle.disconnect(false).await.unwrap();
    assert_eq!(outcome, DisconnectOutcome::Disconnected);
    let refused = sent.await.unwrap().unwrap_err();
    assert!(
        matches!(&refused, SendError::NotReady { reason: Some(why), .. } if why.code == ReasonCode::DisconnectRequested),
        "{refused:?}"
    );
    assert!(matches!(session.call().await, Call::Closed));
    session.asks_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_connect_wakes_a_session_and_finds_it_connected() {
    let stage = stage();
    let mut session = stage.session("51");
    session.asleep().await;
    let connected = session.handle.connect(USUAL_WAIT).await.unwrap();
    assert!(connected.already_connected);
    assert_eq!(connected.snapshot.state.name(), "READY");
    let page = session.opened().await;
    let handle = session.handle.clone();
    let waits = tokio::spawn(async move { handle.connect(WaitFor::Ready).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waits.is_finished(), "it is not awake yet");
    say(&page, ready()).await;
    let outcome = waits.await.unwrap().unwrap();
    assert!(outcome.already_connected);
    assert_eq!(outcome.snapshot.state, SessionState::Ready);
}

#[tokio::test(start_paused = true)]
async fn what_needs_the_page_waits_until_it_can_send() {
    let stage = stage();
    let mut session = stage.session("51");
    session.asleep().await;
    let handle = session.handle.clone();
    let checked = tokio::spawn(async move { handle.check(TO.parse().unwrap()).await });
    let page = session.opened().await;
    let handle = session.handle.clone();
    let looked = tokio::spawn(async move { handle.take_evidence().await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(session.calls.try_recv().is_err(), "there is nothing to see");
    say(&page, ready()).await;
    assert_eq!(checked.await.unwrap().unwrap().chat, None);
    looked.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_logout_wakes_the_session_and_unlinks_it() {
    let stage = stage();
    let mut session = stage.session("51");
    session.asleep().await;
    let handle = session.handle.clone();
    let logout = tokio::spawn(async move { handle.disconnect(true).await });
    let page = session.opened().await;
    say(&page, ready()).await;
    assert!(matches!(session.call().await, Call::LoggedOut));
    let outcome = logout.await.unwrap().unwrap();
    assert_eq!(outcome, DisconnectOutcome::LoggedOut);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_fails_to_wake_says_why_keeps_what_was_promised_and_is_healed() {
    let stage = stage();
    let mut session = stage.session("51");
    session.asleep().await;
    let accepted = session.send_as(TO, None, false).await.unwrap().unwrap();
    let waits = session.send(TO);
    let page = session.opened().await;
    let handle = session.handle.clone();
    let checked = tokio::spawn(async move { handle.check(TO.parse().unwrap()).await });
    let handle = session.handle.clone();
    let logout = tokio::spawn(async move { handle.disconnect(true).await });
    // All are heard before Chrome goes.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let lost = Fact::BrowserLost("Chrome was ended by signal 9".to_owned());
    page.send(lost).await.unwrap();
    let refused = waits.await.unwrap().unwrap_err();
    assert!(
        matches!(&refused, SendError::NotReady { reason: Some(why), .. } if why.code == ReasonCode::BrowserLost),
        "{refused:?}"
    );
    let unchecked = checked.await.unwrap().unwrap_err();
    assert!(
        matches!(
            &unchecked,
            SendError::NotReady {
                reason: Some(_),
                ..
            }
        ),
        "{unchecked:?}"
    );
    let not_unlinked = logout.await.unwrap().unwrap_err();
    assert!(
        matches!(not_unlinked, DisconnectError::LogoutUnconfirmed(_)),
        "{not_unlinked:?}"
    );
    session.reaches("DISCONNECTED").await;
    assert!(matches!(session.call().await, Call::Closed));
    let page = session.opened().await;
    say(&page, ready()).await;
    assert_eq!(session.reaches("READY").await.restarts, 1);
    assert_eq!(session.handed_over().await.key, accepted.message_id);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_takes_too_long_to_wake_is_seen_as_it_stands() {
    let stage = stage();
    let mut session = stage.session("51");
    session.asleep().await;
    let told = session.send(TO);
    let page = session.opened().await;
    let late = session.reaches("INIT").await;
    assert!(late.phase.is_some());
    let refused = told.await.unwrap().unwrap_err();
    assert!(
        matches!(
            refused,
            SendError::NotReady { .. } | SendError::TurnNotCome { .. }
        ),
        "{refused:?}"
    );
    let refused = session.send(TO).await.unwrap().unwrap_err();
    assert!(
        matches!(refused, SendError::NotReady { state: "INIT", .. }),
        "{refused:?}"
    );
    say(&page, ready()).await;
    session.is_awake().await;
    assert!(
        session.calls.try_recv().is_err(),
        "a send that was given up went out"
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_unlinked_while_it_slept_asks_for_a_scan() {
    let stage = stage();
    let mut session = stage.session("51");
    session.asleep().await;
    let sent = session.send(TO);
    let page = session.opened().await;
    say(&page, login(Some("a"))).await;
    let unlinked = session.reaches("QR_REQUIRED").await;
    assert_eq!(unlinked.reason.unwrap().code, ReasonCode::Unlinked);
    let refused = sent.await.unwrap().unwrap_err();
    assert!(
        matches!(
            &refused,
            SendError::NotReady {
                state: "QR_REQUIRED",
                reason: Some(_),
                ..
            }
        ),
        "{refused:?}"
    );
}

/// What the machine of one test has free.
static FREE_MB: AtomicU64 = AtomicU64::new(1000);

#[tokio::test(start_paused = true)]
async fn a_session_without_memory_to_wake_in_waits_for_it_and_fails_honestly() {
    let mut stage = stage();
    stage.needs_memory(400, || Some(FREE_MB.load(Ordering::Relaxed)));
    let mut session = stage.session("51");
    session.asleep().await;
    let sent = session.send(TO);
    FREE_MB.store(100, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(20)).await;
    FREE_MB.store(1000, Ordering::Relaxed);
    let page = session.opened().await;
    say(&page, ready()).await;
    let key = session.handed_over().await.key;
    acknowledge(&page, &key).await;
    sent.await.unwrap().unwrap();

    session.hibernates().await;
    assert!(matches!(session.call().await, Call::Closed));
    FREE_MB.store(100, Ordering::Relaxed);
    let sent = session.send(TO);
    let failed = session.reaches("DISCONNECTED").await;
    let reason = failed.reason.unwrap();
    assert_eq!(reason.code, ReasonCode::Capacity);
    assert!(reason.detail.contains("MIN_FREE_MEMORY_MB"));
    sent.await.unwrap().unwrap_err();
    FREE_MB.store(1000, Ordering::Relaxed);
    let page = session.opened().await;
    say(&page, ready()).await;
    session.is_awake().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_sleeps_is_looked_after_once_a_day() {
    let stage = stage();
    let mut session = stage.session("51");
    session.asleep().await;
    let day = Duration::from_secs(24 * 3600 + 1);
    let call = timeout(day, session.calls.recv()).await;
    let Ok(Some(Call::Opened(page))) = call else {
        panic!("{call:?}");
    };
    // Nobody waits for it, until somebody does.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(session.handle.snapshot().state, SessionState::Hibernating);
    let sent = session.send(TO);
    say(&page, ready()).await;
    let key = session.handed_over().await.key;
    acknowledge(&page, &key).await;
    sent.await.unwrap().unwrap();
    session.is_awake().await;
    session.hibernates().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_sleeps_when_the_service_stops_is_to_be_up_in_the_next() {
    let stage = stage();
    let mut session = stage.session("51");
    session.asleep().await;
    stage.stop.cancel();
    timeout(NEVER, &mut session.task).await.unwrap().unwrap();
    let left = read_all(&stage.folder.path().join("sessions"));
    let desired = &left[&"51".parse().unwrap()];
    assert!(desired.is_up() && desired.was_ready());
}
