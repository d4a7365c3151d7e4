//! The one task that uses the ledger's file.
//!
//! Requests that have come in together share one transaction, and so one wait for the disk. Responsible for that, for
//! telling those who follow a send, and for what to do while the file cannot be used: what must be on disk first is
//! refused, news of what has already happened is kept and written later.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    Accepted, Followed, LedgerError, LedgerOptions, NewSend, Query, Record, Step, Tally,
    disk::{Disk, Late, Outcome},
    followers::Followers,
    notes::Notes,
    store::{
        StoreError,
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

/// News kept while the file cannot be used. Nothing new is handed over then, so only what was open before makes any.
const BACKLOG_CAPACITY: usize = 10_000;

/// How often what is too old is forgotten. Retention is set in hours.
const FORGET_EVERY: Duration = Duration::from_secs(60);

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
    List {
        query: Query,
        reply: oneshot::Sender<Result<Vec<Arc<Record>>, LedgerError>>,
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
            | Self::List { .. }
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
            | Self::List { .. }
            | Self::Close { .. } => false,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Keeper {
    requests: mpsc::Receiver<Request>,
    /// What has happened since the disk was last used.
    notes: Notes,
    disk: Disk,
    /// News that is not on disk yet, oldest first.
    backlog: VecDeque<Late>,
    followers: Followers,
    /// What is tried again and again while the disk is full.
    using: Trouble,
    syncing: Trouble,
    scrubbing: Trouble,
    /// Who waits until the file is closed.
    closing: Vec<oneshot::Sender<()>>,
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
            disk: Disk::new(options),
            backlog: VecDeque::new(),
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

    /// Serves until it is told to close, or nobody is left to ask.
    pub async fn run(mut self) {
        let mut forget_at = Instant::now();
        let (mut retry_at, mut scrub_at, mut sync_at) = (forget_at, forget_at, forget_at);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            // Requests go before these two; while they never stop coming, these have their turn here.
            let starved = Instant::now();
            if forget_at + STARVED_AFTER <= starved {
                forget_at = starved + FORGET_EVERY;
                self.forget().await;
            }
            if self.disk.has_stale_texts() && scrub_at + STARVED_AFTER <= starved {
                scrub_at = starved + SCRUB_DELAY;
                self.scrub().await;
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
                    forget_at = Instant::now() + FORGET_EVERY;
                    self.forget().await;
                    scrub_at = Instant::now();
                    continue;
                }
                () = sleep_until(scrub_at), if self.disk.has_stale_texts() => {
                    self.scrub().await;
                    scrub_at = Instant::now() + SCRUB_DELAY;
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
            let mut requests = self.notes.take();
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

    /// Serves requests as one transaction, and tells of them after it. When it fails, all of them have failed.
    async fn serve(&mut self, batch: Vec<Request>) {
        let now = Timestamp::now();
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
                if let News::Over(lasted) =
                    self.using.after(&Ok::<_, StoreError>(()), Instant::now())
                {
                    tracing::info!(
                        steps = backlog.len(),
                        "the ledger can be used again, after {} s",
                        lasted.as_secs()
                    );
                }
                for (request, outcome) in batch.into_iter().zip(outcomes) {
                    self.answer(request, outcome);
                }
            }
            Err(why) => {
                self.backlog = backlog;
                let error = LedgerError(why.to_string());
                match self.using.after(&Err(&error), Instant::now()) {
                    News::Begun(_) => {
                        tracing::error!(error = %why, "the ledger cannot be used: {why}; nothing is sent until it can (DATA_DIR)");
                    }
                    News::Over(_) | News::None => {
                        tracing::debug!(error = %why, "the ledger still cannot be used: {why}");
                    }
                }
                self.refuse(batch, &error, Timestamp::now());
            }
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
                Some(outcome)
            }
            Err(why) => {
                tracing::error!(error = %why, "the ledger broke off: {why}");
                None
            }
        }
    }

    fn answer(&mut self, request: Request, outcome: Outcome) {
        match (request, outcome) {
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
            (Request::Open { reply, .. } | Request::List { reply, .. }, Outcome::Many(records)) => {
                tell(reply, Ok(records.into_iter().map(Arc::new).collect()));
            }
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
                | Request::List { .. }
                | Request::Find { .. },
                _,
            ) => tracing::error!("the ledger gave an answer that does not fit its question"),
        }
    }

    /// The file cannot be used: whatever has to be on disk is refused, and what has happened is told and kept.
    fn refuse(&mut self, batch: Vec<Request>, error: &LedgerError, at: Timestamp) {
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
                Request::Open { reply, .. } | Request::List { reply, .. } => {
                    tell(reply, Err(error.clone()));
                }
                Request::Find { reply, .. } => tell(reply, Err(error.clone())),
                Request::Close { reply } => self.closing.push(reply),
            }
        }
    }

    fn put_off(&mut self, key: String, step: Step, at: Timestamp) {
        self.followers.tell(&key, &step, at);
        if self.backlog.len() >= BACKLOG_CAPACITY {
            tracing::error!(
                message.key = key,
                "news of a send is lost: too much waits for the disk"
            );
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

    /// Forgets what is too old, and those whom nobody follows.
    async fn forget(&mut self) {
        self.followers.forget();
        if let Some(Err(why)) = self.on_disk(Disk::forget).await {
            tracing::warn!(error = %why, "what is too old could not be removed from the ledger: {why}");
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
        for Late { key, .. } in &self.backlog {
            tracing::error!(
                message.key = key,
                "news of a send is lost: the ledger could not be written to the end"
            );
        }
        let blank = self.disk.closed();
        let disk = std::mem::replace(&mut self.disk, blank);
        if let Err(why) = tokio::task::spawn_blocking(move || drop(disk)).await {
            tracing::error!(error = %why, "the ledger broke off: {why}");
        }
        for reply in self.closing {
            tell(reply, ());
        }
    }
}

/// Answers whoever asked. One that has gone away wants no answer.
fn tell<T>(reply: oneshot::Sender<T>, outcome: T) {
    drop(reply.send(outcome));
}
