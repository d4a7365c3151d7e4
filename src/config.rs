//! Every setting, once: its variable, its default, its unit, its check.
//!
//! The only module that reads settings, through the crate `startup`. From other modules it imports only what a setting is parsed
//! into (a session's name and limits, an adapter's name, the key of snapshots, the webhook that is set), and what tells whether there is a key. All faults are found in one pass
//! and reported together, so that an operator corrects them in one go. A variable that is set but empty counts as not set.

use std::{
    ffi::OsString,
    fmt,
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    time::Duration,
};

use startup::{
    Dotenv, Found, Settings,
    parse::{listen_host, path, port, seconds},
    variable,
};
pub use startup::{ListenHost, Secret, SettingsError as ConfigError, reached_at};
use whatsapp_sandbox::PAIRING_LIFE;
pub use whatsapp_sandbox::{CodeLives, SandboxSettings};

use crate::{
    browser::{InvalidSnapshotKey, SnapshotKey},
    delivery::{DeliveryOptions, Schedule, SetWebhook},
    received::{Bucket, Download, Location, ReceivedOptions},
    session::{ClienteId, SendLimits, StaleSends, StartLimits},
    whatsapp::AdapterName,
};

mod client;
mod exposure;
mod parse;
mod values;

pub use client::{ClientConfig, KeySource};
pub use values::{CorsOrigins, HubSettings, LogFormat, SessionMode};

/// The real page.
pub const WHATSAPP_WEB: &str = "https://web.whatsapp.com/";

