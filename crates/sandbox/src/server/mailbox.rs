//! What the phone's owner and others do, as it reaches the devices of an account.
//!
//! Responsible for: who may change which message, and putting it into the account's mailbox. Not responsible for: reading
//! requests (`phone/mailbox`), bringing it to a device (`device/delivery`).
//!
//! Invariant: a thing is in the journal before it is brought, and a device gets the things of a mailbox in their order.

use std::io;

use serde_json::Value;

use super::{Refusal, Server, now, random_hex};
use crate::{
    journal::Record,
    number::Number,
    stanza::{Chat, Content, Letter, Notice, Stanza, Target},
    world::{ConnectionId, Stage, World},
};

/// The name that a device confirms once it has the history from before its link.
pub(crate) const HISTORY: &str = "history";

/// Who does a thing, from where.
#[derive(Clone, Debug)]
pub(crate) struct Doer {
    pub(crate) account: Number,
    /// Absent: the owner of the account, by hand on the phone.
    pub(crate) author: Option<Number>,
    pub(crate) name: Option<String>,
    /// From now on the account does not know the author's number, unless it knew it before.
    pub(crate) hidden: bool,
}

/// What a device gets next.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) id: String,
    pub(crate) frame: Value,
    /// Written by hand on the phone: receipts follow.
    pub(crate) is_own_message: bool,
}

impl Server {
    /// A person writes a message.
    pub(crate) fn write(&self, doer: Doer, chat: Chat, letter: Letter) -> Result<Stanza, Refusal> {
        self.change(|world| {
            must_be_linked(world, &doer.account)?;
            must_be_member(world, &doer, &chat)?;
            if let Some(quote) = &letter.quote {
                world
                    .target(&doer.account, quote)
                    .ok_or(Refusal::UnknownMessage)?;
            }
            bring(world, doer, chat, Content::Message(letter))
        })
    }

    /// Posts many messages in turn in so many chats with people, as fast as pages take them.
    pub(crate) fn burst(&self, account: &Number, chats: u64, messages: u64) -> Result<(), Refusal> {
        self.change(|world| {
            must_be_linked(world, account)?;
            let at = now();
            let stanzas = (0..messages).map(|nth| {
                let author = Number::fictitious(nth % chats);
                let letter = Letter {
                    body: format!("burst {} of {messages}", nth + 1),
                    ..Letter::default()
                };
                Stanza {
                    id: message_id(),
                    account: account.clone(),
                    chat: Chat::Person(author.clone()),
                    author: Some(author),
                    hidden: false,
                    name: None,
                    at: at.clone(),
                    content: Content::Message(letter),
                }
            });
            let records = stanzas.map(|stanza| Record::Brought { stanza });
            Ok(world.record_all(records.collect())?)
        })
    }

    /// What was said before the next device is linked: so many messages in each of so many chats, older than a day. `older` ones
    /// before them stay on the phone until a page asks for them.
    pub(crate) fn set_history(
        &self,
        account: &Number,
        chats: u64,
        messages: u64,
        older: u64,
    ) -> io::Result<()> {
        const DAY_SECONDS: u64 = 86_400;
        /// Between two messages of a chat.
        const PAUSE_SECONDS: u64 = 600;
        let all = older + messages;
        let (mut stanzas, mut on_phone) = (Vec::new(), Vec::new());
        let others = (0..)
            .map(Number::fictitious)
            .filter(|person| person != account);
        for (person, _) in others.zip(0..chats) {
            for nth in 0..all {
                // Every third one is the account's own.
                let author = (nth % 3 != 2).then(|| person.clone());
                let place = if nth < older {
                    &mut on_phone
                } else {
                    &mut stanzas
                };
                place.push(Stanza {
                    id: message_id(),
                    account: account.clone(),
                    chat: Chat::Person(person.clone()),
                    author,
                    hidden: false,
                    name: None,
                    at: super::ago(DAY_SECONDS + (all - nth) * PAUSE_SECONDS),
                    content: Content::Message(Letter {
                        body: format!("history {} of {all}", nth + 1),
                        ..Letter::default()
                    }),
                });
            }
        }
        let account = account.clone();
        self.change(|world| {
            world.record(Record::History {
                account,
                stanzas,
                older: on_phone,
            })
        })
    }

    /// The author of a message changes its text.
    pub(crate) fn edit(
        &self,
        account: Number,
        id: String,
        body: String,
    ) -> Result<Stanza, Refusal> {
        self.change(|world| {
            let (doer, chat) = author_of(world, account, &id)?;
            bring(world, doer, chat, Content::Edit { target: id, body })
        })
    }

