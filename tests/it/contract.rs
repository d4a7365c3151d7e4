//! The contract, against the real binary, a real Chrome and the sandbox.
//!
//! `contract/recorded.json` is a copy of the project's `contract/recorded.json`: 44 requests with the answers of the
//! service of 2026-01-20 (Express), recorded byte for byte. Where `replaced_by` is set a later decision wins, and
//! [`replacement`] has it. Do not edit the file; a change of the contract is a new line there.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Service, answer};

const RECORDED: &str = include_str!("contract/recorded.json");

/// Long enough for a linked session to be READY on a busy machine: the answers were recorded by a service that waited.
const CONNECT_WAIT_SECONDS: &str = "60";

/// What is asserted instead of a recorded answer: status and fields.
fn replacement(case: &str) -> Option<(u16, Value)> {
    let refused = |status, code: &str| Some((status, json!({ "success": false, "code": code })));
    match case {
        "status-no-id" => Some((
            200,
            json!({ "connected": false, "state": "DISCONNECTED", "cliente_id": "admin" }),
        )),
        // The profile of the default session is linked.
        "connect-no-id" | "connect-empty-body" | "connect-no-body-no-type" => Some((
            200,
            json!({ "success": true, "message": "Connected", "state": "READY", "cliente_id": "admin" }),
        )),
        "disconnect-no-id" => Some((200, json!({ "success": true, "message": "Disconnected" }))),
        "send-malformed" | "send-json-string" => refused(400, "INVALID_JSON"),
        // Read like any other, and the session does not run at that moment.
        "send-json-as-text" => refused(503, "SESSION_NOT_READY"),
        // The profile of this session is a file.
        "connect-fails" => refused(500, "PROFILE_UNUSABLE"),
        // "0001" is no number that anybody could have: the rule on digits, which comes first, refuses it already.
        "send-letters-to" | "send-no-such-number" => refused(400, "INVALID_TO"),
        "send-float-id" | "send-negative-id" | "status-traversal" => {
            refused(400, "INVALID_CLIENTE_ID")
        }
        "not-found" => refused(404, "NOT_FOUND"),
        "get-send" => refused(405, "METHOD_NOT_ALLOWED"),
        "too-large" => refused(413, "PAYLOAD_TOO_LARGE"),
        "qr" => Some((
            200,
            json!({ "status": "NO_QR", "state": "READY", "cliente_id": "admin" }),
        )),
        _ => None,
    }
}

#[tokio::test]
async fn the_recorded_requests_get_the_recorded_answers() {
    let cases: Vec<Value> = serde_json::from_str(RECORDED).unwrap();
    assert_eq!(cases.len(), 44);
    // Pages of other machines need `CORS_ORIGINS` by now, and get what they got with `*`.
    let is_for_a_page = |case: &Value| case["request"]["headers"]["Origin"].is_string();
    let (of_pages, cases): (Vec<_>, Vec<_>) = cases.into_iter().partition(is_for_a_page);
    assert_eq!(of_pages.len(), 1);
    let open = Service::with(&[("CORS_ORIGINS", "*")]).await;
    replay(&open, &of_pages[0]).await;
    open.stop();

    // The recorded service had sessions that connect without a scan; here they are linked beforehand.
    let (service, account) = Service::linked(&[]).await;
    for id in ["52", "admin"] {
        service.link(id).await;
    }
    let home = service.stop();
    std::fs::write(home.tokens().join("13"), "not a folder").unwrap();

    let service = Service::start_in(home, |env| {
        env.insert("CONNECT_WAIT_SECONDS", CONNECT_WAIT_SECONDS.into());
        env.insert("RESTORE_SESSIONS", "false".into());
    })
    .await;
    for case in &cases {
        replay(&service, case).await;
    }
    assert_eq!(service.messages(&account).await, ["TEST"]);
    service.stop();
}

