//! Chats that this page has handed a message over to: the next one is made ready without asking it again.
//!
//! The full ids of messages to one chat differ in their inner ids only, so the next one's is known. The page compares before
//! it takes a message, and takes none under another id: a chat that has moved to another address is asked about anew.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{AdapterName, Prepared};
use crate::masked::WaId;

/// An entry takes some 200 bytes. When there are more, all go: each costs one question to get back.
const CAPACITY: usize = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Familiar(Mutex<HashMap<WaId, Pattern>>);

/// What the full id of a message to a chat is made of, around its inner id.
#[derive(Debug)]
struct Pattern {
    adapter: AdapterName,
    before: WaId,
    after: WaId,
}

impl Familiar {
    /// A message with this inner id, ready for the chat; `None` when the adapter has to be asked.
    pub(super) fn prepare(&self, adapter: AdapterName, chat: &str, key: &str) -> Option<Prepared> {
        let known = self.lock();
        let pattern = known.get(chat)?;
        let Pattern { before, after, .. } = pattern;
        (pattern.adapter == adapter).then(|| Prepared {
            adapter,
            message_id: Some(format!("{}{key}{}", &**before, &**after).into()),
            chat: chat.into(),
        })
    }

    /// The page has taken a message that was made ready so.
    pub(super) fn learn(&self, prepared: &Prepared, key: &str) {
        let id = prepared.message_id.as_deref();
        let Some((before, after)) = id.and_then(|id| id.split_once(key)) else {
            return;
        };
        let mut known = self.lock();
        if known.len() >= CAPACITY && !known.contains_key(&prepared.chat) {
            known.clear();
        }
        let pattern = Pattern {
            adapter: prepared.adapter,
            before: before.into(),
            after: after.into(),
        };
        known.insert(prepared.chat.clone(), pattern);
    }

    /// What was known of a chat does not hold any more. Answers whether anything was.
    pub(super) fn forget(&self, chat: &str) -> bool {
        self.lock().remove(chat).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WaId, Pattern>> {
        // Nothing is left half done by a panic in here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: &str = "5491158254201@c.us";

    fn prepared(key: &str) -> Prepared {
        Prepared {
            adapter: AdapterName::Modules,
            message_id: Some(format!("true_{CHAT}_{key}").into()),
            chat: CHAT.into(),
        }
    }

    #[test]
    fn the_next_message_to_a_chat_is_made_ready_as_the_page_would() {
        let familiar = Familiar::default();
        let next = |adapter| familiar.prepare(adapter, CHAT, "3EB0B");
        assert_eq!(next(AdapterName::Modules), None);
        familiar.learn(&prepared("3EB0A"), "3EB0A");
        assert_eq!(next(AdapterName::Modules), Some(prepared("3EB0B")));
        assert_eq!(next(AdapterName::WaJs), None, "another adapter is asked");
        assert!(familiar.forget(CHAT) && !familiar.forget(CHAT));
        assert_eq!(next(AdapterName::Modules), None);
    }

    #[test]
    fn an_id_that_the_page_chooses_says_nothing_of_the_next() {
        let familiar = Familiar::default();
        let typed = Prepared {
            message_id: None,
            ..prepared("3EB0A")
        };
        familiar.learn(&typed, "3EB0A");
        assert_eq!(familiar.prepare(AdapterName::Modules, CHAT, "3EB0B"), None);
    }

    #[test]
    fn it_does_not_grow_for_ever() {
        let familiar = Familiar::default();
        for number in 0..=CAPACITY {
            let other = Prepared {
                chat: number.to_string().into(),
                ..prepared("3EB0A")
            };
            familiar.learn(&other, "3EB0A");
        }
        assert!(familiar.lock().len() <= CAPACITY);
    }
}
