//! `POST /sessions/{id}/notice/dismiss`: closes a notice that lies over the chats.
//!
//! Only a dialog with one button, which decides nothing; the page's scripts see to that.

use axum::extract::State;

use crate::{
    http::{
        guard::reach::TargetInPath,
        state::AppState,
        wire::{
            contract::NoticeDismissed, error::ApiError, extract::Json, parameters::SessionInPath,
        },
    },
    session::DismissError,
};

/// Presses the only button of the notice that lies over the chats. A dialog that asks something is left alone.
#[utoipa::path(post, path = "/sessions/{id}/notice/dismiss", tag = "sessions", params(SessionInPath), responses(
    (status = 200, description = "The notice is gone", body = NoticeDismissed, content_type = "application/json"),
))]
pub(in crate::http) async fn dismiss(
    State(app): State<AppState>,
    TargetInPath(target): TargetInPath,
) -> Result<Json<NoticeDismissed>, ApiError> {
    let session = app.registry.find(&target.id);
    let session = session.ok_or(DismissError::NotRunning)?;
    let notice = session.dismiss_notice().await?;
    Ok(Json(NoticeDismissed::of(target, notice)))
}
