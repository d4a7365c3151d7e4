//! A self-hosted WhatsApp session manager: one headless Chrome per account, behind a small HTTP API.
//!
//! ```text
//!  LeadMaster, curl, a browser, PM2
//!         │ HTTP
//!         ▼
//!   http ──▶ session (registry, one actor per session, pure state machine)
//!                 │        │
//!                 │        └──▶ ledger (what became of every send, on disk)
//!                 ▼
//!         whatsapp (the page, through its adapters)
//!                 ▼
//!         browser (one Chrome process + one profile folder + CDP)
//!                 ▼
//!         web.whatsapp.com    or    sandbox (a simulated WhatsApp Web with a simulated phone)
//! ```
//!
//! Architecture invariants:
//! - `http → session → whatsapp → browser`, never back; `session → ledger`. `ledger` and `qr` import none of ours, `keys` and `config` only
//!   names, and `config` the look whether there is a key;
//!   `sandbox` is an island that nothing but `app` starts.
//! - Only `config` reads the environment. Only `http` and `sandbox` name axum. Only `browser` and `whatsapp` name
//!   chromiumoxide. Only `ledger::store` names rusqlite, only `browser::snapshot` age, only `ledger::tally`, `session::start_times` and `http::metrics` `prometheus_client`. Only `browser::process` starts programs. Only `session::actor` and `session::serving` change a state.
//! - One task owns a session's browser; everything else holds a handle. Reads never wait for a browser.
//! - Two seams and no third: the address of WhatsApp Web, and [`whatsapp::Driver`].
//!
//! Modules in reading order: [`app`], [`http`], [`session`], [`ledger`], [`whatsapp`], [`browser`]; then [`config`], [`command`],
//! [`keys`], [`qr`], [`telemetry`], [`sandbox`].

pub mod app;
pub mod browser;
pub mod command;
pub mod config;
pub mod http;
pub mod keys;
pub mod ledger;
pub mod qr;
pub mod sandbox;
pub mod session;
pub mod telemetry;
pub mod whatsapp;
