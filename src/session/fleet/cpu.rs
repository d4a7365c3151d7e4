//! How long processors have worked for each session's Chromes since the service started.
//!
//! A counter for monitoring: it outlives each Chrome and never goes back. What a Chrome had after it was last
//! measured and before it ended is not in it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;

use crate::session::ClienteId;

/// The processor time of each session. A clone counts the same.
#[derive(Clone, Debug, Default)]
pub struct CpuTally(Arc<Mutex<BTreeMap<ClienteId, CpuTime>>>);

#[derive(Clone, Copy, Debug, Default)]
struct CpuTime {
    total: Duration,
    /// The main process of the Chrome that was measured last.
    chrome_pid: u32,
    /// The most that was measured of it.
    of_it: Duration,
}

impl CpuTally {
    /// What all Chromes of each session have had; one whose Chrome was not measured yet is left out.
    pub fn totals(&self) -> BTreeMap<ClienteId, Duration> {
        let sessions = self.0.lock();
        sessions
            .iter()
            .map(|(id, time)| (id.clone(), time.total))
            .collect()
    }

    /// The session's Chrome has had so much since it started.
    pub(super) fn on_measured(&self, id: &ClienteId, chrome_pid: u32, cpu: Duration) {
        let mut sessions = self.0.lock();
        sessions
            .entry(id.clone())
            .or_default()
            .on_measured(chrome_pid, cpu);
    }

    /// The session is not known any more, and has no Chrome.
    pub(super) fn forget(&self, id: &ClienteId) {
        self.0.lock().remove(id);
    }
}

impl CpuTime {
    fn on_measured(&mut self, chrome_pid: u32, cpu: Duration) {
        let before = if self.chrome_pid == chrome_pid {
            self.of_it
        } else {
            Duration::ZERO
        };
        // Less than before: then it was too much, as when a process ended while it was looked at. Nothing is counted until it is more.
        let of_it = before.max(cpu);
        *self = Self {
            total: self.total + of_it.saturating_sub(before),
            chrome_pid,
            of_it,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_chrome_goes_on_where_the_one_before_it_ended() {
        let tally = CpuTally::default();
        let id: ClienteId = "51".parse().unwrap();
        let mut totals = Vec::new();
        for (chrome_pid, seconds) in [(7, 10), (7, 12), (7, 11), (7, 13), (8, 2), (8, 5)] {
            tally.on_measured(&id, chrome_pid, Duration::from_secs(seconds));
            totals.push(tally.totals()[&id].as_secs());
        }
        assert_eq!(totals, [10, 12, 12, 13, 15, 18]);
    }
}
