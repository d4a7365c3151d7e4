//! The settings of the sandbox: the service reads them when it starts one beside itself, and the program of the
//! sandbox reads them for itself.

use std::{path::PathBuf, time::Duration};

use startup::{Found, ListenHost, Settings, parse};

use crate::SandboxConfig;

/// The sandbox's own settings.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// `SANDBOX_HOST` (loopback): the addresses that the simulated WhatsApp Web and its phone listen on. Neither
    /// asks for a key.
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
pub const PAIRING_LIFE: Duration = Duration::from_secs(180);

/// How long WhatsApp's server takes to acknowledge a message.
pub(crate) const ACK_DELAY: Duration = Duration::from_millis(500);

impl SandboxSettings {
    /// Reads them; `host` is where the sandbox listens when nothing else is set.
    pub fn gather(
        settings: &mut Settings<impl Fn(&str) -> Option<Found>>,
        host: ListenHost,
    ) -> Self {
        Self {
            host: settings.parsed("SANDBOX_HOST", host, parse::listen_host),
            port: settings.parsed("SANDBOX_PORT", 3002, parse::port),
            code_lives: settings.parsed("SANDBOX_CODE_SECONDS", CodeLives::WHATSAPP, code_lives),
            pairing_life: settings.parsed("SANDBOX_PAIRING_SECONDS", PAIRING_LIFE, parse::seconds),
            ack_delay: settings.parsed("SANDBOX_ACK_SECONDS", ACK_DELAY, parse::seconds),
        }
    }

    /// How a sandbox behaves by them that remembers its accounts and messages in this folder.
    pub fn in_folder(&self, data_dir: impl Into<PathBuf>) -> SandboxConfig {
        SandboxConfig {
            data_dir: data_dir.into(),
            first_code: self.code_lives.first,
            next_codes: self.code_lives.next,
            pairing_code: self.pairing_life,
            ack_delay: self.ack_delay,
        }
    }
}

fn code_lives(raw: &str) -> Result<CodeLives, String> {
    let (first, next) = raw
        .split_once(',')
        .ok_or("must be two numbers of seconds, such as 60,20")?;
    Ok(CodeLives {
        first: parse::seconds(first.trim())?,
        next: parse::seconds(next.trim())?,
    })
}
