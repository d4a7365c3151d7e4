//! What can be read out of a page beside what it hears: its chats, the messages that it has stored, its groups, and who has a
//! number.
//!
//! The page's script answers in these shapes, and the API shows them: they are declared here and in no other place. A message has the
//! shape of [`heard`](crate::heard). Imports only `heard` and `masked`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    heard::{AckState, HeardMessage, Person},
    masked::{Number, Text, WaId},
};

/// Chats, the latest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chats {
    /// The chats.
    pub chats: Vec<Chat>,
    /// Names the last one of these, if there are more behind it.
    #[serde(default)]
    pub next: Option<String>,
}

/// A chat with one person, or a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the chat"
)]
pub struct Chat {
    /// Its address: `…@c.us` or `…@lid` with one person, `…@g.us` of a group.
    #[schema(value_type = String, example = "5491158254201@c.us")]
    pub chat: WaId,
    /// Whether it is a group.
    pub is_group: bool,
    /// What WhatsApp Web calls it: the group's subject, the name that the phone has saved, or the number.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub name: Option<Text>,
    /// With whom it is; not of a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    /// Messages that came in and were not looked at.
    pub unread_count: u64,
    /// A person has marked it as unread, by hand.
    pub is_marked_unread: bool,
    /// It stands in the archive.
    pub is_archived: bool,
    /// It stands above the others.
    pub is_pinned: bool,
    /// Nothing can be written to it: the account has left the group, or it is a community as such.
    pub is_read_only: bool,
    /// When something last happened in it.
    #[serde(default, with = "moment")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_at: Option<Timestamp>,
    /// Its latest message, where the page has it at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message: Option<Box<StoredMessage>>,
}

/// Messages of one chat, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredMessages {
    /// The chat's address as it is now: it may have moved from a number to a LID.
    pub chat: WaId,
    /// The messages.
    pub messages: Vec<StoredMessage>,
    /// What `before` is to be for those before these; `None` when the page has stored none.
    #[serde(default)]
    pub next: Option<WaId>,
    /// Where messages before these are.
    pub older: Older,
    /// Whether the phone has given older ones, when it was asked.
    #[serde(default)]
    pub is_fetched: Option<bool>,
}

/// Where the messages are that come before those of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Older {
    /// The page has stored them: `next` has them.
    Stored,
    /// The phone has them, and gives them when it is asked (`fetch=true`).
    Phone,
    /// The phone has them, and gives no more of them to this device.
    PhoneOnly,
    /// There are none.
    None,
    /// WhatsApp Web does not say whether the phone has any.
    Unknown,
}

/// A message that the page has stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StoredMessage {
    /// What events about it have as `data`.
    #[serde(flatten)]
    pub message: HeardMessage,
    /// When it was written, by WhatsApp's clock.
    #[serde(default, with = "moment")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub timestamp: Option<Timestamp>,
    /// Whether this account sent it.
    pub is_own: bool,
    /// Of one of this account: how far it has got, by WhatsApp's number; 0 while it waits in the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack: Option<i32>,
    /// The word for that number; absent while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<AckState>,
    /// Its writer has changed it: this is what it says now.
    pub is_edited: bool,
    /// It was deleted for everybody: what it said is gone.
    pub is_revoked: bool,
}

/// The groups of the account, the latest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Groups {
    /// The groups.
    pub groups: Vec<Group>,
    /// Names the last one of these, if there are more behind it.
    #[serde(default)]
    pub next: Option<String>,
}

/// A group, in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// Its address.
    #[schema(value_type = String, example = "120363041234567890@g.us")]
    pub id: WaId,
    /// Its name.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub subject: Option<Text>,
    /// Whether the account is in it.
    pub is_member: bool,
    /// It is a community as such, which cannot be written to; its groups can.
    pub is_community: bool,
    /// How many are in it, where the page knows its members.
    #[serde(default)]
    pub size: Option<u64>,
    /// When something last happened in it.
    #[serde(default, with = "moment")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_at: Option<Timestamp>,
}

/// All that is known of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GroupDetails {
    /// What a list says of it.
    #[serde(flatten)]
    pub group: Group,
    /// Its description.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub description: Option<Text>,
    /// Who made it, where the page says so.
    #[serde(default)]
    pub owner: Option<Person>,
    /// When it was made.
    #[serde(default, with = "moment")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created_at: Option<Timestamp>,
    /// How its members are addressed.
    pub address_mode: AddressMode,
    /// Only admins may write.
    pub is_for_admins_only: bool,
    /// Who is in it, the account itself too.
    pub participants: Vec<Participant>,
    /// How many of them are left out of this answer.
    pub participants_left_out: u64,
}

/// How the members of a group are addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AddressMode {
    /// By their numbers.
    Number,
    /// By their LIDs.
    Lid,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Participant {
    /// Who it is.
    #[serde(flatten)]
    pub person: Person,
    /// Whether that is this account.
    pub is_me: bool,
    /// An admin, the one who made the group too.
    pub is_admin: bool,
    /// The one who made the group, as long as that is an admin.
    pub is_super_admin: bool,
}

/// Whom an address means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NumberFacts {
    /// Whether it is on WhatsApp; null where the page does not know the LID.
    #[serde(default)]
    pub exists: Option<bool>,
    /// The address of the chat with that person.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "5491158254201@c.us")]
    pub chat: Option<WaId>,
    /// Their phone number, digits only, where it is known.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "5491158254201")]
    pub phone: Option<Number>,
    /// Their LID, where it is known.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "123456789012345@lid")]
    pub lid: Option<WaId>,
}

/// A moment: the page gives milliseconds, the API shows it as JavaScript writes one.
mod moment {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the shape that serde calls")]
    pub(super) fn serialize<S: Serializer>(
        moment: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match moment {
            Some(moment) => serializer.collect_str(&format_args!("{moment:.3}")),
            None => serializer.serialize_none(),
        }
    }

    /// A time that does not fit is none.
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let at = Option::<f64>::deserialize(deserializer)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a time that does not fit is none"
        )]
        Ok(at.and_then(|at| Timestamp::from_millisecond(at as i64).ok()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_page_says_of_a_chat_is_shown_with_its_times_and_nothing_of_it_is_in_its_debug() {
        let said = json!({
            "chat": "111@lid", "is_group": false, "name": "Eva secreta", "person": {"phone": null, "lid": "111@lid", "name": "Eva secreta"},
            "unread_count": 2, "is_marked_unread": false, "is_archived": false, "is_pinned": false, "is_read_only": false,
            "last_at": 1_800_000_000_000_u64,
            "last_message": {
                "id": "true_111@lid_3A", "key": "3A", "chat": "111@lid", "is_group": false, "from": {"phone": "5491150000001"},
                "kind": "text", "text": "hola secreta", "timestamp": 1_800_000_000_000_u64, "is_own": true, "ack": 2, "state": "delivered",
                "is_edited": false, "is_revoked": false,
            },
        });
        let chat: Chat = serde_json::from_value(said).unwrap();
        let shown = serde_json::to_value(&chat).unwrap();
        assert_eq!(shown["last_at"], "2027-01-15T08:00:00.000Z");
        let last = &shown["last_message"];
        assert_eq!(
            (&last["text"], &last["timestamp"], &last["state"]),
            (
                &json!("hola secreta"),
                &json!("2027-01-15T08:00:00.000Z"),
                &json!("delivered")
            )
        );
        let debug = format!("{chat:?}");
        assert!(
            !debug.contains("secreta") && !debug.contains("111@lid"),
            "{debug}"
        );
    }
}
