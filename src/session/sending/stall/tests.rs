//! What is seen to stand still, and when, by a watch that looks once a second.

use super::*;

const NOTHING: Work<'static> = Work {
    waits_for: WaitsFor::Nothing,
    page_answers: 0,
    ledger_answers: 0,
    sent: 0,
    handed: &[],
};

const PAGE: Work<'static> = Work {
    waits_for: WaitsFor::Page,
    ..NOTHING
};

/// When something is seen that stands still from now on.
const AFTER: u64 = STALLED_AFTER.as_secs();

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn heals(remedy: Remedy, cause: Cause) -> Stalled {
    Stalled::Heals(remedy, cause)
}

/// A watch in simulated time.
struct Play {
    watch: StallWatch,
    remedies: Remedies,
    began: Instant,
    /// Seconds since then.
    now: u64,
}

impl Play {
    fn new() -> Self {
        Self {
            watch: StallWatch::default(),
            remedies: Remedies::default(),
            began: Instant::now(),
            now: 0,
        }
    }

    /// Another page, after so many seconds.
    fn reload(&mut self, after: u64) {
        self.watch = StallWatch::default();
        self.now += after;
    }

    /// A message that was handed over this many seconds ago.
    fn handed(&self, key: &str, ago: u64) -> (String, Instant) {
        (key.to_owned(), self.began + seconds(self.now - ago))
    }

    fn look(&mut self, can_send: bool, work: Work<'_>) -> Option<Stalled> {
        let now = self.began + seconds(self.now);
        self.watch.look(can_send, work, &mut self.remedies, now)
    }

    /// Looks for so long, and gives what was seen first, and after how long.
    fn first_seen(&mut self, work: Work<'_>, most: u64) -> Option<(u64, Stalled)> {
        let began = self.now;
        (0..most).find_map(|passed| {
            self.now = began + passed;
            Some((passed, self.look(true, work)?))
        })
    }

    /// Asserts that nothing is seen within an hour of work that goes on.
    #[track_caller]
    fn assert_fine<'a>(&mut self, work: impl Fn(u64) -> Work<'a>) {
        for passed in 0..3600 {
            self.now += 1;
            let seen = self.look(true, work(passed));
            assert_eq!(seen, None, "after {passed} s");
        }
    }
}

#[test]
fn a_page_without_a_word_is_loaded_again_and_then_chrome_started_again() {
    let mut play = Play::new();
    for (page_answers, remedy) in [
        (0, Remedy::Reload),
        (0, Remedy::NewChrome),
        // A word in between, and the ladder begins at its foot.
        (1, Remedy::Reload),
    ] {
        let work = Work {
            page_answers,
            ..PAGE
        };
        let seen = play.first_seen(work, 300);
        assert_eq!(seen, Some((AFTER, heals(remedy, Cause::NoWord))));
        play.reload(300);
    }
}

#[test]
fn a_session_that_waits_for_its_pace_or_cannot_send_is_left_alone() {
    let mut play = Play::new();
    play.assert_fine(|_| NOTHING);
    assert_eq!(play.watch.next(), None);
    let handed = [play.handed("3EB01", 0)];
    let work = Work {
        handed: &handed,
        ..PAGE
    };
    for _ in 0..3600 {
        play.now += 1;
        assert_eq!((play.look(false, work), play.watch.next()), (None, None));
    }
    // The time begins when it can send again.
    let seen = play.first_seen(work, 300);
    assert_eq!(seen.unwrap().0, AFTER);
}

#[test]
fn what_goes_on_however_slowly_is_left_alone() {
    // A page that answers now and then.
    Play::new().assert_fine(|passed| Work {
        page_answers: passed / 100,
        ..PAGE
    });
    // A ledger that answers each time, however much is asked.
    Play::new().assert_fine(|passed| Work {
        waits_for: WaitsFor::Ledger,
        ledger_answers: passed,
        page_answers: passed / 60,
        ..NOTHING
    });
    // One message that stays behind while others are taken.
    let handed = [Play::new().handed("3EB01", 0)];
    Play::new().assert_fine(|passed| Work {
        sent: passed / 100,
        handed: &handed,
        ..NOTHING
    });
}

#[test]
fn a_disk_that_stands_still_is_said_and_is_not_the_pages_fault() {
    let mut play = Play::new();
    let frozen = Work {
        waits_for: WaitsFor::Ledger,
        ..NOTHING
    };
    let seen = play.first_seen(frozen, 300);
    assert_eq!(seen, Some((AFTER, Stalled::Ledger)));
    play.now += 190;
    let lasts = play.look(true, frozen);
    assert_eq!(lasts, Some(Stalled::Ledger), "as long as it lasts");
    // It is back: the page has as long as ever.
    let thawed = Work {
        ledger_answers: 1,
        ..PAGE
    };
    let (after, seen) = play.first_seen(thawed, 300).unwrap();
    assert!(AFTER - 1 <= after, "{after}");
    assert_eq!(seen, heals(Remedy::Reload, Cause::NoWord));
}

#[test]
fn a_message_that_the_server_does_not_take_is_healed_for_twice_and_then_said() {
    let mut play = Play::new();
    for wanted in [
        heals(Remedy::Reload, Cause::NotTakenByServer),
        heals(Remedy::NewChrome, Cause::NotTakenByServer),
        Stalled::Unsent,
    ] {
        // Each time it is found in the page again.
        let handed = ["3EB01", "3EB02"].map(|key| play.handed(key, 0));
        let work = Work {
            handed: &handed,
            ..NOTHING
        };
        let seen = play.first_seen(work, 3600);
        assert_eq!(seen, Some((AFTER, wanted.clone())));
        if wanted != Stalled::Unsent {
            play.reload(300);
        }
    }
    // One that comes later is healed for again.
    let handed = [play.handed("3EB01", AFTER), play.handed("3EB03", 0)];
    let work = Work {
        handed: &handed,
        ..NOTHING
    };
    assert_eq!(play.look(true, work), Some(Stalled::Unsent));
    let next = play.watch.next().unwrap() - play.began;
    play.now = next.as_secs();
    let again = heals(Remedy::Reload, Cause::NotTakenByServer);
    assert_eq!(play.look(true, work), Some(again));
}
