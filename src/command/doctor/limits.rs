//! What the system counts and limits: processes and threads, address space, open files.
//!
//! A Chrome that runs into such a limit ends without a word, so what one takes is measured on the one that was tried out.

use rustix::process::{Resource, getrlimit};

use super::report::Check;
use crate::{
    browser::{ADDRESS_SPACE_WANTED, Footprint, ProcessRoom},
    config::Config,
};

/// What one session takes when none could be measured: the headless shell with a page took 7 processes and some 90 threads, the full
/// browser with a heavy page twice that.
const USUAL_THREADS: u64 = 180;

/// A real page opens more than an empty one: workers, sockets, databases.
const REAL_PAGE_FACTOR: u64 = 2;

/// A Chrome with a heavy page has some 300 open files, the service some 20 for each session.
const LEAST_FILES: u64 = 1024;
const FILES_PER_SESSION: u64 = 20;

/// `at_rest`: profiles that may still be started beside what runs.
pub(super) fn examine(config: &Config, at_rest: usize, footprint: Option<Footprint>) -> Vec<Check> {
    let threads = footprint.map(|taken| u64::try_from(taken.threads).unwrap_or(u64::MAX));
    let threads = threads.map_or(USUAL_THREADS, |threads| {
        threads.saturating_mul(REAL_PAGE_FACTOR)
    });
    let room = ProcessRoom::read().least();
    let files = getrlimit(Resource::Nofile).current;
    vec![
        judge_processes(room, threads, at_rest),
        judge_address_space(getrlimit(Resource::As).current),
        judge_files(files, config.sessions.max_sessions.get()),
    ]
}

fn judge_processes(room: Option<(&'static str, u64)>, threads_each: u64, at_rest: usize) -> Check {
    let name = "processes";
    let Some((limit, room)) = room else {
        return Check::ok(name, "no limit is known");
    };
    let fit = room / threads_each.max(1);
    let found =
        format!("{room} more processes and threads: {fit} more sessions of some {threads_each}");
    let remedy = format!("raise {limit}; Chrome ends without a word when it is reached");
    Check::room(name, fit, at_rest, found, remedy)
}

/// Chrome reserves far more than it uses.
fn judge_address_space(limit: Option<u64>) -> Check {
    let name = "address-space";
    match limit {
        None => Check::ok(name, "as much as wanted"),
        Some(limit) if limit < ADDRESS_SPACE_WANTED => Check::fail(
            name,
            format!(
                "{} MB for each process (ulimit -v); Chrome reserves up to {} MB, of which it uses little",
                limit / 1_000_000,
                ADDRESS_SPACE_WANTED / 1_000_000
            ),
            "ulimit -v unlimited (systemd: LimitAS=infinity); to limit memory itself: SESSION_MEMORY_MB, systemd's MemoryMax",
        ),
        Some(limit) => Check::ok(name, format!("{} MB for each process", limit / 1_000_000)),
    }
}

fn judge_files(limit: Option<u64>, max_sessions: usize) -> Check {
    let name = "files";
    let Some(limit) = limit else {
        return Check::ok(name, "as many open files as wanted");
    };
    let sessions = u64::try_from(max_sessions).unwrap_or(u64::MAX);
    let wanted = LEAST_FILES.max(sessions.saturating_mul(FILES_PER_SESSION));
    if limit < wanted {
        Check::warn(
            name,
            format!(
                "{limit} open files for each process; {wanted} are wanted for MAX_SESSIONS={max_sessions}"
            ),
            "ulimit -n 65536 (systemd: LimitNOFILE=65536)",
        )
    } else {
        Check::ok(name, format!("{limit} open files for each process"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::report::Verdict;

    #[test]
    fn processes_must_do_for_one_session_and_should_for_all_that_have_a_profile() {
        let verdict = |room, at_rest| judge_processes(Some(("x", room)), 100, at_rest).verdict;
        assert_eq!(verdict(99, 0), Verdict::Fail);
        assert_eq!(verdict(100, 1), Verdict::Ok);
        assert_eq!(verdict(100, 2), Verdict::Warn);
        assert_eq!(judge_processes(None, 100, 9).verdict, Verdict::Ok);
    }

    #[test]
    fn a_limit_of_address_space_that_chrome_cannot_live_with_fails() {
        assert_eq!(judge_address_space(None).verdict, Verdict::Ok);
        let check = judge_address_space(Some(16_000_000_000));
        assert_eq!(check.verdict, Verdict::Fail);
        assert!(check.found.contains("16000 MB"), "{}", check.found);
        let ample = judge_address_space(Some(ADDRESS_SPACE_WANTED));
        assert_eq!(ample.verdict, Verdict::Ok);
    }

    #[test]
    fn files_are_wanted_by_the_sessions_that_may_run() {
        assert_eq!(judge_files(None, 500).verdict, Verdict::Ok);
        assert_eq!(judge_files(Some(1024), 50).verdict, Verdict::Ok);
        assert_eq!(judge_files(Some(1024), 500).verdict, Verdict::Warn);
        assert_eq!(judge_files(Some(256), 1).verdict, Verdict::Warn);
    }
}
