//! The sandbox keeps its promises: to tools over HTTP, to a real Chromium, and to the unmodified
//! wa-js bundle, which proves that it is no mirror of our own scripts.

use std::{net::SocketAddr, path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use session_manager::sandbox::{Sandbox, SandboxConfig};
use tempfile::TempDir;
use tokio::{
    task::JoinHandle,
    time::{Instant, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::support::page::Chrome;

const ACCOUNT: &str = "5491150004444";
const FRIEND: &str = "5491150001111";
const NOBODY: &str = "5491150000000";
const TEXT: &str = "¡Hola! ñandú 🎉\n  second line";
/// The service gives all its parts ten seconds to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than any acknowledgement takes.
const STATE_TIMEOUT: Duration = Duration::from_secs(10);
/// What the bundle's own repository waits for it to get ready.
const BUNDLE: &str = "node_modules/@wppconnect/wa-js/dist/wppconnect-wa.js";

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
        let sandbox = Sandbox::bind(([127, 0, 0, 1], port).into(), config)
            .await
            .unwrap();
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
    (sandbox, chrome)
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
        const {{ chat }} = await require('WAWebFindChatAction').findOrCreateLatestChat(createWid('{FRIEND}@c.us'));
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
async fn a_port_in_use_is_named() {
    let folder = TempDir::new().unwrap();
    let sandbox = Running::start(folder.path()).await;
    let second = Sandbox::bind(sandbox.address, config(&folder.path().join("second"))).await;
    let why = second.unwrap_err().to_string();
    assert!(why.contains(&sandbox.address.port().to_string()), "{why}");
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

#[tokio::test]
async fn a_code_counts_only_whole_and_only_while_it_lives() {
    let folder = TempDir::new().unwrap();
    let short = SandboxConfig {
        first_code: Duration::from_secs(2),
        next_codes: Duration::from_millis(300),
        ..config(folder.path())
    };
    let sandbox = Running::start_with(short, 0).await;
    let chrome = Chrome::open(&folder.path().join("profile")).await;
    chrome.goto(&sandbox.url("/")).await;
    let first = shown_code(&chrome).await;
    assert_eq!(decoded(&chrome).await, first, "the picture holds the text");
    let reference = first.split(['#', ',']).nth(1).unwrap();
    let made_up = format!("{reference},bm9pc2U=,aWRlbnRpdHk=,YWR2,1");
    assert_eq!(
        sandbox
            .post("/phone/scan", json!({"code": made_up}))
            .await
            .0,
        404
    );

    chrome
        .shows("[data-testid=link_device_qr_expired_refresh_button]")
        .await;
    chrome
        .until("require('WAWebSocketModel').Socket.state === 'UNPAIRED_IDLE'")
        .await;
    assert_eq!(
        sandbox.post("/phone/scan", json!({"code": first})).await.0,
        404
    );
    let stale: String = chrome.value("require('WAWebConnModel').Conn.ref").await;
    assert!(!stale.is_empty(), "the last reference stays");

    chrome
        .run("require('WAWebLaunchSocketUtils').refreshQR()")
        .await;
    chrome
        .until(&format!("require('WAWebConnModel').Conn.ref !== {stale:?}"))
        .await;
    chrome.shows("[data-ref]:not(:has(button)) canvas").await;
    let fresh = shown_code(&chrome).await;
    let bare = fresh.split('#').nth(1).unwrap();
    assert_eq!(
        sandbox.post("/phone/scan", json!({"code": bare})).await.0,
        200
    );
    chrome.until(LINKED).await;
    sandbox.stop().await;
}

/// What a reader makes of the pixels that the page draws.
async fn decoded(chrome: &Chrome) -> String {
    let picture: String = chrome
        .value("document.querySelector('[data-ref] canvas').toDataURL()")
        .await;
    let png = STANDARD.decode(picture.split(',').nth(1).unwrap()).unwrap();
    let grey = image::load_from_memory(&png).unwrap().to_luma8();
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    let pixel = |x: usize, y: usize| grey.as_raw()[y * width + x];
    let mut reader = rqrr::PreparedImage::prepare_from_greyscale(width, height, pixel);
    reader.detect_grids()[0].decode().unwrap().1
}

#[tokio::test]
async fn what_was_taken_outlives_a_restart_and_what_was_not_is_sent_again() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    assert_eq!(send(&chrome, TEXT).await["messageSendResult"], "OK");
    let before = sandbox.messages().await;
    assert_eq!(
        (&before[0]["body"], &before[0]["to"]),
        (&json!(TEXT), &json!(FRIEND))
    );

    let port = sandbox.address.port();
    sandbox.stop().await;
    chrome
        .until("require('WAWebSocketModel').Socket.state === 'OPENING'")
        .await;
    start_sending(&chrome, "said while down").await;
    chrome
        .until("require('WAWebMsgCollection').MsgCollection.last().ack === 0")
        .await;

    let sandbox = Running::start_with(config(folder.path()), port).await;
    let after = sandbox.until_messages(|messages| messages.len() == 2).await;
    assert_eq!(after[0], before[0]);
    assert_eq!(after[1]["body"], "said while down");
    chrome
        .until("require('WAWebMsgCollection').MsgCollection.last().ack === 3")
        .await;

    chrome.goto(&sandbox.url("/")).await;
    chrome.until(LINKED).await;
    let kept: Vec<String> = chrome
        .value("require('WAWebMsgCollection').MsgCollection.map((m) => m.body)")
        .await;
    assert_eq!(kept, [TEXT, "said while down"]);
    assert_eq!(
        sandbox.messages().await.len(),
        2,
        "a reload sends nothing again"
    );
    sandbox.stop().await;
}

#[tokio::test]
async fn a_message_sent_again_under_its_id_is_stored_once_and_counted() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    sandbox.post("/faults", json!({"ack": "never"})).await;
    start_sending(&chrome, TEXT).await;
    sandbox.until_messages(|messages| messages.len() == 1).await;
    sandbox.post("/faults", json!({})).await;
    sandbox
        .post("/faults", json!({"event": "socket_closed"}))
        .await;
    let messages = sandbox
        .until_messages(|messages| messages[0]["resent"] == 1)
        .await;
    assert_eq!(messages.len(), 1);
    chrome
        .until("require('WAWebMsgCollection').MsgCollection.last().ack === 3")
        .await;
    sandbox.stop().await;
}

#[tokio::test]
async fn only_text_that_was_typed_is_sent() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    chrome
        .goto(&sandbox.url(&format!("/send?phone={FRIEND}")))
        .await;
    let compose = "footer div[contenteditable='true'][data-tab='10']";
    chrome.click(compose).await;
    chrome
        .run(&format!(
            "const box = document.querySelector({compose:?});
            box.textContent = 'forged';
            box.dispatchEvent(new InputEvent('input', {{ bubbles: true, data: 'forged' }}))"
        ))
        .await;
    chrome
        .until(&format!(
            "document.querySelector({compose:?}).innerText === ''"
        ))
        .await;
    chrome.insert_text(TEXT).await;
    chrome.click("[aria-label='Send']").await;
    let messages = sandbox
        .until_messages(|messages| !messages.is_empty())
        .await;
    assert_eq!((messages.len(), &messages[0]["body"]), (1, &json!(TEXT)));
    chrome
        .shows("[data-id^='true_'] [data-icon='msg-dblcheck']")
        .await;

    chrome
        .goto(&sandbox.url(&format!("/send?phone={NOBODY}&text=x")))
        .await;
    chrome.shows("div[role='dialog']").await;
    sandbox.stop().await;
}

#[tokio::test]
async fn a_device_removed_on_the_phone_is_logged_out_and_shows_a_code() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    assert_eq!(
        sandbox
            .post("/phone/unlink", json!({"account": ACCOUNT}))
            .await
            .0,
        200
    );
    chrome
        .until("location.search.includes('post_logout=1')")
        .await;
    let code = shown_code(&chrome).await;
    assert_eq!(
        sandbox
            .post("/phone/scan", json!({"code": code, "number": ACCOUNT}))
            .await
            .0,
        200
    );
    chrome.until(LINKED).await;
    sandbox.stop().await;
}

