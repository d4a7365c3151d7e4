//! One session with a scripted page: what callers ask of it, what it asks of its page, and what is seen of it.

use std::{cell::Cell, fs, num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::page::{Call, Plan, Script, Scripted, WhatsApp};
use crate::{
    browser::SnapshotRoot,
    config::SessionConfig,
    ledger::{Ledger, SendState, tests::options},
    session::{
        DisconnectOutcome, EvidenceFolder, OutgoingMessage, Phase, Reason, ReasonCode, SendError,
        SendRequest, Sent, SessionHandle, Snapshot, Wanted,
        keeping::{accounts::Accounts, desired::DesiredFile, profile::Safekeeping},
        lifecycle::{
            Actor,
            options::{ActorOptions, Shared},
        },
    },
    whatsapp::{AdapterName, Fact, Outgoing, Standing},
};

/// Far more than any deadline of a session: what has not happened by then never does.
pub(super) const NEVER: Duration = Duration::from_secs(3600);

/// Paused time passes within milliseconds when every task waits.
const SPIN_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) const TO: &str = "5491158254201";
pub(super) const OTHER: &str = "5491158254202";

/// Asserts that a value fits a pattern, and shows it if not.
macro_rules! assert_is {
    ($value:expr, $($pattern:tt)+) => {{
        let value = $value;
        assert!(matches!(&value, $($pattern)+), "{value:?}");
    }};
}
pub(super) use assert_is;

thread_local! {
    /// What the machine of a test has free, for a stage that looks at it.
    static FREE_MB: Cell<u64> = const { Cell::new(1000) };
}

pub(super) fn set_free_mb(free_mb: u64) {
    FREE_MB.set(free_mb);
}

/// What several sessions share, the settings of all, and the folder that they live in.
pub(super) struct Stage {
    folder: Arc<tempfile::TempDir>,
    shared: Shared,
    pub(super) ledger: Ledger,
}

impl Stage {
    /// As an operator has it who sets nothing, but without a pace and without limits of memory.
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With other settings.
    pub(super) fn with(change: impl FnOnce(&mut SessionConfig)) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let (stage, keeper) = Self::over(folder, change);
        tokio::spawn(keeper);
        stage
    }

    /// Over a folder that may have been used before, and with a ledger that the test runs.
    pub(super) fn over(
        folder: Arc<tempfile::TempDir>,
        change: impl FnOnce(&mut SessionConfig),
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (ledger, keeper) = Ledger::new(options(folder.path()));
        let mut config = SessionConfig {
            max_sessions: NonZeroUsize::MIN,
            min_free_memory_mb: 0,
            memory_mb: None,
            max_concurrent_starts: NonZeroUsize::MIN,
            // Those of a running profile are taken by the tests that are about them.
            snapshot_every: None,
            ..SessionConfig::default()
        };
        config.sends.rate_per_minute = None;
        change(&mut config);
        let free_mb = || Some(FREE_MB.get());
        let [tokens, sessions] = ["tokens", "sessions"].map(|name| folder.path().join(name));
        let accounts = Accounts::new(tokens, sessions);
        let stage = Self {
            folder,
            shared: Shared::new(Arc::new(config), free_mb, ledger.clone(), accounts),
            ledger,
        };
        (stage, keeper.run())
    }

    /// For two sessions, of which so many may start at once.
    pub(super) fn of_two(starts: usize) -> Arc<Self> {
        Arc::new(Self::with(|config| {
            config.max_sessions = NonZeroUsize::new(2).unwrap();
            config.max_concurrent_starts = NonZeroUsize::new(starts).unwrap();
        }))
    }

    pub(super) fn config(&self) -> &SessionConfig {
        &self.shared.config
    }

    /// From now on a consumer of events wants the messages of session 51, or does not.
    pub(super) fn is_listened_to(&self, is_wanted: bool) {
        let own = "51".parse().unwrap();
        let sessions = is_wanted.then_some(own).into_iter().collect();
        self.shared.listened.set("test", Wanted::Of(sessions));
    }

    /// Takes the ledger's folder away, until it is given back.
    pub(super) fn break_ledger(&self) {
        fs::rename(self.path("ledger"), self.path("aside")).unwrap();
        fs::write(self.path("ledger"), "").unwrap();
    }

    pub(super) fn mend_ledger(&self) {
        fs::remove_file(self.path("ledger")).unwrap();
        fs::rename(self.path("aside"), self.path("ledger")).unwrap();
    }

    /// The state of a send as the ledger has it.
    pub(super) async fn state_of(&self, key: &str) -> SendState {
        self.ledger.find(key).await.unwrap().unwrap().borrow().state
    }

    /// Waits until the ledger has a send in `state`.
    pub(super) async fn becomes(&self, key: &str, state: SendState) {
        until(async || self.state_of(key).await == state).await;
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn desired(&self, id: &str) -> DesiredFile {
        DesiredFile::new(&self.path("sessions"), &id.parse().unwrap(), None)
    }

    /// The one place that gives an actor all that it needs.
    pub(super) fn actor(
        &self,
        id: &str,
        page: Script,
        desired: DesiredFile,
        stop: CancellationToken,
    ) -> (SessionHandle, Actor<Scripted>) {
        let profile = self.path("tokens").join(id);
        let snapshots = SnapshotRoot::new(self.path("snapshots"), 1, 1, CancellationToken::new());
        let snapshots = snapshots.of(id, profile.clone());
        Actor::new(ActorOptions {
            id: id.parse().unwrap(),
            safekeeping: Safekeeping::new(id.parse().unwrap(), profile.clone(), snapshots),
            profile,
            desired,
            evidence: EvidenceFolder::new(self.path("evidence").join(id)),
            page,
            shared: self.shared.clone(),
            stop,
        })
    }
}

