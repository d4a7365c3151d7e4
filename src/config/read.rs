//! How settings are read: from variables and the file `.env`, with every fault gathered.
//!
//! Knows no setting by itself but those of a start and of the sandbox, which come as one.

use std::{
    collections::HashMap,
    ffi::OsString,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::Duration,
};

use super::{CodeLives, ConfigError, PAIRING_LIFE, SandboxSettings, Secret, parse};
use crate::session::StartLimits;

/// What is set: the process environment, and the file `dotenv` for what is not set there.
pub(super) fn variables(
    dotenv: &Path,
) -> Result<impl Fn(&str) -> Option<OsString> + use<>, ConfigError> {
    let from_file = self::dotenv(dotenv)?;
    Ok(move |name: &str| environment(name).or_else(|| from_file.get(name).map(OsString::from)))
}

/// What is set in the process environment.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub(super) fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Reads a `.env` file without touching the process environment: other threads may be reading that.
fn dotenv(path: &Path) -> Result<HashMap<String, String>, ConfigError> {
    let pairs = match dotenvy::from_path_iter(path) {
        Ok(pairs) => pairs,
        Err(why) if why.not_found() => return Ok(HashMap::new()),
        Err(why) => return Err(ConfigError(vec![format!("{}: {why}", path.display())])),
    };
    // The parser would put variables in the place of $NAME and so cut a secret short without a word.
    let text = std::fs::read_to_string(path).unwrap_or_default();
    if let Some(at) = text.lines().position(parse::has_open_dollar) {
        return Err(ConfigError(vec![format!(
            "{}: line {}: a value with $ in it must stand in single quotes",
            path.display(),
            at + 1
        )]));
    }
    // A complaint of the parser repeats the line, which may hold a secret.
    let unreadable = |_| {
        ConfigError(vec![format!(
            "{}: a line is not NAME=value",
            path.display()
        )])
    };
    pairs.collect::<Result<_, _>>().map_err(unreadable)
}

/// Reads variables and gathers what is wrong with them.
pub(super) struct Settings<F> {
    pub(super) lookup: F,
    problems: Vec<String>,
}

impl<F: Fn(&str) -> Option<OsString>> Settings<F> {
    pub(super) const fn new(lookup: F) -> Self {
        Self {
            lookup,
            problems: Vec::new(),
        }
    }

    /// Whether all that was read is right.
    pub(super) fn verdict(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigError(self.problems))
        }
    }

    /// Notes what is wrong with a setting that can be read.
    pub(super) fn complain(&mut self, name: &str, why: &str) {
        self.problems.push(format!("{name}: {why}"));
    }

    /// A time after which something is done; `None`, which is the default, when it is set to 0: never.
    pub(super) fn delay(&mut self, name: &str) -> Option<Duration> {
        let seconds = self.parsed(name, Duration::ZERO, parse::seconds);
        Some(seconds).filter(|seconds| !seconds.is_zero())
    }

    pub(super) fn limits(&mut self) -> StartLimits {
        let usual = StartLimits::default();
        let mut seconds = |name, default| self.parsed(name, default, parse::seconds);
        StartLimits {
            launch: seconds("LAUNCH_TIMEOUT_SECONDS", usual.launch),
            navigate: seconds("NAVIGATE_TIMEOUT_SECONDS", usual.navigate),
            inject: seconds("INJECT_TIMEOUT_SECONDS", usual.inject),
            code: seconds("CODE_TIMEOUT_SECONDS", usual.code),
            scan: seconds("QR_TIMEOUT_SECONDS", usual.scan),
            sync: seconds("SYNC_TIMEOUT_SECONDS", usual.sync),
        }
    }

    /// The sandbox's own, beside an API that listens on `host`.
    pub(super) fn sandbox(&mut self, host: IpAddr) -> SandboxSettings {
        // Whoever opens the API to other machines does not mean its toy phone, which asks nobody for a key.
        let on_this_machine = if host.is_loopback() {
            host
        } else {
            Ipv4Addr::LOCALHOST.into()
        };
        SandboxSettings {
            host: self.parsed("SANDBOX_HOST", on_this_machine, parse::ip_address),
            port: self.parsed("SANDBOX_PORT", 3002, parse::port),
            code_lives: self.parsed(
                "SANDBOX_CODE_SECONDS",
                CodeLives::WHATSAPP,
                parse::code_lives,
            ),
            pairing_life: self.parsed("SANDBOX_PAIRING_SECONDS", PAIRING_LIFE, parse::seconds),
            ack_delay: self.parsed(
                "SANDBOX_ACK_SECONDS",
                Duration::from_millis(500),
                parse::seconds,
            ),
        }
    }

    /// The variable as a secret. One that is set but empty is a slip that would leave a door open.
    pub(super) fn secret(&mut self, name: &str) -> Option<Secret> {
        let is_blank = |raw: OsString| raw.to_str().is_some_and(|raw| raw.trim().is_empty());
        if (self.lookup)(name).is_some_and(is_blank) {
            let why = "is set but empty: give it a value, or remove it";
            self.complain(name, why);
            return None;
        }
        self.parsed(name, None, |raw| Ok(Some(Secret(raw.to_owned()))))
    }

    /// The variable's value through `parse`; `default` when it is not set, empty or wrong. A value is never repeated
    /// in a complaint: it may be a secret.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(raw) = (self.lookup)(name).filter(|raw| !raw.is_empty()) else {
            return default;
        };
        let parsed = raw
            .to_str()
            .ok_or_else(|| "is not valid UTF-8".to_owned())
            .and_then(|raw| parse(raw.trim()));
        parsed.unwrap_or_else(|why| {
            self.complain(name, &why);
            default
        })
    }
}
