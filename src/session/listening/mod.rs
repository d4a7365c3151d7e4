//! What a session hears: from the page into the log of events.
//!
//! Responsible for fetching what the page has heard, for writing it down, for confirming to the page what is on disk, and for saying
//! how far hearing has got. Its work goes on together with the session's own as long as the page is there: the actor polls it, and gives it
//! signs ([`on_heard`](Listening::on_heard), [`on_ready`](Listening::on_ready)). Not responsible for how the page hears
//! (`whatsapp/page/hearing.js`), nor for who reads the log.
//!
//! Invariants: the page forgets an event only once it is on disk. One batch at a time is in memory here, so a page that hears
//! more than the disk takes keeps it itself; what does not fit there either is in WhatsApp's own store, and the walk through
//! that finds it. A page does not know what an earlier one has heard, so the service names the persons to it whose number the log
//! lacks. That an event is in the log once is the ledger's part, by WhatsApp's own ids.

mod entry;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use entry::entry;
use futures_util::{FutureExt as _, future::BoxFuture};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::{
    ClienteId,
    publisher::Publisher,
    snapshot::{HearingReport, HearingState},
};
use crate::{
    heard::Numberless,
    ledger::{HeardUntil, Ledger, Me, NewEvent},
    whatsapp::{AdapterName, Confirmed, Driver, Hear, HearError, HeardBatch, Said},
};

/// Seconds do not order messages, and one may reach the page's store after a newer one of another chat: the store is searched from
/// so long before the moment up to which all was heard.
const OVERLAP: Duration = Duration::from_mins(10);

/// The page or the disk did not do what was asked: it is asked again after this, and after twice as long each time, up to
/// [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);

/// See [`SHORTEST_PAUSE`]. A disk that was freed is used again within this.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// That the time of the last event is another one is news at most so often: each is sent to everyone who watches the session.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// The hearing of one page. See the module.
pub(in crate::session) struct Listening<'a> {
    signs: Arc<Signs>,
    /// Ends never.
    pub(in crate::session) work: BoxFuture<'a, Infallible>,
}

/// What the actor gives, and sees.
#[derive(Debug, Default)]
struct Signs {
    wake: Notify,
    link: Mutex<Option<LinkTime>>,
    /// The page is connected and has its chats.
    is_ready: AtomicBool,
    /// How often it has become so.
    walks: AtomicU64,
    /// There is nothing left to fetch or to look for.
    is_settled: AtomicBool,
}

/// When the link was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LinkTime {
    linked_at: Timestamp,
    /// That was in this run: everything since then is heard. Otherwise an earlier version of the service may have had it.
    is_new: bool,
}

impl<'a> Listening<'a> {
    pub(in crate::session) fn new<D: Driver>(
        driver: &'a D,
        ledger: Ledger,
        publisher: &'a Publisher,
        session: &'a ClienteId,
        backfill: Duration,
    ) -> Self {
        let signs = Arc::new(Signs::default());
        signs.is_settled.store(true, Ordering::Relaxed);
        let ear = Ear {
            driver,
            ledger,
            publisher,
            session,
            backfill,
            signs: Arc::clone(&signs),
            heard: None,
            document: None,
            numberless: Vec::new(),
            confirmed: None,
            report: HearingReport::default(),
            reported_at: None,
        };
        Self {
            signs,
            work: ear.run().boxed(),
        }
    }

    /// The page has something that waits.
    pub(in crate::session) fn on_heard(&self) {
        self.wake();
    }

    /// The session is linked since then.
    pub(in crate::session) fn on_link(&self, linked_at: Option<Timestamp>, is_new: bool) {
        let mut link = self.signs.link.lock();
        let before = *link;
        *link = linked_at.map(|linked_at| LinkTime {
            linked_at,
            is_new: is_new
                || before.is_some_and(|before| before.is_new && before.linked_at == linked_at),
        });
        if *link != before {
            drop(link);
            self.wake();
        }
    }

    /// The page could send, or not any more.
    pub(in crate::session) fn on_ready(&self, is_ready: bool) {
        let was_ready = self.signs.is_ready.swap(is_ready, Ordering::Relaxed);
        if is_ready && !was_ready {
            self.signs.walks.fetch_add(1, Ordering::Relaxed);
            self.wake();
        }
    }

    /// Whether nothing is left to fetch or to look for, as far as is known.
    pub(in crate::session) fn is_settled(&self) -> bool {
        self.signs.is_settled.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        self.signs.is_settled.store(false, Ordering::Relaxed);
        self.signs.wake.notify_one();
    }
}

