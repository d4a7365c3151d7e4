//! What a request may look like: paths, methods, bodies and the order of the checks.

use axum::body::Body;
use serde_json::json;

use super::{Api, assert_refused};

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
    for phone in [
        json!(""),
        json!("12"),
        json!("1203630412@g.us"),
        json!(true),
        json!(12),
        json!(-5_491_158_254_201_i64),
        json!(5.5),
        json!(["5491158254201"]),
        json!({}),
    ] {
        let refused = api
            .post("/connect", json!({"phone": phone}).to_string())
            .await;
        assert_refused(&refused, 400, "INVALID_PHONE");
        let message = refused.json()["message"].to_string();
        assert!(
            message.contains("phone") && message.contains("country code"),
            "{message}"
        );
    }
    assert_eq!(api.folders(), 0);
    for logout in [json!("true"), json!(1)] {
        assert_refused(
            &api.post("/disconnect", json!({"logout": logout}).to_string())
                .await,
            400,
            "INVALID_LOGOUT",
        );
    }
    // A misspelt name is none: the default session is not meant.
    for body in [
        json!({"logout": true}),
        json!({"client_id": 51, "logout": true}),
    ] {
        let refused = api.post("/disconnect", body.to_string()).await;
        assert_refused(&refused, 400, "INVALID_CLIENTE_ID");
    }
    let sent = json!({"cliente_id": 51, "to": "5491158254201", "message": "x", "dry_run": "yes"});
    let refused = api.post("/send", sent.to_string()).await;
    assert_refused(&refused, 400, "INVALID_DRY_RUN");
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
