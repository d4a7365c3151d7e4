//! What comes to a linked page, and what a listener on it hears: in both builds, by the page's own events and by the
//! unmodified wa-js.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, interval};

use super::{ACCOUNT, Chrome, FRIEND, LINKED, Running, shown_code};
use crate::adapters::{CURRENT, bundle};

/// A burst of this size is stored within 2 s on an idle machine.
const BURST_TIMEOUT: Duration = Duration::from_secs(30);
const OTHER: &str = "5491150002222";
/// A person whom the account does not know.
const STRANGER: &str = "5491150003333";
/// A person of a burst or a history: the first fictitious number.
const FIRST: &str = "5491150000001";

/// Notes, from the first moment of each document, what the collection of messages and the page's back end say.
const LISTENS: &str = "
    window.heard = [];
    (function listen() {
        let messages;
        try { messages = require('WAWebMsgCollection').MsgCollection; } catch { setTimeout(listen, 1); return; }
        const text = (value) => (value === undefined || value === null ? null : String(value));
        const note = (what, msg, ...more) => heard.push([what, msg.id.id, ...more]);
        messages.on('add', (msg) => note('add', msg, text(msg.body), Boolean(msg.isNewMsg)));
        for (const name of ['type', 'body', 'caption', 'ack', 'latestEditMsgKey']) {
            messages.on('change:' + name, (msg, value, before) => note('change:' + name, msg, text(value), text(before)));
        }
        const { Cmd } = require('WAWebCmd');
        for (const name of ['offline_delivery_end_from_bridge', 'offline_delivery_state_reset_from_bridge']) Cmd.on(name, () => heard.push([name]));
    })()";

/// A sandbox and a page that listens, not linked yet.
async fn listening(folder: &TempDir, faults: Value) -> (Running, Chrome) {
    let sandbox = Running::start(folder.path()).await;
    sandbox.post("/faults", faults).await;
    let chrome = Chrome::open(&folder.path().join("profile")).await;
    chrome
        .page()
        .evaluate_on_new_document(LISTENS)
        .await
        .unwrap();
    chrome.goto(&sandbox.url("/")).await;
    (sandbox, chrome)
}

async fn link(sandbox: &Running, chrome: &Chrome) {
    let scanned = json!({"code": shown_code(chrome).await, "number": ACCOUNT});
    assert_eq!(sandbox.post("/phone/scan", scanned).await.0, 200);
    chrome.until(LINKED).await;
}

impl Running {
    /// Does something on the phone; gives the id of what came of it.
    async fn phone(&self, act: &str, mut body: Value) -> String {
        body["account"] = json!(ACCOUNT);
        let (status, answer) = self.post(&format!("/phone/{act}"), body).await;
        assert_eq!(status, 200, "{act}: {answer}");
        answer["id"].as_str().unwrap_or_default().to_owned()
    }
}

impl Chrome {
    /// What was heard, without what the page says of its connection.
    async fn heard(&self) -> Vec<Value> {
        self.value("heard").await
    }

    /// Waits until a text was heard.
    async fn hears(&self, text: &str) {
        self.until(&format!("heard.some((event) => event.includes({text:?}))"))
            .await;
    }
}

fn about<'a>(heard: &'a [Value], id: &str) -> Vec<&'a str> {
    let events = heard.iter().filter(|event| event[1] == id);
    events.map(|event| event[0].as_str().unwrap()).collect()
}

