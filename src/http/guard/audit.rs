//! One log line for each request that changes something: who, from where, what, of which session, and what became of it.
//!
//! Under the target `audit`, which is logged whatever `RUST_LOG` says of the rest. Never a body, a query, a number, a text,
//! a message's id or a key: the route is the router's, the key goes by its name.

use axum::http::Method;
use tracing::info;

use super::request_facts::GuardedRequest;
use crate::telemetry::AUDIT;

/// Writes the line. Without an answer it is not known what was done: the caller went away, or the handler broke.
pub(in crate::http) fn write(
    method: &Method,
    request: &GuardedRequest,
    answer: Option<(u16, Option<&str>)>,
) {
    let (route, client) = (&request.route, request.client);
    let name = request.caller.name();
    let session = request.caller.session().map_or("-", |id| id.as_str());
    let (status, code) = answer.unzip();
    let code = code.flatten();
    let outcome = match (status, code) {
        (Some(status), Some(code)) => format!("{status} {code}"),
        (Some(status), None) => status.to_string(),
        (None, _) => "no answer".to_owned(),
    };
    info!(
        target: AUDIT,
        {
            audit.key = name,
            audit.client = %client,
            http.method = %method,
            http.route = route,
            http.status = status,
            session.id = session,
            error.code = code
        },
        "{method} {route} of session {session} with key {name} from {client}: {outcome}"
    );
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::Arc,
    };

    use parking_lot::Mutex;

    use super::*;
    use crate::http::guard::{caller::Caller, client::Client};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut lines = self.0.lock();
            lines.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(answer: Option<(u16, Option<&str>)>) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let caller = Caller::master();
        caller.authorize(&"51".parse().unwrap()).unwrap();
        let request = GuardedRequest {
            route: "/send".to_owned(),
            client: Client::at([192, 0, 2, 1].into()),
            caller,
        };
        tracing::subscriber::with_default(subscriber, || write(&Method::POST, &request, answer));
        String::from_utf8(lines.0.lock().clone()).unwrap()
    }

    #[test]
    fn there_is_one_line_whatever_becomes_of_a_request() {
        let who = "POST /send of session 51 with key API_KEY from 192.0.2.1: ";
        for (answer, outcome) in [
            (Some((200, None)), "200"),
            (Some((400, Some("INVALID_MESSAGE"))), "400 INVALID_MESSAGE"),
            (None, "no answer"),
        ] {
            let line = line(answer);
            assert!(line.contains(&format!("{who}{outcome}")), "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(line.contains(" audit: "), "{line}");
        }
    }
}
