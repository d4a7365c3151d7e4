//! The table of all sends: its statements, and one function for each thing that the ledger does with it.
//!
//! Not responsible for what a step changes: [`Record::take`] is.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, named_params, params, types::Type};

use super::{File, StoreError, generations};
use crate::{
    extras::Extras,
    ledger::{
        clock::Now,
        record::{Failure, Record, SendState},
        request::{Idempotency, NewSend, Query, extras_column},
        step::{Handing, Step},
    },
    masked::{Number, Text, WaId},
};

/// Rows that are deleted in one transaction. It takes some tenths of a second, and a send that comes meanwhile waits for it.
const FORGOTTEN_AT_ONCE: i64 = 2000;

/// Statements that run often, or over many rows. None may scan the whole table: a test has `SQLite` explain each.
pub(in crate::ledger) mod statements {
    pub(in crate::ledger) const BY_KEY: &str = "SELECT *, fingerprint = ?4 AS is_same FROM sends
        WHERE session = ?1 AND idempotency_key = ?2 AND queued_at > ?3";
    pub(in crate::ledger) const BY_CONTENT: &str = "SELECT * FROM sends
        WHERE session = ?1 AND fingerprint = ?2 AND queued_at > ?3 AND queued_at <= ?4
        AND state NOT IN ('failed', 'cancelled') ORDER BY seq DESC LIMIT 1";
    pub(in crate::ledger) const BY_SEQ: &str = "SELECT * FROM sends WHERE seq = ?1";
    pub(in crate::ledger) const BY_ID: &str =
        "SELECT * FROM sends WHERE key = ?1 OR wa_key = ?1 OR message_id = ?1";
    pub(in crate::ledger) const OPEN: &str = "SELECT * FROM sends
        WHERE session = ?1 AND state IN ('queued', 'handed') ORDER BY seq";
    /// The key of the message is not all: a reaction does not take the place of an edit. An index has what is queued or handed, and `SQLite`
    /// uses it only where the statement names both: so they are named here, although only what is handed is meant.
    pub(in crate::ledger) const SUPERSEDED: &str = "SELECT older.key FROM sends AS older
        WHERE older.session = ?1 AND older.state IN ('queued', 'handed') AND older.state = 'handed'
        AND json_extract(older.extras, '$.action.key') IS NOT NULL
        AND EXISTS (SELECT 1 FROM sends AS newer INDEXED BY sends_by_session
            WHERE newer.session = older.session AND newer.seq > older.seq
            AND newer.state NOT IN ('queued', 'failed', 'cancelled')
            AND json_extract(newer.extras, '$.action.key') = json_extract(older.extras, '$.action.key')
            AND json_extract(newer.extras, '$.action.kind') = json_extract(older.extras, '$.action.kind'))";
    pub(in crate::ledger) const ALL_OPEN: &str =
        "SELECT session, seq, queued_at FROM sends WHERE state IN ('queued', 'handed')";
    pub(in crate::ledger) const LIST: &str =
        "SELECT * FROM sends WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    pub(in crate::ledger) const LIST_BY_STATE: &str = "SELECT * FROM sends
        INDEXED BY sends_by_state WHERE state = ?3 AND seq > ?1 ORDER BY seq LIMIT ?2";
    pub(in crate::ledger) const SEQS_BY_SESSION: &str = "SELECT seq FROM sends
        INDEXED BY sends_by_session WHERE session = ?3 AND seq > ?1 ORDER BY seq LIMIT ?2";
    pub(in crate::ledger) const SEQS_BY_SESSION_AND_STATE: &str = "SELECT seq FROM sends
        INDEXED BY sends_by_session_and_state WHERE session = ?3 AND state = ?4 AND seq > ?1 ORDER BY seq LIMIT ?2";
    pub(in crate::ledger) const NEWEST: &str =
        "SELECT changed_at FROM sends ORDER BY changed_at DESC LIMIT 1";
    /// Leaves the same as [`Extras::without_texts`](crate::extras::Extras::without_texts).
    pub(in crate::ledger) const FORGET_TEXTS: &str = "UPDATE sends SET body = NULL,
        extras = CASE WHEN json_extract(extras, '$.action') IS NOT NULL THEN extras
            WHEN json_extract(extras, '$.request') IS NOT NULL THEN json_object('request', json_extract(extras, '$.request')) END
        WHERE seq IN (
        SELECT seq FROM sends INDEXED BY sends_with_text
        WHERE body IS NOT NULL AND state NOT IN ('queued', 'handed') AND changed_at <= ?1 LIMIT ?2)";
    pub(in crate::ledger) const FORGET_SENDS: &str = "DELETE FROM sends WHERE seq IN (
        SELECT seq FROM sends INDEXED BY sends_by_change
        WHERE state NOT IN ('queued', 'handed') AND changed_at <= ?1 LIMIT ?2)
        RETURNING session, generation, handed_at IS NOT NULL";

    /// All of them.
    #[cfg(test)]
    pub(in crate::ledger) const ALL: [&str; 14] = [
        BY_KEY,
        BY_CONTENT,
        BY_SEQ,
        BY_ID,
        OPEN,
        SUPERSEDED,
        ALL_OPEN,
        LIST,
        LIST_BY_STATE,
        SEQS_BY_SESSION,
        SEQS_BY_SESSION_AND_STATE,
        NEWEST,
        FORGET_TEXTS,
        FORGET_SENDS,
    ];
}