#[tokio::test]
async fn bad_input_about_chats_is_answered_with_the_field_and_the_remedy() {
    let folder = TempDir::new().unwrap();
    let sandbox = Running::start(folder.path()).await;
    for (act, body, status, field) in [
        (
            "receive",
            json!({"from": FRIEND, "body": "x", "media": {"kind": "song"}}),
            400,
            "media",
        ),
        (
            "receive",
            json!({"from": FRIEND, "body": "x", "waiting": "long"}),
            400,
            "waiting",
        ),
        (
            "receive",
            json!({"from": FRIEND, "body": "x", "mentions": ["me"]}),
            400,
            "mentions",
        ),
        ("write", json!({"body": "x"}), 400, "to"),
        ("edit", json!({"id": "3A00", "body": "x"}), 404, "account"),
        ("react", json!({"id": "3A00"}), 400, "emoji"),
        ("ack", json!({"id": "3A00", "ack": "seen"}), 400, "ack"),
        (
            "group",
            json!({"name": "x", "participants": []}),
            400,
            "participants",
        ),
        ("notice", json!({"kind": "rain"}), 400, "kind"),
        ("post", json!({"channel": "x", "body": "x"}), 400, "channel"),
        ("burst", json!({"chats": 0, "messages": 1}), 400, "chats"),
        (
            "history",
            json!({"chats": 9000, "messages": 9000}),
            400,
            "messages",
        ),
    ] {
        let mut body = body;
        body["account"] = json!(ACCOUNT);
        let (answered, error) = sandbox.post(&format!("/phone/{act}"), body).await;
        assert_eq!(
            (answered, &error["field"]),
            (status, &json!(field)),
            "{act}"
        );
        assert!(
            error["error"].as_str().unwrap().len() > 20,
            "{act}: {error}"
        );
    }
    sandbox.stop().await;
}

/// Both builds, by number and by LID.
fn builds() -> [Value; 3] {
    [
        json!({}),
        json!({"lid_chats": true}),
        json!({"build": "early-2026"}),
    ]
}

#[tokio::test]
async fn a_listener_hears_what_others_and_the_owner_write_and_change() {
    for faults in builds() {
        let folder = TempDir::new().unwrap();
        let (sandbox, chrome) = listening(&folder, faults.clone()).await;
        link(&sandbox, &chrome).await;
        let written = json!({"from": FRIEND, "body": "Hola", "name": "Ana"});
        let hola = sandbox.phone("receive", written).await;
        sandbox
            .phone("edit", json!({"id": hola, "body": "Hola!"}))
            .await;
        let group = json!({"name": "Equipo", "participants": [FRIEND, OTHER]});
        let (_, group) = {
            let mut group = group;
            group["account"] = json!(ACCOUNT);
            sandbox.post("/phone/group", group).await
        };
        let picture = json!({"from": OTHER, "group": group["id"], "body": "foto", "media": {"kind": "image", "size": 4321}, "mentions": [ACCOUNT]});
        let picture = sandbox.phone("receive", picture).await;
        let by_hand = json!({"to": FRIEND, "body": "A mano", "quote": hola});
        let by_hand = sandbox.phone("write", by_hand).await;
        chrome
            .until(&format!(
                "heard.some(([what, id, ack]) => what === 'change:ack' && id === '{by_hand}' && ack === '3')"
            ))
            .await;
        let facts: Value = chrome
            .value(&format!(
                "(() => {{
                    const of = (id) => require('WAWebMsgCollection').MsgCollection.getModelsArray().find((msg) => msg.id.id === id);
                    const [text, picture, own] = ['{hola}', '{picture}', '{by_hand}'].map(of);
                    return {{
                        name: text.notifyName, body: text.body, edited: Boolean(text.latestEditMsgKey),
                        keys: Object.keys(picture.id).sort(), author: picture.author.user, caption: picture.caption, size: picture.size, type: picture.type,
                        mentions: picture.mentionedJidList.map(({{ user }}) => user), group: picture.id.remote.isGroup(), participant: picture.id.participant.user,
                        own: own.id.fromMe, quoted: own.quotedStanzaID, quote: own.quotedMsg.body,
                    }};
                }})()"
            ))
            .await;
        assert_eq!(
            (&facts["name"], &facts["body"], &facts["edited"]),
            (&json!("Ana"), &json!("Hola!"), &json!(true))
        );
        assert_eq!(
            (&facts["caption"], &facts["size"], &facts["type"]),
            (&json!("foto"), &json!(4321), &json!("image"))
        );
        assert_eq!(
            (&facts["own"], &facts["quoted"], &facts["quote"]),
            (&json!(true), &json!(hola), &json!("Hola"))
        );
        assert_eq!(
            (&facts["group"], &facts["author"]),
            (&json!(true), &facts["participant"])
        );
        let is_lid = faults["lid_chats"] == true;
        assert_eq!(facts["author"] == OTHER, !is_lid, "{facts}");
        assert_eq!(facts["mentions"][0] == ACCOUNT, !is_lid, "{facts}");
        let spelled = if faults["build"] == "early-2026" {
            "_serialized"
        } else {
            "$1"
        };
        assert_eq!(
            facts["keys"],
            json!(sorted(&["fromMe", "id", "participant", "remote", spelled]))
        );

        let gone = sandbox.phone("delete", json!({"id": hola})).await;
        sandbox
            .phone("delete", json!({"id": picture, "by": FRIEND}))
            .await;
        chrome.until("heard.filter(([what, , type]) => what === 'change:type' && type === 'revoked').length === 2").await;
        let heard = chrome.heard().await;
        assert_eq!(
            about(&heard, &hola),
            ["add", "change:latestEditMsgKey", "change:body"]
        );
        // A message that was deleted has the id of what deleted it.
        assert_eq!(about(&heard, &gone), ["change:type", "change:body"]);
        let mut of_own = about(&heard, &by_hand);
        // Delivered and read; a page that is slow hears both as one.
        of_own.dedup();
        assert_eq!(of_own, ["add", "change:ack"]);
        let original: String = chrome
            .value(&format!(
                "require('WAWebMsgCollection').MsgCollection.getModelsArray().find((msg) => msg.id.id === '{gone}').protocolMessageKey.id"
            ))
            .await;
        assert_eq!(original, hola);
        sandbox.stop().await;
    }
}