    /// A message is deleted for everybody, by its author or by another member of the group, who is an admin then.
    pub(crate) fn delete(
        &self,
        account: Number,
        id: String,
        by: Option<Number>,
    ) -> Result<Stanza, Refusal> {
        self.change(|world| {
            let (mut doer, chat) = author_of(world, account, &id)?;
            let by_admin = by.is_some() && by != doer.author;
            if by_admin {
                if !matches!(chat, Chat::Group(_)) {
                    return Err(Refusal::NotTheAuthor);
                }
                doer.author = by;
                must_be_member(world, &doer, &chat)?;
            }
            bring(
                world,
                doer,
                chat,
                Content::Revoke {
                    target: id,
                    by_admin,
                },
            )
        })
    }

    /// A person of the chat, or the owner on the phone, reacts to a message; an empty emoji takes it back.
    pub(crate) fn react(
        &self,
        mut doer: Doer,
        id: String,
        emoji: String,
    ) -> Result<Stanza, Refusal> {
        self.change(|world| {
            let target = known(world, &doer.account, &id)?;
            doer.hidden = is_hidden(world, &doer);
            must_be_member(world, &doer, &target.chat)?;
            bring(
                world,
                doer,
                target.chat,
                Content::Reaction { target: id, emoji },
            )
        })
    }

    /// A recipient got, read or played an own message.
    pub(crate) fn receipt(
        &self,
        account: Number,
        id: String,
        ack: i8,
        from: Option<Number>,
    ) -> Result<Stanza, Refusal> {
        self.change(|world| {
            let target = known(world, &account, &id)?;
            if target.author.is_some() {
                return Err(Refusal::NotOwn);
            }
            let from = match (&target.chat, from) {
                (Chat::Person(person), None) => Some(person.clone()),
                (_, from) => from,
            };
            let doer = Doer {
                account,
                author: from,
                name: None,
                hidden: false,
            };
            must_be_member(world, &doer, &target.chat)?;
            bring(
                world,
                doer,
                target.chat,
                Content::Receipt { target: id, ack },
            )
        })
    }

    /// A message that devices could not decrypt comes once more, and they can.
    pub(crate) fn resolve(&self, account: Number, id: String) -> Result<Stanza, Refusal> {
        self.change(|world| {
            let target = known(world, &account, &id)?;
            if target
                .letter
                .as_ref()
                .is_none_or(|letter| letter.waiting.is_none())
            {
                return Err(Refusal::NotWaiting);
            }
            let doer = Doer {
                account,
                author: target.author,
                name: None,
                hidden: target.hidden,
            };
            bring(world, doer, target.chat, Content::Resolved { target: id })
        })
    }

    /// The account learns the number behind a LID.
    pub(crate) fn reveal(&self, account: Number, number: Number) -> Result<Stanza, Refusal> {
        self.change(|world| {
            if !world.hidden.contains(&(account.clone(), number.clone())) {
                return Err(Refusal::NotHidden);
            }
            let chat = Chat::Person(number.clone());
            let doer = Doer {
                account,
                author: Some(number),
                name: None,
                hidden: false,
            };
            bring(world, doer, chat, Content::Mapping)
        })
    }

    /// A line that WhatsApp wrote appears in a chat.
    pub(crate) fn notice(
        &self,
        doer: Doer,
        chat: Chat,
        kind: Notice,
        people: Vec<Number>,
    ) -> Result<Stanza, Refusal> {
        self.change(|world| {
            must_be_linked(world, &doer.account)?;
            must_be_member(world, &doer, &chat)?;
            bring(world, doer, chat, Content::Notice { kind, people })
        })
    }

    /// A device has these things safe.
    pub(crate) fn delivered(&self, device: &str, ids: Vec<String>) -> io::Result<()> {
        let device = device.to_owned();
        self.change(|world| world.record(Record::Delivered { device, ids }))
    }

    /// How many things wait for this device, and where in its mailbox they end.
    pub(crate) fn waiting(&self, account: &Number, device: &str) -> (usize, usize) {
        self.read(|world| {
            let mailbox = world.mailbox(account);
            let waits = |stanza: &&Stanza| world.is_for(device, stanza);
            (mailbox.iter().filter(waits).count(), mailbox.len())
        })
    }

    /// The next thing for the page of this connection, at or after `place`, which moves on. A page that lost its account to
    /// another one gets nothing.
    pub(crate) fn next_parcel(&self, id: ConnectionId, place: &mut usize) -> Option<Parcel> {
        self.read(|world| {
            let Stage::Linked { device, account } = &world.connections.get(&id)?.stage else {
                return None;
            };
            loop {
                let stanza = world.mailbox(account).get(*place)?;
                *place += 1;
                if world.is_for(device, stanza) {
                    return Some(Parcel {
                        id: stanza.id.clone(),
                        frame: world.frame(stanza),
                        is_own_message: stanza.is_own() && stanza.letter().is_some(),
                    });
                }
            }
        })
    }

