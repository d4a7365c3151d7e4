//! Steps that have happened and wait to be written: told by a session at once, taken by the keeper when the disk lets it.
//!
//! A session never waits for a disk that stands still, and loses no step to it: what it notes is kept here, in its order,
//! until the keeper comes back from the disk. Bounded, as everything that waits is.
//!
//! Invariant: the keeper takes what is here after it has received a request, so that a step is written before whatever was
//! asked about the same send after it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::Notify, time::Instant};

use super::step::Step;

/// Steps that may wait, of all sessions: some 10 MB. While the disk stands still nothing new is handed over, so that only
/// messages of before make any, three each at most; this is hours of them. The keeper's backlog holds as many: a disk that
/// has hung and then fails leaves all that is here there.
pub(super) const CAPACITY: usize = 50_000;

/// See the module. A clone is the same.
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
    /// How many did not fit since the keeper came last.
    lost: usize,
    /// The keeper has ended.
    is_closed: bool,
}

/// A step, and when it happened. Not by the machine's clock, which may have jumped: the keeper knows what time it is.
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
        let mut waiting = self.lock();
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

    /// Resolves when something has been kept since it was last taken.
    pub(super) async fn arrived(&self) {
        self.0.arrived.notified().await;
    }

    /// Takes all that is kept, in its order. `time` is the ledger's time `now`.
    pub(super) fn take(&self, time: Timestamp, now: Instant) -> Vec<Noted> {
        let mut waiting = self.lock();
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

    /// Nothing more is written.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
    }

    /// Each change leaves it whole, so what a panicking thread has left can be used.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
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
