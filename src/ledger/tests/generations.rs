//! Who is stale after a profile was put back, and until when.

use super::*;

const ANA: &str = "5491158254201";
const BEA: &str = "5491158254202";
const CARLA: &str = "5491158254203";

/// Hands a send over to `to` in that generation, after the page has begun new Signal sessions with these.
async fn hand_over(ledger: &Ledger, key: &str, to: &str, generation: u64, reset: Reset) {
    let new = NewSend {
        to: to.into(),
        ..send(key)
    };
    accepted(ledger, new).await;
    let handing = Handing {
        generation,
        reset,
        ..handing(key)
    };
    assert!(ledger.advance(key, Step::Handing(handing)).await.unwrap());
}

async fn handed(ledger: &Ledger, key: &str, to: &str, generation: u64) {
    hand_over(ledger, key, to, generation, Reset::default()).await;
}

async fn restored(ledger: &Ledger, after: Option<u64>, is_from_elsewhere: bool) {
    let copy = RestoredCopy {
        after,
        is_from_elsewhere,
    };
    ledger.mark_stale("51", vec![copy]).await.unwrap();
}

async fn stale(ledger: &Ledger) -> Stale {
    ledger.stale("51").await.unwrap()
}

async fn recipients(ledger: &Ledger) -> Vec<String> {
    let stale = stale(ledger).await;
    let mut recipients: Vec<_> = stale.recipients.into_iter().map(String::from).collect();
    recipients.sort();
    recipients
}

const BOTH: Reset = Reset {
    recipient: true,
    own_devices: true,
};

#[tokio::test]
async fn exactly_those_are_stale_that_were_handed_something_since_the_copy() {
    let (_folder, ledger) = opened();
    handed(&ledger, "3EB0A", ANA, 3).await;
    handed(&ledger, "3EB0B", BEA, 4).await;
    handed(&ledger, "3EB0C", BEA, 7).await;
    handed(&ledger, "3EB0D", ANA, 2).await;
    // Nothing was handed to her yet.
    let waits = NewSend {
        to: CARLA.into(),
        ..send("3EB0E")
    };
    accepted(&ledger, waits).await;
    assert_eq!(stale(&ledger).await.highest, Some(7));
    assert_eq!(recipients(&ledger).await, [""; 0]);
    // A crash may come before the profile notes that it is done.
    for _ in 0..2 {
        restored(&ledger, Some(3), false).await;
        assert_eq!(recipients(&ledger).await, [BEA]);
        assert!(stale(&ledger).await.own_devices);
        assert_eq!(stale(&ledger).await.others, Others::Fresh);
    }
    assert_eq!(ledger.stale("52").await.unwrap(), Stale::default());
}

#[tokio::test]
async fn a_recipient_stays_stale_until_a_send_is_handed_over_after_the_reset() {
    let (folder, ledger) = opened();
    handed(&ledger, "3EB0A", ANA, 4).await;
    handed(&ledger, "3EB0B", BEA, 4).await;
    restored(&ledger, Some(3), false).await;
    // The page was reset, and the service was killed before it handed the send over.
    handed(&ledger, "3EB0C", BEA, 8).await;
    assert_eq!(recipients(&ledger).await, [ANA, BEA]);
    hand_over(&ledger, "3EB0D", BEA, 8, BOTH).await;
    ledger.close().await;
    let ledger = open(options(folder.path()));
    assert_eq!(recipients(&ledger).await, [ANA]);
    assert!(!stale(&ledger).await.own_devices);
    // A copy that lacks the reset lacks the hand-over after it too.
    restored(&ledger, Some(7), false).await;
    assert_eq!(recipients(&ledger).await, [ANA, BEA]);
    ledger.begin_device("51").await.unwrap();
    let begun = stale(&ledger).await;
    assert_eq!(
        begun,
        Stale {
            highest: Some(8),
            ..Stale::default()
        }
    );
}

