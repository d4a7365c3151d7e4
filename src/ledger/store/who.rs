//! Whose event it is, as the log keeps it: a hash of each of a person's two addresses, so that what is forgotten of a row can be told from
//! another one all the same.
//!
//! Not responsible for what follows from it.

use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};
use sha2::{Digest as _, Sha256};

use crate::heard::Person;

/// Enough to tell the few from each other who choose the same id.
const MARK_LENGTH: usize = 8;
type Mark = [u8; MARK_LENGTH];

/// A person, by the number and by the LID, as far as either is known; zeros for one that is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Who {
    phone: Mark,
    lid: Mark,
}

const UNKNOWN: Mark = [0; MARK_LENGTH];

/// What is known of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    Same,
    Other,
    /// Of one the number alone is known, and of the other one the LID.
    Unclear,
}

impl Who {
    /// `once` is part of the hash: else it would name the person in all of their events.
    pub(super) fn of(person: &Person, once: &str) -> Option<Self> {
        let mark = |address: Option<&str>| {
            address.map_or(UNKNOWN, |address| {
                let hash = Sha256::digest(format!("{once} {address}").as_bytes());
                let mut mark = UNKNOWN;
                mark.copy_from_slice(&hash[..MARK_LENGTH]);
                mark
            })
        };
        let who = Self {
            phone: mark(person.phone.as_deref()),
            lid: mark(person.lid.as_deref()),
        };
        (who.phone != UNKNOWN || who.lid != UNKNOWN).then_some(who)
    }

    pub(super) fn likeness(self, other: Self) -> Likeness {
        let pairs = [(self.phone, other.phone), (self.lid, other.lid)];
        let known = || pairs.iter().filter(|(a, b)| *a != UNKNOWN && *b != UNKNOWN);
        // A person who has another number keeps the LID.
        if known().any(|(a, b)| a == b) {
            Likeness::Same
        } else if known().next().is_some() {
            Likeness::Other
        } else {
            Likeness::Unclear
        }
    }

    /// The same person, with what is known by now.
    pub(super) fn with(self, other: Self) -> Self {
        let more = |known: Mark, new: Mark| if known == UNKNOWN { new } else { known };
        Self {
            phone: more(self.phone, other.phone),
            lid: more(self.lid, other.lid),
        }
    }
}

impl ToSql for Who {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok([self.phone, self.lid].concat().into())
    }
}

impl FromSql for Who {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let (marks, rest) = value.as_blob()?.as_chunks::<MARK_LENGTH>();
        match (marks, rest) {
            ([phone, lid], []) => Ok(Self {
                phone: *phone,
                lid: *lid,
            }),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}
