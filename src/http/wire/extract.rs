//! JSON in and out, with rejections as JSON. What the bytes of a body say is read in [`body`].

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt as _;
use serde::{Deserialize as _, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::timeout;

use super::{
    body,
    body::LARGEST_BODY,
    error::{ApiError, too_large},
    spelling,
};
use crate::http::state::AppState;

/// How much of a body that is too large is still read and thrown away, so that the caller has done writing and reads
/// the 413. Closing on unread bytes resets the connection, and the answer with it.
const LARGEST_DISCARDED: usize = 24 * 1024 * 1024;

/// The largest body takes some seconds on a poor line; a caller that stops half-way must not hold a connection for ever.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// The field that names a session.
pub(in crate::http) const CLIENTE_ID: &str = "cliente_id";

/// A JSON object: the form of every request.
pub(in crate::http) type Object = serde_json::Map<String, Value>;

/// What a handler reads from a body.
pub(in crate::http) trait FromBody: Sized {
    /// Its fields.
    type Fields: DeserializeOwned;

    /// What it reads of the query.
    const QUERY: &[&str] = &[];

    /// Whether a request that names no session means the default one.
    const MAY_NAME_NO_SESSION: bool = true;

    /// How many bytes its body may have.
    const LARGEST: usize = LARGEST_BODY;

    /// What is answered to an array. The service before this one found no field in it, and so no session.
    fn of_array() -> ApiError {
        ApiError::ClienteIdRequired
    }

    /// Checks the fields of `body` in the order of the contract. The headers may name the session; the caller may not reach it.
    fn from_body(
        fields: Self::Fields,
        body: &Object,
        parts: &Parts,
        app: &AppState,
    ) -> Result<Self, ApiError>;
}

/// A request read from JSON, or an answer written as JSON.
#[derive(Debug)]
pub(in crate::http) struct Json<T>(pub(in crate::http) T);

impl<T: FromBody> FromRequest<AppState> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = timeout(BODY_TIMEOUT, read(body, T::LARGEST))
            .await
            .map_err(|_| ApiError::TooSlow)??;
        let Some(body) = body::object(bytes, &parts.headers, T::LARGEST)? else {
            return Err(T::of_array());
        };
        spelling::check::<T>(&body, &parts)?;
        // It takes any value in any field.
        let fields = T::Fields::deserialize(&body);
        let fields = fields.map_err(|why| ApiError::InvalidJson(why.to_string()))?;
        T::from_body(fields, &body, &parts, app).map(Self)
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

/// What every answer with a body says of it. States and codes are old within seconds, so no cache may keep them.
pub(in crate::http) const fn answer_headers(
    content_type: &'static str,
) -> [(header::HeaderName, HeaderValue); 2] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]
}

async fn read(body: Body, largest: usize) -> Result<Vec<u8>, ApiError> {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut size) = (Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk =
            chunk.map_err(|_| ApiError::InvalidJson("it broke off: send it again".to_owned()))?;
        size += chunk.len();
        if size > LARGEST_DISCARDED {
            break;
        }
        if size <= largest {
            bytes.extend_from_slice(&chunk);
        }
    }
    if size > largest {
        Err(too_large(largest))
    } else {
        Ok(bytes)
    }
}
