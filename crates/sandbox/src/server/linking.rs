//! How a page becomes a device of an account: by a code that a phone scans or types, and when it comes back.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{Refusal, Server, now, random_token};
use crate::{
    code::{DeviceKeys, ScannedCode},
    journal::{Device, Incoming, Record},
    number::Number,
    pairing::PairingCode,
    wire::{Credentials, RemovedBecause, ToPage},
    world::{Connection, ConnectionId, Pairing, Stage, World},
};

impl Server {
    /// Issues a reference that lives for `lifetime`.
    pub(crate) fn issue_code(
        &self,
        id: ConnectionId,
        keys: &DeviceKeys,
        lifetime: Duration,
    ) -> String {
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
    pub(crate) fn keys_changed(&self, id: ConnectionId, new: DeviceKeys) {
        self.change(|world| {
            if let Some(Connection {
                stage: Stage::ShowsCode { keys, .. },
                ..
            }) = world.connections.get_mut(&id)
            {
                *keys = new;
            }
        });
    }

    /// The last code of a batch has expired.
    pub(crate) fn codes_ran_out(&self, id: ConnectionId) {
        self.enter(id, Stage::CodesRanOut);
    }

    fn enter(&self, id: ConnectionId, stage: Stage) {
        self.change(|world| {
            if let Some(connection) = world.connections.get_mut(&id) {
                connection.stage = stage;
            }
        });
    }

    /// Issues a code that only the phone with this number can use, in place of any other that the page has.
    pub(crate) fn issue_pairing_code(
        &self,
        id: ConnectionId,
        number: Number,
        lifetime: Duration,
    ) -> PairingCode {
        let code = PairingCode::random();
        let pairing = Pairing {
            number,
            code: code.clone(),
            expires: Instant::now() + lifetime,
        };
        self.set_pairing(id, Some(pairing));
        code
    }

    /// The page's pairing code is not valid any more.
    pub(crate) fn end_pairing(&self, id: ConnectionId) {
        self.set_pairing(id, None);
    }

    fn set_pairing(&self, id: ConnectionId, pairing: Option<Pairing>) {
        self.change(|world| {
            if let Some(connection) = world.connections.get_mut(&id) {
                connection.pairing = pairing;
            }
        });
    }

    /// A phone types a pairing code: links the page that has it.
    pub(crate) fn pair(&self, number: Number, code: &PairingCode) -> Result<Number, Refusal> {
        self.change(|world| {
            let id = world
                .who_pairs(&number, code)
                .ok_or(Refusal::UnknownPairing)?;
            link(world, id, &number)?;
            Ok(number)
        })
    }

    /// A phone scans a code: links the page that shows it.
    pub(crate) fn scan(
        &self,
        code: &ScannedCode,
        number: Option<Number>,
    ) -> Result<Number, Refusal> {
        self.change(|world| {
            let id = world.who_shows(code).ok_or(Refusal::UnknownCode)?;
            let account = match number {
                Some(number) if !number.is_on_whatsapp() => return Err(Refusal::NotOnWhatsapp),
                Some(number) => number,
                None => Number::next_free(|number| world.knows(number)),
            };
            link(world, id, &account)?;
            Ok(account)
        })
    }

    /// A linked page comes back: the account it belongs to and what it has missed.
    pub(crate) fn attach(
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
                    && !world
                        .delivered
                        .contains(&(device.id.clone(), message.id.clone()))
            });
            let missed = missed.cloned().collect();
            Ok((device.account, missed))
        })
    }
}

/// Makes the page behind a connection a device of the account.
fn link(world: &mut World, id: ConnectionId, account: &Number) -> io::Result<()> {
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
        connection.pairing = None;
        connection.tell(paired);
    }
    Ok(())
}
