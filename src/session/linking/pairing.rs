//! Linking by phone number: for whom a code is wanted, which one is valid, and when to ask for another.
//!
//! Pure: knows no time but what it is given, asks the page for nothing. `lifecycle::running` does what is due.
//!
//! A code comes as a part of the page's [`Standing`]; the request for it only says that it was asked for. The text that
//! stood there when a request began is never taken for its outcome.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    masked::Code,
    session::{PairingCode, PhoneToLink, Reason, ReasonCode, Recipient, state::Event},
    whatsapp::{PairingError, Standing},
};

/// A page between two documents is there again within a second or two.
const RETRY: Duration = Duration::from_secs(2);

/// The page shows a code as soon as it has said that it has one; asking again makes WhatsApp count one more try, and it
/// allows few.
const CODE_PATIENCE: Duration = Duration::from_secs(15);

/// The linking of one session by phone number.
#[derive(Debug)]
pub(in crate::session) struct Pairing {
    /// How long WhatsApp takes a code.
    life: Duration,
    /// Whose code callers want, until it is linked or refused.
    wanted: Option<PhoneToLink>,
    /// For whom the page was last asked.
    asked: Option<Recipient>,
    is_asking: bool,
    /// Not asked for again before.
    not_before: Option<Instant>,
    /// What the page showed when it was last asked.
    stale: Option<Code>,
    shown: Option<Shown>,
    /// The page asks for a link.
    login: bool,
    /// What the page shows.
    text: Option<Code>,
}

/// The code on show.
#[derive(Debug)]
struct Shown {
    text: Option<Code>,
    phone: Recipient,
    expires: Instant,
}

/// What the page is to be asked.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) struct Request {
    pub(in crate::session) phone: PhoneToLink,
    /// A code in place of one that has expired: the phone was told of the first.
    pub(in crate::session) is_renewal: bool,
}

impl Pairing {
    pub(in crate::session) fn new(wanted: Option<PhoneToLink>, life: Duration) -> Self {
        Self {
            life,
            wanted,
            asked: None,
            is_asking: false,
            not_before: None,
            stale: None,
            shown: None,
            login: false,
            text: None,
        }
    }

    /// A caller wants a code for this number. Wanting the same again changes nothing.
    pub(in crate::session) fn want(&mut self, phone: PhoneToLink) {
        match &mut self.wanted {
            Some(wanted) if wanted.number == phone.number => wanted.force |= phone.force,
            _ => {
                self.wanted = Some(phone);
                self.not_before = None;
            }
        }
    }

    fn wanted_number(&self) -> Option<&Recipient> {
        self.wanted.as_ref().map(|phone| &phone.number)
    }

    /// Reads how the page stands. Gives what that changes.
    pub(in crate::session) fn set(&mut self, standing: &Standing, now: Instant) -> Option<Event> {
        if standing.linked {
            self.wanted = None;
            self.asked = None;
        }
        self.login = standing.login;
        self.text = standing.pairing_code.clone().filter(|_| standing.login);
        if self.shown.as_ref().map(|shown| &shown.text) == Some(&self.text) {
            return None;
        }
        let fresh = self.text.clone().filter(|_| self.text != self.stale);
        match (fresh, &self.asked) {
            (Some(text), Some(phone)) => {
                self.not_before = None;
                self.shown = Some(Shown {
                    text: self.text.clone(),
                    phone: phone.clone(),
                    expires: now + self.life,
                });
                let shown_at = Timestamp::now();
                Some(Event::PairingShown(PairingCode {
                    text,
                    phone: phone.clone(),
                    shown_at,
                    expires_at: shown_at.saturating_add(self.life).unwrap_or(Timestamp::MAX),
                }))
            }
            _ => self.over(),
        }
    }

    /// The code on show is not valid any more.
    fn over(&mut self) -> Option<Event> {
        self.shown.take().map(|_| Event::PairingOver)
    }

    /// Drops a code whose time is over. Gives what that changes.
    pub(in crate::session) fn expire(&mut self, now: Instant) -> Option<Event> {
        let has_expired = self
            .shown
            .as_ref()
            .is_some_and(|shown| shown.expires <= now);
        if has_expired {
            self.stale = self.text.clone();
            return self.over();
        }
        None
    }

    /// When to look again; `None` while there is nothing to wait for.
    pub(in crate::session) fn next(&self) -> Option<Instant> {
        let try_again = self.not_before.filter(|_| self.lacks_code());
        let expires = self.shown.as_ref().map(|shown| shown.expires);
        [try_again, expires].into_iter().flatten().min()
    }

    fn lacks_code(&self) -> bool {
        let has = self.shown.as_ref().map(|shown| &shown.phone);
        self.login && !self.is_asking && self.wanted.is_some() && has != self.wanted_number()
    }

