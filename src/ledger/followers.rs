//! The callers that follow an open send. They see each change until the send has ended or they are gone.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use tokio::sync::watch;

use super::{record::Record, step::Step};

/// A send as it is now, and as it changes while it is open.
pub type Followed = watch::Receiver<Arc<Record>>;

/// The followed sends, by their own id.
#[derive(Debug, Default)]
pub(super) struct Followers(HashMap<String, watch::Sender<Arc<Record>>>);

impl Followers {
    /// A receiver for the changes of a send. A send that is not open gets one without a sender, since it no longer changes in a
    /// way that a caller waits for.
    pub(super) fn follow(&mut self, record: Record) -> Followed {
        if !record.state.is_open() {
            return watch::channel(Arc::new(record)).1;
        }
        let key = record.key.clone();
        self.0
            .entry(key)
            .or_insert_with(|| watch::channel(Arc::new(record)).0)
            .subscribe()
    }

    /// Shows a send to its followers as it is in the file now.
    pub(super) fn publish(&mut self, record: Record) {
        let (key, is_open) = (record.key.clone(), record.state.is_open());
        let Some(followed) = self.0.get(&key) else {
            return;
        };
        followed.send_replace(Arc::new(record));
        if !is_open {
            self.0.remove(&key);
        }
    }

    /// Shows a step that is not on disk. `key` is the send's own id, or the one that the page chose for it.
    pub(super) fn tell(&mut self, key: &str, step: &Step, now: Timestamp) {
        let follower = self.0.iter().find(|(own, followed)| {
            *own == key || followed.borrow().wa_key.as_deref() == Some(key)
        });
        if let Some(mut record) = follower.map(|(_, followed)| Record::clone(&followed.borrow()))
            && record.take(step, now)
        {
            self.publish(record);
        }
    }

    /// Drops the sends that have no follower left.
    pub(super) fn forget(&mut self) {
        self.0.retain(|_, followed| followed.receiver_count() > 0);
    }
}
