//! What is done about a session that has failed, and when: a ladder, with a limit.
//!
//! ```text
//!  page reload ──no help──▶ new Chrome ──no help, 3 times──▶ last copy of the profile, new Chrome ──▶ …
//!                              └── limit per hour reached ──▶ ERROR, KEEPS_FAILING
//! ```
//!
//! Responsible for the decision only: the page is reloaded by [`running`](super::running), Chrome and profile are
//! the actor's. Pure but for the jitter: knows no time but what it is given.

use std::{collections::VecDeque, time::Duration};

use rand::RngExt as _;
use tokio::time::Instant;

use crate::session::{
    ReasonCode,
    reason::{AfterEnd, Cure, Policy},
    sending::stall::Remedies,
};

/// What counts against the limit, and for how long.
const HOUR: Duration = Duration::from_secs(3600);

/// A session that has been READY for so long is healthy: what fails next has a cause of its own.
const STABLE_AFTER: Duration = Duration::from_secs(120);

/// A page that breaks again so soon after a reload needs more than that.
const RELOAD_HELPS_FOR: Duration = Duration::from_secs(120);

/// Before the next new Chrome, by how many have not helped: what a moment cures is cured at once, and what lasts, such as a
/// network that is down, costs little while it does.
const BACK_OFF: [Duration; 6] = [
    Duration::from_millis(500),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(45),
    Duration::from_secs(120),
    Duration::from_secs(300),
];

/// Of these, the last one for a Chrome that did help and was lost again before the session was stable: something kills
/// Chromes, and callers wait. The limit per hour still holds.
const BACK_OFF_AFTER_READY: usize = 2;

/// A pause is made longer or shorter by up to this part, so that sessions that failed together do not restart together.
const JITTER: f64 = 0.25;

/// So many new Chromes on one profile that did not help speak against the profile.
const CHROMES_BEFORE_COPY: usize = 3;

/// There is no place or no memory for another Chrome: both come when a session ends.
const CAPACITY_RETRY: Duration = Duration::from_secs(15);

/// How a session is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rung {
    /// A new Chrome on the same profile.
    NewChrome,
    /// The last good copy takes the profile's place, then a new Chrome.
    ProfileCopy,
}

/// A start that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Retry {
    pub(super) rung: Rung,
    pub(super) at: Instant,
}

/// What becomes of a session that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterRun {
    /// It stays as it is: that was wanted, or waiting does not cure it.
    Leave,
    /// It is started again.
    Retry(Retry),
    /// It has been started again too often.
    GiveUp {
        /// How often within the hour.
        times: usize,
    },
}

/// The healing of one session. Belongs to the session, and outlives its Chromes.
#[derive(Debug)]
pub(super) struct Healing {
    per_hour: usize,
    /// The session was READY since a caller connected it: it must be READY again.
    must_be_ready: bool,
    /// When it was healed, as far as that counts against the limit; the last hour only.
    healed: VecDeque<Instant>,
    /// New Chromes since it was last stable.
    streak: usize,
    /// The same since it was last READY: a profile that was is not to blame for what ended its Chrome.
    fruitless: usize,
    /// The Chrome that ran last made the session READY.
    has_helped: bool,
    has_tried_copy: bool,
    reloaded_at: Option<Instant>,
    ready_since: Option<Instant>,
    /// What has been tried for messages that did not go out.
    pub(super) remedies: Remedies,
}

impl Healing {
    /// A session that may be healed so often in an hour; `was_ready`: before there was its actor.
    pub(super) fn new(per_hour: usize, was_ready: bool) -> Self {
        Self {
            per_hour,
            must_be_ready: was_ready,
            healed: VecDeque::new(),
            streak: 0,
            fruitless: 0,
            has_helped: false,
            has_tried_copy: false,
            reloaded_at: None,
            ready_since: None,
            remedies: Remedies::default(),
        }
    }

