//! Wrong keys, counted by where they come from.
//!
//! An address may give [`AT_ONCE`] wrong keys, and one more each [`INTERVAL`]; what is more is answered 429, right or wrong,
//! or guessing would go on. Only keys that cannot be guessed are taken all the same: those of the file, which are random.
//! `API_KEY` was chosen by a person, and has to wait those seconds.
//!
//! One and the same wrong key is one guess, however often it comes: a page with an old key asks every few seconds, and must not
//! lock out the one beside it that has the same address.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::client::Client;
use crate::keys::Digest;

/// A person mistypes a few times, and an office behind one address has a few programs with old keys.
const AT_ONCE: u32 = 20;

/// Twenty a minute: ten million guesses in a year, which no key of ten random letters minds.
const INTERVAL: Duration = Duration::from_secs(3);

/// Some 1 MB, with what is remembered of their keys. Addresses beyond these share what one may do.
const ADDRESSES: usize = 4096;

/// Wrong keys of late.
#[derive(Debug, Default)]
pub(in crate::http) struct Attempts(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    by_address: HashMap<IpAddr, Count>,
    of_the_rest: Option<Count>,
}

/// As a leaky bucket is kept in one moment.
#[derive(Debug)]
struct Count {
    /// The last wrong keys, [`AT_ONCE`] at most, the one that came last at the end. Parts of sums, not keys.
    given: VecDeque<u64>,
    /// When all its wrong keys will be forgotten, one each [`INTERVAL`].
    forgotten_at: Instant,
    /// Whether the log has it.
    is_told: bool,
}

impl Attempts {
    /// How long this address has to wait; `None`: not at all.
    pub(super) fn wait_of(&self, client: Client) -> Option<Duration> {
        let now = Instant::now();
        let counts = self.0.lock();
        let count = match counts.by_address.get(&client.network()) {
            Some(count) => Some(count),
            None if counts.by_address.len() < ADDRESSES => None,
            None => counts.of_the_rest.as_ref(),
        };
        count.and_then(|count| count.wait(now))
    }

    /// Counts the wrong keys of a request. Call it only for who need not wait.
    pub(super) fn count(&self, client: Client, keys: &[&[u8]]) {
        let now = Instant::now();
        let mut counts = self.0.lock();
        let Counts {
            by_address,
            of_the_rest,
        } = &mut *counts;
        let network = client.network();
        if by_address.len() >= ADDRESSES && !by_address.contains_key(&network) {
            by_address.retain(|_, count| count.forgotten_at > now);
        }
        let none = Count {
            given: VecDeque::new(),
            forgotten_at: now,
            is_told: false,
        };
        let count = if by_address.len() < ADDRESSES || by_address.contains_key(&network) {
            by_address.entry(network).or_insert(none)
        } else {
            of_the_rest.get_or_insert(none)
        };
        for key in keys {
            count.add(Digest::of(key).start(), now);
        }
        if count.wait(now).is_some() && !count.is_told {
            count.is_told = true;
            tracing::warn!(
                target: crate::telemetry::AUDIT,
                { audit.client = %client },
                "{client} gave {AT_ONCE} different wrong keys within a minute: more are answered 429"
            );
        }
    }
}

impl Count {
    fn add(&mut self, key: u64, now: Instant) {
        let before = self.given.iter().position(|given| *given == key);
        if let Some(at) = before {
            self.given.remove(at);
        } else if self.given.len() >= usize::try_from(AT_ONCE).unwrap_or(usize::MAX) {
            self.given.pop_front();
        }
        self.given.push_back(key);
        if before.is_some() {
            return;
        }
        if self.forgotten_at <= now {
            self.is_told = false;
        }
        self.forgotten_at = self.forgotten_at.max(now) + INTERVAL;
    }

    fn wait(&self, now: Instant) -> Option<Duration> {
        let pending = self.forgotten_at.saturating_duration_since(now);
        let wait = pending.saturating_sub(INTERVAL * (AT_ONCE - 1));
        (!wait.is_zero()).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn from(address: &str) -> Client {
        Client::at(address.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_so_many_wrong_keys_at_once_and_one_more_each_interval() {
        let (attempts, one, other) = (Attempts::default(), from("192.0.2.1"), from("192.0.2.2"));
        let guess = |number: u32| attempts.count(one, &[&number.to_be_bytes()]);
        for number in 0..AT_ONCE {
            assert_eq!(attempts.wait_of(one), None);
            guess(number);
        }
        assert_eq!(attempts.wait_of(one), Some(INTERVAL));
        assert_eq!(attempts.wait_of(other), None);
        advance(INTERVAL / 2).await;
        assert_eq!(attempts.wait_of(one), Some(INTERVAL / 2));
        advance(INTERVAL / 2).await;
        assert_eq!(attempts.wait_of(one), None);
        guess(100);
        assert_eq!(attempts.wait_of(one), Some(INTERVAL));
        advance(INTERVAL * AT_ONCE).await;
        for number in 200..200 + AT_ONCE {
            assert_eq!(attempts.wait_of(one), None);
            guess(number);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_wrong_key_is_one_guess_however_often_it_comes_and_whatever_comes_between() {
        let (attempts, one) = (Attempts::default(), from("192.0.2.1"));
        let old: [&[u8]; 2] = [b"old", b"older"];
        for number in 0..5 * AT_ONCE {
            attempts.count(one, &old);
            if number % AT_ONCE == 0 {
                attempts.count(one, &[&number.to_be_bytes()]);
            }
            assert_eq!(attempts.wait_of(one), None);
        }
        // So are those that go round in a circle too wide to be remembered.
        let mut waits = false;
        for number in 0..2 * AT_ONCE {
            attempts.count(one, &[&(1000 + number % (AT_ONCE + 1)).to_be_bytes()]);
            waits |= attempts.wait_of(one).is_some();
        }
        assert!(waits);
        assert_eq!(attempts.0.lock().by_address[&one.network()].given.len(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_those_beyond_it_share_one_count() {
        let attempts = Attempts::default();
        for number in 0..u32::try_from(ADDRESSES).unwrap() {
            attempts.count(Client::at(IpAddr::from(number.to_be_bytes())), &[b"x"]);
        }
        for number in 0..u8::try_from(AT_ONCE).unwrap() {
            let stranger = Client::at(IpAddr::from([192, 0, 2, number]));
            assert_eq!(attempts.wait_of(stranger), None);
            attempts.count(stranger, &[&[number]]);
        }
        assert_eq!(attempts.wait_of(from("198.51.100.1")), Some(INTERVAL));
        assert_eq!(attempts.wait_of(from("0.0.0.1")), None, "one that is known");
        assert_eq!(attempts.0.lock().by_address.len(), ADDRESSES);
        // All is forgotten in time, and those who come then have a count of their own.
        advance(INTERVAL * AT_ONCE).await;
        attempts.count(from("198.51.100.1"), &[b"x"]);
        assert_eq!(attempts.0.lock().by_address.len(), 1);
    }
}
