//! `POST /api/sendSeen`, `startTyping` and `stopTyping`, and `PUT /api/reaction`: what is done in a chat, or to a message, in WAHA's
//! words.

use axum::{
    extract::State,
    http::{StatusCode, request::Parts},
    response::{IntoResponse as _, Response},
};

use super::{naming, sending};
use crate::{
    http::{
        api::{
            after::{self, Act, Done},
            send,
        },
        guard::caller::Caller,
        state::AppState,
        wire::{
            error::ApiError,
            extract::{FromBody, Json, Object},
            requests::Given,
            waha::{WahaDone, WahaMessage, WahaReactionBody, WahaSeen},
        },
    },
    whatsapp::ChatAct,
};

/// `POST /api/sendSeen`: marks the whole chat. Which messages of it a request names is not looked at.
pub(in crate::http) async fn seen(
    State(app): State<AppState>,
    Json(asked): Json<sending::Asked>,
) -> Result<(StatusCode, Json<WahaSeen>), ApiError> {
    carry_out(&app, asked, ChatAct::Seen).await?;
    Ok((StatusCode::CREATED, Json(WahaSeen::default())))
}

/// `POST /api/startTyping`.
pub(in crate::http) async fn start_typing(
    State(app): State<AppState>,
    Json(asked): Json<sending::Asked>,
) -> Result<(StatusCode, Json<WahaDone>), ApiError> {
    carry_out(&app, asked, ChatAct::Typing).await?;
    Ok((StatusCode::CREATED, Json(WahaDone { result: true })))
}

/// `POST /api/stopTyping`.
pub(in crate::http) async fn stop_typing(
    State(app): State<AppState>,
    Json(asked): Json<sending::Asked>,
) -> Result<(StatusCode, Json<WahaDone>), ApiError> {
    carry_out(&app, asked, ChatAct::Paused).await?;
    Ok((StatusCode::CREATED, Json(WahaDone { result: true })))
}

async fn carry_out(app: &AppState, asked: sending::Asked, act: ChatAct) -> Result<(), ApiError> {
    let session = send::session_of(app, &asked.target)?;
    session.in_chat(asked.to, act).await?;
    Ok(())
}

/// A reaction to a message.
#[derive(Debug)]
pub(in crate::http) struct Reaction {
    message: String,
    emoji: String,
    act: Act,
}

impl FromBody for Reaction {
    type Fields = WahaReactionBody;

    fn from_body(
        fields: WahaReactionBody,
        _body: &Object,
        parts: &Parts,
        app: &AppState,
    ) -> Result<Self, ApiError> {
        let target = naming::in_body("session", &fields.session, parts, app)?;
        let message = fields.message_id.value();
        let message = message.ok_or_else(|| ApiError::InvalidContent {
            field: "messageId",
            why: "must be the id of a message, as an event or the answer of a send has it"
                .to_owned(),
        })?;
        let emoji = match &fields.reaction {
            Given::Value(emoji) => emoji.clone(),
            Given::Absent | Given::Null | Given::WrongType => String::new(),
        };
        let act = Act::reaction(target, "reaction", fields.reaction, &parts.headers)?;
        Ok(Self {
            message,
            emoji,
            act,
        })
    }
}

/// `PUT /api/reaction`.
pub(in crate::http) async fn react(
    State(app): State<AppState>,
    caller: Caller,
    Json(reaction): Json<Reaction>,
) -> Result<Response, ApiError> {
    let Reaction {
        message,
        emoji,
        act,
    } = reaction;
    let Done { target, to, sent } = after::accept(&app, &caller, &message, act).await?;
    let account = send::session_of(&app, &target)?;
    let account = account.snapshot().linked_account().cloned();
    let status = if sent.ack >= 1 {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let shown = WahaMessage::of(&sent, account.as_deref(), &to, emoji, None);
    let answer = (status, Json(shown)).into_response();
    Ok(send::marked_as_replayed(answer, sent.is_repeated))
}
