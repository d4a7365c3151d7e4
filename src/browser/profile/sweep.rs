//! Ends the Chromes of a killed service when the next one starts.

use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use tokio::task::spawn_blocking;

use super::Profile;
use crate::browser::{
    processes::leftovers::{end, is_left_over},
    procfs::{self, Chrome},
};

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

/// Takes the profile that it works on, if that is a profile under `tokens_dir` and no living service holds it. The lock
/// decides: its holder may end what works on the folder.
fn hold_its_profile(chrome: &Chrome, tokens_dir: &Path) -> Option<Profile> {
    let folder = tokens_dir.join(chrome.folder.file_name()?);
    if !chrome.works_on(&folder) {
        return None;
    }
    match super::hold(&folder) {
        Ok(profile) => Some(profile),
        Err(error) => {
            tracing::debug!(chrome.pid = chrome.id.pid, %error, "left a Chrome alone whose profile is held");
            None
        }
    }
}
