//! How long a key and a send are remembered.

use super::*;

/// That time, of a clock that is believed.
fn settled(at: jiff::Timestamp) -> Now {
    Now { at, at_least: at }
}

/// Whether the same request under the same key is a new send at that time.
fn is_new(disk: &mut Disk, key: &str, now: jiff::Timestamp) -> bool {
    let new = with_key(key, "order-7");
    let accepted = serve(disk, settled(now), |reply| job::accept(new, reply)).unwrap();
    matches!(accepted, Accepted::New(_))
}

#[test]
fn a_key_holds_as_long_as_it_is_told_to_and_then_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::new(options(folder.path()));
    let now = jiff::Timestamp::now();
    let hours = |hours: i64| now + jiff::SignedDuration::from_hours(hours);
    assert!(is_new(&mut disk, "3EB0A", now));
    assert!(!is_new(&mut disk, "3EB0B", hours(47)));
    assert!(is_new(&mut disk, "3EB0C", hours(48)));
    assert!(!is_new(&mut disk, "3EB0D", hours(95)), "the new one's now");
}

#[test]
fn what_is_done_with_is_forgotten_in_time_and_what_is_open_never_is() {
    let folder = tempfile::tempdir().unwrap();
    let at_once = LedgerOptions {
        idempotency: Duration::ZERO,
        retention: Duration::ZERO,
        ..options(folder.path())
    };
    let long_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1000);
    let mut disk = Disk::new(at_once);
    let is_kept = |disk: &mut Disk| {
        disk.forget(settled(jiff::Timestamp::now())).unwrap();
        let id = "3EB0A".to_owned();
        let found = serve(disk, settled(long_ago), |reply| job::find(id, reply));
        found.unwrap().is_some()
    };
    assert!(is_new(&mut disk, "3EB0A", long_ago));
    assert!(is_kept(&mut disk));
    let handing = Step::Handing(handing("3EB0A"));
    note(&mut disk, settled(long_ago), "3EB0A", handing);
    assert!(is_kept(&mut disk));
    note(&mut disk, settled(long_ago), "3EB0A", Step::Acknowledged(1));
    assert!(!is_kept(&mut disk));
}

#[test]
fn a_text_goes_in_time_and_what_is_none_stays_as_long_as_the_send() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::new(LedgerOptions {
        retention: HOUR,
        ..options(folder.path())
    });
    let then = jiff::Timestamp::now();
    let later = then + jiff::SignedDuration::from_hours(2);
    let action = Extras {
        action: Some(Action {
            kind: ActionKind::Edit,
            key: "3A5F".into(),
            id: None,
        }),
        ..Extras::default()
    };
    let quote = Extras {
        quote: Some("3A5F".into()),
        ..Extras::default()
    };
    let with_request = Extras {
        request: Some("ab".repeat(32)),
        ..quote.clone()
    };
    let all = [("3EB0A", action), ("3EB0B", quote), ("3EB0C", with_request)];
    for (key, extras) in &all {
        let new = NewSend {
            extras: Arc::new(extras.clone()),
            ..send(key)
        };
        serve(&mut disk, settled(then), |reply| job::accept(new, reply)).unwrap();
        note(&mut disk, settled(then), key, Step::Handing(handing(key)));
        note(&mut disk, settled(then), key, Step::Acknowledged(1));
    }
    disk.forget(settled(later)).unwrap();
    for (key, extras) in all {
        let found = serve(&mut disk, settled(later), |reply| {
            job::find(key.to_owned(), reply)
        });
        let found = found.unwrap().unwrap();
        let record = found.borrow();
        assert_eq!(record.body, None, "{key}");
        assert_eq!(*record.extras, extras.without_texts(), "{key}");
    }
}

#[test]
fn what_is_open_is_counted_from_the_file_and_followed_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let now = jiff::Timestamp::from_second(1000).unwrap();
    let later = jiff::Timestamp::from_second(1002).unwrap();
    let accept = |disk: &mut Disk, key: &str, at| {
        let new = NewSend {
            is_durable: true,
            ..with_key(key, key)
        };
        serve(disk, settled(at), |reply| job::accept(new, reply)).unwrap();
    };
    let advance = |disk: &mut Disk, key: &str, step, at| note(disk, settled(at), key, step);
    let mut disk = Disk::new(options(folder.path()));
    accept(&mut disk, "3EB0A", now);
    accept(&mut disk, "3EB0B", later);
    let open = |disk: &Disk| {
        let backlogs = disk.tally().backlogs();
        backlogs
            .values()
            .next()
            .map(|backlog| (backlog.sends, backlog.oldest))
    };
    assert_eq!(open(&disk), Some((2, now)));
    let session = with_key("3EB0A", "x").session;
    let last = |disk: &Disk| {
        let last = disk.tally().traffic(&session).last;
        last.map(|last| (last.state, last.at))
    };
    assert_eq!(last(&disk), Some((SendState::Queued, later)));
    drop(disk);

    let mut disk = Disk::new(options(folder.path()));
    let handing = Step::Handing(handing("3EB0A"));
    advance(&mut disk, "3EB0A", handing, now);
    assert_eq!(open(&disk), Some((2, now)));
    advance(&mut disk, "3EB0A", Step::Acknowledged(2), later);
    let mut heard = disk.tally().changes();
    heard.mark_unchanged();
    advance(&mut disk, "3EB0A", Step::Acknowledged(3), later);
    assert!(heard.has_changed().unwrap());
    assert_eq!(open(&disk), Some((1, later)));
    // Read from the file that was opened again; the older one, which has got further since, is not the last.
    assert_eq!(last(&disk), Some((SendState::Queued, later)));
    advance(&mut disk, "3EB0B", Step::Cancelled, later);
    assert_eq!(open(&disk), None);
    assert_eq!(last(&disk), Some((SendState::Cancelled, later)));

    let ended = |outcome, code| {
        let ending = crate::ledger::Ending { outcome, code };
        disk.tally().ended.get(&ending).map(|count| count.get())
    };
    assert_eq!(
        (ended("sent", ""), ended("cancelled", "")),
        (Some(1), Some(1))
    );
    let (mut scrape, mut text) = (
        prometheus_client::registry::Registry::default(),
        String::new(),
    );
    scrape.register("ack", "once", disk.tally().time_to_ack.clone());
    prometheus_client::encoding::prometheus_text::encode(&mut text, &scrape).unwrap();
    assert!(
        text.contains("ack_sum 2.0\n") && text.contains("ack_count 1\n"),
        "{text}"
    );
}
