//! What is true on the simulated server, and how it becomes true.
//!
//! Responsible for: accounts, devices, codes, messages and connections in memory, each change of
//! what lasts written to the journal first. Not responsible for: locking, who asks (`server`).

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    after::{Act, ChatState, Fate},
    code::{self, DeviceKeys, ScannedCode},
    faults::{Event, FaultBoard, Faults, SocketFault},
    journal::{Device, Journal, Message, Record},
    media::MediaFile,
    number::Number,
    pairing::PairingCode,
    ratchets::Ratchets,
    stanza::{Chat, Content, Group, Letter, MediaKind, Stanza, Target},
    wire::{RemovedBecause, ToPage},
};

/// So many messages of each account stay in what the phone shows.
const RECEIVED_SHOWN: usize = 500;

/// Names one connection of one page.
pub(super) type ConnectionId = u64;

/// A page that is connected.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) outbox: mpsc::Sender<ToPage>,
    pub(super) tab: String,
    pub(super) stage: Stage,
    /// The last change of the faults that its page acts on.
    pub(super) heard_faults: u64,
    /// Extras the code on show: either links the page.
    pub(super) pairing: Option<Pairing>,
    /// What the phone waits for before it links the page.
    pub(super) passkey: Option<Passkey>,
}

/// A page that a phone links once it has its passkey.
#[derive(Debug)]
pub(super) struct Passkey {
    pub(super) number: Number,
    /// What is to be signed.
    pub(super) challenge: String,
    /// What the phone has signed: exactly this is taken.
    pub(super) signed: Option<Value>,
    /// Something was handed in for it: it is good for nothing more.
    pub(super) is_used: bool,
    /// What the person at the phone does about it.
    pub(super) answer: PasskeyAnswer,
    /// What page and phone show for comparison, once the signature is taken.
    pub(super) code: Option<PairingCode>,
}

impl Passkey {
    /// The phone with this number wants its owner to sign.
    pub(super) fn new(number: Number, challenge: String) -> Self {
        Self {
            number,
            challenge,
            signed: None,
            is_used: false,
            answer: PasskeyAnswer::Sign,
            code: None,
        }
    }
}

/// What the person at the phone does when a page wants a passkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PasskeyAnswer {
    /// Signs, and confirms what the phone asks then.
    Sign,
    /// Says no: nothing that was or will be signed is taken, and no code is confirmed.
    Refuse,
    /// Signs, and does not look at the phone again.
    Ignore,
}

/// A code that a phone can type to link the page.
#[derive(Debug)]
pub(super) struct Pairing {
    /// The only phone that the code is good for.
    pub(super) number: Number,
    pub(super) code: PairingCode,
    pub(super) expires: Instant,
}

#[derive(Debug)]
pub(super) enum Stage {
    Silent,
    ShowsCode {
        reference: String,
        keys: DeviceKeys,
        expires: Instant,
    },
    CodesRanOut,
    Linked {
        device: String,
        account: Number,
    },
}

/// Everything that the lock guards.
#[derive(Debug)]
pub(super) struct World {
    pub(super) journal: Journal,
    pub(super) devices: BTreeMap<String, Device>,
    pub(super) delivered: HashSet<(String, String)>,
    pub(super) messages: Vec<Message>,
    pub(super) ratchets: Ratchets,
    pub(super) by_id: HashMap<(Number, String), usize>,
    /// What each account's devices get, oldest first.
    pub(super) mailboxes: BTreeMap<Number, Vec<Stanza>>,
    /// Where in its account's mailbox each message is.
    pub(super) letters: HashMap<(Number, String), usize>,
    /// What was said before the next device of an account is linked.
    pub(super) history: BTreeMap<Number, Vec<Stanza>>,
    /// What was said before that, which stays on the phone until a page asks for it.
    pub(super) older: BTreeMap<Number, Vec<Stanza>>,
    /// What has become of each message about which something was done.
    fates: HashMap<(Number, String), Fate>,
    /// The ids of what pages did about messages.
    pub(super) changed: HashSet<(Number, String)>,
    /// Up to when the account has read each chat.
    seen: HashMap<(Number, Chat), String>,
    pub(super) chat_states: Vec<ChatState>,
    pub(super) groups: BTreeMap<String, Group>,
    /// People whose number an account does not know.
    pub(super) hidden: HashSet<(Number, Number)>,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    pub(super) next_connection: ConnectionId,
    /// How often the faults were set.
    pub(super) fault_changes: u64,
    pub(super) faults: FaultBoard,
    /// What its owner calls each page: what that page shows or has, by the name.
    pub(super) names: BTreeMap<String, Named>,
}

