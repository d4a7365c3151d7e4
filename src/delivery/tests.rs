//! Webhooks on a real ledger: to a real HTTP receiver that behaves badly, and, where hours pass, to one that has a script.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    path::Path,
};

use axum::{
    Router,
    body::Bytes,
    extract,
    http::{HeaderMap, StatusCode as Status},
    response::{IntoResponse as _, Response},
    routing::post,
};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use super::*;
use crate::ledger::{EventKind, Me, NewEvent, tests::options as ledger_options};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Long enough for a crowded machine, and over at once when all is well.
const DEADLINE: Duration = Duration::from_secs(30);

/// A service as far as delivery goes.
struct Service {
    ledger: Ledger,
    webhooks: Webhooks,
    listened: Listened,
    keeper: JoinHandle<()>,
}

fn at_once(attempts: usize) -> DeliveryOptions {
    DeliveryOptions {
        webhook: None,
        schedule: Schedule::new(vec![Duration::ZERO; attempts - 1]),
        allows_private: true,
    }
}

impl Service {
    fn begin(folder: &Path, options: DeliveryOptions) -> Self {
        let (ledger, keeper) = Ledger::new(ledger_options(folder));
        let keeper = tokio::spawn(keeper.run());
        let listened = Listened::default();
        let webhooks = Webhooks::new(
            ledger.clone(),
            options,
            listened.clone(),
            crate::http::envelope,
        );
        webhooks.begin();
        Self {
            ledger,
            webhooks,
            listened,
            keeper,
        }
    }

    /// What SIGKILL does: nothing is finished, nothing is written any more.
    async fn kill(self) {
        self.keeper.abort();
        self.webhooks.0.stop.cancel();
        self.keeper.await.ok();
        self.webhooks.0.tasks.close();
        self.webhooks.0.tasks.wait().await;
    }

    async fn add(&self, body: Value) -> ShownWebhook {
        let draft = Draft::parse(body.as_object().unwrap()).unwrap();
        self.webhooks.add(draft).await.unwrap().0
    }

    async fn change(&self, id: &str, body: Value) -> ShownWebhook {
        let draft = Draft::parse(body.as_object().unwrap()).unwrap();
        self.webhooks.change(id, draft).await.unwrap().0
    }

    async fn append(&self, events: Vec<NewEvent>) {
        self.ledger.append(events).await.unwrap();
    }

