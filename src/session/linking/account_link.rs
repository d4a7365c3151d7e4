//! Which account a profile is linked to, noted in the profile itself, so that a link that is gone without anybody's word is seen.
//!
//! ```text
//!  TOKENS_DIR/<cliente_id>/link.json    {"account":"5491100000001","linked_at":"2026-11-25T18:47:41Z","rescue":"none"}
//! ```
//!
//! Responsible for what a change of state says about the link, and for the file. It lies in the profile, and so goes where the link
//! goes: into its snapshots, to another host, and away with it. What follows from a link that is lost is
//! [`profile`](crate::session::keeping::profile)'s part.

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::{fs, task::spawn_blocking};

use crate::{
    browser::{self, Manifest, Origin, has_been_used},
    masked::Number,
    session::SessionState,
    whatsapp::{LINKED_MARK, Standing},
};

const NAME: &str = "link.json";

/// Where Chrome keeps a page's databases, and with them the link. Not its parent: a Chrome whose profile was taken away makes its
/// caches in `Default` again, and they are no profile.
const STORAGE: &str = "Default/IndexedDB";

/// Takes the place of the other as soon as it is whole.
const NEW_NAME: &str = "link.json.new";

/// Says that the service itself has seen the link go: to nothing else may be concluded that a profile with the mark of a link
/// holds none.
const GONE_NAME: &str = "link-gone";

/// What a profile is linked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// The account's number, digits only, if the page has told.
    account: Option<Number>,
    /// Tells one link from the next.
    linked_at: Timestamp,
    /// What has been done about its loss. READY takes that back.
    #[serde(default)]
    rescue: Rescue,
}

/// What has been done about the loss of a link, each once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::session) enum Rescue {
    /// Nothing: it is not lost.
    #[default]
    None,
    /// The snapshot has taken the profile's place.
    Snapshot,
    /// All that can be done without a person.
    All,
}

impl Link {
    fn new(account: Option<&str>, now: Timestamp) -> Self {
        Self {
            account: account.map(Number::from),
            linked_at: now,
            rescue: Rescue::None,
        }
    }

    /// What has been done about its loss.
    pub(in crate::session) const fn rescue(&self) -> Rescue {
        self.rescue
    }

    /// The same link, for whose loss that has been done.
    pub(in crate::session) fn having_tried(self, rescue: Rescue) -> Self {
        Self { rescue, ..self }
    }

    /// Whether a snapshot is one of this link: another account's must never take its place.
    pub(in crate::session) fn is_of(&self, manifest: &Manifest) -> bool {
        manifest.linked_at == Some(self.linked_at)
    }

    /// Whether it is a link to this account.
    pub(in crate::session) fn is_to(&self, account: &str) -> bool {
        self.account.as_deref() == Some(account)
    }

    /// What a snapshot says of it.
    pub(crate) fn origin(self, cliente_id: &str) -> Origin {
        Origin {
            cliente_id: cliente_id.to_owned(),
            account: self.account,
            linked_at: Some(self.linked_at),
        }
    }