async fn replay(service: &Service, case: &Value) {
    let name = case["case"].as_str().unwrap();
    let got = ask(service, &case["request"]).await;
    println!("{name}: {} {}", got.status, got.text());

    let recorded = &case["response"];
    let replaced = replacement(name);
    assert_eq!(
        replaced.is_some(),
        case["replaced_by"].is_string(),
        "{name}: replaced in both places or in none"
    );
    let (status, fields) = replaced.clone().unwrap_or_else(|| {
        (
            u16::try_from(recorded["status"].as_u64().unwrap()).unwrap(),
            recorded["json"].clone(),
        )
    });
    assert_eq!(got.status, status, "{name}: {}", got.text());
    assert_fields(name, &fields, &got.json());
    if fields["success"] == false {
        assert_eq!(got.json()["error"], got.json()["message"], "{name}");
        assert!(got.json()["code"].is_string(), "{name}");
    }
    for (header, value) in recorded["headers"].as_object().unwrap() {
        let value = if header == "content-type" && replaced.is_some() {
            "application/json; charset=utf-8"
        } else {
            value.as_str().unwrap()
        };
        assert_eq!(got.header(header), Some(value), "{name}: {header}");
    }
    if name == "get-send" {
        assert_eq!(got.header("allow"), Some("POST"));
    }
    if recorded["text"] == "" {
        assert_eq!(got.text(), "", "{name}");
    }
}

async fn ask(service: &Service, recorded: &Value) -> Answer {
    let method: Method = recorded["method"].as_str().unwrap().parse().unwrap();
    let mut request = service.request(method, recorded["path"].as_str().unwrap());
    for (name, value) in recorded["headers"].as_object().unwrap() {
        request = request.header(name, value.as_str().unwrap());
    }
    let body = &recorded["body"];
    let request = if let Some(raw) = body.as_str() {
        request.body(raw.to_owned())
    } else if body["message"] == "<150000 times x>" {
        let mut body = body.clone();
        body["message"] = "x".repeat(150_000).into();
        request.json(&body)
    } else if body.is_object() {
        request.json(body)
    } else {
        request
    };
    answer(request).await
}

/// Asserts that `got` has every field of `wanted`. What cannot be the same twice must have the same form.
#[track_caller]
fn assert_fields(case: &str, wanted: &Value, got: &Value) {
    let Value::Object(wanted) = wanted else {
        return;
    };
    for (name, wanted) in wanted {
        let got = &got[name];
        match name.as_str() {
            "timestamp" => assert_same_moment_form(case, wanted, got),
            "messageId" => assert_message_id(case, got),
            "data" => assert_fields(case, wanted, got),
            _ => assert_eq!(got, wanted, "{case}: {name}"),
        }
    }
}

/// As the recorded `2026-11-22T12:42:36.107Z`: digits where digits were, all else the same.
#[track_caller]
fn assert_same_moment_form(case: &str, wanted: &Value, got: &Value) {
    let form = |moment: &Value| {
        moment
            .as_str()
            .unwrap_or_default()
            .replace(|c: char| c.is_ascii_digit(), "0")
    };
    assert_eq!(form(got), form(wanted), "{case}: {got}");
}

/// As the recorded `true_5491158254201@c.us_3EB00000000000000001`; a chat may have an address of the newer kind.
#[track_caller]
fn assert_message_id(case: &str, got: &Value) {
    let parts: Vec<_> = got.as_str().unwrap_or_default().split('_').collect();
    let is_id = matches!(parts[..], ["true", chat, key]
        if (chat.ends_with("@c.us") || chat.ends_with("@lid")) && key.starts_with("3EB0") && key.len() == 22);
    assert!(is_id, "{case}: {got}");
}

