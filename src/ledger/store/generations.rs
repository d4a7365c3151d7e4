//! Which recipients were handed something in which generation of a profile, and with whom new Signal sessions are to be begun.
//!
//! A profile that was put back from a copy lacks some generations. Its Signal sessions with the recipients of those generations
//! are older than what the recipients have seen: what is encrypted in them is dropped there in silence. So these recipients are
//! noted as stale, before anything is handed over, and stay so until a send to them is handed over after their reset. That is
//! one commit: a copy that does not have the reset does not have that hand-over either, and so its restore finds it.
//!
//! Not responsible for which generations a profile lacks: its note knows.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::{File, StoreError};
use crate::masked::Number;

/// Statements on the table of sends. None may scan the whole table: a test has `SQLite` explain each.
pub(in crate::ledger) mod statements {
    pub(in crate::ledger) const MARK: &str = "INSERT OR IGNORE INTO stale (session, recipient)
        SELECT session, recipient FROM sends INDEXED BY sends_by_generation
        WHERE session = ?1 AND handed_at IS NOT NULL AND generation > ?2";
    /// Of a version that noted no generation.
    pub(in crate::ledger) const MARK_EARLIER: &str =
        "INSERT OR IGNORE INTO stale (session, recipient)
        SELECT session, recipient FROM sends INDEXED BY sends_by_generation
        WHERE session = ?1 AND handed_at IS NOT NULL AND generation IS NULL";
    pub(in crate::ledger) const HIGHEST: &str = "SELECT max(generation) FROM sends
        INDEXED BY sends_by_generation WHERE session = ?1 AND handed_at IS NOT NULL";
    pub(in crate::ledger) const COUNT_OPEN_INTO: &str = "UPDATE sends SET generation = ?2 WHERE session = ?1 AND state = 'handed' AND generation >= ?3";

    /// All of them.
    #[cfg(test)]
    pub(in crate::ledger) const ALL: [&str; 4] = [MARK, MARK_EARLIER, HIGHEST, COUNT_OPEN_INTO];
}

/// A generation that hand-overs are counted in which have none.
const NO_GENERATION: i64 = -1;

/// The recipient that stands for the account's own devices.
const OWN_DEVICES: &str = "";

/// The recipient that stands for everybody, as the ledger does not know all of them any more.
const EVERYBODY: &str = "*";

/// The recipient that stands for everybody, as the ledger may never have known them.
const PERHAPS_EVERYBODY: &str = "?";

/// A copy that took the place of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoredCopy {
    /// The last generation that it has whole; `None` where it does not say.
    pub after: Option<u64>,
    /// It comes from another host or program: what was handed over since need not be in this ledger.
    pub is_from_elsewhere: bool,
}

/// Whether new Signal sessions are to be begun with recipients whom the ledger does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// No.
    #[default]
    Fresh,
    /// If the page can: the profile comes from elsewhere, and is most likely the newest there is.
    PerhapsStale,
    /// Yes: the ledger has deleted some of those whom it is about.
    Stale,
}

/// With whom a session has to begin new Signal sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stale {
    /// The highest generation that any hand-over of the session has had.
    pub highest: Option<u64>,
    /// Whether the account's own devices are among them.
    pub own_devices: bool,
    /// These, by number.
    pub recipients: HashSet<Number>,
    /// All others but [`fresh`](Self::fresh).
    pub others: Others,
    /// With whom it is done, where others are stale.
    pub fresh: HashSet<Number>,
}

/// With whom this session has to begin new Signal sessions.
pub(in crate::ledger) fn stale(file: &File, session: &str) -> Result<Stale, StoreError> {
    let highest: Option<i64> = file
        .prepare_cached(statements::HIGHEST)?
        .query_row([session], |row| row.get(0))?;
    let forgotten = forgotten(file, session)?.filter(|forgotten| *forgotten != NO_GENERATION);
    let mut stale = Stale {
        highest: highest.max(forgotten).map(from_sql),
        ..Stale::default()
    };
    let mut rows = file
        .prepare_cached("SELECT recipient, reset_at IS NOT NULL FROM stale WHERE session = ?1")?;
    let mut rows = rows.query([session])?;
    while let Some(row) = rows.next()? {
        let (recipient, is_reset): (String, bool) = (row.get(0)?, row.get(1)?);
        match &*recipient {
            OWN_DEVICES => stale.own_devices = true,
            EVERYBODY => stale.others = Others::Stale,
            PERHAPS_EVERYBODY if stale.others == Others::Fresh => {
                stale.others = Others::PerhapsStale;
            }
            PERHAPS_EVERYBODY => {}
            _ if is_reset => {
                stale.fresh.insert(recipient.into());
            }
            _ => {
                stale.recipients.insert(recipient.into());
            }
        }
    }
    Ok(stale)
}

