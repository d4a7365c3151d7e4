//! Whether a session should be up, on disk: what the next service goes by when this one is killed.
//!
//! Responsible for what a connect, an end and a state mean for that, and for one small file per session. When sessions are
//! started again, and in which order, `fleet::restore` knows.
//!
//! ```text
//!  DATA_DIR/sessions/<cliente_id>.json
//!    {"up":true,"was_ready":true,"account":"5491100000001","linked_at":"2026-11-25T18:47:41Z"}
//! ```
//!
//! It is also what outlives the tokens folder: a session that was linked, and whose profile is gone, must not ask
//! for a scan as if it were new.
//!
//! Invariants: a connect or disconnect that has been answered is on disk; each file is replaced in one step, so that a kill
//! at any moment leaves one that can be read; a session of which there is nothing to remember has none.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Mutex, watch},
    task::spawn_blocking,
};

use crate::{
    browser::Link,
    files::{Durability, folder_of, found, make_folder, sync_folder, write_atomically},
    masked::Number,
    session::{ClienteId, Reason, ReasonCode, SessionState, Snapshot, reason::AfterEnd},
};

const EXTENSION: &str = "json";

/// What a file is called that could not be understood.
const ASIDE_EXTENSION: &str = "json.broken";

/// What is remembered of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::session) struct Desired {
    /// Whether it should run.
    up: bool,
    /// Whether it has been READY, and has lost its account since neither to the phone nor by a logout.
    #[serde(default)]
    was_ready: bool,
    /// The account that it had then, digits only.
    #[serde(default)]
    account: Option<Number>,
    /// The link that its profile was last seen to have: as long as this stands here, the profile must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    linked_at: Option<Timestamp>,
    /// Its profile folder was made to show codes, and none was scanned yet: nothing in it is of use to anybody.
    #[serde(default, skip_serializing_if = "is_not")]
    is_new: bool,
    /// Why it has no account any more, until it has one again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unlinked: Option<WhyUnlinked>,
}

/// A reason, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct WhyUnlinked {
    code: String,
    detail: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes what it may skip by reference"
)]
const fn is_not(it: &bool) -> bool {
    !*it
}

impl Desired {
    /// Whether it should run.
    pub(in crate::session) const fn is_up(&self) -> bool {
        self.up
    }

    /// Whether it should be READY without a scan.
    pub(in crate::session) const fn was_ready(&self) -> bool {
        self.was_ready
    }

    /// The account that it had when it was READY, as long as it is linked.
    pub(super) const fn account(&self) -> Option<&Number> {
        self.account.as_ref()
    }

    /// A caller wants it to run.
    fn on_connect(&mut self) {
        self.up = true;
    }

    /// It has ended for this reason.
    fn on_end(&mut self, why: ReasonCode) {
        match why.policy().desired {
            AfterEnd::Up => {}
            AfterEnd::Down => self.up = false,
            AfterEnd::Forgotten => *self = Self::default(),
        }
    }

    /// It runs, and stands here.
    fn on_state(&mut self, state: &SessionState, account: Option<&str>) {
        match state {
            // Late news of a run that is over.
            _ if !self.up => {}
            SessionState::Ready | SessionState::Hibernating => {
                (self.was_ready, self.is_new, self.unlinked) = (true, false, None);
                self.account = account.map(Number::from).or(self.account.take());
            }
            // A page that cannot read its profile any more asks for a scan too: the link says which it is.
            SessionState::QrRequired { .. } if self.linked_at.is_some() => {}
            // Its account is gone, or it has never had one.
            SessionState::QrRequired { .. } => (self.was_ready, self.account) = (false, None),
            SessionState::Init
            | SessionState::Authenticated
            | SessionState::Disconnected
            | SessionState::Error => {}
        }
    }

    /// It stands here for this reason. Why a device was unlinked outlives the service: a person may look days later.
    fn on_reason(&mut self, state: &SessionState, reason: Option<&Reason>) {
        let is_about_link = |reason: &&Reason| {
            matches!(
                reason.code,
                ReasonCode::Unlinked | ReasonCode::RemovedByWhatsApp
            )
        };
        if let (true, SessionState::QrRequired { .. }, Some(why)) =
            (self.up, state, reason.filter(is_about_link))
        {
            self.unlinked = Some(WhyUnlinked {
                code: why.code.as_str().to_owned(),
                detail: why.detail.clone(),
            });
        }
    }

