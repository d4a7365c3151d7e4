//! What the router and the guard find out about a request: its route and its caller.
//!
//! [`serve::trace`](crate::http::serve::trace) stands around both, and reads it when the request is done.

use std::{
    convert::Infallible,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    extract::FromRequestParts,
    http::{Extensions, request::Parts},
};

use super::{caller::Caller, client::Client};

/// A request that has reached the guard of its route.
#[derive(Debug)]
pub(in crate::http) struct GuardedRequest {
    /// As the router has it, never the path: that may hold a secret, a number, or what a stranger has made up.
    pub(in crate::http) route: String,
    pub(in crate::http) client: Client,
    pub(in crate::http) caller: Caller,
}

/// Where the guard records it. Nothing is known of a request that has not reached one: it has an unknown path, a wrong method or
/// a strange origin, or it is a preflight.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct RequestFacts(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    guarded: OnceLock<GuardedRequest>,
    is_audited: AtomicBool,
}

impl RequestFacts {
    /// Of this request.
    pub(in crate::http) fn of(extensions: &mut Extensions) -> Self {
        extensions.get_or_insert_default::<Self>().clone()
    }

    pub(super) fn record(&self, guarded: GuardedRequest) {
        self.0.guarded.get_or_init(|| guarded);
    }

    /// What is known, if the request has reached a guard.
    pub(in crate::http) fn guarded(&self) -> Option<&GuardedRequest> {
        self.0.guarded.get()
    }

    /// Says that the request changes something, so that the audit has a line of it.
    pub(in crate::http) fn audit(&self) {
        self.0.is_audited.store(true, Ordering::Relaxed);
    }

    pub(in crate::http) fn is_audited(&self) -> bool {
        self.0.is_audited.load(Ordering::Relaxed)
    }
}

impl<S: Sync> FromRequestParts<S> for RequestFacts {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&mut parts.extensions))
    }
}
