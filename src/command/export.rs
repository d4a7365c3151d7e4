//! `export`: a linked account as one encrypted file, for another host.
//!
//! Works on the profile itself, under its lock, and asks no service: a service that runs must disconnect the session first.

use std::path::{Path, PathBuf};

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{
    exit::{Exit, TRANSFER_CODES},
    passphrase::{PassphraseError, Source},
    screen::{Interrupts, one_line, remark, say},
};
use crate::{
    browser::{ExportTo, ForeignError, Manifest, SnapshotError},
    config::{Config, ConfigError},
    session::{ClienteId, LinkedProfile, TransferError, is_to_be_up},
};

/// Write a linked account into one encrypted file, to move it to another host.
///
/// The session must not run: disconnect it first. Once it is imported elsewhere, do not connect it here again.
#[derive(Args, Clone, Debug)]
#[command(after_help = TRANSFER_CODES)]
pub struct Arguments {
    /// The session.
    cliente_id: ClienteId,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write over FILE when it is there.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    passphrase: Source,
}

/// Why a command that works on files failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the settings are wrong:\n{0}")]
    Settings(#[from] ConfigError),
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[from] std::io::Error),
    #[error("interrupted; nothing has changed")]
    Interrupted(u8),
}

pub(super) async fn run(arguments: Arguments, dotenv: &Path, sandbox: bool) -> Result<Exit, Fault> {
    let config = Config::load(dotenv, sandbox)?;
    let id = arguments.cliente_id;
    let to = ExportTo {
        path: arguments.out,
        may_replace: arguments.force,
    };
    // A file that is there already is reported before the person types a passphrase.
    to.check().map_err(TransferError::Snapshot)?;
    let profile = LinkedProfile::take(&id, &config.tokens_dir).await?;
    // After a signal the terminal must echo again, and no half file may be left.
    let mut interrupts = Interrupts::catch()?;
    let passphrase = arguments.passphrase.choose()?;

    let give_up = CancellationToken::new();
    let work = profile.export(to.clone(), passphrase, give_up.clone());
    let manifest = done_or_given_up(work, &give_up, &mut interrupts).await?;
    say(&summary(&id, &to.path, &manifest))?;
    remark(&warning(&id, is_to_be_up(&id, &config.sessions_dir())));
    Ok(Exit::Done)
}

/// Waits for the work. A signal cancels it, unless it is done or can no longer be undone.
pub(super) async fn done_or_given_up<T>(
    work: impl Future<Output = Result<T, TransferError>>,
    give_up: &CancellationToken,
    interrupts: &mut Interrupts,
) -> Result<T, Fault> {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => Ok(done?),
        signal = interrupts.next() => {
            give_up.cancel();
            work.await.map_err(|_| Fault::Interrupted(signal))
        }
    }
}

fn summary(id: &ClienteId, file: &Path, manifest: &Manifest) -> String {
    format!("session {id}{} is in {}", account(manifest), file.display())
}

/// The account in words, for a person who has several.
pub(super) fn account(manifest: &Manifest) -> String {
    let account = manifest.account.as_deref();
    account.map_or_else(String::new, |account| {
        format!(" (account {})", one_line(account))
    })
}

/// The warning for a person who now has one account in two places.
fn warning(id: &ClienteId, is_to_be_up: bool) -> String {
    let here = if is_to_be_up {
        format!(
            "\nWARNING: session {id} should be up here: the service starts it again when it starts. Disconnect it first: POST /disconnect {{\"cliente_id\": \"{id}\"}}"
        )
    } else {
        String::new()
    };
    format!(
        "This account must never run on two hosts at once: WhatsApp would see one device in two places, and may remove it.\n\
         There: `session-manager import <cliente_id> FILE`, then connect. Here: do not connect session {id} again once it is connected there.\n\
         A person who has the file and its passphrase can act as the account: delete the file when it has been imported.{here}"
    )
}

/// Prints the fault in one line, and returns its exit code. `remedy` is for a file or a profile that is there already.
pub(super) fn explain(fault: &Fault, remedy: &str) -> Exit {
    let is_there = matches!(
        fault,
        Fault::Transfer(TransferError::Snapshot(
            SnapshotError::FileThere { .. } | SnapshotError::ProfileThere { .. }
        ))
    );
    let remedy = if is_there { remedy } else { "" };
    let text = fault.to_string();
    // Each fault of the settings has a line of its own.
    let text = if matches!(fault, Fault::Settings(_)) {
        text
    } else {
        one_line(&text)
    };
    remark(&format!("session-manager: {text}{remedy}"));
    exit(fault)
}

fn exit(fault: &Fault) -> Exit {
    let why = match fault {
        Fault::Settings(_) => return Exit::Misconfigured,
        Fault::Passphrase(PassphraseError::Interrupted) => return Exit::Signalled(2),
        Fault::Passphrase(_) => return Exit::Passphrase,
        Fault::Interrupted(signal) => return Exit::Signalled(*signal),
        Fault::Terminal(_) => return Exit::Failed,
        Fault::Transfer(why) => why,
    };
    match why {
        TransferError::Running { .. } => Exit::InUse,
        TransferError::NotLinked { .. } => Exit::NothingThere,
        TransferError::Foreign(why) => of_foreign(why),
        TransferError::Snapshot(why) => of_snapshot(why),
    }
}

fn of_foreign(why: &ForeignError) -> Exit {
    match why {
        ForeignError::Unreadable { source, .. }
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Exit::NothingThere
        }
        ForeignError::Unreadable { .. } => Exit::Failed,
        ForeignError::NotAFolder { .. } | ForeignError::NoStorage { .. } => Exit::NothingThere,
        ForeignError::Several { .. } => Exit::BadFile,
        ForeignError::InUse { .. } | ForeignError::Changed { .. } => Exit::InUse,
        ForeignError::IsOurs { .. } | ForeignError::IsTheTarget { .. } => Exit::AlreadyThere,
        ForeignError::Snapshot(why) => of_snapshot(why),
    }
}

fn of_snapshot(why: &SnapshotError) -> Exit {
    use std::io::ErrorKind;
    match why {
        SnapshotError::WrongPassphrase { .. } => Exit::Passphrase,
        SnapshotError::NotAnExport { .. }
        | SnapshotError::NotASnapshot { .. }
        | SnapshotError::OtherEncryption { .. }
        | SnapshotError::OtherFormat { .. }
        | SnapshotError::Damaged { .. } => Exit::BadFile,
        SnapshotError::Profile(_) => Exit::InUse,
        SnapshotError::NoProfile { .. } => Exit::NothingThere,
        SnapshotError::FileThere { .. } | SnapshotError::ProfileThere { .. } => Exit::AlreadyThere,
        SnapshotError::NoSpace { .. } => Exit::NoSpace,
        SnapshotError::Io { source, .. }
            if matches!(
                source.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded
            ) =>
        {
            Exit::NoSpace
        }
        SnapshotError::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
            Exit::NothingThere
        }
        SnapshotError::Io { .. }
        | SnapshotError::OtherKey { .. }
        | SnapshotError::NotStill(_)
        | SnapshotError::Hangs
        | SnapshotError::GivenUp => Exit::Failed,
    }
}
