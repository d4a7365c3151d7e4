//! Linking by phone number on the simulated page: by a person, and by a script that calls the page's functions.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use whatsapp_sandbox::SandboxConfig;

use super::{ACCOUNT, Chrome, FRIEND, LINKED, NOBODY, Running, config, shown_code};

const HINT: &str = "[data-testid=link_device_qr_phone_number_link]";
const FIELD: &str = "[data-testid=link-device-phone-number-entry-screen] input";
const NEXT: &str = "[data-testid=link-device-phone-number-entry-next-button]";
const CODE: &str = "[data-link-code]";

/// A sandbox whose pairing codes live as long as said, and a page of it that shows a code to scan.
async fn opened(folder: &TempDir, pairing_code: Duration) -> (Running, Chrome) {
    let config = SandboxConfig {
        pairing_code,
        ..config(folder.path())
    };
    let sandbox = Running::start_with(config, 0).await;
    let chrome = Chrome::open(&folder.path().join("profile")).await;
    chrome.goto(&sandbox.url("/")).await;
    shown_code(&chrome).await;
    (sandbox, chrome)
}

async fn shown_pairing_code(chrome: &Chrome) -> String {
    chrome.shows(CODE).await;
    let cells: String = chrome
        .value(&format!(
            "document.querySelector('{CODE}').dataset.linkCode"
        ))
        .await;
    cells.replace(',', "")
}

/// Types a number in place of what stands in the field.
async fn type_number(chrome: &Chrome, number: &str) {
    chrome.click(FIELD).await;
    chrome
        .run(&format!("document.querySelector('{FIELD}').select()"))
        .await;
    chrome.insert_text(number).await;
}

async fn pair(sandbox: &Running, number: &str, code: &str) -> u16 {
    let typed = json!({"number": number, "code": code});
    sandbox.post("/phone/pair", typed).await.0
}

#[tokio::test]
async fn a_person_links_by_typing_the_number_here_and_the_code_there() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = opened(&folder, Duration::from_mins(3)).await;
    chrome.click(HINT).await;
    chrome.shows(FIELD).await;
    // What a script writes does not count, and the country that the page proposes is not the one that is meant.
    chrome
        .run(&format!(
            "document.querySelector('{FIELD}').value = '+{ACCOUNT}';
            document.querySelector('{FIELD}').dispatchEvent(new Event('input', {{ bubbles: true }}))"
        ))
        .await;
    chrome.click(NEXT).await;
    chrome
        .shows("#link-device-phone-number-entry-screen-error")
        .await;
    // A "+" stands for nothing, and what comes after it behind the country that was there.
    type_number(&chrome, &format!("+{ACCOUNT}")).await;
    let wrong: String = chrome
        .value(&format!("document.querySelector('{FIELD}').value"))
        .await;
    assert!(wrong.starts_with("+1 54"), "{wrong}");
    type_number(&chrome, ACCOUNT).await;
    chrome.click(NEXT).await;

    let code = shown_pairing_code(&chrome).await;
    let waiting = sandbox.get("/phone/state").await["pairings"].clone();
    assert_eq!(waiting[0]["number"], ACCOUNT);
    assert!(
        !waiting.to_string().contains(&code),
        "the phone has to be told the code"
    );
    assert_eq!(pair(&sandbox, FRIEND, &code).await, 404);
    let (front, back) = code.split_at(4);
    assert_eq!(
        pair(&sandbox, ACCOUNT, &format!("{front}-{back}")).await,
        200
    );
    chrome.until(LINKED).await;
    assert_eq!(pair(&sandbox, ACCOUNT, &code).await, 404, "it links once");
    sandbox.stop().await;
}

#[tokio::test]
async fn an_expired_code_links_nothing_and_its_screen_shows_another() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = opened(&folder, Duration::from_secs(2)).await;
    chrome.click(HINT).await;
    type_number(&chrome, ACCOUNT).await;
    chrome.click(NEXT).await;
    let first = shown_pairing_code(&chrome).await;
    chrome
        .until(&format!(
            "(document.querySelector('{CODE}')?.dataset.linkCode.replaceAll(',', '') ?? '{first}') !== '{first}'"
        ))
        .await;
    let second = shown_pairing_code(&chrome).await;
    assert_eq!(pair(&sandbox, ACCOUNT, &first).await, 404);
    assert_eq!(pair(&sandbox, ACCOUNT, &second).await, 200);
    sandbox.stop().await;
}

#[tokio::test]
async fn the_functions_refuse_what_the_real_ones_refuse() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = opened(&folder, Duration::from_mins(3)).await;
    let start = |number: Value| {
        format!(
            "(async () => {{
                const api = require('WAWebAltDeviceLinkingApi');
                try {{ return await api.startAltLinkingFlow({number}, true); }}
                catch (error) {{ return error.type?.name ?? error.message; }}
            }})()"
        )
    };
    let initialize = "await require('WAWebAltDeviceLinkingApi').initializeAltDeviceLinking()";
    let out_of_order: String = chrome.value(&start(json!(ACCOUNT))).await;
    assert!(out_of_order.contains("invariant"), "{out_of_order}");
    chrome.run(initialize).await;
    for malformed in [
        json!("+549115000"),
        json!("12"),
        json!(5_491_150_004_444_u64),
    ] {
        let refused: String = chrome.value(&start(malformed)).await;
        assert!(refused.contains("invalid phone number"), "{refused}");
    }
    let unknown: String = chrome.value(&start(json!(NOBODY))).await;
    assert_eq!(unknown, "IQErrorBadRequest");
    for (fault, name) in [
        ("refused", "IQErrorBadRequest"),
        ("rate_limited", "IQErrorRateOverlimit"),
        ("not_available", "IQErrorFeatureNotAvailable"),
    ] {
        sandbox.post("/faults", json!({"pairing": fault})).await;
        let error: String = chrome.value(&start(json!(ACCOUNT))).await;
        assert_eq!(error, name);
    }
    sandbox.post("/faults", json!({})).await;
    let first: String = chrome.value(&start(json!(ACCOUNT))).await;
    assert_eq!(first.len(), 8);
    chrome.run(initialize).await;
    assert_eq!(
        pair(&sandbox, ACCOUNT, &first).await,
        404,
        "a new start ends the code before"
    );
    sandbox.stop().await;
}

#[tokio::test]
async fn a_code_on_the_screen_is_stale_once_the_page_was_made_ready_to_pair() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = opened(&folder, Duration::from_mins(3)).await;
    let shown = shown_code(&chrome).await;
    chrome
        .run("await require('WAWebAltDeviceLinkingApi').initializeAltDeviceLinking()")
        .await;
    assert_eq!(
        shown_code(&chrome).await,
        shown,
        "the page draws no other code"
    );
    // Answered once the page has heard it, over the socket on which its new keys have gone before.
    sandbox.post("/faults", json!({"ack": "never"})).await;
    let scan = json!({"code": shown, "number": ACCOUNT});
    assert_eq!(sandbox.post("/phone/scan", scan).await.0, 404);
    chrome
        .run("require('WAWebLaunchSocketUtils').refreshQR()")
        .await;
    chrome
        .until(&format!(
            "document.querySelector('[data-ref]').dataset.ref !== {shown:?}"
        ))
        .await;
    let fresh = json!({"code": shown_code(&chrome).await, "number": ACCOUNT});
    assert_eq!(sandbox.post("/phone/scan", fresh).await.0, 200);
    sandbox.stop().await;
}
