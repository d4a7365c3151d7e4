//! What `/send` sends beside a plain text, with real pages: answers, mentions, places, contact cards and polls, to people and to
//! groups. What the recipient gets is what the simulated server has taken.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    adapters::served_by,
    ledger::becomes,
    media::{files, hash},
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
    let service = Service::start(served_by(adapter)).await;
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
    for is_dry_run in [false, true] {
        let nowhere =
            json!({ "to": "120363000000000000@g.us", "message": "x", "dry_run": is_dry_run });
        let refused = service.refuses_content(nowhere).await;
        refused.assert_refused(400, "NOT_IN_GROUP");
    }
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

/// A request of each kind, and one that says something else. `own` is a message of the account.
fn requests(own: &str) -> Vec<(String, Value, Value)> {
    let mut requests = Vec::new();
    let mut add = |name: &str, path: &str, fields: [Value; 2]| {
        let [same, other] = fields.map(|mut fields| {
            fields["cliente_id"] = json!(51);
            fields["idempotency_key"] = json!(format!("order-{name}"));
            fields
        });
        requests.push((path.to_owned(), same, other));
    };
    let mut send = |name: &str, values: [Value; 2]| {
        let fields = values.map(|value| {
            let mut fields = json!({ "to": FRIEND });
            fields[name] = value;
            fields
        });
        add(name, "/send", fields);
    };
    send("message", [json!("Hola otra vez"), json!("Otra cosa")]);
    send(
        "location",
        [1.5, 2.5].map(|degrees| json!({ "latitude": degrees, "longitude": -2.25 })),
    );
    send(
        "contact",
        ["Ana", "Beto"].map(|name| json!({ "name": name, "phone": OTHER })),
    );
    send(
        "poll",
        ["asado", "sushi"].map(|other| json!({ "question": "¿Qué?", "options": ["pasta", other] })),
    );
    for (kind, mimetype, bytes) in files() {
        let longer = [bytes.as_slice(), b"?"].concat();
        let fields = [bytes, longer].map(|bytes| {
            let media = json!({ "kind": kind, "data": BASE64_STANDARD.encode(bytes), "mimetype": mimetype });
            json!({ "to": FRIEND, "media": media })
        });
        add(kind, "/send", fields);
    }
    let reaction = format!("/messages/{own}/reaction");
    add(
        "reaction",
        &reaction,
        ["👍", "❤️"].map(|emoji| json!({ "emoji": emoji })),
    );
    requests
}

#[tokio::test]
async fn each_kind_is_one_message_under_a_key_that_comes_five_times_over_a_kill() {
    let (service, account) = Service::linked(&[("SEND_RATE_PER_MINUTE", "0")]).await;
    let own = service.sends(51, FRIEND, "Hola").await;
    let own = own["message_id"].as_str().unwrap();
    let requests = requests(own);
    let mut first = Vec::new();
    for (path, same, other) in &requests {
        let answer = service.post(path, same).await;
        assert_eq!(answer.status, 200, "{same}: {}", answer.text());
        let refused = service.post(path, other).await;
        refused.assert_refused(422, "IDEMPOTENCY_KEY_REUSED");
        first.push(answer.json());
    }
    let repeats = async |service: &Service| {
        for ((path, same, _), first) in requests.iter().zip(&first) {
            let again = service.post(path, same).await;
            assert_eq!(again.status, 200, "{same}: {}", again.text());
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{same}");
            assert_eq!(&again.json(), first, "{same}");
        }
    };
    for _ in 0..2 {
        repeats(&service).await;
    }
    let service = Service::start_in(service.kill(), |_| {}).await;
    service.reaches("51", "READY").await;
    for _ in 0..2 {
        repeats(&service).await;
    }
    let taken = service.taken(&account).await;
    // The own one, and each but the reaction to it.
    assert_eq!(taken.len(), requests.len(), "{taken:?}");
    for (first, (path, ..)) in first.iter().zip(&requests) {
        let id = first["message_id"].as_str().unwrap();
        let found = taken
            .iter()
            .filter(|message| id.contains(message["id"].as_str().unwrap()));
        assert_eq!(found.count(), usize::from(path == "/send"), "{first}");
    }
    assert_eq!(
        (&taken[0]["reaction"], &taken[0]["changes"]),
        (&json!("👍"), &json!(1))
    );
    service.stop();
}

#[tokio::test]
async fn a_lid_is_written_to_as_a_number_is() {
    for by_lid in [false, true] {
        let service = Service::with(&[]).await;
        service.faults(json!({ "lid_chats": by_lid })).await;
        let account = service.link("51").await;
        let found = service.reads(&format!("/numbers/{FRIEND}")).await;
        let lid = found["lid"].as_str().unwrap();
        assert!(lid.ends_with("@lid"), "{lid}");
        let text = json!({ "to": lid, "message": "Hola, quien seas" });
        let first = service.sends_content(&account, text).await;
        assert_eq!(
            (&first["to"], &first["body"]),
            (&json!(FRIEND), &json!("Hola, quien seas"))
        );
        let (kind, mimetype, bytes) = files().remove(0);
        let data = BASE64_STANDARD.encode(&bytes);
        let media = json!({ "to": lid, "quote": first["id"], "media": { "kind": kind, "data": data, "mimetype": mimetype } });
        let taken = service.sends_content(&account, media).await;
        assert_eq!(
            (&taken["to"], &taken["quote"], &taken["media"]["sha256"]),
            (&json!(FRIEND), &first["id"], &json!(hash(&bytes)))
        );
        if by_lid {
            // It is one chat, whichever address a caller knows.
            let by_number = json!({ "to": FRIEND, "message": "Hola de nuevo" });
            service.sends_content(&account, by_number).await;
            let chats = service.reads("/chats").await;
            assert_eq!(chats["chats"].as_array().unwrap().len(), 1, "{chats}");
        }
        // WhatsApp's server says of no LID whether it is one; it takes nothing for it.
        let unknown = json!({ "to": "999999999999999@lid", "message": "x" });
        let refused = service.refuses_content(unknown).await;
        refused.assert_refused(500, "SEND_FAILED");
        service.stop();
    }
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
