//! What every handler may use: the sessions, the settings, and what is counted over all requests. It only holds.

use std::{ops::Deref, sync::Arc, time::Instant};

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::{
    api::{event_log, link_store::OneTimeLinks},
    guard::attempts::Attempts,
    serve::{counts::RequestCounts, streams::StreamPlaces},
};
use crate::{
    config::{Config, Secret},
    delivery::{Bridge, Downloader, Webhooks},
    keys::Keyring,
    media::MediaStore,
    received::Received,
    session::Registry,
    telemetry::DroppedLines,
};

/// Each keeps a connection for up to a quarter of an hour: half of the connections that the service takes, so that the other
/// requests always find some.
const MOST_READY_WAITS: usize = 256;

/// Shared by all requests; cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState(Arc<Shared>);

/// What [`AppState`] holds.
#[derive(Debug)]
pub struct Shared {
    pub(super) registry: Arc<Registry>,
    pub(super) webhooks: Webhooks,
    /// The bridge to Central Hub, if it is set.
    pub(super) bridge: Option<Bridge>,
    /// The files of messages.
    pub(super) received: Received,
    /// Files that are to be sent, and what fetches them.
    pub(super) media: MediaStore,
    pub(super) downloader: Downloader,
    pub(super) config: Config,
    pub(super) keys: Arc<Keyring>,
    pub(super) attempts: Attempts,
    /// One place for each stream of changes.
    pub(super) streams: StreamPlaces,
    /// One for each that shows a one-time link.
    pub(super) link_streams: StreamPlaces,
    /// One permit for each connect that waits for READY.
    pub(super) ready_waits: Semaphore,
    /// One permit for each request that waits for events.
    pub(super) event_waits: Semaphore,
    pub(super) links: OneTimeLinks,
    pub(super) requests: RequestCounts,
    /// What the log had no room for.
    pub(super) dropped_lines: DroppedLines,
    pub(super) started_at: Timestamp,
    /// The same by a clock that is never set.
    pub(super) started: Instant,
}

impl AppState {
    /// Serves the sessions of `registry` as `config` says. The service's uptime counts from here.
    pub fn new(
        registry: Arc<Registry>,
        webhooks: Webhooks,
        bridge: Option<Bridge>,
        received: Received,
        config: &Config,
        dropped_lines: DroppedLines,
    ) -> Self {
        Self(Arc::new(Shared {
            registry,
            webhooks,
            bridge,
            received,
            media: MediaStore::new(&config.outgoing_media_dir(), config.media.largest),
            downloader: Downloader::new(config.media.allows_private),
            config: config.clone(),
            keys: Arc::new(Keyring::new(
                config.api_key.as_ref().map(Secret::reveal),
                config.api_keys_file.clone(),
            )),
            attempts: Attempts::default(),
            streams: StreamPlaces::of_readers(),
            link_streams: StreamPlaces::of_links(),
            ready_waits: Semaphore::new(MOST_READY_WAITS),
            event_waits: Semaphore::new(event_log::MOST_WAITS),
            links: OneTimeLinks::default(),
            requests: RequestCounts::default(),
            dropped_lines,
            started_at: Timestamp::now(),
            started: Instant::now(),
        }))
    }

    /// The keys that are asked for. The program that serves has to [`learn`](Keyring::learn) and to [`watch`](Keyring::watch) them.
    pub fn keys(&self) -> &Arc<Keyring> {
        &self.0.keys
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
