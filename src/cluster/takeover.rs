//! For how long a session without an owner is left to those who have its newest profile.

use std::time::Duration;

use crate::cluster::HostId;

/// How long the host that a session moves to has it to itself.
pub const PRECEDENCE: Duration = Duration::from_secs(10);

/// `STALE_TAKEOVER_SECONDS` by default: a machine that reboots is back by then, with the exact profile. A stale one costs the recipients
/// of the last minutes a new Signal session each, and leaves sends in doubt.
pub const DEFAULT_STALE_TAKEOVER: Duration = Duration::from_secs(600);

/// A session whose owner has released it or is gone.
#[derive(Clone, Copy, Debug)]
pub struct Vacancy<'a> {
    /// Whether a Chrome may have run since the newest profile snapshot, so that the snapshot is older than the profile.
    pub is_dirty: bool,
    /// Whose disk has the newest profile: the row's `last_host`.
    pub last_host: Option<&'a HostId>,
    /// The host that it is moved to: the row's `move_to`.
    pub move_to: Option<&'a HostId>,
    /// For how long the claimant has known that it has no owner, by its own clock.
    pub for_long: Duration,
}

impl Vacancy<'_> {
    /// How long `host` has to wait yet before it claims the session. `stale_takeover` is `STALE_TAKEOVER_SECONDS`.
    pub fn wait_of(&self, host: &HostId, stale_takeover: Duration) -> Duration {
        let is_exact = !self.is_dirty || self.last_host == Some(host);
        let rank = if is_exact {
            Duration::ZERO
        } else {
            stale_takeover
        };
        let precedence = match self.move_to {
            Some(target) if target != host => PRECEDENCE,
            Some(_) | None => Duration::ZERO,
        };
        rank.max(precedence).saturating_sub(self.for_long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALE: Duration = DEFAULT_STALE_TAKEOVER;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_exact_profile_goes_before_a_stale_one() {
        let [old, new]: [HostId; 2] = ["h1", "h2"].map(|id| id.parse().unwrap());
        let mut vacancy = Vacancy {
            is_dirty: true,
            last_host: Some(&old),
            move_to: None,
            for_long: seconds(100),
        };
        assert_eq!(vacancy.wait_of(&old, STALE), Duration::ZERO);
        assert_eq!(vacancy.wait_of(&new, STALE), seconds(500));
        vacancy.for_long = seconds(601);
        assert_eq!(vacancy.wait_of(&new, STALE), Duration::ZERO);
        vacancy.for_long = Duration::ZERO;
        vacancy.is_dirty = false;
        assert_eq!(vacancy.wait_of(&new, STALE), Duration::ZERO);
    }

    #[test]
    fn the_host_that_a_session_moves_to_goes_first() {
        let [target, other]: [HostId; 2] = ["h2", "h3"].map(|id| id.parse().unwrap());
        let mut vacancy = Vacancy {
            is_dirty: false,
            last_host: None,
            move_to: Some(&target),
            for_long: seconds(3),
        };
        assert_eq!(vacancy.wait_of(&target, STALE), Duration::ZERO);
        assert_eq!(vacancy.wait_of(&other, STALE), seconds(7));
        vacancy.for_long = seconds(10);
        assert_eq!(vacancy.wait_of(&other, STALE), Duration::ZERO);
    }
}
