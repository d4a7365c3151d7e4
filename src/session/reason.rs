//! Why a session is where it is: a stable code for programs, a sentence with the remedy for people.

use serde::Serialize;

use crate::browser::BrowserError;

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
    /// Somebody called `/disconnect` with `logout`: the device is unlinked and the profile gone.
    LoggedOut,
    /// Nobody scanned a code in time.
    QrTimeout,
    /// The phone or WhatsApp removed this device; a new scan is needed.
    Unlinked,
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
    /// No Chrome on this machine.
    ChromeNotFound,
    /// Chrome is there but did not start.
    ChromeFailed,
    /// Chrome is there, but cannot be used as it is set up.
    ChromeMisconfigured,
    /// A script in `PAGE_SCRIPTS_DIR` cannot be read.
    ScriptsUnreadable,
    /// Another program has this profile open.
    ProfileInUse,
    /// The profile folder cannot be used.
    ProfileUnusable,
    /// The service is stopping.
    ShuttingDown,
    /// Something that should not happen did; the log has it.
    Internal,
}

impl ReasonCode {
    /// The code as on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DisconnectRequested => "DISCONNECT_REQUESTED",
            Self::LoggedOut => "LOGGED_OUT",
            Self::QrTimeout => "QR_TIMEOUT",
            Self::Unlinked => "UNLINKED",
            Self::NetworkLost => "NETWORK_LOST",
            Self::BrowserLost => "BROWSER_LOST",
            Self::PageLost => "PAGE_LOST",
            Self::NavigationFailed => "NAVIGATION_FAILED",
            Self::PageNotRecognised => "PAGE_NOT_RECOGNISED",
            Self::AdapterBroken => "ADAPTER_BROKEN",
            Self::ChromeNotFound => "CHROME_NOT_FOUND",
            Self::ChromeFailed => "CHROME_FAILED",
            Self::ChromeMisconfigured => "CHROME_MISCONFIGURED",
            Self::ScriptsUnreadable => "SCRIPTS_UNREADABLE",
            Self::ProfileInUse => "PROFILE_IN_USE",
            Self::ProfileUnusable => "PROFILE_UNUSABLE",
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

    /// Why Chrome did not come up.
    pub(super) fn from_browser(why: &BrowserError) -> Self {
        let code = match why {
            BrowserError::NotFound { .. } => ReasonCode::ChromeNotFound,
            BrowserError::Unusable { .. } | BrowserError::ArgumentRefused { .. } => {
                ReasonCode::ChromeMisconfigured
            }
            BrowserError::ProfileUnusable { .. } => ReasonCode::ProfileUnusable,
            BrowserError::ProfileLocked { .. } | BrowserError::ProfileInUse { .. } => {
                ReasonCode::ProfileInUse
            }
            BrowserError::NotStarted { .. }
            | BrowserError::ExitedEarly { .. }
            | BrowserError::NotReady { .. }
            | BrowserError::Protocol { .. }
            | BrowserError::Cancelled => ReasonCode::ChromeFailed,
        };
        Self::new(code, why.to_string())
    }
}
