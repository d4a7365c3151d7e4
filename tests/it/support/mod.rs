//! What the tests share: programs of their own, and folders that tell when a process is left on them.

pub(crate) mod chrome;
pub(crate) mod site;
