//! WhatsApp's server, simulated: accounts, linked devices, codes, messages.
//!
//! Responsible for: what pages and phones may do, one at a time. Not responsible for: what lasts
//! (`world`), time (`device` asks for the next code and delays acknowledgements), sockets, HTTP.
//!
//! How a page becomes a device: [`linking`]; what a passkey is worth: [`passkey`].
//!
//! Invariant: the lock is held for plain memory work and a write or two, never across an await.

mod after;
pub(super) mod groups;
mod linking;
pub(super) mod mailbox;
mod older;
mod passkey;

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    faults::Faults,
    journal::{Message, Record},
    media::MediaStore,
    number::Number,
    ratchets::Envelope,
    wire::ToPage,
    world::{Connection, ConnectionId, Named, Stage, World},
};

/// A page that lets this many frames pile up is stuck; its connection is dropped, and what it
/// missed comes again when it reconnects.
pub(super) const FRAMES_IN_FLIGHT: usize = 256;

/// A page hears within milliseconds, on a crowded machine within a few hundred.
const HEARING_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a phone's wish is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("no page shows this code, or it has expired: scan the one that is shown now")]
    UnknownCode,
    #[error(
        "no page has this code for this number, or it has expired: type the one that is shown now, on the phone that it was asked for"
    )]
    UnknownPairing,
    #[error("no page waits for this challenge to be signed: GET /phone/state shows those that do")]
    UnknownChallenge,
    #[error("no device is linked to this account: scan a code first")]
    UnknownAccount,
    #[error(
        "the account has no message with this id: GET /phone/state and /phone/messages show ids"
    )]
    UnknownMessage,
    #[error("the account is in no group with this id: POST /phone/group makes one")]
    UnknownGroup,
    #[error(
        "this person is not in that chat: give a participant of the group, or the other person; who is added must not be in it yet"
    )]
    NotAMember,
    #[error("the account has left this group: have it added again (POST /phone/group/members)")]
    HasLeft,
    #[error("only the author deletes a message, or an admin in a group: leave \"by\" out")]
    NotTheAuthor,
    #[error("others wrote this message: only an own one gets receipts")]
    NotOwn,
    #[error("devices can decrypt this message: write one with \"waiting\" first")]
    NotWaiting,
    #[error("the account knows this number: write as it with \"hidden\": true first")]
    NotHidden,
    #[error("this number is not on WhatsApp: numbers that end in 0000 never are")]
    NotOnWhatsapp,
    #[error("this message has no medium with bytes")]
    NoMedia,
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

/// The server; shared by the phone's API and the connections of the pages.
#[derive(Debug)]
pub(super) struct Server {
    world: Mutex<World>,
    media: Arc<MediaStore>,
    revision: watch::Sender<u64>,
}

