//! What can go wrong with a request to a session. `http::error` maps each cause to its status; the sentences here name
//! the routes and settings by which a person can help.

use std::{fmt, time::Duration};

use jiff::Timestamp;

use super::{ClienteId, InvalidAssertion, Reason, ReasonCode, Recipient, SessionState, Snapshot};
use crate::{
    ledger::{Failure, LedgerError, Record},
    whatsapp::{ChatActError, FetchError, NoticeError, PageReadError, PrepareError, TargetError},
};

/// Why a connect did not bring the session up.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConnectError {
    /// The session failed; the reason says how and what to do.
    #[error("{}", .0.detail)]
    Failed(Reason),
    /// The session runs, but there is no code to link by phone number; the reason says why and what to do.
    #[error("{}", .0.detail)]
    NotPaired(Reason),
    /// The session is linked, and not to the phone number that was given. Both show their last digits only.
    #[error(
        "phone ({phone}) is not the number that this session is linked to ({account}): leave phone out to use that account, or unlink it first (POST /disconnect with \"logout\": true)"
    )]
    LinkedToAnother {
        /// What the caller gave.
        phone: Recipient,
        /// What the session has.
        account: Recipient,
    },
    /// Another session is linked to the number that a pairing code was asked for. Nothing was done.
    #[error("{}", linked_elsewhere(session.as_ref()))]
    LinkedElsewhere {
        /// Which, if the caller may know.
        session: Option<ClienteId>,
    },
    /// There is no room for another session; it says what is lacking, with the figures.
    #[error("{0}")]
    Full(Full),
    /// The service is stopping.
    #[error("the service is shutting down")]
    ShuttingDown,
}

/// Why a page did not give the file of a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Only a session that is up has a page that can.
    #[error("the session is {0}: its page brings files only while it is READY")]
    NotRunning(&'static str),
    /// Neither WhatsApp's servers nor the phone have it any more, or the message was deleted.
    #[error("the file is gone: {0}")]
    Gone(String),
    /// WhatsApp's servers do not have it any more, and the phone has not uploaded it again yet.
    #[error(
        "WhatsApp's servers do not have the file any more; the phone was asked to upload it again: see that it is on and has a network, and ask again"
    )]
    AwaitsPhone,
    /// It has more bytes than were wanted.
    #[error(
        "the file is larger than MEDIA_DOWNLOAD_MAX_MB allows to fetch before a caller asks for it"
    )]
    TooLarge,
    /// WhatsApp Web could not bring it.
    #[error("WhatsApp Web could not bring the file: {0}")]
    Failed(String),
    /// The page gave no answer, or was closed: the same may work in a moment.
    #[error("the page did not answer: {0}")]
    NoAnswer(String),
    /// The service is stopping.
    #[error("the service is shutting down")]
    ShuttingDown,
}

impl From<FetchError> for FileError {
    fn from(why: FetchError) -> Self {
        match why {
            FetchError::Gone(why) => Self::Gone(why),
            FetchError::AwaitsPhone => Self::AwaitsPhone,
            FetchError::TooLarge => Self::TooLarge,
            FetchError::Failed(why) | FetchError::Lacking(why) => Self::Failed(why),
            FetchError::NoAnswer(why) => Self::NoAnswer(why),
            FetchError::NotWanted => Self::Failed("it could not be taken".to_owned()),
        }
    }
}

/// What a caller can do who asks for a pairing code for a number that another session has.
fn linked_elsewhere(session: Option<&ClienteId>) -> String {
    let other = session.map_or_else(
        || "another session of this service".to_owned(),
        |id| format!("session {id} of this service"),
    );
    format!(
        "{other} is linked to this phone number, and WhatsApp removes that device when a pairing code is asked for; nothing was done: \
         use that session, or leave phone out and scan the QR code, which links one more device; \"force\": true asks for the code all the same"
    )
}

