//! The proof that the sandbox is no mirror of our own scripts: a bundle that others wrote for the real WhatsApp Web, unmodified,
//! does its work on it. What the service does with that bundle, in both versions and on both builds, is in `adapters` and `pairing`.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ACCOUNT, Chrome, FRIEND, LINKED, NOBODY, Running, TEXT, shown_code};
use crate::{
    adapters::{CURRENT, OLD, bundle},
    media::{files, hash},
};

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

/// A film of half a second, as a browser makes it.
const FILM: &str = "(async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
    const pen = canvas.getContext('2d');
    const recorder = new MediaRecorder(canvas.captureStream(20), { mimeType: 'video/mp4;codecs=vp9' });
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    const ended = new Promise((done) => { recorder.onstop = done; });
    recorder.start();
    for (let nth = 0; nth < 10; nth += 1) {
        pen.fillStyle = `rgb(${nth * 25}, 90, 90)`;
        pen.fillRect(0, 0, 64, 48);
        await new Promise((done) => setTimeout(done, 50));
    }
    recorder.stop();
    await ended;
    return new File(parts, 'gato.mp4', { type: 'video/mp4' });
})()";

#[tokio::test]
async fn the_unmodified_wa_js_sends_every_kind_of_message() {
    for lid_chats in [false, true] {
        sends_every_kind(json!({"lid_chats": lid_chats})).await;
    }
}

/// What the test sends, by the ids that it goes on with.
struct Sent {
    film: String,
    video: String,
    sticker: String,
    text: String,
}

fn bytes_of(kind: &str) -> Vec<u8> {
    let mut all = files().into_iter();
    all.find(|(each, ..)| *each == kind).unwrap().2
}

async fn sends_every_kind(faults: Value) {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = with_wa_js(&folder, CURRENT, faults).await;
    let scanned = json!({"code": shown_code(&chrome).await, "number": ACCOUNT});
    assert_eq!(sandbox.post("/phone/scan", scanned).await.0, 200);
    chrome.until(LINKED).await;
    let chat = format!("{FRIEND}@c.us");
    let sent = sends_all(&chrome, &chat).await;
    assert_all_taken(&sandbox.messages().await, &sent);

    // What was sent can be changed, whatever it is. In its chat as that is called by now: wa-js looks a number up in no LID.
    let done = async |what: String| chrome.run(&format!("await {what}")).await;
    let Sent {
        video,
        sticker,
        text,
        ..
    } = sent;
    done(format!("WPP.chat.sendReactionToMessage('{video}', '👍')")).await;
    done(format!(
        "WPP.chat.editMessage('{text}', 'guau', {{ linkPreview: false }})"
    ))
    .await;
    let chat = sticker.split('_').nth(1).unwrap();
    done(format!(
        "WPP.chat.deleteMessage('{chat}', '{sticker}', true, true)"
    ))
    .await;
    let changed = sandbox
        .until_messages(|messages| {
            messages
                .iter()
                .filter(|message| message["changes"] == 1)
                .count()
                == 3
        })
        .await;
    assert_eq!(
        (
            &changed[0]["reaction"],
            &changed[8]["edited"],
            &changed[3]["deleted"]
        ),
        (&json!("👍"), &json!("guau"), &json!(true))
    );
    sandbox.stop().await;
}

