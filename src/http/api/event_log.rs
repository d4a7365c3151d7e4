//! `GET /events`: the log of events, read in order from a cursor, and waited for.
//!
//! What is in the log, for how long and how often, the ledger decides. `GET /events/stream` is in [`events`](super::events); what it
//! shows of the log comes from here.

use std::{borrow::Cow, collections::VecDeque, pin::Pin, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, State},
    http::request::Parts,
};
use futures_util::{Stream, stream};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{feed::Line, paging};
use crate::{
    delivery,
    http::{
        guard::{caller::Caller, purpose, reach::TargetIfNamed},
        state::AppState,
        wire::{
            contract::{Event, Events},
            error::ApiError,
            extract::{CLIENTE_ID, Json},
            parameters::{EventsInQuery, SessionInHeader},
            spelling::LONGEST_NAME,
            target::Target,
        },
    },
    keys::Scope,
    ledger::{self, EventKind, EventQuery, Page},
    session::Registry,
};

/// Proxies cut what has been silent for a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Callers that wait at once. Each keeps a connection, and the service takes 512; together with those that wait for READY they
/// leave some for the other requests.
pub(in crate::http) const MOST_WAITS: usize = 128;

/// Events that a stream has in memory: a text has 64 KiB at most, and there are 64 streams.
const STREAM_PAGE: usize = 20;

/// So far behind may the last id of a stream be while nothing comes that its reader wants: a reader that goes on from there
/// looks at these again, and must not find them forgotten.
const UNTOLD: i64 = 100;

/// What `types` of a stream means by what the sessions are doing, which is not in the log.
const SESSIONS: &str = "session";

const TYPES: &str = "types";
const AFTER: &str = "after";
const LIMIT: &str = "limit";
const WAIT: &str = "wait";
const LAST_EVENT_ID: &str = "last-event-id";

/// The same, as event-source-polyfill says it, which browsers need to send a key.
const LAST_EVENT_ID_IN_QUERY: &str = "lastEventId";

/// What `GET /events` knows. A misspelt `types` would show everything, and a misspelt `cliente_id` the events of others, so nothing
/// else is ignored, but for what pages add against caches.
const KNOWN: [&str; 5] = [CLIENTE_ID, TYPES, AFTER, LIMIT, WAIT];

/// What its stream knows. Without `types` and `after` it is older than the log, and others may have added parameters to it.
const KNOWN_OF_STREAM: [&str; 4] = [CLIENTE_ID, TYPES, AFTER, LAST_EVENT_ID_IN_QUERY];

/// Which events a request means.
#[derive(Debug)]
pub(in crate::http) struct Wanted {
    query: EventQuery,
    /// Only what comes from now on.
    is_from_now: bool,
    wait: Duration,
}

impl Wanted {
    /// What these parameters say, where they come from `GET /events`.
    fn of<'a>(
        parameters: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
        caller: &Caller,
    ) -> Result<Self, ApiError> {
        let mut wanted = Self {
            query: EventQuery {
                sessions: paging::sessions_of(caller),
                limit: paging::PAGE,
                ..EventQuery::default()
            },
            is_from_now: false,
            wait: Duration::ZERO,
        };
        let query = &mut wanted.query;
        for (name, value) in parameters {
            match name.as_ref() {
                TYPES => query.kinds = kinds(&value)?,
                AFTER if value == "latest" => wanted.is_from_now = true,
                AFTER => {
                    query.after = Some(cursor(&value).ok_or(ApiError::InvalidCursor)?);
                }
                LIMIT => query.limit = paging::limit(&value)?,
                WAIT => {
                    let wait = value.parse().ok().map(Duration::from_secs);
                    let wait = wait.filter(|wait| *wait <= LONGEST_WAIT);
                    wanted.wait = wait.ok_or(ApiError::InvalidEventWait)?;
                }
                // The session, which `TargetIfNamed` finds, as the header may have it; or what is added against caches.
                _ => {}
            }
        }
        Ok(wanted)
    }

    /// Only those of the session that is named, if one is.
    fn of_session(&mut self, target: Option<&Target>) {
        if let Some(target) = target {
            self.query.sessions = Some(vec![target.id.to_string()]);
        }
    }
}

impl FromRequestParts<AppState> for Wanted {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &AppState) -> Result<Self, ApiError> {
        purpose::check_parameters(parts.uri.query(), &KNOWN)?;
        let caller = Caller::of(&parts.extensions)?;
        Self::of(parameters(parts), caller)
    }
}

