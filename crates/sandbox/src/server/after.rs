//! What a page may do about the messages and the chats of its account.
//!
//! Responsible for: which of it the server takes, and that a thing that comes twice counts once.

use std::io;

use super::{Server, now};
use crate::{
    after::{Act, Change, ChatState, Doing},
    journal::Record,
    number::Number,
    ratchets::Envelope,
    stanza::Chat,
};

impl Server {
    /// A page reacts to a message, edits or deletes one. Answers whether the server takes it: the message is one of the account,
    /// and only its author edits or deletes it.
    pub(crate) fn take_change(&self, change: Change, envelopes: Vec<Envelope>) -> io::Result<bool> {
        self.change(|world| {
            let Some(target) = world.target(&change.account, &change.target) else {
                return Ok(false);
            };
            let is_own = target.author.is_none();
            let may = match &change.act {
                Act::Reaction { .. } | Act::DeleteForMe => true,
                // The first participant of a group is its admin, and the account is none of them.
                Act::Edit { .. } | Act::Revoke { .. } => is_own,
            };
            if !may {
                return Ok(false);
            }
            let id = (change.account.clone(), change.id.clone());
            if !world.changed.contains(&id) {
                world.record(Record::Changed { change, envelopes })?;
            }
            Ok(true)
        })
    }

    /// The owner of a page has read a chat.
    pub(crate) fn seen(&self, account: Number, chat: Chat) -> io::Result<()> {
        let at = now();
        self.change(|world| world.record(Record::Seen { account, chat, at }))
    }

    /// The owner of a page is doing this in a chat. It is gone with the sandbox.
    pub(crate) fn set_chat_state(&self, account: Number, chat: Chat, state: Doing) {
        self.change(|world| {
            let states = &mut world.chat_states;
            states.retain(|known| known.account != account || known.chat != chat);
            states.push(ChatState {
                account,
                chat,
                state,
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;
    use crate::{journal::Device, server::mailbox::Doer, stanza::Letter, world::World};

    const ACCOUNT: &str = "5491150004444";
    const FRIEND: &str = "5491150001111";

    fn number(raw: &str) -> Number {
        Number::parse(raw).unwrap()
    }

    fn server(folder: &TempDir) -> Server {
        let server = Server::open(folder.path()).unwrap();
        let device = Device {
            id: "a".to_owned(),
            secret: "secret".to_owned(),
            account: number(ACCOUNT),
            linked_at: now(),
        };
        server
            .change(|world| world.record(Record::Linked { device }))
            .unwrap();
        server
    }

    /// Its owner writes by hand, or a person does.
    fn written(server: &Server, author: Option<&str>) -> String {
        let doer = Doer {
            account: number(ACCOUNT),
            author: author.map(number),
            name: None,
            hidden: false,
        };
        let letter = Letter {
            body: "hola".to_owned(),
            ..Letter::default()
        };
        let chat = Chat::Person(number(FRIEND));
        server.write(doer, chat, letter).unwrap().id
    }

    fn takes(server: &Server, id: &str, target: &str, act: Act) -> bool {
        let change = Change {
            id: id.to_owned(),
            account: number(ACCOUNT),
            target: target.to_owned(),
            at: now(),
            act,
        };
        server.take_change(change, Vec::new()).unwrap()
    }

    fn edit() -> Act {
        Act::Edit {
            body: "adiós".to_owned(),
        }
    }

    fn shown(server: &Server, id: &str) -> Value {
        let received = server.read(World::received);
        let is_it = |message: &&Value| message["id"] == id;
        received.iter().find(is_it).unwrap().clone()
    }

    #[test]
    fn only_its_author_edits_or_deletes_a_message_and_what_is_not_there_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let server = server(&folder);
        let (own, others) = (written(&server, None), written(&server, Some(FRIEND)));
        let revoke = || Act::Revoke { by_admin: false };
        let react = || Act::Reaction {
            emoji: "👍".to_owned(),
        };
        for (nth, (target, act, is_taken)) in [
            (&own, edit(), true),
            (&own, revoke(), true),
            (&others, edit(), false),
            (&others, revoke(), false),
            (&others, react(), true),
            (&others, Act::DeleteForMe, true),
            (&"3A00".to_owned(), react(), false),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(
                takes(&server, &nth.to_string(), target, act.clone()),
                is_taken,
                "{act:?}"
            );
        }
        let others = shown(&server, &others);
        assert_eq!(
            (&others["edited"], &others["deleted"], &others["reaction"]),
            (&Value::Null, &Value::Null, &json!("👍"))
        );
    }

    #[test]
    fn what_a_page_does_counts_once_by_its_id_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = server(&folder);
        let own = written(&first, None);
        assert!(takes(&first, "1", &own, edit()));
        assert!(takes(&first, "1", &own, edit()));
        drop(first);
        let again = Server::open(folder.path()).unwrap();
        assert!(takes(&again, "1", &own, edit()));
        assert_eq!(shown(&again, &own)["changes"], 1);
        assert!(takes(&again, "2", &own, edit()));
        assert_eq!(shown(&again, &own)["changes"], 2);
    }
}
