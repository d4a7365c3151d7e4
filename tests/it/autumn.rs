//! WhatsApp Web as it is in autumn 2026, with each adapter: what would end a session, a send or its truth there.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    adapters::{CURRENT, bundle},
    support::{Answer, Service},
};

const TO: &str = "5491158254201";
const OTHER: &str = "5511987654321";
const ADAPTERS: [&str; 3] = ["modules", "wa-js", "dom"];

async fn driven_by(adapters: &'static str, wait_seconds: &'static str) -> Service {
    Service::start(move |env| {
        env.insert("ADAPTERS", adapters.into());
        env.insert("WA_JS_PATH", bundle(CURRENT).into());
        env.insert("SEND_WAIT_SECONDS", wait_seconds.into());
        env.insert("SEND_RATE_PER_MINUTE", "0".into());
    })
    .await
}

async fn message(service: &Service, answer: &Answer) -> Value {
    let body = answer.json();
    let id = body["message_id"]
        .as_str()
        .unwrap_or_else(|| panic!("{body}"));
    service.get(&format!("/messages/{id}")).await.json()
}

/// The only send that is written down.
async fn only_message(service: &Service) -> Value {
    let listed = service.get("/messages?limit=1").await.json();
    listed["messages"][0].clone()
}

#[tokio::test]
async fn fifty_typed_messages_arrive_once_each_with_their_acknowledgement() {
    let service = driven_by("dom", "45").await;
    let account = service.link("51").await;
    let texts: Vec<String> = (0..50).map(|n| format!("mensaje {n}")).collect();
    for (n, text) in texts.iter().enumerate() {
        let sent = service.send(51, [TO, OTHER][n / 5 % 2], text).await;
        assert_eq!(sent.status, 200, "{text}: {}", sent.text());
        assert!(
            sent.json()["data"]["ack"].as_i64() >= Some(1),
            "{}",
            sent.text()
        );
    }
    assert_eq!(service.messages(&account).await, texts);
    let listed = service
        .get("/messages?cliente_id=51&limit=100")
        .await
        .json();
    let listed = listed["messages"].as_array().unwrap();
    let is_known = |message: &&Value| {
        ["sent", "delivered", "read"]
            .iter()
            .any(|state| message["state"] == *state)
            && message["adapter"] == "dom"
    };
    assert_eq!(listed.iter().filter(is_known).count(), 50, "{listed:#?}");
    service.stop();
}

#[tokio::test]
async fn the_notice_about_news_ends_no_link_with_any_adapter() {
    // Five minutes of the real page are a second and a half here, and half an hour is nine.
    for adapters in ADAPTERS {
        for language in ["en", "es", "pt"] {
            let service = driven_by(adapters, "45").await;
            let faults = json!({ "whats_new_logout_ms": 1500, "language": language });
            service.faults(faults).await;
            service.link("51").await;
            sleep(Duration::from_secs(9)).await;
            let status = service.status("51").await;
            assert_eq!(status["state"], "READY", "{adapters} {language}: {status}");
            let devices = service.phone_state().await["devices"].clone();
            assert_eq!(devices.as_array().unwrap().len(), 1, "{adapters}");
            service.stop();
        }
    }
}

#[tokio::test]
async fn the_notice_about_news_is_closed_by_its_button_when_its_module_is_gone() {
    let service = driven_by("modules,dom", "45").await;
    let missing = ["WAWebWhatsNewNux", "WAWebModalManager"];
    service
        .faults(json!({ "whats_new_logout_ms": 2500, "missing": missing }))
        .await;
    service.link("51").await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(service.status("51").await["state"], "READY");
    service.stop();
}

#[tokio::test]
async fn a_send_that_whatsapp_gives_up_has_failed_with_its_word() {
    for adapters in ADAPTERS {
        let service = driven_by(adapters, "12").await;
        let account = service.link("51").await;
        for (fault, word) in [
            (json!({ "send_result": "ERROR_EXPIRED" }), "ERROR_EXPIRED"),
            (
                json!({ "send_result": "ERROR_CANCELLED" }),
                "ERROR_CANCELLED",
            ),
            (json!({ "send": "rejected" }), "Contact is blocked"),
        ] {
            service.faults(fault).await;
            let failed = service.send(51, TO, "nadie lo lee").await;
            failed.assert_refused(500, "SEND_FAILED");
            // What is on the screen says no more than that.
            let word = if adapters == "dom" {
                "message-fail"
            } else {
                word
            };
            assert!(
                failed.text().contains(word),
                "{adapters}: {}",
                failed.text()
            );
        }
        service.faults(json!({})).await;
        assert_eq!(service.send(51, TO, "alguien lo lee").await.status, 200);
        assert_eq!(service.messages(&account).await, ["alguien lo lee"]);
        service.stop();
    }
}

