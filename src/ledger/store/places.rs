//! How far parts of the service itself have got with the log. Nothing waits for them in the log: what they miss, they miss.

use rusqlite::{OptionalExtension as _, params};

use super::{File, StoreError};

/// Up to where the one with this name is done with the log; `None`: it has not begun.
pub(in crate::ledger) fn of(file: &File, name: &str) -> Result<Option<i64>, StoreError> {
    let place = file
        .prepare_cached("SELECT seq FROM places WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(place)
}

/// The one with this name is done with the log up to here.
pub(in crate::ledger) fn put(file: &File, name: &str, seq: i64) -> Result<(), StoreError> {
    file.prepare_cached(
        "INSERT INTO places (name, seq) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
    )?
    .execute(params![name, seq])?;
    Ok(())
}
