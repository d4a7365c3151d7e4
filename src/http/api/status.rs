//! `GET /status` and `GET /sessions`: what the sessions are doing. Both read snapshots and never wait for a browser.

use axum::extract::State;

use crate::{
    http::{
        guard::{caller::Caller, reach::TargetInPath},
        state::AppState,
        wire::{
            contract::{Forgotten, Sessions, Status, is_ready},
            error::ApiError,
            extract::Json,
            parameters::{SessionInHeader, SessionInPath, SessionInQuery},
            target::Target,
        },
    },
    ledger::Traffic,
    session::{ClienteId, Snapshot},
};

/// Where a session stands. One that was never seen is `DISCONNECTED`.
#[utoipa::path(get, path = "/status", tag = "sessions", params(SessionInQuery, SessionInHeader), responses(
    (status = 200, description = "The session as it is now", body = Status, content_type = "application/json"),
))]
pub(in crate::http) async fn status(
    State(app): State<AppState>,
    target: Target,
) -> Result<Json<Status>, ApiError> {
    let snapshot = snapshot(&app, &target.id);
    let (traffic, lives) = (traffic(&app, &target.id), app.config.code_lives());
    Ok(Json(Status::of(target, snapshot, traffic, lives)?))
}

/// All sessions that the key reaches.
#[utoipa::path(get, path = "/sessions", tag = "sessions", responses(
    (status = 200, description = "Every known session", body = Sessions, content_type = "application/json"),
))]
pub(in crate::http) async fn sessions(
    State(app): State<AppState>,
    caller: Caller,
) -> Json<Sessions> {
    Json(listed(&app, &caller))
}

/// Deletes what there is of a session that does not run and is not linked: one whose codes were not scanned, or whose
/// profile is missing. A link is only ever deleted by a logout.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "sessions", params(SessionInPath), responses(
    (status = 200, description = "It is deleted, and in no list any more", body = Forgotten, content_type = "application/json"),
))]
pub(in crate::http) async fn forget(
    State(app): State<AppState>,
    TargetInPath(target): TargetInPath,
) -> Result<Json<Forgotten>, ApiError> {
    if app.registry.forget(&target.id).await? {
        Ok(Json(Forgotten::of(target)))
    } else {
        Err(ApiError::UnknownSession)
    }
}

/// The session as it is now. One that was never seen has been `DISCONNECTED` for as long as the service runs.
pub(super) fn snapshot(app: &AppState, id: &ClienteId) -> Snapshot {
    let registry = &app.registry;
    let known = registry.find(id).map(|session| session.snapshot());
    known
        .or_else(|| registry.last_seen(id))
        .unwrap_or_else(|| Snapshot::not_running(app.started_at))
}

/// What the session has done and has still to do.
pub(super) fn traffic(app: &AppState, id: &ClienteId) -> Traffic {
    app.registry.ledger().tally().traffic(id.as_str())
}

/// The list as this caller may see it.
pub(super) fn listed(app: &AppState, caller: &Caller) -> Sessions {
    let mut snapshots = app.registry.snapshots();
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
                let traffic = traffic(app, &id);
                Status::listed(&id, snapshot, traffic)
            })
            .collect(),
    }
}
