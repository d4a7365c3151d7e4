//! WAHA's routes: what is refused and how, and the settings of a session. What sessions that run answer to a client of WAHA's is in
//! `tests/it/waha.rs`.

use axum::{
    body::Body,
    http::{Method, Request},
};
use serde_json::{Value, json};

use super::{Answer, Api, assert_refused, keys::Keyed};
use crate::{http::routes, keys::Scope};

const CHAT: &str = "5491158254201@c.us";
const HOOK: &str = "https://example.com/hook?token=s3cret";

/// Whether this is the path of a route of WAHA's.
pub(super) fn is_its(path: &str) -> bool {
    path == "/ping" || path.starts_with("/api/")
}

impl Api {
    async fn ask(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::from(body.to_string())).unwrap();
        self.call(request).await
    }
}

#[test]
fn every_route_of_waha_stands_in_its_document() {
    let document = include_str!("../../../docs/waha.md");
    for row in routes::all().table.0 {
        if is_its(&row.path) {
            let path = row.path.replace("{id}", "{session}");
            let line = format!("| `{} {path}` |", row.method);
            assert!(document.contains(&line), "docs/waha.md lacks {line}");
        }
    }
}

#[tokio::test]
async fn a_session_has_to_be_named_where_there_are_several() {
    let text = json!({"chatId": CHAT, "text": "hola"});
    let several = Api::new(&[]);
    for body in [
        &text,
        &json!({"chatId": CHAT, "text": "hola", "session": null}),
    ] {
        let answer = several.ask(Method::POST, "/api/sendText", body).await;
        assert_refused(&answer, 400, "INVALID_CLIENTE_ID");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("session is required"), "{message}");
    }
    let path = "/api/contacts/check-exists?phone=5491158254201";
    assert_refused(&several.get(path).await, 400, "INVALID_CLIENTE_ID");
    let one = Api::new(&[("SESSION_MODE", "single")]);
    let answer = one.ask(Method::POST, "/api/sendText", &text).await;
    assert_refused(&answer, 503, "SESSION_NOT_READY");
    assert_refused(&one.get(path).await, 503, "SESSION_NOT_READY");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table: one entry for each fault")]
