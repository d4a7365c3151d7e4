//! One task per session: it owns the page, the queue of sends and the state.
//!
//! ```text
//!  idle ──Connect──▶ opening ──Chrome up──▶ running ──end──▶ closing ──▶ idle
//!                       └────────── failed, called off ───────▲
//!                       ▲                           closing ──▶ hibernating (nothing to send for long)
//!                       └──────────── something came ────────────┘
//! ```
//!
//! One function per stage; a run ends with an [`End`], which says why. Each stage waits in [`Mailbox::wait`]; why the stages are
//! functions and not one loop stands there. Elsewhere an actor waits only for its files: for what it notes of the session, and for
//! what it deletes. Responsible for *when* things happen: deadlines, order, what a fact means for the state. What a state change is
//! allowed to be stands in [`super::state`], how a page works behind [`Driver`].
//!
//! Invariants: only the actor and the parts that it owns change the state. Sends are answered in every stage; starts and
//! disconnects wait at most until a Chrome that is being closed is gone. A session that is not running has no Chrome: a state
//! that says so is published only after Chrome is gone.

mod admission;
pub(super) mod capacity;
mod copy_clock;
mod deadlines;
mod forgetting;
mod healing;
mod hibernation;
mod idle;
mod logged_out;
mod mailbox;
mod memory_budget;
mod opening;
pub(super) mod options;
mod page_view;
mod restart;
mod running;

use std::sync::Arc;

use capacity::{Admitted, Starting};
use healing::{Healing, Retry};
use mailbox::Mailbox;
use memory_budget::Budget;
use opening::NotOpened;
use options::{ActorOptions, Shared};
use running::{Parts, Running};
use tokio::{sync::mpsc, time::Instant};
use tracing::Instrument;

use super::{
    DisconnectOutcome, Evidence, Phase, PhoneToLink, Reason, ReasonCode, SendError, SessionHandle,
    command::{COMMAND_CAPACITY, answer},
    linking::account_link::{LinkNote, link_of},
    publisher::Publisher,
    run_end::End,
    sending::intake::Intake,
    state::Event,
    status_news::StatusLog,
};
use crate::{
    browser::{Aside, Closed, delete_profile},
    whatsapp::{Driver, FACT_CAPACITY},
};

/// The actor of one session.
#[derive(Debug)]
pub(super) struct Actor<D: Driver> {
    options: ActorOptions<D>,
    mail: Mailbox,
    intake: Intake,
    /// The number to link by a code that is typed, in the run to come.
    phone: Option<PhoneToLink>,
    publisher: Arc<Publisher>,
    healing: Healing,
    budget: Budget,
    /// The start that it gives itself, when it is not asked for one before.
    retry: Option<Retry>,
    /// When a session that was never linked, and does not run, is forgotten.
    forget_at: Option<Instant>,
}

impl<D: Driver> Actor<D> {
    pub(super) fn new(options: ActorOptions<D>) -> (SessionHandle, Self) {
        let (commands_tx, commands) = mpsc::channel(COMMAND_CAPACITY);
        let Shared {
            config,
            ledger,
            start_times,
            ..
        } = &options.shared;
        let log = StatusLog::new(options.id.clone(), ledger.clone());
        let (publisher, snapshots) = Publisher::new(start_times.clone(), log);
        let publisher = Arc::new(publisher);
        let handle = SessionHandle {
            session: options.id.clone(),
            commands: commands_tx,
            snapshots,
            ledger: ledger.clone(),
            limits: config.sends,
            dedup: config.send_dedup,
        };
        let actor = Self {
            healing: Healing::new(config.heals_per_hour, false),
            budget: Budget::new(config.memory_mb),
            intake: Intake::new(ledger.clone(), config.sends),
            mail: Mailbox::new(
                commands,
                config.sends.wait,
                options.stop.clone(),
                Arc::clone(&publisher),
            ),
            retry: None,
            forget_at: None,
            options,
            phone: None,
            publisher,
        };
        (handle, actor)
    }

    pub(super) async fn run(mut self) {
        let span = tracing::info_span!("session", session.id = %self.options.id);
        async {
            // By an earlier service, or by an actor that has panicked, and not ended by a caller since.
            let must_be_ready = self.options.desired.must_be_ready().await;
            self.healing = Healing::new(self.options.shared.config.heals_per_hour, must_be_ready);
            self.forget_later().await;
            self.tell_link().await;
            while let Some(admitted) = self.idle().await {
                let Admitted {
                    place: _place,
                    starting,
                } = admitted;
                self.run_until_idle(starting).await;
            }
            self.mail.close();
        }
        .instrument(span)
        .await;
    }

