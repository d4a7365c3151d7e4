//! The table of docs/adapters.md: what becomes of linking and sending when something of WhatsApp Web has changed or
//! failed, by each adapter alone and by all of them in the default order.
//!
//! Each test lives one row through, on the real binary, real Chromium and the sandbox, and compares it with the committed
//! table. `UPDATE_DOCS=1 scripts/test matrix` writes the table again.

use std::{fs, io::Write as _, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use crate::{
    adapters::{CURRENT, bundle},
    support::Service,
};

mod rows;

const TO: &str = "5491158254201";
const OTHER: &str = "5511987654321";
const TEXT: &str = "texto de la fila";

/// What `ADAPTERS` says, column by column. The last one is the default order.
const COLUMNS: [&str; 4] = ["modules", "wa-js", "dom", "modules,wa-js,dom"];

/// Seconds: a typed send takes 1 s, on a crowded machine many times that, and what is never acknowledged takes all of it.
const SEND_WAIT: &str = "12";

/// The limits of the phases that a page may never get through, in seconds.
const PHASES: [&str; 3] = [
    "NAVIGATE_TIMEOUT_SECONDS",
    "INJECT_TIMEOUT_SECONDS",
    "CODE_TIMEOUT_SECONDS",
];
const SHORT_PHASE: &str = "10";

/// How often a state is looked at.
const POLL: Duration = Duration::from_millis(50);

/// A session that is to come up does so in 2 s, on a crowded machine in 20.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a session that does not work says must hold for so long: another try may be on its way.
const STANDS: Duration = Duration::from_secs(4);

/// A message that WhatsApp's own queue has arrives when the page is back.
const ARRIVAL: Duration = Duration::from_secs(20);

/// One row: a fault, and what it takes to see it.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing about a row, in any combination"
)]
struct Row {
    name: &'static str,
    /// In the words of the sandbox's `/faults`.
    faults: Value,
    when: When,
    /// How long a session that shows no code is looked at.
    patience: Duration,
    /// How long one that has been scanned and is not READY is.
    patience_once_scanned: Duration,
    /// Whether the phases of a start end early: for faults that only their end brings to light.
    has_short_phases: bool,
    /// Whether the npm package is installed.
    has_bundle: bool,
    /// Whether the recipient was the last one to be written to.
    after_another_chat: bool,
    /// Whether a session that is not READY when the message is sent is to become so again, and then sends it.
    comes_back: bool,
    /// Whether the answer is a matter of milliseconds: then only the number of copies counts.
    is_racy: bool,
    /// Whether the next message is looked at too: without the fault it must be sent.
    goes_on: bool,
    /// Whether one adapter is broken and nothing else, so that the default order must do without it.
    breaks_one: bool,
}

/// When the fault strikes.
#[derive(Clone, Copy, Debug)]
enum When {
    /// Before the page loads.
    Loading,
    /// Before the page loads; and once the session is READY it is watched for this long, in which it may cease to be.
    LoadingThen(Duration),
    /// When the session is READY. It shows within this time, if it shows before a send.
    Linked(Duration),
    /// The same, on the phone: the device is removed.
    Unlinked,
}

impl Row {
    fn loading(name: &'static str, faults: Value) -> Self {
        Self {
            name,
            faults,
            when: When::Loading,
            patience: PATIENCE,
            patience_once_scanned: PATIENCE,
            has_short_phases: false,
            has_bundle: true,
            after_another_chat: false,
            comes_back: false,
            is_racy: false,
            goes_on: false,
            breaks_one: false,
        }
    }

    /// The same on the page of early 2026.
    fn early(name: &'static str, mut faults: Value) -> Self {
        faults["build"] = json!("early-2026");
        Self::loading(name, faults)
    }

    fn linked(name: &'static str, faults: Value) -> Self {
        Self {
            when: When::Linked(Duration::ZERO),
            ..Self::loading(name, faults)
        }
    }

    /// The row as the table has it. `has_wa_js`: the document says that wa-js sends in the default order.
    async fn line(&self, has_wa_js: bool) -> String {
        let [modules, wa_js, dom, default] = COLUMNS;
        // Two at a time: most of a cell is waiting.
        let (modules, wa_js) = tokio::join!(self.cell(modules, false), self.cell(wa_js, false));
        let (dom, default) = tokio::join!(self.cell(dom, false), self.cell(default, has_wa_js));
        if self.breaks_one {
            assert!(default.starts_with("links, sends"), "{default}");
        }
        let fault = match self.when {
            When::Unlinked => "removed on the phone".to_owned(),
            When::Loading | When::LoadingThen(_) | When::Linked(_) => format!("`{}`", self.faults),
        };
        let cells = [self.name, &fault, &modules, &wa_js, &dom, &default].join(" | ");
        format!("| {cells} |")
    }

