//! A linked account that moves: to another host, as one encrypted file; or from another program's profile to a session here.
//!
//! Decides which account may go (one that is linked here and whose session does not run), and which profile may be
//! replaced by what comes. [`browser`](crate::browser) writes a profile into a file, reads it back, and knows where
//! other programs have theirs; `command` asks a person. No service takes part in it: the lock of the profile keeps a
//! running one out.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::{fs, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::desired;
use crate::{
    browser::{
        Adopted, BrowserError, Export, ExportTo, ForeignError, ForeignProfile, HeldProfile,
        Manifest, Origin, Passphrase, Rescue, SiteStorage, SnapshotError, SnapshotKey,
        SnapshotRoot,
    },
    session::{
        ClienteId,
        linking::account_link::{self, link_of},
    },
};

/// Why an account did not move. All is as before.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// A service has its Chrome open, or another command is at it.
    #[error(
        "session {id} is running{}: end it first with POST /disconnect (to stop the service is not enough: it starts the session again when it starts)",
        holder.map_or_else(String::new, |pid| format!(" in the session-manager with pid {pid}"))
    )]
    Running {
        /// The session.
        id: ClienteId,
        /// The process that holds its profile, as it wrote itself into the lock.
        holder: Option<u32>,
    },
    /// There is a profile, and no account in it.
    #[error(
        "session {id} is not linked to an account: there is nothing that could go to another host"
    )]
    NotLinked {
        /// The session.
        id: ClienteId,
    },
    /// Another program's profile cannot be taken over.
    #[error(transparent)]
    Foreign(ForeignError),
    /// Everything else.
    #[error(transparent)]
    Snapshot(SnapshotError),
}

impl TransferError {
    fn of(id: &ClienteId, error: SnapshotError) -> Self {
        if let SnapshotError::Profile(BrowserError::ProfileLocked { holder, .. }) = error {
            return Self::Running {
                id: id.clone(),
                holder,
            };
        }
        Self::Snapshot(error)
    }
}

/// The profile of a session that is linked and does not run, held so that it stays so.
#[derive(Debug)]
pub struct LinkedProfile {
    id: ClienteId,
    profile: HeldProfile,
    origin: Origin,
}

impl LinkedProfile {
    /// Holds the profile of this session.
    pub async fn take(id: &ClienteId, tokens_dir: &Path) -> Result<Self, TransferError> {
        let failed = |error| TransferError::of(id, error);
        let profile = HeldProfile::take(&id.profile_in(tokens_dir))
            .await
            .map_err(failed)?;
        let link = link_of(profile.folder()).await;
        // A link that nothing could save is none, whatever the note says.
        let link = link.filter(|link| link.rescue != Rescue::All);
        let link = link.ok_or_else(|| TransferError::NotLinked { id: id.clone() })?;
        Ok(Self {
            id: id.clone(),
            profile,
            origin: account_link::origin(link, id),
        })
    }

    /// Writes it into one encrypted file, whole or not at all.
    pub async fn export(
        self,
        to: ExportTo,
        passphrase: Passphrase,
        give_up: CancellationToken,
    ) -> Result<Manifest, TransferError> {
        let written = self
            .profile
            .export(self.origin, to, passphrase, give_up)
            .await;
        written.map_err(|error| TransferError::of(&self.id, error))
    }
}

/// Puts the account in this file in the place of a session, whatever that was called where it comes from. A profile that is
/// there is set aside when it `may_replace` it. To be waited for also when `give_up` was cancelled: then it tells whether that
/// came in time.
pub async fn import(
    id: &ClienteId,
    tokens_dir: &Path,
    file: &Path,
    passphrase: Passphrase,
    may_replace: bool,
    give_up: CancellationToken,
) -> Result<Manifest, TransferError> {
    let failed = |error| TransferError::of(id, error);
    let export = Export::open(file, passphrase, &give_up)
        .await
        .map_err(failed)?;
    let profile = id.profile_in(tokens_dir);
    export
        .put_in_place(&profile, may_replace, give_up)
        .await
        .map_err(failed)
}

/// Makes a copy of the profile in this folder, which another program has linked, the profile of a session. One that is
/// linked already is set aside when it `may_replace` it; one that is not makes way in any case. To be waited for as an
/// import is.
pub async fn adopt(
    id: &ClienteId,
    tokens_dir: &Path,
    folder: &Path,
    site: &SiteStorage,
    may_replace: bool,
    give_up: CancellationToken,
) -> Result<Adopted, TransferError> {
    let (folder, site) = (folder.to_owned(), site.clone());
    // Off the runtime: an old service's folder may be on a disk that hangs.
    let found = spawn_blocking(move || ForeignProfile::find(&folder, &site)).await;
    let found = found
        .unwrap_or_else(|_| Err(SnapshotError::GivenUp.into()))
        .map_err(TransferError::Foreign)?;
    let profile = id.profile_in(tokens_dir);
    let adopted = found.put_in_place(
        &profile,
        move |present| may_replace || !account_link::may_be_linked(present),
        give_up,
    );
    adopted.await.map_err(|error| {
        if let ForeignError::Snapshot(error) = error {
            TransferError::of(id, error)
        } else {
            TransferError::Foreign(error)
        }
    })
}

/// Removes the snapshots of this session that are of the imported link and older than it: should the profile be lost, they would
/// bring back what the account was before it went to the other host. Those of another link are never used for this one.
pub async fn forget_older_snapshots(
    id: &ClienteId,
    tokens_dir: &Path,
    snapshots_dir: PathBuf,
    key: Option<&SnapshotKey>,
    imported: &Manifest,
) -> Result<(), SnapshotError> {
    let (linked_at, taken_at) = (imported.linked_at, imported.taken_at);
    let root = SnapshotRoot::new(snapshots_dir, 0, 1, CancellationToken::new()).encrypted_with(key);
    let snapshots = root.of(id.as_str(), id.profile_in(tokens_dir));
    snapshots
        .forget(move |snapshot| snapshot.linked_at == linked_at && snapshot.taken_at < taken_at)
        .await
}

/// The other sessions whose profiles say that they are linked to this account. A profile that was adopted says so only once
/// it has been READY.
pub async fn others_linked_to(
    account: &str,
    id: &ClienteId,
    tokens_dir: &Path,
) -> io::Result<Vec<ClienteId>> {
    let mut entries = fs::read_dir(tokens_dir).await?;
    let mut others = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        let other = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(other) = other.filter(|other| other != id) else {
            continue;
        };
        let link = link_of(&entry.path()).await;
        if link.is_some_and(|link| link.account.as_deref() == Some(account)) {
            others.push(other);
        }
    }
    others.sort();
    Ok(others)
}

/// Whether the next service in this folder will start the session without a request.
pub fn is_to_be_up(id: &ClienteId, sessions_dir: &Path) -> bool {
    desired::read(sessions_dir, id).is_some_and(|desired| desired.is_up())
}

#[cfg(test)]
mod tests;