/// What a stream is asked to show.
#[derive(Debug)]
pub(in crate::http) struct StreamWanted {
    /// What the sessions are doing.
    pub(super) sessions: bool,
    /// `types` says so: a client that gives `types` treats ids as cursors.
    pub(super) is_named: bool,
    /// Which events of the log.
    log: Option<Wanted>,
}

impl FromRequestParts<AppState> for StreamWanted {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &AppState) -> Result<Self, ApiError> {
        let given = |wanted: &str| {
            let mut parameters = parameters(parts);
            parameters.find_map(|(name, value)| (name == wanted).then_some(value))
        };
        let (types, after) = (given(TYPES), given(AFTER));
        let words = types.as_ref().map(|types| types.split(',').map(str::trim));
        let words = words.map(Iterator::collect::<Vec<_>>);
        let (sessions, types) = match (&words, after) {
            (None, None) => (true, None),
            (None, Some(_)) => (false, Some(None)),
            (Some(words), _) => {
                let of_log = words.iter().copied().filter(|word| *word != SESSIONS);
                let of_log: Vec<_> = of_log.collect();
                let of_log = (!of_log.is_empty()).then(|| Some(of_log.join(",")));
                (words.contains(&SESSIONS), of_log)
            }
        };
        let Some(types) = types else {
            return Ok(Self {
                sessions,
                is_named: words.is_some(),
                log: None,
            });
        };
        purpose::check_parameters(parts.uri.query(), &KNOWN_OF_STREAM)?;
        let caller = Caller::of(&parts.extensions)?;
        if !caller.may(Scope::Receive) {
            return Err(ApiError::ScopeMissing(Scope::Receive));
        }
        let of_log = parameters(parts).filter(|(name, _)| name == AFTER);
        let types = types.map(|types| (Cow::Borrowed(TYPES), Cow::Owned(types)));
        let mut wanted = Wanted::of(of_log.chain(types), caller)?;
        let in_header = parts.headers.get(LAST_EVENT_ID);
        let in_header = in_header.map(|last| String::from_utf8_lossy(last.as_bytes()));
        let in_header = in_header.filter(|last| !last.is_empty());
        let last = in_header.or_else(|| given(LAST_EVENT_ID_IN_QUERY));
        if let Some(last) = last.filter(|last| !last.is_empty()) {
            let last = cursor(&last);
            wanted.query.after = Some(last.ok_or(ApiError::InvalidCursor)?);
            wanted.is_from_now = false;
        }
        wanted.query.limit = STREAM_PAGE;
        Ok(Self {
            sessions,
            is_named: words.is_some(),
            log: Some(wanted),
        })
    }
}

impl StreamWanted {
    /// The lines about the log, if any are wanted; of the session that is named, if one is.
    pub(super) async fn open(
        self,
        app: &AppState,
        target: Option<&Target>,
    ) -> Result<Option<impl Stream<Item = Line> + Send + use<>>, ApiError> {
        let Some(mut wanted) = self.log else {
            return Ok(None);
        };
        wanted.of_session(target);
        let mut tail = Tail::open(app, &wanted).await?;
        // What cannot be read is refused before the stream begins.
        let events = tail.read().await?.into();
        let lines = Lines {
            tail,
            events,
            told: None,
        };
        Ok(Some(stream::unfold(lines, Lines::next)))
    }
}

fn parameters(parts: &Parts) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
}

/// A cursor, as an answer or a line of a stream has it.
fn cursor(value: &str) -> Option<i64> {
    value.parse().ok().filter(|cursor| 0 <= *cursor)
}

/// The kinds in a list such as `message,session.status`.
fn kinds(list: &str) -> Result<Vec<EventKind>, ApiError> {
    let mut kinds = Vec::new();
    for word in list.split(',').map(str::trim) {
        let meant = delivery::kinds(word);
        if meant.is_empty() {
            let word = word.chars().take(LONGEST_NAME).collect();
            return Err(ApiError::InvalidEventTypes { word });
        }
        kinds.extend(meant);
    }
    Ok(kinds)
}

