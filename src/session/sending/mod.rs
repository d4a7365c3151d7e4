//! The sends of a session: through the ledger into the page, one by one. They are accepted while the page is open, or while the
//! session hibernates.
//!
//! Responsible for doing what `InFlight` and [`Recovery`] decide, and for reporting back to them. Each send takes the
//! same way: written down, its turn, looked up, written down that a page may have it, handed over, acknowledged.
//!
//! Invariant: no page gets a send of which the ledger does not say that a page may have it.

mod in_flight;
pub(super) mod intake;
pub(super) mod numbers;
pub(super) mod pace;
mod queue;
pub(super) mod recovery;
mod staleness;
pub(super) mod stall;
mod submit;
pub(super) mod turns;

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture, stream::FuturesUnordered};
use in_flight::AfterHandOver;
use intake::Intake;
use numbers::Known;
use recovery::{OpenSendsQuery, Recovery};
use staleness::{Age, Renewed, renew};
use stall::{WaitsFor, Work};
use tokio::time::{Instant, timeout, timeout_at};
use turns::Purpose;

use super::{
    Addressee, ClienteId, NumberCheck, SendError, SessionState, StaleSends,
    command::{CheckReply, InChatReply, answer},
    linking::account_link::{LinkNote, Since},
    publisher::Publisher,
};
use crate::{
    ledger::{Handing, LedgerError, Record, Reset, Step},
    masked::{Number, WaId},
    whatsapp::{
        ChatAct, ChatActError, Driver, HandOverError, Handed, LookUpError, Outgoing, PageReadError,
        PrepareError, Prepared, Question, Silence, Standing,
    },
};

/// A page that is well answers a ping within milliseconds. Shorter than the moment that a caller waits for the last word
/// on its send.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// The sends of one session while its page is open.
pub(super) struct Sending<'a, D: Driver> {
    driver: &'a D,
    publisher: &'a Publisher,
    session: &'a ClienteId,
    /// The queue and what else outlives the page.
    pub(super) intake: &'a mut Intake,
    recovery: Recovery,
    /// What has been asked of page and ledger and not been answered yet.
    pub(super) calls: FuturesUnordered<BoxFuture<'a, SendAnswer>>,
    /// Whether a send would work now.
    is_ready: bool,
    /// The page asks for a scan.
    is_unlinked: bool,
    /// The page has asked for a scan, and what was open then has not been dealt with.
    has_lost_link: bool,
    doubt: OpenSendsQuery,
    since: Since,
    profile: PathBuf,
    age: Age,
    /// The Signal sessions that were reset before the hand-over that is being written down.
    reset: Reset,
    /// What to do where the profile is older than what was sent, and the page cannot mend that.
    stale_sends: StaleSends,
}

/// What the ledger has been asked for and has answered.
#[derive(Debug, Default)]
pub(super) struct LedgerCalls {
    /// Questions for the page that have no answer yet. Sends that are being written down are counted by the queue.
    open: usize,
    /// Answers of a ledger that could be used.
    answers: u64,
    /// The last answer was that it cannot be used.
    has_failed: bool,
}

impl LedgerCalls {
    /// A question that was counted as open is answered.
    fn on_answer<T>(&mut self, answer: &Result<T, LedgerError>) {
        self.open = self.open.saturating_sub(1);
        self.on_word(answer);
    }

    /// The ledger has answered.
    fn on_word<T>(&mut self, answer: &Result<T, LedgerError>) {
        self.has_failed = answer.is_err();
        self.answers += u64::from(answer.is_ok());
    }
}

/// What was open when the ledger was asked.
pub(super) struct OpenSends {
    records: Vec<Arc<Record>>,
    /// Those that a newer one has taken the place of.
    superseded: Vec<String>,
    /// How old the profile is, if a page could send then.
    age: Option<Age>,
}

/// What page or ledger answered.
pub(super) enum SendAnswer {
    Prepared(Result<Prepared, PrepareError>, Renewed),
    Written(Result<bool, LedgerError>),
    HandedOver(Result<Handed, HandOverError>),
    Open(Result<OpenSends, LedgerError>),
    LookedUp(Result<Option<i32>, LookUpError>),
    Checked(Result<Option<WaId>, PrepareError>, Addressee, CheckReply),
    DoneInChat(Result<(), ChatActError>, InChatReply),
}

