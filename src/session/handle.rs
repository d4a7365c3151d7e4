//! What callers hold of a session: a way to ask, and the latest snapshot.
//!
//! Responsible for turning a request into a command and for waiting, with a deadline, until the session has got there.
//! Holds no browser; reading a snapshot never waits. `SessionHandle::send`, which follows its send in the ledger, stands in
//! `sending/submit.rs`.

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use super::{
    ClienteId, ConnectError, ConnectOutcome, DisconnectError, DisconnectOutcome, DismissError,
    Evidence, EvidenceError, FileError, ForgetError, MemoryReport, PasskeyAsk, PasskeyError,
    PhoneToLink, Reason, ReasonCode, Recipient, SendLimits, SessionState, Snapshot, WaitFor,
    command::{AskedBy, Command, LifeCommand, PageCommand},
};
use crate::{ledger::Ledger, masked::WaId};

/// The longest a caller waits for READY: codes are shown for five minutes unless told otherwise, and a first sync may
/// take as long again.
const READY_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// A way to one session. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SessionHandle {
    pub(super) session: ClienteId,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) snapshots: watch::Receiver<Snapshot>,
    pub(super) ledger: Ledger,
    pub(super) limits: SendLimits,
    /// Within which the same content is the same send, when its caller gives it no key.
    pub(super) dedup: Option<Duration>,
}

