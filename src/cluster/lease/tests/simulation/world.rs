//! The discrete events of a cluster, and the wiring of each service around [`Holder`], [`Observer`], [`Arrival`] and [`tunnel`].

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BinaryHeap},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    Guards, HOSTS, Plan, SESSIONS, TunnelRule,
    clock::{Clock, MILLISECOND, Micros, SECOND, TRUE_RATE, micros},
    engine::{Engine, HostEntry, MAX_LOSS},
    host::{Answer, Asked, Chrome, Doing, Host, Service, Shown, Tunnel},
    judge::{Judge, Verdict},
};
use crate::{
    cluster::{
        BootId, Claim, HostId, Incarnation, Timeline,
        lease::{
            AfterBeat, Arrival, Beat, BeatAnswer, BootTime, Counted, EngineWord, Former, Holder,
            HostRow, LeaseState, MayRegister, NotNow, Observer, Permit, Reading, Timings,
            tunnel::{self, Word},
        },
        takeover::Vacancy,
    },
    session::ClienteId,
};

/// Sessions that one host takes.
const ROOM: usize = 8;
/// Claims that one host makes after one beat.
const CLAIMS_AT_ONCE: usize = 3;
/// After which WhatsApp's server gives up a connection that has not logged in. Assumed; what matters is that it is far below
/// [`Timings::silence`].
const LOGIN_PATIENCE: Micros = 30 * SECOND;
/// How far machines' clocks may go wrong, in millionths.
const MAX_RATE_ERROR: u64 = 30_000;

/// A fault of one host.
type Strike = fn(&mut World, usize);

#[derive(Clone, Debug)]
enum Event {
    // Of a service, by its process.
    Start,
    BeatDue,
    SoftDue,
    Expired,
    Answered(u64, Answer),
    TimedOut(u64),
    // Of a machine: gate and watchdog.
    Deadline,
    // Of a Chrome, by its attempt.
    WantsTunnel(usize, u64),
    Connected(usize, u64),
    LogsIn(usize, u64),
    Replaced(usize, u64),
    Closed(usize),
    // Of the world.
    Arrives(u64, Asked),
    Fault,
    Suspends,
    /// A fault of this host ends.
    Healed,
    PowersOn,
    Promotes(Micros, Micros),
    Restarted,
}

impl Event {
    /// Whether it has to wait while its machine is paused; and while its service is.
    fn waits(&self, has_gate: bool) -> (bool, bool) {
        match self {
            Self::Start
            | Self::BeatDue
            | Self::SoftDue
            | Self::Expired
            | Self::Answered(..)
            | Self::TimedOut(_) => (true, true),
            Self::Deadline | Self::Closed(_) => (true, false),
            Self::WantsTunnel(..) | Self::Connected(..) | Self::LogsIn(..) | Self::Replaced(..) => {
                (true, has_gate)
            }
            Self::Arrives(..)
            | Self::Fault
            | Self::Suspends
            | Self::Healed
            | Self::PowersOn
            | Self::Promotes(..)
            | Self::Restarted => (false, false),
        }
    }
}

#[derive(Clone, Debug)]
struct Queued {
    at: Micros,
    number: u64,
    host: usize,
    process: u64,
    /// What the machine's clock must show first: a timer.
    due: Option<Micros>,
    event: Event,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[derive(Debug)]
pub(super) struct World {
    plan: Plan,
    timings: Timings,
    guards: Guards,
    now: Micros,
    queue: BinaryHeap<Reverse<Queued>>,
    numbered: u64,
    random: StdRng,
    engine: Engine,
    hosts: Vec<Host>,
    chromes: Vec<Chrome>,
    judge: Judge,
    host_ids: Vec<HostId>,
    session_ids: Vec<ClienteId>,
}

/// A run, from its first service to its end.
pub(super) fn run(plan: Plan, seed: u64) -> Verdict {
    let mut world = World::new(plan, seed);
    while let Some(Reverse(queued)) = world.queue.pop() {
        if plan.length < queued.at {
            break;
        }
        world.now = queued.at;
        world.take(queued);
    }
    world.now = plan.length;
    world.judge.finish(plan.length)
}

impl World {
    fn new(plan: Plan, seed: u64) -> Self {
        let mut world = Self {
            plan,
            timings: plan.timings,
            guards: plan.guards,
            now: 0,
            queue: BinaryHeap::new(),
            numbered: 0,
            engine: Engine::new(plan.is_synchronous),
            hosts: Vec::new(),
            chromes: Vec::new(),
            judge: Judge::default(),
            host_ids: (0..HOSTS)
                .map(|host| format!("h{host}").parse().unwrap())
                .collect(),
            session_ids: (0..SESSIONS)
                .map(|id| format!("s{id}").parse().unwrap())
                .collect(),
            random: StdRng::seed_from_u64(seed),
        };
        for host in 0..HOSTS {
            let rate = world.draw(TRUE_RATE - MAX_RATE_ERROR, TRUE_RATE + MAX_RATE_ERROR);
            let boot = world.engine.draw();
            world.hosts.push(Host::new(Clock::started(rate, 0), boot));
            let wait = world.draw(0, 5 * SECOND);
            world.schedule(host, wait, Event::Start);
        }
        world.schedule_fault();
        world
    }

    // Events.

    fn draw(&mut self, from: u64, to: u64) -> u64 {
        self.random.random_range(from..=to)
    }

    fn happens(&mut self, of_thousand: u64) -> bool {
        self.draw(1, 1_000) <= of_thousand
    }

