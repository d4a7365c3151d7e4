//! What an event says: the shapes of `data` in an event of the log, by the event's kind.
//!
//! | kind | `data` |
//! |---|---|
//! | `message`, `message.own`, `message.waiting` | [`HeardMessage`] |
//! | `message.ack` | [`HeardAck`] |
//! | `message.edited` | [`HeardEdit`] |
//! | `message.revoked` | [`HeardRevoke`] |
//! | `message.reaction` | [`HeardReaction`] |
//! | `message.resolved` | [`HeardResolved`] |
//! | `group.joined` | [`HeardGroupJoin`] |
//! | `group.left` | [`HeardGroupLeave`] |
//! | `group.participants` | [`HeardGroupParticipants`] |
//! | `group.updated` | [`HeardGroupUpdate`] |
//!
//! The page's script speaks these shapes, the session reads and writes them, and the code that shows or delivers an event names them in
//! its documentation: they are declared here and in no other place. Not responsible for the envelope (`ledger::event`), nor for
//! `session.status`. Imports only `masked`.
//!
//! A message is known by its `key`: the `id` names the chat too, whose address changes when WhatsApp moves it from a number to a
//! LID. A person has a number, a LID, or both; which of them is known may change, and `message.resolved` says so.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::masked::{Number, Text, WaId};

/// What happened, with what the event says of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data")]
pub enum Content {
    /// A message came in.
    #[serde(rename = "message")]
    Message(HeardMessage),
    /// This account sent a message.
    #[serde(rename = "message.own")]
    OwnMessage(HeardMessage),
    /// A message is there that the device cannot decrypt yet.
    #[serde(rename = "message.waiting")]
    Waiting(HeardMessage),
    /// A message of this account has got further.
    #[serde(rename = "message.ack")]
    Ack(HeardAck),
    /// A message has another text.
    #[serde(rename = "message.edited")]
    Edited(HeardEdit),
    /// A message was taken back.
    #[serde(rename = "message.revoked")]
    Revoked(HeardRevoke),
    /// A reaction was given, changed or taken back.
    #[serde(rename = "message.reaction")]
    Reaction(HeardReaction),
    /// The number of a person is known now.
    #[serde(rename = "message.resolved")]
    Resolved(HeardResolved),
    /// This account is in a group now.
    #[serde(rename = "group.joined")]
    GroupJoined(HeardGroupJoin),
    /// This account is not in a group any more.
    #[serde(rename = "group.left")]
    GroupLeft(HeardGroupLeave),
    /// Others came into a group or left it, or its admins are others.
    #[serde(rename = "group.participants")]
    GroupParticipants(HeardGroupParticipants),
    /// A group has another name, picture, description or setting.
    #[serde(rename = "group.updated")]
    GroupUpdated(HeardGroupUpdate),
}

/// A message: one that came in, one that this account sent, or one that the device cannot decrypt yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HeardMessage {
    /// WhatsApp's full id, which names the chat too. That part of it may change.
    #[schema(value_type = String, example = "false_5491158254201@c.us_3A5F0C2B1D4E6F708192")]
    pub id: WaId,
    /// The part of the id that stays: by it every other event names the message, and so does an answer of `POST /send`.
    pub key: String,
    /// The chat's address: `…@c.us` or `…@lid` with one person, `…@g.us` in a group.
    #[schema(value_type = String)]
    pub chat: WaId,
    /// Whether the chat is a group.
    pub is_group: bool,
    /// The group's name, where the page knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub group_name: Option<Text>,
    /// Who wrote it, in a group too.
    pub from: Person,
    /// Whom it was written to; not in a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Person>,
    /// What it is.
    pub kind: MessageKind,
    /// The text of a text message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub text: Option<Text>,
    /// The text that a picture, a video or a document carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub caption: Option<Text>,
    /// The message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted: Option<Quoted>,
    /// Who is mentioned in its text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Person>,
    /// What is known of its picture, video, sound, document or sticker; not the bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Media>,
    /// A place, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The contact cards that it carries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<ContactCard>,
    /// A question with answers to choose from, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
    /// Only of `message.own`: who sent it. The log keeps it in a column of its own; a reader of the log fills it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

