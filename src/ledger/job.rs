//! The requests to the ledger's file. Each is a job: what it does within the transaction, what must hold before it is
//! answered, and how it is answered after the commit or after a failure, together in one function.
//!
//! What a job finds in the file and what it answers with are tied by their type, so that an answer always fits its question.
//! Not responsible for when a job is served, nor with which others: the keeper is.

use std::{cell::Cell, collections::VecDeque, sync::Arc};

use jiff::Timestamp;
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::{
    clock::Now,
    consumer::{
        Beginning, Consumer, ConsumerChange, ConsumerTally, Filter, NewConsumer, Settled, Taken,
    },
    error::LedgerError,
    event::NewEvent,
    followers::{Followed, Followers},
    notes::{self, Noted, Notes},
    record::{Failure, Record},
    request::{Accepted, NewSend},
    step::Step,
    store::{
        File, StoreError,
        consumers::{self, Redriven, Removed},
        events,
        generations::{self, RestoredCopy, Stale},
        hearing::{self, HeardUntil},
        places,
        sends::{self, Changed, Entered},
    },
    tally::Tally,
};

/// Where the caller of a job waits for its answer.
pub(super) type Reply<T> = oneshot::Sender<Result<T, LedgerError>>;

/// One request of any kind: they wait in one queue and share transactions.
pub(super) struct Job {
    /// The caller acts because it is written: a folder that may not be written refuses it, even while the open file could
    /// still take it.
    pub(super) must_be_written: bool,
    /// A power cut must not undo it once it is answered.
    pub(super) must_last: bool,
    parts: Box<dyn Parts>,
}

impl Job {
    /// A job of which nothing must hold before it is answered. `work` is its part of a transaction and changes nothing but
    /// the file, so that all of it is undone when a later job fails. `settle` answers, once the transaction is committed or
    /// has failed.
    fn new<F: Send + 'static>(
        work: impl Fn(&Transaction<'_>) -> Result<F, StoreError> + Send + 'static,
        settle: impl FnOnce(Result<F, LedgerError>, &mut Memory) + Send + 'static,
    ) -> Self {
        Self {
            must_be_written: false,
            must_last: false,
            parts: Box::new((work, settle, None)),
        }
    }

    /// A job whose caller acts because it is written: it must be, and a power cut must not undo it.
    fn lasting<F: Send + 'static>(
        work: impl Fn(&Transaction<'_>) -> Result<F, StoreError> + Send + 'static,
        settle: impl FnOnce(Result<F, LedgerError>, &mut Memory) + Send + 'static,
    ) -> Self {
        Self {
            must_be_written: true,
            must_last: true,
            ..Self::new(work, settle)
        }
    }

    /// Does its part of the transaction.
    pub(super) fn run(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        self.parts.run(transaction)
    }

    /// Answers. `committed` is what became of the transaction.
    pub(super) fn settle(self, committed: Result<(), LedgerError>, memory: &mut Memory) {
        self.parts.settle(committed, memory);
    }
}

/// What a job does and how it answers; hides the type of what it finds.
trait Parts: Send {
    fn run(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError>;
    fn settle(self: Box<Self>, committed: Result<(), LedgerError>, memory: &mut Memory);
}

impl<W, S, F: Send> Parts for (W, S, Option<F>)
where
    W: Fn(&Transaction<'_>) -> Result<F, StoreError> + Send,
    S: FnOnce(Result<F, LedgerError>, &mut Memory) + Send,
{
    fn run(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        self.2 = Some(self.0(transaction)?);
        Ok(())
    }

    fn settle(self: Box<Self>, committed: Result<(), LedgerError>, memory: &mut Memory) {
        let (_, settle, found) = *self;
        // A transaction is committed only after each of its jobs has run; a job that had not would be refused.
        let found = committed.and_then(|()| found.ok_or_else(LedgerError::closed));
        settle(found, memory);
    }
}

/// What jobs work on.
pub(super) struct Transaction<'a> {
    pub(super) file: &'a File,
    pub(super) now: Now,
    /// An idempotency key that is older is no longer believed.
    pub(super) keys_since: Timestamp,
    /// A send that was accepted earlier may be forgotten.
    pub(super) sends_since: Timestamp,
    /// Where the log of events ended before this service wrote into it.
    pub(super) log_began: i64,
    /// Whether the text of a send that has ended stays for a while.
    pub(super) keeps_texts: bool,
    /// A text is gone from the file that its log still holds.
    pub(super) has_removed_texts: Cell<bool>,
}

impl Transaction<'_> {
    /// Lets a step happen. `None`: the send is not known, or the step is no news.
    pub(super) fn advance(
        &self,
        key: &str,
        step: &Step,
        at: Timestamp,
    ) -> Result<Option<Changed>, StoreError> {
        let changed = sends::advance(self.file, key, step, self.keeps_texts, at)?;
        let has_ended = |changed: &Changed| !changed.record.state.is_open();
        self.note_removed_texts(!self.keeps_texts && changed.as_ref().is_some_and(has_ended));
        Ok(changed)
    }

