//! What is in doubt is found out before anything new goes out, and never guessed.

use std::num::NonZeroUsize;

use super::*;
use crate::session::{
    SendLimits,
    sending::{in_flight::tests::record, pace::Pace},
};

const ACCOUNT: Option<&str> = Some("5491150000001");

const PAGE: Linked<'_> = Linked {
    account: ACCOUNT,
    since: Since {
        linked: None,
        restored: None,
    },
};

fn outbox() -> Outbox {
    let limits = SendLimits {
        queue_max: NonZeroUsize::new(100).unwrap(),
        rate_per_minute: None,
        wait: Duration::from_secs(45),
    };
    Outbox::new(limits, Pace::per_minute(None))
}

fn handed(seq: i64) -> Record {
    let key = format!("3EB0{seq}");
    Record {
        state: SendState::Handed,
        message_id: Some(format!("true_5491158254201@c.us_{key}").into()),
        wa_key: Some(key),
        account: ACCOUNT.map(Into::into),
        handed_at: Some(jiff::Timestamp::now()),
        ..record(seq)
    }
}

fn begun(records: Vec<Record>) -> (Recovery, Outbox) {
    let (mut recovery, mut outbox) = (Recovery::default(), outbox());
    let records = records.into_iter().map(Arc::new).collect();
    recovery.begin(records, PAGE, &mut outbox);
    (recovery, outbox)
}

fn noted(recovery: &mut Recovery) -> Vec<(String, Step)> {
    recovery.take_notes()
}

#[test]
fn a_message_that_whatsapp_has_is_not_sent_again() {
    let now = Instant::now();
    let (mut recovery, mut outbox) = begun(vec![handed(1), handed(2)]);
    recovery.next(now).unwrap();
    assert!(recovery.next(now).is_none(), "one at a time");
    recovery.on_looked_up(Ok(Some(1)), &mut outbox, now);
    recovery.next(now).unwrap();
    recovery.on_looked_up(Ok(Some(0)), &mut outbox, now);
    let notes = noted(&mut recovery);
    assert!(
        matches!(&notes[..], [(key, Step::Acknowledged(1))] if key == "3EB01"),
        "{notes:?}"
    );
    assert!(!recovery.is_pending() && !outbox.holds("3EB01") && !outbox.holds("3EB02"));
    assert!(outbox.is_busy(), "the second is waited for");
}

#[test]
fn a_message_that_whatsapp_does_not_have_goes_out_again_under_the_same_id_and_before_newer_ones() {
    let now = Instant::now();
    let newer = Record {
        is_durable: true,
        ..record(2)
    };
    let (mut recovery, mut outbox) = begun(vec![handed(1), newer]);
    assert!(recovery.is_pending());
    recovery.next(now).unwrap();
    recovery.on_looked_up(Ok(None), &mut outbox, now);
    assert!(matches!(&noted(&mut recovery)[..], [(_, Step::Absent)]));
    assert!(!recovery.is_pending());
    assert_eq!(outbox.begin(now).unwrap().0.key, "3EB01");
}

#[test]
fn a_page_that_does_not_answer_is_asked_again_and_nothing_is_said_of_the_message() {
    let (mut recovery, mut outbox) = begun(vec![handed(1)]);
    let mut now = Instant::now();
    for _ in 0..MAX_TRIES {
        recovery.next(now).unwrap();
        let no_answer = LookUpError::NoAnswer("busy".to_owned());
        recovery.on_looked_up(Err(no_answer), &mut outbox, now);
        assert!(recovery.next(now).is_none());
        now += RETRY;
    }
    assert!(!recovery.is_pending() && noted(&mut recovery).is_empty());
}

#[test]
fn what_nobody_can_find_out_is_said_to_be_unknown() {
    let now = Instant::now();
    let typed = Record {
        message_id: None,
        wa_key: None,
        ..handed(1)
    };
    let elsewhere = Record {
        account: Some("5491150000002".into()),
        ..handed(2)
    };
    let (mut recovery, mut outbox) = begun(vec![typed, elsewhere, handed(3)]);
    recovery.next(now).unwrap();
    let blind = LookUpError::NoAdapter("only the screen".to_owned());
    recovery.on_looked_up(Err(blind), &mut outbox, now);
    let notes = noted(&mut recovery);
    assert_eq!(notes.len(), 3);
    assert!(
        notes
            .iter()
            .all(|(_, step)| matches!(step, Step::Unknown(_))),
        "{notes:?}"
    );
}

