//! The log of events: its statements, and one function for each thing that the ledger does with it.
//!
//! Not responsible for what an event says, nor for when events are forgotten.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use super::{
    File, StoreError, consumers,
    who::{Likeness, Who},
};
use crate::{
    heard::{EVENT_ID_START, HeardEdit, HeardMessage, Numberless, Quoted},
    ledger::event::{Event, EventKind, EventQuery, Me, NewEvent, Page, Source},
    masked::{Number, Text, WaId},
};

/// Events that one question looks at, however few of them its reader is interested in. They take some ten milliseconds; the
/// reader goes on from the cursor that it gets.
const LOOKED_AT_ONCE: usize = 10_000;

/// Text that one question answers with: many events of the largest texts would be in memory several times over while they are sent.
const READ_BYTES: usize = 8_000_000;

/// Events that are forgotten in one transaction. It takes some tenths of a second, and a send that comes meanwhile waits for it.
const FORGOTTEN_AT_ONCE: i64 = 2000;

/// Events whose data is kept, whatever their age: some 500 MB of ordinary messages.
const MOST_KEPT: i64 = 1_000_000;

/// Events without a number that one question looks at. Few persons hide theirs.
const MOST_NUMBERLESS: i64 = 2000;

/// Messages of different persons under one id that are kept. No two phones choose the same one, so more than one is a forgery.
const MOST_ALIKE: usize = 20;

/// Statements that run often, or over many rows. None may scan the whole table: a test has `SQLite` explain each.
pub(in crate::ledger) mod statements {
    pub(in crate::ledger) const AFTER: &str = "SELECT * FROM events WHERE seq > ?1 ORDER BY seq";
    pub(in crate::ledger) const AGES: &str = "SELECT seq, written_at FROM events WHERE seq > ?1 AND written_at <= ?3 ORDER BY seq LIMIT ?2";
    pub(in crate::ledger) const APPEND: &str =
        "INSERT INTO events (id, session, kind, once, chat, account, account_lid, happened_at, written_at, is_late, source, data, who)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT (session, once) DO NOTHING";
    pub(in crate::ledger) const IS_SEND: &str =
        "SELECT 1 FROM sends WHERE session = ?2 AND (key = ?1 OR wa_key = ?1)";
    pub(in crate::ledger) const FORGET_DATA: &str =
        "UPDATE events SET data = NULL, chat = NULL, account = NULL, account_lid = NULL
         WHERE seq > ?1 AND seq <= ?2";
    /// The same, but for what a consumer is still to be given.
    pub(in crate::ledger) const FORGET_DATA_NOT_OWED: &str =
        "UPDATE events SET data = NULL, chat = NULL, account = NULL, account_lid = NULL
         WHERE seq > ?1 AND seq <= ?2
           AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.seq = events.seq)";
    pub(in crate::ledger) const RELEASE: &str =
        "UPDATE events SET data = NULL, chat = NULL, account = NULL, account_lid = NULL
         WHERE seq = ?1 AND seq <= (SELECT up_to FROM events_forgotten WHERE only = 1)
           AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.seq = events.seq)";
    pub(in crate::ledger) const FORGET_ROWS: &str = "DELETE FROM events WHERE seq <= ?1";

    pub(in crate::ledger) const NUMBERLESS: &str = r#"SELECT data FROM events
         WHERE session = ?1 AND happened_at >= ?2
           AND data IS NOT NULL AND kind IN ('message', 'message.waiting') AND instr(data, '"from":{"phone":null') > 0
         ORDER BY seq DESC LIMIT ?3"#;
    pub(in crate::ledger) const BY_ID: &str = "SELECT * FROM events WHERE id = ?1";
    pub(in crate::ledger) const IS_WRITTEN: &str =
        "SELECT 1 FROM events WHERE session = ?1 AND once = ?2";
    pub(in crate::ledger) const WHOSE: &str =
        "SELECT seq, who, happened_at FROM events WHERE session = ?1 AND once = ?2";
    pub(in crate::ledger) const LEARN_WHO: &str = "UPDATE events SET who = ?2 WHERE seq = ?1";
    pub(in crate::ledger) const BY_ONCE: &str =
        "SELECT data FROM events WHERE session = ?1 AND once = ?2 AND data IS NOT NULL";
    pub(in crate::ledger) const SOURCE: &str =
        "SELECT source FROM events WHERE session = ?1 AND once = ?2";

    /// All of them.
    #[cfg(test)]
    pub(in crate::ledger) const ALL: [&str; 14] = [
        AFTER,
        BY_ID,
        AGES,
        NUMBERLESS,
        IS_WRITTEN,
        WHOSE,
        LEARN_WHO,
        BY_ONCE,
        SOURCE,
        IS_SEND,
        FORGET_DATA,
        FORGET_DATA_NOT_OWED,
        RELEASE,
        FORGET_ROWS,
    ];
}

