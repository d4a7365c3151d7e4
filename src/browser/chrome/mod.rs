//! One running Chrome: how it is found, started, driven and tried.

pub(super) mod browser;
mod connection;
pub(super) mod flags;
pub(super) mod program;
mod relay;
pub(super) mod trial;
mod user_agent;
mod workers;
