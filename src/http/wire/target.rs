//! The session that a request means, as its answer names it.

use serde_json::Value;

use crate::session::ClienteId;

/// The session that a request means, and how its caller called it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http) struct Target {
    /// The session that serves the request.
    pub(in crate::http) id: ClienteId,
    /// The caller's own `cliente_id`, of the type that the caller used.
    pub(in crate::http) echo: Value,
}
