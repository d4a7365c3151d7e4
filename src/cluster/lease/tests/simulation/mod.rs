//! A cluster through faults: four hosts, twelve sessions, PostgreSQL, and WhatsApp's server, as discrete events in true time.
//!
//! Each service is wired around the module that is tested: its [`Holder`](crate::cluster::lease::Holder),
//! [`Observer`](crate::cluster::lease::Observer), [`Arrival`](crate::cluster::lease::Arrival), [`tunnel`](crate::cluster::lease::tunnel)
//! and [`takeover`](crate::cluster::takeover) decide everything. What is modelled beside it:
//! - machines whose clocks go wrong by up to 3 %, are suspended with their clocks, are stopped, crash and come back on another boot, or
//!   never; services that are paused alone, or killed;
//! - statements that are late by up to 20 s, lost, executed after their sender has given them up, or whose answer is lost;
//! - an engine that restarts, or fails over and loses up to 8 s of commits;
//! - networks that are cut, to the engine or to WhatsApp; connections that break; sessions that move;
//! - a WhatsApp that closes a device's connection when another login of it comes.
//!
//! The [`judge`] sees the true time and all hosts at once. Each guard is switched off in a test of its own, and seen to be missing.

mod clock;
mod engine;
mod host;
mod judge;
mod world;

use std::{ops::Range, thread, time::Duration};

use clock::{Micros, SECOND};
use judge::Verdict;

use crate::cluster::lease::{DEFAULT_LEASE, Timings};

const HOSTS: usize = 4;
const SESSIONS: usize = 12;

/// What keeps a session from running twice; each can be switched off.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one guard, and they are independent"
)]
struct Guards {
    has_gate: bool,
    tunnel: TunnelRule,
    has_watchdog: bool,
    rereads_claims: bool,
    /// Hosts are judged by the observer's own clock, and not by the time that they write into their rows.
    own_clock: bool,
    waits_after_failover: bool,
    claims_found_anew: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TunnelRule {
    /// The engine is asked after the connection stands, and without an answer there is no tunnel.
    AskedAfterConnect,
    /// A yes of the last two seconds will do.
    RecentWord,
    /// Without an answer of the engine, the deadline decides.
    DeadlineWithoutWord,
    /// The deadline decides always.
    Free,
}

impl Guards {
    const ALL: Self = Self {
        has_gate: true,
        tunnel: TunnelRule::AskedAfterConnect,
        has_watchdog: true,
        rereads_claims: true,
        own_clock: true,
        waits_after_failover: true,
        claims_found_anew: true,
    };
}

/// How likely each kind of fault is beside the others.
#[derive(Clone, Copy, Debug)]
struct Faults {
    service_pauses: u64,
    suspensions: u64,
    stops: u64,
    cuts: u64,
    /// Statements that are late by far.
    delays: u64,
    kills: u64,
    crashes: u64,
    failovers: u64,
    moves: u64,
    drops: u64,
}

impl Faults {
    const ALL: Self = Self {
        service_pauses: 4,
        suspensions: 4,
        stops: 2,
        cuts: 2,
        delays: 2,
        kills: 3,
        crashes: 2,
        failovers: 3,
        moves: 4,
        drops: 4,
    };

    /// No machine is suspended with its clocks, which no deadline can notice.
    const CLOCKS_GO_ON: Self = Self {
        suspensions: 0,
        ..Self::ALL
    };