#[test]
fn what_waits_goes_on_for_its_own_account_only() {
    let durable = Record {
        is_durable: true,
        account: ACCOUNT.map(Into::into),
        ..record(1)
    };
    let of_another = Record {
        account: Some("5491150000002".into()),
        is_durable: true,
        ..record(2)
    };
    let (mut recovery, outbox) = begun(vec![durable, of_another, record(3)]);
    assert!(outbox.holds("3EB01") && !outbox.holds("3EB02") && !outbox.holds("3EB03"));
    let notes = noted(&mut recovery);
    assert!(
        matches!(
            &notes[..],
            [
                (_, Step::Failed(Failure::OtherAccount, _)),
                (_, Step::Failed(Failure::SessionEnded, _))
            ]
        ),
        "{notes:?}"
    );
}

#[test]
fn what_a_restored_copy_of_the_profile_does_not_have_may_have_been_sent_before() {
    let now = Instant::now();
    let restored = jiff::Timestamp::now();
    let after = |seconds| Some(restored + jiff::SignedDuration::from_secs(seconds));
    let before = Record {
        handed_at: after(-1),
        ..handed(1)
    };
    let since = Record {
        handed_at: after(1),
        ..handed(2)
    };
    let found = Record {
        handed_at: after(-1),
        ..handed(3)
    };
    let (mut recovery, mut outbox) = (Recovery::default(), outbox());
    let page = Linked {
        since: Since {
            restored: Some(restored),
            linked: None,
        },
        ..PAGE
    };
    let records = [before, since, found].map(Arc::new).to_vec();
    recovery.begin(records, page, &mut outbox);
    for answer in [None, None, Some(1)] {
        recovery.next(now).unwrap();
        recovery.on_looked_up(Ok(answer), &mut outbox, now);
    }
    let notes = noted(&mut recovery);
    assert!(
        matches!(
            &notes[..],
            [
                (_, Step::Unknown(_)),
                (_, Step::Absent),
                (_, Step::Acknowledged(1))
            ]
        ),
        "{notes:?}"
    );
    assert!(!outbox.holds("3EB01") && outbox.holds("3EB02"));
}

#[test]
fn what_is_older_than_the_link_waits_for_it_only_when_the_account_is_known_to_be_the_same() {
    let linked = jiff::Timestamp::now();
    let before = linked - jiff::SignedDuration::from_secs(1);
    for (meant, is_linked_to, queued_at, goes_on) in [
        (ACCOUNT, ACCOUNT, before, true),
        (ACCOUNT, None, before, false),
        (None, ACCOUNT, before, false),
        (None, None, before, false),
        (ACCOUNT, None, linked, true),
        (None, ACCOUNT, linked, true),
    ] {
        let waits = Record {
            account: meant.map(Into::into),
            is_durable: true,
            queued_at,
            ..record(1)
        };
        let (mut recovery, mut outbox) = (Recovery::default(), outbox());
        let page = Linked {
            account: is_linked_to,
            since: Since {
                linked: Some(linked),
                restored: None,
            },
        };
        recovery.begin(vec![Arc::new(waits)], page, &mut outbox);
        assert_eq!(outbox.holds("3EB01"), goes_on, "{meant:?} {is_linked_to:?}");
        let notes = noted(&mut recovery);
        let is_refused = matches!(&notes[..], [(_, Step::Failed(Failure::OtherAccount, _))]);
        assert_eq!(is_refused, !goes_on, "{notes:?}");
    }
}

#[test]
fn a_logout_leaves_nothing_that_another_account_could_send() {
    let mut recovery = Recovery::default();
    let durable = Record {
        is_durable: true,
        ..record(2)
    };
    recovery.on_logged_out(vec![Arc::new(handed(1)), Arc::new(durable)]);
    let notes = noted(&mut recovery);
    assert!(
        matches!(
            &notes[..],
            [
                (_, Step::Failed(Failure::OtherAccount, _)),
                (_, Step::Unknown(_))
            ]
        ),
        "{notes:?}"
    );
}

#[test]
fn what_came_while_there_was_no_page_does_not_go_out_from_another_account() {
    let (mut recovery, mut outbox) = (Recovery::default(), outbox());
    let meant_for_another = Record {
        account: Some("5491150000002".into()),
        ..record(1)
    };
    let meant_for_this_one = Record {
        account: ACCOUNT.map(Into::into),
        ..record(2)
    };
    let both = [meant_for_another, meant_for_this_one];
    for record in &both {
        outbox.enqueue(record, Some(Instant::now() + Duration::from_secs(45)));
    }
    recovery.begin(both.map(Arc::new).to_vec(), PAGE, &mut outbox);
    assert!(!outbox.holds("3EB01") && outbox.holds("3EB02"));
    let notes = noted(&mut recovery);
    assert!(
        matches!(&notes[..], [(key, Step::Failed(Failure::OtherAccount, _))] if key == "3EB01"),
        "{notes:?}"
    );
}

#[test]
fn an_unlinked_device_leaves_nothing_to_find_out() {
    let (mut recovery, _) = begun(vec![handed(1)]);
    recovery.on_unlinked(vec![Arc::new(handed(1)), Arc::new(record(2))]);
    assert!(!recovery.is_pending());
    let notes = noted(&mut recovery);
    assert!(
        matches!(&notes[..], [(key, Step::Unknown(_))] if key == "3EB01"),
        "{notes:?}"
    );
}

