//! One task per session: it owns the page, the queue of sends and the state.
//!
//! ```text
//!  idle ──Connect──▶ opening ──Chrome up──▶ serving ──end──▶ closing ──▶ idle
//!                       └────────── failed, called off ───────▲
//!                       ▲                           closing ──▶ asleep (nothing to send for long)
//!                       └──────────── something came ────────────┘
//! ```
//!
//! One function per phase; a phase ends with an [`End`], which says why. Responsible for *when* things happen: deadlines,
//! order, what a fact means for the state. What a state change is allowed to be stands in [`super::state`], how a page
//! works behind [`Driver`].
//!
//! Invariants: nobody else changes the state; sends are answered in every phase, starts and disconnects wait at most until
//! a Chrome that is being closed is gone; a session that is not running has no
//! Chrome (a state that says so is published only after Chrome is gone).

mod again;
mod asleep;
mod forgetting;
mod idle;
mod logged_out;
mod opening;

use std::{collections::VecDeque, num::NonZeroU64, path::PathBuf, sync::Arc, time::Duration};

use asleep::taking_in;
use opening::NotOpened;
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    ClienteId, DisconnectOutcome, Evidence, EvidenceFolder, Phase, ReasonCode, Recipient,
    SendError, SendLimits, SessionHandle, SessionState, StartLimits, StartTimes, TurnTally,
    accounts::Accounts,
    arrivals::Arrivals,
    budget::Budget,
    capacity::{Admitted, Capacity, Starting},
    desired::DesiredFile,
    end::End,
    handle::{COMMAND_CAPACITY, Command, LifeCommand, answer},
    healing::{Healing, Retry},
    link::LinkNote,
    numbers::Numbers,
    publisher::Publisher,
    safekeeping::{Cure, Safekeeping},
    serving::{Lasting, Serving},
    state::Event,
};
use crate::{
    browser::{Aside, Closed, delete_profile},
    ledger::Ledger,
    whatsapp::{Driver, FACT_CAPACITY},
};

/// What an actor needs.
#[derive(Debug)]
pub(super) struct ActorOptions<D: Driver> {
    pub(super) id: ClienteId,
    pub(super) profile: PathBuf,
    /// What is done so that it is not lost.
    pub(super) safekeeping: Safekeeping,
    /// Whether it should be up, for the next service.
    pub(super) desired: DesiredFile,
    /// What a failure leaves behind.
    pub(super) evidence: EvidenceFolder,
    pub(super) page: D::Settings,
    /// Whether another session may run.
    pub(super) capacity: Arc<Capacity>,
    /// One permit per Chrome that may start at once; given in order of asking.
    pub(super) starts: Arc<Semaphore>,
    /// How long each phase of a start may take.
    pub(super) limits: StartLimits,
    /// How long starts have taken.
    pub(super) start_times: StartTimes,
    /// How often sessions have gone round for nothing.
    pub(super) turns: TurnTally,
    /// How long WhatsApp takes a code that links by phone number.
    pub(super) pairing_life: Duration,
    /// Whether the account is taken back when WhatsApp Web is opened elsewhere.
    pub(super) take_over: bool,
    /// Which session has which account.
    pub(super) accounts: Accounts,
    /// How long it may have nothing to send before it sleeps.
    pub(super) hibernate_after: Option<Duration>,
    /// How often a session is healed within an hour.
    pub(super) heals_per_hour: usize,
    /// How much memory its Chrome may take.
    pub(super) memory_mb: Option<NonZeroU64>,
    pub(super) sends: SendLimits,
    pub(super) send_dedup: Option<Duration>,
    pub(super) ledger: Ledger,
    pub(super) stop: CancellationToken,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Actor<D: Driver> {
    options: ActorOptions<D>,
    commands: mpsc::Receiver<Command>,
    /// Came while nothing could be begun, and are for the time after. At most [`COMMAND_CAPACITY`].
    postponed: VecDeque<LifeCommand>,
    /// The number to link by a code that is typed, in the run to come.
    phone: Option<Recipient>,
    publisher: Publisher,
    numbers: Numbers,
    healing: Healing,
    budget: Budget,
    /// What has come while it slept.
    arrivals: Arrivals,
    /// The start that it gives itself, when it is not asked for one before.
    retry: Option<Retry>,
    /// When a session that was never linked, and does not run, is forgotten.
    forget_at: Option<Instant>,
}

impl<D: Driver> Actor<D> {
    pub(super) fn new(options: ActorOptions<D>) -> (SessionHandle, Self) {
        let (commands_tx, commands) = mpsc::channel(COMMAND_CAPACITY);
        let (publisher, snapshots) = Publisher::new(options.start_times.clone());
        let handle = SessionHandle {
            session: options.id.clone(),
            commands: commands_tx,
            snapshots,
            ledger: options.ledger.clone(),
            limits: options.sends,
            dedup: options.send_dedup,
        };
        let actor = Self {
            healing: Healing::new(options.heals_per_hour, false),
            budget: Budget::new(options.memory_mb),
            arrivals: Arrivals::new(options.ledger.clone(), options.sends),
            retry: None,
            forget_at: None,
            options,
            commands,
            postponed: VecDeque::new(),
            phone: None,
            publisher,
            numbers: Numbers::default(),
        };
        (handle, actor)
    }

