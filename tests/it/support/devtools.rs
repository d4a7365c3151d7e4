//! A second connection to a session's page, beside the service's own: to measure the page alone, and to break it.

use std::path::Path;

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::answer;

/// See the module.
pub(crate) struct DevTools(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl DevTools {
    /// Connects to the page of the Chrome that works on `profile`.
    pub(crate) async fn of(profile: &Path) -> Self {
        let said = std::fs::read_to_string(profile.join("DevToolsActivePort")).unwrap();
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
}
