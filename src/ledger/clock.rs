//! The time that the ledger goes by: the machine's wall clock, as long as that can be believed.
//!
//! A wall clock jumps: a person sets it, a virtual machine is resumed, NTP corrects a wrong start. If it jumps four days
//! ahead for a minute, every idempotency key looks older than 48 hours, and a repeated request is sent twice. So
//! [`Timeline`] compares it with the time since the machine was booted, which only goes forward. Pure: it knows no time but
//! what its [`Clock`] reads.
//!
//! Invariants: while the two clocks disagree, and for a while after they agree again, nothing is too old, so that nothing is
//! forgotten; the ledger's time does not jump before the wall clock has held its new time for [`BELIEVED_AFTER`].

use std::{fmt, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// NTP moves a clock by less than this at once in normal operation, and drifts are far smaller between two readings. A
/// clock that is wrong by less does no harm to times that are counted in hours.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

/// A jump that lasts this long is a correction: from then on messages get the new time. The wrong clocks that were
/// reported were right again within a minute.
const BELIEVED_AFTER: Duration = Duration::from_secs(10 * 60);

/// From a start until anything may be too old: the clock may have jumped before the service could notice it. Short, as a
/// service that is restarted often must forget texts too.
const FORGETS_AFTER_START: Duration = BELIEVED_AFTER;

/// From a jump until anything may be too old. A clock that has jumped once may jump back, and to keep a few rows for
/// another day costs nothing.
const FORGETS_AFTER_JUMP: Duration = Duration::from_secs(24 * 3600);

/// What both clocks of a machine say at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock, which may be set to anything.
    pub wall: Timestamp,
    /// The time since the machine was booted, with the time that it slept: it only goes forward.
    pub since_boot: Duration,
}

/// Where the two clocks are read.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Reading + Send + Sync>);

impl Clock {
    /// The clocks of this machine.
    pub fn of_the_machine() -> Self {
        Self(Arc::new(|| {
            let since_boot = clock_gettime(ClockId::Boottime);
            Reading {
                wall: Timestamp::now(),
                // A time since the boot is never negative.
                since_boot: Duration::try_from(since_boot).unwrap_or_default(),
            }
        }))
    }

