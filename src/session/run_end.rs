//! How a run of a session ends: why, and who waits for it. What follows from that is the actor's part.

use tokio::sync::oneshot;

use super::{DisconnectError, DisconnectOutcome, Full, Reason, ReasonCode};

/// How a run of a session ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) reason: Reason,
    /// The device was unlinked: its profile is worthless.
    pub(super) unlinked: bool,
    /// Who asked for it and waits until Chrome is gone.
    pub(super) asked: Vec<oneshot::Sender<Result<DisconnectOutcome, DisconnectError>>>,
}

impl End {
    pub(super) const fn of(reason: Reason) -> Self {
        Self {
            reason,
            unlinked: false,
            asked: Vec::new(),
        }
    }

    pub(super) fn because(code: ReasonCode, detail: impl Into<String>) -> Self {
        Self::of(Reason::new(code, detail))
    }

    pub(super) fn disconnect(
        asked: oneshot::Sender<Result<DisconnectOutcome, DisconnectError>>,
    ) -> Self {
        Self {
            asked: vec![asked],
            ..Self::requested()
        }
    }

    /// A caller wanted it, and has been answered or will be.
    pub(super) fn requested() -> Self {
        Self::of(Reason::of(ReasonCode::DisconnectRequested))
    }

    /// Its Chrome is not needed for now.
    pub(super) fn hibernation() -> Self {
        Self::of(Reason::of(ReasonCode::Hibernating))
    }

    /// There is no memory for another Chrome of a session that has its place.
    pub(super) fn without_memory(full: &Full) -> Self {
        Self::because(ReasonCode::Capacity, full.to_string())
    }

    pub(super) fn stopping() -> Self {
        Self::of(Reason::of(ReasonCode::ShuttingDown))
    }
}