    /// Waits until nothing is kept for any webhook.
    async fn has_no_consumer(&self) {
        let until = Instant::now() + DEADLINE;
        while !self.ledger.consumers(KIND).await.unwrap().is_empty() {
            assert!(Instant::now() < until, "something is left");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until what became of a webhook's events is so.
    async fn until(&self, id: &str, is_so: impl Fn(&ConsumerTally) -> bool) -> ConsumerTally {
        let known = self.webhooks.known(id).unwrap();
        let mut tally = known.running.tally.subscribe();
        let reached = timeout(DEADLINE, tally.wait_for(is_so)).await;
        let Ok(reached) = reached else {
            panic!("{:?}", known.running.tally.borrow());
        };
        reached.unwrap().clone()
    }
}

fn event(chat: &str, number: usize) -> NewEvent {
    NewEvent {
        session: "51".to_owned(),
        kind: EventKind::Message,
        once: format!("{chat}-{number}").into(),
        who: None,
        chat: Some(chat.into()),
        me: Me::default(),
        happened_at: Timestamp::from_second(1_790_000_000).unwrap(),
        is_late: false,
        data: json!({ "chat": chat, "number": number }).to_string().into(),
        own_key: None,
    }
}

/// What a receiver has got.
#[derive(Clone, Debug)]
struct Got {
    headers: HeaderMap,
    body: Value,
    raw: Vec<u8>,
    at: Instant,
    status: Status,
}

type Script = Box<dyn FnMut(&Got) -> Response + Send>;

/// A receiver on a port of this machine.
#[derive(Clone)]
struct Target {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    script: Arc<Mutex<Script>>,
    /// Chats whose requests are never answered.
    hanging: watch::Sender<BTreeSet<String>>,
}

impl Target {
    async fn open(script: impl FnMut(&Got) -> Response + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = Self {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
            script: Arc::new(Mutex::new(Box::new(script))),
            hanging: watch::Sender::default(),
        };
        let router = Router::new()
            .route("/{*path}", post(take))
            .with_state(own.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        own
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The numbers that were taken of a chat, in their order, each as often as it came.
    fn taken(&self, chat: &str) -> Vec<u64> {
        let got = self.got.lock();
        let of_chat = got
            .iter()
            .filter(|got| got.status.is_success() && got.body["data"]["chat"] == chat);
        of_chat
            .map(|got| got.body["data"]["number"].as_u64().unwrap())
            .collect()
    }
}

async fn take(
    extract::State(target): extract::State<Target>,
    headers: HeaderMap,
    raw: Bytes,
) -> Response {
    let mut got = Got {
        headers,
        body: serde_json::from_slice(&raw).unwrap(),
        raw: raw.to_vec(),
        at: Instant::now(),
        status: Status::OK,
    };
    let chat = got.body["data"]["chat"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let mut hanging = target.hanging.subscribe();
    let hung = hanging.borrow_and_update().contains(&chat);
    if hung {
        // Its caller goes away, or the test lets it go.
        hanging.wait_for(|chats| !chats.contains(&chat)).await.ok();
    }
    let response = (target.script.lock())(&got);
    got.status = response.status();
    target.got.lock().push(got);
    response
}

fn ok(_: &Got) -> Response {
    Status::NO_CONTENT.into_response()
}

#[tokio::test]
async fn each_event_arrives_signed_and_in_the_order_of_its_chat_at_a_receiver_that_fails_at_random()
{
    let folder = tempfile::tempdir().unwrap();
    let mut turn = 0_u32;
    let target = Target::open(move |_| {
        turn += 1;
        match (turn.wrapping_mul(2_654_435_761) >> 8) % 7 {
            0 => Status::INTERNAL_SERVER_ERROR.into_response(),
            1 => Status::TOO_MANY_REQUESTS.into_response(),
            2 => (Status::FOUND, [("location", "/elsewhere")]).into_response(),
            3 => (Status::BAD_REQUEST, "x".repeat(200_000)).into_response(),
            _ => (Status::OK, "thank you").into_response(),
        }
    })
    .await;
    let service = Service::begin(folder.path(), at_once(50));
    let body = json!({"url": target.url(), "secret": SECRET, "headers": {"X-Own": "1"}});
    let id = service.add(body).await.id;
    let chats = ["a", "b", "c", "d"];
    for numbers in (0..200).collect::<Vec<_>>().chunks(50) {
        let events = numbers
            .iter()
            .map(|number| event(chats[number % 4], *number));
        service.append(events.collect()).await;
    }
    let tally = service.until(&id, |tally| tally.delivered == 200).await;
    assert_eq!((tally.waiting, tally.dead), (0, 0));
    assert!(tally.failed > 20, "{tally:?}");
    for (place, chat) in chats.iter().enumerate() {
        let taken = target.taken(chat);
        let expected: Vec<u64> = (0..200)
            .filter(|number| number % 4 == place as u64)
            .collect();
        assert_eq!(taken, expected, "{chat}");
    }
    let got = target.got.lock();
    assert!(got.iter().all(|got| got.headers["x-own"] == "1"));
    let mut ids = BTreeMap::<_, BTreeSet<String>>::new();
    for got in got.iter() {
        let header = |name: &str| got.headers[name].to_str().unwrap().to_owned();
        let id = header("webhook-id");
        assert_eq!(got.body["id"], id);
        assert_eq!(got.body["type"], "message");
        assert_eq!(got.body["cliente_id"], 51);
        let at = Timestamp::from_second(header("webhook-timestamp").parse().unwrap()).unwrap();
        let secret = Credential::from(SECRET);
        let expected = signature::standard([&secret].into_iter(), &id, at, &got.raw);
        assert_eq!(header("webhook-signature"), expected);
        let number = got.body["data"]["number"].to_string();
        ids.entry(number).or_default().insert(id);
    }
    assert!(ids.values().all(|ids| ids.len() == 1), "an id changed");
    // A redirect is followed nowhere: the receiver answers on every path.
    assert_eq!(
        got.iter().filter(|got| got.status.is_success()).count(),
        200
    );
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_what_its_status_says() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::open(|got| {
        let begun = futures_util::stream::once(async { Ok::<_, std::io::Error>("thank") });
        let endless = begun.chain(futures_util::stream::pending());
        let status = match got.body["data"]["chat"].as_str() {
            Some("a") => Status::OK,
            _ => Status::INTERNAL_SERVER_ERROR,
        };
        (status, axum::body::Body::from_stream(endless)).into_response()
    })
    .await;
    let service = Service::begin(folder.path(), at_once(1));
    let id = service.add(json!({"url": target.url()})).await.id;
    service.append(vec![event("a", 0), event("b", 1)]).await;
    let tally = service
        .until(&id, |tally| tally.waiting == 0 && tally.dead == 1)
        .await;
    assert_eq!((tally.delivered, tally.failed), (1, 1));
    assert_eq!(tally.failure.unwrap().1, "it answered 500");
    assert_eq!(target.taken("a"), [0]);
}

#[tokio::test]
async fn a_chat_that_hangs_holds_up_no_other_nor_does_an_endpoint_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::open(ok).await;
    target.hanging.send_replace(["stuck".to_owned()].into());
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    let service = Service::begin(folder.path(), at_once(3));
    let id = service.add(json!({"url": target.url()})).await.id;
    let absent = service.add(json!({"url": gone})).await.id;
    service
        .append(vec![event("stuck", 0), event("stuck", 1)])
        .await;
    let others = (0..30).map(|number| event(if number % 2 == 0 { "a" } else { "b" }, number));
    service.append(others.collect()).await;
    let tally = service.until(&id, |tally| tally.delivered == 30).await;
    assert_eq!(tally.waiting, 2);
    assert_eq!(target.taken("stuck"), [0; 0]);
    let tally = service.until(&absent, |tally| tally.dead == 32).await;
    let (_, why) = tally.failure.unwrap();
    assert!(
        why.contains("cannot be reached") && why.contains("refused"),
        "{why}"
    );

    target.hanging.send_replace(BTreeSet::new());
    service.until(&id, |tally| tally.waiting == 0).await;
    assert_eq!(target.taken("stuck"), [0, 1]);

    // What was given up is given when a person asks for it.
    let dead = service
        .webhooks
        .deliveries(&absent, DeliveryState::Dead, 0, 100)
        .await
        .unwrap();
    assert_eq!((dead.len(), dead[0].attempts), (32, 3));
    service.change(&absent, json!({"url": target.url()})).await;
    let one = Some(vec![dead[5].event_id.clone()]);
    assert_eq!(service.webhooks.redrive(&absent, one).await.unwrap(), 1);
    service.until(&absent, |tally| tally.delivered == 1).await;
    assert_eq!(service.webhooks.redrive(&absent, None).await.unwrap(), 31);
    let tally = service.until(&absent, |tally| tally.delivered == 32).await;
    assert_eq!((tally.dead, tally.waiting), (0, 0));
    service.webhooks.shut_down().await;
}

#[tokio::test]
async fn a_kill_loses_nothing_and_repeats_only_what_was_under_way() {
    const KILLS: usize = 6;
    let folder = tempfile::tempdir().unwrap();
    let target = Target::open(ok).await;
    let chats: Vec<String> = (0..12).map(|chat| format!("chat{chat}")).collect();
    let mut next = vec![0; chats.len()];
    let mut id = None;
    for round in 0..=KILLS {
        let service = Service::begin(folder.path(), at_once(3));
        if id.is_none() {
            id = Some(service.add(json!({"url": target.url()})).await.id);
        }
        let id = id.as_deref().unwrap();
        service.webhooks.find(id).await.unwrap();
        let mut events = Vec::new();
        for (chat, next) in chats.iter().zip(&mut next) {
            events.extend((*next..*next + 10).map(|number| event(chat, number)));
            *next += 10;
        }
        service.append(events).await;
        let all = next.iter().sum::<usize>() as u64;
        if round == KILLS {
            service.until(id, |tally| tally.delivered == all).await;
        } else {
            service
                .until(id, |tally| tally.delivered >= all / 2 && tally.waiting > 0)
                .await;
            service.kill().await;
        }
    }
    let mut repeated = 0;
    for (chat, next) in chats.iter().zip(next) {
        let mut taken = target.taken(chat);
        let before = taken.len();
        // In order, but that a kill goes back by the one that was under way.
        taken.dedup();
        repeated += before - taken.len();
        let expected: Vec<u64> = (0..next as u64).collect();
        assert_eq!(taken, expected, "{chat}");
    }
    assert!(repeated <= KILLS * 8, "{repeated} were repeated");
}

#[tokio::test]
async fn an_endpoint_that_answers_410_is_switched_off_and_gets_what_it_has_missed_when_it_is_on_again()
 {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::open(|_| Status::GONE.into_response()).await;
    let service = Service::begin(folder.path(), at_once(3));
    let id = service.add(json!({"url": target.url()})).await.id;
    let session: ClienteId = "51".parse().unwrap();
    assert!(service.listened.is_wanted(&session));
    service.append(vec![event("a", 0)]).await;
    service.until(&id, |tally| tally.failed == 1).await;
    let shown = service.webhooks.find(&id).await.unwrap();
    assert!(shown.off_because.unwrap().contains("410"));
    let mut state = service
        .webhooks
        .known(&id)
        .unwrap()
        .running
        .state
        .subscribe();
    state
        .wait_for(|state| state.off_because.is_some())
        .await
        .unwrap();
    service.append(vec![event("a", 1), event("b", 2)]).await;
    service.kill().await;

    // Also over a restart.
    let service = Service::begin(folder.path(), at_once(3));
    let shown = service.webhooks.find(&id).await.unwrap();
    assert!(shown.off_because.is_some());
    assert!(!service.listened.is_wanted(&session));
    assert_eq!(target.got.lock().len(), 1);
    *target.script.lock() = Box::new(ok);
    let tested = service.webhooks.test(&id).await.unwrap();
    assert_eq!((tested.status, tested.failure), (Some(204), None));
    assert_eq!(
        target.got.lock().last().unwrap().body["type"],
        "webhook.test"
    );
    let shown = service.change(&id, json!({"enabled": true})).await;
    assert_eq!(shown.off_because, None);
    assert!(service.listened.is_wanted(&session));
    service.until(&id, |tally| tally.delivered == 3).await;
    assert_eq!(
        (target.taken("a"), target.taken("b")),
        (vec![0, 1], vec![2])
    );
    service.webhooks.remove(&id).await.unwrap();
    assert!(!service.listened.is_wanted(&session));
    assert!(matches!(
        service.webhooks.find(&id).await,
        Err(WebhookError::Unknown)
    ));
    service.has_no_consumer().await;
}

#[tokio::test]
async fn a_webhook_that_was_removed_is_given_nothing_after_a_restart_in_the_midst_of_its_deletion()
{
    let folder = tempfile::tempdir().unwrap();
    let target = Target::open(|_| Status::INTERNAL_SERVER_ERROR.into_response()).await;
    let service = Service::begin(folder.path(), at_once(3));
    let id = service.add(json!({"url": target.url()})).await.id;
    let events = (0..50).map(|number| event("a", number));
    service.append(events.collect()).await;
    service.until(&id, |tally| tally.waiting > 0).await;
    // It answers before what is for it is deleted.
    service.webhooks.remove(&id).await.unwrap();
    service.kill().await;
    let (ledger, keeper) = Ledger::new(ledger_options(folder.path()));
    let keeper = tokio::spawn(keeper.run());
    let left = ledger.consumers(KIND).await.unwrap();
    let left = left.first().expect("it is off, and not deleted yet");
    assert_eq!(left.off_because.as_deref(), Some(REMOVED));
    ledger.close().await;
    keeper.await.unwrap();

    let asked = target.got.lock().len();
    let service = Service::begin(folder.path(), at_once(3));
    let found = service.webhooks.find(&id).await;
    assert!(matches!(found, Err(WebhookError::Unknown)));
    service.has_no_consumer().await;
    assert_eq!(target.got.lock().len(), asked);
}

#[tokio::test]
async fn a_webhook_that_a_person_has_switched_off_is_not_said_to_be_off_for_a_late_410() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::open(|_| Status::GONE.into_response()).await;
    target.hanging.send_replace(["a".to_owned()].into());
    let service = Service::begin(folder.path(), at_once(3));
    let id = service.add(json!({"url": target.url()})).await.id;
    service.append(vec![event("a", 0)]).await;
    let until = Instant::now() + DEADLINE;
    while target.hanging.receiver_count() == 0 {
        assert!(Instant::now() < until, "it was not asked");
        sleep(Duration::from_millis(5)).await;
    }
    service.change(&id, json!({"enabled": false})).await;
    target.hanging.send_replace(BTreeSet::new());
    service.until(&id, |tally| tally.failed == 1).await;
    let kept = service.ledger.consumers(KIND).await.unwrap();
    let shown = service.webhooks.find(&id).await.unwrap();
    for off_because in [&kept[0].off_because, &shown.off_because] {
        let why = off_because.as_deref().unwrap();
        assert!(why.contains("a person"), "{why}");
    }
}

#[tokio::test]
async fn a_webhook_that_is_narrowed_does_not_get_what_already_waits_of_others_nor_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    // The first two are given up, and the others wait when it wants nothing any more.
    let old = Target::open(|got| match got.body["data"]["number"].as_u64() {
        Some(0 | 1) => Status::INTERNAL_SERVER_ERROR.into_response(),
        _ => Status::GONE.into_response(),
    })
    .await;
    let service = Service::begin(folder.path(), at_once(2));
    let body = json!({"url": old.url(), "cliente_ids": [51, 52]});
    let id = service.add(body).await.id;
    let of_52 = |number| NewEvent {
        session: "52".to_owned(),
        ..event("secret", number)
    };
    service.append(vec![event("a", 0), of_52(1)]).await;
    service.until(&id, |tally| tally.dead == 2).await;
    service.append(vec![event("a", 2), of_52(3)]).await;
    let tally = service.until(&id, |tally| tally.failed == 6).await;
    assert_eq!((tally.dead, tally.waiting), (2, 2));
    service.change(&id, json!({"cliente_ids": [51]})).await;
    for state in DeliveryState::ALL {
        let listed = service.webhooks.deliveries(&id, state, 0, 10).await;
        let listed = listed.unwrap();
        let sessions: Vec<_> = listed.iter().map(|one| one.session.as_str()).collect();
        assert_eq!(sessions, ["51"], "{state:?}");
    }

    // The admin of 51 has it led elsewhere, and redriven.
    let new = Target::open(ok).await;
    let body = json!({"url": new.url(), "enabled": true});
    service.change(&id, body).await;
    service.webhooks.redrive(&id, None).await.unwrap();
    let is_done = |tally: &ConsumerTally| tally.waiting + tally.dead == 0 && tally.delivered > 1;
    let tally = service.until(&id, is_done).await;
    assert_eq!(tally.delivered, 2);
    assert_eq!((new.taken("a"), new.taken("secret")), (vec![0, 2], vec![]));
    service.webhooks.shut_down().await;
}

#[tokio::test]
async fn retry_after_is_heeded_for_the_whole_endpoint_when_it_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let mut is_first = true;
    let target = Target::open(move |_| {
        if std::mem::take(&mut is_first) {
            (Status::SERVICE_UNAVAILABLE, [("retry-after", "1")]).into_response()
        } else {
            Status::OK.into_response()
        }
    })
    .await;
    let service = Service::begin(folder.path(), at_once(3));
    let id = service.add(json!({"url": target.url()})).await.id;
    service.append(vec![event("a", 0)]).await;
    service.until(&id, |tally| tally.failed == 1).await;
    service.append(vec![event("b", 1)]).await;
    service.until(&id, |tally| tally.delivered == 2).await;
    let got = target.got.lock();
    let waited = got[1].at - got[0].at;
    assert!(waited >= Duration::from_millis(990), "{waited:?}");
}

#[tokio::test]
async fn private_addresses_are_refused_when_a_webhook_is_made_and_when_it_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::open(ok).await;
    let options = DeliveryOptions {
        allows_private: false,
        ..at_once(1)
    };
    let service = Service::begin(folder.path(), options);
    for url in [
        target.url(),
        "http://[::1]:9/".to_owned(),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "http://LocalHost.:9/".to_owned(),
        "http://hook.localhost/".to_owned(),
    ] {
        let draft = json!({ "url": url });
        let draft = Draft::parse(draft.as_object().unwrap()).unwrap();
        let why = service.webhooks.add(draft).await.unwrap_err();
        assert!(why.to_string().starts_with("url "), "{why}");
    }
    service.kill().await;
    // A name is looked up when it is called; this one was allowed before.
    let service = Service::begin(folder.path(), at_once(1));
    let port = target.address.port();
    let named = json!({"url": format!("http://localhost:{port}/")});
    let id = service.add(named).await.id;
    service.kill().await;
    let options = DeliveryOptions {
        allows_private: false,
        ..at_once(1)
    };
    let service = Service::begin(folder.path(), options);
    service.webhooks.find(&id).await.unwrap();
    service.append(vec![event("a", 0)]).await;
    let tally = service.until(&id, |tally| tally.dead == 1).await;
    let (_, why) = tally.failure.unwrap();
    assert!(why.contains("WEBHOOK_ALLOW_PRIVATE"), "{why}");
    assert!(target.got.lock().is_empty());
}

