//! `/chats/{chat}/seen` and `/typing`: what is done in a chat and leaves nothing behind there. Only a request does it, never the
//! service by itself.

use axum::{
    extract::{FromRequestParts, State},
    http::request::Parts,
};

use super::{reading::chat_of_path, send::session_of};
use crate::{
    http::{
        state::AppState,
        wire::{
            contract::DoneInChat,
            error::ApiError,
            extract::{FromBody, Json, Object},
            parameters::{ChatInPath, SessionInHeader},
            requests::{Given, SeenBody, TypingBody, TypingState},
            target::Target,
        },
    },
    session::Addressee,
    whatsapp::ChatAct,
};

/// The chat that a path names: by a number, or by its address.
#[derive(Debug)]
pub(in crate::http) struct Chat(Addressee);

impl FromRequestParts<AppState> for Chat {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let chat = chat_of_path(parts, app).await;
        chat.map(Self).map_err(ApiError::InvalidChatInPath)
    }
}

/// In which session a chat is to be marked as read.
#[derive(Debug)]
pub(in crate::http) struct ParsedSeen(Target);

impl FromBody for ParsedSeen {
    type Fields = SeenBody;
    const MAY_NAME_NO_SESSION: bool = false;

    fn of_array() -> ApiError {
        ApiError::ClienteIdNotANumberNorHeader
    }

    fn from_body(
        fields: SeenBody,
        body: &Object,
        parts: &Parts,
        app: &AppState,
    ) -> Result<Self, ApiError> {
        Target::of_send::<Self>(&fields.cliente_id, body, parts, app).map(Self)
    }
}

/// What is to be shown in a chat.
#[derive(Debug)]
pub(in crate::http) struct ParsedTyping(Target, ChatAct);

impl FromBody for ParsedTyping {
    type Fields = TypingBody;
    const MAY_NAME_NO_SESSION: bool = false;

    fn of_array() -> ApiError {
        ApiError::ClienteIdNotANumberNorHeader
    }

    fn from_body(
        fields: TypingBody,
        body: &Object,
        parts: &Parts,
        app: &AppState,
    ) -> Result<Self, ApiError> {
        let target = Target::of_send::<Self>(&fields.cliente_id, body, parts, app)?;
        let act = match fields.state {
            Given::Value(TypingState::Typing) => ChatAct::Typing,
            Given::Value(TypingState::Recording) => ChatAct::Recording,
            Given::Value(TypingState::Paused) => ChatAct::Paused,
            Given::Absent | Given::Null | Given::WrongType => {
                return Err(ApiError::InvalidContent {
                    field: "state",
                    why: "give \"typing\", \"recording\" or \"paused\"".to_owned(),
                });
            }
        };
        Ok(Self(target, act))
    }
}

/// Marks what has come into a chat as read: its writers see that, as when a person opens the chat.
#[utoipa::path(post, path = "/chats/{chat}/seen", tag = "chats", params(ChatInPath, SessionInHeader),
    request_body(content = SeenBody, examples(("of a session" = (value = json!({"cliente_id": 51}))))), responses(
    (status = 200, description = "The page has marked it", body = DoneInChat, content_type = "application/json"),
))]
pub(in crate::http) async fn seen(
    State(app): State<AppState>,
    Chat(chat): Chat,
    Json(ParsedSeen(target)): Json<ParsedSeen>,
) -> Result<Json<DoneInChat>, ApiError> {
    carry_out(&app, target, chat, ChatAct::Seen).await
}

/// Shows in a chat that its owner is writing, or recording a voice message: until `paused`, a message, or 25 s later.
#[utoipa::path(post, path = "/chats/{chat}/typing", tag = "chats", params(ChatInPath, SessionInHeader),
    request_body(content = TypingBody, examples(
        ("typing" = (value = json!({"cliente_id": 51, "state": "typing"}))),
        ("a voice message" = (value = json!({"cliente_id": 51, "state": "recording"}))),
    )), responses(
    (status = 200, description = "The page shows it", body = DoneInChat, content_type = "application/json"),
))]
pub(in crate::http) async fn typing(
    State(app): State<AppState>,
    Chat(chat): Chat,
    Json(ParsedTyping(target, act)): Json<ParsedTyping>,
) -> Result<Json<DoneInChat>, ApiError> {
    carry_out(&app, target, chat, act).await
}

async fn carry_out(
    app: &AppState,
    target: Target,
    chat: Addressee,
    act: ChatAct,
) -> Result<Json<DoneInChat>, ApiError> {
    let session = session_of(app, &target)?;
    let name = chat.as_str().to_owned();
    session.in_chat(chat, act).await?;
    Ok(Json(DoneInChat::of(target.echo, name)))
}
