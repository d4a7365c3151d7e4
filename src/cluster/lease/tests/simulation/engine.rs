//! PostgreSQL as far as the protocol uses it: rows, conditional updates, and failovers that lose the last commits.

use std::collections::VecDeque;

use super::{
    HOSTS, SESSIONS,
    clock::{Micros, SECOND},
};

/// The most that a failover loses. More than a beat, and as long as replication may lag.
pub(super) const MAX_LOSS: Micros = 8 * SECOND;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostEntry {
    pub(super) boot: u128,
    pub(super) incarnation: u128,
    pub(super) beats: u64,
    pub(super) is_dead: bool,
    pub(super) settled: Option<u32>,
    /// What the holder's own clock showed at the beat: only expiry by the wall clock looks at it.
    pub(super) beaten_at: Micros,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) host: usize,
    pub(super) incarnation: u128,
    pub(super) claim: u128,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionEntry {
    pub(super) owner: Option<Owner>,
    pub(super) is_dirty: bool,
    pub(super) last_host: Option<usize>,
    pub(super) move_to: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rows {
    pub(super) hosts: [Option<HostEntry>; HOSTS],
    pub(super) sessions: [SessionEntry; SESSIONS],
}

impl Rows {
    /// Whether the incarnation that owns a session is marked dead, or has been followed by another one of its host.
    pub(super) fn is_gone(&self, owner: Owner) -> bool {
        self.live(owner.host, owner.incarnation).is_none()
    }

    fn live(&self, host: usize, incarnation: u128) -> Option<HostEntry> {
        self.hosts[host].filter(|row| row.incarnation == incarnation && !row.is_dead)
    }
}

/// The primary.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) rows: Rows,
    pub(super) timeline: u32,
    pub(super) is_up: bool,
    pub(super) is_synchronous: bool,
    /// The rows after each commit of the last seconds.
    history: VecDeque<(Micros, Rows)>,
    drawn: u128,
}

impl Engine {
    pub(super) fn new(is_synchronous: bool) -> Self {
        Self {
            rows: Rows::default(),
            timeline: 1,
            is_up: true,
            is_synchronous,
            history: VecDeque::from([(0, Rows::default())]),
            drawn: 0,
        }
    }

    /// A number that no one else has drawn. Later ones are higher, which only the judge looks at.
    pub(super) fn draw(&mut self) -> u128 {
        self.drawn += 1;
        self.drawn
    }

    pub(super) fn settled(&self) -> Option<u32> {
        let rows = self.rows.hosts.iter().flatten();
        rows.filter_map(|row| row.settled).max()
    }

    fn commit(&mut self, now: Micros) {
        if self.is_synchronous {
            return;
        }
        self.history.push_back((now, self.rows));
        while self
            .history
            .get(1)
            .is_some_and(|(at, _)| *at + MAX_LOSS < now)
        {
            self.history.pop_front();
        }
    }

    /// A standby becomes the primary. It lacks what was committed in the last moments before `fell`, unless it was synchronous.
    pub(super) fn promote(&mut self, fell: Micros, loss: Micros) {
        self.is_up = true;
        self.timeline += 1;
        if self.is_synchronous {
            return;
        }
        let kept = fell.saturating_sub(loss);
        while self.history.len() > 1 && self.history.back().is_some_and(|(at, _)| kept < *at) {
            self.history.pop_back();
        }
        self.rows = self.history.back().unwrap().1;
    }

    pub(super) fn register(
        &mut self,
        now: Micros,
        host: usize,
        entry: HostEntry,
        former: Option<(u128, u64)>,
        with_sessions: bool,
    ) -> Option<Vec<(usize, u128)>> {
        let row = self.rows.hosts[host];
        if row.map(|row| (row.incarnation, row.beats)) != former {
            return None;
        }
        let settled = row.and_then(|row| row.settled);
        self.rows.hosts[host] = Some(HostEntry { settled, ..entry });
        let mut claims = Vec::new();
        for session in 0..SESSIONS {
            let owner = self.rows.sessions[session].owner;
            if with_sessions && owner.is_some_and(|owner| owner.host == host) {
                let claim = self.draw();
                self.rows.sessions[session].owner = Some(Owner {
                    host,
                    incarnation: entry.incarnation,
                    claim,
                });
                claims.push((session, claim));
            }
        }
        self.commit(now);
        Some(claims)
    }

    pub(super) fn beat(
        &mut self,
        now: Micros,
        host: usize,
        incarnation: u128,
        settled: Option<u32>,
        shown: Micros,
    ) -> Option<u64> {
        let mut row = self.rows.live(host, incarnation)?;
        row.beats += 1;
        row.settled = settled.or(row.settled);
        row.beaten_at = shown;
        self.rows.hosts[host] = Some(row);
        self.commit(now);
        Some(row.beats)
    }

    pub(super) fn claims_of(&self, host: usize, incarnation: u128) -> Vec<(usize, u128)> {
        let owners = self.rows.sessions.iter().enumerate();
        let owned = owners.filter_map(|(session, row)| Some((session, row.owner?)));
        owned
            .filter(|(_, owner)| owner.host == host && owner.incarnation == incarnation)
            .map(|(session, owner)| (session, owner.claim))
            .collect()
    }

    /// `beats` is `None` where expiry goes by the wall clock.
    pub(super) fn mark_dead(
        &mut self,
        now: Micros,
        host: usize,
        incarnation: u128,
        beats: Option<u64>,
    ) {
        let Some(mut row) = self.rows.live(host, incarnation) else {
            return;
        };
        if beats.is_none_or(|beats| beats == row.beats) {
            row.is_dead = true;
            self.rows.hosts[host] = Some(row);
            self.commit(now);
        }
    }

    /// Gives the session to this host, if its owner is still the one that the host has seen: none, one that is gone, or the host itself.
    pub(super) fn claim(
        &mut self,
        now: Micros,
        host: usize,
        incarnation: u128,
        session: usize,
        seen: Option<u128>,
    ) -> Option<u128> {
        self.rows.live(host, incarnation)?;
        let owner = self.rows.sessions[session].owner;
        let is_own = |owner: Owner| (owner.host, owner.incarnation) == (host, incarnation);
        if owner.map(|owner| owner.claim) != seen
            || owner.is_some_and(|owner| !is_own(owner) && !self.rows.is_gone(owner))
        {
            return None;
        }
        let claim = self.draw();
        self.rows.sessions[session].owner = Some(Owner {
            host,
            incarnation,
            claim,
        });
        self.commit(now);
        Some(claim)
    }

    pub(super) fn is_owner(&self, session: usize, claim: u128) -> bool {
        self.rows.sessions[session]
            .owner
            .is_some_and(|owner| owner.claim == claim)
    }

    /// Before a Chrome is started: from here on the newest profile is on this host's disk.
    pub(super) fn set_dirty(&mut self, now: Micros, session: usize, claim: u128) -> bool {
        let row = &mut self.rows.sessions[session];
        let Some(owner) = row.owner.filter(|owner| owner.claim == claim) else {
            return false;
        };
        row.is_dirty = true;
        row.last_host = Some(owner.host);
        row.move_to = None;
        self.commit(now);
        true
    }

    pub(super) fn release(
        &mut self,
        now: Micros,
        session: usize,
        claim: u128,
        move_to: usize,
    ) -> bool {
        if !self.is_owner(session, claim) {
            return false;
        }
        let row = &mut self.rows.sessions[session];
        row.owner = None;
        row.is_dirty = false;
        row.move_to = Some(move_to);
        self.commit(now);
        true
    }
}
