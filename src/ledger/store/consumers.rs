//! Consumers of the log and their deliveries: the statements, and one function for each thing that the ledger does with them.
//!
//! Invariant: of each lane with something that waits, the first one has a turn, `next_at`, and no other has, but for one that was
//! under way when an earlier one was redriven. So those that are read for their turns are of as many lanes. Not responsible for
//! when a failed delivery is tried again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params};
use sha2::{Digest as _, Sha256};

use super::{File, StoreError, events};
use crate::{
    ledger::{
        consumer::{
            Became, Consumer, ConsumerChange, ConsumerTally, Delivery, DeliveryState, Filter,
            NewConsumer, OpenDelivery, REDRIVEN, Settled, Taken, Turns,
        },
        event::EventKind,
    },
    masked::Text,
};

/// Events that a consumer looks at in one transaction. It takes some ten milliseconds, and a send that comes meanwhile waits for it.
const LOOKED_AT_ONCE: usize = 1000;

/// Milliseconds. No schedule and no receiver puts a delivery off for longer than a week and a fifth of one.
const LONGEST_WAIT: i64 = 10 * 24 * 3600 * 1000;

/// Deliveries that one transaction changes for a person or a whole consumer, for the same reason.
const CHANGED_AT_ONCE: usize = 1000;

/// Statements that run often, or over many rows. None may scan a whole table: a test has `SQLite` explain each.
pub(in crate::ledger) mod statements {
    pub(in crate::ledger) const LOOK: &str = "SELECT seq, session, kind, chat, data IS NULL AS is_forgotten FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    pub(in crate::ledger) const ADD: &str =
        "INSERT INTO deliveries (consumer, state, seq, lane, next_at, due_at)
         SELECT ?1, 'waiting', ?2, ?3,
             CASE WHEN EXISTS (SELECT 1 FROM deliveries WHERE consumer = ?1 AND lane = ?3 AND state = 'waiting')
                  THEN NULL ELSE ?4 END, ?4
         WHERE NOT EXISTS (SELECT 1 FROM deliveries WHERE consumer = ?1 AND state IN ('waiting', 'dead') AND seq = ?2)";
    pub(in crate::ledger) const TURNS: &str = "SELECT lane, attempts, step, due_at, events.*
         FROM deliveries JOIN events USING (seq)
         WHERE consumer = ?1 AND next_at <= ?2 ORDER BY next_at, deliveries.seq LIMIT ?3";
    pub(in crate::ledger) const NEXT_TURN: &str = "SELECT next_at FROM deliveries WHERE consumer = ?1 AND next_at > ?2 ORDER BY next_at LIMIT 1";
    pub(in crate::ledger) const GIVE_TURN: &str =
        "UPDATE deliveries SET next_at = ?3
         WHERE consumer = ?1 AND state = 'waiting' AND next_at IS NULL
           AND seq = (SELECT seq FROM deliveries WHERE consumer = ?1 AND lane = ?2 AND state = 'waiting' ORDER BY seq LIMIT 1)";
    pub(in crate::ledger) const TAKE_TURN: &str =
        "UPDATE deliveries SET next_at = NULL
         WHERE consumer = ?1 AND state = 'waiting' AND seq > ?3
           AND seq = (SELECT seq FROM deliveries WHERE consumer = ?1 AND lane = ?2 AND state = 'waiting' ORDER BY seq LIMIT 1)";
    pub(in crate::ledger) const REMOVE: &str =
        "DELETE FROM deliveries WHERE consumer = ?1 AND state = 'waiting' AND seq = ?2";
    pub(in crate::ledger) const PUT_OFF: &str =
        "UPDATE deliveries SET attempts = ?3, next_at = ?4, due_at = ?4, failed_at = ?5, failure = ?6
         WHERE consumer = ?1 AND state = 'waiting' AND seq = ?2";
    pub(in crate::ledger) const GIVE_UP: &str =
        "UPDATE deliveries SET state = 'dead', attempts = attempts + 1, next_at = NULL, failed_at = ?3, failure = ?4
         WHERE consumer = ?1 AND state = 'waiting' AND seq = ?2";
    pub(in crate::ledger) const STEP: &str =
        "UPDATE deliveries SET step = ?3 WHERE consumer = ?1 AND state = 'waiting' AND seq = ?2";
    pub(in crate::ledger) const HURRY: &str =
        "UPDATE deliveries SET next_at = ?2 WHERE consumer = ?1 AND state = 'waiting' AND seq IN
             (SELECT seq FROM deliveries WHERE consumer = ?1 AND next_at > ?2 ORDER BY next_at LIMIT ?3)";
    pub(in crate::ledger) const MEND: &str =
        "UPDATE deliveries SET next_at = ?2, due_at = min(due_at, ?2)
         WHERE consumer = ?1 AND next_at > ?2 AND (attempts = 0 OR next_at > ?3)";
    pub(in crate::ledger) const DEAD: &str = "SELECT seq, lane FROM deliveries WHERE consumer = ?1 AND state = 'dead' ORDER BY seq LIMIT ?2";
    pub(in crate::ledger) const DEAD_OF_EVENT: &str =
        "SELECT seq, lane FROM deliveries JOIN events USING (seq)
         WHERE consumer = ?1 AND state = 'dead' AND events.id = ?2";
    pub(in crate::ledger) const REVIVE: &str =
        "UPDATE deliveries SET state = 'waiting', attempts = 0, due_at = ?3, step = step | ?4
         WHERE consumer = ?1 AND state = 'dead' AND seq = ?2";
    pub(in crate::ledger) const LIST: &str =
        "SELECT deliveries.*, events.id AS event_id, events.session, events.kind, events.written_at
         FROM deliveries JOIN events USING (seq)
         WHERE consumer = ?1 AND state = ?2 AND seq > ?3 ORDER BY seq";
    pub(in crate::ledger) const OLDEST: &str =
        "SELECT written_at FROM deliveries JOIN events USING (seq)
         WHERE consumer = ?1 AND state = 'waiting' ORDER BY seq LIMIT 1";
    pub(in crate::ledger) const OF_EVENTS: &str =
        "SELECT consumer, state, lane, next_at FROM deliveries WHERE seq <= ?1";
    pub(in crate::ledger) const REMOVE_OF_EVENTS: &str = "DELETE FROM deliveries WHERE seq <= ?1";
    pub(in crate::ledger) const REMOVE_OF_CONSUMER: &str =
        "DELETE FROM deliveries WHERE consumer = ?1 AND (state, seq) IN
             (SELECT state, seq FROM deliveries WHERE consumer = ?1 LIMIT ?2) RETURNING seq";

