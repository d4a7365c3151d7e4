//! `GET /ping`, `/api/server/version` and `/api/server/status`: whether the service is there, and what it is.

use axum::extract::State;

use crate::http::{
    state::AppState,
    wire::{
        extract::Json,
        waha::{WahaPong, WahaServer, WahaVersion},
    },
};

/// `GET /ping`.
pub(in crate::http) async fn ping() -> Json<WahaPong> {
    Json(WahaPong { message: "pong" })
}

/// `GET /api/server/version`, and its older name `/api/version`.
pub(in crate::http) async fn version() -> Json<WahaVersion> {
    Json(WahaVersion::default())
}

/// `GET /api/server/status`.
pub(in crate::http) async fn status(State(app): State<AppState>) -> Json<WahaServer> {
    Json(WahaServer::of(app.started_at, app.started.elapsed()))
}
