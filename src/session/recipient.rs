//! Whom a text is for: one phone number, read from however people write it, and never guessed.
//!
//! Responsible for the rule of what may stand in a number, and for the sentences that say what is wrong with one.
//! Whether the number has an account is WhatsApp's to say.
//!
//! Invariant: the digits of a [`Recipient`] are the digits of the text it was read from, in their order and without a gap,
//! less a leading `00` and a device part. Nothing is filled in, moved or left out: a stranger would get the message.

mod plan;
mod writing;

use std::{fmt, str::FromStr};

use writing::Written;

/// E.164 allows 15 digits.
const MOST_DIGITS: usize = 15;

/// The shortest numbers with a country code (Niue, Saint Helena) have 7 digits.
const FEWEST_DIGITS: usize = 7;

/// How to write a number: the end of every refusal.
const REMEDY: &str =
    "write one number with its country code, digits 0 to 9, such as +54 9 11 5825-4201";

/// A phone number, digits only, country code first.
///
/// Its `Debug` and `Display` show the last four digits only: a full number never reaches a log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Recipient(String);

/// Says why a text is not the phone number of one person.
///
/// The sentences name what was found, but never more than one character of it: an error may end up in a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the sentence of each variant says what it is")]
pub enum InvalidRecipient {
    #[error("it is empty; {REMEDY}")]
    Empty,
    #[error("{} cannot stand in a number; {REMEDY}", shown(*.0))]
    Foreign(char),
    #[error("it is the address of a group or a channel, and a person is meant here; {REMEDY}")]
    NotAPerson,
    #[error(
        "it is the address of a channel or of status updates (@newsletter, @broadcast), which are not served: give a person's number, or the address of a group, which ends in @g.us"
    )]
    NotServed,
    #[error("what stands before @g.us is no id of a group: give the address as GET /groups has it")]
    NoGroup,
    #[error("it is a hidden id of WhatsApp (@lid), which does not tell the number; {REMEDY}")]
    HiddenId,
    #[error("what stands behind its @ is neither c.us nor s.whatsapp.net; {REMEDY}")]
    UnknownAddress,
    #[error("what stands between : and @ is not the number of a device; {REMEDY}")]
    InvalidDevice,
    #[error("it is a link or an address with a scheme: give the number alone; {REMEDY}")]
    Link,
    #[error("it has an extension, which WhatsApp cannot reach: leave it out; {REMEDY}")]
    Extension,
    #[error(
        "it is a number that a spreadsheet or a program shortened or gave a decimal part: format the column as text; {REMEDY}"
    )]
    Decimal,
    #[error("it seems to hold more than one number: make one request for each; {REMEDY}")]
    MoreThanOne,
    #[error("its + is not in front of all its digits, or stands there twice; {REMEDY}")]
    MisplacedPlus,
    #[error("its parentheses do not fit together; {REMEDY}")]
    Parentheses,
    #[error("a - . or / in it does not stand between two groups of digits; {REMEDY}")]
    StraySeparator,
    #[error(
        "it is written from right to left, so what is seen is not what is there: type it again; {REMEDY}"
    )]
    Reversed,
    #[error(
        "it begins with 0, as numbers are dialled inside a country: the country code is missing; {REMEDY}"
    )]
    NoCountryCode,
    #[error(
        "it is written as numbers are dialled inside a country, with an area code or a lone digit in front: the country code seems to be missing; {REMEDY}"
    )]
    AreaCodeFirst,
    #[error("it has both + and 00, or a 0 too many in front of the country code; {REMEDY}")]
    TooManyZeros,
    #[error(
        "there is a 0 after its country code {0}, which is dialled only inside the country: leave the 0 out; {REMEDY}"
    )]
    TrunkZero(u16),
    #[error("no country has the code that it begins with; {REMEDY}")]
    UnknownCountry,
    #[error("it has {0} digits, which is too few for any country; {REMEDY}")]
    TooShort(usize),
    #[error(
        "it has {0} digits, and no number has more than {MOST_DIGITS}: are there two numbers in it? {REMEDY}"
    )]
    TooLong(usize),
    #[error(
        "no number of country code {code} has {found} digits behind it (there are: {possible}); {REMEDY}"
    )]
    WrongLength {
        code: u16,
        found: usize,
        possible: String,
    },
}

impl Recipient {
    /// The digits, for the page and for the answer to the caller.
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// Reads the numbering plan of the world, which takes a fifth of a second. The first number would wait for it
    /// otherwise, and with it what else its thread has to do.
    pub fn read_plan() {
        plan::read();
    }

    /// Whether this is the number of an account, which WhatsApp may write in the other of two ways: with or without
    /// Brazil's ninth digit, Argentina's 9 or 15, Mexico's 1.
    pub(super) fn is_of_account(&self, account: &Self) -> bool {
        Self::line_of(&self.0) == Self::line_of(&account.0)
    }

    /// What both ways to write a number have in common: of two numbers with the same line, one is the account's and the other
    /// reaches it too.
    ///
    /// What is the address of a chat and no number is a line of its own.
    pub(super) fn line_of(digits: &str) -> String {
        if digits.contains('@') {
            return digits.to_owned();
        }
        plan::line(digits)
    }

    /// The number of an account as WhatsApp tells it: `5491158254201@c.us`, `5491158254201:12@c.us`. WhatsApp knows its own
    /// numbers, so none is refused for being unlikely.
    pub(super) fn of_account(wid: &str) -> Option<Self> {
        let user = wid.split(['@', ':']).next().unwrap_or_default();
        let is_number = user.len() >= FEWEST_DIGITS && user.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| Self(user.to_owned()))
    }
}

impl FromStr for Recipient {
    type Err = InvalidRecipient;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let written = Written::read(raw)?;
        plan::check(&written)?;
        Ok(Self(written.digits))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "…{}", &self.0[self.0.len() - 4..])
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

/// A character as a person can find it again.
fn shown(found: char) -> String {
    if found.is_control() || found.is_whitespace() {
        format!("the character U+{:04X}", u32::from(found))
    } else if found.is_alphabetic() {
        format!("the letter {found}")
    } else {
        format!("the character {found}")
    }
}

#[cfg(test)]
mod tests;