    /// All of them.
    #[cfg(test)]
    pub(in crate::ledger) const ALL: [&str; 20] = [
        LOOK,
        ADD,
        TURNS,
        NEXT_TURN,
        GIVE_TURN,
        TAKE_TURN,
        REMOVE,
        PUT_OFF,
        GIVE_UP,
        STEP,
        HURRY,
        MEND,
        DEAD,
        DEAD_OF_EVENT,
        REVIVE,
        LIST,
        OLDEST,
        OF_EVENTS,
        REMOVE_OF_EVENTS,
        REMOVE_OF_CONSUMER,
    ];
}

/// Makes a consumer known, which is given what stands behind `from` in the log; one that is known already gets these settings and
/// keeps its place. Answers how it is then.
pub(in crate::ledger) fn put(
    file: &File,
    new: &NewConsumer,
    from: i64,
    now: Timestamp,
) -> Result<Consumer, StoreError> {
    file.prepare_cached(
        "INSERT INTO consumers (id, kind, settings, cursor, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, settings = excluded.settings",
    )?
    .execute(params![
        new.id,
        new.kind,
        &*new.settings,
        from,
        now.as_millisecond()
    ])?;
    let known = find(file, &new.id)?;
    Ok(known.ok_or(rusqlite::Error::QueryReturnedNoRows)?)
}

/// All consumers of a kind, in the order in which they became known.
pub(in crate::ledger) fn of_kind(file: &File, kind: &str) -> Result<Vec<Consumer>, StoreError> {
    let mut statement =
        file.prepare_cached("SELECT * FROM consumers WHERE kind = ?1 ORDER BY key")?;
    let mut rows = statement.query([kind])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(consumer(file, row)?);
    }
    Ok(found)
}

