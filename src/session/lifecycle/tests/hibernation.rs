//! A session that has nothing to do closes its Chrome, and its callers do not notice.

use std::num::{NonZeroU32, NonZeroUsize};

use super::*;
use crate::{
    browser::Measure,
    session::{LinkedProfile, MemoryReport, TransferError},
    whatsapp::ChatAct,
};

const AFTER: Duration = Duration::from_secs(600);

/// Sooner than a page is loaded again that takes messages and sends none, and than the pause after a look-up in vain.
const SOON: Duration = Duration::from_secs(20);

fn hibernates(config: &mut SessionConfig) {
    config.hibernate_after = Some(AFTER);
}

fn hibernates_soon(config: &mut SessionConfig) {
    config.hibernate_after = Some(SOON);
}

impl Scenario {
    /// Was READY, and hibernates.
    pub(super) async fn asleep() -> Self {
        Self::asleep_with(|_| {}).await
    }

    async fn asleep_with(change: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut session = Self::ready_with(|config| {
            hibernates(config);
            change(config);
        })
        .await;
        session.falls_asleep().await;
        session
    }

    async fn hibernates(&mut self) -> Snapshot {
        self.sees(|now| now.state == SessionState::Hibernating)
            .await
    }

    async fn falls_asleep(&mut self) {
        self.hibernates().await;
        self.asks(Call::Closed).await;
    }

    async fn is_awake(&mut self) {
        self.sees(|now| now.state == SessionState::Ready).await;
    }

    /// Its next Chrome comes up.
    async fn wakes(&mut self) {
        self.asks(Call::Opened).await;
        self.says(ready()).await;
    }

