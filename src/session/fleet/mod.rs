//! All sessions by name.
//!
//! Responsible for one actor per session and for ending them all. Holds handles only; what a session does is its
//! actor's business, so a slow session never holds up another, nor a reader.

pub(super) mod changes;
pub(super) mod cpu;
mod measure;
pub(super) mod options;
mod restore;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
    sync::Arc,
    time::Duration,
};

use options::RegistryOptions;
use parking_lot::Mutex;
use restore::Waves;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned},
    task::TaskTracker,
};

use super::{
    ClienteId, ConnectError, ConnectOutcome, CpuTally, EvidenceFolder, ForgetError, Listened,
    PhoneToLink, Recipient, SessionHandle, SessionState, Snapshot, StartTimes, TurnTally, WaitFor,
    keeping::{
        accounts::Accounts,
        desired,
        desired::{Desired, DesiredFile},
        profile::Safekeeping,
    },
    lifecycle::{
        Actor,
        options::{ActorOptions, Shared},
    },
};
use crate::{
    browser::{self, Rescue, SnapshotRoot, free_memory_mb},
    ledger::{Ledger, LedgerError, Record, Step},
    whatsapp::WhatsAppPage,
};

/// Packing keeps one core busy each; the machines that this runs on have two or more.
const SNAPSHOTS_AT_ONCE: usize = 2;

/// When the service stops, what is not copied by then keeps its last snapshot. The rest of the stop budget (9.5 s) is for
/// giving up, for the ledger and for callers.
const SNAPSHOTS_STOP_BUDGET: Duration = Duration::from_secs(7);

/// A send in flight may take 2 s of a stop and a Chrome that hangs 8.5 s, one after the other: more than the stop budget. By
/// now a hanging Chrome has been sent SIGKILL, all that a session writes down is written, and the ledger needs the rest.
const SESSIONS_STOP_BUDGET: Duration = Duration::from_millis(8900);

/// How many sessions that are not known any more keep their last snapshot, for a caller that asks what became of its code. Far
/// more than are connected within an hour.
const LAST_SEEN: usize = 1000;

/// Within which a caller learns whether a send was taken back; longer only when the disk stands still, and then it may be yet.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// A handle of a session that is to leave is held for as long as a request takes.
const LEAVE_RETRY: Duration = Duration::from_millis(200);

/// All sessions.
#[derive(Debug)]
pub struct Registry {
    options: RegistryOptions,
    sessions: Arc<Mutex<Sessions>>,
    /// Grows whenever there is another handle among them, or one less.
    known: watch::Sender<u64>,
    shared: Shared,
    tasks: TaskTracker,
    stop: CancellationToken,
    snapshots: SnapshotRoot,
    /// Whatever snapshot is being written is given up when this is dropped or cancelled.
    give_up: DropGuard,
    cpu: CpuTally,
    /// Ends after all sessions: they still have something to write down when they stop.
    keeper: TaskTracker,
}

/// The known sessions, and what is still said of others.
#[derive(Debug, Default)]
struct Sessions {
    known: BTreeMap<ClienteId, KnownSession>,
    /// What an earlier service has left word of.
    remembered: BTreeMap<ClienteId, Desired>,
    /// Those that the service starts by itself, and has not got to yet.
    to_start: BTreeSet<ClienteId>,
    /// The last snapshots of sessions that are not known any more, the oldest first: callers ask for a while what became of their
    /// codes. At most [`LAST_SEEN`].
    last_seen: VecDeque<(ClienteId, Snapshot)>,
    /// Counted of each known session, and of no other: names that come and go must not add up.
    cpu: CpuTally,
    turns: TurnTally,
}

