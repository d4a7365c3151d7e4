//! The simulated WhatsApp Web, seen by a real Chromium.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use tempfile::TempDir;
use whatsapp_sandbox::SandboxConfig;

use super::{
    ACCOUNT, Chrome, FRIEND, LINKED, NOBODY, Running, TEXT, config, linked, send, shown_code,
    start_sending,
};

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
    assert_eq!(kept, ["said while down"], "the chat's last one");
    let older = format!("true_{FRIEND}@c.us_{}", before[0]["id"].as_str().unwrap());
    let found: Vec<(String, u8)> = chrome
        .value(&format!(
            "require('WAWebMsgCollection').MsgCollection.getMessagesById(['{older}', 'true_{FRIEND}@c.us_3EB0'])
                .then(({{ messages }}) => messages.map((m) => [m.body, m.ack]))"
        ))
        .await;
    assert_eq!(found, [(TEXT.to_owned(), 3)], "the older one in storage");
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
        .until(
            "[...document.querySelectorAll('[data-testid^=conv-msg-] svg title')].some((title) => title.textContent === 'wds-ic-read')",
        )
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
            const {{ chat }} = await require('WAWebFindChatAction').findOrCreateLatestChat(createWid('{FRIEND}@c.us'), 'createChat');
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
async fn the_faults_of_one_account_shape_its_page_from_the_next_load() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    let faults = json!({
        "account": ACCOUNT, "language": "es", "missing": ["WAWebCallCollection", "WAWebConnModel.Conn"],
        "rename_modules": {"WAWebCmd": "WAWebCommand"},
    });
    assert_eq!(sandbox.post("/faults", faults).await.0, 200);
    chrome.goto(&sandbox.url("/")).await;
    chrome.until(LINKED).await;
    chrome.until("document.documentElement.lang === 'es'").await;
    chrome
        .until("require('WAWebCommand').Cmd.isMainLoaded")
        .await;
    chrome
        .until("require('WAWebConnModel').Conn === undefined")
        .await;
    let gone: Vec<String> = chrome
        .value(
            "['WAWebCmd', 'WAWebCallCollection', 'WAWebStreamModel'].filter((id) => {
            try { require(id); return false; } catch { return true; } })",
        )
        .await;
    assert_eq!(gone, ["WAWebCmd", "WAWebCallCollection"]);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_silent_connection_is_given_up_and_comes_back() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    sandbox
        .post(
            "/faults",
            json!({"socket": "silent", "silence_noticed_ms": 1000}),
        )
        .await;
    chrome
        .until("require('WAWebSocketModel').Socket.state === 'OPENING'")
        .await;
    sandbox.post("/faults", json!({})).await;
    chrome
        .until("require('WAWebSocketModel').Socket.state === 'CONNECTED'")
        .await;
    assert_eq!(send(&chrome, TEXT).await["messageSendResult"], "OK");
    sandbox.stop().await;
}

#[tokio::test]
async fn a_page_opened_elsewhere_waits_until_it_is_asked_to_take_over() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    sandbox
        .post("/faults", json!({"event": "conflict", "account": ACCOUNT}))
        .await;
    chrome
        .until("require('WAWebStreamModel').Stream.mode === 'CONFLICT'")
        .await;
    chrome.shows("div[role='dialog']").await;
    chrome
        .run("require('WAWebSocketModel').Socket.takeover()")
        .await;
    chrome.until(LINKED).await;
    assert_eq!(
        sandbox.get("/faults").await["everybody"],
        json!({}),
        "an event leaves nothing"
    );
    sandbox.stop().await;
}

