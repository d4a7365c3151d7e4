//! The words of `/sessions/{id}/passkey`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Moment, NamedClienteId, StateName};
use crate::{
    http::wire::target::Target,
    session::{PasskeyReport, Snapshot},
};

/// `/sessions/{id}/passkey`, whatever was asked. Its challenge and its code are secrets, so it has no `Debug`.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Passkey {
    success: bool,
    #[schema(value_type = StateName)]
    state: &'static str,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    session: String,
    /// What linking waits for: `preparing`, `sign`, `sending`, `phone`, `compare` or `linking`; nothing when no passkey is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "sign")]
    step: Option<&'static str>,
    /// When WhatsApp gives this step up. The next attempt begins by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Moment>,
    /// The same in seconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<i64>,
    /// What is to be signed, as base64url; with `sign` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<String>,
    /// The whole request, for `PublicKeyCredential.parseRequestOptionsFromJSON` or a browser extension; with `sign` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    options: Option<Value>,
    /// A signature that is handed in before this needs no comparison of codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    without_code_until: Option<Moment>,
    /// The code to compare with the one on the phone; with `compare` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// How many challenges there have been since the code was scanned.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    /// Why the attempt before failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<String>,
}

impl Passkey {
    pub(in crate::http) fn of(target: Target, snapshot: &Snapshot) -> Self {
        let report = snapshot.passkey.as_ref();
        let options = report.and_then(|report| report.request.as_ref());
        let options: Option<Value> =
            options.and_then(|request| serde_json::from_str(&request.options).ok());
        let challenge = options.as_ref().and_then(|it| it["challenge"].as_str());
        let expires_at = report.and_then(|report| report.expires_at);
        Self {
            success: true,
            state: snapshot.state.name(),
            cliente_id: target.echo,
            session: target.id.to_string(),
            step: report.map(|report| report.step.as_str()),
            expires_at: expires_at.map(Moment),
            expires_in: expires_at.map(seconds_until),
            challenge: challenge.map(str::to_owned),
            options,
            without_code_until: report
                .and_then(|report| report.without_code_until)
                .map(Moment),
            code: report
                .and_then(|report| report.code.clone())
                .map(Into::into),
            attempt: report.map(|report| report.attempt),
            last_failure: report.and_then(|report| report.last_failure.clone()),
        }
    }
}

/// Rounded down: a caller that trusts it is too early rather than too late.
pub(super) fn seconds_until(moment: Timestamp) -> i64 {
    moment.duration_since(Timestamp::now()).as_secs().max(0)
}

/// What a status says of it: what is waited for, and nothing that is secret.
#[derive(serde::Deserialize, Debug, Serialize, ToSchema)]
pub(crate) struct PasskeyWanted {
    /// As in `/sessions/{id}/passkey`.
    #[schema(value_type = String, example = "sign")]
    pub(crate) step: std::borrow::Cow<'static, str>,
    /// When WhatsApp gives this step up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Moment>,
    /// The same in seconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<i64>,
    /// How many challenges there have been.
    attempt: u32,
}

impl PasskeyWanted {
    pub(super) fn of(report: &PasskeyReport) -> Self {
        Self {
            step: report.step.as_str().into(),
            expires_at: report.expires_at.map(Moment),
            expires_in: report.expires_at.map(seconds_until),
            attempt: report.attempt,
        }
    }
}
