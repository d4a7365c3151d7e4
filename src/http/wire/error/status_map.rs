//! Which status and code each cause has, and how loud its line in the log is.
//!
//! A new cause must choose here: no match has a wild card.

use axum::http::StatusCode;

use super::{ApiError, Code};
use crate::session::{
    ConnectError, DisconnectError, EvidenceError, ForgetError, ReasonCode, SendError,
    reason::{About, PairingFault},
    state::Event,
};

/// How loud the log line of a failed request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Loudness {
    /// The caller knows all there is to know.
    Usual,
    /// Somebody should look at a session, a phone or the machine.
    Attention,
    /// A fault of this program.
    Bug,
}

/// What a caller is told of a cause before all else.
enum Face {
    /// A code of this API, which has its status.
    Of(Code),
    /// Why a session is not where it should be.
    Why(StatusCode, ReasonCode),
}

impl ApiError {
    pub(in crate::http) fn status(&self) -> StatusCode {
        match self.face() {
            Face::Of(code) => code.status(),
            Face::Why(status, _) => status,
        }
    }

    pub(in crate::http) fn code(&self) -> &'static str {
        match self.face() {
            Face::Of(code) => code.as_str(),
            Face::Why(_, reason) => reason.as_str(),
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table: one line for each error")]
    fn face(&self) -> Face {
        match self {
            Self::UnknownPath => Face::Of(Code::NotFound),
            Self::WrongMethod { .. } => Face::Of(Code::MethodNotAllowed),
            Self::KeyMissing | Self::Unauthorized | Self::KeyExpired => {
                Face::Of(Code::Unauthorized)
            }
            Self::ScopeMissing(_) | Self::OtherSession => Face::Of(Code::Forbidden),
            Self::TooManyAttempts(_) => Face::Of(Code::TooManyAttempts),
            Self::OriginNotAllowed => Face::Of(Code::OriginNotAllowed),
            Self::TooLarge | Self::TextTooLong(_) => Face::Of(Code::PayloadTooLarge),
            Self::HostNotKnown => Face::Of(Code::MisdirectedRequest),
            Self::TwoKeys => Face::Of(Code::TwoKeys),
            Self::TooSlow => Face::Of(Code::RequestTimeout),
            Self::InvalidJson(_)
            | Self::NeitherJsonNorForm(_)
            | Self::NotUtf8
            | Self::NotUtf16
            | Self::UnnamedUtf16
            | Self::NotUnpacked(_) => Face::Of(Code::InvalidJson),
            Self::Multipart | Self::UnknownCharset(_) | Self::UnknownEncoding(_) => {
                Face::Of(Code::UnsupportedMediaType)
            }
            Self::InvalidClienteId(_)
            | Self::ClienteIdNotANumber
            | Self::ClienteIdNotPositive
            | Self::ClienteIdInQuery
            | Self::ClienteIdRequired
            | Self::LogoutOfNobody
            | Self::NamesNothingKnown { .. } => Face::Of(Code::InvalidClienteId),
            Self::Misspelt { code, .. } => Face::Of(*code),
            Self::ToNotAString | Self::InvalidTo(_) => Face::Of(Code::InvalidTo),
            Self::InvalidMessage => Face::Of(Code::InvalidMessage),
            Self::InvalidAsync => Face::Of(Code::InvalidAsync),
            Self::InvalidDryRun => Face::Of(Code::InvalidDryRun),
            Self::InvalidIdempotencyKey(_) | Self::TwoIdempotencyKeys => {
                Face::Of(Code::InvalidIdempotencyKey)
            }
            Self::UnknownMessage => Face::Of(Code::MessageNotFound),
            Self::NotCancellable(_) => Face::Of(Code::NotCancellable),
            Self::InvalidMessageState => Face::Of(Code::InvalidState),
            Self::InvalidAfter => Face::Of(Code::InvalidAfter),
            Self::InvalidLimit => Face::Of(Code::InvalidLimit),
            Self::InvalidWait => Face::Of(Code::InvalidWait),
            Self::InvalidPhone(_) | Self::PhoneNotAString => Face::Of(Code::InvalidPhone),
            Self::InvalidLogout => Face::Of(Code::InvalidLogout),
            Self::InvalidFormat => Face::Of(Code::InvalidFormat),
            Self::NoQr { .. } => Face::Of(Code::NoQr),
            Self::NoEvidence => Face::Of(Code::NoEvidence),
            Self::TooManyStreams => Face::Of(Code::TooManyStreams),
            Self::MessagesBusy(_) => Face::Of(Code::MessagesBusy),
            Self::AlreadyLinked => Face::Of(Code::AlreadyLinked),
            Self::TooManyLinks => Face::Of(Code::TooManyLinks),
            Self::UnknownLink => Face::Of(Code::LinkNotFound),
            Self::LinkOver => Face::Of(Code::LinkOver),
            Self::NoPublicUrl => Face::Of(Code::PublicUrlUnknown),
            Self::Evidence(EvidenceError::NotRunning) => Face::Of(Code::SessionNotRunning),
            Self::Evidence(EvidenceError::OfChats) => Face::Of(Code::EvidenceOfChatsOff),
            Self::Evidence(EvidenceError::Io(_)) | Self::EvidenceUnreadable(_) => {
                Face::Of(Code::EvidenceUnavailable)
            }
            Self::Connect(ConnectError::Failed(reason)) if reason.code == ReasonCode::Capacity => {
                Face::Of(Code::Capacity)
            }
            Self::Connect(ConnectError::Failed(reason)) => {
                Face::Why(StatusCode::INTERNAL_SERVER_ERROR, reason.code)
            }
            Self::Connect(ConnectError::NotPaired(reason)) => {
                Face::Why(not_paired(reason.code), reason.code)
            }
            Self::Connect(ConnectError::LinkedToAnother { .. }) => {
                Face::Of(Code::LinkedToAnotherNumber)
            }
            Self::Connect(ConnectError::Full(_)) => Face::Of(Code::Capacity),
            Self::Disconnect(DisconnectError::LogoutUnconfirmed(_)) => {
                Face::Of(Code::LogoutUnconfirmed)
            }
            Self::Disconnect(DisconnectError::NotLinked) => Face::Of(Code::NotLinked),
            Self::UnknownSession => Face::Of(Code::SessionNotFound),
            Self::Forget(ForgetError::Running) => Face::Of(Code::SessionRunning),
            Self::Forget(ForgetError::Linked) => Face::Of(Code::SessionLinked),
            Self::Forget(ForgetError::Failed(_)) => Face::Of(Code::NotDeleted),
            Self::Send(SendError::NotReady { .. }) => Face::Of(Code::SessionNotReady),
            Self::Send(SendError::NotOnWhatsApp) => Face::Of(Code::NumberNotOnWhatsApp),
            Self::Send(SendError::Failed(_) | SendError::GivenUp(_)) => Face::Of(Code::SendFailed),
            Self::Send(SendError::Unconfirmed { .. }) => Face::Of(Code::SendUnconfirmed),
            Self::Send(SendError::Cancelled) => Face::Of(Code::Cancelled),
            Self::Send(SendError::OtherAccount(_)) => Face::Of(Code::AccountChanged),
            Self::Send(SendError::KeyReused) => Face::Of(Code::IdempotencyKeyReused),
            Self::Send(SendError::LedgerUnavailable(_)) | Self::Ledger(_) => {
                Face::Of(Code::LedgerUnavailable)
            }
            Self::Send(SendError::TurnNotCome { .. }) => Face::Of(Code::QueueTimeout),
            Self::Send(SendError::QueueFull { .. }) => Face::Of(Code::QueueFull),
            Self::ShuttingDown
            | Self::Connect(ConnectError::ShuttingDown)
            | Self::Forget(ForgetError::ShuttingDown)
            | Self::Disconnect(DisconnectError::ShuttingDown)
            | Self::Send(SendError::ShuttingDown) => Face::Of(Code::ShuttingDown),
            Self::Qr(_)
            | Self::Serialize(_)
            | Self::Metrics
            | Self::Panic(_)
            | Self::NoAccessRule(_)
            | Self::NoCaller => Face::Of(Code::Internal),
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table: one line for each error")]
    pub(in crate::http) fn loudness(&self) -> Loudness {
        match self {
            Self::Qr(_)
            | Self::Serialize(_)
            | Self::Metrics
            | Self::Panic(_)
            | Self::NoAccessRule(_)
            | Self::NoCaller => Loudness::Bug,
            Self::Send(
                SendError::Failed(_)
                | SendError::GivenUp(_)
                | SendError::LedgerUnavailable(_)
                | SendError::Unconfirmed { .. },
            )
            | Self::Connect(ConnectError::Full(_))
            | Self::Disconnect(DisconnectError::LogoutUnconfirmed(_))
            | Self::Ledger(_)
            | Self::Forget(ForgetError::Failed(_))
            | Self::Evidence(EvidenceError::Io(_))
            | Self::EvidenceUnreadable(_) => Loudness::Attention,
            Self::Connect(ConnectError::NotPaired(reason))
                if reason.code.facts().about == About::Pairing(PairingFault::Page) =>
            {
                Loudness::Attention
            }
            Self::Connect(ConnectError::Failed(reason))
                if matches!(reason.ending(), Event::Failed) =>
            {
                Loudness::Attention
            }
            Self::UnknownPath
            | Self::WrongMethod { .. }
            | Self::KeyMissing
            | Self::Unauthorized
            | Self::KeyExpired
            | Self::ScopeMissing(_)
            | Self::OtherSession
            | Self::TooManyAttempts(_)
            | Self::OriginNotAllowed
            | Self::HostNotKnown
            | Self::TwoKeys
            | Self::ClienteIdInQuery
            | Self::TooLarge
            | Self::TextTooLong(_)
            | Self::TooSlow
            | Self::InvalidJson(_)
            | Self::NeitherJsonNorForm(_)
            | Self::NotUtf8
            | Self::NotUtf16
            | Self::UnnamedUtf16
            | Self::NotUnpacked(_)
            | Self::Multipart
            | Self::UnknownCharset(_)
            | Self::UnknownEncoding(_)
            | Self::NamesNothingKnown { .. }
            | Self::Misspelt { .. }
            | Self::ClienteIdRequired
            | Self::InvalidClienteId(_)
            | Self::ClienteIdNotANumber
            | Self::ClienteIdNotPositive
            | Self::ToNotAString
            | Self::InvalidTo(_)
            | Self::InvalidMessage
            | Self::InvalidAsync
            | Self::InvalidDryRun
            | Self::InvalidIdempotencyKey(_)
            | Self::TwoIdempotencyKeys
            | Self::UnknownMessage
            | Self::NotCancellable(_)
            | Self::InvalidMessageState
            | Self::InvalidAfter
            | Self::InvalidLimit
            | Self::InvalidWait
            | Self::InvalidPhone(_)
            | Self::PhoneNotAString
            | Self::InvalidLogout
            | Self::LogoutOfNobody
            | Self::InvalidFormat
            | Self::NoQr { .. }
            | Self::UnknownSession
            | Self::Forget(
                ForgetError::Running | ForgetError::Linked | ForgetError::ShuttingDown,
            )
            | Self::NoEvidence
            | Self::TooManyStreams
            | Self::MessagesBusy(_)
            | Self::AlreadyLinked
            | Self::TooManyLinks
            | Self::UnknownLink
            | Self::LinkOver
            | Self::NoPublicUrl
            | Self::ShuttingDown
            | Self::Evidence(EvidenceError::NotRunning | EvidenceError::OfChats)
            | Self::Connect(_)
            | Self::Disconnect(DisconnectError::NotLinked | DisconnectError::ShuttingDown)
            | Self::Send(
                SendError::NotReady { .. }
                | SendError::NotOnWhatsApp
                | SendError::QueueFull { .. }
                | SendError::TurnNotCome { .. }
                | SendError::Cancelled
                | SendError::OtherAccount(_)
                | SendError::KeyReused
                | SendError::ShuttingDown,
            ) => Loudness::Usual,
        }
    }
}

/// The status of a reason why there is no pairing code.
fn not_paired(code: ReasonCode) -> StatusCode {
    match code.facts().about {
        About::Pairing(PairingFault::Number) => StatusCode::BAD_REQUEST,
        About::Pairing(PairingFault::Frequency) => StatusCode::TOO_MANY_REQUESTS,
        About::Pairing(PairingFault::Page) | About::Sends | About::State => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}
