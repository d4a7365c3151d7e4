//! A machine whose clock jumps: nothing is forgotten, and no request is sent twice for it.

use std::sync::Mutex;

use super::*;

/// A machine whose clocks a test sets.
#[derive(Clone)]
struct Machine(Arc<Mutex<Reading>>);

impl Machine {
    fn new() -> Self {
        let start = Reading {
            wall: jiff::Timestamp::from_second(1_800_000_000).unwrap(),
            since_boot: Duration::from_secs(50),
        };
        Self(Arc::new(Mutex::new(start)))
    }

    fn clock(&self) -> Clock {
        let reading = Arc::clone(&self.0);
        Clock::reading(move || *reading.lock().unwrap())
    }

    /// A ledger that has been open for long enough that it forgets.
    async fn settled_ledger(&self, folder: &std::path::Path) -> Ledger {
        let ledger = self.ledger(folder);
        assert!(ledger.find("none").await.unwrap().is_none());
        self.pass(&ledger, HOUR).await;
        ledger
    }

    /// The same, with a request of this key that a page has got as `3EB0A`.
    async fn ledger_with_order_7(&self, folder: &std::path::Path) -> Ledger {
        let ledger = self.settled_ledger(folder).await;
        assert!(is_new(&ledger, "3EB0A", "order-7").await);
        hand(&ledger, "3EB0A").await;
        ledger
    }

    fn ledger(&self, folder: &std::path::Path) -> Ledger {
        self.booted_ledger(folder, "")
    }

    /// A ledger of a service that begins in this boot of the machine.
    fn booted_ledger(&self, folder: &std::path::Path, boot: &str) -> Ledger {
        open(LedgerOptions {
            clock: self.clock().of_boot(boot),
            ..options(folder)
        })
    }

    /// Lets time pass, with a look at the clock every minute as the keeper takes one.
    async fn pass(&self, ledger: &Ledger, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(Duration::from_secs(60));
            left -= step;
            self.advance(step);
            assert!(ledger.find("none").await.unwrap().is_none());
        }
    }

    fn advance(&self, step: Duration) {
        let mut reading = self.0.lock().unwrap();
        reading.wall += step;
        reading.since_boot += step;
    }

    async fn jump(&self, ledger: &Ledger, hours: i64) {
        self.0.lock().unwrap().wall += jiff::SignedDuration::from_hours(hours);
        assert!(ledger.find("none").await.unwrap().is_none());
    }
}

/// Whether a request with this key is sent.
async fn is_new(ledger: &Ledger, key: &str, idempotency_key: &str) -> bool {
    let accepted = ledger.accept(with_key(key, idempotency_key)).await.unwrap();
    matches!(accepted, Accepted::New(_))
}

#[tokio::test]
async fn a_clock_that_is_four_days_ahead_for_a_minute_or_a_day_back_doubles_no_send() {
    for hours in [4 * 24, -24] {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::new();
        let ledger = machine.ledger_with_order_7(folder.path()).await;
        ledger.note("3EB0A", Step::Acknowledged(1));
        let before = ledger.find("3EB0A").await.unwrap().unwrap();
        let before = before.borrow().queued_at;

        machine.jump(&ledger, hours).await;
        assert!(!is_new(&ledger, "3EB0B", "order-7").await, "{hours}");
        assert!(is_new(&ledger, "3EB0C", "order-8").await);
        machine.pass(&ledger, Duration::from_secs(60)).await;
        machine.jump(&ledger, -hours).await;
        assert!(!is_new(&ledger, "3EB0D", "order-7").await, "{hours}");
        assert!(!is_new(&ledger, "3EB0E", "order-8").await, "{hours}");
        // What was accepted meanwhile has the time that it was.
        let meanwhile = ledger.find("3EB0C").await.unwrap().unwrap();
        assert_eq!(meanwhile.borrow().queued_at, before, "{hours}");
    }
}

