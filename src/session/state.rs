//! The lifecycle of a session, as one pure function.
//!
//! ```text
//!                 ┌────────────── CodeShown ──┐
//!                 ▼                           │
//!  DISCONNECTED ─Started─▶ INIT ─CodeAwaited─▶ QR_REQUIRED ─Linked─▶ AUTHENTICATED ◀─Unready─┐
//!    ▲      ERROR ─Started─▶│                     ▲                     │   └─────Ready───▶ READY
//!    │        ▲             └────────Linked───────│─────────────────▶   │                    │
//!    └─Ended──┴─Failed──── from any running state └───────Unlinked──────┴────────────────────┘
//!
//!  Restarted: from any running state back to INIT, when another profile has taken the place of a damaged one.
//!  Slept: from READY to hibernation, which callers see as READY too, and from which Ready leads back.
//! ```
//!
//! Not responsible for *when* an event happens (the actor) nor for what the page looks like (`whatsapp`).
//! What belongs to a state lives inside it: a code outside `QrRequired` cannot be written down.

use super::{PairingCode, QrCode};

/// Where a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Chrome is starting or the page is loading.
    Init,
    /// Not linked: a code can be shown, or will be in a moment.
    QrRequired {
        /// The code to scan now.
        code: Option<QrCode>,
        /// How many codes have been shown so far.
        attempts: u32,
        /// The code to type on the phone, when one was asked for.
        pairing: Option<PairingCode>,
    },
    /// Linked, but not able to send yet: the chats are syncing, or the connection is being restored.
    Authenticated,
    /// Can send.
    Ready,
    /// READY, as callers see it: its Chrome is closed until something is to be sent, or is starting for that.
    Hibernating,
    /// Not running.
    Disconnected,
    /// Not running, and waiting does not cure it.
    Error,
}

/// What can happen to a session.
#[derive(Clone, Debug)]
pub enum Event {
    /// A start was asked for.
    Started,
    /// The session starts again with another Chrome, without a request.
    Restarted,
    /// The login page is there, without a code to show.
    CodeAwaited,
    /// The login page shows this code.
    CodeShown(QrCode),
    /// This code links by phone number. The one to scan, if any, goes on being good.
    PairingShown(PairingCode),
    /// The code that links by phone number is over.
    PairingOver,
    /// The page has an account.
    Linked,
    /// Everything a send needs is there.
    Ready,
    /// A send would not work any more; the page may recover.
    Unready,
    /// Its Chrome is not needed for now, and is being closed.
    Slept,
    /// The account was removed from this device; the page asks for a scan.
    Unlinked,
    /// The session ended in a way that a new start can cure.
    Ended,
    /// The session ended and needs a person.
    Failed,
    /// Nothing is kept of a session that does not run.
    Forgotten,
}

impl SessionState {
    /// The state after `event`, `None` when nothing changes.
    #[expect(
        clippy::match_same_arms,
        reason = "one arm for each transition, in the order of a session's life, reads as the picture above"
    )]
    pub fn on(&self, event: &Event) -> Option<Self> {
        use SessionState as S;
        match (self, event) {
            (S::Disconnected | S::Error, Event::Started) => Some(S::Init),
            (S::Disconnected | S::Error, Event::Forgotten) => Some(S::Disconnected),
            // It runs again.
            (_, Event::Forgotten) => None,
            (
                S::QrRequired { .. } | S::Authenticated | S::Ready | S::Hibernating,
                Event::Restarted,
            ) => Some(S::Init),
            // Whatever a page says after its session has ended is late news.
            (S::Disconnected | S::Error, _)
            | (S::Init, Event::Started | Event::Restarted)
            | (
                S::QrRequired { .. } | S::Authenticated | S::Ready | S::Hibernating,
                Event::Started,
            ) => None,

            (
                S::QrRequired {
                    code: Some(shown), ..
                },
                Event::CodeShown(new),
            ) if shown.text == new.text => None,
            (_, Event::CodeShown(new)) => Some(S::QrRequired {
                code: Some(new.clone()),
                attempts: self.attempts() + 1,
                pairing: self.pairing().cloned(),
            }),
            (S::QrRequired { code, attempts, .. }, Event::PairingShown(new)) => {
                Some(S::QrRequired {
                    code: code.clone(),
                    attempts: *attempts,
                    pairing: Some(new.clone()),
                })
            }
            (
                S::QrRequired {
                    code,
                    attempts,
                    pairing: Some(_),
                },
                Event::PairingOver,
            ) => Some(S::QrRequired {
                code: code.clone(),
                attempts: *attempts,
                pairing: None,
            }),
            (_, Event::PairingShown(_) | Event::PairingOver) => None,
            (S::QrRequired { code: None, .. }, Event::CodeAwaited | Event::Unlinked) => None,
            (S::Init | S::QrRequired { .. }, Event::CodeAwaited) => Some(S::QrRequired {
                code: None,
                attempts: self.attempts(),
                pairing: self.pairing().cloned(),
            }),
            (_, Event::Unlinked) => Some(S::QrRequired {
                code: None,
                attempts: 0,
                pairing: None,
            }),
            // A linked session leaves by `Unlinked`, which carries the reason.
            (S::Authenticated | S::Ready | S::Hibernating, Event::CodeAwaited) => None,

            (S::Init | S::QrRequired { .. }, Event::Linked) => Some(S::Authenticated),
            (S::Authenticated | S::Ready | S::Hibernating, Event::Linked) => None,
            (S::Init | S::QrRequired { .. } | S::Authenticated | S::Hibernating, Event::Ready) => {
                Some(S::Ready)
            }
            (S::Ready, Event::Ready) => None,
            (S::Ready | S::Hibernating, Event::Unready) => Some(S::Authenticated),
            (S::Init | S::QrRequired { .. } | S::Authenticated, Event::Unready) => None,

            (S::Ready, Event::Slept) => Some(S::Hibernating),
            (S::Init | S::QrRequired { .. } | S::Authenticated | S::Hibernating, Event::Slept) => {
                None
            }

            (_, Event::Ended) => Some(S::Disconnected),
            (_, Event::Failed) => Some(S::Error),
        }
    }

    /// The state's name as on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::QrRequired { .. } => "QR_REQUIRED",
            Self::Authenticated => "AUTHENTICATED",
            Self::Ready | Self::Hibernating => "READY",
            Self::Disconnected => "DISCONNECTED",
            Self::Error => "ERROR",
        }
    }

    /// Every name, in the order of a session's life: for reports that count sessions by state.
    pub const NAMES: [&'static str; 6] = [
        "INIT",
        "QR_REQUIRED",
        "AUTHENTICATED",
        "READY",
        "DISCONNECTED",
        "ERROR",
    ];

    /// Whether a send is taken: it goes out now, or wakes the session and goes out then.
    pub const fn takes_sends(&self) -> bool {
        matches!(self, Self::Ready | Self::Hibernating)
    }

    /// Whether a Chrome runs for it, or is about to, or will as soon as it is needed.
    pub const fn is_running(&self) -> bool {
        !matches!(self, Self::Disconnected | Self::Error)
    }

    /// The code that links by phone number, while there is one.
    pub const fn pairing(&self) -> Option<&PairingCode> {
        if let Self::QrRequired { pairing, .. } = self {
            pairing.as_ref()
        } else {
            None
        }
    }

    fn attempts(&self) -> u32 {
        if let Self::QrRequired { attempts, .. } = self {
            *attempts
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests;
