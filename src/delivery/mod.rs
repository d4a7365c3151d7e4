//! The delivery of events: each consumer of the log is given what it wants, in the order of each chat, until it has it.
//!
//! ```text
//!  ledger (the log, and what is still to be given) ──▶ worker, one for each consumer ──▶ webhook ──HTTP──▶ a receiver
//! ```
//!
//! Responsible for webhooks: their settings, their requests, and what a caller may ask about them. In reading order:
//!
//! - [`schedule`] says when a failed delivery is tried again, [`address`] which addresses may be called; both are pure, but for the
//!   jitter and for a look at the machine's own addresses.
//! - [`times`] counts how long events take from the log to a receiver, for the metrics.
//! - [`signature`] signs, [`waha`] writes events as another service does, [`webhook`] is one webhook; all are pure, but for new secrets.
//! - [`client`] is the HTTP client, [`download`] fetches by it what a caller wants sent.
//! - [`worker`] is the task of one consumer, whatever it is: what it makes of an event is its [`Receiver`].
//! - [`bridge`] is one: it reports texts to the backend Central Hub.
//! - this file has all webhooks by their ids.
//!
//! Each file imports only from files that stand before it in this list. The module uses `ledger` and `heard`; of `session` only
//! its names, [`Listened`] and [`Wanted`]. It does not know how an event is written for a caller: it is given a function that does
//! ([`Envelope`]), so that webhooks carry exactly what `GET /events` shows.
//!
//! Invariants: what the ledger keeps for a consumer is given at least once, under the same id; a consumer or a chat that fails
//! holds up no other; no secret, address, text or number is in a log.

mod address;
mod bridge;
mod client;
mod download;
mod schedule;
mod signature;
mod times;
pub mod waha;
mod webhook;
mod worker;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

pub use bridge::{Bridge, BridgeOptions, Clients, HubAccess, try_login};
use client::{ATTEMPT_TIMEOUT, Patience, REST_TIMEOUT};
pub(crate) use client::{HttpClient, Unreached};
pub use download::{Download, DownloadError, Downloader};
use http::StatusCode;
use jiff::Timestamp;
use parking_lot::Mutex;
pub use schedule::Schedule;
pub use times::{OfWebhook, WebhookTimes};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use webhook::KIND;
pub use webhook::{
    Compat, Draft, InvalidField, Webhook, all_types, check_url, is_standard_secret, is_type, kinds,
};
use worker::{Given, Receiver, Shared as Running, Worker, by_then};

use crate::{
    heard::EVENT_ID_START,
    ledger::{
        Beginning, Consumer, ConsumerChange, ConsumerTally, Delivery, DeliveryState, Event, Filter,
        Ledger, LedgerError, NewConsumer, OpenDelivery, ReadError,
    },
    masked::Credential,
    session::{ClienteId, Listened, Wanted},
};

/// Each has a task and connections of its own. A service with more receivers than this wants a queue behind one of them.
const MOST_WEBHOOKS: usize = 50;

/// The webhook that `WEBHOOK_URL` sets.
const OF_SETTINGS: &str = "wh_settings";

/// Why a consumer is off that was removed: what was to be delivered to it is still being deleted, also over a restart.
const REMOVED: &str = "it was removed";

/// How soon the webhooks are looked for again while the ledger cannot be used. It says so in the log itself.
const LOAD_RETRY: Duration = Duration::from_secs(1);

/// How long a caller waits for the webhooks to be read at the start of the service.
const LOAD_TIMEOUT: Duration = Duration::from_secs(5);

/// What is written for a receiver.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// An event of the log.
    Event(&'a Event),
    /// An event that a person asks for, to try a webhook. It is in no log.
    Test {
        /// Its id.
        id: &'a str,
        /// When it was asked for.
        at: Timestamp,
    },
}

