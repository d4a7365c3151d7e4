//! What only the phone has of a chat: messages that are older than those which it gave a device when that was linked.
//!
//! Responsible for: which of them the phone gives when a page asks. Not responsible for: when it answers (`device/older`).

use serde_json::Value;

use super::Server;
use crate::{number::Number, stanza::Stanza, world::World};

/// So many messages at once: the real page asks for as many as its setting `history_sync_on_demand_message_count` says.
const PORTION: usize = 50;

/// What the phone answers.
#[derive(Debug, Default)]
pub(crate) struct OlderMessages {
    pub(crate) stanzas: Vec<Value>,
    /// There are more before these.
    pub(crate) has_more: bool,
}

impl Server {
    /// Whether the phone has messages that no device has.
    pub(crate) fn has_older(&self, account: &Number) -> bool {
        self.read(|world| world.older.get(account).is_some_and(|all| !all.is_empty()))
    }

    /// The messages of the chat with this person before the one with this id, the oldest first. Of an id that is not among them all of
    /// them are older.
    pub(crate) fn older(
        &self,
        account: &Number,
        person: &Number,
        oldest: Option<&str>,
    ) -> OlderMessages {
        self.read(|world| {
            let chat = chat(world, account, person);
            let end = chat.iter().position(|one| Some(&*one.id) == oldest);
            let before = &chat[..end.unwrap_or(chat.len())];
            let begin = before.len().saturating_sub(PORTION);
            let stanzas = before[begin..].iter().map(|one| world.frame(one));
            OlderMessages {
                stanzas: stanzas.collect(),
                has_more: begin > 0,
            }
        })
    }
}

fn chat<'a>(world: &'a World, account: &Number, person: &Number) -> Vec<&'a Stanza> {
    let all = world.older.get(account).into_iter().flatten();
    all.filter(|one| one.chat.is_with(person)).collect()
}
