//! What is reported to Central Hub of an event: reads an event of the log, and writes the bodies of the calls. All of it is pure.
//!
//! | event | `test-message` | then |
//! |---|---|---|
//! | a text that came in | `esHumano: false` | `incoming-message` |
//! | a text that a person wrote by hand | `esHumano: true` | `outgoing-message` |
//! | a text that this service sent | no: a machine wrote it | `outgoing-message` |
//!
//! Groups, and messages without a text, are left out.

use serde::Serialize;

use super::numbers::Numbers;
use crate::{
    heard::{HeardMessage, Person, Source},
    ledger::{Event, EventKind},
    masked::Number,
    session::{ClienteId, Wanted},
};

/// Which client of the hub a session belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    /// Each session has the number that it is called by.
    ByName,
    /// All are this one's: there is one session, whatever it is called.
    One(u64),
}

impl Clients {
    /// The client of this session; `None`: it has no number.
    pub(super) fn of(self, session: &str) -> Option<u64> {
        match self {
            Self::One(client) => Some(client),
            Self::ByName => ClienteId::number(session),
        }
    }

    /// The sessions whose texts are reported: those that a client belongs to.
    pub(super) fn wanted(self) -> Wanted {
        match self {
            Self::One(_) => Wanted::All,
            Self::ByName => Wanted::Named(|id| Self::ByName.of(id.as_str()).is_some()),
        }
    }
}

/// Who wrote a message, and which way it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It came in.
    In,
    /// A person wrote it with this account.
    ByHand,
    /// This service sent it.
    ByApi,
}

/// What an event comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// This is reported to the hub.
    Report(Box<Report>),
    /// The hub has no use for it.
    NotWanted,
    /// Its session has no number, by which the hub knows its clients.
    NoClient,
    /// A number is not known yet, of which the hub makes its conversations.
    NoNumber(Whose),
    /// It cannot be read: an earlier or a later version has written it.
    Unreadable,
}

/// Whose number is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// That of the other side, who has a LID only.
    Contact,
    /// That of the account itself: the adapter `dom` does not see it.
    Account,
}

/// What the hub gets of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) way: Way,
    client: u64,
    contact: Number,
    /// The account itself, where it is the sender.
    account: Option<Number>,
    text: crate::masked::Text,
    at: String,
}

impl Report {
    /// Reads an event. `numbers` knows numbers of LIDs.
    pub(super) fn of(event: &Event, clients: Clients, numbers: &Numbers) -> Reading {
        let source = match (event.kind, event.source) {
            (EventKind::Message, _) => None,
            // Who has sent it, the ledger knows. One of which it does not know may have been sent by this service long ago.
            (EventKind::OwnMessage, source) => Some(source.unwrap_or(Source::Api)),
            (
                EventKind::Ack
                | EventKind::Edited
                | EventKind::Revoked
                | EventKind::Reaction
                | EventKind::Waiting
                | EventKind::Resolved
                | EventKind::Status,
                _,
            ) => return Reading::NotWanted,
        };
        let Ok(heard) = serde_json::from_str::<HeardMessage>(&event.data) else {
            return Reading::Unreadable;
        };
        let text = heard.text.as_ref().or(heard.caption.as_ref());
        let text = text.map_or("", |text| text.trim());
        if heard.is_group || text.is_empty() {
            return Reading::NotWanted;
        }
        let Some(client) = clients.of(&event.session) else {
            return Reading::NoClient;
        };
        let unknown = Person::default();
        let other = match source {
            None => &heard.from,
            Some(_) => heard.to.as_ref().unwrap_or(&unknown),
        };
        let Some(contact) = numbers.of(&event.session, other, &heard.chat) else {
            return Reading::NoNumber(Whose::Contact);
        };
        let account = event.me.phone.clone();
        if source.is_some() && account.is_none() {
            return Reading::NoNumber(Whose::Account);
        }
        Reading::Report(Box::new(Self {
            way: match source {
                None => Way::In,
                Some(Source::Phone) => Way::ByHand,
                Some(Source::Api) => Way::ByApi,
            },
            client,
            contact,
            account: account.filter(|_| source.is_some()),
            text: text.into(),
            at: format!("{:.3}", event.happened_at),
        }))
    }

