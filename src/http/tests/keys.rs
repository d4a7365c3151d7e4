//! Who is let in, with which sessions.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Method, Request, StatusCode},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, Api, assert_refused};
use crate::{
    keys::{Key, KeyFile, KeyText, Scope},
    ledger::NewSend,
};

/// The API with keys of its file.
pub(super) struct Keyed {
    pub(super) api: Api,
    file: KeyFile,
}

impl Keyed {
    pub(super) fn new(variables: &[(&str, &str)]) -> Self {
        let api = Api::new(variables);
        let file = KeyFile::new(api.data.path().join("keys.json"));
        Self { api, file }
    }

    /// Adds a key for these sessions, or for all.
    pub(super) fn key(&self, name: &str, scope: Scope, ids: &[&str]) -> String {
        self.key_until(name, scope, ids, None)
    }

    fn key_until(&self, name: &str, scope: Scope, ids: &[&str], end: Option<Timestamp>) -> String {
        let text = KeyText::generate();
        let mut key = Key::new(name.parse().unwrap(), &text, scope, Timestamp::now());
        let ids: BTreeSet<_> = ids.iter().map(|id| id.parse().unwrap()).collect();
        key.cliente_ids = Some(ids).filter(|ids| !ids.is_empty());
        key.expires_at = end;
        self.file.add(key).unwrap();
        self.api.state.keys().look();
        text.reveal().to_owned()
    }

    /// A key that has had its time.
    pub(super) fn expired(&self, name: &str) -> String {
        self.key_until(name, Scope::Read, &[], Some(Timestamp::UNIX_EPOCH))
    }

    pub(super) fn revoke(&self, name: &str) {
        self.file.revoke(&name.parse().unwrap()).unwrap();
        self.api.state.keys().look();
    }

    pub(super) async fn call(&self, method: &str, path: &str, key: &str, body: &Value) -> Answer {
        self.call_from([192, 0, 2, 1], method, path, key, body)
            .await
    }

    async fn call_from(
        &self,
        client: [u8; 4],
        method: &str,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .extension(ConnectInfo(SocketAddr::from((client, 4000))));
        let request = match key {
            "" => request,
            key => request.header("X-Api-Key", key),
        };
        let request = request.body(body.to_string().into()).unwrap();
        self.api.call(request).await
    }

    pub(super) async fn get(&self, path: &str, key: &str) -> Answer {
        self.call("GET", path, key, &json!({})).await
    }

    pub(super) async fn status_from(&self, client: [u8; 4], key: &str) -> Answer {
        self.call_from(client, "GET", "/status", key, &json!({}))
            .await
    }
}

#[tokio::test]
async fn a_key_for_some_sessions_reaches_no_other_by_whatever_name() {
    let keyed = Keyed::new(&[]);
    let key = keyed.key("shop", Scope::Admin, &["51", "52"]);
    for id in ["51", "52"] {
        for path in ["/status", "/qr"] {
            let path = format!("{path}?cliente_id={id}");
            assert_eq!(keyed.get(&path, &key).await.status, StatusCode::OK);
        }
    }
    let in_path = "/sessions/53/evidence";
    for path in [
        "/status",
        "/status?cliente_id=53",
        "/qr",
        "/qr-code?cliente_id=admin",
        in_path,
    ] {
        assert_refused(&keyed.get(path, &key).await, 403, "FORBIDDEN");
    }
    let to = json!("5491158254201");
    for (method, path, body) in [
        ("POST", "/connect", json!({})),
        ("POST", "/connect", json!({"cliente_id": 53})),
        (
            "POST",
            "/disconnect",
            json!({"cliente_id": "53", "logout": true}),
        ),
        (
            "POST",
            "/send",
            json!({"cliente_id": 53, "to": to, "message": "x"}),
        ),
        (
            "POST",
            "/send?dry_run=true",
            json!({"cliente_id": 53, "to": to, "message": "x"}),
        ),
        ("POST", in_path, json!({})),
        ("GET", "/messages?cliente_id=53", json!({})),
        ("GET", "/messages?cliente_id=51&cliente_id=53", json!({})),
    ] {
        let refused = keyed.call(method, path, &key, &body).await;
        assert_refused(&refused, 403, "FORBIDDEN");
    }
    let own = json!({"cliente_id": 51, "to": to, "message": "x"});
    let sent = keyed.call("POST", "/send", &key, &own).await;
    assert_refused(&sent, 503, "SESSION_NOT_READY");
    // The header names a session as well.
    for (id, status) in [("51", StatusCode::OK), ("53", StatusCode::FORBIDDEN)] {
        let request = Request::get("/status").header("X-Cliente-Id", id);
        let request = request.header("X-Api-Key", &key).body(Body::empty());
        assert_eq!(
            keyed.api.call(request.unwrap()).await.status,
            status,
            "{id}"
        );
    }
    assert_eq!(keyed.api.folders(), 0);
}

