//! The body and the headers of an error.

use std::sync::Arc;

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ApiError, Code, Loudness};
use crate::{
    http::wire::{contract::Moment, extract::Json},
    session::{ConnectError, Full, Reason, SendError},
};

/// A caller that was refused for lack of room is never asked back before so many seconds: about as long as a few sends
/// take.
const LEAST_RETRY_AFTER: u64 = 4;

/// A list takes milliseconds: whoever has waited in vain comes back when the others have had their answers.
const BUSY_SECONDS: u64 = 5;

/// A service that is restarted is back within its stop budget; one that is stopped for good answers nobody then.
const RESTART_SECONDS: u64 = 10;

/// The body of every error. `error` repeats `message`: old callers read one or the other.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(in crate::http) struct ErrorBody<'a> {
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
    /// When a session that is not ready starts again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<Moment>,
    /// What callers of `/qr-code` read instead of `state`.
    #[serde(rename = "currentStatus", skip_serializing_if = "Option::is_none")]
    current_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    /// Why there is no room, in numbers: sessions that run, how many may, memory that is free and that is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    free_mb: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needed_mb: Option<u64>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let message = self.message();
        let full = self.full();
        let body = ErrorBody {
            success: false,
            code: self.code(),
            message: &message,
            error: &message,
            state: self.state(),
            reason: self.reason().map(|reason| reason.code.as_str()),
            detail: self.reason().map(|reason| reason.detail.as_str()),
            retry_at: self.retry_at().map(Moment),
            current_status: if let Self::NoQr { state, .. } = self {
                Some(state)
            } else {
                None
            },
            message_id: self.message_id(),
            running: full.map(|full| full.running),
            limit: full.map(|full| full.limit),
            free_mb: full.and_then(|full| full.free_mb),
            needed_mb: full.map(|full| full.needed_mb),
        };
        let mut response = (self.status(), Json(body)).into_response();
        response.headers_mut().extend(self.header());
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

impl ApiError {
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

    pub(super) fn message_id(&self) -> Option<&str> {
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

    fn retry_at(&self) -> Option<Timestamp> {
        if let Self::Send(SendError::NotReady { retry_at, .. }) = self {
            *retry_at
        } else {
            None
        }
    }

    fn full(&self) -> Option<&Full> {
        if let Self::Connect(ConnectError::Full(full)) = self {
            Some(full)
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
        } else if let Some(retry_at) = self.retry_at() {
            let left = retry_at.duration_since(Timestamp::now()).as_secs();
            let seconds = u64::try_from(left).unwrap_or(0) + 1;
            Some((header::RETRY_AFTER, HeaderValue::from(seconds)))
        } else if self.code() == Code::ShuttingDown.as_str() {
            Some((header::RETRY_AFTER, HeaderValue::from(RESTART_SECONDS)))
        } else if let Self::MessagesBusy(_) = self {
            Some((header::RETRY_AFTER, HeaderValue::from(BUSY_SECONDS)))
        } else if let Self::TooManyAttempts(wait) = self {
            let seconds = HeaderValue::from(wait.as_secs() + 1);
            Some((header::RETRY_AFTER, seconds))
        } else if let Self::KeyMissing | Self::Unauthorized | Self::KeyExpired = self {
            Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
        } else {
            None
        }
    }
}