/// The log, as one reader follows it.
#[derive(Debug)]
struct Tail {
    registry: Arc<Registry>,
    query: EventQuery,
    news: watch::Receiver<i64>,
    /// The last part was not the end: there may be more behind it.
    has_moved: bool,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Tail {
    async fn open(app: &AppState, wanted: &Wanted) -> Result<Self, ApiError> {
        let ledger = app.registry.ledger();
        let mut query = wanted.query.clone();
        if wanted.is_from_now {
            query.after = Some(ledger.newest_event().await?);
        }
        Ok(Self {
            news: ledger.event_news(),
            registry: Arc::clone(&app.registry),
            query,
            has_moved: false,
            stopping: Box::pin(app.registry.stopping()),
        })
    }

    /// The next part of the log. It may have nothing of interest to this reader; then the cursor moves all the same.
    async fn read(&mut self) -> Result<Vec<ledger::Event>, ApiError> {
        // Seen before the log is read: what is written after that is news.
        self.news.mark_unchanged();
        let page = self.registry.ledger().events(self.query.clone()).await;
        if page.is_err() && self.registry.is_stopping() {
            // The ledger is closed last, after this reader was to be told.
            return Err(ApiError::ShuttingDown);
        }
        match page? {
            Page::Events { events, next } => {
                self.has_moved = self.query.after != Some(next);
                self.query.after = Some(next);
                Ok(events)
            }
            Page::Expired { oldest, newest } if self.query.after > Some(newest) => {
                Err(ApiError::CursorAhead { oldest, newest })
            }
            Page::Expired { oldest, .. } => Err(ApiError::CursorExpired(oldest)),
        }
    }

    /// The cursor behind what was read.
    fn cursor(&self) -> i64 {
        self.query.after.unwrap_or_default()
    }

    /// Waits until something was written behind what was read. `false`: the service stops.
    async fn has_news(&mut self) -> bool {
        tokio::select! {
            changed = self.news.changed() => changed.is_ok(),
            () = &mut self.stopping => false,
        }
    }
}

/// The log, as the lines of a stream.
struct Lines {
    tail: Tail,
    events: VecDeque<ledger::Event>,
    /// The last id that went out.
    told: Option<i64>,
}

impl Lines {
    async fn next(mut self) -> Option<(Line, Self)> {
        loop {
            if let Some(event) = self.events.pop_front() {
                self.told = Some(event.seq);
                let line = Line::new(event.kind.as_str(), &Event::of(&event)).at(event.seq);
                return Some((line, self));
            }
            let cursor = self.tail.cursor();
            if self.told.is_none_or(|told| told + UNTOLD <= cursor) {
                self.told = Some(cursor);
                return Some((Line::cursor(cursor), self));
            }
            if !self.tail.has_moved && !self.tail.has_news().await {
                return None;
            }
            match self.tail.read().await {
                Ok(events) => self.events = events.into(),
                Err(why) => {
                    let line = Line::last("refused", &why.in_stream()).without_id();
                    return Some((line, self));
                }
            }
        }
    }
}

/// Reads the log of events: messages that came in or were sent, and what became of them. To get the next ones, give the `next`
/// of the answer as `after`.
#[utoipa::path(get, path = "/events", tag = "events", params(EventsInQuery, SessionInHeader), responses(
    (status = 200, description = "A part of the log; empty when nothing is new", body = Events, content_type = "application/json"),
))]
pub(in crate::http) async fn read(
    State(app): State<AppState>,
    caller: Caller,
    mut wanted: Wanted,
    TargetIfNamed(target): TargetIfNamed,
) -> Result<Json<Events>, ApiError> {
    wanted.of_session(target.as_ref());
    let mut tail = Tail::open(&app, &wanted).await?;
    if wanted.is_from_now && wanted.wait.is_zero() {
        return Ok(Json(Events::of(&[], tail.cursor())));
    }
    let until = Instant::now() + wanted.wait;
    // A caller too many is answered at once. It asks again, as it would after a wait in vain.
    let place = app.event_waits.try_acquire().ok();
    loop {
        let events = tail.read().await?;
        if !caller.is_still_let_in(&app.keys) {
            // Its key was revoked, or has expired, while it waited.
            return Err(ApiError::Unauthorized);
        }
        let is_over = place.is_none() || until <= Instant::now();
        if !events.is_empty() || is_over {
            return Ok(Json(Events::of(&events, tail.cursor())));
        }
        if tail.has_moved {
            // There was something, of no interest to this caller. There may be more behind it.
            continue;
        }
        if timeout_at(until, tail.has_news()).await == Ok(false) {
            return Ok(Json(Events::of(&[], tail.cursor())));
        }
    }
}