/// A page that WhatsApp itself plays, if it is there, or the test.
pub(super) fn script(whatsapp: Option<WhatsApp>) -> (Script, mpsc::Receiver<Call>) {
    let (calls, asked) = mpsc::channel(64);
    let script = Script {
        calls,
        plan: Plan::default(),
        whatsapp,
    };
    (script, asked)
}

/// A session of a stage. See the module.
pub(super) struct Scenario {
    pub(super) stage: Arc<Stage>,
    pub(super) handle: SessionHandle,
    pub(super) desired: DesiredFile,
    pub(super) stop: CancellationToken,
    pub(super) calls: mpsc::Receiver<Call>,
    pub(super) plan: Plan,
    snapshots: watch::Receiver<Snapshot>,
    task: JoinHandle<()>,
}

/// How it comes to be.
impl Scenario {
    /// Session 51, which has never run.
    pub(super) fn new() -> Self {
        Self::on(Stage::new())
    }

    pub(super) fn on(stage: Stage) -> Self {
        Self::of(&Arc::new(stage), "51")
    }

    pub(super) async fn ready() -> Self {
        Self::ready_with(|_| {}).await
    }

    pub(super) async fn ready_with(change: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut scenario = Self::on(Stage::with(change));
        scenario.becomes_ready().await;
        scenario
    }

    /// One of several on a stage.
    pub(super) fn of(stage: &Arc<Stage>, id: &str) -> Self {
        Self::remembering(stage, id, stage.desired(id))
    }

    /// The same session in the next service.
    pub(super) fn next_service(&self) -> Self {
        Self::of(&self.stage, "51")
    }

    /// The same session with another actor, in the place of one that has ended.
    pub(super) fn successor(&self) -> Self {
        Self::remembering(&self.stage, "51", self.desired.clone())
    }

    pub(super) fn remembering(stage: &Arc<Stage>, id: &str, desired: DesiredFile) -> Self {
        let (script, calls) = script(None);
        let plan = script.plan.clone();
        let stop = CancellationToken::new();
        let (handle, actor) = stage.actor(id, script, desired.clone(), stop.clone());
        let (snapshots, follows) = (handle.subscribe(), desired.clone());
        let task = tokio::spawn(async move {
            tokio::join!(actor.run(), follows.follow(snapshots));
        });
        Self {
            stage: Arc::clone(stage),
            snapshots: handle.subscribe(),
            handle,
            desired,
            stop,
            calls,
            plan,
            task,
        }
    }

    pub(super) fn stuck_in(self, phase: Phase) -> Self {
        *self.plan.stuck_in.lock().unwrap() = Some(phase);
        self
    }

    /// The service stops, and the session with it.
    pub(super) async fn stops(&mut self) {
        self.stop.cancel();
        timeout(NEVER, &mut self.task).await.unwrap().unwrap();
    }

