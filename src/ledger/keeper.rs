//! The one task that uses the ledger's file.
//!
//! Requests that have come in together share one transaction, and so one wait for the disk. Responsible for that, for
//! telling those who follow a send, and for what to do while the file cannot be used: what must be on disk first is
//! refused, news of what has already happened is kept and written later. Lists are read beside it, by
//! [`readers`](super::store::readers), and only wait for it until the file is open.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use jiff::Timestamp;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Accepted, Failure, Followed, LedgerError, LedgerOptions, NewSend, Record, Step, Tally,
    clock::{self, Now, Timeline},
    disk::{Disk, Found, Late, Outcome},
    followers::Followers,
    notes::{self, Notes},
    store::{
        Checked, StoreError,
        readers::Readers,
        sends::{Changed, Entered},
    },
    trouble::{News, Trouble},
};

/// Requests that share a transaction; a commit takes as long for many as for one.
const BATCH: usize = 64;

/// From a commit that need not outlive a power cut to the moment when it would: as many as are made meanwhile share one
/// wait for the disk, and whoever is about to hand a message over seldom has to wait for that.
const SYNC_DELAY: Duration = Duration::from_millis(250);

/// Between two tries to write news that could not be written. A full disk is not freed within milliseconds.
const RETRY: Duration = Duration::from_secs(1);

/// How often what is too old is forgotten. Retention is set in hours.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// Between two batches of what is too old, when there is much of it: sends come first.
const FORGET_PAUSE: Duration = Duration::from_millis(100);

/// How often an idle service looks whether its file is still there: the operator who has moved it away by mistake should
/// read so in the log before the next send.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often the whole file is looked through for damage, beside the service. It reads all of it, so not often; a disk that
/// fails says so long before a week has passed.
const CHECK_EVERY: Duration = Duration::from_secs(6 * 3600);

/// Reads that are under way when the service stops end within milliseconds; the ledger has half a second.
const LAST_READS: Duration = Duration::from_millis(200);

/// From the removal of a text to its removal from the log as well: as many as are removed meanwhile go together.
const SCRUB_DELAY: Duration = Duration::from_secs(1);

/// What waits for its turn behind requests waits no longer: texts are to be gone within seconds.
const STARVED_AFTER: Duration = Duration::from_secs(2);

/// What the keeper can be asked for.
#[derive(Debug)]
pub(super) enum Request {
    Known {
        new: NewSend,
        reply: oneshot::Sender<Result<Option<Accepted>, LedgerError>>,
    },
    Accept {
        new: NewSend,
        reply: oneshot::Sender<Result<Accepted, LedgerError>>,
    },
    /// With a reply it has to be on disk first, and whoever asked learns whether it happened; without one it has happened
    /// already.
    Advance {
        key: String,
        step: Step,
        /// When it happened; `None`: when it is written.
        at: Option<Timestamp>,
        reply: Option<oneshot::Sender<Result<bool, LedgerError>>>,
    },
    Open {
        session: String,
        reply: oneshot::Sender<Result<Vec<Arc<Record>>, LedgerError>>,
    },
    Find {
        id: String,
        reply: oneshot::Sender<Result<Option<Followed>, LedgerError>>,
    },
    /// To open the file, if it is not open: for whoever reads it beside the keeper.
    Use {
        reply: oneshot::Sender<Result<(), LedgerError>>,
    },
    Close {
        reply: oneshot::Sender<()>,
    },
}

impl Request {
    /// Whether something is done on the strength of its being written.
    pub(super) const fn must_be_written(&self) -> bool {
        match self {
            Self::Accept { .. } | Self::Advance { reply: Some(_), .. } => true,
            Self::Known { .. }
            | Self::Advance { reply: None, .. }
            | Self::Open { .. }
            | Self::Find { .. }
            | Self::Use { .. }
            | Self::Close { .. } => false,
        }
    }

    /// Whether a power cut must not undo it once it is answered. It may undo a send that its caller waits for: no page
    /// gets one before a step that lasts, and none is answered before it.
    pub(super) fn must_last(&self) -> bool {
        match self {
            Self::Accept { new, .. } => new.is_durable,
            Self::Advance {
                key, step, reply, ..
            } => reply.is_some() || !step.can_be_found_out(key),
            Self::Known { .. }
            | Self::Open { .. }
            | Self::Find { .. }
            | Self::Use { .. }
            | Self::Close { .. } => false,
        }
    }
}

