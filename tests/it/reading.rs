//! What is read out of a page, with real pages: chats, the messages that WhatsApp Web has stored and those that only the phone has,
//! groups, numbers. What it shows is what the simulated phone did.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    adapters::served_by,
    hibernation::asleep,
    support::{Answer, Api, Service},
};

const FRIEND: &str = "5491150002222";
const OTHER: &str = "5491150003333";
/// No message comes to the account from it.
const STRANGER: &str = "5491158254201";

/// The first person of a history that the sandbox makes for the first account.
const OF_HISTORY: &str = "5491150000002";

impl Api {
    /// What `GET` answers of session 51.
    pub(crate) async fn reads(&self, path: &str) -> Value {
        let read = self.tries_to_read(path).await;
        assert_eq!(read.status, 200, "{path}: {}", read.text());
        let read = read.json();
        assert_eq!(read["cliente_id"], "51");
        read
    }

    async fn tries_to_read(&self, path: &str) -> Answer {
        let mark = if path.contains('?') { '&' } else { '?' };
        self.get(&format!("{path}{mark}cliente_id=51")).await
    }

    /// All messages of a chat, page by page, the newest first.
    async fn all_messages(&self, chat: &str, limit: usize) -> Vec<Value> {
        let (mut all, mut before) = (Vec::new(), String::new());
        loop {
            let path = format!("/chats/{chat}/messages?limit={limit}{before}");
            let page = self.reads(&path).await;
            let messages = page["messages"].as_array().unwrap();
            assert!(messages.len() <= limit, "{}", messages.len());
            all.extend(messages.iter().cloned());
            match page["next"].as_str() {
                Some(next) => before = format!("&before={next}"),
                None => return all,
            }
        }
    }
}

fn chat_with<'a>(chats: &'a Value, phone: &str) -> &'a Value {
    let chats = chats["chats"].as_array().unwrap();
    let found = chats.iter().find(|chat| chat["person"]["phone"] == phone);
    found.unwrap_or_else(|| panic!("no chat with …{}: {chats:?}", &phone[9..]))
}

