//! A session that nobody needs has no Chrome, and whoever sends does not notice.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::interval;

use crate::support::Service;

const TO: &str = "5491158254201";

/// Far more often than a backend asks.
const POLL: Duration = Duration::from_millis(20);

/// Waits until the session sleeps, and its Chrome is gone.
async fn asleep(service: &Service) -> Value {
    let is_asleep =
        |status: &Value| status["hibernating"] == true && status.get("chrome_pid").is_none();
    service.status_when("51", "its sleep", is_asleep).await
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
