//! The words of `/connect` and `/disconnect`.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Moment, NamedClienteId, StateName};
use crate::{
    http::wire::target::Target,
    session::{ConnectOutcome, DisconnectOutcome, PairingCode, Recipient, SessionState},
};

/// `POST /connect`.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
pub(in crate::http) struct Connected {
    success: bool,
    message: &'static str,
    #[schema(value_type = StateName)]
    state: &'static str,
    /// The same word as `state`.
    status: &'static str,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    session: String,
    #[serde(rename = "alreadyConnected")]
    already_connected: bool,
    /// The eight characters to type on the phone that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pairing_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pairing_code_expires_at: Option<Moment>,
}

impl Connected {
    /// `phone`: whose code was asked for, if any; another one's is none of the caller's business.
    pub(in crate::http) fn of(
        target: Target,
        phone: Option<&Recipient>,
        outcome: &ConnectOutcome,
    ) -> Self {
        let state = outcome.snapshot.state.name();
        let is_meant = |code: &&PairingCode| Some(&code.phone) == phone;
        let pairing = outcome.snapshot.state.pairing().filter(is_meant);
        Self {
            success: true,
            message: match outcome.snapshot.state {
                SessionState::Ready | SessionState::Hibernating => "Connected",
                SessionState::QrRequired { .. } => "QR required",
                SessionState::Init
                | SessionState::Authenticated
                | SessionState::Disconnected
                | SessionState::Error => "Connecting",
            },
            state,
            status: state,
            cliente_id: target.echo,
            session: target.id.to_string(),
            already_connected: outcome.already_connected,
            pairing_code: pairing.map(|code| code.text.clone().into()),
            pairing_code_expires_at: pairing.map(|code| Moment(code.expires_at)),
        }
    }
}

/// `DELETE /sessions/{id}`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Forgotten {
    success: bool,
    message: &'static str,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    session: String,
}

impl Forgotten {
    pub(in crate::http) fn of(target: Target) -> Self {
        Self {
            success: true,
            message: "Deleted",
            cliente_id: target.echo,
            session: target.id.to_string(),
        }
    }
}

/// `POST /disconnect`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Disconnected {
    success: bool,
    message: &'static str,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    session: String,
    /// Whether the service knew such a session: not, when no caller has ever connected it.
    existed: bool,
}

impl Disconnected {
    /// `None`: there is no such session.
    pub(in crate::http) fn of(target: Target, outcome: Option<DisconnectOutcome>) -> Self {
        Self {
            success: true,
            message: match outcome {
                None | Some(DisconnectOutcome::NoActiveSession) => "No active session",
                Some(DisconnectOutcome::Disconnected) => "Disconnected",
                Some(DisconnectOutcome::DisconnectedWithErrors) => "Disconnected with errors",
                Some(DisconnectOutcome::LoggedOut) => "Logged out",
            },
            existed: outcome.is_some(),
            cliente_id: target.echo,
            session: target.id.to_string(),
        }
    }
}
