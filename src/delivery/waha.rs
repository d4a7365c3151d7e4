//! An event as WAHA, another WhatsApp API, sends it: for receivers that were written for that one.
//!
//! Shapes by WAHA's documentation (waha.devlike.pro/docs/how-to/events, October 2026). Not responsible for what has no
//! counterpart there: `_data` has the event as this service knows it. Pure.

use serde_json::{Map, Value, json};

use crate::{
    heard::{
        GroupAction, GroupNews, HeardAck, HeardEdit, HeardGroupJoin, HeardGroupParticipants,
        HeardGroupUpdate, HeardMessage, HeardReaction, HeardRevoke, Media, MessageKind, Person,
        Source, media_id, media_path,
    },
    ledger::{Event, EventKind},
    masked::Text,
};

/// WAHA has several ways to WhatsApp; this one is the one through WhatsApp Web in a browser.
pub const ENGINE: &str = "WEBJS";

/// WAHA's free version calls itself so.
pub const TIER: &str = "CORE";

/// The events that are sent, each under the same word as in this service.
pub const EVENTS: [&str; 8] = [
    "message",
    "message.any",
    "message.ack",
    "message.edited",
    "message.revoked",
    "message.reaction",
    "message.waiting",
    "session.status",
];

/// All events, as WAHA writes that.
const ALL: &str = "*";

/// The types of events that a webhook of WAHA's wants; `None`: all. The error is one that is not sent.
pub fn types_of(events: &[String]) -> Result<Option<&[String]>, &str> {
    if events.iter().any(|event| event == ALL) {
        return Ok(None);
    }
    let unknown = events
        .iter()
        .find(|event| !EVENTS.contains(&event.as_str()));
    unknown.map_or(Ok(Some(events)), |event| Err(event))
}

/// What a webhook that wants these types wants, as WAHA lists it.
pub fn events_of(types: &[String]) -> Vec<&str> {
    if types.is_empty() {
        vec![ALL]
    } else {
        types.iter().map(String::as_str).collect()
    }
}

/// The event with its envelope; `None`: WAHA has no such event. `has_message` is whether the receiver asked for `message`, which
/// is how WAHA names a message that came in, unless it was asked for all messages alone.
pub(super) fn envelope(event: &Event, has_message: bool) -> Option<Value> {
    let me = event
        .me
        .phone
        .as_deref()
        .map(|phone| format!("{phone}@c.us"));
    let (name, payload) = match event.kind {
        EventKind::Message => {
            let name = if has_message {
                "message"
            } else {
                "message.any"
            };
            (name, message(event, me.as_deref()))
        }
        EventKind::OwnMessage => ("message.any", message(event, me.as_deref())),
        EventKind::Waiting => ("message.waiting", message(event, me.as_deref())),
        EventKind::Ack => ("message.ack", ack(event)),
        EventKind::Edited => ("message.edited", edit(event, me.as_deref())),
        EventKind::Revoked => ("message.revoked", revoke(event)),
        EventKind::Reaction => ("message.reaction", reaction(event, me.as_deref())),
        EventKind::GroupJoined => ("group.v2.join", group_joined(event)),
        EventKind::GroupLeft => ("group.v2.leave", group_left(event)),
        EventKind::GroupParticipants => ("group.v2.participants", group_participants(event)),
        EventKind::GroupUpdated => ("group.v2.update", group_updated(event)),
        EventKind::Status => ("session.status", Some(status_news(event))),
        EventKind::Resolved => return None,
    };
    Some(json!({
        "id": event.id,
        "timestamp": event.happened_at.as_millisecond(),
        "event": name,
        "session": event.session,
        "me": me.map(|id| json!({ "id": id, "pushName": null })),
        // What another version has written is given as it is.
        "payload": payload.unwrap_or_else(|| data(event)),
        "engine": ENGINE,
        "environment": {
            "version": env!("CARGO_PKG_VERSION"),
            "engine": ENGINE,
            "tier": TIER,
            "browser": null,
        },
    }))
}

fn data(event: &Event) -> Value {
    serde_json::from_str(&event.data).unwrap_or_default()
}

fn heard<T: serde::de::DeserializeOwned>(event: &Event) -> Option<T> {
    serde_json::from_str(&event.data).ok()
}

/// A person's address: by the number, where that is known.
fn address(person: &Person) -> Option<String> {
    let by_number = person.phone.as_deref().map(|phone| format!("{phone}@c.us"));
    by_number.or_else(|| person.lid.as_deref().map(str::to_owned))
}

