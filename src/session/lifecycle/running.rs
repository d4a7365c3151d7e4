//! A session whose page is open: what it does with facts, commands and passing time.
//!
//! Responsible for answering commands and for driving sends through the page one by one; what the page's [`Standing`]
//! means, [`PageView`] knows. Lives as long as one page; the actor opens before it and closes after it.

mod mending;
mod winding_down;

use std::time::Duration;

use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, OptionFuture},
    stream::FuturesUnordered,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use winding_down::logged_out;

use super::{
    admission::Stage,
    capacity::Turn,
    copy_clock::CopyClock,
    deadlines::{Deadlines, Expired, RELOAD_TIMEOUT, UNRECOGNISED_TIMEOUT},
    healing::Healing,
    hibernation::{IdleClock, on_late_wake},
    mailbox::{Heard, Mail, Mailbox},
    memory_budget::Budget,
    options::{ActorOptions, Shared},
    page_view::{Elsewhere, PageView},
};
use crate::{
    session::{
        ClienteId, DisconnectError, DisconnectOutcome, DismissError, Evidence, EvidenceError,
        FileError, PasskeyAsk, Phase, PhoneToLink, Reason, ReasonCode, Recipient, SessionState,
        StartLimits,
        command::{Command, LifeCommand, PageCommand, Read, answer},
        keeping::{
            accounts::HeldAccount,
            profile::{self, BegunCopy, DueCopy},
        },
        linking::{
            account_link::{LinkNote, Login, NoteWritten},
            pairing::{Pairing, Request},
            passkey::{Passkey, PasskeyExpired},
        },
        listening::Listening,
        publisher::Publisher,
        reading::{Done, Reading},
        run_end::End,
        sending::{
            SendAnswer, Sending,
            intake::Intake,
            stall::StallWatch,
            turns::{Purpose, Turns},
        },
        state::Event,
    },
    whatsapp::{
        Driver, Fact, LogoutError, NoticeError, PairingError, PasskeyAct, PasskeyFailure, Silence,
        Standing,
    },
};

/// News of the page that go before a command that waits. A page tells of some dozen things at once after a reload; one that
/// never stops must not keep a caller from being heard.
const FACTS_IN_A_ROW: u32 = 64;

/// A session whose page is open.
pub(super) struct Running<'a, D: Driver> {
    driver: &'a D,
    options: &'a ActorOptions<D>,
    publisher: &'a Publisher,
    facts: Facts,
    page: PageView<'a>,
    account: HeldAccount,
    link: LinkNote,
    sending: Sending<'a, D>,
    listening: Listening<'a>,
    reading: Reading<'a, D>,
    pairing: Pairing,
    passkey: Passkey,
    /// The callers who wait for the look at the page that is under way.
    evidence_waiters: Vec<oneshot::Sender<Result<Evidence, EvidenceError>>>,
    /// The callers who wait for the notice over the chats to be gone.
    notice_waiters: Vec<oneshot::Sender<Result<String, DismissError>>>,
    /// Files that the page is giving out.
    files: usize,
    /// What has been asked of the page and not been answered yet.
    calls: FuturesUnordered<BoxFuture<'a, PageAnswer>>,
    copies: CopyClock,
    /// The copy of the profile that is being taken. A session that ends drops it: to close goes before to copy.
    copying: Option<BoxFuture<'a, BegunCopy>>,
    /// The callers who wait for the logout that the page was asked for.
    logouts: Vec<LogoutReply>,
    /// Held until the page stands: the heavy part of a start is its loading.
    start: Option<Turn>,
    deadlines: Deadlines,
    healing: &'a mut Healing,
    budget: &'a mut Budget,
    mail: &'a mut Mailbox,
    idle_clock: IdleClock,
    /// A ping is on its way.
    is_pinging: bool,
    /// A phone has linked this page, and it is not known yet whether another session has the account.
    has_new_link: bool,
    /// How far the start had got when that was last published.
    last_published: Option<(Phase, Option<Instant>)>,
    stall: StallWatch,
    turns: Turns,
}

/// The news of the page.
struct Facts {
    receiver: mpsc::Receiver<Fact>,
    /// The page is not heard any more.
    is_over: bool,
    in_a_row: u32,
}

impl Facts {
    /// Whether a command that waits goes first.
    const fn are_held_back(&self) -> bool {
        FACTS_IN_A_ROW <= self.in_a_row && !self.is_over
    }
}

