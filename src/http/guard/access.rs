//! Who may do what: the one table.
//!
//! Every route goes through [`auth::guard`](super::auth::guard), which looks here. A route without a row is refused to
//! everybody, with and without keys, and the log says so: nobody can add one and forget it.

use axum::{extract::MatchedPath, http::Method};

use crate::{http::wire::error::ApiError, keys::Scope};

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Access {
    /// Nothing. Such a route reaches no session: it has no [`Caller`](super::caller::Caller) that would be let to one.
    Open,
    /// Nothing, either: it is a file of the page, the same for everybody.
    Page,
    /// The address itself, a part of which is a secret: [`link_store`](crate::http::api::link_store). It reaches the session that it is for.
    Link,
    /// A key with this scope, when keys are asked for.
    Key(Scope),
}

impl Access {
    /// Whether a route is a part of the API, and so of its document. What a browser loads to show a page is neither: the page
    /// and a link's page with its stream may change with every version.
    pub(in crate::http) const fn is_of_the_api(self) -> bool {
        match self {
            Self::Open | Self::Key(_) => true,
            Self::Page | Self::Link => false,
        }
    }
}

/// A method, a path as the router has it, and what they need.
pub(in crate::http) type Row = (&'static str, &'static str, Access);

const READ: Access = Access::Key(Scope::Read);
const SEND: Access = Access::Key(Scope::Send);
const ADMIN: Access = Access::Key(Scope::Admin);

/// All routes. To look is to read, to hand something to a recipient is to send, to change anything else is for an admin.
/// So is evidence: it shows what stood on a page.
pub(in crate::http) const TABLE: [Row; 26] = [
    ("GET", "/", Access::Page),
    ("GET", "/qr.html", Access::Page),
    ("GET", "/page/{file}", Access::Page),
    ("GET", "/link/{token}", Access::Link),
    ("GET", "/link/{token}/events", Access::Link),
    ("GET", "/health", Access::Open),
    ("GET", "/openapi.json", Access::Open),
    ("GET", "/openapi-3.0.json", Access::Open),
    ("GET", "/docs", Access::Open),
    ("GET", "/metrics", READ),
    ("GET", "/status", READ),
    ("GET", "/sessions", READ),
    ("GET", "/events/stream", READ),
    ("GET", "/qr", READ),
    ("GET", "/qr-code", READ),
    ("POST", "/connect", ADMIN),
    ("POST", "/disconnect", ADMIN),
    ("POST", "/send", SEND),
    ("GET", "/messages", READ),
    ("GET", "/messages/{id}", READ),
    ("DELETE", "/messages/{id}", SEND),
    ("DELETE", "/sessions/{id}", ADMIN),
    ("GET", "/sessions/{id}/evidence", ADMIN),
    ("POST", "/sessions/{id}/evidence", ADMIN),
    ("GET", "/sessions/{id}/evidence/screenshot.png", ADMIN),
    ("POST", "/sessions/{id}/link", ADMIN),
];

/// What a request needs, if it is one of ours. A `HEAD` is a `GET` without its body.
pub(super) fn needed(method: &Method, path: &str) -> Option<Access> {
    let method = match method.as_str() {
        "HEAD" => "GET",
        other => other,
    };
    let row = TABLE.iter().find(|row| (row.0, row.1) == (method, path));
    row.map(|row| row.2)
}

/// The methods that a path has.
fn methods_of(path: &str) -> Vec<&'static str> {
    let rows = TABLE.iter().filter(|row| row.1 == path);
    rows.map(|row| row.0).collect()
}

/// Answers a method that a path does not have; the router adds `Allow`.
pub(in crate::http) async fn wrong_method(method: Method, route: MatchedPath) -> ApiError {
    let is_of_one_session = method == Method::GET && route.as_str() == "/sessions/{id}";
    ApiError::WrongMethod {
        method,
        allowed: methods_of(route.as_str()).join(", "),
        hint: if is_of_one_session {
            "; GET /status?cliente_id=… tells how one session is"
        } else {
            ""
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_route_has_two_rows_and_a_head_needs_what_its_get_needs() {
        for (at, (method, path, access)) in TABLE.iter().enumerate() {
            let method = method.parse().unwrap();
            assert_eq!(needed(&method, path), Some(*access));
            assert!(
                TABLE[..at]
                    .iter()
                    .all(|row| (row.0, row.1) != (method.as_str(), *path))
            );
            if method == Method::GET {
                assert_eq!(needed(&Method::HEAD, path), Some(*access));
            }
        }
    }

    #[test]
    fn what_changes_something_is_for_an_admin_unless_it_is_a_send() {
        for (method, path, access) in TABLE {
            let changes_nothing =
                [Access::Open, Access::Page, Access::Link, READ].contains(&access);
            assert!(method == "GET" || !changes_nothing, "{method} {path}");
        }
        let of_senders = TABLE.iter().filter(|row| row.2 == SEND);
        let of_senders: Vec<_> = of_senders.map(|row| (row.0, row.1)).collect();
        assert_eq!(
            of_senders,
            [("POST", "/send"), ("DELETE", "/messages/{id}")]
        );
        assert_eq!(needed(&Method::PUT, "/send"), None);
        assert_eq!(needed(&Method::GET, "/nope"), None);
    }
}