    fn push(&mut self, host: usize, at: Micros, due: Option<Micros>, event: Event) {
        self.numbered += 1;
        self.queue.push(Reverse(Queued {
            at,
            number: self.numbered,
            host,
            process: self.hosts[host].process,
            due,
            event,
        }));
    }

    fn schedule(&mut self, host: usize, wait: Micros, event: Event) {
        self.push(host, self.now + wait, None, event);
    }

    /// A timer by the machine's clock.
    fn schedule_timer(&mut self, host: usize, wait: Micros, event: Event) {
        let clock = self.hosts[host].clock;
        let due = clock.micros(self.now) + wait;
        self.push(host, self.now + clock.true_wait(wait), Some(due), event);
    }

    fn schedule_at(&mut self, host: usize, moment: BootTime, event: Event) {
        let wait = micros(moment.since(self.local(host)));
        self.schedule_timer(host, wait, event);
    }

    fn schedule_fault(&mut self) {
        let mean = self.plan.fault_every;
        let wait = self.draw(0, 2 * mean);
        self.schedule(0, wait, Event::Fault);
    }

    fn take(&mut self, mut queued: Queued) {
        let host = &self.hosts[queued.host];
        let (of_machine, of_service) = queued.event.waits(self.guards.has_gate);
        if of_machine {
            if queued.process != host.process {
                return;
            }
            let clock = host.clock;
            let until = host.paused_until(of_service);
            if self.now < until {
                queued.at = until;
                self.queue.push(Reverse(queued));
                return;
            }
            // The clock stood still for a while.
            let left = queued
                .due
                .map(|due| due.saturating_sub(clock.micros(self.now)));
            if let Some(left) = left.filter(|left| *left > 0) {
                queued.at = self.now + clock.true_wait(left);
                self.queue.push(Reverse(queued));
                return;
            }
        }
        self.handle(queued.host, queued.event);
    }

    fn handle(&mut self, host: usize, event: Event) {
        match event {
            Event::Start => self.start_service(host),
            Event::BeatDue => self.on_beat_due(host),
            Event::SoftDue => self.on_soft(host),
            Event::Expired => self.on_expired(host),
            Event::Answered(number, answer) => self.on_answer(host, number, answer),
            Event::TimedOut(number) => self.on_timeout(host, number),
            Event::Deadline => self.on_deadline(host),
            Event::WantsTunnel(chrome, attempt) => self.on_wants_tunnel(chrome, attempt),
            Event::Connected(chrome, attempt) => self.on_connected(chrome, attempt),
            Event::LogsIn(chrome, attempt) => self.on_logs_in(chrome, attempt),
            Event::Replaced(chrome, attempt) => self.on_replaced(chrome, attempt),
            Event::Closed(chrome) => self.on_closed(chrome),
            Event::Arrives(number, asked) => self.on_arrival(host, number, asked),
            Event::Fault => {
                self.strike();
                self.schedule_fault();
            }
            Event::Suspends => self.suspend(host),
            Event::Healed => self.heal(host),
            Event::PowersOn => self.power_on(host),
            Event::Promotes(fell, loss) => {
                self.engine.promote(fell, loss);
                self.show_owners();
            }
            Event::Restarted => self.engine.is_up = true,
        }
    }

    fn local(&self, host: usize) -> BootTime {
        self.hosts[host].clock.read(self.now)
    }

    fn service(&mut self, host: usize) -> Option<&mut Service> {
        self.hosts[host].service.as_mut()
    }

    fn holder(&self, host: usize) -> Option<&Holder> {
        self.hosts[host].service.as_ref()?.holder.as_ref()
    }

    fn holder_mut(&mut self, host: usize) -> Option<&mut Holder> {
        self.service(host)?.holder.as_mut()
    }

    fn session_of(&self, id: &ClienteId) -> usize {
        self.session_ids
            .iter()
            .position(|known| known == id)
            .unwrap()
    }

    // The engine.

    fn ask(&mut self, host: usize, asked: Asked) {
        self.numbered += 1;
        let number = self.numbered;
        let Some(service) = self.service(host) else {
            return;
        };
        service.under_way.insert(number, asked);
        let timeout = micros(self.timings.statement_timeout);
        self.schedule_timer(host, timeout, Event::TimedOut(number));
        if self.now < self.hosts[host].cut_from_engine {
            return;
        }
        let latency = self.latency(host);
        self.schedule(host, latency, Event::Arrives(number, asked));
    }

    /// A few are late by far: a lost packet, a lock, a queue before the engine.
    fn latency(&mut self, host: usize) -> Micros {
        let of_thousand = if self.now < self.hosts[host].slow {
            300
        } else {
            3
        };
        if self.happens(of_thousand) {
            self.draw(100 * MILLISECOND, 20 * SECOND)
        } else {
            self.draw(MILLISECOND, 20 * MILLISECOND)
        }
    }

    fn shown(&self, host: usize, incarnation: u128) -> Box<Shown> {
        Box::new(Shown {
            rows: self.engine.rows,
            claims: self.engine.claims_of(host, incarnation),
            timeline: self.engine.timeline,
            settled: self.engine.settled(),
            is_synchronous: self.engine.is_synchronous,
        })
    }

