//! The ledger's time: the machine's wall clock, as long as that can be believed.
//!
//! A wall clock jumps: a person sets it, a virtual machine is resumed, NTP corrects a wrong start. If it jumps four days
//! ahead for a minute, every idempotency key looks older than 48 hours, and a repeated request is sent twice. So
//! [`Timeline`] compares it with the time since the machine was booted, which only goes forward. Pure: all time comes from its
//! [`Clock`].
//!
//! Invariants: the ledger's time does not jump before the wall clock has held its new time for [`BELIEVED_AFTER`]. In addition
//! there is a time that has certainly passed ([`Now::at_least`]), whichever clock is right; only by that time is anything too
//! old. It goes forward whatever the clock does: on a machine that sleeps each night, and whose clock jumps each morning, it is
//! a few hours behind.

use std::{fmt, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// NTP moves a clock by less than this at once in normal operation, and drifts are far smaller between two readings. A
/// clock that is wrong by less does no harm to times that are counted in hours.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

/// A jump that lasts this long is a correction: from then on messages get the new time. The wrong clocks that were
/// reported were right again within a minute.
const BELIEVED_AFTER: Duration = Duration::from_secs(10 * 60);

/// From a start of the service until the wall clock is believed: it may have jumped before the service could notice. Until then
/// the file says what time it is at least. If the machine was not booted since the last service, the clock is believed at once.
const FORGETS_AFTER_START: Duration = BELIEVED_AFTER;

/// How long a jump ahead does not make anything too old. A clock that has jumped once may jump back, and it costs nothing to
/// keep a few rows for a day longer.
const DOUBTS_A_JUMP: Duration = Duration::from_secs(24 * 3600);

/// How often the clock readings are left for the next service.
const STAMP_EVERY: Duration = Duration::from_secs(3600);

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
pub struct Clock {
    read: Arc<dyn Fn() -> Reading + Send + Sync>,
    /// An id that changes each time the machine is booted; empty where it cannot be known.
    boot: Arc<str>,
}

impl Clock {
    /// The clocks of this machine.
    pub fn of_the_machine() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let read = || {
            let since_boot = clock_gettime(ClockId::Boottime);
            Reading {
                wall: Timestamp::now(),
                // A time since the boot is never negative.
                since_boot: Duration::try_from(since_boot).unwrap_or_default(),
            }
        };
        Self::reading(read).of_boot(boot.trim())
    }

    /// Clocks that say what `read` returns.
    pub fn reading(read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        Self {
            read: Arc::new(read),
            boot: Arc::from(""),
        }
    }

    /// The same clocks, of a machine whose present boot has this id.
    #[must_use]
    pub fn of_boot(self, boot: &str) -> Self {
        Self {
            boot: Arc::from(boot),
            ..self
        }
    }

    fn read(&self) -> Reading {
        (self.read)()
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
    /// It is this late at least, whichever clock is right; the beginning of time while that is not known.
    pub(super) at_least: Timestamp,
}

impl Now {
    /// What is older than this is older than `age`, whichever clock is right; the beginning of time where that moment does
    /// not exist.
    pub(super) fn long_ago(self, age: Duration) -> Timestamp {
        before(self.at_least, age)
    }

    /// Whether anything can be too old.
    pub(super) fn is_known(self) -> bool {
        self.at_least != Timestamp::MIN
    }

    /// `age` before now by the ledger's own time; the beginning of time where that moment does not exist.
    pub(super) fn before(self, age: Duration) -> Timestamp {
        before(self.at, age)
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

/// What a service leaves for the next one, once its clock has been right for long enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Of which boot the reading is.
    pub(super) boot: String,
    pub(super) reading: Reading,
    /// By how much jumps have put the time forward lately, and when the last one did, by the time since the boot.
    pub(super) put_forward: Duration,
    pub(super) put_at: Duration,
}

impl Stamp {
    /// Whether the next service learns nothing from `newer` that this does not say.
    pub(super) fn is_as_good_as(&self, newer: &Self) -> bool {
        let age = newer
            .reading
            .since_boot
            .checked_sub(self.reading.since_boot);
        self.boot == newer.boot
            && (self.put_forward, self.put_at) == (newer.put_forward, newer.put_at)
            && age.is_some_and(|age| age < STAMP_EVERY)
            && is_close(newer.reading.wall, self.reading.carried_to(newer.reading))
    }
}

/// The ledger's time, from one look at the clocks to the next. See the module.
#[derive(Debug)]
pub(super) struct Timeline {
    clock: Clock,
    /// The last reading that was believed.
    anchor: Reading,
    /// Since when the wall clock has held another time, and the last reading of that.
    other: Option<(Duration, Reading)>,
    /// From when on the wall clock of the start is believed, by the time since the boot.
    settles_at: Duration,
    /// How late it was at least when the file was last written, as the file says.
    written_at: Option<Timestamp>,
    /// When jumps that were believed have put the time forward, by the time since the boot, and by how much.
    put_forward: Vec<(Duration, Duration)>,
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
            written_at: None,
            put_forward: Vec::new(),
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
                self.step = Step::Back;
            }
            return self.at(reading.wall, reading);
        }
        let held = self
            .other
            .filter(|(_, other)| is_close(reading.wall, other.carried_to(reading)));
        let Some((since, _)) = held else {
            self.other = Some((reading.since_boot, reading));
            self.step = Step::Jumped(reading.wall.duration_since(expected));
            return self.at(expected, reading);
        };
        if reading.since_boot.saturating_sub(since) < BELIEVED_AFTER {
            self.other = Some((since, reading));
            return self.at(expected, reading);
        }
        (self.anchor, self.other, self.step) = (reading, None, Step::Believed);
        // What was written before a jump ahead looks older by as much. After a jump back it looks younger.
        if let Ok(ahead) = Duration::try_from(reading.wall.duration_since(expected)) {
            self.put_forward.push((reading.since_boot, ahead));
        }
        self.at(reading.wall, reading)
    }

    /// The file has been opened: what the last service has left in it, and the time of the row that was written last.
    pub(super) fn on_opened(&mut self, left: Option<Stamp>, newest: Option<Timestamp>) {
        let reading = self.clock.read();
        // What this service has seen itself is newer than what the file says.
        if self.written_at.is_some() || self.settles_at <= reading.since_boot {
            return;
        }
        let last = left.as_ref().map(|left| left.reading.wall);
        self.written_at = last.max(newest);
        if let Some(left) = left
            && !left.boot.is_empty()
            && *left.boot == *self.clock.boot
            && left.reading.since_boot <= reading.since_boot
        {
            // The machine has run on: whether its clock has jumped since can be seen at once.
            (self.anchor, self.other, self.settles_at) = (left.reading, None, Duration::ZERO);
            self.put_forward = vec![(left.put_at, left.put_forward)];
        } else if let Some(newest) = newest {
            let behind = newest.duration_since(reading.wall);
            if TOLERANCE < behind {
                self.step = Step::Jumped(-behind);
            }
        }
    }

    /// What is to be left for the next service; `None` while the clock may be wrong.
    pub(super) fn stamp(&mut self) -> Option<Stamp> {
        // The look at the clocks makes the anchor the present reading, if it is right.
        self.now();
        if self.other.is_some() || self.anchor.since_boot < self.settles_at {
            return None;
        }
        let put_at = self.put_forward.last().map(|(at, _)| *at);
        Some(Stamp {
            boot: self.clock.boot.to_string(),
            reading: self.anchor,
            put_forward: self.put_forward.iter().map(|(_, by)| *by).sum(),
            put_at: put_at.unwrap_or_default(),
        })
    }

    /// What has been found since this was last asked, to be told once.
    pub(super) fn take_step(&mut self) -> Step {
        std::mem::replace(&mut self.step, Step::None)
    }

    fn at(&mut self, at: Timestamp, reading: Reading) -> Now {
        self.put_forward
            .retain(|(when, _)| reading.since_boot < when.saturating_add(DOUBTS_A_JUMP));
        let at_least = if reading.since_boot < self.settles_at {
            self.written_at.map_or(Timestamp::MIN, |time| time.min(at))
        } else {
            let doubted = self.put_forward.iter().map(|(_, by)| *by).sum();
            before(at, doubted)
        };
        // One of the two is right.
        let at_least = match self.other {
            Some(_) => at_least.min(reading.wall),
            None => at_least,
        };
        Now { at, at_least }
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

fn before(time: Timestamp, age: Duration) -> Timestamp {
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    time.checked_sub(age).unwrap_or(Timestamp::MIN)
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
            let clock = Clock::reading(move || *read.lock().unwrap()).of_boot("a boot");
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

        /// Another service begins.
        fn restart(&mut self, boot: &str) {
            let read = Arc::clone(&self.reading);
            let clock = Clock::reading(move || *read.lock().unwrap()).of_boot(boot);
            self.timeline = Timeline::new(clock);
        }

        fn wall(&self) -> Timestamp {
            self.reading.lock().unwrap().wall
        }
    }

    #[test]
    fn nothing_is_too_old_until_the_clock_has_been_right_for_a_while_after_a_start() {
        let mut machine = Machine::new();
        let now = machine.pass(599);
        assert!(!now.is_known());
        assert_eq!(now.long_ago(Duration::ZERO), Timestamp::MIN);
        let now = machine.pass(60);
        assert_eq!((now.at_least, now.at), (machine.wall(), machine.wall()));
    }

    #[test]
    fn four_days_ahead_for_a_minute_and_a_day_back_change_neither_time_nor_what_is_kept() {
        for jump in [4 * 24 * HOUR, -24 * HOUR] {
            let mut machine = Machine::new();
            let before = machine.pass(2 * HOUR);
            let jumped = machine.set_wall(jump);
            assert_eq!(jumped.at, before.at);
            assert_eq!(jumped.at_least, before.at.min(machine.wall()));
            assert_eq!(
                machine.timeline.take_step(),
                Step::Jumped(SignedDuration::from_secs(jump))
            );
            let jumped = machine.pass(60);
            assert_eq!(jumped.at, before.at + SignedDuration::from_secs(60));
            let back = machine.set_wall(-jump);
            assert_eq!((back.at, back.at_least), (machine.wall(), machine.wall()));
            assert_eq!(machine.timeline.take_step(), Step::Back);
        }
    }

    #[test]
    fn a_correction_that_lasts_is_believed_and_only_a_day_later_what_it_made_old_is_too_old() {
        let mut machine = Machine::new();
        machine.pass(2 * HOUR);
        let year = 365 * 24 * HOUR;
        machine.set_wall(year);
        let now = machine.pass(599);
        assert_eq!(now.at, machine.wall() - SignedDuration::from_secs(year));
        let now = machine.pass(120);
        let without = machine.wall() - SignedDuration::from_secs(year);
        assert_eq!((now.at, now.at_least), (machine.wall(), without));
        assert_eq!(machine.timeline.take_step(), Step::Believed);
        let now = machine.pass(25 * HOUR);
        assert_eq!(now.at_least, machine.wall());
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
        assert_eq!(now.at_least, now.at);
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
    fn a_clock_that_starts_behind_the_newest_row_is_told_of_and_makes_nothing_old() {
        let mut machine = Machine::new();
        let newest = machine.wall() + SignedDuration::from_secs(24 * HOUR);
        machine.timeline.on_opened(None, Some(newest));
        assert_eq!(
            machine.timeline.take_step(),
            Step::Jumped(SignedDuration::from_secs(-24 * HOUR))
        );
        let now = machine.timeline.now();
        assert_eq!(now.at_least, machine.wall());
        machine.set_wall(24 * HOUR);
        let now = machine.pass(HOUR);
        let without = machine.wall() - SignedDuration::from_hours(24);
        assert_eq!((now.at, now.at_least), (machine.wall(), without));
    }

    #[test]
    fn a_machine_that_sleeps_each_night_forgets_what_is_a_day_older_and_no_less() {
        let mut machine = Machine::new();
        machine.pass(HOUR);
        let day = SignedDuration::from_hours(24);
        for night in 0..30 {
            // The time since the boot stands still, as on a virtual machine that is suspended.
            let morning = machine.set_wall(8 * HOUR);
            let evening = machine.pass(16 * HOUR);
            for now in [morning, evening] {
                assert!(now.at - day <= now.at_least, "{night}: {now:?}");
            }
            assert_eq!(evening.at, machine.wall());
            assert!(evening.at_least < evening.at, "{night}: {evening:?}");
        }
    }

    #[test]
    fn a_start_on_a_machine_that_has_run_on_knows_at_once_what_is_too_old() {
        let mut machine = Machine::new();
        assert_eq!(machine.timeline.stamp(), None, "it may be wrong");
        machine.pass(HOUR);
        machine.set_wall(8 * HOUR);
        machine.pass(HOUR);
        let left = machine.timeline.stamp().unwrap();
        assert!(left.is_as_good_as(&machine.timeline.stamp().unwrap()));
        machine.pass(2 * HOUR);
        assert!(!left.is_as_good_as(&machine.timeline.stamp().unwrap()));

        machine.restart("a boot");
        machine.timeline.on_opened(Some(left.clone()), None);
        let now = machine.timeline.now();
        let doubted = SignedDuration::from_hours(8);
        assert_eq!(now.at_least, now.at - doubted, "the jump is remembered");
        // A jump while no service ran is seen.
        machine.set_wall(96 * HOUR);
        machine.restart("a boot");
        machine.timeline.on_opened(Some(left.clone()), None);
        let jumped = machine.timeline.now();
        assert_eq!((jumped.at, jumped.at_least), (now.at, now.at_least));
        // After another boot the clock may be wrong, and it is as late as it was when the stamp was left.
        machine.restart("another boot");
        machine.timeline.on_opened(Some(left.clone()), None);
        let now = machine.timeline.now();
        assert_eq!((now.at, now.at_least), (machine.wall(), left.reading.wall));
    }
}
