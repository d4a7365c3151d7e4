//! Which time limit ends what, with times that are given and not waited for.

use super::*;
use crate::whatsapp::AdapterName;

const HOUR: Duration = Duration::from_secs(3600);

const CODES: SessionState = SessionState::QrRequired {
    code: None,
    pairing: None,
    attempts: 1,
};

fn recognised() -> Standing {
    Standing {
        recognised: true,
        ..Standing::default()
    }
}

fn linked() -> Standing {
    Standing {
        linked: true,
        ..recognised()
    }
}

fn online() -> Standing {
    Standing {
        online: true,
        senders: vec![AdapterName::Modules],
        serving: Some(AdapterName::Modules),
        ..linked()
    }
}

/// Deadlines, and seconds since they began.
struct Play {
    timers: Deadlines,
    began: Instant,
}

impl Play {
    fn new() -> Self {
        let began = Instant::now();
        let timers = Deadlines::new(StartLimits::default(), true, began);
        Self { timers, began }
    }

    /// The page stands so, after that long.
    fn set(&mut self, after: Duration, state: &SessionState, standing: &Standing) {
        self.timers.set(state, standing, self.began + after);
    }

    fn expired(&mut self, after: Duration) -> Option<Expired> {
        self.timers.expired(self.began + after)
    }

    /// All that has passed by then, but for the pings.
    fn all_expired(&mut self, after: Duration) -> Vec<Expired> {
        let all = std::iter::from_fn(|| self.expired(after)).take(50);
        all.filter(|expired| *expired != Expired::Ping).collect()
    }

    /// The phase, and how long it may take after that time.
    fn phase(&self, after: Duration) -> Option<(Phase, Duration)> {
        let (phase, until) = self.timers.phase()?;
        Some((phase, until? - (self.began + after)))
    }
}

const NOW: Duration = Duration::ZERO;

#[test]
fn the_time_to_scan_runs_from_the_first_code_and_ends_the_time_to_start() {
    let mut play = Play::new();
    play.set(NOW, &CODES, &recognised());
    play.set(Duration::from_secs(200), &CODES, &recognised());
    assert_eq!(play.expired(StartLimits::default().navigate), None);
    let scan = StartLimits::default().scan;
    assert_eq!(play.expired(scan), Some(Expired::Scan));
}

#[test]
fn fresh_codes_are_asked_for_at_once_and_again_when_none_came() {
    let mut play = Play::new();
    let ended = Standing {
        codes_ended: true,
        ..recognised()
    };
    play.set(NOW, &CODES, &ended);
    for (after, expired) in [
        (NOW, Some(Expired::Refresh)),
        (NOW, None),
        (REFRESH_RETRY, Some(Expired::Refresh)),
    ] {
        assert_eq!(play.expired(after), expired);
    }
    play.set(REFRESH_RETRY, &CODES, &recognised());
    assert_eq!(play.expired(REFRESH_RETRY * 3), None);
}

#[test]
fn a_sync_ends_that_stands_still_or_begins_again_and_again() {
    let limit = StartLimits::default().sync;
    // What the page says of the sync at each quarter of the limit, and after how many it has ended.
    let still = [Some(1), None, Some(20), None, Some(40), Some(40), Some(40)];
    let again = [Some(30), None, Some(10), Some(30), None];
    for (percents, ends) in [(&still[..], 8), (&again[..], 4)] {
        let mut play = Play::new();
        for (quarters, sync_percent) in (0..).zip(percents) {
            let standing = Standing {
                sync_percent: *sync_percent,
                ..linked()
            };
            let syncing = SessionState::Authenticated;
            play.set(limit / 4 * quarters, &syncing, &standing);
        }
        let almost = limit / 16 * (ends * 4 - 1);
        assert_eq!(play.all_expired(almost), []);
        assert_eq!(play.all_expired(limit / 4 * ends), [Expired::Sync]);
    }
}

#[test]
fn a_session_that_was_ready_may_be_without_its_network_for_long_and_is_pinged() {
    let mut play = Play::new();
    play.set(NOW, &SessionState::Ready, &linked());
    play.set(NOW, &SessionState::Authenticated, &linked());
    for hours in 1..4 {
        assert_eq!(play.expired(HOUR * hours), Some(Expired::Ping));
        assert_eq!(play.expired(HOUR * hours), None);
    }
    // One that was unlinked since has to sync again.
    play.set(HOUR * 4, &CODES, &recognised());
    play.set(HOUR * 4, &SessionState::Authenticated, &linked());
    let limit = StartLimits::default().sync;
    assert_eq!(play.phase(HOUR * 4), Some((Phase::Sync, limit)));
}

