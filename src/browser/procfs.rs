//! What `/proc` says about processes: which live, which service started them, which folder they work on.
//!
//! Only reads. A process may vanish between two looks, so every function answers "not there" instead of an error.
//! A zombie counts as gone everywhere: in a container whose first process does not reap, zombies stay for ever.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fmt, fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    str::FromStr,
};

/// The switch that names the profile folder, without dashes.
pub(in crate::browser) const USER_DATA_DIR: &str = "user-data-dir";

/// A switch that Chrome ignores: the service that started it, so that a leftover is distinguished from another program's Chrome.
pub(in crate::browser) const MARKER: &str = "session-manager-owner";

/// One process, distinguished from a later one that got the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::browser) struct ProcessId {
    pub(in crate::browser) pid: u32,
    /// Clock ticks between the machine's start and the process's.
    started: u64,
}

impl ProcessId {
    /// The service itself.
    pub(in crate::browser) fn of_this_service() -> Option<Self> {
        let pid = std::process::id();
        let started = Stat::of(pid)?.started;
        Some(Self { pid, started })
    }

    pub(in crate::browser) fn is_alive(self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.started == self.started && stat.is_alive())
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.pid, self.started)
    }
}

impl FromStr for ProcessId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (pid, started) = text.split_once(':').ok_or(())?;
        Ok(Self {
            pid: pid.parse().map_err(drop)?,
            started: started.parse().map_err(drop)?,
        })
    }
}

/// The few fields of `/proc/<pid>/stat` that matter here.
struct Stat {
    state: u8,
    group: u32,
    /// What processors have worked for it and for those of its children that have ended and been waited for, in clock ticks.
    ticks: u64,
    threads: u32,
    started: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(line: &str) -> Option<Self> {
        // The second field is the program's name in brackets, which may itself hold blanks and brackets.
        let (_, fields) = line.rsplit_once(") ")?;
        let mut fields = fields.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let group = fields.nth(1)?.parse().ok()?;
        // Its own in user and in system mode, then its children's. Whether a process is there does not depend on them.
        let times = fields.by_ref().skip(8).take(4);
        let ticks = times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        let threads = fields.nth(2)?.parse().ok()?;
        let started = fields.nth(1)?.parse().ok()?;
        Some(Self {
            state,
            group,
            ticks,
            threads,
            started,
        })
    }

    fn is_alive(&self) -> bool {
        // A first thread that is a zombie while others are still on their way out: files are still locked.
        !matches!(self.state, b'Z' | b'X' | b'x') || self.threads > 1
    }
}

/// A process that was started with `--user-data-dir`.
#[derive(Clone, Debug)]
pub(in crate::browser) struct Chrome {
    pub(in crate::browser) id: ProcessId,
    pub(in crate::browser) group: u32,
    /// The folder as its command line names it.
    pub(in crate::browser) folder: PathBuf,
    /// The service that started it, if a service did.
    pub(in crate::browser) owner: Option<ProcessId>,
    /// Whether it is a renderer or another helper of a main process.
    pub(in crate::browser) helper: bool,
}

/// Every living process that was started with `--user-data-dir`.
pub(in crate::browser) fn chromes() -> Vec<Chrome> {
    pids().filter_map(chrome).collect()
}

/// Names of browsers that are Chrome, as the kernel shortens them.
const BROWSERS: [&str; 8] = [
    "chrom",
    "headless_shell",
    "brave",
    "msedge",
    "vivaldi",
    "opera",
    "electron",
    "thorium",
];

/// Whether this process lives and is a browser, by its name: a number that a lock has kept may be another program's by now.
pub(in crate::browser) fn is_a_browser(pid: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let is_one = BROWSERS
        .iter()
        .any(|browser| name.to_lowercase().contains(browser));
    is_one && Stat::of(pid).is_some_and(|stat| stat.is_alive())
}

/// Whether any process of the group still runs.
pub(in crate::browser) fn group_is_alive(group: u32) -> bool {
    pids()
        .filter_map(Stat::of)
        .any(|stat| stat.group == group && stat.is_alive())
}

/// Whether every thread of every living process of the group is stopped. One that waits for a disk is not: what it writes may still
/// come.
pub(in crate::browser) fn group_stands_still(group: u32) -> bool {
    let members = members(&BTreeSet::from([group]));
    members.iter().all(|(_, pid)| stands_still(*pid))
}

/// Whether all threads of a process are stopped, or on their way out.
fn stands_still(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return true;
    };
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat"));
        let stat = stat.ok().and_then(|line| Stat::parse(&line));
        stat.is_none_or(|stat| matches!(stat.state, b'T' | b't' | b'Z' | b'X' | b'x'))
    })
}

/// The living processes of these groups, each with its group.
pub(in crate::browser) fn members(groups: &BTreeSet<u32>) -> Vec<(u32, u32)> {
    let group_of = |pid| Some((Stat::of(pid).filter(Stat::is_alive)?.group, pid));
    pids()
        .filter_map(group_of)
        .filter(|(group, _)| groups.contains(group))
        .collect()
}