    /// Writes an event down. Answers its place in the log; `None`: it is there already.
    fn append(&self, event: &NewEvent) -> Result<Option<i64>, StoreError> {
        let terms = events::Terms {
            keeps_texts: self.keeps_texts,
            sends_since: self.sends_since,
            now: self.now.at,
        };
        events::append(self.file, event, terms)
    }

    fn note_removed_texts(&self, are_removed: bool) {
        if are_removed {
            self.has_removed_texts.set(true);
        }
    }
}

/// What the keeper has in memory, in addition to the file.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Steps that happened since the disk was last used.
    pub(super) notes: Notes,
    pub(super) followers: Followers,
    pub(super) tally: Tally,
    /// Steps that could not be written yet, oldest first.
    pub(super) backlog: VecDeque<Noted>,
    /// Events that could not be written yet, oldest first.
    pub(super) unwritten: VecDeque<NewEvent>,
    /// The place of the newest event, for those who wait for one.
    pub(super) newest_event: watch::Sender<i64>,
    /// How many steps were dropped since the file could be used last, because the backlog was full.
    pub(super) lost: usize,
}

impl Memory {
    /// Counts a change that is committed, and tells the callers who follow the send.
    fn on_changed(&mut self, Changed { before, record }: Changed) {
        self.tally.on_changed(before, &record);
        self.followers.publish(record);
    }

    /// Tells the callers who follow the send, and keeps the step to be written later: it has happened, whatever the disk
    /// does.
    fn put_off(&mut self, noted: Noted) {
        self.followers.tell(&noted.key, &noted.step, noted.at);
        if self.backlog.len() >= notes::CAPACITY {
            self.lost += 1;
            return;
        }
        self.backlog.push_back(noted);
    }

    /// Whether something that has happened is not on disk yet, because that failed.
    pub(super) fn has_unwritten(&self) -> bool {
        !self.backlog.is_empty() || !self.unwritten.is_empty()
    }

    fn accepted(&mut self, entered: Entered) -> Accepted {
        match entered {
            Entered::New(record) => Accepted::New(self.followers.follow(record)),
            Entered::Known(record) => Accepted::Known(self.followers.follow(record)),
            Entered::KeyReused => Accepted::KeyReused,
        }
    }
}

/// Looks whether the same request was accepted before.
pub(super) fn known(new: NewSend, reply: Reply<Option<Accepted>>) -> Job {
    Job::new(
        move |on| sends::known(on.file, &new, on.keys_since, on.now),
        |found, memory| {
            let known = found.map(|entered| entered.map(|entered| memory.accepted(entered)));
            tell(reply, known);
        },
    )
}

/// Looks for the send that was accepted under a key of a caller's.
pub(super) fn by_key(session: String, key: String, reply: Reply<Option<Followed>>) -> Job {
    Job::new(
        move |on| sends::by_key(on.file, &session, &key, on.keys_since),
        |found, memory| {
            let followed = found.map(|record| record.map(|record| memory.followers.follow(record)));
            tell(reply, followed);
        },
    )
}

/// Writes a send down, unless the same request was accepted before.
pub(super) fn accept(new: NewSend, reply: Reply<Accepted>) -> Job {
    let (key, accept_by) = (new.key.clone(), new.accept_by);
    Job {
        must_be_written: true,
        // A power cut may undo a send whose caller still waits for it: no page gets the send before a step that lasts, and
        // the caller is not answered before that step.
        must_last: new.is_durable,
        ..Job::new(
            move |on| {
                if accept_by <= Instant::now() {
                    // The disk stood still for so long that the caller has been refused already.
                    return Ok(None);
                }
                sends::enter(on.file, &new, on.keys_since, on.now).map(Some)
            },
            move |found, memory| {
                let accepted = found.and_then(|entered| {
                    let entered = entered.ok_or_else(LedgerError::stands_still)?;
                    if let Entered::New(record) = &entered {
                        memory.tally.on_accepted(record);
                        if accept_by <= Instant::now() {
                            // The commit took so long that the caller has been refused meanwhile. No other caller knows of
                            // this send, and the note is written before any job that comes later.
                            let why = LedgerError::stands_still();
                            let failed = Step::Failed(Failure::NotWritten, why.to_string());
                            memory.notes.push(&key, failed);
                            return Err(why);
                        }
                    }
                    Ok(memory.accepted(entered))
                });
                tell(reply, accepted);
            },
        )
    }
}

