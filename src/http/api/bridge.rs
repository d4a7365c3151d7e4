//! `/bridge`: what became of the texts that are reported to the backend Central Hub, and another try for those that it does not have.
//!
//! It is about all sessions, so a key that is limited to some reaches nothing of it.

use axum::extract::State;

use super::webhooks::{Meant, Wanted};
use crate::{
    delivery::Bridge,
    http::{
        guard::caller::Caller,
        state::AppState,
        wire::{
            contract::{BridgeAnswer, DeliveriesAnswer, Redriven},
            error::ApiError,
            extract::Json,
            parameters::DeliveriesInQuery,
            requests::RedriveBody,
        },
    },
};

/// The bridge, for a caller that may see it.
fn reached(app: &AppState, caller: &Caller) -> Result<Option<Bridge>, ApiError> {
    if !caller.reaches_all() {
        return Err(ApiError::BridgeIsOfAll);
    }
    Ok(app.bridge.clone())
}

/// Shows whether texts are reported to the backend, and what became of the reports.
#[utoipa::path(get, path = "/bridge", tag = "webhooks", responses(
    (status = 200, description = "How the bridge to Central Hub stands", body = BridgeAnswer, content_type = "application/json"),
))]
pub(in crate::http) async fn bridge(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<BridgeAnswer>, ApiError> {
    let tally = reached(&app, &caller)?.map(|bridge| bridge.tally());
    let missing = app.config.central_hub.missing();
    Ok(Json(BridgeAnswer::of(tally.as_ref(), missing)))
}

/// Lists events that the backend does not have, in their order: those that wait, or those that were given up. To get the next
/// ones, give the `next` of the answer as `after`.
#[utoipa::path(get, path = "/bridge/deliveries", tag = "webhooks", params(DeliveriesInQuery), responses(
    (status = 200, description = "A page of deliveries; none while the bridge is off", body = DeliveriesAnswer, content_type = "application/json"),
))]
pub(in crate::http) async fn bridge_deliveries(
    State(app): State<AppState>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Json<DeliveriesAnswer>, ApiError> {
    let Wanted {
        state,
        after,
        limit,
    } = wanted;
    let open = match reached(&app, &caller)? {
        // One more than asked for shows whether there are more.
        Some(bridge) => bridge.deliveries(state, after, limit + 1).await?,
        None => Vec::new(),
    };
    Ok(Json(DeliveriesAnswer::of(&open, limit)))
}

/// Lets events that were given up be tried again: those that the body names, else all. A `test-message` that is in doubt is made
/// again then: look first whether the backend has answered that message.
#[utoipa::path(post, path = "/bridge/redrive", tag = "webhooks", request_body(content = RedriveBody, content_type = "application/json", examples(
    ("all" = (value = json!({}))),
)), responses(
    (status = 200, description = "How many are tried again", body = Redriven, content_type = "application/json"),
))]
pub(in crate::http) async fn bridge_redrive(
    State(app): State<AppState>,
    caller: Caller,
    Json(Meant(events)): Json<Meant>,
) -> Result<Json<Redriven>, ApiError> {
    let named = events.as_ref().map(Vec::len);
    let redriven = match reached(&app, &caller)? {
        Some(bridge) => bridge.redrive(events).await?,
        None => 0,
    };
    Ok(Json(Redriven::of(redriven, named)))
}
