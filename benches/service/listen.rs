//! How soon is a message that comes in an event of the log, and at a receiver of webhooks; how many a second; and what memory does a
//! burst take? Beside a bare page, in the same run: a Chrome as the service starts it, on the same simulated WhatsApp, with the
//! unmodified wa-js and a listener for its own `chat.new_message`, and no service at all. `--messages N` for each account one by one,
//! `--burst N` at once.
//!
//! The time of a message is that of the simulated server, taken before it writes the message to its journal and sends it. The log is
//! read as a caller reads it, by `GET /events/stream`; the receiver is in this process. All clocks are that of this machine, and whole
//! milliseconds. The simulated WhatsApp is a process of its own, so the service's memory is its own.

use std::{collections::HashMap, fs, future::Future, sync::Arc, time::Duration};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use futures_util::future::join_all;
use jiff::Timestamp;
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    time::{interval, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Latencies, argument,
    support::{Api, Service, WEBHOOK_SECRET, answer, chrome::Folder, page::Chrome},
};

const SESSIONS: [u64; 2] = [1, 8];

const MESSAGES: usize = 150;
/// Between two messages of an account, at most: faster, nine pages would measure the machine's cores.
const PAUSE_MS: u64 = 600;

/// To each account at once, for how many a second are heard.
const SHARE: usize = 500;
/// To one session at once, for memory.
const BURST: usize = 5000;
/// Chats that a burst is spread over: in each of them events are delivered one after another.
const CHATS: usize = 10;

const PERSON: &str = "5491158254201";

/// A burst of thousands takes minutes where each event is written down and delivered by a build without optimisation.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(50);

/// How often memory is looked at: the service's, and, since that takes milliseconds of each process, Chrome's every tenth time.
const MEMORY_EVERY: Duration = Duration::from_millis(20);
const CHROME_EVERY: u32 = 10;
/// After a burst, before memory is looked at again: what is given back at all is given back by then.
const REST: Duration = Duration::from_secs(15);

/// Longer than the bench takes.
const NEVER_MS: u64 = 3_600_000;

/// The package of npm, as it is.
const WA_JS: &str = "node_modules/@wppconnect/wa-js/dist/wppconnect-wa.js";

const IS_LINKED: &str =
    "document.querySelector('#pane-side') && require('WAWebStreamModel').Stream.mode === 'MAIN'";

/// Answers whether everything was heard, and once.
pub(super) async fn bench() -> bool {
    let number = |name, default| argument(name).map_or(default, |given| given.parse().expect(name));
    let messages = number("--messages", MESSAGES);
    let burst = number("--burst", BURST);
    let mut went_well = true;
    for sessions in SESSIONS {
        let stage = Stage::set(sessions).await;
        println!(
            "\n{sessions} session{} of the service and a bare page, a message for each every {} ms on average",
            if sessions == 1 { "" } else { "s" },
            PAUSE_MS / 2
        );
        went_well &= stage.latencies(messages).await;
        println!("\na burst of {SHARE} for each account at once");
        went_well &= stage.rates(SHARE).await;
        if sessions == 1 {
            println!(
                "\na burst of {burst} for one session, and then for the bare page; RSS of the service, PSS of a Chrome, in MB"
            );
            went_well &= stage.memory(burst).await;
        }
        stage.stop();
    }
    went_well
}

/// A message that arrived.
#[derive(Clone, Debug)]
struct Arrival {
    session: u64,
    key: String,
    at_ms: i64,
}

type Arrivals = Arc<Mutex<Vec<Arrival>>>;

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// The service, its sessions, a bare page, and who listens.
struct Stage {
    whatsapp: Service,
    service: Service,
    /// The first is session 1.
    accounts: Vec<String>,
    bare: Bare,
    in_log: Arrivals,
    at_receiver: Arrivals,
    _listeners: [AbortOnDropHandle<()>; 2],
}

