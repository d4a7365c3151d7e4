//! Copies of running profiles: that they are taken, and that a profile that is lost comes back from one. Real Chromes, real files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::support::{Home, Service, chrome::eventually};

const TO: &str = "5491158254201";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_KEY: &str = "//////////////////////////////////////////8=";

fn manifests(home: &Home) -> Vec<PathBuf> {
    let folder = home.data().join("sandbox/snapshots/51");
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_manifest = |path: &PathBuf| path.extension().is_some_and(|it| it == "manifest");
    paths.filter(is_manifest).collect()
}

/// Waits until the session has a copy of its profile.
async fn is_copied(service: &Service) {
    let home = service.home();
    eventually("the profile is copied", || !manifests(home).is_empty()).await;
}

/// What a power cut on a bad disk may leave: the storage is gone, and Chrome begins it again.
fn lose_storage(home: &Home) {
    fs::remove_dir_all(home.tokens().join("51/Default/IndexedDB")).unwrap();
}

async fn chrome_of(service: &Service) -> Pid {
    let status = service.status("51").await;
    let pid = status["chrome_pid"].as_i64().unwrap();
    Pid::from_raw(pid.try_into().unwrap()).unwrap()
}

/// Starts the service of a home again, and waits until the session that should be up is as wanted.
async fn next(home: Home, key: &str, what: &str, is_it: impl Fn(&Value) -> bool) -> Service {
    let service = Service::start_in(home, |environment| {
        if !key.is_empty() {
            environment.insert("SNAPSHOT_KEY", key.into());
        }
    })
    .await;
    service.status_when("51", what, is_it).await;
    service
}

fn is_ready(status: &Value) -> bool {
    status["state"] == "READY"
}

#[tokio::test]
async fn a_link_is_copied_as_soon_as_it_is_made_and_comes_back_without_a_scan() {
    let (service, account) = Service::linked(&[]).await;
    is_copied(&service).await;
    service.logs("took a snapshot of the profile").await;
    service.sends(51, TO, "antes de la copia").await;
    // Nothing is closed in order.
    let home = service.kill();
    lose_storage(&home);
    let service = next(home, "", "READY", is_ready).await;
    service.secrets().remember_number(&account);
    assert_eq!(service.status("51").await["account"], account.as_str());
    service.logs("is in its place").await;
    service.sends(51, TO, "después de la copia").await;
    assert_eq!(
        service.messages(&account).await,
        ["antes de la copia", "después de la copia"]
    );
    let metrics = service.get("/metrics").await.text();
    assert!(metrics.contains("session_profile_copy_timestamp_seconds{session=\"51\"}"));
    service.stop();
}

#[tokio::test]
async fn a_service_that_is_killed_while_its_chrome_is_stopped_is_followed_by_one_that_is_ready() {
    let (service, account) = Service::linked(&[]).await;
    is_copied(&service).await;
    let chrome = chrome_of(&service).await;
    // As in the midst of a copy: all of them stand still, and what stopped them is gone.
    kill_process_group(chrome, Signal::STOP).unwrap();
    let home = service.kill();
    let left = home.processes();
    let service = next(home, "", "READY", is_ready).await;
    service.secrets().remember_number(&account);
    let is_there = |pid: &u32| {
        let line = fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline"));
        line.is_ok_and(|line| !line.is_empty())
    };
    eventually("none of the stopped processes is left", || {
        !left.iter().any(is_there)
    })
    .await;
    service.sends(51, TO, "hola").await;
    assert_eq!(service.messages(&account).await, ["hola"]);
    service.stop();
}

#[tokio::test]
async fn a_chrome_that_is_stopped_for_a_copy_is_not_taken_for_one_that_hangs() {
    let (service, account) = Service::linked(&[]).await;
    is_copied(&service).await;
    let status = service.status("51").await;
    let chrome = chrome_of(&service).await;
    // Longer than any copy may take, and in the midst of sends.
    let sends = async {
        for n in 0..20 {
            service.sends(51, TO, &n.to_string()).await;
        }
    };
    let stops = async {
        for _ in 0..3 {
            kill_process_group(chrome, Signal::STOP).unwrap();
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            kill_process_group(chrome, Signal::CONT).unwrap();
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    };
    tokio::join!(sends, stops);
    let numbers: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(service.messages(&account).await, numbers);
    let now = service.status("51").await;
    let of = |status: &Value| json!([status["state"], status["chrome_pid"], status["since"]]);
    assert_eq!(of(&now), of(&status), "{now}");
    service.stop();
}

#[tokio::test]
async fn an_encrypted_copy_needs_its_key_and_a_wrong_one_costs_nothing() {
    let (service, account) = Service::linked(&[("SNAPSHOT_KEY", KEY)]).await;
    is_copied(&service).await;
    let home = service.kill();
    for path in manifests(&home) {
        let bytes = fs::read(path).unwrap();
        let number = account.as_bytes();
        assert!(!bytes.windows(number.len()).any(|part| part == number));
    }
    lose_storage(&home);
    let says_so = |status: &Value| {
        let detail = status["detail"].as_str().unwrap_or_default();
        // ERROR, which is what operators are alerted of.
        status["state"] == "ERROR"
            && status["reason"] == "SNAPSHOT_UNUSABLE"
            && detail.contains("SNAPSHOT_KEY")
    };
    let mut home = home;
    for key in ["", OTHER_KEY] {
        let service = next(home, key, "a reason that names the key", says_so).await;
        home = service.stop();
        assert!(!manifests(&home).is_empty());
    }
    // What should be up starts again once the key is right.
    let service = Service::start_in(home, |environment| {
        environment.insert("SNAPSHOT_KEY", KEY.into());
    })
    .await;
    service.secrets().remember_number(&account);
    service.connect(51).await;
    service.reaches("51", "READY").await;
    assert_eq!(service.status("51").await["account"], account.as_str());
    service.stop();
}
