//! The ledger: the state of every send, on disk before a page gets the send.
//!
//! ```text
//!  queued ──▶ handed ──▶ sent ──▶ delivered ──▶ read
//!    │ ▲         │ └──────▶ unknown (no page can find out)
//!    │ └─absent──┤
//!    ▼           ▼
//!  cancelled   failed (certainly not sent)
//! ```
//!
//! Responsible for storing sends and their steps, for recognising a repeated request, and for showing each change to the
//! callers that follow a send. It decides nothing about sending: the session's actor does. In reading order:
//!
//! - [`record`] is what is kept of a send, and [`step`] how that may change; [`event`] is what is kept of an event,
//!   and [`consumer`] of those who are given it. All are pure.
//! - [`followers`], [`tally`] and [`notes`] are in memory: receivers of changes, counts, and steps that wait to be written.
//! - [`request`] is what a caller gives and asks, and [`error`] why it gets no answer.
//! - [`clock`] is the ledger's time, which does not jump when the machine's clock does.
//! - [`store`] and its children are the only code that knows `SQLite`; [`store::readers`] reads lists on other connections.
//! - [`job`] is each request: its part of a transaction, and its answer.
//! - [`disk`] is the file in use, and what one transaction contains.
//! - [`keeper`] is the one task that writes. It serves jobs through [`disk`]; [`trouble`] keeps it from logging the same error
//!   twice.
//! - [`consumers`] is what a consumer of events asks of the ledger.
//!
//! Each file imports only from files that stand before it in this list.
//!
//! Not here: whether a session should be up. `POST /disconnect` must be remembered, and a restart must know it, also while the
//! ledger cannot be used, or after a person has put back an older copy of it. So that is a file of its own for each session.
//!
//! Invariants: a send is in the file, with the id that WhatsApp will know it by, before [`Ledger::accept`] answers; that a page
//! may have a send is in the file before [`Ledger::advance`] answers. The ledger reports only what is stored, except an outcome
//! that happened while the file cannot be used. What is in the file outlives every end of the service. A send that was promised
//! for later and a hand-over are synced before they are answered, and so outlive a power cut too (`must_last` in [`job`]); the
//! rest is synced a moment later. Steps are taken one after another: of a cancellation and a hand-over at the same time, one is
//! answered that it came too late.

mod clock;
mod consumer;
mod consumers;
mod disk;
mod error;
mod event;
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

use std::{path::Path, sync::Arc, time::Duration};

pub use clock::{Clock, Reading};
pub use consumer::{
    Became, Beginning, Consumer, ConsumerChange, ConsumerTally, Delivery, DeliveryState, Filter,
    NewConsumer, OpenDelivery, REDRIVEN, Settled, Taken, Turns,
};
pub use disk::{LedgerOptions, OWED};
pub use error::{LedgerError, ReadError};
pub use event::{Event, EventKind, EventQuery, Me, NewEvent, Page, Source};
pub use followers::Followed;
use jiff::Timestamp;
use job::{Job, Reply};
pub use keeper::Keeper;
use keeper::Request;
use notes::Notes;
pub use record::{Failure, Record, SendState};
pub use request::{Accepted, Fingerprint, Idempotency, NewSend, Query};
pub use step::{Handing, Reset, Step};
use store::{
    StoreError, events, places,
    readers::{Readers, Unread},
    sends,
};
pub use store::{
    generations::{Others, RestoredCopy, Stale},
    hearing::HeardUntil,
};
pub use tally::{Backlog, Ending, LastSend, Tally, Traffic};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout_at},
};

use crate::{heard::Numberless, masked::WaId};

/// Requests that may wait for the disk. A write takes a millisecond or two, and many requests share one. More than this means
/// that the disk stands still; further callers then wait for a place.
const REQUEST_CAPACITY: usize = 256;

/// How much later than its deadline an answer may arrive that the keeper gave in time: a busy machine delivers it late.
const LAST_ANSWER: Duration = Duration::from_millis(500);

/// A way to the ledger. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    requests: mpsc::Sender<Request>,
    readers: Readers,
    notes: Notes,
    tally: Tally,
    newest_event: watch::Receiver<i64>,
    folder: Arc<Path>,
}

impl Ledger {
    /// A ledger and the task that keeps it. The file is opened when it is first needed, and again whenever that failed.
    pub fn new(options: LedgerOptions) -> (Self, Keeper) {
        let (requests, received) = mpsc::channel(REQUEST_CAPACITY);
        let notes = Notes::default();
        let folder = options.folder.as_path().into();
        let keeper = Keeper::new(options, received, notes.clone());
        let ledger = Self {
            requests,
            readers: keeper.readers().clone(),
            tally: keeper.tally().clone(),
            newest_event: keeper.newest_event(),
            notes,
            folder,
        };
        (ledger, keeper)
    }

