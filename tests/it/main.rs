//! One test binary: it drives the real binary, real Chromium and the sandbox.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is how a test fails"
)]

mod support;

mod browser;
mod contract;
mod lifecycle;
mod pm2;
mod sandbox;
mod sends;
