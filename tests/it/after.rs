//! What is done to messages that are there, with real pages: reactions, edits, deletions; and chats that are read, or in which the owner
//! types. What the phone shows of it is what the simulated server has taken.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    adapters::served_by,
    ledger::becomes,
    support::{Answer, Home, Service, answer},
};

const FRIEND: &str = "5491150002222";
const OTHER: &str = "5491150003333";

/// The words of these tests.
trait Acts {
    async fn sent(&self, to: &str, text: &str) -> String;
    async fn react(&self, id: &str, emoji: &str) -> Answer;
    async fn edit(&self, id: &str, text: &str) -> Answer;
    async fn revoke(&self, id: &str, body: Value) -> Answer;
    /// What the phone shows of a message that the page has sent.
    async fn shown(&self, account: &str, id: &str) -> Value;
    /// What the phone shows of a message that a person has written.
    async fn received(&self, key: &str) -> Value;
    /// A person writes, and the page has it.
    async fn hears_from(&self, account: &str, what: Value) -> (String, String);
}

impl Acts for Service {
    async fn sent(&self, to: &str, text: &str) -> String {
        let message = json!({ "cliente_id": 51, "to": to, "message": text });
        let sent = self.post("/send", &message).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        sent.json()["message_id"].as_str().unwrap().to_owned()
    }

    async fn react(&self, id: &str, emoji: &str) -> Answer {
        let body = json!({ "cliente_id": 51, "emoji": emoji });
        self.post(&format!("/messages/{id}/reaction"), &body).await
    }

    async fn edit(&self, id: &str, text: &str) -> Answer {
        let body = json!({ "message": text });
        self.secrets().remember_request(&body);
        let request = self.request(Method::PATCH, &format!("/messages/{id}"));
        answer(request.json(&body)).await
    }

    async fn revoke(&self, id: &str, body: Value) -> Answer {
        self.post(&format!("/messages/{id}/revoke"), &body).await
    }

    async fn shown(&self, account: &str, id: &str) -> Value {
        let taken = self.taken(account).await;
        let is_it = |message: &&Value| id.contains(message["id"].as_str().unwrap());
        taken.iter().find(is_it).unwrap().clone()
    }

    async fn received(&self, key: &str) -> Value {
        let state = self.phone_shows("the message", |_| true).await;
        let received = state["received"].as_array().unwrap();
        let is_it = |message: &&Value| message["id"] == key;
        received.iter().find(is_it).unwrap().clone()
    }

    async fn hears_from(&self, account: &str, what: Value) -> (String, String) {
        let key = self.does(account, "receive", what).await;
        let is_it = |event: &&Value| event["data"]["key"] == json!(key);
        let heard = self
            .hears("the message", |log| log.iter().any(|event| is_it(&event)))
            .await;
        let id = heard.iter().find(is_it).unwrap()["data"]["id"].clone();
        (key, id.as_str().unwrap().to_owned())
    }
}

#[track_caller]
fn assert_done(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["message_state"], "sent", "{}", answer.text());
}

