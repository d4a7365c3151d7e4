//! `GET /events/stream`: what the sessions are doing, as it happens, and the events of the log, as they are written (server-sent
//! events).
//!
//! | event | data |
//! |---|---|
//! | `sessions` | first, and whenever one is not known any more: the answer of `/sessions`. Not when one session is named |
//! | `session` | a session that has changed, whole: an entry of that list; with its codes (`/status`) when it is named |
//! | `message`, `session.status`, … | where `types` or `after` ask for it: an event of the log, as in the answer of `/events` |
//! | `refused` | the log cannot be read on, and the stream ends: the answer that a new request would get |
//! | `stopping` | the service stops, and the stream with it |
//!
//! Of what the sessions are doing, a caller that reads slowly misses steps on the way, and never the last. It opens a stream that was
//! cut again, and that begins with all there is, so nothing has to be remembered for it: without `types` the ids only count, and with
//! `types=session` there are none. Of the log it misses
//! nothing: the ids are cursors, and a stream that is opened with the last one goes on behind it.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use futures_util::{Stream, StreamExt as _, stream};

use super::{
    event_log::StreamWanted,
    feed::{Feed, Line},
    status,
};
use crate::{
    http::{
        guard::{caller::Caller, client::Client, reach::TargetIfNamed},
        serve::{server::HangUp, streams::Holder},
        state::AppState,
        wire::{
            contract::Status,
            error::ApiError,
            parameters::{LastEventId, SessionInHeader, SessionInQuery, StreamInQuery},
            target::Target,
        },
    },
    qr::QrError,
    session::{Changes, ClienteId, Snapshot},
};

/// What the sessions are doing, as it happens: all that the key reaches, or the one that is named, with its codes. With `types` or
/// `after`: the events of the log, for which the key needs the scope `receive`.
#[utoipa::path(get, path = "/events/stream", tag = "events", params(SessionInQuery, StreamInQuery, SessionInHeader, LastEventId), responses(
    (
        status = 200,
        description = "Server-sent events. Of the sessions: `sessions` (as `/sessions`), `session` (an entry of it; as `/status` when one is named). Of the log: each under its type, as in the answer of `/events`, with the cursor as its id; an id alone says from where to go on; `refused`, the answer that a new request would get, ends the stream. `stopping`: the service stops",
        body = String,
        content_type = "text/event-stream",
    ),
))]
pub(in crate::http) async fn stream(
    State(app): State<AppState>,
    caller: Caller,
    client: Client,
    hang_up: HangUp,
    wanted: StreamWanted,
    TargetIfNamed(target): TargetIfNamed,
) -> Result<Response, ApiError> {
    let place = app.streams.take(Holder::of(&caller, client))?;
    let feed = Feed::open(place, hang_up);
    let is_let_in = {
        let (app, caller) = (app.clone(), caller.clone());
        move || caller.is_still_let_in(&app.keys)
    };
    let (shows_sessions, is_named) = (wanted.sessions, wanted.is_named);
    let log = wanted.open(&app, target.as_ref()).await?;
    Ok(match log {
        None if is_named => {
            let sessions = sessions(app, caller, target).map(Line::without_id);
            feed.answer(is_let_in, sessions)
        }
        None => feed.answer(is_let_in, sessions(app, caller, target)),
        Some(log) if shows_sessions => {
            let sessions = sessions(app, caller, target).map(Line::without_id);
            feed.answer(is_let_in, stream::select(sessions, log))
        }
        Some(log) => feed.answer(is_let_in, log),
    })
}

/// What the sessions are doing, from what they are doing now.
fn sessions(
    app: AppState,
    caller: Caller,
    target: Option<Target>,
) -> impl Stream<Item = Line> + Send + 'static {
    let id = target.as_ref().map(|target| target.id.clone());
    let lives = app.config.code_lives();
    let first = match &id {
        None => Some(Line::new("sessions", &status::listed(&app, &caller))),
        // One that is known comes by itself.
        Some(id) if app.registry.find(id).is_some() => None,
        Some(id) => {
            let snapshot = status::snapshot(&app, id);
            let traffic = status::traffic(&app, id);
            let status = target
                .clone()
                .map(|target| Status::of(target, snapshot, traffic, lives));
            status
                .and_then(drawn)
                .map(|status| Line::new("session", &status))
        }
    };
    let changes = changes(&app, id);
    let line = move |id: &ClienteId, snapshot| {
        let traffic = status::traffic(&app, id);
        if let Some(target) = target.clone() {
            let status = drawn(Status::of(target, snapshot, traffic, lives))?;
            return Some(Line::new("session", &status));
        }
        let is_shown = caller.reaches(id);
        if is_shown && app.registry.find(id).is_none() {
            // It is not among them any more.
            return Some(Line::new("sessions", &status::listed(&app, &caller)));
        }
        is_shown.then(|| Line::new("session", &Status::listed(id, snapshot, traffic)))
    };
    stream::iter(first).chain(lines_of(changes, line))
}

/// The changes of all sessions, or of one.
pub(super) fn changes(app: &AppState, only: Option<ClienteId>) -> Changes {
    Changes::of(Arc::clone(&app.registry), only)
}

/// What `line` makes of each change.
pub(super) fn lines_of(
    changes: Changes,
    line: impl FnMut(&ClienteId, Snapshot) -> Option<Line> + Send + 'static,
) -> impl Stream<Item = Line> + Send + 'static {
    stream::unfold((changes, line), async |(mut changes, mut line)| {
        loop {
            let (id, snapshot) = changes.next().await?;
            if let Some(line_of_it) = line(&id, snapshot) {
                return Some((line_of_it, (changes, line)));
            }
        }
    })
}

/// What can be shown. A code that cannot be drawn is a fault of this program, and is skipped.
pub(super) fn drawn<T>(shown: Result<T, QrError>) -> Option<T> {
    shown
        .inspect_err(|why| tracing::error!("a code could not be drawn: {why}"))
        .ok()
}
