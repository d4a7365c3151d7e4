//! The one task that uses the ledger's file.
//!
//! Requests that have come in together share one transaction, and so one wait for the disk. Responsible for that, for
//! telling those who follow a send, and for what to do while the file cannot be used: what must be on disk first is
//! refused, news of what has already happened is kept and written later.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use super::{
    Accepted, Followed, LedgerError, LedgerOptions, NewSend, Query, Record, Step,
    store::{self, Entered, Store, StoreError},
};

/// Requests that share a transaction; a commit takes as long for many as for one.
const BATCH: usize = 64;

/// Between two tries to write news that could not be written. A full disk is not freed within milliseconds.
const RETRY: Duration = Duration::from_secs(1);

/// News kept while the file cannot be used. Nothing new is handed over then, so only what was open before makes any.
const BACKLOG_CAPACITY: usize = 10_000;

/// How often what is too old is forgotten. Retention is set in hours.
const FORGET_EVERY: Duration = Duration::from_secs(60);

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
    /// With a reply, which says whether it changed anything, it has to be on disk first; without one it has happened
    /// already.
    Advance {
        key: String,
        step: Step,
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

/// What the file had to say to one request.
enum Outcome {
    Known(Option<Entered>),
    Entered(Entered),
    Advanced(Option<Record>),
    Many(Vec<Record>),
    One(Option<Record>),
    Nothing,
}

/// See the module.
#[derive(Debug)]
pub struct Keeper {
    requests: mpsc::Receiver<Request>,
    disk: Disk,
    /// News that is not on disk yet, oldest first.
    backlog: VecDeque<(String, Step)>,
    /// Those who follow an open send, by its own id.
    followed: HashMap<String, watch::Sender<Arc<Record>>>,
}

impl Keeper {
    pub(super) fn new(options: LedgerOptions, requests: mpsc::Receiver<Request>) -> Self {
        Self {
            requests,
            disk: Disk {
                options,
                store: None,
                has_recovered: false,
            },
            backlog: VecDeque::new(),
            followed: HashMap::new(),
        }
    }

    /// Serves until it is told to close, or nobody is left to ask.
    pub async fn run(mut self) {
        let mut forget_at = Instant::now();
        let mut retry_at = forget_at;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                received = self.requests.recv_many(&mut batch, BATCH) => if received == 0 { return },
                () = sleep_until(retry_at), if !self.backlog.is_empty() => {}
                () = sleep_until(forget_at) => {
                    forget_at = Instant::now() + FORGET_EVERY;
                    self.forget().await;
                    continue;
                }
            }
            let is_last = batch
                .iter()
                .any(|request| matches!(request, Request::Close { .. }));
            self.serve(std::mem::take(&mut batch)).await;
            retry_at = Instant::now() + RETRY;
            if is_last {
                return;
            }
        }
    }

    /// Serves requests as one transaction. When that fails, all of them have failed.
    ///
    /// That WhatsApp has a message is told before it is on disk: a service that is killed in between finds it out again.
    async fn serve(&mut self, batch: Vec<Request>) {
        let now = Timestamp::now();
        for request in &batch {
            if let Request::Advance { key, step, .. } = request
                && matches!(step, Step::Acknowledged(1..))
            {
                self.tell(key, step, now);
            }
        }
        let backlog = std::mem::take(&mut self.backlog);
        let work = move |disk: &mut Disk| {
            let served = disk.serve(&backlog, &batch);
            (backlog, batch, served)
        };
        let Some((backlog, batch, served)) = self.on_disk(work).await else {
            return;
        };
        match served {
            Ok(outcomes) => {
                if !backlog.is_empty() {
                    tracing::info!(steps = backlog.len(), "the ledger can be written again");
                }
                for (request, outcome) in batch.into_iter().zip(outcomes) {
                    self.answer(request, outcome);
                }
            }
            Err(why) => {
                self.backlog = backlog;
                self.refuse(batch, &why, Timestamp::now());
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
            (Request::Advance { reply, .. }, Outcome::Advanced(record)) => {
                let has_changed = record.is_some();
                if let Some(record) = record {
                    self.publish(record);
                }
                if let Some(reply) = reply {
                    tell(reply, Ok(has_changed));
                }
            }
            (Request::Open { reply, .. } | Request::List { reply, .. }, Outcome::Many(records)) => {
                tell(reply, Ok(records.into_iter().map(Arc::new).collect()));
            }
            (Request::Find { reply, .. }, Outcome::One(record)) => {
                let followed = record.map(|record| self.follow(record));
                tell(reply, Ok(followed));
            }
            (Request::Close { reply }, _) => tell(reply, ()),
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
    fn refuse(&mut self, batch: Vec<Request>, why: &StoreError, now: Timestamp) {
        let error = LedgerError(why.to_string());
        tracing::error!(error = %why, "the ledger cannot be used: {why}; nothing is sent until it can (DATA_DIR)");
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
                    reply: None,
                } => self.put_off(key, step, now),
                Request::Open { reply, .. } | Request::List { reply, .. } => {
                    tell(reply, Err(error.clone()));
                }
                Request::Find { reply, .. } => tell(reply, Err(error.clone())),
                Request::Close { reply } => tell(reply, ()),
            }
        }
    }

    /// Lets those who follow a send know of a step that is not on disk.
    fn tell(&mut self, key: &str, step: &Step, now: Timestamp) {
        let follower = self.followed.iter().find(|(own, followed)| {
            *own == key || followed.borrow().wa_key.as_deref() == Some(key)
        });
        if let Some(mut record) = follower.map(|(_, followed)| Record::clone(&followed.borrow()))
            && record.take(step, now)
        {
            self.publish(record);
        }
    }

    fn put_off(&mut self, key: String, step: Step, now: Timestamp) {
        self.tell(&key, &step, now);
        if self.backlog.len() >= BACKLOG_CAPACITY {
            tracing::error!(
                message.key = key,
                "news of a send is lost: too much waits for the disk"
            );
            return;
        }
        self.backlog.push_back((key, step));
    }

    fn accepted(&mut self, entered: Entered) -> Accepted {
        match entered {
            Entered::New(record) => Accepted::New(self.follow(record)),
            Entered::Known(record) => Accepted::Known(self.follow(record)),
            Entered::KeyReused => Accepted::KeyReused,
        }
    }

    /// A way to follow a send; one that is not open does not change while anybody waits for it.
    fn follow(&mut self, record: Record) -> Followed {
        if !record.state.is_open() {
            return watch::channel(Arc::new(record)).1;
        }
        let key = record.key.clone();
        self.followed
            .entry(key)
            .or_insert_with(|| watch::channel(Arc::new(record)).0)
            .subscribe()
    }

    fn publish(&mut self, record: Record) {
        let (key, is_open) = (record.key.clone(), record.state.is_open());
        let Some(followed) = self.followed.get(&key) else {
            return;
        };
        followed.send_replace(Arc::new(record));
        if !is_open {
            self.followed.remove(&key);
        }
    }

    /// Forgets what is too old, and those whom nobody follows.
    async fn forget(&mut self) {
        self.followed
            .retain(|_, followed| followed.receiver_count() > 0);
        if let Some(Err(why)) = self.on_disk(Disk::forget).await {
            tracing::warn!(error = %why, "what is too old could not be removed from the ledger: {why}");
        }
    }
}

