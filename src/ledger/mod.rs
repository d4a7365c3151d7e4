//! The ledger: what became of every send, on disk before the page sees it.
//!
//! ```text
//!  queued ──▶ handed ──▶ sent ──▶ delivered ──▶ read
//!    │ ▲         │ └──────▶ unknown (nobody can find out)
//!    │ └─absent──┤
//!    ▼           ▼
//!  cancelled   failed (certainly not sent)
//! ```
//!
//! Responsible for keeping what it is told, for telling the same request from a new one, and for telling those who
//! follow a send. It decides nothing about sending: the session's actor does. [`record`] is what is kept and [`step`] how
//! it may change, both pure; [`clock`] says what time it is, also when the machine's clock jumps; [`store`] is the only
//! place that knows `SQLite`; [`keeper`] the one task that writes, through [`disk`], and tells [`followers`] of it;
//! lists are read beside it, by [`store::readers`]; [`notes`] keeps what has happened while the disk stands still;
//! [`trouble`] keeps the log from repeating that the disk is full.
//!
//! Invariants: a send is in the file, with the id that WhatsApp will know it by, before [`Ledger::accept`] answers, and the
//! fact that a page may have it before [`Ledger::advance`] answers. Nobody is told of what is not in the file, unless it
//! has happened and the file cannot be used. What is in the file outlives every end of the service; what somebody was
//! promised, and what a page may have, is synced first and outlives a power cut too (`Request::must_last`), the rest within a
//! moment. Steps are taken one after another: of a cancellation and a hand-over at once, one is told that it came too late.

mod clock;
mod disk;
mod followers;
mod keeper;
mod notes;
mod record;
mod request;
mod step;
mod store;
mod tally;
mod trouble;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use clock::{Clock, Reading};
pub use keeper::Keeper;
use keeper::Request;
use notes::Notes;
pub use record::{Failure, Record, SendState};
pub use request::{Fingerprint, Idempotency, NewSend, Query};
pub use step::{Handing, Step};
use store::{
    StoreError,
    readers::{Readers, Unread},
    sends,
};
pub use tally::{Backlog, Ending, LastSend, Tally, Traffic};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout_at},
};

/// Requests that may wait for the disk. A write takes a millisecond or two and many share one; more than this means
/// that the disk stands still, and then those who ask wait.
const REQUEST_CAPACITY: usize = 256;

/// What the keeper has decided in time is known to whoever asked this much later, also on a busy machine.
const LAST_ANSWER: Duration = Duration::from_millis(500);

/// Where the ledger is kept, and for how long.
#[derive(Clone, Debug)]
pub struct LedgerOptions {
    /// Its own folder; made when it is not there, for nobody else to read.
    pub folder: PathBuf,
    /// How long an idempotency key, and the state of a send, is remembered.
    pub idempotency: Duration,
    /// How long the text of a send is kept once nothing is to be done with it any more; zero: not at all.
    pub retention: Duration,
    /// The machine's clocks.
    pub clock: Clock,
}

/// The ledger cannot be used: nothing was written, and nothing may be sent.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct LedgerError(pub(crate) String);

impl LedgerError {
    /// The disk does not finish a write in time.
    pub(crate) fn stands_still() -> Self {
        let why = "the disk did not finish a write in time (is it overloaded, or a network mount that hangs?)";
        Self(why.to_owned())
    }
}

/// Why there is no answer to a question of what is in the ledger.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// Too many ask at once, or the disk does not keep up. Sends go on.
    #[error(
        "too many lists of messages are asked for at once: try again later, with fewer callers"
    )]
    Busy,
    /// It cannot be used.
    #[error(transparent)]
    Unavailable(#[from] LedgerError),
}

/// What became of a request to send.
#[derive(Debug)]
pub enum Accepted {
    /// It is on disk, and somebody has to send it now.
    New(Followed),
    /// The same request was accepted before; this is what became of it.
    Known(Followed),
    /// Its idempotency key belongs to another request.
    KeyReused,
}

/// A send as it is now, and as it changes while it is open.
pub type Followed = watch::Receiver<Arc<Record>>;

/// A way to the ledger. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    requests: mpsc::Sender<Request>,
    readers: Readers,
    notes: Notes,
    tally: Tally,
}

impl Ledger {
    /// A ledger and the task that keeps it. The file is opened when it is first needed, and again whenever that failed.
    pub fn new(options: LedgerOptions) -> (Self, Keeper) {
        let (requests, received) = mpsc::channel(REQUEST_CAPACITY);
        let notes = Notes::default();
        let keeper = Keeper::new(options, received, notes.clone());
        let ledger = Self {
            requests,
            readers: keeper.readers().clone(),
            tally: keeper.tally().clone(),
            notes,
        };
        (ledger, keeper)
    }