#[tokio::test]
async fn the_webhook_of_the_settings_keeps_its_place_and_is_gone_when_it_is_not_set_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::open(ok).await;
    let set = |url: String| DeliveryOptions {
        webhook: Some(SetWebhook {
            url,
            secrets: (SECRET.into(), Some(signature::new_secret())),
            types: vec!["message".to_owned()],
        }),
        ..at_once(3)
    };
    let service = Service::begin(folder.path(), set(target.url()));
    let shown = service.webhooks.find(OF_SETTINGS).await.unwrap();
    assert!(shown.is_of_settings);
    // Both sign for as long as they are set.
    assert_eq!(shown.webhook.old_secret_until(Timestamp::now()), None);
    service.append(vec![event("a", 0)]).await;
    service
        .until(OF_SETTINGS, |tally| tally.delivered == 1)
        .await;
    let signature = target.got.lock()[0].headers["webhook-signature"].clone();
    assert_eq!(signature.to_str().unwrap().split(' ').count(), 2);
    let change = Draft::parse(json!({"types": null}).as_object().unwrap()).unwrap();
    let changed = service.webhooks.change(OF_SETTINGS, change).await;
    assert!(matches!(changed, Err(WebhookError::OfSettings)));
    let removed = service.webhooks.remove(OF_SETTINGS).await;
    assert!(matches!(removed, Err(WebhookError::OfSettings)));
    service.change(OF_SETTINGS, json!({"enabled": false})).await;
    service.append(vec![event("a", 1)]).await;
    service.kill().await;

    // It leads elsewhere now, and what the old receiver has said is nothing to the new one.
    let other = Target::open(ok).await;
    let service = Service::begin(folder.path(), set(other.url()));
    service.webhooks.find(OF_SETTINGS).await.unwrap();
    service
        .until(OF_SETTINGS, |tally| tally.delivered == 2)
        .await;
    assert_eq!(other.taken("a"), [1]);
    service.kill().await;

    let service = Service::begin(folder.path(), at_once(3));
    assert!(service.webhooks.all().await.unwrap().is_empty());
    assert_eq!(service.ledger.consumers(KIND).await.unwrap(), []);
}

