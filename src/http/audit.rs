//! One log line for each request that changes something: who, from where, what, of which session, and what became of it.
//!
//! Under the target `audit`, which is logged whatever `RUST_LOG` says of the rest. Never a body, a query, a number, a text,
//! a message's id or a key: the route is the router's, the key goes by its name.

use std::sync::Arc;

use axum::{http::Method, response::Response};
use tracing::info;

use super::{caller::Caller, client::Client, error::ApiError};
use crate::telemetry::AUDIT;

/// The line to be. Dropped without an answer it says that nobody knows of one: the caller went away, or the handler broke.
#[derive(Debug)]
pub(super) struct Entry {
    method: Method,
    route: String,
    client: Client,
    caller: Caller,
    is_written: bool,
}

impl Entry {
    /// Of a request that has passed the guard, or that was refused by it.
    pub(super) const fn new(method: Method, route: String, client: Client, caller: Caller) -> Self {
        Self {
            method,
            route,
            client,
            caller,
            is_written: false,
        }
    }

    /// Writes what became of it.
    pub(super) fn answered(mut self, response: &Response) {
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
