//! How a command can end, as its caller's shell sees it.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for is done.
    Done,
    /// It is not, and will not be.
    Failed,
    /// No service answers.
    Unreachable,
    /// The service does not take the key, or the key may not do this.
    Refused,
    /// Time ran out before it was known.
    Undecided,
    /// A setting is wrong.
    Misconfigured,
    /// A signal ended it.
    Signalled(u8),
}

/// What ends a program whose reader has gone.
pub(super) const SIGPIPE: u8 = 13;

/// What `--help` says of them.
pub(super) const CODES: &str = "\
Exit codes:
  0    done
  1    failed: what was asked for did not happen
  2    this command line is wrong
  3    no service answers
  4    the service does not take the key, or the key may not do this
  5    time ran out before it was known
  64   a setting is wrong
  130  ended by Ctrl-C";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::FAILURE,
            // 2 is what clap ends with.
            Exit::Unreachable => Self::from(3),
            Exit::Refused => Self::from(4),
            Exit::Undecided => Self::from(5),
            // EX_USAGE of sysexits.h, as for the service.
            Exit::Misconfigured => Self::from(64),
            // As a shell has it.
            Exit::Signalled(signal) => Self::from(128_u8.saturating_add(signal)),
        }
    }
}
