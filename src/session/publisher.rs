//! The one place from which snapshots go out: whole, with a revision that grows by one.

use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

use super::{
    MemoryReport, PasskeyReport, Phase, PhaseReport, Reason, ReasonCode, SendError, SessionState,
    Snapshot, StartTimes,
    error::not_ready,
    start_times::StartClock,
    state::Event,
    status_news::{StatusLog, shown},
};
use crate::browser::Link;

/// Owns the snapshot that everybody reads.
#[derive(Debug)]
pub(super) struct Publisher {
    snapshots: watch::Sender<Snapshot>,
    clock: Mutex<StartClock>,
    start_times: StartTimes,
    log: StatusLog,
}

impl Publisher {
    /// Starts with a session that is not running.
    pub(super) fn new(
        start_times: StartTimes,
        log: StatusLog,
    ) -> (Self, watch::Receiver<Snapshot>) {
        let (snapshots, readers) = watch::channel(Snapshot::not_running(Timestamp::now()));
        let publisher = Self {
            snapshots,
            clock: Mutex::default(),
            start_times,
            log,
        };
        (publisher, readers)
    }

    /// All of it, as last published.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.snapshots.borrow().clone()
    }

    /// The state as last published.
    pub(super) fn state(&self) -> SessionState {
        self.snapshots.borrow().state.clone()
    }

    /// Applies `event`. When that changes the state, `reason` becomes the new state's reason. A start begins queued; its
    /// phase goes when the session is READY, and when it ends becomes the one in which it failed, if it has failed.
    pub(super) fn apply(&self, event: &Event, reason: Option<Reason>) {
        self.amend(|snapshot| {
            let Some(next) = snapshot.state.on(event) else {
                return false;
            };
            if next.name() != snapshot.state.name() {
                // A passkey belongs to the state that asks for a link.
                snapshot.passkey = None;
                snapshot.since = Timestamp::now();
                snapshot.reason = reason;
                if next == SessionState::Authenticated {
                    snapshot.linked_at = Some(snapshot.since);
                    snapshot.linked_since = Some(std::time::Instant::now());
                }
                log_state(&next, snapshot.reason.as_ref());
            }
            if !next.is_running() && !snapshot.state.is_running() {
                // It had ended before, and what is said of that stays.
            } else if !next.is_running() {
                let has_failed = snapshot.reason.as_ref().is_some_and(Reason::is_failure);
                let phase = snapshot.phase.take().filter(|_| has_failed);
                snapshot.failed_phase = phase.map(|phase| phase.name);
            } else if !snapshot.state.is_running() {
                snapshot.failed_phase = None;
                snapshot.retry_at = None;
                snapshot.is_forgotten = false;
                snapshot.phase = Some(PhaseReport {
                    name: Phase::Queued,
                    since: snapshot.since,
                    until: None,
                });
            } else if next == SessionState::Ready {
                snapshot.phase = None;
            }
            snapshot.state = next;
            true
        });
    }

    /// The refusal of a send while the session cannot send.
    pub(super) fn not_ready(&self) -> SendError {
        not_ready(&self.snapshots.borrow())
    }

    /// Says why there is no code that links by phone number, or takes back what was said of it.
    pub(super) fn explain_pairing(&self, reason: Option<Reason>) {
        self.amend(|snapshot| {
            let present = snapshot.reason.as_ref();
            let is_about_pairing = present.is_some_and(|reason| reason.code.is_about_pairing());
            if reason.is_none() && !is_about_pairing {
                return false;
            }
            snapshot.reason = reason;
            true
        });
    }

    /// Publishes how far linking with a passkey has got, and explains the state with it as long as one is wanted.
    pub(super) fn tell_passkey(&self, report: Option<PasskeyReport>) {
        self.amend(|snapshot| {
            let is_shown = matches!(snapshot.state, SessionState::QrRequired { .. });
            let report = report.filter(|_| is_shown);
            if snapshot.passkey == report {
                return false;
            }
            let before = snapshot.passkey.as_ref().map(|passkey| passkey.step);
            if let Some(passkey) = &report {
                let reason = passkey.reason();
                if before != Some(passkey.step) {
                    tracing::info!(
                        session.reason = reason.code.as_str(),
                        passkey.step = passkey.step.as_str(),
                        "linking with a passkey: {}",
                        passkey.step.as_str()
                    );
                }
                snapshot.reason = Some(reason);
            } else {
                let is_its = |reason: &mut Reason| reason.code == ReasonCode::PasskeyRequired;
                // The code is to be scanned again, which needs no explanation.
                drop(snapshot.reason.take_if(is_its));
            }
            snapshot.passkey = report;
            true
        });
    }

    /// Publishes the link that the profile has.
    pub(super) fn tell_link(&self, link: Option<Link>) {
        self.amend(|snapshot| {
            let is_news = snapshot.link != link;
            snapshot.link = link;
            is_news
        });
    }

    /// Publishes how far a start has got, and how long the phase may still take.
    pub(super) fn reach(&self, phase: Option<(Phase, Option<Duration>)>) {
        self.amend(|snapshot| {
            let before = snapshot.phase.take();
            let began = before.as_ref().map(|phase| (phase.name, phase.since));
            snapshot.phase = phase.map(|(name, left)| {
                let now = Timestamp::now();
                let since = began.filter(|(present, _)| *present == name);
                if since.is_none() {
                    tracing::debug!(
                        session.phase = name.as_str(),
                        "the start is in {}",
                        name.as_str()
                    );
                }
                PhaseReport {
                    name,
                    since: since.map_or(now, |(_, since)| since),
                    until: left.map(|left| now.saturating_add(left).unwrap_or(now)),
                }
            });
            before != snapshot.phase
        });
    }

    /// Publishes what this Chrome takes, if it is the one that runs.
    pub(super) fn tell_memory(&self, chrome_pid: u32, memory: MemoryReport) {
        self.amend(|snapshot| {
            let is_its = snapshot.chrome_pid == Some(chrome_pid);
            if is_its {
                snapshot.memory = Some(memory);
            }
            is_its
        });
    }

    /// Publishes when a copy of its profile was taken, if one was.
    pub(super) fn tell_copy(&self, taken_at: Option<Timestamp>) {
        self.amend(|snapshot| {
            let is_news = taken_at.is_some() && snapshot.profile_copied_at != taken_at;
            if is_news {
                snapshot.profile_copied_at = taken_at;
            }
            is_news
        });
    }

    /// Changes what is published with the state.
    pub(super) fn amend(&self, change: impl FnOnce(&mut Snapshot) -> bool) {
        self.snapshots.send_if_modified(|snapshot| {
            let before = shown(snapshot);
            let changed = change(snapshot);
            if changed {
                self.log.follow(before, snapshot);
                snapshot.revision += 1;
                // Its fields do not depend on each other, so one left by a panicking thread is whole.
                let mut clock = self.clock.lock();
                let took = clock.follow(snapshot, Instant::now());
                self.start_times.observe(took);
            }
            changed
        });
    }
}

