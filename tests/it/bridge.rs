//! The bridge to Central Hub, with the real binary, killed in between, and a stand-in for the hub that is down, hangs and fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde_json::{Value, json};
use session_manager::ledger::{Clock, EventKind, Ledger, LedgerOptions, Me, NewEvent};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

use crate::support::{Home, Service};

const PASS: &str = "the-hubs-password";
const INTERNAL: &str = "the-internal-token";
const ME: &str = "5491100000001";
const CHATS: [&str; 6] = [
    "5491158254201",
    "5491158254202",
    "5491158254203",
    "5491158254204",
    "5491158254205",
    "5491158254206",
];

/// Nothing here takes so long, also on a machine that compiles meanwhile.
const PATIENCE: Duration = Duration::from_secs(100);

/// What a hub has seen, over all of its lives.
#[derive(Default)]
struct Seen {
    logins: u64,
    /// Calls of the listener with a token that is good, before anything is answered.
    calls: u64,
    /// How often each text was tested, and whether as a human's.
    tests: BTreeMap<String, Vec<bool>>,
    /// What is in its conversations, by chat, in the order in which it came. Repetitions are dropped, as the real one does.
    recorded: BTreeMap<String, Vec<String>>,
    hashes: BTreeSet<String>,
    /// Makes every so many calls fail.
    fails: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Hub(Arc<Mutex<Seen>>);

async fn login(State(hub): State<Hub>, body: Bytes) -> Response {
    let asked: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(asked, json!({ "username": "listener", "password": PASS }));
    let mut seen = hub.0.lock().unwrap();
    seen.logins += 1;
    json!({ "token": format!("token-{}", seen.logins) })
        .to_string()
        .into_response()
}

async fn listener(State(hub): State<Hub>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let name = uri.path().rsplit('/').next().unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let call = {
        let mut seen = hub.0.lock().unwrap();
        let newest = format!("Bearer token-{}", seen.logins);
        seen.calls += 1;
        // It forgets its tokens now and then, as after a restart of its own.
        let forgets = seen.fails && seen.calls % 19 == 7;
        if headers["authorization"] != newest.as_str() || forgets {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let text = |field: &str| body[field].as_str().unwrap().to_owned();
        if name == "test-message" {
            assert!(!headers.contains_key("x-internal-token"));
            assert_eq!(body["cliente_id"], 51);
            let is_human = body["esHumano"].as_bool().unwrap();
            seen.tests.entry(text("texto")).or_default().push(is_human);
        } else {
            assert_eq!(headers["x-internal-token"], INTERNAL);
            // What it fails at is not recorded.
            let fails = seen.fails && seen.calls % 11 == 3;
            let (is_in, hash) = (name == "incoming-message", format!("{name} {body}"));
            if !fails && seen.hashes.insert(hash) {
                let chat = text(if is_in { "from" } else { "to" });
                seen.recorded.entry(chat).or_default().push(text("message"));
            }
        }
        (seen.fails, seen.calls)
    };
    match call {
        (true, call) if call % 11 == 3 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        // It does its work, and does not answer.
        (true, call) if call % 23 == 11 => std::future::pending().await,
        _ => json!({ "ok": true, "duplicated": false })
            .to_string()
            .into_response(),
    }
}

/// One life of a hub.
pub(crate) struct Life(JoinHandle<()>);

impl Hub {
    pub(crate) async fn lives(&self, addr: SocketAddr) -> (Life, SocketAddr) {
        let router = Router::new()
            .route("/api/auth/login", post(login))
            .route("/api/listener/{name}", post(listener))
            .with_state(self.clone());
        let until = Instant::now() + PATIENCE;
        // The port of the life before may be taken for a moment.
        let bound = loop {
            match TcpListener::bind(addr).await {
                Ok(bound) => break bound,
                Err(why) => assert!(Instant::now() < until, "{why}"),
            }
            sleep(Duration::from_millis(20)).await;
        };
        let addr = bound.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(bound, router).await.unwrap() });
        (Life(serving), addr)
    }

