//! Which host a session is given to.

use crate::cluster::HostId;

/// A host that may be given sessions, as its row shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which one.
    pub host: HostId,
    /// Whether it takes sessions: it is neither draining nor dead.
    pub is_up: bool,
    /// Its free memory, in MB.
    pub free_mb: u64,
    /// Sessions that it has and whose Chrome is still to start.
    pub starting: u64,
    /// Sessions that it has.
    pub sessions: u64,
    /// Its `MAX_SESSIONS`.
    pub max_sessions: u64,
    /// The major version of its Chrome.
    pub chrome: u32,
}

/// Whose sessions one host may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Memory that must stay free, in MB: `MIN_FREE_MEMORY_MB`.
    pub min_free_mb: u64,
    /// What a session is counted as, in MB, until its Chrome has taken its memory: as a host itself counts it.
    pub start_mb: u64,
    /// The major version of the Chrome that last wrote the profile, which no older one may open. `None`: there is no profile.
    pub chrome: Option<u32>,
}

impl Candidate {
    /// Its memory after all that it has still to start.
    fn room(&self, start_mb: u64) -> u64 {
        let spoken_for = self.starting.saturating_mul(start_mb);
        self.free_mb.saturating_sub(spoken_for)
    }

    fn suits(&self, need: Need) -> bool {
        self.is_up
            && self.sessions < self.max_sessions
            && need.min_free_mb + need.start_mb <= self.room(need.start_mb)
            && need.chrome.is_none_or(|chrome| chrome <= self.chrome)
    }
}

/// Of two hosts that are drawn among those that suit, the one with more room. Hosts that choose at the same time, from the same rows,
/// would all choose the one with the most room; of two that are drawn, they choose different ones (the power of two choices,
/// Mitzenmacher 2001). `draws` are two random numbers.
pub fn choose(candidates: &[Candidate], need: Need, draws: [u64; 2]) -> Option<&HostId> {
    let suited: Vec<_> = candidates.iter().filter(|host| host.suits(need)).collect();
    let count = u64::try_from(suited.len())
        .ok()
        .filter(|count| *count > 0)?;
    let first = draws[0] % count;
    // Never the same one twice, if there are two.
    let second = match count {
        1 => first,
        _ => (first + 1 + draws[1] % (count - 1)) % count,
    };
    let pair =
        [first, second].map(|index| usize::try_from(index).ok().and_then(|at| suited.get(at)));
    let best = pair
        .into_iter()
        .flatten()
        .max_by_key(|host| host.room(need.start_mb))?;
    Some(&best.host)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NEED: Need = Need {
        min_free_mb: 500,
        start_mb: 300,
        chrome: Some(156),
    };

    fn candidate(id: usize, free_mb: u64) -> Candidate {
        Candidate {
            host: format!("h{id}").parse().unwrap(),
            is_up: true,
            free_mb,
            starting: 0,
            sessions: 3,
            max_sessions: 10,
            chrome: 156,
        }
    }

    #[test]
    fn a_host_that_cannot_have_it_is_never_chosen() {
        let good = candidate(1, 800);
        let mut others = [0, 1, 2, 3, 4].map(|_| candidate(2, 9_000));
        others[0].is_up = false;
        others[1].sessions = 10;
        others[2].free_mb = 799;
        others[3].chrome = 155;
        others[4].starting = 29;
        for other in others {
            let both = [other.clone(), good.clone()];
            assert_eq!(choose(&both, NEED, [0, 0]), Some(&good.host), "{other:?}");
            assert_eq!(choose(&[other], NEED, [7, 8]), None);
        }
    }

    proptest! {
        #[test]
        fn the_worst_of_several_is_never_chosen_and_each_other_one_can_be(
            rooms in prop::collection::btree_set(1_000u64..100_000, 2..9),
            draws: [u64; 2],
        ) {
            let hosts: Vec<_> = rooms.iter().enumerate().map(|(id, room)| candidate(id, *room)).collect();
            let chosen = choose(&hosts, NEED, draws).unwrap();
            prop_assert_ne!(chosen, &hosts[0].host);
            let count = u64::try_from(hosts.len()).unwrap();
            let all = (0..count).flat_map(|a| (0..count).map(move |b| [a, b]));
            let reached: std::collections::BTreeSet<_> = all.filter_map(|draws| choose(&hosts, NEED, draws)).collect();
            prop_assert_eq!(reached.len(), hosts.len() - 1);
        }
    }
}
