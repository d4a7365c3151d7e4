//! The document, against the table of routes, the keys and what the router really answers.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{
    Answer, Api, assert_refused,
    event_log::{event, write},
    keys::Keyed,
    waha,
};
use crate::{
    http::{openapi, routes, wire::error::Code},
    keys::Scope,
    ledger::{EventKind, NewSend},
};

/// One operation of the document.
struct Operation {
    method: String,
    path: String,
    told: Value,
}

fn operations() -> Vec<Operation> {
    let paths = openapi::for_tests()["paths"].as_object().unwrap();
    let of = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().unwrap().clone();
        let path = path.clone();
        methods.into_iter().map(move |(method, told)| Operation {
            method: method.to_uppercase(),
            path: path.clone(),
            told,
        })
    };
    paths.iter().flat_map(of).collect()
}

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn parameters(&self) -> Vec<Value> {
        let parameters = self.told["parameters"].as_array();
        parameters.cloned().unwrap_or_default()
    }

    /// Its path, with the example of what stands in it.
    fn example_path(&self) -> String {
        let mut path = self.path.clone();
        for parameter in self.parameters() {
            if parameter["in"] == "path" {
                let name = format!("{{{}}}", parameter["name"].as_str().unwrap());
                path = path.replace(&name, &text(&example_of(&parameter)));
            }
        }
        path
    }

    /// Every request that the document shows: the bare one, one for each parameter, one for each body.
    fn examples(&self) -> Vec<(String, Request<Body>)> {
        let path = self.example_path();
        let request = |uri: &str| {
            Request::builder()
                .method(self.method.as_str())
                .uri(uri.to_owned())
        };
        let bodies: Vec<Value> =
            self.told["requestBody"]["content"]["application/json"]["examples"]
                .as_object()
                .map(|examples| {
                    examples
                        .values()
                        .map(|example| example["value"].clone())
                        .collect()
                })
                .unwrap_or_default();
        // A file may be anything but empty.
        let is_file = self.told["requestBody"]["content"]["application/octet-stream"].is_object();
        let none = if is_file { "x" } else { "" };
        let first = bodies
            .first()
            .map_or_else(|| none.to_owned(), Value::to_string);
        let mut requests = vec![(
            path.clone(),
            request(&path).body(first.clone().into()).unwrap(),
        )];
        for body in &bodies {
            let request = request(&path).body(body.to_string().into()).unwrap();
            requests.push((body.to_string(), request));
        }
        for (name, value) in self.example_fields() {
            // Some fields exclude others: an example has it beside those that go with it.
            let has_it = |body: &&Value| body.get(&name).is_some();
            let mut body = bodies.iter().find(has_it).unwrap_or(&bodies[0]).clone();
            body[&name] = value;
            let request = request(&path).body(body.to_string().into()).unwrap();
            requests.push((body.to_string(), request));
        }
        for parameter in self.parameters() {
            let (name, value) = (
                parameter["name"].as_str().unwrap(),
                text(&example_of(&parameter)),
            );
            let request = match parameter["in"].as_str().unwrap() {
                "query" => request(&format!("{path}?{name}={value}")),
                "header" => request(&path).header(name, &value),
                _ => continue,
            };
            let request = request.body(first.clone().into()).unwrap();
            requests.push((format!("{name}: {value}"), request));
        }
        requests
    }

    /// The fields of the body that have an example of their own.
    fn example_fields(&self) -> Vec<(String, Value)> {
        let content = &self.told["requestBody"]["content"]["application/json"];
        let schema = content["schema"].to_string();
        let bodies = openapi::for_tests()["components"]["schemas"]
            .as_object()
            .unwrap();
        let is_its = |name: &str| schema.contains(&format!("schemas/{name}\""));
        let own = bodies.iter().filter(|(name, _)| is_its(name));
        let fields = own.flat_map(|(_, body)| body["properties"].as_object().unwrap());
        let example = |field: &Value| field.get("example").or(field["examples"].get(0)).cloned();
        fields
            .filter_map(|(name, field)| Some((name.clone(), example(field)?)))
            .collect()
    }

    /// Whether the document has this answer: its status, its type, its schema, and its code.
    #[track_caller]
    fn assert_documented(&self, what: &str, answer: &Answer) {
        let shown = format!(
            "{} ({what}) {}: {}",
            self.name(),
            answer.status,
            answer.text()
        );
        let told = &self.told["responses"][answer.status.as_str()];
        assert!(told.is_object(), "undocumented status: {shown}");
        let content_type = answer.headers["content-type"].to_str().unwrap();
        let media = content_type.split(';').next().unwrap();
        let content = &told["content"][media];
        assert!(content.is_object(), "undocumented type {media}: {shown}");
        if media == "application/json" {
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            let closed = !self.path.starts_with("/openapi");
            assert_fits(&content["schema"], closed, &body, &shown);
        }
    }
}

