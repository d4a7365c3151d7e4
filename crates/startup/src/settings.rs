//! How settings are read: from variables and the file `.env`, with every fault gathered.
//!
//! Knows no setting: the caller that reads one gives its name, its default and its check.

use std::{ffi::OsString, fmt, time::Duration};

use crate::{Dotenv, Secret, parse};

/// What is set in the process environment.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// What is set for a name, and where.
#[derive(Debug)]
pub struct Found {
    /// Or why it cannot be told what it is.
    value: Result<OsString, &'static str>,
    source: Source,
}

/// Where a value came from.
#[derive(Debug)]
enum Source {
    /// A line of the file `.env`, which is named here.
    File(String),
    /// The process environment, and the line of `.env` that it goes before, if there is one.
    Environment(Option<String>),
    /// An argument of the command line, or a test.
    Given,
}

impl Found {
    /// A value that was given as it is.
    pub const fn given(value: OsString) -> Self {
        Self {
            value: Ok(value),
            source: Source::Given,
        }
    }

    fn is_blank(&self) -> bool {
        let value = self.value.as_ref().ok().and_then(|value| value.to_str());
        value.is_some_and(|value| value.trim().is_empty())
    }
}

impl fmt::Display for Source {
    /// What is added to a complaint about the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(line) => write!(f, " ({line})"),
            // Shells, conda and orchestrators set names such as HOST by themselves.
            Self::Environment(None) => {
                f.write_str(" (set in the environment: unset it there if it was not you)")
            }
            // Otherwise the person who wrote the line would not learn why it has no effect.
            Self::Environment(Some(line)) => write!(
                f,
                " (set in the environment, which goes before {line}: unset it there, and that line counts)"
            ),
            Self::Given => Ok(()),
        }
    }
}

/// What is set: the process environment, and the file for what is not set there, or is empty there.
pub fn variable(name: &str, file: &Dotenv) -> Option<Found> {
    let in_file = || {
        let value = file.get(name)?.map(OsString::from);
        let source = Source::File(file.place(name)?);
        Some(Found { value, source })
    };
    let Some(value) = environment(name) else {
        return in_file();
    };
    // Set but empty counts as not set.
    if value.is_empty()
        && let Some(found) = in_file()
    {
        return Some(found);
    }
    Some(Found {
        value: Ok(value),
        source: Source::Environment(file.place(name)),
    })
}

/// All that is wrong with the settings, one line each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct SettingsError(Vec<String>);

impl SettingsError {
    /// One fault that is no setting's.
    pub fn of(fault: String) -> Self {
        Self(vec![fault])
    }

    /// Each fault, one line, the variable first.
    pub fn faults(&self) -> &[String] {
        &self.0
    }
}

/// Reads variables and gathers what is wrong with them.
#[derive(Debug)]
pub struct Settings<F> {
    lookup: F,
    /// All that have been asked for.
    names: Vec<String>,
    /// What is wrong, with the name of the setting, if it is one's.
    problems: Vec<(Option<String>, String)>,
}

impl<F: Fn(&str) -> Option<Found>> Settings<F> {
    /// Settings that `lookup` finds.
    pub const fn new(lookup: F) -> Self {
        Self {
            lookup,
            names: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Notes what was wrong before anything was read.
    pub fn complain_of(&mut self, faults: &[String]) {
        let faults = faults.iter().map(|fault| (None, fault.clone()));
        self.problems.extend(faults);
    }

    /// The names of all settings that have been read.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    fn found(&mut self, name: &str) -> Option<Found> {
        self.names.push(name.to_owned());
        (self.lookup)(name)
    }

    /// The variable as it is set.
    pub fn raw(&mut self, name: &str) -> Option<OsString> {
        self.found(name)?.value.ok()
    }

    /// Whether something was wrong with this setting.
    pub fn is_faulty(&self, name: &str) -> bool {
        let mut faulty = self.problems.iter().filter_map(|(of, _)| of.as_deref());
        faulty.any(|faulty| faulty == name)
    }

    /// Reads what does not count at the moment: its names are known, and its faults are no matter.
    pub fn unheeded<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.problems.len();
        let value = read(self);
        self.problems.truncate(before);
        value
    }

    /// Whether all that was read is right.
    pub fn verdict(self) -> Result<(), SettingsError> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            let faults = self.problems.into_iter().map(|(_, fault)| fault);
            Err(SettingsError(faults.collect()))
        }
    }

    /// Notes what is wrong with a setting, and where it is set.
    pub fn complain(&mut self, name: &str, why: &str) {
        let found = (self.lookup)(name);
        let source = found.map_or(Source::Given, |found| found.source);
        self.problems
            .push((Some(name.to_owned()), format!("{name}: {why}{source}")));
    }

    /// A time after which something is done; `None`, which is the default, when it is set to 0: never.
    pub fn delay(&mut self, name: &str) -> Option<Duration> {
        let seconds = self.parsed(name, Duration::ZERO, parse::seconds);
        Some(seconds).filter(|seconds| !seconds.is_zero())
    }

    /// The variable as a secret. One that is set but empty is a slip that would leave a door open.
    pub fn secret(&mut self, name: &str) -> Option<Secret> {
        if self.found(name).is_some_and(|found| found.is_blank()) {
            let why = "is set but empty: give it a value, or remove it";
            self.complain(name, why);
            return None;
        }
        self.parsed(name, None, |raw| Ok(Some(Secret::new(raw.to_owned()))))
    }

    /// The variable's value through `parse`; `default` when it is not set, empty or wrong. A value is never repeated
    /// in a complaint: it may be a secret.
    pub fn parsed<T>(
        &mut self,
        name: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(Found { value, source }) = self.found(name) else {
            return default;
        };
        let value = match value {
            Ok(value) if value.is_empty() => return default,
            value => value,
        };
        let text = value.map_err(str::to_owned).and_then(|value| {
            let text = value.into_string();
            text.map_err(|_| "is not valid UTF-8".to_owned())
        });
        let parsed = text.and_then(|text| {
            let text = text.trim();
            parse::is_as_meant(text)?;
            // In the file, quotes and remarks have been taken off.
            if !matches!(source, Source::File(_)) {
                parse::has_no_wrapping(text)?;
            }
            parse(text)
        });
        parsed.unwrap_or_else(|why| {
            self.complain(name, &why);
            default
        })
    }
}