impl Sessions {
    /// Takes a session away of which nothing is kept, unless a request holds a handle of it: that request must not talk to a
    /// session that is not known any more. Answers whether it is away.
    fn leave(&mut self, id: &ClienteId) -> bool {
        let Some(known) = self.known.get(id) else {
            return true;
        };
        let snapshots = known.handle.subscribe();
        // Held until it is away: an actor that is about to start must find out that it is, or keep it from leaving
        // (`Actor::stays_known`).
        let snapshot = snapshots.borrow();
        if !snapshot.is_forgotten || 1 < known.handle.commands.strong_count() {
            return false;
        }
        self.known.remove(id);
        self.remembered.remove(id);
        self.cpu.forget(id);
        self.turns.forget(id);
        self.note_last(id, snapshot.clone());
        true
    }

    fn note_last(&mut self, id: &ClienteId, snapshot: Snapshot) {
        self.last_seen.retain(|(other, _)| other != id);
        if LAST_SEEN <= self.last_seen.len() {
            self.last_seen.pop_front();
        }
        self.last_seen.push_back((id.clone(), snapshot));
    }
}

/// One session.
#[derive(Debug)]
struct KnownSession {
    handle: SessionHandle,
    /// Outlives its actor: one that takes the place of an actor that has panicked must not go by what the service began with.
    desired: DesiredFile,
}

