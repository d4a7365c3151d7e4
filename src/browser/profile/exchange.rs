//! One profile folder in the place of another, so that a crash at any moment leaves one of them whole.
//!
//! ```text
//!  51.unpacking/ ──complete──▶ 51.restored/ ──put in place──▶ 51/ ──set aside──▶ 51.aside/<time>/
//! ```
//!
//! The names say how far it has got: a folder called `restored` is complete and on disk. So the next holder of the lock knows
//! what to do: without a profile, the restored one takes its place; next to a profile, it had not come to that, and
//! it goes. All stands in the folder of the profile itself: within one file system a rename is all or nothing.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::files::{found, make_folder, remove_folder, sync_folder};

/// How many folders that were set aside are kept; the oldest goes first. Each is as large as a profile.
const ASIDE_KEPT: usize = 3;

/// One thing that is done at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::browser) enum Step {
    /// Removes what an earlier attempt had unpacked.
    Discard,
    /// Unpacks; the caller's part.
    Unpack,
    /// Says that all is unpacked and on disk.
    Complete,
    /// Takes the present profile out of the way. It is not deleted.
    SetAside,
    /// Makes the restored profile the present one.
    PutInPlace,
    /// Removes the oldest of those set aside.
    Prune,
}

/// From one profile, or none, to another.
pub(in crate::browser) const EXCHANGE: [Step; 6] = [
    Step::Discard,
    Step::Unpack,
    Step::Complete,
    Step::SetAside,
    Step::PutInPlace,
    Step::Prune,
];

/// From one profile to none.
pub(in crate::browser) const SET_ASIDE: [Step; 2] = [Step::SetAside, Step::Prune];

/// The folders of one profile.
#[derive(Clone, Debug)]
pub(in crate::browser) struct Places {
    pub(in crate::browser) profile: PathBuf,
    pub(in crate::browser) unpacking: PathBuf,
    /// Where a running profile is copied to first.
    pub(in crate::browser) staging: PathBuf,
    restored: PathBuf,
    aside: PathBuf,
}

impl Places {
    /// Of the profile in this folder, without links, which need not be there.
    pub(in crate::browser) fn of(profile: &Path) -> Self {
        let beside = |ending: &str| {
            let mut name = profile.file_name().unwrap_or_default().to_owned();
            name.push(OsString::from(ending));
            profile.with_file_name(name)
        };
        Self {
            profile: profile.to_owned(),
            unpacking: beside(".unpacking"),
            staging: beside(".staging"),
            restored: beside(".restored"),
            aside: beside(".aside"),
        }
    }

    /// Whether an exchange, or what is left of one, may rename or remove this folder or what it is in.
    pub(in crate::browser) fn will_change(&self, folder: &Path) -> bool {
        let changed = [&self.profile, &self.unpacking, &self.restored];
        changed.into_iter().any(|place| folder.starts_with(place))
    }

    /// Whether this is one of those that were set aside.
    pub(in crate::browser) fn is_set_aside(&self, folder: &Path) -> bool {
        folder.starts_with(&self.aside)
    }

    /// Whether a folder with this name is on its way to be a profile.
    pub(in crate::browser) fn is_on_its_way(name: &OsStr) -> bool {
        let ending = Path::new(name).extension().unwrap_or_default();
        ending == "unpacking" || ending == "restored" || ending == "staging"
    }

    /// Whether there is a profile, or one that a crash has kept from taking its place.
    pub(in crate::browser) fn has_profile(&self) -> io::Result<bool> {
        Ok(self.profile.try_exists()? || self.restored.try_exists()?)
    }

    /// Does one step, other than [`Step::Unpack`], which is the caller's.
    pub(in crate::browser) fn perform(&self, step: Step) -> io::Result<()> {
        match step {
            Step::Discard => {
                remove_folder(&self.restored)?;
                remove_folder(&self.unpacking)
            }
            Step::Unpack => Err(ErrorKind::Unsupported.into()),
            Step::Complete => self.rename(&self.unpacking, &self.restored),
            Step::SetAside => {
                if !self.profile.try_exists()? {
                    return Ok(());
                }
                make_folder(&self.aside)?;
                self.rename(&self.profile, &self.free_name()?)
            }
            Step::PutInPlace => self.rename(&self.restored, &self.profile),
            Step::Prune => self.prune(),
        }
    }

    /// Finishes or undoes what was interrupted. Tells whether there was anything.
    pub(in crate::browser) fn settle(&self) -> io::Result<bool> {
        remove_folder(&self.staging)?;
        let has = [&self.profile, &self.restored, &self.unpacking];
        let [profile, restored, unpacking] = has.map(|path| path.try_exists());
        let steps = rest(profile?, restored?, unpacking?);
        for step in steps {
            self.perform(*step)?;
        }
        Ok(!steps.is_empty())
    }

    /// Those set aside, the oldest first.
    pub(in crate::browser) fn set_aside(&self) -> io::Result<Vec<PathBuf>> {
        let entries = found(fs::read_dir(&self.aside))?.into_iter().flatten();
        let mut folders = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<Vec<_>>>()?;
        folders.sort();
        Ok(folders)
    }

    /// Removes what stands next to a profile that is about to be deleted.
    pub(in crate::browser) fn remove_what_is_beside(&self) -> io::Result<()> {
        remove_folder(&self.unpacking)?;
        remove_folder(&self.staging)?;
        remove_folder(&self.restored)?;
        remove_folder(&self.aside)
    }

