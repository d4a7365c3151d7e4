//! Several machines that serve the same sessions: which host runs a session, and when another one may take it.
//!
//! Responsible for: the names of hosts, incarnations and claims; the lease of a host ([`lease`]); which session a host takes when
//! its owner is gone ([`takeover`]); which host a session is given to ([`placement`]). Not responsible for: Chromes, profiles,
//! sends, and the bytes that go through a gate. Those ask this room what they may do.
//!
//! ```text
//!            beat, claim, mark dead, release            ┌────────────────────────┐
//!   host ──────────────────────────────────────────────▶│ PostgreSQL: the engine │
//!    │                                                  └────────────────────────┘
//!    ▼
//!   lease::Holder      what this host's own beats allow it: hand over, close in order, nothing
//!   lease::Observer    which other hosts have been silent for too long
//!   lease::Arrival     whether a service that starts may register now
//!   lease::tunnel      whether a Chrome may open a new connection
//!   takeover           how long a session without an owner is left to those who have its newest profile
//!   placement          the host with the most room
//! ```
//!
//! Invariants:
//! - What is here decides, and does nothing: no clock, no input or output, no randomness, no task. A caller gives the moments, the
//!   answers and the random numbers. So the simulation of the tests drives the same code as the service does.
//! - No moment of one machine is ever compared with a moment of another one, nor with the engine's clock.
//! - An incarnation ends once: when its lease has expired or its row is gone, it is never renewed. The service kills every Chrome and
//!   registers a new incarnation.

pub mod lease;
mod names;
pub mod placement;
pub mod takeover;

pub use names::{BootId, Claim, HostId, Incarnation, InvalidBootId, InvalidHostId, Timeline};
