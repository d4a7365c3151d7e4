//! What settings are parsed into, where no other module of the crate has a type for it.

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
