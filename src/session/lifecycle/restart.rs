//! Whether the service starts a session again that has ended, and when.
//!
//! Carries out what [`healing`](super::healing) decides.

use tokio::time::Instant;

use super::{
    Actor,
    capacity::Admitted,
    healing::{AfterRun, Healing, Retry, Rung},
};
use crate::{
    session::{Reason, SessionState, state::Event},
    whatsapp::Driver,
};

impl<D: Driver> Actor<D> {
    /// The time has come for the start that it gives itself. `None` when there is no room for it.
    pub(super) async fn start_again(&mut self) -> Option<Admitted> {
        let retry = self.retry.take()?;
        let Ok(admitted) = self.options.shared.capacity.admit() else {
            self.wait_for(Healing::postponed(retry, Instant::now()));
            return None;
        };
        if retry.rung == Rung::ProfileCopy {
            self.restore_copy(retry).await;
            if self.mail.has_kept() {
                // A caller has asked for something meanwhile, and goes first.
                return None;
            }
            self.retry = None;
        }
        tracing::info!("starting the session again");
        self.publisher.apply(&Event::Started, None);
        self.publisher.amend(|snapshot| {
            snapshot.restarts += 1;
            true
        });
        self.budget.on_started();
        Some(admitted)
    }

    /// Does what comes before the start that is due when no new Chrome has helped. What is left is the start.
    pub(super) async fn restore_copy(&mut self, retry: Retry) {
        let restoring = self.options.safekeeping.restore_copy();
        self.mail.during(&mut self.intake, restoring).await;
        self.wait_for(Retry {
            rung: Rung::NewChrome,
            at: retry.at.min(Instant::now()),
        });
    }

    /// Will start again then.
    pub(super) fn wait_for(&mut self, retry: Retry) {
        self.retry = Some(retry);
        let left = retry.at.saturating_duration_since(Instant::now());
        let now = jiff::Timestamp::now();
        self.publisher.amend(|snapshot| {
            snapshot.retry_at = Some(now.saturating_add(left).unwrap_or(now));
            true
        });
    }

    /// What the end of a run means: for the state, for its published reason, and for the next run.
    pub(super) fn outlook(&mut self, reason: Reason) -> (Event, Reason, Option<Retry>) {
        let has_lived = self.publisher.state() != SessionState::Init;
        match self.healing.after(reason.code, has_lived, Instant::now()) {
            AfterRun::Leave => (reason.ending(), reason.with_outlook(false), None),
            AfterRun::Retry(retry) => (Event::Ended, reason.with_outlook(true), Some(retry)),
            AfterRun::GiveUp { times } => {
                (Event::Failed, Reason::keeps_failing(times, &reason), None)
            }
        }
    }
}
