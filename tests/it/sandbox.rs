//! The sandbox keeps its promises: to tools over HTTP, to a real Chromium, and to the unmodified
//! wa-js bundle, which proves that it is no mirror of our own scripts.

mod autumn;
mod evidence;
mod incoming;
mod page;
mod pairing;
mod shared;
mod signal;
mod wa_js;

use std::{net::SocketAddr, path::Path, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use whatsapp_sandbox::{Sandbox, SandboxConfig};

use crate::support::page::Chrome;

const ACCOUNT: &str = "5491150004444";
const FRIEND: &str = "5491150001111";
const NOBODY: &str = "5491150000000";
const TEXT: &str = "¡Hola! ñandú 🎉\n  second line";
/// Well before the sandbox would cut anybody off: it ends by itself, pages connected or not.
const STOP_TIMEOUT: Duration = Duration::from_millis(1500);
/// Longer than any acknowledgement takes.
const STATE_TIMEOUT: Duration = Duration::from_secs(10);

const LINKED: &str = "document.querySelector('#pane-side') && require('WAWebSocketModel').Socket.state === 'CONNECTED' \
    && require('WAWebStreamModel').Stream.mode === 'MAIN'";

/// A sandbox that runs.
struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
    client: reqwest::Client,
}

impl Running {
    async fn start(folder: &Path) -> Self {
        Self::start_with(config(folder), 0).await
    }