    /// A statement is executed, also one whose service is gone by now.
    fn on_arrival(&mut self, host: usize, number: u64, asked: Asked) {
        if !self.engine.is_up {
            return;
        }
        let now = self.now;
        let is_here = |timeline: u32, engine: &Engine| timeline == engine.timeline;
        let answer = match asked {
            Asked::Look { .. } => Answer::Rows(self.shown(host, 0)),
            Asked::Register {
                incarnation,
                former,
                with_sessions,
                timeline,
                ..
            } => {
                let entry = HostEntry {
                    boot: self.hosts[host].boot,
                    incarnation,
                    beats: 0,
                    is_dead: false,
                    settled: None,
                    beaten_at: self.hosts[host].wall(now),
                };
                let registered = is_here(timeline, &self.engine)
                    .then(|| {
                        self.engine
                            .register(now, host, entry, former, with_sessions)
                    })
                    .flatten();
                Answer::Registered(registered, self.shown(host, incarnation))
            }
            Asked::Beat {
                incarnation,
                settled,
                shown,
                ..
            } => {
                let counted = self.engine.beat(now, host, incarnation, settled, shown);
                Answer::Beaten(counted, self.shown(host, incarnation))
            }
            Asked::MarkDead {
                host: silent,
                incarnation,
                beats,
                timeline,
            } => {
                if is_here(timeline, &self.engine) {
                    self.engine.mark_dead(now, silent, incarnation, beats);
                }
                Answer::Done(true)
            }
            Asked::Claim {
                permit,
                incarnation,
                session,
                seen,
            } => {
                let before = self.engine.rows.sessions[session];
                let is_of_this_timeline = permit.timeline.0 == self.engine.timeline;
                let claim = is_of_this_timeline
                    .then(|| self.engine.claim(now, host, incarnation, session, seen))
                    .flatten();
                if claim.is_some() && before.last_host.is_some_and(|last| last != host) {
                    self.judge.verdict.takeovers += 1;
                }
                Answer::Claimed(claim)
            }
            Asked::SetDirty { session, claim } => {
                Answer::Done(self.engine.set_dirty(now, session, claim))
            }
            Asked::Release {
                session,
                claim,
                move_to,
            } => Answer::Done(self.engine.release(now, session, claim, move_to)),
            Asked::IsMine { session, claim, .. } => {
                Answer::Done(self.engine.is_owner(session, claim))
            }
        };
        self.show_owners();
        if self.now < self.hosts[host].cut_from_engine {
            return;
        }
        let latency = self.latency(host);
        self.schedule(host, latency, Event::Answered(number, answer));
    }

    fn show_owners(&mut self) {
        for (session, row) in self.engine.rows.sessions.iter().enumerate() {
            let owner = row.owner.map(|owner| owner.claim);
            self.judge.see_owner(self.now, session, owner);
        }
    }

    // The service.

    fn start_service(&mut self, host: usize) {
        let arrival = Arrival::new(self.timings, boot_id(self.hosts[host].boot));
        self.hosts[host].service = Some(Service {
            arrival: Some(arrival),
            holder: None,
            observer: Observer::new(&self.timings),
            under_way: BTreeMap::new(),
            is_beating: false,
            doing: [Doing::Nothing; SESSIONS],
            is_claiming: [false; SESSIONS],
            vacant: [None; SESSIONS],
            last_yes: [None; SESSIONS],
        });
        self.on_beat_due(host);
    }

    fn on_beat_due(&mut self, host: usize) {
        self.schedule_timer(host, micros(self.timings.beat), Event::BeatDue);
        let sent = self.local(host);
        let shown = self.hosts[host].wall(self.now);
        let Some(service) = self.service(host) else {
            return;
        };
        if service.is_beating {
            return;
        }
        service.is_beating = true;
        let asked = match &mut service.holder {
            None => Asked::Look { sent },
            Some(holder) => Asked::Beat {
                beat: holder.send_beat(sent),
                incarnation: holder.incarnation().bits(),
                settled: holder.settled(sent).map(|timeline| timeline.0),
                shown,
            },
        };
        self.ask(host, asked);
    }

    fn on_timeout(&mut self, host: usize, number: u64) {
        let now = self.local(host);
        let Some(service) = self.hosts[host].service.as_mut() else {
            return;
        };
        let Some(asked) = service.under_way.remove(&number) else {
            return;
        };
        match asked {
            Asked::Look { .. } => {
                service.is_beating = false;
                if let Some(arrival) = &mut service.arrival {
                    arrival.on_failed_reading();
                }
            }
            Asked::Beat { .. } => {
                service.is_beating = false;
                service.observer.on_failed_reading();
            }
            Asked::Register { .. } => service.is_beating = false,
            Asked::MarkDead { .. } => {}
            Asked::Claim { session, .. } => service.is_claiming[session] = false,
            Asked::SetDirty { session, .. } => service.doing[session] = Doing::Nothing,
            Asked::Release { session, .. } => {
                service.doing[session] = Doing::Nothing;
                if self.guards.claims_found_anew
                    && let Some(holder) = &mut service.holder
                {
                    holder.let_go(&self.session_ids[session], now);
                }
            }
            Asked::IsMine { chrome, .. } => self.judge_tunnel(chrome, None),
        }
    }

