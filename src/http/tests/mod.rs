//! The contract where no browser is needed: the router is called in-process, on a machine without a Chrome.
//!
//! What needs sessions that run is in `tests/it/contract.rs`.

mod access;
mod answers;
mod event_log;
mod events;
mod forgetting;
mod guessing;
mod keys;
mod linking;
mod links;
mod logged;
mod media;
mod metrics;
mod naming;
mod openapi;
mod origins;
mod page;
mod received;
mod requests;
mod waha;
mod webhooks;

use std::{ffi::OsString, num::NonZeroUsize, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderValue, Request, StatusCode},
};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::{AppState, router};
use crate::{
    config::{Config, SessionConfig},
    delivery::Webhooks,
    ledger::{Clock, LedgerOptions},
    received::Received,
    session::{Registry, RegistryOptions, SendLimits},
    telemetry::DroppedLines,
    whatsapp::PageSettings,
};

const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// The API over an empty tokens folder.
struct Api {
    router: Router,
    tokens: TempDir,
    data: TempDir,
    registry: Arc<Registry>,
    state: AppState,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Api {
    fn new(variables: &[(&str, &str)]) -> Self {
        let (tokens, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let lookup = |name: &str| {
            let set = variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(*value));
            set.or_else(|| (name == "DATA_DIR").then(|| data.path().into()))
        };
        let config = Config::from_lookup(lookup).unwrap();
        let one = NonZeroUsize::MIN;
        let usual = RegistryOptions::of(&config);
        let registry = Registry::open(RegistryOptions {
            config: Arc::new(SessionConfig {
                max_sessions: one,
                min_free_memory_mb: 0,
                memory_mb: None,
                max_concurrent_starts: one,
                sends: SendLimits {
                    queue_max: one,
                    rate_per_minute: None,
                    wait: Duration::from_secs(1),
                },
                ..config.sessions.clone()
            }),
            tokens_dir: tokens.path().to_owned(),
            sessions_dir: tokens.path().join("sessions"),
            snapshots_dir: tokens.path().join("snapshots"),
            snapshot_key: None,
            evidence_dir: tokens.path().join("evidence"),
            page: PageSettings {
                search_path: OsString::new(),
                url: "http://127.0.0.1:1/".to_owned(),
                ..usual.page
            },
            ledger: LedgerOptions {
                clock: Clock::default(),
                ..usual.ledger
            },
        });
        let registry = Arc::new(registry.unwrap());
        let webhooks = Webhooks::new(
            registry.ledger().clone(),
            config.delivery.clone(),
            registry.listened().clone(),
            super::envelope,
        );
        webhooks.begin();
        let dropped = DroppedLines::default();
        let received = Received::open(Arc::clone(&registry), config.received.clone()).unwrap();
        let state = AppState::new(
            Arc::clone(&registry),
            webhooks,
            None,
            received,
            &config,
            dropped,
        );
        state.keys().look();
        Self {
            router: router(state.clone()),
            tokens,
            data,
            registry,
            state,
        }
    }

    async fn call(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        // A stream does not end by itself: what it says is for the tests of it.
        let is_stream = parts.headers.get("content-type") == Some(&EVENTS);
        let most = if is_stream { Body::empty() } else { body };
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: to_bytes(most, usize::MAX).await.unwrap().into(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    async fn get_as(&self, path: &str, id: &str) -> Answer {
        self.call(
            Request::get(path)
                .header("X-Cliente-Id", id)
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.call(Request::post(path).body(body.into()).unwrap())
            .await
    }

    async fn patch(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.call(Request::patch(path).body(body.into()).unwrap())
            .await
    }

    async fn post_as(&self, path: &str, id: &str, body: &Value) -> Answer {
        self.call(
            Request::post(path)
                .header("X-Cliente-Id", id)
                .body(body.to_string().into())
                .unwrap(),
        )
        .await
    }

    async fn send(&self, body: &Value) -> Answer {
        self.post("/send", body.to_string()).await
    }

    fn folders(&self) -> usize {
        self.tokens.path().read_dir().unwrap().count()
    }
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(
            self.headers["content-type"],
            "application/json; charset=utf-8"
        );
        serde_json::from_slice(&self.body).unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// Checks what every error has in common and gives its status and code.
    #[track_caller]
    fn refusal(&self) -> (u16, String) {
        let body = self.json();
        assert_eq!(body["success"], false, "{body}");
        assert_eq!(body["error"], body["message"], "{body}");
        assert!(!body["message"].as_str().unwrap().is_empty(), "{body}");
        assert_eq!(self.headers["access-control-allow-origin"], "*");
        assert_eq!(self.headers["x-content-type-options"], "nosniff");
        (
            self.status.as_u16(),
            body["code"].as_str().unwrap().to_owned(),
        )
    }
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(
        answer.refusal(),
        (status, code.to_owned()),
        "{}",
        answer.text()
    );
}
