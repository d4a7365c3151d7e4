//! The one task that writes the ledger's file.
//!
//! Jobs that came in together share one transaction, and so one wait for the disk (group commit). The keeper is responsible
//! for that, for the work that the file needs in between (sync, scrub, forget, check), and for what happens while the file
//! cannot be used: a job whose caller needs it on disk is refused, and a step that has already happened is kept and written
//! later. What each job does is in [`job`]. Lists are read on other connections, by [`readers`](super::store::readers); they
//! wait for the keeper only until the file is open.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use super::{
    clock::{self, Now, Timeline},
    disk::{Disk, Found, LedgerOptions},
    error::LedgerError,
    job::{self, Job, Memory, tell},
    notes::{self, Noted, Notes},
    store::{Checked, StoreError, readers::Readers},
    tally::Tally,
    trouble::{News, Trouble},
};

/// Requests that share a transaction; a commit takes as long for many as for one.
const BATCH: usize = 64;

/// From a commit that a power cut may undo to the sync that makes it last. All commits of this time share one wait for the
/// disk, and a session that is about to hand a message over seldom has to wait for that sync.
const SYNC_DELAY: Duration = Duration::from_millis(250);

/// Between two tries to write the backlog. A full disk is not freed within milliseconds.
const RETRY: Duration = Duration::from_secs(1);

/// How often old texts and sends are deleted. Retention is set in hours.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// Between two batches of deletions, when there are many: new sends come first.
const FORGET_PAUSE: Duration = Duration::from_millis(100);

/// How often an idle service checks that its file is still there: an operator who has moved it away by mistake should read
/// so in the log before the next send fails.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often the whole file is checked for damage while the service goes on. A check reads the whole file, so it is rare; four
/// times a day is often enough to find the damage of a failing disk early.
const CHECK_EVERY: Duration = Duration::from_secs(6 * 3600);

/// How long the end of the service waits for reads under way. They end within milliseconds; the service gives the ledger half
/// a second to close.
const LAST_READS: Duration = Duration::from_millis(200);

/// From the removal of a text to its removal from the write-ahead log. All texts of this time go together.
const SCRUB_DELAY: Duration = Duration::from_secs(1);

/// Requests go before all other work. If they never pause, other work waits this long and then has its turn: a text must be
/// gone within seconds.
const STARVED_AFTER: Duration = Duration::from_secs(2);

/// What a caller can ask of the keeper.
pub(super) enum Request {
    /// To serve this job, together with those that came at the same time.
    Serve(Job),
    /// To close the file and end, after all jobs that came before.
    Close(oneshot::Sender<()>),
}

/// The task that writes the file. See the module.
pub struct Keeper {
    requests: mpsc::Receiver<Request>,
    memory: Memory,
    disk: Disk,
    readers: Readers,
    time: Timeline,
    /// Waits until no read is under way: only then can the log be cut off.
    pause: Option<BoxFuture<'static, Option<OwnedSemaphorePermit>>>,
    /// A check of the whole file that runs while the service goes on.
    check: Option<JoinHandle<Result<Checked, StoreError>>>,
    /// What is tried repeatedly while the disk is full: each is logged once when it begins to fail and once when it works.
    using: Trouble,
    syncing: Trouble,
    scrubbing: Trouble,
    /// Callers that wait until the file is closed.
    closing: Vec<oneshot::Sender<()>>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper")
            .field("disk", &self.disk)
            .field("backlog", &self.memory.backlog.len())
            .finish_non_exhaustive()
    }
}

impl Keeper {
    pub(super) fn new(
        options: LedgerOptions,
        requests: mpsc::Receiver<Request>,
        notes: Notes,
    ) -> Self {
        let time = Timeline::new(options.clock.clone());
        let disk = Disk::new(options);
        Self {
            requests,
            memory: Memory {
                notes,
                tally: disk.tally().clone(),
                ..Memory::default()
            },
            readers: Readers::default(),
            time,
            pause: None,
            check: None,
            disk,
            using: Trouble::default(),
            syncing: Trouble::default(),
            scrubbing: Trouble::default(),
            closing: Vec::new(),
        }
    }

