//! A scripted page: does what the test says, and tells the test what was asked of it.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
};
use tokio_util::sync::CancellationToken;

use super::scenario::ready;
use crate::{
    browser::Closed,
    masked::{Number, WaId},
    session::Phase,
    whatsapp::{
        AdapterName, Answered, ChatAct, ChatActError, Driver, Fact, FetchError, HandOverError,
        Handed, Hear, HearError, HeardBatch, LeftOut, LogoutError, LookUp, LookUpError,
        NoticeError, OpenError, Outgoing, PageEvidence, PageReadError, PairingError, PasskeyAct,
        PasskeyFailure, PrepareError, Prepared, Question, ResetError, Silence, Whose,
    },
};

/// A page that does what the test says.
#[derive(Debug)]
pub(super) struct Scripted {
    script: Script,
    facts: mpsc::Sender<Fact>,
}

/// What all of a session's pages do.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) calls: mpsc::Sender<Call>,
    pub(super) plan: Plan,
    /// Takes messages in place of the test, if it is there.
    pub(super) whatsapp: Option<WhatsApp>,
}

/// What a page answers, one after the other, when the test lets it; once none is left, what a healthy one does.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// The phase that never ends.
    pub(super) stuck_in: Arc<Mutex<Option<Phase>>>,
    /// What the page that was opened last can say something by.
    pub(super) facts: Arc<Mutex<Option<mpsc::Sender<Fact>>>>,
    pub(super) ears: super::hearing::Ears,
    pub(super) opens: Answers<()>,
    pub(super) prepares: Answers<()>,
    pub(super) hand_overs: Answers<Result<(), HandOverError>>,
    pub(super) look_ups: Answers<Result<Option<i32>, LookUpError>>,
    pub(super) readings: Answers<Result<Answered, PageReadError>>,
    pub(super) passkeys: Answers<Result<(), PasskeyFailure>>,
    pub(super) resets: Answers<Result<(), ResetError>>,
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
    async fn next(&self) -> Option<T> {
        let held = self.0.lock().unwrap().pop_front()?;
        match held.await {
            Ok(answer) => Some(answer),
            Err(_) => std::future::pending().await,
        }
    }
}

/// What a session did to its page.
#[derive(Debug, PartialEq)]
pub(super) enum Call {
    Opened,
    RefreshCodes,
    Reloaded,
    /// For which number, and whether in place of an expired one.
    PairingCode(String, bool),
    Passkey(PasskeyAct),
    /// Only where the answer was planned.
    Prepared,
    HandedOver(Outgoing),
    Reset(Whose),
    /// By which full id.
    LookedUp(String),
    /// Only where the answer was planned.
    Read(Question),
    InChat(String, ChatAct),
    LoggedOut,
    TakenOver,
    LookedAt,
    Closed,
}

impl Scripted {
    /// A test that has ended, or that plays no part for the page, hears nothing.
    async fn tell(&self, call: Call) {
        let _gone = self.script.calls.send(call).await;
    }
}

impl Driver for Scripted {
    type Settings = Script;

    async fn open(
        script: &Script,
        _profile: &Path,
        facts: mpsc::Sender<Fact>,
        stop: CancellationToken,
    ) -> Result<Self, OpenError> {
        if script.plan.is_stuck_in(Phase::Launch) {
            stop.cancelled().await;
        }
        let page = Self {
            script: script.clone(),
            facts: facts.clone(),
        };
        let open = async {
            script.plan.opens.next().await;
            *script.plan.facts.lock().unwrap() = Some(facts);
            page.tell(Call::Opened).await;
        };
        let opened = stop.run_until_cancelled(open).await;
        opened.ok_or(OpenError::Cancelled)?;
        Ok(page)
    }

    async fn navigate(&self) -> Result<(), String> {
        if self.script.plan.is_stuck_in(Phase::Navigate) {
            std::future::pending::<()>().await;
        }
        if let Some(whatsapp) = &self.script.whatsapp {
            whatsapp.on_page(&self.facts).await;
        }
        Ok(())
    }

