//! An event as WAHA, another WhatsApp API, sends it: for receivers that were written for that one.
//!
//! Shapes by WAHA's documentation (waha.devlike.pro/docs/how-to/events, October 2026); those of groups by its `OpenAPI` document and by what
//! its engine WEBJS sends (docs/waha.md). Not responsible for what has no counterpart there: `_data` has the event as this service knows
//! it. Pure.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    heard::{
        GroupAction, GroupNews, HeardAck, HeardEdit, HeardGroupJoin, HeardGroupParticipants,
        HeardGroupUpdate, HeardMessage, HeardReaction, HeardRevoke, Media, MessageKind, Person,
        Source, media_id, media_path,
    },
    ledger::{Event, EventKind},
    masked::Text,
    stored::StoredMessage,
};

/// WAHA has several ways to WhatsApp; this one is the one through WhatsApp Web in a browser.
pub const ENGINE: &str = "WEBJS";

/// WAHA's free version calls itself so.
pub const TIER: &str = "CORE";

/// WAHA's word for a message of any author.
const ANY_MESSAGE: &str = "message.any";

/// The events that are sent, each by WAHA's word and by that of this service.
const EVENTS: [(&str, &str); 12] = [
    ("message", EventKind::Message.as_str()),
    (ANY_MESSAGE, ANY_MESSAGE),
    ("message.ack", EventKind::Ack.as_str()),
    ("message.edited", EventKind::Edited.as_str()),
    ("message.revoked", EventKind::Revoked.as_str()),
    ("message.reaction", EventKind::Reaction.as_str()),
    ("message.waiting", EventKind::Waiting.as_str()),
    ("group.v2.join", EventKind::GroupJoined.as_str()),
    ("group.v2.leave", EventKind::GroupLeft.as_str()),
    (
        "group.v2.participants",
        EventKind::GroupParticipants.as_str(),
    ),
    ("group.v2.update", EventKind::GroupUpdated.as_str()),
    ("session.status", EventKind::Status.as_str()),
];

/// All events, as WAHA writes that.
const ALL: &str = "*";

/// The events that are sent, in WAHA's words.
pub fn events() -> Vec<&'static str> {
    EVENTS.iter().map(|(event, _)| *event).collect()
}

/// WAHA's word for a type of events.
fn event_of(kind: &str) -> Option<&'static str> {
    let found = EVENTS.iter().find(|(_, own)| *own == kind);
    found.map(|(event, _)| *event)
}

/// The types of events that a webhook of WAHA's wants; `None`: all. The error is one that is not sent.
pub fn types_of(events: &[String]) -> Result<Option<Vec<&'static str>>, &str> {
    if events.iter().any(|event| event == ALL) {
        return Ok(None);
    }
    let type_of = |event: &str| {
        let found = EVENTS.iter().find(|(known, _)| *known == event);
        found.map(|(_, own)| *own)
    };
    let types = events
        .iter()
        .map(|event| type_of(event).ok_or(event.as_str()));
    types.collect::<Result<_, _>>().map(Some)
}

/// What a webhook that wants these types wants, as WAHA lists it.
pub fn events_of(types: &[String]) -> Vec<&str> {
    if types.is_empty() {
        return vec![ALL];
    }
    let words = types.iter().map(|kind| event_of(kind).unwrap_or(kind));
    words.collect()
}

