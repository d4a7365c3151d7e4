//! Databases of a killed Chrome: cuts a record off that it had begun to write and did not finish.
//!
//! Chrome keeps what a page stores (IndexedDB, `localStorage`, the workers) in LevelDB databases, and appends to their logs. LevelDB
//! reads past an unfinished record at the end of a log, as it should. But Chrome opens its databases with `reuse_logs`, so it then
//! appends *behind* that record, and the next Chrome that opens the log takes what follows for a part of it: the checksum is wrong,
//! and Chrome deletes the whole database, or silently ignores all that was written since
//! (<https://github.com/google/leveldb/issues/1287>; seen with Chromium 156: two kills, and the link was gone).
//! So a Chrome that is killed twice within the life of one log can lose its account, unless the record is cut off in between.
//!
//! Not responsible for any other damage: a log that does not read to its end as LevelDB writes it is left as it is.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read as _},
    path::{Path, PathBuf},
};

/// Every LevelDB database has this file, which names the manifest in use.
const CURRENT: &str = "CURRENT";

/// The databases of a page lie three folders deep, those of an isolated part of it five (`Default/WebStorage/<number>/IndexedDB/…`).
const MAX_DEPTH: usize = 5;

/// A log consists of blocks of this size, and no part of a record crosses the end of one
/// (`doc/log_format.md` in LevelDB's repository, also for the four constants below).
const BLOCK: u64 = 32 * 1024;
/// Checksum (4 bytes), length (2 bytes, little-endian), kind of the part (1 byte).
const HEADER: usize = 7;
/// The kinds of a part: a whole record, or the first, a middle, or the last part of one.
const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// Cuts the unfinished record off every log of this profile, which no Chrome may use. What cannot be read or written is left as
/// it is, and Chrome will tell. Answers how many logs were cut.
pub(super) fn cut_unfinished_records(profile: &Path) -> usize {
    let mut cut = 0;
    for log in logs_below(profile, MAX_DEPTH) {
        match cut_unfinished_record(&log) {
            Ok(0) => {}
            Ok(bytes) => {
                cut += 1;
                tracing::info!(
                    file = %log.strip_prefix(profile).unwrap_or(&log).display(),
                    bytes,
                    "a Chrome was killed while it wrote to a database of the profile: the unfinished record was cut off"
                );
            }
            Err(error) => {
                tracing::warn!(%error, file = %log.display(), "a database of the profile could not be checked for an unfinished record");
            }
        }
    }
    cut
}

/// The logs that Chrome may append to, of all databases below this folder.
fn logs_below(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let entries: Vec<fs::DirEntry> = entries.flatten().collect();
    if entries.iter().any(|entry| entry.file_name() == CURRENT) {
        return logs_of(folder, &entries);
    }
    if depth == 0 {
        return Vec::new();
    }
    let is_folder = |entry: &&fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let folders = entries.iter().filter(is_folder);
    folders
        .flat_map(|entry| logs_below(&entry.path(), depth - 1))
        .collect()
}

/// Of one database: the manifest in use, and the newest log of what was written. LevelDB does not append to any other.
fn logs_of(database: &Path, entries: &[fs::DirEntry]) -> Vec<PathBuf> {
    let number = |path: &Path| -> Option<u64> {
        let is_log = path.extension().is_some_and(|ending| ending == "log");
        path.file_stem()?.to_str()?.parse().ok().filter(|_| is_log)
    };
    let paths = entries.iter().map(fs::DirEntry::path);
    let newest = paths
        .filter_map(|path| Some((number(&path)?, path)))
        .max()
        .map(|(_, path)| path);
    let manifest = fs::read_to_string(database.join(CURRENT)).ok();
    let manifest = manifest
        .as_deref()
        .map(str::trim_end)
        .filter(|name| name.starts_with("MANIFEST-") && !name.contains('/'))
        .map(|name| database.join(name));
    newest.into_iter().chain(manifest).collect()
}

/// Answers how many bytes were cut off.
fn cut_unfinished_record(log: &Path) -> io::Result<u64> {
    let file = File::open(log)?;
    let size = file.metadata()?.len();
    let Some(end) = end_of_records(file, size)? else {
        return Ok(0);
    };
    if end == size {
        return Ok(0);
    }
    let file = OpenOptions::new().write(true).open(log)?;
    file.set_len(end)?;
    file.sync_all()?;
    Ok(size - end)
}

