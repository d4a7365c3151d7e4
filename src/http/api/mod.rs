//! The routes, one file for each resource.
//!
//! A handler reads its request through `guard` and `wire`, makes one call into `session`, and answers in the words of the
//! contract.

pub(super) mod after;
pub(super) mod bridge;
pub(super) mod chats;
pub(super) mod connect;
pub(super) mod event_log;
pub(super) mod events;
pub(super) mod evidence;
mod feed;
pub(super) mod groups;
pub(super) mod health;
pub(super) mod in_chat;
pub(super) mod link;
pub(super) mod link_store;
pub(super) mod media;
pub(super) mod messages;
pub(super) mod metrics;
pub(super) mod notice;
pub(super) mod numbers;
mod paging;
pub(super) mod passkey;
pub(super) mod qr;
mod reading;
pub(super) mod received;
mod repetition;
pub(super) mod send;
mod send_content;
pub(super) mod status;
pub(super) mod waha;
pub(super) mod webhooks;