/// The settings the service runs with.
#[derive(Clone)]
pub struct Config {
    /// `PORT` (3001): where the API listens; 0 lets the system choose.
    pub port: u16,
    /// `HOST` (localhost): the addresses the API listens on; `localhost` is both loopback addresses.
    pub host: ListenHost,
    /// `TOKENS_DIR` (tokens; with the sandbox `DATA_DIR`/sandbox/tokens): one profile folder per session.
    pub tokens_dir: PathBuf,
    /// `DATA_DIR` (data): what else must outlive a restart.
    pub data_dir: PathBuf,
    /// `CHROME_PATH`: the Chrome to use; when it is not set, the service looks for one.
    pub chrome_path: Option<PathBuf>,
    /// `CHROME_ARGS`: switches added to each Chrome, separated by white space.
    pub chrome_args: Vec<String>,
    /// `PATH`, where Chrome is looked for.
    pub search_path: OsString,
    /// `WHATSAPP_URL` (<https://web.whatsapp.com/>): the page that sessions open.
    pub whatsapp_url: String,
    /// `ADAPTERS` (modules,wa-js,dom): the adapters in use, in the order in which they are tried.
    pub adapters: Vec<AdapterName>,
    /// `PAGE_SCRIPTS_DIR`: a folder whose scripts replace the built-in ones of the same name.
    pub page_scripts_dir: Option<PathBuf>,
    /// `WA_JS_PATH` (where `npm install` puts it): the bundle of wa-js. The default need not be there.
    pub wa_js_path: PathBuf,
    /// `SANDBOX` (off) with `SANDBOX_PORT` (3002): a simulated WhatsApp Web, which then is the page that sessions open.
    pub sandbox: Option<SandboxSettings>,
    /// `SESSION_MODE` (multi).
    pub session_mode: SessionMode,
    /// `DEFAULT_CLIENTE_ID` (admin): the session of a request that names none.
    pub default_cliente_id: ClienteId,
    /// `AUTOSTART`: sessions to connect at start, separated by commas.
    pub autostart: Vec<ClienteId>,
    /// `RESTORE_SESSIONS` (true): at start, connect the sessions whose desired state is up.
    pub restore_sessions: bool,
    /// What all sessions have in common.
    pub sessions: SessionConfig,
    /// `CONNECT_WAIT_SECONDS` (8): the longest a connect waits for a code or READY.
    pub connect_wait: Duration,
    /// `IDEMPOTENCY_HOURS` (48): how long an idempotency key, and what became of a send, is remembered.
    pub idempotency: Duration,
    /// `MESSAGE_RETENTION_HOURS` (72): how long the text of a send is kept once it is done with; 0: not at all.
    pub message_retention: Duration,
    /// `SNAPSHOT_KEY`, or the one in the file `SNAPSHOT_KEY_FILE`: what snapshots of profiles are encrypted with. Not set: they are not.
    pub snapshot_key: Option<SnapshotKey>,
    /// `EVENT_RETENTION_HOURS` (72): how long events can be read, with the messages in them; 1 or more. What a consumer is still to be given
    /// is kept for 7 days, if that is longer.
    pub event_retention: Duration,
    /// `MEDIA_DOWNLOAD` (demand): when the files of messages are fetched; `MEDIA_DOWNLOAD_MAX_MB` (50): the most megabytes of one that is
    /// fetched without a caller; `MEDIA_RETENTION_HOURS` (72): for how long they are kept;
    /// `MEDIA_STORE` (`DATA_DIR`/media): where, a folder or a bucket; for a bucket `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_REGION` (us-east-1), and `AWS_ENDPOINT_URL` if it is not Amazon's.
    pub received: ReceivedOptions,
    /// `WEBHOOK_URL`, with `WEBHOOK_SECRET` and `WEBHOOK_TYPES`: a webhook that needs no request; `WEBHOOK_RETRY_SECONDS`
    /// (5,300,1800,7200,18000,36000,50400,72000,86400): the waits between the attempts of one delivery; `WEBHOOK_ALLOW_PRIVATE`
    /// (false): webhooks may lead to this machine and to private networks.
    pub delivery: DeliveryOptions,
    /// `MEDIA_MAX_MB` (200): the most megabytes of a file that is to be sent; `MEDIA_ALLOW_PRIVATE` (false): the address of such a file may
    /// lead to this machine and to private networks.
    pub media: MediaSettings,
    /// `CENTRAL_HUB_BASE_URL`, `CENTRAL_HUB_USER`, `CENTRAL_HUB_PASS`, `CENTRAL_HUB_CLIENTE_ID` or `CLIENTE_ID` (1), `INTERNAL_LISTENER_TOKEN`: the
    /// backend to which each text is reported; off unless the first three are set.
    pub central_hub: HubSettings,
    /// `EVIDENCE_OF_CHATS` (false): keep pictures and console lines also of pages that may show a linked account's chats.
    pub evidence_of_chats: bool,
    /// `API_KEY`: a key for everything. When it is set, or `API_KEYS_FILE` is there, every request but `/health`,
    /// `/docs`, `/openapi.json`, the page's own files and one-time links must carry a key.
    pub api_key: Option<Secret>,
    /// `API_KEYS_FILE` (`DATA_DIR`/keys.json): more keys, each with its own rights, as `session-manager key` writes them.
    pub api_keys_file: PathBuf,
    /// `ALLOW_WITHOUT_KEY` (false): serve without a key although other machines reach `HOST`.
    pub allow_without_key: bool,
    /// `TRUSTED_PROXIES` (0): how many proxies stand before the service, each of which adds to `X-Forwarded-For`.
    pub trusted_proxies: usize,
    /// `PUBLIC_URL`: where people reach the service, when a proxy stands before it; by default what a request says (`Host`).
    pub public_url: Option<String>,
    /// `CORS_ORIGINS`: the web pages that may call. Not set: `local` while no key is asked for, `*` from then on.
    pub cors_origins: Option<CorsOrigins>,
    /// `LOG_FORMAT` (text).
    pub log_format: LogFormat,
    /// `RUST_LOG` (info): what is logged, in the syntax of `tracing-subscriber`.
    pub log_filter: String,
    /// Names in `.env` that no setting has and that look like one: a line for each, with the one that may be meant.
    pub slips: Vec<String>,
}

/// A megabyte, as disks count.
const BYTES_PER_MB: u64 = 1_000_000;

/// Files that are to be sent.
#[derive(Clone, Copy, Debug)]
pub struct MediaSettings {
    /// The most bytes of one.
    pub largest: u64,
    /// Whether the address of one may lead to this machine and to private networks.
    pub allows_private: bool,
}

