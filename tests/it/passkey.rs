//! Linking with a passkey, from the scan to the first message: a person signs elsewhere, and the service carries it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    adapters::{CURRENT, bundle},
    keys::{add, call, in_force},
    support::{Answer, Service, answer},
};

const TO: &str = "5491158254201";
const ADAPTERS: [&str; 4] = ["modules", "wa-js", "dom", "modules,wa-js,dom"];
const PATH: &str = "/sessions/51/passkey";

/// A service whose page is driven by these adapters, and whose session 51 wants a passkey.
async fn wanting(adapters: &'static str, mut faults: Value) -> (Service, String) {
    let service = Service::start(move |env| {
        env.insert("ADAPTERS", adapters.into());
        env.insert("WA_JS_PATH", bundle(CURRENT).into());
    })
    .await;
    faults["page"] = json!("passkey");
    service.faults(faults).await;
    service.connect("51").await;
    let account = service.scan(&service.code("51").await).await;
    (service, account)
}

/// Scans the code on the screen, and the next one when that is refused: a page that goes back to its codes shows the last one until
/// the server has given it another.
async fn scans_until_taken(service: &Service) {
    let mut refused = String::new();
    loop {
        let is_new = |status: &Value| {
            let code = status["qr"]["url"].as_str();
            code.is_some_and(|code| code != refused)
        };
        let status = service.status_when("51", "another code", is_new).await;
        let code = status["qr"]["url"].as_str().unwrap();
        let Err(answer) = service.scan_if_shown(code).await else {
            return;
        };
        answer.assert_refused(404, "UNKNOWN_CODE");
        code.clone_into(&mut refused);
    }
}

/// Waits until linking waits for this, and gives what the API shows of it.
async fn waits_for(service: &Service, step: &str) -> Value {
    waits_at(service, step, 1).await
}

async fn waits_at(service: &Service, step: &str, attempt: u64) -> Value {
    let is_there = |status: &Value| {
        status["passkey"]["step"] == step && status["passkey"]["attempt"] == attempt
    };
    let status = service.status_when("51", step, is_there).await;
    assert_eq!(status["state"], "QR_REQUIRED", "{status}");
    assert_eq!(status["reason"], "PASSKEY_REQUIRED", "{status}");
    let shown = service.get(PATH).await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    let shown = shown.json();
    for secret in ["challenge", "code"] {
        if let Some(secret) = shown[secret].as_str() {
            service.secrets().remember_text(secret);
            assert!(!status.to_string().contains(secret), "{status}");
        }
    }
    shown
}

/// What the phone does with a challenge; its signature, if it gives one.
async fn phone(service: &Service, challenge: &Value, does: &str) -> Value {
    let asked = json!({ "challenge": challenge, "answer": does });
    let answered = service.phone("/phone/passkey", &asked).await;
    assert_eq!(answered.status, 200, "{}", answered.text());
    let assertion = answered.json()["assertion"].clone();
    for part in ["clientDataJSON", "authenticatorData", "signature"] {
        if let Some(secret) = assertion["response"][part].as_str() {
            service.secrets().remember_text(secret);
        }
    }
    assertion
}

async fn signed(service: &Service, shown: &Value) -> Value {
    phone(service, &shown["challenge"], "sign").await
}

async fn delete(service: &Service) -> Answer {
    answer(service.request(Method::DELETE, PATH)).await
}

#[tokio::test]
async fn a_passkey_that_the_phone_signs_links_the_session_with_any_adapter() {
    for adapters in ADAPTERS {
        let (service, account) = wanting(adapters, json!({})).await;
        let shown = waits_for(&service, "sign").await;
        assert_eq!(shown["options"]["challenge"], shown["challenge"], "{shown}");
        assert_eq!(shown["options"]["rpId"], "whatsapp.com", "{shown}");
        assert_eq!(shown["options"]["userVerification"], "required", "{shown}");
        assert!(
            (500..=600).contains(&shown["expires_in"].as_i64().unwrap()),
            "{shown}"
        );
        assert!(shown["without_code_until"].is_string(), "{shown}");
        let assertion = signed(&service, &shown).await;
        let handed = service.post(PATH, &assertion).await;
        assert_eq!(handed.status, 200, "{adapters}: {}", handed.text());
        let ready = service.reaches("51", "READY").await;
        assert_eq!(ready["reason"], Value::Null, "{adapters}: {ready}");
        service.faults(json!({})).await;
        service.sends(51, TO, "hola").await;
        assert_eq!(service.messages(&account).await, ["hola"]);
        for late in [
            service.get(PATH).await,
            service.post(PATH, &assertion).await,
            delete(&service).await,
            service.post(&format!("{PATH}/confirm"), &json!({})).await,
        ] {
            late.assert_refused(409, "NO_PASSKEY_PENDING");
        }
        service.stop();
    }
}

