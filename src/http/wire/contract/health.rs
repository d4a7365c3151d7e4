//! The words of `/health`.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::Moment;

/// `GET /health`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Health {
    /// Always `ok`: a service that is not, does not answer.
    pub(in crate::http) status: &'static str,
    pub(in crate::http) service: &'static str,
    pub(in crate::http) timestamp: Moment,
    pub(in crate::http) version: &'static str,
    pub(in crate::http) uptime_seconds: u64,
    /// How many known sessions are in each state; every state is listed.
    pub(in crate::http) sessions: BTreeMap<&'static str, usize>,
    pub(in crate::http) adapter: AdapterCensus,
    pub(in crate::http) chrome: ChromeCensus,
    /// Where the simulated WhatsApp and its phone (`/phone`) are, when this is the sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) sandbox: Option<String>,
}

/// Which adapters serve, over all sessions.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in crate::http) struct AdapterCensus {
    /// How many sessions each adapter serves.
    pub(in crate::http) serving: BTreeMap<&'static str, usize>,
    /// Since when each has served, where it has served longest.
    pub(in crate::http) since: BTreeMap<&'static str, Moment>,
    /// What any session's page lacks, each name once.
    pub(in crate::http) missing: Vec<String>,
}

/// What runs on the machine.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in crate::http) struct ChromeCensus {
    pub(in crate::http) running: usize,
    /// What all that have been measured take together.
    pub(in crate::http) memory_mb: u64,
}
