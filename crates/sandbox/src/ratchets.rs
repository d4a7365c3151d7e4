//! What the devices of recipients have seen of the Signal sessions with an account's page.
//!
//! Responsible for: whether a device can decrypt what it is sent. A counter that a session has used before is dropped by the
//! device without a word, and reported delivered (docs/whatsapp.md). Not responsible for: who may send, and receipts.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

/// How a message is encrypted for one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Envelope {
    /// Its number among the devices of its owner; the phone is 0.
    pub(super) device: u32,
    /// Whether it is one of the account itself.
    pub(super) own: bool,
    /// Names the session; one that is new is begun with it.
    pub(super) session: String,
    /// Which message of the session it is.
    pub(super) counter: u32,
}

/// Who saw a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The recipient, on each of their devices.
    pub(super) by_recipient: bool,
    /// The person whose account it is, on their phone.
    pub(super) by_own_phone: bool,
}

/// One session, as the device at its other end knows it.
#[derive(Debug, Default)]
struct Chain {
    /// The first counter that was not used.
    next: u32,
    /// Those below that did not come: messages overtake each other, and get lost.
    skipped: BTreeSet<u32>,
}

impl Chain {
    /// Whether the device can decrypt this one.
    fn take(&mut self, counter: u32) -> bool {
        if counter < self.next {
            return self.skipped.remove(&counter);
        }
        self.skipped.extend(self.next..counter);
        self.next = counter + 1;
        true
    }
}

/// All sessions of all devices.
#[derive(Debug, Default)]
pub(super) struct Ratchets(HashMap<String, Chain>);

impl Ratchets {
    /// The devices get a message. One without envelopes comes from a page that has no sessions, and can be read.
    pub(super) fn take(&mut self, envelopes: &[Envelope]) -> Seen {
        let mut seen = Seen {
            by_recipient: true,
            by_own_phone: true,
        };
        for envelope in envelopes {
            let chain = self.0.entry(envelope.session.clone()).or_default();
            let is_fresh = chain.take(envelope.counter);
            if envelope.own {
                seen.by_own_phone &= is_fresh;
            } else {
                seen.by_recipient &= is_fresh;
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(own: bool, session: &str, counter: u32) -> Envelope {
        Envelope {
            device: 0,
            own,
            session: session.to_owned(),
            counter,
        }
    }

    #[test]
    fn a_counter_is_read_once_in_whichever_order_it_comes() {
        let mut ratchets = Ratchets::default();
        let mut read = |counter| ratchets.take(&[envelope(false, "a", counter)]).by_recipient;
        assert_eq!([0, 2, 1].map(&mut read), [true; 3]);
        assert_eq!([0, 1, 2].map(&mut read), [false; 3]);
        assert_eq!([3, 9, 3].map(&mut read), [true, true, false]);
    }

    #[test]
    fn a_new_session_is_read_from_its_beginning_and_each_side_for_itself() {
        let mut ratchets = Ratchets::default();
        ratchets.take(&[envelope(false, "a", 0), envelope(true, "own", 0)]);
        let seen = ratchets.take(&[envelope(false, "b", 0), envelope(true, "own", 0)]);
        assert!(seen.by_recipient && !seen.by_own_phone);
        let both = [envelope(false, "b", 1), envelope(false, "a", 0)];
        assert!(!ratchets.take(&both).by_recipient, "on one of two devices");
    }
}
