//! What is in doubt is found out before anything new goes out, and never guessed.

use std::num::NonZeroUsize;

use super::*;
use crate::{
    extras::{Action, ActionKind, Extras},
    ledger::tests::record,
    session::{
        SendLimits,
        sending::{in_flight::tests::in_short, pace::Pace},
    },
};

const ACCOUNT: Option<&str> = Some("5491150000001");

const ELSEWHERE: Option<&str> = Some("5491150000002");

const PAGE: Linked<'_> = Linked {
    account: ACCOUNT,
    since: Since {
        linked: None,
        restored: None,
    },
    gaps: &[],
};

fn of(account: Option<&str>, record: Record) -> Record {
    Record {
        account: account.map(Into::into),
        ..record
    }
}

fn durable(seq: i64) -> Record {
    Record {
        is_durable: true,
        ..record(seq)
    }
}

fn handed(seq: i64) -> Record {
    let key = format!("3EB0{seq}");
    let handed = Record {
        state: SendState::Handed,
        message_id: Some(format!("true_5491158254201@c.us_{key}").into()),
        wa_key: Some(key),
        handed_at: Some(Timestamp::now()),
        ..record(seq)
    };
    of(ACCOUNT, handed)
}

fn shared(records: &[Record]) -> Vec<Arc<Record>> {
    records.iter().cloned().map(Arc::new).collect()
}

/// A recovery and the sends in flight that it fills, with the time that they are given.
struct Play {
    recovery: Recovery,
    in_flight: InFlight,
    now: Instant,
}

impl Play {
    fn new() -> Self {
        let limits = SendLimits {
            queue_max: NonZeroUsize::new(100).unwrap(),
            rate_per_minute: None,
            wait: Duration::from_secs(45),
        };
        Self {
            recovery: Recovery::default(),
            in_flight: InFlight::new(limits, Pace::per_minute(None)),
            now: Instant::now(),
        }
    }

    fn of(open: &[Record]) -> Self {
        Self::linked(PAGE, open)
    }

    fn linked(page: Linked<'_>, open: &[Record]) -> Self {
        let mut play = Self::new();
        play.begin(page, open);
        play
    }

    /// The ledger says what is open.
    fn begin(&mut self, page: Linked<'_>, open: &[Record]) {
        self.begin_with(page, open, &[]);
    }

    /// The same, and that newer ones have taken the place of some.
    fn begin_with(&mut self, page: Linked<'_>, open: &[Record], superseded: &[&str]) {
        let superseded = superseded.iter().map(|&key| key.to_owned()).collect();
        let in_flight = &mut self.in_flight;
        self.recovery
            .begin(shared(open), superseded, page, in_flight);
    }

    #[track_caller]
    fn asks_for(&mut self, key: &str) {
        let asked = self
            .recovery
            .next(self.now)
            .map(|look_up| look_up.key().to_owned());
        assert_eq!(asked.as_deref(), Some(key));
    }

    #[track_caller]
    fn asks_nothing(&mut self) {
        assert!(self.recovery.next(self.now).is_none());
    }

    fn answer(&mut self, result: Result<Option<i32>, LookUpError>) {
        let in_flight = &mut self.in_flight;
        self.recovery.on_looked_up(result, in_flight, self.now);
    }

    #[track_caller]
    fn assert_noted(&mut self, notes: &[&str]) {
        assert_eq!(in_short(self.recovery.take_notes()), notes);
    }

    /// Which of them wait to be sent.
    fn waiting(&self) -> Vec<i64> {
        let holds = |seq: &i64| self.in_flight.holds(&format!("3EB0{seq}"));
        (1..=3).filter(holds).collect()
    }

    /// Reads the ledger again when that is due, and answers what is asked of the page until nothing is. Gives that.
    fn round(
        &mut self,
        open: &[Record],
        answer: impl Fn(&str) -> Result<Option<i32>, LookUpError>,
    ) -> Vec<String> {
        let mut asked = Vec::new();
        self.begin(PAGE, open);
        while self.recovery.is_pending() {
            if let Some(LookUp::Message { key, .. }) = self.recovery.next(self.now) {
                self.answer(answer(&key));
                asked.push(key);
            }
            self.now += RETRY;
        }
        self.now += AGAIN;
        self.recovery.is_due_again(self.now);
        asked
    }
}

fn silence(_key: &str) -> Result<Option<i32>, LookUpError> {
    Err(LookUpError::NoAnswer("busy".to_owned()))
}

