//! The body and the headers of an error.

use std::sync::Arc;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{ApiError, ErrorFacts, LogLevel, NotReadyToBeRead};
use crate::{
    http::wire::{contract::Moment, extract::Json},
    received::{OpenError, Unsatisfiable},
    session::{ClienteId, ConnectError, SendError},
};

/// The body of every error. `error` repeats `message`: old callers read one or the other.
#[derive(Default, Serialize, ToSchema)]
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
    /// The session that has the account of a number, if the key reaches it.
    #[serde(skip_serializing_if = "Option::is_none")]
    linked_session: Option<&'a str>,
    /// The cursor to go on with, when the one that was given has expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<i64>,
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
        let facts = self.facts();
        let message = self.message(&facts);
        let mut response = (facts.status, Json(self.body(&facts, &message))).into_response();
        // `Allow` is not set here: the router knows the methods of a path.
        let headers = response.headers_mut();
        if let Self::Received(OpenError::Range(Unsatisfiable { size })) = &self
            && let Ok(size) = HeaderValue::try_from(format!("bytes */{size}"))
        {
            headers.insert(header::CONTENT_RANGE, size);
        }
        if let Some(seconds) = self.retry_after(&facts) {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if facts.status == StatusCode::UNAUTHORIZED {
            let key = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, key);
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

impl ApiError {
    pub(super) fn body<'a>(&'a self, facts: &ErrorFacts, message: &'a str) -> ErrorBody<'a> {
        let mut body = ErrorBody {
            code: facts.code,
            message,
            error: message,
            ..ErrorBody::default()
        };
        if let Self::Send(why) | Self::NotReadyToBeRead(NotReadyToBeRead { why, .. }) = self
            && let SendError::NotReady {
                state,
                reason,
                retry_at,
            } = why
        {
            body.state = Some(state);
            body.reason = reason.as_ref().map(|reason| reason.code.as_str());
            body.detail = reason.as_ref().map(|reason| reason.detail.as_str());
            body.retry_at = retry_at.map(Moment);
        } else if let Self::NoQr { state, .. } = self {
            (body.state, body.current_status) = (Some(*state), Some(*state));
        } else if let Self::Send(SendError::Unconfirmed { message_id, .. }) = self {
            body.message_id = Some(message_id);
        } else if let Self::Connect(ConnectError::LinkedElsewhere { session }) = self {
            body.linked_session = session.as_ref().map(ClienteId::as_str);
        } else if let Self::CursorExpired(oldest) | Self::CursorAhead { oldest, .. } = self {
            body.oldest = Some(*oldest);
        } else if let Self::Connect(ConnectError::Full(full)) = self {
            (body.running, body.limit) = (Some(full.running), Some(full.limit));
            (body.free_mb, body.needed_mb) = (full.free_mb, Some(full.needed_mb));
        }
        body
    }

    pub(super) fn message(&self, facts: &ErrorFacts) -> String {
        if !self.is_for_the_log() {
            return self.to_string();
        }
        match facts.level {
            LogLevel::Bug => "something went wrong inside the service; its log says what",
            LogLevel::Usual | LogLevel::Attention => {
                "files cannot be read or written where MEDIA_STORE says; the service's log says why"
            }
        }
        .to_owned()
    }

    /// Whether what is wrong is for the log alone: what is so inside, and what a bucket answers, which has its address in it, the id of the
    /// key, and what was to be signed with it.
    pub(in crate::http) fn is_for_the_log(&self) -> bool {
        let is_of_store = matches!(self, Self::Received(OpenError::Store(_)));
        is_of_store || self.facts().level == LogLevel::Bug
    }

    /// The answer that it would be, for a stream that has begun.
    pub(in crate::http) fn in_stream(&self) -> Value {
        let facts = self.facts();
        // Texts and numbers can always be written as JSON.
        serde_json::to_value(self.body(&facts, &self.message(&facts))).unwrap_or_default()
    }

    fn retry_after(&self, facts: &ErrorFacts) -> Option<u64> {
        if let Self::TooManyAttempts(wait) = self {
            Some(wait.as_secs() + 1)
        } else {
            facts.retry_after
        }
    }
}
