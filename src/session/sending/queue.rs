//! The sends of one session that wait for their turn.
//!
//! Responsible for order, capacity, pace, pauses and deadlines. Pure: does nothing itself, knows no time but what it is
//! given. What becomes of a send whose turn has come is [`in_flight`](super::in_flight)'s part.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::pace::Pace;
use crate::{
    ledger::Record,
    session::{Addressee, SendError, SendLimits},
    whatsapp::Outgoing,
};

/// The sends that wait for their turn.
#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    pace: Pace,
    /// In the order in which they were accepted.
    waiting: VecDeque<QueuedSend>,
    /// Those that are being written down, each with a place.
    reserved: Vec<String>,
    /// After an interruption nothing begins before this.
    paused_until: Option<Instant>,
}

/// A send that waits, or has its turn.
#[derive(Debug)]
pub(super) struct QueuedSend {
    pub(super) seq: i64,
    pub(super) outgoing: Outgoing,
    /// By when its turn must have come; `None` for one whose caller does not wait.
    pub(super) deadline: Option<Instant>,
    /// How often the page was interrupted while it made this one ready.
    pub(super) interruptions: u8,
    /// How often its file did not get to WhatsApp's server.
    pub(super) failed_uploads: u32,
    /// When it did not for the first time.
    pub(super) upload_failed_at: Option<Instant>,
    /// It has no turn before this, and nor has what is behind it for the same recipient: the others go on.
    rests_until: Option<Instant>,
    /// How often it has had its turn. One that was put back does not count once more for the pace.
    pub(super) turns: u32,
}

impl QueuedSend {
    /// `None` when its text is no longer kept.
    pub(super) fn of(record: &Record, deadline: Option<Instant>) -> Option<Self> {
        Some(Self {
            seq: record.seq,
            outgoing: outgoing(record)?,
            deadline,
            interruptions: 0,
            failed_uploads: 0,
            upload_failed_at: None,
            rests_until: None,
            turns: 0,
        })
    }
}

/// What the page gets of a send; `None` when its text is no longer kept.
pub(super) fn outgoing(record: &Record) -> Option<Outgoing> {
    let action = record.extras.action.as_ref();
    Some(Outgoing {
        key: record.key.clone(),
        chat: Addressee::chat_of(&record.to).or_else(|| action?.chat()),
        to: record.to.clone(),
        body: record.body.clone()?,
        extras: record.extras.clone(),
    })
}

impl Queue {
    pub(super) fn new(limits: SendLimits, pace: Pace) -> Self {
        Self {
            capacity: limits.queue_max.get(),
            pace,
            waiting: VecDeque::new(),
            reserved: Vec::new(),
            paused_until: None,
        }
    }

    /// Keeps a place for one more send to this recipient, to be given back by [`release`](Self::release). Refuses one whose turn cannot
    /// come by `deadline`. `free_at`: when the send on its way leaves the page to the next one.
    pub(super) fn reserve(
        &mut self,
        key: &str,
        to: &str,
        deadline: Option<Instant>,
        free_at: Instant,
        now: Instant,
    ) -> Result<(), SendError> {
        if self.waiting.len() + self.reserved.len() >= self.capacity {
            let retry_after = self.pace.due(1, now) - now;
            return Err(SendError::QueueFull { retry_after });
        }
        let due = self.due(to, free_at, now);
        if let Some(deadline) = deadline.filter(|deadline| *deadline <= due) {
            let retry_after = due - deadline;
            return Err(SendError::TurnNotCome { retry_after });
        }
        self.reserved.push(key.to_owned());
        Ok(())
    }

    /// Gives a place back.
    pub(super) fn release(&mut self, key: &str) {
        self.reserved.retain(|reserved| reserved != key);
    }

    /// Whether any send waits for its turn.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether any send is being written down.
    pub(super) const fn is_accepting(&self) -> bool {
        !self.reserved.is_empty()
    }

    /// When a send to this recipient that is accepted now would go out, as far as that can be told.
    pub(super) fn due(&self, to: &str, free_at: Instant, now: Instant) -> Instant {
        let unpaced = self.waiting.iter().filter(|entry| entry.turns == 0);
        let paced = self.pace.due(unpaced.count() + self.reserved.len(), now);
        let before = self
            .waiting
            .iter()
            .filter(|entry| &*entry.outgoing.to == to);
        let rested = before.filter_map(|entry| entry.rests_until).max();
        paced.max(free_at).max(rested.unwrap_or(now))
    }

