//! `/messages/{id}/…`: what is done to a message that is there. It is a send of another kind: written down, done in its turn, and
//! once, however often it is asked for.
//!
//! Responsible for which message is meant, and of which session. What WhatsApp allows, its page says.

use std::marker::PhantomData;

use axum::{
    extract::State,
    http::{HeaderMap, request::Parts},
    response::Response,
};

use super::{
    messages::MessageId,
    send::{accepted, idempotency_key, is_async, session_of},
    send_content,
};
use crate::{
    extras::{Action, ActionKind, Extras},
    http::{
        guard::caller::Caller,
        state::AppState,
        wire::{
            contract::AcceptedSend,
            error::ApiError,
            extract::{FromBody, Json, Object},
            parameters::{MessageInPath, SendHeaders, SessionInHeader},
            requests::{AnyClienteId, EditBody, Given, ReactionBody, RevokeBody, RevokeFor},
            target::Target,
        },
    },
    ledger::SendState,
    masked::{Text, WaId},
    session::{Addressee, IdempotencyKey, OutgoingMessage, SendRequest, Sent},
};

/// An emoji of a family with skin tones has some 25 UTF-16 units.
const LONGEST_EMOJI: usize = 40;

/// A full id in a group has two addresses and the inner id.
const LONGEST_ID: usize = 255;
const SHORTEST_ID: usize = 8;

/// What is to be done to a message.
#[derive(Debug)]
pub(super) struct Act {
    kind: ActionKind,
    /// The emoji, or the new text.
    body: Text,
    /// The session that the request names, if it names one.
    named: Option<Target>,
    idempotency_key: Option<IdempotencyKey>,
    waits: bool,
}

impl Act {
    /// A reaction from a session that is named in another way; `field` is where the request has the emoji.
    pub(super) fn reaction(
        target: Target,
        field: &'static str,
        emoji: Given<String>,
        headers: &HeaderMap,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            kind: ActionKind::Reaction,
            body: read_emoji(field, emoji)?,
            named: Some(target),
            idempotency_key: idempotency_key(Given::Absent, headers)?,
            waits: !is_async(&Given::Absent, headers)?,
        })
    }
}

/// What is to be done to the message in the path.
#[derive(Debug)]
pub(in crate::http) struct ParsedAction<B>(Act, PhantomData<B>);

/// What all of these bodies have.
struct Common {
    cliente_id: Given<AnyClienteId>,
    is_async: Given<bool>,
    idempotency_key: Given<String>,
}

fn parsed<B>(
    (kind, text): (ActionKind, Text),
    common: Common,
    body: &Object,
    parts: &Parts,
    app: &AppState,
) -> Result<ParsedAction<B>, ApiError>
where
    ParsedAction<B>: FromBody,
{
    let act = Act {
        kind,
        body: text,
        named: Target::of_action::<ParsedAction<B>>(&common.cliente_id, body, parts, app)?,
        waits: !is_async(&common.is_async, &parts.headers)?,
        idempotency_key: idempotency_key(common.idempotency_key, &parts.headers)?,
    };
    Ok(ParsedAction(act, PhantomData))
}

impl FromBody for ParsedAction<ReactionBody> {
    type Fields = ReactionBody;

    fn from_body(
        fields: ReactionBody,
        body: &Object,
        parts: &Parts,
        app: &AppState,
    ) -> Result<Self, ApiError> {
        let ReactionBody {
            cliente_id,
            emoji,
            r#async: is_async,
            idempotency_key,
        } = fields;
        let what = (ActionKind::Reaction, read_emoji("emoji", emoji)?);
        let common = Common {
            cliente_id,
            is_async,
            idempotency_key,
        };
        parsed(what, common, body, parts, app)
    }
}

impl FromBody for ParsedAction<EditBody> {
    type Fields = EditBody;

    fn from_body(
        fields: EditBody,
        body: &Object,
        parts: &Parts,
        app: &AppState,
    ) -> Result<Self, ApiError> {
        let EditBody {
            cliente_id,
            message,
            r#async: is_async,
            idempotency_key,
        } = fields;
        send_content::check_length(&message)?;
        let text = message.value();
        let text = text.filter(|text| !text.trim().is_empty());
        let what = (
            ActionKind::Edit,
            text.ok_or(ApiError::InvalidMessage)?.into(),
        );
        let common = Common {
            cliente_id,
            is_async,
            idempotency_key,
        };
        parsed(what, common, body, parts, app)
    }
}

impl FromBody for ParsedAction<RevokeBody> {
    type Fields = RevokeBody;

