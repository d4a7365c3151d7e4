//! `GET /docs`: the document for people, as one page that asks this service and no other.

use std::sync::LazyLock;

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("reader.css");
const SCRIPT: &str = include_str!("reader.js");

static PAGE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>session-manager: the API</title><style>{STYLE}</style></head>\
         <body><main><h1>session-manager</h1><noscript>This page needs JavaScript; the document itself is at /openapi.json.</noscript></main>\
         <script>{SCRIPT}</script></body></html>"
    )
});

/// Nothing but this very style, this very script, and the document.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    // Letters, digits and punctuation: always a header. If not, nothing may run at all.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Shows this document as a page.
#[utoipa::path(get, path = "/docs", tag = "service", responses(
    (status = 200, description = "HTML", body = String, content_type = "text/html"),
))]
pub(in crate::http) async fn docs() -> Response {
    let headers: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
    ];
    (headers, Html(PAGE.as_str())).into_response()
}