    /// Its actor panics.
    pub(super) async fn panics(&mut self) {
        self.task.abort();
        (&mut self.task).await.unwrap_err();
    }
}

/// What its page says.
impl Scenario {
    pub(super) fn page(&self) -> mpsc::Sender<Fact> {
        let facts = self.plan.facts.lock().unwrap();
        facts.clone().expect("no page was opened")
    }

    pub(super) async fn tells(&self, fact: Fact) {
        self.page().send(fact).await.unwrap();
    }

    pub(super) async fn says(&self, standing: Standing) {
        self.tells(Fact::Stands(standing)).await;
    }

    /// Says how it stands, and waits for the state that this makes.
    pub(super) async fn shows(&mut self, standing: Standing, state: &str) -> Snapshot {
        self.says(standing).await;
        self.reaches(state).await
    }

    /// Loads itself, or is loaded, and is ready again.
    pub(super) async fn is_back(&self) {
        self.says(Standing::default()).await;
        self.says(ready()).await;
    }

    pub(super) async fn loses_chrome(&self) {
        let why = "Chrome was ended by signal 9".to_owned();
        self.tells(Fact::BrowserLost(why)).await;
    }

    /// WhatsApp's server takes a message.
    pub(super) async fn ack(&self, key: &str) {
        let key = key.to_owned();
        self.tells(Fact::Ack { key, ack: 1 }).await;
    }
}

/// What it asks of its page.
impl Scenario {
    /// The next thing, but for looks at one that fails.
    pub(super) async fn call(&mut self) -> Call {
        loop {
            let call = timeout(NEVER, self.calls.recv()).await;
            let call = call.expect("the page was asked for nothing").unwrap();
            if call != Call::LookedAt {
                return call;
            }
        }
    }

    /// Asserts that this comes next.
    pub(super) async fn asks(&mut self, call: Call) {
        assert_eq!(self.call().await, call);
    }

    pub(super) async fn starts(&mut self) {
        self.handle.start();
        self.asks(Call::Opened).await;
    }

    /// Starts, and its page says that it can send.
    pub(super) async fn becomes_ready(&mut self) {
        self.starts().await;
        self.shows(ready(), "READY").await;
    }

    /// Starts, and its page shows a code.
    pub(super) async fn shows_a_code(&mut self) {
        self.starts().await;
        self.shows(login(Some("a")), "QR_REQUIRED").await;
    }

    /// Asserts that Chrome is closed, and a new one opened.
    pub(super) async fn replaces_chrome(&mut self) {
        self.asks(Call::Closed).await;
        self.asks(Call::Opened).await;
    }

    /// Asserts that a message is handed over next.
    pub(super) async fn outgoing(&mut self) -> Outgoing {
        let call = self.call().await;
        let Call::HandedOver(outgoing) = call else {
            panic!("no hand-over but {call:?}");
        };
        outgoing
    }

    /// The same, and gives its inner id.
    pub(super) async fn hands_over(&mut self) -> String {
        self.outgoing().await.key
    }

    /// The same, and WhatsApp's server takes it.
    pub(super) async fn hands_over_and_ack(&mut self) -> String {
        let key = self.hands_over().await;
        self.ack(&key).await;
        key
    }

    /// Asserts that the page is asked for this message next.
    pub(super) async fn looks_up(&mut self, key: &str) {
        let call = self.call().await;
        assert!(
            matches!(&call, Call::LookedUp(id) if id.ends_with(key)),
            "{call:?}, not {key}"
        );
    }

    /// Asserts that nothing has been asked yet.
    pub(super) fn has_asked_nothing(&mut self) {
        let asked = self.calls.try_recv();
        assert!(asked.is_err(), "{asked:?}");
    }

    /// Asserts that nothing is asked any more.
    pub(super) async fn asks_nothing(&mut self) {
        let asked = timeout(NEVER, self.calls.recv()).await;
        assert!(asked.is_err(), "{asked:?}");
    }
}

/// What is seen of it.
impl Scenario {
    pub(super) async fn sees(&mut self, is_it: impl FnMut(&Snapshot) -> bool) -> Snapshot {
        let seen = timeout(NEVER, self.snapshots.wait_for(is_it)).await;
        seen.expect("it was never seen").unwrap().clone()
    }