impl Server {
    /// Opens what `folder` remembers.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let world = World::open(folder)?;
        Ok(Self {
            world: Mutex::new(world),
            media: Arc::new(MediaStore::open(folder)?),
            revision: watch::Sender::new(0),
        })
    }

    /// The files of media.
    pub(super) fn media(&self) -> &Arc<MediaStore> {
        &self.media
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

    /// What the owner of a page calls it, for the person at the phone. Nothing else comes of it.
    pub(super) fn name(&self, name: &str, named: Named) {
        let is_told = self.read(|world| world.names.get(name) == Some(&named));
        if !is_told {
            self.change(|world| world.names.insert(name.to_owned(), named));
        }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        // A panic under the lock leaves whole records behind, so the world is still good.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page has connected; frames for it go to `outbox`.
    pub(super) fn connected(&self, tab: &str, outbox: mpsc::Sender<ToPage>) -> ConnectionId {
        self.change(|world| {
            world.next_connection += 1;
            let connection = Connection {
                outbox,
                tab: tab.to_owned(),
                stage: Stage::Silent,
                heard_faults: 0,
                pairing: None,
                passkey: None,
            };
            world.connections.insert(world.next_connection, connection);
            world.next_connection
        })
    }

    /// A page has gone.
    pub(super) fn disconnected(&self, id: ConnectionId) {
        self.change(|world| world.connections.remove(&id));
    }

    /// Takes a message; one whose id the account has used before is only counted.
    pub(super) fn take(&self, message: Message, envelopes: Vec<Envelope>) -> io::Result<Taken> {
        self.change(|world| {
            let key = (message.account.clone(), message.id.clone());
            if world.by_id.contains_key(&key) {
                let (account, id) = key;
                world.record(Record::Resent {
                    account,
                    id,
                    envelopes,
                })?;
                return Ok(Taken::Again);
            }
            world.record(Record::Taken { message, envelopes })?;
            Ok(Taken::New)
        })
    }

    /// The phone removes all devices of an account.
    pub(super) fn unlink(&self, account: &Number) -> Result<(), Refusal> {
        self.change(|world| {
            let devices = world
                .devices
                .values()
                .filter(|device| device.account == *account);
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

    /// The phone removes one device, if it is still there.
    pub(super) fn revoke(&self, device: &str) -> io::Result<()> {
        self.change(|world| {
            if world.devices.contains_key(device) {
                world.remove(device)?;
            }
            Ok(())
        })
    }

    /// A device removes itself.
    pub(super) fn log_out(&self, device: &str) -> io::Result<()> {
        self.change(|world| world.remove(device))
    }

    /// Sets faults and lets those that happen at once happen. Answers as soon as every page that can hear acts on them.
    pub(super) async fn set_faults(&self, faults: Faults) {
        let change = self.change(|world| {
            let (event, scope) = (faults.event, faults.account.clone());
            world.faults.set(faults);
            world.fault_changes += 1;
            if let Some(event) = event {
                world.befall(event, scope.as_ref());
            }
            world.fault_changes
        });
        let mut revisions = self.revisions();
        let heard = revisions.wait_for(|_| {
            self.read(|world| {
                let mut connections = world.connections.values();
                connections.all(|connection| connection.heard_faults >= change)
            })
        });
        // One whose connection is cut hears nothing: that is a fault, too.
        drop(timeout(HEARING_TIMEOUT, heard).await);
    }

    /// The page of this connection acts on the faults as they were then.
    pub(super) fn heard_faults(&self, id: ConnectionId, change: u64) {
        let is_news = self.read(|world| {
            let connection = world.connections.get(&id);
            connection.is_some_and(|connection| connection.heard_faults < change)
        });
        if is_news {
            self.change(|world| {
                if let Some(connection) = world.connections.get_mut(&id) {
                    connection.heard_faults = change;
                }
            });
        }
    }
}

/// The present, ISO-8601 with milliseconds.
pub(super) fn now() -> String {
    written(Timestamp::now())
}

/// The time so many seconds before the present.
fn ago(seconds: u64) -> String {
    let earlier = Timestamp::now().checked_sub(Duration::from_secs(seconds));
    written(earlier.unwrap_or(Timestamp::UNIX_EPOCH))
}

fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

pub(super) fn seconds(at: &str) -> i64 {
    milliseconds(at).div_euclid(1_000)
}

pub(super) fn milliseconds(at: &str) -> i64 {
    at.parse::<Timestamp>().map_or(0, Timestamp::as_millisecond)
}

fn random_token<const BYTES: usize>() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; BYTES]>())
}

fn random_digits<const DIGITS: usize>() -> String {
    let digits = rand::random_iter::<u8>().map(|byte| char::from(b'1' + byte % 9));
    digits.take(DIGITS).collect()
}

fn random_hex<const BYTES: usize>() -> String {
    let digits = rand::random_iter::<u8>()
        .map(|byte| char::from(b"0123456789ABCDEF"[usize::from(byte % 16)]));
    digits.take(2 * BYTES).collect()
}
