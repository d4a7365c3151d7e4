//! What the service has noted about a profile. The note lies in the profile, so it moves with it into copies and to other hosts.
//!
//! ```text
//!  TOKENS_DIR/<cliente_id>/session-manager.json
//!    {"chrome":"156.0.8078.79","linked_once":true,"restored_at":"2026-11-25T18:47:41Z",
//!     "link":{"account":"5491100000001","linked_at":"2026-11-25T18:47:41Z","rescue":"none"}}
//! ```
//!
//! Several tasks change it at the same time: the session's actor, and the watcher of the page, which goes on when the actor has
//! ended. So each change reads the note, changes it and writes it, and no other change of the same note happens meanwhile.
//! Earlier versions kept one file for each of these facts; they are read until the first change, which removes them.
//!
//! Everything here blocks.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
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
    pub(super) const LINKED_ONCE: &str = "linked-once";
    pub(super) const LINK_GONE: &str = "link-gone";
    pub(super) const CHROME: &str = "chrome-version";
    pub(super) const RESTORED_AT: &str = "restored-at";
    pub(super) const ALL: [&str; 5] = [LINK, LINKED_ONCE, LINK_GONE, CHROME, RESTORED_AT];
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
    /// The snapshot has taken the profile's place.
    Snapshot,
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
        match found(fs::read(profile.join(NAME)))? {
            Some(text) => Ok(serde_json::from_slice(&text)?),
            None => Self::of_earlier_version(profile),
        }
    }

    fn of_earlier_version(profile: &Path) -> io::Result<Self> {
        let read = |name: &str| found(fs::read_to_string(profile.join(name)));
        let link = read(earlier::LINK)?;
        let link: Option<Link> = link.map(|text| serde_json::from_str(&text)).transpose()?;
        let chrome = read(earlier::CHROME)?.map(|text| text.trim().to_owned());
        let restored_at = read(earlier::RESTORED_AT)?;
        Ok(Self {
            chrome: chrome.filter(|version| !version.is_empty()),
            linked_once: link.is_some() || profile.join(earlier::LINKED_ONCE).try_exists()?,
            link_is_gone: link.is_none() && profile.join(earlier::LINK_GONE).try_exists()?,
            link,
            restored_at: restored_at.and_then(|text| text.trim().parse().ok()),
        })
    }

    /// The note, or that of a profile that may be linked when it cannot be read or understood.
    pub fn read_or_linked(profile: &Path) -> Self {
        Self::read(profile).unwrap_or_else(|_| Self {
            linked_once: true,
            ..Self::default()
        })
    }

    /// Changes the note in this profile, which must be there. What is noted survives a power cut: a copy of a profile must not
    /// pass for the original, nor a linked profile for one that never was.
    ///
    /// # Errors
    ///
    /// It cannot be written, and is as before; only that the link is gone is not noted any more if it should not be.
    pub fn change(profile: &Path, change: impl FnOnce(&mut Self)) -> io::Result<()> {
        let _turn = Turn::take(profile)?;
        let before = Self::read_or_linked(profile);
        let mut note = before.clone();
        change(&mut note);
        let path = profile.join(NAME);
        if note == before && path.try_exists()? {
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
struct Turn((u64, u64));

impl Turn {
    fn take(profile: &Path) -> io::Result<Self> {
        let folder = fs::metadata(profile)?;
        let folder = (folder.dev(), folder.ino());
        let mut changing = CHANGING.lock();
        while !changing.insert(folder) {
            CHANGED.wait(&mut changing);
        }
        Ok(Self(folder))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        CHANGING.lock().remove(&self.0);
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
        let note = ProfileNote::read(home.path()).unwrap();
        assert_eq!(note.link(), Some(&link()));
        assert_eq!(note.chrome.as_deref(), Some("156.0.8078.79"));
        assert!(note.linked_once && note.restored_at.is_some() && !note.is_unlinked());

        ProfileNote::change(home.path(), |_| {}).unwrap();
        assert_eq!(home.path().read_dir().unwrap().count(), 1);
        assert_eq!(ProfileNote::read(home.path()).unwrap(), note);
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