/// The address of a chat: that of the person by their number, where that is known.
fn chat_of(chat: &str, is_group: bool, person: Option<&Person>) -> String {
    let of_person = person.filter(|_| !is_group).and_then(address);
    of_person.unwrap_or_else(|| chat.to_owned())
}

fn message(event: &Event, me: Option<&str>) -> Option<Value> {
    let heard: HeardMessage = heard(event)?;
    let is_own = event.kind == EventKind::OwnMessage;
    let other = if is_own {
        heard.to.as_ref()
    } else {
        Some(&heard.from)
    };
    let chat = chat_of(&heard.chat, heard.is_group, other);
    let author = address(&heard.from);
    let vcards: Vec<&str> = heard.contacts.iter().map(|card| &*card.vcard).collect();
    let (from, to) = if is_own {
        (me, Some(&*chat))
    } else {
        (Some(&*chat), me)
    };
    let mut payload = json!({
        "id": &*heard.id,
        "timestamp": event.happened_at.as_second(),
        "from": from,
        "fromMe": is_own,
        "source": if event.source == Some(Source::Api) { "api" } else { "app" },
        "to": to,
        "participant": if heard.is_group { author } else { None },
        "body": body(&heard),
        "hasMedia": heard.media.is_some(),
        "media": heard.media.as_ref().map(|media| media_of(media, &event.id)),
        "ack": null,
        "ackName": null,
        "vCards": vcards,
        "_data": data(event),
    });
    let fields = payload.as_object_mut()?;
    if let Some(location) = &heard.location {
        let place = json!({
            "latitude": location.latitude,
            "longitude": location.longitude,
            "description": location.name.as_deref(),
        });
        fields.insert("location".to_owned(), place);
    }
    if let Some(quoted) = &heard.quoted {
        let participant = quoted.from.as_ref().and_then(address);
        let reply = json!({
            "id": quoted.key,
            "participant": participant,
            "body": quoted.text.as_deref(),
        });
        fields.insert("replyTo".to_owned(), reply);
    }
    Some(payload)
}

/// The text, or what the message carries in place of one.
fn body(heard: &HeardMessage) -> &str {
    let text = heard.text.as_ref().or(heard.caption.as_ref());
    let question = heard.poll.as_ref().map(|poll| &poll.question);
    let shown: Option<&Text> = match heard.kind {
        MessageKind::Poll => text.or(question),
        MessageKind::Text
        | MessageKind::Image
        | MessageKind::Video
        | MessageKind::Audio
        | MessageKind::Voice
        | MessageKind::Document
        | MessageKind::Sticker
        | MessageKind::Location
        | MessageKind::Contact
        | MessageKind::Waiting
        | MessageKind::Other => text,
    };
    shown.map_or("", |text| text)
}

/// Its address is a path of this service, which takes a key.
fn media_of(media: &Media, event: &str) -> Value {
    json!({
        "url": media_id(event).map(|id| media_path(&id)),
        "mimetype": media.mimetype,
        "filename": media.filename.as_deref(),
    })
}

fn ack(event: &Event) -> Option<Value> {
    let heard: HeardAck = heard(event)?;
    Some(json!({
        "id": &*heard.id,
        "from": &*heard.chat,
        "participant": null,
        "fromMe": true,
        "ack": heard.ack,
        "ackName": ack_name(heard.ack),
    }))
}

/// WAHA's word for an acknowledgement.
pub const fn ack_name(ack: i32) -> &'static str {
    match ack {
        ..0 => "ERROR",
        0 => "PENDING",
        1 => "SERVER",
        2 => "DEVICE",
        3 => "READ",
        _ => "PLAYED",
    }
}

fn edit(event: &Event, me: Option<&str>) -> Option<Value> {
    let heard: HeardEdit = heard(event)?;
    let author = address(&heard.from);
    Some(json!({
        "id": &*heard.id,
        "timestamp": event.happened_at.as_second(),
        "from": if heard.is_own { me } else { Some(&*heard.chat) },
        "fromMe": heard.is_own,
        "to": if heard.is_own { Some(&*heard.chat) } else { me },
        "participant": if heard.is_group { author } else { None },
        "editedMessageId": heard.key,
        "body": &*heard.text,
        "_data": data(event),
    }))
}

fn revoke(event: &Event) -> Option<Value> {
    let heard: HeardRevoke = heard(event)?;
    Some(json!({
        "after": {
            "id": &*heard.id,
            "timestamp": event.happened_at.as_second(),
            "from": &*heard.chat,
            "fromMe": heard.is_own,
            "participant": heard.by.as_ref().and_then(address),
            "_data": data(event),
        },
        "revokedMessageId": heard.key,
        "before": null,
    }))
}