/// Writes an event as callers know it.
pub type Envelope = fn(Payload<'_>) -> Vec<u8>;

/// What an operator sets.
#[derive(Clone, Debug, Default)]
pub struct DeliveryOptions {
    /// The webhook of the settings.
    pub webhook: Option<SetWebhook>,
    /// When a failed delivery is tried again.
    pub schedule: Schedule,
    /// Whether webhooks may lead to this machine and to private networks.
    pub allows_private: bool,
}

/// The webhook of the settings.
#[derive(Clone, Debug)]
pub struct SetWebhook {
    /// Where it leads.
    pub url: String,
    /// Its secrets: the first signs, and the second, if there is one, as well.
    pub secrets: (Credential, Option<Credential>),
    /// The types of events that it wants; empty: all.
    pub types: Vec<String>,
}

/// Why something about webhooks could not be done.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// A field of the request cannot be taken.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// There is none with this id.
    #[error("no webhook has this id")]
    Unknown,
    /// There are too many.
    #[error(
        "there are {MOST_WEBHOOKS} webhooks already: remove one, or let one receiver hand events on"
    )]
    TooMany,
    /// It is changed where it is set.
    #[error(
        "this webhook is set by WEBHOOK_URL: change it there and restart the service; here it can only be switched on and off"
    )]
    OfSettings,
    /// It cannot be written down or read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Too many read at once, or it cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// A webhook, for a person who looks.
#[derive(Clone, Debug)]
pub struct ShownWebhook {
    /// Its id.
    pub id: String,
    /// Its settings.
    pub webhook: Arc<Webhook>,
    /// Why it is off, if it is.
    pub off_because: Option<String>,
    /// It is set by `WEBHOOK_URL`.
    pub is_of_settings: bool,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// What became of its events.
    pub tally: ConsumerTally,
}

/// What became of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tested {
    /// The id of the event that was sent.
    pub event_id: String,
    /// The status that the receiver has answered with, if it has answered.
    pub status: Option<u16>,
    /// Why the receiver would not have had an event.
    pub failure: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// All webhooks. A clone is the same.
#[derive(Clone, Debug)]
pub struct Webhooks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ledger: Ledger,
    options: DeliveryOptions,
    schedule: Arc<Schedule>,
    client: HttpClient,
    envelope: Envelope,
    listened: Listened,
    times: WebhookTimes,
    /// Those that are known, by their ids, in the order of these.
    known: Mutex<BTreeMap<String, Known>>,
    /// Whether they have been read.
    is_loaded: watch::Sender<bool>,
    /// One change after another: each is written down first and then takes effect.
    changing: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Clone, Debug)]
struct Known {
    running: Arc<Running<Hook>>,
    created_at: Timestamp,
}

impl Known {
    fn shown(&self) -> ShownWebhook {
        let running = &self.running;
        let state = running.state.borrow();
        ShownWebhook {
            id: running.id.clone(),
            webhook: Arc::clone(&state.receiver.webhook),
            off_because: state.off_because.clone(),
            is_of_settings: running.id == OF_SETTINGS,
            created_at: self.created_at,
            tally: running.tally.borrow().clone(),
        }
    }
}

/// A webhook as a receiver.
#[derive(Debug)]
struct Hook {
    webhook: Arc<Webhook>,
    client: HttpClient,
    envelope: Envelope,
}

impl Receiver for Hook {
    fn filter(&self) -> Filter {
        self.webhook.filter()
    }

    async fn give(&self, delivery: &Delivery) -> Given {
        let Some(body) = self.webhook.body(&delivery.event, self.envelope) else {
            return Given::NotWanted;
        };
        self.post(&delivery.event.id, body).await.0
    }
}

