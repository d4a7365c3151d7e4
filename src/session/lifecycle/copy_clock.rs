//! When the profile of a running session is copied. Pure: knows no time but what it is given.

use std::time::Duration;

use tokio::time::Instant;

/// After this a copy that failed is tried again, as when the page of a new link wrote too much at once; and after twice as long each
/// further time, as on a disk that is full or too slow.
const RETRY: Duration = Duration::from_secs(60);

/// See the module. Lives as long as one page.
#[derive(Debug)]
pub(super) struct CopyClock {
    every: Option<Duration>,
    /// When the next copy is due; `None` until the session has been READY.
    due: Option<Instant>,
    /// Whether there is a copy of the link is known; from then on this clock decides.
    has_looked: bool,
    /// How many have failed one after the other.
    failures: u32,
}

impl CopyClock {
    /// Of a session that is copied so often (`SNAPSHOT_EVERY_MINUTES`); `None`: never while it runs.
    pub(super) const fn new(every: Option<Duration>) -> Self {
        Self {
            every,
            due: None,
            has_looked: false,
            failures: 0,
        }
    }

    /// How old the last copy must be for another one to be taken. Only the first time of a page: a copy may be left of the one before.
    pub(super) fn min_age(&self) -> Duration {
        let min_age = self.every.filter(|_| !self.has_looked);
        min_age.unwrap_or_default()
    }

    /// How often it is copied, if it is.
    pub(super) const fn every(&self) -> Option<Duration> {
        self.every
    }

    /// The session is READY. The first time it is seen to at once whether a copy is due: after a scan one is.
    pub(super) fn on_ready(&mut self, now: Instant) {
        if self.every.is_some() {
            self.due.get_or_insert(now);
        }
    }

    /// The session is not linked: what it is linked to next has no copy.
    pub(super) const fn on_unlinked(&mut self) {
        self.due = None;
        self.has_looked = false;
    }

    /// A copy was taken, or was not due, and the next one is due after this time; or, without one, it failed.
    pub(super) fn on_copied(&mut self, next_in: Option<Duration>, now: Instant) {
        self.has_looked = true;
        self.failures = next_in.map_or(self.failures + 1, |_| 0);
        let next_in = next_in.unwrap_or_else(|| {
            let retry = RETRY.saturating_mul(1 << (self.failures - 1).min(10));
            self.every.map_or(retry, |every| every.min(retry))
        });
        self.due = self.due.map(|_| now + next_in);
    }

    /// When to look for the next copy.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(600);

    #[test]
    fn a_session_is_looked_at_once_it_is_ready_and_then_as_often_as_asked_for() {
        let (mut clock, now) = (CopyClock::new(Some(EVERY)), Instant::now());
        assert_eq!(clock.due(), None);
        clock.on_ready(now);
        clock.on_ready(now + EVERY / 2);
        assert_eq!((clock.due(), clock.min_age()), (Some(now), EVERY));
        clock.on_copied(Some(EVERY), now);
        clock.on_ready(now);
        assert_eq!(
            (clock.due(), clock.min_age()),
            (Some(now + EVERY), Duration::ZERO)
        );
        // Another account is linked.
        clock.on_unlinked();
        clock.on_copied(Some(EVERY), now);
        assert_eq!(clock.due(), None);
        clock.on_ready(now);
        assert_eq!(clock.due(), Some(now));
    }

    #[test]
    fn one_that_fails_is_tried_again_less_and_less_often() {
        let (mut clock, now) = (CopyClock::new(Some(EVERY)), Instant::now());
        clock.on_ready(now);
        let minutes = |minutes: u32| Some(now + minutes * Duration::from_secs(60));
        for wanted in [1, 2, 4, 8, 10, 10] {
            clock.on_copied(None, now);
            assert_eq!(clock.due(), minutes(wanted));
        }
        clock.on_copied(Some(EVERY), now);
        clock.on_copied(None, now);
        assert_eq!(clock.due(), minutes(1));
    }

    #[test]
    fn one_that_is_never_copied_while_it_runs_never_is() {
        let (mut clock, now) = (CopyClock::new(None), Instant::now());
        clock.on_ready(now);
        assert_eq!(clock.due(), None);
    }
}