async fn what_is_wrong_in_a_request_is_said_by_the_name_that_it_has_there() {
    let api = Api::new(&[]);
    let text = |field: &str, value: Value| {
        let mut body = json!({"session": "51", "chatId": CHAT, "text": "hola"});
        body[field] = value;
        body
    };
    for (path, body, code, begin) in [
        (
            "sendText",
            text("chatId", json!("status@broadcast")),
            "INVALID_TO",
            "chatId is neither",
        ),
        (
            "sendText",
            text("chatId", Value::Null),
            "INVALID_TO",
            "chatId must",
        ),
        (
            "sendText",
            text("text", json!(" ")),
            "INVALID_MESSAGE",
            "text must",
        ),
        (
            "sendText",
            text("mentions", json!(["all"])),
            "INVALID_CONTENT",
            "mentions",
        ),
        (
            "sendText",
            text("id", json!("3EB0")),
            "INVALID_CONTENT",
            "id: ",
        ),
        (
            "sendText",
            text("session", json!("../x")),
            "INVALID_CLIENTE_ID",
            "session must",
        ),
        (
            "sendText",
            text("session", json!({})),
            "INVALID_CLIENTE_ID",
            "session must",
        ),
        (
            "sendLocation",
            text("latitude", json!("x")),
            "INVALID_CONTENT",
            "location: latitude must be a number",
        ),
        (
            "sendPoll",
            text("poll", json!({"name": "?"})),
            "INVALID_CONTENT",
            "poll: ",
        ),
        (
            "sendPoll",
            text("text", Value::Null),
            "INVALID_CONTENT",
            "poll: is missing",
        ),
        (
            "sendContactVcard",
            text("contacts", json!([{"vcard": "BEGIN:VCARD"}])),
            "INVALID_CONTENT",
            "contacts: a ready vcard",
        ),
        (
            "sendContactVcard",
            text("contacts", json!([{"fullName": "Ana"}])),
            "INVALID_CONTENT",
            "contacts: each needs",
        ),
        (
            "sendImage",
            text("text", Value::Null),
            "INVALID_CONTENT",
            "file: is missing",
        ),
        (
            "sendImage",
            text("file", json!("x.png")),
            "INVALID_CONTENT",
            "file: it must be an object that has url or data",
        ),
        (
            "sendFile",
            text("file", json!({"mimetype": "image/png"})),
            "INVALID_CONTENT",
            "file: give one of url, data and id",
        ),
        (
            "sendVoice",
            json!({"session": "51", "chatId": CHAT, "file": {"url": HOOK}, "caption": "hola"}),
            "INVALID_CONTENT",
            "file: caption",
        ),
        (
            "sendVideo",
            json!({"session": "51", "chatId": CHAT, "file": {"url": HOOK}, "asNote": true}),
            "INVALID_CONTENT",
            "asNote: ",
        ),
        (
            "sendSeen",
            json!({"session": "51"}),
            "INVALID_TO",
            "chatId must",
        ),
        (
            "startTyping",
            json!({"chatId": CHAT}),
            "INVALID_CLIENTE_ID",
            "session is required",
        ),
        (
            "51/auth/request-code",
            json!({}),
            "INVALID_PHONE",
            "phoneNumber must",
        ),
        (
            "51/auth/request-code",
            json!({"phoneNumber": "x"}),
            "INVALID_PHONE",
            "phoneNumber is not",
        ),
        (
            "sessions",
            json!({"name": "51", "config": {"proxy": {"server": "x:1"}}}),
            "INVALID_CONFIG",
            "config.proxy: ",
        ),
        (
            "sessions",
            json!({"name": "51", "config": {"metadata": {"a": "b"}}}),
            "INVALID_CONFIG",
            "config.metadata: ",
        ),
        (
            "sessions",
            json!({"name": "51", "config": {"ignore": {"groups": true}}}),
            "INVALID_CONFIG",
            "config.ignore.groups: ",
        ),
        (
            "sessions",
            json!({"name": "51", "apps": [{}]}),
            "INVALID_CONFIG",
            "apps: ",
        ),
        (
            "sessions",
            json!({"name": "a b"}),
            "INVALID_CLIENTE_ID",
            "name must",
        ),
        (
            "sessions",
            json!({"name": "51", "start": "yes"}),
            "INVALID_CONFIG",
            "start: ",
        ),
        (
            "sessions",
            json!({"name": "51", "config": {"webhooks": [{"url": HOOK, "events": ["presence.update"]}]}}),
            "INVALID_WEBHOOK",
            "config.webhooks[0].events has \"presence.update\"",
        ),
        (
            "sessions",
            json!({"name": "51", "config": {"webhooks": [{"url": HOOK}]}}),
            "INVALID_WEBHOOK",
            "config.webhooks[0].events is missing",
        ),
        (
            "sessions",
            json!({"name": "51", "config": {"webhooks": [{"url": "x", "events": ["*"]}]}}),
            "INVALID_WEBHOOK",
            "config.webhooks[0].url ",
        ),
    ] {
        let answer = api.ask(Method::POST, &format!("/api/{path}"), &body).await;
        assert_refused(&answer, 400, code);
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(begin), "{begin}: {message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
    for (body, begin) in [
        (json!({"session": "51", "reaction": "👍"}), "messageId: "),
        (
            json!({"session": "51", "messageId": "true_x_3EB0AB", "reaction": "ok"}),
            "reaction: give one emoji",
        ),
        (
            json!({"session": "51", "messageId": "true_x_3EB0AB"}),
            "reaction: give one emoji",
        ),
    ] {
        let answer = api.ask(Method::PUT, "/api/reaction", &body).await;
        assert_refused(&answer, 400, "INVALID_CONTENT");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(begin), "{begin}: {message}");
    }
    // Nothing of all this has made a session, or a webhook.
    assert_eq!(api.get("/api/sessions?all=true").await.json(), json!([]));
    assert_eq!(api.get("/webhooks").await.json()["count"], 0);
    for (path, code, status) in [
        ("/api/51/auth/qr?format=svg", "INVALID_FORMAT", 400),
        ("/api/51/auth/qr", "NO_QR", 404),
        ("/api/51/chats?limit=0", "INVALID_CONTENT", 400),
        ("/api/51/chats?offset=-1", "INVALID_CONTENT", 400),
        ("/api/51/chats?sortBy=name", "INVALID_CONTENT", 400),
        ("/api/51/chats?sortOrder=asc", "INVALID_CONTENT", 400),
        ("/api/51/chats/overview?ids=x", "INVALID_CONTENT", 400),
        (
            "/api/51/chats/5491158254201@c.us/messages?filter.fromMe=true",
            "INVALID_CONTENT",
            400,
        ),
        ("/api/51/chats/all/messages", "INVALID_TO", 400),
        (
            "/api/51/chats?limit=5&offset=5&sortBy=conversationTimestamp&sortOrder=desc&merge=true",
            "SESSION_NOT_READY",
            503,
        ),
        (
            "/api/51/chats/5491158254201@c.us/messages?downloadMedia=false",
            "SESSION_NOT_READY",
            503,
        ),
        ("/api/sessions/51", "SESSION_NOT_FOUND", 404),
        ("/api/sessions/51/me", "SESSION_NOT_FOUND", 404),
    ] {
        assert_refused(&api.get(path).await, status, code);
    }
    for action in ["start", "stop", "restart", "logout"] {
        let path = format!("/api/sessions/51/{action}");
        let answer = api.ask(Method::POST, &path, &json!({})).await;
        assert_refused(&answer, 404, "SESSION_NOT_FOUND");
    }
}

