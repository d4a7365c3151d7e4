//! The ledger's file in use: opened when it is needed, opened anew after anything has gone wrong with it.
//!
//! Responsible for what one transaction does, and for refusing to write where it would not last: into a file that has been
//! moved away, removed, replaced or spoilt, into a folder that must not be written. Blocks; [`keeper`](super::keeper)
//! calls it from where that may be.
//!
//! Invariant: within one life of the service only the file that was opened first is ever used. Another one does not have
//! what was accepted since, and what is in memory does not fit it; a file that is gone is waited for, and none is made.

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    LedgerOptions, Record, Step, Tally,
    clock::{Now, Stamp},
    keeper::Request,
    store::{
        self, Checked, Commit, File, Known, Store, StoreError,
        readers::OpenFile,
        sends::{self, Changed, Entered},
        stamp,
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
    /// The disk stood still for so long that nobody waits for it to be accepted.
    TooLate,
    Advanced(Option<Changed>),
    Many(Vec<Record>),
    One(Option<Record>),
    Nothing,
}

/// What a file that was opened says of the time.
#[derive(Debug)]
pub(super) struct Found {
    /// What the last service has left.
    pub(super) stamp: Option<Stamp>,
    /// When the row was written that was written last.
    pub(super) newest: Option<Timestamp>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Disk {
    options: LedgerOptions,
    store: Option<Store>,
    /// The file that was opened first.
    known: Option<Known>,
    /// Why the file is not used any more until the service is restarted.
    spoilt: Option<String>,
    /// How often it was opened.
    openings: u64,
    /// What was found when it was opened, for whoever knows what time it is.
    found: Option<Found>,
    /// What it has of this machine's clocks.
    stamp: Option<Stamp>,
    /// Not all of it has been looked at for damage.
    is_unchecked: bool,
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
            known: None,
            spoilt: None,
            openings: 0,
            found: None,
            stamp: None,
            is_unchecked: false,
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
            known: self.known,
            spoilt: self.spoilt.clone(),
            openings: self.openings,
            found: None,
            stamp: None,
            is_unchecked: false,
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
        now: Now,
    ) -> Result<Vec<Outcome>, StoreError> {
        let keys_since = now.long_ago(self.options.idempotency);
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
        let worked = store.transact(commit, |file| {
            let news = backlog
                .map(|Late { key, step, at }| sends::advance(file, key, step, keeps_texts, *at))
                .collect::<Result<Vec<_>, _>>()?;
            let outcomes = batch
                .iter()
                .map(|request| serve_one(file, request, keys_since, keeps_texts, now))
                .collect::<Result<Vec<_>, _>>()?;
            Ok((news, outcomes))
        });
        let (news, outcomes) = self.put_back(store, worked)?;
        for Changed { before, record } in news.iter().flatten() {
            self.tally.on_changed(*before, record);
        }
        for outcome in &outcomes {
            self.count(outcome);
        }
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
            | Outcome::TooLate
            | Outcome::Many(_)
            | Outcome::One(_)
            | Outcome::Nothing => {}
        }
    }

    /// Forgets texts and sends that are too old, some at a time. Answers whether there may be more.
    pub(super) fn forget(&mut self, now: Now) -> Result<bool, StoreError> {
        if !now.is_known() {
            return Ok(false);
        }
        let LedgerOptions {
            retention,
            idempotency,
            ..
        } = self.options;
        let texts_until = now.long_ago(retention);
        let sends_until = now.long_ago(retention.max(idempotency));
        let mut store = self.take_store()?;
        let worked = store.transact(Commit::Synced, |file| {
            sends::forget(file, texts_until, sends_until)
        });
        let forgotten = self.put_back(store, worked)?;
        self.has_stale_texts |= forgotten.texts;
        Ok(forgotten.is_not_all)
    }

    /// Leaves what the clocks say for the next service, when it says more than what was left before. A disk that is full is no
    /// reason to complain: the next service learns what is too old some minutes later.
    pub(super) fn leave(&mut self, new: Stamp) {
        if self
            .stamp
            .as_ref()
            .is_some_and(|old| old.is_as_good_as(&new))
        {
            return;
        }
        let Some(mut store) = self.store.take() else {
            return;
        };
        let left = store.transact(Commit::Synced, |file| stamp::leave(file, &new));
        match left.map_err(|why| why.about(&self.options.folder)) {
            Err(why) if why.is_final() => self.spoil(store, &why),
            left => {
                self.store = Some(store);
                match left {
                    Ok(()) => self.stamp = Some(new),
                    Err(why) => {
                        tracing::debug!(error = %why, "the time was not written down: {why}");
                    }
                }
            }
        }
    }

    /// Whether the file is open.
    pub(super) const fn is_open(&self) -> bool {
        self.store.is_some()
    }

    /// Opens it, if it is not open: what it says of the time is needed before it is used. What is in the way of that, the use
    /// says.
    pub(super) fn prepare(&mut self) {
        match self.take_store() {
            Ok(store) => self.store = Some(store),
            Err(why) => tracing::debug!(error = %why, "the ledger was not opened: {why}"),
        }
    }

    /// Sees that the file is still the one that was opened, so that a service without work notices as well. Opens it when it
    /// has been open before and is not, or when it could not be used (`in_trouble`). Then something is written into it: only a
    /// transaction that has worked says that it can be used again. Answers whether the file was looked at.
    pub(super) fn look(&mut self, in_trouble: bool) -> Result<bool, StoreError> {
        if self.known.is_none() && self.spoilt.is_none() && !in_trouble {
            return Ok(false);
        }
        let mut store = self.take_store()?;
        if !in_trouble {
            self.store = Some(store);
            return Ok(true);
        }
        if let Err(why) = store::check_writable(&self.options.folder) {
            self.store = Some(store);
            return Err(why);
        }
        let stamp = self.stamp.clone();
        let worked = store.transact(Commit::Synced, |file| {
            stamp.map_or(Ok(()), |stamp| stamp::leave(file, &stamp))
        });
        self.put_back(store, worked)?;
        Ok(true)
    }

    /// Another look at the whole file has found this.
    pub(super) fn on_damage(&mut self, why: &StoreError) {
        if let Some(store) = self.store.take() {
            self.spoil(store, why);
        }
    }

    /// Whether all of the file has to be looked at for damage beside the service. Asked once for each opening.
    pub(super) const fn take_unchecked(&mut self) -> bool {
        std::mem::replace(&mut self.is_unchecked, false)
    }

    /// What the file said of the time when it was opened. Asked once for each opening.
    pub(super) const fn take_found(&mut self) -> Option<Found> {
        self.found.take()
    }

    /// The file that reads may use.
    pub(super) fn open_file(&self) -> Option<OpenFile> {
        let store = self.store.as_ref()?;
        Some(OpenFile {
            folder: self.options.folder.clone(),
            identity: store.known().identity,
            opening: self.openings,
        })
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

    /// Whether the log has grown so long that it has to be cut off.
    pub(super) fn has_a_long_log(&self) -> bool {
        self.store.as_ref().is_some_and(Store::has_a_long_log)
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
    /// anew, as the folder may have been mounted for writing.
    fn take_store(&mut self) -> Result<Store, StoreError> {
        if let Some(why) = &self.spoilt {
            return Err(StoreError::Spoilt(why.clone()));
        }
        let Some(mut store) = self.store.take() else {
            return self.open();
        };
        // Writing into a file that has been moved away or overwritten would succeed.
        match store.check_place() {
            Ok(()) => Ok(store),
            Err(why) if why.is_final() => {
                self.spoil(store, &why);
                Err(why)
            }
            Err(why) => {
                // A file that was removed exists as long as it is open, and an operator can still copy it.
                self.store = Some(store);
                Err(why)
            }
        }
    }

    /// After work on the file, which it may have found to be damaged.
    fn put_back<T>(
        &mut self,
        store: Store,
        worked: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match worked.map_err(|why| why.about(&self.options.folder)) {
            Ok(done) => {
                self.store = Some(store);
                Ok(done)
            }
            Err(why) if why.is_final() => {
                self.spoil(store, &why);
                Err(why)
            }
            Err(why) => Err(why),
        }
    }

    fn spoil(&mut self, store: Store, why: &StoreError) {
        store.abandon(why);
        self.spoilt = Some(why.to_string());
    }

    fn open(&mut self) -> Result<Store, StoreError> {
        let mut store = Store::open(&self.options.folder, self.known)?;
        self.is_unchecked = store.checked() == Checked::InPart;
        // Before anything is written into it.
        let found = store.transact(Commit::Written, |file| {
            Ok(Found {
                stamp: stamp::left(file)?,
                newest: sends::newest(file)?,
            })
        })?;
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
        self.known = Some(store.known());
        self.stamp.clone_from(&found.stamp);
        self.found = Some(found);
        self.openings += 1;
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
    now: Now,
) -> Result<Outcome, StoreError> {
    Ok(match request {
        Request::Known { new, .. } => Outcome::Known(sends::known(file, new, keys_since, now)?),
        Request::Accept { new, .. } if new.accept_by <= Instant::now() => Outcome::TooLate,
        Request::Accept { new, .. } => Outcome::Entered(sends::enter(file, new, keys_since, now)?),
        Request::Advance { key, step, at, .. } => {
            let at = at.unwrap_or(now.at);
            Outcome::Advanced(sends::advance(file, key, step, keeps_texts, at)?)
        }
        Request::Open { session, .. } => Outcome::Many(sends::open_sends(file, session)?),
        Request::Find { id, .. } => Outcome::One(sends::find(file, id)?),
        Request::Use { .. } | Request::Close { .. } => Outcome::Nothing,
    })
}
