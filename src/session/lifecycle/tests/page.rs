//! A scripted page: does what the test says, and tells the test what was asked of it.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex},
};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    browser::Closed,
    masked::WaId,
    session::Phase,
    whatsapp::{
        AdapterName, Driver, Fact, HandOverError, Handed, LeftOut, LogoutError, LookUp,
        LookUpError, OpenError, Outgoing, PageEvidence, PairingError, PrepareError, Prepared,
        Silence,
    },
};

/// A page that does what the test says.
#[derive(Debug)]
pub(super) struct Scripted {
    script: Script,
}

/// What all of a session's pages do.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) calls: mpsc::Sender<Call>,
    /// The phase that never ends.
    pub(super) stuck_in: Option<Phase>,
    pub(super) plan: Plan,
}

/// What a page answers, one after the other, when the test lets it; once none is left, what a healthy one does.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) opens: Answers<()>,
    pub(super) prepares: Answers<()>,
    pub(super) hand_overs: Answers<Result<(), HandOverError>>,
    pub(super) look_ups: Answers<Result<Option<i32>, LookUpError>>,
    pub(super) logouts: Answers<Result<(), LogoutError>>,
    pub(super) pings: Answers<Result<(), Silence>>,
    pub(super) closes: Answers<()>,
}

#[derive(Clone, Debug)]
pub(super) struct Answers<T>(Arc<Mutex<VecDeque<oneshot::Receiver<T>>>>);

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: std::fmt::Debug> Answers<T> {
    /// Answers so at once.
    pub(super) fn plan(&self, answer: T) {
        self.hold().send(answer).unwrap();
    }

    /// Answers when the test says so.
    pub(super) fn hold(&self) -> oneshot::Sender<T> {
        let (answer, held) = oneshot::channel();
        self.0.lock().unwrap().push_back(held);
        answer
    }

    /// A page that is held by a test which has ended never answers.
    pub(super) async fn next(&self) -> Option<T> {
        let held = self.0.lock().unwrap().pop_front()?;
        match held.await {
            Ok(answer) => Some(answer),
            Err(_) => std::future::pending().await,
        }
    }
}

/// What a session did to its page.
#[derive(Debug)]
pub(super) enum Call {
    /// It was opened; here are the page's lips.
    Opened(mpsc::Sender<Fact>),
    RefreshCodes,
    Reloaded,
    /// For which number, and whether in place of an expired one.
    PairingCode(String, bool),
    /// Only where the answer was planned.
    Prepared,
    HandedOver(Outgoing),
    /// By which full id.
    LookedUp(String),
    LoggedOut,
    TakenOver,
    LookedAt,
    Closed,
}

impl Driver for Scripted {
    type Settings = Script;

    async fn open(
        script: &Script,
        _profile: &Path,
        facts: mpsc::Sender<Fact>,
        stop: CancellationToken,
    ) -> Result<Self, OpenError> {
        if script.stuck_in == Some(Phase::Launch) {
            stop.cancelled().await;
        }
        let open = async {
            script.plan.opens.next().await;
            script.calls.send(Call::Opened(facts)).await
        };
        let opened = stop.run_until_cancelled(open).await;
        opened.ok_or(OpenError::Cancelled)?.unwrap();
        Ok(Self {
            script: script.clone(),
        })
    }

    async fn navigate(&self) -> Result<(), String> {
        if self.script.stuck_in == Some(Phase::Navigate) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn reload(&self) -> Result<(), String> {
        self.script.calls.send(Call::Reloaded).await.unwrap();
        Ok(())
    }

    async fn ping(&self) -> Result<(), Silence> {
        self.script.plan.pings.next().await.unwrap_or(Ok(()))
    }

    fn chrome_pid(&self) -> Option<u32> {
        None
    }

    async fn refresh_codes(&self) -> Result<(), String> {
        self.script.calls.send(Call::RefreshCodes).await.unwrap();
        Ok(())
    }

    async fn request_pairing_code(
        &self,
        phone: &str,
        is_renewal: bool,
    ) -> Result<(), PairingError> {
        let asked = Call::PairingCode(phone.to_owned(), is_renewal);
        self.script.calls.send(asked).await.unwrap();
        if phone.ends_with("0000") {
            return Err(PairingError::Refused("no such account".to_owned()));
        }
        Ok(())
    }

    async fn check_number(&self, _number: &str) -> Result<Option<WaId>, PrepareError> {
        Ok(None)
    }

    async fn look_up(&self, look_up: &LookUp) -> Result<Option<i32>, LookUpError> {
        let asked = Call::LookedUp(look_up.message_id.clone().into());
        self.script.calls.send(asked).await.unwrap();
        self.script.plan.look_ups.next().await.unwrap_or(Ok(None))
    }

    async fn prepare(&self, outgoing: &Outgoing) -> Result<Prepared, PrepareError> {
        if outgoing.to.ends_with("0000") {
            return Err(PrepareError::NotOnWhatsApp);
        }
        if !self.script.plan.prepares.0.lock().unwrap().is_empty() {
            self.script.calls.send(Call::Prepared).await.unwrap();
            self.script.plan.prepares.next().await;
        }
        let chat = WaId::from(format!("{}@c.us", &*outgoing.to));
        Ok(Prepared {
            adapter: AdapterName::Modules,
            message_id: Some(message_id(&chat, outgoing)),
            chat,
        })
    }

    async fn hand_over(
        &self,
        prepared: &Prepared,
        outgoing: &Outgoing,
    ) -> Result<Handed, HandOverError> {
        self.script
            .calls
            .send(Call::HandedOver(outgoing.clone()))
            .await
            .unwrap();
        let answer = self.script.plan.hand_overs.next().await;
        answer.unwrap_or(Ok(()))?;
        Ok(Handed {
            key: outgoing.key.clone(),
            message_id: message_id(&prepared.chat, outgoing),
        })
    }

    async fn take_over(&self) -> Result<(), String> {
        self.script.calls.send(Call::TakenOver).await.unwrap();
        Ok(())
    }

    async fn log_out(&self) -> Result<(), LogoutError> {
        self.script.calls.send(Call::LoggedOut).await.unwrap();
        self.script.plan.logouts.next().await.unwrap_or(Ok(()))
    }

    async fn evidence(&self) -> PageEvidence {
        self.script.calls.send(Call::LookedAt).await.unwrap();
        // Paused time passes only when every task waits: whoever asks at once has asked by the time of the answer.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        PageEvidence {
            url: Some("about:blank".to_owned()),
            title: None,
            chrome_version: "156.0.0.0".to_owned(),
            console: Err(LeftOut::Chats),
            screenshot: Ok(vec![1]),
        }
    }

    async fn close(self) -> Closed {
        self.script.calls.send(Call::Closed).await.unwrap();
        self.script.plan.closes.next().await;
        Closed::Asked
    }
}

pub(super) fn message_id(chat: &str, outgoing: &Outgoing) -> WaId {
    format!("true_{chat}_{}", outgoing.key).into()
}
