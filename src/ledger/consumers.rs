//! What a consumer of events asks of the ledger: to keep its place in the log, and what is not delivered yet.
//!
//! ```text
//!  log ──take──▶ waiting ──turns──▶ (an attempt) ──settle──▶ done: nothing is kept
//!                  ▲  ▲                              │
//!                  │  └────── put off ───────────────┤
//!                  └── redrive ── dead ◀── given up ─┘
//! ```
//!
//! Invariants: an event is passed over by a consumer's cursor only together with the row that keeps it for this consumer; of one
//! lane (a chat) the first one that waits has the turn, and no other. So whatever ends the service, nothing is lost, and only
//! what was under way is repeated. The times that a consumer gives here must all come from one clock.

use jiff::Timestamp;

use super::{
    Ledger, LedgerError, ReadError,
    consumer::{
        Consumer, ConsumerChange, ConsumerTally, DeliveryState, Filter, NewConsumer, OpenDelivery,
        Settled, Taken, Turns,
    },
    job, store,
};

impl Ledger {
    /// Makes a consumer known, which is given what stands behind its [`Beginning`](super::Beginning) in the log. One that is known
    /// already gets these settings, and keeps its place.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub async fn put_consumer(&self, new: NewConsumer) -> Result<Consumer, LedgerError> {
        self.ask(|reply| job::put_consumer(new, reply)).await
    }

    /// The consumers of a kind, in the order in which they became known.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn consumers(&self, kind: &'static str) -> Result<Vec<Consumer>, ReadError> {
        self.read(|| move |file: &store::File| store::consumers::of_kind(file, kind))
            .await
    }

    /// Changes a consumer, and answers how it is then; `None`: it is not known.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub async fn change_consumer(
        &self,
        id: &str,
        change: ConsumerChange,
    ) -> Result<Option<Consumer>, LedgerError> {
        let id = id.to_owned();
        self.ask(|reply| job::change_consumer(id, change, reply))
            .await
    }

    /// Forgets a consumer and all that was to be delivered to it. Answers whether it was known. To be asked again after an error:
    /// a part may be left.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub async fn remove_consumer(&self, id: &str) -> Result<bool, LedgerError> {
        loop {
            let own = id.to_owned();
            let removed = self.ask(|reply| job::remove_consumer(own, reply)).await?;
            if !removed.is_not_all {
                return Ok(removed.was_known);
            }
        }
    }

    /// Lets a consumer look at the next events of the log, and keeps for it those that it wants. `None`: it is not known, or is
    /// switched off.
    ///
    /// # Errors
    ///
    /// The file cannot be written. It has looked at nothing then.
    pub async fn take_events(
        &self,
        id: &str,
        filter: &Filter,
        now: Timestamp,
    ) -> Result<Option<Taken>, LedgerError> {
        let (id, filter) = (id.to_owned(), filter.clone());
        self.ask(|reply| job::take_events(id, filter, now, reply))
            .await
    }

    /// What is to be delivered to a consumer now, and when there is more. What is under way is among it: it has its turn until it
    /// is settled.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn turns(&self, id: &str, now: Timestamp, limit: usize) -> Result<Turns, ReadError> {
        self.read(|| {
            let id = id.to_owned();
            move |file: &store::File| store::consumers::turns(file, &id, now, limit)
        })
        .await
    }

    /// Notes the results of attempts, and answers what became of all events of the consumer.
    ///
    /// # Errors
    ///
    /// The file cannot be written. The caller must give them again: until then these events have their turn.
    pub async fn settle(
        &self,
        id: &str,
        settled: Vec<Settled>,
        now: Timestamp,
    ) -> Result<ConsumerTally, LedgerError> {
        let id = id.to_owned();
        self.ask(|reply| job::settle(id, settled, now, reply)).await
    }

    /// Notes how far a consumer has got with an event that has its turn. It is on disk, also after a power cut, when this answers.
    ///
    /// # Errors
    ///
    /// The file cannot be written; what depends on the step must not be done then.
    pub async fn note_step(&self, id: &str, seq: i64, step: u8) -> Result<(), LedgerError> {
        let id = id.to_owned();
        self.ask(|reply| job::note_step(id, seq, step, reply)).await
    }

    /// Lets all that waits for another attempt have its turn at once.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub async fn hurry(&self, id: &str, now: Timestamp) -> Result<(), LedgerError> {
        loop {
            let own = id.to_owned();
            if !self.ask(|reply| job::hurry(own, now, reply)).await? {
                return Ok(());
            }
        }
    }

    /// Gives a turn to what has none for no good reason: what was never tried, and is said to have its turn in the future, and what
    /// is put off for longer than anything is. For a consumer whose clock has just started.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub async fn mend_turns(&self, id: &str, now: Timestamp) -> Result<(), LedgerError> {
        let id = id.to_owned();
        self.ask(|reply| job::mend_turns(id, now, reply)).await
    }

    /// Lets deliveries that were given up wait for their turn again: those of these events, else all of them. Answers how many.
    ///
    /// # Errors
    ///
    /// The file cannot be written. To be asked again: a part may be left.
    pub async fn redrive(
        &self,
        id: &str,
        events: Option<Vec<String>>,
        now: Timestamp,
    ) -> Result<usize, LedgerError> {
        let mut count = 0;
        loop {
            let (own, of) = (id.to_owned(), events.clone());
            let redriven = self.ask(|reply| job::redrive(own, of, now, reply)).await?;
            count += redriven.count;
            if !redriven.is_not_all {
                return Ok(count);
            }
        }
    }

    /// Deliveries of a consumer that are not done with, in the order of their events, a page at a time; only of events that `filter`
    /// is for, since it may have changed after they were taken.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn deliveries(
        &self,
        id: &str,
        filter: &Filter,
        state: DeliveryState,
        after: i64,
        limit: usize,
    ) -> Result<Vec<OpenDelivery>, ReadError> {
        self.read(|| {
            let (id, filter) = (id.to_owned(), filter.clone());
            move |file: &store::File| {
                store::consumers::list(file, &id, &filter, state, after, limit)
            }
        })
        .await
    }
}
