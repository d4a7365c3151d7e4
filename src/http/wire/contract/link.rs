//! The words of a one-time link.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Moment, status::PendingQr};
use crate::{
    config::CodeLives,
    qr::QrError,
    session::{ClienteId, ReasonCode, Snapshot},
};

/// `POST /sessions/{id}/link`. Its address is a secret, so it has no `Debug`.
#[derive(Serialize, ToSchema)]
#[schema(as = Link)]
pub(in crate::http) struct MadeLink {
    pub(in crate::http) success: bool,
    /// Behind a proxy that serves the API under a path it is right only with `PUBLIC_URL`.
    pub(in crate::http) url: String,
    pub(in crate::http) expires_at: Moment,
}

/// What who has a link learns of its session: whether there is a code, and the code. Neither the account nor the details of
/// a failure.
#[derive(Serialize)]
pub(in crate::http) struct LinkStatus {
    session: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<ReasonCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qr: Option<PendingQr>,
    /// When the link ends.
    expires_at: Moment,
}

impl LinkStatus {
    pub(in crate::http) fn of(
        session: &ClienteId,
        snapshot: &Snapshot,
        lives: CodeLives,
        expires_at: Moment,
    ) -> Result<Self, QrError> {
        Ok(Self {
            session: session.to_string(),
            state: snapshot.state.name(),
            reason: snapshot.reason.as_ref().map(|reason| reason.code),
            qr: PendingQr::of(&snapshot.state, lives)?,
            expires_at,
        })
    }
}
