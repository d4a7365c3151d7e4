//! The words of `/messages` and of a dry run.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Moment, NamedClienteId};
use crate::{
    extras::ActionKind,
    ledger::{Failure, Record},
    session::NumberCheck,
};

/// The state of one message, without its text.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
pub(in crate::http) struct Message {
    /// WhatsApp's id; only its last part while the rest is not known.
    message_id: String,
    /// That last part, by which it can be asked for from the beginning.
    key: String,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    session: String,
    to: String,
    /// What it does to another message, where it is no message itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<ActionKind>,
    /// To which: its full id, or the last part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    state: &'static str,
    ack: i32,
    /// Why it failed: stable, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Which adapter handed it over.
    #[serde(skip_serializing_if = "Option::is_none")]
    adapter: Option<String>,
    queued_at: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    handed_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_at: Option<Moment>,
    /// When it failed, was cancelled, or was given up as unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Moment>,
}

impl Message {
    pub(in crate::http) fn of(record: &Record) -> Self {
        let record = record.clone();
        let action = record.extras.action.as_ref();
        Self {
            action: action.map(|action| action.kind),
            target: action
                .map(|action| String::from(action.id.as_ref().unwrap_or(&action.key).clone())),
            message_id: record.message_id().to_owned(),
            key: record.key,
            cliente_id: serde_json::from_str(&record.cliente_id).unwrap_or(Value::Null),
            session: record.session,
            to: record.to.into(),
            state: record.state.as_str(),
            ack: record.ack,
            code: record.failure.map(Failure::as_str),
            detail: record.detail,
            adapter: record.adapter,
            queued_at: Moment(record.queued_at),
            handed_at: record.handed_at.map(Moment),
            sent_at: record.sent_at.map(Moment),
            delivered_at: record.delivered_at.map(Moment),
            read_at: record.read_at.map(Moment),
            ended_at: record.ended_at.map(Moment),
        }
    }
}

/// `GET /messages`.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
pub(in crate::http) struct Messages {
    success: bool,
    messages: Vec<Message>,
    count: usize,
    /// What `after` is to be for the ones behind these; absent when these are the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}

impl Messages {
    /// The first `limit` of these.
    pub(in crate::http) fn of(records: &[Record], limit: usize) -> Self {
        let page = &records[..records.len().min(limit)];
        let has_more = page.len() < records.len();
        Self {
            success: true,
            next: page.last().filter(|_| has_more).map(|record| record.seq),
            count: page.len(),
            messages: page.iter().map(Message::of).collect(),
        }
    }
}

/// `POST /send?dry_run=true`: what would happen.
#[derive(Debug, Serialize, ToSchema)]
#[expect(
    clippy::struct_field_names,
    clippy::struct_excessive_bools,
    reason = "the names of the contract"
)]
pub(in crate::http) struct DryRun {
    success: bool,
    dry_run: bool,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    /// The number as it is understood.
    to: String,
    on_whatsapp: bool,
    /// Its chat at WhatsApp.
    chat_id: Option<String>,
    /// When a message that is sent now would go out, as far as the queue and the pace are known.
    would_send_at: Moment,
    /// The profile is a copy older than what was sent to this number: before a message a new session with it has to be begun, and
    /// where the page cannot, the message is refused with `PROFILE_STALE`. `restored` of `/status` says whether it could.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    profile_stale: bool,
}

impl DryRun {
    pub(in crate::http) fn of(cliente_id: Value, to: String, check: NumberCheck) -> Self {
        let NumberCheck {
            chat,
            due_in,
            is_stale,
        } = check;
        Self {
            success: true,
            dry_run: true,
            cliente_id,
            to,
            on_whatsapp: chat.is_some(),
            chat_id: chat.map(Into::into),
            would_send_at: Moment(after(Timestamp::now(), due_in)),
            profile_stale: is_stale,
        }
    }
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}
