//! Who uses which profile folder, for somebody who looks from outside. Only reads: no lock is tried, no file is touched.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    leftovers,
    procfs::{self, Chrome},
    profile::SINGLETONS,
};

/// A profile folder as it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupancy {
    /// The folder.
    pub folder: PathBuf,
    /// Who works on it.
    pub occupant: Option<Occupant>,
    /// What a full browser that was killed has left in it.
    pub leftover_files: Vec<&'static str>,
}

/// Whose Chrome works on a folder; each with Chrome's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupant {
    /// A service that lives.
    Service(u32),
    /// A service that lives no more: the next one ends it.
    Nobody(u32),
    /// Somebody else: the service leaves it alone, and the folder too.
    Stranger(u32),
}

/// Every folder under `tokens_dir` whose name says that it is a profile.
pub fn occupancy(
    tokens_dir: &Path,
    is_profile: impl Fn(&str) -> bool,
) -> io::Result<Vec<Occupancy>> {
    let chromes: Vec<Chrome> = procfs::chromes()
        .into_iter()
        .filter(|chrome| !chrome.helper)
        .collect();
    let mut found = Vec::new();
    for entry in fs::read_dir(tokens_dir)? {
        let entry = entry?;
        let is_one = entry.file_name().to_str().is_some_and(&is_profile);
        if is_one && entry.file_type()?.is_dir() {
            found.push(look(entry.path(), &chromes));
        }
    }
    found.sort_by(|one, other| one.folder.cmp(&other.folder));
    Ok(found)
}

fn look(folder: PathBuf, chromes: &[Chrome]) -> Occupancy {
    let is_there = |name: &&'static str| fs::symlink_metadata(folder.join(name)).is_ok();
    let leftover_files = SINGLETONS.into_iter().filter(is_there).collect();
    let chrome = chromes.iter().find(|chrome| chrome.works_on(&folder));
    Occupancy {
        occupant: chrome.map(occupant),
        leftover_files,
        folder,
    }
}

fn occupant(chrome: &Chrome) -> Occupant {
    if leftovers::is_left_over(chrome) {
        Occupant::Nobody(chrome.id.pid)
    } else if chrome.owner.is_some() {
        Occupant::Service(chrome.id.pid)
    } else {
        Occupant::Stranger(chrome.id.pid)
    }
}
