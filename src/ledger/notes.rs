//! Steps and events that have happened and wait to be written. A session adds them at once; the keeper takes them when it is done
//! with the disk.
//!
//! So a session never waits for a disk that stands still, and loses no step to it: steps stay here in their order until the
//! keeper is free. Their number is limited, as everything that waits is.
//!
//! Invariant: the keeper takes the notes after it has received a request. So a step is written before a request that was made
//! after the step is served.

use std::{collections::VecDeque, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::{event::NewEvent, step::Step};

/// How many steps of all sessions may wait: about 10 MB. While the disk stands still nothing new is handed over, so only
/// earlier messages make steps, three each at most; this many take hours. The keeper's backlog holds the same number: when a
/// disk hangs and then fails, all notes move there.
pub(super) const CAPACITY: usize = 50_000;

/// How many events of all sessions may wait. Only changes of a session's state come this way: some ten in the life of a run.
pub(super) const EVENT_CAPACITY: usize = 1000;

/// The steps and events that wait. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    notes: VecDeque<Happened>,
    /// How many steps did not fit since the keeper last took them.
    lost: usize,
    events: VecDeque<NewEvent>,
    /// The keeper has ended.
    is_closed: bool,
}

/// A step, and when it happened by a clock that does not jump. Only the keeper knows the ledger's time, which the step is
/// written with.
#[derive(Debug)]
struct Happened {
    key: String,
    step: Step,
    at: Instant,
}

/// A step that has happened and is not on disk yet: of which send, and when by the ledger's time.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    pub(super) key: String,
    pub(super) step: Step,
    pub(super) at: Timestamp,
}

impl Happened {
    fn noted_at(self, time: Timestamp, now: Instant) -> Noted {
        let ago = SignedDuration::try_from(now.saturating_duration_since(self.at));
        let at = ago.ok().and_then(|ago| time.checked_sub(ago).ok());
        Noted {
            key: self.key,
            step: self.step,
            at: at.unwrap_or(time),
        }
    }
}

impl Notes {
    /// Keeps a step that happened just now.
    pub(super) fn push(&self, key: &str, step: Step) {
        let mut waiting = self.0.waiting.lock();
        if waiting.is_closed {
            tracing::debug!("a step was not noted: the ledger is closed");
            return;
        }
        if waiting.notes.len() >= CAPACITY {
            if waiting.lost == 0 {
                tracing::error!(
                    message.key = key,
                    "news of sends is lost: {CAPACITY} steps wait for the disk (DATA_DIR); what was sent is looked up when a session is READY the next time"
                );
            }
            waiting.lost += 1;
            return;
        }
        waiting.notes.push_back(Happened {
            key: key.to_owned(),
            step,
            at: Instant::now(),
        });
        drop(waiting);
        self.0.arrived.notify_one();
    }

    /// Keeps an event that happened just now. When too many wait, the oldest is dropped: what a reader learns last is to be true.
    pub(super) fn push_event(&self, event: NewEvent) {
        let mut waiting = self.0.waiting.lock();
        if waiting.is_closed {
            tracing::debug!("an event was not noted: the ledger is closed");
            return;
        }
        push_bounded(&mut waiting.events, event);
        drop(waiting);
        self.0.arrived.notify_one();
    }

    /// Takes all events that are kept, in their order.
    pub(super) fn take_events(&self) -> VecDeque<NewEvent> {
        std::mem::take(&mut self.0.waiting.lock().events)
    }

    /// Resolves when something has been kept since it was last taken.
    pub(super) async fn arrived(&self) {
        self.0.arrived.notified().await;
    }

    /// Takes all that is kept, in its order. `time` is the ledger's time `now`.
    pub(super) fn take(&self, time: Timestamp, now: Instant) -> Vec<Noted> {
        let mut waiting = self.0.waiting.lock();
        if waiting.lost > 0 {
            tracing::error!(
                steps = waiting.lost,
                "news of sends was lost while the disk did not keep up"
            );
            waiting.lost = 0;
        }
        let notes = std::mem::take(&mut waiting.notes);
        drop(waiting);
        notes
            .into_iter()
            .map(|note| note.noted_at(time, now))
            .collect()
    }

    /// Ignores further steps: the keeper has ended.
    pub(super) fn close(&self) {
        self.0.waiting.lock().is_closed = true;
    }
}

/// Adds an event, and drops the oldest when there are too many.
pub(super) fn push_bounded(events: &mut VecDeque<NewEvent>, event: NewEvent) {
    if EVENT_CAPACITY <= events.len() {
        tracing::error!(
            "an event is lost: {EVENT_CAPACITY} events of sessions wait for the disk (DATA_DIR)"
        );
        events.pop_front();
    }
    events.push_back(event);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(notes: &Notes) -> Vec<Noted> {
        notes.take(Timestamp::now(), Instant::now())
    }

    #[tokio::test]
    async fn what_is_noted_is_taken_once_and_in_its_order() {
        let notes = Notes::default();
        for n in 0..100 {
            notes.push(&format!("3EB0{n}"), Step::Acknowledged(1));
        }
        notes.arrived().await;
        let taken = take(&notes);
        let keys: Vec<_> = taken.iter().map(|noted| noted.key.as_str()).collect();
        assert_eq!(
            keys,
            (0..100).map(|n| format!("3EB0{n}")).collect::<Vec<_>>()
        );
        assert!(take(&notes).is_empty());
    }

    #[test]
    fn a_disk_that_never_comes_back_does_not_take_all_memory() {
        let notes = Notes::default();
        for n in 0..=CAPACITY {
            notes.push(&format!("3EB0{n}"), Step::Acknowledged(1));
        }
        let taken = take(&notes);
        assert_eq!(taken.len(), CAPACITY);
        assert_eq!(taken[0].key, "3EB00", "the oldest are kept");
        notes.push("3EB0A", Step::Acknowledged(1));
        assert_eq!(take(&notes).len(), 1, "there is room again");
        notes.close();
        notes.push("3EB0B", Step::Acknowledged(1));
        assert!(take(&notes).is_empty());
    }
}
