//! The page at `/`, in a real Chromium, as a person uses it.

mod screenshots;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use chromiumoxide::cdp::{
    browser_protocol::{
        emulation::{MediaFeature, SetDeviceMetricsOverrideParams, SetEmulatedMediaParams},
        log::{self, EventEntryAdded},
        network::EventRequestWillBeSent,
    },
    js_protocol::runtime::EventExceptionThrown,
};
use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::{Service, answer, page::Chrome};

const TO: &str = "+54 9 11 5825-4201";
const TEXT: &str = "Hola desde la página 👋";

/// The page has some twenty places to stop at.
const MOST_TABS: usize = 40;

/// Somebody's browser, and what it did: where it asked for something, and what it complained of.
struct Visitor {
    chrome: Chrome,
    seen: Seen,
    _profile: TempDir,
    _listeners: JoinSet<()>,
}

#[derive(Clone, Default)]
struct Seen {
    requests: Arc<Mutex<Vec<String>>>,
    complaints: Arc<Mutex<Vec<String>>>,
}

fn note(list: &Mutex<Vec<String>>, text: String) {
    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
    list.push(text);
}

impl Visitor {
    async fn come() -> Self {
        let profile = TempDir::new().unwrap();
        let chrome = Chrome::open(profile.path()).await;
        let (page, seen) = (chrome.page(), Seen::default());
        let mut listeners = JoinSet::new();
        let mut requests = page
            .event_listener::<EventRequestWillBeSent>()
            .await
            .unwrap();
        let mut entries = page.event_listener::<EventEntryAdded>().await.unwrap();
        let mut exceptions = page.event_listener::<EventExceptionThrown>().await.unwrap();
        page.execute(log::EnableParams::default()).await.unwrap();
        let own = seen.clone();
        listeners.spawn(async move {
            loop {
                tokio::select! {
                    Some(event) = requests.next() => note(&own.requests, event.request.url.clone()),
                    // A refused policy is among these, and so is what could not be loaded.
                    Some(event) = entries.next() => note(&own.complaints, event.entry.text.clone()),
                    Some(event) = exceptions.next() => note(&own.complaints, format!("{:?}", event.exception_details)),
                    else => return,
                }
            }
        });
        let visitor = Self {
            chrome,
            seen,
            _profile: profile,
            _listeners: listeners,
        };
        visitor.looks_at(1280, 800, "light").await;
        visitor
    }

    async fn looks_at(&self, width: i64, height: i64, scheme: &str) {
        let size = SetDeviceMetricsOverrideParams::new(width, height, 1.0, false);
        self.chrome.page().execute(size).await.unwrap();
        let scheme = MediaFeature::new("prefers-color-scheme", scheme);
        let media = SetEmulatedMediaParams::builder().feature(scheme).build();
        self.chrome.page().execute(media).await.unwrap();
    }

    /// Types into a field as a person does, over what is there.
    async fn fill(&self, selector: &str, text: &str) {
        self.chrome
            .run(&format!("document.querySelector({selector:?}).select()"))
            .await;
        self.chrome.insert_text(text).await;
    }

    /// Waits until the session that is shown is in a state.
    async fn sees(&self, state: &str) {
        self.chrome
            .shows(&format!("#session[data-state={state}]"))
            .await;
    }

    async fn press(&self, key: &str) {
        let page = self.chrome.page().find_element("html").await.unwrap();
        page.press_key(key).await.unwrap();
    }

    /// Presses Tab until the focus is there.
    async fn tabs_to(&self, selector: &str) {
        self.chrome
            .until(&format!(
                "document.querySelector({selector:?})?.checkVisibility()"
            ))
            .await;
        let is_there = format!("document.activeElement.matches({selector:?})");
        for _ in 0..MOST_TABS {
            self.press("Tab").await;
            if self.chrome.value::<bool>(&is_there).await {
                return;
            }
        }
        panic!("Tab does not come to {selector}");
    }

    async fn text(&self, selector: &str) -> String {
        self.chrome
            .value(&format!("document.querySelector({selector:?}).textContent"))
            .await
    }

