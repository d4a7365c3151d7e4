//! WhatsApp's server, simulated: accounts, linked devices, codes, messages.
//!
//! Responsible for: what is true. Not responsible for: time (`device` asks for the next code and
//! delays acknowledgements), sockets, HTTP.
//!
//! Invariants: a change is in the journal before it is in memory. The lock is held for plain
//! memory work and one write, never across an await.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::{
    code::{DeviceKeys, ScannedCode},
    faults::{Event, FaultBoard, Faults, SocketFault},
    journal::{Device, Incoming, Journal, Message, Record},
    number::Number,
    wire::{Credentials, RemovedBecause, ToPage},
};

/// A page that lets this many frames pile up is stuck; its connection is dropped, and what it
/// missed comes again when it reconnects.
pub(super) const FRAMES_IN_FLIGHT: usize = 256;

/// Names one connection of one page.
pub(super) type ConnectionId = u64;

/// Why a phone's wish is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("no page shows this code, or it has expired: scan the one that is shown now")]
    UnknownCode,
    #[error("no device is linked to this account: scan a code first")]
    UnknownAccount,
    #[error("this number is not on WhatsApp: numbers that end in 0000 never are")]
    NotOnWhatsapp,
    #[error("the sandbox could not write to its data folder")]
    Storage(#[from] io::Error),
}

/// What happened to a message that a device handed in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    New,
    /// The server had it already, under this id.
    Again,
}

/// A page that is connected.
#[derive(Debug)]
struct Connection {
    outbox: mpsc::Sender<ToPage>,
    tab: String,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Silent,
    ShowsCode { reference: String, keys: DeviceKeys, expires: Instant },
    CodesRanOut,
    Linked { device: String, account: Number },
}

/// Everything that the lock guards.
#[derive(Debug)]
pub(super) struct World {
    journal: Journal,
    devices: BTreeMap<String, Device>,
    delivered: HashSet<(String, String)>,
    messages: Vec<Message>,
    by_id: HashMap<(Number, String), usize>,
    incoming: Vec<Incoming>,
    connections: BTreeMap<ConnectionId, Connection>,
    next_connection: ConnectionId,
    faults: FaultBoard,
}

/// The server; shared by the phone's API and the connections of the pages.
#[derive(Debug)]
pub(super) struct Server {
    world: Mutex<World>,
    revision: watch::Sender<u64>,
}

