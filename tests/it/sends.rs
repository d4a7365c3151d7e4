//! What becomes of a message, when all is well and when it is not.

use serde_json::json;

use crate::{
    adapters::{CURRENT, bundle},
    support::{Answer, Service},
};

const TO: &str = "5491158254201";

#[tokio::test]
async fn messages_arrive_once_each_in_the_order_of_their_acceptance() {
    let service = Service::start(|_| {}).await;
    let account = service.link("51").await;
    let texts: Vec<String> = (0..10).map(|n| format!("mensaje {n}")).collect();
    for text in &texts {
        let sent = service.send(51, TO, text).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        let (id, ack) = (&sent.json()["message_id"], &sent.json()["data"]["ack"]);
        assert!(id.as_str().unwrap().starts_with("true_") && ack.as_i64() >= Some(1));
    }
    assert_eq!(service.messages(&account).await, texts);
    service.stop();
}

#[tokio::test]
async fn sends_at_the_same_time_all_arrive_once() {
    let service = Service::start(|_| {}).await;
    let account = service.link("51").await;
    let texts: Vec<String> = (0..20).map(|n| format!("mensaje {n}")).collect();
    let sends = texts.iter().map(|text| service.send(51, TO, text));
    for sent in futures_util::future::join_all(sends).await {
        assert_eq!(sent.status, 200, "{}", sent.text());
    }
    let mut arrived = service.messages(&account).await;
    arrived.sort_by_key(|text| texts.iter().position(|sent| sent == text));
    assert_eq!(arrived, texts);
    service.stop();
}

#[tokio::test]
async fn a_message_that_only_whatsapps_queue_has_is_pending() {
    let service = Service::start(|env| {
        env.insert("SEND_WAIT_SECONDS", "2".into());
    })
    .await;
    service.link("51").await;
    service.faults(json!({ "ack": "never" })).await;
    let pending = service.send(51, TO, "nadie lo lee").await;
    assert_eq!(pending.status, 202, "{}", pending.text());
    let body = pending.json();
    assert_eq!(
        (&body["message"], &body["data"]["ack"], &body["success"]),
        (&json!("Message pending"), &json!(0), &json!(true))
    );
    service.stop();
}

#[tokio::test]
async fn a_number_that_could_not_be_checked_is_not_said_to_be_unknown() {
    let service = Service::start(|_| {}).await;
    let account = service.link("51").await;
    service
        .faults(json!({ "number_check": "network_error" }))
        .await;
    let failed = service.send(51, TO, "nadie lo lee").await;
    failed.assert_refused(500, "SEND_FAILED");
    assert_eq!(service.messages(&account).await, [""; 0]);
    service.stop();
}

#[tokio::test]
async fn a_page_that_refuses_to_send_has_sent_nothing() {
    // What is typed instead would be in doubt.
    let service = Service::start(|env| {
        env.insert("ADAPTERS", "modules".into());
    })
    .await;
    let account = service.link("51").await;
    for fault in ["throws", "refused"] {
        service.faults(json!({ "send": fault })).await;
        let failed = service.send(51, TO, "nadie lo lee").await;
        assert_eq!(
            (failed.status, &failed.json()["code"]),
            (500, &json!("SEND_FAILED")),
            "{fault}: {}",
            failed.text()
        );
    }
    service.faults(json!({})).await;
    assert_eq!(service.send(51, TO, "alguien lo lee").await.status, 200);
    assert_eq!(service.messages(&account).await, ["alguien lo lee"]);
    service.stop();
}

#[tokio::test]
async fn a_chrome_killed_before_the_acknowledgement_leaves_the_message_unconfirmed() {
    let service = Service::start(|_| {}).await;
    service.link("51").await;
    service.faults(json!({ "ack": "never" })).await;
    let pid = service.status("51").await["chrome_pid"].as_u64().unwrap();
    let kill = async {
        service
            .phone_shows("a message", |state| state["sent"][0].is_object())
            .await;
        let pid = crate::support::chrome::pid_of(u32::try_from(pid).unwrap());
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    };
    let (sent, ()) = tokio::join!(service.send(51, TO, "nadie lo lee"), kill);
    sent.assert_refused(500, "SEND_UNCONFIRMED");
    assert!(
        sent.json()["message_id"]
            .as_str()
            .unwrap()
            .starts_with("true_")
    );
    service.stop();
}

