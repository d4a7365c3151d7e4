//! `GET /api/{session}/chats`, its `overview` and the messages of one chat: what the page of a session has stored, in WAHA's words.
//!
//! WAHA counts from the first entry where this service goes on behind a place: a list is read from its beginning, part by part, and what
//! is not wanted is dropped. So it must not be long.

use axum::{
    extract::{FromRequestParts, RawPathParams, State},
    http::request::Parts,
};
use serde_json::Value;

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
    let wanted = part.offset + part.limit.unwrap_or(OF_CHAT);
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let limit = (wanted - found.len()).min(MOST_MESSAGES);
        let read = session.stored_messages(&chat, before, limit, false).await?;
        let is_end = read.messages.is_empty();
        found.extend(read.messages);
        before = read.next;
        if is_end || before.is_none() || wanted <= found.len() {
            break;
        }
    }
    let me = account(&session);
    let shown = found.iter().skip(part.offset);
    let shown = shown.filter_map(|stored| waha::stored_message(stored, me.as_deref()));
    Ok(Json(shown.collect()))
}

async fn chats(
    session: &SessionHandle,
    Part { offset, limit }: Part,
    unless_said: usize,
) -> Result<Vec<Chat>, ApiError> {
    let wanted = offset + limit.unwrap_or(unless_said);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let limit = (wanted - found.len()).min(LARGEST_PAGE);
        let read = session.chats(List { after, limit }).await?;
        let is_end = read.chats.is_empty();
        found.extend(read.chats);
        after = read.next.map(Into::into);
        if is_end || after.is_none() || wanted <= found.len() {
            break;
        }
    }
    found.drain(..offset.min(found.len()));
    Ok(found)
}

/// The address of the session's account.
fn account(session: &SessionHandle) -> Option<String> {
    let account = session.snapshot().linked_account().cloned()?;
    Some(address(&account))
}
