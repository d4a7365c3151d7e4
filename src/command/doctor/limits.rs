//! What the system counts and limits: processes and threads, address space, open files.
//!
//! A Chrome that reaches such a limit ends without a message, so what a session needs is measured on the Chrome that was started here.

use rustix::process::{Resource, getrlimit};

use super::report::{AS_IT_SAYS, Check, Finding};
use crate::{
    browser::{Advice, Footprint, ProcessRoom, address_space_limit},
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
        ("processes", judge_processes(room, threads, at_rest)),
        ("address-space", judge_address_space(address_space_limit())),
        (
            "files",
            judge_files(files, config.sessions.max_sessions.get()),
        ),
    ]
}

fn judge_processes(
    room: Option<(&'static str, u64)>,
    threads_each: u64,
    at_rest: usize,
) -> Finding {
    let Some((limit, room)) = room else {
        return Finding::ok("no limit is known");
    };
    let fit = room / threads_each.max(1);
    let found =
        format!("{room} more processes and threads: {fit} more sessions of some {threads_each}");
    let remedy = format!("raise {limit}; Chrome ends without a message when it is reached");
    Finding::room(fit, at_rest, found, remedy)
}

fn judge_address_space(limit: Option<Advice>) -> Finding {
    match limit {
        None => Finding::ok("as much as Chrome reserves"),
        Some(limit) => Finding::fail(limit.to_string(), AS_IT_SAYS),
    }
}

fn judge_files(limit: Option<u64>, max_sessions: usize) -> Finding {
    let Some(limit) = limit else {
        return Finding::ok("as many open files as wanted");
    };
    let sessions = u64::try_from(max_sessions).unwrap_or(u64::MAX);
    let wanted = LEAST_FILES.max(sessions.saturating_mul(FILES_PER_SESSION));
    if limit < wanted {
        Finding::warn(
            format!(
                "{limit} open files for each process; {wanted} are wanted for MAX_SESSIONS={max_sessions}"
            ),
            "ulimit -n 65536 (systemd: LimitNOFILE=65536)",
        )
    } else {
        Finding::ok(format!("{limit} open files for each process"))
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
    fn files_are_wanted_by_the_sessions_that_may_run() {
        assert_eq!(judge_files(None, 500).verdict, Verdict::Ok);
        assert_eq!(judge_files(Some(1024), 50).verdict, Verdict::Ok);
        assert_eq!(judge_files(Some(1024), 500).verdict, Verdict::Warn);
        assert_eq!(judge_files(Some(256), 1).verdict, Verdict::Warn);
    }
}
