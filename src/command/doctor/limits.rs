//! What the system counts and limits: processes and threads, open files.
//!
//! A Chrome that runs into such a limit ends without a word, so what one takes is measured on the one that was tried out.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::process::{Resource, getrlimit};

use super::report::Check;
use crate::{browser::Footprint, config::Config};

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
    let room = Room::read(Path::new("/proc"), Path::new("/sys/fs/cgroup"));
    let files = getrlimit(Resource::Nofile).current;
    vec![
        judge_processes(&room, threads, at_rest),
        judge_files(files, config.max_sessions.get()),
    ]
}

/// How many more processes and threads there may be, and what sets that.
#[derive(Debug)]
struct Room(Vec<(&'static str, u64)>);

impl Room {
    fn read(proc: &Path, control_groups: &Path) -> Self {
        let number = |path: PathBuf| -> Option<u64> {
            // No limit is written as `max`.
            fs::read_to_string(path).ok()?.trim().parse().ok()
        };
        let running = threads_running(&proc.join("loadavg"));
        let of_the_system = ["kernel/threads-max", "kernel/pid_max"]
            .iter()
            .filter_map(|name| number(proc.join("sys").join(name)))
            .map(|limit| {
                (
                    "the kernel (kernel.threads-max, kernel.pid_max)",
                    limit.saturating_sub(running),
                )
            });
        // Root is not held to it. What the user has running already is not told, so it is taken for the whole machine's.
        let of_the_user = getrlimit(Resource::Nproc).current;
        let of_the_user = of_the_user
            .filter(|_| !rustix::process::geteuid().is_root())
            .map(|limit| {
                (
                    "the user's limit (ulimit -u, systemd: LimitNPROC)",
                    limit.saturating_sub(running),
                )
            });
        let groups = fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
        let of_the_group = groups
            .lines()
            .filter_map(|line| group_folder(line, control_groups))
            .flat_map(|(root, group)| {
                let groups: Vec<PathBuf> =
                    group.ancestors().map(|group| root.join(group)).collect();
                groups
            })
            .filter_map(|folder| {
                let (limit, current) = (
                    number(folder.join("pids.max"))?,
                    number(folder.join("pids.current"))?,
                );
                Some((
                    "the control group (docker --pids-limit, systemd: TasksMax)",
                    limit.saturating_sub(current),
                ))
            });
        Self(
            of_the_system
                .chain(of_the_user)
                .chain(of_the_group)
                .collect(),
        )
    }

    fn least(&self) -> Option<(&'static str, u64)> {
        self.0.iter().copied().min_by_key(|(_, room)| *room)
    }
}

/// `0.1 0.2 0.3 2/345 678`: two of 345 are running.
fn threads_running(loadavg: &Path) -> u64 {
    let text = fs::read_to_string(loadavg).unwrap_or_default();
    let all = text
        .split_ascii_whitespace()
        .nth(3)
        .and_then(|field| field.split_once('/'));
    all.and_then(|(_, all)| all.parse().ok()).unwrap_or(0)
}

/// The hierarchy of a line of `/proc/self/cgroup` that counts processes, and the group in it.
fn group_folder(line: &str, control_groups: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, group) = (parts.next()?, parts.next()?);
    let group = PathBuf::from(group.trim_start_matches('/'));
    match controllers {
        "" => Some((control_groups.to_owned(), group)),
        names if names.split(',').any(|name| name == "pids") => {
            Some((control_groups.join("pids"), group))
        }
        _ => None,
    }
}

fn judge_processes(room: &Room, threads_each: u64, at_rest: usize) -> Check {
    let name = "processes";
    let Some((limit, room)) = room.least() else {
        return Check::ok(name, "no limit is known");
    };
    let fit = room / threads_each.max(1);
    let found =
        format!("{room} more processes and threads: {fit} more sessions of some {threads_each}");
    let remedy = format!("raise {limit}; Chrome ends without a word when it is reached");
    Check::room(name, fit, at_rest, found, remedy)
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

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn the_narrowest_limit_counts_of_either_kind_of_control_group() {
        for (group, folder) in [("0::/docker/x", ""), ("8:pids:/docker/x", "pids/")] {
            let machine = tempfile::tempdir().unwrap();
            let (max, current) = (
                format!("cg/{folder}docker/x/pids.max"),
                format!("cg/{folder}docker/x/pids.current"),
            );
            write(
                machine.path(),
                &[
                    ("proc/loadavg", "0.00 0.01 0.05 2/300 12345\n"),
                    ("proc/sys/kernel/threads-max", "10300\n"),
                    ("proc/self/cgroup", group),
                    (&max, "512\n"),
                    (&current, "12\n"),
                ],
            );
            let room = Room::read(&machine.path().join("proc"), &machine.path().join("cg"));
            assert_eq!(room.least().unwrap().1, 500, "{room:?}");
            assert!(room.0.iter().any(|(_, room)| *room == 10_000), "{room:?}");
            fs::write(machine.path().join(&max), "max\n").unwrap();
            let room = Room::read(&machine.path().join("proc"), &machine.path().join("cg"));
            assert_ne!(room.least().unwrap().1, 500);
        }
    }

    #[test]
    fn processes_must_do_for_one_session_and_should_for_all_that_have_a_profile() {
        let verdict =
            |room, at_rest| judge_processes(&Room(vec![("x", room)]), 100, at_rest).verdict;
        assert_eq!(verdict(99, 0), Verdict::Fail);
        assert_eq!(verdict(100, 1), Verdict::Ok);
        assert_eq!(verdict(100, 2), Verdict::Warn);
        assert_eq!(
            judge_processes(&Room(Vec::new()), 100, 9).verdict,
            Verdict::Ok
        );
    }

    #[test]
    fn files_are_wanted_by_the_sessions_that_may_run() {
        assert_eq!(judge_files(None, 500).verdict, Verdict::Ok);
        assert_eq!(judge_files(Some(1024), 50).verdict, Verdict::Ok);
        assert_eq!(judge_files(Some(1024), 500).verdict, Verdict::Warn);
        assert_eq!(judge_files(Some(256), 1).verdict, Verdict::Warn);
    }
}