/// The settings that all sessions have in common, as one value that they share. A new one is declared here and
/// parsed in [`read`](Self::read); every session then has it as `options.shared.config`.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// `PROFILE_SNAPSHOTS` (1): how many snapshots of each profile are kept; 0: none, and none is used.
    pub profile_snapshots: usize,
    /// `SNAPSHOT_EVERY_MINUTES` (10): how often the profile of a running session is copied, if anything was sent or received since;
    /// 0: only when it is closed.
    pub snapshot_every: Option<Duration>,
    /// `MAX_SESSIONS` (50): how many sessions may run at once.
    pub max_sessions: NonZeroUsize,
    /// `MIN_FREE_MEMORY_MB` (400): how much memory must be free before another session starts; 0: it is not looked at.
    pub min_free_memory_mb: u64,
    /// `SESSION_MEMORY_MB` (2000): how much a session's Chrome may take before it is relieved; 0: as much as it likes.
    pub memory_mb: Option<NonZeroU64>,
    /// `MAX_CONCURRENT_STARTS` (number of cores): how many Chromes may start at once.
    pub max_concurrent_starts: NonZeroUsize,
    /// `SEND_QUEUE_MAX` (100): sends of one session that may wait for their turn; `SEND_RATE_PER_MINUTE` (30): sends of one session
    /// in the long run, 0: as many as come; `SEND_WAIT_SECONDS` (45): the longest a send waits for WhatsApp's server.
    pub sends: SendLimits,
    /// `SEND_DEDUP_SECONDS` (0): without a key, the same session, recipient and text within that time is one send; 0: off.
    pub send_dedup: Option<Duration>,
    /// `BACKFILL_HOURS` (24): how far back the service looks for what came in while it could not hear it; 0: not at all.
    pub backfill: Duration,
    /// `STALE_SENDS` (refuse): what becomes of a send to a recipient for whom the profile is too old, where the page cannot mend
    /// that.
    pub stale_sends: StaleSends,
    /// `LAUNCH_TIMEOUT_SECONDS` (30), `NAVIGATE_TIMEOUT_SECONDS` (45), `INJECT_TIMEOUT_SECONDS` (90),
    /// `CODE_TIMEOUT_SECONDS` (60), `QR_TIMEOUT_SECONDS` (300), `SYNC_TIMEOUT_SECONDS` (300): how long each phase of a start
    /// may take before the session gives up.
    pub limits: StartLimits,
    /// How long WhatsApp, or the sandbox in its place, takes a code that links by phone number.
    pub pairing_life: Duration,
    /// `HIBERNATE_AFTER_SECONDS` (0): a session that has had nothing to send for so long closes its Chrome until it has; 0: never.
    pub hibernate_after: Option<Duration>,
    /// `HIBERNATE_LISTENING` (false): also a session whose messages a webhook or the bridge wants may close its Chrome. It
    /// hears what came meanwhile when it wakes.
    pub hibernate_listening: bool,
    /// `HEALS_PER_HOUR` (10): how often a session that has failed is healed within an hour before it becomes `ERROR`; 0: never.
    pub heals_per_hour: usize,
    /// `TAKE_OVER` (true): take the account back when WhatsApp Web is opened elsewhere with the same profile.
    pub take_over: bool,
}

impl Default for SessionConfig {
    /// What an operator gets who sets nothing.
    fn default() -> Self {
        Self::read(&mut Settings::new(|_| None), PAIRING_LIFE)
    }
}

