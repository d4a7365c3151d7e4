//! What a request leaves in the log, however its path is written.

use std::{
    io::{self, Write},
    sync::Arc,
};

use axum::{body::Body, http::Request};
use parking_lot::Mutex;
use tracing::subscriber::DefaultGuard;

use super::{
    Api,
    links::{make, url},
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
