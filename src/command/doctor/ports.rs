//! The ports: free, or the service's own.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use super::report::{Check, Finding};
use crate::{
    app::reachable,
    command::client::{self, Client},
    config::{Config, ListenHost},
};

pub(super) async fn examine(config: &Config) -> Vec<Check> {
    let (api, seen) = look_at(config.host, config.port).await;
    let is_running = matches!(seen, Seen::Ours(_));
    let mut checks = vec![("api-port", judge("PORT", api, &seen))];
    if let Some(sandbox) = &config.sandbox {
        let (sandbox, seen) = look_at(sandbox.host, sandbox.port).await;
        // The sandbox answers no `/health`: if a service runs, its port is taken to belong to that service.
        let seen = match seen {
            Seen::Taken(_) if is_running => Seen::Ours(env!("CARGO_PKG_VERSION").to_owned()),
            seen @ (Seen::Free | Seen::Ours(_) | Seen::Taken(_) | Seen::Refused(..)) => seen,
        };
        checks.push(("sandbox-port", judge("SANDBOX_PORT", sandbox, &seen)));
    }
    checks
}

/// Which program has an address that the service cannot have, and what to do.
pub(in crate::command) async fn remedy_for_taken(variable: &str, at: SocketAddr) -> String {
    let port = at.port();
    let who = match look(at).await {
        Seen::Ours(version) => format!("a session-manager (version {version}) {ANSWERS} already"),
        Seen::Free | Seen::Taken(_) | Seen::Refused(..) => {
            format!("another program has the port (ss -ltnp 'sport = :{port}' names it)")
        }
    };
    format!("{who}: end that one, or set {variable} to another port")
}

/// Looks at a port of a host. Returns the address that keeps the service from starting, else the first one.
async fn look_at(host: ListenHost, port: u16) -> (SocketAddr, Seen) {
    let mut first = None;
    for at in host.addresses(port) {
        let seen = look(at).await;
        let is_missing = matches!(seen, Seen::Refused(io::ErrorKind::AddrNotAvailable, _));
        match seen {
            // The service goes on without an address that the machine lacks.
            Seen::Refused(..) if is_missing && first.is_some() => {}
            Seen::Taken(_) | Seen::Refused(..) => return (at, seen),
            Seen::Free | Seen::Ours(_) => _ = first.get_or_insert((at, seen)),
        }
    }
    first.unwrap_or((SocketAddr::new(host.reached_at(), port), Seen::Free))
}

/// What is at a port.
#[derive(Debug)]
enum Seen {
    Free,
    /// A service, of this version.
    Ours(String),
    /// Something else, which answers so.
    Taken(String),
    Refused(io::ErrorKind, String),
}

/// What a line says of a service that runs.
const ANSWERS: &str = "answers there";

async fn look(at: SocketAddr) -> Seen {
    // Given back at once.
    let why = match TcpListener::bind(at) {
        Ok(_free) => return Seen::Free,
        Err(why) => why,
    };
    if why.kind() != io::ErrorKind::AddrInUse {
        return Seen::Refused(why.kind(), why.to_string());
    }
    let client = match Client::without_key(&format!("http://{}", reachable(at))) {
        Ok(client) => client,
        Err(why) => return Seen::Taken(why.to_string()),
    };
    match client
        .ask(client.get("/health"), client::READ_TIMEOUT)
        .await
    {
        Ok(answer) if answer.body["service"] == "session-manager" => Seen::Ours(
            answer.body["version"]
                .as_str()
                .unwrap_or("unknown")
                .to_owned(),
        ),
        Ok(_) => Seen::Taken("it is no session-manager".to_owned()),
        Err(why) => Seen::Taken(why.to_string()),
    }
}

