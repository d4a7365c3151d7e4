//! What is kept of a session that has no account: nothing, once its codes are over or an operator says so.
//!
//! Not responsible for the session's row among the others: [`fleet`](crate::session::fleet) takes it away when
//! the snapshot says that it is forgotten. A link is never deleted here, only by a logout.

use std::time::Duration;

use tokio::time::Instant;

use super::{Actor, logged_out};
use crate::{
    session::{ForgetError, Reason, ReasonCode, reason::AfterEnd, run_end::End, state::Event},
    whatsapp::Driver,
};

/// A first start that has failed is looked into: `/status` and the evidence say why. After this time a person has looked or has
/// connected it again; and names that callers make up do not accumulate for longer.
const FAILED_NEWCOMER_KEPT: Duration = Duration::from_secs(3600);

impl<D: Driver> Actor<D> {
    /// Before a start: sees that the profile of a linked session is there.
    pub(super) async fn find_profile(&mut self) -> Result<(), End> {
        let linked_at = self.options.desired.linked_at().await;
        let safekeeping = &self.options.safekeeping;
        if linked_at.is_none() && safekeeping.has_no_folder().await {
            self.options.desired.on_new_profile().await;
        } else if self.options.desired.is_newcomer().await && safekeeping.may_be_linked().await {
            // An account was put there since it was made for codes.
            self.options.desired.on_account().await;
        }
        let finding = safekeeping.find_profile(linked_at);
        let found = self.mail.during(&mut self.intake, finding).await;
        found.map_err(End::of)
    }

    /// The session has ended for this reason. Deletes its traces if its codes are over and no phone has ever scanned one: a
    /// name that anybody may make up must not cost a folder for ever. Answers whether it did.
    pub(super) async fn forget_newcomer(&mut self, why: ReasonCode) -> bool {
        let are_codes_over = why.policy().desired == AfterEnd::Down;
        are_codes_over && self.is_newcomer().await && self.delete_newcomer().await
    }

    /// Nothing runs, and no start is planned: of a session that was never linked nothing is to be kept for long.
    pub(super) async fn forget_later(&mut self) {
        let is_newcomer = self.is_newcomer().await;
        self.forget_at = is_newcomer.then(|| Instant::now() + FAILED_NEWCOMER_KEPT);
    }

    /// It is later now.
    pub(super) async fn forget_failed_newcomer(&mut self) {
        self.forget_at = None;
        if !self.is_newcomer().await {
            return;
        }
        if !self.delete_newcomer().await {
            // The disk may take it then.
            self.forget_later().await;
            return;
        }
        tracing::info!("the session was never linked, and is forgotten");
        self.publish_forgotten(self.publisher.snapshot().reason);
    }

    /// Whether the profile holds nothing but codes that were not scanned, by what is remembered and by what it says itself.
    async fn is_newcomer(&mut self) -> bool {
        self.options.desired.is_newcomer().await && !self.options.safekeeping.may_be_linked().await
    }

    async fn delete_newcomer(&mut self) -> bool {
        match self.delete_traces().await {
            Ok(()) => true,
            // An account was put there in this moment: the next start finds it.
            Err(ForgetError::Linked) => false,
            Err(why) => {
                tracing::warn!(error = %why, "the session was never linked, and {why}");
                false
            }
        }
    }

    /// A start begins. Answers whether the session is still known: one that was forgotten leaves as soon as its last caller has
    /// gone, and no caller could see or end a Chrome that it started then.
    pub(super) fn stays_known(&self) -> bool {
        // It cannot leave after this. It may have before.
        self.publisher
            .amend(|snapshot| std::mem::take(&mut snapshot.is_forgotten));
        !self.mail.is_abandoned()
    }

    /// An operator wants nothing of the session to be kept.
    pub(super) async fn forget(&mut self) -> Result<(), ForgetError> {
        if self.retry.is_some() {
            return Err(ForgetError::Running);
        }
        let safekeeping = &self.options.safekeeping;
        let is_missing = safekeeping.is_missing().await;
        let is_linked = self.options.desired.is_linked().await || safekeeping.may_be_linked().await;
        // Delete only what is certainly of no use.
        let is_useless = !is_linked
            && (self.options.desired.is_newcomer().await || safekeeping.is_unlinked().await);
        if !is_useless && !is_missing {
            return Err(ForgetError::Linked);
        }
        if is_linked {
            // Of a session whose profile is missing only the desired state is left. What was set aside and the snapshots are the account's.
            self.delete_notes().await?;
        } else {
            self.delete_traces().await?;
        }
        self.forget_at = None;
        logged_out::settle_sends(&self.options.shared.ledger, &self.options.id).await;
        tracing::info!("the session was deleted on request");
        self.publish_forgotten(None);
        Ok(())
    }

    async fn delete_traces(&mut self) -> Result<(), ForgetError> {
        let deleted = self.options.safekeeping.delete_unlinked().await;
        let is_deleted = deleted.map_err(|why| ForgetError::Failed(why.to_string()))?;
        if !is_deleted {
            return Err(ForgetError::Linked);
        }
        self.delete_notes().await
    }

    async fn delete_notes(&mut self) -> Result<(), ForgetError> {
        let deleted = self.options.evidence.delete().await;
        deleted.map_err(|why| ForgetError::Failed(why.to_string()))?;
        self.options.desired.forget().await;
        Ok(())
    }

    /// `reason`: why it ended, if that is still to be told.
    pub(super) fn publish_forgotten(&self, reason: Option<Reason>) {
        self.publisher.apply(&Event::Forgotten, reason);
        self.publisher.amend(|snapshot| {
            snapshot.is_forgotten = true;
            true
        });
    }
}