/// One line for each change of a state; one that needs a person is an error.
fn log_state(state: &SessionState, reason: Option<&Reason>) {
    let (name, why) = (state.name(), reason.map(|reason| reason.code.as_str()));
    let detail = reason.map(|reason| reason.detail.as_str());
    // The level of a line must be known when it is compiled.
    macro_rules! log_at {
        ($level:ident) => {
            tracing::$level!(
                session.state = name,
                session.reason = why,
                detail,
                "session became {name}"
            )
        };
    }
    if *state == SessionState::Error {
        log_at!(error);
    } else {
        log_at!(info);
    }
}

impl Drop for Publisher {
    /// An actor that ends while its session runs has panicked, or is dropped by a service that stops at once: no
    /// reader may go on seeing READY.
    fn drop(&mut self) {
        if !self.state().is_running() {
            return;
        }
        if std::thread::panicking() {
            let detail = "the session ended by a fault of this program; its log says more";
            self.apply(
                &Event::Failed,
                Some(Reason::new(ReasonCode::Internal, detail)),
            );
        } else {
            self.apply(&Event::Ended, Some(Reason::of(ReasonCode::ShuttingDown)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::{EventQuery, Ledger, Page, tests::options},
        session::ClienteId,
    };

    fn publisher(ledger: Ledger) -> (Publisher, watch::Receiver<Snapshot>) {
        Publisher::new(
            StartTimes::default(),
            StatusLog::new(ClienteId::admin(), ledger),
        )
    }

    /// The data of all events in the log, as soon as there are so many.
    async fn logged(ledger: &Ledger, count: usize) -> Vec<String> {
        let mut news = ledger.event_news();
        loop {
            news.mark_unchanged();
            let query = EventQuery {
                limit: 1000,
                ..EventQuery::default()
            };
            let Page::Events { events, .. } = ledger.events(query).await.unwrap() else {
                panic!("nothing was forgotten")
            };
            if count <= events.len() {
                return events.iter().map(|event| event.data.to_string()).collect();
            }
            let patience = Duration::from_secs(10);
            let heard = tokio::time::timeout(patience, news.changed()).await;
            heard.expect("the log grows").unwrap();
        }
    }

    #[tokio::test]
    async fn each_change_of_state_or_reason_is_in_the_log_once_and_in_its_order_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, keeper) = Ledger::new(options(folder.path()));
        let (publisher, _readers) = publisher(ledger.clone());
        publisher.apply(&Event::Started, None);
        publisher.apply(&Event::Started, None);
        publisher.apply(&Event::Linked, None);
        for percent in 0..100 {
            publisher.amend(|snapshot| {
                snapshot.sync_percent = Some(percent);
                true
            });
        }
        publisher.apply(&Event::Ready, None);
        // Callers do not see it.
        publisher.apply(&Event::Slept, None);
        publisher.apply(&Event::Ready, None);
        let lost = Reason::new(ReasonCode::BrowserLost, "gone");
        publisher.apply(&Event::Failed, Some(lost));
        publisher.amend(|snapshot| {
            snapshot.reason = Some(Reason::new(ReasonCode::NotConnected, "later"));
            true
        });
        // All of it was published before the disk was there.
        tokio::spawn(keeper.run());
        assert_eq!(
            logged(&ledger, 5).await,
            [
                r#"{"state":"INIT"}"#,
                r#"{"state":"AUTHENTICATED"}"#,
                r#"{"state":"READY"}"#,
                r#"{"state":"ERROR","reason":"BROWSER_LOST","detail":"gone"}"#,
                r#"{"state":"ERROR","reason":"NOT_CONNECTED","detail":"later"}"#,
            ]
        );
    }

    #[test]
    fn every_change_has_a_revision_of_its_own_and_no_change_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _keeper) = Ledger::new(options(folder.path()));
        let (publisher, readers) = publisher(ledger);
        publisher.apply(&Event::Started, None);
        publisher.apply(&Event::Started, None);
        assert_eq!(readers.borrow().revision, 1);
        publisher.amend(|_| false);
        assert_eq!(readers.borrow().revision, 1);
    }

    #[test]
    fn a_reason_lasts_as_long_as_its_state() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, _keeper) = Ledger::new(options(folder.path()));
        let (publisher, readers) = publisher(ledger);
        publisher.apply(&Event::Started, None);
        publisher.apply(
            &Event::Ended,
            Some(Reason::new(ReasonCode::BrowserLost, "gone")),
        );
        assert_eq!(
            readers.borrow().reason.as_ref().unwrap().code,
            ReasonCode::BrowserLost
        );
        publisher.apply(&Event::Started, None);
        assert_eq!(readers.borrow().reason, None);
    }
}
