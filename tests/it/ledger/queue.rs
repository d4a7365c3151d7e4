//! Order, pace and room: what waits, what is refused, and what a dry run says.

use std::time::{Duration, Instant};

use super::*;

/// A service that sends five messages at once and then one in a minute, with the five used up.
async fn at_rest() -> (Service, String) {
    let (service, account) = Service::linked(&[
        ("SEND_RATE_PER_MINUTE", "1"),
        ("SEND_WAIT_SECONDS", "20"),
        ("SEND_QUEUE_MAX", "2"),
    ])
    .await;
    for n in 0..5 {
        service.sends(51, TO, &n.to_string()).await;
    }
    (service, account)
}

#[tokio::test]
async fn a_pace_delays_and_refuses_nothing() {
    let (service, account) = Service::linked(&[("SEND_RATE_PER_MINUTE", "60")]).await;
    let began = Instant::now();
    let mut ids = Vec::new();
    for n in 0..9 {
        let accepted = later(&service, TO, &n.to_string()).await;
        assert_eq!(accepted.status, 202, "{}", accepted.text());
        ids.push(id_of(&accepted));
    }
    service.sends(51, TO, "9").await;
    // Five at once, then one in a second.
    assert!(began.elapsed() > Duration::from_millis(4900));
    let texts: Vec<_> = (0..10).map(|n| n.to_string()).collect();
    assert_eq!(service.messages(&account).await, texts);
    service.stop();
}

#[tokio::test]
async fn a_turn_that_cannot_come_in_time_is_refused_at_once_and_a_full_queue_too() {
    let (service, account) = at_rest().await;
    let began = Instant::now();
    let refused = service.send(51, TO, "x").await;
    refused.assert_refused(429, "QUEUE_TIMEOUT");
    assert!(began.elapsed() < Duration::from_secs(5), "at once");
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    // A minute, and up to half of one more by chance, less the 20 s that the caller waits; rounded up.
    assert!((30..=71).contains(&seconds), "{seconds}");

    for n in 0..2 {
        assert_eq!(later(&service, TO, &n.to_string()).await.status, 202);
    }
    let refused = later(&service, TO, "x").await;
    refused.assert_refused(429, "QUEUE_FULL");
    assert!(refused.header("retry-after").is_some());
    let listed = service.get("/messages?cliente_id=51&state=queued").await;
    assert_eq!(listed.json()["count"], 2, "{}", listed.text());
    assert_eq!(service.messages(&account).await.len(), 5);
    service.stop();
}

#[tokio::test]
async fn a_queued_message_can_be_taken_back_and_leaves_its_place() {
    let (service, account) = at_rest().await;
    let first = id_of(&later(&service, TO, "x").await);
    let second = id_of(&later(&service, TO, "y").await);
    let delete = async |id: &str| {
        let path = format!("/messages/{id}");
        answer(service.request(Method::DELETE, &path)).await
    };
    let cancelled = delete(&second).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text());
    assert_eq!(cancelled.json()["state"], "cancelled");
    assert!(cancelled.json()["ended_at"].is_string());
    assert_eq!(delete(&second).await.status, 200, "it is");
    assert_eq!(later(&service, TO, "z").await.status, 202, "there is room");
    delete("3EB0FFFF")
        .await
        .assert_refused(404, "MESSAGE_NOT_FOUND");

    let sent = service.get("/messages?state=read").await.json();
    let sent = sent["messages"][0]["message_id"].as_str().unwrap();
    delete(sent).await.assert_refused(409, "NOT_CANCELLABLE");

    // Also while the session does not run, and after a restart.
    let service = Service::start_in(service.stop(), |env| {
        env.insert("RESTORE_SESSIONS", "false".into());
    })
    .await;
    let path = format!("/messages/{first}");
    let cancelled = answer(service.request(Method::DELETE, &path)).await;
    assert_eq!(
        cancelled.json()["state"],
        "cancelled",
        "{}",
        cancelled.text()
    );
    service.connect(51).await;
    assert_eq!(arrive(&service, &account, 6).await.last().unwrap(), "z");
    assert_eq!(service.messages(&account).await.len(), 6);
    service.stop();
}