    /// Names sort as the times do at which they were given.
    fn free_name(&self) -> io::Result<PathBuf> {
        let mut name = file_name(Timestamp::now());
        while self.aside.join(&name).try_exists()? {
            name.push('+');
        }
        Ok(self.aside.join(name))
    }

    fn prune(&self) -> io::Result<()> {
        let folders = self.set_aside()?;
        let too_many = folders.len().saturating_sub(ASIDE_KEPT);
        folders[..too_many]
            .iter()
            .try_for_each(|path| remove_folder(path))
    }

    /// A rename that is on disk when it returns.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        for folder in [to.parent(), self.profile.parent()].into_iter().flatten() {
            sync_folder(folder)?;
        }
        Ok(())
    }
}

/// What is left to do after a crash, by which folders are there.
const fn rest(profile: bool, restored: bool, unpacking: bool) -> &'static [Step] {
    match (profile, restored, unpacking) {
        (false, true, _) => &[Step::PutInPlace],
        (true, true, _) | (_, false, true) => &[Step::Discard],
        (_, false, false) => &[],
    }
}

/// Finishes or undoes an exchange of this profile that a crash has interrupted. Its lock is held.
pub(super) fn settle(profile: &Path) -> io::Result<()> {
    if Places::of(profile).settle()? {
        tracing::warn!("settled an exchange of profiles that had been interrupted");
    }
    Ok(())
}

/// Removes what was set aside of a profile that is deleted. Its lock is held.
pub(super) fn delete_set_aside(profile: &Path) -> io::Result<()> {
    Places::of(profile).remove_what_is_beside()
}

/// How [`file_name`] writes a time.
pub(in crate::browser) const FILE_NAME: &str = "%Y-%m-%dT%H-%M-%S.%3fZ";

/// A name that sorts as the time does.
pub(in crate::browser) fn file_name(at: Timestamp) -> String {
    at.strftime(FILE_NAME).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A profile that says what it is, and is whole only with both files.
    fn profile(path: &Path, name: &str) -> io::Result<()> {
        make_folder(path)?;
        fs::write(path.join("name"), name)?;
        fs::write(path.join("rest"), name)
    }

    fn name_of(path: &Path) -> Option<String> {
        let read = |file| fs::read_to_string(path.join(file)).ok();
        read("name").filter(|name| read("rest").as_ref() == Some(name))
    }

    fn places(has_old: bool) -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::of(&folder.path().join("51"));
        if has_old {
            profile(&places.profile, "old").unwrap();
        }
        (folder, places)
    }

    fn perform(places: &Places, steps: &[Step]) {
        for step in steps {
            if *step == Step::Unpack {
                profile(&places.unpacking, "new").unwrap();
            } else {
                places.perform(*step).unwrap();
            }
        }
    }

    #[test]
    fn a_crash_after_any_step_leaves_one_of_the_two_whole() {
        for has_old in [true, false] {
            for done in 0..=EXCHANGE.len() {
                let (_folder, places) = places(has_old);
                perform(&places, &EXCHANGE[..done]);
                places.settle().unwrap();

                let last = done.checked_sub(1).map(|last| EXCHANGE[last]);
                let is_new = match last {
                    None | Some(Step::Discard | Step::Unpack) => false,
                    // Without an old one there is nothing to go back to.
                    Some(Step::Complete) => !has_old,
                    Some(Step::SetAside | Step::PutInPlace | Step::Prune) => true,
                };
                let wanted = match (is_new, has_old) {
                    (true, _) => Some("new"),
                    (false, true) => Some("old"),
                    (false, false) => None,
                };
                assert_eq!(name_of(&places.profile).as_deref(), wanted, "{last:?}");
                let aside = places.set_aside().unwrap();
                let aside: Vec<_> = aside.iter().map(|path| name_of(path).unwrap()).collect();
                let wanted = if is_new && has_old {
                    vec!["old"]
                } else {
                    vec![]
                };
                assert_eq!(aside, wanted, "{last:?}");
                assert!(!places.unpacking.try_exists().unwrap(), "{last:?}");
                assert!(!places.restored.try_exists().unwrap(), "{last:?}");
                // And from there it can be done whole.
                perform(&places, &EXCHANGE);
                assert_eq!(name_of(&places.profile).as_deref(), Some("new"));
            }
        }
    }

    #[test]
    fn a_crash_while_unpacking_leaves_the_old_one() {
        let (_folder, places) = places(true);
        perform(&places, &[Step::Discard]);
        make_folder(&places.unpacking).unwrap();
        fs::write(places.unpacking.join("name"), "new").unwrap();
        assert!(places.settle().unwrap());
        assert_eq!(name_of(&places.profile).as_deref(), Some("old"));
        assert!(!places.unpacking.try_exists().unwrap());
        assert!(!places.settle().unwrap());
    }

    #[test]
    fn the_last_few_that_were_set_aside_are_kept() {
        let (_folder, places) = places(false);
        for name in ["1", "2", "3", "4", "5"] {
            profile(&places.profile, name).unwrap();
            perform(&places, &SET_ASIDE);
            assert!(!places.profile.try_exists().unwrap());
        }
        let kept = places.set_aside().unwrap();
        let kept: Vec<_> = kept.iter().map(|path| name_of(path).unwrap()).collect();
        assert_eq!(kept, ["3", "4", "5"]);
    }
}
