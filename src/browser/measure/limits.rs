//! What the system limits and a Chrome runs into: processes and threads, address space, open files.
//!
//! A Chrome that meets such a limit ends with a line about a thread or a file, or with none at all. Here the limit behind it
//! is found, so that an operator learns which one to raise. Chrome inherits the service's own limits.

use std::{fs, io, path::Path};

use rustix::{
    io::Errno,
    process::{Resource, getrlimit},
};

use crate::{
    browser::{Advice, Exit},
    kernel::{ControlGroup, control_groups, number_in},
};

/// Of address space Chrome reserves far more than it uses. Chromium 156 on x86-64 was tried: below 60 GB it does not
/// start, at 60 GB its pages crash, at 100 GB they get no memory for WebAssembly, at 200 GB all is well.
const ADDRESS_SPACE_WANTED: u64 = 200_000_000_000;

/// What Chrome prints when it gets no thread or process, as Chromium 156 and libraries below it do.
const NO_THREAD: &[&str] = &[
    "pthread_create: Resource temporarily unavailable",
    "Zygote could not fork",
    "Resource temporarily unavailable (11)",
    "fork: Resource temporarily unavailable",
    "Cannot fork",
];

/// What it prints when it gets no address space.
const NO_ADDRESS_SPACE: &[&str] = &[
    "Oilpan: Out of memory",
    "failed to map segment from shared object",
    "Cannot allocate memory",
    "Fatal process out of memory",
];

const NO_FILE: &str = "Too many open files";

/// The same words, for a limit of its own that Chrome does without.
const NO_WATCH: &str = "inotify_init";

/// The signals with which Chrome ends itself when something it needs is refused: SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGSEGV.
const OWN_END: [i32; 5] = [4, 5, 6, 7, 11];