#[tokio::test]
async fn a_message_whose_page_is_open_and_not_ready_can_be_taken_back() {
    let (service, account) = Service::linked(&[]).await;
    service.faults(json!({ "socket": "refuse" })).await;
    service.reaches("51", "AUTHENTICATED").await;
    let id = id_of(&later(&service, TO, "x").await);
    let service = Service::start_in(service.kill(), |env| {
        env.insert("RESTORE_SESSIONS", "false".into());
    })
    .await;
    service.faults(json!({ "socket": "refuse" })).await;
    service.connect(51).await;
    let cancelled = answer(service.request(Method::DELETE, &format!("/messages/{id}"))).await;
    assert_eq!(
        cancelled.json()["state"],
        "cancelled",
        "{}",
        cancelled.text()
    );
    service.faults(json!({})).await;
    service.reaches("51", "READY").await;
    service.sends(51, TO, "y").await;
    assert_eq!(service.messages(&account).await, ["y"]);
    service.stop();
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_sends_nothing() {
    let (service, account) = at_rest().await;
    let try_out = async |to: &str| {
        let body = json!({ "cliente_id": 51, "to": to, "message": "x" });
        service.post("/send?dry_run=true", &body).await
    };
    let would = try_out("+54 9 11 5825-4201").await;
    assert_eq!(would.status, 200, "{}", would.text());
    let would = would.json();
    assert_eq!(
        (&would["to"], &would["on_whatsapp"], &would["dry_run"]),
        (&json!(TO), &json!(true), &json!(true))
    );
    assert_eq!(would["chat_id"], format!("{TO}@c.us"));
    let at = jiff_seconds(&would["would_send_at"]);
    assert!((20.0..=90.0).contains(&at), "{at}");
    let nowhere = try_out(NOBODY).await.json();
    assert_eq!(
        (&nowhere["on_whatsapp"], &nowhere["chat_id"]),
        (&json!(false), &Value::Null)
    );
    try_out("12").await.assert_refused(400, "INVALID_TO");
    let body = json!({ "cliente_id": 51, "to": TO, "message": "x" });
    let unclear = service.post("/send?dry_run=perhaps", &body).await;
    unclear.assert_refused(400, "INVALID_DRY_RUN");
    let in_the_body = json!({ "cliente_id": 51, "to": TO, "message": "x", "dry_run": true });
    let would = service.post("/send", &in_the_body).await;
    assert_eq!(would.json()["dry_run"], true, "{}", would.text());
    service.disconnect(51).await;
    try_out(TO).await.assert_refused(503, "SESSION_NOT_READY");
    assert_eq!(service.messages(&account).await.len(), 5);
    assert_eq!(service.get("/messages").await.json()["count"], 5);
    service.stop();
}

/// In how many seconds a moment comes.
fn jiff_seconds(moment: &Value) -> f64 {
    let moment: jiff::Timestamp = moment.as_str().unwrap().parse().unwrap();
    let left = moment.duration_since(jiff::Timestamp::now());
    left.as_secs_f64()
}

#[tokio::test]
async fn a_number_is_asked_about_once_and_an_error_is_no_answer() {
    let (service, account) = Service::linked(&[]).await;
    service.sends(51, TO, "a").await;
    service
        .send(51, NOBODY, "b")
        .await
        .assert_refused(400, "NUMBER_NOT_ON_WHATSAPP");
    service
        .faults(json!({ "number_check": "network_error" }))
        .await;
    service.sends(51, TO, "c").await;
    service
        .send(51, NOBODY, "d")
        .await
        .assert_refused(400, "NUMBER_NOT_ON_WHATSAPP");
    service
        .send(51, OTHER, "e")
        .await
        .assert_refused(500, "SEND_FAILED");
    service.faults(json!({})).await;
    service.sends(51, OTHER, "f").await;
    assert_eq!(service.messages(&account).await, ["a", "c", "f"]);
    // What is wrong with one recipient is held against no adapter.
    let adapter = service.status("51").await["adapter"].clone();
    assert_eq!(adapter["serving"], "modules");
    assert_eq!(adapter["missing"], json!([]));
    service.stop();
}
