//! Whose messages a consumer of events wants: a session that sleeps hears none of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::watch;

use super::ClienteId;

/// The sessions whose messages are wanted, by who wants them. A clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Listened(Arc<watch::Sender<BTreeMap<&'static str, Sessions>>>);

/// `None`: all of them.
type Sessions = Option<BTreeSet<ClienteId>>;

impl Listened {
    /// From now on `who` wants the messages of these sessions; `None`: of all.
    pub fn set(&self, who: &'static str, sessions: Option<BTreeSet<ClienteId>>) {
        self.0.send_if_modified(|wanted| {
            let old = wanted.insert(who, sessions.clone());
            old != Some(sessions)
        });
    }

    /// Whether the messages of this session are wanted.
    pub fn is_wanted(&self, id: &ClienteId) -> bool {
        is_wanted(&self.0.borrow(), id)
    }

    /// Resolves when the messages of this session are wanted.
    pub(super) async fn wanted(&self, id: &ClienteId) {
        let mut wanted = self.0.subscribe();
        // Ends only with its sender, which is here.
        wanted.wait_for(|wanted| is_wanted(wanted, id)).await.ok();
    }
}

fn is_wanted(wanted: &BTreeMap<&'static str, Sessions>, id: &ClienteId) -> bool {
    let mut wanted = wanted.values();
    wanted.any(|sessions| sessions.as_ref().is_none_or(|ids| ids.contains(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_listened_to_while_anything_wants_its_messages() {
        let listened = Listened::default();
        let (one, other): (ClienteId, ClienteId) = ("51".parse().unwrap(), "52".parse().unwrap());
        assert!(!listened.is_wanted(&one));
        listened.set("webhook", Some([one.clone()].into()));
        assert!(listened.is_wanted(&one) && !listened.is_wanted(&other));
        listened.set("bridge", None);
        listened.set("webhook", Some(BTreeSet::new()));
        assert!(listened.is_wanted(&one) && listened.is_wanted(&other));
        listened.set("bridge", Some(BTreeSet::new()));
        assert!(!listened.is_wanted(&one));
    }
}
