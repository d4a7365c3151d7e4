//! Fetching what comes, as soon as its message is in the log (`MEDIA_DOWNLOAD=always`).
//!
//! ```text
//!  log ──▶ run ──▶ a lane for each session: its next files, one after another ──▶ fetching
//!           │
//!           └────▶ the place in the log: no further than the file of any lane that is not done with
//! ```
//!
//! A session that is slow, or that is not READY, holds up only its own lane. A lane has a few files in memory, and reads its next ones from
//! the log. The next service begins at the place, so it fetches what a killed service has left.
//!
//! A file is done with when it is fetched, and when it cannot be had. In the second case nothing is done about it until a caller asks for
//! it: then it is tried again, and the caller learns why it does not come. It is not done with while the store is away, while its session is
//! about to be READY, or when the service stops.

use std::{
    collections::HashMap,
    future::pending,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
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

/// Under this name the ledger keeps how far the log was worked through.
const NAME: &str = "media.fetch";

/// How many events are read from the log at a time, to find the sessions for which files have come.
const PAGE: usize = 200;

/// How many events a lane reads from the log at a time. The place stays before them until all are done with, so after a kill the next
/// service looks each of their files up in the store once more.
const LANE_PAGE: usize = 10;

/// Files that `MEDIA_DOWNLOAD=always` fetches at a time, over all sessions: so many sessions may be slow before they delay another one.
/// The other slots are left to callers of the API, who wait.
const MOST_AT_ONCE: usize = 12;

/// The log cannot be read: it says so itself.
const LOG_RETRY: Duration = Duration::from_secs(5);

/// A phone may be about to upload again, and a page to be there again. Only what these do counts: a file may wait for a slot or for the
/// store for hours, and its phone has then not been asked yet.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(20);

/// The store is away: its disk, its bucket, or the way there. Each further time it is twice as long, up to the longest, since each try may
/// download the file again.
const STORE_RETRY: Duration = Duration::from_secs(10);
const LONGEST_STORE_RETRY: Duration = Duration::from_secs(5 * 60);

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
    slots: Semaphore,
    /// Held while one reads the log: many at once would have callers refused who read it.
    reading: Mutex<()>,
    /// How many files wait for the store.
    without_store: AtomicUsize,
}

impl Bounds {
    /// Logs the first file that the store does not take: an operator has to act.
    fn on_store_away(&self, why: &OpenError) {
        if self.without_store.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(error = %why, "files of messages cannot be kept, and are fetched once they can: {why}");
        }
    }

    /// Logs the last file that no longer waits for it.
    fn on_store_back(&self) {
        if self.without_store.fetch_sub(1, Ordering::Relaxed) == 1 {
            tracing::info!("no file of a message waits for the store any more");
        }
    }
}

