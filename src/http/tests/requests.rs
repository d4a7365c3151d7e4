//! What a request may look like: paths, methods, bodies and the order of the checks.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use super::{
    Api, assert_refused,
    event_log::{event, write},
    events::new_send,
};
use crate::{
    http::wire::body::{LARGEST_BODY, LARGEST_SEND},
    ledger::{EventKind, NewEvent},
};

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
        json!("12036304120@newsletter"),
        json!("@g.us"),
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
    // The words of the contract, unless something else seems to have been meant.
    let nothing = json!({"cliente_id": 51, "to": "5491158254201"});
    let refused = api.send(&nothing).await;
    assert_refused(&refused, 400, "INVALID_MESSAGE");
    assert_eq!(
        refused.json()["message"],
        "message must be a non-empty string"
    );
    let other = json!({"cliente_id": 51, "to": "5491158254201", "image": {"url": "x"}});
    let refused = api.send(&other).await;
    assert_refused(&refused, 400, "INVALID_MESSAGE");
    let said = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(
        said.contains("\"image\"") && said.contains("give one of message, media,"),
        "{said}"
    );
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
    // The default session is logged out only when it is named.
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
    let unknown = api.get("/nope").await;
    assert_refused(&unknown, 404, "NOT_FOUND");
    assert!(unknown.text().contains("/docs"), "{}", unknown.text());
    let wrong = api.get("/sessions/51").await;
    assert_refused(&wrong, 405, "METHOD_NOT_ALLOWED");
    for said in ["takes DELETE", "/status?cliente_id="] {
        assert!(wrong.text().contains(said), "{}", wrong.text());
    }
    let wrong = api.get("/send").await;
    assert_refused(&wrong, 405, "METHOD_NOT_ALLOWED");
    assert_eq!(wrong.headers["allow"], "POST");
    let wrong = api.post("/status", "{}").await;
    assert_refused(&wrong, 405, "METHOD_NOT_ALLOWED");
    assert_eq!(wrong.headers["allow"], "GET,HEAD");
}

#[tokio::test]
async fn a_text_may_have_65536_characters_in_any_escaping_and_size_goes_before_the_fields() {
    let api = Api::new(&[]);
    let of = |text: &str| {
        json!({"cliente_id": 51, "to": "5491158254201", "message": "§"})
            .to_string()
            .replace('§', text)
    };
    let most = 65_536;
    for text in [
        "x".repeat(most),
        "я".repeat(most),
        r"\u044f".repeat(most),
        "👋".repeat(most / 2),
        r"\ud83d\udc4b".repeat(most / 2),
        r"\n".repeat(most - 1) + "x",
    ] {
        let taken = api.post("/send", of(&text)).await;
        assert_refused(&taken, 503, "SESSION_NOT_READY");
        let refused = api.post("/send", of(&(text + "x"))).await;
        assert_refused(&refused, 413, "PAYLOAD_TOO_LARGE");
        let message = refused.json()["message"].to_string();
        assert!(
            message.contains("65,536") && message.contains("65537"),
            "{message}"
        );
    }
    // As recorded: neither session nor recipient is looked at.
    for body in [
        json!({"cliente_id": "51", "to": "1", "message": "x".repeat(150_000)}),
        json!({"message": "x".repeat(150_000), "dry_run": "maybe"}),
    ] {
        assert_refused(&api.send(&body).await, 413, "PAYLOAD_TOO_LARGE");
    }
    // A body that no such text needs is not read at all.
    for (path, size) in [
        ("/connect", LARGEST_BODY + 1),
        ("/connect", 20_000_000),
        ("/send", LARGEST_SEND + 1),
        ("/send", 20_000_000),
    ] {
        let refused = api.post(path, "x".repeat(size)).await;
        assert_refused(&refused, 413, "PAYLOAD_TOO_LARGE");
        assert!(refused.text().contains("65,536"), "{}", refused.text());
        let has_limit = refused.text().contains("larger than 14 MB");
        assert_eq!(has_limit, path == "/send", "{}", refused.text());
    }
    let filler = "x".repeat(LARGEST_BODY - 30);
    let fine = format!(r#"{{"cliente_id":51,"x":"{filler}"}}"#);
    assert!(fine.len() <= LARGEST_BODY);
    assert_refused(&api.post("/send", fine).await, 400, "INVALID_TO");
    assert_refused(
        &api.post("/connect", r#"{"cliente_id": 51,"#).await,
        400,
        "INVALID_JSON",
    );
}

#[tokio::test]
async fn a_form_with_a_file_is_told_where_files_go() {
    let api = Api::new(&[]);
    for content in [b"text".as_slice(), b"\xff\xd8\xff\xe0"] {
        let head = b"--x\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n".as_slice();
        let form = [head, content, b"\r\n--x--\r\n"].concat();
        let request = Request::post("/send");
        let request = request.header("content-type", "multipart/form-data; boundary=x");
        let refused = api.call(request.body(Body::from(form)).unwrap()).await;
        assert_refused(&refused, 415, "UNSUPPORTED_MEDIA_TYPE");
        assert!(refused.text().contains("POST /media"), "{}", refused.text());
    }
}

/// As the service before this one had it: no field is found in an array, and so no session.
#[tokio::test]
async fn an_array_names_no_session_and_never_means_the_default_one() {
    for variables in [&[][..], &[("SESSION_MODE", "single")][..]] {
        let api = Api::new(variables);
        for body in ["[]", r#"["cliente_id"]"#, r#"[{"cliente_id": 51}]"#] {
            let refused = api.post("/send", body).await;
            assert_refused(&refused, 400, "INVALID_CLIENTE_ID");
            assert_eq!(refused.json()["message"], "cliente_id must be a number");
            for path in ["/connect", "/disconnect"] {
                let refused = api.post(path, body).await;
                assert_refused(&refused, 400, "INVALID_CLIENTE_ID");
                assert_eq!(refused.json()["error"], "cliente_id is required");
            }
        }
        assert_eq!(api.folders(), 0);
    }
}

#[tokio::test]
async fn a_refused_number_says_which_field_it_stands_in_and_what_was_found() {
    let api = Api::new(&[]);
    let send = json!({"cliente_id": 51, "to": "5491158254201 int. 5", "message": "x"});
    let refused = api.send(&send).await;
    assert_refused(&refused, 400, "INVALID_TO");
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.starts_with("to is not a phone number: it has an extension"),
        "{message}"
    );
    let connect = json!({"cliente_id": 51, "phone": "011 15-5825-4201"});
    let refused = api.post("/connect", connect.to_string()).await;
    assert_refused(&refused, 400, "INVALID_PHONE");
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.starts_with("phone is not a phone number: it begins with 0"),
        "{message}"
    );
    // Recorded: a number is no string, and a send takes only those.
    let send = json!({"cliente_id": 51, "to": 5_491_158_254_201_u64, "message": "x"});
    assert_eq!(
        api.send(&send).await.json()["message"],
        "to must be a string"
    );
}

