//! What a message of a page says beside its text: a place, contact cards, a poll; what it answers, and whom it mentions.
//!
//! Responsible for: the shape of that on its way from a page, in the journal, and in `GET /phone/messages`. Not responsible for:
//! whether the page was right to send it (the page's own module `WAWebSendMsgChatAction`).

use serde::{Deserialize, Serialize};

use super::number::Number;

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
}

/// How a page addresses a person.
#[derive(Debug, Deserialize)]
struct Address {
    user: String,
    server: String,
}

impl ExtrasOfPage {
    /// `None` if an address in its mentions is not that of a person.
    pub(super) fn read(self) -> Option<Extras> {
        let mentions = self.mentions.unwrap_or_default().into_iter();
        let mentions = mentions.map(|who| Number::addressed(&who.user, &who.server));
        Some(Extras {
            quote: self.quote,
            mentions: mentions.collect::<Option<_>>()?,
            location: self.location,
            contacts: self.contacts.unwrap_or_default(),
            poll: self.poll,
        })
    }
}
