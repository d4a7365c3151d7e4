//! Webhooks, by their ids: of these there are few, and no caller makes one up.

use jiff::Timestamp;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry as Scrape, Unit},
};

use super::{age, level};
use crate::{
    delivery::OfWebhook,
    http::{guard::caller::Caller, state::AppState},
};

/// Adds what became of the events of each webhook, for a caller that reaches all sessions: one may be about any of them.
pub(super) fn register(own: &mut Scrape, app: &AppState, caller: &Caller) {
    if !caller.reaches_all() {
        return;
    }
    let delivered = Family::<OfWebhook, Counter>::default();
    let failed = Family::<OfWebhook, Counter>::default();
    let missed = Family::<OfWebhook, Counter>::default();
    let waiting = Family::<OfWebhook, Gauge>::default();
    let dead = Family::<OfWebhook, Gauge>::default();
    let ages = Family::<OfWebhook, Gauge>::default();
    let now = Timestamp::now();
    for (webhook, tally) in app.webhooks.tallies() {
        let label = OfWebhook { webhook };
        delivered.get_or_create(&label).inc_by(tally.delivered);
        failed.get_or_create(&label).inc_by(tally.failed);
        missed.get_or_create(&label).inc_by(tally.missed);
        waiting.get_or_create(&label).set(level(tally.waiting));
        dead.get_or_create(&label).set(level(tally.dead));
        ages.get_or_create(&label).set(age(tally.oldest, now));
    }
    own.register(
        "webhook_events_delivered",
        "Events that a webhook has, since it was made",
        delivered,
    );
    own.register(
        "webhook_attempts_failed",
        "Attempts to deliver an event that have failed, since the webhook was made",
        failed,
    );
    own.register(
        "webhook_events_missed",
        "Events that were forgotten before they were delivered",
        missed,
    );
    own.register(
        "webhook_events_waiting",
        "Events that wait to be delivered, or for another attempt",
        waiting,
    );
    own.register(
        "webhook_events_dead",
        "Events that were given up, until they are redriven",
        dead,
    );
    own.register_with_unit(
        "webhook_oldest_waiting_age",
        "How long ago the oldest event that waits was written down; 0: none waits",
        Unit::Seconds,
        ages,
    );
    own.register_with_unit(
        "webhook_log_to_receiver",
        "From writing an event down until its receiver answered that it has it, with all attempts",
        Unit::Seconds,
        app.webhooks.times(),
    );
}