#[tokio::test]
async fn a_code_is_the_same_text_in_every_form_and_a_phone_accepts_it() {
    let service = Service::with(&[]).await;
    let connected = service.connect(51).await;
    assert_eq!(connected.status, 200);
    let expected = json!({ "success": true, "message": "QR required", "state": "QR_REQUIRED", "status": "QR_REQUIRED",
        "cliente_id": 51, "session": "51", "alreadyConnected": false });
    assert_eq!(connected.json(), expected);

    let code = service.code("51").await;
    let available = service.get("/qr?cliente_id=51").await.json();
    assert_eq!(
        (&available["status"], &available["state"]),
        (&json!("QR_AVAILABLE"), &json!("QR_REQUIRED"))
    );
    assert!(
        (0..=60).contains(&available["expires_in"].as_i64().unwrap()),
        "{available}"
    );
    assert_eq!(available["attempts"], 1);

    let png = service.get("/qr?cliente_id=51&format=png").await;
    assert_eq!(png.header("content-type"), Some("image/png"));
    let accepted = answer(
        service
            .request(Method::GET, "/qr?cliente_id=51")
            .header("Accept", "image/png"),
    )
    .await;
    assert_eq!(accepted.bytes, png.bytes);
    let picture = image::load_from_memory(&png.bytes).unwrap().to_luma8();
    let decoded = rqrr::PreparedImage::prepare(picture).detect_grids()[0]
        .decode()
        .unwrap()
        .1;
    assert_eq!(decoded, code);

    assert_eq!(
        service.get("/qr?cliente_id=51&format=raw").await.text(),
        code
    );
    assert_eq!(
        service
            .get("/qr?cliente_id=51&format=svg")
            .await
            .header("content-type"),
        Some("image/svg+xml")
    );
    assert!(
        service
            .get("/qr?cliente_id=51&format=ascii")
            .await
            .text()
            .contains('█')
    );
    let older = service.get("/qr-code?cliente_id=51").await.json();
    assert_eq!(
        (&older["qr"], &older["qrDataUrl"]),
        (&json!(code), &available["qr"])
    );

    service.scan(&decoded).await;
    let ready = service.reaches("51", "READY").await;
    assert_eq!((&ready["connected"], ready.get("qr")), (&json!(true), None));
    assert_eq!(
        service.get("/qr?cliente_id=51&format=png").await.status,
        404
    );
    assert!(!service.log().contains(&code), "the code is in the log");
    service.stop();
}

/// The backend of 2026-02 connects without an id, then asks and sends as its own client.
#[tokio::test]
async fn in_single_mode_every_client_sends_from_the_one_account() {
    let service = Service::with(&[("SESSION_MODE", "single")]).await;
    let account = service.link("admin").await;
    let status = answer(
        service
            .request(Method::GET, "/status")
            .header("X-Cliente-Id", "51"),
    )
    .await
    .json();
    assert_eq!(
        (
            &status["connected"],
            &status["cliente_id"],
            &status["session"]
        ),
        (&json!(true), &json!("51"), &json!("admin"))
    );

    let text = "¡Hola, ñandú! 🧉\n  second line";
    let sent = service.sends(51, "+54 9 11 5825-4201", text).await;
    assert_eq!(
        (&sent["data"]["cliente_id"], &sent["data"]["to"]),
        (&json!(51), &json!("5491158254201"))
    );
    assert_eq!(sent["message_id"], sent["data"]["messageId"]);
    assert_eq!(service.messages(&account).await, [text]);

    let log = service.log();
    for secret in ["ñandú", "5491158254201", "second line"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    assert_eq!(
        service.disconnect("51").await.json()["message"],
        "Disconnected"
    );
    service.stop();
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_session_starting() {
    let service = Service::with(&[]).await;
    let hasty = service
        .request(Method::POST, "/connect")
        .json(&json!({ "cliente_id": 51, "wait": "ready" }))
        .timeout(std::time::Duration::from_millis(50));
    assert!(hasty.send().await.unwrap_err().is_timeout());
    service.code("51").await;
    let home = service.kill();
    // Whatever a killed service leaves behind, the next one ends.
    let service = Service::start_in(home, |env| {
        env.insert("RESTORE_SESSIONS", "false".into());
    })
    .await;
    assert_eq!(service.status("51").await["state"], "DISCONNECTED");
    service.home().assert_nobody_is_left();
    service.stop();
}