/// The file, open or not.
#[derive(Debug)]
struct Disk {
    options: LedgerOptions,
    store: Option<Store>,
    /// What a killed service left behind has been dealt with.
    has_recovered: bool,
}

impl Disk {
    /// The same, not open.
    fn closed(&self) -> Self {
        Self {
            options: self.options.clone(),
            store: None,
            has_recovered: self.has_recovered,
        }
    }

    fn serve(
        &mut self,
        backlog: &VecDeque<(String, Step)>,
        batch: &[Request],
    ) -> Result<Vec<Outcome>, StoreError> {
        let now = Timestamp::now();
        let keys_since = store::before(now, self.options.idempotency);
        let keeps_texts = !self.options.retention.is_zero();
        self.transact(|file| {
            for (key, step) in backlog {
                store::advance(file, key, step, keeps_texts, now)?;
            }
            batch
                .iter()
                .map(|request| serve_one(file, request, keys_since, keeps_texts, now))
                .collect()
        })
    }

    fn forget(&mut self) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let LedgerOptions {
            retention,
            idempotency,
            ..
        } = self.options;
        let texts_until = store::before(now, retention);
        let sends_until = store::before(now, retention.max(idempotency));
        self.transact(|file| store::forget(file, texts_until, sends_until))
    }

    /// Runs `work` as one transaction on the file, which is opened if it is not. After a failure the next try begins
    /// anew: the folder may have been replaced, or mounted for writing.
    fn transact<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut store = match self.store.take() {
            Some(store) => store,
            None => self.open()?,
        };
        let outcome = store.transact(work)?;
        self.store = Some(store);
        Ok(outcome)
    }

    fn open(&mut self) -> Result<Store, StoreError> {
        let mut store = Store::open(&self.options.folder)?;
        if !self.has_recovered {
            let left = store.transact(|file| store::recover(file, Timestamp::now()))?;
            if left > 0 {
                tracing::warn!(
                    sends = left,
                    "sends that were not handed over before the last end were given up; nothing was sent"
                );
            }
            self.has_recovered = true;
        }
        Ok(store)
    }
}

fn serve_one(
    file: &Connection,
    request: &Request,
    keys_since: Timestamp,
    keeps_texts: bool,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    Ok(match request {
        Request::Known { new, .. } => Outcome::Known(store::known(file, new, keys_since)?),
        Request::Accept { new, .. } => Outcome::Entered(store::enter(file, new, keys_since, now)?),
        Request::Advance { key, step, .. } => {
            Outcome::Advanced(store::advance(file, key, step, keeps_texts, now)?)
        }
        Request::Open { session, .. } => Outcome::Many(store::open_sends(file, session)?),
        Request::Find { id, .. } => Outcome::One(store::find(file, id)?),
        Request::List { query, .. } => Outcome::Many(store::list(file, query)?),
        Request::Close { .. } => Outcome::Nothing,
    })
}

/// Answers whoever asked. One that has gone away wants no answer.
fn tell<T>(reply: oneshot::Sender<T>, outcome: T) {
    drop(reply.send(outcome));
}
