//! The contract where no browser is needed: the router is called in-process, on a machine without a Chrome.
//!
//! What needs sessions that run is in `tests/it/contract.rs`.

use std::{ffi::OsString, num::NonZeroUsize, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode},
    routing::get,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::{AppState, router};
use crate::{
    config::Config,
    session::{Registry, RegistryOptions},
    whatsapp::{PageScripts, PageSettings},
};

/// The API over an empty tokens folder.
struct Api {
    router: Router,
    tokens: TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Api {
    fn new(variables: &[(&str, &str)]) -> Self {
        let lookup = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(*value))
        };
        let config = Config::from_lookup(lookup).unwrap();
        let tokens = tempfile::tempdir().unwrap();
        let one = NonZeroUsize::MIN;
        let registry = Registry::open(RegistryOptions {
            tokens_dir: tokens.path().to_owned(),
            page: PageSettings {
                chrome_path: None,
                search_path: OsString::new(),
                chrome_args: Vec::new(),
                url: "http://127.0.0.1:1/".to_owned(),
                scripts: PageScripts::new(None),
            },
            max_sessions: one,
            max_concurrent_starts: one,
            qr_timeout: Duration::from_secs(1),
            send_wait: Duration::from_secs(1),
        });
        let state = AppState::new(Arc::new(registry.unwrap()), &config);
        Self {
            router: router(state),
            tokens,
        }
    }

    async fn call(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: to_bytes(body, usize::MAX).await.unwrap().into(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    async fn get_as(&self, path: &str, id: &str) -> Answer {
        self.call(
            Request::get(path)
                .header("X-Cliente-Id", id)
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.call(Request::post(path).body(body.into()).unwrap())
            .await
    }

    async fn post_as(&self, path: &str, id: &str, body: &Value) -> Answer {
        self.call(
            Request::post(path)
                .header("X-Cliente-Id", id)
                .body(body.to_string().into())
                .unwrap(),
        )
        .await
    }

    async fn send(&self, body: &Value) -> Answer {
        self.post("/send", body.to_string()).await
    }

    fn folders(&self) -> usize {
        self.tokens.path().read_dir().unwrap().count()
    }
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(
            self.headers["content-type"],
            "application/json; charset=utf-8"
        );
        serde_json::from_slice(&self.body).unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// Checks what every error has in common and gives its status and code.
    #[track_caller]
    fn refusal(&self) -> (u16, String) {
        let body = self.json();
        assert_eq!(body["success"], false, "{body}");
        assert_eq!(body["error"], body["message"], "{body}");
        assert!(!body["message"].as_str().unwrap().is_empty(), "{body}");
        assert_eq!(self.headers["access-control-allow-origin"], "*");
        (
            self.status.as_u16(),
            body["code"].as_str().unwrap().to_owned(),
        )
    }
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(
        answer.refusal(),
        (status, code.to_owned()),
        "{}",
        answer.text()
    );
}

/// Texts that name no session.
fn bad_ids() -> Vec<String> {
    let plain = [
        "",
        ".",
        "..",
        "../x",
        "../../etc",
        "/etc",
        "a/b",
        "a\\b",
        "a b",
        "a\0",
        "\0",
        "ñandú",
        "💥",
        "51.5",
        "-\n",
    ];
    plain
        .iter()
        .map(|&id| id.to_owned())
        .chain(["x".repeat(65)])
        .collect()
}

#[tokio::test]
async fn a_name_that_is_none_is_refused_everywhere_and_makes_no_folder() {
    let api = Api::new(&[]);
    for id in bad_ids() {
        let query: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
        for path in ["/status", "/qr", "/qr-code"] {
            assert_refused(
                &api.get(&format!("{path}?cliente_id={query}")).await,
                400,
                "INVALID_CLIENTE_ID",
            );
        }
        for path in ["/connect", "/disconnect", "/send"] {
            let body = json!({"cliente_id": id, "to": "5491158254201", "message": "x"});
            assert_refused(
                &api.post(path, body.to_string()).await,
                400,
                "INVALID_CLIENTE_ID",
            );
        }
    }
    for id in [
        json!(null),
        json!(0),
        json!(-51),
        json!(51.5),
        json!(1e300),
        json!(true),
        json!([51]),
        json!({"id": 51}),
    ] {
        for path in ["/connect", "/disconnect", "/send"] {
            let body = json!({"cliente_id": id, "to": "5491158254201", "message": "x"});
            assert_refused(
                &api.post(path, body.to_string()).await,
                400,
                "INVALID_CLIENTE_ID",
            );
        }
    }
    assert_refused(
        &api.get("/status?cliente_id=51&cliente_id=52").await,
        400,
        "INVALID_CLIENTE_ID",
    );
    assert_refused(
        &api.get("/status?cliente_id=%FF").await,
        400,
        "INVALID_CLIENTE_ID",
    );
    assert_eq!(api.folders(), 0);
}

#[tokio::test]
async fn a_header_that_names_no_session_is_refused_and_not_passed_over() {
    let api = Api::new(&[]);
    for id in ["", "../x", "a b", &"x".repeat(65)] {
        assert_refused(&api.get_as("/status", id).await, 400, "INVALID_CLIENTE_ID");
        assert_refused(
            &api.post_as("/connect", id, &json!({})).await,
            400,
            "INVALID_CLIENTE_ID",
        );
        let message = json!({"to": "5491158254201", "message": "x"});
        assert_refused(
            &api.post_as("/send", id, &message).await,
            400,
            "INVALID_CLIENTE_ID",
        );
    }
    assert_eq!(api.folders(), 0);
}

#[tokio::test]
async fn the_query_names_the_session_before_the_header_before_the_default() {
    let api = Api::new(&[]);
    assert_eq!(
        api.get_as("/status?cliente_id=51", "52").await.json()["cliente_id"],
        "51"
    );
    assert_eq!(api.get_as("/status", "52").await.json()["cliente_id"], "52");
    assert_eq!(api.get("/status").await.json()["cliente_id"], "admin");
    // An empty one is meant for somebody: it does not fall to the header.
    assert_refused(
        &api.get_as("/status?cliente_id=", "52").await,
        400,
        "INVALID_CLIENTE_ID",
    );
}

#[tokio::test]
async fn an_answer_echoes_the_type_that_the_caller_used() {
    let api = Api::new(&[]);
    for id in [json!(51), json!("51"), json!("admin")] {
        let answer = api
            .post("/disconnect", json!({"cliente_id": id}).to_string())
            .await
            .json();
        assert_eq!(answer["cliente_id"], id);
        assert_eq!(
            (&answer["success"], &answer["message"]),
            (&json!(true), &json!("No active session"))
        );
    }
}

#[tokio::test]
async fn single_mode_sends_everybody_to_the_default_session_and_echoes_the_caller() {
    let api = Api::new(&[("SESSION_MODE", "single"), ("DEFAULT_CLIENTE_ID", "shop")]);
    let status = api.get_as("/status", "51").await.json();
    assert_eq!(
        (&status["cliente_id"], &status["session"]),
        (&json!("51"), &json!("shop"))
    );
    let answer = api
        .post("/disconnect", r#"{"cliente_id": 51}"#)
        .await
        .json();
    assert_eq!(
        (&answer["cliente_id"], &answer["session"]),
        (&json!(51), &json!("shop"))
    );
    // A send needs no id here, but one that is given is checked.
    let message = json!({"to": "5491158254201", "message": "x"});
    assert_refused(&api.send(&message).await, 503, "SESSION_NOT_READY");
    assert_refused(
        &api.send(&json!({"cliente_id": "51", "to": "5491158254201", "message": "x"}))
            .await,
        400,
        "INVALID_CLIENTE_ID",
    );
    assert_refused(
        &api.get("/status?cliente_id=../x").await,
        400,
        "INVALID_CLIENTE_ID",
    );
}

#[tokio::test]
async fn a_send_takes_a_number_in_the_body_or_a_name_in_the_header_and_never_assumes_a_session() {
    let api = Api::new(&[("DEFAULT_CLIENTE_ID", "51")]);
    let message = json!({"to": "5491158254201", "message": "x"});
    let nobody = api.send(&message).await;
    assert_refused(&nobody, 400, "INVALID_CLIENTE_ID");
    assert_eq!(nobody.json()["message"], "cliente_id must be a number");
    assert_refused(
        &api.post_as("/send", "admin", &message).await,
        503,
        "SESSION_NOT_READY",
    );
    // What the body says goes before the header, also when it is wrong.
    for id in [json!("51"), json!(null), json!(0)] {
        let message = json!({"cliente_id": id, "to": "5491158254201", "message": "x"});
        assert_refused(
            &api.post_as("/send", "admin", &message).await,
            400,
            "INVALID_CLIENTE_ID",
        );
    }
}

#[tokio::test]
async fn a_send_is_checked_in_the_order_of_the_contract() {
    let api = Api::new(&[]);
    assert_refused(
        &api.send(&json!({"cliente_id": 0, "to": 1, "message": 1}))
            .await,
        400,
        "INVALID_CLIENTE_ID",
    );
    for to in [
        json!(null),
        json!(5_491_158_254_201_u64),
        json!(""),
        json!("abc"),
        json!("123456"),
        json!("1".repeat(16)),
        json!("1203630412@g.us"),
    ] {
        assert_refused(
            &api.send(&json!({"cliente_id": 51, "to": to, "message": 1}))
                .await,
            400,
            "INVALID_TO",
        );
    }
    for text in [
        json!(null),
        json!(""),
        json!("  \n "),
        json!(5),
        json!(["x"]),
    ] {
        let message = json!({"cliente_id": 51, "to": "+54 9 11 5825-4201", "message": text});
        assert_refused(&api.send(&message).await, 400, "INVALID_MESSAGE");
    }
    let fine = api
        .send(&json!({"cliente_id": 51, "to": "5491158254201@c.us", "message": "x"}))
        .await;
    assert_refused(&fine, 503, "SESSION_NOT_READY");
    assert_eq!(
        (&fine.json()["state"], &fine.json()["message"]),
        (&json!("DISCONNECTED"), &json!("WhatsApp session not ready"))
    );
    assert_eq!(api.folders(), 0);
}

#[tokio::test]
async fn an_option_that_is_misspelt_is_refused_and_not_taken_for_its_default() {
    let api = Api::new(&[]);
    for wait in [json!("Ready"), json!(true), json!(30)] {
        assert_refused(
            &api.post("/connect", json!({"wait": wait}).to_string())
                .await,
            400,
            "INVALID_WAIT",
        );
    }
    for logout in [json!("true"), json!(1)] {
        assert_refused(
            &api.post("/disconnect", json!({"logout": logout}).to_string())
                .await,
            400,
            "INVALID_LOGOUT",
        );
    }
    assert_refused(&api.get("/qr?format=gif").await, 400, "INVALID_FORMAT");
}

#[tokio::test]
async fn a_path_may_end_in_a_slash() {
    let api = Api::new(&[]);
    assert_eq!(
        api.get("/status/?cliente_id=51").await.json()["cliente_id"],
        "51"
    );
    assert_eq!(api.get("/health/").await.json()["status"], "ok");
    assert_refused(&api.post("/send/", "{}").await, 400, "INVALID_CLIENTE_ID");
}

#[tokio::test]
async fn a_wrong_path_or_method_is_answered_in_json() {
    let api = Api::new(&[]);
    assert_refused(&api.get("/nope").await, 404, "NOT_FOUND");
    assert_refused(&api.get("/").await, 404, "NOT_FOUND");
    let wrong = api.get("/send").await;
    assert_refused(&wrong, 405, "METHOD_NOT_ALLOWED");
    assert_eq!(wrong.headers["allow"], "POST");
    let wrong = api.post("/status", "{}").await;
    assert_refused(&wrong, 405, "METHOD_NOT_ALLOWED");
    assert_eq!(wrong.headers["allow"], "GET,HEAD");
}

#[tokio::test]
async fn a_body_is_read_up_to_a_hundred_kilobytes() {
    let api = Api::new(&[]);
    let of = |size: usize| {
        let frame = json!({"cliente_id": 51, "to": "5491158254201", "message": ""}).to_string();
        frame.replace(
            r#""message":"""#,
            &format!(r#""message":"{}""#, "x".repeat(size - frame.len())),
        )
    };
    assert_refused(
        &api.post("/send", of(100 * 1024)).await,
        503,
        "SESSION_NOT_READY",
    );
    assert_refused(
        &api.post("/send", of(100 * 1024 + 1)).await,
        413,
        "PAYLOAD_TOO_LARGE",
    );
    assert_refused(
        &api.post("/send", of(20_000_000)).await,
        413,
        "PAYLOAD_TOO_LARGE",
    );
    assert_refused(
        &api.post("/connect", r#"{"cliente_id": 51,"#).await,
        400,
        "INVALID_JSON",
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_given_up() {
    let api = Api::new(&[]);
    let never = Body::from_stream(futures_util::stream::pending::<
        Result<Vec<u8>, std::io::Error>,
    >());
    assert_refused(&api.post("/connect", never).await, 408, "REQUEST_TIMEOUT");
}

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
    let other = from("https://other.example").await;
    assert_eq!(other.get("access-control-allow-origin"), None);
    assert_eq!(other["vary"], "Origin");
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
    let around = tower_http::catch_panic::CatchPanicLayer::custom(super::error::panicked);
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
