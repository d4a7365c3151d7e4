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

use tokio::sync::mpsc;

use super::{
    code::{self, DeviceKeys, ScannedCode},
    faults::{Event, FaultBoard, Faults, SocketFault},
    journal::{Device, Incoming, Journal, Message, Record},
    number::Number,
    pairing::PairingCode,
    ratchets::Ratchets,
    wire::{RemovedBecause, ToPage},
};

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
    /// Beside the code on show: either links the page.
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
    /// What the phone signed it with.
    pub(super) signature: Option<String>,
    /// What page and phone show for comparison, once the signature is taken.
    pub(super) code: Option<PairingCode>,
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
    pub(super) incoming: Vec<Incoming>,
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
            incoming: Vec::new(),
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
        self.journal.append(&record)?;
        self.apply(record);
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
            Record::Received { message } => self.incoming.push(message),
            Record::Delivered { device, id } => {
                self.delivered.insert((device, id));
            }
        }
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

    pub(super) fn tell_account(&self, account: &Number, frame: &ToPage) {
        for connection in self.connections.values() {
            if connection.account() == Some(account) {
                connection.tell(frame.clone());
            }
        }
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
                .any(|m| m.account == *number || m.to == *number)
            || self
                .incoming
                .iter()
                .any(|m| m.account == *number || m.from == *number)
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

    /// All messages taken, oldest first.
    pub(super) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// All messages written to accounts, oldest first.
    pub(super) fn incoming(&self) -> &[Incoming] {
        &self.incoming
    }

    /// Whether the server has this message of this account.
    pub(super) fn has(&self, account: &Number, id: &str) -> bool {
        self.by_id.contains_key(&(account.clone(), id.to_owned()))
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
