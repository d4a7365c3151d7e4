//! Numbers that the kernel writes into the files under `/proc` and `/sys/fs/cgroup`.
//!
//! Each of these files is made up by the kernel when it is read, without a disk. What is not there is `None`. This module imports
//! no other one of this crate.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The number that is all of a file. A control group without a limit says `max`, which is `None` too.
pub(crate) fn number_in(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The number after `name` at the beginning of a line of this text.
pub(crate) fn number_after(name: &str, text: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

/// The folder of one control group.
#[derive(Debug)]
pub(crate) struct ControlGroup {
    pub(crate) folder: PathBuf,
    /// Whether it is of the second version, in which one hierarchy has all controllers.
    pub(crate) is_unified: bool,
}

/// The control groups that this process is in and that have this controller, each followed by those around it. `proc` and `root`
/// are where the kernel's files are. In a container a group may be named as the host sees it, and not be there.
pub(crate) fn control_groups(controller: &str, proc: &Path, root: &Path) -> Vec<ControlGroup> {
    let lines = fs::read_to_string(proc.join("self/cgroup")).unwrap_or_default();
    let mut groups = Vec::new();
    for line in lines.lines() {
        // `number:controllers:/group`; the second version has neither number nor controllers.
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else {
            continue;
        };
        let is_unified = controllers.is_empty();
        if !is_unified && controllers.split(',').all(|name| name != controller) {
            continue;
        }
        let below = if is_unified { "" } else { controller };
        let own = Path::new(group.trim_start_matches('/'));
        groups.extend(own.ancestors().map(|group| ControlGroup {
            folder: root.join(below).join(group),
            is_unified,
        }));
    }
    groups
}
