//! The words of `/bridge`.

use serde::Serialize;
use utoipa::ToSchema;

use super::webhooks::Deliveries;
use crate::delivery::ShownBridge;

/// `GET /bridge`: whether the backend Central Hub is told of texts, and what became of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Bridge)]
pub(in crate::http) struct BridgeAnswer {
    success: bool,
    /// Whether the bridge is on.
    on: bool,
    /// What is not set and is needed, while it is off.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<&'static str>,
    /// What became of the events, while it is on. A message that is `dead` was recorded where its `failure` says so, and can be
    /// redriven.
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<Deliveries>,
}

impl BridgeAnswer {
    pub(in crate::http) fn of(shown: Option<&ShownBridge>, missing: Vec<&'static str>) -> Self {
        Self {
            success: true,
            on: shown.is_some(),
            missing,
            deliveries: shown.map(|shown| Deliveries::of(&shown.tally)),
        }
    }
}
