//! What a session waits for, and what it has been asked to do: the one wait of all its stages, and the one place where commands arrive.
//!
//! Responsible for doing with each command what [`admit`] decides: sends go to the [`Intake`], what must wait is kept in its
//! order, what cannot be done is refused; what is to be done now is given to the stage.
//!
//! [`Mailbox::wait`] is the only place where a stage waits for anything but its files. A stage hands in what it waits for itself (a Chrome
//! that starts or closes, the answers of its page) and gets back the one thing that came first. So the order, in which a stop
//! goes before the stage's own work, that work before a command, and a deadline last, stands in one place, and no stage can
//! forget to answer its callers. The stages are functions one after another, and not values of one enum in one loop: the futures of a
//! stage borrow the Chrome that they ask, and a function that owns both needs neither reference counts nor locks for that.
//!
//! Invariant: no command is lost: it is given out once, or answered.

use std::{collections::VecDeque, future::pending, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

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

/// The commands of one session.
#[derive(Debug)]
pub(super) struct Mailbox {
    commands: mpsc::Receiver<Command>,
    /// The last handle is gone.
    is_closed: bool,
    /// Kept until the stage is no longer [`Stage::Busy`]. At most [`COMMAND_CAPACITY`]; then no more are received.
    once_free: VecDeque<LifeCommand>,
    /// Kept until the page stands. At most [`COMMAND_CAPACITY`]; the next is refused.
    once_awake: VecDeque<Command>,
    /// Something needs the page of a session that hibernates. This is the deadline for the page; later the session is no longer
    /// shown as READY.
    wake_by: Option<Instant>,
    /// How long a send waits for its page.
    patience: Duration,
    stop: CancellationToken,
    publisher: Arc<Publisher>,
}

/// What came first.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once and never stored"
)]
pub(super) enum Heard<T> {
    /// The service stops. Only a stage that has no work of its own to end first hears it.
    Stop,
    /// The work of the stage is done, or a part of it.
    StageWork(T),
    Mail(Mail),
    /// The deadline has passed.
    Deadline,
}

/// What has become of what came by mail.
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
    /// The last handle is gone: no command comes any more.
    Closed,
}

impl Mailbox {
    pub(super) const fn new(
        commands: mpsc::Receiver<Command>,
        patience: Duration,
        stop: CancellationToken,
        publisher: Arc<Publisher>,
    ) -> Self {
        Self {
            commands,
            is_closed: false,
            once_free: VecDeque::new(),
            once_awake: VecDeque::new(),
            wake_by: None,
            patience,
            stop,
            publisher,
        }
    }

    /// Whether the last handle is gone: no caller can ask for anything any more, nor see what the session does.
    pub(super) fn is_abandoned(&self) -> bool {
        self.commands.is_closed()
    }

    /// Waits for the first of these: the stop, `own`, a command, the deadline. No command is lost when the future is dropped.
    pub(super) async fn wait<T>(
        &mut self,
        intake: &mut Intake,
        stage: Stage,
        own: impl Future<Output = T>,
        deadline: Option<Instant>,
    ) -> Heard<T> {
        let stop = self.stop.clone();
        let heeds_stop = matches!(stage, Stage::Idle | Stage::Hibernating | Stage::Running);
        tokio::select! {
            biased;
            () = stop.cancelled(), if heeds_stop => Heard::Stop,
            done = own => Heard::StageWork(done),
            mail = self.next(intake, stage) => Heard::Mail(mail),
            () = until(deadline) => Heard::Deadline,
        }
    }

    /// Does `work`, and deals with what comes meanwhile.
    pub(super) async fn during<T>(
        &mut self,
        intake: &mut Intake,
        work: impl Future<Output = T>,
    ) -> T {
        tokio::pin!(work);
        loop {
            // A command that is given out in this stage is about the Chrome that is being closed.
            let heard = self.wait(intake, Stage::Busy, &mut work, None);
            if let Heard::StageWork(done) = heard.await {
                return done;
            }
        }
    }

    /// The next command, dealt with as this stage allows.
    async fn next(&mut self, intake: &mut Intake, stage: Stage) -> Mail {
        if let Some(kept) = self.next_kept(stage) {
            // As if it came now: this stage may refuse what another one has kept.
            return self.deal_with(kept, intake, stage);
        }
        let is_between_runs = matches!(stage, Stage::Idle | Stage::Hibernating);
        if self.is_closed && is_between_runs {
            return Mail::Closed;
        }
        let has_room = self.once_free.len() < COMMAND_CAPACITY;
        tokio::select! {
            Some(is_new) = intake.written() => {
                if is_new && self.publisher.state() == SessionState::Hibernating {
                    self.wake(Instant::now());
                }
                Mail::DealtWith
            }
            received = self.commands.recv(), if !self.is_closed && has_room => {
                let Some(command) = received else {
                    self.is_closed = true;
                    return Mail::Closed;
                };
                self.deal_with(command, intake, stage)
            }
            else => pending().await,
        }
    }

