//! `GET /api/{session}/auth/qr` and `POST …/auth/request-code`: the code that links a phone, to scan or to type.

use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::naming;
use crate::{
    http::{
        api::{connect, qr, status},
        guard::{caller::Caller, reach::TargetInPath},
        state::AppState,
        wire::{
            error::ApiError,
            extract::{FromBody, Json, Object, answer_headers},
            requests::Given,
            waha::{WahaCode, WahaCodeBody, WahaFile, WahaPairingCode},
        },
    },
    qr::QrPicture,
    session::{PhoneToLink, Recipient, WaitFor},
};

/// What a code is wanted as.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) enum Form {
    /// A picture.
    Png,
    /// The same in base64, within JSON.
    Base64,
    /// What the picture says.
    Raw,
}

impl FromRequestParts<AppState> for Form {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &AppState) -> Result<Self, ApiError> {
        match naming::parameter(parts, "format").as_deref() {
            Some("raw") => Ok(Self::Raw),
            None | Some("" | "image") if prefers_json(&parts.headers) => Ok(Self::Base64),
            None | Some("" | "image") => Ok(Self::Png),
            Some(_) => Err(ApiError::InvalidWahaFormat),
        }
    }
}

fn prefers_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.trim_start().starts_with("application/json"))
}

/// `GET /api/{session}/auth/qr`.
pub(in crate::http) async fn qr(
    State(app): State<AppState>,
    TargetInPath(target): TargetInPath,
    form: Form,
) -> Result<Response, ApiError> {
    let snapshot = status::snapshot(&app, &target.id);
    let (code, _) = qr::pending(&snapshot).ok_or_else(|| qr::no_code(&snapshot))?;
    let picture = || Ok::<_, ApiError>(QrPicture::of(&code.text)?.png()?);
    Ok(match form {
        Form::Png => (answer_headers("image/png"), picture()?).into_response(),
        Form::Base64 => {
            let data = STANDARD.encode(picture()?);
            let mimetype = "image/png";
            Json(WahaFile { mimetype, data }).into_response()
        }
        Form::Raw => {
            let value = code.text.clone().into();
            Json(WahaCode { value }).into_response()
        }
    })
}

/// The number of the phone to link.
#[derive(Debug)]
pub(in crate::http) struct CodeAsked(Recipient);

impl FromBody for CodeAsked {
    type Fields = WahaCodeBody;

    fn from_body(
        fields: WahaCodeBody,
        _body: &Object,
        _parts: &Parts,
        _app: &AppState,
    ) -> Result<Self, ApiError> {
        let Given::Value(number) = fields.phone_number else {
            return Err(ApiError::WahaPhoneMissing);
        };
        let number = number.parse().map_err(ApiError::InvalidWahaPhone)?;
        Ok(Self(number))
    }
}

/// `POST /api/{session}/auth/request-code`. Starts the session unless it runs.
pub(in crate::http) async fn request_code(
    State(app): State<AppState>,
    caller: Caller,
    TargetInPath(target): TargetInPath,
    Json(CodeAsked(number)): Json<CodeAsked>,
) -> Result<(StatusCode, Json<WahaPairingCode>), ApiError> {
    let phone = PhoneToLink {
        number: number.clone(),
        force: false,
    };
    let wait = WaitFor::Code(app.config.connect_wait);
    let outcome = connect::started(&app, &caller, &target.id, Some(phone), wait).await?;
    let state = &outcome.snapshot.state;
    if state.takes_sends() {
        return Err(ApiError::AlreadyLinked);
    }
    let code = state.pairing().filter(|code| code.phone == number);
    let code = code.ok_or_else(|| qr::no_code(&outcome.snapshot))?;
    let code = String::from(code.text.clone());
    Ok((StatusCode::CREATED, Json(WahaPairingCode { code })))
}
