//! The service put together: sandbox, sessions, API; bound as one, stopped as one.
//!
//! Responsible for the order of starting and stopping. Stopping is soft, then hard: first nothing new is begun, requests in
//! flight finish while the sessions close their Chromes, and the port goes last, so that callers are told so instead of
//! being cut off; what is not done by [`STOP_BUDGET`] is dropped, and dropping a session kills its Chrome.

use std::{
    collections::HashSet,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use startup::{ListenHost, Refused, listen, reached_at};
use tokio::{
    net::TcpListener,
    runtime::{Handle, Runtime},
    task::{JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use whatsapp_sandbox::{NameTags, Sandbox, SandboxConfig, SandboxError};

use crate::{
    browser,
    config::{Config, SandboxSettings, SessionMode},
    delivery::{Bridge, BridgeOptions, Clients, HubAccess, Webhooks},
    files::make_folder,
    http,
    ledger::{Ledger, Query, ReadError, SendState},
    masked::Credential,
    media::MediaStore,
    received::{Received, StoreError},
    session::{
        Changes, ClienteId, Recipient, Registry, RegistryOptions, SessionState, session_run_before,
    },
    telemetry::DroppedLines,
};

/// Closing one Chrome takes 0.1 s, and 8.5 s at most when it has to be killed. Within this all is done or dropped; the
/// `kill_timeout` of the supervisor must be longer (`ecosystem.config.js`).
pub const STOP_BUDGET: Duration = Duration::from_millis(9500);

/// Closing the ledger takes milliseconds: a log of a few pages is synced and moved into the file proper. It is waited for even
/// when nothing else is, but a disk that hangs must not keep the process.
const LEDGER_TIMEOUT: Duration = Duration::from_millis(500);

/// A second signal that comes sooner after the first one is the same request, sent twice: PM2 and a terminal signal the whole
/// group, and a wrapper (npm, a shell) forwards its own within milliseconds. A person does not lose patience so fast.
const PATIENCE: Duration = Duration::from_secs(1);

/// Files are kept for a day: one more hour does not matter.
const MEDIA_SWEEP_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// After the last session has ended, answers are written within milliseconds.
const REST_GRACE: Duration = Duration::from_secs(1);

/// The service, bound to its ports and not yet running.
#[derive(Debug)]
pub struct App {
    config: Config,
    listeners: Vec<TcpListener>,
    addrs: Vec<SocketAddr>,
    sandbox: Option<SandboxOnItsOwn>,
    registry: Arc<Registry>,
    received: Received,
    dropped_lines: DroppedLines,
}

/// Why the service did not start. Each is one line that says what to change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder cannot be used.
    #[error("{variable}: the folder {} cannot be written: {source}", path.display())]
    Folder {
        /// The variable that names it.
        variable: &'static str,
        /// The folder.
        path: std::path::PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The sandbox would open the profiles of real accounts, find no link that it knows, and let them be logged out.
    #[error(
        "TOKENS_DIR: {} holds the profile of the real session {session}; give the sandbox a TOKENS_DIR of its own, or leave it unset",
        path.display()
    )]
    RealProfiles {
        /// The folder.
        path: std::path::PathBuf,
        /// One of the sessions.
        session: ClienteId,
    },
    /// A switch for Chrome that the service cannot work with.
    #[error("CHROME_ARGS: {0}")]
    ChromeArguments(#[from] browser::BrowserError),
    /// A port cannot be had.
    #[error("{variable}: cannot listen on {addr}: {source}")]
    Bind {
        /// The variable that names the port.
        variable: &'static str,
        /// The wanted address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The files of messages that come in cannot be kept.
    #[error("MEDIA_STORE: {0}")]
    Received(#[from] StoreError),
    /// The sandbox cannot start.
    #[error("failed to start the sandbox (DATA_DIR): {0}")]
    Sandbox(#[from] SandboxError),
    /// The sandbox's threads cannot be started.
    #[error("failed to start the threads of the sandbox: {0}")]
    SandboxThreads(io::Error),
}

/// Says which setting names the address that cannot be listened on.
fn bind(variable: &'static str) -> impl Fn(Refused) -> StartError {
    move |Refused { addr, source }| StartError::Bind {
        variable,
        addr,
        source,
    }
}

/// A sandbox beside a command that needs no service. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct SandboxOfCommand {
    /// Where its WhatsApp Web is.
    pub(crate) url: String,
    _stop: DropGuard,
    _threads: Threads,
}

impl SandboxOfCommand {
    /// Starts one on a free port of this machine, with its records in `folder`: it is another world than that of a service.
    pub(crate) async fn start(
        settings: &SandboxSettings,
        folder: PathBuf,
    ) -> Result<Self, StartError> {
        let options = settings.in_folder(folder);
        let opened = SandboxOnItsOwn::open(ListenHost::Localhost, 0, options).await?;
        let SandboxOnItsOwn { sandbox, threads } = opened;
        let url = format!("http://{}/", reachable(sandbox.addr()));
        let stop = CancellationToken::new();
        threads.handle.spawn(sandbox.run(stop.clone()));
        Ok(Self {
            url,
            _stop: stop.drop_guard(),
            _threads: threads,
        })
    }
}

/// The sandbox, on threads of its own: it writes its messages down while other requests to it wait, so a disk that
/// hangs stops the simulated WhatsApp, and must not stop the service.
#[derive(Debug)]
struct SandboxOnItsOwn {
    sandbox: Sandbox,
    threads: Threads,
}

#[derive(Debug)]
struct Threads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Threads {
    fn start() -> io::Result<Self> {
        let runtime = Runtime::new()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }
}

impl Drop for Threads {
    /// Leaves behind what does not end: it may wait for a disk.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl SandboxOnItsOwn {
    async fn open(host: ListenHost, port: u16, options: SandboxConfig) -> Result<Self, StartError> {
        let threads = Threads::start().map_err(StartError::SandboxThreads)?;
        // Its listeners belong to the runtime that makes them.
        let open = async move {
            let listeners = listen(host, port).await.map_err(bind("SANDBOX_PORT"))?;
            Ok::<_, StartError>(Sandbox::open(listeners, options)?)
        };
        let opened = threads.handle.spawn(open).await;
        let panicked = |why: JoinError| StartError::SandboxThreads(why.into());
        let sandbox = opened.map_err(panicked)??;
        Ok(Self { sandbox, threads })
    }
}

impl App {
    /// Takes ports and folders, and reads what an earlier service has left word of. `dropped_lines` is what the log
    /// counts, for `/metrics`. Blocks its thread where a disk hangs, which holds up nothing: nothing is served yet.
    pub async fn bind(mut config: Config, dropped_lines: DroppedLines) -> Result<Self, StartError> {
        browser::check_extra_arguments(&config.chrome_args)?;
        if config.chrome_path.is_none()
            && let Err(why) = browser::ensure_there_is_one(&config.search_path)
        {
            tracing::warn!(error = %why, "no session can start: {why}");
        }
        for (variable, path) in [
            // The other may lie in it, and then the fault is this one's.
            ("DATA_DIR", &config.data_dir),
            ("TOKENS_DIR", &config.tokens_dir),
        ] {
            ensure_writable(path).map_err(|source| StartError::Folder {
                variable,
                path: path.clone(),
                source,
            })?;
        }
        if config.sandbox.is_some()
            && let Some(session) =
                session_run_before(&config.real_sessions_dir(), &config.tokens_dir)
        {
            let path = config.tokens_dir.clone();
            return Err(StartError::RealProfiles { path, session });
        }
        let listening = listen(config.host, config.port).await;
        let listeners = listening.map_err(bind("PORT"))?;
        let local = |listener: &TcpListener| {
            listener.local_addr().map_err(|source| Refused {
                addr: SocketAddr::new(config.host.reached_at(), config.port),
                source,
            })
        };
        let addrs: Result<Vec<_>, _> = listeners.iter().map(local).collect();
        let addrs = addrs.map_err(bind("PORT"))?;

        let sandbox = match &config.sandbox {
            None => None,
            Some(settings) => {
                let options = settings.in_folder(config.data_dir.join("sandbox"));
                let opened = SandboxOnItsOwn::open(settings.host, settings.port, options);
                Some(opened.await?)
            }
        };
        if let Some(own) = &sandbox {
            config.whatsapp_url = format!("http://{}/", reachable(own.sandbox.addr()));
        }

        let registry = Registry::open(RegistryOptions::of(&config));
        let registry = registry.map_err(|source| StartError::Folder {
            variable: "TOKENS_DIR",
            path: config.tokens_dir.clone(),
            source,
        })?;
        let registry = Arc::new(registry);
        let received = Received::open(Arc::clone(&registry), config.received.clone())?;
        Ok(Self {
            config,
            listeners,
            addrs,
            sandbox,
            registry,
            received,
            dropped_lines,
        })
    }

    /// Where the API listens: one address, or both of loopback with one port.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// Where the simulated WhatsApp Web listens, if there is one.
    pub fn sandbox_addr(&self) -> Option<SocketAddr> {
        self.sandbox.as_ref().map(|own| own.sandbox.addr())
    }

    /// Serves until `stop_asked` resolves, then stops in order. When it resolves again, but not at once, what has not ended
    /// is dropped.
    pub async fn run_until(self, mut stop_asked: impl AsyncFnMut()) -> io::Result<()> {
        let Self {
            config,
            listeners,
            addrs,
            sandbox,
            registry,
            received,
            dropped_lines,
        } = self;
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();

        // On a thread of its own, and not waited for: the first request that needs it waits.
        let _plan = std::thread::spawn(Recipient::read_plan);
        registry.begin(&config.autostart, config.restore_sessions);
        let webhooks = webhooks(&config, &registry);
        let bridge = bridge(&config, &registry);
        received.begin();
        let state = http::AppState::new(
            Arc::clone(&registry),
            webhooks.clone(),
            bridge.clone(),
            received.clone(),
            &config,
            dropped_lines,
        );
        state.keys().learn().await;
        let asks_for_key = state.keys().is_asked_for();
        let watching = Arc::clone(state.keys()).watch(stop.clone());
        tasks.spawn(async move {
            watching.await;
            Ok(())
        });
        let sweeping = sweep_media(&config, registry.ledger().clone());
        tasks.spawn(until(stop.clone(), sweeping));
        let is_behind_a_proxy = config.trusted_proxies > 0;
        let router = http::router(state);
        tasks.spawn(http::serve(
            listeners,
            router,
            is_behind_a_proxy,
            stop.clone(),
        ));
        // The page's server goes last, so that Chromes still have it while they close.
        let sandbox_stop = CancellationToken::new();
        // Kept until the end.
        let _threads = sandbox.map(|SandboxOnItsOwn { sandbox, threads }| {
            let sandbox_stop = sandbox_stop.clone();
            let names = name_pages(Arc::clone(&registry), sandbox.name_tags());
            tasks.spawn_on(names, &threads.handle);
            let run = async move {
                sandbox.run(sandbox_stop).await;
                Ok(())
            };
            tasks.spawn_on(run, &threads.handle);
            threads
        });
        let urls: Vec<_> = addrs.iter().map(|addr| format!("http://{addr}")).collect();
        if !asks_for_key && !config.host.is_loopback() {
            tracing::warn!(
                "ALLOW_WITHOUT_KEY: any program that reaches {} can send from every account",
                urls.join(", ")
            );
        }
        tracing::info!(
            key_required = asks_for_key,
            api = urls.first(),
            api_also_at = urls.get(1),
            sandbox = config.sandbox_url(),
            "listening"
        );

        let ended_early = tokio::select! {
            () = stop_asked() => None,
            // A server ends without being asked only when something is badly wrong.
            Some(ended) = tasks.join_next() => Some(ended.unwrap_or_else(|panic| Err(panic.into()))),
        };
        tracing::info!(
            "stopping: closing every Chrome, at most {} s",
            STOP_BUDGET.as_secs()
        );
        let stopped = async {
            end(&registry, &webhooks, bridge.as_ref(), &received).await;
            stop.cancel();
            sandbox_stop.cancel();
            // Callers have been answered by now; one that is still sending its body is not waited for.
            let rest = async { while tasks.join_next().await.is_some() {} };
            if timeout(REST_GRACE, rest).await.is_err() {
                tracing::info!("cut connections that did not end");
            }
        };
        tokio::select! {
            stopped = timeout(STOP_BUDGET, stopped) => match stopped {
                Ok(()) => tracing::info!("stopped"),
                Err(_elapsed) => tracing::warn!("not everything had ended after {} s; the rest is dropped", STOP_BUDGET.as_secs()),
            },
            () = asked_again(&mut stop_asked) => tracing::warn!("told to stop a second time: the rest is dropped"),
        }
        // Closed already, unless the stop was cut short.
        if timeout(LEDGER_TIMEOUT, registry.close_ledger())
            .await
            .is_err()
        {
            tracing::warn!("the ledger could not be closed: the disk does not answer");
        }
        ended_early.unwrap_or(Ok(()))
    }
}

/// Ends all that has something to write down until it has ended, and then closes the ledger.
async fn end(
    registry: &Registry,
    webhooks: &Webhooks,
    bridge: Option<&Bridge>,
    received: &Received,
) {
    let bridge = async {
        if let Some(bridge) = bridge {
            bridge.shut_down().await;
        }
    };
    tokio::join!(
        registry.end_sessions(),
        webhooks.shut_down(),
        bridge,
        received.shut_down()
    );
    registry.close_ledger().await;
}

/// Removes files that no send needs any more, now and then. A round that does not succeed is made up for by the next one.
fn sweep_media(config: &Config, ledger: Ledger) -> impl Future<Output = ()> + Send + use<> {
    let store = MediaStore::new(&config.outgoing_media_dir(), config.media.largest);
    async move {
        let mut rounds = interval(MEDIA_SWEEP_INTERVAL);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            let swept = match media_in_use(&ledger).await {
                Ok(in_use) => store.sweep(in_use).await.map_err(|why| why.to_string()),
                Err(why) => Err(why.to_string()),
            };
            match swept {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "removed {count} files that no send needs"),
                Err(why) => tracing::warn!("files that no send needs stay for now: {why}"),
            }
        }
    }
}

/// Something that is done again and again until the service stops.
async fn until(stop: CancellationToken, doing: impl Future<Output = ()> + Send) -> io::Result<()> {
    stop.run_until_cancelled(doing).await;
    Ok(())
}

/// The files of all open sends, by their hashes.
async fn media_in_use(ledger: &Ledger) -> Result<HashSet<String>, ReadError> {
    const PAGE: usize = 500;
    let mut in_use = HashSet::new();
    // No send was ever made: there is no ledger, and none is to be begun for this.
    if !ledger.is_begun().await {
        return Ok(in_use);
    }
    for state in [SendState::Queued, SendState::Handed] {
        let mut after = 0;
        loop {
            let query = Query {
                state: Some(state),
                after,
                limit: PAGE,
                ..Query::default()
            };
            let page = ledger.list(query).await?;
            let media = page.iter().filter_map(|send| send.extras.media.as_ref());
            in_use.extend(media.map(|medium| medium.sha256.clone()));
            let Some(last) = page.last().filter(|_| page.len() == PAGE) else {
                break;
            };
            after = last.seq;
        }
    }
    Ok(in_use)
}

/// The webhooks, whose delivery has begun.
fn webhooks(config: &Config, registry: &Registry) -> Webhooks {
    let webhooks = Webhooks::new(
        registry.ledger().clone(),
        config.delivery.clone(),
        registry.listened().clone(),
        http::envelope,
    );
    webhooks.begin();
    webhooks
}

/// The bridge to Central Hub, which has begun, if all that it needs is set. Says once why there is none.
fn bridge(config: &Config, registry: &Registry) -> Option<Bridge> {
    let hub = &config.central_hub;
    let (Some(base), Some(user), Some(pass)) = (&hub.base_url, &hub.user, &hub.pass) else {
        let missing = hub.missing();
        let names = missing.join(", ");
        if missing.len() < 3 {
            tracing::warn!("the bridge to Central Hub is off: {names} not set");
        } else {
            tracing::info!("the bridge to Central Hub is off: none is set ({names})");
        }
        return None;
    };
    let credential = |secret: &startup::Secret| Credential::from(secret.reveal());
    let options = BridgeOptions {
        access: HubAccess {
            base: base.clone(),
            user: user.clone(),
            pass: credential(pass),
            internal_token: hub.internal_token.as_ref().map(credential),
        },
        clients: match config.session_mode {
            SessionMode::Multi => Clients::ByName,
            SessionMode::Single => Clients::One(hub.cliente_id),
        },
    };
    let ledger = registry.ledger().clone();
    let bridge = Bridge::new(ledger, options, registry.listened().clone());
    bridge.begin();
    Some(bridge)
}

/// Resolves when the stop is asked for again, after some time.
async fn asked_again(stop_asked: &mut impl AsyncFnMut()) {
    let patient_until = Instant::now() + PATIENCE;
    loop {
        stop_asked().await;
        if patient_until <= Instant::now() {
            return;
        }
    }
}

/// Tells the simulated phone which session is behind each code and account, until the service stops.
async fn name_pages(registry: Arc<Registry>, tags: NameTags) -> io::Result<()> {
    let mut changes = Changes::of(registry, None);
    while let Some((id, snapshot)) = changes.next().await {
        let code = if let SessionState::QrRequired { code, .. } = &snapshot.state {
            code.as_ref().map(|code| &*code.text)
        } else {
            None
        };
        tags.set(id.as_str(), code, snapshot.account.as_deref());
    }
    Ok(())
}

/// Where Chrome on this machine reaches what listens on `addr`. Loopback is also what browsers trust without TLS.
pub(crate) fn reachable(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(reached_at(addr.ip()), addr.port())
}

/// Makes the folder, private to this user, and sees that it can be written.
fn ensure_writable(folder: &Path) -> io::Result<()> {
    make_folder(folder)?;
    let probe = folder.join(".writable");
    fs::write(&probe, b"")?;
    fs::remove_file(&probe)
}

#[cfg(test)]
mod tests {
    use tokio::{sync::mpsc, time::sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_signal_that_is_told_twice_at_once_is_no_impatience() {
        let (signal, mut signals) = mpsc::channel(8);
        let mut stop_asked = async || {
            signals.recv().await;
        };
        tokio::spawn(async move {
            // The group's, and what a wrapper forwards; then a person at a keyboard.
            for after in [0, 5, 300, 1200] {
                sleep(Duration::from_millis(after)).await;
                signal.send(()).await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        stop_asked().await;
        let asked = Instant::now();
        asked_again(&mut stop_asked).await;
        assert_eq!(asked.elapsed(), Duration::from_millis(1505));
    }
}
