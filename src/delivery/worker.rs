//! The task of one consumer: it takes events from the log, gives each to its receiver, and notes what became of it.
//!
//! ```text
//!  log ──take──▶ ledger's deliveries ──turns──▶ up to 8 attempts at once ──settle──▶ ledger
//! ```
//!
//! Responsible for the order of each chat, for when an attempt is repeated, and for leaving a receiver alone that cannot take
//! anything. Not responsible for how an event is given: that is the [`Receiver`]. All that must outlive the service is in the
//! ledger; in memory are only the attempts that are under way, however long the backlog is.

use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use jiff::Timestamp;
use prometheus_client::metrics::histogram::Histogram;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{schedule::Schedule, times};
use crate::ledger::{
    Became, ConsumerChange, ConsumerTally, Delivery, Filter, Ledger, LedgerError, Settled,
};

/// Attempts under way at once: enough for a receiver that takes a second for each to keep up with what a few accounts hear, and
/// few enough not to be a burden to a small one.
const AT_ONCE: usize = 8;

/// How many deliveries are read at once: those that are under way have their turn, too.
const READ_AT_ONCE: usize = 2 * AT_ONCE;

/// A receiver that has failed for so long, and has taken nothing, is down: it gets one attempt at a time until it takes one, and
/// then all that waits is tried at once.
const DOWN_AFTER: Duration = Duration::from_secs(60);

/// The longest that a receiver is left alone as a whole, or that an event waits without an attempt that counts, because the receiver
/// has asked for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// How soon the ledger is asked again that could not be used. It says so in the log itself.
const LEDGER_RETRY: Duration = Duration::from_secs(1);

/// How long a caller waits for the ledger.
const LEDGER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a caller waits besides until the task has counted: it does so between two steps of its work, each of which takes
/// milliseconds unless the disk stands still.
const COUNT_TIMEOUT: Duration = Duration::from_secs(2);

/// Answers a caller in time, with an error if the disk does not.
pub(super) async fn by_then<T>(
    asked: impl Future<Output = Result<T, LedgerError>>,
) -> Result<T, LedgerError> {
    Ledger::answered_by(Instant::now() + LEDGER_TIMEOUT, asked).await
}

/// What a consumer makes of an event: the part that is its own.
pub(super) trait Receiver: Send + Sync + 'static {
    /// How long attempts may still take when the service stops. What has not ended is repeated after the restart.
    const STOP_GRACE: Duration = Duration::from_secs(1);

    /// Which events it wants. One that was taken for it before that changed is not given any more.
    fn filter(&self) -> Filter;

    /// Gives it one event.
    fn give(&self, delivery: &Delivery) -> impl Future<Output = Given> + Send;
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// It has the event.
    Taken,
    /// It has no use for the event.
    NotWanted,
    /// It does not have the event.
    Failed {
        /// Why: for a person, without secrets.
        why: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
        /// It asks that for everything, and not for this event alone.
        is_busy: bool,
    },
    /// It does not have the event, which is no fault of the event: the attempt does not count.
    Waits {
        /// Why: for a person, without secrets.
        why: String,
        /// How long until the next one.
        retry_in: Duration,
        /// Nothing else can be given to it until then, either.
        is_receivers: bool,
    },
    /// It will never take this event, however often it is tried. A person may want it tried again.
    Refused {
        /// Why: for a person, without secrets.
        why: String,
    },
    /// It wants nothing any more.
    Gone {
        /// Why: for a person, without secrets.
        why: String,
    },
}

/// A consumer as its task and its callers see it.
#[derive(Debug)]
pub(super) struct Shared<R> {
    /// Its id in the ledger.
    pub(super) id: String,
    pub(super) state: watch::Sender<State<R>>,
    /// What became of its events. Its task alone writes it.
    pub(super) tally: watch::Sender<ConsumerTally>,
    /// How long the events that it has took from the log.
    pub(super) times: Histogram,
    /// How often deliveries were given a turn that had none, by the word of a person.
    redriven: watch::Sender<u64>,
    /// Of these, how many its task has counted into the tally.
    counted: watch::Sender<u64>,
    /// Ends its task.
    pub(super) stop: CancellationToken,
    /// What the ledger is given as the time, by its task and by its callers.
    clock: Clock,
}