#[test]
fn the_number_of_an_account_is_not_shown_for_debugging() {
    let shown = format!("{PAGE:?}");
    assert!(shown.contains("0001"), "{shown}");
    assert!(!shown.contains("5491150000001"), "{shown}");
}

#[test]
fn a_message_that_whatsapp_has_is_not_sent_again() {
    let mut play = Play::of(&[handed(1), handed(2)]);
    play.asks_for("3EB01");
    play.asks_nothing();
    play.answer(Ok(Some(1)));
    play.asks_for("3EB02");
    play.answer(Ok(Some(0)));
    play.assert_noted(&["1 ack 1"]);
    assert!(!play.recovery.is_pending() && play.waiting().is_empty());
    assert!(play.in_flight.is_busy(), "the second is waited for");
}

#[test]
fn a_message_that_whatsapp_does_not_have_goes_out_again_under_the_same_id_and_before_newer_ones() {
    let mut play = Play::of(&[handed(1), durable(2)]);
    assert!(play.recovery.is_pending());
    play.asks_for("3EB01");
    play.answer(Ok(None));
    play.assert_noted(&["1 absent"]);
    assert!(!play.recovery.is_pending());
    assert_eq!(play.in_flight.begin(play.now).unwrap().0.key, "3EB01");
}

#[test]
fn a_message_that_the_server_takes_meanwhile_is_not_sent_again_whatever_the_page_says() {
    let mut play = Play::of(&[handed(1), handed(2), handed(3)]);
    play.asks_for("3EB01");
    for key in ["3EB01", "3EB02"] {
        play.recovery.on_ack(key);
    }
    play.answer(Ok(None));
    play.asks_for("3EB03");
    play.assert_noted(&[]);
    assert_eq!(play.waiting(), [0; 0]);
}

#[test]
fn a_page_that_does_not_answer_is_asked_again_and_nothing_is_said_of_the_message() {
    let mut play = Play::of(&[handed(1)]);
    for _ in 0..MAX_TRIES {
        play.asks_for("3EB01");
        play.answer(silence(""));
        play.asks_nothing();
        play.now += RETRY;
    }
    assert!(!play.recovery.is_pending());
    play.assert_noted(&[]);
}

#[test]
fn what_cannot_be_found_out_is_said_to_be_unknown() {
    let typed = Record {
        message_id: None,
        wa_key: None,
        ..handed(1)
    };
    let mut play = Play::of(&[typed, of(ELSEWHERE, handed(2)), handed(3)]);
    play.asks_for("3EB03");
    let blind = LookUpError::NoAdapter("only the screen".to_owned());
    play.answer(Err(blind));
    play.assert_noted(&["2 unknown", "1 unknown", "3 unknown"]);
}

#[test]
fn what_waits_goes_on_for_its_own_account_only() {
    let mut play = Play::of(&[
        of(ACCOUNT, durable(1)),
        of(ELSEWHERE, durable(2)),
        record(3),
    ]);
    assert_eq!(play.waiting(), [1]);
    play.assert_noted(&["2 failed ACCOUNT_CHANGED", "3 failed SESSION_NOT_READY"]);
}

#[test]
fn what_came_while_there_was_no_page_does_not_go_out_from_another_account() {
    let mut play = Play::new();
    let both = [of(ELSEWHERE, record(1)), of(ACCOUNT, record(2))];
    let deadline = Some(play.now + Duration::from_secs(45));
    for record in &both {
        play.in_flight.enqueue(record, deadline);
    }
    play.begin(PAGE, &both);
    assert_eq!(play.waiting(), [2]);
    play.assert_noted(&["1 failed ACCOUNT_CHANGED"]);
}

#[test]
fn what_a_restored_copy_lacks_by_generation_is_unknown_whatever_the_clocks_say() {
    // The machine's clock was put back by a day between the hand-overs and the restore.
    let restored = Timestamp::now() - jiff::SignedDuration::from_hours(24);
    let in_generation = |generation, seq| Record {
        generation: Some(generation),
        ..handed(seq)
    };
    let gap = |after, until| Gap {
        after,
        until,
        is_from_elsewhere: false,
    };
    for (gaps, wanted) in [
        (
            vec![gap(Some(3), Some(6))],
            ["1 absent", "2 unknown", "3 absent"],
        ),
        (
            vec![gap(Some(3), None)],
            ["1 absent", "2 unknown", "3 unknown"],
        ),
        (
            vec![gap(None, Some(6))],
            ["1 unknown", "2 unknown", "3 absent"],
        ),
        (
            vec![gap(Some(2), Some(4)), gap(Some(5), Some(7))],
            ["1 unknown", "2 absent", "3 unknown"],
        ),
        (vec![], ["1 absent", "2 absent", "3 absent"]),
    ] {
        let page = Linked {
            since: Since {
                restored: Some(restored),
                linked: None,
            },
            gaps: &gaps,
            ..PAGE
        };
        let open = [
            in_generation(3, 1),
            in_generation(5, 2),
            in_generation(6, 3),
        ];
        let mut play = Play::linked(page, &open);
        for _ in open {
            play.recovery.next(play.now).unwrap();
            play.answer(Ok(None));
        }
        play.assert_noted(&wanted);
    }
}

