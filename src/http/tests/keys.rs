//! Who is let in, to do what, with which sessions.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Method, Request, StatusCode},
    middleware::from_fn_with_state,
    routing::get,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Answer, Api, assert_refused};
use crate::{
    http::{
        access::{Access, TABLE},
        auth,
    },
    keys::{Key, KeyFile, KeyText, Scope},
    ledger::NewSend,
};

/// The API with keys of its file.
struct Keyed {
    api: Api,
    file: KeyFile,
}

impl Keyed {
    fn new(variables: &[(&str, &str)]) -> Self {
        let api = Api::new(variables);
        let file = KeyFile::new(api.data.path().join("keys.json"));
        Self { api, file }
    }

    /// Adds a key for these sessions, or for all.
    fn key(&self, name: &str, scope: Scope, ids: &[&str]) -> String {
        self.key_until(name, scope, ids, None)
    }

    fn key_until(&self, name: &str, scope: Scope, ids: &[&str], end: Option<Timestamp>) -> String {
        let text = KeyText::generate();
        let mut key = Key::new(name.parse().unwrap(), &text, scope, Timestamp::now());
        let ids: BTreeSet<_> = ids.iter().map(|id| id.parse().unwrap()).collect();
        key.cliente_ids = Some(ids).filter(|ids| !ids.is_empty());
        key.expires_at = end;
        self.file.add(key).unwrap();
        text.reveal().to_owned()
    }

    async fn call(&self, method: &str, path: &str, key: &str, body: &Value) -> Answer {
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

    async fn get(&self, path: &str, key: &str) -> Answer {
        self.call("GET", path, key, &json!({})).await
    }

    async fn status_from(&self, client: [u8; 4], key: &str) -> Answer {
        self.call_from(client, "GET", "/status", key, &json!({}))
            .await
    }
}

/// Whether the guard let a request through; what the handler said then is its own business.
fn was_let_in(answer: &Answer) -> bool {
    assert!(answer.status != StatusCode::NOT_FOUND || answer.json()["code"] != "NOT_FOUND");
    assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    answer.status != StatusCode::UNAUTHORIZED && answer.status != StatusCode::FORBIDDEN
}

#[tokio::test]
async fn every_route_of_the_table_is_there_and_asks_for_what_its_row_says() {
    let keyed = Keyed::new(&[]);
    let keys = [Scope::Read, Scope::Send, Scope::Admin]
        .map(|scope| (scope, keyed.key(scope.as_str(), scope, &[])));
    for (method, path, access) in TABLE {
        let path = &path.replace("{id}", "51");
        let without = keyed.call(method, path, "", &json!({})).await;
        let Access::Key(needed) = access else {
            assert!(was_let_in(&without), "{method} {path}");
            continue;
        };
        assert_refused(&without, 401, "UNAUTHORIZED");
        assert_eq!(without.headers["www-authenticate"], "Bearer");
        let wrong = keyed.call(method, path, "smk_wrong", &json!({})).await;
        assert_refused(&wrong, 401, "UNAUTHORIZED");
        for (scope, key) in &keys {
            let answer = keyed.call(method, path, key, &json!({})).await;
            if scope.includes(needed) {
                assert!(was_let_in(&answer), "{method} {path} with {scope}");
            } else {
                assert_refused(&answer, 403, "FORBIDDEN");
                let message = answer.json()["message"].to_string();
                assert!(message.contains(needed.as_str()), "{message}");
            }
        }
    }
}

#[tokio::test]
async fn a_route_without_a_row_is_refused_to_everybody() {
    let state = Api::new(&[]).state;
    let router = Router::new()
        .route("/new", get(async || "here"))
        .route_layer(from_fn_with_state(state.clone(), auth::guard))
        .with_state(state);
    for method in [Method::GET, Method::HEAD] {
        let request = Request::builder().method(method).uri("/new");
        let request = request.body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
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
            key: format!("3EB0{id}"),
            session: id.to_owned(),
            cliente_id: id.to_owned(),
            account: None,
            to: "5491158254201".to_owned(),
            body: "x".to_owned(),
            is_durable: true,
            idempotency: None,
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
            let message = format!("/messages/3EB0{id}");
            let found = keyed.get(&message, key).await;
            let is_own = own.contains(&id);
            assert_eq!(found.status == StatusCode::OK, is_own, "{}", found.text());
            if !is_own {
                assert_refused(&found, 404, "MESSAGE_NOT_FOUND");
                let cancelled = keyed.call("DELETE", &message, key, &json!({})).await;
                assert_refused(&cancelled, 404, "MESSAGE_NOT_FOUND");
            }
        }
    }
    let cancelled = keyed
        .call("DELETE", "/messages/3EB051", &shop, &json!({}))
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
    let send = json!({"cliente_id": 51, "to": "5491158254201", "message": "x"});
    let sent = keyed.call("POST", "/send", &label, &send).await;
    assert_refused(&sent, 403, "FORBIDDEN");
    let sent = keyed.call("POST", "/send", &account, &send).await;
    assert_refused(&sent, 503, "SESSION_NOT_READY");
}