impl HeardMessage {
    /// The same without what it says: who wrote what kind of message to whom, and when.
    #[must_use]
    pub fn without_words(self) -> Self {
        Self {
            text: None,
            caption: None,
            quoted: None,
            media: self.media.map(|media| Media {
                filename: None,
                ..media
            }),
            location: None,
            contacts: Vec::new(),
            poll: None,
            ..self
        }
    }
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// A text.
    Text,
    /// A picture.
    Image,
    /// A video, or a moving picture.
    Video,
    /// A sound file.
    Audio,
    /// A voice message.
    Voice,
    /// A file of any kind.
    Document,
    /// A sticker.
    Sticker,
    /// A place.
    Location,
    /// One or more contact cards.
    Contact,
    /// A question with answers to choose from.
    Poll,
    /// The device cannot decrypt it yet: only in `message.waiting`.
    Waiting,
    /// Anything else, such as an order or a message with buttons.
    #[serde(other)]
    Other,
}

/// A person, by what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Person {
    /// Their phone number, digits only. It may become known later (`message.resolved`).
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "5491158254201")]
    pub phone: Option<Number>,
    /// Their LID, `…@lid`: WhatsApp's own address for them, which hides the number.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "123456789012345@lid")]
    pub lid: Option<WaId>,
    /// The name that they have given themselves.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub name: Option<Text>,
}

/// A message that another one answers, as far as that one holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quoted {
    /// Its [`HeardMessage::key`].
    pub key: String,
    /// Its text or caption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub text: Option<Text>,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Person>,
}

/// What the id of an event begins with, and that of the file that its message brings. The id of a file that is to be sent begins
/// otherwise (`media`).
pub const EVENT_ID_START: &str = "evt_";
/// See [`EVENT_ID_START`].
pub const MEDIA_ID_START: &str = "med_";

/// The id of the file that the message of an event brings, from the id of the event.
pub fn media_id(event: &str) -> Option<String> {
    let digits = event.strip_prefix(EVENT_ID_START)?;
    Some(format!("{MEDIA_ID_START}{digits}"))
}

/// Where the file with this id is.
pub fn media_path(id: &str) -> String {
    format!("/media/{id}")
}

/// What is known of a picture, a video, a sound, a document or a sticker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Media {
    /// The id of the file. The log does not have it; a reader of the log fills it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "med_4f1c0b7f7b0d4c63a1b8f0d6f3f5c9aa")]
    pub id: Option<String>,
    /// Where the file is: the path of `GET /media/{id}`. A reader of the log fills it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "/media/med_4f1c0b7f7b0d4c63a1b8f0d6f3f5c9aa")]
    pub url: Option<String>,
    /// The SHA-256 of its bytes, in hexadecimal digits, as its sender says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Its type, as `image/jpeg`.
    #[serde(default)]
    pub mimetype: Option<String>,
    /// Its size.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// The name of a document.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub filename: Option<Text>,
    /// How long a sound or a video is.
    #[serde(default)]
    pub duration_seconds: Option<u64>,
    /// It can be looked at once only.
    #[serde(default)]
    pub is_view_once: bool,
}

/// A place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// What the sender calls it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub name: Option<Text>,
    /// Its address, which may have several lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<Text>,
}

/// A contact card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContactCard {
    /// Whose it is.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub name: Option<Text>,
    /// The card itself, a vCard.
    #[schema(value_type = String)]
    pub vcard: Text,
}

/// A question with answers to choose from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Poll {
    /// The question.
    #[schema(value_type = String)]
    pub question: Text,
    /// The answers.
    #[schema(value_type = Vec<String>)]
    pub options: Vec<Text>,
    /// How many of them a person may choose; 0 is any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choices: Option<u64>,
}

/// Who sent a message of this account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// This service sent it.
    Api,
    /// The account's phone did, or another of its devices.
    Phone,
}

impl Source {
    /// The word for it in the API and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Phone => "phone",
        }
    }

    /// The source with this word.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Api, Self::Phone]
            .into_iter()
            .find(|source| source.as_str() == word)
    }
}

