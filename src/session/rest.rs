//! Since when nobody needs a session's Chrome, and from when on it may be closed for that. Pure: knows no time but what it is given.
//!
//! What counts as need, [`serving`](super::serving) knows: a send that is not done with, a question to the page. How a session
//! sleeps and wakes is the actor's part.

use std::time::Duration;

use tokio::time::Instant;

/// See the module. Lives as long as one page.
#[derive(Debug)]
pub(super) struct Rest {
    after: Option<Duration>,
    quiet_since: Option<Instant>,
}

impl Rest {
    /// Of a session that may sleep after so long (`HIBERNATE_AFTER_SECONDS`); `None`: never.
    pub(super) const fn new(after: Option<Duration>) -> Self {
        Self {
            after,
            quiet_since: None,
        }
    }

    /// Whether nobody needs the page now.
    pub(super) fn set(&mut self, is_quiet: bool, now: Instant) {
        self.quiet_since = is_quiet.then(|| self.quiet_since.unwrap_or(now));
    }

    /// Somebody has asked for the session: the time begins anew.
    pub(super) const fn on_asked(&mut self) {
        self.quiet_since = None;
    }

    /// From when on it may sleep; `None` while somebody needs it, or when it never may.
    pub(super) fn due(&self) -> Option<Instant> {
        Some(self.quiet_since? + self.after?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(600);

    #[test]
    fn the_time_runs_from_the_end_of_the_last_need() {
        let (mut rest, now) = (Rest::new(Some(AFTER)), Instant::now());
        assert_eq!(rest.due(), None);
        rest.set(true, now);
        let later = now + AFTER / 2;
        rest.set(true, later);
        assert_eq!(rest.due(), Some(now + AFTER));
        rest.set(false, later);
        assert_eq!(rest.due(), None);
        rest.set(true, later);
        assert_eq!(rest.due(), Some(later + AFTER));
    }

    #[test]
    fn whoever_asks_for_the_session_keeps_it_awake() {
        let (mut rest, now) = (Rest::new(Some(AFTER)), Instant::now());
        rest.set(true, now);
        rest.on_asked();
        rest.set(true, now + AFTER);
        assert_eq!(rest.due(), Some(now + AFTER + AFTER));
    }

    #[test]
    fn a_session_that_never_may_never_does() {
        let (mut rest, now) = (Rest::new(None), Instant::now());
        rest.set(true, now);
        assert_eq!(rest.due(), None);
    }
}
