//! What one session is given when its actor starts: its place on disk, its limits, and what it shares with the others.

use std::{num::NonZeroU64, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{accounts::Accounts, capacity::Capacity};
use crate::{
    ledger::Ledger,
    session::{
        ClienteId, EvidenceFolder, SendLimits, StartLimits, StartTimes, TurnTally,
        keeping::{desired::DesiredFile, profile::Safekeeping},
    },
    whatsapp::Driver,
};

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
    /// Whether another session may run.
    pub(in crate::session) capacity: Arc<Capacity>,
    /// One permit per Chrome that may start at once; given in order of asking.
    pub(in crate::session) starts: Arc<Semaphore>,
    /// How long each phase of a start may take.
    pub(in crate::session) limits: StartLimits,
    /// How long starts have taken.
    pub(in crate::session) start_times: StartTimes,
    /// How often sessions have gone round for nothing.
    pub(in crate::session) turns: TurnTally,
    /// How long WhatsApp takes a code that links by phone number.
    pub(in crate::session) pairing_life: Duration,
    /// Whether the account is taken back when WhatsApp Web is opened elsewhere.
    pub(in crate::session) take_over: bool,
    /// Which session has which account.
    pub(in crate::session) accounts: Accounts,
    /// How long it may have nothing to send before it sleeps.
    pub(in crate::session) hibernate_after: Option<Duration>,
    /// How often a session is healed within an hour.
    pub(in crate::session) heals_per_hour: usize,
    /// How much memory its Chrome may take.
    pub(in crate::session) memory_mb: Option<NonZeroU64>,
    pub(in crate::session) sends: SendLimits,
    pub(in crate::session) send_dedup: Option<Duration>,
    pub(in crate::session) ledger: Ledger,
    pub(in crate::session) stop: CancellationToken,
}