/// The event with its envelope; `None`: WAHA has no such event. `has_message` is whether the receiver asked for `message`, which
/// is how WAHA names a message that came in, unless it was asked for all messages alone.
pub(super) fn envelope(event: &Event, has_message: bool) -> Option<Value> {
    let me = event
        .me
        .phone
        .as_deref()
        .map(|phone| format!("{phone}@c.us"));
    let is_incoming = event.kind == EventKind::Message;
    let name = if event.kind == EventKind::OwnMessage || (is_incoming && !has_message) {
        ANY_MESSAGE
    } else {
        event_of(event.kind.as_str())?
    };
    let payload = match event.kind {
        EventKind::Message | EventKind::OwnMessage | EventKind::Waiting => {
            message(event, me.as_deref())
        }
        EventKind::Ack => ack(event),
        EventKind::Edited => edit(event, me.as_deref()),
        EventKind::Revoked => revoke(event),
        EventKind::Reaction => reaction(event, me.as_deref()),
        EventKind::GroupJoined => group_joined(event),
        EventKind::GroupLeft => group_left(event),
        EventKind::GroupParticipants => group_participants(event),
        EventKind::GroupUpdated => group_updated(event),
        EventKind::Status => Some(status_news(event)),
        EventKind::Resolved => None,
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
    by_number(person).or_else(|| person.lid.as_deref().map(str::to_owned))
}

fn by_number(person: &Person) -> Option<String> {
    person.phone.as_deref().map(|phone| format!("{phone}@c.us"))
}

/// The address of a chat: that of the person by their number, where that is known.
pub fn chat_of(chat: &str, is_group: bool, person: Option<&Person>) -> String {
    let of_person = person.filter(|_| !is_group).and_then(address);
    of_person.unwrap_or_else(|| chat.to_owned())
}

fn message(event: &Event, me: Option<&str>) -> Option<Value> {
    let heard: HeardMessage = heard(event)?;
    let is_from_here = event.source == Some(Source::Api);
    let said = Said {
        is_own: event.kind == EventKind::OwnMessage,
        seconds: Some(event.happened_at.as_second()),
        source: Some(if is_from_here { "api" } else { "app" }),
        media_url: media_id(&event.id).map(|id| media_path(&id)),
        ack: None,
        data: data(event),
    };
    message_of(&heard, said, me)
}

/// A message that the page has stored. `me`: the address of the account.
pub fn stored_message(stored: &StoredMessage, me: Option<&str>) -> Option<Value> {
    let said = Said {
        is_own: stored.is_own,
        seconds: stored.timestamp.map(Timestamp::as_second),
        // WAHA says it in events only; nor does the page know it.
        source: None,
        media_url: None,
        ack: stored.ack,
        data: serde_json::to_value(stored).ok()?,
    };
    message_of(&stored.message, said, me)
}

/// What WAHA says of a message beside what was heard of it.
struct Said {
    is_own: bool,
    seconds: Option<i64>,
    source: Option<&'static str>,
    media_url: Option<String>,
    ack: Option<i32>,
    data: Value,
}

fn message_of(heard: &HeardMessage, said: Said, me: Option<&str>) -> Option<Value> {
    let Said {
        is_own,
        seconds,
        source,
        media_url,
        ack,
        data,
    } = said;
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
        "timestamp": seconds,
        "from": from,
        "fromMe": is_own,
        "source": source,
        "to": to,
        "participant": if heard.is_group { author } else { None },
        "body": body(heard),
        "hasMedia": heard.media.is_some(),
        "media": heard.media.as_ref().map(|media| media_of(media, media_url.as_deref())),
        "ack": ack,
        "ackName": ack.map(ack_name),
        "vCards": vcards,
        "_data": data,
    });
    let fields = payload.as_object_mut()?;
    if let Some(location) = &heard.location {
        let words = [&location.name, &location.address].into_iter().flatten();
        let words: Vec<&str> = words.map(|text| &**text).collect();
        let place = json!({
            "latitude": location.latitude,
            "longitude": location.longitude,
            "description": (!words.is_empty()).then(|| words.join("\n")),
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
fn media_of(media: &Media, url: Option<&str>) -> Value {
    json!({
        "url": url,
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
    let shown = |person: &Person| {
        let id = address(person)?;
        Some(json!({ "id": id, "pn": by_number(person), "role": role }))
    };
    let people: Vec<Value> = heard.participants.iter().filter_map(shown).collect();
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
                json!([
                    {"id": "5491158254201@c.us", "pn": "5491158254201@c.us", "role": role},
                    {"id": "222@lid", "pn": null, "role": role},
                ])
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
