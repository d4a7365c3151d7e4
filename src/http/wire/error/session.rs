//! What is answered and logged of each error of the session. A new cause must choose here: no match has a wild card.

use std::time::Duration;

use axum::http::StatusCode;
use jiff::Timestamp;

use super::{Code, ErrorFacts, LogLevel};
use crate::{
    received::OpenError,
    session::{
        ClienteId, ConnectError, DisconnectError, DismissError, EvidenceError, FileError,
        ForgetError, PasskeyError, Reason, ReasonCode, SendError,
        reason::{About, PairingFault},
        state::Event,
    },
};

/// A caller that was refused because the queue is full is not asked back earlier: about as long as a few sends take.
const LEAST_RETRY_AFTER: u64 = 4;

/// An error that knows what is answered.
pub(in crate::http::wire) trait Cause {
    /// What is answered and logged of it.
    fn facts(&self) -> ErrorFacts;
}

/// A session cannot be read now. The request may have meant it without naming it.
#[derive(Debug, thiserror::Error)]
#[error("session {session} cannot be read now: {why}")]
pub(in crate::http) struct NotReadyToBeRead {
    /// Which.
    pub(in crate::http) session: ClienteId,
    /// Its state.
    pub(in crate::http) why: SendError,
}

impl Cause for NotReadyToBeRead {
    fn facts(&self) -> ErrorFacts {
        self.why.facts()
    }
}

impl Cause for ConnectError {
    fn facts(&self) -> ErrorFacts {
        let why = |status, reason: &Reason, needs_attention| ErrorFacts {
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
            Self::NotPaired(reason) => match reason.code.policy().about {
                About::Pairing(PairingFault::Number) => why(StatusCode::BAD_REQUEST, reason, false),
                About::Pairing(PairingFault::Frequency) => {
                    why(StatusCode::TOO_MANY_REQUESTS, reason, false)
                }
                About::Pairing(PairingFault::Page) => {
                    why(StatusCode::INTERNAL_SERVER_ERROR, reason, true)
                }
                About::Pairing(PairingFault::OtherSession) => Code::NumberLinkedElsewhere.facts(),
                About::Sends | About::State => {
                    why(StatusCode::INTERNAL_SERVER_ERROR, reason, false)
                }
            },
            Self::LinkedToAnother { .. } => Code::LinkedToAnotherNumber.facts(),
            Self::LinkedElsewhere { .. } => Code::NumberLinkedElsewhere.facts(),
            Self::Full(_) => Code::Capacity.facts(),
            Self::ShuttingDown => Code::ShuttingDown.facts(),
        }
    }
}

impl Cause for DisconnectError {
    fn facts(&self) -> ErrorFacts {
        match self {
            Self::LogoutUnconfirmed(_) => Code::LogoutUnconfirmed,
            Self::NotLinked => Code::NotLinked,
            Self::ShuttingDown => Code::ShuttingDown,
        }
        .facts()
    }
}

impl Cause for ForgetError {
    fn facts(&self) -> ErrorFacts {
        match self {
            Self::Running => Code::SessionRunning,
            Self::Linked => Code::SessionLinked,
            Self::Failed(_) => Code::NotDeleted,
            Self::ShuttingDown => Code::ShuttingDown,
        }
        .facts()
    }
}

impl Cause for PasskeyError {
    fn facts(&self) -> ErrorFacts {
        match self {
            Self::NonePending(_) => Code::NoPasskeyPending,
            Self::OtherChallenge => Code::OtherChallenge,
            Self::Invalid(_) => Code::InvalidAssertion,
            Self::Refused(_) => Code::PasskeyRefused,
            Self::Failed(_) => Code::PasskeyFailed,
            Self::ShuttingDown => Code::ShuttingDown,
        }
        .facts()
    }
}

impl Cause for EvidenceError {
    fn facts(&self) -> ErrorFacts {
        match self {
            Self::NotRunning => Code::SessionNotRunning,
            Self::OfChats => Code::EvidenceOfChatsOff,
            Self::Io(_) => Code::EvidenceUnavailable,
        }
        .facts()
    }
}

impl Cause for OpenError {
    fn facts(&self) -> ErrorFacts {
        match self {
            Self::Session(FileError::Gone(_)) => Code::FileGone,
            Self::Session(FileError::AwaitsPhone) => Code::FileAwaitsPhone,
            Self::Session(FileError::NotRunning(_)) => Code::FileNotReady,
            Self::Session(FileError::Failed(_) | FileError::NoAnswer(_) | FileError::TooLarge)
            | Self::OtherBytes(_) => Code::FileFailed,
            Self::Busy => Code::FileBusy,
            Self::Fault => Code::Internal,
            Self::Range(_) => Code::RangeNotSatisfiable,
            Self::Store(_) => Code::FileUnavailable,
            Self::Session(FileError::ShuttingDown) | Self::ShuttingDown => Code::ShuttingDown,
        }
        .facts()
    }
}

impl Cause for DismissError {
    fn facts(&self) -> ErrorFacts {
        match self {
            Self::NoNotice => Code::NoNotice,
            Self::WithChoice => Code::NoticeWithChoice,
            Self::NotRunning => Code::SessionNotRunning,
            Self::Stays(_) => Code::NoticeStays,
        }
        .facts()
    }
}

impl Cause for SendError {
    fn facts(&self) -> ErrorFacts {
        let again = |code: Code, wait: &Duration| ErrorFacts {
            retry_after: Some(wait.as_secs().max(LEAST_RETRY_AFTER) + 1),
            ..code.facts()
        };
        match self {
            Self::NotReady { retry_at, .. } => ErrorFacts {
                retry_after: retry_at.map(seconds_until),
                ..Code::SessionNotReady.facts()
            },
            Self::NotOnWhatsApp => Code::NumberNotOnWhatsApp.facts(),
            Self::NotInGroup => Code::NotInGroup.facts(),
            Self::NoQuote => Code::QuoteNotFound.facts(),
            Self::NoMessage => Code::MessageNotFound.facts(),
            Self::NotEditable => Code::NotEditable.facts(),
            Self::NotRevocable => Code::NotRevocable.facts(),
            Self::NoChat => Code::ChatNotFound.facts(),
            Self::Failed(_) | Self::GivenUp(_) => Code::SendFailed.facts(),
            Self::Unconfirmed { .. } => Code::SendUnconfirmed.facts(),
            Self::Cancelled => Code::Cancelled.facts(),
            Self::OtherAccount(_) => Code::AccountChanged.facts(),
            Self::KeyReused => Code::IdempotencyKeyReused.facts(),
            Self::ProfileStale(_) => Code::ProfileStale.facts(),
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
