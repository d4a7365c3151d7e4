//! Whether a request that names no session does so on purpose.
//!
//! Such a request means the default session. Its sender may have meant another one and misspelt its name, and would then
//! disconnect, connect or read the account of another session. So what acts must be understood whole: without a session, a
//! field that is not known is refused. Where a session is named, unknown fields are ignored, as before.
//!
//! A read acts on nothing, and pages add parameters of their own (`?_=1699…` against caches), so there only what looks like a
//! misspelt `cliente_id` is refused. A login code is more than a read: a person who scans the code of another session links a phone to
//! that session. So there, too, each parameter must be known; and so it is for the log of events ([`check_parameters`]), where a
//! misspelt one would show the events of all sessions. In single mode there is one session, and nothing to mistake.
//!
//! A field that changes what is done, such as `dry_run`, is looked for where a session is named as well: a caller that misspells it would send a
//! message that was only to be tried.

use axum::http::{HeaderMap, HeaderName, request::Parts};

use super::reach::HEADER;
use crate::{
    config::SessionMode,
    http::{
        state::AppState,
        wire::{
            error::ApiError,
            extract::{CLIENTE_ID, FromBody, Object},
            requests::fields_of,
            spelling::{LONGEST_NAME, bare},
        },
    },
};

/// `cliente_id` without what people write between words.
const BARE_ID: &str = "clienteid";

/// Two slips: `clientid`, `cliente_di`, `clienteld`.
const MOST_SLIPS: usize = 2;

/// Other words for the same thing, as other services call it (WAHA, venom and wppconnect `session`, Evolution API `instanceName`),
/// in English and in Spanish.
const OTHER_NAMES: [&str; 13] = [
    "cliente",
    "client",
    "session",
    "sesion",
    "instance",
    "instancia",
    "account",
    "cuenta",
    "tenant",
    "phone",
    "device",
    "dispositivo",
    "bot",
];

/// What stands before or behind such a word: `sessionId`, `id_sesion`, `instanceName`, `session_key`.
const PARTS: [&str; 4] = ["id", "name", "nombre", "key"];

/// Of these, headers of other people's making are called: `X-Client-Id` is refused as a slip in `X-Cliente-Id`, `X-Client` and
/// `X-Device-Id`, which apps and proxies add, are let be.
const NOT_IN_HEADERS: [&str; 3] = ["client", "device", "phone"];

/// What pages add against caches.
const AGAINST_CACHES: [&str; 3] = ["_", "t", "ts"];

/// What is read of the address of a code.
const FORMAT: &str = "format";

/// Refuses a POST that names no session and has a field, a parameter or a header that may have been meant to.
pub(super) fn check_post<B: FromBody>(
    body: &Object,
    parts: &Parts,
    app: &AppState,
) -> Result<(), ApiError> {
    let query = parts.uri.query().unwrap_or_default();
    let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    // It does not go before the header or the default: its sender means this session, and the body of a POST has it.
    if !body.contains_key(CLIENTE_ID) && names.clone().any(|name| name == CLIENTE_ID) {
        return Err(ApiError::ClienteIdInQuery);
    }
    if names_a_session(body, parts, app) {
        return Ok(());
    }
    check_body::<B>(body)?;
    if let Some(name) = names.find(|name| !B::QUERY.contains(&name.as_ref())) {
        return Err(unknown("query", &name, B::MAY_NAME_NO_SESSION));
    }
    check_headers(&parts.headers, B::MAY_NAME_NO_SESSION)
}