fn example_of(parameter: &Value) -> Value {
    let examples = [&parameter["example"], &parameter["schema"]["example"]];
    let example = examples.into_iter().find(|example| !example.is_null());
    example
        .cloned()
        .unwrap_or_else(|| panic!("{parameter} has no example"))
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A body fits its schema, and has no field that the schema does not know.
#[track_caller]
fn assert_fits(schema: &Value, closed: bool, body: &Value, shown: &str) {
    let whole = json!({
        "allOf": [schema],
        "unevaluatedProperties": !closed,
        "components": openapi::for_tests()["components"],
    });
    let validator = jsonschema::validator_for(&whole).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(body)
        .map(|fault| format!("{} at {}", fault, fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:?}\n{shown}");
}

#[test]
fn every_route_but_those_of_pages_is_in_the_document() {
    let told: BTreeSet<_> = operations().iter().map(Operation::name).collect();
    let rows = routes::all().table.0.into_iter();
    // WAHA has a document of its own for its routes: `waha` tests that docs/waha.md lists them.
    let rows: BTreeSet<_> = rows
        .filter(|row| !waha::is_its(&row.path))
        .map(|row| format!("{} {}", row.method, row.path))
        .collect();
    assert!(told.is_subset(&rows));
    let pages = [
        "GET /",
        "GET /link/{token}",
        "GET /link/{token}/events",
        "GET /page/{file}",
        "GET /qr.html",
    ];
    assert_eq!(rows.difference(&told).collect::<Vec<_>>(), pages);
    let document = openapi::for_tests();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for operation in operations() {
        assert!(
            operation.told["summary"].is_string(),
            "{}",
            operation.name()
        );
        let id = operation.told["operationId"].as_str().unwrap();
        let same = operations()
            .into_iter()
            .filter(|other| other.told["operationId"] == id);
        assert_eq!(same.count(), 1, "{id}");
    }
}

#[tokio::test]
async fn every_example_of_the_document_is_answered_as_the_document_says() {
    let mut count = 0;
    for operation in operations() {
        for (what, request) in operation.examples() {
            // Each on a service of its own: one example's session is no matter of the next.
            let api = Api::new(&[]);
            let answer = api.call(request).await;
            operation.assert_documented(&what, &answer);
            assert_ne!(
                answer.json_code(),
                "INVALID_JSON",
                "{} {what}",
                operation.name()
            );
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}

impl Answer {
    fn json_code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn an_example_is_good_input_to_its_handler() {
    for operation in operations() {
        for (what, request) in operation.examples() {
            let answer = Api::new(&[]).call(request).await;
            let code = answer.json_code();
            assert!(
                !code.starts_with("INVALID"),
                "{} {what}: {code}",
                operation.name()
            );
        }
    }
}

#[tokio::test]
async fn wrong_requests_are_answered_as_the_document_says() {
    let api = Api::new(&[]);
    let wrong = [
        ("GET", "/status?cliente_id=", ""),
        ("GET", "/qr?format=gif", ""),
        ("GET", "/qr?format=png", ""),
        ("GET", "/qr-code", ""),
        ("POST", "/connect", "{"),
        ("POST", "/connect", r#"{"wait": 1}"#),
        ("POST", "/connect", r#"{"phone": 1}"#),
        ("POST", "/disconnect", r#"{"logout": 1}"#),
        ("POST", "/send", r#"{"cliente_id": "x"}"#),
        ("POST", "/send", r#"{"cliente_id": 1}"#),
        (
            "POST",
            "/send",
            r#"{"cliente_id": 1, "to": "5491158254201"}"#,
        ),
        ("POST", "/send?dry_run=perhaps", "{}"),
        ("GET", "/messages?limit=0", ""),
        ("GET", "/messages?after=x", ""),
        ("GET", "/messages?state=x", ""),
        ("GET", "/sessions/51/evidence/screenshot.png", ""),
        ("POST", "/sessions/51/evidence", ""),
    ];
    for (method, uri, body) in wrong {
        let request = Request::builder().method(method).uri(uri);
        let answer = api
            .call(request.body(body.to_owned().into()).unwrap())
            .await;
        assert!(!answer.status.is_success(), "{method} {uri}");
        let path = uri.split('?').next().unwrap().replace("/51/", "/{id}/");
        let operations = operations();
        let operation = operations
            .iter()
            .find(|one| (&*one.method, &*one.path) == (method, &*path));
        operation.unwrap().assert_documented(uri, &answer);
    }
}

/// From the document, so that no endpoint is forgotten.
#[tokio::test]
async fn where_the_document_asks_for_a_key_there_is_no_answer_without_one() {
    let keyed = Keyed::new(&[]);
    let keys = [Scope::Read, Scope::Send, Scope::Admin]
        .map(|scope| (scope, keyed.key(scope.as_str(), scope, &[])));
    let mut open = Vec::new();
    for operation in operations() {
        let (method, path) = (&operation.method, operation.example_path());
        let without = keyed.call(method, &path, "", &json!({})).await;
        if operation.told["security"] == json!([]) {
            assert_eq!(without.status, StatusCode::OK, "{}", operation.name());
            open.push(operation.name());
            continue;
        }
        assert_refused(&without, 401, "UNAUTHORIZED");
        operation.assert_documented("no key", &without);
        let needed = operation.told["x-scope"].as_str().unwrap();
        for (scope, key) in &keys {
            let answer = keyed.call(method, &path, key, &json!({})).await;
            let is_enough = scope.includes(needed.parse().unwrap());
            assert_eq!(
                answer.status != StatusCode::FORBIDDEN,
                is_enough,
                "{}",
                operation.name()
            );
            operation.assert_documented(scope.as_str(), &answer);
        }
    }
    let expected = [
        "GET /docs",
        "GET /health",
        "GET /openapi-3.0.json",
        "GET /openapi.json",
    ];
    assert_eq!(open, expected);
}

#[tokio::test]
async fn the_reader_runs_its_own_script_and_asks_no_other_host() {
    let answer = Api::new(&[]).get("/docs").await;
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let page = answer.text();
    for outside in ["http:", "https:", "//cdn", "src=", "onclick", "innerHTML"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

/// docs/api.md has the table of codes as it is in the program.
#[test]
fn every_code_is_in_the_documentation_with_its_status_and_its_remedy() {
    let page = include_str!("../../../docs/api.md");
    let rows: Vec<String> = Code::ALL
        .iter()
        .map(|code| {
            format!(
                "| `{}` | {} | {} |",
                code.facts().code,
                code.facts().status.as_u16(),
                code.remedy()
            )
        })
        .collect();
    let table = rows.join("\n");
    assert!(
        page.contains(&table),
        "the table of codes in docs/api.md is to be\n{table}"
    );
    let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.facts().code).collect();
    assert_eq!(names.len(), Code::ALL.len());
}

/// `docs/openapi-3.0.json` is what a client in Rust is generated from (`tests/clients/rust`).
const KEPT_3_0: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi-3.0.json");

fn document_3_0() -> String {
    format!("{:#}\n", openapi::for_tests_3_0())
}

#[test]
fn the_kept_document_is_the_one_that_is_served() {
    let kept = std::fs::read_to_string(KEPT_3_0).unwrap();
    let is_same = kept == document_3_0();
    assert!(
        is_same,
        "the API has changed: write docs/openapi-3.0.json again with `cargo test --lib -- --ignored write_the_kept_document`"
    );
}

#[test]
#[ignore = "writes into docs"]
fn write_the_kept_document() {
    std::fs::write(KEPT_3_0, document_3_0()).unwrap();
}

#[test]
fn nothing_in_the_3_0_document_is_written_as_in_3_1() {
    let document = openapi::for_tests_3_0();
    assert_eq!(document["openapi"], "3.0.3");
    let mut pending = vec![document];
    while let Some(value) = pending.pop() {
        assert!(!value.is_null());
        assert!(!value["type"].is_array(), "{value}");
        assert_ne!(value["type"], "null", "{value}");
        for name in ["const", "propertyNames", "prefixItems"] {
            assert!(value.get(name).is_none(), "{name} in {value}");
        }
        for name in ["exclusiveMinimum", "exclusiveMaximum"] {
            assert!(!value[name].is_number(), "{name} in {value}");
        }
        if let Some(fields) = value.as_object().filter(|fields| fields.len() > 1) {
            assert!(!fields.contains_key("$ref"), "{value}");
        }
        pending.extend(value.as_array().into_iter().flatten());
        pending.extend(
            value
                .as_object()
                .into_iter()
                .flat_map(|fields| fields.values()),
        );
    }
}

#[tokio::test]
async fn the_address_in_the_document_is_relative_or_public_url() {
    for path in ["/openapi.json", "/openapi-3.0.json"] {
        let api = Api::new(&[]);
        let document = api.get(path).await.json();
        assert_eq!(document["servers"], json!([{ "url": "." }]), "{path}");
        let public = Api::new(&[("PUBLIC_URL", "https://wa.example/api")]);
        let document = public.get(path).await.json();
        assert_eq!(
            document["servers"],
            json!([{ "url": "https://wa.example/api" }]),
            "{path}"
        );
    }
}

/// What stands in messages that came in and in one that is to be sent, and in no other place.
const SECRET: &str = "Nos-vemos-a-las-8";

/// Everything that `GET` answers to a key of this scope, for each example of the document.
async fn all_that_is_read_by(scope: Scope) -> Vec<(String, String)> {
    let mut answers = Vec::new();
    let more = [
        "/events?limit=1000",
        "/events/stream?types=message",
        "/events/stream?types=session,message.any",
        "/events/stream?after=0",
    ];
    let more = more.map(|path| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        (path.to_owned(), request)
    });
    let gets = operations().into_iter().filter(|told| told.method == "GET");
    let told = gets.flat_map(|told| {
        let name = told.name();
        let named = move |(what, request)| (format!("{name} ({what})"), request);
        told.examples().into_iter().map(named)
    });
    for (name, mut request) in told.chain(more) {
        let keyed = Keyed::new(&[]);
        let key = keyed.key("one", scope, &[]);
        let registry = &keyed.api.registry;
        // So that there is an answer about the session, and not about an unknown one.
        registry.find_or_create(&"51".parse().unwrap()).unwrap();
        let events = EventKind::ALL.map(|kind| event("51", &format!("{SECRET} {kind:?}"), kind));
        write(&keyed.api, events).await;
        let send = NewSend {
            key: "3EB0C1F0A7D2B84E9A61".to_owned(),
            session: "51".to_owned(),
            cliente_id: "51".to_owned(),
            account: None,
            to: "5491158254201".into(),
            body: SECRET.into(),
            extras: Arc::default(),
            is_durable: true,
            idempotency: None,
            accept_by: tokio::time::Instant::now() + std::time::Duration::from_secs(60),
        };
        registry.ledger().accept(send).await.unwrap();
        request
            .headers_mut()
            .insert("X-Api-Key", key.parse().unwrap());
        let response = keyed.api.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let mut body = Box::pin(to_bytes(body, usize::MAX));
        // A stream ends with the service; whatever else is answered is complete by then.
        let body = match futures_util::poll!(&mut body) {
            std::task::Poll::Ready(body) => body,
            std::task::Poll::Pending => tokio::join!(body, registry.shut_down()).0,
        };
        let body = String::from_utf8_lossy(&body.unwrap()).into_owned();
        answers.push((name, format!("{parts:?}\n{body}")));
    }
    answers
}

#[tokio::test]
async fn a_key_that_may_only_read_is_shown_no_text_of_a_message() {
    for scope in [Scope::Read, Scope::Send] {
        for (name, answer) in all_that_is_read_by(scope).await {
            assert!(!answer.contains(SECRET), "{scope} {name}: {answer}");
        }
    }
    // The same requests, with a key that may.
    let answers = all_that_is_read_by(Scope::Receive).await.into_iter();
    let shown = answers.filter(|(_, answer)| answer.contains(SECRET));
    let shown: BTreeSet<_> = shown.map(|(name, _)| name).collect();
    for path in ["/events/stream?after=0", "/events?limit=1000"] {
        assert!(shown.contains(path), "{shown:?}");
    }
}
