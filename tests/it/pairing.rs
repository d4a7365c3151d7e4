//! Linking by phone number, from the request to the first message.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Answer, Service};

const PHONE: &str = "5491150004444";
const OTHER: &str = "5491150005555";
const NOBODY: &str = "5491150000000";
const TO: &str = "5491158254201";

const CURRENT: &str = "@wppconnect/wa-js";
const OLD: &str = "wa-js-4.0.0";

/// A service whose page is driven by these adapters only, and whose pairing codes live that many seconds.
async fn service(adapters: &'static str, life: &'static str, wa_js: &'static str) -> Service {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("node_modules")
        .join(wa_js)
        .join("dist/wppconnect-wa.js");
    Service::start(move |env| {
        env.insert("ADAPTERS", adapters.into());
        env.insert("WA_JS_PATH", bundle.into());
        env.insert("SANDBOX_PAIRING_SECONDS", life.into());
        // Longer than any page takes, so that the answer tells what was waited for.
        env.insert("CONNECT_WAIT_SECONDS", "40".into());
    })
    .await
}

async fn connect(service: &Service, phone: Value) -> Answer {
    service
        .post("/connect", &json!({ "cliente_id": 51, "phone": phone }))
        .await
}

/// Connects by number; gives the code of the answer.
async fn code_for(service: &Service, phone: Value) -> String {
    let connected = connect(service, phone).await;
    assert_eq!(connected.status, 200, "{}", connected.text());
    let connected = connected.json();
    assert_eq!(connected["state"], "QR_REQUIRED", "{connected}");
    assert!(
        connected["pairing_code_expires_at"].is_string(),
        "{connected}"
    );
    let code = connected["pairing_code"].as_str().unwrap().to_owned();
    assert_eq!(code.len(), 8, "{connected}");
    code
}

async fn pair(service: &Service, number: &str, code: &str) -> u16 {
    let typed = json!({ "number": number, "code": code });
    service.phone("/phone/pair", &typed).await.status
}

/// The whole path, with whatever drives the page.
async fn links_and_sends(adapters: &'static str, wa_js: &'static str) {
    let service = service(adapters, "180", wa_js).await;
    if wa_js == OLD {
        // On a newer page it finds no messages.
        service.faults(json!({ "build": "early-2026" })).await;
    }
    let code = code_for(&service, json!("+54 9 11 5000-4444")).await;
    let status = service.status("51").await;
    assert_eq!(status["pairing_code"], code.as_str(), "{status}");
    assert!(status["pairing_code_shown_at"].is_string(), "{status}");
    assert_eq!(pair(&service, OTHER, &code).await, 404);
    assert_eq!(pair(&service, PHONE, &code).await, 200);
    let ready = service.reaches("51", "READY").await;
    assert_eq!(ready["pairing_code"], Value::Null, "{ready}");
    service.sends(51, TO, "hola").await;
    assert_eq!(service.messages(PHONE).await, ["hola"]);

    let again = connect(&service, json!(5_491_150_004_444_u64)).await;
    assert_eq!(again.json()["alreadyConnected"], true, "{}", again.text());
    let said = service.log();
    for secret in [
        code.as_str(),
        PHONE,
        &format!("{}-{}", &code[..4], &code[4..]),
    ] {
        assert!(!said.contains(secret), "the log holds {secret:?}");
    }
    service.stop();
}

#[tokio::test]
async fn the_modules_link_by_phone_number() {
    links_and_sends("modules", CURRENT).await;
}

#[tokio::test]
async fn wa_js_links_by_phone_number() {
    links_and_sends("wa-js", CURRENT).await;
}

#[tokio::test]
async fn an_older_wa_js_links_by_phone_number() {
    links_and_sends("wa-js", OLD).await;
}

#[tokio::test]
async fn a_number_that_is_typed_on_the_page_links_it() {
    links_and_sends("dom", CURRENT).await;
}

#[tokio::test]
async fn the_page_is_typed_on_when_its_functions_have_new_names() {
    let service = service("modules,wa-js,dom", "180", CURRENT).await;
    let renamed = json!({ "rename_modules": { "WAWebAltDeviceLinkingApi": "WAWebAltLinking" } });
    service.faults(renamed).await;
    let code = code_for(&service, json!(PHONE)).await;
    let status = service.status("51").await;
    assert_eq!(
        status["adapter"]["missing"],
        json!([]),
        "it serves all the same: {status}"
    );
    assert_eq!(pair(&service, PHONE, &code).await, 200);
    let ready = service.reaches("51", "READY").await;
    assert_eq!(ready["adapter"]["serving"], "modules", "{ready}");
    service.stop();
}

/// Codes of a few seconds: each is renewed, and only the newest links.
async fn renews(adapters: &'static str) {
    let service = service(adapters, "3", CURRENT).await;
    let first = code_for(&service, json!(PHONE)).await;
    let renewed = service
        .status_when("51", "another pairing code", |status| {
            status["pairing_code"].is_string() && status["pairing_code"] != first.as_str()
        })
        .await;
    assert_eq!(pair(&service, PHONE, &first).await, 404);
    let second = renewed["pairing_code"].as_str().unwrap();
    assert_eq!(pair(&service, PHONE, second).await, 200);
    service.reaches("51", "READY").await;
    service.stop();
}