async fn does_each(adapter: &'static str, faults: Value) {
    let service = Service::start(served_by(adapter)).await;
    service.faults(faults).await;
    let account = service.link("51").await;
    let (question, id) = service
        .hears_from(&account, json!({ "from": FRIEND, "body": "¿venís?" }))
        .await;
    let own = service.sent(FRIEND, "Hola").await;

    // Of another person, by the full id and by its last part; and of its own, which needs no session.
    for (target, emoji) in [(&id, "👍"), (&question, "❤️"), (&id, "")] {
        assert_done(&service.react(target, emoji).await);
        assert_eq!(service.received(&question).await["reaction"], emoji);
    }
    let reacted = service
        .post(
            &format!("/messages/{own}/reaction"),
            &json!({ "emoji": "🎉" }),
        )
        .await;
    assert_done(&reacted);
    assert_done(&service.edit(&own, "Hola, Ana").await);
    assert_done(&service.edit(&own, " Hola,\r\nAna López ").await);
    let shown = service.shown(&account, &own).await;
    assert_eq!(
        (
            &shown["body"],
            &shown["edited"],
            &shown["reaction"],
            &shown["changes"]
        ),
        (
            &json!("Hola"),
            &json!("Hola,\nAna López"),
            &json!("🎉"),
            &json!(3)
        )
    );

    // What is another person's stays theirs.
    let edited = service.edit(&id, "x").await;
    edited.assert_refused(400, "INVALID_CLIENTE_ID");
    let body = json!({ "cliente_id": 51, "message": "x" });
    let request = service.request(Method::PATCH, &format!("/messages/{id}"));
    let edited = answer(request.json(&body)).await;
    edited.assert_refused(409, "NOT_EDITABLE");
    let revoked = service.revoke(&id, json!({ "cliente_id": 51 })).await;
    revoked.assert_refused(409, "NOT_REVOCABLE");
    let unknown = format!("false_{FRIEND}@c.us_3A00000000000000000000");
    let reacted = service.react(&unknown, "👍").await;
    reacted.assert_refused(404, "MESSAGE_NOT_FOUND");

    assert_done(&service.revoke(&own, json!({})).await);
    assert_eq!(service.shown(&account, &own).await["deleted"], true);
    // Once more, under another key, there is nothing left to do.
    assert_done(&service.revoke(&own, json!({})).await);
    assert_eq!(service.shown(&account, &own).await["changes"], 4);
    let edited = service.edit(&own, "x").await;
    edited.assert_refused(404, "MESSAGE_NOT_FOUND");
    let for_me = json!({ "cliente_id": 51, "for": "me" });
    assert_done(&service.revoke(&id, for_me.clone()).await);
    let gone = service.received(&question).await;
    assert_eq!(
        (&gone["deleted_for_me"], &gone["deleted"]),
        (&json!(true), &Value::Null)
    );
    let reacted = service.react(&id, "👍").await;
    reacted.assert_refused(404, "MESSAGE_NOT_FOUND");

    // Each of it was heard once, and is known to be of this service.
    let changes = ["message.reaction", "message.edited", "message.revoked"];
    let heard = service
        .hears("the deletion", |log| {
            log.iter().any(|event| event["type"] == "message.revoked")
        })
        .await;
    let about = heard
        .iter()
        .filter(|event| changes.contains(&event["type"].as_str().unwrap()));
    let about: Vec<_> = about
        .map(|event| (event["type"].as_str().unwrap(), &event["data"]["source"]))
        .collect();
    let api = json!("api");
    let expected: Vec<_> = [
        vec![("message.reaction", &api); 4],
        vec![("message.edited", &api); 2],
        vec![("message.revoked", &api)],
    ]
    .concat();
    assert_eq!(about, expected);

    in_a_group(&service, &account).await;
    service.stop();
}

async fn in_a_group(service: &Service, account: &str) {
    let group = json!({ "name": "Familia", "participants": [FRIEND, OTHER] });
    let group = service.does(account, "group", group).await;
    let first = json!({ "from": OTHER, "group": group, "body": "hola a todos" });
    let (first, id) = service.hears_from(account, first).await;
    let own = service.sent(&format!("{group}@g.us"), "¡Hola!").await;
    assert_done(&service.react(&id, "😂").await);
    assert_eq!(service.received(&first).await["reaction"], "😂");
    assert_done(&service.react(&own, "👀").await);
    assert_done(&service.edit(&own, "¡Hola, familia!").await);
    let revoked = service.revoke(&id, json!({ "cliente_id": 51 })).await;
    revoked.assert_refused(409, "NOT_REVOCABLE");
    let shown = service.shown(account, &own).await;
    assert_eq!(
        (&shown["edited"], &shown["reaction"]),
        (&json!("¡Hola, familia!"), &json!("👀"))
    );
    assert_done(&service.revoke(&own, json!({})).await);
    assert_eq!(service.shown(account, &own).await["deleted"], true);
}

#[tokio::test]
async fn each_thing_is_done_to_messages_by_the_modules() {
    does_each("modules", json!({})).await;
}

#[tokio::test]
async fn each_thing_is_done_to_messages_by_the_modules_where_chats_go_by_lid() {
    does_each("modules", json!({ "lid_chats": true })).await;
}

