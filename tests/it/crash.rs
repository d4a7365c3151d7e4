//! Messages are neither lost nor doubled, in both directions, whichever process dies. The long form is `scripts/bench crash`.

use std::path::Path;

use crate::support::crash::{BUSY, Plan, TALKATIVE, run};

#[tokio::test]
async fn messages_in_both_directions_outlive_the_kills_of_service_and_chromes() {
    // What befalls one run in hundreds has to be told from its log.
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crash.log");
    std::fs::write(&log, "").unwrap();
    let report = run(Plan {
        seed: 1,
        kills: 6,
        sessions: 2,
        is_attended: false,
        pause: BUSY,
        has_media: true,
        others: Some(TALKATIVE),
        log: Some(log.clone()),
    })
    .await;
    assert!(
        report.is_clean(),
        "{report}\nthe services said: {}",
        log.display()
    );
    println!("{report}");
}
