//! What WhatsApp's server brings to the devices of an account: messages, and what becomes of them.
//!
//! Responsible for: the shape of such a thing in memory, in the journal and on its way to a page. Not responsible for: who
//! may do what (`server/mailbox`), when it travels (`device/delivery`).
//!
//! Invariant: what a device cannot decrypt, or may not know (the number behind a LID), does not travel to its page.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{media::MediaFile, number::Number, server};

/// One thing, addressed to all devices of an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stanza {
    /// The message's own id, or that of the change to a message.
    pub(super) id: String,
    pub(super) account: Number,
    pub(super) chat: Chat,
    /// Who did it; absent: the owner of the account, by hand on the phone, or WhatsApp (a notice).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) author: Option<Number>,
    /// The account does not know the author's number, only the LID.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) hidden: bool,
    /// The name that the author has chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// When the server took it, ISO-8601 with milliseconds.
    pub(super) at: String,
    #[serde(flatten)]
    pub(super) content: Content,
}

/// Where it belongs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Chat {
    Person(Number),
    /// A group, by its id.
    Group(String),
    /// The status updates of others.
    Status,
    /// A channel, by its id.
    Channel(String),
}

/// A group of the account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) account: Number,
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    /// Who is in it beside the account.
    pub(super) participants: Vec<Number>,
    /// Who may change it, the account too. In an older journal there are none: then it is the first participant.
    #[serde(default)]
    pub(super) admins: Vec<Number>,
    /// The account has left it, or was removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_left: bool,
    /// When it was made, ISO-8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) made_at: Option<String>,
}

impl Chat {
    pub(super) fn is_with(&self, number: &Number) -> bool {
        matches!(self, Self::Person(person) if person == number)
    }
}

impl Group {
    /// As a page gets it: who is in it, the account too, and who is an admin.
    fn frame(&self) -> Value {
        let founder = self.participants.first();
        let is_admin = |person: &Number| {
            self.admins.contains(person) || (self.admins.is_empty() && founder == Some(person))
        };
        let own = (!self.is_left).then_some(&self.account);
        let members = self.participants.iter().chain(own).map(|person| {
            let mut member = shown_person(person);
            member["admin"] = json!(is_admin(person));
            member["super_admin"] = json!(is_admin(person) && founder == Some(person));
            member
        });
        json!({
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "made_at": self.made_at.as_deref().map(server::seconds),
            "owner": founder.map(shown_person),
            "participants": members.collect::<Vec<_>>(),
        })
    }
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are messages")]
pub(super) enum Content {
    Message(Letter),
    /// The message of that id can be decrypted now.
    Resolved {
        target: String,
    },
    Edit {
        target: String,
        body: String,
    },
    Revoke {
        target: String,
        /// By an admin of the group, who did not write it.
        by_admin: bool,
    },
    /// An empty emoji takes the reaction back.
    Reaction {
        target: String,
        emoji: String,
    },
    /// How far an own message got: 2 delivered, 3 read, 4 played.
    Receipt {
        target: String,
        ack: i8,
    },
    /// The number behind the author's LID.
    Mapping,
    /// A line of the chat that WhatsApp wrote.
    Notice {
        kind: Notice,
        #[serde(default)]
        people: Vec<Number>,
    },
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Letter {
    /// The text, or the caption of a medium.
    #[serde(default)]
    pub(super) body: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) media: Option<Media>,
    /// The message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) quote: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) mentions: Vec<Number>,
    /// Seconds after which it disappears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_after: Option<u32>,
    /// Devices cannot decrypt it until it is resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) waiting: Option<Waiting>,
}

/// Why a device cannot decrypt a message; the page's subtype of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Waiting {
    /// The keys do not fit: the sender is asked again.
    Keys,
    /// The phone has to send it again.
    Fanout,
    /// To be seen once, on the phone only: it never comes.
    ViewOnceUnavailableFanout,
}

/// A medium.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Media {
    pub(super) kind: MediaKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mimetype: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seconds: Option<u32>,
    /// Where its bytes are; absent: there are none behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<MediaFile>,
}

/// The page's types of messages that are not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MediaKind {
    Image,
    Video,
    Audio,
    /// A voice message.
    #[serde(alias = "voice")]
    Ptt,
    Document,
    Sticker,
    Location,
    Vcard,
    PollCreation,
}

