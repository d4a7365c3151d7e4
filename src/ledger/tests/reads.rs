//! Lists on a large ledger: by an index, and never in the way of a write.

use rusqlite::{Connection, params};

use super::*;
use crate::ledger::store::{generations, readers::Unread, sends::statements};

/// Writes so many sends at once, of these sessions in turn, and done with but for one in a thousand.
fn fill(folder: &std::path::Path, rows: i64, sessions: i64) {
    let mut file = Connection::open(folder.join("ledger/ledger.sqlite3")).unwrap();
    let filling = file.transaction().unwrap();
    filling
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             INSERT INTO sends (key, session, cliente_id, recipient, is_durable, state, fingerprint, is_taken, ack,
                                queued_at, changed_at)
             SELECT printf('FILL%d', i), CAST(i % ?2 AS TEXT), CAST(i % ?2 AS TEXT), '5491158254201', 1,
                    CASE WHEN i % 1000 = 0 THEN 'failed' ELSE 'read' END, randomblob(32), 1, 3, ?3 + i, ?3 + i FROM n",
            params![rows, sessions, jiff::Timestamp::now().as_millisecond() - rows],
        )
        .unwrap();
    filling.commit().unwrap();
}

async fn filled(folder: &std::path::Path, rows: i64, sessions: i64) -> Ledger {
    let ledger = open(options(folder));
    accepted(&ledger, send("3EB0A")).await;
    ledger.close().await;
    fill(folder, rows, sessions);
    open(options(folder))
}

fn query(sessions: Option<&[&str]>, state: Option<SendState>, after: i64) -> Query {
    let texts = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    Query {
        sessions: sessions.map(texts),
        state,
        after,
        limit: 100,
    }
}

#[tokio::test]
async fn no_question_goes_through_the_whole_table() {
    let (folder, ledger) = opened();
    accepted(&ledger, send("3EB0A")).await;
    ledger.close().await;
    let file = Connection::open(folder.path().join("ledger/ledger.sqlite3")).unwrap();
    for statement in statements::ALL
        .into_iter()
        .chain(generations::statements::ALL)
    {
        let plan = plan_of(&file, statement);
        // To scan an index of the few that are open, or one in the order that is wanted, is to read what is answered with.
        let is_bounded = !plan.contains("SCAN sends")
            || plan.contains("USING COVERING INDEX sends_that_are_open")
            || plan.contains("USING INDEX sends_that_are_open")
            || (statement == statements::NEWEST && plan.contains("sends_by_change"));
        assert!(is_bounded, "{statement}\n{plan}");
        assert!(!plan.contains("USE TEMP B-TREE"), "{statement}\n{plan}");
    }
}