    /// Counts of sends and their results. They are read without waiting for the disk.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What became of the same request, if it was made before.
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

    /// The send that was accepted under this key of a caller's, whatever it was.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn by_key(&self, session: &str, key: &str) -> Result<Option<Followed>, LedgerError> {
        let (session, key) = (session.to_owned(), key.to_owned());
        self.ask(|reply| job::by_key(session, key, reply)).await
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
        // The channel is full when the disk has stood still for long.
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
        // The keeper compares `accept_by` with the same clock: from now on it can only find that it is too late, and take the send
        // back. An answer that arrived in this moment is still in the channel.
        answer.close();
        answer
            .try_recv()
            .unwrap_or_else(|_| Err(LedgerError::stands_still()))
    }

    /// Lets a step happen that must be on disk before the caller acts on it. Answers whether it happened: `false` when the send
    /// has gone another way meanwhile, or is not known.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept); what depends on the step must not be done then.
    pub async fn advance(&self, key: &str, step: Step) -> Result<bool, LedgerError> {
        let key = key.to_owned();
        self.ask(|reply| job::advance(key, step, reply)).await
    }

    /// Notes what happened to a send, without waiting. A step that cannot be written now, because the disk is full or stands
    /// still, is kept and written later: in its order, and before every request that is made after it. While the file cannot be
    /// used, followers see the step at once.
    ///
    /// `key` is the send's own id, or the one that the page chose for it.
    pub fn note(&self, key: &str, step: Step) {
        self.notes.push(key, step);
    }

    /// The open sends of a session, in their order: those that a page may have, and those that wait.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn open_sends(&self, session: &str) -> Result<Vec<Arc<Record>>, LedgerError> {
        let session = session.to_owned();
        self.ask(|reply| job::open_sends(session, reply)).await
    }

    /// What is done to messages and is open, by its own id, where a page has had a newer one of the same kind for the same message
    /// since: done now, it would undo that one.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn superseded(&self, session: &str) -> Result<Vec<String>, LedgerError> {
        let session = session.to_owned();
        self.ask(|reply| job::superseded(session, reply)).await
    }

    /// With whom this session has to begin new Signal sessions.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn stale(&self, session: &str) -> Result<Stale, LedgerError> {
        let session = session.to_owned();
        self.ask(|reply| job::stale(session, reply)).await
    }

    /// Copies took the place of the session's profile, and no page has handed anything over since: notes whom that concerns.
    /// To be repeated until the profile's own note says that it is done: a repetition changes nothing.
    ///
    /// # Errors
    ///
    /// The file cannot be written: then nothing may be handed over.
    pub async fn mark_stale(
        &self,
        session: &str,
        copies: Vec<RestoredCopy>,
    ) -> Result<(), LedgerError> {
        let session = session.to_owned();
        self.ask(|reply| job::begin_profile(session, Some(copies), reply))
            .await
    }

    /// The session has a new device, which has no Signal session with anybody.
    ///
    /// # Errors
    ///
    /// As for [`mark_stale`](Self::mark_stale).
    pub async fn begin_device(&self, session: &str) -> Result<(), LedgerError> {
        let session = session.to_owned();
        self.ask(|reply| job::begin_profile(session, None, reply))
            .await
    }

    /// A copy is about to be made of the profile of a running page, whose hand-overs note this generation from now on: counts
    /// what WhatsApp's server has not acknowledged into it too. The page may encrypt it later than the copy is made. Not what was
    /// handed over before the generation `since`, in which the profile took the place of another one: of that its page knows
    /// nothing, and the generation in which it was handed over has to say so.
    ///
    /// # Errors
    ///
    /// The file cannot be written: then no copy may be made.
    pub async fn count_open_into(
        &self,
        session: &str,
        generation: u64,
        since: u64,
    ) -> Result<(), LedgerError> {
        let session = session.to_owned();
        self.ask(|reply| job::count_open_into(session, generation, since, reply))
            .await
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

    /// Writes events down at the end of the log, in this order; those that were written down before are left out. Answers the
    /// place of each that is new.
    ///
    /// # Errors
    ///
    /// The file cannot be written. None of them is in the log then, and the caller must give them again.
    pub async fn append(&self, new: Vec<NewEvent>) -> Result<Vec<Option<i64>>, LedgerError> {
        self.ask(|reply| job::append(new, reply)).await
    }

    /// How far this session has heard since it was linked at `linked_at`. One that has heard nothing of that link begins with
    /// `begin`.
    ///
    /// # Errors
    ///
    /// The file cannot be used.
    pub async fn heard_until(
        &self,
        session: &str,
        linked_at: Timestamp,
        begin: Timestamp,
    ) -> Result<HeardUntil, LedgerError> {
        let session = session.to_owned();
        self.ask(|reply| job::heard_until(session, linked_at, begin, reply))
            .await
    }

    /// This session has heard everything up to `until`, and all of it is in the log.
    ///
    /// # Errors
    ///
    /// The file cannot be written: the session will look for what is in the log already, and find nothing new.
    pub async fn note_heard(&self, session: &str, until: Timestamp) -> Result<(), LedgerError> {
        let session = session.to_owned();
        self.ask(|reply| job::note_heard(session, until, reply))
            .await
    }

    /// Notes an event, without waiting, and in the order of these calls. One that cannot be written now, because the disk is full
    /// or stands still, is kept and written later; of too many, the oldest are dropped.
    pub fn note_event(&self, new: NewEvent) {
        self.notes.push_event(new);
    }

    /// A part of the log. No write waits for it.
    ///
    /// # Errors
    ///
    /// As for [`look_up`](Self::look_up).
    pub async fn events(&self, query: EventQuery) -> Result<Page, ReadError> {
        self.read(|| {
            let query = query.clone();
            move |file: &store::File| events::read(file, &query)
        })
        .await
    }

    /// The event with this id, as long as the log has what it says.
    ///
    /// # Errors
    ///
    /// As for [`look_up`](Self::look_up).
    pub async fn event(&self, id: &str) -> Result<Option<Event>, ReadError> {
        self.read(|| {
            let id = id.to_owned();
            move |file: &store::File| events::find(file, &id)
        })
        .await
    }

    /// The persons who have written to this session since then, and whose number the log does not have: each once, by their latest message.
    ///
    /// # Errors
    ///
    /// As for [`look_up`](Self::look_up).
    pub async fn numberless(
        &self,
        session: &str,
        since: Timestamp,
    ) -> Result<Vec<Numberless>, ReadError> {
        self.read(|| {
            let session = session.to_owned();
            move |file: &store::File| events::numberless(file, &session, since)
        })
        .await
    }

    /// The full id of a message that this session has heard in a chat with a person, by its inner one.
    ///
    /// # Errors
    ///
    /// As for [`look_up`](Self::look_up).
    pub async fn heard_id(&self, session: &str, key: &str) -> Result<Option<WaId>, ReadError> {
        self.read(|| {
            let (session, key) = (session.to_owned(), key.to_owned());
            move |file: &store::File| events::heard_id(file, &session, &key)
        })
        .await
    }

    /// Up to where a part of the service is done with the log, as it has noted there itself; `None`: it has not begun.
    ///
    /// # Errors
    ///
    /// As for [`look_up`](Self::look_up).
    pub async fn place(&self, name: &'static str) -> Result<Option<i64>, ReadError> {
        self.read(|| move |file: &store::File| places::of(file, name))
            .await
    }

    /// A part of the service is done with the log up to here. A power cut may take back the last of these notes.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub async fn note_place(&self, name: &'static str, seq: i64) -> Result<(), LedgerError> {
        self.ask(|reply| job::note_place(name, seq, reply)).await
    }

    /// The cursor of a reader that wants only what comes from now on.
    ///
    /// # Errors
    ///
    /// As for [`look_up`](Self::look_up).
    pub async fn newest_event(&self) -> Result<i64, ReadError> {
        self.read(|| events::newest).await
    }

    /// Changes whenever an event has been written down. Its value is the place of that event, and 0 before the first one of this
    /// life of the service: to know what is in the log, read it.
    pub fn event_news(&self) -> watch::Receiver<i64> {
        self.newest_event.clone()
    }

    /// Opens a ledger that was begun in this folder before, so that a service which cannot use it says so when it starts:
    /// another one may have it. A new one is begun by the first send.
    pub async fn open_if_begun(&self) {
        if self.is_begun().await {
            // The keeper says in the log what is wrong.
            drop(self.ask(job::use_file).await);
        }
    }

    /// Whether a ledger was begun in its folder before.
    pub async fn is_begun(&self) -> bool {
        let begun = tokio::fs::try_exists(store::begun_in(&self.folder)).await;
        begun.unwrap_or(false)
    }

    /// Reads on another connection than the keeper's. The keeper opens the file first if it is not open.
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
            // The keeper has closed the file again meanwhile.
            Unread::Closed | Unread::Busy => ReadError::Busy,
            Unread::Failed(why) => ReadError::Unavailable(LedgerError(why.to_string())),
        })
    }

    /// Ends the keeper, after all requests that were made before.
    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        let is_asked = self.requests.send(Request::Close(reply)).await.is_ok();
        if !is_asked || closed.await.is_err() {
            tracing::debug!("the ledger was closed already");
        }
    }

    /// Answers by `deadline`, with an error if the disk has not.
    ///
    /// # Errors
    ///
    /// The error of `asked`, or that the disk stands still. What was asked for may still happen.
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
pub(crate) mod tests;