#[test]
fn an_answer_is_taken_for_the_send_that_was_asked_about() {
    let now = Instant::now();
    let (mut recovery, mut outbox) = begun(vec![handed(1)]);
    recovery.next(now).unwrap();
    // The page loads anew while it is asked, and the ledger is read again.
    let records = vec![Arc::new(handed(1)), Arc::new(handed(2))];
    recovery.begin(records, PAGE, &mut outbox);
    recovery.on_looked_up(Ok(Some(2)), &mut outbox, now);
    assert!(matches!(&noted(&mut recovery)[..], [(key, Step::Acknowledged(2))] if key == "3EB01"));
    assert!(recovery.is_pending());
}

/// Reads the ledger again when that is due, and answers what is asked of the page until nothing is.
fn round(
    recovery: &mut Recovery,
    records: &[Record],
    now: &mut Instant,
    answer: impl Fn(&str) -> Result<Option<i32>, LookUpError>,
) -> Vec<String> {
    let (mut outbox, mut asked) = (outbox(), Vec::new());
    let records = records.iter().cloned().map(Arc::new).collect();
    recovery.begin(records, PAGE, &mut outbox);
    while recovery.is_pending() {
        if let Some(LookUp { key, .. }) = recovery.next(*now) {
            recovery.on_looked_up(answer(&key), &mut outbox, *now);
            asked.push(key);
        }
        *now += RETRY;
    }
    *now += AGAIN;
    recovery.is_due_again(*now);
    asked
}

fn silence(_key: &str) -> Result<Option<i32>, LookUpError> {
    Err(LookUpError::NoAnswer("it has lost the function".to_owned()))
}

#[test]
fn a_page_that_never_answers_leaves_a_send_unknown_in_the_end_and_not_before() {
    let (mut recovery, mut now) = (Recovery::default(), Instant::now());
    let began = now;
    let open = [handed(1), handed(2)];
    for _ in 1..MAX_ROUNDS {
        round(&mut recovery, &open, &mut now, silence);
        assert!(noted(&mut recovery).is_empty());
    }
    assert!(now - began > Duration::from_secs(500));
    round(&mut recovery, &open, &mut now, silence);
    let notes = noted(&mut recovery);
    assert!(
        matches!(&notes[..], [(one, Step::Unknown(_)), (other, Step::Unknown(_))] if one != other),
        "{notes:?}"
    );
}

#[test]
fn a_send_that_the_page_does_not_answer_for_stands_in_nobodys_way_and_is_unknown_alone() {
    let (mut recovery, mut now) = (Recovery::default(), Instant::now());
    let (bad, good) = (handed(1), handed(2));
    let but_the_first = |key: &str| {
        if key == "3EB01" {
            silence(key)
        } else {
            Ok(Some(1))
        }
    };
    let first = [bad.clone(), good.clone()];
    assert_eq!(
        round(&mut recovery, &first, &mut now, but_the_first),
        ["3EB01"; 3],
        "nothing is known of the other yet"
    );
    assert_eq!(
        round(&mut recovery, &first, &mut now, but_the_first),
        ["3EB02", "3EB01"]
    );
    let notes = noted(&mut recovery);
    assert!(
        matches!(&notes[..], [(key, Step::Acknowledged(1))] if key == "3EB02"),
        "{notes:?}"
    );
    for _ in 2..MAX_ROUNDS {
        assert!(noted(&mut recovery).is_empty());
        // Each time another one is in doubt, which the page answers for.
        let open = [bad.clone(), good.clone()];
        round(&mut recovery, &open, &mut now, but_the_first);
        recovery
            .notes
            .retain(|(_, step)| !matches!(step, Step::Acknowledged(_)));
    }
    let notes = noted(&mut recovery);
    assert!(
        matches!(&notes[..], [(key, Step::Unknown(_))] if key == "3EB01"),
        "{notes:?}"
    );
}

#[test]
fn what_comes_up_while_the_ledger_is_asked_makes_it_be_asked_again() {
    let mut doubt = Doubt::default();
    assert!(doubt.ask() && !doubt.ask() && !doubt.ask());
    assert!(!doubt.on_answer());
    assert!(doubt.ask() && doubt.on_answer() && doubt.is_settled());
}

#[test]
fn a_ledger_that_cannot_say_leaves_it_in_doubt_until_it_can() {
    let (mut doubt, now) = (Doubt::default(), Instant::now());
    doubt.ask();
    doubt.on_answer();
    doubt.on_failure(now);
    assert!(!doubt.is_settled() && !doubt.is_due_again(now));
    assert!(doubt.is_due_again(now + LEDGER_RETRY) && doubt.ask());
}
