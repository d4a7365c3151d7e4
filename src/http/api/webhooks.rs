//! `/webhooks`: where events are delivered to, what became of them, and what a person can do about it.
//!
//! A webhook gets the messages of its sessions, so each of these routes is for an admin, and a key that is limited to sessions
//! reaches only webhooks that want no others.

use std::collections::BTreeSet;

use axum::{
    extract::{FromRequestParts, RawPathParams, State},
    http::{StatusCode, request::Parts},
};
use serde_json::Value;

use super::paging;
use crate::{
    config::SessionMode,
    delivery::{Draft, InvalidField, ShownWebhook},
    http::{
        guard::caller::Caller,
        state::AppState,
        wire::{
            contract::{
                DeliveriesAnswer, Redriven, WebhookAnswer, WebhookRemoved, WebhookTested, Webhooks,
            },
            error::ApiError,
            extract::{FromBody, Json, Object},
            parameters::{DeliveriesInQuery, WebhookInPath},
            requests::{RedriveBody, WebhookBody},
        },
    },
    ledger::DeliveryState,
};

/// Events that a redrive may name. More of them are all of them.
const MOST_NAMED: usize = 1000;

impl FromBody for Draft {
    type Fields = WebhookBody;

    fn of_array() -> ApiError {
        not_an_object()
    }

    fn from_body(
        _fields: WebhookBody,
        body: &Object,
        _parts: &Parts,
        _app: &AppState,
    ) -> Result<Self, ApiError> {
        Ok(Self::parse(body)?)
    }
}

/// The body of a redrive: the events that are meant, or all.
#[derive(Debug)]
pub(in crate::http) struct Meant(pub(super) Option<Vec<String>>);

impl FromBody for Meant {
    type Fields = RedriveBody;

    fn of_array() -> ApiError {
        not_an_object()
    }

    fn from_body(
        _fields: RedriveBody,
        body: &Object,
        _parts: &Parts,
        _app: &AppState,
    ) -> Result<Self, ApiError> {
        let wrong = || InvalidField {
            field: "event_ids".to_owned(),
            why: "must be a list of 1 to 1000 ids of events; leave it out for all that are dead"
                .to_owned(),
        };
        if let Some(other) = body.keys().find(|name| *name != "event_ids") {
            return Err(InvalidField {
                field: other.chars().take(40).collect(),
                why: "is not known here: give event_ids, or nothing".to_owned(),
            }
            .into());
        }
        let ids = match body.get("event_ids") {
            None | Some(Value::Null) => return Ok(Self(None)),
            Some(ids) => ids.as_array().ok_or_else(wrong)?,
        };
        if !(1..=MOST_NAMED).contains(&ids.len()) {
            return Err(wrong().into());
        }
        // One that stands there twice is one.
        let texts = ids.iter().map(|id| id.as_str().map(str::to_owned));
        let texts: Option<BTreeSet<_>> = texts.collect();
        let texts = texts.ok_or_else(wrong)?;
        Ok(Self(Some(texts.into_iter().collect())))
    }
}

fn not_an_object() -> ApiError {
    ApiError::InvalidJson("it is an array: give one object".to_owned())
}

/// A webhook that the caller reaches, by the id in the path.
#[derive(Debug)]
pub(in crate::http) struct Reached(ShownWebhook);

impl FromRequestParts<AppState> for Reached {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, app).await;
        let params = params.map_err(|_| ApiError::UnknownWebhook)?;
        let id = params.iter().next().map(|(_, id)| id.to_owned());
        let id = id.ok_or(ApiError::UnknownWebhook)?;
        let found = app.webhooks.find(&id).await?;
        let caller = Caller::of(&parts.extensions)?;
        // What it does not reach is not there: a caller does not learn that it exists.
        if reaches(caller, found.webhook.cliente_ids.as_ref()) {
            Ok(Self(found))
        } else {
            Err(ApiError::UnknownWebhook)
        }
    }
}

