//! Why a session is where it is: a stable code for programs, a sentence with the remedy for people.
//!
//! [`ReasonCode::policy`] is the table of what the service does about each code. Some files branch on a single code as well:
//! `lifecycle/mod.rs`, `running/winding_down.rs`, `page_view.rs` and `keeping/profile.rs` how a run goes on, `keeping/desired.rs` what outlives the service, `handle.rs`,
//! `publisher.rs`, `http/wire/error/session.rs`, `http/api/link.rs`, `http/page/link.js` and `http/page/code.js` what a caller sees. A
//! new code is a variant and a row here, a row in `docs/reasons.md` and a line in the word lists of `http/page`; tests ask for both.

use serde::Serialize;
use strum::{EnumIter, IntoEnumIterator as _, IntoStaticStr};

use super::state::Event;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, EnumIter, IntoStaticStr)]
#[serde(into = "&'static str")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum ReasonCode {
    /// A caller called `/disconnect`.
    DisconnectRequested,
    /// No caller has connected it since the service started.
    NotConnected,
    /// A caller called `/disconnect` with `logout`: the device is unlinked and the profile deleted.
    LoggedOut,
    /// Nothing was to be sent for a long time, and its Chrome was closed until something is. Shown in the log only.
    Hibernating,
    /// The service is stopping.
    ShuttingDown,
    /// No phone scanned a code in time.
    QrTimeout,
    /// WhatsApp Web loaded, and showed neither a code nor an account.
    CodeTimeout,
    /// The account is linked, but its chats were not synced.
    SyncTimeout,
    /// The phone or WhatsApp removed this device; a new scan is needed.
    Unlinked,
    /// WhatsApp removed this device for a reason of its own; a new scan is needed.
    #[strum(serialize = "REMOVED_BY_WHATSAPP")]
    RemovedByWhatsApp,
    /// WhatsApp Web was opened elsewhere with this profile, and this page was paused.
    OpenedElsewhere,
    /// WhatsApp refuses this Chrome or this build of the page.
    UpdateRequired,
    /// WhatsApp has banned the account for a while.
    TemporarilyBanned,
    /// WhatsApp blocks the account until its terms are accepted.
    TermsBlocked,
    /// WhatsApp refuses this machine's address.
    ProxyBlocked,
    /// Linking asks for the account's passkey: shown with `QR_REQUIRED` while a person can sign, else how it ended.
    PasskeyRequired,
    /// The page cannot use its storage.
    StorageError,
    /// The profile has lost its link without a word from WhatsApp: its storage was damaged.
    StorageLost,
    /// The profile has lost its link, and its snapshot cannot take its place, as when its key is not set.
    SnapshotUnusable,
    /// WhatsApp gives no code to link this phone number by.
    PairingRefused,
    /// WhatsApp was asked for too many codes to link by phone number.
    PairingRateLimited,
    /// Another session of this service is linked to the number that a pairing code was wanted for.
    NumberLinkedElsewhere,
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
    /// The page loaded, but no adapter recognises anything on it.
    PageNotRecognised,
    /// A notice that is not known lies over the chats. Shown with READY, since most adapters send all the same.
    NoticeShown,
    /// WhatsApp Web changed: no adapter can send.
    AdapterBroken,
    /// The session could send, and nothing was sent for two minutes.
    SendsStalled,
    /// The ledger has not answered for two minutes: the service sends nothing that it cannot write down. Shown with READY.
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
    /// The session was linked, and its profile is missing.
    ProfileMissing,
    /// Chrome took more memory than the session may, and is started again.
    MemoryExceeded,
    /// There was no memory to start its Chrome again.
    Capacity,
    /// It was healed as often as it may be, and has failed again.
    KeepsFailing,
    /// A fault of this program; the log has it.
    Internal,
}

/// What the service does about a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How a session ends for it.
    pub class: Class,
    /// What helps, as far as this program can do it.
    pub cure: Cure,
    /// It took a page away that worked: a session that only showed a code is started again as well.
    pub is_loss: bool,
    /// What the end means for the desired state, which is on disk.
    pub desired: AfterEnd,
    /// What it explains.
    pub about: About,
    /// The sentence for people, for a code that always has the same one. Empty where the sentence has figures in it, or the
    /// words of Chrome, WhatsApp or the system: then it stands where the reason is raised.
    pub detail: &'static str,
}

/// How a session ends for a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `DISCONNECTED`: a caller or the service wanted the end. It is no failure.
    Wanted,
    /// `DISCONNECTED`: a new start can cure it.
    Passing,
    /// `ERROR`: waiting does not cure it, a person must act.
    Lasting,
    /// `ERROR`: a fault of this program. The page knows nothing about it, so no evidence is taken.
    Fault,
}

