//! What is sent: to whom, what, and what is known of it afterwards.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use super::Addressee;
use crate::{
    extras::Extras,
    ledger::SendState,
    masked::{Text, WaId},
};

/// The longest text that WhatsApp takes, in UTF-16 units as its page counts: an emoji is two of them.
pub const LONGEST_TEXT: usize = 65_536;

/// A message for one person or group.
#[derive(Clone, Debug)]
pub struct OutgoingMessage {
    /// Who gets it.
    pub to: Addressee,
    /// The text exactly as the caller gave it; empty where the message is something else.
    pub body: Text,
    /// What it says beside it.
    pub extras: Arc<Extras>,
}

/// A caller's own name for a request, so that making it again is not making another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// Says why a text is no idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 255 printable ASCII characters, such as a UUID")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let is_printable = raw
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if raw.trim().is_empty() || raw.len() > 255 || !is_printable {
            return Err(InvalidIdempotencyKey);
        }
        Ok(Self(raw.to_owned()))
    }
}

/// What a caller wants sent, and how.
#[derive(Clone, Debug)]
pub struct SendRequest {
    /// To whom, and what.
    pub message: OutgoingMessage,
    /// Who asks, in its own word.
    pub cliente_id: String,
    /// The caller's name for this request.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Whether the caller waits until WhatsApp's server has it; else it is kept until it can be sent.
    pub waits: bool,
}

/// How much a session sends.
#[derive(Clone, Copy, Debug)]
pub struct SendLimits {
    /// Sends that may wait for their turn.
    pub queue_max: NonZeroUsize,
    /// Sends per minute in the long run; `None`: as many as come.
    pub rate_per_minute: Option<NonZeroU32>,
    /// How long a caller waits for WhatsApp's server, and a page for a hand-over.
    pub wait: Duration,
}

/// What becomes of a send whose recipient would not see it, since the profile is older than what was sent to them and the page
/// cannot mend that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StaleSends {
    /// It fails, and nothing is sent.
    #[default]
    Refuse,
    /// It is sent.
    Risk,
}

/// A message that was accepted, and how far it has got on the way to WhatsApp's server; further on, the ledger knows.
#[derive(Clone, Debug)]
pub struct Sent {
    /// WhatsApp's id, `true_<chat>_3EB0…`; only its last part while the rest is not known.
    pub message_id: String,
    /// Queued, handed over, or sent.
    pub state: SendState,
    /// 0 not taken by the server yet, 1 taken by it.
    pub ack: i32,
    /// When the server took it; before that, now.
    pub at: Timestamp,
    /// Whether the same request was accepted before.
    pub is_repeated: bool,
}

/// What is known of a number before anything is sent to it.
#[derive(Clone, Debug)]
pub struct NumberCheck {
    /// Its chat at WhatsApp, `None` when it has no account.
    pub chat: Option<WaId>,
    /// In how long a message that is accepted now would go out.
    pub due_in: Duration,
    /// The profile is older than what was sent to this number: before a message a new Signal session with it has to be begun, and
    /// where the page cannot, the message is refused.
    pub is_stale: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_never_shown_in_full() {
        let to: Addressee = "5491158254201".parse().unwrap();
        let shown = format!(
            "{to:?} {:?}",
            OutgoingMessage {
                to: to.clone(),
                body: "hola".into(),
                extras: Arc::default(),
            }
        );
        assert!(
            !shown.contains("5491158") && !shown.contains("hola"),
            "{shown}"
        );
    }
}