    /// The note in this profile. One that cannot be understood says nothing.
    pub(crate) async fn read(profile: &Path) -> Option<Self> {
        let bytes = fs::read(profile.join(NAME)).await.ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Notes it in this profile, which must be there.
    pub(in crate::session) async fn write(&self, profile: &Path) -> io::Result<()> {
        // First: should the disk be full, the profile must not say that it has no link.
        remove(&profile.join(GONE_NAME)).await?;
        let new = profile.join(NEW_NAME);
        fs::write(&new, serde_json::to_vec(self)?).await?;
        fs::rename(new, profile.join(NAME)).await
    }

    /// Notes in this profile that its link is gone.
    async fn remove(profile: &Path) -> io::Result<()> {
        remove(&profile.join(NAME)).await?;
        fs::write(profile.join(GONE_NAME), b"").await
    }
}

/// Removes a file that need not be there.
async fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Whether this profile may hold an account's link. A profile that was adopted has the mark and no note, one that was copied here by
/// hand has neither, and a file that cannot be looked at may be there. Blocks.
pub(in crate::session) fn may_be_linked(profile: &Path) -> bool {
    let has = |name: &str| profile.join(name).try_exists().unwrap_or(true);
    has(NAME)
        || (has(LINKED_MARK) && !is_gone(profile))
        || (has(STORAGE) && !has_been_used(profile))
}

/// Whether the service has seen the link of this profile go. Blocks.
pub(in crate::session) fn is_gone(profile: &Path) -> bool {
    let is_noted = |name: &str| profile.join(name).try_exists();
    matches!((is_noted(NAME), is_noted(GONE_NAME)), (Ok(false), Ok(true)))
}

/// Tells one folder from another that has taken its name.
async fn identity(profile: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(profile).await.ok()?;
    Some((found.dev(), found.ino()))
}

/// Whether nothing is left of a profile that was linked: neither the note nor what Chrome has stored.
pub(in crate::session) async fn is_missing(profile: &Path) -> bool {
    // What cannot be looked at is not known to be gone: a start says what is wrong with it.
    let is_gone = async |name: &str| matches!(fs::try_exists(profile.join(name)).await, Ok(false));
    is_gone(NAME).await && is_gone(STORAGE).await
}

/// The same of a profile that a Chrome is open on: that makes its folders again where they were, and goes on in them. So a folder
/// that is another one than before, and has no note, is not the profile.
async fn is_missing_from(profile: &Path, folder: Option<(u64, u64)>) -> bool {
    if is_missing(profile).await {
        return true;
    }
    let is_another = folder.is_some() && identity(profile).await != folder;
    is_another && matches!(fs::try_exists(profile.join(NAME)).await, Ok(false))
}

/// What has become of the note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Written {
    /// There was nothing new to write.
    Nothing,
    /// There was, and it could not be written.
    Failed,
    /// The profile says so now.
    Link(Option<Timestamp>),
    /// The profile that had a note is gone.
    ProfileMissing,
}

/// What a login screen means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Login {
    /// There is none, or it is no surprise.
    Expected,
    /// The profile should be linked, and the page may still find out that it is: it shows no code yet.
    Doubtful,
    /// The profile should be linked, and is not: it has lost its storage.
    Lost,
    /// The same, and all that could be done has been done.
    LostForGood,
}

/// The link as it is after the session went `from` one state `to` the next.
fn next_link(
    link: Option<&Link>,
    from: &SessionState,
    to: &SessionState,
    account: Option<&str>,
    is_removed: bool,
    now: Timestamp,
) -> Option<Link> {
    use SessionState as S;
    match (from, to, link) {
        (S::Authenticated | S::Ready, S::QrRequired { .. }, _) => None,
        (_, S::QrRequired { .. }, _) if is_removed => None,
        // Somebody has scanned.
        (S::QrRequired { .. }, S::Authenticated | S::Ready, _)
        | (_, S::Authenticated | S::Ready, None) => Some(Link::new(account, now)),
        (_, S::Authenticated | S::Ready, Some(link)) => {
            let is_other = account.is_some() && link.account.is_some();
            if is_other && link.account.as_deref() != account {
                return Some(Link::new(account, now));
            }
            Some(Link {
                account: link.account.clone().or_else(|| account.map(Number::from)),
                linked_at: link.linked_at,
                rescue: if *to == S::Ready {
                    Rescue::None
                } else {
                    link.rescue
                },
            })
        }
        (_, S::Init | S::QrRequired { .. } | S::Hibernating | S::Disconnected | S::Error, link) => {
            link.cloned()
        }
    }
}

/// Since when a page can be believed, of what.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::session) struct Since {
    /// The device is linked since then: to which account what came before was meant for, is another question.
    pub(in crate::session) linked: Option<Timestamp>,
    /// The profile is a copy that was put in place then: of what its predecessor did after the copy was made it knows nothing.
    pub(in crate::session) restored: Option<Timestamp>,
}

/// The note of one profile, kept in step with its session.
#[derive(Debug)]
pub(in crate::session) struct LinkNote {
    profile: PathBuf,
    link: Option<Link>,
    is_written: bool,
    /// The profile has a note, and so must be there.
    is_on_disk: bool,
    /// The folder that has it.
    folder: Option<(u64, u64)>,
    restored_at: Option<Timestamp>,
}

impl LinkNote {
    /// Of the profile that the page is opened on.
    pub(in crate::session) async fn of(profile: &Path) -> Self {
        let link = Link::read(profile).await;
        let folder = profile.to_owned();
        // Off the runtime: it reads a file of the profile, whose disk may hang.
        let restored_at = spawn_blocking(move || browser::restored_at(&folder)).await;
        Self {
            profile: profile.to_owned(),
            folder: identity(profile).await,
            is_on_disk: link.is_some(),
            link,
            is_written: true,
            // Only a runtime that goes down does not read it.
            restored_at: restored_at.unwrap_or_default(),
        }
    }

