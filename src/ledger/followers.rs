//! Those who follow an open send: told of each change, for as long as there is anybody to tell.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use tokio::sync::watch;

use super::{record::Record, step::Step};

/// A send as it is now, and as it changes while it is open.
pub type Followed = watch::Receiver<Arc<Record>>;

/// By the send's own id.
#[derive(Debug, Default)]
pub(super) struct Followers(HashMap<String, watch::Sender<Arc<Record>>>);

impl Followers {
    /// A way to follow a send; one that is not open does not change while anybody waits for it.
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

    /// Tells of a send as the file has it now.
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

    /// Tells of a step that is not on disk. `key` is the send's own id, or the one that the page chose for it.
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

    /// Forgets the sends that nobody follows.
    pub(super) fn forget(&mut self) {
        self.0.retain(|_, followed| followed.receiver_count() > 0);
    }
}
