//! What breaks heals by itself: briefly, what `scripts/bench faults` measures at length.

use std::time::Duration;

use crate::support::faults::{Fault, HEAD, measure};

/// The bound for all that a service can notice.
const NOTICED_WITHIN: Duration = Duration::from_secs(15);

/// Breaks something under traffic; nothing may be lost, doubled or left, and the session must be READY with nobody calling.
async fn heals(fault: Fault, sessions: u64) {
    let outcome = measure(fault, sessions, Duration::from_secs(1), None).await;
    println!("{HEAD}\n{}", outcome.row(&format!("{fault:?}")));
    assert!(outcome.is_good(), "{}", outcome.report);
    let noticed = outcome.noticed.unwrap_or_default();
    assert!(noticed < NOTICED_WITHIN, "noticed after {noticed:?}");
}

#[tokio::test]
async fn a_chrome_that_is_killed() {
    heals(Fault::ChromeKilled, 1).await;
}

#[tokio::test]
async fn a_chrome_that_stands_still() {
    heals(Fault::ChromeStopped, 1).await;
}

#[tokio::test]
async fn a_renderer_that_is_killed() {
    heals(Fault::RendererKilled, 1).await;
}

#[tokio::test]
async fn a_page_that_hangs() {
    heals(Fault::PageHangs, 1).await;
}

#[tokio::test]
async fn a_page_that_goes_elsewhere() {
    heals(Fault::PageLeaves, 1).await;
}

#[tokio::test]
async fn a_service_that_is_killed() {
    heals(Fault::ServiceKilled, 3).await;
}

#[tokio::test]
async fn a_profile_that_is_corrupt() {
    heals(Fault::ProfileCorrupt, 1).await;
}

#[tokio::test]
async fn a_chrome_that_is_killed_again_and_again_while_it_writes() {
    heals(Fault::KilledWhileWriting(3), 1).await;
}

#[tokio::test]
async fn a_network_that_is_away_for_longer_than_a_reconnect_takes() {
    heals(Fault::NetworkCut(Duration::from_secs(10)), 1).await;
}

#[tokio::test]
#[ignore = "takes three minutes: an actor test in paused time holds what is done, and `scripts/bench faults` measures it"]
async fn a_page_that_had_no_room_for_a_minute() {
    heals(Fault::StorageFull(Duration::from_secs(10)), 1).await;
}

#[tokio::test]
async fn a_disk_that_is_full() {
    heals(Fault::DiskFull(Duration::from_secs(2)), 1).await;
}
