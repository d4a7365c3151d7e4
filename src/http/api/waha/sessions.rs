//! `/api/sessions`: the sessions, and starting and ending one.
//!
//! WAHA keeps a session's name and settings when it is stopped or logged out; here a session is what has a profile or was asked for
//! since the service started. To create one and to start one is the same `POST /connect`.

use axum::{
    extract::State,
    http::{StatusCode, request::Parts},
};

use super::{
    config::{self, CheckedWebhook},
    naming,
};
use crate::{
    delivery::ShownWebhook,
    http::{
        api::{connect, status},
        guard::{caller::Caller, reach::TargetInPath},
        state::AppState,
        wire::{
            error::ApiError,
            extract::{FromBody, Json, Object},
            requests::Given,
            target::Target,
            waha::{WahaMe, WahaSession, WahaSessionBody},
        },
    },
    session::{ClienteId, ReasonCode, SessionHandle, WaitFor},
};

/// `GET /api/sessions`: those that are not stopped; with `?all=true` each that is known.
pub(in crate::http) async fn list(
    State(app): State<AppState>,
    caller: Caller,
    parts: Parts,
) -> Result<Json<Vec<WahaSession>>, ApiError> {
    let has_all = naming::parameter(&parts, "all").is_some_and(|all| all == "true" || all == "1");
    let webhooks = app.webhooks.all().await?;
    let mut snapshots = app.registry.snapshots();
    snapshots.retain(|(id, _)| caller.reaches(id));
    let shown = snapshots
        .iter()
        .map(|(id, snapshot)| WahaSession::of(id, snapshot, &config::of_session(&webhooks, id)));
    Ok(Json(
        shown
            .filter(|session| has_all || !session.is_stopped())
            .collect(),
    ))
}

/// `GET /api/sessions/{session}`.
pub(in crate::http) async fn show(
    State(app): State<AppState>,
    Known(target): Known,
) -> Result<Json<WahaSession>, ApiError> {
    Ok(Json(shown(&app, &target.id).await?))
}

/// `GET /api/sessions/{session}/me`: null while it has no account.
pub(in crate::http) async fn me(
    State(app): State<AppState>,
    Known(target): Known,
) -> Json<Option<WahaMe>> {
    Json(WahaMe::of(&status::snapshot(&app, &target.id)))
}

/// A session to be made or changed.
#[derive(Debug)]
pub(in crate::http) struct Asked {
    /// `None`: the service makes the name.
    target: Option<Target>,
    starts: bool,
    /// `None`: they stay as they are.
    webhooks: Option<Vec<CheckedWebhook>>,
}

impl FromBody for Asked {
    type Fields = WahaSessionBody;

    fn from_body(
        fields: WahaSessionBody,
        _body: &Object,
        parts: &Parts,
        app: &AppState,
    ) -> Result<Self, ApiError> {
        let target = match &fields.name {
            Given::Absent | Given::Null => None,
            name @ (Given::Value(_) | Given::WrongType) => {
                Some(naming::in_body("name", name, parts, app)?)
            }
        };
        let starts = match fields.start {
            Given::Absent | Given::Null => true,
            Given::Value(starts) => starts,
            Given::WrongType => return Err(config::invalid("start", "must be true or false")),
        };
        Ok(Self {
            target,
            starts,
            webhooks: config::checked(fields.config, fields.apps)?,
        })
    }
}

/// `POST /api/sessions`: makes a session known, sets its webhooks, and starts it unless `start` is false.
pub(in crate::http) async fn create(
    State(app): State<AppState>,
    caller: Caller,
    parts: Parts,
    Json(asked): Json<Asked>,
) -> Result<(StatusCode, Json<WahaSession>), ApiError> {
    let target = match asked.target {
        Some(target) => target,
        None => Target::named(&new_name(), &parts, &app)?,
    };
    if let Some(webhooks) = asked.webhooks {
        config::set(&app, &target.id, webhooks).await?;
    }
    if asked.starts {
        start_and_wait(&app, &caller, &target.id).await?;
    } else {
        app.registry.find_or_create(&target.id)?;
    }
    answer(&app, &target.id).await
}

fn new_name() -> String {
    format!("session_{:032x}", rand::random::<u128>())
}

