//! Transactions that wrote to an IndexedDB when its Chrome was killed: lets the next Chrome take all of them back.
//!
//! Before a transaction of `readwrite` changes anything, Chrome writes down which locks it holds, and then how to undo each change;
//! it calls such a transaction a *scope*. At its next start it takes the locks of all scopes that are left, *each of them exclusively*,
//! and undoes them. But two transactions of one database hold a lock in common, that of the database, which both had shared.
//! So Chrome finds the second scope's lock taken, concludes "Invalid locks on disk", and deletes the whole IndexedDB with all its
//! databases (`content/browser/indexed_db/instance/leveldb/scopes/leveldb_scopes.cc`, `LevelDBScopes::Initialize`; seen with
//! Chromium 156: a page that writes to two stores, one kill, and all was gone). A page that is busy always has several under way.
//!
//! So each lock is left with the first scope that names it, and struck off the others. What they change stays locked while they are
//! undone, since no two of them write to the same store; Chrome does the undoing itself.
//!
//! Not responsible for a scope whose locks are not in a log any more, since the log became a table while it was open (a matter of
//! milliseconds, once in 4 MB of writes).

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::PathBuf,
};

use super::log::{self, Reading};

/// What the key of a scope's locks begins with; the number of the scope follows. Keys of the whole database begin with four zeros, 50
/// is for scopes, and 1 for their metadata (`indexed_db_leveldb_coding.cc`, `leveldb_scopes_coding.cc`).
const METADATA: [u8; 6] = [0, 0, 0, 0, 50, 1];

/// Sequence number (8 bytes) and number of operations (4 bytes), both little-endian; then the operations (`db/write_batch.cc`).
const BATCH_HEADER: usize = 12;
const DELETE: u8 = 0;
const PUT: u8 = 1;

/// A lock as protobuf: field 1 of the metadata, of bytes (`leveldb_scopes.proto`).
const LOCK: u64 = 1 << 3 | 2;

/// Sees to it that no two scopes name the same lock, in a database with these logs. Answers how many scopes Chrome could not have
/// taken back otherwise.
pub(super) fn part_locks(logs: &[PathBuf]) -> io::Result<usize> {
    let Some(newest) = logs.last() else {
        return Ok(0);
    };
    let mut scopes = BTreeMap::new();
    let mut next_sequence = 0;
    for log in logs {
        let mut is_understood = true;
        let reading = log::read(log, |record| {
            let read = Batch(record).read(&mut scopes);
            match read {
                Some(next) => next_sequence = next,
                None => is_understood = false,
            }
        })?;
        // One that is not the newest may end in the middle of a record: Chrome does not append to it.
        let is_sound =
            matches!(reading, Reading::Sound { end, size } if end == size || log != newest);
        if !(is_understood && is_sound) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a log is damaged",
            ));
        }
    }
    let changed = parted(&scopes).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "two transactions wrote to one store",
        )
    })?;
    if !changed.is_empty() {
        log::append(newest, &batch(next_sequence, &changed)?)?;
    }
    Ok(changed.len())
}

/// The scopes whose locks have to change, and to what. `None` when one would be left without any: Chrome would take it for done.
fn parted(scopes: &BTreeMap<Vec<u8>, Vec<u8>>) -> Option<Vec<(&[u8], Vec<u8>)>> {
    let mut taken = HashSet::new();
    let mut changed = Vec::new();
    for (key, metadata) in scopes {
        let fields = fields(metadata)?;
        let is_open = fields.iter().any(|field| field.is_lock);
        let kept = fields
            .iter()
            .filter(|field| !field.is_lock || taken.insert(field.bytes));
        let kept: Vec<&Field<'_>> = kept.collect();
        if kept.len() == fields.len() {
            continue;
        }
        if is_open && !kept.iter().any(|field| field.is_lock) {
            return None;
        }
        let kept: Vec<&[u8]> = kept.into_iter().map(|field| field.bytes).collect();
        changed.push((key.as_slice(), kept.concat()));
    }
    Some(changed)
}

/// A field of a protobuf message, whole.
struct Field<'a> {
    is_lock: bool,
    bytes: &'a [u8],
}

/// The fields of a message; `None` when it is none.
fn fields(mut message: &[u8]) -> Option<Vec<Field<'_>>> {
    const VARINT: u64 = 0;
    const BYTES: u64 = 2;
    let mut fields = Vec::new();
    while !message.is_empty() {
        let mut rest = message;
        let tag = varint(&mut rest)?;
        match tag & 7 {
            VARINT => drop(varint(&mut rest)?),
            BYTES => drop(bytes(&mut rest)?),
            _ => return None,
        }
        let (field, after) = message.split_at(message.len() - rest.len());
        message = after;
        fields.push(Field {
            is_lock: tag == LOCK,
            bytes: field,
        });
    }
    Some(fields)
}

/// A record of a log: what was written at once.
struct Batch<'a>(&'a [u8]);

impl Batch<'_> {
    /// Follows what it does to the locks of scopes. Answers the sequence number after it, or `None` when it does not read as one.
    fn read(&self, scopes: &mut BTreeMap<Vec<u8>, Vec<u8>>) -> Option<u64> {
        let (header, mut rest) = self.0.split_at_checked(BATCH_HEADER)?;
        let (sequence, count) = header.split_first_chunk()?;
        let sequence = u64::from_le_bytes(*sequence);
        let count = u32::from_le_bytes(count.try_into().ok()?);
        for _ in 0..count {
            let (kind, after) = rest.split_first()?;
            rest = after;
            let key = bytes(&mut rest)?;
            let value = match *kind {
                PUT => Some(bytes(&mut rest)?),
                DELETE => None,
                _ => return None,
            };
            if !key.starts_with(&METADATA) {
                continue;
            }
            match value {
                Some(value) => drop(scopes.insert(key.to_vec(), value.to_vec())),
                None => drop(scopes.remove(key)),
            }
        }
        rest.is_empty().then_some(sequence + u64::from(count))
    }
}

