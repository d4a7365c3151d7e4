//! An event of the page as an entry of the log.

use jiff::Timestamp;

use crate::{
    heard::Content,
    ledger::{EventKind, Me, NewEvent},
    masked::Text,
    session::ClienteId,
    whatsapp::Heard,
};

/// What is written down of it. One whose time the page does not know happened by now.
pub(super) fn entry(session: &ClienteId, me: &Me, heard: Heard) -> NewEvent {
    let happened_at = heard.at().unwrap_or_else(Timestamp::now);
    let (kind, data) = match &heard.content {
        Content::Message(said) => (EventKind::Message, json(said)),
        Content::OwnMessage(said) => (EventKind::OwnMessage, json(said)),
        Content::Waiting(said) => (EventKind::Waiting, json(said)),
        Content::Ack(said) => (EventKind::Ack, json(said)),
        Content::Edited(said) => (EventKind::Edited, json(said)),
        Content::Revoked(said) => (EventKind::Revoked, json(said)),
        Content::Reaction(said) => (EventKind::Reaction, json(said)),
        Content::Resolved(said) => (EventKind::Resolved, json(said)),
        Content::GroupJoined(said) => (EventKind::GroupJoined, json(said)),
        Content::GroupLeft(said) => (EventKind::GroupLeft, json(said)),
        Content::GroupParticipants(said) => (EventKind::GroupParticipants, json(said)),
        Content::GroupUpdated(said) => (EventKind::GroupUpdated, json(said)),
    };
    NewEvent {
        session: session.to_string(),
        kind,
        once: heard.once,
        who: heard.who,
        chat: heard.chat,
        me: me.clone(),
        happened_at,
        is_late: heard.late,
        data,
        own_key: heard.own,
    }
}

/// These shapes have nothing that JSON cannot say.
fn json(said: &impl serde::Serialize) -> Text {
    serde_json::to_string(said).unwrap_or_default().into()
}
