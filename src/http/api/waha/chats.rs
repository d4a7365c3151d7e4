//! `GET /api/{session}/chats`, its `overview` and the messages of one chat: what the page of a session has stored, in WAHA's words.
//!
//! WAHA counts from the first entry where this service goes on behind a place: a list is read from its beginning, part by part, and what
//! is not wanted is dropped as it comes. So it must not be long.

use std::time::Duration;

use axum::{
    extract::{FromRequestParts, RawPathParams, State},
    http::request::Parts,
};
use serde_json::Value;
use tokio::time::timeout;

use super::naming;
use crate::{
    delivery::waha,
    http::{
        api::{chats::MOST_MESSAGES, reading::LARGEST_PAGE, send},
        guard::reach::TargetInPath,
        state::AppState,
        wire::{
            error::ApiError,
            extract::Json,
            waha::{WahaChat, WahaChatSummary, address},
        },
    },
    session::{Addressee, SessionHandle},
    stored::Chat,
    whatsapp::List,
};

/// More chats than a person scrolls through, and few enough to be read in some seconds.
const MOST_CHATS: usize = 1000;

/// Entries of an overview, and messages of a chat, unless the caller wants fewer or more: as WAHA.
const OF_OVERVIEW: usize = 20;
const OF_CHAT: usize = 10;

/// How far from the beginning a list may be asked for.
const FARTHEST: usize = 10_000;

/// For a list with all its parts: what one answer of a session may take that has to wake first. A caller that waits longer has gone.
const LIST_TIMEOUT: Duration = Duration::from_secs(120);

/// Which part of a list a query means.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Part {
    offset: usize,
    limit: Option<usize>,
}

impl FromRequestParts<AppState> for Part {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &AppState) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            check(&name, &value)?;
        }
        let number = |field: &'static str, least: usize, most: usize| {
            let Some(given) = naming::parameter(parts, field) else {
                return Ok(None);
            };
            let number = given.parse().ok();
            let number = number.filter(|number| (least..=most).contains(number));
            let why = || refused(field, format!("must be a whole number, {least} to {most}"));
            number.ok_or_else(why).map(Some)
        };
        Ok(Self {
            offset: number("offset", 0, FARTHEST)?.unwrap_or(0),
            limit: number("limit", 1, MOST_CHATS)?,
        })
    }
}

/// Refuses what asks for another list than the latest entries, with the newest first.
fn check(name: &str, value: &str) -> Result<(), ApiError> {
    let newest_first = "the newest come first: leave it out, and sort what is answered";
    let all_come = "is not looked for here: leave it out, and choose among what is answered";
    match name {
        "sortBy"
            if !["conversationTimestamp", "timestamp", "messageTimestamp"].contains(&value) =>
        {
            Err(refused("sortBy", newest_first.to_owned()))
        }
        "sortOrder" if value != "desc" => Err(refused("sortOrder", newest_first.to_owned())),
        "ids" => Err(refused("ids", all_come.to_owned())),
        "filter.timestamp.lte" | "filter.timestamp.gte" | "filter.fromMe" | "filter.ack" => {
            Err(refused("filter", all_come.to_owned()))
        }
        // As everywhere: what is not known is left alone.
        _ => Ok(()),
    }
}

fn refused(field: &'static str, why: String) -> ApiError {
    ApiError::InvalidContent { field, why }
}

/// `GET /api/{session}/chats`.
pub(in crate::http) async fn list(
    State(app): State<AppState>,
    TargetInPath(target): TargetInPath,
    part: Part,
) -> Result<Json<Vec<WahaChat>>, ApiError> {
    let session = send::session_of(&app, &target)?;
    let chats = chats(&session, part, MOST_CHATS).await?;
    let me = account(&session);
    let shown = chats.iter().map(|chat| WahaChat::of(chat, me.as_deref()));
    Ok(Json(shown.collect()))
}

/// `GET /api/{session}/chats/overview`.
pub(in crate::http) async fn overview(
    State(app): State<AppState>,
    TargetInPath(target): TargetInPath,
    part: Part,
) -> Result<Json<Vec<WahaChatSummary>>, ApiError> {
    let session = send::session_of(&app, &target)?;
    let chats = chats(&session, part, OF_OVERVIEW).await?;
    let me = account(&session);
    let shown = chats
        .iter()
        .map(|chat| WahaChatSummary::of(chat, me.as_deref()));
    Ok(Json(shown.collect()))
}

/// The chat that a path names behind its session.
#[derive(Debug)]
pub(in crate::http) struct ChatInPath(Addressee);

impl FromRequestParts<AppState> for ChatInPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, app).await.ok();
        let chat = params
            .as_ref()
            .and_then(|params| params.iter().nth(1))
            .map(|(_, chat)| chat);
        naming::addressee("chatId", chat).map(Self)
    }
}

