//! What is left of a request when it is done: one log line, one line in the audit if it changes something, and its counts.
//!
//! The log line has the method, the route, the status, the milliseconds and the error's code. Never a path, a query, a body, a
//! number, a text or a message's id. A refusal is part of the day's work and is logged as such; `warn` and `error` are for what
//! a person must act on.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::Response,
};
use tracing::{Instrument as _, Span, debug, error, info, info_span, warn};

use super::counts::RequestCounts;
use crate::http::{
    guard::{audit, request_facts::RequestFacts},
    state::AppState,
    wire::error::{ApiError, LogLevel},
};

/// What stands for the route of a request that took none. Anything may stand in its path, a number for instance.
const NO_ROUTE: &str = "(unknown path)";

/// Runs the request in a span of its own, and writes and counts how it went, also when the caller goes away before.
pub(in crate::http) async fn follow(
    State(app): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut log = RequestLog {
        method: request.method().clone(),
        facts: RequestFacts::of(request.extensions_mut()),
        span: info_span!("request", http.method = %request.method()),
        since: Instant::now(),
        requests: app.requests.clone(),
        answer: None,
    };
    let span = log.span.clone();
    let response = next.run(request).instrument(span).await;
    log.answer = Some(Reply {
        status: response.status().as_u16(),
        why: response.extensions().get().cloned(),
    });
    response
}

/// What a request under way leaves in the log, the audit and the counts when it is dropped. Without an answer, its caller went
/// away.
struct RequestLog {
    method: Method,
    facts: RequestFacts,
    span: Span,
    since: Instant,
    requests: RequestCounts,
    answer: Option<Reply>,
}

struct Reply {
    status: u16,
    why: Option<Arc<ApiError>>,
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        let _in_span = self.span.enter();
        let (method, guarded, took) = (&self.method, self.facts.guarded(), self.since.elapsed());
        if let Some(guarded) = guarded.filter(|_| self.facts.is_audited()) {
            audit::write(
                method,
                guarded,
                self.answer.as_ref().and_then(Reply::audited),
            );
        }
        let (route, status) = (
            guarded.map(|guarded| &*guarded.route),
            self.answer.as_ref().map(|answer| answer.status),
        );
        self.requests.count(method, route, status, took);
        let (route, ms) = (
            route.unwrap_or(NO_ROUTE),
            u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        );
        if let Some(answer) = &self.answer {
            answer.log(method, route, ms);
        } else {
            info!(
                http.ms = ms,
                "{method} {route}: the caller went away after {ms} ms"
            );
        }
    }
}

impl Reply {
    /// For the audit. A handler that broke may have done its work all the same, so its answer says nothing.
    fn audited(&self) -> Option<(u16, Option<&str>)> {
        let why = self.why.as_deref();
        let has_broken = matches!(why, Some(ApiError::Panic(_)));
        (!has_broken).then(|| (self.status, why.map(|why| why.facts().code)))
    }

    fn log(&self, method: &Method, route: &str, ms: u64) {
        let status = self.status;
        let code = self.why.as_ref().map(|why| why.facts().code);
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
        match self.why.as_ref().map(|why| (why, why.facts().level)) {
            // Pages poll every few seconds: a read that went well is no news.
            None if method.is_safe() => line!(debug, ""),
            None | Some((_, LogLevel::Usual)) => line!(info, ""),
            // Where the caller does not learn it, its text stands here and nowhere else.
            Some((why, LogLevel::Attention)) if why.is_for_the_log() => {
                line!(warn, format_args!(": {why}"));
            }
            Some((_, LogLevel::Attention)) => line!(warn, ""),
            Some((why, LogLevel::Bug)) => line!(error, format_args!(": {why}")),
        }
    }
}
