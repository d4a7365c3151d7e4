//! Every caller is answered once, with what is known.

use super::*;
use crate::whatsapp::AdapterName;

type Answer = oneshot::Receiver<Result<Sent, SendError>>;

fn send(outbox: &mut Outbox, deadline: Instant) -> Answer {
    let (reply, answer) = oneshot::channel();
    let message = TextMessage {
        to: "5491158254201".parse().unwrap(),
        body: "hola".to_owned(),
    };
    outbox.accept(message, reply, deadline);
    answer
}

fn handed(outgoing: &Outgoing) -> Handed {
    let message_id = prepared(outgoing).message_id.unwrap();
    Handed {
        key: outgoing.key.clone(),
        message_id,
    }
}

fn prepared(outgoing: &Outgoing) -> Prepared {
    Prepared {
        adapter: AdapterName::Modules,
        message_id: Some(format!("true_{}@c.us_{}", outgoing.to, outgoing.key)),
        chat: format!("{}@c.us", outgoing.to),
    }
}

/// Takes the next send up to the moment before its hand-over is answered.
fn begin_and_prepare(outbox: &mut Outbox) -> Outgoing {
    let (outgoing, _) = outbox.begin(Instant::now()).unwrap();
    outbox
        .on_prepared(Ok(prepared(&outgoing)), Instant::now())
        .unwrap();
    outgoing
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(45)
}

#[test]
fn a_send_is_answered_when_the_server_has_it() {
    let mut outbox = Outbox::default();
    let mut answer = send(&mut outbox, soon());
    let outgoing = begin_and_prepare(&mut outbox);
    outbox.on_handed_over(Ok(handed(&outgoing)));
    outbox.on_ack(&outgoing.key, 0);
    assert!(answer.try_recv().is_err(), "ack 0 is not sent");
    outbox.on_ack(&outgoing.key, 1);
    assert_eq!(answer.try_recv().unwrap().unwrap().ack, 1);
}

#[test]
fn an_acknowledgement_that_overtakes_the_hand_over_counts() {
    let mut outbox = Outbox::default();
    let mut answer = send(&mut outbox, soon());
    let outgoing = begin_and_prepare(&mut outbox);
    outbox.on_ack(&outgoing.key, 2);
    outbox.on_handed_over(Ok(handed(&outgoing)));
    assert_eq!(answer.try_recv().unwrap().unwrap().ack, 2);
}

#[test]
fn one_send_at_a_time_goes_into_the_page_in_order() {
    let mut outbox = Outbox::default();
    let _answers = [send(&mut outbox, soon()), send(&mut outbox, soon())];
    let first = begin_and_prepare(&mut outbox);
    assert!(outbox.begin(Instant::now()).is_none());
    outbox.on_handed_over(Ok(handed(&first)));
    assert_ne!(outbox.begin(Instant::now()).unwrap().0.key, first.key);
}

#[test]
fn what_is_not_known_is_said_to_be_unknown_and_never_failed() {
    let mut outbox = Outbox::default();
    let mut interrupted = send(&mut outbox, soon());
    begin_and_prepare(&mut outbox);
    outbox.end("Chrome ended", &SendError::ShuttingDown);
    let outcome = interrupted.try_recv().unwrap().unwrap_err();
    assert!(
        matches!(
            outcome,
            SendError::Unconfirmed {
                message_id: Some(_),
                ..
            }
        ),
        "{outcome:?}"
    );
}

#[test]
fn what_certainly_was_not_sent_is_said_to_have_failed() {
    let mut outbox = Outbox::default();
    let mut looked_up = send(&mut outbox, soon());
    let mut waiting = send(&mut outbox, soon());
    outbox.begin(Instant::now()).unwrap();
    outbox.end("Chrome ended", &SendError::ShuttingDown);
    assert!(matches!(
        looked_up.try_recv().unwrap(),
        Err(SendError::Failed(_))
    ));
    assert!(matches!(
        waiting.try_recv().unwrap(),
        Err(SendError::ShuttingDown)
    ));
}

#[test]
fn a_send_that_the_page_was_interrupted_in_is_made_ready_again_but_not_for_ever() {
    let mut outbox = Outbox::default();
    let mut answer = send(&mut outbox, soon());
    let interrupted = || Err(PrepareError::Interrupted("reloaded".to_owned()));
    for _ in 0..=MAX_INTERRUPTIONS {
        assert!(answer.try_recv().is_err());
        outbox.begin(Instant::now()).unwrap();
        outbox.on_prepared(interrupted(), Instant::now());
        assert!(outbox.begin(Instant::now()).is_none(), "it pauses");
        outbox.paused_until = None;
    }
    assert!(matches!(
        answer.try_recv().unwrap(),
        Err(SendError::Failed(_))
    ));
}

#[test]
fn a_message_in_whatsapps_own_queue_is_pending_at_its_deadline() {
    let mut outbox = Outbox::default();
    let deadline = soon();
    let mut answer = send(&mut outbox, deadline);
    let outgoing = begin_and_prepare(&mut outbox);
    outbox.on_handed_over(Ok(handed(&outgoing)));
    assert_eq!(outbox.next_deadline(), Some(deadline));
    outbox.expire(deadline);
    assert_eq!(answer.try_recv().unwrap().unwrap().ack, 0);
    assert_eq!(outbox.next_deadline(), None);
}

#[test]
fn a_full_queue_refuses_the_newest() {
    let mut outbox = Outbox::default();
    let _waiting: Vec<Answer> = (0..WAITING_CAPACITY)
        .map(|_| send(&mut outbox, soon()))
        .collect();
    let mut refused = send(&mut outbox, soon());
    assert!(matches!(
        refused.try_recv().unwrap(),
        Err(SendError::QueueFull)
    ));
}

#[test]
fn keys_look_like_whatsapps_own_and_differ() {
    let (one, other) = (new_key(), new_key());
    assert_ne!(one, other);
    assert!(
        one.len() == 22
            && one.starts_with("3EB0")
            && one.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{one}"
    );
}

#[test]
fn a_pause_that_is_over_is_no_deadline_any_more() {
    let mut outbox = Outbox::default();
    let deadline = soon();
    let _answer = send(&mut outbox, deadline);
    let now = Instant::now();
    outbox.begin(now).unwrap();
    outbox.on_prepared(Err(PrepareError::Interrupted("reloaded".to_owned())), now);
    assert_eq!(outbox.next_deadline(), Some(now + INTERRUPTION_PAUSE));
    outbox.expire(now + INTERRUPTION_PAUSE);
    assert_eq!(outbox.next_deadline(), Some(deadline));
}
