//! The one mapping from what went wrong to what the caller is told.
//!
//! A new cause must choose its status here: no match has a wild card. Turning an error into a response has no side
//! effect; the response carries it in its extensions, where [`trace`](super::trace) finds it for the log.

use std::{any::Any, io, sync::Arc, time::Duration};

use axum::{
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::extract::Json;
use crate::{
    keys::Scope,
    qr::QrError,
    session::{
        ConnectError, DisconnectError, EvidenceError, InvalidClienteId, InvalidIdempotencyKey,
        InvalidRecipient, Reason, ReasonCode, SendError, state::Event,
    },
};

/// A caller that was refused for lack of room is never asked back before so many seconds: about as long as a few sends
/// take.
const LEAST_RETRY_AFTER: u64 = 4;

/// A service that is restarted is back within its stop budget; one that is stopped for good answers nobody then.
const RESTART_SECONDS: u64 = 10;

const SHUTTING_DOWN: &str = "SHUTTING_DOWN";

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("no such path")]
    UnknownPath,
    #[error("{0} is not allowed here")]
    WrongMethod(Method),
    #[error("the key is missing or wrong: send it as X-Api-Key, or as Authorization: Bearer")]
    Unauthorized,
    #[error("the key has expired: ask whoever made it for a new one")]
    KeyExpired,
    #[error("this key may not do that: it takes one with the scope {0}")]
    ScopeMissing(Scope),
    #[error("this key is for other sessions: name one of them in cliente_id")]
    OtherSession,
    #[error("too many wrong keys came from this address: try again in a few seconds")]
    TooManyAttempts(Duration),
    #[error("web pages of this origin may not call: add it to CORS_ORIGINS if it should")]
    OriginNotAllowed,
    #[error(
        "cliente_id belongs in the body of a POST, or in the header X-Cliente-Id, not in its query"
    )]
    ClienteIdInQuery,
    #[error("the body is larger than 100 kB")]
    TooLarge,
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("the body is not a JSON object: {0}")]
    InvalidJson(String),
    #[error(transparent)]
    InvalidClienteId(#[from] InvalidClienteId),
    /// `/send` says it in the words of the contract.
    #[error("cliente_id must be a number")]
    ClienteIdNotANumber,
    #[error("to must be a string")]
    ToNotAString,
    #[error(transparent)]
    InvalidTo(#[from] InvalidRecipient),
    #[error("message must be a non-empty string")]
    InvalidMessage,
    #[error("async must be true or false")]
    InvalidAsync,
    #[error("dry_run must be true or false; nothing was sent")]
    InvalidDryRun,
    #[error(transparent)]
    InvalidIdempotencyKey(#[from] InvalidIdempotencyKey),
    #[error("the header Idempotency-Key and the field idempotency_key differ: give one of them")]
    TwoIdempotencyKeys,
    #[error("no message has this id; ids are forgotten after IDEMPOTENCY_HOURS")]
    UnknownMessage,
    #[error("the message cannot be taken back: it is {0}")]
    NotCancellable(&'static str),
    #[error(
        "state must be one of queued, handed, sent, delivered, read, failed, unknown, cancelled"
    )]
    InvalidMessageState,
    #[error("after must be a whole number: the next of the answer before")]
    InvalidAfter,
    #[error("limit must be a whole number, 1 to 1000")]
    InvalidLimit,
    #[error("wait must be \"ready\" or \"code\"")]
    InvalidWait,
    #[error(
        "phone must be a phone number of 7 to 15 digits, country code first, such as \"+54 9 11 5825-4201\"; leave it out to scan a QR code"
    )]
    InvalidPhone,
    #[error("logout must be true or false")]
    InvalidLogout,
    #[error("format must be json, png, svg, ascii or raw")]
    InvalidFormat,
    #[error("{reason}")]
    NoQr { state: &'static str, reason: String },
    #[error("this session has left no evidence; POST here takes some of a running one")]
    NoEvidence,
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    #[error("too many streams are open: close a page that shows sessions, then try again")]
    TooManyStreams,
    #[error("this session is linked already: there is no code to show")]
    AlreadyLinked,
    #[error("too many links are open: each ends by itself after 10 minutes")]
    TooManyLinks,
    #[error("this link is unknown: it may have ended long ago, or with a restart of the service")]
    UnknownLink,
    #[error(
        "this link has been used, or its 10 minutes are over: ask whoever sent it for a new one"
    )]
    LinkOver,
    #[error("the request does not say under which name the service is reached: set PUBLIC_URL")]
    NoPublicUrl,
    #[error("the service is shutting down; nothing was done: try again when it is back")]
    ShuttingDown,
    #[error("the evidence cannot be read (DATA_DIR): {0}")]
    EvidenceUnreadable(#[from] io::Error),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Disconnect(#[from] DisconnectError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error("the code could not be drawn: {0}")]
    Qr(#[from] QrError),
    #[error("an answer could not be written as JSON: {0}")]
    Serialize(#[from] serde_json::Error),
    #[error("a handler panicked: {0}")]
    Panic(String),
    #[error("{0} has no row in the table of http/access.rs, and is refused to everybody")]
    NoAccessRule(String),
    #[error("a handler asked who called it outside of the guard")]
    NoCaller,
}

/// How loud the log line of a failed request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loudness {
    /// The caller knows all there is to know.
    Usual,
    /// Somebody should look at a session, a phone or the machine.
    Attention,
    /// A fault of this program.
    Bug,
}

impl ApiError {
    pub(super) fn status(&self) -> StatusCode {
        self.face().0
    }

    pub(super) fn code(&self) -> &'static str {
        self.face().1
    }

    fn face(&self) -> (StatusCode, &'static str) {
        match self {
            Self::UnknownPath => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Self::WrongMethod(_) => (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
            Self::Unauthorized | Self::KeyExpired => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
            Self::ScopeMissing(_) | Self::OtherSession => (StatusCode::FORBIDDEN, "FORBIDDEN"),
            Self::TooManyAttempts(_) => (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_ATTEMPTS"),
            Self::OriginNotAllowed => (StatusCode::FORBIDDEN, "ORIGIN_NOT_ALLOWED"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT"),
            Self::InvalidJson(_) => (StatusCode::BAD_REQUEST, "INVALID_JSON"),
            Self::InvalidClienteId(_) | Self::ClienteIdNotANumber | Self::ClienteIdInQuery => {
                (StatusCode::BAD_REQUEST, "INVALID_CLIENTE_ID")
            }
            Self::ToNotAString | Self::InvalidTo(_) => (StatusCode::BAD_REQUEST, "INVALID_TO"),
            Self::InvalidMessage => (StatusCode::BAD_REQUEST, "INVALID_MESSAGE"),
            Self::InvalidAsync => (StatusCode::BAD_REQUEST, "INVALID_ASYNC"),
            Self::InvalidDryRun => (StatusCode::BAD_REQUEST, "INVALID_DRY_RUN"),
            Self::InvalidIdempotencyKey(_) | Self::TwoIdempotencyKeys => {
                (StatusCode::BAD_REQUEST, "INVALID_IDEMPOTENCY_KEY")
            }
            Self::UnknownMessage => (StatusCode::NOT_FOUND, "MESSAGE_NOT_FOUND"),
            Self::NotCancellable(_) => (StatusCode::CONFLICT, "NOT_CANCELLABLE"),
            Self::InvalidMessageState => (StatusCode::BAD_REQUEST, "INVALID_STATE"),
            Self::InvalidAfter => (StatusCode::BAD_REQUEST, "INVALID_AFTER"),
            Self::InvalidLimit => (StatusCode::BAD_REQUEST, "INVALID_LIMIT"),
            Self::InvalidWait => (StatusCode::BAD_REQUEST, "INVALID_WAIT"),
            Self::InvalidPhone => (StatusCode::BAD_REQUEST, "INVALID_PHONE"),
            Self::InvalidLogout => (StatusCode::BAD_REQUEST, "INVALID_LOGOUT"),
            Self::InvalidFormat => (StatusCode::BAD_REQUEST, "INVALID_FORMAT"),
            Self::NoQr { .. } => (StatusCode::NOT_FOUND, "NO_QR"),
            Self::NoEvidence => (StatusCode::NOT_FOUND, "NO_EVIDENCE"),
            Self::TooManyStreams => (StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_STREAMS"),
            Self::AlreadyLinked => (StatusCode::CONFLICT, "ALREADY_LINKED"),
            Self::TooManyLinks => (StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_LINKS"),
            Self::UnknownLink => (StatusCode::NOT_FOUND, "LINK_NOT_FOUND"),
            Self::LinkOver => (StatusCode::GONE, "LINK_OVER"),
            Self::NoPublicUrl => (StatusCode::BAD_REQUEST, "PUBLIC_URL_UNKNOWN"),
            Self::Evidence(EvidenceError::NotRunning) => {
                (StatusCode::CONFLICT, "SESSION_NOT_RUNNING")
            }
            Self::Evidence(EvidenceError::OfChats) => {
                (StatusCode::FORBIDDEN, "EVIDENCE_OF_CHATS_OFF")
            }
            Self::Evidence(EvidenceError::Io(_)) | Self::EvidenceUnreadable(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "EVIDENCE_UNAVAILABLE")
            }
            Self::Connect(ConnectError::Failed(reason)) => {
                (StatusCode::INTERNAL_SERVER_ERROR, reason.code.as_str())
            }
            Self::Connect(ConnectError::NotPaired(reason)) => {
                (not_paired(reason.code), reason.code.as_str())
            }
            Self::Connect(ConnectError::LinkedToAnother { .. }) => {
                (StatusCode::CONFLICT, "LINKED_TO_ANOTHER_NUMBER")
            }
            Self::Connect(ConnectError::Full(_)) => (StatusCode::SERVICE_UNAVAILABLE, "CAPACITY"),
            Self::Disconnect(DisconnectError::LogoutUnconfirmed(_)) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "LOGOUT_UNCONFIRMED")
            }
            Self::Disconnect(DisconnectError::NotLinked) => (StatusCode::CONFLICT, "NOT_LINKED"),
            Self::Send(SendError::NotReady { .. }) => {
                (StatusCode::SERVICE_UNAVAILABLE, "SESSION_NOT_READY")
            }
            Self::Send(SendError::NotOnWhatsApp) => {
                (StatusCode::BAD_REQUEST, "NUMBER_NOT_ON_WHATSAPP")
            }
            Self::Send(SendError::Failed(_) | SendError::GivenUp(_)) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "SEND_FAILED")
            }
            Self::Send(SendError::Unconfirmed { .. }) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "SEND_UNCONFIRMED")
            }
            Self::Send(SendError::Cancelled) => (StatusCode::CONFLICT, "CANCELLED"),
            Self::Send(SendError::OtherAccount(_)) => (StatusCode::CONFLICT, "ACCOUNT_CHANGED"),
            Self::Send(SendError::KeyReused) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED")
            }
            Self::Send(SendError::LedgerUnavailable(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "LEDGER_UNAVAILABLE")
            }
            Self::Send(SendError::TurnNotCome { .. }) => {
                (StatusCode::TOO_MANY_REQUESTS, "QUEUE_TIMEOUT")
            }
            Self::Send(SendError::QueueFull { .. }) => {
                (StatusCode::TOO_MANY_REQUESTS, "QUEUE_FULL")
            }
            Self::ShuttingDown
            | Self::Connect(ConnectError::ShuttingDown)
            | Self::Disconnect(DisconnectError::ShuttingDown)
            | Self::Send(SendError::ShuttingDown) => {
                (StatusCode::SERVICE_UNAVAILABLE, SHUTTING_DOWN)
            }
            Self::Qr(_)
            | Self::Serialize(_)
            | Self::Panic(_)
            | Self::NoAccessRule(_)
            | Self::NoCaller => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
        }
    }

    pub(super) fn loudness(&self) -> Loudness {
        match self {
            Self::Qr(_)
            | Self::Serialize(_)
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
            | Self::Evidence(EvidenceError::Io(_))
            | Self::EvidenceUnreadable(_) => Loudness::Attention,
            Self::Connect(ConnectError::NotPaired(reason))
                if reason.code == ReasonCode::PairingFailed =>
            {
                Loudness::Attention
            }
            Self::Connect(ConnectError::Failed(reason))
                if matches!(reason.ending(), Event::Failed) =>
            {
                Loudness::Attention
            }
            Self::UnknownPath
            | Self::WrongMethod(_)
            | Self::Unauthorized
            | Self::KeyExpired
            | Self::ScopeMissing(_)
            | Self::OtherSession
            | Self::TooManyAttempts(_)
            | Self::OriginNotAllowed
            | Self::ClienteIdInQuery
            | Self::TooLarge
            | Self::TooSlow
            | Self::InvalidJson(_)
            | Self::InvalidClienteId(_)
            | Self::ClienteIdNotANumber
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
            | Self::InvalidPhone
            | Self::InvalidLogout
            | Self::InvalidFormat
            | Self::NoQr { .. }
            | Self::NoEvidence
            | Self::TooManyStreams
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

    /// What the caller reads. The inside of a bug is for the log alone.
    fn message(&self) -> String {
        match self.loudness() {
            Loudness::Bug => {
                "something went wrong inside the service; its log says what".to_owned()
            }
            Loudness::Usual | Loudness::Attention => self.to_string(),
        }
    }

    fn state(&self) -> Option<&'static str> {
        if let Self::Send(SendError::NotReady { state, .. }) | Self::NoQr { state, .. } = self {
            Some(state)
        } else {
            None
        }
    }

    fn message_id(&self) -> Option<&str> {
        if let Self::Send(SendError::Unconfirmed { message_id, .. }) = self {
            Some(message_id)
        } else {
            None
        }
    }

    fn reason(&self) -> Option<&Reason> {
        if let Self::Send(SendError::NotReady { reason, .. }) = self {
            reason.as_ref()
        } else {
            None
        }
    }

    fn figures(&self) -> Option<Figures> {
        if let Self::Connect(ConnectError::Full(full)) = self {
            Some(Figures {
                running: full.running,
                limit: full.limit,
                free_mb: full.free_mb,
                needed_mb: full.needed_mb,
            })
        } else {
            None
        }
    }

    /// The header that belongs to some answers. `Allow` is not among them: the router knows the methods of a path.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        if let Self::Send(
            SendError::QueueFull { retry_after } | SendError::TurnNotCome { retry_after },
        ) = self
        {
            let seconds = retry_after.as_secs().max(LEAST_RETRY_AFTER) + 1;
            Some((header::RETRY_AFTER, HeaderValue::from(seconds)))
        } else if self.code() == SHUTTING_DOWN {
            Some((header::RETRY_AFTER, HeaderValue::from(RESTART_SECONDS)))
        } else if let Self::TooManyAttempts(wait) = self {
            let seconds = HeaderValue::from(wait.as_secs() + 1);
            Some((header::RETRY_AFTER, seconds))
        } else if let Self::Unauthorized | Self::KeyExpired = self {
            Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
        } else {
            None
        }
    }
}