#[tokio::test]
async fn a_careless_caller_is_refused() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    let faults: Vec<String> = chrome
        .value(&format!(
            "(async () => {{
            const {{ createWid }} = require('WAWebWidFactory');
            const MsgKey = importDefault('WAWebMsgKey');
            const {{ chat }} = await require('WAWebFindChatAction').findOrCreateLatestChat(createWid('{FRIEND}@c.us'));
            const me = require('WAWebUserPrefsMeUser').getMaybeMePnUser();
            const id = new MsgKey({{ from: me, to: chat.id, id: await MsgKey.newId(), selfDir: 'out' }});
            const good = {{ id, from: me, to: chat.id, type: 'chat', body: 'x', t: 1800000000, self: 'out', isNewMsg: true, local: true, ack: 0 }};
            const bad = {{ id: String(id), from: String(me), to: createWid('{NOBODY}@c.us'), type: 'text', body: 7, t: Date.now(), self: 'in', isNewMsg: undefined, ack: 1 }};
            return Object.entries(bad).filter(([name, value]) => {{
                try {{ require('WAWebSendMsgChatAction').addAndSendMsgToChat(chat, {{ ...good, [name]: value }}); return true; }} catch {{ return false; }}
            }}).map(([name]) => name);
            }})()"
        ))
        .await;
    assert!(faults.is_empty(), "these were let through: {faults:?}");
    assert!(sandbox.messages().await.is_empty());
    sandbox.stop().await;
}

