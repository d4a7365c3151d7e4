//! Who may do what.
//!
//! Every route goes through [`auth::guard`](super::auth::guard), which looks here. A route that is not in the table is refused to
//! every caller, with and without keys, and the log says so: a route cannot be added past [`routes`](crate::http::routes).

use axum::http::Method;

use crate::{
    http::wire::error::{ApiError, Code},
    keys::Scope,
};

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Access {
    /// Nothing. Such a route reaches no session: it has no [`Caller`](super::caller::Caller) that would be let to one.
    Open,
    /// The address itself, a part of which is a secret: [`link_store`](crate::http::api::link_store). It reaches the session that it is for.
    OneTimeLink,
    /// A key with this scope, when keys are asked for.
    Key(Scope),
}

/// A route: what it needs, and what it may be refused with besides what any request may.
#[derive(Clone, Debug)]
pub(in crate::http) struct Row {
    pub(in crate::http) method: Method,
    /// As the router has it.
    pub(in crate::http) path: String,
    pub(in crate::http) access: Access,
    pub(in crate::http) refusals: Vec<Code>,
}

/// All routes.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Table(pub(in crate::http) Vec<Row>);

impl Table {
    /// What a request needs, if there is such a route. A `HEAD` is a `GET` without its body.
    pub(in crate::http) fn needed(&self, method: &Method, path: &str) -> Option<Access> {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let row = self.of(path).find(|row| row.method == method);
        row.map(|row| row.access)
    }

    /// The answer to a method that this path does not have; the router adds `Allow`.
    pub(in crate::http) fn wrong_method(&self, method: Method, path: &str) -> ApiError {
        let is_of_one_session = method == Method::GET && path == "/sessions/{id}";
        let allowed: Vec<&str> = self.of(path).map(|row| row.method.as_str()).collect();
        ApiError::WrongMethod {
            method,
            allowed: allowed.join(", "),
            hint: if is_of_one_session {
                "; GET /status?cliente_id=… tells how one session is"
            } else {
                ""
            },
        }
    }

    fn of(&self, path: &str) -> impl Iterator<Item = &Row> {
        self.0.iter().filter(move |row| row.path == path)
    }
}