/// A client that is made from WAHA's document writes each field, and null where it has nothing to say.
#[tokio::test]
async fn null_is_as_good_as_nothing() {
    let api = Api::new(&[]);
    let body = json!({
        "session": "51", "chatId": CHAT, "text": "hola", "id": null, "mentions": null, "reply_to": null,
        "linkPreview": true, "linkPreviewHighQuality": false,
    });
    let answer = api.ask(Method::POST, "/api/sendText", &body).await;
    assert_refused(&answer, 503, "SESSION_NOT_READY");
    let body = json!({
        "session": "51", "chatId": CHAT, "file": {"mimetype": "image/png", "filename": null, "data": "aGk="},
        "caption": "", "mentions": null, "reply_to": null, "asNote": null, "convert": true,
    });
    let answer = api.ask(Method::POST, "/api/sendVideo", &body).await;
    assert_refused(&answer, 503, "SESSION_NOT_READY");
    let body = json!({
        "name": "51", "apps": null, "start": false,
        "config": {"webhooks": null, "proxy": null, "metadata": null, "ignore": null, "noweb": {}, "debug": false},
    });
    let made = api.ask(Method::POST, "/api/sessions", &body).await;
    assert_eq!(made.status.as_u16(), 201, "{}", made.text());
    let made = made.json();
    assert_eq!(
        (&made["name"], &made["status"]),
        (&json!("51"), &json!("STOPPED"))
    );
    assert_eq!(made["config"]["webhooks"], json!([]));
    assert_eq!(made["me"], Value::Null);
    // It is stopped, so it is listed among all only.
    assert_eq!(api.get("/api/sessions").await.json(), json!([]));
    assert_eq!(
        api.get("/api/sessions?all=true").await.json(),
        json!([made])
    );
}

