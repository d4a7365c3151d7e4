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
mod error;
mod followers;
mod job;
mod keeper;
mod notes;
mod record;
mod request;
mod step;
mod store;
mod tally;
mod trouble;

use std::{sync::Arc, time::Duration};

pub use clock::{Clock, Reading};
pub use disk::LedgerOptions;
pub use error::{LedgerError, ReadError};
pub use followers::Followed;
use job::{Job, Reply};
pub use keeper::Keeper;
use keeper::Request;
use notes::Notes;
pub use record::{Failure, Record, SendState};
pub use request::{Accepted, Fingerprint, Idempotency, NewSend, Query};
pub use step::{Handing, Step};
use store::{
    StoreError,
    readers::{Readers, Unread},
    sends,
};
pub use tally::{Backlog, Ending, LastSend, Tally, Traffic};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

/// Requests that may wait for the disk. A write takes a millisecond or two and many share one; more than this means
/// that the disk stands still, and then those who ask wait.
const REQUEST_CAPACITY: usize = 256;

/// What the keeper has decided in time is known to whoever asked this much later, also on a busy machine.
const LAST_ANSWER: Duration = Duration::from_millis(500);

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
        self.ask(|reply| job::known(new, reply)).await
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
            self.requests.send(Request::Serve(job::accept(new, reply))),
        );
        asked
            .await
            .map_err(|_| LedgerError::stands_still())?
            .map_err(|_| LedgerError::closed())?;
        if let Ok(answered) = timeout_at(give_up_at, &mut answer).await {
            return answered.map_err(|_| LedgerError::closed())?;
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
        self.ask(|reply| job::advance(key, step, reply)).await
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
        self.ask(|reply| job::open_sends(session, reply)).await
    }

    /// One send, by its own id, the one that the page chose, or its full id at WhatsApp.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn find(&self, id: &str) -> Result<Option<Followed>, LedgerError> {
        let id = id.to_owned();
        self.ask(|reply| job::find(id, reply)).await
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

    /// Reads beside the keeper, which opens the file first when it is not open.
    async fn read<T: Send + 'static, W>(&self, work: impl Fn() -> W) -> Result<T, ReadError>
    where
        W: FnOnce(&store::File) -> Result<T, StoreError> + Send + 'static,
    {
        let unread = match self.readers.read(work()).await {
            Err(Unread::Closed) => {
                self.ask(job::use_file).await?;
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
        let (reply, closed) = oneshot::channel();
        let is_asked = self.requests.send(Request::Close(reply)).await.is_ok();
        if !is_asked || closed.await.is_err() {
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

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let asked = Request::Serve(job(reply));
        self.requests
            .send(asked)
            .await
            .map_err(|_| LedgerError::closed())?;
        answer.await.map_err(|_| LedgerError::closed())?
    }
}

#[cfg(test)]
mod tests;
