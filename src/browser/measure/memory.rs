//! What Chromes take of the machine's memory, and what is left of it.
//!
//! Only reads `/proc` and the control groups under `/sys`. Reading what one process takes walks its page tables: some
//! milliseconds of system time for a Chrome, so this is for a thread of its own and not for the runtime's.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::{
    browser::procfs,
    kernel::{ControlGroup, control_groups, number_after, number_in},
};

/// Where the kernel's files are.
const PROC: &str = "/proc";
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

const KB_PER_MB: u64 = 1024;
const BYTES_PER_KB: u64 = 1024;

/// What a Chrome takes, all its processes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChromeMemory {
    /// How much.
    pub mb: u64,
    /// What was added up.
    pub measure: Measure,
}

/// What was added up of each process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Its proportional set size: what it shares with others counts in parts, so that a sum is true.
    Pss,
    /// Of some only their private memory (`RssAnon`), as the system does not let this service see more: the sum is too small.
    Private,
}

impl Measure {
    /// Its name as on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pss => "pss",
            Self::Private => "private",
        }
    }
}

/// What each of these Chromes takes, by its main process. One that is gone is left out.
pub fn chrome_memory(leaders: &BTreeSet<u32>) -> BTreeMap<u32, ChromeMemory> {
    let mut sums: BTreeMap<u32, (u64, Measure)> = BTreeMap::new();
    for (group, pid) in procfs::members(leaders) {
        let Some((kb, measure)) = kb_of(&Path::new(PROC).join(pid.to_string())) else {
            continue;
        };
        let sum = sums.entry(group).or_insert((0, Measure::Pss));
        sum.0 += kb;
        if measure == Measure::Private {
            sum.1 = measure;
        }
    }
    let in_mb = |(kb, measure)| ChromeMemory {
        mb: kb / KB_PER_MB,
        measure,
    };
    sums.into_iter()
        .map(|(leader, sum)| (leader, in_mb(sum)))
        .collect()
}

/// What one process takes.
fn kb_of(process: &Path) -> Option<(u64, Measure)> {
    // A process that runs in a sandbox of Chrome's shows this to root alone.
    if let Some(kb) = read_kb(&process.join("smaps_rollup"), "Pss:") {
        return Some((kb, Measure::Pss));
    }
    let kb = read_kb(&process.join("status"), "RssAnon:")?;
    Some((kb, Measure::Private))
}

/// How much memory is left before the kernel ends processes: what is available on the machine, or what is left of the limit
/// of this service's control group or of one around it, whichever is less. `None` where the kernel does not say.
pub fn free_memory_mb() -> Option<u64> {
    free_kb(Path::new(PROC), Path::new(CONTROL_GROUPS)).map(|kb| kb / KB_PER_MB)
}

/// Called on the runtime, for each start of a session: a dozen small files that the kernel makes up in microseconds, in
/// whatever state disks and other processes are.
fn free_kb(proc: &Path, root: &Path) -> Option<u64> {
    let available = read_kb(&proc.join("meminfo"), "MemAvailable:");
    let groups = control_groups("memory", proc, root);
    let left = groups.iter().filter_map(left_kb);
    available.into_iter().chain(left).min()
}

/// What is left of the limit of a control group. Copies of files do not count: the kernel lets them go.
fn left_kb(group: &ControlGroup) -> Option<u64> {
    let (limit, used, cached) = if group.is_unified {
        let cached = ["active_file ", "inactive_file "];
        ("memory.max", "memory.current", cached)
    } else {
        let cached = ["total_active_file ", "total_inactive_file "];
        ("memory.limit_in_bytes", "memory.usage_in_bytes", cached)
    };
    let number = |name| number_in(&group.folder.join(name));
    let (limit, used) = (number(limit)?, number(used)?);
    let stat = fs::read_to_string(group.folder.join("memory.stat")).unwrap_or_default();
    let cached = cached.iter().filter_map(|name| number_after(name, &stat));
    let left = limit.saturating_sub(used.saturating_sub(cached.sum()));
    Some(left / BYTES_PER_KB)
}

fn read_kb(file: &Path, name: &str) -> Option<u64> {
    number_after(name, &fs::read_to_string(file).ok()?)
}

#[cfg(test)]
mod tests {
    use super::{super::limits::tests::write, *};

    fn free(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), files);
        free_kb(&root.path().join("proc"), &root.path().join("cgroup"))
    }

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:  8000 kB\nMemFree:  1000 kB\nMemAvailable:   4000 kB\n",
    );

    #[test]
    fn without_a_limit_the_machine_says_what_is_free() {
        assert_eq!(free(&[MEMINFO]), Some(4000));
        let unlimited = [
            MEMINFO,
            ("proc/self/cgroup", "0::/service\n"),
            ("cgroup/service/memory.max", "max\n"),
            ("cgroup/service/memory.current", "1024\n"),
        ];
        assert_eq!(free(&unlimited), Some(4000));
        assert_eq!(free(&[]), None);
    }

    #[test]
    fn the_nearest_limit_counts_and_copies_of_files_are_free() {
        let limited = [
            MEMINFO,
            ("proc/self/cgroup", "0::/slice/service\n"),
            ("cgroup/slice/memory.max", "2048000\n"),
            ("cgroup/slice/memory.current", "1536000\n"),
            (
                "cgroup/slice/memory.stat",
                "anon 1\nfile 512000\ninactive_file 256000\nactive_file 256000\n",
            ),
            ("cgroup/slice/service/memory.max", "4096000\n"),
            ("cgroup/slice/service/memory.current", "1024000\n"),
        ];
        assert_eq!(free(&limited), Some(1000));
    }

    #[test]
    fn the_older_form_is_found_also_where_a_container_hides_the_path() {
        let limited = [
            MEMINFO,
            (
                "proc/self/cgroup",
                "9:name=systemd:/\n4:cpu,memory:/docker/abc\n0::/\n",
            ),
            ("cgroup/memory/memory.limit_in_bytes", "1024000\n"),
            ("cgroup/memory/memory.usage_in_bytes", "1048576\n"),
            (
                "cgroup/memory/memory.stat",
                "active_file 9\ntotal_active_file 409600\ntotal_inactive_file 16384\n",
            ),
        ];
        assert_eq!(free(&limited), Some((1_024_000 - 622_592) / 1024));
    }

    #[test]
    fn a_process_that_is_not_shown_counts_with_what_is_its_own() {
        let root = tempfile::tempdir().unwrap();
        let status = (
            "1/status",
            "Name:\tx\nVmRSS:\t 300 kB\nRssAnon:\t     120 kB\n",
        );
        write(root.path(), &[status]);
        let process = root.path().join("1");
        assert_eq!(kb_of(&process), Some((120, Measure::Private)));
        let rollup = (
            "1/smaps_rollup",
            "55d0 ---p 0 00:00 0 [rollup]\nRss:  300 kB\nPss:   200 kB\nPss_Anon: 1 kB\n",
        );
        write(root.path(), &[rollup]);
        assert_eq!(kb_of(&process), Some((200, Measure::Pss)));
        assert_eq!(kb_of(&root.path().join("2")), None);
    }

    #[test]
    fn this_process_takes_something_and_one_that_is_gone_is_left_out() {
        let group = rustix::process::getpgrp()
            .as_raw_nonzero()
            .get()
            .unsigned_abs();
        let measured = chrome_memory(&[group, u32::MAX].into());
        assert_eq!(measured.len(), 1, "{measured:?}");
        assert!(measured[&group].mb > 0, "{measured:?}");
        assert!(free_memory_mb().is_some_and(|mb| mb > 0));
    }
}