/// Whether a send is new.
pub(in crate::ledger) enum Entered {
    New(Record),
    Known(Record),
    KeyReused,
}

/// The same request, if it was made before and its key, if it has one, is younger than `keys_since`.
pub(in crate::ledger) fn known(
    file: &File,
    new: &NewSend,
    keys_since: Timestamp,
    now: Now,
) -> Result<Option<Entered>, StoreError> {
    let fingerprint = new.fingerprint().0;
    match &new.idempotency {
        None => Ok(None),
        Some(Idempotency::Key(key)) => {
            let found = file
                .prepare_cached(statements::BY_KEY)?
                .query_row(
                    params![new.session, key, millis(keys_since), fingerprint],
                    |row| Ok((read(row)?, row.get::<_, bool>("is_same")?)),
                )
                .optional()?;
            Ok(found.map(|(record, is_same)| {
                if is_same {
                    Entered::Known(record)
                } else {
                    Entered::KeyReused
                }
            }))
        }
        Some(Idempotency::SameWithin(age)) => {
            // A row from the future was written while the clock was wrong: its age is not known, so it does not count.
            let (since, until) = (millis(now.before(*age)), millis(now.latest()));
            let found = file
                .prepare_cached(statements::BY_CONTENT)?
                .query_row(params![new.session, fingerprint, since, until], read)
                .optional()?;
            Ok(found.map(Entered::Known))
        }
    }
}

/// The send that was accepted under this key of a caller's, if the key is younger than `keys_since`.
pub(in crate::ledger) fn by_key(
    file: &File,
    session: &str,
    key: &str,
    keys_since: Timestamp,
) -> Result<Option<Record>, StoreError> {
    let no_fingerprint: &[u8] = &[];
    let found = file
        .prepare_cached(statements::BY_KEY)?
        .query_row(
            params![session, key, millis(keys_since), no_fingerprint],
            read,
        )
        .optional()?;
    Ok(found)
}

