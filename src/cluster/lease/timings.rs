//! The deadlines of a lease, and where a holder stands between them.

use std::time::Duration;

use super::BootTime;

/// `LEASE_SECONDS` by default. It is above a failover of PostgreSQL by Patroni (23 s measured at `ttl` 20, 30 to 60 s are usual), so
/// that one kills no Chrome.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(90);

/// How the deadlines divide a lease of 90 parts.
const PARTS: u32 = 90;
/// Eleven beats fit before the soft deadline: ten in a row may fail.
const BEAT_PARTS: u32 = 5;
/// Less than a beat, so that at most one is under way.
const STATEMENT_PARTS: u32 = 4;
const SOFT_PARTS: u32 = 55;
/// After `SOFT_PARTS` by what closing all Chromes of a host in order may take.
const HARD_PARTS: u32 = 70;
/// After `HARD_PARTS` by what clocks may differ in speed and a failover may lose of the last beats.
const SILENCE_PARTS: u32 = 95;

/// All deadlines, as they follow from `LEASE_SECONDS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// From one beat to the next. 5 s of 90.
    pub beat: Duration,
    /// After which a statement that has no answer has failed. 4 s of 90.
    pub statement_timeout: Duration,
    /// After the last good beat was sent, by the holder's clock: from here nothing is handed over, and Chromes are closed in order, which
    /// leaves a clean profile to the next owner. 55 s of 90.
    pub soft: Duration,
    /// After the last good beat was sent, by the holder's clock: the gate is shut and every Chrome is killed. 70 s of 90.
    pub hard: Duration,
    /// For how long a host's row must not have changed, by the observer's clock, before the observer marks it dead; and for how long
    /// nothing is claimed after a failover that may have lost commits. 95 s of 90.
    pub silence: Duration,
}

impl Timings {
    /// Of a lease that is this long: `LEASE_SECONDS`.
    pub fn of(lease: Duration) -> Self {
        let parts = |parts: u32| lease * parts / PARTS;
        Self {
            beat: parts(BEAT_PARTS),
            statement_timeout: parts(STATEMENT_PARTS),
            soft: parts(SOFT_PARTS),
            hard: parts(HARD_PARTS),
            silence: parts(SILENCE_PARTS),
        }
    }
}

/// What a host may do with its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// Hand over, claim, start.
    Held,
    /// Close Chromes in order, and nothing new.
    Expiring,
    /// Nothing: the gate is shut, and every Chrome must be gone.
    Expired,
}

/// Until when a host's last good beat carries it. Gate and watchdog hold the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    soft: BootTime,
    hard: BootTime,
}

impl Lease {
    /// By a good beat that was sent at this moment. The engine counted it no earlier, so the holder's deadlines come no later than those
    /// that follow from the engine's row.
    pub fn from_beat(sent: BootTime, timings: &Timings) -> Self {
        Self {
            soft: sent + timings.soft,
            hard: sent + timings.hard,
        }
    }

    /// What may be done at this moment.
    pub fn state_at(&self, now: BootTime) -> LeaseState {
        if now < self.soft {
            LeaseState::Held
        } else if now < self.hard {
            LeaseState::Expiring
        } else {
            LeaseState::Expired
        }
    }

    /// From when on Chromes are closed in order.
    pub fn soft_deadline(&self) -> BootTime {
        self.soft
    }

    /// From when on no byte of a Chrome leaves the host. The watchdog kills at this moment.
    pub fn hard_deadline(&self) -> BootTime {
        self.hard
    }

    /// How long it lasts yet: the metric `lease_remaining_seconds`.
    pub fn remaining(&self, now: BootTime) -> Duration {
        self.hard.since(now)
    }
}
