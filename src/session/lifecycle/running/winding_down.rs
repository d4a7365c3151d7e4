//! How a run ends: what has begun may finish, and callers who wait are answered.
//!
//! Why it ends is decided before; Chrome is closed after it, by the actor.

use std::time::Duration;

use tokio::time::Instant;

use super::{LogoutReply, PageEvent, Running};
use crate::{
    session::{
        DisconnectError, Reason, ReasonCode, SessionState,
        command::answer,
        lifecycle::{admission::Stage, mailbox::Heard},
        run_end::End,
        state::Event,
    },
    whatsapp::{Driver, Fact},
};

/// A hand-over that has begun takes milliseconds, an acknowledgement half a second (docs/whatsapp.md#timings); what has not
/// come by then may not come for long.
const WIND_DOWN_GRACE: Duration = Duration::from_secs(2);

impl<D: Driver> Running<'_, D> {
    pub(super) fn refuse_logouts(&mut self, why: &str) {
        for reply in self.logouts.drain(..) {
            let refused = DisconnectError::LogoutUnconfirmed(why.to_owned());
            answer(reply, Err(refused));
        }
    }

    /// Lets what has begun finish, and writes down what is known. When the page is still there, that is a hand-over on
    /// its way and acknowledgements that come within the half second that WhatsApp's server needs.
    pub(super) async fn wind_down(mut self, mut end: End) -> End {
        let stops_waking = self.publisher.state() == SessionState::Hibernating
            && end.reason.code != ReasonCode::Hibernating;
        if end.reason.is_failure() || stops_waking {
            // A Chrome that hangs takes seconds to close, and cannot send meanwhile.
            self.publisher
                .apply(&Event::Unready, Some(end.reason.clone()));
        }
        // Its Chrome goes on at once, and can finish what has begun.
        self.copying = None;
        self.reading.current = None;
        self.reading.refuse_waiting(&self.publisher.not_ready());
        self.sending.refuse(&end.reason.detail);
        self.sending.write_notes();
        let page_is_there = matches!(
            end.reason.code,
            ReasonCode::DisconnectRequested | ReasonCode::ShuttingDown
        );
        self.facts.in_a_row = 0;
        let give_up_at = Instant::now() + WIND_DOWN_GRACE;
        // Commands are answered meanwhile as those that come while Chrome is being closed.
        while page_is_there && (self.sending.intake.in_flight.is_busy() || !self.logouts.is_empty())
        {
            match self.wait(Stage::Busy, Some(give_up_at)).await {
                Heard::StageWork(PageEvent::Answered(answer)) => {
                    let other = self.on_answer(answer).filter(|other| other.unlinked);
                    if let Some(mut other) = other {
                        // A logout that comes through all the same is what the session ends with.
                        other.asked.append(&mut end.asked);
                        end = other;
                    }
                }
                Heard::StageWork(PageEvent::SendAnswered(answer)) => self.sending.on_answer(answer),
                Heard::StageWork(PageEvent::Fact(Some(Fact::Ack { key, ack }))) => {
                    self.sending.on_ack(&key, ack);
                }
                Heard::StageWork(PageEvent::Fact(Some(Fact::GaveUp { key, word }))) => {
                    self.sending.on_gave_up(&key, word);
                }
                Heard::StageWork(
                    PageEvent::Fact(Some(_)) | PageEvent::Copied(_) | PageEvent::Read(_),
                )
                | Heard::Mail(_)
                | Heard::Stop => {}
                Heard::StageWork(PageEvent::Fact(None)) => self.facts.is_over = true,
                Heard::Deadline => {
                    tracing::warn!("something was still on its way when the session ended");
                    break;
                }
            }
            self.sending.refuse(&end.reason.detail);
            self.sending.write_notes();
        }
        self.refuse_logouts("the session ended first");
        self.sending.intake.on_page_closed();
        end
    }
}

/// The end of a session whose device is no longer linked.
pub(super) fn logged_out(asked: Vec<LogoutReply>) -> End {
    End {
        reason: Reason::of(ReasonCode::LoggedOut),
        unlinked: true,
        asked,
    }
}
