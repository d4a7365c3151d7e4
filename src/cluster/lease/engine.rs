//! What each answer of the engine says about the engine itself.

use crate::cluster::Timeline;

/// Of the primary that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineWord {
    /// The timeline on which it writes: the first eight digits of `pg_walfile_name(pg_current_wal_lsn())`, in hexadecimal. Not the one of
    /// `pg_control_checkpoint()`, which is that of the last checkpoint: it still named the old timeline 24 s after a promotion (PostgreSQL
    /// 15.18), when the write-ahead log had been on the new one from the first moment.
    pub timeline: Timeline,
    /// Whether a commit waits until a standby has it (`synchronous_standby_names` is set), so that a failover loses none.
    pub is_synchronous: bool,
    /// A timeline that a host has waited out ([`Holder::settled`](super::Holder::settled)): the newest one in the column `settled` of all
    /// hosts. The wait is over for all of them then, also for one that has just started.
    pub settled: Option<Timeline>,
}

impl EngineWord {
    /// Whether all that was committed before this timeline began, and was lost by it, has run out: nothing is older than the first
    /// timeline, and a host has waited out each later one that is settled.
    pub(super) fn is_settled(&self) -> bool {
        self.timeline == Timeline::FIRST || self.settled == Some(self.timeline)
    }
}
