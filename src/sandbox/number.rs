//! Phone numbers as the sandbox writes them: digits only.
//!
//! Responsible for: what counts as a number, which numbers are on WhatsApp, and the hidden
//! identity (LID) that stands for a number. Not responsible for: who owns a number.

use serde::{Deserialize, Serialize};

/// Digits of a number in the plan of E.164: no country has shorter ones that WhatsApp knows.
const SHORTEST: usize = 7;
/// The upper limit of E.164.
const LONGEST: usize = 15;
/// Numbers handed out when the phone names none: a block that nobody is assigned.
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
        let candidates = (FICTITIOUS..).map(|n| Self(n.to_string()));
        let mut usable = candidates.filter(|number| number.is_on_whatsapp() && !taken(number));
        usable
            .next()
            .unwrap_or_else(|| Self(FICTITIOUS.to_string()))
    }

    /// Whether the number has a WhatsApp account: all have, but those that end in `0000`.
    pub(super) fn is_on_whatsapp(&self) -> bool {
        !self.0.ends_with("0000")
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
    fn the_next_free_number_is_on_whatsapp_and_nobody_has_it() {
        let first = Number::next_free(|_| false);
        let second = Number::next_free(|number| *number == first);
        assert!(first.is_on_whatsapp() && second.is_on_whatsapp());
        assert_ne!(first, second);
    }
}
