//! A session's life, from the first scan to the last process: real binary, real Chrome, the sandbox.

use std::fs;

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    Home, Service,
    chrome::{self, Started, eventually, pid_of},
};

const TEXT: &str = "¡Hola, ñandú! 🧉\n  second line ";

#[tokio::test]
async fn a_linked_session_is_ready_without_a_code_after_a_restart() {
    let (service, account) = Service::linked(&[]).await;
    service.sends(51, "5491158254201", TEXT).await;
    let home = service.stop();

    let service = Service::start_in(home, |_| {}).await;
    let known = service.get("/sessions").await.json();
    assert_eq!(known["details"][0]["cliente_id"], "51", "{known}");
    // It comes up without a request.
    service.reaches("51", "READY").await;
    let connected = service.connect(51).await.json();
    assert_eq!(
        (&connected["message"], &connected["alreadyConnected"]),
        (&json!("Connected"), &json!(true))
    );
    service.sends(51, "5491158254201", "otra vez más").await;
    assert_eq!(service.messages(&account).await, [TEXT, "otra vez más"]);
    service.stop();
}

#[tokio::test]
async fn sessions_named_by_autostart_need_no_call() {
    let (service, _) = Service::linked(&[]).await;
    assert_eq!(service.disconnect(51).await.status, 200);
    let home = service.stop();
    let service = Service::start_in(home, |env| {
        env.insert("AUTOSTART", "51, 52".into());
    })
    .await;
    service.reaches("51", "READY").await;
    service.reaches("52", "QR_REQUIRED").await;
    service.stop();
}

#[tokio::test]
async fn two_clients_send_from_their_own_accounts() {
    let service = Service::with(&[]).await;
    let (one, other) = tokio::join!(service.link("51"), service.link("52"));
    assert_ne!(one, other);
    let (from_one, from_other) = tokio::join!(
        service.send(51, "5491158254201", "from 51"),
        service.send(52, "5491158254201", "from 52")
    );
    assert_eq!((from_one.status, from_other.status), (200, 200));
    assert_eq!(service.messages(&one).await, ["from 51"]);
    assert_eq!(service.messages(&other).await, ["from 52"]);
    service.stop();
}

#[tokio::test]
async fn twenty_connects_at_once_start_one_chrome_and_get_equal_answers() {
    let service = Service::with(&[]).await;
    let connects = (0..20).map(|_| service.connect(51));
    let answers = futures_util::future::join_all(connects).await;
    for answer in &answers {
        assert_eq!((answer.status, answer.json()), (200, answers[0].json()));
    }
    assert_eq!(answers[0].json()["state"], "QR_REQUIRED");
    assert_eq!(main_processes(service.home()).len(), 1);
    service.stop();
}

/// Chromes without their helpers.
fn main_processes(home: &Home) -> Vec<u32> {
    let is_main = |pid: &u32| {
        let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        !String::from_utf8_lossy(&command_line).contains("--type=")
    };
    home.processes().into_iter().filter(is_main).collect()
}

#[tokio::test]
async fn a_new_code_is_at_qr_while_it_is_valid() {
    let service = Service::with(&[("SANDBOX_CODE_SECONDS", "3,3")]).await;
    service.connect(51).await;
    let first = service.code("51").await;
    let code_of = |state: &Value| state["codes"][0]["text"].as_str().map(str::to_owned);
    let state = service
        .phone_shows("another code", |state| {
            code_of(state).is_some_and(|code| code != first)
        })
        .await;
    let second = code_of(&state).unwrap();
    service
        .status_when("51", "the second code", |status| {
            status["qr"]["url"] == *second
        })
        .await;
    service.scan(&second).await;
    service.stop();
}

#[tokio::test]
async fn fresh_codes_are_asked_for_until_nobody_has_scanned_in_time() {
    let service = Service::with(&[
        ("SANDBOX_CODE_SECONDS", "0.5,0.5"),
        ("QR_TIMEOUT_SECONDS", "15"),
    ])
    .await;
    service.connect(51).await;
    // A batch has six codes: a seventh is one that was asked for.
    let more = service
        .status_when("51", "a seventh code", |status| {
            status["attempts"].as_u64() > Some(6)
        })
        .await;
    assert_eq!(more["state"], "QR_REQUIRED");
    let last = service.reaches("51", "DISCONNECTED").await;
    assert_eq!(last["reason"], "QR_TIMEOUT", "{last}");
    service.home().assert_nobody_is_left();
    let answer = service.get("/qr?cliente_id=51").await.json();
    assert_eq!(answer["status"], "NO_QR");
    assert!(
        answer["reason"]
            .as_str()
            .unwrap()
            .contains("QR_TIMEOUT_SECONDS"),
        "{answer}"
    );
    service.stop();
}

#[tokio::test]
async fn a_logout_unlinks_the_device_and_deletes_the_profile() {
    let (service, account) = Service::linked(&[]).await;
    let body = json!({ "cliente_id": 51, "logout": true });
    let answer = service.post("/disconnect", &body).await;
    assert_eq!(
        (answer.status, &answer.json()["message"]),
        (200, &json!("Logged out"))
    );
    assert!(!service.home().tokens().join("51").try_exists().unwrap());
    let devices = service.phone_state().await["devices"].take();
    assert!(
        !devices
            .as_array()
            .unwrap()
            .iter()
            .any(|device| device["account"] == *account),
        "{devices}"
    );
    assert_eq!(service.connect(51).await.json()["state"], "QR_REQUIRED");
    service.stop();
}

