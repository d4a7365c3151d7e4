//! What the service has noted about a profile. The note lies in the profile, so it moves with it into copies and to other hosts.
//!
//! ```text
//!  TOKENS_DIR/<cliente_id>/session-manager.json
//!    {"chrome":"156.0.8078.79","linked_once":true,"restored_at":"2026-11-25T18:47:41Z",
//!     "link":{"account":"5491100000001","linked_at":"2026-11-25T18:47:41Z","rescue":"none"},
//!     "generation":9,"gaps":[{"after":3,"until":8}]}
//! ```
//!
//! Generations say which copy of a profile has which hand-over, without a clock: a copy ends a generation and begins the next,
//! and the ledger notes with each hand-over the generation in which it happened. Invariant: a copy whose manifest says n has
//! every hand-over of the generations up to n; of n + 1 it may have some. So the generation is raised, durably, before the
//! copying begins.
//!
//! Several tasks change it at the same time: the session's actor, and the watcher of the page, which goes on when the actor has
//! ended. So each change reads the note, changes it and writes it, and no other change of the same note happens meanwhile.
//! Earlier versions kept one file for each of these facts; they are read until the first change, which removes them. Such a
//! file next to a note means that an earlier version has run on the profile since.
//!
//! Everything here blocks.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};

use crate::{
    files::{Durability, found, remove_file, write_atomically},
    masked::Number,
};

const NAME: &str = "session-manager.json";

/// The files of earlier versions, each for one fact.
mod earlier {
    pub(super) const LINK: &str = "link.json";
    /// What a kill has left of one that was being written.
    pub(super) const HALF_A_LINK: &str = "link.json.new";
    pub(super) const LINKED_ONCE: &str = "linked-once";
    pub(super) const LINK_GONE: &str = "link-gone";
    pub(super) const CHROME: &str = "chrome-version";
    pub(super) const RESTORED_AT: &str = "restored-at";
    pub(super) const ALL: [&str; 6] = [
        LINK,
        HALF_A_LINK,
        LINKED_ONCE,
        LINK_GONE,
        CHROME,
        RESTORED_AT,
    ];
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProfileNote {
    /// The version of the Chrome that used the profile last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chrome: Option<String>,
    /// The profile has been linked at some time, so its page may show chats.
    pub linked_once: bool,
    /// The account that it is linked to.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<Link>,
    /// The service itself has seen the link end. Without this, a profile that has been linked may hold a link.
    link_is_gone: bool,
    /// When the profile took the place of another one, or of none. It knows nothing of what its predecessor did after it was
    /// copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored_at: Option<Timestamp>,
    /// When the copy was made that took its place then, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copied_at: Option<Timestamp>,
    /// The generation that the profile is in. A note of an earlier version has none, which is the first.
    pub generation: u64,
    /// What the profile may lack, as often as it took the place of another one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// A phone has made a new device of it: what was handed over before does not concern it.
    #[serde(skip_serializing_if = "is_not")]
    is_new_device: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes what it may skip by reference"
)]
const fn is_not(it: &bool) -> bool {
    !*it
}

/// More gaps than this are merged. A profile is restored once for each time that its link is lost.
const GAPS_MAX: usize = 16;

/// The generations that a profile knows nothing of: those between the copy that it comes from and the moment at which that took
/// its place. Messages that were handed over in them are missing in the page's store, and the Signal sessions with their
/// recipients are older than what those have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The last generation that the profile has whole; `None` when it has none for certain, as a copy of an earlier version,
    /// which does not say.
    pub after: Option<u64>,
    /// The first generation of the profile in its new place; `None` until the ledger has said which was the highest before.
    pub until: Option<u64>,
    /// The copy came from another host or program: the ledger here need not know what was handed over since.
    #[serde(default, skip_serializing_if = "is_not")]
    pub is_from_elsewhere: bool,
}

impl Gap {
    /// Whether a hand-over of this generation is in the gap. Another host has counted for itself, so what such a copy says that it
    /// has is no word about generations that were counted here.
    pub fn has(&self, generation: u64) -> bool {
        self.certain_after().is_none_or(|after| after < generation)
            && self.until.is_none_or(|until| generation < until)
    }

    fn certain_after(&self) -> Option<u64> {
        self.after.filter(|_| !self.is_from_elsewhere)
    }

