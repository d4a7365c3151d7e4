//! How a page becomes a device of an account: by a code that a phone scans or types, and when it comes back.

use std::{
    io,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Refusal, Server, now, passkey, random_token};
use crate::{
    code::{DeviceKeys, ScannedCode},
    faults::PageFault,
    journal::{Device, Record},
    number::Number,
    pairing::PairingCode,
    wire::{Credentials, RemovedBecause, ToPage},
    world::{Connection, ConnectionId, Pairing, Passkey, PasskeyAnswer, Stage, World},
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
                // A page that shows codes again has given its passkey up.
                connection.passkey = None;
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
            link_or_ask(world, id, &number)?;
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
            link_or_ask(world, id, &account)?;
            Ok(account)
        })
    }

    /// The owner of the phone answers a challenge. Gives what a browser's `navigator.credentials.get` gives for it, its bytes as
    /// text; `None` when the person says no.
    pub(crate) fn sign(
        &self,
        challenge: &str,
        answer: PasskeyAnswer,
    ) -> Result<Option<Value>, Refusal> {
        self.change(|world| {
            let passkeys = world
                .connections
                .values_mut()
                .filter_map(|c| c.passkey.as_mut());
            let passkey = passkeys
                .into_iter()
                .find(|passkey| passkey.challenge == challenge);
            let passkey = passkey.ok_or(Refusal::UnknownChallenge)?;
            passkey.answer = answer;
            if answer == PasskeyAnswer::Refuse {
                return Ok(None);
            }
            let assertion = passkey::assertion(challenge);
            passkey.signed = Some(assertion.clone());
            Ok(Some(assertion))
        })
    }

    /// A page hands in what a phone has signed: the code that page and phone both show from now on, if the phone answers; why
    /// not, if it is not good.
    pub(crate) fn take_passkey(
        &self,
        id: ConnectionId,
        assertion: &str,
    ) -> Result<Option<PairingCode>, &'static str> {
        self.change(|world| {
            let passkey = world.connections.get_mut(&id);
            let passkey = passkey.and_then(|connection| connection.passkey.as_mut());
            let passkey = passkey.ok_or("no passkey is wanted")?;
            if std::mem::replace(&mut passkey.is_used, true) {
                return Err("the challenge has been used");
            }
            passkey::check(assertion, &passkey.challenge, passkey.signed.as_ref())?;
            match passkey.answer {
                PasskeyAnswer::Refuse => Err("the phone has refused"),
                PasskeyAnswer::Ignore => Ok(None),
                PasskeyAnswer::Sign => {
                    passkey.code = Some(PairingCode::random());
                    Ok(passkey.code.clone())
                }
            }
        })
    }

    /// A page wants something else to sign. `None`: no phone asks it for a passkey.
    pub(crate) fn new_challenge(&self, id: ConnectionId) -> Option<String> {
        self.change(|world| {
            let passkey = world.connections.get_mut(&id)?.passkey.as_mut()?;
            let number = passkey.number.clone();
            *passkey = Passkey::new(number, random_token::<32>());
            Some(passkey.challenge.clone())
        })
    }

    /// The codes have been compared: the phone links the page, unless its owner says no. Answers whether it did.
    pub(crate) fn confirm_passkey(&self, id: ConnectionId) -> io::Result<bool> {
        self.change(|world| {
            let connection = world.connections.get_mut(&id);
            let passkey = connection.and_then(|connection| connection.passkey.as_mut());
            let Some(passkey) = passkey.filter(|passkey| {
                passkey.code.is_some() && passkey.answer != PasskeyAnswer::Refuse
            }) else {
                return Ok(false);
            };
            let number = passkey.number.clone();
            link(world, id, &number)?;
            Ok(true)
        })
    }

    /// The devices of an account, as they are now.
    pub(crate) fn devices_of(&self, account: &Number) -> Vec<String> {
        self.read(|world| {
            let devices = world.devices.values();
            let own = devices.filter(|device| device.account == *account);
            own.map(|device| device.id.clone()).collect()
        })
    }

    /// A linked page comes back: the account it belongs to.
    pub(crate) fn attach(
        &self,
        id: ConnectionId,
        credentials: &Credentials,
    ) -> Result<Number, RemovedBecause> {
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
            Ok(device.account)
        })
    }
}

/// Links the page behind a connection, unless its account wants a passkey first.
fn link_or_ask(world: &mut World, id: ConnectionId, account: &Number) -> io::Result<()> {
    if world.faults_of(Some(account)).page != Some(PageFault::Passkey) {
        return link(world, id, account);
    }
    if let Some(connection) = world.connections.get_mut(&id) {
        let challenge = random_token::<32>();
        connection.stage = Stage::Silent;
        connection.pairing = None;
        connection.passkey = Some(Passkey::new(account.clone(), challenge.clone()));
        connection.tell(ToPage::PasskeyRequest { challenge });
    }
    Ok(())
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
        connection.passkey = None;
        connection.tell(paired);
    }
    Ok(())
}