impl Server {
    /// Opens what `folder` remembers.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let (journal, records) = Journal::open(folder)?;
        let mut world = World {
            journal,
            devices: BTreeMap::new(),
            delivered: HashSet::new(),
            messages: Vec::new(),
            by_id: HashMap::new(),
            incoming: Vec::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            faults: FaultBoard::default(),
        };
        for record in records {
            world.apply(record);
        }
        Ok(Self { world: Mutex::new(world), revision: watch::Sender::new(0) })
    }

    /// Tells whenever something changed that the phone shows.
    pub(super) fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Looks at the world.
    pub(super) fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the world, and tells those who watch.
    fn change<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let outcome = act(&mut self.lock());
        self.revision.send_modify(|revision| *revision += 1);
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        // A panic under the lock leaves whole records behind, so the world is still good.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page has connected; frames for it go to `outbox`.
    pub(super) fn connected(&self, tab: &str, outbox: mpsc::Sender<ToPage>) -> ConnectionId {
        self.change(|world| {
            world.next_connection += 1;
            let connection = Connection { outbox, tab: tab.to_owned(), stage: Stage::Silent };
            world.connections.insert(world.next_connection, connection);
            world.next_connection
        })
    }

    /// A page has gone.
    pub(super) fn disconnected(&self, id: ConnectionId) {
        self.change(|world| world.connections.remove(&id));
    }

    /// Issues a reference that lives for `lifetime`.
    pub(super) fn issue_code(&self, id: ConnectionId, keys: &DeviceKeys, lifetime: Duration) -> String {
        let reference = format!("2@{}", random_token::<48>());
        let stage = Stage::ShowsCode {
            reference: reference.clone(),
            keys: keys.clone(),
            expires: Instant::now() + lifetime,
        };
        self.enter(id, stage);
        reference
    }

    /// The page has new keys: a code with the old ones is no longer accepted.
    pub(super) fn keys_changed(&self, id: ConnectionId, new: DeviceKeys) {
        self.change(|world| {
            if let Some(Connection { stage: Stage::ShowsCode { keys, .. }, .. }) =
                world.connections.get_mut(&id)
            {
                *keys = new;
            }
        });
    }

    /// The last code of a batch has expired.
    pub(super) fn codes_ran_out(&self, id: ConnectionId) {
        self.enter(id, Stage::CodesRanOut);
    }

    fn enter(&self, id: ConnectionId, stage: Stage) {
        self.change(|world| {
            if let Some(connection) = world.connections.get_mut(&id) {
                connection.stage = stage;
            }
        });
    }

    /// A phone scans a code: links the page that shows it.
    pub(super) fn scan(&self, code: &ScannedCode, number: Option<Number>) -> Result<Number, Refusal> {
        self.change(|world| {
            let id = world.who_shows(code).ok_or(Refusal::UnknownCode)?;
            let account = match number {
                Some(number) if !number.is_on_whatsapp() => return Err(Refusal::NotOnWhatsapp),
                Some(number) => number,
                None => Number::next_free(|number| world.knows(number)),
            };
            let device = Device {
                id: random_token::<9>(),
                secret: random_token::<32>(),
                account: account.clone(),
                linked_at: now(),
            };
            let paired = ToPage::Paired {
                id: device.id.clone(),
                secret: device.secret.clone(),
                account: account.as_str().to_owned(),
                lid: account.lid(),
            };
            world.record(Record::Linked { device })?;
            if let Some(connection) = world.connections.get_mut(&id) {
                connection.stage = Stage::Silent;
                connection.tell(paired);
            }
            Ok(account)
        })
    }

    /// A linked page comes back: the account it belongs to and what it has missed.
    pub(super) fn attach(
        &self,
        id: ConnectionId,
        credentials: &Credentials,
    ) -> Result<(Number, Vec<Incoming>), RemovedBecause> {
        self.change(|world| {
            let known = world.devices.get(&credentials.id);
            let device = known.filter(|device| device.secret == credentials.secret);
            let device = device.cloned().ok_or(RemovedBecause::UnknownCompanion)?;
            world.displace(&device.id, id);
            if let Some(connection) = world.connections.get_mut(&id) {
                connection.stage = Stage::Linked {
                    device: device.id.clone(),
                    account: device.account.clone(),
                };
            }
            let missed = world.incoming.iter().filter(|message| {
                message.account == device.account
                    && message.at >= device.linked_at
                    && !world.delivered.contains(&(device.id.clone(), message.id.clone()))
            });
            let missed = missed.cloned().collect();
            Ok((device.account, missed))
        })
    }

    /// Takes a message; one whose id the account has used before is only counted.
    pub(super) fn take(&self, message: Message) -> io::Result<Taken> {
        self.change(|world| {
            let key = (message.account.clone(), message.id.clone());
            if world.by_id.contains_key(&key) {
                let (account, id) = key;
                world.record(Record::Resent { account, id })?;
                return Ok(Taken::Again);
            }
            world.record(Record::Taken { message })?;
            Ok(Taken::New)
        })
    }

    /// Somebody writes to an account.
    pub(super) fn receive(&self, account: Number, from: Number, body: String) -> Result<Incoming, Refusal> {
        self.change(|world| {
            if !world.is_linked(&account) {
                return Err(Refusal::UnknownAccount);
            }
            let id = format!("3A{}", random_hex::<9>());
            let message = Incoming { id, account, from, body, at: now() };
            world.record(Record::Received { message: message.clone() })?;
            let frame = incoming_frame(&message);
            world.tell_account(&message.account, &frame);
            Ok(message)
        })
    }

    /// A device has an incoming message safe.
    pub(super) fn delivered(&self, device: &str, id: &str) -> io::Result<()> {
        let record = Record::Delivered { device: device.to_owned(), id: id.to_owned() };
        self.change(|world| world.record(record))
    }

    /// The phone removes all devices of an account.
    pub(super) fn unlink(&self, account: &Number) -> Result<(), Refusal> {
        self.change(|world| {
            let devices = world.devices.values().filter(|device| device.account == *account);
            let devices: Vec<String> = devices.map(|device| device.id.clone()).collect();
            if devices.is_empty() {
                return Err(Refusal::UnknownAccount);
            }
            for device in devices {
                world.remove(&device)?;
            }
            Ok(())
        })
    }

    /// A device removes itself.
    pub(super) fn log_out(&self, device: &str) -> io::Result<()> {
        self.change(|world| world.remove(device))
    }

    /// Sets faults and lets those that happen at once happen.
    pub(super) fn set_faults(&self, faults: Faults) {
        self.change(|world| {
            let (event, scope) = (faults.event, faults.account.clone());
            world.faults.set(faults);
            if let Some(event) = event {
                world.befall(event, scope.as_ref());
            }
        });
    }
}

impl World {
    /// Writes a record, then lets it count.
    fn record(&mut self, record: Record) -> io::Result<()> {
        self.journal.append(&record)?;
        self.apply(record);
        Ok(())
    }