#[test]
fn what_an_earlier_version_handed_over_is_judged_by_time_where_a_copy_was_put_back() {
    let restored = Timestamp::now();
    let handed_after = |seconds, seq| Record {
        handed_at: Some(restored + jiff::SignedDuration::from_secs(seconds)),
        ..handed(seq)
    };
    let page = Linked {
        since: Since {
            restored: Some(restored),
            linked: None,
        },
        ..PAGE
    };
    let open = [handed_after(-1, 1), handed_after(1, 2), handed_after(-1, 3)];
    let mut play = Play::linked(page, &open);
    for answer in [None, None, Some(1)] {
        play.recovery.next(play.now).unwrap();
        play.answer(Ok(answer));
    }
    play.assert_noted(&["1 unknown", "2 absent", "3 ack 1"]);
    assert_eq!(play.waiting(), [2]);
}

#[test]
fn what_is_older_than_the_link_waits_for_it_only_when_the_account_is_known_to_be_the_same() {
    let linked = Timestamp::now();
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
            queued_at,
            ..of(meant, durable(1))
        };
        let page = Linked {
            account: is_linked_to,
            since: Since {
                linked: Some(linked),
                restored: None,
            },
            gaps: &[],
        };
        let mut play = Play::linked(page, &[waits]);
        assert_eq!(
            !play.waiting().is_empty(),
            goes_on,
            "{meant:?} {is_linked_to:?}"
        );
        let refused = ["1 failed ACCOUNT_CHANGED"];
        play.assert_noted(if goes_on { &[] } else { &refused });
    }
}

#[test]
fn the_end_of_a_link_leaves_nothing_to_find_out_and_a_logout_nothing_to_send() {
    let open = shared(&[handed(1), durable(2)]);
    let mut play = Play::of(&[handed(1)]);
    play.recovery.on_unlinked(open.clone());
    assert!(!play.recovery.is_pending());
    play.assert_noted(&["1 unknown"]);
    play.recovery.on_logged_out(open);
    play.assert_noted(&["2 failed ACCOUNT_CHANGED", "1 unknown"]);
}

#[test]
fn an_answer_is_taken_for_the_send_that_was_asked_about() {
    let mut play = Play::of(&[handed(1)]);
    play.asks_for("3EB01");
    // The page reloads while it is asked, and the ledger is read again.
    play.begin(PAGE, &[handed(1), handed(2)]);
    play.answer(Ok(Some(2)));
    play.assert_noted(&["1 ack 2"]);
    assert!(play.recovery.is_pending());
}

#[test]
fn a_page_that_never_answers_leaves_a_send_unknown_in_the_end_and_not_before() {
    let mut play = Play::new();
    let (began, open) = (play.now, [handed(1), handed(2)]);
    for _ in 1..MAX_ROUNDS {
        play.round(&open, silence);
        play.assert_noted(&[]);
    }
    assert!(play.now - began > Duration::from_secs(500));
    play.round(&open, silence);
    let mut notes = in_short(play.recovery.take_notes());
    notes.sort();
    assert_eq!(notes, ["1 unknown", "2 unknown"]);
}

#[test]
fn a_send_that_the_page_does_not_answer_for_holds_up_no_other_and_is_unknown_alone() {
    let mut play = Play::new();
    let open = [handed(1), handed(2)];
    let but_the_first = |key: &str| match key {
        "3EB01" => silence(key),
        _ => Ok(Some(1)),
    };
    let asked = play.round(&open, but_the_first);
    assert_eq!(asked, ["3EB01"; 3], "nothing is known of the other yet");
    let asked = play.round(&open, but_the_first);
    assert_eq!(asked, ["3EB02", "3EB01"]);
    // Each time another one is in doubt, which the page answers for.
    for _ in 2..MAX_ROUNDS {
        play.assert_noted(&["2 ack 1"]);
        play.round(&open, but_the_first);
    }
    play.assert_noted(&["2 ack 1", "1 unknown"]);
}

