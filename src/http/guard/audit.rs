//! One log line for each request that changes something: who, from where, what, of which session, and what became of it.
//!
//! Under the target `audit`, which is logged whatever `RUST_LOG` says of the rest. Never a body, a query, a number, a text,
//! a message's id or a key: the route is the router's, the key goes by its name.

use std::sync::Arc;

use axum::{http::Method, response::Response};
use tracing::info;

use super::{caller::Caller, client::Client};
use crate::{http::wire::error::ApiError, telemetry::AUDIT};

/// The line to be. Dropped without an answer it says that nobody knows of one: the caller went away, or the handler broke.
#[derive(Debug)]
pub(in crate::http) struct Entry {
    method: Method,
    route: String,
    client: Client,
    caller: Caller,
    is_written: bool,
}

impl Entry {
    /// Of a request that has passed the guard, or that was refused by it.
    pub(in crate::http) const fn new(
        method: Method,
        route: String,
        client: Client,
        caller: Caller,
    ) -> Self {
        Self {
            method,
            route,
            client,
            caller,
            is_written: false,
        }
    }

    /// Writes what became of it.
    pub(in crate::http) fn answered(mut self, response: &Response) {
        let status = response.status().as_u16();
        let why = response.extensions().get::<Arc<ApiError>>();
        self.write(Some(status), why.map(|why| why.code()));
    }

    fn write(&mut self, status: Option<u16>, code: Option<&'static str>) {
        self.is_written = true;
        let (method, route, client) = (&self.method, &self.route, self.client);
        let name = self.caller.name();
        let session = self.caller.session().map_or("-", |id| id.as_str());
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
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.is_written {
            self.write(None, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Mutex, PoisonError},
    };

    use axum::response::IntoResponse as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(end: impl FnOnce(Entry)) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let caller = Caller::master();
        caller.turn_to(&"51".parse().unwrap()).unwrap();
        let client = Client::at([192, 0, 2, 1].into());
        tracing::subscriber::with_default(subscriber, || {
            end(Entry::new(Method::POST, "/send".to_owned(), client, caller));
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn there_is_one_line_whatever_becomes_of_a_request() {
        let who = "POST /send of session 51 with key API_KEY from 192.0.2.1: ";
        let refused = || ApiError::InvalidMessage.into_response();
        for (line, outcome) in [
            (line(|entry| entry.answered(&"sent".into_response())), "200"),
            (
                line(|entry| entry.answered(&refused())),
                "400 INVALID_MESSAGE",
            ),
            // The caller went away, or the handler broke: it may have done its work all the same.
            (line(drop), "no answer"),
        ] {
            assert!(line.contains(&format!("{who}{outcome}")), "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(line.contains(" audit: "), "{line}");
        }
    }
}
