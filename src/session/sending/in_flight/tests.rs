//! Every send is handed over in its turn, and each way in which it can end is written down.

mod always;

use std::num::{NonZeroU32, NonZeroUsize};

use jiff::Timestamp;

use super::*;
use crate::{
    ledger::SendState,
    whatsapp::{AdapterName, PrepareError},
};

fn limits() -> SendLimits {
    SendLimits {
        queue_max: NonZeroUsize::new(100).unwrap(),
        rate_per_minute: None,
        wait: Duration::from_secs(45),
    }
}

fn outbox() -> Outbox {
    paced(limits())
}

fn paced(limits: SendLimits) -> Outbox {
    Outbox::new(limits, Pace::per_minute(limits.rate_per_minute))
}

pub(in crate::session) fn record(seq: i64) -> Record {
    Record {
        seq,
        key: format!("3EB0{seq}"),
        session: "51".to_owned(),
        cliente_id: "51".to_owned(),
        account: None,
        to: "5491158254201".into(),
        body: Some("hola".into()),
        is_durable: false,
        state: SendState::Queued,
        adapter: None,
        wa_key: None,
        message_id: None,
        is_taken: false,
        ack: 0,
        failure: None,
        detail: None,
        queued_at: Timestamp::now(),
        handed_at: None,
        sent_at: None,
        delivered_at: None,
        read_at: None,
        ended_at: None,
    }
}

fn prepared(outgoing: &Outgoing) -> Prepared {
    Prepared {
        adapter: AdapterName::Modules,
        message_id: Some(format!("true_{}@c.us_{}", &*outgoing.to, outgoing.key).into()),
        chat: format!("{}@c.us", &*outgoing.to).into(),
    }
}

fn handed(outgoing: &Outgoing) -> Handed {
    Handed {
        key: outgoing.key.clone(),
        message_id: prepared(outgoing).message_id.unwrap(),
    }
}

/// Takes the next send up to the moment before its hand-over is answered.
fn begin(outbox: &mut Outbox, now: Instant) -> Outgoing {
    let (outgoing, _) = outbox.begin(now).unwrap();
    outbox.on_prepared(Ok(prepared(&outgoing)), now).unwrap();
    outbox.on_written(Ok(true), now).unwrap();
    outgoing
}

fn in_time(now: Instant) -> Instant {
    now + Duration::from_secs(45)
}

/// The last word on a send.
fn last(outbox: &mut Outbox) -> Step {
    outbox.take_notes().pop().expect("something was noted").1
}

#[test]
fn a_send_is_noted_as_taken_and_then_as_far_as_whatsapp_says() {
    let (mut outbox, now) = (outbox(), Instant::now());
    outbox.enqueue(&record(1), Some(in_time(now)));
    let outgoing = begin(&mut outbox, now);
    assert_eq!(
        outbox.on_handed_over(Ok(handed(&outgoing)), now),
        AfterHandOver::Done
    );
    assert!(matches!(last(&mut outbox), Step::Taken { .. }));
    outbox.on_ack(&outgoing.key, 0);
    assert!(outbox.take_notes().is_empty(), "ack 0 is no news");
    assert!(outbox.is_busy());
    outbox.on_ack(&outgoing.key, 1);
    assert!(matches!(last(&mut outbox), Step::Acknowledged(1)));
    assert!(!outbox.is_busy());
}

#[test]
fn an_acknowledgement_that_overtakes_the_hand_over_counts() {
    let (mut outbox, now) = (outbox(), Instant::now());
    outbox.enqueue(&record(1), Some(in_time(now)));
    let outgoing = begin(&mut outbox, now);
    outbox.on_ack(&outgoing.key, 2);
    outbox.on_handed_over(Ok(handed(&outgoing)), now);
    assert!(matches!(last(&mut outbox), Step::Acknowledged(2)));
}

#[test]
fn a_message_that_whatsapp_gives_up_is_noted_with_its_word_once_the_page_has_it() {
    let (mut outbox, now) = (outbox(), Instant::now());
    outbox.enqueue(&record(1), Some(in_time(now)));
    let outgoing = begin(&mut outbox, now);
    outbox.on_handed_over(Ok(handed(&outgoing)), now);
    outbox.on_gave_up(&outgoing.key, "ERROR_EXPIRED".to_owned());
    assert!(matches!(last(&mut outbox), Step::GivenUp(word) if word == "ERROR_EXPIRED"));
    assert!(!outbox.is_busy());

    outbox.enqueue(&record(2), Some(in_time(now)));
    let outgoing = begin(&mut outbox, now);
    outbox.on_gave_up(&outgoing.key, "ERROR_EXPIRED".to_owned());
    outbox.on_handed_over(Ok(handed(&outgoing)), now);
    assert!(matches!(last(&mut outbox), Step::Acknowledged(-1)));
}

