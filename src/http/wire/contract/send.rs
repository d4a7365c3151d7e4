//! The words of `/send`.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{DryRun, Moment, NamedClienteId};
use crate::session::Sent;

/// `POST /send`: taken by WhatsApp's server, by WhatsApp's own queue in the page, or still queued by the service.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Accepted)] // Its name in the document, which does not change.
pub(in crate::http) struct AcceptedSend {
    success: bool,
    ok: bool,
    message: &'static str,
    message_id: String,
    /// How far it has got: `GET /messages/{message_id}` tells more.
    message_state: &'static str,
    data: AcceptedMessage,
}

/// What the service before this one answered about a message.
#[derive(Debug, Serialize, ToSchema)]
struct AcceptedMessage {
    success: bool,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    to: String,
    #[serde(rename = "messageId")]
    message_id: String,
    timestamp: Moment,
    ack: i32,
}

impl AcceptedSend {
    pub(in crate::http) fn of(cliente_id: Value, to: String, sent: Sent) -> Self {
        Self {
            success: true,
            ok: true,
            message: if sent.ack >= 1 {
                "Message sent"
            } else {
                "Message pending"
            },
            message_id: sent.message_id.clone(),
            message_state: sent.state.as_str(),
            data: AcceptedMessage {
                success: true,
                cliente_id,
                to,
                message_id: sent.message_id,
                timestamp: Moment(sent.at),
                ack: sent.ack,
            },
        }
    }

    /// Of something that is done to a message.
    pub(in crate::http) fn of_action(cliente_id: Value, to: String, sent: Sent) -> Self {
        let message = if sent.ack >= 1 { "Done" } else { "Pending" };
        Self {
            message,
            ..Self::of(cliente_id, to, sent)
        }
    }

    /// Whether WhatsApp's server has it; else it waits in WhatsApp's own queue, or is still queued by the service.
    pub(in crate::http) const fn is_with_the_server(&self) -> bool {
        self.data.ack >= 1
    }
}

/// `POST /chats/{chat}/seen` and `/typing`: the page has done it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct DoneInChat {
    success: bool,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    /// The chat as it is understood: the digits of a number, else the address.
    chat: String,
}

impl DoneInChat {
    pub(in crate::http) const fn of(cliente_id: Value, chat: String) -> Self {
        Self {
            success: true,
            cliente_id,
            chat,
        }
    }
}

/// What `/send` answers with 200: for the document alone.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(in crate::http) enum SentOrDryRun {
    Sent(AcceptedSend),
    DryRun(DryRun),
}