impl Stage {
    async fn set(sessions: u64) -> Self {
        let whatsapp = Service::with(&[("RUST_LOG", "info")]).await;
        // The bare page answers no dialog, and its listener does not outlive a reload.
        let never = json!({ "self_reload_ms": NEVER_MS, "whats_new_logout_ms": NEVER_MS });
        whatsapp.faults(never).await;
        let at_receiver = Arrivals::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = format!("http://{}/hook", listener.local_addr().unwrap());
        let takes = receive(listener, Arc::clone(&at_receiver));
        let takes = AbortOnDropHandle::new(tokio::spawn(takes));
        let service = Service::start(|env| {
            env.remove("SANDBOX");
            env.insert("WHATSAPP_URL", format!("{}/", whatsapp.sandbox()).into());
            env.insert("WEBHOOK_URL", receiver.clone().into());
            env.insert("WEBHOOK_SECRET", WEBHOOK_SECRET.into());
            env.insert("WEBHOOK_TYPES", "message".into());
            env.insert("WEBHOOK_ALLOW_PRIVATE", "true".into());
            // As an operator runs it.
            env.insert("RUST_LOG", "info".into());
        })
        .await;
        let mut accounts = Vec::new();
        for id in 1..=sessions {
            accounts.push(service.link(&id.to_string()).await);
        }
        for id in 1..=sessions {
            let is_live = |status: &Value| status["hearing"]["state"] == "live";
            service
                .status_when(&id.to_string(), "hearing", is_live)
                .await;
        }
        let bare = Bare::open(&whatsapp).await;
        let in_log = Arrivals::default();
        let reads = read(Api::clone(&service), Arc::clone(&in_log));
        let reads = AbortOnDropHandle::new(tokio::spawn(reads));
        Self {
            whatsapp,
            service,
            accounts,
            bare,
            in_log,
            at_receiver,
            _listeners: [takes, reads],
        }
    }

    fn stop(self) {
        drop(self.bare);
        self.service.stop();
        self.whatsapp.stop();
    }

    /// One message after another for each account; how long each took.
    async fn latencies(&self, messages: usize) -> bool {
        self.forget().await;
        let all = self.accounts.iter().chain([&self.bare.account]);
        let written = join_all(all.map(|account| self.write(account, messages))).await;
        let (of_bare, of_sessions) = written.split_last().unwrap();
        let of_sessions: HashMap<_, _> = of_sessions.iter().flatten().cloned().collect();
        let of_bare: HashMap<_, _> = of_bare.iter().cloned().collect();
        self.all_arrived(of_sessions.len(), of_bare.len()).await;

        println!(
            "{:32} {:>7} {:>9} {:>9} {:>9}   {:>9} {:>9}",
            "from WhatsApp's server", "count", "p50 ms", "p99 ms", "max ms", "p50/bare", "p99/bare"
        );
        let bare = latencies(&self.bare.heard().await, &of_bare);
        let mut went_well = true;
        for (name, arrivals) in [
            ("in the log", self.in_log.lock().clone()),
            ("at the receiver", self.at_receiver.lock().clone()),
        ] {
            went_well &= arrivals.len() == of_sessions.len();
            let own = latencies(&arrivals, &of_sessions);
            let ratio = |percent| {
                own.percentile(percent).as_secs_f64() / bare.percentile(percent).as_secs_f64()
            };
            own.row_with(name, &format!("{:9.2} {:9.2}", ratio(50), ratio(99)));
        }
        bare.row("wa-js on the bare page");
        went_well
    }

