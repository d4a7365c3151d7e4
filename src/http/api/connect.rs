//! `POST /connect` and `POST /disconnect`: starting and ending a session.
//!
//! A caller may go away at any moment: the session goes on, and the next connect finds it where it is.

use std::time::Duration;

use axum::{extract::State, http::request::Parts};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    http::{
        guard::{caller::Caller, purpose},
        state::AppState,
        wire::{
            contract::{Connected, Disconnected},
            error::ApiError,
            extract::{FromBody, Json, Object},
            parameters::SessionInHeader,
            requests::{ConnectBody, DisconnectBody, Given, Phone, Wait},
            target::Target,
        },
    },
    session::{ClienteId, ConnectError, ConnectOutcome, DisconnectOutcome, PhoneToLink, WaitFor},
};

/// Which session to start, and how long to wait for it.
#[derive(Debug)]
pub(in crate::http) struct ConnectRequest {
    target: Target,
    phone: Option<PhoneToLink>,
    wait: WaitFor,
}

impl FromBody for ConnectRequest {
    type Fields = ConnectBody;

    fn from_body(
        fields: ConnectBody,
        body: &Object,
        parts: &Parts,
        app: &AppState,
    ) -> Result<Self, ApiError> {
        let target = Target::of_body::<Self>(&fields.cliente_id, body, parts, app)?;
        let wait = match fields.wait {
            Given::Absent | Given::Null | Given::Value(Wait::Code) => {
                WaitFor::Code(app.config.connect_wait)
            }
            Given::Value(Wait::Ready) => WaitFor::Ready,
            Given::WrongType => return Err(ApiError::InvalidWait),
        };
        let phone = match fields.phone {
            Given::Absent | Given::Null => None,
            Given::Value(Phone::Text(number)) => Some(number),
            Given::Value(Phone::Digits(number)) => Some(number.to_string()),
            Given::WrongType => return Err(ApiError::PhoneNotAString),
        };
        let force = match fields.force {
            Given::Absent | Given::Null => false,
            Given::Value(force) => force,
            // Taking "true" for false would only refuse, but a caller that is not understood should hear of it.
            Given::WrongType => return Err(ApiError::InvalidForce),
        };
        let phone = phone.map(|number| {
            let number = number.parse().map_err(ApiError::InvalidPhone)?;
            Ok::<_, ApiError>(PhoneToLink { number, force })
        });
        Ok(Self {
            target,
            phone: phone.transpose()?,
            wait,
        })
    }
}

/// Starts the session unless it runs.
#[utoipa::path(post, path = "/connect", tag = "sessions", params(SessionInHeader), request_body(content = Option<ConnectBody>, examples(
    ("default session" = (value = json!({}))),
    ("one session" = (value = json!({"cliente_id": 51}))),
    ("by its phone number" = (value = json!({"cliente_id": "51", "phone": "+54 9 11 5825-4201"}))),
    ("although another session has the number" = (value = json!({"cliente_id": 51, "phone": "+54 9 11 5825-4201", "force": true}))),
    ("wait for READY" = (value = json!({"cliente_id": 51, "wait": "ready"}))),
)), responses(
    (status = 200, description = "Where the session has got to", body = Connected, content_type = "application/json"),
))]
pub(in crate::http) async fn connect(
    State(app): State<AppState>,
    caller: Caller,
    Json(ConnectRequest {
        target,
        phone,
        wait,
    }): Json<ConnectRequest>,
) -> Result<Json<Connected>, ApiError> {
    let (wait, _permit) = permitted(wait, &app.ready_waits, app.config.connect_wait);
    let number = phone.as_ref().map(|phone| phone.number.clone());
    let outcome = started(&app, &caller, &target.id, phone, wait).await?;
    Ok(Json(Connected::of(target, number.as_ref(), &outcome)))
}

