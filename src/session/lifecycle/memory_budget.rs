//! When a session takes too much memory, and what is to be done about it. Pure: measures nothing, does nothing, knows no
//! time but what it is given.
//!
//! ```text
//!  over the budget for a minute ──▶ reload the page ──over again within ten minutes──▶ restart Chrome
//! ```
//!
//! A page that grows past its budget right after Chrome was restarted needs that much: the log says so, and it is left alone
//! for an hour, since a session that is always being restarted is worth less than a large one.

use std::{num::NonZeroU64, time::Duration};

use tokio::time::Instant;

/// A page that syncs or shows a large chat is large for a moment.
const OVER_FOR: Duration = Duration::from_secs(60);

/// A reload gives the memory of the page back, and not that of Chrome around it. If it is over again within this, that is
/// where it is.
const RELOAD_HELPS: Duration = Duration::from_secs(10 * 60);

/// After a new Chrome nothing is done for this long.
const RESTART_REST: Duration = Duration::from_secs(60 * 60);

/// A session that always has something to send is relieved between two sends, once it has been over for this long.
const IDLE_PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What is to be done for a session that takes too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relief {
    /// Reload the page.
    Reload,
    /// Restart Chrome.
    Restart,
}

/// Something is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) relief: Relief,
    /// Not to be put off until no send waits any more, only until none is under way.
    pub(super) is_urgent: bool,
}

/// The memory of one session. Outlives the session's Chromes.
#[derive(Debug)]
pub(super) struct Budget {
    limit_mb: Option<NonZeroU64>,
    over_since: Option<Instant>,
    /// What was done last, and when.
    last: Option<(Relief, Instant)>,
    /// That it needs more has been said since the last relief.
    is_said: bool,
}

impl Budget {
    /// With this budget (`SESSION_MEMORY_MB`); `None`: as much as it takes.
    pub(super) const fn new(limit_mb: Option<NonZeroU64>) -> Self {
        Self {
            limit_mb,
            over_since: None,
            last: None,
            is_said: false,
        }
    }

    /// The session's Chrome takes this much.
    pub(super) fn on_sample(&mut self, mb: u64, now: Instant) {
        let is_over = self.limit_mb.is_some_and(|limit| limit.get() < mb);
        self.over_since = is_over.then(|| self.over_since.unwrap_or(now));
    }

    /// What is to be done now, if anything.
    pub(super) fn due(&self, now: Instant) -> Option<Due> {
        let over_since = self.over_for_long(now)?;
        let relief = match self.last {
            Some((Relief::Reload, at)) if over_since < at + RELOAD_HELPS => Relief::Restart,
            Some((Relief::Restart, at)) if now < at + RESTART_REST => return None,
            Some(_) | None => Relief::Reload,
        };
        Some(Due {
            relief,
            is_urgent: over_since + IDLE_PATIENCE <= now,
        })
    }

    /// Whether it is to be said, once, that the session needs more than its budget, and that nothing is done about it.
    pub(super) fn is_hopeless(&mut self, now: Instant) -> bool {
        let is_news = !self.is_said && self.over_for_long(now).is_some() && self.due(now).is_none();
        self.is_said |= is_news;
        is_news
    }

    /// It is being done: what was measured is of a page, or of a Chrome, that is no more.
    pub(super) fn on_relieved(&mut self, relief: Relief, now: Instant) {
        (self.over_since, self.last, self.is_said) = (None, Some((relief, now)), false);
    }

    /// Another Chrome has been started for another reason.
    pub(super) fn on_started(&mut self) {
        self.over_since = None;
    }

    fn over_for_long(&self, now: Instant) -> Option<Instant> {
        self.over_since.filter(|since| *since + OVER_FOR <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measures every ten seconds for so long and gives what is due at the end.
    fn after(budget: &mut Budget, now: &mut Instant, seconds: u64, mb: u64) -> Option<Relief> {
        for _ in 0..seconds / 10 {
            *now += Duration::from_secs(10);
            budget.on_sample(mb, *now);
        }
        budget.due(*now).map(|due| due.relief)
    }

    fn budget(mb: u64) -> (Budget, Instant) {
        (Budget::new(NonZeroU64::new(mb)), Instant::now())
    }

    #[test]
    fn a_minute_over_the_budget_is_a_reason_and_a_moment_is_none() {
        let (mut budget, mut now) = budget(1000);
        assert_eq!(after(&mut budget, &mut now, 600, 1000), None);
        assert_eq!(after(&mut budget, &mut now, 60, 1001), None);
        assert_eq!(after(&mut budget, &mut now, 10, 999), None);
        assert_eq!(after(&mut budget, &mut now, 60, 1001), None);
        let due = after(&mut budget, &mut now, 10, 1001);
        assert_eq!(due, Some(Relief::Reload));
        // It has shrunk by itself while its sends were waited for.
        assert_eq!(after(&mut budget, &mut now, 10, 900), None);
    }

    #[test]
    fn a_page_that_a_reload_does_not_help_gets_another_chrome_and_then_is_left_alone() {
        let (mut budget, mut now) = budget(1000);
        assert_eq!(after(&mut budget, &mut now, 70, 2000), Some(Relief::Reload));
        budget.on_relieved(Relief::Reload, now);
        assert_eq!(budget.due(now), None);
        assert_eq!(after(&mut budget, &mut now, 500, 800), None);
        assert_eq!(
            after(&mut budget, &mut now, 70, 2000),
            Some(Relief::Restart)
        );
        budget.on_relieved(Relief::Restart, now);
        assert_eq!(after(&mut budget, &mut now, 50, 2000), None);
        assert!(!budget.is_hopeless(now));
        assert_eq!(after(&mut budget, &mut now, 50, 2000), None);
        assert!(budget.is_hopeless(now));
        assert!(!budget.is_hopeless(now), "it is said once");
        assert_eq!(
            after(&mut budget, &mut now, 3600, 2000),
            Some(Relief::Reload)
        );
    }

    #[test]
    fn a_reload_that_has_helped_for_long_is_tried_again() {
        let (mut budget, mut now) = budget(1000);
        after(&mut budget, &mut now, 70, 2000);
        budget.on_relieved(Relief::Reload, now);
        assert_eq!(after(&mut budget, &mut now, 3600, 500), None);
        assert_eq!(after(&mut budget, &mut now, 70, 2000), Some(Relief::Reload));
    }

    #[test]
    fn a_session_that_always_sends_is_relieved_all_the_same() {
        let (mut budget, mut now) = budget(1000);
        after(&mut budget, &mut now, 70, 2000);
        assert!(!budget.due(now).unwrap().is_urgent);
        after(&mut budget, &mut now, 600, 2000);
        assert!(budget.due(now).unwrap().is_urgent);
        budget.on_started();
        assert_eq!(budget.due(now), None);
    }

    #[test]
    fn without_a_budget_nothing_is_too_much() {
        let (mut budget, mut now) = budget(0);
        assert_eq!(after(&mut budget, &mut now, 3600, u64::MAX), None);
        assert!(!budget.is_hopeless(now));
    }
}
