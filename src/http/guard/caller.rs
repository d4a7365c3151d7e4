//! Who makes a request, and which sessions that reaches.
//!
//! [`auth::guard`](super::auth::guard) lets no request through without one. Every session that a request names is reached through
//! [`Caller::authorize`]: [`Target`](crate::http::wire::target::Target) cannot be had otherwise.

use std::sync::{Arc, OnceLock};

use axum::{
    extract::FromRequestParts,
    http::{Extensions, request::Parts},
};
use jiff::Timestamp;

use crate::{
    http::wire::error::ApiError,
    keys::{Key, KeyName, Keyring, Scope},
    session::ClienteId,
};

/// How the audit names a caller without a key of its own.
const NO_KEY: &str = "-";
const MASTER: &str = "API_KEY";

/// Who makes a request.
#[derive(Clone, Debug)]
pub(in crate::http) struct Caller {
    rights: Rights,
    /// The session that the request turned out to be about. The audit, which is outside of the handler, reads it.
    session: Arc<OnceLock<ClienteId>>,
}

#[derive(Clone, Debug)]
enum Rights {
    /// Those of a caller of an open route.
    None,
    /// All, where no key is asked for.
    AllWithoutKey,
    /// Of `API_KEY`.
    All,
    Of(Arc<Key>),
}

impl Caller {
    fn with(rights: Rights) -> Self {
        Self {
            rights,
            session: Arc::default(),
        }
    }

    /// The caller of an open route. It reaches no session.
    pub(super) fn of_open_route() -> Self {
        Self::with(Rights::None)
    }

    /// The caller where no key is asked for.
    pub(super) fn without_key() -> Self {
        Self::with(Rights::AllWithoutKey)
    }

    /// The caller that has `API_KEY`.
    pub(super) fn master() -> Self {
        Self::with(Rights::All)
    }

    /// The caller that has this key.
    pub(super) fn holder_of(key: Arc<Key>) -> Self {
        Self::with(Rights::Of(key))
    }

    /// The caller of a request that has passed the guard.
    pub(in crate::http) fn of(extensions: &Extensions) -> Result<&Self, ApiError> {
        extensions.get().ok_or(ApiError::NoCaller)
    }

    /// As the audit names it.
    pub(super) fn name(&self) -> &str {
        match &self.rights {
            Rights::None | Rights::AllWithoutKey => NO_KEY,
            Rights::All => MASTER,
            Rights::Of(key) => key.name.as_str(),
        }
    }

    /// Whether it may do what needs `needed`.
    pub(in crate::http) fn may(&self, needed: Scope) -> bool {
        match &self.rights {
            Rights::None => false,
            Rights::AllWithoutKey | Rights::All => true,
            Rights::Of(key) => key.scope.includes(needed),
        }
    }

    /// Whether it reaches this session.
    pub(in crate::http) fn reaches(&self, id: &ClienteId) -> bool {
        match &self.rights {
            Rights::None => false,
            Rights::AllWithoutKey | Rights::All => true,
            Rights::Of(key) => key.reaches(id),
        }
    }

    /// Whether it would be let in now: keys are revoked, and begin to be asked for, while a stream is open.
    pub(in crate::http) fn is_still_let_in(&self, keys: &Keyring) -> bool {
        match &self.rights {
            Rights::None | Rights::All => true,
            Rights::AllWithoutKey => !keys.is_asked_for(),
            Rights::Of(key) => keys.still_has(key, Timestamp::now()),
        }
    }

    /// Its key, if it has one of its own.
    pub(in crate::http) fn key(&self) -> Option<&KeyName> {
        match &self.rights {
            Rights::None | Rights::AllWithoutKey | Rights::All => None,
            Rights::Of(key) => Some(&key.name),
        }
    }

    /// The sessions that it is limited to; `None`: all of them.
    pub(in crate::http) fn limited_to(&self) -> Option<Vec<&ClienteId>> {
        match &self.rights {
            Rights::None => Some(Vec::new()),
            Rights::AllWithoutKey | Rights::All => None,
            Rights::Of(key) => key.cliente_ids.as_ref().map(|ids| ids.iter().collect()),
        }
    }

    /// Whether it reaches every session.
    pub(in crate::http) fn reaches_all(&self) -> bool {
        self.limited_to().is_none()
    }

    /// Says that the request is about this session, which is refused to a caller that does not reach it.
    pub(in crate::http) fn authorize(&self, id: &ClienteId) -> Result<(), ApiError> {
        self.is_about(id);
        if self.reaches(id) {
            Ok(())
        } else {
            Err(ApiError::OtherSession)
        }
    }

    /// Says the same of a session that it need not reach, for the audit.
    pub(in crate::http) fn is_about(&self, id: &ClienteId) {
        self.session.get_or_init(|| id.clone());
    }

    /// The session that the request is about, once that is known.
    pub(super) fn session(&self) -> Option<&ClienteId> {
        self.session.get()
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        Self::of(&parts.extensions).cloned()
    }
}