/// Starts the session unless it runs, and waits as far as `wait` says.
pub(super) async fn started(
    app: &AppState,
    caller: &Caller,
    id: &ClienteId,
    phone: Option<PhoneToLink>,
    wait: WaitFor,
) -> Result<ConnectOutcome, ApiError> {
    let outcome = match phone {
        Some(phone) => app.registry.connect_by_phone(id, phone, wait).await,
        None => app.registry.find_or_create(id)?.connect(wait).await,
    };
    Ok(outcome.map_err(|why| without_foreign_names(why, caller))?)
}

/// An error as this caller may read it: it names no session that its key does not reach.
fn without_foreign_names(why: ConnectError, caller: &Caller) -> ConnectError {
    if let ConnectError::LinkedElsewhere { session } = why {
        let session = session.filter(|id| caller.reaches(id));
        return ConnectError::LinkedElsewhere { session };
    }
    why
}

/// How far this connect may wait, with its permit, to be kept until the answer. One that finds no permit for READY
/// waits as if it had not asked for that: every caller has to expect an answer before READY.
fn permitted(
    wait: WaitFor,
    for_ready: &Semaphore,
    usual: Duration,
) -> (WaitFor, Option<SemaphorePermit<'_>>) {
    if wait != WaitFor::Ready {
        return (wait, None);
    }
    let permit = for_ready.try_acquire().ok();
    let wait = permit.as_ref().map_or(WaitFor::Code(usual), |_| wait);
    (wait, permit)
}

/// Which session to end, and whether to unlink it.
#[derive(Debug)]
pub(in crate::http) struct DisconnectRequest {
    target: Target,
    logout: bool,
}

impl FromBody for DisconnectRequest {
    type Fields = DisconnectBody;

    fn from_body(
        fields: DisconnectBody,
        body: &Object,
        parts: &Parts,
        app: &AppState,
    ) -> Result<Self, ApiError> {
        let target = Target::of_body::<Self>(&fields.cliente_id, body, parts, app)?;
        let logout = match fields.logout {
            Given::Absent | Given::Null => false,
            Given::Value(logout) => logout,
            // Taking "true" for false would leave a device linked that its owner believes is not.
            Given::WrongType => return Err(ApiError::InvalidLogout),
        };
        // A session costs a scan to link again, so a body that means the default one has to say so.
        if logout && !purpose::names_a_session(body, parts, app) {
            return Err(ApiError::LogoutOfNoSession);
        }
        Ok(Self { target, logout })
    }
}

/// Ends the session and waits until its Chrome is gone.
#[utoipa::path(post, path = "/disconnect", tag = "sessions", params(SessionInHeader), request_body(content = Option<DisconnectBody>, examples(
    ("close" = (value = json!({"cliente_id": 51}))),
    ("unlink" = (value = json!({"cliente_id": "admin", "logout": true}))),
)), responses(
    (status = 200, description = "Its Chrome is gone", body = Disconnected, content_type = "application/json"),
))]
pub(in crate::http) async fn disconnect(
    State(app): State<AppState>,
    Json(DisconnectRequest { target, logout }): Json<DisconnectRequest>,
) -> Result<Json<Disconnected>, ApiError> {
    let outcome = if let Some(session) = app.registry.find(&target.id) {
        Some(session.disconnect(logout).await?)
    } else {
        // One that was forgotten when its codes were over has been there.
        let last = app.registry.last_seen(&target.id);
        last.map(|_| DisconnectOutcome::NoActiveSession)
    };
    Ok(Json(Disconnected::of(target, outcome)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_wait_for_ready_and_the_next_one_as_if_it_had_not_asked() {
        let (for_ready, usual) = (Semaphore::new(1), Duration::from_secs(8));
        let (wait, permit) = permitted(WaitFor::Ready, &for_ready, usual);
        assert!(wait == WaitFor::Ready && permit.is_some());
        let code = WaitFor::Code(Duration::from_secs(1));
        assert_eq!(permitted(code, &for_ready, usual).0, code);
        let refused = permitted(WaitFor::Ready, &for_ready, usual).0;
        assert_eq!(refused, WaitFor::Code(usual));
        drop(permit);
        assert_eq!(
            permitted(WaitFor::Ready, &for_ready, usual).0,
            WaitFor::Ready
        );
    }
}