/// What helps against a cause, as far as this program can do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// Nothing: the end was wanted, or a person must act (scan, install, set, look at the phone).
    None,
    /// A new Chrome. It counts against `HEALS_PER_HOUR`.
    NewChrome,
    /// A new Chrome, as often as it takes: it may take hours until the network is back or an operator has installed a new script.
    NewChromeInTime,
    /// A new Chrome as soon as there is memory, also when `HEALS_PER_HOUR` is 0: the session itself has not failed.
    NewChromeWithMemory,
}

/// What an end means for the desired state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterEnd {
    /// The session should still run: the next service starts it.
    Up,
    /// It should not run.
    Down,
    /// Nothing is remembered of it.
    Forgotten,
}

/// What a reason explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The state of the session.
    State,
    /// Why a session that is READY does not send.
    Sends,
    /// Why there is no code to link by phone number.
    Pairing(PairingFault),
}

/// What is wrong with a request for a code that links by phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairingFault {
    /// The number.
    Number,
    /// How often it was asked for.
    Frequency,
    /// Another session has the account, and would lose its link.
    OtherSession,
    /// The page: it did not answer as it should.
    Page,
}

const WANTED: Policy = Policy {
    class: Class::Wanted,
    cure: Cure::None,
    is_loss: false,
    desired: AfterEnd::Up,
    about: About::State,
    detail: "",
};

const PASSING: Policy = Policy {
    class: Class::Passing,
    ..WANTED
};

const LASTING: Policy = Policy {
    class: Class::Lasting,
    ..WANTED
};

const fn pairing(fault: PairingFault) -> Policy {
    Policy {
        about: About::Pairing(fault),
        ..PASSING
    }
}

impl ReasonCode {
    /// The table: one row for each code.
    #[expect(clippy::too_many_lines, reason = "a table: one row for each code")]
    pub const fn policy(self) -> Policy {
        match self {
            Self::DisconnectRequested => Policy {
                desired: AfterEnd::Down,
                detail: "disconnected on request; POST /connect starts it again",
                ..WANTED
            },
            Self::NotConnected => Policy {
                detail: "the session is not connected: connect it first (POST /connect), and scan the code if it shows one",
                ..WANTED
            },
            Self::LoggedOut => Policy {
                desired: AfterEnd::Forgotten,
                detail: "logged out; POST /connect shows a code to link it again",
                ..WANTED
            },
            Self::Hibernating => Policy {
                detail: "nothing was to be sent; a send starts Chrome again",
                ..WANTED
            },
            Self::ShuttingDown => Policy {
                detail: "the service is stopping",
                ..WANTED
            },
            // The next service does not restore it either: without a person who scans, a session that is not linked is of no use.
            Self::QrTimeout => Policy {
                desired: AfterEnd::Down,
                ..PASSING
            },
            Self::CodeTimeout | Self::LaunchTimeout | Self::PageNotRecognised => Policy {
                cure: Cure::NewChrome,
                ..PASSING
            },
            // The first two wait for the network: without one, Chrome loads a page that it has kept, and that is never synced. For the
            // third an operator installs a new wa-js or page script, which the next start uses.
            Self::NavigationFailed | Self::SyncTimeout | Self::AdapterBroken => Policy {
                cure: Cure::NewChromeInTime,
                ..PASSING
            },
            Self::Unlinked => Policy {
                detail: "this device was removed from the account; scan a code to link it again",
                ..PASSING
            },
            Self::RemovedByWhatsApp | Self::StorageLost | Self::NoticeShown => PASSING,
            Self::OpenedElsewhere => Policy {
                detail: "WhatsApp Web was opened in another window with this profile; with TAKE_OVER=true (the default) the service takes it back, else close that window",
                ..PASSING
            },
            Self::UpdateRequired => Policy {
                detail: "WhatsApp refuses this browser as too old; update Chrome (apt-get install --only-upgrade chromium-headless-shell), then POST /connect",
                ..LASTING
            },
            Self::TemporarilyBanned => Policy {
                detail: "WhatsApp has banned this account for a while; open WhatsApp on the phone to see how long, and send less afterwards",
                ..LASTING
            },
            Self::TermsBlocked => Policy {
                detail: "WhatsApp blocks this account until its terms are accepted; open WhatsApp on the phone",
                ..LASTING
            },
            Self::ProxyBlocked => Policy {
                detail: "WhatsApp refuses connections from this machine's address; use another network or proxy (CHROME_ARGS=--proxy-server=…)",
                ..LASTING
            },
            Self::PasskeyRequired => Policy {
                detail: "WhatsApp asks for this account's passkey to link a device: its owner signs in a browser of their own, to which the page at / leads (with a key whose scope is admin); programs use GET and POST /sessions/{id}/passkey",
                ..LASTING
            },
            Self::StorageError => Policy {
                detail: "WhatsApp Web cannot use its storage; check that the disk is not full, then POST /connect; if that does not help, log out and link again",
                ..LASTING
            },
            Self::PairingRefused => pairing(PairingFault::Number),
            Self::NumberLinkedElsewhere => Policy {
                detail: "another session of this service is linked to this phone number, and WhatsApp removes that device when a pairing code is asked for; scan the QR code instead, which links one more device, or ask again with \"force\": true",
                ..pairing(PairingFault::OtherSession)
            },
            Self::PairingRateLimited => pairing(PairingFault::Frequency),
            Self::PairingFailed => pairing(PairingFault::Page),
            Self::NetworkLost => Policy {
                detail: "WhatsApp Web has lost its server and is trying to reach it again; check the network of this machine",
                ..PASSING
            },
            Self::BrowserLost | Self::PageLost => Policy {
                cure: Cure::NewChrome,
                is_loss: true,
                ..PASSING
            },
            Self::SendsStalled => Policy {
                cure: Cure::NewChrome,
                is_loss: true,
                about: About::Sends,
                ..PASSING
            },
            Self::LedgerUnavailable => Policy {
                about: About::Sends,
                detail: "the ledger in DATA_DIR has not answered for two minutes, and the service sends nothing that it cannot write down: \
                     check its disk; sends continue by themselves when it answers",
                ..PASSING
            },
            Self::ChromeFailed => Policy {
                cure: Cure::NewChrome,
                ..LASTING
            },
            // The memory becomes free when another session ends.
            Self::MemoryExceeded | Self::Capacity => Policy {
                cure: Cure::NewChromeWithMemory,
                ..PASSING
            },
            Self::ChromeNotFound
            | Self::ChromeMisconfigured
            | Self::ScriptsUnreadable
            | Self::ProfileInUse
            | Self::ProfileUnusable
            | Self::ProfileMissing
            | Self::SnapshotUnusable
            | Self::KeepsFailing => LASTING,
            Self::Internal => Policy {
                class: Class::Fault,
                ..WANTED
            },
        }
    }

