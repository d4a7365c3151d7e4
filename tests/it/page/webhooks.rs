//! Webhooks and the bridge on the service's page: what a person sees of them and does with them.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::post,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::visitor::Visitor;
use crate::{
    bridge, keys,
    support::{Home, Service, answer},
    webhooks::Target,
};

const FRIEND: &str = "5491150002222";

/// What a receiver does at the moment. Each test has a process of its own.
static FAILS: AtomicBool = AtomicBool::new(false);

fn as_set(_number: usize) -> Response {
    if FAILS.load(SeqCst) {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    } else {
        StatusCode::OK.into_response()
    }
}

/// A hub that lets the service log in, and takes no text while it fails.
async fn hub() -> SocketAddr {
    let login = || async { json!({ "token": "a-token" }).to_string() };
    let listener = || async {
        if FAILS.load(SeqCst) {
            StatusCode::UNPROCESSABLE_ENTITY.into_response()
        } else {
            json!({ "ok": true }).to_string().into_response()
        }
    };
    let router = Router::new()
        .route("/api/auth/login", post(login))
        .route("/api/listener/{name}", post(listener));
    let bound = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = bound.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(bound, router).await });
    addr
}

/// The card of a webhook, and the parts that tests press and read.
const CARD: &str = ".hook[data-id]";
const TEST: &str = ".hook[data-id] > .actions > button:nth-child(1)";
const SWITCH: &str = ".hook[data-id] > .actions > button:nth-child(2)";
const REMOVE: &str = ".hook[data-id] > .actions > button:nth-child(3)";

impl Visitor {
    /// Waits until a card has this figure.
    async fn counts(&self, card: &str, name: &str, value: &str) {
        let rows = format!("[...document.querySelectorAll({card:?} + ' dl div')]");
        let is_so = format!(
            "{rows}.some(({{children: [one, other]}}) => one.textContent === {name:?} && other.textContent === {value:?})"
        );
        self.chrome.until(&is_so).await;
    }

    /// Waits until a part of the page says this.
    async fn reads(&self, selector: &str, text: &str) {
        let says = format!("document.querySelector({selector:?})?.textContent.includes({text:?})");
        self.chrome.until(&says).await;
    }

    async fn stands(&self, card: &str, state: &str) {
        self.chrome
            .shows(&format!("{card}[data-state={state}]"))
            .await;
    }
}

fn texts(target: &Target) -> Vec<String> {
    let taken = target.taken();
    let messages = taken.iter().filter(|event| event["type"] == "message");
    let text = |event: &Value| event["data"]["text"].as_str().unwrap().to_owned();
    messages.map(text).collect()
}

