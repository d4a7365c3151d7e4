//! How serving a page ends: what has begun is let finish, and whoever waits is told.
//!
//! Why it ends is decided before; Chrome is closed after it, by the actor.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::{sync::mpsc, time::timeout};

use super::{LogoutReply, Serving};
use crate::{
    session::{
        DisconnectError, Reason, ReasonCode, SessionState, command::answer, run_end::End,
        state::Event,
    },
    whatsapp::{Driver, Fact},
};

/// A hand-over that has begun takes milliseconds, an acknowledgement half a second (docs/whatsapp.md#timings); what has not
/// come by then may not come for long.
const WIND_UP_GRACE: Duration = Duration::from_secs(2);

impl<D: Driver> Serving<'_, D> {
    pub(super) fn refuse_logouts(&mut self, why: &str) {
        for reply in self.logouts.drain(..) {
            let refused = DisconnectError::LogoutUnconfirmed(why.to_owned());
            answer(reply, Err(refused));
        }
    }

    /// Lets what has begun finish, and writes down what is known. When the page is still there, that is a hand-over on
    /// its way and acknowledgements that come within the half second that WhatsApp's server needs.
    pub(super) async fn wind_up(mut self, mut end: End, mut facts: mpsc::Receiver<Fact>) -> End {
        let stops_waking = self.publisher.state() == SessionState::Hibernating
            && end.reason.code != ReasonCode::Hibernating;
        if end.reason.is_failure() || stops_waking {
            // A Chrome that hangs takes seconds to close, and cannot send meanwhile.
            self.publisher
                .apply(&Event::Unready, Some(end.reason.clone()));
        }
        self.sending.refuse(&end.reason.detail);
        self.sending.write_notes();
        let page_is_there = matches!(
            end.reason.code,
            ReasonCode::DisconnectRequested | ReasonCode::ShuttingDown
        );
        let finish = async {
            while page_is_there && (self.sending.is_busy() || !self.logouts.is_empty()) {
                tokio::select! {
                    Some(answer) = self.calls.next() => if let Some(mut other) = self.on_answer(answer).filter(|other| other.unlinked) {
                        // A logout that comes through all the same is what the session ends with.
                        other.asked.append(&mut end.asked);
                        end = other;
                    },
                    Some(answer) = self.sending.calls.next() => self.sending.on_answer(answer),
                    Some(_is_new) = self.sending.intake.written() => {}
                    Some(fact) = facts.recv() => if let Fact::Ack { key, ack } = fact {
                        self.sending.on_ack(&key, ack);
                    } else if let Fact::GaveUp { key, word } = fact {
                        self.sending.on_gave_up(&key, word);
                    },
                    else => break,
                }
                self.sending.refuse(&end.reason.detail);
                self.sending.write_notes();
            }
        };
        if timeout(WIND_UP_GRACE, finish).await.is_err() {
            tracing::warn!("something was still on its way when the session ended");
        }
        self.refuse_logouts("the session ended first");
        self.sending.intake.on_page_closed();
        end
    }
}

/// The end of a session whose device is no longer linked.
pub(super) fn logged_out(asked: Vec<LogoutReply>) -> End {
    let detail = "logged out; POST /connect shows a code to link it again";
    End {
        reason: Reason::new(ReasonCode::LoggedOut, detail),
        unlinked: true,
        asked,
    }
}