    /// One gap that has all that two have.
    fn and(self, other: Self) -> Self {
        Self {
            after: self.certain_after().min(other.certain_after()),
            until: self.until.zip(other.until).map(|(one, two)| one.max(two)),
            is_from_elsewhere: self.is_from_elsewhere && other.is_from_elsewhere,
        }
    }
}

/// What has become of a profile since a page last handed anything over from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Nothing.
    Usual,
    /// A phone has made a new device of it.
    NewDevice,
    /// It was put in its place, and lacks these generations.
    Restored(Vec<Gap>),
}

/// What a profile is linked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The account's number, digits only, if the page has reported it.
    pub account: Option<Number>,
    /// When it was made: distinguishes one link from the next.
    pub linked_at: Timestamp,
    /// What has been done about its loss. READY takes that back.
    #[serde(default)]
    pub rescue: Rescue,
}

/// What has been done about the loss of a link, each once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rescue {
    /// Nothing: it is not lost.
    #[default]
    None,
    /// A copy of the running profile has taken its place, and there is one of a Chrome that was closed, too.
    FrozenCopy,
    /// The profile copy has taken the profile's place.
    #[serde(rename = "snapshot")]
    ProfileCopy,
    /// All that can be done without a person.
    All,
}

impl ProfileNote {
    /// The note in this profile; an empty one if there is none.
    ///
    /// # Errors
    ///
    /// It cannot be read, or not be understood. The profile may then be linked.
    pub fn read(profile: &Path) -> io::Result<Self> {
        let text = found(fs::read(profile.join(NAME)))?;
        let note: Option<Self> = text.map(|text| serde_json::from_slice(&text)).transpose()?;
        let earlier = Self::of_earlier_version(profile)?;
        Ok(match note {
            Some(note) => note.and_since(earlier),
            None => earlier,
        })
    }

    /// What an earlier version has noted. Its note of the link was not safe from a power cut: one that cannot be understood says
    /// that there may be a link.
    fn of_earlier_version(profile: &Path) -> io::Result<Self> {
        let read = |name: &str| found(fs::read(profile.join(name)));
        let word = |name: &str| -> io::Result<Option<String>> {
            let text = read(name)?.map(|text| String::from_utf8_lossy(&text).trim().to_owned());
            Ok(text.filter(|text| !text.is_empty()))
        };
        let link = read(earlier::LINK)?;
        let was_linked = link.is_some() || profile.join(earlier::LINKED_ONCE).try_exists()?;
        Ok(Self {
            chrome: word(earlier::CHROME)?,
            linked_once: was_linked,
            link_is_gone: link.is_none() && profile.join(earlier::LINK_GONE).try_exists()?,
            link: link.and_then(|text| serde_json::from_slice(&text).ok()),
            restored_at: word(earlier::RESTORED_AT)?.and_then(|text| text.parse().ok()),
            ..Self::default()
        })
    }

    /// This note and what an earlier version, which does not know it, has noted since. Files that a change has not got to remove
    /// look the same, so nothing of them makes a profile one that may be deleted.
    fn and_since(self, earlier: Self) -> Self {
        let may_be_linked = earlier.linked_once && !earlier.link_is_gone;
        let is_later = |link: &Link| {
            self.link
                .as_ref()
                .is_none_or(|known| known.linked_at < link.linked_at)
        };
        Self {
            chrome: earlier.chrome.or(self.chrome),
            linked_once: self.linked_once || earlier.linked_once,
            link_is_gone: self.link_is_gone && !may_be_linked,
            link: earlier.link.filter(is_later).or(self.link),
            restored_at: self.restored_at.max(earlier.restored_at),
            copied_at: self.copied_at,
            generation: self.generation,
            gaps: self.gaps,
            is_new_device: self.is_new_device,
        }
    }

    /// The note, or that of a profile that may be linked when it cannot be read or understood.
    pub fn read_or_linked(profile: &Path) -> Self {
        Self::read(profile).unwrap_or_else(|_| Self::of_unknown_profile())
    }

    /// Of a profile that may be linked, and may be a copy that does not know what was sent until now: its page's word that it
    /// does not have a message must not be a reason to send it again.
    fn of_unknown_profile() -> Self {
        Self {
            linked_once: true,
            restored_at: Some(Timestamp::now()),
            gaps: vec![Gap {
                after: None,
                until: None,
                is_from_elsewhere: false,
            }],
            ..Self::default()
        }
    }

