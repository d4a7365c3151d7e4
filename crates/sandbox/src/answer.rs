//! How the phone's API reads requests and words its errors.
//!
//! Responsible for: one JSON error shape that names the field and the remedy. Not responsible
//! for: what is asked.

use axum::{
    body::Bytes,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{number::Number, server::Refusal};

/// A JSON answer.
pub(super) struct Answer<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// Why a request is refused: `{"code", "field", "error"}`.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    field: String,
    error: String,
}

impl ApiError {
    /// A field of the request is wrong.
    pub(super) fn field(field: impl Into<String>, error: impl Into<String>) -> Self {
        let (field, error) = (field.into(), error.into());
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "INVALID_FIELD",
            field,
            error,
        }
    }

    fn body(error: &str) -> Self {
        let status = StatusCode::BAD_REQUEST;
        Self {
            status,
            code: "INVALID_JSON",
            field: String::new(),
            error: error.to_owned(),
        }
    }

    /// A browser asks for a page that is neither the sandbox's own nor of this machine.
    pub(super) fn strange_page() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            code: "ORIGIN_NOT_ALLOWED",
            field: String::new(),
            error: "only pages of this machine may use the sandbox: open the page from localhost"
                .to_owned(),
        }
    }

    /// A name that a stranger may have made lead here.
    pub(super) fn unknown_host() -> Self {
        Self {
            status: StatusCode::MISDIRECTED_REQUEST,
            code: "MISDIRECTED_REQUEST",
            field: String::new(),
            error: "call the sandbox by an address or as localhost; SANDBOX_HOST opens it to other machines and names"
                .to_owned(),
        }
    }

    /// No such path.
    pub(super) fn unknown_path() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "NOT_FOUND",
            field: String::new(),
            error: "no such path: see /phone, or docs/sandbox.md".to_owned(),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let (status, code, field) = match &refusal {
            Refusal::UnknownCode | Refusal::UnknownPairing => {
                (StatusCode::NOT_FOUND, "UNKNOWN_CODE", "code")
            }
            Refusal::UnknownChallenge => (StatusCode::NOT_FOUND, "UNKNOWN_CHALLENGE", "challenge"),
            Refusal::UnknownAccount => (StatusCode::NOT_FOUND, "UNKNOWN_ACCOUNT", "account"),
            Refusal::UnknownMessage => (StatusCode::NOT_FOUND, "UNKNOWN_MESSAGE", "id"),
            Refusal::UnknownGroup => (StatusCode::NOT_FOUND, "UNKNOWN_GROUP", "group"),
            Refusal::NotAMember => (StatusCode::BAD_REQUEST, "NOT_A_MEMBER", "from"),
            Refusal::HasLeft => (StatusCode::BAD_REQUEST, "HAS_LEFT", "group"),
            Refusal::NotTheAuthor => (StatusCode::BAD_REQUEST, "NOT_THE_AUTHOR", "by"),
            Refusal::NotOwn => (StatusCode::BAD_REQUEST, "NOT_OWN", "id"),
            Refusal::NotWaiting => (StatusCode::BAD_REQUEST, "NOT_WAITING", "id"),
            Refusal::NotHidden => (StatusCode::BAD_REQUEST, "NOT_HIDDEN", "number"),
            Refusal::NotOnWhatsapp => (StatusCode::BAD_REQUEST, "NOT_ON_WHATSAPP", "number"),
            Refusal::NoMedia => (StatusCode::NOT_FOUND, "NO_MEDIA", "id"),
            Refusal::Storage(_) => (StatusCode::INTERNAL_SERVER_ERROR, "STORAGE", ""),
        };
        Self {
            status,
            code,
            field: field.to_owned(),
            error: refusal.to_string(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self {
            status,
            code,
            field,
            error,
        } = self;
        (
            status,
            Answer(json!({ "code": code, "field": field, "error": error })),
        )
            .into_response()
    }
}

/// The fields of a JSON object in a request, taken one by one.
#[derive(Debug)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads the body, which must be a JSON object; its content type does not matter.
    pub(super) fn parse(body: &Bytes) -> Result<Self, ApiError> {
        if body.trim_ascii().is_empty() {
            return Err(ApiError::body(
                "the request has no body: send a JSON object: {\"field\": \"value\"}",
            ));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(ApiError::body("send a JSON object: {\"field\": \"value\"}")),
            Err(why) => Err(ApiError::body(&format!("the body is not JSON: {why}"))),
        }
    }

    /// A text that has to be there; `remedy` says what to give.
    pub(super) fn text(&mut self, name: &str, remedy: &str) -> Result<String, ApiError> {
        self.optional_text(name, remedy)?
            .ok_or_else(|| ApiError::field(name, format!("missing: {remedy}")))
    }

    /// A text that may be left out.
    pub(super) fn optional_text(
        &mut self,
        name: &str,
        remedy: &str,
    ) -> Result<Option<String>, ApiError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(ApiError::field(
                name,
                format!("not a text, or empty: {remedy}"),
            )),
        }
    }

    /// A phone number that has to be there.
    pub(super) fn number(&mut self, name: &str) -> Result<Number, ApiError> {
        self.optional_number(name)?.ok_or_else(|| {
            ApiError::field(
                name,
                "missing: give a phone number with country code, as text",
            )
        })
    }

    /// A phone number that may be left out.
    pub(super) fn optional_number(&mut self, name: &str) -> Result<Option<Number>, ApiError> {
        let raw = self.optional_text(
            name,
            "give a phone number as text, such as \"5491158254201\"",
        )?;
        raw.map(|raw| Number::parse(&raw))
            .transpose()
            .map_err(|why| ApiError::field(name, why))
    }

    /// A value of a shape of its own, which may be left out; `remedy` says what to give.
    pub(super) fn optional<T: DeserializeOwned>(
        &mut self,
        name: &str,
        remedy: &str,
    ) -> Result<Option<T>, ApiError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value)
                .map(Some)
                .map_err(|why| ApiError::field(name, format!("{why}: {remedy}"))),
        }
    }

    /// A number of things, from one to `most`.
    pub(super) fn count(&mut self, name: &str, most: u64) -> Result<u64, ApiError> {
        let remedy = format!("give a number from 1 to {most}");
        let count: Option<u64> = self.optional(name, &remedy)?;
        let fitting = count.filter(|count| (1..=most).contains(count));
        fitting.ok_or_else(|| ApiError::field(name, remedy))
    }

    /// Phone numbers, none if they are left out.
    pub(super) fn numbers(&mut self, name: &str) -> Result<Vec<Number>, ApiError> {
        let remedy = "give phone numbers as texts, in a list";
        let raw: Option<Vec<String>> = self.optional(name, remedy)?;
        let numbers = raw.unwrap_or_default().into_iter();
        numbers
            .map(|raw| Number::parse(&raw).map_err(|why| ApiError::field(name, why)))
            .collect()
    }

    /// Nothing else may be there: a misspelt field is not overlooked.
    pub(super) fn done(self) -> Result<(), ApiError> {
        match self.0.keys().next() {
            Some(name) => Err(ApiError::field(name, "unknown field: see docs/sandbox.md")),
            None => Ok(()),
        }
    }

    /// All fields.
    pub(super) fn into_map(self) -> Map<String, Value> {
        self.0
    }
}
