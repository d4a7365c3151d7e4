//! How often a session's task goes round without getting anywhere: a loop that has lost its way must not go on unseen.
//!
//! A turn gets somewhere when a send begins, goes a step further than ever before, or ends. One that serves a
//! caller, the page's own news or a timer that has passed is neither. What is left is a turn for nothing; a
//! healthy session makes few, as when a page loads itself again in the midst of a send. Pure but for counting: knows no
//! time but what it is given.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::session::ClienteId;

/// In which turns are compared with what they got done.
const WINDOW: Duration = Duration::from_secs(10);

/// Turns for nothing within that time that a session may make whatever it gets done. Tries that are paused (300 ms and more)
/// make 100 at most; a loop that spins makes them within a second.
const ALLOWED: u64 = 200;

/// And for each step that it gets done: a send that is interrupted as often as it may be takes half as many.
const ALLOWED_PER_STEP: u64 = 20;

/// What one turn was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Purpose {
    /// A caller, the page's own news, or a timer that has passed.
    External,
    /// The session's own work: an answer to what it had asked for, or the time for its next step.
    SelfCaused,
}

/// The turns of one session's loop, counted.
#[derive(Debug)]
pub(in crate::session) struct Turns {
    window_began: Instant,
    for_nothing: u64,
    steps: u64,
    /// The steps of all time, as last given.
    steps_before: u64,
}

impl Turns {
    pub(in crate::session) const fn new(now: Instant) -> Self {
        Self {
            window_began: now,
            for_nothing: 0,
            steps: 0,
            steps_before: 0,
        }
    }

    /// One more turn is over; `steps`: how many steps all sends have gone so far. Answers whether it was for nothing,
    /// and whether there have been too many of those.
    pub(in crate::session) fn on_turn(
        &mut self,
        turn: Purpose,
        steps: u64,
        now: Instant,
    ) -> TurnResult {
        if WINDOW <= now.saturating_duration_since(self.window_began) {
            (self.window_began, self.for_nothing, self.steps) = (now, 0, 0);
        }
        let gone = steps - std::mem::replace(&mut self.steps_before, steps);
        self.steps += gone;
        if gone > 0 || turn == Purpose::External {
            return TurnResult::Fine;
        }
        self.for_nothing += 1;
        if self.for_nothing > ALLOWED + ALLOWED_PER_STEP * self.steps {
            return TurnResult::Spins(self.for_nothing);
        }
        TurnResult::ForNothing
    }
}

/// What is to be said of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum TurnResult {
    Fine,
    ForNothing,
    /// The session goes round and round: so often within the last seconds.
    Spins(u64),
}

/// The turns for nothing of each session since the service started. A clone counts the same.
#[derive(Clone, Debug, Default)]
pub struct TurnTally(Arc<Mutex<BTreeMap<ClienteId, u64>>>);

impl TurnTally {
    /// Those of each session; one that has made none is left out.
    pub fn totals(&self) -> BTreeMap<ClienteId, u64> {
        self.0.lock().clone()
    }

    pub(in crate::session) fn count(&self, id: &ClienteId) {
        let mut sessions = self.0.lock();
        if let Some(count) = sessions.get_mut(id) {
            *count += 1;
        } else {
            sessions.insert(id.clone(), 1);
        }
    }

    /// The session is not known any more.
    pub(in crate::session) fn forget(&self, id: &ClienteId) {
        self.0.lock().remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_spins_is_found_within_some_hundred_turns() {
        let now = Instant::now();
        let mut turns = Turns::new(now);
        turns.on_turn(Purpose::SelfCaused, 7, now);
        let spins = (0..1000).find(|_| {
            let verdict = turns.on_turn(Purpose::SelfCaused, 7, now);
            matches!(verdict, TurnResult::Spins(_))
        });
        assert!(spins.is_some_and(|turn| turn < 400), "{spins:?}");
    }

    #[test]
    fn callers_that_hammer_do_not_hide_a_spin_and_are_none() {
        let now = Instant::now();
        let mut turns = Turns::new(now);
        for _ in 0..100_000 {
            assert_eq!(turns.on_turn(Purpose::External, 0, now), TurnResult::Fine);
        }
        let mut is_found = false;
        for _ in 0..1000 {
            is_found |= matches!(
                turns.on_turn(Purpose::SelfCaused, 0, now),
                TurnResult::Spins(_)
            );
            turns.on_turn(Purpose::External, 0, now);
        }
        assert!(is_found);
    }

    #[test]
    fn a_session_that_sends_as_fast_as_it_can_or_waits_for_a_slow_page_is_left_alone() {
        let mut now = Instant::now();
        let mut turns = Turns::new(now);
        for step in 1..100_000 {
            assert_eq!(
                turns.on_turn(Purpose::SelfCaused, step, now),
                TurnResult::Fine
            );
            for _ in 0..6 {
                let verdict = turns.on_turn(Purpose::SelfCaused, step, now);
                assert_eq!(verdict, TurnResult::ForNothing);
            }
        }
        for _ in 0..100_000 {
            now += Duration::from_millis(300);
            let verdict = turns.on_turn(Purpose::SelfCaused, 100_000, now);
            assert!(!matches!(verdict, TurnResult::Spins(_)), "{verdict:?}");
        }
    }
}