    /// Clocks that say what `read` returns.
    pub fn reading(read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    fn read(&self) -> Reading {
        self.0()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::of_the_machine()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The ledger's time at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Now {
    pub(super) at: Timestamp,
    /// Whether the clock has been right for long enough that anything may be too old.
    pub(super) is_settled: bool,
}

impl Now {
    /// `age` before now; the beginning of time while nothing may be too old, or where that moment does not exist.
    pub(super) fn long_ago(self, age: Duration) -> Timestamp {
        if self.is_settled {
            self.before(age)
        } else {
            Timestamp::MIN
        }
    }

    /// `age` before now, whether the clock is believed or not; the beginning of time where that moment does not exist.
    pub(super) fn before(self, age: Duration) -> Timestamp {
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        self.at.checked_sub(age).unwrap_or(Timestamp::MIN)
    }

    /// The latest time that a row can have which was written before now.
    pub(super) fn latest(self) -> Timestamp {
        self.at.checked_add(TOLERANCE).unwrap_or(Timestamp::MAX)
    }
}

/// What a look at the clocks has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// As before.
    None,
    /// The wall clock is off by this much from what the ledger goes by.
    Jumped(SignedDuration),
    /// It is back where it should be.
    Back,
    /// It has held its new time: the ledger goes by that now.
    Believed,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Timeline {
    clock: Clock,
    /// The last reading that was believed.
    anchor: Reading,
    /// Since when the wall clock has held another time, and the last reading of that.
    other: Option<(Duration, Reading)>,
    /// When anything may be too old, by the time since the boot.
    settles_at: Duration,
    step: Step,
}

impl Timeline {
    pub(super) fn new(clock: Clock) -> Self {
        let anchor = clock.read();
        Self {
            clock,
            anchor,
            other: None,
            settles_at: anchor.since_boot.saturating_add(FORGETS_AFTER_START),
            step: Step::None,
        }
    }

    /// The time that the ledger goes by.
    pub(super) fn now(&mut self) -> Now {
        let reading = self.clock.read();
        let expected = self.anchor.carried_to(reading);
        if is_close(reading.wall, expected) {
            // Small corrections are followed, or a clock that drifts would look like one that jumps after some weeks.
            self.anchor = reading;
            if self.other.take().is_some() {
                self.unsettle(reading, Step::Back);
            }
            return self.at(reading.wall, reading);
        }
        let held = self
            .other
            .filter(|(_, other)| is_close(reading.wall, other.carried_to(reading)));
        let Some((since, _)) = held else {
            self.other = Some((reading.since_boot, reading));
            self.unsettle(reading, Step::Jumped(reading.wall.duration_since(expected)));
            return self.at(expected, reading);
        };
        if reading.since_boot.saturating_sub(since) < BELIEVED_AFTER {
            self.other = Some((since, reading));
            return self.at(expected, reading);
        }
        (self.anchor, self.other, self.step) = (reading, None, Step::Believed);
        self.at(reading.wall, reading)
    }

    /// The file has a row of this time: a wall clock that was behind it at the start has jumped between two services.
    pub(super) fn on_newest(&mut self, newest: Timestamp) {
        let behind = newest.duration_since(self.anchor.wall);
        if TOLERANCE < behind {
            self.unsettle(self.anchor, Step::Jumped(-behind));
        }
    }

    /// What has been found since this was last asked, to be told once.
    pub(super) fn take_step(&mut self) -> Step {
        std::mem::replace(&mut self.step, Step::None)
    }

    fn unsettle(&mut self, reading: Reading, step: Step) {
        self.settles_at = reading.since_boot.saturating_add(FORGETS_AFTER_JUMP);
        self.step = step;
    }

    fn at(&self, at: Timestamp, reading: Reading) -> Now {
        Now {
            at,
            is_settled: self.other.is_none() && self.settles_at <= reading.since_boot,
        }
    }
}

impl Reading {
    /// What the wall clock of this reading says by then.
    fn carried_to(self, then: Self) -> Timestamp {
        let elapsed = then.since_boot.saturating_sub(self.since_boot);
        let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
        self.wall.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}

fn is_close(one: Timestamp, other: Timestamp) -> bool {
    one.duration_since(other).abs() <= TOLERANCE
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const HOUR: i64 = 3600;

    /// A machine whose clocks a test sets.
    struct Machine {
        reading: Arc<Mutex<Reading>>,
        timeline: Timeline,
    }

    impl Machine {
        fn new() -> Self {
            let start = Reading {
                wall: Timestamp::from_second(1_800_000_000).unwrap(),
                since_boot: Duration::from_secs(50),
            };
            let reading = Arc::new(Mutex::new(start));
            let read = Arc::clone(&reading);
            let clock = Clock::reading(move || *read.lock().unwrap());
            Self {
                reading,
                timeline: Timeline::new(clock),
            }
        }

        /// Lets time pass, a second at a time as far as the ledger looks.
        fn pass(&mut self, seconds: i64) -> Now {
            let steps = (seconds / 60).max(1);
            let mut now = self.timeline.now();
            for _ in 0..steps {
                let step = SignedDuration::from_secs(seconds / steps);
                let mut reading = self.reading.lock().unwrap();
                reading.wall += step;
                reading.since_boot += step.unsigned_abs();
                drop(reading);
                now = self.timeline.now();
            }
            now
        }

        fn set_wall(&mut self, by_seconds: i64) -> Now {
            self.reading.lock().unwrap().wall += SignedDuration::from_secs(by_seconds);
            self.timeline.now()
        }

        fn wall(&self) -> Timestamp {
            self.reading.lock().unwrap().wall
        }
    }

    #[test]
    fn nothing_is_too_old_until_the_clock_has_been_right_for_a_while_after_a_start() {
        let mut machine = Machine::new();
        let now = machine.pass(599);
        assert!(!now.is_settled);
        assert_eq!(now.long_ago(Duration::ZERO), Timestamp::MIN);
        let now = machine.pass(60);
        assert_eq!((now.is_settled, now.at), (true, machine.wall()));
    }

    #[test]
    fn four_days_ahead_for_a_minute_and_a_day_back_change_neither_time_nor_what_is_kept() {
        for jump in [4 * 24 * HOUR, -24 * HOUR] {
            let mut machine = Machine::new();
            let before = machine.pass(2 * HOUR);
            assert!(before.is_settled);
            let jumped = machine.set_wall(jump);
            assert_eq!((jumped.at, jumped.is_settled), (before.at, false));
            assert_eq!(
                machine.timeline.take_step(),
                Step::Jumped(SignedDuration::from_secs(jump))
            );
            let jumped = machine.pass(60);
            assert_eq!(jumped.at, before.at + SignedDuration::from_secs(60));
            let back = machine.set_wall(-jump);
            assert_eq!((back.at, back.is_settled), (machine.wall(), false));
            assert_eq!(machine.timeline.take_step(), Step::Back);
            assert!(!machine.pass(23 * HOUR).is_settled);
            assert!(machine.pass(2 * HOUR).is_settled);
        }
    }

    #[test]
    fn a_correction_that_lasts_is_believed_and_only_a_day_later_anything_is_too_old() {
        let mut machine = Machine::new();
        machine.pass(2 * HOUR);
        let year = 365 * 24 * HOUR;
        machine.set_wall(year);
        let now = machine.pass(599);
        assert_eq!(now.at, machine.wall() - SignedDuration::from_secs(year));
        let now = machine.pass(120);
        assert_eq!((now.at, now.is_settled), (machine.wall(), false));
        assert_eq!(machine.timeline.take_step(), Step::Believed);
        assert!(machine.pass(25 * HOUR).is_settled);
    }

    #[test]
    fn a_clock_that_jumps_about_is_never_believed() {
        let mut machine = Machine::new();
        let start = machine.pass(HOUR).at;
        for _ in 0..20 {
            machine.set_wall(HOUR);
            machine.pass(300);
        }
        let now = machine.timeline.now();
        assert_eq!(now.at, start + SignedDuration::from_secs(20 * 300));
        assert!(!now.is_settled);
    }

    #[test]
    fn a_clock_that_drifts_for_a_year_is_followed() {
        let mut machine = Machine::new();
        for _ in 0..365 {
            machine.pass(24 * HOUR / 60);
            machine.set_wall(43);
        }
        assert_eq!(machine.timeline.now().at, machine.wall());
        assert_eq!(machine.timeline.take_step(), Step::None);
    }

    #[test]
    fn a_clock_that_starts_behind_the_newest_row_forgets_nothing_for_a_day() {
        let mut machine = Machine::new();
        let newest = machine.wall() + SignedDuration::from_secs(24 * HOUR);
        machine.timeline.on_newest(newest);
        assert_eq!(
            machine.timeline.take_step(),
            Step::Jumped(SignedDuration::from_secs(-24 * HOUR))
        );
        assert!(!machine.pass(23 * HOUR).is_settled);
        assert!(machine.pass(2 * HOUR).is_settled);
    }
}