    /// What one configuration makes of it.
    async fn cell(&self, adapters: &'static str, has_wa_js: bool) -> String {
        let (has_bundle, has_short_phases) = (self.has_bundle, self.has_short_phases);
        let service = Service::start(move |env| {
            env.insert("ADAPTERS", adapters.into());
            for phase in PHASES.iter().filter(|_| has_short_phases) {
                env.insert(phase, SHORT_PHASE.into());
            }
            env.insert("SEND_WAIT_SECONDS", SEND_WAIT.into());
            env.remove("WA_JS_PATH");
            if has_bundle {
                env.insert("WA_JS_PATH", bundle(CURRENT).into());
            }
        })
        .await;
        // What is lacking says enough, unless the row is about how a start ends.
        let is_alone = !adapters.contains(',') && !self.has_short_phases;
        let said = self.live(&service, is_alone, has_wa_js).await;
        service.stop();
        said
    }

    async fn live(&self, service: &Service, is_alone: bool, has_wa_js: bool) -> String {
        if matches!(self.when, When::Loading | When::LoadingThen(_)) {
            service.faults(self.faults.clone()).await;
        }
        service.connect(51).await;
        let has_code = |status: &Value| status["qr"]["url"].is_string();
        let with_code = settled(service, self.patience, is_alone, has_code).await;
        if !has_code(&with_code) {
            return format!("no code: {}", spoken(&with_code));
        }
        service.scan(with_code["qr"]["url"].as_str().unwrap()).await;
        let is_ready = |status: &Value| status["state"] == "READY";
        let mut stands = settled(service, self.patience_once_scanned, is_alone, is_ready).await;
        let mut said = Vec::new();
        match self.when {
            When::Loading if is_ready(&stands) || stands["state"] == "AUTHENTICATED" => {
                said.push("links".to_owned());
            }
            When::LoadingThen(shows) if is_ready(&stands) => {
                said.push("links".to_owned());
                stands = struck(service, shows, is_alone).await;
            }
            When::Loading | When::LoadingThen(_) => {
                return format!("does not link: {}", spoken(&stands));
            }
            When::Linked(shows) => {
                if self.after_another_chat {
                    service.send(51, OTHER, "texto de otro").await;
                }
                service.faults(self.faults.clone()).await;
                stands = struck(service, shows, is_alone).await;
            }
            When::Unlinked => {
                let account = service.phone_state().await["devices"][0]["account"].take();
                let unlink = json!({ "account": account });
                assert_eq!(service.phone("/phone/unlink", &unlink).await.status, 200);
                stands = struck(service, PATIENCE, is_alone).await;
            }
        }
        if !is_ready(&stands) {
            said.push(spoken(&stands));
        }
        if has_wa_js {
            // On a crowded machine the page is READY before wa-js is loaded, and is served by its screen until then.
            settled(service, PATIENCE, is_alone, |status| {
                status["adapter"]["serving"] != "dom"
            })
            .await;
        }
        said.push(self.sent(service, is_alone).await);
        if self.goes_on {
            service.faults(json!({})).await;
            service.reaches("51", "READY").await;
            service.sends(51, OTHER, "texto que sigue").await;
        }
        said.join(", ")
    }

    /// Sends, and says what came of it.
    async fn sent(&self, service: &Service, is_alone: bool) -> String {
        let mut answer = service.send(51, TO, TEXT).await;
        if self.comes_back && answer.json()["code"] == "SESSION_NOT_READY" {
            // On a crowded machine a reload takes longer than a healthy reconnect may.
            service.reaches("51", "READY").await;
            answer = service.send(51, TO, TEXT).await;
        }
        let code = answer.json()["code"].as_str().unwrap_or("").to_owned();
        if self.is_racy {
            assert!(
                [200, 202].contains(&answer.status) || code == "SEND_UNCONFIRMED",
                "{}",
                answer.text()
            );
            let deadline = Instant::now() + ARRIVAL;
            while copies(service).await == 0 && Instant::now() < deadline {
                tokio::time::sleep(POLL).await;
            }
            return match copies(service).await {
                1 => "arrives once".to_owned(),
                copies => format!("{copies} copies"),
            };
        }
        let copies = copies(service).await;
        let serving = service.status("51").await["adapter"]["serving"].clone();
        match (answer.status, copies) {
            (200, 1) if is_alone => "sends".to_owned(),
            (200, 1) => format!("sends by {}", serving.as_str().unwrap_or("nobody")),
            (202, 0) => "202 pending".to_owned(),
            (202, 1) => "202 pending (it has arrived)".to_owned(),
            (status, 0) if status >= 400 => code,
            (status, copies) => format!("{status} {code}, {copies} copies"),
        }
    }
}