/// What processors have worked for each of these groups, in clock ticks. A zombie has still to hand its time on, so it counts.
pub(in crate::browser) fn ticks(groups: &BTreeSet<u32>) -> BTreeMap<u32, u64> {
    let mut sums = BTreeMap::new();
    for stat in pids().filter_map(Stat::of) {
        if groups.contains(&stat.group) {
            *sums.entry(stat.group).or_default() += stat.ticks;
        }
    }
    sums
}

impl Chrome {
    /// Whether it works on this folder, by whatever links, mounts or relative path it got there.
    pub(in crate::browser) fn works_on(&self, folder: &Path) -> bool {
        let seen_by_it = self.folder_seen_from_here();
        match (fs::metadata(&seen_by_it), fs::metadata(folder)) {
            (Ok(its), Ok(ours)) => its.dev() == ours.dev() && its.ino() == ours.ino(),
            // The root of another user's process cannot be entered: compare what the paths say.
            _ => fs::canonicalize(&self.folder).is_ok_and(|path| path == folder),
        }
    }

    /// The folder's path from our side, through the process's own root and working directory.
    pub(in crate::browser) fn folder_seen_from_here(&self) -> PathBuf {
        let proc = PathBuf::from(format!("/proc/{}", self.id.pid));
        match self.folder.strip_prefix("/") {
            Ok(below_root) => proc.join("root").join(below_root),
            Err(_) => proc.join("cwd").join(&self.folder),
        }
    }
}

fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn chrome(pid: u32) -> Option<Chrome> {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = CommandLine::parse(&raw);
    let folder = line.value(USER_DATA_DIR)?;
    let stat = Stat::of(pid).filter(Stat::is_alive)?;
    let owner = line
        .value(MARKER)
        .and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    Some(Chrome {
        id: ProcessId {
            pid,
            started: stat.started,
        },
        group: stat.group,
        folder: PathBuf::from(OsStr::from_bytes(folder)),
        owner,
        helper: line.value("type").is_some(),
    })
}

/// A program's arguments.
struct CommandLine<'a>(Vec<&'a [u8]>);

impl<'a> CommandLine<'a> {
    fn parse(raw: &'a [u8]) -> Self {
        let raw = raw.strip_suffix(b"\0").unwrap_or(raw);
        let words: Vec<&[u8]> = raw.split(|byte| *byte == 0).collect();
        match words.as_slice() {
            // Chrome's helpers rewrite their title: one word, in which blanks part the arguments.
            [title] => Self(split_at_switches(title)),
            _ => Self(words),
        }
    }

    /// The value of `--name=value`; Chrome takes the last one, and one dash as well as two.
    fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.0.iter().rev().find_map(|word| {
            let word = word.strip_prefix(b"-")?;
            let word = word.strip_prefix(b"-").unwrap_or(word);
            word.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
        })
    }
}

/// Cuts before each ` --`, so that a folder's name may hold blanks.
fn split_at_switches(title: &[u8]) -> Vec<&[u8]> {
    let mut words = Vec::new();
    let mut from = 0;
    for (at, window) in title.windows(3).enumerate() {
        if window == b" --" {
            words.push(&title[from..at]);
            from = at + 1;
        }
    }
    words.push(title[from..].trim_ascii_end());
    words
}

/// Whether a process counts processes as this one does: only then its pids mean the same to both.
pub(in crate::browser) fn shares_our_pid_namespace(pid: u32) -> bool {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    namespace("self").is_some_and(|ours| namespace(&pid.to_string()) == Some(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let line = "77 (a) S b) Z 1 76 76 0 -1 1077936128 1 0 0 0 1 2 3 4 20 0 1 0 78281 9 9";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(
            (
                stat.state,
                stat.group,
                stat.ticks,
                stat.threads,
                stat.started
            ),
            (b'Z', 76, 10, 1, 78281),
            "{line}"
        );
        assert!(!stat.is_alive());
    }

    #[test]
    fn a_zombie_with_threads_on_their_way_out_is_still_there() {
        let line = "77 (a) Z 1 76 76 0 -1 1077936128 1 0 0 0 1 2 3 4 20 0 9 0 78281 9 9";
        assert!(Stat::parse(line).unwrap().is_alive());
    }

    #[test]
    fn an_identity_reads_as_it_was_written() {
        let service = ProcessId::of_this_service().unwrap();
        assert_eq!(service.to_string().parse(), Ok(service));
        assert!(service.is_alive());
        let another_with_this_pid = ProcessId {
            started: service.started + 1,
            ..service
        };
        assert!(!another_with_this_pid.is_alive());
    }

    #[test]
    fn the_last_of_several_folders_counts_as_it_does_for_chrome() {
        let line = CommandLine::parse(b"chrome\0--user-data-dir=/a\0-user-data-dir=/b c\0");
        assert_eq!(line.value("user-data-dir"), Some(b"/b c".as_slice()));
        assert_eq!(line.value("type"), None);
    }

    #[test]
    fn a_helper_is_known_by_its_rewritten_title() {
        let line = CommandLine::parse(
            b"/usr/lib/chromium --type=renderer --user-data-dir=/a b --no-first-run \0",
        );
        assert_eq!(line.value("type"), Some(b"renderer".as_slice()));
        assert_eq!(line.value("user-data-dir"), Some(b"/a b".as_slice()));
    }
}
