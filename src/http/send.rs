//! `POST /send`: one text to one number.
//!
//! Checked in the order of the contract: session, recipient, text, and only then whether the session can send.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde_json::Value;

use super::{
    contract::Accepted,
    error::ApiError,
    extract::{FromBody, Json, Object},
    state::AppState,
    target::Target,
};
use crate::session::{Recipient, SendError, SessionState, TextMessage};

/// What to send, from whom and to whom.
#[derive(Debug)]
pub(super) struct SendRequest {
    target: Target,
    message: TextMessage,
}

impl FromBody for SendRequest {
    fn from_body(body: &Object, headers: &HeaderMap, app: &AppState) -> Result<Self, ApiError> {
        let target = Target::of_send(body, headers, app)?;
        let to: Recipient = match body.get("to") {
            Some(Value::String(to)) if !to.is_empty() => to.parse()?,
            Some(_) | None => return Err(ApiError::ToNotAString),
        };
        let text = match body.get("message") {
            Some(Value::String(text)) if !text.trim().is_empty() => text.clone(),
            Some(_) | None => return Err(ApiError::InvalidMessage),
        };
        Ok(Self {
            target,
            message: TextMessage { to, body: text },
        })
    }
}

/// Sends and waits until WhatsApp's server has the message: 200, or 202 while only WhatsApp's own queue has it.
///
/// A caller that goes away does not take the message back.
pub(super) async fn send(
    State(app): State<AppState>,
    Json(SendRequest { target, message }): Json<SendRequest>,
) -> Result<(StatusCode, Json<Accepted>), ApiError> {
    let never_seen = SendError::NotReady {
        state: SessionState::Disconnected.name(),
        reason: None,
    };
    let session = app.registry().find(&target.id).ok_or(never_seen)?;
    let to = message.to.digits().to_owned();
    let accepted = Accepted::of(target.echo, to, session.send_text(message).await?);
    let status = if accepted.is_with_the_server() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok((status, Json(accepted)))
}