/// Waits until a session is as wanted, or until it is clear that it will not be.
async fn settled(
    service: &Service,
    patience: Duration,
    is_alone: bool,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let deadline = Instant::now() + patience;
    let mut stuck_since = None;
    let mut ticks = interval(POLL);
    loop {
        ticks.tick().await;
        let status = service.status("51").await;
        let adapter = &status["adapter"];
        let lacks_something = adapter["missing"] != json!([]) && adapter["serving"].is_null();
        let is_stuck = status["state"] != "READY"
            && (status["reason"].is_string() || (is_alone && lacks_something));
        if is_stuck {
            stuck_since.get_or_insert_with(Instant::now);
        } else {
            stuck_since = None;
        }
        let stands = stuck_since.is_some_and(|since: Instant| since.elapsed() >= STANDS);
        let is_over = status["state"] == "ERROR" || stands || Instant::now() >= deadline;
        if wanted(&status) || is_over {
            return status;
        }
    }
}

/// Waits until a fault that has struck a READY session shows, and what comes of that.
async fn struck(service: &Service, shows: Duration, is_alone: bool) -> Value {
    let deadline = Instant::now() + shows;
    let mut ticks = interval(POLL);
    loop {
        ticks.tick().await;
        let status = service.status("51").await;
        if status["state"] != "READY" {
            return settled(service, PATIENCE, is_alone, |status| {
                status["state"] == "READY"
            })
            .await;
        }
        if Instant::now() >= deadline {
            return status;
        }
    }
}

/// What a session that does not work says.
fn spoken(status: &Value) -> String {
    let state = status["state"].as_str().unwrap();
    if let Some(reason) = status["reason"].as_str() {
        return format!("{state} {reason}");
    }
    let missing = status["adapter"]["missing"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let Some(first) = missing.first().and_then(Value::as_str) else {
        return state.to_owned();
    };
    let first = first.split_once(": ").map_or(first, |(_, name)| name);
    let more = match missing.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    format!("{state}, lacks `{first}`{more}")
}

async fn copies(service: &Service) -> usize {
    let state = service.phone_state().await;
    let sent = state["sent"].as_array().unwrap();
    sent.iter()
        .filter(|message| message["body"] == TEXT)
        .count()
}

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/adapters.md")
}

/// Lives a row through and compares it with the table, or writes it there when that is asked for.
async fn check(row: Row) {
    let start = format!("| {} |", row.name);
    let path = document();
    let text = fs::read_to_string(&path).unwrap();
    let committed = text.lines().find(|line| line.starts_with(&start));
    let has_wa_js = committed.is_some_and(|line| line.ends_with("by wa-js |"));
    let line = row.line(has_wa_js).await;
    #[expect(
        clippy::disallowed_methods,
        reason = "the tests have no configuration; this is how they are told to write"
    )]
    let writes = std::env::var_os("UPDATE_DOCS").is_some();
    if !writes {
        assert_eq!(
            committed.unwrap_or("(no such row)"),
            line,
            "docs/adapters.md says otherwise: look whether that is meant, then run UPDATE_DOCS=1 scripts/test matrix"
        );
        return;
    }
    // Other rows are written by other processes at the same time.
    let mut file = fs::File::options()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    file.lock().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    if let Some(at) = lines.iter().position(|line| line.starts_with(&start)) {
        lines[at] = &line;
    } else {
        let last = lines.iter().rposition(|line| line.starts_with("| "));
        lines.insert(last.expect("the document has a table") + 1, &line);
    }
    let text = lines.join("\n") + "\n";
    file.set_len(0).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn the_table_has_no_row_that_no_test_lives_through() {
    let rows = include_str!("matrix/rows.rs");
    let text = fs::read_to_string(document()).unwrap();
    let table = text
        .lines()
        .skip_while(|line| !line.starts_with("| what happens "));
    let lines: Vec<&str> = table
        .skip(1)
        .filter(|line| line.starts_with("| "))
        .collect();
    assert!(lines.len() > 1, "the table is there");
    for line in lines {
        let name = line.split(" | ").next().unwrap().trim_start_matches("| ");
        assert!(rows.contains(&format!("\"{name}\"")), "no test: {name}");
    }
}
