//! How the service stops: what callers are told meanwhile, and that nothing is left, even if a person stops it impatiently.

use std::{fs, time::Duration};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, mknodat, open},
    process::{Signal, kill_process},
};
use serde_json::{Value, json};

use crate::support::{
    Home, Service,
    chrome::{eventually, pid_of},
};

/// A Chrome that hangs is killed after 6.5 s; a service that is told again does not wait for that.
const AT_ONCE: Duration = Duration::from_secs(4);

/// The service promises to stop within 10 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(12);

/// Tells the service to stop again and again, as an impatient person does: a second signal at once does not count.
async fn insist(service: Service, signal: Signal) -> Home {
    let told_again = "told to stop a second time";
    eventually(told_again, || {
        service.signal(signal);
        service.log().contains(told_again)
    })
    .await;
    service.ends_within(AT_ONCE)
}

/// The kernel's word on a process: the line of `/proc/<pid>/<file>` that begins with `name`.
fn kernel_says(pid: u64, file: &str, name: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let words = line.unwrap().split_ascii_whitespace();
    words.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_terminal_that_closes_stops_the_service_in_order() {
    let mut service = Service::with(&[]).await;
    service.link("51").await;
    // SIGHUP comes twice: from the kernel and from the shell. SIGQUIT is Ctrl-\.
    for signals in [&[Signal::HUP, Signal::HUP][..], &[Signal::QUIT]] {
        let output = service.output();
        for signal in signals {
            service.signal(*signal);
        }
        let home = service.ends_within(STOP_TIMEOUT);
        home.assert_nobody_is_left();
        output.await_end();
        assert!(output.text().contains("\"stopped\""), "{}", output.text());
        // The profile was written: no scan is asked for.
        service = Service::start_in(home, |_| {}).await;
        service.reaches("51", "READY").await;
    }
    service.stop();
}

#[tokio::test]
async fn a_service_under_nohup_outlives_its_terminal() {
    let service = Service::start_under_nohup().await;
    let ignored = kernel_says(service.pid().into(), "status", "SigIgn:");
    let ignored = u64::from_str_radix(&ignored[0], 16).unwrap();
    assert_eq!(ignored & 1, 1, "SIGHUP is the first signal");
    service.signal(Signal::HUP);
    assert_eq!(service.get("/health").await.status, 200);
    assert!(!service.log().contains("stopping: "), "{}", service.log());
    service.stop();
}

#[tokio::test]
async fn neither_the_service_nor_a_chrome_leaves_a_core_dump() {
    let service = Service::with(&[]).await;
    service.connect(51).await;
    let chrome = service.status("51").await["chrome_pid"].as_u64().unwrap();
    for pid in [service.pid().into(), chrome] {
        let limit = kernel_says(pid, "limits", "Max core file size");
        assert_eq!(limit, ["0", "0", "bytes"]);
    }
    service.stop();
}

/// A service with a READY session whose Chrome hangs, so that it takes long to stop.
async fn with_a_hanging_chrome() -> Service {
    // A copy of the running profile, as soon as it is linked, would end with a signal to go on.
    let (service, _) = Service::linked(&[("SNAPSHOT_EVERY_MINUTES", "0")]).await;
    let pid = service.status("51").await["chrome_pid"].as_u64().unwrap();
    kill_process(pid_of(u32::try_from(pid).unwrap()), Signal::STOP).unwrap();
    service
}

#[tokio::test]
async fn a_service_that_stops_refuses_new_work_answers_reads_and_ends_at_once_when_told_twice() {
    let service = with_a_hanging_chrome().await;
    service.signal(Signal::TERM);
    service.logs("stopping: ").await;
    let send = json!({ "cliente_id": 51, "to": "5491158254201", "message": "tarde" });
    for (path, body) in [
        ("/connect", json!({ "cliente_id": 51 })),
        ("/connect", json!({ "cliente_id": 52 })),
        ("/disconnect", json!({ "cliente_id": 51 })),
        ("/send", send),
        ("/send?dry_run=true", json!({})),
        ("/sessions/51/evidence", json!({})),
    ] {
        let refused = service.post(path, &body).await;
        let told = (refused.status, refused.json()["code"].clone());
        assert_eq!(told, (503, json!("SHUTTING_DOWN")), "{path}");
        assert_eq!(refused.header("retry-after"), Some("10"), "{path}");
    }
    for path in ["/health", "/status?cliente_id=51", "/sessions", "/messages"] {
        assert_eq!(service.get(path).await.status, 200, "{path}");
    }
    let home = insist(service, Signal::TERM).await;
    eventually("no process is left", || home.processes().is_empty()).await;
}

#[tokio::test]
async fn a_signal_that_a_wrapper_sends_on_costs_no_orderly_close() {
    let (service, _) = Service::linked(&[]).await;
    // PM2 signals the whole group, and npm forwards its own.
    for _ in 0..3 {
        service.signal(Signal::INT);
    }
    service.logs("stopping: ").await;
    service.signal(Signal::INT);
    let ends = ["\"stopped\"", "is dropped"];
    eventually("it has ended", || {
        ends.iter().any(|end| service.log().contains(end))
    })
    .await;
    assert!(!service.log().contains("a second time"));
    service.stop();
}

#[tokio::test]
async fn an_impatient_operator_at_the_keyboard_leaves_no_chrome_behind() {
    let service = with_a_hanging_chrome().await;
    service.signal(Signal::INT);
    service.logs("stopping: ").await;
    let home = insist(service, Signal::INT).await;
    eventually("no process is left", || home.processes().is_empty()).await;

    // Its desired state is up.
    let service = Service::start_in(home, |_| {}).await;
    service.reaches("51", "READY").await;
    service.stop();
}

#[tokio::test]
async fn a_disk_that_hangs_does_not_keep_a_service_that_is_told_twice() {
    let (service, _) = Service::linked(&[]).await;
    // To open a pipe without a writer waits for ever, as on a disk that has gone away.
    let snapshots = service.home().data().join("sandbox/snapshots/51");
    fs::create_dir_all(&snapshots).unwrap();
    let pipe = snapshots.join("9999.manifest");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    service.signal(Signal::TERM);
    // It can be opened so only while there is a reader.
    let mut writer = None;
    eventually("the snapshots are looked at", || {
        writer = open(&pipe, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()).ok();
        writer.is_some()
    })
    .await;
    insist(service, Signal::TERM).await.assert_nobody_is_left();
}

#[tokio::test]
async fn a_disk_that_hangs_does_not_keep_a_service_that_is_still_starting() {
    let home = Home::new();
    fs::create_dir_all(home.data()).unwrap();
    // To open a pipe without a reader waits for ever, as on a disk that has gone away.
    let pipe = home.data().join(".writable");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    for signal in [Signal::TERM, Signal::HUP] {
        let status = Service::stopped_before_it_listens(&home, signal).await;
        assert!(status.success(), "{status}");
    }
}

#[tokio::test]
async fn a_caller_that_waits_for_ready_is_told_that_the_service_stops() {
    let service = Service::with(&[]).await;
    service.connect(51).await;
    let body = json!({ "cliente_id": 51, "wait": "ready" });
    let stop = async {
        service.logs("/connect").await;
        service.signal(Signal::TERM);
    };
    let (refused, ()) = tokio::join!(service.post("/connect", &body), stop);
    let told = (refused.status, refused.json()["code"].clone());
    assert_eq!(told, (503, json!("SHUTTING_DOWN")), "{}", refused.text());
    service.stop();
}

#[tokio::test]
async fn a_start_that_the_machine_has_no_room_for_is_refused_with_the_figures() {
    let service = Service::with(&[("MIN_FREE_MEMORY_MB", "100000000")]).await;
    let refused = service.connect(51).await;
    let answer = refused.json();
    assert_eq!((refused.status, &answer["code"]), (503, &json!("CAPACITY")));
    let figures = ["running", "limit", "needed_mb"].map(|name| answer[name].clone());
    assert_eq!(
        figures,
        [json!(0), json!(50), json!(100_000_000)],
        "{answer}"
    );
    let free_mb = answer["free_mb"].as_u64().unwrap();
    assert!(0 < free_mb && free_mb < 100_000_000, "{answer}");
    let said = answer["error"].as_str().unwrap();
    assert!(said.contains(&format!("{free_mb} MB are free")), "{said}");
    // A name that was refused is not known.
    assert_eq!(service.get("/sessions").await.json()["details"], json!([]));
    service.stop();
}

#[tokio::test]
async fn a_session_that_should_be_up_waits_for_room_and_says_so() {
    let service = Service::with(&[]).await;
    for id in ["51", "52"] {
        service.link(id).await;
    }
    let service = Service::start_in(service.stop(), |env| {
        env.insert("MAX_SESSIONS", "1".into());
    })
    .await;
    service.reaches("51", "READY").await;
    service
        .logs("session 52 should be up and waits for room")
        .await;
    let refused = service.connect(52).await.json();
    assert_eq!(refused["code"], "CAPACITY", "{refused}");
    assert_eq!(
        (&refused["running"], &refused["limit"]),
        (&json!(1), &json!(1))
    );
    let waits = service.status("52").await;
    assert_eq!(waits["state"], "DISCONNECTED", "{waits}");
    assert_eq!(service.disconnect(51).await.status, 200);
    service.reaches("52", "READY").await;
    let measured = service
        .status_when("52", "its memory", |status| status["memory_mb"].is_u64())
        .await;
    assert!(measured["memory_mb"].as_u64().unwrap() > 20, "{measured}");
    assert!(measured["memory_measured_at"].is_string(), "{measured}");
    let health = service.get("/health").await.json();
    assert_ne!(health["chrome"]["memory_mb"], Value::from(0), "{health}");
    service.stop();
}
