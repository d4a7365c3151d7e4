//! WhatsApp Web has changed: what still works, and how an operator mends the rest.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    adapters::{CURRENT, bundle},
    support::Service,
};

const TO: &str = "5491158254201";

/// A service with wa-js at hand, on a page with a fault.
async fn changed(fault: Value) -> Service {
    let service = Service::start(|env| {
        env.insert("WA_JS_PATH", bundle(CURRENT).into());
    })
    .await;
    service.faults(fault).await;
    service
}

async fn sends(service: &Service, text: &str) {
    service.sends(51, TO, text).await;
}

#[tokio::test]
async fn a_function_that_moved_and_left_a_remnant_is_found_by_wa_js_in_the_same_send() {
    let moved = json!({ "remnants": { "WAWebSendMsgChatAction": "WAWebSendAction" } });
    let service = changed(moved).await;
    let account = service.link("51").await;
    // Every name resolves: only a send shows it.
    assert_eq!(service.status("51").await["adapter"]["missing"], json!([]));
    sends(&service, "primer texto").await;
    let status = service.status("51").await;
    assert_eq!(status["adapter"]["serving"], "wa-js", "{status}");
    let lacking = json!(["modules: a send that works (addAndSendMsgToChat has moved)"]);
    assert_eq!(status["adapter"]["missing"], lacking);
    sends(&service, "segundo texto").await;
    assert_eq!(
        service.messages(&account).await,
        ["primer texto", "segundo texto"]
    );

    // The next build may be healthy: after a load of the page everybody is trusted again.
    service.faults(json!({})).await;
    service.faults(json!({ "event": "reload" })).await;
    service
        .status_when("51", "the modules", |status| {
            status["adapter"]["serving"] == "modules" && status["state"] == "READY"
        })
        .await;
    service.stop();
}

#[tokio::test]
async fn the_modules_alone_send_where_chats_go_by_lid() {
    let service = Service::with(&[("ADAPTERS", "modules")]).await;
    service.faults(json!({ "lid_chats": true })).await;
    let account = service.link("51").await;
    let sent = service.send(51, TO, "primer texto").await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    let id = sent.json()["message_id"].as_str().unwrap().to_owned();
    let taken = service.phone_state().await["sent"][0].clone();
    assert!(id.contains("@lid_"), "{id}");
    assert!(id.ends_with(taken["id"].as_str().unwrap()), "{id}, {taken}");
    assert_eq!(taken["mixed_addressing"], Value::Null, "{taken}");
    assert_eq!(service.messages(&account).await, ["primer texto"]);
    service.stop();
}

#[tokio::test]
async fn a_renamed_module_is_mended_by_a_script_while_the_service_runs() {
    let scripts = tempfile::tempdir().unwrap();
    let folder = scripts.path().to_owned();
    let service = Service::start(move |env| {
        env.insert("ADAPTERS", "modules".into());
        env.insert("PAGE_SCRIPTS_DIR", folder.into());
    })
    .await;
    let renamed = json!({ "rename_modules": { "WAWebSendMsgChatAction": "WAWebSendAction" } });
    service.faults(renamed).await;
    service.connect(51).await;
    let account = service.scan(&service.code("51").await).await;
    let broken = service
        .status_when("51", "a reason", |status| status["reason"].is_string())
        .await;
    assert_eq!(
        (&broken["state"], &broken["reason"]),
        (&json!("AUTHENTICATED"), &json!("ADAPTER_BROKEN")),
        "{broken}"
    );
    let lacking = json!(["modules: WAWebSendMsgChatAction.addAndSendMsgToChat"]);
    assert_eq!(broken["adapter"]["missing"], lacking);
    let refused = service.send(51, TO, "nadie lo lee").await;
    assert_eq!(refused.json()["code"], "SESSION_NOT_READY");

    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/whatsapp/page/modules.js");
    let script = fs::read_to_string(built_in).unwrap();
    let mended = script.replace("\"WAWebSendMsgChatAction\"", "\"WAWebSendAction\"");
    assert_ne!(script, mended);
    fs::write(scripts.path().join("modules.js"), mended).unwrap();
    service.disconnect(51).await;
    service.connect(51).await;
    let ready = service.reaches("51", "READY").await;
    assert_eq!(ready["adapter"]["missing"], json!([]), "{ready}");
    sends(&service, "alguien lo lee").await;
    assert_eq!(service.messages(&account).await, ["alguien lo lee"]);
    service.stop();
}

#[tokio::test]
async fn a_slip_in_an_operators_script_is_told_with_its_file_and_line() {
    let scripts = tempfile::tempdir().unwrap();
    let folder = scripts.path().to_owned();
    let service = Service::start(move |env| {
        env.insert("PAGE_SCRIPTS_DIR", folder.into());
    })
    .await;
    let path = scripts.path().join("modules.js");
    fs::write(&path, "(function modules(say) {\n  a slip\n})").unwrap();
    let failed = service.connect(51).await.json();
    assert_eq!(failed["code"], "SCRIPTS_UNREADABLE", "{failed}");
    let told = failed["message"].as_str().unwrap();
    assert!(told.contains("modules.js, line 2"), "{told}");
    fs::remove_file(path).unwrap();
    service.connect(51).await;
    service.code("51").await;
    service.stop();
}
