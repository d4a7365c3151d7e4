//! The stream of what the sessions are doing.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, BodyDataStream},
    http::{Request, StatusCode},
};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::{Api, assert_refused, keys::Keyed};
use crate::{
    keys::Scope,
    ledger::{NewSend, Step},
};

/// What a stream says without a delay comes within milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open stream.
pub(super) struct Stream {
    body: BodyDataStream,
    text: String,
    /// What a client would open the stream with again.
    pub(super) last_id: String,
}

/// One event.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) data: Value,
}

impl Stream {
    pub(super) async fn open(api: &Api, path: &str, key: &str) -> Self {
        Self::open_again(api, path, key, "").await
    }

    pub(super) async fn open_again(api: &Api, path: &str, key: &str, last_id: &str) -> Self {
        let request = Request::get(path)
            .header("X-Api-Key", key)
            .header("Last-Event-ID", last_id);
        let request = request.body(Body::empty()).unwrap();
        let response = api.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "text/event-stream");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("x-accel-buffering"), "no");
        Self {
            body: response.into_body().into_data_stream(),
            text: String::new(),
            last_id: last_id.to_owned(),
        }
    }

    /// The next event; `None` when the stream has ended.
    pub(super) async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = block.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_default().trim_start().to_owned()
                };
                let heard = Heard {
                    id: field("id:").parse().unwrap_or_default(),
                    name: field("event:"),
                    data: serde_json::from_str(&field("data:")).unwrap_or_default(),
                };
                if !field("id:").is_empty() {
                    self.last_id = field("id:");
                }
                self.text = rest.to_owned();
                if !heard.name.is_empty() {
                    return Some(heard);
                }
                continue;
            }
            let more = timeout(PATIENCE, self.body.next()).await;
            let more = more.expect("the stream says something or ends")?.unwrap();
            self.text += std::str::from_utf8(&more).unwrap();
        }
    }

    /// Reads on until an event is as wanted.
    pub(super) async fn until(&mut self, wanted: impl Fn(&Heard) -> bool) -> Heard {
        loop {
            let heard = self.next().await.expect("the stream goes on");
            if wanted(&heard) {
                return heard;
            }
        }
    }
}

/// Starting one fails at once on this machine without a Chrome, but it is known from then on.
async fn make_known(api: &Api, id: &str) {
    let answer = api.post("/connect", json!({ "cliente_id": id }).to_string());
    assert_eq!(answer.await.status, StatusCode::INTERNAL_SERVER_ERROR);
}

pub(super) fn new_send(session: &str, key: &str) -> NewSend {
    NewSend {
        key: key.to_owned(),
        session: session.to_owned(),
        cliente_id: session.to_owned(),
        account: None,
        to: "5491158254201".into(),
        body: "x".into(),
        extras: Arc::default(),
        is_durable: true,
        idempotency: None,
        accept_by: tokio::time::Instant::now() + Duration::from_secs(60),
    }
}

