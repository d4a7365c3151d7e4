//! What this process takes, under the names that every Prometheus client uses. Chrome's memory is shown for each session.

use std::{fs, sync::atomic::AtomicU64, time::Duration};

use jiff::Timestamp;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry as Scrape, Unit},
};
use rustix::time::{ClockId, clock_gettime};

use super::level;
use crate::kernel::number_after;

const BYTES_PER_KB: i64 = 1024;

/// Adds what the kernel says; what it does not say is left out. Read on the runtime: the kernel makes these files up
/// from counters of this process, without a disk and without waiting for another process, in well under a millisecond.
pub(super) fn register(scrape: &mut Scrape, started_at: Timestamp) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(kb) = field(&status, "VmRSS:") {
        let (name, help) = ("process_resident_memory", "Resident memory");
        scrape.register_with_unit(name, help, Unit::Bytes, gauge(kb * BYTES_PER_KB));
    }
    if let Some(threads) = field(&status, "Threads:") {
        scrape.register("process_threads", "Threads", gauge(threads));
    }
    if let Ok(handles) = fs::read_dir("/proc/self/fd") {
        let count = level(handles.count());
        scrape.register("process_open_fds", "Open file handles", gauge(count));
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    if let Some(most) = field(&limits, "Max open files") {
        scrape.register("process_max_fds", "The most that may be open", gauge(most));
    }
    if let Some(time) = cpu_time() {
        let spent = Counter::<f64, AtomicU64>::default();
        spent.inc_by(time.as_secs_f64());
        let (name, help) = ("process_cpu", "Time that processors have spent on it");
        scrape.register_with_unit(name, help, Unit::Seconds, spent);
    }
    let started = gauge(started_at.as_second());
    let (name, help) = ("process_start_time", "When it started, since the epoch");
    scrape.register_with_unit(name, help, Unit::Seconds, started);
}

fn gauge(value: i64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(value);
    gauge
}

fn field(text: &str, name: &str) -> Option<i64> {
    number_after(name, text)?.try_into().ok()
}

fn cpu_time() -> Option<Duration> {
    clock_gettime(ClockId::ProcessCPUTime).try_into().ok()
}
