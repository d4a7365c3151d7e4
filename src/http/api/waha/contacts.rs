//! `GET /api/contacts/check-exists`: whether a number is on WhatsApp. It asks what a dry run of `/send` asks.

use axum::{
    extract::{FromRequestParts, State},
    http::request::Parts,
};

use super::naming;
use crate::{
    http::{
        api::send,
        state::AppState,
        wire::{error::ApiError, extract::Json, target::Target, waha::WahaNumber},
    },
    session::Addressee,
};

/// The number that is asked for, and the session that asks WhatsApp.
#[derive(Debug)]
pub(in crate::http) struct Asked {
    target: Target,
    number: Addressee,
}

impl FromRequestParts<AppState> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let target = naming::in_query(parts, app)?;
        let phone = naming::parameter(parts, "phone");
        let number = naming::addressee("phone", phone.as_deref())?;
        Ok(Self { target, number })
    }
}

/// `GET /api/contacts/check-exists`.
pub(in crate::http) async fn check_exists(
    State(app): State<AppState>,
    Asked { target, number }: Asked,
) -> Result<Json<WahaNumber>, ApiError> {
    let session = send::session_of(&app, &target)?;
    let check = session.check(number).await?;
    Ok(Json(WahaNumber::of(check.chat.map(Into::into))))
}