impl SessionHandle {
    /// The session as it is now.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshots.borrow().clone()
    }

    /// Every change from now on.
    pub fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.snapshots.clone()
    }

    /// Starts the session unless it runs, and waits as far as `wait` says. Any number of callers may do so at once:
    /// one Chrome starts and all get the same answer.
    pub async fn connect(&self, wait: WaitFor) -> Result<ConnectOutcome, ConnectError> {
        self.connect_by(None, wait).await
    }

    /// [`connect`](Self::connect), with a code that links the phone with this number: the wait is for that code.
    pub async fn connect_by_phone(
        &self,
        phone: PhoneToLink,
        wait: WaitFor,
    ) -> Result<ConnectOutcome, ConnectError> {
        let number = phone.number.clone();
        let outcome = self.connect_by(Some(phone), wait).await?;
        let ConnectOutcome { snapshot, .. } = &outcome;
        let account = snapshot.account.as_deref().and_then(Recipient::of_account);
        match (account, &snapshot.reason) {
            (Some(account), _) if !number.is_of_account(&account) => {
                Err(ConnectError::LinkedToAnother {
                    phone: number,
                    account,
                })
            }
            (_, Some(reason)) if reason.code.is_about_pairing() => {
                Err(ConnectError::NotPaired(reason.clone()))
            }
            (_, _) => Ok(outcome),
        }
    }

    async fn connect_by(
        &self,
        phone: Option<PhoneToLink>,
        wait: WaitFor,
    ) -> Result<ConnectOutcome, ConnectError> {
        let number = phone.as_ref().map(|phone| phone.number.clone());
        let mut already_connected = false;
        let connected = async {
            let answer = self.ask(connect(phone, AskedBy::Caller)).await;
            already_connected = answer.ok_or(ConnectError::ShuttingDown)??;
            self.arrives(wait, number.as_ref()).await
        };
        let patience = match wait {
            WaitFor::Code(patience) => patience,
            WaitFor::Ready => READY_PATIENCE,
        };
        let snapshot = match timeout(patience, connected).await {
            Ok(arrived) => arrived?,
            Err(_elapsed) => {
                let snapshot = self.snapshot();
                return Ok(ConnectOutcome {
                    snapshot,
                    already_connected,
                });
            }
        };
        if snapshot.state.is_running() {
            return Ok(ConnectOutcome {
                snapshot,
                already_connected,
            });
        }
        let reason = snapshot.reason.unwrap_or_else(|| {
            Reason::new(ReasonCode::Internal, "the session ended without a reason")
        });
        if reason.code == ReasonCode::ShuttingDown {
            return Err(ConnectError::ShuttingDown);
        }
        Err(ConnectError::Failed(reason))
    }

    /// Waits until the session has got as far as `wait` says, or has failed.
    async fn arrives(
        &self,
        wait: WaitFor,
        phone: Option<&Recipient>,
    ) -> Result<Snapshot, ConnectError> {
        let arrived = |snapshot: &Snapshot| match snapshot.state {
            SessionState::Init => false,
            SessionState::Authenticated => phone.is_some_and(|phone| {
                let account = snapshot.account.as_deref();
                account.is_some_and(|account| account != phone.digits())
            }),
            // A phone has taken a code already, and wants a passkey.
            SessionState::QrRequired { .. } if snapshot.passkey.is_some() => wait != WaitFor::Ready,
            SessionState::QrRequired { ref pairing, .. } if phone.is_some() => {
                let is_shown = pairing.as_ref().map(|pairing| &pairing.phone) == phone;
                let reason = snapshot.reason.as_ref();
                (is_shown && wait != WaitFor::Ready)
                    || reason.is_some_and(|reason| reason.code.is_about_pairing())
            }
            // The caller's next step is to show the code, so one that comes in a moment is waited for.
            SessionState::QrRequired { ref code, .. } => wait != WaitFor::Ready && code.is_some(),
            // It has been asked to wake, and takes sends meanwhile.
            SessionState::Hibernating => wait != WaitFor::Ready,
            SessionState::Ready | SessionState::Disconnected | SessionState::Error => true,
        };
        let mut snapshots = self.snapshots.clone();
        let reached = snapshots.wait_for(arrived).await;
        Ok(reached.map_err(|_| ConnectError::ShuttingDown)?.clone())
    }

    /// Asks the actor, and waits for its answer. `None` when it has ended.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.ok()?;
        answer.await.ok()
    }

    /// Whether its actor has ended: nothing will come of it any more.
    pub(super) fn is_gone(&self) -> bool {
        self.commands.is_closed()
    }

    /// Asks the session to start and waits for nothing.
    pub fn start(&self) {
        let (reply, _answer) = oneshot::channel();
        // A full mailbox means that other callers have asked already; a closed one that the service stops.
        let command = connect(None, AskedBy::Caller)(reply);
        if self.commands.try_send(command).is_err() {
            tracing::debug!("the session was not asked to start again");
        }
    }

    /// Asks the session to start, and waits until it has begun to: that there is a page is not waited for.
    pub(super) async fn start_for(&self, asked_by: AskedBy) -> Result<(), ConnectError> {
        let answer = self.ask(connect(None, asked_by)).await;
        answer.ok_or(ConnectError::ShuttingDown)?.map(drop)
    }

    /// Tells the session what its Chrome takes. One that is busy can do without: the next measurement follows soon.
    pub(super) fn tell_memory(&self, chrome_pid: u32, memory: MemoryReport) {
        let command = Command::Page(PageCommand::Measured { chrome_pid, memory });
        if self.commands.try_send(command).is_err() {
            tracing::debug!(session.id = %self.session, "a session was too busy to hear what its Chrome takes");
        }
    }

    /// Closes the session's Chrome and waits until it is gone; with `logout` unlinks the device and deletes the profile.
    pub async fn disconnect(&self, logout: bool) -> Result<DisconnectOutcome, DisconnectError> {
        let disconnect = |reply| Command::Life(LifeCommand::Disconnect { logout, reply });
        let answer = self.ask(disconnect).await;
        answer.ok_or(DisconnectError::ShuttingDown)?
    }

    /// Deletes what there is of the session, unless it runs or is linked.
    pub(super) async fn forget(&self) -> Result<(), ForgetError> {
        let forget = |reply| Command::Life(LifeCommand::Forget { reply });
        let answer = self.ask(forget).await;
        answer.ok_or(ForgetError::ShuttingDown)?
    }

    /// Closes the notice that lies over the chats of the running page. Answers its first words.
    pub async fn dismiss_notice(&self) -> Result<String, DismissError> {
        let dismiss = |reply| Command::Page(PageCommand::DismissNotice { reply });
        let answer = self.ask(dismiss).await;
        answer.ok_or(DismissError::NotRunning)?
    }

    /// Takes a step of linking with a passkey, and waits until the page has taken it; for a signature some seconds more, until
    /// WhatsApp has said what becomes of it.
    pub async fn passkey(&self, ask: PasskeyAsk) -> Result<(), PasskeyError> {
        let step = |reply| Command::Page(PageCommand::Passkey { ask, reply });
        // An actor that drops the reply has closed its page meanwhile.
        let answer = self.ask(step).await;
        answer.unwrap_or_else(|| Err(PasskeyError::in_state(self.snapshot().state.name())))
    }

    /// Has the page give the file of a message, named by its full id, slice by slice, if it has no more bytes than `most`. Answers when
    /// `sink` has all of it.
    pub async fn fetch_media(
        &self,
        message: WaId,
        most: Option<u64>,
        sink: mpsc::Sender<Bytes>,
    ) -> Result<(), FileError> {
        let fetch = |reply| {
            Command::Page(PageCommand::Media {
                message,
                most,
                sink,
                reply,
            })
        };
        // An actor that drops the reply has closed its page meanwhile.
        let closed = || FileError::NoAnswer("the session was closed".to_owned());
        self.ask(fetch).await.ok_or_else(closed)?
    }

    /// Looks at the running page and keeps what is seen as the session's evidence.
    pub async fn take_evidence(&self) -> Result<Evidence, EvidenceError> {
        let look = |reply| Command::Page(PageCommand::Evidence { reply });
        self.ask(look).await.ok_or(EvidenceError::NotRunning)?
    }
}

/// The command that starts a session.
fn connect(
    phone: Option<PhoneToLink>,
    asked_by: AskedBy,
) -> impl FnOnce(oneshot::Sender<Result<bool, ConnectError>>) -> Command {
    move |reply| {
        Command::Life(LifeCommand::Connect {
            phone,
            asked_by,
            reply,
        })
    }
}
