//! Why a session is where it is: a stable code for programs, a sentence with the remedy for people.

use serde::Serialize;

use crate::{browser::BrowserError, whatsapp::Trouble};

/// A cause with its sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Stable: callers may branch on it.
    pub code: ReasonCode,
    /// What happened and what to do about it; may change between versions.
    pub detail: String,
}

/// The causes that a session can name. Their names on the wire never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReasonCode {
    /// Somebody called `/disconnect`.
    DisconnectRequested,
    /// Nobody has connected it since the service started.
    NotConnected,
    /// Somebody called `/disconnect` with `logout`: the device is unlinked and the profile gone.
    LoggedOut,
    /// Nobody scanned a code in time.
    QrTimeout,
    /// WhatsApp Web is there, but came up with neither a code nor an account.
    CodeTimeout,
    /// Linked, but the chats never got synced.
    SyncTimeout,
    /// The phone or WhatsApp removed this device; a new scan is needed.
    Unlinked,
    /// WhatsApp removed this device for a reason of its own; a new scan is needed.
    #[serde(rename = "REMOVED_BY_WHATSAPP")]
    RemovedByWhatsApp,
    /// WhatsApp Web was opened elsewhere with this profile, and this page was put to sleep.
    OpenedElsewhere,
    /// WhatsApp refuses this Chrome or this build of the page.
    UpdateRequired,
    /// WhatsApp has banned the account for a while.
    TemporarilyBanned,
    /// WhatsApp's terms stand in the way.
    TermsBlocked,
    /// WhatsApp refuses this machine's address.
    ProxyBlocked,
    /// Linking asks for the account's passkey.
    PasskeyRequired,
    /// The page cannot use its storage.
    StorageError,
    /// The profile was linked and is not any more, without a word from WhatsApp: its storage was damaged.
    StorageLost,
    /// WhatsApp gives no code to link this phone number by.
    PairingRefused,
    /// WhatsApp has been asked for too many codes to link by phone number.
    PairingRateLimited,
    /// The page gave no code to link by phone number.
    PairingFailed,
    /// The page lost WhatsApp's server and is trying to reach it again.
    NetworkLost,
    /// Chrome ended, or its connection did.
    BrowserLost,
    /// The page crashed or left WhatsApp Web.
    PageLost,
    /// The page could not be loaded.
    NavigationFailed,
    /// The page loaded, but nothing on it is known to this version.
    PageNotRecognised,
    /// WhatsApp Web changed: no adapter can send.
    AdapterBroken,
    /// The session could send, and nothing was sent for two minutes.
    SendsStalled,
    /// The ledger has not answered for two minutes: nothing is sent that is not written down. Stands beside READY.
    LedgerUnavailable,
    /// No Chrome on this machine.
    ChromeNotFound,
    /// Chrome is there but did not start.
    ChromeFailed,
    /// Chrome was started, and neither came up nor ended.
    LaunchTimeout,
    /// Chrome is there, but cannot be used as it is set up.
    ChromeMisconfigured,
    /// A script in `PAGE_SCRIPTS_DIR` cannot be read.
    ScriptsUnreadable,
    /// Another program has this profile open.
    ProfileInUse,
    /// The profile folder cannot be used.
    ProfileUnusable,
    /// The session was linked, and its profile is not there.
    ProfileMissing,
    /// Chrome took more memory than the session may, and is started anew.
    MemoryExceeded,
    /// There was no memory to start its Chrome again in.
    Capacity,
    /// It has been healed again and again, and has failed again.
    KeepsFailing,
    /// Nothing was to be sent for long, and its Chrome was closed until something is. Shown nowhere but in the log.
    Hibernating,
    /// The service is stopping.
    ShuttingDown,
    /// Something that should not happen did; the log has it.
    Internal,
}

impl ReasonCode {
    /// Whether it says why there is no code to link by phone number.
    pub const fn is_about_pairing(self) -> bool {
        matches!(
            self,
            Self::PairingRefused | Self::PairingRateLimited | Self::PairingFailed
        )
    }