#[expect(
    clippy::too_many_lines,
    reason = "one account does all of it: each start of a service costs seconds"
)]
async fn reads_each_thing(adapter: &'static str, faults: Value) {
    let service = Service::start(served_by(adapter)).await;
    service.faults(faults.clone()).await;
    let account = service.link("51").await;
    let by_lid = faults["lid_chats"] == true;
    let does = |act: &'static str, body: Value| {
        let (service, account) = (&service, &account);
        async move { service.does(account, act, body).await }
    };

    let first = does(
        "receive",
        json!({"from": FRIEND, "name": "Ana", "body": "Hola"}),
    )
    .await;
    let gone = does("receive", json!({"from": FRIEND, "body": "me equivoqué"})).await;
    does("delete", json!({"id": gone})).await;
    does("edit", json!({"id": first, "body": "Hola!"})).await;
    let picture = json!({"from": FRIEND, "name": "Ana", "body": "mirá", "media": {"kind": "image", "size": 4321}, "quote": first});
    let picture = does("receive", picture).await;
    service
        .hears("the picture", |log| {
            log.iter()
                .any(|event| event["data"]["key"] == json!(picture))
        })
        .await;
    let sent = service.sends(51, FRIEND, "Por la API").await;
    let sent = sent["message_id"].as_str().unwrap().to_owned();
    does("post", json!({"from": OTHER, "body": "mi estado"})).await;
    does(
        "post",
        json!({"channel": "120363012345678901", "body": "noticia"}),
    )
    .await;
    let group = json!({"name": "Equipo", "participants": [FRIEND, OTHER]});
    let group = does("group", group).await;
    let last = does(
        "receive",
        json!({"from": OTHER, "name": "Beto", "group": group, "body": "última"}),
    )
    .await;
    service
        .hears("all of it", |log| {
            let has = |kind: &str, key: &str| {
                log.iter()
                    .any(|event| event["type"] == kind && event["data"]["key"] == key)
            };
            has("message", &last)
                && has("message.edited", &first)
                && has("message.revoked", &gone)
                && has("message", &picture)
        })
        .await;

    let chats = service.reads("/chats").await;
    assert_eq!(chats["count"], 2, "{chats}");
    assert_eq!(chats.get("next"), None);
    let of_group = &chats["chats"][0];
    assert_eq!(
        (&of_group["chat"], &of_group["name"], &of_group["is_group"]),
        (
            &json!(format!("{group}@g.us")),
            &json!("Equipo"),
            &json!(true)
        )
    );
    assert_eq!(of_group["last_message"]["text"], "última");
    assert_eq!(of_group["last_message"]["from"]["phone"], OTHER);
    let friend = chat_with(&chats, FRIEND);
    assert_eq!(friend["chat"].as_str().unwrap().ends_with("@lid"), by_lid);
    assert_eq!(friend["person"]["name"], "Ana");
    assert!(friend["unread_count"].as_u64() > Some(0), "{friend}");
    assert_eq!(friend["last_message"]["text"], "Por la API");
    let one = service.reads("/chats?limit=1").await;
    assert_eq!(one["chats"][0]["chat"], of_group["chat"]);
    let next = one["next"].as_str().unwrap();
    let rest = service.reads(&format!("/chats?limit=1&after={next}")).await;
    assert_eq!(rest["chats"][0]["chat"], friend["chat"]);
    assert_eq!(rest.get("next"), None, "{rest}");

    // By number, whatever address the chat has.
    let read = service.reads(&format!("/chats/{FRIEND}/messages")).await;
    assert_eq!(read["chat"], friend["chat"]);
    let messages = read["messages"].as_array().unwrap();
    let keys: Vec<_> = messages
        .iter()
        .map(|one| one["key"].as_str().unwrap())
        .collect();
    let sent_key = sent.rsplit('_').next().unwrap();
    assert_eq!(keys, [sent_key, &picture, &gone, &first]);
    let [own, image, revoked, edited] = messages.as_slice() else {
        panic!("{messages:?}")
    };
    assert_eq!((&own["is_own"], &own["id"]), (&json!(true), &json!(sent)));
    assert!(own["ack"].as_i64() >= Some(1), "{own}");
    assert_eq!(
        (&image["kind"], &image["caption"]),
        (&json!("image"), &json!("mirá"))
    );
    assert_eq!(image["quoted"]["key"], json!(first));
    assert_eq!(
        (&revoked["is_revoked"], revoked.get("text")),
        (&json!(true), None)
    );
    assert_eq!(
        (&edited["is_edited"], &edited["text"]),
        (&json!(true), &json!("Hola!"))
    );
    assert_eq!(edited["from"]["phone"], FRIEND);
    assert!(edited["timestamp"].as_str().unwrap().ends_with('Z'));
    // Before a message, by its whole id and by the last part.
    for before in [image["id"].as_str().unwrap(), &picture] {
        let older = service
            .reads(&format!("/chats/{FRIEND}/messages?before={before}"))
            .await;
        let older = older["messages"].as_array().unwrap();
        assert_eq!(older.len(), 2, "{before}: {older:?}");
    }
    let in_group = service
        .reads(&format!("/chats/{group}@g.us/messages"))
        .await;
    assert_eq!(in_group["count"], 1, "notices are no messages: {in_group}");

    let groups = service.reads("/groups").await;
    assert_eq!(groups["groups"][0]["subject"], "Equipo");
    assert_eq!(groups["groups"][0]["is_member"], true);
    let read = service.reads(&format!("/groups/{group}@g.us")).await;
    let details = &read["group"];
    assert_eq!(
        details["address_mode"],
        if by_lid { "lid" } else { "number" }
    );
    let members = details["participants"].as_array().unwrap();
    let member = |phone: &str| members.iter().find(|one| one["phone"] == phone).unwrap();
    assert_eq!(members.len(), 3, "{details}");
    assert_eq!(member(FRIEND)["is_super_admin"], true);
    assert_eq!(member(OTHER)["is_admin"], false);
    assert_eq!(member(OTHER)["name"], "Beto");
    assert!(member(FRIEND)["lid"].as_str().unwrap().ends_with("@lid"));
    assert_eq!(member(&account)["is_me"], true);

    let known = service.reads(&format!("/numbers/{FRIEND}")).await;
    assert_eq!(
        (&known["exists"], &known["chat"]),
        (&json!(true), &friend["chat"])
    );
    let lid = known["lid"].as_str().unwrap();
    let by_lid = service.reads(&format!("/numbers/{lid}")).await;
    assert_eq!(
        (&by_lid["phone"], &by_lid["exists"]),
        (&json!(FRIEND), &json!(true))
    );
    let found = service.reads(&format!("/numbers/+{STRANGER}")).await;
    assert_eq!(
        (&found["exists"], &found["phone"]),
        (&json!(true), &json!(STRANGER))
    );
    assert!(found["lid"].is_string(), "{found}");
    let none = service.reads("/numbers/5491150000000").await;
    assert_eq!(
        (&none["exists"], &none["chat"]),
        (&json!(false), &Value::Null)
    );
    let unknown = service.reads("/numbers/999999999999999@lid").await;
    assert_eq!(
        (&unknown["exists"], &unknown["phone"]),
        (&Value::Null, &Value::Null)
    );

    for (path, status, code) in [
        (format!("/chats/{STRANGER}/messages"), 404, "CHAT_NOT_FOUND"),
        (
            format!("/chats/{FRIEND}/messages?before=3A00"),
            404,
            "MESSAGE_NOT_FOUND",
        ),
        (
            format!("/chats/{FRIEND}/messages?limit=201"),
            400,
            "INVALID_LIMIT",
        ),
        (
            format!("/chats/{FRIEND}/messages?fetch=perhaps"),
            400,
            "INVALID_FETCH",
        ),
        (
            "/chats/status@broadcast/messages".to_owned(),
            400,
            "INVALID_CHAT",
        ),
        (
            "/chats/120363012345678901@newsletter/messages".to_owned(),
            400,
            "INVALID_CHAT",
        ),
        (
            "/groups/120363000000000000@g.us".to_owned(),
            404,
            "CHAT_NOT_FOUND",
        ),
        (format!("/groups/{FRIEND}"), 400, "INVALID_CHAT"),
        (format!("/numbers/{group}@g.us"), 400, "INVALID_CHAT"),
        ("/chats?after=x".to_owned(), 400, "INVALID_AFTER"),
        ("/groups?limit=0".to_owned(), 400, "INVALID_LIMIT"),
    ] {
        service
            .tries_to_read(&path)
            .await
            .assert_refused(status, code);
    }
    service.stop();
}