    fn on_answer(&mut self, host: usize, number: u64, answer: Answer) {
        let now = self.local(host);
        let Some(service) = self.service(host) else {
            return;
        };
        let Some(asked) = service.under_way.remove(&number) else {
            return;
        };
        match (asked, answer) {
            (Asked::Look { sent }, Answer::Rows(shown)) => {
                service.is_beating = false;
                self.on_look(host, sent, &shown);
            }
            (
                Asked::Register {
                    sent, incarnation, ..
                },
                Answer::Registered(claims, shown),
            ) => {
                service.is_beating = false;
                if claims.is_some() {
                    self.on_registered(host, sent, incarnation, &shown);
                }
            }
            (Asked::Beat { beat, .. }, Answer::Beaten(beats, shown)) => {
                service.is_beating = false;
                self.on_beaten(host, beat, beats, &shown);
            }
            (Asked::Claim { session, .. }, Answer::Claimed(claim)) => {
                service.is_claiming[session] = false;
                if let Some(claim) = claim {
                    let id = self.session_ids[session].clone();
                    let service = self.hosts[host].service.as_mut().unwrap();
                    if let Some(holder) = &mut service.holder {
                        holder.claimed(id, Claim::from_random(claim), now);
                    }
                    self.start_missing(host);
                }
            }
            (Asked::SetDirty { session, claim }, Answer::Done(is_done)) => {
                self.on_dirty(host, session, claim, is_done);
            }
            (Asked::Release { session, .. }, Answer::Done(_)) => {
                service.doing[session] = Doing::Nothing;
                let id = self.session_ids[session].clone();
                let service = self.hosts[host].service.as_mut().unwrap();
                if let Some(holder) = &mut service.holder {
                    holder.let_go(&id, now);
                }
            }
            (
                Asked::IsMine {
                    sent,
                    chrome,
                    session,
                    ..
                },
                Answer::Done(is_mine),
            ) => {
                service.last_yes[session] = is_mine.then_some(sent);
                self.judge_tunnel(
                    chrome,
                    Some(Word {
                        asked: sent,
                        is_mine,
                    }),
                );
            }
            (Asked::MarkDead { .. }, Answer::Done(_)) => {}
            (asked, answer) => panic!("{answer:?} is no answer to {asked:?}"),
        }
    }

    fn on_look(&mut self, host: usize, sent: BootTime, shown: &Shown) {
        let reading = self.reading(host, sent, shown);
        let row = shown.rows.hosts[host];
        let former = row.map(|row| Former {
            boot_id: boot_id(row.boot),
            row: self.host_row(host, row),
        });
        let Some(arrival) = self.hosts[host]
            .service
            .as_mut()
            .and_then(|s| s.arrival.as_mut())
        else {
            return;
        };
        match arrival.on_reading(reading, former.as_ref()) {
            MayRegister::Now { with_sessions } => {
                let asked = Asked::Register {
                    sent: self.local(host),
                    incarnation: self.engine.draw(),
                    former: row.map(|row| (row.incarnation, row.beats)),
                    with_sessions: with_sessions || !self.guards.waits_after_failover,
                    timeline: shown.timeline,
                };
                self.service(host).unwrap().is_beating = true;
                self.ask(host, asked);
            }
            MayRegister::Wait => {}
            MayRegister::MarkDead(silent) => self.ask(
                host,
                Asked::MarkDead {
                    host,
                    incarnation: silent.incarnation.bits(),
                    beats: Some(silent.beats),
                    timeline: silent.timeline.0,
                },
            ),
            MayRegister::InUse => {
                self.end_service(host);
                self.schedule(host, 10 * SECOND, Event::Start);
            }
        }
    }

    fn on_registered(&mut self, host: usize, sent: BootTime, incarnation: u128, shown: &Shown) {
        let now = self.local(host);
        let counted = self.counted(0, shown);
        let incarnation = Incarnation::from_random(incarnation);
        let holder = Holder::registered(self.timings, incarnation, sent, counted, now);
        let service = self.service(host).unwrap();
        service.arrival = None;
        service.holder = Some(holder);
        self.renew(host);
        self.start_missing(host);
    }

    fn on_beaten(&mut self, host: usize, beat: Beat, beats: Option<u64>, shown: &Shown) {
        let now = self.local(host);
        let answer = match beats {
            Some(beats) => BeatAnswer::Counted(self.counted(beats, shown)),
            None => BeatAnswer::NoRow,
        };
        let Some(holder) = self.holder_mut(host) else {
            return;
        };
        match holder.on_answer(beat, answer, now) {
            AfterBeat::Goes { lost, found } => {
                self.renew(host);
                for session in lost {
                    let session = self.session_of(&session);
                    if self.guards.rereads_claims {
                        self.drop_session(host, session);
                    }
                }
                for (session, claim) in found {
                    self.on_found(host, self.session_of(&session), claim);
                }
                self.observe(host, beat.sent, shown);
                self.claim_vacant(host, shown);
                self.start_missing(host);
            }
            AfterBeat::Outdated => {}
            AfterBeat::Over(_) => self.end_incarnation(host),
        }
    }

    fn on_found(&mut self, host: usize, session: usize, claim: Claim) {
        let now = self.local(host);
        let id = self.session_ids[session].clone();
        let service = self.hosts[host].service.as_mut().unwrap();
        let holder = service.holder.as_mut().unwrap();
        if self.guards.claims_found_anew {
            if let Ok(permit) = holder.may_claim(now) {
                self.ask_claim(host, permit, session, Some(claim.bits()));
            }
        } else {
            holder.claimed(id, claim, now);
        }
    }

    /// Gate and watchdog are told.
    fn renew(&mut self, host: usize) {
        let Some(lease) = self.holder(host) else {
            return;
        };
        let lease = lease.lease();
        self.hosts[host].lease = Some(lease);
        self.schedule_at(host, lease.soft_deadline(), Event::SoftDue);
        if !self.hosts[host].awaits_deadline {
            self.hosts[host].awaits_deadline = true;
            self.schedule_at(host, lease.hard_deadline(), Event::Deadline);
        }
        self.look_at(host);
    }