/// How far a message of this account has got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeardAck {
    /// See [`HeardMessage::id`].
    #[schema(value_type = String)]
    pub id: WaId,
    /// See [`HeardMessage::key`].
    pub key: String,
    /// See [`HeardMessage::chat`].
    #[schema(value_type = String)]
    pub chat: WaId,
    /// Whether the chat is a group. Then the level is that of all members together.
    pub is_group: bool,
    /// WhatsApp's number for it: 1 sent, 2 delivered, 3 read, 4 played; below 0 WhatsApp gave the message up.
    pub ack: i32,
    /// The word for that number.
    pub state: AckState,
    /// Who sent the message. The log keeps it in a column of its own; a reader of the log fills it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// A word for how far a message has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AckState {
    /// WhatsApp gave it up.
    Failed,
    /// WhatsApp's server has it.
    Sent,
    /// A device of the recipient has it.
    Delivered,
    /// It was read.
    Read,
    /// Its sound or video was played.
    Played,
}

/// A message has another text now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeardEdit {
    /// See [`HeardMessage::id`].
    #[schema(value_type = String)]
    pub id: WaId,
    /// See [`HeardMessage::key`].
    pub key: String,
    /// See [`HeardMessage::chat`].
    #[schema(value_type = String)]
    pub chat: WaId,
    /// Whether the chat is a group.
    pub is_group: bool,
    /// Who wrote the message. Only its writer can edit it.
    pub from: Person,
    /// Whether that is this account.
    pub is_own: bool,
    /// The text that it has now, or the caption.
    #[schema(value_type = String)]
    pub text: Text,
    /// Who edited it, if this account did. The log keeps it beside `data`; a reader of the log fills it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// A message was taken back: deleted for everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeardRevoke {
    /// See [`HeardMessage::id`]; of the message that is gone.
    #[schema(value_type = String)]
    pub id: WaId,
    /// See [`HeardMessage::key`]; of the message that is gone.
    pub key: String,
    /// See [`HeardMessage::chat`].
    #[schema(value_type = String)]
    pub chat: WaId,
    /// Whether the chat is a group.
    pub is_group: bool,
    /// Whether the message was one of this account.
    pub is_own: bool,
    /// Who took it back, where the page says so: its writer, or an admin of the group.
    #[serde(default)]
    pub by: Option<Person>,
    /// It was an admin of the group.
    pub is_by_admin: bool,
    /// Who took it back, if this account did. The log keeps it beside `data`; a reader of the log fills it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// A reaction to a message was given, changed or taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeardReaction {
    /// See [`HeardMessage::id`]; of the message that it is about.
    #[schema(value_type = String)]
    pub id: WaId,
    /// See [`HeardMessage::key`]; of the message that it is about.
    pub key: String,
    /// See [`HeardMessage::chat`].
    #[schema(value_type = String)]
    pub chat: WaId,
    /// Whether the chat is a group.
    pub is_group: bool,
    /// Who reacts.
    pub from: Person,
    /// Whether that is this account.
    pub is_own: bool,
    /// The emoji; `null` when the reaction was taken back.
    #[schema(value_type = Option<String>)]
    pub emoji: Option<Text>,
    /// Who reacted, if this account did. The log keeps it beside `data`; a reader of the log fills it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// The number of a person is known now of whom earlier events had the LID only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeardResolved {
    /// The person, with both addresses.
    pub from: Person,
    /// The chat with them, by the address that their events had.
    #[schema(value_type = String)]
    pub chat: WaId,
    /// The latest message of theirs that had no number, by its [`HeardMessage::key`].
    #[serde(default)]
    pub key: Option<String>,
}

/// The group that an event is about, and who has done it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupNews {
    /// WhatsApp's full id of the line in the group's chat that tells it.
    #[schema(value_type = String)]
    pub id: WaId,
    /// The part of that id which stays.
    pub key: String,
    /// The group's address, `…@g.us`.
    #[schema(value_type = String, example = "120363041234567890@g.us")]
    pub chat: WaId,
    /// Always true.
    pub is_group: bool,
    /// The group's name, where the page knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub group_name: Option<Text>,
    /// Who has done it, where WhatsApp says so.
    #[serde(default)]
    pub by: Option<Person>,
}

