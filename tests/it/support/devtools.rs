//! A second connection to a session's page, beside the service's own: to measure the page alone, and to break it.
//!
//! The service's Chromes have no port, so it needs a service that was told to use [`chrome_with_a_port`].

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::{answer, chrome::installed_program};

/// A program for `CHROME_PATH`: Chrome with a port beside the pipe over which the service drives it.
pub(crate) fn chrome_with_a_port() -> PathBuf {
    let chrome = installed_program("chromium-headless-shell");
    let script = format!(
        "#!/bin/sh\nexec {} --remote-debugging-port=0 \"$@\"\n",
        chrome.display()
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Put in place whole: another test may start it at this moment.
    let mut file = tempfile::NamedTempFile::new_in(folder).unwrap();
    file.write_all(script.as_bytes()).unwrap();
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(0o755))
        .unwrap();
    let path = folder.join("chrome-with-a-port");
    file.persist(&path).unwrap();
    path
}

pub(crate) struct DevTools(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl DevTools {
    /// Connects to the page of the Chrome that works on `profile`.
    pub(crate) async fn of(profile: &Path) -> Self {
        let said = fs::read_to_string(profile.join("DevToolsActivePort")).unwrap();
        let port = said.lines().next().unwrap();
        let list = format!("http://127.0.0.1:{port}/json/list");
        let targets = answer(reqwest::Client::new().get(list)).await.json();
        let targets = targets.as_array().unwrap();
        let page = targets.iter().find(|target| target["type"] == "page");
        let url = page.unwrap()["webSocketDebuggerUrl"].as_str().unwrap();
        Self(connect_async(url).await.unwrap().0)
    }

    /// Asks for something, and does not wait for an answer: what breaks the page gives none.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) {
        let call = json!({ "id": 1, "method": method, "params": params });
        self.0.send(Message::text(call.to_string())).await.unwrap();
    }

    /// What an expression comes to in the page, once its promise is kept.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true,
        });
        self.ask("Runtime.evaluate", params).await;
        // The first answer is to this call: no other one is ever answered, and no domain is enabled that tells events.
        let said = self.0.next().await.unwrap().unwrap();
        let answer: Value = serde_json::from_str(said.to_text().unwrap()).unwrap();
        assert!(answer["result"]["exceptionDetails"].is_null(), "{answer}");
        answer["result"]["result"]["value"].clone()
    }
}