/// What of the ledger's settings and time the writing of an event depends on.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct Terms {
    /// Whether the texts of this service's own sends may be on disk.
    pub(in crate::ledger) keeps_texts: bool,
    /// Sends that were accepted earlier may be forgotten.
    pub(in crate::ledger) sends_since: Timestamp,
    pub(in crate::ledger) now: Timestamp,
}

/// Writes an event down at the end of the log. Answers its place, or `None` when it was written down before.
pub(in crate::ledger) fn append(
    file: &File,
    new: &NewEvent,
    terms: Terms,
) -> Result<Option<i64>, StoreError> {
    let who = new.who.as_ref().and_then(|who| Who::of(who, &new.once));
    // An insertion that meets a row uses a place up all the same, and a page says much of what it has said before once more.
    let Some(once) = free_once(file, new, who)? else {
        return Ok(None);
    };
    let source = source_of(file, new, terms.sends_since)?;
    let data = if terms.keeps_texts {
        None
    } else if new.kind == EventKind::OwnMessage && source == Some(Source::Api) {
        Some(shortened(&new.data, HeardMessage::without_words))
    } else if new.kind == EventKind::Edited && source == Some(Source::Api) {
        Some(shortened(&new.data, |edit| HeardEdit {
            text: Text::default(),
            ..edit
        }))
    } else {
        without_quoted_send(file, new)?
    };
    let data = data.as_ref().unwrap_or(&new.data);
    let appended = file.prepare_cached(statements::APPEND)?.execute(params![
        format!("{EVENT_ID_START}{:032x}", rand::random::<u128>()),
        new.session,
        new.kind.as_str(),
        once,
        new.chat.as_deref(),
        new.me.phone.as_deref(),
        new.me.lid.as_deref(),
        new.happened_at.as_millisecond(),
        terms.now.as_millisecond(),
        new.is_late,
        source.map(Source::as_str),
        &**data,
        who,
    ])?;
    Ok((appended > 0).then(|| file.last_insert_rowid()))
}

