//! What can happen to a send, and how that changes it. Pure: no disk, and the time is passed in.

use jiff::Timestamp;

use super::record::{Failure, Record, SendState};
use crate::masked::{Number, WaId};

/// How a page is about to get a send.
#[derive(Clone, Debug)]
pub struct Handing {
    /// By which adapter.
    pub adapter: String,
    /// By which account.
    pub account: Option<Number>,
    /// Under which inner id; `None` where the page chooses it.
    pub wa_key: Option<String>,
    /// Under which full id, where that is known.
    pub message_id: Option<WaId>,
    /// In which generation of the profile (`browser::ProfileNote`).
    pub generation: u64,
    /// With whom the page has begun new Signal sessions before.
    pub reset: Reset,
}

/// With whom a page has begun new Signal sessions before a hand-over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reset {
    /// With the devices of its recipient.
    pub recipient: bool,
    /// With the account's own devices.
    pub own_devices: bool,
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
        message_id: WaId,
    },
    /// WhatsApp says how far it got: 1 server, 2 device, 3 read; below zero it gave it up.
    Acknowledged(i32),
    /// WhatsApp gave it up, and this is its own word for why.
    GivenUp(String),
    /// No page has it, although one was about to get it: it waits again.
    Absent,
    /// Certainly not sent.
    Failed(Failure, String),
    /// No page can find out whether it was sent.
    Unknown(String),
    /// Taken back by its caller.
    Cancelled,
}

impl Step {
    /// Whether a power cut may undo this step, because WhatsApp's own store knows it too. The send is `handed` again after the
    /// power cut, since that was synced before the page had it; and each `handed` send is looked up in WhatsApp's store when the
    /// page is ready the next time.
    pub(super) fn can_be_found_out(&self, key: &str) -> bool {
        match self {
            // A send that has an id of the page's own can be looked up only by that id, so the id must not be lost.
            Self::Taken { wa_key, .. } => wa_key == key,
            Self::Acknowledged(ack) => *ack > 0,
            Self::Handing(_)
            | Self::Absent
            | Self::GivenUp(_)
            | Self::Failed(..)
            | Self::Unknown(_)
            | Self::Cancelled => false,
        }
    }
}

impl Record {
    /// Applies `step`. Answers whether anything changed: late news and repetitions change nothing.
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
                self.generation = Some(handing.generation);
            }
            (
                S::Handed | S::Unknown | S::Sent | S::Delivered | S::Read,
                Step::Taken { wa_key, message_id },
            ) if !self.is_taken => {
                self.is_taken = true;
                self.wa_key = Some(wa_key.clone());
                self.message_id = Some(message_id.clone());
            }
            // One that waits again, as the page did not seem to have it, and that WhatsApp turns out to have.
            (S::Queued, Step::Acknowledged(1..)) if self.handed_at.is_none() => return false,
            (
                S::Queued | S::Handed | S::Unknown | S::Sent | S::Delivered,
                Step::Acknowledged(ack @ 1..),
            ) if *ack > self.ack => {
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
            (S::Handed | S::Unknown, Step::Acknowledged(ack @ ..=-1)) => {
                self.ack = *ack;
                let detail = format!("WhatsApp gave the message up (ack {ack})");
                self.fail(Failure::GivenUp, &detail, now);
            }
            (S::Handed | S::Unknown, Step::GivenUp(word)) => {
                self.ack = -1;
                let detail = format!("WhatsApp gave the message up ({word})");
                self.fail(Failure::GivenUp, &detail, now);
            }
            (S::Handed, Step::Absent) => {
                self.state = S::Queued;
                self.is_taken = false;
            }
            // What says that its turn did not come is late news about one whose turn has come.
            (S::Handed, Step::Failed(failure, _)) if failure.needs_the_queue() => return false,
            (S::Queued | S::Handed, Step::Failed(failure, detail)) => {
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
                | Step::GivenUp(_)
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
}
