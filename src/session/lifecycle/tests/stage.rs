//! The stage that actor tests play on: a scripted page, and sessions that have one.

use std::{num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::page::{Call, Plan, Script, Scripted};
use crate::{
    browser::SnapshotRoot,
    config::SessionConfig,
    ledger::{Clock, Ledger, LedgerOptions, SendState},
    session::{
        EvidenceFolder, Phase, SendError, SendLimits, SendRequest, SessionHandle, Snapshot,
        TextMessage,
        keeping::{desired::DesiredFile, profile::Safekeeping},
        lifecycle::{
            Actor,
            capacity::Capacity,
            options::{ActorOptions, Shared},
        },
    },
    whatsapp::{AdapterName, Fact, Outgoing, Standing},
};

/// Far more than any deadline of a session: what has not happened by then never does.
pub(super) const NEVER: Duration = Duration::from_secs(3600);

/// Paused time passes within milliseconds when every task waits.
const SPIN_TIMEOUT: Duration = Duration::from_secs(10);

/// As many as an operator has who sets nothing.
pub(super) const HEALS_PER_HOUR: usize = 10;

/// What several sessions share, and the profile folder that they pretend to have.
pub(super) struct Stage {
    shared: Shared,
    pub(super) stop: CancellationToken,
    pub(super) folder: tempfile::TempDir,
    pub(super) ledger: Ledger,
    /// The settings of the sessions to come.
    pub(super) config: SessionConfig,
}

impl Stage {
    pub(super) fn new(capacity: usize, starts: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, keeper) = Ledger::new(LedgerOptions {
            folder: folder.path().join("ledger"),
            idempotency: NEVER,
            retention: NEVER,
            clock: Clock::default(),
        });
        tokio::spawn(keeper.run());
        let config = SessionConfig {
            max_sessions: NonZeroUsize::new(capacity).unwrap(),
            min_free_memory_mb: 0,
            memory_mb: None,
            max_concurrent_starts: NonZeroUsize::new(starts).unwrap(),
            sends: SendLimits {
                rate_per_minute: None,
                ..SessionConfig::default().sends
            },
            ..SessionConfig::default()
        };
        Self {
            shared: Shared::new(Arc::new(config.clone()), || None, ledger.clone()),
            stop: CancellationToken::new(),
            folder,
            ledger,
            config,
        }
    }

    /// Lets a start go ahead only when so much memory is free.
    pub(super) fn needs_memory(&mut self, min_free_mb: u64, free_mb: fn() -> Option<u64>) {
        let one = NonZeroUsize::MIN;
        self.shared.capacity = Arc::new(Capacity::new(one, min_free_mb, free_mb));
    }

    /// Takes the ledger's folder away, until it is given back.
    pub(super) fn break_ledger(&self) {
        let folder = self.folder.path();
        std::fs::rename(folder.join("ledger"), folder.join("aside")).unwrap();
        std::fs::write(folder.join("ledger"), "").unwrap();
    }

    pub(super) fn mend_ledger(&self) {
        let folder = self.folder.path();
        std::fs::remove_file(folder.join("ledger")).unwrap();
        std::fs::rename(folder.join("aside"), folder.join("ledger")).unwrap();
    }

    /// The state of a send as the ledger has it.
    pub(super) async fn state(&self, key: &str) -> SendState {
        self.ledger.find(key).await.unwrap().unwrap().borrow().state
    }

    /// Waits until the ledger has a send in `state`.
    pub(super) async fn becomes(&self, key: &str, state: SendState) {
        let reached = timeout(NEVER, async {
            while self.state(key).await != state {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        reached
            .await
            .unwrap_or_else(|_| panic!("never became {state:?}"));
    }

    pub(super) fn desired(&self, id: &str) -> DesiredFile {
        let folder = self.folder.path().join("sessions");
        DesiredFile::new(&folder, &id.parse().unwrap(), None)
    }

    pub(super) fn evidence(&self, id: &str) -> EvidenceFolder {
        EvidenceFolder::new(self.folder.path().join("evidence").join(id))
    }

    pub(super) fn profile(&self, id: &str) -> PathBuf {
        self.folder.path().join("tokens").join(id)
    }

    pub(super) fn snapshots(&self) -> SnapshotRoot {
        let folder = self.folder.path().join("snapshots");
        SnapshotRoot::new(folder, 1, 1, CancellationToken::new())
    }

    pub(super) fn session(&self, id: &str) -> Session {
        self.session_stuck_in(id, None)
    }

    pub(super) fn session_stuck_in(&self, id: &str, stuck_in: Option<Phase>) -> Session {
        self.session_as(id, stuck_in, self.desired(id))
    }

    /// Of which this is remembered.
    pub(super) fn session_as(
        &self,
        id: &str,
        stuck_in: Option<Phase>,
        desired: DesiredFile,
    ) -> Session {
        let (calls_tx, calls) = mpsc::channel(64);
        let plan = Plan::default();
        let (handle, actor) = Actor::<Scripted>::new(ActorOptions {
            id: id.parse().unwrap(),
            profile: self.profile(id),
            safekeeping: Safekeeping::new(
                id.parse().unwrap(),
                self.profile(id),
                self.snapshots().of(id, self.profile(id)),
            ),
            desired: desired.clone(),
            evidence: self.evidence(id),
            page: Script {
                calls: calls_tx,
                stuck_in,
                plan: plan.clone(),
            },
            shared: Shared {
                config: Arc::new(self.config.clone()),
                ..self.shared.clone()
            },
            stop: self.stop.child_token(),
        });
        let snapshots = handle.subscribe();
        let task = tokio::spawn(async move {
            tokio::join!(actor.run(), desired.follow(snapshots));
        });
        Session {
            snapshots: handle.subscribe(),
            handle,
            calls,
            plan,
            task,
        }
    }
}

pub(super) struct Session {
    pub(super) handle: SessionHandle,
    pub(super) snapshots: watch::Receiver<Snapshot>,
    pub(super) calls: mpsc::Receiver<Call>,
    pub(super) plan: Plan,
    pub(super) task: tokio::task::JoinHandle<()>,
}

impl Session {
    /// The next thing that it does to its page, but for looks at one that fails.
    pub(super) async fn call(&mut self) -> Call {
        loop {
            let call = timeout(NEVER, self.calls.recv()).await;
            let call = call.expect("the page was asked for nothing").unwrap();
            if !matches!(call, Call::LookedAt) {
                return call;
            }
        }
    }

    /// Asserts that the page is handed a message next, and gives it.
    pub(super) async fn handed_over(&mut self) -> Outgoing {
        let call = self.call().await;
        let Call::HandedOver(outgoing) = call else {
            panic!("no hand-over but {call:?}");
        };
        outgoing
    }

    /// Asserts that the page is asked for a message next, and gives its inner id.
    pub(super) async fn looked_up(&mut self) -> String {
        let call = self.call().await;
        let Call::LookedUp(id) = call else {
            panic!("no look-up but {call:?}");
        };
        id.rsplit('_').next().unwrap().to_owned()
    }

    pub(super) async fn opened(&mut self) -> mpsc::Sender<Fact> {
        let Call::Opened(page) = self.call().await else {
            panic!("something else was asked of the page before it was opened");
        };
        page
    }

    /// Starts it and lets the page say that it can send.
    pub(super) async fn ready(&mut self) -> mpsc::Sender<Fact> {
        self.handle.start();
        let page = self.opened().await;
        say(&page, ready()).await;
        self.reaches("READY").await;
        page
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

    pub(super) fn send(&self, to: &str) -> Sending {
        self.send_as(to, None, true)
    }

    pub(super) fn send_as(&self, to: &str, key: Option<&str>, waits: bool) -> Sending {
        let message = TextMessage {
            to: to.parse().unwrap(),
            body: "hola".into(),
        };
        let request = SendRequest {
            message,
            cliente_id: "51".to_owned(),
            idempotency_key: key.map(|key| key.parse().unwrap()),
            waits,
        };
        let handle = self.handle.clone();
        tokio::spawn(async move { handle.send(request).await })
    }
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

pub(super) type Sending = tokio::task::JoinHandle<Result<crate::session::Sent, SendError>>;

pub(super) async fn say(page: &mpsc::Sender<Fact>, standing: Standing) {
    page.send(Fact::Stands(standing)).await.unwrap();
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
