//! Chromes of a service that is gone: found by the service's marker on their command line, and ended.
//!
//! A Chrome without the marker, or with that of a service that still lives, is never touched.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{task::spawn_blocking, time::sleep};

use crate::browser::{
    processes::process::LOOK_INTERVAL,
    procfs::{self, Chrome},
};

/// What a full browser leaves behind when it is killed.
pub(in crate::browser) const SINGLETONS: [&str; 3] =
    ["SingletonLock", "SingletonSocket", "SingletonCookie"];

/// Chrome writes its storage out on SIGTERM, in well under a second; many may end at once here.
const TERM_TIMEOUT: Duration = Duration::from_secs(3);

/// After SIGKILL only the kernel's own work remains: 40 ms on an idle machine.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether it carries the marker of a service that has ended. For a Chrome in another container this cannot be known: the pid of
/// its service means another process here, or none.
pub(in crate::browser) fn is_left_over(chrome: &Chrome) -> bool {
    chrome.owner.is_some_and(|owner| !owner.is_alive())
        && procfs::shares_our_pid_namespace(chrome.id.pid)
}

/// Ends it and its group: SIGTERM → wait → SIGKILL → wait. Answers whether all are gone.
pub(in crate::browser) async fn end(chrome: &Chrome) -> bool {
    for (signal, patience) in [(Signal::TERM, TERM_TIMEOUT), (Signal::KILL, KILL_TIMEOUT)] {
        if !is_there(chrome).await {
            return true;
        }
        signal_all(chrome, signal);
        // It may have been stopped for a copy of its profile when its service was killed, and hears SIGTERM once it goes on.
        signal_all(chrome, Signal::CONT);
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if !is_there(chrome).await {
                return true;
            }
            sleep(LOOK_INTERVAL).await;
        }
    }
    !is_there(chrome).await
}

/// Lets the helpers of a main process that is gone go on, if they were stopped with it: only then they notice that, and end.
pub(in crate::browser) fn wake(helper: &Chrome) {
    let Some(group) = i32::try_from(helper.group).ok().and_then(Pid::from_raw) else {
        return;
    };
    if let Err(error) = kill_process_group(group, Signal::CONT) {
        tracing::debug!(chrome.pid = helper.id.pid, %error, "no signal reached the helpers of a Chrome that is gone");
    }
}

/// A Chrome of a service leads its own group; one that does not shares its group with unknown processes.
fn leads_its_group(chrome: &Chrome) -> bool {
    chrome.group == chrome.id.pid
}

async fn is_there(chrome: &Chrome) -> bool {
    if chrome.id.is_alive() {
        return true;
    }
    let group = chrome.group;
    if !leads_its_group(chrome) {
        return false;
    }
    // Off the runtime: a machine may have thousands of processes to look at. A runtime that goes down cannot look any more.
    spawn_blocking(move || procfs::group_is_alive(group))
        .await
        .unwrap_or(true)
}

fn signal_all(chrome: &Chrome, signal: Signal) {
    let Some(pid) = i32::try_from(chrome.id.pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    let sent = if leads_its_group(chrome) {
        kill_process_group(pid, signal)
    } else {
        kill_process(pid, signal)
    };
    if let Err(error) = sent {
        tracing::debug!(chrome.pid = chrome.id.pid, %error, "no signal reached a leftover Chrome");
    }
}