    async fn start_with(config: SandboxConfig, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let sandbox = Sandbox::open(vec![listener], config).unwrap();
        let (address, stop) = (sandbox.addr(), CancellationToken::new());
        let task = tokio::spawn(sandbox.run(stop.clone()));
        Self {
            address,
            stop,
            task,
            client: reqwest::Client::new(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.client.post(self.url(path)).body(body.to_string());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        self.client
            .get(self.url(path))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    async fn messages(&self) -> Vec<Value> {
        let messages = self
            .get(&format!("/phone/messages?account={ACCOUNT}"))
            .await;
        messages.as_array().unwrap().clone()
    }

    /// Waits until the account's messages are as they should be.
    async fn until_messages(&self, fit: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let deadline = Instant::now() + STATE_TIMEOUT;
        let mut look = interval(Duration::from_millis(50));
        loop {
            look.tick().await;
            let messages = self.messages().await;
            if fit(&messages) {
                return messages;
            }
            assert!(Instant::now() < deadline, "messages stayed {messages:?}");
        }
    }

    /// Waits until the phone shows what it should.
    async fn until_phone(&self, fit: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + STATE_TIMEOUT;
        let mut look = interval(Duration::from_millis(50));
        loop {
            look.tick().await;
            let phone = self.get("/phone/state").await;
            if fit(&phone) {
                return;
            }
            assert!(Instant::now() < deadline, "the phone stayed {phone}");
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(STOP_TIMEOUT, self.task)
            .await
            .expect("the sandbox stops in time")
            .unwrap();
    }
}

fn config(folder: &Path) -> SandboxConfig {
    let ack_delay = Duration::from_millis(100);
    SandboxConfig {
        ack_delay,
        ..SandboxConfig::in_folder(folder.join("sandbox"))
    }
}

/// A sandbox, and a page of it that is linked to `ACCOUNT`.
async fn linked(folder: &TempDir) -> (Running, Chrome) {
    let sandbox = Running::start(folder.path()).await;
    let chrome = Chrome::open(&folder.path().join("profile")).await;
    chrome.goto(&sandbox.url("/")).await;
    let code = shown_code(&chrome).await;
    let (status, answer) = sandbox
        .post("/phone/scan", json!({"code": code, "number": ACCOUNT}))
        .await;
    assert_eq!((status, answer), (200, json!({"account": ACCOUNT})));
    chrome.until(LINKED).await;
    answer_whats_new(&chrome).await;
    (sandbox, chrome)
}

/// What a person does after linking.
async fn answer_whats_new(chrome: &Chrome) {
    chrome
        .click("[data-testid=confirm-popup] .dialog-buttons button:last-child")
        .await;
    chrome
        .until("!document.querySelector('[role=dialog]')")
        .await;
}

async fn shown_code(chrome: &Chrome) -> String {
    chrome.shows("[data-ref] canvas").await;
    chrome
        .value("document.querySelector('[data-ref]').dataset.ref")
        .await
}

/// Sends through the page's modules; gives the server's verdict.
async fn send(chrome: &Chrome, text: &str) -> Value {
    chrome
        .value(&format!(
            "(async () => {{ {} return sent; }})()",
            sending(text)
        ))
        .await
}

/// Sends without waiting for the verdict, which may never come.
async fn start_sending(chrome: &Chrome, text: &str) {
    let started = format!("(async () => {{ {} }})(), null", sending(text));
    chrome.value::<()>(&started).await;
}

fn sending(text: &str) -> String {
    format!(
        "const {{ createWid }} = require('WAWebWidFactory');
        const {{ chat }} = await require('WAWebFindChatAction').findOrCreateLatestChat(createWid('{FRIEND}@c.us'), 'createChat');
        const sent = await require('WAWebSendTextMsgChatAction').sendTextMsgToChat(chat, {});",
        json!(text)
    )
}

#[tokio::test]
async fn bad_input_is_answered_with_the_field_and_the_remedy() {
    let folder = TempDir::new().unwrap();
    let sandbox = Running::start(folder.path()).await;
    let number = json!({"account": ACCOUNT, "from": FRIEND, "body": "x"});
    let with = |field: &str, value: Value| {
        let mut body = number.clone();
        body[field] = value;
        body
    };
    for (path, body, status, field) in [
        ("/phone/scan", json!({}), 400, "code"),
        ("/phone/scan", json!({"code": 7}), 400, "code"),
        (
            "/phone/scan",
            json!({"code": "x", "number": "12"}),
            400,
            "number",
        ),
        (
            "/phone/scan",
            json!({"code": "x", "nummer": FRIEND}),
            400,
            "nummer",
        ),
        (
            "/phone/scan",
            json!({"code": "nobody shows this"}),
            404,
            "code",
        ),
        ("/phone/scan", json!({"code": "2@a,b,c,d,1"}), 404, "code"),
        ("/phone/pair", json!({"code": "ABCDEFGH"}), 400, "number"),
        (
            "/phone/pair",
            json!({"number": ACCOUNT, "code": "ABCDEFG0"}),
            400,
            "code",
        ),
        (
            "/phone/pair",
            json!({"number": ACCOUNT, "code": "ABCD-EFGH"}),
            404,
            "code",
        ),
        ("/phone/receive", with("body", json!("")), 400, "body"),
        ("/phone/receive", with("from", json!("me")), 400, "from"),
        ("/phone/receive", with("from", json!(ACCOUNT)), 400, "from"),
        ("/phone/receive", number.clone(), 404, "account"),
        ("/phone/unlink", json!({"account": ACCOUNT}), 404, "account"),
        ("/faults", json!({"ack": "sometimes"}), 400, "ack"),
        ("/faults", json!({"acks": "never"}), 400, "acks"),
        ("/faults", json!([]), 400, ""),
    ] {
        let (answered, error) = sandbox.post(path, body.clone()).await;
        assert_eq!(
            (answered, &error["field"]),
            (status, &json!(field)),
            "{path} {body}"
        );
        assert!(
            error["error"].as_str().unwrap().len() > 20,
            "{path} {body}: {error} gives no remedy"
        );
    }
    let unreadable = sandbox
        .client
        .post(sandbox.url("/phone/scan"))
        .body("{")
        .send()
        .await
        .unwrap();
    assert_eq!(unreadable.status(), 400);
    sandbox.stop().await;
}

#[tokio::test]
async fn faults_are_set_shown_and_cleared() {
    let folder = TempDir::new().unwrap();
    let sandbox = Running::start(folder.path()).await;
    sandbox.post("/faults", json!({"ack": "never"})).await;
    sandbox
        .post("/faults", json!({"account": ACCOUNT, "ack_delay_ms": 5}))
        .await;
    let shown = sandbox.get("/faults").await;
    assert_eq!(shown["everybody"], json!({"ack": "never"}));
    assert_eq!(shown["accounts"][ACCOUNT]["ack_delay_ms"], 5);
    let (status, cleared) = sandbox.post("/faults", json!({})).await;
    assert_eq!(
        (status, cleared),
        (200, json!({"everybody": {}, "accounts": {}}))
    );
    sandbox.stop().await;
}

#[tokio::test]
async fn a_browser_that_says_it_is_headless_is_sent_away() {
    let folder = TempDir::new().unwrap();
    let sandbox = Running::start(folder.path()).await;
    for (header, value, refused) in [
        ("user-agent", "Mozilla/5.0 HeadlessChrome/156.0.0.0", true),
        ("sec-ch-ua", "\"HeadlessChrome\";v=\"156\"", true),
        ("user-agent", "Mozilla/5.0 Chrome/156.0.0.0", false),
    ] {
        let request = sandbox.client.get(sandbox.url("/")).header(header, value);
        let page = request.send().await.unwrap().text().await.unwrap();
        assert_eq!(page.contains("update Chrome"), refused, "{header}: {value}");
        assert_eq!(
            page.contains("/web/loader.js"),
            !refused,
            "{header}: {value}"
        );
    }
    sandbox.stop().await;
}