    pub(super) async fn run(mut self) {
        let span = tracing::info_span!("session", session.id = %self.options.id);
        async {
            // In the life of an earlier service, or of an actor that has panicked, with nobody having ended it since.
            let is_owed = self.options.desired.is_owed().await;
            self.healing = Healing::new(self.options.heals_per_hour, is_owed);
            self.forget_later().await;
            while let Some(admitted) = self.idle().await {
                let Admitted {
                    place: _place,
                    starting,
                } = admitted;
                self.run_through(starting).await;
            }
            self.refuse_the_rest();
        }
        .instrument(span)
        .await;
    }

    /// Runs until there is nothing more to begin at once.
    async fn run_through(&mut self, mut starting: Starting) {
        loop {
            let next = match self.run_once(starting).await {
                Next::Idle => return,
                Next::StartAgain => {
                    let starting = self.options.capacity.start_again();
                    starting.map_err(|full| End::without_memory(&full))
                }
                Next::Sleep => self.asleep().await,
            };
            starting = match next {
                Ok(starting) => starting,
                Err(end) => return self.finish(end, Closed::AlreadyGone).await,
            };
        }
    }

    /// One run, from asking for a Chrome to its end.
    async fn run_once(&mut self, starting: Starting) -> Next {
        if let Err(end) = self.find_profile().await {
            self.finish(end, Closed::AlreadyGone).await;
            return Next::Idle;
        }
        let (facts_tx, facts) = mpsc::channel(FACT_CAPACITY);
        let (mut end, closed) = match self.opening(facts_tx, starting).await {
            Err(NotOpened { end, chrome_output }) => {
                if end.reason.leaves_evidence() {
                    let known = Evidence {
                        chrome_output,
                        ..self.known_at(&end)
                    };
                    warn_of(self.options.evidence.keep(known, None).await);
                }
                (end, Closed::AlreadyGone)
            }
            Ok((driver, turn)) => {
                self.publisher.amend(|snapshot| {
                    snapshot.chrome_pid = driver.chrome_pid();
                    true
                });
                let phone = self.phone.take();
                let link = LinkNote::of(&self.options.profile).await;
                if link.is_on_disk() {
                    // One that was linked by an earlier version, or has come from another host.
                    self.options.desired.on_link(link.linked_at()).await;
                }
                self.arrivals.settle().await;
                let end = Serving::new(
                    &driver,
                    &self.options,
                    Lasting {
                        publisher: &self.publisher,
                        numbers: &mut self.numbers,
                        healing: &mut self.healing,
                        budget: &mut self.budget,
                        arrivals: &mut self.arrivals,
                    },
                    turn,
                    phone,
                    link,
                )
                .run(&mut self.commands, facts)
                .await;
                tracing::info!("closing Chrome: {}", end.reason.code.as_str());
                let closed = self.closing(driver, &end).await;
                (end, closed)
            }
        };
        if end.reason.code == ReasonCode::Hibernating {
            return Next::Sleep;
        }
        if self.begins_anew(&mut end).await {
            return Next::StartAgain;
        }
        self.finish(end, closed).await;
        Next::Idle
    }

    /// Whether the run ended because of the profile, and another one took its place: then nobody need hear of the end.
    async fn begins_anew(&mut self, end: &mut End) -> bool {
        let is_wanted = end.asked.is_empty() && self.postponed.is_empty();
        if !is_wanted || self.options.stop.is_cancelled() {
            return false;
        }
        let is_starting = self.publisher.snapshot().phase.is_some();
        let safekeeping = &self.options.safekeeping;
        let cure = safekeeping.cure(&mut end.reason, is_starting);
        let cure = beside(&mut self.commands, &mut self.postponed, cure).await;
        // Whoever has asked for something meanwhile is heard first.
        if cure == Cure::None || !self.postponed.is_empty() {
            return false;
        }
        self.publisher.apply(&Event::Restarted, None);
        self.publisher.reach(Some((Phase::Queued, None)));
        self.forget_the_page();
        true
    }

    fn known_at(&self, end: &End) -> Evidence {
        Evidence::of(&self.publisher.snapshot()).because(Some(&end.reason))
    }