/// There is no room for another session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// How many sessions run.
    pub running: usize,
    /// How many may (`MAX_SESSIONS`).
    pub limit: usize,
    /// How much memory is free, where that is known.
    pub free_mb: Option<u64>,
    /// How much must be.
    pub needed_mb: u64,
    /// How much each start that is under way still takes.
    pub(super) start_mb: u64,
    pub(super) lacks: Lack,
}

/// What there is too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    Place,
    Memory,
}

/// Why a disconnect did not finish.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DisconnectError {
    /// `logout` was asked for and WhatsApp did not confirm it: the profile is kept, the device may still be linked.
    #[error(
        "WhatsApp did not confirm the logout ({0}); the profile is kept: try again, or remove the device on the phone"
    )]
    LogoutUnconfirmed(String),
    /// `logout` was asked for, but a device can only be unlinked by a session that is up.
    #[error("the session is not linked and running; connect it first, then log out")]
    NotLinked,
    /// The service is stopping.
    #[error("the service is shutting down")]
    ShuttingDown,
}

/// Why the notice over the chats was not closed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DismissError {
    /// None is there, or another one than a moment ago.
    #[error(
        "no notice that only wants to be closed lies over the chats of this session: `notice` of GET /status has the first words of one"
    )]
    NoNotice,
    /// The dialog asks something.
    #[error(
        "the dialog over the chats asks something, and the service answers no question: POST /sessions/{{id}}/evidence shows it, where EVIDENCE_OF_CHATS allows that"
    )]
    WithChoice,
    /// There is no page.
    #[error("the session is not running: POST /connect starts it")]
    NotRunning,
    /// The page did not close it.
    #[error(
        "the notice was not closed ({0}): disconnect and connect the session, which loads its page again"
    )]
    Stays(String),
}

impl From<NoticeError> for DismissError {
    fn from(why: NoticeError) -> Self {
        match why {
            NoticeError::None => Self::NoNotice,
            NoticeError::WithChoice => Self::WithChoice,
            NoticeError::Stays(why) => Self::Stays(why),
        }
    }
}

/// Why a session was not forgotten. All is as before.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ForgetError {
    /// It runs, or is about to be started again.
    #[error("the session runs: end it first (POST /disconnect), then delete it")]
    Running,
    /// It has an account.
    #[error(
        "the session is linked to an account, or may be: only a logout deletes that (POST /connect, then POST /disconnect with \"logout\": true)"
    )]
    Linked,
    /// Something of it could not be deleted.
    #[error("not everything of the session could be deleted: {0}")]
    Failed(String),
    /// The service is stopping.
    #[error("the service is shutting down")]
    ShuttingDown,
}

/// Why a step of linking with a passkey was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyError {
    /// Nothing waits for it; it says what to do instead.
    #[error("{0}")]
    NonePending(String),
    /// The signature is of another challenge than the one that waits.
    #[error(
        "the assertion signs another challenge than the one that waits: that one is over, or of another session; GET this path, and sign what it gives"
    )]
    OtherChallenge,
    /// A field of the assertion cannot be right.
    #[error(transparent)]
    Invalid(#[from] InvalidAssertion),
    /// WhatsApp said no; its own word.
    #[error(
        "WhatsApp refused ({0}); the next attempt begins by itself: GET /sessions/{{id}}/passkey has its challenge in a moment"
    )]
    Refused(String),
    /// The page broke, or has no way to do it.
    #[error("the page could not do it: {0}")]
    Failed(String),
    /// The service is stopping.
    #[error("the service is shutting down")]
    ShuttingDown,
}

impl PasskeyError {
    /// The session is in a state in which no passkey is wanted.
    pub fn in_state(state: &str) -> Self {
        Self::NonePending(format!(
            "no passkey is wanted: the session is {state}; WhatsApp may ask for one after a code was scanned"
        ))
    }
}

/// Why nothing was read out of a session's page.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadingError {
    /// The session cannot be asked now.
    #[error("{0}")]
    Session(SendError),
    /// The page is asked for something else, or sends, and others wait already.
    #[error(
        "this session is asked for more than it reads at once, or has much to send: try again in a few seconds"
    )]
    Busy,
    /// The page did not read it.
    #[error("{0}")]
    Read(#[from] PageReadError),
}

