//! What a message of a page says beside its text: a medium, a place, contact cards, a poll; what it answers, and whom it mentions.
//!
//! Responsible for: the shape of that on its way from a page, in the journal, and in `GET /phone/messages`. Not responsible for:
//! whether the page was right to send it (the page's own module `WAWebSendMsgChatAction`).

use serde::{Deserialize, Serialize, Serializer};

use super::{
    media::{MediaError, MediaFile, MediaStore, Opened},
    number::Number,
    stanza::MediaKind,
};

/// See the module. A plain text has none of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Extras {
    /// The inner id of the message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quote: Option<String>,
    /// Who is mentioned in its text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) mentions: Vec<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) contacts: Vec<ContactCard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) poll: Option<Poll>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) media: Option<SentMedia>,
}

/// A medium, as the recipient's phone finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SentMedia {
    #[serde(serialize_with = "in_plain_words")]
    pub(super) kind: MediaKind,
    pub(super) mimetype: String,
    /// As the phone has counted them.
    pub(super) bytes: u64,
    /// Of the bytes that the phone has decrypted, in hexadecimal digits; absent: it cannot open the file.
    #[serde(default)]
    pub(super) sha256: Option<String>,
    #[serde(default)]
    pub(super) filename: Option<String>,
    #[serde(default)]
    pub(super) caption: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) view_once: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seconds: Option<u32>,
    /// Why the phone cannot show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
    pub(super) file: MediaFile,
}

/// People call it a voice message; the page's word is `ptt`, which is read as well.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde gives it a reference"
)]
fn in_plain_words<S: Serializer>(kind: &MediaKind, serializer: S) -> Result<S::Ok, S::Error> {
    if matches!(kind, MediaKind::Ptt) {
        serializer.serialize_str("voice")
    } else {
        kind.serialize(serializer)
    }
}

/// A place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Location {
    /// Degrees north.
    pub(super) latitude: f64,
    /// Degrees east.
    pub(super) longitude: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<String>,
}

/// A contact card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ContactCard {
    pub(super) name: String,
    pub(super) vcard: String,
}

/// A question with answers to choose from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Poll {
    pub(super) question: String,
    pub(super) options: Vec<String>,
    /// How many of them a person may choose; 0: any number.
    pub(super) choices: u32,
}

/// The same, as it travels from a page: people by their addresses.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExtrasOfPage {
    quote: Option<String>,
    mentions: Option<Vec<Address>>,
    location: Option<Location>,
    contacts: Option<Vec<ContactCard>>,
    poll: Option<Poll>,
    media: Option<MediaOfPage>,
}

/// A medium, as it travels from a page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MediaOfPage {
    kind: MediaKind,
    mimetype: String,
    size: u64,
    filename: Option<String>,
    caption: Option<String>,
    #[serde(default)]
    view_once: bool,
    seconds: Option<u32>,
    file: MediaFile,
}

impl MediaOfPage {
    /// What the recipient's phone makes of it.
    fn open(self, store: &MediaStore) -> SentMedia {
        let opened = store.open_file(self.kind, &self.file, |_| {});
        let opened = opened.and_then(|opened| {
            if opened.bytes == self.size {
                Ok(opened)
            } else {
                Err(MediaError::OtherContent)
            }
        });
        let (bytes, sha256, problem) = match opened {
            Ok(Opened { bytes, sha256 }) => (bytes, Some(sha256), None),
            Err(why) => (self.size, None, Some(why.to_string())),
        };
        SentMedia {
            kind: self.kind,
            mimetype: self.mimetype,
            bytes,
            sha256,
            filename: self.filename,
            caption: self.caption,
            view_once: self.view_once,
            seconds: self.seconds,
            problem,
            file: self.file,
        }
    }
}

/// How a page addresses a person.
#[derive(Debug, Deserialize)]
struct Address {
    user: String,
    server: String,
}

impl ExtrasOfPage {
    /// `None` if an address in its mentions is not that of a person. Reads a medium to its end.
    pub(super) fn read(self, store: &MediaStore) -> Option<Extras> {
        let mentions = self.mentions.unwrap_or_default().into_iter();
        let mentions = mentions.map(|who| Number::addressed(&who.user, &who.server));
        Some(Extras {
            quote: self.quote,
            mentions: mentions.collect::<Option<_>>()?,
            location: self.location,
            contacts: self.contacts.unwrap_or_default(),
            poll: self.poll,
            media: self.media.map(|media| media.open(store)),
        })
    }
}
