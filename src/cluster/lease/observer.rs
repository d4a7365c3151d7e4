//! Which other hosts have been silent for too long.

use std::{collections::BTreeMap, time::Duration};

use super::{BootTime, EngineWord, Timings};
use crate::cluster::{HostId, Incarnation, Timeline};

/// One look at the table of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When the question was sent.
    pub sent: BootTime,
    /// When its answer came.
    pub received: BootTime,
    /// The engine that answered.
    pub engine: EngineWord,
}

/// One host's row, as far as it shows life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRow {
    /// Whose it is.
    pub host: HostId,
    /// Its present or last incarnation.
    pub incarnation: Incarnation,
    /// How often that has beaten.
    pub beats: u64,
    /// Whether a host, or a person, has marked it dead.
    pub is_dead: bool,
}

/// A host that may be marked dead: `UPDATE hosts SET state = 'dead' WHERE host = … AND incarnation = … AND beats = …`. A beat that the engine
/// executes first wins, and so it does on another timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    /// Which one.
    pub host: HostId,
    /// The incarnation that was silent.
    pub incarnation: Incarnation,
    /// The count that has not changed.
    pub beats: u64,
    /// The engine on which it has not changed.
    pub timeline: Timeline,
}

/// Watches the rows of the other hosts by this host's own clock.
///
/// Rows carry no time: a stored time would be compared with another machine's clock. What counts is for how long a row has looked the
/// same to this observer.
#[derive(Clone, Debug)]
pub struct Observer {
    silence: Duration,
    timeline: Option<Timeline>,
    seen: BTreeMap<HostId, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    incarnation: Incarnation,
    beats: u64,
    /// When the answer came that first showed this count, if no reading has failed since.
    unchanged_since: Option<BootTime>,
    /// When an answer first showed it dead.
    dead_since: Option<BootTime>,
}

impl Observer {
    /// Has seen nothing yet.
    pub fn new(timings: &Timings) -> Self {
        Self {
            silence: timings.silence,
            timeline: None,
            seen: BTreeMap::new(),
        }
    }

    /// Takes a reading, and names the hosts that may be marked dead now.
    ///
    /// Between two readings that show the same count, the engine counted no beat from the first one's *execution* to the second one's:
    /// at least from when the first was received to when the second was sent.
    pub fn on_reading(&mut self, reading: Reading, rows: &[HostRow]) -> Vec<Silent> {
        // Beats of the former primary may be lost: its counts prove no silence.
        if self.timeline.replace(reading.engine.timeline) != Some(reading.engine.timeline) {
            self.on_failed_reading();
        }
        self.seen
            .retain(|host, _| rows.iter().any(|row| row.host == *host));
        let mut silent = Vec::new();
        for row in rows {
            let former = self.seen.get(&row.host).copied();
            let former = former
                .filter(|seen| (seen.incarnation, seen.beats) == (row.incarnation, row.beats));
            let mut seen = former.unwrap_or(Seen {
                incarnation: row.incarnation,
                beats: row.beats,
                unchanged_since: None,
                dead_since: None,
            });
            let since = *seen.unchanged_since.get_or_insert(reading.received);
            if row.is_dead {
                seen.dead_since.get_or_insert(reading.received);
            } else {
                seen.dead_since = None;
                if self.silence <= reading.sent.since(since) {
                    silent.push(Silent {
                        host: row.host.clone(),
                        incarnation: row.incarnation,
                        beats: row.beats,
                        timeline: reading.engine.timeline,
                    });
                }
            }
            self.seen.insert(row.host.clone(), seen);
        }
        silent
    }

    /// A reading had no answer: the other hosts may have been unable to beat as well. All of them have the whole period again.
    pub fn on_failed_reading(&mut self) {
        for seen in self.seen.values_mut() {
            seen.unchanged_since = None;
        }
    }

    /// For how long this observer has known that a host is dead.
    pub fn dead_for(&self, host: &HostId, now: BootTime) -> Option<Duration> {
        let since = self.seen.get(host)?.dead_since?;
        Some(now.since(since))
    }
}
