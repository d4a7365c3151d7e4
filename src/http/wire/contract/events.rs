//! The words of `/events`.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Moment, NamedClienteId};
use crate::ledger;

/// The account that an event belongs to.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    /// Its phone number, digits only; null while it is not known.
    phone: Option<String>,
    /// Its LID; null while it is not known.
    lid: Option<String>,
}

/// One event.
#[derive(Serialize, ToSchema)]
#[schema(title = "Event")]
pub(in crate::http) struct Event {
    /// Never given twice. A webhook carries the same one.
    #[schema(example = "evt_4f1c0b7f7b0d4c63a1b8f0d6f3f5c9aa")]
    id: String,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(example = "message")]
    kind: &'static str,
    /// When it happened.
    timestamp: Moment,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    session: String,
    me: Me,
    /// It happened while the service could not hear it, and was found afterwards.
    late: bool,
    /// The event itself, by its type.
    #[schema(value_type = Object)]
    data: Value,
}

impl Event {
    fn of(event: &ledger::Event) -> Self {
        // What was written is JSON; what another program has put in its place is not shown.
        let mut data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        if let (Some(source), Some(data)) = (event.source, data.as_object_mut()) {
            data.insert("source".to_owned(), source.as_str().into());
        }
        Self {
            id: event.id.clone(),
            kind: event.kind.as_str(),
            timestamp: Moment(event.happened_at),
            cliente_id: serde_json::from_str(&event.session)
                .unwrap_or_else(|_| Value::String(event.session.clone())),
            session: event.session.clone(),
            me: Me {
                phone: event.me.phone.clone().map(String::from),
                lid: event.me.lid.clone().map(String::from),
            },
            late: event.is_late,
            data,
        }
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