#[test]
fn what_comes_up_while_the_ledger_is_asked_makes_it_be_asked_again() {
    let mut doubt = OpenSendsQuery::default();
    assert!(doubt.ask() && !doubt.ask() && !doubt.ask());
    assert!(!doubt.on_answer());
    assert!(doubt.ask() && doubt.on_answer() && doubt.is_settled());
}

#[test]
fn a_ledger_that_cannot_say_leaves_it_in_doubt_until_it_can() {
    let (mut doubt, now) = (OpenSendsQuery::default(), Instant::now());
    doubt.ask();
    doubt.on_answer();
    doubt.on_failure(now);
    assert!(!doubt.is_settled() && !doubt.is_due_again(now));
    assert!(doubt.is_due_again(now + LEDGER_RETRY) && doubt.ask());
}

/// A reaction that the page had when it was lost.
fn reacted(seq: i64) -> Record {
    let extras = Extras {
        action: Some(Action {
            kind: ActionKind::Reaction,
            key: "3A5F0C2B1D4E6F708192".into(),
            id: None,
        }),
        ..Extras::default()
    };
    Record {
        extras: extras.into(),
        // WhatsApp Web gives it an id of its own, and has not told it.
        message_id: None,
        wa_key: None,
        ..handed(seq)
    }
}

#[test]
fn what_was_done_to_a_message_is_not_done_again_and_what_was_not_is_also_after_a_restore() {
    let gaps = [Gap {
        after: None,
        until: None,
        is_from_elsewhere: false,
    }];
    let page = Linked {
        gaps: &gaps,
        ..PAGE
    };
    let mut play = Play::linked(page, &[reacted(1), reacted(2)]);
    play.asks_for("3EB01");
    play.answer(Ok(Some(1)));
    play.asks_for("3EB02");
    play.answer(Ok(None));
    play.assert_noted(&["1 ack 1", "2 absent"]);
    assert_eq!(play.waiting(), [2]);
}

#[test]
fn what_is_never_seen_to_be_done_to_a_message_is_not_done_for_ever() {
    let mut play = Play::new();
    for _ in 1..MAX_AGAIN {
        play.begin(PAGE, &[reacted(1)]);
        play.asks_for("3EB01");
        play.answer(Ok(None));
        play.assert_noted(&["1 absent"]);
        assert!(play.in_flight.queue.remove("3EB01"), "it waits again");
    }
    play.begin(PAGE, &[reacted(1)]);
    play.asks_for("3EB01");
    play.answer(Ok(None));
    play.assert_noted(&["1 unknown"]);
    assert_eq!(play.waiting(), [0; 0]);
}

#[test]
fn what_a_newer_one_has_taken_the_place_of_is_not_done_again() {
    let mut play = Play::new();
    play.begin_with(PAGE, &[reacted(1), reacted(2)], &["3EB01"]);
    play.asks_for("3EB01");
    play.answer(Ok(None));
    play.asks_for("3EB02");
    play.answer(Ok(None));
    play.assert_noted(&["1 unknown", "2 absent"]);
    assert_eq!(play.waiting(), [2]);
    // It may be done all the same, as when both are the same.
    play.begin_with(PAGE, &[reacted(1)], &["3EB01"]);
    play.asks_for("3EB01");
    play.answer(Ok(Some(1)));
    play.assert_noted(&["1 ack 1"]);
}

#[test]
fn what_is_on_its_way_when_a_round_begins_takes_the_place_of_an_older_one_of_its_kind() {
    let edit = |seq| {
        let mut edit = reacted(seq);
        let mut extras = Extras::clone(&edit.extras);
        extras.action = extras.action.map(|action| Action {
            kind: ActionKind::Edit,
            ..action
        });
        edit.extras = extras.into();
        edit
    };
    for (older, noted) in [(reacted(1), "1 unknown"), (edit(1), "1 absent")] {
        let mut play = Play::new();
        let newer = Record {
            state: SendState::Queued,
            is_durable: true,
            ..reacted(2)
        };
        play.in_flight.enqueue(&newer, None);
        let (begun, _) = play.in_flight.begin(play.now).unwrap();
        assert_eq!(begun.key, "3EB02");
        play.begin(PAGE, &[older, newer]);
        play.asks_for("3EB01");
        play.answer(Ok(None));
        play.assert_noted(&[noted]);
    }
}

#[test]
fn of_a_message_that_is_gone_nothing_says_what_was_done_to_it() {
    let mut play = Play::of(&[reacted(1)]);
    play.asks_for("3EB01");
    play.answer(Err(LookUpError::NoAdapter("gone".to_owned())));
    play.assert_noted(&["1 unknown"]);
}
