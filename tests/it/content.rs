//! What `/send` sends beside a plain text, with real pages: answers, mentions, places, contact cards and polls, to people and to
//! groups. What the recipient gets is what the simulated server has taken.

use serde_json::{Value, json};

use crate::{
    adapters::{CURRENT, bundle},
    ledger::becomes,
    support::{Answer, Service},
};

const FRIEND: &str = "5491150002222";
const OTHER: &str = "5491150003333";

impl Service {
    /// Sends what the fields say, and gives what the server has of it.
    async fn sends_content(&self, account: &str, mut fields: Value) -> Value {
        fields["cliente_id"] = json!(51);
        let sent = self.post("/send", &fields).await;
        assert_eq!(sent.status, 200, "{fields}: {}", sent.text());
        let id = sent.json()["message_id"].as_str().unwrap().to_owned();
        let taken = self.taken(account).await;
        let is_meant = |message: &&Value| id.contains(message["id"].as_str().unwrap());
        let found: Vec<_> = taken.iter().filter(is_meant).collect();
        assert_eq!(found.len(), 1, "{fields}: {taken:?}");
        found[0].clone()
    }

    async fn refuses_content(&self, mut fields: Value) -> Answer {
        fields["cliente_id"] = json!(51);
        self.post("/send", &fields).await
    }
}

async fn sends_each_kind(adapter: &'static str, faults: Value) {
    let service = Service::start(|env| {
        env.insert("ADAPTERS", adapter.into());
        env.insert("WA_JS_PATH", bundle(CURRENT).into());
    })
    .await;
    service.faults(faults).await;
    let account = service.link("51").await;
    let question = json!({ "from": FRIEND, "body": "¿venís?" });
    let key = service.does(&account, "receive", question).await;
    let heard = service
        .hears("the question", |log| {
            log.iter().any(|event| event["data"]["key"] == json!(key))
        })
        .await;
    let heard = heard
        .iter()
        .find(|event| event["data"]["key"] == json!(key));
    let id = heard.unwrap()["data"]["id"].as_str().unwrap();

    // By the full id, and by its last part.
    for quote in [id, &key] {
        let answer = json!({ "to": FRIEND, "message": "Sí, claro", "quote": quote });
        let taken = service.sends_content(&account, answer).await;
        assert_eq!(taken["body"], "Sí, claro");
        assert_eq!(taken["quote"], json!(key), "{quote}");
    }
    let unknown = json!({ "to": FRIEND, "message": "x", "quote": "3A00000000000000000000" });
    let refused = service.refuses_content(unknown).await;
    refused.assert_refused(400, "QUOTE_NOT_FOUND");

    let place = json!({ "latitude": -34.6037, "longitude": -58.3816, "name": "Obelisco", "address": "Av. 9 de Julio\nCABA" });
    let taken = service
        .sends_content(&account, json!({ "to": FRIEND, "location": place }))
        .await;
    assert_eq!(taken["location"], place);
    assert_eq!(taken["body"], "");

    let card = json!({ "name": "Ana; López", "phone": "+54 9 11 5825-4202" });
    let taken = service
        .sends_content(
            &account,
            json!({ "to": FRIEND, "contact": card, "quote": id }),
        )
        .await;
    let [sent] = taken["contacts"].as_array().unwrap().as_slice() else {
        panic!("{taken}");
    };
    assert_eq!(sent["name"], "Ana; López");
    let vcard = sent["vcard"].as_str().unwrap();
    assert!(
        vcard.contains("FN:Ana\\; López\n")
            && vcard.contains("waid=5491158254202:+5491158254202\n"),
        "{vcard}"
    );
    assert_eq!(taken["quote"], json!(key));
    let two = json!([card, { "name": "Beto", "phone": OTHER }]);
    let taken = service
        .sends_content(&account, json!({ "to": FRIEND, "contact": two }))
        .await;
    assert_eq!(taken["contacts"].as_array().unwrap().len(), 2, "{taken}");

    let poll = json!({ "question": "¿Cuándo?", "options": ["lunes", "martes"] });
    let taken = service
        .sends_content(&account, json!({ "to": FRIEND, "poll": poll }))
        .await;
    assert_eq!(
        taken["poll"],
        json!({ "question": "¿Cuándo?", "options": ["lunes", "martes"], "choices": 0 })
    );

    let group = json!({ "name": "Familia", "participants": [FRIEND, OTHER] });
    let group = service.does(&account, "group", group).await;
    let to = format!("{group}@g.us");
    let first = json!({ "from": OTHER, "group": group, "body": "hola a todos" });
    let first = service.does(&account, "receive", first).await;
    service
        .hears("the group", |log| {
            log.iter().any(|event| event["data"]["key"] == json!(first))
        })
        .await;
    let text = json!({ "to": to, "message": format!("Hola @{FRIEND}"), "mentions": [FRIEND] });
    let taken = service.sends_content(&account, text).await;
    assert_eq!(
        (&taken["group"], &taken["to"]),
        (&json!(group), &Value::Null)
    );
    assert_eq!(taken["mentions"], json!([FRIEND]));
    let said = taken["body"].as_str().unwrap();
    assert!(said.starts_with("Hola @"), "{said}");
    let poll = json!({ "question": "¿Dónde?", "options": ["acá", "allá", "acullá"], "choices": 2 });
    let taken = service
        .sends_content(&account, json!({ "to": to, "poll": poll }))
        .await;
    assert_eq!((&taken["group"], &taken["poll"]), (&json!(group), &poll));
    let nowhere = json!({ "to": "120363000000000000@g.us", "message": "x" });
    let refused = service.refuses_content(nowhere).await;
    refused.assert_refused(400, "NOT_IN_GROUP");
    service.stop();
}