    /// Why it has no account any more, if that is known.
    fn why_unlinked(&self) -> Option<Reason> {
        let why = self.unlinked.as_ref()?;
        let code = ReasonCode::all().find(|code| code.as_str() == why.code)?;
        Some(Reason::new(code, why.detail.as_str()))
    }
}

impl Desired {
    /// Its profile has this link now, or none any more.
    fn on_link(&mut self, link: Option<&Link>) {
        let linked_at = link.map(|link| link.linked_at);
        let before = std::mem::replace(&mut self.linked_at, linked_at);
        if before.is_some() && before != linked_at {
            // Another link may be another account's, which not every adapter can name: the old name would refuse its number to
            // other sessions.
            self.account = link.and_then(|link| link.account.clone());
        }
        if linked_at.is_none() {
            (self.was_ready, self.account) = (false, None);
        } else {
            (self.is_new, self.unlinked) = (false, None);
        }
    }

    /// Whether its profile holds nothing but codes that were not scanned.
    const fn is_newcomer(&self) -> bool {
        self.is_new && self.linked_at.is_none() && !self.was_ready
    }
}

/// What is remembered of one session, and its file. Cheap to clone: all clones are one.
#[derive(Clone, Debug)]
pub(in crate::session) struct DesiredFile {
    path: Arc<Path>,
    present: Arc<Mutex<Present>>,
}

#[derive(Debug)]
struct Present {
    desired: Desired,
    /// The file is known to say the same.
    is_written: bool,
}

impl DesiredFile {
    /// The file of this session in `folder`, with what [`read_all`] has found in it.
    pub(in crate::session) fn new(folder: &Path, id: &ClienteId, found: Option<Desired>) -> Self {
        let present = Present {
            desired: found.unwrap_or_default(),
            is_written: false,
        };
        Self {
            path: file_of(folder, id).into(),
            present: Arc::new(Mutex::new(present)),
        }
    }

    /// Whether it should run.
    pub(in crate::session) async fn is_up(&self) -> bool {
        self.present.lock().await.desired.is_up()
    }

    /// Whether it should be READY without a scan.
    pub(in crate::session) async fn must_be_ready(&self) -> bool {
        let present = self.present.lock().await;
        present.desired.is_up() && present.desired.was_ready()
    }

    /// The link that its profile must have.
    pub(in crate::session) async fn linked_at(&self) -> Option<Timestamp> {
        self.present.lock().await.desired.linked_at
    }

    /// Whether it is remembered as linked, by its profile or by having been READY.
    pub(in crate::session) async fn is_linked(&self) -> bool {
        let present = self.present.lock().await;
        present.desired.linked_at.is_some() || present.desired.was_ready
    }

    /// Why it has no account any more, if that is known.
    pub(in crate::session) async fn why_unlinked(&self) -> Option<Reason> {
        self.present.lock().await.desired.why_unlinked()
    }

    /// Whether its profile holds nothing but codes that were not scanned.
    pub(in crate::session) async fn is_newcomer(&self) -> bool {
        self.present.lock().await.desired.is_newcomer()
    }

    /// It is about to get a profile folder, and has none.
    pub(in crate::session) async fn on_new_profile(&self) {
        let on_new = |desired: &mut Desired| {
            // One that was linked by a version that did not note it down is not new.
            desired.is_new = !desired.was_ready && desired.linked_at.is_none();
        };
        self.change(on_new).await;
    }

    /// What is in its profile folder may be an account's.
    pub(in crate::session) async fn on_account(&self) {
        self.change(|desired| desired.is_new = false).await;
    }

    /// Its profile has this link now, or none any more.
    pub(in crate::session) async fn on_link(&self, link: Option<&Link>) {
        self.change(|desired| desired.on_link(link)).await;
    }

    /// Nothing is to be remembered of it.
    pub(in crate::session) async fn forget(&self) {
        self.change(|desired| *desired = Desired::default()).await;
    }

    /// A caller wants it to run.
    pub(in crate::session) async fn on_connect(&self) {
        self.change(Desired::on_connect).await;
    }

    /// It has ended.
    pub(in crate::session) async fn on_end(&self, why: ReasonCode) {
        self.change(|desired| desired.on_end(why)).await;
    }