    fn observe(&mut self, host: usize, sent: BootTime, shown: &Shown) {
        let reading = self.reading(host, sent, shown);
        let others = shown
            .rows
            .hosts
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != host);
        let others: Vec<_> = others
            .filter_map(|(other, row)| Some((other, (*row)?)))
            .collect();
        let rows: Vec<_> = others
            .iter()
            .map(|(other, row)| self.host_row(*other, *row))
            .collect();
        let silent = self
            .service(host)
            .unwrap()
            .observer
            .on_reading(reading, &rows);
        if self.guards.own_clock {
            for silent in silent {
                let other = self
                    .host_ids
                    .iter()
                    .position(|id| *id == silent.host)
                    .unwrap();
                self.ask(
                    host,
                    Asked::MarkDead {
                        host: other,
                        incarnation: silent.incarnation.bits(),
                        beats: Some(silent.beats),
                        timeline: silent.timeline.0,
                    },
                );
            }
            return;
        }
        // By what the other's clock showed at its last beat.
        let wall = self.hosts[host].wall(self.now);
        let age = micros(self.timings.silence);
        for (other, row) in others {
            if !row.is_dead && row.beaten_at + age < wall {
                self.ask(
                    host,
                    Asked::MarkDead {
                        host: other,
                        incarnation: row.incarnation,
                        beats: None,
                        timeline: shown.timeline,
                    },
                );
            }
        }
    }

    fn claim_vacant(&mut self, host: usize, shown: &Shown) {
        let now = self.local(host);
        let service = self.hosts[host].service.as_mut().unwrap();
        let holder = service.holder.as_ref().unwrap();
        let permit = match holder.may_claim(now) {
            Ok(permit) => permit,
            Err(NotNow::AfterFailover { .. }) if !self.guards.waits_after_failover => Permit {
                incarnation: holder.incarnation(),
                timeline: Timeline(shown.timeline),
            },
            Err(_) => return,
        };
        let own = holder.incarnation().bits();
        let mut room = ROOM
            .saturating_sub(holder.held().count())
            .min(CLAIMS_AT_ONCE);
        let mut wanted = Vec::new();
        let first = self.random.random_range(0..SESSIONS);
        for session in (first..SESSIONS).chain(0..first) {
            let row = shown.rows.sessions[session];
            let is_vacant = row.owner.is_none_or(|owner| {
                (owner.host, owner.incarnation) != (host, own) && shown.rows.is_gone(owner)
            });
            if !is_vacant {
                service.vacant[session] = None;
                continue;
            }
            let known = service.vacant[session].filter(|(owner, _)| *owner == row.owner);
            let (_, since) = *service.vacant[session].insert(known.unwrap_or((row.owner, now)));
            let vacancy = Vacancy {
                is_dirty: row.is_dirty,
                last_host: row.last_host.map(|last| &self.host_ids[last]),
                move_to: row.move_to.map(|target| &self.host_ids[target]),
                for_long: now.since(since),
            };
            let wait = vacancy.wait_of(&self.host_ids[host], self.plan.stale_takeover);
            if wait.is_zero() && room > 0 && !service.is_claiming[session] {
                room -= 1;
                wanted.push((session, row.owner.map(|owner| owner.claim)));
            }
        }
        for (session, seen) in wanted {
            self.ask_claim(host, permit, session, seen);
        }
    }

    fn ask_claim(&mut self, host: usize, permit: Permit, session: usize, seen: Option<u128>) {
        self.service(host).unwrap().is_claiming[session] = true;
        let asked = Asked::Claim {
            permit,
            incarnation: permit.incarnation.bits(),
            session,
            seen,
        };
        self.ask(host, asked);
    }

    /// Each session that this host holds, and for which it does nothing, is started.
    fn start_missing(&mut self, host: usize) {
        let now = self.local(host);
        let service = self.hosts[host].service.as_ref().unwrap();
        let Some(holder) = &service.holder else {
            return;
        };
        let mut missing = Vec::new();
        for (id, _) in holder.held() {
            let session = self.session_of(id);
            if service.doing[session] == Doing::Nothing
                && self.hosts[host].chromes[session].is_none()
                && let Some(claim) = holder.claim_of(id, now)
            {
                missing.push((session, claim.bits()));
            }
        }
        for (session, claim) in missing {
            self.service(host).unwrap().doing[session] = Doing::Starting;
            self.ask(host, Asked::SetDirty { session, claim });
        }
    }

    fn on_dirty(&mut self, host: usize, session: usize, claim: u128, is_done: bool) {
        let now = self.local(host);
        let id = self.session_ids[session].clone();
        if self.hosts[host].chromes[session].is_some() {
            return;
        }
        let service = self.hosts[host].service.as_mut().unwrap();
        service.doing[session] = Doing::Nothing;
        let Some(holder) = &mut service.holder else {
            return;
        };
        if holder.claim_of(&id, now) != Some(Claim::from_random(claim)) {
            return;
        }
        if !is_done {
            holder.let_go(&id, now);
            return;
        }
        service.doing[session] = Doing::Running;
        let chrome = self.chromes.len();
        self.chromes.push(Chrome {
            host,
            session,
            claim,
            is_alive: true,
            tunnel: Tunnel::None,
            attempt: 0,
            replaced: None,
        });
        self.hosts[host].chromes[session] = Some(chrome);
        self.look_at(host);
        let loads = self.draw(3 * SECOND, 10 * SECOND);
        self.schedule(host, loads, Event::WantsTunnel(chrome, 0));
    }

    fn on_soft(&mut self, host: usize) {
        let now = self.local(host);
        let Some(holder) = self.holder(host) else {
            return;
        };
        if holder.state_at(now) != LeaseState::Expiring {
            return;
        }
        for session in 0..SESSIONS {
            self.close_in_order(host, session, None);
        }
    }

