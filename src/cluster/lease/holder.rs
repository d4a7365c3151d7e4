//! One incarnation of a host: what its beats allow it, and which sessions are its own.
//!
//! ```text
//!   registered ──▶ Held ──soft──▶ Expiring ──hard──▶ over: expired
//!                   ▲ │              │
//!                   │ └──────────────┴─ no row, or a count of beats that is not its own ─▶ over
//!                   └── good beat ───┘
//! ```
//!
//! Over is over: the service kills every Chrome, and [`Arrival`](super::Arrival) says when it may register a new incarnation.

use std::{collections::BTreeMap, time::Duration};

use super::{BootTime, EngineWord, Lease, LeaseState, Timings};
use crate::{
    cluster::{Claim, Incarnation, Timeline},
    session::ClienteId,
};

/// A beat under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// When it was sent. The lease counts from here.
    pub sent: BootTime,
    /// Counted from 1 in each incarnation.
    pub number: u64,
}

/// What the engine did with a beat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeatAnswer {
    /// The row was counted up.
    Counted(Counted),
    /// No row is of this host and incarnation, or it is marked dead.
    NoRow,
}

/// The answer to a good beat. All of it is read in the statement that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The row's count after this beat.
    pub beats: u64,
    /// The engine that counted.
    pub engine: EngineWord,
    /// The sessions that have this host and this incarnation as their owner.
    pub claims: BTreeMap<ClienteId, Claim>,
}

/// What follows from an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "sessions that are lost must be killed at once"]
pub enum AfterBeat {
    /// The incarnation goes on.
    Goes {
        /// Sessions that it held and that are not among its claims: their Chromes are killed at once. They are no longer held.
        lost: Vec<ClienteId>,
        /// Claims of its own that it does not know, because the answer to the claim or to a release was lost. Each must be claimed a second
        /// time before its Chrome is started: the statement whose answer was lost may still be executed, and it names the first claim.
        found: Vec<(ClienteId, Claim)>,
    },
    /// The answer to a beat that is older than the newest good one. It says nothing new.
    Outdated,
    /// The incarnation has ended: every Chrome is killed at once.
    Over(WhyOver),
}

/// Why an incarnation has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyOver {
    /// Its hard deadline passed before a good beat was answered.
    #[error("the lease has expired: no beat was answered in time")]
    Expired,
    /// Another host has marked it dead, or a failover has lost its registration.
    #[error("the engine has no row of this incarnation")]
    NoRow,
    /// Its row was counted up more often than it has sent beats: the machine's memory was copied, or put back to an earlier state.
    #[error("another copy of this machine beats with the same incarnation")]
    Twin,
}

/// Why nothing may be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// The soft deadline has passed, or the incarnation is over.
    #[error("the lease of this host is about to expire")]
    NotHeld,
    /// A failover may have lost claims of hosts that do not know it yet.
    #[error("the engine may have lost claims; nothing is claimed for {} s", .left.as_secs())]
    AfterFailover {
        /// For how long yet.
        left: Duration,
    },
}

/// What a statement that claims must name. The engine refuses it when the host's row is not of this incarnation or is dead, or when the
/// primary that executes it is on another timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The claimant's.
    pub incarnation: Incarnation,
    /// The one that the claimant has last seen.
    pub timeline: Timeline,
}

/// One incarnation of this host.
#[derive(Clone, Debug)]
pub struct Holder {
    timings: Timings,
    incarnation: Incarnation,
    over: Option<WhyOver>,
    lease: Lease,
    engine: EngineWord,
    /// From when on something may be claimed.
    claims_from: BootTime,
    /// A timeline that has lost beats without a change of its number (a disk that was put back, two standbys with the same number): that it
    /// was waited out may have been said before.
    distrusted: Option<Timeline>,

    // Beats: how many were sent, the number of the newest that was counted, and the row's count by it.
    sent: u64,
    answered: u64,
    base: u64,
    beats: u64,

    held: BTreeMap<ClienteId, Held>,
    /// Sessions that were released, until a beat is counted that was sent after it.
    let_go: BTreeMap<ClienteId, BootTime>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    claim: Claim,
    /// When the claim was known. The answer to a beat that was sent earlier may not have it yet.
    since: BootTime,
}

impl Holder {
    /// After the commit that wrote this host's row with a new incarnation, a count of `beats`, and these claims. That statement was sent
    /// at `sent` and answered at `now`.
    pub fn registered(
        timings: Timings,
        incarnation: Incarnation,
        sent: BootTime,
        answer: Counted,
        now: BootTime,
    ) -> Self {
        let Counted {
            beats,
            engine,
            claims,
        } = answer;
        let held = claims
            .into_iter()
            .map(|(session, claim)| (session, Held { claim, since: now }));
        Self {
            timings,
            incarnation,
            over: None,
            lease: Lease::from_beat(sent, &timings),
            engine,
            claims_from: claims_from_start(&engine, &timings, now),
            distrusted: None,
            sent: 0,
            answered: 0,
            base: beats,
            beats,
            held: held.collect(),
            let_go: BTreeMap::new(),
        }
    }

    /// Which one it is.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Until when its last good beat carries it: what gate and watchdog are given after each good beat.
    pub fn lease(&self) -> Lease {
        self.lease
    }