#[tokio::test]
async fn lists_show_a_key_its_own_sessions_alone() {
    let keyed = Keyed::new(&[("API_KEY", "s3cret")]);
    let (shop, desk) = (
        keyed.key("shop", Scope::Send, &["51", "52"]),
        keyed.key("desk", Scope::Send, &["53"]),
    );
    for id in ["51", "53"] {
        let connect = json!({"cliente_id": id, "wait": "ready"});
        // There is no Chrome: it fails, and is known from then on.
        keyed.call("POST", "/connect", "s3cret", &connect).await;
        let send = NewSend {
            key: format!("3EB0AAAA{id}"),
            session: id.to_owned(),
            cliente_id: id.to_owned(),
            account: None,
            to: "5491158254201".into(),
            body: "x".into(),
            extras: Arc::default(),
            is_durable: true,
            idempotency: None,
            accept_by: tokio::time::Instant::now() + Duration::from_secs(60),
        };
        keyed.api.registry.ledger().accept(send).await.unwrap();
    }
    for (key, own) in [
        (&shop, &["51"][..]),
        (&desk, &["53"]),
        (&"s3cret".to_owned(), &["51", "53"]),
    ] {
        let ids = |list: &Value| -> Vec<String> {
            let entries = list.as_array().unwrap().iter();
            entries
                .map(|entry| entry["session"].as_str().unwrap().to_owned())
                .collect()
        };
        let sessions = keyed.get("/sessions", key).await.json();
        assert_eq!(ids(&sessions["details"]), own, "{sessions}");
        let messages = keyed.get("/messages", key).await.json();
        assert_eq!(ids(&messages["messages"]), own, "{messages}");
        for id in ["51", "53"] {
            let message = format!("/messages/3EB0AAAA{id}");
            let found = keyed.get(&message, key).await;
            let is_own = own.contains(&id);
            assert_eq!(found.status == StatusCode::OK, is_own, "{}", found.text());
            if !is_own {
                assert_refused(&found, 404, "MESSAGE_NOT_FOUND");
                let cancelled = keyed.call("DELETE", &message, key, &json!({})).await;
                assert_refused(&cancelled, 404, "MESSAGE_NOT_FOUND");
                // The answer is that for an unknown message, so a key does not learn which other sessions there are.
                for id in [id, "99"] {
                    let reaction = format!("/messages/3EB0AAAA{id}/reaction");
                    let body = json!({"emoji": "👍"});
                    let refused = keyed.call("POST", &reaction, key, &body).await;
                    assert_refused(&refused, 400, "INVALID_CLIENTE_ID");
                }
            }
        }
    }
    let cancelled = keyed
        .call("DELETE", "/messages/3EB0AAAA51", &shop, &json!({}))
        .await;
    assert_eq!(cancelled.status, StatusCode::OK, "{}", cancelled.text());
}

