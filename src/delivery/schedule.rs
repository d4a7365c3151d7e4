//! When a delivery that has failed is tried again. Pure, but for the jitter.

use std::time::Duration;

use rand::RngExt as _;

/// Each wait is made longer by up to this part, so that what failed together is not tried again together.
const JITTER: f64 = 0.2;

/// The longest that a receiver may put a delivery off by `Retry-After`.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3600);

/// The waits between the attempts of one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Vec<Duration>);

impl Default for Schedule {
    /// That of Standard Webhooks: ten attempts within some 76 hours.
    fn default() -> Self {
        const HOUR: u64 = 3600;
        let waits = [
            5,
            5 * 60,
            30 * 60,
            2 * HOUR,
            5 * HOUR,
            10 * HOUR,
            14 * HOUR,
            20 * HOUR,
            24 * HOUR,
        ];
        Self(waits.map(Duration::from_secs).into())
    }
}

impl Schedule {
    /// One with these waits: the first one after the first attempt, and so on.
    pub const fn new(waits: Vec<Duration>) -> Self {
        Self(waits)
    }

    /// How long to wait after so many attempts have failed; `None`: no further attempt is made. `asked` is how long the receiver
    /// itself asks for.
    pub(super) fn wait_after(&self, attempts: u32, asked: Option<Duration>) -> Option<Duration> {
        let place = usize::try_from(attempts).ok()?.checked_sub(1)?;
        let wait = self.0.get(place)?;
        let wait = wait.mul_f64(rand::rng().random_range(1.0..1.0 + JITTER));
        Some(wait.max(capped(asked)))
    }

    /// How long to wait after an attempt that the schedule did not have: until `due_in`, when it has one.
    pub(super) fn wait_after_additional(due_in: Duration, asked: Option<Duration>) -> Duration {
        due_in.max(capped(asked))
    }
}

fn capped(asked: Option<Duration>) -> Duration {
    asked.unwrap_or_default().min(LONGEST_ASKED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::OWED;

    #[test]
    fn a_delivery_is_tried_ten_times_within_three_days_and_a_few_hours() {
        let schedule = Schedule::default();
        let waits: Vec<_> = (1..)
            .map_while(|attempts| schedule.wait_after(attempts, None))
            .collect();
        assert_eq!(waits.len(), 9);
        let all: Duration = waits.iter().sum();
        assert!(Duration::from_secs(75 * 3600) < all && all < Duration::from_secs(92 * 3600));
        // Its text is there for the last attempt, and for the person who redrives it.
        assert!(all + Duration::from_secs(72 * 3600) < OWED);
        assert!(Duration::from_secs(5) <= waits[0] && waits[0] <= Duration::from_secs(6));
    }

    #[test]
    fn a_receiver_can_ask_for_a_longer_wait_but_not_for_a_shorter_or_an_endless_one() {
        let schedule = Schedule::new(vec![Duration::from_secs(60)]);
        let wait = |asked| schedule.wait_after(1, Some(Duration::from_secs(asked)));
        assert!(wait(1).unwrap() >= Duration::from_secs(60));
        assert_eq!(wait(600), Some(Duration::from_secs(600)));
        assert_eq!(wait(u64::MAX), Some(LONGEST_ASKED));
        assert_eq!(schedule.wait_after(2, Some(Duration::from_secs(1))), None);
    }
}
