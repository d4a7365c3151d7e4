//! The words of `/bridge`.

use serde::Serialize;
use utoipa::ToSchema;

use super::webhooks::Deliveries;
use crate::ledger::ConsumerTally;

/// `GET /bridge`: whether texts are reported to the backend Central Hub, and what became of the reports.
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
    pub(in crate::http) fn of(tally: Option<&ConsumerTally>, missing: Vec<&'static str>) -> Self {
        Self {
            success: true,
            on: tally.is_some(),
            missing,
            deliveries: tally.map(Deliveries::of),
        }
    }
}
