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

use jiff::Timestamp;
use tokio::sync::Notify;

use super::{Step, keeper::Request};

/// Steps that may wait, of all sessions: some 10 MB. While the disk stands still nothing new is handed over, so that only
/// messages of before make any, three each at most; this is hours of them.
const CAPACITY: usize = 50_000;

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
    notes: VecDeque<Request>,
    /// How many did not fit since the keeper came last.
    lost: usize,
    /// The keeper has ended.
    is_closed: bool,
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
        waiting.notes.push_back(Request::Advance {
            key: key.to_owned(),
            step,
            at: Some(Timestamp::now()),
            reply: None,
        });
        drop(waiting);
        self.0.arrived.notify_one();
    }

    /// Resolves when something has been kept since it was last taken.
    pub(super) async fn arrived(&self) {
        self.0.arrived.notified().await;
    }

    /// Takes all that is kept, in its order.
    pub(super) fn take(&self) -> Vec<Request> {
        let mut waiting = self.lock();
        if waiting.lost > 0 {
            tracing::error!(
                steps = waiting.lost,
                "news of sends was lost while the disk did not keep up"
            );
            waiting.lost = 0;
        }
        std::mem::take(&mut waiting.notes).into()
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

    fn key(request: &Request) -> &str {
        let Request::Advance {
            key, reply: None, ..
        } = request
        else {
            panic!("a note is a step without a reply");
        };
        key
    }

    #[tokio::test]
    async fn what_is_noted_is_taken_once_and_in_its_order() {
        let notes = Notes::default();
        for n in 0..100 {
            notes.push(&format!("3EB0{n}"), Step::Acknowledged(1));
        }
        notes.arrived().await;
        let taken = notes.take();
        let keys: Vec<_> = taken.iter().map(key).collect();
        assert_eq!(
            keys,
            (0..100).map(|n| format!("3EB0{n}")).collect::<Vec<_>>()
        );
        assert!(notes.take().is_empty());
    }

    #[test]
    fn a_disk_that_never_comes_back_does_not_take_all_memory() {
        let notes = Notes::default();
        for n in 0..=CAPACITY {
            notes.push(&format!("3EB0{n}"), Step::Acknowledged(1));
        }
        let taken = notes.take();
        assert_eq!(taken.len(), CAPACITY);
        assert_eq!(key(&taken[0]), "3EB00", "the oldest are kept");
        notes.push("3EB0A", Step::Acknowledged(1));
        assert_eq!(notes.take().len(), 1, "there is room again");
        notes.close();
        notes.push("3EB0B", Step::Acknowledged(1));
        assert!(notes.take().is_empty());
    }
}
