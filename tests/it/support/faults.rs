//! What becomes of sessions and sends when something breaks, with no person there to help. The tests do it briefly, the
//! benchmark `faults` makes the table of docs/reliability.md of it.
//!
//! While it breaks, three clients of each session send without a pause and repeat what was not answered, each request under
//! its key. A fault is noticed when the session's status says anything but READY, or counts a restart; it is over when every session is READY again.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use reqwest::Method;
use rustix::process::{Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use tokio::time::{interval, sleep, timeout};

use super::{
    Api, Service,
    chrome::pid_of,
    crash::{BUSY, Plan, Report, Stage},
    devtools::{DevTools, chrome_with_a_port},
    disk::limit_files,
    try_answer,
};

/// How often a status is looked at: the figures are no finer.
const LOOK: Duration = Duration::from_millis(20);

/// A session that has not come back by then counts as one that needs a person.
const PATIENCE: Duration = Duration::from_secs(180);

/// Something that breaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    ChromeKilled,
    ChromeStopped,
    RendererKilled,
    PageHangs,
    PageLeaves,
    ServiceKilled,
    /// So many times in a row, in the midst of what it writes.
    KilledWhileWriting(usize),
    /// WhatsApp's server is away for so long: longer than a page takes for a reconnect.
    NetworkCut(Duration),
    /// Nothing more can be written down for so long.
    DiskFull(Duration),
    /// The page finds no room for what it stores for so long, and takes messages without sending them from then on.
    StorageFull(Duration),
    ProfileCorrupt,
}

/// What it came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// `None` where no service runs that could notice.
    pub(crate) noticed: Option<Duration>,
    /// `None` when the sessions did not come back by themselves.
    pub(crate) ready: Option<Duration>,
    pub(crate) report: Report,
}

/// The head of a table of outcomes.
pub(crate) const HEAD: &str =
    "| fault | noticed after | READY after | sends | lost | doubled | processes left |
|---|---|---|---|---|---|---|";

impl Outcome {
    /// As a line of that table.
    pub(crate) fn row(&self, name: &str) -> String {
        let seconds = |time: Option<Duration>| {
            time.map_or_else(
                || "–".to_owned(),
                |time| format!("{:.1} s", time.as_secs_f64()),
            )
        };
        let Self {
            noticed,
            ready,
            report,
        } = self;
        format!(
            "| {name} | {} | {} | {} | {} | {} | {} |",
            seconds(*noticed),
            seconds(*ready),
            report.sends(),
            report.lost(),
            report.doubled(),
            report.left()
        )
    }

    /// Whether nothing was lost, doubled or left, and the sessions came back.
    pub(crate) fn is_good(&self) -> bool {
        self.report.is_clean() && self.ready.is_some()
    }
}

/// Breaks something while clients send, who do so for `traffic` before and after it.
pub(crate) async fn measure(
    fault: Fault,
    sessions: u64,
    traffic: Duration,
    log: Option<PathBuf>,
) -> Outcome {
    let plan = Plan {
        seed: 1,
        kills: 0,
        sessions,
        is_attended: false,
        pause: BUSY,
        has_media: false,
        others: None,
        log,
    };
    // These are done to the page from outside, over a port.
    let needs_a_port = matches!(fault, Fault::PageHangs | Fault::PageLeaves);
    let mut stage = Stage::set(plan, move |env| {
        if needs_a_port {
            env.insert("CHROME_PATH", chrome_with_a_port().into());
        }
    })
    .await;
    sleep(traffic).await;
    let (noticed, ready) = fault.strike(&mut stage, sessions).await;
    if ready.is_some() {
        sleep(traffic).await;
    }
    let report = stage.finish().await;
    Outcome {
        noticed,
        ready,
        report,
    }
}

impl Fault {
    /// Breaks it, and measures how long it took until that was noticed and until all sessions were READY again.
    async fn strike(
        self,
        stage: &mut Stage,
        sessions: u64,
    ) -> (Option<Duration>, Option<Duration>) {
        let before = counters(stage.chaos.service()).await;
        let began = Instant::now();
        match self {
            Self::ChromeKilled => signal_chrome(stage.chaos.service(), Signal::KILL).await,
            Self::ChromeStopped => signal_chrome(stage.chaos.service(), Signal::STOP).await,
            Self::RendererKilled => kill_renderer(stage.chaos.service()).await,
            Self::PageHangs => {
                let endless = json!({ "expression": "for (;;) {}" });
                devtools(stage).await.ask("Runtime.evaluate", endless).await;
            }
            Self::PageLeaves => {
                let elsewhere = json!({ "url": "data:text/html,elsewhere" });
                devtools(stage).await.ask("Page.navigate", elsewhere).await;
            }
            Self::ServiceKilled => {
                stage.chaos.replace_service(Duration::ZERO).await;
                // A service that is gone notices nothing: the next one does, as soon as it listens.
                let noticed = began.elapsed();
                let ready = all_ready(stage.chaos.service(), sessions, began).await;
                return (Some(noticed), ready);
            }
            Self::KilledWhileWriting(times) => {
                let mut longest = Duration::ZERO;
                for _ in 0..times {
                    let before = counters(stage.chaos.service()).await;
                    let began = Instant::now();
                    signal_group(stage.chaos.service()).await;
                    let (_, Some(ready)) = watch(stage.chaos.service(), before, began).await else {
                        return (None, None);
                    };
                    longest = longest.max(ready);
                    // Each time at another moment of the traffic.
                    sleep(Duration::from_millis(rand::random_range(200..900))).await;
                }
                return (None, Some(longest));
            }
            Self::NetworkCut(away) => {
                let api = Api::clone(stage.chaos.service());
                let cut = stage.chaos.cut_network(away);
                let ((), seen) = tokio::join!(cut, watch(&api, before, began));
                return seen;
            }
            Self::DiskFull(full) => return fill_disk(stage, full).await,
            Self::StorageFull(full) => {
                let api = Api::clone(stage.chaos.service());
                api.faults(json!({ "storage": "full" })).await;
                sleep(full).await;
                api.faults(json!({})).await;
            }
            Self::ProfileCorrupt => {
                let service = stage.chaos.service();
                assert_eq!(service.disconnect(1).await.status, 200);
                let profile = service.home().tokens().join("1");
                corrupt(&profile);
                let began = Instant::now();
                service.connect(1).await;
                return (None, all_ready(service, sessions, began).await);
            }
        }
        watch(stage.chaos.service(), before, began).await
    }
}

