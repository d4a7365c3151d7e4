//! What does it cost that Chrome is driven over a pipe and a relay, beside its own port? Both in one run, by turns:
//! `cargo test --release --test it browser::hop -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use chromiumoxide::{Browser as Cdp, Page, cdp::js_protocol::runtime::EvaluateParams};
use futures_util::StreamExt as _;

use super::open;
use crate::support::chrome::{Folder, Started, eventually, headless_shell};

const ROUNDS: usize = 3000;
const LONG_ROUNDS: usize = 60;
const MIB: usize = 1 << 20;

#[tokio::test]
#[ignore = "measures; the figures depend on the machine"]
async fn the_cost_of_the_pipe_beside_the_port() {
    let program = headless_shell().await;
    let (by_port, by_pipe) = (Folder::new(), Folder::new());
    let _chrome = Started::chrome(&program, &by_port.profile(), &["about:blank"]).await;
    let told = by_port.profile().join("DevToolsActivePort");
    let mut address = None;
    eventually("the port is told", || {
        let text = std::fs::read_to_string(&told).unwrap_or_default();
        let mut lines = text.lines();
        address = lines
            .next()
            .zip(lines.next())
            .map(|(port, path)| format!("ws://127.0.0.1:{port}{path}"));
        address.is_some()
    })
    .await;
    let (cdp, mut handler) = Cdp::connect(address.unwrap()).await.unwrap();
    let handling = tokio::spawn(async move { while handler.next().await.is_some() {} });
    let port = cdp.new_page("about:blank").await.unwrap();
    let browser = open(&program, &by_pipe.profile()).await.unwrap();
    let pipe = browser.page();

    let one = "1".to_owned();
    let long = format!("'x'.repeat({MIB})");
    for (what, expression, rounds) in [("1", &one, ROUNDS), ("1 MiB", &long, LONG_ROUNDS)] {
        let (mut port_took, mut pipe_took) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            port_took.push(evaluate(&port, expression).await);
            pipe_took.push(evaluate(pipe, expression).await);
        }
        tell(what, port_took, pipe_took);
    }
    // A command beside one that takes its time, as a look at the page is while a send waits for WhatsApp's server.
    let (mut port_took, mut pipe_took) = (Vec::new(), Vec::new());
    for _ in 0..LONG_ROUNDS {
        port_took.push(beside_a_slow_one(&port).await);
        pipe_took.push(beside_a_slow_one(pipe).await);
    }
    tell("1 beside a slow one", port_took, pipe_took);
    browser.close().await;
    handling.abort();
}

fn tell(what: &str, port: Vec<Duration>, pipe: Vec<Duration>) {
    for (way, mut took) in [("port", port), ("pipe and relay", pipe)] {
        took.sort_unstable();
        let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
        println!(
            "Runtime.evaluate of {what}, {way}: p50 {:.3} ms, p99 {:.3} ms",
            at(50),
            at(99)
        );
    }
}

async fn beside_a_slow_one(page: &Page) -> Duration {
    let mut slow = EvaluateParams::new("new Promise(done => setTimeout(done, 100))");
    slow.await_promise = Some(true);
    let one = "1".to_owned();
    let quick = async {
        // Both are on their way by then; the slow one is far from its answer.
        tokio::task::yield_now().await;
        evaluate(page, &one).await
    };
    let (slow, quick) = tokio::join!(page.execute(slow), quick);
    slow.unwrap();
    quick
}

async fn evaluate(page: &Page, expression: &str) -> Duration {
    let mut params = EvaluateParams::new(expression);
    params.return_by_value = Some(true);
    let before = Instant::now();
    page.execute(params).await.unwrap();
    before.elapsed()
}
