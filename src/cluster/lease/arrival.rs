//! Whether a service that starts may register as its host now.

use super::{BootTime, EngineWord, HostRow, Observer, Reading, Silent, Timings, holder};
use crate::cluster::{BootId, Incarnation, Timeline};

/// The row that the engine has of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// The kernel's run in which the row's incarnation lived.
    pub boot_id: BootId,
    /// How it shows life.
    pub row: HostRow,
}

/// What a service that starts may do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum MayRegister {
    /// Register a new incarnation. The statement names the former row's incarnation and beats, or that there is none.
    Now {
        /// Whether the sessions of the former incarnation are claimed in the same commit. Otherwise they are claimed later, once
        /// [`Holder::may_claim`](super::Holder::may_claim) allows it.
        with_sessions: bool,
    },
    /// Read again after [`Timings::beat`]: the former incarnation ran on another boot, and may live yet.
    Wait,
    /// Mark the former incarnation dead first, then read again.
    MarkDead(Silent),
    /// Never: another machine beats with this host's id. The service ends, and says so.
    InUse,
}

/// A service on its way into the cluster, before it has an incarnation.
///
/// Restart in place: on the same boot, the former incarnation is certainly gone, since the service has the lock of its folder and has
/// killed what it found of former Chromes. So its sessions are claimed at once, and its profiles are exact. On another boot (a
/// reboot, a disk that was attached to another machine, a clone), only silence proves it.
#[derive(Clone, Debug)]
pub struct Arrival {
    timings: Timings,
    boot_id: BootId,
    observer: Observer,
    /// The row as the first reading of this timeline showed it.
    first: Option<(Timeline, Incarnation, u64)>,
}

impl Arrival {
    /// Of a service that runs on this boot, has the lock of its folder, and has killed all leftovers.
    pub fn new(timings: Timings, boot_id: BootId) -> Self {
        Self {
            timings,
            boot_id,
            observer: Observer::new(&timings),
            first: None,
        }
    }

    /// Takes a reading of the host's own row.
    pub fn on_reading(&mut self, reading: Reading, former: Option<&Former>) -> MayRegister {
        let now = reading.received;
        let Some(Former { boot_id, row }) = former else {
            return MayRegister::Now {
                with_sessions: false,
            };
        };
        if *boot_id == self.boot_id {
            return MayRegister::Now {
                with_sessions: self.may_claim_from_start(&reading.engine, now),
            };
        }
        if row.is_dead {
            // Its sessions are those of any dead host: others may be claiming them.
            return MayRegister::Now {
                with_sessions: false,
            };
        }
        let mark = (reading.engine.timeline, row.incarnation, row.beats);
        // A failover may have put the row back, which is no sign of life.
        let first = self.first.filter(|first| first.0 == mark.0);
        if *self.first.insert(first.unwrap_or(mark)) != mark {
            return MayRegister::InUse;
        }
        match self
            .observer
            .on_reading(reading, std::slice::from_ref(row))
            .pop()
        {
            Some(silent) => MayRegister::MarkDead(silent),
            None => MayRegister::Wait,
        }
    }

    /// A reading had no answer.
    pub fn on_failed_reading(&mut self) {
        self.observer.on_failed_reading();
    }

    fn may_claim_from_start(&self, engine: &EngineWord, now: BootTime) -> bool {
        holder::claims_from_start(engine, &self.timings, now) <= now
    }
}
