//! The bridge to Central Hub. While it is off, nothing was told.

use jiff::Timestamp;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry as Scrape, Unit},
};

use crate::{
    delivery::Bridge,
    http::{guard::caller::Caller, state::AppState},
};

/// Adds what became of the texts that the backend is told of, for a caller that reaches all sessions.
pub(super) fn register(own: &mut Scrape, app: &AppState, caller: &Caller) {
    if caller.limited_to().is_some() {
        return;
    }
    let shown = app.bridge.as_ref().map(Bridge::shown);
    let is_on = Gauge::<i64>::default();
    is_on.set(i64::from(shown.is_some()));
    own.register("bridge_on", "1 while Central Hub is told of texts", is_on);
    let tally = shown.map(|shown| shown.tally).unwrap_or_default();
    let mut counter = |name: &str, help: &str, count: u64| {
        let counter = Counter::<u64>::default();
        counter.inc_by(count);
        own.register(name, help, counter);
    };
    counter(
        "bridge_events_delivered",
        "Texts that Central Hub was told of, since the bridge was set",
        tally.delivered,
    );
    counter(
        "bridge_attempts_failed",
        "Attempts to tell Central Hub of a text that have failed or have to wait, since the bridge was set",
        tally.failed,
    );
    counter(
        "bridge_events_missed",
        "Events that were forgotten before Central Hub was told of them",
        tally.missed,
    );
    let gauge = |value: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        gauge
    };
    own.register(
        "bridge_events_waiting",
        "Events that Central Hub is still to be told of",
        gauge(tally.waiting),
    );
    own.register(
        "bridge_events_dead",
        "Texts that were given up, or whose test-message is in doubt, until they are redriven",
        gauge(tally.dead),
    );
    let age = tally
        .oldest
        .map(|at| Timestamp::now().duration_since(at).as_secs());
    own.register_with_unit(
        "bridge_oldest_waiting_age",
        "How long ago the oldest event that waits was written down; 0: none waits",
        Unit::Seconds,
        gauge(age.unwrap_or(0).max(0).unsigned_abs()),
    );
}
