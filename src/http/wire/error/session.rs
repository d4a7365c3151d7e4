//! What is answered and logged of each error of the session. A new cause must choose here: no match has a wild card.

use std::time::Duration;

use axum::http::StatusCode;
use jiff::Timestamp;

use super::{Code, Facts, LogLevel};
use crate::session::{
    ConnectError, DisconnectError, EvidenceError, ForgetError, Reason, ReasonCode, SendError,
    state::Event,
};

/// A caller that was refused because the queue is full is not asked back earlier: about as long as a few sends take.
const LEAST_RETRY_AFTER: u64 = 4;

/// An error that knows what is answered.
pub(in crate::http::wire) trait Cause {
    /// What is answered and logged of it.
    fn facts(&self) -> Facts;
}

impl Cause for ConnectError {
    fn facts(&self) -> Facts {
        let why = |status, reason: &Reason, needs_attention| Facts {
            status,
            code: reason.code.as_str(),
            level: if needs_attention {
                LogLevel::Attention
            } else {
                LogLevel::Usual
            },
            retry_after: None,
        };
        match self {
            Self::Failed(reason) => {
                // A lack of room has one status, whenever it is found.
                let status = if reason.code == ReasonCode::Capacity {
                    Code::Capacity.facts().status
                } else {
                    StatusCode::INTERNAL_SERVER_ERROR
                };
                why(status, reason, matches!(reason.ending(), Event::Failed))
            }
            // Whose fault it is that there is no pairing code: the number's, the frequency's, or the page's.
            Self::NotPaired(reason) if reason.code == ReasonCode::PairingRefused => {
                why(StatusCode::BAD_REQUEST, reason, false)
            }
            Self::NotPaired(reason) if reason.code == ReasonCode::PairingRateLimited => {
                why(StatusCode::TOO_MANY_REQUESTS, reason, false)
            }
            Self::NotPaired(reason) => why(
                StatusCode::INTERNAL_SERVER_ERROR,
                reason,
                reason.code == ReasonCode::PairingFailed,
            ),
            Self::LinkedToAnother { .. } => Code::LinkedToAnotherNumber.facts(),
            Self::Full(_) => Code::Capacity.facts(),
            Self::ShuttingDown => Code::ShuttingDown.facts(),
        }
    }
}

impl Cause for DisconnectError {
    fn facts(&self) -> Facts {
        match self {
            Self::LogoutUnconfirmed(_) => Code::LogoutUnconfirmed,
            Self::NotLinked => Code::NotLinked,
            Self::ShuttingDown => Code::ShuttingDown,
        }
        .facts()
    }
}

impl Cause for ForgetError {
    fn facts(&self) -> Facts {
        match self {
            Self::Running => Code::SessionRunning,
            Self::Linked => Code::SessionLinked,
            Self::Failed(_) => Code::NotDeleted,
            Self::ShuttingDown => Code::ShuttingDown,
        }
        .facts()
    }
}

impl Cause for EvidenceError {
    fn facts(&self) -> Facts {
        match self {
            Self::NotRunning => Code::SessionNotRunning,
            Self::OfChats => Code::EvidenceOfChatsOff,
            Self::Io(_) => Code::EvidenceUnavailable,
        }
        .facts()
    }
}

impl Cause for SendError {
    fn facts(&self) -> Facts {
        let again = |code: Code, wait: &Duration| Facts {
            retry_after: Some(wait.as_secs().max(LEAST_RETRY_AFTER) + 1),
            ..code.facts()
        };
        match self {
            Self::NotReady { retry_at, .. } => Facts {
                retry_after: retry_at.map(seconds_until),
                ..Code::SessionNotReady.facts()
            },
            Self::NotOnWhatsApp => Code::NumberNotOnWhatsApp.facts(),
            Self::Failed(_) | Self::GivenUp(_) => Code::SendFailed.facts(),
            Self::Unconfirmed { .. } => Code::SendUnconfirmed.facts(),
            Self::Cancelled => Code::Cancelled.facts(),
            Self::OtherAccount(_) => Code::AccountChanged.facts(),
            Self::KeyReused => Code::IdempotencyKeyReused.facts(),
            Self::LedgerUnavailable(_) => Code::LedgerUnavailable.facts(),
            Self::TurnNotCome { retry_after } => again(Code::QueueTimeout, retry_after),
            Self::QueueFull { retry_after } => again(Code::QueueFull, retry_after),
            Self::ShuttingDown => Code::ShuttingDown.facts(),
        }
    }
}

fn seconds_until(moment: Timestamp) -> u64 {
    let left = moment.duration_since(Timestamp::now()).as_secs();
    u64::try_from(left).unwrap_or(0) + 1
}
