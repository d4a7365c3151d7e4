//! A page asks the phone for messages that are older than those it has.
//!
//! Responsible for: passing the question on and the answer back. Not responsible for: which messages they are (`server/older`).

use super::{Connection, Ended, ToPage};
use crate::{faults::OlderHistoryFault, number::Number};

impl Connection {
    /// The phone answers at once, if it is not switched off.
    pub(super) async fn answer_older(
        &mut self,
        user: &str,
        server: &str,
        oldest: Option<&str>,
    ) -> Result<(), Ended> {
        let Some((_, account)) = self.link.clone() else {
            return Err(Ended);
        };
        match self.faults().older_history {
            Some(OlderHistoryFault::Never) => return Ok(()),
            None => {}
        }
        // A group has no messages that only the phone has.
        let person = Number::addressed(user, server);
        let found = person.map(|person| self.server.older(&account, &person, oldest));
        let found = found.unwrap_or_default();
        self.send(&ToPage::Older {
            user: user.to_owned(),
            server: server.to_owned(),
            stanzas: found.stanzas,
            has_more: found.has_more,
        })
        .await
    }
}