    /// Begins a request for a code if one is due.
    pub(in crate::session) fn begin(&mut self, now: Instant) -> Option<Request> {
        if !self.lacks_code() || self.not_before.is_some_and(|at| now < at) {
            return None;
        }
        let phone = self.wanted.clone()?;
        let is_renewal = self.asked.as_ref() == Some(&phone.number);
        self.is_asking = true;
        self.asked = Some(phone.number.clone());
        self.stale = self.text.clone();
        Some(Request { phone, is_renewal })
    }

    /// Takes the page's answer to the last request. Gives the reason when there will be no code.
    pub(in crate::session) fn on_answer(
        &mut self,
        result: Result<(), PairingError>,
        now: Instant,
    ) -> Option<Reason> {
        self.is_asking = false;
        // The session was linked by a scan meanwhile, and needs no code.
        self.wanted.as_ref()?;
        let (code, detail) = match result {
            Ok(()) => {
                // Also while the code on show is another number's: without a pause WhatsApp would be asked again at
                // once, and again.
                self.not_before = Some(now + CODE_PATIENCE).filter(|_| self.lacks_code());
                return None;
            }
            Err(PairingError::Interrupted(why)) => {
                tracing::debug!("the page was not there to be asked for a pairing code: {why}");
                self.not_before = Some(now + RETRY);
                return None;
            }
            Err(PairingError::Refused(why)) => (
                ReasonCode::PairingRefused,
                format!(
                    "WhatsApp gives no pairing code for this phone number ({why}); check that it is the number of a WhatsApp account, country code first, or scan the QR code instead"
                ),
            ),
            Err(PairingError::RateLimited) => (
                ReasonCode::PairingRateLimited,
                "WhatsApp has been asked for too many pairing codes; scan the QR code instead, or try again in some hours".to_owned(),
            ),
            Err(PairingError::Failed(why)) => (
                ReasonCode::PairingFailed,
                format!("WhatsApp Web gave no pairing code ({why}); scan the QR code instead, or try again"),
            ),
        };
        self.give_up(Reason::new(code, detail))
    }

    /// Another session of this service has the account of the number that a code was to be asked for. The page was not asked.
    pub(in crate::session) fn on_linked_elsewhere(&mut self) -> Option<Reason> {
        self.is_asking = false;
        self.wanted.as_ref()?;
        self.give_up(Reason::of(ReasonCode::NumberLinkedElsewhere))
    }