fn sorted<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn the_unmodified_wa_js_hears_each_event_once() {
    for faults in [
        json!({}),
        json!({"lid_chats": true}),
        json!({"build": "early-2026"}),
    ] {
        let folder = TempDir::new().unwrap();
        let (sandbox, chrome) = listening(&folder, faults.clone()).await;
        shown_code(&chrome).await;
        chrome
            .run("window.WPPConfig = { disableGoogleAnalytics: true, linkPreviewApiServers: [] }")
            .await;
        let wa_js = std::fs::read_to_string(bundle(CURRENT)).unwrap();
        chrome.value::<()>(&format!("{wa_js};null")).await;
        chrome.until("WPP.isFullReady").await;
        link(&sandbox, &chrome).await;
        chrome
            .run(
                "window.wpp = [];
                WPP.on('chat.new_message', (msg) => wpp.push(['new', msg.id.id, msg.type]));
                WPP.on('chat.msg_edited', ({ msg }) => wpp.push(['edited', msg.id.id, msg.body]));
                WPP.on('chat.msg_revoke', ({ refId, type }) => wpp.push(['revoked', refId.id, type]));
                WPP.on('chat.new_reaction', ({ msgId, reactionText }) => wpp.push(['reaction', msgId.id, reactionText]));
                WPP.on('chat.msg_ack_change', ({ ack, ids }) => wpp.push(['ack', ids[0].id, ack]))",
            )
            .await;
        let text = sandbox
            .phone("receive", json!({"from": FRIEND, "body": "Hola"}))
            .await;
        sandbox
            .phone("edit", json!({"id": text, "body": "Hola!"}))
            .await;
        for emoji in ["👍", ""] {
            sandbox
                .phone("react", json!({"id": text, "from": FRIEND, "emoji": emoji}))
                .await;
        }
        sandbox.phone("delete", json!({"id": text})).await;
        let answer = json!({"from": FRIEND, "body": "¿Y?", "quote": text});
        let answer = sandbox.phone("receive", answer).await;
        let voice = json!({"to": FRIEND, "media": {"kind": "ptt", "seconds": 3}});
        let voice = sandbox.phone("write", voice).await;
        chrome
            .until("wpp.some(([what, , ack]) => what === 'ack' && ack === 3)")
            .await;
        sandbox
            .phone("ack", json!({"id": voice, "ack": "played"}))
            .await;
        let secret = json!({"from": STRANGER, "body": "ya", "waiting": "keys"});
        let secret = sandbox.phone("receive", secret).await;
        chrome.hears(&secret).await;
        sandbox.phone("resolve", json!({"id": secret})).await;
        chrome
            .until(&format!(
                "wpp.some(([what, id, type]) => id === '{secret}' && type === 'chat')"
            ))
            .await;
        let mut heard: Vec<Value> = chrome.value("wpp").await;
        // A page that is slow hears that it was delivered and read as one.
        heard.retain(|event| *event != json!(["ack", voice, 2]));
        let expected = [
            json!(["new", text, "chat"]),
            json!(["edited", text, "Hola!"]),
            json!(["reaction", text, "👍"]),
            json!(["reaction", text, ""]),
            json!(["revoked", text, "sender_revoke"]),
            json!(["new", answer, "chat"]),
            json!(["new", voice, "ptt"]),
            json!(["ack", voice, 3]),
            json!(["ack", voice, 4]),
            json!(["new", secret, "ciphertext"]),
            json!(["new", secret, "chat"]),
        ];
        for event in &expected {
            let times = heard.iter().filter(|other| *other == event).count();
            assert_eq!(times, 1, "{faults}: {event} in {heard:?}");
        }
        assert_eq!(heard.len(), expected.len(), "{faults}: {heard:?}");
        sandbox.stop().await;
    }
}

