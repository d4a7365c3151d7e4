//! The adapter `dom`: what a person sees and types, without one of the page's modules.

use serde_json::{Value, json};

use crate::support::{Answer, Service};

const TO: &str = "5491158254201";
const OTHER: &str = "5511987654321";
const NOBODY: &str = "5491158250000";

async fn typing() -> Service {
    Service::start(|env| {
        env.insert("ADAPTERS", "dom".into());
    })
    .await
}

fn assert_sent(answer: &Answer) {
    let sent = answer.json();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = sent["message_id"].as_str().unwrap();
    assert!(id.starts_with("true_"), "{id}");
    assert!(sent["data"]["ack"].as_i64() >= Some(1), "{sent}");
}

/// What was sent, as recipient and text.
async fn sent(service: &Service) -> Vec<(String, String)> {
    let state = service.phone_state().await;
    let text = |message: &Value, field: &str| message[field].as_str().unwrap().to_owned();
    let mut sent: Vec<_> = state["sent"].as_array().unwrap().clone();
    sent.sort_by_key(|message| message["at"].as_i64());
    sent.iter()
        .map(|message| (text(message, "to"), text(message, "body")))
        .collect()
}

#[tokio::test]
async fn texts_are_typed_exactly_once_each_and_in_order() {
    let service = typing().await;
    let account = service.link("51").await;
    let long = "Ñandú 🧉 1234567. ".repeat(70) + "end";
    let texts = [
        "hola a todos",
        "¡Hola, ñandú! 🧉👨‍👩‍👧\n  second line",
        "   leading spaces",
        "one\n\n\ntwo\n\tthree\n",
        "*bold* _slanted_ <b>no</b> &amp; `code`",
        "/start",
        "hola a todos",
        long.as_str(),
        "uno\r\ndos\rtres",
    ];
    for text in texts {
        assert_sent(&service.send(51, TO, text).await);
    }
    // Every kind of line break is one, as by the other adapters.
    let typed = texts.map(|text| text.replace("\r\n", "\n").replace('\r', "\n"));
    assert_eq!(service.messages(&account).await, typed);
    let status = service.status("51").await;
    assert_eq!(
        (&status["state"], &status["adapter"]["serving"]),
        (&json!("READY"), &json!("dom")),
        "{status}"
    );
    let said = service.log();
    for secret in [TO, "ñandú", "leading spaces", "slanted"] {
        assert!(!said.contains(secret), "the log holds {secret:?}");
    }
    service.stop();
}

#[tokio::test]
async fn recipients_in_turn_each_get_their_own() {
    let service = typing().await;
    service.link("51").await;
    let mut wanted = Vec::new();
    for n in 0..3 {
        for to in [TO, OTHER] {
            let text = format!("{n} to {to}");
            assert_sent(&service.send(51, to, &text).await);
            wanted.push((to.to_owned(), text));
        }
    }
    assert_eq!(sent(&service).await, wanted);
    service.stop();
}

#[tokio::test]
async fn a_session_stays_ready_while_its_page_loads_for_the_next_chat() {
    let service = typing().await;
    service.link("51").await;
    // Longer than the grace of a reconnect.
    service.faults(json!({ "sync_ms": 7000 })).await;
    let (one, other) = tokio::join!(
        service.send(51, TO, "uno de dos"),
        service.send(51, OTHER, "otro texto")
    );
    assert_sent(&one);
    assert_sent(&other);
    assert_eq!(service.log().matches("became READY").count(), 1);
    assert_eq!(service.status("51").await["state"], "READY");
    service.stop();
}

#[tokio::test]
async fn an_unknown_number_is_said_in_each_language_and_harms_no_other_send() {
    let service = typing().await;
    let account = service.link("51").await;
    for language in ["en", "es", "pt"] {
        service.faults(json!({ "language": language })).await;
        let refused = service.send(51, NOBODY, "nadie lo lee").await;
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (400, &json!("NUMBER_NOT_ON_WHATSAPP")),
            "{language}: {}",
            refused.text()
        );
        assert_sent(&service.send(51, TO, &format!("texto en {language}")).await);
    }
    assert_eq!(
        service.messages(&account).await,
        ["texto en en", "texto en es", "texto en pt"]
    );
    assert_eq!(service.status("51").await["state"], "READY");
    let home = service.stop();

    // The link outlives the service, and the screen alone shows it.
    let service = Service::start_in(home, |env| {
        env.insert("ADAPTERS", "dom".into());
    })
    .await;
    service.reaches("51", "READY").await;
    assert_sent(&service.send(51, TO, "otra vez").await);
    assert_eq!(service.messages(&account).await.last().unwrap(), "otra vez");
    service.stop();
}

#[tokio::test]
async fn a_chat_that_is_not_proven_to_be_the_recipients_gets_nothing() {
    let service = typing().await;
    let account = service.link("51").await;
    assert_sent(&service.send(51, TO, "primer texto").await);
    // Rows of `matrix` hold that a wrong chat and a saved name prove nothing.
    service.faults(json!({ "route": "ignored" })).await;
    let refused = service.send(51, OTHER, "nadie lo lee").await;
    refused.assert_refused(500, "SEND_FAILED");
    // In older builds the ids of what was said in the chat prove whose it is.
    let early = json!({ "named_chats": true, "build": "early-2026" });
    service.faults(early).await;
    assert_sent(&service.send(51, TO, "con nombre").await);
    service.faults(json!({ "lid_chats": true })).await;
    assert_sent(&service.send(51, OTHER, "por LID").await);
    assert_eq!(
        service.messages(&account).await,
        ["primer texto", "con nombre", "por LID"]
    );
    service.stop();
}

#[tokio::test]
async fn a_message_without_a_tick_is_pending_and_the_next_one_still_goes() {
    let (service, account) =
        Service::linked(&[("ADAPTERS", "dom"), ("SEND_WAIT_SECONDS", "12")]).await;
    service.faults(json!({ "ack": "never" })).await;
    assert_eq!(service.send(51, TO, "uno de dos").await.status, 202);
    assert_eq!(service.send(51, OTHER, "dos de dos").await.status, 202);
    assert_eq!(
        service.messages(&account).await,
        ["uno de dos", "dos de dos"]
    );
    service.stop();
}

#[tokio::test]
async fn the_banner_of_a_lost_connection_takes_ready_away() {
    let service = typing().await;
    service.link("51").await;
    service.faults(json!({ "socket": "refuse" })).await;
    service.reaches("51", "AUTHENTICATED").await;
    service.faults(json!({})).await;
    service.reaches("51", "READY").await;
    let refused = service
        .post("/disconnect", &json!({ "cliente_id": 51, "logout": true }))
        .await;
    assert!(refused.text().contains("phone"), "{}", refused.text());
    service.stop();
}
