//! One send as the ledger knows it, and how that may change. Pure: no disk, no time but what it is given.

use std::fmt;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// How far a send has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendState {
    /// Written down; no page has seen it.
    Queued,
    /// A page may have it. It is not known whether WhatsApp's server does.
    Handed,
    /// WhatsApp's server has it.
    Sent,
    /// A device of the recipient has it.
    Delivered,
    /// The recipient has read it.
    Read,
    /// Certainly not sent.
    Failed,
    /// Nobody can find out whether it was sent.
    Unknown,
    /// Taken back before any page saw it.
    Cancelled,
}

impl SendState {
    /// Every state, in the order of a send's life.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Handed,
        Self::Sent,
        Self::Delivered,
        Self::Read,
        Self::Failed,
        Self::Unknown,
        Self::Cancelled,
    ];

    /// The state's name on disk and in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Handed => "handed",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether something is still to be done with it.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Handed)
    }

    /// How far WhatsApp has said that it got.
    const fn acknowledged(ack: i32) -> Self {
        match ack {
            1 => Self::Sent,
            2 => Self::Delivered,
            _ => Self::Read,
        }
    }
}

/// Why a send has certainly not been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The number has no WhatsApp account.
    NotOnWhatsApp,
    /// The page did not take it.
    NotTaken,
    /// WhatsApp took it and then gave it up.
    GivenUp,
    /// Its turn did not come while its caller waited.
    TurnNotCome,
    /// The session ended first.
    SessionEnded,
    /// The session has another account than the one it was meant for.
    OtherAccount,
    /// The service was killed first.
    Interrupted,
    /// The ledger could not be written.
    NotWritten,
}

impl Failure {
    const ALL: [Self; 8] = [
        Self::NotOnWhatsApp,
        Self::NotTaken,
        Self::GivenUp,
        Self::TurnNotCome,
        Self::SessionEnded,
        Self::OtherAccount,
        Self::Interrupted,
        Self::NotWritten,
    ];

    /// Its name on disk and in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotOnWhatsApp => "NUMBER_NOT_ON_WHATSAPP",
            Self::NotTaken => "SEND_FAILED",
            Self::GivenUp => "REFUSED_BY_WHATSAPP",
            Self::TurnNotCome => "QUEUE_TIMEOUT",
            Self::SessionEnded => "SESSION_NOT_READY",
            Self::OtherAccount => "ACCOUNT_CHANGED",
            Self::Interrupted => "SERVICE_RESTARTED",
            Self::NotWritten => "LEDGER_UNAVAILABLE",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|failure| failure.as_str() == name)
    }

    /// Whether it says nothing about the message itself: the same request, made again, is a new one.
    pub(super) const fn frees_the_key(self) -> bool {
        match self {
            Self::TurnNotCome
            | Self::SessionEnded
            | Self::OtherAccount
            | Self::Interrupted
            | Self::NotWritten => true,
            Self::NotOnWhatsApp | Self::NotTaken | Self::GivenUp => false,
        }
    }
}

/// What a request is recognised by: who sends what to whom. Says nothing about the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Fingerprint(pub(super) Vec<u8>);

impl Fingerprint {
    /// Of a request as its caller made it.
    pub fn of(cliente_id: &str, to: &str, body: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [cliente_id, to, body] {
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
    /// By its content, when it was made since then.
    SameSince(Timestamp),
}

/// A send that is to be written down. Its `Debug` shows neither text nor number.
#[derive(Clone)]
pub struct NewSend {
    /// The inner id that WhatsApp will know it by.
    pub key: String,
    /// The session that is to send it.
    pub session: String,
    /// Who asked for it.
    pub cliente_id: String,
    /// The account that is to send it, when it is known.
    pub account: Option<String>,
    /// The recipient's number, digits only.
    pub to: String,
    /// The text.
    pub body: String,
    /// Whether its caller has gone away in the belief that it will be sent: it outlives a restart and a session's end.
    pub is_durable: bool,
    /// How a repeated request is recognised, if at all.
    pub idempotency: Option<Idempotency>,
}

impl NewSend {
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.cliente_id, &self.to, &self.body)
    }
}

impl fmt::Debug for NewSend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSend")
            .field("key", &self.key)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Everything that is kept of a send. Its `Debug` shows neither text nor number.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Grows with every send: their order.
    pub seq: i64,
    /// The inner id that was given to it before anything else.
    pub key: String,
    /// The session that sends it.
    pub session: String,
    /// Who asked for it.
    pub cliente_id: String,
    /// The account that is to send it, or has.
    pub account: Option<String>,
    /// The recipient's number, digits only.
    pub to: String,
    /// The text, until it is no longer needed.
    pub body: Option<String>,
    /// See [`NewSend::is_durable`].
    pub is_durable: bool,
    /// How far it is.
    pub state: SendState,
    /// The adapter that handed it over.
    pub adapter: Option<String>,
    /// The inner id that WhatsApp knows it by: `key`, unless the page chose another; `None` while it is not known.
    pub wa_key: Option<String>,
    /// Its full id at WhatsApp, once known.
    pub message_id: Option<String>,
    /// Whether the page has said that it took it.
    pub is_taken: bool,
    /// The last acknowledgement.
    pub ack: i32,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// More about that, or about why it is not known, for people.
    pub detail: Option<String>,
    /// When it was written down.
    pub queued_at: Timestamp,
    /// When a page was about to get it, for the first time.
    pub handed_at: Option<Timestamp>,
    /// When WhatsApp's server had it.
    pub sent_at: Option<Timestamp>,
    /// When a device of the recipient had it.
    pub delivered_at: Option<Timestamp>,
    /// When it was read.
    pub read_at: Option<Timestamp>,
    /// When it failed, was cancelled, or was given up as unknown.
    pub ended_at: Option<Timestamp>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("seq", &self.seq)
            .field("key", &self.key)
            .field("session", &self.session)
            .field("state", &self.state)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