    /// Runs until there is nothing more to begin at once.
    async fn run_until_idle(&mut self, mut starting: Starting) {
        loop {
            let next = match self.run_once(starting).await {
                Next::Idle => return,
                Next::StartAgain => {
                    let starting = self.options.shared.capacity.start_again();
                    starting.map_err(|full| End::without_memory(&full))
                }
                Next::Sleep => self.hibernate().await,
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
                self.publisher.tell_link(link.link());
                let end = Running::new(
                    &driver,
                    &self.options,
                    Parts {
                        publisher: &self.publisher,
                        healing: &mut self.healing,
                        budget: &mut self.budget,
                        mail: &mut self.mail,
                        intake: &mut self.intake,
                    },
                    facts,
                    turn,
                    phone,
                    link,
                )
                .run()
                .await;
                tracing::info!("closing Chrome: {}", end.reason.code.as_str());
                let closed = self.closing(driver, &end).await;
                (end, closed)
            }
        };
        if end.reason.code == ReasonCode::Hibernating {
            return Next::Sleep;
        }
        if self.restarts_on_other_profile(&mut end).await {
            return Next::StartAgain;
        }
        self.finish(end, closed).await;
        Next::Idle
    }

    /// Whether the run ended because of the profile, and another one took its place: then the end is not published.
    async fn restarts_on_other_profile(&mut self, end: &mut End) -> bool {
        let is_wanted = end.asked.is_empty() && !self.mail.has_kept();
        if !is_wanted || self.options.stop.is_cancelled() {
            return false;
        }
        let is_starting = self.publisher.snapshot().phase.is_some();
        let safekeeping = &self.options.safekeeping;
        let rescue = safekeeping.rescue(&mut end.reason, is_starting);
        let is_rescued = self.mail.during(&mut self.intake, rescue).await;
        // A caller has asked for something meanwhile, and goes first.
        if !is_rescued || self.mail.has_kept() {
            return false;
        }
        self.publisher.apply(&Event::Restarted, None);
        // It is INIT now, and does not count as READY until a certain time any more.
        self.mail.on_awake();
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
            (closed, safekeeping.after_close(&before, end, closed).await)
        };
        let (closed, copied_at) = self.mail.during(&mut self.intake, close).await;
        self.publisher.tell_copy(copied_at);
        closed
    }

    /// Chrome is gone. Publishes the end and answers who asked for it.
    async fn finish(&mut self, mut end: End, closed: Closed) {
        self.options.desired.on_end(end.reason.code).await;
        if end.unlinked {
            self.delete_link(&mut end.reason).await;
        }
        let is_logged_out = end.unlinked;
        let is_forgotten = self.forget_newcomer(end.reason.code).await;
        let (event, reason, retry) = self.outlook(end.reason);
        if !is_forgotten && retry.is_none() {
            // Before the end is published: a caller who hears of it may start another session at once, and this one gives its
            // place back only when it has nothing more to wait for.
            self.forget_later().await;
        }
        // A caller who hears of the end may ask at once whether the session is still linked.
        self.tell_link().await;
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
        self.mail.refuse_waiting(&mut self.intake, &why);
        if let Some(retry) = retry {
            self.wait_for(retry);
        }
    }

    /// Publishes the link that the profile has while no page does.
    fn tell_link(&self) -> impl Future<Output = ()> + Send + use<D> {
        let (profile, publisher) = (self.options.profile.clone(), Arc::clone(&self.publisher));
        async move { publisher.tell_link(link_of(&profile).await) }
    }

    /// The device is unlinked: nothing that was its account's is kept. What cannot be deleted, `reason` or the log says.
    async fn delete_link(&mut self, reason: &mut Reason) {
        if let Err(why) = delete_profile(&self.options.profile, Aside::Goes).await {
            tracing::warn!(error = %why, "the device is unlinked, but its profile could not be deleted: {why}");
            reason.detail = format!("unlinked, but the profile folder could not be deleted: {why}");
        }
        if let Err(why) = self.options.safekeeping.delete().await {
            tracing::warn!(error = %why, "the device is unlinked, but the snapshots of its profile could not be deleted: {why}");
        } else {
            self.publisher
                .amend(|snapshot| snapshot.profile_copied_at.take().is_some());
        }
        if let Err(why) = self.options.evidence.delete().await {
            tracing::warn!(error = %why, "the device is unlinked, but its evidence could not be deleted: {why}");
        }
        logged_out::settle_sends(&self.options.shared.ledger, &self.options.id).await;
    }

    /// There is no page any more, and nothing of it is true.
    fn forget_the_page(&mut self) {
        self.forget_chrome();
        self.intake.forget_account();
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
            snapshot.notice = None;
            // It is said of a page that is not there any more.
            snapshot
                .reason
                .take_if(|reason| reason.code == ReasonCode::NoticeShown);
            snapshot.adapter = super::AdapterReport::default();
            let hearing = &mut snapshot.hearing;
            (hearing.state, hearing.adapter, hearing.detail) = Default::default();
            true
        });
    }
}

/// What follows a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Idle,
    StartAgain,
    Sleep,
}

/// Evidence that could not be kept changes nothing for the session.
fn warn_of(kept: std::io::Result<Evidence>) {
    if let Err(why) = kept {
        tracing::warn!(error = %why, "the evidence could not be kept (DATA_DIR): {why}");
    }
}

#[cfg(test)]
mod tests;
