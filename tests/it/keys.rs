//! Keys as an operator makes them and a caller uses them: the real command beside the real service. No Chrome is needed.

use std::{fs, process::Command, time::Duration};

use reqwest::Method;
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::Signal,
};
use serde_json::{Value, json};
use tokio::time::{interval, timeout};

use crate::support::{Answer, Home, Service, answer, disk::Disk};

/// What a command said, and its exit code.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs `session-manager key …` on the folder of a service, with these settings added.
fn key(home: &Home, words: &[&str], settings: &[(&str, &str)]) -> Said {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test starts the program that it tests"
    )]
    let mut command = Command::new(env!("CARGO_BIN_EXE_session-manager"));
    command
        .arg("key")
        .args(words)
        .env_clear()
        .env("DATA_DIR", home.data())
        .envs(settings.iter().copied())
        .current_dir(home.path());
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Makes a key that the service's log must not hold.
pub(crate) fn add(service: &Service, words: &[&str]) -> String {
    let said = key(service.home(), &[&["add"], words].concat(), &[]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let key = said.stdout.trim().to_owned();
    assert!(key.starts_with("smk_") && key.len() == 36, "{key}");
    assert!(!said.stderr.contains(&key), "{}", said.stderr);
    service.secrets().remember_text(&key);
    key
}

/// Waits until a change of the keys is in force, for at most the second that docs/security.md promises.
pub(crate) async fn in_force<T: PartialEq + std::fmt::Debug>(wanted: T, now: impl AsyncFn() -> T) {
    let (mut last, mut ticks) = (None, interval(Duration::from_millis(5)));
    let come = timeout(Duration::from_secs(1), async {
        while last.as_ref() != Some(&wanted) {
            ticks.tick().await;
            last = Some(now().await);
        }
    });
    assert!(
        come.await.is_ok(),
        "{last:?} and not {wanted:?} after a second"
    );
}

pub(crate) async fn call(
    service: &Service,
    method: Method,
    path: &str,
    key: &str,
    body: &Value,
) -> Answer {
    service.secrets().remember_request(body);
    let request = service.request(method, path).json(body);
    answer(request.bearer_auth(key)).await
}

#[tokio::test]
async fn a_key_is_made_used_and_revoked_while_the_service_runs() {
    let service = Service::with(&[]).await;
    let status = async |key: &str, id: u64| {
        let path = format!("/status?cliente_id={id}");
        let answer = call(&service, Method::GET, &path, key, &Value::Null).await;
        answer.status
    };
    assert_eq!(service.get("/status?cliente_id=51").await.status, 200);

    let shop = add(&service, &["shop", "--scope", "send", "--cliente-id", "51"]);
    let ops = add(&service, &["ops", "--scope", "admin", "--expires", "1h"]);
    in_force((200, 200), async || {
        (status(&shop, 51).await, status(&ops, 51).await)
    })
    .await;
    assert_eq!(service.get("/status?cliente_id=51").await.status, 401);
    assert_eq!(service.get("/health").await.status, 200);
    assert_eq!(
        (status(&shop, 51).await, status(&shop, 52).await),
        (200, 403)
    );
    assert_eq!((status(&ops, 51).await, status(&ops, 52).await), (200, 200));

    // Who did what is in the log, and nothing of what was said.
    let message = json!({"cliente_id": 51, "to": "5491158254201", "message": "nadie lo lee"});
    let sent = call(&service, Method::POST, "/send", &shop, &message).await;
    assert_eq!(sent.status, 503, "{}", sent.text());
    let end = json!({"cliente_id": 51});
    let refused = call(&service, Method::POST, "/disconnect", &shop, &end).await;
    refused.assert_refused(403, "FORBIDDEN");
    let ended = call(&service, Method::POST, "/disconnect", &ops, &end).await;
    assert_eq!(ended.status, 200, "{}", ended.text());
    for line in [
        "POST /send of session 51 with key shop from 127.0.0.1: 503 SESSION_NOT_READY",
        "POST /disconnect of session - with key shop from 127.0.0.1: 403 FORBIDDEN",
        "POST /disconnect of session 51 with key ops from 127.0.0.1: 200",
    ] {
        service.logs(line).await;
    }

    let list = key(service.home(), &["list"], &[]);
    for seen in ["shop", "send", "51", "ops", "admin", &shop[32..]] {
        assert!(list.stdout.contains(seen), "{}", list.stdout);
    }
    assert!(!list.stdout.contains(&shop) && !list.stdout.contains(&ops));

    assert_eq!(key(service.home(), &["revoke", "shop"], &[]).code, Some(0));
    in_force((401, 200), async || {
        (status(&shop, 51).await, status(&ops, 51).await)
    })
    .await;

    // A broken file changes no rights, and is reported.
    fs::write(service.home().data().join("keys.json"), "{").unwrap();
    service.logs("keys read before stay in force").await;
    assert_eq!(
        (status(&shop, 51).await, status(&ops, 51).await),
        (401, 200)
    );
    assert_eq!(service.get("/status").await.status, 401);
    service.stop();
}

#[tokio::test]
async fn a_mount_that_hangs_under_the_file_of_keys_holds_no_request_and_no_stop() {
    let home = Home::new();
    let folder = home.path().join("mount");
    let file = folder.join("keys.json");
    let elsewhere = [("API_KEYS_FILE", file.to_str().unwrap())];
    let said = key(&home, &["add", "ops", "--scope", "admin"], &elsewhere);
    let ops = said.stdout.trim().to_owned();
    let service = Service::start_in_on(home, Disk::small(), |env| {
        env.insert("API_KEYS_FILE", file.clone().into());
    })
    .await;
    service.secrets().remember_text(&ops);
    let hang = service.disk().unwrap().hang(&folder);
    // From the first look that does not come back until the log says so, which takes five seconds.
    let mut ticks = interval(Duration::from_millis(50));
    while !service.log().contains("has not answered for 5 s") {
        ticks.tick().await;
        let answers = async {
            let health = service.get("/health").await.status;
            let status = call(&service, Method::GET, "/status", &ops, &Value::Null);
            let wrong = call(&service, Method::GET, "/status", "wrong", &Value::Null);
            (health, status.await.status, wrong.await.status)
        };
        let answers = timeout(Duration::from_secs(1), answers).await;
        assert_eq!(answers, Ok((200, 200, 401)));
    }
    service.signal(Signal::TERM);
    service.ends_within(Duration::from_secs(10));
    drop(hang);
}

/// A pipe stands for a file on a disk that does not answer: to open it waits for ever for a writer.
#[tokio::test]
async fn a_file_of_keys_that_becomes_a_pipe_holds_nobody_and_changes_no_rights() {
    let service = Service::with(&[]).await;
    let ops = add(&service, &["ops", "--scope", "admin"]);
    let status = async |key: &str| {
        let answer = call(&service, Method::GET, "/status", key, &Value::Null);
        answer.await.status
    };
    in_force(200, async || status(&ops).await).await;
    in_force(401, async || status("wrong").await).await;
    let file = service.home().data().join("keys.json");
    fs::remove_file(&file).unwrap();
    in_force(401, async || status(&ops).await).await;
    let pipe = |mode| mknodat(CWD, &file, FileType::Fifo, Mode::from_raw_mode(mode), 0);
    pipe(0o600).unwrap();
    service.logs("is not a regular file").await;
    assert_eq!(service.get("/health").await.status, 200);
    assert_eq!((status(&ops).await, status("").await), (401, 401));
    let said = key(service.home(), &["list"], &[]);
    assert!(
        said.stderr.contains("is not a regular file"),
        "{}",
        said.stderr
    );
    service.signal(Signal::TERM);
    // The pipe is in its folder.
    let _home = service.ends_within(Duration::from_secs(10));
    // And a service does not start on one.
    let (code, said) = Service::fails(|env| {
        env.insert("API_KEYS_FILE", file.clone().into());
    })
    .await;
    assert_eq!(code, 64, "{said}");
    assert!(
        said.contains("API_KEYS_FILE: ") && said.contains("is not a regular file"),
        "{said}"
    );
}

#[tokio::test]
async fn wrong_keys_are_counted_by_the_address_that_they_come_from() {
    let service = Service::with(&[("API_KEY", "s3cret-s3cret")]).await;
    service.secrets().remember_text("s3cret-s3cret");
    let mut statuses = Vec::new();
    for number in 0..40 {
        let guess = format!("guess{number}");
        let guess = call(&service, Method::GET, "/status", &guess, &Value::Null).await;
        statuses.push(guess.status);
    }
    assert_eq!(
        (statuses[0], statuses.last()),
        (401, Some(&429)),
        "{statuses:?}"
    );
    service.logs("127.0.0.1 gave").await;
    service.stop();
}

#[tokio::test]
async fn a_service_that_others_reach_does_not_start_without_a_key_and_says_what_to_do() {
    let (code, said) = Service::fails(|env| {
        env.insert("HOST", "0.0.0.0".into());
        env.insert("LOG_FORMAT", "xml".into());
    })
    .await;
    assert_eq!(code, 64, "{said}");
    assert!(
        said.contains("session-manager key add") && said.contains("LOG_FORMAT"),
        "{said}"
    );
}

#[test]
fn a_key_can_be_made_before_the_service_may_start_and_slips_are_told() {
    let home = Home::new();
    let open = [("HOST", "0.0.0.0")];
    let made = key(&home, &["add", "ops", "--scope", "admin"], &open);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert!(made.stderr.contains("keys.json"), "{}", made.stderr);
    for (words, code, why) in [
        (&["add", "ops", "--scope", "read"][..], 1, "already"),
        (&["revoke", "nobody"], 1, "key list"),
        (&["add", "a b", "--scope", "read"], 2, "letters"),
        (&["add", "x", "--scope", "root"], 2, "send+receive or admin"),
        (&["add", "x"], 2, "--scope"),
        (
            &["add", "x", "--scope", "read", "--expires", "1y"],
            2,
            "90d",
        ),
        (
            &["add", "x", "--scope", "read", "--cliente-id", "../x"],
            2,
            "cliente_id",
        ),
    ] {
        let said = key(&home, words, &[]);
        assert_eq!(said.code, Some(code), "{words:?}: {}", said.stderr);
        assert!(said.stderr.contains(why), "{words:?}: {}", said.stderr);
        assert_eq!(said.stdout, "", "{words:?}");
    }
    let list = key(&home, &["list", "--json"], &[]);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(list["keys"][0]["name"], "ops", "{list}");
    assert_eq!(list["keys"].as_array().unwrap().len(), 1, "{list}");
    let elsewhere = [("API_KEYS_FILE", "elsewhere.json")];
    let made = key(&home, &["add", "ops", "--scope", "read"], &elsewhere);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert!(home.path().join("elsewhere.json").is_file());
    let revoked = key(&home, &["revoke", "ops"], &elsewhere);
    assert!(
        revoked.stderr.contains("no key is left"),
        "{}",
        revoked.stderr
    );
}
