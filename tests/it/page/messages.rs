//! The messages of a session on the service's page: who sees them, and how.

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::visitor::Visitor;
use crate::{
    keys,
    support::{Home, Service},
};

const ANA: &str = "5491158254201";

/// An event as the log has it, with its own time in the order of these calls.
fn write_down(log: &Connection, kind: &str, source: Option<&str>, is_late: bool, data: &Value) {
    let seq: i64 = log
        .query_row("SELECT count(*) FROM events", [], |row| row.get(0))
        .unwrap();
    let now = jiff::Timestamp::now().as_millisecond() + seq;
    log.execute(
        "INSERT INTO events (id, session, kind, once, happened_at, written_at, is_late, source, data)
         VALUES (?1, '51', ?2, CAST(?1 AS BLOB), ?3, ?3, ?4, ?5, ?6)",
        params![
            format!("evt_{seq}"),
            kind,
            now,
            is_late,
            source,
            data.to_string()
        ],
    )
    .unwrap();
}

/// What came in and went out while nobody looked. Gives the texts.
fn fill(home: &Home) -> [&'static str; 4] {
    let log = Connection::open(home.ledger().join("ledger.sqlite3")).unwrap();
    let texts = [
        "¿A qué hora nos vemos hoy?",
        "A las nueve, en la puerta",
        "Salió mal escrito, perdón",
        "Mirá qué linda foto",
    ];
    let ana = json!({"phone": ANA, "lid": "111@lid", "name": "Ana"});
    let message = |key: &str, more: &Value| {
        let mut data = json!({
            "id": format!("false_111@lid_{key}"), "key": key, "chat": "111@lid", "is_group": false, "from": ana, "kind": "text",
        });
        let fields = more.as_object().unwrap().clone();
        data.as_object_mut().unwrap().extend(fields);
        data
    };
    let own = |key: &str, text: &str| {
        message(
            key,
            &json!({"text": text, "to": ana, "from": {"phone": "5491150000001"}}),
        )
    };
    let about = |key: &str, more: &Value| message(key, more);
    let write = |kind, source, is_late, data: Value| write_down(&log, kind, source, is_late, &data);
    write(
        "message",
        None,
        true,
        message("3A1", &json!({"text": texts[0]})),
    );
    write(
        "message.own",
        Some("phone"),
        false,
        own("3B1", "A las ocho"),
    );
    write(
        "message.own",
        Some("api"),
        false,
        own("3B2", "Enviado por el servicio"),
    );
    for (ack, state) in [(1, "sent"), (2, "delivered"), (3, "read")] {
        write(
            "message.ack",
            Some("api"),
            false,
            about("3B2", &json!({"ack": ack, "state": state})),
        );
    }
    write(
        "message.edited",
        None,
        false,
        about("3B1", &json!({"text": texts[1], "is_own": true})),
    );
    write(
        "message",
        None,
        false,
        message("3A2", &json!({"text": texts[2]})),
    );
    write(
        "message.revoked",
        None,
        false,
        about("3A2", &json!({"is_own": false, "is_by_admin": false})),
    );
    let picture = json!({"kind": "image", "caption": texts[3], "is_group": true, "group_name": "Familia", "chat": "222@g.us"});
    write("message", None, false, message("3A3", &picture));
    write(
        "message.reaction",
        None,
        false,
        about("3A3", &json!({"emoji": "👍", "is_own": false})),
    );
    write(
        "message.waiting",
        None,
        false,
        message("3A4", &json!({"kind": "waiting"})),
    );
    texts
}

