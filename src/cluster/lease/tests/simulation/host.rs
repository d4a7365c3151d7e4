//! One machine of the simulation: its clock, its service, its Chromes and what keeps them from each other.

use std::collections::BTreeMap;

use super::{
    SESSIONS,
    clock::{Clock, Micros},
    engine::{Owner, Rows},
};
use crate::cluster::lease::{Arrival, Beat, BootTime, Holder, Lease, Observer, Permit};

#[derive(Debug)]
pub(super) struct Host {
    pub(super) clock: Clock,
    /// What its wall clock showed when its machine was started.
    wall: Micros,
    pub(super) boot: u128,
    pub(super) is_powered: bool,
    /// Counted up with each start and each end of the service: what belongs to an earlier process comes to nothing.
    pub(super) process: u64,
    pub(super) service: Option<Service>,
    /// What gate and watchdog have been told.
    pub(super) lease: Option<Lease>,
    pub(super) awaits_deadline: bool,
    pub(super) chromes: [Option<usize>; SESSIONS],

    // Faults, each until a moment.
    pub(super) machine_paused: Micros,
    pub(super) service_paused: Micros,
    pub(super) cut_from_engine: Micros,
    pub(super) cut_from_whatsapp: Micros,
    pub(super) slow: Micros,
}

impl Host {
    pub(super) fn new(clock: Clock, boot: u128) -> Self {
        Self {
            clock,
            wall: 0,
            boot,
            is_powered: true,
            process: 0,
            service: None,
            lease: None,
            awaits_deadline: false,
            chromes: [None; SESSIONS],
            machine_paused: 0,
            service_paused: 0,
            cut_from_engine: 0,
            cut_from_whatsapp: 0,
            slow: 0,
        }
    }

    /// A machine that starts has the true time.
    pub(super) fn set_clock(&mut self, clock: Clock, now: Micros) {
        self.clock = clock;
        self.wall = now;
    }

    /// What its wall clock shows. No time server corrects it.
    pub(super) fn wall(&self, now: Micros) -> Micros {
        self.wall + self.clock.micros(now)
    }

    /// Until when nothing of this machine runs, or nothing of its service.
    pub(super) fn paused_until(&self, is_service: bool) -> Micros {
        if is_service {
            self.machine_paused.max(self.service_paused)
        } else {
            self.machine_paused
        }
    }
}

/// The service's own memory.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) arrival: Option<Arrival>,
    pub(super) holder: Option<Holder>,
    pub(super) observer: Observer,
    pub(super) under_way: BTreeMap<u64, Asked>,
    pub(super) is_beating: bool,
    /// What it does with each session.
    pub(super) doing: [Doing; SESSIONS],
    pub(super) is_claiming: [bool; SESSIONS],
    /// Since when it knows that a session has no owner that lives.
    pub(super) vacant: [Option<(Option<Owner>, BootTime)>; SESSIONS],
    /// When the question was sent that was last answered with a yes.
    pub(super) last_yes: [Option<BootTime>; SESSIONS],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Doing {
    #[default]
    Nothing,
    Starting,
    Running,
    /// Closes in order: to move to that host, or because the lease is about to expire.
    Closing(Option<usize>),
    Releasing,
}

/// A question to the engine.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    Look {
        sent: BootTime,
    },
    Register {
        sent: BootTime,
        incarnation: u128,
        former: Option<(u128, u64)>,
        with_sessions: bool,
        timeline: u32,
    },
    Beat {
        beat: Beat,
        incarnation: u128,
        settled: Option<u32>,
        shown: Micros,
    },
    MarkDead {
        host: usize,
        incarnation: u128,
        beats: Option<u64>,
        timeline: u32,
    },
    Claim {
        permit: Permit,
        incarnation: u128,
        session: usize,
        seen: Option<u128>,
    },
    SetDirty {
        session: usize,
        claim: u128,
    },
    Release {
        session: usize,
        claim: u128,
        move_to: usize,
    },
    IsMine {
        sent: BootTime,
        session: usize,
        claim: u128,
        chrome: usize,
    },
}

#[derive(Clone, Debug)]
pub(super) enum Answer {
    Rows(Box<Shown>),
    /// The row's count, if it was counted, and all rows.
    Beaten(Option<u64>, Box<Shown>),
    Registered(Option<Vec<(usize, u128)>>, Box<Shown>),
    Claimed(Option<u128>),
    Done(bool),
}

/// What a statement read.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) rows: Rows,
    pub(super) claims: Vec<(usize, u128)>,
    pub(super) timeline: u32,
    pub(super) settled: Option<u32>,
    pub(super) is_synchronous: bool,
}

/// The connection of a Chrome to WhatsApp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tunnel {
    None,
    /// It stands since then, by the machine's clock and truly.
    Stands(BootTime, Micros),
    /// WhatsApp has accepted the login.
    Accepted,
}

#[derive(Clone, Debug)]
pub(super) struct Chrome {
    pub(super) host: usize,
    pub(super) session: usize,
    pub(super) claim: u128,
    pub(super) is_alive: bool,
    pub(super) tunnel: Tunnel,
    /// Counted up with each new tunnel and each loss of one.
    pub(super) attempt: u64,
    /// When it noticed that another Chrome had logged in in its place.
    pub(super) replaced: Option<Micros>,
}
