//! How long a session takes to come up, for monitoring.
//!
//! ```text
//!  QUEUED ── LAUNCH ── NAVIGATE ── INJECT ── LINK ────────────────── SYNC ── READY
//!  start     ├─────────────────────────────────────────────────────────────────┤
//!  page load            ├─────────────────┤
//!  link                                       first code ├─ scan ─┤
//! ```
//!
//! Reads published snapshots and changes nothing. What did not get to its end is not counted: `reason` and `failed_phase` say why. A
//! page that is reloaded within a run is not counted either.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, histogram::Histogram},
};
use tokio::time::Instant;

use super::{Phase, SessionState, Snapshot};

/// Seconds. The simulated page takes one, a heavy one 4 s, and 18 s when many start at once (docs/chrome.md#time-of-a-start);
/// the limits of NAVIGATE and INJECT are 45 s and 90 s.
const PAGE_LOAD_BUCKETS: [f64; 9] = [0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 45.0, 90.0, 135.0];

/// Seconds. A person with the phone in hand takes some ten; a start ends after 300 s of codes.
const LINK_BUCKETS: [f64; 9] = [2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// Seconds. Loading, and a sync of 7 to 15 s (docs/whatsapp.md#timings); with a scan, the person too.
const START_BUCKETS: [f64; 11] = [
    1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0,
];

/// What starts have taken since the service started. A clone counts the same.
#[derive(Clone, Debug)]
pub struct StartTimes {
    /// From asking for the page until an adapter has recognised it.
    pub page_load: Histogram,
    /// From the first code of a start until an account was linked.
    pub link: Histogram,
    /// From the moment in which a start was asked for until the session could send.
    pub start: Family<StartedWith, Histogram, fn() -> Histogram>,
}

/// What a start needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StartedWith {
    /// `kept`: the profile was linked; `new`: a phone had to link it.
    link: &'static str,
}

impl StartedWith {
    const KEPT: Self = Self { link: "kept" };
    const NEW: Self = Self { link: "new" };
}

impl Default for StartTimes {
    fn default() -> Self {
        let start: Family<StartedWith, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(START_BUCKETS));
        // There from the beginning, so that the first one is an increase.
        for with in [StartedWith::KEPT, StartedWith::NEW] {
            drop(start.get_or_create(&with));
        }
        Self {
            page_load: Histogram::new(PAGE_LOAD_BUCKETS),
            link: Histogram::new(LINK_BUCKETS),
            start,
        }
    }
}

impl StartTimes {
    pub(super) fn observe(&self, took: Took) {
        if let Some(page_load) = took.page_load {
            self.page_load.observe(page_load.as_secs_f64());
        }
        if let Some(link) = took.link {
            self.link.observe(link.as_secs_f64());
        }
        if let Some((start, with)) = took.start {
            let histogram = self.start.get_or_create(&with);
            histogram.observe(start.as_secs_f64());
        }
    }
}

/// What has come to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Took {
    page_load: Option<Duration>,
    link: Option<Duration>,
    start: Option<(Duration, StartedWith)>,
}

/// Follows one session: since when it waits for what.
#[derive(Debug, Default)]
pub(super) struct StartClock {
    asked: Option<Instant>,
    page_asked: Option<Instant>,
    code_shown: Option<Instant>,
    is_linked_again: bool,
}

