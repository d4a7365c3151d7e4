//! What does a send through the service cost, beside calling the page's own function? Both wait for WhatsApp's server, take
//! turns on the same pages, and are measured in one run: `--sends N` of each per session.
//!
//! The page function is called over CDP and takes its time inside the page: a second connection to a Chrome is held up by
//! delayed acknowledgements of TCP, 40 ms at a time, which would make the service look fast.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use chromiumoxide::{Browser, Page, cdp::js_protocol::runtime::EvaluateParams};
use futures_util::{StreamExt as _, future::join_all};
use serde_json::{Value, json};
use tokio::time::interval;
use tokio_util::task::AbortOnDropHandle;

use super::{Latencies, argument, support::Service};

const DIRECT: &str = include_str!("direct.js");

const SENDS: usize = 100;

/// The first sends of a session make the chat, and learn the number.
const WARM_UP: usize = 5;

const SESSIONS: [u64; 2] = [1, 8];

const TO: &str = "5491158254201";

pub(super) async fn bench() {
    let sends = argument("--sends").map_or(SENDS, |sends| sends.parse().expect("--sends"));
    println!(
        "\n{:32} {:>7} {:>9} {:>9} {:>9}",
        "until WhatsApp's server has it", "count", "p50 ms", "p99 ms", "max ms"
    );
    for sessions in SESSIONS {
        let service = Service::start(|env| {
            env.insert("SANDBOX_ACK_SECONDS", "0.005".into());
            env.insert("SEND_QUEUE_MAX", "1000".into());
            // As an operator runs it.
            env.insert("RUST_LOG", "info".into());
        })
        .await;
        for id in 1..=sessions {
            service.link(&id.to_string()).await;
        }
        let taking_turns = (1..=sessions).map(|id| take_turns(&service, id, sends));
        let (through, direct): (Vec<_>, Vec<_>) = join_all(taking_turns).await.into_iter().unzip();
        let (through, direct) = (Latencies::of(through), Latencies::of(direct));
        let s = if sessions == 1 { "" } else { "s" };
        through.row(&format!("POST /send, {sessions} session{s}"));
        direct.row(&format!("the page alone, {sessions} session{s}"));
        let added = |percent| {
            let (through, direct) = (through.percentile(percent), direct.percentile(percent));
            (through.as_secs_f64() - direct.as_secs_f64()) * 1000.0
        };
        println!(
            "{:32} {:>7} {:9.2} {:9.2}",
            "added",
            "",
            added(50),
            added(99)
        );
        service.stop();
    }
}

/// Times of one session's sends: through the service, and by the page alone.
async fn take_turns(service: &Service, id: u64, sends: usize) -> (Vec<Duration>, Vec<Duration>) {
    let profile = service.home().tokens().join(id.to_string());
    let (page, _listening) = page_of(&profile).await;
    let (mut through, mut direct) = (Vec::new(), Vec::new());
    for number in 0..sends + WARM_UP {
        let before = Instant::now();
        let sent = service.send(id, TO, &format!("{id}/{number}")).await;
        through.push(before.elapsed());
        assert_eq!(sent.status, 200, "{}", sent.text());

        let argument = json!({ "to": TO, "body": format!("{id}/{number} directly") });
        let call = EvaluateParams {
            await_promise: Some(true),
            return_by_value: Some(true),
            ..EvaluateParams::new(format!("{DIRECT}({argument})"))
        };
        let called = page.execute(call).await.unwrap().result;
        let took = called.result.value.as_ref().and_then(Value::as_f64);
        let took = took.unwrap_or_else(|| panic!("{called:?}"));
        direct.push(Duration::from_secs_f64(took / 1000.0));
    }
    (through.split_off(WARM_UP), direct.split_off(WARM_UP))
}

/// A second connection to a session's page, beside the service's own.
async fn page_of(profile: &Path) -> (Page, AbortOnDropHandle<()>) {
    let said = std::fs::read_to_string(profile.join("DevToolsActivePort")).unwrap();
    let (port, path) = said.split_once('\n').unwrap();
    let address = format!("ws://127.0.0.1:{port}{}", path.trim());
    let (mut browser, mut handler) = Browser::connect(address).await.unwrap();
    let listening = tokio::spawn(async move { while handler.next().await.is_some() {} });
    let listening = AbortOnDropHandle::new(listening);
    browser.fetch_targets().await.unwrap();
    // chromiumoxide tells of no page, it must be asked.
    let mut ticks = interval(Duration::from_millis(10));
    loop {
        ticks.tick().await;
        for page in browser.pages().await.unwrap() {
            let url = page.url().await.ok().flatten();
            // One that it has attached to twice answers by one of its sessions only.
            let answers = page.evaluate_expression("1").await.is_ok();
            if answers && url.is_some_and(|url| url.starts_with("http")) {
                return (page, listening);
            }
        }
    }
}
