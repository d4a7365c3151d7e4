//! While the service stops: what changes something is refused, what only reads is answered until the last Chrome is closed.
//!
//! A caller that finds the port closed cannot know whether a request that was under way has been taken. So the port stays open
//! as long as that matters, and the answer says that nothing was done.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::http::{state::AppState, wire::error::ApiError};

/// Lets a request through that may still be served.
pub(in crate::http) async fn refuse_new_work(
    State(app): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    if app.registry.is_stopping() && !request.method().is_safe() {
        return ApiError::ShuttingDown.into_response();
    }
    next.run(request).await
}