impl SessionConfig {
    fn read(
        settings: &mut Settings<impl Fn(&str) -> Option<Found>>,
        pairing_life: Duration,
    ) -> Self {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            profile_snapshots: settings.parsed("PROFILE_SNAPSHOTS", 1, parse::copies),
            snapshot_every: settings.parsed(
                "SNAPSHOT_EVERY_MINUTES",
                Some(DEFAULT_SNAPSHOT_EVERY),
                parse::minutes,
            ),
            max_sessions: settings.parsed("MAX_SESSIONS", DEFAULT_MAX_SESSIONS, parse::count),
            min_free_memory_mb: settings.parsed(
                "MIN_FREE_MEMORY_MB",
                DEFAULT_MIN_FREE_MB,
                parse::megabytes,
            ),
            memory_mb: NonZeroU64::new(settings.parsed(
                "SESSION_MEMORY_MB",
                DEFAULT_SESSION_MB,
                parse::megabytes,
            )),
            max_concurrent_starts: settings.parsed("MAX_CONCURRENT_STARTS", cores, parse::count),
            sends: SendLimits {
                wait: settings.parsed("SEND_WAIT_SECONDS", Duration::from_secs(45), seconds),
                queue_max: settings.parsed("SEND_QUEUE_MAX", DEFAULT_QUEUE_MAX, parse::count),
                rate_per_minute: settings.parsed(
                    "SEND_RATE_PER_MINUTE",
                    Some(DEFAULT_RATE_PER_MINUTE),
                    parse::rate,
                ),
            },
            send_dedup: delay(settings, "SEND_DEDUP_SECONDS"),
            backfill: settings.parsed("BACKFILL_HOURS", DEFAULT_BACKFILL, parse::backfill),
            stale_sends: settings.parsed("STALE_SENDS", StaleSends::Refuse, parse::stale_sends),
            limits: limits(settings),
            pairing_life,
            hibernate_after: delay(settings, "HIBERNATE_AFTER_SECONDS"),
            hibernate_listening: settings.parsed("HIBERNATE_LISTENING", false, parse::switch),
            heals_per_hour: settings.parsed(
                "HEALS_PER_HOUR",
                DEFAULT_HEALS_PER_HOUR,
                parse::whole_number,
            ),
            take_over: settings.parsed("TAKE_OVER", true, parse::switch),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Reads the process environment and, for what is not set there, the file `dotenv`, which may be absent. With
    /// `sandbox` the sandbox is on whatever `SANDBOX` says.
    pub fn load(dotenv: &Path, sandbox: bool) -> Result<Self, ConfigError> {
        let (config, verdict) = Self::open(dotenv, sandbox, false);
        verdict.map(|()| config)
    }

    /// [`load`](Self::load), for the service itself: to be reached from other machines without a key is a fault as well.
    pub fn load_to_serve(dotenv: &Path, sandbox: bool) -> Result<Self, ConfigError> {
        let (config, verdict) = Self::inspect(dotenv, sandbox);
        verdict.map(|()| config)
    }

    /// The settings as far as they can be read, and all that is wrong with them, for a person who looks for faults: what is
    /// wrong has its default.
    pub fn inspect(dotenv: &Path, sandbox: bool) -> (Self, Result<(), ConfigError>) {
        Self::open(dotenv, sandbox, true)
    }

    fn open(dotenv: &Path, sandbox: bool, serves: bool) -> (Self, Result<(), ConfigError>) {
        let file = Dotenv::read(dotenv);
        let lookup = |name: &str| {
            if sandbox && name == "SANDBOX" {
                return Some(Found::given("true".into()));
            }
            variable(name, &file)
        };
        Self::gather(lookup, &file, serves)
    }

    /// Reads settings through `lookup`, which looks into `file` too, and gathers all that is wrong.
    fn gather(
        lookup: impl Fn(&str) -> Option<Found>,
        file: &Dotenv,
        serves: bool,
    ) -> (Self, Result<(), ConfigError>) {
        let mut settings = Settings::new(lookup);
        settings.complain_of(file.faults());
        let mut config = Self::read(&mut settings);
        config.slips = file.slips(settings.names());
        // A line that cannot be read may be the one with the key.
        let may_be_without_key =
            serves && file.faults().is_empty() && !settings.is_faulty("API_KEY");
        if may_be_without_key
            && let Err((name, why)) = exposure::check(
                config.host,
                config.api_key.as_ref(),
                config.api_keys_file.clone(),
                config.allow_without_key,
            )
        {
            settings.complain(name, &why);
        }
        (config, settings.verdict())
    }

    /// How long each login code of WhatsApp, or of the sandbox in its place, is shown.
    pub fn code_lives(&self) -> CodeLives {
        let simulated = self.sandbox.as_ref().map(|sandbox| sandbox.code_lives);
        simulated.unwrap_or(CodeLives::WHATSAPP)
    }

    /// Where the simulated WhatsApp is, if it is one.
    pub fn sandbox_url(&self) -> Option<&str> {
        let url = self.whatsapp_url.trim_end_matches('/');
        self.sandbox.is_some().then_some(url)
    }

    /// Where what is kept of sessions lies: that of simulated ones must not be taken for real.
    pub fn sessions_data(&self) -> PathBuf {
        match self.sandbox {
            Some(_) => self.data_dir.join("sandbox"),
            None => self.data_dir.clone(),
        }
    }

    /// Where the snapshots of profiles lie.
    pub fn snapshots_dir(&self) -> PathBuf {
        self.sessions_data().join("snapshots")
    }

    /// Where the files lie that are to be sent.
    pub fn outgoing_media_dir(&self) -> PathBuf {
        self.sessions_data().join("outgoing")
    }

    /// Where it lies which sessions should be up.
    pub fn sessions_dir(&self) -> PathBuf {
        sessions_in(&self.sessions_data())
    }

    /// The same for a service without a sandbox.
    pub fn real_sessions_dir(&self) -> PathBuf {
        sessions_in(&self.data_dir)
    }

    /// Reads settings through `lookup`, which answers a variable's value.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let lookup = |name: &str| lookup(name).map(Found::given);
        let (config, verdict) = Self::gather(lookup, &Dotenv::default(), false);
        verdict.map(|()| config)
    }

