//! `GET /metrics`: what there is to watch, as Prometheus reads it. docs/metrics.md lists every name.
//!
//! Answers from snapshots and counters alone: it waits for no browser and no disk. Labels are words of this program, names of
//! routes and ids of sessions, of which at most [`sessions::MOST`] are shown; never a number, a text or a message's id. A key for some sessions
//! sees those alone; what is counted over all of them is no secret, as in `/health`.

mod bridge;
mod process;
mod sessions;
mod webhooks;

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use prometheus_client::{
    encoding::{
        EncodeLabelSet,
        prometheus_text::{CONTENT_TYPE, encode},
    },
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry as Scrape, Unit},
};

use crate::http::{
    guard::caller::Caller,
    state::AppState,
    wire::{error::ApiError, extract::answer_headers},
};

/// Stands before every name but those of the process, which have the names that every Prometheus client uses.
const PREFIX: &str = "session_manager";

/// A count as a gauge takes it.
fn level(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// Whole seconds from `since` to now; 0 without one, and for one that a clock has put into the future.
fn age(since: Option<Timestamp>, now: Timestamp) -> i64 {
    since.map_or(0, |since| now.duration_since(since).as_secs().max(0))
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// What there is to watch, for Prometheus.
///
/// Put together for each scrape: a session that is gone leaves nothing behind.
#[utoipa::path(get, path = "/metrics", tag = "service", responses(
    (status = 200, description = "Prometheus text format 0.0.4; docs/metrics.md lists the names", body = String, content_type = "text/plain"),
))]
pub(in crate::http) async fn metrics(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Response, ApiError> {
    let mut scrape = Scrape::default();
    process::register(&mut scrape, app.started_at);
    let own = scrape.sub_registry_with_prefix(PREFIX);
    let build = Family::<Build, Gauge>::default();
    let version = env!("CARGO_PKG_VERSION");
    build.get_or_create(&Build { version }).set(1);
    own.register("build_info", "Which version this is; always 1", build);
    sessions::register(own, &app, &caller);
    starts(own, &app);
    sends(own, &app);
    events(own, &app);
    webhooks::register(own, &app, &caller);
    bridge::register(own, &app, &caller);
    app.requests.register(own);
    log(own, &app);
    let mut text = String::new();
    encode(&mut text, &scrape).map_err(|_| ApiError::Metrics)?;
    Ok((answer_headers(CONTENT_TYPE), text).into_response())
}

fn log(own: &mut Scrape, app: &AppState) {
    let dropped = Counter::<u64>::default();
    dropped.inc_by(app.dropped_lines.count());
    own.register(
        "log_lines_dropped",
        "Lines that the log had no room for, or could not be written",
        dropped,
    );
}

fn starts(own: &mut Scrape, app: &AppState) {
    let times = app.registry.start_times();
    own.register_with_unit(
        "page_load",
        "From asking for WhatsApp Web until an adapter had recognised it",
        Unit::Seconds,
        times.page_load.clone(),
    );
    own.register_with_unit(
        "link",
        "From the first code of a start until an account was linked",
        Unit::Seconds,
        times.link.clone(),
    );
    own.register_with_unit(
        "start",
        "From asking for a session until it was READY, by whether somebody had to link it",
        Unit::Seconds,
        times.start.clone(),
    );
}

fn events(own: &mut Scrape, app: &AppState) {
    let tally = app.registry.ledger().tally();
    own.register_with_unit(
        "page_to_log",
        "From when a page heard an event, as it happened, until the event was in the log",
        Unit::Seconds,
        tally.time_to_log.clone(),
    );
}

fn sends(own: &mut Scrape, app: &AppState) {
    let tally = app.registry.ledger().tally();
    own.register(
        "sends_accepted",
        "Messages written down to be sent",
        tally.accepted.clone(),
    );
    own.register(
        "sends",
        "Messages of which it is known what became: sent, failed (with its code), unknown or cancelled",
        tally.ended.clone(),
    );
    own.register_with_unit(
        "send_ack",
        "From handing a message to the page until WhatsApp's server had it",
        Unit::Seconds,
        tally.time_to_ack.clone(),
    );
}
