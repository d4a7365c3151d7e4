//! How settings are read: from variables and the file `.env`, with every fault gathered.
//!
//! Knows no setting by itself but those of a start, which come as one.

use std::{ffi::OsString, time::Duration};

use super::{ConfigError, Secret, dotenv::Dotenv, parse};
use crate::session::StartLimits;

/// What is set in the process environment.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// What is set: the process environment, and the file for what is not set there.
pub(super) fn variable(name: &str, file: &Dotenv) -> Option<OsString> {
    environment(name).or_else(|| file.get(name).map(OsString::from))
}

/// Reads variables and gathers what is wrong with them.
pub(super) struct Settings<F> {
    lookup: F,
    /// All that have been asked for.
    names: Vec<String>,
    problems: Vec<String>,
}

impl<F: Fn(&str) -> Option<OsString>> Settings<F> {
    pub(super) const fn new(lookup: F) -> Self {
        Self {
            lookup,
            names: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Notes what was wrong before anything was read.
    pub(super) fn complain_of(&mut self, faults: &[String]) {
        self.problems.extend_from_slice(faults);
    }

    /// The names of all settings that have been read.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The variable as it is set.
    pub(super) fn raw(&mut self, name: &str) -> Option<OsString> {
        self.names.push(name.to_owned());
        (self.lookup)(name)
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

    /// The variable as a secret. One that is set but empty is a slip that would leave a door open.
    pub(super) fn secret(&mut self, name: &str) -> Option<Secret> {
        let is_blank = |raw: OsString| raw.to_str().is_some_and(|raw| raw.trim().is_empty());
        if self.raw(name).is_some_and(is_blank) {
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
        let Some(raw) = self.raw(name).filter(|raw| !raw.is_empty()) else {
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
