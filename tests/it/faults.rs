//! What breaks heals by itself: briefly, what `scripts/bench faults` measures at length.

use std::{path::Path, time::Duration};

use crate::support::faults::{Fault, HEAD, measure};

/// The bound for all that a service can notice.
const NOTICED_WITHIN: Duration = Duration::from_secs(15);

/// Breaks something under traffic; nothing may be lost, doubled or left, and the session must be READY with nobody calling.
async fn heals(fault: Fault, sessions: u64) {
    // What befalls one run in hundreds has to be told from its log.
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{fault:?}.log"));
    std::fs::write(&log, "").unwrap();
    let outcome = measure(fault, sessions, Duration::from_secs(1), Some(log.clone())).await;
    println!("{HEAD}\n{}", outcome.row(&format!("{fault:?}")));
    assert!(
        outcome.is_good(),
        "{}\nthe services said: {}",
        outcome.report,
        log.display()
    );
    let noticed = outcome.noticed.unwrap_or_default();
    assert!(noticed < NOTICED_WITHIN, "noticed after {noticed:?}");
}

/// A test for each fault: its name, the fault, and how many sessions it strikes.
macro_rules! faults {
    ($($(#[$attribute:meta])* $test:ident: $fault:expr, $sessions:expr;)*) => {$(
        #[tokio::test]
        $(#[$attribute])*
        async fn $test() {
            heals($fault, $sessions).await;
        }
    )*};
}

faults! {
    a_chrome_that_is_killed: Fault::ChromeKilled, 1;
    a_chrome_that_stands_still: Fault::ChromeStopped, 1;
    a_renderer_that_is_killed: Fault::RendererKilled, 1;
    a_page_that_hangs: Fault::PageHangs, 1;
    a_page_that_goes_elsewhere: Fault::PageLeaves, 1;
    a_service_that_is_killed: Fault::ServiceKilled, 3;
    a_profile_that_is_corrupt: Fault::ProfileCorrupt, 1;
    a_chrome_that_is_killed_again_and_again_while_it_writes: Fault::KilledWhileWriting(3), 1;
    a_network_that_is_away_for_longer_than_a_reconnect_takes: Fault::NetworkCut(Duration::from_secs(10)), 1;
    #[ignore = "takes three minutes: an actor test in paused time holds what is done, and `scripts/bench faults` measures it"]
    a_page_that_had_no_room_for_a_minute: Fault::StorageFull(Duration::from_secs(10)), 1;
    a_disk_that_is_full: Fault::DiskFull(Duration::from_secs(2)), 1;
}