/// Lets the service write nothing for so long. It is noticed when a send is refused for it, and over when one is accepted
/// again; the session has to stay READY throughout.
async fn fill_disk(stage: &Stage, full: Duration) -> (Option<Duration>, Option<Duration>) {
    let service = stage.chaos.service();
    let before = counters(service).await;
    let began = Instant::now();
    limit_files(service.pid(), Some(0));
    let refused = loop_until(|| stage.answered("503 LEDGER_UNAVAILABLE") > 0).await;
    let noticed = refused.then(|| began.elapsed());
    sleep(full.saturating_sub(began.elapsed())).await;
    let accepted = stage.accepted();
    limit_files(service.pid(), None);
    let healed = loop_until(|| stage.accepted() > accepted).await;
    let status = service.status("1").await;
    let stayed = status["state"] == "READY" && status["restarts"] == before;
    (noticed, (healed && stayed).then(|| began.elapsed()))
}

/// Whether something came about while one may wait for it.
async fn loop_until(came_about: impl Fn() -> bool) -> bool {
    let mut looks = interval(LOOK);
    let watched = timeout(PATIENCE, async {
        while !came_about() {
            looks.tick().await;
        }
    });
    watched.await.is_ok()
}

/// What changes in a session's status when it is healed.
async fn counters(api: &Api) -> Value {
    api.status("1").await["restarts"].take()
}

/// Waits until the fault shows in the status of session 1, and until that is READY again.
async fn watch(api: &Api, before: Value, began: Instant) -> (Option<Duration>, Option<Duration>) {
    let mut looks = interval(LOOK);
    let mut noticed = None;
    let watched = timeout(PATIENCE, async {
        loop {
            looks.tick().await;
            let status = api.status("1").await;
            let is_ready = status["state"] == "READY";
            if noticed.is_none() && !(is_ready && status["restarts"] == before) {
                noticed = Some(began.elapsed());
            }
            if noticed.is_some() && is_ready {
                return began.elapsed();
            }
        }
    });
    let ready = watched.await.ok();
    (noticed, ready)
}

/// Waits until every session is READY.
async fn all_ready(api: &Api, sessions: u64, began: Instant) -> Option<Duration> {
    let mut looks = interval(LOOK);
    let ready = async {
        loop {
            looks.tick().await;
            let asked = try_answer(api.request(Method::GET, "/sessions")).await;
            if asked.is_ok_and(|answer| answer.json()["count"] == sessions) {
                return began.elapsed();
            }
        }
    };
    timeout(PATIENCE, ready).await.ok()
}

async fn chrome_of(service: &Service) -> u32 {
    let pid = service.status("1").await["chrome_pid"].as_u64();
    u32::try_from(pid.expect("a Chrome runs")).unwrap()
}

async fn signal_chrome(service: &Service, signal: Signal) {
    kill_process(pid_of(chrome_of(service).await), signal).unwrap();
}

async fn signal_group(service: &Service) {
    kill_process_group(pid_of(chrome_of(service).await), Signal::KILL).unwrap();
}

/// Renderers do not name their profile, but are in the group of their Chrome.
async fn kill_renderer(service: &Service) {
    let chrome = chrome_of(service).await;
    let is_renderer = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let group = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(2));
        group == Some(&chrome.to_string())
            && String::from_utf8_lossy(&line).contains("--type=renderer")
    };
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let renderer = pids.find(is_renderer);
    kill_process(
        pid_of(renderer.expect("a page has a renderer")),
        Signal::KILL,
    )
    .unwrap();
}

async fn devtools(stage: &Stage) -> DevTools {
    let profile = stage.chaos.service().home().tokens().join("1");
    DevTools::of(&profile).await
}

/// Breaks the database that the link is kept in, as a bad disk does.
fn corrupt(profile: &Path) {
    let databases = profile.join("Default/IndexedDB");
    let mut broken = 0;
    for database in fs::read_dir(&databases).unwrap().flatten() {
        if !database.path().is_dir() {
            continue;
        }
        for file in fs::read_dir(database.path()).unwrap().flatten() {
            fs::write(file.path(), b"not what was here").unwrap();
            broken += 1;
        }
    }
    assert!(broken > 0, "no database in {}", databases.display());
}