    fn close_in_order(&mut self, host: usize, session: usize, move_to: Option<usize>) {
        let Some(chrome) = self.hosts[host].chromes[session] else {
            return;
        };
        let Some(service) = self.service(host) else {
            return;
        };
        if service.doing[session] != Doing::Running {
            return;
        }
        service.doing[session] = Doing::Closing(move_to);
        let takes = self.draw(500 * MILLISECOND, 3 * SECOND);
        self.schedule(host, takes, Event::Closed(chrome));
    }

    fn on_closed(&mut self, chrome: usize) {
        let Chrome {
            host,
            session,
            claim,
            is_alive,
            ..
        } = self.chromes[chrome];
        if !is_alive {
            return;
        }
        self.kill(chrome);
        let now = self.local(host);
        let id = self.session_ids[session].clone();
        let Some(service) = self.service(host) else {
            return;
        };
        let doing = std::mem::take(&mut service.doing[session]);
        let holder = service.holder.as_ref();
        if let Doing::Closing(Some(move_to)) = doing
            && holder
                .and_then(|holder| holder.claim_of(&id, now))
                .is_some()
        {
            service.doing[session] = Doing::Releasing;
            let asked = Asked::Release {
                session,
                claim,
                move_to,
            };
            self.ask(host, asked);
        }
    }

    fn drop_session(&mut self, host: usize, session: usize) {
        if let Some(chrome) = self.hosts[host].chromes[session] {
            self.kill(chrome);
        }
        if let Some(service) = self.service(host) {
            service.doing[session] = Doing::Nothing;
        }
    }

    fn on_expired(&mut self, host: usize) {
        let now = self.local(host);
        let Some(holder) = self.holder_mut(host) else {
            return;
        };
        if holder.over_at(now).is_some() {
            self.end_incarnation(host);
        }
    }

    /// Kills every Chrome, and begins a new incarnation.
    fn end_incarnation(&mut self, host: usize) {
        self.kill_all(host);
        self.hosts[host].lease = None;
        self.hosts[host].process += 1;
        self.hosts[host].awaits_deadline = false;
        self.start_service(host);
    }

    /// Of gate and watchdog. Without them, the service notices by itself.
    fn on_deadline(&mut self, host: usize) {
        let Some(lease) = self.hosts[host].lease else {
            self.hosts[host].awaits_deadline = false;
            return;
        };
        if tunnel::may_forward(&lease, self.local(host)) {
            self.schedule_at(host, lease.hard_deadline(), Event::Deadline);
            return;
        }
        self.hosts[host].awaits_deadline = false;
        self.look_at(host);
        if self.guards.has_watchdog {
            self.kill_all(host);
        }
        self.schedule(host, 10 * MILLISECOND, Event::Expired);
    }

    // Chromes.

    fn kill(&mut self, chrome: usize) {
        let Chrome { host, session, .. } = self.chromes[chrome];
        self.chromes[chrome].is_alive = false;
        self.chromes[chrome].tunnel = Tunnel::None;
        self.hosts[host].chromes[session] = None;
        self.judge.see_end(self.now, session, chrome);
    }

    fn kill_all(&mut self, host: usize) {
        for session in 0..SESSIONS {
            if let Some(chrome) = self.hosts[host].chromes[session] {
                self.kill(chrome);
            }
        }
    }

    /// Whether it is the attempt that the event belongs to.
    fn is_current(&self, chrome: usize, attempt: u64) -> bool {
        self.chromes[chrome].is_alive && self.chromes[chrome].attempt == attempt
    }

    fn retry(&mut self, chrome: usize, wait: Micros) {
        self.chromes[chrome].attempt += 1;
        self.chromes[chrome].tunnel = Tunnel::None;
        let Chrome { host, attempt, .. } = self.chromes[chrome];
        self.look_at(host);
        self.schedule(host, wait, Event::WantsTunnel(chrome, attempt));
    }

    fn is_cut_from_whatsapp(&self, host: usize) -> bool {
        self.now < self.hosts[host].cut_from_whatsapp
    }

    fn on_wants_tunnel(&mut self, chrome: usize, attempt: u64) {
        if !self.is_current(chrome, attempt) {
            return;
        }
        let host = self.chromes[chrome].host;
        if self.is_cut_from_whatsapp(host) {
            self.retry(chrome, 2 * SECOND);
            return;
        }
        let latency = self.draw(5 * MILLISECOND, 50 * MILLISECOND);
        self.schedule(host, latency, Event::Connected(chrome, attempt));
    }

    fn on_connected(&mut self, chrome: usize, attempt: u64) {
        if !self.is_current(chrome, attempt) {
            return;
        }
        let Chrome {
            host,
            session,
            claim,
            ..
        } = self.chromes[chrome];
        let sent = self.local(host);
        self.chromes[chrome].tunnel = Tunnel::Stands(sent, self.now);
        let rule = self.guards.tunnel;
        let last_yes = self
            .service(host)
            .and_then(|service| service.last_yes[session]);
        let is_recent = last_yes.is_some_and(|asked| sent.since(asked) <= tunnel::WORD_LIFETIME);
        if !self.guards.has_gate
            || rule == TunnelRule::Free
            || (rule == TunnelRule::RecentWord && is_recent)
        {
            self.log_in(chrome);
            return;
        }
        let asked = Asked::IsMine {
            sent,
            session,
            claim,
            chrome,
        };
        self.ask(host, asked);
    }