/// Left alone, a picture that may be looked at once would stay in the chat.
#[tokio::test]
async fn what_belongs_inside_a_medium_is_not_left_alone_beside_it() {
    let api = Api::new(&[]);
    for (beside, value, field) in [
        ("view_once", json!(true), "view_once"),
        ("viewOnce", json!(true), "view_once"),
        ("caption", json!("secreto"), "caption"),
        ("filename", json!("a.pdf"), "filename"),
    ] {
        let mut send = json!({"cliente_id": 51, "to": "5491158254201", "media": {"id": "fil_x"}});
        send[beside] = value;
        let refused = api.send(&send).await;
        assert_refused(&refused, 400, "INVALID_CONTENT");
        let said = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(
            said.starts_with(field) && said.contains("inside media"),
            "{said}"
        );
    }
    for beside in [
        json!({"media": {"id": "fil_x"}, "caption": null}),
        json!({"message": "x", "caption": "y"}),
    ] {
        let mut send = json!({"cliente_id": 51, "to": "5491158254201"});
        send.as_object_mut()
            .unwrap()
            .extend(beside.as_object().unwrap().clone());
        assert_refused(&api.send(&send).await, 503, "SESSION_NOT_READY");
    }
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
async fn what_is_to_be_done_to_a_message_is_refused_by_field_before_its_session_is_asked() {
    let api = Api::new(&[]);
    let message = "false_5491158254201@c.us_3A5F0C2B1D4E6F708192";
    for (what, body, field) in [
        ("reaction", json!({}), "emoji"),
        ("reaction", json!({"emoji": null}), "emoji"),
        ("reaction", json!({"emoji": "ok"}), "emoji"),
        ("reaction", json!({"emoji": "👍 👍"}), "emoji"),
        ("reaction", json!({"emoji": "👍".repeat(21)}), "emoji"),
        ("revoke", json!({"for": "you"}), "for"),
        ("revoke", json!({"for": null}), "for"),
    ] {
        let mut body = body;
        body["cliente_id"] = json!(51);
        let path = format!("/messages/{message}/{what}");
        let refused = api.post(&path, body.to_string()).await;
        assert_refused(&refused, 400, "INVALID_CONTENT");
        let said = refused.json()["message"].to_string();
        assert!(said.contains(field), "{said}");
    }
    for emoji in ["👍", "❤️", "👨‍👩‍👧‍👦", "1️⃣", ""] {
        let body = json!({"cliente_id": 51, "emoji": emoji}).to_string();
        let path = format!("/messages/{message}/reaction");
        assert_refused(&api.post(&path, body).await, 503, "SESSION_NOT_READY");
    }
    for text in [json!(null), json!(" \n"), json!(5)] {
        let body = json!({"cliente_id": 51, "message": text}).to_string();
        let path = format!("/messages/{message}");
        assert_refused(&api.patch(&path, body).await, 400, "INVALID_MESSAGE");
    }
    assert_eq!(api.folders(), 0);
}

#[tokio::test]
async fn a_message_that_something_is_to_be_done_to_has_to_be_known_or_named_in_full() {
    let api = Api::new(&[]);
    let of = |id: &str| format!("/messages/{id}/revoke");
    for id in [
        // Status updates and channels are not even looked at.
        "false_status@broadcast_3A5F0C2B1D4E6F708192_5491158254201@c.us",
        "false_120363041234567890@newsletter_3A5F0C2B1D4E6F708192",
        "maybe_5491158254201@c.us_3A5F0C2B1D4E6F708192",
        "true_5491158254201@c.us",
        "3A5F0C2B1D4E6F708192",
        "3A5F",
        "'x';alert(1)",
    ] {
        let body = json!({"cliente_id": 51}).to_string();
        let refused = api.post(&of(&id.replace('\'', "%27")), body).await;
        assert_refused(&refused, 404, "MESSAGE_NOT_FOUND");
    }
    let full = "false_5491158254201@c.us_3A5F0C2B1D4E6F708192";
    assert_refused(&api.post(&of(full), "{}").await, 400, "INVALID_CLIENTE_ID");
}

#[tokio::test]
async fn a_message_between_two_sessions_is_named_by_its_key_in_either() {
    let api = Api::new(&[]);
    let key = "3EB0C2B1D4E6F7081920AA";
    let sent = api.registry.ledger().accept(new_send("51", key));
    sent.await.unwrap();
    let heard = json!({
        "id": format!("false_5491150000001@c.us_{key}"), "key": key, "chat": "5491150000001@c.us", "is_group": false,
        "from": {"phone": "5491150000001"}, "kind": "text", "text": "x",
    });
    let once = format!("message in person {key}");
    let heard = NewEvent {
        data: heard.to_string().into(),
        ..event("52", &once, EventKind::Message)
    };
    write(&api, [heard]).await;
    let path = format!("/messages/{key}/reaction");
    let react = async |body: Value| api.post(&path, body.to_string()).await;
    // Found: no session is up in this test.
    for found in [
        json!({"emoji": "👍"}),
        json!({"emoji": "👍", "cliente_id": 51}),
        json!({"emoji": "👍", "cliente_id": 52}),
    ] {
        assert_refused(&react(found).await, 503, "SESSION_NOT_READY");
    }
    let of_neither = react(json!({"emoji": "👍", "cliente_id": 53})).await;
    assert_refused(&of_neither, 404, "MESSAGE_NOT_FOUND");
}

#[tokio::test]
async fn what_is_to_be_done_in_a_chat_names_the_chat_and_the_session() {
    let api = Api::new(&[]);
    let named = json!({"cliente_id": 51, "state": "typing"});
    for (path, body, status, code) in [
        ("/chats/abc/seen", named.clone(), 400, "INVALID_CHAT"),
        (
            "/chats/status@broadcast/seen",
            named.clone(),
            400,
            "INVALID_CHAT",
        ),
        (
            "/chats/5491158254201/typing",
            json!({"cliente_id": 51, "state": "sleeping"}),
            400,
            "INVALID_CONTENT",
        ),
        (
            "/chats/5491158254201/typing",
            json!({"cliente_id": 51}),
            400,
            "INVALID_CONTENT",
        ),
        (
            "/chats/5491158254201/seen",
            json!({}),
            400,
            "INVALID_CLIENTE_ID",
        ),
        (
            "/chats/5491158254201/typing",
            named.clone(),
            503,
            "SESSION_NOT_READY",
        ),
        (
            "/chats/120363041234567890@g.us/seen",
            named,
            503,
            "SESSION_NOT_READY",
        ),
    ] {
        assert_refused(&api.post(path, body.to_string()).await, status, code);
    }
}

#[tokio::test]
async fn what_names_no_session_in_a_chat_is_told_of_the_header() {
    let api = Api::new(&[]);
    let refused = api.post("/chats/5491158254201/seen", "").await;
    assert_refused(&refused, 400, "INVALID_CLIENTE_ID");
    assert!(
        refused.text().contains("X-Cliente-Id"),
        "{}",
        refused.text()
    );
}

/// Left alone, a misspelt limit would show all there is.
#[tokio::test]
async fn a_read_of_chats_knows_its_parameters_and_names_the_session_that_it_meant() {
    let api = Api::new(&[]);
    for path in [
        "/chats?lmit=1",
        "/groups?before=1",
        "/chats/5491158254201/messages?lmit=1",
    ] {
        let refused = api.get(&format!("{path}&cliente_id=51")).await;
        assert_refused(&refused, 400, "INVALID_PARAMETER");
    }
    let brought = api.post("/media?file=a.jpg", "x").await;
    assert_refused(&brought, 400, "INVALID_PARAMETER");
    assert!(brought.text().contains("filename"), "{}", brought.text());
    for path in [
        "/chats?_=1",
        "/groups",
        "/chats/5491158254201/messages",
        "/numbers/5491158254201",
    ] {
        let refused = api.get(path).await;
        assert_refused(&refused, 503, "SESSION_NOT_READY");
        let refused = refused.json();
        let said = refused["message"].as_str().unwrap();
        assert!(said.starts_with("session admin "), "{said}");
        assert_eq!(refused["state"], "DISCONNECTED");
    }
}
