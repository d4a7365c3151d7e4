//! The bridge to Central Hub: it reports to the backend each text that comes in, and each that goes out.
//!
//! ```text
//!  ledger ──▶ worker ──▶ Receiver: what was reported of it? ──▶ test-message, once ──▶ incoming-message or outgoing-message
//! ```
//!
//! In reading order: [`numbers`] knows the numbers of LIDs, [`report`] writes what the hub gets, [`hub`] makes the calls. This
//! file is the consumer of the log, and decides which call is due.
//!
//! Invariants: `test-message` runs the hub's answering machine, so it is made once for a message, and that it is being made is on
//! disk before it is. One whose result is not known, since the hub gave no clear answer or the service ended meanwhile, is not
//! repeated: its message is recorded, and then is a dead letter that says so, until a person redrives it. The other two calls may
//! be repeated: the hub drops what it has. What this service sent is never said to be a human's.

mod hub;
mod numbers;
mod report;

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
    time::Duration,
};

pub use hub::HubAccess;
use hub::{Call, Hub};
use jiff::Timestamp;
use numbers::Numbers;
use parking_lot::Mutex;
use prometheus_client::metrics::histogram::Histogram;
pub use report::Clients;
use report::{Reading, Report, Whose};
use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    schedule::Schedule,
    times,
    worker::{Given, Receiver, Shared, Worker},
};
use crate::{
    ledger::{
        Beginning, ConsumerTally, Delivery, DeliveryState, EventKind, EventQuery, Filter, Ledger,
        LedgerError, NewConsumer, OpenDelivery, Page, REDRIVEN, ReadError,
    },
    masked::Text,
    session::Listened,
};

/// Its id in the ledger, and in the log.
const ID: &str = "central-hub";
const KIND: &str = "bridge";

/// How soon the ledger is asked again that could not be used. It says so in the log itself.
const LEDGER_RETRY: Duration = Duration::from_secs(1);

/// A hub that is not reached is asked again so soon, and twice as late each time, up to the second.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// WhatsApp says the number of a LID with the next message of that person at the latest, if it ever does. Then the message is a dead
/// letter: the others of its chat go on.
const NUMBER_PATIENCE: Duration = Duration::from_secs(3600);
const NUMBER_RETRY: Duration = Duration::from_secs(10);

/// When a message is tried again that the hub was asked to record, and failed at: within some 12 hours, and then it is a dead
/// letter. A hub that is not reached at all is waited for longer than that.
static SCHEDULE: LazyLock<Arc<Schedule>> = LazyLock::new(|| {
    let minute = 60;
    let waits = [
        1,
        5,
        15,
        minute,
        5 * minute,
        15 * minute,
        30 * minute,
        60 * minute,
        2 * 60 * minute,
        4 * 60 * minute,
        4 * 60 * minute,
    ];
    Arc::new(Schedule::new(waits.map(Duration::from_secs).into()))
});

/// How far it has got with an event, on disk: `test-message` is being made.
const TEST_BEGUN: u8 = 1;
/// The hub has it.
const TEST_DONE: u8 = 2;

/// How a bridge is set.
#[derive(Clone, Debug)]
pub struct BridgeOptions {
    /// Where the hub is.
    pub access: HubAccess,
    /// Which client each session is.
    pub clients: Clients,
}

/// The bridge. A clone is the same.
#[derive(Clone, Debug)]
pub struct Bridge(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ledger: Ledger,
    running: Arc<Shared<ToHub>>,
    listened: Listened,
    tasks: TaskTracker,
}

impl Bridge {
    /// Not begun yet.
    pub fn new(ledger: Ledger, options: BridgeOptions, listened: Listened) -> Self {
        let receiver = Arc::new(ToHub {
            ledger: ledger.clone(),
            hub: Hub::new(options.access),
            clients: options.clients,
            numbers: Mutex::default(),
            pause: Mutex::default(),
            warned_of: Mutex::default(),
        });
        let running = Arc::new(Shared::new(
            ID.to_owned(),
            receiver,
            None,
            ConsumerTally::default(),
            times::of_one(),
            CancellationToken::new(),
        ));
        Self(Arc::new(Inner {
            ledger,
            running,
            listened,
            tasks: TaskTracker::new(),
        }))
    }

