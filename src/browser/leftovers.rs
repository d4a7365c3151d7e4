//! Chromes of a service that is gone: found by our marker on their command line, and ended.
//!
//! A Chrome without the marker, or with that of a service that still lives, is never touched.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{task::spawn_blocking, time::sleep};

use super::{
    process::LOOK_INTERVAL,
    procfs::{self, Chrome},
};

/// Chrome writes its storage out on SIGTERM, in well under a second; many may end at once here.
const TERM_TIMEOUT: Duration = Duration::from_secs(3);

/// After SIGKILL only the kernel's own work remains: 40 ms on an idle machine.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// A Chrome that was left over and has been seen to.
#[derive(Clone, Debug)]
pub struct Swept {
    /// Its process.
    pub pid: u32,
    /// The profile folder that it used.
    pub profile: PathBuf,
    /// Whether it is gone, with all its helpers.
    pub ended: bool,
}

/// Ends the Chromes that a killed service has left on profiles under `tokens_dir`.
///
/// Meant for the start of the service; harmless at any other time.
pub async fn sweep(tokens_dir: &Path) -> Vec<Swept> {
    let Ok(tokens_dir) = tokens_dir.canonicalize() else {
        // No folder, no profiles.
        return Vec::new();
    };
    let Ok(chromes) = spawn_blocking(procfs::chromes).await else {
        // The runtime is going down.
        return Vec::new();
    };
    let leftovers = chromes
        .into_iter()
        .filter(|chrome| !chrome.helper && is_left_over(chrome))
        .filter(|chrome| is_under(chrome, &tokens_dir));
    join_all(leftovers.map(async |chrome| {
        let ended = end(&chrome).await;
        if ended {
            tracing::info!(
                chrome.pid = chrome.id.pid,
                "ended a Chrome that a killed service had left"
            );
        } else {
            tracing::error!(
                chrome.pid = chrome.id.pid,
                "a Chrome that a killed service had left does not end"
            );
        }
        Swept {
            pid: chrome.id.pid,
            profile: chrome.folder,
            ended,
        }
    }))
    .await
}

/// Whether it carries the marker of a service that lives no more.
pub(super) fn is_left_over(chrome: &Chrome) -> bool {
    chrome.owner.is_some_and(|owner| !owner.is_alive())
}

fn is_under(chrome: &Chrome, tokens_dir: &Path) -> bool {
    // The root of another user's process cannot be entered: then what its command line says must do.
    let folder = fs::canonicalize(chrome.folder_seen_from_here())
        .or_else(|_| chrome.folder.canonicalize())
        .unwrap_or_else(|_| chrome.folder.clone());
    folder.starts_with(tokens_dir)
}

/// Ends it and its group: SIGTERM → wait → SIGKILL → wait. Tells whether all are gone.
pub(super) async fn end(chrome: &Chrome) -> bool {
    for (signal, patience) in [(Signal::TERM, TERM_TIMEOUT), (Signal::KILL, KILL_TIMEOUT)] {
        signal_all(chrome, signal);
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if !is_there(chrome) {
                return true;
            }
            sleep(LOOK_INTERVAL).await;
        }
    }
    !is_there(chrome)
}

/// Ours lead a group of their own; one that does not shares its group with who knows whom.
fn leads_its_group(chrome: &Chrome) -> bool {
    chrome.group == chrome.id.pid
}

fn is_there(chrome: &Chrome) -> bool {
    chrome.id.is_alive() || (leads_its_group(chrome) && procfs::group_is_alive(chrome.group))
}

fn signal_all(chrome: &Chrome, signal: Signal) {
    let Some(pid) = i32::try_from(chrome.id.pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    if !is_there(chrome) {
        return;
    }
    let sent = if leads_its_group(chrome) {
        kill_process_group(pid, signal)
    } else {
        kill_process(pid, signal)
    };
    if let Err(error) = sent {
        tracing::debug!(chrome.pid = chrome.id.pid, %error, "no signal reached a leftover Chrome");
    }
}
