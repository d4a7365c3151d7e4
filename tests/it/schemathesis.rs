//! Schemathesis makes up requests from the document, and finds no answer that is not in it.

use std::{path::Path, process::Command};

use crate::support::Service;

/// What holds an answer against the document. A 5xx that is in the document is no fault: without a phone every send has one.
const CHECKS: &str = "status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";

/// Made-up requests for each operation beside the ones at the borders: half a minute in all.
const EXAMPLES: &str = "15";

#[tokio::test]
async fn no_request_made_up_from_the_document_has_an_answer_that_is_not_in_it() {
    let service = Service::start(|env| {
        // A request may name any session, and none is to wait for a phone.
        env.insert("MAX_SESSIONS", "1".into());
        env.insert("QR_TIMEOUT_SECONDS", "5".into());
        env.insert("CONNECT_WAIT_SECONDS", "1".into());
        env.insert("SEND_WAIT_SECONDS", "2".into());
    })
    .await;
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/schemathesis");
    #[expect(
        clippy::disallowed_methods,
        reason = "the test plays the integrator who checks the document"
    )]
    let mut command = Command::new(venv.join("bin/schemathesis"));
    let said = command
        .arg("run")
        .arg(format!("{}/openapi.json", service.url()))
        .args(["--checks", CHECKS, "--max-examples", EXAMPLES])
        .args(["--phases", "examples,coverage,fuzzing"])
        // A stream of events does not end by itself.
        .args(["--exclude-path", "/events/stream"])
        .args(["--seed", "1", "--generation-database", "none"])
        .args(["--request-timeout", "30", "--no-color"])
        .current_dir(service.home().path())
        .output()
        .expect("schemathesis is installed: scripts/test does it");
    let report = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{report}");
    assert!(report.contains("Tested: 1"), "it tested nothing:\n{report}");
    service.stop();
}
