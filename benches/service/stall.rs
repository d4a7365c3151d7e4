//! Does a session go on sending while more is asked of it than it may send, and after the ledger's disk has stood still?
//!
//! `scripts/bench stall` measures each row; `--only WORD` those whose names contain it, `--seconds N` shortens each. The disk of a row
//! that freezes is an ext4 of its own (a loop device) at the ledger's folder, and is frozen (`fsfreeze`) in the middle for longer
//! than a caller waits; that needs root. Only the ledger is on it: the sandbox plays WhatsApp's server, and has another disk.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{
    argument,
    support::{Answer, Api, Home, Service, try_answer},
};

/// Both have had a message before: what is known of a number makes a send so quick that nothing else is waited for.
const TO: [&str; 2] = ["5491158254201", "5491158254202"];

/// What a caller does after a refusal: it is refused for a reason, and asks again soon.
const PAUSE: Duration = Duration::from_millis(200);

/// The part of a run that is a line of the table.
const LINE: Duration = Duration::from_secs(30);

/// After the last request, WhatsApp's server receives every message that the page has taken within this time.
const LAST_ACKS: Duration = Duration::from_secs(10);

/// A send costs some pages of the ledger and its log: 40 to 120 KB, with all steps of its life. A session that goes round for nothing
/// writes as much in a few milliseconds.
const MOST_KB_PER_SEND: u64 = 400;

/// What a line may have written that sent little: the ledger's own house-keeping, and each refused caller's question.
const KB_ALLOWED: u64 = 4096;

/// Pings and interrupted sends make a few; a loop that spins makes this many within a second.
const MOST_TURNS_FOR_NOTHING: u64 = 1000;

struct Row {
    name: &'static str,
    callers: usize,
    /// `SEND_WAIT_SECONDS` and `SEND_RATE_PER_MINUTE`.
    wait: u64,
    rate: u32,
    seconds: u64,
    freezes: bool,
}

const ROWS: [Row; 4] = [
    Row {
        name: "600 a minute, 60 callers, wait 2 s",
        callers: 60,
        wait: 2,
        rate: 600,
        seconds: 300,
        freezes: false,
    },
    Row {
        name: "600 a minute, 60 callers, wait 2 s, disk frozen",
        callers: 60,
        wait: 2,
        rate: 600,
        seconds: 300,
        freezes: true,
    },
    Row {
        name: "defaults, 40 callers",
        callers: 40,
        wait: 45,
        rate: 30,
        seconds: 600,
        freezes: false,
    },
    Row {
        name: "defaults, 40 callers, disk frozen",
        callers: 40,
        wait: 45,
        rate: 30,
        seconds: 600,
        freezes: true,
    },
];

/// What the callers were told, by text.
#[derive(Default)]
struct Told {
    /// 200 or 202: the message has been sent, or will be.
    promised: HashSet<String>,
    /// Any other answer that says that nothing was sent.
    refused: HashSet<String>,
    answers: BTreeMap<String, u64>,
    slowest: Duration,
}

/// Answers whether each session sent at its pace to the end, lost and doubled nothing, and wrote no more than that takes.
pub(super) async fn bench() -> bool {
    let only = argument("--only").unwrap_or_default();
    let seconds = argument("--seconds").map(|given| given.parse().expect("--seconds"));
    let mut went_well = true;
    for row in ROWS.iter().filter(|row| row.name.contains(&only)) {
        let is_root = rustix::process::geteuid().is_root();
        if row.freezes && !is_root {
            println!(
                "\n## {}\nNOT MEASURED: only root can freeze a file system",
                row.name
            );
            continue;
        }
        went_well &= row.measure(seconds.unwrap_or(row.seconds)).await;
    }
    went_well
}

