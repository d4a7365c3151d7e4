//! `POST /send`: one message to one person or group.
//!
//! Checked in the order of the contract: session, recipient, content, and only then whether the session can send.

use std::{mem, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};

use super::{
    media,
    repetition::{self, Likeness},
    send_content,
};
use crate::{
    http::{
        state::AppState,
        wire::{
            body::LARGEST_SEND,
            contract::{AcceptedSend, DryRun, SentOrDryRun},
            error::ApiError,
            extract::{FromBody, Json, Object},
            parameters::{DryRunInQuery, SendHeaders, SessionInHeader},
            requests::{Given, MediaField, SendBody},
            target::Target,
        },
    },
    session::{
        Addressee, IdempotencyKey, InvalidIdempotencyKey, OutgoingMessage, SendError, Sent,
        SessionHandle,
    },
};

/// The caller's name for a request, in the header.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Says that an answer is about a request that was accepted before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// RFC 7240: `respond-async` asks for an answer as soon as the request is accepted.
const PREFER: &str = "prefer";

/// What to send, from whom and to whom.
#[derive(Debug)]
pub(in crate::http) struct ParsedSend {
    target: Target,
    message: OutgoingMessage,
    /// A medium that still has to be brought.
    media: Option<MediaField>,
    idempotency_key: Option<IdempotencyKey>,
    waits: bool,
    is_dry_run: bool,
}

impl FromBody for ParsedSend {
    type Fields = SendBody;
    const QUERY: &[&str] = &["dry_run"];
    const MAY_NAME_NO_SESSION: bool = false;
    const LARGEST: usize = LARGEST_SEND;

    fn of_array() -> ApiError {
        ApiError::ClienteIdNotANumber
    }

    fn from_body(
        fields: SendBody,
        body: &Object,
        parts: &Parts,
        app: &AppState,
    ) -> Result<Self, ApiError> {
        // Size goes before all fields, as it always did: a caller of a text that is too long may have nothing else right.
        send_content::check_length(&fields.message)?;
        // First of the fields: what is no yes and no no must not send.
        let is_dry_run = is_dry_run(&fields.dry_run, parts)?;
        let target = Target::of_send::<Self>(&fields.cliente_id, body, parts, app)?;
        send_content::check_place(body)?;
        let checked = Self::checked(target, is_dry_run, fields, parts);
        checked.map_err(|why| send_content::explained(why, body))
    }
}

impl ParsedSend {
    /// A send from a session that is named in another way.
    pub(super) fn of(target: Target, fields: SendBody, parts: &Parts) -> Result<Self, ApiError> {
        send_content::check_length(&fields.message)?;
        let is_dry_run = is_dry_run(&fields.dry_run, parts)?;
        Self::checked(target, is_dry_run, fields, parts)
    }

