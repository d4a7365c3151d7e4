//! A ledger that cannot be written: nothing is sent, everything else goes on, and the ledger recovers without help.

use std::time::Duration;

use super::*;
use crate::support::disk::{Disk, limit_files};

/// Asserts that nothing can be sent, that the session does not mind, and that nothing has reached the phone.
async fn assert_nothing_goes(service: &Service, account: &str, arrived: &[&str]) {
    for key in ["order-8", "order-8", "order-9"] {
        let refused = keyed(service, key, TO, "lost").await;
        refused.assert_refused(503, "LEDGER_UNAVAILABLE");
    }
    later(service, TO, "lost")
        .await
        .assert_refused(503, "LEDGER_UNAVAILABLE");
    assert_eq!(service.status("51").await["state"], "READY");
    assert_eq!(service.get("/health").await.status, 200);
    assert_eq!(service.messages(account).await, arrived);
}

/// Asserts that sends go again, those that were refused too, with a key or without.
async fn assert_healed(service: &Service, account: &str, before: &[&str]) {
    let sent = keyed(service, "order-8", TO, "b").await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    assert_eq!(sent.header("idempotent-replayed"), None);
    let wanted = [before, &["b"]].concat();
    assert_eq!(service.messages(account).await, wanted);
}

#[tokio::test]
async fn a_full_disk_sends_nothing_and_heals() {
    let service = Service::start_on(Disk::small(), |_| {}).await;
    let account = service.link("51").await;
    service.sends(51, TO, "a").await;
    let mut arrived = vec!["a"];
    let disk = service.disk().unwrap();
    // What was still free in the ledger's own files may take a send or two: they have gone out then, and are on disk.
    for _ in 0..20 {
        disk.fill();
        let sent = service.send(51, TO, "a").await;
        if sent.status != 200 {
            sent.assert_refused(503, "LEDGER_UNAVAILABLE");
            break;
        }
        arrived.push("a");
    }
    disk.fill();
    assert_nothing_goes(&service, &account, &arrived).await;
    disk.empty();
    assert_healed(&service, &account, &arrived).await;
    service.stop();
}

#[tokio::test]
async fn a_disk_that_stands_still_keeps_no_caller_and_what_was_refused_is_never_sent() {
    let service = Service::start_on(Disk::small(), |env| {
        env.insert("SEND_WAIT_SECONDS", "2".into());
    })
    .await;
    let account = service.link("51").await;
    let sent = keyed(&service, "order-7", TO, "a").await;
    becomes(&service, &id_of(&sent), "read").await;
    let (disk, folder) = (service.disk().unwrap(), service.home().ledger());
    let hang = disk.hang(&folder);
    let refused = async {
        tokio::join!(
            keyed(&service, "order-8", TO, "lost"),
            later(&service, TO, "lost"),
            keyed(&service, "order-7", TO, "a"),
        )
    };
    // Two seconds, and a moment for the last word.
    let refused = tokio::time::timeout(Duration::from_secs(20), refused).await;
    let (by_key, durable, again) = refused.expect("a caller waits as long as the disk");
    for refused in [by_key, durable, again] {
        refused.assert_refused(503, "LEDGER_UNAVAILABLE");
    }
    assert_eq!(service.status("51").await["state"], "READY");
    disk.thaw(hang, &folder);
    assert_healed(&service, &account, &["a"]).await;
    assert_eq!(
        keyed(&service, "order-7", TO, "a").await.json(),
        sent.json()
    );
    assert_eq!(service.messages(&account).await, ["a", "b"]);
    service.stop();
}

#[tokio::test]
async fn a_limit_on_the_size_of_files_is_a_full_disk_and_not_the_end_of_the_service() {
    let (service, account) = Service::linked(&[]).await;
    service.sends(51, TO, "a").await;
    limit_files(service.pid(), Some(0));
    assert_nothing_goes(&service, &account, &["a"]).await;
    limit_files(service.pid(), None);
    assert_healed(&service, &account, &["a"]).await;
    service.stop();
}