/// Lets a step happen that its caller acts on once it is on disk. The answer says whether the step happened.
pub(super) fn advance(key: String, step: Step, reply: Reply<bool>) -> Job {
    Job::lasting(
        move |on| on.advance(&key, &step, on.now.at),
        |found, memory| {
            let has_happened =
                found.map(|changed| changed.map(|changed| memory.on_changed(changed)).is_some());
            tell(reply, has_happened);
        },
    )
}

/// Writes a step that has happened already. No caller waits for it.
pub(super) fn note(noted: Noted) -> Job {
    let unwritten = noted.clone();
    Job {
        must_last: !noted.step.can_be_found_out(&noted.key),
        ..Job::new(
            move |on| on.advance(&noted.key, &noted.step, noted.at),
            |found, memory| match found {
                Ok(Some(changed)) => memory.on_changed(changed),
                Ok(None) => {}
                Err(_) => memory.put_off(unwritten),
            },
        )
    }
}

/// Writes an event that has happened already. No caller waits for it; it is kept until it can be written.
pub(super) fn note_event(event: Arc<NewEvent>) -> Job {
    let unwritten = Arc::clone(&event);
    Job {
        must_last: true,
        ..Job::new(
            move |on| on.append(&event),
            |place, memory| match place {
                Ok(Some(place)) => drop(memory.newest_event.send_replace(place)),
                Ok(None) => {}
                Err(_) => {
                    let event = Arc::unwrap_or_clone(unwritten);
                    notes::push_bounded(&mut memory.unwritten, event);
                }
            },
        )
    }
}

/// Writes events down. The answer says which of them are new, by their place in the log.
pub(super) fn append(new: Vec<NewEvent>, reply: Reply<Vec<Option<i64>>>) -> Job {
    // Who is told of an event must not find another one under the same cursor after a power cut.
    Job::lasting(
        move |on| {
            new.iter()
                .map(|event| on.append(event))
                .collect::<Result<Vec<_>, _>>()
        },
        |places, memory| {
            if let Some(newest) = places
                .as_ref()
                .ok()
                .and_then(|places| places.iter().flatten().max())
            {
                memory.newest_event.send_replace(*newest);
            }
            tell(reply, places);
        },
    )
}

/// Makes a consumer of events known.
pub(super) fn put_consumer(new: NewConsumer, reply: Reply<Consumer>) -> Job {
    Job::lasting(
        move |on| {
            let from = match new.from {
                Beginning::Now => events::newest(on.file)?,
                Beginning::ServiceStart => on.log_began,
            };
            consumers::put(on.file, &new, from, on.now.at)
        },
        |put, _| tell(reply, put),
    )
}

/// Changes a consumer of events.
pub(super) fn change_consumer(
    id: String,
    change: ConsumerChange,
    reply: Reply<Option<Consumer>>,
) -> Job {
    Job::lasting(
        move |on| consumers::change(on.file, &id, &change),
        |changed, _| tell(reply, changed),
    )
}

/// Forgets a consumer of events, a part of its deliveries at a time.
pub(super) fn remove_consumer(id: String, reply: Reply<Removed>) -> Job {
    Job::lasting(
        move |on| {
            let removed = consumers::remove(on.file, &id)?;
            on.note_removed_texts(removed.has_removed_texts);
            Ok(removed)
        },
        |removed, _| tell(reply, removed),
    )
}

/// Lets a consumer look at the next events. A power cut may undo it: then it looks again.
pub(super) fn take_events(
    id: String,
    filter: Filter,
    now: Timestamp,
    reply: Reply<Option<Taken>>,
) -> Job {
    Job::new(
        move |on| consumers::take(on.file, &id, &filter, now),
        |taken, _| tell(reply, taken),
    )
}

/// Notes the results of attempts. A power cut may undo the last ones: these are made again, which a consumer has to bear anyway.
pub(super) fn settle(
    id: String,
    settled: Vec<Settled>,
    now: Timestamp,
    reply: Reply<ConsumerTally>,
) -> Job {
    Job::new(
        move |on| {
            let noted = consumers::settle(on.file, &id, &settled, now)?;
            on.note_removed_texts(noted.has_removed_texts);
            Ok(noted.tally)
        },
        |settled, _| tell(reply, settled),
    )
}

/// Notes how far a consumer has got with an event, before it goes on.
pub(super) fn note_step(id: String, seq: i64, step: u8, reply: Reply<()>) -> Job {
    Job::lasting(
        move |on| consumers::note_step(on.file, &id, seq, step),
        |noted, _| tell(reply, noted),
    )
}

