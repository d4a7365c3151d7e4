//! Sessions: one WhatsApp account each, named by its `cliente_id`.
//!
//! ```text
//!  http ──▶ Registry ──▶ SessionHandle ──commands──▶ actor ──▶ whatsapp::Driver
//!                              ▲                       │
//!                              └──────snapshots────────┘
//! ```
//!
//! Responsible for what a session *is* and when it changes. It knows neither HTTP nor the page nor Chrome.
//!
//! Invariants: only [`actor`] changes a state, through the one pure function in [`state`]; every reader works on a
//! [`Snapshot`] and never waits for a browser.

pub mod state;

mod accounts;
mod actor;
mod arrivals;
mod budget;
mod calls;
mod capacity;
mod changes;
mod code;
mod cpu;
mod desired;
mod doubt;
mod end;
mod error;
mod evidence;
mod handle;
mod healing;
mod id;
mod link;
mod memory;
mod message;
mod numbers;
mod outbox;
mod pace;
mod pairing;
mod phase;
mod publisher;
mod queue;
mod reading;
mod reason;
mod recipient;
mod recovery;
mod registry;
mod rest;
mod restore;
mod safekeeping;
mod sending;
mod serving;
mod snapshot;
mod stall;
mod start_times;
mod submit;
mod timers;
mod transfer;
mod turns;

pub use capacity::Full;
pub use changes::Changes;
pub use code::{PairingCode, QrCode};
pub use cpu::CpuTally;
pub use error::{ConnectError, DisconnectError, ForgetError, SendError};
pub use evidence::{Evidence, EvidenceError, EvidenceFolder};
pub use handle::{ConnectOutcome, DisconnectOutcome, SessionHandle, WaitFor};
pub use id::{ClienteId, InvalidClienteId};
pub use memory::MemoryReport;
pub use message::{
    IdempotencyKey, InvalidIdempotencyKey, LONGEST_TEXT, NumberCheck, SendRequest, Sent,
    TextMessage,
};
pub use phase::{Phase, PhaseReport, StartLimits};
pub use queue::SendLimits;
pub use reason::{Reason, ReasonCode};
pub use recipient::{InvalidRecipient, Recipient};
pub use registry::{Registry, RegistryOptions};
pub use snapshot::{AdapterReport, Snapshot};
pub use start_times::StartTimes;
pub use state::SessionState;
pub use transfer::{
    LinkedProfile, TransferError, adopt, forget_older_snapshots, import, is_to_be_up,
    others_linked_to,
};
pub use turns::TurnTally;
