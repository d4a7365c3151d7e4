//! The databases of a killed Chrome: brings them into a state that the next Chrome opens without losing what is in them.
//!
//! Chrome keeps what a page stores (IndexedDB, `localStorage`, the workers) in LevelDB databases. After a kill it recovers them, but
//! fails in two cases and then deletes the database, and with IndexedDB the link of the account: [`torn`] and [`scopes`] say which.
//! Both are mended before a Chrome starts, in the logs alone.
//!
//! Not responsible for any other damage: a database that does not read as Chrome writes it is left as it is.

mod log;
mod scopes;
mod torn;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Every LevelDB database has this file, which names the manifest in use.
const CURRENT: &str = "CURRENT";

/// The databases of a page lie three folders deep, those of an isolated part of it five (`Default/WebStorage/<number>/IndexedDB/…`).
const MAX_DEPTH: usize = 5;

/// Chrome names the folder of an IndexedDB so, or by its origin and this.
const INDEXED_DB: &str = "indexeddb.leveldb";

/// Mends all databases of this profile, which no Chrome may use. What cannot be read or written is left as it is, and Chrome
/// will tell.
pub(super) fn mend(profile: &Path) {
    for database in databases_below(profile, MAX_DEPTH) {
        let name = database.folder.strip_prefix(profile);
        let name = name.unwrap_or(&database.folder).display();
        for log in database.appended_to() {
            match torn::cut_unfinished_record(log) {
                Ok(0) => {}
                Ok(bytes) => {
                    let file = log.file_name().unwrap_or_default().display();
                    tracing::info!(
                        database = %name, %file, bytes,
                        "a Chrome was killed while it wrote to a database of the profile: the unfinished record was cut off"
                    );
                }
                Err(error) => {
                    tracing::warn!(%error, database = %name, "a database of the profile could not be checked for an unfinished record");
                }
            }
        }
        if !database.is_indexed_db() {
            continue;
        }
        match scopes::part_locks(&database.logs) {
            Ok(0) => {}
            Ok(transactions) => tracing::info!(
                database = %name, transactions,
                "a Chrome was killed while several transactions wrote to a database of the profile: Chrome can take them back now"
            ),
            Err(error) => {
                tracing::warn!(%error, database = %name, "a database of the profile could not be checked for open transactions");
            }
        }
    }
}

/// The files of a database that matter here.
struct Database {
    folder: PathBuf,
    /// The logs of what was written, the oldest first. There are two while an older one is being moved to a table.
    logs: Vec<PathBuf>,
    /// The manifest in use.
    manifest: Option<PathBuf>,
}

impl Database {
    fn of(folder: &Path, entries: &[fs::DirEntry]) -> Self {
        let number = |path: &Path| -> Option<u64> {
            let is_log = path.extension().is_some_and(|ending| ending == "log");
            path.file_stem()?.to_str()?.parse().ok().filter(|_| is_log)
        };
        let paths = entries.iter().map(fs::DirEntry::path);
        let mut logs: Vec<(u64, PathBuf)> = paths
            .filter_map(|path| Some((number(&path)?, path)))
            .collect();
        logs.sort();
        let manifest = fs::read_to_string(folder.join(CURRENT)).ok();
        let manifest = manifest
            .as_deref()
            .map(str::trim_end)
            .filter(|name| name.starts_with("MANIFEST-") && !name.contains('/'))
            .map(|name| folder.join(name));
        Self {
            folder: folder.to_owned(),
            logs: logs.into_iter().map(|(_, path)| path).collect(),
            manifest,
        }
    }

    /// The files that the next Chrome may append to. LevelDB does not append to any other.
    fn appended_to(&self) -> impl Iterator<Item = &Path> {
        let logs = self.logs.last().into_iter().chain(&self.manifest);
        logs.map(PathBuf::as_path)
    }

    fn is_indexed_db(&self) -> bool {
        let name = self.folder.file_name();
        name.is_some_and(|name| name.as_encoded_bytes().ends_with(INDEXED_DB.as_bytes()))
    }
}

/// All databases below this folder.
fn databases_below(folder: &Path, depth: usize) -> Vec<Database> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let entries: Vec<fs::DirEntry> = entries.flatten().collect();
    if entries.iter().any(|entry| entry.file_name() == CURRENT) {
        return vec![Database::of(folder, &entries)];
    }
    if depth == 0 {
        return Vec::new();
    }
    let is_folder = |entry: &&fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let folders = entries.iter().filter(is_folder);
    folders
        .flat_map(|entry| databases_below(&entry.path(), depth - 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_files_that_chrome_appends_to_are_cut() {
        let profile = tempfile::tempdir().unwrap();
        let database = profile
            .path()
            .join("Default/IndexedDB/page.indexeddb.leveldb");
        fs::create_dir_all(&database).unwrap();
        let file = |name: &str| database.join(name);
        let whole = {
            log::append(&file("whole"), b"a record").unwrap();
            fs::read(file("whole")).unwrap()
        };
        let torn = [whole.clone(), vec![0; 3]].concat();
        fs::write(file(CURRENT), "MANIFEST-000004\n").unwrap();
        for name in [
            "MANIFEST-000004",
            "MANIFEST-000001",
            "000003.log",
            "000012.log",
            "000005.ldb",
            "LOG",
        ] {
            fs::write(file(name), &torn).unwrap();
        }
        fs::write(profile.path().join("000001.log"), &torn).unwrap();
        mend(profile.path());
        for (name, expected) in [
            ("MANIFEST-000004", &whole),
            ("000012.log", &whole),
            ("MANIFEST-000001", &torn),
            ("000003.log", &torn),
            ("000005.ldb", &torn),
            ("LOG", &torn),
        ] {
            assert_eq!(&fs::read(file(name)).unwrap(), expected, "{name}");
        }
        assert_eq!(fs::read(profile.path().join("000001.log")).unwrap(), torn);
    }
}
