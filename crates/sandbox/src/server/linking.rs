//! How a page becomes a device of an account: by a code that a phone scans or types, and when it comes back.

use std::{
    io,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Refusal, Server, now, random_token};
use crate::{
    code::{DeviceKeys, ScannedCode},
    faults::PageFault,
    journal::{Device, Record},
    number::Number,
    pairing::PairingCode,
    wire::{Credentials, RemovedBecause, ToPage},
    world::{Connection, ConnectionId, Pairing, Passkey, Stage, World},
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

    /// The owner of the phone signs a challenge with the passkey: what a browser's `navigator.credentials.get` gives for
    /// it, its bytes as text.
    pub(crate) fn sign(&self, challenge: &str) -> Result<Value, Refusal> {
        self.change(|world| {
            let passkeys = world.connections.values_mut().filter_map(|c| c.passkey.as_mut());
            let passkey = passkeys.into_iter().find(|passkey| passkey.challenge == challenge);
            let passkey = passkey.ok_or(Refusal::UnknownChallenge)?;
            let signature = random_token::<64>();
            passkey.signature = Some(signature.clone());
            let client = json!({ "type": "webauthn.get", "challenge": challenge, "origin": "https://web.whatsapp.com" });
            let id = random_token::<16>();
            Ok(json!({
                "id": id, "rawId": id, "type": "public-key",
                "response": {
                    "clientDataJSON": URL_SAFE_NO_PAD.encode(client.to_string()),
                    "authenticatorData": random_token::<37>(),
                    "signature": signature,
                    "userHandle": random_token::<16>(),
                },
            }))
        })
    }

    /// A page hands in what a phone has signed: the code that page and phone both show from now on, if it is good.
    pub(crate) fn take_passkey(&self, id: ConnectionId, assertion: &str) -> Option<PairingCode> {
        let assertion: Value = serde_json::from_str(assertion).unwrap_or_default();
        let given = assertion["response"]["signature"].as_str();
        self.change(|world| {
            let passkey = world.connections.get_mut(&id)?.passkey.as_mut()?;
            let is_good = passkey.signature.is_some() && passkey.signature.as_deref() == given;
            passkey.code = is_good.then(PairingCode::random);
            passkey.code.clone()
        })
    }

    /// The codes have been compared: the phone links the page.
    pub(crate) fn confirm_passkey(&self, id: ConnectionId) -> io::Result<()> {
        self.change(|world| {
            let connection = world.connections.get_mut(&id);
            let passkey = connection.and_then(|connection| connection.passkey.take());
            match passkey {
                Some(Passkey {
                    number,
                    code: Some(_),
                    ..
                }) => link(world, id, &number),
                Some(_) | None => Ok(()),
            }
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
        connection.passkey = Some(Passkey {
            number: account.clone(),
            challenge: challenge.clone(),
            signature: None,
            code: None,
        });
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
        connection.tell(paired);
    }
    Ok(())
}
