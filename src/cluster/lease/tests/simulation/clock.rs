//! Moments of the simulation, and the clocks of its machines, which go wrong.

use std::time::Duration;

use crate::cluster::lease::BootTime;

/// The true time in microseconds since the run began. No machine knows it.
pub(super) type Micros = u64;

pub(super) const SECOND: Micros = 1_000_000;
pub(super) const MILLISECOND: Micros = 1_000;

/// A rate of 1 in millionths.
pub(super) const TRUE_RATE: u64 = 1_000_000;

pub(super) fn micros(duration: Duration) -> Micros {
    duration.as_micros().try_into().unwrap()
}

/// One machine's `CLOCK_BOOTTIME`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// How fast it goes, in millionths.
    rate: u64,
    /// What it showed at a true moment.
    shown: Micros,
    at: Micros,
    is_stopped: bool,
}

impl Clock {
    pub(super) fn started(rate: u64, now: Micros) -> Self {
        Self {
            rate,
            shown: 10 * SECOND,
            at: now,
            is_stopped: false,
        }
    }

    pub(super) fn micros(&self, now: Micros) -> Micros {
        if self.is_stopped {
            return self.shown;
        }
        self.shown + (now - self.at) * self.rate / TRUE_RATE
    }

    pub(super) fn read(&self, now: Micros) -> BootTime {
        BootTime::after_start(Duration::from_micros(self.micros(now)))
    }

    /// The machine is suspended, and its clock with it.
    pub(super) fn stop(&mut self, now: Micros) {
        self.shown = self.micros(now);
        self.at = now;
        self.is_stopped = true;
    }

    pub(super) fn go_on(&mut self, now: Micros) {
        if self.is_stopped {
            self.at = now;
            self.is_stopped = false;
        }
    }

    /// How long it truly takes until the clock has gone on by this much.
    pub(super) fn true_wait(&self, shown: Micros) -> Micros {
        shown * TRUE_RATE / self.rate + 1
    }
}
