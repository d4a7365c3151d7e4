//! `GET /events`: what is in the log, in its order, for the keys that may see it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::{Api, assert_refused, events::Stream, keys::Keyed};
use crate::{
    keys::Scope,
    ledger::{EventKind, Me, NewEvent},
};

pub(super) fn event(session: &str, once: &str, kind: EventKind) -> NewEvent {
    NewEvent {
        session: session.to_owned(),
        kind,
        once: once.into(),
        who: None,
        chat: Some("5491158254201@c.us".into()),
        me: Me {
            phone: Some("5491150000001".into()),
            lid: None,
        },
        happened_at: Timestamp::from_second(1_790_000_000).unwrap(),
        is_late: false,
        data: json!({"text": once}).to_string().into(),
        own_key: (kind == EventKind::OwnMessage).then(|| once.to_owned()),
    }
}

pub(super) async fn write(api: &Api, events: impl IntoIterator<Item = NewEvent>) {
    let ledger = api.registry.ledger();
    ledger.append(events.into_iter().collect()).await.unwrap();
}

fn texts(answer: &Value) -> Vec<&str> {
    let events = answer["events"].as_array().unwrap().iter();
    events
        .map(|event| event["data"]["text"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn events_are_read_in_their_order_from_a_cursor() {
    let api = Api::new(&[]);
    write(
        &api,
        [
            event("51", "a", EventKind::Message),
            event("shop", "b", EventKind::OwnMessage),
            event("51", "c", EventKind::Status),
        ],
    )
    .await;
    let all = api.get("/events").await.json();
    assert_eq!(texts(&all), ["a", "b", "c"]);
    let first = &all["events"][0];
    assert!(first["id"].as_str().unwrap().starts_with("evt_"));
    let shown = json!({
        "id": first["id"], "type": "message", "timestamp": "2026-09-21T14:13:20.000Z", "cliente_id": 51, "session": "51",
        "me": {"phone": "5491150000001", "lid": null}, "late": false, "data": {"text": "a"},
    });
    assert_eq!(*first, shown);
    let own = &all["events"][1];
    assert_eq!(
        (&own["cliente_id"], &own["data"]["source"]),
        (&json!("shop"), &json!("phone"))
    );

    for (query, wanted) in [
        ("?limit=1", vec!["a"]),
        ("?cliente_id=51", vec!["a", "c"]),
        ("?types=message.any", vec!["a", "b"]),
        ("?types=message.own,%20session.status", vec!["b", "c"]),
        ("?cliente_id=52", vec![]),
        ("?after=2", vec!["c"]),
        ("?after=latest", vec![]),
    ] {
        let found = api.get(&format!("/events{query}")).await.json();
        assert_eq!(texts(&found), wanted, "{query}");
    }
    let next = &api.get("/events?after=latest").await.json()["next"];
    let none = api.get(&format!("/events?after={next}")).await.json();
    assert_eq!((texts(&none), &none["next"]), (vec![], next));
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_with_the_remedy() {
    let api = Api::new(&[]);
    for (query, code) in [
        ("types=messages", "INVALID_TYPES"),
        ("types=", "INVALID_TYPES"),
        ("after=soon", "INVALID_AFTER"),
        ("after=-1", "INVALID_AFTER"),
        ("limit=0", "INVALID_LIMIT"),
        ("limit=1001", "INVALID_LIMIT"),
        ("wait=61", "INVALID_WAIT"),
        ("wait=-1", "INVALID_WAIT"),
        ("cliente_id=a%20b", "INVALID_CLIENTE_ID"),
        ("client_id=51", "INVALID_PARAMETER"),
        ("session=51", "INVALID_PARAMETER"),
        ("type=message", "INVALID_PARAMETER"),
    ] {
        assert_refused(&api.get(&format!("/events?{query}")).await, 400, code);
    }
    let refusal = async |path: &str| api.get(path).await.json()["error"].to_string();
    let unknown = refusal("/events?session=51").await;
    assert!(
        unknown.contains("session") && unknown.contains("cliente_id, types, after, limit, wait"),
        "{unknown}"
    );
    let types = refusal("/events?types=message,messages").await;
    assert!(types.contains(r#"\"messages\""#), "{types}");
    let of_stream = api.get("/events/stream?types=message&wait=5").await;
    assert_refused(&of_stream, 400, "INVALID_PARAMETER");
    assert_eq!(api.get("/events?_=1699").await.status, 200);
    let ahead = api.get("/events?after=7").await;
    assert_refused(&ahead, 410, "CURSOR_EXPIRED");
    assert_eq!(ahead.json()["oldest"], 0);
    let why = ahead.json()["error"].to_string();
    assert!(
        why.contains("the log ends before this cursor, at 0"),
        "{why}"
    );
}

#[tokio::test]
async fn the_header_names_the_session_of_the_log_as_everywhere() {
    let api = Api::new(&[]);
    write(&api, [event("51", "a", EventKind::Message)]).await;
    write(&api, [event("52", "b", EventKind::Message)]).await;
    let heard = api.get_as("/events", "52").await.json();
    assert_eq!(heard["events"].as_array().unwrap().len(), 1, "{heard}");
    assert_eq!(heard["events"][0]["session"], "52");
}

#[tokio::test]
async fn a_caller_that_waits_is_answered_by_the_next_event_that_it_wants() {
    let api = Api::new(&[]);
    let answered = api.get("/events?wait=60&cliente_id=51");
    let writing = async {
        write(&api, [event("52", "other", EventKind::Message)]).await;
        write(&api, [event("51", "wanted", EventKind::Message)]).await;
    };
    let patience = Duration::from_secs(30);
    let ((), answer) = tokio::join!(writing, timeout(patience, answered));
    let answer = answer
        .expect("the event wakes the caller that waits")
        .json();
    assert_eq!(texts(&answer), ["wanted"]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_vain_ends_in_time_and_with_the_service() {
    let api = Api::new(&[]);
    write(&api, [event("51", "a", EventKind::Message)]).await;
    let began = Instant::now();
    let none = api.get("/events?after=1&wait=5").await.json();
    assert_eq!((texts(&none), &none["next"]), (vec![], &json!(1)));
    assert!((5..7).contains(&began.elapsed().as_secs()));
    let waiting = api.get("/events?after=1&wait=60");
    let (answer, ()) = tokio::join!(waiting, async { api.registry.shut_down().await });
    assert_eq!(texts(&answer.json()), Vec::<&str>::new());
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_key_that_is_revoked_while_it_waits_is_given_nothing_that_comes_later() {
    let keyed = Keyed::new(&[]);
    let key = keyed.key("crm", Scope::Receive, &[]);
    // So that the service goes on asking for a key.
    keyed.key("other", Scope::Read, &[]);
    let answered = keyed.get("/events?wait=60", &key);
    let revoking = async {
        // The request is let in before this is polled.
        keyed.revoke("crm");
        write(&keyed.api, [event("51", "later", EventKind::Message)]).await;
    };
    let (answer, ()) = tokio::join!(answered, revoking);
    assert_refused(&answer, 401, "UNAUTHORIZED");
}

#[tokio::test]
async fn only_a_key_that_may_receive_sees_events_and_only_those_of_its_sessions() {
    let keyed = Keyed::new(&[]);
    let (a, b) = (
        event("51", "a", EventKind::Message),
        event("52", "b", EventKind::Message),
    );
    write(&keyed.api, [a, b]).await;
    for scope in [Scope::Read, Scope::Send] {
        let key = keyed.key(scope.as_str(), scope, &[]);
        let refused = keyed.call("GET", "/events", &key, &json!({})).await;
        assert_refused(&refused, 403, "FORBIDDEN");
    }
    let limited = keyed.key("limited", Scope::SendAndReceive, &["52"]);
    let own = keyed.call("GET", "/events", &limited, &json!({})).await;
    assert_eq!(texts(&own.json()), ["b"]);
    let other = keyed
        .call("GET", "/events?cliente_id=51", &limited, &json!({}))
        .await;
    assert_refused(&other, 403, "FORBIDDEN");
}

#[tokio::test]
async fn a_stream_shows_the_events_and_goes_on_from_the_last_id_that_its_reader_has() {
    let api = Api::new(&[]);
    write(
        &api,
        [
            event("51", "a", EventKind::Message),
            event("51", "unwanted", EventKind::Ack),
            event("52", "b", EventKind::Message),
        ],
    )
    .await;
    let path = "/events/stream?types=message.any,session.status";
    let mut stream = Stream::open(&api, path, "").await;
    let first = stream.next().await.unwrap();
    assert_eq!((first.name.as_str(), first.id), ("message", 1));
    let listed = api.get("/events?limit=1").await.json();
    assert_eq!(first.data, listed["events"][0]);
    let last_id = stream.last_id.clone();
    assert_eq!(stream.next().await.unwrap().data["data"]["text"], "b");

    let mut again = Stream::open_again(&api, path, "", &last_id).await;
    let next = again.next().await.unwrap();
    assert_eq!(
        (next.data["data"]["text"].as_str(), next.id),
        (Some("b"), 3)
    );
    for stream in [&mut stream, &mut again] {
        write(&api, [event("51", "c", EventKind::Message)]).await;
        assert_eq!(stream.next().await.unwrap().data["data"]["text"], "c");
    }
    let one = format!("{path}&cliente_id=52");
    let mut one = Stream::open(&api, &one, "").await;
    assert_eq!(one.next().await.unwrap().data["data"]["text"], "b");
}

#[tokio::test]
async fn a_stream_from_now_on_gives_its_cursor_before_anything_happens() {
    let api = Api::new(&[]);
    write(&api, [event("51", "a", EventKind::Message)]).await;
    let path = "/events/stream?after=latest";
    let mut stream = Stream::open(&api, path, "").await;
    // Nothing is said but the cursor: it comes before the end.
    api.registry.shut_down().await;
    assert_eq!(stream.next().await.unwrap().name, "stopping");
    assert!(stream.next().await.is_none());
    assert_eq!(stream.last_id, "1");
}

#[tokio::test]
async fn one_stream_shows_events_and_what_the_sessions_are_doing() {
    let api = Api::new(&[]);
    write(&api, [event("51", "a", EventKind::Message)]).await;
    let path = "/events/stream?types=session,message";
    let mut stream = Stream::open(&api, path, "").await;
    let mut heard = [stream.next().await.unwrap(), stream.next().await.unwrap()];
    heard.sort_by(|one, other| one.name.cmp(&other.name));
    let named = |heard: &super::events::Heard| (heard.name.clone(), heard.id);
    assert_eq!(
        heard.each_ref().map(named),
        [("message".to_owned(), 1), ("sessions".to_owned(), 0)]
    );
    assert_eq!(stream.last_id, "1");
    let answer = api.post("/connect", json!({"cliente_id": 51}).to_string());
    answer.await;
    let changed = stream.until(|heard| heard.name == "session").await;
    assert_eq!(changed.data["session"], "51");
    write(&api, [event("51", "b", EventKind::Message)]).await;
    let again = "/events/stream?types=message&lastEventId=1";
    let mut again = Stream::open(&api, again, "").await;
    let next = again.next().await.unwrap();
    assert_eq!(next.data["data"]["text"], "b");
    let mut states = Stream::open(&api, "/events/stream?types=session", "").await;
    assert_eq!(states.next().await.unwrap().name, "sessions");
    // A client that gives `types` would take an id for a cursor.
    assert_eq!(states.last_id, "");
}

#[tokio::test]
async fn a_stream_that_cannot_begin_is_refused_and_one_that_cannot_go_on_says_why() {
    let api = Api::new(&[]);
    let all = (0..30).map(|n| event("51", &n.to_string(), EventKind::Message));
    write(&api, all).await;
    for (query, status, code) in [
        ("after=soon", 400, "INVALID_AFTER"),
        ("types=messages", 400, "INVALID_TYPES"),
        ("types=session,", 400, "INVALID_TYPES"),
        ("after=31", 410, "CURSOR_EXPIRED"),
    ] {
        let refused = api.get(&format!("/events/stream?{query}")).await;
        assert_refused(&refused, status, code);
    }
    let mut stream = Stream::open(&api, "/events/stream?after=0", "").await;
    assert_eq!(stream.next().await.unwrap().id, 1);
    let file = api.data.path().join("ledger/ledger.sqlite3");
    let file = rusqlite::Connection::open(file).unwrap();
    file.execute("UPDATE events_forgotten SET up_to = 29", [])
        .unwrap();
    // What was read before is said.
    let refused = stream.until(|heard| heard.name != "message").await;
    assert_eq!(refused.name, "refused");
    assert_eq!(
        (&refused.data["code"], &refused.data["oldest"]),
        (&json!("CURSOR_EXPIRED"), &json!(29))
    );
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_key_that_may_not_receive_has_streams_of_what_the_sessions_are_doing_only() {
    let keyed = Keyed::new(&[]);
    write(&keyed.api, [event("51", "a", EventKind::Message)]).await;
    let (read, receive) = (
        keyed.key("read", Scope::Read, &[]),
        keyed.key("receive", Scope::Receive, &["52"]),
    );
    for query in ["types=message", "types=session,message", "after=0"] {
        let path = format!("/events/stream?{query}");
        assert_refused(&keyed.get(&path, &read).await, 403, "FORBIDDEN");
    }
    let path = "/events/stream";
    let mut states = Stream::open_again(&keyed.api, path, &read, "0").await;
    assert_eq!(states.next().await.unwrap().name, "sessions");
    write(&keyed.api, [event("52", "own", EventKind::Message)]).await;
    let mut own = Stream::open(&keyed.api, "/events/stream?after=0", &receive).await;
    assert_eq!(own.next().await.unwrap().data["data"]["text"], "own");
}

#[tokio::test]
async fn each_state_of_a_session_is_an_event() {
    let api = Api::new(&[]);
    let path = "/events/stream?types=session.status";
    let mut stream = Stream::open(&api, path, "").await;
    let answer = api.post("/connect", json!({"cliente_id": 51}).to_string());
    answer.await;
    let first = stream.next().await.unwrap();
    assert_eq!(first.data["data"], json!({"state": "INIT"}));
    let second = stream.next().await.unwrap();
    assert_eq!(
        (&second.data["type"], &second.data["cliente_id"]),
        (&json!("session.status"), &json!(51))
    );
    let (news, status) = (
        &second.data["data"],
        api.get("/status?cliente_id=51").await.json(),
    );
    for field in ["state", "reason", "detail"] {
        assert_eq!(news[field], status[field], "{news}");
    }
    assert_eq!(news["reason"], "CHROME_NOT_FOUND");
}
