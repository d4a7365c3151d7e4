//! What becomes of sends, whatever their page does.

use std::num::NonZeroUsize;

use super::*;

fn unknown() -> Result<(), HandOverError> {
    Err(HandOverError::Unknown("the page did not say".to_owned()))
}

fn no_answer() -> Result<Option<i32>, LookUpError> {
    Err(LookUpError::NoAnswer("busy".to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_send_in_doubt_that_whatsapp_does_not_have_goes_out_again_under_its_id_and_in_its_place()
{
    let mut session = Scenario::ready().await;
    session.plan.hand_overs.plan(unknown());
    let sent = session.send(TO);
    let key = session.hands_over().await;
    let newer = session.send(OTHER);
    session.looks_up(&key).await;
    assert_eq!(session.hands_over_and_ack().await, key);
    assert!(sent.sent().await.message_id.ends_with(&key));
    session.hands_over_and_ack().await;
    newer.sent().await;
}

#[tokio::test(start_paused = true)]
async fn a_page_that_cannot_be_asked_leaves_a_send_unconfirmed_lets_others_go_and_is_asked_again() {
    let mut session = Scenario::ready().await;
    session.plan.hand_overs.plan(unknown());
    for _ in 0..3 {
        session.plan.look_ups.plan(no_answer());
    }
    session.plan.look_ups.plan(Ok(Some(1)));
    let (sent, next) = (session.send(TO), session.send(OTHER));
    let key = session.hands_over().await;
    for _ in 0..3 {
        session.looks_up(&key).await;
    }
    session.hands_over_and_ack().await;
    next.sent().await;
    assert_is!(
        sent.refused().await,
        SendError::Unconfirmed { message_id, .. } if message_id.ends_with(&key)
    );
    session.looks_up(&key).await;
    session.stage.becomes(&key, SendState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_is_due_while_the_page_is_offline_waits_in_peace() {
    let mut session = Scenario::ready().await;
    session.plan.hand_overs.plan(unknown());
    session.plan.look_ups.plan(no_answer());
    let _sent = session.send(TO);
    let key = session.hands_over().await;
    session.looks_up(&key).await;
    session.says(offline()).await;
    rests(Duration::from_secs(60)).await;
    session.says(ready()).await;
    session.looks_up(&key).await;
}

#[tokio::test(start_paused = true)]
async fn what_no_adapter_can_find_out_is_unknown_until_whatsapp_says_more() {
    let mut session = Scenario::ready().await;
    session.plan.hand_overs.plan(unknown());
    let blind = LookUpError::NoAdapter("on the screen only".to_owned());
    session.plan.look_ups.plan(Err(blind));
    let order = |session: &Scenario| session.send_as(TO, Some("order-7"), true);
    let sent = order(&session);
    let key = session.hands_over().await;
    session.looks_up(&key).await;
    let told = sent.refused().await;
    assert_is!(&told, SendError::Unconfirmed { .. });
    assert_eq!(session.stage.state_of(&key).await, SendState::Unknown);
    let again = order(&session).refused().await;
    assert_eq!(again.to_string(), told.to_string());
    session.ack(&key).await;
    session.stage.becomes(&key, SendState::Sent).await;
    assert!(order(&session).sent().await.message_id.ends_with(&key));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_reloads_is_asked_for_what_was_handed_over_before_anything_new_goes_out() {
    let mut session = Scenario::ready().await;
    let answer = session.plan.look_ups.hold();
    let sent = session.send(TO);
    let key = session.hands_over().await;
    session.is_back().await;
    session.looks_up(&key).await;
    let next = session.send(OTHER);
    seconds(1).await;
    session.has_asked_nothing();
    answer.send(Ok(Some(2))).unwrap();
    assert_eq!(sent.sent().await.state, SendState::Sent);
    session.stage.becomes(&key, SendState::Delivered).await;
    session.hands_over_and_ack().await;
    next.sent().await;
}

/// A send that waits for its account, while that cannot send.
async fn promised() -> (Scenario, String) {
    let mut session = Scenario::ready().await;
    session.shows(offline(), "AUTHENTICATED").await;
    let promised = session.promise(TO).await;
    (session, promised)
}

#[tokio::test(start_paused = true)]
async fn what_waits_goes_out_from_the_account_that_it_was_meant_for_and_from_no_other() {
    for account in ["5491100000001", "5491100000002"] {
        let (mut session, promised) = promised().await;
        session.shows(login(Some("a")), "QR_REQUIRED").await;
        let linked = Standing {
            account: Some(account.into()),
            ..ready()
        };
        session.says(linked).await;
        if Some(account) != ready().account.as_deref() {
            session.stage.becomes(&promised, SendState::Failed).await;
            session.reaches("READY").await;
            session.promise(OTHER).await;
            assert_eq!(&*session.outgoing().await.to, OTHER);
            continue;
        }
        assert_eq!(session.hands_over().await, promised);
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_one_account_is_not_sent_by_another_whose_page_does_not_tell_which_it_is() {
    let (mut session, promised) = promised().await;
    session.ends().await;
    // An import has put another account's profile in place, which has been linked for long.
    let link = r#"{"account":"5491100000002","linked_at":"2026-01-01T00:00:00Z"}"#;
    let profile = session.stage.path("tokens/51");
    std::fs::create_dir_all(&profile).unwrap();
    std::fs::write(profile.join("link.json"), link).unwrap();
    session.starts().await;
    let silent = Standing {
        account: None,
        ..ready()
    };
    session.says(silent).await;
    session.stage.becomes(&promised, SendState::Failed).await;
    session.has_asked_nothing();
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_for_later_outlives_the_session_and_a_ledger_that_cannot_be_read() {
    let (mut session, first) = promised().await;
    let mut keys = vec![first];
    for to in [OTHER, TO] {
        keys.push(session.promise(to).await);
    }
    session.ends().await;
    session.stage.break_ledger();
    session.becomes_ready().await;
    seconds(60).await;
    session.has_asked_nothing();
    session.stage.mend_ledger();
    for key in keys {
        assert_eq!(session.hands_over().await, key);
    }
    seconds(1).await;
    session.has_asked_nothing();
}

#[tokio::test(start_paused = true)]
async fn a_send_that_was_not_accepted_for_later_is_given_up_with_the_session_and_its_key_is_free() {
    let mut session = Scenario::ready().await;
    let _held = session.plan.prepares.hold();
    let sent = session.send_as(TO, Some("order-7"), true);
    session.asks(Call::Prepared).await;
    session.disconnects().await;
    assert_is!(sent.refused().await, SendError::NotReady { .. });
    session.asks(Call::Closed).await;
    session.becomes_ready().await;
    let sent = session.send_as(TO, Some("order-7"), true);
    session.hands_over_and_ack().await;
    assert!(!sent.sent().await.is_repeated);
}

#[tokio::test(start_paused = true)]
async fn repetitions_need_no_room_in_the_queue() {
    let one = NonZeroUsize::MIN;
    let mut session = Scenario::ready_with(|config| config.sends.queue_max = one).await;
    let prepared = session.plan.prepares.hold();
    let send = || session.send_as(TO, Some("order-7"), true);
    let sends: Vec<_> = (0..20).map(|_| send()).collect();
    session.asks(Call::Prepared).await;
    prepared.send(()).unwrap();
    let key = session.hands_over_and_ack().await;
    for sent in sends {
        assert!(sent.sent().await.message_id.ends_with(&key));
    }
    session.has_asked_nothing();
}