    fn deal_with(&mut self, command: Command, intake: &mut Intake, stage: Stage) -> Mail {
        match (admit(stage, &self.publisher.state(), &command), command) {
            (
                Admission::Now,
                Command::Page(PageCommand::Send {
                    new,
                    deadline,
                    reply,
                }),
            ) => {
                // Before a page stands, no place becomes free by the pace alone.
                let is_hibernating = self.publisher.state() == SessionState::Hibernating;
                let room_after = if is_hibernating {
                    ROOM_AFTER
                } else {
                    Duration::ZERO
                };
                intake.accept(new, deadline, room_after, reply);
            }
            (Admission::Now, Command::Page(PageCommand::Remove { key })) => intake.remove(&key),
            (Admission::Now, command) => return Mail::Command(command),
            (Admission::OnceFree, Command::Life(command)) => {
                self.once_free.push_back(command);
            }
            // `admit` puts none of these off until then; the caller would see the dropped reply.
            (Admission::OnceFree, Command::Page(_)) => {}
            (Admission::OnceAwake, command) => {
                self.wake(Instant::now());
                if self.once_awake.len() < COMMAND_CAPACITY {
                    self.once_awake.push_back(command);
                } else {
                    refuse_kept_for_page(
                        command,
                        SendError::QueueFull {
                            retry_after: ROOM_AFTER,
                        },
                    );
                }
            }
            (Admission::Refuse(why), command) => refuse(command, why, &self.publisher),
        }
        Mail::DealtWith
    }

    /// The next of what was kept that this stage does not keep any longer.
    fn next_kept(&mut self, at: Stage) -> Option<Command> {
        // Asked in each turn of the session, and nothing is kept in nearly all of them.
        if self.once_awake.is_empty() && self.once_free.is_empty() {
            return None;
        }
        let state = self.publisher.state();
        if at == Stage::Running
            && state != SessionState::Hibernating
            && let Some(command) = self.once_awake.pop_front()
        {
            return Some(command);
        }
        let kept = self.once_free.pop_front().map(Command::Life)?;
        match (admit(at, &state, &kept), kept) {
            (Admission::OnceFree, Command::Life(kept)) => {
                self.once_free.push_front(kept);
                None
            }
            (_, kept) => Some(kept),
        }
    }

    /// Puts a command back that was given out, before all others.
    pub(super) fn requeue_first(&mut self, command: LifeCommand) {
        self.once_free.push_front(command);
    }

    /// Whether a start, an end or a deletion waits until no Chrome is being closed.
    pub(super) fn has_kept(&self) -> bool {
        !self.once_free.is_empty()
    }

    /// By when the page must stand for the session to count as READY meanwhile: as long as the first send waits. `None` when it
    /// does not hibernate, or nothing needs its page.
    pub(super) fn wake_by(&self) -> Option<Instant> {
        self.wake_by
            .filter(|_| self.publisher.state() == SessionState::Hibernating)
    }

    /// Something needs the page.
    pub(super) fn wake(&mut self, now: Instant) {
        self.wake_by.get_or_insert(now + self.patience);
    }

    /// The session does not hibernate any more.
    pub(super) const fn on_awake(&mut self) {
        self.wake_by = None;
    }

    /// No start is planned: refuses those who wait for a page.
    pub(super) fn refuse_waiting(&mut self, intake: &mut Intake, why: &SendError) {
        self.on_awake();
        intake.refuse(why);
        for command in self.once_awake.drain(..) {
            refuse_kept_for_page(command, why.clone());
        }
    }

    /// The service stops: answers every command that is left so.
    pub(super) fn close(&mut self) {
        self.commands.close();
        let kept = self.once_free.drain(..).map(Command::Life);
        let mut left: Vec<_> = kept.chain(self.once_awake.drain(..)).collect();
        while let Ok(command) = self.commands.try_recv() {
            left.push(command);
        }
        for command in left {
            if let Admission::Refuse(why) =
                admit(Stage::Stopping, &self.publisher.state(), &command)
            {
                refuse(command, why, &self.publisher);
            }
        }
    }
}

/// Resolves then, at once if that has passed; never, when there is no such moment.
async fn until(then: Option<Instant>) {
    match then {
        Some(then) if then <= Instant::now() => {}
        Some(then) => sleep_until(then).await,
        None => pending().await,
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
                Refusal::ShuttingDown | Refusal::NotReady | Refusal::Busy | Refusal::Running => {
                    DisconnectError::ShuttingDown
                }
            };
            answer(reply, Err(why));
        }
        Command::Life(LifeCommand::Forget { reply }) => {
            let why = match why {
                Refusal::Running => ForgetError::Running,
                Refusal::ShuttingDown | Refusal::NotReady | Refusal::Busy | Refusal::NotLinked => {
                    ForgetError::ShuttingDown
                }
            };
            answer(reply, Err(why));
        }
        Command::Page(command) => command.refuse(match why {
            Refusal::ShuttingDown => SendError::ShuttingDown,
            // The state that is published is the one before, as long as the Chrome is there.
            Refusal::Busy => SendError::NotReady {
                state: SessionState::Disconnected.name(),
                reason: None,
                retry_at: None,
            },
            Refusal::NotReady | Refusal::NotLinked | Refusal::Running => publisher.not_ready(),
        }),
    }
}

