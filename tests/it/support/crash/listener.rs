//! Those who listen to the service while it breaks: a receiver of webhooks that fails and hangs, and a reader that follows the
//! log by its cursor. Both are in the test's own process, so they outlive the service.

use std::{collections::BTreeMap, convert::Infallible, io, sync::Arc, time::Duration};

use axum::http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::Method;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    super::{Api, WEBHOOK_SECRET, service::Environment, try_answer},
    World,
    judge::{Logged, Taken},
};

/// What a receiver does with an event, and how likely that is, in thousandths. One that hangs holds up its chat for the 15 s after
/// which the service gives an attempt up, so it does so rarely.
const MOODS: [(Mood, u32); 8] = [
    (Mood::Fails, 80),
    (Mood::TakesAndFails, 30),
    (Mood::BreaksOff, 40),
    (Mood::TakesAndBreaksOff, 30),
    (Mood::IsBusy, 3),
    (Mood::Hangs, 2),
    (Mood::TakesAndHangs, 2),
    (Mood::Takes, 813),
];

/// Twenty attempts within half a minute: none is given up by chance.
const RETRY_SECONDS: &str = "0,0,0,0,0,0,1,1,1,1,1,1,2,2,2,2,2,2,2,2";

/// How long one request for events may wait, and how soon it is tried again when the service is away.
const FOLLOW_SECONDS: u32 = 5;
const FOLLOW_RETRY: Duration = Duration::from_millis(100);
/// Far more than such a request takes.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(20);

/// The most that one request for events may ask for.
const PAGE: usize = 1000;

/// What a receiver does with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mood {
    Takes,
    Fails,
    /// It has the event, and the service does not know that.
    TakesAndFails,
    BreaksOff,
    TakesAndBreaksOff,
    /// It asks to be left alone for a second.
    IsBusy,
    Hangs,
    TakesAndHangs,
}

impl Mood {
    const fn takes(self) -> bool {
        match self {
            Self::Takes | Self::TakesAndFails | Self::TakesAndBreaksOff | Self::TakesAndHangs => {
                true
            }
            Self::Fails | Self::BreaksOff | Self::IsBusy | Self::Hangs => false,
        }
    }
}

/// A receiver of webhooks. It ends when it is dropped.
pub(super) struct Receiver {
    pub(super) url: String,
    state: Arc<State>,
    _server: AbortOnDropHandle<()>,
}

struct State {
    random: Mutex<StdRng>,
    taken: Mutex<Vec<Taken>>,
    moods: Mutex<BTreeMap<Mood, u32>>,
    /// From then on it takes everything at once.
    is_mended: CancellationToken,
}

