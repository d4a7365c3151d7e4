//! Does a service with many sessions stop within its budget, and do they come back? `--sessions N`: so many are linked and
//! READY when it is asked to stop; then another service is started on the same folder, and nobody scans anything.

use std::{
    ffi::OsString,
    fs,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use session_manager::app::STOP_BUDGET;

use super::{argument, support::Service};

const SESSIONS: u32 = 20;

/// A stop that is late is measured all the same.
const PATIENCE: Duration = Duration::from_mins(1);

/// Answers whether it stopped within its budget and left no Chrome, and all sessions were READY again.
pub(super) async fn bench() -> bool {
    let sessions = argument("--sessions").map_or(SESSIONS, |given| given.parse().expect("number"));
    let settings = |env: &mut std::collections::BTreeMap<&'static str, OsString>| {
        env.insert("RUST_LOG", "info".into());
        env.insert("MAX_SESSIONS", sessions.to_string().into());
    };
    let service = Service::start(settings).await;
    let mut accounts = Vec::new();
    for id in 1..=sessions {
        accounts.push(service.link(&id.to_string()).await);
    }
    println!("{sessions} sessions READY; load of the machine: {}", load());

    let asked = Instant::now();
    service.signal(Signal::TERM);
    let home = service.ends_within(PATIENCE);
    let took = asked.elapsed();
    let left = home.processes().len();
    println!(
        "stopped after {:.2} s of {:.1} s; processes left: {left}; load: {}",
        took.as_secs_f64(),
        STOP_BUDGET.as_secs_f64(),
        load()
    );

    let started = Instant::now();
    let service = Service::start_in(home, settings).await;
    let mut back = 0;
    for (id, account) in (1_u32..).zip(&accounts) {
        let id = id.to_string();
        service.secrets().remember_number(account);
        let status = service.reaches(&id, "READY").await;
        back += u32::from(status["account"] == account.as_str());
    }
    println!(
        "READY again without a scan: {back} of {sessions}, after {:.1} s",
        started.elapsed().as_secs_f64()
    );
    let left_in_the_end = service.ended().processes().len();
    took < STOP_BUDGET && left + left_in_the_end == 0 && back == sessions
}

/// Of the last minute: what else the machine does is part of the figure.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap();
    text.split_ascii_whitespace().next().unwrap().to_owned()
}
