//! Requests, counted by the route that they took: never by their path, which anybody can make up.

use std::time::Instant;

use axum::{
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::Response,
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry as Scrape, Unit},
};

use crate::http::{serve::route::Route, state::AppState};

/// Seconds. A read takes a millisecond or less, a connect waits 8 s for a code, a send 45 s for WhatsApp's server.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 45.0, 120.0];

/// The route of a request that took none: an unknown path, a preflight.
const NO_ROUTE: &str = "none";

/// What others call the status of a request whose caller went away before its answer.
const CALLER_GONE: u16 = 499;

/// What has been counted since the service started.
#[derive(Clone, Debug)]
pub(in crate::http) struct Requests {
    answered: Family<Answered, Counter>,
    durations: Family<Asked, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    route: String,
    method: &'static str,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            answered: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
        }
    }
}

impl Requests {
    /// Adds them to what is told.
    pub(super) fn register(&self, own: &mut Scrape) {
        own.register(
            "http_requests",
            "Requests answered; status 499: the caller went away before",
            self.answered.clone(),
        );
        own.register_with_unit(
            "http_request_duration",
            "How long they took to answer",
            Unit::Seconds,
            self.durations.clone(),
        );
    }
}

/// Counts a request, also when the caller goes away before its answer.
pub(in crate::http) async fn count(
    State(app): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut entry = Entry {
        requests: app.requests().clone(),
        route: Route::of(&mut request),
        method: known(request.method()),
        since: Instant::now(),
        status: CALLER_GONE,
    };
    let response = next.run(request).await;
    entry.status = response.status().as_u16();
    response
}

/// A method of ours; any other is whatever its caller has made up.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 5] = ["GET", "HEAD", "POST", "DELETE", "OPTIONS"];
    let known = KNOWN.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("other")
}

/// Counted when it is dropped.
struct Entry {
    requests: Requests,
    route: Route,
    method: &'static str,
    since: Instant,
    status: u16,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let route = self.route.name().unwrap_or(NO_ROUTE).to_owned();
        let asked = Asked {
            route: route.clone(),
            method: self.method,
        };
        let answered = Answered {
            route,
            method: self.method,
            status: self.status,
        };
        self.requests.answered.get_or_create(&answered).inc();
        let durations = self.requests.durations.get_or_create(&asked);
        durations.observe(self.since.elapsed().as_secs_f64());
    }
}
