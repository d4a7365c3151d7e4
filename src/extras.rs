//! What a message that is to be sent says beside its text: a medium, a place, contact cards, a poll; what it answers, and whom it
//! mentions. Or what is to be done to a message that is there.
//!
//! Responsible for the one shape of that: as a caller gives it, as the ledger keeps it and as the page's scripts get it. Not
//! responsible for what of it is allowed (`http`), nor for what WhatsApp makes of it (`whatsapp/page`). Imports only `masked`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::masked::{Number, Text, WaId};

/// See the module. A plain text has none of it; of media, location, contacts and poll a message has one at most, and then no text. With an
/// action there is nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Extras {
    /// The message that it answers: the id that events give it, the full one or its last part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<WaId>,
    /// Who is mentioned in its text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Number>,
    /// A place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Place>,
    /// Contact cards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<Card>,
    /// A question with answers to choose from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Question>,
    /// A picture, a film, a sound, a document or a sticker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Medium>,
    /// It is no message, but something that is done to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// A hash of the request, where that has a key and names its file by an address or an id: its repetition is known by this after the
    /// file has gone there, and the texts here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

impl Extras {
    /// Whether the message is a plain text.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What two requests for the same thing have in common: a message is the same one under each of its ids.
    #[must_use]
    pub fn in_common(&self) -> Self {
        let action = self.action.clone();
        Self {
            action: action.map(|action| Action { id: None, ..action }),
            // The same file is the same, from wherever it came.
            request: None,
            ..self.clone()
        }
    }

    /// What is left when texts go: neither what was done to which message nor a hash is one.
    #[must_use]
    pub fn without_texts(&self) -> Self {
        Self {
            action: self.action.clone(),
            request: self.request.clone(),
            ..Self::default()
        }
    }
}

/// What is done to a message that is there. The emoji or the new text is the text of the send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// What.
    pub kind: ActionKind,
    /// To which message: the last part of its id, which stays.
    pub key: WaId,
    /// Its full id, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<WaId>,
}

impl Action {
    /// Whether the later one of the two takes the place of the other: one reaction that of another one, one text that of another.
    pub fn replaces(&self, other: &Self) -> bool {
        self.kind == other.kind && self.key == other.key
    }

    /// The chat that the message is in, as its full id has it. It may have another address by now.
    pub fn chat(&self) -> Option<WaId> {
        let chat = self.id.as_deref()?.split('_').nth(1)?;
        Some(chat.into())
    }
}

/// What can be done to a message. Each of it may be done twice: the second time changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Give it a reaction, or take that back.
    Reaction,
    /// Give it another text.
    Edit,
    /// Delete it for everybody.
    Revoke,
    /// Delete it on the devices of the account.
    RevokeForMe,
}

/// A place to be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "an object that has latitude and longitude"
)]
pub struct Place {
    /// Degrees north, -90 to 90.
    #[schema(minimum = -90, maximum = 90, example = -34.6037)]
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    #[schema(minimum = -180, maximum = 180, example = -58.3816)]
    pub longitude: f64,
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 255, example = "Obelisco")]
    pub name: Option<Text>,
    /// Where it is, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 1000, example = "Av. 9 de Julio, Buenos Aires")]
    pub address: Option<Text>,
}

/// A contact card to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Whose it is: what the recipient sees.
    pub name: Text,
    /// Their number.
    pub phone: Number,
}

/// A poll to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "an object that has question and options"
)]
pub struct Question {
    /// What is asked.
    #[schema(value_type = String, min_length = 1, max_length = 255, example = "¿Cuándo nos vemos?")]
    pub question: Text,
    /// The answers to choose from, all different.
    #[schema(value_type = Vec<String>, min_items = 2, max_items = 12)]
    pub options: Vec<Text>,
    /// How many of them a person may choose; without it any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 12)]
    pub choices: Option<u32>,
}

/// A medium to be sent. Its bytes lie in a file of their own, which their hash names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Medium {
    /// SHA-256 of the bytes, in 64 hexadecimal digits.
    pub sha256: String,
    /// How many they are.
    pub bytes: u64,
    /// As what it is sent.
    pub kind: MediumKind,
    /// The type of the bytes, in WhatsApp's words.
    pub mimetype: String,
    /// What a document is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<Text>,
    /// The text below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<Text>,
    /// It can be looked at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub view_once: bool,
}

/// An upload of this many bytes a second is slow, and one below it is taken for one that stands still.
const SLOWEST_UPLOAD: u64 = 100_000;

/// So many bytes a second it has as a rule, on the line of a server.
const USUAL_UPLOAD: u64 = 5_000_000;

/// What an upload takes that is not its bytes.
const SHORTEST_UPLOAD: Duration = Duration::from_secs(30);

impl Medium {
    /// How long the upload of so many bytes may take.
    pub fn upload_time(bytes: u64) -> Duration {
        SHORTEST_UPLOAD + Duration::from_secs(bytes / SLOWEST_UPLOAD)
    }

    /// How long the upload of so many bytes takes as a rule.
    pub const fn usual_upload_time(bytes: u64) -> Duration {
        Duration::from_millis(bytes / (USUAL_UPLOAD / 1000))
    }
}

impl Extras {
    /// How much longer than a text this may take until it is with WhatsApp.
    pub fn extra_time(&self) -> Duration {
        let upload = |medium: &Medium| Medium::upload_time(medium.bytes);
        self.media.as_ref().map_or(Duration::ZERO, upload)
    }
}

/// As what a medium is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MediumKind {
    /// A picture, shown in the chat.
    Image,
    /// A film, played in the chat.
    Video,
    /// A sound, such as a song.
    Audio,
    /// A voice message.
    Voice,
    /// A file, with its name; of any type, its bytes as they are.
    Document,
    /// A sticker.
    Sticker,
}

impl MediumKind {
    /// Its name in requests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::Document => "document",
            Self::Sticker => "sticker",
        }
    }
}
