//! Sends of which it is not known what became of them: found out, one by one, before anything new goes out.
//!
//! A send that a page may have is looked up in WhatsApp's own store by its id. Found: its acknowledgement is waited for,
//! as WhatsApp sends by itself what its queue holds. Absent: it waits again, under the same id, so that even a copy that
//! has slipped through is one message. No adapter can tell: it is unknown, and said to be.
//!
//! Pure: does nothing itself, knows no time but what it is given.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::outbox::Outbox;
use crate::{
    ledger::{Failure, Record, SendState, Step},
    whatsapp::{LookUp, LookUpError},
};

/// Between two tries to look a send up in a page that does not answer: it may be loading anew.
const RETRY: Duration = Duration::from_secs(5);

/// A page that has not answered so often does not stand in the way of other sends any longer; what it has is looked up
/// when it is ready the next time, or with one more try now and then.
const MAX_TRIES: u8 = 3;

/// Until that one more try. Each holds up other sends for as long as the page does not answer.
const ONCE_MORE: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// Something is in doubt of which the ledger has not been asked yet.
    is_in_doubt: bool,
    /// The ledger has been asked.
    is_listing: bool,
    open: VecDeque<Arc<Record>>,
    /// The first of `open` is being looked up.
    is_asking: bool,
    tries: u8,
    retry_at: Option<Instant>,
    /// Something was left in doubt, and is looked up once more then.
    once_more_at: Option<Instant>,
    notes: Vec<(String, Step)>,
}

impl Recovery {
    /// What has been found out since the last call, to be written down.
    pub(super) fn take_notes(&mut self) -> Vec<(String, Step)> {
        std::mem::take(&mut self.notes)
    }

    /// Whether something is still to be found out: nothing new goes out before.
    pub(super) fn is_pending(&self) -> bool {
        self.is_in_doubt || self.is_listing || !self.open.is_empty()
    }

    /// Something is open that has to be found out: the ledger knows what.
    pub(super) const fn doubt(&mut self) {
        (self.is_in_doubt, self.tries) = (true, 0);
    }

    /// Whether the ledger is to be asked now. Once at a time: what comes into doubt meanwhile may not be in its answer.
    pub(super) fn begins(&mut self, now: Instant) -> bool {
        if self.once_more_at.take_if(|at| *at <= now).is_some() {
            (self.is_in_doubt, self.tries) = (true, MAX_TRIES - 1);
        }
        let begins =
            self.is_in_doubt && !self.is_listing && self.retry_at.is_none_or(|at| at <= now);
        if begins {
            (self.is_in_doubt, self.is_listing) = (false, true);
            self.retry_at = None;
        }
        begins
    }

    /// The ledger could not say what is open: it is asked again.
    pub(super) fn on_not_listed(&mut self, now: Instant) {
        (self.is_in_doubt, self.is_listing) = (true, false);
        self.retry_at = Some(now + RETRY);
    }

    /// Takes the ledger's word for what is open; `account` is the one that the page is linked to.
    pub(super) fn begin(
        &mut self,
        records: Vec<Arc<Record>>,
        account: Option<&str>,
        outbox: &mut Outbox,
    ) {
        self.is_listing = false;
        let asked = self.is_asking.then(|| self.open.pop_front()).flatten();
        self.open = asked.into_iter().collect();
        (self.retry_at, self.once_more_at) = (None, None);
        for record in records {
            let is_asked = self.open.front().is_some_and(|open| open.key == record.key);
            if is_asked || outbox.holds(&record.key) {
                continue;
            }
            let is_ours = record.account.is_none()
                || account.is_none()
                || record.account.as_deref() == account;
            match (record.state, is_ours) {
                (SendState::Handed, true) => self.open.push_back(record),
                (SendState::Handed, false) => {
                    let detail = "the session has been linked to another account since".to_owned();
                    self.note(&record.key, Step::Unknown(detail));
                }
                (SendState::Queued, true) if outlives_its_caller(&record) => {
                    outbox.enqueue(&record, None);
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
    }

    /// The device is not linked any more: WhatsApp's queue, and with it all that could be looked up, is gone.
    pub(super) fn on_unlinked(&mut self, records: Vec<Arc<Record>>) {
        self.is_listing = false;
        self.open.clear();
        self.is_asking = false;
        for record in records {
            if record.state == SendState::Handed {
                let detail = "the device was unlinked before WhatsApp confirmed it".to_owned();
                self.note(&record.key, Step::Unknown(detail));
            }
        }
    }

    /// The next send to look up; `None` while another is, when it is too early, or when there is none.
    pub(super) fn next(&mut self, now: Instant) -> Option<LookUp> {
        while !self.is_asking && self.retry_at.is_none_or(|at| at <= now) {
            let record = self.open.front()?;
            if let Some(message_id) = record.message_id.clone() {
                self.is_asking = true;
                self.retry_at = None;
                return Some(LookUp { message_id });
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
        outbox: &mut Outbox,
        now: Instant,
    ) {
        if !std::mem::take(&mut self.is_asking) {
            return;
        }
        if let Err(LookUpError::NoAnswer(why)) = &result {
            self.tries += 1;
            self.retry_at = Some(now + RETRY);
            tracing::debug!(error = why, "a send could not be looked up: {why}");
            if self.tries >= MAX_TRIES {
                self.open.clear();
                self.retry_at = None;
                self.once_more_at = Some(now + ONCE_MORE);
            }
            return;
        }
        self.tries = 0;
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
                outbox.on_found(record.wa_key.as_deref().unwrap_or(key));
            }
            Ok(Some(ack)) => {
                tracing::info!(message.key = key, ack, "a message was found at WhatsApp");
                self.note(key, Step::Acknowledged(ack));
            }
            Ok(None) => {
                tracing::info!(
                    message.key = key,
                    "WhatsApp does not have a message: it is handed over again, under the same id"
                );
                self.note(key, Step::Absent);
                outbox.enqueue(&record, None);
            }
            Err(LookUpError::NoAdapter(why) | LookUpError::NoAnswer(why)) => {
                self.note(key, Step::Unknown(why));
            }
        }
    }

    /// When [`next`](Self::next) has something to do again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let retry_at = self.retry_at.filter(|_| !self.is_asking);
        [retry_at, self.once_more_at].into_iter().flatten().min()
    }

    fn note(&mut self, key: &str, step: Step) {
        self.notes.push((key.to_owned(), step));
    }
}

/// Whether a send is carried out though nobody waits for it any more: it was accepted as such, or a page has had it.
const fn outlives_its_caller(record: &Record) -> bool {
    record.is_durable || record.handed_at.is_some()
}

#[cfg(test)]
mod tests;
