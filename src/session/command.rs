//! What a session can be asked to do, and what a caller gets back.
//!
//! Vocabulary only: [`SessionHandle`](super::SessionHandle) sends the commands, the session's actor answers them.

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    Addressee, ConnectError, DisconnectError, DismissError, Evidence, EvidenceError, FileError,
    ForgetError, MemoryReport, NumberCheck, PasskeyAsk, PasskeyError, ReadingError, Recipient,
    SendError, Snapshot,
};
use crate::{
    ledger::{Accepted, NewSend},
    masked::WaId,
    stored::NumberFacts,
    whatsapp::{Answered, ChatAct, Question},
};

/// Commands that may wait for the actor. It takes each within microseconds, but for starts and disconnects while it
/// closes a Chrome.
pub(super) const COMMAND_CAPACITY: usize = 64;

/// What a session can be asked to do. Each is safe to repeat.
#[derive(Debug)]
pub(super) enum Command {
    /// Starts, ends or deletes the session.
    Life(LifeCommand),
    /// Something that only a page can do.
    Page(PageCommand),
}

/// Starts, ends or deletes a session. Answered in every stage, in some of them only later.
#[derive(Debug)]
pub(super) enum LifeCommand {
    /// Start unless running. Answered at once with whether it was READY already.
    Connect {
        /// The number to link by a code that is typed, in addition to the one that is scanned; `None` leaves that as it is.
        phone: Option<PhoneToLink>,
        /// Who asks.
        asked_by: AskedBy,
        /// Gets `true` when the session was READY before.
        reply: oneshot::Sender<Result<bool, ConnectError>>,
    },
    /// Close Chrome; with `logout` unlink the device first and delete the profile. Answered when done.
    Disconnect {
        /// Unlink on WhatsApp too.
        logout: bool,
        /// Gets the outcome.
        reply: oneshot::Sender<Result<DisconnectOutcome, DisconnectError>>,
    },
    /// Delete what there is of a session that does not run and is not linked. Answered when done.
    Forget {
        /// Gets the outcome.
        reply: oneshot::Sender<Result<(), ForgetError>>,
    },
}

/// The phone that is to link a session by a code that is typed on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhoneToLink {
    /// Its number.
    pub number: Recipient,
    /// Also when another session has its account: WhatsApp then removes the device of that session.
    pub force: bool,
}

/// Who asks a session to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskedBy {
    /// A caller, now.
    Caller,
    /// The desired state of an earlier service: not done if a caller has disconnected the session since.
    Restore,
}

/// Asks something of the page. A session that has none refuses it at once, unless it hibernates: then it waits for the next page.
#[derive(Debug)]
pub(super) enum PageCommand {
    /// Look at the page and keep what is seen. Answered when that is done.
    Evidence {
        /// Gets what was kept.
        reply: oneshot::Sender<Result<Evidence, EvidenceError>>,
    },
    /// Press the only button of the notice over the chats. Answered when it is gone, with its first words.
    DismissNotice {
        /// Gets what the notice said.
        reply: oneshot::Sender<Result<String, DismissError>>,
    },
    /// Write a send down, to be sent in its turn. Answered as soon as it is on disk.
    Send {
        /// What to send.
        new: NewSend,
        /// By when its turn must have come, when its caller waits for it.
        deadline: Option<Instant>,
        /// Gets a way to follow it.
        reply: AcceptReply,
    },
    /// Find out whether a number is on WhatsApp.
    Check {
        /// The number, or the address of a chat.
        to: Addressee,
        /// Gets what is known.
        reply: CheckReply,
    },
    /// Give the file of a message, slice by slice. Answered when all of it was taken.
    Media {
        /// The full id of the message.
        message: WaId,
        /// Only if it has no more bytes than these.
        most: Option<u64>,
        /// Gets the slices.
        sink: mpsc::Sender<Bytes>,
        /// Gets the outcome.
        reply: oneshot::Sender<Result<(), FileError>>,
    },
    /// Read something out of the page, in its turn. Answered when that is read, or has waited too long.
    Read {
        /// What.
        read: Read,
        /// Gets the answer.
        reply: ReadReply,
    },
    /// Mark a chat as read, or show there that the owner types. Answered when the page has done it.
    InChat {
        /// The chat.
        to: Addressee,
        /// What.
        act: ChatAct,
        /// Gets the outcome.
        reply: InChatReply,
    },
    /// Take a step of linking with a passkey. Answered when the page has taken it, and a signature when WhatsApp has said what
    /// becomes of it, or after some seconds.
    Passkey {
        /// Which step.
        ask: PasskeyAsk,
        /// Gets the outcome.
        reply: oneshot::Sender<Result<(), PasskeyError>>,
    },
    /// A send has been taken back: its place in the queue is free. Not answered; the ledger knows all there is to know.
    Remove {
        /// Its own id.
        key: String,
    },
    /// This much memory was taken by a Chrome. Not answered.
    Measured {
        /// Its main process: it may be gone by now.
        chrome_pid: u32,
        /// How much.
        memory: MemoryReport,
    },
}

