//! How a command can end, as its caller's shell sees it.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command did what was asked for.
    Done,
    /// It did not, and will not.
    Failed,
    /// No service answers.
    Unreachable,
    /// The service does not take the key, or the key may not do this.
    Refused,
    /// Time ran out before it was known.
    Undecided,
    /// The passphrase is not the right one, or none.
    Passphrase,
    /// A file is not what it should be: damaged, or another kind.
    BadFile,
    /// The profile is in use.
    InUse,
    /// There is no account that could be exported.
    NothingThere,
    /// What would be written over is there already.
    AlreadyThere,
    /// The disk is too full.
    NoSpace,
    /// The page lacks something that an adapter needs; the service works all the same.
    Weakened,
    /// The service cannot work with the page.
    Broken,
    /// The page lacks only what some sends need after a profile was put back.
    NoReset,
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

/// The same for `export` and `import`.
pub(super) const TRANSFER_CODES: &str = "\
Exit codes:
  0    done
  1    failed: nothing has changed
  2    this command line is wrong
  6    the passphrase: wrong, shorter than 12 characters, or none
  7    the file: damaged, not complete, of another version, or no export
  8    the session is running: disconnect it first
  9    there is no profile, or it is not linked (export); there is no such file (import)
  10   the file (export) or the profile (import) is there already
  11   the disk is too full
  64   a setting is wrong
  130  ended by Ctrl-C";

/// The same for `adopt`.
pub(super) const ADOPT_CODES: &str = "\
Exit codes:
  0    done
  1    failed: nothing has changed
  2    this command line is wrong
  7    FOLDER holds several profiles: name one
  8    FOLDER is open in a Chrome, or the session is running
  9    FOLDER holds no storage of WhatsApp Web
  10   the session has a linked profile already
  11   the disk is too full
  64   a setting is wrong
  130  ended by Ctrl-C";

/// The same for `probe`.
pub(super) const PROBE_CODES: &str = "\
Exit codes:
  0    each adapter finds everything that it needs; with --link: and each step has succeeded
  1    the page was not opened: Chrome, the network, or a file
  2    this command line is wrong
  5    time ran out: no phone has scanned
  12   an adapter lacks something; nothing shows that linking or sending fails
       (the last line says whether another adapter was seen to have it all)
  13   the service cannot work with this page, or a step has failed
  14   linking and sending lack nothing; after a profile was put back from its
       snapshot, sends to some recipients are refused (PROFILE_STALE)
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
            Exit::Passphrase => Self::from(6),
            Exit::BadFile => Self::from(7),
            Exit::InUse => Self::from(8),
            Exit::NothingThere => Self::from(9),
            Exit::AlreadyThere => Self::from(10),
            Exit::NoSpace => Self::from(11),
            Exit::Weakened => Self::from(12),
            Exit::Broken => Self::from(13),
            Exit::NoReset => Self::from(14),
            // EX_USAGE of sysexits.h, as for the service.
            Exit::Misconfigured => Self::from(64),
            // As a shell has it.
            Exit::Signalled(signal) => Self::from(128_u8.saturating_add(signal)),
        }
    }
}
