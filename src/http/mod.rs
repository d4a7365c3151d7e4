//! The HTTP API, exactly as the contract has it.
//!
//! Responsible for reading requests, for one call into `session` each, and for answers in the words of the contract. It
//! decides nothing about sessions. The rooms, in reading order:
//!
//! | room | what it does |
//! |---|---|
//! | [`openapi`] | the document that describes the routes, and its reader |
//! | [`api`] | the routes, one file for each resource |
//! | [`page`] | the files of the page for a person |
//! | [`mod@serve`] | connections, streams, the log line of a request, the stop |
//! | [`guard`] | who asks, from where, and which session the request reaches |
//! | [`wire`] | bodies, answers, and the one mapping from a cause to its status |
//!
//! A room uses only rooms that stand below it in this table. The test `rooms` at the top of the crate holds that.
//! Two files stand above the rooms: [`routes`] declares every route, with the handlers of three rooms; [`state`] holds a part
//! of every room for all requests, and every room may use it.
//!
//! Invariants: every answer, also to a wrong path, method or body and to a panic, is JSON with `success`, `code`,
//! `message` and `error` when it is an error, but for a link that is over, which a person opens; a read never waits for a
//! browser; no folder is made for a name that is not a valid `cliente_id`; no answer but the page's own files is ever cached;
//! no handler runs for a caller that the table of [`routes`] does not let in.

mod routes;

mod openapi;

mod api;

mod page;
mod serve;

mod guard;

mod wire;

mod state;

use std::sync::Arc;

use axum::{
    Router,
    extract::MatchedPath,
    http::{HeaderValue, Method, header},
    middleware::{from_fn_with_state, map_response},
    response::Response,
};
use guard::{auth, cors};
use routes::Routes;
pub use serve::server::serve;
use serve::{stopping, trace};
pub use state::AppState;
use tower::{Layer as _, ServiceBuilder};
use tower_http::{catch_panic::CatchPanicLayer, normalize_path::NormalizePathLayer};
pub(crate) use wire::contract;
use wire::error;

use crate::delivery::Payload;

/// What a webhook is given of an event: what `GET /events` shows of it.
pub fn envelope(payload: Payload<'_>) -> Vec<u8> {
    contract::envelope(payload)
}

/// The whole API as a service. Who serves it chooses the address and when to stop.
pub fn router(state: AppState) -> Router {
    let Routes { router, table } = routes::all();
    let table = Arc::new(table);
    let routes = Router::from(router)
        // Behind the guard: a caller that is not let in does not learn that the service stops.
        .route_layer(from_fn_with_state(state.clone(), stopping::refuse_new_work))
        // Around all routes, so that none is without it.
        .route_layer(from_fn_with_state(
            (state.clone(), Arc::clone(&table)),
            auth::guard,
        ))
        .fallback(error::unknown_path)
        .method_not_allowed_fallback(async move |method: Method, path: MatchedPath| {
            table.wrong_method(method, path.as_str())
        })
        .with_state(state.clone());

    // Around the routes, not in them: `/status/` must be `/status` before a route is looked up.
    let routes = NormalizePathLayer::trim_trailing_slash().layer(routes);

    // Outermost first: a panic is answered with the CORS headers, and has its line in the log.
    let around = ServiceBuilder::new()
        .layer(from_fn_with_state(state.clone(), trace::follow))
        .layer(map_response(without_sniffing))
        .layer(from_fn_with_state(state, cors::allow))
        .layer(CatchPanicLayer::custom(error::panicked));
    Router::new().fallback_service(routes).layer(around)
}

/// Keeps a browser from taking an answer for another kind of file than it says to be: a text that was sent by a caller,
/// for a script.
async fn without_sniffing(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

#[cfg(test)]
mod tests;