async fn sends_all(chrome: &Chrome, chat: &str) -> Sent {
    // Gives the id, once the server has it.
    let does = async |what: String| -> String {
        let sent: Value = chrome
            .value(&format!("{what}.then(async ({{ id, sendMsgResult }}) => ({{ id: String(id), result: await sendMsgResult }}))"))
            .await;
        assert_eq!(sent["result"]["messageSendResult"], "OK", "{what}: {sent}");
        sent["id"].as_str().unwrap().to_owned()
    };
    let medium = async |content: &str, options: Value| {
        does(format!(
            "WPP.chat.sendFileMessage('{chat}', {content}, {options})"
        ))
        .await
    };
    // A parameter of a type is nothing that wa-js reads in such an address.
    let url = |kind: &str, mimetype: &str| {
        json!(format!(
            "data:{mimetype};base64,{}",
            BASE64_STANDARD.encode(bytes_of(kind))
        ))
        .to_string()
    };
    chrome.run(&format!("window.film = await {FILM}")).await;
    let film = "film.arrayBuffer().then((bytes) => crypto.subtle.digest('SHA-256', bytes))
        .then((hash) => Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join(''))";
    let film: String = chrome.value(film).await;
    let video = medium("film", json!({"type": "video", "caption": "el gato"})).await;
    medium(
        &url("audio", "audio/mpeg"),
        json!({"type": "audio", "filename": "timbre.mp3"}),
    )
    .await;
    let voice = json!({"type": "audio", "isPtt": true, "waveform": true, "mimetype": "audio/ogg; codecs=opus"});
    medium(&url("voice", "audio/ogg"), voice).await;
    let picture = url("image", "image/png");
    let sticker = medium(&picture, json!({"type": "sticker"})).await;
    medium(
        &picture,
        json!({"type": "image", "isViewOnce": true, "caption": "una vez"}),
    )
    .await;
    medium(
        &picture,
        json!({"type": "image", "quotedMsg": video, "caption": "y el perro"}),
    )
    .await;
    let place =
        json!({"lat": -34.6037, "lng": -58.3816, "name": "Obelisco", "address": "Av. 9 de Julio"});
    does(format!("WPP.chat.sendLocationMessage('{chat}', {place})")).await;
    does(format!("WPP.chat.sendCreatePollMessage('{chat}', '¿Cuándo?', ['lunes', 'martes'], {{ selectableCount: 1 }})")).await;
    let answer = json!({"quotedMsg": video, "linkPreview": false});
    let text = does(format!(
        "WPP.chat.sendTextMessage('{chat}', 'miau', {answer})"
    ))
    .await;
    Sent {
        film,
        video,
        sticker,
        text,
    }
}

/// Each as it was sent; pictures and stickers are drawn again on their way, and all other bytes are the same.
fn assert_all_taken(taken: &[Value], sent: &Sent) {
    let [
        video,
        audio,
        voice,
        sticker,
        once,
        answer,
        place,
        poll,
        text,
    ] = taken
    else {
        panic!("{taken:?}");
    };
    for (message, kind, mimetype, hash) in [
        (video, "video", "video/mp4", Some(sent.film.clone())),
        (audio, "audio", "audio/mpeg", Some(hash(&bytes_of("audio")))),
        (
            voice,
            "voice",
            "audio/ogg; codecs=opus",
            Some(hash(&bytes_of("voice"))),
        ),
        (sticker, "sticker", "image/webp", None),
        (once, "image", "image/jpeg", None),
        (answer, "image", "image/jpeg", None),
    ] {
        let media = &message["media"];
        assert_eq!(
            (&media["kind"], &media["mimetype"], &media["problem"]),
            (&json!(kind), &json!(mimetype), &Value::Null),
            "{message}"
        );
        assert!(hash.is_none_or(|hash| media["sha256"] == hash), "{message}");
        assert_eq!(
            media["view_once"] == true,
            message["id"] == once["id"],
            "{message}"
        );
    }
    let captions = [video, once, answer].map(|message| &message["media"]["caption"]);
    assert_eq!(captions, ["el gato", "una vez", "y el perro"]);
    let place = &place["location"];
    assert_eq!(
        (&place["latitude"], &place["longitude"], &place["name"]),
        (&json!(-34.6037), &json!(-58.3816), &json!("Obelisco")),
        "{place}"
    );
    let question = json!({"question": "¿Cuándo?", "options": ["lunes", "martes"], "choices": 1});
    assert_eq!(poll["poll"], question);
    assert_eq!(text["body"], "miau");
    let quoted = json!(sent.video.split('_').nth(2).unwrap());
    assert_eq!([&text["quote"], &answer["quote"]], [&quoted; 2]);
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
