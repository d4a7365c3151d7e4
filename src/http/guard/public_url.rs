//! Under which names the service is reached, and which web pages are of this machine or the service's own.

use std::net::IpAddr;

use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, Uri, header, request::Parts, uri::Authority},
};

use super::client::is_of_a_private_network;
use crate::{
    config::Config,
    http::{state::AppState, wire::error::ApiError},
};

/// The address of this machine that a request came to, as the system knows it and no caller can make it up.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct CameTo(pub(in crate::http) IpAddr);

const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Ends of names that no public name server may have (RFC 6761, 6762 and 8375; ICANN reserved `internal` in 2024).
const PRIVATE_ENDS: [&str; 4] = [".local", ".internal", ".home.arpa", ".test"];

/// The service's address, without a slash at its end.
pub(in crate::http) struct PublicUrl(pub(in crate::http) String);

impl FromRequestParts<AppState> for PublicUrl {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let config = &app.config;
        if let Some(url) = &config.public_url {
            return Ok(Self(url.trim_end_matches('/').to_owned()));
        }
        let came_to = parts.extensions.get::<CameTo>().map(|came_to| came_to.0);
        let host = host_of(&parts.headers).filter(|host| leads_here(config, host, came_to));
        let host = host.ok_or(ApiError::NoPublicUrl)?;
        let scheme = scheme_of(config, &parts.headers);
        Ok(Self(format!("{scheme}://{host}")))
    }
}

/// Whether an address that begins with `host` can be given to people. `Host` is what the caller writes, and a caller
/// could have the service give out an address of a stranger.
fn leads_here(config: &Config, host: &Authority, came_to: Option<IpAddr>) -> bool {
    match Name::of(host.host()) {
        Name::Localhost => true,
        // A caller can write the public address of another machine as easily as a name.
        Name::Address(address) => is_private(address) || came_to == Some(address.to_canonical()),
        Name::Other(_) => is_known_host(config, host),
    }
}

/// Whether the request calls the service by a name that no stranger can make lead here.
///
/// A page of a stranger can make a name of its own lead to this machine (DNS rebinding), and is of the same origin as the
/// service then, for its browser. An address in numbers and `localhost` cannot be made to.
pub(super) fn is_called_by_a_known_name(config: &Config, request: &Request) -> bool {
    let headers = request.headers().get_all(header::HOST).iter();
    let hosts = headers.map(|host| host.to_str().ok()?.parse().ok());
    // The target of a request may name the host as well, and goes before the header then.
    let target = request.uri().authority().cloned().map(Some);
    hosts
        .chain(target)
        .all(|host: Option<Authority>| host.is_some_and(|host| is_known_host(config, &host)))
}

/// The origin of pages at `PUBLIC_URL`.
fn public_origin(config: &Config) -> Option<WebOrigin> {
    config.public_url.as_deref().and_then(WebOrigin::of)
}

fn is_known_host(config: &Config, host: &Authority) -> bool {
    if host.as_str().contains('@') {
        return false;
    }
    match Name::of(host.host()) {
        Name::Localhost | Name::Address(_) => true,
        Name::Other(name) => {
            public_origin(config).is_some_and(|public| public.host == name)
                || ends_in_a_number(&name)
                // Other machines reach the service, and its operator has said that the network decides who does: containers
                // call each other so. On loopback no other machine does, and there a hostile network could give out such a name.
                || (!config.host.is_loopback() && is_private_name(&name))
        }
    }
}

/// Whether a browser takes it for an address and never looks it up as a name (`127.1`, `2130706433`).
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_private_name(name: &str) -> bool {
    !name.contains('.') || PRIVATE_ENDS.iter().any(|end| name.ends_with(end))
}

/// Whether the address is of this machine or of a network that is not the Internet, that of a carrier or a VPN included
/// (100.64.0.0/10, RFC 6598).
fn is_private(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let is_of_a_carrier = match address {
        IpAddr::V4(address) => matches!(address.octets(), [100, 64..=127, ..]),
        IpAddr::V6(_) => false,
    };
    is_of_a_carrier || is_of_a_private_network(address)
}

