//! Asking the ledger what is open, when the page can say what became of it, and handing that to
//! [`Recovery`](crate::session::recovery::Recovery), which decides what is looked up.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::{Means, SendAnswer, Sending};
use crate::{
    ledger::{LedgerError, Record},
    session::recovery::Linked,
    whatsapp::Driver,
};

impl<D: Driver> Sending<'_, D> {
    /// Asks the ledger what is open.
    pub(super) fn find_out(&mut self) {
        if !self.doubt.ask() {
            return;
        }
        let Means {
            ledger, session, ..
        } = self.means;
        self.ledger.open += 1;
        let open = async move { SendAnswer::Open(ledger.open_sends(session.as_str()).await) };
        self.calls.push(open.boxed());
    }

    pub(super) fn on_open(&mut self, result: Result<Vec<Arc<Record>>, LedgerError>, now: Instant) {
        if !self.doubt.on_answer() {
            self.find_out();
            return;
        }
        match result {
            Ok(records) if self.has_lost_link => {
                self.has_lost_link = false;
                self.recovery.on_unlinked(records);
                if self.is_ready {
                    self.find_out();
                }
            }
            // Asked again when it is.
            Ok(_) if !self.is_ready => {}
            Ok(records) => {
                let page = Linked {
                    account: self.account.as_deref(),
                    since: self.since,
                };
                self.recovery.begin(records, page, &mut self.outbox);
            }
            Err(why) => {
                tracing::warn!(error = %why, "the open sends of this session are not known: {why}");
                self.doubt.on_failure(now);
            }
        }
    }
}