/// What the event is known by from now on; `None` when it was written down before. The first person's has the id as it is, and another
/// person's the next free name beside it.
fn free_once(file: &File, new: &NewEvent, who: Option<Who>) -> Result<Option<Vec<u8>>, StoreError> {
    for nth in 0..MOST_ALIKE {
        let once = hash_of_nth(&new.once, nth);
        let written = file
            .prepare_cached(statements::WHOSE)?
            .query_row(params![new.session, once], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        let Some((seq, written, happened_at)) = written else {
            return Ok(Some(once));
        };
        let (seq, written, happened_at): (i64, Option<Who>, i64) = (seq, written, happened_at);
        let (Some(written), Some(who)) = (written, who) else {
            return Ok(None);
        };
        match written.likeness(who) {
            Likeness::Same => {
                let known = written.with(who);
                if known != written {
                    file.prepare_cached(statements::LEARN_WHO)?
                        .execute(params![seq, known])?;
                }
                return Ok(None);
            }
            // WhatsApp's server dates what comes in, so the same message has the same time. Of other events that is not certain.
            Likeness::Unclear
                if !matches!(new.kind, EventKind::Message | EventKind::Waiting)
                    || happened_at == new.happened_at.as_millisecond() =>
            {
                return Ok(None);
            }
            Likeness::Unclear | Likeness::Other => {}
        }
    }
    Ok(None)
}

/// What the event of the nth person under one id is known by.
fn hash_of_nth(once: &str, nth: usize) -> Vec<u8> {
    if nth == 0 {
        hash(once)
    } else {
        hash(&format!("{once} {nth}"))
    }
}

fn hash(once: &str) -> Vec<u8> {
    Sha256::digest(once.as_bytes()).to_vec()
}

/// The persons who have written to this session since then, and whose number the log does not have: each once, by their latest message.
pub(in crate::ledger) fn numberless(
    file: &File,
    session: &str,
    since: Timestamp,
) -> Result<Vec<Numberless>, StoreError> {
    let mut statement = file.prepare_cached(statements::NUMBERLESS)?;
    let parameters = params![session, since.as_millisecond(), MOST_NUMBERLESS];
    let mut rows = statement.query(parameters)?;
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    while let Some(row) = rows.next()? {
        let message = serde_json::from_str(&row.get::<_, String>("data")?);
        let Some(person) = message.ok().and_then(Numberless::author_of) else {
            continue;
        };
        if !seen.insert(person.lid.clone()) {
            continue;
        }
        let is_known = file
            .prepare_cached(statements::IS_WRITTEN)?
            .exists(params![session, hash(&person.once())])?;
        if !is_known {
            found.push(person);
        }
    }
    Ok(found)
}

/// The full id of a message that was heard in a chat with a person, by its inner one; `None` also where several persons have a message
/// with it. That of a message in a group cannot be found so: the log knows it by its group as well.
pub(in crate::ledger) fn heard_id(
    file: &File,
    session: &str,
    key: &str,
) -> Result<Option<WaId>, StoreError> {
    let mut found = Vec::new();
    for side in ["in", "own"] {
        for nth in 0..2 {
            let once = hash_of_nth(&once_of_message(side, None, key), nth);
            let data: Option<String> = file
                .prepare_cached(statements::BY_ONCE)?
                .query_row(params![session, once], |row| row.get(0))
                .optional()?;
            let message = data.and_then(|data| serde_json::from_str::<HeardMessage>(&data).ok());
            found.extend(message.map(|message| message.id));
        }
    }
    Ok(found.pop().filter(|_| found.is_empty()))
}

/// The same data with less in it, for an operator who wants no text of a send on disk: its caller knows what it says.
fn shortened<T: Serialize + DeserializeOwned>(data: &Text, shorter: impl FnOnce(T) -> T) -> Text {
    let said = serde_json::from_str::<T>(data);
    let written = said.map(|said| serde_json::to_string(&shorter(said)));
    written.ok().and_then(Result::ok).unwrap_or_default().into()
}

/// What tells a message from every other event of its session, as the page's script has it. `side`: `own`, or `in`.
fn once_of_message(side: &str, group: Option<&str>, key: &str) -> String {
    format!("message {side} {} {key}", group.unwrap_or("person"))
}

/// The data of a message without the text of the message that it answers, where that one is a send of this service; `None` where
/// nothing is to be left out.
fn without_quoted_send(file: &File, new: &NewEvent) -> Result<Option<Text>, StoreError> {
    let is_message = matches!(new.kind, EventKind::Message | EventKind::OwnMessage);
    if !is_message || !new.data.contains(r#""quoted":"#) {
        return Ok(None);
    }
    let Ok(message) = serde_json::from_str::<HeardMessage>(&new.data) else {
        return Ok(None);
    };
    let Some(quoted) = &message.quoted else {
        return Ok(None);
    };
    if !is_send(file, &quoted.key, &new.session)? {
        return Ok(None);
    }
    let message = HeardMessage {
        quoted: message.quoted.map(|quoted| Quoted {
            text: None,
            ..quoted
        }),
        ..message
    };
    Ok(serde_json::to_string(&message).ok().map(Text::from))
}

/// Who wrote the message of the account that the event is about, if it is about one and that is known: this service knows its own sends for a
/// while, and for a month what the log has said of a message.
fn source_of(
    file: &File,
    new: &NewEvent,
    sends_since: Timestamp,
) -> Result<Option<Source>, StoreError> {
    let Some(key) = &new.own_key else {
        return Ok(None);
    };
    if is_send(file, key, &new.session)? {
        return Ok(Some(Source::Api));
    }
    // What was done to a message is a send of its own, or was done by hand. An acknowledgement is about a message that is known.
    if new.kind != EventKind::Ack {
        let is_remembered = sends_since <= new.happened_at;
        return Ok(is_remembered.then_some(Source::Phone));
    }
    let chat = new.chat.as_deref().filter(|chat| chat.ends_with("@g.us"));
    let once = hash(&once_of_message("own", chat, key));
    let written = file
        .prepare_cached(statements::SOURCE)?
        .query_row(params![new.session, once], |row| {
            row.get::<_, Option<String>>(0)
        })
        .optional()?;
    Ok(written.flatten().as_deref().and_then(Source::named))
}

fn is_send(file: &File, key: &str, session: &str) -> Result<bool, StoreError> {
    let is_send = file
        .prepare_cached(statements::IS_SEND)?
        .exists(params![key, session])?;
    Ok(is_send)
}

/// A place that no event was ever written behind.
pub(in crate::ledger) fn newest(file: &File) -> Result<i64, StoreError> {
    let newest = file
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'events'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(newest.unwrap_or(0))
}

/// Up to where the log was forgotten for its readers.
fn forgotten(file: &File) -> Result<i64, StoreError> {
    let up_to = file
        .prepare_cached("SELECT up_to FROM events_forgotten")?
        .query_row([], |row| row.get(0))?;
    Ok(up_to)
}

/// Up to where no consumer is given anything any more.
fn owed_up_to(file: &File) -> Result<i64, StoreError> {
    let up_to = file
        .prepare_cached("SELECT owed_up_to FROM events_forgotten")?
        .query_row([], |row| row.get(0))?;
    Ok(up_to)
}

/// Forgets the data of an event that was kept for a consumer alone, and that no consumer is to be given any more. Answers whether
/// there was such data.
pub(super) fn release(file: &File, seq: i64) -> Result<bool, StoreError> {
    let released = file.prepare_cached(statements::RELEASE)?.execute([seq])?;
    Ok(released > 0)
}

/// The event with this id, if it still has its data.
pub(in crate::ledger) fn find(file: &File, id: &str) -> Result<Option<Event>, StoreError> {
    let mut statement = file.prepare_cached(statements::BY_ID)?;
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let kind = EventKind::named(&row.get::<_, String>("kind")?);
    let found = kind.map(|kind| event(row, kind, row.get("session")?));
    Ok(found.transpose()?.flatten())
}

/// The next part of the log.
pub(in crate::ledger) fn read(file: &File, query: &EventQuery) -> Result<Page, StoreError> {
    let oldest = forgotten(file)?;
    let after = query.after.unwrap_or(oldest);
    let newest = newest(file)?;
    if after < oldest || newest < after {
        return Ok(Page::Expired { oldest, newest });
    }
    let mut statement = file.prepare_cached(statements::AFTER)?;
    let mut rows = statement.query([after])?;
    let mut events = Vec::new();
    let mut next = after;
    let (mut looked_at, mut bytes) = (0, 0);
    while events.len() < query.limit
        && looked_at < LOOKED_AT_ONCE
        && bytes < READ_BYTES
        && let Some(row) = rows.next()?
    {
        looked_at += 1;
        next = row.get("seq")?;
        // A word of a newer version, which has written to this file, is of no kind that this one knows.
        let Some(kind) = EventKind::named(&row.get::<_, String>("kind")?) else {
            continue;
        };
        let session: String = row.get("session")?;
        let is_of_session = |ids: &Vec<String>| ids.contains(&session);
        if query.sessions.as_ref().is_none_or(is_of_session)
            && (query.kinds.is_empty() || query.kinds.contains(&kind))
        {
            let event = event(row, kind, session)?;
            bytes += event.as_ref().map_or(0, |event| event.data.len());
            events.extend(event);
        }
    }
    Ok(Page::Events { events, next })
}

/// An event that still has its data.
pub(super) fn event(
    row: &Row<'_>,
    kind: EventKind,
    session: String,
) -> rusqlite::Result<Option<Event>> {
    let at = |name: &str| -> rusqlite::Result<Timestamp> {
        Ok(Timestamp::from_millisecond(row.get(name)?).unwrap_or(Timestamp::UNIX_EPOCH))
    };
    let text = |name: &str| row.get::<_, Option<String>>(name);
    let Some(data) = text("data")? else {
        return Ok(None);
    };
    Ok(Some(Event {
        seq: row.get("seq")?,
        id: row.get("id")?,
        session,
        kind,
        chat: text("chat")?.map(WaId::from),
        me: Me {
            phone: text("account")?.map(Number::from),
            lid: text("account_lid")?.map(WaId::from),
        },
        happened_at: at("happened_at")?,
        written_at: at("written_at")?,
        is_late: row.get("is_late")?,
        source: text("source")?.as_deref().and_then(Source::named),
        data: Text::from(data),
    }))
}

/// What [`forget`] has done.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct Forgotten {
    /// Data is gone from the file, but is still in its log.
    pub(in crate::ledger) data: bool,
    /// There may be more to delete.
    pub(in crate::ledger) is_not_all: bool,
    /// How many of them each consumer was still to be given.
    pub(in crate::ledger) missed: BTreeMap<String, u64>,
}

