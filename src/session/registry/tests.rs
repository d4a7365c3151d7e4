//! A registry that stops while a session of it does not end, in paused time.

use std::{ffi::OsString, future::pending};

use tokio::time::Instant;

use super::*;
use crate::{
    config::Config,
    ledger::{Accepted, NewSend},
    whatsapp::{AdapterName, PageScripts},
};

/// What `app::STOP_BUDGET` gives a stop.
const STOP_BUDGET: Duration = Duration::from_millis(9500);

/// Over an empty folder, on a machine without a Chrome.
fn registry(folder: &Path) -> Registry {
    let config = Config::from_lookup(|_| None).unwrap();
    let one = NonZeroUsize::MIN;
    std::fs::create_dir(folder.join("tokens")).unwrap();
    Registry::open(RegistryOptions {
        tokens_dir: folder.join("tokens"),
        sessions_dir: folder.join("sessions"),
        snapshots_dir: folder.join("snapshots"),
        snapshots: 1,
        evidence_dir: folder.join("evidence"),
        page: PageSettings {
            chrome_path: None,
            launch_timeout: config.limits.launch,
            search_path: OsString::new(),
            chrome_args: Vec::new(),
            url: "http://127.0.0.1:1/".to_owned(),
            adapters: AdapterName::ALL.to_vec(),
            scripts: PageScripts::new(None),
            wa_js_path: config.wa_js_path.clone(),
            evidence_of_chats: false,
        },
        max_sessions: one,
        min_free_mb: 0,
        session_memory_mb: None,
        max_concurrent_starts: one,
        limits: config.limits,
        pairing_life: config.pairing_life(),
        take_over: true,
        hibernate_after: None,
        heals_per_hour: 0,
        sends: SendLimits {
            queue_max: one,
            rate_per_minute: None,
            wait: Duration::from_secs(45),
        },
        send_dedup: None,
        ledger: ledger_options(folder),
    })
    .unwrap()
}

fn ledger_options(folder: &Path) -> LedgerOptions {
    LedgerOptions {
        folder: folder.join("ledger"),
        idempotency: Duration::from_secs(3600),
        retention: Duration::from_secs(3600),
    }
}

fn send() -> NewSend {
    NewSend {
        key: "3EB0A".to_owned(),
        session: "51".to_owned(),
        cliente_id: "51".to_owned(),
        account: None,
        to: "5491158254201".to_owned(),
        body: "hola".to_owned(),
        is_durable: true,
        idempotency: None,
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
    let (again, keeper) = Ledger::new(ledger_options(folder.path()));
    tokio::spawn(keeper.run());
    assert_eq!(again.open_sends("51").await.unwrap().len(), 1);
}
