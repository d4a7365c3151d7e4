//! A real Chromium for the sandbox's own tests.
//!
//! Responsible for: starting one, driving its page, ending it for sure. Not responsible for: how
//! the service runs its browsers; `open` may be swapped for `session_manager::browser`.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use chromiumoxide::{
    Browser, Page,
    cdp::browser_protocol::{
        emulation::{SetUserAgentOverrideParams, UserAgentBrandVersion, UserAgentMetadata},
        input::InsertTextParams,
    },
    handler::HandlerConfig,
};
use futures_util::StreamExt;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::de::DeserializeOwned;
use tokio::{
    task::JoinHandle,
    time::{Instant, interval, timeout},
};

/// A crowded machine starts Chromium in seconds, not in its usual 0.3 s.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// The slowest thing a page does in these tests is to notice a loss and come back: some 2 s.
const STATE_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a state is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const PROGRAMS: [&str; 3] = [
    "/usr/lib/chromium/chromium-headless-shell",
    "/usr/bin/chromium",
    "/usr/bin/google-chrome-stable",
];

/// A running Chromium with one page.
pub(crate) struct Chrome {
    process: Child,
    handler: JoinHandle<()>,
    /// Keeps the connection open.
    _browser: Browser,
    pub(crate) page: Page,
}

impl Chrome {
    /// Starts Chromium on a profile, disguised as every client of WhatsApp Web has to be.
    pub(crate) async fn open(profile: &Path) -> Self {
        let process = start(profile);
        let mut chrome_is_up = interval(LOOK_EVERY);
        let address = timeout(START_TIMEOUT, async {
            loop {
                chrome_is_up.tick().await;
                let active = std::fs::read_to_string(profile.join("DevToolsActivePort"));
                if let Some((port, path)) = active.as_deref().ok().and_then(|a| a.split_once('\n'))
                {
                    return format!("ws://127.0.0.1:{port}{path}");
                }
            }
        });
        let address = address.await.expect("Chromium opens its DevTools port");
        let config = HandlerConfig {
            viewport: None,
            ..HandlerConfig::default()
        };
        let (browser, mut events) = Browser::connect_with_config(address, config).await.unwrap();
        let handler = tokio::spawn(async move { while events.next().await.is_some() {} });
        let page = browser.new_page("about:blank").await.unwrap();
        page.execute(disguise(&browser.user_agent().await.unwrap()))
            .await
            .unwrap();
        Self {
            process,
            handler,
            _browser: browser,
            page,
        }
    }

    /// Loads an address.
    pub(crate) async fn goto(&self, url: &str) {
        self.page.goto(url).await.unwrap();
    }

    /// The value of an expression, awaited if it is a promise.
    pub(crate) async fn value<T: DeserializeOwned>(&self, expression: &str) -> T {
        let result = self.page.evaluate_expression(expression).await;
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
                .page
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
        self.page
            .find_element(selector)
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
    }

    /// Types as an input method does: with events that the browser vouches for.
    pub(crate) async fn insert_text(&self, text: &str) {
        self.page
            .execute(InsertTextParams::new(text))
            .await
            .unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test starts its own Chromium")]
fn start(profile: &Path) -> Child {
    let program = PROGRAMS
        .into_iter()
        .find(|program| Path::new(program).is_file());
    Command::new(program.expect("a Chromium is installed: scripts/test installs it"))
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-port=0",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("Chromium starts")
}

fn disguise(user_agent: &str) -> SetUserAgentOverrideParams {
    let version = user_agent
        .split("Chrome/")
        .nth(1)
        .and_then(|rest| rest.split('.').next());
    let brand = UserAgentBrandVersion::new("Chromium", version.unwrap_or("156"));
    let metadata = UserAgentMetadata::builder()
        .brands([brand])
        .platform("Linux")
        .platform_version("")
        .architecture("x86")
        .model("")
        .mobile(false);
    let mut params =
        SetUserAgentOverrideParams::new(user_agent.replace("HeadlessChrome", "Chrome"));
    params.user_agent_metadata = Some(metadata.build().unwrap());
    params
}

impl Drop for Chrome {
    fn drop(&mut self) {
        self.handler.abort();
        let group = Pid::from_child(&self.process);
        kill_process_group(group, Signal::KILL).expect("Chromium's process group is ours to end");
        self.process.wait().expect("Chromium is our child");
    }
}
