//! Linking with a passkey on the page: what a person is led through, and what a real browser makes of it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chromiumoxide::cdp::browser_protocol::{
    fetch::{EnableParams, EventRequestPaused, FulfillRequestParams, RequestPattern},
    web_authn::{
        self, AddVirtualAuthenticatorParams, AuthenticatorProtocol, AuthenticatorTransport,
        VirtualAuthenticatorOptions,
    },
};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::visitor::{Visitor, shown_code};
use crate::support::{Service, page::Chrome};

const SCRIPT: &str = "document.querySelector('#passkey-script').value";

/// A person at the page of session 51, whose phone wants a passkey.
async fn asked() -> (Service, Visitor) {
    let service = Service::with(&[]).await;
    service.faults(json!({ "page": "passkey" })).await;
    let visitor = Visitor::come().await;
    visitor.chrome.goto(service.url()).await;
    let code = shown_code(&visitor, &service, "51").await;
    service.scan(&code).await;
    visitor.chrome.shows("#passkey-sign:not([hidden])").await;
    (service, visitor)
}

/// The challenge that the phone sees, once the page has its script.
async fn challenge(service: &Service, visitor: &Visitor) -> String {
    let passkeys = service.phone_state().await["passkeys"].clone();
    let challenge = passkeys[0]["challenge"].as_str().unwrap().to_owned();
    service.secrets().remember_text(&challenge);
    let has_it = format!("{SCRIPT}.includes({challenge:?})");
    visitor.chrome.until(&has_it).await;
    challenge
}

async fn phone(service: &Service, challenge: &str, does: &str) -> Value {
    let asked = json!({ "challenge": challenge, "answer": does });
    let answered = service.phone("/phone/passkey", &asked).await;
    assert_eq!(answered.status, 200, "{}", answered.text());
    answered.json()["assertion"].clone()
}

/// Pastes an answer and hands it in.
async fn hand_in(visitor: &Visitor, answer: &str) {
    visitor.fill("#passkey-answer", answer).await;
    visitor.chrome.click("#passkey-form button").await;
}

async fn says(visitor: &Visitor, selector: &str, part: &str) {
    let says = format!("document.querySelector({selector:?}).textContent.includes({part:?})");
    visitor.chrome.until(&says).await;
}

#[tokio::test]
async fn a_person_is_led_from_the_scan_over_a_refused_signature_to_the_comparison_of_codes() {
    let (service, visitor) = asked().await;
    let first = challenge(&service, &visitor).await;
    visitor.chrome.shows("#code[hidden]").await;
    assert_eq!(visitor.text("#badge").await, "Waiting for the passkey");
    let counts =
        "/^\\d+:\\d\\d min left$/.test(document.querySelector('#passkey-left').textContent)";
    visitor.chrome.until(counts).await;
    says(&visitor, "#passkey-proof", "no code").await;
    visitor
        .assert_accessible("the page that asks for a signature")
        .await;

    hand_in(&visitor, "hola").await;
    says(
        &visitor,
        "#passkey-trouble",
        "not the answer of the browser",
    )
    .await;
    hand_in(&visitor, r#"{"type":"public-key"}"#).await;
    says(&visitor, "#passkey-trouble", "(id is missing").await;
    assert!(!visitor.text("#passkey-trouble").await.contains("GET "));
    let assertion = phone(&service, &first, "sign").await;
    phone(&service, &first, "refuse").await;
    hand_in(&visitor, &assertion.to_string()).await;
    says(&visitor, "#passkey-trouble", "the phone has refused").await;

    // The next challenge comes by itself, and in Spanish too.
    says(&visitor, "#passkey-failure", "the phone has refused").await;
    visitor.chrome.click("[data-language=es]").await;
    says(&visitor, "#passkey-proof", "comparar un código").await;
    says(&visitor, "#badge", "Esperando la llave de acceso").await;
    visitor.chrome.click("[data-language=en]").await;
    let second = challenge(&service, &visitor).await;
    assert_ne!(second, first);
    let assertion = phone(&service, &second, "sign").await;
    hand_in(&visitor, &json!({ "assertion": assertion }).to_string()).await;
    visitor.chrome.shows("#passkey-compare:not([hidden])").await;
    visitor
        .chrome
        .until("document.querySelector('#passkey-code').value.length === 9")
        .await;
    let shown: String = visitor
        .chrome
        .value("document.querySelector('#passkey-code').value")
        .await;
    let passkeys = service.phone_state().await["passkeys"].clone();
    let code = shown.replace('-', "");
    assert_eq!(passkeys[0]["code"], code.as_str());
    service.secrets().remember_text(&code);
    visitor
        .assert_accessible("the page with a code to compare")
        .await;
    visitor.chrome.click("#passkey-confirm").await;
    visitor.sees("READY").await;
    visitor.chrome.shows("#passkey[hidden]").await;
    let left: String = visitor.chrome.value(SCRIPT).await;
    assert_eq!(left, "");
    // Refused answers are in the browser's own log.
    visitor.assert_kept_to(&service, &["status of 4"]);
    service.stop();
}

#[tokio::test]
async fn giving_up_on_the_page_shows_codes_again() {
    let (service, visitor) = asked().await;
    challenge(&service, &visitor).await;
    visitor.chrome.click("#passkey-give-up").await;
    visitor.chrome.shows("#passkey[hidden]").await;
    service.faults(json!({})).await;
    service.scan(&service.code("51").await).await;
    visitor.sees("READY").await;
    visitor.assert_kept_to(&service, &[]);
    service.stop();
}

/// Stands in for the extension for Firefox: a script in the page that hears what the page posts.
const EXTENSION: &str = "addEventListener('message', ({ data }) => {
    if (data?.source !== 'waha-passkey-page') return;
    const answer = (more) => postMessage({ source: 'waha-passkey-extension', requestId: data.requestId, ok: true, ...more }, location.origin);
    if (data.type === 'waha-passkey-ping') answer({ version: '1.0' });
    if (data.type === 'waha-passkey-sign') { window.asked = data.challenge; window.sign = (assertion) => answer({ assertion }); }
})";

