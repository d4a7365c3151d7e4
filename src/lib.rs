//! A self-hosted WhatsApp session manager: one headless Chrome per account, behind a small HTTP API.
//!
//! ```text
//!  LeadMaster, curl, a browser, PM2
//!         │ HTTP
//!         ▼
//!   http ──▶ session (fleet, one actor per session, pure state machine)
//!                 │        │
//!                 │        └──▶ ledger (what became of every send, on disk)
//!                 ▼
//!         whatsapp (the page, through its adapters)
//!                 ▼
//!         browser (one Chrome process + one profile folder + CDP)
//!                 ▼
//!         web.whatsapp.com    or    the crate whatsapp-sandbox (a simulated WhatsApp Web with a simulated phone)
//! ```
//!
//! Architecture invariants:
//! - `http → session → whatsapp → browser`, never back; `session → ledger`. `session` uses `browser` directly as well, for
//!   profile folders, their copies and what a Chrome takes; it drives a page through `whatsapp` only. `http` shows the
//!   ledger's records and gets them from the registry of `session`: only `session` opens the ledger.
//! - `session`, `http` and `browser` are laid out as rooms, folders that use each other in one direction; the test `rooms` holds that.
//! - `command` is the CLI; `http` is the API. `command` starts `app`, asks a running service as any client does, or works on
//!   the files of a service that need not run. For those files it uses `browser` as well: a profile that moves between hosts
//!   or programs, and the room that a machine has, concern Chrome and not one session. `command::probe` opens a page through
//!   `whatsapp`, with no session behind it, and starts an `app` of its own to link one. Of `http` it imports the answers of
//!   `http::contract` and nothing else: what is written to the wire is declared once, and read by the same types.
//! - `delivery` gives the events of `ledger` to their consumers, and knows of `session` only names and whose messages are wanted; `http` asks it,
//!   and `app` gives it the function that writes an event as `http` shows it.
//! - `received` has the files of messages that come in: it asks a session of `session` for one that it does not have, and reads the log of `ledger`. `http` gives
//!   them out.
//! - `masked`, `files`, `kernel` and `picture` import no other module of this crate, `heard` and `extras` only `masked`, `stored` only `masked`
//!   and `heard`, `ledger` only `masked`, `heard`, `extras` and `stored`, `media` only `extras`, `files` and `masked`; `qr` draws with `picture`.
//!   `config` imports from `session` and `whatsapp` the names and limits that a setting is parsed into, and asks `keys` whether
//!   there is a key; `keys` imports a session's name. `session` reads its settings from one value, `config::SessionConfig`.
//! - `cluster` decides which host runs a session. It imports a session's name and nothing else of this crate, and does nothing by itself.
//! - The sandbox is a crate of its own, `crates/sandbox`, and imports nothing of this one. Two modules name it: `app` starts
//!   it, and `config` reads its settings.
//! - The crate `startup`, `crates/startup`, has what both programs need before they serve: it reads the environment and the
//!   file `.env`, takes the ports and catches the signals. It knows none of the settings.
//! - Only `config` names settings; `browser::processes::environment` hands on to Chrome what that needs of the environment. Only
//!   `browser::processes` starts programs.
//! - A library is named where its matter is: axum in `http` and in the sandbox, chromiumoxide in
//!   `browser` and `whatsapp`, png in `picture`, rusqlite in `ledger::store`, age, blake3, chacha20poly1305 and zstd in `browser::snapshot`, phonenumber
//!   in `session::recipient`, flate2 and brotli in `http::wire::body`, hyper's client, rustls and hmac in `delivery`; `object_store` in `received::store`; `prometheus_client` in `http::api::metrics`, and in
//!   `http::serve::counts`, `ledger::tally`, `session::start_times` and `delivery::times`, which count what only they see.
//! - Only `session::lifecycle` changes a state.
//! - One task owns a session's browser; everything else holds a handle. Reads never wait for a browser.
//! - Two seams and no third: the address of WhatsApp Web, and [`whatsapp::Driver`].
//!
//! Modules in reading order: [`app`], [`http`], [`session`], [`ledger`], [`delivery`], [`whatsapp`], [`browser`]; then [`cluster`], [`config`], [`command`],
//! [`keys`], [`media`], [`qr`], [`picture`], [`heard`], [`stored`], [`masked`], `files`, `kernel`, [`telemetry`].

pub mod app;
pub mod browser;
pub mod cluster;
pub mod command;
pub mod config;
pub mod delivery;
pub mod extras;
mod files;
pub mod heard;
pub mod http;
mod kernel;
pub mod keys;
pub mod ledger;
pub mod masked;
pub mod media;
pub mod picture;
pub mod qr;
pub mod received;
pub mod session;
pub mod stored;
pub mod telemetry;
pub mod whatsapp;

#[cfg(test)]
mod rooms;
