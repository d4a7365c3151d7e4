//! What is known of phone numbers: which are on WhatsApp, and by which address.
//!
//! Spares WhatsApp a question that is repeated: a spammer asks so. An answer that was an error is not
//! remembered. Pure: knows no time but what it is given.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::masked::{Number, WaId};

/// A person who has WhatsApp today has it tomorrow.
const HIT_LIFE: Duration = Duration::from_secs(24 * 3600);

/// A person may install WhatsApp on that number within the hour.
const MISS_LIFE: Duration = Duration::from_secs(3600);

/// An entry takes some 100 bytes. When there are more, those that are over go, and if that is not enough, all do.
const CAPACITY: usize = 10_000;

/// What is known of numbers.
#[derive(Debug, Default)]
pub(in crate::session) struct Numbers(HashMap<Number, (Known, Instant)>);

/// What is known of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) enum Known {
    /// It is on WhatsApp, under this address.
    At(WaId),
    /// It is not.
    NotOnWhatsApp,
}

impl Numbers {
    /// What is known of a number and still holds.
    pub(super) fn get(&self, number: &str, now: Instant) -> Option<&Known> {
        let (known, until) = self.0.get(number)?;
        (now < *until).then_some(known)
    }

    /// Remembers what is known of a number. What was known already does not live longer for having been used.
    pub(super) fn learn(&mut self, number: &str, known: Known, now: Instant) {
        if self.get(number, now) == Some(&known) {
            return;
        }
        if self.0.len() >= CAPACITY {
            self.0.retain(|_, (_, until)| now < *until);
            if self.0.len() >= CAPACITY {
                self.0.clear();
            }
        }
        let life = match known {
            Known::At(_) => HIT_LIFE,
            Known::NotOnWhatsApp => MISS_LIFE,
        };
        self.0.insert(number.into(), (known, now + life));
    }

    /// What was known has turned out to be of no use.
    pub(super) fn forget(&mut self, number: &str) {
        self.0.remove(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_is_known_for_a_day_and_a_miss_for_an_hour() {
        let (mut numbers, now) = (Numbers::default(), Instant::now());
        numbers.learn("1", Known::At("1@c.us".into()), now);
        numbers.learn("2", Known::NotOnWhatsApp, now);
        let hours = |count: u64| now + Duration::from_secs(3600 * count);
        assert!(numbers.get("1", hours(23)).is_some());
        assert!(numbers.get("1", hours(24)).is_none());
        assert!(numbers.get("2", now + Duration::from_secs(3599)).is_some());
        assert!(numbers.get("2", hours(1)).is_none());
    }

    #[test]
    fn what_is_used_is_asked_again_all_the_same() {
        let (mut numbers, now) = (Numbers::default(), Instant::now());
        numbers.learn("2", Known::NotOnWhatsApp, now);
        numbers.learn("2", Known::NotOnWhatsApp, now + Duration::from_secs(3599));
        assert!(numbers.get("2", now + MISS_LIFE).is_none());
    }

    #[test]
    fn it_does_not_grow_for_ever() {
        let (mut numbers, now) = (Numbers::default(), Instant::now());
        for number in 0..=CAPACITY {
            numbers.learn(&number.to_string(), Known::NotOnWhatsApp, now);
        }
        assert!(numbers.0.len() <= CAPACITY);
        assert!(numbers.get(&CAPACITY.to_string(), now).is_some());
    }
}
