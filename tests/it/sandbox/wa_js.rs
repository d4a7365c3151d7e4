//! The proof that the sandbox is no mirror of our own scripts: a bundle that others wrote for the real WhatsApp Web, unmodified,
//! does its work on it. What the service does with that bundle, in both versions and on both builds, is in `adapters` and `pairing`.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ACCOUNT, Chrome, FRIEND, LINKED, NOBODY, Running, TEXT, shown_code};
use crate::adapters::{CURRENT, OLD, bundle};

/// A page that shows a code, with the bundle in it.
async fn with_wa_js(folder: &TempDir, package: &str, faults: Value) -> (Running, Chrome) {
    let sandbox = Running::start(folder.path()).await;
    sandbox.post("/faults", faults).await;
    let chrome = Chrome::open(&folder.path().join("profile")).await;
    chrome.goto(&sandbox.url("/")).await;
    shown_code(&chrome).await;
    let bundle = std::fs::read_to_string(bundle(package)).unwrap();
    chrome
        .run("window.WPPConfig = { disableGoogleAnalytics: true, linkPreviewApiServers: [] }")
        .await;
    // Not through `run`: the bundle has to meet the global scope.
    chrome.value::<()>(&format!("{bundle};null")).await;
    chrome.until("WPP.isFullReady").await;
    (sandbox, chrome)
}

/// The service asks wa-js for a new code by its newer function, and by this one only where a bundle lacks that.
#[tokio::test]
async fn the_unmodified_wa_js_links_by_its_older_function_for_a_phone_number() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = with_wa_js(&folder, CURRENT, json!({})).await;
    let ask = format!("WPP.conn.genLinkDeviceCodeForPhoneNumber('{ACCOUNT}')");
    let code: String = chrome.value(&ask).await;
    let typed = json!({"number": ACCOUNT, "code": code});
    assert_eq!(sandbox.post("/phone/pair", typed).await.0, 200);
    chrome.until(LINKED).await;
    sandbox.stop().await;
}

#[tokio::test]
async fn the_unmodified_wa_js_links_checks_numbers_sends_and_hears() {
    for lid_chats in [false, true] {
        does_its_work(CURRENT, json!({"lid_chats": lid_chats})).await;
    }
}

#[tokio::test]
async fn it_does_so_on_the_page_of_early_2026_and_an_older_one_too() {
    for (package, lid_chats) in [(CURRENT, false), (CURRENT, true), (OLD, false)] {
        let faults = json!({"build": "early-2026", "lid_chats": lid_chats});
        does_its_work(package, faults).await;
    }
}