    fn judge_tunnel(&mut self, chrome: usize, word: Option<Word>) {
        let Chrome {
            host,
            is_alive,
            tunnel,
            ..
        } = self.chromes[chrome];
        let Tunnel::Stands(connected, _) = tunnel else {
            return;
        };
        let Some(lease) = self.hosts[host].lease.filter(|_| is_alive) else {
            return;
        };
        let now = self.local(host);
        let may = match word {
            None if self.guards.tunnel == TunnelRule::DeadlineWithoutWord => {
                tunnel::may_forward(&lease, now)
            }
            word => tunnel::may_open(&lease, connected, word, now).is_ok(),
        };
        if may {
            self.log_in(chrome);
        } else {
            self.retry(chrome, 3 * SECOND);
        }
    }

    fn log_in(&mut self, chrome: usize) {
        let takes = self.draw(300 * MILLISECOND, 2 * SECOND);
        let Chrome { host, attempt, .. } = self.chromes[chrome];
        self.schedule(host, takes, Event::LogsIn(chrome, attempt));
    }

    /// WhatsApp's server accepts the newest login of a device, and closes the connection of the one before.
    fn on_logs_in(&mut self, chrome: usize, attempt: u64) {
        let Tunnel::Stands(_, since) = self.chromes[chrome].tunnel else {
            return;
        };
        if !self.is_current(chrome, attempt) {
            return;
        }
        let Chrome { host, session, .. } = self.chromes[chrome];
        if self.is_cut_from_whatsapp(host) || since + LOGIN_PATIENCE < self.now {
            self.retry(chrome, 2 * SECOND);
            return;
        }
        if !self.passes_gate(host) {
            return;
        }
        for other in 0..HOSTS {
            if let Some(other) = self.hosts[other].chromes[session].filter(|other| *other != chrome)
                && self.chromes[other].tunnel == Tunnel::Accepted
            {
                self.chromes[other].tunnel = Tunnel::None;
                self.chromes[other].attempt += 1;
                let Chrome { host, attempt, .. } = self.chromes[other];
                self.look_at(host);
                self.schedule(host, 10 * MILLISECOND, Event::Replaced(other, attempt));
            }
        }
        if let Some(replaced) = self.chromes[chrome].replaced.take() {
            self.judge.see_fight(session, chrome, replaced, self.now);
        }
        self.chromes[chrome].tunnel = Tunnel::Accepted;
        self.judge.verdict.logins += 1;
        self.look_at(host);
    }

    fn on_replaced(&mut self, chrome: usize, attempt: u64) {
        if self.is_current(chrome, attempt) {
            self.chromes[chrome].replaced.get_or_insert(self.now);
            self.retry(chrome, 500 * MILLISECOND);
        }
    }

    fn passes_gate(&self, host: usize) -> bool {
        let host = &self.hosts[host];
        let is_open = |lease| tunnel::may_forward(lease, host.clock.read(self.now));
        !self.guards.has_gate
            || (host.service_paused <= self.now && host.lease.as_ref().is_some_and(is_open))
    }

    /// Shows the judge what this host's Chromes do from here on.
    fn look_at(&mut self, host: usize) {
        let is_awake = self.hosts[host].machine_paused <= self.now;
        let passes = is_awake && !self.is_cut_from_whatsapp(host) && self.passes_gate(host);
        for session in 0..SESSIONS {
            if let Some(chrome) = self.hosts[host].chromes[session] {
                let Chrome { claim, tunnel, .. } = self.chromes[chrome];
                let carries = passes && tunnel == Tunnel::Accepted;
                self.judge
                    .see(self.now, session, (chrome, claim), carries, is_awake);
            }
        }
    }

    // Faults.

    fn strike(&mut self) {
        let host = self.random.random_range(0..HOSTS);
        let of = self.plan.faults;
        let kinds: [(u64, Strike); 11] = [
            (of.service_pauses, Self::pause_service),
            (of.suspensions, Self::suspend_soon),
            (of.stops, Self::stop_all),
            (of.cuts, Self::cut_from_engine),
            (of.cuts, Self::cut_from_whatsapp),
            (of.kills, Self::kill_service),
            (of.crashes, Self::crash),
            (of.failovers, Self::fail_over),
            (of.moves, Self::move_one),
            (of.delays, Self::slow_down),
            (of.drops, Self::drop_connections),
        ];
        let all = kinds.iter().map(|(weight, _)| weight).sum();
        let mut at = self.draw(1, all);
        for (weight, strike) in kinds {
            if at <= weight {
                strike(self, host);
                return;
            }
            at -= weight;
        }
    }

    /// Short ones are as likely as those around the deadlines and long ones.
    fn long(&mut self) -> Micros {
        let most = [10 * SECOND, 100 * SECOND, 150 * SECOND, 400 * SECOND];
        let most = most[self.random.random_range(0..most.len())];
        self.draw(SECOND, most)
    }

    fn until(&mut self, host: usize) -> Micros {
        let long = self.long();
        self.schedule(host, long, Event::Healed);
        self.now + long
    }

    /// SIGSTOP of the service alone.
    fn pause_service(&mut self, host: usize) {
        self.hosts[host].service_paused = self.until(host);
        self.look_at(host);
    }

    /// Of the two faults together, a tunnel is opened shortly before the machine is suspended.
    fn suspend_soon(&mut self, host: usize) {
        let wait = if self.happens(300) {
            self.drop_connections(host);
            self.draw(0, 4 * SECOND)
        } else {
            0
        };
        self.schedule(host, wait, Event::Suspends);
    }

    /// A virtual machine is suspended: its clock stands still.
    fn suspend(&mut self, host: usize) {
        let until = self.until(host);
        let now = self.now;
        let host = &mut self.hosts[host];
        host.clock.stop(now);
        host.machine_paused = host.machine_paused.max(until);
        self.look_at_all();
    }