#[tokio::test]
async fn lists_are_right_by_session_by_state_by_both_and_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = filled(folder.path(), 5000, 7).await;
    let all = ledger
        .list(Query {
            limit: 10_000,
            ..Query::default()
        })
        .await
        .unwrap();
    assert_eq!(all.len(), 5001);
    let some: [Option<&[&str]>; 5] = [
        None,
        Some(&["3"]),
        Some(&["5", "3", "5"]),
        Some(&["none"]),
        Some(&[]),
    ];
    for sessions in some {
        for state in [None, Some(SendState::Failed), Some(SendState::Sent)] {
            let mut wanted = all
                .iter()
                .filter(|record| {
                    let id = record.session.as_str();
                    sessions.is_none_or(|ids| ids.contains(&id))
                        && state.is_none_or(|state| record.state == state)
                })
                .map(|record| record.seq);
            let mut after = 0;
            for _ in 0..3 {
                let page = ledger.list(query(sessions, state, after)).await.unwrap();
                let found: Vec<i64> = page.iter().map(|record| record.seq).collect();
                let expected: Vec<i64> = wanted.by_ref().take(100).collect();
                assert_eq!(found, expected, "{sessions:?} {state:?} after {after}");
                after = found.last().copied().unwrap_or(after);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_while_every_read_is_stuck_and_a_read_too_many_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = filled(folder.path(), 200_000, 50).await;
    ledger.list(query(None, None, 0)).await.unwrap();
    let (free, is_free) = std::sync::mpsc::channel::<()>();
    let is_free = Arc::new(std::sync::Mutex::new(is_free));
    let mut stuck = tokio::task::JoinSet::new();
    let (began, mut has_begun) = mpsc::channel(64);
    for _ in 0..64 {
        let (ledger, is_free, began) = (ledger.clone(), Arc::clone(&is_free), began.clone());
        stuck.spawn(async move {
            let read = ledger.readers.read(move |file| {
                // A read that has seen the file keeps its place in the log until it ends.
                let mut rows = file.prepare("SELECT seq FROM sends").unwrap();
                let mut rows = rows.query([]).unwrap();
                assert!(rows.next().unwrap().is_some());
                began.try_send(()).unwrap();
                assert!(is_free.lock().unwrap().recv().is_err(), "it is dropped");
                Ok(())
            });
            read.await
        });
    }
    for _ in 0..4 {
        has_begun.recv().await.unwrap();
    }
    let too_many = {
        let ledger = ledger.clone();
        let list = async move { ledger.list(query(None, Some(SendState::Failed), 0)).await };
        tokio::spawn(list)
    };
    // None of these can be done behind a read: none of the four ends before the channel is dropped.
    for n in 0..100 {
        let key = format!("3EB1{n}");
        accepted(&ledger, with_key(&key, &key)).await;
        hand(&ledger, &key).await;
        ledger.note(&key, Step::Acknowledged(1));
    }
    assert_eq!(state(&ledger, "3EB199").await, SendState::Sent);
    let too_many = too_many.await.unwrap();
    assert!(matches!(too_many, Err(ReadError::Busy)), "{too_many:?}");
    drop(free);
    let mut busy = 0;
    while let Some(read) = stuck.join_next().await {
        busy += usize::from(matches!(read.unwrap(), Err(Unread::Busy)));
    }
    assert!(busy >= 60, "{busy}");
    let page = ledger.list(query(None, Some(SendState::Failed), 0)).await;
    assert_eq!(page.unwrap().len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_goes_though_reads_follow_each_other_without_a_pause() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, files) = with_secret(folder.path()).await;
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let ledger = ledger.clone();
        readers.spawn(async move {
            loop {
                ledger.list(query(None, None, 0)).await.unwrap();
            }
        });
    }
    secret_goes(&ledger, &files).await;
    readers.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_is_cut_off_though_requests_follow_each_other_without_a_pause() {
    const MEGABYTE: usize = 1024 * 1024;
    let (folder, ledger) = opened();
    accepted(&ledger, send("3EB0A")).await;
    let log = folder.path().join("ledger/ledger.sqlite3-wal");
    let bytes = || std::fs::metadata(&log).unwrap().len();
    let (free, is_free) = std::sync::mpsc::channel::<()>();
    let (began, has_begun) = oneshot::channel();
    let readers = ledger.readers.clone();
    let read = tokio::spawn(async move {
        let read = readers.read(move |file| {
            // As long as it is read, the log is not written from its start again.
            let mut rows = file.prepare("SELECT seq FROM sends").unwrap();
            let mut rows = rows.query([]).unwrap();
            assert!(rows.next().unwrap().is_some());
            began.send(()).unwrap();
            assert!(is_free.recv().is_err(), "it is dropped");
            Ok(())
        });
        let _late = read.await;
    });
    has_begun.await.unwrap();
    // Longer than what makes the keeper cut it off.
    for n in 0..40 {
        let with_text = NewSend {
            body: "x".repeat(MEGABYTE).into(),
            ..send(&format!("3EB1{n}"))
        };
        accepted(&ledger, with_text).await;
    }
    drop(free);
    read.await.unwrap();
    let most = 32 * u64::try_from(MEGABYTE).unwrap();
    assert!(most < bytes(), "{} bytes", bytes());
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let ledger = ledger.clone();
        askers.spawn(async move {
            loop {
                ledger.find("3EB0A").await.unwrap();
            }
        });
    }
    let cut = async {
        while most < bytes() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let cut = tokio::time::timeout(Duration::from_secs(20), cut).await;
    assert!(cut.is_ok(), "the log is still {} bytes long", bytes());
    askers.shutdown().await;
}

#[tokio::test]
async fn a_ledger_of_the_version_before_gets_its_indexes_and_keeps_its_sends() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("ledger");
    std::fs::create_dir(&place).unwrap();
    let old = Connection::open(place.join("ledger.sqlite3")).unwrap();
    old.execute_batch(include_str!("../schema.sql")).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    fill(folder.path(), 5000, 3);
    let ledger = open(options(folder.path()));
    let page = ledger.list(query(Some(&["2"]), Some(SendState::Failed), 0));
    let page = page.await.unwrap();
    assert_eq!(page.len(), 2, "2000 and 5000");
    assert!(ledger.find("FILL17").await.unwrap().is_some());
}