#[tokio::test]
async fn a_receiver_written_for_waha_gets_its_envelope_and_headers() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::open(ok).await;
    let service = Service::begin(folder.path(), at_once(3));
    let body = json!({
        "url": target.url(), "compat": "waha", "secret": "my-secret-key", "types": ["message"],
    });
    let id = service.add(body).await.id;
    service.append(vec![event("a", 0)]).await;
    service.until(&id, |tally| tally.delivered == 1).await;
    let got = target.got.lock()[0].clone();
    assert_eq!(
        (&got.body["event"], &got.body["session"]),
        (&json!("message"), &json!("51"))
    );
    let header = |name: &str| got.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("x-webhook-request-id"), got.body["id"]);
    assert_eq!(header("x-webhook-hmac-algorithm"), "sha512");
    assert_eq!(
        header("x-webhook-hmac"),
        signature::waha(&"my-secret-key".into(), &got.raw)
    );
    assert!(header("x-webhook-timestamp").len() >= 13);
    assert!(!got.headers.contains_key("webhook-signature"));
}

/// How much memory this process takes, in MB.
fn memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.unwrap().trim().trim_end_matches(" kB");
    kb.parse::<u64>().unwrap() / 1024
}

/// By hand, in a release build: `cargo test --release --lib -- --ignored --nocapture long_backlog`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; takes a minute"]
async fn a_long_backlog_is_delivered_in_bounded_memory() {
    const EVENTS: usize = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let target = Target::open(move |_| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Status::NO_CONTENT.into_response()
    })
    .await;
    // Nothing is kept of what came.
    let got = Arc::clone(&target.got);
    tokio::spawn(async move {
        loop {
            sleep(Duration::from_millis(100)).await;
            got.lock().clear();
        }
    });
    let service = Service::begin(folder.path(), at_once(3));
    let id = service
        .add(json!({"url": target.url(), "enabled": false}))
        .await
        .id;
    let numbers: Vec<usize> = (0..EVENTS).collect();
    for part in numbers.chunks(1000) {
        let text = "x".repeat(500);
        let event = |number: &usize| NewEvent {
            data: json!({"chat": "", "number": number, "text": text})
                .to_string()
                .into(),
            ..event(&format!("chat{}", number % 500), *number)
        };
        service.append(part.iter().map(event).collect()).await;
    }
    let before = memory_mb();
    let begun = Instant::now();
    service.change(&id, json!({"enabled": true})).await;
    let known = service.webhooks.known(&id).unwrap();
    let mut tally = known.running.tally.subscribe();
    let (mut peak, mut taken) = (before, None);
    while tally.borrow_and_update().delivered < EVENTS as u64 {
        peak = peak.max(memory_mb());
        let has_all = tally.borrow().waiting + tally.borrow().delivered >= EVENTS as u64;
        if has_all && taken.is_none() {
            taken = Some(begun.elapsed());
        }
        timeout(Duration::from_secs(10), tally.changed())
            .await
            .unwrap()
            .unwrap();
    }
    let took = begun.elapsed();
    println!(
        "{EVENTS} events: kept for the webhook after {:?}, delivered after {took:?}; memory {before} MB before, {peak} MB at most",
        taken.unwrap_or(took)
    );
    assert!(peak < before + 100, "{before} {peak}");
}