    pub(super) async fn reaches(&mut self, state: &str) -> Snapshot {
        let reached = self
            .snapshots
            .wait_for(|snapshot| snapshot.state.name() == state);
        let reached = timeout(NEVER, reached).await;
        reached
            .unwrap_or_else(|_| panic!("never became {state}"))
            .unwrap()
            .clone()
    }

    /// Waits for a state, and asserts that it has this reason.
    pub(super) async fn reaches_for(&mut self, state: &str, code: ReasonCode) -> Reason {
        let reason = self.reaches(state).await.reason.expect("a reason");
        assert_eq!(reason.code, code, "{}", reason.detail);
        reason
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.handle.snapshot()
    }

    #[track_caller]
    pub(super) fn assert_reason(&self, code: ReasonCode) {
        assert_eq!(self.snapshot().reason.map(|reason| reason.code), Some(code));
    }
}

/// What its callers ask.
impl Scenario {
    /// Lets a caller wait for an answer by itself.
    pub(super) fn asked<T: Send + 'static, F>(
        &self,
        ask: impl FnOnce(SessionHandle) -> F,
    ) -> JoinHandle<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        tokio::spawn(ask(self.handle.clone()))
    }

    pub(super) fn send(&self, to: &str) -> SendUnderWay {
        self.send_as(to, None, true)
    }

    pub(super) fn send_as(&self, to: &str, key: Option<&str>, waits: bool) -> SendUnderWay {
        let request = request(to, "hola", key, waits);
        SendUnderWay(self.asked(|handle| async move { handle.send(request).await }))
    }

    /// A send that outlives its caller. Answers its id, which has no more than the inner one in it yet.
    pub(super) async fn promise(&self, to: &str) -> String {
        let accepted = self.send_as(to, None, false).sent().await;
        assert_eq!(accepted.state, SendState::Queued);
        accepted.message_id
    }

    /// A send from the request to WhatsApp's acknowledgement.
    pub(super) async fn sends(&mut self) {
        let sent = self.send(TO);
        self.hands_over_and_ack().await;
        sent.sent().await;
    }

    /// Ends by a caller's word, and closes its Chrome.
    pub(super) async fn ends(&mut self) {
        self.disconnects().await;
        self.asks(Call::Closed).await;
    }

    pub(super) async fn disconnects(&self) {
        let outcome = self.handle.disconnect(false).await.unwrap();
        assert_eq!(outcome, DisconnectOutcome::Disconnected);
    }
}

pub(super) fn request(to: &str, body: &str, key: Option<&str>, waits: bool) -> SendRequest {
    SendRequest {
        message: OutgoingMessage {
            to: to.parse().unwrap(),
            body: body.into(),
            extras: Arc::default(),
        },
        cliente_id: "51".to_owned(),
        idempotency_key: key.map(|key| key.parse().unwrap()),
        waits,
    }
}

/// A caller that waits for its send.
pub(super) struct SendUnderWay(JoinHandle<Result<Sent, SendError>>);

impl SendUnderWay {
    pub(super) async fn sent(self) -> Sent {
        self.0.await.unwrap().unwrap()
    }

    pub(super) async fn refused(self) -> SendError {
        self.0.await.unwrap().unwrap_err()
    }
}

/// Waits until this holds.
pub(super) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waits = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(NEVER, waits).await.expect("it never held");
}

/// Lets time pass. A task that wakes again and again would keep it from passing.
pub(super) async fn rests(time: Duration) {
    let (late, is_late) = oneshot::channel();
    std::thread::spawn(move || {
        std::thread::sleep(SPIN_TIMEOUT);
        late.send(()).ok();
    });
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        _late = is_late => panic!("a task spins"),
    }
}

pub(super) async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

pub(super) fn login(code: Option<&str>) -> Standing {
    Standing {
        recognised: true,
        login: true,
        code: code.map(Into::into),
        codes_ended: code.is_none(),
        ..Standing::default()
    }
}

pub(super) fn ready() -> Standing {
    Standing {
        recognised: true,
        linked: true,
        online: true,
        senders: vec![AdapterName::Modules],
        serving: Some(AdapterName::Modules),
        account: Some("5491100000001".into()),
        ..Standing::default()
    }
}

pub(super) fn offline() -> Standing {
    Standing {
        online: false,
        ..ready()
    }
}
