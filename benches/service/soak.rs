//! Does the service itself stay as small as it was? `soak`: an hour of sends and of faults (`--minutes M --sessions K --seed S`).
//! `rounds`: a session is connected and disconnected again and again (`--rounds N`).

use std::{fs, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    argument,
    support::{
        Service,
        crash::{Plan, Stage},
    },
};

const MINUTES: u64 = 60;
const SESSIONS: u64 = 6;

/// Between two messages of a client, at most: six sessions then send some six messages a second in all.
const PAUSE: Duration = Duration::from_secs(6);

/// Between two faults, at most.
const FAULT_PAUSE: Duration = Duration::from_secs(30);

/// Caches, thread pools and the allocator have taken by then what they need.
const WARM_UP_MINUTES: u64 = 5;

/// The promise of docs/reliability.md.
const GROWTH_LIMIT_MB: f64 = 5.0;

const ROUNDS: u64 = 100;

/// The first rounds fill caches.
const WARM_UP_ROUNDS: u64 = 20;

/// What the service has taken of the machine.
#[derive(Clone, Copy)]
struct Taken {
    /// Anonymous memory: what it has asked for, not the file pages of its program.
    megabytes: f64,
    handles: usize,
    threads: usize,
}

impl Taken {
    fn by(service: &Service) -> Self {
        let proc = format!("/proc/{}", service.pid());
        let status = fs::read_to_string(format!("{proc}/status")).unwrap();
        let field = |name: &str| -> usize {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.unwrap().split_ascii_whitespace().next().unwrap();
            number.parse().unwrap()
        };
        Self {
            megabytes: f64::from(u32::try_from(field("RssAnon:")).unwrap()) / 1024.0,
            handles: fs::read_dir(format!("{proc}/fd")).unwrap().count(),
            threads: field("Threads:"),
        }
    }

    fn print(self, when: &str) {
        let Self {
            megabytes,
            handles,
            threads,
        } = self;
        println!("| {when} | {megabytes:.1} | {handles} | {threads} |");
    }
}

fn number(name: &str, default: u64) -> u64 {
    argument(name).map_or(default, |given| given.parse().expect(name))
}

/// Answers whether the service has grown by less than the limit, and nothing was lost, doubled or left.
pub(super) async fn soak() -> bool {
    let minutes = number("--minutes", MINUTES);
    let sessions = number("--sessions", SESSIONS);
    let plan = Plan {
        seed: number("--seed", u64::from(rand::random::<u32>())),
        kills: 0,
        sessions,
        is_attended: false,
        pause: PAUSE,
        has_media: false,
        others: None,
        log: argument("--log").map(Into::into),
    };
    println!("{plan:?}");
    let sessions = usize::try_from(sessions).unwrap();
    let mut stage = Stage::set(plan, |env| {
        env.insert("RUST_LOG", "info".into());
    })
    .await;
    println!("| minute | memory MB | handles | threads |\n|---|---|---|---|");
    let mut first = Taken::by(stage.chaos.service());
    first.print("0");
    for minute in 1..=minutes {
        let end = Instant::now() + Duration::from_secs(60);
        strike_until(&mut stage, sessions, end).await;
        let now = Taken::by(stage.chaos.service());
        now.print(&minute.to_string());
        if minute == WARM_UP_MINUTES.min(minutes) {
            first = now;
        }
    }
    let last = Taken::by(stage.chaos.service());
    let report = stage.finish().await;
    let grown = last.megabytes - first.megabytes;
    println!("{report}");
    println!("grown by {grown:.1} MB since minute {WARM_UP_MINUTES}");
    report.is_clean() && grown < GROWTH_LIMIT_MB
}

/// Lets faults happen now and then, and spares the service.
async fn strike_until(stage: &mut Stage, sessions: usize, end: Instant) {
    while Instant::now() < end {
        let pause = rand::random_range(Duration::ZERO..FAULT_PAUSE);
        sleep_until(end.min(Instant::now() + pause)).await;
        if Instant::now() < end {
            let session = rand::random_range(0..sessions);
            stage.chaos.strike_one(session, true).await;
        }
    }
}

/// Answers whether memory and handles are what they were after the first rounds.
pub(super) async fn rounds() -> bool {
    let rounds = number("--rounds", ROUNDS);
    let service = Service::start(|env| {
        env.insert("RUST_LOG", "info".into());
    })
    .await;
    service.link("1").await;
    println!("| round | memory MB | handles | threads |\n|---|---|---|---|");
    let mut first = None;
    for round in 0..=rounds {
        assert_eq!(service.disconnect(1).await.status, 200);
        if round == WARM_UP_ROUNDS.min(rounds) {
            first = Some(Taken::by(&service));
        }
        if round % 10 == 0 {
            Taken::by(&service).print(&round.to_string());
        }
        service.connect(1).await;
        service.reaches("1", "READY").await;
    }
    assert_eq!(service.disconnect(1).await.status, 200);
    let (first, last) = (first.unwrap(), Taken::by(&service));
    let left = service.ended().processes().len();
    println!("processes left: {left}");
    let is_flat = last.megabytes - first.megabytes < GROWTH_LIMIT_MB;
    is_flat && last.handles <= first.handles + 2 && left == 0
}