    /// Has others write to an account; answers the key of each message, and when the server had it.
    async fn write(&self, account: &str, messages: usize) -> Vec<(String, i64)> {
        let mut written = Vec::new();
        for nth in 0..messages {
            sleep(Duration::from_millis(rand::random_range(0..PAUSE_MS))).await;
            let body = json!({ "account": account, "from": PERSON, "body": format!("{nth}") });
            let request = self
                .whatsapp
                .sandbox_request(Method::POST, "/phone/receive");
            let answer = answer(request.json(&body)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let taken = answer.json();
            let at: Timestamp = taken["at"].as_str().unwrap().parse().unwrap();
            let key = taken["id"].as_str().unwrap().to_owned();
            written.push((key, at.as_millisecond()));
        }
        written
    }

    /// So many messages for each account at once; how many a second each hears.
    async fn rates(&self, messages: usize) -> bool {
        self.forget().await;
        let began = now_ms();
        let all = self.accounts.iter().chain([&self.bare.account]);
        join_all(all.map(|account| self.burst(account, messages))).await;
        self.all_arrived(messages * self.accounts.len(), messages)
            .await;
        let rate = |last: i64| rate(messages, last - began);
        let bare = rate(last(&self.bare.heard().await, None));
        println!(
            "{:32} {:>15} {:>12} {:>9}",
            "messages a second", "of each account", "of all", "each/bare"
        );
        let mut went_well = true;
        for (name, arrivals) in [
            ("in the log", self.in_log.lock().clone()),
            ("at the receiver", self.at_receiver.lock().clone()),
        ] {
            went_well &= arrivals.len() == messages * self.accounts.len();
            let sessions = u32::try_from(self.accounts.len()).unwrap();
            let of_each = (1..=u64::from(sessions)).map(|id| rate(last(&arrivals, Some(id))));
            let of_each = of_each.sum::<f64>() / f64::from(sessions);
            let of_all = rate(last(&arrivals, None)) * f64::from(sessions);
            println!(
                "{name:32} {of_each:15.0} {of_all:12.0} {:9.2}",
                of_each / bare
            );
        }
        println!("{:32} {bare:15.0}", "wa-js on the bare page");
        went_well
    }

    /// A burst for session 1, and then one for the bare page; what memory they take.
    async fn memory(&self, messages: usize) -> bool {
        self.forget().await;
        let service = || memory_of(&[self.service.pid()], "status", "VmRSS:");
        let own_chrome = || memory_of(&self.service.home().processes(), "smaps_rollup", "Pss:");
        let bare_chrome = || memory_of(&self.bare.folder.processes(), "smaps_rollup", "Pss:");

        let before = (service(), own_chrome());
        let began = now_ms();
        let arrive = async {
            self.burst(&self.accounts[0], messages).await;
            self.all_arrived(messages, 0).await;
        };
        let peak = highest(arrive, service, own_chrome).await;
        let (in_log, at_receiver) = (self.in_log.lock().clone(), self.at_receiver.lock().clone());
        let rates = [&in_log, &at_receiver].map(|of| rate(messages, last(of, None) - began));
        sleep(REST).await;
        let after = (service(), own_chrome());

        let bare_before = bare_chrome();
        let bare_began = now_ms();
        let arrive = async {
            self.burst(&self.bare.account, messages).await;
            self.all_arrived(messages, messages).await;
        };
        let (_, bare_peak) = highest(arrive, || 0.0, bare_chrome).await;
        let bare_rate = rate(messages, last(&self.bare.heard().await, None) - bare_began);
        sleep(REST).await;

        println!("{:32} {:>9} {:>9} {:>9}", "", "before", "peak", "after");
        for (name, [before, peak, after]) in [
            ("the service", [before.0, peak.0, after.0]),
            ("its Chrome", [before.1, peak.1, after.1]),
            (
                "the bare page's Chrome",
                [bare_before, bare_peak, bare_chrome()],
            ),
        ] {
            println!("{name:32} {before:9.1} {peak:9.1} {after:9.1}");
        }
        println!("{:32} {:>9} {:>9}", "messages a second", "", "/ bare");
        for (name, rate) in ["in the log", "at the receiver"].into_iter().zip(rates) {
            println!("{name:32} {rate:9.0} {:9.2}", rate / bare_rate);
        }
        println!("{:32} {bare_rate:9.0}", "wa-js on the bare page");
        in_log.len() == messages && at_receiver.len() == messages
    }

    async fn burst(&self, account: &str, messages: usize) {
        let body = json!({ "account": account, "chats": CHATS, "messages": messages });
        let request = self.whatsapp.sandbox_request(Method::POST, "/phone/burst");
        let answer = answer(request.json(&body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Before the next messages.
    async fn forget(&self) {
        self.in_log.lock().clear();
        self.at_receiver.lock().clear();
        self.bare.chrome.run("heard.length = 0").await;
    }

    /// Waits until so many are in the log and at the receiver, and so many in the bare page.
    async fn all_arrived(&self, of_sessions: usize, of_bare: usize) {
        let mut ticks = interval(LOOK);
        let arrived = timeout(ARRIVAL_TIMEOUT, async {
            while self.in_log.lock().len() < of_sessions
                || self.at_receiver.lock().len() < of_sessions
                || self.bare.count().await < of_bare
            {
                ticks.tick().await;
            }
        });
        let is_there = arrived.await.is_ok();
        let in_bare = self.bare.count().await;
        let [in_log, at_receiver] = [&self.in_log, &self.at_receiver].map(|of| of.lock().len());
        assert!(
            is_there,
            "of {of_sessions} messages {in_log} are in the log and {at_receiver} at the receiver, of {of_bare} {in_bare} in the bare page"
        );
    }
}

/// A page with wa-js and nothing else.
struct Bare {
    chrome: Chrome,
    account: String,
    folder: Folder,
}

impl Bare {
    async fn open(whatsapp: &Service) -> Self {
        let folder = Folder::new();
        let chrome = Chrome::open(&folder.profile()).await;
        chrome.goto(&format!("{}/", whatsapp.sandbox())).await;
        chrome.shows("[data-ref]").await;
        let bundle = fs::read_to_string(WA_JS).expect("wa-js is installed: run npm install");
        chrome
            .run("window.WPPConfig = { disableGoogleAnalytics: true, linkPreviewApiServers: [] }")
            .await;
        // Not through `run`: the bundle has to meet the global scope.
        chrome.value::<()>(&format!("{bundle};null")).await;
        chrome.until("WPP.isFullReady").await;
        chrome
            .run(
                "window.heard = [];
                WPP.on('chat.new_message', ({ id }) => {
                    if (!id.fromMe) heard.push([id.id, Date.now()]);
                })",
            )
            .await;
        let code = "WPP.conn.getAuthCode().then((code) => code.fullCode)";
        let code: String = chrome.value(code).await;
        let account = whatsapp.scan(&code).await;
        chrome.until(IS_LINKED).await;
        Self {
            chrome,
            account,
            folder,
        }
    }

    async fn count(&self) -> usize {
        self.chrome.value("heard.length").await
    }

    async fn heard(&self) -> Vec<Arrival> {
        let heard: Vec<(String, i64)> = self.chrome.value("heard").await;
        let arrivals = heard.into_iter().map(|(key, at_ms)| Arrival {
            session: 0,
            key,
            at_ms,
        });
        arrivals.collect()
    }
}

/// A receiver that takes everything at once.
async fn receive(listener: TcpListener, arrivals: Arrivals) {
    let take = async |State(arrivals): State<Arrivals>, body: String| {
        let at_ms = now_ms();
        arrivals.lock().push(arrival(&body, at_ms));
        StatusCode::NO_CONTENT
    };
    let router = Router::new()
        .route("/hook", post(take))
        .with_state(arrivals);
    axum::serve(listener, router).await.unwrap();
}

/// A reader of the stream of events.
async fn read(api: Api, arrivals: Arrivals) {
    let request = api.request(Method::GET, "/events/stream?types=message&after=latest");
    let mut stream = request
        .timeout(Duration::from_secs(3600))
        .send()
        .await
        .unwrap();
    let mut text = Vec::new();
    while let Some(more) = stream.chunk().await.unwrap() {
        let at_ms = now_ms();
        text.extend_from_slice(&more);
        let Some(end) = text.windows(2).rposition(|pair| pair == b"\n\n") else {
            continue;
        };
        let rest = text.split_off(end + 2);
        let whole = String::from_utf8(std::mem::replace(&mut text, rest)).unwrap();
        let said = whole.lines().filter_map(|line| line.strip_prefix("data:"));
        // The service says in it that it stops, too.
        let said = said.filter(|data| data.contains("\"cliente_id\""));
        arrivals
            .lock()
            .extend(said.map(|data| arrival(data, at_ms)));
    }
}

fn arrival(event: &str, at_ms: i64) -> Arrival {
    let event: Value = serde_json::from_str(event).unwrap();
    Arrival {
        session: event["cliente_id"].as_u64().unwrap(),
        key: event["data"]["key"].as_str().unwrap().to_owned(),
        at_ms,
    }
}

/// How long each took that was written then.
fn latencies(arrivals: &[Arrival], written: &HashMap<String, i64>) -> Latencies {
    let took = |arrival: &Arrival| {
        let ms = arrival.at_ms - written[&arrival.key];
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    };
    Latencies::of(&[arrivals.iter().map(took).collect()])
}

/// When the last one arrived, of one session or of all.
fn last(arrivals: &[Arrival], session: Option<u64>) -> i64 {
    let is_of = |arrival: &&Arrival| session.is_none_or(|id| id == arrival.session);
    let times = arrivals.iter().filter(is_of).map(|arrival| arrival.at_ms);
    times.max().expect("some arrived")
}

fn rate(messages: usize, ms: i64) -> f64 {
    let count = f64::from(u32::try_from(messages).unwrap());
    count * 1000.0 / f64::from(u32::try_from(ms.max(1)).unwrap())
}

/// The most memory that two kinds of processes have while something happens.
pub(super) async fn highest(
    while_it: impl Future<Output = ()>,
    first: impl Fn() -> f64,
    second: impl Fn() -> f64,
) -> (f64, f64) {
    let mut most = (first(), second());
    let mut ticks = interval(MEMORY_EVERY);
    let mut looks = 0;
    tokio::pin!(while_it);
    loop {
        tokio::select! {
            () = &mut while_it => return most,
            _ = ticks.tick() => {
                looks += 1;
                most.0 = most.0.max(first());
                if looks % CHROME_EVERY == 0 {
                    most.1 = most.1.max(second());
                }
            }
        }
    }
}

/// What a field of a file in `/proc` says of these processes, in megabytes. One that has ended has nothing.
pub(super) fn memory_of(processes: &[u32], file: &str, field: &str) -> f64 {
    let of = |pid: &u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(field))?;
        line.split_ascii_whitespace().next()?.parse::<f64>().ok()
    };
    processes.iter().filter_map(of).sum::<f64>() / 1024.0
}
