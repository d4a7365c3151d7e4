//! What holds whatever page, ledger and WhatsApp's server answer, and however late: played by chance, in simulated time.
//!
//! The queue, the sends in flight and the recovery are the real ones, and a send changes as the ledger's records do. Page and disk answer as the
//! dice say; from some moment on they are well, though the disk may stay slower than a caller waits, and time goes on. Then:
//! - every send ends, and a session that can go on does so in a bounded number of turns at each moment;
//! - the page takes no message twice, and none whose caller's time is over;
//! - the page takes messages in the order in which they were accepted, but for those about which it could not be asked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::{
    ledger::{Handing, Reset, SendState},
    session::{
        linking::account_link::Since,
        sending::recovery::{Linked, Recovery},
    },
    whatsapp::{LookUp, LookUpError},
};

/// Turns that a session may make at one moment for each send that is open: it begins, is made ready, written down,
/// handed over, given up; and each of these may be a turn of its own.
const TURNS_PER_SEND: usize = 10;

/// How long a caller waits: short, so that much is late.
const WAIT: Duration = Duration::from_secs(2);

/// Long after the last trouble: a look-up is tried for ten minutes, and twenty sends may need it.
const MUCH_LATER: Duration = Duration::from_secs(4 * 3600);

/// A send that comes.
#[derive(Clone, Copy, Debug)]
struct Comes {
    /// After the one before it.
    after: Duration,
    /// How much of its caller's time has gone when it is on disk; `None`: its caller does not wait.
    late: Option<Duration>,
}

/// What is answered, and after how long.
#[derive(Clone, Copy, Debug)]
struct Throw {
    takes: Duration,
    face: u8,
}

fn some_time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        3 => Just(Duration::ZERO),
        3 => (1_u64..400).prop_map(Duration::from_millis),
        1 => Just(WAIT),
        1 => (1900_u64..2100).prop_map(Duration::from_millis),
        1 => (2_u64..20).prop_map(Duration::from_secs),
    ]
}

fn comes() -> impl Strategy<Value = Comes> {
    let late = prop_oneof![
        3 => Just(Some(Duration::ZERO)),
        1 => some_time().prop_map(Some),
        2 => Just(None),
    ];
    (some_time(), late).prop_map(|(after, late)| Comes { after, late })
}

fn throws() -> impl Strategy<Value = Vec<Throw>> {
    let throw = (some_time(), any::<u8>()).prop_map(|(takes, face)| Throw { takes, face });
    proptest::collection::vec(throw, 1..60)
}

enum Call {
    Prepared(Outgoing, Instant),
    Written(Outgoing, Prepared),
    HandedOver(Prepared, Outgoing, Instant),
    /// With what the page's store has when it is asked: news of the message may overtake the answer.
    LookedUp(LookUp, Option<i32>),
}

struct World {
    in_flight: InFlight,
    recovery: Recovery,
    now: Instant,
    ledger: BTreeMap<String, Record>,
    /// What the page has taken, in that order.
    taken: Vec<i64>,
    store: BTreeSet<String>,
    /// When the server takes it.
    acks: Vec<(Instant, String)>,
    calls: Vec<(Instant, Call)>,
    must_read: bool,
    deadlines: BTreeMap<String, Instant>,
    /// What the server has taken.
    acknowledged: BTreeSet<String>,
    /// Of which it was not known whether the page had taken them.
    doubted: BTreeSet<String>,
    /// About which the page could not be asked in time.
    unasked: BTreeSet<String>,
    dice: VecDeque<Throw>,
    /// How long a commit takes once no throw is left.
    commit: Duration,
    /// Each throw may be one more turn.
    most_throws: usize,
    turns: usize,
}

impl World {
    fn new(rate: Option<NonZeroU32>, dice: Vec<Throw>, commit: Duration) -> Self {
        let limits = SendLimits {
            rate_per_minute: rate,
            wait: WAIT,
            ..limits()
        };
        Self {
            in_flight: paced(limits),
            recovery: Recovery::default(),
            now: Instant::now(),
            ledger: BTreeMap::new(),
            taken: Vec::new(),
            store: BTreeSet::new(),
            acks: Vec::new(),
            calls: Vec::new(),
            must_read: false,
            deadlines: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            doubted: BTreeSet::new(),
            unasked: BTreeSet::new(),
            most_throws: dice.len(),
            dice: dice.into(),
            commit,
            turns: 0,
        }
    }

    /// Once no throw is left, everything goes well.
    fn throw(&mut self) -> Throw {
        self.dice.pop_front().unwrap_or(Throw {
            takes: Duration::from_millis(5),
            face: 0,
        })
    }

