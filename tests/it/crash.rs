//! Sends are neither lost nor doubled, whatever dies. The long form is `scripts/bench crash`.

use crate::support::crash::{BUSY, Plan, run};

#[tokio::test]
async fn sends_outlive_the_kills_of_service_and_chromes() {
    let report = run(Plan {
        seed: 1,
        kills: 6,
        sessions: 2,
        is_attended: false,
        pause: BUSY,
        log: None,
    })
    .await;
    assert!(report.is_clean(), "{report}");
    println!("{report}");
}
