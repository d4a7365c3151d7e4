//! The one table: every send, and the questions that are asked about it.
//!
//! Not responsible for what a step means: [`Record::take`] says that.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, named_params, params};

use super::{File, StoreError};
use crate::ledger::{Failure, Idempotency, NewSend, Query, Record, SendState, Step};

/// What a new send was found to be.
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
) -> Result<Option<Entered>, StoreError> {
    let fingerprint = new.fingerprint().0;
    match &new.idempotency {
        None => Ok(None),
        Some(Idempotency::Key(key)) => {
            let found = file
                .prepare_cached(
                    "SELECT *, fingerprint = ?4 AS is_same FROM sends
                     WHERE session = ?1 AND idempotency_key = ?2 AND queued_at > ?3",
                )?
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
        Some(Idempotency::SameSince(since)) => {
            let found = file
                .prepare_cached(
                    "SELECT * FROM sends WHERE session = ?1 AND fingerprint = ?2 AND queued_at > ?3
                     AND state NOT IN ('failed', 'cancelled') ORDER BY seq DESC LIMIT 1",
                )?
                .query_row(params![new.session, fingerprint, millis(*since)], read)
                .optional()?;
            Ok(found.map(Entered::Known))
        }
    }
}

/// Writes a new send down, unless it is known.
pub(in crate::ledger) fn enter(
    file: &File,
    new: &NewSend,
    keys_since: Timestamp,
    now: Timestamp,
) -> Result<Entered, StoreError> {
    if let Some(known) = known(file, new, keys_since)? {
        return Ok(known);
    }
    let idempotency_key = match &new.idempotency {
        Some(Idempotency::Key(key)) => Some(key),
        Some(Idempotency::SameSince(_)) | None => None,
    };
    // One that is too old to be believed makes room for the new one.
    file.prepare_cached(
        "UPDATE sends SET idempotency_key = NULL WHERE session = ?1 AND idempotency_key = ?2",
    )?
    .execute(params![new.session, idempotency_key])?;
    file
        .prepare_cached(
            "INSERT INTO sends (key, session, cliente_id, account, recipient, body, is_durable, state, idempotency_key,
                                fingerprint, is_taken, ack, queued_at, changed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'queued', ?8, ?9, FALSE, 0, ?10, ?10)",
        )?
        .execute(params![
            new.key,
            new.session,
            new.cliente_id,
            new.account,
            new.to,
            new.body,
            new.is_durable,
            idempotency_key,
            new.fingerprint().0,
            millis(now),
        ])?;
    let seq = file.last_insert_rowid();
    let record = file
        .prepare_cached("SELECT * FROM sends WHERE seq = ?1")?
        .query_row([seq], read)?;
    Ok(Entered::New(record))
}

/// A send that has changed, and how far it was before.
pub(in crate::ledger) struct Changed {
    pub(in crate::ledger) before: SendState,
    pub(in crate::ledger) record: Record,
}

/// Lets a step happen to the send of this id. Answers how it is then, `None` when there is no such send or the step is
/// no news. The text goes at once when the send is done with and `keeps_texts` is not set.
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
    }
    let frees_the_key =
        record.failure.is_some_and(Failure::frees_the_key) || record.state == SendState::Cancelled;
    file
        .prepare_cached(
            "UPDATE sends SET state = :state, adapter = :adapter, account = :account, wa_key = :wa_key, body = :body,
                message_id = :message_id, is_taken = :is_taken, ack = :ack, failure = :failure, detail = :detail,
                handed_at = :handed_at, sent_at = :sent_at, delivered_at = :delivered_at, read_at = :read_at,
                ended_at = :ended_at, changed_at = :changed_at,
                idempotency_key = CASE WHEN :frees_the_key THEN NULL ELSE idempotency_key END
             WHERE seq = :seq",
        )?
        .execute(named_params! {
            ":seq": record.seq,
            ":state": record.state.as_str(),
            ":adapter": record.adapter,
            ":account": record.account,
            ":wa_key": record.wa_key,
            ":body": record.body,
            ":message_id": record.message_id,
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
            ":frees_the_key": frees_the_key,
        })?;
    Ok(Some(Changed { before, record }))
}

/// A send by its own id, by the one that the page chose, or by its full id at WhatsApp.
pub(in crate::ledger) fn find(file: &File, id: &str) -> Result<Option<Record>, StoreError> {
    let found = file
        .prepare_cached("SELECT * FROM sends WHERE key = ?1 OR wa_key = ?1 OR message_id = ?1")?
        .query_row([id], read)
        .optional()?;
    Ok(found)
}

/// The sends that something is still to be done with, in their order.
pub(in crate::ledger) fn open_sends(file: &File, session: &str) -> Result<Vec<Record>, StoreError> {
    let mut statement = file.prepare_cached(
        "SELECT * FROM sends WHERE session = ?1 AND state IN ('queued', 'handed') ORDER BY seq",
    )?;
    let records = statement.query_map([session], read)?;
    Ok(records.collect::<Result<_, _>>()?)
}

