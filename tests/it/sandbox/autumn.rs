//! What WhatsApp Web became in autumn 2026, as the sandbox shows it: each test is one belief of docs/whatsapp.md.

use std::time::Duration;

use chromiumoxide::cdp::browser_protocol::fetch::EnableParams;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ACCOUNT, Chrome, FRIEND, LINKED, Running, TEXT, config, linked, send, shown_code};

/// A sandbox with these faults, and a page of it that shows a code.
async fn opened(folder: &TempDir, faults: Value) -> (Running, Chrome) {
    let sandbox = Running::start_with(config(folder.path()), 0).await;
    sandbox.post("/faults", faults).await;
    let chrome = Chrome::open(&folder.path().join("profile")).await;
    chrome.goto(&sandbox.url("/")).await;
    shown_code(&chrome).await;
    (sandbox, chrome)
}

async fn scan(sandbox: &Running, chrome: &Chrome) {
    let scanned = json!({"code": shown_code(chrome).await, "number": ACCOUNT});
    assert_eq!(sandbox.post("/phone/scan", scanned).await.0, 200);
}

#[tokio::test]
async fn a_page_whose_connection_worker_could_not_be_loaded_connects_with_another_one() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = opened(&folder, json!({})).await;
    chrome
        .run(
            "const Real = Worker; let isFirst = true;
            window.Worker = function (url) {
              const worker = new Real(url);
              if (String(url).includes('comms-worker') && isFirst) {
                isFirst = false;
                worker.terminate();
                setTimeout(() => worker.dispatchEvent(new Event('error')));
              }
              return worker;
            };",
        )
        .await;
    scan(&sandbox, &chrome).await;
    chrome.until(LINKED).await;
    sandbox.stop().await;
}

const LOGGED_OUT: &str = "location.search.includes('post_logout=1')";

#[tokio::test]
async fn an_account_that_does_not_answer_whats_new_is_logged_out() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = opened(&folder, json!({"whats_new_logout_ms": 1500})).await;
    scan(&sandbox, &chrome).await;
    chrome.shows("[data-testid=confirm-popup]").await;
    chrome.until(LOGGED_OUT).await;
    sandbox.stop().await;
}

#[tokio::test]
async fn whats_new_is_answered_by_its_own_module_too_and_does_not_come_back() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = opened(&folder, json!({"whats_new_logout_ms": 3000})).await;
    scan(&sandbox, &chrome).await;
    chrome.shows("[data-testid=confirm-popup]").await;
    chrome
        .run(
            "const days = require('WAWebWhatsNewGatingUtils').getWhatsNewAutoModalCooldownDays();
            require('WAWebWhatsNewNux').createWhatsNewNux(days).dismiss();
            require('WAWebModalManager').ModalManager.close()",
        )
        .await;
    chrome.goto(&sandbox.url("/")).await;
    chrome.until(LINKED).await;
    // Nothing tells that nothing will happen.
    tokio::time::sleep(Duration::from_secs(4)).await;
    chrome.until(LINKED).await;
    let shown: u32 = chrome
        .value("document.querySelectorAll('[role=dialog]').length")
        .await;
    assert_eq!(shown, 0);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_linked_page_has_its_connection_in_a_worker() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    chrome
        .run(
            "const { CONNECTING, OPEN, CLOSED } = WebSocket;
            window.WebSocket = Object.assign(class { constructor() { throw new Error('not here'); } }, { CONNECTING, OPEN, CLOSED })",
        )
        .await;
    sandbox
        .post("/faults", json!({"event": "socket_closed"}))
        .await;
    chrome
        .until("require('WAWebSocketModel').Socket.state === 'OPENING'")
        .await;
    chrome.until(LINKED).await;
    assert_eq!(send(&chrome, TEXT).await["messageSendResult"], "OK");
    sandbox.stop().await;
}

#[tokio::test]
async fn a_page_loads_itself_anew_once_after_linking_and_a_reader_of_status_is_removed_then() {
    for (reads, is_removed) in [(false, false), (true, true)] {
        let folder = TempDir::new().unwrap();
        let faults = json!({"self_reload_ms": 2000, "status_read_revokes": true});
        let (sandbox, chrome) = opened(&folder, faults).await;
        scan(&sandbox, &chrome).await;
        chrome.until(LINKED).await;
        chrome.run("window.isOld = true").await;
        if reads {
            chrome
                .run("require('WAWebChatCollection').ChatCollection.get('status@broadcast')")
                .await;
        }
        chrome.until("!window.isOld").await;
        chrome
            .until(if is_removed { LOGGED_OUT } else { LINKED })
            .await;
        sandbox.stop().await;
    }
}

