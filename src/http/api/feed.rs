//! How a stream of server-sent events goes out: its place, its length, its keepalive, and its end.
//!
//! What it says is a stream of [`Line`]s that the handler gives. A line is asked for when the caller has taken the one before, so a
//! caller that reads slowly holds up its own stream only; what it may miss is for the lines to decide. A connection that is not
//! read to the end of its time is cut.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{
        IntoResponse as _, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, StreamExt as _, stream};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::http::serve::{server::HangUp, streams::StreamPlace};

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

/// What the id of a line is.
#[derive(Clone, Copy, Debug)]
enum Id {
    /// Its number in the stream.
    Count,
    /// What the stream is opened with again to go on behind it.
    Cursor(i64),
    /// It has none: the one before goes on being the last.
    Same,
}

/// One event to be.
#[derive(Debug)]
pub(in crate::http) struct Line {
    /// `None`: only the id goes out. Every client remembers it, and none shows it.
    name: Option<&'static str>,
    /// `None` for what cannot be written as JSON.
    data: Option<String>,
    id: Id,
    is_last: bool,
}

impl Line {
    pub(super) fn new(name: &'static str, data: &impl Serialize) -> Self {
        Self {
            name: Some(name),
            data: serde_json::to_string(data).ok(),
            id: Id::Count,
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

    /// Says nothing but that a reader may go on from this cursor.
    pub(super) const fn cursor(cursor: i64) -> Self {
        Self {
            name: None,
            data: None,
            id: Id::Cursor(cursor),
            is_last: false,
        }
    }

    /// A reader who has it may go on from this cursor.
    pub(super) fn at(self, cursor: i64) -> Self {
        Self {
            id: Id::Cursor(cursor),
            ..self
        }
    }

    /// Among others whose ids are cursors.
    pub(super) fn without_id(self) -> Self {
        Self {
            id: Id::Same,
            ..self
        }
    }
}

/// A stream with its place among all of them.
pub(in crate::http) struct Feed {
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
    pub(super) fn open(place: StreamPlace, hang_up: HangUp) -> Self {
        Self {
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

    /// Goes out with these lines, as long as `is_let_in`. They end when the service stops.
    pub(super) fn answer(
        self,
        is_let_in: impl Fn() -> bool + Send + Sync + 'static,
        lines: impl Stream<Item = Line> + Send + 'static,
    ) -> Response {
        let in_time = self.keep_in_time();
        let events = stream::unfold(
            (self, is_let_in, Box::pin(lines), in_time),
            async |(mut feed, is_let_in, mut lines, in_time)| {
                let event = feed.next(&is_let_in, &mut lines).await?;
                Some((event, (feed, is_let_in, lines, in_time)))
            },
        );
        let mut response = Sse::new(events.map(Ok::<_, Infallible>))
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
        lines: &mut (impl Stream<Item = Line> + Send + Unpin),
    ) -> Option<Event> {
        while !self.has_ended {
            let until = self.until.min(Instant::now() + JUDGED_EVERY);
            let line = match timeout_at(until, lines.next()).await {
                _ if !is_let_in() => return None,
                Ok(Some(line)) => Some(line),
                Ok(None) => Some(Line::last("stopping", &()).without_id()),
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
        self.has_ended |= line.is_last;
        let event = match line.id {
            Id::Count => {
                self.count += 1;
                Event::default().id(self.count.to_string())
            }
            Id::Cursor(cursor) => Event::default().id(cursor.to_string()),
            Id::Same => Event::default(),
        };
        match line.name {
            Some(name) => event.event(name).data(line.data.unwrap_or_default()),
            None => event,
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.place.free();
    }
}