#[test]
fn one_send_at_a_time_goes_into_the_page_in_the_order_of_acceptance() {
    let (mut outbox, now) = (outbox(), Instant::now());
    for seq in [2, 1, 3] {
        outbox.enqueue(&record(seq), Some(in_time(now)));
    }
    let first = begin(&mut outbox, now);
    assert_eq!(first.key, "3EB01");
    assert!(outbox.begin(now).is_none());
    outbox.on_handed_over(Ok(handed(&first)), now);
    assert_eq!(outbox.begin(now).unwrap().0.key, "3EB02");
}

#[test]
fn a_hand_over_without_an_answer_is_in_doubt_and_is_not_noted_as_anything() {
    let (mut outbox, now) = (outbox(), Instant::now());
    outbox.enqueue(&record(1), Some(in_time(now)));
    begin(&mut outbox, now);
    outbox.take_notes();
    let after = outbox.on_handed_over(Err(HandOverError::Unknown("late".to_owned())), now);
    assert_eq!(after, AfterHandOver::InDoubt);
    assert!(outbox.take_notes().is_empty());
    assert!(!outbox.holds("3EB01"));
}

#[test]
fn a_page_that_was_between_two_documents_gets_it_again() {
    let (mut outbox, now) = (outbox(), Instant::now());
    outbox.enqueue(&record(1), Some(in_time(now)));
    begin(&mut outbox, now);
    let reloading = Err(HandOverError::Interrupted("not loaded".to_owned()));
    assert_eq!(outbox.on_handed_over(reloading, now), AfterHandOver::Done);
    assert!(matches!(last(&mut outbox), Step::Absent));
    assert!(outbox.begin(now).is_none(), "it pauses");
    assert!(outbox.begin(now + INTERRUPTION_PAUSE).is_some());
}

#[test]
fn an_adapter_that_takes_over_is_written_down_before_it_gets_the_message() {
    let (mut outbox, now) = (outbox(), Instant::now());
    outbox.enqueue(&record(1), Some(in_time(now)));
    let outgoing = begin(&mut outbox, now);
    let typed = Prepared {
        adapter: AdapterName::Dom,
        message_id: None,
        ..prepared(&outgoing)
    };
    let passed = Err(HandOverError::Passed(typed.clone()));
    let after = outbox.on_handed_over(passed, now);
    assert_eq!(after, AfterHandOver::Again(outgoing.clone(), typed.clone()));
    assert!(outbox.begin(now).is_none(), "it is still on its way");
    let (next, again, _) = outbox.on_written(Ok(true), now).unwrap();
    assert_eq!((next, again), (typed, outgoing));
}

#[test]
fn what_certainly_was_not_sent_has_failed_with_its_cause() {
    let (mut outbox, now) = (outbox(), Instant::now());
    let failures = [
        (PrepareError::NotOnWhatsApp, Failure::NotOnWhatsApp),
        (PrepareError::Failed("no".to_owned()), Failure::NotTaken),
    ];
    for (why, wanted) in failures {
        outbox.enqueue(&record(1), Some(in_time(now)));
        outbox.begin(now).unwrap();
        assert!(outbox.on_prepared(Err(why), now).is_none());
        assert!(matches!(last(&mut outbox), Step::Failed(failure, _) if failure == wanted));
    }
}

#[test]
fn a_send_that_the_page_was_interrupted_in_is_made_ready_again_but_not_for_ever() {
    let (mut outbox, mut now) = (outbox(), Instant::now());
    outbox.enqueue(&record(1), Some(in_time(now)));
    for _ in 0..=MAX_INTERRUPTIONS {
        assert!(outbox.take_notes().is_empty());
        outbox.begin(now).unwrap();
        let interrupted = Err(PrepareError::Interrupted("reloaded".to_owned()));
        outbox.on_prepared(interrupted, now);
        assert!(outbox.begin(now).is_none(), "it pauses");
        now += INTERRUPTION_PAUSE;
    }
    assert!(matches!(
        last(&mut outbox),
        Step::Failed(Failure::NotTaken, _)
    ));
}

