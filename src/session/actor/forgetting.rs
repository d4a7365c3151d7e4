//! What is kept of a session that has no account: nothing, once its codes are over or an operator says so.
//!
//! Not responsible for the session's row among the others: [`registry`](crate::session::registry) takes it away when
//! the snapshot says that it is forgotten. A link is never deleted here, only by a logout.

use super::{Actor, asleep::taking_in, beside, logged_out};
use crate::{
    session::{ForgetError, ReasonCode, SessionState, end::End, state::Event},
    whatsapp::Driver,
};

impl<D: Driver> Actor<D> {
    /// Before a start: sees that the profile of a linked session is there.
    pub(super) async fn find_profile(&mut self) -> Result<(), End> {
        let linked_at = self.options.desired.linked_at().await;
        let safekeeping = &self.options.safekeeping;
        if linked_at.is_none() && safekeeping.has_no_folder().await {
            self.options.desired.on_new_profile().await;
        }
        let finding = safekeeping.find_profile(linked_at);
        let (commands, postponed) = (&mut self.commands, &mut self.postponed);
        let found = if self.publisher.state() == SessionState::Hibernating {
            let account = self.publisher.snapshot().account;
            taking_in(commands, postponed, &mut self.arrivals, account, finding).await
        } else {
            beside(commands, postponed, finding).await
        };
        found.map_err(End::of)
    }

    /// The session has ended for this reason. Deletes its traces if its codes are over and no phone has ever scanned one: a
    /// name that anybody may make up must not cost a folder for ever. Answers whether it did.
    pub(super) async fn forget_newcomer(&mut self, why: ReasonCode) -> bool {
        let are_codes_over = matches!(why, ReasonCode::QrTimeout | ReasonCode::DisconnectRequested);
        if !are_codes_over || !self.options.desired.is_newcomer().await {
            return false;
        }
        match self.delete_traces().await {
            Ok(()) => true,
            Err(why) => {
                tracing::warn!(error = %why, "the session was never linked, and {why}");
                false
            }
        }
    }

    /// An operator wants nothing of the session to be kept.
    pub(super) async fn forget(&mut self) -> Result<(), ForgetError> {
        if self.retry.is_some() {
            return Err(ForgetError::Running);
        }
        let safekeeping = &self.options.safekeeping;
        let is_missing = safekeeping.is_missing().await;
        let is_linked = self.options.desired.is_linked().await || safekeeping.may_be_linked().await;
        if is_linked && !is_missing {
            return Err(ForgetError::Linked);
        }
        if is_linked {
            // Of a profile that is missing only the wish is there. What was set aside and the snapshots are the account's.
            self.delete_notes().await?;
        } else {
            self.delete_traces().await?;
        }
        logged_out::settle_sends(&self.options.ledger, &self.options.id).await;
        tracing::info!("the session was deleted on request");
        self.publish_forgotten();
        Ok(())
    }

    async fn delete_traces(&mut self) -> Result<(), ForgetError> {
        let deleted = self.options.safekeeping.delete_unlinked().await;
        deleted.map_err(|why| ForgetError::Failed(why.to_string()))?;
        self.delete_notes().await
    }

    async fn delete_notes(&mut self) -> Result<(), ForgetError> {
        let deleted = self.options.evidence.delete().await;
        deleted.map_err(|why| ForgetError::Failed(why.to_string()))?;
        self.options.desired.forget().await;
        Ok(())
    }

    pub(super) fn publish_forgotten(&self) {
        self.publisher.apply(&Event::Forgotten, None);
        self.publisher.amend(|snapshot| {
            snapshot.is_forgotten = true;
            true
        });
    }
}
