//! How the programs of this workspace start and stop: they read settings, take ports, and hear signals.
//!
//! Responsible for: the process environment and the file `.env`, with every fault gathered; the addresses that a server
//! listens on; the signals that end it. Not responsible for: which settings there are, and what is served.
//!
//! The service and the sandbox are the two programs. What both need for this is here, so that neither imports the
//! other for it.

mod dotenv;
mod host;
mod listen;
pub mod parse;
mod secret;
mod settings;
mod signals;

pub use dotenv::Dotenv;
pub use host::{ListenHost, reached_at};
pub use listen::{Refused, listen};
pub use secret::Secret;
pub use settings::{Found, Settings, SettingsError, variable};
pub use signals::Signals;
