//! The send of one session that has its turn, and those that wait for WhatsApp's server.
//!
//! Responsible for what each answer of page and ledger means for a send. Does nothing itself: [`sending`](crate::session::sending)
//! calls the page and the ledger and reports back here; what is to be written down is left in
//! [`take_notes`](InFlight::take_notes). Knows no time but what it is given. Who waits for a turn is [`Queue`]'s part; what is
//! in doubt leaves it, and comes back through [`recovery`](super::recovery).

use std::time::Duration;

use tokio::time::Instant;

use super::{
    pace::Pace,
    queue::{Queue, QueuedSend},
};
use crate::{
    extras::Medium,
    ledger::{Failure, LedgerError, Record, Step},
    session::{SendError, SendLimits},
    whatsapp::{HandOverError, Handed, Outgoing, PrepareError, Prepared, TargetError},
};

/// WhatsApp's acknowledgement of a message that it gave up.
const GAVE_UP: i32 = -1;

/// A page reloads itself once or twice in a row; one that breaks each time would hold up a send, and those behind it,
/// for ever.
const MAX_INTERRUPTIONS: u8 = 2;

/// Between two tries: a page that reloads itself reports that within milliseconds, and the send then waits for it.
const INTERRUPTION_PAUSE: Duration = Duration::from_millis(300);

/// Before an upload is tried again, each further time twice as long, up to the longest: a server that is busy, or a network that is lost,
/// is not back at once. Its recipient's messages wait with it, and no others.
const UPLOAD_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_UPLOAD_PAUSE: Duration = Duration::from_secs(2 * 60);

/// How often the service tries an upload. For a send whose caller does not wait, it goes on trying until so much time has passed since the
/// first try failed. There it counts time and not tries: a large file that stands still holds up the others for minutes at each try.
const UPLOAD_TRIES: u32 = 3;
const UPLOAD_PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Between two tries to make a message ready in a page that gives no sign of life.
const SILENCE_PAUSE: Duration = Duration::from_secs(1);

/// Between two tries to write a durable send down while the ledger cannot be used: a full disk is not freed at once.
const LEDGER_PAUSE: Duration = Duration::from_secs(5);

/// The send that has its turn, and those that the page has taken.
#[derive(Debug)]
pub(in crate::session) struct InFlight {
    wait: Duration,
    pub(super) queue: Queue,
    /// At most one send is between "taken from the queue" and "handed over": WhatsApp then keeps the order.
    current: Option<Current>,
    /// Taken by the page, not yet by the server: the inner ids that the page knows them by, and since when; oldest first.
    handed: Vec<(String, Instant)>,
    notes: Vec<(String, Step)>,
    progress: Progress,
}

/// How far all sends have come, counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Steps that no send goes twice: its first turn, each stage of that, its end.
    pub(super) steps: u64,
    /// Words of the page about a send: made ready, taken, refused, acknowledged. Its silence is none.
    pub(super) page_answers: u64,
    /// Messages that the page had taken and WhatsApp's server has.
    pub(super) sent: u64,
}

/// What is to be done when the page has answered a hand-over.
#[derive(Debug, PartialEq)]
pub(super) enum AfterHandOver {
    /// Nothing more.
    Done,
    /// What became of it has to be found out.
    InDoubt,
    /// The page took nothing, and another adapter is to get it: written down as such first.
    Again(Outgoing, Prepared),
}

#[derive(Debug)]
struct Current {
    entry: QueuedSend,
    began: Instant,
    /// By when the page must have answered.
    limit: Instant,
    /// Known once the recipient is: from then on the message may have left the service.
    prepared: Option<Prepared>,
    /// An acknowledgement can overtake the answer to the hand-over.
    early_ack: Option<i32>,
}

impl InFlight {
    /// `pace`: how fast the session may send.
    pub(super) fn new(limits: SendLimits, pace: Pace) -> Self {
        Self {
            wait: limits.wait,
            queue: Queue::new(limits, pace),
            current: None,
            handed: Vec::new(),
            notes: Vec::new(),
            progress: Progress::default(),
        }
    }

    /// What has happened since the last call, to be written down.
    pub(super) fn take_notes(&mut self) -> Vec<(String, Step)> {
        std::mem::take(&mut self.notes)
    }

    /// Takes a send in, at its place in the order. One that is here already stays where it is.
    pub(super) fn enqueue(&mut self, record: &Record, deadline: Option<Instant>) {
        if self.holds(&record.key) {
            return;
        }
        if let Some(entry) = QueuedSend::of(record, deadline) {
            self.queue.insert(entry);
        } else {
            let detail = "its text is no longer kept".to_owned();
            self.note(&record.key, Step::Failed(Failure::NotTaken, detail));
        }
    }

