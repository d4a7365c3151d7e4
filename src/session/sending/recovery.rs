//! Sends of which it is not known what became of them: found out, one by one, before anything new goes out.
//!
//! A send that a page may have is looked up in WhatsApp's own store by its id. Found: its acknowledgement is waited for,
//! as WhatsApp sends what its queue holds without being asked. Absent: it waits again, under the same id. Absent from a profile that
//! has been replaced by a copy since which lacks the generation that the send was handed over in: that says nothing, and it is
//! unknown, as it is when no adapter can tell, or none has told for long.
//!
//! What is done to a message has no id of its own before WhatsApp gives it one, and may be done twice: there the page is asked whether
//! it is done, and if not, it is done again; unless a newer one of the same kind went out meanwhile, as it may once the page has let the
//! older one unanswered for long: the older one must not undo the newer, and is unknown.
//!
//! [`OpenSendsQuery`] knows whether the ledger has answered what is open, [`Recovery`] decides what is looked up; both are pure and know
//! no time but what they are given. [`Sending`] asks the ledger and the page.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{OpenSends, SendAnswer, Sending, in_flight::InFlight, queue::outgoing, staleness::Age};
use crate::{
    browser::Gap,
    ledger::{Failure, LedgerError, Record, SendState, Step},
    masked::Number,
    session::linking::account_link::Since,
    whatsapp::{Driver, LookUp, LookUpError},
};

/// Between two tries to look a send up in a page that does not answer: it may be reloading.
const RETRY: Duration = Duration::from_secs(5);

/// After so many tries without an answer, the page's silence no longer holds up the other sends.
const MAX_TRIES: u8 = 3;

/// After this time a new round begins: each send that could not be looked up is tried once more. A page that becomes ready again
/// begins a round too.
const AGAIN: Duration = Duration::from_secs(60);

/// A page that has let a send unanswered so often, for some ten minutes, is one that never answers, as a build that has lost
/// the function for it: then it cannot be found out. An acknowledgement that still comes makes it known after all.
const MAX_ROUNDS: u8 = 10;

/// What WhatsApp lets be done this often, and does not have afterwards, cannot be found out.
const MAX_AGAIN: u8 = 3;

/// Between two tries to read from a ledger that cannot be used.
const LEDGER_RETRY: Duration = Duration::from_secs(5);

/// The question to the ledger which sends are open, and whether it is answered. Until it is, nothing new goes out: what is in
/// doubt goes first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum OpenSendsQuery {
    /// The ledger has answered, or was not asked.
    #[default]
    Settled,
    /// It has been asked.
    Asked,
    /// It has been asked, and something has come up since that its answer may not know.
    AskedTooEarly,
    /// It could not say, and is asked again then.
    Unanswered(Instant),
}

impl OpenSendsQuery {
    /// Something is in doubt. Answers whether the ledger is to be asked now; if not, it will be.
    pub(super) const fn ask(&mut self) -> bool {
        let is_asked = matches!(self, Self::Asked | Self::AskedTooEarly);
        *self = if is_asked {
            Self::AskedTooEarly
        } else {
            Self::Asked
        };
        !is_asked
    }

    /// The ledger has answered. Answers whether that is good; if not, it is to be asked again.
    pub(super) const fn on_answer(&mut self) -> bool {
        let was_too_early = matches!(self, Self::AskedTooEarly);
        *self = Self::Settled;
        !was_too_early
    }

    /// The answer was that the ledger cannot be read.
    pub(super) fn on_failure(&mut self, now: Instant) {
        *self = Self::Unanswered(now + LEDGER_RETRY);
    }

    pub(super) const fn is_settled(self) -> bool {
        matches!(self, Self::Settled)
    }

    /// Whether it is time to ask again.
    pub(super) fn is_due_again(self, now: Instant) -> bool {
        self.next_deadline().is_some_and(|at| at <= now)
    }

    pub(super) const fn next_deadline(self) -> Option<Instant> {
        if let Self::Unanswered(at) = self {
            Some(at)
        } else {
            None
        }
    }
}

