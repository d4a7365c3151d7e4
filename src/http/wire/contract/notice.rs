//! The words of `/sessions/{id}/notice/dismiss`.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::NamedClienteId;
use crate::http::wire::target::Target;

/// `POST /sessions/{id}/notice/dismiss`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct NoticeDismissed {
    success: bool,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    session: String,
    /// The first words of the notice that was closed.
    notice: String,
}

impl NoticeDismissed {
    pub(in crate::http) fn of(target: Target, notice: String) -> Self {
        Self {
            success: true,
            cliente_id: target.echo,
            session: target.id.to_string(),
            notice,
        }
    }
}