#[tokio::test]
async fn the_webhooks_of_a_session_are_what_its_settings_say() {
    let api = Api::new(&[]);
    let settings =
        |webhooks: Value| json!({"name": "51", "start": false, "config": {"webhooks": webhooks}});
    let other = "https://example.com/other";
    let two = settings(json!([
        {"url": HOOK, "events": ["message", "message.ack", "group.v2.join"], "hmac": {"key": "s3cret"}, "customHeaders": [{"name": "X-A", "value": "1"}]},
        {"url": other, "events": ["*"], "retries": {"attempts": 3}},
    ]));
    let made = api.ask(Method::POST, "/api/sessions", &two).await;
    assert_eq!(made.status.as_u16(), 201, "{}", made.text());
    let shown = &made.json()["config"]["webhooks"];
    assert_eq!(
        shown[0]["events"],
        json!(["message", "message.ack", "group.v2.join"])
    );
    assert_eq!(
        (&shown[1]["url"], &shown[1]["events"]),
        (&json!(other), &json!(["*"]))
    );
    assert!(!made.text().contains("\"s3cret\""), "{}", made.text());
    // They are webhooks like others.
    let one_for_all = json!({"url": other, "compat": "waha", "secret": "x"});
    api.ask(Method::POST, "/webhooks", &one_for_all).await;
    let all = api.get("/webhooks").await.json();
    assert_eq!(all["count"], 3);
    let first = &all["webhooks"][0];
    assert_eq!(first["cliente_ids"], json!([51]));
    assert_eq!(
        first["types"],
        json!(["message", "message.ack", "group.joined"])
    );
    assert_eq!(
        (&first["compat"], &first["headers"]),
        (&json!("waha"), &json!(["x-a"]))
    );

    // The first one stays, with what was still to be given to it; the other one goes.
    let change = settings(
        json!([{"url": HOOK, "events": ["session.status"], "customHeaders": [{"name": "X-B", "value": "2"}]}]),
    );
    let changed = api.ask(Method::PUT, "/api/sessions/51", &change).await;
    let shown = &changed.json()["config"]["webhooks"];
    assert_eq!(shown.as_array().unwrap().len(), 1, "{}", changed.text());
    assert_eq!(shown[0]["events"], json!(["session.status"]));
    let all = api.get("/webhooks").await.json();
    assert_eq!(all["count"], 2);
    assert_eq!(all["webhooks"][0]["id"], first["id"]);
    assert_eq!(all["webhooks"][0]["headers"], json!(["x-b"]));

    let deleted = api
        .ask(Method::DELETE, "/api/sessions/51", &json!({}))
        .await;
    assert_eq!(deleted.status.as_u16(), 200, "{}", deleted.text());
    assert_eq!(api.get("/api/sessions?all=true").await.json(), json!([]));
    assert_eq!(api.get("/webhooks").await.json()["count"], 1);
}

#[tokio::test]
async fn a_session_without_a_name_gets_one_and_a_limited_key_makes_only_its_own() {
    let keyed = Keyed::new(&[]);
    let admin = keyed.key("all", Scope::Admin, &[]);
    let limited = keyed.key("some", Scope::Admin, &["51"]);
    let nameless = json!({"start": false});
    let made = keyed.call("POST", "/api/sessions", &admin, &nameless).await;
    let made = made.json();
    assert!(
        made["name"].as_str().unwrap().starts_with("session_"),
        "{made}"
    );
    let answer = keyed
        .call("POST", "/api/sessions", &limited, &nameless)
        .await;
    assert_refused(&answer, 403, "FORBIDDEN");
    let other = json!({"name": "52", "start": false});
    let answer = keyed.call("POST", "/api/sessions", &limited, &other).await;
    assert_refused(&answer, 403, "FORBIDDEN");
    let listed = keyed
        .call("GET", "/api/sessions?all=true", &limited, &json!({}))
        .await;
    assert_eq!(listed.json(), json!([]));
    let own = json!({"name": "51", "start": false});
    let answer = keyed.call("POST", "/api/sessions", &limited, &own).await;
    assert_eq!(answer.status.as_u16(), 201, "{}", answer.text());
}