/// Why a message was not sent, or is not known to be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError {
    /// The session cannot send now. Nothing was sent.
    #[error("WhatsApp session not ready")]
    NotReady {
        /// Its state, as on the wire.
        state: &'static str,
        /// Why it is in that state, when that is known.
        reason: Option<Reason>,
        /// When the service starts it again, while it waits for that.
        retry_at: Option<Timestamp>,
    },
    /// The number has no WhatsApp account. Nothing was sent.
    #[error("the number is not on WhatsApp")]
    NotOnWhatsApp,
    /// The account is not in the group. Nothing was sent.
    #[error(
        "the account is in no group with this address, or may not write there; nothing was sent"
    )]
    NotInGroup,
    /// The message that it was to answer is not in the chat, or cannot be answered. Nothing was sent.
    #[error(
        "the message in quote is not in this chat, or cannot be answered; nothing was sent: give the id that GET /events has for it, or leave quote out"
    )]
    NoQuote,
    /// The message that something was to be done to is not there.
    #[error(
        "the message is not in this account's chats, or was deleted; nothing was done: give the id that GET /events or the answer to its sending has"
    )]
    NoMessage,
    /// WhatsApp does not let the message be edited.
    #[error(
        "WhatsApp does not let this message be edited, some 15 minutes after it was sent, or unless it is a text or caption of this account; nothing was done: send another message"
    )]
    NotEditable,
    /// WhatsApp does not let the message be deleted for everybody.
    #[error(
        "WhatsApp does not let this message be deleted for everybody: it is another person's, or older than some two days; nothing was done: {{\"for\": \"me\"}} deletes it for this account"
    )]
    NotRevocable,
    /// The account has no chat with this address.
    #[error(
        "the account has no chat with this address yet; nothing was done: send a message first, or wait for one"
    )]
    NoChat,
    /// The page refused or broke before it took the message. Nothing was sent.
    #[error("{0}")]
    Failed(String),
    /// WhatsApp took the message and gave it up. Nothing was delivered.
    #[error("{0}")]
    GivenUp(String),
    /// The caller took it back before its turn came.
    #[error("the message was cancelled; nothing was sent")]
    Cancelled,
    /// The session has been linked to another account since. Nothing was sent.
    #[error("{0}")]
    OtherAccount(String),
    /// The same idempotency key came with another request. Nothing was sent.
    #[error("this idempotency key was used for another request: use a new key for each message")]
    KeyReused,
    /// What is sent could not be written down first, so nothing was sent.
    #[error("nothing was sent: the ledger in DATA_DIR cannot be used: {0}")]
    LedgerUnavailable(String),
    /// The message may or may not have been sent.
    #[error(
        "it is not known whether the message was sent ({detail}); look at the phone before sending it again"
    )]
    Unconfirmed {
        /// The id to ask for it by.
        message_id: String,
        /// What interrupted it.
        detail: String,
    },
    /// The profile is older than what was sent to this recipient, who would not see the message. Nothing was sent.
    #[error("nothing was sent: {0}")]
    ProfileStale(String),
    /// As many sends as the queue holds are waiting. Nothing was sent.
    #[error("as many messages wait for this session as SEND_QUEUE_MAX allows; try again later")]
    QueueFull {
        /// When a place may be free.
        retry_after: Duration,
    },
    /// Its turn does not come in time (`SEND_RATE_PER_MINUTE`, `SEND_WAIT_SECONDS`). Nothing was sent.
    #[error(
        "its turn does not come in time; nothing was sent: try again later, or send it with \"async\": true"
    )]
    TurnNotCome {
        /// When its turn may come in time.
        retry_after: Duration,
    },
    /// The service is stopping. Nothing was sent.
    #[error("the service is shutting down")]
    ShuttingDown,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            running,
            limit,
            free_mb,
            needed_mb,
            start_mb,
            lacks,
        } = self;
        match lacks {
            Lack::Place => write!(
                f,
                "{running} sessions run, and MAX_SESSIONS allows {limit}: disconnect one, or raise it"
            ),
            Lack::Memory => write!(
                f,
                "not enough memory for another session: {} MB are free and {needed_mb} MB are needed (MIN_FREE_MEMORY_MB, \
                 and {start_mb} MB more for each session that is still starting); {running} of {limit} sessions run: \
                 disconnect one, or give the machine more memory",
                free_mb.unwrap_or_default()
            ),
        }
    }
}