impl SendAnswer {
    /// What a turn is for that takes it: most are steps of the session's own work, some are owed to a caller.
    pub(super) const fn turn(&self) -> Purpose {
        match self {
            Self::Checked(..) | Self::DoneInChat(..) => Purpose::External,
            Self::Prepared(..)
            | Self::Written(_)
            | Self::HandedOver(_)
            | Self::Open(_)
            | Self::LookedUp(_) => Purpose::SelfCaused,
        }
    }
}

impl<'a, D: Driver> Sending<'a, D> {
    pub(super) fn new(
        driver: &'a D,
        publisher: &'a Publisher,
        session: &'a ClienteId,
        intake: &'a mut Intake,
        stale_sends: StaleSends,
    ) -> Self {
        Self {
            driver,
            publisher,
            session,
            intake,
            recovery: Recovery::default(),
            calls: FuturesUnordered::new(),
            is_ready: false,
            is_unlinked: false,
            has_lost_link: false,
            doubt: OpenSendsQuery::default(),
            since: Since::default(),
            profile: PathBuf::new(),
            stale_sends,
            reset: Reset::default(),
            age: Age::default(),
        }
    }

    /// The page stands differently.
    pub(super) fn on_standing(&mut self, standing: &Standing, link: &LinkNote) {
        self.since = link.since();
        link.profile().clone_into(&mut self.profile);
        // Not every adapter can tell: what the link was made with is as good.
        let account = standing.account.as_deref().or_else(|| link.account());
        let is_news = account.is_some() && account != self.intake.account.as_deref();
        if is_news {
            self.intake.account = account.map(Number::from);
        }
        let was_ready = std::mem::replace(&mut self.is_ready, standing.is_ready());
        let was_unlinked = self.is_unlinked;
        // A page that reloads knows nothing for a moment: that says nothing about its link.
        self.is_unlinked = standing.login || (was_unlinked && !standing.linked);
        if self.is_unlinked && !was_unlinked {
            self.intake.account = None;
            self.has_lost_link = true;
            self.intake
                .in_flight
                .on_unlinked("the device is not linked any more");
            self.find_out();
        } else if self.is_ready && (is_news || !was_ready) {
            self.find_out();
        }
    }

    /// The page is reloaded: it takes nothing until it says that it can. What it had before is looked up then.
    pub(super) const fn on_reload(&mut self) {
        self.is_ready = false;
    }

    /// WhatsApp reports how far a message has got.
    pub(super) fn on_ack(&mut self, key: &str, ack: i32) {
        self.intake.in_flight.on_ack(key, ack);
        if ack > 0 {
            self.recovery.on_ack(key);
        }
    }

    /// WhatsApp has given a message up, and says why.
    pub(super) fn on_gave_up(&mut self, key: &str, word: String) {
        self.intake.in_flight.on_gave_up(key, word);
    }

