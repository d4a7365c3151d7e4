//! What one session is given when its actor starts: its place on disk, its limits, and what it shares with the others.

use std::{num::NonZeroU64, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{
    ClienteId, EvidenceFolder, SendLimits, StartLimits, StartTimes, TurnTally, capacity::Capacity,
    desired::DesiredFile, safekeeping::Safekeeping,
};
use crate::{ledger::Ledger, whatsapp::Driver};

/// What an actor needs.
#[derive(Debug)]
pub(super) struct ActorOptions<D: Driver> {
    pub(super) id: ClienteId,
    pub(super) profile: PathBuf,
    /// What is done so that it is not lost.
    pub(super) safekeeping: Safekeeping,
    /// Whether it should be up, for the next service.
    pub(super) desired: DesiredFile,
    /// What a failure leaves behind.
    pub(super) evidence: EvidenceFolder,
    pub(super) page: D::Settings,
    /// Whether another session may run.
    pub(super) capacity: Arc<Capacity>,
    /// One permit per Chrome that may start at once; given in order of asking.
    pub(super) starts: Arc<Semaphore>,
    /// How long each phase of a start may take.
    pub(super) limits: StartLimits,
    /// How long starts have taken.
    pub(super) start_times: StartTimes,
    /// How often sessions have gone round for nothing.
    pub(super) turns: TurnTally,
    /// How long WhatsApp takes a code that links by phone number.
    pub(super) pairing_life: Duration,
    /// Whether the account is taken back when WhatsApp Web is opened elsewhere.
    pub(super) take_over: bool,
    /// How long it may have nothing to send before it sleeps.
    pub(super) hibernate_after: Option<Duration>,
    /// How often a session is healed within an hour.
    pub(super) heals_per_hour: usize,
    /// How much memory its Chrome may take.
    pub(super) memory_mb: Option<NonZeroU64>,
    pub(super) sends: SendLimits,
    pub(super) send_dedup: Option<Duration>,
    pub(super) ledger: Ledger,
    pub(super) stop: CancellationToken,
}
