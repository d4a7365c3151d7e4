//! A real Chromium's page, driven by hand: for tests of what the page itself does.

use std::{path::Path, time::Duration};

use chromiumoxide::{Page, cdp::browser_protocol::input::InsertTextParams};
use serde::de::DeserializeOwned;
use session_manager::browser::{Browser, ChromeProgram, LaunchOptions};
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

use super::chrome::{PATIENCE, headless_shell};

/// The slowest thing a page does in these tests is to notice a loss and come back: some 2 s.
const STATE_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a state is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A launch as the service does it, without switches of an operator's.
pub(crate) fn launch(program: &ChromeProgram, profile: &Path) -> LaunchOptions {
    LaunchOptions {
        program: program.clone(),
        profile: profile.to_owned(),
        extra_args: Vec::new(),
        timeout: PATIENCE,
    }
}

/// A running Chromium with one page. Dropping it kills Chromium.
pub(crate) struct Chrome(Browser);

impl Chrome {
    /// Starts Chromium on a profile, as the service does.
    pub(crate) async fn open(profile: &Path) -> Self {
        let options = launch(&headless_shell().await, profile);
        let opened = Browser::open(options, &CancellationToken::new()).await;
        Self(opened.unwrap())
    }

    /// Closes it in order, so that its profile can be copied.
    pub(crate) async fn close(self) {
        self.0.close().await;
    }

    pub(crate) fn page(&self) -> &Page {
        self.0.page()
    }

    /// Loads an address.
    pub(crate) async fn goto(&self, url: &str) {
        self.page().goto(url).await.unwrap();
    }

    /// The value of an expression, awaited if it is a promise.
    pub(crate) async fn value<T: DeserializeOwned>(&self, expression: &str) -> T {
        let result = self.page().evaluate_expression(expression).await;
        let result = result.unwrap_or_else(|why| panic!("{expression}: {why}"));
        // What is null in the page arrives as no value at all.
        serde_json::from_value(result.value().cloned().unwrap_or_default()).unwrap()
    }

    /// Runs statements, which may await.
    pub(crate) async fn run(&self, statements: &str) {
        self.value::<()>(&format!("(async () => {{ {statements}; return null; }})()"))
            .await;
    }

    /// Waits until an expression is true; it may fail until then, as on a page that still loads.
    pub(crate) async fn until(&self, expression: &str) {
        let deadline = Instant::now() + STATE_TIMEOUT;
        let mut look = interval(LOOK_EVERY);
        loop {
            look.tick().await;
            let result = self
                .page()
                .evaluate_expression(format!("Boolean({expression})"))
                .await;
            if result.is_ok_and(|result| result.into_value::<bool>().unwrap_or_default()) {
                return;
            }
            assert!(Instant::now() < deadline, "never became true: {expression}");
        }
    }

    /// Waits for an element.
    pub(crate) async fn shows(&self, selector: &str) {
        self.until(&format!("document.querySelector({selector:?})"))
            .await;
    }

    /// Clicks as a mouse does.
    pub(crate) async fn click(&self, selector: &str) {
        self.shows(selector).await;
        self.page()
            .find_element(selector)
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
    }

    /// Types as an input method does: with events that the browser vouches for.
    pub(crate) async fn insert_text(&self, text: &str) {
        self.page()
            .execute(InsertTextParams::new(text))
            .await
            .unwrap();
    }
}