/// Follows the timers of the page that look at webhooks.
const WATCH_TIMERS: &str = "
    const looks = (window.looks = new Set());
    const [set, clear] = [window.setTimeout, window.clearTimeout];
    window.setTimeout = (work, time) => {
        const id = set(() => { looks.delete(id); work(); }, time);
        if (time === 3000) looks.add(id);
        return id;
    };
    window.clearTimeout = (id) => { looks.delete(id); clear(id); }";

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one webhook from its beginning to its end, as a person has it"
)]
async fn a_webhook_is_added_tried_and_redriven_from_the_page_alone() {
    let target = Target::open(as_set).await;
    let settings = [
        ("WEBHOOK_ALLOW_PRIVATE", "true"),
        ("WEBHOOK_RETRY_SECONDS", "0"),
    ];
    let (service, account) = Service::linked(&settings).await;
    service.hearing_is("live").await;
    service.secrets().remember_number(FRIEND);
    let comes_in = async |text: &str| {
        service.secrets().remember_text(text);
        let message = json!({"from": FRIEND, "name": "Ana", "body": text});
        service.does(&account, "receive", message).await;
    };
    let visitor = Visitor::come().await;
    visitor.chrome.goto(service.url()).await;
    visitor.chrome.run(WATCH_TIMERS).await;

    // By keyboard, with a slip first.
    visitor.tabs_to("#webhooks-link").await;
    visitor.press("Enter").await;
    visitor.chrome.shows("#no-webhooks:not([hidden])").await;
    visitor.reads("#bridge", "Not set up").await;
    visitor.assert_accessible("no webhooks").await;
    visitor.tabs_to("#webhooks-add summary").await;
    visitor.press("Enter").await;
    visitor.tabs_to("#webhook-url").await;
    visitor.chrome.insert_text("example.com/hook").await;
    visitor.press("Enter").await;
    visitor
        .reads("#webhook-trouble", "begins with https://")
        .await;
    visitor.fill("#webhook-url", &target.url).await;
    visitor
        .tabs_to("#webhook-types input[value='message']")
        .await;
    visitor.press(" ").await;
    visitor.tabs_to("#webhook-clients").await;
    visitor.chrome.insert_text("51, my shop").await;
    visitor.tabs_to("#webhook-form button").await;
    visitor.press("Enter").await;
    visitor
        .reads("#webhook-clients-trouble", "“my shop” is no client id")
        .await;
    visitor.fill("#webhook-clients", " 51,\n").await;
    visitor.assert_accessible("the form of a new webhook").await;
    visitor.tabs_to("#webhook-form button").await;
    visitor.press("Enter").await;

    // The secret is there once.
    visitor.chrome.shows("#webhook-made:not([hidden])").await;
    let secret = "document.querySelector('#webhook-secret').value";
    let secret: String = visitor.chrome.value(secret).await;
    assert!(secret.starts_with("whsec_"), "a secret");
    service.secrets().remember_text(&secret);
    visitor.assert_accessible("the secret of a webhook").await;
    visitor.chrome.click("#webhook-copy").await;
    visitor
        .chrome
        .until("document.querySelector('#webhook-copied').textContent")
        .await;
    visitor.chrome.click("#webhook-kept").await;
    visitor.chrome.shows("#webhook-made[hidden]").await;
    let is_gone = "document.querySelector('#webhook-secret').value === ''";
    visitor.chrome.until(is_gone).await;
    let made = service.get("/webhooks").await.json()["webhooks"][0].clone();
    assert_eq!(made["types"], json!(["message"]), "{made}");
    assert_eq!(made["cliente_ids"], json!([51]), "{made}");

    comes_in("llega").await;
    visitor.counts(CARD, "Delivered", "1").await;
    visitor.stands(CARD, "on").await;
    visitor.chrome.click(TEST).await;
    visitor
        .reads(".hook .good", "The test arrived: it answered 200")
        .await;

    // The receiver fails until the event is given up.
    FAILS.store(true, SeqCst);
    comes_in("se abandona").await;
    visitor.stands(CARD, "failing").await;
    visitor.counts(CARD, "Given up", "1").await;
    visitor.counts(CARD, "Failed attempts", "2").await;
    visitor.chrome.click(TEST).await;
    visitor.reads(CARD, "The test did not arrive").await;
    visitor.reads(CARD, "It answered 500.").await;
    visitor.chrome.click(".hook[data-id] summary").await;
    let row = ".hook[data-id] .dead li";
    visitor.reads(row, "Messages that come in").await;
    visitor.reads(row, "Session 51").await;
    visitor.reads(row, "2 attempts").await;
    visitor.reads(row, "It answered 500.").await;
    visitor.assert_accessible("a webhook that fails").await;
    visitor.chrome.click("[data-language=es]").await;
    visitor.reads(CARD, "Con fallos").await;
    visitor.reads(row, "Respondió 500.").await;
    let badges = visitor.text(CARD).await;
    assert!(!badges.contains("Given up"), "{badges}");
    visitor.chrome.click("[data-language=en]").await;

    FAILS.store(false, SeqCst);
    visitor.chrome.click(".hook[data-id] .dead button").await;
    visitor.reads(CARD, "1 is tried again.").await;
    visitor.counts(CARD, "Delivered", "2").await;
    visitor.counts(CARD, "Given up", "0").await;
    visitor.stands(CARD, "on").await;
    assert_eq!(texts(&target), ["llega", "se abandona"]);

    FAILS.store(true, SeqCst);
    comes_in("primero").await;
    comes_in("segundo").await;
    visitor.counts(CARD, "Given up", "2").await;
    visitor.reads(CARD, "Last failure, ").await;
    FAILS.store(false, SeqCst);
    // What has failed before is past.
    visitor.chrome.click(TEST).await;
    visitor.chrome.click(".hook[data-id] .dead button").await;
    visitor.counts(CARD, "Given up", "1").await;
    visitor
        .reads(CARD, "Events were delivered since its last failure")
        .await;
    visitor
        .chrome
        .click(".hook[data-id] details .actions button")
        .await;
    visitor.counts(CARD, "Given up", "0").await;
    visitor.counts(CARD, "Delivered", "4").await;

    // What comes while it is off waits for it.
    visitor.chrome.click(SWITCH).await;
    visitor.stands(CARD, "off").await;
    visitor.reads(CARD, "A person has switched it off").await;
    comes_in("mientras tanto").await;
    visitor.chrome.click(SWITCH).await;
    visitor.counts(CARD, "Delivered", "5").await;
    let mut taken = texts(&target);
    taken[2..4].sort();
    assert_eq!(taken[2..], ["primero", "segundo", "mientras tanto"]);

    // Nothing is asked for while the panel is closed.
    visitor.chrome.until("looks.size === 1").await;
    visitor.chrome.click("#home").await;
    visitor.chrome.shows("#webhooks[hidden]").await;
    visitor.chrome.until("looks.size === 0").await;
    visitor.chrome.run("history.back()").await;
    visitor.chrome.until("looks.size === 1").await;

    visitor.chrome.click(REMOVE).await;
    visitor.reads("#ask[open]", &target.url).await;
    visitor
        .assert_accessible("the question before a webhook is deleted")
        .await;
    visitor.chrome.click("#ask-no").await;
    visitor.chrome.shows("#ask:not([open])").await;
    visitor.chrome.click(REMOVE).await;
    visitor.chrome.click("#ask-yes").await;
    visitor.chrome.shows("#no-webhooks:not([hidden])").await;
    assert_eq!(service.get("/webhooks").await.json()["count"], 0);
    // The slip was refused.
    visitor.assert_kept_to(&service, &["Failed to load resource"]);
    service.stop();
}