/// Reads how far a session has heard since it was linked, or begins to listen.
pub(super) fn heard_until(
    session: String,
    linked_at: Timestamp,
    begin: Timestamp,
    reply: Reply<HeardUntil>,
) -> Job {
    Job::lasting(
        move |on| hearing::of(on.file, &session, linked_at, begin),
        |found, _| tell(reply, found),
    )
}

/// Notes how far a session has heard. What it has heard is written before; a note that a power cut takes back makes the session
/// look for it once more.
pub(super) fn note_heard(session: String, until: Timestamp, reply: Reply<()>) -> Job {
    Job::new(
        move |on| hearing::advance(on.file, &session, until),
        |noted, _| tell(reply, noted),
    )
}

/// Notes how far a part of the service is done with the log. What a power cut takes back, it does once more.
pub(super) fn note_place(name: &'static str, seq: i64, reply: Reply<()>) -> Job {
    Job::new(
        move |on| places::put(on.file, name, seq),
        |noted, _| tell(reply, noted),
    )
}

/// Lets what waits for another attempt have its turn at once. The answer says whether there may be more.
pub(super) fn hurry(id: String, now: Timestamp, reply: Reply<bool>) -> Job {
    Job::new(
        move |on| consumers::hurry(on.file, &id, now),
        |hurried, _| tell(reply, hurried),
    )
}

/// Gives a turn to what was put off by a clock that was wrong.
pub(super) fn mend_turns(id: String, now: Timestamp, reply: Reply<()>) -> Job {
    Job::new(
        move |on| consumers::mend_turns(on.file, &id, now),
        |mended, _| tell(reply, mended),
    )
}

/// Lets deliveries that were given up wait for their turn again.
pub(super) fn redrive(
    id: String,
    events: Option<Vec<String>>,
    now: Timestamp,
    reply: Reply<Redriven>,
) -> Job {
    Job::lasting(
        move |on| consumers::redrive(on.file, &id, events.as_deref(), now),
        |redriven, _| tell(reply, redriven),
    )
}

/// Reads the sends of a session that have not ended.
pub(super) fn open_sends(session: String, reply: Reply<Vec<Arc<Record>>>) -> Job {
    Job::new(
        move |on| sends::open_sends(on.file, &session),
        |found, _| {
            let open = found.map(|records| records.into_iter().map(Arc::new).collect());
            tell(reply, open);
        },
    )
}

/// Reads what a newer thing has taken the place of.
pub(super) fn superseded(session: String, reply: Reply<Vec<String>>) -> Job {
    Job::new(
        move |on| sends::superseded(on.file, &session),
        |found, _| tell(reply, found),
    )
}

/// Reads with whom a session has to begin new Signal sessions.
pub(super) fn stale(session: String, reply: Reply<Stale>) -> Job {
    Job::new(
        move |on| generations::stale(on.file, &session),
        |found, _| tell(reply, found),
    )
}

/// Notes with whom a session has to begin new Signal sessions, as copies took its profile's place, or that it has a new device.
pub(super) fn begin_profile(
    session: String,
    copies: Option<Vec<RestoredCopy>>,
    reply: Reply<()>,
) -> Job {
    Job::lasting(
        move |on| match &copies {
            None => generations::forget_stale(on.file, &session),
            Some(copies) => copies
                .iter()
                .try_for_each(|copy| generations::mark_stale(on.file, &session, *copy)),
        },
        |noted, _| tell(reply, noted),
    )
}

/// Counts the sends that a page may have into a generation of the profile.
pub(super) fn count_open_into(
    session: String,
    generation: u64,
    since: u64,
    reply: Reply<()>,
) -> Job {
    Job::lasting(
        move |on| generations::count_open_into(on.file, &session, generation, since),
        |counted, _| tell(reply, counted),
    )
}

/// Reads one send, and follows it.
pub(super) fn find(id: String, reply: Reply<Option<Followed>>) -> Job {
    Job::new(
        move |on| sends::find(on.file, &id),
        |found, memory| {
            let followed = found.map(|record| record.map(|record| memory.followers.follow(record)));
            tell(reply, followed);
        },
    )
}

/// Does nothing but have the file opened, for a caller who reads it beside the keeper.
pub(super) fn use_file(reply: Reply<()>) -> Job {
    Job::new(|_| Ok(()), |opened, _| tell(reply, opened))
}

/// A caller that has gone away needs no answer.
pub(super) fn tell<T>(reply: oneshot::Sender<T>, answer: T) {
    drop(reply.send(answer));
}
