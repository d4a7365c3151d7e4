//! The pipe over which Chrome is driven: which other processes can reach it, what it carries, and what else Chrome inherits.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use chromiumoxide::cdp::js_protocol::runtime::EvaluateParams;
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use super::open;
use crate::support::{
    Service, answer,
    chrome::{Folder, PATIENCE, both, headless_shell},
};

/// How often a status is looked at.
const LOOK_INTERVAL: std::time::Duration = std::time::Duration::from_millis(50);

/// All processes of Chrome's group, which it leads.
fn group(chrome: u32) -> Vec<u32> {
    let leads = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields);
        fields.and_then(|fields| fields.split(' ').nth(2)) == Some(&chrome.to_string())
    };
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(leads)
        .collect()
}

/// What a process has open, such as `socket:[77]` and `pipe:[78]`.
fn open_files(pid: u32) -> BTreeSet<PathBuf> {
    let files = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok())
        .collect()
}

/// The sockets that listen for TCP, as `/proc/net/tcp` shows them to every user.
fn listening() -> BTreeSet<PathBuf> {
    const LISTENS: &str = "0A";
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|table| fs::read_to_string(table).unwrap_or_default());
    let sockets = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            (fields.get(3) == Some(&LISTENS)).then(|| format!("socket:[{}]", fields[9]).into())
        });
    sockets.collect()
}

#[tokio::test]
async fn neither_chrome_nor_the_service_listens_for_devtools() {
    // The look works: this one is found.
    let ours = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let found = |pid| open_files(pid).intersection(&listening()).count();
    assert_eq!(found(std::process::id()), 1);
    drop(ours);
    for program in both().await {
        let folder = Folder::new();
        let browser = open(&program, &folder.profile()).await.unwrap();
        let chromes = group(browser.pid());
        assert!(
            chromes.contains(&browser.pid()) && chromes.len() > 2,
            "{chromes:?}"
        );
        for pid in chromes {
            assert_eq!(
                found(pid),
                0,
                "process {pid} of {} listens",
                program.path.display()
            );
        }
        // The door through which chromiumoxide came is closed.
        assert_eq!(found(std::process::id()), 0, "the service listens");
        let told = folder.profile().join("DevToolsActivePort");
        assert!(!told.is_file(), "Chrome has told a port");
        browser.close().await;
    }
}

#[tokio::test]
async fn no_other_program_inherits_the_pipe() {
    let program = headless_shell().await;
    let (first, second) = (Folder::new(), Folder::new());
    let one = open(&program, &first.profile()).await.unwrap();
    let ends: BTreeSet<PathBuf> = [3, 4]
        .map(|end| fs::read_link(format!("/proc/{}/fd/{end}", one.pid())).unwrap())
        .into();
    assert!(
        ends.iter()
            .all(|end| end.to_string_lossy().starts_with("pipe:")),
        "{ends:?}"
    );
    // Started while the first one's pipe is open in this process.
    let other = open(&program, &second.profile()).await.unwrap();
    let helpers = group(one.pid()).into_iter().filter(|pid| *pid != one.pid());
    for pid in helpers.chain(group(other.pid())) {
        let shared: Vec<_> = open_files(pid).intersection(&ends).cloned().collect();
        assert!(shared.is_empty(), "process {pid} has {shared:?}");
    }
    one.close().await;
    other.close().await;
}

#[tokio::test]
async fn messages_of_any_length_come_through_both_ways() {
    const LENGTH: usize = 20_000_000;
    let folder = Folder::new();
    let browser = open(&headless_shell().await, &folder.profile())
        .await
        .unwrap();
    let page = browser.page();
    // Around the size at which a message is handed on in parts, and far beyond; with letters of several bytes to be cut.
    for length in [1, 65_000, 65_536, 66_000, 1_000_000] {
        let text = format!("'\u{f1}'.repeat({length})");
        let told: String = page.evaluate(text).await.unwrap().into_value().unwrap();
        assert_eq!(told.chars().count(), length);
        assert!(told.chars().all(|letter| letter == '\u{f1}'));
    }
    let picture = format!("'x'.repeat({LENGTH})");
    let told: String = page.evaluate(picture).await.unwrap().into_value().unwrap();
    assert_eq!(told.len(), LENGTH);
    let file = format!("'{}'.length", "y".repeat(LENGTH));
    let counted = page
        .evaluate_expression(EvaluateParams::new(file))
        .await
        .unwrap();
    assert_eq!(counted.into_value::<usize>().unwrap(), LENGTH);
    browser.close().await;
}

#[tokio::test]
async fn chrome_gets_no_variable_that_it_does_not_need() {
    const SECRETS: [(&str, &str); 4] = [
        ("API_KEY", "the-key-of-the-service-itself"),
        ("AWS_SECRET_ACCESS_KEY", "the-key-of-somebody-else"),
        ("DATABASE_URL", "postgres://user:the-password@db/x"),
        ("HTTPS_PROXY", "http://user:the-password@127.0.0.1:9"),
    ];
    let service = Service::start(|env| {
        env.insert("TZ", "America/Argentina/Buenos_Aires".into());
        for (name, secret) in SECRETS {
            env.insert(name, secret.into());
        }
    })
    .await;
    let ask = |method, path| {
        let request = service.request(method, path);
        request.header("X-Api-Key", SECRETS[0].1)
    };
    let wanted = ask(Method::POST, "/connect").json(&json!({ "cliente_id": 51 }));
    assert_eq!(answer(wanted).await.status, 200);
    let waits_for_a_scan = async {
        loop {
            let status = answer(ask(Method::GET, "/status?cliente_id=51"))
                .await
                .json();
            if status["state"] == "QR_REQUIRED" {
                return status["chrome_pid"].as_u64().unwrap();
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    };
    let chrome = timeout(PATIENCE, waits_for_a_scan).await.unwrap();
    for pid in group(u32::try_from(chrome).unwrap()) {
        let environment = variables(Path::new(&format!("/proc/{pid}/environ")));
        for (_, secret) in SECRETS {
            assert!(
                !environment.contains(secret) && !environment.contains("the-password"),
                "process {pid}: {environment}"
            );
        }
        assert!(!environment.contains("TOKENS_DIR"), "{environment}");
    }
    let its_own = variables(Path::new(&format!("/proc/{chrome}/environ")));
    assert!(
        its_own.contains("TZ=America/Argentina/Buenos_Aires\n"),
        "{its_own}"
    );
    assert!(
        its_own.contains("HTTPS_PROXY=http://127.0.0.1:9\n"),
        "{its_own}"
    );
    service.stop();
}

/// One a line.
fn variables(environ: &Path) -> String {
    let raw = fs::read(environ).unwrap_or_default();
    String::from_utf8_lossy(&raw).replace('\0', "\n")
}
