//! Which account a profile is linked to, noted in the profile itself, so that the service sees when a link is lost without a word from WhatsApp.
//!
//! Responsible for what a change of state says about the link. The note goes where the link goes: into its snapshots, to another
//! host, and away with it; [`ProfileNote`] is its file. What follows from a link that is lost is
//! [`profile`](crate::session::keeping::profile)'s part.

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use tokio::{fs, task::spawn_blocking};

use crate::{
    browser::{Link, Origin, ProfileNote, Rescue},
    masked::Number,
    session::{ClienteId, SessionState},
    whatsapp::Standing,
};

/// Where Chrome keeps a page's databases, and with them the link. Not its parent: a Chrome whose profile was taken away makes its
/// caches in `Default` again, and they are no profile.
const STORAGE: &str = "Default/IndexedDB";

/// A link that has just been made.
fn new_link(account: Option<&str>, now: Timestamp) -> Link {
    Link {
        account: account.map(Number::from),
        linked_at: now,
        rescue: Rescue::None,
    }
}

/// What a snapshot says of a link.
pub(in crate::session) fn origin(link: Link, cliente_id: &ClienteId) -> Origin {
    Origin {
        cliente_id: cliente_id.to_string(),
        account: link.account,
        linked_at: Some(link.linked_at),
    }
}

/// The note of this profile, read off the runtime, as its disk may hang. One that cannot be read counts as that of a profile
/// that may be linked.
async fn note_in(profile: &Path) -> ProfileNote {
    let profile = profile.to_owned();
    let read = spawn_blocking(move || ProfileNote::read_or_linked(&profile)).await;
    // Only a runtime that ends does not read it.
    read.unwrap_or_default()
}

/// The link that this profile has. A note that cannot be understood says nothing of it.
pub(in crate::session) async fn link_of(profile: &Path) -> Option<Link> {
    note_in(profile).await.link().cloned()
}

/// Notes in this profile, which must be there, that it has this link, or that it has none any more.
pub(in crate::session) async fn note(profile: &Path, link: Option<Link>) -> io::Result<()> {
    note_of(profile, link, false).await
}

async fn note_of(profile: &Path, link: Option<Link>, is_new_device: bool) -> io::Result<()> {
    let profile = profile.to_owned();
    let change = move |note: &mut ProfileNote| {
        note.set_link(link);
        if is_new_device {
            note.on_new_device();
        }
    };
    spawn_blocking(move || ProfileNote::change(&profile, change)).await?
}

/// Whether this profile may hold an account's link. One that was adopted has been linked and has no link in its note, one that
/// was copied here by hand has no note, and one that cannot be looked at may be linked. Blocks.
pub(in crate::session) fn may_be_linked(profile: &Path) -> bool {
    let has_storage = || profile.join(STORAGE).try_exists().unwrap_or(true);
    ProfileNote::read(profile).map_or(true, |note| {
        note.link().is_some()
            || (note.linked_once && !note.is_unlinked())
            || (note.chrome.is_none() && has_storage())
    })
}

/// Whether the service has seen the link of this profile go. Blocks.
pub(in crate::session) fn is_gone(profile: &Path) -> bool {
    ProfileNote::read(profile).is_ok_and(|note| note.is_unlinked())
}

/// Whether the note in this profile can be read and has no link.
async fn has_no_link(profile: &Path) -> bool {
    let profile = profile.to_owned();
    let read = spawn_blocking(move || ProfileNote::read(&profile)).await;
    matches!(read, Ok(Ok(note)) if note.link().is_none())
}

/// Tells one folder from another that has taken its name.
async fn identity(profile: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(profile).await.ok()?;
    Some((found.dev(), found.ino()))
}

/// Whether nothing is left of a profile that was linked: neither the note of its link nor what Chrome has stored.
pub(in crate::session) async fn is_missing(profile: &Path) -> bool {
    // What cannot be looked at is not known to be gone: a start says what is wrong with it.
    has_no_link(profile).await && matches!(fs::try_exists(profile.join(STORAGE)).await, Ok(false))
}

/// The same of a profile that a Chrome has open: Chrome makes its folders again where they were, and goes on in them. So a
/// folder that is another one than before, and has no note of a link, is not the profile.
async fn is_missing_from(profile: &Path, folder: Option<(u64, u64)>) -> bool {
    if is_missing(profile).await {
        return true;
    }
    let is_another = folder.is_some() && identity(profile).await != folder;
    is_another && has_no_link(profile).await
}

/// What has become of the note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum NoteWritten {
    /// There was nothing new to write.
    Nothing,
    /// There was, and it could not be written.
    Failed,
    /// The profile says so now.
    Done(Option<Timestamp>),
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