/// A receiver with a script, for hours that pass in no time.
#[derive(Debug, Default)]
struct Scripted {
    /// Its answers, one after another; then it takes everything.
    answers: Mutex<VecDeque<Given>>,
    /// When each attempt was made, and of which event.
    attempts: watch::Sender<Vec<(Instant, String)>>,
}

impl Receiver for Scripted {
    fn filter(&self) -> Filter {
        Filter::default()
    }

    async fn give(&self, delivery: &Delivery) -> Given {
        let data: Value = serde_json::from_str(&delivery.event.data).unwrap();
        let of = format!("{}{}", data["chat"].as_str().unwrap(), data["number"]);
        self.attempts
            .send_modify(|attempts| attempts.push((Instant::now(), of)));
        let answer = self.answers.lock().pop_front();
        let breaks_off = answer.as_ref() == Some(&broken());
        assert!(!breaks_off, "an attempt that breaks off");
        answer.unwrap_or(Given::Taken)
    }
}

fn failed() -> Given {
    Given::Failed {
        why: "it answered 500".to_owned(),
        retry_after: None,
        is_busy: false,
    }
}

/// In a script: the attempt panics.
fn broken() -> Given {
    Given::Refused {
        why: "it panics".to_owned(),
    }
}

/// A worker with this receiver, on a ledger that has these events.
async fn worker(
    folder: &Path,
    answers: Vec<Given>,
    events: Vec<NewEvent>,
) -> (Ledger, Arc<Running<Scripted>>, Arc<Scripted>) {
    worker_after(Duration::ZERO, folder, answers, events).await
}