    /// What axe-core finds that keeps people out, on a screen and on a phone, in the light and in the dark.
    async fn assert_accessible(&self, what: &str) {
        let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(axe).expect("axe-core is there: npm ci");
        for (width, scheme) in [(1280, "light"), (375, "dark")] {
            self.looks_at(width, 800, scheme).await;
            self.chrome
                .run(&format!("if (!window.axe) {{ {axe} }}"))
                .await;
            let found: Value = self
                .chrome
                .value(
                    "axe.run(document, {resultTypes: ['violations']}).then(({violations, passes}) => ({
                        passes: passes.length,
                        faults: violations.filter(({impact}) => ['serious', 'critical'].includes(impact))
                            .map(({id, nodes}) => [id, nodes.map(({html, failureSummary}) => [html, failureSummary])]),
                        overflow: document.documentElement.scrollWidth > innerWidth,
                    }))",
                )
                .await;
            assert_eq!(
                found["faults"],
                json!([]),
                "{what} at {width} in the {scheme}"
            );
            assert!(found["passes"].as_u64().unwrap() > 10, "{what}: {found}");
            assert_eq!(found["overflow"], false, "{what} at {width}");
        }
        self.looks_at(1280, 800, "light").await;
    }

    /// Nothing was asked of another host, and the browser has complained of nothing else than `expected`.
    fn assert_kept_to(&self, service: &Service, expected: &[&str]) {
        let read = |list: &Mutex<Vec<String>>| list.lock().unwrap().clone();
        let requests = read(&self.seen.requests);
        assert!(requests.len() > 10, "{requests:?}");
        for url in requests {
            let is_own = [service.url(), "data:", "blob:"]
                .iter()
                .any(|own| url.starts_with(own));
            assert!(
                is_own || url.starts_with("chrome") || url == "about:blank",
                "{url}"
            );
        }
        let complaints = read(&self.seen.complaints);
        let is_expected = |text: &String| expected.iter().any(|part| text.contains(part));
        let other: Vec<_> = complaints
            .iter()
            .filter(|text| !is_expected(text))
            .collect();
        assert!(other.is_empty(), "{other:#?}");
    }
}

/// Opens the page and connects a session by it, up to the code.
async fn shown_code(visitor: &Visitor, service: &Service, id: &str) -> String {
    visitor.chrome.shows("#add-id").await;
    visitor.fill("#add-id", id).await;
    visitor.chrome.click("#add button").await;
    visitor.chrome.until("document.querySelector('#qr')?.complete && document.querySelector('#qr').naturalWidth > 100").await;
    service.code(id).await
}

#[tokio::test]
async fn a_phone_is_linked_and_a_message_sent_from_the_page_alone() {
    let service = Service::start(|env| {
        // Its own page needs no place in the list.
        env.insert("CORS_ORIGINS", "https://app.example".into());
    })
    .await;
    let visitor = Visitor::come().await;
    service.secrets().remember_text(TEXT);
    service.secrets().remember_number(TO);
    visitor.chrome.goto(service.url()).await;
    visitor.chrome.shows("#empty:not([hidden])").await;
    visitor.chrome.shows("#sandbox:not([hidden])").await;
    let phone = "document.querySelector('#phone').href";
    let phone: String = visitor.chrome.value(phone).await;
    let port = service.sandbox().rsplit(':').next().unwrap();
    assert_eq!(phone.rsplit(':').next(), Some(&*format!("{port}/phone")));
    visitor.assert_accessible("the empty page").await;

    let code = shown_code(&visitor, &service, "51").await;
    assert_eq!(shown_text(&visitor).await, code);
    visitor
        .chrome
        .until("/ \\d+ s$/.test(document.querySelector('#left').textContent)")
        .await;
    visitor.assert_accessible("the page with a code").await;

    // Nobody touches the page: it turns by itself.
    let account = service.scan(&code).await;
    visitor.sees("READY").await;
    assert!(visitor.text("#account").await.contains(&account));
    assert_eq!(visitor.text(".card .badge").await, "Connected");
    visitor.fill("#send-to", TO).await;
    visitor.fill("#send-text", TEXT).await;
    visitor.chrome.click("#send button").await;
    visitor.chrome.shows("#send[data-ack=read]").await;
    let done = "[...document.querySelectorAll('#ticks li')].map((step) => step.dataset.done)";
    let done: Vec<String> = visitor.chrome.value(done).await;
    assert_eq!(done, ["true"; 5]);
    assert_eq!(service.messages(&account).await, [TEXT]);
    // The list and the panel have heard of it as well.
    for place in [".card .last", "#facts"] {
        let told = format!("document.querySelector('{place}').textContent.includes('Read, ')");
        visitor.chrome.until(&told).await;
    }
    assert!(visitor.text("#facts").await.contains("QueueNothing waits"));
    visitor
        .assert_accessible("the page of a session that is connected")
        .await;

    // Nothing is logged out by one press.
    visitor.chrome.click("#logout").await;
    visitor.chrome.shows("#sure[open]").await;
    visitor
        .assert_accessible("the question before a log-out")
        .await;
    visitor.chrome.click("#sure-yes").await;
    visitor.sees("DISCONNECTED").await;
    assert_eq!(service.status("51").await["reason"], "LOGGED_OUT");
    visitor.assert_kept_to(&service, &[]);
    service.stop();
}

