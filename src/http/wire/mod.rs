//! What goes over the wire: bodies in, answers and errors out.
//!
//! Decides nothing about who may ask. `contract` has the words of the answers, `error` the one mapping from a cause to its
//! status.

pub(super) mod body;
pub(crate) mod contract;
pub(super) mod error;
pub(super) mod extract;
pub(super) mod parameters;
pub(super) mod requests;
mod shape;
pub(super) mod spelling;
pub(super) mod target;
pub(super) mod waha;
