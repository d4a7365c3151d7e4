//! Where a server listens: the values that a setting such as `HOST` can have.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// The addresses that a server listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenHost {
    /// Both loopback addresses. `localhost` is `::1` first for some clients (Node 17 to 19, `BusyBox`) and 127.0.0.1
    /// first for the others, and a service on one of them refuses half of its callers.
    Localhost,
    /// This one only. `0.0.0.0` is every IPv4 address of the machine, and `::` every address of both families on Linux.
    At(IpAddr),
}

impl ListenHost {
    /// Each address with this port, in the order in which they are listened on.
    pub fn addresses(self, port: u16) -> Vec<SocketAddr> {
        let addresses = match self {
            Self::Localhost => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            Self::At(address) => vec![address],
        };
        let with_port = |address| SocketAddr::new(address, port);
        addresses.into_iter().map(with_port).collect()
    }

    /// Whether only this machine reaches it.
    pub fn is_loopback(self) -> bool {
        match self {
            Self::Localhost => true,
            Self::At(address) => address.to_canonical().is_loopback(),
        }
    }

    /// Where a client on this machine reaches it.
    pub fn reached_at(self) -> IpAddr {
        match self {
            Self::Localhost => Ipv4Addr::LOCALHOST.into(),
            Self::At(address) => reached_at(address),
        }
    }
}

/// Where a client on this machine reaches what listens on `address`: a server that listens everywhere listens on loopback.
pub fn reached_at(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

impl fmt::Display for ListenHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Localhost => f.write_str("localhost"),
            Self::At(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_both_loopback_addresses_and_an_address_is_itself() {
        let at = |address: &str| ListenHost::At(address.parse().unwrap());
        let texts = |host: ListenHost| -> Vec<String> {
            let addresses = host.addresses(3001).into_iter();
            addresses.map(|address| address.to_string()).collect()
        };
        assert_eq!(
            texts(ListenHost::Localhost),
            ["127.0.0.1:3001", "[::1]:3001"]
        );
        assert_eq!(texts(at("::1")), ["[::1]:3001"]);
        for (host, is_loopback, reached) in [
            (ListenHost::Localhost, true, "127.0.0.1"),
            (at("127.0.0.2"), true, "127.0.0.2"),
            (at("::ffff:127.0.0.1"), true, "::ffff:127.0.0.1"),
            (at("0.0.0.0"), false, "127.0.0.1"),
            (at("::"), false, "::1"),
            (at("192.0.2.1"), false, "192.0.2.1"),
        ] {
            assert_eq!(host.is_loopback(), is_loopback, "{host}");
            assert_eq!(host.reached_at().to_string(), reached, "{host}");
        }
    }
}
