//! What a session has been asked to do: the one place where commands arrive, in every stage of its life.
//!
//! Responsible for doing with each command what [`admit`] decides: sends go to the [`Intake`], what must wait is kept in its
//! order, what cannot be done is refused; what is to be done now is given out, to whoever does it in this stage.
//!
//! Invariant: no command is lost: it is given out once, or answered.

use std::{collections::VecDeque, time::Duration};

use tokio::{sync::mpsc, time::Instant};

use super::admission::{Admission, Refusal, Stage, admit};
use crate::session::{
    ConnectError, DisconnectError, ForgetError, SendError, SessionState,
    command::{COMMAND_CAPACITY, Command, LifeCommand, PageCommand, answer},
    publisher::Publisher,
    sending::intake::Intake,
};

/// When a page may have time for one more question, or a place in the queue be free, while there is no page: the real page is ready 7 to 15 s after it was asked for
/// (docs/whatsapp.md#timings).
const ROOM_AFTER: Duration = Duration::from_secs(15);

/// See the module.
#[derive(Debug)]
pub(super) struct Mailbox {
    commands: mpsc::Receiver<Command>,
    /// The last handle is gone.
    is_closed: bool,
    /// Kept until no Chrome is being closed. At most [`COMMAND_CAPACITY`]; then no more are received.
    after_closing: VecDeque<LifeCommand>,
    /// Kept until the page stands. At most [`COMMAND_CAPACITY`]; the next is refused.
    once_awake: VecDeque<Command>,
    /// Something needs the page of a session that hibernates: by when it must stand for the session to count as READY meanwhile.
    wake_by: Option<Instant>,
    /// How long a send waits for its page.
    patience: Duration,
}

/// What [`Mailbox::next`] has to tell.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once and never stored"
)]
pub(super) enum Mail {
    /// To be carried out now.
    Command(Command),
    /// A command was kept, answered or given to the intake, or a send was written down.
    DealtWith,
    /// Nobody can ask for anything any more.
    Closed,
}

impl Mailbox {
    pub(super) const fn new(commands: mpsc::Receiver<Command>, patience: Duration) -> Self {
        Self {
            commands,
            is_closed: false,
            after_closing: VecDeque::new(),
            once_awake: VecDeque::new(),
            wake_by: None,
            patience,
        }
    }

    /// Whether the last handle is gone: nobody can ask for anything any more, nor see what the session does.
    pub(super) fn is_abandoned(&self) -> bool {
        self.commands.is_closed()
    }

    /// The next command, dealt with as this stage allows. Nothing is lost when the future is dropped.
    pub(super) async fn next(
        &mut self,
        intake: &mut Intake,
        stage: Stage,
        publisher: &Publisher,
    ) -> Mail {
        if let Some(kept) = self.take_kept(stage, publisher) {
            // As if it came now: this stage may refuse what another one has kept.
            return self.deal_with(kept, intake, stage, publisher);
        }
        let is_between_runs = matches!(stage, Stage::Idle | Stage::Hibernating);
        if self.is_closed && is_between_runs {
            return Mail::Closed;
        }
        let has_room = self.after_closing.len() < COMMAND_CAPACITY;
        tokio::select! {
            Some(is_new) = intake.written() => {
                if is_new && publisher.state() == SessionState::Hibernating {
                    self.wake(Instant::now());
                }
                Mail::DealtWith
            }
            received = self.commands.recv(), if !self.is_closed && has_room => {
                let Some(command) = received else {
                    self.is_closed = true;
                    return Mail::Closed;
                };
                self.deal_with(command, intake, stage, publisher)
            }
            else => std::future::pending().await,
        }
    }

