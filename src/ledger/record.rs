//! One send as the ledger stores it. [`step`](super::step) says how it may change.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    extras::Extras,
    masked::{Number, Text, WaId},
};

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
    /// No page can find out whether it was sent.
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

    /// Whether its result is not known yet.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Handed)
    }

    /// How far WhatsApp has said that it got.
    pub(super) const fn acknowledged(ack: i32) -> Self {
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
    /// The account is not in the group.
    NotInGroup,
    /// The message that it was to answer is not in the chat, or cannot be answered.
    NoQuote,
    /// The message that it was about is not there.
    NoMessage,
    /// WhatsApp does not let the message be edited, any more or at all.
    NotEditable,
    /// WhatsApp does not let the message be deleted for everybody.
    NotRevocable,
    /// The page did not take it.
    NotTaken,
    /// It is not known whether the number is on WhatsApp: the page or WhatsApp's server did not answer.
    NotChecked,
    /// Its file did not reach WhatsApp's server.
    NotUploaded,
    /// WhatsApp accepted it and then gave it up.
    GivenUp,
    /// The profile is older than what was sent to the recipient, and the page could not be made to begin a new Signal session.
    ProfileStale,
    /// Its turn did not come while its caller waited.
    TurnNotCome,
    /// The session ended first.
    SessionEnded,
    /// The session was logged out, or has another account than the one it was meant for.
    OtherAccount,
    /// The service was killed first.
    Interrupted,
    /// The ledger could not be written.
    NotWritten,
}

impl Failure {
    /// Every failure.
    pub const ALL: [Self; 16] = [
        Self::NotOnWhatsApp,
        Self::NotInGroup,
        Self::NoQuote,
        Self::NoMessage,
        Self::NotEditable,
        Self::NotRevocable,
        Self::NotTaken,
        Self::NotChecked,
        Self::NotUploaded,
        Self::GivenUp,
        Self::ProfileStale,
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
            Self::NotInGroup => "NOT_IN_GROUP",
            Self::NoQuote => "QUOTE_NOT_FOUND",
            Self::NoMessage => "MESSAGE_NOT_FOUND",
            Self::NotEditable => "NOT_EDITABLE",
            Self::NotRevocable => "NOT_REVOCABLE",
            Self::NotTaken => "SEND_FAILED",
            Self::NotChecked => "NUMBER_NOT_CHECKED",
            Self::NotUploaded => "MEDIA_NOT_UPLOADED",
            Self::GivenUp => "REFUSED_BY_WHATSAPP",
            Self::ProfileStale => "PROFILE_STALE",
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

    /// Whether the failure has nothing to do with the message itself. Then the same request, made again, is a new one.
    pub(super) const fn frees_the_key(self) -> bool {
        match self {
            Self::NotChecked
            | Self::NotUploaded
            | Self::ProfileStale
            | Self::TurnNotCome
            | Self::SessionEnded
            | Self::OtherAccount
            | Self::Interrupted
            | Self::NotWritten => true,
            Self::NotOnWhatsApp
            | Self::NotInGroup
            | Self::NoQuote
            | Self::NoMessage
            | Self::NotEditable
            | Self::NotRevocable
            | Self::NotTaken
            | Self::GivenUp => false,
        }
    }

    /// Whether only a send that still waits can fail in this way. A send whose write failed may be on disk as handed.
    pub(super) const fn needs_the_queue(self) -> bool {
        self.frees_the_key() && !matches!(self, Self::NotWritten)
    }
}

/// Everything that is kept of a send.
#[derive(Clone, Debug, PartialEq)]
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
    pub account: Option<Number>,
    /// The recipient's number, digits only.
    pub to: Number,
    /// The text, until it is no longer needed.
    pub body: Option<Text>,
    /// What it says beside it, as long as the text is kept.
    pub extras: Arc<Extras>,
    /// Whether its caller has left and expects it to be sent: it outlives a restart and a session's end.
    pub is_durable: bool,
    /// How far it is.
    pub state: SendState,
    /// The adapter that handed it over.
    pub adapter: Option<String>,
    /// The inner id that WhatsApp knows it by: `key`, unless the page chose another; `None` while it is not known.
    pub wa_key: Option<String>,
    /// Its full id at WhatsApp, once known.
    pub message_id: Option<WaId>,
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
    /// The generation that the profile was in then, or is counted in since; earlier versions did not note it.
    pub generation: Option<u64>,
    /// When WhatsApp's server had it.
    pub sent_at: Option<Timestamp>,
    /// When a device of the recipient had it.
    pub delivered_at: Option<Timestamp>,
    /// When it was read.
    pub read_at: Option<Timestamp>,
    /// When it failed, was cancelled, or was given up as unknown.
    pub ended_at: Option<Timestamp>,
}

impl Record {
    /// Whether it is carried out although no caller waits for it: it was accepted as such, or a page has had it.
    pub const fn outlives_its_caller(&self) -> bool {
        self.is_durable || self.handed_at.is_some()
    }

    /// The id to name it by: WhatsApp's full one, only its last part while the rest is not known.
    pub fn message_id(&self) -> &str {
        self.message_id.as_deref().unwrap_or(&self.key)
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
