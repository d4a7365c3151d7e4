//! A program that was written for WAHA finds here what it knows: `waha-py`, a client that is made from WAHA's own document, as it is.

use std::{fs, path::Path};

use axum::{http::StatusCode, response::IntoResponse as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    clients::printed,
    media::{files, hash, hostile::Site},
    support::Service,
    webhooks::Target,
};

const SESSION: &str = "ventas";
const TO: &str = "5491158254201";
const TEXT: &str = "from a client of WAHA";

/// What each call of the client was answered with, in their order.
struct Calls(Vec<Value>);

impl Calls {
    #[track_caller]
    fn answer(&self, call: &str) -> &Value {
        let found = self.0.iter().find(|said| said["call"] == call);
        &found.unwrap_or_else(|| panic!("no call {call}: {:?}", self.0))["answer"]
    }

    #[track_caller]
    fn refused(&self, call: &str, status: u16, code: &str) {
        let expected = json!({"refused": status, "code": code});
        assert_eq!(*self.answer(call), expected, "{call}");
    }
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one client's way through all of its calls"
)]
async fn a_client_that_was_made_for_waha_links_sends_hears_and_ends_a_session() {
    let hook = Target::open(|_| StatusCode::OK.into_response()).await;
    let service = Service::with(&[
        ("WEBHOOK_ALLOW_PRIVATE", "true"),
        ("MEDIA_ALLOW_PRIVATE", "true"),
    ])
    .await;
    let secrets = service.secrets();
    secrets.remember_text(TEXT);
    secrets.remember_number(TO);
    let folder = TempDir::new().unwrap();
    for (kind, _, bytes) in files() {
        fs::write(folder.path().join(kind), bytes).unwrap();
    }
    let document = [b"%PDF-1.7\n".as_slice(), &[9; 5000]].concat();
    let site = Site::serve(document.clone()).await;
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/python/waha_calls.py");
    let words = [
        service.url(),
        service.sandbox(),
        &hook.url,
        SESSION,
        TO,
        TEXT,
        folder.path().to_str().unwrap(),
        &site.url("/lista.pdf"),
    ]
    .map(str::to_owned);
    let run = move || {
        printed(&python, |command| {
            command.arg(script).args(words);
        })
    };
    let lines = tokio::task::spawn_blocking(run).await.unwrap();
    let said = lines.iter().map(|line| serde_json::from_str(line).unwrap());
    let calls = Calls(said.collect());
    println!("{}", lines.join("\n"));

    assert_eq!(*calls.answer("ping.ping"), json!({"message": "pong"}));
    assert_eq!(calls.answer("server.get")["engine"], "WEBJS");
    calls.refused("sessions.get unknown", 404, "SESSION_NOT_FOUND");
    let made = calls.answer("sessions.create");
    assert_eq!(made["name"], SESSION);
    assert_eq!(
        made["config"]["webhooks"][0]["events"],
        json!([
            "message.any",
            "session.status",
            "group.v2.join",
            "group.v2.leave",
            "group.v2.participants",
            "group.v2.update",
        ])
    );
    calls.refused("sessions.create with a proxy", 400, "INVALID_CONFIG");
    assert_eq!(calls.answer("auth.get_qr")["mimetype"], "image/png");
    assert!(
        calls.answer("auth.get_qr raw")["value"]
            .as_str()
            .unwrap()
            .contains('@')
    );

    let session = calls.answer("sessions.get");
    assert_eq!(session["status"], "WORKING");
    let me = session["me"]["id"].as_str().unwrap();
    let account = me.strip_suffix("@c.us").unwrap();
    secrets.remember_number(account);
    assert_eq!(calls.answer("sessions.list"), &json!([session]));
    assert_eq!(calls.answer("sessions.get_me"), &session["me"]);
    calls.refused("auth.get_qr linked", 404, "NO_QR");
    calls.refused("auth.request_code linked", 409, "LINKED_TO_ANOTHER_NUMBER");
    let exists = calls.answer("contacts.check_exists");
    assert_eq!(
        (&exists["numberExists"], &exists["pn"]),
        (&json!(true), &json!(format!("{TO}@c.us")))
    );
    assert_eq!(
        *calls.answer("contacts.check_exists absent"),
        json!({"numberExists": false})
    );

    let sent = calls.answer("chatting.send_text");
    assert_eq!(
        (&sent["ack"], &sent["ackName"], &sent["body"], &sent["from"]),
        (&json!(1), &json!("SERVER"), &json!(TEXT), &json!(me))
    );
    let id = sent["id"].as_str().unwrap();
    assert!(id.starts_with("true_"), "{id}");
    assert_eq!(sent["_data"]["id"]["_serialized"], id);
    let key = id.rsplit('_').next().unwrap();
    let reply = calls.answer("chatting.send_text reply_to");
    assert_eq!(reply["replyTo"]["id"], id);
    for call in [
        "chatting.send_location",
        "chatting.send_poll",
        "chatting.send_contact_vcard",
    ] {
        assert_eq!(calls.answer(call)["ack"], 1, "{call}");
    }
    for call in ["send_image", "send_file", "send_voice", "send_video"] {
        let answer = calls.answer(&format!("chatting.{call}"));
        assert_eq!(
            (&answer["ack"], &answer["hasMedia"], &answer["media"]),
            (&json!(1), &json!(true), &Value::Null),
            "{call}"
        );
    }
    calls.refused(
        "chatting.send_voice to be converted",
        400,
        "INVALID_CONTENT",
    );
    calls.refused("chatting.send_video round", 400, "INVALID_CONTENT");
    calls.refused("chatting.send_text no session", 400, "INVALID_CLIENTE_ID");
    calls.refused("chatting.send_text wrong chat", 400, "INVALID_TO");
    // WhatsApp has each of them once, and each as it was meant.
    let taken = service.taken(account).await;
    assert_eq!(taken.len(), 9, "{taken:?}");
    assert_eq!(taken[0]["body"], TEXT);
    assert!(taken[1]["quote"].to_string().contains(key), "{}", taken[1]);
    assert_eq!(taken[2]["location"]["name"], "Obelisco");
    assert_eq!(taken[3]["poll"]["choices"], 1);
    assert_eq!(taken[4]["contacts"].as_array().unwrap().len(), 1);
    let bytes_of = |kind: &str| {
        let mut all = files().into_iter();
        all.find(|file| file.0 == kind).unwrap().2
    };
    for (taken, kind, bytes) in [
        (&taken[5], "image", bytes_of("image")),
        (&taken[6], "document", document),
        (&taken[7], "voice", bytes_of("voice")),
        (&taken[8], "video", bytes_of("video")),
    ] {
        let got = &taken["media"];
        assert_eq!(
            (&got["kind"], &got["sha256"], &got["bytes"]),
            (&json!(kind), &json!(hash(&bytes)), &json!(bytes.len())),
            "{taken}"
        );
    }
    assert_eq!(taken[5]["media"]["caption"], format!("{TEXT} below"));
    assert!(taken[5]["quote"].to_string().contains(key), "{}", taken[5]);
    assert_eq!(taken[6]["media"]["filename"], "precios.pdf");

    assert_eq!(*calls.answer("chatting.send_seen"), json!({"ids": null}));
    for call in ["chatting.start_typing", "chatting.stop_typing"] {
        assert_eq!(*calls.answer(call), json!({"result": true}), "{call}");
    }
    assert_eq!(calls.answer("chatting.set_reaction")["body"], "👍");
    calls.refused("chatting.set_reaction unknown", 404, "MESSAGE_NOT_FOUND");

    // The group that it is no longer in, and the person: the group is the later one.
    let chats = calls.answer("chats.get_chats");
    let group = chats[0]["id"]["_serialized"].as_str().unwrap();
    assert_eq!(
        (&chats[0]["name"], &chats[0]["isGroup"]),
        (&json!("Familia"), &json!(true)),
        "{chats}"
    );
    let person = json!({"server": "c.us", "user": TO, "_serialized": format!("{TO}@c.us")});
    assert_eq!(
        (&chats[1]["id"], &chats[1]["unreadCount"]),
        (&person, &json!(0)),
        "{chats}"
    );
    assert_eq!(calls.answer("chats.get_chats second"), &json!([chats[1]]));
    let overview = calls.answer("chats.get_chats_overview");
    assert_eq!(
        (&overview[0]["id"], &overview[1]["_chat"]),
        (&json!(group), &chats[1])
    );
    assert_eq!(overview[1]["lastMessage"]["body"], format!("{TEXT}, asked"));
    let messages = calls.answer("chats.get_chat_messages");
    let messages = messages.as_array().unwrap();
    assert_eq!(messages.len(), 10, "{messages:?}");
    assert_eq!(
        (&messages[0]["fromMe"], &messages[0]["from"]),
        (&json!(false), &json!(format!("{TO}@c.us")))
    );
    assert_eq!(
        (&messages[1]["hasMedia"], &messages[1]["fromMe"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        (&messages[9]["id"], &messages[9]["body"]),
        (&json!(id), &json!(TEXT))
    );
    assert_eq!(
        calls.answer("chats.get_chat_messages second"),
        &json!([messages[1]])
    );
    calls.refused("chats.get_chats by name", 400, "INVALID_CONTENT");

    assert_eq!(
        calls.answer("sessions.update")["config"]["webhooks"],
        json!([])
    );
    assert_eq!(calls.answer("sessions.stop")["status"], "STOPPED");
    assert_eq!(*calls.answer("sessions.list stopped"), json!([]));
    assert_eq!(calls.answer("sessions.list all")[0]["status"], "STOPPED");
    assert_eq!(calls.answer("sessions.logout")["me"], Value::Null);
    calls.refused("sessions.get deleted", 404, "SESSION_NOT_FOUND");
    assert_eq!(service.get("/sessions").await.json()["details"], json!([]));

    // The receiver has heard of all of it in WAHA's words, until the webhook was taken away.
    let events = hook.taken();
    let named = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!(named("message.any"), 10, "{events:?}");
    let of_group = |name: &str| {
        let found: Vec<_> = events
            .iter()
            .filter(|event| event["event"] == name)
            .collect();
        assert_eq!(found.len(), 1, "{name}: {events:?}");
        let payload = &found[0]["payload"];
        assert_eq!(payload["group"]["id"], group, "{payload}");
        payload
    };
    assert_eq!(of_group("group.v2.join")["group"]["subject"], "Equipo");
    let promoted = of_group("group.v2.participants");
    let address = format!("{TO}@c.us");
    assert_eq!(
        (&promoted["type"], &promoted["participants"]),
        (
            &json!("promote"),
            &json!([{"id": address, "pn": address, "role": "admin"}])
        )
    );
    assert_eq!(of_group("group.v2.update")["group"]["subject"], "Familia");
    of_group("group.v2.leave");
    assert!(0 < named("session.status"), "{events:?}");
    assert!(events.iter().all(|event| event["session"] == SESSION));
    service.stop();
}
