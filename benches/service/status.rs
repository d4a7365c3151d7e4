//! Do `GET /status` and `POST /send` of a READY session stay as fast as alone while another session hangs and three others start?
//!
//! With `--beside PROGRAM` another build of the service, with sessions of its own, is measured by turns.

use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::{
    Build, Latencies, compare,
    support::{Service, chrome::pid_of},
};

const SPELL: Duration = Duration::from_secs(8);

/// Of two builds one waits while the other is measured; they take so many turns alone.
const TURNS: u32 = 4;
pub(super) const MEASURED: u64 = 1;
const HANGING: u64 = 2;
const STARTING: [u64; 3] = [3, 4, 5];
const TO: &str = "5491158254201";

pub(super) async fn bench() {
    let builds = Build::all();
    let mut services = Vec::new();
    for build in &builds {
        let service = Service::start_build(build.program(), |env| {
            env.insert("SANDBOX_ACK_SECONDS", "0.005".into());
            env.insert("RUST_LOG", "info".into());
        })
        .await;
        for id in [MEASURED, HANGING] {
            service.link(&id.to_string()).await;
        }
        services.push(service);
    }
    let mut alone: Vec<_> = services.iter().map(|_| Times::default()).collect();
    for _ in 0..TURNS {
        for (service, times) in services.iter().zip(&mut alone) {
            times.add(measure(service, SPELL / TURNS).await);
        }
    }
    let mut busy = Vec::new();
    for service in &services {
        let chrome = service.status(&HANGING.to_string()).await["chrome_pid"].as_u64();
        let chrome = pid_of(u32::try_from(chrome.unwrap()).unwrap());
        let starts = async {
            let connects = STARTING.map(|id| service.connect(id));
            futures_util::future::join_all(connects).await;
        };
        kill_process(chrome, Signal::STOP).unwrap();
        let (times, ()) = tokio::join!(measure(service, SPELL), starts);
        busy.push(times);
        // The next one is measured without their load.
        for id in STARTING.into_iter().chain([HANGING]) {
            service.disconnect(id).await;
        }
    }

    println!(
        "\n{:32} {:>7} {:>9} {:>9} {:>9}",
        "a READY session", "count", "p50 ms", "p99 ms", "max ms"
    );
    for (when, times) in [("alone", &alone), ("one hangs, three start", &busy)] {
        for (path, of) in [
            (
                "GET /status",
                (|times| &times.status) as fn(&Times) -> &Vec<Duration>,
            ),
            ("POST /send", |times| &times.send),
        ] {
            let all: Vec<_> = times
                .iter()
                .map(|times| Latencies::of(&[of(times).clone()]))
                .collect();
            for (build, latencies) in builds.iter().zip(&all) {
                latencies.row(&format!("{path}, {when}{}", build.name));
            }
            compare(&format!("{path}, {when}"), &all.iter().collect::<Vec<_>>());
        }
    }
    for ((build, alone), busy) in builds.iter().zip(&alone).zip(&busy) {
        let ratio = |of: fn(&Times) -> &Vec<Duration>| {
            let p50 = |times| Latencies::of(&[of(times).clone()]).percentile(50);
            p50(busy).as_secs_f64() / p50(alone).as_secs_f64()
        };
        println!(
            "p50, busy / alone{}: status {:.2}, send {:.2}",
            build.name,
            ratio(|times| &times.status),
            ratio(|times| &times.send)
        );
    }
    for service in services {
        service.stop();
    }
}

#[derive(Default)]
pub(super) struct Times {
    pub(super) status: Vec<Duration>,
    pub(super) send: Vec<Duration>,
}

impl Times {
    fn add(&mut self, more: Self) {
        self.status.extend(more.status);
        self.send.extend(more.send);
    }
}

/// Measures for so long.
pub(super) async fn measure(service: &Service, spell: Duration) -> Times {
    let began = Instant::now();
    measure_until(service, || began.elapsed() > spell).await
}

/// Asks for the status without a pause, and sends one message after another beside it.
pub(super) async fn measure_until(service: &Service, is_over: impl Fn() -> bool) -> Times {
    let statuses = async {
        let mut times = Vec::new();
        while !is_over() {
            let before = Instant::now();
            service.status(&MEASURED.to_string()).await;
            times.push(before.elapsed());
        }
        times
    };
    let sends = async {
        let mut times = Vec::new();
        while !is_over() {
            let before = Instant::now();
            let sent = service.send(MEASURED, TO, "one after another").await;
            assert_eq!(sent.status, 200, "{}", sent.text());
            times.push(before.elapsed());
        }
        times
    };
    let (status, send) = tokio::join!(statuses, sends);
    Times { status, send }
}
