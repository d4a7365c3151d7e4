//! Whether the ledger has said what is open. Until it has, nothing new goes out: what is in doubt goes first.
//!
//! Pure: asks nobody itself, knows no time but what it is given.

use std::time::Duration;

use tokio::time::Instant;

/// Between two tries to read from a ledger that cannot be used.
const RETRY: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Doubt {
    /// It has said all that it was asked for.
    #[default]
    Settled,
    /// It has been asked.
    Asked,
    /// It has been asked, and something has come up since that its answer may not know.
    AskedTooEarly,
    /// It could not say, and is asked again then.
    Unanswered(Instant),
}

impl Doubt {
    /// Something is in doubt. Answers whether the ledger is to be asked now; if not, it will be.
    pub(super) const fn ask(&mut self) -> bool {
        let is_asked = matches!(self, Self::Asked | Self::AskedTooEarly);
        *self = if is_asked {
            Self::AskedTooEarly
        } else {
            Self::Asked
        };
        !is_asked
    }

    /// The ledger has answered. Answers whether that is good; if not, it is to be asked again.
    pub(super) const fn on_answer(&mut self) -> bool {
        let was_too_early = matches!(self, Self::AskedTooEarly);
        *self = Self::Settled;
        !was_too_early
    }

    /// The answer was that the ledger cannot be read.
    pub(super) fn on_failure(&mut self, now: Instant) {
        *self = Self::Unanswered(now + RETRY);
    }

    pub(super) const fn is_settled(self) -> bool {
        matches!(self, Self::Settled)
    }

    /// Whether it is time to ask again.
    pub(super) fn is_due_again(self, now: Instant) -> bool {
        self.next_deadline().is_some_and(|at| at <= now)
    }

    pub(super) const fn next_deadline(self) -> Option<Instant> {
        if let Self::Unanswered(at) = self {
            Some(at)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_up_while_the_ledger_is_asked_makes_it_be_asked_again() {
        let mut doubt = Doubt::default();
        assert!(doubt.ask() && !doubt.ask() && !doubt.ask());
        assert!(!doubt.on_answer());
        assert!(doubt.ask() && doubt.on_answer() && doubt.is_settled());
    }

    #[test]
    fn a_ledger_that_cannot_say_leaves_it_in_doubt_until_it_can() {
        let (mut doubt, now) = (Doubt::default(), Instant::now());
        doubt.ask();
        doubt.on_answer();
        doubt.on_failure(now);
        assert!(!doubt.is_settled() && !doubt.is_due_again(now));
        assert!(doubt.is_due_again(now + RETRY) && doubt.ask());
    }
}
