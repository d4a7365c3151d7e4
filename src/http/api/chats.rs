//! `GET /chats` and `GET /chats/{chat}/messages`: what the page of a session has stored.
//!
//! Both show what persons wrote and what they are called, so both need a key that may receive.

use axum::{
    extract::{FromRequestParts, State},
    http::request::Parts,
};

use super::{
    paging,
    reading::{ChatInPath, Part, naming, session_to_read},
};
use crate::{
    http::{
        guard::purpose,
        state::AppState,
        wire::{
            contract::{ChatMessages, ChatsAnswer},
            error::ApiError,
            extract::{CLIENTE_ID, Json},
            parameters::{
                ChatParameter, ListInQuery, SessionInHeader, SessionInQuery, StoredInQuery,
            },
            target::Target,
        },
    },
    masked::WaId,
};

/// Messages in one answer, unless the caller wants fewer or more.
const MESSAGES: usize = 50;

/// The most at once: a text has 64 KiB at most.
pub(super) const MOST_MESSAGES: usize = 200;

/// Longer than any id of a message.
const LONGEST_ID: usize = 255;

/// What the query of a chat's messages knows.
const KNOWN: [&str; 4] = [CLIENTE_ID, "before", "limit", "fetch"];

/// Which messages of a chat a query means.
#[derive(Debug)]
pub(in crate::http) struct Wanted {
    before: Option<WaId>,
    limit: usize,
    fetch: bool,
}

impl FromRequestParts<AppState> for Wanted {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &AppState) -> Result<Self, ApiError> {
        let mut wanted = Self {
            before: None,
            limit: MESSAGES,
            fetch: false,
        };
        purpose::check_parameters(parts.uri.query(), &KNOWN)?;
        let query = parts.uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "before" if (1..=LONGEST_ID).contains(&value.len()) => {
                    wanted.before = Some(value.as_ref().into());
                }
                "before" => return Err(ApiError::UnknownBefore),
                "limit" => wanted.limit = paging::limit_of(&value, MOST_MESSAGES)?,
                "fetch" => {
                    wanted.fetch = match value.as_ref() {
                        "true" | "1" | "" => true,
                        "false" | "0" => false,
                        _ => return Err(ApiError::InvalidFetch),
                    };
                }
                // The session, or what is added against caches.
                _ => {}
            }
        }
        Ok(wanted)
    }
}

/// The chats of a session, the latest first. To get the next ones, give the `next` of the answer as `after`.
#[utoipa::path(get, path = "/chats", tag = "chats", operation_id = "list_chats", params(ListInQuery, SessionInQuery, SessionInHeader), responses(
    (status = 200, description = "A part of the chats", body = ChatsAnswer, content_type = "application/json"),
))]
pub(in crate::http) async fn list(
    State(app): State<AppState>,
    target: Target,
    Part(part): Part,
) -> Result<Json<ChatsAnswer>, ApiError> {
    let session = session_to_read(&app, &target)?;
    let chats = session.chats(part).await;
    let chats = chats.map_err(ApiError::from).map_err(naming(&target))?;
    Ok(Json(ChatsAnswer::of(target, chats)))
}

/// Messages of a chat that WhatsApp Web has stored, the newest first. To get those before them, give the `next` of the answer as
/// `before`. With `fetch` the phone is asked for older ones, where WhatsApp Web has no more.
#[utoipa::path(get, path = "/chats/{chat}/messages", tag = "chats", operation_id = "list_chat_messages", params(ChatParameter, StoredInQuery, SessionInQuery, SessionInHeader), responses(
    (status = 200, description = "A part of the messages", body = ChatMessages, content_type = "application/json"),
))]
pub(in crate::http) async fn messages(
    State(app): State<AppState>,
    target: Target,
    ChatInPath(chat): ChatInPath,
    Wanted {
        before,
        limit,
        fetch,
    }: Wanted,
) -> Result<Json<ChatMessages>, ApiError> {
    let session = session_to_read(&app, &target)?;
    let read = session.stored_messages(&chat, before, limit, fetch).await;
    let read = read.map_err(ApiError::from).map_err(naming(&target))?;
    Ok(Json(ChatMessages::of(target, read)))
}