#[tokio::test]
async fn the_unmodified_wa_js_reads_chats_and_groups_and_hears_who_comes_and_goes() {
    for faults in [json!({}), json!({"lid_chats": true})] {
        let folder = TempDir::new().unwrap();
        let (sandbox, chrome) = listening(&folder, faults.clone()).await;
        shown_code(&chrome).await;
        chrome
            .run("window.WPPConfig = { disableGoogleAnalytics: true, linkPreviewApiServers: [] }")
            .await;
        let wa_js = std::fs::read_to_string(bundle(CURRENT)).unwrap();
        chrome.value::<()>(&format!("{wa_js};null")).await;
        chrome.until("WPP.isFullReady").await;
        link(&sandbox, &chrome).await;
        chrome
            .run(
                "window.wpp = [];
                WPP.on('group.participant_changed', ({ action, operation, participants }) => wpp.push([action, operation, participants.length]))",
            )
            .await;
        let group = json!({"account": ACCOUNT, "name": "Equipo", "participants": [FRIEND, OTHER]});
        let (_, group) = sandbox.post("/phone/group", group).await;
        let group = group["id"].as_str().unwrap();
        for (act, person) in [
            ("promote", OTHER),
            ("demote", OTHER),
            ("leave", OTHER),
            ("join", OTHER),
            ("remove", OTHER),
        ] {
            let members =
                json!({"account": ACCOUNT, "group": group, "act": act, "people": [person]});
            let (status, _) = sandbox.post("/phone/group/members", members).await;
            assert_eq!(status, 200, "{act}");
        }
        let renamed =
            json!({"account": ACCOUNT, "group": group, "name": "Familia", "description": "Asados"});
        sandbox.post("/phone/group/change", renamed).await;
        let last = json!({"from": FRIEND, "group": group, "body": "fin"});
        let last = sandbox.phone("receive", last).await;
        chrome.hears(&last).await;
        let heard: Value = chrome.value("wpp").await;
        let expected = [
            json!(["add", "add", 1]),
            json!(["promote", "promote", 1]),
            json!(["demote", "demote", 1]),
            json!(["leave", "remove", 1]),
            json!(["join", "add", 1]),
            json!(["remove", "remove", 1]),
        ];
        assert_eq!(heard, json!(expected), "{faults}");
        let read: Value = chrome
            .value(&format!(
                "(async () => {{
                    const id = '{group}@g.us';
                    const [chat] = await WPP.chat.list({{ onlyGroups: true }});
                    const members = await WPP.group.getParticipants(id);
                    const {{ lid, phoneNumber }} = await WPP.contact.getPnLidEntry('{FRIEND}@c.us');
                    const stored = await WPP.chat.getMessages(id, {{ count: -1 }});
                    return {{
                        title: chat.formattedTitle, unread: chat.unreadCount > 0, canWrite: !chat.isReadOnly, members: members.length,
                        admins: members.filter((one) => one.isAdmin).length, byLid: members.every((one) => one.id.isLid()), isMember: await WPP.group.iAmMember(id),
                        description: chat.groupMetadata.desc, number: phoneNumber.id, lid: lid.server, notices: stored.filter((msg) => msg.type === 'gp2').length,
                    }};
                }})()"
            ))
            .await;
        let by_lid = faults["lid_chats"] == true;
        assert_eq!(
            read,
            json!({
                "title": "Familia", "unread": true, "canWrite": true, "members": 2, "admins": 1, "byLid": by_lid, "isMember": true,
                "description": "Asados", "number": FRIEND, "lid": "lid", "notices": 9,
            }),
            "{faults}"
        );
        sandbox.stop().await;
    }
}

