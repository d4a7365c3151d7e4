//! `/sessions/{id}/passkey`: what the owner of an account has to sign when WhatsApp asks for its passkey, the signature, and the
//! code that may have to be compared then.
//!
//! Each person who sees a challenge can sign it, and a signature links a device: each of these routes, the read as well, is for an admin.

use axum::{extract::State, http::request::Parts};

use super::status;
use crate::{
    http::{
        guard::reach::TargetInPath,
        state::AppState,
        wire::{
            contract::Passkey,
            error::ApiError,
            extract::{FromBody, Json, Object},
            parameters::SessionInPath,
            requests::PasskeyBody,
            target::Target,
        },
    },
    session::{Assertion, InvalidAssertion, PasskeyAsk, PasskeyError},
};

impl FromBody for Assertion {
    type Fields = PasskeyBody;

    fn of_array() -> ApiError {
        let why = "must be one object: send what credential.toJSON() gives";
        PasskeyError::from(InvalidAssertion {
            field: "the body",
            why,
        })
        .into()
    }

    fn from_body(
        _fields: PasskeyBody,
        body: &Object,
        _parts: &Parts,
        _app: &AppState,
    ) -> Result<Self, ApiError> {
        let assertion = Self::parse(body);
        Ok(assertion.map_err(PasskeyError::from)?)
    }
}

/// What is to be signed or compared, and until when.
#[utoipa::path(get, path = "/sessions/{id}/passkey", tag = "sessions", params(SessionInPath), responses(
    (status = 200, description = "How far linking with a passkey has got", body = Passkey, content_type = "application/json"),
))]
pub(in crate::http) async fn show(
    State(app): State<AppState>,
    TargetInPath(target): TargetInPath,
) -> Result<Json<Passkey>, ApiError> {
    let snapshot = status::snapshot(&app, &target.id);
    if snapshot.passkey.is_none() {
        return Err(PasskeyError::in_state(snapshot.state.name()).into());
    }
    Ok(Json(Passkey::of(target, &snapshot)))
}

/// Hands the signature in, and waits for WhatsApp's verdict on it, for 20 s at most. The same signature again gets the same answer.
#[utoipa::path(post, path = "/sessions/{id}/passkey", tag = "sessions", params(SessionInPath), request_body(content = PasskeyBody, examples(
    ("as a browser gives it" = (value = json!({
        "id": "AAEC", "rawId": "AAEC", "type": "public-key", "authenticatorAttachment": "cross-platform",
        "response": {
            "clientDataJSON": "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0IiwiY2hhbGxlbmdlIjoiWTJoaGJHeGxibWRsIiwib3JpZ2luIjoiaHR0cHM6Ly93ZWIud2hhdHNhcHAuY29tIn0",
            "authenticatorData": "6GiQbHMCCZZu_0CMVdeBYw_LPJ3pYenpc4tN0OD9Xn8FAAAAAA",
            "signature": "MEUCIQD0",
            "userHandle": "AQ",
        },
    }))),
)), responses(
    (status = 200, description = "WhatsApp has it", body = Passkey, content_type = "application/json"),
))]
pub(in crate::http) async fn hand_in(
    State(app): State<AppState>,
    TargetInPath(target): TargetInPath,
    Json(assertion): Json<Assertion>,
) -> Result<Json<Passkey>, ApiError> {
    take(&app, target, PasskeyAsk::Answer(assertion)).await
}

/// Gives up, and lets the page go back to the codes to scan.
#[utoipa::path(delete, path = "/sessions/{id}/passkey", tag = "sessions", params(SessionInPath), responses(
    (status = 200, description = "The page shows codes again", body = Passkey, content_type = "application/json"),
))]
pub(in crate::http) async fn give_up(
    State(app): State<AppState>,
    TargetInPath(target): TargetInPath,
) -> Result<Json<Passkey>, ApiError> {
    take(&app, target, PasskeyAsk::GiveUp).await
}

/// Says that the code is the one on the phone.
#[utoipa::path(post, path = "/sessions/{id}/passkey/confirm", tag = "sessions", params(SessionInPath), responses(
    (status = 200, description = "The page has been told", body = Passkey, content_type = "application/json"),
))]
pub(in crate::http) async fn confirm(
    State(app): State<AppState>,
    TargetInPath(target): TargetInPath,
) -> Result<Json<Passkey>, ApiError> {
    take(&app, target, PasskeyAsk::Confirm).await
}

async fn take(app: &AppState, target: Target, ask: PasskeyAsk) -> Result<Json<Passkey>, ApiError> {
    let Some(session) = app.registry.find(&target.id) else {
        let snapshot = status::snapshot(app, &target.id);
        return Err(PasskeyError::in_state(snapshot.state.name()).into());
    };
    session.passkey(ask).await?;
    Ok(Json(Passkey::of(target, &session.snapshot())))
}