    /// Whether the hub's answering machine is to see it: a machine's own message must not look like a person's.
    pub(super) fn is_for_answering(&self) -> bool {
        self.way != Way::ByApi
    }

    /// The body of `test-message`.
    pub(super) fn test(&self) -> Vec<u8> {
        body(&TestMessage {
            cliente_id: self.client,
            telefono: &self.contact,
            texto: &self.text,
            is_human: self.way == Way::ByHand,
        })
    }

    /// The name and the body of the call that puts it into the hub's conversation.
    pub(super) fn record(&self) -> (&'static str, Vec<u8>) {
        match &self.account {
            None => {
                let incoming = Incoming {
                    cliente_id: self.client,
                    from: &self.contact,
                    message: &self.text,
                    timestamp: &self.at,
                };
                ("incoming-message", body(&incoming))
            }
            Some(account) => {
                let outgoing = Outgoing {
                    cliente_id: self.client,
                    from: account,
                    to: &self.contact,
                    message: &self.text,
                    timestamp: &self.at,
                };
                ("outgoing-message", body(&outgoing))
            }
        }
    }
}

/// The hub's words.
#[derive(Serialize)]
struct TestMessage<'a> {
    cliente_id: u64,
    telefono: &'a str,
    texto: &'a str,
    #[serde(rename = "esHumano")]
    is_human: bool,
}

#[derive(Serialize)]
struct Incoming<'a> {
    cliente_id: u64,
    from: &'a str,
    message: &'a str,
    timestamp: &'a str,
}

#[derive(Serialize)]
struct Outgoing<'a> {
    cliente_id: u64,
    from: &'a str,
    to: &'a str,
    message: &'a str,
    timestamp: &'a str,
}