#[tokio::test]
async fn a_session_that_is_not_to_be_healed_is_disconnected_by_a_killed_chrome_and_can_be_started_again()
 {
    let (service, _) = Service::linked(&[("HEALS_PER_HOUR", "0")]).await;
    let pid = u32::try_from(service.status("51").await["chrome_pid"].as_u64().unwrap()).unwrap();
    kill_process(pid_of(pid), Signal::KILL).unwrap();
    let lost = service.reaches("51", "DISCONNECTED").await;
    assert_eq!(lost["reason"], "BROWSER_LOST", "{lost}");
    service.home().assert_nobody_is_left();
    service.connect(51).await;
    service.reaches("51", "READY").await;
    service.stop();
}

#[tokio::test]
async fn somebody_elses_chrome_on_the_profile_is_named_and_left_alone() {
    let program = chrome::headless_shell().await;
    let home = Home::new();
    let profile = home.tokens().join("51");
    std::fs::create_dir_all(&profile).unwrap();
    let mut foreign = Started::chrome(&program, &profile, &[]).await;
    let lock = std::fs::read_link(profile.join("SingletonLock")).ok();

    let service = Service::start_in(home, |env| {
        env.insert("CHROME_PATH", program.path.clone().into());
    })
    .await;
    let refused = service.connect(51).await;
    refused.assert_refused(500, "PROFILE_IN_USE");
    let status = service.status("51").await;
    assert_eq!(status["state"], "ERROR");
    let detail = status["detail"].as_str().unwrap();
    assert!(detail.contains(&foreign.pid().to_string()), "{detail}");
    assert!(foreign.is_running());
    assert_eq!(std::fs::read_link(profile.join("SingletonLock")).ok(), lock);

    drop(foreign);
    eventually("the other Chrome is gone", || {
        service.home().processes().is_empty()
    })
    .await;
    assert_eq!(service.connect(51).await.status, 200);
    service.stop();
}

#[tokio::test]
async fn a_missing_chrome_is_said_with_the_command_that_installs_one() {
    let service = Service::start(|env| {
        env.remove("CHROME_PATH");
        env.insert("PATH", "/nonexistent".into());
    })
    .await;
    assert_eq!(service.get("/health").await.status, 200);
    let refused = service.connect(51).await;
    refused.assert_refused(500, "CHROME_NOT_FOUND");
    let why = refused.json()["error"].as_str().unwrap().to_owned();
    assert!(
        why.contains("apt-get install chromium-headless-shell"),
        "{why}"
    );
    assert_eq!(service.status("51").await["state"], "ERROR");
    service.stop();
}

#[tokio::test]
async fn a_service_that_cannot_start_says_why_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, said) = Service::fails(|env| {
        env.insert("PORT", port.clone().into());
    })
    .await;
    assert_eq!(code, 1, "{said}");
    let line = only_error(&said);
    assert!(line.contains("PORT") && line.contains(&port), "{line}");

    let file = tempfile::NamedTempFile::new().unwrap();
    let (code, said) = Service::fails(|env| {
        env.insert("TOKENS_DIR", file.path().into());
    })
    .await;
    assert_eq!(code, 1, "{said}");
    assert!(only_error(&said).contains("TOKENS_DIR"), "{said}");

    let (code, said) = Service::fails(|env| {
        env.insert("PORT", "many".into());
        env.insert("SESSION_MODE", "both".into());
    })
    .await;
    assert_eq!(code, 64, "{said}");
    assert!(
        said.contains("PORT:") && said.contains("SESSION_MODE:"),
        "{said}"
    );
}

#[tokio::test]
async fn a_fault_of_a_setting_says_where_it_is_set() {
    let home = Home::new();
    let dotenv = "# Right, and passed over.\nHOST=127.0.0.1\nCHROME_ARGS=--lang=es --disable-gpu\nMAX_SESSIONS=many\nSEND_QUEUE_MAX=7\n";
    fs::write(home.path().join(".env"), dotenv).unwrap();
    let (code, said) = Service::fails_in(&home, |env| {
        // As conda has it.
        env.insert("HOST", "x86_64-conda-linux-gnu".into());
        // As `docker run --env-file` hands it on.
        env.insert("API_KEY", "'s3cret'".into());
        // As Kubernetes has it for a Service named `sandbox`.
        env.insert("SANDBOX", "false".into());
        env.insert("SANDBOX_PORT", "tcp://10.0.0.1:3002".into());
        // Set but empty counts as not set.
        env.insert("SEND_QUEUE_MAX", "".into());
    })
    .await;
    assert_eq!(code, 64, "{said}");
    let faults: Vec<&str> = said.lines().skip(1).collect();
    assert_eq!(faults.len(), 3, "{said}");
    let fault = |name: &str| {
        let found = faults.iter().find(|fault| fault.starts_with(name));
        *found.unwrap_or_else(|| panic!("{name}: {said}"))
    };
    let host = fault("HOST: must be localhost");
    assert!(host.contains("set in the environment"), "{host}");
    assert!(host.contains("goes before .env line 2"), "{host}");
    let key = fault("API_KEY: stands in quotes (')");
    assert!(key.contains("(set in the environment: unset"), "{key}");
    assert!(fault("MAX_SESSIONS: ").ends_with("(.env line 4)"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}

/// The one line of level ERROR in a JSON log.
fn only_error(log: &str) -> String {
    let parsed = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let errors: Vec<_> = parsed
        .filter(|line| line["level"] == "ERROR")
        .map(|line| line["fields"]["message"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(errors.len(), 1, "{log}");
    errors[0].clone()
}
