//! The bridge to Central Hub. While it is off, all counts are 0.

use jiff::Timestamp;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry as Scrape, Unit},
};

use super::{age, level};
use crate::{
    delivery::Bridge,
    http::{guard::caller::Caller, state::AppState},
};

/// Adds what became of the texts that are reported to the backend, for a caller that reaches all sessions.
pub(super) fn register(own: &mut Scrape, app: &AppState, caller: &Caller) {
    if !caller.reaches_all() {
        return;
    }
    let tally = app.bridge.as_ref().map(Bridge::tally);
    let times = app.bridge.as_ref().map(Bridge::times);
    let gauge = |value: i64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(value);
        gauge
    };
    own.register(
        "bridge_on",
        "1 while texts are reported to Central Hub",
        gauge(i64::from(tally.is_some())),
    );
    let tally = tally.unwrap_or_default();
    let mut counter = |name: &str, help: &str, count: u64| {
        let counter = Counter::<u64>::default();
        counter.inc_by(count);
        own.register(name, help, counter);
    };
    counter(
        "bridge_events_delivered",
        "Texts that were reported to Central Hub, since the bridge was set",
        tally.delivered,
    );
    counter(
        "bridge_attempts_failed",
        "Attempts to report a text to Central Hub that have failed or have to wait, since the bridge was set",
        tally.failed,
    );
    counter(
        "bridge_events_missed",
        "Events that were forgotten before they were reported to Central Hub",
        tally.missed,
    );
    own.register(
        "bridge_events_waiting",
        "Events that are still to be reported to Central Hub",
        gauge(level(tally.waiting)),
    );
    own.register(
        "bridge_events_dead",
        "Texts that were given up, or whose test-message is in doubt, until they are redriven",
        gauge(level(tally.dead)),
    );
    own.register_with_unit(
        "bridge_oldest_waiting_age",
        "How long ago the oldest event that waits was written down; 0: none waits",
        Unit::Seconds,
        gauge(age(tally.oldest, Timestamp::now())),
    );
    own.register_with_unit(
        "bridge_log_to_hub",
        "From writing a text down until Central Hub had all of its calls, with all attempts",
        Unit::Seconds,
        times.unwrap_or_else(Bridge::no_times),
    );
}
