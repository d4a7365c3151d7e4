//! Fetching what comes, as soon as its message is in the log (`MEDIA_DOWNLOAD=always`).
//!
//! ```text
//!  log ──▶ run ──▶ a lane for each session: its next files, one after another ──▶ fetching
//!           │
//!           └────▶ the place in the log: no further than the file of any lane that is not done with
//! ```
//!
//! A session that is slow, or that is not READY, holds up only its own lane. A lane has a few files in memory, and reads its next ones from
//! the log. The place is what the next service begins with, so that what one that was killed has left is fetched by it.
//!
//! A file is done with when it is fetched, and when it cannot be had: then it is left alone, a caller who asks for it has it tried again,
//! and learns why. It is not done with while the store is away, while its session is about to be READY, or when the service stops.

use std::{collections::HashMap, future::pending, panic, sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, Semaphore},
    task::JoinSet,
    time::sleep,
};

use super::{Described, Found, MediaId, OpenError, Received};
use crate::{
    ledger::{Event, EventKind, EventQuery, Ledger, Page},
    session::{ClienteId, FileError},
};

/// Its place in the log.
const NAME: &str = "media.fetch";

/// Events that are looked through together for whose files have come.
const PAGE: usize = 200;

/// Events that a lane takes from the log at a time: what is done with of them is done again after a kill, at the cost of a look
/// into the store each.
const LANE_PAGE: usize = 10;

/// Files that `MEDIA_DOWNLOAD=always` fetches at a time, over all sessions: so many sessions may be slow before they delay another one.
/// The other places are left to callers of the API, who wait.
const MOST_AT_ONCE: usize = 12;

/// The log cannot be read: it says so itself.
const LOG_RETRY: Duration = Duration::from_secs(5);

/// A phone may be about to upload again, and a page to be there again.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(20);

/// The store is away: its disk, its bucket, or the way there.
const STORE_RETRY: Duration = Duration::from_secs(10);

/// How often it is looked whether a session is READY by now.
const READY_LOOK: Duration = Duration::from_secs(1);

/// How far one session is: behind `done`, up to and with `wanted`, there is something to do.
#[derive(Clone, Copy, Debug)]
struct Lane {
    done: i64,
    wanted: i64,
}

/// What all lanes have in common.
#[derive(Debug)]
struct Bounds {
    turns: Semaphore,
    /// Held while one reads the log: many at once would have callers refused who read it.
    reading: Mutex<()>,
}

/// Fetches what comes, for as long as the service runs.
pub(super) async fn run(media: Received) {
    let ledger = media.0.registry.ledger().clone();
    let mut news = ledger.event_news();
    let mut after = begin(&ledger).await;
    let mut noted = after;
    let bounds = Arc::new(Bounds {
        turns: Semaphore::new(MOST_AT_ONCE),
        reading: Mutex::default(),
    });
    let mut lanes: HashMap<String, Lane> = HashMap::new();
    // Ends with this task. Tasks of their own: what one waits for must not stand still while this one waits for something else.
    let mut working = JoinSet::new();
    let begin_work = |working: &mut JoinSet<_>, session: String, lane: Lane| {
        working.spawn(work(media.clone(), Arc::clone(&bounds), session, lane));
    };
    loop {
        news.mark_unchanged();
        let (events, next) = match ledger.events(query(after, None, PAGE)).await {
            Ok(Page::Events { events, next }) => (events, next),
            Ok(Page::Expired { oldest, .. }) => (Vec::new(), oldest),
            Err(why) => {
                tracing::debug!(error = %why, "the log could not be read for files to fetch: {why}");
                sleep(LOG_RETRY).await;
                continue;
            }
        };
        let has_any = !events.is_empty();
        for event in events {
            if wanted_in(&media, &event).is_none() {
                continue;
            }
            let Event { seq, session, .. } = event;
            if let Some(lane) = lanes.get_mut(&session) {
                lane.wanted = seq;
            } else {
                let lane = Lane {
                    done: seq.saturating_sub(1),
                    wanted: seq,
                };
                lanes.insert(session.clone(), lane);
                begin_work(&mut working, session, lane);
            }
        }
        let is_at_end = after.replace(next) == Some(next);
        if has_any {
            note(&ledger, &mut noted, &lanes, next).await;
        }
        if !is_at_end {
            continue;
        }
        loop {
            tokio::select! {
                changed = news.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    break;
                }
                Some(worked) = working.join_next() => {
                    let (session, done) = match worked {
                        Ok(worked) => worked,
                        // Only a panic ends one before its time: it is shown where all of them are.
                        Err(why) => panic::resume_unwind(why.into_panic()),
                    };
                    if let Some(lane) = lanes.get_mut(&session) {
                        lane.done = done;
                        if lane.done < lane.wanted {
                            begin_work(&mut working, session, *lane);
                        } else {
                            lanes.remove(&session);
                        }
                    }
                    note(&ledger, &mut noted, &lanes, next).await;
                }
            }
        }
    }
}