/// See the module.
pub struct Keeper {
    requests: mpsc::Receiver<Request>,
    /// What has happened since the disk was last used.
    notes: Notes,
    disk: Disk,
    readers: Readers,
    time: Timeline,
    /// Waits until no read is under way, for the log to be cut off.
    pause: Option<BoxFuture<'static, Option<OwnedSemaphorePermit>>>,
    /// A look through the whole file, beside the service.
    check: Option<JoinHandle<Result<Checked, StoreError>>>,
    /// News that is not on disk yet, oldest first.
    backlog: VecDeque<Late>,
    /// How much of it was lost, as too much waits, since the file could be used last.
    lost: usize,
    followers: Followers,
    /// What is tried again and again while the disk is full.
    using: Trouble,
    syncing: Trouble,
    scrubbing: Trouble,
    /// Who waits until the file is closed.
    closing: Vec<oneshot::Sender<()>>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper")
            .field("disk", &self.disk)
            .field("backlog", &self.backlog.len())
            .finish_non_exhaustive()
    }
}

impl Keeper {
    pub(super) fn new(
        options: LedgerOptions,
        requests: mpsc::Receiver<Request>,
        notes: Notes,
    ) -> Self {
        Self {
            requests,
            notes,
            readers: Readers::default(),
            time: Timeline::new(options.clock.clone()),
            pause: None,
            check: None,
            disk: Disk::new(options),
            backlog: VecDeque::new(),
            lost: 0,
            followers: Followers::default(),
            using: Trouble::default(),
            syncing: Trouble::default(),
            scrubbing: Trouble::default(),
            closing: Vec::new(),
        }
    }

    /// What it has written, counted.
    pub(super) const fn tally(&self) -> &Tally {
        self.disk.tally()
    }

    /// For those who read beside it.
    pub(super) const fn readers(&self) -> &Readers {
        &self.readers
    }

