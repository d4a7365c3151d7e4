//! Whether a session that says READY also sends, and what is done about one that does not.
//!
//! The rule: it sends, or says within two minutes why it does not. Three things can stand still, each with a clock of
//! its own:
//!
//! | what is waited for | then |
//! |---|---|
//! | the ledger: something is to be written down or read, and the disk does not answer | READY gets a reason; another Chrome would not help |
//! | the page, or the session's own next step | the page is loaded again, then Chrome started again, as often as it takes |
//! | WhatsApp's server, to take what the page has taken | the same, once each for a message; after that READY gets a reason |
//!
//! No clock runs while the session waits for its own pace or pause, nor while it cannot send: then its state says so.
//! Pure: does nothing itself, knows no time but what it is given.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::session::{Reason, ReasonCode};

/// Said within two minutes, with some seconds for the saying. WhatsApp's server takes a message within a second
/// (docs/whatsapp.md#timings), a disk a write within milliseconds; a look-up of a message in a slow page takes 45 s in all.
pub(in crate::session) const STALLED_AFTER: Duration = Duration::from_secs(110);

/// A ledger that has not answered for so long is why nothing goes on, and not the page.
const LEDGER_IS_SLOW_AFTER: Duration = Duration::from_secs(5);

/// Messages whose remedies are remembered; more than healing allows in many hours.
const MOST_REMEDIES: usize = 256;

/// What the sends of a session wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// Nothing is to be done now: there is no send, or it is too early for the next one.
    Nothing,
    /// The ledger has been asked and has not answered, or has answered that it cannot be used.
    Ledger,
    /// The page has been asked, or the session is to ask it.
    Page,
}

/// How the sends of a session stand.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Work<'a> {
    pub(super) waits_for: WaitsFor,
    /// Grows with each word of the page about a send: taken, refused, found, acknowledged.
    pub(super) page_answers: u64,
    /// Grows with each answer of a ledger that can be used.
    pub(super) ledger_answers: u64,
    /// Grows with each message that WhatsApp's server has taken.
    pub(super) sent: u64,
    /// What the page has taken and the server has not, oldest first, and since when.
    pub(super) handed: &'a [(String, Instant)],
}

/// What stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) enum Stalled {
    /// The ledger does not answer.
    Ledger,
    /// A message was healed for, and the server has not taken it all the same.
    Unsent,
    /// Something is to be done about it.
    Heals(Remedy, Cause),
}

impl Stalled {
    /// Why a session that could send does not, when that is only to be said.
    pub(in crate::session) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Ledger => Some(Reason::of(ReasonCode::LedgerUnavailable)),
            Self::Unsent => {
                let detail = "WhatsApp Web has a message that it does not send, also after the page was loaded again and Chrome started again: \
                     look at the phone and at GET /messages?state=handed";
                Some(Reason::new(ReasonCode::SendsStalled, detail))
            }
            Self::Heals(..) => None,
        }
    }
}

/// Why nothing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Cause {
    /// The page gives no word about the send on its way, or the session does not ask it.
    NoWord,
    /// The page takes messages, and WhatsApp's server gets none of them.
    NotTakenByServer,
}

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Remedy {
    /// The page is loaded again.
    Reload,
    /// Chrome is started again.
    NewChrome,
}

/// What has been tried for which message. Belongs to the session, and outlives its Chromes.
#[derive(Debug, Default)]
pub(in crate::session) struct Remedies {
    tried: HashMap<String, Remedy>,
    /// For the page that gives no word.
    for_the_page: bool,
}

impl Remedies {
    /// What is to be tried for the oldest of these; the others share it.
    fn for_unsent(&mut self, oldest: &str, all: &[(String, Instant)]) -> Remedy {
        let remedy = match self.tried.get(oldest) {
            None => Remedy::Reload,
            Some(_) => Remedy::NewChrome,
        };
        if self.tried.len() >= MOST_REMEDIES {
            self.tried.clear();
        }
        for (key, _) in all.iter().take(MOST_REMEDIES) {
            self.tried.insert(key.clone(), remedy);
        }
        self.tried.insert(oldest.to_owned(), remedy);
        remedy
    }