#[test]
fn what_cannot_be_written_down_is_not_handed_over_and_a_durable_send_waits_for_the_disk() {
    let (mut outbox, now) = (outbox(), Instant::now());
    let full = || Err(LedgerError("disk full".to_owned()));
    outbox.enqueue(&record(1), Some(in_time(now)));
    let (outgoing, _) = outbox.begin(now).unwrap();
    outbox.on_prepared(Ok(prepared(&outgoing)), now).unwrap();
    assert!(outbox.on_written(full(), now).is_none());
    assert!(matches!(
        last(&mut outbox),
        Step::Failed(Failure::NotWritten, _)
    ));

    outbox.enqueue(&record(2), None);
    let (outgoing, _) = outbox.begin(now).unwrap();
    outbox.on_prepared(Ok(prepared(&outgoing)), now).unwrap();
    assert!(outbox.on_written(full(), now).is_none());
    assert!(outbox.holds("3EB02") && matches!(last(&mut outbox), Step::Absent));
    assert!(outbox.begin(now + LEDGER_PAUSE).is_some());
}

#[test]
fn a_turn_that_does_not_come_in_time_ends_a_send_whose_caller_waits() {
    let (mut outbox, now) = (outbox(), Instant::now());
    outbox.enqueue(&record(1), Some(in_time(now)));
    outbox.enqueue(&record(2), None);
    assert_eq!(outbox.next_deadline(now), Some(in_time(now)));
    outbox.expire(in_time(now));
    assert!(matches!(
        last(&mut outbox),
        Step::Failed(Failure::TurnNotCome, _)
    ));
    assert!(outbox.holds("3EB02"));
}

#[test]
fn a_session_that_ends_gives_up_what_somebody_waits_for_and_keeps_the_rest() {
    let (mut outbox, now) = (outbox(), Instant::now());
    outbox.enqueue(&record(1), None);
    outbox.enqueue(&record(2), Some(in_time(now)));
    outbox.begin(now).unwrap();
    outbox.refuse_waiting("ended");
    outbox.refuse_unprepared("ended");
    let notes = outbox.take_notes();
    assert_eq!(notes.len(), 1);
    assert!(matches!(&notes[0], (key, Step::Failed(Failure::SessionEnded, _)) if key == "3EB02"));
    assert!(outbox.holds("3EB01"));
}

#[test]
fn a_full_queue_refuses_the_newest_and_says_when_to_come_back() {
    let now = Instant::now();
    let mut outbox = paced(SendLimits {
        queue_max: NonZeroUsize::new(2).unwrap(),
        ..limits()
    });
    outbox.reserve("3EB01", None, now).unwrap();
    outbox.release("3EB01");
    outbox.enqueue(&record(1), None);
    outbox.reserve("3EB02", None, now).unwrap();
    assert!(outbox.holds("3EB02"), "it has its place already");
    assert!(matches!(
        outbox.reserve("3EB03", None, now),
        Err(SendError::QueueFull { .. })
    ));
}

#[test]
fn a_turn_that_cannot_come_in_time_is_refused_at_once() {
    let now = Instant::now();
    let mut outbox = paced(SendLimits {
        rate_per_minute: NonZeroU32::new(30),
        ..limits()
    });
    // Five at once, then one in two seconds: the 28th would have to wait for 46 s.
    for n in 0..27 {
        let key = format!("3EB0{n}");
        outbox.reserve(&key, Some(in_time(now)), now).unwrap();
    }
    let refused = outbox.reserve("3EB028", Some(in_time(now)), now);
    assert!(
        matches!(refused, Err(SendError::TurnNotCome { .. })),
        "{refused:?}"
    );
    outbox.reserve("3EB029", None, now).unwrap();
}

#[test]
fn a_pace_delays_and_wakes_the_session_when_the_turn_comes() {
    let now = Instant::now();
    let mut outbox = paced(SendLimits {
        rate_per_minute: NonZeroU32::new(30),
        ..limits()
    });
    for seq in 0..6 {
        outbox.enqueue(&record(seq), None);
    }
    for _ in 0..5 {
        let outgoing = begin(&mut outbox, now);
        outbox.on_handed_over(Ok(handed(&outgoing)), now);
    }
    assert!(outbox.begin(now).is_none());
    let turn = outbox.next_deadline(now).unwrap();
    assert!(now < turn && outbox.begin(turn).is_some());
}

#[test]
fn a_send_that_was_taken_back_leaves_the_queue_or_is_dropped_when_the_ledger_says_so() {
    let (mut outbox, now) = (outbox(), Instant::now());
    outbox.enqueue(&record(1), None);
    outbox.enqueue(&record(2), None);
    outbox.remove("3EB02");
    let (outgoing, _) = outbox.begin(now).unwrap();
    outbox.on_prepared(Ok(prepared(&outgoing)), now).unwrap();
    assert!(outbox.on_written(Ok(false), now).is_none());
    assert!(outbox.begin(now).is_none() && !outbox.is_busy());
    assert!(outbox.take_notes().is_empty());
}

