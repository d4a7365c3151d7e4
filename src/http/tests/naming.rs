//! Which session a request means, and what names none.

use axum::{body::Body, http::Request};
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

#[tokio::test]
async fn an_empty_name_is_refused_in_the_recorded_words() {
    let api = Api::new(&[]);
    for path in ["/status", "/qr", "/qr-code", "/messages", "/events/stream"] {
        let refused = api.get(&format!("{path}?cliente_id=")).await;
        assert_names_no_session(&refused);
        assert_eq!(refused.json()["error"], "cliente_id is required", "{path}");
    }
    for id in [json!(""), json!(null)] {
        for path in ["/connect", "/disconnect"] {
            let refused = api.post(path, json!({"cliente_id": id}).to_string()).await;
            assert_names_no_session(&refused);
            assert_eq!(refused.json()["error"], "cliente_id is required");
        }
    }
    let refused = api.get_as("/status", "").await;
    assert_eq!(refused.json()["error"], "cliente_id is required");
}

/// A body that names no session and says something else is a slip; the default session is not meant.
#[tokio::test]
async fn a_field_that_is_not_known_is_refused_unless_a_session_is_named() {
    let api = Api::new(&[]);
    for path in ["/connect", "/disconnect"] {
        for name in [
            "clienteId",
            "client_id",
            "Cliente_id",
            "cliente_id ",
            "to",
            "x",
            "",
        ] {
            let body = json!({name: 51}).to_string();
            let refused = api.post(path, body.clone()).await;
            assert_names_no_session(&refused);
            let message = refused.json()["message"].as_str().unwrap().to_owned();
            assert!(
                message.contains(&format!("{name:?}")) && message.contains("nothing was done"),
                "{message}"
            );
            // Beside a session, in the body or the header, it is left alone.
            let mut named = json!({name: 51});
            named["cliente_id"] = json!(51);
            assert_ne!(
                api.post(path, named.to_string()).await.status,
                400,
                "{path} {name}"
            );
            assert_ne!(
                api.post_as(path, "51", &json!({name: 51})).await.status,
                400,
                "{path} {name}"
            );
        }
        for query in [
            "clienteId=51",
            "id=51",
            "51",
            "_=1",
            "dry_run=true",
            "sesion_id=51",
        ] {
            assert_names_no_session(&api.post(&format!("{path}?{query}"), "").await);
        }
        for header in [
            "Cliente-Id",
            "X-ClienteId",
            "Cliente_Id",
            "X_Cliente_Id",
            "X-Client-Id",
            "X-Session-Id",
            "X-Session",
            "Session",
            "X_Session_Name",
            "X-Sesion-Id",
            "X-Id-Sesion",
            "X-Instance",
            "X-Instance-Id",
            "X-Cuenta",
            "X-Account-Id",
            "X-Tenant-ID",
        ] {
            let request = Request::post(path).header(header, "51");
            assert_names_no_session(&api.call(request.body(Body::empty()).unwrap()).await);
        }
        // What proxies add is no slip.
        let proxied = Request::post(path).header("X-Client-IP", "192.0.2.1");
        let proxied = proxied.header("X-Request-Id", "51");
        let proxied = proxied.header("X-Client", "51").header("X-Id", "51");
        let proxied = proxied.header("X-Device-Id", "51");
        let proxied = proxied.header("Mcp-Session-Id", "51");
        let answer = api.call(proxied.body(Body::empty()).unwrap()).await;
        assert_ne!(answer.status, 400, "{path}");
        // Nothing at all, or nothing but what is known, means the default session.
        for body in ["", "{}", " "] {
            assert_ne!(api.post(path, body).await.status, 400, "{path} {body}");
        }
    }
    let known = api.post("/disconnect", r#"{"logout": false}"#).await;
    assert_eq!(known.json()["session"], "admin");
    let send = json!({"clienteId": 51, "to": "5491158254201", "message": "x"});
    let refused = api.send(&send).await;
    assert_names_no_session(&refused);
    assert!(refused.text().contains("clienteId"), "{}", refused.text());
}

#[tokio::test]
async fn a_read_is_refused_only_for_what_looks_like_a_misspelt_name() {
    let api = Api::new(&[]);
    for path in ["/status", "/qr", "/qr-code", "/messages", "/events/stream"] {
        for query in [
            "clienteId=51",
            "client_id=51",
            "id=51",
            "Cliente_id=51",
            "cliente_id%20=51",
            "session=51",
            "sesion_id=51",
            "id_sesion=51",
            "instance=51",
            "instanceName=51",
            "cuenta=51",
            "account=51",
        ] {
            let refused = api.get(&format!("{path}?{query}")).await;
            assert_names_no_session(&refused);
            let also_named = api.get(&format!("{path}?{query}&cliente_id=51")).await;
            assert_ne!(also_named.status, 400, "{path}?{query}");
        }
    }
    // Pages add parameters of their own.
    for query in ["_=1699999999", "t=1", "v=2", "utm_source=x", "lang=es"] {
        let status = api.get(&format!("/status?{query}")).await.json();
        assert_eq!(status["cliente_id"], "admin", "{query}");
    }
    for header in ["X-ClienteId", "X-Session-Id"] {
        let request = Request::get("/status").header(header, "51");
        assert_names_no_session(&api.call(request.body(Body::empty()).unwrap()).await);
    }
}

/// Whoever scans the default session's code by mistake links a phone to another client's session.
#[tokio::test]
async fn a_code_is_shown_only_when_each_parameter_is_known_or_a_session_named() {
    let api = Api::new(&[]);
    for path in ["/qr", "/qr-code"] {
        for query in ["51", "numero=51", "empresa=51", "v=2", "utm_source=x"] {
            assert_names_no_session(&api.get(&format!("{path}?{query}")).await);
            let named = api.get(&format!("{path}?{query}&cliente_id=51")).await;
            assert_ne!(named.status, 400, "{path}?{query}");
            let named = api.get_as(&format!("{path}?{query}"), "51").await;
            assert_ne!(named.status, 400, "{path}?{query}");
        }
        for query in ["", "format=json", "_=1699999999", "t=1&format=json"] {
            let answer = api.get(&format!("{path}?{query}")).await;
            assert_ne!(answer.status, 400, "{path}?{query}");
        }
    }
}

/// There is one session in this mode, and nothing to mistake.
#[tokio::test]
async fn single_mode_takes_what_names_no_session_as_ever() {
    let api = Api::new(&[("SESSION_MODE", "single")]);
    for body in [r#"{"clienteId": 51}"#, r#"{"x": 1}"#, "{}", ""] {
        let ended = api.post("/disconnect", body).await;
        assert_eq!(ended.json()["session"], "admin", "{body}");
    }
    assert_eq!(api.get("/status?id=51").await.json()["session"], "admin");
}

/// Left alone it would be a real message, or a session that stays linked.
#[tokio::test]
async fn a_misspelt_field_that_changes_what_is_done_is_refused_and_named() {
    let api = Api::new(&[]);
    let body = json!({"cliente_id": 51, "to": "5491158254201", "message": "x"});
    for (path, slip, value, code, meant) in [
        ("/send", "dryrun", json!(true), "INVALID_DRY_RUN", "dry_run"),
        (
            "/send",
            "DRY-RUN",
            json!(true),
            "INVALID_DRY_RUN",
            "dry_run",
        ),
        ("/send", "asinc", json!(true), "INVALID_ASYNC", "async"),
        (
            "/send",
            "idempotencyKey",
            json!("a"),
            "INVALID_IDEMPOTENCY_KEY",
            "idempotency_key",
        ),
        ("/send", "qoute", json!("a"), "INVALID_CONTENT", "quote"),
        (
            "/send",
            "mention",
            json!(["5491158254201"]),
            "INVALID_CONTENT",
            "mentions",
        ),
        ("/connect", "wiat", json!("ready"), "INVALID_WAIT", "wait"),
        (
            "/disconnect",
            "log_out",
            json!(true),
            "INVALID_LOGOUT",
            "logout",
        ),
    ] {
        let mut body = body.clone();
        body[slip] = value;
        let answer = api.post(path, body.to_string()).await;
        assert_refused(&answer, 400, code);
        let said = format!("meant as {meant}: write {meant}");
        assert!(answer.text().contains(&said), "{}", answer.text());
    }
    for query in ["dryrun=true", "dry-run=true", "Dry_Run"] {
        let answer = api.post(&format!("/send?{query}"), body.to_string()).await;
        assert_refused(&answer, 400, "INVALID_DRY_RUN");
    }
    // Other unknown fields are ignored, as ever.
    let mut body = body;
    body["priority"] = json!(1);
    let answer = api.post("/send?trace=1", body.to_string()).await;
    assert_refused(&answer, 503, "SESSION_NOT_READY");
}

#[tokio::test]
async fn a_send_with_a_misspelt_session_is_not_sent_to_the_default_one_by_its_remedy() {
    let api = Api::new(&[]);
    let body = json!({"clienteId": 61, "to": "5491158254201", "message": "x"});
    let answer = api.send(&body).await;
    assert_names_no_session(&answer);
    assert!(
        answer.text().contains("positive integer"),
        "{}",
        answer.text()
    );
    assert!(!answer.text().contains("default"), "{}", answer.text());
    for id in [json!(-1), json!(51.5)] {
        let body = json!({"cliente_id": id, "to": "5491158254201", "message": "x"});
        let answer = api.send(&body).await;
        assert_names_no_session(&answer);
        assert!(
            answer.text().contains("positive integer"),
            "{}",
            answer.text()
        );
    }
}