/// The work itself.
struct Ear<'a, D> {
    driver: &'a D,
    ledger: Ledger,
    publisher: &'a Publisher,
    session: &'a ClienteId,
    backfill: Duration,
    signs: Arc<Signs>,
    /// How far the session has heard of its present link.
    heard: Option<(LinkTime, HeardUntil)>,
    /// The document of the page that has answered last.
    document: Option<String>,
    /// What that is still to be told: persons whose number the log does not have.
    numberless: Vec<Numberless>,
    confirmed: Option<Confirmed>,
    report: HearingReport,
    reported_at: Option<Instant>,
}

impl<D: Driver> Ear<'_, D> {
    async fn run(mut self) -> Infallible {
        loop {
            let signs = Arc::clone(&self.signs);
            tokio::select! {
                () = signs.wake.notified() => {}
                () = self.report_later() => continue,
            }
            if self.fetch().await {
                self.signs.is_settled.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Fetches until nothing waits. Answers whether nothing is left to look for either.
    async fn fetch(&mut self) -> bool {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let Some(link) = *self.signs.link.lock() else {
                self.say(HearingState::Off, None);
                return true;
            };
            let heard = match self.heard_until(link).await {
                Ok(heard) => heard,
                Err(why) => {
                    self.say(HearingState::Paused, Some(why));
                    self.rest(&mut pause).await;
                    continue;
                }
            };
            match self.driver.hear(&self.question(heard)).await {
                Ok(batch) => {
                    pause = SHORTEST_PAUSE;
                    let answered = Instant::now();
                    let has_more_to_tell = self.meet(&batch.document, heard).await;
                    let is_empty = batch.is_empty();
                    let is_walking = batch.is_walking;
                    let state = state_of(&batch, self.signs.is_ready.load(Ordering::Relaxed));
                    self.report.adapter = batch.by;
                    self.say(state, detail_of(&batch));
                    if is_empty && !has_more_to_tell {
                        let can_walk = batch.by.is_some_and(AdapterName::hears_all);
                        return !(is_walking && can_walk);
                    }
                    if !is_empty {
                        self.write(batch, answered).await;
                    }
                }
                Err(HearError::Lacking(why)) => {
                    self.say(HearingState::Off, Some(why));
                    return true;
                }
                // As between two documents: the next one says that it is there.
                Err(HearError::NoAnswer(_)) => self.rest(&mut pause).await,
            }
        }
    }

    /// How far the session has heard of this link, by the ledger.
    async fn heard_until(&mut self, link: LinkTime) -> Result<HeardUntil, String> {
        if let Some((known, heard)) = self.heard
            && known.linked_at == link.linked_at
        {
            return Ok(heard);
        }
        // WhatsApp's times are whole seconds.
        let second = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap_or(at);
        let begin = if link.is_new {
            second(link.linked_at)
        } else {
            second(Timestamp::now())
        };
        let read = self
            .ledger
            .heard_until(self.session.as_str(), link.linked_at, begin);
        let heard = read.await.map_err(|why| why.to_string())?;
        self.heard = Some((link, heard));
        self.report.heard_until = Some(heard.until);
        Ok(heard)
    }

    /// A document has answered. Answers whether it is to be told something that it does not know.
    async fn meet(&mut self, document: &str, heard: HeardUntil) -> bool {
        if self.document.as_deref() == Some(document) {
            self.numberless.clear();
            return false;
        }
        self.document = Some(document.to_owned());
        let read = self.ledger.numberless(self.session.as_str(), heard.begun);
        self.numberless = read.await.unwrap_or_else(|why| {
            tracing::debug!(error = %why, "whose number the log lacks could not be read: {why}");
            Vec::new()
        });
        !self.numberless.is_empty()
    }

    fn question(&self, heard: HeardUntil) -> Hear {
        let before =
            |at: Timestamp, time: Duration| at.saturating_sub(time).unwrap_or(Timestamp::MIN);
        let reach = before(Timestamp::now(), self.backfill).max(heard.begun);
        let is_ready = self.signs.is_ready.load(Ordering::Relaxed);
        Hear {
            confirmed: self.confirmed.clone(),
            since: before(heard.until, OVERLAP).max(reach),
            floor: heard.begun,
            reach,
            walks: if is_ready {
                self.signs.walks.load(Ordering::Relaxed)
            } else {
                0
            },
            numberless: self.numberless.clone(),
        }
    }

    /// Writes down what was fetched, however long the disk takes. The page keeps it meanwhile, as it is confirmed by the next
    /// question only. `answered` is when the page answered with it.
    async fn write(&mut self, batch: HeardBatch, answered: Instant) {
        if batch.not_understood > 0 {
            tracing::warn!(
                events = batch.not_understood,
                "the page has heard something that was not understood, and that is left out"
            );
        }
        let me = Me {
            phone: batch.phone.clone(),
            lid: batch.lid.clone(),
        };
        let mut until = None;
        let (mut new, mut heard_at) = (Vec::new(), Vec::new());
        for said in batch.said {
            match said {
                Said::Event(heard) => {
                    let waited = heard.waited.filter(|_| !heard.late);
                    heard_at.push(waited.and_then(|waited| answered.checked_sub(waited)));
                    new.push(entry(self.session, &me, *heard));
                }
                Said::Until(at) => until = Some(at),
            }
        }
        if !new.is_empty() {
            self.append(&new, &heard_at).await;
        }
        if let Some(until) = until {
            self.note(until).await;
        }
        self.confirmed = Some(Confirmed {
            document: batch.document,
            upto: batch.upto,
        });
    }

    /// `heard_at`: when the page heard each, of those that it heard as they happened.
    async fn append(&mut self, new: &[NewEvent], heard_at: &[Option<Instant>]) {
        let mut pause = SHORTEST_PAUSE;
        let places = loop {
            match self.ledger.append(new.to_vec()).await {
                Ok(places) => break places,
                Err(why) => {
                    self.say(HearingState::Paused, Some(why.to_string()));
                    self.rest(&mut pause).await;
                }
            }
        };
        let in_log = places.iter().zip(heard_at);
        for heard_at in in_log.filter_map(|(place, heard_at)| place.and(*heard_at)) {
            self.ledger.tally().on_logged(heard_at.elapsed());
        }
        let added = || new.iter().zip(&places).filter(|(_, place)| place.is_some());
        let late = added().filter(|(event, _)| event.is_late).count();
        if late > 0 {
            tracing::info!(
                events = late,
                "heard {late} events that happened while the session could not hear them"
            );
        }
        if let Some(last) = added().map(|(event, _)| event.happened_at).max() {
            let last = self.report.last_event_at.map_or(last, |at| at.max(last));
            self.report.last_event_at = Some(last);
        }
    }

    /// Everything up to this moment is in the log. That it cannot be noted costs a longer search next time.
    async fn note(&mut self, until: Timestamp) {
        let noted = self.ledger.note_heard(self.session.as_str(), until).await;
        if let Err(why) = noted {
            tracing::debug!(error = %why, "how far the session has heard could not be noted: {why}");
            return;
        }
        if let Some((_, heard)) = &mut self.heard {
            heard.until = heard.until.max(until);
            self.report.heard_until = Some(heard.until);
        }
    }

    /// Waits before the same is tried again, unless the page says something.
    async fn rest(&self, pause: &mut Duration) {
        tokio::select! {
            () = self.signs.wake.notified() => {}
            () = tokio::time::sleep(*pause) => {}
        }
        *pause = (*pause * 2).min(LONGEST_PAUSE);
    }

    /// Publishes how hearing stands, if that is news.
    fn say(&mut self, state: HearingState, detail: Option<String>) {
        let is_news = (self.report.state, &self.report.detail) != (state, &detail);
        (self.report.state, self.report.detail) = (state, detail);
        if is_news {
            self.publish();
        }
    }

    /// Publishes what has changed since, once that may be said again.
    async fn report_later(&mut self) {
        let is_published = self.publisher.snapshot().hearing == self.report;
        if is_published {
            std::future::pending::<()>().await;
        }
        if let Some(last) = self.reported_at {
            tokio::time::sleep_until(last + REPORT_EVERY).await;
        }
        self.publish();
    }

    fn publish(&mut self) {
        self.reported_at = Some(Instant::now());
        let report = self.report.clone();
        self.publisher.amend(|snapshot| {
            let is_news = snapshot.hearing != report;
            snapshot.hearing = report;
            is_news
        });
    }
}

/// How hearing stands, by what the page answers.
fn state_of(batch: &HeardBatch, is_ready: bool) -> HearingState {
    match batch.by {
        None => HearingState::Starting,
        _ if !is_ready => HearingState::Starting,
        Some(by) if !by.hears_all() => HearingState::Limited,
        Some(_) if !batch.lacks.is_empty() || batch.trouble.is_some() => HearingState::Limited,
        Some(_) if batch.is_walking => HearingState::CatchingUp,
        Some(_) => HearingState::Live,
    }
}

/// What a person should know of it.
fn detail_of(batch: &HeardBatch) -> Option<String> {
    match batch.by {
        Some(by) if !by.hears_all() => Some(format!(
            "the adapter {by} hears only what the open chat shows on the screen"
        )),
        _ if !batch.lacks.is_empty() => Some(format!(
            "WhatsApp Web lacks what the service hears by: {}",
            batch.lacks.join(", ")
        )),
        _ => batch
            .trouble
            .as_ref()
            .map(|why| format!("what came while the session was away is not found: {why}")),
    }
}