    /// Changes the note in this profile, which must be there. What is noted survives a power cut: a copy of a profile must not
    /// pass for the original, nor a linked profile for one that never was.
    ///
    /// # Errors
    ///
    /// It cannot be written, and is as before; only that the link is gone is not noted any more if it should not be.
    pub fn change(profile: &Path, change: impl FnOnce(&mut Self)) -> io::Result<()> {
        let turn = Turn::take(profile)?;
        let profile = &turn.folder();
        let (before, unread) = match Self::read(profile) {
            Ok(note) => (note, None),
            Err(why) => (Self::of_unknown_profile(), Some(why)),
        };
        let mut note = before.clone();
        change(&mut note);
        if let Some(why) = unread
            && !matches!(
                why.kind(),
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof
            )
            && note.link.is_none()
        {
            // What the disk does not give now is there the next time, and must not be replaced by less: a link is never less.
            return Err(why);
        }
        let path = profile.join(NAME);
        let is_earlier = |name: &&str| fs::symlink_metadata(profile.join(name)).is_ok();
        if note == before && path.try_exists()? && !earlier::ALL.iter().any(is_earlier) {
            return Ok(());
        }
        let text = serde_json::to_vec(&note)?;
        let written = write_atomically(&path, &text, Durability::PowerCut);
        if written.is_err() && before.link_is_gone && !note.link_is_gone {
            // A profile whose link is gone may be deleted. To shorten the note takes no space on a full disk, and one that
            // cannot be understood counts as that of a linked profile.
            remove_file(&profile.join(earlier::LINK_GONE))?;
            found(OpenOptions::new().write(true).truncate(true).open(&path))?;
        }
        written?;
        earlier::ALL
            .iter()
            .try_for_each(|name| remove_file(&profile.join(name)))
    }

    /// The link that the profile has.
    pub const fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// Whether the service has seen its link end.
    pub const fn is_unlinked(&self) -> bool {
        self.link_is_gone
    }

    /// It has this link now, or the service has seen that it has none any more.
    pub fn set_link(&mut self, link: Option<Link>) {
        self.linked_once |= link.is_some();
        self.link_is_gone = link.is_none();
        self.link = link;
    }

    /// A copy of the profile in this folder is about to be made: ends the generation that it is in, and answers which one that
    /// is. It goes into the manifest of the copy.
    ///
    /// Where a page is open meanwhile, hand-overs must note the next generation before the first byte is copied, and those that
    /// WhatsApp's server has not acknowledged must be counted into it: the page may take them, and encrypt them, later than the
    /// copy is made.
    ///
    /// # Errors
    ///
    /// As for [`change`](Self::change): no copy may be made.
    pub fn end_generation(profile: &Path) -> io::Result<u64> {
        let mut ended = 0;
        Self::change(profile, |note| {
            ended = note.generation;
            note.generation += 1;
        })?;
        Ok(ended)
    }

    /// The profile has taken the place of the one with the note `replaced`, if there was one. It is a copy that has the
    /// hand-overs up to the generation `after`.
    pub(in crate::browser) fn on_restored(
        &mut self,
        after: Option<u64>,
        is_from_elsewhere: bool,
        replaced: Option<&Self>,
    ) {
        self.restored_at = Some(Timestamp::now());
        let replaced = replaced.map_or(0, |replaced| replaced.generation);
        self.generation = self.generation.max(replaced);
        self.add_gap(Gap {
            after,
            until: None,
            is_from_elsewhere,
        });
    }

    fn add_gap(&mut self, gap: Gap) {
        self.gaps.push(gap);
        if GAPS_MAX < self.gaps.len() {
            let oldest = self.gaps.remove(0);
            self.gaps[0] = oldest.and(self.gaps[0]);
        }
    }

    /// A phone has scanned a code: the device is a new one, with Signal sessions of its own.
    pub fn on_new_device(&mut self) {
        self.gaps.clear();
        self.is_new_device = true;
    }