    /// Every code.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// The code as on the wire.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether it says why there is no code to link by phone number.
    pub const fn is_about_pairing(self) -> bool {
        matches!(self.policy().about, About::Pairing(_))
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

    /// A code with the sentence that it always has.
    pub(super) fn of(code: ReasonCode) -> Self {
        Self::new(code, code.policy().detail)
    }

    /// The event by which a session ends for this reason.
    pub const fn ending(&self) -> Event {
        match self.code.policy().class {
            Class::Wanted | Class::Passing => Event::Ended,
            Class::Lasting | Class::Fault => Event::Failed,
        }
    }

    /// Whether something went wrong: neither a caller nor the service wanted the session to end.
    pub(super) const fn is_failure(&self) -> bool {
        !matches!(self.code.policy().class, Class::Wanted)
    }

    /// Whether a look at the page may tell more than the reason does.
    pub(super) const fn leaves_evidence(&self) -> bool {
        matches!(self.code.policy().class, Class::Passing | Class::Lasting)
    }

    /// The session was healed so often within an hour, and has failed again for the reason `last`.
    pub(super) fn keeps_failing(times: usize, last: &Self) -> Self {
        let detail = format!(
            "healed {times} {} within an hour (HEALS_PER_HOUR), and failed again with {}: {}; remove that cause, then POST /connect",
            if times == 1 { "time" } else { "times" },
            last.code.as_str(),
            last.detail
        );
        Self::new(ReasonCode::KeepsFailing, detail)
    }

    /// Adds what comes next, where the sentence itself does not say it.
    pub(super) fn with_outlook(mut self, is_retried: bool) -> Self {
        let outlook = match (is_retried, self.code.policy().is_loss) {
            (true, _) => "; it is started again by itself",
            (false, true) => "; POST /connect starts it again",
            (false, false) => "",
        };
        self.detail.push_str(outlook);
        self
    }

    /// What the page says when it does not work.
    pub(crate) fn from_trouble(trouble: Trouble) -> Self {
        Self::of(match trouble {
            Trouble::OpenedElsewhere => ReasonCode::OpenedElsewhere,
            Trouble::UpdateRequired => ReasonCode::UpdateRequired,
            Trouble::TemporarilyBanned => ReasonCode::TemporarilyBanned,
            Trouble::TermsBlocked => ReasonCode::TermsBlocked,
            Trouble::ProxyBlocked => ReasonCode::ProxyBlocked,
            Trouble::PasskeyRequired => {
                let detail = "WhatsApp asks for this account's passkey on a screen that this service does not know; POST /connect tries again: some accounts are asked only for a while";
                return Self::new(ReasonCode::PasskeyRequired, detail);
            }
            Trouble::StorageError => ReasonCode::StorageError,
        })
    }

    /// Whether it says why a session that is READY does not send.
    pub(super) const fn is_about_sends(&self) -> bool {
        matches!(self.code.policy().about, About::Sends)
    }

    /// WhatsApp Web could not be loaded.
    pub(super) fn not_opened(why: &str) -> Self {
        let detail = format!(
            "WhatsApp Web could not be opened: {why}; check the network of this machine, then POST /connect"
        );
        Self::new(ReasonCode::NavigationFailed, detail)
    }

    /// Why Chrome did not come up.
    pub(crate) fn from_browser(why: &BrowserError) -> Self {
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