    fn read(settings: &mut Settings<impl Fn(&str) -> Option<Found>>) -> Self {
        let host = settings.parsed("HOST", ListenHost::Localhost, listen_host);
        let sandbox_is_on = settings.parsed("SANDBOX", false, parse::switch);
        let data_dir = settings.parsed("DATA_DIR", PathBuf::from("data"), path);
        // Simulated links beside real ones would be taken for each other, and logged out for each other.
        let tokens_dir = if sandbox_is_on {
            data_dir.join("sandbox/tokens")
        } else {
            PathBuf::from("tokens")
        };
        let sandbox = sandbox(settings, host, sandbox_is_on);
        let data = if sandbox_is_on {
            data_dir.join("sandbox")
        } else {
            data_dir.clone()
        };
        let received = ReceivedOptions {
            download: settings.parsed("MEDIA_DOWNLOAD", Download::Demand, parse::download),
            download_most: settings.parsed("MEDIA_DOWNLOAD_MAX_MB", 50, parse::media_megabytes)
                * BYTES_PER_MB,
            retention: settings.parsed(
                "MEDIA_RETENTION_HOURS",
                Duration::from_secs(72 * 3600),
                parse::hours_at_least_one,
            ),
            location: media_location(settings, data.join("media")),
        };
        let pairing_life = sandbox
            .as_ref()
            .map_or(PAIRING_LIFE, |sandbox| sandbox.pairing_life);
        Self {
            port: settings.parsed("PORT", 3001, port),
            host,
            tokens_dir: settings.parsed("TOKENS_DIR", tokens_dir, path),
            api_keys_file: settings.parsed("API_KEYS_FILE", data_dir.join("keys.json"), path),
            data_dir,
            chrome_path: settings.parsed("CHROME_PATH", None, |raw| parse::program(raw).map(Some)),
            chrome_args: settings.parsed("CHROME_ARGS", Vec::new(), parse::chrome_args),
            search_path: settings.raw("PATH").unwrap_or_default(),
            whatsapp_url: settings.parsed("WHATSAPP_URL", WHATSAPP_WEB.to_owned(), parse::http_url),
            adapters: settings.parsed("ADAPTERS", AdapterName::ALL.to_vec(), parse::adapters),
            page_scripts_dir: settings
                .parsed("PAGE_SCRIPTS_DIR", None, |raw| parse::folder(raw).map(Some)),
            wa_js_path: settings.parsed(
                "WA_JS_PATH",
                PathBuf::from(DEFAULT_WA_JS_PATH),
                parse::readable_file,
            ),
            sandbox,
            session_mode: settings.parsed("SESSION_MODE", SessionMode::Multi, parse::session_mode),
            default_cliente_id: settings.parsed("DEFAULT_CLIENTE_ID", ClienteId::admin(), |raw| {
                raw.parse().map_err(parse::say)
            }),
            autostart: settings.parsed("AUTOSTART", Vec::new(), parse::cliente_ids),
            restore_sessions: settings.parsed("RESTORE_SESSIONS", true, parse::switch),
            sessions: SessionConfig::read(settings, pairing_life),
            connect_wait: settings.parsed("CONNECT_WAIT_SECONDS", Duration::from_secs(8), seconds),
            idempotency: settings.parsed(
                "IDEMPOTENCY_HOURS",
                Duration::from_secs(48 * 3600),
                parse::hours,
            ),
            message_retention: settings.parsed(
                "MESSAGE_RETENTION_HOURS",
                Duration::from_secs(72 * 3600),
                parse::hours,
            ),
            snapshot_key: snapshot_key(settings),
            event_retention: settings.parsed(
                "EVENT_RETENTION_HOURS",
                Duration::from_secs(72 * 3600),
                parse::hours_at_least_one,
            ),
            received,
            delivery: delivery(settings),
            media: MediaSettings {
                largest: settings.parsed("MEDIA_MAX_MB", 200, parse::media_megabytes)
                    * BYTES_PER_MB,
                allows_private: settings.parsed("MEDIA_ALLOW_PRIVATE", false, parse::switch),
            },
            central_hub: central_hub(settings),
            evidence_of_chats: settings.parsed("EVIDENCE_OF_CHATS", false, parse::switch),
            api_key: settings.secret("API_KEY"),
            allow_without_key: settings.parsed("ALLOW_WITHOUT_KEY", false, parse::switch),
            trusted_proxies: settings.parsed("TRUSTED_PROXIES", 0, parse::proxies),
            public_url: settings.parsed("PUBLIC_URL", None, |raw| parse::http_url(raw).map(Some)),
            cors_origins: settings.parsed("CORS_ORIGINS", None, parse::cors_origins),
            log_format: settings.parsed("LOG_FORMAT", LogFormat::Text, parse::log_format),
            log_filter: settings.parsed("RUST_LOG", "info".to_owned(), parse::log_filter),
            slips: Vec::new(),
        }
    }
}