#[tokio::test]
async fn a_signature_that_whatsapp_refuses_is_said_and_the_next_one_needs_a_code_with_any_adapter()
{
    for adapters in ADAPTERS {
        let (service, account) = wanting(adapters, json!({})).await;
        let first = waits_for(&service, "sign").await;
        let assertion = signed(&service, &first).await;
        phone(&service, &first["challenge"], "refuse").await;
        let handed = service.post(PATH, &assertion).await;
        handed.assert_refused(422, "PASSKEY_REFUSED");
        if adapters != "dom" {
            let message = handed.json()["message"].to_string();
            assert!(message.contains("the phone has refused"), "{message}");
        }
        let second = waits_at(&service, "sign", 2).await;
        assert_ne!(second["challenge"], first["challenge"]);
        assert_eq!(second["without_code_until"], Value::Null, "{second}");
        assert!(second["last_failure"].is_string(), "{second}");
        let old = service.post(PATH, &assertion).await;
        old.assert_refused(409, "OTHER_CHALLENGE");

        let assertion = signed(&service, &second).await;
        let handed = service.post(PATH, &assertion).await;
        assert_eq!(handed.status, 200, "{adapters}: {}", handed.text());
        let compare = waits_at(&service, "compare", 2).await;
        let passkeys = service.phone_state().await["passkeys"].clone();
        assert_eq!(compare["code"], passkeys[0]["code"], "{adapters}");
        assert_eq!(compare["code"].as_str().unwrap().len(), 8, "{compare}");
        let confirm = format!("{PATH}/confirm");
        let nothing = json!({});
        let (one, other) = tokio::join!(
            service.post(&confirm, &nothing),
            service.post(&confirm, &nothing)
        );
        assert_eq!(one.status, 200, "{adapters}: {}", one.text());
        // The other one may come when the session is linked already.
        assert!([200, 409].contains(&other.status), "{}", other.text());
        service.reaches("51", "READY").await;
        service.faults(json!({})).await;
        service.sends(51, TO, "hola").await;
        assert_eq!(service.messages(&account).await, ["hola"]);
        service.stop();
    }
}

#[tokio::test]
async fn each_limit_that_passes_is_said_and_the_next_attempt_begins_by_itself() {
    for adapters in ["modules", "dom"] {
        let faults = json!({ "passkey_timeout_ms": 4000, "passkey_stage_ms": 4000 });
        let (service, _) = wanting(adapters, faults).await;
        // The owner does not sign, and then does not look at the phone.
        waits_for(&service, "sign").await;
        let second = waits_at(&service, "sign", 2).await;
        let why = second["last_failure"].as_str().unwrap();
        assert!(why.contains("no signature came in time"), "{why}");
        let assertion = phone(&service, &second["challenge"], "ignore").await;
        let handed = service.post(PATH, &assertion).await;
        assert_eq!(handed.status, 200, "{}", handed.text());
        waits_at(&service, "phone", 2).await;
        let third = waits_at(&service, "sign", 3).await;
        let why = third["last_failure"].to_string();
        assert!(
            why.contains("the phone did not answer") || adapters == "dom",
            "{why}"
        );
        let status = service.status("51").await;
        assert!(
            status["detail"].as_str().unwrap().contains("failed"),
            "{status}"
        );
        service.stop();
    }
}

#[tokio::test]
async fn a_bad_assertion_is_named_by_its_field_and_leaves_the_challenge_waiting() {
    let (service, _) = wanting("modules", json!({})).await;
    let shown = waits_for(&service, "sign").await;
    let good = signed(&service, &shown).await;
    let mut bad = good.clone();
    bad["response"]["signature"] = json!("no base64 *");
    for (body, field) in [
        (json!({}), "type"),
        (json!({ "type": "public-key" }), "id"),
        (bad, "response.signature"),
        (json!([good]), "the body"),
        (json!({ "assertion": good }), "assertion"),
    ] {
        let refused = service.post(PATH, &body).await;
        refused.assert_refused(400, "INVALID_ASSERTION");
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(field), "{message}");
    }
    let again = service.get(PATH).await.json();
    assert_eq!(again["challenge"], shown["challenge"]);
    // Two callers at once: one signature, one answer.
    let (one, other) = tokio::join!(service.post(PATH, &good), service.post(PATH, &good));
    assert_eq!(one.status, 200, "{}", one.text());
    assert!([200, 409].contains(&other.status), "{}", other.text());
    service.reaches("51", "READY").await;
    service.stop();
}

#[tokio::test]
async fn a_passkey_that_is_given_up_gives_way_to_codes_and_another_scan_with_any_adapter() {
    for adapters in ADAPTERS {
        let (service, _) = wanting(adapters, json!({})).await;
        waits_for(&service, "sign").await;
        let given = delete(&service).await;
        assert_eq!(given.status, 200, "{adapters}: {}", given.text());
        assert_eq!(given.json()["step"], Value::Null);
        delete(&service)
            .await
            .assert_refused(409, "NO_PASSKEY_PENDING");
        let status = service.status("51").await;
        assert_eq!(status["state"], "QR_REQUIRED", "{status}");
        assert_eq!(status["reason"], Value::Null, "{status}");
        service.faults(json!({})).await;
        scans_until_taken(&service).await;
        service.reaches("51", "READY").await;
        service.stop();
    }
}

#[tokio::test]
async fn no_key_but_an_admins_sees_or_takes_any_step() {
    let service = Service::with(&[]).await;
    let keys = ["read", "send", "admin"].map(|scope| add(&service, &[scope, "--scope", scope]));
    let routes = [
        (Method::GET, PATH.to_owned()),
        (Method::POST, PATH.to_owned()),
        (Method::DELETE, PATH.to_owned()),
        (Method::POST, format!("{PATH}/confirm")),
    ];
    let body = json!({ "type": "public-key" });
    // A new key is in force within a second.
    in_force(409, async || {
        let asked = call(&service, Method::GET, PATH, &keys[2], &body);
        asked.await.status
    })
    .await;
    for (method, path) in routes {
        for key in &keys[..2] {
            let refused = call(&service, method.clone(), &path, key, &body).await;
            refused.assert_refused(403, "FORBIDDEN");
        }
        let allowed = call(&service, method.clone(), &path, &keys[2], &body).await;
        let code = allowed.json()["code"].clone();
        let is_read = code == "NO_PASSKEY_PENDING" || code == "INVALID_ASSERTION";
        assert!(is_read, "{method} {path}: {}", allowed.text());
    }
    service.stop();
}