    pub(super) fn on_time(&mut self, now: Instant) {
        self.intake.in_flight.expire(now);
        if self.doubt.is_due_again(now) || self.recovery.is_due_again(now) {
            self.find_out();
        }
    }

    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        // While nothing may begin, only what gives up matters; what may begin is looked at when that changes.
        let turn = self.intake.in_flight.next_deadline(now);
        let look_up = self.recovery.next_look_up().filter(|_| self.may_begin());
        let deadlines = [
            turn,
            look_up,
            self.doubt.next_deadline(),
            self.recovery.next_reading(),
        ];
        deadlines.into_iter().flatten().min()
    }

    pub(super) fn on_answer(&mut self, answered: SendAnswer) {
        let now = Instant::now();
        match &answered {
            SendAnswer::Written(result) => self.intake.calls.on_answer(result),
            SendAnswer::Open(result) => self.intake.calls.on_answer(result),
            SendAnswer::Prepared(..)
            | SendAnswer::HandedOver(_)
            | SendAnswer::LookedUp(_)
            | SendAnswer::Checked(..)
            | SendAnswer::DoneInChat(..) => {}
        }
        match answered {
            SendAnswer::Prepared(result, renewed) => self.on_prepared(result, renewed, now),
            SendAnswer::Written(result) => {
                let reset = std::mem::take(&mut self.reset);
                if let (Ok(true), Some(to)) = (&result, self.intake.in_flight.current_recipient()) {
                    self.age.on_reset(to, reset);
                }
                if let Some((prepared, outgoing, limit)) =
                    self.intake.in_flight.on_written(result, now)
                {
                    let handed = hand_over(self.driver, prepared, outgoing, limit);
                    self.calls.push(handed.map(SendAnswer::HandedOver).boxed());
                }
            }
            SendAnswer::HandedOver(result) => {
                if let (Err(HandOverError::NotHanded(_)), Some(to)) =
                    (&result, self.intake.in_flight.current_recipient())
                {
                    self.intake.numbers.forget(to);
                }
                match self.intake.in_flight.on_handed_over(result, now) {
                    AfterHandOver::Done => {}
                    AfterHandOver::InDoubt => self.find_out(),
                    AfterHandOver::Again(outgoing, prepared) => {
                        self.write_down(outgoing, prepared, Reset::default());
                    }
                }
            }
            SendAnswer::Open(result) => self.on_open(result, now),
            SendAnswer::LookedUp(result) => {
                self.recovery
                    .on_looked_up(result, &mut self.intake.in_flight, now);
            }
            SendAnswer::Checked(result, to, reply) => self.on_checked(result, &to, reply, now),
            SendAnswer::DoneInChat(result, reply) => answer(reply, result.map_err(SendError::from)),
        }
    }

    fn on_prepared(
        &mut self,
        result: Result<Prepared, PrepareError>,
        renewed: Renewed,
        now: Instant,
    ) {
        let reset = renewed.reset;
        self.age.on_asked(renewed);
        let learned = match &result {
            Ok(prepared) => Some(Known::At(prepared.chat.clone())),
            Err(PrepareError::NotOnWhatsApp) => Some(Known::NotOnWhatsApp),
            Err(
                PrepareError::Failed(_)
                | PrepareError::Unanswered(_)
                | PrepareError::NotUploaded(_)
                | PrepareError::MediaRefused(_)
                | PrepareError::Silent(_)
                | PrepareError::Interrupted(_)
                | PrepareError::NotInGroup
                | PrepareError::Target(_)
                | PrepareError::Stale(_),
            ) => None,
        };
        let is_refused =
            matches!(result, Err(PrepareError::Failed(_))) && !self.intake.in_flight.is_of_medium();
        if let Some(to) = self.intake.in_flight.current_recipient() {
            // The chat of a message says where that message is, and not where its recipient is written to.
            let is_action = self.intake.in_flight.is_of_action();
            if let Some(known) = learned.filter(|_| !is_action) {
                self.intake.numbers.learn(to, known, now);
            } else if is_refused {
                // Perhaps because what was known of it does not hold any more.
                self.intake.numbers.forget(to);
            }
        }
        let Some((outgoing, prepared)) = self.intake.in_flight.on_prepared(result, now) else {
            return;
        };
        self.write_down(outgoing, prepared, reset);
    }

    /// Writes down that a page is about to get the send, and by which adapter.
    fn write_down(&mut self, outgoing: Outgoing, prepared: Prepared, reset: Reset) {
        self.intake.calls.open += 1;
        self.reset = reset;
        let handing = Handing {
            adapter: prepared.adapter.to_string(),
            account: self.intake.account.clone(),
            wa_key: prepared.message_id.is_some().then(|| outgoing.key.clone()),
            message_id: prepared.message_id,
            generation: self.age.generation,
            reset,
        };
        let ledger = self.intake.ledger.clone();
        let write = async move {
            let handing = Step::Handing(handing);
            SendAnswer::Written(ledger.advance(&outgoing.key, handing).await)
        };
        self.calls.push(write.boxed());
    }

    /// A copy is about to be made of the profile: what is handed over from now on counts into this generation, and so does what
    /// the page has and WhatsApp's server has not acknowledged. That is written down when this resolves.
    pub(super) fn begin_generation(
        &mut self,
        generation: u64,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send + use<D> {
        self.age.generation = self.age.generation.max(generation);
        let since = self.age.began();
        let (ledger, session) = (self.intake.ledger.clone(), self.session.clone());
        async move {
            ledger
                .count_open_into(session.as_str(), generation, since)
                .await
        }
    }

    /// Whether the page may be asked for anything.
    pub(super) const fn may_begin(&self) -> bool {
        self.is_ready && self.doubt.is_settled()
    }

    /// Does what can be done next: first what is in doubt, then what waits. A page that reloads itself is waited for.
    pub(super) fn go_on(&mut self) {
        let now = Instant::now();
        // Here too, and not only when the timer of the session comes: answers, facts and commands go before it, and
        // with enough of them it never comes.
        self.intake.in_flight.expire(now);
        if !self.may_begin() {
            return;
        }
        let driver = self.driver;
        if let Some(look_up) = self.recovery.next(now) {
            let asked = async move { SendAnswer::LookedUp(driver.look_up(&look_up).await) };
            self.calls.push(asked.boxed());
        }
        if self.recovery.is_pending() {
            return;
        }
        let Some((outgoing, limit)) = self.intake.in_flight.begin(now) else {
            return;
        };
        let known = self.intake.numbers.get(&outgoing.to, now).cloned();
        let (renewal, risks) = (self.age.renewal_for(&outgoing.to), self.stale_sends);
        let prepare = async move {
            let prepared = match prepare(driver, known, outgoing, limit).await {
                Ok(prepared) => prepared,
                Err(why) => return SendAnswer::Prepared(Err(why), Renewed::default()),
            };
            let (renewed, done) = renew(driver, renewal, &prepared, limit, risks).await;
            SendAnswer::Prepared(done.map(|()| prepared), renewed)
        };
        self.calls.push(prepare.boxed());
    }

    /// Writes down what has happened. Waits for no disk.
    pub(super) fn write_notes(&mut self) {
        let mut notes = self.recovery.take_notes();
        notes.append(&mut self.intake.in_flight.take_notes());
        for (key, step) in notes {
            self.intake.ledger.note(&key, step);
        }
    }

    /// Counts the steps of all sends. A step that a send repeats counts once.
    pub(super) const fn steps(&self) -> u64 {
        self.intake.in_flight.progress().steps + self.recovery.answers()
    }

    /// How its sends stand, for [`stall`], which watches that they do not stand still.
    pub(super) fn work(&self, now: Instant) -> Work<'_> {
        let progress = self.intake.in_flight.progress();
        Work {
            waits_for: self.waits_for(now),
            page_answers: progress.page_answers + self.recovery.answers(),
            ledger_answers: self.intake.calls.answers,
            sent: progress.sent,
            handed: self.intake.in_flight.handed(),
        }
    }

    fn waits_for(&self, now: Instant) -> WaitsFor {
        let is_put_off_by_it = self.intake.calls.has_failed
            && (self.intake.in_flight.queue.has_waiting() || self.intake.in_flight.is_under_way());
        let is_writing = self.intake.calls.open > 0 || self.intake.in_flight.queue.is_accepting();
        if is_writing || !self.doubt.is_settled() || is_put_off_by_it {
            return WaitsFor::Ledger;
        }
        if self.intake.in_flight.is_uploading(now) {
            // It has a time limit of its own.
            return WaitsFor::Nothing;
        }
        if self.recovery.is_pending() || self.intake.in_flight.is_due(now) {
            return WaitsFor::Page;
        }
        WaitsFor::Nothing
    }

    /// The session cannot send for now: a send whose caller waits is failed, with that as its reason.
    pub(super) fn refuse_waiting(&mut self) {
        let why = self.publisher.not_ready().to_string();
        self.intake.in_flight.refuse_waiting(&why);
    }

    /// The session ends: what has not left the service is given up, unless it outlives a session.
    pub(super) fn refuse(&mut self, why: &str) {
        self.intake.in_flight.refuse_waiting(why);
        self.intake.in_flight.refuse_unprepared(why);
    }

    /// Publishes with whom new Signal sessions are to be begun, once that is known.
    pub(super) fn tell_staleness(&self) {
        if self.age.is_known {
            self.publisher.tell_stale(self.age.report());
        }
    }

    /// Whether there is nothing to send or to find out, and nothing that WhatsApp's server has not taken: no send is open.
    pub(super) fn is_settled(&self) -> bool {
        self.intake.in_flight.is_idle()
            && self.calls.is_empty()
            && self.doubt.is_settled()
            && self.recovery.is_settled()
    }
}

