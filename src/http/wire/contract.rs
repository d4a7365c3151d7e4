//! The words of the contract: every answer as a type, its fields in the order in which they were recorded; one file for each
//! resource.
//!
//! No decision is taken here but how a snapshot reads on the wire. A field may be added, none may go or change its type.
//! What holds a code that links has no `Debug`: it is for its caller, and for no log. The types are the schemas of the `OpenAPI`
//! document as well, and `command` reads the same types: the service and its commands cannot mean different fields. A word of a
//! closed list is a `Cow`: borrowed where it is written, owned where it is read, and any word is read, since the service may
//! be newer than the command.

mod bridge;
mod chats;
mod connect;
mod events;
mod evidence;
mod health;
mod link;
mod media;
mod messages;
mod notice;
mod passkey;
mod qr;
mod schema;
mod send;
mod status;
mod webhooks;

pub(in crate::http) use bridge::BridgeAnswer;
pub(in crate::http) use chats::{
    ChatMessages, ChatsAnswer, GroupAnswer, GroupsAnswer, NumberAnswer,
};
pub(in crate::http) use connect::{Connected, Disconnected, Forgotten};
pub(in crate::http) use events::{Event, Events, envelope};
pub(in crate::http) use evidence::EvidenceAnswer;
pub(crate) use health::Health;
pub(in crate::http) use health::{AdapterCensus, ChromeCensus};
use jiff::Timestamp;
pub(in crate::http) use link::{LinkStatus, MadeLink};
pub(in crate::http) use media::MediaBrought;
pub(in crate::http) use messages::{DryRun, Message, Messages};
pub(in crate::http) use notice::NoticeDismissed;
pub(in crate::http) use passkey::Passkey;
pub(in crate::http) use qr::{Qr, QrCodeAnswer, expires_in};
pub(in crate::http) use schema::{FileBytes, NamedClienteId, StateName};
pub(in crate::http) use send::{AcceptedSend, DoneInChat, SentOrDryRun};
use serde::{Deserialize, Serialize, Serializer};
pub(in crate::http) use status::is_ready;
pub(crate) use status::{Sessions, Status};
use utoipa::ToSchema;
pub(in crate::http) use webhooks::{
    DeliveriesAnswer, Redriven, WebhookAnswer, WebhookRemoved, WebhookTested, Webhooks,
};

/// A moment as `2026-11-22T12:42:36.107Z`: always three decimals, as JavaScript writes it.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-22T12:42:36.107Z")]
pub(crate) struct Moment(pub(crate) Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.3}", self.0))
    }
}

#[cfg(test)]
mod tests;
