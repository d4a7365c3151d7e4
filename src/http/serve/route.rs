//! Which route a request takes, for who stands around the router: the log and the metrics.
//!
//! They name it and never its path: that may hold a secret, a number, or whatever a stranger has made up.

use std::sync::{Arc, OnceLock};

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};

/// Where the router leaves word of the route.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Route(Arc<OnceLock<String>>);

impl Route {
    /// Of this request, as soon as the router has found it.
    pub(in crate::http) fn of(request: &mut Request) -> Self {
        let route = request.extensions_mut().get_or_insert_default::<Self>();
        route.clone()
    }

    /// As the router has it. A request that took none has an unknown path, or is a preflight.
    pub(in crate::http) fn name(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// Leaves word of the route.
pub(in crate::http) async fn name(mut request: Request, next: Next) -> Response {
    let route = Route::of(&mut request);
    if let Some(path) = request.extensions().get::<MatchedPath>() {
        route.0.get_or_init(|| path.as_str().to_owned());
    }
    next.run(request).await
}