#[tokio::test]
async fn a_service_that_starts_while_the_clock_is_wrong_doubles_no_send() {
    for hours in [4 * 24, -24] {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::new();
        let ledger = machine.ledger_with_order_7(folder.path()).await;
        ledger.close().await;

        machine.0.lock().unwrap().wall += jiff::SignedDuration::from_hours(hours);
        let ledger = machine.ledger(folder.path());
        assert!(!is_new(&ledger, "3EB0B", "order-7").await, "{hours}");
        machine.pass(&ledger, Duration::from_secs(60)).await;
        machine.jump(&ledger, -hours).await;
        assert!(!is_new(&ledger, "3EB0C", "order-7").await, "{hours}");
        machine.pass(&ledger, 23 * HOUR).await;
        assert!(!is_new(&ledger, "3EB0D", "order-7").await, "{hours}");
    }
}

#[tokio::test]
async fn a_clock_that_is_right_lets_a_key_grow_old() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let ledger = machine.settled_ledger(folder.path()).await;
    assert!(is_new(&ledger, "3EB0A", "order-7").await);
    hand(&ledger, "3EB0A").await;
    machine.pass(&ledger, 47 * HOUR).await;
    assert!(!is_new(&ledger, "3EB0B", "order-7").await);
    machine.pass(&ledger, 2 * HOUR).await;
    assert!(is_new(&ledger, "3EB0C", "order-7").await);
}

#[tokio::test]
async fn a_content_of_the_last_minute_is_the_same_send_whatever_the_clock_does() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let ledger = machine.settled_ledger(folder.path()).await;
    let same = |key: &str| NewSend {
        idempotency: Some(Idempotency::SameWithin(Duration::from_secs(300))),
        ..send(key)
    };
    accepted(&ledger, same("3EB0A")).await;
    for hours in [96, -120] {
        machine.jump(&ledger, hours).await;
        let again = ledger.accept(same("3EB0B")).await.unwrap();
        assert!(matches!(again, Accepted::Known(_)), "{hours}");
    }
    // Five minutes later it is another send, though the wall clock says that the first is of tomorrow.
    machine.pass(&ledger, Duration::from_secs(301)).await;
    accepted(&ledger, same("3EB0C")).await;
}

#[tokio::test]
async fn a_key_grows_old_on_a_machine_that_is_suspended_each_night() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::new();
    let ledger = machine.settled_ledger(folder.path()).await;
    assert!(is_new(&ledger, "3EB0A", "order-7").await);
    hand(&ledger, "3EB0A").await;
    for day in 0..4 {
        if day < 2 {
            assert!(!is_new(&ledger, "3EB0B", "order-7").await, "{day}");
        }
        machine.jump(&ledger, 8).await;
        // The new time has been held for long enough by then.
        machine.pass(&ledger, HOUR / 4).await;
        machine.advance(15 * HOUR + HOUR * 3 / 4);
    }
    // 96 hours, of which the jumps of a day do not count.
    assert!(is_new(&ledger, "3EB0C", "order-7").await);
}

#[tokio::test]
async fn a_key_that_is_too_old_matches_nothing_right_after_a_start() {
    // The same boot; another one; and one with a clock that is four days ahead and says nothing.
    for (boot, ahead, hours) in [("one", 0, 49), ("other", 0, 49), ("other", 96, 47)] {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::new();
        let ledger = machine.booted_ledger(folder.path(), "one");
        assert!(is_new(&ledger, "3EB0A", "monday").await);
        hand(&ledger, "3EB0A").await;
        machine.advance(hours * HOUR);
        ledger.close().await;

        machine.0.lock().unwrap().wall += jiff::SignedDuration::from_hours(ahead);
        let ledger = machine.booted_ledger(folder.path(), boot);
        let is_new = is_new(&ledger, "3EB0B", "monday").await;
        assert_eq!(is_new, hours > 48, "{boot} {ahead} {hours}");
    }
}
