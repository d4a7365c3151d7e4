//! What comes for a session that hibernates, until there is a page for it.
//!
//! Responsible for sends being on disk and accepted at once, as ever, and for everything else being kept in its order; what
//! becomes of both is decided where there is a page ([`running`](super::running)), or where it turns out that there will be none.
//!
//! Invariants: nothing that has come is lost: it goes to the next page, or is answered; a send goes to a page only from here,
//! once, and with the deadline that its caller gave it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::{Instant, timeout};

use crate::{
    ledger::{Accepted, Failure, Ledger, NewSend, Record, Step},
    session::{
        DisconnectError, ForgetError, SendError, SendLimits,
        command::{AcceptReply, COMMAND_CAPACITY, Command, LifeCommand, PageCommand, answer},
        sending::pace::Pace,
    },
};

/// When the queue may have room again: the real page is ready 7 to 15 s after it was asked for (docs/whatsapp.md#timings).
const ROOM_AFTER: Duration = Duration::from_secs(15);

/// The ledger accepts a send within milliseconds unless the disk stands still; a page that is there does not wait for that.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);

/// See the module. Belongs to the session, and is empty but while it sleeps or wakes.
#[derive(Debug)]
pub(super) struct Arrivals {
    ledger: Ledger,
    limits: SendLimits,
    /// How fast the session has sent so far: a new page is no new burst.
    pace: Pace,
    /// Somebody needs the page: by when it must be ready for the session to count as READY meanwhile.
    wake_by: Option<Instant>,
    /// Sends on their way into the ledger.
    writing: FuturesUnordered<BoxFuture<'static, Written>>,
    /// Sends that are in the ledger, each with the deadline of its caller, if that waits.
    sends: Vec<(Arc<Record>, Option<Instant>)>,
    /// What else needs a page that stands.
    held: VecDeque<Command>,
}

/// A send that was to be written down.
struct Written {
    deadline: Option<Instant>,
    reply: AcceptReply,
    result: Result<Accepted, SendError>,
}

impl Arrivals {
    pub(super) fn new(ledger: Ledger, limits: SendLimits) -> Self {
        Self {
            ledger,
            limits,
            pace: Pace::per_minute(limits.rate_per_minute),
            wake_by: None,
            writing: FuturesUnordered::new(),
            sends: Vec::new(),
            held: VecDeque::new(),
        }
    }