/// Writes a new send down, unless it is known.
pub(in crate::ledger) fn enter(
    file: &File,
    new: &NewSend,
    keys_since: Timestamp,
    now: Now,
) -> Result<Entered, StoreError> {
    if let Some(known) = known(file, new, keys_since, now)? {
        return Ok(known);
    }
    let idempotency_key = match &new.idempotency {
        Some(Idempotency::Key(key)) => Some(key),
        Some(Idempotency::SameWithin(_)) | None => None,
    };
    // An older send with this key is past its retention. It gives the key up, which is unique for a session.
    file.prepare_cached(
        "UPDATE sends SET idempotency_key = NULL WHERE session = ?1 AND idempotency_key = ?2",
    )?
    .execute(params![new.session, idempotency_key])?;
    file
        .prepare_cached(
            "INSERT INTO sends (key, session, cliente_id, account, recipient, body, is_durable, state, idempotency_key,
                                fingerprint, is_taken, ack, queued_at, changed_at, extras)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'queued', ?8, ?9, FALSE, 0, ?10, ?10, ?11)",
        )?
        .execute(params![
            new.key,
            new.session,
            new.cliente_id,
            new.account.as_deref(),
            &*new.to,
            &*new.body,
            new.is_durable,
            idempotency_key,
            new.fingerprint().0,
            millis(now.at),
            extras_column(&new.extras),
        ])?;
    let seq = file.last_insert_rowid();
    let record = file
        .prepare_cached(statements::BY_SEQ)?
        .query_row([seq], read)?;
    Ok(Entered::New(record))
}

/// A send that has changed, and how far it was before.
pub(in crate::ledger) struct Changed {
    pub(in crate::ledger) before: SendState,
    pub(in crate::ledger) record: Record,
}

/// Lets a step happen to the send of this id. Answers how the send is after it; `None` when there is no such send, or the step
/// is no news. If `keeps_texts` is not set, the text of a send that ends is removed at once.
pub(in crate::ledger) fn advance(
    file: &File,
    key: &str,
    step: &Step,
    keeps_texts: bool,
    now: Timestamp,
) -> Result<Option<Changed>, StoreError> {
    let Some(mut record) = find(file, key)? else {
        return Ok(None);
    };
    let before = record.state;
    if !record.take(step, now) {
        return Ok(None);
    }
    if !keeps_texts && !record.state.is_open() {
        record.body = None;
        record.extras = record.extras.without_texts().into();
    }
    let frees_the_key =
        record.failure.is_some_and(Failure::frees_the_key) || record.state == SendState::Cancelled;
    file
        .prepare_cached(
            "UPDATE sends SET state = :state, adapter = :adapter, account = :account, wa_key = :wa_key, body = :body, extras = :extras,
                message_id = :message_id, is_taken = :is_taken, ack = :ack, failure = :failure, detail = :detail,
                handed_at = :handed_at, sent_at = :sent_at, delivered_at = :delivered_at, read_at = :read_at,
                ended_at = :ended_at, changed_at = :changed_at, generation = :generation,
                idempotency_key = CASE WHEN :frees_the_key THEN NULL ELSE idempotency_key END
             WHERE seq = :seq",
        )?
        .execute(named_params! {
            ":seq": record.seq,
            ":state": record.state.as_str(),
            ":adapter": record.adapter,
            ":account": record.account.as_deref(),
            ":wa_key": record.wa_key,
            ":body": record.body.as_deref(),
            ":extras": extras_column(&record.extras),
            ":message_id": record.message_id.as_deref(),
            ":is_taken": record.is_taken,
            ":ack": record.ack,
            ":failure": record.failure.map(Failure::as_str),
            ":detail": record.detail,
            ":handed_at": record.handed_at.map(millis),
            ":sent_at": record.sent_at.map(millis),
            ":delivered_at": record.delivered_at.map(millis),
            ":read_at": record.read_at.map(millis),
            ":ended_at": record.ended_at.map(millis),
            ":changed_at": millis(record.changed_at()),
            ":generation": generations::column(record.generation),
            ":frees_the_key": frees_the_key,
        })?;
    if let Step::Handing(Handing { reset, .. }) = step {
        let recipient = reset.recipient.then_some(&*record.to);
        let own_devices = reset.own_devices;
        generations::note_reset(file, &record.session, recipient, own_devices, now)?;
    }
    Ok(Some(Changed { before, record }))
}

/// A send by its own id, by the one that the page chose, or by its full id at WhatsApp.
pub(in crate::ledger) fn find(file: &File, id: &str) -> Result<Option<Record>, StoreError> {
    let found = file
        .prepare_cached(statements::BY_ID)?
        .query_row([id], read)
        .optional()?;
    Ok(found)
}

