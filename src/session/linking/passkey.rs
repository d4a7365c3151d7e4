//! Linking with a passkey: how far it has got, what is due, and which callers wait for what.
//!
//! Knows no time but what it is given, asks the page for nothing. `lifecycle::running` does what is due. The page reports each step
//! as a part of its [`Standing`]; an attempt that fails, or whose time is over, is followed by the next one by itself.
//!
//! docs/whatsapp.md#linking-with-a-passkey has the source of each limit.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    masked::Passkey as Secret,
    session::{
        Assertion, InvalidAssertion, PasskeyError, PasskeyReport, PasskeyStep, command::answer,
    },
    whatsapp::{
        PasskeyAct, PasskeyFailure, PasskeyRequest, PasskeyStanding, PasskeyStep as PageStep,
        Standing,
    },
};

/// For as long after the phone has asked, the page proves by itself that it is the one whose code was scanned.
const PROOF: Duration = Duration::from_secs(300);

/// WhatsApp's page gives a step up after this, from the moment when it has the signature.
const STEP: Duration = Duration::from_secs(120);

/// A page that asks for a passkey and gets none shows nothing that is of use: its Chrome is closed after this. Three
/// challenges of ten minutes.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// WhatsApp's server says within a second or two whether it takes a signature. Before a proxy in front of the service gives up.
const VERDICT: Duration = Duration::from_secs(20);

/// The page shows codes again a second after an attempt was given up.
const RETREAT: Duration = Duration::from_secs(20);

/// The page asks for a signature as soon as it was told to; asked again when it did not.
const BEGIN: Duration = Duration::from_secs(15);

/// Between a failed attempt and the next. It doubles while no challenge comes of it.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// To a caller who asked for a step.
pub(in crate::session) type PasskeyReply = oneshot::Sender<Result<(), PasskeyError>>;

/// The linking of one session with a passkey.
#[derive(Debug, Default)]
pub(in crate::session) struct Passkey(Option<Ceremony>);

/// From the moment when the phone wants a passkey until it does not.
#[derive(Debug)]
struct Ceremony {
    began: Timestamp,
    /// When a person last did something about it.
    acted: Instant,
    step: PasskeyStep,
    step_began: Timestamp,
    request: Option<(PasskeyRequest, Timestamp)>,
    code: Option<crate::masked::Code>,
    attempt: u32,
    /// Attempts that failed before the page asked for a signature, one after the other.
    in_vain: u32,
    last_failure: Option<String>,
    /// The page has begun an attempt.
    is_under_way: bool,
    /// The page is being told to begin one.
    is_beginning: bool,
    not_before: Option<Instant>,
    handed: Option<Handed>,
    confirmation: Confirmation,
    /// Callers who give up, and until when the page must show codes again.
    retreat: Option<(Vec<PasskeyReply>, Instant)>,
}

/// A signature that the page has, or is about to get.
#[derive(Debug)]
struct Handed {
    id: String,
    assertion: Secret,
    /// Who waits for WhatsApp's verdict, and until when.
    waiters: Vec<PasskeyReply>,
    until: Instant,
}

#[derive(Debug, Default)]
enum Confirmation {
    #[default]
    None,
    /// The page is being told.
    Asked(Vec<PasskeyReply>),
    Done,
}

fn shown_after(moment: Timestamp, after: Duration) -> Timestamp {
    moment.saturating_add(after).unwrap_or(Timestamp::MAX)
}

/// A deadline that has passed.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) enum PasskeyExpired {
    /// A caller was answered, or the next attempt is due.
    Minor,
    /// No person did anything for so long: the session ends. With the sentence for it.
    Patience(String),
}

impl Passkey {
    /// Reads how the page stands.
    pub(in crate::session) fn set(&mut self, standing: &Standing, now: Instant) {
        let Some(seen) = &standing.passkey else {
            if standing.linked || standing.login {
                self.over(standing.linked);
            } else if let Some(ceremony) = &mut self.0 {
                ceremony.away();
            }
            return;
        };
        let ceremony = self.0.get_or_insert_with(|| Ceremony::new(now));
        ceremony.set(seen, now);
    }