/// Whether a caller reaches all of these sessions; `None`: of the service.
fn reaches(caller: &Caller, sessions: Option<&BTreeSet<String>>) -> bool {
    let Some(own) = caller.limited_to() else {
        return true;
    };
    let is_own = |session: &String| own.iter().any(|own| own.as_str() == session);
    sessions.is_some_and(|sessions| sessions.iter().all(is_own))
}

/// Refuses sessions that a service of one session does not have: nothing would ever be delivered.
fn check_sessions(app: &AppState, draft: &Draft) -> Result<(), InvalidField> {
    let only = app.config.default_cliente_id.as_str();
    let is_other = |sessions: &BTreeSet<String>| sessions.iter().any(|id| id != only);
    if app.config.session_mode == SessionMode::Single && draft.sessions().is_some_and(is_other) {
        return Err(InvalidField {
            field: "cliente_ids".to_owned(),
            why: format!(
                "names a session that this service does not have: with SESSION_MODE=single there is {only:?} alone; leave it out"
            ),
        });
    }
    Ok(())
}

/// Makes a webhook, which is given what happens from now on.
#[utoipa::path(post, path = "/webhooks", operation_id = "add_webhook", tag = "webhooks", request_body(content = WebhookBody, content_type = "application/json", examples(
    ("all events" = (value = json!({"url": "https://example.com/hook"}))),
    ("messages of one session" = (value = json!({"url": "https://example.com/hook", "types": ["message.any"], "cliente_ids": [51]}))),
)), responses(
    (status = 201, description = "The webhook, with its secret if the service has made it", body = WebhookAnswer, content_type = "application/json"),
))]
pub(in crate::http) async fn add(
    State(app): State<AppState>,
    caller: Caller,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<WebhookAnswer>), ApiError> {
    if !reaches(&caller, draft.sessions()) {
        return Err(ApiError::OtherSessionsOfWebhook);
    }
    check_sessions(&app, &draft)?;
    let (shown, secret) = app.webhooks.add(draft).await?;
    let answer = WebhookAnswer::of(&shown, secret);
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Lists webhooks with what became of their events.
#[utoipa::path(get, path = "/webhooks", operation_id = "list_webhooks", tag = "webhooks", responses(
    (status = 200, description = "All that the key reaches", body = Webhooks, content_type = "application/json"),
))]
pub(in crate::http) async fn list(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<Webhooks>, ApiError> {
    let mut all = app.webhooks.all().await?;
    all.retain(|shown| reaches(&caller, shown.webhook.cliente_ids.as_ref()));
    Ok(Json(Webhooks::of(&all)))
}

/// Shows one webhook with what became of its events.
#[utoipa::path(get, path = "/webhooks/{id}", operation_id = "get_webhook", tag = "webhooks", params(WebhookInPath), responses(
    (status = 200, description = "The webhook", body = WebhookAnswer, content_type = "application/json"),
))]
pub(in crate::http) async fn show(Reached(shown): Reached) -> Json<WebhookAnswer> {
    Json(WebhookAnswer::of(&shown, None))
}

/// Changes the fields of a webhook that the body has. Another secret signs together with the old one for a day; a header is removed
/// by null. Switched on again, it is given what it has missed.
#[utoipa::path(patch, path = "/webhooks/{id}", operation_id = "change_webhook", tag = "webhooks", params(WebhookInPath), request_body(content = WebhookBody, content_type = "application/json", examples(
    ("switch it off" = (value = json!({"enabled": false}))),
)), responses(
    (status = 200, description = "The webhook as it is now, with its secret if the service has made another", body = WebhookAnswer, content_type = "application/json"),
))]
pub(in crate::http) async fn change(
    State(app): State<AppState>,
    caller: Caller,
    Reached(shown): Reached,
    Json(draft): Json<Draft>,
) -> Result<Json<WebhookAnswer>, ApiError> {
    if draft.says_sessions() && !reaches(&caller, draft.sessions()) {
        return Err(ApiError::OtherSessionsOfWebhook);
    }
    check_sessions(&app, &draft)?;
    if caller.limited_to().is_some() {
        draft.check_takes_no_headers_along(&shown.webhook)?;
    }
    let (shown, secret) = app.webhooks.change(&shown.id, draft).await?;
    Ok(Json(WebhookAnswer::of(&shown, secret)))
}

