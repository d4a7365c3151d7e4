//! The document, against what a service with real sessions answers. What needs none is in `src/http/tests/openapi.rs`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Service};

const TO: &str = "5491158254201";

/// Says whether an answer is as the document has it.
struct Document(Value);

impl Document {
    /// It fits the schema of its status, and has no field that the schema does not know.
    #[track_caller]
    fn has(&self, method: &str, path: &str, status: u16, answer: &Answer) {
        let shown = format!("{method} {path} {}: {}", answer.status, answer.text());
        assert_eq!(answer.status, status, "{shown}");
        let told = &self.0["paths"][path][method]["responses"][status.to_string()];
        let schema = &told["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "undocumented: {shown}");
        let whole = json!({
            "allOf": [schema],
            "unevaluatedProperties": false,
            "components": self.0["components"],
        });
        let validator = jsonschema::validator_for(&whole).unwrap();
        let faults: Vec<_> = validator
            .iter_errors(&answer.json())
            .map(|fault| fault.to_string())
            .collect();
        assert!(faults.is_empty(), "{faults:?}\n{shown}");
    }
}

#[tokio::test]
async fn what_sessions_answer_in_the_course_of_their_life_is_what_the_document_says() {
    let service = Service::with(&[]).await;
    let document = Document(service.get("/openapi.json").await.json());

    let connected = service.connect(51).await;
    document.has("post", "/connect", 200, &connected);
    service.code("51").await;
    let pending = service.get("/status?cliente_id=51").await;
    assert!(pending.json()["qr"].is_object(), "{}", pending.text());
    document.has("get", "/status", 200, &pending);
    let code = service.get("/qr?cliente_id=51").await;
    document.has("get", "/qr", 200, &code);
    document.has(
        "get",
        "/qr-code",
        200,
        &service.get("/qr-code?cliente_id=51").await,
    );
    let paired = json!({ "cliente_id": 52, "phone": TO });
    let paired = service.post("/connect", &paired).await;
    assert!(
        paired.json()["pairing_code"].is_string(),
        "{}",
        paired.text()
    );
    document.has("post", "/connect", 200, &paired);
    document.has(
        "get",
        "/status",
        200,
        &service.get("/status?cliente_id=52").await,
    );

    service.link("51").await;
    document.has(
        "get",
        "/status",
        200,
        &service.get("/status?cliente_id=51").await,
    );
    document.has("get", "/qr", 200, &service.get("/qr?cliente_id=51").await);
    let sent = service.send(51, TO, "documentado").await;
    document.has("post", "/send", 200, &sent);
    let message = json!({ "cliente_id": 51, "to": TO, "message": "más tarde", "async": true });
    let queued = service.post("/send", &message).await;
    document.has("post", "/send", 202, &queued);
    let checked = service.post("/send?dry_run=true", &message).await;
    assert!(checked.json()["chat_id"].is_string(), "{}", checked.text());
    document.has("post", "/send", 200, &checked);
    let nobody = service.send(51, "5491158250000", "a nadie").await;
    document.has("post", "/send", 400, &nobody);
    document.has(
        "get",
        "/messages",
        200,
        &service.get("/messages?limit=2").await,
    );
    let id = sent.json()["message_id"].as_str().unwrap().to_owned();
    let path = format!("/messages/{id}");
    document.has("get", "/messages/{id}", 200, &service.get(&path).await);
    let late = service.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(late.status(), 409);

    let evidence = "/sessions/{id}/evidence";
    let taken = service.post("/sessions/52/evidence", &json!({})).await;
    document.has("post", evidence, 200, &taken);
    document.has(
        "get",
        evidence,
        200,
        &service.get("/sessions/52/evidence").await,
    );
    let link = service.post("/sessions/52/link", &json!({})).await;
    document.has("post", "/sessions/{id}/link", 201, &link);
    let linked = service.post("/sessions/51/link", &json!({})).await;
    document.has("post", "/sessions/{id}/link", 409, &linked);
    document.has("get", "/sessions", 200, &service.get("/sessions").await);
    document.has("get", "/health", 200, &service.get("/health").await);
    document.has("post", "/disconnect", 200, &service.disconnect(51).await);
    service.stop();
}