/// Where an earlier service has stopped.
async fn begin(ledger: &Ledger) -> Option<i64> {
    loop {
        match ledger.place(NAME).await {
            Ok(place) => return place,
            Err(why) => {
                tracing::debug!(error = %why, "it could not be read how far files are fetched: {why}");
                sleep(LOG_RETRY).await;
            }
        }
    }
}

/// Notes up to where no lane has anything left to do.
async fn note(
    ledger: &Ledger,
    noted: &mut Option<i64>,
    lanes: &HashMap<String, Lane>,
    looked_at: i64,
) {
    let place = lanes.values().map(|lane| lane.done).min();
    let place = place.unwrap_or(looked_at).min(looked_at);
    if *noted == Some(place) {
        return;
    }
    match ledger.note_place(NAME, place).await {
        Ok(()) => *noted = Some(place),
        // The next service looks at these once more, and finds what is fetched.
        Err(why) => {
            tracing::debug!(error = %why, "how far files are fetched could not be noted: {why}");
        }
    }
}

fn query(after: Option<i64>, session: Option<&str>, limit: usize) -> EventQuery {
    EventQuery {
        after,
        sessions: session.map(|session| vec![session.to_owned()]),
        kinds: vec![EventKind::Message, EventKind::OwnMessage],
        limit,
    }
}

/// The file of an event, unless it is larger than `MEDIA_DOWNLOAD_MAX_MB` by its sender's word. A file that turns out larger than that is
/// given up on the way.
fn wanted_in(media: &Received, event: &Event) -> Option<Found> {
    let (id, described) = MediaId::of_event(&event.id).zip(Described::of(event))?;
    let most = media.0.options.download_most;
    let is_small = described.bytes.is_none_or(|bytes| bytes <= most);
    is_small.then_some(Found {
        id,
        described,
        is_kept: false,
    })
}

/// Does the next piece of a lane's work. Answers whose, and how far it is now.
async fn work(
    media: Received,
    bounds: Arc<Bounds>,
    session: String,
    Lane { done, wanted }: Lane,
) -> (String, i64) {
    let ledger = media.0.registry.ledger();
    let page = loop {
        let read = {
            let _reading = bounds.reading.lock().await;
            let query = query(Some(done), Some(&session), LANE_PAGE);
            ledger.events(query).await
        };
        match read {
            Ok(page) => break page,
            Err(why) => {
                tracing::debug!(error = %why, "the log could not be read for files to fetch: {why}");
                sleep(LOG_RETRY).await;
            }
        }
    };
    let done = match page {
        Page::Events { events, next } => {
            // Not the texts that came with them: this may wait for a while.
            let files: Vec<Found> = events
                .iter()
                .filter(|event| event.seq <= wanted)
                .filter_map(|event| wanted_in(&media, event))
                .collect();
            drop(events);
            for found in files {
                settle(&media, &bounds.turns, &found).await;
            }
            next.min(wanted)
        }
        Page::Expired { oldest, .. } if done < oldest => oldest.min(wanted),
        // An older copy of the log was put back: what was wanted is not there.
        Page::Expired { .. } => wanted,
    };
    (session, done)
}