    /// Takes a send in, at its place in the order.
    pub(super) fn insert(&mut self, entry: QueuedSend) {
        let at = self.waiting.partition_point(|other| other.seq < entry.seq);
        self.waiting.insert(at, entry);
    }

    /// Takes one in again that has had its turn. Nothing begins before `paused_until`.
    pub(super) fn put_back(&mut self, entry: QueuedSend, paused_until: Option<Instant>) {
        self.paused_until = paused_until;
        self.insert(entry);
    }

    /// Takes one in again that has had its turn, and lets it and those behind it to the same recipient rest until then.
    pub(super) fn rest(&mut self, entry: QueuedSend, until: Instant) {
        self.insert(QueuedSend {
            rests_until: Some(until),
            ..entry
        });
    }

    /// Whether the send waits, or is being written down.
    pub(super) fn holds(&self, key: &str) -> bool {
        self.reserved.iter().any(|reserved| reserved == key)
            || self.waiting.iter().any(|entry| entry.outgoing.key == key)
    }

    /// Takes a send out. Answers whether it waited.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|entry| entry.outgoing.key != key);
        self.waiting.len() < before
    }

    /// Takes the next send out, when its turn has come.
    pub(super) fn begin(&mut self, now: Instant) -> Option<QueuedSend> {
        let (place, turn) = self.next(now)?;
        if turn > now {
            return None;
        }
        self.paused_until = None;
        let mut entry = self.waiting.remove(place)?;
        entry.rests_until = None;
        if entry.turns == 0 {
            self.pace.take(now);
        }
        entry.turns = entry.turns.saturating_add(1);
        Some(entry)
    }

    /// When the next send may go out; `None` when none waits.
    pub(super) fn next_turn(&self, now: Instant) -> Option<Instant> {
        Some(self.next(now)?.1)
    }

    /// Which send is the next, by its place, and when it may go out: the one that waits longest, of those that do not rest; or one
    /// that rests, if it is due before.
    fn next(&self, now: Instant) -> Option<(usize, Instant)> {
        let mut resting = Vec::new();
        let mut next: Option<(usize, Instant)> = None;
        for (place, entry) in self.waiting.iter().enumerate() {
            let to = &entry.outgoing.to;
            if resting.contains(&to) {
                continue;
            }
            let until = entry.rests_until.filter(|until| now < *until);
            let due = match until {
                Some(until) => until,
                None if entry.turns > 0 => now,
                None => self.pace.due(0, now),
            };
            if next.is_none_or(|(_, before)| due < before) {
                next = Some((place, due));
            }
            if until.is_none() {
                break;
            }
            resting.push(to);
        }
        let (place, due) = next?;
        let due = self.paused_until.map_or(due, |paused| paused.max(due));
        Some((place, due))
    }

    /// Takes out what has waited for its turn too long.
    pub(super) fn take_late(&mut self, now: Instant) -> VecDeque<QueuedSend> {
        // A pause that is over wakes the session once, also while the page is not ready for the next send.
        self.paused_until = self.paused_until.filter(|until| now < *until);
        self.take(|entry| entry.deadline.is_some_and(|deadline| deadline <= now))
    }

    /// Takes out those whose callers wait.
    pub(super) fn take_awaited(&mut self) -> VecDeque<QueuedSend> {
        self.take(|entry| entry.deadline.is_some())
    }

    /// Takes out all that wait.
    pub(super) fn take_all(&mut self) -> VecDeque<QueuedSend> {
        self.take(|_| true)
    }

    /// What the page did to those that wait is over: the next page begins with each as with a new one.
    pub(super) fn on_page_closed(&mut self) {
        self.paused_until = None;
        for entry in &mut self.waiting {
            entry.interruptions = 0;
            entry.failed_uploads = 0;
            entry.upload_failed_at = None;
            entry.rests_until = None;
        }
    }

    /// Gives all places back, those that are kept too. The pace stays: a new page is no reason for a new burst.
    pub(super) fn empty(&mut self) {
        self.waiting.clear();
        self.reserved.clear();
        self.paused_until = None;
    }

    fn take(&mut self, which: impl Fn(&QueuedSend) -> bool) -> VecDeque<QueuedSend> {
        // Asked in each turn of the session, and there is hardly ever one.
        if !self.waiting.iter().any(&which) {
            return VecDeque::new();
        }
        let (taken, left) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(which);
        self.waiting = left;
        taken
    }

    /// When something is too late, or a pause is over.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.waiting.iter().filter_map(|entry| entry.deadline);
        deadlines.chain(self.paused_until).min()
    }
}