impl<D: Driver> Sending<'_, D> {
    /// Finds out whether a number is on WhatsApp, and sends nothing.
    pub(super) fn check(&mut self, to: Addressee, reply: CheckReply) {
        if self.publisher.state() != SessionState::Ready {
            answer(reply, Err(self.publisher.not_ready()));
            return;
        }
        let now = Instant::now();
        let known = self.intake.numbers.get(to.as_str(), now).cloned();
        let driver = self.driver;
        let check = async move {
            let checked = match (known, &to) {
                (Some(Known::At(chat)), _) => Ok(Some(chat)),
                (Some(Known::NotOnWhatsApp), _) => Ok(None),
                (None, Addressee::Number(number)) => driver.check_number(number.digits()).await,
                (None, Addressee::Chat(address)) if to.is_group() => {
                    match driver.read(&Question::Group(address.clone())).await {
                        Err(PageReadError::NoChat) => Err(PrepareError::NotInGroup),
                        // A page that cannot be read may send to it all the same.
                        Ok(_) | Err(_) => Ok(Some(address.clone())),
                    }
                }
                (None, Addressee::Chat(address)) => Ok(Some(address.clone())),
            };
            SendAnswer::Checked(checked, to, reply)
        };
        self.calls.push(check.boxed());
    }

    /// What is known of a number.
    pub(super) fn known(&self, to: &Addressee, now: Instant) -> Option<Known> {
        self.intake.numbers.get(to.as_str(), now).cloned()
    }

    /// WhatsApp's server has said so of a number.
    pub(super) fn learn(&mut self, to: &Addressee, known: Known, now: Instant) {
        self.intake.numbers.learn(to.as_str(), known, now);
    }

    /// Whether a send has its turn in the page, or is due for it, or one is being looked for there: nothing else is begun there meanwhile.
    pub(super) fn has_turn(&self, now: Instant) -> bool {
        self.intake.in_flight.needs_page(now) || self.recovery.is_pending()
    }

    /// Does something in a chat, at once: it is no send, and waits for none.
    pub(super) fn in_chat(&mut self, to: &Addressee, act: ChatAct, reply: InChatReply) {
        if self.publisher.state() != SessionState::Ready {
            answer(reply, Err(self.publisher.not_ready()));
            return;
        }
        let name = Number::from(to.as_str());
        let known = self.intake.numbers.get(&name, Instant::now()).cloned();
        let chat = match (known, to) {
            (Some(Known::At(chat)), _) => Some(chat),
            (_, Addressee::Chat(address)) => Some(address.clone()),
            (_, Addressee::Number(_)) => None,
        };
        let driver = self.driver;
        let done = async move {
            let done = driver.in_chat(&name, chat.as_ref(), act).await;
            SendAnswer::DoneInChat(done, reply)
        };
        self.calls.push(done.boxed());
    }

    fn on_checked(
        &mut self,
        result: Result<Option<WaId>, PrepareError>,
        to: &Addressee,
        reply: CheckReply,
        now: Instant,
    ) {
        let checked = match result {
            Err(why) => Err(SendError::from(why)),
            Ok(chat) => {
                let known = chat.clone().map_or(Known::NotOnWhatsApp, Known::At);
                self.intake.numbers.learn(to.as_str(), known, now);
                Ok(NumberCheck {
                    is_stale: chat.is_some() && self.age.is_stale(to.as_str()),
                    chat,
                    due_in: self
                        .intake
                        .in_flight
                        .due(to.as_str(), now)
                        .saturating_duration_since(now),
                })
            }
        };
        answer(reply, checked);
    }
}

