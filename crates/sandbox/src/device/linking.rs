//! The codes of a page that is not linked: those on show, which rotate, and the one that a phone types.
//!
//! Responsible for: how long each lives, and telling the page that one is over. Not responsible for: which code links
//! which page (`server`).

use tokio::time::Instant;

use super::{Connection, Ended};
use crate::{faults::PairingFault, number::Number, wire::ToPage};

/// The real server sends six references at a time.
const CODES_PER_BATCH: u32 = 6;

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