#[tokio::test]
async fn an_expired_code_is_renewed_and_links_no_more() {
    renews("modules").await;
}

#[tokio::test]
async fn wa_js_renews_an_expired_code() {
    renews("wa-js").await;
}

#[tokio::test]
async fn a_page_that_was_typed_on_renews_an_expired_code() {
    renews("dom").await;
}

#[tokio::test]
async fn a_page_that_loads_anew_or_loses_its_server_gets_another_code() {
    let service = service("modules", "180", CURRENT).await;
    let mut code = code_for(&service, json!(PHONE)).await;
    for event in ["reload", "socket_closed"] {
        service.faults(json!({ "event": event })).await;
        let status = service
            .status_when("51", "another pairing code", |status| {
                status["pairing_code"].is_string() && status["pairing_code"] != code.as_str()
            })
            .await;
        assert_eq!(pair(&service, PHONE, &code).await, 404, "{event}");
        status["pairing_code"]
            .as_str()
            .unwrap()
            .clone_into(&mut code);
    }
    assert_eq!(pair(&service, PHONE, &code).await, 200);
    service.reaches("51", "READY").await;
    service.stop();
}

#[tokio::test]
async fn what_the_page_lacks_for_pairing_is_named() {
    let service = service("modules", "180", CURRENT).await;
    let missing = json!({ "missing": ["WAWebAltDeviceLinkingApi.startAltLinkingFlow"] });
    service.faults(missing).await;
    let failed = connect(&service, json!(PHONE)).await;
    failed.assert_refused(500, "PAIRING_FAILED");
    assert!(
        failed
            .text()
            .contains("WAWebAltDeviceLinkingApi.startAltLinkingFlow")
    );
    service.scan(&service.code("51").await).await;
    service.reaches("51", "READY").await;
    service.stop();
}

#[tokio::test]
async fn the_code_to_scan_stays_good_beside_the_one_to_type() {
    for adapters in ["modules,wa-js,dom", "wa-js,dom"] {
        let service = service(adapters, "180", CURRENT).await;
        service.connect(51).await;
        let drawn_before = service.code("51").await;
        let code = code_for(&service, json!(PHONE)).await;
        let scan = json!({ "code": drawn_before, "number": PHONE });
        assert_eq!(
            service.phone("/phone/scan", &scan).await.status,
            404,
            "it has another secret"
        );
        let status = service
            .status_when("51", "a code to scan", |status| {
                status["qr"]["url"].is_string()
            })
            .await;
        assert_eq!(status["pairing_code"], code.as_str());
        let scan = json!({ "code": status["qr"]["url"], "number": PHONE });
        assert_eq!(
            service.phone("/phone/scan", &scan).await.status,
            200,
            "{adapters}"
        );
        service.reaches("51", "READY").await;
        service.stop();
    }
}

#[tokio::test]
async fn the_screen_of_a_typed_number_has_nothing_to_scan_and_says_so() {
    let service = service("dom", "180", CURRENT).await;
    code_for(&service, json!(PHONE)).await;
    let qr = service.get("/qr?cliente_id=51").await.json();
    assert_eq!(qr["status"], "NO_QR", "{qr}");
    assert!(
        qr["reason"].as_str().unwrap().contains("pairing_code"),
        "{qr}"
    );
    service.stop();
}

#[tokio::test]
async fn a_refused_number_is_told_and_the_code_to_scan_is_there() {
    for adapters in ["modules", "wa-js", "dom"] {
        let service = service(adapters, "180", CURRENT).await;
        connect(&service, json!(NOBODY))
            .await
            .assert_refused(400, "PAIRING_REFUSED");
        let status = service
            .status_when("51", "a code to scan", |status| {
                status["qr"]["url"].is_string()
            })
            .await;
        assert_eq!(
            (&status["state"], &status["reason"]),
            (&json!("QR_REQUIRED"), &json!("PAIRING_REFUSED")),
            "{adapters}: {status}"
        );
        service.faults(json!({ "pairing": "rate_limited" })).await;
        connect(&service, json!(PHONE))
            .await
            .assert_refused(429, "PAIRING_RATE_LIMITED");
        service.faults(json!({})).await;
        let code = code_for(&service, json!(PHONE)).await;
        assert_eq!(pair(&service, PHONE, &code).await, 200, "{adapters}");
        let ready = service.reaches("51", "READY").await;
        assert_eq!(ready["reason"], Value::Null, "{ready}");
        service.stop();
    }
}

#[tokio::test]
async fn a_page_that_gives_no_answer_holds_nobody_up() {
    let service = Service::with(&[("CONNECT_WAIT_SECONDS", "3")]).await;
    service.faults(json!({ "pairing": "never" })).await;
    let connected = connect(&service, json!(PHONE)).await;
    assert_eq!(connected.status, 200, "{}", connected.text());
    assert_eq!(connected.json()["pairing_code"], Value::Null);
    service.scan(&service.code("51").await).await;
    service.reaches("51", "READY").await;
    service.stop();
}