    /// What has become of the profile since a page last handed anything over from it. `highest` is the highest generation that
    /// the ledger has ever noted for its session.
    pub fn beginning(&self, highest: Option<u64>) -> Beginning {
        if self.is_new_device {
            return Beginning::NewDevice;
        }
        let mut gaps: Vec<Gap> = self.gaps.clone();
        gaps.retain(|gap| gap.until.is_none());
        if gaps.is_empty() && highest.is_some_and(|highest| self.generation < highest) {
            // An older folder was put back by hand. When in its generation it was copied is not known.
            gaps.push(Gap {
                after: self.generation.checked_sub(1),
                until: None,
                is_from_elsewhere: false,
            });
        }
        if gaps.is_empty() {
            Beginning::Usual
        } else {
            Beginning::Restored(gaps)
        }
    }

    /// Goes on above the highest generation that was ever given, where the profile does not know it. To be called before the
    /// first hand-over of a page, once the ledger has noted what the [`beginning`](Self::beginning) means.
    pub fn go_on_above(&mut self, highest: Option<u64>) {
        match self.beginning(highest) {
            Beginning::Usual => return,
            Beginning::NewDevice => {}
            Beginning::Restored(gaps) => {
                self.gaps.retain(|gap| gap.until.is_some());
                for gap in gaps {
                    self.add_gap(gap);
                }
            }
        }
        self.generation = self.generation.max(highest.unwrap_or(0)) + 1;
        self.is_new_device = false;
        for gap in &mut self.gaps {
            gap.until.get_or_insert(self.generation);
        }
    }

    /// Whether a folder has a note of this service, of any version.
    pub(in crate::browser) fn is_in(folder: &Path) -> bool {
        // Each of its profiles has one of these from its first start on.
        [NAME, earlier::CHROME, earlier::RESTORED_AT]
            .iter()
            .any(|name| fs::symlink_metadata(folder.join(name)).is_ok())
    }
}

/// The profiles whose note is being changed, by device and inode: a path may be written in several ways.
static CHANGING: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());
static CHANGED: Condvar = Condvar::new();

/// The only change of one profile's note. Changes of other profiles do not wait for it: their disks may be others.
struct Turn {
    opened: File,
    id: (u64, u64),
}

impl Turn {
    fn take(profile: &Path) -> io::Result<Self> {
        let opened = File::open(profile)?;
        let folder = opened.metadata()?;
        let id = (folder.dev(), folder.ino());
        let mut changing = CHANGING.lock();
        while !changing.insert(id) {
            CHANGED.wait(&mut changing);
        }
        Ok(Self { opened, id })
    }