/// Texts and numbers alone cannot fail to be written.
fn body(of: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(of).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::ledger::Me;

    pub(in crate::delivery::bridge) const LID: &str = "111222333444555@lid";
    pub(in crate::delivery::bridge) const CONTACT: &str = "5491158254201";

    /// An event of this kind, as the log has it.
    pub(in crate::delivery::bridge) fn event(kind: EventKind, data: &Value) -> Event {
        Event {
            seq: 1,
            id: "evt_1".to_owned(),
            session: "51".to_owned(),
            kind,
            chat: Some(format!("{CONTACT}@c.us").as_str().into()),
            me: Me {
                phone: Some("5491100000001".into()),
                lid: None,
            },
            happened_at: Timestamp::from_second(1_790_000_000).unwrap(),
            written_at: Timestamp::from_second(1_790_000_001).unwrap(),
            is_late: false,
            source: None,
            data: data.to_string().as_str().into(),
        }
    }

    /// A message from or to the contact.
    pub(in crate::delivery::bridge) fn message(text: &str, is_own: bool) -> Value {
        let contact = json!({ "phone": CONTACT, "lid": null, "name": "Eva" });
        let me = json!({ "phone": "5491100000001", "lid": null, "name": null });
        let (from, to) = if is_own { (me, contact) } else { (contact, me) };
        json!({
            "id": "false_x_3A", "key": "3A", "chat": format!("{CONTACT}@c.us"), "is_group": false,
            "from": from, "to": to, "kind": "text", "text": text,
        })
    }

    fn read(event: &Event) -> Reading {
        Report::of(event, Clients::ByName, &Numbers::default())
    }

    fn report(event: &Event) -> Report {
        let read = read(event);
        let Reading::Report(report) = read else {
            panic!("{read:?}");
        };
        *report
    }

    fn json_of(body: &[u8]) -> Value {
        serde_json::from_slice(body).unwrap()
    }

    #[test]
    fn a_text_that_comes_in_is_tested_as_no_humans_and_recorded_with_the_senders_number() {
        let report = report(&event(EventKind::Message, &message("  hola \n", false)));
        assert!(report.is_for_answering());
        assert_eq!(
            json_of(&report.test()),
            json!({"cliente_id": 51, "telefono": CONTACT, "texto": "hola", "esHumano": false})
        );
        let (name, body) = report.record();
        assert_eq!(name, "incoming-message");
        assert_eq!(
            json_of(&body),
            json!({"cliente_id": 51, "from": CONTACT, "message": "hola", "timestamp": "2026-09-21T14:13:20.000Z"})
        );
    }

    #[test]
    fn what_is_written_by_hand_is_human_and_what_the_api_sent_is_not_even_tested() {
        for (source, is_for_answering) in [
            (Some(Source::Phone), true),
            (Some(Source::Api), false),
            // The service does not know any more whether it has sent it.
            (None, false),
        ] {
            let mut own = event(EventKind::OwnMessage, &message("hola", true));
            own.source = source;
            let report = report(&own);
            assert_eq!(report.is_for_answering(), is_for_answering, "{source:?}");
            if is_for_answering {
                assert_eq!(json_of(&report.test())["esHumano"], true);
                assert_eq!(json_of(&report.test())["telefono"], CONTACT);
            }
            let (name, body) = report.record();
            assert_eq!(name, "outgoing-message");
            assert_eq!(
                json_of(&body),
                json!({"cliente_id": 51, "from": "5491100000001", "to": CONTACT, "message": "hola", "timestamp": "2026-09-21T14:13:20.000Z"})
            );
        }
    }

    #[test]
    fn groups_and_messages_without_a_text_are_skipped_and_a_caption_is_a_text() {
        let mut data = message("hola", false);
        data["is_group"] = json!(true);
        assert_eq!(read(&event(EventKind::Message, &data)), Reading::NotWanted);
        let blank = message(" \n", false);
        assert_eq!(read(&event(EventKind::Message, &blank)), Reading::NotWanted);
        let mut picture = message("", false);
        picture.as_object_mut().unwrap().remove("text");
        picture["kind"] = json!("image");
        let without = event(EventKind::Message, &picture);
        assert_eq!(read(&without), Reading::NotWanted);
        picture["caption"] = json!("mira");
        let with = report(&event(EventKind::Message, &picture));
        assert_eq!(json_of(&with.test())["texto"], "mira");
        let ack = event(EventKind::Ack, &json!({}));
        assert_eq!(read(&ack), Reading::NotWanted);
        let strange = event(EventKind::Message, &json!({"id": 5}));
        assert_eq!(read(&strange), Reading::Unreadable);
    }

    #[test]
    fn a_lid_is_no_phone_number() {
        let mut data = message("hola", false);
        data["from"] = json!({ "phone": null, "lid": LID, "name": null });
        data["chat"] = json!(LID);
        let of_lid = event(EventKind::Message, &data);
        assert_eq!(read(&of_lid), Reading::NoNumber(Whose::Contact));
        let mut numbers = Numbers::default();
        numbers.learn("52", LID, "549110");
        let elsewhere = Report::of(&of_lid, Clients::ByName, &numbers);
        assert_eq!(elsewhere, Reading::NoNumber(Whose::Contact));
        numbers.learn("51", LID, CONTACT);
        let Reading::Report(report) = Report::of(&of_lid, Clients::ByName, &numbers) else {
            panic!("its number is known");
        };
        assert_eq!(json_of(&report.test())["telefono"], CONTACT);
        let mut own = event(EventKind::OwnMessage, &message("hola", true));
        own.me.phone = None;
        assert_eq!(read(&own), Reading::NoNumber(Whose::Account));
    }

    #[test]
    fn a_session_is_the_client_of_its_number_and_a_single_one_that_of_the_setting() {
        for (session, client) in [
            ("51", Some(51)),
            ("admin", None),
            // Another session than 7: the hub would take the messages of two accounts for one client's.
            ("007", None),
        ] {
            assert_eq!(Clients::ByName.of(session), client, "{session}");
            assert_eq!(Clients::One(7).of(session), Some(7));
        }
        let mut named = event(EventKind::Message, &message("hola", false));
        named.session = "shop".to_owned();
        assert_eq!(read(&named), Reading::NoClient);
    }

    #[test]
    fn nothing_of_it_is_in_its_debug() {
        let report = report(&event(EventKind::Message, &message("secreto", false)));
        let shown = format!("{report:?}");
        assert!(
            !shown.contains("secreto") && !shown.contains("549115"),
            "{shown}"
        );
    }
}
