//! Each fault × (noticed after, READY after, sends lost, doubled, processes left), as the table of docs/reliability.md.
//! `--only WORD` measures the rows whose names contain it; `--log FILE` keeps what the services said.

use std::time::Duration;

use super::{
    argument,
    support::faults::{Fault, HEAD, measure},
};

/// Clients send for so long before something breaks, and after it has been mended.
const TRAFFIC: Duration = Duration::from_secs(3);

/// Each with so many sessions.
const ROWS: [(&str, Fault, u64); 13] = [
    ("SIGKILL of Chrome", Fault::ChromeKilled, 1),
    ("SIGSTOP of Chrome", Fault::ChromeStopped, 1),
    ("SIGKILL of the page's renderer", Fault::RendererKilled, 1),
    ("page in an endless loop", Fault::PageHangs, 1),
    ("page on another address", Fault::PageLeaves, 1),
    ("SIGKILL of the service, 1 session", Fault::ServiceKilled, 1),
    (
        "SIGKILL of the service, 4 sessions",
        Fault::ServiceKilled,
        4,
    ),
    (
        "SIGKILL of the service, 10 sessions",
        Fault::ServiceKilled,
        10,
    ),
    (
        "SIGKILL of Chrome while it writes, 10 times",
        Fault::KilledWhileWriting(10),
        1,
    ),
    (
        "WhatsApp's server away for 20 s",
        Fault::NetworkCut(Duration::from_secs(20)),
        1,
    ),
    (
        "disk full for 10 s",
        Fault::DiskFull(Duration::from_secs(10)),
        1,
    ),
    (
        "page without room for a minute",
        Fault::StorageFull(Duration::from_secs(60)),
        1,
    ),
    (
        "profile corrupt at the next start",
        Fault::ProfileCorrupt,
        1,
    ),
];

/// Answers whether everything came back, and nothing was lost, doubled or left.
pub(super) async fn bench() -> bool {
    let only = argument("--only").unwrap_or_default();
    println!("{HEAD}");
    let mut went_well = true;
    for (name, fault, sessions) in ROWS {
        if name.contains(&only) {
            let outcome =
                measure(fault, sessions, TRAFFIC, argument("--log").map(Into::into)).await;
            println!("{}", outcome.row(name));
            if !outcome.is_good() {
                println!("{}", outcome.report);
            }
            went_well &= outcome.is_good();
        }
    }
    went_well
}