impl Hook {
    /// Posts a body. Answers what that means, and the status, if there is one.
    async fn post(&self, id: &str, body: Vec<u8>) -> (Given, Option<u16>) {
        let failed = |why: String| Given::Failed {
            why,
            retry_after: None,
            is_busy: false,
        };
        let Some(uri) = self.webhook.uri() else {
            return (failed("its address cannot be read".to_owned()), None);
        };
        let headers = self.webhook.headers(id, Timestamp::now(), &body);
        let patience = Patience {
            status: ATTEMPT_TIMEOUT,
            rest: REST_TIMEOUT,
        };
        let answer = match self.client.post(&uri, headers, body, patience).await {
            Ok(answer) => answer,
            Err(why) => return (failed(why.to_string()), None),
        };
        let status = answer.status;
        let given = if status.is_success() {
            Given::Taken
        } else if status == StatusCode::GONE {
            Given::Gone {
                why: "it answered 410, which is to say that it wants no events any more".to_owned(),
            }
        } else if status.is_redirection() {
            failed(format!(
                "it answered {}, a redirect, which is not followed: give the address that it leads to",
                status.as_u16()
            ))
        } else {
            Given::Failed {
                why: format!("it answered {}", status.as_u16()),
                retry_after: answer.retry_after,
                is_busy: matches!(
                    status,
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
                ),
            }
        };
        (given, Some(status.as_u16()))
    }
}

impl Webhooks {
    /// No webhooks yet: they are read by [`begin`](Self::begin). `envelope` writes an event for a receiver.
    pub fn new(
        ledger: Ledger,
        options: DeliveryOptions,
        listened: Listened,
        envelope: Envelope,
    ) -> Self {
        Self(Arc::new(Inner {
            ledger,
            schedule: Arc::new(options.schedule.clone()),
            client: HttpClient::new(options.allows_private),
            options,
            envelope,
            listened,
            times: times::of_webhooks(),
            known: Mutex::default(),
            is_loaded: watch::Sender::new(false),
            changing: tokio::sync::Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }))
    }

    /// Reads the webhooks and begins to deliver. Waits for nothing; to be called once.
    pub fn begin(&self) {
        let own = self.clone();
        let stop = self.0.stop.clone();
        self.0.tasks.spawn(async move {
            stop.run_until_cancelled(own.load()).await;
        });
    }

    /// Reads what the ledger has, as soon as it can be read.
    async fn load(&self) {
        while let Err(why) = self.try_load().await {
            tracing::debug!(error = %why, "the webhooks could not be read: {why}");
            sleep(LOAD_RETRY).await;
        }
        self.0.is_loaded.send_replace(true);
    }

    async fn try_load(&self) -> Result<(), WebhookError> {
        let inner = &*self.0;
        // A ledger that was never begun has no consumer, and is begun by the first that needs it.
        if inner.options.webhook.is_none() && !inner.ledger.is_begun().await {
            return Ok(());
        }
        let mut kept = inner.ledger.consumers(KIND).await?;
        self.put_that_of_settings(&mut kept).await?;
        for consumer in kept {
            if consumer.off_because.as_deref() == Some(REMOVED) {
                self.forget(consumer.id);
            } else {
                self.start(consumer);
            }
        }
        self.note_listened();
        Ok(())
    }

    /// Has a consumer that was removed deleted in the background: that may take a while after a long backlog.
    fn forget(&self, id: String) {
        let (ledger, stop) = (self.0.ledger.clone(), self.0.stop.clone());
        let forgetting = async move {
            while let Err(why) = ledger.remove_consumer(&id).await {
                tracing::debug!(consumer.id = id, error = %why, "what was for {id} could not be deleted: {why}");
                sleep(LOAD_RETRY).await;
            }
        };
        self.0.tasks.spawn(async move {
            // What is left then, the next service deletes.
            stop.run_until_cancelled(forgetting).await;
        });
    }