    /// Counts of what it has written.
    pub(super) const fn tally(&self) -> &Tally {
        &self.memory.tally
    }

    /// Changes with every event that is written down.
    pub(super) fn newest_event(&self) -> watch::Receiver<i64> {
        self.memory.newest_event.subscribe()
    }

    /// The connections for reads beside the keeper.
    pub(super) const fn readers(&self) -> &Readers {
        &self.readers
    }

    /// Serves until it is told to close, or until no [`Ledger`](super::Ledger) is left that could ask.
    pub async fn run(mut self) {
        let mut forget_at = Instant::now();
        let (mut retry_at, mut scrub_at, mut sync_at) = (forget_at, forget_at, forget_at);
        let mut look_at = forget_at + LOOK_EVERY;
        let mut check_at = forget_at + CHECK_EVERY;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            // The `select!` below takes requests first. While requests never stop coming, the other work has its turn here.
            let starved = Instant::now();
            if forget_at + STARVED_AFTER <= starved {
                forget_at = starved + self.forget().await;
            }
            if look_at + STARVED_AFTER <= starved {
                look_at = starved + LOOK_EVERY;
                self.look().await;
            }
            if self.check.is_none() && check_at + STARVED_AFTER <= starved {
                check_at = starved + CHECK_EVERY;
                self.begin_check();
            }
            if self.pause.is_none()
                && self.disk.has_stale_texts()
                && scrub_at + STARVED_AFTER <= starved
            {
                self.pause = Some(self.readers.pause().boxed());
            }
            if self.finish_what_is_done().await {
                scrub_at = Instant::now() + SCRUB_DELAY;
            }
            let mut is_over = false;
            tokio::select! {
                biased;
                // Before the requests: they may never pause, and a power cut must not undo more than SYNC_DELAY.
                () = sleep_until(sync_at), if self.disk.has_unsynced() => {
                    self.sync().await;
                    sync_at = Instant::now() + SYNC_DELAY;
                    continue;
                }
                received = self.requests.recv_many(&mut batch, BATCH) => is_over = received == 0,
                () = self.memory.notes.arrived() => {}
                () = sleep_until(retry_at), if self.memory.has_unwritten() => {}
                () = sleep_until(forget_at) => {
                    let pause = self.forget().await;
                    forget_at = Instant::now() + pause;
                    scrub_at = Instant::now();
                    continue;
                }
                () = sleep_until(look_at) => {
                    look_at = Instant::now() + LOOK_EVERY;
                    self.look().await;
                    continue;
                }
                () = sleep_until(check_at), if self.check.is_none() => {
                    check_at = Instant::now() + CHECK_EVERY;
                    self.begin_check();
                    continue;
                }
                checked = done(&mut self.check) => {
                    self.on_checked(checked).await;
                    continue;
                }
                paused = done(&mut self.pause) => {
                    self.scrub().await;
                    drop(paused);
                    scrub_at = Instant::now() + SCRUB_DELAY;
                    continue;
                }
                () = sleep_until(scrub_at), if self.disk.has_stale_texts() && self.pause.is_none() => {
                    // SQLite cannot cut the log off while a read uses it. The pause waits for reads, and writes go on.
                    self.pause = Some(self.readers.pause().boxed());
                    continue;
                }
            }
            if !self.disk.has_unsynced() {
                sync_at = Instant::now() + SYNC_DELAY;
            }
            if !self.disk.has_stale_texts() {
                scrub_at = Instant::now() + SCRUB_DELAY;
            }
            let jobs = self.take_jobs(&mut batch);
            // The notes that woke it may have been written together with an earlier job.
            if !jobs.is_empty() || !self.memory.backlog.is_empty() {
                self.serve(jobs).await;
            }
            retry_at = Instant::now() + RETRY;
            if !self.closing.is_empty() {
                self.end().await;
                return;
            }
            if is_over {
                return;
            }
        }
    }

    /// Finishes a check or a pause that is complete by now. Answers whether the log was cut off.
    async fn finish_what_is_done(&mut self) -> bool {
        if let Some(checked) = done(&mut self.check).now_or_never() {
            self.on_checked(checked).await;
        }
        let Some(paused) = done(&mut self.pause).now_or_never() else {
            return false;
        };
        self.scrub().await;
        drop(paused);
        true
    }

    /// The jobs that share the next transaction: the notes first, then what was asked. The notes are taken after the requests
    /// were received, so a step that happened before a request is written before that request is served.
    fn take_jobs(&mut self, batch: &mut Vec<Request>) -> Vec<Job> {
        let now = self.now();
        let notes = self.memory.notes.take(now.at, Instant::now());
        let mut jobs: Vec<_> = notes.into_iter().map(job::note).collect();
        let unwritten = std::mem::take(&mut self.memory.unwritten);
        let events = unwritten.into_iter().chain(self.memory.notes.take_events());
        jobs.extend(events.map(|event| job::note_event(Arc::new(event))));
        for request in batch.drain(..) {
            match request {
                Request::Serve(job) => jobs.push(job),
                Request::Close(reply) => self.closing.push(reply),
            }
        }
        jobs
    }

    /// Serves jobs as one transaction, and settles them after it. When it fails, all of them have failed.
    async fn serve(&mut self, mut jobs: Vec<Job>) {
        if !self.disk.is_open() {
            // What the file says of the time decides which keys are too old.
            self.on_disk(Disk::prepare).await;
        }
        let now = self.now();
        let backlog = std::mem::take(&mut self.memory.backlog);
        let work = move |disk: &mut Disk| {
            let served = disk.serve(&backlog, &mut jobs, now);
            (backlog, jobs, served)
        };
        let Some((backlog, jobs, served)) = self.on_disk(work).await else {
            return;
        };
        let committed = match served {
            Ok(()) => {
                self.on_usable(backlog.len());
                Ok(())
            }
            Err(why) => {
                self.memory.backlog = backlog;
                Err(self.on_unusable(&why))
            }
        };
        let lost_before = self.memory.lost;
        for job in jobs {
            job.settle(committed.clone(), &mut self.memory);
        }
        if lost_before == 0 && self.memory.lost > 0 {
            tracing::error!(
                steps = self.memory.lost,
                "news of sends is lost: {} steps wait for the disk (DATA_DIR) already; what was sent is looked up when a session is READY the next time",
                notes::CAPACITY
            );
        }
    }

    /// The file cannot be used: logs it once.
    fn on_unusable(&mut self, why: &StoreError) -> LedgerError {
        let error = LedgerError(why.to_string());
        match self.using.after(&Err(&error), Instant::now()) {
            News::Begun(_) => {
                tracing::error!(error = %why, "the ledger cannot be used: {why}. Nothing is sent until it can be");
            }
            News::Over(_) | News::None => {
                tracing::debug!(error = %why, "the ledger still cannot be used: {why}");
            }
        }
        error
    }

    /// The file can be used: logs it if the file could not be used before.
    fn on_usable(&mut self, steps: usize) {
        if let News::Over(lasted) = self.using.after(&Ok::<_, StoreError>(()), Instant::now()) {
            tracing::info!(
                steps,
                "the ledger can be used again, after {} s",
                lasted.as_secs()
            );
        }
        if self.memory.lost > 0 {
            tracing::error!(
                steps = std::mem::take(&mut self.memory.lost),
                "news of sends was lost while the ledger could not be used"
            );
        }
    }

    /// The ledger's time. Logs it when the machine's clock shows another time.
    fn now(&mut self) -> Now {
        let now = self.time.now();
        match self.time.take_step() {
            clock::Step::None => {}
            clock::Step::Jumped(by) => tracing::warn!(
                "the clock of this machine has jumped by {} s: the ledger goes on by its own time, and forgets only what is too old by both",
                by.as_secs()
            ),
            clock::Step::Back => tracing::info!("the clock of this machine is right again"),
            clock::Step::Believed => {
                tracing::info!(
                    "the clock of this machine has held its new time: the ledger goes by it now"
                );
            }
        }
        now
    }

    /// Checks that the file is still there, and that its log does not grow without limit.
    async fn look(&mut self) {
        // The timeline must see a clock jump while it lasts, also when no request comes.
        self.now();
        let in_trouble = self.using.lasts();
        let Some((looked, has_a_long_log)) = self
            .on_disk(move |disk| (disk.look(in_trouble), disk.has_a_long_log()))
            .await
        else {
            return;
        };
        match looked {
            Ok(false) => {}
            Ok(true) => {
                // If something waits to be written, the next batch writes it and then logs that the file can be used.
                if !self.memory.has_unwritten() {
                    self.on_usable(0);
                }
            }
            Err(why) => {
                self.on_unusable(&why);
            }
        }
        if has_a_long_log && self.pause.is_none() {
            self.pause = Some(self.readers.pause().boxed());
        }
    }

    /// Starts a check of the whole file that runs while the service goes on.
    fn begin_check(&mut self) {
        let readers = self.readers.clone();
        self.check = Some(tokio::task::spawn_blocking(move || readers.check()));
    }

    async fn on_checked(
        &mut self,
        checked: Result<Result<Checked, StoreError>, tokio::task::JoinError>,
    ) {
        match checked {
            Ok(Ok(Checked::Whole)) => tracing::debug!("the ledger's file is whole"),
            Ok(Ok(Checked::InPart)) => {
                tracing::debug!("there was no time to look through all of the ledger's file");
            }
            Ok(Err(why)) if why.is_final() => {
                self.on_unusable(&why);
                self.on_disk(move |disk| disk.on_damage(&why)).await;
            }
            Ok(Err(why)) => {
                tracing::debug!(error = %why, "the ledger's file was not looked through: {why}");
            }
            // The text of a panic may quote a message, so it is not logged here; the panic's own line has the place.
            Err(_panicked) => tracing::error!("the look through the ledger's file broke off"),
        }
    }

    /// Runs `work` on a thread where it may wait for the disk without delaying other tasks. `None`: it panicked. The callers
    /// of its jobs learn that from their dropped replies, and the file is opened again by the next use.
    async fn on_disk<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Disk) -> T + Send + 'static,
    ) -> Option<T> {
        let blank = self.disk.closed();
        let mut disk = std::mem::replace(&mut self.disk, blank);
        let worked = tokio::task::spawn_blocking(move || {
            let outcome = work(&mut disk);
            (disk, outcome)
        });
        match worked.await {
            Ok((disk, outcome)) => {
                self.disk = disk;
                self.readers.set(self.disk.open_file());
                if let Some(Found { stamp, newest }) = self.disk.take_found() {
                    self.time.on_opened(stamp, newest);
                }
                if self.disk.take_unchecked() && self.check.is_none() {
                    self.begin_check();
                }
                Some(outcome)
            }
            // The text of a panic may quote a message, so it is not logged here; the panic's own line has the place.
            Err(_panicked) => {
                tracing::error!("the ledger broke off");
                None
            }
        }
    }

    /// Deletes texts and sends that are too old, and drops followers without a receiver. Answers when to do so again.
    async fn forget(&mut self) -> Duration {
        self.memory.followers.forget();
        let (now, stamp) = (self.now(), self.time.stamp());
        let work = move |disk: &mut Disk| {
            let forgotten = disk.forget(now);
            if let Some(stamp) = stamp {
                disk.leave(stamp);
            }
            forgotten
        };
        match self.on_disk(work).await {
            Some(Ok(true)) => FORGET_PAUSE,
            Some(Ok(false)) | None => FORGET_EVERY,
            Some(Err(why)) => {
                // The deletions wait until the file can be used.
                self.on_unusable(&why);
                FORGET_EVERY
            }
        }
    }

    async fn sync(&mut self) {
        let Some(synced) = self.on_disk(Disk::sync).await else {
            return;
        };
        match self.syncing.after(&synced, Instant::now()) {
            News::Begun(why) => {
                tracing::warn!(error = %why, "the last news of the ledger may not outlive a power cut: {why}; it is tried again until it does");
            }
            News::Over(lasted) => tracing::info!(
                "the news of the ledger outlives a power cut again, after {} s",
                lasted.as_secs()
            ),
            News::None => {}
        }
    }

    async fn scrub(&mut self) {
        let Some(scrubbed) = self.on_disk(Disk::scrub).await else {
            return;
        };
        match self.scrubbing.after(&scrubbed, Instant::now()) {
            News::Begun(why) => {
                tracing::warn!(error = %why, "texts that were removed are still in the ledger's log: {why}; it is tried again until they are not");
            }
            News::Over(lasted) => tracing::info!(
                "texts that were removed are gone from the ledger's log, after {} s",
                lasted.as_secs()
            ),
            News::None => {}
        }
    }

    /// Closes the file, which empties its log.
    async fn end(mut self) {
        self.memory.notes.close();
        if let Some(stamp) = self.time.stamp() {
            self.on_disk(move |disk| disk.leave(stamp)).await;
        }
        for Noted { key, .. } in &self.memory.backlog {
            tracing::error!(
                message.key = key,
                "news of a send is lost: the ledger could not be written to the end"
            );
        }
        if !self.memory.unwritten.is_empty() {
            tracing::error!(
                events = self.memory.unwritten.len(),
                "events of sessions are lost: the ledger could not be written to the end"
            );
        }
        // SQLite empties the log when the last connection is closed, and only the connection that writes can do that: so reads
        // must end before it.
        self.readers.set(None);
        let reads_are_over = timeout(LAST_READS, self.readers.pause()).await;
        if reads_are_over.is_err() {
            tracing::debug!("a read of the ledger has not ended in time");
        }
        let blank = self.disk.closed();
        let disk = std::mem::replace(&mut self.disk, blank);
        let dropped = tokio::task::spawn_blocking(move || drop(disk)).await;
        if dropped.is_err() {
            tracing::error!("the ledger broke off");
        }
        for reply in self.closing {
            tell(reply, ());
        }
    }
}