/// Where records of sessions lie, in this folder of data.
fn sessions_in(data: &Path) -> PathBuf {
    data.join("sessions")
}

/// The key is in a variable or in a file, which keeps it out of what shows the environment of processes.
fn snapshot_key(settings: &mut Settings<impl Fn(&str) -> Option<Found>>) -> Option<SnapshotKey> {
    const NAME: &str = "SNAPSHOT_KEY";
    const FILE: &str = "SNAPSHOT_KEY_FILE";
    let given = settings.secret(NAME);
    let in_file = settings.parsed(FILE, None, |raw| parse::snapshot_key_in(raw).map(Some));
    if given.is_some() && in_file.is_some() {
        settings.complain(FILE, "SNAPSHOT_KEY is set as well: set one of the two");
    }
    let Some(given) = given else { return in_file };
    let parsed = given.reveal().parse();
    parsed
        .map_err(|why: InvalidSnapshotKey| settings.complain(NAME, &why.to_string()))
        .ok()
}

/// Where the files of messages are kept. What belongs to a bucket is looked at with it alone: other programs are set by the same names.
fn media_location(
    settings: &mut Settings<impl Fn(&str) -> Option<Found>>,
    usual: PathBuf,
) -> Location {
    const ID: &str = "AWS_ACCESS_KEY_ID";
    const KEY: &str = "AWS_SECRET_ACCESS_KEY";
    let store = settings.parsed(
        "MEDIA_STORE",
        parse::MediaStore::Folder(usual),
        parse::media_store,
    );
    let gather = |settings: &mut Settings<_>| {
        let region = settings.parsed("AWS_REGION", "us-east-1".to_owned(), parse::region);
        let url = |raw: &str| parse::endpoint(raw).map(Some);
        let endpoint: Option<String> = settings.parsed("AWS_ENDPOINT_URL", None, url);
        let id = settings.parsed(ID, None, |raw| parse::access_key_id(raw).map(Some));
        let key = settings.secret(KEY);
        for (name, is_missing) in [(ID, id.is_none()), (KEY, key.is_none())] {
            if is_missing && !settings.is_faulty(name) {
                settings.complain(
                    name,
                    "is needed with MEDIA_STORE=s3://…: the access key to the bucket",
                );
            }
        }
        (region, endpoint, id, key)
    };
    match store {
        parse::MediaStore::Folder(folder) => {
            settings.unheeded(gather);
            Location::Folder(folder)
        }
        parse::MediaStore::Bucket { name, prefix } => {
            let (region, endpoint, id, key) = gather(settings);
            Location::Bucket(Bucket {
                name,
                prefix,
                endpoint,
                region,
                // What is missing was complained of, and nothing starts.
                access_key_id: id.unwrap_or_default(),
                secret_access_key: key.unwrap_or_else(|| Secret::new(String::new())),
            })
        }
    }
}