/// Whether a phone has scanned a code.
const fn is_scan(from: &SessionState, to: &SessionState) -> bool {
    use SessionState as S;
    matches!(
        (from, to),
        (S::QrRequired { .. }, S::Authenticated | S::Ready)
    )
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
        (_, S::Authenticated | S::Ready, _) if is_scan(from, to) => Some(new_link(account, now)),
        (_, S::Authenticated | S::Ready, None) => Some(new_link(account, now)),
        (_, S::Authenticated | S::Ready, Some(link)) => {
            let is_other = account.is_some() && link.account.is_some();
            if is_other && link.account.as_deref() != account {
                return Some(new_link(account, now));
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

/// From when on the page's word about a message counts.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::session) struct Since {
    /// When the device was linked. Earlier sends may belong to another account.
    pub(in crate::session) linked: Option<Timestamp>,
    /// When a copy took the profile's place. It knows nothing of what the profile before it did after the copy was made.
    pub(in crate::session) restored: Option<Timestamp>,
}

/// The note of one profile, kept in step with its session.
#[derive(Debug)]
pub(in crate::session) struct LinkNote {
    profile: PathBuf,
    link: Option<Link>,
    /// A phone has scanned a code, and that is not written yet: the device is a new one.
    is_new_device: bool,
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
        let note = note_in(profile).await;
        let link = note.link().cloned();
        Self {
            profile: profile.to_owned(),
            folder: identity(profile).await,
            is_on_disk: link.is_some(),
            link,
            is_new_device: false,
            is_written: true,
            restored_at: note.restored_at,
        }
    }

    /// Which account the link was made with, if the page has reported it.
    pub(in crate::session) fn account(&self) -> Option<&str> {
        self.link.as_ref()?.account.as_deref()
    }

    /// The folder of the profile.
    pub(in crate::session) fn profile(&self) -> &Path {
        &self.profile
    }

    /// The link, as far as the page has shown it.
    pub(in crate::session) fn link(&self) -> Option<Link> {
        self.link.clone()
    }

    /// When the link was made.
    pub(in crate::session) fn linked_at(&self) -> Option<Timestamp> {
        self.link.as_ref().map(|link| link.linked_at)
    }

    /// Whether the link is a new one, by a scan that is not noted in the profile yet.
    pub(in crate::session) const fn is_new(&self) -> bool {
        self.is_new_device
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

    /// From when on its page's word counts.
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
                    (Rescue::None | Rescue::FrozenCopy, None) => Login::Doubtful,
                    (Rescue::None | Rescue::FrozenCopy, Some(_)) => Login::Lost,
                    (Rescue::ProfileCopy | Rescue::All, _) => Login::LostForGood,
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
            self.is_new_device |= is_scan(from, to);
            self.is_written = false;
        }
    }

    /// Has on disk what is known. A disk that does not take it must not end the session: only a loss would not be seen. A
    /// profile that is gone must, or the page that finds nothing there is taken for one whose device was removed.
    pub(in crate::session) async fn write(&mut self) -> NoteWritten {
        if std::mem::replace(&mut self.is_written, true) {
            return NoteWritten::Nothing;
        }
        if self.is_missing().await {
            return NoteWritten::ProfileMissing;
        }
        if let Err(error) = note_of(&self.profile, self.link.clone(), self.is_new_device).await {
            tracing::debug!(%error, "the link could not be noted in the profile");
            return NoteWritten::Failed;
        }
        self.is_new_device = false;
        self.is_on_disk = self.link.is_some();
        self.folder = identity(&self.profile).await;
        NoteWritten::Done(self.linked_at())
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
        new_link(account, at(1))
    }

    fn next(from: &S, to: &S, link: Option<&Link>, account: Option<&str>) -> Option<Link> {
        next_link(link, from, to, account, false, at(2))
    }

    #[test]
    fn a_scan_makes_a_new_link_whatever_there_was() {
        let old = Link {
            rescue: Rescue::All,
            ..link(Some("1"))
        };
        for present in [None, Some(&old)] {
            let new = next(&CODES, &S::Authenticated, present, Some("1")).unwrap();
            assert_eq!(new, new_link(Some("1"), at(2)));
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
        assert_eq!(other, Some(new_link(Some("2"), at(2))));
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
        let tried = Link {
            rescue: Rescue::ProfileCopy,
            ..link(Some("1"))
        };
        let syncing = next(&S::Init, &S::Authenticated, Some(&tried), Some("1"));
        assert_eq!(syncing.as_ref().unwrap().rescue, Rescue::ProfileCopy);
        let ready = next(&S::Authenticated, &S::Ready, syncing.as_ref(), Some("1"));
        assert_eq!(ready.unwrap().rescue, Rescue::None);
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
        assert_eq!(note.write().await, NoteWritten::Done(note.linked_at()));
        assert_eq!(note.write().await, NoteWritten::Nothing);
        std::fs::remove_dir_all(&profile).unwrap();
        assert!(is_missing(&profile).await);
        note.follow(&S::Ready, &CODES, None, false);
        assert_eq!(note.write().await, NoteWritten::ProfileMissing);
    }

    #[tokio::test]
    async fn a_profile_whose_chrome_makes_its_folders_again_is_missing_all_the_same() {
        let home = tempfile::tempdir().unwrap();
        let (profile, aside) = (home.path().join("51"), home.path().join("unmounted"));
        fs::create_dir_all(profile.join(STORAGE)).await.unwrap();
        super::note(&profile, Some(link(None))).await.unwrap();
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
        std::fs::create_dir_all(profile.join(STORAGE)).unwrap();
        assert!(may_be_linked(profile), "copied here by hand");
        let change = |change: fn(&mut ProfileNote)| ProfileNote::change(profile, change).unwrap();
        change(|note| note.chrome = Some("156.0.8078.79".to_owned()));
        assert!(!may_be_linked(profile), "codes alone");
        change(|note| note.linked_once = true);
        assert!(may_be_linked(profile), "adopted");
        change(|note| note.set_link(None));
        assert!(!may_be_linked(profile) && is_gone(profile));
        change(|note| note.set_link(Some(link(None))));
        assert!(may_be_linked(profile) && !is_gone(profile));
    }
}