impl<R> Shared<R> {
    /// A consumer as the ledger has it, with what it makes of events. Its task is not begun by this.
    pub(super) fn new(
        id: String,
        receiver: Arc<R>,
        off_because: Option<String>,
        tally: ConsumerTally,
        times: Histogram,
        stop: CancellationToken,
    ) -> Self {
        Self {
            id,
            state: watch::Sender::new(State {
                receiver,
                off_because,
            }),
            tally: watch::Sender::new(tally),
            times,
            redriven: watch::Sender::new(0),
            counted: watch::Sender::new(0),
            stop,
            clock: Clock::new(),
        }
    }

    /// As in a service that has begun before the clock of the machine was set forward by so much.
    #[cfg(test)]
    pub(super) fn began_before_a_step(mut self, step: Duration) -> Self {
        self.clock.began_at -= step;
        self
    }

    /// Lets deliveries that were given up be tried again: those of these events, else all. Answers how many, in time; after an error
    /// a part may be left. Then the tally has them among those that wait, unless its task cannot count.
    pub(super) async fn redrive(
        &self,
        ledger: &Ledger,
        events: Option<Vec<String>>,
    ) -> Result<usize, LedgerError> {
        let now = self.clock.now();
        let redriven = by_then(ledger.redrive(&self.id, events, now)).await;
        // Also for the part that was written down before an error.
        let mut own = 0;
        self.redriven.send_modify(|times| {
            *times += 1;
            own = *times;
        });
        let mut counted = self.counted.subscribe();
        let is_counted = timeout(COUNT_TIMEOUT, counted.wait_for(|times| own <= *times));
        self.stop.run_until_cancelled(is_counted).await;
        redriven
    }
}

/// How a consumer is set.
#[derive(Debug)]
pub(super) struct State<R> {
    pub(super) receiver: Arc<R>,
    /// Why it is off, if it is.
    pub(super) off_because: Option<String>,
}

/// The task. See the module.
#[derive(Debug)]
pub(super) struct Worker<R> {
    shared: Arc<Shared<R>>,
    ledger: Ledger,
    schedule: Arc<Schedule>,
    /// Lanes that have an attempt under way, or one whose result is not written down yet.
    busy: HashSet<i64>,
    /// Results that could not be written down yet.
    unsettled: Vec<Settled>,
    /// There may be events that it has not looked at.
    has_more: bool,
    /// Since when its receiver has taken nothing and failed.
    failing_since: Option<Instant>,
    /// That it is down has been logged.
    is_told_down: bool,
    /// That events are given up has been logged, since its receiver has taken one.
    is_told_dead: bool,
    /// Its receiver has asked to be left alone until then.
    paused_until: Option<Instant>,
}

/// Moments that never go back, whatever happens to the clock of the machine: what is put off is not put off for longer.
#[derive(Clone, Copy, Debug)]
struct Clock {
    began_at: Timestamp,
    began: Instant,
}

impl Clock {
    fn new() -> Self {
        Self {
            began_at: Timestamp::now(),
            began: Instant::now(),
        }
    }

    fn now(&self) -> Timestamp {
        after(self.began_at, self.began.elapsed())
    }

    /// When this moment comes.
    fn when(&self, at: Timestamp) -> Instant {
        self.began + positive(at.duration_since(self.began_at))
    }
}

fn after(at: Timestamp, wait: Duration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}

fn positive(duration: jiff::SignedDuration) -> Duration {
    Duration::try_from(duration).unwrap_or_default()
}

/// Gives an event. One that makes this program break off has failed: its chat goes on, and it is tried again as any other.
async fn attempt<R: Receiver>(receiver: &R, delivery: &Delivery) -> Given {
    let event = &delivery.event;
    if !receiver.filter().is_for(&event.session, event.kind) {
        return Given::NotWanted;
    }
    // Nothing of a receiver is left in a state that its next attempt could not stand: its locks are held for single steps.
    let given = AssertUnwindSafe(receiver.give(delivery)).catch_unwind();
    given.await.unwrap_or_else(|_panicked| {
        // The text of a panic may quote a message, so it is not logged here; the panic's own line has the place.
        tracing::error!(
            event.id = delivery.event.id,
            "an attempt to deliver event {} broke off, which is a fault of this program",
            delivery.event.id
        );
        Given::Failed {
            why: "session-manager broke off, which its log says as an error".to_owned(),
            retry_after: None,
            is_busy: false,
        }
    })
}