/// What to do about a file that was not fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Nothing: it cannot be had now.
    Leave,
    /// The same again.
    Retry(Duration),
    /// The same again, once its session is READY, or as soon as that is not about to be.
    AwaitReady,
    /// Nothing, and the next service is to do it.
    Keep,
}

fn next(why: &OpenError, attempts: u32, session_is_coming: bool) -> Next {
    match why {
        OpenError::ShuttingDown | OpenError::Session(FileError::ShuttingDown) => Next::Keep,
        OpenError::Store(_) => Next::Retry(STORE_RETRY),
        // It has waited for a place already.
        OpenError::Busy => Next::Retry(Duration::ZERO),
        OpenError::Session(FileError::NotRunning(_)) if session_is_coming => Next::AwaitReady,
        OpenError::Session(FileError::AwaitsPhone | FileError::NoAnswer(_))
            if attempts < ATTEMPTS =>
        {
            Next::Retry(PAUSE)
        }
        OpenError::Session(_) | OpenError::OtherBytes(_) | OpenError::Range(_) => Next::Leave,
    }
}

/// Has a file fetched. Ends when it is done with, which it never is once the service stops.
async fn settle(media: &Received, turns: &Semaphore, found: &Found) {
    let registry = &media.0.registry;
    let session: Option<ClienteId> = found.described.session.parse().ok();
    let is_coming = || session.as_ref().is_some_and(|id| registry.is_coming(id));
    let mut attempts = 0;
    loop {
        let fetched = {
            // Never closed.
            let _turn = turns.acquire().await;
            media
                .fetch(found, Some(media.0.options.download_most))
                .await
        };
        let Err(why) = fetched else { return };
        attempts += 1;
        // A session that ends with the service says many things.
        let next = if registry.is_stopping() {
            Next::Keep
        } else {
            next(&why, attempts, is_coming())
        };
        match next {
            Next::Leave => {
                tracing::info!(session.id = found.described.session, media.id = %found.id, error = %why, "file {} could not be fetched: {why}", found.id);
                return;
            }
            Next::Keep => pending().await,
            Next::Retry(_) | Next::AwaitReady => {
                tracing::debug!(session.id = found.described.session, media.id = %found.id, error = %why, "file {} could not be fetched yet: {why}", found.id);
            }
        }
        if let Next::Retry(pause) = next {
            sleep(pause).await;
        } else {
            sleep(READY_LOOK).await;
            let is_ready = || {
                let session = session.as_ref().and_then(|id| registry.find(id));
                session.is_some_and(|session| session.snapshot().state.takes_sends())
            };
            while is_coming() && !is_ready() {
                sleep(READY_LOOK).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::received::StoreError;

    #[test]
    fn a_file_is_left_only_when_it_cannot_be_had_now() {
        let away = || OpenError::Store(StoreError::Folder(io::Error::other("away")));
        let session = OpenError::Session;
        let no_answer = || session(FileError::NoAnswer("closed".to_owned()));
        for (why, attempts, is_coming, wanted) in [
            // However long it takes.
            (away(), 1000, false, Next::Retry(STORE_RETRY)),
            (OpenError::Busy, 1000, false, Next::Retry(Duration::ZERO)),
            (OpenError::ShuttingDown, 1, false, Next::Keep),
            (session(FileError::ShuttingDown), 9, true, Next::Keep),
            (
                session(FileError::NotRunning("INIT")),
                1000,
                true,
                Next::AwaitReady,
            ),
            (
                session(FileError::NotRunning("QR_REQUIRED")),
                1,
                false,
                Next::Leave,
            ),
            (session(FileError::AwaitsPhone), 1, true, Next::Retry(PAUSE)),
            (session(FileError::AwaitsPhone), 3, true, Next::Leave),
            (no_answer(), 2, false, Next::Retry(PAUSE)),
            (no_answer(), 3, false, Next::Leave),
            (
                session(FileError::Gone("deleted".to_owned())),
                1,
                true,
                Next::Leave,
            ),
            (OpenError::OtherBytes("another hash"), 1, true, Next::Leave),
        ] {
            assert_eq!(next(&why, attempts, is_coming), wanted, "{why:?}");
        }
    }
}
