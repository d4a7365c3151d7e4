//! Moments on the clock that counts from the start of the machine.

use std::{ops::Add, time::Duration};

/// A moment, as the time since this machine was started: `CLOCK_BOOTTIME`. No program can set that clock, and it goes on
/// while the machine sleeps; `CLOCK_MONOTONIC` and [`std::time::Instant`] stand still then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootTime(Duration);

impl BootTime {
    /// The moment that long after the machine was started.
    pub const fn after_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// From the start of the machine to this moment.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// From an earlier moment to this one; nothing if it was not earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}