/// Refuses what was to be done by a page that does not come.
fn refuse_kept_for_page(command: Command, why: SendError) {
    match command {
        Command::Page(command) => command.refuse(why),
        // The device is linked, as far as the service knows.
        Command::Life(LifeCommand::Disconnect { reply, .. }) => {
            let why = DisconnectError::LogoutUnconfirmed(why.to_string());
            answer(reply, Err(why));
        }
        // Neither is kept for a page: the caller would see the dropped reply.
        Command::Life(LifeCommand::Connect { .. } | LifeCommand::Forget { .. }) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, path::Path};

    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        ledger::{Ledger, tests::options},
        session::{
            ClienteId, SendLimits, StartTimes, command::AskedBy, state::Event,
            status_news::StatusLog,
        },
    };

    /// A mailbox of a session that does not run, what callers send its commands by, and an intake over the ledger in this folder.
    fn mailbox(folder: &Path) -> (mpsc::Sender<Command>, Mailbox, Intake) {
        let hour = Duration::from_secs(3600);
        let (ledger, _keeper) = Ledger::new(options(folder));
        let limits = SendLimits {
            queue_max: NonZeroUsize::MIN,
            rate_per_minute: None,
            wait: hour,
        };
        let log = StatusLog::new(ClienteId::admin(), ledger.clone());
        let (publisher, _snapshots) = Publisher::new(StartTimes::default(), log);
        let (asks, commands) = mpsc::channel(4);
        let mail = Mailbox::new(
            commands,
            hour,
            CancellationToken::new(),
            Arc::new(publisher),
        );
        (asks, mail, Intake::new(ledger, limits))
    }

    #[tokio::test]
    async fn what_was_kept_is_judged_by_the_stage_that_it_is_heard_in() {
        let folder = tempfile::tempdir().unwrap();
        let (asks, mut mail, mut intake) = mailbox(folder.path());
        mail.publisher.apply(&Event::Started, None);
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
        for stage in [Stage::Busy; 3] {
            let mail = mail.next(&mut intake, stage).await;
            assert!(matches!(mail, Mail::DealtWith), "{mail:?}");
        }
        for stage in [Stage::Opening; 2] {
            let mail = mail.next(&mut intake, stage).await;
            assert!(matches!(mail, Mail::DealtWith), "{mail:?}");
        }
        assert!(matches!(
            logged_out.await,
            Ok(Err(DisconnectError::NotLinked))
        ));
        assert!(matches!(forgotten.await, Ok(Err(ForgetError::Running))));
        let given_out = mail.next(&mut intake, Stage::Opening).await;
        let is_disconnect = matches!(
            given_out,
            Mail::Command(Command::Life(LifeCommand::Disconnect { logout: false, .. }))
        );
        assert!(is_disconnect && disconnected.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_command_that_is_put_back_goes_before_one_that_came_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let (asks, mut mail, mut intake) = mailbox(folder.path());
        let (reply, _connected) = oneshot::channel();
        let connect = LifeCommand::Connect {
            phone: None,
            asked_by: AskedBy::Caller,
            reply,
        };
        asks.send(Command::Life(connect)).await.unwrap();
        let given_out = mail.next(&mut intake, Stage::Idle).await;
        let Mail::Command(Command::Life(connect)) = given_out else {
            panic!("{given_out:?}");
        };
        // The profile is worked on before the connect can be carried out.
        let (reply, _disconnected) = oneshot::channel();
        let disconnect = LifeCommand::Disconnect {
            logout: false,
            reply,
        };
        asks.send(Command::Life(disconnect)).await.unwrap();
        let kept = mail.next(&mut intake, Stage::Busy).await;
        assert!(matches!(kept, Mail::DealtWith), "{kept:?}");
        mail.requeue_first(connect);

        let first = mail.next(&mut intake, Stage::Idle).await;
        let is_connect = matches!(
            first,
            Mail::Command(Command::Life(LifeCommand::Connect { .. }))
        );
        assert!(is_connect, "{first:?}");
        let second = mail.next(&mut intake, Stage::Idle).await;
        let is_disconnect = matches!(
            second,
            Mail::Command(Command::Life(LifeCommand::Disconnect { .. }))
        );
        assert!(is_disconnect && !mail.has_kept(), "{second:?}");
    }
}