#[tokio::test]
async fn with_the_extension_one_click_signs() {
    let service = Service::with(&[]).await;
    service.faults(json!({ "page": "passkey" })).await;
    let visitor = Visitor::come().await;
    visitor.chrome.goto(service.url()).await;
    visitor.chrome.run(EXTENSION).await;
    let code = shown_code(&visitor, &service, "51").await;
    service.scan(&code).await;
    visitor
        .chrome
        .shows("#passkey-with-extension:not([hidden])")
        .await;
    let wanted = challenge(&service, &visitor).await;
    visitor.chrome.click("#passkey-with-extension").await;
    visitor.chrome.until("window.asked").await;
    let asked: Value = visitor.chrome.value("window.asked").await;
    assert_eq!(asked["challenge"], wanted.as_str(), "{asked}");
    assert_eq!(asked["rpId"], "whatsapp.com", "{asked}");
    let assertion = phone(&service, &wanted, "sign").await;
    visitor
        .chrome
        .run(&format!("window.sign({assertion})"))
        .await;
    visitor.sees("READY").await;
    visitor.assert_kept_to(&service, &[]);
    service.stop();
}

/// A person's browser on WhatsApp's own page, with a passkey for it in an authenticator that Chrome simulates.
async fn on_whatsapps_page(folder: &TempDir) -> Chrome {
    let chrome = Chrome::open(folder.path()).await;
    let page = chrome.page().clone();
    let mut paused = page.event_listener::<EventRequestPaused>().await.unwrap();
    let pattern = RequestPattern::builder()
        .url_pattern("https://web.whatsapp.com/*")
        .build();
    page.execute(EnableParams::builder().pattern(pattern).build())
        .await
        .unwrap();
    let answering = page.clone();
    tokio::spawn(async move {
        while let Some(asked) = paused.next().await {
            let html = STANDARD.encode("<!doctype html><title>WhatsApp Web</title><body></body>");
            let answer = FulfillRequestParams::builder()
                .request_id(asked.request_id.clone())
                .response_code(200)
                .body(html)
                .build()
                .unwrap();
            // The page may have gone.
            drop(answering.execute(answer).await);
        }
    });
    chrome.goto("https://web.whatsapp.com/").await;
    page.execute(web_authn::EnableParams::default())
        .await
        .unwrap();
    let authenticator = VirtualAuthenticatorOptions::builder()
        .protocol(AuthenticatorProtocol::Ctap2)
        .transport(AuthenticatorTransport::Internal)
        .has_resident_key(true)
        .has_user_verification(true)
        .is_user_verified(true)
        .automatic_presence_simulation(true)
        .build()
        .unwrap();
    page.execute(AddVirtualAuthenticatorParams::new(authenticator))
        .await
        .unwrap();
    chrome
        .run(
            "await navigator.credentials.create({ publicKey: {
                rp: { id: 'whatsapp.com', name: 'WhatsApp' }, user: { id: new Uint8Array(16), name: 'owner', displayName: 'owner' },
                challenge: new Uint8Array(32), pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
                authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
            } })",
        )
        .await;
    chrome
}

#[tokio::test]
async fn a_real_browser_signs_by_the_script_of_the_page_and_only_its_signature_is_left_to_whatsapp()
{
    let (service, visitor) = asked().await;
    challenge(&service, &visitor).await;
    let script: String = visitor.chrome.value(SCRIPT).await;
    let folder = TempDir::new().unwrap();
    let owner = on_whatsapps_page(&folder).await;
    owner.run(&script).await;
    owner.click("body > div button").await;
    owner
        .until("document.querySelector('body > div textarea').value")
        .await;
    let answer: String = owner
        .value("document.querySelector('body > div textarea').value")
        .await;
    for part in ["signature", "clientDataJSON"] {
        let signed: Value = serde_json::from_str(&answer).unwrap();
        let secret = signed["response"][part].as_str().unwrap();
        service.secrets().remember_text(secret);
    }
    hand_in(&visitor, &answer).await;
    // Everything else was right: challenge, site, page and person. The sandbox knows the signatures of its own phone only.
    says(&visitor, "#passkey-trouble", "the signature is not good").await;
    visitor.assert_kept_to(&service, &["status of 4"]);
    service.stop();
}