#[tokio::test]
async fn a_copy_that_does_not_say_its_generation_may_lack_everything() {
    let (_folder, ledger) = opened();
    handed(&ledger, "3EB0A", ANA, 0).await;
    restored(&ledger, None, false).await;
    assert_eq!(recipients(&ledger).await, [ANA]);
    assert_eq!(stale(&ledger).await.others, Others::Fresh);
}

#[tokio::test]
async fn of_a_copy_from_elsewhere_everybody_may_be_stale_once() {
    let (_folder, ledger) = opened();
    handed(&ledger, "3EB0A", ANA, 6).await;
    restored(&ledger, Some(3), true).await;
    let known = stale(&ledger).await;
    assert_eq!(known.others, Others::PerhapsStale);
    assert_eq!(recipients(&ledger).await, [ANA]);
    hand_over(&ledger, "3EB0B", BEA, 7, BOTH).await;
    let known = stale(&ledger).await;
    assert!(known.fresh.contains(BEA) && known.recipients.contains(ANA));
    assert!(!known.own_devices);
    // What was done is older than the next copy.
    restored(&ledger, Some(3), true).await;
    assert!(stale(&ledger).await.fresh.is_empty());
    assert_eq!(recipients(&ledger).await, [ANA, BEA]);
}

#[tokio::test]
async fn what_waits_for_the_server_is_counted_into_the_generation_after_the_copy() {
    let (_folder, ledger) = opened();
    handed(&ledger, "3EB0A", ANA, 3).await;
    handed(&ledger, "3EB0B", BEA, 3).await;
    ledger.note("3EB0A", Step::Acknowledged(1));
    ledger.count_open_into("51", 4).await.unwrap();
    let generation = async |key| ledger.look_up(key).await.unwrap().unwrap().generation;
    assert_eq!(generation("3EB0A").await, Some(3));
    assert_eq!(generation("3EB0B").await, Some(4));
    restored(&ledger, Some(3), false).await;
    assert_eq!(recipients(&ledger).await, [BEA]);
}

#[test]
fn where_the_ledger_has_deleted_some_of_them_everybody_is_stale() {
    let folder = tempfile::tempdir().unwrap();
    let at_once = LedgerOptions {
        idempotency: Duration::ZERO,
        retention: Duration::ZERO,
        ..options(folder.path())
    };
    let now = jiff::Timestamp::now();
    let settled = |at| Now { at, at_least: at };
    let mut disk = Disk::new(at_once);
    let hand_over = |disk: &mut Disk, key: &str, generation| {
        let new = send(key);
        drop(serve(disk, settled(now), |reply| job::accept(new, reply)).unwrap());
        let handing = Handing {
            generation,
            ..handing(key)
        };
        note(disk, settled(now), key, Step::Handing(handing));
        note(disk, settled(now), key, Step::Acknowledged(1));
    };
    let others = |disk: &mut Disk, after| {
        let copy = RestoredCopy {
            after: Some(after),
            is_from_elsewhere: false,
        };
        let session = || "51".to_owned();
        serve(disk, settled(now), |reply| {
            job::begin_profile(session(), None, reply)
        })
        .unwrap();
        let copies = Some(vec![copy]);
        serve(disk, settled(now), |reply| {
            job::begin_profile(session(), copies, reply)
        })
        .unwrap();
        let stale = serve(disk, settled(now), |reply| job::stale(session(), reply)).unwrap();
        (stale.others, stale.highest)
    };
    hand_over(&mut disk, "3EB0A", 3);
    hand_over(&mut disk, "3EB0B", 5);
    assert_eq!(others(&mut disk, 4), (Others::Fresh, Some(5)));
    disk.forget(settled(jiff::Timestamp::now() + Duration::from_secs(1)))
        .unwrap();
    // The highest is known for ever, or a generation would be given twice.
    assert_eq!(others(&mut disk, 4), (Others::Stale, Some(5)));
    assert_eq!(others(&mut disk, 5), (Others::Fresh, Some(5)));
}