/// What comes from the page, or from the ledger about a send.
enum PageEvent {
    Answered(PageAnswer),
    /// A copy of the profile is due, or was taken, or not.
    Copied(BegunCopy),
    SendAnswered(SendAnswer),
    Read(Done),
    /// `None`: the page is not heard any more.
    Fact(Option<Fact>),
}

/// What of a session outlives its page.
pub(super) struct Parts<'a> {
    pub(super) publisher: &'a Publisher,
    pub(super) healing: &'a mut Healing,
    pub(super) budget: &'a mut Budget,
    pub(super) mail: &'a mut Mailbox,
    pub(super) intake: &'a mut Intake,
}

/// What the look at all timers has found.
struct TimersPassed {
    /// At least one has passed.
    is_any: bool,
    /// One of them ends the session.
    end: Option<End>,
}

type LogoutReply = oneshot::Sender<Result<DisconnectOutcome, DisconnectError>>;

/// What the page answered.
enum PageAnswer {
    Navigated(Result<(), String>),
    Refreshed(Result<(), String>),
    TakenOver(Result<(), String>),
    Pairing(Result<(), PairingError>),
    /// It was not asked for a code: another session has the account.
    LinkedElsewhere,
    /// Another session that has the account of a link that has just been made.
    SharesAccount(Option<ClienteId>),
    Passkey(PasskeyAct, Result<(), PasskeyFailure>),
    LoggedOut(Result<(), LogoutError>),
    LookedAt(Box<Result<Evidence, EvidenceError>>),
    /// Its first words.
    NoticeDismissed(Result<String, NoticeError>),
    /// All of a file was given, or not, to the caller who waits for it.
    FileGiven(
        oneshot::Sender<Result<(), FileError>>,
        Result<(), FileError>,
    ),
    Pinged {
        answered: Result<(), Silence>,
        /// The profile is not there any more.
        is_missing: bool,
    },
    Reloaded(Result<(), String>),
}

impl PageAnswer {
    /// What a turn is for that takes it. All but one are asked for by a caller or a timer, or as often as healing allows.
    const fn turn(&self) -> Purpose {
        match self {
            Self::Pairing(_) | Self::Passkey(..) => Purpose::SelfCaused,
            Self::Navigated(_)
            | Self::Refreshed(_)
            | Self::TakenOver(_)
            | Self::LoggedOut(_)
            | Self::LookedAt(_)
            | Self::NoticeDismissed(_)
            | Self::FileGiven(..)
            | Self::Pinged { .. }
            | Self::LinkedElsewhere
            | Self::SharesAccount(_)
            | Self::Reloaded(_) => Purpose::External,
        }
    }
}

impl<'a, D: Driver> Running<'a, D> {
    pub(super) fn new(
        driver: &'a D,
        options: &'a ActorOptions<D>,
        parts: Parts<'a>,
        facts: mpsc::Receiver<Fact>,
        start: Turn,
        phone: Option<PhoneToLink>,
        link: LinkNote,
    ) -> Self {
        let Parts {
            publisher,
            healing,
            budget,
            mail,
            intake,
        } = parts;
        let Shared {
            config,
            accounts,
            ledger,
            ..
        } = &options.shared;
        Self {
            driver,
            options,
            publisher,
            facts: Facts {
                receiver: facts,
                is_over: false,
                in_a_row: 0,
            },
            page: PageView::new(publisher),
            account: accounts.hold(&options.id),
            link,
            sending: Sending::new(driver, publisher, &options.id, intake, config.stale_sends),
            listening: Listening::new(
                driver,
                ledger.clone(),
                publisher,
                &options.id,
                config.backfill,
            ),
            reading: Reading::new(driver),
            pairing: Pairing::new(phone, config.pairing_life),
            passkey: Passkey::default(),
            evidence_waiters: Vec::new(),
            notice_waiters: Vec::new(),
            files: 0,
            calls: FuturesUnordered::new(),
            copies: CopyClock::new(config.snapshot_every),
            copying: None,
            logouts: Vec::new(),
            start: Some(start),
            deadlines: Deadlines::new(config.limits, config.take_over, Instant::now()),
            healing,
            budget,
            mail,
            idle_clock: IdleClock::new(config.hibernate_after),
            is_pinging: false,
            has_new_link: false,
            last_published: None,
            stall: StallWatch::default(),
            turns: Turns::new(Instant::now()),
        }
    }

    /// Why its login screen shows, when an earlier service has seen the account go.
    pub(super) fn explained_by(mut self, why_unlinked: Option<Reason>) -> Self {
        if let Some(why) = why_unlinked {
            self.page.set_login_reason(why);
        }
        self
    }

