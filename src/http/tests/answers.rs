//! What an answer looks like: headers, keys, health, codes and failures.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode},
    routing::get,
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Api, assert_refused};
use crate::http::routes;

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let api = Api::new(&[]);
    for path in ["/health", "/status", "/qr", "/sessions"] {
        let answer = api
            .call(Request::head(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (StatusCode::OK, 0),
            "{path}"
        );
        assert_eq!(
            answer.headers["content-type"],
            "application/json; charset=utf-8"
        );
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_as_it_always_was_and_needs_no_key() {
    let api = Api::new(&[("API_KEY", "s3cret")]);
    let preflight = Request::builder()
        .method(Method::OPTIONS)
        .uri("/send")
        .header("Origin", "http://x.example")
        .header("Access-Control-Request-Method", "POST")
        .header(
            "Access-Control-Request-Headers",
            "content-type,x-cliente-id",
        );
    let answer = api.call(preflight.body(Body::empty()).unwrap()).await;
    assert_eq!(
        (answer.status, answer.body.len()),
        (StatusCode::NO_CONTENT, 0)
    );
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert_eq!(
        answer.headers["access-control-allow-methods"],
        "GET,HEAD,PUT,PATCH,POST,DELETE"
    );
    assert_eq!(
        answer.headers["access-control-allow-headers"],
        "content-type,x-cliente-id"
    );
}

#[tokio::test]
async fn a_listed_origin_is_named_back_and_another_gets_no_header() {
    let api = Api::new(&[("CORS_ORIGINS", "https://app.example")]);
    let from = async |origin: &str| {
        let request = Request::get("/health")
            .header("Origin", origin)
            .body(Body::empty())
            .unwrap();
        api.call(request).await.headers
    };
    assert_eq!(
        from("https://app.example").await["access-control-allow-origin"],
        "https://app.example"
    );
    let listed = from("https://app.example").await;
    let exposed = listed["access-control-expose-headers"].to_str().unwrap();
    let exposed: Vec<&str> = exposed.split(',').collect();
    for name in [
        "Retry-After",
        "Idempotent-Replayed",
        "Allow",
        "WWW-Authenticate",
    ] {
        assert!(exposed.contains(&name), "{name}");
    }
    let other = from("https://other.example").await;
    assert_eq!(other.get("access-control-allow-origin"), None);
    assert_eq!(other.get("access-control-expose-headers"), None);
    assert_eq!(other["vary"], "Origin");
}

#[tokio::test]
async fn no_browser_guesses_what_kind_of_file_an_answer_is() {
    let api = Api::new(&[("PUBLIC_URL", "http://x")]);
    let keyed = Api::new(&[("API_KEY", "s3cret")]);
    let table = routes::all().table;
    let of_table = table.0.iter().map(|row| (row.method.as_str(), &*row.path));
    let others = [
        ("GET", "/nothing"),
        ("PUT", "/send"),
        ("OPTIONS", "/send"),
        ("HEAD", "/status"),
        ("GET", "/qr.html/"),
        ("GET", "/qr?format=svg"),
        ("GET", "/status?cliente_id="),
    ];
    for (method, path) in of_table.chain(others) {
        let path = path.replace("{id}", "51").replace("{file}", "icon.svg");
        for (api, origin) in [
            (&api, "http://localhost"),
            (&api, "https://evil.example"),
            (&keyed, "https://evil.example"),
        ] {
            let request = Request::builder().method(method).uri(&path);
            let request = request.header("Origin", origin).body(Body::empty());
            let answer = api.call(request.unwrap()).await;
            let said = answer.headers.get_all("x-content-type-options").iter();
            let said: Vec<_> = said.collect();
            assert_eq!(said, ["nosniff"], "{method} {path} for {origin}");
        }
    }
}

#[tokio::test]
async fn a_key_is_asked_for_everywhere_but_at_health() {
    let api = Api::new(&[("API_KEY", "s3cret")]);
    assert_eq!(api.get("/health").await.status, StatusCode::OK);
    for path in ["/status", "/sessions", "/qr", "/qr-code"] {
        assert_refused(&api.get(path).await, 401, "UNAUTHORIZED");
    }
    for path in ["/connect", "/disconnect", "/send"] {
        assert_refused(&api.post(path, "{}").await, 401, "UNAUTHORIZED");
    }
    for (header, key, status) in [
        ("X-Api-Key", "s3cret", StatusCode::OK),
        ("Authorization", "Bearer s3cret", StatusCode::OK),
        ("X-Api-Key", "wrong", StatusCode::UNAUTHORIZED),
        ("X-Api-Key", "s3cre", StatusCode::UNAUTHORIZED),
        ("X-Api-Key", "Bearer s3cret", StatusCode::UNAUTHORIZED),
        ("Authorization", "s3cret", StatusCode::UNAUTHORIZED),
        ("Authorization", "Basic s3cret", StatusCode::UNAUTHORIZED),
    ] {
        let request = Request::get("/status")
            .header(header, key)
            .body(Body::empty())
            .unwrap();
        assert_eq!(api.call(request).await.status, status, "{header} {key}");
    }
    assert_eq!(api.folders(), 0);
}

#[tokio::test]
async fn health_says_what_the_service_looks_after() {
    let api = Api::new(&[]);
    let health = api.get("/health").await.json();
    assert_eq!(
        (&health["status"], &health["service"]),
        (&json!("ok"), &json!("session-manager"))
    );
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        health["sessions"],
        json!({
            "INIT": 0, "QR_REQUIRED": 0, "AUTHENTICATED": 0, "READY": 0, "DISCONNECTED": 0, "ERROR": 0,
        })
    );
    assert_eq!(
        health["adapter"],
        json!({"serving": {}, "since": {}, "missing": []})
    );
    let timestamp = health["timestamp"].as_str().unwrap();
    assert_eq!(
        (timestamp.len(), &timestamp[19..20], &timestamp[23..]),
        (24, ".", "Z")
    );
}

#[tokio::test]
async fn having_no_code_is_an_answer_and_having_no_picture_is_404() {
    let api = Api::new(&[]);
    let none = api.get("/qr?cliente_id=51").await;
    assert_eq!(none.status, StatusCode::OK);
    assert_eq!(
        (&none.json()["status"], &none.json()["state"]),
        (&json!("NO_QR"), &json!("DISCONNECTED"))
    );
    assert!(none.json()["reason"].as_str().unwrap().contains("/connect"));
    for format in ["png", "svg", "ascii", "raw"] {
        assert_refused(
            &api.get(&format!("/qr?format={format}")).await,
            404,
            "NO_QR",
        );
    }
    let none = api.get("/qr-code").await;
    assert_refused(&none, 404, "NO_QR");
    assert_eq!(none.json()["currentStatus"], "DISCONNECTED");
}

#[tokio::test]
async fn a_machine_without_chrome_is_told_so_by_connect_and_by_status() {
    let api = Api::new(&[]);
    let failed = api
        .post("/connect", r#"{"cliente_id": 51, "wait": "ready"}"#)
        .await;
    assert_refused(&failed, 500, "CHROME_NOT_FOUND");
    assert!(
        failed.json()["error"].as_str().unwrap().contains("apt"),
        "{}",
        failed.text()
    );
    let status = api.get("/status?cliente_id=51").await.json();
    assert_eq!(
        (&status["state"], &status["reason"]),
        (&json!("ERROR"), &json!("CHROME_NOT_FOUND"))
    );
    let none = api.get("/qr?cliente_id=51").await.json();
    assert!(none["reason"].as_str().unwrap().contains("apt"), "{none}");
    assert_eq!(
        api.get("/sessions").await.json()["details"][0]["state"],
        "ERROR"
    );
}

#[tokio::test]
async fn a_panic_is_answered_in_json_and_tells_the_caller_nothing() {
    let around =
        tower_http::catch_panic::CatchPanicLayer::custom(crate::http::wire::error::panicked);
    #[expect(
        unreachable_code,
        reason = "the handler's type needs an answer that it never gives"
    )]
    let router = Router::new()
        .route(
            "/",
            get(async || {
                panic!("secret inside");
                ""
            }),
        )
        .layer(around);
    let response = router
        .oneshot(Request::get("/").body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body: Value =
        serde_json::from_slice(&to_bytes(response.into_body(), 1000).await.unwrap()).unwrap();
    assert_eq!(
        (&body["code"], &body["error"]),
        (&json!("INTERNAL"), &body["message"])
    );
    assert!(!body.to_string().contains("secret"));
}

#[tokio::test]
async fn a_session_without_evidence_or_without_a_page_says_so() {
    let api = Api::new(&[]);
    for path in [
        "/sessions/51/evidence",
        "/sessions/51/evidence/screenshot.png",
    ] {
        assert_refused(&api.get(path).await, 404, "NO_EVIDENCE");
    }
    let taken = api.post("/sessions/51/evidence", "").await;
    assert_refused(&taken, 409, "SESSION_NOT_RUNNING");
    for path in ["/sessions/a%20b/evidence", "/sessions/..%2F51/evidence"] {
        assert_refused(&api.get(path).await, 400, "INVALID_CLIENTE_ID");
        assert_refused(&api.post(path, "").await, 400, "INVALID_CLIENTE_ID");
    }
    assert_eq!(api.folders(), 0);
}