    /// What may be done at this moment.
    pub fn state_at(&self, now: BootTime) -> LeaseState {
        match self.over {
            Some(_) => LeaseState::Expired,
            None => self.lease.state_at(now),
        }
    }

    /// Notes that a beat is sent at this moment.
    pub fn send_beat(&mut self, now: BootTime) -> Beat {
        self.sent += 1;
        Beat {
            sent: now,
            number: self.sent,
        }
    }

    /// Ends the incarnation once its hard deadline has passed. To be called at that deadline; an answer that comes later ends it too.
    pub fn over_at(&mut self, now: BootTime) -> Option<WhyOver> {
        if self.over.is_none() && self.lease.state_at(now) == LeaseState::Expired {
            self.over = Some(WhyOver::Expired);
            self.held.clear();
        }
        self.over
    }

    /// Takes the answer to a beat. A beat without an answer is no matter of its own: the lease goes on from the last good one.
    pub fn on_answer(&mut self, beat: Beat, answer: BeatAnswer, now: BootTime) -> AfterBeat {
        if let Some(why) = self.over_at(now) {
            return AfterBeat::Over(why);
        }
        let Counted {
            beats,
            engine,
            claims,
        } = match answer {
            BeatAnswer::NoRow => return self.end(WhyOver::NoRow),
            BeatAnswer::Counted(_) if beat.number <= self.answered => return AfterBeat::Outdated,
            BeatAnswer::Counted(counted) => counted,
        };
        if self.base + self.sent < beats {
            return self.end(WhyOver::Twin);
        }
        // Each beat counts up by one, so a count that is not above the last one has lost a beat that was answered.
        let has_gone_back = beats <= self.beats;
        let is_other = engine.timeline != self.engine.timeline;
        let keeps_all = engine.is_synchronous && self.engine.is_synchronous && !has_gone_back;
        if has_gone_back && !is_other {
            self.distrusted = Some(engine.timeline);
        }
        if (is_other || has_gone_back) && !keeps_all {
            self.claims_from = now + self.timings.silence;
        }
        if engine.is_settled() && self.distrusted != Some(engine.timeline) {
            self.claims_from = self.claims_from.min(now);
        }
        self.engine = engine;
        self.answered = beat.number;
        self.beats = beats;
        self.lease = Lease::from_beat(beat.sent, &self.timings);
        if let Some(why) = self.over_at(now) {
            return AfterBeat::Over(why);
        }

        let mut lost = Vec::new();
        self.held.retain(|session, held| {
            let is_kept = claims.get(session) == Some(&held.claim) || beat.sent <= held.since;
            if !is_kept {
                lost.push(session.clone());
            }
            is_kept
        });
        self.let_go.retain(|_, released| beat.sent <= *released);
        let mut found = Vec::new();
        if self.may_claim(now).is_ok() {
            let unknown = claims.into_iter().filter(|(session, _)| {
                !self.held.contains_key(session) && !self.let_go.contains_key(session)
            });
            found.extend(unknown);
        }
        AfterBeat::Goes { lost, found }
    }

    /// Whether anything may be claimed at this moment: sessions of dead hosts, sessions without an owner, and sessions that were
    /// [`found`](AfterBeat::Goes::found).
    pub fn may_claim(&self, now: BootTime) -> Result<Permit, NotNow> {
        if self.state_at(now) != LeaseState::Held {
            return Err(NotNow::NotHeld);
        }
        let left = self.claims_from.since(now);
        if !left.is_zero() {
            return Err(NotNow::AfterFailover { left });
        }
        Ok(Permit {
            incarnation: self.incarnation,
            timeline: self.engine.timeline,
        })
    }

    /// The timeline that this host has waited out, to be written into its row with the next beat: the column `settled`.
    pub fn settled(&self, now: BootTime) -> Option<Timeline> {
        (self.claims_from <= now).then_some(self.engine.timeline)
    }

    /// Notes a claim that the engine has committed. `now`: when the answer came.
    pub fn claimed(&mut self, session: ClienteId, claim: Claim, now: BootTime) {
        self.let_go.remove(&session);
        self.held.insert(session, Held { claim, since: now });
    }

    /// Notes that a session is not this host's any more by its own doing: a release was committed, a release has no answer, or a write
    /// of this claim was refused as another owner's. If it still is this host's, a later beat finds it.
    pub fn let_go(&mut self, session: &ClienteId, now: BootTime) {
        self.held.remove(session);
        self.let_go.insert(session.clone(), now);
    }

    /// The claim under which a send may be handed over, or a Chrome be started, at this moment.
    pub fn claim_of(&self, session: &ClienteId, now: BootTime) -> Option<Claim> {
        if self.state_at(now) != LeaseState::Held {
            return None;
        }
        self.held.get(session).map(|held| held.claim)
    }

    /// All sessions that it holds.
    pub fn held(&self) -> impl Iterator<Item = (&ClienteId, Claim)> {
        self.held
            .iter()
            .map(|(session, held)| (session, held.claim))
    }

    fn end(&mut self, why: WhyOver) -> AfterBeat {
        self.over = Some(why);
        self.held.clear();
        AfterBeat::Over(why)
    }
}

/// A host that has just started cannot know when the engine's last failover was, nor whether it lost commits.
pub(super) fn claims_from_start(engine: &EngineWord, timings: &Timings, now: BootTime) -> BootTime {
    if engine.is_settled() {
        now
    } else {
        now + timings.silence
    }
}