    /// A caller connects a session that has ended and that the service is not about to start again: it begins with no failures. One
    /// that is being healed keeps them, or a caller who repeats its request would keep it from its limit.
    pub(super) fn on_asked(&mut self) {
        *self = Self::new(self.per_hour, self.must_be_ready);
    }

    /// The session can send, or cannot any more.
    pub(super) fn on_ready(&mut self, is_ready: bool, now: Instant) {
        if is_ready {
            self.must_be_ready = true;
            self.fruitless = 0;
            self.has_helped = true;
            self.ready_since.get_or_insert(now);
            return;
        }
        let was_stable = |since: Instant| STABLE_AFTER <= now - since;
        if self.ready_since.take().is_some_and(was_stable) {
            (self.streak, self.has_tried_copy) = (0, false);
        }
    }

    /// The session hibernates: it was healthy.
    pub(super) const fn on_asleep(&mut self) {
        self.ready_since = None;
        (self.streak, self.has_tried_copy) = (0, false);
    }

    /// The account is gone: do not restart; a person must scan a code.
    pub(super) const fn on_unlinked(&mut self) {
        self.must_be_ready = false;
    }

    /// Whether a page that has broken is to be reloaded, rather than given up with its Chrome.
    pub(super) fn reloads(&mut self, now: Instant) -> bool {
        let is_recent = |at: Instant| now - at < RELOAD_HELPS_FOR;
        if self.reloaded_at.is_some_and(is_recent) || self.is_exhausted(now) {
            return false;
        }
        self.reloaded_at = Some(now);
        self.healed.push_back(now);
        true
    }

    /// The session has ended. `has_lived`: it had got as far as to show something.
    pub(super) fn after(&mut self, why: ReasonCode, has_lived: bool, now: Instant) -> AfterRun {
        self.on_ready(false, now);
        let Policy {
            cure,
            is_loss,
            desired,
            ..
        } = why.policy();
        if desired != AfterEnd::Up {
            self.must_be_ready = false;
        }
        let may_heal = match cure {
            Cure::None => false,
            Cure::NewChrome | Cure::NewChromeInTime => 0 < self.per_hour,
            Cure::NewChromeWithMemory => true,
        };
        // A caller who waits for the first code of a session learns that it failed, and may try again.
        if !may_heal || !(self.must_be_ready || (has_lived && is_loss)) {
            return AfterRun::Leave;
        }
        if cure == Cure::NewChrome {
            if self.is_exhausted(now) {
                return AfterRun::GiveUp {
                    times: self.healed.len(),
                };
            }
            self.healed.push_back(now);
        }
        let longest = if std::mem::take(&mut self.has_helped) {
            BACK_OFF_AFTER_READY
        } else {
            BACK_OFF.len() - 1
        };
        let pause = BACK_OFF[self.streak.min(longest)];
        let jitter = rand::rng().random_range(1.0 - JITTER..1.0 + JITTER);
        self.streak += 1;
        self.fruitless += usize::from(cure == Cure::NewChrome);
        let is_profile_suspect = cure == Cure::NewChrome && CHROMES_BEFORE_COPY < self.fruitless;
        let rung = if is_profile_suspect && self.must_be_ready && !self.has_tried_copy {
            self.has_tried_copy = true;
            Rung::ProfileCopy
        } else {
            Rung::NewChrome
        };
        AfterRun::Retry(Retry {
            rung,
            at: now + pause.mul_f64(jitter),
        })
    }

    /// There was no room for the start: the same later.
    pub(super) fn postponed(retry: Retry, now: Instant) -> Retry {
        Retry {
            at: now + CAPACITY_RETRY,
            ..retry
        }
    }

    fn is_exhausted(&mut self, now: Instant) -> bool {
        self.healed.retain(|at| now - *at < HOUR);
        self.per_hour <= self.healed.len()
    }
}

#[cfg(test)]
mod tests;