    fn accept(&mut self, seq: i64, comes: Comes) {
        let record = Record {
            is_durable: comes.late.is_none(),
            ..record(seq)
        };
        let deadline = comes.late.map(|late| {
            let left = WAIT.saturating_sub(late);
            self.now + left
        });
        if let Some(deadline) = deadline {
            self.deadlines.insert(record.key.clone(), deadline);
        }
        self.in_flight.enqueue(&record, deadline);
        self.ledger.insert(record.key.clone(), record);
    }

    fn step(&mut self, key: &str, step: &Step) -> bool {
        let record = self.ledger.get_mut(key).expect("a send that was accepted");
        record.take(step, Timestamp::now())
    }

    /// What `Sending` does in each turn.
    fn turn(&mut self) {
        self.turns += 1;
        let most = TURNS_PER_SEND * (self.ledger.len() + 1) + self.most_throws;
        assert!(self.turns <= most, "{} turns at one moment", self.turns);
        self.in_flight.expire(self.now);
        self.must_read |= self.recovery.is_due_again(self.now);
        self.write_notes();
        if std::mem::take(&mut self.must_read) {
            let mut open: Vec<_> = self
                .ledger
                .values()
                .filter(|record| record.state.is_open())
                .cloned()
                .collect();
            open.sort_by_key(|record| record.seq);
            let page = Linked {
                account: None,
                since: Since::default(),
                gaps: &[],
            };
            let open = open.into_iter().map(std::sync::Arc::new).collect();
            self.recovery
                .begin(open, Vec::new(), page, &mut self.in_flight);
        }
        if let Some(look_up) = self.recovery.next(self.now) {
            let at = self.now + self.peek().min(Duration::from_secs(10));
            let ack = i32::from(self.acknowledged.contains(look_up.key()));
            let found = self.store.contains(look_up.key()).then_some(ack);
            self.calls.push((at, Call::LookedUp(look_up, found)));
        }
        if !self.recovery.is_pending()
            && let Some((outgoing, limit)) = self.in_flight.begin(self.now)
        {
            let at = (self.now + self.peek()).min(limit.max(self.now));
            self.calls.push((at, Call::Prepared(outgoing, limit)));
        }
        self.write_notes();
    }

    /// How long the next answer takes.
    fn peek(&self) -> Duration {
        self.dice
            .front()
            .map_or(Duration::from_millis(5), |throw| throw.takes)
    }

    fn write_notes(&mut self) {
        let mut notes = self.recovery.take_notes();
        notes.append(&mut self.in_flight.take_notes());
        for (key, step) in notes {
            self.step(&key, &step);
        }
    }

    fn answer(&mut self, call: Call) {
        let Throw { face, .. } = self.throw();
        let why = || "so the dice say".to_owned();
        match call {
            Call::Prepared(outgoing, limit) => {
                let is_late = limit <= self.now;
                let result = match face % 16 {
                    1 => Err(PrepareError::NotOnWhatsApp),
                    2 => Err(PrepareError::Failed(why())),
                    3 => Err(PrepareError::Unanswered(why())),
                    4 | 5 => Err(PrepareError::Silent(why())),
                    6 | 7 => Err(PrepareError::Interrupted(why())),
                    9 | 10 => Err(PrepareError::NotUploaded(why())),
                    8 if is_late => Err(PrepareError::Unanswered(why())),
                    _ => Ok(prepared(&outgoing)),
                };
                if let Some((outgoing, prepared)) = self.in_flight.on_prepared(result, self.now) {
                    self.write_down(outgoing, prepared);
                }
            }
            Call::Written(outgoing, prepared) => {
                let result = match face % 16 {
                    1 | 2 => Err(LedgerError(why())),
                    3 => {
                        self.step(&outgoing.key, &Step::Cancelled);
                        Ok(self.ledger[&outgoing.key].state.is_open())
                    }
                    _ => Ok(true),
                };
                let result = result.map(|is_open| {
                    is_open && self.step(&outgoing.key, &handing(&outgoing, &prepared))
                });
                if let Some((prepared, outgoing, limit)) =
                    self.in_flight.on_written(result, self.now)
                {
                    let at = (self.now + self.peek()).min(limit);
                    let is_late = self
                        .deadlines
                        .get(&outgoing.key)
                        .is_some_and(|deadline| *deadline <= self.now);
                    assert!(
                        !is_late || self.doubted.contains(&outgoing.key),
                        "it was handed over too late"
                    );
                    self.calls
                        .push((at, Call::HandedOver(prepared, outgoing, limit)));
                }
            }
            Call::HandedOver(prepared, outgoing, limit) => {
                let is_late = limit <= self.now;
                let result = match face % 16 {
                    1 => Err(HandOverError::NotHanded(why())),
                    2 | 3 => Err(HandOverError::Interrupted(why())),
                    4 => Err(HandOverError::Passed(prepared)),
                    // The page did not get so far.
                    5 => Err(HandOverError::Unknown(why())),
                    6 | 7 => {
                        self.take(&outgoing);
                        Err(HandOverError::Unknown(why()))
                    }
                    _ if is_late => {
                        self.take(&outgoing);
                        Err(HandOverError::Unknown(why()))
                    }
                    _ => {
                        self.take(&outgoing);
                        Ok(handed(&outgoing))
                    }
                };
                match self.in_flight.on_handed_over(result, self.now) {
                    AfterHandOver::Done => {}
                    AfterHandOver::InDoubt => {
                        self.doubted.insert(outgoing.key);
                        self.must_read = true;
                    }
                    AfterHandOver::Again(outgoing, prepared) => self.write_down(outgoing, prepared),
                }
            }
            Call::LookedUp(look_up, found) => {
                let result = match face % 8 {
                    1..=3 => {
                        self.unasked.insert(look_up.key().to_owned());
                        Err(LookUpError::NoAnswer(why()))
                    }
                    4 => Err(LookUpError::NoAdapter(why())),
                    _ => Ok(found),
                };
                self.recovery
                    .on_looked_up(result, &mut self.in_flight, self.now);
            }
        }
    }

