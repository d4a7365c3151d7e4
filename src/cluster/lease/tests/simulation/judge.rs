//! Sees everything, and counts what must not be. It knows the true time and asks none of the code that it judges.

use super::{SESSIONS, clock::Micros};

/// What a run came to. Times are session-microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Two Chromes of one session carried traffic. While two replace each other's connection in turn, both are counted.
    pub(super) doubled: Micros,
    /// A Chrome carried traffic while the engine had a later claim on its session. (A failover brings an earlier claim back, and no
    /// Chrome runs under that one.)
    pub(super) disowned: Micros,
    /// The longest time that one Chrome's processes ran, on a machine that was awake, while the engine had a later claim on its session.
    pub(super) outlived: Micros,
    /// A session's Chrome carried traffic.
    pub(super) up: Micros,
    /// The length of the run.
    pub(super) length: Micros,
    /// How many runs this is, and in how many of them two Chromes carried traffic.
    pub(super) runs: u64,
    pub(super) runs_doubled: u64,
    /// Chromes that logged in.
    pub(super) logins: u64,
    /// Claims of sessions whose last owner was another host.
    pub(super) takeovers: u64,
}

impl Verdict {
    pub(super) fn add(&mut self, other: &Self) {
        self.doubled += other.doubled;
        self.disowned += other.disowned;
        self.outlived = self.outlived.max(other.outlived);
        self.up += other.up;
        self.length += other.length;
        self.runs += other.runs;
        self.runs_doubled += other.runs_doubled;
        self.logins += other.logins;
        self.takeovers += other.takeovers;
    }

    /// The share of time up, in thousandths.
    pub(super) fn up_share(&self) -> u64 {
        self.up * 1_000 / (self.length * u64::try_from(SESSIONS).unwrap()).max(1)
    }
}

/// One Chrome, as the judge sees it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    chrome: usize,
    claim: u128,
    carries: bool,
    is_awake: bool,
    outlived: Micros,
}

#[derive(Debug, Default)]
struct Case {
    at: Micros,
    owner: Option<u128>,
    chromes: Vec<Seen>,
    /// When each Chrome carried traffic.
    carried: Vec<(usize, Micros, Micros)>,
}

#[derive(Debug, Default)]
pub(super) struct Judge {
    cases: [Case; SESSIONS],
    pub(super) verdict: Verdict,
}

impl Judge {
    pub(super) fn see_owner(&mut self, now: Micros, session: usize, owner: Option<u128>) {
        if self.cases[session].owner != owner {
            self.advance(now, session);
            self.cases[session].owner = owner;
        }
    }

    /// A Chrome that runs.
    pub(super) fn see(
        &mut self,
        now: Micros,
        session: usize,
        (chrome, claim): (usize, u128),
        carries: bool,
        is_awake: bool,
    ) {
        self.advance(now, session);
        let chromes = &mut self.cases[session].chromes;
        match chromes.iter_mut().find(|seen| seen.chrome == chrome) {
            Some(seen) => (seen.carries, seen.is_awake) = (carries, is_awake),
            None => chromes.push(Seen {
                chrome,
                claim,
                carries,
                is_awake,
                outlived: 0,
            }),
        }
    }

    pub(super) fn see_end(&mut self, now: Micros, session: usize, chrome: usize) {
        self.advance(now, session);
        self.cases[session]
            .chromes
            .retain(|seen| seen.chrome != chrome);
    }

    /// A Chrome that another one had replaced is back: so it fought for the session all the time.
    pub(super) fn see_fight(&mut self, session: usize, chrome: usize, from: Micros, to: Micros) {
        self.cases[session].carried.push((chrome, from, to));
    }

    fn advance(&mut self, now: Micros, session: usize) {
        let Case {
            at,
            owner,
            chromes,
            carried,
        } = &mut self.cases[session];
        let from = std::mem::replace(at, now);
        let passed = now - from;
        if passed == 0 {
            return;
        }
        if chromes.iter().any(|seen| seen.carries) {
            self.verdict.up += passed;
        }
        for seen in chromes {
            let is_disowned = owner.is_some_and(|claim| seen.claim < claim);
            if seen.carries {
                match carried.last_mut() {
                    Some((chrome, _, to)) if *chrome == seen.chrome && *to == from => *to = now,
                    _ => carried.push((seen.chrome, from, now)),
                }
                if is_disowned {
                    self.verdict.disowned += passed;
                }
            }
            if is_disowned && seen.is_awake {
                seen.outlived += passed;
                self.verdict.outlived = self.verdict.outlived.max(seen.outlived);
            }
        }
    }

    pub(super) fn finish(mut self, now: Micros) -> Verdict {
        for session in 0..SESSIONS {
            self.advance(now, session);
            let carried = &mut self.cases[session].carried;
            carried.sort_unstable_by_key(|(_, from, _)| *from);
            for (index, (chrome, _, to)) in carried.iter().enumerate() {
                for (other, from, end) in &carried[index + 1..] {
                    if to <= from {
                        break;
                    }
                    if other != chrome {
                        self.verdict.doubled += to.min(end) - from;
                    }
                }
            }
        }
        self.verdict.length = now;
        self.verdict.runs = 1;
        self.verdict.runs_doubled = u64::from(self.verdict.doubled > 0);
        self.verdict
    }
}
