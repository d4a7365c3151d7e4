//! The clock readings that a service leaves in the file for the next one.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::{File, StoreError};
use crate::ledger::clock::{Reading, Stamp};

/// The readings that the last service left, if it left any.
pub(in crate::ledger) fn left(file: &File) -> Result<Option<Stamp>, StoreError> {
    let found = file
        .query_row(
            "SELECT boot, wall, since_boot, put_forward, put_at FROM stamp",
            [],
            |row| {
                let wall = Timestamp::from_millisecond(row.get(1)?).unwrap_or(Timestamp::MIN);
                let duration = |column| {
                    let millis: i64 = row.get(column)?;
                    let millis = u64::try_from(millis).unwrap_or_default();
                    Ok::<_, rusqlite::Error>(Duration::from_millis(millis))
                };
                Ok(Stamp {
                    boot: row.get(0)?,
                    reading: Reading {
                        wall,
                        since_boot: duration(2)?,
                    },
                    put_forward: duration(3)?,
                    put_at: duration(4)?,
                })
            },
        )
        .optional()?;
    Ok(found)
}

/// Replaces the readings that are there.
pub(in crate::ledger) fn leave(file: &File, stamp: &Stamp) -> Result<(), StoreError> {
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    file.execute(
        "INSERT OR REPLACE INTO stamp (only, boot, wall, since_boot, put_forward, put_at) VALUES (1, ?1, ?2, ?3, ?4, ?5)",
        params![
            stamp.boot,
            stamp.reading.wall.as_millisecond(),
            millis(stamp.reading.since_boot),
            millis(stamp.put_forward),
            millis(stamp.put_at),
        ],
    )?;
    Ok(())
}