/// One consumer.
pub(in crate::ledger) fn find(file: &File, id: &str) -> Result<Option<Consumer>, StoreError> {
    let mut statement = file.prepare_cached("SELECT * FROM consumers WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    let row = rows.next()?;
    row.map(|row| consumer(file, row)).transpose()
}

/// Changes a consumer. Answers how it is then; `None`: it is not known.
pub(in crate::ledger) fn change(
    file: &File,
    id: &str,
    change: &ConsumerChange,
) -> Result<Option<Consumer>, StoreError> {
    if let Some(settings) = &change.settings {
        file.prepare_cached("UPDATE consumers SET settings = ?2 WHERE id = ?1")?
            .execute(params![id, &**settings])?;
    }
    if let Some(off_because) = &change.off_because {
        file.prepare_cached("UPDATE consumers SET off_because = ?2 WHERE id = ?1")?
            .execute(params![id, off_because])?;
    }
    find(file, id)
}

/// What [`remove`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct Removed {
    /// The consumer was known.
    pub(in crate::ledger) was_known: bool,
    /// Texts were kept for it alone, and are gone from the file.
    pub(in crate::ledger) has_removed_texts: bool,
    /// There are more deliveries of it to delete.
    pub(in crate::ledger) is_not_all: bool,
}

/// Forgets a consumer, and up to [`CHANGED_AT_ONCE`] of its deliveries; with the last of them itself.
pub(in crate::ledger) fn remove(file: &File, id: &str) -> Result<Removed, StoreError> {
    let Some(key) = key_of(file, id)? else {
        return Ok(Removed {
            was_known: false,
            has_removed_texts: false,
            is_not_all: false,
        });
    };
    let removed: Vec<i64> = file
        .prepare_cached(statements::REMOVE_OF_CONSUMER)?
        .query_map(params![key, whole(CHANGED_AT_ONCE)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let is_not_all = removed.len() == CHANGED_AT_ONCE;
    let mut has_removed_texts = false;
    for seq in removed {
        has_removed_texts |= events::release(file, seq)?;
    }
    if !is_not_all {
        file.prepare_cached("DELETE FROM consumers WHERE key = ?1")?
            .execute([key])?;
    }
    Ok(Removed {
        was_known: true,
        has_removed_texts,
        is_not_all,
    })
}

/// Lets a consumer look at the next events, and keeps for it those that it wants. `None`: it is not known, or is switched off.
pub(in crate::ledger) fn take(
    file: &File,
    id: &str,
    filter: &Filter,
    now: Timestamp,
) -> Result<Option<Taken>, StoreError> {
    let found = file
        .prepare_cached("SELECT key, cursor FROM consumers WHERE id = ?1 AND off_because IS NULL")?
        .query_row([id], |row| {
            Ok((row.get::<_, i64>("key")?, row.get::<_, i64>("cursor")?))
        })
        .optional()?;
    let Some((key, old_cursor)) = found else {
        return Ok(None);
    };
    // Of the rows that are gone it is not known any more whether the consumer wanted them, so all of them count.
    let gone: i64 = file
        .prepare_cached("SELECT rows_up_to FROM events_forgotten")?
        .query_row([], |row| row.get(0))?;
    let mut missed = (gone - old_cursor).max(0);
    let mut cursor = old_cursor.max(gone);
    let (mut looked_at, mut added) = (0, 0);
    let mut statement = file.prepare_cached(statements::LOOK)?;
    let mut rows = statement.query(params![cursor, whole(LOOKED_AT_ONCE)])?;
    while let Some(row) = rows.next()? {
        looked_at += 1;
        cursor = row.get("seq")?;
        let session: String = row.get("session")?;
        let is_wanted = EventKind::named(&row.get::<_, String>("kind")?)
            .is_some_and(|kind| filter.is_for(&session, kind));
        if !is_wanted {
            continue;
        }
        if row.get("is_forgotten")? {
            missed += 1;
            continue;
        }
        let chat: Option<String> = row.get("chat")?;
        let lane = lane(&session, chat.as_deref());
        added += file.prepare_cached(statements::ADD)?.execute(params![
            key,
            cursor,
            lane,
            now.as_millisecond()
        ])?;
    }
    if cursor != old_cursor {
        file.prepare_cached(
            "UPDATE consumers SET cursor = ?2, waiting = waiting + ?3, missed = missed + ?4 WHERE key = ?1",
        )?
        .execute(params![key, cursor, whole(added), missed])?;
    }
    Ok(Some(Taken {
        tally: tally(file, id)?,
        missed: missed.unsigned_abs(),
        is_not_all: looked_at == LOOKED_AT_ONCE,
    }))
}

/// The number of a chat, or of what happens in a session outside of any chat. Two chats with the same one share their order, and
/// nothing else.
fn lane(session: &str, chat: Option<&str>) -> i64 {
    let mut hash = Sha256::new();
    hash.update(session);
    hash.update([0]);
    hash.update(chat.unwrap_or_default());
    let hash = hash.finalize();
    let first = hash.first_chunk().copied().unwrap_or_default();
    i64::from_be_bytes(first)
}

/// The deliveries of a consumer whose turn it is: the longest due first, and up to `limit` of them.
pub(in crate::ledger) fn turns(
    file: &File,
    id: &str,
    now: Timestamp,
    limit: usize,
) -> Result<Turns, StoreError> {
    let Some(key) = key_of(file, id)? else {
        return Ok(Turns::default());
    };
    let now = now.as_millisecond();
    let mut statement = file.prepare_cached(statements::TURNS)?;
    let mut rows = statement.query(params![key, now, whole(limit)])?;
    let mut turns = Turns::default();
    while let Some(row) = rows.next()? {
        let Some(kind) = EventKind::named(&row.get::<_, String>("kind")?) else {
            continue;
        };
        let event = events::event(row, kind, row.get("session")?)?;
        let (lane, attempts, step) = (row.get("lane")?, row.get("attempts")?, row.get("step")?);
        let due_at = at(row, "due_at")?.unwrap_or_default();
        turns.now.extend(event.map(|event| Delivery {
            event,
            lane,
            attempts,
            step,
            due_at,
        }));
    }
    turns.next = file
        .prepare_cached(statements::NEXT_TURN)?
        .query_row(params![key, now], |row| at(row, "next_at"))
        .optional()?
        .flatten();
    Ok(turns)
}

/// What [`settle`] has done.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct Noted {
    /// What became of all events of the consumer.
    pub(in crate::ledger) tally: ConsumerTally,
    /// Texts were kept for it alone, and are gone from the file.
    pub(in crate::ledger) has_removed_texts: bool,
}

/// Notes the results of attempts. What was forgotten meanwhile, or is no longer waited for, is left out.
pub(in crate::ledger) fn settle(
    file: &File,
    id: &str,
    settled: &[Settled],
    now: Timestamp,
) -> Result<Noted, StoreError> {
    let Some(key) = key_of(file, id)? else {
        return Ok(Noted {
            tally: ConsumerTally::default(),
            has_removed_texts: false,
        });
    };
    let at = now.as_millisecond();
    let (mut delivered, mut done, mut dead, mut failed) = (0, 0, 0, 0);
    let mut last_failure = None;
    let mut has_removed_texts = false;
    for Settled { seq, lane, became } in settled {
        let is_over = match became {
            Became::Delivered | Became::Skipped => {
                let removed = file
                    .prepare_cached(statements::REMOVE)?
                    .execute([key, *seq])?;
                done += removed;
                if *became == Became::Delivered {
                    delivered += removed;
                }
                has_removed_texts |= events::release(file, *seq)?;
                removed > 0
            }
            Became::PutOff {
                attempts,
                due_at,
                failure,
                is_consumers,
            } => {
                let put_off = file.prepare_cached(statements::PUT_OFF)?.execute(params![
                    key,
                    seq,
                    attempts,
                    due_at.as_millisecond(),
                    at,
                    failure
                ])?;
                if *is_consumers {
                    failed += put_off;
                    last_failure = Some(failure);
                }
                false
            }
            Became::Dead { failure } => {
                let given_up = file
                    .prepare_cached(statements::GIVE_UP)?
                    .execute(params![key, seq, at, failure])?;
                dead += given_up;
                failed += given_up;
                last_failure = Some(failure);
                given_up > 0
            }
        };
        if is_over {
            give_turn(file, key, *lane, now)?;
        }
    }
    file.prepare_cached(
        "UPDATE consumers SET waiting = waiting - ?2 - ?3, dead = dead + ?3, delivered = delivered + ?4, failed = failed + ?5 WHERE key = ?1",
    )?
    .execute([key, whole(done), whole(dead), whole(delivered), whole(failed)])?;
    if delivered > 0 {
        file.prepare_cached("UPDATE consumers SET delivered_at = ?2 WHERE key = ?1")?
            .execute([key, at])?;
    }
    if let Some(failure) = last_failure {
        file.prepare_cached("UPDATE consumers SET failed_at = ?2, failure = ?3 WHERE key = ?1")?
            .execute(params![key, at, failure])?;
    }
    Ok(Noted {
        tally: tally(file, id)?,
        has_removed_texts,
    })
}

/// Gives the first one that waits in this lane its turn, unless it has one.
fn give_turn(file: &File, key: i64, lane: i64, now: Timestamp) -> Result<(), StoreError> {
    file.prepare_cached(statements::GIVE_TURN)?
        .execute([key, lane, now.as_millisecond()])?;
    Ok(())
}

/// Notes how far a consumer has got with an event.
pub(in crate::ledger) fn note_step(
    file: &File,
    id: &str,
    seq: i64,
    step: u8,
) -> Result<(), StoreError> {
    if let Some(key) = key_of(file, id)? {
        file.prepare_cached(statements::STEP)?
            .execute(params![key, seq, step])?;
    }
    Ok(())
}

/// Lets deliveries that wait for another attempt have their turn at once, up to [`CHANGED_AT_ONCE`] of them. Answers whether there
/// may be more.
pub(in crate::ledger) fn hurry(file: &File, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let Some(key) = key_of(file, id)? else {
        return Ok(false);
    };
    let hurried = file.prepare_cached(statements::HURRY)?.execute(params![
        key,
        now.as_millisecond(),
        whole(CHANGED_AT_ONCE)
    ])?;
    Ok(hurried == CHANGED_AT_ONCE)
}

/// Gives a turn to what was never tried and is said to have its turn in the future, and to what is put off for longer than
/// [`LONGEST_WAIT`].
pub(in crate::ledger) fn mend_turns(
    file: &File,
    id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Some(key) = key_of(file, id)? {
        let longest = now.as_millisecond() + LONGEST_WAIT;
        file.prepare_cached(statements::MEND)?
            .execute([key, now.as_millisecond(), longest])?;
    }
    Ok(())
}

/// What [`redrive`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct Redriven {
    pub(in crate::ledger) count: usize,
    /// There may be more.
    pub(in crate::ledger) is_not_all: bool,
}