#[tokio::test]
async fn messages_are_on_the_page_with_what_became_of_them_for_a_key_that_may_see_them_and_for_no_other()
 {
    let service = Service::with(&[]).await;
    service.connect(51).await;
    service.code("51").await;
    let home = service.stop();
    let texts = fill(&home);
    let service = Service::start_in(home, |_| {}).await;
    for text in texts {
        service.secrets().remember_text(text);
    }
    let may = keys::add(&service, &["crm", "--scope", "receive"]);
    let may_not = keys::add(&service, &["look", "--scope", "read"]);
    let page = format!("{}/?cliente_id=51", service.url());
    let with_key = async |key: &str| {
        let visitor = Visitor::come().await;
        visitor.chrome.goto(&page).await;
        visitor.chrome.shows("#key[open]").await;
        visitor.fill("#key-text", key).await;
        visitor.chrome.click("#key-form button").await;
        visitor.chrome.shows("#session[data-state]").await;
        visitor
    };

    let visitor = with_key(&may).await;
    let rows = "document.querySelectorAll('#messages-list li')";
    visitor.chrome.until(&format!("{rows}.length === 6")).await;
    let shown: Vec<Vec<String>> = visitor
        .chrome
        .value(&format!(
            "[...{rows}].map((row) => [row.dataset.direction, row.querySelector('strong').textContent, \
             ...[...row.querySelectorAll('.text, .reactions:not([hidden])')].map((part) => part.textContent)])"
        ))
        .await;
    let ana = format!("Ana +{ANA}");
    let wanted = json!([
        ["in", ana, "This message cannot be decrypted yet."],
        [
            "in",
            format!("{ana} in Familia"),
            format!("Picture: {}", texts[3]),
            "👍"
        ],
        ["in", ana, "This message was taken back."],
        ["out", format!("To {ana}"), "Enviado por el servicio"],
        ["out", format!("To {ana}"), texts[1]],
        ["in", ana, texts[0]],
    ]);
    assert_eq!(json!(shown), wanted);
    let marks: Vec<String> = visitor
        .chrome
        .value(&format!(
            "[...{rows}].map((row) => row.querySelector('.soft').textContent.split(' · ').slice(1).join())"
        ))
        .await;
    assert_eq!(
        marks,
        [
            "",
            "",
            "",
            "sent by this service,Read",
            "written on the phone,edited",
            "heard later"
        ]
    );
    visitor
        .assert_accessible("the page of a session with messages")
        .await;
    visitor.chrome.click("[data-language=es]").await;
    visitor
        .chrome
        .until("document.querySelector('#messages').textContent.includes('se supo después')")
        .await;

    let visitor = with_key(&may_not).await;
    visitor
        .chrome
        .until("document.querySelector('#facts').textContent")
        .await;
    visitor
        .chrome
        .until("document.querySelector('#no-messages').textContent.includes('scope is receive')")
        .await;
    visitor
        .assert_accessible("the page for a key that may not see messages")
        .await;
    let all = "document.querySelector('#messages-list').children.length === 0 && document.body.textContent";
    let all: String = visitor.chrome.value(all).await;
    assert!(texts.iter().all(|text| !all.contains(text)), "{all}");
    let asked = "performance.getEntriesByType('resource').map(({name}) => name).filter((name) => name.includes('types=')).length";
    assert_eq!(visitor.chrome.value::<u32>(asked).await, 0);
    service.stop();
}

#[tokio::test]
async fn what_is_written_while_a_person_looks_appears_with_what_becomes_of_it() {
    let (service, account) = Service::linked(&[]).await;
    let texts = ["Llegué, te espero adentro", "Ya bajo", "Sale del servicio"];
    for text in texts {
        service.secrets().remember_text(text);
    }
    service.secrets().remember_number(ANA);
    service.secrets().remember_number("5491150002222");
    let visitor = Visitor::come().await;
    let page = format!("{}/?cliente_id=51", service.url());
    visitor.chrome.goto(&page).await;
    visitor.sees("READY").await;
    visitor.chrome.shows("#no-messages:not([hidden])").await;
    let row = |text: &str, mark: &str| {
        format!(
            "[...document.querySelectorAll('#messages-list li')].some(({{textContent}}) => \
             textContent.includes({text:?}) && textContent.includes({mark:?}))"
        )
    };

    let written =
        json!({"account": account, "from": "5491150002222", "name": "Ana", "body": texts[0]});
    let written = service.phone("/phone/receive", &written).await.json();
    visitor
        .chrome
        .until(&row(texts[0], "Ana +5491150002222"))
        .await;
    let by_hand = json!({"account": account, "to": "5491150002222", "body": texts[1]});
    service.phone("/phone/write", &by_hand).await;
    visitor
        .chrome
        .until(&row(texts[1], "written on the phone"))
        .await;
    service.sends(51, ANA, texts[2]).await;
    visitor
        .chrome
        .until(&row(texts[2], "sent by this service · Read"))
        .await;
    let reaction = json!({"account": account, "id": written["id"], "emoji": "👍"});
    service.phone("/phone/react", &reaction).await;
    visitor.chrome.until(&row(texts[0], "👍")).await;
    visitor.assert_kept_to(&service, &[]);
    service.stop();
}