/// The open sends of a session, in their order.
pub(in crate::ledger) fn open_sends(file: &File, session: &str) -> Result<Vec<Record>, StoreError> {
    let mut statement = file.prepare_cached(statements::OPEN)?;
    let records = statement.query_map([session], read)?;
    Ok(records.collect::<Result<_, _>>()?)
}

/// What was handed over to be done to a message, and of which a page has had a newer one of the same kind since.
pub(in crate::ledger) fn superseded(file: &File, session: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = file.prepare_cached(statements::SUPERSEDED)?;
    let keys = statement.query_map([session], |row| row.get(0))?;
    Ok(keys.collect::<Result<_, _>>()?)
}

/// The open sends of all sessions: whose, their place in the order, and when they were written down.
pub(in crate::ledger) fn all_open(
    file: &File,
) -> Result<Vec<(String, i64, Timestamp)>, StoreError> {
    let mut statement = file.prepare_cached(statements::ALL_OPEN)?;
    let open = statement.query_map([], |row| {
        let at = Timestamp::from_millisecond(row.get(2)?).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok((row.get(0)?, row.get(1)?, at))
    })?;
    Ok(open.collect::<Result<_, _>>()?)
}

/// The newest send of each session. An index has both columns, so the table is not scanned.
pub(in crate::ledger) fn last_of_each(file: &File) -> Result<Vec<Record>, StoreError> {
    let mut statement = file.prepare_cached(
        "SELECT * FROM sends WHERE seq IN (SELECT max(seq) FROM sends GROUP BY session)",
    )?;
    let records = statement.query_map([], read)?;
    Ok(records.collect::<Result<_, _>>()?)
}

/// A page of sends, in their order. Reads about as many rows as it answers with.
pub(in crate::ledger) fn list(file: &File, query: &Query) -> Result<Vec<Record>, StoreError> {
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let Some(sessions) = &query.sessions else {
        let records = match query.state {
            None => file
                .prepare_cached(statements::LIST)?
                .query_map(params![query.after, limit], read)?
                .collect::<Result<_, _>>()?,
            Some(state) => file
                .prepare_cached(statements::LIST_BY_STATE)?
                .query_map(params![query.after, limit, state.as_str()], read)?
                .collect::<Result<_, _>>()?,
        };
        return Ok(records);
    };
    // One statement for each session: an index has the sends of one session in their order, but not those of several.
    let mut seqs = Vec::new();
    for session in sessions {
        let found: Vec<i64> = match query.state {
            None => file
                .prepare_cached(statements::SEQS_BY_SESSION)?
                .query_map(params![query.after, limit, session], |row| row.get(0))?
                .collect::<Result<_, _>>()?,
            Some(state) => file
                .prepare_cached(statements::SEQS_BY_SESSION_AND_STATE)?
                .query_map(
                    params![query.after, limit, session, state.as_str()],
                    |row| row.get(0),
                )?
                .collect::<Result<_, _>>()?,
        };
        seqs.extend(found);
    }
    seqs.sort_unstable();
    seqs.dedup();
    seqs.truncate(query.limit);
    let mut by_seq = file.prepare_cached(statements::BY_SEQ)?;
    seqs.into_iter()
        .map(|seq| Ok(by_seq.query_row([seq], read)?))
        .collect()
}

/// When the newest row was written; `None` when there is none.
pub(in crate::ledger) fn newest(file: &File) -> Result<Option<Timestamp>, StoreError> {
    let newest: Option<i64> = file
        .prepare_cached(statements::NEWEST)?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(newest.and_then(|millis| Timestamp::from_millisecond(millis).ok()))
}

/// Fails the sends that a killed service left behind, that no page has seen, and whose callers had no answer: such a caller
/// may have sent its message in another way since.
pub(in crate::ledger) fn recover(file: &File, now: Timestamp) -> Result<usize, StoreError> {
    let left = file.execute(
        "UPDATE sends SET state = 'failed', failure = ?1, ended_at = ?2, changed_at = ?2, idempotency_key = NULL,
            detail = 'the service ended before the message was handed over; nothing was sent'
         WHERE state = 'queued' AND NOT is_durable AND handed_at IS NULL",
        params![Failure::Interrupted.as_str(), millis(now)],
    )?;
    Ok(left)
}