    fn from_body(
        fields: RevokeBody,
        body: &Object,
        parts: &Parts,
        app: &AppState,
    ) -> Result<Self, ApiError> {
        let RevokeBody {
            cliente_id,
            r#for: whom,
            r#async: is_async,
            idempotency_key,
        } = fields;
        let kind = match whom {
            Given::Absent | Given::Value(RevokeFor::Everybody) => ActionKind::Revoke,
            Given::Value(RevokeFor::Me) => ActionKind::RevokeForMe,
            Given::Null | Given::WrongType => {
                return Err(ApiError::InvalidContent {
                    field: "for",
                    why: "give \"everybody\", which it is when left out, or \"me\"".to_owned(),
                });
            }
        };
        let what = (kind, Text::default());
        let common = Common {
            cliente_id,
            is_async,
            idempotency_key,
        };
        parsed(what, common, body, parts, app)
    }
}

fn read_emoji(field: &'static str, emoji: Given<String>) -> Result<Text, ApiError> {
    let emoji = emoji.value();
    let is_emoji = |emoji: &String| {
        let has_pictures = !emoji.is_ascii();
        let is_short = emoji.encode_utf16().count() <= LONGEST_EMOJI;
        let is_word = emoji
            .chars()
            .any(|letter| letter.is_alphabetic() || letter.is_whitespace() || letter.is_control());
        emoji.is_empty() || (has_pictures && is_short && !is_word)
    };
    let emoji = emoji.filter(is_emoji);
    emoji
        .map(Text::from)
        .ok_or_else(|| ApiError::InvalidContent {
            field,
            why: "give one emoji, or an empty text, which takes the reaction back".to_owned(),
        })
}

/// Reacts to a message, of this account or of another person. Waits until WhatsApp's server has it.
#[utoipa::path(post, path = "/messages/{id}/reaction", tag = "messages", params(MessageInPath, SessionInHeader, SendHeaders),
    request_body(content = ReactionBody, examples(
        ("a reaction" = (value = json!({"cliente_id": 51, "emoji": "👍"}))),
        ("taken back" = (value = json!({"cliente_id": 51, "emoji": ""}))),
    )), responses(
    (status = 200, description = "WhatsApp's server has it", body = AcceptedSend, content_type = "application/json",
        headers(("Idempotent-Replayed" = Option<String>, description = "true: the request was accepted before"))),
    (status = 202, description = "Accepted: it waits here", body = AcceptedSend, content_type = "application/json",
        headers(("Idempotent-Replayed" = Option<String>, description = "true: the request was accepted before"))),
))]
pub(in crate::http) async fn react(
    State(app): State<AppState>,
    caller: Caller,
    MessageId(id): MessageId,
    Json(act): Json<ParsedAction<ReactionBody>>,
) -> Result<Response, ApiError> {
    carry_out(&app, &caller, &id, act).await
}

/// Gives a message of this account another text, as long as WhatsApp allows it. Waits until WhatsApp's server has it.
#[utoipa::path(patch, path = "/messages/{id}", tag = "messages", params(MessageInPath, SessionInHeader, SendHeaders),
    request_body(content = EditBody, examples(
        ("another text" = (value = json!({"cliente_id": 51, "message": "Hola, Ana"}))),
    )), responses(
    (status = 200, description = "WhatsApp's server has it", body = AcceptedSend, content_type = "application/json",
        headers(("Idempotent-Replayed" = Option<String>, description = "true: the request was accepted before"))),
    (status = 202, description = "Accepted: it waits here", body = AcceptedSend, content_type = "application/json",
        headers(("Idempotent-Replayed" = Option<String>, description = "true: the request was accepted before"))),
))]
pub(in crate::http) async fn edit(
    State(app): State<AppState>,
    caller: Caller,
    MessageId(id): MessageId,
    Json(act): Json<ParsedAction<EditBody>>,
) -> Result<Response, ApiError> {
    carry_out(&app, &caller, &id, act).await
}

/// Deletes a message of this account for everybody, or any message for this account alone. Waits until WhatsApp's server has it.
#[utoipa::path(post, path = "/messages/{id}/revoke", tag = "messages", params(MessageInPath, SessionInHeader, SendHeaders),
    request_body(content = RevokeBody, examples(
        ("for everybody" = (value = json!({"cliente_id": 51}))),
        ("for me" = (value = json!({"cliente_id": 51, "for": "me"}))),
    )), responses(
    (status = 200, description = "WhatsApp's server has it", body = AcceptedSend, content_type = "application/json",
        headers(("Idempotent-Replayed" = Option<String>, description = "true: the request was accepted before"))),
    (status = 202, description = "Accepted: it waits here", body = AcceptedSend, content_type = "application/json",
        headers(("Idempotent-Replayed" = Option<String>, description = "true: the request was accepted before"))),
))]
pub(in crate::http) async fn revoke(
    State(app): State<AppState>,
    caller: Caller,
    MessageId(id): MessageId,
    Json(act): Json<ParsedAction<RevokeBody>>,
) -> Result<Response, ApiError> {
    carry_out(&app, &caller, &id, act).await
}

