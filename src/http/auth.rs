//! The key, when `API_KEY` asks for one.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use subtle::ConstantTimeEq as _;

use super::{error::ApiError, state::AppState};

/// Lets a request through that carries the key as `X-Api-Key` or as `Authorization: Bearer`, or when none is asked for.
pub(super) async fn require_key(
    State(app): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    match &app.settings().api_key {
        Some(key) if !carries(request.headers(), key.reveal().as_bytes()) => {
            Err(ApiError::Unauthorized)
        }
        Some(_) | None => Ok(next.run(request).await),
    }
}

/// Compares in constant time: how much of a guess is right must not show in how long the answer takes.
fn carries(headers: &HeaderMap, key: &[u8]) -> bool {
    let own = headers.get("x-api-key").map(HeaderValue::as_bytes);
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| bearer_token(value.as_bytes()));
    [own, bearer]
        .into_iter()
        .flatten()
        .any(|given| given.ct_eq(key).into())
}

fn bearer_token(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    #[test]
    fn the_key_counts_in_either_header_and_only_whole() {
        let carries = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )]);
            super::carries(&headers, b"s3cret")
        };
        assert!(carries("x-api-key", "s3cret"));
        assert!(
            carries("authorization", "Bearer s3cret") && carries("authorization", "bearer s3cret")
        );
        for wrong in ["", "s3cre", "s3cret2", "S3CRET", "Bearer s3cret"] {
            assert!(!carries("x-api-key", wrong), "{wrong}");
        }
        for wrong in [
            "",
            "s3cret",
            "Basic s3cret",
            "Bearer",
            "Bearer ",
            "Bearer s3cre",
        ] {
            assert!(!carries("authorization", wrong), "{wrong}");
        }
    }
}
