//! The codes of a page that is not linked: those on show, which rotate, and the one that a phone types.
//!
//! Responsible for: how long each lives, and telling the page that one is over. Not responsible for: which code links
//! which page (`server`).

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{Connection, Ended};
use crate::{
    faults::{Build, PairingFault, PasskeyFault},
    number::Number,
    wire::ToPage,
};

/// The real server sends six references at a time.
const CODES_PER_BATCH: u32 = 6;

/// How long a device of an account stays linked when another page asks for a pairing code for its number: two were
/// measured, about a minute each (`OpenWA` #1653).
const REVOKED_AFTER: Duration = Duration::from_secs(60);

/// The real server's words for a number that it does not take, for too many tries, and for an account that has to be
/// linked otherwise (`WASmaxInMdIqMixinErrors`).
const BAD_REQUEST: &str = "IQErrorBadRequest";
const RATE_OVERLIMIT: &str = "IQErrorRateOverlimit";
const NOT_AVAILABLE: &str = "IQErrorFeatureNotAvailable";

impl Connection {
    pub(super) async fn new_batch(&mut self) -> Result<(), Ended> {
        self.codes_left = CODES_PER_BATCH;
        self.next_code().await
    }

    pub(super) async fn next_code(&mut self) -> Result<(), Ended> {
        let Some(keys) = &self.keys else {
            return Err(Ended);
        };
        if self.codes_left == 0 {
            self.code_ends = None;
            self.server.codes_ran_out(self.id);
            return self.send(&ToPage::CodesRanOut).await;
        }
        let first = self.codes_left == CODES_PER_BATCH;
        let lifetime = if first {
            self.config.first_code
        } else {
            self.config.next_codes
        };
        self.codes_left -= 1;
        self.code_ends = Some(Instant::now() + lifetime);
        let reference = self.server.issue_code(self.id, keys, lifetime);
        self.send(&ToPage::Reference { reference }).await
    }

    /// Answers a page that wants to be linked by phone number. A linked one has no business here.
    pub(super) async fn pairing_code(&mut self, request: u64, phone: &str) -> Result<(), Ended> {
        if self.link.is_some() {
            return Err(Ended);
        }
        self.end_pairing();
        let error = match self.faults().pairing {
            Some(PairingFault::Never) => return Ok(()),
            Some(PairingFault::Refused) => BAD_REQUEST,
            Some(PairingFault::RateLimited) => RATE_OVERLIMIT,
            Some(PairingFault::NotAvailable) => NOT_AVAILABLE,
            None => "",
        };
        let number = Number::parse(phone).ok().filter(Number::is_on_whatsapp);
        let refused = |error| ToPage::PairingCode {
            request,
            code: String::new(),
            error,
        };
        let answer = match number {
            _ if !error.is_empty() => refused(error),
            None => refused(BAD_REQUEST),
            Some(number) => {
                self.revoke_others(&number);
                let lifetime = self.config.pairing_code;
                let code = self.server.issue_pairing_code(self.id, number, lifetime);
                self.pairing_ends = Some((request, Instant::now() + lifetime));
                ToPage::PairingCode {
                    request,
                    code: code.as_str().to_owned(),
                    error,
                }
            }
        };
        self.send(&answer).await
    }

    /// What WhatsApp does to the devices that an account has when another page asks for a code for its number.
    fn revoke_others(&self, number: &Number) {
        let faults = self.server.read(|world| world.faults_of(Some(number)));
        if faults.build == Some(Build::Early2026) {
            return;
        }
        let after = faults
            .pairing_revokes_ms
            .map_or(REVOKED_AFTER, Duration::from_millis);
        let (server, devices) = (Arc::clone(&self.server), self.server.devices_of(number));
        tokio::spawn(async move {
            sleep(after).await;
            for device in devices {
                if let Err(why) = server.revoke(&device) {
                    tracing::error!("the sandbox could not remove a device: {why}");
                }
            }
        });
    }

    /// A page hands in what a phone has signed.
    pub(super) async fn take_passkey(&mut self, assertion: &str) -> Result<(), Ended> {
        let taken = match self.faults().passkey {
            Some(PasskeyFault::Refused) => Err("refused"),
            fault => {
                let code = self.server.take_passkey(self.id, assertion);
                code.map(|code| code.filter(|_| fault != Some(PasskeyFault::Unanswered)))
            }
        };
        match taken {
            Err(why) => self.send(&ToPage::PasskeyRefused { why }).await,
            Ok(code) => {
                self.send(&ToPage::PasskeyTaken).await?;
                let Some(code) = code else { return Ok(()) };
                let code = code.as_str().to_owned();
                self.send(&ToPage::PasskeyCode { code }).await
            }
        }
    }

    /// A page wants something else to sign.
    pub(super) async fn passkey_options(&mut self) -> Result<(), Ended> {
        match self.server.new_challenge(self.id) {
            Some(challenge) => self.send(&ToPage::PasskeyOptions { challenge }).await,
            // The real server has an error for it, which the page's parser does not know either.
            None => Ok(()),
        }
    }

    /// The codes have been compared.
    pub(super) async fn confirm_passkey(&mut self) -> Result<(), Ended> {
        let is_linked = self.server.confirm_passkey(self.id).map_err(|_| Ended)?;
        self.send(&if is_linked {
            ToPage::PasskeyLinked
        } else {
            ToPage::PasskeyRefused {
                why: "the phone has refused",
            }
        })
        .await
    }

    /// The page's pairing code has expired; the page hears of it, and may ask for another.
    pub(super) async fn pairing_expired(&mut self) -> Result<(), Ended> {
        let Some((request, _)) = self.pairing_ends else {
            return Ok(());
        };
        self.end_pairing();
        self.send(&ToPage::PairingCodeExpired { request }).await
    }

    /// The page's pairing code is not valid any more.
    pub(super) fn end_pairing(&mut self) {
        if self.pairing_ends.take().is_some() {
            self.server.end_pairing(self.id);
        }
    }
}