    /// The code as on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DisconnectRequested => "DISCONNECT_REQUESTED",
            Self::NotConnected => "NOT_CONNECTED",
            Self::LoggedOut => "LOGGED_OUT",
            Self::QrTimeout => "QR_TIMEOUT",
            Self::CodeTimeout => "CODE_TIMEOUT",
            Self::SyncTimeout => "SYNC_TIMEOUT",
            Self::Unlinked => "UNLINKED",
            Self::RemovedByWhatsApp => "REMOVED_BY_WHATSAPP",
            Self::PairingRefused => "PAIRING_REFUSED",
            Self::PairingRateLimited => "PAIRING_RATE_LIMITED",
            Self::PairingFailed => "PAIRING_FAILED",
            Self::OpenedElsewhere => "OPENED_ELSEWHERE",
            Self::UpdateRequired => "UPDATE_REQUIRED",
            Self::TemporarilyBanned => "TEMPORARILY_BANNED",
            Self::TermsBlocked => "TERMS_BLOCKED",
            Self::ProxyBlocked => "PROXY_BLOCKED",
            Self::PasskeyRequired => "PASSKEY_REQUIRED",
            Self::StorageError => "STORAGE_ERROR",
            Self::StorageLost => "STORAGE_LOST",
            Self::NetworkLost => "NETWORK_LOST",
            Self::BrowserLost => "BROWSER_LOST",
            Self::PageLost => "PAGE_LOST",
            Self::NavigationFailed => "NAVIGATION_FAILED",
            Self::PageNotRecognised => "PAGE_NOT_RECOGNISED",
            Self::AdapterBroken => "ADAPTER_BROKEN",
            Self::SendsStalled => "SENDS_STALLED",
            Self::LedgerUnavailable => "LEDGER_UNAVAILABLE",
            Self::ChromeNotFound => "CHROME_NOT_FOUND",
            Self::ChromeFailed => "CHROME_FAILED",
            Self::LaunchTimeout => "LAUNCH_TIMEOUT",
            Self::ChromeMisconfigured => "CHROME_MISCONFIGURED",
            Self::ScriptsUnreadable => "SCRIPTS_UNREADABLE",
            Self::ProfileInUse => "PROFILE_IN_USE",
            Self::ProfileUnusable => "PROFILE_UNUSABLE",
            Self::ProfileMissing => "PROFILE_MISSING",
            Self::MemoryExceeded => "MEMORY_EXCEEDED",
            Self::Capacity => "CAPACITY",
            Self::KeepsFailing => "KEEPS_FAILING",
            Self::Hibernating => "HIBERNATING",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::Internal => "INTERNAL",
        }
    }
}

impl Reason {
    /// Puts a code and its sentence together.
    pub fn new(code: ReasonCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }

    /// There is nothing to say of it but what to do.
    pub(super) fn not_connected() -> Self {
        let detail = "the session is not connected: connect it first (POST /connect), and scan the code if it shows one";
        Self::new(ReasonCode::NotConnected, detail)
    }

    /// The service ends, and the session with it.
    pub(super) fn shutting_down() -> Self {
        Self::new(ReasonCode::ShuttingDown, "the service is stopping")
    }

    /// Whether something went wrong, other than that somebody wanted the session to end.
    pub(super) const fn is_failure(&self) -> bool {
        !matches!(
            self.code,
            ReasonCode::DisconnectRequested
                | ReasonCode::NotConnected
                | ReasonCode::LoggedOut
                | ReasonCode::Hibernating
                | ReasonCode::ShuttingDown
        )
    }

    /// Whether a look at what is left may tell more than the reason does.
    pub(super) const fn leaves_evidence(&self) -> bool {
        self.is_failure() && !matches!(self.code, ReasonCode::Internal)
    }