#[tokio::test]
async fn chats_messages_groups_and_numbers_are_read_by_the_modules() {
    reads_each_thing("modules", json!({})).await;
}

#[tokio::test]
async fn chats_messages_groups_and_numbers_are_read_by_the_modules_where_chats_go_by_lid() {
    reads_each_thing("modules", json!({"lid_chats": true})).await;
}

#[tokio::test]
async fn chats_messages_groups_and_numbers_are_read_by_wa_js() {
    reads_each_thing("wa-js", json!({})).await;
}

#[tokio::test]
async fn chats_messages_groups_and_numbers_are_read_by_wa_js_where_chats_go_by_lid() {
    reads_each_thing("wa-js", json!({"lid_chats": true})).await;
}

/// Each text of a history is there once, and they are in their order.
fn assert_whole(read: &[Value], messages: usize) {
    let texts: Vec<_> = read
        .iter()
        .map(|one| one["text"].as_str().unwrap())
        .collect();
    let all = (1..=messages)
        .rev()
        .map(|nth| format!("history {nth} of {messages}"));
    assert_eq!(texts, all.collect::<Vec<_>>());
}

async fn pages_through_a_long_chat(adapter: &'static str) {
    let service = Service::start(served_by(adapter)).await;
    let history = json!({"account": "5491150000001", "chats": 1, "messages": 5000});
    assert_eq!(service.phone("/phone/history", &history).await.status, 200);
    service.link("51").await;
    // The rest of a history comes while the page is in use, the newest at last.
    let deadline = Instant::now() + Duration::from_secs(60);
    let newest = format!("/chats/{OF_HISTORY}/messages?limit=1");
    while service.reads(&newest).await["messages"][0]["text"] != "history 5000 of 5000" {
        assert!(Instant::now() < deadline, "the history is not all there");
    }
    let read = service.all_messages(OF_HISTORY, 200).await;
    assert_whole(&read, 5000);
    service.stop();
}

#[tokio::test]
async fn five_thousand_messages_are_read_page_by_page_each_once_by_the_modules() {
    pages_through_a_long_chat("modules").await;
}

#[tokio::test]
async fn five_thousand_messages_are_read_page_by_page_each_once_by_wa_js() {
    pages_through_a_long_chat("wa-js").await;
}

async fn fetches_from_the_phone(adapter: &'static str) {
    let service = Service::start(served_by(adapter)).await;
    let account = "5491150000001";
    let history = json!({"account": account, "chats": 1, "messages": 10, "older": 70});
    assert_eq!(service.phone("/phone/history", &history).await.status, 200);
    assert_eq!(service.link("51").await, account);
    let chat = format!("/chats/{OF_HISTORY}/messages");
    let stored = service.reads(&format!("{chat}?limit=200")).await;
    assert_eq!(
        (&stored["count"], &stored["older"]),
        (&json!(10), &json!("phone"))
    );
    assert_eq!(stored.get("next"), None, "{stored}");
    assert_eq!(stored.get("fetched"), None);
    // A phone that is switched off: what is stored is answered, and says that the phone has more.
    service.faults(json!({"older_history": "never"})).await;
    let asked = service.reads(&format!("{chat}?limit=200&fetch=true")).await;
    assert_eq!(
        (&asked["count"], &asked["fetched"]),
        (&json!(10), &json!(false))
    );
    assert_eq!(asked["older"], "phone");
    service.faults(json!({})).await;
    // It gives fifty at a time. The page forgets its question after a while.
    let deadline = Instant::now() + Duration::from_secs(60);
    let whole = loop {
        let read = service.reads(&format!("{chat}?limit=200&fetch=true")).await;
        if read["older"] == "none" {
            break read;
        }
        assert!(Instant::now() < deadline, "{read}");
    };
    assert_whole(whole["messages"].as_array().unwrap(), 80);
    // What the phone gave is old, and no event.
    let log = service
        .get("/events?types=message.any&limit=1000")
        .await
        .json();
    assert_eq!(log["events"], json!([]));
    service.stop();
}