/// A copy took the place of the session's profile, and nothing has been handed over since: notes whom that concerns.
pub(in crate::ledger) fn mark_stale(
    file: &File,
    session: &str,
    copy: RestoredCopy,
) -> Result<(), StoreError> {
    let RestoredCopy {
        after,
        is_from_elsewhere,
    } = copy;
    // Resets that were done are older than this restore, and the copy need not have them.
    file.prepare_cached("DELETE FROM stale WHERE session = ?1 AND reset_at IS NOT NULL")?
        .execute([session])?;
    let after_or_none = after.map_or(NO_GENERATION, to_sql);
    file.prepare_cached(statements::MARK)?
        .execute(params![session, after_or_none])?;
    // When these were handed over, no clock can be trusted to say: an earlier version may have run after the copy was made.
    file.prepare_cached(statements::MARK_EARLIER)?
        .execute([session])?;
    let mut mark =
        file.prepare_cached("INSERT OR IGNORE INTO stale (session, recipient) VALUES (?1, ?2)")?;
    mark.execute([session, OWN_DEVICES])?;
    let has_forgotten = forgotten(file, session)?
        .is_some_and(|forgotten| after.is_none() || after_or_none < forgotten);
    if is_from_elsewhere {
        mark.execute([session, PERHAPS_EVERYBODY])?;
    } else if has_forgotten {
        mark.execute([session, EVERYBODY])?;
    }
    Ok(())
}

/// The session has a new device, which has no Signal session yet.
pub(in crate::ledger) fn forget_stale(file: &File, session: &str) -> Result<(), StoreError> {
    file.prepare_cached("DELETE FROM stale WHERE session = ?1")?
        .execute([session])?;
    Ok(())
}

/// With whom new Signal sessions were begun before a hand-over. In its transaction.
pub(super) fn note_reset(
    file: &File,
    session: &str,
    recipient: Option<&str>,
    has_reset_own_devices: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    if has_reset_own_devices {
        file.prepare_cached("DELETE FROM stale WHERE session = ?1 AND recipient = ?2")?
            .execute([session, OWN_DEVICES])?;
    }
    let Some(recipient) = recipient else {
        return Ok(());
    };
    file.prepare_cached("DELETE FROM stale WHERE session = ?1 AND recipient = ?2")?
        .execute([session, recipient])?;
    file.prepare_cached(
        "INSERT INTO stale (session, recipient, reset_at) SELECT ?1, ?2, ?3
         WHERE EXISTS (SELECT 1 FROM stale WHERE session = ?1 AND recipient IN (?4, ?5))",
    )?
    .execute(params![
        session,
        recipient,
        now.as_millisecond(),
        EVERYBODY,
        PERHAPS_EVERYBODY
    ])?;
    Ok(())
}

/// Counts what a page may have and WhatsApp's server has not acknowledged into this generation, if it was handed over in the
/// generation `since` or later.
pub(in crate::ledger) fn count_open_into(
    file: &File,
    session: &str,
    generation: u64,
    since: u64,
) -> Result<(), StoreError> {
    // One of an earlier version has no generation: when it was handed over keeps deciding about it.
    file.prepare_cached(statements::COUNT_OPEN_INTO)?
        .execute(params![session, to_sql(generation), to_sql(since)])?;
    Ok(())
}

/// The highest generation of the hand-overs of this session that are deleted.
fn forgotten(file: &File, session: &str) -> Result<Option<i64>, StoreError> {
    let found = file
        .prepare_cached("SELECT generation FROM forgotten WHERE session = ?1")?
        .query_row([session], |row| row.get(0))
        .optional()?;
    Ok(found)
}

/// Notes that a hand-over of this session and generation is deleted.
pub(super) fn note_forgotten(
    file: &File,
    session: &str,
    generation: Option<i64>,
) -> Result<(), StoreError> {
    file.prepare_cached(
        "INSERT INTO forgotten (session, generation) VALUES (?1, ?2)
         ON CONFLICT (session) DO UPDATE SET generation = max(generation, excluded.generation)",
    )?
    .execute(params![session, generation.unwrap_or(NO_GENERATION)])?;
    Ok(())
}

/// Deletes with whom it was done until then, as the sends of that time are deleted too. Who is stale stays.
pub(super) fn forget_resets(file: &File, until: Timestamp) -> Result<(), StoreError> {
    file.prepare_cached("DELETE FROM stale WHERE reset_at <= ?1")?
        .execute([until.as_millisecond()])?;
    Ok(())
}

/// A generation as the table of sends has it.
pub(super) fn column(generation: Option<u64>) -> Option<i64> {
    generation.map(to_sql)
}

/// A generation as the table of sends has it.
pub(super) fn of_column(generation: Option<i64>) -> Option<u64> {
    generation.map(from_sql)
}

/// `SQLite` has no number that is larger, and no profile is copied as often.
fn to_sql(generation: u64) -> i64 {
    i64::try_from(generation).unwrap_or(i64::MAX)
}

fn from_sql(generation: i64) -> u64 {
    u64::try_from(generation).unwrap_or_default()
}
