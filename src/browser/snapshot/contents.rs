//! What of a profile is kept in a snapshot, and what is left out.
//!
//! Kept is everything that is not named here: a file that a later Chrome adds is kept, since it may matter. The names
//! are looked for at the top of the folder and in Chrome's own profile under it (`Default`), never deeper: below that a
//! page chooses names.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::files::found;

/// What is left out by its name, with the reason.
const LEFT_OUT: &[(&str, &str)] = &[
    ("Singleton*", "the lock of a Chrome that is gone"),
    ("DevToolsActivePort", "the address of a Chrome that is gone"),
    (
        "*Cache",
        "of the network, of compiled scripts, of shaders: Chrome makes all of them again",
    ),
    (
        "*_cache",
        "the same, of components and extensions that the service switches off",
    ),
    (
        "Shared Dictionary",
        "dictionaries to unpack what the network's cache holds",
    ),
    ("Session Storage", "belongs to a tab that is gone"),
    ("Sessions", "tabs that are gone: none is opened again"),
    (
        "blob_storage",
        "blobs of a page that is gone; Chrome empties it at each start",
    ),
    ("Crash*", "crash dumps"),
    (
        "BrowserMetrics*",
        "counters for Chrome's makers, never sent (512 kB to 4 MB)",
    ),
    (
        "DeferredBrowserMetrics",
        "counters for Chrome's makers, never sent",
    ),
    ("Safe Browsing*", "lists that Chrome fetches, switched off"),
    ("lockfile", "the lock of a Chrome that is gone"),
];

/// Within Chrome's profile: a page's own cache of what it can fetch again. The worker that fills it stays, with its script.
const CACHE_STORAGE: &str = "Service Worker/CacheStorage";

/// A change within the same tick of the file system's clock leaves the times of a file as they were: some have ticks of a
/// second or two (FAT, old NFS), ext4 of 4 ms.
const TICK: i64 = 2_000_000_000;

/// What a write to a file changes. Times are nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    inode: u64,
    pub(super) size: u64,
    modified: i64,
    /// No program can set this one.
    changed: i64,
}

impl Stamp {
    pub(super) fn of(file: &Metadata) -> Self {
        let time = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000) + rest;
        Self {
            inode: file.ino(),
            size: file.size(),
            modified: time(file.mtime(), file.mtime_nsec()),
            changed: time(file.ctime(), file.ctime_nsec()),
        }
    }

    /// Whether the file was last written so long before this moment that a write after it shows in the stamp.
    pub(super) fn is_settled_at(&self, moment: i64) -> bool {
        self.modified.max(self.changed) < moment.saturating_sub(TICK)
    }
}

/// Whether a file is written through a mapping, which need not change its times: the shared memory of an `SQLite` database.
pub(super) fn is_mapped(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.ends_with(b"-shm")
}

/// This moment, as [`Stamp`] has it.
pub(super) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_nanos());
    now.try_into().unwrap_or(i64::MAX)
}

/// The files of a profile that a snapshot keeps, by their paths in it, in the order of their names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) folders: Vec<PathBuf>,
    pub(super) files: Vec<(PathBuf, Stamp)>,
}

impl Contents {
    /// Looks through the folder. What a program writes to it meanwhile may be left out.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let mut contents = Self::default();
        contents.add(folder, Path::new(""))?;
        Ok(contents)
    }

    /// All files together.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, stamp)| stamp.size).sum()
    }

    fn add(&mut self, root: &Path, below: &Path) -> io::Result<()> {
        // A folder or a file that a running Chrome has just removed is none.
        let Some(entries) = found(fs::read_dir(root.join(below)))? else {
            return Ok(());
        };
        let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = below.join(entry.file_name());
            if is_left_out(&path) {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.folders.push(path.clone());
                self.add(root, &path)?;
            } else if kind.is_file()
                && let Some(file) = found(entry.metadata())?
            {
                self.files.push((path, Stamp::of(&file)));
            }
            // Links and sockets lead to something that is no part of the profile.
        }
        Ok(())
    }
}

fn is_left_out(path: &Path) -> bool {
    let depth = path.components().count();
    if depth == 3 && path.ends_with(CACHE_STORAGE) {
        return true;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    depth <= 2 && LEFT_OUT.iter().any(|(pattern, _)| matches(pattern, &name))
}

/// Whether a name matches the pattern, which has at most one star, at its beginning or its end.
fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => name.ends_with(end),
        (None, Some(beginning)) => name.starts_with(beginning),
        (None, None) => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents_of(paths: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "12").unwrap();
        }
        let contents = Contents::of(folder.path()).unwrap();
        assert_eq!(contents.bytes(), 2 * contents.files.len() as u64);
        let files = contents.files.into_iter();
        files
            .map(|(path, _)| path.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn what_holds_the_link_is_kept() {
        let kept = [
            "Default/Cookies",
            "Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.leveldb/CURRENT",
            "Default/Local Storage/leveldb/000003.log",
            "Default/Preferences",
            "Default/Service Worker/Database/CURRENT",
            "Default/Service Worker/ScriptCache/index",
            "Default/WebStorage/QuotaManager",
            "Local State",
            "session-manager.json",
        ];
        assert_eq!(contents_of(&kept), kept);
    }

    #[test]
    fn caches_and_what_belongs_to_a_chrome_that_is_gone_are_left_out() {
        let left_out = [
            "BrowserMetrics-spare.pma",
            "Crashpad/reports/1.dmp",
            "Default/Cache/Cache_Data/index",
            "Default/Code Cache/js/index",
            "Default/DawnWebGPUCache/index",
            "Default/GPUCache/index",
            "Default/Service Worker/CacheStorage/1/index.txt",
            "Default/Session Storage/CURRENT",
            "Default/blob_storage/1",
            "DevToolsActivePort",
            "GrShaderCache/index",
            "SingletonLock",
        ];
        assert_eq!(contents_of(&left_out), [""; 0]);
    }

    #[test]
    fn a_page_may_call_its_own_files_as_it_likes() {
        let kept = [
            "Default/File System/000/t/Cache",
            "Default/IndexedDB/https_a.example_0.indexeddb.leveldb/Code Cache",
        ];
        assert_eq!(contents_of(&kept), kept);
    }

    #[test]
    fn a_link_is_no_part_of_the_profile() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", folder.path().join("etc")).unwrap();
        assert_eq!(Contents::of(folder.path()).unwrap(), Contents::default());
    }
}
