//! The address that a request comes from: whose wrong keys are counted, and whom the audit names.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request},
    http::{HeaderMap, request::Parts},
};

use crate::http::wire::error::ApiError;

/// Each proxy adds the address that it was called from, behind those that were there.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// An address, if it is known: a request that did not come by a socket has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct Client(Option<IpAddr>);

impl Client {
    /// Who makes this request, with this number of trusted proxies before the service. What stands in the header before
    /// their entries is what a stranger has written there.
    pub(super) fn of(request: &Request, trusted_proxies: usize) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map(|ConnectInfo(peer)| peer.ip());
        let address = forwarded_for(request.headers(), trusted_proxies).or(peer);
        Self(address.map(|address| address.to_canonical()))
    }

    /// A request from there.
    #[cfg(test)]
    pub(super) const fn at(address: IpAddr) -> Self {
        Self(Some(address))
    }

    /// What stands for its owner.
    pub(in crate::http) fn network(self) -> IpAddr {
        self.0
            .map_or_else(|| Ipv6Addr::UNSPECIFIED.into(), network_of)
    }
}

/// Whether the address is of this machine, or of a network that is not routed on the Internet.
pub(in crate::http) fn is_of_a_private_network(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

/// What stands for the owner of an address: of an IPv6 address the network, for a host has the rest of it to itself.
pub(in crate::http) fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        IpAddr::V4(address) => address.into(),
    }
}

/// Of a request that has passed the guard.
impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let client = parts.extensions.get();
        client.copied().ok_or(ApiError::NoCaller)
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("-"),
        }
    }
}

fn forwarded_for(headers: &HeaderMap, trusted_proxies: usize) -> Option<IpAddr> {
    let entries: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let at = entries.len().checked_sub(trusted_proxies)?;
    let entry = entries.get(at)?.trim();
    let with_port = || entry.parse().map(|address: SocketAddr| address.ip());
    entry.parse().or_else(|_| with_port()).ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn client(forwarded: &[&str], trusted_proxies: usize) -> String {
        let mut request = Request::new(Body::empty());
        let peer: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        for value in forwarded {
            let headers = request.headers_mut();
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        Client::of(&request, trusted_proxies).to_string()
    }

    #[test]
    fn what_a_caller_says_of_itself_counts_only_behind_a_proxy_of_ours() {
        let (peer, claimed) = ("192.0.2.1", "203.0.113.9");
        assert_eq!(client(&[claimed], 0), peer);
        assert_eq!(client(&[claimed], 1), claimed);
        assert_eq!(client(&["198.51.100.7, 203.0.113.9"], 1), claimed);
        assert_eq!(client(&["198.51.100.7", " 203.0.113.9:80"], 1), claimed);
        assert_eq!(client(&["203.0.113.9, 198.51.100.7"], 2), claimed);
        assert_eq!(client(&["[2001:db8::1]:80"], 1), "2001:db8::1");
        // Fewer than there should be: it has gone round a proxy.
        assert_eq!(client(&[claimed], 2), peer);
        for nonsense in [&[][..], &[""], &["unknown"], &["203.0.113.9, _x"]] {
            assert_eq!(client(nonsense, 1), peer, "{nonsense:?}");
        }
    }

    #[test]
    fn an_ipv6_host_counts_as_its_network_and_a_mapped_address_as_what_it_maps() {
        let network = |address: &str| Client(Some(address.parse().unwrap())).network();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::"));
        assert_ne!(network("2001:db8:1:2::"), network("2001:db8:1:3::"));
        assert_eq!(client(&["::ffff:203.0.113.9"], 1), "203.0.113.9");
        assert_eq!(Client::of(&Request::new(Body::empty()), 1).to_string(), "-");
    }
}