    /// What has become of sends, counted. Read without asking the disk.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What is known of the same request, if it was made before.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    pub async fn known(&self, new: &NewSend) -> Result<Option<Accepted>, LedgerError> {
        if new.idempotency.is_none() {
            return Ok(None);
        }
        let new = new.clone();
        self.ask(|reply| Request::Known { new, reply }).await?
    }

    /// Writes a send down, unless the same request was accepted before. Answers by [`NewSend::accept_by`] and half
    /// a second.
    ///
    /// # Errors
    ///
    /// The file cannot be written: a full disk, a folder without write permission, a disk that stands still. Nothing is
    /// kept, and nothing is sent.
    pub async fn accept(&self, new: NewSend) -> Result<Accepted, LedgerError> {
        let give_up_at = new.accept_by + LAST_ANSWER;
        let (reply, mut answer) = oneshot::channel();
        // The channel is full when a disk stands still for long.
        let asked = timeout_at(
            give_up_at,
            self.requests.send(Request::Accept { new, reply }),
        );
        asked
            .await
            .map_err(|_| LedgerError::stands_still())?
            .map_err(|_| closed())?;
        if let Ok(answered) = timeout_at(give_up_at, &mut answer).await {
            return answered.map_err(|_| closed())?;
        }
        // The keeper decides by its own clock: after this it can only find that it is too late.
        answer.close();
        answer
            .try_recv()
            .unwrap_or_else(|_| Err(LedgerError::stands_still()))
    }

    /// Lets a step happen that has to be on disk before anything else does. Answers whether it happened: `false` when the
    /// send has gone another way meanwhile, or is not known.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept); what depends on the step must not be done then.
    pub async fn advance(&self, key: &str, step: Step) -> Result<bool, LedgerError> {
        let key = key.to_owned();
        let written = |reply| Request::Advance {
            key,
            step,
            at: None,
            reply: Some(reply),
        };
        self.ask(written).await?
    }

    /// Notes what happened to a send. Waits for nothing: what cannot be written now, as the disk is full or stands
    /// still, is kept and written later, in its order and before whatever is asked after it; of a full disk, those who
    /// follow are told at once.
    ///
    /// `key` is the send's own id, or the one that the page chose for it.
    pub fn note(&self, key: &str, step: Step) {
        self.notes.push(key, step);
    }

    /// The sends of a session that are not done with: those a page may have, and those that wait. In their order.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn open_sends(&self, session: &str) -> Result<Vec<Arc<Record>>, LedgerError> {
        let session = session.to_owned();
        self.ask(|reply| Request::Open { session, reply }).await?
    }

    /// One send, by its own id, the one that the page chose, or its full id at WhatsApp.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn find(&self, id: &str) -> Result<Option<Followed>, LedgerError> {
        let id = id.to_owned();
        self.ask(|reply| Request::Find { id, reply }).await?
    }

    /// One send as it is on disk, by the same ids as [`find`](Self::find). No write waits for it.
    ///
    /// # Errors
    ///
    /// Too many read at once, or the file cannot be read.
    pub async fn look_up(&self, id: &str) -> Result<Option<Record>, ReadError> {
        self.read(|| {
            let id = id.to_owned();
            move |file: &store::File| sends::find(file, &id)
        })
        .await
    }

    /// Sends in their order, a page at a time. No write waits for it.
    ///
    /// # Errors
    ///
    /// As for [`look_up`](Self::look_up).
    pub async fn list(&self, query: Query) -> Result<Vec<Record>, ReadError> {
        self.read(|| {
            let query = query.clone();
            move |file: &store::File| sends::list(file, &query)
        })
        .await
    }

    /// Opens a ledger that was begun in this folder before, so that a service which cannot use it says so when it starts:
    /// another one may have it. A new one is begun by the first send.
    pub async fn open_if_begun(&self, folder: &Path) {
        if tokio::fs::try_exists(store::begun_in(folder))
            .await
            .unwrap_or(false)
        {
            // The keeper says in the log what is wrong.
            drop(self.ask(|reply| Request::Use { reply }).await);
        }
    }

    /// Reads beside the keeper, which opens the file first when it is not open.
    async fn read<T: Send + 'static, W>(&self, work: impl Fn() -> W) -> Result<T, ReadError>
    where
        W: FnOnce(&store::File) -> Result<T, StoreError> + Send + 'static,
    {
        let unread = match self.readers.read(work()).await {
            Err(Unread::Closed) => {
                self.ask(|reply| Request::Use { reply }).await??;
                self.readers.read(work()).await
            }
            read => read,
        };
        unread.map_err(|why| match why {
            // Closed again already.
            Unread::Closed | Unread::Busy => ReadError::Busy,
            Unread::Failed(why) => ReadError::Unavailable(LedgerError(why.to_string())),
        })
    }

    /// Ends the keeper, after all that was asked before.
    pub async fn close(&self) {
        let closed = self.ask(|reply| Request::Close { reply }).await;
        if closed.is_err() {
            tracing::debug!("the ledger was closed already");
        }
    }

    /// Answers by then: with an error when the disk has not.
    ///
    /// # Errors
    ///
    /// What `asked` answers, or that the disk stands still. What was asked for may happen yet.
    pub async fn answered_by<T>(
        deadline: Instant,
        asked: impl Future<Output = Result<T, LedgerError>>,
    ) -> Result<T, LedgerError> {
        let answered = timeout_at(deadline, asked).await;
        answered.unwrap_or_else(|_| Err(LedgerError::stands_still()))
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(request(reply))
            .await
            .map_err(|_| closed())?;
        answer.await.map_err(|_| closed())
    }
}

fn closed() -> LedgerError {
    LedgerError("the ledger is closed".to_owned())
}

#[cfg(test)]
mod tests;
