//! The ledger's file in use: opened when it is needed, and opened again after an error.
//!
//! Responsible for what one transaction contains, and for refusing to write where it would not last: into a file that was
//! moved away, removed, replaced or damaged, and into a folder that may not be written. Its functions block;
//! [`keeper`](super::keeper) calls them on a thread for blocking work.
//!
//! Invariant: within one life of the service only the file that was opened first is used. Another file lacks the sends that
//! were accepted since, and does not fit what is in memory. If the file is gone, the service waits for it and makes no new one.

use std::{cell::Cell, collections::VecDeque, path::PathBuf, time::Duration};

use jiff::Timestamp;

use super::{
    clock::{Clock, Now, Stamp},
    job::{Job, Transaction},
    notes::Noted,
    store::{
        self, Checked, Commit, File, Known, Store, StoreError, events,
        readers::OpenFile,
        sends::{self, Changed},
        stamp,
    },
    tally::Tally,
};

/// How long an event is recognised, so that it is written once however often it is heard. WhatsApp keeps what a device has
/// missed for thirty days at most, and then removes the device.
const RECOGNISED: Duration = Duration::from_secs(31 * 24 * 3600);

/// How long the data of an event is kept for a consumer that is still to be given it, or that a person may give it again, although readers
/// do not get it any more. Ten attempts take up to four days; a weekend later a person has looked.
pub const OWED: Duration = Duration::from_secs(7 * 24 * 3600);

/// Where the ledger is kept, and for how long.
#[derive(Clone, Debug)]
pub struct LedgerOptions {
    /// Its own folder. It is made if it is not there; only this user can read it.
    pub folder: PathBuf,
    /// How long an idempotency key, and the state of a send, is remembered.
    pub idempotency: Duration,
    /// How long the text of a send is kept after the send has ended; zero: not at all.
    pub retention: Duration,
    /// How long the data of an event is kept.
    pub events: Duration,
    /// The machine's clocks.
    pub clock: Clock,
}

impl LedgerOptions {
    /// How long a send is known.
    fn sends_kept(&self) -> Duration {
        self.retention.max(self.idempotency)
    }
}

/// What a file says about the time when it is opened.
#[derive(Debug)]
pub(super) struct Found {
    /// The clock readings that the last service left.
    pub(super) stamp: Option<Stamp>,
    /// When the newest row was written.
    pub(super) newest: Option<Timestamp>,
}

/// The file and what is known about it. See the module.
#[derive(Debug)]
pub(super) struct Disk {
    options: LedgerOptions,
    store: Option<Store>,
    /// The file that was opened first.
    known: Option<Known>,
    /// Why the file may not be used until the service is restarted.
    spoilt: Option<String>,
    /// How often it was opened.
    openings: u64,
    /// What was found when it was opened, until the keeper takes it for its timeline.
    found: Option<Found>,
    /// The clock readings that are in the file.
    stamp: Option<Stamp>,
    /// There was no time to check all of it for damage when it was opened.
    is_unchecked: bool,
    /// Sends that a killed service left unfinished have been settled.
    has_recovered: bool,
    /// Texts were removed that the write-ahead log still holds.
    has_stale_texts: bool,
    /// Where the log of events ended when this service first had the file: what stands behind it, this service has written.
    log_began: Option<i64>,
    tally: Tally,
}

