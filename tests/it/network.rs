//! Where the service listens, and who can keep others from it. No Chrome is needed.

use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::support::{Service, answer};

/// Whether this machine has `::1` to listen on.
fn has_ipv6() -> bool {
    std::net::TcpListener::bind("[::1]:0").is_ok()
}

fn port(url: &str) -> &str {
    url.rsplit(':').next().unwrap()
}

/// Of Node 17 to 19, and of `BusyBox`' wget in a health check, `localhost` is `::1`.
#[tokio::test]
async fn whichever_address_a_caller_takes_localhost_for_it_reaches_api_and_sandbox() {
    let service = Service::with(&[]).await;
    assert!(service.url().starts_with("http://127.0.0.1:"));
    let client = Client::new();
    let mut hosts = vec!["127.0.0.1", "localhost"];
    if has_ipv6() {
        hosts.push("[::1]");
        service.logs("\"api_also_at\":\"http://[::1]:").await;
    } else {
        service.logs("this machine has no ::1").await;
    }
    for host in hosts {
        let api = format!("http://{host}:{}/health", port(service.url()));
        let health = answer(client.get(api)).await.json();
        assert_eq!(health["service"], "session-manager", "{host}: {health}");
        let phone = format!("http://{host}:{}/phone/state", port(service.sandbox()));
        let state = answer(client.get(phone)).await;
        assert_eq!(state.status, 200, "{host}: {}", state.text());
    }
    service.stop();
}

#[tokio::test]
async fn an_address_in_host_is_that_one_alone() {
    let service = Service::with(&[("HOST", "127.0.0.1")]).await;
    for url in [service.url(), service.sandbox()] {
        assert!(
            TcpStream::connect(("::1", port(url).parse().unwrap()))
                .await
                .is_err()
        );
    }
    assert!(!service.log().contains("api_also_at"));
    service.stop();
}

#[tokio::test]
async fn connections_that_ask_nothing_keep_nobody_out() {
    let service = Service::with(&[]).await;
    let address = service.url().trim_start_matches("http://").to_owned();
    let mut idle = Vec::new();
    for _ in 0..700 {
        idle.push(TcpStream::connect(&address).await.unwrap());
    }
    // Each on a connection of its own, as callers that come later.
    for _ in 0..20 {
        let since = Instant::now();
        let health = Client::new().get(format!("{}/health", service.url()));
        assert_eq!(answer(health).await.status, 200);
        assert!(
            since.elapsed() < Duration::from_secs(1),
            "{:?}",
            since.elapsed()
        );
    }
    service.logs("512 connections are open").await;
    service.stop();
}

#[tokio::test]
async fn a_page_of_a_stranger_neither_acts_nor_reads_by_whatever_name_it_calls() {
    let service = Service::with(&[]).await;
    let ask = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let mut request = service.request(method, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    };
    let form = [
        ("Origin", "https://evil.example"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    for path in ["/connect", "/disconnect", "/send"] {
        ask(Method::POST, path, &form)
            .await
            .assert_refused(403, "ORIGIN_NOT_ALLOWED");
    }
    let rebound = [("Host", "evil.example:3001")];
    for path in [
        "/status",
        "/qr?format=png",
        "/sessions",
        "/events/stream",
        "/metrics",
        "/",
    ] {
        ask(Method::GET, path, &rebound)
            .await
            .assert_refused(421, "MISDIRECTED_REQUEST");
    }
    let sessions = ask(
        Method::GET,
        "/sessions",
        &[("Origin", "http://localhost:5173")],
    )
    .await;
    assert_eq!(
        sessions.json()["details"],
        Value::Array(Vec::new()),
        "nothing was done"
    );
    assert_eq!(
        sessions.header("access-control-allow-origin"),
        Some("http://localhost:5173")
    );
    // Nor in the sandbox.
    let client = Client::new();
    let fault = client
        .post(format!("{}/faults", service.sandbox()))
        .body("{}");
    answer(fault.header("Origin", "null"))
        .await
        .assert_refused(403, "ORIGIN_NOT_ALLOWED");
    let messages = client.get(format!("{}/phone/state", service.sandbox()));
    answer(messages.header("Host", "evil.example"))
        .await
        .assert_refused(421, "MISDIRECTED_REQUEST");
    service.stop();
}