#[tokio::test]
async fn a_pairing_code_for_a_number_that_is_linked_ends_its_link() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    sandbox
        .post("/faults", json!({"pairing_revokes_ms": 300}))
        .await;
    let other = Chrome::open(&folder.path().join("other")).await;
    other.goto(&sandbox.url("/")).await;
    shown_code(&other).await;
    other
        .run(&format!(
            "const api = require('WAWebAltDeviceLinkingApi');
            await api.initializeAltDeviceLinking();
            await api.startAltLinkingFlow('{ACCOUNT}', true)"
        ))
        .await;
    chrome.until(LOGGED_OUT).await;
    sandbox.stop().await;
}

#[tokio::test]
async fn a_send_that_fails_has_a_word_for_it_and_only_a_network_error_is_not_the_end() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    let ack = "require('WAWebMsgCollection').MsgCollection.last().ack";
    for (word, expected) in [
        ("ERROR_UNKNOWN", -1),
        ("ERROR_CANCELLED", 0),
        ("ERROR_NETWORK", 0),
    ] {
        sandbox.post("/faults", json!({"send_result": word})).await;
        assert_eq!(send(&chrome, word).await["messageSendResult"], word);
        assert_eq!(chrome.value::<i32>(ack).await, expected, "{word}");
    }
    sandbox.post("/faults", json!({"send": "rejected"})).await;
    let rejected: bool = chrome
        .value(&format!(
            "(async () => {{ {} return sent; }})().then(() => false, () => true)",
            super::sending("rejected")
        ))
        .await;
    assert!(rejected);
    assert!(sandbox.messages().await.is_empty());
    sandbox.post("/faults", json!({})).await;
    sandbox
        .post("/faults", json!({"event": "socket_closed"}))
        .await;
    let arrived = sandbox.until_messages(|taken| !taken.is_empty()).await;
    assert_eq!(
        (arrived.len(), &arrived[0]["body"]),
        (1, &json!("ERROR_NETWORK"))
    );
    sandbox.stop().await;
}

#[tokio::test]
async fn a_hidden_tab_draws_the_last_message_only() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    for text in ["one", "two", "three"] {
        send(&chrome, text).await;
    }
    for (hidden_tab, drawn) in [(false, 3), (true, 1)] {
        sandbox
            .post("/faults", json!({"hidden_tab": hidden_tab}))
            .await;
        chrome
            .goto(&sandbox.url(&format!("/send?phone={FRIEND}")))
            .await;
        chrome.shows("#main footer [contenteditable]").await;
        chrome
            .until(&format!(
                "document.querySelectorAll('#main [data-id]').length === {drawn}"
            ))
            .await;
    }
    let id: String = chrome
        .value("document.querySelector('#main [data-id]').dataset.id")
        .await;
    assert!(id.starts_with("3EB0"), "the key alone: {id}");
    sandbox.stop().await;
}

#[tokio::test]
async fn an_upload_goes_through_a_worker() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    chrome
        .run(
            "window.fetch = () => { throw new Error('not here'); };
            const { default: uploads } = require('WAWebUploadManager');
            await uploads.encryptAndUpload({ blob: new Blob([new Uint8Array(1000)]), type: 'image' })",
        )
        .await;
    sandbox.stop().await;
}

#[tokio::test]
async fn an_upload_never_settles_while_the_pages_requests_are_intercepted() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    chrome
        .page()
        .execute(EnableParams::default())
        .await
        .unwrap();
    chrome
        .run(
            "window.settled = false;
            const { default: uploads } = require('WAWebUploadManager');
            uploads.encryptAndUpload({ blob: new Blob([new Uint8Array(1000)]), type: 'image' }).finally(() => { window.settled = true; })",
        )
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!chrome.value::<bool>("settled").await);
    sandbox.stop().await;
}

const CONTINUE: &str = "[data-testid=shortcake_passkey_continue_button]:not(:disabled)";
const STAGE: &str = "require('WAWebShortcakeLinkingApi').getShortcakeLinkingStage()";

/// A page that stands at the passkey.
async fn at_passkey(folder: &TempDir, mut faults: Value) -> (Running, Chrome) {
    faults["page"] = json!("passkey");
    let (sandbox, chrome) = opened(folder, faults).await;
    scan(&sandbox, &chrome).await;
    chrome.shows("[data-testid=shortcake_passkey_screen]").await;
    let asked = sandbox.get("/phone/state").await["passkeys"][0].clone();
    assert_eq!(asked["number"], ACCOUNT);
    (sandbox, chrome)
}

/// Lets the page's next request for a credential be answered with what the phone makes of its challenge.
async fn sign(sandbox: &Running, chrome: &Chrome, answer: &str) {
    chrome
        .run(
            "const text = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
            navigator.credentials.get = ({ publicKey }) => new Promise((resolve) => { window.asked = { challenge: text(publicKey.challenge), resolve }; })",
        )
        .await;
    chrome.click(CONTINUE).await;
    chrome.until("window.asked").await;
    let challenge: String = chrome.value("asked.challenge").await;
    let (status, signed) = sandbox
        .post(
            "/phone/passkey",
            json!({"challenge": challenge, "answer": answer}),
        )
        .await;
    assert_eq!(status, 200, "{signed}");
    chrome
        .run(&format!(
            "const signed = {};
            const bytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0)).buffer;
            const response = Object.fromEntries(Object.entries(signed.response).map(([name, text]) => [name, bytes(text)]));
            const {{ resolve }} = window.asked;
            window.asked = null;
            resolve({{ id: signed.id, rawId: bytes(signed.rawId), type: signed.type, response }})",
            signed["assertion"]
        ))
        .await;
}