/// Lets deliveries that were given up wait for their turn again: those of these events, else all of them, up to
/// [`CHANGED_AT_ONCE`].
pub(in crate::ledger) fn redrive(
    file: &File,
    id: &str,
    events: Option<&[String]>,
    now: Timestamp,
) -> Result<Redriven, StoreError> {
    let Some(key) = key_of(file, id)? else {
        return Ok(Redriven {
            count: 0,
            is_not_all: false,
        });
    };
    let place = |row: &Row<'_>| Ok((row.get::<_, i64>("seq")?, row.get::<_, i64>("lane")?));
    let mut dead = Vec::new();
    match events {
        None => {
            let mut statement = file.prepare_cached(statements::DEAD)?;
            for found in statement.query_map(params![key, whole(CHANGED_AT_ONCE)], place)? {
                dead.push(found?);
            }
        }
        Some(ids) => {
            let mut statement = file.prepare_cached(statements::DEAD_OF_EVENT)?;
            for id in ids {
                dead.extend(statement.query_row(params![key, id], place).optional()?);
            }
        }
    }
    // The first one of each lane, also when they were asked for in another order.
    let mut lanes = BTreeMap::<i64, i64>::new();
    for (seq, lane) in &dead {
        let first = lanes.entry(*lane).or_insert(*seq);
        *first = (*first).min(*seq);
    }
    // One of them comes before the one that has its lane's turn now.
    for (lane, first) in &lanes {
        file.prepare_cached(statements::TAKE_TURN)?
            .execute([key, *lane, *first])?;
    }
    let mut count = 0;
    for (seq, _) in &dead {
        count += file.prepare_cached(statements::REVIVE)?.execute(params![
            key,
            seq,
            now.as_millisecond(),
            REDRIVEN
        ])?;
    }
    for lane in lanes.keys() {
        give_turn(file, key, *lane, now)?;
    }
    file.prepare_cached(
        "UPDATE consumers SET waiting = waiting + ?2, dead = dead - ?2 WHERE key = ?1",
    )?
    .execute([key, whole(count)])?;
    Ok(Redriven {
        count,
        is_not_all: events.is_none() && dead.len() == CHANGED_AT_ONCE,
    })
}

