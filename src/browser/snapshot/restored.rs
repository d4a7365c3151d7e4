//! When a profile took its place: noted in the folder itself before it does, so that it is known whatever is killed meanwhile.
//!
//! What has happened on the profile that it has replaced, it knows nothing of.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use jiff::Timestamp;

pub(super) const NOTE: &str = "restored-at";

/// Notes that the profile in `folder` is about to take another one's place.
pub(super) fn note(folder: &Path, now: Timestamp) -> io::Result<()> {
    let mut file = File::create(folder.join(NOTE))?;
    file.write_all(now.to_string().as_bytes())?;
    file.sync_all()?;
    crate::files::sync_folder(folder)
}

/// When this profile took the place of another one, or of none; `None` for one that has always been there.
pub fn restored_at(profile: &Path) -> Option<Timestamp> {
    let noted = fs::read_to_string(profile.join(NOTE)).ok()?;
    noted.trim().parse().ok()
}