const ALERT: &str = "[data-testid=shortcake_passkey_screen] [role=alert]";

#[tokio::test]
async fn a_passkey_that_the_phone_signs_links_without_more() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = at_passkey(&folder, json!({})).await;
    sign(&sandbox, &chrome, "sign").await;
    chrome.until(LINKED).await;
    sandbox.stop().await;
}

#[tokio::test]
async fn after_a_failed_attempt_a_person_has_to_compare_codes() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = at_passkey(&folder, json!({})).await;
    let first = sandbox.get("/phone/state").await["passkeys"][0]["challenge"].clone();
    // This page is not on the site that the passkey is for.
    chrome.click(CONTINUE).await;
    chrome.shows(ALERT).await;
    sign(&sandbox, &chrome, "sign").await;
    chrome
        .shows("[data-testid=shortcake_verification_code_display]")
        .await;
    let shown: String = chrome
        .value("require('WAWebShortcakeLinkingApi').getVerificationCode()")
        .await;
    let phone = sandbox.get("/phone/state").await["passkeys"][0].clone();
    assert_eq!(phone["code"], shown.as_str());
    assert_ne!(phone["challenge"], first);
    is_confirmed(&chrome).await;
    sandbox.stop().await;
}

/// Notes the words of `shortcake_error`.
/// The person has compared the codes, and the page is linked.
async fn is_confirmed(chrome: &Chrome) {
    chrome
        .click("[data-testid=shortcake_code_confirm_button]")
        .await;
    chrome.until(LINKED).await;
}

const NOTE_ERRORS: &str = "window.reasons = [];
    require('WAWebLinkDeviceEvents').WAWebLinkDeviceEvents.on('link_device_events:shortcake_error', (reason) => reasons.push(reason))";

#[tokio::test]
async fn a_passkey_that_is_refused_fails_the_attempt_without_an_event_and_can_be_tried_again() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = at_passkey(&folder, json!({"passkey": "refused"})).await;
    chrome.run(NOTE_ERRORS).await;
    sign(&sandbox, &chrome, "sign").await;
    chrome.shows(ALERT).await;
    assert_eq!(chrome.value::<usize>("reasons.length").await, 0);
    assert_eq!(chrome.value::<String>(STAGE).await, "NotStarted");
    sandbox.post("/faults", json!({"page": "passkey"})).await;
    sign(&sandbox, &chrome, "sign").await;
    is_confirmed(&chrome).await;
    sandbox.stop().await;
}

#[tokio::test]
async fn a_phone_that_does_not_answer_ends_the_attempt_and_its_challenge_is_not_taken_again() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = at_passkey(&folder, json!({"passkey_stage_ms": 5000})).await;
    chrome.run(NOTE_ERRORS).await;
    sign(&sandbox, &chrome, "ignore").await;
    chrome.until("reasons.length === 1").await;
    assert_eq!(chrome.value::<String>("reasons[0]").await, "timeout");
    // The page has kept the challenge, and the server has seen it.
    sign(&sandbox, &chrome, "sign").await;
    chrome.shows(ALERT).await;
    sign(&sandbox, &chrome, "sign").await;
    is_confirmed(&chrome).await;
    sandbox.stop().await;
}

#[tokio::test]
async fn a_passkey_that_is_given_up_gives_way_to_codes_again() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = at_passkey(&folder, json!({})).await;
    chrome.click("[data-testid=shortcake_cancel_button]").await;
    chrome.shows("[data-ref]").await;
    assert_eq!(sandbox.get("/phone/state").await["passkeys"], json!([]));
    sandbox.post("/faults", json!({})).await;
    scan(&sandbox, &chrome).await;
    chrome.until(LINKED).await;
    sandbox.stop().await;
}

#[tokio::test]
async fn the_page_of_the_phone_has_a_button_for_each_answer_to_a_challenge() {
    let folder = TempDir::new().unwrap();
    let (sandbox, _chrome) = at_passkey(&folder, json!({})).await;
    let phone = Chrome::open(&folder.path().join("phone")).await;
    phone.goto(&sandbox.url("/phone")).await;
    let signed = "document.querySelector('#passkeys .signed')?.value";
    for answer in ["sign", "ignore"] {
        phone.click(&format!("[data-answer={answer}]")).await;
        phone
            .until(&format!("JSON.parse({signed}).type === 'public-key'"))
            .await;
        phone.click("[data-answer=refuse]").await;
        phone.until(&format!("{signed} === 'Refused.'")).await;
    }
    sandbox.stop().await;
}