    /// Whether the send is here: it is being written down, it waits, or it is on its way into the page.
    pub(super) fn holds(&self, key: &str) -> bool {
        let is_current = |current: &Current| current.entry.outgoing.key == key;
        self.queue.holds(key) || self.current.as_ref().is_some_and(is_current)
    }

    /// Takes the next send from the queue, to be prepared by the time given; `None` while another is on its way, when
    /// none waits, or when it is too early for one. What is late is given up first. A late send, once begun, would come back from
    /// the ledger as late, for ever.
    pub(super) fn begin(&mut self, now: Instant) -> Option<(Outgoing, Instant)> {
        self.expire(now);
        if self.current.is_some() {
            return None;
        }
        let entry = self.queue.begin(now)?;
        self.progress.steps += u64::from(entry.turns == 1);
        let limit = now + self.wait + entry.outgoing.extras.extra_time();
        let limit = entry.deadline.unwrap_or(limit);
        let outgoing = entry.outgoing.clone();
        self.current = Some(Current {
            entry,
            began: now,
            limit,
            prepared: None,
            early_ack: None,
        });
        Some((outgoing, limit))
    }

    /// Whom the send on its way goes to.
    pub(super) fn current_recipient(&self) -> Option<&str> {
        let current = self.current.as_ref()?;
        Some(&current.entry.outgoing.to)
    }

