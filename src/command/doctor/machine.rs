//! The machine: memory, shared memory, clock.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use rustix::fs::{Access, access, statvfs};

use super::report::{Check, Finding};
use crate::{browser::free_memory_mb, config::Config};

const MB: u64 = 1024 * 1024;

/// What one more session takes until its page stands, as the service reckons when it starts one.
const SESSION_MB: u64 = 300;

/// Docker gives a container 64 MB; a page with pictures has been seen to need more than twice that.
const SMALL_SHM_MB: u64 = 256;
const SHM: &str = "/dev/shm";
/// Chrome then uses files in place of shared memory.
const WITHOUT_SHM: &str = "--disable-dev-shm-usage";

/// A clock may be a little behind the machine that built this program.
const CLOCK_TOLERANCE: Duration = Duration::from_hours(24);

/// Beyond the life of any certificate that is in use now.
const LATEST: Duration = Duration::from_hours(24 * 365 * 10);

/// `at_rest`: profiles that may still be started beside what runs.
pub(super) fn examine(config: &Config, at_rest: usize) -> Vec<Check> {
    let memory = judge_memory(
        free_memory_mb(),
        config.sessions.min_free_memory_mb,
        at_rest,
    );
    let shm = judge_shm(
        shm_mb(),
        config
            .chrome_args
            .iter()
            .any(|switch| switch == WITHOUT_SHM),
    );
    let built = std::env::current_exe()
        .and_then(|program| program.metadata()?.modified())
        .ok();
    let clock = judge_clock(SystemTime::now(), built);
    vec![("memory", memory), ("shm", shm), ("clock", clock)]
}

fn judge_memory(free_mb: Option<u64>, must_be_free_mb: u64, at_rest: usize) -> Finding {
    let Some(free_mb) = free_mb else {
        return Finding::warn("the system does not say how much is free", "mount /proc");
    };
    let fit = free_mb.saturating_sub(must_be_free_mb) / SESSION_MB
        + u64::from(must_be_free_mb <= free_mb);
    let found = format!("{free_mb} MB available: {fit} more sessions of some {SESSION_MB} MB");
    let found = if fit == 0 {
        format!("{found}; MIN_FREE_MEMORY_MB asks for {must_be_free_mb} MB")
    } else {
        found
    };
    let remedy = "more memory, fewer sessions, or the headless shell in place of the full browser";
    Finding::room(fit, at_rest, found, remedy)
}

/// How large the shared memory is; `None` when it is not there or cannot be written.
fn shm_mb() -> Option<u64> {
    access(Path::new(SHM), Access::WRITE_OK).ok()?;
    let size = statvfs(SHM).ok()?;
    Some(size.f_bavail.saturating_mul(size.f_frsize) / MB)
}

fn judge_shm(free_mb: Option<u64>, is_avoided: bool) -> Finding {
    let remedy =
        format!("docker run --shm-size=1g (compose: shm_size: 1gb), or CHROME_ARGS={WITHOUT_SHM}");
    match free_mb {
        _ if is_avoided => Finding::ok(format!("not used: {WITHOUT_SHM}")),
        None => Finding::fail(
            format!("{SHM} is not there, or cannot be written: pages crash"),
            remedy,
        ),
        Some(mb) if mb < SMALL_SHM_MB => Finding::warn(
            format!("only {mb} MB free in {SHM}: pages may crash"),
            remedy,
        ),
        Some(mb) => Finding::ok(format!("{mb} MB free in {SHM}")),
    }
}

fn judge_clock(now: SystemTime, built: Option<SystemTime>) -> Finding {
    let shown = jiff::Timestamp::try_from(now)
        .map_or_else(|_| "far off".to_owned(), |now| format!("{now:.0}"));
    let Some(built) = built else {
        return Finding::ok(shown);
    };
    let is_behind = now + CLOCK_TOLERANCE < built;
    let is_ahead = built + LATEST < now;
    if is_behind || is_ahead {
        Finding::fail(
            format!(
                "{shown} cannot be: this program was built {}",
                if is_behind { "later" } else { "long before" }
            ),
            "timedatectl set-ntp true: with a wrong clock no certificate is valid, and messages have wrong times",
        )
    } else {
        Finding::ok(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::report::Verdict;

    #[test]
    fn memory_must_do_for_one_session_and_should_for_all_that_have_a_profile() {
        let verdict = |free, at_rest| judge_memory(free, 400, at_rest).verdict;
        assert_eq!(verdict(Some(399), 0), Verdict::Fail);
        assert_eq!(verdict(Some(400), 1), Verdict::Ok);
        assert_eq!(verdict(Some(400), 2), Verdict::Warn);
        assert_eq!(verdict(Some(4000), 13), Verdict::Ok);
        assert_eq!(verdict(Some(4000), 14), Verdict::Warn);
        assert_eq!(verdict(None, 0), Verdict::Warn);
        assert_eq!(
            judge_memory(Some(100), 0, 0).verdict,
            Verdict::Ok,
            "it is not looked at"
        );
    }

    #[test]
    fn little_shared_memory_is_no_matter_when_it_is_not_used() {
        assert_eq!(judge_shm(Some(64), false).verdict, Verdict::Warn);
        assert_eq!(judge_shm(Some(64), true).verdict, Verdict::Ok);
        assert_eq!(judge_shm(None, false).verdict, Verdict::Fail);
        assert_eq!(judge_shm(Some(1024), false).verdict, Verdict::Ok);
    }

    #[test]
    fn a_clock_before_this_program_was_built_is_wrong() {
        let now = SystemTime::now();
        let verdict = |built| judge_clock(now, built).verdict;
        assert_eq!(verdict(None), Verdict::Ok);
        assert_eq!(verdict(Some(now)), Verdict::Ok);
        assert_eq!(verdict(Some(now + Duration::from_hours(12))), Verdict::Ok);
        assert_eq!(verdict(Some(now + Duration::from_hours(48))), Verdict::Fail);
        assert_eq!(
            verdict(Some(now - Duration::from_hours(24 * 365 * 11))),
            Verdict::Fail
        );
    }
}