impl PageCommand {
    /// There is no page: refuses the caller, a sender with `why`.
    pub(super) fn refuse(self, why: SendError) {
        match self {
            Self::Evidence { reply } => answer(reply, Err(EvidenceError::NotRunning)),
            Self::DismissNotice { reply } => answer(reply, Err(DismissError::NotRunning)),
            Self::Send { reply, .. } => answer(reply, Err(why)),
            Self::Check { reply, .. } => answer(reply, Err(why)),
            Self::Media { reply, .. } => answer(
                reply,
                Err(if let SendError::NotReady { state, .. } = why {
                    FileError::NotRunning(state)
                } else {
                    FileError::ShuttingDown
                }),
            ),
            Self::Read { reply, .. } => answer(reply, Err(ReadingError::Session(why))),
            Self::InChat { reply, .. } => answer(reply, Err(why)),
            Self::Passkey { reply, .. } => answer(
                reply,
                Err(if let SendError::NotReady { state, .. } = why {
                    PasskeyError::in_state(state)
                } else if matches!(why, SendError::ShuttingDown) {
                    PasskeyError::ShuttingDown
                } else {
                    PasskeyError::Failed(why.to_string())
                }),
            ),
            // No page, no queue and no Chrome.
            Self::Remove { .. } | Self::Measured { .. } => {}
        }
    }
}

/// To a caller who wants a message sent.
pub(super) type AcceptReply = oneshot::Sender<Result<Accepted, SendError>>;

/// To a caller who only wants to know.
pub(super) type CheckReply = oneshot::Sender<Result<NumberCheck, SendError>>;

/// What a caller wants to read.
#[derive(Clone, Debug)]
pub(super) enum Read {
    /// What the page has.
    OfPage(Question),
    /// Whom a number or a LID means; WhatsApp's server is asked about a number that is not known.
    Number(Addressee),
}

/// What a caller who reads gets.
#[derive(Debug)]
pub(super) enum ReadAnswer {
    /// The page's answer.
    OfPage(Answered),
    /// What is known of a number or a LID.
    Number(NumberFacts),
}

/// To a caller who wants to read.
pub(super) type ReadReply = oneshot::Sender<Result<ReadAnswer, ReadingError>>;
/// To a caller who wants something done in a chat.
pub(super) type InChatReply = oneshot::Sender<Result<(), SendError>>;

/// Answers a caller. One that has gone away wants no answer.
pub(super) fn answer<T>(reply: oneshot::Sender<T>, outcome: T) {
    drop(reply.send(outcome));
}

/// How far a connect waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitFor {
    /// Until the state is `READY`, a code can be shown, or the session failed, but no longer than this.
    Code(Duration),
    /// Until the state is `READY` or failed, but no longer than a quarter of an hour.
    Ready,
}

/// Where a connect has got to.
#[derive(Clone, Debug)]
pub struct ConnectOutcome {
    /// The session as it is now.
    pub snapshot: Snapshot,
    /// Whether it was READY before the call.
    pub already_connected: bool,
}

/// What a disconnect found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectOutcome {
    /// Nothing was running.
    NoActiveSession,
    /// Chrome closed as it was asked to, with everything written.
    Disconnected,
    /// Chrome had to be killed.
    DisconnectedWithErrors,
    /// The device is unlinked and the profile deleted.
    LoggedOut,
}
