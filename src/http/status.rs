//! `GET /status` and `GET /sessions`: what the sessions are doing. Both read snapshots and never wait for a browser.

use axum::extract::State;

use super::{
    caller::Caller,
    contract::{Sessions, Status, is_ready},
    error::ApiError,
    extract::Json,
    openapi::requests::{SessionInHeader, SessionInQuery},
    state::AppState,
    target::Target,
};

/// Where a session stands. One that was never seen is `DISCONNECTED`.
#[utoipa::path(get, path = "/status", tag = "sessions", params(SessionInQuery, SessionInHeader), responses(
    (status = 200, description = "The session as it is now", body = Status, content_type = "application/json"),
))]
pub(super) async fn status(
    State(app): State<AppState>,
    target: Target,
) -> Result<Json<Status>, ApiError> {
    let snapshot = app.snapshot(&target.id);
    let (traffic, lives) = (app.traffic(&target.id), app.settings().code_lives);
    Ok(Json(Status::of(target, snapshot, traffic, lives)?))
}

/// All sessions that the key reaches.
#[utoipa::path(get, path = "/sessions", tag = "sessions", responses(
    (status = 200, description = "Every known session", body = Sessions, content_type = "application/json"),
))]
pub(super) async fn sessions(State(app): State<AppState>, caller: Caller) -> Json<Sessions> {
    Json(listed(&app, &caller))
}

/// The list as this caller may see it.
pub(super) fn listed(app: &AppState, caller: &Caller) -> Sessions {
    let mut snapshots = app.registry().snapshots();
    snapshots.retain(|(id, _)| caller.reaches(id));
    let ready = snapshots
        .iter()
        .filter(|(_, snapshot)| is_ready(&snapshot.state));
    let sessions: Vec<String> = ready.map(|(id, _)| id.to_string()).collect();
    Sessions {
        success: true,
        count: sessions.len(),
        sessions,
        details: snapshots
            .into_iter()
            .map(|(id, snapshot)| {
                let traffic = app.traffic(&id);
                Status::listed(&id, snapshot, traffic)
            })
            .collect(),
    }
}
