//! How long events take from the log to those who are given them, for the metrics.
//!
//! Counts since the service started. Holds no event and no address. An event is in the log by the time of the ledger, and may be
//! given after a restart of the service, so only the wall clock has both ends: one that is set meanwhile makes a time wrong.

use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, histogram::Histogram},
};

use crate::ledger::Event;

/// Seconds. A receiver nearby has an event within some 10 ms and has to answer within 15 s. What fails is tried again after 5 s, 5 min and
/// 30 min, and for some four days in all.
const BUCKETS: [f64; 14] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 15.0, 60.0, 600.0, 3600.0, 21_600.0, 86_400.0,
];

/// A webhook, as a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfWebhook {
    /// Its id.
    pub webhook: String,
}

/// The times of each webhook. A clone is the same.
pub type WebhookTimes = Family<OfWebhook, Histogram, fn() -> Histogram>;

/// Without any webhook yet.
pub(super) fn of_webhooks() -> WebhookTimes {
    Family::new_with_constructor(of_one)
}

/// The times of one consumer.
pub(super) fn of_one() -> Histogram {
    Histogram::new(BUCKETS)
}

/// Counts an event that its consumer has since `taken_at`.
pub(super) fn count(times: &Histogram, event: &Event, taken_at: Timestamp) {
    let took = taken_at.duration_since(event.written_at).as_secs_f64();
    times.observe(took.max(0.0));
}