#[test]
fn each_phase_has_its_own_limit_from_its_own_beginning() {
    let mut play = Play::new();
    let limits = StartLimits::default();
    assert_eq!(play.phase(NOW), Some((Phase::Navigate, limits.navigate)));
    let document = Duration::from_secs(10);
    play.timers.on_document(play.began + document);
    play.set(document, &SessionState::Init, &Standing::default());
    assert_eq!(play.phase(document), Some((Phase::Inject, limits.inject)));
    let known = document * 2;
    let no_code = SessionState::QrRequired {
        code: None,
        pairing: None,
        attempts: 0,
    };
    let mut check = |after, state: &SessionState, standing: Standing, wanted| {
        play.set(after, state, &standing);
        assert_eq!(play.phase(known), wanted, "{}", state.name());
    };
    // Splash, login screen and a reload between them are one phase.
    let (init, code) = (&SessionState::Init, Some((Phase::Link, limits.code)));
    check(known, init, recognised(), code);
    check(known * 2, init, Standing::default(), code);
    check(known * 2, &no_code, recognised(), code);
    check(
        known,
        &CODES,
        recognised(),
        Some((Phase::Link, limits.scan)),
    );
    let (syncing, sync) = (
        &SessionState::Authenticated,
        Some((Phase::Sync, limits.sync)),
    );
    check(known, syncing, recognised(), sync);
    check(known, &SessionState::Ready, recognised(), None);
    check(known, syncing, recognised(), None);
}

#[test]
fn a_phase_that_takes_too_long_is_named_and_lets_the_next_start_go_before() {
    let mut play = Play::new();
    assert_eq!(play.expired(START_TURN), Some(Expired::Turn));
    assert_eq!(play.expired(START_TURN), None);
    play.timers.on_document(play.began);
    let limits = StartLimits::default();
    assert_eq!(play.expired(limits.navigate), None);
    let inject = Some(Expired::Start(Phase::Inject));
    assert_eq!(play.expired(limits.inject), inject);
    // One that shows a login has its turn still, and one that is linked gives it to the next.
    for (standing, turn) in [(recognised(), Some(Expired::Turn)), (linked(), None)] {
        let mut play = Play::new();
        play.set(NOW, &SessionState::Init, &standing);
        assert_eq!(play.expired(START_TURN), turn);
    }
}

#[test]
fn a_page_that_is_strange_or_without_its_server_for_long_is_lost() {
    let grace = RECONNECT_GRACE;
    for standing in [Standing::default(), linked()] {
        let mut play = Play::new();
        play.set(NOW, &SessionState::Ready, &online());
        play.set(NOW, &SessionState::Ready, &standing);
        // What is still lost is lost since then.
        play.set(grace / 2, &SessionState::Ready, &standing);
        assert_eq!(play.all_expired(grace), [Expired::Reconnect]);
        play.set(grace, &SessionState::Authenticated, &standing);
        let lost = play.all_expired(UNRECOGNISED_TIMEOUT);
        let is_strange = !standing.recognised;
        assert_eq!(lost == [Expired::Recognise], is_strange, "{lost:?}");
        // One that comes back in time is not.
        let mut play = Play::new();
        play.set(NOW, &SessionState::Ready, &standing);
        play.set(grace / 2, &SessionState::Ready, &online());
        assert_eq!(play.all_expired(HOUR), []);
    }
}

/// Two programs on one account: each take-over works, and the other one takes the account again.
#[test]
fn an_account_that_is_taken_again_and_again_is_left_after_some_growing_pauses() {
    let mut play = Play::new();
    let elsewhere = Standing {
        online: false,
        trouble: Some(Trouble::OpenedElsewhere),
        ..online()
    };
    play.set(NOW, &SessionState::Ready, &online());
    let (mut now, mut taken_at) = (NOW, Vec::new());
    while now < HOUR {
        play.set(now, &SessionState::Authenticated, &elsewhere);
        while let Some(expired) = play.expired(now) {
            if expired == Expired::TakeOver {
                taken_at.push(now.as_secs());
                play.set(now, &SessionState::Ready, &online());
                play.set(now, &SessionState::Authenticated, &elsewhere);
            }
        }
        now += Duration::from_secs(1);
    }
    assert_eq!(taken_at, [0, 10, 40, 130]);
    assert_eq!(play.timers.gave_up_taking_over(), Some(4));
    play.set(now, &SessionState::Ready, &online());
    assert_eq!(play.timers.gave_up_taking_over(), None);
    play.set(now, &SessionState::Authenticated, &elsewhere);
    let next = Some(play.began + now);
    assert_eq!(play.timers.take_over, next, "the next one long after");
}
