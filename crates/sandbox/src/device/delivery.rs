//! How the things in an account's mailbox come to one of its devices.
//!
//! Responsible for: their order and pace; telling a page what waited while it was away. Not responsible for: what they are
//! (`stanza`), what lasts (`server/mailbox`).
//!
//! ```text
//! welcome ──▶ history (a new link) ──▶ offline preview ──▶ what waited ──▶ offline end ──▶ live
//! ```
//! Invariant: a thing counts as brought only when the page says that it is in its storage; else the next connection brings
//! it again.

use tokio::time::Instant;

use super::{AckFault, Connection, Ended, ToPage};

/// So many things travel before the page confirms the first of them: the real page asks for its offline queue in batches of
/// 200 (page module `WAWebOfflineHandler`).
const WINDOW: usize = 200;
/// So many messages of the history travel in one part.
const HISTORY_PART: usize = 200;

/// How far it has got.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// The next thing in the mailbox.
    place: usize,
    /// On their way, and not confirmed.
    in_flight: usize,
    /// Where in the mailbox what waited ends, until that has been sent.
    waited: Option<Waited>,
}

#[derive(Clone, Copy, Debug)]
struct Waited {
    end: usize,
    count: usize,
}

impl Connection {
    /// A linked page is there.
    pub(super) async fn begin_delivery(&mut self) -> Result<(), Ended> {
        let Some((device, account)) = self.link.clone() else {
            return Err(Ended);
        };
        let history = self.server.history(&account, &device);
        let parts = history.len().div_ceil(HISTORY_PART);
        let has_more = self.server.has_older(&account);
        for (nth, part) in history.chunks(HISTORY_PART).enumerate() {
            let frame = ToPage::History {
                stanzas: part.to_vec(),
                is_last: nth + 1 == parts,
                has_more,
            };
            self.send(&frame).await?;
        }
        let (count, end) = self.server.waiting(&account, &device);
        self.delivery.waited = Some(Waited { end, count });
        self.send(&ToPage::OfflinePreview { count }).await?;
        self.deliver().await
    }

    /// Sends what may travel now.
    pub(super) async fn deliver(&mut self) -> Result<(), Ended> {
        if self.link.is_none() {
            return Ok(());
        }
        while self.delivery.in_flight < WINDOW {
            let Some(parcel) = self.server.next_parcel(self.id, &mut self.delivery.place) else {
                break;
            };
            let waited = self.delivery.waited;
            if waited.is_some_and(|waited| waited.end < self.delivery.place) {
                self.end_offline().await?;
            }
            self.delivery.in_flight += 1;
            let offline = self.delivery.waited.is_some();
            let stanza = parcel.frame;
            self.send(&ToPage::Stanza { stanza, offline }).await?;
            if parcel.is_own_message {
                self.receipts(&parcel.id);
            }
        }
        let waited = self.delivery.waited;
        if waited.is_some_and(|waited| waited.end <= self.delivery.place) {
            self.end_offline().await?;
        }
        Ok(())
    }

    async fn end_offline(&mut self) -> Result<(), Ended> {
        let Some(Waited { count, .. }) = self.delivery.waited.take() else {
            return Ok(());
        };
        self.send(&ToPage::OfflineEnd { count }).await
    }

    /// The page has these safe.
    pub(super) async fn received(&mut self, ids: Vec<String>) -> Result<(), Ended> {
        let Some((device, _)) = &self.link else {
            return Err(Ended);
        };
        self.delivery.in_flight = self.delivery.in_flight.saturating_sub(ids.len());
        self.server.delivered(device, ids).map_err(|_| Ended)?;
        self.deliver().await
    }

    /// A message that the owner wrote by hand is delivered and read, as one that a page sent.
    fn receipts(&mut self, id: &str) {
        if self.faults().ack.is_some_and(|fault| match fault {
            AckFault::Never | AckFault::NoReceipts => true,
        }) {
            return;
        }
        let mut due = Instant::now();
        for ack in [2, 3] {
            due += self.config.ack_delay;
            self.acknowledge_at(due, id, ack);
        }
    }
}
