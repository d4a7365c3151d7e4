//! What a session does about a page that hangs, has broken, or takes too much memory.
//!
//! Whether it is to be reloaded, [`healing`](crate::session::lifecycle::healing) and [`memory_budget`](crate::session::lifecycle::memory_budget) decide; a page that is
//! not worth it ends the session's run, and the actor goes on.

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::{PageAnswer, Running};
use crate::{
    session::{
        Reason, ReasonCode, SessionState, lifecycle::memory_budget::Relief, run_end::End,
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
        let driver = self.driver;
        let reload = async move { PageAnswer::Reloaded(driver.reload().await) };
        self.calls.push(reload.boxed());
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
}
