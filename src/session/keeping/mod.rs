//! What is kept of a session on disk apart from its profile, and what keeps the profile from being lost.
//!
//! Responsible for the desired state of a session, the copies of its profile, the evidence of a failure, a profile that moves
//! to or from another host, and which session has which account. Starts and ends nothing: `lifecycle` says when.

pub(super) mod accounts;
pub(super) mod desired;
pub(super) mod evidence_folder;
pub(super) mod profile;
pub(super) mod transfer;
