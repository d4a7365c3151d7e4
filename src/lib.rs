//! A self-hosted WhatsApp session manager: one headless Chrome per account, behind a small HTTP API.

pub mod browser;
pub mod config;
pub mod http;
pub mod qr;
pub mod sandbox;
pub mod session;
pub mod telemetry;
pub mod whatsapp;
