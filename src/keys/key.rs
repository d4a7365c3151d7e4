//! One key: what it is recognised by, and what it is good for.

use std::{collections::BTreeSet, fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Digest, KeyName, KeyText};
use crate::session::ClienteId;

/// What a key is good for. Every one includes [`Read`](Self::Read), and [`Admin`](Self::Admin) all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// To look: states, codes to scan, what became of messages; never a text.
    #[serde(rename = "read")]
    Read,
    /// To see what is in messages: those that came in, and those that were sent.
    #[serde(rename = "receive")]
    Receive,
    /// To send, and to take back what was not sent yet.
    #[serde(rename = "send")]
    Send,
    /// Both.
    #[serde(rename = "send+receive")]
    SendAndReceive,
    /// Everything: also to start, end and unlink sessions, and to see evidence.
    #[serde(rename = "admin")]
    Admin,
}

/// Says what scopes there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope is read, receive, send, send+receive or admin; each includes read")]
pub struct UnknownScope;

impl Scope {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Read,
        Self::Receive,
        Self::Send,
        Self::SendAndReceive,
        Self::Admin,
    ];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Receive => "receive",
            Self::Send => "send",
            Self::SendAndReceive => "send+receive",
            Self::Admin => "admin",
        }
    }

    /// Whether it is enough for what needs `needed`.
    pub fn includes(self, needed: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::SendAndReceive => needed != Self::Admin,
            Self::Read | Self::Receive | Self::Send => needed == self || needed == Self::Read,
        }
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == raw)
            .ok_or(UnknownScope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A key as it is kept: everything but itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Row", into = "Row")]
pub struct Key {
    /// What its owner calls it.
    pub name: KeyName,
    /// What it is recognised by.
    pub digest: Digest,
    /// Its last characters, for a person who holds several.
    pub hint: String,
    /// What it is good for.
    pub scope: Scope,
    /// The only sessions that it is good for; `None`: all of them.
    pub cliente_ids: Option<BTreeSet<ClienteId>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is good for nothing; `None`: never.
    pub expires_at: Option<Timestamp>,
}

impl Key {
    /// What the file keeps of `text`: a key for all sessions that never expires.
    pub fn new(name: KeyName, text: &KeyText, scope: Scope, created_at: Timestamp) -> Self {
        Self {
            name,
            digest: Digest::of(text.reveal().as_bytes()),
            hint: text.hint(),
            scope,
            cliente_ids: None,
            created_at,
            expires_at: None,
        }
    }

    /// Whether it has had its time.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }

    /// Whether it is good for this session.
    pub fn reaches(&self, id: &ClienteId) -> bool {
        self.cliente_ids.as_ref().is_none_or(|ids| ids.contains(id))
    }
}

/// A key as the file has it. A word that is not known is a fault: `cliente_id` for `cliente_ids` would make a limited key
/// a key to everything.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    sha256: String,
    hint: String,
    scope: Scope,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cliente_ids: Option<Vec<String>>,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

impl From<Key> for Row {
    fn from(key: Key) -> Self {
        let texts = |ids: BTreeSet<ClienteId>| ids.iter().map(ClienteId::to_string).collect();
        Self {
            name: key.name.to_string(),
            sha256: key.digest.to_string(),
            hint: key.hint,
            scope: key.scope,
            cliente_ids: key.cliente_ids.map(texts),
            created_at: key.created_at,
            expires_at: key.expires_at,
        }
    }
}

impl TryFrom<Row> for Key {
    type Error = &'static str;

    fn try_from(row: Row) -> Result<Self, Self::Error> {
        let ids = row.cliente_ids.map(|ids| {
            let ids: Result<BTreeSet<ClienteId>, _> = ids.iter().map(|id| id.parse()).collect();
            ids.ok()
                .filter(|ids| !ids.is_empty())
                .ok_or("cliente_ids must name sessions; without it the key is good for all")
        });
        Ok(Self {
            name: row.name.parse().map_err(|_| "no name of a key")?,
            digest: Digest::parse(&row.sha256).ok_or("no SHA-256")?,
            hint: row.hint,
            scope: row.scope,
            cliente_ids: ids.transpose()?,
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_includes_the_ones_before_it() {
        let scopes = [Scope::Read, Scope::Send, Scope::Admin];
        for (at, scope) in scopes.into_iter().enumerate() {
            assert_eq!(scope.to_string().parse(), Ok(scope));
            for (needs, needed) in scopes.into_iter().enumerate() {
                assert_eq!(scope.includes(needed), needs <= at, "{scope} {needed}");
            }
        }
        assert!("Admin".parse::<Scope>().is_err() && "write".parse::<Scope>().is_err());
    }

    #[test]
    fn a_key_is_good_for_its_sessions_until_it_expires() {
        let now = Timestamp::UNIX_EPOCH;
        let mut key = Key::new("a".parse().unwrap(), &KeyText::generate(), Scope::Read, now);
        let (one, other) = ("51".parse().unwrap(), "52".parse().unwrap());
        assert!(key.reaches(&one) && !key.is_expired(Timestamp::MAX));
        key.cliente_ids = Some(BTreeSet::from([one.clone()]));
        key.expires_at = Some(now);
        assert!(key.reaches(&one) && !key.reaches(&other));
        assert!(key.is_expired(now) && !key.is_expired(Timestamp::MIN));
    }
}