#[tokio::test]
async fn a_linked_session_is_connected_for_its_own_number_only() {
    let service = service("modules", "180", CURRENT).await;
    let account = service.link("51").await;
    let own = connect(&service, json!(account)).await;
    assert_eq!(own.json()["alreadyConnected"], true, "{}", own.text());
    let other = connect(&service, json!(PHONE)).await;
    other.assert_refused(409, "LINKED_TO_ANOTHER_NUMBER");
    assert!(
        !other.text().contains(PHONE) && other.text().contains("logout"),
        "{}",
        other.text()
    );
    assert_eq!(service.status("51").await["state"], "READY");
    service.stop();
}

#[tokio::test]
async fn in_single_mode_the_one_session_links_by_phone_number() {
    let service =
        Service::with(&[("SESSION_MODE", "single"), ("CONNECT_WAIT_SECONDS", "40")]).await;
    let code = code_for(&service, json!(PHONE)).await;
    assert_eq!(pair(&service, PHONE, &code).await, 200);
    service.reaches("52", "READY").await;
    service.sends(52, TO, "hola").await;
    assert_eq!(service.messages(PHONE).await, ["hola"]);
    service.stop();
}

#[tokio::test]
async fn a_code_for_a_number_that_another_session_has_is_refused_unless_it_is_forced() {
    let service = service("modules", "180", CURRENT).await;
    service.faults(json!({ "pairing_revokes_ms": 1500 })).await;
    let code = code_for(&service, json!(PHONE)).await;
    assert_eq!(pair(&service, PHONE, &code).await, 200);
    service.reaches("51", "READY").await;
    // Its own number asks for no code.
    let again = connect(&service, json!(PHONE)).await;
    assert_eq!(again.json()["alreadyConnected"], true, "{}", again.text());

    let of_52 = |more: Value| {
        let mut body = json!({ "cliente_id": 52, "phone": "+54 11 15 5000-4444" });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    let refused = |answer: &Answer| {
        answer.assert_refused(409, "NUMBER_LINKED_ELSEWHERE");
        assert_eq!(answer.json()["linked_session"], "51", "{}", answer.text());
        assert!(!answer.text().contains("5000"), "{}", answer.text());
    };
    // However it is written, and whether the other session runs or not.
    refused(&service.post("/connect", &of_52(json!({}))).await);
    let down = service
        .post("/disconnect", &json!({ "cliente_id": 51 }))
        .await;
    assert_eq!(down.status, 200);
    refused(
        &service
            .post("/connect", &of_52(json!({ "force": false })))
            .await,
    );
    let sessions = service.get("/sessions").await.json();
    assert_eq!(
        sessions["details"].as_array().unwrap().len(),
        1,
        "the refused session was not made known: {sessions}"
    );
    service
        .post("/connect", &of_52(json!({ "force": "yes" })))
        .await
        .assert_refused(400, "INVALID_FORCE");

    service.connect(51).await;
    service.reaches("51", "READY").await;
    let forced = service
        .post("/connect", &of_52(json!({ "phone": PHONE, "force": true })))
        .await;
    assert_eq!(forced.status, 200, "{}", forced.text());
    let code = forced.json()["pairing_code"].as_str().unwrap().to_owned();
    // Asked again for the code that it shows, it gives that one.
    let same = service
        .post("/connect", &of_52(json!({ "phone": PHONE })))
        .await;
    assert_eq!(
        same.json()["pairing_code"],
        code.as_str(),
        "{}",
        same.text()
    );
    assert_eq!(pair(&service, PHONE, &code).await, 200);
    service.reaches("52", "READY").await;
    // That is what the guard is for.
    service.reaches("51", "QR_REQUIRED").await;
    service.stop();
}

#[tokio::test]
async fn a_code_is_not_renewed_for_a_number_that_another_session_has_been_linked_to() {
    let service = service("modules", "4", CURRENT).await;
    service.connect(60).await;
    code_for(&service, json!(PHONE)).await;
    let scan = json!({ "code": service.code("60").await, "number": PHONE });
    assert_eq!(service.phone("/phone/scan", &scan).await.status, 200);
    service.reaches("60", "READY").await;
    let status = service
        .status_when("51", "the reason why there is no more code", |status| {
            status["reason"] == "NUMBER_LINKED_ELSEWHERE"
        })
        .await;
    assert_eq!(status["state"], "QR_REQUIRED", "{status}");
    assert!(
        !status["detail"].as_str().unwrap().contains("60"),
        "{status}"
    );
    let devices = service.phone_state().await["devices"].clone();
    assert_eq!(devices.as_array().unwrap().len(), 1, "60 is still linked");

    // A scan makes one more device, which is said and no more.
    let scan = json!({ "code": service.code("51").await, "number": PHONE });
    assert_eq!(service.phone("/phone/scan", &scan).await.status, 200);
    service.reaches("51", "READY").await;
    assert_eq!(service.status("60").await["state"], "READY");
    service
        .logs("session 60 of this service has the same account")
        .await;
    assert!(!service.log().contains(PHONE));
    service.stop();
}