    /// Does `work`, and deals with what comes meanwhile. Nothing is given out in a stage in which that is done.
    pub(super) async fn during<T>(
        &mut self,
        intake: &mut Intake,
        publisher: &Publisher,
        work: impl Future<Output = T>,
    ) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                mail = self.next(intake, Stage::Closing, publisher) => match mail {
                    // About the Chrome that is being closed. Nothing else is given out in this stage.
                    Mail::Command(_)
                    // Told once; what is being written down goes on.
                    | Mail::Closed
                    | Mail::DealtWith => {}
                }
            }
        }
    }

    fn deal_with(
        &mut self,
        command: Command,
        intake: &mut Intake,
        stage: Stage,
        publisher: &Publisher,
    ) -> Mail {
        match (admit(stage, &publisher.state(), &command), command) {
            (
                Admission::Now,
                Command::Page(PageCommand::Send {
                    new,
                    deadline,
                    reply,
                }),
            ) => {
                // Before a page stands, no place becomes free by the pace alone.
                let is_hibernating = publisher.state() == SessionState::Hibernating;
                let room_after = if is_hibernating {
                    ROOM_AFTER
                } else {
                    Duration::ZERO
                };
                intake.accept(new, deadline, room_after, reply);
            }
            (Admission::Now, Command::Page(PageCommand::Remove { key })) => intake.remove(&key),
            (Admission::Now, command) => return Mail::Command(command),
            (Admission::AfterClosing, Command::Life(command)) => {
                self.after_closing.push_back(command);
            }
            // None of these is put off until then; whoever asked is told by the dropped reply.
            (Admission::AfterClosing, Command::Page(_)) => {}
            (Admission::OnceAwake, command) => {
                self.wake(Instant::now());
                if self.once_awake.len() < COMMAND_CAPACITY {
                    self.once_awake.push_back(command);
                } else {
                    refuse_asleep(
                        command,
                        SendError::QueueFull {
                            retry_after: ROOM_AFTER,
                        },
                    );
                }
            }
            (Admission::Refuse(why), command) => refuse(command, why, publisher),
        }
        Mail::DealtWith
    }

    /// The next of what was kept that this stage does not keep any longer.
    fn take_kept(&mut self, at: Stage, publisher: &Publisher) -> Option<Command> {
        // Asked in each turn of the session, and nothing is kept in nearly all of them.
        if self.once_awake.is_empty() && self.after_closing.is_empty() {
            return None;
        }
        let state = publisher.state();
        if at == Stage::Running
            && state != SessionState::Hibernating
            && let Some(command) = self.once_awake.pop_front()
        {
            return Some(command);
        }
        let kept = self.after_closing.pop_front().map(Command::Life)?;
        match (admit(at, &state, &kept), kept) {
            (Admission::AfterClosing, Command::Life(kept)) => {
                self.after_closing.push_front(kept);
                None
            }
            (_, kept) => Some(kept),
        }
    }

    /// Puts a command back that was given out, before all others.
    pub(super) fn put_back(&mut self, command: LifeCommand) {
        self.after_closing.push_front(command);
    }

    /// Whether a start, an end or a deletion waits until no Chrome is being closed.
    pub(super) fn has_kept(&self) -> bool {
        !self.after_closing.is_empty()
    }

    /// By when the page of a session that hibernates must stand, if anything needs it: as long as the first send waits.
    pub(super) const fn wake_by(&self) -> Option<Instant> {
        self.wake_by
    }

    /// Something needs the page.
    pub(super) fn wake(&mut self, now: Instant) {
        self.wake_by.get_or_insert(now + self.patience);
    }

    /// The session does not hibernate any more.
    pub(super) const fn on_awake(&mut self) {
        self.wake_by = None;
    }

    /// There will be no page by itself: tells those who wait for one.
    pub(super) fn refuse_waiting(&mut self, intake: &mut Intake, why: &SendError) {
        self.on_awake();
        intake.refuse(why);
        for command in self.once_awake.drain(..) {
            refuse_asleep(command, why.clone());
        }
    }

    /// The service stops: whoever still waits is told so.
    pub(super) fn close(&mut self, publisher: &Publisher) {
        self.commands.close();
        let kept = self.after_closing.drain(..).map(Command::Life);
        let mut left: Vec<_> = kept.chain(self.once_awake.drain(..)).collect();
        while let Ok(command) = self.commands.try_recv() {
            left.push(command);
        }
        for command in left {
            if let Admission::Refuse(why) = admit(Stage::Stopping, &publisher.state(), &command) {
                refuse(command, why, publisher);
            }
        }
    }
}

