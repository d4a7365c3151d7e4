use super::*;

const NOTHING: Work<'static> = Work {
    waits_for: WaitsFor::Nothing,
    page_answers: 0,
    ledger_answers: 0,
    sent: 0,
    handed: &[],
};

fn second(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Looks once a second for so long, and gives what was seen first, and when.
fn first_seen(
    watch: &mut StallWatch,
    remedies: &mut Remedies,
    work: Work<'_>,
    begin: Instant,
    seconds: u64,
) -> Option<(u64, Stalled)> {
    (0..seconds).find_map(|passed| {
        let seen = watch.look(true, work, remedies, begin + second(passed));
        Some((passed, seen?))
    })
}

#[test]
fn a_page_without_a_word_is_loaded_again_and_then_chrome_started_again() {
    let (mut watch, mut remedies, now) =
        (StallWatch::default(), Remedies::default(), Instant::now());
    let work = Work {
        waits_for: WaitsFor::Page,
        ..NOTHING
    };
    let seen = first_seen(&mut watch, &mut remedies, work, now, 300);
    let reload = Stalled::Heals(Remedy::Reload, Cause::NoWord);
    assert_eq!(seen, Some((STALLED_AFTER.as_secs(), reload)));
    let mut watch = StallWatch::default();
    let seen = first_seen(&mut watch, &mut remedies, work, now + second(400), 300);
    let chrome = Stalled::Heals(Remedy::NewChrome, Cause::NoWord);
    assert_eq!(seen, Some((STALLED_AFTER.as_secs(), chrome)));
    // A word in between, and the ladder begins at its foot.
    let work = Work {
        page_answers: 1,
        ..work
    };
    let seen = first_seen(&mut watch, &mut remedies, work, now + second(900), 300);
    assert!(
        matches!(seen, Some((_, Stalled::Heals(Remedy::Reload, _)))),
        "{seen:?}"
    );
}

#[test]
fn a_session_that_waits_for_its_pace_or_cannot_send_is_left_alone() {
    let (mut watch, mut remedies, now) =
        (StallWatch::default(), Remedies::default(), Instant::now());
    let seen = first_seen(&mut watch, &mut remedies, NOTHING, now, 3600);
    assert_eq!((seen, watch.next()), (None, None));
    let handed = [("3EB01".to_owned(), now)];
    let work = Work {
        waits_for: WaitsFor::Page,
        handed: &handed,
        ..NOTHING
    };
    for passed in 0..3600 {
        let seen = watch.look(false, work, &mut remedies, now + second(passed));
        assert_eq!((seen, watch.next()), (None, None));
    }
    // The time begins when it can send again.
    let seen = first_seen(&mut watch, &mut remedies, work, now + second(3600), 300);
    assert_eq!(seen.unwrap().0, STALLED_AFTER.as_secs());
}

#[test]
fn a_page_that_answers_now_and_then_is_left_alone() {
    let (mut watch, mut remedies, now) =
        (StallWatch::default(), Remedies::default(), Instant::now());
    for passed in 0..3600 {
        let work = Work {
            waits_for: WaitsFor::Page,
            page_answers: passed / 100,
            ..NOTHING
        };
        let seen = watch.look(true, work, &mut remedies, now + second(passed));
        assert_eq!(seen, None, "after {passed} s");
    }
}

#[test]
fn a_disk_that_stands_still_is_said_and_is_not_the_pages_fault() {
    let (mut watch, mut remedies, now) =
        (StallWatch::default(), Remedies::default(), Instant::now());
    let frozen = Work {
        waits_for: WaitsFor::Ledger,
        ..NOTHING
    };
    let seen = first_seen(&mut watch, &mut remedies, frozen, now, 300);
    assert_eq!(seen, Some((STALLED_AFTER.as_secs(), Stalled::Ledger)));
    let later = now + second(300);
    assert_eq!(
        watch.look(true, frozen, &mut remedies, later),
        Some(Stalled::Ledger),
        "as long as it lasts"
    );
    // It is back: the page has as long as ever.
    let thawed = Work {
        waits_for: WaitsFor::Page,
        ledger_answers: 1,
        ..NOTHING
    };
    let seen = first_seen(&mut watch, &mut remedies, thawed, later, 300);
    assert!(
        matches!(seen, Some((at, Stalled::Heals(..))) if at >= STALLED_AFTER.as_secs() - 1),
        "{seen:?}"
    );
}

#[test]
fn a_ledger_that_answers_each_time_is_well_however_much_is_asked() {
    let (mut watch, mut remedies, now) =
        (StallWatch::default(), Remedies::default(), Instant::now());
    for passed in 0..3600 {
        let work = Work {
            waits_for: WaitsFor::Ledger,
            ledger_answers: passed,
            page_answers: passed / 60,
            ..NOTHING
        };
        let seen = watch.look(true, work, &mut remedies, now + second(passed));
        assert_eq!(seen, None, "after {passed} s");
    }
}

#[test]
fn a_message_that_the_server_does_not_take_is_healed_for_twice_and_then_said() {
    let (mut remedies, mut now) = (Remedies::default(), Instant::now());
    for remedy in [Remedy::Reload, Remedy::NewChrome] {
        // Both times it is found in the page again.
        let handed = [("3EB01".to_owned(), now), ("3EB02".to_owned(), now)];
        let work = Work {
            handed: &handed,
            ..NOTHING
        };
        let seen = first_seen(&mut StallWatch::default(), &mut remedies, work, now, 300);
        let wanted = Stalled::Heals(remedy, Cause::NotTakenByServer);
        assert_eq!(seen, Some((STALLED_AFTER.as_secs(), wanted)));
        now += second(300);
    }
    let handed = [("3EB01".to_owned(), now), ("3EB02".to_owned(), now)];
    let work = Work {
        handed: &handed,
        ..NOTHING
    };
    let mut watch = StallWatch::default();
    let seen = first_seen(&mut watch, &mut remedies, work, now, 3600);
    assert_eq!(seen, Some((STALLED_AFTER.as_secs(), Stalled::Unsent)));
    // One that comes later is healed for again.
    let later = now + second(200);
    let handed = [("3EB01".to_owned(), now), ("3EB03".to_owned(), later)];
    let work = Work {
        handed: &handed,
        ..NOTHING
    };
    assert_eq!(
        watch.look(true, work, &mut remedies, later),
        Some(Stalled::Unsent)
    );
    let seen = watch.look(true, work, &mut remedies, watch.next().unwrap());
    let wanted = Stalled::Heals(Remedy::Reload, Cause::NotTakenByServer);
    assert_eq!(seen, Some(wanted));
}

#[test]
fn one_message_that_stays_behind_while_others_are_taken_takes_no_page_away() {
    let (mut watch, mut remedies, now) =
        (StallWatch::default(), Remedies::default(), Instant::now());
    let handed = [("3EB01".to_owned(), now)];
    for passed in 0..3600 {
        let work = Work {
            handed: &handed,
            sent: passed / 100,
            ..NOTHING
        };
        let seen = watch.look(true, work, &mut remedies, now + second(passed));
        assert_eq!(seen, None, "after {passed} s");
    }
}
