//! JSON in and out, with our own rejections.
//!
//! A body is read as JSON whatever its `Content-Type` says, and none at all is an empty object. Only a body that calls
//! itself a form, and does not look like JSON, is read as one: each field is a string. (`curl -d cliente_id=51` names
//! a session and must not fall to the default one; `curl -d '{"cliente_id":51}'` calls itself a form too.)

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt as _;
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;

use super::{error::ApiError, state::AppState};

/// 100 kB as the service before this one counted them.
const LARGEST_BODY: usize = 100 * 1024;

/// How much of a body that is too large is still read and thrown away, so that the caller has done writing and reads
/// the 413. Closing on unread bytes resets the connection, and the answer with it.
const LARGEST_DISCARDED: usize = 8 * 1024 * 1024;

/// A hundred kilobytes take a second on a poor line; a caller that stops half-way must not hold a connection for ever.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// The field that names a session.
pub(super) const CLIENTE_ID: &str = "cliente_id";

/// A JSON object: the form of every request.
pub(super) type Object = serde_json::Map<String, Value>;

/// What a handler reads from a body.
pub(super) trait FromBody: Sized {
    /// Checks `body` in the order of the contract. The headers may name the session; the caller may not reach it.
    fn from_body(body: &Object, parts: &Parts, app: &AppState) -> Result<Self, ApiError>;
}

/// A request read from JSON, or an answer written as JSON.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: FromBody> FromRequest<AppState> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = timeout(BODY_TIMEOUT, read(body))
            .await
            .map_err(|_| ApiError::TooSlow)??;
        let body = object(&bytes, &parts.headers)?;
        // Its sender means a session; falling to another one would act on somebody else's account.
        let query = parts.uri.query().unwrap_or_default();
        let is_named =
            |fields: &mut form_urlencoded::Parse<'_>| fields.any(|(name, _)| name == CLIENTE_ID);
        if !body.contains_key(CLIENTE_ID) && is_named(&mut form_urlencoded::parse(query.as_bytes()))
        {
            return Err(ApiError::ClienteIdInQuery);
        }
        T::from_body(&body, &parts, app).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(json) => (answer_headers("application/json; charset=utf-8"), json).into_response(),
            Err(why) => ApiError::Serialize(why).into_response(),
        }
    }
}

/// What every answer with a body says of it. States and codes are old within seconds: nobody may keep them.
pub(super) const fn answer_headers(
    content_type: &'static str,
) -> [(header::HeaderName, HeaderValue); 2] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]
}

async fn read(body: Body) -> Result<Vec<u8>, ApiError> {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut size) = (Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::InvalidJson("it broke off".to_owned()))?;
        size += chunk.len();
        if size > LARGEST_DISCARDED {
            break;
        }
        if size <= LARGEST_BODY {
            bytes.extend_from_slice(&chunk);
        }
    }
    if size > LARGEST_BODY {
        Err(ApiError::TooLarge)
    } else {
        Ok(bytes)
    }
}

fn object(bytes: &[u8], headers: &HeaderMap) -> Result<Object, ApiError> {
    let text = bytes.trim_ascii();
    if text.is_empty() {
        return Ok(Object::new());
    }
    if is_form(headers)
        && !text.starts_with(b"{")
        && !text.starts_with(b"[")
        && !text.starts_with(b"\"")
    {
        let fields = form_urlencoded::parse(text);
        return Ok(fields
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
            .collect());
    }
    // A parser's complaint may quote what it read; where it stopped is all that a caller needs.
    let at = |why: &serde_json::Error| {
        format!(
            "it cannot be read at line {} column {}",
            why.line(),
            why.column()
        )
    };
    match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_),
        ) => Err(ApiError::InvalidJson(
            "it is another kind of JSON value".to_owned(),
        )),
        Err(why) => Err(ApiError::InvalidJson(at(&why))),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    content_type
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_as(content_type: &'static str, body: &str) -> Result<Value, &'static str> {
        let headers =
            HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        object(body.as_bytes(), &headers)
            .map(Value::Object)
            .map_err(|error| error.code())
    }

    #[test]
    fn json_is_read_whatever_the_content_type_says() {
        for content_type in [
            "application/json",
            "text/plain",
            "application/x-www-form-urlencoded",
            "",
        ] {
            assert_eq!(
                read_as(content_type, r#" {"cliente_id": 51}"#),
                Ok(json!({"cliente_id": 51})),
                "{content_type}"
            );
        }
    }

    #[test]
    fn no_body_is_an_empty_object() {
        for body in ["", " \n"] {
            assert_eq!(read_as("application/json", body), Ok(json!({})));
            assert_eq!(
                read_as("application/x-www-form-urlencoded", body),
                Ok(json!({}))
            );
        }
    }

    #[test]
    fn a_form_is_an_object_of_strings() {
        let form = read_as(
            "application/x-www-form-urlencoded; charset=UTF-8",
            "cliente_id=51&message=a+b%0Ac",
        );
        assert_eq!(form, Ok(json!({"cliente_id": "51", "message": "a b\nc"})));
    }

    #[test]
    fn what_is_no_object_is_invalid_json() {
        for content_type in ["application/json", "application/x-www-form-urlencoded"] {
            for body in [r#"{"cliente_id": 51,"#, r#""x""#, "[]", "{}{}"] {
                assert_eq!(
                    read_as(content_type, body),
                    Err("INVALID_JSON"),
                    "{content_type} {body}"
                );
            }
        }
        for body in ["null", "51", "cliente_id=51", "\u{feff}{}"] {
            assert_eq!(
                read_as("application/json", body),
                Err("INVALID_JSON"),
                "{body}"
            );
        }
    }
}
