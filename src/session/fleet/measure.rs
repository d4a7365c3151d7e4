//! What each session's Chrome takes of the machine's memory, and how long processors have worked for it, measured repeatedly.
//!
//! Responsible for measuring all of them in one go, off the runtime, for telling each session what it takes and the
//! [tally](crate::session::CpuTally) what it has had. What a session does about its memory, `lifecycle::memory_budget` decides.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use crate::{
    browser::{chrome_cpu, chrome_memory},
    session::{MemoryReport, Registry},
};

/// A page that leaks grows over minutes, and a budget is exceeded for a minute before anything is done. Ten Chromes take
/// milliseconds of a thread that has nothing else to do.
const INTERVAL: Duration = Duration::from_secs(15);

/// Measures until it is dropped.
pub(super) async fn watch(registry: Arc<Registry>) {
    let mut ticks = interval(INTERVAL);
    // After a pause of the whole machine one measurement is enough.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let sessions: Vec<_> = registry
            .handles()
            .into_iter()
            .filter_map(|session| Some((session.snapshot().chrome_pid?, session)))
            .collect();
        let leaders: BTreeSet<u32> = sessions.iter().map(|(pid, _)| *pid).collect();
        if leaders.is_empty() {
            continue;
        }
        let began = Instant::now();
        let measure = move || (chrome_memory(&leaders), chrome_cpu(&leaders));
        let Ok((measured, cpu)) = spawn_blocking(measure).await else {
            continue;
        };
        tracing::debug!(
            elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "measured {} Chromes",
            measured.len()
        );
        for (pid, session) in sessions {
            if let Some(cpu) = cpu.get(&pid) {
                registry.cpu().on_measured(&session.session, pid, *cpu);
            }
            if let Some(memory) = measured.get(&pid) {
                let report = MemoryReport {
                    mb: memory.mb,
                    measure: memory.measure,
                    at: Timestamp::now(),
                };
                session.tell_memory(pid, report);
            }
        }
    }
}