/// What such a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Notice {
    /// Messages are end-to-end encrypted.
    Encrypted,
    GroupCreated,
    GroupAdd,
    /// A person joined by the group's link.
    GroupJoin,
    GroupRemove,
    GroupLeave,
    GroupPromote,
    GroupDemote,
    GroupSubject,
    GroupDescription,
}

impl Stanza {
    /// Whether the account's owner wrote it by hand.
    pub(super) fn is_own(&self) -> bool {
        self.author.is_none()
            && !matches!(self.chat, Chat::Channel(_))
            && !matches!(self.content, Content::Notice { .. })
    }

    /// The message that it is, if it is one.
    pub(super) fn letter(&self) -> Option<&Letter> {
        match &self.content {
            Content::Message(letter) => Some(letter),
            Content::Resolved { .. }
            | Content::Edit { .. }
            | Content::Revoke { .. }
            | Content::Reaction { .. }
            | Content::Receipt { .. }
            | Content::Mapping
            | Content::Notice { .. } => None,
        }
    }

    /// The message in the words of `GET /phone/state`.
    pub(super) fn shown(&self) -> Value {
        let mut shown = json!({ "id": self.id, "account": self.account, "at": self.at });
        let (key, other) = match (&self.chat, &self.author) {
            (Chat::Person(person), None) => ("to", Some(person)),
            (_, author) => ("from", author.as_ref()),
        };
        shown[key] = json!(other);
        match &self.chat {
            Chat::Person(_) => {}
            Chat::Group(id) => shown["group"] = json!(id),
            Chat::Status => shown["status"] = json!(true),
            Chat::Channel(id) => shown["channel"] = json!(id),
        }
        if let Some(letter) = self.letter() {
            shown["body"] = json!(letter.body);
            for (name, value) in [
                ("media", json!(letter.media.as_ref().map(Media::shown))),
                ("quote", json!(letter.quote)),
                ("expires_after", json!(letter.expires_after)),
                ("waiting", json!(letter.waiting)),
                ("name", json!(self.name)),
            ] {
                if !value.is_null() {
                    shown[name] = value;
                }
            }
        }
        shown
    }

    /// What it makes of a message, for `GET /phone/state`: which message, the field there, and its value.
    pub(super) fn change(&self) -> Option<(&str, &'static str, Value)> {
        match &self.content {
            Content::Resolved { target } => Some((target, "waiting", Value::Null)),
            Content::Receipt { target, ack } => Some((target, "ack", json!(ack))),
            // The first three are a matter of `Fate`: pages do these too.
            Content::Edit { .. }
            | Content::Revoke { .. }
            | Content::Reaction { .. }
            | Content::Message(_)
            | Content::Mapping
            | Content::Notice { .. } => None,
        }
    }

    /// As it travels to a page. `group` is the chat, if that is one; `target` is the message that this one is about.
    pub(super) fn frame(&self, group: Option<&Group>, target: Option<&Target>) -> Value {
        let chat = match &self.chat {
            Chat::Person(number) => json!({ "person": self.person(number) }),
            Chat::Group(id) => {
                json!({ "group": group.map_or_else(|| json!({ "id": id }), Group::frame) })
            }
            Chat::Status => json!({ "status": true }),
            Chat::Channel(id) => json!({ "channel": id }),
        };
        let mut frame = json!({
            "id": self.id,
            "chat": chat,
            "author": self.author.as_ref().map(|author| self.person(author)),
            "own": self.is_own(),
            "name": self.name,
            "at": server::seconds(&self.at),
            "at_ms": server::milliseconds(&self.at),
            "target": target.map(Target::frame),
        });
        let content = match &self.content {
            Content::Message(letter) => letter.frame(),
            Content::Resolved { .. } => {
                let letter = target.and_then(|target| target.letter.as_ref());
                let mut resolved = letter.map(Letter::opened).unwrap_or_default();
                resolved["what"] = json!("resolved");
                resolved
            }
            Content::Edit { body, .. } => json!({ "what": "edit", "body": body }),
            Content::Revoke { by_admin, .. } => json!({ "what": "revoke", "by_admin": by_admin }),
            Content::Reaction { emoji, .. } => json!({ "what": "reaction", "emoji": emoji }),
            Content::Receipt { ack, .. } => json!({ "what": "receipt", "ack": ack }),
            Content::Mapping => {
                json!({ "what": "mapping", "known": self.author.as_ref().map(shown_person) })
            }
            Content::Notice { kind, people } => json!({
                "what": "notice",
                "kind": kind,
                "people": people.iter().map(shown_person).collect::<Vec<_>>(),
            }),
        };
        if let (Some(frame), Value::Object(content)) = (frame.as_object_mut(), content) {
            frame.extend(content);
        }
        frame
    }

