//! `session-manager probe` on the sandbox's pages: each is told for what it is, and nothing is left behind.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    adapters::{CURRENT, bundle},
    support::{
        Api, Home, Service,
        chrome::eventually,
        sandbox::SharedSandbox,
        terminal::{Printed, Running, codes, command, run},
    },
};

/// The owner's own number, which no report may have.
const ACCOUNT: &str = "5491158254201";

/// Runs `probe` on this page with a bundle of wa-js, in folders of its own, and holds it to leave nothing there.
fn probe(url: &str, arguments: &[&str], more: &[(&str, &str)]) -> Printed {
    let home = Home::new();
    let printed = run(prepared(&home, url, arguments, more), "");
    assert_nothing_is_left(&home);
    printed
}

fn prepared(
    home: &Home,
    url: &str,
    arguments: &[&str],
    more: &[(&str, &str)],
) -> std::process::Command {
    let (tokens, data, bundle) = (home.tokens(), home.data(), bundle(CURRENT));
    fs::create_dir_all(&tokens).unwrap();
    let mut variables = vec![
        ("TOKENS_DIR", tokens.to_str().unwrap()),
        ("DATA_DIR", data.to_str().unwrap()),
        ("WA_JS_PATH", bundle.to_str().unwrap()),
        ("WHATSAPP_URL", url),
    ];
    variables.extend_from_slice(more);
    let arguments = [&["probe"], arguments].concat();
    command(&arguments, &variables, home.path())
}

fn assert_nothing_is_left(home: &Home) {
    home.assert_nobody_is_left();
    let left: Vec<_> = fs::read_dir(home.tokens()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!home.data().try_exists().unwrap(), "it writes no data");
}

/// What the report says of each adapter's jobs: links, sends.
fn jobs(report: &Value) -> Vec<[&str; 3]> {
    let adapters = report["adapters"].as_array().unwrap();
    adapters
        .iter()
        .map(|one| ["name", "links", "sends"].map(|field| one[field].as_str().unwrap()))
        .collect()
}

