//! When a session that was lost is started again, by a ladder that is climbed in given times.

use super::*;

const LIMIT: usize = 10;

/// One that was READY, and is not any more.
fn owed() -> (Healing, Instant) {
    let now = Instant::now();
    let mut healing = Healing::new(LIMIT, false);
    healing.on_ready(true, now);
    healing.on_ready(false, now);
    (healing, now)
}

fn retry(verdict: AfterRun) -> Retry {
    let AfterRun::Retry(retry) = verdict else {
        panic!("{verdict:?}");
    };
    retry
}

#[test]
fn a_session_that_was_ready_is_started_again_at_once_and_then_less_and_less_often() {
    let (mut healing, now) = owed();
    let mut before = Duration::ZERO;
    for step in BACK_OFF {
        let pause = retry(healing.after(ReasonCode::BrowserLost, true, now)).at - now;
        assert!(
            step.mul_f64(1.0 - JITTER) <= pause && pause <= step.mul_f64(1.0 + JITTER),
            "{pause:?}"
        );
        assert!(before < pause);
        before = pause;
    }
}

#[test]
fn one_whose_chrome_helps_and_is_lost_again_and_again_waits_for_the_next_one_no_longer_than_seconds()
 {
    let (mut healing, now) = owed();
    for _ in 0..LIMIT {
        let pause = retry(healing.after(ReasonCode::BrowserLost, true, now)).at - now;
        assert!(pause <= BACK_OFF[BACK_OFF_AFTER_READY].mul_f64(1.0 + JITTER));
        healing.on_ready(true, now);
    }
    // The next one does not help: that counts as before.
    healing.healed.clear();
    let _helped = healing.after(ReasonCode::BrowserLost, true, now);
    let pause = retry(healing.after(ReasonCode::BrowserLost, true, now)).at - now;
    assert!(BACK_OFF[BACK_OFF.len() - 1].mul_f64(1.0 - JITTER) <= pause);
}

#[test]
fn one_that_was_never_ready_tells_its_caller_instead() {
    let now = Instant::now();
    let mut healing = Healing::new(LIMIT, false);
    for why in [ReasonCode::LaunchTimeout, ReasonCode::NavigationFailed] {
        assert_eq!(healing.after(why, false, now), AfterRun::Leave);
    }
    assert_eq!(
        healing.after(ReasonCode::BrowserLost, false, now),
        AfterRun::Leave
    );
    // While it shows codes, a person looks at it.
    retry(healing.after(ReasonCode::BrowserLost, true, now));
    // And one that an earlier service has had READY is to be so again.
    let mut restored = Healing::new(LIMIT, true);
    retry(restored.after(ReasonCode::LaunchTimeout, false, now));
}

#[test]
fn what_a_person_wanted_or_has_to_do_is_left_alone() {
    for why in [
        ReasonCode::DisconnectRequested,
        ReasonCode::LoggedOut,
        ReasonCode::QrTimeout,
        ReasonCode::TemporarilyBanned,
        ReasonCode::ProfileInUse,
    ] {
        let (mut healing, now) = owed();
        assert_eq!(healing.after(why, true, now), AfterRun::Leave);
    }
    // After a disconnect, and after the loss of its account, a start is its caller's to repeat.
    let disconnected = |healing: &mut Healing, now| {
        healing.after(ReasonCode::DisconnectRequested, true, now);
    };
    let unlinked = |healing: &mut Healing, _now| healing.on_unlinked();
    for ends in [disconnected as fn(&mut Healing, Instant), unlinked] {
        let (mut healing, now) = owed();
        ends(&mut healing, now);
        let verdict = healing.after(ReasonCode::LaunchTimeout, true, now);
        assert_eq!(verdict, AfterRun::Leave);
    }
}

#[test]
fn the_limit_of_an_hour_ends_it_and_time_lifts_it() {
    let (mut healing, now) = owed();
    for _ in 0..LIMIT {
        retry(healing.after(ReasonCode::PageLost, true, now));
    }
    let given_up = AfterRun::GiveUp { times: LIMIT };
    assert_eq!(healing.after(ReasonCode::PageLost, true, now), given_up);
    assert!(!healing.reloads(now));
    retry(healing.after(ReasonCode::PageLost, true, now + HOUR));
    let (mut healing, now) = owed();
    for _ in 0..=LIMIT {
        healing.after(ReasonCode::PageLost, true, now);
    }
    healing.on_asked();
    retry(healing.after(ReasonCode::PageLost, true, now));
}

#[test]
fn a_network_that_is_away_for_hours_is_waited_for() {
    let (mut healing, now) = owed();
    for why in [ReasonCode::NavigationFailed, ReasonCode::SyncTimeout] {
        for _ in 0..100 {
            let retry = retry(healing.after(why, false, now));
            assert_eq!(retry.rung, Rung::NewChrome);
        }
    }
    assert_eq!(healing.healed.len(), 0);
}

#[test]
fn a_profile_on_which_no_chrome_helps_gives_way_to_its_snapshot_once() {
    let (mut healing, now) = owed();
    let rungs: Vec<_> = (0..6)
        .map(|_| retry(healing.after(ReasonCode::LaunchTimeout, false, now)).rung)
        .collect();
    let snapshots = rungs.iter().filter(|rung| **rung == Rung::ProfileCopy);
    assert_eq!(snapshots.count(), 1);
    assert_eq!(rungs[CHROMES_BEFORE_COPY], Rung::ProfileCopy);
}

#[test]
fn a_session_that_was_stable_begins_at_the_bottom() {
    let (mut healing, now) = owed();
    for _ in 0..4 {
        healing.after(ReasonCode::BrowserLost, true, now);
    }
    healing.on_ready(true, now);
    let later = now + STABLE_AFTER;
    let pause = retry(healing.after(ReasonCode::BrowserLost, true, later)).at - later;
    assert!(pause < BACK_OFF[1], "{pause:?}");
}

#[test]
fn a_page_is_reloaded_once_before_its_chrome_goes() {
    let (mut healing, now) = owed();
    assert!(healing.reloads(now));
    assert!(!healing.reloads(now + Duration::from_secs(60)));
    assert!(healing.reloads(now + RELOAD_HELPS_FOR));
}

#[test]
fn one_that_goes_to_sleep_was_healthy() {
    let (mut healing, now) = owed();
    for _ in BACK_OFF {
        let _retry = healing.after(ReasonCode::BrowserLost, true, now);
    }
    healing.on_ready(true, now);
    healing.on_asleep();
    let pause = retry(healing.after(ReasonCode::BrowserLost, true, now)).at - now;
    assert!(pause <= BACK_OFF[0].mul_f64(1.0 + JITTER), "{pause:?}");
}

#[test]
fn a_limit_of_none_heals_nothing() {
    let now = Instant::now();
    let mut healing = Healing::new(0, true);
    assert!(!healing.reloads(now));
    assert_eq!(
        healing.after(ReasonCode::BrowserLost, true, now),
        AfterRun::Leave
    );
}