/// All that storage has of the chat that this message is in.
fn stored_beside(faults: &Value, id: &str) -> String {
    let beside = if faults["build"] == "early-2026" {
        "db.msgFindQuery('before', { remote: key.remote, count: 20 })"
    } else {
        "(await db.msgFindByDirection({ anchor: { remote: key.remote }, direction: 'before', count: 20 })).messages"
    };
    format!(
        "(async () => {{
            const db = require('WAWebDBMessageFindLocal');
            const chats = require('WAWebChatCollection').ChatCollection.getModelsArray();
            const all = [];
            for (const {{ id }} of chats.filter(({{ id }}) => !id.isStatus())) {{
                const key = {{ remote: id }};
                const found = await {beside};
                if (found.some((message) => message.id.id === '{id}')) all.push(...found);
            }}
            return all.map(({{ id, type, body, isNewMsg, notifyName }}) => [id.id, type, body ?? null, isNewMsg ?? null, notifyName ?? null]);
        }})()"
    )
}

#[tokio::test]
async fn what_came_while_the_page_was_away_is_in_storage_and_is_told_only_to_a_page_that_was_open()
{
    for faults in builds() {
        let folder = TempDir::new().unwrap();
        let (sandbox, chrome) = listening(&folder, faults.clone()).await;
        link(&sandbox, &chrome).await;
        let with = |more: Value| {
            let mut all = faults.clone();
            all.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            all
        };
        sandbox
            .post("/faults", with(json!({"socket": "refuse"})))
            .await;
        chrome
            .until("require('WAWebSocketModel').Socket.state === 'OPENING'")
            .await;
        let first = sandbox
            .phone("receive", json!({"from": FRIEND, "body": "one"}))
            .await;
        chrome.run("heard.length = 0").await;
        sandbox.post("/faults", faults.clone()).await;
        chrome.hears("offline_delivery_end_from_bridge").await;
        let heard = chrome.heard().await;
        let said: Vec<&str> = heard
            .iter()
            .map(|event| event[0].as_str().unwrap())
            .collect();
        assert_eq!(
            said,
            [
                "offline_delivery_state_reset_from_bridge",
                "add",
                "offline_delivery_end_from_bridge"
            ]
        );
        assert_eq!(about(&heard, &first), ["add"]);

        // The page is away, and then the sandbox too.
        chrome.goto("about:blank").await;
        let second = sandbox
            .phone("receive", json!({"from": FRIEND, "body": "two"}))
            .await;
        sandbox
            .phone("edit", json!({"id": first, "body": "one, edited"}))
            .await;
        let secret = sandbox
            .phone(
                "receive",
                json!({"from": OTHER, "body": "three", "waiting": "keys"}),
            )
            .await;
        sandbox
            .phone("receive", json!({"from": OTHER, "body": "four"}))
            .await;
        let port = sandbox.address.port();
        sandbox.stop().await;
        let sandbox = Running::start_with(super::config(folder.path()), port).await;
        sandbox.post("/faults", faults.clone()).await;
        chrome.goto(&sandbox.url("/")).await;
        chrome.until(LINKED).await;
        let heard = chrome.heard().await;
        assert!(
            heard.iter().all(|event| event[3] != true),
            "no message was told as new: {heard:?}"
        );

        // All of it is in storage, in order, as it is now.
        let stored = |id: &str| stored_beside(&faults, id);
        let of_friend: Value = chrome.value(&stored(&first)).await;
        assert_eq!(
            of_friend,
            json!([
                [first, "chat", "one, edited", null, null],
                [second, "chat", "two", null, null]
            ])
        );
        let of_other: Value = chrome.value(&stored(&secret)).await;
        assert_eq!(of_other[0], json!([secret, "ciphertext", null, null, null]));
        // It can be read now, and no listener hears of it: it is not in memory.
        chrome.run("heard.length = 0").await;
        sandbox.phone("resolve", json!({"id": secret})).await;
        let later = sandbox
            .phone("receive", json!({"from": OTHER, "body": "five"}))
            .await;
        chrome.hears(&later).await;
        assert!(about(&chrome.heard().await, &secret).is_empty());
        let of_other: Value = chrome.value(&stored(&secret)).await;
        assert_eq!(of_other[0], json!([secret, "chat", "three", null, null]));
        sandbox.stop().await;
    }
}