#[tokio::test]
async fn the_webhook_of_the_settings_and_the_bridge_are_shown_with_what_they_allow_and_to_an_admin_only()
 {
    let target = Target::open(as_set).await;
    let base = format!("http://{}/", hub().await);
    let start = async |home: Home| {
        Service::start_in(home, |env| {
            env.extend([
                ("CHROME_PATH", "/bin/false".into()),
                ("WEBHOOK_ALLOW_PRIVATE", "true".into()),
                ("WEBHOOK_URL", target.url.clone().into()),
                (
                    "WEBHOOK_SECRET",
                    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(),
                ),
                ("CENTRAL_HUB_BASE_URL", base.clone().into()),
                ("CENTRAL_HUB_USER", "listener".into()),
                ("CENTRAL_HUB_PASS", "the-hubs-password".into()),
            ]);
        })
        .await
    };
    let service = start(Home::new()).await;
    service.logs("the bridge to Central Hub is on").await;
    let home = service.stop();
    FAILS.store(true, SeqCst);
    bridge::hears(&home, vec![bridge::event(FRIEND, false, "no lo toma")]).await;
    let service = start(home).await;
    let visitor = Visitor::come().await;
    let page = format!("{}/?webhooks", service.url());
    visitor.chrome.goto(&page).await;

    // It can be tried and switched, and is changed where it is set.
    visitor.stands(CARD, "failing").await;
    visitor.reads(CARD, "WEBHOOK_URL").await;
    let may_remove = format!("document.querySelector({REMOVE:?}).checkVisibility()");
    assert!(!visitor.chrome.value::<bool>(&may_remove).await);
    visitor.chrome.click(SWITCH).await;
    visitor.stands(CARD, "off").await;
    visitor.chrome.click(SWITCH).await;
    visitor.stands(CARD, "failing").await;

    // The hub has refused the text for good.
    visitor.stands("#bridge", "failing").await;
    visitor.counts("#bridge", "Given up", "1").await;
    visitor.reads("#bridge", "It answered 422.").await;
    visitor.chrome.click("#bridge summary").await;
    visitor.reads("#bridge .dead li", "Session 51").await;
    visitor.assert_accessible("a bridge that fails").await;
    FAILS.store(false, SeqCst);
    visitor.chrome.click("#bridge .dead button").await;
    visitor.reads("#ask[open]", "may answer it twice").await;
    visitor
        .assert_accessible("the question before a text is reported again")
        .await;
    visitor.chrome.click("#ask-no").await;
    visitor.chrome.shows("#ask:not([open])").await;
    visitor.counts("#bridge", "Given up", "1").await;
    visitor.chrome.click("#bridge .dead button").await;
    visitor.chrome.click("#ask-yes").await;
    visitor.counts("#bridge", "Delivered", "1").await;
    visitor.stands("#bridge", "on").await;
    visitor.assert_kept_to(&service, &[]);

    // Other keys find nothing of it.
    for scope in ["read", "receive"] {
        let key = keys::add(&service, &[scope, "--scope", scope]);
        let visitor = Visitor::come().await;
        visitor.chrome.goto(&page).await;
        visitor.chrome.shows("#key[open]").await;
        visitor.fill("#key-text", &key).await;
        visitor.chrome.click("#key-form button").await;
        visitor
            .reads("#webhooks-trouble", "not allowed to do that")
            .await;
        visitor
            .chrome
            .until("document.querySelector('#loading').hidden")
            .await;
        visitor.chrome.shows("#more[hidden]").await;
        let shown = visitor.text("#webhooks").await;
        assert!(!shown.contains("127.0.0.1"), "{shown}");
    }
    // One of some sessions does not reach the bridge, which is about all.
    let key = keys::add(
        &service,
        &["some", "--scope", "admin", "--cliente-id", "51"],
    );
    let visitor = Visitor::come().await;
    visitor.chrome.goto(&page).await;
    visitor.chrome.shows("#key[open]").await;
    visitor.fill("#key-text", &key).await;
    visitor.chrome.click("#key-form button").await;
    visitor.chrome.shows("#no-webhooks:not([hidden])").await;
    visitor.chrome.shows("#more:not([hidden])").await;
    visitor.chrome.shows("#bridge[hidden]").await;
    visitor.chrome.click("#webhooks-add summary").await;
    visitor.fill("#webhook-url", &target.url).await;
    visitor.chrome.click("#webhook-form button").await;
    visitor
        .reads("#webhook-trouble", "for some clients only")
        .await;

    // No badge goes on saying what was true when the service was heard last.
    let made = json!({ "url": target.url, "cliente_ids": [51] });
    let made = service.request(Method::POST, "/webhooks").json(&made);
    let made = answer(made.header("X-Api-Key", &key)).await;
    assert_eq!(made.status, 201, "{}", made.text());
    visitor.reads(CARD, "On").await;
    service.stop();
    visitor.reads(CARD, "Last seen: On").await;
}
