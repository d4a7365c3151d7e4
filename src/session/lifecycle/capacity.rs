//! Whether another session may run: how many do, and how much memory is left.
//!
//! Responsible for the decision and for the figures that go with a refusal. Who waits and tries again, and who is refused for
//! good, is not its business.
//!
//! Invariant: memory that sessions which are still starting will take counts as taken, so that many that are asked for at
//! once do not all see the same free memory.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::session::error::{Full, Lack};

/// What one start takes until its page stands: a heavy page took 256 to 268 MB with the small Chrome on the lean flags,
/// alone; next to others, with which it shares file pages, less (docs/chrome.md#memory-of-a-session).
const START_MB: u64 = 300;

/// What sessions may take of this machine. Shared by all sessions.
#[derive(Debug)]
pub(in crate::session) struct Capacity {
    limit: NonZeroUsize,
    places: Arc<Semaphore>,
    starting: Arc<AtomicUsize>,
    /// How much must be free for a start (`MIN_FREE_MEMORY_MB`); 0: it is not looked at.
    min_free_mb: u64,
    /// How much is free, where that is known.
    free_mb: fn() -> Option<u64>,
}

/// A session may run, and is starting.
#[derive(Debug)]
pub(super) struct Admitted {
    /// For as long as it runs.
    pub(super) place: Place,
    /// Until its page stands.
    pub(super) starting: Starting,
}

/// One of the sessions that may run at once.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// A start with memory reserved.
#[derive(Debug)]
pub(super) struct Starting(Arc<AtomicUsize>);

/// A start whose turn has come: its Chrome may start. Held until its page stands.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    _memory: Starting,
}

impl Starting {
    /// With one of the permits of Chromes that may start at once.
    pub(super) const fn take_turn(self, permit: OwnedSemaphorePermit) -> Turn {
        Turn {
            _permit: permit,
            _memory: self,
        }
    }
}

impl Capacity {
    /// For `limit` sessions, with so much memory free before each start, as `free_mb` says it.
    pub(in crate::session) fn new(
        limit: NonZeroUsize,
        min_free_mb: u64,
        free_mb: fn() -> Option<u64>,
    ) -> Self {
        Self {
            limit,
            places: Arc::new(Semaphore::new(limit.get())),
            starting: Arc::default(),
            min_free_mb,
            free_mb,
        }
    }

    /// Whether there is room now. Only [`admit`](Self::admit) takes it.
    pub(in crate::session) fn check(&self) -> Result<(), Full> {
        self.admit().map(drop)
    }

    /// Takes a place and reserves memory.
    pub(super) fn admit(&self) -> Result<Admitted, Full> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_none_left| self.full(Lack::Place))?;
        let Some(starting) = self.reserve_memory() else {
            drop(place);
            return Err(self.full(Lack::Memory));
        };
        Ok(Admitted {
            place: Place { _permit: place },
            starting,
        })
    }

    /// Reserves memory only: another Chrome for a session that has its place.
    pub(super) fn start_again(&self) -> Result<Starting, Full> {
        self.reserve_memory().ok_or_else(|| self.full(Lack::Memory))
    }

    fn reserve_memory(&self) -> Option<Starting> {
        let others = self.starting.fetch_add(1, Ordering::Relaxed);
        // Given back by its drop when there is not enough.
        let starting = Starting(Arc::clone(&self.starting));
        if self.min_free_mb == 0 {
            return Some(starting);
        }
        let needed_mb = self.needed_with(others);
        let is_enough = (self.free_mb)().is_none_or(|free_mb| needed_mb <= free_mb);
        is_enough.then_some(starting)
    }

    /// The free memory that one more start needs, with so many others under way.
    fn needed_with(&self, starting: usize) -> u64 {
        let spoken_for = u64::try_from(starting).unwrap_or(u64::MAX);
        self.min_free_mb
            .saturating_add(START_MB.saturating_mul(spoken_for))
    }

    fn full(&self, lacks: Lack) -> Full {
        Full {
            running: self.limit.get() - self.places.available_permits(),
            limit: self.limit.get(),
            free_mb: (self.free_mb)(),
            needed_mb: self.needed_with(self.starting.load(Ordering::Relaxed)),
            start_mb: START_MB,
            lacks,
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(limit: usize, min_free_mb: u64, free_mb: fn() -> Option<u64>) -> Capacity {
        Capacity::new(NonZeroUsize::new(limit).unwrap(), min_free_mb, free_mb)
    }

    #[test]
    fn as_many_run_as_may_and_one_that_ends_makes_room() {
        let capacity = capacity(2, 0, || Some(0));
        let first = capacity.admit().unwrap();
        let _second = capacity.admit().unwrap();
        let full = capacity.admit().unwrap_err();
        assert_eq!((full.running, full.limit), (2, 2));
        assert!(full.to_string().contains("MAX_SESSIONS allows 2"), "{full}");
        drop(first);
        capacity.check().unwrap();
        capacity.admit().unwrap();
    }

    #[test]
    fn memory_that_starts_have_not_taken_yet_is_spoken_for() {
        let capacity = capacity(9, 400, || Some(1000));
        let one = capacity.admit().unwrap();
        let two = capacity.admit().unwrap();
        let _three = capacity.admit().unwrap();
        let full = capacity.admit().unwrap_err();
        assert_eq!(
            (full.running, full.free_mb, full.needed_mb),
            (3, Some(1000), 1300)
        );
        let said = full.to_string();
        assert!(
            said.contains("1000 MB") && said.contains("1300 MB"),
            "{said}"
        );
        // A refusal speaks for nothing.
        assert_eq!(capacity.check().unwrap_err().needed_mb, 1300);
        // Its page stands: what it takes is no longer free.
        drop(one.starting);
        let _four = capacity.admit().unwrap();
        drop(two.starting);
        let _again = capacity.start_again().unwrap();
        assert_eq!(capacity.check().unwrap_err().running, 4);
    }

    #[test]
    fn a_machine_that_does_not_say_what_is_free_refuses_nobody() {
        let capacity = capacity(1, u64::MAX, || None);
        capacity.admit().unwrap();
    }
}