/// How many more processes and threads there may be, and what sets that; all limits that are known.
#[derive(Debug)]
pub struct ProcessRoom(Vec<(&'static str, u64)>);

impl ProcessRoom {
    /// Looks at the kernel's, the user's and the control groups' limits.
    pub fn read() -> Self {
        Self::read_in(Path::new("/proc"), Path::new("/sys/fs/cgroup"))
    }

    fn read_in(proc: &Path, root: &Path) -> Self {
        let running = threads_running(&proc.join("loadavg"));
        let of_the_system = ["kernel/threads-max", "kernel/pid_max"]
            .iter()
            .filter_map(|name| number_in(&proc.join("sys").join(name)))
            .map(|limit| {
                (
                    "the kernel (kernel.threads-max, kernel.pid_max)",
                    limit.saturating_sub(running),
                )
            });
        // Root is not limited by it. The kernel does not say what the user has running, so all of the machine's processes count.
        let of_the_user = getrlimit(Resource::Nproc).current;
        let of_the_user = of_the_user
            .filter(|_| !rustix::process::geteuid().is_root())
            .map(|limit| {
                (
                    "the user's limit (ulimit -u, systemd: LimitNPROC)",
                    limit.saturating_sub(running),
                )
            });
        let groups = control_groups("pids", proc, root);
        let of_the_group = groups.iter().filter_map(|ControlGroup { folder, .. }| {
            let limit = number_in(&folder.join("pids.max"))?;
            let current = number_in(&folder.join("pids.current"))?;
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

    /// The narrowest limit: what sets it, and what it leaves.
    pub fn least(&self) -> Option<(&'static str, u64)> {
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

/// The limits that the service and its Chromes are under, where they are not unlimited.
#[derive(Clone, Copy, Debug, Default)]
struct Limits {
    address_space: Option<u64>,
    data: Option<u64>,
    files: Option<u64>,
    /// `vm.overcommit_memory` is 2: what is reserved counts as if it were used.
    no_overcommit: bool,
}

impl Limits {
    fn read() -> Self {
        let overcommit = fs::read_to_string("/proc/sys/vm/overcommit_memory");
        Self {
            address_space: getrlimit(Resource::As).current,
            data: getrlimit(Resource::Data).current,
            files: getrlimit(Resource::Nofile).current,
            no_overcommit: overcommit.is_ok_and(|value| value.trim() == "2"),
        }
    }

    /// The limit on each process that is too low for what Chrome reserves.
    fn address_space_limit(&self) -> Option<Advice> {
        let limited = |what: &str, limit: u64, names: &str| {
            let megabytes = limit / 1_000_000;
            Advice::lasting(format!(
                "{what} of each process is limited to {megabytes} MB ({names}), and Chrome reserves far more than it uses: \
                 take that limit off, or set it to {} MB or more; to limit memory itself use SESSION_MEMORY_MB, or systemd's MemoryMax",
                ADDRESS_SPACE_WANTED / 1_000_000
            ))
        };
        let is_too_little = |limit: &u64| *limit < ADDRESS_SPACE_WANTED;
        if let Some(limit) = self.address_space.filter(is_too_little) {
            return Some(limited(
                "the address space",
                limit,
                "ulimit -v, systemd: LimitAS",
            ));
        }
        if let Some(limit) = self.data.filter(is_too_little) {
            return Some(limited(
                "the data segment",
                limit,
                "ulimit -d, systemd: LimitDATA",
            ));
        }
        None
    }

    /// The same, or what makes the whole system short of it.
    fn too_little_address_space(&self) -> Option<Advice> {
        let of_the_system = "the system counts reserved memory as if it were used (vm.overcommit_memory=2), and Chrome reserves far more \
                             than it uses: sysctl -w vm.overcommit_memory=0";
        let advice = || self.no_overcommit.then(|| Advice::lasting(of_the_system));
        self.address_space_limit().or_else(advice)
    }
}

/// The limit on the address space of each process that Chrome cannot live with, if there is one.
pub fn address_space_limit() -> Option<Advice> {
    Limits::read().address_space_limit()
}

/// The limit that a Chrome ran into, as far as its end and its last lines show it.
pub(in crate::browser) fn advice(exit: Option<Exit>, lines: &[String]) -> Option<Advice> {
    judge(exit, lines, Limits::read(), ProcessRoom::read)
}

/// The same for one that had been up for a while: only when it ended itself, since its lines may be old.
pub(in crate::browser) fn advice_on_end(exit: Exit, lines: &[String]) -> Option<Advice> {
    ended_itself(exit).then(|| advice(Some(exit), lines))?
}

/// Whether Chrome itself gave up, as it does when something it needs is refused.
pub(in crate::browser) fn ended_itself(exit: Exit) -> bool {
    matches!(exit, Exit::Signal(signal) if OWN_END.contains(&signal))
}

/// The same for a program that the system would not even start.
pub(in crate::browser) fn advice_on_refusal(why: &io::Error) -> Option<Advice> {
    match Errno::from_io_error(why)? {
        Errno::AGAIN => Some(no_threads(&ProcessRoom::read())),
        Errno::NOMEM => Limits::read().too_little_address_space(),
        Errno::MFILE => Some(no_files(Limits::read().files)),
        _ => None,
    }
}

fn judge(
    exit: Option<Exit>,
    lines: &[String],
    limits: Limits,
    room: impl FnOnce() -> ProcessRoom,
) -> Option<Advice> {
    let says = |signs: &[&str]| {
        let holds = |line: &String| signs.iter().any(|sign| line.contains(sign));
        lines.iter().any(holds)
    };
    if says(NO_THREAD) {
        return Some(no_threads(&room()));
    }
    let has_no_file = |line: &String| line.contains(NO_FILE) && !line.contains(NO_WATCH);
    if lines.iter().any(has_no_file) {
        return Some(no_files(limits.files));
    }
    if exit.is_some_and(ended_itself) || says(NO_ADDRESS_SPACE) {
        return limits.too_little_address_space();
    }
    None
}

/// Other sessions release theirs when they end, so this may pass.
fn no_threads(room: &ProcessRoom) -> Advice {
    let least = room.least().map_or_else(String::new, |(limit, room)| {
        format!(": the narrowest limit is {limit}, which leaves {room}")
    });
    Advice::passing(format!(
        "the limit on processes and threads was reached{least}; a session takes some 90 to 180, so raise it, or run fewer sessions"
    ))
}

fn no_files(limit: Option<u64>) -> Advice {
    let limit = limit.map_or_else(String::new, |limit| format!(", {limit} for each process,"));
    Advice::lasting(format!(
        "the limit on open files{limit} was reached: ulimit -n 65536 (systemd: LimitNOFILE=65536, docker --ulimit nofile=65536)"
    ))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A machine made of a few files.
    pub(in crate::browser) fn write(root: &Path, files: &[(&str, &str)]) {
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
            let read =
                || ProcessRoom::read_in(&machine.path().join("proc"), &machine.path().join("cg"));
            let room = read();
            assert_eq!(room.least().unwrap().1, 500, "{room:?}");
            assert!(room.0.iter().any(|(_, room)| *room == 10_000), "{room:?}");
            fs::write(machine.path().join(&max), "max\n").unwrap();
            assert_ne!(read().least().unwrap().1, 500);
        }
    }

    #[test]
    fn a_chrome_that_was_up_is_judged_by_its_last_lines_only_when_it_ended_itself() {
        let old = ["pthread_create: Resource temporarily unavailable (11)".to_owned()];
        assert_eq!(advice_on_end(Exit::Signal(9), &old), None);
        assert_eq!(advice_on_end(Exit::Status(0), &old), None);
        let named = advice_on_end(Exit::Signal(5), &old).unwrap().to_string();
        assert!(named.contains("processes and threads"), "{named}");
    }

    fn judged(exit: Exit, lines: &[&str], limits: Limits) -> Option<String> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let room = || ProcessRoom(vec![("the control group (docker --pids-limit)", 7)]);
        judge(Some(exit), &lines, limits, room).map(|advice| advice.to_string())
    }

    /// The lines are those of Chromium 156 in a control group with 40 processes, and with 40 open files.
    #[test]
    fn the_limit_behind_chromes_own_lines_is_named() {
        for line in [
            "[1129/132402.522334:ERROR:base/threading/platform_thread_posix.cc:162] pthread_create: Resource temporarily unavailable (11)",
            "[1129/132405.036722:ERROR:content/zygote/zygote_linux.cc:623] Zygote could not fork: process_type renderer numfds 5 child_pid -1",
        ] {
            let named = judged(Exit::Signal(5), &[line], Limits::default()).unwrap();
            assert!(
                named.contains("docker --pids-limit), which leaves 7"),
                "{named}"
            );
        }
        let files = Limits {
            files: Some(40),
            ..Limits::default()
        };
        let fatal = "[1129/131427.646356:FATAL:mojo/public/cpp/platform/platform_channel.cc:154] Check failed: . : Too many open files (24)";
        let named = judged(Exit::Signal(5), &[fatal], files).unwrap();
        assert!(named.contains("40 for each process") && named.contains("ulimit -n"));
        let harmless = "[1129/131427.645078:ERROR:base/files/file_path_watcher_inotify.cc:338] inotify_init() failed: Too many open files (24)";
        assert_eq!(judged(Exit::Status(0), &[harmless], files), None);
    }

    #[test]
    fn a_chrome_that_ends_without_a_word_under_a_limit_of_address_space_has_its_cause() {
        let under = |address_space| Limits {
            address_space,
            ..Limits::default()
        };
        let named = judged(Exit::Signal(5), &[], under(Some(8_000_000_000))).unwrap();
        assert!(named.contains("8000 MB (ulimit -v"), "{named}");
        let library = "chromium: error while loading shared libraries: libglib-2.0.so.0: failed to map segment from shared object";
        assert!(judged(Exit::Status(127), &[library], under(Some(300_000_000))).is_some());
        // Another cause is not talked away.
        assert_eq!(judged(Exit::Signal(5), &[], under(None)), None);
        let ample = under(Some(ADDRESS_SPACE_WANTED));
        assert_eq!(judged(Exit::Signal(5), &[], ample), None);
        let small = under(Some(8_000_000_000));
        assert_eq!(judged(Exit::Status(1), &["no display"], small), None);
        let strict = Limits {
            no_overcommit: true,
            ..Limits::default()
        };
        let named = judged(Exit::Signal(6), &[], strict).unwrap();
        assert!(named.contains("vm.overcommit_memory"), "{named}");
    }
}
