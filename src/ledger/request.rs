//! What a caller gives the ledger and asks of it: new sends, with the way to recognise a repeated request, and lists.

use std::{fmt, sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{followers::Followed, record::SendState};
use crate::{
    extras::Extras,
    masked::{Number, Text},
};

/// A hash of who sends what to whom, by which a repeated request is recognised. The text cannot be read from it.
#[derive(Clone, PartialEq, Eq)]
pub struct Fingerprint(pub(super) Vec<u8>);

impl Fingerprint {
    /// Of a request as its caller made it. A plain text has the hash that it had when there was nothing else.
    pub fn of(cliente_id: &str, to: &str, body: &str, extras: &Extras) -> Self {
        let mut hash = Sha256::new();
        let extras = extras_column(&extras.in_common());
        for part in [cliente_id, to, body].into_iter().chain(extras.as_deref()) {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().to_vec())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}

/// How a repeated request is told from a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// By the caller's own key.
    Key(String),
    /// By its content, when it was made no longer ago than this.
    SameWithin(Duration),
}

/// A send that is to be written down.
#[derive(Clone, Debug)]
pub struct NewSend {
    /// The inner id that the message will have at WhatsApp.
    pub key: String,
    /// The session that is to send it.
    pub session: String,
    /// Who asked for it.
    pub cliente_id: String,
    /// The account that is to send it, when it is known.
    pub account: Option<Number>,
    /// The recipient's number, digits only.
    pub to: Number,
    /// The text; empty where the message is something else.
    pub body: Text,
    /// What it says beside it.
    pub extras: Arc<Extras>,
    /// Whether its caller has left and expects it to be sent: it outlives a restart and a session's end.
    pub is_durable: bool,
    /// How a repeated request is recognised, if at all.
    pub idempotency: Option<Idempotency>,
    /// By when it must be on disk. Its caller is refused at this time, so a send that is written later is taken back.
    pub accept_by: Instant,
}

impl NewSend {
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.cliente_id, &self.to, &self.body, &self.extras)
    }
}

/// As it stands in the ledger: nothing for a plain text.
pub(super) fn extras_column(extras: &Extras) -> Option<String> {
    // It has text and numbers only, which JSON can say; a number of degrees that is none was refused.
    (!extras.is_none()).then(|| serde_json::to_string(extras).unwrap_or_default())
}

/// What became of a request to send.
#[derive(Debug)]
pub enum Accepted {
    /// It is on disk, and must be sent now.
    New(Followed),
    /// The same request was accepted before; this is what became of it.
    Known(Followed),
    /// Its idempotency key belongs to another request.
    KeyReused,
}

/// Which sends to list.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only of these sessions.
    pub sessions: Option<Vec<String>>,
    /// Only in this state.
    pub state: Option<SendState>,
    /// Only those after this one in their order.
    pub after: i64,
    /// At most so many.
    pub limit: usize,
}