#[tokio::test]
async fn by_keyboard_alone_a_phone_is_linked_by_its_number_disconnected_and_connected_again() {
    let service = Service::start(|_| {}).await;
    let number = "+54 9 11 5000-7777";
    service.secrets().remember_number(number);
    let visitor = Visitor::come().await;
    visitor.chrome.goto(service.url()).await;
    visitor.tabs_to("#add-id").await;
    visitor.chrome.insert_text("51").await;
    visitor.press("Enter").await;
    visitor.tabs_to("#by-number summary").await;
    visitor.press("Enter").await;
    visitor.tabs_to("#pair-phone").await;
    visitor.chrome.insert_text(number).await;
    visitor.press("Enter").await;
    visitor.chrome.shows("#pairing:not([hidden])").await;
    visitor
        .assert_accessible("the page with a code to type")
        .await;
    let code = visitor.text("#pairing-code").await;
    service.secrets().remember_text(&code);
    let typed = json!({ "number": number, "code": code });
    assert_eq!(service.phone("/phone/pair", &typed).await.status, 200);
    visitor.sees("READY").await;
    assert_eq!(visitor.text("#account").await, "Account +5491150007777");
    visitor.tabs_to("#disconnect").await;
    visitor.press("Enter").await;
    visitor.sees("DISCONNECTED").await;
    visitor.tabs_to("#connect").await;
    visitor.press("Enter").await;
    visitor.sees("READY").await;
    visitor.assert_kept_to(&service, &[]);
    service.stop();
}

#[tokio::test]
async fn a_session_that_hibernates_says_so_and_sends_from_the_page_all_the_same() {
    let service = Service::start(|env| {
        env.insert("HIBERNATE_AFTER_SECONDS", "1".into());
    })
    .await;
    service.secrets().remember_number(TO);
    let account = service.link("51").await;
    let visitor = Visitor::come().await;
    let page = format!("{}/?cliente_id=51", service.url());
    visitor.chrome.goto(&page).await;
    let says = "document.querySelector('#detail').textContent.includes('Chrome is closed')";
    visitor.chrome.until(says).await;
    assert_eq!(visitor.text("#badge").await, "Connected");
    visitor.fill("#send-to", TO).await;
    visitor.fill("#send-text", "wake up").await;
    visitor.chrome.click("#send button").await;
    visitor.chrome.shows("#send[data-ack=read]").await;
    assert_eq!(service.messages(&account).await, ["wake up"]);
    service.stop();
}

#[tokio::test]
async fn the_simulated_phone_names_the_session_of_each_code_and_scans_it_by_one_press() {
    let service = Service::start(|_| {}).await;
    for id in [51, 52] {
        service.connect(id).await;
        service.code(&id.to_string()).await;
    }
    let visitor = Visitor::come().await;
    let phone = format!("{}/phone", service.sandbox());
    visitor.chrome.goto(&phone).await;
    for id in [51, 52] {
        let card = format!("#codes [aria-label='Session {id}'] canvas");
        visitor.chrome.shows(&card).await;
    }
    visitor
        .assert_accessible("the simulated phone with codes")
        .await;
    let scan = "#codes [aria-label='Session 52'] button";
    assert_eq!(visitor.text(scan).await, "Scan for session 52");
    visitor.chrome.click(scan).await;
    service.reaches("52", "READY").await;
    let named = "document.querySelector('#accounts').textContent.includes('online, session 52')";
    visitor.chrome.until(named).await;
    visitor
        .assert_accessible("the simulated phone with an account")
        .await;
    service.stop();
}