    async fn reload(&self) -> Result<(), String> {
        self.tell(Call::Reloaded).await;
        Ok(())
    }

    async fn ping(&self) -> Result<(), Silence> {
        self.script.plan.pings.next().await.unwrap_or(Ok(()))
    }

    fn freezer(&self) -> Option<crate::browser::Freezer> {
        None
    }

    fn chrome_pid(&self) -> Option<u32> {
        None
    }

    async fn refresh_codes(&self) -> Result<(), String> {
        self.tell(Call::RefreshCodes).await;
        Ok(())
    }

    async fn request_pairing_code(
        &self,
        phone: &str,
        is_renewal: bool,
    ) -> Result<(), PairingError> {
        self.tell(Call::PairingCode(phone.to_owned(), is_renewal))
            .await;
        if phone.ends_with("0000") {
            return Err(PairingError::Refused("no such account".to_owned()));
        }
        Ok(())
    }

    async fn passkey(&self, act: &PasskeyAct) -> Result<(), PasskeyFailure> {
        self.tell(Call::Passkey(act.clone())).await;
        self.script.plan.passkeys.next().await.unwrap_or(Ok(()))
    }

    async fn check_number(&self, number: &str) -> Result<Option<WaId>, PrepareError> {
        let is_there = !number.ends_with("0000");
        Ok(is_there.then(|| WaId::from(format!("{number}@c.us"))))
    }

    async fn look_up(&self, look_up: &LookUp) -> Result<Option<i32>, LookUpError> {
        let id = match look_up {
            LookUp::Message { message_id, .. } => message_id.clone().into(),
            LookUp::Action(outgoing) => outgoing.key.clone(),
        };
        self.tell(Call::LookedUp(id)).await;
        if let Some(whatsapp) = &self.script.whatsapp {
            return Ok(whatsapp.look_up(look_up.key()).await);
        }
        self.script.plan.look_ups.next().await.unwrap_or(Ok(None))
    }

    async fn prepare(&self, outgoing: &Outgoing) -> Result<Prepared, PrepareError> {
        if outgoing.to.ends_with("0000") {
            return Err(PrepareError::NotOnWhatsApp);
        }
        if !self.script.plan.prepares.0.lock().unwrap().is_empty() {
            self.tell(Call::Prepared).await;
            self.script.plan.prepares.next().await;
        }
        yield_now().await;
        let chat = WaId::from(format!("{}@c.us", &*outgoing.to));
        Ok(Prepared {
            adapter: AdapterName::Modules,
            message_id: Some(message_id(&chat, outgoing)),
            chat,
        })
    }

    async fn reset_sessions(&self, whose: &Whose) -> Result<(), ResetError> {
        self.tell(Call::Reset(whose.clone())).await;
        self.script.plan.resets.next().await.unwrap_or(Ok(()))
    }

    async fn hand_over(
        &self,
        prepared: &Prepared,
        outgoing: &Outgoing,
    ) -> Result<Handed, HandOverError> {
        self.tell(Call::HandedOver(outgoing.clone())).await;
        if let Some(whatsapp) = &self.script.whatsapp {
            whatsapp.take(outgoing, &self.facts).await;
        } else {
            let answer = self.script.plan.hand_overs.next().await;
            answer.unwrap_or(Ok(()))?;
        }
        Ok(Handed {
            key: outgoing.key.clone(),
            message_id: message_id(&prepared.chat, outgoing),
        })
    }

    async fn hear(&self, ask: &Hear) -> Result<HeardBatch, HearError> {
        Ok(self.script.plan.ears.hear(ask))
    }

    async fn fetch_media(
        &self,
        message: &WaId,
        _most: Option<u64>,
        sink: &mpsc::Sender<bytes::Bytes>,
    ) -> Result<(), FetchError> {
        if message.ends_with("0000") {
            return Err(FetchError::Gone("no phone has it".to_owned()));
        }
        for slice in ["one", "two"] {
            let taken = sink.send(slice.into()).await;
            taken.map_err(|_| FetchError::NotWanted)?;
        }
        Ok(())
    }

