//! What a page does about what is there, as it comes over its connection.
//!
//! Responsible for: reading whom it is about, and answering it. What the server takes is `server/after`'s part.

use std::time::Duration;

use tokio::time::Instant;

use super::{AckFault, Connection, Ended, Recipient, SendFault, ToPage, present};
use crate::{
    after::{Act, Change, Doing},
    ratchets::Envelope,
    server,
};

/// What a page does about a message.
pub(super) struct Done {
    /// The id of what it does.
    pub(super) id: String,
    /// The message.
    pub(super) target: String,
    pub(super) act: Act,
    pub(super) envelopes: Vec<Envelope>,
}

impl Connection {
    pub(super) async fn take_change(&mut self, done: Done) -> Result<(), Ended> {
        let Done {
            id,
            target,
            act,
            envelopes,
        } = done;
        let Some((_, account)) = self.link.clone() else {
            return Err(Ended);
        };
        let faults = self.faults();
        // What the page says of it by itself has no answer either.
        if faults.send == Some(SendFault::Lost) || faults.send_result.is_some() {
            return Ok(());
        }
        let change = Change {
            id: id.clone(),
            account,
            target,
            at: server::now(),
            act,
        };
        let is_taken = if faults.send == Some(SendFault::Refused) {
            false
        } else {
            let taken = self.server.take_change(change, envelopes);
            taken.map_err(|why| {
                tracing::error!("the sandbox could not store a change of a message: {why}");
                Ended
            })?
        };
        if !is_taken {
            let at = present();
            return self.send(&ToPage::Ack { id, ack: -1, at }).await;
        }
        if faults.ack != Some(AckFault::Never) {
            let delay = faults
                .ack_delay_ms
                .map_or(self.config.ack_delay, Duration::from_millis);
            self.acknowledge_at(Instant::now() + delay, &id, 1);
        }
        Ok(())
    }

    pub(super) fn seen(&self, user: &str, server: &str) -> Result<(), Ended> {
        let Some((_, account)) = self.link.clone() else {
            return Err(Ended);
        };
        let chat = self.recipient_of(&account, user, server);
        let seen = chat.map(|chat| self.server.seen(account, chat.chat()));
        seen.unwrap_or(Ok(())).map_err(|_| Ended)
    }

    pub(super) fn chat_state(&self, user: &str, server: &str, state: Doing) -> Result<(), Ended> {
        let Some((_, account)) = self.link.clone() else {
            return Err(Ended);
        };
        let chat = self.recipient_of(&account, user, server);
        if let Some(chat) = chat.as_ref().map(Recipient::chat) {
            self.server.set_chat_state(account, chat, state);
        }
        Ok(())
    }
}
