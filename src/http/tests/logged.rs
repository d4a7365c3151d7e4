//! What a request leaves in the log, however its path is written.

use std::{
    io::{self, Write},
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    http::{Method, Request},
    middleware::from_fn_with_state,
    routing::post,
};
use parking_lot::Mutex;
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::subscriber::DefaultGuard;

use super::{
    Api,
    links::{make, url},
};
use crate::http::{
    guard::{
        access::{Access, Row, Table},
        auth,
    },
    serve::trace,
    wire::error,
};

/// All that is logged by this thread.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.0.lock();
        written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub(super) fn begin() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

#[tokio::test]
async fn neither_a_links_token_nor_a_number_gets_into_the_log_by_whatever_path() {
    let api = Api::new(&[("PUBLIC_URL", "http://x")]);
    let link = url(&make(&api, &[]).await).replace("http://x", "");
    let token = link.rsplit('/').next().unwrap();
    let (log, _logging) = Log::begin();
    let number = "5491158254201";
    let message = format!("messages/true_{number}@c.us_3EB0A");
    for path in [&format!("link/{token}"), &message, number] {
        for before in ["/", "//", "///", "/./", "/%2F", "/x/../"] {
            for after in ["", "/", "//", "/events", "?x=5491158254201"] {
                for method in ["GET", "DELETE", "OPTIONS"] {
                    let request = Request::builder()
                        .method(method)
                        .uri(format!("{before}{path}{after}"));
                    api.call(request.body(Body::empty()).unwrap()).await;
                }
            }
        }
    }
    let text = log.text();
    for secret in [token, number] {
        assert!(!text.contains(secret), "{text}");
    }
    for shown in [
        "GET /link/{token} 200",
        "DELETE /messages/{id} 404 MESSAGE_NOT_FOUND",
        "GET (unknown path) 404 NOT_FOUND",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
}

/// A service with one route, `POST /new`, that does this.
fn with_route(api: &Api, handler: axum::routing::MethodRouter<crate::http::AppState>) -> Router {
    let table = Table(vec![Row {
        method: Method::POST,
        path: "/new".to_owned(),
        access: Access::Open,
        refusals: Vec::new(),
    }]);
    let state = api.state.clone();
    Router::new()
        .route("/new", handler)
        .route_layer(from_fn_with_state(
            (state.clone(), Arc::new(table)),
            auth::guard,
        ))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn_with_state(state.clone(), trace::follow))
        .with_state(state)
}

#[tokio::test]
async fn a_request_without_an_answer_has_its_lines_and_is_counted_all_the_same() {
    let api = Api::new(&[]);
    let (log, _logging) = Log::begin();
    let request = || Request::post("/new").body(Body::empty()).unwrap();
    #[expect(
        unreachable_code,
        reason = "the handler's type needs an answer that it never gives"
    )]
    let breaks = post(async || {
        panic!("broken");
        ""
    });
    with_route(&api, breaks).oneshot(request()).await.unwrap();
    let hangs = post(async || std::future::pending::<&str>().await);
    let answer = with_route(&api, hangs).oneshot(request());
    // It has begun, and is dropped.
    assert!(futures_util::poll!(Box::pin(answer)).is_pending());
    let text = log.text();
    for line in [
        "POST /new of session - with key - from -: no answer",
        "POST /new 500 INTERNAL in",
        "POST /new: the caller went away after",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_eq!(text.matches(": no answer").count(), 2, "{text}");
    let scrape = api.get("/metrics").await.text();
    for status in [500, 499] {
        let series = format!(r#"{{route="/new",method="POST",status="{status}"}} 1"#);
        assert!(scrape.contains(&series), "{scrape}");
    }
}
