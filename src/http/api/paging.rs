//! Lists that are read a page at a time: what their queries have in common.
//!
//! Not responsible for what a page holds, nor for its cursor: that is the resource's own.

use crate::{
    http::{
        guard::{caller::Caller, reach},
        state::AppState,
        wire::error::ApiError,
    },
    session::ClienteId,
};

/// Entries in one answer, unless the caller wants fewer.
pub(super) const PAGE: usize = 100;

/// The most that a caller may ask for at once: some kilobytes each at most.
const LARGEST_PAGE: usize = 1000;

/// What `limit` says.
pub(super) fn limit(value: &str) -> Result<usize, ApiError> {
    limit_of(value, LARGEST_PAGE)
}

/// The same, of a list of which a caller may ask for so many at once.
pub(super) fn limit_of(value: &str, most: usize) -> Result<usize, ApiError> {
    let limit = value.parse().ok();
    let limit = limit.filter(|limit| (1..=most).contains(limit));
    limit.ok_or(ApiError::InvalidLimit(most))
}

/// The sessions of which a caller may see anything; `None`: all of them.
pub(super) fn sessions_of(caller: &Caller) -> Option<Vec<String>> {
    let texts = |ids: Vec<&ClienteId>| ids.into_iter().map(ClienteId::to_string).collect();
    caller.limited_to().map(texts)
}

/// The session that `cliente_id` of a query says, for a caller that reaches it.
pub(super) fn session_named(
    value: &str,
    caller: &Caller,
    app: &AppState,
) -> Result<String, ApiError> {
    if value.is_empty() {
        return Err(ApiError::ClienteIdRequired);
    }
    let id: ClienteId = value.parse()?;
    let session = reach::serving(app, &id);
    caller.authorize(session)?;
    Ok(session.to_string())
}