#[tokio::test]
async fn each_thing_is_done_to_messages_by_wa_js() {
    does_each("wa-js", json!({})).await;
}

#[tokio::test]
async fn each_thing_is_done_to_messages_by_wa_js_where_chats_go_by_lid() {
    does_each("wa-js", json!({ "lid_chats": true })).await;
}

#[tokio::test]
async fn a_message_is_edited_while_whatsapp_allows_it_and_what_it_refuses_is_said() {
    let (service, account) = Service::linked(&[]).await;
    let own = service.sent(FRIEND, "Hola").await;
    service.faults(json!({ "edit_window_seconds": 0 })).await;
    let late = service.edit(&own, "Hola, Ana").await;
    late.assert_refused(409, "NOT_EDITABLE");
    service.faults(json!({ "send": "refused" })).await;
    for refused in [
        service.react(&own, "👍").await,
        service.edit(&own, "Hola, Ana").await,
        service.revoke(&own, json!({})).await,
    ] {
        refused.assert_refused(500, "SEND_FAILED");
    }
    service.faults(json!({})).await;
    assert_eq!(service.shown(&account, &own).await["changes"], Value::Null);
    assert_done(&service.edit(&own, "Hola, Ana").await);
    service.disconnect("51").await;
    let home = service.stop();
    let service = Service::start_in(home, |env| {
        env.insert("ADAPTERS", "dom".into());
    })
    .await;
    service.connect("51").await;
    service.reaches("51", "READY").await;
    let refused = service.react(&own, "👍").await;
    refused.assert_refused(500, "SEND_FAILED");
    assert!(
        refused.text().contains("on the screen"),
        "{}",
        refused.text()
    );
    service.stop();
}

#[tokio::test]
async fn what_the_network_fails_is_looked_up_and_done_again_and_never_called_refused() {
    for adapter in ["modules", "wa-js"] {
        let service = Service::start(served_by(adapter)).await;
        let account = service.link("51").await;
        let own = service.sent(FRIEND, "Hola").await;
        let network = json!({ "send_result": "ERROR_NETWORK" });
        // It loses its connection each time, and after three times nothing more is tried.
        service.faults(network.clone()).await;
        let reacted = service.react(&own, "👍").await;
        reacted.assert_refused(500, "SEND_UNCONFIRMED");
        let edited = service.edit(&own, "Hola, Ana").await;
        edited.assert_refused(500, "SEND_UNCONFIRMED");
        let revoked = service.revoke(&own, json!({})).await;
        revoked.assert_refused(500, "SEND_UNCONFIRMED");
        service.faults(json!({})).await;
        service.reaches("51", "READY").await;
        assert_eq!(service.shown(&account, &own).await["changes"], Value::Null);
        assert_done(&service.react(&own, "👍").await);
        assert_done(&service.edit(&own, "Hola, Ana").await);
        let shown = service.shown(&account, &own).await;
        assert_eq!(
            (&shown["reaction"], &shown["edited"], &shown["changes"]),
            (&json!("👍"), &json!("Hola, Ana"), &json!(2))
        );
        service.stop();
    }
}