/// An attempt that has ended.
struct Attempt {
    delivery: Delivery,
    given: Given,
    ended_at: Timestamp,
}

impl<R: Receiver> Worker<R> {
    pub(super) fn new(shared: Arc<Shared<R>>, ledger: Ledger, schedule: Arc<Schedule>) -> Self {
        Self {
            shared,
            ledger,
            schedule,
            busy: HashSet::new(),
            unsettled: Vec::new(),
            has_more: true,
            failing_since: None,
            is_told_down: false,
            is_told_dead: false,
            paused_until: None,
        }
    }

    /// Works until it is stopped.
    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.subscribe();
        let mut news = self.ledger.event_news();
        let mut redriven = shared.redriven.subscribe();
        let mut attempts = JoinSet::new();
        self.mend_times().await;
        loop {
            // Also while attempts end one after another, which go first below.
            if let Some(Ok(())) = news.changed().now_or_never() {
                self.has_more = true;
            }
            let wake_at = self.begin_what_is_due(&mut attempts).await;
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => break,
                Some(ended) = attempts.join_next() => {
                    let more = std::iter::from_fn(|| attempts.try_join_next());
                    let ended: Vec<_> = [ended].into_iter().chain(more).flatten().collect();
                    self.on_ended(ended).await;
                }
                // The sender is in `shared`, which this task holds.
                Ok(()) = state.changed() => {
                    self.has_more = true;
                    self.paused_until = None;
                }
                Ok(()) = news.changed() => self.has_more = true,
                Ok(()) = redriven.changed() => {
                    let times = *redriven.borrow_and_update();
                    self.count().await;
                    shared.counted.send_replace(times);
                }
                () = sleep_until(wake_at) => {}
            }
        }
        self.end(attempts).await;
    }

    /// A service before this one may have put deliveries off by a clock that was wrong.
    async fn mend_times(&self) {
        let id = &self.shared.id;
        if let Err(why) = self.ledger.mend_turns(id, self.shared.clock.now()).await {
            tracing::debug!(consumer.id = id, error = %why, "what waits for {id} keeps its time: {why}");
        }
    }

    /// Takes new events and begins attempts, as far as there are places for them. Answers when to look again, unless something
    /// happens before.
    async fn begin_what_is_due(&mut self, attempts: &mut JoinSet<Attempt>) -> Instant {
        let idle_until = Instant::now() + Duration::from_secs(3600);
        let (receiver, is_off) = {
            let state = self.shared.state.borrow();
            (Arc::clone(&state.receiver), state.off_because.is_some())
        };
        if !self.settle().await {
            return Instant::now() + LEDGER_RETRY;
        }
        if is_off {
            return idle_until;
        }
        if self.has_more && !self.take(&receiver.filter()).await {
            return Instant::now() + LEDGER_RETRY;
        }
        if let Some(until) = self.paused_until.filter(|until| Instant::now() < *until) {
            return if self.has_more { Instant::now() } else { until };
        }
        let places = if self.is_down() { 1 } else { AT_ONCE };
        let mut wake_at = idle_until;
        if self.busy.len() < places {
            let now = self.shared.clock.now();
            let turns = self.ledger.turns(&self.shared.id, now, READ_AT_ONCE).await;
            let Ok(turns) = turns else {
                return Instant::now() + LEDGER_RETRY;
            };
            for delivery in turns.now {
                if self.busy.len() < places && self.busy.insert(delivery.lane) {
                    let receiver = Arc::clone(&receiver);
                    attempts.spawn(async move {
                        let given = attempt(&*receiver, &delivery).await;
                        Attempt {
                            delivery,
                            given,
                            ended_at: Timestamp::now(),
                        }
                    });
                }
            }
            wake_at = turns
                .next
                .map_or(wake_at, |at| wake_at.min(self.shared.clock.when(at)));
        }
        if self.has_more {
            Instant::now()
        } else {
            wake_at
        }
    }

    /// Looks at a part of the log. Answers whether the ledger could be used.
    async fn take(&mut self, filter: &Filter) -> bool {
        let id = &self.shared.id;
        let taken = self
            .ledger
            .take_events(id, filter, self.shared.clock.now())
            .await;
        match taken {
            Ok(Some(taken)) => {
                self.has_more = taken.is_not_all;
                if taken.missed > 0 {
                    tracing::warn!(
                        consumer.id = id,
                        events = taken.missed,
                        "{id} was not given {} events in time: they are older than EVENT_RETENTION_HOURS, and forgotten",
                        taken.missed
                    );
                }
                self.shared.tally.send_replace(taken.tally);
                true
            }
            // It was switched off or removed a moment ago.
            Ok(None) => {
                self.has_more = false;
                true
            }
            Err(why) => {
                tracing::debug!(consumer.id = id, error = %why, "{id} could not look at the log: {why}");
                false
            }
        }
    }

    fn is_down(&self) -> bool {
        self.failing_since
            .is_some_and(|since| since.elapsed() >= DOWN_AFTER)
    }

    /// Notes what became of attempts.
    async fn on_ended(&mut self, ended: Vec<Attempt>) {
        for Attempt {
            delivery,
            given,
            ended_at,
        } in ended
        {
            if let Given::Gone { why } = &given {
                self.switch_off(why).await;
            }
            let was_down = self.is_down();
            if matches!(given, Given::Taken) {
                times::count(&self.shared.times, &delivery.event, ended_at);
                self.failing_since = None;
                self.is_told_down = false;
                self.is_told_dead = false;
                if was_down {
                    self.hurry().await;
                }
            }
            let became = self.became(&delivery, given);
            self.unsettled.push(Settled {
                seq: delivery.event.seq,
                lane: delivery.lane,
                became,
            });
        }
        self.settle().await;
    }

    /// Leaves the receiver alone for so long, or for longer if that was asked before.
    fn pause(&mut self, length: Duration) {
        let until = Instant::now() + length.min(LONGEST_PAUSE);
        self.paused_until = self.paused_until.max(Some(until));
    }

    /// What becomes of a delivery after this attempt.
    fn became(&mut self, delivery: &Delivery, given: Given) -> Became {
        let now = self.shared.clock.now();
        let (why, retry_after, is_busy) = match given {
            Given::Taken => return Became::Delivered,
            Given::NotWanted => return Became::Skipped,
            Given::Gone { why } => {
                // Tried first when it is switched on again.
                return Became::PutOff {
                    attempts: delivery.attempts,
                    due_at: now,
                    failure: why,
                    is_consumers: true,
                };
            }
            Given::Waits {
                why,
                retry_in,
                is_receivers,
            } => {
                let retry_in = retry_in.min(LONGEST_PAUSE);
                if is_receivers {
                    self.failing_since.get_or_insert_with(Instant::now);
                    self.pause(retry_in);
                }
                return Became::PutOff {
                    attempts: delivery.attempts,
                    due_at: after(now, retry_in),
                    failure: why,
                    is_consumers: is_receivers,
                };
            }
            Given::Refused { why } => {
                tracing::warn!(
                    consumer.id = self.shared.id,
                    event.id = delivery.event.id,
                    "{} was not given event {}: {why}; it is given up, until it is redriven",
                    self.shared.id,
                    delivery.event.id
                );
                return Became::Dead { failure: why };
            }
            Given::Failed {
                why,
                retry_after,
                is_busy,
            } => (why, retry_after, is_busy),
        };
        tracing::debug!(
            consumer.id = self.shared.id,
            event.id = delivery.event.id,
            "{} was not given event {}: {why}",
            self.shared.id,
            delivery.event.id
        );
        self.failing_since.get_or_insert_with(Instant::now);
        if let Some(pause) = retry_after.filter(|_| is_busy) {
            self.pause(pause);
        }
        let id = &self.shared.id;
        if self.is_down() && !self.is_told_down {
            self.is_told_down = true;
            tracing::warn!(
                consumer.id = id,
                "{id} has taken nothing for {} s: {why}. What is for it waits on disk",
                DOWN_AFTER.as_secs()
            );
        }
        if now < delivery.due_at {
            let due_in = positive(delivery.due_at.duration_since(now));
            return Became::PutOff {
                attempts: delivery.attempts,
                due_at: after(now, Schedule::wait_after_additional(due_in, retry_after)),
                failure: why,
                is_consumers: true,
            };
        }
        let attempts = delivery.attempts.saturating_add(1);
        if let Some(wait) = self.schedule.wait_after(attempts, retry_after) {
            return Became::PutOff {
                attempts,
                due_at: after(now, wait),
                failure: why,
                is_consumers: true,
            };
        }
        let event = &delivery.event.id;
        if self.is_told_dead {
            tracing::debug!(
                consumer.id = id,
                event.id = event,
                "event {event} is given up"
            );
        } else {
            self.is_told_dead = true;
            tracing::warn!(
                consumer.id = id,
                event.id = event,
                attempts,
                "{id} was not given event {event}: {why}; it is given up after {attempts} attempts, until it is redriven. Further ones are not logged, until {id} takes one"
            );
        }
        Became::Dead { failure: why }
    }

    /// Writes results down. Answers whether that worked: until it does, their lanes stay busy.
    async fn settle(&mut self) -> bool {
        if self.unsettled.is_empty() {
            return true;
        }
        let (id, now) = (&self.shared.id, self.shared.clock.now());
        match self.ledger.settle(id, self.unsettled.clone(), now).await {
            Ok(tally) => {
                for settled in self.unsettled.drain(..) {
                    self.busy.remove(&settled.lane);
                }
                self.shared.tally.send_replace(tally);
                true
            }
            Err(why) => {
                tracing::debug!(consumer.id = id, error = %why, "what became of events for {id} could not be written down: {why}");
                false
            }
        }
    }

    /// Says how many wait and how many were given up, after a change that is not its own. Its task alone does so: a count that another one has
    /// asked for may be older than what this one has said meanwhile.
    async fn count(&self) {
        // It answers that with no result to note, too.
        let (id, now) = (&self.shared.id, self.shared.clock.now());
        match self.ledger.settle(id, Vec::new(), now).await {
            Ok(tally) => drop(self.shared.tally.send_replace(tally)),
            Err(why) => {
                tracing::debug!(consumer.id = id, error = %why, "what waits for {id} could not be counted: {why}");
            }
        }
    }

    /// The receiver takes events again: what waits for another attempt need not wait any longer.
    async fn hurry(&self) {
        let id = &self.shared.id;
        tracing::info!(
            consumer.id = id,
            "{id} takes events again: what waits for it is tried at once"
        );
        if let Err(why) = self.ledger.hurry(id, self.shared.clock.now()).await {
            tracing::debug!(consumer.id = id, error = %why, "what waits for {id} keeps its time: {why}");
        }
    }

    /// The receiver wants nothing any more.
    async fn switch_off(&self, why: &str) {
        let id = &self.shared.id;
        let is_news = self.shared.state.send_if_modified(|state| {
            let was_on = state.off_because.is_none();
            state.off_because.get_or_insert_with(|| why.to_owned());
            was_on
        });
        if !is_news {
            // The reason why it is off already stays: a person may have removed it.
            return;
        }
        tracing::warn!(
            consumer.id = id,
            "{id} is switched off: {why}. Its place in the log is kept; switch it on again if that was a mistake"
        );
        let change = ConsumerChange {
            off_because: Some(Some(why.to_owned())),
            ..ConsumerChange::default()
        };
        if let Err(why) = self.ledger.change_consumer(id, change).await {
            tracing::warn!(consumer.id = id, error = %why, "after a restart {id} will be on again: {why}");
        }
    }

    /// Lets attempts under way end, for a moment.
    async fn end(mut self, mut attempts: JoinSet<Attempt>) {
        let until = Instant::now() + R::STOP_GRACE;
        let mut ended = Vec::new();
        while let Ok(Some(attempt)) = timeout_at(until, attempts.join_next()).await {
            ended.extend(attempt);
        }
        if !ended.is_empty() {
            self.on_ended(ended).await;
        }
    }
}
