//! What a session does about a page that hangs, has broken or takes too much memory, and about sends that stand still.
//!
//! [`healing`](crate::session::lifecycle::healing) and [`memory_budget`](crate::session::lifecycle::memory_budget) decide whether the
//! page is reloaded; [`stall`](crate::session::sending::stall) and [`turns`](crate::session::sending::turns) find out whether sends
//! stand still. A page that is not worth a reload ends the run, and the actor goes on.

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::{PageAnswer, Running};
use crate::{
    session::{
        Reason, ReasonCode, SessionState,
        lifecycle::memory_budget::Relief,
        run_end::End,
        sending::{
            stall::{Cause, Remedy, STALLED_AFTER, Stalled},
            turns::{Purpose, TurnResult},
        },
        state::Event,
    },
    whatsapp::{Driver, Silence},
};

impl<D: Driver> Running<'_, D> {
    /// The page of a session that could send is of no use any more: reloads it, or ends the session if that is not to be
    /// tried (again).
    pub(super) fn mend_page(&mut self, why: String) -> Option<End> {
        let now = Instant::now();
        if !self.deadlines.has_been_ready() || !self.healing.reloads(now) {
            return Some(End::because(ReasonCode::PageLost, why));
        }
        self.reload(ReasonCode::PageLost, &why, now);
        None
    }

    pub(super) fn reload(&mut self, code: ReasonCode, why: &str, now: Instant) {
        tracing::warn!(session.reason = code.as_str(), "reloading the page: {why}");
        let detail = format!("{why}; the page is being reloaded");
        self.publisher
            .apply(&Event::Unready, Some(Reason::new(code, detail)));
        self.publisher.amend(|snapshot| {
            snapshot.reloads += 1;
            true
        });
        self.healing.on_ready(false, now);
        self.sending.on_reload();
        self.sending.refuse_waiting();
        self.deadlines.on_reload(now);
        self.ask(|driver| driver.reload().map(PageAnswer::Reloaded));
    }

    /// Does what is due for a session that takes too much memory, at a moment when that disturbs no send.
    pub(super) fn relieve(&mut self, now: Instant) -> Option<End> {
        if self.budget.is_hopeless(now) {
            tracing::warn!(
                "the session needs more memory than SESSION_MEMORY_MB allows, also with a new Chrome: raise it"
            );
        }
        let due = self.budget.due(now)?;
        let is_the_moment = if due.is_urgent {
            !self.sending.intake.in_flight.is_under_way()
        } else {
            self.sending.intake.in_flight.is_idle()
        };
        if self.publisher.state() != SessionState::Ready || !is_the_moment {
            return None;
        }
        self.budget.on_relieved(due.relief, now);
        let why = "Chrome has taken more memory than SESSION_MEMORY_MB allows for a minute";
        match due.relief {
            Relief::Reload => {
                self.reload(ReasonCode::MemoryExceeded, why, now);
                None
            }
            Relief::Restart => Some(End::because(ReasonCode::MemoryExceeded, why)),
        }
    }

    pub(super) fn on_pinged(&mut self, result: Result<(), Silence>) -> Option<End> {
        match result {
            Ok(()) => None,
            // A reload has its own limit.
            Err(Silence::Page(_)) if self.deadlines.is_reloading() => None,
            Err(Silence::Page(why)) => self.mend_page(why),
            Err(Silence::Chrome(why)) => Some(End::because(ReasonCode::BrowserLost, why)),
        }
    }

    /// Counts a turn of the session's loop. One that goes round for nothing too often ends the run: what is wrong
    /// is in this program, and a new run begins with a state of its own.
    pub(super) fn watch_turn(&mut self, turn: Purpose, now: Instant) -> Option<End> {
        match self.turns.on_turn(turn, self.sending.steps(), now) {
            TurnResult::Fine => None,
            TurnResult::ForNothing => {
                self.options.shared.turns.count(&self.options.id);
                None
            }
            TurnResult::Spins(turns) => {
                self.options.shared.turns.count(&self.options.id);
                tracing::error!(
                    turns,
                    "the session has gone round {turns} times within seconds and got nothing done: a fault of this program, please report it; the session is started again"
                );
                self.count_stall();
                let why = "the session went round for nothing and sent nothing, by a fault of this program; its log says more";
                Some(End::because(ReasonCode::SendsStalled, why))
            }
        }
    }

    /// Sees to it that a session that says READY sends, or says why it does not.
    pub(super) fn watch_sends(&mut self, now: Instant) -> Option<End> {
        let can_send =
            self.publisher.state() == SessionState::Ready && self.page.standing().is_ready();
        let work = self.sending.work(now);
        let stalled = self
            .stall
            .look(can_send, work, &mut self.healing.remedies, now);
        let (remedy, cause) = match stalled {
            Some(Stalled::Heals(remedy, cause)) => (remedy, cause),
            Some(said @ (Stalled::Ledger | Stalled::Unsent)) => {
                self.publish_stall_reason(Some(&said));
                return None;
            }
            None => {
                self.publish_stall_reason(None);
                return None;
            }
        };
        self.count_stall();
        let seconds = STALLED_AFTER.as_secs();
        let why = match cause {
            Cause::NoWord => {
                format!(
                    "WhatsApp Web has not answered for {seconds} s about a message that is to be sent"
                )
            }
            Cause::NotTakenByServer => format!(
                "WhatsApp Web is connected and takes messages, but WhatsApp's server has taken none of them for {seconds} s; the disk of TOKENS_DIR may have been full"
            ),
        };
        if remedy == Remedy::Reload && self.healing.reloads(now) {
            self.reload(ReasonCode::SendsStalled, &why, now);
            return None;
        }
        Some(End::because(ReasonCode::SendsStalled, why))
    }

    /// Publishes with READY why nothing is sent, as long as that is so.
    fn publish_stall_reason(&mut self, stalled: Option<&Stalled>) {
        let reason = stalled.and_then(Stalled::reason);
        let snapshot = self.publisher.snapshot();
        let present = snapshot.reason.filter(Reason::is_about_sends);
        let code = |reason: &Option<Reason>| reason.as_ref().map(|reason| reason.code);
        if snapshot.state != SessionState::Ready || code(&present) == code(&reason) {
            return;
        }
        if let Some(Reason { code, detail }) = &reason {
            tracing::error!(
                session.reason = code.as_str(),
                "the session is READY and sends nothing: {detail}"
            );
            self.count_stall();
        } else {
            tracing::info!("the session sends again");
        }
        self.publisher.amend(|snapshot| {
            snapshot.reason = reason;
            true
        });
        self.page.republish();
    }

    fn count_stall(&self) {
        self.publisher.amend(|snapshot| {
            snapshot.stalls += 1;
            true
        });
    }
}
