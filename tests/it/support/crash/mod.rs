//! The crash test: clients send through a service that is killed repeatedly, others write to its accounts, and at the end it is
//! counted what arrived, in both directions.
//!
//! The simulated WhatsApp is a process of its own, so that it outlives the service; it is killed too, as a network is
//! lost. Who is struck when comes from one seed; what is hit at that moment is the machine's part, so a seed finds the
//! same kind of trouble again, not the same instruction.

mod arrivals;
mod attachment;
mod chaos;
mod client;
mod judge;
mod listener;
mod others;
mod report;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub(crate) use chaos::Chaos;
use client::{Chat, Client, Script};
use judge::{Heard, Logged, Written};
use listener::Receiver;
use others::Talk;
pub(crate) use report::Report;
use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{Api, Service, service::Environment, try_answer};

/// Once nothing is broken any more, every client is done within a send's wait and a start of Chrome.
const FINISH_TIMEOUT: Duration = Duration::from_secs(120);

/// Once nothing is broken any more, every session has caught up within seconds. What has gathered for the receiver takes longer, where
/// the machine has other work.
const HEARD_TIMEOUT: Duration = Duration::from_secs(300);

/// How often it is looked what is outstanding: in a long run that is a search through tens of thousands of messages.
const HEARD_LOOK: Duration = Duration::from_secs(1);

/// A person writes so often that something is under way most of the time, and each kill meets it at another moment.
pub(crate) const TALKATIVE: Duration = Duration::from_secs(2);

/// A client that sends as fast as is of use: most of the time something is under way.
pub(crate) const BUSY: Duration = Duration::from_millis(200);

/// How often it is looked whether a session runs.
const LOOK: Duration = Duration::from_millis(200);

/// Chats of each session: two whose clients wait for each answer, and one whose client does not.
const CHATS: [(&str, bool); 3] = [
    ("5491158254201", false),
    ("5491158254202", false),
    ("5491158254203", true),
];

/// What to do to the service, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What everything random comes from.
    pub(crate) seed: u64,
    /// Processes to kill: services and Chromes.
    pub(crate) kills: u32,
    pub(crate) sessions: u64,
    /// Whether the test connects sessions that have ended, or leaves it to the service to restart them.
    pub(crate) is_attended: bool,
    /// The longest that a client waits between two messages.
    pub(crate) pause: Duration,
    /// Whether a third of what clients send are files.
    pub(crate) has_media: bool,
    /// The longest that others wait between two messages of a chat. `None`: they write nothing, and nothing listens.
    pub(crate) others: Option<Duration>,
    /// Where the logs of all services go, one after another.
    pub(crate) log: Option<PathBuf>,
}

/// What clients, chaos and those who look after the sessions share.
#[derive(Debug)]
struct World {
    plan: Plan,
    /// The service that runs now, or ran last.
    api: Mutex<Api>,
    /// Nothing new is sent any more.
    is_over: AtomicBool,
    /// What clients were answered, other than that it was sent.
    answers: Mutex<BTreeMap<String, u32>>,
    /// Sessions that asked for a scan: their link was lost.
    unlinked: AtomicBool,
}

impl World {
    fn api(&self) -> Api {
        self.api.lock().unwrap().clone()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn note(&self, answer: &str) {
        let mut answers = self.answers.lock().unwrap();
        *answers.entry(answer.to_owned()).or_default() += 1;
    }

    fn noted(&self, answer: &str) -> u32 {
        let answers = self.answers.lock().unwrap();
        answers.get(answer).copied().unwrap_or_default()
    }
}

/// What the service under test runs with, each time that it is started.
pub(super) struct Settings {
    /// Its WhatsApp, which is elsewhere.
    url: String,
    /// Who is given what it hears.
    receiver: Option<String>,
    with: Box<dyn Fn(&mut Environment) + Send>,
}

impl Settings {
    fn new(
        whatsapp: &str,
        receiver: Option<String>,
        with: impl Fn(&mut Environment) + Send + 'static,
    ) -> Self {
        Self {
            url: format!("{whatsapp}/"),
            receiver,
            with: Box::new(with),
        }
    }

