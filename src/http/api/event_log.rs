//! `GET /events`: the log of events, read in order from a cursor, and waited for.
//!
//! What is in the log, for how long and how often, the ledger decides. `GET /events/stream` shows states of sessions and is
//! [`events`](super::events).

use std::time::Duration;

use axum::{
    extract::{FromRequestParts, State},
    http::request::Parts,
};
use tokio::time::{Instant, sleep_until};

use crate::{
    http::{
        guard::{caller::Caller, purpose, reach},
        state::AppState,
        wire::{
            contract::Events,
            error::ApiError,
            extract::{CLIENTE_ID, Json},
            parameters::EventsInQuery,
        },
    },
    ledger::{EventKind, EventQuery, Page},
    session::ClienteId,
};

/// Events in one answer, unless the caller wants fewer.
const PAGE: usize = 100;

/// The most that a caller may ask for at once: some kilobytes each at most.
const LARGEST_PAGE: usize = 1000;

/// Proxies cut what has been silent for a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Callers that wait at once. Each keeps a connection, and the service takes 512; together with those that wait for READY they
/// leave some for the other requests.
pub(in crate::http) const MOST_WAITS: usize = 128;

/// What `types` means by all messages, whoever wrote them.
const ANY_MESSAGE: &str = "message.any";

/// Which events a query means.
#[derive(Debug)]
pub(in crate::http) struct Wanted {
    query: EventQuery,
    /// Only what comes from now on.
    is_from_now: bool,
    wait: Duration,
}

impl FromRequestParts<AppState> for Wanted {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        purpose::check_read(parts, app)?;
        let caller = Caller::of(&parts.extensions)?;
        let texts = |ids: Vec<&ClienteId>| ids.into_iter().map(ClienteId::to_string).collect();
        let mut wanted = Self {
            query: EventQuery {
                sessions: caller.limited_to().map(texts),
                limit: PAGE,
                ..EventQuery::default()
            },
            is_from_now: false,
            wait: Duration::ZERO,
        };
        let query = &mut wanted.query;
        let raw = parts.uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
            match name.as_ref() {
                CLIENTE_ID if value.is_empty() => return Err(ApiError::ClienteIdRequired),
                CLIENTE_ID => {
                    let id: ClienteId = value.parse()?;
                    let session = reach::serving(app, &id);
                    caller.authorize(session)?;
                    query.sessions = Some(vec![session.to_string()]);
                }
                "types" => query.kinds = kinds(&value)?,
                "after" if value == "latest" => wanted.is_from_now = true,
                "after" => {
                    let after = value.parse().map_err(|_| ApiError::InvalidCursor)?;
                    query.after = Some(after);
                }
                "limit" => {
                    let limit = value.parse().ok();
                    let limit = limit.filter(|limit| (1..=LARGEST_PAGE).contains(limit));
                    query.limit = limit.ok_or(ApiError::InvalidLimit)?;
                }
                "wait" => {
                    let wait = value.parse().ok().map(Duration::from_secs);
                    let wait = wait.filter(|wait| *wait <= LONGEST_WAIT);
                    wanted.wait = wait.ok_or(ApiError::InvalidEventWait)?;
                }
                // As everywhere: what is not known is left alone.
                _ => {}
            }
        }
        Ok(wanted)
    }
}

/// The kinds in a list such as `message,session.status`.
fn kinds(list: &str) -> Result<Vec<EventKind>, ApiError> {
    let mut kinds = Vec::new();
    for word in list.split(',').map(str::trim) {
        match (word, EventKind::named(word)) {
            (ANY_MESSAGE, _) => kinds.extend([EventKind::Message, EventKind::OwnMessage]),
            (_, Some(kind)) => kinds.push(kind),
            (_, None) => return Err(ApiError::InvalidEventTypes),
        }
    }
    Ok(kinds)
}

/// Reads the log of events: messages that came in or were sent, and what became of them. To get the next ones, give the `next`
/// of the answer as `after`.
#[utoipa::path(get, path = "/events", tag = "events", params(EventsInQuery), responses(
    (status = 200, description = "A part of the log; empty when nothing is new", body = Events, content_type = "application/json"),
))]
pub(in crate::http) async fn read(
    State(app): State<AppState>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Json<Events>, ApiError> {
    let ledger = app.registry.ledger();
    let mut query = wanted.query;
    if wanted.is_from_now {
        let newest = ledger.newest_event().await?;
        if wanted.wait.is_zero() {
            return Ok(Json(Events::of(&[], newest)));
        }
        query.after = Some(newest);
    }
    let until = Instant::now() + wanted.wait;
    // A caller too many is answered at once. It asks again, as it would after a wait in vain.
    let place = app.event_waits.try_acquire().ok();
    let mut news = ledger.event_news();
    loop {
        // Seen before the log is read: what is written after that wakes this request.
        news.mark_unchanged();
        let (events, next) = match ledger.events(query.clone()).await? {
            Page::Events { events, next } => (events, next),
            Page::Expired { oldest } => return Err(ApiError::CursorExpired(oldest)),
        };
        let is_over =
            place.is_none() || until <= Instant::now() || !caller.is_still_let_in(&app.keys);
        if !events.is_empty() || is_over {
            return Ok(Json(Events::of(&events, next)));
        }
        if query.after != Some(next) {
            // There was something, of no interest to this caller. There may be more behind it.
            query.after = Some(next);
            continue;
        }
        tokio::select! {
            changed = news.changed() => if changed.is_err() {
                return Ok(Json(Events::of(&[], next)));
            },
            () = sleep_until(until) => {}
            () = app.registry.stopping() => return Ok(Json(Events::of(&[], next))),
        }
    }
}
