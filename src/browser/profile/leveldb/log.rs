//! The format of LevelDB's logs: reads their records, and appends one.
//!
//! The source is `doc/log_format.md` in LevelDB's repository. Not responsible for what a record says.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read as _, Write as _},
    path::Path,
};

/// A log consists of blocks of this size, and no part of a record crosses the end of one.
const BLOCK: u64 = 32 * 1024;
/// Checksum (4 bytes), length (2 bytes, little-endian), kind of the part (1 byte).
pub(super) const HEADER: usize = 7;
/// The kinds of a part: a whole record, or the first, a middle, or the last part of one.
const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// How a log reads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Whole records, and all that may follow is an unfinished one.
    Sound {
        /// Where the last whole record ends.
        end: u64,
        /// How long the file is.
        size: u64,
    },
    /// Not as LevelDB writes it.
    Damaged,
}

/// Reads a log to its end, and hands over each whole record.
pub(super) fn read(log: &Path, mut record: impl FnMut(&[u8])) -> io::Result<Reading> {
    let file = File::open(log)?;
    let size = file.metadata()?.len();
    let mut file = BufReader::new(file);
    let mut at = 0;
    let mut end = 0;
    let mut is_within = false;
    let mut data = Vec::new();
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
            return Ok(Reading::Sound { end, size });
        }
        let mut header = [0; HEADER];
        file.read_exact(&mut header)?;
        let [c0, c1, c2, c3, low, high, kind] = header;
        let length = u16::from_le_bytes([low, high]);
        let part = HEADER as u64 + u64::from(length);
        let is_in_order = match kind {
            FULL | FIRST => !is_within,
            MIDDLE | LAST => is_within,
            _ => false,
        };
        if part > left_in_block || !is_in_order {
            return Ok(Reading::Damaged);
        }
        if at + part > size {
            return Ok(Reading::Sound { end, size });
        }
        let begin = data.len();
        data.resize(begin + usize::from(length), 0);
        file.read_exact(&mut data[begin..])?;
        if u32::from_le_bytes([c0, c1, c2, c3]) != checksum(kind, &data[begin..]) {
            return Ok(Reading::Damaged);
        }
        at += part;
        is_within = matches!(kind, FIRST | MIDDLE);
        if !is_within {
            end = at;
            record(&data);
            data.clear();
        }
    }
}

/// Appends a record to a log that has no unfinished one, and waits until it is on disk.
pub(super) fn append(log: &Path, mut record: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(log)?;
    let mut at = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(record.len() + 2 * HEADER);
    let mut is_first = true;
    loop {
        let left = usize::try_from(BLOCK - at % BLOCK).map_err(io::Error::other)?;
        if left < HEADER {
            bytes.resize(bytes.len() + left, 0);
            at += left as u64;
            continue;
        }
        let (part, rest) = record.split_at(record.len().min(left - HEADER));
        record = rest;
        let kind = match (is_first, record.is_empty()) {
            (true, true) => FULL,
            (true, false) => FIRST,
            (false, false) => MIDDLE,
            (false, true) => LAST,
        };
        let length = u16::try_from(part.len()).map_err(io::Error::other)?;
        bytes.extend(checksum(kind, part).to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.push(kind);
        bytes.extend(part);
        at += (HEADER + part.len()) as u64;
        is_first = false;
        if record.is_empty() {
            break;
        }
    }
    file.write_all(&bytes)?;
    file.sync_all()
}

/// CRC-32C of a part's kind and data, changed so that a checksum of data which holds checksums stays meaningful
/// (`util/crc32c.h`).
fn checksum(kind: u8, data: &[u8]) -> u32 {
    const MASK_DELTA: u32 = 0xa282_ead8;
    let sum = crc32c::crc32c_append(crc32c::crc32c(&[kind]), data);
    sum.rotate_right(15).wrapping_add(MASK_DELTA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_read_again_wherever_a_block_ends() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("000003.log");
        let block = usize::try_from(BLOCK).unwrap();
        let lengths = [30, block - HEADER - 40, 5, 90_000, 0, 12, block, 3];
        let expected: Vec<Vec<u8>> = lengths
            .iter()
            .zip(b'a'..)
            .map(|(length, letter)| vec![letter; *length])
            .collect();
        for record in &expected {
            append(&log, record).unwrap();
        }
        let mut found = Vec::new();
        let reading = read(&log, |record| found.push(record.to_vec())).unwrap();
        assert_eq!(found, expected);
        let size = log.metadata().unwrap().len();
        assert_eq!(reading, Reading::Sound { end: size, size });
    }

    #[test]
    fn a_record_has_the_bytes_that_leveldb_gives_it() {
        // Written by Chromium 156: the manifest of a new IndexedDB, which names the order of its keys.
        let written = *b"\xe4\xd6\x8e\xee\x10\x00\x01\x01\x08idb_cmp1\x02\x00\x03\x02\x04\x00";
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("MANIFEST-000001");
        append(&manifest, &written[HEADER..]).unwrap();
        assert_eq!(std::fs::read(manifest).unwrap(), written);
    }
}
