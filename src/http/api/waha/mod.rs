//! The routes of WAHA, another WhatsApp API, for programs that were written for it.
//!
//! A thin layer: each handler translates the words of a request into those of this service, calls what the routes of this service
//! call, and writes the answer in WAHA's words. The keys, the limits, the ledger and the errors are the same. docs/waha.md lists what
//! is there, what differs and what is not.
//!
//! In reading order: [`naming`] finds the session that a request means, [`sessions`], [`config`] and [`auth`] are about sessions,
//! [`sending`], [`in_chat`], [`chats`] and [`contacts`] about messages, [`server`] about the service.

mod naming;

pub(in crate::http) mod auth;
pub(in crate::http) mod chats;
mod config;
pub(in crate::http) mod contacts;
pub(in crate::http) mod in_chat;
pub(in crate::http) mod sending;
pub(in crate::http) mod server;
pub(in crate::http) mod sessions;
