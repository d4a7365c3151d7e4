//! `GET /openapi.json` and its reader at `/docs`: the API, told to machines and to people.
//!
//! The handlers say what they read and what they answer when all goes well. What a request may be refused with is put together
//! here, from the table of codes and the table of [`routes`]; so is the key that each asks for. Both are open: they
//! say what is in the repository anyway, and a browser has no key to show.

mod older;
pub(super) mod reader;
mod refusals;

use std::{collections::BTreeMap, sync::LazyLock};

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::{
    guard::access::Access,
    routes::{self, Routes},
    state::AppState,
    wire::{
        error::{Code, ErrorBody},
        extract::answer_headers,
    },
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "session-manager",
        description = "Keeps one headless Chrome per WhatsApp account: link a phone, see the state, send messages. The file docs/api.md of the project describes it for people, with every error code and its remedy."
    ),
    servers((url = ".")),
    components(schemas(ErrorBody<'static>))
)]
struct Description;

/// Put together once.
static DOCUMENT: LazyLock<Value> = LazyLock::new(complete);

/// The same as OpenAPI 3.0.
static DOCUMENT_3_0: LazyLock<Value> = LazyLock::new(|| older::as_3_0(&DOCUMENT));

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "service", responses(
    (status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"),
))]
pub(super) async fn document(State(app): State<AppState>) -> Response {
    answer(&DOCUMENT, &app)
}

/// This document for client generators that read no OpenAPI 3.1, such as progenitor.
#[utoipa::path(get, path = "/openapi-3.0.json", tag = "service", responses(
    (status = 200, description = "OpenAPI 3.0", body = Object, content_type = "application/json"),
))]
pub(super) async fn document_3_0(State(app): State<AppState>) -> Response {
    answer(&DOCUMENT_3_0, &app)
}

/// A document with the address of this service. Without `PUBLIC_URL` the address is relative to that of the document,
/// so that it is right under the path of a proxy, which the service does not know.
fn answer(document: &Value, app: &AppState) -> Response {
    let json = if let Some(url) = &app.config.public_url {
        let mut document = document.clone();
        document["servers"] = json!([{ "url": url }]);
        document.to_string()
    } else {
        document.to_string()
    };
    (answer_headers("application/json; charset=utf-8"), json).into_response()
}

/// What the handlers say, with the keys and the refusals.
fn complete() -> Value {
    let Routes { router, table } = routes::all();
    let mut document = Description::openapi();
    document.merge(router.into_openapi());
    // Types that serialize and have no odd keys: `null` would be noticed by every test.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({
        "ApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
        "Bearer": {"type": "http", "scheme": "bearer"},
    });
    // A package without a licence: an empty name is no valid one, and some generators stop at it.
    if let Some(info) = document["info"].as_object_mut() {
        info.remove("license");
    }
    document["webhooks"] = webhooks();
    for row in &table.0 {
        let methods = document["paths"].get_mut(&row.path);
        let method = row.method.as_str().to_ascii_lowercase();
        // A page is not in the document.
        let Some(operation) = methods.and_then(|methods| methods.get_mut(method)) else {
            continue;
        };
        never_null(operation);
        if let Access::Key(scope) = row.access {
            operation["security"] = json!([{"ApiKey": []}, {"Bearer": []}]);
            operation["x-scope"] = Value::from(scope.as_str());
        } else {
            operation["security"] = json!([]);
        }
        let mut by_status = BTreeMap::<_, Vec<Code>>::new();
        for code in refusals::of(row) {
            by_status
                .entry(code.facts().status.as_u16())
                .or_default()
                .push(code);
        }
        for (status, codes) in by_status {
            operation["responses"][status.to_string()] =
                refusals::answer(&row.path, status, &codes);
        }
    }
    document
}

/// What a webhook is given: not asked of this service, but by it.
fn webhooks() -> Value {
    let header = |name: &str, description: &str, example: &str| {
        json!({
            "name": name, "in": "header", "required": true, "description": description,
            "schema": { "type": "string" }, "example": example,
        })
    };
    json!({ "event": { "post": {
        "tags": ["webhooks"],
        "operationId": "event",
        "summary": "Gives an event to a webhook, at least once, and in the order of each chat.",
        "description": "Signed as Standard Webhooks says. With \"compat\": \"waha\" the body and the headers are those of WAHA. docs/events.md has receivers that check the signature.",
        "parameters": [
            header("webhook-id", "The event's id: the same in each attempt.", "evt_4f1c0b7f7b0d4c63a1b8f0d6f3f5c9aa"),
            header("webhook-timestamp", "When this attempt was made, in seconds since the epoch.", "1790000000"),
            header("webhook-signature", "One signature for each secret, with a space between them: `v1,` and the base64 of the HMAC-SHA256 of `id.timestamp.body`.", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ],
        "requestBody": { "required": true, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Event" } } } },
        "security": [],
        "responses": {
            "2XX": { "description": "The receiver has it. What it answers is not looked at." },
            "410": { "description": "The receiver wants no events any more: the webhook is switched off." },
            "default": { "description": "It is tried again, as `Retry-After` or the schedule says (WEBHOOK_RETRY_SECONDS); what has failed ten times is dead until it is redriven." },
        },
    } } })
}

/// Takes `null` out of what cannot be null: an optional parameter, header or body is left out. Generators make a type of it,
/// and progenitor's does not compile.
fn never_null(operation: &mut Value) {
    let body = operation.pointer_mut("/requestBody/content/application~1json/schema");
    let body = body.filter(|schema| schema["oneOf"].is_array());
    if let Some(schema) = body
        && let Some(only) = schema["oneOf"].get(0).cloned()
    {
        *schema = only;
    }
    // `get_mut`, since an index would put a `null` where there is nothing.
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    let parameters = parameters.into_iter().flatten();
    parameters.for_each(drop_null);
    let responses = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut);
    let responses = responses.into_iter().flat_map(Map::values_mut);
    let headers = responses.filter_map(|response| response.get_mut("headers")?.as_object_mut());
    headers.flat_map(Map::values_mut).for_each(drop_null);
}

/// `["string", "null"]` becomes `"string"`.
fn drop_null(parameter: &mut Value) {
    if let Some(kinds) = parameter.pointer_mut("/schema/type")
        && let Some([kind, Value::String(null)]) = kinds.as_array().map(Vec::as_slice)
        && null == "null"
    {
        *kinds = kind.clone();
    }
}

/// The document, for tests.
#[cfg(test)]
pub(super) fn for_tests() -> &'static Value {
    &DOCUMENT
}

/// The same in 3.0.
#[cfg(test)]
pub(super) fn for_tests_3_0() -> &'static Value {
    &DOCUMENT_3_0
}