fn judge(variable: &str, at: SocketAddr, seen: &Seen) -> Finding {
    let port = at.port();
    match seen {
        Seen::Free if port == 0 => Finding::ok("chosen by the system at each start"),
        Seen::Free => Finding::ok(format!("{at} is free")),
        Seen::Ours(version) if version == env!("CARGO_PKG_VERSION") => {
            Finding::ok(format!("{at}: this service, version {version}, {ANSWERS}"))
        }
        Seen::Ours(version) => Finding::warn(
            format!(
                "{at}: a service of version {version} {ANSWERS}, and this is {}",
                env!("CARGO_PKG_VERSION")
            ),
            "restart it to run this version",
        ),
        Seen::Taken(why) => Finding::fail(
            format!("{at} is taken by another program: {why}"),
            format!("ss -ltnp 'sport = :{port}' names it; end that one, or set {variable}"),
        ),
        Seen::Refused(io::ErrorKind::PermissionDenied, why) => Finding::fail(
            format!("{at}: {why}"),
            format!(
                "ports below 1024 are root's: set {variable} to a higher one, and put a proxy in front"
            ),
        ),
        Seen::Refused(io::ErrorKind::AddrNotAvailable, why) => Finding::fail(
            format!("{at}: {why}"),
            "HOST must be localhost, an address of this machine, or 0.0.0.0",
        ),
        Seen::Refused(_, why) => {
            Finding::fail(format!("{at}: {why}"), format!("set HOST and {variable}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::report::Verdict;

    #[tokio::test]
    async fn a_port_is_free_or_taken_by_something_that_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = taken.local_addr().unwrap();
        // Answers what no service answers.
        let stranger = std::thread::spawn(move || {
            let (mut caller, _) = taken.accept().unwrap();
            io::Write::write_all(&mut caller, b"HTTP/1.0 200 OK\r\n\r\nhello").unwrap();
        });
        let check = judge("PORT", at, &look(at).await);
        stranger.join().unwrap();
        assert_eq!(check.verdict, Verdict::Fail, "{check:?}");
        assert!(
            check
                .remedy
                .unwrap()
                .contains(&format!("ss -ltnp 'sport = :{}'", at.port()))
        );
        assert!(matches!(look(at).await, Seen::Free));
    }

    #[tokio::test]
    async fn a_program_on_either_address_of_localhost_is_found() {
        for taken in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(other) = TcpListener::bind(taken) else {
                // This machine has no IPv6.
                continue;
            };
            let at = other.local_addr().unwrap();
            let hangs_up = std::thread::spawn(move || drop(other.accept().unwrap()));
            let (found, seen) = look_at(ListenHost::Localhost, at.port()).await;
            hangs_up.join().unwrap();
            assert_eq!(found, at);
            assert!(matches!(seen, Seen::Taken(_)), "{seen:?}");
        }
    }

    #[tokio::test]
    async fn a_service_that_is_kept_from_its_port_says_by_whom_and_what_to_do() {
        for (answer, who) in [
            (
                "HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{\"service\":\"session-manager\",\"version\":\"9.8.7\"}",
                "a session-manager (version 9.8.7)",
            ),
            ("HTTP/1.0 200 OK\r\n\r\nhello", "another program"),
        ] {
            let taken = TcpListener::bind("127.0.0.1:0").unwrap();
            let at = taken.local_addr().unwrap();
            let answers = std::thread::spawn(move || {
                let (mut caller, _) = taken.accept().unwrap();
                io::Read::read(&mut caller, &mut [0; 4096]).unwrap();
                io::Write::write_all(&mut caller, answer.as_bytes()).unwrap();
            });
            let said = remedy_for_taken("PORT", at).await;
            answers.join().unwrap();
            assert!(said.contains(who) && said.contains("set PORT"), "{said}");
        }
    }

    #[test]
    fn each_refusal_has_its_remedy() {
        let at = SocketAddr::from(([192, 0, 2, 1], 80));
        let check = |kind| judge("PORT", at, &Seen::Refused(kind, "no".to_owned()));
        assert!(
            check(io::ErrorKind::PermissionDenied)
                .remedy
                .unwrap()
                .contains("1024")
        );
        assert!(
            check(io::ErrorKind::AddrNotAvailable)
                .remedy
                .unwrap()
                .contains("HOST must")
        );
        let other = judge("PORT", at, &Seen::Ours("0.0.1".to_owned()));
        assert_eq!(other.verdict, Verdict::Warn);
    }
}
