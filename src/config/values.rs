//! What settings are parsed into, where no other module of the crate has a type for it.

use startup::Secret;

/// The backend to which each text is reported, as far as it is set.
#[derive(Clone, Debug)]
pub struct HubSettings {
    /// `CENTRAL_HUB_BASE_URL`, without a `/` at its end.
    pub base_url: Option<String>,
    /// `CENTRAL_HUB_USER`.
    pub user: Option<String>,
    /// `CENTRAL_HUB_PASS`.
    pub pass: Option<Secret>,
    /// `CENTRAL_HUB_CLIENTE_ID`, else `CLIENTE_ID`, else 1: whose client the only session is, with `SESSION_MODE=single`.
    pub cliente_id: u64,
    /// `INTERNAL_LISTENER_TOKEN`: what the backend wants to see with messages, if it has one set.
    pub internal_token: Option<Secret>,
}

impl HubSettings {
    /// What is needed and not set. All of it: no backend is meant.
    pub fn missing(&self) -> Vec<&'static str> {
        let needed = [
            ("CENTRAL_HUB_BASE_URL", self.base_url.is_some()),
            ("CENTRAL_HUB_USER", self.user.is_some()),
            ("CENTRAL_HUB_PASS", self.pass.is_some()),
        ];
        let missing = needed.into_iter().filter(|(_, is_set)| !is_set);
        missing.map(|(name, _)| name).collect()
    }
}

/// Which session a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionMode {
    /// One session per `cliente_id`.
    Multi,
    /// Every request means the default session; `cliente_id` is only echoed.
    Single,
}

/// The web pages that may call from a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Any.
    Any,
    /// Only some. The service's own page is always one of them.
    Only {
        /// Those that a server on this machine has served, by whatever loopback name or address and from whatever port.
        local: bool,
        /// Those of these origins.
        listed: Vec<String>,
    },
}

impl CorsOrigins {
    /// Those of this machine.
    pub const LOCAL: Self = Self::Only {
        local: true,
        listed: Vec::new(),
    };
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
