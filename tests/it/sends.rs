//! What becomes of a message, when all is well and when it is not.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reqwest::Method;
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::support::{Service, answer, chrome::pid_of};

const TO: &str = "5491158254201";
const OTHER: &str = "5491158254202";

#[tokio::test]
async fn messages_one_after_the_other_and_at_once_arrive_once_each_and_in_order() {
    let (service, account) = Service::linked(&[]).await;
    let texts: Vec<String> = (0..25).map(|n| format!("mensaje {n}")).collect();
    let (in_turn, at_once) = texts.split_at(5);
    for text in in_turn {
        let sent = service.sends(51, TO, text).await;
        assert!(sent["message_id"].as_str().unwrap().starts_with("true_"));
        assert!(sent["data"]["ack"].as_i64() >= Some(1), "{sent}");
    }
    join_all(at_once.iter().map(|text| service.sends(51, TO, text))).await;
    let mut arrived = service.messages(&account).await;
    assert_eq!(arrived[..5], *in_turn);
    arrived.sort_by_key(|text| texts.iter().position(|sent| sent == text));
    assert_eq!(arrived, texts);
    service.stop();
}

#[tokio::test]
async fn a_chrome_killed_before_the_acknowledgement_leaves_the_message_unconfirmed() {
    let (service, _) = Service::linked(&[]).await;
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
    let (service, account) = Service::linked(&[("SANDBOX_ACK_SECONDS", "0.5")]).await;
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
    let (service, account) = Service::linked(&[]).await;
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
    let (service, account) = Service::linked(&[("SEND_WAIT_SECONDS", "5")]).await;
    service.faults(json!({ "number_check": "never" })).await;
    let failed = service.send(51, TO, "nadie lo lee").await;
    failed.assert_refused(500, "SEND_FAILED");
    service.faults(json!({})).await;
    service.reaches("51", "READY").await;
    service.sends(51, TO, "alguien lo lee").await;
    assert_eq!(service.messages(&account).await, ["alguien lo lee"]);
    service.stop();
}

#[tokio::test]
async fn a_message_lost_on_the_way_is_pending_and_arrives_once_after_a_reconnect() {
    let (service, account) = Service::linked(&[("SEND_WAIT_SECONDS", "3")]).await;
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
    service.sends(51, TO, "y después").await;
    assert_eq!(
        service.messages(&account).await,
        ["alguien lo lee", "y después"]
    );
    service.stop();
}

#[tokio::test]
async fn a_session_of_which_more_is_asked_than_it_may_send_goes_on_at_its_pace() {
    const CALLERS: usize = 40;
    const LASTS: Duration = Duration::from_secs(6);
    let (service, account) = Service::linked(&[
        ("SEND_WAIT_SECONDS", "1"),
        ("SEND_RATE_PER_MINUTE", "600"),
        ("SEND_QUEUE_MAX", "1000"),
    ])
    .await;
    for to in [TO, OTHER] {
        service.sends(51, to, "antes").await;
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
    service.sends(51, TO, "al final").await;
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
    // A copy of the running profile, right after linking, would let the Chrome go on.
    let settings = [("SEND_WAIT_SECONDS", "3"), ("SNAPSHOT_EVERY_MINUTES", "0")];
    let (service, account) = Service::linked(&settings).await;
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
async fn what_a_page_took_while_it_could_not_store_it_goes_out_once_and_in_order_after_a_reload() {
    let (service, account) = Service::linked(&[("SEND_WAIT_SECONDS", "1")]).await;
    service.sends(51, TO, "antes").await;
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