    /// A person of this stanza, as the account may know them.
    fn person(&self, number: &Number) -> Value {
        let is_hidden = self.hidden && self.author.as_ref() == Some(number);
        json!({ "number": (!is_hidden).then_some(number), "lid": number.lid() })
    }
}

impl Media {
    /// Without what opens it.
    fn shown(&self) -> Value {
        let mut shown = json!(self);
        if let Some(fields) = shown.as_object_mut()
            && fields.remove("file").is_some()
        {
            fields.insert("has_bytes".to_owned(), json!(true));
        }
        shown
    }
}

fn shown_person(number: &Number) -> Value {
    json!({ "number": number, "lid": number.lid() })
}

impl Letter {
    /// What a device gets of it: nothing but that there is something, while it cannot decrypt it.
    fn frame(&self) -> Value {
        match self.waiting {
            Some(why) => json!({ "what": "message", "waiting": why }),
            None => self.opened(),
        }
    }

    fn opened(&self) -> Value {
        json!({
            "what": "message",
            "body": self.body,
            "media": self.media,
            "quote": self.quote,
            "mentions": self.mentions.iter().map(shown_person).collect::<Vec<_>>(),
            "expires_after": self.expires_after,
        })
    }
}

/// A message that a stanza is about, or that another message quotes.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) id: String,
    pub(super) chat: Chat,
    /// Absent: the account itself wrote it.
    pub(super) author: Option<Number>,
    pub(super) hidden: bool,
    pub(super) letter: Option<Letter>,
}

impl Target {
    fn frame(&self) -> Value {
        let letter = self.letter.as_ref();
        json!({
            "id": self.id,
            "own": self.author.is_none(),
            "author": self.author.as_ref().map(|author| {
                json!({ "number": (!self.hidden).then_some(author), "lid": author.lid() })
            }),
            "body": letter.filter(|letter| letter.waiting.is_none()).map(|letter| &letter.body),
            "media": letter.and_then(|letter| letter.media.as_ref()).map(|media| media.kind),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(raw: &str) -> Number {
        Number::parse(raw).unwrap()
    }

    fn stanza(letter: Letter) -> Stanza {
        Stanza {
            id: "3A00".to_owned(),
            account: number("5491150000001"),
            chat: Chat::Person(number("5491150000002")),
            author: Some(number("5491150000002")),
            hidden: false,
            name: None,
            at: "2026-11-30T00:00:00.250Z".to_owned(),
            content: Content::Message(letter),
        }
    }

    #[test]
    fn a_page_gets_no_text_that_it_cannot_decrypt() {
        let frame = stanza(Letter {
            body: "secret".to_owned(),
            waiting: Some(Waiting::Keys),
            ..Letter::default()
        })
        .frame(None, None);
        assert!(!frame.to_string().contains("secret"), "{frame}");
        assert_eq!(frame["waiting"], "keys");
    }

    #[test]
    fn a_page_gets_no_number_that_the_account_does_not_know() {
        let mut hidden = stanza(Letter::default());
        hidden.hidden = true;
        let frame = hidden.frame(None, None);
        assert!(!frame.to_string().contains("5491150000002"), "{frame}");
        assert_eq!(
            frame["author"]["lid"],
            number("5491150000002").lid().as_str()
        );
    }

    #[test]
    fn a_stanza_comes_out_of_the_journal_as_it_went_in() {
        let kept = stanza(Letter {
            body: "hola".to_owned(),
            media: Some(Media {
                kind: MediaKind::Document,
                mimetype: None,
                size: Some(7),
                name: Some("a.pdf".to_owned()),
                seconds: None,
                file: None,
            }),
            ..Letter::default()
        });
        let line = serde_json::to_string(&kept).unwrap();
        let read: Stanza = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (read.content, read.chat, read.at),
            (kept.content, kept.chat, kept.at)
        );
    }
}