impl Disk {
    /// Does not open the file yet.
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
            log_began: None,
            tally: Tally::default(),
        }
    }

    /// The same file, not open. It takes the place of a `Disk` that is away on another thread, and stays if that one is lost in
    /// a panic.
    pub(super) fn closed(&self) -> Self {
        Self {
            known: self.known,
            spoilt: self.spoilt.clone(),
            openings: self.openings,
            has_recovered: self.has_recovered,
            has_stale_texts: self.has_stale_texts,
            log_began: self.log_began,
            tally: self.tally.clone(),
            ..Self::new(self.options.clone())
        }
    }

    /// Counts of what was written into the file.
    pub(super) const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Writes the steps of `backlog`, then serves `jobs`: all of it as one transaction, and so with one wait for the disk.
    pub(super) fn serve(
        &mut self,
        backlog: &VecDeque<Noted>,
        jobs: &mut [Job],
        now: Now,
    ) -> Result<(), StoreError> {
        let keys_since = now.long_ago(self.options.idempotency);
        let sends_since = now.long_ago(self.options.sends_kept());
        let keeps_texts = !self.options.retention.is_zero();
        // The callers who follow a send were told of the backlog long ago.
        let commit = if !backlog.is_empty() || jobs.iter().any(|job| job.must_last) {
            Commit::Synced
        } else {
            Commit::Written
        };
        let mut store = self.take_store()?;
        if jobs.iter().any(|job| job.must_be_written)
            && let Err(why) = store::check_writable(&self.options.folder)
        {
            // The open file can still be read, so it stays open.
            self.store = Some(store);
            return Err(why);
        }
        let known = self.log_began;
        let worked = store.transact(commit, |file| {
            let log_began = known.map_or_else(|| events::newest(file), Ok)?;
            let transaction = Transaction {
                file,
                now,
                keys_since,
                sends_since,
                keeps_texts,
                log_began,
                has_removed_texts: Cell::new(false),
            };
            let news = backlog
                .iter()
                .map(|Noted { key, step, at }| transaction.advance(key, step, *at))
                .collect::<Result<Vec<_>, _>>()?;
            for job in jobs {
                job.run(&transaction)?;
            }
            Ok((news, transaction.has_removed_texts.get(), log_began))
        });
        let (news, has_removed_texts, log_began) = self.put_back(store, worked)?;
        self.log_began = Some(log_began);
        for Changed { before, record } in news.iter().flatten() {
            self.tally.on_changed(*before, record);
        }
        self.has_stale_texts |= has_removed_texts;
        Ok(())
    }

    /// Deletes texts and sends that are too old, a limited number at a time. Answers whether there may be more.
    pub(super) fn forget(&mut self, now: Now) -> Result<bool, StoreError> {
        if !now.is_known() {
            return Ok(false);
        }
        let LedgerOptions {
            retention, events, ..
        } = self.options;
        let texts_until = now.long_ago(retention);
        let sends_until = now.long_ago(self.options.sends_kept());
        let events_until = events::Until {
            data: now.long_ago(events),
            owed: now.long_ago(events.max(OWED)),
            rows: now.long_ago(events.max(RECOGNISED)),
        };
        let mut store = self.take_store()?;
        let worked = store.transact(Commit::Synced, |file| {
            Ok((
                sends::forget(file, texts_until, sends_until)?,
                events::forget(file, events_until, now.at, now.latest())?,
            ))
        });
        let (sends, forgotten) = self.put_back(store, worked)?;
        self.has_stale_texts |= sends.texts || forgotten.data;
        for (id, count) in &forgotten.missed {
            tracing::warn!(
                consumer.id = id,
                events = count,
                "{id} was not given {count} events in time: they have waited for {} days, and are forgotten",
                events.max(OWED).as_secs() / 86_400
            );
        }
        Ok(sends.is_not_all || forgotten.is_not_all)
    }

    /// Leaves the clock readings for the next service, if they say more than the ones in the file. A full disk is no reason for
    /// a warning: without them, the next service only knows some minutes later what is too old.
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

    /// Opens the file if it is not open: the keeper needs to know what it says about the time before it serves jobs. If the
    /// file cannot be opened, serving the jobs reports why.
    pub(super) fn prepare(&mut self) {
        match self.take_store() {
            Ok(store) => self.store = Some(store),
            Err(why) => tracing::debug!(error = %why, "the ledger was not opened: {why}"),
        }
    }

    /// Checks that the file is still the one that was opened, so that a service without work notices too. Opens the file if it
    /// was open before and is not now, or if it could not be used (`in_trouble`). Then something is written into it: only a
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
        let worked = store.transact(Commit::Synced, store::touch);
        self.put_back(store, worked)?;
        Ok(true)
    }

    /// A check of the whole file has found this damage.
    pub(super) fn on_damage(&mut self, why: &StoreError) {
        if let Some(store) = self.store.take() {
            self.spoil(store, why);
        }
    }

    /// Whether the whole file has still to be checked for damage. Answers `true` once for each opening at most.
    pub(super) const fn take_unchecked(&mut self) -> bool {
        std::mem::replace(&mut self.is_unchecked, false)
    }

    /// What the file said about the time when it was opened. Answers once for each opening.
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

    /// Whether a power cut may undo a commit.
    pub(super) fn has_unsynced(&self) -> bool {
        self.store.as_ref().is_some_and(Store::has_unsynced)
    }

    /// Makes all commits outlive a power cut.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.store.as_mut().map_or(Ok(()), Store::sync)
    }

    pub(super) const fn has_stale_texts(&self) -> bool {
        self.has_stale_texts
    }

    /// Whether the write-ahead log is so long that it has to be cut off.
    pub(super) fn has_a_long_log(&self) -> bool {
        self.store.as_ref().is_some_and(Store::has_a_long_log)
    }

    /// Empties the write-ahead log. It holds older versions of the pages, with the texts that were removed from them since.
    pub(super) fn scrub(&mut self) -> Result<(), StoreError> {
        if let Some(store) = &mut self.store {
            store.empty_the_log()?;
        }
        self.has_stale_texts = false;
        Ok(())
    }

    /// Takes the open file, or opens it. The caller puts it back if its work succeeded. After a failure it is dropped, so that
    /// the next try opens the file again: the disk may have been mounted for writing meanwhile, and a file that `SQLite`
    /// could only open for reading stays so until it is opened again.
    fn take_store(&mut self) -> Result<Store, StoreError> {
        if let Some(why) = &self.spoilt {
            return Err(StoreError::Spoilt(why.clone()));
        }
        let Some(mut store) = self.store.take() else {
            return self.open();
        };
        // Writing into a file that was moved away or overwritten would succeed, and be lost.
        match store.check_place() {
            Ok(()) => Ok(store),
            Err(why) if why.is_final() => {
                self.spoil(store, &why);
                Err(why)
            }
            Err(why) => {
                // A file that was removed exists as long as it is open, and an operator can still copy it out of /proc.
                self.store = Some(store);
                Err(why)
            }
        }
    }

    /// Ends work on the file: keeps it open after a success, and stops using it if the work found it damaged.
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
        // Read before the service writes into it: a write would be the newest row.
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
