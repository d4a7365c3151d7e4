//! Which web pages may call: the answers of the Express service before this one, byte for byte.
//!
//! Our own and not tower-http's layer, which answers a preflight with 200 and needs `Origin` for a header that the contract
//! has on every answer.

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN, VARY,
        },
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{error::ApiError, own::is_own_page, state::AppState};
use crate::config::CorsOrigins;

const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");

/// Adds the headers to every answer, and answers each `OPTIONS` as a preflight. Needs no key: a preflight carries none.
pub(super) async fn allow(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let origin = allowed_origin(&app.settings().cors_origins, request.headers());
    let mut response = if request.method() == Method::OPTIONS {
        preflight(request.headers())
    } else if origin.is_none() && acts_for_a_strange_page(&app, &request) {
        ApiError::OriginNotAllowed.into_response()
    } else {
        next.run(request).await
    };
    response
        .headers_mut()
        .extend(origin.map(|origin| (ACCESS_CONTROL_ALLOW_ORIGIN, origin)));
    if app.settings().cors_origins != CorsOrigins::Any {
        // The answer depends on who asks, also when it has no header.
        response
            .headers_mut()
            .append(VARY, HeaderValue::from_static("Origin"));
    }
    response
}

/// A browser lets any page send a simple POST; it only hides the answer. What such a page asks for must not be done.
fn acts_for_a_strange_page(app: &AppState, request: &Request) -> bool {
    let headers = request.headers();
    let is_own = |origin: &HeaderValue| {
        let origin = origin.to_str();
        origin.is_ok_and(|origin| is_own_page(app, origin, headers))
    };
    !request.method().is_safe() && headers.get(ORIGIN).is_some_and(|origin| !is_own(origin))
}

fn allowed_origin(allowed: &CorsOrigins, headers: &HeaderMap) -> Option<HeaderValue> {
    match allowed {
        CorsOrigins::Any => Some(HeaderValue::from_static("*")),
        CorsOrigins::Only(origins) => {
            let origin = headers.get(ORIGIN)?;
            let asks = origin.to_str().ok()?;
            origins
                .iter()
                .any(|known| known.trim_end_matches('/').eq_ignore_ascii_case(asks))
                .then(|| origin.clone())
        }
    }
}

fn preflight(headers: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    answer.insert(VARY, HeaderValue::from_name(ACCESS_CONTROL_REQUEST_HEADERS));
    answer.extend(
        headers
            .get(ACCESS_CONTROL_REQUEST_HEADERS)
            .map(|asked| (ACCESS_CONTROL_ALLOW_HEADERS, asked.clone())),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(allowed: &CorsOrigins, origin: Option<&'static str>) -> Option<String> {
        let headers = origin
            .map(|origin| (ORIGIN, HeaderValue::from_static(origin)))
            .into_iter()
            .collect();
        allowed_origin(allowed, &headers).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn any_origin_is_a_star_also_without_an_origin() {
        assert_eq!(answered(&CorsOrigins::Any, None).as_deref(), Some("*"));
        assert_eq!(
            answered(&CorsOrigins::Any, Some("http://x.example")).as_deref(),
            Some("*")
        );
    }

    #[test]
    fn a_list_names_the_caller_back_and_nobody_else() {
        let allowed = CorsOrigins::Only(vec![
            "https://app.example".to_owned(),
            "http://localhost:5173/".to_owned(),
        ]);
        for origin in ["https://app.example", "http://localhost:5173"] {
            assert_eq!(answered(&allowed, Some(origin)).as_deref(), Some(origin));
        }
        for origin in [
            None,
            Some("https://app.example.evil"),
            Some("http://app.example"),
            Some("null"),
        ] {
            assert_eq!(answered(&allowed, origin), None, "{origin:?}");
        }
    }
}
