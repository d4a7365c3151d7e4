//! `/sessions/{id}/evidence`: what a session that failed has left behind, and evidence on request.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};

use crate::{
    http::{
        guard::reach::TargetInPath,
        state::AppState,
        wire::{
            contract::EvidenceAnswer,
            error::ApiError,
            extract::{Json, answer_headers},
            parameters::SessionInPath,
        },
    },
    session::EvidenceError,
};

/// The latest evidence, in words.
#[utoipa::path(get, path = "/sessions/{id}/evidence", tag = "evidence", params(SessionInPath), responses(
    (status = 200, description = "What the last failure left", body = EvidenceAnswer, content_type = "application/json"),
))]
pub(in crate::http) async fn latest(
    State(app): State<AppState>,
    TargetInPath(target): TargetInPath,
) -> Result<Json<EvidenceAnswer>, ApiError> {
    let latest = app.registry.evidence(&target.id).latest().await?;
    let evidence = latest.ok_or(ApiError::NoEvidence)?;
    Ok(Json(EvidenceAnswer::of(target, evidence)))
}

/// The picture of the latest evidence.
#[utoipa::path(get, path = "/sessions/{id}/evidence/screenshot.png", tag = "evidence", params(SessionInPath), responses(
    (status = 200, description = "The picture", body = String, content_type = "image/png"),
))]
pub(in crate::http) async fn screenshot(
    State(app): State<AppState>,
    TargetInPath(target): TargetInPath,
) -> Result<Response, ApiError> {
    let png = app.registry.evidence(&target.id).screenshot().await?;
    let png = png.ok_or(ApiError::NoEvidence)?;
    Ok((answer_headers("image/png"), png).into_response())
}

/// Looks at the running page now.
#[utoipa::path(post, path = "/sessions/{id}/evidence", tag = "evidence", params(SessionInPath), responses(
    (status = 200, description = "What was seen", body = EvidenceAnswer, content_type = "application/json"),
))]
pub(in crate::http) async fn take(
    State(app): State<AppState>,
    TargetInPath(target): TargetInPath,
) -> Result<Json<EvidenceAnswer>, ApiError> {
    let session = app.registry.find(&target.id);
    let session = session.ok_or(EvidenceError::NotRunning)?;
    let evidence = session.take_evidence().await?;
    Ok(Json(EvidenceAnswer::of(target, evidence)))
}
