//! What of the ledger outlives the service, and what a power cut.

use super::*;

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

fn now() -> Now {
    let at = jiff::Timestamp::now();
    Now { at, at_least: at }
}

fn taken(wa_key: &str) -> Step {
    Step::Taken {
        wa_key: wa_key.to_owned(),
        message_id: format!("true_5491158254201@c.us_{wa_key}").into(),
    }
}

#[tokio::test]
async fn no_caller_is_told_of_a_step_that_a_killed_service_would_not_find_again() {
    // Often: a moment too early would not always show.
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let ledger = open(options(folder.path()));
        let mut followed = accepted(&ledger, send("3EB0A")).await;
        // One whose caller had no answer.
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

/// The ledger's file, and what jobs do to it.
struct Served {
    _folder: tempfile::TempDir,
    disk: Disk,
}

impl Served {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            disk: Disk::new(options(folder.path())),
            _folder: folder,
        }
    }

    /// Whether a send that is accepted now outlives a power cut once its caller is told so.
    fn accept_lasts(&mut self, is_durable: bool) -> bool {
        let new = NewSend {
            is_durable,
            ..send("3EB0A")
        };
        let accept = |reply| job::accept(new, reply);
        serve(&mut self.disk, now(), accept).unwrap();
        !self.disk.has_unsynced()
    }

    /// Whether a step does that its caller waits for.
    fn advance_lasts(&mut self, step: Step) -> bool {
        let key = "3EB0A".to_owned();
        let advance = |reply| job::advance(key, step, reply);
        serve(&mut self.disk, now(), advance).unwrap();
        !self.disk.has_unsynced()
    }

    /// Whether a step does that has happened already.
    fn note_lasts(&mut self, step: Step) -> bool {
        note(&mut self.disk, now(), "3EB0A", step);
        !self.disk.has_unsynced()
    }
}

#[test]
fn what_a_page_may_have_and_what_was_promised_outlives_a_power_cut() {
    let mut served = Served::new();
    let failed = || Step::Failed(Failure::NotTaken, "refused".to_owned());
    assert!(!served.accept_lasts(false), "its caller has no answer yet");
    let handing = Step::Handing(handing("3EB0A"));
    assert!(served.advance_lasts(handing.clone()));
    // A look-up finds it out again.
    assert!(!served.note_lasts(taken("3EB0A")));
    assert!(served.note_lasts(Step::Absent));
    assert!(served.advance_lasts(handing.clone()));
    assert!(
        served.note_lasts(taken("3EB0F")),
        "only the page knows the id that the page chose"
    );
    assert!(!served.note_lasts(Step::Acknowledged(1)));
    // What changes nothing syncs nothing.
    assert!(!served.advance_lasts(handing));
    assert!(!served.note_lasts(failed()));
    served.disk.sync().unwrap();
    assert!(!served.disk.has_unsynced());
}

#[test]
fn a_send_that_was_promised_for_later_or_has_failed_outlives_a_power_cut() {
    let mut served = Served::new();
    assert!(served.accept_lasts(true));
    let refused = Step::Failed(Failure::NotTaken, "refused".to_owned());
    assert!(served.note_lasts(refused));
}

#[tokio::test(start_paused = true)]
async fn news_that_need_not_outlive_a_power_cut_does_so_soon_all_the_same() {
    let (folder, ledger) = opened();
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
