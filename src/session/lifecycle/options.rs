//! What one session is given when its actor starts: its place on disk, and what it shares with the others.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::capacity::Capacity;
use crate::{
    config::SessionConfig,
    ledger::Ledger,
    session::{
        ClienteId, EvidenceFolder, Listened, StartTimes, TurnTally,
        keeping::{accounts::Accounts, desired::DesiredFile, profile::Safekeeping},
    },
    whatsapp::Driver,
};

/// What all sessions share. A clone is the same.
#[derive(Clone, Debug)]
pub(in crate::session) struct Shared {
    pub(in crate::session) config: Arc<SessionConfig>,
    /// Whether another session may run.
    pub(in crate::session) capacity: Arc<Capacity>,
    /// One permit per Chrome that may start at once; given in order of asking.
    pub(in crate::session) starts: Arc<Semaphore>,
    /// How long starts have taken.
    pub(in crate::session) start_times: StartTimes,
    /// How often the loops of sessions have turned for nothing.
    pub(in crate::session) turns: TurnTally,
    /// Which session has which account.
    pub(in crate::session) accounts: Accounts,
    pub(in crate::session) ledger: Ledger,
    /// Whose messages are wanted by consumers of events.
    pub(in crate::session) listened: Listened,
}

impl Shared {
    /// Of no session yet, on a machine with as much free memory as `free_mb` says.
    pub(in crate::session) fn new(
        config: Arc<SessionConfig>,
        free_mb: fn() -> Option<u64>,
        ledger: Ledger,
        accounts: Accounts,
    ) -> Self {
        Self {
            capacity: Arc::new(Capacity::new(
                config.max_sessions,
                config.min_free_memory_mb,
                free_mb,
            )),
            starts: Arc::new(Semaphore::new(config.max_concurrent_starts.get())),
            start_times: StartTimes::default(),
            turns: TurnTally::default(),
            accounts,
            ledger,
            listened: Listened::default(),
            config,
        }
    }
}

/// What an actor needs.
#[derive(Debug)]
pub(in crate::session) struct ActorOptions<D: Driver> {
    pub(in crate::session) id: ClienteId,
    pub(in crate::session) profile: PathBuf,
    /// What is done so that it is not lost.
    pub(in crate::session) safekeeping: Safekeeping,
    /// Whether it should be up, for the next service.
    pub(in crate::session) desired: DesiredFile,
    /// What a failure leaves behind.
    pub(in crate::session) evidence: EvidenceFolder,
    pub(in crate::session) page: D::Settings,
    pub(in crate::session) shared: Shared,
    pub(in crate::session) stop: CancellationToken,
}