#[tokio::test]
async fn faults_change_what_a_page_does_with_what_waited() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = listening(&folder, json!({})).await;
    link(&sandbox, &chrome).await;
    // A page that was open, and takes too much for it as one that loads.
    sandbox.post("/faults", json!({"socket": "refuse"})).await;
    chrome
        .until("require('WAWebSocketModel').Socket.state === 'OPENING'")
        .await;
    for body in ["one", "two"] {
        sandbox
            .phone("receive", json!({"from": FRIEND, "body": body}))
            .await;
    }
    chrome.run("window.isOld = true").await;
    sandbox.post("/faults", json!({"resume_limit": 2})).await;
    chrome.until("!window.isOld").await;
    chrome.until(LINKED).await;
    let heard = chrome.heard().await;
    assert!(heard.iter().all(|event| event[3] != true), "{heard:?}");
    let last = format!(
        "require('WAWebChatCollection').ChatCollection.get('{FRIEND}@c.us').lastMsg().body"
    );
    assert_eq!(chrome.value::<String>(&last).await, "two");

    // A page that loads, and tells of what waited.
    chrome.goto("about:blank").await;
    let waited = sandbox
        .phone("receive", json!({"from": FRIEND, "body": "three"}))
        .await;
    sandbox
        .post(
            "/faults",
            json!({"offline_queue": "events", "message_search": "never"}),
        )
        .await;
    chrome.goto(&sandbox.url("/")).await;
    chrome.until(LINKED).await;
    let heard = chrome.heard().await;
    assert!(
        heard.contains(&json!(["add", waited, "three", true])),
        "{heard:?}"
    );
    let search = format!(
        "Promise.race([
            require('WAWebDBMessageFindLocal').msgFindBefore({{ anchor: {{ remote: require('WAWebWidFactory').createWid('{FRIEND}@c.us') }} }}).then(() => 'settled'),
            new Promise((resolve) => setTimeout(() => resolve('pending'), 300)),
        ])"
    );
    assert_eq!(chrome.value::<String>(&search).await, "pending");
    sandbox.stop().await;
}

