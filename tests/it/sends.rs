//! What becomes of a message, when all is well and when it is not.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reqwest::Method;
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::{
    adapters::{CURRENT, bundle},
    support::{Answer, Service, answer, chrome::pid_of},
};

const TO: &str = "5491158254201";
const OTHER: &str = "5491158254202";

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

#[tokio::test]
async fn a_session_of_which_more_is_asked_than_it_may_send_goes_on_at_its_pace() {
    const CALLERS: usize = 40;
    const LASTS: Duration = Duration::from_secs(6);
    let service = Service::start(|env| {
        env.insert("SEND_WAIT_SECONDS", "1".into());
        env.insert("SEND_RATE_PER_MINUTE", "600".into());
        env.insert("SEND_QUEUE_MAX", "1000".into());
    })
    .await;
    let account = service.link("51").await;
    for to in [TO, OTHER] {
        assert_eq!(service.send(51, to, "antes").await.status, 200);
    }
    let end = Instant::now() + LASTS;
    let service_ref = &service;
    let callers = (0..CALLERS).map(|caller| async move {
        let mut promised = Vec::new();
        for number in 0.. {
            if end < Instant::now() {
                break;
            }
            let text = format!("{caller}/{number}");
            let to = [TO, OTHER][number % 2];
            let body = json!({ "cliente_id": 51, "to": to, "message": text });
            // Thousands of texts are too many to be looked for in the log.
            let request = service_ref.request(Method::POST, "/send").json(&body);
            let answered = answer(request).await;
            match answered.status {
                200 | 202 => promised.push(text),
                // As a caller does that is told to come back later.
                429 => tokio::time::sleep(Duration::from_millis(50)).await,
                _ => panic!("{}", answered.text()),
            }
        }
        promised
    });
    let promised = join_all(callers).await.concat();
    // Ten a second are allowed; a busy machine sends fewer.
    assert!(promised.len() > 30, "only {} were sent", promised.len());
    assert_eq!(service.send(51, TO, "al final").await.status, 200);
    let arrived = service.messages(&account).await;
    let once: HashSet<&String> = arrived.iter().filter(|text| *text != "antes").collect();
    assert_eq!(once.len() + 2, arrived.len(), "some are doubled");
    for text in &promised {
        assert!(once.contains(text), "{text} was promised");
    }
    assert_eq!(arrived.last().unwrap(), "al final");
    service.stop();
}

#[tokio::test]
async fn a_chrome_that_was_stopped_while_a_send_was_prepared_leaves_its_key_free() {
    let service = Service::start(|env| {
        env.insert("SEND_WAIT_SECONDS", "3".into());
    })
    .await;
    let account = service.link("51").await;
    let chrome = service.status("51").await["chrome_pid"].as_u64().unwrap();
    let chrome = pid_of(u32::try_from(chrome).unwrap());
    let request =
        json!({ "cliente_id": 51, "to": TO, "message": "hola", "idempotency_key": "order-7" });
    kill_process(chrome, Signal::STOP).unwrap();
    let refused = service.post("/send", &request).await;
    kill_process(chrome, Signal::CONT).unwrap();
    // Whichever comes first: the caller's time is over, or the Chrome is given up.
    let code = refused.json()["code"].clone();
    assert!(
        code == "QUEUE_TIMEOUT" || code == "SESSION_NOT_READY",
        "{}",
        refused.text()
    );
    service.reaches("51", "READY").await;
    let sent = service.post("/send", &request).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    assert_eq!(sent.header("idempotent-replayed"), None);
    assert_eq!(service.messages(&account).await, ["hola"]);
    service.stop();
}

#[tokio::test]
async fn a_number_that_could_not_be_checked_leaves_the_key_free() {
    let service = Service::start(|_| {}).await;
    let account = service.link("51").await;
    service
        .faults(json!({ "number_check": "network_error" }))
        .await;
    let request =
        json!({ "cliente_id": 51, "to": TO, "message": "hola", "idempotency_key": "order-7" });
    let failed = service.post("/send", &request).await;
    failed.assert_refused(500, "SEND_FAILED");
    service.faults(json!({})).await;
    let sent = service.post("/send", &request).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    assert_eq!(service.messages(&account).await, ["hola"]);
    service.stop();
}

#[tokio::test]
async fn what_a_page_took_while_it_could_not_store_it_goes_out_once_and_in_order_after_a_reload() {
    let service = Service::start(|env| {
        env.insert("SEND_WAIT_SECONDS", "1".into());
    })
    .await;
    let account = service.link("51").await;
    assert_eq!(service.send(51, TO, "antes").await.status, 200);
    service.faults(json!({ "storage": "full" })).await;
    assert_eq!(service.send(51, TO, "sin lugar").await.status, 202);
    service.faults(json!({})).await;
    let pending = service.send(51, TO, "con lugar").await;
    assert_eq!(pending.status, 202, "the page does not recover by itself");
    assert_eq!(service.messages(&account).await, ["antes"]);
    service.faults(json!({ "event": "reload" })).await;
    service
        .phone_shows("all three", |state| {
            state["sent"].as_array().is_some_and(|sent| sent.len() == 3)
        })
        .await;
    let all = ["antes", "sin lugar", "con lugar"];
    assert_eq!(service.messages(&account).await, all);
    service.stop();
}
