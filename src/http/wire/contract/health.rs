//! The words of `/health`.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Moment;

/// `GET /health`.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`: a service that is not, does not answer.
    #[schema(value_type = String)]
    pub(in crate::http) status: Cow<'static, str>,
    #[schema(value_type = String)]
    pub(in crate::http) service: Cow<'static, str>,
    pub(in crate::http) timestamp: Moment,
    #[schema(value_type = String)]
    pub(crate) version: Cow<'static, str>,
    pub(crate) uptime_seconds: u64,
    /// How many known sessions are in each state; every state is listed.
    #[schema(value_type = BTreeMap<String, usize>)]
    pub(crate) sessions: BTreeMap<Cow<'static, str>, usize>,
    pub(in crate::http) adapter: AdapterCensus,
    pub(in crate::http) chrome: ChromeCensus,
    /// Where the simulated WhatsApp and its phone (`/phone`) are, when this is the sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) sandbox: Option<String>,
}

/// Which adapters serve, over all sessions.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
pub(crate) struct AdapterCensus {
    /// How many sessions each adapter serves.
    #[schema(value_type = BTreeMap<String, usize>)]
    pub(in crate::http) serving: BTreeMap<Cow<'static, str>, usize>,
    /// Since when each has served, where it has served longest.
    #[schema(value_type = BTreeMap<String, Moment>)]
    pub(in crate::http) since: BTreeMap<Cow<'static, str>, Moment>,
    /// What any session's page lacks, each name once.
    pub(in crate::http) missing: Vec<String>,
}

/// What runs on the machine.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
pub(crate) struct ChromeCensus {
    pub(in crate::http) running: usize,
    /// What all that have been measured take together.
    pub(in crate::http) memory_mb: u64,
}