/// The open sends of all sessions: whose, their place in the order, and when they were written down.
pub(in crate::ledger) fn all_open(
    file: &File,
) -> Result<Vec<(String, i64, Timestamp)>, StoreError> {
    let mut statement = file.prepare_cached(
        "SELECT session, seq, queued_at FROM sends WHERE state IN ('queued', 'handed')",
    )?;
    let open = statement.query_map([], |row| {
        let at = Timestamp::from_millisecond(row.get(2)?).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok((row.get(0)?, row.get(1)?, at))
    })?;
    Ok(open.collect::<Result<_, _>>()?)
}

/// The send of each session that was written down last. An index has both columns: the file itself is not gone through.
pub(in crate::ledger) fn last_of_each(file: &File) -> Result<Vec<Record>, StoreError> {
    let mut statement = file.prepare_cached(
        "SELECT * FROM sends WHERE seq IN (SELECT max(seq) FROM sends GROUP BY session)",
    )?;
    let records = statement.query_map([], read)?;
    Ok(records.collect::<Result<_, _>>()?)
}

/// A page of sends, in their order.
pub(in crate::ledger) fn list(file: &File, query: &Query) -> Result<Vec<Record>, StoreError> {
    let mut statement = file.prepare_cached(
        "SELECT * FROM sends WHERE seq > ?1 AND (?2 IS NULL OR session IN (SELECT value FROM json_each(?2))) AND (?3 IS NULL OR state = ?3)
         ORDER BY seq LIMIT ?4",
    )?;
    let records = statement.query_map(
        params![
            query.after,
            query
                .sessions
                .as_ref()
                .map(|ids| serde_json::json!(ids).to_string()),
            query.state.map(SendState::as_str),
            i64::try_from(query.limit).unwrap_or(i64::MAX),
        ],
        read,
    )?;
    Ok(records.collect::<Result<_, _>>()?)
}

/// What a service that was killed has left behind: sends that no page has seen and whose callers have had no answer are
/// not sent behind their backs.
pub(in crate::ledger) fn recover(file: &File, now: Timestamp) -> Result<usize, StoreError> {
    let left = file.execute(
        "UPDATE sends SET state = 'failed', failure = ?1, ended_at = ?2, changed_at = ?2, idempotency_key = NULL,
            detail = 'the service ended before the message was handed over; nothing was sent'
         WHERE state = 'queued' AND NOT is_durable AND handed_at IS NULL",
        params![Failure::Interrupted.as_str(), millis(now)],
    )?;
    Ok(left)
}

/// Forgets the texts of sends that have been done with since before `texts_until`, and whole sends that have been since
/// before `sends_until`. Answers whether any text went.
pub(in crate::ledger) fn forget(
    file: &File,
    texts_until: Timestamp,
    sends_until: Timestamp,
) -> Result<bool, StoreError> {
    let texts = file.execute(
        "UPDATE sends SET body = NULL
         WHERE body IS NOT NULL AND state NOT IN ('queued', 'handed') AND changed_at <= ?1",
        [millis(texts_until)],
    )?;
    file.execute(
        "DELETE FROM sends WHERE state NOT IN ('queued', 'handed') AND changed_at <= ?1",
        [millis(sends_until)],
    )?;
    Ok(texts > 0)
}

fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Record> {
    let at = |name: &str| -> rusqlite::Result<Option<Timestamp>> {
        let millis: Option<i64> = row.get(name)?;
        Ok(millis.and_then(|millis| Timestamp::from_millisecond(millis).ok()))
    };
    let state: String = row.get("state")?;
    let failure: Option<String> = row.get("failure")?;
    Ok(Record {
        seq: row.get("seq")?,
        key: row.get("key")?,
        session: row.get("session")?,
        cliente_id: row.get("cliente_id")?,
        account: row.get("account")?,
        to: row.get("recipient")?,
        body: row.get("body")?,
        is_durable: row.get("is_durable")?,
        // The schema lets no other word in.
        state: SendState::named(&state).unwrap_or(SendState::Unknown),
        adapter: row.get("adapter")?,
        wa_key: row.get("wa_key")?,
        message_id: row.get("message_id")?,
        is_taken: row.get("is_taken")?,
        ack: row.get("ack")?,
        failure: failure.as_deref().and_then(Failure::named),
        detail: row.get("detail")?,
        queued_at: at("queued_at")?.unwrap_or(Timestamp::UNIX_EPOCH),
        handed_at: at("handed_at")?,
        sent_at: at("sent_at")?,
        delivered_at: at("delivered_at")?,
        read_at: at("read_at")?,
        ended_at: at("ended_at")?,
    })
}