    /// Which account the link was made with, if anybody has told.
    pub(in crate::session) fn account(&self) -> Option<&str> {
        self.link.as_ref()?.account.as_deref()
    }

    /// When the link was made.
    pub(in crate::session) fn linked_at(&self) -> Option<Timestamp> {
        self.link.as_ref().map(|link| link.linked_at)
    }

    /// Whether the profile has a note, and so must be there.
    pub(in crate::session) const fn is_on_disk(&self) -> bool {
        self.is_on_disk
    }

    /// Whether the profile had a note and is gone.
    pub(in crate::session) fn is_missing(&self) -> impl Future<Output = bool> + use<> {
        let (profile, folder) = (self.profile.clone(), self.folder);
        let must_be_there = self.is_on_disk;
        async move { must_be_there && is_missing_from(&profile, folder).await }
    }

    /// Since when its page can be believed.
    pub(in crate::session) fn since(&self) -> Since {
        Since {
            linked: self.link.as_ref().map(|link| link.linked_at),
            restored: self.restored_at,
        }
    }

    /// What it means that the page stands so while the session is in `state`; `is_removed`: WhatsApp has said that it
    /// removes the device.
    pub(in crate::session) fn judge(
        &self,
        state: &SessionState,
        standing: &Standing,
        is_removed: bool,
    ) -> Login {
        let is_starting = matches!(state, SessionState::Init | SessionState::Hibernating);
        let should_be_linked = is_starting && !is_removed;
        match &self.link {
            Some(link) if should_be_linked && standing.login && !standing.linked => {
                match (link.rescue, &standing.code) {
                    (Rescue::None, None) => Login::Doubtful,
                    (Rescue::None, Some(_)) => Login::Lost,
                    (Rescue::Snapshot | Rescue::All, _) => Login::LostForGood,
                }
            }
            _ => Login::Expected,
        }
    }

    /// The session has changed, or not.
    pub(in crate::session) fn follow(
        &mut self,
        from: &SessionState,
        to: &SessionState,
        account: Option<&str>,
        is_removed: bool,
    ) {
        let now = next_link(
            self.link.as_ref(),
            from,
            to,
            account,
            is_removed,
            Timestamp::now(),
        );
        if now != self.link {
            self.link = now;
            self.is_written = false;
        }
    }

