//! Whose messages a consumer of events wants: a session that sleeps hears none of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::watch;

use super::ClienteId;

/// The sessions whose messages are wanted, by who wants them. A clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Listened(Arc<watch::Sender<BTreeMap<&'static str, Wanted>>>);

/// Whose messages one consumer wants.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// Those of all sessions.
    All,
    /// Those of these sessions.
    Of(BTreeSet<ClienteId>),
    /// Those of each session with such a name, also of one that is not there yet.
    Named(fn(&ClienteId) -> bool),
}

impl Wanted {
    fn has(&self, id: &ClienteId) -> bool {
        match self {
            Self::All => true,
            Self::Of(ids) => ids.contains(id),
            Self::Named(is_meant) => is_meant(id),
        }
    }
}

impl Listened {
    /// From now on `who` wants the messages of these sessions.
    pub fn set(&self, who: &'static str, wanted: Wanted) {
        self.0.send_modify(|all| {
            all.insert(who, wanted);
        });
    }

    /// Whether the messages of this session are wanted.
    pub fn is_wanted(&self, id: &ClienteId) -> bool {
        is_wanted(&self.0.borrow(), id)
    }

    /// Resolves when the messages of this session are wanted.
    pub(super) async fn wanted(&self, id: &ClienteId) {
        let mut all = self.0.subscribe();
        // Ends only with its sender, which is here.
        all.wait_for(|all| is_wanted(all, id)).await.ok();
    }
}

fn is_wanted(all: &BTreeMap<&'static str, Wanted>, id: &ClienteId) -> bool {
    all.values().any(|wanted| wanted.has(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_listened_to_while_anything_wants_its_messages() {
        let listened = Listened::default();
        let (one, other): (ClienteId, ClienteId) = ("51".parse().unwrap(), "52".parse().unwrap());
        assert!(!listened.is_wanted(&one));
        listened.set("webhook", Wanted::Of([one.clone()].into()));
        assert!(listened.is_wanted(&one) && !listened.is_wanted(&other));
        listened.set("bridge", Wanted::All);
        listened.set("webhook", Wanted::Of(BTreeSet::new()));
        assert!(listened.is_wanted(&one) && listened.is_wanted(&other));
        listened.set("bridge", Wanted::Named(|id| id.as_str() == "52"));
        assert!(!listened.is_wanted(&one) && listened.is_wanted(&other));
        listened.set("bridge", Wanted::Of(BTreeSet::new()));
        assert!(!listened.is_wanted(&one));
    }
}
