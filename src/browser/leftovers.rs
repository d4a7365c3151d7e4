//! Chromes of a service that is gone: found by our marker on their command line, and ended.
//!
//! A Chrome without the marker, or with that of a service that still lives, is never touched.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{task::spawn_blocking, time::sleep};

use super::{
    process::LOOK_INTERVAL,
    procfs::{self, Chrome},
    profile::{self, Profile},
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
    let tokens_dir = tokens_dir.to_owned();
    // Off the runtime: the disk may hang, and an exchange of profiles that was interrupted is settled with the lock.
    let find = move || -> Vec<_> {
        let Ok(tokens_dir) = tokens_dir.canonicalize() else {
            // No folder, no profiles.
            return Vec::new();
        };
        let chromes = procfs::chromes().into_iter();
        chromes
            .filter(|chrome| !chrome.helper && is_left_over(chrome))
            .filter_map(|chrome| Some((hold_its_profile(&chrome, &tokens_dir)?, chrome)))
            .collect()
    };
    let Ok(leftovers) = spawn_blocking(find).await else {
        // The runtime is going down.
        return Vec::new();
    };
    join_all(leftovers.into_iter().map(async |(_profile, chrome)| {
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

/// Whether it carries the marker of a service that lives no more. Of a Chrome in another container's world that cannot
/// be known: the pid of its service means somebody else, or nobody, here.
pub(super) fn is_left_over(chrome: &Chrome) -> bool {
    chrome.owner.is_some_and(|owner| !owner.is_alive())
        && procfs::shares_our_pid_namespace(chrome.id.pid)
}

/// Takes the profile that it works on, if that is one of ours under `tokens_dir` and no living service holds it. The lock
/// is the truth: whoever has it may end what works on the folder.
fn hold_its_profile(chrome: &Chrome, tokens_dir: &Path) -> Option<Profile> {
    let folder = tokens_dir.join(chrome.folder.file_name()?);
    if !chrome.works_on(&folder) {
        return None;
    }
    match profile::hold(&folder) {
        Ok(profile) => Some(profile),
        Err(error) => {
            tracing::debug!(chrome.pid = chrome.id.pid, %error, "left a Chrome alone whose profile is held");
            None
        }
    }
}

/// Ends it and its group: SIGTERM → wait → SIGKILL → wait. Tells whether all are gone.
pub(super) async fn end(chrome: &Chrome) -> bool {
    for (signal, patience) in [(Signal::TERM, TERM_TIMEOUT), (Signal::KILL, KILL_TIMEOUT)] {
        if !is_there(chrome).await {
            return true;
        }
        signal_all(chrome, signal);
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

/// Ours lead a group of their own; one that does not shares its group with who knows whom.
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
