//! Which web pages may call, and by which name: what a browser must not do here for a page of a stranger.
//!
//! | `CORS_ORIGINS` | a page that is not allowed | a request without an `Origin` |
//! |---|---|---|
//! | `*` | there is none | is answered, with `*` |
//! | `local`, a list, both | 403; where a key is asked for, only when it would change something, for it has no key | is answered; with `*` if `local` is in it |
//!
//! Not set, it is `local` while no key is asked for, and `*` from then on: what the Express service before this one
//! answered, byte for byte, and the key decides.
//!
//! Where no key is asked for, a name in `Host` that a stranger can make lead here is 421 as well, but with `*`.
//!
//! A layer of its own and not tower-http's, which answers a preflight with 200 and needs `Origin` for a header that the contract
//! has on every answer.

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
            ACCESS_CONTROL_REQUEST_HEADERS, HOST, ORIGIN, REFERER, VARY,
        },
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::public_url::{WebOrigin, is_called_by_a_known_name, is_own_page};
use crate::{
    config::{Config, CorsOrigins},
    http::{state::AppState, wire::error::ApiError},
};

const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");

/// What a page may read of an answer besides what each page may: every header that this API gives a meaning to.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Retry-After,Idempotent-Replayed,Allow,WWW-Authenticate");

const ANY: HeaderValue = HeaderValue::from_static("*");

/// Adds the headers to every answer, and answers each `OPTIONS` as a preflight. Needs no key: a preflight carries none.
pub(in crate::http) async fn allow(
    State(app): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let asks_for_key = app.keys.is_asked_for();
    let allowed = allowed(&app.config, asks_for_key);
    let judged = judge(&app, allowed, asks_for_key, &request);
    let (origin, mut response) = match judged {
        Err(why) => (None, why.into_response()),
        Ok(origin) if request.method() == Method::OPTIONS => (origin, preflight(request.headers())),
        Ok(origin) => (origin, next.run(request).await),
    };
    let headers = response.headers_mut();
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    if *allowed != CorsOrigins::Any {
        // The answer depends on who asks, also when it has no header.
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    response
}

/// The web pages that may call. Where a key is asked for, the key decides unless the setting does.
fn allowed(config: &Config, asks_for_key: bool) -> &CorsOrigins {
    static ANY: CorsOrigins = CorsOrigins::Any;
    static LOCAL: CorsOrigins = CorsOrigins::LOCAL;
    let usual = if asks_for_key { &ANY } else { &LOCAL };
    config.cors_origins.as_ref().unwrap_or(usual)
}

/// Whom the answer may be shown to: `Access-Control-Allow-Origin`.
fn judge(
    app: &AppState,
    allowed: &CorsOrigins,
    asks_for_key: bool,
    request: &Request,
) -> Result<Option<HeaderValue>, ApiError> {
    let CorsOrigins::Only { local, .. } = allowed else {
        return Ok(Some(ANY));
    };
    if !asks_for_key && !is_called_by_a_known_name(&app.config, request) {
        return Err(ApiError::HostNotKnown);
    }
    let headers = request.headers();
    let origins: Vec<&HeaderValue> = headers.get_all(ORIGIN).iter().collect();
    let Some(first) = origins.first() else {
        if !asks_for_key && is_fetched_for_a_strange_page(app, allowed, headers) {
            return Err(ApiError::OriginNotAllowed);
        }
        return Ok(local.then_some(ANY));
    };
    let may_call = |origin: &&HeaderValue| {
        let page = origin.to_str().ok().and_then(WebOrigin::of);
        page.is_some_and(|page| lists(allowed, &page) || is_own_page(app, &page, headers))
    };
    if origins.iter().all(may_call) {
        Ok(Some(HeaderValue::clone(first)))
    } else if asks_for_key && request.method().is_safe() {
        // It has no key, and could not read the answer if it had.
        Ok(None)
    } else {
        Err(ApiError::OriginNotAllowed)
    }
}

fn lists(allowed: &CorsOrigins, origin: &WebOrigin) -> bool {
    match allowed {
        CorsOrigins::Any => true,
        CorsOrigins::Only { local, listed } => {
            let is_this = |known: &String| WebOrigin::of(known).as_ref() == Some(origin);
            (*local && origin.is_of_this_machine()) || listed.iter().any(is_this)
        }
    }
}

/// Whether a browser says that it fetches this for a page that may not call. Of what a page only shows, a picture or a
/// frame, a browser sends no `Origin`, but most send `Sec-Fetch-Site` to an address of this machine.
fn is_fetched_for_a_strange_page(
    app: &AppState,
    allowed: &CorsOrigins,
    headers: &HeaderMap,
) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_for_itself = match text("sec-fetch-site") {
        None | Some("same-origin" | "none") => true,
        // Another port of this machine: its pages are allowed whatever their port.
        Some("same-site") => {
            let host =
                text(HOST.as_str()).and_then(|host| WebOrigin::of(&format!("http://{host}")));
            host.is_some_and(|host| host.is_of_this_machine() && lists(allowed, &host))
        }
        Some(_) => false,
    };
    // A person has followed a link: the page that it stood on cannot look into what is shown then.
    let is_a_visit =
        (text("sec-fetch-mode"), text("sec-fetch-dest")) == (Some("navigate"), Some("document"));
    // A page can keep its browser from sending this one, but not have it send another.
    let is_allowed = || {
        let page = text(REFERER.as_str()).and_then(WebOrigin::of);
        page.is_some_and(|page| lists(allowed, &page) || is_own_page(app, &page, headers))
    };
    !is_for_itself && !is_a_visit && !is_allowed()
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