    /// Begins to report to the hub what happens. Waits for nothing; to be called once.
    pub fn begin(&self) {
        let inner = Arc::clone(&self.0);
        let wanted = inner.running.state.borrow().receiver.clients.wanted();
        inner.listened.set(KIND, wanted);
        let stop = inner.running.stop.clone();
        self.0.tasks.spawn(async move {
            let known = async {
                loop {
                    // It keeps its place in the log from one service to the next.
                    let new = NewConsumer {
                        id: ID.to_owned(),
                        kind: KIND,
                        settings: Text::from("{}"),
                        from: Beginning::ServiceStart,
                    };
                    match inner.ledger.put_consumer(new).await {
                        Ok(consumer) => return consumer,
                        Err(why) => {
                            tracing::debug!(error = %why, "the bridge to Central Hub waits for the ledger: {why}");
                            sleep(LEDGER_RETRY).await;
                        }
                    }
                }
            };
            let Some(consumer) = stop.run_until_cancelled(known).await else {
                return;
            };
            tracing::info!(
                bridge.waiting = consumer.tally.waiting,
                bridge.dead = consumer.tally.dead,
                "the bridge to Central Hub is on: each text that comes in or goes out is reported to it"
            );
            inner.running.tally.send_replace(consumer.tally);
            let worker = Worker::new(
                Arc::clone(&inner.running),
                inner.ledger.clone(),
                Arc::clone(&SCHEDULE),
            );
            worker.run().await;
        });
    }

    /// What became of its events, without waiting for anything.
    pub fn tally(&self) -> ConsumerTally {
        self.0.running.tally.borrow().clone()
    }

    /// How long the texts that the hub has took from the log.
    pub fn times(&self) -> Histogram {
        self.0.running.times.clone()
    }

    /// The same of a bridge that is off.
    pub fn no_times() -> Histogram {
        times::of_one()
    }

