//! What every handler may use: the sessions, and the few settings that the API itself obeys.

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::{
    api::{link_store::Links, metrics::Requests},
    guard::{attempts::Attempts, public_url::Origin},
    serve::streams::Places,
};
use crate::{
    config::{CodeLives, Config, CorsOrigins, Secret, SessionMode},
    keys::Keyring,
    ledger::Traffic,
    session::{ClienteId, Registry, Snapshot},
    telemetry::DroppedLines,
};

/// Each keeps a connection for up to a quarter of an hour: half of the connections that the service takes, so that the other
/// requests always find some.
const MOST_READY_WAITS: usize = 256;

/// Shared by all requests; cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    registry: Arc<Registry>,
    settings: Settings,
    keys: Arc<Keyring>,
    attempts: Attempts,
    streams: Places,
    link_streams: Places,
    ready_waits: Semaphore,
    links: Links,
    requests: Requests,
    dropped_lines: DroppedLines,
    started_at: Timestamp,
    started: Instant,
}

/// The settings that the API obeys.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) session_mode: SessionMode,
    pub(super) default_cliente_id: ClienteId,
    pub(super) connect_wait: std::time::Duration,
    pub(super) trusted_proxies: usize,
    /// `None`: not set.
    cors_origins: Option<CorsOrigins>,
    /// Whether `HOST` is no loopback address.
    pub(super) is_reached_by_others: bool,
    pub(super) code_lives: CodeLives,
    /// Where the simulated WhatsApp is, if it is one.
    pub(super) sandbox: Option<String>,
    pub(super) public_url: Option<String>,
    /// The origin of pages at `public_url`: each request is compared with it.
    pub(super) public_origin: Option<Origin>,
}

impl Settings {
    /// The web pages that may call. Where a key is asked for, the key decides unless the setting does.
    pub(super) fn allowed_origins(&self, asks_for_key: bool) -> &CorsOrigins {
        static ANY: CorsOrigins = CorsOrigins::Any;
        static LOCAL: CorsOrigins = CorsOrigins::LOCAL;
        let usual = if asks_for_key { &ANY } else { &LOCAL };
        self.cors_origins.as_ref().unwrap_or(usual)
    }
}

impl AppState {
    /// Serves the sessions of `registry` as `config` says. The service's uptime counts from here.
    pub fn new(registry: Arc<Registry>, config: &Config, dropped_lines: DroppedLines) -> Self {
        let settings = Settings {
            session_mode: config.session_mode,
            default_cliente_id: config.default_cliente_id.clone(),
            connect_wait: config.connect_wait,
            trusted_proxies: config.trusted_proxies,
            cors_origins: config.cors_origins.clone(),
            is_reached_by_others: !config.host.is_loopback(),
            code_lives: config
                .sandbox
                .as_ref()
                .map_or(CodeLives::WHATSAPP, |sandbox| sandbox.code_lives),
            sandbox: config
                .sandbox
                .as_ref()
                .map(|_| config.whatsapp_url.trim_end_matches('/').to_owned()),
            public_url: config.public_url.clone(),
            public_origin: config.public_url.as_deref().and_then(Origin::of),
        };
        Self(Arc::new(Shared {
            registry,
            settings,
            keys: Arc::new(Keyring::new(
                config.api_key.as_ref().map(Secret::reveal),
                config.api_keys_file.clone(),
            )),
            attempts: Attempts::default(),
            streams: Places::of_readers(),
            link_streams: Places::of_links(),
            ready_waits: Semaphore::new(MOST_READY_WAITS),
            links: Links::default(),
            requests: Requests::default(),
            dropped_lines,
            started_at: Timestamp::now(),
            started: Instant::now(),
        }))
    }

    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Whether a request without a key is refused.
    pub fn asks_for_key(&self) -> bool {
        self.keys().is_asked_for()
    }

    /// The keys that are asked for. Whoever serves has to [`learn`](Keyring::learn) and to [`watch`](Keyring::watch) them.
    pub fn keys(&self) -> &Arc<Keyring> {
        &self.0.keys
    }

    pub(super) fn attempts(&self) -> &Attempts {
        &self.0.attempts
    }

    /// One place for each stream of changes.
    pub(super) fn streams(&self) -> &Places {
        &self.0.streams
    }

    /// One for each that shows a one-time link.
    pub(super) fn link_streams(&self) -> &Places {
        &self.0.link_streams
    }

    /// One permit for each connect that waits for READY.
    pub(super) fn ready_waits(&self) -> &Semaphore {
        &self.0.ready_waits
    }

    pub(super) fn links(&self) -> &Links {
        &self.0.links
    }

    pub(super) fn requests(&self) -> &Requests {
        &self.0.requests
    }

    /// What the log had no room for.
    pub(super) fn dropped_lines(&self) -> &DroppedLines {
        &self.0.dropped_lines
    }

    pub(super) fn started_at(&self) -> Timestamp {
        self.0.started_at
    }

    pub(super) fn uptime_seconds(&self) -> u64 {
        self.0.started.elapsed().as_secs()
    }

    /// The session that serves this name.
    pub(super) fn serving<'a>(&'a self, id: &'a ClienteId) -> &'a ClienteId {
        match self.settings().session_mode {
            SessionMode::Multi => id,
            SessionMode::Single => &self.settings().default_cliente_id,
        }
    }

    /// What the session has done and has still to do.
    pub(super) fn traffic(&self, id: &ClienteId) -> Traffic {
        self.registry().ledger().tally().traffic(id.as_str())
    }

    /// The session as it is now. One that was never seen has been `DISCONNECTED` for as long as the service runs.
    pub(super) fn snapshot(&self, id: &ClienteId) -> Snapshot {
        let registry = self.registry();
        let known = registry.find(id).map(|session| session.snapshot());
        known
            .or_else(|| registry.last_seen(id))
            .unwrap_or_else(|| self.never_seen())
    }

    fn never_seen(&self) -> Snapshot {
        Snapshot::not_running(self.0.started_at)
    }
}