    /// Whether the send on its way does something to a message.
    pub(super) fn is_of_action(&self) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|current| current.entry.outgoing.extras.action.is_some())
    }

    /// Whether the send on its way is newer than this one, and takes its place.
    pub(super) fn supersedes(&self, record: &Record) -> bool {
        let current = self.current.as_ref();
        let newer = current.map(|current| &current.entry);
        let newer = newer.filter(|newer| record.seq < newer.seq);
        let action = newer.and_then(|newer| newer.outgoing.action());
        let older = record.extras.action.as_ref();
        action
            .zip(older)
            .is_some_and(|(newer, older)| newer.replaces(older))
    }

    /// Whether the send on its way has a file.
    pub(super) fn is_of_medium(&self) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|current| current.entry.outgoing.extras.media.is_some())
    }

    /// Whether the send on its way has a file that may still be on its way to WhatsApp's server.
    pub(super) fn is_uploading(&self, now: Instant) -> bool {
        let is_uploading = |current: &Current| current.prepared.is_none() && now < current.limit;
        self.is_of_medium() && self.current.as_ref().is_some_and(is_uploading)
    }

    /// Keeps a place for one more send to this recipient, as [`Queue::reserve`] does.
    pub(super) fn reserve(
        &mut self,
        key: &str,
        to: &str,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Result<(), SendError> {
        let free_at = self.free_at(now);
        self.queue.reserve(key, to, deadline, free_at, now)
    }

    /// When a send to this recipient that is accepted now would go out, as far as that can be told.
    pub(super) fn due(&self, to: &str, now: Instant) -> Instant {
        self.queue.due(to, self.free_at(now), now)
    }

    /// When the file on its way is with WhatsApp's server, as far as that can be told: one that has taken longer than usual is taken
    /// to need as long once more.
    fn free_at(&self, now: Instant) -> Instant {
        let current = self.current.as_ref().filter(|_| self.is_uploading(now));
        let Some(current) = current else {
            return now;
        };
        let medium = current.entry.outgoing.extras.media.as_ref();
        let usual = medium.map_or(Duration::ZERO, |medium| {
            Medium::usual_upload_time(medium.bytes)
        });
        let taken = now.saturating_duration_since(current.began);
        let rest = usual.checked_sub(taken).filter(|rest| !rest.is_zero());
        let rest = rest.unwrap_or(taken);
        current.limit.min(now + rest)
    }

    /// The page has looked the recipient up. Answers what is to be written down, if the send goes on.
    pub(super) fn on_prepared(
        &mut self,
        result: Result<Prepared, PrepareError>,
        now: Instant,
    ) -> Option<(Outgoing, Prepared)> {
        match result {
            Ok(prepared) => {
                self.drop_acknowledged();
                // A disk that is slower than the sends wait must not look like a page that says nothing.
                self.progress.page_answers += 1;
                let current = self.current.as_mut()?;
                current.prepared = Some(prepared.clone());
                self.progress.steps += u64::from(current.entry.turns == 1);
                Some((current.entry.outgoing.clone(), prepared))
            }
            Err(why) => {
                let mut entry = self.current.take()?.entry;
                self.progress.page_answers += u64::from(why.is_an_answer());
                match why {
                    // The session's pings find out whether page or Chrome hang, and then the session ends; or its caller's
                    // time is over.
                    PrepareError::Silent(_) => {
                        self.queue.put_back(entry, Some(now + SILENCE_PAUSE));
                    }
                    PrepareError::Interrupted(_) if entry.interruptions < MAX_INTERRUPTIONS => {
                        entry.interruptions += 1;
                        self.queue.put_back(entry, Some(now + INTERRUPTION_PAUSE));
                    }
                    PrepareError::NotUploaded(_) => {
                        let pause = UPLOAD_PAUSE * 2_u32.saturating_pow(entry.failed_uploads);
                        entry.failed_uploads += 1;
                        let first = *entry.upload_failed_at.get_or_insert(now);
                        let until = now + pause.min(LONGEST_UPLOAD_PAUSE);
                        let goes_on = match entry.deadline {
                            Some(deadline) => {
                                entry.failed_uploads < UPLOAD_TRIES && until < deadline
                            }
                            None => {
                                entry.failed_uploads < UPLOAD_TRIES || now < first + UPLOAD_PATIENCE
                            }
                        };
                        if goes_on {
                            self.queue.rest(entry, until);
                        } else {
                            self.fail(&entry, Failure::NotUploaded, &why.to_string());
                        }
                    }
                    PrepareError::NotOnWhatsApp => {
                        self.fail(&entry, Failure::NotOnWhatsApp, &why.to_string());
                    }
                    PrepareError::NotInGroup => {
                        self.fail(&entry, Failure::NotInGroup, &why.to_string());
                    }
                    PrepareError::Target(target) => {
                        self.fail(&entry, failure_of(target), &why.to_string());
                    }
                    PrepareError::Stale(_) => {
                        self.fail(&entry, Failure::ProfileStale, &why.to_string());
                    }
                    PrepareError::Unanswered(_) => {
                        self.fail(&entry, Failure::NotChecked, &why.to_string());
                    }
                    PrepareError::Interrupted(_)
                    | PrepareError::Failed(_)
                    | PrepareError::MediaRefused(_) => {
                        self.fail(&entry, Failure::NotTaken, &why.to_string());
                    }
                }
                None
            }
        }
    }

    /// The ledger has it that a page may have the send; or that the send has gone another way, as by being taken back; or
    /// it could not be written. The page gets it in the first case only.
    pub(super) fn on_written(
        &mut self,
        result: Result<bool, LedgerError>,
        now: Instant,
    ) -> Option<(Prepared, Outgoing, Instant)> {
        match result {
            Ok(true) => {
                self.drop_acknowledged();
                let is_late = |deadline: Instant| deadline <= now;
                let late = self
                    .current
                    .take_if(|current| current.entry.deadline.is_some_and(is_late));
                if let Some(Current { entry, .. }) = late {
                    // The ledger has it as handed over, and gives up as late only what waits.
                    self.note(&entry.outgoing.key, Step::Absent);
                    // Its caller waits no longer: no later try can be in time.
                    self.fail_late(&entry);
                    return None;
                }
                let current = self.current.as_mut()?;
                if current.entry.deadline.is_none() {
                    // No caller waits for a durable send. The time that the disk took is not the page's: on a disk that always
                    // takes longer than a send waits, one that was put back instead would never be handed over.
                    current.limit = now + self.wait;
                }
                let prepared = current.prepared.clone()?;
                self.progress.steps += u64::from(current.entry.turns == 1);
                Some((prepared, current.entry.outgoing.clone(), current.limit))
            }
            Ok(false) => {
                self.current = None;
                None
            }
            Err(why) => {
                let entry = self.current.take()?.entry;
                if entry.deadline.is_none() {
                    // It may be in there as handed over, to an adapter that took nothing: what waits is queued, or it
                    // could not be given up any more.
                    self.note(&entry.outgoing.key, Step::Absent);
                    self.queue.put_back(entry, Some(now + LEDGER_PAUSE));
                } else {
                    self.fail(&entry, Failure::NotWritten, &why.to_string());
                }
                None
            }
        }
    }

    /// The send on its way was handed over before, seemed to be lost, and was not: it must not go out again.
    fn drop_acknowledged(&mut self) {
        let is_known = |current: &mut Current| current.early_ack.is_some_and(|ack| ack > 0);
        if let Some(Current {
            entry,
            early_ack: Some(ack),
            ..
        }) = self.current.take_if(is_known)
        {
            self.note(&entry.outgoing.key, Step::Acknowledged(ack));
        }
    }

    /// The page has answered the hand-over.
    pub(super) fn on_handed_over(
        &mut self,
        result: Result<Handed, HandOverError>,
        now: Instant,
    ) -> AfterHandOver {
        if let (Err(HandOverError::Passed(next)), Some(current)) = (&result, &mut self.current) {
            current.prepared = Some(next.clone());
            let outgoing = current.entry.outgoing.clone();
            return AfterHandOver::Again(outgoing, next.clone());
        }
        let Some(Current {
            mut entry,
            early_ack,
            ..
        }) = self.current.take()
        else {
            return AfterHandOver::Done;
        };
        let key = entry.outgoing.key.clone();
        let is_an_answer = matches!(
            result,
            Ok(_)
                | Err(HandOverError::NotHanded(_)
                    | HandOverError::NoQuote
                    | HandOverError::Target(_)
                    | HandOverError::GivenUp(_))
        );
        self.progress.page_answers += u64::from(is_an_answer);
        match result {
            Ok(Handed {
                key: wa_key,
                message_id,
            }) => {
                let taken = Step::Taken {
                    wa_key: wa_key.clone(),
                    message_id,
                };
                self.note(&key, taken);
                if entry.outgoing.action().is_some() {
                    // The page has waited for WhatsApp's server. No receipt of a recipient follows.
                    self.progress.sent += 1;
                    self.note(&key, Step::Acknowledged(1));
                    return AfterHandOver::Done;
                }
                self.handed.push((wa_key.clone(), now));
                if let Some(ack) = early_ack {
                    self.on_ack(&wa_key, ack);
                }
            }
            Err(HandOverError::Interrupted(_)) if entry.interruptions < MAX_INTERRUPTIONS => {
                self.note(&key, Step::Absent);
                entry.interruptions += 1;
                self.queue.put_back(entry, Some(now + INTERRUPTION_PAUSE));
            }
            Err(HandOverError::Interrupted(detail) | HandOverError::NotHanded(detail)) => {
                self.fail(&entry, Failure::NotTaken, &detail);
            }
            Err(why @ HandOverError::NoQuote) => {
                self.fail(&entry, Failure::NoQuote, &why.to_string());
            }
            Err(HandOverError::Target(why)) => {
                self.fail(&entry, failure_of(why), &why.to_string());
            }
            Err(HandOverError::GivenUp(word)) => self.note(&key, Step::GivenUp(word)),
            Err(HandOverError::Unknown(detail)) => {
                tracing::warn!(
                    message.key = key,
                    "it is not known whether a message was handed over: {detail}"
                );
                if let Some(ack) = early_ack {
                    self.note(&key, Step::Acknowledged(ack));
                } else {
                    return AfterHandOver::InDoubt;
                }
            }
            // Dealt with above: it needs no end.
            Err(HandOverError::Passed(_)) => {}
        }
        AfterHandOver::Done
    }

    /// WhatsApp reports how far a message has got. Zero is no news; below zero it gave the message up.
    pub(super) fn on_ack(&mut self, wa_key: &str, ack: i32) {
        if ack == 0 {
            return;
        }
        if let Some(current) = self
            .current
            .as_mut()
            .filter(|current| current.entry.outgoing.key == wa_key)
        {
            current.early_ack = Some(ack);
            return;
        }
        let before = self.handed.len();
        self.handed.retain(|(handed, _)| handed != wa_key);
        self.progress.page_answers += 1;
        if ack > 0 {
            self.progress.sent += u64::from(self.handed.len() < before);
            // It seemed to be lost and was to go out again.
            let _has_waited = self.queue.remove(wa_key);
        }
        self.note(wa_key, Step::Acknowledged(ack));
    }

    /// WhatsApp has given a message up, and says why. The answer to a hand-over that is still awaited has no room for the
    /// word.
    pub(super) fn on_gave_up(&mut self, wa_key: &str, word: String) {
        let current = self.current.as_mut();
        if let Some(current) = current.filter(|current| current.entry.outgoing.key == wa_key) {
            current.early_ack = Some(GAVE_UP);
            return;
        }
        self.handed.retain(|(handed, _)| handed != wa_key);
        self.progress.page_answers += 1;
        self.note(wa_key, Step::GivenUp(word));
    }

    /// The page has the send already, as a look-up found: its acknowledgement is waited for.
    pub(super) fn on_found(&mut self, wa_key: &str, now: Instant) {
        if !self.handed.iter().any(|(handed, _)| handed == wa_key) {
            self.handed.push((wa_key.to_owned(), now));
        }
    }

    /// How far all sends have come.
    pub(super) const fn progress(&self) -> Progress {
        self.progress
    }

    /// What the page has taken and WhatsApp's server has not, oldest first, and since when.
    pub(super) fn handed(&self) -> &[(String, Instant)] {
        &self.handed
    }

    /// Whether a send is on its way into the page, or its turn has come.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.current.is_some() || self.queue.next_turn(now).is_some_and(|turn| turn <= now)
    }

    /// Whether a send needs the page, or its turn has come. A file on its way to WhatsApp's server leaves the page to others; no other
    /// send begins meanwhile.
    pub(super) fn needs_page(&self, now: Instant) -> bool {
        self.is_due(now) && !self.is_uploading(now)
    }

    /// Gives up what has waited for its turn too long.
    pub(super) fn expire(&mut self, now: Instant) {
        for entry in self.queue.take_late(now) {
            if entry.failed_uploads == 0 {
                self.fail_late(&entry);
            } else {
                let detail = "its file was not uploaded in time; nothing was sent";
                self.fail(&entry, Failure::NotUploaded, detail);
            }
        }
    }

    /// When [`expire`](Self::expire) or [`begin`](Self::begin) has something to do next. The send on its way has its
    /// deadline with the page call.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let turn = if self.current.is_none() {
            self.queue.next_turn(now).filter(|turn| now < *turn)
        } else {
            None
        };
        [turn, self.queue.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The session cannot send any more: those whose callers wait are given up. What outlives a session stays in the
    /// ledger; what the page has, it keeps.
    pub(super) fn refuse_waiting(&mut self, why: &str) {
        for entry in self.queue.take_awaited() {
            self.fail(&entry, Failure::SessionEnded, why);
        }
    }

    /// A send whose recipient is still being looked up has not left the service.
    pub(super) fn refuse_unprepared(&mut self, why: &str) {
        let unprepared = self.current.take_if(|current| current.prepared.is_none());
        if let Some(Current { entry, .. }) = unprepared {
            if entry.deadline.is_none() {
                self.queue.put_back(entry, None);
            } else {
                self.fail(&entry, Failure::SessionEnded, why);
            }
        }
    }

    /// The device is not linked any more. What waits is left to the ledger, which knows for which account it was meant.
    pub(super) fn on_unlinked(&mut self, why: &str) {
        self.refuse_waiting(why);
        self.queue.take_all();
        self.handed.clear();
    }

    /// The page is closed: nothing is on its way into it any more, and the next one has its own account of what it has taken.
    pub(super) fn on_page_closed(&mut self) {
        self.current = None;
        self.handed.clear();
        self.progress = Progress::default();
        self.queue.on_page_closed();
    }

    /// Gives up the whole queue, with the places of those that are being written down. What outlives its caller is in the ledger.
    pub(super) fn empty(&mut self) {
        self.on_page_closed();
        self.queue.empty();
    }

    /// Whether anything is on its way into the ledger, into the page or to WhatsApp's server.
    pub(in crate::session) const fn is_busy(&self) -> bool {
        self.queue.is_accepting() || self.current.is_some() || !self.handed.is_empty()
    }

    /// Whether a send is on its way into the ledger or into the page: not the moment to take the page away.
    pub(in crate::session) const fn is_under_way(&self) -> bool {
        self.queue.is_accepting() || self.current.is_some()
    }

    /// Whether nothing waits either.
    pub(in crate::session) fn is_idle(&self) -> bool {
        !self.is_busy() && !self.queue.has_waiting()
    }

    fn fail_late(&mut self, entry: &QueuedSend) {
        let detail = "its turn did not come in time; nothing was sent";
        self.fail(entry, Failure::TurnNotCome, detail);
    }

    fn fail(&mut self, entry: &QueuedSend, failure: Failure, detail: &str) {
        let key = &entry.outgoing.key;
        tracing::warn!(message.key = key, "a message was not sent: {detail}");
        self.note(key, Step::Failed(failure, detail.to_owned()));
    }

    fn note(&mut self, key: &str, step: Step) {
        // One that is absent goes the same way once more.
        self.progress.steps += u64::from(!matches!(step, Step::Absent));
        self.notes.push((key.to_owned(), step));
    }
}

const fn failure_of(why: TargetError) -> Failure {
    match why {
        TargetError::NoMessage => Failure::NoMessage,
        TargetError::NotEditable => Failure::NotEditable,
        TargetError::NotRevocable => Failure::NotRevocable,
    }
}

#[cfg(test)]
pub(super) mod tests;
