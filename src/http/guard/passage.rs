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
pub(in crate::http) struct Passed {
    /// As the router has it, never the path: that may hold a secret, a number, or what a stranger has made up.
    pub(in crate::http) route: String,
    pub(in crate::http) client: Client,
    pub(in crate::http) caller: Caller,
}

/// Where the guard leaves it. Nothing is known of a request that has not reached one: it has an unknown path, a wrong method or
/// a strange origin, or it is a preflight.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Passage(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    passed: OnceLock<Passed>,
    is_audited: AtomicBool,
}

impl Passage {
    /// Of this request.
    pub(in crate::http) fn of(extensions: &mut Extensions) -> Self {
        extensions.get_or_insert_default::<Self>().clone()
    }

    pub(super) fn has(&self, passed: Passed) {
        self.0.passed.get_or_init(|| passed);
    }

    /// What is known, if the request has reached a guard.
    pub(in crate::http) fn passed(&self) -> Option<&Passed> {
        self.0.passed.get()
    }

    /// Says that the request changes something, so that the audit has a line of it.
    pub(in crate::http) fn audit(&self) {
        self.0.is_audited.store(true, Ordering::Relaxed);
    }

    pub(in crate::http) fn is_audited(&self) -> bool {
        self.0.is_audited.load(Ordering::Relaxed)
    }
}

impl<S: Sync> FromRequestParts<S> for Passage {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&mut parts.extensions))
    }
}
