//! The ledger on a real file. What a killed service leaves is what a keeper that was dropped in mid-life leaves.

mod age;
mod clocks;
mod consumers;
mod events;
mod generations;
mod lasting;
mod place;
mod reads;
mod steps;

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use super::{clock::Now, disk::Disk, job::Memory, notes::Noted, *};
use crate::extras::{Action, ActionKind, Extras};

const HOUR: Duration = Duration::from_secs(3600);

/// Of a ledger in a folder of this one.
pub(crate) fn options(folder: &std::path::Path) -> LedgerOptions {
    LedgerOptions {
        folder: folder.join("ledger"),
        idempotency: 48 * HOUR,
        retention: 72 * HOUR,
        events: 72 * HOUR,
        clock: Clock::default(),
    }
}

/// A ledger over a folder of its own.
fn opened() -> (tempfile::TempDir, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(options(folder.path()));
    (folder, ledger)
}

fn open(options: LedgerOptions) -> Ledger {
    let (ledger, keeper) = Ledger::new(options);
    tokio::spawn(keeper.run());
    ledger
}

pub(crate) fn send(key: &str) -> NewSend {
    NewSend {
        key: key.to_owned(),
        session: "51".to_owned(),
        cliente_id: "51".to_owned(),
        account: None,
        to: "5491158254201".into(),
        body: "hola".into(),
        extras: Arc::default(),
        is_durable: false,
        idempotency: None,
        accept_by: tokio::time::Instant::now() + Duration::from_secs(60),
    }
}

/// A send that waits, of which only its place in the order is set.
pub(crate) fn record(seq: i64) -> Record {
    Record {
        seq,
        key: format!("3EB0{seq}"),
        session: "51".to_owned(),
        cliente_id: "51".to_owned(),
        account: None,
        to: "5491158254201".into(),
        body: Some("hola".into()),
        extras: Arc::default(),
        is_durable: false,
        state: SendState::Queued,
        adapter: None,
        wa_key: None,
        message_id: None,
        is_taken: false,
        ack: 0,
        failure: None,
        detail: None,
        queued_at: jiff::Timestamp::now(),
        handed_at: None,
        generation: None,
        sent_at: None,
        delivered_at: None,
        read_at: None,
        ended_at: None,
    }
}

fn with_key(key: &str, idempotency_key: &str) -> NewSend {
    NewSend {
        idempotency: Some(Idempotency::Key(idempotency_key.to_owned())),
        ..send(key)
    }
}

fn handing(key: &str) -> Handing {
    Handing {
        adapter: "modules".to_owned(),
        account: Some("5491150000001".into()),
        wa_key: Some(key.to_owned()),
        message_id: Some(format!("true_5491158254201@c.us_{key}").into()),
        generation: 0,
        reset: Reset::default(),
    }
}

/// Puts a file where the folder should be: no user can write there, not even root.
fn take_away(folder: &std::path::Path) {
    std::fs::rename(folder, folder.with_extension("aside")).unwrap();
    std::fs::write(folder, "").unwrap();
}

fn give_back(folder: &std::path::Path) {
    std::fs::remove_file(folder).unwrap();
    std::fs::rename(folder.with_extension("aside"), folder).unwrap();
}

/// Serves one job in a transaction of its own, and answers what its caller is told.
fn serve<T>(
    disk: &mut Disk,
    now: Now,
    job: impl FnOnce(Reply<T>) -> Job,
) -> Result<T, LedgerError> {
    let (reply, mut answer) = oneshot::channel();
    serve_job(disk, now, job(reply));
    answer.try_recv().unwrap()
}

/// Writes a step that happened at that time.
fn note(disk: &mut Disk, now: Now, key: &str, step: Step) {
    let (key, at) = (key.to_owned(), now.at);
    serve_job(disk, now, job::note(Noted { key, step, at }));
}

fn serve_job(disk: &mut Disk, now: Now, job: Job) {
    let mut jobs = [job];
    disk.serve(&VecDeque::new(), &mut jobs, now).unwrap();
    let mut memory = Memory {
        tally: disk.tally().clone(),
        ..Memory::default()
    };
    for job in jobs {
        job.settle(Ok(()), &mut memory);
    }
}

/// How `SQLite` would look for what a statement asks of this file.
fn plan_of(file: &rusqlite::Connection, statement: &str) -> String {
    let mut explained = file
        .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
        .unwrap();
    let count = explained.parameter_count();
    let nulls = rusqlite::params_from_iter(std::iter::repeat_n(rusqlite::types::Null, count));
    let plan: Vec<String> = explained
        .query_map(nulls, |row| row.get("detail"))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    plan.join("\n")
}

