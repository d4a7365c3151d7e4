//! What a picture and a console that are kept must not show: codes, phone numbers, chats.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{evidence, picture, service, shows_something};
use crate::support::{Service, chrome::PATIENCE};

/// Asserts that a code was there, and that no phone finds one.
#[track_caller]
fn assert_covered(picture: image::GrayImage) {
    let painted = picture.pixels().filter(|pixel| pixel.0[0] == 128).count();
    assert!(painted > 100 * 100, "{painted}");
    let codes = rqrr::PreparedImage::prepare(picture).detect_grids().len();
    assert_eq!(codes, 0);
}

#[tokio::test]
async fn no_code_that_a_phone_could_scan_is_in_a_picture() {
    // One that the adapters know of, of a page that works.
    let service = service(json!({}), &[]).await;
    service.connect(51).await;
    service.code("51").await;
    let taken = service.post("/sessions/51/evidence", &json!({})).await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    assert_eq!(taken.json()["phase"], "LINK", "{}", taken.text());
    assert_eq!(taken.json()["reason"], Value::Null, "{}", taken.text());
    let shown = picture(&service, &taken.json()).await;
    assert_covered(shown);
    assert_eq!(service.status("51").await["state"], "QR_REQUIRED");
    service.stop();
}

#[tokio::test]
async fn no_code_that_no_adapter_knows_of_is_in_a_picture() {
    let adapters = [("ADAPTERS", "modules"), ("INJECT_TIMEOUT_SECONDS", "5")];
    let service = service(json!({ "no_registry": true }), &adapters).await;
    service.connect(51).await;
    let failed = service.reaches("51", "DISCONNECTED").await;
    assert_eq!(failed["reason"], "PAGE_NOT_RECOGNISED", "{failed}");
    let evidence = evidence(&service).await;
    let shown = picture(&service, &evidence).await;
    assert_covered(shown);
    service.stop();
}

#[tokio::test]
async fn no_picture_is_kept_while_a_code_to_type_is_on_the_screen() {
    let service = service(json!({}), &[]).await;
    let phone = json!({ "cliente_id": 51, "phone": "+54 9 11 5825-4201" });
    let connected = service.post("/connect", &phone).await.json();
    let code = connected["pairing_code"].as_str().expect("a pairing code");
    let taken = service.post("/sessions/51/evidence", &json!({})).await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    let evidence = evidence(&service).await;
    assert_eq!(evidence["screenshot"], Value::Null, "{evidence}");
    assert!(evidence["screenshot_left_out"].is_string(), "{evidence}");
    assert!(!evidence.to_string().contains(code), "{evidence}");
    service.stop();
}

#[tokio::test]
async fn no_picture_is_kept_while_a_typed_number_is_on_the_screen() {
    let unanswered = json!({ "pairing": "never" });
    let with = [("ADAPTERS", "dom"), ("CONNECT_WAIT_SECONDS", "1")];
    let service = service(unanswered, &with).await;
    let phone = json!({ "cliente_id": 51, "phone": "+54 9 11 5825-4201" });
    service.post("/connect", &phone).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let taken = service.post("/sessions/51/evidence", &json!({})).await;
        // Before there is a page, it is refused.
        if taken.status == 200 && taken.json()["screenshot_left_out"] == "a phone number is on show"
        {
            break;
        }
        assert!(Instant::now() < deadline, "{}", taken.text());
    }
    // The page goes back to the code to scan, and can be seen again.
    service
        .status_when("51", "a code to scan", |status| {
            status["qr"]["url"].is_string()
        })
        .await;
    // The code may be one from before the number was typed.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let taken = service.post("/sessions/51/evidence", &json!({})).await;
        if taken.status == 200 && taken.json()["screenshot_left_out"].is_null() {
            break;
        }
        assert!(Instant::now() < deadline, "{}", taken.text());
    }
    picture(&service, &evidence(&service).await).await;
    service.stop();
}

#[tokio::test]
async fn a_linked_session_leaves_neither_picture_nor_console() {
    let service = service(json!({}), &[]).await;
    service.link("51").await;
    let refused = service.post("/sessions/51/evidence", &json!({})).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(refused.json()["code"], "EVIDENCE_OF_CHATS_OFF");
    assert!(refused.text().contains("EVIDENCE_OF_CHATS=true"));

    service.faults(json!({ "event": "ban" })).await;
    service.reaches("51", "ERROR").await;
    let banned = evidence(&service).await;
    assert_eq!(banned["reason"], "TEMPORARILY_BANNED", "{banned}");
    assert_left_out(&banned);

    // Nor does a later start of the profile, before anybody knows what is on the page.
    let home = service.stop();
    let service = Service::start_in(home, |env| {
        env.insert("ADAPTERS", "modules".into());
        env.insert("INJECT_TIMEOUT_SECONDS", "4".into());
        env.insert("RESTORE_SESSIONS", "false".into());
    })
    .await;
    assert_eq!(evidence(&service).await, banned);
    service.faults(json!({ "no_registry": true })).await;
    service.connect(51).await;
    service.reaches("51", "DISCONNECTED").await;
    let unrecognised = evidence(&service).await;
    assert_eq!(unrecognised["reason"], "PAGE_NOT_RECOGNISED");
    assert_left_out(&unrecognised);
    service.stop();
}

#[track_caller]
fn assert_left_out(evidence: &Value) {
    assert_eq!(evidence["screenshot"], Value::Null, "{evidence}");
    assert_eq!(evidence["console"], json!([]), "{evidence}");
    for why in ["screenshot_left_out", "console_left_out"] {
        let why = evidence[why].as_str().unwrap();
        assert!(why.contains("EVIDENCE_OF_CHATS=true"), "{evidence}");
    }
}

#[tokio::test]
async fn a_linked_session_is_shown_when_its_operator_wants_that_until_it_is_logged_out() {
    let service = service(json!({}), &[("EVIDENCE_OF_CHATS", "true")]).await;
    service.link("51").await;
    let taken = service.post("/sessions/51/evidence", &json!({})).await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    assert!(shows_something(&picture(&service, &taken.json()).await));
    assert_eq!(taken.json().get("console_left_out"), None);

    let body = json!({ "cliente_id": 51, "logout": true });
    assert_eq!(service.post("/disconnect", &body).await.status, 200);
    let gone = service.get("/sessions/51/evidence").await;
    gone.assert_refused(404, "NO_EVIDENCE");
    let folder = service.home().data().join("sandbox/evidence/51");
    assert!(!folder.try_exists().unwrap());
    service.stop();
}
