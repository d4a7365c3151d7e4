//! When a session whose page is open may sleep, and what it does while it wakes.

use tokio::time::Instant;

use super::Serving;
use crate::{
    session::{SessionState, lifecycle::hibernation::on_late_wake, run_end::End, state::Event},
    whatsapp::Driver,
};

impl<D: Driver> Serving<'_, D> {
    /// Whether nobody needs the page: it could send, and nothing is to be sent, to be acknowledged, to be found out or to
    /// be looked at.
    fn is_quiet(&self) -> bool {
        self.publisher.state() == SessionState::Ready
            && self.page.standing().is_ready()
            && self.sending.is_settled()
            && self.lookers.is_empty()
            && self.logouts.is_empty()
    }

    /// Takes note of whether anybody needs the page.
    pub(super) fn rest(&mut self, now: Instant) {
        self.idle_clock.set(self.is_quiet(), now);
    }

    /// When it may sleep. Not in the midst of a call: that may be the one that finds out that the page is broken.
    pub(super) fn sleeps_at(&self) -> Option<Instant> {
        self.idle_clock.due().filter(|_| self.calls.is_empty())
    }

    /// Goes to sleep, when the time has come. From then on everything that needs the page waits for the next one.
    pub(super) fn fall_asleep(&mut self, now: Instant) -> Option<End> {
        self.sleeps_at().filter(|at| *at <= now)?;
        self.publisher.apply(&Event::Slept, None);
        self.healing.on_asleep();
        Some(End::hibernation())
    }

    /// It takes longer to wake than a send waits.
    pub(super) fn wakes_late(&mut self, now: Instant) {
        on_late_wake(self.publisher, self.page.standing().linked);
        self.sending.refuse_waiting();
        let state = self.publisher.state();
        self.timers.set(&state, self.page.standing(), now);
        self.tell_phase();
    }
}
