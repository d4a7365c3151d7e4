//! What has become of sends, counted for whoever watches the service from outside.
//!
//! Counters begin at zero with the service. What is open is read when the file is opened and followed from then on, so that it
//! can be told without asking the disk. Holds no number, no text and no id.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
};

use super::{Failure, Record, SendState};

/// Seconds. WhatsApp's server answers within some tenths; at 45 a caller has its 202, and what takes minutes waits for a network.
const ACK_BUCKETS: [f64; 12] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 45.0, 120.0, 600.0, 3600.0,
];

/// See the module. A clone counts the same.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Sends written down.
    pub accepted: Counter,
    /// Sends of which it is known what became.
    pub ended: Family<Ending, Counter>,
    /// From the first hand-over to a page until WhatsApp's server had it, in seconds.
    pub time_to_ack: Histogram,
    open: Arc<Mutex<Open>>,
}

/// The open sends of each session, by their place in the order: when they were written down.
type Open = BTreeMap<String, BTreeMap<i64, Timestamp>>;

/// What became of a send.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ending {
    /// `sent`, `failed`, `unknown` or `cancelled`.
    pub outcome: &'static str,
    /// Why it failed, else empty: one of [`Failure`].
    pub code: &'static str,
}

/// What one session has still to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Sends that wait, and sends that WhatsApp's server has not taken.
    pub sends: usize,
    /// When the oldest of them was written down.
    pub oldest: Timestamp,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            accepted: Counter::default(),
            ended: Family::default(),
            time_to_ack: Histogram::new(ACK_BUCKETS),
            open: Arc::default(),
        }
    }
}

impl Tally {
    /// What each session has still to do; one that has nothing to do is left out.
    pub fn backlogs(&self) -> BTreeMap<String, Backlog> {
        let backlog = |sends: &BTreeMap<i64, Timestamp>| {
            let oldest = sends.values().min()?;
            Some(Backlog {
                sends: sends.len(),
                oldest: *oldest,
            })
        };
        let open = self.lock();
        open.iter()
            .filter_map(|(session, sends)| Some((session.clone(), backlog(sends)?)))
            .collect()
    }

    /// The file has been opened, and these are open in it: session, place in the order, when written down.
    pub(super) fn begin(&self, open: impl IntoIterator<Item = (String, i64, Timestamp)>) {
        let mut present = self.lock();
        present.clear();
        for (session, seq, at) in open {
            present.entry(session).or_default().insert(seq, at);
        }
    }

    /// A send has been written down.
    pub(super) fn on_accepted(&self, record: &Record) {
        self.accepted.inc();
        self.follow(record);
    }

    /// A send has changed. One that ends in another way after all, as one that was unknown and turns out to be sent, counts
    /// once for each.
    pub(super) fn on_changed(&self, before: SendState, record: &Record) {
        self.follow(record);
        let was_sent = has_been_sent(before);
        if before == record.state || was_sent {
            return;
        }
        let outcome = match record.state {
            SendState::Queued | SendState::Handed => return,
            SendState::Sent | SendState::Delivered | SendState::Read => SendState::Sent,
            SendState::Failed | SendState::Unknown | SendState::Cancelled => record.state,
        };
        let ending = Ending {
            outcome: outcome.as_str(),
            code: record.failure.map_or("", Failure::as_str),
        };
        self.ended.get_or_create(&ending).inc();
        if let (SendState::Sent, Some(handed), Some(sent)) =
            (outcome, record.handed_at, record.sent_at)
        {
            let waited = sent.duration_since(handed).as_secs_f64();
            self.time_to_ack.observe(waited.max(0.0));
        }
    }

    fn follow(&self, record: &Record) {
        let mut open = self.lock();
        if record.state.is_open() {
            let sends = open.entry(record.session.clone()).or_default();
            sends.insert(record.seq, record.queued_at);
        } else if let Some(sends) = open.get_mut(&record.session) {
            sends.remove(&record.seq);
            if sends.is_empty() {
                open.remove(&record.session);
            }
        }
    }

    /// Each change is one insertion or removal, so a map left by a panicking thread is whole.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn has_been_sent(state: SendState) -> bool {
    matches!(
        state,
        SendState::Sent | SendState::Delivered | SendState::Read
    )
}