    /// It has been healed so often within an hour, and has failed again for this reason.
    pub(super) fn keeps_failing(times: usize, last: &Self) -> Self {
        let detail = format!(
            "healed {times} {} within an hour (HEALS_PER_HOUR), and failed again with {}: {}; see to that, then POST /connect",
            if times == 1 { "time" } else { "times" },
            last.code.as_str(),
            last.detail
        );
        Self::new(ReasonCode::KeepsFailing, detail)
    }

    /// Says what comes next, where the cause itself does not.
    pub(super) fn with_outlook(mut self, is_retried: bool) -> Self {
        let is_bare = matches!(self.code, ReasonCode::BrowserLost | ReasonCode::PageLost);
        let outlook = match (is_retried, is_bare) {
            (true, _) => "; it is started again by itself",
            (false, true) => "; POST /connect starts it again",
            (false, false) => "",
        };
        self.detail.push_str(outlook);
        self
    }

    /// What the page says when it does not work.
    pub(super) fn from_trouble(trouble: Trouble) -> Self {
        let (code, detail) = match trouble {
            Trouble::OpenedElsewhere => (
                ReasonCode::OpenedElsewhere,
                "WhatsApp Web was opened in another window with this profile; with TAKE_OVER=true (the default) it is taken back by itself, else close that window",
            ),
            Trouble::UpdateRequired => (
                ReasonCode::UpdateRequired,
                "WhatsApp refuses this browser as too old; update Chrome (apt-get install --only-upgrade chromium-headless-shell), then POST /connect",
            ),
            Trouble::TemporarilyBanned => (
                ReasonCode::TemporarilyBanned,
                "WhatsApp has banned this account for a while; open WhatsApp on the phone to see how long, and send less afterwards",
            ),
            Trouble::TermsBlocked => (
                ReasonCode::TermsBlocked,
                "WhatsApp blocks this account until its terms are dealt with; open WhatsApp on the phone",
            ),
            Trouble::ProxyBlocked => (
                ReasonCode::ProxyBlocked,
                "WhatsApp refuses connections from this machine's address; use another network or proxy (CHROME_ARGS=--proxy-server=…)",
            ),
            Trouble::PasskeyRequired => (
                ReasonCode::PasskeyRequired,
                "WhatsApp asks for this account's passkey to link a device, which a browser without a screen cannot give; POST /connect tries again: some accounts are asked only for a while. To remove the passkey on the phone helps some accounts, and makes others demand a new one",
            ),
            Trouble::StorageError => (
                ReasonCode::StorageError,
                "WhatsApp Web cannot use its storage; check that the disk is not full, then POST /connect; if it stays, log out and link anew",
            ),
        };
        Self::new(code, detail)
    }

    /// Whether it says why a session that is READY does not send.
    pub(super) const fn is_about_sends(&self) -> bool {
        matches!(
            self.code,
            ReasonCode::SendsStalled | ReasonCode::LedgerUnavailable
        )
    }

    /// WhatsApp Web could not be loaded.
    pub(super) fn not_opened(why: &str) -> Self {
        let detail = format!(
            "WhatsApp Web could not be opened: {why}; check the network of this machine, then POST /connect"
        );
        Self::new(ReasonCode::NavigationFailed, detail)
    }

    /// Why Chrome did not come up.
    pub(super) fn from_browser(why: &BrowserError) -> Self {
        let code = match why {
            BrowserError::NotFound { .. } => ReasonCode::ChromeNotFound,
            BrowserError::Unusable { .. }
            | BrowserError::ArgumentRefused { .. }
            | BrowserError::Undriveable { .. } => ReasonCode::ChromeMisconfigured,
            BrowserError::ProfileUnusable { .. } => ReasonCode::ProfileUnusable,
            BrowserError::ProfileLocked { .. } | BrowserError::ProfileInUse { .. } => {
                ReasonCode::ProfileInUse
            }
            BrowserError::NotReady { .. } => ReasonCode::LaunchTimeout,
            BrowserError::NotStarted { .. }
            | BrowserError::ExitedEarly { .. }
            | BrowserError::Protocol { .. }
            | BrowserError::Cancelled => ReasonCode::ChromeFailed,
        };
        Self::new(code, why.to_string())
    }
}
