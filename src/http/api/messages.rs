//! `/messages`: what became of every send.
//!
//! Texts are never shown: the person who reads may be another than the caller that has sent them.

use axum::{
    extract::{FromRequestParts, RawPathParams, State},
    http::request::Parts,
};

use super::paging;
use crate::{
    http::{
        guard::{caller::Caller, purpose},
        state::AppState,
        wire::{
            contract::{Message, Messages},
            error::ApiError,
            extract::{CLIENTE_ID, Json},
            parameters::{MessageInPath, MessagesInQuery},
        },
    },
    ledger::{Query, Record, SendState},
};

/// The message that a path names: by its full id, or by its last part.
#[derive(Debug)]
pub(in crate::http) struct MessageId(pub(super) String);

impl FromRequestParts<AppState> for MessageId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| ApiError::UnknownMessage)?;
        let id = params.iter().next().map(|(_, id)| id.to_owned());
        id.map(Self).ok_or(ApiError::UnknownMessage)
    }
}

/// Which messages a query means.
#[derive(Debug)]
pub(in crate::http) struct Filter(Query);

impl FromRequestParts<AppState> for Filter {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        purpose::check_read(parts, app)?;
        let caller = Caller::of(&parts.extensions)?;
        let mut query = Query {
            sessions: paging::sessions_of(caller),
            limit: paging::PAGE,
            ..Query::default()
        };
        let raw = parts.uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
            match name.as_ref() {
                CLIENTE_ID => {
                    query.sessions = Some(vec![paging::session_named(&value, caller, app)?]);
                }
                "state" => {
                    let state = SendState::named(&value).ok_or(ApiError::InvalidMessageState)?;
                    query.state = Some(state);
                }
                "after" => {
                    query.after = value.parse().map_err(|_| ApiError::InvalidAfter)?;
                }
                "limit" => query.limit = paging::limit(&value)?,
                // As everywhere: what is not known is left alone.
                _ => {}
            }
        }
        Ok(Self(query))
    }
}

/// Lists messages in the order in which they were accepted. To get the next ones, give the `next` of the answer as `after`.
#[utoipa::path(get, path = "/messages", tag = "messages", params(MessagesInQuery), responses(
    (status = 200, description = "A page of messages", body = Messages, content_type = "application/json"),
))]
pub(in crate::http) async fn list(
    State(app): State<AppState>,
    Filter(query): Filter,
) -> Result<Json<Messages>, ApiError> {
    let limit = query.limit;
    // One more than asked for shows whether there are more.
    let query = Query {
        limit: limit + 1,
        ..query
    };
    let records = app.registry.ledger().list(query).await?;
    Ok(Json(Messages::of(&records, limit)))
}

/// Tells the state of one message.
#[utoipa::path(get, path = "/messages/{id}", tag = "messages", params(MessageInPath), responses(
    (status = 200, description = "Its state", body = Message, content_type = "application/json"),
))]
pub(in crate::http) async fn get(
    State(app): State<AppState>,
    caller: Caller,
    MessageId(id): MessageId,
) -> Result<Json<Message>, ApiError> {
    Ok(Json(Message::of(&find(&app, &caller, &id).await?)))
}

/// Takes back a message that was not given to WhatsApp Web yet.
#[utoipa::path(delete, path = "/messages/{id}", tag = "messages", params(MessageInPath), responses(
    (status = 200, description = "It was taken back", body = Message, content_type = "application/json"),
))]
pub(in crate::http) async fn cancel(
    State(app): State<AppState>,
    caller: Caller,
    MessageId(id): MessageId,
) -> Result<Json<Message>, ApiError> {
    let record = find(&app, &caller, &id).await?;
    let is_cancelled = app.registry.cancel(&record).await?;
    let record = find(&app, &caller, &id).await?;
    // Asked for twice, it is cancelled as well.
    if is_cancelled || record.state == SendState::Cancelled {
        Ok(Json(Message::of(&record)))
    } else {
        Err(ApiError::NotCancellable(record.state.as_str()))
    }
}

/// A message of another session than the caller's is not there: a caller that may not see it does not learn that it exists.
async fn find(app: &AppState, caller: &Caller, id: &str) -> Result<Record, ApiError> {
    let found = app.registry.ledger().look_up(id).await?;
    let record = found.ok_or(ApiError::UnknownMessage)?;
    let session = record.session.parse()?;
    match caller.authorize(&session) {
        Ok(()) => Ok(record),
        Err(_other) => Err(ApiError::UnknownMessage),
    }
}
