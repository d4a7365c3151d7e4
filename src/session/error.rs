//! What can go wrong with a request to a session. No HTTP here: `http::error` maps each cause to its status.

use super::{Reason, Recipient};

/// Why a connect did not bring the session up.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    /// The session failed; the reason says how and what to do.
    #[error("{}", .0.detail)]
    Failed(Reason),
    /// The session runs, but there is no code to link by phone number; the reason says why and what to do.
    #[error("{}", .0.detail)]
    NotPaired(Reason),
    /// The session is linked, and not to the phone number that was given. Both show their last digits only.
    #[error(
        "phone ({phone}) is not the number that this session is linked to ({account}): leave phone out to use that account, or unlink it first (POST /disconnect with \"logout\": true)"
    )]
    LinkedToAnother {
        /// What the caller gave.
        phone: Recipient,
        /// What the session has.
        account: Recipient,
    },
    /// As many sessions run as `MAX_SESSIONS` allows.
    #[error("as many sessions run as MAX_SESSIONS allows: disconnect one, or raise it")]
    TooManySessions,
    /// The service is stopping.
    #[error("the service is shutting down")]
    ShuttingDown,
}

/// Why a disconnect did not finish.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DisconnectError {
    /// `logout` was asked for and WhatsApp did not confirm it: the profile is kept, the device may still be linked.
    #[error(
        "WhatsApp did not confirm the logout ({0}); the profile is kept: try again, or remove the device on the phone"
    )]
    LogoutUnconfirmed(String),
    /// `logout` was asked for, but a device can only be unlinked by a session that is up.
    #[error("the session is not linked and running; connect it first, then log out")]
    NotLinked,
    /// The service is stopping.
    #[error("the service is shutting down")]
    ShuttingDown,
}

/// Why a message was not sent, or is not known to be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError {
    /// The session cannot send now. Nothing was sent.
    #[error("WhatsApp session not ready")]
    NotReady {
        /// Its state, as on the wire.
        state: &'static str,
        /// Why it is in that state, when that is known.
        reason: Option<Reason>,
    },
    /// The number has no WhatsApp account. Nothing was sent.
    #[error("the number is not on WhatsApp")]
    NotOnWhatsApp,
    /// The page refused or broke before it took the message. Nothing was sent.
    #[error("{0}")]
    Failed(String),
    /// The message may or may not have been sent.
    #[error(
        "it is not known whether the message was sent ({detail}); look at the phone before sending it again"
    )]
    Unconfirmed {
        /// The id it was given, when that is known.
        message_id: Option<String>,
        /// What interrupted it.
        detail: String,
    },
    /// As many sends as the queue holds are waiting. Nothing was sent.
    #[error("too many messages are waiting for this session; try again later")]
    QueueFull,
    /// The sends before it took too long. Nothing was sent.
    #[error("its turn did not come in time; nothing was sent: try again")]
    TurnNotCome,
    /// The service is stopping. Nothing was sent.
    #[error("the service is shutting down")]
    ShuttingDown,
}