#[tokio::test]
async fn older_messages_are_fetched_from_the_phone_by_the_modules() {
    fetches_from_the_phone("modules").await;
}

#[tokio::test]
async fn older_messages_are_fetched_from_the_phone_by_wa_js() {
    fetches_from_the_phone("wa-js").await;
}

#[tokio::test]
async fn a_reading_that_hangs_holds_up_no_send_and_too_many_are_refused() {
    let (service, account) = Service::linked(&[]).await;
    let text = json!({"from": FRIEND, "body": "Hola"});
    let key = service.does(&account, "receive", text).await;
    service
        .hears("the text", |log| {
            log.iter().any(|event| event["data"]["key"] == key)
        })
        .await;
    service.faults(json!({"message_search": "never"})).await;
    let path = format!("/chats/{FRIEND}/messages");
    let began = Instant::now();
    let mut readings = JoinSet::new();
    for _ in 0..12 {
        let (api, path) = ((*service).clone(), path.clone());
        readings.spawn(async move { api.tries_to_read(&path).await });
    }
    // One of them is under way, eight wait, and the others are refused at once.
    for _ in 0..3 {
        let refused = readings.join_next().await.unwrap().unwrap();
        refused.assert_refused(503, "READING_BUSY");
        assert!(refused.header("retry-after").is_some());
    }
    assert!(began.elapsed() < Duration::from_secs(8));
    let asked = Instant::now();
    service.sends(51, FRIEND, "No espera").await;
    let sent_after = asked.elapsed();
    assert!(sent_after < Duration::from_secs(5), "{sent_after:?}");
    assert_eq!(readings.len(), 9, "none of them is over");
    while let Some(answer) = readings.join_next().await {
        let answer = answer.unwrap();
        let code = answer.json()["code"].clone();
        assert!(
            code == "READING_FAILED" || code == "READING_BUSY",
            "{}",
            answer.text()
        );
    }
    assert!(began.elapsed() < Duration::from_secs(40));
    // What hung is over, and the page can be read.
    service.faults(json!({})).await;
    let read = service.reads(&path).await;
    assert_eq!(read["messages"][0]["text"], "No espera");
    service.stop();
}

#[tokio::test]
async fn a_page_that_is_only_seen_cannot_be_read_and_one_that_is_away_says_why() {
    let (service, _account) = Service::linked(&[("ADAPTERS", "dom")]).await;
    for path in ["/chats", "/groups", "/numbers/5491150002222"] {
        let refused = service.tries_to_read(path).await;
        refused.assert_refused(503, "READING_UNAVAILABLE");
        assert!(refused.text().contains("ADAPTERS"), "{}", refused.text());
    }
    service.disconnect("51").await;
    let refused = service.tries_to_read("/chats").await;
    refused.assert_refused(503, "SESSION_NOT_READY");
    assert_eq!(refused.json()["state"], "DISCONNECTED");
    let other = service.get("/chats?cliente_id=99").await;
    other.assert_refused(503, "SESSION_NOT_READY");
    service.stop();
}

#[tokio::test]
async fn a_session_that_hibernates_wakes_to_be_read() {
    let (service, account) = Service::linked(&[("HIBERNATE_AFTER_SECONDS", "1")]).await;
    let text = json!({"from": FRIEND, "body": "Hola"});
    service.does(&account, "receive", text).await;
    asleep(&service).await;
    let read = service.reads(&format!("/chats/{FRIEND}/messages")).await;
    assert_eq!(read["messages"][0]["text"], "Hola");
    service.stop();
}

#[tokio::test]
async fn a_number_whose_lid_is_not_known_has_none() {
    let (service, _account) = Service::linked(&[]).await;
    service.faults(json!({"no_lids": true})).await;
    let found = service.reads(&format!("/numbers/{STRANGER}")).await;
    assert_eq!(
        (&found["exists"], &found["lid"], &found["chat"]),
        (
            &json!(true),
            &Value::Null,
            &json!(format!("{STRANGER}@c.us"))
        )
    );
    service.stop();
}