impl Row {
    async fn measure(&self, seconds: u64) -> bool {
        println!("\n## {}, {seconds} s", self.name);
        let home = Home::new();
        let disk = self.freezes.then(|| FrozenDisk::mounted(&home.ledger()));
        let service = Service::start_in(home, |env| {
            env.insert("SEND_WAIT_SECONDS", self.wait.to_string().into());
            env.insert("SEND_RATE_PER_MINUTE", self.rate.to_string().into());
            // The line that says where it listens is one of these.
            env.insert("RUST_LOG", "info".into());
        })
        .await;
        let account = service.link("51").await;
        for to in TO {
            let before = format!("before {to}");
            assert_eq!(service.send(51, to, &before).await.status, 200);
        }
        let told = Arc::new(Mutex::new(Told::default()));
        let is_over = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for caller in 0..self.callers {
            let (api, told, is_over) = (
                Api::clone(&service),
                Arc::clone(&told),
                Arc::clone(&is_over),
            );
            callers.spawn(async move { call(&api, caller, &told, &is_over).await });
        }
        let freezing = async {
            let Some(disk) = &disk else { return };
            sleep(Duration::from_secs(seconds / 2)).await;
            disk.freeze();
            sleep(Duration::from_secs(self.wait + 5)).await;
            disk.thaw();
        };
        let (lines, ()) = tokio::join!(self.watch(&service, &account, seconds), freezing);
        is_over.store(true, Ordering::Relaxed);
        callers.join_all().await;
        sleep(LAST_ACKS).await;
        let told = std::mem::take(&mut *told.lock().unwrap());
        let is_good = self.report(&service, &account, &told, &lines).await;
        service.stop();
        drop(disk);
        is_good
    }

    /// A line for each part of the run: what was sent and what was written in it.
    async fn watch(&self, service: &Service, account: &str, seconds: u64) -> Vec<(usize, u64)> {
        println!("| until | sent | a minute | written KB | KB a send |\n|---|---|---|---|---|");
        let begin = Instant::now();
        let end = begin + Duration::from_secs(seconds);
        let mut lines = Vec::new();
        let (mut sent, mut written) = (
            service.messages(account).await.len(),
            written_kb(service.pid()),
        );
        while Instant::now() < end {
            let now = Instant::now();
            sleep_until((now + LINE).min(end)).await;
            let part = now.elapsed().as_secs_f64();
            let (sent_now, written_now) = (
                service.messages(account).await.len(),
                written_kb(service.pid()),
            );
            let line = (sent_now - sent, written_now - written);
            let count = u32::try_from(line.0).unwrap();
            println!(
                "| {:.0} s | {} | {:.0} | {} | {} |",
                begin.elapsed().as_secs_f64(),
                line.0,
                f64::from(count) * 60.0 / part,
                line.1,
                line.1 / u64::from(count.max(1)),
            );
            // The rest of a run that is no whole line is shown, and not judged.
            if LINE <= now.elapsed() + Duration::from_secs(1) {
                lines.push(line);
            }
            (sent, written) = (sent_now, written_now);
        }
        lines
    }

    async fn report(
        &self,
        service: &Service,
        account: &str,
        told: &Told,
        lines: &[(usize, u64)],
    ) -> bool {
        let arrived = service.messages(account).await;
        let mut times: HashMap<&str, u32> = HashMap::new();
        for text in &arrived {
            *times.entry(text).or_default() += 1;
        }
        let lost = told
            .promised
            .iter()
            .filter(|text| !times.contains_key(text.as_str()))
            .count();
        let doubled = times.values().filter(|count| **count > 1).count();
        let denied = told
            .refused
            .iter()
            .filter(|text| times.contains_key(text.as_str()))
            .count();
        let metrics = service.get("/metrics").await.text();
        let turns = metric(&metrics, "session_manager_session_idle_turns_total");
        let stalls = metric(&metrics, "session_manager_session_stalls_total");
        let status = service.status("51").await;
        println!(
            "answers: {:?}, the slowest after {:.1} s",
            told.answers,
            told.slowest.as_secs_f64()
        );
        println!(
            "lost {lost}, doubled {doubled}, sent though refused {denied}, turns for nothing {turns}, stalls {stalls}, {} reloads, {} restarts, {}",
            status["reloads"], status["restarts"], status["state"]
        );
        // The line in which the disk stood still sends less, and the first one has the burst.
        let pace = usize::try_from(u64::from(self.rate) * LINE.as_secs() / 60).unwrap();
        let is_slow = |(sent, _): &&(usize, u64)| *sent < pace * 7 / 10;
        let slow = lines.iter().filter(is_slow).count();
        let slow_allowed = if self.freezes {
            usize::try_from((self.wait + 5) / LINE.as_secs() + 2).unwrap()
        } else {
            0
        };
        let last_is_slow = lines.last().is_some_and(|line| is_slow(&line));
        let is_lavish = |(sent, kb): &&(usize, u64)| {
            *kb > KB_ALLOWED + MOST_KB_PER_SEND * u64::try_from(*sent).unwrap()
        };
        let lavish = lines.iter().filter(is_lavish).count();
        let is_good = lost + doubled + denied + lavish == 0
            && slow <= slow_allowed
            && (!last_is_slow || lines.len() < 3)
            && turns < MOST_TURNS_FOR_NOTHING
            && status["state"] == "READY";
        println!(
            "slow lines {slow} of {}, lavish lines {lavish}: {}",
            lines.len(),
            if is_good { "good" } else { "NOT GOOD" }
        );
        is_good
    }
}

