//! The lease by itself, and then a cluster that keeps it through faults.

mod simulation;

use std::time::Duration;

use proptest::prelude::*;

use super::{
    tunnel::{TunnelRefused, Word},
    *,
};
use crate::{
    cluster::{BootId, Claim, HostId, Incarnation, Timeline},
    session::ClienteId,
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A moment by this host's clock.
fn at(elapsed: u64) -> BootTime {
    BootTime::after_start(seconds(elapsed))
}

fn timings() -> Timings {
    Timings::of(DEFAULT_LEASE)
}

fn session(name: &str) -> ClienteId {
    name.parse().unwrap()
}

fn claim(number: u128) -> Claim {
    Claim::from_random(number)
}

const ENGINE: EngineWord = EngineWord {
    timeline: Timeline::FIRST,
    is_synchronous: false,
    settled: None,
};

fn counted(beats: u64, engine: EngineWord, claims: &[(&str, u128)]) -> Counted {
    let claims = claims
        .iter()
        .map(|(name, number)| (session(name), claim(*number)));
    Counted {
        beats,
        engine,
        claims: claims.collect(),
    }
}

/// Registered by a statement that was sent at 100 s and answered at 101 s.
fn holder(engine: EngineWord, claims: &[(&str, u128)]) -> Holder {
    let incarnation = Incarnation::from_random(7);
    Holder::registered(
        timings(),
        incarnation,
        at(100),
        counted(0, engine, claims),
        at(101),
    )
}

/// A beat that is sent at this moment, and answered a second later.
fn beat(holder: &mut Holder, sent: u64, answer: Counted) -> AfterBeat {
    let beat = holder.send_beat(at(sent));
    holder.on_answer(beat, BeatAnswer::Counted(answer), at(sent + 1))
}

fn goes(lost: &[&str], found: &[(&str, u128)]) -> AfterBeat {
    AfterBeat::Goes {
        lost: lost.iter().map(|name| session(name)).collect(),
        found: found
            .iter()
            .map(|(name, number)| (session(name), claim(*number)))
            .collect(),
    }
}

#[test]
fn the_default_lease_has_the_deadlines_of_the_documents() {
    let Timings {
        beat,
        statement_timeout,
        soft,
        hard,
        silence,
    } = timings();
    assert_eq!(
        [beat, statement_timeout, soft, hard, silence],
        [5, 4, 55, 70, 95].map(seconds)
    );
    let tenth = Timings::of(seconds(9));
    assert_eq!(tenth.hard * 10, hard);
}

proptest! {
    #[test]
    fn the_margin_bears_clocks_that_go_wrong(lease in 9u64..3_600, slow in 850u32..=1_000, fast in 1_000u32..=1_150) {
        let Timings { beat, statement_timeout, soft, hard, silence } = Timings::of(seconds(lease));
        prop_assert!(statement_timeout < beat && beat < soft && soft < hard && hard < silence);
        // The holder's clock goes slow, the observer's fast, by 15 % each.
        let holders = hard * 1_000 / slow;
        let observers = silence * 1_000 / fast;
        prop_assert!(holders < observers, "{holders:?} {observers:?}");
    }
}

#[test]
fn a_lease_counts_from_when_its_beat_was_sent() {
    let mut holder = holder(ENGINE, &[("51", 1)]);
    assert_eq!(
        beat(&mut holder, 105, counted(1, ENGINE, &[("51", 1)])),
        goes(&[], &[])
    );
    assert_eq!(holder.lease().remaining(at(110)), seconds(65));
    for (now, state) in [
        (159, LeaseState::Held),
        (160, LeaseState::Expiring),
        (174, LeaseState::Expiring),
        (175, LeaseState::Expired),
    ] {
        assert_eq!(holder.state_at(at(now)), state, "{now}");
        let may_hand_over = state == LeaseState::Held;
        assert_eq!(
            holder.claim_of(&session("51"), at(now)).is_some(),
            may_hand_over
        );
        assert_eq!(holder.may_claim(at(now)).is_ok(), may_hand_over);
    }
}

#[test]
fn a_good_beat_after_the_soft_deadline_brings_the_lease_back_and_one_after_the_hard_deadline_does_not()
 {
    let mut late = holder(ENGINE, &[("51", 1)]);
    assert_eq!(late.state_at(at(165)), LeaseState::Expiring);
    assert_eq!(
        beat(&mut late, 165, counted(1, ENGINE, &[("51", 1)])),
        goes(&[], &[])
    );
    assert_eq!(late.state_at(at(170)), LeaseState::Held);

    let mut too_late = holder(ENGINE, &[("51", 1)]);
    let sent = too_late.send_beat(at(169));
    let answer = BeatAnswer::Counted(counted(1, ENGINE, &[("51", 1)]));
    let over = AfterBeat::Over(WhyOver::Expired);
    assert_eq!(too_late.on_answer(sent, answer, at(170)), over);
    assert_eq!(
        beat(&mut too_late, 171, counted(2, ENGINE, &[("51", 1)])),
        over
    );
    assert_eq!(too_late.state_at(at(172)), LeaseState::Expired);
    assert_eq!(too_late.held().count(), 0);
}

#[test]
fn an_answer_that_was_on_its_way_while_the_service_was_paused_brings_no_lease() {
    let mut holder = holder(ENGINE, &[("51", 1)]);
    let sent = holder.send_beat(at(105));
    // SIGSTOP from 105 s to 176 s.
    let answer = BeatAnswer::Counted(counted(1, ENGINE, &[("51", 1)]));
    assert_eq!(
        holder.on_answer(sent, answer, at(176)),
        AfterBeat::Over(WhyOver::Expired)
    );
}

#[test]
fn what_runs_and_is_not_among_the_claims_is_killed() {
    let mut holder = holder(ENGINE, &[("51", 1), ("52", 2), ("53", 3)]);
    let answer = counted(1, ENGINE, &[("51", 1), ("53", 30)]);
    // 52 is another host's; the claim on 53 is another one.
    assert_eq!(
        beat(&mut holder, 105, answer),
        goes(&["52", "53"], &[("53", 30)])
    );
    assert_eq!(holder.claim_of(&session("52"), at(106)), None);
    assert_eq!(holder.claim_of(&session("51"), at(106)), Some(claim(1)));
}

#[test]
fn an_answer_does_not_know_what_was_claimed_or_released_after_its_beat() {
    let mut holder = holder(ENGINE, &[("51", 1)]);
    let sent = holder.send_beat(at(105));
    holder.claimed(session("52"), claim(2), at(106));
    holder.let_go(&session("51"), at(106));
    let answer = BeatAnswer::Counted(counted(1, ENGINE, &[("51", 1)]));
    assert_eq!(holder.on_answer(sent, answer, at(107)), goes(&[], &[]));
    assert_eq!(holder.claim_of(&session("52"), at(107)), Some(claim(2)));
    // The next one does: the release has not arrived.
    let answer = counted(2, ENGINE, &[("51", 1), ("52", 2)]);
    assert_eq!(beat(&mut holder, 110, answer), goes(&[], &[("51", 1)]));
}

#[test]
fn without_a_row_the_incarnation_is_over() {
    let mut holder = holder(ENGINE, &[("51", 1)]);
    let sent = holder.send_beat(at(105));
    let over = AfterBeat::Over(WhyOver::NoRow);
    assert_eq!(holder.on_answer(sent, BeatAnswer::NoRow, at(106)), over);
    assert_eq!(holder.over_at(at(106)), Some(WhyOver::NoRow));
    assert_eq!(holder.may_claim(at(106)), Err(NotNow::NotHeld));
}

#[test]
fn a_machine_that_was_put_back_to_an_earlier_state_notices_its_own_beats() {
    let mut holder = holder(ENGINE, &[]);
    // Beats without an answer may have been counted all the same.
    holder.send_beat(at(105));
    assert_eq!(
        beat(&mut holder, 110, counted(2, ENGINE, &[])),
        goes(&[], &[])
    );
    assert_eq!(
        beat(&mut holder, 115, counted(4, ENGINE, &[])),
        AfterBeat::Over(WhyOver::Twin)
    );
}

#[test]
fn an_answer_that_comes_late_changes_nothing() {
    let mut holder = holder(ENGINE, &[("51", 1)]);
    let old = holder.send_beat(at(105));
    assert_eq!(
        beat(&mut holder, 110, counted(1, ENGINE, &[("51", 1)])),
        goes(&[], &[])
    );
    let answer = BeatAnswer::Counted(counted(2, ENGINE, &[]));
    assert_eq!(holder.on_answer(old, answer, at(112)), AfterBeat::Outdated);
    assert_eq!(holder.lease().hard_deadline(), at(180));
}

const FAILED_OVER: EngineWord = EngineWord {
    timeline: Timeline(2),
    ..ENGINE
};

#[test]
fn after_a_failover_that_may_have_lost_claims_nothing_is_claimed_for_the_whole_silence() {
    let mut holder = holder(ENGINE, &[("51", 1)]);
    let answer = counted(1, FAILED_OVER, &[("51", 1), ("52", 2)]);
    // 52 was released by this host, and the release is lost: another host may run it.
    assert_eq!(beat(&mut holder, 105, answer.clone()), goes(&[], &[]));
    assert_eq!(holder.claim_of(&session("51"), at(106)), Some(claim(1)));
    let left = seconds(95);
    assert_eq!(
        holder.may_claim(at(106)),
        Err(NotNow::AfterFailover { left })
    );
    assert_eq!(holder.settled(at(106)), None);
    for sent in (110..200).step_by(5) {
        let beats = (sent - 100) / 5;
        assert_eq!(
            beat(
                &mut holder,
                sent,
                Counted {
                    beats,
                    ..answer.clone()
                }
            ),
            goes(&[], &[])
        );
    }
    let timeline = Timeline(2);
    let incarnation = holder.incarnation();
    assert_eq!(
        holder.may_claim(at(201)),
        Ok(Permit {
            incarnation,
            timeline
        })
    );
    assert_eq!(holder.settled(at(201)), Some(timeline));
    let answer = Counted {
        beats: 20,
        ..answer
    };
    assert_eq!(beat(&mut holder, 201, answer), goes(&[], &[("52", 2)]));
}

#[test]
fn a_host_that_has_waited_out_a_failover_spares_the_others_the_wait() {
    let settled = EngineWord {
        settled: Some(Timeline(2)),
        ..FAILED_OVER
    };
    assert!(holder(FAILED_OVER, &[]).may_claim(at(102)).is_err());
    assert!(holder(settled, &[]).may_claim(at(102)).is_ok());
    let mut waiting = holder(FAILED_OVER, &[]);
    assert_eq!(
        beat(&mut waiting, 105, counted(1, settled, &[])),
        goes(&[], &[])
    );
    assert!(waiting.may_claim(at(106)).is_ok());
}

#[test]
fn a_synchronous_standby_that_takes_over_costs_no_wait() {
    let synchronous = EngineWord {
        is_synchronous: true,
        ..ENGINE
    };
    let mut kept = holder(synchronous, &[]);
    let taken_over = EngineWord {
        timeline: Timeline(2),
        ..synchronous
    };
    assert_eq!(
        beat(&mut kept, 105, counted(1, taken_over, &[])),
        goes(&[], &[])
    );
    assert!(kept.may_claim(at(106)).is_ok());
    // It was asynchronous when it failed.
    let mut lost = holder(ENGINE, &[]);
    assert_eq!(
        beat(&mut lost, 105, counted(1, taken_over, &[])),
        goes(&[], &[])
    );
    assert!(lost.may_claim(at(106)).is_err());
}

#[test]
fn an_engine_that_has_lost_beats_is_not_believed_even_on_the_same_timeline() {
    let mut holder = holder(ENGINE, &[]);
    assert_eq!(
        beat(&mut holder, 105, counted(1, ENGINE, &[])),
        goes(&[], &[])
    );
    assert_eq!(
        beat(&mut holder, 110, counted(1, ENGINE, &[])),
        goes(&[], &[])
    );
    assert_eq!(
        beat(&mut holder, 115, counted(2, ENGINE, &[])),
        goes(&[], &[])
    );
    assert!(holder.may_claim(at(116)).is_err());
}

// Observers.

fn host(name: &str) -> HostId {
    name.parse().unwrap()
}

fn row(name: &str, beats: u64) -> HostRow {
    HostRow {
        host: host(name),
        incarnation: Incarnation::from_random(1),
        beats,
        is_dead: false,
    }
}

/// A reading that was sent at this moment, and answered a second later.
fn reading(sent: u64, engine: EngineWord) -> Reading {
    Reading {
        sent: at(sent),
        received: at(sent + 1),
        engine,
    }
}

#[test]
fn a_host_is_silent_when_its_row_has_not_changed_for_the_whole_period_of_the_observers_clock() {
    let mut observer = Observer::new(&timings());
    assert_eq!(
        observer.on_reading(reading(100, ENGINE), &[row("h1", 8)]),
        []
    );
    assert_eq!(
        observer.on_reading(reading(190, ENGINE), &[row("h1", 9)]),
        []
    );
    // From when the first answer was received to when this question was sent.
    assert_eq!(
        observer.on_reading(reading(285, ENGINE), &[row("h1", 9)]),
        []
    );
    let silent = observer.on_reading(reading(286, ENGINE), &[row("h1", 9)]);
    let marked = Silent {
        host: host("h1"),
        incarnation: Incarnation::from_random(1),
        beats: 9,
        timeline: Timeline::FIRST,
    };
    assert_eq!(silent, [marked]);
    assert_eq!(observer.dead_for(&host("h1"), at(290)), None);
    let dead = HostRow {
        is_dead: true,
        ..row("h1", 9)
    };
    assert_eq!(
        observer.on_reading(reading(291, ENGINE), std::slice::from_ref(&dead)),
        []
    );
    assert_eq!(observer.on_reading(reading(296, ENGINE), &[dead]), []);
    assert_eq!(observer.dead_for(&host("h1"), at(302)), Some(seconds(10)));
}

#[test]
fn a_reading_that_failed_and_another_timeline_begin_the_period_anew() {
    for is_failover in [false, true] {
        let mut observer = Observer::new(&timings());
        assert_eq!(
            observer.on_reading(reading(100, ENGINE), &[row("h1", 9)]),
            []
        );
        let engine = if is_failover {
            FAILED_OVER
        } else {
            observer.on_failed_reading();
            ENGINE
        };
        assert_eq!(
            observer.on_reading(reading(196, engine), &[row("h1", 9)]),
            []
        );
        assert_eq!(
            observer.on_reading(reading(291, engine), &[row("h1", 9)]),
            []
        );
        assert_eq!(
            observer
                .on_reading(reading(292, engine), &[row("h1", 9)])
                .len(),
            1
        );
    }
}

proptest! {
    #[test]
    fn no_host_that_beats_within_the_period_is_ever_silent(steps in prop::collection::vec((0u64..94, any::<bool>()), 1..60)) {
        let mut observer = Observer::new(&timings());
        let (mut now, mut beats, mut beaten) = (100, 0, 100);
        for (pause, beats_now) in steps {
            now += pause;
            if beats_now || 94 < now - beaten {
                (beats, beaten) = (beats + 1, now);
            }
            prop_assert_eq!(observer.on_reading(reading(now, ENGINE), &[row("h1", beats)]), []);
            now += 1;
        }
    }
}

// Arrivals.

fn boot(number: u128) -> BootId {
    format!("{number:032x}").parse().unwrap()
}

fn former(boot_id: u128, beats: u64) -> Former {
    Former {
        boot_id: boot(boot_id),
        row: row("h1", beats),
    }
}

#[test]
fn a_service_that_restarts_on_the_same_boot_has_its_sessions_at_once() {
    let with_sessions = |with_sessions| MayRegister::Now { with_sessions };
    let mut arrival = Arrival::new(timings(), boot(1));
    assert_eq!(
        arrival.on_reading(reading(20, ENGINE), None),
        with_sessions(false)
    );
    assert_eq!(
        arrival.on_reading(reading(20, ENGINE), Some(&former(1, 9))),
        with_sessions(true)
    );
    // Another host may have had them, and its claims may be lost.
    let restarted = arrival.on_reading(reading(20, FAILED_OVER), Some(&former(1, 9)));
    assert_eq!(restarted, with_sessions(false));
}

#[test]
fn a_host_that_was_rebooted_waits_until_its_former_incarnation_is_certainly_gone() {
    let mut arrival = Arrival::new(timings(), boot(2));
    let mut read = |sent, former: &Former| arrival.on_reading(reading(sent, ENGINE), Some(former));
    assert_eq!(read(20, &former(1, 9)), MayRegister::Wait);
    assert_eq!(read(115, &former(1, 9)), MayRegister::Wait);
    let MayRegister::MarkDead(silent) = read(116, &former(1, 9)) else {
        panic!("it was silent for 95 s");
    };
    assert_eq!(silent.beats, 9);
    let mut dead = former(1, 9);
    dead.row.is_dead = true;
    assert_eq!(
        read(117, &dead),
        MayRegister::Now {
            with_sessions: false
        }
    );
}

#[test]
fn a_second_machine_with_the_same_id_is_refused() {
    let mut arrival = Arrival::new(timings(), boot(2));
    assert_eq!(
        arrival.on_reading(reading(20, ENGINE), Some(&former(1, 9))),
        MayRegister::Wait
    );
    // A failover puts the row back, which is no sign of life.
    assert_eq!(
        arrival.on_reading(reading(25, FAILED_OVER), Some(&former(1, 8))),
        MayRegister::Wait
    );
    let beats = arrival.on_reading(reading(30, FAILED_OVER), Some(&former(1, 9)));
    assert_eq!(beats, MayRegister::InUse);
}

// Tunnels.

#[test]
fn a_new_tunnel_needs_a_word_that_was_asked_for_after_its_connection_stood() {
    let lease = Lease::from_beat(at(100), &timings());
    let connected = at(120);
    let word = |asked, is_mine| {
        Some(Word {
            asked: at(asked),
            is_mine,
        })
    };
    let open = |word, now| tunnel::may_open(&lease, connected, word, at(now));
    assert_eq!(open(word(120, true), 122), Ok(()));
    assert_eq!(open(word(120, true), 123), Err(TunnelRefused::OldWord));
    assert_eq!(open(word(119, true), 120), Err(TunnelRefused::OldWord));
    assert_eq!(open(word(120, false), 121), Err(TunnelRefused::NotOwner));
    assert_eq!(open(None, 121), Err(TunnelRefused::NoWord));
    assert_eq!(open(word(169, true), 170), Err(TunnelRefused::Expired));
    assert!(tunnel::may_forward(&lease, at(169)));
    assert!(!tunnel::may_forward(&lease, at(170)));
}
