//! The sends of one session that are on their way: who waits, which one goes into the page, which ones wait for
//! WhatsApp's server.
//!
//! Responsible for order, capacity, pace and deadlines. Does nothing itself: [`sending`](super::sending) calls the page
//! and the ledger and reports back here; what is to be written down is left in [`take_notes`](Outbox::take_notes). Knows
//! no time but what it is given. What is in doubt leaves it, and comes back through [`recovery`](super::recovery).

use std::{
    collections::VecDeque,
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use tokio::time::Instant;

use super::{SendError, pace::Pace};
use crate::{
    ledger::{Failure, LedgerError, Record, Step},
    whatsapp::{HandOverError, Handed, Outgoing, PrepareError, Prepared},
};

/// A page loads itself anew once or twice in a row; one that breaks each time would keep a send, and those behind it,
/// for ever.
const MAX_INTERRUPTIONS: u8 = 2;

/// Between two tries: a page that loads itself anew says so within milliseconds, and then is waited for.
const INTERRUPTION_PAUSE: Duration = Duration::from_millis(300);

/// Between two tries to write a durable send down while the ledger cannot be used: a full disk is not freed at once.
const LEDGER_PAUSE: Duration = Duration::from_secs(5);

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

/// See the module.
#[derive(Debug)]
pub(super) struct Outbox {
    limits: SendLimits,
    pace: Pace,
    /// In the order in which they were accepted.
    waiting: VecDeque<Entry>,
    /// Places of sends that are being written down.
    reserved: usize,
    /// At most one send is between "taken from the queue" and "handed over": WhatsApp then keeps the order.
    current: Option<Current>,
    /// Taken by the page, not yet by the server: the inner ids that the page knows them by.
    handed: Vec<String>,
    /// After an interruption nothing begins before this.
    paused_until: Option<Instant>,
    notes: Vec<(String, Step)>,
}

#[derive(Debug)]
struct Entry {
    seq: i64,
    outgoing: Outgoing,
    /// By when its turn must have come; `None` for one whose caller does not wait.
    deadline: Option<Instant>,
    /// How often the page was interrupted while it made this one ready.
    interruptions: u8,
}

#[derive(Debug)]
struct Current {
    entry: Entry,
    /// By when the page must have answered.
    limit: Instant,
    /// Known once the recipient is: from then on the message may have left us.
    prepared: Option<Prepared>,
    /// An acknowledgement can overtake the answer to the hand-over.
    early_ack: Option<i32>,
}

impl Outbox {
    pub(super) fn new(limits: SendLimits) -> Self {
        Self {
            limits,
            pace: Pace::per_minute(limits.rate_per_minute),
            waiting: VecDeque::new(),
            reserved: 0,
            current: None,
            handed: Vec::new(),
            paused_until: None,
            notes: Vec::new(),
        }
    }

    /// What has happened since the last call, to be written down.
    pub(super) fn take_notes(&mut self) -> Vec<(String, Step)> {
        std::mem::take(&mut self.notes)
    }

    /// Keeps a place for one more send, to be taken by [`enqueue`](Self::enqueue) or given back by
    /// [`release`](Self::release). Refuses one whose turn cannot come by `deadline`.
    pub(super) fn reserve(
        &mut self,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Result<(), SendError> {
        let due = self.due(now);
        let ahead = self.waiting.len() + self.reserved;
        if ahead >= self.limits.queue_max.get() {
            let retry_after = self.pace.due(1, now) - now;
            return Err(SendError::QueueFull { retry_after });
        }
        if let Some(deadline) = deadline.filter(|deadline| *deadline <= due) {
            let retry_after = due - deadline;
            return Err(SendError::TurnNotCome { retry_after });
        }
        self.reserved += 1;
        Ok(())
    }

    pub(super) const fn release(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// When a send that is accepted now would go out, as far as that can be told.
    pub(super) fn due(&self, now: Instant) -> Instant {
        self.pace.due(self.waiting.len() + self.reserved, now)
    }

    /// Takes a send in, at its place in the order. One that is here already stays where it is.
    pub(super) fn enqueue(&mut self, record: &Record, deadline: Option<Instant>) {
        if self.holds(&record.key) {
            return;
        }
        let Some(body) = record.body.clone() else {
            let detail = "its text is no longer kept".to_owned();
            self.note(&record.key, Step::Failed(Failure::NotTaken, detail));
            return;
        };
        let entry = Entry {
            seq: record.seq,
            outgoing: Outgoing {
                key: record.key.clone(),
                to: record.to.clone(),
                chat: None,
                body,
            },
            deadline,
            interruptions: 0,
        };
        let at = self.waiting.partition_point(|other| other.seq < entry.seq);
        self.waiting.insert(at, entry);
    }

    /// Whether the send is here: it waits, or is on its way into the page.
    pub(super) fn holds(&self, key: &str) -> bool {
        let current = self.current.iter().map(|current| &current.entry);
        self.waiting
            .iter()
            .chain(current)
            .any(|entry| entry.outgoing.key == key)
    }

    /// Takes a send back that still waits. Answers whether it did.
    pub(super) fn cancel(&mut self, key: &str) -> bool {
        let found = self
            .waiting
            .iter()
            .position(|entry| entry.outgoing.key == key);
        let cancelled = found.and_then(|at| self.waiting.remove(at));
        if cancelled.is_some() {
            self.note(key, Step::Cancelled);
        }
        cancelled.is_some()
    }

    /// Takes the next send from the queue, to be prepared by the time given; `None` while another is on its way, when
    /// none waits, or when it is too early for one.
    pub(super) fn begin(&mut self, now: Instant) -> Option<(Outgoing, Instant)> {
        if self.current.is_some() || self.next_turn(now)? > now {
            return None;
        }
        self.paused_until = None;
        let entry = self.waiting.pop_front()?;
        self.pace.take(now);
        let limit = entry.deadline.unwrap_or(now + self.limits.wait);
        let outgoing = entry.outgoing.clone();
        self.current = Some(Current {
            entry,
            limit,
            prepared: None,
            early_ack: None,
        });
        Some((outgoing, limit))
    }

    /// Whom the send on its way goes to.
    pub(super) fn current_recipient(&self) -> Option<&str> {
        let current = self.current.as_ref()?;
        Some(&current.entry.outgoing.to)
    }

    /// When the send that waits longest may go out; `None` when none waits.
    fn next_turn(&self, now: Instant) -> Option<Instant> {
        self.waiting.front()?;
        let due = self.pace.due(0, now);
        Some(self.paused_until.map_or(due, |paused| paused.max(due)))
    }

    /// The page has looked the recipient up. Answers what is to be written down, if the send goes on.
    pub(super) fn on_prepared(
        &mut self,
        result: Result<Prepared, PrepareError>,
        now: Instant,
    ) -> Option<(Outgoing, Prepared)> {
        match result {
            Ok(prepared) => {
                let current = self.current.as_mut()?;
                current.prepared = Some(prepared.clone());
                Some((current.entry.outgoing.clone(), prepared))
            }
            Err(why) => {
                let mut entry = self.current.take()?.entry;
                match why {
                    PrepareError::Interrupted(_) if entry.interruptions < MAX_INTERRUPTIONS => {
                        entry.interruptions += 1;
                        self.put_back(entry, now + INTERRUPTION_PAUSE);
                    }
                    PrepareError::NotOnWhatsApp => {
                        self.fail(&entry, Failure::NotOnWhatsApp, &why.to_string());
                    }
                    PrepareError::Interrupted(_) | PrepareError::Failed(_) => {
                        self.fail(&entry, Failure::NotTaken, &why.to_string());
                    }
                }
                None
            }
        }
    }

    /// The ledger has it that a page may have the send, or that it is done with, or could not be written: then no page
    /// gets it.
    pub(super) fn on_written(
        &mut self,
        result: Result<bool, LedgerError>,
        now: Instant,
    ) -> Option<(Prepared, Outgoing, Instant)> {
        match result {
            Ok(true) => {}
            Ok(false) => {
                let key = &self.current.take()?.entry.outgoing.key;
                tracing::warn!(
                    message.key = key,
                    "a message that is done with was about to be handed over"
                );
                return None;
            }
            Err(why) => {
                let entry = self.current.take()?.entry;
                if entry.deadline.is_none() {
                    self.put_back(entry, now + LEDGER_PAUSE);
                } else {
                    self.fail(&entry, Failure::NotWritten, &why.to_string());
                }
                return None;
            }
        }
        let current = self.current.as_ref()?;
        let prepared = current.prepared.clone()?;
        Some((prepared, current.entry.outgoing.clone(), current.limit))
    }

    /// The page has answered the hand-over. Answers whether it is in doubt what became of it.
    pub(super) fn on_handed_over(
        &mut self,
        result: Result<Handed, HandOverError>,
        now: Instant,
    ) -> bool {
        let Some(Current {
            mut entry,
            early_ack,
            ..
        }) = self.current.take()
        else {
            return false;
        };
        let key = entry.outgoing.key.clone();
        match result {
            Ok(Handed {
                key: wa_key,
                message_id,
            }) => {
                let taken = Step::Taken {
                    wa_key: wa_key.clone(),
                    message_id,
                };
                self.note(&key, taken);
                self.handed.push(wa_key.clone());
                if let Some(ack) = early_ack {
                    self.on_ack(&wa_key, ack);
                }
                false
            }
            Err(HandOverError::Interrupted(_)) if entry.interruptions < MAX_INTERRUPTIONS => {
                self.note(&key, Step::Absent);
                entry.interruptions += 1;
                self.put_back(entry, now + INTERRUPTION_PAUSE);
                false
            }
            Err(HandOverError::Interrupted(detail) | HandOverError::NotHanded(detail)) => {
                self.fail(&entry, Failure::NotTaken, &detail);
                false
            }
            Err(HandOverError::Unknown(detail)) => {
                tracing::warn!(
                    message.key = key,
                    "it is not known whether a message was handed over: {detail}"
                );
                if let Some(ack) = early_ack {
                    self.note(&key, Step::Acknowledged(ack));
                }
                early_ack.is_none()
            }
        }
    }

    /// WhatsApp reports how far a message has got. Zero is no news; below zero it gave the message up.
    pub(super) fn on_ack(&mut self, wa_key: &str, ack: i32) {
        if ack == 0 {
            return;
        }
        if let Some(current) = self
            .current
            .as_mut()
            .filter(|current| current.entry.outgoing.key == wa_key)
        {
            current.early_ack = Some(ack);
            return;
        }
        self.handed.retain(|handed| handed != wa_key);
        self.note(wa_key, Step::Acknowledged(ack));
    }

    /// The page has the send already, as a look-up found: its acknowledgement is waited for.
    pub(super) fn on_found(&mut self, wa_key: &str) {
        if !self.handed.iter().any(|handed| handed == wa_key) {
            self.handed.push(wa_key.to_owned());
        }
    }

    /// Gives up what has waited for its turn too long.
    pub(super) fn expire(&mut self, now: Instant) {
        // A pause that is over wakes the session once, also while the page is not ready for the next send.
        self.paused_until = self.paused_until.filter(|until| now < *until);
        let is_late = |entry: &Entry| entry.deadline.is_some_and(|deadline| deadline <= now);
        let (late, waiting): (VecDeque<_>, _) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(is_late);
        self.waiting = waiting;
        for entry in late {
            let detail = "its turn did not come in time; nothing was sent";
            self.fail(&entry, Failure::TurnNotCome, detail);
        }
    }

    /// When [`expire`](Self::expire) or [`begin`](Self::begin) has something to do next. The send on its way has its
    /// deadline with the page call.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let turn = if self.current.is_none() {
            self.next_turn(now).filter(|turn| now < *turn)
        } else {
            None
        };
        let deadlines = self.waiting.iter().filter_map(|entry| entry.deadline);
        deadlines.chain(self.paused_until).chain(turn).min()
    }

    /// The session cannot send any more: those whose callers wait are given up. What outlives a session stays in the
    /// ledger; what the page has, it keeps.
    pub(super) fn refuse_waiting(&mut self, why: &str) {
        let (durable, refused): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|entry| entry.deadline.is_none());
        self.waiting = durable;
        for entry in refused {
            self.fail(&entry, Failure::SessionEnded, why);
        }
    }

    /// A send whose recipient is still being looked up has not left us.
    pub(super) fn refuse_unprepared(&mut self, why: &str) {
        let unprepared = self.current.take_if(|current| current.prepared.is_none());
        if let Some(Current { entry, .. }) = unprepared {
            if entry.deadline.is_none() {
                self.waiting.push_front(entry);
            } else {
                self.fail(&entry, Failure::SessionEnded, why);
            }
        }
    }

    /// Whether anything is on its way into the ledger.
    pub(super) const fn is_accepting(&self) -> bool {
        self.reserved > 0
    }

    /// Whether anything is on its way into the ledger, into the page or to WhatsApp's server.
    pub(super) const fn is_busy(&self) -> bool {
        self.is_accepting() || self.current.is_some() || !self.handed.is_empty()
    }

    fn put_back(&mut self, entry: Entry, paused_until: Instant) {
        self.paused_until = Some(paused_until);
        self.waiting.push_front(entry);
    }

    fn fail(&mut self, entry: &Entry, failure: Failure, detail: &str) {
        let key = &entry.outgoing.key;
        tracing::warn!(message.key = key, "a message was not sent: {detail}");
        self.note(key, Step::Failed(failure, detail.to_owned()));
    }

    fn note(&mut self, key: &str, step: Step) {
        self.notes.push((key.to_owned(), step));
    }
}

#[cfg(test)]
pub(super) mod tests;