#[tokio::test]
async fn a_key_works_from_when_it_is_added_until_it_is_revoked_or_expires() {
    let keyed = Keyed::new(&[]);
    assert_eq!(keyed.get("/status", "").await.status, StatusCode::OK);
    let soon = Timestamp::now().checked_add(Duration::from_secs(3600));
    let lasting = keyed.key_until("lasting", Scope::Read, &[], soon.ok());
    let expired = keyed.key_until("expired", Scope::Read, &[], Some(Timestamp::UNIX_EPOCH));
    assert_refused(&keyed.get("/status", "").await, 401, "UNAUTHORIZED");
    assert_eq!(keyed.get("/status", &lasting).await.status, StatusCode::OK);
    let refused = keyed.get("/status", &expired).await;
    assert_refused(&refused, 401, "UNAUTHORIZED");
    assert!(refused.text().contains("expired"), "{}", refused.text());
    assert_eq!(refused.headers["www-authenticate"], "Bearer");
    for name in ["lasting", "expired"] {
        keyed.file.revoke(&name.parse().unwrap()).unwrap();
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

#[tokio::test(start_paused = true)]
async fn guessing_is_slowed_where_it_comes_from() {
    let keyed = Keyed::new(&[("API_KEY", "s3cret")]);
    let shop = keyed.key("shop", Scope::Read, &[]);
    let (attacker, other) = ([192, 0, 2, 66], [192, 0, 2, 1]);
    let mut guesses = 0;
    let slowed = loop {
        let guess = keyed
            .status_from(attacker, &format!("guess{guesses}"))
            .await;
        if guess.status != StatusCode::UNAUTHORIZED {
            break guess;
        }
        guesses += 1;
        assert!(guesses < 100, "nobody slows them");
    };
    assert!(
        guesses >= 10,
        "a person mistypes more often than {guesses} times"
    );
    assert_refused(&slowed, 429, "TOO_MANY_ATTEMPTS");
    let seconds: u64 = slowed.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    // The right one is not told from a wrong one, or guessing would go on.
    assert_refused(
        &keyed.status_from(attacker, "s3cret").await,
        429,
        "TOO_MANY_ATTEMPTS",
    );
    // One that cannot be guessed is taken all the same, and who gives none gives no wrong one.
    assert_eq!(
        keyed.status_from(attacker, &shop).await.status,
        StatusCode::OK
    );
    assert_refused(&keyed.status_from(attacker, "").await, 401, "UNAUTHORIZED");
    assert_eq!(
        keyed.status_from(other, "s3cret").await.status,
        StatusCode::OK
    );
    tokio::time::advance(Duration::from_secs(seconds)).await;
    assert_eq!(
        keyed.status_from(attacker, "s3cret").await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn asking_without_a_key_is_no_guess() {
    let keyed = Keyed::new(&[("API_KEY", "s3cret")]);
    for _ in 0..100 {
        assert_refused(&keyed.get("/status", "").await, 401, "UNAUTHORIZED");
    }
    assert_eq!(keyed.get("/status", "s3cret").await.status, StatusCode::OK);
}

#[tokio::test]
async fn behind_a_proxy_each_caller_counts_for_itself() {
    let keyed = Keyed::new(&[("API_KEY", "s3cret"), ("TRUSTED_PROXIES", "1")]);
    let from = async |client: &str, key: &str| {
        let request = Request::get("/status")
            .extension(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 4000))))
            .header("X-Forwarded-For", format!("198.51.100.250, {client}"))
            .header("X-Api-Key", key);
        keyed
            .api
            .call(request.body(Body::empty()).unwrap())
            .await
            .status
    };
    for _ in 0..100 {
        from("203.0.113.66", "guess").await;
    }
    assert_eq!(
        from("203.0.113.66", "s3cret").await,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(from("203.0.113.1", "s3cret").await, StatusCode::OK);
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