#[tokio::test]
async fn a_read_only_folder_sends_nothing_and_heals() {
    let service = Service::start_on(Disk::read_only(), |_| {}).await;
    let account = service.link("51").await;
    assert_nothing_goes(&service, &account, &[]).await;
    service.disk().unwrap().make_writable();
    assert_healed(&service, &account, &[]).await;
    service.stop();
}

#[tokio::test]
async fn a_folder_that_is_taken_away_sends_nothing_and_heals() {
    let (service, account) = Service::linked(&[]).await;
    let sent = keyed(&service, "order-7", TO, "a").await;
    becomes(&service, &id_of(&sent), "read").await;
    let folder = service.home().ledger();
    let aside = service.home().data().join("aside");
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, "").unwrap();
    assert_nothing_goes(&service, &account, &["a"]).await;
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    assert_healed(&service, &account, &["a"]).await;
    let again = keyed(&service, "order-7", TO, "a").await;
    assert_eq!(again.json(), sent.json());
    service.stop();
}

#[tokio::test]
async fn a_file_that_is_removed_or_overwritten_sends_nothing_twice_and_says_what_to_do() {
    let (service, account) = Service::linked(&[]).await;
    let sent = keyed(&service, "order-7", TO, "a").await;
    becomes(&service, &id_of(&sent), "read").await;
    let file = service.home().ledger().join("ledger.sqlite3");
    let aside = service.home().data().join("aside");
    std::fs::rename(&file, &aside).unwrap();
    // The log says so even without a request.
    service.logs("the ledger cannot be used").await;
    for key in ["order-7", "order-8"] {
        let refused = keyed(&service, key, TO, "a").await;
        refused.assert_refused(503, "LEDGER_UNAVAILABLE");
        assert!(refused.text().contains("is gone"), "{}", refused.text());
    }
    assert!(!file.try_exists().unwrap());
    std::fs::rename(&aside, &file).unwrap();
    let again = keyed(&service, "order-7", TO, "a").await;
    assert_eq!(again.json(), sent.json());

    std::fs::write(&file, "another program's").unwrap();
    let refused = keyed(&service, "order-7", TO, "a").await;
    refused.assert_refused(503, "LEDGER_UNAVAILABLE");
    assert!(refused.text().contains("overwritten"), "{}", refused.text());
    assert_eq!(service.messages(&account).await, ["a"]);
    assert_eq!(service.get("/health").await.status, 200);
    // The next service does not start a new ledger either.
    let service = Service::start_in(service.stop(), |_| {}).await;
    let refused = service.get("/messages").await;
    refused.assert_refused(503, "LEDGER_UNAVAILABLE");
    assert!(refused.text().contains("is damaged"), "{}", refused.text());
    service.stop();
}

#[tokio::test]
async fn a_second_service_on_the_folder_is_refused_until_the_first_one_has_ended() {
    let first = Service::with(&[]).await;
    assert_eq!(first.get("/messages").await.status, 200);
    let data = first.home().data();
    let second = Service::start(|env| {
        env.insert("DATA_DIR", data.into());
    })
    .await;
    let refused = second.get("/messages").await;
    refused.assert_refused(503, "LEDGER_UNAVAILABLE");
    assert_eq!(first.get("/messages").await.status, 200);
    let _home = first.stop();
    assert_eq!(second.get("/messages").await.status, 200);
    second.stop();
}

#[tokio::test]
async fn news_of_messages_that_comes_while_the_disk_is_away_is_written_when_it_is_back() {
    let (service, _) = Service::linked(&[]).await;
    service.faults(json!({ "ack_delay_ms": 2000 })).await;
    let folder = service.home().ledger();
    let aside = service.home().data().join("aside");
    let away = async {
        service
            .phone_shows("the message", |state| state["sent"][0].is_object())
            .await;
        std::fs::rename(&folder, &aside).unwrap();
        std::fs::write(&folder, "").unwrap();
    };
    let (sent, ()) = tokio::join!(keyed(&service, "order-7", TO, "a"), away);
    assert_eq!(sent.status, 200, "{}", sent.text());
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    becomes(&service, &id_of(&sent), "read").await;
    let service = Service::start_in(service.stop(), |_| {}).await;
    assert_eq!(message(&service, &id_of(&sent)).await["state"], "read");
    service.stop();
}
