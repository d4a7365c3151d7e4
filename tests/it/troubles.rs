//! What WhatsApp Web says when it does not work, and what the session makes of it.

use serde_json::{Value, json};

use crate::{
    adapters::{CURRENT, bundle},
    support::Service,
};

/// A linked session, then a fault.
async fn linked_then(fault: Value, with: &[(&'static str, &str)]) -> Service {
    let service = Service::start(|env| {
        for (name, value) in with {
            env.insert(name, value.into());
        }
    })
    .await;
    service.link("51").await;
    service.faults(fault).await;
    service
}

#[tokio::test]
async fn an_account_opened_elsewhere_is_taken_back() {
    let service = linked_then(json!({ "event": "conflict" }), &[]).await;
    // How long it is away is too short to be seen for sure; the log has it.
    service
        .logs("took the account over from another window")
        .await;
    service.reaches("51", "READY").await;
    let sent = service.send(51, "5491158254201", "nadie lo lee").await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    service.stop();
}

#[tokio::test]
async fn an_account_opened_elsewhere_is_left_there_when_that_is_wanted() {
    let service = linked_then(json!({ "event": "conflict" }), &[("TAKE_OVER", "false")]).await;
    let asleep = service.reaches("51", "AUTHENTICATED").await;
    assert_eq!(asleep["reason"], "OPENED_ELSEWHERE", "{asleep}");
    let refused = service.send(51, "5491158254201", "nadie lo lee").await;
    assert_eq!(refused.json()["code"], "SESSION_NOT_READY");
    service.stop();
}

#[tokio::test]
async fn a_ban_and_a_broken_storage_need_a_person() {
    for (event, reason) in [
        ("ban", "TEMPORARILY_BANNED"),
        ("storage_error", "STORAGE_ERROR"),
    ] {
        let service = linked_then(json!({ "event": event }), &[]).await;
        let ended = service.reaches("51", "ERROR").await;
        assert_eq!(ended["reason"], reason, "{ended}");
        assert!(ended["detail"].as_str().unwrap().len() > 20, "{ended}");
        service.home().assert_nobody_is_left();
        service.stop();
    }
}

#[tokio::test]
async fn a_silent_loss_of_the_network_takes_ready_away_soon_after_the_page_knows() {
    let fault = json!({ "socket": "silent", "silence_noticed_ms": 3000 });
    let service = linked_then(fault, &[]).await;
    let lost = service.reaches("51", "AUTHENTICATED").await;
    assert_eq!(lost["reason"], "NETWORK_LOST", "{lost}");
    service.faults(json!({})).await;
    service.reaches("51", "READY").await;
    service.stop();
}

#[tokio::test]
async fn a_page_that_loads_itself_anew_is_ready_again() {
    let service = linked_then(json!({ "event": "reload" }), &[]).await;
    service.reaches("51", "READY").await;
    let sent = service.send(51, "5491158254201", "nadie lo lee").await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    service.stop();
}

/// The real page hears of a newer build several times a day, and goes on working.
#[tokio::test]
async fn a_page_that_a_newer_build_is_there_for_stays_ready_and_sends() {
    for adapters in ["modules", "wa-js", "dom"] {
        let path = bundle(CURRENT);
        let service = Service::start(move |env| {
            env.insert("ADAPTERS", adapters.into());
            env.insert("WA_JS_PATH", path.into());
        })
        .await;
        let account = service.link("51").await;
        service.faults(json!({ "event": "needs_update" })).await;
        let sent = service.send(51, "5491158254201", "alguien lo lee").await;
        assert_eq!(sent.status, 200, "{adapters}: {}", sent.text());
        assert_eq!(service.messages(&account).await, ["alguien lo lee"]);
        let status = service.status("51").await;
        assert_eq!(
            (&status["state"], status.get("reason")),
            (&json!("READY"), None)
        );
        assert_eq!(service.log().matches("became READY").count(), 1);
        service.stop();
    }
}

#[tokio::test]
async fn modules_that_come_late_are_waited_for() {
    let service = Service::start(|_| {}).await;
    service.faults(json!({ "modules_delay_ms": 3000 })).await;
    service.link("51").await;
    assert_eq!(service.status("51").await["adapter"]["serving"], "modules");
    service.stop();
}

#[tokio::test]
async fn a_slow_sync_says_how_far_it_is() {
    let service = Service::start(|_| {}).await;
    service.faults(json!({ "sync_ms": 8000 })).await;
    service.connect(51).await;
    service.scan(&service.code("51").await).await;
    let syncing = service
        .status_when("51", "a percentage", |status| {
            status["sync_percent"].as_u64() > Some(0)
        })
        .await;
    assert_eq!(syncing["state"], "AUTHENTICATED", "{syncing}");
    let ready = service.reaches("51", "READY").await;
    assert_eq!(ready.get("sync_percent"), None, "{ready}");
    service.stop();
}

#[tokio::test]
async fn a_page_that_refuses_the_browser_or_asks_for_a_passkey_says_so() {
    let service = Service::start(|_| {}).await;
    service.faults(json!({ "page": "update" })).await;
    let refused = service
        .post("/connect", &json!({ "cliente_id": 51, "wait": "ready" }))
        .await;
    refused.assert_refused(500, "UPDATE_REQUIRED");

    service.faults(json!({ "page": "passkey" })).await;
    service.connect(52).await;
    service.scan(&service.code("52").await).await;
    let ended = service.reaches("52", "ERROR").await;
    assert_eq!(ended["reason"], "PASSKEY_REQUIRED", "{ended}");
    service.stop();
}
