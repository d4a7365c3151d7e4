//! The settings of the sandbox, which come as one.

use std::time::Duration;

use super::{
    ListenHost, parse,
    read::{Found, Settings},
};

/// The sandbox's own settings.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// `SANDBOX_HOST` (`HOST` when that is loopback, else localhost): the addresses that the simulated WhatsApp Web and its
    /// phone listen on. They ask nobody for a key.
    pub host: ListenHost,
    /// `SANDBOX_PORT` (3002): where they listen; 0 lets the system choose.
    pub port: u16,
    /// `SANDBOX_CODE_SECONDS` (60,20): how long the first login code lives, and each later one.
    pub code_lives: CodeLives,
    /// `SANDBOX_PAIRING_SECONDS` (180): how long a code for linking by phone number lives.
    pub pairing_life: Duration,
    /// `SANDBOX_ACK_SECONDS` (0.5): how long its server takes to acknowledge a message.
    pub ack_delay: Duration,
}

/// How long login codes live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeLives {
    /// The first of a batch.
    pub first: Duration,
    /// Each one after it.
    pub next: Duration,
}

impl CodeLives {
    /// What WhatsApp's server does: 60 s for the first of six codes, 20 s for the others (whatsmeow `qrchan.go`).
    pub const WHATSAPP: Self = Self {
        first: Duration::from_secs(60),
        next: Duration::from_secs(20),
    };
}

/// How long a code for linking by phone number lives: the page takes no answer to an older one
/// (`WAWebAltDeviceLinkingApi`).
pub(super) const PAIRING_LIFE: Duration = Duration::from_secs(180);

impl SandboxSettings {
    /// Those beside an API that listens on `host`; `None` when the sandbox is off. What is set for it is then not
    /// looked at: Kubernetes sets `SANDBOX_PORT=tcp://…` for a Service named `sandbox`, which is nothing to a service
    /// without one.
    pub(super) fn read(
        settings: &mut Settings<impl Fn(&str) -> Option<Found>>,
        host: ListenHost,
        is_on: bool,
    ) -> Option<Self> {
        let gather = |settings: &mut Settings<_>| Self::gather(settings, host);
        // One that may be on is read, so that all faults are told at once.
        let read = if is_on || settings.is_faulty("SANDBOX") {
            gather(settings)
        } else {
            settings.unheeded(gather)
        };
        is_on.then_some(read)
    }

    fn gather(settings: &mut Settings<impl Fn(&str) -> Option<Found>>, host: ListenHost) -> Self {
        // Whoever opens the API to other machines does not mean its toy phone, which asks nobody for a key.
        let on_this_machine = if host.is_loopback() {
            host
        } else {
            ListenHost::Localhost
        };
        Self {
            host: settings.parsed("SANDBOX_HOST", on_this_machine, parse::listen_host),
            port: settings.parsed("SANDBOX_PORT", 3002, parse::port),
            code_lives: settings.parsed(
                "SANDBOX_CODE_SECONDS",
                CodeLives::WHATSAPP,
                parse::code_lives,
            ),
            pairing_life: settings.parsed("SANDBOX_PAIRING_SECONDS", PAIRING_LIFE, parse::seconds),
            ack_delay: settings.parsed(
                "SANDBOX_ACK_SECONDS",
                Duration::from_millis(500),
                parse::seconds,
            ),
        }
    }
}