/// What [`forget`] has done.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct Forgotten {
    /// Texts are gone from the file, but are still in its log.
    pub(in crate::ledger) texts: bool,
    /// There may be more to delete.
    pub(in crate::ledger) is_not_all: bool,
}

/// Deletes the texts of sends that ended before `texts_until`, and the sends that ended before `sends_until`: up to
/// [`FORGOTTEN_AT_ONCE`] of each.
pub(in crate::ledger) fn forget(
    file: &File,
    texts_until: Timestamp,
    sends_until: Timestamp,
) -> Result<Forgotten, StoreError> {
    let texts = file
        .prepare_cached(statements::FORGET_TEXTS)?
        .execute([millis(texts_until), FORGOTTEN_AT_ONCE])?;
    let sends = forget_sends(file, sends_until)?;
    generations::forget_resets(file, sends_until)?;
    let is_full = |count: usize| i64::try_from(count).is_ok_and(|count| FORGOTTEN_AT_ONCE <= count);
    Ok(Forgotten {
        texts: texts > 0,
        is_not_all: is_full(texts) || is_full(sends),
    })
}

/// Deletes sends, and notes up to which generation of its profile each session has lost hand-overs so. Answers how many.
fn forget_sends(file: &File, until: Timestamp) -> Result<usize, StoreError> {
    let mut statement = file.prepare_cached(statements::FORGET_SENDS)?;
    let mut deleted = statement.query([millis(until), FORGOTTEN_AT_ONCE])?;
    let (mut count, mut highest) = (0, BTreeMap::new());
    while let Some(row) = deleted.next()? {
        count += 1;
        if row.get(2)? {
            let (session, generation): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
            let highest = highest.entry(session).or_insert(generation);
            *highest = generation.max(*highest);
        }
    }
    for (session, generation) in highest {
        generations::note_forgotten(file, &session, generation)?;
    }
    Ok(count)
}

fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

fn of_json(json: &str) -> rusqlite::Result<Arc<Extras>> {
    let column = "extras".to_owned();
    serde_json::from_str(json)
        .map(Arc::new)
        .map_err(|_| rusqlite::Error::InvalidColumnType(0, column, Type::Text))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Record> {
    let at = |name: &str| -> rusqlite::Result<Option<Timestamp>> {
        let millis: Option<i64> = row.get(name)?;
        Ok(millis.and_then(|millis| Timestamp::from_millisecond(millis).ok()))
    };
    let text = |name: &str| row.get::<_, Option<String>>(name);
    let state: String = row.get("state")?;
    let failure = text("failure")?;
    Ok(Record {
        seq: row.get("seq")?,
        key: row.get("key")?,
        session: row.get("session")?,
        cliente_id: row.get("cliente_id")?,
        account: text("account")?.map(Number::from),
        to: row.get::<_, String>("recipient")?.into(),
        body: text("body")?.map(Text::from),
        extras: text("extras")?.map_or_else(|| Ok(Arc::default()), |json| of_json(&json))?,
        is_durable: row.get("is_durable")?,
        // The schema lets no other word in.
        state: SendState::named(&state).unwrap_or(SendState::Unknown),
        adapter: row.get("adapter")?,
        wa_key: row.get("wa_key")?,
        message_id: text("message_id")?.map(WaId::from),
        is_taken: row.get("is_taken")?,
        ack: row.get("ack")?,
        failure: failure.as_deref().and_then(Failure::named),
        detail: row.get("detail")?,
        queued_at: at("queued_at")?.unwrap_or(Timestamp::UNIX_EPOCH),
        handed_at: at("handed_at")?,
        generation: generations::of_column(row.get("generation")?),
        sent_at: at("sent_at")?,
        delivered_at: at("delivered_at")?,
        read_at: at("read_at")?,
        ended_at: at("ended_at")?,
    })
}
