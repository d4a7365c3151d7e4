//! Why Chrome could not be opened: each cause with what the operator needs to act on it.

use std::{fmt, io, path::PathBuf, time::Duration};

/// What helps when it is this Chrome that does not work.
const ANOTHER_CHROME: &str = "set CHROME_PATH to one that does, or unset it to have one found";

/// Why a browser could not be opened. The texts fit after "failed to …:".
#[derive(Debug, thiserror::Error)]
pub enum BrowserError {
    /// No Chrome is installed.
    #[error(
        "no Chrome found (looked for {looked_for} in the search path); install one with \
         `apt-get install chromium-headless-shell` (or `chromium`), or name one with CHROME_PATH"
    )]
    NotFound {
        /// The names that were looked for.
        looked_for: String,
    },
    /// A Chrome is there but does not run.
    #[error(
        "{} does not work as Chrome: {why}; {}", path.display(),
        advice.as_ref().map_or_else(|| ANOTHER_CHROME.to_owned(), Advice::to_string)
    )]
    Unusable {
        /// The program.
        path: PathBuf,
        /// What happened when it was asked for its version.
        why: String,
        /// What to do about it, when it is not this Chrome's fault.
        advice: Option<Advice>,
    },
    /// An extra argument would take away what the service needs.
    #[error("the Chrome argument {argument:?} cannot be given: {why}")]
    ArgumentRefused {
        /// The argument.
        argument: String,
        /// What it would break.
        why: String,
    },
    /// The profile folder cannot be made, read or written.
    #[error("the profile folder {} cannot be used: {source}", path.display())]
    ProfileUnusable {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another session manager, or another session of this one, holds the profile.
    #[error(
        "the profile folder {} is held by {}; a profile serves one session at a time",
        path.display(), holder.map_or_else(|| "another session manager".to_owned(), |pid| format!("the session manager with pid {pid}"))
    )]
    ProfileLocked {
        /// The folder.
        path: PathBuf,
        /// The service that holds it, as it wrote itself into the lock file.
        holder: Option<u32>,
    },
    /// A Chrome that the service did not start runs on the profile. It was left alone.
    #[error(
        "the profile folder {} is in use by another Chrome, pid {pid}; close that one first",
        path.display()
    )]
    ProfileInUse {
        /// The folder.
        path: PathBuf,
        /// The Chrome that uses it.
        pid: u32,
    },
    /// The system would not start the program.
    #[error("{} could not be started: {source}{}", path.display(), advised(advice.as_ref()))]
    NotStarted {
        /// The program.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
        /// What to do about it, when that shows it.
        advice: Option<Advice>,
    },
    /// Chrome ended before it could be spoken to.
    #[error("Chrome {exit} while starting{}", explain(advice.as_ref(), output))]
    ExitedEarly {
        /// How it ended.
        exit: Exit,
        /// What to do about it, when its output shows it.
        advice: Option<Advice>,
        /// Its last lines of output.
        output: Vec<String>,
    },
    /// Chrome neither came up nor ended. It was ended.
    #[error("Chrome did not come up within {} s{}", after.as_secs(), explain(advice.as_ref(), output))]
    NotReady {
        /// How long it was waited for.
        after: Duration,
        /// What to do about it, when its output shows it.
        advice: Option<Advice>,
        /// Its last lines of output.
        output: Vec<String>,
    },
    /// Chrome refused to be driven. It was ended.
    #[error("Chrome does not let itself be driven{}", explain(advice.as_ref(), output))]
    Undriveable {
        /// What to do about it.
        advice: Option<Advice>,
        /// Its last lines of output.
        output: Vec<String>,
    },
    /// Chrome came up but would not be driven. It was ended.
    #[error("Chrome came up but {step} failed: {why}{}", advised(advice.as_ref()))]
    Protocol {
        /// The step that failed.
        step: &'static str,
        /// The error of Chrome or of the connection.
        why: String,
        /// What to do about it, when its output shows it.
        advice: Option<Advice>,
    },
    /// The caller gave up. What had been started was ended.
    #[error("the start was cancelled")]
    Cancelled,
}

impl BrowserError {
    /// What to do about it, where Chrome's output or the system shows it.
    pub fn advice(&self) -> Option<&Advice> {
        match self {
            Self::Unusable { advice, .. }
            | Self::NotStarted { advice, .. }
            | Self::ExitedEarly { advice, .. }
            | Self::NotReady { advice, .. }
            | Self::Undriveable { advice, .. }
            | Self::Protocol { advice, .. } => advice.as_ref(),
            Self::NotFound { .. }
            | Self::ArgumentRefused { .. }
            | Self::ProfileUnusable { .. }
            | Self::ProfileLocked { .. }
            | Self::ProfileInUse { .. }
            | Self::Cancelled => None,
        }
    }

    /// A stable code for logs and answers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "CHROME_NOT_FOUND",
            Self::Unusable { .. } | Self::Undriveable { .. } => "CHROME_UNUSABLE",
            Self::ArgumentRefused { .. } => "CHROME_ARGUMENT_REFUSED",
            Self::ProfileUnusable { .. } => "PROFILE_UNUSABLE",
            Self::ProfileLocked { .. } => "PROFILE_LOCKED",
            Self::ProfileInUse { .. } => "PROFILE_IN_USE",
            Self::NotStarted { .. } | Self::ExitedEarly { .. } => "CHROME_FAILED",
            Self::NotReady { .. } => "CHROME_NOT_READY",
            Self::Protocol { .. } => "CHROME_PROTOCOL",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Whether the same start may succeed later although no person acts.
    pub fn is_curable_by_waiting(&self) -> bool {
        match self {
            Self::NotReady { .. } | Self::Protocol { .. } | Self::Cancelled => true,
            // With advice it is the machine that lacks something; without, it may have been a bad moment.
            Self::ExitedEarly { advice, .. } => advice.as_ref().is_none_or(Advice::may_pass),
            Self::NotStarted { advice, .. } | Self::Undriveable { advice, .. } => {
                advice.as_ref().is_some_and(Advice::may_pass)
            }
            Self::NotFound { .. }
            | Self::Unusable { .. }
            | Self::ArgumentRefused { .. }
            | Self::ProfileUnusable { .. }
            | Self::ProfileLocked { .. }
            | Self::ProfileInUse { .. } => false,
        }
    }
}

fn advised(advice: Option<&Advice>) -> String {
    advice.map_or_else(String::new, |advice| format!("; {advice}"))
}

fn explain(advice: Option<&Advice>, output: &[String]) -> String {
    let mut text = advised(advice);
    if output.is_empty() {
        text.push_str("; it printed nothing");
    } else {
        text.push_str("; its last lines: ");
        text.push_str(&output.join(" | "));
    }
    text
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned this status.
    Status(i32),
    /// This signal ended it.
    Signal(i32),
    /// The system would not say.
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exited with status {status}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::Unknown => f.write_str("ended"),
        }
    }
}

/// What to do about a start that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    text: String,
    may_pass: bool,
}

impl Advice {
    /// Of a cause that may be gone at the next try.
    pub(in crate::browser) fn passing(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            may_pass: true,
        }
    }

    /// Of a cause that stays until a person acts.
    pub(in crate::browser) fn lasting(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            may_pass: false,
        }
    }

    /// Whether the cause may be gone at the next try although no person acts.
    pub(in crate::browser) fn may_pass(&self) -> bool {
        self.may_pass
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
