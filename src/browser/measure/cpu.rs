//! How long processors have worked for Chromes.
//!
//! Only reads `/proc`. A process that has ended hands its time to the one that waited for it: Chrome's zygotes do so for its renderers and
//! its graphics process, so their time stays in the sum. What Chrome's main process has had goes with it: whoever wants to know
//! looks while it runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::browser::procfs;

/// What all processes of each of these Chromes have had since it started, by its main process. One that is gone is left out.
///
/// May be too much by what a process had that ended while this looked: a later look is right again.
pub fn chrome_cpu(leaders: &BTreeSet<u32>) -> BTreeMap<u32, Duration> {
    let per_second = rustix::param::clock_ticks_per_second();
    procfs::ticks(leaders)
        .into_iter()
        .filter_map(|(leader, ticks)| Some((leader, duration(ticks, per_second)?)))
        .collect()
}

fn duration(ticks: u64, per_second: u64) -> Option<Duration> {
    let seconds = Duration::from_secs(ticks.checked_div(per_second)?);
    let rest = Duration::from_secs(ticks % per_second) / u32::try_from(per_second).ok()?;
    Some(seconds + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_parts_of_a_second() {
        assert_eq!(duration(1250, 100), Some(Duration::from_millis(12_500)));
        assert_eq!(duration(1, 0), None);
    }

    #[test]
    fn the_time_of_a_child_stays_when_it_has_ended_and_been_waited_for() {
        let group = rustix::process::getpgrp()
            .as_raw_nonzero()
            .get()
            .unsigned_abs();
        let before = chrome_cpu(&[group, u32::MAX].into());
        assert_eq!(before.len(), 1, "{before:?}");
        #[expect(
            clippy::disallowed_methods,
            reason = "the test needs a child that works and ends"
        )]
        let mut child = std::process::Command::new("sh");
        let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        assert!(child.args(["-c", work]).status().unwrap().success());
        let after = chrome_cpu(&[group].into());
        let more = after[&group].saturating_sub(before[&group]);
        assert!(more > Duration::from_millis(20), "{before:?} {after:?}");
    }
}
