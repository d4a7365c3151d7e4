//! Counts of sends and their results, and how long the log takes, for the metrics and for the service's page.
//!
//! Counters begin at zero with the service. The open sends are read when the file is opened and followed from then on, so that
//! they are known without waiting for the disk. Holds no number, no text and no id.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
};
use tokio::sync::watch;

use super::record::{Failure, Record, SendState};

/// Seconds. WhatsApp's server answers within some tenths. At 45 a caller has its 202. A message that takes minutes waits for a
/// network.
const ACK_BUCKETS: [f64; 12] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 45.0, 120.0, 600.0, 3600.0,
];

/// Seconds. A page, a session and a disk that have nothing else to do take some 10 ms; a burst waits for some seconds, and a full disk
/// is waited for.
const LOG_BUCKETS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0,
];

/// The counts. A clone is the same.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Sends written down.
    pub accepted: Counter,
    /// Sends of which it is known what became.
    pub ended: Family<Ending, Counter>,
    /// From the first hand-over to a page until WhatsApp's server had it, in seconds.
    pub time_to_ack: Histogram,
    /// From when a page heard an event until it was in the log, in seconds.
    pub time_to_log: Histogram,
    sessions: Arc<Mutex<Sessions>>,
    /// Grows with every change of a send.
    changed: watch::Sender<u64>,
}

/// What is followed of each session.
#[derive(Debug, Default)]
struct Sessions {
    open: Open,
    /// The latest send of each, with its place in the order.
    last: BTreeMap<String, (i64, LastSend)>,
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

impl Ending {
    fn all() -> impl Iterator<Item = Self> {
        let plain = [SendState::Sent, SendState::Unknown, SendState::Cancelled];
        let plain = plain.map(|state| (state, None)).into_iter();
        let failed = Failure::ALL.map(|why| (SendState::Failed, Some(why)));
        plain
            .chain(failed)
            .map(|(state, failure)| Self::new(state, failure))
    }

    fn new(outcome: SendState, failure: Option<Failure>) -> Self {
        Self {
            outcome: outcome.as_str(),
            code: failure.map_or("", Failure::as_str),
        }
    }
}

/// What one session has still to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Sends that wait, and sends that WhatsApp's server has not taken.
    pub sends: usize,
    /// When the oldest of them was written down.
    pub oldest: Timestamp,
}

/// What a session has done and has still to do, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// `None`: nothing is open.
    pub backlog: Option<Backlog>,
    /// The send that was written down last; `None`: there is none in the file.
    pub last: Option<LastSend>,
}

/// How far a send has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastSend {
    /// Where it stands.
    pub state: SendState,
    /// Since when it stands there.
    pub at: Timestamp,
    /// Why it failed.
    pub failure: Option<Failure>,
}

impl LastSend {
    fn of(record: &Record) -> Self {
        let at = match record.state {
            SendState::Queued => None,
            SendState::Handed => record.handed_at,
            SendState::Sent => record.sent_at,
            SendState::Delivered => record.delivered_at,
            SendState::Read => record.read_at,
            SendState::Failed | SendState::Unknown | SendState::Cancelled => record.ended_at,
        };
        Self {
            state: record.state,
            at: at.unwrap_or(record.queued_at),
            failure: record.failure,
        }
    }
}

impl Default for Tally {
    fn default() -> Self {
        let ended = Family::<Ending, Counter>::default();
        // Each counter exists from the beginning: Prometheus sees an increase only from a value that it has read before.
        for ending in Ending::all() {
            drop(ended.get_or_create(&ending));
        }
        Self {
            accepted: Counter::default(),
            ended,
            time_to_ack: Histogram::new(ACK_BUCKETS),
            time_to_log: Histogram::new(LOG_BUCKETS),
            sessions: Arc::default(),
            changed: watch::Sender::new(0),
        }
    }
}

impl Tally {
    /// What each session has still to do; one that has nothing to do is left out.
    pub fn backlogs(&self) -> BTreeMap<String, Backlog> {
        let sessions = self.sessions.lock();
        let open = sessions.open.iter();
        open.filter_map(|(session, sends)| Some((session.clone(), Backlog::of(sends)?)))
            .collect()
    }

    /// What one session has done and has still to do.
    pub fn traffic(&self, session: &str) -> Traffic {
        let sessions = self.sessions.lock();
        Traffic {
            backlog: sessions.open.get(session).and_then(Backlog::of),
            last: sessions.last.get(session).map(|(_, last)| *last),
        }
    }

    /// Tells whenever [`traffic`](Self::traffic) of any session has changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Begins again with what a newly opened file holds. `open`: session, place in the order, and when it was written down.
    /// `last`: the newest send of each session.
    pub(super) fn begin(
        &self,
        open: impl IntoIterator<Item = (String, i64, Timestamp)>,
        last: &[Record],
    ) {
        let mut sessions = self.sessions.lock();
        *sessions = Sessions::default();
        for (session, seq, at) in open {
            let sends = sessions.open.entry(session).or_default();
            sends.insert(seq, at);
        }
        for record in last {
            sessions.keep_last(record);
        }
        drop(sessions);
        self.changed.send_modify(|count| *count += 1);
    }

    /// An event is in the log, so long after a page heard it.
    pub fn on_logged(&self, waited: Duration) {
        self.time_to_log.observe(waited.as_secs_f64());
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
        let ending = Ending::new(outcome, record.failure);
        self.ended.get_or_create(&ending).inc();
        if let (SendState::Sent, Some(handed), Some(sent)) =
            (outcome, record.handed_at, record.sent_at)
        {
            let waited = sent.duration_since(handed).as_secs_f64();
            self.time_to_ack.observe(waited.max(0.0));
        }
    }

    fn follow(&self, record: &Record) {
        let mut sessions = self.sessions.lock();
        sessions.keep_last(record);
        let open = &mut sessions.open;
        if record.state.is_open() {
            let sends = open.entry(record.session.clone()).or_default();
            sends.insert(record.seq, record.queued_at);
        } else if let Some(sends) = open.get_mut(&record.session) {
            sends.remove(&record.seq);
            if sends.is_empty() {
                open.remove(&record.session);
            }
        }
        drop(sessions);
        self.changed.send_modify(|count| *count += 1);
    }
}

impl Sessions {
    /// An older send that changes, as one that is read later, is not the last.
    fn keep_last(&mut self, record: &Record) {
        let is_older = |(seq, _): &(i64, LastSend)| record.seq < *seq;
        if !self.last.get(&record.session).is_some_and(is_older) {
            let last = (record.seq, LastSend::of(record));
            self.last.insert(record.session.clone(), last);
        }
    }
}

impl Backlog {
    fn of(sends: &BTreeMap<i64, Timestamp>) -> Option<Self> {
        let oldest = sends.values().min()?;
        Some(Self {
            sends: sends.len(),
            oldest: *oldest,
        })
    }
}

const fn has_been_sent(state: SendState) -> bool {
    matches!(
        state,
        SendState::Sent | SendState::Delivered | SendState::Read
    )
}