/// Sends until it is over, each text once.
async fn call(api: &Api, caller: usize, told: &Mutex<Told>, is_over: &AtomicBool) {
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let text = format!("{caller}/{number}");
        let body =
            json!({ "cliente_id": 51, "to": TO[(caller + number) % TO.len()], "message": text });
        let began = Instant::now();
        let answered = try_answer(api.request(Method::POST, "/send").json(&body)).await;
        let is_promised = told.lock().unwrap().take(text, &answered, began.elapsed());
        if !is_promised {
            sleep(PAUSE).await;
        }
    }
}

impl Told {
    /// A text has been answered. Gives whether it is promised to arrive.
    fn take(&mut self, text: String, answered: &reqwest::Result<Answer>, took: Duration) -> bool {
        self.slowest = self.slowest.max(took);
        let (status, code) = match answered {
            Ok(answer) => (
                answer.status,
                answer.json()["code"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            ),
            Err(_) => (0, "no answer".to_owned()),
        };
        let told = format!("{status} {code}").trim().to_owned();
        *self.answers.entry(told).or_default() += 1;
        match status {
            200 | 202 => self.promised.insert(text),
            429 | 503 => {
                self.refused.insert(text);
                false
            }
            // Neither promised nor refused.
            _ => false,
        }
    }
}

/// What a process has had written to a disk, in KB.
fn written_kb(pid: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    line.unwrap().parse::<u64>().unwrap() / 1024
}

/// The sum of a metric over all sessions.
fn metric(scrape: &str, name: &str) -> u64 {
    let lines = scrape.lines().filter(|line| line.starts_with(name));
    let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of turns"
    )]
    let sum = values.sum::<f64>() as u64;
    sum
}

/// An ext4 in a file, mounted where the ledger is to be. Thawed and unmounted when it is dropped.
struct FrozenDisk {
    folder: PathBuf,
    /// Holds the file.
    _image: tempfile::TempDir,
}

impl FrozenDisk {
    fn mounted(folder: &Path) -> Self {
        let image = tempfile::tempdir().unwrap();
        let file = image.path().join("disk");
        fs::File::create(&file).unwrap().set_len(256 << 20).unwrap();
        run("mkfs.ext4", &["-q", "-F", &file.display().to_string()]);
        fs::create_dir_all(folder).unwrap();
        let target = folder.display().to_string();
        run(
            "mount",
            &["-o", "loop", &file.display().to_string(), &target],
        );
        run("chmod", &["700", &target]);
        Self {
            folder: folder.to_owned(),
            _image: image,
        }
    }

    fn freeze(&self) {
        run("fsfreeze", &["-f", &self.folder.display().to_string()]);
        println!("| frozen | | | | |");
    }

    fn thaw(&self) {
        run("fsfreeze", &["-u", &self.folder.display().to_string()]);
        println!("| thawed | | | | |");
    }
}

impl Drop for FrozenDisk {
    fn drop(&mut self) {
        let folder = self.folder.display().to_string();
        // It may be thawed already, and the service may still be ending.
        let _thawed = command("fsfreeze").args(["-u", &folder]).output();
        let _unmounted = command("umount").args(["-l", &folder]).output();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let ran = command(program).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{program}: {ran:?}");
}

fn command(program: &str) -> Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "a bench mounts a file system as an operator would"
    )]
    Command::new(program)
}