impl StartClock {
    /// The session has changed to this. Knows no time but what it is given.
    pub(super) fn follow(&mut self, snapshot: &Snapshot, now: Instant) -> Took {
        let mut took = Took::default();
        let phase = snapshot.phase.as_ref().map(|phase| phase.name);
        if !snapshot.state.is_running() {
            *self = Self::default();
            return took;
        }
        if phase == Some(Phase::Queued) {
            // Another Chrome that takes the place of one that did not get there belongs to the same start.
            *self = Self {
                asked: self.asked.or(Some(now)),
                ..Self::default()
            };
        }
        if phase == Some(Phase::Navigate) {
            self.page_asked.get_or_insert(now);
        }
        let is_ready = snapshot.state == SessionState::Ready;
        if is_ready || matches!(phase, Some(Phase::Link | Phase::Sync)) {
            took.page_load = self.page_asked.take().map(|then| now - then);
        }
        if let SessionState::QrRequired { code, pairing, .. } = &snapshot.state
            && (code.is_some() || pairing.is_some())
        {
            self.code_shown.get_or_insert(now);
        }
        if is_ready || snapshot.state == SessionState::Authenticated {
            took.link = self.code_shown.take().map(|then| now - then);
            self.is_linked_again |= took.link.is_some();
        }
        if is_ready {
            let with = if self.is_linked_again {
                StartedWith::NEW
            } else {
                StartedWith::KEPT
            };
            took.start = self.asked.take().map(|then| (now - then, with));
        }
        took
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::session::{PhaseReport, QrCode};

    /// Publishes one thing a second, and gives what came to its end with it.
    struct Watched {
        clock: StartClock,
        now: Instant,
    }

    impl Watched {
        fn new() -> Self {
            Self {
                clock: StartClock::default(),
                now: Instant::now(),
            }
        }

        fn publish(&mut self, state: SessionState, phase: Option<Phase>) -> Took {
            self.now += Duration::from_secs(1);
            let phase = phase.map(|name| PhaseReport {
                name,
                since: Timestamp::UNIX_EPOCH,
                until: None,
            });
            let snapshot = Snapshot {
                state,
                phase,
                ..Snapshot::not_running(Timestamp::UNIX_EPOCH)
            };
            self.clock.follow(&snapshot, self.now)
        }

        fn nothing(&mut self, state: SessionState, phase: Option<Phase>) {
            let took = self.publish(state, phase);
            assert_eq!(took, Took::default(), "{phase:?}");
        }

        /// A start, until the page is loaded.
        fn load(&mut self, recognised_in: SessionState) -> Took {
            for phase in [Phase::Queued, Phase::Launch, Phase::Navigate, Phase::Inject] {
                self.nothing(SessionState::Init, Some(phase));
            }
            self.publish(recognised_in, Some(Phase::Link))
        }
    }

    fn codes(text: Option<&str>) -> SessionState {
        let code = text.map(|text| QrCode {
            text: text.into(),
            shown_at: Timestamp::UNIX_EPOCH,
        });
        SessionState::QrRequired {
            code,
            attempts: 1,
            pairing: None,
        }
    }

    fn page_loaded_in(seconds: u64) -> Took {
        Took {
            page_load: Some(Duration::from_secs(seconds)),
            ..Took::default()
        }
    }

    fn linked_in(seconds: u64) -> Took {
        Took {
            link: Some(Duration::from_secs(seconds)),
            ..Took::default()
        }
    }

    fn started_in(seconds: u64, with: StartedWith) -> Took {
        Took {
            start: Some((Duration::from_secs(seconds), with)),
            ..Took::default()
        }
    }

    #[test]
    fn a_start_with_a_scan_is_timed_from_its_first_code_and_from_its_beginning() {
        let mut session = Watched::new();
        assert_eq!(session.load(SessionState::Init), page_loaded_in(2));
        for code in [None, Some("a"), Some("b"), None] {
            session.nothing(codes(code), Some(Phase::Link));
        }
        let linked = session.publish(SessionState::Authenticated, Some(Phase::Sync));
        assert_eq!(linked, linked_in(3));
        let ready = session.publish(SessionState::Ready, None);
        assert_eq!(ready, started_in(10, StartedWith::NEW));
        // A connection that is lost and comes back is no start.
        session.nothing(SessionState::Authenticated, None);
        session.nothing(SessionState::Ready, None);
    }

    #[test]
    fn a_profile_that_is_linked_starts_without_a_scan() {
        let mut session = Watched::new();
        assert_eq!(session.load(SessionState::Authenticated), page_loaded_in(2));
        let ready = session.publish(SessionState::Ready, None);
        assert_eq!(ready, started_in(5, StartedWith::KEPT));
    }

    #[test]
    fn an_account_that_is_linked_again_within_a_run_is_a_link_and_no_start() {
        let mut session = Watched::new();
        session.load(SessionState::Authenticated);
        session.publish(SessionState::Ready, None);
        session.nothing(codes(Some("a")), Some(Phase::Link));
        let linked = session.publish(SessionState::Ready, None);
        assert_eq!(linked, linked_in(1));
    }

    #[test]
    fn what_fails_is_not_counted_and_the_next_start_begins_at_its_own_beginning() {
        let mut session = Watched::new();
        session.load(codes(Some("a")));
        session.nothing(SessionState::Disconnected, None);
        assert_eq!(session.load(SessionState::Authenticated), page_loaded_in(2));
        let ready = session.publish(SessionState::Ready, None);
        assert_eq!(ready, started_in(5, StartedWith::KEPT));
    }

    #[test]
    fn another_chrome_in_place_of_one_that_did_not_get_there_is_the_same_start() {
        let mut session = Watched::new();
        session.nothing(SessionState::Init, Some(Phase::Queued));
        session.nothing(SessionState::Init, Some(Phase::Navigate));
        assert_eq!(session.load(SessionState::Authenticated), page_loaded_in(2));
        let ready = session.publish(SessionState::Ready, None);
        assert_eq!(ready, started_in(7, StartedWith::KEPT));
    }
}