fn reaction(event: &Event, me: Option<&str>) -> Option<Value> {
    let heard: HeardReaction = heard(event)?;
    let chat = chat_of(
        &heard.chat,
        heard.is_group,
        Some(&heard.from).filter(|_| !heard.is_own),
    );
    let author = address(&heard.from);
    Some(json!({
        "id": event.id,
        "timestamp": event.happened_at.as_second(),
        "from": if heard.is_own { me } else { Some(&*chat) },
        "fromMe": heard.is_own,
        "to": if heard.is_own { Some(&*chat) } else { me },
        "participant": author,
        "reaction": {
            "text": heard.emoji.as_deref().unwrap_or_default(),
            "messageId": &*heard.id,
        },
    }))
}

/// Of the group itself no more is given than the event says: `GET /groups/{id}` has its members.
fn group_joined(event: &Event) -> Option<Value> {
    let heard: HeardGroupJoin = heard(event)?;
    let subject = heard.news.group_name.as_deref();
    Some(json!({
        "group": { "id": &*heard.news.chat, "subject": subject },
        "timestamp": event.happened_at.as_second(),
        "_data": data(event),
    }))
}

fn group_left(event: &Event) -> Option<Value> {
    let news: GroupNews = heard(event)?;
    Some(json!({
        "group": { "id": &*news.chat },
        "timestamp": event.happened_at.as_second(),
        "_data": data(event),
    }))
}

fn group_participants(event: &Event) -> Option<Value> {
    let heard: HeardGroupParticipants = heard(event)?;
    let (kind, role) = match heard.action {
        GroupAction::Added | GroupAction::Joined => ("join", "participant"),
        GroupAction::Removed | GroupAction::Left => ("leave", "left"),
        GroupAction::Promoted => ("promote", "admin"),
        GroupAction::Demoted => ("demote", "participant"),
    };
    let people = heard.participants.iter().filter_map(address);
    let people: Vec<Value> = people.map(|id| json!({ "id": id, "role": role })).collect();
    Some(json!({
        "type": kind,
        "timestamp": event.happened_at.as_second(),
        "group": { "id": &*heard.news.chat },
        "participants": people,
        "_data": data(event),
    }))
}

fn group_updated(event: &Event) -> Option<Value> {
    let heard: HeardGroupUpdate = heard(event)?;
    let mut group = json!({ "id": &*heard.news.chat });
    let said = [
        ("subject", &heard.subject),
        ("description", &heard.description),
    ];
    for (name, text) in said {
        if let Some(text) = text {
            group[name] = json!(&**text);
        }
    }
    Some(json!({
        "group": group,
        "timestamp": event.happened_at.as_second(),
        "_data": data(event),
    }))
}

/// WAHA's word for a state of a session.
pub fn status(state: &str) -> &'static str {
    match state {
        "QR_REQUIRED" => "SCAN_QR_CODE",
        "READY" => "WORKING",
        "DISCONNECTED" => "STOPPED",
        "ERROR" => "FAILED",
        _ => "STARTING",
    }
}