    /// Remembers what the session comes to, until its actor has ended.
    pub(in crate::session) async fn follow(&self, mut snapshots: watch::Receiver<Snapshot>) {
        while snapshots.changed().await.is_ok() {
            let snapshot = snapshots.borrow_and_update().clone();
            let on_state = |desired: &mut Desired| {
                desired.on_state(&snapshot.state, snapshot.account.as_deref());
                desired.on_reason(&snapshot.state, snapshot.reason.as_ref());
            };
            self.change(on_state).await;
        }
    }

    /// Applies `change` and has it on disk, if that is news. A disk that does not take it must not keep a session from
    /// running: it is said, and tried again with the next change.
    async fn change(&self, change: impl FnOnce(&mut Desired)) {
        let mut present = self.present.lock().await;
        let before = present.desired.clone();
        change(&mut present.desired);
        if present.is_written && present.desired == before {
            return;
        }
        let (path, desired) = (Arc::clone(&self.path), present.desired.clone());
        let written = spawn_blocking(move || put(&path, &desired)).await;
        let written = written.unwrap_or_else(|lost| Err(lost.into()));
        present.is_written = written.is_ok();
        if let Err(why) = written {
            tracing::warn!(
                error = %why,
                "it could not be written down whether this session should be up (DATA_DIR): {why}; the next service may not know"
            );
        }
    }
}

/// Puts this in the place of what was there.
fn put(path: &Path, desired: &Desired) -> io::Result<()> {
    let folder = folder_of(path);
    if *desired == Desired::default() {
        return match found(fs::remove_file(path))? {
            // It must not come back after a power cut.
            Some(()) => sync_folder(folder),
            None => Ok(()),
        };
    }
    make_folder(folder)?;
    // The answer to POST /disconnect promises that the session stays down, also on a machine that has lost its power.
    write_atomically(path, &serde_json::to_vec(desired)?, Durability::PowerCut)
}

/// What is remembered of every session. A file that cannot be understood is said and set aside. Blocks, so it is for
/// the start of the service alone, before it serves.
pub(in crate::session) fn read_all(folder: &Path) -> BTreeMap<ClienteId, Desired> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(why) if why.kind() == ErrorKind::NotFound => return BTreeMap::new(),
        Err(why) => {
            tracing::warn!(error = %why, "which sessions should be up cannot be read ({}): {why}; none is restored", folder.display());
            return BTreeMap::new();
        }
    };
    let mut found = BTreeMap::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let Some(id) = session_of(&path) else {
            continue;
        };
        let read = fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
        match read {
            Ok(desired) => {
                found.insert(id, desired);
            }
            Err(why) => set_aside(&path, &id, &why),
        }
    }
    found
}

/// Where it is remembered of this session.
pub(in crate::session) fn file_of(folder: &Path, id: &ClienteId) -> PathBuf {
    folder.join(id.as_str()).with_extension(EXTENSION)
}

/// What is remembered of one session, for a reader that does not change it. A file that cannot be understood says nothing.
pub(super) fn read(folder: &Path, id: &ClienteId) -> Option<Desired> {
    serde_json::from_slice(&fs::read(file_of(folder, id)).ok()?).ok()
}

/// The session whose file this is.
pub(super) fn session_of(path: &Path) -> Option<ClienteId> {
    let is_whole = path.extension().is_some_and(|is| is == EXTENSION);
    let name = path.file_stem().filter(|_| is_whole)?;
    name.to_str()?.parse().ok()
}

/// A session that has a record in this folder, and its profile in `tokens_dir`: a service with these folders has run it. Blocks.
pub fn session_run_before(folder: &Path, tokens_dir: &Path) -> Option<ClienteId> {
    let records = fs::read_dir(folder).ok()?.flatten();
    let mut sessions = records.filter_map(|record| session_of(&record.path()));
    sessions.find(|id| id.profile_in(tokens_dir).is_dir())
}

fn set_aside(path: &Path, id: &ClienteId, why: &io::Error) {
    let aside: PathBuf = path.with_extension(ASIDE_EXTENSION);
    let moved = fs::rename(path, &aside);
    tracing::warn!(
        session.id = %id,
        error = %why,
        is_set_aside = moved.is_ok(),
        "{} cannot be understood ({why}), and was set aside as .{ASIDE_EXTENSION}: session {id} is not restored, POST /connect starts it",
        path.display(),
    );
}

#[cfg(test)]
mod tests;