#[test]
fn a_send_that_turns_out_to_be_sent_while_it_waits_again_does_not_go_out_twice() {
    let (mut outbox, now) = (outbox(), Instant::now());
    outbox.enqueue(&record(1), None);
    outbox.on_ack("3EB01", 1);
    assert!(!outbox.holds("3EB01"));

    outbox.enqueue(&record(2), None);
    let (outgoing, _) = outbox.begin(now).unwrap();
    outbox.on_ack("3EB02", 1);
    assert!(outbox.on_prepared(Ok(prepared(&outgoing)), now).is_none());
    assert!(matches!(last(&mut outbox), Step::Acknowledged(1)));

    outbox.enqueue(&record(3), None);
    let (outgoing, _) = outbox.begin(now).unwrap();
    outbox.on_prepared(Ok(prepared(&outgoing)), now).unwrap();
    outbox.on_ack("3EB03", 1);
    assert!(outbox.on_written(Ok(true), now).is_none());
    assert!(!outbox.is_busy());
}

#[test]
fn a_send_that_was_written_down_too_late_has_failed_and_makes_room_for_the_next() {
    let (mut outbox, now) = (outbox(), Instant::now());
    outbox.enqueue(&record(1), Some(in_time(now)));
    outbox.enqueue(&record(2), None);
    let (outgoing, _) = outbox.begin(now).unwrap();
    outbox.on_prepared(Ok(prepared(&outgoing)), now).unwrap();
    assert!(outbox.on_written(Ok(true), in_time(now)).is_none());
    let notes = outbox.take_notes();
    assert!(
        matches!(&notes[..], [(one, Step::Absent), (same, Step::Failed(Failure::TurnNotCome, _))]
            if one == "3EB01" && same == "3EB01"),
        "{notes:?}"
    );
    assert!(!outbox.holds("3EB01"));
    assert_eq!(outbox.begin(in_time(now)).unwrap().0.key, "3EB02");
}

#[test]
fn a_durable_send_on_a_disk_that_is_too_slow_is_handed_over_with_all_of_the_pages_time() {
    let (mut outbox, now) = (outbox(), Instant::now());
    outbox.enqueue(&record(1), None);
    let (outgoing, limit) = outbox.begin(now).unwrap();
    let before = outbox.progress().page_answers;
    outbox.on_prepared(Ok(prepared(&outgoing)), now).unwrap();
    assert_eq!(outbox.progress().page_answers, before + 1);
    let much_later = limit + limits().wait;
    let (_, handed, until) = outbox.on_written(Ok(true), much_later).unwrap();
    assert_eq!(handed.key, outgoing.key);
    assert_eq!(until, much_later + limits().wait);
    assert!(outbox.take_notes().is_empty());
}

#[test]
fn a_send_that_is_late_when_its_turn_comes_is_given_up_before_the_next_begins() {
    let (mut outbox, now) = (outbox(), Instant::now());
    // The disk took longer to write the send down than its caller waits.
    outbox.enqueue(&record(1), Some(now));
    outbox.enqueue(&record(2), Some(in_time(now)));
    assert_eq!(outbox.begin(now).unwrap().0.key, "3EB02");
    let notes = outbox.take_notes();
    assert!(
        matches!(&notes[..], [(key, Step::Failed(Failure::TurnNotCome, _))] if key == "3EB01"),
        "{notes:?}"
    );
}

#[test]
fn an_unlinked_device_leaves_what_waits_to_the_ledger() {
    let (mut outbox, now) = (outbox(), Instant::now());
    outbox.enqueue(&record(1), None);
    outbox.enqueue(&record(2), Some(in_time(now)));
    outbox.on_unlinked("unlinked");
    assert!(!outbox.holds("3EB01") && !outbox.holds("3EB02"));
    let notes = outbox.take_notes();
    assert!(
        matches!(&notes[..], [(key, Step::Failed(Failure::SessionEnded, _))] if key == "3EB02"),
        "{notes:?}"
    );
}

#[test]
fn a_pause_that_is_over_is_no_deadline_any_more() {
    let (mut outbox, now) = (outbox(), Instant::now());
    outbox.enqueue(&record(1), Some(in_time(now)));
    outbox.begin(now).unwrap();
    outbox.on_prepared(Err(PrepareError::Interrupted("reloaded".to_owned())), now);
    assert_eq!(outbox.next_deadline(now), Some(now + INTERRUPTION_PAUSE));
    let later = now + INTERRUPTION_PAUSE;
    outbox.expire(later);
    assert_eq!(outbox.next_deadline(later), Some(in_time(now)));
}