    /// Asks the page something, and goes on until it answers.
    fn ask<F: Future<Output = PageAnswer> + Send + 'a>(&mut self, ask: impl FnOnce(&'a D) -> F) {
        self.calls.push(ask(self.driver).boxed());
    }

    /// Waits for what comes first: an answer or a fact of the page, a command, the deadline.
    async fn wait(&mut self, stage: Stage, deadline: Option<Instant>) -> Heard<PageEvent> {
        let Sending {
            calls: send_calls,
            intake,
            ..
        } = &mut self.sending;
        let (calls, facts) = (&mut self.calls, &mut self.facts);
        let copying = &mut self.copying;
        let hearing = &mut self.listening.work;
        let reading = &mut self.reading.current;
        let are_held_back = facts.are_held_back();
        let are_due = !facts.is_over && !are_held_back;
        let own = async {
            tokio::select! {
                biased;
                Some(answer) = calls.next() => PageEvent::Answered(answer),
                Some(answer) = send_calls.next() => PageEvent::SendAnswered(answer),
                fact = facts.receiver.recv(), if are_due => PageEvent::Fact(fact),
                Some(read) = OptionFuture::from(reading.as_mut()) => PageEvent::Read(read),
                // The last: a hand-over that is being written down goes to the ledger before what a copy has noted there.
                Some(copied) = OptionFuture::from(copying.as_mut()) => PageEvent::Copied(copied),
                // Goes on meanwhile, and is no news of its own.
                never = hearing => match never {},
            }
        };
        // Facts that are held back go on as soon as no command waits.
        let deadline = if are_held_back {
            Some(Instant::now())
        } else {
            deadline
        };
        self.mail.wait(intake, stage, own, deadline).await
    }

    /// Serves until something ends the session.
    pub(super) async fn run(mut self) -> End {
        self.ask(|driver| driver.navigate().map(PageAnswer::Navigated));
        self.tell_phase();
        let end = loop {
            let wake_at = self.next_deadline();
            let mut turn = Purpose::External;
            match self.wait(Stage::Running, wake_at).await {
                Heard::Stop => break End::stopping(),
                Heard::StageWork(PageEvent::Answered(answer)) => {
                    turn = answer.turn();
                    if let Some(end) = self.on_answer(answer) {
                        break end;
                    }
                }
                Heard::StageWork(PageEvent::SendAnswered(answer)) => {
                    turn = answer.turn();
                    self.sending.on_answer(answer);
                }
                Heard::StageWork(PageEvent::Read(done)) => self.on_read(done),
                Heard::StageWork(PageEvent::Copied(copy)) => self.on_copy(copy),
                Heard::StageWork(PageEvent::Fact(fact)) => {
                    self.facts.in_a_row += 1;
                    let silence = || Fact::PageLost("the page is not heard any more".to_owned());
                    if let Some(end) = self.on_fact(fact.unwrap_or_else(silence)) {
                        break end;
                    }
                }
                Heard::Mail(mail) => {
                    self.facts.in_a_row = 0;
                    if let Mail::Command(command) = mail
                        && let Some(end) = self.on_command(command)
                    {
                        break end;
                    }
                }
                Heard::Deadline if self.facts.are_held_back() => self.facts.in_a_row = 0,
                Heard::Deadline => turn = Purpose::SelfCaused,
            }
            let now = Instant::now();
            // In each turn, and not only when the deadline is heard: all else goes before it, and while enough comes in it would
            // never be heard. Then nothing expires, no page is pinged and no start is ended.
            if wake_at.is_some_and(|at| at <= now) {
                let timers = self.on_time(now);
                if let Some(end) = timers.end {
                    break end;
                }
                if timers.is_any {
                    turn = Purpose::External;
                }
            }
            if self.publisher.state() != SessionState::Hibernating {
                self.mail.on_awake();
            }
            self.begin_pairing();
            self.begin_passkey();
            // In each turn: facts, answers, commands and deadlines change it. What is no news is not published.
            self.publisher.tell_passkey(self.passkey.report());
            self.sending.go_on();
            self.read_on(Instant::now());
            self.sending.write_notes();
            self.sending.tell_staleness();
            let written = self.link.write().await;
            if written != NoteWritten::Nothing {
                self.publisher.tell_link(self.link.link());
            }
            match written {
                NoteWritten::Nothing => {}
                // A full disk must not make it look as if no phone had scanned a code.
                NoteWritten::Failed => self.options.desired.on_account().await,
                NoteWritten::Done => {
                    let link = self.link.link();
                    self.options.desired.on_link(link.as_ref()).await;
                }
                NoteWritten::ProfileMissing => break End::of(self.profile_missing()),
            }
            let now = Instant::now();
            self.rest(now);
            if let Some(end) = self.watch_turn(turn, now).or_else(|| self.watch_sends(now)) {
                break end;
            }
        };
        self.wind_down(end).await
    }

    fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.deadlines.next(),
            self.sending.next_deadline(Instant::now()),
            self.pairing.next(),
            self.passkey.next(),
            self.sleeps_at(),
            self.stall.next(),
            self.mail.wake_by(),
            self.copies_at(),
            self.reading.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn on_time(&mut self, now: Instant) -> TimersPassed {
        if let Some(end) = self.fall_asleep(now) {
            return TimersPassed {
                is_any: true,
                end: Some(end),
            };
        }
        self.sending.on_time(now);
        let over = self.pairing.expire(now);
        if let Some(over) = &over {
            self.publisher.apply(over, None);
        }
        let passkey = self.passkey.expire(now);
        if let Some(PasskeyExpired::Patience(detail)) = passkey {
            return TimersPassed {
                is_any: true,
                end: Some(End::because(ReasonCode::PasskeyRequired, detail)),
            };
        }
        let is_late = self.mail.wake_by().is_some_and(|by| by <= now);
        if is_late {
            self.wakes_late(now);
        }
        let is_copying = self.copy_profile(now);
        let expired = self.deadlines.expired(now);
        TimersPassed {
            is_any: over.is_some()
                || passkey.is_some()
                || is_late
                || is_copying
                || expired.is_some(),
            end: expired.and_then(|expired| self.on_expired(expired)),
        }
    }

    fn on_expired(&mut self, expired: Expired) -> Option<End> {
        match expired {
            Expired::Start(phase) => return Some(End::of(self.limits().passed(phase))),
            Expired::Turn => self.start = None,
            Expired::Recognise => {
                return self.mend_page(format!(
                    "the page has not been WhatsApp Web for {} s, as when it reloads without a network",
                    UNRECOGNISED_TIMEOUT.as_secs()
                ));
            }
            Expired::Sync => {
                let held_back = self.page.held_back();
                return Some(End::of(
                    held_back.unwrap_or_else(|| self.limits().passed(Phase::Sync)),
                ));
            }
            Expired::Scan => return Some(End::of(self.limits().not_scanned())),
            Expired::Refresh => {
                self.ask(|driver| driver.refresh_codes().map(PageAnswer::Refreshed));
            }
            Expired::TakeOver => self.ask(|driver| driver.take_over().map(PageAnswer::TakenOver)),
            Expired::LeftElsewhere => self.tell_elsewhere(),
            Expired::Reload => {
                let detail = format!(
                    "the page had broken, and was not WhatsApp Web within {} s after it was reloaded",
                    RELOAD_TIMEOUT.as_secs()
                );
                return Some(End::because(ReasonCode::PageLost, detail));
            }
            Expired::Ping if self.is_pinging => {}
            Expired::Ping => {
                // The other session may have ended, and the page says nothing about that.
                self.tell_elsewhere();
                self.is_pinging = true;
                let looking = self.link.is_missing();
                // A Chrome goes on for a while on files that were removed, and a person should hear of it before it does not.
                self.ask(|driver| async move {
                    PageAnswer::Pinged {
                        answered: driver.ping().await,
                        is_missing: looking.await,
                    }
                });
            }
            Expired::Reconnect => {
                self.publisher
                    .apply(&Event::Unready, Some(self.page.why_unready()));
                self.sending.refuse_waiting();
            }
        }
        None
    }

    fn limits(&self) -> &StartLimits {
        &self.options.shared.config.limits
    }

    fn profile_missing(&self) -> Reason {
        let what_to_do =
            "it was taken away while the session ran; put it back, or mount TOKENS_DIR again";
        profile::profile_missing(&self.options.id, &self.options.profile, what_to_do)
    }

    fn on_document(&mut self) {
        self.deadlines.on_document(Instant::now());
        self.tell_phase();
    }

    /// Publishes how far the start has got, when that is news.
    fn tell_phase(&mut self) {
        let phase = self.deadlines.phase();
        if phase != self.last_published {
            self.last_published = phase;
            let left = |until: Instant| until.saturating_duration_since(Instant::now());
            self.publisher
                .reach(phase.map(|(phase, until)| (phase, until.map(left))));
        }
    }

    fn on_fact(&mut self, fact: Fact) -> Option<End> {
        match fact {
            Fact::DocumentBegan => self.on_document(),
            Fact::Stands(standing) => return self.on_standing(standing),
            Fact::LoggedOut(reason) => self.page.on_logged_out(reason),
            Fact::Heard => self.listening.on_heard(),
            Fact::Ack { key, ack } => self.sending.on_ack(&key, ack),
            Fact::GaveUp { key, word } => self.sending.on_gave_up(&key, word),
            Fact::BrowserLost(detail) => {
                return Some(End::because(ReasonCode::BrowserLost, detail));
            }
            Fact::PageLost(detail) => return self.mend_page(detail),
            // In a start, the navigation itself reports it.
            Fact::ErrorPage if !self.deadlines.has_been_ready() => {}
            Fact::ErrorPage => {
                let why = "the page has given way to Chrome's own error page, as without a network";
                return self.mend_page(why.to_owned());
            }
            // A start has its own limits, and ways to say what it met instead of WhatsApp Web.
            Fact::PageElsewhere(_) if !self.deadlines.has_been_ready() => self.on_document(),
            Fact::PageElsewhere(place) => {
                return self.mend_page(format!("the page has left WhatsApp Web for {place}"));
            }
        }
        None
    }

    /// Lets the reason say what is known of the window that has the account.
    fn tell_elsewhere(&mut self) {
        let gave_up = self.deadlines.gave_up_taking_over();
        self.page.set_elsewhere(Elsewhere {
            session: self.account.other_session(),
            gave_up,
        });
    }

    fn on_standing(&mut self, standing: Standing) -> Option<End> {
        self.tell_elsewhere();
        let before = self.publisher.state();
        let is_removed = self.page.is_removed();
        let end = match self.link.judge(&before, &standing, is_removed) {
            Login::Expected => self.page.on_standing(standing),
            Login::Doubtful => {
                self.page.note_standing(standing);
                None
            }
            Login::Lost => return Some(End::of(profile::storage_lost(false))),
            Login::LostForGood => {
                self.page.set_login_reason(profile::storage_lost(true));
                self.page.on_standing(standing)
            }
        };
        if let Some(event) = self.pairing.set(self.page.standing(), Instant::now()) {
            self.publisher.apply(&event, None);
        }
        self.passkey.set(self.page.standing(), Instant::now());
        let state = self.publisher.state();
        self.healing
            .on_ready(state == SessionState::Ready, Instant::now());
        if matches!(state, SessionState::QrRequired { .. }) {
            self.healing.on_unlinked();
            self.copies.on_unlinked();
            self.copying = None;
        }
        if state == SessionState::Ready {
            self.copies.on_ready(Instant::now());
        }
        let account = self.page.standing().account.as_deref();
        self.link.follow(&before, &state, account, is_removed);
        self.listening
            .on_link(self.link.linked_at(), self.link.is_new());
        self.listening
            .on_ready(state == SessionState::Ready && self.page.standing().is_ready());
        let is_linked = matches!(state, SessionState::Authenticated | SessionState::Ready);
        self.has_new_link |= is_linked && matches!(before, SessionState::QrRequired { .. });
        if self.has_new_link {
            self.look_for_shared_account();
        }
        self.sending.on_standing(self.page.standing(), &self.link);
        if !state.takes_sends() {
            self.sending.refuse_waiting();
        }
        if before == SessionState::Hibernating && state == SessionState::Ready {
            tracing::info!("awake again");
        }
        let is_waking = state == SessionState::Hibernating && !self.page.standing().linked;
        if state != SessionState::Init && !is_waking {
            self.start = None;
        }
        self.deadlines
            .set(&state, self.page.standing(), Instant::now());
        self.account.set(self.publisher.snapshot().account);
        self.tell_elsewhere();
        // Trouble that ends a start did so in the phase in which it was seen.
        if end.is_none() {
            self.tell_phase();
        }
        end
    }

    fn on_answer(&mut self, outcome: PageAnswer) -> Option<End> {
        match outcome {
            PageAnswer::Navigated(Ok(())) => self.on_document(),
            PageAnswer::Navigated(Err(why)) if self.deadlines.awaits_document() => {
                return Some(End::of(Reason::not_opened(&why)));
            }
            // The document is there: what became of the rest of the page, the page says itself.
            PageAnswer::Navigated(Err(why)) => {
                tracing::debug!(error = why, "the page did not load to its end: {why}");
            }
            PageAnswer::LoggedOut(Ok(())) => {
                return Some(logged_out(std::mem::take(&mut self.logouts)));
            }
            PageAnswer::LoggedOut(Err(why)) => self.refuse_logouts(&why.to_string()),
            PageAnswer::Pairing(result) => {
                let reason = self.pairing.on_answer(result, Instant::now());
                self.tell_no_code(reason);
            }
            PageAnswer::LinkedElsewhere => {
                let reason = self.pairing.on_linked_elsewhere();
                self.tell_no_code(reason);
            }
            PageAnswer::SharesAccount(other) => {
                if let Some(other) = other {
                    tracing::warn!(
                        session.other = %other,
                        "session {other} of this service has the same account: it has two linked devices now"
                    );
                }
            }
            PageAnswer::Passkey(act, result) => {
                if let Err(why) = &result {
                    tracing::warn!(error = %why, "a step of linking with a passkey was not taken: {why}");
                }
                self.passkey.on_answer(&act, result, Instant::now());
            }
            PageAnswer::LookedAt(taken) => {
                for waiter in self.evidence_waiters.drain(..) {
                    answer(waiter, (*taken).clone());
                }
            }
            PageAnswer::NoticeDismissed(dismissed) => {
                if dismissed.is_ok() {
                    tracing::info!("a notice over the chats was closed on request");
                }
                for waiter in self.notice_waiters.drain(..) {
                    answer(waiter, dismissed.clone().map_err(DismissError::from));
                }
            }
            PageAnswer::FileGiven(waiter, given) => {
                self.files -= 1;
                answer(waiter, given);
            }
            PageAnswer::Refreshed(Ok(())) | PageAnswer::Reloaded(Ok(())) => {}
            PageAnswer::Reloaded(Err(why)) => {
                tracing::warn!(error = why, "the page could not be reloaded: {why}");
            }
            PageAnswer::Pinged {
                is_missing: true, ..
            } => return Some(End::of(self.profile_missing())),
            PageAnswer::Pinged {
                answered,
                is_missing: false,
            } => {
                self.is_pinging = false;
                return self.on_pinged(answered);
            }
            PageAnswer::TakenOver(Ok(())) => {
                tracing::info!("took the account over from another window");
            }
            PageAnswer::TakenOver(Err(why)) => {
                tracing::warn!(error = why, "could not take the account over: {why}");
            }
            PageAnswer::Refreshed(Err(why)) => {
                tracing::warn!(error = why, "the page gave no fresh codes: {why}");
            }
        }
        None
    }

    fn on_command(&mut self, command: Command) -> Option<End> {
        let state = self.publisher.state();
        match command {
            Command::Life(LifeCommand::Connect { phone, reply, .. }) => {
                self.idle_clock.on_asked();
                if let Some(phone) = phone.filter(|_| !self.page.standing().linked) {
                    self.pairing.want(phone);
                    self.publisher.explain_pairing(None);
                }
                answer(reply, Ok(state.takes_sends()));
            }
            Command::Life(LifeCommand::Disconnect {
                logout: false,
                reply,
            }) => return Some(End::disconnect(reply)),
            Command::Life(LifeCommand::Disconnect {
                logout: true,
                reply,
            }) => return self.log_out(reply),
            // Refused while a page is open.
            Command::Life(LifeCommand::Forget { .. }) => {}
            Command::Page(command) => {
                self.on_page_command(command);
                return self.relieve(Instant::now());
            }
        }
        None
    }

    fn on_page_command(&mut self, command: PageCommand) {
        match command {
            // The mailbox has given both to the intake.
            PageCommand::Send { .. } | PageCommand::Remove { .. } => {}
            PageCommand::Check { to, reply } => self.sending.check(to, reply),
            PageCommand::Read { read, reply } => {
                let now = Instant::now();
                let known = match &read {
                    Read::Number(to) => self.sending.known(to, now),
                    Read::OfPage(_) => None,
                };
                self.reading.ask(read, known, reply, now);
            }
            PageCommand::InChat { to, act, reply } => self.sending.in_chat(&to, act, reply),
            PageCommand::DismissNotice { reply } => self.dismiss_notice(reply),
            PageCommand::Media { reply, .. } if !self.publisher.state().takes_sends() => {
                let state = self.publisher.state().name();
                answer(reply, Err(FileError::NotRunning(state)));
            }
            PageCommand::Media {
                message,
                most,
                sink,
                reply,
            } => {
                self.files += 1;
                self.ask(|driver| async move {
                    let given = driver.fetch_media(&message, most, &sink).await;
                    PageAnswer::FileGiven(reply, given.map_err(FileError::from))
                });
            }
            PageCommand::Passkey { ask, reply } => {
                let now = Instant::now();
                let act = match ask {
                    PasskeyAsk::Answer(assertion) => self.passkey.hand_in(&assertion, reply, now),
                    PasskeyAsk::Confirm => self.passkey.confirm(reply, now),
                    PasskeyAsk::GiveUp => self.passkey.give_up(reply, now),
                };
                if let Some(act) = act {
                    self.act_on_passkey(act);
                }
            }
            PageCommand::Measured { chrome_pid, memory } => {
                self.publisher.tell_memory(chrome_pid, memory);
                self.budget.on_sample(memory.mb, Instant::now());
            }
            PageCommand::Evidence { reply } => {
                self.evidence_waiters.push(reply);
                // A caller who asks while the page is being looked at gets the result of that one look.
                if self.evidence_waiters.len() == 1 {
                    let known = Evidence::of(&self.publisher.snapshot());
                    let folder = self.options.evidence.clone();
                    self.ask(|driver| {
                        let taken = folder.take_now(driver, known);
                        taken.map(|taken| PageAnswer::LookedAt(Box::new(taken)))
                    });
                }
            }
        }
    }

    /// Lets the next reading begin, when no send needs the page. One that waits for the page of a session that cannot send any more is
    /// refused, as its caller would be now.
    fn read_on(&mut self, now: Instant) {
        if self.publisher.state() != SessionState::Ready {
            self.reading.refuse_waiting(&self.publisher.not_ready());
        }
        let is_free = self.page.standing().is_ready() && !self.sending.has_turn(now);
        self.reading.go_on(is_free, now);
    }

    fn on_read(&mut self, done: Done) {
        if let Some((to, known)) = &done.learned {
            self.sending.learn(to, known.clone(), Instant::now());
        }
        self.reading.on_done(done);
    }

    /// Has the page close the notice that it has reported. A dialog that it has not reported asks something, or is known.
    fn dismiss_notice(&mut self, reply: oneshot::Sender<Result<String, DismissError>>) {
        self.notice_waiters.push(reply);
        // A caller who asks meanwhile gets the result of that one press.
        if self.notice_waiters.len() > 1 {
            return;
        }
        let words = self.page.standing().notice.clone().unwrap_or_default();
        self.ask(|driver| async move {
            let dismissed = driver.dismiss_notice(&words).await;
            PageAnswer::NoticeDismissed(dismissed.map(|()| words))
        });
    }

    /// Unlinks the device, while everything else goes on. A page that asks for a scan has nothing to unlink.
    fn log_out(&mut self, reply: LogoutReply) -> Option<End> {
        let standing = self.page.standing();
        if standing.login {
            return Some(logged_out(vec![reply]));
        }
        if !standing.linked {
            answer(reply, Err(DisconnectError::NotLinked));
            return None;
        }
        self.logouts.push(reply);
        if self.logouts.len() == 1 {
            self.ask(|driver| driver.log_out().map(PageAnswer::LoggedOut));
        }
        None
    }

    /// Asks the page for a code that links by phone number, when one is due.
    fn begin_pairing(&mut self) {
        let Some(Request { phone, is_renewal }) = self.pairing.begin(Instant::now()) else {
            return;
        };
        let PhoneToLink { number, force } = phone;
        let (accounts, own) = (&self.options.shared.accounts, &self.options.id);
        self.ask(|driver| async move {
            // Before each code, and not only when a caller asks: another session may have been linked while this one showed the
            // code before.
            if !force && accounts.session_linked_to(&number, own).await.is_some() {
                return PageAnswer::LinkedElsewhere;
            }
            tracing::info!(
                renewal = is_renewal,
                "asking for a code that links phone {number}"
            );
            let asked = driver.request_pairing_code(number.digits(), is_renewal);
            PageAnswer::Pairing(asked.await)
        });
    }

    /// Says why there will be no code that links by phone number.
    fn tell_no_code(&self, reason: Option<Reason>) {
        if let Some(reason) = reason {
            tracing::warn!(session.reason = reason.code.as_str(), "{}", reason.detail);
            self.publisher.explain_pairing(Some(reason));
        }
    }

    /// Finds out whether another session has the account of a link that has just been made: the account has two devices then,
    /// which is as WhatsApp wants it, and hardly as an operator does.
    fn look_for_shared_account(&mut self) {
        let account = self.page.standing().account.as_deref();
        let Some(account) = account.and_then(Recipient::of_account) else {
            return;
        };
        self.has_new_link = false;
        let (accounts, own) = (&self.options.shared.accounts, &self.options.id);
        self.ask(|_driver| async move {
            let other = accounts.session_linked_to(&account, own);
            PageAnswer::SharesAccount(other.await)
        });
    }

    /// Lets the page begin an attempt to link with a passkey, when one is due.
    fn begin_passkey(&mut self) {
        if self.passkey.begin(Instant::now()) {
            self.act_on_passkey(PasskeyAct::Begin);
        }
    }

    fn act_on_passkey(&mut self, act: PasskeyAct) {
        self.ask(|driver| async move {
            let taken = driver.passkey(&act).await;
            PageAnswer::Passkey(act, taken)
        });
    }

    /// Whether the page is not needed: it could send, and nothing is to be sent, to be acknowledged, to be found out or to
    /// be looked at.
    fn is_quiet(&self) -> bool {
        self.publisher.state() == SessionState::Ready
            && self.page.standing().is_ready()
            && self.sending.is_settled()
            && self.listening.is_settled()
            && self.reading.is_idle()
            && self.evidence_waiters.is_empty()
            && self.notice_waiters.is_empty()
            && self.files == 0
            && self.logouts.is_empty()
            && !self.is_listened_to()
    }

    /// Whether a consumer of events wants the messages that only a page hears.
    fn is_listened_to(&self) -> bool {
        let shared = &self.options.shared;
        !shared.config.hibernate_listening && shared.listened.is_wanted(&self.options.id)
    }

    /// Takes note of whether the page is needed.
    fn rest(&mut self, now: Instant) {
        self.idle_clock.set(self.is_quiet(), now);
    }

    /// When a copy of the profile is due, while one can be taken: of a page that could send and is well, and one at a time.
    fn copies_at(&self) -> Option<Instant> {
        let is_well = self.publisher.state() == SessionState::Ready
            && self.sending.may_begin()
            && !self.deadlines.is_reloading()
            && !self.is_pinging
            && self.logouts.is_empty();
        self.copies
            .due()
            .filter(|_| is_well && self.copying.is_none())
    }

    /// Begins to copy the profile, when that is due. Answers whether it did.
    fn copy_profile(&mut self, now: Instant) -> bool {
        let due = self.copies_at().filter(|at| *at <= now);
        let (Some(_), Some(every)) = (due, self.copies.every()) else {
            return false;
        };
        let safekeeping = &self.options.safekeeping;
        let min_age = self.copies.min_age();
        self.copying = Some(safekeeping.begin_copy(min_age, every).boxed());
        true
    }

    fn on_copy(&mut self, copy: BegunCopy) {
        self.copying = None;
        match (copy, self.copies.every()) {
            (BegunCopy::Due(due), Some(every)) => self.take_copy(due, every),
            (BegunCopy::NotDue(copied), _) => {
                self.copies.on_copied(copied.next_in, Instant::now());
                self.publisher.tell_copy(copied.taken_at);
            }
            (BegunCopy::Due(_), None) => {}
        }
    }

    /// The copy has what was handed over up to the generation that was ended for it. What is handed over from now on, and what
    /// WhatsApp's server has not taken yet, counts into the next one, before Chrome is stopped.
    fn take_copy(&mut self, due: DueCopy, every: Duration) {
        let counted = self.sending.begin_generation(due.generation + 1);
        let safekeeping = &self.options.safekeeping;
        let freezer = self.driver.freezer();
        let copying = async move {
            let copied = match counted.await {
                Ok(()) => safekeeping.copy_running(due, freezer, every).await,
                Err(why) => {
                    tracing::warn!(error = %why, "no snapshot of the profile was taken: {why}");
                    due.put_off()
                }
            };
            BegunCopy::NotDue(copied)
        };
        self.copying = Some(copying.boxed());
    }

    /// When it may sleep. Not in the midst of a call: that may be the one that finds out that the page is broken.
    fn sleeps_at(&self) -> Option<Instant> {
        self.idle_clock.due().filter(|_| self.calls.is_empty())
    }

    /// Goes to sleep, when the time has come. From then on everything that needs the page waits for the next one.
    fn fall_asleep(&mut self, now: Instant) -> Option<End> {
        self.sleeps_at().filter(|at| *at <= now)?;
        if self.is_listened_to() {
            // Since a moment ago: the next look at the page notes it.
            self.idle_clock.on_asked();
            return None;
        }
        self.publisher.apply(&Event::Slept, None);
        self.healing.on_asleep();
        Some(End::hibernation())
    }

    /// It takes longer to wake than a send waits.
    fn wakes_late(&mut self, now: Instant) {
        on_late_wake(self.publisher, self.page.standing().linked);
        self.sending.refuse_waiting();
        let state = self.publisher.state();
        self.deadlines.set(&state, self.page.standing(), now);
        self.tell_phase();
    }
}
