//! Whom a message is for: a phone number, a person who has hidden it, or a group.
//!
//! Responsible for telling these apart. What may stand in a number is [`Recipient`]'s part.

use std::{fmt, str::FromStr};

use super::{InvalidRecipient, Recipient};
use crate::masked::{Number, WaId};

/// Where a person's hidden id ends, and where a group's address does.
const LID: &str = "@lid";
const GROUP: &str = "@g.us";

/// A LID has up to 15 digits today, a group's id 18; an older group's is the number of its founder, a hyphen and a time in seconds.
const MOST_DIGITS: usize = 32;
const FEWEST_DIGITS: usize = 5;

/// Whom a message is for. Its `Debug` shows the last four characters in front of the `@`.
#[derive(Clone, PartialEq, Eq)]
pub enum Addressee {
    /// A person, by their number.
    Number(Recipient),
    /// A person by their LID, `…@lid`, as events give it; or a group, `…@g.us`. WhatsApp's own addresses of chats.
    Chat(WaId),
}

impl Addressee {
    /// As the ledger and the answers name it: the digits of a number, else the address.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Number(number) => number.digits(),
            Self::Chat(address) => address,
        }
    }

    /// Whether it is a group.
    pub fn is_group(&self) -> bool {
        matches!(self, Self::Chat(address) if address.ends_with(GROUP))
    }

    /// WhatsApp's address of the chat with them, as far as that is known: of a person by their number, `…@c.us`.
    pub(super) fn chat(&self) -> WaId {
        match self {
            Self::Number(number) => format!("{}@c.us", number.digits()).into(),
            Self::Chat(address) => address.clone(),
        }
    }

    /// The address of the chat, of a recipient that is named by it: WhatsApp need not be asked for it.
    pub(super) fn chat_of(to: &Number) -> Option<WaId> {
        to.contains('@').then(|| WaId::from(&**to))
    }
}

impl FromStr for Addressee {
    type Err = InvalidRecipient;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let address = raw.trim();
        let is_id = |id: &str| {
            let digits = id.bytes().filter(u8::is_ascii_digit).count();
            (FEWEST_DIGITS..=MOST_DIGITS).contains(&digits)
                && id.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
                && !id.starts_with('-')
                && !id.ends_with('-')
        };
        let is_person = address
            .strip_suffix(LID)
            .is_some_and(|id| is_id(id) && !id.contains('-'));
        if is_person || address.strip_suffix(GROUP).is_some_and(is_id) {
            return Ok(Self::Chat(address.into()));
        }
        raw.parse().map(Self::Number).map_err(|why| {
            if why != InvalidRecipient::NotAPerson {
                why
            } else if address.ends_with(GROUP) {
                InvalidRecipient::NoGroup
            } else {
                InvalidRecipient::NotServed
            }
        })
    }
}

impl fmt::Debug for Addressee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Chat(address) => {
                let (id, server) = address.split_once('@').unwrap_or_default();
                let end = id.len().saturating_sub(4);
                write!(f, "Chat(…{}@{server})", &id[end..])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Result<Addressee, InvalidRecipient> {
        raw.parse()
    }

    #[test]
    fn a_number_a_hidden_person_and_a_group_are_told_apart() {
        for (raw, name) in [
            ("+54 9 11 5825-4201", "5491158254201"),
            ("5491158254201@c.us", "5491158254201"),
            ("123456789012345@lid", "123456789012345@lid"),
            (" 120363041234567890@g.us ", "120363041234567890@g.us"),
            (
                "5491158254201-1612345678@g.us",
                "5491158254201-1612345678@g.us",
            ),
        ] {
            assert_eq!(read(raw).unwrap().as_str(), name, "{raw}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_as_a_number_is() {
        for raw in [
            "ana@lid",
            "12 345 678@lid",
            "1-2345678@lid",
            "-12345678@g.us",
            "status@broadcast",
            "123@g.us",
            "",
        ] {
            assert!(read(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn a_channel_and_status_updates_are_not_served_and_groups_are() {
        for raw in ["status@broadcast", "12036304120@newsletter"] {
            assert_eq!(read(raw), Err(InvalidRecipient::NotServed), "{raw}");
            let said = InvalidRecipient::NotServed.to_string();
            assert!(
                said.contains("not served") && said.contains("@g.us"),
                "{said}"
            );
        }
        assert_eq!(read("@g.us"), Err(InvalidRecipient::NoGroup));
    }

    #[test]
    fn no_more_than_its_end_is_shown() {
        let shown = format!("{:?}", read("123456789012345@lid").unwrap());
        assert_eq!(shown, "Chat(…2345@lid)");
    }
}
