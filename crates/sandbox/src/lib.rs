//! A simulated WhatsApp Web with a simulated phone, for tests, newcomers and integrators.
//!
//! Responsible for: a page that behaves as WhatsApp Web does, the server behind it, and a phone
//! that is an HTTP API and a page. Not responsible for, and ignorant of: the service, its sessions and
//! its browsers. `docs/sandbox.md` tells what is simulated and what is not.
//!
//! The service starts one beside itself (`--sandbox`); the program `whatsapp-sandbox` is one alone, which several services
//! share.
//!
//! ```text
//!  GET / ──▶ page (the page: page/*.js) ◀──WebSocket──▶ device ──▶ server ──▶ world ──▶ journal (a file)
//!  /phone/*, /faults ──▶ phone ───────────────────────────────────────┘
//! ```
//! Invariants: a message is on disk before it is acknowledged; nothing that a message, a code or
//! a number says is ever logged; an injected fault is the only reason to misbehave.

mod after;
mod answer;

mod code;
mod device;
mod extras;
mod faults;
mod guard;
mod journal;
mod media;
mod number;
mod page;
mod pairing;
mod phone;
mod ratchets;
mod server;
mod settings;
mod stanza;
mod wire;
mod world;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    routing::{any, get, post},
    serve::ListenerExt as _,
};
use code::ScannedCode;
use futures_util::future::try_join_all;
use guard::IsOpen;
use number::Number;
use phone::{groups, mailbox};
use server::Server;
pub use settings::{CodeLives, PAIRING_LIFE, SandboxSettings};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use world::Named;

/// A medium of 150 MB in base64.
const MOST_BYTES_OF_A_MESSAGE: usize = 200 * 1024 * 1024;

/// Connections are told to end and need a moment only; what is slower is cut.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How the simulated WhatsApp behaves when no fault is set.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// The folder that remembers accounts and messages over a restart.
    pub data_dir: PathBuf,
    /// How long the first code of a batch is valid.
    pub first_code: Duration,
    /// How long each of the five codes after it is valid.
    pub next_codes: Duration,
    /// How long a code for linking by phone number is valid.
    pub pairing_code: Duration,
    /// How long the server takes to acknowledge a message; delivered and read follow, each as
    /// long after the one before.
    pub ack_delay: Duration,
}

impl SandboxConfig {
    /// The timing of the real WhatsApp: codes of 60 and 20 seconds, three minutes for one that is
    /// typed, half a second to a message's first acknowledgement.
    pub fn in_folder(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            first_code: CodeLives::WHATSAPP.first,
            next_codes: CodeLives::WHATSAPP.next,
            pairing_code: PAIRING_LIFE,
            ack_delay: settings::ACK_DELAY,
        }
    }
}

