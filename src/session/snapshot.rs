//! What everyone but the actor sees of a session: whole, consistent, numbered.

use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use super::{PasskeyReport, Phase, PhaseReport, Reason, SessionState};
use crate::{
    browser::{Link, Measure, Rescue},
    masked::Number,
    whatsapp::AdapterName,
};

/// Everything that may be shown of a session at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Grows by one with every change: a reader can wait for "newer than 7".
    pub revision: u64,
    /// Where the session stands, with what belongs to that state.
    pub state: SessionState,
    /// Since when it stands there.
    pub since: Timestamp,
    /// Why it stands there, when that needs saying. Survives only as long as the state does.
    pub reason: Option<Reason>,
    /// How far a start has got, while one is under way.
    pub phase: Option<PhaseReport>,
    /// The phase in which the last start failed, until the next one.
    pub failed_phase: Option<Phase>,
    /// How often the page was reloaded because it had broken, since the service started.
    pub reloads: u64,
    /// How often a new Chrome has been started because the one before had failed, since the service started.
    pub restarts: u64,
    /// How often it could send and did not for two minutes, since the service started.
    pub stalls: u64,
    /// When the service starts it again, while it waits for that.
    pub retry_at: Option<Timestamp>,
    /// How far linking with a passkey has got, while the phone wants one.
    pub passkey: Option<PasskeyReport>,
    /// When it was last found to be linked.
    pub linked_at: Option<Timestamp>,
    /// The same by a clock that is never set.
    pub linked_since: Option<Instant>,
    /// Nothing of it is kept on disk, so it need not be known any more.
    pub is_forgotten: bool,
    /// When the last copy of its profile was taken, once known: a profile that is restored from it knows nothing later.
    pub profile_copied_at: Option<Timestamp>,
    /// The linked account's number, digits only, once known.
    pub account: Option<Number>,
    /// The link that the profile has, also while the session does not run.
    pub link: Option<Link>,
    /// How far the chats are synced, 0 to 100, while they are.
    pub sync_percent: Option<u8>,
    /// The first words of a notice that lies over the chats and only wants to be closed.
    pub notice: Option<String>,
    /// Which adapter serves the page, and what it lacks.
    pub adapter: AdapterReport,
    /// The running Chrome's process, `None` when none runs.
    pub chrome_pid: Option<u32>,
    /// How far it has heard what comes in.
    pub hearing: HearingReport,
    /// What it takes of the machine's memory, once it has been measured.
    pub memory: Option<MemoryReport>,
}

impl Snapshot {
    /// A session that has not run yet.
    pub fn not_running(since: Timestamp) -> Self {
        Self {
            revision: 0,
            state: SessionState::Disconnected,
            since,
            reason: None,
            phase: None,
            failed_phase: None,
            reloads: 0,
            restarts: 0,
            stalls: 0,
            retry_at: None,
            passkey: None,
            linked_at: None,
            linked_since: None,
            is_forgotten: false,
            profile_copied_at: None,
            account: None,
            link: None,
            notice: None,
            sync_percent: None,
            adapter: AdapterReport::default(),
            chrome_pid: None,
            hearing: HearingReport::default(),
            memory: None,
        }
    }

    /// Whether it has an account: its page says so, or its profile does while no page says anything. A profile that is known to
    /// have lost its link needs a scan.
    pub fn is_linked(&self) -> bool {
        match self.state {
            SessionState::Authenticated | SessionState::Ready | SessionState::Hibernating => true,
            SessionState::QrRequired { .. } => false,
            SessionState::Init | SessionState::Disconnected | SessionState::Error => {
                let link = self.link.as_ref();
                link.is_some_and(|link| link.rescue != Rescue::All)
            }
        }
    }

    /// The number of that account, where page or profile know it.
    pub fn linked_account(&self) -> Option<&Number> {
        let noted = || self.link.as_ref().filter(|_| self.is_linked());
        let noted = || noted()?.account.as_ref();
        self.account.as_ref().or_else(noted)
    }
}

/// Which adapter serves and what is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AdapterReport {
    /// The adapter in use, `None` while no page is open.
    pub serving: Option<&'static str>,
    /// Since when it serves.
    pub since: Option<Timestamp>,
    /// The version of wa-js, once it is loaded.
    pub wa_js_version: Option<String>,
    /// The names that the preferred adapters need and the page lacks, as `adapter: name`.
    pub missing: Vec<String>,
}

/// How far a session has heard what comes in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HearingReport {
    /// Whether it hears.
    pub state: HearingState,
    /// The adapter by which it does.
    pub adapter: Option<AdapterName>,
    /// Everything that happened up to this moment, by WhatsApp's clock, is in the log.
    pub heard_until: Option<Timestamp>,
    /// When the newest event happened that was written since the page is open.
    pub last_event_at: Option<Timestamp>,
    /// What a person should know of it.
    pub detail: Option<String>,
}

/// Whether a session hears what comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HearingState {
    /// There is no page, or none that can hear.
    #[default]
    Off,
    /// The page is not connected yet, or has not loaded what it hears by.
    Starting,
    /// It hears, and what came while it could not is still being looked for.
    CatchingUp,
    /// It hears everything.
    Live,
    /// It hears some of it. The detail says what is missing.
    Limited,
    /// The log cannot be written: what is heard waits in the page.
    Paused,
}

impl HearingState {
    /// The word for it in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Starting => "starting",
            Self::CatchingUp => "catching_up",
            Self::Live => "live",
            Self::Limited => "limited",
            Self::Paused => "paused",
        }
    }
}

/// What a session's Chrome took when it was last measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryReport {
    /// All its processes together.
    pub mb: u64,
    /// What was added up.
    pub measure: Measure,
    /// When.
    pub at: Timestamp,
}
