//! The ports that a server takes: on one address, or on both loopback addresses with the same port.

use std::{io, net::SocketAddr};

use rustix::io::Errno;
use tokio::net::TcpListener;

use crate::ListenHost;

/// With port 0 the system chooses a port that is free on the first address, and another program may have it on the second.
/// That is rare, so a few tries find a port that is free on both.
const TRIES: usize = 16;

/// Why an address cannot be listened on.
#[derive(Debug)]
pub struct Refused {
    /// The wanted address.
    pub addr: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// Listens on every address of `host` that this machine has, on one port.
pub async fn listen(host: ListenHost, port: u16) -> Result<Vec<TcpListener>, Refused> {
    let mut left = if port == 0 { TRIES } else { 1 };
    loop {
        left -= 1;
        match try_listen(host, port).await {
            Err(why) if why.source.kind() == io::ErrorKind::AddrInUse && left > 0 => {}
            listening => return listening,
        }
    }
}

async fn try_listen(host: ListenHost, mut port: u16) -> Result<Vec<TcpListener>, Refused> {
    let (mut listeners, mut missing) = (Vec::new(), None);
    for mut addr in host.addresses(port) {
        addr.set_port(port);
        let bind = async {
            let listener = TcpListener::bind(addr).await?;
            Ok((listener.local_addr()?.port(), listener))
        };
        match bind.await {
            Ok((bound, listener)) => {
                port = bound;
                listeners.push(listener);
            }
            Err(source) if host == ListenHost::Localhost && is_of_no_machine(&source) => {
                missing = Some(Refused { addr, source });
            }
            Err(source) => return Err(Refused { addr, source }),
        }
    }
    match missing {
        Some(why) if listeners.is_empty() => Err(why),
        Some(Refused { addr, .. }) => {
            tracing::info!(
                "this machine has no {}: the service goes on without it",
                addr.ip()
            );
            Ok(listeners)
        }
        None => Ok(listeners),
    }
}

/// Whether the machine has no such address: many containers have no IPv6.
fn is_of_no_machine(why: &io::Error) -> bool {
    why.kind() == io::ErrorKind::AddrNotAvailable
        || Errno::from_io_error(why) == Some(Errno::AFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn localhost_has_one_port_on_both_addresses() {
        let listeners = listen(ListenHost::Localhost, 0).await.unwrap();
        let addresses: Vec<_> = listeners
            .iter()
            .map(|listener| listener.local_addr().unwrap())
            .collect();
        assert!(addresses[0].is_ipv4() && addresses.iter().all(|at| at.ip().is_loopback()));
        assert!(addresses.iter().all(|at| at.port() == addresses[0].port()));
        let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
        assert_eq!(addresses.len(), if has_ipv6 { 2 } else { 1 });
        for address in &addresses {
            TcpStream::connect(address).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_port_that_another_program_has_on_either_address_is_refused() {
        for taken in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(other) = std::net::TcpListener::bind(taken) else {
                // This machine has no IPv6.
                continue;
            };
            let addr = other.local_addr().unwrap();
            let refused = listen(ListenHost::Localhost, addr.port()).await;
            // Else who calls `localhost` would speak with the other program.
            assert_eq!(refused.unwrap_err().addr, addr);
        }
    }

    #[test]
    fn an_address_that_the_machine_lacks_is_told_from_one_that_is_taken() {
        for (errno, is_missing) in [
            (Errno::ADDRNOTAVAIL, true),
            (Errno::AFNOSUPPORT, true),
            (Errno::ADDRINUSE, false),
            (Errno::ACCESS, false),
        ] {
            assert_eq!(is_of_no_machine(&errno.into()), is_missing, "{errno:?}");
        }
    }
}
