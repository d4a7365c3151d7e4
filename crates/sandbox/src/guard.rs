//! Keeps web pages of other sites away from the phone, which has no authentication.
//!
//! Responsible for: refusing what a browser sends for a page of a stranger, by `Origin`, and by a `Host` that a
//! stranger can make lead to this machine. Tools send no `Origin`, and call the sandbox by an address or as
//! `localhost`.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::answer::ApiError;

/// Whether other machines reach the sandbox. Then they may call it by any name: its operator has opened it on purpose.
#[derive(Clone, Copy, Debug)]
pub(super) struct IsOpen(pub(super) bool);

/// Refuses what a page of a stranger asks for, and lets no browser guess what kind of file an answer is.
pub(super) async fn keep(
    State(IsOpen(is_open)): State<IsOpen>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match judge(is_open, &request) {
        Ok(()) => next.run(request).await,
        Err(why) => why.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

fn judge(is_open: bool, request: &Request) -> Result<(), ApiError> {
    let headers = request.headers();
    let host = headers.get(header::HOST);
    let called = host.and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let is_known = called
        .as_ref()
        .is_some_and(|called| is_localhost(called.host()) || address(called.host()).is_some());
    if host.is_some() && !is_open && !is_known {
        return Err(ApiError::unknown_host());
    }
    for origin in headers.get_all(header::ORIGIN) {
        let page: Option<Uri> = origin.to_str().ok().and_then(|origin| origin.parse().ok());
        let page = page.filter(|page| matches!(page.scheme_str(), Some("http" | "https")));
        let page = page.as_ref().and_then(Uri::authority);
        let may_call = page.is_some_and(|page| {
            let host = page.host();
            let is_of_this_machine = is_localhost(host)
                || address(host).is_some_and(|address| address.to_canonical().is_loopback());
            Some(page) == called.as_ref() || is_of_this_machine
        });
        if !may_call {
            return Err(ApiError::strange_page());
        }
    }
    Ok(())
}

fn is_localhost(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

fn address(host: &str) -> Option<IpAddr> {
    let number = host.trim_start_matches('[').trim_end_matches(']');
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn status(is_open: bool, host: &str, origin: Option<&str>) -> u16 {
        let mut request = Request::get("/phone").header("Host", host);
        if let Some(origin) = origin {
            request = request.header("Origin", origin);
        }
        let judged = judge(is_open, &request.body(Body::empty()).unwrap());
        judged.map_or_else(|why| why.into_response().status().as_u16(), |()| 200)
    }

    #[test]
    fn tools_and_pages_of_this_machine_may_call_and_no_page_of_a_stranger() {
        for host in [
            "127.0.0.1:3002",
            "localhost:3002",
            "[::1]:3002",
            "192.0.2.1",
        ] {
            assert_eq!(status(false, host, None), 200, "{host}");
            for page in ["http://localhost:5173", "http://127.0.0.1:3002"] {
                assert_eq!(status(false, host, Some(page)), 200, "{host} {page}");
            }
            for page in [
                "https://evil.example",
                "null",
                "",
                "http://localhost.evil.example",
            ] {
                assert_eq!(status(false, host, Some(page)), 403, "{host} {page}");
            }
        }
        assert_eq!(status(false, "evil.example:3002", None), 421);
        let (host, page) = ("sandbox:3002", "http://sandbox:3002");
        assert_eq!(status(true, host, Some(page)), 200);
        assert_eq!(status(true, host, Some("http://evil.example")), 403);
    }
}
