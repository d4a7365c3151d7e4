//! The numbers of people of whom an event has the LID only.
//!
//! WhatsApp hides numbers behind LIDs, and the hub knows people by their numbers. The log says it when a number becomes known
//! (`message.resolved`), and any other message may have both. Not responsible for reading the log.

use std::collections::HashMap;

use crate::{
    heard::{HeardMessage, HeardResolved, Person},
    ledger::{Event, EventKind},
    masked::{Number, WaId},
};

/// How many are remembered. An entry takes some 200 bytes; when there are more, all go, and the log is read again.
pub(super) const MOST: usize = 50_000;

/// What belongs to a LID's address, and to that of a number.
const OF_LID: &str = "@lid";
const OF_NUMBER: &str = "@c.us";

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// By session and LID. A LID means the same person everywhere; a session may not have seen it yet.
    known: HashMap<(String, WaId), Number>,
    /// Up to where the log was read for them.
    pub(super) read_up_to: Option<i64>,
    /// How often all of them went.
    pub(super) resets: u64,
}

impl Numbers {
    /// The number of a person in the chat with them, if it is known.
    pub(super) fn of(&self, session: &str, person: &Person, chat: &WaId) -> Option<Number> {
        let in_chat = || chat.strip_suffix(OF_NUMBER).and_then(number);
        let own = person.phone.as_deref().and_then(number).or_else(in_chat);
        own.or_else(|| {
            let of_chat = Some(chat).filter(|chat| chat.ends_with(OF_LID));
            let lids = [person.lid.as_ref(), of_chat];
            let known = |lid: &WaId| self.known.get(&(session.to_owned(), lid.clone()));
            lids.into_iter().flatten().find_map(known).cloned()
        })
    }

    /// Notes what an event says of numbers.
    pub(super) fn hear(&mut self, event: &Event) {
        let people = match event.kind {
            EventKind::Resolved => serde_json::from_str::<HeardResolved>(&event.data)
                .map(|resolved| vec![resolved.from])
                .unwrap_or_default(),
            EventKind::Message | EventKind::OwnMessage => {
                serde_json::from_str::<HeardMessage>(&event.data)
                    .map(|heard| [Some(heard.from), heard.to].into_iter().flatten().collect())
                    .unwrap_or_default()
            }
            EventKind::Ack
            | EventKind::Edited
            | EventKind::Revoked
            | EventKind::Reaction
            | EventKind::Waiting
            | EventKind::Status => Vec::new(),
        };
        for Person { phone, lid, .. } in people {
            if let (Some(phone), Some(lid)) = (phone, lid) {
                self.learn(&event.session, &lid, &phone);
            }
        }
    }

    pub(super) fn learn(&mut self, session: &str, lid: &str, phone: &str) {
        if MOST <= self.known.len() {
            *self = Self {
                resets: self.resets + 1,
                ..Self::default()
            };
        }
        let key = (session.to_owned(), WaId::from(lid));
        self.known.extend(number(phone).map(|phone| (key, phone)));
    }
}

/// Digits, as many as a number may have. More is none: a LID without its ending looks like a number that is too long.
fn number(text: &str) -> Option<Number> {
    /// The longest that there is (E.164).
    const LONGEST: usize = 15;
    let is_number =
        !text.is_empty() && text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.into())
}
