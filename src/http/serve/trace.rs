//! One log line a request: method, route, status, milliseconds and the error's code.
//!
//! Never a path, a query, a body, a number, a text or a message's id. A refusal is part of the day's work and is logged as
//! such; `warn` and `error` are for what somebody must act on.

use std::{sync::Arc, time::Instant};

use axum::{extract::Request, http::Method, middleware::Next, response::Response};
use tracing::{Instrument as _, Span, debug, error, info, info_span, warn};

use super::route::Route;
use crate::http::wire::error::{ApiError, Loudness};

/// What stands for the route of a request that took none. Anything may stand in its path, a number for instance.
const NO_ROUTE: &str = "(unknown path)";

/// Runs the request in a span of its own and logs how it went, also when the caller goes away before.
pub(in crate::http) async fn one_line(mut request: Request, next: Next) -> Response {
    let route = Route::of(&mut request);
    let mut line = Line::new(request.method().clone(), route);
    let span = line.span.clone();
    let response = next.run(request).instrument(span).await;
    line.answered(&response);
    response
}

/// The line to be. Dropped without an answer it says that the caller went away.
struct Line {
    method: Method,
    route: Route,
    span: Span,
    since: Instant,
    answered: bool,
}

impl Line {
    fn new(method: Method, route: Route) -> Self {
        let span = info_span!("request", http.method = %method);
        Self {
            method,
            route,
            span,
            since: Instant::now(),
            answered: false,
        }
    }

    fn route(&self) -> &str {
        self.route.name().unwrap_or(NO_ROUTE)
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn answered(&mut self, response: &Response) {
        self.answered = true;
        let _in_span = self.span.enter();
        let (method, route, ms, status) = (
            &self.method,
            self.route(),
            self.milliseconds(),
            response.status().as_u16(),
        );
        let why = response.extensions().get::<Arc<ApiError>>();
        let code = why.map(|why| why.code());
        let named = code.map_or_else(String::new, |code| format!(" {code}"));
        // A level is a part of the place in the code, so each needs a place of its own.
        macro_rules! line {
            ($level:ident, $more:expr) => {
                $level!(
                    http.status = status,
                    http.ms = ms,
                    error.code = code,
                    "{method} {route} {status}{named} in {ms} ms{}",
                    $more
                )
            };
        }
        match why.map(|why| (why, why.loudness())) {
            // Pages poll every few seconds: a read that went well is no news.
            None if method.is_safe() => line!(debug, ""),
            None | Some((_, Loudness::Usual)) => line!(info, ""),
            Some((_, Loudness::Attention)) => line!(warn, ""),
            // The caller was told nothing of it, so its text stands here and nowhere else.
            Some((why, Loudness::Bug)) => line!(error, format_args!(": {why}")),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.answered {
            let _in_span = self.span.enter();
            let (method, route, ms) = (&self.method, self.route(), self.milliseconds());
            info!(
                http.ms = ms,
                "{method} {route}: the caller went away after {ms} ms"
            );
        }
    }
}