    /// What was said before this device was linked, unless it has that.
    pub(crate) fn history(&self, account: &Number, device: &str) -> Vec<Value> {
        self.read(|world| {
            if world
                .delivered
                .contains(&(device.to_owned(), HISTORY.to_owned()))
            {
                return Vec::new();
            }
            let stanzas = world.history.get(account).into_iter().flatten();
            stanzas.map(|stanza| world.frame(stanza)).collect()
        })
    }
}

/// Puts a thing into the account's mailbox.
pub(super) fn bring(
    world: &mut World,
    doer: Doer,
    chat: Chat,
    content: Content,
) -> Result<Stanza, Refusal> {
    let stanza = Stanza {
        id: message_id(),
        account: doer.account.clone(),
        // What reveals a number may name it.
        hidden: content != Content::Mapping && is_hidden(world, &doer),
        author: doer.author,
        chat,
        name: doer.name,
        at: now(),
        content,
    };
    world.record(Record::Brought {
        stanza: stanza.clone(),
    })?;
    Ok(stanza)
}

/// Whether the account does not know the number of who does this: it is said so, or was before.
fn is_hidden(world: &World, doer: &Doer) -> bool {
    let author = doer.author.as_ref();
    author.is_some_and(|author| {
        doer.hidden
            || world
                .hidden
                .contains(&(doer.account.clone(), author.clone()))
    })
}

fn known(world: &World, account: &Number, id: &str) -> Result<Target, Refusal> {
    must_be_linked(world, account)?;
    world.target(account, id).ok_or(Refusal::UnknownMessage)
}

fn author_of(world: &World, account: Number, id: &str) -> Result<(Doer, Chat), Refusal> {
    let target = known(world, &account, id)?;
    let doer = Doer {
        account,
        author: target.author,
        name: None,
        hidden: target.hidden,
    };
    Ok((doer, target.chat))
}

pub(super) fn must_be_linked(world: &World, account: &Number) -> Result<(), Refusal> {
    if world.is_linked(account) {
        Ok(())
    } else {
        Err(Refusal::UnknownAccount)
    }
}

/// In a group only its members do things; in a chat with a person only that person and the account.
fn must_be_member(world: &World, doer: &Doer, chat: &Chat) -> Result<(), Refusal> {
    let author = doer.author.as_ref();
    match chat {
        Chat::Person(person) if author.is_none_or(|author| author == person) => Ok(()),
        Chat::Person(_) => Err(Refusal::NotAMember),
        Chat::Group(id) => {
            let group = world
                .groups
                .get(id)
                .filter(|group| group.account == doer.account);
            let group = group.ok_or(Refusal::UnknownGroup)?;
            if group.is_left {
                return Err(Refusal::HasLeft);
            }
            if author.is_none_or(|author| group.participants.contains(author)) {
                return Ok(());
            }
            Err(Refusal::NotAMember)
        }
        Chat::Status | Chat::Channel(_) => Ok(()),
    }
}