    /// Messages that were not reported to the hub, in the order of their events, a page at a time.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub async fn deliveries(
        &self,
        state: DeliveryState,
        after: i64,
        limit: usize,
    ) -> Result<Vec<OpenDelivery>, ReadError> {
        let filter = self.0.running.state.borrow().receiver.filter();
        let asked = self.0.ledger.deliveries(ID, &filter, state, after, limit);
        asked.await
    }

    /// Lets dead letters be tried again: those of these events, else all. A `test-message` that was in doubt is made again then.
    /// Answers how many.
    ///
    /// # Errors
    ///
    /// It cannot be written down.
    pub async fn redrive(&self, events: Option<Vec<String>>) -> Result<usize, LedgerError> {
        self.0.running.redrive(&self.0.ledger, events).await
    }

    /// Lets calls under way end, for a moment. What has not ended is found out by the next service.
    pub async fn shut_down(&self) {
        self.0.running.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

/// Tries the login, for a person who sets a bridge up: it changes nothing.
///
/// # Errors
///
/// Why the hub does not take it.
pub async fn try_login(access: HubAccess) -> Result<(), String> {
    let tried = Hub::new(access).is_there().await;
    tried.map_err(|call| match call {
        Call::NotReached { why, .. }
        | Call::Declined { why }
        | Call::Refused { why }
        | Call::Unknown { why } => why,
        Call::Taken => String::new(),
    })
}

/// How long the hub is left alone when it is not reached.
#[derive(Debug, Default)]
struct Pause {
    length: Duration,
    until: Option<Instant>,
}

impl Pause {
    /// What is left of it. Calls that fail at the same time share one, and the next one is twice as long.
    fn begin(&mut self, now: Instant) -> Duration {
        if let Some(left) = self
            .until
            .and_then(|until| until.checked_duration_since(now))
            && !left.is_zero()
        {
            return left;
        }
        self.length = (self.length * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        self.until = Some(now + self.length);
        self.length
    }
}

/// The hub as a receiver of events.
#[derive(Debug)]
struct ToHub {
    ledger: Ledger,
    hub: Hub,
    clients: Clients,
    numbers: Mutex<Numbers>,
    pause: Mutex<Pause>,
    /// Sessions without a number, of which the log has said so.
    warned_of: Mutex<HashSet<String>>,
}

impl Receiver for ToHub {
    /// A call that ends is worth waiting for: one that is cut off is in doubt. The stop of the service leaves some 9 s.
    const STOP_GRACE: Duration = Duration::from_secs(5);

    fn filter(&self) -> Filter {
        Filter {
            sessions: None,
            kinds: vec![EventKind::Message, EventKind::OwnMessage],
        }
    }

    async fn give(&self, delivery: &Delivery) -> Given {
        match self.read(delivery).await {
            Reading::Report(report) => self.make_calls(&report, delivery).await,
            Reading::NotWanted => Given::NotWanted,
            Reading::NoClient => {
                self.say_no_client(&delivery.event.session);
                Given::NotWanted
            }
            Reading::NoNumber(whose) => without_number(whose, delivery),
            Reading::Unreadable => Given::Refused {
                why: "it was written by another version of session-manager, and cannot be read"
                    .to_owned(),
            },
        }
    }
}

impl ToHub {
    /// What is to be reported of this. For a number that is missing, the log is read.
    async fn read(&self, delivery: &Delivery) -> Reading {
        let event = &delivery.event;
        let look = || Report::of(event, self.clients, &self.numbers.lock());
        self.numbers.lock().hear(event);
        let reading = look();
        let is_found = || look() != Reading::NoNumber(Whose::Contact);
        if reading != Reading::NoNumber(Whose::Contact) {
            return reading;
        }
        if let Err(why) = self.read_numbers(is_found).await {
            tracing::debug!(error = %why, "the numbers that became known could not be read: {why}");
        }
        look()
    }

    /// Reads what the log says of numbers since it was last read for that, until one is found.
    async fn read_numbers(&self, is_found: impl Fn() -> bool) -> Result<(), ReadError> {
        /// Of one question.
        const AT_ONCE: usize = 500;
        let (mut after, resets) = {
            let numbers = self.numbers.lock();
            (numbers.read_up_to, numbers.resets)
        };
        loop {
            let query = EventQuery {
                after,
                sessions: None,
                kinds: vec![
                    EventKind::Resolved,
                    EventKind::Message,
                    EventKind::OwnMessage,
                ],
                limit: AT_ONCE,
            };
            let (events, next) = match self.ledger.events(query).await? {
                Page::Events { events, next } => (events, next),
                Page::Expired { oldest, .. } => (Vec::new(), oldest),
            };
            {
                let mut numbers = self.numbers.lock();
                for event in &events {
                    numbers.hear(event);
                }
                // What was read before a reset is not known any more, and is read again for the next one that is missing.
                if numbers.resets == resets {
                    numbers.read_up_to = Some(next);
                }
            }
            // A page may be short although there is more behind it.
            if after.replace(next) == Some(next) || is_found() {
                return Ok(());
            }
        }
    }

    fn say_no_client(&self, session: &str) {
        if self.warned_of.lock().insert(session.to_owned()) {
            tracing::warn!(
                session.id = session,
                "nothing of session {session} is reported to Central Hub: its clients are numbers, and this name is not a number"
            );
        }
    }

    /// Makes the calls that are due, and notes each before and after it, where it must not be repeated.
    async fn make_calls(&self, report: &Report, delivery: &Delivery) -> Given {
        let doubt = if report.is_for_answering() && delivery.step & TEST_DONE == 0 {
            match self.test(report, delivery).await {
                Ok(doubt) => doubt,
                Err(given) => return given,
            }
        } else {
            None
        };
        let (name, body) = report.record();
        // Whatever becomes of it may be the last that a person sees of this message.
        let both = |why: String| match &doubt {
            None => why,
            Some(doubt) => format!(
                "{why}; and the hub's answering machine may not have seen it (test-message): {}",
                doubt.why
            ),
        };
        match self.hub.call(name, &body, true).await {
            Call::Taken => {
                *self.pause.lock() = Pause::default();
                let Some(doubt) = doubt else {
                    return Given::Taken;
                };
                let why = format!(
                    "it is in the hub's conversation, but the hub's answering machine may not have seen it (test-message): {}; \
                     a redrive makes that call again",
                    doubt.why
                );
                if doubt.is_made_later {
                    failed(why)
                } else {
                    Given::Refused { why }
                }
            }
            Call::NotReached { why, retry_after } => self.not_reached(both(why), retry_after),
            Call::Refused { why } => Given::Refused { why: both(why) },
            Call::Declined { why } | Call::Unknown { why } => failed(both(why)),
        }
    }

    /// Makes `test-message`, unless it may have been made. Answers why it is in doubt, if it is; or what becomes of the delivery
    /// when it certainly was not made.
    async fn test(&self, report: &Report, delivery: &Delivery) -> Result<Option<Doubt>, Given> {
        let seq = delivery.event.seq;
        let is_asked_again = delivery.step & REDRIVEN != 0;
        if delivery.step & TEST_BEGUN != 0 && !is_asked_again {
            let why = "the service ended, or got no clear answer, while it was made";
            return Ok(Some(Doubt::of(why)));
        }
        if let Err(Call::NotReached { why, retry_after }) = self.hub.is_there().await {
            return Err(self.not_reached(why, retry_after));
        }
        // On disk before the call: whatever ends the service from here on, the call is not made twice.
        if let Err(why) = self.ledger.note_step(ID, seq, TEST_BEGUN).await {
            return Err(Given::Waits {
                why: format!("the ledger cannot be written: {why}"),
                retry_in: LEDGER_RETRY,
                is_receivers: true,
            });
        }
        let not_made = if is_asked_again { REDRIVEN } else { 0 };
        let (given, step) = match self.hub.call("test-message", &report.test(), false).await {
            Call::Taken => (Ok(None), TEST_DONE),
            Call::Unknown { why } => return Ok(Some(Doubt::of(&why))),
            Call::NotReached { why, retry_after } => {
                (Err(self.not_reached(why, retry_after)), not_made)
            }
            // It belongs into the hub's conversation all the same.
            Call::Declined { why } => {
                let doubt = Doubt {
                    why: format!("it was not made: {why}"),
                    is_made_later: true,
                };
                (Ok(Some(doubt)), not_made)
            }
            Call::Refused { why } => {
                let doubt = Doubt {
                    why: format!("it was refused: {why}"),
                    is_made_later: false,
                };
                (Ok(Some(doubt)), 0)
            }
        };
        if let Err(why) = self.ledger.note_step(ID, seq, step).await {
            // Then it stands there as one that may have been made, and is not repeated.
            tracing::debug!(error = %why, "what became of test-message could not be written down: {why}");
        }
        given
    }

    /// The hub is not there: that is no fault of this message.
    fn not_reached(&self, why: String, retry_after: Option<Duration>) -> Given {
        let pause = self.pause.lock().begin(Instant::now());
        Given::Waits {
            why,
            retry_in: retry_after.unwrap_or(pause),
            is_receivers: true,
        }
    }
}

/// What becomes of a message whose number is not known.
fn without_number(whose: Whose, delivery: &Delivery) -> Given {
    let age = Timestamp::now().duration_since(delivery.event.written_at);
    let whose = match whose {
        Whose::Contact => {
            "WhatsApp has not said the phone number of this person, who has a LID only"
        }
        Whose::Account => "the account's own phone number is not known, as with the adapter dom",
    };
    // The clock may have been set meanwhile: an event that comes from the future is waited for as a new one is.
    if age < jiff::SignedDuration::try_from(NUMBER_PATIENCE).unwrap_or(jiff::SignedDuration::MAX) {
        return Given::Waits {
            why: whose.to_owned(),
            retry_in: NUMBER_RETRY,
            is_receivers: false,
        };
    }
    Given::Refused {
        why: format!(
            "{whose}, and the service has waited for it for {} min",
            NUMBER_PATIENCE.as_secs() / 60
        ),
    }
}

/// The next attempt makes the calls again that are due.
const fn failed(why: String) -> Given {
    Given::Failed {
        why,
        retry_after: None,
        is_busy: false,
    }
}

/// Why the hub's answering machine may not have seen a message.
#[derive(Debug)]
struct Doubt {
    why: String,
    /// The call was certainly not made, and the next attempt makes it.
    is_made_later: bool,
}

impl Doubt {
    /// That of a call that may have been made.
    fn of(why: &str) -> Self {
        Self {
            why: format!("in doubt, and not repeated, since {why}"),
            is_made_later: false,
        }
    }
}

#[cfg(test)]
mod tests;
