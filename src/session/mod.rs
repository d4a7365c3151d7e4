//! Sessions: one WhatsApp account each, named by its `cliente_id`.
//!
//! ```text
//!  http ──▶ fleet::Registry ──▶ SessionHandle ──commands──▶ lifecycle::Actor ──▶ whatsapp::Driver
//!                                    ▲                             │
//!                                    └──────────snapshots──────────┘
//! ```
//!
//! Responsible for what a session *is* and when it changes. The rooms, in reading order:
//!
//! | room | what it does |
//! |---|---|
//! | [`fleet`] | all sessions: starts one actor for each, measures their Chromes, reports their changes |
//! | [`lifecycle`] | one session: the actor that opens, serves, heals and closes its page |
//! | [`listening`] | what a session hears: from its page into the log of events |
//! | [`reading`] | what callers read out of its page: chats, stored messages, groups, numbers |
//! | [`sending`] | the sends of a session: queue, pace, hand-over, recovery |
//! | [`keeping`] | what is kept of a session on disk: its desired state, copies of its profile, evidence |
//! | [`linking`] | how a phone links a session, and which account a profile belongs to |
//! | the files here | the vocabulary that all rooms share, the pure state machine, and the handle that callers hold |
//!
//! A room uses only rooms that stand below it in this table. The test `rooms` at the top of the crate holds that.
//!
//! This module drives a page through [`Driver`](crate::whatsapp::Driver) only, and it never speaks CDP. It uses
//! [`browser`](crate::browser) for profile folders, their copies and what a Chrome takes. It does not import `http`, but
//! its sentences for people name the HTTP routes and the settings that help.
//!
//! Invariants: only [`lifecycle`] makes a [`Publisher`](publisher::Publisher), so only a session's own actor changes its
//! state, and each change goes through the one pure function in [`state`]; every reader works on a [`Snapshot`] and never
//! waits for a browser.

mod fleet;

mod lifecycle;
mod listening;
mod reading;

mod keeping;
mod linking;
mod sending;

mod handle;

mod addressee;
mod codes;
mod command;
mod error;
mod evidence;
mod id;
mod listened;
mod message;
mod passkey;
mod phase;
mod publisher;
pub mod reason;
mod recipient;
mod run_end;
mod snapshot;
mod start_times;
pub mod state;
mod status_news;

pub use addressee::Addressee;
pub use codes::{PairingCode, QrCode};
pub use command::{ConnectOutcome, DisconnectOutcome, PhoneToLink, WaitFor};
pub use error::{
    ConnectError, DisconnectError, DismissError, FileError, ForgetError, Full, PasskeyError,
    ReadingError, SendError,
};
pub use evidence::{Evidence, EvidenceError};
pub use fleet::{Registry, changes::Changes, cpu::CpuTally, options::RegistryOptions};
pub use handle::SessionHandle;
pub use id::{ClienteId, InvalidClienteId};
pub use keeping::{
    accounts::session_with_number,
    desired::session_run_before,
    evidence_folder::EvidenceFolder,
    transfer::{
        LinkedProfile, TransferError, adopt, forget_older_snapshots, import, is_to_be_up,
        others_linked_to,
    },
};
pub use listened::{Listened, Wanted};
pub use message::{
    IdempotencyKey, InvalidIdempotencyKey, LONGEST_TEXT, NumberCheck, OutgoingMessage, SendLimits,
    SendRequest, Sent, StaleSends,
};
pub use passkey::{Assertion, InvalidAssertion, PasskeyAsk, PasskeyReport, PasskeyStep};
pub use phase::{Phase, PhaseReport, StartLimits};
pub use reason::{Reason, ReasonCode};
pub use recipient::{InvalidRecipient, Recipient};
pub use sending::turns::TurnTally;
pub use snapshot::{
    AdapterReport, HearingReport, HearingState, MemoryReport, Snapshot, StaleReport,
};
pub use start_times::StartTimes;
pub use state::SessionState;
pub use status_news::StatusNews;
