//! The full ids of messages to the chats that this page has taken a message for. The next message to such a chat needs no question
//! to the page before it is handed over.
//!
//! The full ids of messages to one chat differ in their inner ids only, so the next one is known. The page compares it before it
//! takes a message, and takes none under another id: after a chat has moved to another address, the page is asked again.
//!
//! A session also remembers which numbers are on WhatsApp, and longer than this: its `numbers` outlives the page, for WhatsApp's
//! server must not be asked the same question by each page. What is known here depends on the adapter and on the build of the
//! page, and so ends with the page. One table could be only one of the two.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::{AdapterName, Prepared};
use crate::masked::WaId;

/// An entry takes some 200 bytes. When there are more, all go: each costs one question to get back.
const CAPACITY: usize = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ChatIds(Mutex<HashMap<WaId, Pattern>>);

/// What the full id of a message to a chat is made of, around its inner id.
#[derive(Debug)]
struct Pattern {
    adapter: AdapterName,
    before: WaId,
    after: WaId,
}

impl ChatIds {
    /// A message with this inner id, ready for the chat; `None` when the adapter has to be asked.
    pub(super) fn prepare(&self, adapter: AdapterName, chat: &str, key: &str) -> Option<Prepared> {
        let known = self.0.lock();
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
        let mut known = self.0.lock();
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
        self.0.lock().remove(chat).is_some()
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
        let chat_ids = ChatIds::default();
        let next = |adapter| chat_ids.prepare(adapter, CHAT, "3EB0B");
        assert_eq!(next(AdapterName::Modules), None);
        chat_ids.learn(&prepared("3EB0A"), "3EB0A");
        assert_eq!(next(AdapterName::Modules), Some(prepared("3EB0B")));
        assert_eq!(next(AdapterName::WaJs), None, "another adapter is asked");
        assert!(chat_ids.forget(CHAT) && !chat_ids.forget(CHAT));
        assert_eq!(next(AdapterName::Modules), None);
    }

    #[test]
    fn an_id_that_the_page_chooses_says_nothing_of_the_next() {
        let chat_ids = ChatIds::default();
        let typed = Prepared {
            message_id: None,
            ..prepared("3EB0A")
        };
        chat_ids.learn(&typed, "3EB0A");
        assert_eq!(chat_ids.prepare(AdapterName::Modules, CHAT, "3EB0B"), None);
    }

    #[test]
    fn it_does_not_grow_for_ever() {
        let chat_ids = ChatIds::default();
        for number in 0..=CAPACITY {
            let other = Prepared {
                chat: number.to_string().into(),
                ..prepared("3EB0A")
            };
            chat_ids.learn(&other, "3EB0A");
        }
        assert!(chat_ids.0.lock().len() <= CAPACITY);
    }
}
