//! Which session a request means, and what names none.

use serde_json::json;

use super::{Answer, Api, assert_refused};

#[track_caller]
fn assert_names_no_session(answer: &Answer) {
    assert_refused(answer, 400, "INVALID_CLIENTE_ID");
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
            assert_names_no_session(&api.get(&format!("{path}?cliente_id={query}")).await);
        }
        for path in ["/connect", "/disconnect", "/send"] {
            let body = json!({"cliente_id": id, "to": "5491158254201", "message": "x"});
            assert_names_no_session(&api.post(path, body.to_string()).await);
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
            assert_names_no_session(&api.post(path, body.to_string()).await);
        }
    }
    assert_names_no_session(&api.get("/status?cliente_id=51&cliente_id=52").await);
    assert_names_no_session(&api.get("/status?cliente_id=%FF").await);
    assert_eq!(api.folders(), 0);
}

#[tokio::test]
async fn a_header_that_names_no_session_is_refused_and_not_passed_over() {
    let api = Api::new(&[]);
    for id in ["", "../x", "a b", &"x".repeat(65)] {
        assert_names_no_session(&api.get_as("/status", id).await);
        assert_names_no_session(&api.post_as("/connect", id, &json!({})).await);
        let message = json!({"to": "5491158254201", "message": "x"});
        assert_names_no_session(&api.post_as("/send", id, &message).await);
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
    assert_names_no_session(&api.get_as("/status?cliente_id=", "52").await);
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
async fn a_session_that_nobody_has_connected_says_so_when_it_is_ended_or_is_to_send() {
    let api = Api::new(&[]);
    let ended = api
        .post("/disconnect", r#"{"cliente_id": 51, "logout": true}"#)
        .await;
    assert_eq!(
        (ended.status.as_u16(), &ended.json()["existed"]),
        (200, &json!(false))
    );
    let message = json!({"cliente_id": 51, "to": "5491158254201", "message": "hola"});
    let refused = api.send(&message).await;
    assert_refused(&refused, 503, "SESSION_NOT_READY");
    assert_eq!(refused.json()["reason"], "NOT_CONNECTED");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("connect it first"), "{detail}");
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
    assert_names_no_session(
        &api.send(&json!({"cliente_id": "51", "to": "5491158254201", "message": "x"}))
            .await,
    );
    assert_names_no_session(&api.get("/status?cliente_id=../x").await);
}

#[tokio::test]
async fn a_send_takes_a_number_in_the_body_or_a_name_in_the_header_and_never_assumes_a_session() {
    let api = Api::new(&[("DEFAULT_CLIENTE_ID", "51")]);
    let message = json!({"to": "5491158254201", "message": "x"});
    let nobody = api.send(&message).await;
    assert_names_no_session(&nobody);
    assert_eq!(nobody.json()["message"], "cliente_id must be a number");
    assert_refused(
        &api.post_as("/send", "admin", &message).await,
        503,
        "SESSION_NOT_READY",
    );
    // What the body says goes before the header, also when it is wrong.
    for id in [json!("51"), json!(null), json!(0)] {
        let message = json!({"cliente_id": id, "to": "5491158254201", "message": "x"});
        assert_names_no_session(&api.post_as("/send", "admin", &message).await);
    }
}