/// Makes a message ready, unless its number is known not to be on WhatsApp.
async fn prepare<D: Driver>(
    driver: &D,
    known: Option<Known>,
    outgoing: Outgoing,
    limit: Instant,
) -> Result<Prepared, PrepareError> {
    let chat = match known {
        Some(Known::NotOnWhatsApp) => return Err(PrepareError::NotOnWhatsApp),
        Some(Known::At(chat)) => Some(chat),
        None => outgoing.chat.clone(),
    };
    let outgoing = Outgoing { chat, ..outgoing };
    let why = match timeout_at(limit, driver.prepare(&outgoing)).await {
        Ok(Err(why @ (PrepareError::Failed(_) | PrepareError::Unanswered(_)))) => why,
        Ok(answered) => return answered,
        Err(_elapsed) => {
            PrepareError::Unanswered("the page did not look the number up in time".to_owned())
        }
    };
    // A page that hangs, or a Chrome that was stopped, fails at everything: then it is not this message that failed.
    match timeout(SIGN_OF_LIFE, driver.ping()).await {
        Ok(Ok(())) => Err(why),
        Ok(Err(Silence::Page(silence) | Silence::Chrome(silence))) => {
            Err(PrepareError::Silent(silence))
        }
        Err(_elapsed) => {
            let silence = "neither the page nor Chrome gives a sign of life";
            Err(PrepareError::Silent(silence.to_owned()))
        }
    }
}

/// Hands a message over.
async fn hand_over<D: Driver>(
    driver: &D,
    prepared: Prepared,
    outgoing: Outgoing,
    limit: Instant,
) -> Result<Handed, HandOverError> {
    let handed = timeout_at(limit, driver.hand_over(&prepared, &outgoing)).await;
    handed.unwrap_or_else(|_elapsed| {
        let why = "the page did not say in time whether it took the message";
        Err(HandOverError::Unknown(why.to_owned()))
    })
}