async fn accepted(ledger: &Ledger, new: NewSend) -> Followed {
    let accepted = ledger.accept(new).await.unwrap();
    let Accepted::New(followed) = accepted else {
        panic!("not new: {accepted:?}");
    };
    followed
}

async fn hand(ledger: &Ledger, key: &str) {
    let handing = Step::Handing(handing(key));
    assert!(ledger.advance(key, handing).await.unwrap());
}

async fn state(ledger: &Ledger, id: &str) -> SendState {
    ledger.find(id).await.unwrap().unwrap().borrow().state
}

#[tokio::test]
async fn a_send_is_followed_through_its_life_and_found_under_each_of_its_ids() {
    let (_folder, ledger) = opened();
    let mut followed = accepted(&ledger, send("3EB0A")).await;
    hand(&ledger, "3EB0A").await;
    for (ack, wanted) in [
        (1, SendState::Sent),
        (3, SendState::Read),
        (2, SendState::Read),
    ] {
        ledger.note("3EB0A", Step::Acknowledged(ack));
        for id in ["3EB0A", "true_5491158254201@c.us_3EB0A"] {
            assert_eq!(state(&ledger, id).await, wanted, "{ack}");
        }
    }
    let settled = followed.wait_for(|record| !record.state.is_open()).await;
    assert_eq!(settled.unwrap().state, SendState::Sent);
}

#[tokio::test]
async fn a_disk_that_stands_still_loses_no_step_and_no_order() {
    const SENDS: usize = 300;
    let (folder, ledger) = opened();
    let keys: Vec<String> = (0..SENDS).map(|n| format!("3EB0{n:03}")).collect();
    for key in &keys {
        accepted(&ledger, send(key)).await;
        hand(&ledger, key).await;
    }
    ledger.close().await;

    // A keeper that is with the disk takes nothing: no note waits for it, however many there are.
    let (ledger, keeper) = Ledger::new(options(folder.path()));
    for key in &keys[1..] {
        ledger.note(key, Step::Acknowledged(1));
        ledger.note(key, Step::Acknowledged(2));
    }
    let again = &keys[0];
    ledger.note(again, Step::Absent);
    let handed = hand(&ledger, again);
    let ((), ()) = tokio::join!(
        async {
            // The request waits in the channel when the keeper begins.
            tokio::task::yield_now().await;
            tokio::spawn(keeper.run());
        },
        handed
    );
    assert_eq!(
        state(&ledger, again).await,
        SendState::Handed,
        "it was absent before it was handed over again"
    );
    for key in &keys[1..] {
        assert_eq!(state(&ledger, key).await, SendState::Delivered, "{key}");
    }
}

#[tokio::test]
async fn a_send_that_waits_longer_for_the_disk_than_its_caller_is_refused_and_never_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, keeper) = Ledger::new(options(folder.path()));
    let late = |key: &str| NewSend {
        is_durable: true,
        accept_by: Instant::now() + Duration::from_millis(20),
        ..with_key(key, "order-7")
    };
    // A keeper that is with the disk takes nothing.
    let refused = ledger.accept(late("3EB0A")).await.unwrap_err();
    assert!(refused.to_string().contains("in time"), "{refused}");
    let in_time = ledger.accept(with_key("3EB0B", "order-7"));
    let (again, ()) = tokio::join!(in_time, async {
        tokio::task::yield_now().await;
        tokio::spawn(keeper.run());
    });
    assert!(matches!(again, Ok(Accepted::New(_))), "{again:?}");
    let open = ledger.open_sends("51").await.unwrap();
    let keys: Vec<_> = open.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(keys, ["3EB0B"]);
}

#[tokio::test]
async fn a_step_keeps_the_time_at_which_it_happened_however_late_it_is_written() {
    let (folder, ledger) = opened();
    accepted(&ledger, send("3EB0A")).await;
    hand(&ledger, "3EB0A").await;
    ledger.close().await;

    let (ledger, keeper) = Ledger::new(options(folder.path()));
    ledger.note("3EB0A", Step::Acknowledged(1));
    let noted = jiff::Timestamp::now();
    // The ledger counts in milliseconds.
    while jiff::Timestamp::now().as_millisecond() < noted.as_millisecond() + 2 {
        tokio::task::yield_now().await;
    }
    tokio::spawn(keeper.run());
    let found = ledger.find("3EB0A").await.unwrap().unwrap();
    let sent_at = found.borrow().sent_at.unwrap();
    assert!(sent_at <= noted, "{sent_at} {noted}");
}

