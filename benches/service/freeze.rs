//! Is a copy of a running profile whole, and for how long is its Chrome stopped? A session sends without a pause and is copied twice
//! a second: `--copies N`. Each copy is restored into a profile of its own, and a Chromium looks what it holds: the link, and every
//! message that had been answered before Chrome was stopped. `--megabytes M` makes the profile larger by files that do not change, as
//! most of those of a large account do not.
//!
//! The service runs in this process: an operator cannot ask for copies that often.

use std::{
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use session_manager::{
    app::App,
    browser::{Browser, LaunchOptions, SnapshotRoot},
    config::Config,
    telemetry::DroppedLines,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{fmt::MakeWriter, util::SubscriberInitExt as _};

use super::{
    Latencies, argument,
    support::{
        Api,
        chrome::{Folder, headless_shell, search_path},
    },
};

const COPIES: usize = 100;

/// Twice a second: the sends of some hundred milliseconds are in each.
const EVERY: Duration = Duration::from_millis(500);

/// At the same time: one waits for WhatsApp's server while another is handed over.
const SENDERS: usize = 4;

/// A copy of a session that sends is there within a second or two.
const COPY_TIMEOUT: Duration = Duration::from_secs(30);

const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Most of a profile are tables of this size, which are written once (docs/profiles.md#snapshots).
const TABLE: usize = 2 * 1024 * 1024;

/// What a page of WhatsApp Web would find in the profile.
const LOOK: &str = "(async () => {
    const settled = (request) => new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
        request.onupgradeneeded = () => request.transaction.abort();
    });
    const database = await settled(indexedDB.open('sandbox-whatsapp'));
    const store = (name) => database.transaction([name]).objectStore(name);
    const link = await settled(store('link').get('link'));
    const messages = await settled(store('messages').getAll());
    return { isLinked: Boolean(link), bodies: messages.map((message) => message.body) };
})()";

/// What was answered, and when.
type Answered = Arc<Mutex<Vec<(Timestamp, String)>>>;

/// Answers whether every copy was whole.
pub(super) async fn bench() -> bool {
    let copies = argument("--copies").map_or(COPIES, |given| given.parse().expect("--copies"));
    let megabytes: usize =
        argument("--megabytes").map_or(0, |given| given.parse().expect("--megabytes"));
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::INFO)
        .with_writer(log.clone());
    subscriber.finish().init();
    let home = Folder::new();
    let (tokens, data) = (home.path().join("tokens"), home.path().join("data"));
    let mut config = config(&tokens, &data);
    config.sessions.snapshot_every = Some(EVERY);
    let app = App::bind(config, DroppedLines::default()).await.unwrap();
    let sandbox = format!("http://{}", app.sandbox_addr().unwrap());
    let api = Api::new(format!("http://{}", app.addrs()[0]), sandbox.clone());
    let (stop, stopping) = watch::channel(false);
    let service = tokio::spawn(app.run_until(move || {
        let mut stopping = stopping.clone();
        async move {
            stopping.wait_for(|stops| *stops).await.ok();
        }
    }));
    api.link("51").await;
    for table in 0..megabytes * 1024 * 1024 / TABLE {
        let folder = tokens.join("51/Default/bench");
        std::fs::create_dir_all(&folder).unwrap();
        let bytes: Vec<u8> = (0..TABLE).map(|_| rand::random()).collect();
        std::fs::write(folder.join(table.to_string()), bytes).unwrap();
    }
    let answered = Answered::default();
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| tokio::spawn(send(api.clone(), sender, Arc::clone(&answered))))
        .collect();

    let mut wrong = Vec::new();
    let mut last = None;
    for copy in 0..copies {
        let snapshots = SnapshotRoot::new(
            data.join("sandbox/snapshots"),
            20,
            1,
            CancellationToken::new(),
        );
        let profile = home.path().join(format!("restored-{copy}"));
        let snapshots = snapshots.of("51", profile.clone());
        let next = async {
            loop {
                match snapshots.taken_at(|_| true).await.unwrap() {
                    Some(taken_at) if last < Some(taken_at) => return taken_at,
                    _ => sleep(LOOK_INTERVAL).await,
                }
            }
        };
        let taken_at = timeout(COPY_TIMEOUT, next).await.expect("another copy");
        last = Some(taken_at);
        let restored = snapshots.restore(move |manifest| manifest.taken_at == taken_at);
        restored.await.unwrap().expect("the copy is whole");
        let found = look_into(&profile, &sandbox).await;
        let bodies = found["bodies"].as_array().cloned().unwrap_or_default();
        let missing: Vec<_> = answered
            .lock()
            .unwrap()
            .iter()
            .filter(|(at, text)| *at <= taken_at && !bodies.contains(&json!(text)))
            .map(|(_, text)| text.clone())
            .collect();
        if found["isLinked"] != true || !missing.is_empty() {
            wrong.push(format!(
                "copy {copy} of {taken_at}: {found}, without {missing:?}"
            ));
        }
        std::fs::remove_dir_all(profile).unwrap();
    }
    for sender in senders {
        sender.abort();
        sender.await.ok();
    }
    let sent = answered.lock().unwrap().len();
    stop.send_replace(true);
    service.await.unwrap().unwrap();
    report(&log, copies, sent, &wrong)
}

