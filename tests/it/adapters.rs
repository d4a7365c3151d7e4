//! The adapters one by one, and what happens when one of them is broken.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::Service;

const TO: &str = "5491158254201";
const NOBODY: &str = "5491158250000";

/// The two versions of wa-js that are known to differ most in what matters here.
const CURRENT: &str = "@wppconnect/wa-js";
const OLD: &str = "wa-js-4.0.0";

fn bundle(package: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("node_modules")
        .join(package)
        .join("dist/wppconnect-wa.js");
    assert!(path.is_file(), "wa-js is installed: run npm install");
    path
}

/// A service whose page may only be driven by `adapters`, with a bundle of wa-js.
async fn with_bundle(adapters: &'static str, bundle: PathBuf) -> Service {
    Service::start(move |env| {
        env.insert("ADAPTERS", adapters.into());
        env.insert("WA_JS_PATH", bundle.into());
    })
    .await
}

#[tokio::test]
async fn wa_js_alone_does_everything() {
    alone_does_everything(CURRENT, json!({})).await;
}

#[tokio::test]
async fn an_older_wa_js_alone_does_everything() {
    alone_does_everything(OLD, json!({})).await;
}

#[tokio::test]
async fn wa_js_alone_does_everything_where_chats_go_by_lid() {
    alone_does_everything(CURRENT, json!({ "lid_chats": true })).await;
}

#[tokio::test]
async fn an_older_wa_js_alone_does_everything_where_chats_go_by_lid() {
    alone_does_everything(OLD, json!({ "lid_chats": true })).await;
}

async fn alone_does_everything(package: &str, build: Value) {
    let service = with_bundle("wa-js", bundle(package)).await;
    service.phone("/faults", &build).await;
    let account = service.link("51").await;
    let status = service.status("51").await;
    assert_eq!(status["adapter"]["serving"], "wa-js", "{status}");
    assert_eq!(status["adapter"]["missing"], json!([]), "{status}");
    assert_eq!(status["account"], account.as_str());
    let version = if package == OLD { "4.0.0" } else { "4.6.0" };
    assert_eq!(status["adapter"]["wa_js_version"], version);
    assert!(
        service
            .log()
            .contains(&format!("wa-js {version} is loaded"))
    );

    let text = "¡Hola! 👋\n<b>*x*</b> https://example.com/ \"'\\";
    let sent = service.send(51, TO, text).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    let (id, ack) = (&sent.json()["message_id"], &sent.json()["data"]["ack"]);
    let id = id.as_str().unwrap().to_owned();
    assert!(
        id.starts_with("true_") && ack.as_i64() >= Some(1),
        "{}",
        sent.text()
    );
    assert_eq!(service.messages(&account).await, [text]);
    let taken = service.phone_state().await["sent"][0].clone();
    assert!(id.ends_with(taken["id"].as_str().unwrap()), "{id}, {taken}");
    assert_eq!(taken["mixed_addressing"], Value::Null, "{taken}");

    let nobody = service.send(51, NOBODY, "x").await;
    assert_eq!(nobody.json()["code"], "NUMBER_NOT_ON_WHATSAPP");
    service
        .phone("/faults", &json!({ "number_check": "network_error" }))
        .await;
    let failed = service.send(51, TO, "x").await;
    assert_eq!(failed.json()["code"], "SEND_FAILED", "{}", failed.text());
    service.phone("/faults", &json!({ "send": "throws" })).await;
    let failed = service.send(51, TO, "x").await;
    assert_eq!(failed.json()["code"], "SEND_FAILED", "{}", failed.text());
    service.phone("/faults", &build).await;
    assert_eq!(service.messages(&account).await, [text]);

    // The link outlives the service, and wa-js serves without a scan.
    let home = service.stop();
    let path = bundle(package);
    let service = Service::start_in(home, move |env| {
        env.insert("ADAPTERS", "wa-js".into());
        env.insert("WA_JS_PATH", path.into());
    })
    .await;
    service.phone("/faults", &build).await;
    service.connect(51).await;
    service.reaches("51", "READY").await;
    assert_eq!(service.send(51, TO, "again").await.status, 200);
    assert_eq!(service.messages(&account).await, [text, "again"]);

    let out = service
        .post(
            "/disconnect",
            &json!({ "cliente_id": "51", "logout": true }),
        )
        .await;
    assert_eq!(out.status, 200, "{}", out.text());
    assert_eq!(service.phone_state().await["devices"], json!([]));
    service.stop();
}

#[tokio::test]
async fn wa_js_serves_when_a_module_has_a_new_name() {
    let service = with_bundle("modules,wa-js,dom", bundle(CURRENT)).await;
    let renamed = json!({ "rename_modules": { "WAWebSendMsgChatAction": "WAWebSendAction" } });
    service.phone("/faults", &renamed).await;
    let account = service.link("51").await;
    let status = service.status("51").await;
    let adapter = &status["adapter"];
    assert_eq!(adapter["serving"], "wa-js", "{status}");
    assert_eq!(
        adapter["missing"],
        json!(["modules: WAWebSendMsgChatAction.addAndSendMsgToChat"])
    );
    let sent = service.send(51, TO, "x").await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    assert_eq!(service.messages(&account).await, ["x"]);
    service.stop();
}

#[tokio::test]
async fn wa_js_serves_when_a_module_that_it_waits_for_has_a_new_name() {
    let service = with_bundle("wa-js", bundle(CURRENT)).await;
    let renamed = json!({ "rename_modules": { "WAWebConnModel": "WAWebConnectionModel" } });
    service.phone("/faults", &renamed).await;
    let account = service.link("51").await;
    assert_eq!(service.send(51, TO, "x").await.status, 200);
    assert_eq!(service.messages(&account).await, ["x"]);
    service.stop();
}

#[tokio::test]
async fn modules_that_arrive_late_do_not_break_wa_js() {
    for package in [CURRENT, OLD] {
        let service = with_bundle("wa-js", bundle(package)).await;
        let late = json!({ "modules_delay_ms": 3000 });
        service.phone("/faults", &late).await;
        let account = service.link("51").await;
        assert_eq!(service.send(51, TO, "x").await.status, 200);
        assert_eq!(service.messages(&account).await, ["x"]);
        service.stop();
    }
}

#[tokio::test]
async fn wa_js_is_not_loaded_while_the_modules_serve() {
    let service = with_bundle("modules,wa-js,dom", bundle(CURRENT)).await;
    service.link("51").await;
    let adapter = service.status("51").await["adapter"].clone();
    assert_eq!(adapter["serving"], "modules");
    assert_eq!(adapter["wa_js_version"], Value::Null);
    assert_eq!(adapter["missing"], json!([]));
    assert!(!service.log().contains("is loaded"));
    service.stop();
}