impl From<Full> for ConnectError {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

impl From<LedgerError> for SendError {
    fn from(why: LedgerError) -> Self {
        Self::LedgerUnavailable(why.to_string())
    }
}

impl From<PrepareError> for SendError {
    fn from(why: PrepareError) -> Self {
        match why {
            PrepareError::NotOnWhatsApp => Self::NotOnWhatsApp,
            PrepareError::NotInGroup => Self::NotInGroup,
            PrepareError::Target(TargetError::NoMessage) => Self::NoMessage,
            PrepareError::Target(TargetError::NotEditable) => Self::NotEditable,
            PrepareError::Target(TargetError::NotRevocable) => Self::NotRevocable,
            PrepareError::Stale(why) => Self::ProfileStale(why),
            PrepareError::Failed(_)
            | PrepareError::Unanswered(_)
            | PrepareError::NotUploaded(_)
            | PrepareError::MediaRefused(_)
            | PrepareError::Silent(_)
            | PrepareError::Interrupted(_) => Self::Failed(why.to_string()),
        }
    }
}

impl From<ChatActError> for SendError {
    fn from(why: ChatActError) -> Self {
        match why {
            ChatActError::NoChat => Self::NoChat,
            ChatActError::Failed(why) => Self::Failed(why),
        }
    }
}

impl SendError {
    /// There is no such session: it was never connected.
    pub fn never_connected() -> Self {
        not_ready(&Snapshot::not_running(Timestamp::now()))
    }

    /// The session is not known any more; this is how it was when it still was.
    pub fn of_forgotten(last: &Snapshot) -> Self {
        not_ready(last)
    }

    /// Why a send that the ledger has as failed was not sent.
    pub(super) fn of_failed(record: &Record) -> Self {
        let detail = record.detail.clone().unwrap_or_default();
        match record.failure {
            Some(Failure::NotOnWhatsApp) => Self::NotOnWhatsApp,
            Some(Failure::NotInGroup) => Self::NotInGroup,
            Some(Failure::NoQuote) => Self::NoQuote,
            Some(Failure::NoMessage) => Self::NoMessage,
            Some(Failure::NotEditable) => Self::NotEditable,
            Some(Failure::NotRevocable) => Self::NotRevocable,
            Some(Failure::NotTaken | Failure::NotChecked | Failure::NotUploaded) | None => {
                Self::Failed(detail)
            }
            Some(Failure::GivenUp) => Self::GivenUp(detail),
            Some(Failure::ProfileStale) => Self::ProfileStale(detail),
            Some(Failure::TurnNotCome) => Self::TurnNotCome {
                retry_after: Duration::ZERO,
            },
            Some(Failure::SessionEnded | Failure::Interrupted) => Self::NotReady {
                state: SessionState::Disconnected.name(),
                reason: None,
                retry_at: None,
            },
            Some(Failure::OtherAccount) => Self::OtherAccount(detail),
            Some(Failure::NotWritten) => Self::LedgerUnavailable(detail),
        }
    }
}

/// The refusal of a send while the session cannot send.
pub(super) fn not_ready(snapshot: &Snapshot) -> SendError {
    let is_off = snapshot.state == SessionState::Disconnected;
    let not_connected = || is_off.then(|| Reason::of(ReasonCode::NotConnected));
    SendError::NotReady {
        state: snapshot.state.name(),
        reason: snapshot.reason.clone().or_else(not_connected),
        retry_at: snapshot.retry_at,
    }
}
