//! `GET /events/stream`: what the sessions are doing, as it happens (server-sent events).
//!
//! | event | data |
//! |---|---|
//! | `sessions` | first, and whenever one is not known any more: the answer of `/sessions`. Not when one session is named |
//! | `session` | a session that has changed, whole: an entry of that list; with its codes (`/status`) when it is named |
//! | `stopping` | the service stops, and the stream with it |
//!
//! A caller that reads slowly misses steps on the way, and never the last. A caller opens a stream that was cut again, and it begins with
//! all there is, so nothing has to be remembered for it: the ids only count.

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
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::status;
use crate::{
    http::{
        guard::{caller::Caller, client::Client, reach::TargetIfNamed},
        serve::{
            server::HangUp,
            streams::{Holder, StreamPlace},
        },
        state::AppState,
        wire::{
            contract::Status,
            error::ApiError,
            parameters::{SessionInHeader, SessionInQuery},
        },
    },
    qr::QrError,
    session::{Changes, ClienteId, Snapshot},
};

/// Proxies cut what has been silent for 30 to 60 s.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// So soon a key that was revoked reads no more, also when nothing happens. To look costs microseconds.
const JUDGED_EVERY: Duration = Duration::from_secs(5);

/// Then the caller opens the stream again. A connection that a proxy on the way has forgotten is found out by that.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 60);

/// After its end, for the last words to be taken. A stream that its caller does not read is not asked for more, so it does not notice its end:
/// then the connection is cut.
const FAREWELL: Duration = Duration::from_secs(15);

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
pub(in crate::http) async fn stream(
    State(app): State<AppState>,
    caller: Caller,
    client: Client,
    hang_up: HangUp,
    TargetIfNamed(target): TargetIfNamed,
) -> Result<Response, ApiError> {
    let place = app.streams.take(Holder::of(&caller, client))?;
    let named = target.as_ref().map(|target| &target.id);
    let feed = Feed::open(&app, named, place, hang_up);
    let is_let_in = {
        let (app, caller) = (app.clone(), caller.clone());
        move || caller.is_still_let_in(&app.keys)
    };
    let Some(target) = target else {
        let first = Line::new("sessions", &status::listed(&app, &caller));
        let line = move |id: &ClienteId, snapshot| {
            let is_shown = caller.reaches(id);
            if is_shown && app.registry.find(id).is_none() {
                // It is not among them any more.
                return Some(Line::new("sessions", &status::listed(&app, &caller)));
            }
            let listed = || Status::listed(id, snapshot, status::traffic(&app, id));
            is_shown.then(|| Line::new("session", &listed()))
        };
        return Ok(feed.answer(Some(first), is_let_in, line));
    };
    let (id, lives) = (target.id.clone(), app.config.code_lives());
    // One that is known comes by itself.
    let is_known = app.registry.find(&id).is_some();
    let unknown = (!is_known).then(|| status::snapshot(&app, &id));
    let line = move |id: &ClienteId, snapshot| {
        let status = Status::of(target.clone(), snapshot, status::traffic(&app, id), lives);
        Line::new("session", &drawn(status)?).into()
    };
    let first = unknown.and_then(|snapshot| line(&id, snapshot));
    Ok(feed.answer(first, is_let_in, line))
}

/// What can be shown. A code that cannot be drawn is a fault of this program, and is skipped.
pub(super) fn drawn<T>(shown: Result<T, QrError>) -> Option<T> {
    shown
        .inspect_err(|why| tracing::error!("a code could not be drawn: {why}"))
        .ok()
}

/// One event to be.
#[derive(Debug)]
pub(in crate::http) struct Line {
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
pub(in crate::http) struct Feed {
    changes: Changes,
    until: Instant,
    /// Said when that moment has come.
    last_words: Option<Line>,
    place: Held,
    hang_up: HangUp,
    count: u64,
    has_ended: bool,
}

/// A place that is free again when the stream is dropped, or when its time is over.
#[derive(Clone)]
struct Held(Arc<Mutex<Option<StreamPlace>>>);

impl Held {
    fn free(&self) {
        let place = self.0.lock().take();
        drop(place);
    }
}

impl Feed {
    /// In this place.
    pub(super) fn open(
        app: &AppState,
        only: Option<&ClienteId>,
        place: StreamPlace,
        hang_up: HangUp,
    ) -> Self {
        Self {
            changes: Changes::of(Arc::clone(&app.registry), only.cloned()),
            until: Instant::now() + LONGEST_LIFE,
            last_words: None,
            place: Held(Arc::new(Mutex::new(Some(place)))),
            hang_up,
            count: 0,
            has_ended: false,
        }
    }

    /// Ends after `left` at the latest, with these words.
    pub(super) fn ending(mut self, left: Duration, last_words: Line) -> Self {
        let until = Instant::now() + left;
        if until < self.until {
            (self.until, self.last_words) = (until, Some(last_words));
        }
        self
    }

    /// Goes out with what `line` makes of each change, after `first`, as long as `is_let_in`.
    pub(super) fn answer(
        mut self,
        first: Option<Line>,
        is_let_in: impl Fn() -> bool + Send + Sync + 'static,
        line: impl FnMut(&ClienteId, Snapshot) -> Option<Line> + Send + 'static,
    ) -> Response {
        let first = first.map(|first| self.event(first));
        let in_time = self.keep_in_time();
        let rest = stream::unfold(
            (self, is_let_in, line, in_time),
            async |(mut feed, is_let_in, mut line, in_time)| {
                let event = feed.next(&is_let_in, &mut line).await?;
                Some((event, (feed, is_let_in, line, in_time)))
            },
        );
        let events = stream::iter(first).chain(rest).map(Ok::<_, Infallible>);
        let mut response = Sse::new(events)
            .keep_alive(KeepAlive::new().interval(HEARTBEAT))
            .into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend([UNBUFFERED]);
        response
    }

    /// Frees the place and cuts the connection once the time is over, unless what is given back has been dropped by then.
    fn keep_in_time(&self) -> DropGuard {
        let (ended, place, hang_up) = (
            CancellationToken::new(),
            self.place.clone(),
            self.hang_up.clone(),
        );
        let over = self.until + FAREWELL;
        let guard = ended.clone().drop_guard();
        tokio::spawn(async move {
            if timeout_at(over, ended.cancelled()).await.is_err() {
                place.free();
                hang_up.now();
            }
        });
        guard
    }

    async fn next(
        &mut self,
        is_let_in: &(impl Fn() -> bool + Sync),
        line: &mut impl FnMut(&ClienteId, Snapshot) -> Option<Line>,
    ) -> Option<Event> {
        while !self.has_ended {
            let until = self.until.min(Instant::now() + JUDGED_EVERY);
            let change = timeout_at(until, self.changes.next()).await;
            let line = match change {
                _ if !is_let_in() => return None,
                Ok(Some((id, snapshot))) => line(&id, snapshot),
                Ok(None) => Some(Line::last("stopping", &())),
                Err(_elapsed) if Instant::now() < self.until => None,
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

impl Drop for Feed {
    fn drop(&mut self) {
        self.place.free();
    }
}
