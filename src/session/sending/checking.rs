//! Whether a number is on WhatsApp, for a caller who sends nothing.

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::{SendAnswer, Sending};
use crate::{
    session::{
        NumberCheck, Recipient, SendError, SessionState,
        command::{CheckReply, answer},
        numbers::Known,
    },
    whatsapp::{Driver, PrepareError},
};

impl<D: Driver> Sending<'_, D> {
    /// Finds out whether a number is on WhatsApp, and sends nothing.
    pub(in crate::session) fn check(&mut self, to: Recipient, reply: CheckReply) {
        if self.means.publisher.state() != SessionState::Ready {
            answer(reply, Err(self.means.publisher.not_ready()));
            return;
        }
        let now = Instant::now();
        let known = self.means.numbers.get(to.digits(), now).cloned();
        let driver = self.means.driver;
        let check = async move {
            let checked = match known {
                Some(Known::At(chat)) => Ok(Some(chat)),
                Some(Known::Nowhere) => Ok(None),
                None => driver.check_number(to.digits()).await,
            };
            SendAnswer::Checked(checked, to, reply)
        };
        self.calls.push(check.boxed());
    }

    pub(super) fn on_checked(
        &mut self,
        result: Result<Option<String>, PrepareError>,
        to: &Recipient,
        reply: CheckReply,
        now: Instant,
    ) {
        let checked = match result {
            Err(why) => Err(SendError::from(why)),
            Ok(chat) => {
                let known = chat.clone().map_or(Known::Nowhere, Known::At);
                self.means.numbers.learn(to.digits(), known, now);
                Ok(NumberCheck {
                    chat,
                    due_in: self.outbox.due(now).saturating_duration_since(now),
                })
            }
        };
        answer(reply, checked);
    }
}
