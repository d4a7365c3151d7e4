//! `GET /numbers/{number}`: whom a number or a LID means.
//!
//! It may show the number that a person hides from others behind a LID, so it needs a key that may receive. A key that may send finds out
//! by a dry run whether a number is on WhatsApp.

use axum::extract::State;

use super::reading::{ChatInPath, naming, session_to_read};
use crate::http::{
    state::AppState,
    wire::{
        contract::NumberAnswer,
        error::ApiError,
        extract::Json,
        parameters::{NumberParameter, SessionInHeader, SessionInQuery},
        target::Target,
    },
};

/// Whether a number is on WhatsApp, by which address, and which LID belongs to it; or which number belongs to a LID. WhatsApp's server is
/// asked about a number that is not known yet.
#[utoipa::path(get, path = "/numbers/{number}", tag = "chats", operation_id = "get_number", params(NumberParameter, SessionInQuery, SessionInHeader), responses(
    (status = 200, description = "What is known of it", body = NumberAnswer, content_type = "application/json"),
))]
pub(in crate::http) async fn get(
    State(app): State<AppState>,
    target: Target,
    ChatInPath(address): ChatInPath,
) -> Result<Json<NumberAnswer>, ApiError> {
    if address.is_group() {
        return Err(ApiError::NotAPerson);
    }
    let session = session_to_read(&app, &target)?;
    let facts = session.number(address).await;
    let facts = facts.map_err(ApiError::from).map_err(naming(&target))?;
    Ok(Json(NumberAnswer::of(target, facts)))
}