    /// Serves until it is told to close, or nobody is left to ask.
    pub async fn run(mut self) {
        let mut forget_at = Instant::now();
        let (mut retry_at, mut scrub_at, mut sync_at) = (forget_at, forget_at, forget_at);
        let mut look_at = forget_at + LOOK_EVERY;
        let mut check_at = forget_at + CHECK_EVERY;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            // Requests go before all of these; while they never stop coming, these have their turn here.
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
                // Before what is asked for: that may go on without a pause.
                () = sleep_until(sync_at), if self.disk.has_unsynced() => {
                    self.sync().await;
                    sync_at = Instant::now() + SYNC_DELAY;
                    continue;
                }
                received = self.requests.recv_many(&mut batch, BATCH) => is_over = received == 0,
                () = self.notes.arrived() => {}
                () = sleep_until(retry_at), if !self.backlog.is_empty() => {}
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
                    // A read that is under way keeps the log from being cut off: it is waited for, and writes go on.
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
            let is_last = batch
                .iter()
                .any(|request| matches!(request, Request::Close { .. }));
            // Taken after the requests were received: what had happened before one of them is written before it.
            let now = self.now();
            let mut requests = self.notes.take(now.at, Instant::now());
            requests.append(&mut batch);
            // Its notes may have been written together with a request before.
            if !requests.is_empty() || !self.backlog.is_empty() {
                self.serve(requests).await;
            }
            retry_at = Instant::now() + RETRY;
            if is_last {
                self.end().await;
                return;
            }
            if is_over {
                return;
            }
        }
    }

    /// Goes on with what had to wait for others and need not any more. Answers whether the log was cut off.
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

    /// Serves requests as one transaction, and tells of them after it. When it fails, all of them have failed.
    async fn serve(&mut self, batch: Vec<Request>) {
        if !self.disk.is_open() {
            // What it says of the time decides which keys are too old.
            self.on_disk(Disk::prepare).await;
        }
        let now = self.now();
        let backlog = std::mem::take(&mut self.backlog);
        let work = move |disk: &mut Disk| {
            let served = disk.serve(&backlog, &batch, now);
            (backlog, batch, served)
        };
        let Some((backlog, batch, served)) = self.on_disk(work).await else {
            return;
        };
        match served {
            Ok(outcomes) => {
                self.on_usable(backlog.len());
                for (request, outcome) in batch.into_iter().zip(outcomes) {
                    self.answer(request, outcome);
                }
            }
            Err(why) => {
                self.backlog = backlog;
                let error = self.on_unusable(&why);
                self.refuse(batch, &error, now.at);
            }
        }
    }

    /// The file cannot be used: says so once.
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

    /// The file can be used: says so when it could not be before.
    fn on_usable(&mut self, steps: usize) {
        if let News::Over(lasted) = self.using.after(&Ok::<_, StoreError>(()), Instant::now()) {
            tracing::info!(
                steps,
                "the ledger can be used again, after {} s",
                lasted.as_secs()
            );
        }
        if self.lost > 0 {
            tracing::error!(
                steps = std::mem::take(&mut self.lost),
                "news of sends was lost while the ledger could not be used"
            );
        }
    }

    /// The time that the ledger goes by; says when the machine's clock is another.
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

    /// Sees that the file is still there, and that its log does not grow for ever.
    async fn look(&mut self) {
        // A jump between two requests should be seen while it lasts.
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
                // What waits for the disk is written by the next batch, which says so.
                if self.backlog.is_empty() {
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

    /// Looks through the whole file, beside the service.
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
            // Its text may quote a message; the panic's own line has the place.
            Err(_panicked) => tracing::error!("the look through the ledger's file broke off"),
        }
    }

    /// Runs `work` where it may wait for the disk without holding anybody up. `None` when it panicked; those who asked
    /// are told by their dropped replies.
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
            // Its text may quote a message; the panic's own line has the place.
            Err(_panicked) => {
                tracing::error!("the ledger broke off");
                None
            }
        }
    }

    fn answer(&mut self, request: Request, outcome: Outcome) {
        match (request, outcome) {
            (Request::Accept { new, reply }, Outcome::Entered(Entered::New(_)))
                if new.accept_by <= Instant::now() =>
            {
                // The disk stood still while it was written, and its caller has been refused. Nobody else knows of it, and
                // this goes before whatever is asked next.
                let why = LedgerError::stands_still();
                self.notes
                    .push(&new.key, Step::Failed(Failure::NotWritten, why.to_string()));
                tell(reply, Err(why));
            }
            (Request::Accept { reply, .. }, Outcome::TooLate) => {
                tell(reply, Err(LedgerError::stands_still()));
            }
            (Request::Known { reply, .. }, Outcome::Known(entered)) => {
                let known = entered.map(|entered| self.accepted(entered));
                tell(reply, Ok(known));
            }
            (Request::Accept { reply, .. }, Outcome::Entered(entered)) => {
                let accepted = self.accepted(entered);
                tell(reply, Ok(accepted));
            }
            (Request::Advance { reply, .. }, Outcome::Advanced(changed)) => {
                let has_happened = changed.is_some();
                if let Some(Changed { record, .. }) = changed {
                    self.followers.publish(record);
                }
                if let Some(reply) = reply {
                    tell(reply, Ok(has_happened));
                }
            }
            (Request::Open { reply, .. }, Outcome::Many(records)) => {
                tell(reply, Ok(records.into_iter().map(Arc::new).collect()));
            }
            (Request::Use { reply }, _) => tell(reply, Ok(())),
            (Request::Find { reply, .. }, Outcome::One(record)) => {
                let followed = record.map(|record| self.followers.follow(record));
                tell(reply, Ok(followed));
            }
            (Request::Close { reply }, _) => self.closing.push(reply),
            (
                Request::Known { .. }
                | Request::Accept { .. }
                | Request::Advance { .. }
                | Request::Open { .. }
                | Request::Find { .. },
                _,
            ) => tracing::error!("the ledger gave an answer that does not fit its question"),
        }
    }

    /// The file cannot be used: whatever has to be on disk is refused, and what has happened is told and kept.
    fn refuse(&mut self, batch: Vec<Request>, error: &LedgerError, at: Timestamp) {
        let lost_before = self.lost;
        for request in batch {
            match request {
                Request::Known { reply, .. } => tell(reply, Err(error.clone())),
                Request::Accept { reply, .. } => tell(reply, Err(error.clone())),
                Request::Advance {
                    reply: Some(reply), ..
                } => tell(reply, Err(error.clone())),
                Request::Advance {
                    key,
                    step,
                    at: happened,
                    reply: None,
                } => self.put_off(key, step, happened.unwrap_or(at)),
                Request::Open { reply, .. } => tell(reply, Err(error.clone())),
                Request::Use { reply } => tell(reply, Err(error.clone())),
                Request::Find { reply, .. } => tell(reply, Err(error.clone())),
                Request::Close { reply } => self.closing.push(reply),
            }
        }
        if lost_before == 0 && self.lost > 0 {
            tracing::error!(
                steps = self.lost,
                "news of sends is lost: {} steps wait for the disk (DATA_DIR) already; what was sent is looked up when a session is READY the next time",
                notes::CAPACITY
            );
        }
    }

    fn put_off(&mut self, key: String, step: Step, at: Timestamp) {
        self.followers.tell(&key, &step, at);
        if self.backlog.len() >= notes::CAPACITY {
            self.lost += 1;
            return;
        }
        self.backlog.push_back(Late { key, step, at });
    }

    fn accepted(&mut self, entered: Entered) -> Accepted {
        match entered {
            Entered::New(record) => Accepted::New(self.followers.follow(record)),
            Entered::Known(record) => Accepted::Known(self.followers.follow(record)),
            Entered::KeyReused => Accepted::KeyReused,
        }
    }

    /// Forgets what is too old, and those whom nobody follows. Answers when to do so again.
    async fn forget(&mut self) -> Duration {
        self.followers.forget();
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
                // Nothing is the matter but that the file cannot be used, which is said for itself.
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
        self.notes.close();
        if let Some(stamp) = self.time.stamp() {
            self.on_disk(move |disk| disk.leave(stamp)).await;
        }
        for Late { key, .. } in &self.backlog {
            tracing::error!(
                message.key = key,
                "news of a send is lost: the ledger could not be written to the end"
            );
        }
        // The connection that is closed last empties the log, and only the one that writes can.
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

/// Waits for what is under way, and forgets it then; for ever when nothing is.
async fn done<F: Future + Unpin>(under_way: &mut Option<F>) -> F::Output {
    let Some(work) = under_way else {
        return std::future::pending().await;
    };
    let output = work.await;
    *under_way = None;
    output
}

/// Answers whoever asked. One that has gone away wants no answer.
fn tell<T>(reply: oneshot::Sender<T>, outcome: T) {
    drop(reply.send(outcome));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{
        SendState,
        tests::{options, send},
    };

    #[tokio::test]
    async fn a_send_that_is_on_disk_too_late_for_its_caller_is_taken_back_before_anything_else() {
        let folder = tempfile::tempdir().unwrap();
        let (_requests, received) = mpsc::channel(1);
        let mut keeper = Keeper::new(options(folder.path()), received, Notes::default());
        let now = keeper.now();
        let accept = |new| {
            let (reply, answer) = oneshot::channel();
            (Request::Accept { new, reply }, answer)
        };
        let (in_time, _) = accept(send("3EB0A"));
        let nothing_late = Vec::<Late>::new();
        let outcomes = keeper.disk.serve(&nothing_late, &[in_time], now).unwrap();
        let (late, answer) = accept(NewSend {
            accept_by: Instant::now(),
            ..send("3EB0A")
        });
        keeper.answer(late, outcomes.into_iter().next().unwrap());
        assert!(answer.await.unwrap().is_err());

        let (reply, answer) = oneshot::channel();
        let id = "3EB0A".to_owned();
        let mut next = keeper.notes.take(now.at, Instant::now());
        next.push(Request::Find { id, reply });
        keeper.serve(next).await;
        let found = answer.await.unwrap().unwrap().unwrap();
        let record = found.borrow();
        assert_eq!(
            (record.state, record.failure),
            (SendState::Failed, Some(Failure::NotWritten))
        );
    }
}