    fn for_the_page(&mut self) -> Remedy {
        if std::mem::replace(&mut self.for_the_page, true) {
            Remedy::NewChrome
        } else {
            Remedy::Reload
        }
    }

    fn are_exhausted(&self, key: &str) -> bool {
        self.tried.get(key) == Some(&Remedy::NewChrome)
    }
}

/// Watches the sends of one page.
#[derive(Debug, Default)]
pub(in crate::session) struct StallWatch {
    /// Since when the session can send without a break.
    ready_since: Option<Instant>,
    /// Since when the page owes a word, or the session a step.
    page_since: Option<Instant>,
    /// Since when the ledger owes an answer.
    ledger_since: Option<Instant>,
    /// When WhatsApp's server last took a message.
    sent_at: Option<Instant>,
    page_answers: u64,
    ledger_answers: u64,
    sent: u64,
    /// When the next of them will have stood still for too long.
    next: Option<Instant>,
}

impl StallWatch {
    /// Looks how the sends of a session stand that can send, or cannot. Answers what has stood still for too long.
    pub(in crate::session) fn look(
        &mut self,
        can_send: bool,
        work: Work<'_>,
        remedies: &mut Remedies,
        now: Instant,
    ) -> Option<Stalled> {
        if !can_send {
            *self = Self {
                page_answers: work.page_answers,
                ledger_answers: work.ledger_answers,
                sent: work.sent,
                ..Self::default()
            };
            return None;
        }
        let ready_since = *self.ready_since.get_or_insert(now);
        self.follow(work, remedies, now);
        self.next = None;
        let is_over = |since: Instant| STALLED_AFTER <= now.saturating_duration_since(since);
        if self.ledger_since.is_some_and(is_over) {
            return Some(Stalled::Ledger);
        }
        if self.page_since.is_some_and(is_over) {
            self.page_since = Some(now);
            let remedy = remedies.for_the_page();
            return Some(Stalled::Heals(remedy, Cause::NoWord));
        }
        // A message that others have overtaken does not speak against the page.
        let quiet_since = self.sent_at.map_or(ready_since, |at| at.max(ready_since));
        let mut is_hopeless = false;
        let mut waits_since = None;
        for (key, at) in work.handed {
            let since = (*at).max(quiet_since);
            if !is_over(since) {
                waits_since = Some(since);
                break;
            }
            if !remedies.are_exhausted(key) {
                let remedy = remedies.for_unsent(key, work.handed);
                return Some(Stalled::Heals(remedy, Cause::NotTakenByServer));
            }
            is_hopeless = true;
        }
        self.next = [self.ledger_since, self.page_since, waits_since]
            .into_iter()
            .flatten()
            .min()
            .map(|since| since + STALLED_AFTER);
        is_hopeless.then_some(Stalled::Unsent)
    }

    /// Sets the clocks.
    fn follow(&mut self, work: Work<'_>, remedies: &mut Remedies, now: Instant) {
        if std::mem::replace(&mut self.ledger_answers, work.ledger_answers) != work.ledger_answers
            || work.waits_for != WaitsFor::Ledger
        {
            self.ledger_since = None;
        }
        if work.waits_for == WaitsFor::Ledger {
            self.ledger_since.get_or_insert(now);
        }
        if std::mem::replace(&mut self.sent, work.sent) != work.sent {
            self.sent_at = Some(now);
            let is_open = |key: &String| work.handed.iter().any(|(handed, _)| handed == key);
            remedies.tried.retain(|key, _| is_open(key));
        }
        let has_answered =
            std::mem::replace(&mut self.page_answers, work.page_answers) != work.page_answers;
        if has_answered {
            remedies.for_the_page = false;
        }
        let is_ledgers_fault = self
            .ledger_since
            .is_some_and(|since| LEDGER_IS_SLOW_AFTER <= now.saturating_duration_since(since));
        if has_answered || is_ledgers_fault || work.waits_for == WaitsFor::Nothing {
            self.page_since = None;
        }
        if work.waits_for != WaitsFor::Nothing {
            self.page_since.get_or_insert(now);
        }
    }

    /// When to look again, if nothing happens before.
    pub(in crate::session) const fn next(&self) -> Option<Instant> {
        self.next
    }
}

#[cfg(test)]
mod tests;