/// How a page is about to get a send.
#[derive(Clone, Debug)]
pub struct Handing {
    /// By which adapter.
    pub adapter: String,
    /// By which account.
    pub account: Option<String>,
    /// Under which inner id; `None` where the page chooses it.
    pub wa_key: Option<String>,
    /// Under which full id, where that is known.
    pub message_id: Option<String>,
}

/// Something that happened to a send.
#[derive(Clone, Debug)]
pub enum Step {
    /// A page is about to get it.
    Handing(Handing),
    /// The page has taken it, under these ids.
    Taken {
        /// The inner one.
        wa_key: String,
        /// The full one.
        message_id: String,
    },
    /// WhatsApp says how far it got: 1 server, 2 device, 3 read; below zero it gave it up.
    Acknowledged(i32),
    /// No page has it after all: it waits again.
    Absent,
    /// Certainly not sent.
    Failed(Failure, String),
    /// Nobody can find out.
    Unknown(String),
    /// Taken back by its caller.
    Cancelled,
}

impl Record {
    /// Lets `step` happen. Answers whether anything changed: late news and repetitions change nothing.
    pub fn take(&mut self, step: &Step, now: Timestamp) -> bool {
        use SendState as S;
        match (self.state, step) {
            (S::Queued | S::Handed, Step::Handing(handing)) => {
                self.state = S::Handed;
                self.adapter = Some(handing.adapter.clone());
                self.account = handing.account.clone().or_else(|| self.account.take());
                self.wa_key.clone_from(&handing.wa_key);
                self.message_id.clone_from(&handing.message_id);
                self.handed_at.get_or_insert(now);
            }
            (
                S::Handed | S::Unknown | S::Sent | S::Delivered | S::Read,
                Step::Taken { wa_key, message_id },
            ) if !self.is_taken => {
                self.is_taken = true;
                self.wa_key = Some(wa_key.clone());
                self.message_id = Some(message_id.clone());
            }
            (S::Handed | S::Unknown | S::Sent | S::Delivered, Step::Acknowledged(ack @ 1..))
                if *ack > self.ack =>
            {
                self.state = S::acknowledged(*ack);
                self.ack = *ack;
                (self.ended_at, self.detail) = (None, None);
                self.sent_at.get_or_insert(now);
                if *ack >= 2 {
                    self.delivered_at.get_or_insert(now);
                }
                if *ack >= 3 {
                    self.read_at.get_or_insert(now);
                }
            }
            (S::Handed, Step::Acknowledged(ack @ ..=-1)) => {
                self.ack = *ack;
                let detail = format!("WhatsApp gave the message up (ack {ack})");
                self.fail(Failure::GivenUp, &detail, now);
            }
            (S::Handed, Step::Absent) => {
                self.state = S::Queued;
                self.is_taken = false;
            }
            // Of one that a page may have, only the page can say that it was not sent.
            (S::Queued, Step::Failed(failure, detail))
            | (S::Handed, Step::Failed(failure @ Failure::NotTaken, detail)) => {
                self.fail(*failure, detail, now);
            }
            (S::Handed, Step::Unknown(detail)) => {
                self.state = S::Unknown;
                self.detail = Some(detail.clone());
                self.ended_at = Some(now);
            }
            (S::Queued, Step::Cancelled) => {
                self.state = S::Cancelled;
                self.ended_at = Some(now);
            }
            (
                _,
                Step::Handing(_)
                | Step::Taken { .. }
                | Step::Acknowledged(_)
                | Step::Absent
                | Step::Failed(..)
                | Step::Unknown(_)
                | Step::Cancelled,
            ) => return false,
        }
        true
    }

    fn fail(&mut self, failure: Failure, detail: &str, now: Timestamp) {
        self.state = SendState::Failed;
        self.failure = Some(failure);
        self.detail = Some(detail.to_owned());
        self.ended_at = Some(now);
    }

    /// When it last changed.
    pub(super) fn changed_at(&self) -> Timestamp {
        let times = [
            self.handed_at,
            self.sent_at,
            self.delivered_at,
            self.read_at,
            self.ended_at,
        ];
        times
            .into_iter()
            .flatten()
            .fold(self.queued_at, Timestamp::max)
    }
}

/// Which sends to list.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only of this session.
    pub session: Option<String>,
    /// Only in this state.
    pub state: Option<SendState>,
    /// Only those after this one in their order.
    pub after: i64,
    /// At most so many.
    pub limit: usize,
}
