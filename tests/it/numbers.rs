//! Numbers, bodies and sessions as callers really write them, against the real binary, Chromium and the sandbox.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Service, answer};

const NUMBER: &str = "5491158254201";

#[tokio::test]
async fn the_number_as_written_is_asked_for_and_what_whatsapp_answers_is_used() {
    let (service, account) = Service::linked(&[("SEND_RATE_PER_MINUTE", "0")]).await;
    let to = async |written: &str| {
        let sent = service.sends(51, written, "hola").await;
        let chat = sent["message_id"]
            .as_str()
            .unwrap()
            .split('_')
            .nth(1)
            .unwrap()
            .to_owned();
        let taken = service.taken(&account).await.last().unwrap()["to"].clone();
        assert_eq!(json!(chat.trim_end_matches("@c.us")), taken, "{written}");
        (
            sent["data"]["to"].as_str().unwrap().to_owned(),
            taken.as_str().unwrap().to_owned(),
        )
    };
    let pair = |asked: &str, used: &str| (asked.to_owned(), used.to_owned());

    // One number, as written; the answer tells it.
    for written in [
        "005491158254201",
        "\u{202a}+54 9 11 5825-4201\u{202c}",
        "5491158254201:12@s.whatsapp.net",
    ] {
        assert_eq!(to(written).await, pair(NUMBER, NUMBER));
    }
    // Argentina's 9 and 15, Brazil's ninth digit, Mexico's 1.
    for (written, asked, used) in [
        ("+54 11 5825-4201", "541158254201", NUMBER),
        ("+54 11 15-5825-4201", "54111558254201", NUMBER),
        ("+55 31 98765-4321", "5531987654321", "553187654321"),
        ("+55 11 98765-4321", "5511987654321", "5511987654321"),
        ("+52 55 1234 5678", "525512345678", "5215512345678"),
        ("+52 1 55 1234 5678", "5215512345678", "5215512345678"),
    ] {
        assert_eq!(to(written).await, pair(asked, used));
    }

    let before = service.taken(&account).await.len();
    for written in [
        "5491158254201.0",
        "011 15-5825-4201",
        "5491158254201 int. 5",
        "54911abc58254201",
        "54911582542010",
        "+999 123 456 789",
    ] {
        let refused = service.send(51, written, "nadie lo lee").await;
        refused.assert_refused(400, "INVALID_TO");
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("country code"), "{message}");
    }
    assert_eq!(service.taken(&account).await.len(), before);
    service.stop();
}

/// What reaches the service the way curl, cmd.exe, PowerShell and PHP send it, and what goes out in the end.
#[tokio::test]
async fn bodies_as_callers_write_them_reach_the_session_that_they_name_and_no_other() {
    let (service, account) = Service::linked(&[("SEND_RATE_PER_MINUTE", "0")]).await;
    let post = async |path: &str, headers: &[(&str, &str)], body: Vec<u8>| {
        let mut request = service.request(Method::POST, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.body(body)).await
    };
    let form: [(&str, &str); 1] = [("Content-Type", "application/x-www-form-urlencoded")];
    let json_type: [(&str, &str); 1] = [("Content-Type", "application/json")];

    // The default session is up too, and nothing below may end it.
    service.link("admin").await;
    for body in [
        "'{cliente_id:",
        "cliente_id: 51",
        "clienteId=51",
        "cliente_id%20=51",
    ] {
        let refused = post("/disconnect", &form, body.as_bytes().to_vec()).await;
        assert_eq!(refused.status, 400, "{body}: {}", refused.text());
    }
    let refused = post("/disconnect", &json_type, br#"{"client_id": 51}"#.to_vec()).await;
    refused.assert_refused(400, "INVALID_CLIENTE_ID");
    assert!(refused.text().contains("client_id"), "{}", refused.text());
    post("/disconnect?clienteId=51", &[], Vec::new())
        .await
        .assert_refused(400, "INVALID_CLIENTE_ID");
    post("/disconnect", &[("X-ClienteId", "51")], Vec::new())
        .await
        .assert_refused(400, "INVALID_CLIENTE_ID");
    assert_eq!(service.status("admin").await["state"], "READY");

    let message = |text: &str| json!({"cliente_id": 51, "to": NUMBER, "message": text}).to_string();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(message("gzip").as_bytes()).unwrap();
    let utf16: Vec<u8> = message("UTF-16 ñ")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let marked = [b"\xef\xbb\xbf", message("BOM ñ").as_bytes()].concat();
    let cut = message("cortado §").replace('§', "\\ud83d");
    let breaks = message("uno\r\ndos\rtres\n");
    let utf16_type = [("Content-Type", "application/json; charset=utf-16")];
    let packed = [
        ("Content-Type", "application/json"),
        ("Content-Encoding", "gzip"),
    ];
    for (headers, body) in [
        (&packed[..], gzip.finish().unwrap()),
        (&utf16_type[..], utf16),
        (&json_type[..], marked),
        (&json_type[..], cut.into_bytes()),
        (&json_type[..], breaks.into_bytes()),
    ] {
        let sent = post("/send", headers, body).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
    }
    let taken = service.messages(&account).await;
    assert_eq!(
        taken,
        [
            "gzip",
            "UTF-16 ñ",
            "BOM ñ",
            "cortado \u{fffd}",
            "uno\ndos\ntres\n"
        ]
    );

    let unread = [
        ("Content-Type", "application/json"),
        ("Content-Encoding", "zstd"),
    ];
    post("/send", &unread, b"x".to_vec())
        .await
        .assert_refused(415, "UNSUPPORTED_MEDIA_TYPE");
    let array = post("/send", &json_type, br#"["cliente_id"]"#.to_vec()).await;
    array.assert_refused(400, "INVALID_CLIENTE_ID");
    assert_eq!(array.json()["message"], "cliente_id must be a number");
    let empty: Value = service.get("/status?cliente_id=").await.json();
    assert_eq!(empty["error"], "cliente_id is required");
    service.stop();
}

/// 65,536 characters pass however they are escaped, and arrive whole; one more does not.
#[tokio::test]
async fn the_longest_text_goes_out_in_any_escaping() {
    let (service, account) = Service::linked(&[]).await;
    let text = "я".repeat(65_536);
    let escaped = r"\u044f".repeat(65_536);
    let body = json!({"cliente_id": 51, "to": NUMBER, "message": "§"}).to_string();
    let ask = async |text: &str| {
        let request = service.request(Method::POST, "/send");
        answer(request.body(body.replace('§', text))).await
    };
    let sent = ask(&escaped).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    assert_eq!(service.messages(&account).await, [text]);
    for one_more in [escaped + "x", "x".repeat(65_537)] {
        let refused = ask(&one_more).await;
        refused.assert_refused(413, "PAYLOAD_TOO_LARGE");
        assert!(refused.text().contains("65,536"), "{}", refused.text());
    }
    service.stop();
}