/// Refuses a body that names no session and has a field that is not known.
fn check_body<B: FromBody>(body: &Object) -> Result<(), ApiError> {
    let mut names = body.keys();
    match names.find(|name| !fields_of::<B::Fields>().contains(&name.as_str())) {
        Some(name) if !body.contains_key(CLIENTE_ID) => {
            Err(unknown("body", name, B::MAY_NAME_NO_SESSION))
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses a read that names no session and has a parameter or a header that looks like a misspelt `cliente_id`.
pub(in crate::http) fn check_read(parts: &Parts, app: &AppState) -> Result<(), ApiError> {
    check_query(parts, app, is_meant_as_id)
}

/// Refuses a request with a parameter that its route does not know.
pub(in crate::http) fn check_parameters(
    query: Option<&str>,
    known: &'static [&'static str],
) -> Result<(), ApiError> {
    let query = query.unwrap_or_default();
    let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    let is_known = |name: &str| known.contains(&name) || AGAINST_CACHES.contains(&name);
    match names.find(|name| !is_known(name)) {
        Some(name) => Err(ApiError::UnknownParameter {
            name: name.chars().take(LONGEST_NAME).collect(),
            known,
        }),
        None => Ok(()),
    }
}

/// Refuses a request for a login code that names no session and has a parameter that is not known, or such a header.
pub(super) fn check_code(parts: &Parts, app: &AppState) -> Result<(), ApiError> {
    check_query(parts, app, |name| {
        name != FORMAT && !AGAINST_CACHES.contains(&name)
    })
}

fn check_query(
    parts: &Parts,
    app: &AppState,
    is_refused: fn(&str) -> bool,
) -> Result<(), ApiError> {
    let query = parts.uri.query().unwrap_or_default();
    let names = form_urlencoded::parse(query.as_bytes());
    let mut names = names.map(|(name, _)| name);
    let is_named =
        names.clone().any(|name| name == CLIENTE_ID) || parts.headers.contains_key(HEADER);
    if is_named || has_one_session(app) {
        return Ok(());
    }
    if let Some(name) = names.find(|name| is_refused(name)) {
        return Err(unknown("query", &name, true));
    }
    check_headers(&parts.headers, true)
}

/// Whether a body or its request says which session it means; in single mode there is only the one.
pub(in crate::http) fn names_a_session(body: &Object, parts: &Parts, app: &AppState) -> bool {
    has_one_session(app) || body.contains_key(CLIENTE_ID) || parts.headers.contains_key(HEADER)
}

fn has_one_session(app: &AppState) -> bool {
    app.config.session_mode == SessionMode::Single
}

/// Proxies add headers of their own, such as `X-Client-IP`, so only one slip is looked for (`Cliente-Id`, `X-Client-Id`), and the
/// other words as they are (`X-Session-Id`).
fn check_headers(headers: &HeaderMap, may_name_none: bool) -> Result<(), ApiError> {
    let is_meant = |name: &str| {
        let bare = bare(name);
        let bare = bare.strip_prefix('x').unwrap_or(&bare);
        let word = word(bare);
        let is_other_name = OTHER_NAMES.contains(&word) && !NOT_IN_HEADERS.contains(&word);
        is_other_name || strsim::damerau_levenshtein(bare, BARE_ID) <= 1
    };
    let mut names = headers.keys().map(HeaderName::as_str);
    match names.find(|name| *name != HEADER && is_meant(name)) {
        Some(name) => Err(unknown("header", name, may_name_none)),
        None => Ok(()),
    }
}

/// Whether a parameter was meant as `cliente_id`.
fn is_meant_as_id(name: &str) -> bool {
    let bare = bare(name);
    bare == "id"
        || OTHER_NAMES.contains(&word(&bare))
        || strsim::damerau_levenshtein(&bare, BARE_ID) <= MOST_SLIPS
}

/// A bare name without what stands before or behind its word.
fn word(bare: &str) -> &str {
    let without = |part: &&str| {
        bare.strip_prefix(*part)
            .or_else(|| bare.strip_suffix(*part))
    };
    let mut words = PARTS.iter().filter_map(without);
    words
        .find(|word| OTHER_NAMES.contains(word))
        .unwrap_or(bare)
}

fn unknown(place: &'static str, name: &str, may_name_none: bool) -> ApiError {
    ApiError::NamesNothingKnown {
        place,
        name: name.chars().take(LONGEST_NAME).collect(),
        may_name_none,
    }
}

#[cfg(test)]
mod tests;
