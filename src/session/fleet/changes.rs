//! What changes, of one session or of all, as it happens.
//!
//! Responsible for hearing of every session, also of one that becomes known later or whose actor was replaced after a fault. Bounded:
//! of each session only the latest snapshot waits to be read, so a slow reader misses steps and never the last.
//! What becomes of a session's messages, which is no part of its snapshot, is a change as well.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    ledger::Traffic,
    session::{ClienteId, Registry, Snapshot},
};

/// A message has five steps within seconds, and a busy service hundreds of messages: no reader needs more than this.
const TRAFFIC_PACE: Duration = Duration::from_millis(400);

/// Resolves when a session has changed; without a receiver when its actor has ended.
type Next = BoxFuture<'static, (ClienteId, Option<watch::Receiver<Snapshot>>)>;

/// The changes of all sessions, for one reader.
#[derive(Debug)]
pub struct Changes {
    registry: Arc<Registry>,
    only: Option<ClienteId>,
    /// Changes whenever a session becomes known.
    known: watch::Receiver<u64>,
    followed: BTreeSet<ClienteId>,
    waiting: FuturesUnordered<Next>,
    /// Changes with any message of any session.
    traffic: watch::Receiver<u64>,
    /// Not looked at again before.
    traffic_from: Instant,
    /// What was last seen of each session's messages.
    seen: BTreeMap<ClienteId, Traffic>,
    /// Whose messages have changed since they were told of.
    untold: BTreeSet<ClienteId>,
}

impl Changes {
    /// Of all sessions, or of `only` this one, which need not be known. [`next`](Self::next) begins with each as it is now.
    pub fn of(registry: Arc<Registry>, only: Option<ClienteId>) -> Self {
        let mut changes = Self {
            known: registry.known(),
            traffic: registry.ledger().tally().changes(),
            registry,
            only,
            followed: BTreeSet::new(),
            waiting: FuturesUnordered::new(),
            traffic_from: Instant::now(),
            seen: BTreeMap::new(),
            untold: BTreeSet::new(),
        };
        changes.follow_new();
        changes
    }

    /// The next session that has changed, with all of it; `None` once the service stops.
    pub async fn next(&mut self) -> Option<(ClienteId, Snapshot)> {
        let stopping = self.registry.stopping();
        tokio::pin!(stopping);
        loop {
            if let Some(id) = self.untold.pop_first()
                && let Some(session) = self.registry.find(&id)
            {
                return Some((id, session.snapshot()));
            }
            let traffic = async {
                sleep_until(self.traffic_from).await;
                self.traffic.changed().await
            };
            tokio::select! {
                biased;
                () = &mut stopping => return None,
                // Its sender is the registry's.
                _ = self.known.changed() => self.follow_new(),
                Some((id, receiver)) = self.waiting.next() => {
                    if let Some(mut receiver) = receiver {
                        let snapshot = receiver.borrow_and_update().clone();
                        self.wait_for(id.clone(), receiver);
                        return Some((id, snapshot));
                    }
                    self.followed.remove(&id);
                    // It may have been given a new actor before the end of the old one was heard of.
                    self.follow_new();
                    if let Some(last) = self.registry.last_seen(&id) {
                        self.seen.remove(&id);
                        return Some((id, last));
                    }
                }
                // Its sender is the registry's, too.
                _ = traffic => self.look_at_traffic(),
            }
        }
    }

    fn follow_new(&mut self) {
        for session in self.registry.handles() {
            let id = &session.session;
            let is_wanted = self.only.as_ref().is_none_or(|only| only == id);
            if !is_wanted || session.is_gone() || !self.followed.insert(id.clone()) {
                continue;
            }
            let mut receiver = session.subscribe();
            receiver.mark_changed();
            self.wait_for(id.clone(), receiver);
            let traffic = self.registry.ledger().tally().traffic(id.as_str());
            self.seen.insert(id.clone(), traffic);
        }
    }

    fn look_at_traffic(&mut self) {
        self.traffic_from = Instant::now() + TRAFFIC_PACE;
        let tally = self.registry.ledger().tally();
        for (id, seen) in &mut self.seen {
            let now = tally.traffic(id.as_str());
            if *seen != now {
                *seen = now;
                self.untold.insert(id.clone());
            }
        }
    }

    fn wait_for(&self, id: ClienteId, mut receiver: watch::Receiver<Snapshot>) {
        let next = async move {
            let heard = receiver.changed().await;
            (id, heard.ok().map(|()| receiver))
        };
        self.waiting.push(next.boxed());
    }
}
