//! Which session a request of WAHA's means, and to which chat it goes.
//!
//! WAHA takes a request without a `session` for one of the session `default`. Here that would be a guess about an account, so a
//! session must be named; only a service of one session needs no name.

use std::borrow::Cow;

use axum::http::request::Parts;

use crate::{
    config::SessionMode,
    http::{
        state::AppState,
        wire::{
            error::ApiError,
            requests::{AnyClienteId, Given},
            target::Target,
        },
    },
    session::{Addressee, InvalidClienteId},
};

/// The session in the field `field` of a body.
pub(super) fn in_body(
    field: &'static str,
    named: &Given<AnyClienteId>,
    parts: &Parts,
    app: &AppState,
) -> Result<Target, ApiError> {
    let target = match named {
        Given::Value(AnyClienteId::Name(name)) => Target::named(name, parts, app),
        Given::Value(AnyClienteId::Number(number)) => {
            Target::named(&number.to_string(), parts, app)
        }
        Given::Absent | Given::Null => none(field, parts, app),
        Given::WrongType => Err(InvalidClienteId.into()),
    };
    target.map_err(|why| in_words(field, why))
}

/// The field as the request has it.
fn in_words(field: &'static str, why: ApiError) -> ApiError {
    if let ApiError::InvalidClienteId(InvalidClienteId) | ApiError::ClienteIdRequired = why {
        ApiError::WahaSessionInvalid(field)
    } else {
        why
    }
}

/// The session in the query.
pub(super) fn in_query(parts: &Parts, app: &AppState) -> Result<Target, ApiError> {
    match parameter(parts, "session") {
        Some(name) => Target::named(&name, parts, app).map_err(|why| in_words("session", why)),
        None => none("session", parts, app),
    }
}

fn none(field: &'static str, parts: &Parts, app: &AppState) -> Result<Target, ApiError> {
    match app.config.session_mode {
        SessionMode::Single => Target::named(app.config.default_cliente_id.as_str(), parts, app),
        SessionMode::Multi => Err(ApiError::WahaSessionMissing(field)),
    }
}

/// The value of a parameter, the first where there are several.
pub(super) fn parameter<'a>(parts: &'a Parts, name: &str) -> Option<Cow<'a, str>> {
    let query = parts.uri.query().unwrap_or_default();
    let mut query = form_urlencoded::parse(query.as_bytes());
    query
        .find(|(other, _)| other == name)
        .map(|(_, value)| value)
}

/// Whom a field names.
pub(super) fn addressee(field: &'static str, given: Option<&str>) -> Result<Addressee, ApiError> {
    let given = given.filter(|given| !given.is_empty());
    let given = given.ok_or(ApiError::WahaChatMissing(field))?;
    given
        .parse()
        .map_err(|why| ApiError::InvalidWahaChat { field, why })
}