/// Deliveries that are not done with and fit this filter, in the order of their events.
pub(in crate::ledger) fn list(
    file: &File,
    id: &str,
    filter: &Filter,
    state: DeliveryState,
    after: i64,
    limit: usize,
) -> Result<Vec<OpenDelivery>, StoreError> {
    let Some(key) = key_of(file, id)? else {
        return Ok(Vec::new());
    };
    let mut statement = file.prepare_cached(statements::LIST)?;
    let mut rows = statement.query(params![key, state.as_str(), after])?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        let (session, kind): (String, String) = (row.get("session")?, row.get("kind")?);
        if EventKind::named(&kind).is_none_or(|kind| !filter.is_for(&session, kind)) {
            continue;
        }
        found.push(OpenDelivery {
            seq: row.get("seq")?,
            event_id: row.get("event_id")?,
            session,
            kind,
            written_at: at(row, "written_at")?.unwrap_or_default(),
            state,
            attempts: row.get("attempts")?,
            next_at: at(row, "next_at")?,
            failure: failure(row)?,
        });
    }
    Ok(found)
}

/// What became of the events that a consumer wants.
fn tally(file: &File, id: &str) -> Result<ConsumerTally, StoreError> {
    Ok(find(file, id)?.map(|found| found.tally).unwrap_or_default())
}