    /// Mostly failovers, while statements are late.
    const FAILOVERS: Self = Self {
        failovers: 20,
        delays: 8,
        ..Self::CLOCKS_GO_ON
    };
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    timings: Timings,
    guards: Guards,
    faults: Faults,
    fault_every: Micros,
    /// Whether a failover loses nothing.
    is_synchronous: bool,
    /// Short, so that the rule that exact profiles go first does not protect a session as well.
    stale_takeover: Duration,
    length: Micros,
}

impl Plan {
    fn of(guards: Guards, faults: Faults) -> Self {
        Self {
            timings: Timings::of(DEFAULT_LEASE),
            guards,
            faults,
            fault_every: 40 * SECOND,
            is_synchronous: false,
            stale_takeover: Duration::ZERO,
            length: 1_800 * SECOND,
        }
    }
}

/// Runs each seed, on two threads. A failure is repeated by `world::run(plan, seed)`.
fn run(plan: Plan, seeds: Range<u64>) -> Verdict {
    let halves = [0, 1].map(|half| {
        let seeds: Vec<_> = seeds.clone().skip(half).step_by(2).collect();
        thread::spawn(move || {
            let mut all = Verdict::default();
            for seed in seeds {
                all.add(&world::run(plan, seed));
            }
            all
        })
    });
    let mut all = Verdict::default();
    for half in halves {
        all.add(&half.join().unwrap());
    }
    all
}

const ALL: Guards = Guards::ALL;

#[test]
fn no_session_is_in_two_chromes_that_carry_traffic_in_500_runs_with_a_synchronous_standby() {
    let plan = Plan {
        is_synchronous: true,
        ..Plan::of(ALL, Faults::ALL)
    };
    let verdict = run(plan, 0..500);
    assert_eq!(verdict.doubled, 0, "{verdict:?}");
}

#[test]
fn no_session_is_in_two_chromes_that_carry_traffic_in_500_runs_whose_failovers_lose_commits() {
    let verdict = run(Plan::of(ALL, Faults::ALL), 500..1_000);
    assert_eq!(verdict.doubled, 0, "{verdict:?}");
}

/// The stricter judgement: by the deadlines alone, without what WhatsApp does.
#[test]
fn as_long_as_clocks_go_on_no_chrome_outlives_its_claim() {
    for faults in [Faults::CLOCKS_GO_ON, Faults::FAILOVERS] {
        let verdict = run(Plan::of(ALL, faults), 1_000..1_150);
        assert_is_clean(&verdict);
    }
}

fn assert_is_clean(verdict: &Verdict) {
    let Verdict {
        doubled,
        disowned,
        outlived,
        ..
    } = verdict;
    assert_eq!([doubled, disowned, outlived], [&0; 3], "{verdict:?}");
}

#[test]
fn the_simulation_is_the_same_for_the_same_seed() {
    let plan = Plan::of(ALL, Faults::ALL);
    assert_eq!(world::run(plan, 7), world::run(plan, 7));
    assert_ne!(world::run(plan, 7), world::run(plan, 8));
}

// Each guard is seen to be missing. Two Chromes that carry traffic:

#[test]
fn without_the_gate_two_chromes_carry_traffic() {
    let guards = Guards {
        has_gate: false,
        ..ALL
    };
    assert!(run(Plan::of(guards, Faults::ALL), 0..20).doubled > 0);
}

#[test]
fn without_the_rule_for_new_tunnels_two_chromes_carry_traffic() {
    let tunnel = TunnelRule::Free;
    let guards = Guards { tunnel, ..ALL };
    assert!(run(Plan::of(guards, Faults::ALL), 0..20).doubled > 0);
}

#[test]
fn where_the_deadline_decides_without_a_word_of_the_engine_two_chromes_carry_traffic() {
    let tunnel = TunnelRule::DeadlineWithoutWord;
    let guards = Guards { tunnel, ..ALL };
    assert!(run(Plan::of(guards, Faults::ALL), 0..60).doubled > 0);
}

#[test]
fn with_a_word_from_before_the_connection_two_chromes_carry_traffic() {
    let tunnel = TunnelRule::RecentWord;
    let guards = Guards { tunnel, ..ALL };
    assert!(run(Plan::of(guards, Faults::ALL), 0..60).doubled > 0);
}

#[test]
fn without_gate_and_watchdog_two_chromes_carry_traffic_even_if_clocks_go_on() {
    let guards = Guards {
        has_gate: false,
        has_watchdog: false,
        ..ALL
    };
    assert!(run(Plan::of(guards, Faults::CLOCKS_GO_ON), 0..20).doubled > 0);
}

// Behind the gate, these show by the stricter judgement: a Chrome runs on under a claim that is another host's by now.

#[test]
fn without_the_watchdog_a_chrome_outlives_its_claim() {
    let guards = Guards {
        has_watchdog: false,
        ..ALL
    };
    let verdict = run(Plan::of(guards, Faults::CLOCKS_GO_ON), 0..20);
    assert!(verdict.outlived > 60 * SECOND, "{verdict:?}");
}

#[test]
fn without_a_second_look_at_its_claims_a_host_keeps_a_session_that_a_failover_gave_away() {
    let guards = Guards {
        rereads_claims: false,
        ..ALL
    };
    let verdict = run(Plan::of(guards, Faults::FAILOVERS), 0..60);
    assert!(verdict.outlived > 60 * SECOND, "{verdict:?}");
}

#[test]
fn by_the_wall_clock_a_host_is_declared_dead_that_lives() {
    let guards = Guards {
        own_clock: false,
        ..ALL
    };
    let verdict = run(Plan::of(guards, Faults::CLOCKS_GO_ON), 0..40);
    assert!(verdict.disowned > 0 && verdict.outlived > 0, "{verdict:?}");
}

#[test]
fn without_the_wait_after_a_failover_a_session_is_claimed_that_still_runs() {
    let guards = Guards {
        waits_after_failover: false,
        ..ALL
    };
    assert!(run(Plan::of(guards, Faults::FAILOVERS), 0..100).outlived > 0);
}

#[test]
fn a_release_without_an_answer_takes_the_session_from_a_host_that_goes_on_under_the_same_claim() {
    let guards = Guards {
        claims_found_anew: false,
        ..ALL
    };
    let faults = Faults {
        moves: 30,
        delays: 12,
        ..Faults::CLOCKS_GO_ON
    };
    assert_is_clean(&run(Plan::of(ALL, faults), 0..100));
    assert!(run(Plan::of(guards, faults), 0..100).outlived > 0);
}

#[test]
fn a_silence_below_the_hard_deadline_is_too_short() {
    let mut plan = Plan::of(ALL, Faults::CLOCKS_GO_ON);
    plan.timings.silence = Duration::from_secs(60);
    assert!(run(plan, 0..60).outlived > 0);
}

/// The rows of the table in docs/cluster.md.
fn rows() -> Vec<(&'static str, Guards, Faults)> {
    let [
        mut no_gate,
        mut free,
        mut away,
        mut recent,
        mut neither,
        mut no_watchdog,
    ] = [ALL; 6];
    no_gate.has_gate = false;
    free.tunnel = TunnelRule::Free;
    away.tunnel = TunnelRule::DeadlineWithoutWord;
    recent.tunnel = TunnelRule::RecentWord;
    neither.has_gate = false;
    neither.has_watchdog = false;
    no_watchdog.has_watchdog = false;
    let [mut wall_clock, mut no_second_look, mut no_wait] = [ALL; 3];
    wall_clock.own_clock = false;
    no_second_look.rereads_claims = false;
    no_wait.waits_after_failover = false;
    let none = Guards {
        own_clock: false,
        rereads_claims: false,
        ..neither
    };
    let [all, clocks_go_on, failovers] = [Faults::ALL, Faults::CLOCKS_GO_ON, Faults::FAILOVERS];
    vec![
        ("all guards", ALL, all),
        ("all guards, clocks go on", ALL, clocks_go_on),
        ("all guards, mostly failovers", ALL, failovers),
        ("no gate", no_gate, all),
        ("new tunnels without a word", free, all),
        (
            "engine away: the deadline decides on new tunnels",
            away,
            all,
        ),
        ("a yes of the last 2 s will do", recent, all),
        ("neither gate nor watchdog", neither, all),
        ("no watchdog, clocks go on", no_watchdog, clocks_go_on),
        (
            "expiry by the wall clock, clocks go on",
            wall_clock,
            clocks_go_on,
        ),
        (
            "claims not read again, mostly failovers",
            no_second_look,
            failovers,
        ),
        (
            "no wait after failovers, mostly failovers",
            no_wait,
            failovers,
        ),
        (
            "no gate, no watchdog, wall clock, claims not read again",
            none,
            all,
        ),
    ]
}

#[test]
#[ignore = "prints the table of docs/cluster.md"]
fn write_the_table_of_the_documents() {
    println!(
        "| | runs with two live Chromes | doubled, s | disowned traffic, s | longest Chrome without its claim, s | up |"
    );
    println!("|---|---|---|---|---|---|");
    for (name, guards, faults) in rows() {
        let verdict = run(Plan::of(guards, faults), 0..200);
        let [doubled, disowned, outlived] =
            [verdict.doubled, verdict.disowned, verdict.outlived].map(|time| time.div_ceil(SECOND));
        let Verdict {
            runs, runs_doubled, ..
        } = verdict;
        println!(
            "| {name} | {runs_doubled} of {runs} | {doubled} | {disowned} | {outlived} | 0.{:03} |",
            verdict.up_share()
        );
    }
}