/// What is delivered to receivers of events. What belongs to the webhook of the settings is looked at with it alone.
fn delivery(settings: &mut Settings<impl Fn(&str) -> Option<Found>>) -> DeliveryOptions {
    const URL: &str = "WEBHOOK_URL";
    const SECRET: &str = "WEBHOOK_SECRET";
    let url = settings.parsed(URL, None, |raw| parse::webhook_url(raw).map(Some));
    let secret = settings.secret(SECRET);
    let types = settings.parsed("WEBHOOK_TYPES", Vec::new(), parse::event_types);
    let secrets = secret.map(|secret| parse::webhook_secrets(secret.reveal()));
    let webhook = match (url, secrets) {
        (Some(url), Some(Ok(secrets))) => Some(SetWebhook {
            url,
            secrets,
            types,
        }),
        (Some(_), None) if !settings.is_faulty(SECRET) => {
            let why = format!(
                "is needed with WEBHOOK_URL: whsec_ and 32 random bytes as base64 (echo whsec_$(openssl rand -base64 32)); so is {SECRET} in the receiver"
            );
            settings.complain(SECRET, &why);
            None
        }
        (_, Some(Err(why))) => {
            settings.complain(SECRET, why);
            None
        }
        (None, Some(Ok(_))) if !settings.is_faulty(URL) => {
            settings.complain(
                URL,
                "is needed with WEBHOOK_SECRET: the address that events go to",
            );
            None
        }
        (Some(_) | None, None) | (None, Some(Ok(_))) => None,
    };
    DeliveryOptions {
        webhook,
        schedule: settings.parsed(
            "WEBHOOK_RETRY_SECONDS",
            Schedule::default(),
            parse::retry_schedule,
        ),
        allows_private: settings.parsed("WEBHOOK_ALLOW_PRIVATE", false, parse::switch),
    }
}

/// The bridge to Central Hub, by the names that the service before this one has: what is in its `.env` goes on. What belongs to it is
/// looked at only when all that it needs is set.
fn central_hub(settings: &mut Settings<impl Fn(&str) -> Option<Found>>) -> HubSettings {
    const BASE: &str = "CENTRAL_HUB_BASE_URL";
    let base_url = settings.parsed(BASE, None, |raw| parse::http_url(raw).map(Some));
    let base_url = base_url.map(|url: String| url.trim_end_matches('/').to_owned());
    // An empty one counts as none: so it stands in the `.env` of a service that has no hub.
    let text = |raw: &str| Ok(Some(raw.to_owned()));
    let user = settings.parsed("CENTRAL_HUB_USER", None, text);
    let pass = settings
        .parsed("CENTRAL_HUB_PASS", None, text)
        .map(Secret::new);
    let is_on = base_url.is_some() && user.is_some() && pass.is_some();
    let rest = |settings: &mut Settings<_>| {
        let mut client = |name| settings.parsed(name, None, |raw| parse::client(raw).map(Some));
        let (own, general) = (client("CENTRAL_HUB_CLIENTE_ID"), client("CLIENTE_ID"));
        let token = settings.parsed("INTERNAL_LISTENER_TOKEN", None, text);
        (own.or(general), token.map(Secret::new))
    };
    let (cliente_id, internal_token) = if is_on {
        rest(settings)
    } else {
        settings.unheeded(rest)
    };
    HubSettings {
        base_url,
        user,
        pass,
        cliente_id: cliente_id.unwrap_or(1),
        internal_token,
    }
}