/// Removes a webhook, and all that was still to be given to it.
#[utoipa::path(delete, path = "/webhooks/{id}", operation_id = "remove_webhook", tag = "webhooks", params(WebhookInPath), responses(
    (status = 200, description = "It is removed", body = WebhookRemoved, content_type = "application/json"),
))]
pub(in crate::http) async fn remove(
    State(app): State<AppState>,
    Reached(shown): Reached,
) -> Result<Json<WebhookRemoved>, ApiError> {
    app.webhooks.remove(&shown.id).await?;
    Ok(Json(WebhookRemoved {
        success: true,
        removed: shown.id,
    }))
}

/// What of the deliveries of a webhook a query means.
#[derive(Debug)]
pub(in crate::http) struct Wanted {
    pub(super) state: DeliveryState,
    pub(super) after: i64,
    pub(super) limit: usize,
}

impl FromRequestParts<AppState> for Wanted {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &AppState) -> Result<Self, ApiError> {
        let mut wanted = Self {
            state: DeliveryState::Waiting,
            after: 0,
            limit: paging::PAGE,
        };
        let raw = parts.uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
            match name.as_ref() {
                "state" => {
                    let state = DeliveryState::named(&value);
                    wanted.state = state.ok_or(ApiError::InvalidDeliveryState)?;
                }
                "after" => {
                    wanted.after = value.parse().map_err(|_| ApiError::InvalidAfter)?;
                }
                "limit" => wanted.limit = paging::limit(&value)?,
                // As everywhere: what is not known is left alone.
                _ => {}
            }
        }
        Ok(wanted)
    }
}

/// Lists deliveries of a webhook that are not done with, in the order of their events: those that wait, or those that were given
/// up. To get the next ones, give the `next` of the answer as `after`.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", operation_id = "list_deliveries", tag = "webhooks", params(WebhookInPath, DeliveriesInQuery), responses(
    (status = 200, description = "A page of deliveries", body = DeliveriesAnswer, content_type = "application/json"),
))]
pub(in crate::http) async fn deliveries(
    State(app): State<AppState>,
    Reached(shown): Reached,
    wanted: Wanted,
) -> Result<Json<DeliveriesAnswer>, ApiError> {
    let Wanted {
        state,
        after,
        limit,
    } = wanted;
    // One more than asked for shows whether there are more.
    let open = app.webhooks.deliveries(&shown.id, state, after, limit + 1);
    Ok(Json(DeliveriesAnswer::of(&open.await?, limit)))
}

/// Lets deliveries that were given up be tried again, from the first attempt on: those of the events that the body names, else all.
#[utoipa::path(post, path = "/webhooks/{id}/redrive", operation_id = "redrive_webhook", tag = "webhooks", params(WebhookInPath), request_body(content = RedriveBody, content_type = "application/json", examples(
    ("all" = (value = json!({}))),
)), responses(
    (status = 200, description = "How many are tried again", body = Redriven, content_type = "application/json"),
))]
pub(in crate::http) async fn redrive(
    State(app): State<AppState>,
    Reached(shown): Reached,
    Json(Meant(events)): Json<Meant>,
) -> Result<Json<Redriven>, ApiError> {
    let named = events.as_ref().map(Vec::len);
    let redriven = app.webhooks.redrive(&shown.id, events).await?;
    Ok(Json(Redriven::of(redriven, named)))
}

/// Sends an event of the type `webhook.test` to a webhook, once and at once, and waits for its answer for up to 15 s. It is sent to a
/// webhook that is switched off as well.
#[utoipa::path(post, path = "/webhooks/{id}/test", operation_id = "test_webhook", tag = "webhooks", params(WebhookInPath), responses(
    (status = 200, description = "What became of it", body = WebhookTested, content_type = "application/json"),
))]
pub(in crate::http) async fn test(
    State(app): State<AppState>,
    Reached(shown): Reached,
) -> Result<Json<WebhookTested>, ApiError> {
    let tested = app.webhooks.test(&shown.id).await?;
    Ok(Json(WebhookTested::of(tested)))
}