fn status_news(event: &Event) -> Value {
    let data = data(event);
    let status = status(data["state"].as_str().unwrap_or_default());
    let mut payload = Map::new();
    payload.insert("status".to_owned(), status.into());
    payload.insert(
        "statuses".to_owned(),
        json!([{ "status": status, "timestamp": event.happened_at.as_millisecond() }]),
    );
    payload.insert("data".to_owned(), data);
    payload.into()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::ledger::Me;

    fn event(kind: EventKind, data: &Value) -> Event {
        Event {
            seq: 1,
            id: "evt_1".to_owned(),
            session: "51".to_owned(),
            kind,
            chat: None,
            me: Me {
                phone: Some("5491150000001".into()),
                lid: None,
            },
            happened_at: Timestamp::from_millisecond(1_790_000_000_123).unwrap(),
            written_at: Timestamp::UNIX_EPOCH,
            is_late: false,
            source: (kind == EventKind::OwnMessage).then_some(Source::Api),
            data: data.to_string().into(),
        }
    }

    fn text(is_group: bool) -> Value {
        json!({
            "id": "false_111@lid_3A", "key": "3A", "is_group": is_group,
            "chat": if is_group { "120@g.us" } else { "111@lid" },
            "from": {"phone": "5491158254201", "lid": "111@lid", "name": "Eva"},
            "to": {"phone": "5491150000001"},
            "kind": "text", "text": "hola",
            "quoted": {"key": "3B", "text": "antes"},
        })
    }

    #[test]
    fn a_message_is_in_the_words_of_waha() {
        let envelope = |kind, has_message, is_group| {
            super::envelope(&event(kind, &text(is_group)), has_message).unwrap()
        };
        let incoming = envelope(EventKind::Message, true, false);
        assert_eq!(incoming["event"], "message");
        assert_eq!(incoming["id"], "evt_1");
        assert_eq!(incoming["timestamp"], 1_790_000_000_123_i64);
        assert_eq!(incoming["session"], "51");
        assert_eq!(incoming["me"]["id"], "5491150000001@c.us");
        assert_eq!(incoming["engine"], "WEBJS");
        let payload = &incoming["payload"];
        assert_eq!(payload["from"], "5491158254201@c.us");
        assert_eq!(payload["to"], "5491150000001@c.us");
        assert_eq!(
            (&payload["body"], &payload["fromMe"]),
            (&json!("hola"), &json!(false))
        );
        assert_eq!(payload["timestamp"], 1_790_000_000);
        assert_eq!(payload["participant"], Value::Null);
        assert_eq!(payload["replyTo"]["id"], "3B");
        assert_eq!(payload["_data"]["key"], "3A");

        let any = envelope(EventKind::Message, false, false);
        assert_eq!(any["event"], "message.any");
        let own = envelope(EventKind::OwnMessage, true, false);
        assert_eq!(
            (&own["event"], &own["payload"]["source"]),
            (&json!("message.any"), &json!("api"))
        );
        assert_eq!(own["payload"]["from"], "5491150000001@c.us");

        let group = envelope(EventKind::Message, true, true);
        assert_eq!(group["payload"]["from"], "120@g.us");
        assert_eq!(group["payload"]["participant"], "5491158254201@c.us");
    }

    #[test]
    fn what_happens_to_a_group_is_in_the_words_of_waha() {
        let news = json!({"id": "false_120@g.us_3A1", "key": "3A1", "chat": "120@g.us", "is_group": true, "group_name": "Equipo", "by": null});
        let envelope = |kind, more: Value| {
            let mut data = news.clone();
            let fields = more.as_object().unwrap().clone();
            data.as_object_mut().unwrap().extend(fields);
            super::envelope(&event(kind, &data), true).unwrap()
        };
        let joined = envelope(EventKind::GroupJoined, json!({"how": "added"}));
        assert_eq!(joined["event"], "group.v2.join");
        assert_eq!(
            joined["payload"]["group"],
            json!({"id": "120@g.us", "subject": "Equipo"})
        );
        let left = envelope(EventKind::GroupLeft, json!({"how": "removed"}));
        assert_eq!(left["event"], "group.v2.leave");
        assert_eq!(left["payload"]["group"], json!({"id": "120@g.us"}));
        let people = json!([{"phone": "5491158254201", "lid": "111@lid"}, {"phone": null, "lid": "222@lid"}]);
        for (action, kind, role) in [
            ("added", "join", "participant"),
            ("left", "leave", "left"),
            ("promoted", "promote", "admin"),
        ] {
            let more = json!({"action": action, "participants": people});
            let changed = envelope(EventKind::GroupParticipants, more);
            assert_eq!(changed["event"], "group.v2.participants");
            assert_eq!(changed["payload"]["type"], kind);
            assert_eq!(
                changed["payload"]["participants"],
                json!([{"id": "5491158254201@c.us", "role": role}, {"id": "222@lid", "role": role}])
            );
        }
        let renamed = json!({"what": "subject", "subject": "Familia"});
        let renamed = envelope(EventKind::GroupUpdated, renamed);
        assert_eq!(renamed["event"], "group.v2.update");
        assert_eq!(
            renamed["payload"]["group"],
            json!({"id": "120@g.us", "subject": "Familia"})
        );
    }

    #[test]
    fn a_state_and_an_acknowledgement_have_wahas_names() {
        for (state, status) in [
            ("INIT", "STARTING"),
            ("QR_REQUIRED", "SCAN_QR_CODE"),
            ("AUTHENTICATED", "STARTING"),
            ("READY", "WORKING"),
            ("DISCONNECTED", "STOPPED"),
            ("ERROR", "FAILED"),
        ] {
            let event = event(EventKind::Status, &json!({ "state": state }));
            let envelope = envelope(&event, true).unwrap();
            assert_eq!(envelope["payload"]["status"], status);
        }
        let heard = json!({
            "id": "true_111@lid_3A", "key": "3A", "chat": "111@lid", "is_group": false, "ack": 3, "state": "read",
        });
        let acked = envelope(&event(EventKind::Ack, &heard), true).unwrap();
        assert_eq!(acked["payload"]["ackName"], "READ");
        assert_eq!(
            envelope(&event(EventKind::Resolved, &json!({})), true),
            None
        );
    }
}