/// The page answers all the while: what waits for it are calls with a deadline.
#[tokio::test]
async fn ten_thousand_recipients_leave_the_page_quick() {
    /// Each redraw of 200 chats took some 50 ms, and there were four for each message.
    const LONGEST_MS: f64 = 2_000.0;

    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    let longest: f64 = chrome
        .value(
            "(async () => {
                const { findOrCreateLatestChat } = require('WAWebFindChatAction');
                const { MsgCollection } = require('WAWebMsgCollection');
                const { createWid } = require('WAWebWidFactory');
                const MsgKey = require('WAWebMsgKey').default ?? require('WAWebMsgKey');
                const from = require('WAWebUserPrefsMeUser').getMePnUserOrThrow();
                const turn = () => new Promise((resolve) => { const { port1, port2 } = new MessageChannel(); port1.onmessage = resolve; port2.postMessage(0); });
                let [longest, last] = [0, performance.now()];
                for (let number = 1; number <= 10_000; number += 1) {
                    const to = createWid((5491160000000 + number) + '@c.us');
                    const id = new MsgKey({ fromMe: true, remote: to, id: '3EB0' + number.toString(16).toUpperCase().padStart(18, '0') });
                    const msg = MsgCollection.add({ id, from, to, type: 'chat', body: 'x', t: 1_800_000_000 + number, self: 'out', isNewMsg: true, ack: 1 });
                    const { chat } = await findOrCreateLatestChat(to, 'createChat');
                    chat.msgs.add(msg);
                    chat.t = msg.t;
                    if (number % 10) continue;
                    await turn();
                    longest = Math.max(longest, performance.now() - last);
                    last = performance.now();
                }
                return longest;
            })()",
        )
        .await;
    assert!(longest < LONGEST_MS, "the page hung for {longest} ms");
    // The latest are shown, and only so many; the others are there all the same.
    chrome.shows("#pane-side [title='+5491160010000']").await;
    let shown: usize = chrome
        .value("document.querySelectorAll('#pane-side [role=listitem]').length")
        .await;
    assert_eq!(shown, 50);
    let all: usize = chrome
        .value("require('WAWebChatCollection').ChatCollection.length")
        .await;
    // And the status updates of others.
    assert_eq!(all, 10_001);
    assert_eq!(send(&chrome, TEXT).await["messageSendResult"], "OK");
    sandbox.stop().await;
}

/// A picture of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

#[tokio::test]
async fn the_page_of_the_phone_shows_the_pictures_of_a_conversation_and_sends_one() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = linked(&folder).await;
    let came = json!({"account": ACCOUNT, "from": FRIEND, "media": {"data": PIXEL, "mimetype": "image/png", "kind": "image", "caption": "el sol"}});
    assert_eq!(sandbox.post("/phone/receive", came).await.0, 200);
    let phone = Chrome::open(&folder.path().join("phone")).await;
    phone.goto(&sandbox.url("/phone")).await;
    let pictures = |count: usize| {
        format!(
            "(() => {{ const all = [...document.querySelectorAll('#messages img.picture')]; return all.length === {count} && all.every((one) => one.naturalWidth > 0); }})()"
        )
    };
    phone.until(&pictures(1)).await;
    let words: String = phone
        .value("document.querySelector('#messages img.picture').alt")
        .await;
    assert!(words.contains("el sol"), "{words}");

    // What the account sends is there as well.
    chrome
        .run(&format!(
            "const {{ createWid }} = require('WAWebWidFactory');
            const {{ chat }} = await require('WAWebFindChatAction').findOrCreateLatestChat(createWid('{FRIEND}@c.us'), 'createChat');
            const bytes = Uint8Array.from(atob('{PIXEL}'), (char) => char.charCodeAt(0));
            const file = new File([bytes], 'luna.png', {{ type: 'image/png' }});
            const data = await require('WAWebMediaOpaqueData').default.createFromData(file, file.type);
            const prepared = require('WAWebPrepRawMedia').prepRawMedia(data, {{}});
            await prepared.waitForPrep();
            const sent = await prepared.sendToChat({{ chat, options: {{ caption: 'la luna' }} }});
            if (sent.messageSendResult !== 'OK') throw new Error(sent.messageSendResult)"
        ))
        .await;
    phone.until(&pictures(2)).await;

    // Chosen as the dialog of the browser does it, without a text.
    phone
        .run(&format!(
            "const bytes = Uint8Array.from(atob('{PIXEL}'), (char) => char.charCodeAt(0));
            const chosen = new DataTransfer();
            chosen.items.add(new File([bytes], 'nube.png', {{ type: 'image/png' }}));
            const field = document.querySelector('#file');
            field.files = chosen.files;
            field.dispatchEvent(new Event('change'))"
        ))
        .await;
    phone.click("#send").await;
    phone.until(&pictures(3)).await;
    let trouble: String = phone
        .value("document.querySelector('#trouble').textContent")
        .await;
    assert_eq!(trouble, "");
    let state = sandbox.get("/phone/state").await;
    let received = state["received"].as_array().unwrap();
    assert_eq!(
        (received.len(), &received[1]["from"]),
        (2, &json!(FRIEND)),
        "{state}"
    );
    let id = received[1]["id"].as_str().unwrap();
    let media = sandbox.url(&format!("/phone/media?account={ACCOUNT}&id={id}"));
    let bytes = sandbox
        .client
        .get(media)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert_eq!(STANDARD.encode(bytes), PIXEL);
    chrome
        .until("require('WAWebMsgCollection').MsgCollection.filter((msg) => msg.type === 'image' && !msg.id.fromMe).length === 2")
        .await;
    sandbox.stop().await;
}