    /// There will be no code. Gives the reason, unless a caller has asked for another number by now: its turn comes next.
    fn give_up(&mut self, why: Reason) -> Option<Reason> {
        if self.asked.as_ref() != self.wanted_number() {
            return None;
        }
        self.wanted = None;
        self.asked = None;
        Some(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(180);

    fn number(raw: &str) -> PhoneToLink {
        PhoneToLink {
            number: raw.parse().unwrap(),
            force: false,
        }
    }

    fn page(code: Option<&str>) -> Standing {
        Standing {
            recognised: true,
            login: true,
            pairing_code: code.map(Code::from),
            ..Standing::default()
        }
    }

    /// One that was asked for a code and shows it.
    fn showing(code: &str) -> (Pairing, Instant) {
        let now = Instant::now();
        let mut pairing = Pairing::new(Some(number("5491158254201")), LIFE);
        assert!(pairing.set(&page(None), now).is_none());
        let request = pairing.begin(now).unwrap();
        assert!(!request.is_renewal);
        let shown = pairing.set(&page(Some(code)), now);
        assert!(matches!(shown, Some(Event::PairingShown(_))));
        assert_eq!(pairing.on_answer(Ok(()), now), None);
        (pairing, now)
    }

    #[test]
    fn a_code_is_asked_for_once_the_page_asks_for_a_link_and_not_twice() {
        let now = Instant::now();
        let mut pairing = Pairing::new(Some(number("5491158254201")), LIFE);
        assert_eq!(pairing.begin(now), None, "the page is still loading");
        pairing.set(&page(None), now);
        assert!(pairing.begin(now).is_some());
        assert_eq!(pairing.begin(now), None, "it is being asked");
        pairing.on_answer(Ok(()), now);
        assert_eq!(pairing.begin(now), None, "the code is on its way");
        assert!(pairing.begin(now + CODE_PATIENCE).is_some());
    }

    #[test]
    fn a_valid_code_is_kept_however_often_it_is_wanted() {
        let (mut pairing, now) = showing("ABCDEFGH");
        pairing.want(number("5491158254201"));
        assert_eq!(pairing.begin(now), None);
        assert!(pairing.set(&page(Some("ABCDEFGH")), now).is_none());
    }

    #[test]
    fn an_expired_code_is_taken_back_and_renewed() {
        let (mut pairing, now) = showing("ABCDEFGH");
        assert_eq!(pairing.next(), Some(now + LIFE));
        assert!(pairing.expire(now + LIFE / 2).is_none());
        assert!(matches!(
            pairing.expire(now + LIFE),
            Some(Event::PairingOver)
        ));
        assert!(
            pairing.set(&page(Some("ABCDEFGH")), now + LIFE).is_none(),
            "it stays dead"
        );
        assert!(pairing.begin(now + LIFE).unwrap().is_renewal);
    }

    #[test]
    fn a_code_that_the_page_gives_up_is_renewed_at_once() {
        let (mut pairing, now) = showing("ABCDEFGH");
        assert!(matches!(
            pairing.set(&page(None), now),
            Some(Event::PairingOver)
        ));
        assert!(pairing.begin(now).unwrap().is_renewal);
    }

    #[test]
    fn another_number_gets_a_code_of_its_own_and_never_the_one_before() {
        let (mut pairing, now) = showing("ABCDEFGH");
        pairing.want(number("5491158254202"));
        let request = pairing.begin(now).unwrap();
        assert_eq!(
            (request.phone.number.digits(), request.is_renewal),
            ("5491158254202", false)
        );
        assert!(pairing.set(&page(Some("ABCDEFGH")), now).is_none());
        let shown = pairing.set(&page(Some("HGFEDCBA")), now);
        let Some(Event::PairingShown(code)) = shown else {
            panic!("no code was shown");
        };
        assert_eq!(code.phone.digits(), "5491158254202");
    }

    #[test]
    fn a_refused_number_is_not_asked_for_again() {
        let (mut pairing, now) = showing("ABCDEFGH");
        pairing.want(number("5491158250000"));
        pairing.begin(now).unwrap();
        let refused = pairing.on_answer(Err(PairingError::Refused("no".to_owned())), now);
        assert_eq!(refused.unwrap().code, ReasonCode::PairingRefused);
        assert_eq!(pairing.begin(now + LIFE * 2), None);
    }

    #[test]
    fn a_number_that_another_session_has_is_not_asked_for_again_until_a_caller_wants_it_all_the_same()
     {
        let (mut pairing, now) = showing("ABCDEFGH");
        assert!(matches!(
            pairing.expire(now + LIFE),
            Some(Event::PairingOver)
        ));
        assert!(pairing.begin(now + LIFE).unwrap().is_renewal);
        let refused = pairing.on_linked_elsewhere().unwrap();
        assert_eq!(refused.code, ReasonCode::NumberLinkedElsewhere);
        assert_eq!(pairing.begin(now + LIFE * 2), None);
        let forced = PhoneToLink {
            force: true,
            ..number("5491158254201")
        };
        pairing.want(forced.clone());
        assert_eq!(pairing.begin(now + LIFE * 2).unwrap().phone, forced);
    }

    #[test]
    fn a_page_that_was_not_there_is_asked_again() {
        let now = Instant::now();
        let mut pairing = Pairing::new(Some(number("5491158254201")), LIFE);
        pairing.set(&page(None), now);
        pairing.begin(now).unwrap();
        let away = PairingError::Interrupted("between two documents".to_owned());
        assert_eq!(pairing.on_answer(Err(away), now), None);
        assert_eq!(pairing.begin(now), None);
        assert_eq!(pairing.next(), Some(now + RETRY));
        assert!(pairing.begin(now + RETRY).is_some());
    }

    #[test]
    fn a_linked_page_needs_no_code_ever_again() {
        let (mut pairing, now) = showing("ABCDEFGH");
        let linked = Standing {
            linked: true,
            ..Standing::default()
        };
        assert!(matches!(
            pairing.set(&linked, now),
            Some(Event::PairingOver)
        ));
        pairing.set(&page(None), now);
        assert_eq!(
            pairing.begin(now),
            None,
            "an unlinked device shows its QR code only"
        );
    }

    #[test]
    fn a_request_that_a_link_has_overtaken_says_nothing_of_the_session() {
        let now = Instant::now();
        let mut pairing = Pairing::new(Some(number("5491158254201")), LIFE);
        pairing.set(&page(None), now);
        pairing.begin(now).unwrap();
        let linked = Standing {
            linked: true,
            ..Standing::default()
        };
        pairing.set(&linked, now);
        let failed = Err(PairingError::Failed("the page has gone".to_owned()));
        assert_eq!(pairing.on_answer(failed, now), None);
        assert_eq!(pairing.next(), None);
    }

    #[test]
    fn nothing_of_a_code_is_shown_for_debugging() {
        let (pairing, _) = showing("ABCDEFGH");
        assert!(!format!("{pairing:?}").contains("ABCDEFGH"));
    }

    #[test]
    fn a_code_on_show_for_another_number_is_no_reason_to_ask_without_a_pause() {
        let (mut pairing, now) = showing("AAAA-1111");
        pairing.want(number("5491158254202"));
        assert!(pairing.begin(now).is_some());
        assert_eq!(pairing.on_answer(Ok(()), now), None);
        assert_eq!(pairing.begin(now), None, "WhatsApp counts each try");
        assert_eq!(pairing.next(), Some(now + CODE_PATIENCE));
        assert!(pairing.begin(now + CODE_PATIENCE).is_some());
    }
}
