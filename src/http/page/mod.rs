//! The page at `/`, for a person: files that are part of the program, and the headers that keep it to itself.
//!
//! It holds no data: what it shows it asks of the API, with the key of the person who looks. So the page itself needs none.

use std::sync::Arc;

use axum::{
    extract::{OriginalUri, RawPathParams, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Redirect, Response},
};
use sha2::{Digest as _, Sha256};

use super::wire::error::ApiError;

const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";
const HTML: &str = "text/html; charset=utf-8";

const INDEX: &str = include_str!("index.html");
const LINK: &str = include_str!("link.html");
const NO_LINK: &str = include_str!("no-link.html");

/// What the documents load, by name.
const FILES: [(&str, &str, &str); 21] = [
    ("page.css", CSS, include_str!("page.css")),
    ("icon.svg", SVG, include_str!("icon.svg")),
    ("app.js", JS, include_str!("app.js")),
    ("link.js", JS, include_str!("link.js")),
    ("api.js", JS, include_str!("api.js")),
    ("stream.js", JS, include_str!("stream.js")),
    ("list.js", JS, include_str!("list.js")),
    ("session.js", JS, include_str!("session.js")),
    ("code.js", JS, include_str!("code.js")),
    ("passkey.js", JS, include_str!("passkey.js")),
    ("send.js", JS, include_str!("send.js")),
    ("messages.js", JS, include_str!("messages.js")),
    ("content.js", JS, include_str!("content.js")),
    ("media.js", JS, include_str!("media.js")),
    ("webhooks.js", JS, include_str!("webhooks.js")),
    ("deliveries.js", JS, include_str!("deliveries.js")),
    ("failures.js", JS, include_str!("failures.js")),
    ("words.js", JS, include_str!("words.js")),
    ("codes-en.js", JS, include_str!("codes-en.js")),
    ("codes-es.js", JS, include_str!("codes-es.js")),
    ("elements.js", JS, include_str!("elements.js")),
];

/// Nothing from elsewhere, nothing inline, and no frame around it. Codes come as `data:`, pictures of a failure and the files of messages as
/// `blob:`, which only a script of the page can make.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src blob:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
);

/// `GET /` and `GET /qr.html`.
pub(super) async fn index(headers: HeaderMap) -> Response {
    file_answer(HTML, INDEX, &headers)
}

/// A page with a slash at the end of its address is sent to the one without: it names its files from where it is. The way there
/// is relative to this address, not to the root, for a proxy may serve all this under a path.
pub(super) async fn without_slash(
    OriginalUri(asked): OriginalUri,
    request: Request,
    next: Next,
) -> Response {
    let own = asked.path().trim_end_matches('/');
    let up = asked.path().len() - own.len();
    match own.rsplit('/').next() {
        Some(name) if up > 0 && !name.is_empty() => {
            Redirect::temporary(&format!("{}{name}", "../".repeat(up))).into_response()
        }
        Some(_) | None => next.run(request).await,
    }
}

/// `GET /page/{file}`.
pub(super) async fn file(path: RawPathParams, headers: HeaderMap) -> Result<Response, ApiError> {
    let wanted = path.iter().next().map(|(_, name)| name);
    let found = FILES.iter().find(|(name, _, _)| Some(*name) == wanted);
    let (_, kind, text) = found.ok_or(ApiError::UnknownPath)?;
    Ok(file_answer(kind, text, &headers))
}

/// The page of a one-time link. It is never kept: the link ends.
pub(super) fn of_link() -> Response {
    secret(StatusCode::OK, LINK)
}

/// The same when there is nothing to show, for this reason.
pub(super) fn no_link(why: ApiError) -> Response {
    let mut response = secret(why.facts().status, NO_LINK);
    response.extensions_mut().insert(Arc::new(why));
    response
}

fn secret(status: StatusCode, html: &'static str) -> Response {
    let more = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            HeaderName::from_static("x-robots-tag"),
            HeaderValue::from_static("noindex, nofollow"),
        ),
    ];
    (status, more, headers_of(HTML), html).into_response()
}

/// A file, unless the browser has this one. Its sum is computed each time: 30 kB take less than a millisecond.
fn file_answer(kind: &'static str, text: &'static str, asked: &HeaderMap) -> Response {
    let sum = Sha256::digest(text.as_bytes());
    let tag = format!(
        "\"{:016x}\"",
        sum.iter()
            .take(8)
            .fold(0_u64, |tag, byte| tag << 8 | u64::from(*byte))
    );
    let known = asked
        .get(header::IF_NONE_MATCH)
        .and_then(|known| known.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|known| known.trim() == tag));
    let more = [
        // Kept, and asked about each time: a new version of the service has a new page.
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, tag),
    ];
    if is_known {
        (StatusCode::NOT_MODIFIED, more, headers_of(kind)).into_response()
    } else {
        (more, headers_of(kind), text).into_response()
    }
}

const fn headers_of(kind: &'static str) -> [(HeaderName, HeaderValue); 3] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
    ]
}