    async fn read(&self, question: &Question) -> Result<Answered, PageReadError> {
        if self.script.plan.readings.0.lock().unwrap().is_empty() {
            return Ok(Answered::new("{}".into()));
        }
        self.tell(Call::Read(question.clone())).await;
        let answer = self.script.plan.readings.next().await;
        answer.unwrap_or_else(|| Ok(Answered::new("{}".into())))
    }

    async fn in_chat(
        &self,
        to: &Number,
        _chat: Option<&WaId>,
        act: ChatAct,
    ) -> Result<(), ChatActError> {
        self.tell(Call::InChat(to.clone().into(), act)).await;
        Ok(())
    }

    async fn take_over(&self) -> Result<(), String> {
        self.tell(Call::TakenOver).await;
        Ok(())
    }

    async fn log_out(&self) -> Result<(), LogoutError> {
        self.tell(Call::LoggedOut).await;
        self.script.plan.logouts.next().await.unwrap_or(Ok(()))
    }

    async fn dismiss_notice(&self, _words: &str) -> Result<(), NoticeError> {
        Err(NoticeError::None)
    }

    async fn evidence(&self) -> PageEvidence {
        self.tell(Call::LookedAt).await;
        // Paused time passes only when every task waits: callers who ask at once have asked by the time of the answer.
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
        self.tell(Call::Closed).await;
        self.script.plan.closes.next().await;
        Closed::Asked
    }
}

impl Plan {
    fn is_stuck_in(&self, phase: Phase) -> bool {
        *self.stuck_in.lock().unwrap() == Some(phase)
    }
}

fn message_id(chat: &str, outgoing: &Outgoing) -> WaId {
    format!("true_{chat}_{}", outgoing.key).into()
}

/// What of WhatsApp outlives a page: its store, and a server that knows ids. Each of its steps can be the last one.
#[derive(Clone, Debug, Default)]
pub(super) struct WhatsApp(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    /// The page's own store: inner ids and texts.
    store: Vec<(String, String)>,
    /// What the server took, one of each id.
    server: Vec<(String, String)>,
    /// The page dies before its store has what the server took.
    stores_late: bool,
}

impl WhatsApp {
    /// One whose page dies before its store has what the server took, if it `stores_late`.
    pub(super) fn new(stores_late: bool) -> Self {
        let whatsapp = Self::default();
        whatsapp.lock().stores_late = stores_late;
        whatsapp
    }

    /// What the server took, one of each id.
    pub(super) fn server(&self) -> Vec<(String, String)> {
        self.lock().server.clone()
    }

    /// A page is ready at once. What the server has not taken is sent first, as WhatsApp does.
    async fn on_page(&self, facts: &mpsc::Sender<Fact>) {
        let stored = self.lock().store.clone();
        for message in stored {
            add(&mut self.lock().server, &message);
            yield_now().await;
            acknowledge(message.0, facts).await;
        }
        facts.send(Fact::Stands(ready())).await.unwrap();
    }

    async fn look_up(&self, key: &str) -> Option<i32> {
        yield_now().await;
        let is_stored = self.lock().store.iter().any(|(known, _)| known == key);
        yield_now().await;
        is_stored.then_some(1)
    }

    async fn take(&self, outgoing: &Outgoing, facts: &mpsc::Sender<Fact>) {
        let message = (outgoing.key.clone(), outgoing.body.clone().into());
        let stores_late = self.lock().stores_late;
        for is_server in [stores_late, !stores_late] {
            yield_now().await;
            let memory = &mut *self.lock();
            let place = if is_server {
                &mut memory.server
            } else {
                &mut memory.store
            };
            add(place, &message);
        }
        yield_now().await;
        acknowledge(message.0, facts).await;
        yield_now().await;
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap()
    }
}

fn add(place: &mut Vec<(String, String)>, message: &(String, String)) {
    if !place.iter().any(|(known, _)| *known == message.0) {
        place.push(message.clone());
    }
}

async fn acknowledge(key: String, facts: &mpsc::Sender<Fact>) {
    // A session that has ended hears nothing any more.
    let _gone = facts.send(Fact::Ack { key, ack: 1 }).await;
}
