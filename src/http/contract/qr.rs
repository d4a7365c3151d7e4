//! The words of `/qr` and `/qr-code`.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{NamedClienteId, StateName};

/// `GET /qr` when it is not asked for a picture.
#[derive(Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::http) enum Qr {
    /// Nothing to scan.
    NoQr {
        #[schema(value_type = StateName)]
        state: &'static str,
        /// Never empty: what to do, or what to wait for.
        reason: String,
        #[schema(value_type = NamedClienteId)]
        cliente_id: Value,
        session: String,
    },
    /// Scan this.
    QrAvailable {
        /// A data URL, PNG.
        qr: String,
        #[schema(value_type = StateName)]
        state: &'static str,
        attempts: u32,
        /// Seconds; an estimate, see `http::qr`.
        expires_in: i64,
        #[schema(value_type = NamedClienteId)]
        cliente_id: Value,
        session: String,
    },
}

/// `GET /qr-code`, an older name.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct QrCodeAnswer {
    #[serde(rename = "qrDataUrl")]
    pub(in crate::http) qr_data_url: String,
    /// The text in the code.
    pub(in crate::http) qr: String,
    pub(in crate::http) status: &'static str,
}
