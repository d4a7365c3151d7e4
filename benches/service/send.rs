//! What does a send through the service cost, beside calling the page's own function? Both wait for WhatsApp's server, take
//! turns on the same pages, and are measured in one run: `--sends N` of each per session. With `--beside PROGRAM` another build
//! of the service takes turns as well, with sessions of its own.
//!
//! The page function is called over CDP and takes its time inside the page: a second connection to a Chrome is held up by
//! delayed acknowledgements of TCP, 40 ms at a time, which would make the service look fast.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, future::join_all};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Build, Latencies, argument, compare,
    support::{
        Service,
        devtools::{DevTools, chrome_with_a_port},
    },
};

const DIRECT: &str = include_str!("direct.js");

const SENDS: usize = 50;

/// Between two sends of a session, at most: as one after another, eight sessions would measure the machine's cores.
const PAUSE_MS: u64 = 600;

/// The first sends of a session make the chat, and learn the number.
const WARM_UP: usize = 5;

const SESSIONS: [u64; 2] = [1, 8];

const TO: &str = "5491158254201";

pub(super) async fn bench() {
    let sends = argument("--sends").map_or(SENDS, |sends| sends.parse().expect("--sends"));
    let builds = Build::all();
    println!(
        "\n{:32} {:>7} {:>9} {:>9} {:>9}",
        "until WhatsApp's server has it", "count", "p50 ms", "p99 ms", "max ms"
    );
    for sessions in SESSIONS {
        let mut services = Vec::new();
        for build in &builds {
            let service = Service::start_build(build.program(), |env| {
                env.insert("SANDBOX_ACK_SECONDS", "0.005".into());
                env.insert("SEND_QUEUE_MAX", "1000".into());
                env.insert("CHROME_PATH", chrome_with_a_port().into());
                // As an operator runs it.
                env.insert("RUST_LOG", "info".into());
            })
            .await;
            for id in 1..=sessions {
                service.link(&id.to_string()).await;
            }
            services.push(service);
        }
        let taking_turns = (1..=sessions).map(|id| take_turns(&services, id, sends));
        let of_sessions = join_all(taking_turns).await;
        let s = if sessions == 1 { "" } else { "s" };
        let mut times = Vec::new();
        for (at, build) in builds.iter().enumerate() {
            let of_build = |pick: fn(&Times) -> &Vec<Duration>| {
                let series: Vec<_> = of_sessions.iter().map(|of| pick(&of[at]).clone()).collect();
                Latencies::of(&series)
            };
            let through = of_build(|times| &times.through);
            let direct = of_build(|times| &times.direct);
            let name = &build.name;
            through.row(&format!("POST /send, {sessions} session{s}{name}"));
            direct.row(&format!("the page alone, {sessions} session{s}{name}"));
            let added = |percent| {
                let (through, direct) = (through.percentile(percent), direct.percentile(percent));
                (through.as_secs_f64() - direct.as_secs_f64()) * 1000.0
            };
            println!(
                "{:32} {:>7} {:9.2} {:9.2}",
                format!("added{name}"),
                "",
                added(50),
                added(99)
            );
            times.push(through);
        }
        compare("POST /send", &times.iter().collect::<Vec<_>>());
        for service in services {
            service.stop();
        }
    }
}

/// Times of one session's sends by one build: through the service, and by the page alone.
#[derive(Default)]
struct Times {
    through: Vec<Duration>,
    direct: Vec<Duration>,
}

/// Lets the same session of each service send, one after the other.
async fn take_turns(services: &[Service], id: u64, sends: usize) -> Vec<Times> {
    let mut pages = Vec::new();
    for service in services {
        pages.push(DevTools::of(&service.home().tokens().join(id.to_string())).await);
    }
    let mut times: Vec<Times> = services.iter().map(|_| Times::default()).collect();
    for number in 0..sends + WARM_UP {
        for ((service, page), times) in services.iter().zip(&mut pages).zip(&mut times) {
            sleep(Duration::from_millis(rand::random_range(0..PAUSE_MS))).await;
            let before = Instant::now();
            let sent = service.send(id, TO, &format!("{id}/{number}")).await;
            times.through.push(before.elapsed());
            assert_eq!(sent.status, 200, "{}", sent.text());

            let argument = json!({ "to": TO, "body": format!("{id}/{number} directly") });
            let took = comes_to(page, &format!("{DIRECT}({argument})")).await;
            times.direct.push(Duration::from_secs_f64(took / 1000.0));
        }
    }
    for times in &mut times {
        times.through.drain(..WARM_UP);
        times.direct.drain(..WARM_UP);
    }
    times
}

/// The number that a promise in the page comes to.
async fn comes_to(page: &mut DevTools, expression: &str) -> f64 {
    let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
    page.ask("Runtime.evaluate", params).await;
    // No domain is enabled here: the first word is the answer.
    let answer = page.0.next().await.unwrap().unwrap().into_text().unwrap();
    let value: Value = serde_json::from_str(&answer).unwrap();
    let number = value["result"]["result"]["value"].as_f64();
    number.unwrap_or_else(|| panic!("{answer}"))
}