/// A record that puts these values.
fn batch(sequence: u64, puts: &[(&[u8], Vec<u8>)]) -> io::Result<Vec<u8>> {
    let count = u32::try_from(puts.len()).map_err(io::Error::other)?;
    let mut record = Vec::new();
    record.extend(sequence.to_le_bytes());
    record.extend(count.to_le_bytes());
    for (key, value) in puts {
        record.push(PUT);
        for bytes in [key, value.as_slice()] {
            push_varint(&mut record, bytes.len() as u64);
            record.extend(bytes);
        }
    }
    Ok(record)
}

/// Takes a number of LevelDB and protobuf off the front: seven bits a byte, the lowest first.
fn varint(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Takes bytes with their length before them off the front.
fn bytes<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(varint(from)?).ok()?;
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(bytes)
}

fn push_varint(to: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if number == 0 {
            to.push(low);
            return;
        }
        to.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// The lock of a database whose name is `x`, with its length and those of the messages around it.
    const DATABASE: &[u8] = b"\x0a\x05\x12\x03\x0a\x01x";
    /// Locks of two stores (level 1).
    const STORE_A: &[u8] = b"\x0a\x07\x08\x01\x12\x03\x0a\x01a";
    const STORE_B: &[u8] = b"\x0a\x07\x08\x01\x12\x03\x0a\x01b";

    /// Writes batches of puts to a log, as Chrome would, each with the sequence number after the one before.
    fn write(log: &Path, first_sequence: u64, puts: &[(&[u8], &[u8])]) {
        for (sequence, (key, value)) in (first_sequence..).zip(puts) {
            log::append(log, &batch(sequence, &[(*key, value.to_vec())]).unwrap()).unwrap();
        }
    }

    fn scope(number: u8) -> Vec<u8> {
        [&METADATA[..], &[number]].concat()
    }

    fn found(logs: &[PathBuf]) -> (BTreeMap<Vec<u8>, Vec<u8>>, u64) {
        let (mut scopes, mut next) = (BTreeMap::new(), 0);
        for log in logs {
            let reading = log::read(log, |record| {
                next = Batch(record).read(&mut scopes).unwrap();
            });
            assert!(matches!(reading.unwrap(), Reading::Sound { .. }));
        }
        (scopes, next)
    }

    #[test]
    fn a_lock_that_several_transactions_share_stays_with_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let logs = ["000003.log", "000007.log"].map(|name| folder.path().join(name));
        let both = [DATABASE, STORE_A].concat();
        let other = [DATABASE, STORE_B].concat();
        write(
            &logs[0],
            5,
            &[(&scope(1), &both), (b"\0\x01\x01\x01a row", b"of a store")],
        );
        write(&logs[1], 7, &[(&scope(2), &other)]);

        assert_eq!(part_locks(&logs).unwrap(), 1);
        let (scopes, next) = found(&logs);
        assert_eq!(scopes[&scope(1)], both);
        assert_eq!(scopes[&scope(2)], STORE_B);
        assert_eq!(next, 9);
        assert_eq!(part_locks(&logs).unwrap(), 0, "once is enough");
    }

    #[test]
    fn transactions_that_are_alone_or_over_are_left_as_they_are() {
        let both = [DATABASE, STORE_A].concat();
        let other = [DATABASE, STORE_B].concat();
        let deletion = [
            &batch(7, &[]).unwrap()[..8],
            &[1, 0, 0, 0, DELETE, 7],
            &scope(1),
        ]
        .concat();
        let committed: (&[u8], &[u8]) = (&scope(1), b"");
        for (name, puts, more) in [
            ("nothing was written", vec![], None),
            ("one", vec![(&scope(1)[..], &both[..])], None),
            (
                "the first is committed",
                vec![(&scope(1), &both), committed, (&scope(2), &other)],
                None,
            ),
            (
                "the first is undone",
                vec![(&scope(1), &both), (&scope(2), &other)],
                Some(deletion),
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let log = folder.path().join("000003.log");
            fs::write(&log, b"").unwrap();
            write(&log, 5, &puts);
            if let Some(more) = more {
                log::append(&log, &more).unwrap();
            }
            let before = fs::read(&log).unwrap();
            assert_eq!(part_locks(std::slice::from_ref(&log)).unwrap(), 0, "{name}");
            assert_eq!(fs::read(log).unwrap(), before, "{name}");
        }
    }

    #[test]
    fn what_does_not_read_as_chrome_writes_it_is_left_alone() {
        let both = [DATABASE, STORE_A].concat();
        let other = [DATABASE, STORE_B].concat();
        for (name, second, more) in [
            ("two transactions on one store", &both, &b""[..]),
            ("locks that are no message", &other[..9].to_vec(), b""),
            ("an unfinished record", &other, &[1, 2, 3, 4, 200, 0, 1]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let log = folder.path().join("000003.log");
            write(&log, 5, &[(&scope(1), &both), (&scope(2), second)]);
            let before = [&fs::read(&log).unwrap(), more].concat();
            fs::write(&log, &before).unwrap();
            assert!(part_locks(std::slice::from_ref(&log)).is_err(), "{name}");
            assert_eq!(fs::read(log).unwrap(), before, "{name}");
        }
    }
}
