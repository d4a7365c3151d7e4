//! Requests, counted by the route that they took: never by their path, which a caller can make up.

use std::time::Duration;

use axum::http::Method;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry as Scrape, Unit},
};

/// Seconds. A read takes a millisecond or less, a connect waits 8 s for a code, a send 45 s for WhatsApp's server.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 45.0, 120.0];

/// The route of a request that took none: an unknown path, a preflight.
const NO_ROUTE: &str = "none";

/// What others call the status of a request whose caller went away before its answer.
const CALLER_GONE: u16 = 499;

/// What has been counted since the service started.
#[derive(Clone, Debug)]
pub(in crate::http) struct RequestCounts {
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

impl Default for RequestCounts {
    fn default() -> Self {
        Self {
            answered: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
        }
    }
}

impl RequestCounts {
    /// Adds them to what is shown.
    pub(in crate::http) fn register(&self, own: &mut Scrape) {
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

    /// Counts a request. Without a status its caller went away before its answer.
    pub(super) fn count(
        &self,
        method: &Method,
        route: Option<&str>,
        status: Option<u16>,
        took: Duration,
    ) {
        let (route, method) = (route.unwrap_or(NO_ROUTE).to_owned(), known(method));
        let answered = Answered {
            route: route.clone(),
            method,
            status: status.unwrap_or(CALLER_GONE),
        };
        self.answered.get_or_create(&answered).inc();
        let durations = self.durations.get_or_create(&Asked { route, method });
        durations.observe(took.as_secs_f64());
    }
}

/// A method that a route has. Any other is a word that its caller has made up.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let known = KNOWN.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("other")
}
