//! Who asks, from where, and whether that is enough.
//!
//! Responsible for keys, for the web pages that may call, for the audit, and for the session that a request reaches.

pub(super) mod access;
pub(super) mod attempts;
pub(super) mod audit;
pub(super) mod auth;
pub(super) mod caller;
pub(super) mod client;
pub(super) mod cors;
pub(super) mod public_url;
pub(super) mod purpose;
pub(super) mod reach;
pub(super) mod request_facts;