async fn does_its_work(package: &str, faults: Value) {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = with_wa_js(&folder, package, faults).await;
    chrome
        .run(
            "window.acks = [];
            window.heard = [];
            WPP.on('chat.msg_ack_change', (change) => acks.push(change.ack));
            WPP.on('chat.new_message', ({ id, from, body }) => {
                if (!id.fromMe) heard.push(body);
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
        format!("WPP.contact.queryWidExists('{number}@c.us').then((found) => Boolean(found))")
    };
    assert_eq!(chrome.value::<Value>(&exists(FRIEND)).await, json!(true));
    assert_eq!(chrome.value::<Value>(&exists(NOBODY)).await, json!(false));

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
    assert_eq!(chrome.value::<Value>("heard[0]").await, json!(TEXT));
    sandbox.stop().await;
}

/// A picture is drawn again on its way, as WhatsApp Web does it, and a document is not.
#[tokio::test]
async fn the_unmodified_wa_js_sends_files_and_loads_those_that_came() {
    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = with_wa_js(&folder, CURRENT, json!({})).await;
    let code: String = chrome
        .value("WPP.conn.getAuthCode().then((code) => code.fullCode)")
        .await;
    sandbox
        .post("/phone/scan", json!({"code": code, "number": ACCOUNT}))
        .await;
    chrome.until(LINKED).await;
    chrome
        .run(
            "window.heard = [];
            WPP.on('chat.new_message', ({ id }) => { if (!id.fromMe) heard.push(id._serialized); })",
        )
        .await;
    for (kind, data, name) in [
        ("image", format!("data:image/png;base64,{PNG}"), "sol.png"),
        (
            "document",
            format!("data:application/pdf;base64,{PNG}"),
            "lista.pdf",
        ),
    ] {
        let options = json!({"type": kind, "caption": "mirá", "filename": name});
        let sent: Value = chrome
            .value(&format!(
                "WPP.chat.sendFileMessage('{FRIEND}@c.us', {}, {options}).then(async (sent) => \
                    ({{id: sent.id, ack: sent.ack, result: await sent.sendMsgResult}}))",
                json!(data)
            ))
            .await;
        assert_eq!(sent["result"]["messageSendResult"], "OK", "{sent}");
    }
    let taken = sandbox.messages().await;
    let [image, document] = taken.as_slice() else {
        panic!("{taken:?}");
    };
    let media = |message: &Value| message["media"].clone();
    assert_eq!(
        (
            &media(image)["kind"],
            &media(image)["mimetype"],
            &media(image)["caption"]
        ),
        (&json!("image"), &json!("image/jpeg"), &json!("mirá")),
        "{image}"
    );
    assert_eq!(
        (
            &media(document)["kind"],
            &media(document)["mimetype"],
            &media(document)["filename"]
        ),
        (
            &json!("document"),
            &json!("application/pdf"),
            &json!("lista.pdf")
        ),
        "{document}"
    );
    assert_eq!(
        (&media(image)["problem"], &media(document)["problem"]),
        (&Value::Null, &Value::Null)
    );

    sandbox
        .post(
            "/phone/receive",
            json!({"account": ACCOUNT, "from": FRIEND, "media": {"data": PNG, "mimetype": "image/png", "kind": "image", "caption": "acá"}}),
        )
        .await;
    chrome.until("heard.length === 1").await;
    let loaded: String = chrome
        .value(
            "WPP.chat.downloadMedia(heard[0]).then((blob) => blob.arrayBuffer()).then((bytes) => \
                btoa(String.fromCharCode(...new Uint8Array(bytes))))",
        )
        .await;
    assert_eq!(loaded, PNG);
    sandbox.stop().await;
}

/// What it does to messages that are there and in chats, as a person at the phone sees it.
#[tokio::test]
async fn the_unmodified_wa_js_reacts_edits_deletes_reads_and_types() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = with_wa_js(&folder, CURRENT, json!({})).await;
    let scanned = json!({"code": shown_code(&chrome).await, "number": ACCOUNT});
    assert_eq!(sandbox.post("/phone/scan", scanned).await.0, 200);
    chrome.until(LINKED).await;
    let chat = format!("{FRIEND}@c.us");
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        let send = format!(
            "WPP.chat.sendTextMessage('{chat}', '{text}', {{ linkPreview: false, waitForAck: true }}).then(({{ id }}) => id)"
        );
        ids.push(chrome.value::<String>(&send).await);
    }
    let [reacted, edited, deleted] = ids.try_into().expect("three messages");

    let does = async |what: &str| {
        let done: Value = chrome.value(&format!("{what}.then(() => null)")).await;
        assert_eq!(done, json!(null));
    };
    does(&format!(
        "WPP.chat.sendReactionToMessage('{reacted}', '👍')"
    ))
    .await;
    does(&format!(
        "WPP.chat.editMessage('{edited}', 'zwei', {{ linkPreview: false }})"
    ))
    .await;
    does(&format!(
        "WPP.chat.deleteMessage('{chat}', '{deleted}', true, true)"
    ))
    .await;
    let messages = sandbox
        .until_messages(|messages| {
            let done = messages.iter().filter(|message| message["changes"] == 1);
            done.count() == 3
        })
        .await;
    assert_eq!(
        (
            messages.len(),
            &messages[0]["reaction"],
            &messages[1]["edited"],
            &messages[2]["deleted"]
        ),
        (3, &json!("👍"), &json!("zwei"), &json!(true))
    );
    does(&format!("WPP.chat.deleteMessage('{chat}', '{reacted}')")).await;
    sandbox
        .until_messages(|messages| messages[0]["deleted_for_me"] == true)
        .await;

    let came = json!({"account": ACCOUNT, "from": FRIEND, "body": TEXT});
    sandbox.post("/phone/receive", came).await;
    chrome
        .until(&format!("WPP.chat.get('{chat}').unreadCount === 1"))
        .await;
    does(&format!("WPP.chat.markIsRead('{chat}')")).await;
    let seen = |phone: &Value| phone["received"][0]["seen"] == true;
    sandbox.until_phone(seen).await;
    for (what, state) in [
        ("markIsComposing", "composing"),
        ("markIsRecording", "recording"),
        ("markIsPaused", "paused"),
    ] {
        does(&format!("Promise.resolve(WPP.chat.{what}('{chat}'))")).await;
        let shown = |phone: &Value| phone["chat_states"][0]["state"] == state;
        sandbox.until_phone(shown).await;
    }
    sandbox.stop().await;
}
