//! The phases of a start: what they are called, how long each may take, and how one is shown.
//!
//! ```text
//!  QUEUED ─turn─▶ LAUNCH ─Chrome is up─▶ NAVIGATE ─document─▶ INJECT ─recognised─▶ LINK ─account─▶ SYNC ─▶ READY
//! ```
//!
//! No time passes here: the deadlines run in `lifecycle::deadlines`, but for the one of LAUNCH, which ends before there
//! is a page and is the actor's.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Reason, ReasonCode};

/// How far a start has got. The names on the wire never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Phase {
    /// Other Chromes are starting, and this one waits for its turn. It has no limit of its own: each start before it has.
    Queued,
    /// Chrome starts.
    Launch,
    /// The page has been asked for, and its first document has not begun.
    Navigate,
    /// The document is there, and no adapter has recognised it.
    Inject,
    /// The page is WhatsApp Web, and no account is linked: it has neither code nor account yet, or its code is not scanned yet.
    Link,
    /// An account is linked, and the session has not been READY since.
    Sync,
}

/// A phase that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseReport {
    /// Which.
    pub name: Phase,
    /// When it began.
    pub since: Timestamp,
    /// When it ends the start, unless it is over by then. A sync that moves forward is given more time.
    pub until: Option<Timestamp>,
}

/// How long each phase of a start may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartLimits {
    /// LAUNCH (`LAUNCH_TIMEOUT_SECONDS`).
    pub launch: Duration,
    /// NAVIGATE (`NAVIGATE_TIMEOUT_SECONDS`).
    pub navigate: Duration,
    /// INJECT (`INJECT_TIMEOUT_SECONDS`).
    pub inject: Duration,
    /// The first part of LINK, until there is a code or an account (`CODE_TIMEOUT_SECONDS`).
    pub code: Duration,
    /// The second part of LINK, from the first code until a phone has scanned (`QR_TIMEOUT_SECONDS`).
    pub scan: Duration,
    /// SYNC, and from one step of it to the next (`SYNC_TIMEOUT_SECONDS`).
    pub sync: Duration,
}

impl Default for StartLimits {
    fn default() -> Self {
        Self {
            // From start to address took 0.06 to 0.2 s; sixteen at once on two cores took 5 s, on a slow disk more.
            launch: Duration::from_secs(30),
            // From the request to the first byte. The page itself may take far longer to load.
            navigate: Duration::from_secs(45),
            // A heavy page takes 4 s, and 18 s when many start at once (docs/chrome.md#time-of-a-start); a wa-js that
            // blocks the page is given up after 25 s, and a slow network may need far more.
            inject: Duration::from_secs(90),
            // The real page shows its first code some 6 s after its login screen (docs/whatsapp.md#timings).
            code: Duration::from_secs(60),
            // Some fifteen codes: a person who is called to the phone has time to come.
            scan: Duration::from_secs(300),
            // The real page takes 7 to 15 s (docs/whatsapp.md#timings), an account with years of chats minutes; one that does
            // not move for this long never arrives.
            sync: Duration::from_secs(300),
        }
    }
}

impl StartLimits {
    /// Why a start ends that has been in `phase` for too long.
    pub(super) fn passed(&self, phase: Phase) -> Reason {
        let (code, what, limit, setting, remedy) = match phase {
            Phase::Queued | Phase::Launch => (
                ReasonCode::LaunchTimeout,
                "Chrome did not come up",
                self.launch,
                "LAUNCH_TIMEOUT_SECONDS",
                "POST /connect tries again",
            ),
            Phase::Navigate => {
                let seconds = self.navigate.as_secs();
                let why = format!("no answer within {seconds} s (NAVIGATE_TIMEOUT_SECONDS)");
                return Reason::not_opened(&why);
            }
            Phase::Inject => (
                ReasonCode::PageNotRecognised,
                "nothing of WhatsApp Web was recognised",
                self.inject,
                "INJECT_TIMEOUT_SECONDS",
                "it may have changed, or WHATSAPP_URL leads elsewhere",
            ),
            Phase::Link => (
                ReasonCode::CodeTimeout,
                "WhatsApp Web loaded, but came up with neither a code nor an account",
                self.code,
                "CODE_TIMEOUT_SECONDS",
                "check the network, then POST /connect",
            ),
            Phase::Sync => (
                ReasonCode::SyncTimeout,
                "linked, but the chats did not get synced: nothing moved",
                self.sync,
                "SYNC_TIMEOUT_SECONDS",
                "POST /connect tries again",
            ),
        };
        let seconds = limit.as_secs();
        let detail = format!("{what} within {seconds} s ({setting}); {remedy}");
        Reason::new(code, detail)
    }

    /// Why a start ends whose codes were not scanned.
    pub(super) fn not_scanned(&self) -> Reason {
        let seconds = self.scan.as_secs();
        let detail = format!(
            "no code was scanned for {seconds} s (QR_TIMEOUT_SECONDS); POST /connect shows codes again"
        );
        Reason::new(ReasonCode::QrTimeout, detail)
    }
}

impl Phase {
    /// Its name as on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Launch => "LAUNCH",
            Self::Navigate => "NAVIGATE",
            Self::Inject => "INJECT",
            Self::Link => "LINK",
            Self::Sync => "SYNC",
        }
    }
}