/// The limit protects accounts. Where one account serves every name, only a key for that account gets in, and a name that
/// a caller gives itself changes nothing.
#[tokio::test]
async fn in_single_mode_a_limited_key_is_for_the_session_that_serves_and_not_for_a_name() {
    let keyed = Keyed::new(&[("SESSION_MODE", "single"), ("DEFAULT_CLIENTE_ID", "shop")]);
    let (label, account) = (
        keyed.key("label", Scope::Send, &["51"]),
        keyed.key("account", Scope::Send, &["shop"]),
    );
    for path in [
        "/status",
        "/status?cliente_id=51",
        "/messages?cliente_id=51",
    ] {
        assert_refused(&keyed.get(path, &label).await, 403, "FORBIDDEN");
        assert_eq!(keyed.get(path, &account).await.status, StatusCode::OK);
    }
    let message = json!({"cliente_id": 51, "to": "5491158254201", "message": "x"});
    let sent = keyed.call("POST", "/send", &label, &message).await;
    assert_refused(&sent, 403, "FORBIDDEN");
    let sent = keyed.call("POST", "/send", &account, &message).await;
    assert_refused(&sent, 503, "SESSION_NOT_READY");
}

#[tokio::test]
async fn a_key_works_from_when_it_is_added_until_it_is_revoked_or_expires() {
    let keyed = Keyed::new(&[]);
    assert_eq!(keyed.get("/status", "").await.status, StatusCode::OK);
    let soon = Timestamp::now().checked_add(Duration::from_secs(3600));
    let lasting = keyed.key_until("lasting", Scope::Read, &[], soon.ok());
    let expired = keyed.expired("expired");
    for (key, said) in [("", "is missing"), ("unknown", "is wrong")] {
        let refused = keyed.get("/status", key).await;
        assert_refused(&refused, 401, "UNAUTHORIZED");
        assert!(refused.text().contains(said), "{}", refused.text());
    }
    assert_eq!(keyed.get("/status", &lasting).await.status, StatusCode::OK);
    let refused = keyed.get("/status", &expired).await;
    assert_refused(&refused, 401, "UNAUTHORIZED");
    assert!(refused.text().contains("expired"), "{}", refused.text());
    assert_eq!(refused.headers["www-authenticate"], "Bearer");
    for name in ["lasting", "expired"] {
        keyed.revoke(name);
    }
    // With no key left nobody is let in; that is not the same as none being asked for.
    for key in [&lasting, &expired, ""] {
        assert_refused(&keyed.get("/status", key).await, 401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn health_is_open_and_names_no_session() {
    let keyed = Keyed::new(&[("API_KEY", "s3cret")]);
    let connect = json!({"cliente_id": "zebra", "wait": "ready"});
    keyed.call("POST", "/connect", "s3cret", &connect).await;
    let sessions = keyed.get("/sessions", "s3cret").await;
    assert!(sessions.text().contains("zebra"), "{}", sessions.text());
    let health = keyed.get("/health", "").await;
    assert_eq!(health.status, StatusCode::OK);
    assert_eq!(health.json()["sessions"]["ERROR"], 1);
    assert!(!health.text().contains("zebra"), "{}", health.text());
}

#[tokio::test]
async fn a_page_of_another_origin_may_send_a_key() {
    let api = Api::new(&[
        ("API_KEY", "s3cret"),
        ("CORS_ORIGINS", "https://app.example"),
    ]);
    let preflight = Request::builder()
        .method(Method::OPTIONS)
        .uri("/send")
        .header("Origin", "https://app.example")
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization,x-api-key");
    let answer = api.call(preflight.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let allowed = &answer.headers["access-control-allow-headers"];
    assert_eq!(allowed, "authorization,x-api-key");
    let request = Request::get("/status").header("Origin", "https://app.example");
    let refused = api.call(request.body(Body::empty()).unwrap()).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    // So that the page can read why.
    assert_eq!(
        refused.headers["access-control-allow-origin"],
        "https://app.example"
    );
}