    /// SIGSTOP of service, watchdog and Chromes: the clock goes on.
    fn stop_all(&mut self, host: usize) {
        let until = self.until(host);
        let host = &mut self.hosts[host];
        host.machine_paused = host.machine_paused.max(until);
        self.look_at_all();
    }

    fn cut_from_engine(&mut self, host: usize) {
        self.hosts[host].cut_from_engine = self.until(host);
    }

    fn cut_from_whatsapp(&mut self, host: usize) {
        self.hosts[host].cut_from_whatsapp = self.until(host);
        self.look_at(host);
    }

    fn slow_down(&mut self, host: usize) {
        self.hosts[host].slow = self.until(host);
    }

    fn end_service(&mut self, host: usize) {
        // PDEATHSIG: its Chromes end with it.
        self.kill_all(host);
        let host = &mut self.hosts[host];
        host.process += 1;
        host.service = None;
        host.lease = None;
        host.awaits_deadline = false;
        host.service_paused = 0;
    }

    fn kill_service(&mut self, host: usize) {
        if self.hosts[host].is_powered && self.hosts[host].machine_paused <= self.now {
            self.end_service(host);
            let wait = self.draw(SECOND, 10 * SECOND);
            self.schedule(host, wait, Event::Start);
        }
    }

    fn crash(&mut self, host: usize) {
        let powered = self.hosts.iter().filter(|host| host.is_powered).count();
        if !self.hosts[host].is_powered || powered <= 2 {
            return;
        }
        self.end_service(host);
        self.hosts[host].is_powered = false;
        self.hosts[host].machine_paused = 0;
        let wait = if self.happens(200) {
            self.plan.length
        } else {
            self.draw(20 * SECOND, 300 * SECOND)
        };
        self.schedule(host, wait, Event::PowersOn);
    }

    fn power_on(&mut self, host: usize) {
        let rate = self.draw(TRUE_RATE - MAX_RATE_ERROR, TRUE_RATE + MAX_RATE_ERROR);
        self.hosts[host].set_clock(Clock::started(rate, self.now), self.now);
        self.hosts[host].boot = self.engine.draw();
        self.hosts[host].is_powered = true;
        self.hosts[host].machine_paused = 0;
        self.schedule(host, 0, Event::Start);
    }

    fn fail_over(&mut self, host: usize) {
        if !self.engine.is_up {
            return;
        }
        self.engine.is_up = false;
        // A person, or a script, promotes at once; Patroni waits.
        let most = if self.happens(300) {
            2 * SECOND
        } else {
            40 * SECOND
        };
        let away = self.draw(300 * MILLISECOND, most);
        if self.happens(200) {
            // It restarts, and loses nothing.
            self.schedule(host, away, Event::Restarted);
            return;
        }
        let loss = self.draw(0, MAX_LOSS);
        self.schedule(host, away, Event::Promotes(self.now, loss));
    }

    fn move_one(&mut self, host: usize) {
        let session = self.random.random_range(0..SESSIONS);
        let target = self.random.random_range(0..HOSTS);
        let now = self.local(host);
        let is_awake = self.hosts[host].paused_until(true) <= self.now;
        let holder = self.holder(host);
        if is_awake && holder.is_some_and(|holder| holder.state_at(now) == LeaseState::Held) {
            self.close_in_order(host, session, Some(target));
        }
    }

    /// Each connection of the host breaks, and must be opened again.
    fn drop_connections(&mut self, host: usize) {
        for session in 0..SESSIONS {
            if let Some(chrome) = self.hosts[host].chromes[session]
                && self.chromes[chrome].tunnel == Tunnel::Accepted
            {
                self.retry(chrome, 200 * MILLISECOND);
            }
        }
    }

    /// Something of this host goes on; what has been struck again meanwhile does not.
    fn heal(&mut self, host: usize) {
        let now = self.now;
        let was_cut = self.hosts[host].cut_from_whatsapp == now;
        if self.hosts[host].machine_paused <= now {
            self.hosts[host].clock.go_on(now);
        }
        if was_cut && self.happens(500) {
            self.drop_connections(host);
        }
        self.look_at(host);
    }

    fn look_at_all(&mut self) {
        for host in 0..HOSTS {
            self.look_at(host);
        }
    }

    // Between the simulation's numbers and the types of the module.

    fn reading(&self, host: usize, sent: BootTime, shown: &Shown) -> Reading {
        Reading {
            sent,
            received: self.local(host),
            engine: engine_word(shown),
        }
    }

    fn host_row(&self, host: usize, row: HostEntry) -> HostRow {
        HostRow {
            host: self.host_ids[host].clone(),
            incarnation: Incarnation::from_random(row.incarnation),
            beats: row.beats,
            is_dead: row.is_dead,
        }
    }

    fn counted(&self, beats: u64, shown: &Shown) -> Counted {
        let claims = shown.claims.iter();
        let claims = claims.map(|(session, claim)| {
            (
                self.session_ids[*session].clone(),
                Claim::from_random(*claim),
            )
        });
        Counted {
            beats,
            engine: engine_word(shown),
            claims: claims.collect(),
        }
    }
}

fn engine_word(shown: &Shown) -> EngineWord {
    EngineWord {
        timeline: Timeline(shown.timeline),
        is_synchronous: shown.is_synchronous,
        settled: shown.settled.map(Timeline),
    }
}

fn boot_id(boot: u128) -> BootId {
    format!("{boot:032x}").parse().unwrap()
}