/// As phones make them.
fn message_id() -> String {
    format!("3A{}", random_hex::<9>())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tokio::sync::mpsc;

    use super::*;
    use crate::{journal::Device, wire::Credentials};

    const ACCOUNT: &str = "5491150004444";
    const FRIEND: &str = "5491150001111";
    const OTHER: &str = "5491150002222";

    fn number(raw: &str) -> Number {
        Number::parse(raw).unwrap()
    }

    fn doer(author: Option<&str>) -> Doer {
        Doer {
            account: number(ACCOUNT),
            author: author.map(number),
            name: None,
            hidden: false,
        }
    }

    fn text(body: &str) -> Letter {
        Letter {
            body: body.to_owned(),
            ..Letter::default()
        }
    }

    fn friend() -> Chat {
        Chat::Person(number(FRIEND))
    }

    /// A server on a folder, with a device that was linked in the past.
    fn server(folder: &TempDir, device: &str) -> Server {
        let server = Server::open(folder.path()).unwrap();
        let device = Device {
            id: device.to_owned(),
            secret: "secret".to_owned(),
            account: number(ACCOUNT),
            linked_at: now(),
        };
        server
            .change(|world| world.record(Record::Linked { device }))
            .unwrap();
        server
    }

    /// The ids of what the next connection of the device gets.
    fn brought(server: &Server, device: &str) -> Vec<String> {
        let (outbox, _inbox) = mpsc::channel(1);
        let id = server.connected("tab", outbox);
        let credentials = Credentials {
            id: device.to_owned(),
            secret: "secret".to_owned(),
        };
        server.attach(id, &credentials).unwrap();
        let mut place = 0;
        std::iter::from_fn(|| server.next_parcel(id, &mut place))
            .map(|parcel| parcel.id)
            .collect()
    }

    #[test]
    fn a_device_gets_what_it_has_not_confirmed_in_order_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = server(&folder, "a");
        let ids: Vec<String> = ["one", "two", "three"]
            .map(|body| first.write(doer(Some(FRIEND)), friend(), text(body)))
            .map(|written| written.unwrap().id)
            .to_vec();
        assert_eq!(brought(&first, "a"), ids);
        first.delivered("a", vec![ids[1].clone()]).unwrap();
        drop(first);
        let again = Server::open(folder.path()).unwrap();
        assert_eq!(brought(&again, "a"), [ids[0].as_str(), &ids[2]]);
        assert_eq!(again.waiting(&number(ACCOUNT), "a"), (2, 3));
    }

    #[test]
    fn a_device_gets_nothing_from_before_its_link_but_the_history() {
        let folder = tempfile::tempdir().unwrap();
        let server = server(&folder, "a");
        server
            .write(doer(Some(FRIEND)), friend(), text("old"))
            .unwrap();
        server.set_history(&number(ACCOUNT), 2, 3, 0).unwrap();
        let later = Device {
            id: "b".to_owned(),
            secret: "secret".to_owned(),
            account: number(ACCOUNT),
            linked_at: "9999-01-01T00:00:00.000Z".to_owned(),
        };
        server
            .change(|world| world.record(Record::Linked { device: later }))
            .unwrap();
        assert_eq!(brought(&server, "b").len(), 0);
        assert_eq!(server.history(&number(ACCOUNT), "b").len(), 6);
        server.delivered("b", vec![HISTORY.to_owned()]).unwrap();
        assert_eq!(server.history(&number(ACCOUNT), "b").len(), 0);
    }

    #[test]
    fn a_message_is_deleted_by_its_author_and_in_a_group_by_an_admin_too() {
        let folder = tempfile::tempdir().unwrap();
        let server = server(&folder, "a");
        let account = number(ACCOUNT);
        let alone = server.write(doer(Some(FRIEND)), friend(), text("x"));
        let alone = alone.unwrap().id;
        let by_other = server.delete(account.clone(), alone.clone(), Some(number(OTHER)));
        assert!(matches!(by_other, Err(Refusal::NotTheAuthor)));
        let deleted = server.delete(account.clone(), alone, None).unwrap();
        assert_eq!(deleted.author, Some(number(FRIEND)));

        let people = vec![number(FRIEND), number(OTHER)];
        let group = server
            .group(account.clone(), "Equipo".to_owned(), people)
            .unwrap();
        let chat = Chat::Group(group.id);
        let own = server.write(doer(None), chat.clone(), text("x")).unwrap();
        let deleted = server.delete(account, own.id, Some(number(OTHER))).unwrap();
        assert!(matches!(
            deleted.content,
            Content::Revoke { by_admin: true, .. }
        ));
        let stranger = server.write(doer(Some("5491150003333")), chat, text("x"));
        assert!(matches!(stranger, Err(Refusal::NotAMember)));
    }

    #[test]
    fn a_hidden_person_stays_hidden_until_the_account_learns_the_number() {
        let folder = tempfile::tempdir().unwrap();
        let server = server(&folder, "a");
        let hidden = Doer {
            hidden: true,
            ..doer(Some(FRIEND))
        };
        let first = server.write(hidden, friend(), text("x")).unwrap();
        let edit = server
            .edit(number(ACCOUNT), first.id, "y".to_owned())
            .unwrap();
        assert!(edit.hidden);
        let frame = server.read(|world| world.frame(&edit));
        assert!(!frame.to_string().contains(FRIEND), "{frame}");
        server.reveal(number(ACCOUNT), number(FRIEND)).unwrap();
        let known = server.write(doer(Some(FRIEND)), friend(), text("z"));
        assert!(!known.unwrap().hidden);
        let twice = server.reveal(number(ACCOUNT), number(FRIEND));
        assert!(matches!(twice, Err(Refusal::NotHidden)));
    }

    #[test]
    fn only_own_messages_get_receipts_and_only_unreadable_ones_are_resolved() {
        let folder = tempfile::tempdir().unwrap();
        let server = server(&folder, "a");
        let theirs = server.write(doer(Some(FRIEND)), friend(), text("x"));
        let theirs = theirs.unwrap().id;
        let receipt = server.receipt(number(ACCOUNT), theirs.clone(), 3, None);
        assert!(matches!(receipt, Err(Refusal::NotOwn)));
        let resolved = server.resolve(number(ACCOUNT), theirs);
        assert!(matches!(resolved, Err(Refusal::NotWaiting)));
        let own = server.write(doer(None), friend(), text("x")).unwrap().id;
        let receipt = server.receipt(number(ACCOUNT), own, 3, None).unwrap();
        assert_eq!(receipt.author, Some(number(FRIEND)));
        let unknown = server.edit(number(ACCOUNT), "3A00".to_owned(), "y".to_owned());
        assert!(matches!(unknown, Err(Refusal::UnknownMessage)));
    }
}