/// The names of an adapter with this status.
fn names(report: &Value, adapter: &str, status: &str) -> Vec<String> {
    let adapters = report["adapters"].as_array().unwrap();
    let one = adapters.iter().find(|one| one["name"] == adapter).unwrap();
    let lines = one["relies_on"].as_array().unwrap();
    let with_status = lines.iter().filter(|line| line["status"] == status);
    with_status
        .map(|line| line["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn page(faults: Value) -> (SharedSandbox, Api) {
    let sandbox = SharedSandbox::start().await;
    let api = sandbox.api();
    api.faults(faults).await;
    (sandbox, api)
}

#[tokio::test]
async fn on_the_page_of_autumn_everything_is_found_and_a_service_beside_is_not_disturbed() {
    let (sandbox, _) = page(json!({})).await;
    let (service, _) = Service::linked(&[]).await;
    let printed = probe(sandbox.url(), &["--json"], &[]);
    assert_eq!(printed.code, 0, "{printed:?}");
    let report: Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!(report["verdict"], "whole");
    assert_eq!(report["page"]["build"], "2.3000.1048901417");
    assert_eq!(report["page"]["shows"], "login");
    // What a linked page shows is not to be seen yet.
    assert_eq!(
        jobs(&report),
        [
            ["modules", "yes", "yes"],
            ["wa-js", "yes", "yes"],
            ["dom", "unseen", "unseen"]
        ]
    );
    for adapter in ["modules", "wa-js", "dom"] {
        assert_eq!(names(&report, adapter, "missing"), [""; 0], "{adapter}");
        assert_eq!(names(&report, adapter, "moved"), [""; 0], "{adapter}");
    }
    assert_eq!(report["adapters"][1]["version"], "4.6.0");
    // The screen behind a click is looked at, too.
    let found = names(&report, "dom", "found");
    assert!(found.contains(&"numberField".to_owned()), "{found:?}");

    let text = probe(sandbox.url(), &[], &[]).out;
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    assert_eq!(service.status("51").await["state"], "READY");
    service.stop();
    sandbox.stop();
}

#[tokio::test]
async fn on_the_early_page_what_has_moved_since_is_told_with_its_place() {
    let (sandbox, _) = page(json!({"build": "early-2026"})).await;
    let printed = probe(sandbox.url(), &["--json"], &[]);
    assert_eq!(printed.code, 0, "{printed:?}");
    let report: Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!(report["page"]["build"], "2.3000.1031992593");
    assert_eq!(names(&report, "dom", "moved"), ["byNumber"]);
    let text = probe(sandbox.url(), &["--adapter", "dom"], &[]).out;
    assert!(
        text.contains("dom       moved   byNumber")
            && text.contains("→ button[data-testid=\"link-device-qrcode-alt-linking-hint\"]"),
        "{text}"
    );
    sandbox.stop();
}

#[tokio::test]
async fn three_names_that_are_missing_are_named_and_the_rest_still_serves() {
    let (sandbox, _) = page(json!({
        "missing": ["WAWebQueryExistsJob", "WAWebFindChatAction.findOrCreateLatestChat"],
        "missing_marks": ["data-ref"],
    }))
    .await;
    let printed = probe(sandbox.url(), &["--json"], &[]);
    assert_eq!(printed.code, 12, "{printed:?}");
    let report: Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!(report["verdict"], "weakened");
    assert_eq!(
        names(&report, "modules", "missing"),
        [
            "WAWebQueryExistsJob.queryWidExists",
            "WAWebFindChatAction.findOrCreateLatestChat"
        ]
    );
    // What all adapters share stands behind the landmarks.
    assert_eq!(names(&report, "dom", "missing")[0], "code");
    let jobs = jobs(&report);
    assert_eq!(jobs[0], ["modules", "yes", "no"]);
    assert_eq!(jobs[2], ["dom", "no", "unseen"]);

    let printed = probe(sandbox.url(), &[], &[]);
    assert_eq!(printed.code, 12);
    for line in [
        "MISSING WAWebQueryExistsJob.queryWidExists (the whole module)",
        "MISSING WAWebFindChatAction.findOrCreateLatestChat\n",
        "MISSING code\n",
    ] {
        assert!(printed.out.contains(line), "{line}: {}", printed.out);
    }
    sandbox.stop();
}

#[tokio::test]
async fn a_page_that_lacks_only_what_a_restore_needs_is_an_exit_code_of_its_own() {
    let (sandbox, _) = page(json!({"missing": ["WAWebDBDeviceListFanout"]})).await;
    let printed = probe(sandbox.url(), &["--json"], &[]);
    assert_eq!(printed.code, 14, "{printed:?}");
    let report: Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!(report["verdict"], "no-reset");
    let missing = names(&report, "modules", "missing");
    assert_eq!(missing, ["WAWebDBDeviceListFanout.getFanOutList"]);
    sandbox.stop();
}

#[tokio::test]
async fn a_page_with_which_no_adapter_can_work_is_another_exit_code() {
    let (sandbox, api) = page(json!({"no_registry": true, "missing_marks": ["data-ref"]})).await;
    let printed = probe(sandbox.url(), &["--json"], &[]);
    assert_eq!(printed.code, 13, "{printed:?}");
    let report: Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!(report["verdict"], "broken");
    assert_eq!(names(&report, "modules", "found"), [""; 0]);

    api.faults(json!({"page": "update"})).await;
    let printed = probe(sandbox.url(), &[], &[]);
    assert_eq!(printed.code, 13, "{printed:?}");
    assert!(printed.out.contains("UPDATE_REQUIRED"), "{}", printed.out);
    sandbox.stop();
}

#[test]
fn a_page_that_cannot_be_opened_is_told_with_chromes_own_word() {
    let printed = probe("http://127.0.0.1:9/", &["--json"], &[]);
    assert_eq!(printed.code, 1, "{printed:?}");
    let report: Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!(report["verdict"], "unopened");
    assert_eq!(report["page"]["trouble"], "NAVIGATION_FAILED");
    assert_eq!(report["page"]["word"], "net::ERR_UNSAFE_PORT");
    let printed = probe(
        "http://127.0.0.1:9/",
        &[],
        &[("CHROME_PATH", "/nonexistent/secret-name/chrome")],
    );
    assert_eq!(printed.code, 64, "{printed:?}");
}

#[tokio::test]
async fn a_signal_leaves_neither_chrome_nor_profile() {
    for (fault, signal, code) in [
        // Chrome waits for the page, or the command for a screen that never comes.
        ("never_loads", Signal::INT, 130),
        ("never_starts", Signal::TERM, 143),
    ] {
        let (sandbox, _) = page(json!({"page": fault})).await;
        let home = Home::new();
        let mut running = Running::piped(prepared(&home, sandbox.url(), &[], &[]));
        let has_profile = || {
            let folders = fs::read_dir(home.tokens()).unwrap().flatten();
            let mut profiles = folders.map(|folder| folder.path().join("profile/Default"));
            profiles.any(|profile| profile.try_exists().unwrap())
        };
        eventually("Chrome is up", || {
            has_profile() && !home.processes().is_empty()
        })
        .await;
        running.signal(signal);
        assert_eq!(running.ends(), code, "{}", running.err());
        assert_nothing_is_left(&home);
        assert_eq!(running.out(), "", "half a report is none");
        sandbox.stop();
    }
}

#[test]
fn with_the_sandbox_it_has_one_of_its_own() {
    let printed = probe("http://127.0.0.1:9/", &["--sandbox", "--json"], &[]);
    assert_eq!(printed.code, 0, "{printed:?}");
    let report: Value = serde_json::from_str(&printed.out).unwrap();
    assert_eq!(report["page"]["origin"], "sandbox");
}

/// Lets a phone scan what is drawn on standard error.
async fn scan(api: &Api, running: &Running) {
    eventually("a code is drawn", || !codes(&running.err()).is_empty()).await;
    let code = codes(&running.err()).pop().unwrap();
    let scanned = api
        .phone("/phone/scan", &json!({"code": code, "number": ACCOUNT}))
        .await;
    assert_eq!(scanned.status, 200, "{}", scanned.text());
}

#[tokio::test]
async fn with_a_phone_it_links_sends_restarts_and_logs_out_and_the_report_names_no_person() {
    let (sandbox, api) = page(json!({})).await;
    let home = Home::new();
    let mut running = Running::asking(prepared(&home, sandbox.url(), &["--link", "--json"], &[]));
    scan(&api, &running).await;
    running.remarks("Is there a message").await;
    let taken = api.taken(ACCOUNT).await;
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert_eq!(taken[0]["to"], ACCOUNT, "to oneself");
    running.types("y");
    running.remarks("Write any answer").await;
    let answer = json!({"account": ACCOUNT, "to": ACCOUNT, "body": "una respuesta privada"});
    let written = api.phone("/phone/write", &answer).await;
    assert_eq!(written.status, 200, "{}", written.text());
    running.types("");
    assert_eq!(running.ends(), 0, "{}\n{}", running.err(), running.out());

    let out = running.out();
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["verdict"], "whole", "{report:#}");
    let steps = report["steps"].as_array().unwrap();
    let steps: Vec<_> = steps
        .iter()
        .map(|step| {
            (
                step["name"].as_str().unwrap(),
                step["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            ("code", "done"),
            ("linked", "done"),
            ("READY", "done"),
            ("number check", "done"),
            ("message to oneself", "done"),
            ("acks", "done"),
            ("seen on the phone", "done"),
            ("disconnect", "done"),
            ("linked page", "done"),
            ("answer on the page", "done"),
            ("READY again", "done"),
            ("log out", "done"),
        ]
    );
    // The screens behind the link were seen.
    assert_eq!(
        jobs(&report),
        [
            ["modules", "yes", "yes"],
            ["wa-js", "yes", "yes"],
            ["dom", "yes", "yes"]
        ]
    );
    for landmark in [
        "login", "code", "chats", "chat", "header", "box", "bubble", "meta",
    ] {
        let found = names(&report, "dom", "found");
        assert!(
            found.contains(&landmark.to_owned()),
            "{landmark}: {found:?}"
        );
    }

    // No device and no folder is left, and nothing personal is in the report.
    let devices = api.phone_state().await["devices"].clone();
    assert_eq!(devices, json!([]));
    assert_nothing_is_left(&home);
    api.secrets().remember_number(ACCOUNT);
    assert_eq!(api.secrets().found_in(&out), [""; 0]);
    let home_path = home.path().display().to_string();
    for personal in [
        taken[0]["id"].as_str().unwrap(),
        "58254201",
        "@c.us",
        "@lid",
        "3EB0",
        &home_path,
        "127.0.0.1",
    ] {
        assert!(!out.contains(personal), "{personal} in {out}");
    }
    sandbox.stop();
}

#[tokio::test]
async fn ctrl_c_after_linking_logs_the_device_out_first() {
    let (sandbox, api) = page(json!({})).await;
    let home = Home::new();
    let mut running = Running::asking(prepared(&home, sandbox.url(), &["--link"], &[]));
    scan(&api, &running).await;
    running.remarks("Is there a message").await;
    running.interrupt();
    assert_eq!(running.ends(), 130, "{}", running.err());
    assert_nothing_is_left(&home);
    assert_eq!(api.phone_state().await["devices"], json!([]));
    sandbox.stop();
}

#[tokio::test]
async fn a_code_that_is_typed_links_too_and_questions_without_an_answer_are_no_failure() {
    let (sandbox, api) = page(json!({})).await;
    let home = Home::new();
    let arguments = ["--link", "--json", "--phone", ACCOUNT];
    let mut running = Running::piped(prepared(&home, sandbox.url(), &arguments, &[]));
    let code_in = |said: &str| {
        let is_code = |line: &&str| line.len() == 9 && line.as_bytes()[4] == b'-';
        said.lines().find(is_code).map(str::to_owned)
    };
    eventually("a code to type is shown", || {
        code_in(&running.err()).is_some()
    })
    .await;
    let code = code_in(&running.err()).unwrap();
    let typed = json!({"number": ACCOUNT, "code": code});
    let paired = api.phone("/phone/pair", &typed).await;
    assert_eq!(paired.status, 200, "{}", paired.text());
    assert_eq!(running.ends(), 0, "{}", running.err());
    let report: Value = serde_json::from_str(&running.out()).unwrap();
    let steps = report["steps"].as_array().unwrap();
    let skipped: Vec<_> = steps
        .iter()
        .filter(|step| step["outcome"] == "skipped")
        .map(|step| step["name"].as_str().unwrap())
        .collect();
    assert_eq!(skipped, ["seen on the phone", "answer on the page"]);
    assert!(!running.out().contains(&code));
    assert_nothing_is_left(&home);
    sandbox.stop();
}

#[tokio::test]
async fn a_phone_that_never_scans_is_waited_for_so_long_and_no_longer() {
    let (sandbox, _) = page(json!({})).await;
    let printed = probe(sandbox.url(), &["--link", "--patience", "1"], &[]);
    assert_eq!(printed.code, 5, "{printed:?}");
    assert!(
        printed.out.contains("FAILED  linked") && printed.out.contains("TIMEOUT"),
        "{}",
        printed.out
    );
    sandbox.stop();
}

#[tokio::test]
async fn an_account_that_asks_for_its_passkey_is_told_at_once() {
    let (sandbox, api) = page(json!({"page": "passkey"})).await;
    let home = Home::new();
    let mut running = Running::piped(prepared(&home, sandbox.url(), &["--link"], &[]));
    scan(&api, &running).await;
    assert_eq!(running.ends(), 13, "{}", running.err());
    let out = running.out();
    assert!(out.contains("PASSKEY_REQUIRED"), "{out}");
    assert_nothing_is_left(&home);
    sandbox.stop();
}

#[tokio::test]
async fn a_code_to_type_that_would_cost_a_session_of_the_service_its_link_is_not_asked_for() {
    let home = Home::new();
    let sessions = home.data().join("sessions");
    fs::create_dir_all(&sessions).unwrap();
    let record = json!({ "up": true, "was_ready": true, "account": ACCOUNT });
    fs::write(sessions.join("60.json"), record.to_string()).unwrap();
    let arguments = ["--link", "--phone", ACCOUNT, "--adapter", "dom", "--json"];
    let (sandbox, api) = page(json!({})).await;
    let printed = run(prepared(&home, sandbox.url(), &arguments, &[]), "");
    assert_eq!(printed.code, 13, "{printed:?}");
    let report: Value = serde_json::from_str(&printed.out).unwrap();
    let code = json!({ "name": "code", "outcome": "failed", "seconds": 0, "word": "NUMBER_LINKED_ELSEWHERE" });
    assert_eq!(report["steps"], json!([code]));
    assert!(printed.err.contains("session 60"), "{printed:?}");
    assert!(!printed.out.contains(ACCOUNT), "{printed:?}");
    assert_eq!(api.phone_state().await["pairings"], json!([]));
    sandbox.stop();
}