    /// Lets a record count that is already written.
    fn apply(&mut self, record: Record) {
        match record {
            Record::Linked { device } => {
                self.devices.insert(device.id.clone(), device);
            }
            Record::Unlinked { device } => {
                self.devices.remove(&device);
            }
            Record::Taken { message } => {
                let key = (message.account.clone(), message.id.clone());
                self.by_id.insert(key, self.messages.len());
                self.messages.push(message);
            }
            Record::Resent { account, id } => {
                let position = self.by_id.get(&(account, id)).copied();
                if let Some(message) = position.and_then(|at| self.messages.get_mut(at)) {
                    message.resent += 1;
                }
            }
            Record::Received { message } => self.incoming.push(message),
            Record::Delivered { device, id } => {
                self.delivered.insert((device, id));
            }
        }
    }

    /// The connection that shows exactly this code, while it lives.
    fn who_shows(&self, code: &ScannedCode) -> Option<ConnectionId> {
        let matching = self.connections.iter().find(|(_, connection)| match &connection.stage {
            Stage::ShowsCode { reference, keys, expires } => {
                *reference == code.reference && *keys == code.keys && Instant::now() < *expires
            }
            Stage::Silent | Stage::CodesRanOut | Stage::Linked { .. } => false,
        });
        matching.map(|(id, _)| *id)
    }

    /// Another tab of the device is told that it lost; an earlier connection of the same tab is
    /// merely forgotten.
    fn displace(&mut self, device: &str, newcomer: ConnectionId) {
        let tab = self.connections.get(&newcomer).map(|c| c.tab.clone()).unwrap_or_default();
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

    fn remove(&mut self, device: &str) -> io::Result<()> {
        self.record(Record::Unlinked { device: device.to_owned() })?;
        for connection in self.connections.values_mut() {
            if matches!(&connection.stage, Stage::Linked { device: other, .. } if other == device) {
                connection.stage = Stage::Silent;
                connection.tell(ToPage::Removed { reason: RemovedBecause::UserInitiated });
            }
        }
        Ok(())
    }

    fn tell_account(&self, account: &Number, frame: &ToPage) {
        for connection in self.connections.values() {
            if connection.account() == Some(account) {
                connection.tell(frame.clone());
            }
        }
    }

    fn befall(&mut self, event: Event, scope: Option<&Number>) {
        for connection in self.connections.values() {
            if scope.is_none() || connection.account() == scope {
                connection.tell(ToPage::Event { event });
            }
        }
    }

    fn knows(&self, number: &Number) -> bool {
        self.is_linked(number)
            || self.messages.iter().any(|m| m.account == *number || m.to == *number)
            || self.incoming.iter().any(|m| m.account == *number || m.from == *number)
    }

    fn is_linked(&self, account: &Number) -> bool {
        self.devices.values().any(|device| device.account == *account)
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

    /// The linked devices, and whether each is connected.
    pub(super) fn devices(&self) -> impl Iterator<Item = (&Device, bool)> {
        self.devices.values().map(|device| {
            let online = self.connections.values().any(|connection| {
                matches!(&connection.stage, Stage::Linked { device: id, .. } if *id == device.id)
            });
            (device, online && self.faults_of(Some(&device.account)).socket != Some(SocketFault::Silent))
        })
    }

    /// The codes that pages show now: the connection, the text and what is left of its life.
    /// No text: the codes of that page have run out.
    pub(super) fn codes(&self) -> impl Iterator<Item = (ConnectionId, Option<(String, Duration)>)> {
        self.connections.iter().filter_map(|(id, connection)| match &connection.stage {
            Stage::ShowsCode { reference, keys, expires } => {
                let left = expires.saturating_duration_since(Instant::now());
                Some((*id, Some((super::code::text(reference, keys), left))))
            }
            Stage::CodesRanOut => Some((*id, None)),
            Stage::Silent | Stage::Linked { .. } => None,
        })
    }
}

impl Connection {
    fn account(&self) -> Option<&Number> {
        match &self.stage {
            Stage::Linked { account, .. } => Some(account),
            Stage::Silent | Stage::ShowsCode { .. } | Stage::CodesRanOut => None,
        }
    }

    fn tell(&self, frame: ToPage) {
        // A full or closed outbox means a dying connection: the page asks again when it is back.
        drop(self.outbox.try_send(frame));
    }
}

/// A message somebody wrote, as it travels to a page.
pub(super) fn incoming_frame(message: &Incoming) -> ToPage {
    ToPage::Message {
        id: message.id.clone(),
        from: message.from.as_str().to_owned(),
        lid: message.from.lid(),
        body: message.body.clone(),
        at: seconds(&message.at),
    }
}

/// The present, ISO-8601 with milliseconds.
pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn seconds(at: &str) -> i64 {
    at.parse::<Timestamp>().map_or(0, Timestamp::as_second)
}

fn random_token<const BYTES: usize>() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; BYTES]>())
}

fn random_hex<const BYTES: usize>() -> String {
    rand::random::<[u8; BYTES]>().iter().map(|byte| format!("{byte:02X}")).collect()
}
