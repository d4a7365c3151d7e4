//! Do `GET /status` and `POST /send` of a READY session stay as fast as alone while another session hangs and three others start?

use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::{
    Latencies,
    support::{Service, chrome::pid_of},
};

const SPELL: Duration = Duration::from_secs(8);
const MEASURED: u64 = 1;
const HANGING: u64 = 2;
const STARTING: [u64; 3] = [3, 4, 5];
const TO: &str = "5491158254201";

pub(super) async fn bench() {
    let service = Service::start(|env| {
        env.insert("SANDBOX_ACK_SECONDS", "0.005".into());
        env.insert("RUST_LOG", "info".into());
    })
    .await;
    for id in [MEASURED, HANGING] {
        service.link(&id.to_string()).await;
    }
    let alone = measure(&service).await;

    let chrome = service.status(&HANGING.to_string()).await["chrome_pid"].as_u64();
    let chrome = pid_of(u32::try_from(chrome.unwrap()).unwrap());
    let starts = async {
        let connects = STARTING.map(|id| service.connect(id));
        futures_util::future::join_all(connects).await;
    };
    kill_process(chrome, Signal::STOP).unwrap();
    let (busy, ()) = tokio::join!(measure(&service), starts);

    println!(
        "\n{:32} {:>7} {:>9} {:>9} {:>9}",
        "a READY session", "count", "p50 ms", "p99 ms", "max ms"
    );
    for (name, times) in [("alone", &alone), ("one hangs, three start", &busy)] {
        times.status.row(&format!("GET /status, {name}"));
        times.send.row(&format!("POST /send, {name}"));
    }
    let ratio = |of: fn(&Times) -> &Latencies| {
        of(&busy).percentile(50).as_secs_f64() / of(&alone).percentile(50).as_secs_f64()
    };
    println!(
        "p50, busy / alone: status {:.2}, send {:.2}",
        ratio(|times| &times.status),
        ratio(|times| &times.send)
    );
    service.stop();
}

struct Times {
    status: Latencies,
    send: Latencies,
}

/// Asks for the status without a pause, and sends one message after another beside it.
async fn measure(service: &Service) -> Times {
    let began = Instant::now();
    let is_over = || began.elapsed() > SPELL;
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
    Times {
        status: Latencies::of(&[status]),
        send: Latencies::of(&[send]),
    }
}