/// By what a page with a name is known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) code: Option<ScannedCode>,
    pub(super) account: Option<Number>,
}

impl World {
    /// Opens what `folder` remembers.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let (journal, records) = Journal::open(folder)?;
        let mut world = Self {
            journal,
            devices: BTreeMap::new(),
            delivered: HashSet::new(),
            messages: Vec::new(),
            ratchets: Ratchets::default(),
            by_id: HashMap::new(),
            mailboxes: BTreeMap::new(),
            letters: HashMap::new(),
            history: BTreeMap::new(),
            older: BTreeMap::new(),
            fates: HashMap::new(),
            changed: HashSet::new(),
            seen: HashMap::new(),
            chat_states: Vec::new(),
            groups: BTreeMap::new(),
            hidden: HashSet::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            fault_changes: 0,
            faults: FaultBoard::default(),
            names: BTreeMap::new(),
        };
        for record in records {
            world.apply(record);
        }
        Ok(world)
    }

    /// Writes a record, then lets it count.
    pub(super) fn record(&mut self, record: Record) -> io::Result<()> {
        self.record_all(vec![record])
    }

    /// Writes records together, then lets them count.
    pub(super) fn record_all(&mut self, records: Vec<Record>) -> io::Result<()> {
        self.journal.append(&records)?;
        for record in records {
            self.apply(record);
        }
        Ok(())
    }

    /// Lets a record count that is already written.
    pub(super) fn apply(&mut self, record: Record) {
        match record {
            Record::Linked { device } => {
                self.devices.insert(device.id.clone(), device);
            }
            Record::Unlinked { device } => {
                self.devices.remove(&device);
            }
            Record::Taken {
                mut message,
                envelopes,
            } => {
                let seen = self.ratchets.take(&envelopes);
                message.seen_by_recipient = seen.by_recipient;
                message.seen_by_own_phone = seen.by_own_phone;
                let key = (message.account.clone(), message.id.clone());
                self.by_id.insert(key, self.messages.len());
                self.messages.push(message);
            }
            Record::Resent {
                account,
                id,
                envelopes,
            } => {
                let seen = self.ratchets.take(&envelopes);
                let position = self.by_id.get(&(account, id)).copied();
                if let Some(message) = position.and_then(|at| self.messages.get_mut(at)) {
                    message.resent += 1;
                    message.seen_by_recipient |= seen.by_recipient;
                    message.seen_by_own_phone |= seen.by_own_phone;
                }
            }
            Record::Received { message } => self.put(Stanza {
                id: message.id,
                account: message.account,
                chat: Chat::Person(message.from.clone()),
                author: Some(message.from),
                hidden: false,
                name: None,
                at: message.at,
                content: Content::Message(Letter {
                    body: message.body,
                    ..Letter::default()
                }),
            }),
            Record::Brought { stanza } => self.put(stanza),
            Record::Changed { change, envelopes } => {
                let seen = self.ratchets.take(&envelopes);
                let key = (change.account.clone(), change.target);
                let fate = self.fates.entry(key).or_default();
                fate.count();
                // Devices drop what they cannot decrypt.
                if seen.by_recipient || change.act == Act::DeleteForMe {
                    fate.take(&change.act);
                }
                self.changed.insert((change.account, change.id));
            }
            Record::Seen { account, chat, at } => {
                self.seen.insert((account, chat), at);
            }
            Record::Grouped { group } => {
                self.groups.insert(group.id.clone(), group);
            }
            Record::History {
                account,
                stanzas,
                older,
            } => {
                self.older.insert(account.clone(), older);
                self.history.insert(account, stanzas);
            }
            Record::Delivered { device, ids } => {
                let pairs = ids.into_iter().map(|id| (device.clone(), id));
                self.delivered.extend(pairs);
            }
        }
    }

    /// Puts a thing into its account's mailbox.
    fn put(&mut self, stanza: Stanza) {
        if let Some(author) = &stanza.author {
            let pair = (stanza.account.clone(), author.clone());
            if stanza.hidden {
                self.hidden.insert(pair);
            } else if stanza.content == Content::Mapping {
                self.hidden.remove(&pair);
            }
        }
        if let Some((target, act)) = Act::of(&stanza.content) {
            let key = (stanza.account.clone(), target.to_owned());
            self.fates.entry(key).or_default().take(&act);
        }
        let mailbox = self.mailboxes.entry(stanza.account.clone()).or_default();
        if stanza.letter().is_some() {
            let key = (stanza.account.clone(), stanza.id.clone());
            self.letters.insert(key, mailbox.len());
        }
        mailbox.push(stanza);
    }

    /// A group of this account.
    pub(super) fn group_of(&self, account: &Number, id: &str) -> Option<Group> {
        let group = self.groups.get(id);
        group.filter(|group| group.account == *account).cloned()
    }

    /// What the devices of an account get, oldest first.
    pub(super) fn mailbox(&self, account: &Number) -> &[Stanza] {
        self.mailboxes.get(account).map_or(&[], Vec::as_slice)
    }

    /// Whether a device still has to get this: it was linked before, and does not have it.
    pub(super) fn is_for(&self, device: &str, stanza: &Stanza) -> bool {
        let linked_at = self.devices.get(device).map(|device| &device.linked_at);
        linked_at.is_some_and(|linked_at| stanza.at >= *linked_at)
            && !self
                .delivered
                .contains(&(device.to_owned(), stanza.id.clone()))
    }

    /// A message of an account: one that it got, or that it sent.
    pub(super) fn target(&self, account: &Number, id: &str) -> Option<Target> {
        let key = (account.clone(), id.to_owned());
        if let Some(sent) = self.by_id.get(&key).and_then(|at| self.messages.get(*at)) {
            return Some(Target {
                id: key.1,
                chat: sent.recipient.chat(),
                author: None,
                hidden: false,
                letter: Some(Letter {
                    body: sent.body.clone(),
                    ..Letter::default()
                }),
            });
        }
        let place = self.letters.get(&key)?;
        let stanza = self.mailbox(account).get(*place)?;
        Some(Target {
            id: key.1,
            chat: stanza.chat.clone(),
            author: stanza.author.clone(),
            hidden: stanza.hidden,
            letter: stanza.letter().cloned(),
        })
    }

    /// The bytes behind a message of an account: what they are, and where.
    pub(super) fn media_file(&self, account: &Number, id: &str) -> Option<(MediaKind, MediaFile)> {
        let key = (account.clone(), id.to_owned());
        if let Some(sent) = self.by_id.get(&key).and_then(|at| self.messages.get(*at)) {
            let media = sent.extras.media.as_ref()?;
            return Some((media.kind, media.file.clone()));
        }
        let place = self.letters.get(&key)?;
        let letter = self.mailbox(account).get(*place)?.letter()?;
        let media = letter.media.as_ref()?;
        Some((media.kind, media.file.clone()?))
    }

    /// A thing as it travels to a page.
    pub(super) fn frame(&self, stanza: &Stanza) -> Value {
        let group = match &stanza.chat {
            Chat::Group(id) => self.groups.get(id),
            Chat::Person(_) | Chat::Status | Chat::Channel(_) => None,
        };
        let about = match &stanza.content {
            Content::Message(letter) => letter.quote.as_ref(),
            Content::Resolved { target }
            | Content::Edit { target, .. }
            | Content::Revoke { target, .. }
            | Content::Reaction { target, .. }
            | Content::Receipt { target, .. } => Some(target),
            Content::Mapping | Content::Notice { .. } => None,
        };
        let target = about.and_then(|id| self.target(&stanza.account, id));
        stanza.frame(group, target.as_ref())
    }

    /// The connection that shows exactly this code, while it lives.
    pub(super) fn who_shows(&self, code: &ScannedCode) -> Option<ConnectionId> {
        let matching = self
            .connections
            .iter()
            .find(|(_, connection)| match &connection.stage {
                Stage::ShowsCode {
                    reference,
                    keys,
                    expires,
                } => {
                    *reference == code.reference && *keys == code.keys && Instant::now() < *expires
                }
                Stage::Silent | Stage::CodesRanOut | Stage::Linked { .. } => false,
            });
        matching.map(|(id, _)| *id)
    }

    /// The connection that has exactly this pairing code for this number, while it lives.
    pub(super) fn who_pairs(&self, number: &Number, code: &PairingCode) -> Option<ConnectionId> {
        let fits = |pairing: &Pairing| {
            pairing.number == *number && pairing.code == *code && Instant::now() < pairing.expires
        };
        let mut fitting = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.pairing.as_ref().is_some_and(fits));
        fitting.next().map(|(id, _)| *id)
    }

    /// What the owner of a page with this code calls it.
    pub(super) fn name_of_code(&self, text: &str) -> Option<&str> {
        let code = ScannedCode::parse(text)?;
        self.name_where(|named| named.code.as_ref() == Some(&code))
    }

    /// What the owner of a page with this account calls it.
    pub(super) fn name_of_account(&self, account: &Number) -> Option<&str> {
        self.name_where(|named| named.account.as_ref() == Some(account))
    }

    fn name_where(&self, fits: impl Fn(&Named) -> bool) -> Option<&str> {
        let mut fitting = self.names.iter().filter(|(_, named)| fits(named));
        fitting.next().map(|(name, _)| name.as_str())
    }

    /// The numbers for which pages wait to be linked, and how long their codes still live.
    pub(super) fn pairings(&self) -> impl Iterator<Item = (ConnectionId, &Number, Duration)> {
        let now = Instant::now();
        self.connections.iter().filter_map(move |(id, connection)| {
            let pairing = connection.pairing.as_ref()?;
            let left = pairing.expires.saturating_duration_since(now);
            Some((*id, &pairing.number, left))
        })
    }

    /// The pages that wait for a passkey.
    pub(super) fn passkeys(&self) -> impl Iterator<Item = (ConnectionId, &Passkey)> {
        let connections = self.connections.iter();
        connections.filter_map(|(id, connection)| Some((*id, connection.passkey.as_ref()?)))
    }

    /// Another tab of the device hears that it lost; an earlier connection of the same tab is
    /// merely forgotten.
    pub(super) fn displace(&mut self, device: &str, newcomer: ConnectionId) {
        let tab = self
            .connections
            .get(&newcomer)
            .map(|c| c.tab.clone())
            .unwrap_or_default();
        for (id, connection) in &mut self.connections {
            let same_device =
                matches!(&connection.stage, Stage::Linked { device: other, .. } if other == device);
            if same_device && *id != newcomer {
                connection.stage = Stage::Silent;
                if connection.tab != tab {
                    connection.tell(ToPage::Conflict);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, device: &str) -> io::Result<()> {
        self.record(Record::Unlinked {
            device: device.to_owned(),
        })?;
        for connection in self.connections.values_mut() {
            if matches!(&connection.stage, Stage::Linked { device: other, .. } if other == device) {
                connection.stage = Stage::Silent;
                connection.tell(ToPage::Removed {
                    reason: RemovedBecause::UserInitiated,
                });
            }
        }
        Ok(())
    }

    pub(super) fn befall(&mut self, event: Event, scope: Option<&Number>) {
        for connection in self.connections.values() {
            if scope.is_none() || connection.account() == scope {
                connection.tell(ToPage::Event { event });
            }
        }
    }

    pub(super) fn knows(&self, number: &Number) -> bool {
        self.is_linked(number)
            || self
                .messages
                .iter()
                .any(|m| m.account == *number || m.recipient.is_person(number))
            || self.mailboxes.contains_key(number)
            || self
                .mailboxes
                .values()
                .flatten()
                .any(|stanza| stanza.author.as_ref() == Some(number))
    }

    pub(super) fn is_linked(&self, account: &Number) -> bool {
        self.devices
            .values()
            .any(|device| device.account == *account)
    }

    /// What an account, or a page without one, suffers from.
    pub(super) fn faults_of(&self, account: Option<&Number>) -> Faults {
        self.faults.of(account)
    }

    /// All faults that are set.
    pub(super) fn faults(&self) -> &FaultBoard {
        &self.faults
    }

    /// All messages taken, oldest first, and what became of each.
    pub(super) fn messages(&self) -> impl Iterator<Item = Value> {
        self.messages.iter().map(|message| {
            let mut shown = json!(message);
            self.add_fate(&message.account, &message.id, &mut shown);
            shown
        })
    }

    fn add_fate(&self, account: &Number, id: &str, shown: &mut Value) {
        let fate = self.fates.get(&(account.clone(), id.to_owned()));
        let fate = fate.map(|fate| json!(fate));
        if let (Some(Value::Object(fate)), Some(shown)) = (fate, shown.as_object_mut()) {
            shown.extend(fate);
        }
    }

    /// The last messages that others wrote to accounts, or owners by hand, oldest first, and what became of each.
    pub(super) fn received(&self) -> Vec<Value> {
        let mut shown: Vec<Value> = Vec::new();
        for mailbox in self.mailboxes.values() {
            let latest = mailbox.iter().rev().filter(|one| one.letter().is_some());
            let mut latest: Vec<Value> = latest
                .take(RECEIVED_SHOWN)
                .map(|stanza| {
                    let mut shown = stanza.shown();
                    self.add_fate(&stanza.account, &stanza.id, &mut shown);
                    let chat = (stanza.account.clone(), stanza.chat.clone());
                    let seen = self.seen.get(&chat);
                    if !stanza.is_own() && seen.is_some_and(|seen| stanza.at <= *seen) {
                        shown["seen"] = json!(true);
                    }
                    shown
                })
                .collect();
            let changes = mailbox.iter().filter_map(Stanza::change);
            let changes: Vec<(&str, &str, Value)> = changes.collect();
            for message in &mut latest {
                for (target, what, value) in &changes {
                    if message["id"] == *target {
                        message[*what] = value.clone();
                    }
                }
            }
            shown.append(&mut latest);
        }
        shown.sort_by(|a, b| a["at"].as_str().cmp(&b["at"].as_str()));
        shown
    }

    /// Whether the server has this message of this account.
    pub(super) fn has(&self, account: &Number, id: &str) -> bool {
        self.by_id.contains_key(&(account.clone(), id.to_owned()))
            || self
                .target(account, id)
                .is_some_and(|target| target.author.is_none())
    }

    /// Whether a person has seen this message of this account.
    pub(super) fn is_seen(&self, account: &Number, id: &str) -> bool {
        let position = self.by_id.get(&(account.clone(), id.to_owned()));
        let message = position.and_then(|at| self.messages.get(*at));
        message.is_some_and(|message| message.seen_by_recipient)
    }

    /// The linked devices in the order in which they were linked, and whether each is connected.
    pub(super) fn devices(&self) -> impl Iterator<Item = (&Device, bool)> {
        let mut devices: Vec<&Device> = self.devices.values().collect();
        devices.sort_by(|a, b| (&a.linked_at, &a.id).cmp(&(&b.linked_at, &b.id)));
        devices.into_iter().map(|device| {
            let online = self.connections.values().any(|connection| {
                matches!(&connection.stage, Stage::Linked { device: id, .. } if *id == device.id)
            });
            (
                device,
                online && self.faults_of(Some(&device.account)).socket != Some(SocketFault::Silent),
            )
        })
    }

    /// The codes that pages show now: the connection, the text and what is left of its life.
    /// No text: the codes of that page have run out.
    pub(super) fn codes(&self) -> impl Iterator<Item = (ConnectionId, Option<(String, Duration)>)> {
        self.connections
            .iter()
            .filter_map(|(id, connection)| match &connection.stage {
                Stage::ShowsCode {
                    reference,
                    keys,
                    expires,
                } => {
                    let left = expires.saturating_duration_since(Instant::now());
                    Some((*id, Some((code::text(reference, keys), left))))
                }
                Stage::CodesRanOut => Some((*id, None)),
                Stage::Silent | Stage::Linked { .. } => None,
            })
    }
}

impl Connection {
    pub(super) fn account(&self) -> Option<&Number> {
        match &self.stage {
            Stage::Linked { account, .. } => Some(account),
            Stage::Silent | Stage::ShowsCode { .. } | Stage::CodesRanOut => None,
        }
    }

    pub(super) fn tell(&self, frame: ToPage) {
        // A full or closed outbox means a dying connection: the page asks again when it is back.
        drop(self.outbox.try_send(frame));
    }
}