#[tokio::test]
async fn each_kind_of_content_is_sent_by_the_modules() {
    sends_each_kind("modules", json!({})).await;
}

#[tokio::test]
async fn each_kind_of_content_is_sent_by_the_modules_where_chats_go_by_lid() {
    sends_each_kind("modules", json!({ "lid_chats": true })).await;
}

#[tokio::test]
async fn each_kind_of_content_is_sent_by_wa_js() {
    sends_each_kind("wa-js", json!({})).await;
}

#[tokio::test]
async fn each_kind_of_content_is_sent_by_wa_js_where_chats_go_by_lid() {
    sends_each_kind("wa-js", json!({ "lid_chats": true })).await;
}

#[tokio::test]
async fn a_poll_under_one_key_is_one_message_over_a_restart_and_another_poll_is_refused() {
    let (service, account) = Service::linked(&[]).await;
    let poll = |options: Value| json!({ "cliente_id": 51, "to": FRIEND, "idempotency_key": "lunch-1", "poll": { "question": "¿Qué?", "options": options } });
    let same = poll(json!(["pasta", "asado"]));
    let other = poll(json!(["pasta", "sushi"]));
    let first = service.post("/send", &same).await;
    assert_eq!(first.status, 200, "{}", first.text());
    service
        .post("/send", &other)
        .await
        .assert_refused(422, "IDEMPOTENCY_KEY_REUSED");
    let home = service.kill();
    let service = Service::start_in(home, |_| {}).await;
    service.reaches("51", "READY").await;
    for _ in 0..5 {
        let again = service.post("/send", &same).await;
        assert_eq!(again.status, 200, "{}", again.text());
        assert_eq!(again.json()["message_id"], first.json()["message_id"]);
    }
    assert_eq!(service.taken(&account).await.len(), 1);
    service.stop();
}

#[tokio::test]
async fn what_is_no_text_waits_on_disk_for_a_page_and_the_screen_alone_sends_none_of_it() {
    let (service, account) = Service::linked(&[]).await;
    service.disconnect("51").await;
    let home = service.stop();
    let service = Service::start_in(home, |env| {
        env.insert("ADAPTERS", "dom".into());
    })
    .await;
    service.connect("51").await;
    service.reaches("51", "READY").await;
    let place = json!({ "latitude": 1.5, "longitude": -2.25 });
    let send = json!({ "cliente_id": 51, "to": FRIEND, "location": place });
    let refused = service.post("/send", &send).await;
    refused.assert_refused(500, "SEND_FAILED");
    assert!(refused.text().contains("plain texts"), "{}", refused.text());
    let to = json!({ "cliente_id": 51, "to": "120363000000000000@g.us", "message": "x" });
    let refused = service.post("/send", &to).await;
    refused.assert_refused(500, "SEND_FAILED");
    // The network is away, so the next one waits; the service is killed meanwhile.
    service.faults(json!({ "socket": "refuse" })).await;
    service.reaches("51", "AUTHENTICATED").await;
    let mut later = send.clone();
    later["async"] = json!(true);
    let accepted = service.post("/send", &later).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    let home = service.kill();
    let service = Service::start_in(home, |_| {}).await;
    service.reaches("51", "READY").await;
    let id = accepted.json()["message_id"].as_str().unwrap().to_owned();
    becomes(&service, &id, "read").await;
    let taken = service.taken(&account).await;
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert_eq!(taken[0]["location"], place);
    service.stop();
}
