//! What Chromes take of the machine, and what the system refuses them.

pub(super) mod cpu;
pub(super) mod limits;
pub(super) mod memory;
