//! Clients that generators make from the OpenAPI documents: they compile and send.
//!
//! Responsible for one client from each form of the document: orval reads 3.1, progenitor reads 3.0. Not responsible for whether
//! the documents are true: `openapi` and `schemathesis` hold the answers against them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::Service;

const TO: &str = "5491158254201";

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// The lines that a client printed. One that fails is the test's failure.
pub(crate) fn printed(program: &Path, set_up: impl FnOnce(&mut Command)) -> Vec<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test plays the integrator who generates a client"
    )]
    let mut command = Command::new(program);
    set_up(&mut command);
    let said = command.output().unwrap_or_else(|why| {
        panic!(
            "{} does not start: {why}; scripts/test installs it",
            program.display()
        )
    });
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.status.success(),
        "{}: {text}{}",
        program.display(),
        String::from_utf8_lossy(&said.stderr)
    );
    text.lines().map(str::to_owned).collect()
}

/// A client has printed the id of the text that it sent, and the refusal of a number that is none.
async fn assert_sent(service: Service, account: &str, text: &str, lines: &[String]) {
    let [id, refusal] = lines else {
        panic!("{lines:?}")
    };
    assert!(id.starts_with("true_5491158254201@c.us_"), "{id}");
    assert_eq!(refusal, "400 INVALID_TO");
    assert_eq!(service.messages(account).await, [text]);
    service.stop();
}

#[tokio::test]
async fn a_client_that_progenitor_generates_sends() {
    let (service, account) = Service::linked(&[]).await;
    let text = "from progenitor";
    service.secrets().remember_text(text);
    let program =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/debug/generated-client");
    let url = service.url().to_owned();
    let run = move || {
        printed(&program, |command| {
            command.args([&*url, "51", TO, text]);
        })
    };
    let lines = tokio::task::spawn_blocking(run).await.unwrap();
    assert_sent(service, &account, text, &lines).await;
}

#[tokio::test]
async fn a_client_that_orval_generates_sends() {
    let (service, account) = Service::linked(&[]).await;
    let text = "from orval";
    service.secrets().remember_text(text);
    let folder = service.home().path().join("orval");
    fs::create_dir(&folder).unwrap();
    let document = folder.join("openapi.json");
    fs::write(&document, service.get("/openapi.json").await.text()).unwrap();
    fs::copy(clients().join("typescript/send.ts"), folder.join("send.ts")).unwrap();
    fs::write(folder.join("package.json"), r#"{"type": "module"}"#).unwrap();
    let url = service.url().to_owned();
    let run = move || {
        let package = clients().join("typescript");
        let tool = |name: &str| package.join("node_modules/.bin").join(name);
        printed(&tool("orval"), |command| {
            command
                .args(["--config", "orval.config.cjs"])
                .env("DOCUMENT", &document)
                .env("GENERATED", folder.join("generated.ts"))
                .env("SERVICE", &url)
                .current_dir(&package);
        });
        printed(&tool("tsc"), |command| {
            command
                .args(["--strict", "--target", "es2022", "--lib", "es2022,dom"])
                .args(["--module", "nodenext", "--moduleResolution", "nodenext"])
                .arg("send.ts")
                .current_dir(&folder);
        });
        printed(Path::new("node"), |command| {
            command
                .args(["send.js", "51", TO, text])
                .current_dir(&folder);
        })
    };
    let lines = tokio::task::spawn_blocking(run).await.unwrap();
    assert_sent(service, &account, text, &lines).await;
}
