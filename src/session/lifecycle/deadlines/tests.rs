//! Which time limit ends what, with times that are given and not waited for.

use super::*;

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

fn timers() -> (Deadlines, Instant) {
    let now = Instant::now();
    (Deadlines::new(StartLimits::default(), true, now), now)
}

#[test]
fn the_time_to_scan_runs_from_the_first_code_and_not_from_the_last() {
    let (mut timers, now) = timers();
    timers.set(&CODES, &recognised(), now);
    timers.set(&CODES, &recognised(), now + Duration::from_secs(200));
    assert_eq!(
        timers.passed(now + Duration::from_secs(300)),
        Some(Passed::Scan)
    );
}

#[test]
fn fresh_codes_are_asked_for_at_once_and_again_when_none_came() {
    let (mut timers, now) = timers();
    let ended = Standing {
        codes_ended: true,
        ..recognised()
    };
    timers.set(&CODES, &ended, now);
    assert_eq!(timers.passed(now), Some(Passed::Refresh));
    assert_eq!(timers.passed(now), None);
    assert_eq!(timers.passed(now + REFRESH_RETRY), Some(Passed::Refresh));
    timers.set(&CODES, &recognised(), now + REFRESH_RETRY);
    assert_eq!(timers.passed(now + REFRESH_RETRY * 3), None);
}

#[test]
fn a_sync_that_moves_goes_on_and_one_that_stands_still_ends() {
    let (mut timers, now) = timers();
    let at = |percent| Standing {
        linked: true,
        sync_percent: Some(percent),
        ..recognised()
    };
    let half = StartLimits::default().sync / 2;
    for (step, percent) in [(0, 1), (1, 20), (2, 40)] {
        timers.set(
            &SessionState::Authenticated,
            &at(percent),
            now + half * step,
        );
    }
    timers.set(&SessionState::Authenticated, &at(40), now + half * 3);
    assert_eq!(timers.passed(now + half * 3), None);
    assert_eq!(timers.passed(now + half * 4), Some(Passed::Sync));
}

#[test]
fn a_sync_that_begins_again_and_again_ends() {
    let (mut timers, now) = timers();
    let at = |sync_percent| Standing {
        linked: true,
        sync_percent,
        ..recognised()
    };
    let step = StartLimits::default().sync / 4;
    let again = [Some(30), None, Some(10), Some(30), None];
    for (steps, percent) in (0..).zip(again) {
        let then = now + step * steps;
        timers.set(&SessionState::Authenticated, &at(percent), then);
    }
    assert_eq!(timers.passed(now + step * 4), Some(Passed::Sync));
}

#[test]
fn a_session_that_was_ready_may_be_without_its_network_for_long() {
    let (mut timers, now) = timers();
    let linked = Standing {
        linked: true,
        ..recognised()
    };
    timers.set(&SessionState::Ready, &linked, now);
    timers.set(&SessionState::Authenticated, &linked, now);
    let hour = Duration::from_secs(3600);
    assert_eq!(timers.passed(now + hour), Some(Passed::Ping));
    assert_eq!(timers.passed(now + hour), None);
}

