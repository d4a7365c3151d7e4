//! What becomes of sends, whatever their page does.

use super::*;
use crate::ledger::{SendState, Step};

pub(super) const TO: &str = "5491158254201";
const OTHER: &str = "5491158254202";

fn unknown() -> Result<(), HandOverError> {
    Err(HandOverError::Unknown("the page did not say".to_owned()))
}

fn no_answer() -> Result<Option<i32>, LookUpError> {
    Err(LookUpError::NoAnswer("busy".to_owned()))
}

pub(super) async fn acknowledge(page: &mpsc::Sender<Fact>, key: &str) {
    let key = key.to_owned();
    page.send(Fact::Ack { key, ack: 1 }).await.unwrap();
}

/// The page loads itself anew, and is ready again.
async fn reload(page: &mpsc::Sender<Fact>) {
    say(page, Standing::default()).await;
    say(page, ready()).await;
}

#[tokio::test(start_paused = true)]
async fn a_send_is_answered_with_the_servers_acknowledgement() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let sent = session.send("5491158254201");
    let Call::HandedOver(Outgoing { key, .. }) = session.call().await else {
        panic!("no hand-over")
    };
    page.send(Fact::Ack { key, ack: 1 }).await.unwrap();
    assert_eq!(sent.await.unwrap().unwrap().ack, 1);
}