/// What a page that is ready is linked to.
#[derive(Clone, Copy)]
pub(super) struct Linked<'a> {
    /// Not every adapter can tell.
    pub(super) account: Option<&'a str>,
    pub(super) since: Since,
    /// What its profile lacks.
    pub(super) gaps: &'a [Gap],
}

/// Shows the end of the account's number only.
impl fmt::Debug for Linked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            account,
            since,
            gaps,
        } = self;
        f.debug_struct("Linked")
            .field("account", &account.map(Number::from))
            .field("since", since)
            .field("gaps", gaps)
            .finish()
    }
}

impl Linked<'_> {
    /// Whether a send is certainly for another account.
    fn differs_from(&self, record: &Record) -> bool {
        let both = record.account.as_deref().zip(self.account);
        both.is_some_and(|(meant, linked)| meant != linked)
    }

    /// Whether a send is for this account, as far as is known. Without a word on either side, one that is older than the link
    /// may have been meant for another one.
    fn is_meant_by(&self, record: &Record) -> bool {
        if record.account.is_some() && self.account.is_some() {
            return !self.differs_from(record);
        }
        let linked_at = self.since.linked.map(Timestamp::as_millisecond);
        linked_at.is_none_or(|linked_at| linked_at <= record.queued_at.as_millisecond())
    }
}

/// The messages in doubt of one session.
#[derive(Debug, Default)]
pub(in crate::session) struct Recovery {
    open: VecDeque<Arc<Record>>,
    /// Whether the first of `open` is being looked up.
    asking: Asking,
    /// How often the first of `open` may be asked about in vain, and how often it has been.
    max_tries: u8,
    tries: u8,
    retry_at: Option<Instant>,
    /// When the sends that could not be looked up are to be read from the ledger again.
    reread_at: Option<Instant>,
    /// The ledger is being read for such a further round: each send gets one try.
    is_retry_round: bool,
    /// The page has answered since they were read.
    has_answered: bool,
    /// How many rounds each has been open without an answer.
    rounds: HashMap<String, u8>,
    /// What is done to messages and is open, where a page has had a newer one since that takes its place.
    superseded: Vec<String>,
    /// How often each thing that is done to a message has been in doubt and was not done.
    again: HashMap<String, u8>,
    /// The one that ended the last round: the others come before it in the next.
    unanswered: Option<String>,
    /// What was handed over in these may be missing in the page's store and have been sent all the same.
    gaps: Vec<Gap>,
    /// When a copy took the profile's place.
    restored_at: Option<Timestamp>,
    notes: Vec<(String, Step)>,
    /// How many sends the page has said something of.
    answers: u64,
}

/// A look-up that is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asking {
    #[default]
    Nothing,
    /// The page is asked.
    Page,
    /// The page is asked, and WhatsApp's server has acknowledged the message meanwhile: the page's answer is not needed any more.
    AnsweredByAck,
}

impl Recovery {
    /// What has been found out since the last call, to be written down.
    pub(in crate::session) fn take_notes(&mut self) -> Vec<(String, Step)> {
        std::mem::take(&mut self.notes)
    }

    /// How many sends the page has said something of, in all.
    pub(super) const fn answers(&self) -> u64 {
        self.answers
    }