#[tokio::test]
async fn a_disconnect_lets_a_message_on_its_way_arrive_and_says_so() {
    let service = Service::start(|env| {
        env.insert("SANDBOX_ACK_SECONDS", "0.5".into());
    })
    .await;
    let account = service.link("51").await;
    let disconnect = async {
        service
            .phone_shows("a message", |state| state["sent"][0].is_object())
            .await;
        service.disconnect(51).await
    };
    let (sent, disconnected) = tokio::join!(service.send(51, TO, "nadie lo lee"), disconnect);
    assert_eq!(sent.status, 200, "{}", sent.text());
    assert_eq!(disconnected.json()["message"], "Disconnected");
    assert_eq!(service.messages(&account).await, ["nadie lo lee"]);
    service.stop();
}

#[tokio::test]
async fn a_message_whose_queue_goes_with_the_link_is_unconfirmed() {
    let service = Service::start(|_| {}).await;
    let account = service.link("51").await;
    service.faults(json!({ "send": "lost" })).await;
    let unlink = async {
        service
            .status_when("51", "a moment for the send", |_| true)
            .await;
        service
            .phone("/phone/unlink", &json!({ "account": account }))
            .await
    };
    let (sent, unlinked) = tokio::join!(service.send(51, TO, "nadie lo lee"), unlink);
    assert_eq!(unlinked.status, 200);
    // Whether the unlink overtakes the hand-over is a matter of milliseconds; it must never be said to be pending.
    let code = sent.json()["code"].clone();
    let is_honest = ["SEND_UNCONFIRMED", "SESSION_NOT_READY", "SEND_FAILED"]
        .iter()
        .any(|honest| code == *honest);
    assert!(is_honest, "{}", sent.text());
    service.stop();
}

#[tokio::test]
async fn a_number_check_without_an_answer_ends_and_holds_up_nobody_for_long() {
    let service = Service::start(|env| {
        env.insert("SEND_WAIT_SECONDS", "5".into());
    })
    .await;
    let account = service.link("51").await;
    service.faults(json!({ "number_check": "never" })).await;
    let failed = service.send(51, TO, "nadie lo lee").await;
    failed.assert_refused(500, "SEND_FAILED");
    service.faults(json!({})).await;
    service.reaches("51", "READY").await;
    let sent = service.send(51, TO, "alguien lo lee").await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    assert_eq!(service.messages(&account).await, ["alguien lo lee"]);
    service.stop();
}

#[tokio::test]
async fn a_message_lost_on_the_way_is_pending_and_arrives_once_after_a_reconnect() {
    let service = Service::start(|env| {
        env.insert("SEND_WAIT_SECONDS", "3".into());
    })
    .await;
    let account = service.link("51").await;
    service.faults(json!({ "send": "lost" })).await;
    let pending = service.send(51, TO, "alguien lo lee").await;
    assert_eq!(pending.status, 202, "{}", pending.text());
    assert_eq!(service.messages(&account).await, [""; 0]);
    service.faults(json!({})).await;
    service.faults(json!({ "event": "socket_closed" })).await;
    let shown = service
        .phone_shows("the message", |state| state["sent"][0].is_object())
        .await;
    let id = pending.json()["message_id"].as_str().unwrap().to_owned();
    assert!(id.ends_with(shown["sent"][0]["id"].as_str().unwrap()));
    service.reaches("51", "READY").await;
    assert_eq!(service.send(51, TO, "y después").await.status, 200);
    assert_eq!(
        service.messages(&account).await,
        ["alguien lo lee", "y después"]
    );
    service.stop();
}

#[tokio::test]
async fn a_page_that_reloads_itself_in_a_send_has_sent_it_once() {
    for adapters in ["modules", "wa-js"] {
        let path = bundle(CURRENT);
        let service = Service::start(move |env| {
            env.insert("ADAPTERS", adapters.into());
            env.insert("WA_JS_PATH", path.into());
        })
        .await;
        let account = service.link("51").await;
        service.faults(json!({ "reload_in_send": true })).await;
        assert_open(&service.send(51, TO, "alguien lo lee").await);
        service.faults(json!({})).await;
        service.reaches("51", "READY").await;
        assert_eq!(service.send(51, TO, "y después").await.status, 200);
        assert_eq!(
            service.messages(&account).await,
            ["alguien lo lee", "y después"]
        );
        service.stop();
    }
}

/// The message is WhatsApp's: nothing is said that would make the caller send it again.
fn assert_open(answer: &Answer) {
    let is_unconfirmed = answer.json()["code"] == "SEND_UNCONFIRMED";
    let is_open = [200, 202].contains(&answer.status) || is_unconfirmed;
    assert!(is_open, "{}", answer.text());
}