    /// The page wants no passkey any more.
    fn over(&mut self, is_linked: bool) {
        let Some(ceremony) = self.0.take() else {
            return;
        };
        let outcome = || {
            if is_linked {
                Ok(())
            } else {
                Err(PasskeyError::NonePending(
                    "the page has gone back to its codes: scan one to begin again".to_owned(),
                ))
            }
        };
        if let Some(handed) = ceremony.handed {
            answer_all(handed.waiters, outcome);
        }
        if let Confirmation::Asked(waiters) = ceremony.confirmation {
            answer_all(waiters, outcome);
        }
        if let Some((waiters, _)) = ceremony.retreat {
            answer_all(waiters, || Ok(()));
        }
    }

    /// What is shown of it; `None` while no passkey is wanted.
    pub(in crate::session) fn report(&self) -> Option<PasskeyReport> {
        self.0.as_ref().map(Ceremony::report)
    }

    /// When to look again; `None` while there is nothing to wait for.
    pub(in crate::session) fn next(&self) -> Option<Instant> {
        let ceremony = self.0.as_ref()?;
        let begins = ceremony.not_before.filter(|_| ceremony.lacks_attempt());
        let verdict = ceremony.verdict_by();
        let retreat = ceremony.retreat.as_ref().map(|(_, until)| *until);
        let over = ceremony.acted + PATIENCE;
        [begins, verdict, retreat, Some(over)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes what has passed by now.
    pub(in crate::session) fn expire(&mut self, now: Instant) -> Option<PasskeyExpired> {
        let ceremony = self.0.as_mut()?;
        if ceremony.acted + PATIENCE <= now {
            let minutes = PATIENCE.as_secs() / 60;
            let last = ceremony.last_failure.as_ref();
            let last = last.map(|why| format!("; the last attempt failed: {why}"));
            return Some(PasskeyExpired::Patience(format!(
                "WhatsApp asks for this account's passkey to link a device, and no person has signed within {minutes} minutes{}; \
                 POST /connect starts again, then scan the code and sign when the page at / asks for it",
                last.unwrap_or_default()
            )));
        }
        let mut is_any = ceremony.not_before.take_if(|at| *at <= now).is_some();
        if ceremony.verdict_by().is_some_and(|by| by <= now)
            && let Some(handed) = &mut ceremony.handed
        {
            // It may still be taken: what becomes of it, the report shows.
            answer_all(std::mem::take(&mut handed.waiters), || Ok(()));
            is_any = true;
        }
        if let Some((waiters, _)) = ceremony.retreat.take_if(|(_, until)| *until <= now) {
            answer_all(waiters, || {
                Err(PasskeyError::Failed(format!(
                    "the page did not show codes again within {} s",
                    RETREAT.as_secs()
                )))
            });
            is_any = true;
        }
        is_any.then_some(PasskeyExpired::Minor)
    }

    /// Whether the page is to be told to begin an attempt; it counts as told from then on.
    pub(in crate::session) fn begin(&mut self, now: Instant) -> bool {
        let Some(ceremony) = &mut self.0 else {
            return false;
        };
        let is_due = ceremony.lacks_attempt() && ceremony.not_before.is_none_or(|at| at <= now);
        ceremony.is_beginning |= is_due;
        is_due
    }

    /// A caller hands a signature in. Gives what the page is to be told.
    pub(in crate::session) fn hand_in(
        &mut self,
        assertion: &Assertion,
        reply: PasskeyReply,
        now: Instant,
    ) -> Option<PasskeyAct> {
        match self.take(assertion) {
            Ok(Taken::ToPage(id)) => {
                let ceremony = self.0.as_mut()?;
                ceremony.acted = now;
                ceremony.handed = Some(Handed {
                    id: id.clone(),
                    assertion: assertion.json().clone(),
                    waiters: vec![reply],
                    until: now + VERDICT,
                });
                ceremony.enter(PasskeyStep::Sending);
                return Some(PasskeyAct::Answer {
                    id,
                    assertion: assertion.json().clone(),
                });
            }
            Ok(Taken::Waits) => {
                let handed = self.0.as_mut().and_then(|it| it.handed.as_mut())?;
                handed.waiters.push(reply);
            }
            Ok(Taken::Before) => answer(reply, Ok(())),
            Err(why) => answer(reply, Err(why)),
        }
        None
    }

    fn take(&self, assertion: &Assertion) -> Result<Taken, PasskeyError> {
        let ceremony = self.0.as_ref().ok_or_else(none_pending)?;
        if let Some(handed) = &ceremony.handed {
            // The same request again, as after a lost connection.
            if handed.assertion != *assertion.json() {
                return Err(PasskeyError::NonePending(
                    "a signature for this challenge has been handed in already: GET this path to see what becomes of it"
                        .to_owned(),
                ));
            }
            return Ok(if ceremony.step == PasskeyStep::Sending {
                Taken::Waits
            } else {
                Taken::Before
            });
        }
        let (request, _) = ceremony.request.as_ref().ok_or_else(|| {
            PasskeyError::NonePending(
                "no challenge waits for a signature at the moment: GET this path to see the next one"
                    .to_owned(),
            )
        })?;
        let options: Value = serde_json::from_str(&request.options).unwrap_or_default();
        if !assertion.is_of(options["challenge"].as_str().unwrap_or_default()) {
            return Err(PasskeyError::OtherChallenge);
        }
        if let Some(site) = options["rpId"].as_str()
            && !assertion.is_for(site)
        {
            return Err(InvalidAssertion {
                field: "response.authenticatorData",
                why: "is of a passkey of another site: sign with the options of this challenge, unchanged",
            }
            .into());
        }
        Ok(Taken::ToPage(request.id.clone()))
    }

    /// A caller says that the codes are the same. Gives what the page is to be told.
    pub(in crate::session) fn confirm(
        &mut self,
        reply: PasskeyReply,
        now: Instant,
    ) -> Option<PasskeyAct> {
        let ceremony = self.0.as_mut();
        match ceremony {
            Some(ceremony) => match (&mut ceremony.confirmation, ceremony.step) {
                (Confirmation::Asked(waiters), _) => waiters.push(reply),
                (Confirmation::Done, PasskeyStep::Compare | PasskeyStep::Linking) => {
                    answer(reply, Ok(()));
                }
                (_, PasskeyStep::Compare) => {
                    ceremony.acted = now;
                    ceremony.confirmation = Confirmation::Asked(vec![reply]);
                    return Some(PasskeyAct::Confirm);
                }
                (
                    _,
                    PasskeyStep::Preparing
                    | PasskeyStep::Sign
                    | PasskeyStep::Sending
                    | PasskeyStep::Phone
                    | PasskeyStep::Linking,
                ) => answer(
                    reply,
                    Err(PasskeyError::NonePending(
                        "no code waits to be compared: GET /sessions/{id}/passkey shows what does"
                            .to_owned(),
                    )),
                ),
            },
            None => answer(reply, Err(none_pending())),
        }
        None
    }

    /// A caller gives up. Gives what the page is to be told.
    pub(in crate::session) fn give_up(
        &mut self,
        reply: PasskeyReply,
        now: Instant,
    ) -> Option<PasskeyAct> {
        let Some(ceremony) = &mut self.0 else {
            answer(reply, Err(none_pending()));
            return None;
        };
        if let Some((waiters, _)) = &mut ceremony.retreat {
            waiters.push(reply);
            return None;
        }
        ceremony.retreat = Some((vec![reply], now + RETREAT));
        Some(PasskeyAct::GiveUp)
    }

    /// The page's answer to what it was told.
    pub(in crate::session) fn on_answer(
        &mut self,
        act: &PasskeyAct,
        result: Result<(), PasskeyFailure>,
        now: Instant,
    ) {
        let Some(ceremony) = &mut self.0 else {
            return;
        };
        match (act, result) {
            (PasskeyAct::Begin, begun) => {
                ceremony.is_beginning = false;
                match begun {
                    Ok(()) => ceremony.not_before = Some(now + BEGIN),
                    Err(why) => ceremony.failed(&why.to_string(), now),
                }
            }
            (PasskeyAct::Answer { id, .. }, Err(why)) => {
                let is_meant = |handed: &mut Handed| handed.id == *id;
                if let Some(handed) = ceremony.handed.take_if(is_meant) {
                    answer_all(handed.waiters, || Err(error_of(&why)));
                    // The page still asks, and may say nothing new for as long as the challenge lives: it can be signed again.
                    if ceremony.is_asked_for(id) {
                        ceremony.enter(PasskeyStep::Sign);
                    }
                }
            }
            (PasskeyAct::Confirm, result) => {
                let confirmed = result.is_ok();
                let asked = std::mem::take(&mut ceremony.confirmation);
                if let Confirmation::Asked(waiters) = asked {
                    answer_all(waiters, || result.clone().map_err(|why| error_of(&why)));
                }
                if confirmed {
                    ceremony.confirmation = Confirmation::Done;
                }
            }
            (PasskeyAct::Answer { .. } | PasskeyAct::GiveUp, Ok(())) => {}
            (PasskeyAct::GiveUp, Err(why)) => {
                if let Some((waiters, _)) = ceremony.retreat.take() {
                    answer_all(waiters, || Err(error_of(&why)));
                }
            }
        }
    }
}

/// What becomes of a signature.
enum Taken {
    /// The page gets it, for this request.
    ToPage(String),
    /// It has it, and WhatsApp has not said anything yet.
    Waits,
    /// WhatsApp has taken it before.
    Before,
}

impl Ceremony {
    fn new(now: Instant) -> Self {
        let began = Timestamp::now();
        Self {
            began,
            acted: now,
            step: PasskeyStep::Preparing,
            step_began: began,
            request: None,
            code: None,
            attempt: 0,
            in_vain: 0,
            last_failure: None,
            is_under_way: false,
            is_beginning: false,
            not_before: None,
            handed: None,
            confirmation: Confirmation::None,
            retreat: None,
        }
    }

    fn set(&mut self, seen: &PasskeyStanding, now: Instant) {
        self.code.clone_from(&seen.code);
        let known = self.request.as_ref().map(|(request, _)| &request.id);
        if known != seen.request.as_ref().map(|request| &request.id) {
            if seen.request.is_some() {
                self.attempt += 1;
                self.in_vain = 0;
                self.handed = None;
                self.confirmation = Confirmation::None;
            }
            self.request = seen.request.clone().map(|it| (it, Timestamp::now()));
        }
        let step = match (seen.step, &seen.request, &self.handed) {
            (_, Some(request), Some(handed)) if handed.id == request.id => PasskeyStep::Sending,
            (_, Some(_), _) => PasskeyStep::Sign,
            (PageStep::Busy, None, Some(_)) => PasskeyStep::Sending,
            (PageStep::Busy | PageStep::Wanted, None, _) => PasskeyStep::Preparing,
            (PageStep::Phone, None, _) => PasskeyStep::Phone,
            (PageStep::Compare, None, _) => PasskeyStep::Compare,
            (PageStep::Linking, None, _) => PasskeyStep::Linking,
        };
        if seen.step == PageStep::Wanted && seen.request.is_none() {
            if self.is_under_way {
                self.failed(
                    seen.word.as_deref().unwrap_or("it ended without a word"),
                    now,
                );
            }
        } else {
            self.is_under_way = true;
            self.not_before = None;
        }
        self.enter(step);
        // WhatsApp has taken it.
        if let Some(handed) = &mut self.handed
            && matches!(
                step,
                PasskeyStep::Phone | PasskeyStep::Compare | PasskeyStep::Linking
            )
        {
            answer_all(std::mem::take(&mut handed.waiters), || Ok(()));
        }
    }

    /// The page shows neither its login screen nor chats: it links the device, or loads itself. What comes next tells which.
    fn away(&mut self) {
        if self.handed.is_some() {
            self.request = None;
            self.enter(PasskeyStep::Linking);
        }
    }

    /// Whether the page waits for this request's signature, as far as it has said.
    fn is_asked_for(&self, id: &str) -> bool {
        let request = self.request.as_ref();
        request.is_some_and(|(request, _)| request.id == id)
    }

    fn enter(&mut self, step: PasskeyStep) {
        if self.step != step {
            self.step = step;
            self.step_began = Timestamp::now();
        }
    }

    /// An attempt has failed: the next one is due after a pause.
    fn failed(&mut self, word: &str, now: Instant) {
        self.is_under_way = false;
        let why = match (word, self.step) {
            ("TIMEOUT", _) => "no signature came in time".to_owned(),
            ("timeout", PasskeyStep::Compare) => {
                "the code was not confirmed in time (WhatsApp: timeout)".to_owned()
            }
            ("timeout", _) => "the phone did not answer in time (WhatsApp: timeout)".to_owned(),
            (word, _) => format!("WhatsApp: {word}"),
        };
        tracing::warn!(
            error = why,
            "an attempt to link with a passkey failed: {why}"
        );
        if let Some(handed) = self.handed.take() {
            answer_all(handed.waiters, || {
                Err(PasskeyError::Refused(word.to_owned()))
            });
        }
        if let Confirmation::Asked(waiters) = std::mem::take(&mut self.confirmation) {
            answer_all(waiters, || Err(PasskeyError::Refused(word.to_owned())));
        }
        self.last_failure = Some(why);
        let pause = PAUSE * 2_u32.saturating_pow(self.in_vain);
        self.in_vain = self.in_vain.saturating_add(1).min(u8::BITS);
        self.not_before = Some(now + pause.min(LONGEST_PAUSE));
    }

    /// Whether the page is to begin an attempt as soon as it may.
    const fn lacks_attempt(&self) -> bool {
        matches!(self.step, PasskeyStep::Preparing)
            && !self.is_under_way
            && !self.is_beginning
            && self.retreat.is_none()
    }

    fn verdict_by(&self) -> Option<Instant> {
        let handed = self.handed.as_ref();
        let handed = handed.filter(|handed| !handed.waiters.is_empty());
        handed.map(|handed| handed.until)
    }

    fn report(&self) -> PasskeyReport {
        let request = self.request.as_ref();
        let request = request.filter(|_| self.step == PasskeyStep::Sign);
        let expires_at = match self.step {
            PasskeyStep::Preparing | PasskeyStep::Sending => None,
            PasskeyStep::Sign => request.map(|(request, came)| shown_after(*came, request.timeout)),
            PasskeyStep::Phone | PasskeyStep::Compare | PasskeyStep::Linking => {
                Some(shown_after(self.step_began, STEP))
            }
        };
        let has_proof = self.last_failure.is_none() && request.is_some();
        PasskeyReport {
            step: self.step,
            expires_at,
            without_code_until: has_proof.then(|| shown_after(self.began, PROOF)),
            request: request.map(|(request, _)| request.clone()),
            code: self
                .code
                .clone()
                .filter(|_| self.step == PasskeyStep::Compare),
            attempt: self.attempt,
            last_failure: self.last_failure.clone(),
        }
    }
}

fn answer_all(waiters: Vec<PasskeyReply>, outcome: impl Fn() -> Result<(), PasskeyError>) {
    for waiter in waiters {
        answer(waiter, outcome());
    }
}

fn none_pending() -> PasskeyError {
    PasskeyError::NonePending("no passkey is wanted".to_owned())
}

fn error_of(why: &PasskeyFailure) -> PasskeyError {
    match why {
        PasskeyFailure::Over(_) => PasskeyError::NonePending(
            "the challenge is over: GET this path to see the next one".to_owned(),
        ),
        PasskeyFailure::Refused(word) => PasskeyError::Refused(word.clone()),
        PasskeyFailure::Failed(why) => PasskeyError::Failed(why.clone()),
    }
}