#[tokio::test(start_paused = true)]
async fn an_unacknowledged_send_is_pending_at_its_deadline_and_does_not_hold_up_the_next() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    let (one, other) = (session.send("5491158254201"), session.send("5491158254202"));
    assert!(matches!(session.call().await, Call::HandedOver(_)));
    assert!(matches!(session.call().await, Call::HandedOver(_)));
    assert_eq!(one.await.unwrap().unwrap().ack, 0);
    assert_eq!(other.await.unwrap().unwrap().ack, 0);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_written_down_a_moment_too_late_fails_and_the_next_goes_out() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let prepared = session.plan.prepares.hold();
    let late = session.send_as(TO, Some("order-7"), true);
    assert!(matches!(session.call().await, Call::Prepared));
    // The page answers in time, and no write can be: the clock stands at the deadline when it begins.
    prepared.send(()).unwrap();
    tokio::time::advance(stage.config.sends.wait).await;
    rests(Duration::from_secs(1)).await;
    let refused = late.await.unwrap().unwrap_err();
    assert!(
        matches!(refused, SendError::TurnNotCome { .. }),
        "{refused:?}"
    );
    let next = session.send_as(TO, Some("order-7"), true);
    let key = session.handed_over().await.key;
    acknowledge(&page, &key).await;
    assert!(!next.await.unwrap().unwrap().is_repeated, "its key is free");
    assert!(session.calls.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_number_that_is_not_on_whatsapp_is_refused_and_nothing_handed_over() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    let refused = session.send("5491158250000").await.unwrap().unwrap_err();
    assert!(matches!(refused, SendError::NotOnWhatsApp), "{refused:?}");
    assert!(session.calls.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_chrome_that_dies_leaves_a_handed_message_unconfirmed() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let sent = session.send("5491158254201");
    assert!(matches!(session.call().await, Call::HandedOver(_)));
    page.send(Fact::BrowserLost("Chrome was ended by signal 9".to_owned()))
        .await
        .unwrap();
    let outcome = sent.await.unwrap().unwrap_err();
    assert!(
        matches!(outcome, SendError::Unconfirmed { message_id: _, .. }),
        "{outcome:?}"
    );
    let last = session.reaches("DISCONNECTED").await;
    assert_eq!(last.reason.unwrap().code, ReasonCode::BrowserLost);
}

#[tokio::test(start_paused = true)]
async fn a_send_in_doubt_that_whatsapp_has_is_waited_for_and_not_repeated() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    session.plan.hand_overs.plan(unknown());
    session.plan.look_ups.plan(Ok(Some(0)));
    let sent = session.send(TO);
    let Outgoing { key, .. } = session.handed_over().await;
    assert_eq!(session.looked_up().await, key);
    acknowledge(&page, &key).await;
    assert_eq!(sent.await.unwrap().unwrap().ack, 1);
    assert!(session.calls.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_send_in_doubt_that_whatsapp_does_not_have_goes_out_again_under_its_id_and_in_its_place()
{
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    session.plan.hand_overs.plan(unknown());
    let sent = session.send(TO);
    let Outgoing { key, .. } = session.handed_over().await;
    let next = session.send(OTHER);
    assert_eq!(session.looked_up().await, key);
    assert_eq!(session.handed_over().await.key, key, "before the newer one");
    acknowledge(&page, &key).await;
    let sent = sent.await.unwrap().unwrap();
    assert!(sent.message_id.ends_with(&key));
    let newer = session.handed_over().await.key;
    acknowledge(&page, &newer).await;
    next.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_page_that_cannot_be_asked_leaves_a_send_unconfirmed_lets_others_go_and_is_asked_again() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    session.plan.hand_overs.plan(unknown());
    for _ in 0..3 {
        session.plan.look_ups.plan(no_answer());
    }
    session.plan.look_ups.plan(Ok(Some(1)));
    let (sent, next) = (session.send(TO), session.send(OTHER));
    let Outgoing { key, .. } = session.handed_over().await;
    for _ in 0..3 {
        assert_eq!(session.looked_up().await, key);
    }
    let newer = session.handed_over().await.key;
    acknowledge(&page, &newer).await;
    next.await.unwrap().unwrap();
    let unconfirmed = sent.await.unwrap().unwrap_err();
    assert!(
        matches!(&unconfirmed, SendError::Unconfirmed { message_id, .. } if message_id.ends_with(&key)),
        "{unconfirmed:?}"
    );
    assert_eq!(session.looked_up().await, key);
    stage.becomes(&key, SendState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_is_due_while_the_page_is_offline_waits_in_peace() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    session.plan.hand_overs.plan(unknown());
    session.plan.look_ups.plan(no_answer());
    let _sent = session.send(TO);
    let Outgoing { key, .. } = session.handed_over().await;
    assert_eq!(session.looked_up().await, key);
    say(&page, offline()).await;
    rests(Duration::from_secs(60)).await;
    say(&page, ready()).await;
    assert_eq!(session.looked_up().await, key);
}

#[tokio::test(start_paused = true)]
async fn what_no_adapter_can_find_out_is_unknown_until_whatsapp_says_more() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    session.plan.hand_overs.plan(unknown());
    let blind = LookUpError::NoAdapter("on the screen only".to_owned());
    session.plan.look_ups.plan(Err(blind));
    let sent = session.send_as(TO, Some("order-7"), true);
    let Outgoing { key, .. } = session.handed_over().await;
    session.looked_up().await;
    let told = sent.await.unwrap().unwrap_err();
    assert!(matches!(told, SendError::Unconfirmed { .. }), "{told:?}");
    assert_eq!(stage.state(&key).await, SendState::Unknown);
    let again = session.send_as(TO, Some("order-7"), true);
    assert_eq!(
        again.await.unwrap().unwrap_err().to_string(),
        told.to_string()
    );
    acknowledge(&page, &key).await;
    stage.becomes(&key, SendState::Sent).await;
    let again = session.send_as(TO, Some("order-7"), true);
    assert!(again.await.unwrap().unwrap().message_id.ends_with(&key));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_loads_anew_is_asked_for_what_was_handed_over_before_anything_new_goes_out() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let answer = session.plan.look_ups.hold();
    let sent = session.send(TO);
    let Outgoing { key, .. } = session.handed_over().await;
    reload(&page).await;
    assert_eq!(session.looked_up().await, key);
    let next = session.send(OTHER);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        session.calls.try_recv().is_err(),
        "something went out before"
    );
    answer.send(Ok(Some(2))).unwrap();
    assert_eq!(sent.await.unwrap().unwrap().state, SendState::Sent);
    stage.becomes(&key, SendState::Delivered).await;
    let newer = session.handed_over().await.key;
    acknowledge(&page, &newer).await;
    next.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_over_is_unknown_once_the_device_is_unlinked_even_for_the_same_account() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let sent = session.send(TO);
    let Outgoing { key, .. } = session.handed_over().await;
    say(&page, login(Some("a"))).await;
    let unconfirmed = sent.await.unwrap().unwrap_err();
    assert!(
        matches!(unconfirmed, SendError::Unconfirmed { .. }),
        "{unconfirmed:?}"
    );
    stage.becomes(&key, SendState::Unknown).await;
    say(&page, ready()).await;
    session.reaches("READY").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        session.calls.try_recv().is_err(),
        "its store knows nothing of it"
    );
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_one_account_is_never_sent_by_another() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    say(&page, offline()).await;
    session.reaches("AUTHENTICATED").await;
    let accepted = session.send_as(TO, Some("order-7"), false);
    let accepted = accepted.await.unwrap().unwrap();
    assert_eq!(accepted.state, SendState::Queued);
    say(&page, login(Some("a"))).await;
    session.reaches("QR_REQUIRED").await;
    let other = Standing {
        account: Some("5491100000002".into()),
        ..ready()
    };
    say(&page, other).await;
    stage.becomes(&accepted.message_id, SendState::Failed).await;
    let again = session.send_as(TO, Some("order-7"), false);
    let again = again.await.unwrap().unwrap();
    assert_ne!(again.message_id, accepted.message_id, "its key is free");
    assert_eq!(session.handed_over().await.key, again.message_id);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_one_account_is_not_sent_by_another_whose_page_does_not_tell_which_it_is() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    say(&page, offline()).await;
    session.reaches("AUTHENTICATED").await;
    let accepted = session.send_as(TO, None, false).await.unwrap().unwrap();
    session.handle.disconnect(false).await.unwrap();
    assert!(matches!(session.call().await, Call::Closed));
    // An import has put another account's profile in place, which has been linked for long.
    let link = r#"{"account":"5491100000002","linked_at":"2026-01-01T00:00:00Z"}"#;
    let profile = stage.profile("51");
    std::fs::create_dir_all(&profile).unwrap();
    std::fs::write(profile.join("link.json"), link).unwrap();
    let silent = Standing {
        account: None,
        ..ready()
    };
    session.handle.start();
    let page = session.opened().await;
    say(&page, silent).await;
    stage.becomes(&accepted.message_id, SendState::Failed).await;
    assert!(session.calls.try_recv().is_err(), "it was handed over");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_an_account_goes_out_once_that_is_linked_again() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    say(&page, offline()).await;
    session.reaches("AUTHENTICATED").await;
    let accepted = session.send_as(TO, None, false).await.unwrap().unwrap();
    say(&page, login(Some("a"))).await;
    session.reaches("QR_REQUIRED").await;
    say(&page, ready()).await;
    assert_eq!(session.handed_over().await.key, accepted.message_id);
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_for_later_outlives_the_session_and_goes_out_once_and_in_order() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    say(&page, offline()).await;
    session.reaches("AUTHENTICATED").await;
    let mut keys = Vec::new();
    for to in [TO, OTHER, TO] {
        let accepted = session.send_as(to, None, false).await.unwrap().unwrap();
        keys.push(accepted.message_id);
    }
    session.handle.disconnect(false).await.unwrap();
    assert!(matches!(session.call().await, Call::Closed));
    let _page = session.ready().await;
    for key in keys {
        assert_eq!(session.handed_over().await.key, key);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(session.calls.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_send_that_was_not_accepted_for_later_is_given_up_with_the_session_and_its_key_is_free() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    let _held = session.plan.prepares.hold();
    let sent = session.send_as(TO, Some("order-7"), true);
    assert!(matches!(session.call().await, Call::Prepared));
    session.handle.disconnect(false).await.unwrap();
    let refused = sent.await.unwrap().unwrap_err();
    assert!(matches!(refused, SendError::NotReady { .. }), "{refused:?}");
    assert!(matches!(session.call().await, Call::Closed));
    let page = session.ready().await;
    let sent = session.send_as(TO, Some("order-7"), true);
    let key = session.handed_over().await.key;
    acknowledge(&page, &key).await;
    assert!(!sent.await.unwrap().unwrap().is_repeated);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_down_is_not_handed_over_and_the_session_stays_up() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    let prepared = session.plan.prepares.hold();
    let sent = session.send_as(TO, Some("order-7"), true);
    assert!(matches!(session.call().await, Call::Prepared));
    stage.break_ledger();
    prepared.send(()).unwrap();
    let refused = sent.await.unwrap().unwrap_err();
    assert!(
        matches!(refused, SendError::LedgerUnavailable(_)),
        "{refused:?}"
    );
    let refused = session.send(OTHER).await.unwrap().unwrap_err();
    assert!(
        matches!(refused, SendError::LedgerUnavailable(_)),
        "{refused:?}"
    );
    assert!(session.calls.try_recv().is_err());
    assert_eq!(session.handle.snapshot().state, SessionState::Ready);

    stage.mend_ledger();
    let sent = session.send_as(TO, Some("order-7"), true);
    let key = session.handed_over().await.key;
    acknowledge(&page, &key).await;
    assert!(!sent.await.unwrap().unwrap().is_repeated, "its key is free");
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_could_not_be_read_is_read_again_by_itself() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let page = session.ready().await;
    say(&page, offline()).await;
    session.reaches("AUTHENTICATED").await;
    let accepted = session.send_as(TO, None, false).await.unwrap().unwrap();
    session.handle.disconnect(false).await.unwrap();
    assert!(matches!(session.call().await, Call::Closed));
    stage.break_ledger();
    let _page = session.ready().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(session.calls.try_recv().is_err());
    stage.mend_ledger();
    assert_eq!(session.handed_over().await.key, accepted.message_id);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_taken_back_while_its_number_is_looked_up_is_not_handed_over() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    let prepared = session.plan.prepares.hold();
    let accepted = session.send_as(TO, None, false).await.unwrap().unwrap();
    assert!(matches!(session.call().await, Call::Prepared));
    let key = accepted.message_id;
    let cancelled = stage.ledger.advance(&key, Step::Cancelled).await;
    assert!(cancelled.unwrap());
    prepared.send(()).unwrap();
    let next = session.send(OTHER);
    assert_ne!(session.handed_over().await.key, key);
    drop(next);
    assert_eq!(stage.state(&key).await, SendState::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn repetitions_need_no_room_in_the_queue() {
    let mut stage = Stage::new(1, 1);
    stage.config.sends.queue_max = NonZeroUsize::new(1).unwrap();
    let mut session = stage.session("51");
    let page = session.ready().await;
    let prepared = session.plan.prepares.hold();
    let sends: Vec<_> = (0..20)
        .map(|_| session.send_as(TO, Some("order-7"), true))
        .collect();
    assert!(matches!(session.call().await, Call::Prepared));
    prepared.send(()).unwrap();
    let key = session.handed_over().await.key;
    acknowledge(&page, &key).await;
    for sent in sends {
        assert!(sent.await.unwrap().unwrap().message_id.ends_with(&key));
    }
    assert!(session.calls.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_adapter_that_refuses_is_quoted_when_nobody_stands_behind_it() {
    let stage = Stage::new(1, 1);
    let mut session = stage.session("51");
    let _page = session.ready().await;
    let refused = HandOverError::NotHanded("no chat for this number".to_owned());
    session.plan.hand_overs.plan(Err(refused));
    let sent = session.send(TO);
    session.handed_over().await;
    let failed = sent.await.unwrap().unwrap_err();
    assert!(
        matches!(&failed, SendError::Failed(why) if why == "no chat for this number"),
        "{failed:?}"
    );
}