#[tokio::test]
async fn the_same_request_again_is_done_once_over_a_restart_and_another_one_is_refused() {
    let (service, account) = Service::linked(&[]).await;
    let own = service.sent(FRIEND, "Hola").await;
    let path = format!("/messages/{own}/reaction");
    let react = |emoji: &str| json!({ "emoji": emoji, "idempotency_key": "thumb-1" });
    let first = service.post(&path, &react("👍")).await;
    assert_done(&first);
    let other = service.post(&path, &react("❤️")).await;
    other.assert_refused(422, "IDEMPOTENCY_KEY_REUSED");
    // By whichever of its ids the message is named.
    let (_, key) = own.rsplit_once('_').unwrap();
    let home = service.kill();
    let service = Service::start_in(home, |_| {}).await;
    service.reaches("51", "READY").await;
    for id in [&own, key, &own, key, &own] {
        let path = format!("/messages/{id}/reaction");
        let again = service.post(&path, &react("👍")).await;
        assert_eq!(again.json(), first.json());
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    assert_eq!(service.shown(&account, &own).await["changes"], 1);
    let id = first.json()["message_id"].as_str().unwrap().to_owned();
    let known = service.get(&format!("/messages/{id}")).await.json();
    assert_eq!(
        (
            &known["state"],
            &known["action"],
            &known["target"],
            &known["to"]
        ),
        (
            &json!("sent"),
            &json!("reaction"),
            &json!(own),
            &json!(FRIEND)
        )
    );
    // What was done to a message is none itself.
    let nested = service.react(&id, "👍").await;
    nested.assert_refused(404, "MESSAGE_NOT_FOUND");
    service.stop();
}

/// Does something to a message of a service that is killed before the page has the server's answer.
async fn is_settled_after_a_kill(adapter: &'static str, fault: Value, server_has_it: bool) {
    let start = async |home: Home| {
        let by_adapter = Service::start_in(home, served_by(adapter));
        by_adapter.await
    };
    let service = start(Home::new()).await;
    let account = service.link("51").await;
    let own = service.sent(FRIEND, "Hola").await;
    let (question, id) = service
        .hears_from(&account, json!({ "from": FRIEND, "body": "¿venís?" }))
        .await;
    let mut service = service;
    for (method, path, body) in [
        (
            Method::POST,
            format!("/messages/{own}/reaction"),
            json!({ "emoji": "👍" }),
        ),
        (
            Method::PATCH,
            format!("/messages/{own}"),
            json!({ "message": "Hola, Ana" }),
        ),
        (Method::POST, format!("/messages/{own}/revoke"), json!({})),
        (
            Method::POST,
            format!("/messages/{id}/revoke"),
            json!({ "cliente_id": 51, "for": "me" }),
        ),
    ] {
        service.faults(fault.clone()).await;
        let before = service.shown(&account, &own).await["changes"].as_u64();
        service.secrets().remember_request(&body);
        let request = service.request(method, &path).json(&body);
        let accepted = answer(request.header("Prefer", "respond-async")).await;
        assert_eq!(accepted.status, 202, "{path}: {}", accepted.text());
        let done = accepted.json()["message_id"].as_str().unwrap().to_owned();
        becomes(&service, &done, "handed").await;
        if server_has_it && !path.contains(&id) {
            service
                .phone_shows("that the server has it", |state| {
                    let sent = state["sent"].as_array().unwrap();
                    sent.iter().any(|sent| sent["changes"].as_u64() > before)
                })
                .await;
        }
        let home = service.kill();
        service = start(home).await;
        service.reaches("51", "READY").await;
        becomes(&service, &done, "sent").await;
    }
    let shown = service.shown(&account, &own).await;
    assert_eq!(
        (&shown["reaction"], &shown["edited"], &shown["deleted"]),
        (&json!("👍"), &json!("Hola, Ana"), &json!(true)),
        "{shown}"
    );
    assert_eq!(service.received(&question).await["deleted_for_me"], true);
    service.stop();
}

#[tokio::test]
async fn what_the_server_did_not_get_before_a_kill_is_done_afterwards_by_the_modules() {
    is_settled_after_a_kill("modules", json!({ "send": "lost" }), false).await;
}

#[tokio::test]
async fn what_the_server_did_not_get_before_a_kill_is_done_afterwards_by_wa_js() {
    is_settled_after_a_kill("wa-js", json!({ "send": "lost" }), false).await;
}

#[tokio::test]
async fn what_the_server_has_and_the_page_does_not_know_is_the_same_in_the_end_by_the_modules() {
    is_settled_after_a_kill("modules", json!({ "ack": "never" }), true).await;
}

#[tokio::test]
async fn what_the_server_has_and_the_page_does_not_know_is_the_same_in_the_end_by_wa_js() {
    is_settled_after_a_kill("wa-js", json!({ "ack": "never" }), true).await;
}

#[tokio::test]
async fn it_waits_on_disk_for_a_page_and_can_be_taken_back() {
    let (service, account) = Service::linked(&[]).await;
    let own = service.sent(FRIEND, "Hola").await;
    service.faults(json!({ "socket": "refuse" })).await;
    service.reaches("51", "AUTHENTICATED").await;
    let later = json!({ "emoji": "👍", "async": true });
    let path = format!("/messages/{own}/reaction");
    let first = service.post(&path, &later).await;
    let second = service
        .post(&path, &json!({ "emoji": "❤️", "async": true }))
        .await;
    assert_eq!((first.status, second.status), (202, 202));
    let id = |answer: &Answer| answer.json()["message_id"].as_str().unwrap().to_owned();
    let cancel = service.request(Method::DELETE, &format!("/messages/{}", id(&second)));
    assert_eq!(answer(cancel).await.status, 200);
    service.faults(json!({})).await;
    becomes(&service, &id(&first), "sent").await;
    let shown = service.shown(&account, &own).await;
    assert_eq!(
        (&shown["reaction"], &shown["changes"]),
        (&json!("👍"), &json!(1))
    );
    service.stop();
}

#[tokio::test]
async fn a_chat_is_read_and_shows_typing_when_it_is_asked_for_and_never_by_itself() {
    for adapter in ["modules", "wa-js"] {
        let service = Service::start(served_by(adapter)).await;
        let account = service.link("51").await;
        let (question, _) = service
            .hears_from(&account, json!({ "from": FRIEND, "body": "¿venís?" }))
            .await;
        assert_eq!(service.received(&question).await["seen"], Value::Null);
        let seen = json!({ "cliente_id": 51 });
        let answered = service.post(&format!("/chats/{FRIEND}/seen"), &seen).await;
        assert_eq!(answered.status, 200, "{}", answered.text());
        service
            .phone_shows("that it was read", |state| {
                state["received"][0]["seen"] == json!(true)
            })
            .await;
        for (state, shown) in [
            ("typing", "composing"),
            ("recording", "recording"),
            ("paused", "paused"),
        ] {
            let body = json!({ "cliente_id": 51, "state": state });
            let path = format!("/chats/{FRIEND}@c.us/typing");
            let answered = service.post(&path, &body).await;
            assert_eq!(answered.status, 200, "{}", answered.text());
            service
                .phone_shows(state, |phone| phone["chat_states"][0]["state"] == shown)
                .await;
        }
        let group = json!({ "name": "Familia", "participants": [FRIEND, OTHER] });
        let group = service.does(&account, "group", group).await;
        let in_group = json!({ "from": OTHER, "group": group, "body": "hola a todos" });
        let (in_group, _) = service.hears_from(&account, in_group).await;
        let path = format!("/chats/{group}@g.us");
        let answered = service.post(&format!("{path}/seen"), &seen).await;
        assert_eq!(answered.status, 200, "{}", answered.text());
        service
            .phone_shows("that the group was read", |state| {
                let received = state["received"].as_array().unwrap();
                let is_seen =
                    |message: &Value| message["id"] == in_group && message["seen"] == true;
                received.iter().any(is_seen)
            })
            .await;
        let typing = json!({ "cliente_id": 51, "state": "typing" });
        let answered = service.post(&format!("{path}/typing"), &typing).await;
        assert_eq!(answered.status, 200, "{}", answered.text());
        service
            .phone_shows("typing in the group", |state| {
                let states = state["chat_states"].as_array().unwrap();
                let is_typing =
                    |chat: &Value| chat["group"] == group && chat["state"] == "composing";
                states.iter().any(is_typing)
            })
            .await;
        let nowhere = service.post(&format!("/chats/{OTHER}/seen"), &seen).await;
        nowhere.assert_refused(404, "CHAT_NOT_FOUND");
        let nonsense = json!({ "cliente_id": 51, "state": "sleeping" });
        let path = format!("/chats/{FRIEND}/typing");
        let nonsense = service.post(&path, &nonsense).await;
        nonsense.assert_refused(400, "INVALID_CONTENT");
        let status = service.post("/chats/status@broadcast/seen", &seen).await;
        status.assert_refused(400, "INVALID_CHAT");
        service.stop();
    }
}
