//! What every test stands on: the real binary as a process of its own, over a folder of its own.
//!
//! Tests wait for a state and never for time. What a test leaves running is found by [`Home`] and fails it.

pub(crate) mod chrome;
pub(crate) mod crash;
pub(crate) mod devtools;
pub(crate) mod disk;
pub(crate) mod faults;
pub(crate) mod page;
pub(crate) mod sandbox;
pub(crate) mod secrets;
pub(crate) mod site;
pub(crate) mod terminal;

mod api;
mod home;
mod output;
mod service;

pub(crate) use api::{Answer, Api, answer, try_answer};
pub(crate) use home::Home;
pub(crate) use service::{PROGRAM, Service};

/// What the events of webhooks are signed with, where no test is about that.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
