//! How long a key and a send are remembered.

use super::*;
use crate::ledger::{
    disk::{Disk, News, Outcome},
    keeper::Request,
    store::sends::Entered,
};

fn accept(key: &str) -> Request {
    Request::Accept {
        new: with_key(key, "order-7"),
        reply: oneshot::channel().0,
    }
}

/// Whether the same request under the same key is a new send at that time.
fn is_new(disk: &mut Disk, key: &str, now: jiff::Timestamp) -> bool {
    let served = disk.serve(&Vec::<News>::new(), &[accept(key)], now);
    let Some(Outcome::Entered(entered)) = served.unwrap().pop() else {
        panic!("another kind of answer");
    };
    matches!(entered, Entered::New(_))
}

#[test]
fn a_key_holds_as_long_as_it_is_told_to_and_then_belongs_to_nobody() {
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
    let mut serve = |request: Request| {
        let served = disk.serve(&Vec::<News>::new(), &[request], long_ago);
        let _answers = served.unwrap();
        disk.forget().unwrap();
        let find = Request::Find {
            id: "3EB0A".to_owned(),
            reply: oneshot::channel().0,
        };
        let found = disk.serve(&Vec::<News>::new(), &[find], long_ago);
        matches!(found.unwrap().pop(), Some(Outcome::One(Some(_))))
    };
    let advance = |step| Request::Advance {
        key: "3EB0A".to_owned(),
        step,
        reply: None,
    };
    assert!(serve(accept("3EB0A")));
    assert!(serve(advance(Step::Handing(handing("3EB0A")))));
    assert!(!serve(advance(Step::Acknowledged(1))));
}