    /// Checks the rest of the fields.
    fn checked(
        target: Target,
        is_dry_run: bool,
        mut fields: SendBody,
        parts: &Parts,
    ) -> Result<Self, ApiError> {
        let to = mem::take(&mut fields.to)
            .value()
            .filter(|to| !to.is_empty());
        let to = to.ok_or(ApiError::ToNotAString)?;
        let to: Addressee = to.parse().map_err(ApiError::InvalidTo)?;
        let content = send_content::take(&mut fields)?;
        let is_async = is_async(&fields.r#async, &parts.headers)?;
        Ok(Self {
            target,
            message: OutgoingMessage {
                to,
                body: content.body,
                extras: content.extras.into(),
            },
            media: content.media,
            idempotency_key: idempotency_key(fields.idempotency_key, &parts.headers)?,
            waits: !is_async,
            is_dry_run,
        })
    }

    /// The session that it is to be sent from.
    pub(super) const fn target(&self) -> &Target {
        &self.target
    }

    /// Whether nothing is to be sent.
    pub(super) const fn is_dry_run(&self) -> bool {
        self.is_dry_run
    }
}

/// The key of a request: in the header or in the body, and the same when in both.
pub(super) fn idempotency_key(
    in_body: Given<String>,
    headers: &HeaderMap,
) -> Result<Option<IdempotencyKey>, ApiError> {
    let in_header = headers
        .get(IDEMPOTENCY_KEY)
        .map(|key| key.to_str().map_err(|_| InvalidIdempotencyKey)?.parse())
        .transpose()?;
    let in_body = match in_body {
        Given::Absent | Given::Null => None,
        Given::Value(key) => Some(key.parse::<IdempotencyKey>()?),
        Given::WrongType => return Err(InvalidIdempotencyKey.into()),
    };
    match (in_header, in_body) {
        (Some(one), Some(other)) if one != other => Err(ApiError::TwoIdempotencyKeys),
        (one, other) => Ok(one.or(other)),
    }
}

/// Whether the caller wants its answer as soon as the request is on disk.
pub(super) fn is_async(in_body: &Given<bool>, headers: &HeaderMap) -> Result<bool, ApiError> {
    match in_body {
        Given::Absent => Ok(prefers_async(headers)),
        Given::Value(is_async) => Ok(*is_async),
        Given::Null | Given::WrongType => Err(ApiError::InvalidAsync),
    }
}

fn prefers_async(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all(PREFER).into_iter();
    preferences
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}

/// `dry_run`, in the query or in the body: whether anything is to be sent at all.
fn is_dry_run(in_body: &Given<bool>, parts: &Parts) -> Result<bool, ApiError> {
    let query = parts.uri.query().unwrap_or_default();
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "dry_run");
    let in_query = match asked.as_ref().map(|(_, value)| value.as_ref()) {
        None | Some("false" | "0") => false,
        Some("true" | "1" | "") => true,
        Some(_) => return Err(ApiError::InvalidDryRun),
    };
    match in_body {
        Given::Absent | Given::Null => Ok(in_query),
        Given::Value(in_body) => Ok(in_query || *in_body),
        Given::WrongType => Err(ApiError::InvalidDryRun),
    }
}

/// Sends and waits until WhatsApp's server has the message: 200, or 202 while it is still on its way.
///
/// A caller that goes away does not take the message back.
#[utoipa::path(post, path = "/send", tag = "messages", params(DryRunInQuery, SessionInHeader, SendHeaders), request_body(content = SendBody, examples(
    ("a text" = (value = json!({"cliente_id": 51, "to": "+54 9 11 5825-4201", "message": "Hola 👋"}))),
    ("at most once" = (value = json!({"cliente_id": 51, "to": "5491158254201", "message": "Hola", "idempotency_key": "order-1234"}))),
    ("an answer" = (value = json!({"cliente_id": 51, "to": "5491158254201", "message": "Claro", "quote": "false_5491158254201@c.us_3A5F0C2B1D4E6F708192"}))),
    ("a place" = (value = json!({"cliente_id": 51, "to": "5491158254201", "location": {"latitude": -34.6037, "longitude": -58.3816, "name": "Obelisco"}}))),
    ("a contact" = (value = json!({"cliente_id": 51, "to": "5491158254201", "contact": {"name": "Ana", "phone": "+54 9 11 5825-4202"}}))),
    ("a document" = (value = json!({"cliente_id": 51, "to": "5491158254201", "media": {"url": "https://example.com/lista.pdf", "kind": "document", "caption": "Precios"}}))),
    ("a poll in a group" = (value = json!({"cliente_id": 51, "to": "120363041234567890@g.us", "poll": {"question": "¿Cuándo?", "options": ["lunes", "martes"], "choices": 1}}))),
    ("in its turn" = (value = json!({"cliente_id": 51, "to": "5491158254201@c.us", "message": "Hola", "async": true}))),
)), responses(
    (status = 200, description = "WhatsApp's server has it, or what a dry run found", body = SentOrDryRun, content_type = "application/json",
        headers(("Idempotent-Replayed" = Option<String>, description = "true: the request was accepted before"))),
    (status = 202, description = "Accepted: it waits here, or in WhatsApp's own queue", body = AcceptedSend, content_type = "application/json",
        headers(("Idempotent-Replayed" = Option<String>, description = "true: the request was accepted before"))),
))]
pub(in crate::http) async fn send(
    State(app): State<AppState>,
    Json(request): Json<ParsedSend>,
) -> Result<Response, ApiError> {
    let session = session_of(&app, &request.target)?;
    if request.is_dry_run {
        Ok(dry_run(&session, request).await?.into_response())
    } else {
        really_send(&app, &session, request).await
    }
}

