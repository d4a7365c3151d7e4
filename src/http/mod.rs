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
//! [`state`] holds a part of every room for all requests, so every room may use it.
//!
//! Invariants: every answer, also to a wrong path, method or body and to a panic, is JSON with `success`, `code`,
//! `message` and `error` when it is an error, but for a link that is over, which a person opens; a read never waits for a
//! browser; no folder is made for a name that is not a valid `cliente_id`; no answer but the page's own files is ever cached;
//! no handler runs for a caller that the table in `guard::access` does not let in.

mod openapi;

mod api;

mod page;
mod serve;

mod guard;

mod wire;

mod state;

use api::{connect, events, evidence, health, link, messages, metrics, qr, send, status};
use axum::{
    Router,
    http::{HeaderValue, header},
    middleware::{from_fn, from_fn_with_state, map_response},
    response::Response,
    routing::{delete, get, post},
};
use guard::{access, auth, cors};
pub use serve::server::serve;
use serve::{route, stopping, trace};
pub use state::AppState;
use tower::{Layer as _, ServiceBuilder};
use tower_http::{catch_panic::CatchPanicLayer, normalize_path::NormalizePathLayer};
pub(crate) use wire::contract;
use wire::error;

/// The whole API as a service. Who serves it chooses the address and when to stop.
pub fn router(state: AppState) -> Router {
    let routes = routes()
        // Behind the guard: whoever may not ask is told no more than ever.
        .route_layer(from_fn_with_state(state.clone(), stopping::refuse_new_work))
        // Before all routes, so that none is without it.
        .route_layer(from_fn_with_state(state.clone(), auth::guard))
        .route_layer(from_fn(route::name))
        .fallback(error::unknown_path)
        .method_not_allowed_fallback(access::wrong_method)
        .with_state(state.clone());

    // Around the routes, not in them: `/status/` must be `/status` before a route is looked up.
    let routes = NormalizePathLayer::trim_trailing_slash().layer(routes);

    // Outermost first: a panic is answered with the CORS headers, and has its line in the log.
    let around = ServiceBuilder::new()
        .layer(from_fn(trace::one_line))
        .layer(map_response(without_sniffing))
        .layer(from_fn_with_state(state.clone(), metrics::count))
        .layer(from_fn_with_state(state, cors::allow))
        .layer(CatchPanicLayer::custom(error::panicked));
    Router::new().fallback_service(routes).layer(around)
}

/// Keeps a browser from taking an answer for another kind of file than it says to be: a text that somebody has sent,
/// for a script.
async fn without_sniffing(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Every route. What each needs stands in [`guard::access::TABLE`].
fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(page::index))
        .route(
            "/qr.html",
            get(page::index).layer(from_fn(page::without_slash)),
        )
        .route("/page/{file}", get(page::file))
        .route(
            "/link/{token}",
            get(link::page).layer(from_fn(page::without_slash)),
        )
        .route("/link/{token}/events", get(link::events))
        .route("/health", get(health::health))
        .route("/openapi.json", get(openapi::document))
        .route("/openapi-3.0.json", get(openapi::document_3_0))
        .route(
            "/docs",
            get(openapi::docs).layer(from_fn(page::without_slash)),
        )
        .route("/metrics", get(metrics::metrics))
        .route("/status", get(status::status))
        .route("/sessions", get(status::sessions))
        .route("/sessions/{id}", delete(status::forget))
        .route(
            "/sessions/{id}/evidence",
            get(evidence::latest).post(evidence::take),
        )
        .route(
            "/sessions/{id}/evidence/screenshot.png",
            get(evidence::screenshot),
        )
        .route("/sessions/{id}/link", post(link::make))
        .route("/events/stream", get(events::stream))
        .route("/qr", get(qr::qr))
        .route("/qr-code", get(qr::qr_code))
        .route("/connect", post(connect::connect))
        .route("/disconnect", post(connect::disconnect))
        .route("/send", post(send::send))
        .route("/messages", get(messages::list))
        .route(
            "/messages/{id}",
            get(messages::get).delete(messages::cancel),
        )
}

#[cfg(test)]
mod tests;
