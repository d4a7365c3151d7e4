//! What can be asked of messages afterwards, and what is kept of them.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::support::chrome::eventually;

#[tokio::test]
async fn a_message_tells_how_far_it_has_got_and_when() {
    let (service, _) = Service::linked(&[]).await;
    let id = id_of(&service.send(51, TO, "a secret").await);
    let read = becomes(&service, &id, "read").await;
    let times = [
        "queued_at",
        "handed_at",
        "sent_at",
        "delivered_at",
        "read_at",
    ];
    let times: Vec<_> = times.map(|name| read[name].as_str().unwrap()).to_vec();
    assert!(times.is_sorted(), "{read}");
    assert_eq!(
        (
            &read["ack"],
            &read["to"],
            &read["cliente_id"],
            &read["adapter"]
        ),
        (&json!(3), &json!(TO), &json!(51), &json!("modules"))
    );
    assert!(!read.to_string().contains("a secret"), "{read}");
    let by_key = message(&service, read["key"].as_str().unwrap()).await;
    assert_eq!(by_key, read);
    let unknown = service.get("/messages/true_1@c.us_3EB0").await;
    unknown.assert_refused(404, "MESSAGE_NOT_FOUND");
    service.stop();
}

#[tokio::test]
async fn messages_are_listed_by_session_and_state_a_page_at_a_time() {
    let (service, _) = Service::linked(&[]).await;
    service.link("52").await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(id_of(&service.send(51, TO, &n.to_string()).await));
    }
    service.send(52, TO, "x").await;
    service.send(51, NOBODY, "x").await;
    becomes(&service, ids.last().unwrap(), "read").await;

    let list = async |query: &str| service.get(&format!("/messages?{query}")).await.json();
    let (mut listed, mut after) = (Vec::new(), json!(0));
    for count in [2, 2, 1] {
        let page = list(&format!("cliente_id=51&state=read&limit=2&after={after}")).await;
        assert_eq!(page["count"], count, "{page}");
        let messages = page["messages"].as_array().unwrap();
        listed.extend(messages.iter().map(|message| message["message_id"].clone()));
        after = page["next"].clone();
    }
    assert_eq!((json!(listed), after), (json!(ids), Value::Null));
    let failed = list("state=failed").await;
    assert_eq!(failed["messages"][0]["code"], "NUMBER_NOT_ON_WHATSAPP");
    assert_eq!(list("cliente_id=52").await["count"], 1);
    assert_eq!(list("").await["count"], 7);
    for (query, code) in [
        ("state=lost", "INVALID_STATE"),
        ("after=x", "INVALID_AFTER"),
        ("limit=0", "INVALID_LIMIT"),
        ("limit=1001", "INVALID_LIMIT"),
        ("cliente_id=a%20b", "INVALID_CLIENTE_ID"),
    ] {
        let refused = service.get(&format!("/messages?{query}")).await;
        refused.assert_refused(400, code);
    }
    service.stop();
}

#[tokio::test]
async fn texts_go_from_the_disk_when_they_are_no_longer_needed_and_nobody_else_can_read_it() {
    let (service, _) = Service::linked(&[("MESSAGE_RETENTION_HOURS", "0")]).await;
    let folder = service.home().ledger();
    let is_kept = |text: &str| {
        let files = std::fs::read_dir(&folder).unwrap().flatten();
        let mut files = files.map(|file| std::fs::read(file.path()).unwrap());
        files.any(|bytes| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        })
    };
    service.faults(json!({ "ack": "never" })).await;
    let text = "nobody shall read this";
    let pending = keyed_pending(&service, text).await;
    assert!(is_kept(text), "it may have to be handed over again");
    service.faults(json!({ "event": "socket_closed" })).await;
    becomes(&service, &pending, "read").await;
    eventually("the text is gone", || !is_kept(text)).await;
    assert_eq!(message(&service, &pending).await["state"], "read");

    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for file in std::fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
    service.stop();
}

/// Sends something that is not acknowledged, and gives its id once the page has it.
async fn keyed_pending(service: &Service, text: &str) -> String {
    let id = id_of(&later(service, TO, text).await);
    becomes(service, &id, "handed").await;
    service
        .phone_shows("the message", |state| state["sent"][0].is_object())
        .await;
    service.faults(json!({})).await;
    id
}
