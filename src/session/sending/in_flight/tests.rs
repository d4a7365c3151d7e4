//! Every send is handed over in its turn, and each way in which it can end is written down.

mod always;

use std::num::{NonZeroU32, NonZeroUsize};

use super::*;
use crate::{
    extras::{Action, ActionKind, Extras, Medium, MediumKind},
    ledger::tests::record,
    session::SendError,
    whatsapp::{AdapterName, PrepareError, TargetError},
};

/// Another recipient than that of most sends.
const OTHER: &str = "5491150003333";

/// How long a caller waits.
const WAIT: Duration = Duration::from_secs(45);

fn limits() -> SendLimits {
    SendLimits {
        queue_max: NonZeroUsize::new(100).unwrap(),
        rate_per_minute: None,
        wait: WAIT,
    }
}

fn paced(limits: SendLimits) -> InFlight {
    InFlight::new(limits, Pace::per_minute(limits.rate_per_minute))
}

/// What was noted, in short: `1 taken`, `2 failed QUEUE_TIMEOUT`.
pub(in crate::session) fn in_short(notes: Vec<(String, Step)>) -> Vec<String> {
    let short = |step: Step| match step {
        Step::Handing(_) => "handing".to_owned(),
        Step::Taken { .. } => "taken".to_owned(),
        Step::Acknowledged(ack) => format!("ack {ack}"),
        Step::GivenUp(word) => format!("given up {word}"),
        Step::Absent => "absent".to_owned(),
        Step::Failed(why, _) => format!("failed {}", why.as_str()),
        Step::Unknown(_) => "unknown".to_owned(),
        Step::Cancelled => "cancelled".to_owned(),
    };
    let number = |key: &str| key.trim_start_matches("3EB0").to_owned();
    let notes = notes.into_iter();
    notes
        .map(|(key, step)| format!("{} {}", number(&key), short(step)))
        .collect()
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

/// The sends in flight of a session, with the time that they are given.
struct Play {
    in_flight: InFlight,
    began: Instant,
    now: Instant,
}

impl Play {
    /// With these sends in its queue: below zero one that outlives its caller.
    fn of(sends: &[i64]) -> Self {
        Self::with(|_| {}, sends)
    }

    fn with(change: impl FnOnce(&mut SendLimits), sends: &[i64]) -> Self {
        let mut limits = limits();
        change(&mut limits);
        let now = Instant::now();
        let mut play = Self {
            in_flight: paced(limits),
            began: now,
            now,
        };
        for seq in sends {
            let deadline = (*seq > 0).then_some(now + WAIT);
            play.in_flight.enqueue(&record(seq.abs()), deadline);
        }
        play
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    #[track_caller]
    fn begin(&mut self) -> Outgoing {
        self.in_flight.begin(self.now).expect("a turn").0
    }

    #[track_caller]
    fn assert_no_turn(&mut self) {
        assert!(self.in_flight.begin(self.now).is_none(), "it has its turn");
    }

    fn is_prepared(&mut self, outgoing: &Outgoing) -> bool {
        let result = Ok(prepared(outgoing));
        self.in_flight.on_prepared(result, self.now).is_some()
    }

    fn is_not_prepared(&mut self, why: PrepareError) {
        assert!(self.in_flight.on_prepared(Err(why), self.now).is_none());
    }

    /// Whether the page gets it.
    fn is_written(&mut self, result: Result<bool, LedgerError>) -> bool {
        self.in_flight.on_written(result, self.now).is_some()
    }

    /// Takes the next send up to the moment before its hand-over is answered.
    #[track_caller]
    fn hand(&mut self) -> Outgoing {
        let outgoing = self.begin();
        assert!(self.is_prepared(&outgoing) && self.is_written(Ok(true)));
        outgoing
    }

    fn answer(&mut self, result: Result<Handed, HandOverError>) -> AfterHandOver {
        self.in_flight.on_handed_over(result, self.now)
    }

    /// Takes the next send until the page has it.
    #[track_caller]
    fn take(&mut self) -> String {
        let outgoing = self.hand();
        assert_eq!(self.answer(Ok(handed(&outgoing))), AfterHandOver::Done);
        outgoing.key
    }

    #[track_caller]
    fn assert_noted(&mut self, notes: &[&str]) {
        assert_eq!(in_short(self.in_flight.take_notes()), notes);
    }

    fn holds(&self, seq: i64) -> bool {
        self.in_flight.holds(&format!("3EB0{seq}"))
    }
}

fn interrupted() -> PrepareError {
    PrepareError::Interrupted("reloaded".to_owned())
}

fn disk_full() -> LedgerError {
    LedgerError("disk full".to_owned())
}

#[test]
fn a_send_is_noted_as_taken_and_then_as_far_as_whatsapp_says() {
    let mut play = Play::of(&[1]);
    let key = play.take();
    play.assert_noted(&["1 taken"]);
    play.in_flight.on_ack(&key, 0);
    play.assert_noted(&[]);
    assert!(play.in_flight.is_busy());
    play.in_flight.on_ack(&key, 1);
    play.assert_noted(&["1 ack 1"]);
    assert!(!play.in_flight.is_busy());
}

#[test]
fn an_acknowledgement_that_overtakes_the_answer_to_a_hand_over_counts() {
    for (knows, ack, after, notes) in [
        (true, 2, AfterHandOver::Done, &["1 taken", "1 ack 2"][..]),
        (false, 2, AfterHandOver::Done, &["1 ack 2"]),
        (false, 0, AfterHandOver::InDoubt, &[]),
    ] {
        let mut play = Play::of(&[1]);
        let outgoing = play.hand();
        play.in_flight.on_ack(&outgoing.key, ack);
        let unknown = || HandOverError::Unknown("late".to_owned());
        let answer = knows.then(|| handed(&outgoing)).ok_or_else(unknown);
        assert_eq!(play.answer(answer), after);
        play.assert_noted(notes);
        assert!(!play.holds(1));
    }
}

#[test]
fn a_message_that_whatsapp_gives_up_is_noted_with_its_word_once_the_page_has_it() {
    let mut play = Play::of(&[1, 2]);
    let key = play.take();
    let word = || "ERROR_EXPIRED".to_owned();
    play.in_flight.on_gave_up(&key, word());
    play.assert_noted(&["1 taken", "1 given up ERROR_EXPIRED"]);
    let outgoing = play.hand();
    play.in_flight.on_gave_up(&outgoing.key, word());
    play.answer(Ok(handed(&outgoing)));
    play.assert_noted(&["2 taken", "2 ack -1"]);
    assert!(!play.in_flight.is_busy());
}

#[test]
fn one_send_at_a_time_goes_into_the_page_in_the_order_of_acceptance() {
    let mut play = Play::of(&[2, 1, 3]);
    let first = play.hand();
    assert_eq!(first.key, "3EB01");
    play.assert_no_turn();
    play.answer(Ok(handed(&first)));
    assert_eq!(play.begin().key, "3EB02");
}

#[test]
fn a_page_that_was_between_two_documents_gets_it_again_after_a_pause() {
    let mut play = Play::of(&[1]);
    play.hand();
    let reloading = Err(HandOverError::Interrupted("not loaded".to_owned()));
    assert_eq!(play.answer(reloading), AfterHandOver::Done);
    play.assert_noted(&["1 absent"]);
    play.assert_no_turn();
    play.pass(INTERRUPTION_PAUSE);
    play.begin();
}

#[test]
fn an_adapter_that_takes_over_is_written_down_before_it_gets_the_message() {
    let mut play = Play::of(&[1]);
    let outgoing = play.hand();
    let typed = Prepared {
        adapter: AdapterName::Dom,
        message_id: None,
        ..prepared(&outgoing)
    };
    let after = play.answer(Err(HandOverError::Passed(typed.clone())));
    assert_eq!(after, AfterHandOver::Again(outgoing.clone(), typed.clone()));
    play.assert_no_turn();
    let (next, again, _) = play.in_flight.on_written(Ok(true), play.now).unwrap();
    assert_eq!((next, again), (typed, outgoing));
}

#[test]
fn what_certainly_was_not_sent_has_failed_with_its_cause() {
    let why = || "no".to_owned();
    for (answer, noted) in [
        (PrepareError::NotOnWhatsApp, "NUMBER_NOT_ON_WHATSAPP"),
        (PrepareError::Failed(why()), "SEND_FAILED"),
        (PrepareError::Unanswered(why()), "NUMBER_NOT_CHECKED"),
        (TargetError::NoMessage.into(), "MESSAGE_NOT_FOUND"),
        (TargetError::NotEditable.into(), "NOT_EDITABLE"),
        (TargetError::NotRevocable.into(), "NOT_REVOCABLE"),
    ] {
        let mut play = Play::of(&[1]);
        play.begin();
        play.is_not_prepared(answer);
        play.assert_noted(&[&format!("1 failed {noted}")]);
    }
}

#[test]
fn a_send_that_is_interrupted_is_made_ready_again_but_not_for_ever_on_one_page() {
    let mut play = Play::of(&[-1]);
    // Another page begins with it as with a new one.
    for tries in [1, MAX_INTERRUPTIONS + 1] {
        play.in_flight.on_page_closed();
        for _ in 0..tries {
            play.assert_noted(&[]);
            play.begin();
            play.is_not_prepared(interrupted());
            play.assert_no_turn();
            play.pass(INTERRUPTION_PAUSE);
        }
    }
    play.assert_noted(&["1 failed SEND_FAILED"]);
}

#[test]
fn what_cannot_be_written_down_is_not_handed_over_and_a_durable_send_waits_for_the_disk() {
    for (seq, noted) in [(1, "1 failed LEDGER_UNAVAILABLE"), (-1, "1 absent")] {
        let mut play = Play::of(&[seq]);
        let outgoing = play.begin();
        assert!(play.is_prepared(&outgoing) && !play.is_written(Err(disk_full())));
        play.assert_noted(&[noted]);
        assert_eq!(play.holds(1), seq < 0);
        play.assert_no_turn();
        play.pass(LEDGER_PAUSE);
        assert_eq!(play.in_flight.begin(play.now).is_some(), seq < 0);
    }
}

#[test]
fn a_turn_that_does_not_come_in_time_ends_a_send_whose_caller_waits() {
    let mut play = Play::of(&[1, -2]);
    assert_eq!(
        play.in_flight.next_deadline(play.now),
        Some(play.began + WAIT)
    );
    play.pass(WAIT);
    // Also when nothing looks before the next begins.
    assert_eq!(play.begin().key, "3EB02");
    play.assert_noted(&["1 failed QUEUE_TIMEOUT"]);
    assert!(!play.holds(1) && play.holds(2));
}

#[test]
fn a_session_that_ends_gives_up_what_its_callers_wait_for_and_keeps_the_rest() {
    let mut play = Play::of(&[-1, 2]);
    play.begin();
    play.in_flight.refuse_waiting("ended");
    play.in_flight.refuse_unprepared("ended");
    play.assert_noted(&["2 failed SESSION_NOT_READY"]);
    assert!(play.holds(1));
}

#[test]
fn what_the_page_has_taken_is_not_busy_work_of_the_next_page() {
    let mut play = Play::of(&[1]);
    play.take();
    play.in_flight.on_page_closed();
    assert!(play.in_flight.is_idle());
}

#[test]
fn a_full_queue_refuses_the_newest_until_its_places_are_given_back() {
    let two = NonZeroUsize::new(2).unwrap();
    let mut play = Play::with(|limits| limits.queue_max = two, &[-1]);
    play.in_flight
        .reserve("3EB02", OTHER, None, play.now)
        .unwrap();
    assert!(play.holds(2), "it has its place already");
    let refused = play.in_flight.reserve("3EB03", OTHER, None, play.now);
    assert!(matches!(refused, Err(SendError::QueueFull { .. })));
    play.in_flight.queue.release("3EB02");
    play.in_flight
        .reserve("3EB03", OTHER, None, play.now)
        .unwrap();
    play.in_flight.empty();
    for key in ["3EB04", "3EB05"] {
        play.in_flight.reserve(key, OTHER, None, play.now).unwrap();
    }
}

#[test]
fn a_turn_that_cannot_come_in_time_is_refused_at_once() {
    let rate = NonZeroU32::new(30);
    let mut play = Play::with(|limits| limits.rate_per_minute = rate, &[]);
    let deadline = Some(play.now + WAIT);
    // Five at once, then one in two seconds: the 28th would have to wait for 46 s.
    for n in 0..27 {
        let key = format!("3EB0{n}");
        play.in_flight
            .reserve(&key, OTHER, deadline, play.now)
            .unwrap();
    }
    let refused = play.in_flight.reserve("3EB028", OTHER, deadline, play.now);
    assert!(matches!(refused, Err(SendError::TurnNotCome { .. })));
    play.in_flight
        .reserve("3EB029", OTHER, None, play.now)
        .unwrap();
}

#[test]
fn a_pace_delays_what_is_new_and_nothing_that_had_its_turn() {
    let rate = NonZeroU32::new(30);
    let mut play = Play::with(
        |limits| limits.rate_per_minute = rate,
        &[-1, -2, -3, -4, -5, -6],
    );
    // One that is put back is paid for: neither its next turn nor what is said of the others counts it again.
    play.begin();
    play.is_not_prepared(interrupted());
    let silent = PrepareError::Silent("it hangs".to_owned());
    play.pass(INTERRUPTION_PAUSE);
    play.begin();
    play.is_not_prepared(silent);
    play.pass(SILENCE_PAUSE);
    let due = play.in_flight.due(OTHER, play.now) - play.now;
    assert!(due < Duration::from_secs(4), "{due:?}");
    for _ in 0..5 {
        play.take();
    }
    play.assert_no_turn();
    let turn = play.in_flight.next_deadline(play.now).unwrap();
    assert!(play.now < turn && play.in_flight.begin(turn).is_some());
}

#[test]
fn a_send_that_was_taken_back_leaves_the_queue_or_is_dropped_when_the_ledger_says_so() {
    let mut play = Play::of(&[-1, -2]);
    play.in_flight.queue.remove("3EB02");
    let outgoing = play.begin();
    assert!(play.is_prepared(&outgoing) && !play.is_written(Ok(false)));
    play.assert_no_turn();
    assert!(play.in_flight.is_idle());
    play.assert_noted(&[]);
}

#[test]
fn a_send_that_turns_out_to_be_sent_while_it_waits_again_does_not_go_out_twice() {
    // Before its turn, while its number is looked up, and while it is written down.
    for step in 0..3 {
        let mut play = Play::of(&[-1]);
        let outgoing = (step > 0).then(|| play.begin());
        let is_prepared = step == 2 && play.is_prepared(outgoing.as_ref().unwrap());
        play.in_flight.on_ack("3EB01", 1);
        if is_prepared {
            assert!(!play.is_written(Ok(true)));
        } else if let Some(outgoing) = outgoing {
            assert!(!play.is_prepared(&outgoing));
        }
        play.assert_noted(&["1 ack 1"]);
        assert!(play.in_flight.is_idle());
    }
}

#[test]
fn a_send_that_is_here_already_is_taken_in_once() {
    let mut play = Play::of(&[-1]);
    play.in_flight.enqueue(&record(1), None);
    play.take();
    play.assert_no_turn();
}

#[test]
fn a_send_that_was_written_down_too_late_has_failed_and_makes_room_for_the_next() {
    let mut play = Play::of(&[1, -2]);
    let outgoing = play.begin();
    assert!(play.is_prepared(&outgoing));
    play.pass(WAIT);
    assert!(!play.is_written(Ok(true)));
    play.assert_noted(&["1 absent", "1 failed QUEUE_TIMEOUT"]);
    assert!(!play.holds(1));
    assert_eq!(play.begin().key, "3EB02");
}

#[test]
fn a_durable_send_on_a_disk_that_is_too_slow_is_handed_over_with_all_of_the_pages_time() {
    let mut play = Play::of(&[-1]);
    let outgoing = play.begin();
    let before = play.in_flight.progress().page_answers;
    assert!(play.is_prepared(&outgoing));
    assert_eq!(play.in_flight.progress().page_answers, before + 1);
    play.pass(WAIT * 2);
    let (_, handed, until) = play.in_flight.on_written(Ok(true), play.now).unwrap();
    assert_eq!((handed.key, until), (outgoing.key, play.now + WAIT));
    play.assert_noted(&[]);
}

#[test]
fn an_unlinked_device_leaves_what_waits_to_the_ledger() {
    let mut play = Play::of(&[-1, 2]);
    play.in_flight.on_unlinked("unlinked");
    assert!(!play.holds(1) && !play.holds(2));
    play.assert_noted(&["2 failed SESSION_NOT_READY"]);
}

#[test]
fn a_pause_that_is_over_is_no_deadline_any_more() {
    let mut play = Play::of(&[1]);
    play.begin();
    play.is_not_prepared(interrupted());
    let paused = play.now + INTERRUPTION_PAUSE;
    assert_eq!(play.in_flight.next_deadline(play.now), Some(paused));
    play.in_flight.expire(paused);
    assert_eq!(
        play.in_flight.next_deadline(paused),
        Some(play.began + WAIT)
    );
}

/// A send with a file.
fn with_file(seq: i64, bytes: u64) -> Record {
    let medium = Medium {
        sha256: "0".repeat(64),
        bytes,
        kind: MediumKind::Document,
        mimetype: "application/pdf".to_owned(),
        filename: None,
        caption: None,
        view_once: false,
    };
    let extras = Extras {
        media: Some(medium),
        ..Extras::default()
    };
    Record {
        extras: extras.into(),
        ..record(seq)
    }
}

#[test]
fn a_file_that_is_uploaded_leaves_the_page_to_readings_and_its_message_does_not() {
    let mut play = Play::of(&[]);
    play.in_flight.enqueue(&with_file(1, 1000), None);
    play.in_flight.enqueue(&record(2), None);
    assert!(play.in_flight.needs_page(play.now), "it is to begin");
    let outgoing = play.begin();
    assert!(!play.in_flight.needs_page(play.now));
    play.assert_no_turn();
    assert!(play.is_prepared(&outgoing));
    assert!(play.in_flight.needs_page(play.now));
    assert!(play.is_written(Ok(true)));
    play.answer(Ok(handed(&outgoing)));
    // A text has the page from its begin on.
    play.begin();
    assert!(play.in_flight.needs_page(play.now));
}

#[test]
fn the_rest_of_an_upload_counts_for_when_the_next_one_goes_out() {
    let mut play = Play::of(&[]);
    // Twenty seconds as a rule.
    play.in_flight.enqueue(&with_file(1, 100_000_000), None);
    let outgoing = play.begin();
    let due = |play: &Play| (play.in_flight.due(OTHER, play.now) - play.now).as_secs();
    assert_eq!(due(&play), 20);
    play.pass(Duration::from_secs(15));
    assert_eq!(due(&play), 5);
    let reserve = |play: &mut Play, key: &str| {
        let deadline = Some(play.now + WAIT);
        play.in_flight.reserve(key, OTHER, deadline, play.now)
    };
    reserve(&mut play, "3EB02").unwrap();
    // The line is slower than that: it needs as long once more.
    play.pass(Duration::from_secs(35));
    assert_eq!(due(&play), 50);
    let refused = reserve(&mut play, "3EB03");
    assert!(matches!(refused, Err(SendError::TurnNotCome { .. })));
    assert!(play.is_prepared(&outgoing));
    reserve(&mut play, "3EB03").unwrap();
    assert_eq!(due(&play), 0);
}

fn not_uploaded() -> PrepareError {
    PrepareError::NotUploaded("the server is busy".to_owned())
}

/// How long a send goes on whose file never gets to the server, when each try takes so long.
fn uploads_in_vain(is_awaited: bool, takes: Duration) -> Duration {
    let mut play = Play::of(&[]);
    let long = Duration::from_secs(2 * 3600);
    let deadline = is_awaited.then_some(play.now + long);
    play.in_flight.enqueue(&with_file(1, 1000), deadline);
    while play.in_flight.holds("3EB01") {
        play.assert_noted(&[]);
        let turn = play.in_flight.queue.next_turn(play.now).unwrap();
        assert!(play.now - play.began < long, "it is tried for ever");
        play.now = turn;
        play.begin();
        play.pass(takes);
        play.is_not_prepared(not_uploaded());
    }
    play.assert_noted(&["1 failed MEDIA_NOT_UPLOADED"]);
    play.now - play.began
}

#[test]
fn an_upload_for_which_no_caller_waits_outlasts_minutes_without_a_server() {
    for (is_awaited, takes, seconds) in [
        (true, 0, 2 + 4),
        (false, 0, 2 + 4 + 8 + 16 + 32 + 64 + 4 * 120),
        // One that stands still for long at each try is tried no more often than any other.
        (false, 1000, 3 * 1000 + 2 + 4),
    ] {
        let tried = uploads_in_vain(is_awaited, Duration::from_secs(takes));
        assert_eq!(tried, Duration::from_secs(seconds));
    }
}

#[test]
fn an_upload_that_is_to_be_tried_again_holds_up_its_own_recipient_only() {
    let mut play = Play::of(&[]);
    let other = |seq: i64| Record {
        to: "5491150002222".into(),
        ..record(seq)
    };
    play.in_flight.enqueue(&with_file(1, 1000), None);
    for text in [&record(2), &other(3)] {
        play.in_flight.enqueue(text, None);
    }
    play.begin();
    play.is_not_prepared(not_uploaded());
    // The one behind it to the same person waits, the other one does not.
    assert_eq!(play.take(), "3EB03");
    play.assert_no_turn();
    let again = play.in_flight.next_deadline(play.now);
    assert_eq!(again, Some(play.now + UPLOAD_PAUSE));
    play.pass(UPLOAD_PAUSE);
    assert_eq!(play.take(), "3EB01");
    assert_eq!(play.take(), "3EB02");
}

#[test]
fn what_waits_behind_an_upload_that_rests_is_told_at_once_when_its_turn_cannot_come_in_time() {
    let mut play = Play::of(&[]);
    play.in_flight.enqueue(&with_file(1, 1000), None);
    for failed in 0..4 {
        play.begin();
        play.is_not_prepared(not_uploaded());
        if failed < 3 {
            play.now = play.in_flight.queue.next_turn(play.now).unwrap();
        }
    }
    let rests = UPLOAD_PAUSE * 8;
    let same = record(2).to;
    assert_eq!(play.in_flight.due(&same, play.now), play.now + rests);
    assert_eq!(play.in_flight.due(OTHER, play.now), play.now);
    let (in_time, too_late) = (Some(play.now + WAIT), Some(play.now + rests));
    let refused = play.in_flight.reserve("3EB02", &same, too_late, play.now);
    assert!(matches!(refused, Err(SendError::TurnNotCome { .. })));
    let reserve = |play: &mut Play, key: &str, to: &str, deadline| {
        play.in_flight.reserve(key, to, deadline, play.now).unwrap();
    };
    reserve(&mut play, "3EB02", &same, in_time);
    reserve(&mut play, "3EB03", OTHER, too_late);
}

#[test]
fn a_file_whose_callers_time_is_over_after_an_upload_that_failed_was_not_uploaded() {
    let with_time = |time: Duration| {
        let mut play = Play::of(&[]);
        let deadline = Some(play.now + time);
        play.in_flight.enqueue(&with_file(1, 1000), deadline);
        play.begin();
        play.is_not_prepared(not_uploaded());
        play
    };
    // No try fits in.
    let mut play = with_time(UPLOAD_PAUSE);
    play.assert_noted(&["1 failed MEDIA_NOT_UPLOADED"]);
    // Its turn does not come.
    let mut play = with_time(UPLOAD_PAUSE * 2);
    play.assert_noted(&[]);
    play.pass(UPLOAD_PAUSE * 2);
    play.in_flight.expire(play.now);
    play.assert_noted(&["1 failed MEDIA_NOT_UPLOADED"]);
}

/// Takes a reaction up to the moment before its hand-over is answered.
fn reacts() -> Play {
    let mut play = Play::of(&[]);
    let extras = Extras {
        action: Some(Action {
            kind: ActionKind::Reaction,
            key: "3A5F0C2B1D4E6F708192".into(),
            id: None,
        }),
        ..Extras::default()
    };
    let reaction = Record {
        extras: extras.into(),
        ..record(1)
    };
    play.in_flight.enqueue(&reaction, Some(play.now + WAIT));
    play.hand();
    play
}

#[test]
fn what_is_done_to_a_message_is_at_whatsapps_server_when_the_page_answers() {
    let mut play = reacts();
    let done = Handed {
        key: "page".to_owned(),
        message_id: "true_5491158254201@c.us_page".into(),
    };
    assert_eq!(play.answer(Ok(done)), AfterHandOver::Done);
    play.assert_noted(&["1 taken", "1 ack 1"]);
    assert!(!play.in_flight.is_busy(), "no receipt follows");
}

#[test]
fn what_cannot_be_done_to_a_message_has_failed_with_its_cause_and_keeps_its_key() {
    for (answer, noted) in [
        (
            HandOverError::Target(TargetError::NoMessage),
            "1 failed MESSAGE_NOT_FOUND",
        ),
        (
            HandOverError::Target(TargetError::NotEditable),
            "1 failed NOT_EDITABLE",
        ),
        (
            HandOverError::Target(TargetError::NotRevocable),
            "1 failed NOT_REVOCABLE",
        ),
        (
            HandOverError::GivenUp("ERROR_UNKNOWN".to_owned()),
            "1 given up ERROR_UNKNOWN",
        ),
    ] {
        let mut play = reacts();
        assert_eq!(play.answer(Err(answer)), AfterHandOver::Done);
        play.assert_noted(&[noted]);
        play.assert_no_turn();
    }
}