fn refuse(command: Command, why: Refusal, publisher: &Publisher) {
    match command {
        Command::Life(LifeCommand::Connect { reply, .. }) => {
            answer(reply, Err(ConnectError::ShuttingDown));
        }
        Command::Life(LifeCommand::Disconnect { reply, .. }) => {
            let why = match why {
                Refusal::NotLinked => DisconnectError::NotLinked,
                Refusal::ShuttingDown | Refusal::NotReady | Refusal::Closing | Refusal::Running => {
                    DisconnectError::ShuttingDown
                }
            };
            answer(reply, Err(why));
        }
        Command::Life(LifeCommand::Forget { reply }) => {
            let why = match why {
                Refusal::Running => ForgetError::Running,
                Refusal::ShuttingDown
                | Refusal::NotReady
                | Refusal::Closing
                | Refusal::NotLinked => ForgetError::ShuttingDown,
            };
            answer(reply, Err(why));
        }
        Command::Page(command) => command.refuse(match why {
            Refusal::ShuttingDown => SendError::ShuttingDown,
            // The state that is published is the one before, as long as the Chrome is there.
            Refusal::Closing => SendError::NotReady {
                state: SessionState::Disconnected.name(),
                reason: None,
                retry_at: None,
            },
            Refusal::NotReady | Refusal::NotLinked | Refusal::Running => publisher.not_ready(),
        }),
    }
}

/// Refuses what was to be done by a page that does not come.
fn refuse_asleep(command: Command, why: SendError) {
    match command {
        Command::Page(command) => command.refuse(why),
        // The device is linked, as far as the service knows.
        Command::Life(LifeCommand::Disconnect { reply, .. }) => {
            let why = DisconnectError::LogoutUnconfirmed(why.to_string());
            answer(reply, Err(why));
        }
        // Neither is kept for a page: the caller is told by the dropped reply.
        Command::Life(LifeCommand::Connect { .. } | LifeCommand::Forget { .. }) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        ledger::{Clock, Ledger, LedgerOptions},
        session::{SendLimits, StartTimes, state::Event},
    };

    #[tokio::test]
    async fn what_was_kept_is_judged_by_the_stage_that_it_is_heard_in() {
        let folder = tempfile::tempdir().unwrap();
        let hour = Duration::from_secs(3600);
        let (ledger, _keeper) = Ledger::new(LedgerOptions {
            folder: folder.path().join("ledger"),
            idempotency: hour,
            retention: hour,
            clock: Clock::default(),
        });
        let limits = SendLimits {
            queue_max: NonZeroUsize::MIN,
            rate_per_minute: None,
            wait: hour,
        };
        let mut intake = Intake::new(ledger, limits);
        let (publisher, _snapshots) = Publisher::new(StartTimes::default());
        publisher.apply(&Event::Started, None);
        let (asks, commands) = mpsc::channel(4);
        let mut mail = Mailbox::new(commands, hour);
        let (reply, logged_out) = oneshot::channel();
        let logout = LifeCommand::Disconnect {
            logout: true,
            reply,
        };
        asks.send(Command::Life(logout)).await.unwrap();
        let (reply, forgotten) = oneshot::channel();
        let forget = LifeCommand::Forget { reply };
        asks.send(Command::Life(forget)).await.unwrap();
        let (reply, mut disconnected) = oneshot::channel();
        let disconnect = LifeCommand::Disconnect {
            logout: false,
            reply,
        };
        asks.send(Command::Life(disconnect)).await.unwrap();

        // The profile is looked for, and then the Chrome is started.
        for stage in [Stage::Closing; 3] {
            let mail = mail.next(&mut intake, stage, &publisher).await;
            assert!(matches!(mail, Mail::DealtWith), "{mail:?}");
        }
        for stage in [Stage::Opening; 2] {
            let mail = mail.next(&mut intake, stage, &publisher).await;
            assert!(matches!(mail, Mail::DealtWith), "{mail:?}");
        }
        assert!(matches!(
            logged_out.await,
            Ok(Err(DisconnectError::NotLinked))
        ));
        assert!(matches!(forgotten.await, Ok(Err(ForgetError::Running))));
        let given_out = mail.next(&mut intake, Stage::Opening, &publisher).await;
        let is_disconnect = matches!(
            given_out,
            Mail::Command(Command::Life(LifeCommand::Disconnect { logout: false, .. }))
        );
        assert!(is_disconnect && disconnected.try_recv().is_err());
    }
}