/// What the picture on the page says to a phone.
async fn shown_text(visitor: &Visitor) -> String {
    let url: String = visitor
        .chrome
        .value("document.querySelector('#qr').src")
        .await;
    let png = url.strip_prefix("data:image/png;base64,").unwrap();
    let png = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, png).unwrap();
    let picture = image::load_from_memory(&png).unwrap().into_luma8();
    let mut picture = rqrr::PreparedImage::prepare(picture);
    let grids = picture.detect_grids();
    grids.first().expect("there is a code").decode().unwrap().1
}

#[tokio::test]
async fn a_failed_session_shows_its_evidence_and_the_page_outlives_the_service() {
    let service = Service::start(|env| {
        env.insert("API_KEY", "the-key-of-this-test".into());
    })
    .await;
    service.secrets().remember_text("the-key-of-this-test");
    service.faults(json!({ "page": "update" })).await;
    let visitor = Visitor::come().await;
    visitor
        .chrome
        .goto(&format!("{}/qr.html?cliente_id=51", service.url()))
        .await;
    // The shell needs no key, what it shows does.
    visitor.chrome.shows("#key[open]").await;
    visitor.assert_accessible("the question for the key").await;
    for (key, is_open) in [("wrong", true), ("the-key-of-this-test", false)] {
        visitor.fill("#key-text", key).await;
        visitor.chrome.click("#key-form button").await;
        visitor
            .chrome
            .until(&format!(
                "document.querySelector('#key').open === {is_open}"
            ))
            .await;
        if is_open {
            visitor
                .chrome
                .until("document.querySelector('#key-trouble').textContent")
                .await;
        }
    }
    visitor.sees("DISCONNECTED").await;
    visitor.chrome.click("#connect").await;
    visitor.sees("ERROR").await;
    assert!(
        visitor.text("#detail").await.contains("too old"),
        "{}",
        visitor.text("#detail").await
    );
    // The answer to the connect says the same: once is enough.
    visitor
        .chrome
        .until("!document.querySelector('#connect').ariaDisabled")
        .await;
    assert_eq!(visitor.text("#trouble").await, "");
    visitor.chrome.click("#see-evidence").await;
    visitor
        .chrome
        .until("document.querySelector('#evidence-picture').naturalWidth > 100")
        .await;
    visitor
        .assert_accessible("the page of a session that has failed")
        .await;

    visitor.chrome.click("[data-language=es]").await;
    visitor
        .chrome
        .until("document.documentElement.lang === 'es'")
        .await;
    assert_eq!(visitor.text("#badge").await, "Requiere atención");
    assert!(visitor.text("#detail").await.contains("Actualízalo"));

    // The 401s and what cannot be reached are the browser's own words.
    let expected = ["Failed to load resource"];
    visitor.assert_kept_to(&service, &expected);
    service.stop();
    visitor.chrome.shows("#connection[data-state=away]").await;
}

#[tokio::test]
async fn a_one_time_link_shows_the_code_and_is_over_once_the_phone_is_linked() {
    let service = Service::start(|env| {
        env.insert("API_KEY", "the-key-of-this-test".into());
    })
    .await;
    let keyed = |method, path| {
        let request = service.request(method, path);
        answer(request.header("X-Api-Key", "the-key-of-this-test"))
    };
    let made = keyed(Method::POST, "/sessions/51/link").await;
    assert_eq!(made.status, 201, "{}", made.text());
    let url = made.json()["url"].as_str().unwrap().to_owned();
    service
        .secrets()
        .remember_text(url.rsplit('/').next().unwrap());

    let visitor = Visitor::come().await;
    visitor.chrome.goto(&url).await;
    visitor
        .chrome
        .until("document.querySelector('#qr')?.naturalWidth > 100")
        .await;
    let code = shown_text(&visitor).await;
    service.secrets().remember_code(&code);
    visitor.assert_accessible("the page of a link").await;
    service.scan(&code).await;
    visitor.chrome.shows("[data-ending=linked]").await;
    visitor
        .assert_accessible("the page of a link that has been used")
        .await;
    visitor.assert_kept_to(&service, &[]);

    let path = url.strip_prefix(service.url()).unwrap();
    for (path, status) in [(path.to_owned(), 410), (format!("{path}/events"), 410)] {
        assert_eq!(service.get(&path).await.status, status, "{path}");
    }
    visitor.chrome.goto(&url).await;
    visitor
        .assert_accessible("the page of a link that is over")
        .await;
    let again = keyed(Method::POST, "/sessions/51/link").await;
    assert_eq!(
        (again.status, &again.json()["code"]),
        (409, &json!("ALREADY_LINKED"))
    );
    service.stop();
}
