//! A person's browser that shows one of the service's pages.
//!
//! Responsible for: looking, typing, pressing, and what every page must hold to: nothing that keeps
//! people out, nothing asked of another host, nothing that the browser complains of. Not responsible
//! for: what a page says and when, which the tests know; driving Chromium (`support::page`).

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
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::{Service, page::Chrome};

/// The page has some twenty places to stop at.
const MOST_TABS: usize = 40;

/// A person's browser, with its requests and its complaints.
pub(super) struct Visitor {
    pub(super) chrome: Chrome,
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
    pub(super) async fn come() -> Self {
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

    pub(super) async fn looks_at(&self, width: i64, height: i64, scheme: &str) {
        let size = SetDeviceMetricsOverrideParams::new(width, height, 1.0, false);
        self.chrome.page().execute(size).await.unwrap();
        let scheme = MediaFeature::new("prefers-color-scheme", scheme);
        let media = SetEmulatedMediaParams::builder().feature(scheme).build();
        self.chrome.page().execute(media).await.unwrap();
    }

    /// Types into a field as a person does, over what is there.
    pub(super) async fn fill(&self, selector: &str, text: &str) {
        self.chrome
            .run(&format!("document.querySelector({selector:?}).select()"))
            .await;
        self.chrome.insert_text(text).await;
    }

    /// Waits until the session that is shown is in a state.
    pub(super) async fn sees(&self, state: &str) {
        self.chrome
            .shows(&format!("#session[data-state={state}]"))
            .await;
    }

    pub(super) async fn press(&self, key: &str) {
        let page = self.chrome.page().find_element("html").await.unwrap();
        page.press_key(key).await.unwrap();
    }

    /// Presses Tab until the focus is there.
    pub(super) async fn tabs_to(&self, selector: &str) {
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

    pub(super) async fn text(&self, selector: &str) -> String {
        self.chrome
            .value(&format!("document.querySelector({selector:?}).textContent"))
            .await
    }

    /// What axe-core finds that keeps people out, on a screen and on a phone, in the light and in the dark.
    pub(super) async fn assert_accessible(&self, what: &str) {
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
    pub(super) fn assert_kept_to(&self, service: &Service, expected: &[&str]) {
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
pub(super) async fn shown_code(visitor: &Visitor, service: &Service, id: &str) -> String {
    visitor.chrome.shows("#add-id").await;
    visitor.fill("#add-id", id).await;
    visitor.chrome.click("#add button").await;
    visitor.chrome.until("document.querySelector('#qr')?.complete && document.querySelector('#qr').naturalWidth > 100").await;
    service.code(id).await
}

/// What the picture on the page says to a phone.
pub(super) async fn shown_text(visitor: &Visitor) -> String {
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