#[tokio::test]
async fn the_same_key_is_the_same_send_even_after_a_restart_and_another_text_is_refused() {
    let (folder, ledger) = opened();
    accepted(&ledger, with_key("3EB0A", "order-7")).await;
    hand(&ledger, "3EB0A").await;
    ledger.close().await;

    let ledger = open(options(folder.path()));
    let again = ledger.accept(with_key("3EB0B", "order-7")).await.unwrap();
    let Accepted::Known(known) = again else {
        panic!("not known: {again:?}");
    };
    assert_eq!(known.borrow().key, "3EB0A");
    let other = NewSend {
        body: "adiós".into(),
        ..with_key("3EB0C", "order-7")
    };
    assert!(matches!(
        ledger.accept(other).await.unwrap(),
        Accepted::KeyReused
    ));
    let elsewhere = NewSend {
        session: "52".to_owned(),
        ..with_key("3EB0D", "order-7")
    };
    accepted(&ledger, elsewhere).await;
}

#[tokio::test]
async fn requests_that_come_at_once_with_one_key_are_one_send() {
    let (_folder, ledger) = opened();
    let asked = (0..20).map(|n| {
        let ledger = ledger.clone();
        async move {
            let new = with_key(&format!("3EB0{n}"), "order-7");
            matches!(ledger.accept(new).await.unwrap(), Accepted::New(_))
        }
    });
    let new = futures_util::future::join_all(asked).await;
    assert_eq!(new.iter().filter(|is_new| **is_new).count(), 1);
}

#[tokio::test]
async fn a_send_without_an_answer_is_not_sent_after_a_restart_and_a_durable_one_is() {
    let (folder, ledger) = opened();
    accepted(&ledger, with_key("3EB0A", "order-7")).await;
    let durable = NewSend {
        is_durable: true,
        ..send("3EB0B")
    };
    accepted(&ledger, durable).await;
    accepted(&ledger, send("3EB0C")).await;
    hand(&ledger, "3EB0C").await;
    ledger.close().await;

    let ledger = open(options(folder.path()));
    assert_eq!(state(&ledger, "3EB0A").await, SendState::Failed);
    let open = ledger.open_sends("51").await.unwrap();
    let keys: Vec<_> = open.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(keys, ["3EB0B", "3EB0C"]);
    // Its key is free: the caller that tries again is served.
    accepted(&ledger, with_key("3EB0D", "order-7")).await;
}

#[tokio::test]
async fn without_a_key_the_same_content_within_the_time_is_one_send() {
    let (_folder, ledger) = opened();
    let same_within = |key: &str, within| NewSend {
        idempotency: Some(Idempotency::SameWithin(within)),
        ..send(key)
    };
    let minute = Duration::from_secs(60);
    accepted(&ledger, same_within("3EB0A", minute)).await;
    let again = ledger.accept(same_within("3EB0B", minute)).await;
    assert!(matches!(again.unwrap(), Accepted::Known(_)));
    tokio::time::sleep(Duration::from_millis(5)).await;
    accepted(&ledger, same_within("3EB0C", Duration::from_millis(1))).await;
}

#[tokio::test]
async fn while_the_folder_cannot_be_used_nothing_is_accepted_and_news_is_kept_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let ledger = open(options.clone());
    let mut followed = accepted(&ledger, send("3EB0A")).await;
    hand(&ledger, "3EB0A").await;
    ledger.close().await;

    take_away(&options.folder);
    let ledger = open(options.clone());
    let why = ledger.accept(send("3EB0B")).await.unwrap_err();
    assert!(!why.to_string().is_empty());
    ledger.note("3EB0A", Step::Acknowledged(1));
    let handing = Step::Handing(handing("3EB0A"));
    assert!(ledger.advance("3EB0A", handing).await.is_err());

    give_back(&options.folder);
    assert_eq!(state(&ledger, "3EB0A").await, SendState::Sent);
    assert!(followed.borrow_and_update().state.is_open(), "of the first");
}

