//! What stands around the routes: connections, streams, the log line of a request, and the stop of the service.
//!
//! Knows no resource and no word of the contract but errors.

pub(super) mod connections;
pub(super) mod counts;
pub(super) mod server;
pub(super) mod stopping;
pub(super) mod streams;
pub(super) mod trace;
