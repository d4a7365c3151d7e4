//! What of the ledger outlives the service, and what a power cut.

use super::*;
use crate::ledger::{
    clock::Now,
    disk::{Disk, Late},
    keeper::Request,
};

/// What a service would find that begins now, had this one been killed.
async fn after_a_kill(folder: &std::path::Path, key: &str) -> SendState {
    let left = tempfile::tempdir().unwrap();
    let ledger = left.path().join("ledger");
    std::fs::create_dir(&ledger).unwrap();
    for entry in std::fs::read_dir(folder.join("ledger")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), ledger.join(entry.file_name())).unwrap();
    }
    state(&open(options(left.path())), key).await
}

/// Asks for a step that somebody waits for, or that has happened already.
fn advance(step: Step, is_awaited: bool) -> Request {
    Request::Advance {
        key: "3EB0A".to_owned(),
        step,
        at: None,
        reply: is_awaited.then(|| oneshot::channel().0),
    }
}

fn accept(is_durable: bool) -> Request {
    Request::Accept {
        new: NewSend {
            is_durable,
            ..send("3EB0A")
        },
        reply: oneshot::channel().0,
    }
}

fn now() -> Now {
    let at = jiff::Timestamp::now();
    Now { at, at_least: at }
}

fn taken(wa_key: &str) -> Step {
    Step::Taken {
        wa_key: wa_key.to_owned(),
        message_id: format!("true_5491158254201@c.us_{wa_key}"),
    }
}

#[tokio::test]
async fn nobody_is_told_of_a_step_that_a_killed_service_would_not_find_again() {
    // Often: a moment too early would not always show.
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let ledger = open(options(folder.path()));
        let mut followed = accepted(&ledger, send("3EB0A")).await;
        // One that nobody had an answer to.
        assert_eq!(
            after_a_kill(folder.path(), "3EB0A").await,
            SendState::Failed
        );
        hand(&ledger, "3EB0A").await;
        assert_eq!(
            after_a_kill(folder.path(), "3EB0A").await,
            SendState::Handed
        );
        ledger.note("3EB0A", Step::Acknowledged(1));
        let sent = followed.wait_for(|record| !record.state.is_open()).await;
        assert_eq!(sent.unwrap().state, SendState::Sent);
        assert_eq!(after_a_kill(folder.path(), "3EB0A").await, SendState::Sent);
    }
}

#[test]
fn what_a_page_may_have_and_what_was_promised_outlives_a_power_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::new(options(folder.path()));
    let mut outlives = |request: Request| {
        let served = disk.serve(&Vec::<Late>::new(), &[request], now());
        served.unwrap();
        !disk.has_unsynced()
    };
    let failed = || Step::Failed(Failure::NotTaken, "refused".to_owned());
    assert!(!outlives(accept(false)), "its caller has no answer yet");
    let handing = Step::Handing(handing("3EB0A"));
    assert!(outlives(advance(handing.clone(), true)));
    // A look-up finds it out again.
    assert!(!outlives(advance(taken("3EB0A"), false)));
    assert!(outlives(advance(Step::Absent, false)));
    assert!(outlives(advance(handing.clone(), true)));
    assert!(
        outlives(advance(taken("3EB0F"), false)),
        "nobody else knows the id that the page chose"
    );
    assert!(!outlives(advance(Step::Acknowledged(1), false)));
    // What changes nothing syncs nothing.
    assert!(!outlives(advance(handing, true)));
    assert!(!outlives(advance(failed(), false)));
    disk.sync().unwrap();
    assert!(!disk.has_unsynced());
}

#[test]
fn a_send_that_was_promised_for_later_or_has_failed_outlives_a_power_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::new(options(folder.path()));
    let refused = Step::Failed(Failure::NotTaken, "refused".to_owned());
    for request in [accept(true), advance(refused, false)] {
        let served = disk.serve(&Vec::<Late>::new(), &[request], now());
        served.unwrap();
        assert!(!disk.has_unsynced());
    }
}

#[tokio::test(start_paused = true)]
async fn news_that_need_not_outlive_a_power_cut_does_so_soon_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(options(folder.path()));
    let file = folder.path().join("ledger/ledger.sqlite3");
    let is_in_the_file = || {
        let bytes = std::fs::read(&file).unwrap();
        bytes.windows(5).any(|window| window == b"3EB0A")
    };
    accepted(&ledger, send("3EB0A")).await;
    assert!(!is_in_the_file(), "it is in the log");
    // Moved from the log into the file proper, which is how it is synced.
    let moved = tokio::time::timeout(HOUR, async {
        while !is_in_the_file() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    moved.await.unwrap();
}