#[tokio::test]
async fn the_unmodified_wa_js_links_checks_numbers_sends_and_hears() {
    let folder = TempDir::new().unwrap();
    let sandbox = Running::start(folder.path()).await;
    let chrome = Chrome::open(&folder.path().join("profile")).await;
    chrome.goto(&sandbox.url("/")).await;
    shown_code(&chrome).await;
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join(BUNDLE);
    let bundle = std::fs::read_to_string(bundle).expect("wa-js is installed: run npm install");
    chrome
        .run("window.WPPConfig = { disableGoogleAnalytics: true, linkPreviewApiServers: [] }")
        .await;
    // Not through `run`: the bundle has to meet the global scope.
    chrome.value::<()>(&format!("{bundle};null")).await;
    chrome.until("WPP.isFullReady").await;
    chrome
        .run(
            "window.acks = [];
            window.heard = [];
            WPP.on('chat.msg_ack_change', (change) => acks.push(change.ack));
            WPP.on('chat.new_message', ({ id, from, body }) => {
                if (!id.fromMe) heard.push([from.user, body]);
            })",
        )
        .await;

    let code: String = chrome
        .value("WPP.conn.getAuthCode().then((code) => code.fullCode)")
        .await;
    let (status, answer) = sandbox
        .post("/phone/scan", json!({"code": code, "number": ACCOUNT}))
        .await;
    assert_eq!((status, answer), (200, json!({"account": ACCOUNT})));
    chrome.until(LINKED).await;
    assert!(chrome.value::<bool>("WPP.conn.isAuthenticated()").await);

    let exists = |number: &str| {
        format!(
            "WPP.contact.queryWidExists('{number}@c.us').then((found) => found && found.wid.user)"
        )
    };
    assert_eq!(chrome.value::<Value>(&exists(FRIEND)).await, json!(FRIEND));
    assert_eq!(chrome.value::<Value>(&exists(NOBODY)).await, Value::Null);

    let sent: Value = chrome
        .value(&format!(
            "WPP.chat.sendTextMessage('{FRIEND}@c.us', {}, {{ linkPreview: false }})",
            json!(TEXT)
        ))
        .await;
    assert_eq!(
        (&sent["ack"], &sent["sendMsgResult"]["messageSendResult"]),
        (&json!(1), &json!("OK"))
    );
    let taken = sandbox.messages().await;
    assert_eq!((taken.len(), &taken[0]["body"]), (1, &json!(TEXT)));
    assert!(
        sent["id"]
            .as_str()
            .unwrap()
            .ends_with(taken[0]["id"].as_str().unwrap())
    );
    chrome.until("JSON.stringify(acks) === '[1,2,3]'").await;

    sandbox
        .post(
            "/phone/receive",
            json!({"account": ACCOUNT, "from": FRIEND, "body": TEXT}),
        )
        .await;
    chrome.until("heard.length === 1").await;
    assert_eq!(
        chrome.value::<Value>("heard[0]").await,
        json!([FRIEND, TEXT])
    );
    sandbox.stop().await;
}