impl Registry {
    /// An empty registry that also knows, as `DISCONNECTED`, each session that has a profile folder already or should be up.
    ///
    /// # Errors
    ///
    /// The tokens folder cannot be read.
    pub fn open(options: RegistryOptions) -> std::io::Result<Self> {
        let (ledger, keeper_task) = Ledger::new(options.ledger.clone());
        let keeper = TaskTracker::new();
        keeper.spawn(keeper_task.run());
        keeper.close();
        let give_up = CancellationToken::new();
        let cpu = CpuTally::default();
        let accounts = Accounts::new(options.tokens_dir.clone(), options.sessions_dir.clone());
        let shared = Shared::new(
            Arc::clone(&options.config),
            free_memory_mb,
            ledger,
            accounts,
        );
        let registry = Self {
            snapshots: SnapshotRoot::new(
                options.snapshots_dir.clone(),
                options.config.profile_snapshots,
                SNAPSHOTS_AT_ONCE,
                give_up.clone(),
            )
            .encrypted_with(options.snapshot_key.as_ref()),
            give_up: give_up.drop_guard(),
            sessions: Arc::new(Mutex::new(Sessions {
                remembered: desired::read_all(&options.sessions_dir),
                cpu: cpu.clone(),
                turns: shared.turns.clone(),
                ..Sessions::default()
            })),
            known: watch::Sender::new(0),
            options,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            cpu,
            shared,
            keeper,
        };
        let remembered = registry.sessions.lock().remembered.clone();
        for (id, _) in remembered.iter().filter(|(_, desired)| desired.is_up()) {
            registry.know(id);
        }
        // Once, before the first request is served (`App::bind`): a disk that hangs here holds nothing else up.
        for entry in std::fs::read_dir(&registry.options.tokens_dir)? {
            let entry = entry?;
            let name = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<ClienteId>().ok());
            if let (Some(id), true) = (name, entry.file_type()?.is_dir()) {
                registry.know(&id);
            }
        }
        Ok(registry)
    }

    fn know(&self, id: &ClienteId) {
        let mut sessions = self.sessions.lock();
        if sessions.known.contains_key(id) {
            return;
        }
        let desired = self.desired(&sessions, id);
        let handle = self.start_actor(id, desired.clone());
        sessions
            .known
            .insert(id.clone(), KnownSession { handle, desired });
        self.known.send_modify(|count| *count += 1);
    }

    /// Begins what does not wait for requests: ends what a killed service has left running, then starts the sessions of
    /// `autostart` and, if `restores`, those that should be up; and measures. Waits for nothing; to be called once, before
    /// the first request.
    pub fn begin(self: &Arc<Self>, autostart: &[ClienteId], restores: bool) {
        let waves = {
            let mut sessions = self.sessions.lock();
            let waves = Waves::of(&sessions.remembered, autostart, restores);
            sessions.to_start = waves.names().cloned().collect();
            waves
        };
        let registry = Arc::clone(self);
        // No start was asked for yet, so all turns are there: the starts to come wait until the profiles are free.
        let count = u32::try_from(self.options.config.max_concurrent_starts.get());
        let turns =
            Arc::clone(&self.shared.starts).try_acquire_many_owned(count.unwrap_or(u32::MAX));
        self.spawn(async move {
            sweep(&registry.options.tokens_dir).await;
            drop(turns);
            waves.start(registry).await;
        });
        self.spawn(measure::watch(Arc::clone(self)));
        let ledger = self.shared.ledger.clone();
        self.spawn(async move { ledger.open_if_begun().await });
    }

    /// Runs until the service stops.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// The session, if it is known.
    pub fn find(&self, id: &ClienteId) -> Option<SessionHandle> {
        let sessions = self.sessions.lock();
        sessions.known.get(id).map(|known| known.handle.clone())
    }

    /// Whether it is, or will be without a request, a session that can send: it starts, is about to, or waits for its network. Not one
    /// that waits for a person.
    pub fn is_coming(&self, id: &ClienteId) -> bool {
        let sessions = self.sessions.lock();
        if sessions.to_start.contains(id) {
            return true;
        }
        let snapshot = sessions.known.get(id).map(|known| known.handle.snapshot());
        snapshot.is_some_and(|snapshot| {
            let waits_for_scan = matches!(snapshot.state, SessionState::QrRequired { .. });
            snapshot.retry_at.is_some() || (snapshot.state.is_running() && !waits_for_scan)
        })
    }

    /// How a session was last that is not known any more.
    pub fn last_seen(&self, id: &ClienteId) -> Option<Snapshot> {
        let sessions = self.sessions.lock();
        let found = sessions.last_seen.iter().find(|(other, _)| other == id);
        found.map(|(_, snapshot)| snapshot.clone())
    }

    /// Deletes what there is of a session that does not run and is not linked. Answers whether there was anything.
    ///
    /// # Errors
    ///
    /// It runs, is linked, or cannot be deleted.
    pub async fn forget(&self, id: &ClienteId) -> Result<bool, ForgetError> {
        if self.find(id).is_none() && self.has_traces(id).await {
            self.know(id);
        }
        let Some(session) = self.find(id) else {
            return Ok(false);
        };
        session.forget().await?;
        drop(session);
        if self.sessions.lock().leave(id) {
            self.known.send_modify(|count| *count += 1);
        }
        Ok(true)
    }

    /// Whether anything is kept of a session that is not known.
    async fn has_traces(&self, id: &ClienteId) -> bool {
        let options = &self.options;
        for path in [
            id.profile_in(&options.tokens_dir),
            desired::file_of(&options.sessions_dir, id),
            options.evidence_dir.join(id.as_str()),
        ] {
            if tokio::fs::try_exists(path).await.unwrap_or(false) {
                return true;
            }
        }
        false
    }

    /// The session, made known if it was not.
    pub fn find_or_create(&self, id: &ClienteId) -> Result<SessionHandle, ConnectError> {
        let mut sessions = self.sessions.lock();
        let known = sessions.known.get(id);
        if let Some(known) = known.filter(|known| !known.handle.is_gone()) {
            return Ok(known.handle.clone());
        }
        let desired = known.map(|known| known.desired.clone());
        if self.stop.is_cancelled() {
            return Err(ConnectError::ShuttingDown);
        }
        // Only asked, not taken: the place belongs to a start, which the actor begins or not. It is asked here so that a name that
        // cannot be started now does not become known, with a row among the sessions.
        self.shared.capacity.check()?;
        let desired = desired.unwrap_or_else(|| self.desired(&sessions, id));
        let handle = self.start_actor(id, desired.clone());
        let known = KnownSession {
            handle: handle.clone(),
            desired,
        };
        sessions.known.insert(id.clone(), known);
        sessions.last_seen.retain(|(other, _)| other != id);
        self.known.send_modify(|count| *count += 1);
        Ok(handle)
    }

    /// Starts the session unless it runs, for a code that links the phone with this number.
    ///
    /// # Errors
    ///
    /// Another session is linked to that number, which would lose its link, and the caller does not accept that; or the
    /// session does not come up.
    pub async fn connect_by_phone(
        &self,
        id: &ClienteId,
        phone: PhoneToLink,
        wait: WaitFor,
    ) -> Result<ConnectOutcome, ConnectError> {
        // Before anything is made known or started, which a refused request must not.
        if !phone.force && self.would_ask_for_code(id, &phone.number).await {
            let other = self.shared.accounts.session_linked_to(&phone.number, id);
            if let Some(other) = other.await {
                return Err(ConnectError::LinkedElsewhere {
                    session: Some(other),
                });
            }
        }
        let session = self.find_or_create(id)?;
        session.connect_by_phone(phone, wait).await
    }

    /// Whether the session has an account, also while it does not run.
    pub async fn is_linked(&self, id: &ClienteId) -> bool {
        let snapshot = self.find(id).map(|session| session.snapshot());
        if let Some(snapshot) = snapshot.filter(|snapshot| snapshot.state.is_running()) {
            return snapshot.is_linked();
        }
        // A profile may have been put there since its session has last looked.
        let link = self.shared.accounts.link_of(id).await;
        link.is_some_and(|link| link.rescue != Rescue::All)
    }

    /// Whether a connect by this number makes the page ask WhatsApp for a code: not when the session has an account, or shows
    /// the code already.
    async fn would_ask_for_code(&self, id: &ClienteId, number: &Recipient) -> bool {
        let snapshot = self.find(id).map(|session| session.snapshot());
        let state = snapshot.map(|snapshot| snapshot.state);
        if let Some(state @ SessionState::QrRequired { .. }) = &state {
            return state.pairing().is_none_or(|code| code.phone != *number);
        }
        self.shared.accounts.link_of(id).await.is_none()
    }

    /// Where the evidence of this session is, if it has left any; it need not be known.
    pub fn evidence(&self, id: &ClienteId) -> EvidenceFolder {
        EvidenceFolder::new(self.options.evidence_dir.join(id.as_str()))
    }

    pub(super) fn handles(&self) -> Vec<SessionHandle> {
        let sessions = self.sessions.lock();
        sessions
            .known
            .values()
            .map(|known| known.handle.clone())
            .collect()
    }

    /// Changes whenever another session is known, or the actor of one was replaced.
    pub(super) fn known(&self) -> watch::Receiver<u64> {
        self.known.subscribe()
    }

    /// Every known session, in the order of their names.
    pub fn snapshots(&self) -> Vec<(ClienteId, Snapshot)> {
        self.sessions
            .lock()
            .known
            .iter()
            .map(|(id, known)| (id.clone(), known.handle.snapshot()))
            .collect()
    }

    /// Whether it is to shut down: nothing new is begun.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Resolves when it is to shut down.
    pub fn stopping(&self) -> WaitForCancellationFutureOwned {
        self.stop.clone().cancelled_owned()
    }

    /// Ends all sessions at once and waits until each Chrome is gone, for as long as there is time; then closes the ledger.
    /// Snapshots are taken as long as there is time for them.
    pub async fn shut_down(&self) {
        self.end_sessions().await;
        self.close_ledger().await;
    }

    /// Ends all sessions at once and waits until each Chrome is gone, for as long as there is time. The ledger stays open.
    pub async fn end_sessions(&self) {
        self.stop.cancel();
        self.tasks.close();
        let ended = async {
            if timeout(SNAPSHOTS_STOP_BUDGET, self.tasks.wait())
                .await
                .is_err()
            {
                self.give_up.token().cancel();
                self.tasks.wait().await;
            }
        };
        if timeout(SESSIONS_STOP_BUDGET, ended).await.is_err() {
            tracing::warn!(
                sessions = self.tasks.len(),
                "not every session has ended in time: the ledger is closed without them"
            );
        }
    }

    /// Has on disk all that was written down, and closes the file. Whatever comes later is refused.
    pub async fn close_ledger(&self) {
        self.shared.ledger.close().await;
        self.keeper.wait().await;
    }

    /// Takes a send back, if no page can have it. Answers whether it did.
    ///
    /// # Errors
    ///
    /// The ledger cannot be written.
    pub async fn cancel(&self, send: &Record) -> Result<bool, LedgerError> {
        let by = Instant::now() + CANCEL_TIMEOUT;
        let cancelled = self.shared.ledger.advance(&send.key, Step::Cancelled);
        let is_cancelled = Ledger::answered_by(by, cancelled).await?;
        let session = send.session.parse().ok().and_then(|id| self.find(&id));
        if let (true, Some(session)) = (is_cancelled, session) {
            session.remove(&send.key);
        }
        Ok(is_cancelled)
    }

    /// What became of every send.
    pub const fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// Whose messages are wanted by consumers of events.
    pub const fn listened(&self) -> &Listened {
        &self.shared.listened
    }

    /// How long processors have worked for each session.
    pub const fn cpu(&self) -> &CpuTally {
        &self.cpu
    }

    /// How long starts have taken.
    pub const fn start_times(&self) -> &StartTimes {
        &self.shared.start_times
    }

    /// How often the tasks of sessions have gone round for nothing.
    pub const fn turns(&self) -> &TurnTally {
        &self.shared.turns
    }

    fn desired(&self, sessions: &Sessions, id: &ClienteId) -> DesiredFile {
        let found = sessions.remembered.get(id).cloned();
        DesiredFile::new(&self.options.sessions_dir, id, found)
    }

    fn start_actor(&self, id: &ClienteId, desired: DesiredFile) -> SessionHandle {
        let profile = id.profile_in(&self.options.tokens_dir);
        let options = ActorOptions {
            id: id.clone(),
            safekeeping: Safekeeping::new(
                id.clone(),
                profile.clone(),
                self.snapshots.of(id.as_str(), profile.clone()),
            ),
            profile,
            desired: desired.clone(),
            evidence: self.evidence(id),
            page: self.options.page.clone(),
            shared: self.shared.clone(),
            stop: self.stop.child_token(),
        };
        let (session, actor) = Actor::<WhatsAppPage>::new(options);
        let snapshots = session.subscribe();
        let leaving = leave_when_forgotten(
            Arc::clone(&self.sessions),
            self.known.clone(),
            id.clone(),
            session.subscribe(),
        );
        self.tasks.spawn(async move {
            tokio::join!(actor.run(), desired.follow(snapshots), leaving);
        });
        session
    }
}

/// Takes a session away once nothing of it is kept. Its actor ends with the last handle. Ends with the actor, too.
async fn leave_when_forgotten(
    sessions: Arc<Mutex<Sessions>>,
    known: watch::Sender<u64>,
    id: ClienteId,
    mut snapshots: watch::Receiver<Snapshot>,
) {
    while snapshots
        .wait_for(|snapshot| snapshot.is_forgotten)
        .await
        .is_ok()
    {
        let has_left = sessions.lock().leave(&id);
        if has_left {
            known.send_modify(|count| *count += 1);
            return;
        }
        sleep(LEAVE_RETRY).await;
    }
}

/// Ends the Chromes that a killed service has left on the profiles, and says so.
async fn sweep(tokens_dir: &Path) {
    for swept in browser::sweep(tokens_dir).await {
        tracing::warn!(
            chrome.pid = swept.pid,
            ended = swept.ended,
            "found a Chrome of a service that was killed: {}",
            if swept.ended {
                "ended it"
            } else {
                "it would not end"
            }
        );
    }
}

#[cfg(test)]
mod tests;
