//! Phone numbers as the sandbox writes them: digits only.
//!
//! Responsible for: what counts as a number, which numbers are on WhatsApp, and the hidden
//! identity (LID) that stands for a number. Not responsible for: who owns a number.

use serde::{Deserialize, Serialize};

/// Digits of a number in the plan of E.164: no country has shorter ones that WhatsApp knows.
const SHORTEST: usize = 7;
/// The upper limit of E.164.
const LONGEST: usize = 15;
/// Numbers given out when the phone names none: a block that is not assigned.
const FICTITIOUS: u64 = 5_491_150_000_001;
/// What every LID begins with, so that it is never taken for a number (17 digits at most).
const LID_PREFIX: &str = "77";

/// A phone number: 7 to 15 digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Number(String);

impl Number {
    /// Reads a number as people write it: `+54 9 11 5825-4201`, `5491158254201@c.us`.
    pub(super) fn parse(raw: &str) -> Result<Self, &'static str> {
        let bare = raw.trim().trim_end_matches("@c.us");
        let separator = |c: char| matches!(c, '+' | ' ' | '-' | '(' | ')');
        let digits: String = bare.chars().filter(|c| !separator(*c)).collect();
        let length_fits = (SHORTEST..=LONGEST).contains(&digits.len());
        if length_fits && digits.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Self(digits));
        }
        Err("give a phone number of 7 to 15 digits, with country code, such as \"5491158254201\"")
    }

    /// The first fictitious number that `taken` does not know.
    pub(super) fn next_free(taken: impl Fn(&Self) -> bool) -> Self {
        let candidates = (0..).map(Self::fictitious);
        let mut usable = candidates.filter(|number| number.is_on_whatsapp() && !taken(number));
        usable.next().unwrap_or_else(|| Self::fictitious(0))
    }

    /// A number without an owner, the same one for the same `nth`.
    pub(super) fn fictitious(nth: u64) -> Self {
        Self((FICTITIOUS + nth).to_string())
    }

    /// Whether the number has a WhatsApp account: all have, but those that end in `0000`.
    pub(super) fn is_on_whatsapp(&self) -> bool {
        !self.0.ends_with("0000")
    }

    /// The number as WhatsApp knows its account, where a country writes one number in two ways: asked by either, WhatsApp
    /// answers with this one. docs/sandbox.md says which.
    pub(super) fn registered(&self) -> Self {
        let registered = match self.0.as_bytes() {
            // Mexico: with the 1 that mobile numbers had until 2019.
            [b'5', b'2', national @ ..] if national.len() == 10 => format!("521{}", &self.0[2..]),
            // Brazil: without the ninth digit, in the area codes that got it after their people had registered (31 and up).
            [b'5', b'5', b'3'..=b'9', _, b'9', local @ ..] if local.len() == 8 => {
                format!("{}{}", &self.0[..4], &self.0[5..])
            }
            // Argentina: with the 9 in front of the area code, and without the 15 behind it.
            [b'5', b'4', b'1', b'1', b'1', b'5', local @ ..] if local.len() == 8 => {
                format!("54911{}", &self.0[6..])
            }
            [b'5', b'4', first, rest @ ..] if *first != b'9' && rest.len() == 9 => {
                format!("549{}", &self.0[2..])
            }
            _ => return self.clone(),
        };
        Self(registered)
    }

    /// The digits.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The hidden identity that stands for the number in `@lid` chats.
    ///
    /// A fixed permutation of the digits, so that nothing need be stored to find the number again.
    pub(super) fn lid(&self) -> String {
        let hidden = self
            .0
            .bytes()
            .map(|b| char::from(b'0' + ((b - b'0') * 7 + 3) % 10));
        LID_PREFIX.chars().chain(hidden).collect()
    }

    /// The number that a page addresses, by number or by LID.
    pub(super) fn addressed(user: &str, server: &str) -> Option<Self> {
        match server {
            "c.us" => Self::parse(user).ok(),
            "lid" => Self::from_lid(user).ok(),
            _ => None,
        }
    }

    /// The number behind a LID.
    pub(super) fn from_lid(lid: &str) -> Result<Self, &'static str> {
        let hidden = lid
            .strip_prefix(LID_PREFIX)
            .ok_or("not a LID of this sandbox")?;
        let digit = |b: u8| char::from(b'0' + ((b.wrapping_sub(b'0') % 10 + 7) * 3) % 10);
        Self::parse(&hidden.bytes().map(digit).collect::<String>())
    }
}

impl TryFrom<String> for Number {
    type Error = &'static str;

    fn try_from(raw: String) -> Result<Self, Self::Error> {
        Self::parse(&raw)
    }
}

impl From<Number> for String {
    fn from(number: Number) -> Self {
        number.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_people_write_it() {
        for raw in ["+54 9 11 5825-4201", "5491158254201", "5491158254201@c.us"] {
            assert_eq!(Number::parse(raw).unwrap().as_str(), "5491158254201");
        }
        for raw in ["", "12", "abc4567890", "1234567890123456"] {
            assert!(Number::parse(raw).is_err(), "{raw} is no number");
        }
    }

    #[test]
    fn a_lid_leads_back_to_its_number() {
        for raw in ["5491158254201", "0123456", "999999999999999"] {
            let number = Number::parse(raw).unwrap();
            assert_ne!(number.lid(), raw);
            assert_eq!(Number::from_lid(&number.lid()).unwrap(), number);
        }
    }

    #[test]
    fn a_country_that_writes_a_number_in_two_ways_has_it_registered_in_one() {
        for (asked, registered) in [
            ("525512345678", "5215512345678"),
            ("5215512345678", "5215512345678"),
            ("5531987654321", "553187654321"),
            ("553187654321", "553187654321"),
            ("5511987654321", "5511987654321"),
            ("541158254201", "5491158254201"),
            ("54111558254201", "5491158254201"),
            ("5491158254201", "5491158254201"),
            ("34612345678", "34612345678"),
        ] {
            assert_eq!(
                Number::parse(asked).unwrap().registered().as_str(),
                registered
            );
        }
    }

    #[test]
    fn the_next_free_number_is_on_whatsapp_and_nobody_has_it() {
        let first = Number::next_free(|_| false);
        let second = Number::next_free(|number| *number == first);
        assert!(first.is_on_whatsapp() && second.is_on_whatsapp());
        assert_ne!(first, second);
    }
}