    /// How fast the session has sent, for the page that goes on.
    pub(super) const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// A page has ended that has sent as fast as this.
    pub(super) fn go_on_at(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// By when the session must be READY, if anybody needs it: as long as the first send waits.
    pub(super) const fn wake_by(&self) -> Option<Instant> {
        self.wake_by
    }

    /// Somebody needs the session.
    pub(super) fn wake(&mut self, now: Instant) {
        self.wake_by.get_or_insert(now + self.limits.wait);
    }

    /// Takes in what needs a page while there is none, and gives back what does not; `account`: whose page it will be.
    pub(super) fn take(
        &mut self,
        command: Command,
        account: Option<String>,
        now: Instant,
    ) -> Option<Command> {
        match self.hold_back(command, now)? {
            Command::Page(PageCommand::Send {
                new,
                deadline,
                reply,
            }) => self.write_down(NewSend { account, ..new }, deadline, reply),
            Command::Page(PageCommand::Remove { key }) => {
                self.sends.retain(|(record, _)| record.key != key);
            }
            // Of a Chrome that is gone.
            Command::Page(PageCommand::Measured { .. }) => {}
            command @ (Command::Life(_)
            | Command::Page(PageCommand::Check { .. } | PageCommand::Evidence { .. })) => {
                return Some(command);
            }
        }
        None
    }

    /// Keeps what only a page that stands can do, and gives back everything else: a page that is loading takes sends.
    pub(super) fn hold_back(&mut self, command: Command, now: Instant) -> Option<Command> {
        match command {
            Command::Life(LifeCommand::Disconnect { logout: true, .. })
            | Command::Page(PageCommand::Check { .. } | PageCommand::Evidence { .. }) => {
                self.wake(now);
                if self.held.len() < COMMAND_CAPACITY {
                    self.held.push_back(command);
                } else {
                    refuse(command, no_room());
                }
                None
            }
            command @ (Command::Life(_) | Command::Page(_)) => Some(command),
        }
    }

    fn write_down(&mut self, new: NewSend, deadline: Option<Instant>, reply: AcceptReply) {
        let no_place = self.no_place(deadline, Instant::now());
        let ledger = self.ledger.clone();
        let write = async move {
            let accepted = match no_place {
                None => ledger.accept(new).await.map_err(SendError::from),
                // A repetition needs none.
                Some(why) => match ledger.known(&new).await {
                    Ok(known) => known.ok_or(why),
                    Err(why) => Err(why.into()),
                },
            };
            Written {
                deadline,
                reply,
                result: accepted,
            }
        };
        self.writing.push(write.boxed());
    }

    /// Why one more send is not taken in: too many wait, or its turn does not come in time.
    fn no_place(&self, deadline: Option<Instant>, now: Instant) -> Option<SendError> {
        let ahead = self.sends.len() + self.writing.len();
        if self.limits.queue_max.get() <= ahead {
            return Some(no_room());
        }
        let due = self.pace.due(ahead, now);
        let deadline = deadline.filter(|deadline| *deadline <= due)?;
        Some(SendError::TurnNotCome {
            retry_after: due - deadline,
        })
    }

    /// The next send is in the ledger, and its caller has been told; `None` when none is on its way. One that is new wakes
    /// the session, one that was accepted before does not.
    pub(super) async fn written(&mut self) -> Option<()> {
        let Written {
            deadline,
            reply,
            result,
        } = self.writing.next().await?;
        if let Ok(Accepted::New(followed)) = &result {
            let record = Arc::clone(&followed.borrow());
            self.sends.push((record, deadline));
            self.wake(Instant::now());
        }
        answer(reply, result);
        Some(())
    }

    /// Waits for the sends on their way into the ledger. A caller whose send the disk does not take in time finds it there
    /// itself.
    pub(super) async fn settle(&mut self) {
        let all = async { while self.written().await.is_some() {} };
        if timeout(SETTLE_TIMEOUT, all).await.is_err() {
            tracing::warn!("the disk does not keep up: some sends are still being written down");
            self.writing.clear();
        }
    }

    /// The sends for the page, each once.
    pub(super) fn take_sends(&mut self) -> Vec<(Arc<Record>, Option<Instant>)> {
        std::mem::take(&mut self.sends)
    }

    /// The session is awake, or is not going to be. The next of what was kept for that.
    pub(super) fn next_held(&mut self) -> Option<Command> {
        self.wake_by = None;
        self.held.pop_front()
    }

    /// There will be no page: tells those who wait. What was accepted for later stays in the ledger.
    pub(super) fn refuse(&mut self, why: &SendError) {
        // A caller that is told nothing looks into the ledger.
        self.writing.clear();
        for (record, deadline) in self.take_sends() {
            if deadline.is_some() {
                let step = Step::Failed(Failure::SessionEnded, why.to_string());
                self.ledger.note(&record.key, step);
            }
        }
        while let Some(command) = self.next_held() {
            refuse(command, why.clone());
        }
    }
}

const fn no_room() -> SendError {
    SendError::QueueFull {
        retry_after: ROOM_AFTER,
    }
}

fn refuse(command: Command, why: SendError) {
    match command {
        Command::Page(command) => command.refuse(why),
        // It is linked, as far as anybody knows.
        Command::Life(LifeCommand::Disconnect { reply, .. }) => {
            answer(
                reply,
                Err(DisconnectError::LogoutUnconfirmed(why.to_string())),
            );
        }
        Command::Life(LifeCommand::Connect { reply, .. }) => answer(reply, Ok(false)),
        Command::Life(LifeCommand::Forget { reply }) => answer(reply, Err(ForgetError::Running)),
    }
}
