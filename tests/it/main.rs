//! One test binary: it drives the real binary, real Chromium and the sandbox.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is how a test fails, and what it prints is how one sees why"
)]

mod support;

mod adapters;
mod adopt;
mod after;
mod autumn;
mod bridge;
mod browser;
mod changes;
mod clients;
mod content;
mod contract;
mod crash;
mod docs;
mod doctor;
mod dom;
mod faults;
mod groups;
mod hearing;
mod hibernation;
mod keys;
mod ledger;
mod lifecycle;
mod logs;
mod matrix;
mod media;
mod metrics;
mod missing;
mod network;
mod numbers;
mod openapi;
mod orphans;
mod package;
mod page;
mod pairing;
mod passkey;
mod pm2;
mod probe;
mod reading;
mod received;
mod restarts;
mod sandbox;
mod schemathesis;
mod sends;
mod snapshots;
mod stale;
mod starts;
mod stops;
mod terminal;
mod transfer;
mod troubles;
mod waha;
mod webhooks;
