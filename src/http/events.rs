//! `GET /events/stream`: what the sessions are doing, as it happens (server-sent events).
//!
//! | event | data |
//! |---|---|
//! | `sessions` | first, all sessions: the answer of `/sessions`. Not when one session is named |
//! | `session` | a session that has changed, whole: an entry of that list; with its codes (`/status`) when it is named |
//! | `stopping` | the service stops, and the stream with it |
//!
//! Whoever reads slowly misses steps on the way and never the last. A stream that is cut is opened anew and begins with all
//! there is, so nothing has to be remembered for it: the ids only count.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{
        IntoResponse as _, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};

use super::{
    caller::Caller,
    contract::Status,
    error::ApiError,
    openapi::requests::{SessionInHeader, SessionInQuery},
    state::AppState,
    status,
    target::TargetIfNamed,
};
use crate::{
    qr::QrError,
    session::{Changes, ClienteId, Snapshot},
};

/// A page in view holds two, and every one keeps a connection: enough for some thirty people who look at once.
pub(super) const MAX_STREAMS: usize = 64;

/// Proxies cut what has been silent for 30 to 60 s.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Then the stream is opened anew, and the key looked at anew: one that was revoked must not go on reading.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 60);

/// Tells nginx not to gather the events of minutes.
const UNBUFFERED: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-accel-buffering"),
    HeaderValue::from_static("no"),
);

/// What the sessions are doing, as it happens: all that the key reaches, or the one that is named, with its codes.
#[utoipa::path(get, path = "/events/stream", tag = "sessions", params(SessionInQuery, SessionInHeader), responses(
    (
        status = 200,
        description = "Server-sent events: `sessions` (as `/sessions`), `session` (an entry of it; as `/status` when one is named), `stopping`",
        body = String,
        content_type = "text/event-stream",
    ),
))]
pub(super) async fn stream(
    State(app): State<AppState>,
    caller: Caller,
    TargetIfNamed(target): TargetIfNamed,
) -> Result<Response, ApiError> {
    let feed = Feed::open(&app, target.as_ref().map(|target| &target.id))?;
    let Some(target) = target else {
        let first = Line::new("sessions", &status::listed(&app, &caller));
        let line = move |id: &ClienteId, snapshot| {
            let is_shown = caller.reaches(id);
            let listed = || Status::listed(id, snapshot, app.traffic(id));
            is_shown.then(|| Line::new("session", &listed()))
        };
        return Ok(feed.answer(Some(first), line));
    };
    let (id, lives) = (target.id.clone(), app.settings().code_lives);
    // One that is known comes by itself.
    let is_known = app.registry().find(&id).is_some();
    let unknown = (!is_known).then(|| app.snapshot(&id));
    let line = move |id: &ClienteId, snapshot| {
        let status = Status::of(target.clone(), snapshot, app.traffic(id), lives);
        Line::new("session", &drawn(status)?).into()
    };
    let first = unknown.and_then(|snapshot| line(&id, snapshot));
    Ok(feed.answer(first, line))
}

/// What can be shown. A code that cannot be drawn is a fault of this program, and is skipped.
pub(super) fn drawn<T>(shown: Result<T, QrError>) -> Option<T> {
    shown
        .inspect_err(|why| tracing::error!("a code could not be drawn: {why}"))
        .ok()
}

/// One event to be.
#[derive(Debug)]
pub(super) struct Line {
    name: &'static str,
    /// `None` for what cannot be written as JSON.
    data: Option<String>,
    is_last: bool,
}

impl Line {
    pub(super) fn new(name: &'static str, data: &impl Serialize) -> Self {
        Self {
            name,
            data: serde_json::to_string(data).ok(),
            is_last: false,
        }
    }

    /// After this one the stream ends.
    pub(super) fn last(name: &'static str, data: &impl Serialize) -> Self {
        Self {
            is_last: true,
            ..Self::new(name, data)
        }
    }
}

/// A stream with its place among all of them.
pub(super) struct Feed {
    changes: Changes,
    until: Instant,
    /// Said when that moment has come.
    last_words: Option<Line>,
    places: Vec<OwnedSemaphorePermit>,
    count: u64,
    has_ended: bool,
}

impl Feed {
    /// Takes a place, if there is one.
    pub(super) fn open(app: &AppState, only: Option<&ClienteId>) -> Result<Self, ApiError> {
        let place = Arc::clone(app.streams()).try_acquire_owned();
        Ok(Self {
            places: vec![place.map_err(|_none_left| ApiError::TooManyStreams)?],
            changes: Changes::of(Arc::clone(app.registry()), only.cloned()),
            until: Instant::now() + LONGEST_LIFE,
            last_words: None,
            count: 0,
            has_ended: false,
        })
    }

    /// Ends after `left` at the latest, with these words.
    pub(super) fn ending(mut self, left: Duration, last_words: Line) -> Self {
        let until = Instant::now() + left;
        if until < self.until {
            (self.until, self.last_words) = (until, Some(last_words));
        }
        self
    }

    /// Keeps another place as well.
    pub(super) fn holding(mut self, place: OwnedSemaphorePermit) -> Self {
        self.places.push(place);
        self
    }

    /// Goes out with what `line` makes of each change, after `first`.
    pub(super) fn answer(
        mut self,
        first: Option<Line>,
        line: impl FnMut(&ClienteId, Snapshot) -> Option<Line> + Send + 'static,
    ) -> Response {
        let first = first.map(|first| self.event(first));
        let rest = stream::unfold((self, line), async |(mut feed, mut line)| {
            let event = feed.next(&mut line).await?;
            Some((event, (feed, line)))
        });
        let events = stream::iter(first).chain(rest).map(Ok::<_, Infallible>);
        let mut response = Sse::new(events)
            .keep_alive(KeepAlive::new().interval(HEARTBEAT))
            .into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend([UNBUFFERED]);
        response
    }

    async fn next(
        &mut self,
        line: &mut impl FnMut(&ClienteId, Snapshot) -> Option<Line>,
    ) -> Option<Event> {
        while !self.has_ended {
            let line = match timeout_at(self.until, self.changes.next()).await {
                Ok(Some((id, snapshot))) => line(&id, snapshot),
                Ok(None) => Some(Line::last("stopping", &())),
                Err(_elapsed) => {
                    self.has_ended = true;
                    self.last_words.take()
                }
            };
            if let Some(line) = line {
                return Some(self.event(line));
            }
        }
        None
    }

    fn event(&mut self, line: Line) -> Event {
        self.count += 1;
        self.has_ended |= line.is_last;
        Event::default()
            .id(self.count.to_string())
            .event(line.name)
            .data(line.data.unwrap_or_default())
    }
}