impl Receiver {
    pub(super) async fn open(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(State {
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            taken: Mutex::default(),
            moods: Mutex::default(),
            is_mended: CancellationToken::new(),
        });
        Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            state: Arc::clone(&state),
            _server: AbortOnDropHandle::new(tokio::spawn(serve(listener, state))),
        }
    }

    /// Has a service give it each message.
    pub(super) fn apply(url: &str, env: &mut Environment) {
        env.insert("WEBHOOK_URL", url.into());
        env.insert("WEBHOOK_SECRET", WEBHOOK_SECRET.into());
        env.insert("WEBHOOK_TYPES", "message.any".into());
        env.insert("WEBHOOK_ALLOW_PRIVATE", "true".into());
        env.insert("WEBHOOK_RETRY_SECONDS", RETRY_SECONDS.into());
    }

    /// Lets it take everything from now on, and answer what hangs.
    pub(super) fn mend(&self) {
        self.state.is_mended.cancel();
    }

    pub(super) fn taken(&self) -> Vec<Taken> {
        self.state.taken.lock().clone()
    }

    pub(super) fn moods(&self) -> BTreeMap<Mood, u32> {
        self.state.moods.lock().clone()
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    // They end with this task.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let state = Arc::clone(&state);
                connections.spawn(converse(stream, state));
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, state: Arc<State>) {
    // What it breaks off is reset, and not closed in order.
    stream.set_zero_linger().unwrap();
    let answer = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { state.answer(request).await }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    // It ends with an error when the service dies, and when this side breaks off.
    let _ended = http.serve_connection(TokioIo::new(stream), answer).await;
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let id = request.headers()["webhook-id"].to_str().unwrap().to_owned();
        let body = request.into_body().collect().await;
        // A service that dies meanwhile.
        let body = body.map_err(io::Error::other)?.to_bytes();
        let event: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(event["id"], id.as_str());
        let mood = self.mood();
        *self.moods.lock().entry(mood).or_default() += 1;
        if mood.takes() {
            self.taken.lock().push(Taken {
                id,
                session: event["cliente_id"].as_u64().unwrap(),
                key: event["data"]["key"].as_str().unwrap().to_owned(),
            });
        }
        let broke_off = || io::Error::other("it breaks off");
        let status = match mood {
            Mood::Takes => StatusCode::NO_CONTENT,
            Mood::Fails | Mood::TakesAndFails => StatusCode::INTERNAL_SERVER_ERROR,
            Mood::IsBusy => StatusCode::TOO_MANY_REQUESTS,
            Mood::BreaksOff | Mood::TakesAndBreaksOff => return Err(broke_off()),
            Mood::Hangs | Mood::TakesAndHangs => {
                self.is_mended.cancelled().await;
                return Err(broke_off());
            }
        };
        let response = Response::builder().status(status);
        let response = if mood == Mood::IsBusy {
            response.header(header::RETRY_AFTER, "1")
        } else {
            response
        };
        Ok(response.body(Full::default()).unwrap())
    }

    fn mood(&self) -> Mood {
        if self.is_mended.is_cancelled() {
            return Mood::Takes;
        }
        let all = MOODS.iter().map(|(_, weight)| weight).sum();
        let mut at = self.random.lock().random_range(0..all);
        for (mood, weight) in MOODS {
            if at < weight {
                return mood;
            }
            at -= weight;
        }
        Mood::Takes
    }
}

/// Reads the log by its cursor while the service comes and goes, and keeps each event about a new message as it gets it.
pub(super) async fn follow(world: Arc<World>, got: Arc<Mutex<Vec<Logged>>>) -> Infallible {
    let mut after = 0;
    loop {
        match page(&world.api(), after, FOLLOW_SECONDS).await {
            Some((events, next)) => {
                got.lock().extend(events);
                after = next;
            }
            None => sleep(FOLLOW_RETRY).await,
        }
    }
}

/// The whole log, from its beginning, of a service that runs.
pub(super) async fn whole_log(api: &Api) -> Vec<Logged> {
    let (mut log, mut after) = (Vec::new(), 0);
    loop {
        let (events, next) = page(api, after, 0).await.expect("the log can be read");
        if events.is_empty() && next == after {
            return log;
        }
        log.extend(events);
        after = next;
    }
}

/// What the service says of webhooks, and of the first deliveries that wait.
pub(super) async fn waiting(api: &Api) -> String {
    let webhooks = api.get("/webhooks").await.json();
    let id = webhooks["webhooks"][0]["id"].as_str().unwrap_or_default();
    let path = format!("/webhooks/{id}/deliveries?state=waiting&limit=20");
    let first = api.get(&path).await.text();
    format!("{} {first}", webhooks["webhooks"][0]["deliveries"])
}

/// The events about new messages behind a cursor, and the next cursor; `None` when the service cannot be asked.
async fn page(api: &Api, after: u64, wait: u32) -> Option<(Vec<Logged>, u64)> {
    let path = format!("/events?types=message.any&limit={PAGE}&after={after}&wait={wait}");
    let request = api.request(Method::GET, &path).timeout(FOLLOW_TIMEOUT);
    let answer = try_answer(request).await.ok()?;
    if answer.status == 503 {
        return None;
    }
    assert_eq!(answer.status, 200, "{}", answer.text());
    let page = answer.json();
    let events = page["events"].as_array().unwrap().iter().map(logged);
    Some((events.collect(), page["next"].as_u64().unwrap()))
}

fn logged(event: &Value) -> Logged {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let data = &event["data"];
    Logged {
        id: text(&event["id"]).unwrap(),
        session: event["cliente_id"].as_u64().unwrap(),
        kind: text(&event["type"]).unwrap(),
        source: text(&data["source"]),
        key: text(&data["key"]).unwrap(),
        text: text(&data["text"]).or_else(|| text(&data["caption"])),
        is_late: event["late"] == true,
    }
}
