//! Sends that are written down first: the same request again, before and after an end of the service.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, Service, answer,
    terminal::{Running, command},
};

mod disk;
mod messages;
mod moved;
mod queue;

const TO: &str = "5491158254201";
const OTHER: &str = "5491158254202";
const NOBODY: &str = "5491158250000";

/// A send with an idempotency key in its header.
async fn keyed(service: &Service, key: &str, to: &str, text: &str) -> Answer {
    let body = json!({ "cliente_id": 51, "to": to, "message": text });
    let request = service.request(Method::POST, "/send");
    answer(request.header("Idempotency-Key", key).json(&body)).await
}

/// A durable send.
async fn later(service: &Service, to: &str, text: &str) -> Answer {
    let body = json!({ "cliente_id": 51, "to": to, "message": text, "async": true });
    service.post("/send", &body).await
}

/// What `/messages` knows of one.
async fn message(service: &Service, id: &str) -> Value {
    service.get(&format!("/messages/{id}")).await.json()
}

/// Waits until a message is in a state, and gives it.
pub(crate) async fn becomes(service: &Service, id: &str, state: &str) -> Value {
    let mut last = Value::Null;
    let becomes = async {
        while last["state"] != state {
            last = message(service, id).await;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let became = tokio::time::timeout(crate::support::chrome::PATIENCE, becomes).await;
    assert!(became.is_ok(), "{id} did not become {state}; it is {last}");
    last
}

/// Waits until the server has so many messages of an account.
async fn arrive(service: &Service, account: &str, count: usize) -> Vec<String> {
    let of_account = |state: &Value| {
        let sent = state["sent"].as_array().map_or(&[][..], Vec::as_slice);
        sent.iter()
            .filter(|sent| sent["account"] == account)
            .count()
    };
    service
        .phone_shows("as many messages", |state| of_account(state) >= count)
        .await;
    service.messages(account).await
}

fn id_of(answer: &Answer) -> String {
    let id = answer.json()["message_id"].as_str().map(str::to_owned);
    id.unwrap_or_else(|| panic!("no message_id: {}", answer.text()))
}

#[tokio::test]
async fn the_same_request_at_once_and_again_is_one_message_and_one_answer_however_the_service_ends()
{
    let (service, account) = Service::linked(&[]).await;
    let at_once = (0..20).map(|_| keyed(&service, "order-7", TO, "hola"));
    let answers = futures_util::future::join_all(at_once).await;
    let ids: BTreeSet<_> = answers.iter().map(id_of).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert!(answers.iter().all(|answer| answer.status == 200));
    let replayed = answers
        .iter()
        .filter(|answer| answer.header("idempotent-replayed") == Some("true"));
    assert_eq!(replayed.count(), 19);
    let first = answers[0].json();
    becomes(&service, &id_of(&answers[0]), "read").await;

    let service = Service::start_in(service.kill(), |_| {}).await;
    assert_eq!(keyed(&service, "order-7", TO, "hola").await.json(), first);
    let service = Service::start_in(service.stop(), |_| {}).await;
    let again = keyed(&service, "order-7", TO, "hola").await;
    assert_eq!((again.status, again.json()), (200, first));

    let other = keyed(&service, "order-7", TO, "adiós").await;
    other.assert_refused(422, "IDEMPOTENCY_KEY_REUSED");
    let other = keyed(&service, "order-7", OTHER, "hola").await;
    other.assert_refused(422, "IDEMPOTENCY_KEY_REUSED");
    service.connect(51).await;
    service.reaches("51", "READY").await;
    assert_eq!(service.messages(&account).await, ["hola"]);
    service.stop();
}

#[tokio::test]
async fn a_send_that_failed_for_its_own_sake_keeps_its_key_and_one_that_could_not_be_checked_does_not()
 {
    let (service, account) = Service::linked(&[]).await;
    let refused = keyed(&service, "order-7", NOBODY, "hola").await;
    refused.assert_refused(400, "NUMBER_NOT_ON_WHATSAPP");
    service.faults(json!({ "send": "refused" })).await;
    let failed = keyed(&service, "order-8", TO, "hola").await;
    failed.assert_refused(500, "SEND_FAILED");
    // A number that could not be checked says nothing about the message: its key is free.
    service
        .faults(json!({ "number_check": "network_error" }))
        .await;
    let unchecked = keyed(&service, "order-9", OTHER, "hola").await;
    unchecked.assert_refused(500, "SEND_FAILED");
    service.faults(json!({})).await;
    let sent = keyed(&service, "order-9", OTHER, "hola").await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    assert_eq!(sent.header("idempotent-replayed"), None);

    let service = Service::start_in(service.stop(), |_| {}).await;
    service.connect(51).await;
    service.reaches("51", "READY").await;
    let again = keyed(&service, "order-7", NOBODY, "hola").await;
    assert_eq!(again.json(), refused.json());
    let again = keyed(&service, "order-8", TO, "hola").await;
    assert_eq!(again.json(), failed.json());
    assert_eq!(service.messages(&account).await, ["hola"]);
    service.stop();
}

#[tokio::test]
async fn a_refusal_that_says_nothing_about_the_message_frees_its_key() {
    let (service, account) =
        Service::linked(&[("SEND_RATE_PER_MINUTE", "1"), ("SEND_WAIT_SECONDS", "5")]).await;
    service.disconnect(51).await;
    let refused = keyed(&service, "order-7", TO, "a").await;
    refused.assert_refused(503, "SESSION_NOT_READY");
    service.connect(51).await;
    service.reaches("51", "READY").await;
    let sent = keyed(&service, "order-7", TO, "a").await;
    assert_eq!(
        (sent.status, sent.header("idempotent-replayed")),
        (200, None)
    );
    for n in 1..5 {
        service.sends(51, TO, &n.to_string()).await;
    }
    let refused = keyed(&service, "order-8", TO, "b").await;
    refused.assert_refused(429, "QUEUE_TIMEOUT");
    let service = Service::start_in(service.stop(), |_| {}).await;
    service.connect(51).await;
    service.reaches("51", "READY").await;
    let sent = keyed(&service, "order-8", TO, "b").await;
    assert_eq!(
        (sent.status, sent.header("idempotent-replayed")),
        (200, None)
    );
    let arrived = service.messages(&account).await;
    assert_eq!(arrived, ["a", "1", "2", "3", "4", "b"]);
    service.stop();
}

#[tokio::test]
async fn a_key_stands_in_the_header_or_in_the_body_and_must_be_one() {
    let (service, account) = Service::linked(&[]).await;
    let ask = async |header: Option<&str>, in_body: Value| {
        let body =
            json!({ "cliente_id": 51, "to": TO, "message": "hola", "idempotency_key": in_body });
        let request = service.request(Method::POST, "/send").json(&body);
        answer(match header {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        })
        .await
    };
    let sent = ask(None, json!("order-7")).await;
    for again in [
        ask(Some("order-7"), Value::Null).await,
        ask(Some("order-7"), json!("order-7")).await,
    ] {
        assert_eq!(again.json(), sent.json());
    }
    for (header, in_body) in [
        (Some("order-7"), json!("order-8")),
        (None, json!(7)),
        (None, json!(" ")),
        (Some("ñ"), Value::Null),
        (None, json!("x".repeat(256))),
    ] {
        let refused = ask(header, in_body).await;
        refused.assert_refused(400, "INVALID_IDEMPOTENCY_KEY");
    }
    assert_eq!(service.messages(&account).await, ["hola"]);
    service.stop();
}

#[tokio::test]
async fn without_a_key_the_same_content_is_one_message_where_that_is_asked_for() {
    let (service, account) = Service::linked(&[("SEND_DEDUP_SECONDS", "60")]).await;
    let (one, other) = tokio::join!(service.send(51, TO, "a"), service.send(51, TO, "a"));
    assert_eq!(id_of(&one), id_of(&other));
    assert_ne!(id_of(&service.send(51, TO, "b").await), id_of(&one));
    assert_ne!(id_of(&service.send(51, OTHER, "a").await), id_of(&one));
    let with_key = keyed(&service, "order-7", TO, "a").await;
    assert_ne!(id_of(&with_key), id_of(&one), "a key says that it is meant");
    assert_eq!(service.messages(&account).await.len(), 4);

    let service = Service::start_in(service.stop(), |_| {}).await;
    service.connect(51).await;
    service.reaches("51", "READY").await;
    service.sends(51, TO, "a").await;
    assert_eq!(service.messages(&account).await.len(), 5, "0 is off");
    service.stop();
}

#[tokio::test]
async fn what_was_accepted_for_later_goes_out_once_and_in_order_after_the_service_was_killed() {
    let (service, account) = Service::linked(&[]).await;
    service.faults(json!({ "socket": "refuse" })).await;
    service.reaches("51", "AUTHENTICATED").await;
    let refused = service.send(51, TO, "now").await;
    refused.assert_refused(503, "SESSION_NOT_READY");
    let mut ids = Vec::new();
    for (n, to) in [TO, OTHER, TO].into_iter().enumerate() {
        let accepted = later(&service, to, &n.to_string()).await;
        assert_eq!(accepted.status, 202, "{}", accepted.text());
        assert_eq!(accepted.json()["message_state"], "queued");
        ids.push(id_of(&accepted));
    }
    let service = Service::start_in(service.kill(), |_| {}).await;
    assert_eq!(arrive(&service, &account, 3).await, ["0", "1", "2"]);
    for id in &ids {
        becomes(&service, id, "read").await;
    }
    assert_eq!(service.messages(&account).await.len(), 3);
    service.stop();
}

#[tokio::test]
async fn what_was_accepted_while_the_network_is_lost_goes_out_when_it_is_back() {
    let (service, account) = Service::linked(&[]).await;
    service.faults(json!({ "socket": "refuse" })).await;
    service.reaches("51", "AUTHENTICATED").await;
    let body = json!({ "cliente_id": 51, "to": TO, "message": "hola" });
    let request = service.request(Method::POST, "/send").json(&body);
    let accepted = answer(request.header("Prefer", "respond-async, wait=10")).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    service.faults(json!({})).await;
    let delivered = becomes(&service, &id_of(&accepted), "read").await;
    assert!(
        delivered["message_id"]
            .as_str()
            .unwrap()
            .starts_with("true_"),
        "{delivered}"
    );
    assert_eq!(service.messages(&account).await, ["hola"]);
    service.stop();
}

#[tokio::test]
async fn a_service_whose_ledger_another_one_has_says_so_when_it_starts() {
    let first = Service::with(&[]).await;
    first.link("51").await;
    assert_eq!(first.send(51, TO, "hola").await.status, 200);
    let data = first.home().data();
    let settings = [
        ("DATA_DIR", data.to_str().unwrap()),
        ("TOKENS_DIR", "tokens-of-the-second"),
        ("RESTORE_SESSIONS", "false"),
        ("PORT", "0"),
        ("SANDBOX_PORT", "0"),
    ];
    let second = command(&["--sandbox"], &settings, first.home().path());
    let mut second = Running::piped(second);
    second
        .shows("who has the ledger", |log| {
            log.contains("another program has it open")
        })
        .await;
    second.interrupt();
    assert_eq!(second.ends(), 0);
    first.stop();
}