/// Fetches what comes, for as long as the service runs.
pub(super) async fn run(media: Received) {
    let ledger = media.0.registry.ledger().clone();
    let mut news = ledger.event_news();
    let mut after = begin(&ledger).await;
    let mut noted = after;
    let bounds = Arc::new(Bounds {
        slots: Semaphore::new(MOST_AT_ONCE),
        reading: Mutex::default(),
        without_store: AtomicUsize::new(0),
    });
    let mut lanes: HashMap<String, Lane> = HashMap::new();
    // Ends with this task. Tasks of their own: what one waits for must not stand still while this one waits for something else.
    let mut working = JoinSet::new();
    let begin_work = |working: &mut JoinSet<_>, session: String, lane: Lane| {
        let working_on = work(media.clone(), Arc::clone(&bounds), session.clone(), lane);
        working.spawn(or_left(working_on, session, lane));
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
                    // Always so: the panics of a lane are caught, and only the end of this task cancels one.
                    let Ok((session, done)) = worked else { continue };
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

/// Does a piece of a lane's work. A fault of this program would stop it at the same file again, so the files of the lane are then left until
/// a caller asks for them. The other lanes go on.
async fn or_left(
    working: impl Future<Output = (String, i64)>,
    session: String,
    lane: Lane,
) -> (String, i64) {
    let worked = AssertUnwindSafe(working).catch_unwind().await;
    worked.unwrap_or_else(|_panicked| {
        // The text of a panic may quote a message, so it is not logged here; the panic's own line has the place.
        tracing::error!(
            session.id = session,
            "fetching the files of session {session} broke off, which is a fault of this program: they are fetched when a caller asks"
        );
        (session, lane.wanted)
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
                settle(&media, &bounds, &found).await;
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
    /// Try it again after this time.
    Retry(Duration),
    /// Try it again once its session is READY, or when the session is no longer on its way to READY.
    AwaitReady,
    /// Nothing. The next service tries it again.
    Keep,
}

/// How often a file was tried in vain.
#[derive(Debug, Default)]
struct Tries {
    /// The phone or the page gave no answer.
    of_session: u32,
    /// The store was away.
    of_store: u32,
}

impl Tries {
    fn next(&mut self, why: &OpenError, session_is_coming: bool) -> Next {
        match why {
            OpenError::ShuttingDown | OpenError::Session(FileError::ShuttingDown) => Next::Keep,
            OpenError::Store(_) => {
                let pause = STORE_RETRY.saturating_mul(2_u32.saturating_pow(self.of_store));
                self.of_store += 1;
                Next::Retry(pause.min(LONGEST_STORE_RETRY))
            }
            // It has waited for a slot already.
            OpenError::Busy => Next::Retry(Duration::ZERO),
            OpenError::Session(FileError::NotRunning(_)) if session_is_coming => Next::AwaitReady,
            OpenError::Session(FileError::AwaitsPhone | FileError::NoAnswer(_)) => {
                self.of_session += 1;
                if self.of_session < ATTEMPTS {
                    Next::Retry(PAUSE)
                } else {
                    Next::Leave
                }
            }
            OpenError::Session(
                FileError::NotRunning(_)
                | FileError::Gone(_)
                | FileError::TooLarge
                | FileError::Failed(_),
            )
            | OpenError::OtherBytes(_)
            | OpenError::Range(_)
            | OpenError::Fault => Next::Leave,
        }
    }
}

/// Has a file fetched. Returns when the file is done with, so it does not return once the service stops.
async fn settle(media: &Received, bounds: &Bounds, found: &Found) {
    let mut tries = Tries::default();
    try_until_done(media, bounds, found, &mut tries).await;
    if 0 < tries.of_store {
        bounds.on_store_back();
    }
}

async fn try_until_done(media: &Received, bounds: &Bounds, found: &Found, tries: &mut Tries) {
    let registry = &media.0.registry;
    let session: Option<ClienteId> = found.described.session.parse().ok();
    let is_coming = || session.as_ref().is_some_and(|id| registry.is_coming(id));
    loop {
        let fetched = {
            // Never closed.
            let _slot = bounds.slots.acquire().await;
            media
                .fetch(found, Some(media.0.options.download_most))
                .await
        };
        let Err(why) = fetched else { return };
        let was_away = 0 < tries.of_store;
        // A session that ends with the service says many things.
        let next = if registry.is_stopping() {
            Next::Keep
        } else {
            tries.next(&why, is_coming())
        };
        if 0 < tries.of_store && !was_away {
            bounds.on_store_away(&why);
        }
        match next {
            Next::Leave if matches!(why, OpenError::Fault) => {
                tracing::error!(session.id = found.described.session, media.id = %found.id, error = %why, "file {} could not be fetched: {why}", found.id);
                return;
            }
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
        let away = || OpenError::Store(StoreError::from(io::Error::other("away")));
        let session = OpenError::Session;
        let no_answer = || session(FileError::NoAnswer("closed".to_owned()));
        for (why, is_coming, wanted) in [
            (away(), false, Next::Retry(STORE_RETRY)),
            (OpenError::Busy, false, Next::Retry(Duration::ZERO)),
            (OpenError::ShuttingDown, false, Next::Keep),
            (session(FileError::ShuttingDown), true, Next::Keep),
            (
                session(FileError::NotRunning("INIT")),
                true,
                Next::AwaitReady,
            ),
            (
                session(FileError::NotRunning("QR_REQUIRED")),
                false,
                Next::Leave,
            ),
            (session(FileError::AwaitsPhone), true, Next::Retry(PAUSE)),
            (no_answer(), false, Next::Retry(PAUSE)),
            (
                session(FileError::Gone("deleted".to_owned())),
                true,
                Next::Leave,
            ),
            (session(FileError::TooLarge), true, Next::Leave),
            (OpenError::OtherBytes("another hash"), true, Next::Leave),
            (OpenError::Fault, true, Next::Leave),
        ] {
            let next = Tries::default().next(&why, is_coming);
            assert_eq!(next, wanted, "{why:?}");
        }
    }

    #[test]
    fn only_what_phone_and_page_do_is_counted_and_a_store_that_is_away_is_asked_ever_more_seldom() {
        let mut tries = Tries::default();
        let mut pauses = Vec::new();
        for _ in 0..100 {
            let away = OpenError::Store(StoreError::from(io::Error::other("away")));
            let Next::Retry(pause) = tries.next(&away, true) else {
                panic!("a file is left while the store is away");
            };
            pauses.push(pause.as_secs());
            for why in [
                OpenError::Busy,
                OpenError::Session(FileError::NotRunning("INIT")),
            ] {
                assert!(!matches!(tries.next(&why, true), Next::Leave | Next::Keep));
            }
        }
        assert_eq!(pauses[..7], [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(pauses[99], 300);
        // The phone has all of its tries.
        let phone = OpenError::Session(FileError::AwaitsPhone);
        for wanted in [Next::Retry(PAUSE), Next::Retry(PAUSE), Next::Leave] {
            assert_eq!(tries.next(&phone, true), wanted);
        }
    }

    #[tokio::test]
    async fn a_lane_that_breaks_off_ends_with_its_files_left_and_ends_nothing_else() {
        let lane = Lane { done: 3, wanted: 9 };
        let broken = or_left(async { panic!("a fault") }, "51".to_owned(), lane);
        assert_eq!(broken.await, ("51".to_owned(), 9));
        let done = async { ("51".to_owned(), 7) };
        let worked = or_left(done, "51".to_owned(), lane).await;
        assert_eq!(worked, ("51".to_owned(), 7));
    }
}
