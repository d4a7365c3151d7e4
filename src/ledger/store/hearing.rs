//! How far each session has heard.
//!
//! It says from when on WhatsApp's own store is to be searched for what raised no event. The log itself cannot say it: that an
//! event is in it does not mean that all before it are, as its times are those of chats, and what came while the service was away is
//! found chat by chat.

use jiff::Timestamp;
use rusqlite::params;

use super::{File, StoreError};

/// How far a session has heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeardUntil {
    /// When the service began to listen to this link. What happened before is none of its events.
    pub begun: Timestamp,
    /// Everything up to this moment is in the log, by WhatsApp's clock.
    pub until: Timestamp,
}

/// How far the session has heard since it was linked at that time; begins with `begin` when it has not heard anything of
/// this link.
pub(in crate::ledger) fn of(
    file: &File,
    session: &str,
    linked_at: Timestamp,
    begin: Timestamp,
) -> Result<HeardUntil, StoreError> {
    file.prepare_cached(
        "INSERT INTO hearing (session, linked_at, begun, until) VALUES (?1, ?2, ?3, ?3)
         ON CONFLICT (session) DO UPDATE SET linked_at = ?2, begun = ?3, until = ?3 WHERE linked_at <> ?2",
    )?
    .execute(params![
        session,
        linked_at.as_millisecond(),
        begin.as_millisecond()
    ])?;
    let heard = file
        .prepare_cached("SELECT begun, until FROM hearing WHERE session = ?1")?
        .query_row([session], |row| {
            let at = |name| -> rusqlite::Result<Timestamp> {
                Ok(Timestamp::from_millisecond(row.get(name)?).unwrap_or(begin))
            };
            Ok(HeardUntil {
                begun: at("begun")?,
                until: at("until")?,
            })
        })?;
    Ok(heard)
}

/// The session has heard everything up to this moment.
pub(in crate::ledger) fn advance(
    file: &File,
    session: &str,
    until: Timestamp,
) -> Result<(), StoreError> {
    file.prepare_cached("UPDATE hearing SET until = ?2 WHERE session = ?1 AND until < ?2")?
        .execute(params![session, until.as_millisecond()])?;
    Ok(())
}