    fn apply(&self, env: &mut Environment) {
        env.remove("SANDBOX");
        env.insert("WHATSAPP_URL", self.url.clone().into());
        // Typed messages are honestly unknown when their page breaks off: no case for a count of what is lost.
        env.insert("ADAPTERS", "modules,wa-js".into());
        // Where npm puts it; without it, a session that lost a module waits for its next load.
        let bundle = "node_modules/@wppconnect/wa-js/dist/wppconnect-wa.js";
        if let Ok(bundle) = Path::new(bundle).canonicalize() {
            env.insert("WA_JS_PATH", bundle.into());
        }
        // Chromes are killed by the minute here: the limit is for sessions that nothing helps.
        env.insert("HEALS_PER_HOUR", "10000".into());
        env.insert("SEND_WAIT_SECONDS", "8".into());
        env.insert("CONNECT_WAIT_SECONDS", "1".into());
        env.insert("RUST_LOG", "info,session_manager=debug".into());
        if let Some(url) = &self.receiver {
            Receiver::apply(url, env);
        }
        (self.with)(env);
    }
}

/// Links the sessions, lets clients send while everything breaks, and counts.
pub(crate) async fn run(plan: Plan) -> Report {
    let mut stage = Stage::set(plan, |_| {}).await;
    stage.chaos.strike_all().await;
    stage.finish().await
}

/// Services, linked sessions, clients that send through them without a pause and others who write to them, until
/// [`finish`](Stage::finish).
pub(crate) struct Stage {
    world: Arc<World>,
    /// Who breaks what.
    pub(crate) chaos: Chaos,
    chats: Vec<Arc<Mutex<Chat>>>,
    clients: Vec<AbortOnDropHandle<()>>,
    attendants: Vec<AbortOnDropHandle<()>>,
    audience: Option<Audience>,
    began: Instant,
}

/// The other direction: those who write to the sessions, and those who are given what the sessions hear.
struct Audience {
    receiver: Receiver,
    others: Vec<AbortOnDropHandle<()>>,
    written: others::Record,
    followed: Arc<parking_lot::Mutex<Vec<Logged>>>,
    _follower: AbortOnDropHandle<std::convert::Infallible>,
}

impl Audience {
    /// Lets others write to these accounts, the first of which belongs to session 1.
    async fn gather(
        world: &Arc<World>,
        receiver: Receiver,
        accounts: &[String],
        pause: Duration,
    ) -> Self {
        let written = others::Record::default();
        let mut others = Vec::new();
        for (account, session) in accounts.iter().zip(1..) {
            for talk in Talk::all(&world.api(), session, account).await {
                let number = u64::try_from(others.len()).unwrap();
                // Not those of the clients.
                let seed = world.plan.seed.wrapping_sub(number + 1);
                let record = Arc::clone(&written);
                let writes = others::write(Arc::clone(world), talk, seed, pause, record);
                others.push(AbortOnDropHandle::new(tokio::spawn(writes)));
            }
        }
        let followed = Arc::default();
        let reads = listener::follow(Arc::clone(world), Arc::clone(&followed));
        Self {
            receiver,
            others,
            written,
            followed,
            _follower: AbortOnDropHandle::new(tokio::spawn(reads)),
        }
    }

    /// Lets those who write end what they have begun.
    async fn falls_silent(&mut self) {
        self.receiver.mend();
        for other in &mut self.others {
            other.await.expect("a person who writes does not panic");
        }
    }

