//! `GET /openapi.json` and its reader at `/docs`: the API, told to machines and to people.
//!
//! The handlers say what they read and what they answer when all goes well. What any request may be refused with is put together
//! here, from the one table of codes and the one table of who may do what; so is the key that each asks for. Both are open: they
//! say what is in the repository anyway, and a browser has no key to show. Which routes are told of, `access` says.

mod reader;
mod refusals;
pub(super) mod requests;

use std::{collections::BTreeMap, sync::LazyLock};

use axum::response::{IntoResponse as _, Response};
pub(super) use reader::docs;
use serde_json::{Value, json};
use utoipa::OpenApi;

use super::{
    access::{Access, Row, TABLE},
    error::{Code, ErrorBody},
    extract::answer_headers,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "session-manager",
        description = "Keeps one headless Chrome per WhatsApp account: link a phone, see the state, send messages. docs/api.md tells it to people."
    ),
    servers((url = "/")),
    paths(
        super::health::health,
        super::metrics::metrics,
        document,
        reader::docs,
        super::status::status,
        super::status::sessions,
        super::status::forget,
        super::events::stream,
        super::qr::qr,
        super::qr::qr_code,
        super::connect::connect,
        super::connect::disconnect,
        super::send::send,
        super::messages::list,
        super::messages::get,
        super::messages::cancel,
        super::evidence::latest,
        super::evidence::take,
        super::evidence::screenshot,
        super::link::make,
    ),
    components(schemas(ErrorBody<'static>))
)]
struct Handlers;

/// Put together once.
static DOCUMENT: LazyLock<Value> = LazyLock::new(complete);

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "service", responses(
    (status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"),
))]
pub(super) async fn document() -> Response {
    let json = DOCUMENT.to_string();
    (answer_headers("application/json; charset=utf-8"), json).into_response()
}

/// What the handlers say, with the keys and the refusals.
fn complete() -> Value {
    // Types that serialize and have no odd keys: `null` would be noticed by every test.
    let mut document = serde_json::to_value(Handlers::openapi()).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({
        "ApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
        "Bearer": {"type": "http", "scheme": "bearer"},
    });
    let of_the_api = |row: &Row| row.2.is_of_the_api();
    for (method, path, access) in TABLE.into_iter().filter(of_the_api) {
        let methods = document["paths"].get_mut(path);
        let told = methods.and_then(|methods| methods.get_mut(method.to_ascii_lowercase()));
        // A route that no handler tells of is found by the tests.
        let Some(operation) = told else { continue };
        if let Access::Key(scope) = access {
            operation["security"] = json!([{"ApiKey": []}, {"Bearer": []}]);
            operation["x-scope"] = Value::from(scope.as_str());
        } else {
            operation["security"] = json!([]);
        }
        let mut by_status = BTreeMap::<_, Vec<Code>>::new();
        for code in refusals::of(method, path, access) {
            by_status
                .entry(code.status().as_u16())
                .or_default()
                .push(code);
        }
        for (status, codes) in by_status {
            operation["responses"][status.to_string()] = refusals::answer(path, status, &codes);
        }
    }
    document
}

/// The document, for tests.
#[cfg(test)]
pub(super) fn for_tests() -> &'static Value {
    &DOCUMENT
}
