//! The task that looks at the file of keys, so that no request ever does.
//!
//! The file may lie on a mount that hangs, and a call to it may never return: then a thread waits for it, the keys that are
//! known stay in force, and everything else goes on.

use std::{io, os::fd::OwnedFd, path::Path, sync::Arc, time::Duration};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::{
    io::{Interest, unix::AsyncFd},
    task::{JoinError, JoinHandle, spawn_blocking},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::Keyring;

/// The longest until a change is in force, also where the system reports none (another host changed the file on a shared
/// mount). docs/security.md says a second.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// From one look to the next, so that a busy folder costs no more than two hundred looks a second.
const LEAST_PAUSE: Duration = Duration::from_millis(5);

/// A look takes microseconds. After so long the log says that the file does not answer.
const STALLED_AFTER: Duration = Duration::from_secs(5);

/// What can make another file of it, or change what is in it.
const CHANGES: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::ATTRIB);

impl Keyring {
    /// Looks at the file for the first time, before any request is served. A file that does not answer in time lets no caller in
    /// until it does.
    pub async fn learn(self: &Arc<Self>) {
        if timeout(STALLED_AFTER, self.look_apart(None)).await.is_err() {
            self.say_stalled();
        }
    }

    /// Looks at the file whenever the system tells of a change, and every [`LOOK_EVERY`], until `stop`.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let folder = Folder::new().map(Arc::new);
        let folder = folder
            .inspect_err(|why| tracing::info!("the file of keys is polled: {why}"))
            .ok();
        let looks = async {
            loop {
                self.look_once(folder.clone()).await;
                sleep(LEAST_PAUSE).await;
                let changed = async {
                    match &folder {
                        Some(folder) => folder.changed().await,
                        None => std::future::pending().await,
                    }
                };
                // Either is a reason to look.
                let _reason = timeout(LOOK_EVERY, changed).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = looks => {}
        }
    }

    async fn look_once(self: &Arc<Self>, folder: Option<Arc<Folder>>) {
        let mut look = self.look_apart(folder);
        let looked: Result<(), JoinError> = match timeout(STALLED_AFTER, &mut look).await {
            Ok(looked) => looked,
            Err(_stalled) => {
                self.say_stalled();
                let looked = look.await;
                tracing::info!("{} answers again", self.path().display());
                looked
            }
        };
        // The panic's own line has the place; its text may quote the file.
        if looked.is_err() {
            tracing::error!("looking at {} broke off", self.path().display());
        }
    }

    /// On a thread that may block.
    fn look_apart(self: &Arc<Self>, folder: Option<Arc<Folder>>) -> JoinHandle<()> {
        let keys = Arc::clone(self);
        spawn_blocking(move || {
            if let Some(folder) = folder {
                folder.follow(keys.path());
            }
            keys.look();
        })
    }

    fn say_stalled(&self) {
        tracing::error!(
            "API_KEYS_FILE: {} has not answered for {} s: the keys read before stay in force until it does. Look at the disk or mount that it is on",
            self.path().display(),
            STALLED_AFTER.as_secs()
        );
    }
}

/// Tells of changes in the folder of the file: a file that takes the place of another is a change of the folder.
#[derive(Debug)]
struct Folder(AsyncFd<OwnedFd>);

impl Folder {
    #[expect(
        deprecated,
        reason = "its successor is `unsafe`, for a file that may be closed meanwhile; an `OwnedFd` that no other code has is not"
    )]
    fn new() -> io::Result<Self> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        AsyncFd::with_interest(events, Interest::READABLE).map(Self)
    }

    /// Follows the folder that `file` is in now. A folder that is not there, or cannot be followed, is looked at all
    /// the same.
    fn follow(&self, file: &Path) {
        let folder = match file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            Some(_) | None => Path::new("."),
        };
        let _followed = inotify::add_watch(self.0.get_ref(), folder, CHANGES);
    }

    /// Resolves when something has changed since the last time.
    async fn changed(&self) {
        let (mut buffer, mut has_changed) = ([0; 4096], false);
        while !has_changed {
            let Ok(mut ready) = self.0.readable().await else {
                return std::future::pending().await;
            };
            // All events are taken, or the same change would be reported again.
            while let Ok(read) = ready.try_io(|events| {
                rustix::io::read(events.get_ref(), &mut buffer).map_err(io::Error::from)
            }) {
                if read.is_err() {
                    return std::future::pending().await;
                }
                has_changed = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tokio::time::Instant;

    use super::*;
    use crate::keys::{Key, KeyFile, KeyText, Scope, Verdict};

    /// Far more than [`LOOK_EVERY`], on a crowded machine too.
    const PATIENCE: Duration = Duration::from_secs(10);

    async fn until(what: impl Fn() -> bool) {
        let since = Instant::now();
        while !what() {
            assert!(since.elapsed() < PATIENCE, "it never comes about");
            sleep(Duration::from_millis(2)).await;
        }
    }

    #[tokio::test]
    async fn a_change_comes_into_force_by_itself_also_in_a_folder_that_is_made_later() {
        let home = tempfile::tempdir().unwrap();
        let file = KeyFile::new(home.path().join("later/keys.json"));
        let keys = Arc::new(Keyring::new(None, file.path().to_owned()));
        // Nothing is known yet, so no caller is let in.
        assert!(keys.is_asked_for());
        keys.learn().await;
        assert!(!keys.is_asked_for());
        let stop = CancellationToken::new();
        let watching = tokio::spawn(Arc::clone(&keys).watch(stop.clone()));
        for name in ["one", "two"] {
            let text = KeyText::generate();
            let key = Key::new(name.parse().unwrap(), &text, Scope::Read, Timestamp::now());
            file.add(key).unwrap();
            let is_known = || {
                let verdict = keys.judge(Some(text.reveal().as_bytes()), Timestamp::now());
                matches!(verdict, Verdict::Known(_))
            };
            until(is_known).await;
            file.revoke(&name.parse().unwrap()).unwrap();
            until(|| !is_known()).await;
        }
        stop.cancel();
        timeout(PATIENCE, watching).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_folder_tells_of_a_change_once() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new().unwrap();
        folder.follow(&home.path().join("keys.json"));
        let quiet = timeout(Duration::from_millis(20), folder.changed());
        assert!(quiet.await.is_err());
        for _ in 0..2 {
            std::fs::write(home.path().join("keys.json"), "{}").unwrap();
            timeout(PATIENCE, folder.changed()).await.unwrap();
            let again = timeout(Duration::from_millis(20), folder.changed());
            assert!(again.await.is_err());
        }
    }
}
