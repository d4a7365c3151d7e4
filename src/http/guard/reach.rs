//! Which session a request means, and whether its caller reaches it.
//!
//! | | first | then | then |
//! |---|---|---|---|
//! | `GET` | `cliente_id` in the query | the header `X-Cliente-Id` | the default session |
//! | `POST /connect`, `/disconnect` | `cliente_id` in the body | the header | the default session |
//! | `POST /send`, `/chats/…` | a **number** in the body | the header | 400; the default session in `single` mode |
//! | `/messages/{id}/…` | `cliente_id` in the body | the header | the session that has sent the message; else 400 |
//!
//! The first that is *there* decides, even when it is wrong: an empty one, a `null`, one given twice or one that is no
//! valid name is 400 and never falls to the next, because its sender meant *some* session.
//!
//! An id in the query of a POST that has none in its body is 400 too; so is a request that names no session and may not
//! do so on purpose: [`purpose`].
//!
//! `/send` never assumes a session in `multi` mode: that would send from the account of another session. A named session such as `admin`
//! is reached by the header. In `single` mode the id is checked as in the other, echoed, and every request goes to the default session.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderMap, request::Parts},
};
use serde_json::Value;

use super::{caller::Caller, purpose};
use crate::{
    config::SessionMode,
    http::{
        state::AppState,
        wire::{
            error::ApiError,
            extract::{CLIENTE_ID, FromBody, Object},
            requests::{AnyClienteId, Given},
            target::Target,
        },
    },
    session::{ClienteId, InvalidClienteId},
};

/// The header that names a session.
pub(in crate::http) const HEADER: &str = "x-cliente-id";

/// A session that is named in the path.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http) struct TargetInPath(pub(in crate::http) Target);

impl FromRequestParts<AppState> for TargetInPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let path = RawPathParams::from_request_parts(parts, app).await;
        let path = path.map_err(|_not_utf8| InvalidClienteId)?;
        let (_, id) = path.iter().next().ok_or(InvalidClienteId)?;
        let target = Target::or_default(Some(Named::text(id)?), parts, app)?;
        Ok(Self(target))
    }
}

/// The session that a `GET` names, in its query or by the header, if it names one.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http) struct TargetIfNamed(pub(in crate::http) Option<Target>);

impl FromRequestParts<AppState> for TargetIfNamed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        purpose::check_read(parts, app)?;
        let named = in_query(parts)?;
        let target = named.map(|named| Target::or_default(Some(named), parts, app));
        target.transpose().map(Self)
    }
}

/// The session whose login code a `GET` asks for.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http) struct TargetOfCode(pub(in crate::http) Target);

impl FromRequestParts<AppState> for TargetOfCode {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        purpose::check_code(parts, app)?;
        Target::or_default(in_query(parts)?, parts, app).map(Self)
    }
}

/// A session as a request names it, before the mode has its say.
struct Named {
    id: ClienteId,
    echo: Value,
}

impl FromRequestParts<AppState> for Target {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        Self::of_query(parts, app)
    }
}

impl Target {
    fn of_query(parts: &Parts, app: &AppState) -> Result<Self, ApiError> {
        purpose::check_read(parts, app)?;
        Self::or_default(in_query(parts)?, parts, app)
    }

    /// For `/connect` and `/disconnect`.
    pub(in crate::http) fn of_body<B: FromBody>(
        named: &Given<AnyClienteId>,
        body: &Object,
        parts: &Parts,
        app: &AppState,
    ) -> Result<Self, ApiError> {
        purpose::check_post::<B>(body, parts, app)?;
        Self::or_default(in_body(named, parts)?, parts, app)
    }

    /// For what is done to a message, which may say by itself whose it is: the session that the request names, if it names one.
    pub(in crate::http) fn of_action<B: FromBody>(
        named: &Given<AnyClienteId>,
        body: &Object,
        parts: &Parts,
        app: &AppState,
    ) -> Result<Option<Self>, ApiError> {
        purpose::check_post::<B>(body, parts, app)?;
        let named = in_body(named, parts)?;
        if named.is_none() && app.config.session_mode == SessionMode::Multi {
            return Ok(None);
        }
        Self::or_default(named, parts, app).map(Some)
    }