fn config(tokens: &Path, data: &Path) -> Config {
    let own = |name: &str| {
        let value = match name {
            "PORT" | "SANDBOX_PORT" | "SEND_RATE_PER_MINUTE" => "0".into(),
            "SANDBOX" => "1".into(),
            "SANDBOX_ACK_SECONDS" => "0.005".into(),
            "PROFILE_SNAPSHOTS" => "20".into(),
            "TOKENS_DIR" => tokens.into(),
            "DATA_DIR" => data.into(),
            "PATH" => search_path(),
            _ => return None,
        };
        Some(value)
    };
    Config::from_lookup(own).unwrap()
}

/// Sends one message after the other.
async fn send(api: Api, sender: usize, answered: Answered) {
    for n in 0_u64.. {
        let text = format!("{sender}/{n} {}", "x".repeat(200));
        let to = format!("549115825420{sender}");
        if api.send(51, &to, &text).await.status == 200 {
            answered.lock().unwrap().push((Timestamp::now(), text));
        }
    }
}

/// Opens the storage of a profile as a page of the same site does, without the page.
async fn look_into(profile: &Path, sandbox: &str) -> Value {
    let options = LaunchOptions {
        program: headless_shell().await,
        profile: profile.to_owned(),
        extra_args: Vec::new(),
        timeout: COPY_TIMEOUT,
    };
    let browser = Browser::open(options, &CancellationToken::new())
        .await
        .unwrap();
    let page = browser.page();
    page.goto(format!("{sandbox}/phone/state")).await.unwrap();
    let found = page.evaluate_expression(LOOK).await;
    let found = found.map_or_else(
        |why| json!(why.to_string()),
        |found| found.into_value().unwrap(),
    );
    browser.close().await;
    found
}

/// What the service has logged.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn report(log: &Log, copies: usize, sent: usize, wrong: &[String]) -> bool {
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let field = |name: &str| -> Vec<u64> {
        let fields = lines.iter().map(|line| &line["fields"]);
        fields.filter_map(|fields| fields[name].as_u64()).collect()
    };
    // The first has everything, the last is of a Chrome that was closed.
    let frozen = field("snapshot.frozen_ms");
    let frozen = frozen[1..frozen.len() - 1].iter();
    let frozen = Latencies::of(&[frozen.map(|ms| Duration::from_millis(*ms)).collect()]);
    let (bytes, mut new) = (field("snapshot.bytes"), field("snapshot.new_bytes"));
    let first = new.remove(0);
    new.sort_unstable();
    let ms = |percent| frozen.percentile(percent).as_millis();
    let at = |percent: usize| new[(new.len() - 1) * percent / 100] / 1024;
    println!("copies looked into                {copies:>8}");
    println!("not whole                         {:>8}", wrong.len());
    println!("messages sent meanwhile           {sent:>8}");
    println!(
        "profile, bytes at the end         {:>8} KiB",
        bytes.last().unwrap_or(&0) / 1024
    );
    println!("copies taken                      {:>8}", frozen.0.len());
    println!(
        "Chrome stopped, p50 p95 p100      {:>8} {} {} ms",
        ms(50),
        ms(95),
        ms(100)
    );
    println!("stored of the first copy          {:>8} KiB", first / 1024);
    println!(
        "stored of the others, p50 p95 p100{:>8} {} {} KiB",
        at(50),
        at(95),
        at(100)
    );
    let given_up = lines.iter().filter(|line| {
        let message = line["fields"]["message"].as_str().unwrap_or_default();
        message.starts_with("no snapshot of the profile")
    });
    println!("given up                          {:>8}", given_up.count());
    for copy in wrong {
        println!("{copy}");
    }
    wrong.is_empty()
}