    /// Has the webhook of the settings among those that are kept: with these settings if there is one, else not at all.
    async fn put_that_of_settings(&self, kept: &mut Vec<Consumer>) -> Result<(), WebhookError> {
        let ledger = &self.0.ledger;
        let old = kept.iter().position(|consumer| consumer.id == OF_SETTINGS);
        let old = old.map(|place| kept.remove(place));
        let Some(set) = &self.0.options.webhook else {
            if old.is_some() {
                ledger.remove_consumer(OF_SETTINGS).await?;
            }
            return Ok(());
        };
        let webhook = Webhook::of_settings(set)?;
        let leads_elsewhere = old.is_some_and(|old| {
            Webhook::kept(&old.settings).is_none_or(|old| old.url != webhook.url)
        });
        let put = NewConsumer {
            id: OF_SETTINGS.to_owned(),
            kind: KIND,
            settings: webhook.to_keep(),
            from: Beginning::ServiceStart,
        };
        let mut consumer = ledger.put_consumer(put).await?;
        // What the old receiver has said is nothing to the new one.
        if leads_elsewhere && consumer.off_because.is_some() {
            let change = ConsumerChange {
                off_because: Some(None),
                ..ConsumerChange::default()
            };
            consumer = ledger
                .change_consumer(OF_SETTINGS, change)
                .await?
                .unwrap_or(consumer);
        }
        kept.push(consumer);
        Ok(())
    }

    /// Begins to deliver to a consumer that is written down.
    fn start(&self, consumer: Consumer) {
        let inner = &*self.0;
        let Some(webhook) = Webhook::kept(&consumer.settings) else {
            tracing::error!(
                consumer.id = consumer.id,
                "the settings of webhook {} cannot be read: it was written by a newer version of session-manager. It gets nothing until that version is back",
                consumer.id
            );
            return;
        };
        let webhook_id = OfWebhook {
            webhook: consumer.id.clone(),
        };
        let running = Arc::new(Running::new(
            consumer.id.clone(),
            self.hook(webhook),
            consumer.off_because,
            consumer.tally,
            inner.times.get_or_create_owned(&webhook_id),
            inner.stop.child_token(),
        ));
        let worker = Worker::new(
            Arc::clone(&running),
            inner.ledger.clone(),
            Arc::clone(&inner.schedule),
        );
        let known = Known {
            running: Arc::clone(&running),
            created_at: consumer.created_at,
        };
        inner.known.lock().insert(consumer.id, known);
        inner.tasks.spawn(worker.run());
        let (own, mut state) = (self.clone(), running.state.subscribe());
        let stop = running.stop.clone();
        // The worker switches it off by itself when its receiver says so.
        let following = async move {
            while state.changed().await.is_ok() {
                own.note_listened();
            }
        };
        inner.tasks.spawn(async move {
            stop.run_until_cancelled(following).await;
        });
    }

    fn hook(&self, webhook: Webhook) -> Arc<Hook> {
        Arc::new(Hook {
            webhook: Arc::new(webhook),
            client: self.0.client.clone(),
            envelope: self.0.envelope,
        })
    }

    /// Says whose messages are wanted.
    fn note_listened(&self) {
        let mut wanted = Wanted::Of(BTreeSet::new());
        for known in self.0.known.lock().values() {
            let state = known.running.state.borrow();
            let webhook = &state.receiver.webhook;
            if state.off_because.is_some() || !webhook.wants_messages() {
                continue;
            }
            match (&mut wanted, &webhook.cliente_ids) {
                (Wanted::Of(all), Some(ids)) => {
                    all.extend(ids.iter().filter_map(|id| id.parse::<ClienteId>().ok()));
                }
                (_, _) => wanted = Wanted::All,
            }
        }
        self.0.listened.set(KIND, wanted);
    }