    /// For `/send` and what is done in a chat.
    pub(in crate::http) fn of_send<B: FromBody>(
        named: &Given<AnyClienteId>,
        body: &Object,
        parts: &Parts,
        app: &AppState,
    ) -> Result<Self, ApiError> {
        purpose::check_post::<B>(body, parts, app)?;
        let named = match (named, app.config.session_mode) {
            // The contract has its words for 0.
            (Given::Value(AnyClienteId::Number(id)), _) if id.as_f64() != Some(0.0) => {
                Some(Named::number(id).map_err(|_| ApiError::ClienteIdNotPositive)?)
            }
            (Given::Absent, SessionMode::Single) => in_header(&parts.headers)?,
            (Given::Absent, SessionMode::Multi) => {
                Some(in_header(&parts.headers)?.ok_or_else(B::of_array)?)
            }
            (Given::Null | Given::Value(_) | Given::WrongType, _) => {
                return Err(B::of_array());
            }
        };
        Self::or_default(named, parts, app)
    }

    /// For a route of another service, which names its session in a field of its own.
    pub(in crate::http) fn named(
        name: &str,
        parts: &Parts,
        app: &AppState,
    ) -> Result<Self, ApiError> {
        Self::or_default(Some(one(name)?), parts, app)
    }

    /// What the mode makes of a name. The only place that makes a target: its caller has to reach the session that serves
    /// it, whatever its name in the request.
    fn or_default(named: Option<Named>, parts: &Parts, app: &AppState) -> Result<Self, ApiError> {
        let default = &app.config.default_cliente_id;
        let Named { id, echo } = named.unwrap_or_else(|| Named {
            id: default.clone(),
            echo: Value::from(default.as_str()),
        });
        let target = Self {
            id: serving(app, &id).clone(),
            echo,
        };
        Caller::of(&parts.extensions)?.authorize(&target.id)?;
        Ok(target)
    }
}

/// The session that serves this name.
pub(in crate::http) fn serving<'a>(app: &'a AppState, id: &'a ClienteId) -> &'a ClienteId {
    match app.config.session_mode {
        SessionMode::Multi => id,
        SessionMode::Single => &app.config.default_cliente_id,
    }
}

impl Named {
    fn text(id: &str) -> Result<Self, InvalidClienteId> {
        Ok(Self {
            id: id.parse()?,
            echo: Value::from(id),
        })
    }

    fn number(id: &serde_json::Number) -> Result<Self, InvalidClienteId> {
        Ok(Self {
            id: ClienteId::from_number(id)?,
            echo: Value::from(id.clone()),
        })
    }
}

/// In the body, or else in the header.
fn in_body(named: &Given<AnyClienteId>, parts: &Parts) -> Result<Option<Named>, ApiError> {
    match named {
        Given::Absent => in_header(&parts.headers),
        // An empty one is what a variable that was never set leaves of it.
        Given::Null => Err(ApiError::ClienteIdRequired),
        Given::Value(AnyClienteId::Name(id)) => one(id).map(Some),
        Given::Value(AnyClienteId::Number(id)) => Ok(Some(Named::number(id)?)),
        Given::WrongType => Err(InvalidClienteId.into()),
    }
}

/// In the query, or else in the header.
fn in_query(parts: &Parts) -> Result<Option<Named>, ApiError> {
    let query = parts.uri.query().unwrap_or_default();
    let mut ids = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == CLIENTE_ID);
    match (ids.next(), ids.next()) {
        (None, _) => in_header(&parts.headers),
        (Some((_, id)), None) => one(&id).map(Some),
        (Some(_), Some(_)) => Err(InvalidClienteId.into()),
    }
}

fn in_header(headers: &HeaderMap) -> Result<Option<Named>, ApiError> {
    let mut ids = headers.get_all(HEADER).iter();
    match (ids.next(), ids.next()) {
        (None, _) => Ok(None),
        (Some(id), None) => one(id.to_str().map_err(|_| InvalidClienteId)?).map(Some),
        (Some(_), Some(_)) => Err(InvalidClienteId.into()),
    }
}

/// An empty name is as good as none to the service that the contract was recorded of, and it said so in these words.
fn one(id: &str) -> Result<Named, ApiError> {
    if id.is_empty() {
        return Err(ApiError::ClienteIdRequired);
    }
    Ok(Named::text(id)?)
}