    /// Closes Chrome, after a last look at the page if something is wrong with it.
    async fn closing(&mut self, driver: D, end: &End) -> Closed {
        let known = end.reason.leaves_evidence().then(|| self.known_at(end));
        let evidence = self.options.evidence.clone();
        let stop = &self.options.stop;
        let before = self.publisher.snapshot();
        let safekeeping = &self.options.safekeeping;
        let close = async {
            // A service that stops has no time for a look.
            let look = async { Some((known?, stop.run_until_cancelled(driver.evidence()).await?)) };
            let Some((known, seen)) = look.await else {
                return driver.close().await;
            };
            let (closed, kept) = tokio::join!(driver.close(), evidence.keep_seen(known, seen));
            warn_of(kept);
            closed
        };
        let close = async {
            let closed = close.await;
            safekeeping.after_close(&before, end, closed).await;
            closed
        };
        if end.reason.code == ReasonCode::Hibernating {
            let account = before.account.clone();
            let (commands, postponed) = (&mut self.commands, &mut self.postponed);
            return taking_in(commands, postponed, &mut self.arrivals, account, close).await;
        }
        beside(&mut self.commands, &mut self.postponed, close).await
    }

    /// Chrome is gone. Publishes the end and answers who asked for it.
    async fn finish(&mut self, mut end: End, closed: Closed) {
        self.options.desired.on_end(end.reason.code).await;
        if end.unlinked
            && let Err(why) = delete_profile(&self.options.profile, Aside::Goes).await
        {
            tracing::warn!(error = %why, "the device is unlinked, but its profile could not be deleted: {why}");
            end.reason.detail =
                format!("unlinked, but the profile folder could not be deleted: {why}");
        }
        if end.unlinked
            && let Err(why) = self.options.safekeeping.delete().await
        {
            tracing::warn!(error = %why, "the device is unlinked, but the snapshots of its profile could not be deleted: {why}");
        }
        if end.unlinked
            && let Err(why) = self.options.evidence.delete().await
        {
            tracing::warn!(error = %why, "the device is unlinked, but its evidence could not be deleted: {why}");
        }
        if end.unlinked {
            logged_out::settle_sends(&self.options.ledger, &self.options.id).await;
        }
        let is_logged_out = end.unlinked;
        let is_forgotten = self.forget_newcomer(end.reason.code).await;
        let (event, reason, retry) = self.outlook(end.reason);
        if !is_forgotten && retry.is_none() {
            // Before the end is published: a caller who hears of it may start another session at once, and this one gives its
            // place back only when it has nothing more to wait for.
            self.forget_later().await;
        }
        self.publisher.apply(&event, Some(reason));
        self.forget_the_page();
        if is_forgotten {
            self.publish_forgotten(self.publisher.snapshot().reason);
        }
        for asked in end.asked {
            let outcome = match closed {
                _ if is_logged_out => DisconnectOutcome::LoggedOut,
                Closed::Asked | Closed::AlreadyGone => DisconnectOutcome::Disconnected,
                Closed::Terminated | Closed::Killed | Closed::StillThere => {
                    DisconnectOutcome::DisconnectedWithErrors
                }
            };
            answer(asked, Ok(outcome));
        }
        let why = if self.options.stop.is_cancelled() {
            SendError::ShuttingDown
        } else {
            self.publisher.not_ready()
        };
        self.arrivals.refuse(&why);
        if let Some(retry) = retry {
            self.wait_for(retry);
        }
    }

    /// There is no page any more, and nothing of it is true.
    fn forget_the_page(&self) {
        self.forget_chrome();
        self.publisher.amend(|snapshot| {
            snapshot.account = None;
            true
        });
    }

    /// There is no page for now.
    fn forget_chrome(&self) {
        self.publisher.amend(|snapshot| {
            snapshot.chrome_pid = None;
            snapshot.memory = None;
            snapshot.sync_percent = None;
            snapshot.adapter = super::AdapterReport::default();
            true
        });
    }
}

/// Does what takes its time while there is no page: sends are told so at once, starts and disconnects wait until it is done.
async fn beside<T>(
    commands: &mut mpsc::Receiver<Command>,
    postponed: &mut VecDeque<LifeCommand>,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            Some(command) = commands.recv(), if postponed.len() < COMMAND_CAPACITY => match command {
                Command::Page(command) => command.refuse(SendError::NotReady {
                    state: SessionState::Disconnected.name(),
                    reason: None,
                    retry_at: None,
                }),
                Command::Life(command) => postponed.push_back(command),
            },
        }
    }
}

/// Resolves then; never, when there is no such moment.
async fn until(then: Option<Instant>) {
    match then {
        Some(then) => sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// What follows a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Idle,
    StartAgain,
    Sleep,
}

/// Evidence that could not be kept is missed by nobody but who looks for it.
fn warn_of(kept: std::io::Result<Evidence>) {
    if let Err(why) = kept {
        tracing::warn!(error = %why, "the evidence could not be kept (DATA_DIR): {why}");
    }
}

#[cfg(test)]
mod tests;