/// Waits for the work that is under way, and clears it then. Never resolves while there is none.
async fn done<F: Future + Unpin>(under_way: &mut Option<F>) -> F::Output {
    let Some(work) = under_way else {
        return std::future::pending().await;
    };
    let output = work.await;
    *under_way = None;
    output
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::ledger::{
        Failure, NewSend, SendState,
        tests::{options, send},
    };

    #[tokio::test(start_paused = true)]
    async fn a_send_that_is_on_disk_too_late_for_its_caller_is_taken_back_before_anything_else() {
        let folder = tempfile::tempdir().unwrap();
        let (_requests, received) = mpsc::channel(1);
        let mut keeper = Keeper::new(options(folder.path()), received, Notes::default());
        let now = keeper.now();
        let new = NewSend {
            accept_by: Instant::now() + Duration::from_secs(1),
            ..send("3EB0A")
        };
        let (reply, answer) = oneshot::channel();
        let mut jobs = vec![job::accept(new, reply)];
        let nothing_late = VecDeque::new();
        keeper.disk.serve(&nothing_late, &mut jobs, now).unwrap();
        // The commit took this long.
        tokio::time::advance(Duration::from_secs(1)).await;
        for job in jobs {
            job.settle(Ok(()), &mut keeper.memory);
        }
        assert!(answer.await.unwrap().is_err());

        let (reply, answer) = oneshot::channel();
        let id = "3EB0A".to_owned();
        let mut batch = vec![Request::Serve(job::find(id, reply))];
        let next = keeper.take_jobs(&mut batch);
        keeper.serve(next).await;
        let found = answer.await.unwrap().unwrap().unwrap();
        let record = found.borrow();
        assert_eq!(
            (record.state, record.failure),
            (SendState::Failed, Some(Failure::NotWritten))
        );
    }
}
