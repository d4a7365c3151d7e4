//! A registry that stops while a session of it does not end, in paused time.

use std::{ffi::OsString, future::pending, num::NonZeroUsize};

use tokio::time::Instant;

use super::*;
use crate::{
    config::{Config, SessionConfig},
    ledger::{
        Accepted, NewSend,
        tests::{options, send as waiting},
    },
    session::SendLimits,
    whatsapp::PageSettings,
};

/// What `app::STOP_BUDGET` gives a stop.
const STOP_BUDGET: Duration = Duration::from_millis(9500);

/// Over an empty folder, on a machine without a Chrome.
fn registry(folder: &Path) -> Registry {
    let usual = RegistryOptions::of(&Config::from_lookup(|_| None).unwrap());
    let one = NonZeroUsize::MIN;
    std::fs::create_dir(folder.join("tokens")).unwrap();
    Registry::open(RegistryOptions {
        config: Arc::new(SessionConfig {
            max_sessions: one,
            min_free_memory_mb: 0,
            max_concurrent_starts: one,
            heals_per_hour: 0,
            sends: SendLimits {
                queue_max: one,
                ..usual.config.sends
            },
            ..SessionConfig::default()
        }),
        tokens_dir: folder.join("tokens"),
        sessions_dir: folder.join("sessions"),
        snapshots_dir: folder.join("snapshots"),
        snapshot_key: None,
        evidence_dir: folder.join("evidence"),
        page: PageSettings {
            search_path: OsString::new(),
            url: "http://127.0.0.1:1/".to_owned(),
            ..usual.page
        },
        ledger: options(folder),
    })
    .unwrap()
}

fn send() -> NewSend {
    NewSend {
        is_durable: true,
        ..waiting("3EB0A")
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_does_not_end_keeps_nobody_from_closing_the_ledger_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let accepted = registry.ledger().accept(send()).await.unwrap();
    assert!(matches!(accepted, Accepted::New(_)));
    // A Chrome that hangs, with a send in flight.
    registry.tasks.spawn(pending::<()>());

    let asked = Instant::now();
    registry.shut_down().await;
    assert!(asked.elapsed() < STOP_BUDGET, "{:?}", asked.elapsed());
    // Its lock is free, and its log is empty.
    let log = folder.path().join("ledger/ledger.sqlite3-wal");
    assert!(!log.try_exists().unwrap());
    let (again, keeper) = Ledger::new(options(folder.path()));
    tokio::spawn(keeper.run());
    assert_eq!(again.open_sends("51").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_is_coming_from_the_moment_the_service_means_to_start_it_until_that_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Arc::new(registry(folder.path()));
    let [id, other]: [ClienteId; 2] = ["51", "52"].map(|id| id.parse().unwrap());
    assert!(!registry.is_coming(&id));
    registry.begin(std::slice::from_ref(&id), true);
    // It is not even known yet.
    assert!(registry.find(&id).is_none());
    assert!(registry.is_coming(&id));
    assert!(!registry.is_coming(&other));
    // There is no Chrome.
    let failed = async {
        while registry.is_coming(&id) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), failed).await.unwrap();
    assert!(registry.find(&id).is_some());
    registry.shut_down().await;
}

#[tokio::test]
async fn a_session_of_which_nothing_is_kept_leaves_and_is_still_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let id: ClienteId = "51".parse().unwrap();
    // There is no Chrome, so this fails at once; it stays for an hour, or until it is deleted.
    let session = registry.find_or_create(&id).unwrap();
    session
        .connect(crate::session::WaitFor::Ready)
        .await
        .unwrap_err();
    assert_eq!(registry.snapshots().len(), 1);
    registry.cpu().on_measured(&id, 7, Duration::from_secs(1));
    registry.turns().count(&id);
    let mut known = registry.known();
    known.mark_unchanged();
    // As long as a request has it, it does not leave: what it asks for would be done by nobody.
    session.forget().await.unwrap();
    assert_eq!(registry.snapshots().len(), 1);
    assert!(session.snapshot().is_forgotten);
    drop(session);
    let left = async {
        while registry.find(&id).is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), left).await.unwrap();
    assert!(known.has_changed().unwrap());
    assert!(registry.last_seen(&id).unwrap().is_forgotten);
    assert!(registry.cpu().totals().is_empty());
    assert!(registry.turns().totals().is_empty());
    assert!(!registry.forget(&id).await.unwrap());
    registry.find_or_create(&id).unwrap();
    assert!(registry.last_seen(&id).is_none(), "it is known again");
    registry.shut_down().await;
}

#[test]
fn only_so_many_are_told_of_that_are_not_known_any_more() {
    let mut sessions = Sessions::default();
    let snapshot = Snapshot::not_running(jiff::Timestamp::now());
    for n in 0..LAST_SEEN + 5 {
        let id = format!("{n}").parse().unwrap();
        sessions.note_last(&id, snapshot.clone());
        sessions.note_last(&id, snapshot.clone());
    }
    assert_eq!(sessions.last_seen.len(), LAST_SEEN);
    assert_eq!(sessions.last_seen[0].0.as_str(), "5");
}