/// `PUT /api/sessions/{session}`: sets its webhooks. It goes on running.
pub(in crate::http) async fn change(
    State(app): State<AppState>,
    Known(target): Known,
    Json(asked): Json<Asked>,
) -> Result<Json<WahaSession>, ApiError> {
    config::set(&app, &target.id, asked.webhooks.unwrap_or_default()).await?;
    Ok(Json(shown(&app, &target.id).await?))
}

/// `POST /api/sessions/{session}/start`.
pub(in crate::http) async fn start(
    State(app): State<AppState>,
    caller: Caller,
    Known(target): Known,
) -> Result<(StatusCode, Json<WahaSession>), ApiError> {
    start_and_wait(&app, &caller, &target.id).await?;
    answer(&app, &target.id).await
}

/// `POST /api/sessions/{session}/stop`: its Chrome is gone, its link stays.
pub(in crate::http) async fn stop(
    State(app): State<AppState>,
    Known(target): Known,
) -> Result<(StatusCode, Json<WahaSession>), ApiError> {
    if let Some(session) = app.registry.find(&target.id) {
        session.disconnect(false).await?;
    }
    answer(&app, &target.id).await
}

/// `POST /api/sessions/{session}/restart`.
pub(in crate::http) async fn restart(
    State(app): State<AppState>,
    caller: Caller,
    Known(target): Known,
) -> Result<(StatusCode, Json<WahaSession>), ApiError> {
    if let Some(session) = app.registry.find(&target.id) {
        session.disconnect(false).await?;
    }
    start_and_wait(&app, &caller, &target.id).await?;
    answer(&app, &target.id).await
}

/// `POST /api/sessions/{session}/logout`: the phone forgets the device, the profile is deleted, and the next code is shown.
pub(in crate::http) async fn log_out(
    State(app): State<AppState>,
    caller: Caller,
    Known(target): Known,
) -> Result<(StatusCode, Json<WahaSession>), ApiError> {
    linked(&app, &target.id)?.disconnect(true).await?;
    start_and_wait(&app, &caller, &target.id).await?;
    answer(&app, &target.id).await
}

/// `DELETE /api/sessions/{session}`: logs it out if it is linked, and deletes what there is of it, its webhooks as well.
pub(in crate::http) async fn delete(
    State(app): State<AppState>,
    Known(target): Known,
) -> Result<StatusCode, ApiError> {
    let id = &target.id;
    if app.registry.is_linked(id).await {
        linked(&app, id)?.disconnect(true).await?;
    } else if let Some(session) = app.registry.find(id) {
        session.disconnect(false).await?;
    }
    app.registry.forget(id).await?;
    config::set(&app, id, Vec::new()).await?;
    Ok(StatusCode::OK)
}

/// A session in the path that there is.
#[derive(Debug)]
pub(in crate::http) struct Known(Target);

impl axum::extract::FromRequestParts<AppState> for Known {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let TargetInPath(target) = TargetInPath::from_request_parts(parts, app).await?;
        let registry = &app.registry;
        // One whose codes ran out unscanned has been there, and is to be started again.
        let ran_out = || {
            let reason = registry.last_seen(&target.id)?.reason?;
            Some(reason.code == ReasonCode::QrTimeout)
        };
        let is_known = registry.find(&target.id).is_some() || ran_out() == Some(true);
        if is_known {
            Ok(Self(target))
        } else {
            Err(ApiError::WahaSessionUnknown)
        }
    }
}

/// The session that a logout asks: one that is not known cannot be asked.
fn linked(app: &AppState, id: &ClienteId) -> Result<SessionHandle, ApiError> {
    Ok(app.registry.find_or_create(id)?)
}

/// As `POST /connect` does: until there is a code, or an account.
async fn start_and_wait(app: &AppState, caller: &Caller, id: &ClienteId) -> Result<(), ApiError> {
    let wait = WaitFor::Code(app.config.connect_wait);
    connect::started(app, caller, id, None, wait).await?;
    Ok(())
}

async fn shown(app: &AppState, id: &ClienteId) -> Result<WahaSession, ApiError> {
    let webhooks: Vec<ShownWebhook> = app.webhooks.all().await?;
    let snapshot = status::snapshot(app, id);
    let webhooks = config::of_session(&webhooks, id);
    Ok(WahaSession::of(id, &snapshot, &webhooks))
}

async fn answer(
    app: &AppState,
    id: &ClienteId,
) -> Result<(StatusCode, Json<WahaSession>), ApiError> {
    Ok((StatusCode::CREATED, Json(shown(app, id).await?)))
}