/// This account is in a group now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeardGroupJoin {
    /// Which group.
    #[serde(flatten)]
    pub news: GroupNews,
    /// How it came there.
    pub how: JoinWay,
}

/// How an account has come into a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JoinWay {
    /// It has made the group, on its phone.
    Created,
    /// Another person has added it.
    Added,
    /// By a link, or by way of a community.
    Joined,
}

/// This account is not in a group any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeardGroupLeave {
    /// Which group.
    #[serde(flatten)]
    pub news: GroupNews,
    /// How it went.
    pub how: LeaveWay,
}

/// How an account has gone from a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeaveWay {
    /// It has left by itself, on its phone.
    Left,
    /// Another person has removed it.
    Removed,
}

/// Others came into a group or left it, or its admins are others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeardGroupParticipants {
    /// Which group.
    #[serde(flatten)]
    pub news: GroupNews,
    /// What became of these.
    pub action: GroupAction,
    /// Whom it is about. This account is among them only where admins change.
    pub participants: Vec<Person>,
}

/// What becomes of people in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupAction {
    /// Another person has added them.
    Added,
    /// They came by a link, or by way of a community.
    Joined,
    /// Another person has removed them.
    Removed,
    /// They have left.
    Left,
    /// They are admins now.
    Promoted,
    /// They are no admins any more.
    Demoted,
}

/// A group has another name, picture, description or setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeardGroupUpdate {
    /// Which group.
    #[serde(flatten)]
    pub news: GroupNews,
    /// What is another one.
    pub what: GroupPart,
    /// Its name, when that has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub subject: Option<Text>,
    /// Its description, when that has changed; absent when it was taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Text>,
    /// The setting that has changed, in WhatsApp's own word, such as `announce`: only admins may write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
}

/// What of a group can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupPart {
    /// Its name.
    Subject,
    /// Its description.
    Description,
    /// Its picture.
    Picture,
    /// One of its settings.
    Setting,
}

/// A person of whom an event had the LID only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Numberless {
    /// Their LID.
    pub lid: WaId,
    /// The chat with them.
    pub chat: WaId,
    /// The latest message of theirs that had no number, by its [`HeardMessage::key`].
    pub key: String,
}

impl Numberless {
    /// The author of this message, if it is one.
    pub fn author_of(message: HeardMessage) -> Option<Self> {
        let Person { phone, lid, .. } = message.from;
        let lid = lid.filter(|_| phone.is_none())?;
        Some(Self {
            lid,
            chat: message.chat,
            key: message.key,
        })
    }

    /// What tells from every other event that their number has become known, as the page's script has it. After another link the same
    /// person may write without a number once more, and it may become known once more.
    pub fn once(&self) -> WaId {
        format!("number {} {}", &*self.lid, self.key).into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_written_as_it_is_read_and_nothing_of_it_is_in_its_debug() {
        let whole = json!({
            "id": "false_111@lid_3A", "key": "3A", "chat": "111@lid", "is_group": false,
            "from": {"phone": null, "lid": "111@lid", "name": "Eva secreta"},
            "to": {"phone": "5491158254201", "lid": null, "name": null},
            "kind": "image", "caption": "mira secreta",
            "quoted": {"key": "3B", "text": "antes secreta", "from": {"phone": "1", "lid": null, "name": null}},
            "mentions": [{"phone": "5491150002222", "lid": null, "name": null}],
            "media": {"mimetype": "image/jpeg", "bytes": 10, "filename": null, "duration_seconds": null, "is_view_once": false},
        });
        let read: HeardMessage = serde_json::from_value(whole.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), whole);
        let shown = format!("{read:?}");
        assert!(
            !shown.contains("secreta") && !shown.contains("549115") && !shown.contains("@lid"),
            "{shown}"
        );
    }

    #[test]
    fn a_kind_that_is_not_known_is_another_one() {
        let kind: MessageKind = serde_json::from_value(json!("order")).unwrap();
        assert_eq!(kind, MessageKind::Other);
    }
}