    /// Has on disk what is known. A disk that does not take it must not end the session: only a loss would not be seen. A
    /// profile that is gone must, or the page that finds nothing there is taken for one whose device was removed.
    pub(in crate::session) async fn write(&mut self) -> Written {
        if std::mem::replace(&mut self.is_written, true) {
            return Written::Nothing;
        }
        if self.is_missing().await {
            return Written::ProfileMissing;
        }
        let written = match &self.link {
            Some(link) => link.write(&self.profile).await,
            None => Link::remove(&self.profile).await,
        };
        if let Err(error) = written {
            tracing::debug!(%error, "the link could not be noted in the profile");
            return Written::Failed;
        }
        self.is_on_disk = self.link.is_some();
        self.folder = identity(&self.profile).await;
        Written::Link(self.linked_at())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::SessionState as S;

    const CODES: S = S::QrRequired {
        code: None,
        attempts: 1,
        pairing: None,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn link(account: Option<&str>) -> Link {
        Link::new(account, at(1))
    }

    fn next(from: &S, to: &S, link: Option<&Link>, account: Option<&str>) -> Option<Link> {
        next_link(link, from, to, account, false, at(2))
    }

    #[test]
    fn a_scan_makes_a_new_link_whatever_there_was() {
        let old = link(Some("1")).having_tried(Rescue::All);
        for present in [None, Some(&old)] {
            let new = next(&CODES, &S::Authenticated, present, Some("1")).unwrap();
            assert_eq!(new, Link::new(Some("1"), at(2)));
        }
    }

    #[test]
    fn a_start_goes_on_with_the_link_and_learns_its_account() {
        let told = next(&S::Init, &S::Authenticated, Some(&link(None)), Some("1"));
        assert_eq!(told, Some(link(Some("1"))));
        let later = next(&S::Ready, &S::Ready, told.as_ref(), None);
        assert_eq!(later, told);
    }

    #[test]
    fn another_account_is_another_link() {
        let other = next(&S::Init, &S::Ready, Some(&link(Some("1"))), Some("2"));
        assert_eq!(other, Some(Link::new(Some("2"), at(2))));
    }

    #[test]
    fn a_device_that_was_removed_has_no_link() {
        let present = link(Some("1"));
        for from in [S::Authenticated, S::Ready] {
            assert_eq!(next(&from, &CODES, Some(&present), None), None);
        }
        let told = next_link(Some(&present), &S::Init, &CODES, None, true, at(2));
        assert_eq!(told, None);
    }

    #[test]
    fn a_login_screen_that_nobody_explains_leaves_the_link() {
        let present = link(Some("1"));
        let lost = next(&S::Init, &CODES, Some(&present), None);
        assert_eq!(lost, Some(present));
    }

    #[test]
    fn a_link_that_is_ready_again_may_be_saved_again() {
        let tried = link(Some("1")).having_tried(Rescue::Snapshot);
        let syncing = next(&S::Init, &S::Authenticated, Some(&tried), Some("1"));
        assert_eq!(syncing.as_ref().unwrap().rescue(), Rescue::Snapshot);
        let ready = next(&S::Authenticated, &S::Ready, syncing.as_ref(), Some("1"));
        assert_eq!(ready.unwrap().rescue(), Rescue::None);
    }

    #[tokio::test]
    async fn a_link_is_found_again_and_forgotten_with_its_device() {
        let folder = tempfile::tempdir().unwrap();
        let mut note = LinkNote::of(folder.path()).await;
        note.follow(&CODES, &S::Ready, Some("5491100000001"), false);
        note.write().await;
        let found = LinkNote::of(folder.path()).await;
        assert_eq!(found.link, note.link);
        assert!(found.link.is_some());
        assert!(!format!("{found:?}").contains("5491100000001"));

        note.follow(&S::Ready, &CODES, None, true);
        note.write().await;
        assert_eq!(LinkNote::of(folder.path()).await.link, None);
    }

    #[tokio::test]
    async fn a_profile_that_was_taken_away_is_no_device_that_was_removed() {
        let folder = tempfile::tempdir().unwrap();
        let profile = folder.path().join("51");
        std::fs::create_dir(&profile).unwrap();
        let mut note = LinkNote::of(&profile).await;
        note.follow(&CODES, &S::Ready, Some("1"), false);
        assert_eq!(note.write().await, Written::Link(note.linked_at()));
        assert_eq!(note.write().await, Written::Nothing);
        std::fs::remove_dir_all(&profile).unwrap();
        assert!(is_missing(&profile).await);
        note.follow(&S::Ready, &CODES, None, false);
        assert_eq!(note.write().await, Written::ProfileMissing);
    }

    #[tokio::test]
    async fn a_profile_whose_chrome_makes_its_folders_again_is_missing_all_the_same() {
        let home = tempfile::tempdir().unwrap();
        let (profile, aside) = (home.path().join("51"), home.path().join("unmounted"));
        fs::create_dir_all(profile.join(STORAGE)).await.unwrap();
        link(None).write(&profile).await.unwrap();
        let note = LinkNote::of(&profile).await;
        assert!(!note.is_missing().await);
        fs::rename(&profile, &aside).await.unwrap();
        let caches = profile.join("Default/Code Cache");
        fs::create_dir_all(&caches).await.unwrap();
        assert!(note.is_missing().await);
        assert!(is_missing(&profile).await, "for the next start as well");
        fs::remove_dir_all(&profile).await.unwrap();
        fs::rename(&aside, &profile).await.unwrap();
        assert!(!note.is_missing().await);
    }

    #[tokio::test]
    async fn only_a_link_that_was_seen_to_go_and_codes_alone_are_no_link() {
        let home = tempfile::tempdir().unwrap();
        let profile = home.path();
        assert!(!may_be_linked(profile), "nothing is stored there");
        let put = |name: &str| std::fs::write(profile.join(name), "1").unwrap();
        std::fs::create_dir_all(profile.join(STORAGE)).unwrap();
        assert!(may_be_linked(profile), "copied here by hand");
        put("chrome-version");
        assert!(!may_be_linked(profile), "codes alone");
        put(LINKED_MARK);
        assert!(may_be_linked(profile), "adopted");
        link(None).write(profile).await.unwrap();
        Link::remove(profile).await.unwrap();
        assert!(!may_be_linked(profile) && is_gone(profile));
        link(None).write(profile).await.unwrap();
        assert!(may_be_linked(profile) && !is_gone(profile));
    }
}