    pub(crate) fn recorded(&self) -> usize {
        let seen = self.0.lock().unwrap();
        seen.recorded.values().map(Vec::len).sum()
    }

    /// How often `test-message` was made.
    fn tests(&self) -> usize {
        let seen = self.0.lock().unwrap();
        seen.tests.values().map(Vec::len).sum()
    }

    pub(crate) async fn has_recorded(&self, count: usize) {
        let until = Instant::now() + PATIENCE;
        while self.recorded() < count {
            assert!(Instant::now() < until, "{} of {count}", self.recorded());
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Life {
    /// Ends it, with all that it was doing.
    async fn ends(self) {
        self.0.abort();
        drop(self.0.await);
    }
}

/// What leads the bridge to this hub.
pub(crate) fn settings(hub: SocketAddr) -> [(&'static str, String); 4] {
    [
        ("CENTRAL_HUB_BASE_URL", format!("http://{hub}/")),
        ("CENTRAL_HUB_USER", "listener".to_owned()),
        ("CENTRAL_HUB_PASS", PASS.to_owned()),
        ("INTERNAL_LISTENER_TOKEN", INTERNAL.to_owned()),
    ]
}

/// Starts the service in this home, with its bridge to this hub.
async fn bridged(home: Home, hub: SocketAddr) -> Service {
    let service = Service::start_in(home, |environment| {
        environment.extend(settings(hub).map(|(name, value)| (name, value.into())));
    })
    .await;
    service.secrets().remember_text(PASS);
    service.secrets().remember_text(INTERNAL);
    service.logs("the bridge to Central Hub is on").await;
    service
}

pub(crate) fn event(chat: &str, is_own: bool, text: &str) -> NewEvent {
    let person = |phone: &str| json!({ "phone": phone, "lid": null, "name": null });
    let (from, to) = if is_own { (ME, chat) } else { (chat, ME) };
    let data = json!({
        "id": format!("{is_own}_{chat}@c.us_{text}"), "key": text, "chat": format!("{chat}@c.us"), "is_group": false,
        "from": person(from), "to": person(to), "kind": "text", "text": text,
    });
    NewEvent {
        session: "51".to_owned(),
        kind: if is_own {
            EventKind::OwnMessage
        } else {
            EventKind::Message
        },
        once: text.into(),
        who: None,
        chat: Some(format!("{chat}@c.us").as_str().into()),
        me: Me {
            phone: Some(ME.into()),
            lid: None,
        },
        happened_at: jiff::Timestamp::now(),
        is_late: false,
        data: data.to_string().as_str().into(),
        own_key: is_own.then(|| text.to_owned()),
    }
}

/// Writes events into the log of a service that does not run, as its sessions would.
pub(crate) async fn hears(home: &Home, events: Vec<NewEvent>) {
    let day = Duration::from_secs(24 * 3600);
    let (ledger, keeper) = Ledger::new(LedgerOptions {
        folder: home.ledger(),
        idempotency: 2 * day,
        retention: 3 * day,
        events: 3 * day,
        clock: Clock::default(),
    });
    let keeping = tokio::spawn(keeper.run());
    let count = events.len();
    let written = ledger.append(events).await.unwrap();
    assert_eq!(written.iter().flatten().count(), count);
    ledger.close().await;
    keeping.await.unwrap();
}

async fn dead(service: &Service) -> Vec<Value> {
    let answer = service
        .get("/bridge/deliveries?state=dead&limit=1000")
        .await;
    answer.json()["deliveries"].as_array().unwrap().clone()
}

/// Waits until nothing waits any more.
async fn is_done(service: &Service) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let bridge = service.get("/bridge").await.json();
        let all = &bridge["deliveries"];
        let is_new = all["delivered"] == 0 && all["dead"] == 0;
        if all["waiting"] == 0 && !is_new {
            return bridge;
        }
        assert!(Instant::now() < until, "{bridge}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the bridge has called a hub that is not there.
async fn misses_the_hub(service: &Service) {
    let failed = async || {
        let bridge = service.get("/bridge").await.json();
        bridge["deliveries"]["failed"].as_u64().unwrap()
    };
    let (before, until) = (failed().await, Instant::now() + PATIENCE);
    while failed().await == before {
        assert!(Instant::now() < until, "{before}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Each text is recorded once and in the order of its chat; none was tested twice, and those that may not have been are named.
fn assert_told_once(hub: &Hub, of_each: usize, dead: &[Value]) {
    let all = of_each * CHATS.len();
    let seen = hub.0.lock().unwrap();
    for chat in CHATS {
        let wanted: Vec<_> = (0..of_each).map(|n| format!("{chat} number {n}")).collect();
        assert_eq!(seen.recorded[chat], wanted, "each once, in order");
        for (n, text) in wanted.iter().enumerate() {
            let made = seen.tests.get(text).cloned().unwrap_or_default();
            assert!(made.len() <= 1, "{text}: made {} times", made.len());
            assert!(made.iter().all(|is_human| *is_human == (n % 2 == 1)));
        }
    }
    // Each that the hub did not see, or of which it said nothing clear, is named.
    let tested: usize = seen.tests.len();
    assert!(all - tested <= dead.len(), "{all} {tested} {dead:?}");
    for one in dead {
        let failure = one["failure"].as_str().unwrap();
        assert!(failure.contains("in doubt, and not repeated"), "{failure}");
    }
    assert!(dead.len() < all / 2, "{dead:?}");
    let logins = seen.logins;
    assert!(logins > 3, "401 logs in again: {logins}");
}

#[tokio::test]
async fn nothing_is_lost_and_no_test_message_is_made_twice_whatever_ends_or_hangs() {
    const OF_EACH: usize = 8;
    let hub = Hub::default();
    let (life, addr) = hub.lives("127.0.0.1:0".parse().unwrap()).await;
    let service = bridged(Home::new(), addr).await;
    let home = service.stop();
    let texts = (0..OF_EACH).flat_map(|n| CHATS.map(|chat| (chat, n)));
    let events: Vec<_> = texts
        .map(|(chat, n)| event(chat, n % 2 == 1, &format!("{chat} number {n}")))
        .collect();
    let all = events.len();
    hears(&home, events).await;
    life.ends().await;

    // The hub is down when the service begins, and the service is killed meanwhile.
    let service = bridged(home, addr).await;
    service.logs("listening").await;
    let home = service.kill();
    let mut service = bridged(home, addr).await;
    hub.0.lock().unwrap().fails = true;
    let (mut life, _) = hub.lives(addr).await;
    for round in 1..=3 {
        // In the midst of calls.
        hub.has_recorded(round * all / 5).await;
        service = bridged(service.kill(), addr).await;
        hub.has_recorded(round * all / 5 + 2).await;
        life.ends().await;
        misses_the_hub(&service).await;
        (life, _) = hub.lives(addr).await;
    }
    hub.0.lock().unwrap().fails = false;
    is_done(&service).await;
    let dead = dead(&service).await;
    assert_told_once(&hub, OF_EACH, &dead);

    // A person looks and redrives one: that is made once more.
    if let Some(one) = dead.first() {
        let before = hub.tests();
        let body = json!({ "event_ids": [one["event_id"]] });
        let redriven = service.post("/bridge/redrive", &body).await;
        assert_eq!(redriven.json()["redriven"], 1);
        is_done(&service).await;
        let after = hub.tests();
        assert_eq!(after, before + 1);
        assert_eq!(hub.recorded(), all);
    }
    let metrics = service.get("/metrics").await.text();
    assert!(metrics.contains("session_manager_bridge_on 1"), "{metrics}");
    assert!(metrics.contains("session_manager_bridge_events_waiting 0"));
    let times = "session_manager_bridge_log_to_hub_seconds_count ";
    let times = metrics.lines().find_map(|line| line.strip_prefix(times));
    let told: usize = times.unwrap().parse().unwrap();
    // By this service: the ones before it have reported the others.
    assert!(0 < told && told < all, "{metrics}");
    service.stop();
    life.ends().await;
}

#[tokio::test]
async fn without_its_settings_the_bridge_is_off_and_says_so_once() {
    let service = Service::with(&[("CENTRAL_HUB_BASE_URL", "http://127.0.0.1:9")]).await;
    let says = "the bridge to Central Hub is off: CENTRAL_HUB_USER, CENTRAL_HUB_PASS not set";
    service.logs(says).await;
    assert_eq!(service.log().matches("Central Hub").count(), 1);
    let bridge = service.get("/bridge").await.json();
    assert_eq!(bridge["on"], false);
    assert_eq!(
        bridge["missing"],
        json!(["CENTRAL_HUB_USER", "CENTRAL_HUB_PASS"])
    );
    let none = service.get("/bridge/deliveries?state=dead").await.json();
    assert_eq!(none["count"], 0);
    service.stop();
}

#[tokio::test]
async fn a_single_session_is_the_client_that_is_set() {
    let hub = Hub::default();
    let (life, addr) = hub.lives("127.0.0.1:0".parse().unwrap()).await;
    let single = |environment: &mut BTreeMap<&'static str, std::ffi::OsString>| {
        environment.extend([
            ("CENTRAL_HUB_BASE_URL", format!("http://{addr}").into()),
            ("CENTRAL_HUB_USER", "listener".into()),
            ("CENTRAL_HUB_PASS", PASS.into()),
            ("INTERNAL_LISTENER_TOKEN", INTERNAL.into()),
            ("SESSION_MODE", "single".into()),
            ("CENTRAL_HUB_CLIENTE_ID", "51".into()),
        ]);
    };
    let service = Service::start(single).await;
    service.logs("the bridge to Central Hub is on").await;
    let home = service.stop();
    let mut one = event(CHATS[0], false, "hola de admin");
    one.session = "admin".to_owned();
    hears(&home, vec![one]).await;
    let service = Service::start_in(home, single).await;
    // The stand-in asserts that the client is 51.
    hub.has_recorded(1).await;
    service.stop();
    life.ends().await;
}

#[tokio::test]
async fn what_the_phone_writes_is_a_humans_and_what_the_api_sends_is_not() {
    let hub = Hub::default();
    let (life, addr) = hub.lives("127.0.0.1:0".parse().unwrap()).await;
    let service = bridged(Home::new(), addr).await;
    let account = service.link("51").await;
    service.hearing_is("live").await;
    let [person, other, ..] = CHATS;
    let group = json!({"account": account, "name": "Equipo", "participants": [person, other]});
    let group = service.phone("/phone/group", &group).await.json();
    let received = |body: Value| service.does(&account, "receive", body);
    received(json!({"from": person, "name": "Ana", "body": "Entra"})).await;
    service
        .does(&account, "write", json!({"to": person, "body": "A mano"}))
        .await;
    service.sends(51, person, "Por la API").await;
    received(json!({"from": person, "group": group["id"], "body": "En el grupo"})).await;
    received(json!({"from": person, "body": "Al final"})).await;
    hub.has_recorded(4).await;
    is_done(&service).await;
    {
        let seen = hub.0.lock().unwrap();
        let tests: Vec<(&str, &[bool])> = seen
            .tests
            .iter()
            .map(|(text, made)| (text.as_str(), made.as_slice()))
            .collect();
        let wanted: [(&str, &[bool]); 3] = [
            ("A mano", &[true]),
            ("Al final", &[false]),
            ("Entra", &[false]),
        ];
        assert_eq!(tests, wanted);
        let recorded = ["Entra", "A mano", "Por la API", "Al final"];
        assert_eq!(seen.recorded[person], recorded);
        assert_eq!(seen.recorded.len(), 1, "groups are left out");
    }
    assert_eq!(dead(&service).await.len(), 0);
    service.stop();
    life.ends().await;
}
