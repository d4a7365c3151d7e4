//! Sessions, from their snapshots and from the tally of the ledger.

use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry as Scrape, Unit},
};

use super::{age, level};
use crate::{
    http::{guard::caller::Caller, state::AppState},
    session::{ClienteId, SessionState, Snapshot},
    whatsapp::AdapterName,
};

/// Some ten series each: five thousand are nothing to Prometheus, and more sessions than these run on no machine.
pub(super) const MOST: usize = 500;

const BYTES_PER_MB: u64 = 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSession {
    session: String,
}

impl OfSession {
    fn named(id: &ClienteId) -> Self {
        Self {
            session: id.to_string(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    session: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAdapter {
    adapter: &'static str,
}

/// Adds the sessions that the caller reaches: all of them counted, the first [`MOST`] each for itself, those that run before the others.
pub(super) fn register(own: &mut Scrape, app: &AppState, caller: &Caller) {
    let mut snapshots = app.registry.snapshots();
    snapshots.retain(|(id, _)| caller.reaches(id));
    snapshots.sort_by_key(|(_, snapshot)| !snapshot.state.is_running());
    count(own, &snapshots);
    let told = &snapshots[..snapshots.len().min(MOST)];
    let left_out = Gauge::<i64>::default();
    left_out.set(level(snapshots.len() - told.len()));
    own.register(
        "sessions_left_out",
        "Sessions that are counted and have no series of their own, as there are too many",
        left_out,
    );
    tell_each(own, told);
    tell_cpu(own, app, told);
    tell_turns(own, app, told);
    tell_backlogs(own, app, told);
}

fn count(own: &mut Scrape, snapshots: &[(ClienteId, Snapshot)]) {
    let states = Family::<ByState, Gauge>::default();
    for state in SessionState::NAMES {
        states.get_or_create(&ByState { state }).set(0);
    }
    let adapters = Family::<ByAdapter, Gauge>::default();
    for adapter in AdapterName::ALL {
        let adapter = adapter.as_str();
        adapters.get_or_create(&ByAdapter { adapter }).set(0);
    }
    for (_, snapshot) in snapshots {
        let state = snapshot.state.name();
        states.get_or_create(&ByState { state }).inc();
        if let Some(adapter) = snapshot.adapter.serving {
            adapters.get_or_create(&ByAdapter { adapter }).inc();
        }
    }
    own.register("sessions", "Known sessions by state", states);
    own.register(
        "adapter_sessions",
        "Sessions whose page each adapter serves",
        adapters,
    );
}

fn tell_each(own: &mut Scrape, told: &[(ClienteId, Snapshot)]) {
    let states = Family::<InState, Gauge>::default();
    let hibernating = Family::<OfSession, Gauge>::default();
    let since = Family::<OfSession, Gauge>::default();
    let memory = Family::<OfSession, Gauge>::default();
    let copied = Family::<OfSession, Gauge>::default();
    let reloads = Family::<OfSession, Counter>::default();
    let restarts = Family::<OfSession, Counter>::default();
    let stalls = Family::<OfSession, Counter>::default();
    for (id, snapshot) in told {
        for state in SessionState::NAMES {
            let session = id.to_string();
            let is_it = i64::from(state == snapshot.state.name());
            states.get_or_create(&InState { session, state }).set(is_it);
        }
        let session = OfSession::named(id);
        hibernating
            .get_or_create(&session)
            .set(i64::from(snapshot.state == SessionState::Hibernating));
        since
            .get_or_create(&session)
            .set(snapshot.since.as_second());
        if let Some(report) = snapshot.memory {
            let bytes = level(report.mb * BYTES_PER_MB);
            memory.get_or_create(&session).set(bytes);
        }
        if let Some(at) = snapshot.profile_copied_at {
            copied.get_or_create(&session).set(at.as_second());
        }
        reloads.get_or_create(&session).inc_by(snapshot.reloads);
        restarts.get_or_create(&session).inc_by(snapshot.restarts);
        stalls.get_or_create(&session).inc_by(snapshot.stalls);
    }
    own.register(
        "session_state",
        "1 for the state that a session is in, 0 for the others",
        states,
    );
    own.register(
        "session_hibernating",
        "1 for a session that is READY without a Chrome, until something is to be sent",
        hibernating,
    );
    own.register_with_unit(
        "session_since_timestamp",
        "Since when a session is in its state, since the epoch",
        Unit::Seconds,
        since,
    );
    own.register_with_unit(
        "session_memory",
        "What all processes of a session's Chrome take, once measured",
        Unit::Bytes,
        memory,
    );
    own.register_with_unit(
        "session_profile_copy_timestamp",
        "When the last snapshot of its profile was taken, since the epoch",
        Unit::Seconds,
        copied,
    );
    own.register(
        "session_reloads",
        "How often its page was reloaded because it had broken",
        reloads,
    );
    own.register(
        "session_restarts",
        "How often its Chrome was restarted because the one before had failed",
        restarts,
    );
    own.register(
        "session_stalls",
        "How often it was READY with a message to send, and sent nothing for two minutes",
        stalls,
    );
}

fn tell_cpu(own: &mut Scrape, app: &AppState, told: &[(ClienteId, Snapshot)]) {
    let cpu = Family::<OfSession, Counter<f64, AtomicU64>>::default();
    let totals = app.registry.cpu().totals();
    for (id, _) in told {
        let session = OfSession::named(id);
        let total = totals.get(id).copied().unwrap_or_default();
        cpu.get_or_create(&session).inc_by(total.as_secs_f64());
    }
    own.register_with_unit(
        "session_cpu",
        "Time that processors have spent on all processes of its Chromes, those before the present one too, as last measured",
        Unit::Seconds,
        cpu,
    );
}

fn tell_turns(own: &mut Scrape, app: &AppState, told: &[(ClienteId, Snapshot)]) {
    let turns = Family::<OfSession, Counter>::default();
    let totals = app.registry.turns().totals();
    for (id, _) in told {
        let total = totals.get(id).copied().unwrap_or_default();
        turns.get_or_create(&OfSession::named(id)).inc_by(total);
    }
    own.register(
        "session_idle_turns",
        "How often its task went round without getting anywhere",
        turns,
    );
}

fn tell_backlogs(own: &mut Scrape, app: &AppState, told: &[(ClienteId, Snapshot)]) {
    let waiting = Family::<OfSession, Gauge>::default();
    let ages = Family::<OfSession, Gauge>::default();
    let backlogs = app.registry.ledger().tally().backlogs();
    let now = Timestamp::now();
    for (id, _) in told {
        let session = OfSession::named(id);
        let backlog = backlogs.get(id.as_str());
        let count = backlog.map_or(0, |backlog| backlog.sends);
        let oldest = backlog.map(|backlog| backlog.oldest);
        waiting.get_or_create(&session).set(level(count));
        ages.get_or_create(&session).set(age(oldest, now));
    }
    own.register(
        "session_open_sends",
        "Messages that wait, or that WhatsApp's server has not taken yet",
        waiting,
    );
    own.register_with_unit(
        "session_oldest_open_send_age",
        "How long ago the oldest of them was written down; 0: there is none",
        Unit::Seconds,
        ages,
    );
}