/// Whether a page of this origin is the service's own: at `PUBLIC_URL`, or at what the request calls the service.
///
/// A browser says `Origin` also when a page calls the server that it came from. The name in `Host` alone proves nothing where no
/// key is asked for: both headers bear the name that a stranger has made lead here. With a key a stranger's page has none.
pub(super) fn is_own_page(app: &AppState, asks: &WebOrigin, headers: &HeaderMap) -> bool {
    let config = &app.config;
    if public_origin(config).as_ref() == Some(asks) {
        return true;
    }
    let called = host_of(headers).and_then(|host| {
        let scheme = scheme_of(config, headers);
        WebOrigin::of(&format!("{scheme}://{host}"))
    });
    called.as_ref() == Some(asks) && (asks.is_no_made_up_name() || app.keys.is_asked_for())
}

fn host_of(headers: &HeaderMap) -> Option<Authority> {
    headers.get(header::HOST)?.to_str().ok()?.parse().ok()
}

/// What the request says of the scheme counts only behind a trusted proxy: else it is a stranger's word.
fn scheme_of(config: &Config, headers: &HeaderMap) -> &'static str {
    let told = headers.get(FORWARDED_PROTO);
    let told = told.and_then(|told| told.to_str().ok());
    match told.filter(|_| config.trusted_proxies > 0) {
        Some("https") => "https",
        Some(_) | None => "http",
    }
}

/// What a host is called by.
#[derive(Debug, PartialEq, Eq)]
enum Name {
    /// `localhost`, or a name under `.localhost`: browsers never look them up.
    Localhost,
    Address(IpAddr),
    Other(String),
}

impl Name {
    fn of(host: &str) -> Self {
        let number = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = number.parse() {
            return Self::Address(address);
        }
        let name = host.to_ascii_lowercase();
        // A dot at its end only says that the name is whole.
        let name = name.strip_suffix('.').unwrap_or(&name);
        if name == "localhost" || name.ends_with(".localhost") {
            Self::Localhost
        } else {
            Self::Other(name.to_owned())
        }
    }
}

/// What browsers mean by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) struct WebOrigin {
    is_tls: bool,
    host: String,
    port: u16,
}

impl WebOrigin {
    /// Of an address. `null`, the origin of a sandboxed frame or a file, belongs to no page.
    pub(in crate::http) fn of(address: &str) -> Option<Self> {
        let uri: Uri = address.parse().ok()?;
        let (is_tls, usual) = match uri.scheme_str()? {
            "http" => (false, 80),
            "https" => (true, 443),
            _ => return None,
        };
        if uri.authority()?.as_str().contains('@') {
            return None;
        }
        let host = uri.host()?.to_ascii_lowercase();
        Some(Self {
            is_tls,
            host: host.strip_suffix('.').unwrap_or(&host).to_owned(),
            port: uri.port_u16().unwrap_or(usual),
        })
    }

    /// Whether no person can make the name lead elsewhere.
    fn is_no_made_up_name(&self) -> bool {
        match Name::of(&self.host) {
            Name::Localhost | Name::Address(_) => true,
            Name::Other(_) => false,
        }
    }

    /// Whether it is a page that a server on this machine has served.
    pub(super) fn is_of_this_machine(&self) -> bool {
        match Name::of(&self.host) {
            Name::Localhost => true,
            Name::Address(address) => address.to_canonical().is_loopback(),
            Name::Other(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_this_machine_has_a_loopback_name_or_address_whole_and_any_port() {
        let is_local = |origin| WebOrigin::of(origin).is_some_and(|it| it.is_of_this_machine());
        for local in [
            "http://localhost:5173",
            "https://LOCALHOST",
            "http://localhost.",
            "http://app.localhost:3000",
            "http://127.0.0.1",
            "http://127.9.9.9:1",
            "http://[::1]:3001",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(is_local(local), "{local}");
        }
        for strange in [
            "null",
            "",
            "localhost",
            "file://",
            "ftp://localhost",
            "capacitor://localhost",
            "chrome-extension://localhost",
            "http://localhost@evil.example",
            "http://evil.example@localhost",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://evillocalhost",
            "http://192.168.1.5",
            "http://128.0.0.1",
            "http://[::2]",
        ] {
            assert!(!is_local(strange), "{strange}");
        }
    }

    #[test]
    fn a_made_up_public_address_leads_nowhere() {
        let private = |address: &str| is_private(address.parse().unwrap());
        for ours in [
            "127.0.0.1",
            "10.1.2.3",
            "172.17.0.2",
            "192.168.1.5",
            "169.254.1.1",
            "100.101.102.103",
            "::1",
            "fd00::1",
            "fe80::1",
        ] {
            assert!(private(ours), "{ours}");
        }
        for strange in ["203.0.113.9", "100.128.0.1", "172.32.0.1", "2001:db8::1"] {
            assert!(!private(strange), "{strange}");
        }
    }
}