#[tokio::test]
async fn the_history_of_a_new_link_is_no_news_and_is_found_page_by_page() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = listening(&folder, json!({})).await;
    let history = json!({"account": ACCOUNT, "chats": 2, "messages": 130});
    assert_eq!(sandbox.post("/phone/history", history).await.0, 200);
    link(&sandbox, &chrome).await;
    let chat = format!("require('WAWebChatCollection').ChatCollection.get('{FIRST}@c.us')");
    chrome
        .until("require('WAWebHistorySyncProgressModel').getHistorySyncProgressModel().incomplete === false && require('WAWebUserPrefsHistorySync').getHistorySyncStatus()")
        .await;
    let heard = chrome.heard().await;
    assert!(heard.iter().all(|event| event[3] != true), "{heard:?}");
    let counts: Value = chrome
        .value(&format!(
            "(async () => {{
                const chat = {chat};
                const loaded = [chat.msgs.length];
                for (;;) {{
                    const found = await require('WAWebChatLoadMessages').loadEarlierMsgs({{ chat }});
                    if (!found) break;
                    loaded.push(found.length);
                }}
                return {{ loaded, first: chat.msgs.head().body, old: chat.msgs.toArray().every((msg) => msg.isMdHistoryMsg && !msg.isNewMsg) }};
            }})()"
        ))
        .await;
    assert_eq!(
        counts,
        json!({"loaded": [1, 50, 50, 29], "first": "history 1 of 130", "old": true})
    );
    let walked: Value = chrome
        .value(&format!(
            "require('WAWebDBMessageFindLocal').msgFindByDirection({{ anchor: {chat}.msgs.at(126).id, count: 2, direction: 'after' }})
                .then(({{ status, messages }}) => [status, ...messages.map(({{ body }}) => body)])"
        ))
        .await;
    assert_eq!(
        walked,
        json!([200, "history 128 of 130", "history 129 of 130"])
    );
    let unknown: Value = chrome
        .value(&format!(
            "require('WAWebDBMessageFindLocal').msgFindByDirection({{
                anchor: new (importDefault('WAWebMsgKey'))({{ fromMe: false, remote: {chat}.id, id: '3A00' }}), count: 5, direction: 'after',
            }}).then(({{ status, messages }}) => [status, messages.length])"
        ))
        .await;
    assert_eq!(unknown, json!([404, 0]));
    // Once is enough.
    chrome.goto(&sandbox.url("/")).await;
    chrome.until(LINKED).await;
    let received = sandbox
        .phone("receive", json!({"from": FIRST, "body": "new"}))
        .await;
    chrome.hears(&received).await;
    let after: Value = chrome
        .value(&format!(
            "require('WAWebDBMessageFindLocal').msgFindBefore({{ anchor: {{ remote: {chat}.id }}, count: 500 }}).then(({{ messages }}) => messages.length)"
        ))
        .await;
    assert_eq!(after, 131);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_burst_during_reloads_and_cut_connections_arrives_whole_and_once() {
    const MESSAGES: usize = 1200;
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = listening(&folder, json!({})).await;
    link(&sandbox, &chrome).await;
    for nth in 0..3 {
        sandbox
            .phone("burst", json!({"chats": 7, "messages": MESSAGES / 3}))
            .await;
        if nth == 0 {
            chrome.goto(&sandbox.url("/")).await;
        } else {
            sandbox
                .post("/faults", json!({"event": "socket_closed"}))
                .await;
        }
    }
    let stored = "new Promise((resolve) => {
        const open = indexedDB.open('sandbox-whatsapp');
        open.onsuccess = () => {
            const all = open.result.transaction(['messages']).objectStore('messages').getAll();
            all.onsuccess = () => { open.result.close(); resolve(all.result.map(({ id }) => id)); };
        };
    })";
    let deadline = Instant::now() + BURST_TIMEOUT;
    let mut look = interval(Duration::from_millis(100));
    let ids = loop {
        look.tick().await;
        let ids: Vec<String> = chrome.value(stored).await;
        if ids.len() == MESSAGES {
            break ids;
        }
        assert!(Instant::now() < deadline, "{} are stored", ids.len());
    };
    let told = chrome.heard().await;
    let mut told: Vec<&Value> = told
        .iter()
        .filter(|event| event[3] == true)
        .map(|event| &event[1])
        .collect();
    let times = told.len();
    told.sort_by_key(|id| id.as_str());
    told.dedup();
    assert_eq!(told.len(), times, "no message is told twice");
    let sent = sandbox.get("/phone/state").await;
    let shown: Vec<&str> = sent["received"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["id"].as_str().unwrap())
        .collect();
    assert!(!shown.is_empty() && shown.iter().all(|id| ids.iter().any(|stored| stored == id)));
    sandbox.stop().await;
}

