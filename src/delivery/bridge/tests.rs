//! The bridge against a hub that is a real HTTP server, and a real ledger: what it reports, what it repeats and what it does not.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::State as Shown,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};

use super::{
    report::tests::{CONTACT, LID, event, message},
    *,
};
use crate::{
    heard::Source,
    ledger::{Me, NewEvent, tests::options},
};

/// How the stand-in answers a call once, instead of as it should.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Status(u16),
    /// Takes the call, and never answers.
    Hangs,
    /// Does not know the token.
    Unauthorized,
    /// Takes the call, and does not end its answer.
    Endless,
}

/// A hub that remembers the calls that it got.
#[derive(Clone, Default)]
pub(super) struct StandIn {
    seen: Arc<Mutex<Seen>>,
    logins: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Seen {
    calls: Vec<(String, Value)>,
    faults: VecDeque<(&'static str, Fault)>,
    refuses_logins: bool,
    internal: Vec<Option<String>>,
}

async fn login(Shown(hub): Shown<StandIn>, body: Bytes) -> Response {
    let asked: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(asked, json!({"username": "listener", "password": "s3cret"}));
    let number = hub.logins.fetch_add(1, Ordering::SeqCst) + 1;
    if hub.seen.lock().refuses_logins {
        return json!({"success": false}).to_string().into_response();
    }
    json!({"success": true, "token": format!("t{number}")})
        .to_string()
        .into_response()
}

async fn listener(
    Shown(hub): Shown<StandIn>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let name = uri.path().rsplit('/').next().unwrap().to_owned();
    let newest = format!("Bearer t{}", hub.logins.load(Ordering::SeqCst));
    if headers["authorization"] != newest.as_str() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let fault = {
        let mut seen = hub.seen.lock();
        let is_meant = seen.faults.front().is_some_and(|(meant, _)| *meant == name);
        let fault = if is_meant {
            seen.faults.pop_front()
        } else {
            None
        };
        if !matches!(fault, Some((_, Fault::Unauthorized))) {
            let internal = headers.get("x-internal-token");
            let internal = internal.map(|value| value.to_str().unwrap().to_owned());
            seen.internal.push(internal);
            let body = serde_json::from_slice(&body).unwrap();
            seen.calls.push((name, body));
        }
        fault
    };
    match fault {
        None => json!({"ok": true, "duplicated": false})
            .to_string()
            .into_response(),
        Some((_, Fault::Status(status))) => StatusCode::from_u16(status).unwrap().into_response(),
        Some((_, Fault::Unauthorized)) => StatusCode::UNAUTHORIZED.into_response(),
        Some((_, Fault::Hangs)) => std::future::pending().await,
        Some((_, Fault::Endless)) => {
            let nothing = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
            axum::body::Body::from_stream(nothing).into_response()
        }
    }
}

impl StandIn {
    pub(super) async fn serve(&self) -> SocketAddr {
        let router = Router::new()
            .route("/api/auth/login", post(login))
            .route("/api/listener/{name}", post(listener))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        addr
    }

    pub(super) fn logins(&self) -> usize {
        self.logins.load(Ordering::SeqCst)
    }

    fn will(&self, name: &'static str, fault: Fault) {
        self.seen.lock().faults.push_back((name, fault));
    }

    fn calls(&self) -> Vec<String> {
        let seen = self.seen.lock();
        seen.calls.iter().map(|(name, _)| name.clone()).collect()
    }

    fn forget_calls(&self) {
        self.seen.lock().calls.clear();
    }
}

/// A bridge's receiver, and one delivery that its ledger keeps for it.
struct Stage {
    hub: StandIn,
    ledger: Ledger,
    receiver: ToHub,
    _folder: tempfile::TempDir,
}

const TEST: &str = "test-message";
const IN: &str = "incoming-message";
const OUT: &str = "outgoing-message";

impl Stage {
    async fn new() -> Self {
        let hub = StandIn::default();
        let addr = hub.serve().await;
        Self::at(hub, &format!("http://{addr}")).await
    }

    async fn at(hub: StandIn, base: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, keeper) = Ledger::new(options(folder.path()));
        tokio::spawn(keeper.run());
        let new = NewConsumer {
            id: ID.to_owned(),
            kind: KIND,
            settings: "{}".into(),
            from: Beginning::Now,
        };
        ledger.put_consumer(new).await.unwrap();
        let access = HubAccess {
            base: base.to_owned(),
            user: "listener".to_owned(),
            pass: "s3cret".into(),
            internal_token: Some("internal".into()),
        };
        let receiver = ToHub {
            ledger: ledger.clone(),
            hub: Hub::new(access),
            clients: Clients::ByName,
            numbers: Mutex::default(),
            pause: Mutex::default(),
            warned_of: Mutex::default(),
        };
        Self {
            hub,
            ledger,
            receiver,
            _folder: folder,
        }
    }

    /// Writes a message down, as a session that hears it does.
    async fn hears(&self, kind: EventKind, once: &str, data: &Value) {
        let event = event(kind, data);
        let new = NewEvent {
            session: event.session,
            kind,
            once: once.into(),
            who: None,
            chat: Some(data["chat"].as_str().unwrap().into()),
            me: Me {
                phone: event.me.phone,
                lid: None,
            },
            happened_at: event.happened_at,
            is_late: false,
            data: event.data,
            own_key: (kind == EventKind::OwnMessage).then(|| "3A".to_owned()),
        };
        self.ledger.append(vec![new]).await.unwrap();
        let filter = self.receiver.filter();
        let now = Timestamp::now();
        self.ledger.take_events(ID, &filter, now).await.unwrap();
    }

    /// A stage with one text that has come in.
    async fn with_text() -> Self {
        let stage = Self::new().await;
        stage
            .hears(EventKind::Message, "a", &message("hola", false))
            .await;
        stage
    }

    /// The first delivery that has its turn, as the ledger has it now.
    async fn delivery(&self) -> Delivery {
        let far = Timestamp::now() + jiff::SignedDuration::from_hours(1);
        let turns = self.ledger.turns(ID, far, 1).await.unwrap();
        turns.now.into_iter().next().expect("a delivery waits")
    }

    /// One attempt.
    async fn gives(&self) -> Given {
        self.receiver.give(&self.delivery().await).await
    }

    /// The attempt was the last, and a person asks for another.
    async fn is_redriven(&self) {
        let delivery = self.delivery().await;
        let dead = crate::ledger::Settled {
            seq: delivery.event.seq,
            lane: delivery.lane,
            became: crate::ledger::Became::Dead {
                failure: "x".to_owned(),
            },
        };
        let now = Timestamp::now();
        self.ledger.settle(ID, vec![dead], now).await.unwrap();
        assert_eq!(self.ledger.redrive(ID, None, now).await.unwrap(), 1);
    }
}

#[track_caller]
fn assert_dead(given: &Given, says: &str) {
    let Given::Refused { why } = given else {
        panic!("{given:?}");
    };
    assert!(why.contains(says), "{why}");
}

#[track_caller]
fn assert_failed(given: &Given, says: &str) {
    let Given::Failed { why, .. } = given else {
        panic!("{given:?}");
    };
    assert!(why.contains(says), "{why}");
}

#[track_caller]
fn assert_waits(given: &Given, says: &str) {
    let Given::Waits { why, .. } = given else {
        panic!("{given:?}");
    };
    assert!(why.contains(says), "{why}");
}

#[tokio::test]
async fn a_text_is_tested_and_then_recorded_with_one_login_and_the_internal_token_for_the_record() {
    let stage = Stage::with_text().await;
    assert_eq!(stage.gives().await, Given::Taken);
    assert_eq!(stage.gives().await, Given::Taken, "as after a crash");
    assert_eq!(
        stage.hub.calls(),
        [TEST, IN, IN],
        "the test is not repeated"
    );
    assert_eq!(stage.hub.logins.load(Ordering::SeqCst), 1);
    let internal = stage.hub.seen.lock().internal.clone();
    assert_eq!(internal[..2], [None, Some("internal".to_owned())]);
    let calls = stage.hub.seen.lock().calls.clone();
    assert_eq!(calls[0].1["telefono"], CONTACT);
    assert_eq!(calls[0].1["esHumano"], false);
    assert_eq!(calls[1].1["timestamp"], calls[2].1["timestamp"]);
}

#[tokio::test]
async fn a_test_message_without_a_clear_answer_is_not_repeated_and_its_text_is_recorded() {
    // 8 s until a hub that hangs is given up.
    for fault in [Fault::Status(500), Fault::Status(502), Fault::Hangs] {
        let stage = Stage::with_text().await;
        stage.hub.will(TEST, fault);
        // The record fails at first: then there is another attempt, which must not make the test again.
        stage.hub.will(IN, Fault::Status(500));
        let first = stage.gives().await;
        assert!(
            matches!(first, Given::Failed { .. }),
            "{fault:?}: {first:?}"
        );
        assert_dead(&stage.gives().await, "in doubt, and not repeated");
        assert_eq!(stage.hub.calls(), [TEST, IN, IN], "{fault:?}");
        // A person asks for it: that is not blind.
        stage.is_redriven().await;
        stage.hub.forget_calls();
        assert_eq!(stage.gives().await, Given::Taken);
        assert_eq!(stage.hub.calls(), [TEST, IN], "{fault:?}");
    }
}

#[tokio::test]
async fn a_call_that_is_taken_with_an_answer_that_does_not_end_is_taken() {
    let stage = Stage::with_text().await;
    stage.hub.will(TEST, Fault::Endless);
    stage.hub.will(IN, Fault::Endless);
    assert_eq!(stage.gives().await, Given::Taken);
    assert_eq!(stage.hub.calls(), [TEST, IN]);
}

#[tokio::test]
async fn a_service_that_ends_in_the_midst_of_a_test_message_does_not_make_it_again() {
    let stage = Stage::with_text().await;
    stage.hub.will(TEST, Fault::Hangs);
    let delivery = stage.delivery().await;
    // Dropped as soon as the hub has the call, as by a kill.
    let seen = async {
        while stage.hub.calls().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        given = stage.receiver.give(&delivery) => panic!("{given:?}"),
        () = seen => {}
    }
    assert_eq!(stage.delivery().await.step, TEST_BEGUN, "it is on disk");
    assert_dead(&stage.gives().await, "in doubt");
    assert_eq!(stage.hub.calls(), [TEST, IN]);
}

#[tokio::test]
async fn a_hub_that_is_not_there_or_takes_nothing_is_waited_for_and_the_test_message_is_made_then()
{
    let nowhere = Stage::at(StandIn::default(), "http://127.0.0.1:9").await;
    nowhere
        .hears(EventKind::Message, "a", &message("hola", false))
        .await;
    assert_waits(&nowhere.gives().await, "cannot be reached");
    assert_eq!(nowhere.delivery().await.step, 0);

    let stage = Stage::with_text().await;
    for status in [503, 429] {
        stage.hub.will(TEST, Fault::Status(status));
        assert_waits(&stage.gives().await, &status.to_string());
        assert_eq!(stage.delivery().await.step, 0, "{status}");
    }
    stage.hub.forget_calls();
    assert_eq!(stage.gives().await, Given::Taken);
    assert_eq!(stage.hub.calls(), [TEST, IN]);
}

#[tokio::test]
async fn a_text_that_a_hub_declines_which_is_there_is_tried_again_as_one_that_fails() {
    for status in [403, 404, 405] {
        let stage = Stage::with_text().await;
        stage.hub.will(IN, Fault::Status(status));
        let given = stage.gives().await;
        assert_failed(&given, &format!("{status} to incoming-message"));
        assert_eq!(stage.gives().await, Given::Taken);
        assert_eq!(stage.hub.calls(), [TEST, IN, IN], "{status}");
    }
    // It has the text meanwhile, and the test is made when it takes that.
    let stage = Stage::with_text().await;
    for _ in 0..2 {
        stage.hub.will(TEST, Fault::Status(404));
    }
    for _ in 0..2 {
        let given = stage.gives().await;
        assert_failed(&given, "it was not made: Central Hub answered 404");
    }
    assert_eq!(stage.gives().await, Given::Taken);
    assert_eq!(stage.hub.calls(), [TEST, IN, TEST, IN, TEST, IN]);
}

#[tokio::test]
async fn a_server_that_answers_for_a_hub_that_is_not_there_yet_is_waited_for() {
    let stage = Stage::with_text().await;
    stage.hub.will(TEST, Fault::Status(404));
    // It was there, and gave a token.
    stage.receiver.hub.is_there().await.unwrap();
    stage.receiver.hub.forget_that_it_is_there();
    stage.hub.seen.lock().refuses_logins = true;
    assert_waits(&stage.gives().await, "CENTRAL_HUB_PASS");
    assert_eq!(stage.delivery().await.step, 0);
    stage.hub.seen.lock().refuses_logins = false;
    assert_eq!(stage.gives().await, Given::Taken);
    assert_eq!(stage.hub.calls(), [TEST, TEST, IN]);
}

#[tokio::test]
async fn a_token_that_is_not_known_any_more_is_renewed_once_and_a_wrong_password_is_said() {
    let stage = Stage::with_text().await;
    stage.hub.will(TEST, Fault::Unauthorized);
    assert_eq!(stage.gives().await, Given::Taken);
    assert_eq!(stage.hub.logins.load(Ordering::SeqCst), 2);
    assert_eq!(stage.hub.calls(), [TEST, IN], "the test was made once");

    let stage = Stage::with_text().await;
    for _ in 0..2 {
        stage.hub.will(TEST, Fault::Unauthorized);
    }
    assert_waits(
        &stage.gives().await,
        "401 to test-message right after a login",
    );
    assert_eq!(stage.hub.logins.load(Ordering::SeqCst), 2);

    let stage = Stage::with_text().await;
    stage.hub.seen.lock().refuses_logins = true;
    assert_waits(&stage.gives().await, "CENTRAL_HUB_PASS");
    assert_eq!(stage.hub.calls(), [""; 0]);
}

#[tokio::test]
async fn after_a_call_without_a_clear_answer_the_hub_logs_in_before_the_next_test_message() {
    let stage = Stage::with_text().await;
    stage.hub.will(TEST, Fault::Status(500));
    assert_dead(&stage.gives().await, "in doubt");
    let logins = stage.hub.logins.load(Ordering::SeqCst);
    stage.hub.seen.lock().refuses_logins = true;
    let mut other = message("otra", false);
    other["chat"] = json!("5491158254202@c.us");
    stage.hears(EventKind::Message, "b", &other).await;
    let far = Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let turns = stage.ledger.turns(ID, far, 2).await.unwrap();
    stage.hub.forget_calls();
    let given = stage.receiver.give(&turns.now[1]).await;
    assert_waits(&given, "CENTRAL_HUB_PASS");
    assert_eq!(stage.hub.logins.load(Ordering::SeqCst), logins + 1);
    assert_eq!(stage.hub.calls(), [""; 0], "no call that could be in doubt");
}

#[tokio::test]
async fn what_the_hub_refuses_is_a_dead_letter_and_what_it_fails_at_is_tried_again() {
    let stage = Stage::with_text().await;
    stage.hub.will(IN, Fault::Status(500));
    let failed = stage.gives().await;
    assert!(matches!(failed, Given::Failed { .. }), "{failed:?}");
    stage.hub.will(IN, Fault::Status(400));
    assert_dead(&stage.gives().await, "400 to incoming-message");
    assert_eq!(stage.hub.calls(), [TEST, IN, IN]);
}

#[tokio::test]
async fn a_failure_says_that_test_message_is_in_doubt_whatever_became_of_the_record() {
    let doubt = "(test-message): in doubt, and not repeated";
    let stage = Stage::with_text().await;
    stage.hub.will(TEST, Fault::Status(500));
    stage.hub.will(IN, Fault::Status(500));
    assert_failed(&stage.gives().await, doubt);
    stage.hub.will(IN, Fault::Status(503));
    assert_waits(&stage.gives().await, doubt);
    stage.hub.will(IN, Fault::Status(404));
    assert_failed(&stage.gives().await, doubt);
    stage.hub.will(IN, Fault::Status(400));
    let given = stage.gives().await;
    assert_dead(&given, doubt);
    assert_dead(&given, "400 to incoming-message");
}

#[tokio::test]
async fn what_this_service_sent_is_recorded_and_never_called_human() {
    let stage = Stage::new().await;
    stage
        .hears(EventKind::OwnMessage, "a", &message("hola", true))
        .await;
    let mut delivery = stage.delivery().await;
    for (source, calls) in [(Source::Api, vec![OUT]), (Source::Phone, vec![TEST, OUT])] {
        stage.hub.forget_calls();
        delivery.event.source = Some(source);
        assert_eq!(stage.receiver.give(&delivery).await, Given::Taken);
        assert_eq!(stage.hub.calls(), calls, "{source:?}");
    }
    let human = stage.hub.seen.lock().calls[0].1["esHumano"].clone();
    assert_eq!(human, true);
}

#[tokio::test]
async fn a_lid_waits_until_its_number_is_known_and_is_a_dead_letter_after_a_time() {
    let stage = Stage::new().await;
    let mut data = message("hola", false);
    data["from"] = json!({ "phone": null, "lid": LID, "name": null });
    data["chat"] = json!(LID);
    stage.hears(EventKind::Message, "a", &data).await;
    let waits = stage.gives().await;
    assert_waits(&waits, "has a LID only");
    assert!(matches!(
        waits,
        Given::Waits {
            is_receivers: false,
            ..
        }
    ));
    let mut old = stage.delivery().await;
    old.event.written_at -= jiff::SignedDuration::from_hours(2);
    assert_dead(&stage.receiver.give(&old).await, "has a LID only");

    let resolved = json!({ "from": { "phone": CONTACT, "lid": LID, "name": null }, "chat": LID });
    stage.hears(EventKind::Resolved, "b", &resolved).await;
    assert_eq!(stage.gives().await, Given::Taken);
    assert_eq!(stage.hub.seen.lock().calls[0].1["telefono"], CONTACT);
}

#[tokio::test]
async fn a_number_that_was_read_before_all_were_forgotten_is_read_again() {
    let stage = Stage::new().await;
    let resolved = |lid: &str, phone: &str| json!({ "from": { "phone": phone, "lid": lid, "name": null }, "chat": lid });
    stage
        .hears(EventKind::Resolved, "a", &resolved(LID, CONTACT))
        .await;
    let other = resolved("5@lid", "5491158254299");
    stage.hears(EventKind::Resolved, "b", &other).await;
    let mut data = message("hola", false);
    data["from"] = json!({ "phone": null, "lid": LID, "name": null });
    data["chat"] = json!(LID);
    stage.hears(EventKind::Message, "c", &data).await;
    // One more fits in: the next one, in the midst of the reading, makes all of them go.
    for person in 1..numbers::MOST {
        let lid = format!("{person}00@lid");
        stage.receiver.numbers.lock().learn("51", &lid, "549110");
    }
    assert_waits(&stage.gives().await, "has a LID only");
    assert_eq!(stage.receiver.numbers.lock().resets, 1);
    assert_eq!(stage.gives().await, Given::Taken);
    assert_eq!(stage.hub.seen.lock().calls[0].1["telefono"], CONTACT);
}

/// The whole bridge with its task: nothing is lost while the hub is away, and a message that fails holds up only its chat.
#[tokio::test]
async fn a_chat_that_fails_holds_up_no_other_and_all_is_reported_in_the_order_of_each_chat() {
    let stage = Stage::new().await;
    let bridge = Bridge(Arc::new(Inner {
        ledger: stage.ledger.clone(),
        running: Arc::new(Shared::new(
            ID.to_owned(),
            Arc::new(stage.receiver),
            None,
            ConsumerTally::default(),
            times::of_one(),
            CancellationToken::new(),
        )),
        listened: Listened::default(),
        tasks: TaskTracker::new(),
    }));
    for _ in 0..2 {
        stage.hub.will(IN, Fault::Status(500));
    }
    let new = |chat: &str, text: &str| {
        let mut data = message(text, false);
        data["chat"] = json!(format!("{chat}@c.us"));
        data["from"]["phone"] = json!(chat);
        let event = event(EventKind::Message, &data);
        NewEvent {
            session: event.session,
            kind: EventKind::Message,
            once: format!("{chat}{text}").as_str().into(),
            who: None,
            chat: Some(format!("{chat}@c.us").as_str().into()),
            me: event.me,
            happened_at: event.happened_at,
            is_late: false,
            data: event.data,
            own_key: None,
        }
    };
    let chats = ["5491158254201", "5491158254202", "5491158254203"];
    let events = (0..5).flat_map(|n| chats.map(|chat| new(chat, &n.to_string())));
    stage.ledger.append(events.collect()).await.unwrap();
    bridge.begin();
    let recorded = |chat: &str| -> Vec<String> {
        let seen = stage.hub.seen.lock();
        let of_chat = seen
            .calls
            .iter()
            .filter(|(name, body)| name == IN && body["from"] == chat);
        of_chat
            .map(|(_, body)| body["message"].as_str().unwrap().to_owned())
            .collect()
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while bridge.tally().delivered < 15 {
        assert!(Instant::now() < deadline, "{:?}", bridge.tally());
        sleep(Duration::from_millis(10)).await;
    }
    for chat in chats {
        let mut report = recorded(chat);
        // A record that failed is made again, in its place.
        report.dedup();
        assert_eq!(report, ["0", "1", "2", "3", "4"], "{chat}");
    }
    let tests = stage
        .hub
        .calls()
        .iter()
        .filter(|name| *name == TEST)
        .count();
    assert_eq!(tests, 15, "each once");
    assert_eq!(bridge.tally().dead, 0);
    bridge.shut_down().await;
}
