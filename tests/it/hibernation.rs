//! A session that nobody needs has no Chrome, and whoever sends does not notice.

use std::time::Duration;

use axum::{http::StatusCode, response::IntoResponse as _};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::interval;

use crate::{
    bridge::{self, Hub},
    support::{Service, answer},
    webhooks::{self, Target},
};

const TO: &str = "5491158254201";

/// Far more often than a backend asks.
const POLL: Duration = Duration::from_millis(20);

fn is_asleep(status: &Value) -> bool {
    status["hibernating"] == true && status.get("chrome_pid").is_none()
}

/// Waits until the session sleeps, and its Chrome is gone.
pub(crate) async fn asleep(service: &Service) -> Value {
    service.status_when("51", "its sleep", is_asleep).await
}

/// Session 51 does not sleep while session `shop`, which was needed later, does so twice.
async fn assert_stays_awake(service: &Service) {
    service.link("51").await;
    service.hearing_is("live").await;
    service.link("shop").await;
    for is_asked_for in [false, true] {
        if is_asked_for {
            service.connect("shop").await;
            let is_awake = |status: &Value| status["chrome_pid"].is_u64();
            service.status_when("shop", "its page", is_awake).await;
        }
        service.status_when("shop", "its sleep", is_asleep).await;
        let status = service.status("51").await;
        assert!(status["chrome_pid"].is_u64(), "{status}");
        assert_ne!(status["hibernating"], true, "{status}");
    }
}

/// Fails when the session is anything but READY while something is done.
async fn seen_ready<T>(service: &Service, done: impl Future<Output = T>) -> T {
    let look = async {
        let mut ticks = interval(POLL);
        loop {
            ticks.tick().await;
            let status = service.status("51").await;
            assert_eq!(status["state"], "READY", "{status}");
            assert_eq!(status["connected"], true, "{status}");
        }
    };
    tokio::select! {
        done = done => done,
        never = look => never,
    }
}

#[tokio::test]
async fn a_session_that_nobody_needs_has_no_chrome_and_sends_all_the_same() {
    let (service, account) = Service::linked(&[("HIBERNATE_AFTER_SECONDS", "1")]).await;
    let status = seen_ready(&service, asleep(&service)).await;
    assert_eq!(status["account"], *account, "{status}");
    assert_eq!(status.get("memory_mb"), None, "{status}");
    service.home().assert_nobody_is_left();
    let sessions = service.get("/sessions").await.json();
    assert_eq!(sessions["sessions"], json!(["51"]), "{sessions}");
    let scrape = service.get("/metrics").await.text();
    let told = r#"session_manager_session_hibernating{session="51"} 1"#;
    assert!(scrape.lines().any(|line| line == told), "{scrape}");

    let sent = seen_ready(&service, service.send(51, TO, "despertate")).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    seen_ready(&service, asleep(&service)).await;
    let later = json!({ "cliente_id": 51, "to": TO, "message": "1", "async": true });
    let accepted = service.post("/send", &later).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let sends = ["2", "3", "4"].map(|text| service.send(51, TO, text));
    for sent in seen_ready(&service, join_all(sends)).await {
        assert_eq!(sent.status, 200, "{}", sent.text());
    }
    let mut messages = service.messages(&account).await;
    assert_eq!(messages[..2], ["despertate", "1"]);
    messages.sort();
    assert_eq!(messages, ["1", "2", "3", "4", "despertate"]);

    seen_ready(&service, asleep(&service)).await;
    let ended = service.disconnect(51).await;
    assert_eq!(ended.json()["message"], "Disconnected", "{}", ended.text());
    assert_eq!(service.status("51").await["state"], "DISCONNECTED");
    service.stop();
}

#[tokio::test]
async fn a_session_whose_messages_a_webhook_wants_stays_awake_while_the_webhook_is_on() {
    let target = Target::open(|_| StatusCode::OK.into_response()).await;
    let service = Service::with(&[
        ("HIBERNATE_AFTER_SECONDS", "1"),
        ("WEBHOOK_ALLOW_PRIVATE", "true"),
    ])
    .await;
    let wanted = json!({ "url": target.url, "types": ["message"], "cliente_ids": [51] });
    let id = webhooks::add(&service, &wanted).await;
    // One that wants no messages keeps no page open for them.
    let states = json!({ "url": target.url, "types": ["session.status"] });
    webhooks::add(&service, &states).await;
    assert_stays_awake(&service).await;
    for (is_on, is_asleep) in [(false, true), (true, false)] {
        let path = format!("/webhooks/{id}");
        let change = service.request(Method::PATCH, &path);
        let changed = answer(change.json(&json!({ "enabled": is_on }))).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        let is_so = |status: &Value| (status["hibernating"] == true) == is_asleep;
        service
            .status_when("51", "what the webhook makes of it", is_so)
            .await;
    }
    service.stop();
}

#[tokio::test]
async fn a_session_whose_messages_the_bridge_reports_stays_awake_and_one_without_a_client_does_not()
{
    let (_life, addr) = Hub::default().lives("127.0.0.1:0".parse().unwrap()).await;
    let service = Service::start(|env| {
        env.insert("HIBERNATE_AFTER_SECONDS", "1".into());
        env.extend(bridge::settings(addr).map(|(name, value)| (name, value.into())));
    })
    .await;
    assert_stays_awake(&service).await;
    service.stop();
}