#[tokio::test]
async fn a_lid_without_a_number_gets_one_when_the_account_learns_it() {
    let folder = TempDir::new().unwrap();
    let (sandbox, chrome) = listening(&folder, json!({})).await;
    link(&sandbox, &chrome).await;
    let hidden = json!({"from": STRANGER, "body": "¿Quién soy?", "hidden": true, "name": "Eva"});
    let hidden = sandbox.phone("receive", hidden).await;
    chrome.hears(&hidden).await;
    let find = format!(
        "const msg = require('WAWebMsgCollection').MsgCollection.getModelsArray().find((msg) => msg.id.id === '{hidden}');"
    );
    let before: Value = chrome
        .value(&format!(
            "(() => {{ {find} return [msg.from.server, String(require('WAWebApiContact').getPhoneNumber(msg.from)), document.documentElement.innerHTML.includes('{STRANGER}')]; }})()"
        ))
        .await;
    assert_eq!(before, json!(["lid", "undefined", false]));
    chrome
        .run(
            "window.learnt = [];
            require('WAWebContactCollection').ContactCollection.on('change:phoneNumber', (contact, number) => learnt.push([contact.id.server, number.user]))",
        )
        .await;
    sandbox.phone("reveal", json!({"number": STRANGER})).await;
    chrome.until("learnt.length === 1").await;
    assert_eq!(
        chrome.value::<Value>("learnt[0]").await,
        json!(["lid", STRANGER])
    );
    // Also after a reload.
    chrome.goto(&sandbox.url("/")).await;
    chrome.until(LINKED).await;
    let after: String = chrome
        .value(&format!("(() => {{ {find} return require('WAWebApiContact').getPhoneNumber(msg.from).user; }})()"))
        .await;
    assert_eq!(after, STRANGER);
    sandbox.stop().await;
}

#[tokio::test]
async fn posts_of_others_come_by_as_messages_and_who_reads_them_in_their_place_is_removed() {
    let look = "require('WAWebDBMessageFindLocal').msgFindByDirection({ anchor: { remote: require('WAWebWidFactory').createWid('status@broadcast') }, count: 5, direction: 'before' })";
    for (reads, is_removed) in [(None, false), (Some(look), true)] {
        let folder = TempDir::new().unwrap();
        let faults = json!({"self_reload_ms": 2500, "status_read_revokes": true});
        let (sandbox, chrome) = listening(&folder, faults).await;
        link(&sandbox, &chrome).await;
        let status = sandbox
            .phone("post", json!({"from": FRIEND, "body": "mi estado"}))
            .await;
        let channel = sandbox
            .phone(
                "post",
                json!({"channel": "120363012345678901", "body": "noticia"}),
            )
            .await;
        let notice = sandbox
            .phone("notice", json!({"from": FRIEND, "kind": "encrypted"}))
            .await;
        chrome.hears(&notice).await;
        let remotes: Value = chrome
            .value(&format!(
                "['{status}', '{channel}', '{notice}'].map((id) => require('WAWebMsgCollection').MsgCollection.getModelsArray().find((msg) => msg.id.id === id))
                    .map((msg) => [msg.id.remote.server, msg.type, msg.isNewMsg])"
            ))
            .await;
        assert_eq!(
            remotes,
            json!([
                ["broadcast", "chat", true],
                ["newsletter", "chat", true],
                ["c.us", "e2e_notification", true]
            ])
        );
        chrome.run("window.isOld = true").await;
        if let Some(reads) = reads {
            chrome.run(&format!("await {reads}")).await;
        }
        chrome.until("!window.isOld").await;
        let ends = if is_removed {
            "location.search.includes('post_logout=1')"
        } else {
            LINKED
        };
        chrome.until(ends).await;
        sandbox.stop().await;
    }
}