/// Before which moments events are forgotten, each earlier than the one before it.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct Until {
    /// What was written earlier, no reader gets any more.
    pub(in crate::ledger) data: Timestamp,
    /// What was written earlier, no consumer is given any more.
    pub(in crate::ledger) owed: Timestamp,
    /// What was written earlier is not even recognised any more.
    pub(in crate::ledger) rows: Timestamp,
}

/// Deletes the data of events that were written before `until.data`, unless a consumer is still to be given them; of those that were
/// written before `until.owed`, or are more than [`MOST_KEPT`], in any case; and the rows of those that were written before
/// `until.rows`. It goes from the beginning of the log, and up to [`FORGOTTEN_AT_ONCE`] of each. `latest` is the latest moment at which an
/// event can have been written.
pub(in crate::ledger) fn forget(
    file: &File,
    until: Until,
    now: Timestamp,
    latest: Timestamp,
) -> Result<Forgotten, StoreError> {
    let too_many = newest(file)? - MOST_KEPT;
    let forgotten = forgotten(file)?;
    let first =
        |after, is_meant: &dyn Fn(i64, Timestamp) -> bool| first(file, after, latest, is_meant);
    let data = first(forgotten, &|seq, at| at <= until.data || seq <= too_many)?;
    if let Some(up_to) = data.up_to {
        file.prepare_cached(statements::FORGET_DATA_NOT_OWED)?
            .execute([forgotten, up_to])?;
        file.execute("UPDATE events_forgotten SET up_to = ?1", [up_to])?;
    }
    let forgotten = data.up_to.unwrap_or(forgotten);
    let owed_up_to = owed_up_to(file)?;
    let owed = first(owed_up_to, &|seq, at| {
        seq <= forgotten && (at <= until.owed || seq <= too_many)
    })?;
    let mut missed = BTreeMap::new();
    if let Some(up_to) = owed.up_to {
        missed = consumers::forget(file, up_to, now)?;
        file.prepare_cached(statements::FORGET_DATA)?
            .execute([owed_up_to, up_to])?;
        file.execute("UPDATE events_forgotten SET owed_up_to = ?1", [up_to])?;
    }
    let owed_up_to = owed.up_to.unwrap_or(owed_up_to);
    let rows = first(0, &|seq, at| at <= until.rows && seq <= owed_up_to)?;
    if let Some(up_to) = rows.up_to {
        file.prepare_cached(statements::FORGET_ROWS)?
            .execute([up_to])?;
        file.execute("UPDATE events_forgotten SET rows_up_to = ?1", [up_to])?;
    }
    Ok(Forgotten {
        data: data.up_to.or(owed.up_to).is_some(),
        is_not_all: data.is_not_all || owed.is_not_all || rows.is_not_all,
        missed,
    })
}

/// A stretch of the log.
struct Stretch {
    up_to: Option<i64>,
    /// The limit ended it.
    is_not_all: bool,
}

/// The first events after this one that `is_meant`, without a gap. What was written while the clock was ahead is as old as what was written
/// next: its own time would keep all behind it until that time has come.
fn first(
    file: &File,
    after: i64,
    latest: Timestamp,
    is_meant: &dyn Fn(i64, Timestamp) -> bool,
) -> Result<Stretch, StoreError> {
    let mut statement = file.prepare_cached(statements::AGES)?;
    let mut rows = statement.query(params![after, FORGOTTEN_AT_ONCE, latest.as_millisecond()])?;
    let mut stretch = Stretch {
        up_to: None,
        is_not_all: false,
    };
    let mut looked_at = 0;
    while let Some(row) = rows.next()? {
        let at =
            Timestamp::from_millisecond(row.get("written_at")?).unwrap_or(Timestamp::UNIX_EPOCH);
        let seq = row.get("seq")?;
        if !is_meant(seq, at) {
            return Ok(stretch);
        }
        stretch.up_to = Some(seq);
        looked_at += 1;
    }
    stretch.is_not_all = looked_at == FORGOTTEN_AT_ONCE;
    Ok(stretch)
}
