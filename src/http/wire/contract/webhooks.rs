//! The words of `/webhooks`. No secret is among them, but for the one that the service has made, in the answer to who has it made.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Moment, NamedClienteId, events::named};
use crate::{
    delivery::{Compat, ShownWebhook, Tested},
    ledger::{ConsumerTally, OpenDelivery},
    masked::Credential,
};

/// One webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
struct OneWebhook {
    #[schema(example = "wh_4f1c0b7f7b0d4c63a1b8f0d6f3f5c9aa")]
    id: String,
    /// Where events are posted to.
    #[schema(example = "https://example.com/hook")]
    url: String,
    /// The types of events that it wants; null: all.
    types: Option<Vec<String>>,
    /// The sessions whose events it wants; null: all.
    #[schema(value_type = Option<Vec<NamedClienteId>>)]
    cliente_ids: Option<Vec<Value>>,
    /// The names of its own headers. Their values are not shown again.
    headers: Vec<String>,
    /// Whose envelope and headers it sends; null: those of Standard Webhooks.
    compat: Option<&'static str>,
    enabled: bool,
    /// Why it is switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    off_because: Option<String>,
    /// It is set by `WEBHOOK_URL`, and changed there.
    of_settings: bool,
    /// Until when a secret that was replaced signs as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_secret_until: Option<Moment>,
    created_at: Moment,
    deliveries: Deliveries,
}

/// What became of the events that a webhook or a bridge wants.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookTally)]
pub(super) struct Deliveries {
    /// How many wait: for their turn, or for another attempt.
    waiting: u64,
    /// When the oldest of them was written down.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_waiting_at: Option<Moment>,
    /// How many were given up, and can be redriven.
    dead: u64,
    /// How many were delivered so far.
    delivered: u64,
    /// How many attempts have failed so far.
    failed: u64,
    /// How many were forgotten before they were delivered: after 7 days, or `EVENT_RETENTION_HOURS` if that is longer.
    missed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_at: Option<Moment>,
    /// Why the last attempt failed that did.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

impl OneWebhook {
    fn of(shown: &ShownWebhook) -> Self {
        let webhook = &shown.webhook;
        let ids = webhook.cliente_ids.as_ref();
        Self {
            id: shown.id.clone(),
            url: webhook.url.clone(),
            types: Some(webhook.types.clone()).filter(|types| !types.is_empty()),
            cliente_ids: ids.map(|ids| ids.iter().map(|id| named(id)).collect()),
            headers: webhook.header_names().map(str::to_owned).collect(),
            compat: webhook.compat.map(Compat::as_str),
            enabled: shown.off_because.is_none(),
            off_because: shown.off_because.clone(),
            of_settings: shown.is_of_settings,
            old_secret_until: webhook.old_secret_until(jiff::Timestamp::now()).map(Moment),
            created_at: Moment(shown.created_at),
            deliveries: Deliveries::of(&shown.tally),
        }
    }
}

impl Deliveries {
    pub(super) fn of(tally: &ConsumerTally) -> Self {
        let (failed_at, failure) = tally.failure.clone().unzip();
        Self {
            waiting: tally.waiting,
            oldest_waiting_at: tally.oldest.map(Moment),
            dead: tally.dead,
            delivered: tally.delivered,
            failed: tally.failed,
            missed: tally.missed,
            delivered_at: tally.delivered_at.map(Moment),
            failed_at: failed_at.map(Moment),
            failure,
        }
    }
}

/// One webhook, and its secret if the service has just made it. It has no `Debug`.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookAnswer)]
pub(in crate::http) struct WebhookAnswer {
    success: bool,
    webhook: OneWebhook,
    /// What events are signed with, if the service has made it: it is shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")]
    secret: Option<String>,
}

impl WebhookAnswer {
    pub(in crate::http) fn of(shown: &ShownWebhook, made: Option<Credential>) -> Self {
        Self {
            success: true,
            webhook: OneWebhook::of(shown),
            secret: made.map(String::from),
        }
    }
}

/// `GET /webhooks`.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
pub(in crate::http) struct Webhooks {
    success: bool,
    webhooks: Vec<OneWebhook>,
    count: usize,
}

impl Webhooks {
    pub(in crate::http) fn of(shown: &[ShownWebhook]) -> Self {
        Self {
            success: true,
            webhooks: shown.iter().map(OneWebhook::of).collect(),
            count: shown.len(),
        }
    }
}

/// `DELETE /webhooks/{id}`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct WebhookRemoved {
    pub(in crate::http) success: bool,
    /// Its id.
    pub(in crate::http) removed: String,
}

/// An event that is not delivered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
struct OneDelivery {
    /// The event's id.
    #[schema(example = "evt_4f1c0b7f7b0d4c63a1b8f0d6f3f5c9aa")]
    event_id: String,
    /// What happened.
    r#type: String,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    session: String,
    /// `waiting` or `dead`.
    state: &'static str,
    /// How many attempts have failed.
    attempts: u32,
    /// When the event was written down.
    written_at: Moment,
    /// When it is tried next; absent: another one of its chat comes first, or it is dead.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_at: Option<Moment>,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

impl OneDelivery {
    fn of(open: &OpenDelivery) -> Self {
        let (failed_at, failure) = open.failure.clone().unzip();
        Self {
            event_id: open.event_id.clone(),
            r#type: open.kind.clone(),
            cliente_id: named(&open.session),
            session: open.session.clone(),
            state: open.state.as_str(),
            attempts: open.attempts,
            written_at: Moment(open.written_at),
            next_at: open.next_at.map(Moment),
            failed_at: failed_at.map(Moment),
            failure,
        }
    }
}

/// `GET /webhooks/{id}/deliveries`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Deliveries)]
pub(in crate::http) struct DeliveriesAnswer {
    success: bool,
    deliveries: Vec<OneDelivery>,
    count: usize,
    /// What `after` is to be for the ones behind these; absent when these are the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}

impl DeliveriesAnswer {
    /// The first `limit` of these.
    pub(in crate::http) fn of(open: &[OpenDelivery], limit: usize) -> Self {
        let page = &open[..open.len().min(limit)];
        let has_more = page.len() < open.len();
        Self {
            success: true,
            deliveries: page.iter().map(OneDelivery::of).collect(),
            count: page.len(),
            next: page.last().filter(|_| has_more).map(|open| open.seq),
        }
    }
}

/// `POST /webhooks/{id}/redrive`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Redriven {
    success: bool,
    /// How many deliveries are tried again.
    #[serde(rename = "redriven")]
    count: usize,
    /// How many of the events that were named are not among those given up: they are unknown, delivered, or wait already.
    not_dead: usize,
}

impl Redriven {
    /// For a request that named so many events, or meant all.
    pub(in crate::http) fn of(count: usize, named: Option<usize>) -> Self {
        Self {
            success: true,
            count,
            not_dead: named.map_or(0, |named| named.saturating_sub(count)),
        }
    }
}

/// `POST /webhooks/{id}/test`: what became of the event.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct WebhookTested {
    success: bool,
    /// Whether the receiver has it.
    delivered: bool,
    /// The id of the event, which is in no log.
    event_id: String,
    /// The status that the receiver answered with; absent: it did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Why it does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// How long it took, in milliseconds.
    took_ms: u64,
}

impl WebhookTested {
    pub(in crate::http) fn of(tested: Tested) -> Self {
        Self {
            success: true,
            delivered: tested.failure.is_none(),
            event_id: tested.event_id,
            status: tested.status,
            failure: tested.failure,
            took_ms: u64::try_from(tested.took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}