/// The message that is meant.
struct Meant {
    /// Its session.
    target: Target,
    /// Its chat, as sends name it.
    to: Addressee,
    key: WaId,
    id: Option<WaId>,
}

async fn carry_out<B>(
    app: &AppState,
    caller: &Caller,
    id: &str,
    ParsedAction(act, _): ParsedAction<B>,
) -> Result<Response, ApiError> {
    let Done { target, to, sent } = accept(app, caller, id, act).await?;
    let is_repeated = sent.is_repeated;
    Ok(accepted(
        AcceptedSend::of_action(target.echo, to, sent),
        is_repeated,
    ))
}

/// What became of an act, in which session, and in which chat.
pub(super) struct Done {
    pub(super) target: Target,
    pub(super) to: String,
    pub(super) sent: Sent,
}

/// Has the session do it to the message with this id.
pub(super) async fn accept(
    app: &AppState,
    caller: &Caller,
    id: &str,
    act: Act,
) -> Result<Done, ApiError> {
    let Meant {
        target,
        to,
        key,
        id,
    } = find(app, caller, id, act.named).await?;
    let session = session_of(app, &target)?;
    let name = to.as_str().to_owned();
    let extras = Extras {
        action: Some(Action {
            kind: act.kind,
            key,
            id,
        }),
        ..Extras::default()
    };
    let request = SendRequest {
        message: OutgoingMessage {
            to,
            body: act.body,
            extras: extras.into(),
        },
        cliente_id: target.echo.to_string(),
        idempotency_key: act.idempotency_key,
        waits: act.waits,
    };
    let sent = session.send(request).await?;
    Ok(Done {
        target,
        to: name,
        sent,
    })
}

/// Finds out which message an id means: one that this service has sent, or one that an event names.
async fn find(
    app: &AppState,
    caller: &Caller,
    id: &str,
    named: Option<Target>,
) -> Result<Meant, ApiError> {
    let is_id = (SHORTEST_ID..=LONGEST_ID).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_@.:-".contains(&byte));
    if !is_id {
        return Err(ApiError::UnknownTarget);
    }
    let ledger = app.registry.ledger();
    let sent = match ledger.look_up(id).await? {
        Some(record) => {
            let session = record.session.parse()?;
            let is_meant = match &named {
                // Another session of this service may have sent it to the one that is named, which has heard it under the same key.
                Some(named) => named.id == session,
                // One that the caller does not reach is not there for it. Nor is the request about it, for the audit.
                None => caller.reaches(&session),
            };
            if is_meant {
                caller.authorize(&session)?;
                Some((record, session))
            } else {
                None
            }
        }
        None => None,
    };
    if let Some((record, session)) = sent {
        if record.extras.action.is_some() {
            return Err(ApiError::TargetIsAnAction);
        }
        if matches!(record.state, SendState::Failed | SendState::Cancelled) {
            return Err(ApiError::TargetNotSent(record.state.as_str()));
        }
        let target = named.unwrap_or_else(|| Target {
            id: session,
            echo: serde_json::from_str(&record.cliente_id).unwrap_or_default(),
        });
        return Ok(Meant {
            target,
            to: record.to.parse().map_err(|_| ApiError::UnknownTarget)?,
            key: record.wa_key.unwrap_or(record.key).into(),
            id: record.message_id,
        });
    }
    let target = named.ok_or(ApiError::ClienteIdRequiredForTarget)?;
    let full = if id.contains('_') {
        WaId::from(id)
    } else {
        let heard = ledger.heard_id(target.id.as_str(), id).await?;
        heard.ok_or(ApiError::UnknownTarget)?
    };
    let mut parts = full.split('_');
    let (Some("true" | "false"), Some(chat), Some(key)) =
        (parts.next(), parts.next(), parts.next())
    else {
        return Err(ApiError::UnknownTarget);
    };
    // Of status updates and channels nothing is even looked at.
    let to = chat.parse().map_err(|_| ApiError::UnknownTarget)?;
    Ok(Meant {
        target,
        to,
        key: key.into(),
        id: Some(full.clone()),
    })
}