/// A time after which something is done; `None`, which is the default, when it is set to 0: never.
fn delay(settings: &mut Settings<impl Fn(&str) -> Option<Found>>, name: &str) -> Option<Duration> {
    let delay = settings.parsed(name, Duration::ZERO, seconds);
    Some(delay).filter(|delay| !delay.is_zero())
}

fn limits(settings: &mut Settings<impl Fn(&str) -> Option<Found>>) -> StartLimits {
    let usual = StartLimits::default();
    let mut limit = |name, default| settings.parsed(name, default, seconds);
    StartLimits {
        launch: limit("LAUNCH_TIMEOUT_SECONDS", usual.launch),
        navigate: limit("NAVIGATE_TIMEOUT_SECONDS", usual.navigate),
        inject: limit("INJECT_TIMEOUT_SECONDS", usual.inject),
        code: limit("CODE_TIMEOUT_SECONDS", usual.code),
        scan: limit("QR_TIMEOUT_SECONDS", usual.scan),
        sync: limit("SYNC_TIMEOUT_SECONDS", usual.sync),
    }
}

/// The settings of a sandbox beside an API that listens on `host`; `None` when the sandbox is off. Then the service does not
/// look at what is set for it: Kubernetes sets `SANDBOX_PORT=tcp://…` for a Service named `sandbox`, which is nothing to a
/// service without one.
fn sandbox(
    settings: &mut Settings<impl Fn(&str) -> Option<Found>>,
    host: ListenHost,
    is_on: bool,
) -> Option<SandboxSettings> {
    // The simulated phone has no authentication: an operator who opens the API to other machines does not mean it.
    let on_this_machine = if host.is_loopback() {
        host
    } else {
        ListenHost::Localhost
    };
    let gather = |settings: &mut Settings<_>| SandboxSettings::gather(settings, on_this_machine);
    // One that may be on is read, so that all faults are told at once.
    let read = if is_on || settings.is_faulty("SANDBOX") {
        gather(settings)
    } else {
        settings.unheeded(gather)
    };
    is_on.then_some(read)
}

/// Where `npm install` puts the bundle, seen from the working directory.
const DEFAULT_WA_JS_PATH: &str = "node_modules/@wppconnect/wa-js/dist/wppconnect-wa.js";

/// A queue that takes minutes to empty is more than a caller that waits can use.
const DEFAULT_QUEUE_MAX: NonZeroUsize = NonZeroUsize::new(100).unwrap();

/// A person who types fast sends one message in two seconds; more than that gets accounts restricted
/// (docs/whatsapp.md#restricted-accounts).
const DEFAULT_RATE_PER_MINUTE: NonZeroU32 = NonZeroU32::new(30).unwrap();

/// What a restored profile does not know is then at most this old; and a copy of what changed in ten minutes takes a fraction of a
/// second (docs/profiles.md#snapshots).
const DEFAULT_SNAPSHOT_EVERY: Duration = Duration::from_mins(10);

/// A night, and the day after it.
const DEFAULT_BACKFILL: Duration = Duration::from_secs(24 * 3600);

/// A fault that comes back so often within an hour is none that a new start cures.
const DEFAULT_HEALS_PER_HOUR: usize = 10;

/// More Chromes than this need a machine that an operator sizes on purpose: each takes some 120 MB
/// (docs/chrome.md#memory-of-a-session).
const DEFAULT_MAX_SESSIONS: NonZeroUsize = NonZeroUsize::new(50).unwrap();

/// A start takes some 300 MB until its page stands (docs/chrome.md#memory-of-a-session); the rest is for the growth of the
/// running ones.
const DEFAULT_MIN_FREE_MB: u64 = 400;

/// A large account took 1.7 GB while it started and less than half of that an hour later
/// (docs/whatsapp.md#memory-of-an-account): what stays above this has leaked.
const DEFAULT_SESSION_MB: u64 = 2000;

#[cfg(test)]
mod tests;