/// Why the sandbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// It was given nothing to listen with, or the system no longer knows where that listens.
    #[error("learn where it listens: {0}")]
    Address(io::Error),
    /// The data folder cannot be read or written.
    #[error("open the sandbox's data in {}: {cause}", .folder.display())]
    Data {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// A sandbox that listens but does not serve yet.
#[derive(Debug)]
pub struct Sandbox {
    listeners: Vec<TcpListener>,
    address: SocketAddr,
    server: Arc<Server>,
    config: Arc<SandboxConfig>,
}

/// Tells the person at the phone whose page is whose. Nothing else in the sandbox knows of it.
#[derive(Clone, Debug)]
pub struct NameTags(Arc<Server>);

impl NameTags {
    /// The page that `name` means shows this code, or has this account, or neither.
    pub fn set(&self, name: &str, code: Option<&str>, account: Option<&str>) {
        let named = Named {
            code: code.and_then(ScannedCode::parse),
            account: account.and_then(|account| Number::parse(account).ok()),
        };
        self.0.name(name, named);
    }
}

/// What every handler shares.
#[derive(Clone, Debug)]
struct App {
    server: Arc<Server>,
    config: Arc<SandboxConfig>,
    stop: CancellationToken,
    connections: TaskTracker,
}

impl Sandbox {
    /// Reads what the data folder remembers. The ports are taken before: another program that has them may be writing to
    /// the folder.
    pub fn open(listeners: Vec<TcpListener>, config: SandboxConfig) -> Result<Self, SandboxError> {
        let first = listeners.first().ok_or(io::ErrorKind::NotConnected.into());
        let address = first.and_then(TcpListener::local_addr);
        let address = address.map_err(SandboxError::Address)?;
        let server = Server::open(&config.data_dir).map_err(|cause| SandboxError::Data {
            folder: config.data_dir.clone(),
            cause,
        })?;
        Ok(Self {
            listeners,
            address,
            server: Arc::new(server),
            config: Arc::new(config),
        })
    }

    /// Where it listens, the first address of them all.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// A way to name the pages.
    pub fn name_tags(&self) -> NameTags {
        NameTags(Arc::clone(&self.server))
    }

    /// Serves until `stop`, and then ends at once, even if clients are still connected.
    pub async fn run(self, stop: CancellationToken) {
        let app = App {
            server: self.server,
            config: self.config,
            stop: stop.clone(),
            connections: TaskTracker::new(),
        };
        let connections = app.connections.clone();
        let is_open = !self.address.ip().to_canonical().is_loopback();
        let router = router(app).layer(from_fn_with_state(IsOpen(is_open), guard::keep));
        let servers = self.listeners.into_iter().map(|listener| {
            // Else an acknowledgement waits up to 40 ms for that of the frame before it, as on no real network.
            let listener = listener.tap_io(|connection| {
                if let Err(why) = connection.set_nodelay(true) {
                    tracing::debug!("a connection is slower than need be: {why}");
                }
            });
            axum::serve(listener, router.clone())
                .with_graceful_shutdown(stop.clone().cancelled_owned())
                .into_future()
        });
        let serve = try_join_all(servers);
        let cut = async {
            stop.cancelled().await;
            tokio::time::sleep(CLOSE_TIMEOUT).await;
        };
        tokio::select! {
            served = serve => if let Err(why) = served {
                tracing::error!("the sandbox stopped serving: {why}");
            },
            () = cut => tracing::warn!("the sandbox cut requests that did not end in time"),
        }
        connections.close();
        if timeout(CLOSE_TIMEOUT, connections.wait()).await.is_err() {
            tracing::warn!("the sandbox cut connections that did not end in time");
        }
    }
}

fn router(app: App) -> Router {
    Router::new()
        .route("/", get(page::web))
        .route("/send", get(page::web))
        .route("/web/socket", any(page::socket))
        .route("/web/update", get(page::update))
        .route("/web/code", post(page::code))
        .route("/mms/{type}/{hash}", post(page::upload))
        .route("/v/{*file}", get(page::download))
        .route("/phone", get(page::phone))
        .route("/phone/scan", post(phone::scan))
        .route("/phone/pair", post(phone::pair))
        .route("/phone/passkey", post(phone::passkey))
        .route("/phone/messages", get(phone::messages))
        .route("/phone/media", get(phone::media))
        .merge(
            // These bring media in base64.
            Router::new()
                .route("/phone/receive", post(mailbox::receive))
                .route("/phone/write", post(mailbox::write))
                .layer(DefaultBodyLimit::max(MOST_BYTES_OF_A_MESSAGE)),
        )
        .route("/phone/edit", post(mailbox::edit))
        .route("/phone/delete", post(mailbox::delete))
        .route("/phone/react", post(mailbox::react))
        .route("/phone/ack", post(mailbox::ack))
        .route("/phone/resolve", post(mailbox::resolve))
        .route("/phone/reveal", post(mailbox::reveal))
        .route("/phone/group", post(groups::made))
        .route("/phone/group/members", post(groups::members))
        .route("/phone/group/change", post(groups::change))
        .route("/phone/notice", post(mailbox::notice))
        .route("/phone/post", post(mailbox::post))
        .route("/phone/burst", post(mailbox::burst))
        .route("/phone/history", post(mailbox::history))
        .route("/phone/unlink", post(phone::unlink))
        .route("/phone/state", get(phone::state))
        .route("/faults", get(phone::faults).post(phone::set_faults))
        .fallback(page::file)
        .with_state(app)
}
