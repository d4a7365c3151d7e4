//! Which process uses which profile folder, seen from outside. Only reads: it takes no lock and changes no file.

use std::{
    ffi::OsString,
    fmt, fs, io,
    os::{
        fd::OwnedFd,
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::browser::{
    processes::leftovers::{self, SINGLETONS},
    procfs::{self, Chrome},
};

/// A profile folder as it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupancy {
    /// The folder.
    pub folder: PathBuf,
    /// The process that works on it.
    pub occupant: Option<Occupant>,
    /// What a full browser that was killed has left in it.
    pub leftover_files: Vec<&'static str>,
}

/// Whose Chrome works on a folder; each with Chrome's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupant {
    /// A service that lives.
    Service(u32),
    /// A service that has ended: the next one ends its Chrome.
    LeftOver(u32),
    /// Another program: the service leaves it alone, and the folder too.
    Stranger(u32),
}

/// Every folder under `tokens_dir` whose name is that of a profile.
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
        Occupant::LeftOver(chrome.id.pid)
    } else if chrome.owner.is_some() {
        Occupant::Service(chrome.id.pid)
    } else {
        Occupant::Stranger(chrome.id.pid)
    }
}

/// What has a profile open that is not the service's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A process.
    Process(u32),
    /// A process that cannot be seen from here, such as one in another container.
    Unseen,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(pid) => write!(f, "a Chrome that runs, process {pid}"),
            Self::Unseen => {
                f.write_str("a Chrome that runs, in another container or on another host")
            }
        }
    }
}

/// What has these folders of one profile open, or any of these files of it. Three things show it, each of which knows a
/// case that the others do not: the command line (a Chrome that has opened nothing yet), Chrome's own lock (one without
/// `--user-data-dir`, a person's), and the locks that its databases hold (a folder that was renamed; one in another
/// container).
pub(in crate::browser) fn holder(
    folders: [&Path; 2],
    files: impl Iterator<Item = OwnedFd>,
) -> Option<Holder> {
    let chromes = procfs::chromes();
    let works_here = |chrome: &&Chrome| folders.iter().any(|folder| chrome.works_on(folder));
    // The main process is the one to end.
    let by_command_line = || {
        let mut here: Vec<_> = chromes.iter().filter(works_here).collect();
        here.sort_by_key(|chrome| chrome.helper);
        here.first().map(|chrome| Holder::Process(chrome.id.pid))
    };
    let by_chromes_lock = || {
        let (host, pid) = folders.into_iter().find_map(singleton)?;
        let is_another_chromes = chromes.iter().any(|chrome| chrome.id.pid == pid);
        let is_here = host == this_host() && !is_another_chromes && procfs::is_a_browser(pid);
        is_here.then_some(Holder::Process(pid))
    };
    by_command_line()
        .or_else(by_chromes_lock)
        .or_else(|| by_locks(files, &chromes))
}

/// Chrome's lock in this user data folder, when another host has left it.
pub(in crate::browser) fn lock_of_another_host(folder: &Path) -> Option<String> {
    let (host, pid) = singleton(folder)?;
    (host != this_host()).then(|| format!("{}-{pid}", host.to_string_lossy()))
}

/// What Chrome's lock contains: a host and a process on it.
fn singleton(folder: &Path) -> Option<(OsString, u32)> {
    let lock = fs::read_link(folder.join(SINGLETONS[0])).ok()?;
    let lock = lock.as_os_str().as_bytes();
    // A host's name may have dashes in it.
    let dash = lock.iter().rposition(|byte| *byte == b'-')?;
    let pid = std::str::from_utf8(&lock[dash + 1..]).ok()?.parse().ok()?;
    Some((OsString::from_vec(lock[..dash].to_vec()), pid))
}

fn this_host() -> OsString {
    let system = rustix::system::uname();
    OsString::from_vec(system.nodename().to_bytes().to_vec())
}

/// `LevelDB` and `SQLite` lock what they have open. To ask which process does takes no lock.
fn by_locks(files: impl Iterator<Item = OwnedFd>, chromes: &[Chrome]) -> Option<Holder> {
    let holder_of = |file: OwnedFd| {
        let held = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock)).ok()??;
        let pid = held
            .pid
            .and_then(|pid| pid.as_raw_nonzero().get().try_into().ok());
        Some(pid.map_or(Holder::Unseen, Holder::Process))
    };
    let holders: Vec<_> = files.filter_map(holder_of).collect();
    let is_main = |holder: &&Holder| {
        let mut main = chromes.iter().filter(|chrome| !chrome.helper);
        main.any(|chrome| **holder == Holder::Process(chrome.id.pid))
    };
    holders.iter().find(is_main).or(holders.first()).copied()
}