    /// Whether something is still to be found out: nothing new goes out before.
    pub(super) fn is_pending(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether anything is, or will be asked about again.
    pub(super) fn is_settled(&self) -> bool {
        self.open.is_empty() && self.reread_at.is_none() && !self.is_retry_round
    }

    /// Takes the ledger's word for what is open.
    pub(super) fn begin(
        &mut self,
        records: Vec<Arc<Record>>,
        superseded: Vec<String>,
        page: Linked<'_>,
        in_flight: &mut InFlight,
    ) {
        // Nothing new begins from the question to the ledger until all of these are answered, so only what was on its way then may go
        // past them.
        let overtaken = records
            .iter()
            .filter(|record| in_flight.supersedes(record))
            .map(|record| record.key.clone());
        self.superseded = overtaken.chain(superseded).collect();
        self.restored_at = page.since.restored;
        self.again
            .retain(|key, _| records.iter().any(|record| record.key == *key));
        page.gaps.clone_into(&mut self.gaps);
        let asked = if self.asking == Asking::Nothing {
            None
        } else {
            self.open.pop_front()
        };
        self.open = asked.iter().cloned().collect();
        let is_retry_round = std::mem::take(&mut self.is_retry_round);
        self.max_tries = if is_retry_round { 1 } else { MAX_TRIES };
        (self.tries, self.has_answered) = (0, false);
        (self.retry_at, self.reread_at) = (None, None);
        for record in records {
            let is_asked = self.open.front().is_some_and(|open| open.key == record.key);
            // One that came while there was no page waits already; the session was linked then, perhaps to another account.
            let is_here = in_flight.holds(&record.key);
            let is_meant = if is_here {
                !page.differs_from(&record)
            } else {
                page.is_meant_by(&record)
            };
            if is_asked || (is_here && (is_meant || !in_flight.queue.remove(&record.key))) {
                continue;
            }
            match (record.state, is_meant) {
                (SendState::Handed, true) => self.open.push_back(record),
                (SendState::Handed, false) => {
                    let detail = "the session has been linked to another account since".to_owned();
                    self.note(&record.key, Step::Unknown(detail));
                }
                (SendState::Queued, true) if record.outlives_its_caller() => {
                    in_flight.enqueue(&record, None);
                }
                (SendState::Queued, true) => {
                    let detail = "the session ended before its turn came; nothing was sent";
                    self.note(
                        &record.key,
                        Step::Failed(Failure::SessionEnded, detail.to_owned()),
                    );
                }
                (SendState::Queued, false) => {
                    let detail = "the session has been linked to another account; nothing was sent";
                    self.note(
                        &record.key,
                        Step::Failed(Failure::OtherAccount, detail.to_owned()),
                    );
                }
                (
                    SendState::Sent
                    | SendState::Delivered
                    | SendState::Read
                    | SendState::Failed
                    | SendState::Unknown
                    | SendState::Cancelled,
                    _,
                ) => {}
            }
        }
        let is_open = |key: &String| self.open.iter().any(|record| record.key == *key);
        self.rounds.retain(|key, _| is_open(key));
        let last = self.unanswered.take();
        let last = self
            .open
            .iter()
            .position(|record| Some(&record.key) == last.as_ref());
        if let Some(last) = last.filter(|_| asked.is_none()) {
            self.open.rotate_left(last + 1);
        }
    }

    /// The device is not linked any more: WhatsApp's queue, and with it all that could be looked up, is gone.
    pub(super) fn on_unlinked(&mut self, records: Vec<Arc<Record>>) {
        *self = Self {
            notes: std::mem::take(&mut self.notes),
            answers: self.answers,
            ..Self::default()
        };
        for record in records {
            if record.state == SendState::Handed {
                let detail = "the device was unlinked before WhatsApp confirmed it".to_owned();
                self.note(&record.key, Step::Unknown(detail));
            }
        }
    }

    /// The session was logged out: what waits was not meant for another account.
    pub(in crate::session) fn on_logged_out(&mut self, records: Vec<Arc<Record>>) {
        for record in &records {
            if record.state == SendState::Queued {
                let detail = "the session was logged out before its turn came; nothing was sent";
                let failed = Step::Failed(Failure::OtherAccount, detail.to_owned());
                self.note(&record.key, failed);
            }
        }
        let mut notes = std::mem::take(&mut self.notes);
        self.on_unlinked(records);
        notes.append(&mut self.notes);
        self.notes = notes;
    }

    /// The next send to look up; `None` while another is, when it is too early, or when there is none.
    pub(super) fn next(&mut self, now: Instant) -> Option<LookUp> {
        while self.asking == Asking::Nothing && self.retry_at.is_none_or(|at| at <= now) {
            let record = self.open.front()?;
            if record.extras.action.is_some()
                && let Some(outgoing) = outgoing(record)
            {
                self.asking = Asking::Page;
                self.retry_at = None;
                return Some(LookUp::Action(outgoing));
            }
            if let Some(message_id) = record.message_id.clone() {
                self.asking = Asking::Page;
                self.retry_at = None;
                let key = record.wa_key.as_ref().unwrap_or(&record.key);
                let key = key.clone();
                return Some(LookUp::Message { message_id, key });
            }
            // The page chose the id, and did not live to tell it.
            let key = record.key.clone();
            let detail = "the page broke off while the message was typed and sent; \
                          look at the phone before sending it again";
            self.open.pop_front();
            self.note(&key, Step::Unknown(detail.to_owned()));
        }
        None
    }

    /// The page has answered: how far it has got, or that it does not have it.
    pub(super) fn on_looked_up(
        &mut self,
        result: Result<Option<i32>, LookUpError>,
        in_flight: &mut InFlight,
        now: Instant,
    ) {
        match std::mem::take(&mut self.asking) {
            Asking::Nothing => return,
            Asking::Page => {}
            Asking::AnsweredByAck => {
                self.open.pop_front();
                (self.tries, self.has_answered) = (0, true);
                return;
            }
        }
        if let Err(LookUpError::NoAnswer(why)) = &result {
            self.tries += 1;
            self.retry_at = Some(now + RETRY);
            tracing::debug!(error = why, "a send could not be looked up: {why}");
            if self.tries >= self.max_tries {
                self.end_round(why, now);
            }
            return;
        }
        (self.tries, self.has_answered) = (0, true);
        self.answers += 1;
        let Some(record) = self.open.pop_front() else {
            return;
        };
        let key = record.key.as_str();
        match result {
            Ok(Some(0)) => {
                tracing::info!(
                    message.key = key,
                    "a message is still in WhatsApp's own queue"
                );
                in_flight.on_found(record.wa_key.as_deref().unwrap_or(key), now);
            }
            Ok(Some(ack)) => {
                tracing::info!(message.key = key, ack, "a message was found at WhatsApp");
                self.note(key, Step::Acknowledged(ack));
            }
            Ok(None) if self.superseded.contains(&record.key) => {
                let detail = "WhatsApp Web does not show it, and a newer one of the same kind was done to the same message meanwhile: \
                              it is not done again, since it would undo that one";
                self.note(key, Step::Unknown(detail.to_owned()));
            }
            Ok(None) if record.extras.action.is_some() => {
                let again = self.again.entry(key.to_owned()).or_default();
                *again += 1;
                if *again >= MAX_AGAIN {
                    self.again.remove(key);
                    let detail = "WhatsApp Web was asked for it several times, and did not say that WhatsApp has it";
                    self.note(key, Step::Unknown(detail.to_owned()));
                } else {
                    tracing::info!(
                        message.key = key,
                        "it was not done to a message: it is done again"
                    );
                    self.note(key, Step::Absent);
                    in_flight.enqueue(&record, None);
                }
            }
            Ok(None) if self.is_from_before_the_restore(&record) => {
                let detail = "it was handed over before an older copy of the profile took its place, and the copy cannot tell \
                              whether it was sent; look at the phone before sending it again";
                self.note(key, Step::Unknown(detail.to_owned()));
            }
            Ok(None) => {
                tracing::info!(
                    message.key = key,
                    "WhatsApp does not have a message: it is handed over again, under the same id"
                );
                self.note(key, Step::Absent);
                in_flight.enqueue(&record, None);
            }
            Err(LookUpError::NoAdapter(why) | LookUpError::NoAnswer(why)) => {
                self.note(key, Step::Unknown(why));
            }
        }
    }

    /// WhatsApp's server has taken this message: there is no doubt about it any more.
    pub(super) fn on_ack(&mut self, wa_key: &str) {
        let is_it =
            |record: &Arc<Record>| record.wa_key.as_deref().unwrap_or(&record.key) == wa_key;
        let is_first = self.open.front().is_some_and(is_it);
        if is_first && self.asking != Asking::Nothing {
            self.asking = Asking::AnsweredByAck;
            return;
        }
        self.open.retain(|record| !is_it(record));
        if is_first {
            (self.tries, self.retry_at) = (0, None);
        }
    }

    /// By generation, which no clock can get wrong. A send of an earlier version has none; it is judged by time, as that
    /// version did: in doubt it is not sent again.
    fn is_from_before_the_restore(&self, record: &Record) -> bool {
        if let Some(generation) = record.generation {
            return self.gaps.iter().any(|gap| gap.has(generation));
        }
        let (handed, restored) = (record.handed_at, self.restored_at);
        restored.is_some_and(|restored| handed.is_none_or(|handed| handed <= restored))
    }

    /// The page does not answer: what is open does not hold up anything any longer, and is asked about again later.
    fn end_round(&mut self, why: &str, now: Instant) {
        self.retry_at = None;
        self.reread_at = Some(now + AGAIN);
        self.unanswered = self.open.front().map(|record| record.key.clone());
        // A page that answers for others has none for the first one only.
        let count = if self.has_answered {
            1
        } else {
            self.open.len()
        };
        for record in std::mem::take(&mut self.open).into_iter().take(count) {
            let rounds = self.rounds.entry(record.key.clone()).or_default();
            *rounds += 1;
            if *rounds >= MAX_ROUNDS {
                self.rounds.remove(&record.key);
                let detail = format!("WhatsApp Web did not say whether it has it: {why}");
                self.note(&record.key, Step::Unknown(detail));
            }
        }
    }

    /// Whether it is time to read the ledger again.
    pub(super) fn is_due_again(&mut self, now: Instant) -> bool {
        let is_due = self.reread_at.take_if(|at| *at <= now).is_some();
        self.is_retry_round |= is_due;
        is_due
    }

    /// When [`next`](Self::next) has something to do again. Counts only while it may be called.
    pub(super) fn next_look_up(&self) -> Option<Instant> {
        self.retry_at.filter(|_| self.asking == Asking::Nothing)
    }

    /// When the ledger is to be read again.
    pub(super) const fn next_reading(&self) -> Option<Instant> {
        self.reread_at
    }

    fn note(&mut self, key: &str, step: Step) {
        self.notes.push((key.to_owned(), step));
    }
}

impl<D: Driver> Sending<'_, D> {
    /// Asks the ledger what is open.
    pub(super) fn find_out(&mut self) {
        if !self.doubt.ask() {
            return;
        }
        let (ledger, session) = (self.intake.ledger.clone(), self.session);
        let profile = self.is_ready.then(|| self.profile.clone());
        let is_first = !self.age.is_known;
        self.intake.calls.open += 1;
        let open = async move {
            let age = match profile {
                // First, since what is open is judged by it.
                Some(profile) => Some(Age::of(profile, &ledger, session.as_str(), is_first).await?),
                None => None,
            };
            let records = ledger.open_sends(session.as_str()).await?;
            let is_action = |record: &Arc<Record>| record.extras.action.is_some();
            let superseded = if records.iter().any(is_action) {
                ledger.superseded(session.as_str()).await?
            } else {
                Vec::new()
            };
            Ok(OpenSends {
                records,
                superseded,
                age,
            })
        };
        let open = open.map(SendAnswer::Open);
        self.calls.push(open.boxed());
    }

    pub(super) fn on_open(&mut self, result: Result<OpenSends, LedgerError>, now: Instant) {
        if !self.doubt.on_answer() {
            self.find_out();
            return;
        }
        match result {
            Ok(OpenSends { records, .. }) if self.has_lost_link => {
                self.has_lost_link = false;
                self.recovery.on_unlinked(records);
                if self.is_ready {
                    self.find_out();
                }
            }
            // Asked again when it is.
            Ok(_) if !self.is_ready => {}
            // It was not ready when it asked.
            Ok(OpenSends { age: None, .. }) => self.find_out(),
            Ok(OpenSends {
                records,
                superseded,
                age: Some(mut age),
            }) => {
                // Read before a copy began another generation, it must not go back.
                age.generation = age.generation.max(self.age.generation);
                self.age = age;
                let page = Linked {
                    account: self.intake.account.as_deref(),
                    since: self.since,
                    gaps: &self.age.gaps,
                };
                self.recovery
                    .begin(records, superseded, page, &mut self.intake.in_flight);
            }
            Err(why) => {
                tracing::warn!(error = %why, "the open sends of this session are not known: {why}");
                self.doubt.on_failure(now);
            }
        }
    }
}

#[cfg(test)]
mod tests;
