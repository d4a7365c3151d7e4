//! Schemathesis makes up requests from the document, and finds no answer that is not in it.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::support::Service;

/// What holds an answer against the document. A 5xx that is in the document is no fault: without a phone every send has one.
const CHECKS: &str = "status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";

/// Made-up requests for each operation beside the ones at the borders: half a minute in all.
const EXAMPLES: &str = "15";

/// It does not end, so it cannot be read to its end.
const STREAM: &str = "/events/stream";

/// What a path of the document may have; its other keys are no operations.
const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

#[tokio::test]
async fn no_request_made_up_from_the_document_has_an_answer_that_is_not_in_it() {
    let service = Service::with(&[
        // A request may name any session, and none is to wait for a phone.
        ("MAX_SESSIONS", "1"),
        ("QR_TIMEOUT_SECONDS", "5"),
        ("CONNECT_WAIT_SECONDS", "1"),
        ("SEND_WAIT_SECONDS", "2"),
    ])
    .await;
    let document = service.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().expect("it has paths");
    let count = |path: &Value| {
        let keys = path.as_object().into_iter().flat_map(serde_json::Map::keys);
        keys.filter(|key| METHODS.contains(&key.as_str())).count()
    };
    let all: usize = paths.values().map(count).sum();
    let chosen = all - count(&document["paths"][STREAM]);
    // An answer of `/events` may wait a minute, and there would be many.
    let config = service.home().path().join("schemathesis.toml");
    fs::write(config, "[parameters]\n\"query.wait\" = 0\n").unwrap();
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
    #[expect(
        clippy::disallowed_methods,
        reason = "the test plays the integrator who checks the document"
    )]
    let mut command = Command::new(tools.join("bin/schemathesis"));
    let said = command
        .arg("run")
        .arg(format!("{}/openapi.json", service.url()))
        .args(["--checks", CHECKS, "--max-examples", EXAMPLES])
        .args(["--phases", "examples,coverage,fuzzing"])
        // The operation that served the document is left out, unless it is chosen.
        .args(["--include-path-regex", "^/"])
        .args(["--exclude-path", STREAM])
        .args(["--seed", "1", "--generation-database", "none"])
        .args(["--request-timeout", "30", "--no-color"])
        .current_dir(service.home().path())
        .output()
        .expect("schemathesis is installed: scripts/test does it");
    let report = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{report}");
    for said in [
        format!("Selected: {chosen}/{all}\n"),
        format!("Tested: {chosen}\n"),
    ] {
        assert!(report.contains(&said), "not {said} {report}");
    }
    assert_no_fault(&service.get("/metrics").await.text());
    assert!(!service.log().contains("500 INTERNAL"));
    service.stop();
}

/// No request made the service itself fail: a session that is not ready is a 503, and a start that came
/// to nothing, as its code was not scanned, a 500 by contract.
fn assert_no_fault(scrape: &str) {
    let answers = scrape
        .lines()
        .filter(|line| line.starts_with("session_manager_http_requests_total{"));
    let (mut count, mut faults) = (0, Vec::new());
    for answer in answers {
        count += 1;
        let is_expected = answer.contains("status=\"503\"")
            || (answer.contains("route=\"/connect\"") && answer.contains("status=\"500\""));
        if answer.contains("status=\"5") && !is_expected {
            faults.push(answer);
        }
    }
    assert!(0 < count, "{scrape}");
    assert!(faults.is_empty(), "{faults:?}");
}