    /// Falls asleep with a Chrome that is being closed until the sender is used.
    async fn is_falling_asleep(&mut self) -> tokio::sync::oneshot::Sender<()> {
        let closed = self.plan.closes.hold();
        self.falls_asleep().await;
        closed
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
async fn a_session_that_has_nothing_to_do_closes_its_chrome_and_stays_ready() {
    let mut session = Scenario::ready_with(hibernates).await;
    let began = tokio::time::Instant::now();
    // It is measured all the while, and pinged: neither is a need.
    let measuring = session.asked(|handle| async move {
        loop {
            let memory = MemoryReport {
                mb: 100,
                measure: Measure::Pss,
                at: jiff::Timestamp::UNIX_EPOCH,
            };
            handle.tell_memory(1, memory);
            seconds(15).await;
        }
    });
    let asleep = session.hibernates().await;
    measuring.abort();
    assert!((AFTER..AFTER + SOON).contains(&began.elapsed()));
    assert_eq!((asleep.state.name(), asleep.reason), ("READY", None));
    session.asks(Call::Closed).await;
    session.page().closed().await;
    let asleep = session.snapshot();
    assert_eq!(asleep.account, ready().account);
    assert_eq!((asleep.chrome_pid, asleep.memory), (None, None));
    session.asks_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_whatsapp_has_not_taken_keeps_its_session_awake() {
    let mut session = Scenario::ready_with(hibernates_soon).await;
    let sent = session.send(TO);
    let key = session.hands_over().await;
    assert_eq!(sent.sent().await.ack, 0);
    seconds(40).await;
    session.has_asked_nothing();
    session.ack(&key).await;
    session.hibernates().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_may_be_lost_keeps_its_session_awake() {
    let mut session = Scenario::ready_with(hibernates_soon).await;
    let unknown = HandOverError::Unknown("the page did not say".to_owned());
    session.plan.hand_overs.plan(Err(unknown));
    for _ in 0..4 {
        let busy = LookUpError::NoAnswer("busy".to_owned());
        session.plan.look_ups.plan(Err(busy));
    }
    let sent = session.send(TO);
    let key = session.hands_over().await;
    sent.refused().await;
    for _ in 0..4 {
        session.looks_up(&key).await;
    }
    assert_eq!(session.snapshot().state, SessionState::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_connection_is_lost_does_not_sleep() {
    let mut session = Scenario::ready_with(hibernates).await;
    session.shows(offline(), "AUTHENTICATED").await;
    session.asks_nothing().await;
    session.says(ready()).await;
    session.hibernates().await;
}

#[tokio::test(start_paused = true)]
async fn a_send_wakes_its_session_and_goes_out_once_while_callers_see_ready() {
    let mut session = Scenario::asleep().await;
    let told = session.told();
    let sent = session.send(TO);
    session.asks(Call::Opened).await;
    let waking = session.snapshot();
    assert_eq!(waking.state, SessionState::Hibernating);
    assert!(waking.phase.is_some(), "nothing says that it wakes");
    for standing in [Standing::default(), offline(), ready()] {
        session.says(standing).await;
        // A caller who looks is given the time to see it.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    session.hands_over_and_ack().await;
    assert_eq!(sent.sent().await.ack, 1);
    let awake = session.snapshot();
    assert_eq!((awake.restarts, awake.phase), (0, None));
    session.falls_asleep().await;
    session.stops().await;
    let told = told.await.unwrap();
    let (last, before) = told.split_last().unwrap();
    assert!(before.iter().all(|state| *state == "READY"), "{told:?}");
    assert_eq!(*last, "DISCONNECTED");
}

#[tokio::test(start_paused = true)]
async fn ten_sends_at_once_wake_their_session_once_and_keep_their_order() {
    let mut session = Scenario::asleep().await;
    let mut sends = Vec::new();
    for number in 0..10 {
        // Some before there is a Chrome, some after, and some of those whose callers do not wait.
        let to = format!("549115825420{number}");
        if number % 3 == 0 {
            session.promise(&to).await;
        } else {
            let _waits = session.send(&to);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        sends.push(to);
        if number == 5 {
            session.asks(Call::Opened).await;
            session.says(Standing::default()).await;
        }
    }
    session.says(ready()).await;
    for to in sends {
        let outgoing = session.outgoing().await;
        assert_eq!(*outgoing.to, *to);
        session.ack(&outgoing.key).await;
        let stage = &session.stage;
        stage.becomes(&outgoing.key, SendState::Sent).await;
    }
    session.has_asked_nothing();
}

#[tokio::test(start_paused = true)]
async fn a_send_that_comes_while_chrome_is_being_closed_waits_for_the_next_one() {
    let mut session = Scenario::ready_with(hibernates).await;
    let closed = session.is_falling_asleep().await;
    let waits = session.send(TO);
    let promised = session.promise(TO).await;
    closed.send(()).unwrap();
    session.wakes().await;
    session.hands_over_and_ack().await;
    waits.sent().await;
    assert_eq!(session.hands_over().await, promised);
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_the_next_chrome_starts_waits_for_its_page() {
    let mut session = Scenario::asleep().await;
    let starts = session.plan.opens.hold();
    let sent = session.send(TO);
    let launches = |now: &Snapshot| {
        let phase = now.phase.as_ref();
        phase.is_some_and(|phase| phase.name == Phase::Launch)
    };
    session.sees(launches).await;
    let promised = session.promise(TO).await;
    let checked = session.asked(|h| async move { h.check(OTHER.parse().unwrap()).await });
    let connected = session.handle.connect(USUAL_WAIT).await.unwrap();
    assert!(connected.already_connected);
    starts.send(()).unwrap();
    session.wakes().await;
    session.hands_over_and_ack().await;
    sent.sent().await;
    assert_eq!(session.hands_over().await, promised);
    checked.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_while_chrome_is_being_closed_is_heard_before_a_send_wakes_it() {
    let mut session = Scenario::ready_with(hibernates).await;
    let closed = session.is_falling_asleep().await;
    let promised = session.promise(TO).await;
    let disconnect = session.asked(|h| async move { h.disconnect(false).await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    closed.send(()).unwrap();
    let outcome = timeout(NEVER, disconnect).await.unwrap().unwrap();
    assert_eq!(outcome.unwrap(), DisconnectOutcome::Disconnected);
    // It was promised for later.
    session.stage.becomes(&promised, SendState::Queued).await;
    session.asks_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_sleeps_leaves_a_snapshot_and_keeps_its_profile_to_itself() {
    let mut session = Scenario::on(Stage::with(hibernates));
    session.store("linked");
    session.becomes_ready().await;
    session.falls_asleep().await;
    session.sees(|now| now.chrome_pid.is_none()).await;
    seconds(1).await;
    assert_eq!(session.snapshots(), 1);
    let (id, tokens) = ("51".parse().unwrap(), session.stage.path("tokens"));
    assert_is!(
        LinkedProfile::take(&id, &tokens).await,
        Err(TransferError::Running { holder: Some(pid), .. }) if *pid == std::process::id()
    );
    let sent = session.send(TO);
    session.asks(Call::Opened).await;
    // Its Chrome has it to itself.
    LinkedProfile::take(&id, &tokens).await.unwrap();
    session.says(ready()).await;
    session.hands_over_and_ack().await;
    sent.sent().await;
}

#[tokio::test(start_paused = true)]
async fn a_send_that_was_promised_while_its_session_slept_is_sent_by_the_next_service() {
    let mut session = Scenario::asleep().await;
    let promised = session.promise(TO).await;
    session.asks(Call::Opened).await;
    session.stops().await;
    let mut next = session.next_service();
    next.becomes_ready().await;
    assert_eq!(next.hands_over_and_ack().await, promised);
    next.falls_asleep().await;
}

#[tokio::test(start_paused = true)]
async fn a_repetition_is_answered_without_waking_the_session() {
    let mut session = Scenario::ready_with(hibernates).await;
    let sent = session.send_as(TO, Some("order-7"), true);
    session.hands_over_and_ack().await;
    let sent = sent.sent().await;
    session.falls_asleep().await;
    let again = session.send_as(TO, Some("order-7"), true).sent().await;
    assert!(again.is_repeated && again.message_id == sent.message_id);
    session.asks_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_taken_back_before_its_session_wakes_is_not_handed_over() {
    let mut session = Scenario::asleep().await;
    let promised = session.promise(TO).await;
    let ledger = &session.stage.ledger;
    assert!(ledger.advance(&promised, Step::Cancelled).await.unwrap());
    session.handle.remove(&promised);
    session.wakes().await;
    session.falls_asleep().await;
}

#[tokio::test(start_paused = true)]
async fn as_many_sends_wait_for_a_session_that_sleeps_as_for_any_other() {
    let one = NonZeroUsize::MIN;
    let session = Scenario::asleep_with(|config| config.sends.queue_max = one).await;
    let send = || session.send_as(TO, Some("order-7"), false);
    let first = send().sent().await;
    // Before the page stands, no place becomes free by the pace.
    assert_is!(
        session.send(TO).refused().await,
        SendError::QueueFull { retry_after } if *retry_after >= Duration::from_secs(15)
    );
    assert!(send().sent().await.is_repeated);
    // One that is taken back gives its place to the next.
    session.handle.remove(&first.message_id);
    session.promise(OTHER).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_sleeps_does_not_forget_how_fast_it_has_sent() {
    // Five at once, then one a minute: the sixth has to wait for longer than its caller does.
    let mut session = Scenario::ready_with(|config| {
        config.hibernate_after = Some(Duration::from_secs(1));
        config.sends.rate_per_minute = NonZeroU32::new(1);
    })
    .await;
    for _ in 0..5 {
        session.sends().await;
    }
    session.falls_asleep().await;
    let refused = session.send(TO).refused().await;
    assert_is!(refused, SendError::TurnNotCome { .. });
    session.asks_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_sleeps_is_disconnected_at_once() {
    let mut session = Scenario::asleep().await;
    session.disconnects().await;
    let ended = session.snapshot();
    assert_eq!(ended.state, SessionState::Disconnected);
    assert_eq!(ended.account, None);
    session.assert_reason(ReasonCode::DisconnectRequested);
    assert_is!(session.send(TO).refused().await, SendError::NotReady { .. });
    session.asks_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_wakes_is_disconnected_and_its_sends_are_answered() {
    let mut session = Scenario::asleep().await;
    let sent = session.send(TO);
    session.asks(Call::Opened).await;
    session.disconnects().await;
    assert_is!(
        sent.refused().await,
        SendError::NotReady { reason: Some(why), .. } if why.code == ReasonCode::DisconnectRequested
    );
    session.asks(Call::Closed).await;
    session.asks_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_connect_wakes_a_session_and_finds_it_connected() {
    let mut session = Scenario::asleep().await;
    let connected = session.handle.connect(USUAL_WAIT).await.unwrap();
    assert!(connected.already_connected);
    assert_eq!(connected.snapshot.state.name(), "READY");
    session.asks(Call::Opened).await;
    let waits = session.asked(|h| async move { h.connect(WaitFor::Ready).await });
    seconds(1).await;
    assert!(!waits.is_finished(), "it is not awake yet");
    session.says(ready()).await;
    let outcome = waits.await.unwrap().unwrap();
    assert!(outcome.already_connected);
    assert_eq!(outcome.snapshot.state, SessionState::Ready);
}

#[tokio::test(start_paused = true)]
async fn what_needs_the_page_waits_until_it_can_send() {
    let mut session = Scenario::asleep().await;
    let checked = session.asked(|h| async move { h.check(TO.parse().unwrap()).await });
    session.asks(Call::Opened).await;
    let looked = session.asked(|h| async move { h.take_evidence().await });
    seconds(1).await;
    session.has_asked_nothing();
    session.says(ready()).await;
    assert!(checked.await.unwrap().unwrap().chat.is_some());
    looked.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_in_a_chat_wakes_the_session_and_goes_past_the_sends_that_wait() {
    let mut session = Scenario::asleep().await;
    let typing = ChatAct::Typing;
    let typed = session.asked(move |h| async move { h.in_chat(TO.parse().unwrap(), typing).await });
    session.wakes().await;
    session.asks(Call::InChat(TO.to_owned(), typing)).await;
    typed.await.unwrap().unwrap();
    // The page does not answer about a message.
    let hand_over = session.plan.hand_overs.hold();
    let sent = session.send(TO);
    session.hands_over().await;
    let typed = session.asked(move |h| async move { h.in_chat(TO.parse().unwrap(), typing).await });
    session.asks(Call::InChat(TO.to_owned(), typing)).await;
    typed.await.unwrap().unwrap();
    drop((hand_over, sent));
}

#[tokio::test(start_paused = true)]
async fn a_logout_wakes_the_session_and_unlinks_it() {
    let mut session = Scenario::asleep().await;
    let logout = session.asked(|h| async move { h.disconnect(true).await });
    session.wakes().await;
    session.asks(Call::LoggedOut).await;
    assert_is!(logout.await.unwrap(), Ok(DisconnectOutcome::LoggedOut));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_fails_to_wake_says_why_keeps_what_was_promised_and_is_healed() {
    let mut session = Scenario::asleep().await;
    let promised = session.promise(TO).await;
    let waits = session.send(TO);
    session.asks(Call::Opened).await;
    let checked = session.asked(|h| async move { h.check(TO.parse().unwrap()).await });
    let logout = session.asked(|h| async move { h.disconnect(true).await });
    // All are heard before Chrome goes.
    seconds(1).await;
    session.loses_chrome().await;
    let unchecked = checked.await.unwrap().unwrap_err();
    for refused in [waits.refused().await, unchecked] {
        assert_is!(
            refused,
            SendError::NotReady { reason: Some(why), .. } if why.code == ReasonCode::BrowserLost
        );
    }
    let refused = logout.await.unwrap();
    assert_is!(refused, Err(DisconnectError::LogoutUnconfirmed(_)));
    session.reaches("DISCONNECTED").await;
    session.replaces_chrome().await;
    assert_eq!(session.shows(ready(), "READY").await.restarts, 1);
    assert_eq!(session.hands_over().await, promised);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_takes_too_long_to_wake_is_seen_as_it_stands() {
    let mut session = Scenario::asleep().await;
    let told = session.send(TO);
    session.asks(Call::Opened).await;
    assert!(session.reaches("INIT").await.phase.is_some());
    assert_is!(
        told.refused().await,
        SendError::NotReady { .. } | SendError::TurnNotCome { .. }
    );
    let refused = session.send(TO).refused().await;
    assert_is!(refused, SendError::NotReady { state: "INIT", .. });
    session.says(ready()).await;
    session.is_awake().await;
    // What was given up does not go out.
    session.has_asked_nothing();
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_unlinked_while_it_slept_asks_for_a_scan() {
    let mut session = Scenario::asleep().await;
    let sent = session.send(TO);
    session.asks(Call::Opened).await;
    session.says(login(Some("a"))).await;
    let code = ReasonCode::Unlinked;
    session.reaches_for("QR_REQUIRED", code).await;
    assert_is!(
        sent.refused().await,
        SendError::NotReady {
            state: "QR_REQUIRED",
            reason: Some(_),
            ..
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_without_memory_to_wake_in_waits_for_it_and_fails_honestly() {
    let mut session = Scenario::asleep_with(|config| config.min_free_memory_mb = 400).await;
    let sent = session.send(TO);
    set_free_mb(100);
    seconds(20).await;
    set_free_mb(1000);
    session.wakes().await;
    session.hands_over_and_ack().await;
    sent.sent().await;

    session.falls_asleep().await;
    set_free_mb(100);
    let sent = session.send(TO);
    let code = ReasonCode::Capacity;
    let reason = session.reaches_for("DISCONNECTED", code).await;
    assert!(reason.detail.contains("MIN_FREE_MEMORY_MB"));
    sent.refused().await;
    set_free_mb(1000);
    session.wakes().await;
    session.is_awake().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_sleeps_is_looked_after_once_a_day() {
    let mut session = Scenario::asleep().await;
    let day = Duration::from_secs(24 * 3600 + 1);
    let call = timeout(day, session.calls.recv()).await;
    assert_is!(call, Ok(Some(Call::Opened)));
    // No caller waits for it, and then one does.
    seconds(60).await;
    assert_eq!(session.snapshot().state, SessionState::Hibernating);
    let sent = session.send(TO);
    session.says(ready()).await;
    session.hands_over_and_ack().await;
    sent.sent().await;
    session.is_awake().await;
    session.hibernates().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_messages_are_wanted_wakes_for_them_and_stays_awake() {
    let mut session = Scenario::asleep().await;
    session.stage.is_listened_to(true);
    session.wakes().await;
    session.is_awake().await;
    let mut snapshots = session.handle.subscribe();
    let slept = snapshots.wait_for(|now| now.state == SessionState::Hibernating);
    assert!(timeout(NEVER, slept).await.is_err());
    session.stage.is_listened_to(false);
    session.falls_asleep().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_may_sleep_all_the_same_where_an_operator_wants_it() {
    let mut session = Scenario::ready_with(|config| {
        hibernates(config);
        config.hibernate_listening = true;
    })
    .await;
    session.stage.is_listened_to(true);
    session.falls_asleep().await;
    let mut snapshots = session.handle.subscribe();
    let woke = snapshots.wait_for(|now| now.state != SessionState::Hibernating);
    // It wakes once a day by itself.
    assert!(timeout(NEVER, woke).await.is_err());
}
