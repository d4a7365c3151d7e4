//! `GET /health`: that the service lives, and what it looks after. Needs no key and does not wait.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use axum::extract::State;
use jiff::Timestamp;

use crate::{
    http::{
        state::AppState,
        wire::{
            contract::{AdapterCensus, ChromeCensus, Health, Moment},
            extract::Json,
        },
    },
    session::{ClienteId, SessionState, Snapshot},
};

/// Says that the service runs, and counts its sessions.
///
/// From the snapshots of all sessions: it waits for none.
#[utoipa::path(get, path = "/health", tag = "service", responses(
    (status = 200, description = "The service runs", body = Health, content_type = "application/json"),
))]
pub(in crate::http) async fn health(State(app): State<AppState>) -> Json<Health> {
    let snapshots = app.registry.snapshots();
    let mut sessions = BTreeMap::from(SessionState::NAMES.map(|state| (Cow::from(state), 0)));
    for (_, snapshot) in &snapshots {
        *sessions.entry(snapshot.state.name().into()).or_default() += 1;
    }
    Json(Health {
        status: "ok".into(),
        service: "session-manager".into(),
        timestamp: Moment(Timestamp::now()),
        version: env!("CARGO_PKG_VERSION").into(),
        uptime_seconds: app.started.elapsed().as_secs(),
        sessions,
        sandbox: app.config.sandbox_url().map(str::to_owned),
        adapter: adapters(&snapshots),
        chrome: ChromeCensus {
            running: snapshots
                .iter()
                .filter(|(_, snapshot)| snapshot.chrome_pid.is_some())
                .count(),
            memory_mb: snapshots
                .iter()
                .filter_map(|(_, snapshot)| Some(snapshot.memory?.mb))
                .sum(),
        },
    })
}

fn adapters(snapshots: &[(ClienteId, Snapshot)]) -> AdapterCensus {
    let mut census = AdapterCensus::default();
    let reports = || snapshots.iter().map(|(_, snapshot)| &snapshot.adapter);
    for report in reports() {
        let Some(name) = report.serving else { continue };
        *census.serving.entry(name.into()).or_default() += 1;
        if let Some(since) = report.since {
            let earliest = census.since.entry(name.into()).or_insert(Moment(since));
            earliest.0 = earliest.0.min(since);
        }
    }
    let missing: BTreeSet<_> = reports().flat_map(|report| &report.missing).collect();
    census.missing = missing.into_iter().cloned().collect();
    census
}
