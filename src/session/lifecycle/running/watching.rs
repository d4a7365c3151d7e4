//! What a session does when its sends stand still, or when it goes round for nothing.
//!
//! Whether they do, [`stall`](crate::session::sending::stall) and [`turns`](crate::session::sending::turns) find out.

use tokio::time::Instant;

use super::Serving;
use crate::{
    session::{
        Reason, ReasonCode, SessionState,
        run_end::End,
        sending::{
            stall::{Cause, Remedy, STALLED_AFTER, Stalled},
            turns::{Purpose, Verdict},
        },
    },
    whatsapp::Driver,
};

impl<D: Driver> Serving<'_, D> {
    /// Counts a turn of the session's loop. One that goes round for nothing again and again ends the run: what is wrong
    /// is in this program, and a new run begins with a state of its own.
    pub(super) fn watch_turn(&mut self, turn: Purpose, now: Instant) -> Option<End> {
        match self.turns.on_turn(turn, self.sending.steps(), now) {
            Verdict::Fine => None,
            Verdict::ForNothing => {
                self.options.shared.turns.count(&self.options.id);
                None
            }
            Verdict::Spins(turns) => {
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
                self.say_beside(Some(&said));
                return None;
            }
            None => {
                self.say_beside(None);
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
            self.load_anew(ReasonCode::SendsStalled, &why, now);
            return None;
        }
        Some(End::because(ReasonCode::SendsStalled, why))
    }

    /// Says beside READY why nothing is sent, as long as that is so.
    fn say_beside(&mut self, stalled: Option<&Stalled>) {
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
    }

    fn count_stall(&self) {
        self.publisher.amend(|snapshot| {
            snapshot.stalls += 1;
            true
        });
    }
}