#[tokio::test]
async fn a_failure_of_the_network_is_not_the_end_of_a_message() {
    for adapters in ["modules", "wa-js"] {
        let service = driven_by(adapters, "2").await;
        let account = service.link("51").await;
        service
            .faults(json!({ "send_result": "ERROR_NETWORK" }))
            .await;
        let open = service.send(51, TO, "alguien lo lee").await;
        assert_eq!(open.status, 202, "{adapters}: {}", open.text());
        service.faults(json!({})).await;
        service.faults(json!({ "event": "socket_closed" })).await;
        service
            .phone_shows("the message", |state| state["sent"][0].is_object())
            .await;
        service.reaches("51", "READY").await;
        assert_eq!(service.send(51, TO, "y después").await.status, 200);
        assert_eq!(
            service.messages(&account).await,
            ["alguien lo lee", "y después"]
        );
        assert_ne!(message(&service, &open).await["state"], "failed");
        service.stop();
    }
}

#[tokio::test]
async fn typing_does_without_any_one_mark_of_the_screen() {
    let service = driven_by("dom", "45").await;
    let account = service.link("51").await;
    let mut wanted = Vec::new();
    for faults in [
        json!({ "missing_marks": ["data-id"] }),
        json!({ "missing_marks": ["data-testid"] }),
        json!({ "missing_marks": ["wds-ic-send-filled", "send"] }),
        json!({ "missing_marks": ["tail-out"], "coarse_ticks": true }),
        json!({ "hidden_tab": true }),
        json!({ "lid_chats": true, "language": "pt" }),
    ] {
        service.faults(faults.clone()).await;
        for n in 0..2 {
            let text = format!("{n} con {faults}");
            let sent = service.send(51, TO, &text).await;
            assert_eq!(sent.status, 200, "{faults}: {}", sent.text());
            wanted.push(text);
        }
    }
    assert_eq!(service.messages(&account).await, wanted);
    service.stop();
}

#[tokio::test]
async fn ticks_are_not_taken_for_more_than_they_say() {
    let service = driven_by("dom", "45").await;
    service.link("51").await;
    service
        .faults(json!({ "coarse_ticks": true, "ack": "no_receipts" }))
        .await;
    let sent = service.send(51, TO, "nadie lo lee").await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    sleep(Duration::from_secs(2)).await;
    assert_eq!(only_message(&service).await["state"], "sent");
    service.stop();
}

#[tokio::test]
async fn collections_are_found_in_their_second_home() {
    let service = driven_by("modules", "45").await;
    let missing = ["WAWebChatCollection", "WAWebMsgCollection"];
    service.faults(json!({ "missing": missing })).await;
    let account = service.link("51").await;
    assert_eq!(service.send(51, TO, "alguien lo lee").await.status, 200);
    assert_eq!(service.messages(&account).await, ["alguien lo lee"]);
    let missing = &service.status("51").await["adapter"]["missing"];
    assert_eq!(missing, &json!([]));
    service.stop();
}

#[tokio::test]
async fn the_progress_of_the_sync_is_told() {
    let service = driven_by("modules", "45").await;
    service.faults(json!({ "sync_ms": 6000 })).await;
    service.connect("51").await;
    service.scan(&service.code("51").await).await;
    service
        .status_when("51", "part of the sync", |status| {
            status["sync_percent"]
                .as_u64()
                .is_some_and(|percent| percent > 0)
        })
        .await;
    service.reaches("51", "READY").await;
    service.stop();
}

#[tokio::test]
async fn a_notice_that_is_not_known_is_named_by_its_first_words() {
    let service = driven_by("dom", "45").await;
    let notice = "Tus chats de 5491158254201 ahora tienen un candado nuevo, que puedes abrir en los ajustes cuando quieras";
    service.faults(json!({ "notice": notice })).await;
    service.connect("51").await;
    service.scan(&service.code("51").await).await;
    let status = service
        .status_when("51", "the notice", |status| {
            status["detail"].to_string().contains("Tus chats")
        })
        .await;
    let detail = status["detail"].as_str().unwrap();
    assert!(
        detail.contains("Tus chats de … ahora tienen un candado"),
        "{detail}"
    );
    assert!(!detail.contains("cuando quieras"), "{detail}");
    service.stop();
}

#[tokio::test]
async fn nothing_reads_the_status_updates_of_others() {
    for adapters in ["modules", "wa-js"] {
        let service = driven_by(adapters, "1").await;
        service
            .faults(
                json!({ "status_read_revokes": true, "self_reload_ms": 12_000, "send": "lost" }),
            )
            .await;
        service.link("51").await;
        // One that is in doubt is looked up in all chats.
        assert_eq!(service.send(51, TO, "nadie lo lee").await.status, 202);
        service.faults(json!({ "event": "reload" })).await;
        service.reaches("51", "READY").await;
        sleep(Duration::from_secs(14)).await;
        service.reaches("51", "READY").await;
        let devices = service.phone_state().await["devices"].clone();
        assert_eq!(devices.as_array().unwrap().len(), 1, "{adapters}");
        service.stop();
    }
}