    fn write_down(&mut self, outgoing: Outgoing, prepared: Prepared) {
        let takes = self.dice.front().map_or(self.commit, |throw| throw.takes);
        self.calls
            .push((self.now + takes, Call::Written(outgoing, prepared)));
    }

    /// The page takes it, and the server does so some time later.
    fn take(&mut self, outgoing: &Outgoing) {
        let key = outgoing.key.clone();
        assert!(
            self.store.insert(key.clone()),
            "{key} was handed over twice"
        );
        self.taken.push(self.ledger[&key].seq);
        let Throw { takes, .. } = self.throw();
        self.acks.push((self.now + takes, key));
    }

    /// When something happens next.
    fn next(&self) -> Option<Instant> {
        let calls = self.calls.iter().map(|(at, _)| *at);
        let acks = self.acks.iter().map(|(at, _)| *at);
        let look_up = self.recovery.next_look_up();
        let timers = [
            self.in_flight.next_deadline(self.now),
            look_up,
            self.recovery.next_reading(),
        ];
        calls.chain(acks).chain(timers.into_iter().flatten()).min()
    }

    /// Lets everything happen that happens until then.
    fn run_until(&mut self, then: Instant) {
        self.turn();
        while let Some(at) = self.next().filter(|at| *at <= then) {
            if self.now < at {
                self.now = at;
                self.turns = 0;
            }
            let is_due = |at: &Instant| *at <= self.now;
            if let Some(due) = self.acks.iter().position(|(at, _)| is_due(at)) {
                let (_, key) = self.acks.remove(due);
                self.in_flight.on_ack(&key, 1);
                self.recovery.on_ack(&key);
                self.acknowledged.insert(key);
            } else if let Some(due) = self.calls.iter().position(|(at, _)| is_due(at)) {
                let (_, call) = self.calls.remove(due);
                self.answer(call);
            }
            self.turn();
        }
        self.now = then;
        self.turns = 0;
    }
}

fn handing(outgoing: &Outgoing, prepared: &Prepared) -> Step {
    Step::Handing(Handing {
        adapter: prepared.adapter.to_string(),
        account: None,
        wa_key: Some(outgoing.key.clone()),
        message_id: prepared.message_id.clone(),
        generation: 0,
        reset: Reset::default(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn every_send_ends_once_in_time_and_in_order_whatever_is_answered(
        sends in proptest::collection::vec(comes(), 1..20),
        dice in throws(),
        rate in prop_oneof![Just(None), Just(NonZeroU32::new(600)), Just(NonZeroU32::new(30))],
        commit in prop_oneof![3 => Just(Duration::from_millis(5)), 1 => Just(WAIT + Duration::from_secs(1))],
    ) {
        let mut world = World::new(rate, dice, commit);
        for (seq, send) in (1..).zip(&sends) {
            world.run_until(world.now + send.after);
            world.accept(seq, *send);
        }
        world.run_until(world.now + MUCH_LATER);
        for record in world.ledger.values() {
            prop_assert!(!record.state.is_open(), "{record:?} has not ended");
        }
        prop_assert!(world.in_flight.is_idle() && world.recovery.is_settled());
        let was_asked = |seq: &&i64| !world.unasked.contains(&format!("3EB0{seq}"));
        let in_order: Vec<_> = world.taken.iter().filter(was_asked).collect();
        prop_assert!(in_order.is_sorted(), "{:?}", world.taken);
        // What the page has taken is not said to have failed, and what it has not is not said to be sent.
        for record in world.ledger.values() {
            let is_sent = record.state == SendState::Sent;
            prop_assert!(is_sent == world.store.contains(&record.key), "{record:?}");
        }
    }
}