#[tokio::test]
async fn a_disk_that_hangs_and_then_fails_loses_none_of_the_steps_that_waited() {
    const STEPS: usize = 12_000;
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let ledger = open(options.clone());
    accepted(&ledger, send("3EB0A")).await;
    hand(&ledger, "3EB0A").await;
    ledger.close().await;

    // All of these come while the keeper is with the disk, which fails then.
    take_away(&options.folder);
    let (ledger, keeper) = Ledger::new(options.clone());
    for n in 0..STEPS {
        ledger.note(&format!("3EB1{n}"), Step::Acknowledged(1));
    }
    ledger.note("3EB0A", Step::Acknowledged(1));
    tokio::spawn(keeper.run());
    assert!(ledger.find("3EB0A").await.is_err());
    give_back(&options.folder);
    assert_eq!(state(&ledger, "3EB0A").await, SendState::Sent);
}

#[tokio::test]
async fn texts_go_when_a_send_is_done_with_and_its_state_stays() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(LedgerOptions {
        retention: Duration::ZERO,
        ..options(folder.path())
    });
    let extras = Extras {
        quote: Some("3A5F".into()),
        request: Some("ab".repeat(32)),
        ..Extras::default()
    };
    let new = NewSend {
        extras: extras.clone().into(),
        ..send("3EB0A")
    };
    accepted(&ledger, new).await;
    hand(&ledger, "3EB0A").await;
    let open = ledger.find("3EB0A").await.unwrap().unwrap();
    assert!(open.borrow().body.is_some());
    ledger.note("3EB0A", Step::Acknowledged(1));
    let done = ledger.find("3EB0A").await.unwrap().unwrap();
    let done = done.borrow();
    assert_eq!((done.state, &done.body), (SendState::Sent, &None));
    assert_eq!(*done.extras, extras.without_texts());
}

#[tokio::test]
async fn what_is_done_to_a_message_is_one_request_under_each_of_its_ids_and_stays_when_texts_go() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(LedgerOptions {
        retention: Duration::ZERO,
        ..options(folder.path())
    });
    let full = "false_5491158254201@c.us_3A5F";
    let react = |key: &str, emoji: &str, id: Option<&str>| {
        let action = Action {
            kind: ActionKind::Reaction,
            key: "3A5F".into(),
            id: id.map(Into::into),
        };
        NewSend {
            body: emoji.into(),
            extras: Arc::new(Extras {
                action: Some(action),
                ..Extras::default()
            }),
            ..with_key(key, "reaction-7")
        }
    };
    accepted(&ledger, react("3EB0A", "👍", Some(full))).await;
    let by_key = ledger.accept(react("3EB0B", "👍", None)).await.unwrap();
    assert!(matches!(by_key, Accepted::Known(_)), "{by_key:?}");
    let other = ledger
        .accept(react("3EB0C", "🎉", Some(full)))
        .await
        .unwrap();
    assert!(matches!(other, Accepted::KeyReused), "{other:?}");

    hand(&ledger, "3EB0A").await;
    ledger.note("3EB0A", Step::Acknowledged(1));
    let done = ledger.find("3EB0A").await.unwrap().unwrap();
    let (body, action) = {
        let done = done.borrow();
        (done.body.clone(), done.extras.action.clone())
    };
    assert_eq!(body, None);
    assert_eq!(action.and_then(|action| action.id).as_deref(), Some(full));
    ledger.close().await;
    let ledger = open(options(folder.path()));
    let done = ledger.look_up("3EB0A").await.unwrap().unwrap();
    assert!(done.extras.action.is_some());
}

#[tokio::test]
async fn what_is_in_doubt_is_superseded_by_a_newer_one_of_its_kind_that_a_page_has_had() {
    let (_folder, ledger) = opened();
    let act = |key: &str, kind: ActionKind, message: &str| NewSend {
        extras: Arc::new(Extras {
            action: Some(Action {
                kind,
                key: message.into(),
                id: None,
            }),
            ..Extras::default()
        }),
        ..send(key)
    };
    for (key, kind, message) in [
        ("3EB0A", ActionKind::Edit, "3A5F"),
        ("3EB0B", ActionKind::Reaction, "3A5F"),
        ("3EB0C", ActionKind::Edit, "3A60"),
        ("3EB0D", ActionKind::Edit, "3A5F"),
    ] {
        accepted(&ledger, act(key, kind, message)).await;
    }
    accepted(&ledger, send("3EB0E")).await;
    for key in ["3EB0A", "3EB0B", "3EB0C", "3EB0E"] {
        hand(&ledger, key).await;
    }
    let none: [&str; 0] = [];
    assert_eq!(ledger.superseded("51").await.unwrap(), none, "it waits");
    hand(&ledger, "3EB0D").await;
    assert_eq!(ledger.superseded("51").await.unwrap(), ["3EB0A"]);
    assert_eq!(ledger.superseded("52").await.unwrap(), none);
    ledger.note("3EB0D", Step::Acknowledged(1));
    assert_eq!(ledger.superseded("51").await.unwrap(), ["3EB0A"]);
    ledger.note("3EB0A", Step::Acknowledged(1));
    assert_eq!(ledger.superseded("51").await.unwrap(), none, "it is known");
}