/// Where the last whole record ends, when all that follows is an unfinished one. `None` for a log that reads otherwise.
fn end_of_records(file: File, size: u64) -> io::Result<Option<u64>> {
    let mut file = BufReader::new(file);
    let mut at = 0;
    let mut end = 0;
    let mut is_within = false;
    loop {
        let left_in_block = BLOCK - at % BLOCK;
        if left_in_block < HEADER as u64 {
            // The rest of a block that is too short for a header is filled with zeros, by the writer of the next part.
            let filler = left_in_block.min(size - at);
            file.seek_relative(filler.cast_signed())?;
            at += filler;
            if at < size {
                continue;
            }
        }
        if size - at < HEADER as u64 {
            return Ok(Some(end));
        }
        let mut header = [0; HEADER];
        file.read_exact(&mut header)?;
        let [_, _, _, _, low, high, kind] = header;
        let length = u64::from(u16::from_le_bytes([low, high]));
        let fits_in_block = HEADER as u64 + length <= left_in_block;
        let is_in_order = match kind {
            FULL | FIRST => !is_within,
            MIDDLE | LAST => is_within,
            _ => false,
        };
        if !fits_in_block || !is_in_order {
            return Ok(None);
        }
        let next = at + HEADER as u64 + length;
        if next > size {
            return Ok(Some(end));
        }
        file.seek_relative(length.cast_signed())?;
        at = next;
        is_within = matches!(kind, FIRST | MIDDLE);
        if !is_within {
            end = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a log as LevelDB does, with checksums of zeros, and knows where each record ends.
    #[derive(Default)]
    struct Log {
        bytes: Vec<u8>,
        ends: Vec<usize>,
    }

    impl Log {
        fn append(&mut self, mut length: usize) {
            let block = usize::try_from(BLOCK).unwrap();
            let mut is_first = true;
            loop {
                let left = block - self.bytes.len() % block;
                if left < HEADER {
                    self.bytes.extend(vec![0; left]);
                    continue;
                }
                let part = length.min(left - HEADER);
                length -= part;
                let kind = match (is_first, length == 0) {
                    (true, true) => FULL,
                    (true, false) => FIRST,
                    (false, false) => MIDDLE,
                    (false, true) => LAST,
                };
                self.bytes.extend([0; 4]);
                self.bytes
                    .extend(u16::try_from(part).unwrap().to_le_bytes());
                self.bytes.push(kind);
                self.bytes.extend(vec![b'x'; part]);
                is_first = false;
                if length == 0 {
                    break;
                }
            }
            self.ends.push(self.bytes.len());
        }

        fn of(lengths: &[usize]) -> Self {
            let mut log = Self::default();
            for length in lengths {
                log.append(*length);
            }
            log
        }
    }

    /// How long the log is after the mend.
    fn mended(bytes: &[u8]) -> usize {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        cut_unfinished_record(file.path()).unwrap();
        let left = fs::read(file.path()).unwrap();
        assert!(bytes.starts_with(&left));
        left.len()
    }

    #[test]
    fn a_log_that_was_torn_anywhere_keeps_its_whole_records_and_nothing_else() {
        // Records within a block, over one end and over two, one that leaves no room for a header, and an empty one.
        let first = usize::try_from(BLOCK).unwrap() - HEADER;
        let log = Log::of(&[30, first - 40, 5, 90_000, 0, 12]);
        let mut whole = 0;
        for torn_at in 0..=log.bytes.len() {
            if log.ends.contains(&torn_at) {
                whole = torn_at;
            }
            // Every place near the end of a record or of a block; within a long payload one is like the next.
            let is_near = |place: usize| torn_at.abs_diff(place) < 20;
            let block_end = torn_at.next_multiple_of(usize::try_from(BLOCK).unwrap());
            if is_near(whole) || log.ends.iter().any(|end| is_near(*end)) || is_near(block_end) {
                assert_eq!(mended(&log.bytes[..torn_at]), whole, "torn at {torn_at}");
            }
        }
    }

    #[test]
    fn a_mended_log_can_be_appended_to() {
        let mut log = Log::of(&[300, 40_000]);
        log.append(100);
        log.bytes
            .truncate(mended(&log.bytes[..log.bytes.len() - 1]));
        log.append(70_000);
        assert_eq!(mended(&log.bytes), log.bytes.len());
    }

    #[test]
    fn a_log_that_is_damaged_otherwise_is_left_alone() {
        let log = Log::of(&[300, 300]);
        let unknown_kind = {
            let mut bytes = log.bytes.clone();
            bytes[307 + 6] = 9;
            bytes
        };
        let zeros = [log.bytes.clone(), vec![0; 100]].concat();
        let last_without_first = {
            let mut bytes = log.bytes;
            bytes[307 + 6] = LAST;
            bytes
        };
        for damaged in [unknown_kind, zeros, last_without_first] {
            assert_eq!(mended(&damaged), damaged.len());
        }
    }

    #[test]
    fn only_the_logs_that_chrome_appends_to_are_looked_at() {
        let profile = tempfile::tempdir().unwrap();
        let database = profile
            .path()
            .join("Default/IndexedDB/page.indexeddb.leveldb");
        fs::create_dir_all(&database).unwrap();
        let whole = Log::of(&[30]).bytes;
        let torn = [whole.clone(), vec![0; 3]].concat();
        let file = |name: &str| database.join(name);
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
        assert_eq!(cut_unfinished_records(profile.path()), 2);
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
        assert_eq!(cut_unfinished_records(profile.path()), 0);
    }
}