/// `GET /api/{session}/chats/{chatId}/messages`.
pub(in crate::http) async fn messages(
    State(app): State<AppState>,
    TargetInPath(target): TargetInPath,
    ChatInPath(chat): ChatInPath,
    part: Part,
) -> Result<Json<Vec<Value>>, ApiError> {
    let session = send::session_of(&app, &target)?;
    let mut found = Wanted::of(part, OF_CHAT);
    in_time(async {
        let mut before = None;
        loop {
            let limit = found.next(MOST_MESSAGES);
            let read = session.stored_messages(&chat, before, limit, false).await?;
            before = read.next;
            if found.is_complete_with(read.messages) || before.is_none() {
                return Ok(());
            }
        }
    })
    .await?;
    let me = account(&session);
    let shown = found.entries.iter();
    let shown = shown.filter_map(|stored| waha::stored_message(stored, me.as_deref()));
    Ok(Json(shown.collect()))
}

async fn chats(
    session: &SessionHandle,
    part: Part,
    unless_said: usize,
) -> Result<Vec<Chat>, ApiError> {
    let mut found = Wanted::of(part, unless_said);
    in_time(async {
        let mut after = None;
        loop {
            let limit = found.next(LARGEST_PAGE);
            let read = session.chats(List { after, limit }).await?;
            after = read.next.map(Into::into);
            if found.is_complete_with(read.chats) || after.is_none() {
                return Ok(());
            }
        }
    })
    .await?;
    Ok(found.entries)
}

async fn in_time(read: impl Future<Output = Result<(), ApiError>>) -> Result<(), ApiError> {
    timeout(LIST_TIMEOUT, read).await.unwrap_or_else(|_| {
        let why = "the list did not come in time: ask for less, or with a smaller offset";
        Err(ApiError::ReadingFailed(why.to_owned()))
    })
}

/// The wanted entries of a list that comes in parts, from its beginning. No other is kept.
#[derive(Debug)]
struct Wanted<T> {
    /// How many of those that come next are not wanted.
    ahead: usize,
    limit: usize,
    entries: Vec<T>,
}

impl<T> Wanted<T> {
    fn of(Part { offset, limit }: Part, unless_said: usize) -> Self {
        Self {
            ahead: offset,
            limit: limit.unwrap_or(unless_said),
            entries: Vec::new(),
        }
    }

    /// How many entries the next part is to have, at most.
    fn next(&self, largest: usize) -> usize {
        (self.ahead + self.limit - self.entries.len()).min(largest)
    }

    /// Takes the next part. Answers whether no further one is needed, or there is none.
    fn is_complete_with(&mut self, part: Vec<T>) -> bool {
        let is_end = part.is_empty();
        let dropped = self.ahead.min(part.len());
        self.ahead -= dropped;
        let room = self.limit - self.entries.len();
        self.entries
            .extend(part.into_iter().skip(dropped).take(room));
        is_end || self.entries.len() == self.limit
    }
}

/// The address of the session's account.
fn account(session: &SessionHandle) -> Option<String> {
    let account = session.snapshot().linked_account().cloned()?;
    Some(address(&account))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a list of so many numbers in parts of at most 100. Gives what is kept of it, how many parts that took, and the most entries
    /// that were kept at once.
    fn read(length: usize, part: Part) -> (Vec<usize>, usize, usize) {
        let mut wanted = Wanted::of(part, OF_CHAT);
        let (mut at, mut parts, mut most) = (0, 0, 0);
        loop {
            let limit = wanted.next(100);
            assert!(0 < limit && limit <= 100, "{limit}");
            let end = length.min(at + limit);
            let is_complete = wanted.is_complete_with((at..end).collect());
            (at, parts, most) = (end, parts + 1, most.max(wanted.entries.len()));
            if is_complete {
                return (wanted.entries, parts, most);
            }
        }
    }

    #[test]
    fn of_a_list_only_the_wanted_entries_are_kept() {
        let part = |offset, limit| Part { offset, limit };
        assert_eq!(
            read(20_000, part(10_000, Some(150))),
            ((10_000..10_150).collect(), 102, 150)
        );
        assert_eq!(
            read(20_000, part(50, Some(20))),
            ((50..70).collect(), 1, 20)
        );
        assert_eq!(read(20_000, part(0, None)), ((0..10).collect(), 1, 10));
        // One that ends before.
        assert_eq!(
            read(130, part(120, Some(50))),
            ((120..130).collect(), 3, 10)
        );
        assert_eq!(read(30, part(40, Some(5))), (Vec::new(), 2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_has_one_deadline_for_all_its_parts() {
        let slow = async {
            loop {
                tokio::time::sleep(LIST_TIMEOUT / 4).await;
            }
        };
        let late = in_time(slow).await;
        assert!(matches!(late, Err(ApiError::ReadingFailed(_))), "{late:?}");
        in_time(async { Ok(()) }).await.unwrap();
    }
}