/// The body of every error. `error` repeats `message`: old callers read one or the other.
#[derive(Serialize)]
struct ErrorBody<'a> {
    success: bool,
    code: &'static str,
    message: &'a str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// Why a session is not ready: the stable code, and the sentence with the remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// What callers of `/qr-code` read instead of `state`.
    #[serde(rename = "currentStatus", skip_serializing_if = "Option::is_none")]
    current_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    #[serde(flatten)]
    figures: Option<Figures>,
}

/// Why there is no room, in numbers.
#[derive(Serialize)]
struct Figures {
    running: usize,
    limit: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    free_mb: Option<u64>,
    needed_mb: u64,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let message = self.message();
        let body = ErrorBody {
            success: false,
            code: self.code(),
            message: &message,
            error: &message,
            state: self.state(),
            reason: self.reason().map(|reason| reason.code.as_str()),
            detail: self.reason().map(|reason| reason.detail.as_str()),
            current_status: if let Self::NoQr { state, .. } = self {
                Some(state)
            } else {
                None
            },
            message_id: self.message_id(),
            figures: self.figures(),
        };
        let mut response = (self.status(), Json(body)).into_response();
        response.headers_mut().extend(self.header());
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// Whose fault it is that there is no pairing code: the number's, the frequency's, or the page's.
fn not_paired(code: ReasonCode) -> StatusCode {
    if code == ReasonCode::PairingRefused {
        StatusCode::BAD_REQUEST
    } else if code == ReasonCode::PairingRateLimited {
        StatusCode::TOO_MANY_REQUESTS
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

/// Answers a path that is none of ours.
pub(super) async fn unknown_path() -> ApiError {
    ApiError::UnknownPath
}

/// Answers a method that a path does not have; the router adds `Allow`.
pub(super) async fn wrong_method(method: Method) -> ApiError {
    ApiError::WrongMethod(method)
}

/// Answers a request whose handler panicked.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that CatchPanicLayer takes"
)]
pub(super) fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let text = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied());
    ApiError::Panic(text.unwrap_or("no message").to_owned()).into_response()
}

#[cfg(test)]
mod tests;