    /// A path of this very folder, also when another profile has taken its place meanwhile: that one's note is not this one's.
    fn folder(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.opened.as_raw_fd()).into()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        CHANGING.lock().remove(&self.id);
        CHANGED.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link {
            account: Some("5491100000001".into()),
            linked_at: "2026-11-25T18:47:41Z".parse().unwrap(),
            rescue: Rescue::None,
        }
    }

    #[test]
    fn the_files_of_earlier_versions_are_taken_over_and_removed() {
        let home = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
        put(
            "link.json",
            r#"{"account":"5491100000001","linked_at":"2026-11-25T18:47:41Z"}"#,
        );
        put(
            "linked-once",
            "This profile has been linked to an account.\n",
        );
        put("chrome-version", "156.0.8078.79\n");
        put("restored-at", "2026-11-26T18:47:41Z");
        put("link.json.new", "half a no");
        let note = ProfileNote::read(home.path()).unwrap();
        assert_eq!(note.link(), Some(&link()));
        assert_eq!(note.chrome.as_deref(), Some("156.0.8078.79"));
        assert!(note.linked_once && note.restored_at.is_some() && !note.is_unlinked());

        ProfileNote::change(home.path(), |_| {}).unwrap();
        assert_eq!(home.path().read_dir().unwrap().count(), 1);
        assert_eq!(ProfileNote::read(home.path()).unwrap(), note);
    }

    #[test]
    fn what_an_earlier_version_has_noted_since_counts_and_leftovers_harm_no_link() {
        let home = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
        let read = || ProfileNote::read(home.path()).unwrap();
        ProfileNote::change(home.path(), |note| note.set_link(None)).unwrap();
        // A phone has scanned while the earlier version ran.
        put("chrome-version", "157.0.0.1");
        put("linked-once", "");
        assert!(!read().is_unlinked());
        let since = r#"{"account":"5491100000001","linked_at":"2026-11-25T18:47:41Z"}"#;
        put("link.json", since);
        put("restored-at", "2026-11-26T18:47:41Z");
        let note = read();
        assert_eq!(note.link(), Some(&link()));
        assert!(!note.is_unlinked() && note.restored_at.is_some());
        ProfileNote::change(home.path(), |_| {}).unwrap();
        assert_eq!((read(), home.path().read_dir().unwrap().count()), (note, 1));

        // Files that a kill has left are older than the note.
        put("link-gone", "");
        assert!(read().link().is_some() && !read().is_unlinked());
        put(
            "link.json",
            &since.replace("2026", "2025").replace("01\"", "02\""),
        );
        assert_eq!(read().link(), Some(&link()));
    }

    #[test]
    fn a_note_that_cannot_be_understood_may_be_that_of_a_copy() {
        let home = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
        put("link.json", "half a no");
        put("restored-at", "2026-11-26T18:47:41Z");
        let note = ProfileNote::read(home.path()).unwrap();
        assert!(note.linked_once && !note.is_unlinked() && note.restored_at.is_some());
        put("session-manager.json", "");
        assert!(ProfileNote::read(home.path()).is_err());
        ProfileNote::change(home.path(), |note| note.chrome = Some("1".to_owned())).unwrap();
        let note = ProfileNote::read(home.path()).unwrap();
        assert!(note.linked_once && note.restored_at.is_some());
    }

    #[test]
    fn a_note_that_cannot_be_read_is_replaced_by_a_link_alone() {
        let home = tempfile::tempdir().unwrap();
        // As where the disk does not answer: the system refuses to read it.
        let earlier = home.path().join("link.json");
        fs::create_dir(&earlier).unwrap();
        let chrome = |note: &mut ProfileNote| note.chrome = Some("1".to_owned());
        assert!(ProfileNote::change(home.path(), chrome).is_err());
        assert!(!home.path().join(NAME).try_exists().unwrap());
        assert!(ProfileNote::change(home.path(), |note| note.set_link(Some(link()))).is_err());
        fs::remove_dir(&earlier).unwrap();
        assert_eq!(
            ProfileNote::read(home.path()).unwrap().link(),
            Some(&link())
        );
    }

    fn gap(after: Option<u64>, until: Option<u64>) -> Gap {
        Gap {
            after,
            until,
            is_from_elsewhere: false,
        }
    }

    #[test]
    fn each_copy_ends_a_generation() {
        let home = tempfile::tempdir().unwrap();
        let end = || ProfileNote::end_generation(home.path()).unwrap();
        assert_eq!([end(), end(), end()], [0, 1, 2]);
        assert_eq!(ProfileNote::read(home.path()).unwrap().generation, 3);
        // Where it cannot be written down, no copy may be made.
        fs::create_dir(home.path().join("session-manager.json.new")).unwrap();
        assert!(ProfileNote::end_generation(home.path()).is_err());
    }

    #[test]
    fn a_copy_lacks_what_was_handed_over_between_it_and_its_first_own_generation() {
        let replaced = ProfileNote {
            generation: 7,
            ..ProfileNote::default()
        };
        let mut note = ProfileNote {
            generation: 4,
            ..ProfileNote::default()
        };
        note.on_restored(Some(3), false, Some(&replaced));
        let lacks =
            |note: &ProfileNote, generation| note.gaps.iter().any(|gap| gap.has(generation));
        assert_eq!([3, 4, 999].map(|n| lacks(&note, n)), [false, true, true]);
        note.go_on_above(Some(7));
        assert_eq!(
            (note.generation, &*note.gaps),
            (8, &[gap(Some(3), Some(8))][..])
        );
        assert_eq!(
            [3, 4, 7, 8].map(|n| lacks(&note, n)),
            [false, true, true, false]
        );
        // Only once.
        let settled = note.clone();
        note.go_on_above(Some(8));
        assert_eq!(note, settled);
    }

    #[test]
    fn the_ledger_knows_generations_that_no_note_does() {
        // The folder was removed, and its note with it.
        let mut note = ProfileNote {
            generation: 4,
            ..ProfileNote::default()
        };
        note.on_restored(Some(3), false, None);
        note.go_on_above(Some(20));
        assert_eq!(
            (note.generation, &*note.gaps),
            (21, &[gap(Some(3), Some(21))][..])
        );
    }

    #[test]
    fn an_older_folder_that_was_put_back_by_hand_is_told_by_its_generation() {
        let mut note = ProfileNote {
            generation: 5,
            ..ProfileNote::default()
        };
        note.go_on_above(Some(5));
        assert!(note.gaps.is_empty());
        note.go_on_above(Some(6));
        assert_eq!(
            (note.generation, &*note.gaps),
            (7, &[gap(Some(4), Some(7))][..])
        );
    }

    #[test]
    fn a_new_device_lacks_nothing_and_goes_on_above_what_was_given() {
        let mut note = ProfileNote::default();
        note.on_restored(None, false, None);
        note.on_new_device();
        note.go_on_above(Some(9));
        assert_eq!((note.generation, note.gaps.len()), (10, 0));
        let mut first = ProfileNote::default();
        first.go_on_above(None);
        assert_eq!((first.generation, first.gaps.len()), (0, 0));
    }

    #[test]
    fn what_a_copy_from_elsewhere_says_that_it_has_was_counted_there() {
        let mut note = ProfileNote::default();
        note.on_restored(Some(20), true, None);
        note.go_on_above(Some(10));
        let lacks =
            |note: &ProfileNote, generation| note.gaps.iter().any(|gap| gap.has(generation));
        assert!(lacks(&note, 10) && !lacks(&note, note.generation));
        let merged = note.gaps[0].and(gap(Some(5), Some(11)));
        assert!(merged.has(3) && !merged.has(note.generation));
    }

    #[test]
    fn many_restores_become_one_gap_that_has_them_all() {
        let mut note = ProfileNote::default();
        for n in 0..40_u64 {
            note.on_restored(Some(10 * n + 5), false, None);
            note.go_on_above(Some(10 * n + 9));
        }
        assert!(note.gaps.len() <= GAPS_MAX);
        for n in 0..40 {
            assert!(note.gaps.iter().any(|gap| gap.has(10 * n + 7)), "{n}");
        }
        assert!(!note.gaps.iter().any(|gap| gap.has(note.generation)));
    }

    #[test]
    fn a_note_that_cannot_be_understood_may_lack_everything() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(NAME), "half a no").unwrap();
        let mut note = ProfileNote::read_or_linked(home.path());
        note.go_on_above(Some(3));
        assert_eq!(
            (note.generation, &*note.gaps),
            (4, &[gap(None, Some(4))][..])
        );
    }

    #[test]
    fn changes_at_the_same_time_are_all_kept() {
        let home = tempfile::tempdir().unwrap();
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    let more = |note: &mut ProfileNote| {
                        note.chrome.get_or_insert_default().push('.');
                    };
                    ProfileNote::change(home.path(), more).unwrap();
                });
            }
        });
        let note = ProfileNote::read(home.path()).unwrap();
        assert_eq!(note.chrome.as_deref(), Some("........"));
    }

    #[test]
    fn a_profile_that_makes_way_in_a_change_takes_its_note_along() {
        let home = tempfile::tempdir().unwrap();
        let (profile, aside) = (home.path().join("51"), home.path().join("aside"));
        fs::create_dir(&profile).unwrap();
        let exchanged = |note: &mut ProfileNote| {
            fs::rename(&profile, &aside).unwrap();
            fs::create_dir(&profile).unwrap();
            note.set_link(Some(link()));
        };
        ProfileNote::change(&profile, exchanged).unwrap();
        assert_eq!(ProfileNote::read(&aside).unwrap().link(), Some(&link()));
        assert_eq!(profile.read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_new_link_that_cannot_be_written_leaves_no_word_that_it_is_gone() {
        let home = tempfile::tempdir().unwrap();
        ProfileNote::change(home.path(), |note| note.set_link(None)).unwrap();
        assert!(ProfileNote::read(home.path()).unwrap().is_unlinked());
        // Nothing can be written there, as on a full disk.
        fs::create_dir(home.path().join("session-manager.json.new")).unwrap();
        let linked = ProfileNote::change(home.path(), |note| note.set_link(Some(link())));
        assert!(linked.is_err());
        assert!(ProfileNote::read(home.path()).is_err());
        assert!(ProfileNote::read_or_linked(home.path()).linked_once);
    }
}
