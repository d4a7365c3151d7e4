//! Where people reach the service: what its links begin with, and which pages are its own.

use std::net::IpAddr;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Uri, header, request::Parts, uri::Authority},
};

use super::{
    error::ApiError,
    state::{AppState, Settings},
};

const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// The service's address, without a slash at its end.
pub(super) struct PublicUrl(pub(super) String);

impl FromRequestParts<AppState> for PublicUrl {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        if let Some(url) = &app.settings().public_url {
            return Ok(Self(url.trim_end_matches('/').to_owned()));
        }
        let called = called_as(app.settings(), &parts.headers).ok_or(ApiError::NoPublicUrl)?;
        Ok(Self(called))
    }
}

/// Whether a page of this origin is the service's own.
///
/// A browser says `Origin` also when a page calls the server that it came from. The name in `Host` alone proves nothing where no
/// key is asked for: a stranger's page can make its own name lead here (DNS rebinding), and both headers then bear that name. An
/// address in numbers and `localhost` cannot be made to, and a stranger's page has no key.
pub(super) fn is_own_page(app: &AppState, origin: &str, headers: &HeaderMap) -> bool {
    let settings = app.settings();
    let Some(asks) = Origin::of(origin) else {
        return false;
    };
    if settings.public_url.as_deref().and_then(Origin::of).as_ref() == Some(&asks) {
        return true;
    }
    let called = called_as(settings, headers);
    called.as_deref().and_then(Origin::of).as_ref() == Some(&asks)
        && (asks.is_no_made_up_name() || app.asks_for_key())
}

/// As the request has it. What it says of the scheme counts only behind a proxy of ours: else it is a stranger's word.
fn called_as(settings: &Settings, headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST.as_str())?.parse::<Authority>().ok()?;
    let is_proxied = settings.trusted_proxies > 0;
    let scheme = match text(FORWARDED_PROTO).filter(|_| is_proxied) {
        Some("https") => "https",
        Some(_) | None => "http",
    };
    Some(format!("{scheme}://{host}"))
}

/// What browsers mean by it.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    is_tls: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// Of an address. `null`, the origin of a sandboxed frame or a file, is nobody's.
    fn of(address: &str) -> Option<Self> {
        let uri: Uri = address.parse().ok()?;
        let (is_tls, usual) = match uri.scheme_str()? {
            "http" => (false, 80),
            "https" => (true, 443),
            _ => return None,
        };
        Some(Self {
            is_tls,
            host: uri.host()?.to_ascii_lowercase(),
            port: uri.port_u16().unwrap_or(usual),
        })
    }

    /// Whether nobody can make the name lead elsewhere.
    fn is_no_made_up_name(&self) -> bool {
        let number = self.host.trim_start_matches('[').trim_end_matches(']');
        let is_number = number.parse::<IpAddr>().is_ok();
        is_number || self.host == "localhost" || self.host.ends_with(".localhost")
    }
}
