//! The table of who may do what, against the routes that there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
    middleware::from_fn_with_state,
    routing::get,
};
use serde_json::json;
use tower::ServiceExt as _;

use super::{Answer, Api, assert_refused, keys::Keyed};
use crate::{
    http::{
        guard::{
            access::{Access, Table},
            auth,
        },
        routes::{self, Routes},
    },
    keys::Scope,
};

/// A route without a row would be refused when it is called; this says so before a caller finds it.
#[test]
fn every_route_of_the_router_has_one_row() {
    let Routes { router, table } = routes::all();
    let rows = table.0.iter();
    let rows: BTreeSet<_> = rows
        .map(|row| (row.method.to_string(), row.path.clone()))
        .collect();
    assert_eq!(rows.len(), table.0.len());
    assert_eq!(rows, routes_of(&Router::from(router)));
}

#[test]
fn what_changes_something_is_for_an_admin_unless_it_is_a_send() {
    let table = routes::all().table;
    let mut of_senders = Vec::new();
    for row in &table.0 {
        let name = (row.method.as_str(), row.path.as_str());
        assert_eq!(table.needed(&row.method, &row.path), Some(row.access));
        match row.access {
            Access::Open | Access::OneTimeLink | Access::Key(Scope::Read | Scope::Receive) => {
                assert_eq!(row.method, Method::GET, "{name:?}");
                assert_eq!(table.needed(&Method::HEAD, &row.path), Some(row.access));
            }
            Access::Key(Scope::Send) => of_senders.push(name),
            Access::Key(Scope::Admin | Scope::SendAndReceive) => {}
        }
    }
    assert_eq!(
        of_senders,
        [
            ("GET", "/api/contacts/check-exists"),
            ("POST", "/api/sendText"),
            ("POST", "/api/sendImage"),
            ("POST", "/api/sendFile"),
            ("POST", "/api/sendVoice"),
            ("POST", "/api/sendVideo"),
            ("POST", "/api/sendLocation"),
            ("POST", "/api/sendPoll"),
            ("POST", "/api/sendContactVcard"),
            ("POST", "/api/sendSeen"),
            ("POST", "/api/startTyping"),
            ("POST", "/api/stopTyping"),
            ("PUT", "/api/reaction"),
            ("POST", "/send"),
            ("POST", "/media"),
            ("POST", "/messages/{id}/reaction"),
            ("PATCH", "/messages/{id}"),
            ("POST", "/messages/{id}/revoke"),
            ("POST", "/chats/{chat}/seen"),
            ("POST", "/chats/{chat}/typing"),
            ("DELETE", "/messages/{id}"),
        ]
    );
    assert_eq!(table.needed(&Method::PUT, "/send"), None);
    assert_eq!(table.needed(&Method::GET, "/nope"), None);
}

/// axum tells its routes to nobody but a debugger: `RouteId(1): MethodRouter(… allow_header: Bytes(b"GET,HEAD") …)` and
/// `RouteId(1): "/status"`, and those of the fallback behind them.
fn routes_of<S: Clone + Send + Sync + 'static>(router: &Router<S>) -> BTreeSet<(String, String)> {
    let (mut methods, mut paths) = (BTreeMap::new(), BTreeMap::new());
    let shown = format!("{router:?}");
    let own = shown.split("fallback_router").next().unwrap();
    for entry in own.split("RouteId(").skip(1) {
        let Some((id, entry)) = entry.split_once("): ") else {
            continue;
        };
        let quoted = |text: &str| Some(text.split_once('"')?.1.split_once('"')?.0.to_owned());
        if entry.starts_with('"') {
            paths.insert(id.to_owned(), quoted(entry).unwrap());
        } else if let Some((_, allowed)) = entry.split_once("allow_header: Bytes(") {
            methods.insert(id.to_owned(), quoted(allowed).unwrap());
        }
    }
    let of = |(id, path): (String, String)| {
        let methods = methods[&id].split(',').filter(|method| *method != "HEAD");
        let pairs = methods.map(move |method| (method.to_owned(), path.clone()));
        pairs.collect::<Vec<_>>()
    };
    paths.into_iter().flat_map(of).collect()
}

/// Whether the guard let a request through; what the handler said then is its own business.
fn was_let_in(answer: &Answer) -> bool {
    assert!(answer.status != StatusCode::NOT_FOUND || !answer.text().contains("\"NOT_FOUND\""));
    assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    answer.status != StatusCode::UNAUTHORIZED && answer.status != StatusCode::FORBIDDEN
}

#[tokio::test]
async fn every_route_of_the_table_is_there_and_asks_for_what_its_row_says() {
    let keyed = Keyed::new(&[]);
    let keys = Scope::ALL.map(|scope| {
        (
            scope,
            keyed.key(&scope.as_str().replace('+', "-"), scope, &[]),
        )
    });
    for row in routes::all().table.0 {
        let (method, access) = (row.method.as_str(), row.access);
        let path = &row.path.replace("{id}", "51").replace("{file}", "app.js");
        let without = keyed.call(method, path, "", &json!({})).await;
        let Access::Key(needed) = access else {
            // Without a key, and without anything to be had: there is no such link.
            let is_link = access == Access::OneTimeLink;
            assert_eq!(is_link, without.status == StatusCode::NOT_FOUND, "{path}");
            assert!(was_let_in(&without), "{method} {path}");
            continue;
        };
        assert_refused(&without, 401, "UNAUTHORIZED");
        assert_eq!(without.headers["www-authenticate"], "Bearer");
        let wrong = keyed.call(method, path, "smk_wrong", &json!({})).await;
        assert_refused(&wrong, 401, "UNAUTHORIZED");
        for (scope, key) in &keys {
            let answer = keyed.call(method, path, key, &json!({})).await;
            if scope.includes(needed) {
                assert!(was_let_in(&answer), "{method} {path} with {scope}");
            } else {
                assert_refused(&answer, 403, "FORBIDDEN");
                let message = answer.json()["message"].to_string();
                assert!(message.contains(needed.as_str()), "{message}");
            }
        }
    }
}

#[tokio::test]
async fn a_route_without_a_row_is_refused_to_everybody() {
    let state = Api::new(&[]).state;
    let router = Router::new()
        .route("/new", get(async || "here"))
        .route_layer(from_fn_with_state(
            (state.clone(), Arc::<Table>::default()),
            auth::guard,
        ))
        .with_state(state);
    for method in [Method::GET, Method::HEAD] {
        let request = Request::builder().method(method).uri("/new");
        let request = request.body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
