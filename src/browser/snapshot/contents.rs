//! What of a profile is kept in a snapshot, and what is left out.
//!
//! Kept is everything that is not named here: a file that a later Chrome adds is kept, since it may matter. The names
//! are looked for at the top of the folder and in Chrome's own profile under it (`Default`), never deeper: below that a
//! page chooses names.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

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

/// The files of a profile that a snapshot keeps, by their paths in it, in the order of their names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) folders: Vec<PathBuf>,
    /// With their sizes.
    pub(super) files: Vec<(PathBuf, u64)>,
}

impl Contents {
    /// Looks through the folder, which no program may write to meanwhile.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let mut contents = Self::default();
        contents.add(folder, Path::new(""))?;
        Ok(contents)
    }

    /// All files together.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes).sum()
    }

    fn add(&mut self, root: &Path, below: &Path) -> io::Result<()> {
        let mut entries = fs::read_dir(root.join(below))?.collect::<io::Result<Vec<_>>>()?;
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
            } else if kind.is_file() {
                self.files.push((path, entry.metadata()?.len()));
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