    /// Waits until all is heard and delivered, and gives what there is to judge. `sent` is what the service has sent.
    async fn hears(&self, api: &Api, sent: Vec<Written>) -> Heard {
        let mut heard = Heard {
            written: [self.written.lock().clone(), sent].concat(),
            ..Heard::default()
        };
        let mut ticks = interval(HEARD_LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let began = Instant::now();
        let until = began + HEARD_TIMEOUT;
        loop {
            ticks.tick().await;
            heard.followed.clone_from(&self.followed.lock());
            heard.taken = self.receiver.taken();
            let outstanding = heard.outstanding();
            heard.gathered = heard.gathered.max(outstanding);
            if outstanding == 0 {
                heard.drained_in = Some(began.elapsed());
                break;
            }
            if until < Instant::now() {
                // Whether it is slow, or has no turn.
                println!("outstanding at the end: {}", listener::waiting(api).await);
                break;
            }
        }
        heard.log = listener::whole_log(api).await;
        // What is behind the last of them may come a moment later.
        while heard.followed.len() < heard.log.len() && Instant::now() < until {
            ticks.tick().await;
            heard.followed.clone_from(&self.followed.lock());
        }
        heard
    }
}

impl Stage {
    /// Starts everything; `with` may change the service's variables.
    pub(crate) async fn set(plan: Plan, with: impl Fn(&mut Environment) + Send + 'static) -> Self {
        let began = Instant::now();
        let whatsapp = Service::with(&[]).await;
        let receiver = match plan.others {
            Some(_) => Some(Receiver::open(plan.seed).await),
            None => None,
        };
        let url = receiver.as_ref().map(|receiver| receiver.url.clone());
        let settings = Settings::new(whatsapp.sandbox(), url, with);
        let service = Service::start_in(super::Home::new(), |env| settings.apply(env)).await;
        let mut accounts = Vec::new();
        for id in 1..=plan.sessions {
            accounts.push(service.link(&id.to_string()).await);
        }
        let world = Arc::new(World {
            api: Mutex::new(Api::clone(&service)),
            is_over: AtomicBool::new(false),
            answers: Mutex::default(),
            unlinked: AtomicBool::new(false),
            plan,
        });
        let watch = |id| AbortOnDropHandle::new(tokio::spawn(attend(Arc::clone(&world), id)));
        let attendants = (1..=world.plan.sessions).map(watch).collect();
        let mut chats = Vec::new();
        let mut clients = Vec::new();
        for (account, session) in accounts.iter().zip(1..) {
            for (to, is_async) in CHATS {
                let chat = Arc::new(Mutex::new(Chat::new(account.clone(), to)));
                chats.push(Arc::clone(&chat));
                let number = u64::try_from(chats.len()).unwrap();
                let script = Script {
                    session,
                    to,
                    is_async,
                    seed: world.plan.seed.wrapping_add(number),
                };
                let client = Client::new(Arc::clone(&world), script, chat);
                clients.push(AbortOnDropHandle::new(tokio::spawn(client.run())));
            }
        }
        let audience = match receiver.zip(world.plan.others) {
            Some((receiver, pause)) => {
                Some(Audience::gather(&world, receiver, &accounts, pause).await)
            }
            None => None,
        };
        let trouble = Chaos::new(Arc::clone(&world), service, whatsapp, settings, accounts);
        Self {
            world,
            chaos: trouble,
            chats,
            clients,
            attendants,
            audience,
            began,
        }
    }

    /// How often clients have been answered so, other than that a message was sent: status and code.
    pub(crate) fn answered(&self, answer: &str) -> u32 {
        self.world.noted(answer)
    }

    /// How many messages have been accepted.
    pub(crate) fn accepted(&self) -> usize {
        let accepted = |chat: &Mutex<Chat>| chat.lock().unwrap().promised.accepted.len();
        self.chats.iter().map(|chat| accepted(chat)).sum()
    }

    /// Mends everything, lets the clients finish what they have begun, counts, and stops all.
    pub(crate) async fn finish(mut self) -> Report {
        self.world.is_over.store(true, Ordering::Relaxed);
        self.chaos.mend().await;
        let finished = async {
            for client in &mut self.clients {
                client.await.expect("a client does not panic");
            }
        };
        let is_finished = timeout(FINISH_TIMEOUT, finished).await.is_ok();
        drop((self.clients, self.attendants));
        let heard = match &mut self.audience {
            Some(audience) => {
                audience.falls_silent().await;
                let sent = self.chaos.sent().await;
                let heard = audience.hears(&self.world.api(), sent).await;
                Some((heard.judge(), audience.receiver.moods()))
            }
            None => None,
        };
        let chats = self.chats.iter().map(|chat| chat.lock().unwrap().clone());
        let mut report = Report::of(
            &self.world,
            chats.collect(),
            &mut self.chaos,
            is_finished,
            self.began,
        )
        .await;
        report.heard = heard;
        report.left = self.chaos.stop();
        report
    }
}

/// Looks after a session as whoever runs the service does, if somebody does: sees whether its link is lost, and connects it
/// again when it has ended.
async fn attend(world: Arc<World>, id: u64) {
    let mut ticks = interval(LOOK);
    loop {
        ticks.tick().await;
        let api = world.api();
        let path = format!("/status?cliente_id={id}");
        let Ok(status) = try_answer(api.request(Method::GET, &path)).await else {
            continue;
        };
        match status.json()["state"].as_str() {
            Some("DISCONNECTED" | "ERROR") | None if world.plan.is_attended => {
                let connect = api.request(Method::POST, "/connect");
                // Whether it came up shows in the next look.
                let _answer = try_answer(connect.json(&json!({ "cliente_id": id }))).await;
            }
            Some("QR_REQUIRED") => world.unlinked.store(true, Ordering::Relaxed),
            Some(_) | None => {}
        }
    }
}
