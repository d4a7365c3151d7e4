//! The words of `/qr` and `/qr-code`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{NamedClienteId, StateName};
use crate::{config::CodeLives, session::QrCode};

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
        /// Seconds; an estimate.
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

/// How many codes WhatsApp's server hands out at a time.
const BATCH: u32 = 6;

/// How long a code can be scanned still, in seconds.
pub(in crate::http) fn expires_in(
    code: &QrCode,
    attempts: u32,
    lives: CodeLives,
    now: Timestamp,
) -> i64 {
    let is_first = attempts % BATCH == 1;
    let life = if is_first { lives.first } else { lives.next };
    let left = life.as_secs_f64() - now.duration_since(code.shown_at).as_secs_f64();
    // Whole seconds, rounded down: a caller that trusts it fetches the next code too early rather than too late.
    #[expect(clippy::cast_possible_truncation, reason = "a life is at most a day")]
    let seconds = left.max(0.0).floor() as i64;
    seconds
}