/// Removes what is kept of the events up to this one, which are forgotten. Answers how many of them each consumer was still to be
/// given.
pub(in crate::ledger) fn forget(
    file: &File,
    up_to: i64,
    now: Timestamp,
) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut missed = BTreeMap::<i64, i64>::new();
    let mut dead = BTreeMap::<i64, i64>::new();
    let mut lanes = BTreeMap::<_, Option<i64>>::new();
    let mut statement = file.prepare_cached(statements::OF_EVENTS)?;
    let mut rows = statement.query([up_to])?;
    while let Some(row) = rows.next()? {
        let key = row.get("consumer")?;
        if row.get::<_, String>("state")? == DeliveryState::Dead.as_str() {
            *dead.entry(key).or_default() += 1;
        } else {
            *missed.entry(key).or_default() += 1;
            let turn = lanes.entry((key, row.get("lane")?)).or_default();
            *turn = row.get::<_, Option<i64>>("next_at")?.or(*turn);
        }
    }
    drop(rows);
    if missed.is_empty() && dead.is_empty() {
        return Ok(BTreeMap::new());
    }
    file.prepare_cached(statements::REMOVE_OF_EVENTS)?
        .execute([up_to])?;
    for ((key, lane), turn) in lanes {
        // A turn is a time of the consumer's clock, which this one may be ahead of.
        let turn = turn.and_then(|turn| Timestamp::from_millisecond(turn).ok());
        give_turn(file, key, lane, turn.map_or(now, |turn| turn.min(now)))?;
    }
    for (key, count) in dead {
        file.prepare_cached("UPDATE consumers SET dead = dead - ?2 WHERE key = ?1")?
            .execute([key, count])?;
    }
    let mut told = BTreeMap::new();
    for (key, count) in missed {
        let id = file
            .prepare_cached(
                "UPDATE consumers SET waiting = waiting - ?2, missed = missed + ?2 WHERE key = ?1 RETURNING id",
            )?
            .query_row([key, count], |row| row.get(0))
            .optional()?;
        told.extend(id.map(|id: String| (id, count.unsigned_abs())));
    }
    Ok(told)
}

fn key_of(file: &File, id: &str) -> Result<Option<i64>, StoreError> {
    Ok(file
        .prepare_cached("SELECT key FROM consumers WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?)
}

fn consumer(file: &File, row: &Row<'_>) -> Result<Consumer, StoreError> {
    let key: i64 = row.get("key")?;
    let oldest = file
        .prepare_cached(statements::OLDEST)?
        .query_row([key], |row| at(row, "written_at"))
        .optional()?
        .flatten();
    Ok(Consumer {
        id: row.get("id")?,
        kind: row.get("kind")?,
        settings: Text::from(row.get::<_, String>("settings")?),
        off_because: row.get("off_because")?,
        created_at: at(row, "created_at")?.unwrap_or_default(),
        tally: ConsumerTally {
            waiting: count(row, "waiting")?,
            oldest,
            dead: count(row, "dead")?,
            delivered: count(row, "delivered")?,
            failed: count(row, "failed")?,
            missed: count(row, "missed")?,
            delivered_at: at(row, "delivered_at")?,
            failure: failure(row)?,
        },
    })
}

/// A count as `SQLite` takes it.
fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn count(row: &Row<'_>, name: &str) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(name)?.max(0).unsigned_abs())
}

fn at(row: &Row<'_>, name: &str) -> rusqlite::Result<Option<Timestamp>> {
    let at: Option<i64> = row.get(name)?;
    Ok(at.map(|at| Timestamp::from_millisecond(at).unwrap_or_default()))
}

fn failure(row: &Row<'_>) -> rusqlite::Result<Option<(Timestamp, String)>> {
    let why: Option<String> = row.get("failure")?;
    Ok(at(row, "failed_at")?.zip(why))
}