#[tokio::test]
async fn a_notice_over_the_chats_is_named_and_closed_with_every_adapter() {
    for adapters in ADAPTERS {
        let service = driven_by(adapters, "12").await;
        let path = "/sessions/51/notice/dismiss";
        let down = service.post(path, &json!({})).await;
        down.assert_refused(409, "SESSION_NOT_RUNNING");
        service
            .faults(json!({ "notice": "Llame al 5491158254201: conoce los canales" }))
            .await;
        service.connect(51).await;
        let account = service.scan(&service.code("51").await).await;
        let shown = service
            .status_when("51", "the notice", |status| status["notice"].is_string())
            .await;
        let words = shown["notice"].as_str().unwrap();
        assert!(
            words.starts_with("Llame al …: conoce"),
            "{adapters}: {words}"
        );
        let (state, reason) = if adapters == "dom" {
            ("AUTHENTICATED", "ADAPTER_BROKEN")
        } else {
            ("READY", "NOTICE_SHOWN")
        };
        let shown = service
            .status_when("51", "its reason", |status| status["reason"] == reason)
            .await;
        assert_eq!(shown["state"], state, "{adapters}: {shown}");
        let detail = shown["detail"].as_str().unwrap();
        assert!(
            detail.contains("conoce los canales") && detail.contains("notice/dismiss"),
            "{adapters}: {detail}"
        );

        let closed = service.post(path, &json!({})).await;
        assert_eq!(closed.status, 200, "{adapters}: {}", closed.text());
        assert_eq!(closed.json()["notice"], words, "{adapters}");
        let ready = service
            .status_when("51", "no notice", |status| {
                status["notice"].is_null() && status["state"] == "READY"
            })
            .await;
        assert_eq!(ready["reason"], Value::Null, "{adapters}: {ready}");
        let again = service.post(path, &json!({})).await;
        again.assert_refused(409, "NO_NOTICE");
        assert_eq!(service.send(51, TO, "hola").await.status, 200, "{adapters}");
        assert_eq!(service.messages(&account).await, ["hola"], "{adapters}");
        service.stop();
    }
}

#[tokio::test]
async fn a_dialog_that_asks_something_is_not_named_and_no_button_of_it_is_pressed() {
    for adapters in ADAPTERS {
        let service = driven_by(adapters, "12").await;
        service
            .faults(json!({ "question": "¿Eliminar el chat con Ana?" }))
            .await;
        service.connect(51).await;
        service.scan(&service.code("51").await).await;
        let wanted = if adapters == "dom" {
            "AUTHENTICATED"
        } else {
            "READY"
        };
        service.reaches("51", wanted).await;
        let path = "/sessions/51/notice/dismiss";
        // The dialog comes with the chats, a moment after the state.
        let until = std::time::Instant::now() + Duration::from_secs(20);
        let refused = loop {
            let refused = service.post(path, &json!({})).await;
            let is_there = refused.json()["code"] != "NO_NOTICE";
            if is_there || std::time::Instant::now() > until {
                break refused;
            }
            sleep(Duration::from_millis(100)).await;
        };
        refused.assert_refused(409, "NOTICE_WITH_CHOICE");
        assert!(!refused.text().contains("Ana"), "{adapters}");
        let status = service.status("51").await;
        assert_eq!(status["notice"], Value::Null, "{adapters}: {status}");
        assert!(!status.to_string().contains("Ana"), "{adapters}: {status}");
        if adapters == "dom" {
            let is_told = |status: &Value| {
                let detail = status["detail"].as_str().unwrap_or_default();
                status["reason"] == "ADAPTER_BROKEN" && detail.contains("asks something")
            };
            service
                .status_when("51", "what is in the way", is_told)
                .await;
        }
        let again = service.post(path, &json!({})).await;
        again.assert_refused(409, "NOTICE_WITH_CHOICE");
        service.stop();
    }
}

#[tokio::test]
async fn the_notice_about_news_is_known_by_its_button_in_any_language() {
    // Without its module, and in a language of which the service knows no word.
    let faults = json!({
        "whats_new_logout_ms": 2500, "language": "ar",
        "missing": ["WAWebWhatsNewNux", "WAWebModalManager"],
    });
    for adapters in ADAPTERS {
        let service = driven_by(adapters, "45").await;
        service.faults(faults.clone()).await;
        service.link("51").await;
        sleep(Duration::from_secs(5)).await;
        let status = service.status("51").await;
        assert_eq!(status["state"], "READY", "{adapters}: {status}");
        assert_eq!(status["notice"], Value::Null, "{adapters}: {status}");
        service.stop();
    }
}