#[test]
fn each_phase_has_its_own_limit_from_its_own_beginning() {
    let (mut timers, now) = timers();
    let limits = StartLimits::default();
    let phase = |timers: &Deadlines, began: Instant| {
        let (phase, until) = timers.phase()?;
        Some((phase, until? - began))
    };
    assert_eq!(
        phase(&timers, now),
        Some((Phase::Navigate, limits.navigate))
    );
    let document = now + Duration::from_secs(10);
    timers.on_document(document);
    timers.set(&SessionState::Init, &Standing::default(), document);
    assert_eq!(
        phase(&timers, document),
        Some((Phase::Inject, limits.inject))
    );
    let known = document + Duration::from_secs(10);
    timers.set(&SessionState::Init, &recognised(), known);
    assert_eq!(phase(&timers, known), Some((Phase::Link, limits.code)));
    // Splash, login screen and a reload between them are one phase.
    timers.set(
        &SessionState::Init,
        &Standing::default(),
        known + START_TURN,
    );
    assert_eq!(phase(&timers, known), Some((Phase::Link, limits.code)));
    let no_code = SessionState::QrRequired {
        code: None,
        pairing: None,
        attempts: 0,
    };
    timers.set(&no_code, &recognised(), known + START_TURN);
    assert_eq!(phase(&timers, known), Some((Phase::Link, limits.code)));
    timers.set(&CODES, &recognised(), known);
    assert_eq!(phase(&timers, known), Some((Phase::Link, limits.scan)));
    timers.set(&SessionState::Authenticated, &recognised(), known);
    assert_eq!(phase(&timers, known), Some((Phase::Sync, limits.sync)));
    timers.set(&SessionState::Ready, &recognised(), known);
    timers.set(&SessionState::Authenticated, &recognised(), known);
    assert_eq!(timers.phase(), None);
}

#[test]
fn a_phase_that_takes_too_long_is_named() {
    let (mut timers, now) = timers();
    let limits = StartLimits::default();
    assert_eq!(timers.passed(now + START_TURN), Some(Passed::Turn));
    timers.on_document(now);
    assert_eq!(timers.passed(now + limits.navigate), None);
    assert_eq!(
        timers.passed(now + limits.inject),
        Some(Passed::Start(Phase::Inject))
    );
}

#[test]
fn the_time_to_start_ends_with_init() {
    let (mut timers, now) = timers();
    timers.set(&CODES, &recognised(), now);
    assert_eq!(timers.passed(now + StartLimits::default().navigate), None);
}

#[test]
fn a_page_that_is_strange_for_long_is_lost() {
    let (mut timers, now) = timers();
    timers.set(&SessionState::Ready, &recognised(), now);
    timers.set(&SessionState::Ready, &Standing::default(), now);
    assert_eq!(
        timers.passed(now + RECONNECT_GRACE),
        Some(Passed::Reconnect)
    );
    timers.set(
        &SessionState::Authenticated,
        &Standing::default(),
        now + RECONNECT_GRACE,
    );
    assert_eq!(
        timers.passed(now + UNRECOGNISED_TIMEOUT),
        Some(Passed::Recognise)
    );
}

#[test]
fn a_start_that_hangs_lets_the_next_one_go() {
    let (mut timers, now) = timers();
    assert_eq!(timers.passed(now + START_TURN), Some(Passed::Turn));
    assert_eq!(timers.passed(now + START_TURN), None);
}

/// Two programs on one account: each take-over works, and the other one takes the account again.
#[test]
fn an_account_that_is_taken_again_and_again_is_left_after_some_growing_pauses() {
    let (mut timers, began) = timers();
    let here = Standing {
        linked: true,
        online: true,
        ..recognised()
    };
    let elsewhere = Standing {
        online: false,
        trouble: Some(Trouble::OpenedElsewhere),
        ..here.clone()
    };
    timers.set(&SessionState::Ready, &here, began);
    let (mut now, mut taken_at) = (began, Vec::new());
    while now < began + Duration::from_secs(3600) {
        timers.set(&SessionState::Authenticated, &elsewhere, now);
        while let Some(passed) = timers.passed(now) {
            if passed == Passed::TakeOver {
                taken_at.push((now - began).as_secs());
                timers.set(&SessionState::Ready, &here, now);
                timers.set(&SessionState::Authenticated, &elsewhere, now);
            }
        }
        now += Duration::from_secs(1);
    }
    assert_eq!(taken_at, [0, 10, 40, 130]);
    assert_eq!(timers.gave_up_taking_over(), Some(4));
    timers.set(&SessionState::Ready, &here, now);
    assert_eq!(timers.gave_up_taking_over(), None);
    timers.set(&SessionState::Authenticated, &elsewhere, now);
    assert_eq!(timers.take_over, Some(now), "the next one long after");
}
