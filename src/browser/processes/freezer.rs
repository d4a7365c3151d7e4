//! A Chrome stopped for a moment, so that its profile stands still while it is copied.
//!
//! ```text
//!  freeze: SIGSTOP to the group ──▶ every thread of it stands still ──▶ Frozen ──thaw, drop, limit, close──▶ SIGCONT
//! ```
//!
//! A stopped group writes nothing, so its files are what a SIGKILL in this moment would have left. Invariant: it goes on whatever
//! happens: when what stopped it is done, fails or panics; when the limit is over, by a thread that waits for no disk; when Chrome is
//! closed. If the service is killed meanwhile, the next one ends the Chrome (`leftovers`): SIGKILL ends stopped processes too.

use std::{
    io,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::process::{Freezes, Group};
use crate::browser::procfs;

/// Threads stop within a millisecond, but for one that waits for a disk.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// The thread of a limit only waits.
const THREAD_STACK: usize = 64 * 1024;

/// Can stop one Chrome for a moment.
#[derive(Clone, Debug)]
pub struct Freezer {
    group: Group,
    freezes: watch::Receiver<Freezes>,
}

impl Freezer {
    pub(super) fn of(group: Group) -> Self {
        let freezes = group.freezes();
        Self { group, freezes }
    }

    /// Stops all processes of the group, and waits until they stand still. Blocks its thread, for `limit` at most; they go on
    /// once that is over.
    pub(in crate::browser) fn freeze(&self, limit: Duration) -> io::Result<Frozen> {
        let since = Instant::now();
        let number = self.group.freeze()?;
        let (done, is_done) = mpsc::channel();
        // From here on they go on when this is dropped.
        let frozen = Frozen {
            group: self.group.clone(),
            number,
            since,
            _done: done,
        };
        let group = self.group.clone();
        thread::Builder::new()
            .name("freeze".to_owned())
            .stack_size(THREAD_STACK)
            .spawn(move || {
                if is_done.recv_timeout(limit) == Err(RecvTimeoutError::Timeout)
                    && group.thaw(Some(number))
                {
                    tracing::warn!(
                        chrome.pid = group.number(),
                        "Chrome was stopped for a copy of its profile, and goes on without one: it took too long"
                    );
                }
            })?;
        while !procfs::group_stands_still(self.group.number()) {
            if !frozen.holds() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            thread::sleep(LOOK_INTERVAL);
        }
        Ok(frozen)
    }

    /// Lets them go on when the guard is dropped, whatever they are stopped for.
    pub(in crate::browser) fn thaws_when_dropped(self) -> ThawOnDrop {
        ThawOnDrop(self.group)
    }

    /// How often it has been stopped so far. Waits until it is not.
    pub async fn thawed(&self) -> u64 {
        let mut freezes = self.freezes.clone();
        // The other end lives as long as this.
        let thawed = freezes.wait_for(|freezes| !freezes.is_frozen).await;
        thawed.map_or(0, |freezes| freezes.count)
    }

    /// The same, at once.
    pub fn count(&self) -> u64 {
        self.freezes.borrow().count
    }
}

/// A Chrome that stands still.
#[derive(Debug)]
pub(in crate::browser) struct Frozen {
    group: Group,
    number: u64,
    since: Instant,
    /// The thread that waits for the limit ends with this.
    _done: mpsc::Sender<()>,
}

impl Frozen {
    /// Whether it still does.
    pub(in crate::browser) fn holds(&self) -> bool {
        let now = *self.group.freezes().borrow();
        now.is_frozen && now.count == self.number
    }

    /// Lets it go on. Answers for how long it stood still, if it did until now.
    pub(in crate::browser) fn thaw(self) -> Option<Duration> {
        let was_frozen = self.group.thaw(Some(self.number));
        was_frozen.then(|| self.since.elapsed())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.group.thaw(Some(self.number));
    }
}

/// See [`Freezer::thaws_when_dropped`].
#[derive(Debug)]
pub(in crate::browser) struct ThawOnDrop(Group);

impl Drop for ThawOnDrop {
    fn drop(&mut self) {
        self.0.thaw(None);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::browser::{Closed, processes::process::Process};

    /// Two processes of one group, which write to a file as fast as they can.
    async fn writers(file: &Path) -> Process {
        let write = format!("while :; do echo x >> '{}'; done", file.display());
        let script = format!("({write}) & {write}");
        let arguments = ["-c".into(), script.into()];
        let started = Process::start_driven(Path::new("/bin/sh"), &arguments, None, ());
        let (process, _pipe) = started.await.unwrap();
        grows(file);
        process
    }

    fn size(file: &Path) -> u64 {
        fs::metadata(file).map_or(0, |file| file.len())
    }

    /// Waits until something has been written.
    fn grows(file: &Path) {
        let (before, until) = (size(file), Instant::now() + Duration::from_secs(20));
        while size(file) == before {
            assert!(Instant::now() < until, "nothing is written");
            thread::sleep(LOOK_INTERVAL);
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    /// A crowded machine takes tenths of a second until every thread has stopped.
    const SHORT: Duration = Duration::from_secs(2);

    #[tokio::test(flavor = "multi_thread")]
    async fn a_group_that_is_stopped_writes_nothing_until_it_goes_on() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("written");
        let process = writers(&file).await;
        let freezer = process.freezer();
        for _ in 0..20 {
            let frozen = freezer.freeze(LONG).unwrap();
            let before = size(&file);
            assert!(freezer.freeze(LONG).is_err(), "it is stopped already");
            // What is not stopped writes a thousand lines in this time.
            thread::sleep(20 * LOOK_INTERVAL);
            assert!(frozen.holds() && size(&file) == before);
            assert!(frozen.thaw().unwrap() >= 20 * LOOK_INTERVAL);
            grows(&file);
        }
        assert_eq!((freezer.count(), freezer.thawed().await), (20, 20));
        assert_eq!(
            process.close(None::<std::future::Ready<()>>).await,
            Closed::Terminated
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_goes_on_when_its_time_is_over_or_when_what_stopped_it_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("written");
        let process = writers(&file).await;
        let freezer = process.freezer();
        let frozen = freezer.freeze(SHORT).unwrap();
        grows(&file);
        assert_eq!(frozen.thaw(), None, "it has gone on before");
        drop(freezer.freeze(LONG).unwrap());
        grows(&file);
        let frozen = freezer.freeze(LONG).unwrap();
        let caller = freezer.clone().thaws_when_dropped();
        drop(caller);
        grows(&file);
        assert!(!frozen.holds());
        let panicked = thread::spawn(move || {
            let _frozen = freezer.freeze(LONG).unwrap();
            panic!("in the midst of a copy");
        });
        panicked.join().unwrap_err();
        grows(&file);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_that_is_stopped_is_closed_in_order_all_the_same() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("written");
        let process = writers(&file).await;
        let frozen = process.freezer().freeze(LONG).unwrap();
        let closed = process.close(None::<std::future::Ready<()>>).await;
        assert_eq!(closed, Closed::Terminated);
        assert_eq!(frozen.thaw(), None);
    }
}
