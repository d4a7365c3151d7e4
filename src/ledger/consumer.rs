//! Who is given the events of the log, and what is kept of each event that is not delivered yet.
//!
//! A consumer is a webhook, or a bridge to another service. Not responsible for how an event is delivered, nor for when a failed
//! delivery is tried again: the consumer's own task decides that, and gives the ledger the result. All of it is pure.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::event::{Event, EventKind};
use crate::masked::Text;

/// Which events a consumer wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those of these sessions.
    pub sessions: Option<BTreeSet<String>>,
    /// Only those of these kinds; empty: of all.
    pub kinds: Vec<EventKind>,
}

impl Filter {
    /// Whether it is for events of this session.
    pub fn is_for_session(&self, session: &str) -> bool {
        let sessions = self.sessions.as_ref();
        sessions.is_none_or(|sessions| sessions.contains(session))
    }

    /// Whether it is for events of this kind.
    pub fn is_for_kind(&self, kind: EventKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// Whether it is for an event of this session and this kind.
    pub fn is_for(&self, session: &str, kind: EventKind) -> bool {
        self.is_for_session(session) && self.is_for_kind(kind)
    }
}

/// A consumer that is to be made known.
#[derive(Clone, Debug)]
pub struct NewConsumer {
    /// Its id, which no other one has.
    pub id: String,
    /// What it is, such as `webhook`: only its own kind understands its settings.
    pub kind: &'static str,
    /// Its settings, as JSON.
    pub settings: Text,
    /// Where in the log it begins.
    pub from: Beginning,
}

/// Where in the log a new consumer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// With what is written down from now on.
    Now,
    /// With the first event that this service has written down: a consumer of the settings is there from the start, although it
    /// becomes known a moment later than the sessions begin.
    ServiceStart,
}

/// A consumer, as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: String,
    /// Its settings, as JSON. They may hold secrets.
    pub settings: Text,
    /// Why it is given nothing, if it is switched off. Its place in the log stays.
    pub off_because: Option<String>,
    /// Since when it is known.
    pub created_at: Timestamp,
    /// What became of the events that it wants.
    pub tally: ConsumerTally,
}

/// What became of the events that a consumer wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerTally {
    /// How many wait: for their turn, or for another attempt.
    pub waiting: u64,
    /// When the oldest of these was written down.
    pub oldest: Option<Timestamp>,
    /// How many are given up, and can be tried again when a person asks for it.
    pub dead: u64,
    /// How many were delivered so far.
    pub delivered: u64,
    /// How many attempts have failed so far.
    pub failed: u64,
    /// How many were forgotten before they were delivered: they were older than events are kept for a consumer.
    pub missed: u64,
    /// When the last one was delivered.
    pub delivered_at: Option<Timestamp>,
    /// When the last attempt failed, and why.
    pub failure: Option<(Timestamp, String)>,
}

/// What of a consumer is to be changed.
#[derive(Clone, Debug, Default)]
pub struct ConsumerChange {
    /// Its settings.
    pub settings: Option<Text>,
    /// Why it is switched off; `Some(None)`: it is switched on.
    pub off_because: Option<Option<String>>,
}

/// An event whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The event.
    pub event: Event,
    /// Its chat, as a number: one event of it after another has its turn.
    pub lane: i64,
    /// How many attempts of the schedule have failed.
    pub attempts: u32,
    /// How far the consumer has got with it ([`Ledger::note_step`](super::Ledger::note_step)).
    pub step: u8,
    /// When the schedule has the next attempt: this one may be an additional one.
    pub due_at: Timestamp,
}

/// In [`Delivery::step`], beside what the consumer has noted there: a person has asked for it again, after it was given up.
pub const REDRIVEN: u8 = 128;

/// What has its turn, and when the next one has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// Those whose turn it is.
    pub now: Vec<Delivery>,
    /// When the turn of the next one comes.
    pub next: Option<Timestamp>,
}

/// The result of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The event.
    pub seq: i64,
    /// Its lane.
    pub lane: i64,
    /// What becomes of it.
    pub became: Became,
}

/// What becomes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Became {
    /// It is delivered.
    Delivered,
    /// The consumer has looked at it and does not want it.
    Skipped,
    /// It is tried again. What is behind it in its lane waits.
    PutOff {
        /// How many attempts of the schedule have failed by now.
        attempts: u32,
        /// When it is tried again.
        due_at: Timestamp,
        /// Why it has failed: for a person, without secrets.
        failure: String,
        /// It is the consumer that has failed. Otherwise something is not there yet that the event needs.
        is_consumers: bool,
    },
    /// It is given up. What is behind it in its lane goes on.
    Dead {
        /// Why it has failed.
        failure: String,
    },
}

/// What of the log a consumer has looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What became of its events, with those that it has got.
    pub tally: ConsumerTally,
    /// How many of those that it has looked at were forgotten already.
    pub missed: u64,
    /// There may be more.
    pub is_not_all: bool,
}

/// How a delivery that is not done with stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It waits for its turn, or for another attempt.
    Waiting,
    /// It is given up.
    Dead,
}

impl DeliveryState {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Waiting, Self::Dead];

    /// The word for it in the API and in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Dead => "dead",
        }
    }

    /// The state with this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// A delivery that is not done with, for a person who looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenDelivery {
    /// The event's place in the log.
    pub seq: i64,
    /// The event's id.
    pub event_id: String,
    /// The event's session.
    pub session: String,
    /// What happened.
    pub kind: String,
    /// When the event was written down.
    pub written_at: Timestamp,
    /// How it stands.
    pub state: DeliveryState,
    /// How many attempts have failed.
    pub attempts: u32,
    /// When it is tried next; `None`: it is dead, or another one of its chat comes first.
    pub next_at: Option<Timestamp>,
    /// When the last attempt failed, and why.
    pub failure: Option<(Timestamp, String)>,
}
