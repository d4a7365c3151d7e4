//! The ledger's file in use: opened when it is needed, opened anew after anything has gone wrong with it.
//!
//! Responsible for what one transaction does, and for refusing to write where it would not last: into a file that has been
//! moved away, into a folder that must not be written. Blocks; [`keeper`](super::keeper) calls it from where that may be.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    LedgerOptions, Record, Step, Tally,
    keeper::Request,
    store::{
        self, Commit, File, Store, StoreError,
        sends::{self, Changed, Entered},
    },
};

/// News of a send that is not on disk yet: whose, what, and when it happened.
#[derive(Clone, Debug)]
pub(super) struct Late {
    pub(super) key: String,
    pub(super) step: Step,
    pub(super) at: Timestamp,
}

/// What the file had to say to one request.
pub(super) enum Outcome {
    Known(Option<Entered>),
    Entered(Entered),
    Advanced(Option<Changed>),
    Many(Vec<Record>),
    One(Option<Record>),
    Nothing,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Disk {
    options: LedgerOptions,
    store: Option<Store>,
    /// What a killed service left behind has been dealt with.
    has_recovered: bool,
    /// Texts have been removed that the log still holds.
    has_stale_texts: bool,
    tally: Tally,
}

impl Disk {
    /// Opens nothing yet.
    pub(super) fn new(options: LedgerOptions) -> Self {
        Self {
            options,
            store: None,
            has_recovered: false,
            has_stale_texts: false,
            tally: Tally::default(),
        }
    }

    /// The same, not open.
    pub(super) fn closed(&self) -> Self {
        Self {
            options: self.options.clone(),
            store: None,
            has_recovered: self.has_recovered,
            has_stale_texts: self.has_stale_texts,
            tally: self.tally.clone(),
        }
    }

    /// What has been written into the file, counted.
    pub(super) const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Writes what has happened, then serves `batch`: all of it as one transaction.
    pub(super) fn serve<'a>(
        &mut self,
        backlog: impl IntoIterator<Item = &'a Late>,
        batch: &[Request],
        now: Timestamp,
    ) -> Result<Vec<Outcome>, StoreError> {
        let keys_since = before(now, self.options.idempotency);
        let keeps_texts = !self.options.retention.is_zero();
        let mut backlog = backlog.into_iter().peekable();
        // News that could not be written has been told long since.
        let must_last = backlog.peek().is_some() || batch.iter().any(Request::must_last);
        let commit = if must_last {
            Commit::Synced
        } else {
            Commit::Written
        };
        let mut store = self.take_store()?;
        if batch.iter().any(Request::must_be_written)
            && let Err(why) = store::check_writable(&self.options.folder)
        {
            // What is open can still be read.
            self.store = Some(store);
            return Err(why);
        }
        let (news, outcomes) = store.transact(commit, |file| {
            let news = backlog
                .map(|Late { key, step, at }| sends::advance(file, key, step, keeps_texts, *at))
                .collect::<Result<Vec<_>, _>>()?;
            let outcomes = batch
                .iter()
                .map(|request| serve_one(file, request, keys_since, keeps_texts, now))
                .collect::<Result<Vec<_>, _>>()?;
            Ok((news, outcomes))
        })?;
        for Changed { before, record } in news.iter().flatten() {
            self.tally.on_changed(*before, record);
        }
        for outcome in &outcomes {
            self.count(outcome);
        }
        self.store = Some(store);
        self.has_stale_texts |= !keeps_texts && outcomes.iter().any(Outcome::has_ended);
        Ok(outcomes)
    }

    fn count(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Entered(Entered::New(record)) => self.tally.on_accepted(record),
            Outcome::Advanced(Some(Changed { before, record })) => {
                self.tally.on_changed(*before, record);
            }
            Outcome::Entered(Entered::Known(_) | Entered::KeyReused)
            | Outcome::Advanced(None)
            | Outcome::Known(_)
            | Outcome::Many(_)
            | Outcome::One(_)
            | Outcome::Nothing => {}
        }
    }

    /// Forgets the texts and the sends that are too old.
    pub(super) fn forget(&mut self) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let LedgerOptions {
            retention,
            idempotency,
            ..
        } = self.options;
        let texts_until = before(now, retention);
        let sends_until = before(now, retention.max(idempotency));
        let mut store = self.take_store()?;
        let removed = store.transact(Commit::Synced, |file| {
            sends::forget(file, texts_until, sends_until)
        })?;
        self.store = Some(store);
        self.has_stale_texts |= removed;
        Ok(())
    }

    /// Whether anything has been committed that a power cut may undo.
    pub(super) fn has_unsynced(&self) -> bool {
        self.store.as_ref().is_some_and(Store::has_unsynced)
    }

    /// Lets what has been committed outlive a power cut.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.store.as_mut().map_or(Ok(()), Store::sync)
    }

    pub(super) const fn has_stale_texts(&self) -> bool {
        self.has_stale_texts
    }

    /// Empties the log, which holds each page as it was before a text was removed from it.
    pub(super) fn scrub(&mut self) -> Result<(), StoreError> {
        if let Some(store) = &mut self.store {
            store.empty_the_log()?;
        }
        self.has_stale_texts = false;
        Ok(())
    }

    /// The file, opened if it is not. It is put back by whoever had no trouble with it: after a failure the next try begins
    /// anew, as the folder may have been replaced, or mounted for writing.
    fn take_store(&mut self) -> Result<Store, StoreError> {
        let folder = &self.options.folder;
        // Writing into a file that has been moved away would succeed.
        let present = self.store.take().filter(|store| store.is_in(folder));
        present.map_or_else(|| self.open(), Ok)
    }

    fn open(&mut self) -> Result<Store, StoreError> {
        let mut store = Store::open(&self.options.folder)?;
        if !self.has_recovered {
            let recover = |file: &File| sends::recover(file, Timestamp::now());
            let left = store.transact(Commit::Synced, recover)?;
            if left > 0 {
                tracing::warn!(
                    sends = left,
                    "sends that were not handed over before the last end were given up; nothing was sent"
                );
            }
            self.has_recovered = true;
        }
        let (open, last) = store.transact(Commit::Written, |file| {
            Ok((sends::all_open(file)?, sends::last_of_each(file)?))
        })?;
        self.tally.begin(open, &last);
        Ok(store)
    }
}

impl Outcome {
    fn has_ended(&self) -> bool {
        matches!(self, Self::Advanced(Some(changed)) if !changed.record.state.is_open())
    }
}

fn serve_one(
    file: &File,
    request: &Request,
    keys_since: Timestamp,
    keeps_texts: bool,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    Ok(match request {
        Request::Known { new, .. } => Outcome::Known(sends::known(file, new, keys_since)?),
        Request::Accept { new, .. } => Outcome::Entered(sends::enter(file, new, keys_since, now)?),
        Request::Advance { key, step, at, .. } => {
            let at = at.unwrap_or(now);
            Outcome::Advanced(sends::advance(file, key, step, keeps_texts, at)?)
        }
        Request::Open { session, .. } => Outcome::Many(sends::open_sends(file, session)?),
        Request::Find { id, .. } => Outcome::One(sends::find(file, id)?),
        Request::List { query, .. } => Outcome::Many(sends::list(file, query)?),
        Request::Close { .. } => Outcome::Nothing,
    })
}

/// `age` before `now`; the beginning of time where that does not exist.
fn before(now: Timestamp, age: Duration) -> Timestamp {
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    now.checked_sub(age).unwrap_or(Timestamp::MIN)
}
