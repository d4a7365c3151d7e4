//! Fetching what comes, as soon as its message is in the log (`MEDIA_DOWNLOAD=always`).
//!
//! Goes through the log from the place up to which an earlier service has done so, so that what one that was killed has left is fetched
//! by the next one. A file that cannot be had is left alone: a caller who asks for it has it tried again, and learns why.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::sleep;

use super::{Described, Found, MOST_FETCHES, MediaId, OpenError, Received};
use crate::{
    ledger::{Event, EventKind, EventQuery, Ledger, Page},
    session::FileError,
};

/// Its place in the log.
const NAME: &str = "media.fetch";

/// Events that are looked at together.
const PAGE: usize = 200;

/// The log cannot be read: it says so itself.
const LOG_RETRY: Duration = Duration::from_secs(5);

/// A session that has just begun to hear may not be READY yet, and a phone may be about to upload again.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(20);

/// Fetches what comes, for as long as the service runs.
pub(super) async fn run(media: Received) {
    let ledger = media.0.registry.ledger().clone();
    let mut news = ledger.event_news();
    let mut after = begin(&ledger).await;
    loop {
        news.mark_unchanged();
        let query = EventQuery {
            after,
            kinds: vec![EventKind::Message, EventKind::OwnMessage],
            limit: PAGE,
            ..EventQuery::default()
        };
        let (events, next) = match ledger.events(query).await {
            Ok(Page::Events { events, next }) => (events, next),
            Ok(Page::Expired { oldest, .. }) => (Vec::new(), oldest),
            Err(why) => {
                tracing::debug!(error = %why, "the log could not be read for files to fetch: {why}");
                sleep(LOG_RETRY).await;
                continue;
            }
        };
        let has_any = !events.is_empty();
        stream::iter(events)
            .for_each_concurrent(MOST_FETCHES, |event| fetch(&media, event))
            .await;
        let is_at_end = after.replace(next) == Some(next);
        if has_any && let Err(why) = ledger.note_place(NAME, next).await {
            // The next service looks at these once more, and finds what is fetched.
            tracing::debug!(error = %why, "how far files are fetched could not be noted: {why}");
        }
        if is_at_end && news.changed().await.is_err() {
            return;
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

async fn fetch(media: &Received, event: Event) {
    let Some((id, described)) = MediaId::of_event(&event.id).zip(Described::of(&event)) else {
        return;
    };
    let found = Found {
        id,
        described,
        is_kept: false,
    };
    for attempt in 1..=ATTEMPTS {
        match media.fetch(&found).await {
            Ok(()) => return,
            Err(
                why @ OpenError::Session(
                    FileError::NotRunning(_)
                    | FileError::AwaitsPhone
                    | FileError::NoAnswer(_)
                    | FileError::ShuttingDown,
                ),
            ) if attempt < ATTEMPTS => {
                tracing::debug!(error = %why, "a file could not be fetched yet: {why}");
                sleep(PAUSE).await;
            }
            Err(why) => {
                tracing::info!(session.id = found.described.session, media.id = %found.id, error = %why, "file {} could not be fetched: {why}", found.id);
                return;
            }
        }
    }
}