#[tokio::test]
async fn no_other_user_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let ledger = open(options.clone());
    accepted(&ledger, send("3EB0A")).await;
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&options.folder), 0o700);
    for entry in std::fs::read_dir(&options.folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_cancellation_and_a_hand_over_at_once_are_not_both_told_that_they_came_first() {
    let (_folder, ledger) = opened();
    for n in 0..20 {
        let key = format!("3EB0{n}");
        accepted(&ledger, with_key(&key, "order-7")).await;
        let handing = Step::Handing(handing(&key));
        let (cancelled, handed) = tokio::join!(
            ledger.advance(&key, Step::Cancelled),
            ledger.advance(&key, handing)
        );
        assert!(cancelled.unwrap() && !handed.unwrap());
    }
    let not_there = ledger.advance("3EB0X", Step::Cancelled).await.unwrap();
    assert!(!not_there);
}

/// A ledger that keeps no texts, with one send, `3EB0A`, whose text is still to be sent.
async fn with_secret(folder: &std::path::Path) -> (Ledger, PathBuf) {
    let options = LedgerOptions {
        retention: Duration::ZERO,
        ..options(folder)
    };
    let files = options.folder.clone();
    let ledger = open(options);
    let secret = NewSend {
        body: "nobody-shall-read-this".into(),
        ..send("3EB0A")
    };
    accepted(&ledger, secret).await;
    assert!(keeps_secret(&files));
    (ledger, files)
}

/// Whether the text, or the beginning of it, is in any file of the ledger.
fn keeps_secret(files: &std::path::Path) -> bool {
    std::fs::read_dir(files).unwrap().flatten().any(|entry| {
        let bytes = std::fs::read(entry.path()).unwrap();
        bytes.windows(10).any(|window| window == b"nobody-sha")
    })
}

/// Sends it, and waits until its text is in no file any more.
async fn secret_goes(ledger: &Ledger, files: &std::path::Path) {
    hand(ledger, "3EB0A").await;
    ledger.note("3EB0A", Step::Acknowledged(1));
    text_goes(files).await;
}

/// Waits until the text is in no file any more.
async fn text_goes(files: &std::path::Path) {
    let gone = async {
        while keeps_secret(files) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(20), gone).await;
    assert!(gone.is_ok(), "the text is still there");
}

#[tokio::test]
async fn a_text_that_goes_is_in_none_of_the_ledgers_files_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, files) = with_secret(folder.path()).await;
    secret_goes(&ledger, &files).await;
    assert_eq!(state(&ledger, "3EB0A").await, SendState::Sent);
}

#[tokio::test]
async fn a_text_that_goes_with_news_that_had_to_wait_is_in_no_file_either() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, files) = with_secret(folder.path()).await;
    hand(&ledger, "3EB0A").await;
    let file = files.join("ledger.sqlite3");
    let aside = folder.path().join("aside");
    std::fs::rename(&file, &aside).unwrap();
    ledger.note("3EB0A", Step::Acknowledged(1));
    assert!(ledger.find("3EB0A").await.is_err());
    std::fs::rename(&aside, &file).unwrap();
    assert_eq!(state(&ledger, "3EB0A").await, SendState::Sent);
    text_goes(&files).await;
}

#[tokio::test]
async fn a_file_that_is_moved_away_while_it_is_open_is_not_written_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let ledger = open(options.clone());
    accepted(&ledger, send("3EB0A")).await;
    take_away(&options.folder);
    assert!(ledger.accept(send("3EB0B")).await.is_err());
    give_back(&options.folder);
    accepted(&ledger, send("3EB0B")).await;
    assert_eq!(state(&ledger, "3EB0A").await, SendState::Queued);
}

#[tokio::test]
async fn a_folder_out_of_a_backup_is_made_private_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    std::fs::create_dir(&options.folder).unwrap();
    let open_to_all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&options.folder, open_to_all).unwrap();
    let ledger = open(options.clone());
    accepted(&ledger, send("3EB0A")).await;
    let mode = options.folder.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
