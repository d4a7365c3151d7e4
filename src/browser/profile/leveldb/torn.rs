//! A record that a killed Chrome had begun to write and did not finish: cuts it off.
//!
//! LevelDB reads past an unfinished record at the end of a log, as it should. But Chrome opens its databases with `reuse_logs`, so
//! it then appends *behind* that record, and the next Chrome that opens the log takes what follows for a part of it: the checksum is
//! wrong, and Chrome deletes the whole database, or silently ignores all that was written since
//! (<https://github.com/google/leveldb/issues/1287>; seen with Chromium 156: two kills, and the link was gone).
//! So a Chrome that is killed twice within the life of one log can lose its account, unless the record is cut off in between.

use std::{fs::OpenOptions, io, path::Path};

use super::log::{self, Reading};

/// Answers how many bytes were cut off.
pub(super) fn cut_unfinished_record(log: &Path) -> io::Result<u64> {
    match log::read(log, |_| {})? {
        Reading::Sound { end, size } if end < size => {
            let file = OpenOptions::new().write(true).open(log)?;
            file.set_len(end)?;
            file.sync_all()?;
            Ok(size - end)
        }
        Reading::Sound { .. } | Reading::Damaged => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A log of records so long, and where each of them ends.
    fn log_of(lengths: &[usize]) -> (Vec<u8>, Vec<usize>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let ends = lengths.iter().map(|length| {
            log::append(file.path(), &vec![b'x'; *length]).unwrap();
            usize::try_from(file.path().metadata().unwrap().len()).unwrap()
        });
        let ends = ends.collect();
        (fs::read(file.path()).unwrap(), ends)
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
        const BLOCK: usize = 32 * 1024;
        // Records within a block, over one end and over two, one that leaves no room for a header, and an empty one.
        let (bytes, ends) = log_of(&[30, BLOCK - log::HEADER - 40, 5, 90_000, 0, 12]);
        let mut whole = 0;
        for torn_at in 0..=bytes.len() {
            if ends.contains(&torn_at) {
                whole = torn_at;
            }
            // Every place near the end of a record or of a block; within a long payload one is like the next.
            let is_near = |place: usize| torn_at.abs_diff(place) < 20;
            let block_end = torn_at.next_multiple_of(BLOCK);
            if is_near(whole) || ends.iter().any(|end| is_near(*end)) || is_near(block_end) {
                assert_eq!(mended(&bytes[..torn_at]), whole, "torn at {torn_at}");
            }
        }
    }

    #[test]
    fn a_log_that_is_damaged_otherwise_is_left_alone() {
        const LAST: u8 = 4;
        const SECOND: usize = 307;
        let (bytes, _) = log_of(&[300, 300]);
        let change = |place: usize, to: u8| {
            let mut bytes = bytes.clone();
            bytes[place] = to;
            bytes
        };
        let unknown_kind = change(SECOND + 6, 9);
        let last_without_first = change(SECOND + 6, LAST);
        let wrong_checksum = change(SECOND + 50, b'y');
        let zeros = [bytes.clone(), vec![0; 100]].concat();
        for damaged in [unknown_kind, last_without_first, wrong_checksum, zeros] {
            assert_eq!(mended(&damaged), damaged.len());
        }
    }
}