    /// Waits until the webhooks are read.
    async fn loaded(&self) -> Result<(), WebhookError> {
        let mut is_loaded = self.0.is_loaded.subscribe();
        let loaded = is_loaded.wait_for(|is_loaded| *is_loaded);
        match timeout(LOAD_TIMEOUT, loaded).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(LedgerError::stands_still().into()),
        }
    }

    fn known(&self, id: &str) -> Result<Known, WebhookError> {
        let known = self.0.known.lock().get(id).cloned();
        known.ok_or(WebhookError::Unknown)
    }

    /// Makes a webhook, which is given what happens from now on. Answers its secret as well, if it was made here.
    ///
    /// # Errors
    ///
    /// A field cannot be taken, there are too many webhooks, or it cannot be written down.
    pub async fn add(
        &self,
        draft: Draft,
    ) -> Result<(ShownWebhook, Option<Credential>), WebhookError> {
        self.loaded().await?;
        let is_off = draft.enabled == Some(false);
        let (webhook, secret) = Webhook::new(draft)?;
        self.check_address(&webhook)?;
        let _one_at_a_time = self.0.changing.lock().await;
        if self.0.known.lock().len() >= MOST_WEBHOOKS {
            return Err(WebhookError::TooMany);
        }
        let new = NewConsumer {
            id: format!("wh_{:032x}", rand::random::<u128>()),
            kind: KIND,
            settings: webhook.to_keep(),
            from: Beginning::Now,
        };
        let id = new.id.clone();
        let ledger = &self.0.ledger;
        let mut consumer = by_then(ledger.put_consumer(new)).await?;
        if is_off {
            let changed = by_then(ledger.change_consumer(&id, switch(false))).await?;
            consumer = changed.unwrap_or(consumer);
        }
        self.start(consumer);
        self.note_listened();
        Ok((self.known(&id)?.shown(), secret))
    }

    /// Changes what the draft has. Answers the secret that was made for it as well, which is not shown again.
    ///
    /// # Errors
    ///
    /// As for [`add`](Self::add); there is no such webhook, or it is that of the settings.
    pub async fn change(
        &self,
        id: &str,
        draft: Draft,
    ) -> Result<(ShownWebhook, Option<Credential>), WebhookError> {
        self.loaded().await?;
        let _one_at_a_time = self.0.changing.lock().await;
        let known = self.known(id)?;
        if id == OF_SETTINGS && !draft.is_only_a_switch() {
            return Err(WebhookError::OfSettings);
        }
        let old = Arc::clone(&known.running.state.borrow().receiver);
        let enabled = draft.enabled;
        let mut webhook = Webhook::clone(&old.webhook);
        let made = webhook.set(draft, Timestamp::now())?;
        self.check_address(&webhook)?;
        let change = ConsumerChange {
            settings: Some(webhook.to_keep()),
            off_because: enabled.and_then(|on| switch(on).off_because),
        };
        let changed = by_then(self.0.ledger.change_consumer(id, change)).await?;
        let changed = changed.ok_or(WebhookError::Unknown)?;
        let hook = self.hook(webhook);
        known.running.state.send_modify(|state| {
            state.receiver = hook;
            state.off_because = changed.off_because;
        });
        self.note_listened();
        Ok((known.shown(), made))
    }

    /// Removes a webhook: from then on it is given nothing. All that was to be given to it is deleted soon after.
    ///
    /// # Errors
    ///
    /// There is no such webhook, it is that of the settings, or it cannot be written down. Then it goes on.
    pub async fn remove(&self, id: &str) -> Result<(), WebhookError> {
        self.loaded().await?;
        let _one_at_a_time = self.0.changing.lock().await;
        let known = self.known(id)?;
        if id == OF_SETTINGS {
            return Err(WebhookError::OfSettings);
        }
        let off = ConsumerChange {
            off_because: Some(Some(REMOVED.to_owned())),
            ..ConsumerChange::default()
        };
        // One short write: whatever happens from here on, nothing is posted to an address that a person has removed.
        by_then(self.0.ledger.change_consumer(id, off)).await?;
        known
            .running
            .state
            .send_modify(|state| state.off_because = Some(REMOVED.to_owned()));
        known.running.stop.cancel();
        self.0.known.lock().remove(id);
        self.forget(id.to_owned());
        let webhook = id.to_owned();
        self.0.times.remove(&OfWebhook { webhook });
        self.note_listened();
        Ok(())
    }

    /// All of them.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub async fn all(&self) -> Result<Vec<ShownWebhook>, WebhookError> {
        self.loaded().await?;
        let known: Vec<Known> = self.0.known.lock().values().cloned().collect();
        let mut shown: Vec<_> = known.iter().map(Known::shown).collect();
        shown.sort_by_key(|shown| shown.created_at);
        Ok(shown)
    }

    /// One of them.
    ///
    /// # Errors
    ///
    /// There is no such webhook, or they cannot be read.
    pub async fn find(&self, id: &str) -> Result<ShownWebhook, WebhookError> {
        self.loaded().await?;
        Ok(self.known(id)?.shown())
    }

    /// What became of the events of each, without waiting for anything.
    pub fn tallies(&self) -> Vec<(String, ConsumerTally)> {
        let known = self.0.known.lock();
        let tally = |known: &Known| known.running.tally.borrow().clone();
        known
            .iter()
            .map(|(id, known)| (id.clone(), tally(known)))
            .collect()
    }

    /// How long the events that each has took from the log.
    pub fn times(&self) -> WebhookTimes {
        self.0.times.clone()
    }

    /// Deliveries that are not done with, in the order of their events, a page at a time.
    ///
    /// # Errors
    ///
    /// There is no such webhook, or they cannot be read.
    pub async fn deliveries(
        &self,
        id: &str,
        state: DeliveryState,
        after: i64,
        limit: usize,
    ) -> Result<Vec<OpenDelivery>, WebhookError> {
        // Not of events that it was to be given once, and does not want any more: a key that reaches it now may not reach those.
        let filter = self.find(id).await?.webhook.filter();
        let asked = self.0.ledger.deliveries(id, &filter, state, after, limit);
        Ok(asked.await?)
    }

    /// Lets deliveries that were given up be tried again: those of these events, else all. Answers how many.
    ///
    /// # Errors
    ///
    /// There is no such webhook, or it cannot be written down.
    pub async fn redrive(
        &self,
        id: &str,
        events: Option<Vec<String>>,
    ) -> Result<usize, WebhookError> {
        self.loaded().await?;
        let running = self.known(id)?.running;
        Ok(running.redrive(&self.0.ledger, events).await?)
    }

    /// Sends an event that is in no log, once and at once, also to a webhook that is off.
    ///
    /// # Errors
    ///
    /// There is no such webhook.
    pub async fn test(&self, id: &str) -> Result<Tested, WebhookError> {
        self.loaded().await?;
        let known = self.known(id)?;
        let hook = Arc::clone(&known.running.state.borrow().receiver);
        let event_id = format!("{EVENT_ID_START}{:032x}", rand::random::<u128>());
        let payload = Payload::Test {
            id: &event_id,
            at: Timestamp::now(),
        };
        let body = (self.0.envelope)(payload);
        let begun = Instant::now();
        let (given, status) = hook.post(&event_id, body).await;
        let failure = match given {
            Given::Taken | Given::NotWanted => None,
            Given::Failed { why, .. }
            | Given::Waits { why, .. }
            | Given::Refused { why }
            | Given::Gone { why } => Some(why),
        };
        Ok(Tested {
            event_id,
            status,
            failure,
            took: begun.elapsed().min(ATTEMPT_TIMEOUT),
        })
    }

    fn check_address(&self, webhook: &Webhook) -> Result<(), InvalidField> {
        let may_be_called = webhook
            .uri()
            .is_some_and(|uri| self.0.client.may_call(&uri));
        if may_be_called {
            return Ok(());
        }
        Err(InvalidField {
            field: "url".to_owned(),
            why: "is an address of this machine or of a private network: set WEBHOOK_ALLOW_PRIVATE=true if that is meant".to_owned(),
        })
    }

    /// Lets attempts under way end, for a moment. What has not ended is repeated by the next service.
    pub async fn shut_down(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Webhook {
    /// That of the settings, which have been checked one by one.
    fn of_settings(set: &SetWebhook) -> Result<Self, InvalidField> {
        let (secret, old) = &set.secrets;
        let (mut webhook, _) = Self::new(Draft::of_settings(&set.url, secret, &set.types))?;
        webhook.also_signed_with(old.clone());
        Ok(webhook)
    }
}

/// What switches a webhook on or off by the word of a person.
fn switch(on: bool) -> ConsumerChange {
    ConsumerChange {
        off_because: Some((!on).then(|| "a person has switched it off".to_owned())),
        ..ConsumerChange::default()
    }
}

#[cfg(test)]
mod tests;