/// The same after the clock of the machine was set forward.
async fn worker_after(
    step: Duration,
    folder: &Path,
    answers: Vec<Given>,
    events: Vec<NewEvent>,
) -> (Ledger, Arc<Running<Scripted>>, Arc<Scripted>) {
    let (ledger, keeper) = Ledger::new(ledger_options(folder));
    tokio::spawn(keeper.run());
    let new = NewConsumer {
        id: "bridge".to_owned(),
        kind: "bridge",
        settings: "{}".into(),
        from: Beginning::Now,
    };
    let consumer = ledger.put_consumer(new).await.unwrap();
    ledger.append(events).await.unwrap();
    let receiver = Arc::new(Scripted {
        answers: Mutex::new(answers.into()),
        ..Scripted::default()
    });
    let running = Running::new(
        consumer.id,
        Arc::clone(&receiver),
        None,
        consumer.tally,
        times::of_one(),
        CancellationToken::new(),
    );
    let running = Arc::new(running.began_before_a_step(step));
    let schedule = Arc::new(Schedule::default());
    let worker = Worker::new(Arc::clone(&running), ledger.clone(), schedule);
    tokio::spawn(worker.run());
    (ledger, running, receiver)
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_tried_ten_times_by_the_schedule_and_then_given_up_while_its_chat_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let events = vec![event("a", 0), event("a", 1)];
    let (_ledger, running, receiver) = worker(folder.path(), vec![failed(); 10], events).await;
    let mut tally = running.tally.subscribe();
    tally.wait_for(|tally| tally.delivered == 1).await.unwrap();
    assert_eq!((tally.borrow().dead, tally.borrow().failed), (1, 10));
    let attempts = receiver.attempts.borrow().clone();
    let of: Vec<_> = attempts.iter().map(|(_, of)| of.as_str()).collect();
    assert_eq!(of, [vec!["a0"; 10], vec!["a1"]].concat());
    let waits = attempts
        .windows(2)
        .map(|pair| (pair[1].0 - pair[0].0).as_secs_f64());
    let hours = [2, 5, 10, 14, 20, 24].map(|hours| hours * 3600);
    let schedule = [[5, 300, 1800].as_slice(), &hours].concat();
    for (waited, wanted) in waits.zip(schedule) {
        let wanted = f64::from(wanted);
        assert!(
            wanted <= waited && waited < wanted * 1.2 + 2.0,
            "{waited} {wanted}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn when_an_endpoint_that_was_down_takes_an_event_all_that_waits_is_tried_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let events = vec![event("a", 0), event("b", 1)];
    // Both chats fail for an hour and a half, so both wait for hours.
    let (ledger, running, receiver) = worker(folder.path(), vec![failed(); 8], events).await;
    let mut tally = running.tally.subscribe();
    tally.wait_for(|tally| tally.failed == 8).await.unwrap();
    let down_since = Instant::now();
    ledger.append(vec![event("c", 2)]).await.unwrap();
    tally.wait_for(|tally| tally.delivered == 3).await.unwrap();
    let waited = down_since.elapsed();
    assert!(waited < Duration::from_secs(10), "{waited:?}");
    let attempts = receiver.attempts.borrow().clone();
    assert_eq!(attempts[8].1, "c2");
}

#[tokio::test(start_paused = true)]
async fn an_additional_attempt_that_fails_costs_none_of_the_schedule() {
    let folder = tempfile::tempdir().unwrap();
    // The first chat fails four times, and has two hours to wait. Then the second one is taken, and the first fails once more.
    let mut answers = vec![failed(); 4];
    answers.extend([Given::Taken, failed()]);
    let (ledger, running, receiver) = worker(folder.path(), answers, vec![event("a", 0)]).await;
    let mut tally = running.tally.subscribe();
    tally.wait_for(|tally| tally.failed == 4).await.unwrap();
    let failed_at = Instant::now();
    ledger.append(vec![event("b", 1)]).await.unwrap();
    tally.wait_for(|tally| tally.delivered == 2).await.unwrap();
    let attempts = receiver.attempts.borrow().clone();
    let of: Vec<_> = attempts.iter().map(|(_, of)| of.as_str()).collect();
    assert_eq!(of, ["a0", "a0", "a0", "a0", "b1", "a0", "a0"]);
    let last = attempts[6].0 - failed_at;
    assert!(last >= Duration::from_secs(2 * 3600 - 60), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_breaks_off_has_failed_and_its_chat_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let events = vec![event("a", 0), event("a", 1)];
    let (_ledger, running, receiver) = worker(folder.path(), vec![broken(); 2], events).await;
    let mut tally = running.tally.subscribe();
    let delivered = tally.wait_for(|tally| tally.delivered == 2);
    timeout(Duration::from_secs(3600), delivered)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(tally.borrow().failed, 2);
    let attempts = receiver.attempts.borrow().clone();
    let of: Vec<_> = attempts.iter().map(|(_, of)| of.as_str()).collect();
    assert_eq!(of, ["a0", "a0", "a0", "a1"]);
    let failure = tally.borrow().failure.clone().unwrap().1;
    assert!(failure.contains("broke off"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn what_is_redriven_is_tried_at_once_also_after_the_clock_was_set_forward() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Given::Refused {
        why: "it answered 400".to_owned(),
    };
    let step = Duration::from_secs(3 * 3600);
    let (ledger, running, _) =
        worker_after(step, folder.path(), vec![refused], vec![event("a", 0)]).await;
    let mut tally = running.tally.subscribe();
    tally.wait_for(|tally| tally.dead == 1).await.unwrap();
    let asked_at = Instant::now();
    assert_eq!(running.redrive(&ledger, None).await.unwrap(), 1);
    tally.wait_for(|tally| tally.delivered == 1).await.unwrap();
    let waited = asked_at.elapsed();
    assert!(waited < Duration::from_secs(60), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_asks_for_a_week_is_asked_again_after_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    let week = Given::Waits {
        why: "it answered 503".to_owned(),
        retry_in: Duration::from_secs(600_000),
        is_receivers: true,
    };
    let (_ledger, running, receiver) = worker(folder.path(), vec![week], vec![event("a", 0)]).await;
    let mut tally = running.tally.subscribe();
    tally.wait_for(|tally| tally.delivered == 1).await.unwrap();
    let attempts = receiver.attempts.borrow().clone();
    let waited = attempts[1].0 - attempts[0].0;
    assert!(waited < Duration::from_secs(3700), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_redrive_has_an_answer_when_the_ledger_stands_still() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing keeps it.
    let (ledger, _keeper) = Ledger::new(ledger_options(folder.path()));
    let running = Running::new(
        "bridge".to_owned(),
        Arc::new(Scripted::default()),
        None,
        ConsumerTally::default(),
        times::of_one(),
        CancellationToken::new(),
    );
    let answered = timeout(Duration::from_secs(60), running.redrive(&ledger, None));
    let why = answered.await.expect("an answer in time").unwrap_err();
    assert_eq!(why.to_string(), LedgerError::stands_still().to_string());
}
