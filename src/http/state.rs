//! What every handler may use: the sessions, the settings, and what is counted over all requests. It only holds.

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::{
    api::link_store::Links,
    guard::attempts::Attempts,
    serve::{requests::Requests, streams::Places},
};
use crate::{
    config::{Config, Secret},
    keys::Keyring,
    session::Registry,
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
    config: Config,
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

impl AppState {
    /// Serves the sessions of `registry` as `config` says. The service's uptime counts from here.
    pub fn new(registry: Arc<Registry>, config: &Config, dropped_lines: DroppedLines) -> Self {
        Self(Arc::new(Shared {
            registry,
            config: config.clone(),
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

    pub(super) fn config(&self) -> &Config {
        &self.0.config
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

    /// The same by a clock that is never set.
    pub(super) fn started(&self) -> Instant {
        self.0.started
    }
}
