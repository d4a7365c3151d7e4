//! The words of `/events`.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr,
        schema::{AllOfBuilder, ObjectBuilder, OneOfBuilder, Schema, Type},
    },
};

use super::{Moment, NamedClienteId};
use crate::{
    delivery::Payload,
    heard::{
        HeardAck, HeardEdit, HeardGroupJoin, HeardGroupLeave, HeardGroupParticipants,
        HeardGroupUpdate, HeardMessage, HeardReaction, HeardResolved, HeardRevoke, media_id,
        media_path,
    },
    ledger::{self, EventKind},
    session::{ClienteId, StatusNews},
};

/// The account that an event belongs to.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    /// Its phone number, digits only; null while it is not known.
    phone: Option<String>,
    /// Its LID; null while it is not known.
    lid: Option<String>,
}

/// What every event says, whatever its type.
#[derive(Serialize, ToSchema)]
struct EventHead {
    /// Never given twice. A webhook carries the same one.
    #[schema(example = "evt_4f1c0b7f7b0d4c63a1b8f0d6f3f5c9aa")]
    id: String,
    /// When it happened.
    timestamp: Moment,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    session: String,
    me: Me,
    /// It happened while the service could not hear it, and was found afterwards.
    late: bool,
}

/// One event: `type` says what happened, and `data` is of that type.
#[derive(Serialize)]
pub(in crate::http) struct Event {
    #[serde(flatten)]
    head: EventHead,
    #[serde(rename = "type")]
    kind: &'static str,
    data: Value,
}

impl Event {
    pub(in crate::http) fn of(event: &ledger::Event) -> Self {
        // What was written is JSON; what another program has put in its place is not shown.
        let mut data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        if let (Some(source), Some(data)) = (event.source, data.as_object_mut()) {
            data.insert("source".to_owned(), source.as_str().into());
        }
        // The log gives a message its id only as it is written down.
        let is_message = matches!(event.kind, EventKind::Message | EventKind::OwnMessage);
        if let Some(media) = data.get_mut("media").and_then(Value::as_object_mut)
            && let Some(id) = media_id(&event.id).filter(|_| is_message)
        {
            media.insert("url".to_owned(), media_path(&id).into());
            media.insert("id".to_owned(), id.into());
        }
        Self {
            head: EventHead {
                id: event.id.clone(),
                timestamp: Moment(event.happened_at),
                cliente_id: named(&event.session),
                session: event.session.clone(),
                me: Me {
                    phone: event.me.phone.clone().map(String::from),
                    lid: event.me.lid.clone().map(String::from),
                },
                late: event.is_late,
            },
            kind: event.kind.as_str(),
            data,
        }
    }
}

/// A session as callers name it: by its number, if it has one.
pub(super) fn named(session: &str) -> Value {
    ClienteId::number(session).map_or_else(|| session.into(), Value::from)
}

/// What a webhook is given: the event as `GET /events` shows it.
pub(in crate::http) fn envelope(payload: Payload<'_>) -> Vec<u8> {
    let event = match payload {
        Payload::Event(event) => Event::of(event),
        Payload::Test { id, at } => Event {
            head: EventHead {
                id: id.to_owned(),
                timestamp: Moment(at),
                cliente_id: Value::Null,
                session: String::new(),
                me: Me {
                    phone: None,
                    lid: None,
                },
                late: false,
            },
            kind: "webhook.test",
            data: json!({}),
        },
    };
    // A struct of texts is always written.
    serde_json::to_vec(&event).unwrap_or_default()
}

impl ToSchema for Event {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        with_its_own::<EventHead>(schemas);
        with_its_own::<HeardMessage>(schemas);
        with_its_own::<HeardAck>(schemas);
        with_its_own::<HeardEdit>(schemas);
        with_its_own::<HeardRevoke>(schemas);
        with_its_own::<HeardReaction>(schemas);
        with_its_own::<HeardResolved>(schemas);
        with_its_own::<HeardGroupJoin>(schemas);
        with_its_own::<HeardGroupLeave>(schemas);
        with_its_own::<HeardGroupParticipants>(schemas);
        with_its_own::<HeardGroupUpdate>(schemas);
        with_its_own::<StatusNews>(schemas);
    }
}

/// A schema, and those that it refers to.
fn with_its_own<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

impl PartialSchema for Event {
    /// One of as many as there are types.
    fn schema() -> RefOr<Schema> {
        let mut each = OneOfBuilder::new()
            .description(Some(
                "One event: `type` says what happened, and `data` is of that type.",
            ))
            .title(Some("Event"));
        for kind in EventKind::ALL {
            let data = match kind {
                EventKind::Message | EventKind::OwnMessage | EventKind::Waiting => {
                    HeardMessage::name()
                }
                EventKind::Ack => HeardAck::name(),
                EventKind::Edited => HeardEdit::name(),
                EventKind::Revoked => HeardRevoke::name(),
                EventKind::Reaction => HeardReaction::name(),
                EventKind::Resolved => HeardResolved::name(),
                EventKind::GroupJoined => HeardGroupJoin::name(),
                EventKind::GroupLeft => HeardGroupLeave::name(),
                EventKind::GroupParticipants => HeardGroupParticipants::name(),
                EventKind::GroupUpdated => HeardGroupUpdate::name(),
                EventKind::Status => StatusNews::name(),
            };
            let word = ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some([kind.as_str()]));
            let own = ObjectBuilder::new()
                .property("type", word)
                .required("type")
                .property("data", Ref::from_schema_name(data))
                .required("data");
            let whole = AllOfBuilder::new()
                .title(Some(kind.as_str()))
                .item(Ref::from_schema_name(EventHead::name()))
                .item(own);
            each = each.item(whole);
        }
        each.into()
    }
}

/// `GET /events`.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
pub(in crate::http) struct Events {
    success: bool,
    events: Vec<Event>,
    /// What `after` is to be for the ones behind these.
    next: i64,
}

impl Events {
    pub(in crate::http) fn of(events: &[ledger::Event], next: i64) -> Self {
        Self {
            success: true,
            events: events.iter().map(Event::of).collect(),
            next,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_session_is_named_by_its_number_and_else_by_a_text_that_is_never_read_as_another_value() {
        assert_eq!(named("51"), json!(51));
        for name in ["007", "1e5", "true", "null", "admin"] {
            assert_eq!(named(name), json!(name));
        }
    }
}