#[tokio::test]
async fn a_stream_begins_with_all_sessions_and_tells_each_change_of_old_and_new_ones() {
    let api = Api::new(&[]);
    make_known(&api, "51").await;
    let mut stream = Stream::open(&api, "/events/stream", "").await;
    let first = stream.next().await.unwrap();
    assert_eq!((first.id, first.name.as_str()), (1, "sessions"));
    assert_eq!(first.data, api.get("/sessions").await.json());
    assert_eq!(first.data["details"][0]["cliente_id"], "51");

    make_known(&api, "52").await;
    let mut last = first.id;
    for id in ["51", "52"] {
        let ended = |heard: &Heard| {
            let data = &heard.data;
            heard.name == "session" && data["session"] == id && data["state"] == "ERROR"
        };
        make_known(&api, id).await;
        let heard = stream.until(ended).await;
        assert!(last < heard.id, "{last} {heard:?}");
        last = heard.id;
        assert_eq!(heard.data["reason"], "CHROME_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_stream_of_one_session_is_about_no_other_and_begins_with_it_also_when_it_is_not_known() {
    let api = Api::new(&[]);
    let mut stream = Stream::open(&api, "/events/stream?cliente_id=51", "").await;
    let first = stream.next().await.unwrap();
    assert_eq!(first.name, "session");
    assert_eq!(first.data, api.get("/status?cliente_id=51").await.json());

    make_known(&api, "52").await;
    make_known(&api, "51").await;
    let heard = stream.until(|heard| heard.data["state"] == "ERROR").await;
    assert_eq!(heard.data["cliente_id"], "51");
    let mut again = Stream::open(&api, "/events/stream?cliente_id=51", "").await;
    assert_eq!(again.next().await.unwrap().data, heard.data);
}

#[tokio::test]
async fn a_stream_tells_what_becomes_of_messages() {
    let api = Api::new(&[]);
    for id in ["51", "52"] {
        make_known(&api, id).await;
    }
    let mut all = Stream::open(&api, "/events/stream", "").await;
    let mut one = Stream::open(&api, "/events/stream?cliente_id=51", "").await;
    let first = one.next().await.unwrap();
    assert_eq!(first.data.get("sends"), None);
    let ledger = api.registry.ledger();
    ledger.accept(new_send("51", "3EB0A")).await.unwrap();
    let stands = |open: u64, state: &'static str| {
        move |heard: &Heard| {
            let sends = &heard.data["sends"];
            sends["open"] == open && sends["last"]["state"] == state
        }
    };
    for stream in [&mut all, &mut one] {
        let heard = stream.until(stands(1, "queued")).await;
        assert_eq!(heard.data["session"], "51");
        assert!(heard.data["sends"]["oldest_at"].is_string(), "{heard:?}");
        assert!(!heard.data.to_string().contains("5491158254201"));
    }
    ledger.advance("3EB0A", Step::Cancelled).await.unwrap();
    for stream in [&mut all, &mut one] {
        let heard = stream.until(stands(0, "cancelled")).await;
        assert_eq!(heard.data["session"], "51");
    }
    let told = api.get("/status?cliente_id=51").await.json();
    assert_eq!(told["sends"]["last"]["state"], "cancelled");
}

#[tokio::test]
async fn a_key_for_some_sessions_hears_of_no_other() {
    let keyed = Keyed::new(&[]);
    let all = keyed.key("all", Scope::Admin, &[]);
    let limited = keyed.key("limited", Scope::Read, &["52"]);
    let mut stream = Stream::open(&keyed.api, "/events/stream", &limited).await;
    assert_eq!(stream.next().await.unwrap().data["details"], json!([]));
    for id in ["51", "52"] {
        let body = json!({ "cliente_id": id });
        keyed.call("POST", "/connect", &all, &body).await;
    }
    assert_eq!(stream.next().await.unwrap().data["session"], "52");
    let path = "/events/stream?cliente_id=51";
    let other = keyed.call("GET", path, &limited, &json!({})).await;
    assert_refused(&other, 403, "FORBIDDEN");
}

#[tokio::test]
async fn there_are_so_many_streams_of_one_caller_and_a_place_is_free_again_when_one_is_closed() {
    let keyed = Keyed::new(&[]);
    let (greedy, other) = (
        keyed.key("greedy", Scope::Read, &[]),
        keyed.key("other", Scope::Read, &[]),
    );
    let mut open = Vec::new();
    while keyed.get("/events/stream", &greedy).await.status == StatusCode::OK {
        open.push(Stream::open(&keyed.api, "/events/stream", &greedy).await);
        assert!(open.len() < 100, "there is no end");
    }
    let more = keyed.get("/events/stream", &greedy).await;
    assert_refused(&more, 503, "TOO_MANY_STREAMS");
    Stream::open(&keyed.api, "/events/stream", &other).await;
    open.pop();
    Stream::open(&keyed.api, "/events/stream", &greedy).await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_loses_the_place() {
    let api = Api::new(&[]);
    let mut stalled = Vec::new();
    while api.get("/events/stream").await.status == StatusCode::OK {
        stalled.push(Stream::open(&api, "/events/stream", "").await);
    }
    tokio::time::sleep(Duration::from_secs(11 * 60)).await;
    Stream::open(&api, "/events/stream", "").await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_revoked_reads_no_more() {
    let keyed = Keyed::new(&[]);
    let key = keyed.key("shop", Scope::Read, &[]);
    let mut stream = Stream::open(&keyed.api, "/events/stream", &key).await;
    stream.next().await.unwrap();
    keyed.revoke("shop");
    let since = tokio::time::Instant::now();
    assert!(stream.next().await.is_none());
    assert!(since.elapsed() <= PATIENCE, "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_key_ends_once_keys_are_asked_for() {
    let keyed = Keyed::new(&[]);
    let mut stream = Stream::open(&keyed.api, "/events/stream", "").await;
    stream.next().await.unwrap();
    keyed.key("shop", Scope::Read, &[]);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_service_that_stops_says_so_and_ends_its_streams() {
    let api = Api::new(&[]);
    let mut stream = Stream::open(&api, "/events/stream", "").await;
    stream.next().await.unwrap();
    api.registry.shut_down().await;
    assert_eq!(stream.next().await.unwrap().name, "stopping");
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_a_heartbeat_and_ends_after_minutes_so_that_its_key_is_looked_at_anew() {
    let api = Api::new(&[]);
    let mut stream = Stream::open(&api, "/events/stream", "").await;
    stream.next().await.unwrap();
    let beat = stream.body.next().await.unwrap().unwrap();
    assert_eq!(&beat[..], b":\n\n");
    let mut beats = 1;
    while stream.body.next().await.is_some() {
        beats += 1;
    }
    assert!((30..=40).contains(&beats), "{beats}");
}
