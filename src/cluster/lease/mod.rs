//! The lease of a host, by which it owns all its sessions. PostgreSQL keeps one row for each host; the host's service *beats* it,
//! which counts it up by one.
//!
//! ```text
//!   0 s        5 s               55 s            70 s                    95 s
//!   │ good beat │ next beat       │ soft          │ hard                  │ silence
//!   │ was sent  │                 │               │                       │
//!   ├───────────┴─ Held ──────────┼─ Expiring ────┼─ Expired ─────────────┼─ another host may mark it dead
//!   │ hand over, claim, start     │ close Chromes │ gate shut, all killed │
//!   └ on the holder's CLOCK_BOOTTIME                                      └ on the observer's CLOCK_BOOTTIME,
//!     since the beat was *sent*                                             since it *received* the row's last change
//! ```
//!
//! (For `LEASE_SECONDS` 90; [`Timings`] scales them.) The two clocks need not agree on the time, only on how fast it goes, within
//! 15 % (`the_margin_bears_clocks_that_go_wrong`).
//!
//! One case is not covered by any deadline: a machine that is suspended with its clocks, as a virtual machine can be, believes after
//! it that no time has passed. What such a host lacks is a connection: WhatsApp has closed it when the new owner logged in. So a
//! *new* connection needs a word of the engine that was asked for after the connection stood ([`tunnel`]).

mod arrival;
mod boot_time;
mod engine;
mod holder;
mod observer;
mod timings;
pub mod tunnel;

pub use arrival::{Arrival, Former, MayRegister};
pub use boot_time::BootTime;
pub use engine::EngineWord;
pub use holder::{AfterBeat, Beat, BeatAnswer, Counted, Holder, NotNow, Permit, WhyOver};
pub use observer::{HostRow, Observer, Reading, Silent};
pub use timings::{DEFAULT_LEASE, Lease, LeaseState, Timings};

#[cfg(test)]
mod tests;
