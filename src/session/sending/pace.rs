//! How fast a session sends: a burst at once, then one after the other at a rate, not quite evenly.
//!
//! Pure: knows no time but what it is given. Delays, never refuses; whether a delay is too long is the caller's to say.

use std::{num::NonZeroU32, time::Duration};

use rand::RngExt as _;
use tokio::time::Instant;

/// Sends that go out at once after a rest: an answer in several parts, say.
const BURST: u32 = 5;

/// A delayed send is held up by up to this part of the distance between two, so that the sends of a queue do not come
/// like clockwork.
const JITTER: f64 = 0.5;

/// The pace of one session.
#[derive(Clone, Debug)]
pub(in crate::session) struct Pace {
    /// Between two sends in the long run; `None` when nothing holds them up.
    interval: Option<Duration>,
    /// When the next send would be due if there were no bursts: each send moves it on by one interval.
    paid_until: Option<Instant>,
    /// Added to the next send, should that have to wait.
    jitter: Duration,
}

impl Pace {
    /// At most so many sends per minute in the long run; without a number, as many as come.
    pub(in crate::session) fn per_minute(rate: Option<NonZeroU32>) -> Self {
        Self {
            interval: rate.map(|rate| Duration::from_secs(60) / rate.get()),
            paid_until: None,
            jitter: Duration::ZERO,
        }
    }

    /// When a send may go out that has `ahead` others before it; not before `now`.
    pub(in crate::session) fn due(&self, ahead: usize, now: Instant) -> Instant {
        let (Some(interval), Some(paid_until)) = (self.interval, self.paid_until_of(ahead, now))
        else {
            return now;
        };
        let due = paid_until
            .checked_sub(interval * (BURST - 1))
            .unwrap_or(now);
        if due > now { due + self.jitter } else { now }
    }

    /// A send goes out.
    pub(super) fn take(&mut self, now: Instant) {
        let Some(interval) = self.interval else {
            return;
        };
        self.paid_until = Some(self.paid_until.map_or(now, |paid| paid.max(now)) + interval);
        self.jitter = interval.mul_f64(rand::rng().random_range(0.0..JITTER));
    }

    fn paid_until_of(&self, ahead: usize, now: Instant) -> Option<Instant> {
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        let paid_until = self.paid_until.map_or(now, |paid| paid.max(now));
        paid_until.checked_add(self.interval?.saturating_mul(ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace::per_minute(NonZeroU32::new(30))
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate_however_long_it_has_rested() {
        let (mut pace, mut now) = (pace(), Instant::now());
        for _ in 0..3 {
            now += Duration::from_secs(3600);
            for _ in 0..BURST {
                assert_eq!(pace.due(0, now), now);
                pace.take(now);
            }
            let due = pace.due(0, now) - now;
            let (early, late) = (Duration::from_secs(2), Duration::from_secs(3));
            assert!(early <= due && due <= late, "{due:?}");
        }
    }

    #[test]
    fn the_rate_holds_in_the_long_run_whatever_the_jitter() {
        let (mut pace, start) = (pace(), Instant::now());
        let mut now = start;
        for _ in 0..120 {
            now = pace.due(0, now);
            pace.take(now);
        }
        let took = (now - start).as_secs_f64();
        // 120 sends, 5 of them at once, 2 s apart; jitter delays single ones, and those behind catch up.
        assert!((230.0..=350.0).contains(&took), "{took}");
    }

    #[test]
    fn whoever_stands_behind_others_is_told_when_its_turn_comes() {
        let (pace, now) = (pace(), Instant::now());
        assert_eq!(pace.due(4, now), now);
        assert_eq!(pace.due(34, now), now + Duration::from_secs(60));
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let (mut pace, now) = (Pace::per_minute(None), Instant::now());
        for _ in 0..1000 {
            pace.take(now);
        }
        assert_eq!(pace.due(1000, now), now);
    }
}