/// The session that is meant, or why there is none.
pub(super) fn session_of(app: &AppState, target: &Target) -> Result<SessionHandle, SendError> {
    let session = app.registry.find(&target.id);
    session.ok_or_else(|| {
        let last = app.registry.last_seen(&target.id);
        last.as_ref()
            .map_or_else(SendError::never_connected, SendError::of_forgotten)
    })
}

async fn really_send(
    app: &AppState,
    session: &SessionHandle,
    request: ParsedSend,
) -> Result<Response, ApiError> {
    let echo = request.target.echo.clone();
    let (sent, to) = accept(app, session, request).await?;
    let is_repeated = sent.is_repeated;
    Ok(accepted(AcceptedSend::of(echo, to, sent), is_repeated))
}

/// The answer to a request that was accepted, now or before.
pub(super) fn accepted(accepted: AcceptedSend, is_repeated: bool) -> Response {
    let status = if accepted.is_with_the_server() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let answer = (status, Json(accepted)).into_response();
    marked_as_replayed(answer, is_repeated)
}

/// Has the session send it. Answers what became of it, and whom it is for.
pub(super) async fn accept(
    app: &AppState,
    session: &SessionHandle,
    request: ParsedSend,
) -> Result<(Sent, String), ApiError> {
    let ParsedSend {
        target,
        mut message,
        media,
        idempotency_key,
        waits,
        is_dry_run: _,
    } = request;
    let to = message.to.as_str().to_owned();
    if let Some(given) = media {
        let mut request = None;
        if let Some(key) = &idempotency_key
            && let Some(hash) = repetition::hash(&given, &message)
        {
            if let Some(accepted) = session.accepted_under(key).await? {
                let cliente_id = target.echo.to_string();
                let likeness =
                    repetition::compare(&accepted.borrow(), &cliente_id, &message, &given, &hash);
                match likeness {
                    Likeness::Other => return Err(SendError::KeyReused.into()),
                    Likeness::Same => return Ok((session.repeated(accepted, waits).await?, to)),
                    Likeness::Unclear => {}
                }
            }
            request = Some(hash);
        }
        // On disk before the send is accepted, and its hash is a part of the request.
        let medium = media::of_send(app, given).await?;
        let extras = Arc::make_mut(&mut message.extras);
        extras.media = Some(medium);
        extras.request = request;
    }
    let sent = session
        .send(crate::session::SendRequest {
            message,
            cliente_id: target.echo.to_string(),
            idempotency_key,
            waits,
        })
        .await?;
    Ok((sent, to))
}

/// The answer, which says so when it is about a request that was accepted before.
pub(super) fn marked_as_replayed(mut answer: Response, is_repeated: bool) -> Response {
    if is_repeated {
        let yes = HeaderValue::from_static("true");
        answer.headers_mut().insert(REPLAYED, yes);
    }
    answer
}

async fn dry_run(session: &SessionHandle, request: ParsedSend) -> Result<Json<DryRun>, ApiError> {
    let to = request.message.to;
    let name = to.as_str().to_owned();
    let check = session.check(to).await?;
    Ok(Json(DryRun::of(request.target.echo, name, check)))
}
