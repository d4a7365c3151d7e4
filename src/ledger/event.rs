//! What the log keeps of an event: something that happened in an account, such as a message that came in.
//!
//! The log is append-only and has one order, that of [`Event::seq`]. Not responsible for what [`Event::data`] says: the session
//! that hears an event gives it as JSON, and its readers know its shape by [`EventKind`]: [`heard`](crate::heard) has the shapes.

use jiff::Timestamp;

pub use crate::heard::Source;
use crate::{
    heard::Person,
    masked::{Number, Text, WaId},
};

/// Kinds of events, by the words that callers know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// A message came in.
    Message,
    /// This account sent a message: by its phone, another of its devices, or this service.
    OwnMessage,
    /// WhatsApp acknowledged a message of this account: taken, delivered, read, played.
    Ack,
    /// A message has another text now.
    Edited,
    /// A message was taken back.
    Revoked,
    /// A reaction to a message was given, changed or taken back.
    Reaction,
    /// A message is there that the device could not decrypt yet.
    Waiting,
    /// What was missing of an earlier event is known now: its text, or the number of its sender.
    Resolved,
    /// This account is in a group now.
    GroupJoined,
    /// This account is not in a group any more.
    GroupLeft,
    /// Others came into a group or left it, or its admins are others.
    GroupParticipants,
    /// A group has another name, picture, description or setting.
    GroupUpdated,
    /// The session has another state.
    Status,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Message,
        Self::OwnMessage,
        Self::Ack,
        Self::Edited,
        Self::Revoked,
        Self::Reaction,
        Self::Waiting,
        Self::Resolved,
        Self::GroupJoined,
        Self::GroupLeft,
        Self::GroupParticipants,
        Self::GroupUpdated,
        Self::Status,
    ];

    /// The word for it in the API and in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::OwnMessage => "message.own",
            Self::Ack => "message.ack",
            Self::Edited => "message.edited",
            Self::Revoked => "message.revoked",
            Self::Reaction => "message.reaction",
            Self::Waiting => "message.waiting",
            Self::Resolved => "message.resolved",
            Self::GroupJoined => "group.joined",
            Self::GroupLeft => "group.left",
            Self::GroupParticipants => "group.participants",
            Self::GroupUpdated => "group.updated",
            Self::Status => "session.status",
        }
    }

    /// The kind with this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// The account that an event belongs to, by both of its addresses; either may not be known yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Me {
    /// Its phone number, digits only.
    pub phone: Option<Number>,
    /// Its LID.
    pub lid: Option<WaId>,
}

/// An event that is to be written down.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The session that heard it.
    pub session: String,
    /// What happened.
    pub kind: EventKind,
    /// What tells it from every other event of its session, together with [`who`](Self::who). The same event has the same one,
    /// however often it is heard, and by whichever way: by WhatsApp's own ids.
    pub once: WaId,
    /// The other person of the chat, or the author in a group, where there is one: the id of a message is its author's choice, and
    /// another author may choose the same. Either address may be missing here and known another time.
    pub who: Option<Person>,
    /// The chat that it happened in. Events of one chat are delivered in their order.
    pub chat: Option<WaId>,
    /// The account.
    pub me: Me,
    /// When it happened, by WhatsApp's clock.
    pub happened_at: Timestamp,
    /// It happened while the service could not hear it, and was found afterwards.
    pub is_late: bool,
    /// The event itself, as a JSON object.
    pub data: Text,
    /// The inner id of the message, if this account sent it. The ledger knows its own sends by it, so it knows the [`Source`].
    pub own_key: Option<String>,
}

/// An event in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the log, and the cursor of a reader who has read up to it.
    pub seq: i64,
    /// Its id: never given twice, also not after an older copy of the file was put back.
    pub id: String,
    /// The session that heard it.
    pub session: String,
    /// What happened.
    pub kind: EventKind,
    /// The chat that it happened in.
    pub chat: Option<WaId>,
    /// The account.
    pub me: Me,
    /// When it happened, by WhatsApp's clock.
    pub happened_at: Timestamp,
    /// When it was written down, by the ledger's clock.
    pub written_at: Timestamp,
    /// It happened while the service could not hear it, and was found afterwards.
    pub is_late: bool,
    /// Where the message was written, if this account sent it.
    pub source: Option<Source>,
    /// The event itself, as a JSON object.
    pub data: Text,
}

/// Which events to read.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// Only those after this one in the log; `None`: from the oldest one on.
    pub after: Option<i64>,
    /// Only of these sessions.
    pub sessions: Option<Vec<String>>,
    /// Only of these kinds; empty: of all.
    pub kinds: Vec<EventKind>,
    /// At most so many.
    pub limit: usize,
}

/// A part of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// The events that were asked for, in their order.
    Events {
        /// None of them: there is nothing new.
        events: Vec<Event>,
        /// The cursor to go on with. It may be ahead of the last event, when those behind it are of no interest to the reader.
        next: i64,
    },
    /// Events after this cursor were forgotten already, or the log has never been so far: the file was replaced by an older
    /// copy.
    Expired {
        /// The oldest cursor that misses nothing of what is left.
        oldest: i64,
        /// The cursor behind the last event.
        newest: i64,
    },
}
