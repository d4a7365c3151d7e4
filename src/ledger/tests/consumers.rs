//! Consumers of the log: each is given what it wants, once it is there and until it is done with, in the order of each chat.

use rusqlite::Connection;

use super::{events::event, *};
use crate::ledger::store::consumers::statements;

const ID: &str = "wh_1";

fn consumer(id: &str) -> NewConsumer {
    NewConsumer {
        id: id.to_owned(),
        kind: "webhook",
        settings: r#"{"secret":"whsec_x"}"#.into(),
        from: Beginning::Now,
    }
}

#[tokio::test]
async fn a_consumer_of_the_settings_is_given_what_this_service_wrote_before_it_was_known() {
    let folder = tempfile::tempdir().unwrap();
    let (first, keeper) = Ledger::new(options(folder.path()));
    let keeper = tokio::spawn(keeper.run());
    first.append(vec![in_chat("a", "1")]).await.unwrap();
    drop(first);
    keeper.await.unwrap();

    let (ledger, keeper) = Ledger::new(options(folder.path()));
    tokio::spawn(keeper.run());
    ledger.append(vec![in_chat("a", "2")]).await.unwrap();
    let all = Filter::default();
    for (id, from, given) in [
        ("of_settings", Beginning::ServiceStart, 1),
        ("made", Beginning::Now, 0),
    ] {
        let new = NewConsumer {
            from,
            ..consumer(id)
        };
        ledger.put_consumer(new).await.unwrap();
        let taken = ledger.take_events(id, &all, Timestamp::now()).await;
        assert_eq!(taken.unwrap().unwrap().tally.waiting, given, "{id}");
    }
}

/// Forgets what is too old now, which is all done in one go.
fn forget(folder: &Path) {
    let now = jiff::Timestamp::now();
    let settled = Now {
        at: now,
        at_least: now,
    };
    assert!(!Disk::new(options(folder)).forget(settled).unwrap());
}

fn in_chat(chat: &str, once: &str) -> NewEvent {
    NewEvent {
        chat: Some(chat.into()),
        ..event("51", once)
    }
}

fn second(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_790_000_000 + second).unwrap()
}

/// A ledger with a consumer that wants all.
async fn with_consumer() -> (tempfile::TempDir, Ledger) {
    let (folder, ledger) = opened();
    ledger.put_consumer(consumer(ID)).await.unwrap();
    (folder, ledger)
}

async fn take(ledger: &Ledger, at: i64) -> Taken {
    let all = Filter::default();
    let taken = ledger.take_events(ID, &all, second(at)).await.unwrap();
    taken.unwrap()
}

/// The texts of what has its turn.
async fn turns(ledger: &Ledger, at: i64) -> Vec<String> {
    let turns = ledger.turns(ID, second(at), 100).await.unwrap();
    turns.now.iter().map(text_of).collect()
}

fn text_of(delivery: &Delivery) -> String {
    let data: serde_json::Value = serde_json::from_str(&delivery.event.data).unwrap();
    data["text"].as_str().unwrap().to_owned()
}

/// Settles what has its turn and has this text.
async fn settle(ledger: &Ledger, text: &str, became: Became, at: i64) -> ConsumerTally {
    let turns = ledger.turns(ID, second(at), 100).await.unwrap();
    let delivery = turns.now.iter().find(|delivery| text_of(delivery) == text);
    let delivery = delivery.unwrap();
    let settled = Settled {
        seq: delivery.event.seq,
        lane: delivery.lane,
        became,
    };
    ledger.settle(ID, vec![settled], second(at)).await.unwrap()
}

fn put_off(attempts: u32, until: i64) -> Became {
    Became::PutOff {
        attempts,
        due_at: second(until),
        failure: "it answered 500".to_owned(),
        is_consumers: true,
    }
}

fn dead() -> Became {
    Became::Dead {
        failure: "it answered 500".to_owned(),
    }
}

#[tokio::test]
async fn what_a_consumer_wants_waits_for_it_over_a_restart_until_it_is_delivered() {
    let (folder, ledger) = opened();
    ledger.append(vec![in_chat("a", "before")]).await.unwrap();
    ledger.put_consumer(consumer(ID)).await.unwrap();
    ledger
        .append(vec![
            in_chat("a", "1"),
            in_chat("a", "2"),
            in_chat("b", "3"),
        ])
        .await
        .unwrap();
    let taken = take(&ledger, 0).await;
    assert_eq!((taken.tally.waiting, taken.missed), (3, 0));
    assert_eq!(turns(&ledger, 0).await, ["1", "3"]);
    let tally = settle(&ledger, "1", Became::Delivered, 0).await;
    assert_eq!((tally.waiting, tally.delivered), (2, 1));
    ledger.close().await;

    let ledger = open(options(folder.path()));
    ledger.put_consumer(consumer(ID)).await.unwrap();
    assert_eq!(turns(&ledger, 0).await, ["2", "3"]);
    ledger.append(vec![in_chat("b", "4")]).await.unwrap();
    assert_eq!(take(&ledger, 1).await.tally.waiting, 3);
    for text in ["3", "4", "2"] {
        settle(&ledger, text, Became::Delivered, 1).await;
    }
    let known = ledger.consumers("webhook").await.unwrap();
    let [known] = &*known else {
        panic!("{known:?}")
    };
    assert_eq!((known.tally.waiting, known.tally.delivered), (0, 4));
    assert_eq!(known.tally.oldest, None);
    assert_eq!(ledger.consumers("other").await.unwrap(), []);
    assert!(!format!("{known:?}").contains("whsec_"), "{known:?}");
}

#[tokio::test]
async fn a_chat_that_fails_waits_with_all_that_is_behind_it_and_holds_up_no_other() {
    let (_folder, ledger) = with_consumer().await;
    ledger
        .append(vec![
            in_chat("a", "1"),
            in_chat("b", "2"),
            in_chat("a", "3"),
        ])
        .await
        .unwrap();
    take(&ledger, 0).await;
    let not_yet = Became::PutOff {
        attempts: 0,
        due_at: second(0),
        failure: "a number is not known".to_owned(),
        is_consumers: false,
    };
    let tally = settle(&ledger, "1", not_yet, 0).await;
    assert_eq!((tally.waiting, tally.failed, tally.failure), (3, 0, None));
    let tally = settle(&ledger, "1", put_off(1, 60), 0).await;
    assert_eq!((tally.waiting, tally.failed), (3, 1));
    assert_eq!(tally.failure.unwrap().1, "it answered 500");
    ledger
        .append(vec![in_chat("a", "4"), in_chat("b", "5")])
        .await
        .unwrap();
    take(&ledger, 1).await;
    assert_eq!(turns(&ledger, 1).await, ["2"]);
    settle(&ledger, "2", Became::Delivered, 1).await;
    assert_eq!(turns(&ledger, 1).await, ["5"]);
    let next = ledger.turns(ID, second(1), 1).await.unwrap().next;
    assert_eq!(next, Some(second(60)));

    // Its second attempt ends it, and the rest of the chat goes on.
    let tally = settle(&ledger, "1", dead(), 60).await;
    assert_eq!((tally.waiting, tally.dead, tally.failed), (3, 1, 2));
    assert_eq!(turns(&ledger, 60).await, ["5", "3"]);
    let dead = ledger
        .deliveries(ID, &Filter::default(), DeliveryState::Dead, 0, 10)
        .await
        .unwrap();
    assert_eq!((dead.len(), dead[0].attempts), (1, 2));
    assert_eq!(dead[0].failure.as_ref().unwrap().1, "it answered 500");

    let other = Some(vec!["evt_of_another".to_owned()]);
    assert_eq!(ledger.redrive(ID, other, second(61)).await.unwrap(), 0);
    let this = Some(vec![dead[0].event_id.clone()]);
    assert_eq!(ledger.redrive(ID, this, second(61)).await.unwrap(), 1);
    let turned = turns(&ledger, 61).await;
    assert!(turned.contains(&"1".to_owned()), "{turned:?}");
    for text in ["1", "3", "4", "5"] {
        settle(&ledger, text, Became::Delivered, 62).await;
    }
    let known = ledger.consumers("webhook").await.unwrap();
    assert_eq!((known[0].tally.waiting, known[0].tally.dead), (0, 0));
}

#[tokio::test]
async fn a_chat_has_one_turn_in_whatever_order_its_dead_letters_are_redriven() {
    let (_folder, ledger) = with_consumer().await;
    let names = ["1", "2", "3", "4", "5", "6"];
    let events = names.map(|name| in_chat("a", name));
    ledger.append(events.to_vec()).await.unwrap();
    take(&ledger, 0).await;
    for name in &names[..5] {
        settle(&ledger, name, dead(), 0).await;
    }
    let all = Filter::default();
    let listed = ledger
        .deliveries(ID, &all, DeliveryState::Dead, 0, 10)
        .await;
    let listed = listed.unwrap().into_iter().rev();
    let mut ids: Vec<_> = listed.map(|dead| dead.event_id).collect();
    // Also one by one, and while one of its chat waits for another attempt.
    settle(&ledger, "6", put_off(1, 60), 0).await;
    let rest = ids.split_off(2);
    for asked in [vec![ids[0].clone()], vec![ids[1].clone()], rest] {
        let count = asked.len();
        assert_eq!(
            ledger.redrive(ID, Some(asked), second(1)).await.unwrap(),
            count
        );
        assert_eq!(turns(&ledger, 100).await.len(), 1);
    }
    for name in names {
        assert_eq!(turns(&ledger, 1).await, [name]);
        settle(&ledger, name, Became::Delivered, 1).await;
    }
}

#[tokio::test]
async fn what_waits_for_another_attempt_can_be_hurried_and_keeps_its_place_in_the_schedule() {
    let (_folder, ledger) = with_consumer().await;
    ledger
        .append(vec![in_chat("a", "1"), in_chat("b", "2")])
        .await
        .unwrap();
    take(&ledger, 0).await;
    settle(&ledger, "1", put_off(3, 7200), 0).await;
    settle(&ledger, "2", put_off(1, 60), 0).await;
    assert_eq!(turns(&ledger, 1).await, [""; 0]);
    ledger.hurry(ID, second(1)).await.unwrap();
    let hurried = ledger.turns(ID, second(1), 10).await.unwrap().now;
    assert_eq!(hurried.len(), 2);
    let first = hurried.iter().find(|turn| text_of(turn) == "1").unwrap();
    assert_eq!((first.attempts, first.due_at), (3, second(7200)));
}

#[tokio::test]
async fn what_was_put_off_by_a_clock_that_was_wrong_has_its_turn() {
    let (_folder, ledger) = with_consumer().await;
    let year = 365 * 24 * 3600;
    let events = vec![in_chat("a", "1"), in_chat("b", "2"), in_chat("c", "3")];
    ledger.append(events).await.unwrap();
    take(&ledger, year).await;
    settle(&ledger, "2", put_off(1, year + 60), year).await;
    settle(&ledger, "3", put_off(1, 60), year).await;
    assert_eq!(turns(&ledger, 0).await, [""; 0]);
    ledger.mend_turns(ID, second(0)).await.unwrap();
    assert_eq!(turns(&ledger, 0).await, ["1", "2"]);
    assert_eq!(turns(&ledger, 60).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_consumer_is_given_only_what_it_wants_and_nothing_while_it_is_off() {
    let (_folder, ledger) = with_consumer().await;
    let events = vec![
        in_chat("a", "1"),
        NewEvent {
            kind: EventKind::Ack,
            ..in_chat("a", "2")
        },
        event("52", "3"),
    ];
    ledger.append(events).await.unwrap();
    let filter = Filter {
        sessions: Some(["51".to_owned()].into()),
        kinds: vec![EventKind::Message, EventKind::OwnMessage],
    };
    let off = |why: Option<&str>| ConsumerChange {
        off_because: Some(why.map(str::to_owned)),
        ..ConsumerChange::default()
    };
    let changed = ledger.change_consumer(ID, off(Some("410"))).await.unwrap();
    assert_eq!(changed.unwrap().off_because.as_deref(), Some("410"));
    let taken = ledger.take_events(ID, &filter, second(0)).await.unwrap();
    assert_eq!(taken, None);
    // Its place is kept meanwhile.
    ledger.change_consumer(ID, off(None)).await.unwrap();
    let taken = ledger.take_events(ID, &filter, second(0)).await.unwrap();
    assert_eq!(taken.unwrap().tally.waiting, 1);
    assert_eq!(turns(&ledger, 0).await, ["1"]);
    assert!(ledger.remove_consumer(ID).await.unwrap());
    assert!(!ledger.remove_consumer(ID).await.unwrap());
    assert_eq!(turns(&ledger, 0).await, [""; 0]);
    assert_eq!(
        ledger.take_events(ID, &filter, second(0)).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn how_far_a_consumer_has_got_with_an_event_is_known_after_a_kill() {
    let (folder, ledger) = with_consumer().await;
    ledger.append(vec![in_chat("a", "1")]).await.unwrap();
    take(&ledger, 0).await;
    let seq = ledger.turns(ID, second(0), 1).await.unwrap().now[0]
        .event
        .seq;
    ledger.note_step(ID, seq, 2).await.unwrap();
    let left = tempfile::tempdir().unwrap();
    std::fs::create_dir(left.path().join("ledger")).unwrap();
    for entry in std::fs::read_dir(folder.path().join("ledger")).unwrap() {
        let entry = entry.unwrap();
        let copy = left.path().join("ledger").join(entry.file_name());
        std::fs::copy(entry.path(), copy).unwrap();
    }
    let after = open(options(left.path()));
    let turns = after.turns(ID, second(0), 1).await.unwrap();
    assert_eq!(turns.now[0].step, 2);
}

#[tokio::test]
async fn what_is_forgotten_before_it_is_delivered_is_counted_and_its_chat_goes_on() {
    let (folder, ledger) = with_consumer().await;
    let names: Vec<String> = (1..=9).map(|n| n.to_string()).collect();
    let events = |range: std::ops::Range<usize>| -> Vec<_> {
        names[range].iter().map(|name| in_chat("a", name)).collect()
    };
    ledger.append(events(0..4)).await.unwrap();
    take(&ledger, 0).await;
    settle(&ledger, "1", dead(), 0).await;
    settle(&ledger, "2", put_off(1, 60), 0).await;
    ledger.append(events(4..9)).await.unwrap();
    let slow = "wh_slow";
    ledger.put_consumer(consumer(slow)).await.unwrap();
    ledger.close().await;

    let file = || Connection::open(folder.path().join("ledger/ledger.sqlite3")).unwrap();
    let age = |seq: i64, hours: i64| {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
        file()
            .execute(
                "UPDATE events SET written_at = ?1 WHERE seq <= ?2",
                [at.as_millisecond(), seq],
            )
            .unwrap();
    };
    let forget = || forget(folder.path());
    // Three that it was still to be given, of which one waited; the dead one is gone too.
    age(3, 24 * 7 + 1);
    forget();
    let ledger = open(options(folder.path()));
    let known = ledger.consumers("webhook").await.unwrap();
    let tally = &known[0].tally;
    assert_eq!((tally.waiting, tally.dead, tally.missed), (1, 0, 2));
    assert_eq!(turns(&ledger, 1).await, [""; 0]);
    // By the consumer's clock, whatever that of the ledger says: it has the turn of the one before it.
    assert_eq!(turns(&ledger, 60).await, ["4"]);
    let at = jiff::Timestamp::now().as_second() - 1_790_000_000 + 60;
    ledger.close().await;

    // What it has not looked at yet: the data of two is forgotten.
    age(6, 73);
    forget();
    let ledger = open(options(folder.path()));
    let taken = take(&ledger, at).await;
    assert_eq!((taken.missed, taken.tally.missed), (2, 2 + 2));
    assert_eq!((taken.tally.waiting, taken.tally.dead), (4, 0));
    assert_eq!(turns(&ledger, at).await, ["4"]);
    ledger.close().await;

    // The rows themselves are gone: it is not known which of them it wanted.
    file()
        .execute("UPDATE consumers SET cursor = 0 WHERE id = ?1", [slow])
        .unwrap();
    age(8, 40 * 24);
    forget();
    let ledger = open(options(folder.path()));
    let of_none = Filter {
        sessions: Some(std::collections::BTreeSet::new()),
        ..Filter::default()
    };
    let taken = ledger.take_events(slow, &of_none, second(at)).await;
    assert_eq!(taken.unwrap().unwrap().missed, 8);
}

/// By default readers get events for 72 hours, and a webhook is tried for longer.
#[tokio::test]
async fn an_event_is_kept_for_the_consumer_that_is_still_to_be_given_it_and_goes_with_its_delivery()
{
    let (folder, ledger) = with_consumer().await;
    let names = ["1", "2", "3", "4"];
    let events = names.map(|name| in_chat(name, name));
    ledger.append(events.to_vec()).await.unwrap();
    take(&ledger, 0).await;
    settle(&ledger, "1", put_off(9, 0), 0).await;
    settle(&ledger, "2", dead(), 0).await;
    settle(&ledger, "3", Became::Delivered, 0).await;
    let other = "wh_other";
    ledger.put_consumer(consumer(other)).await.unwrap();
    ledger.close().await;

    let age = |days: i64| {
        let file = Connection::open(folder.path().join("ledger/ledger.sqlite3")).unwrap();
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days + 1);
        file.execute("UPDATE events SET written_at = ?1", [at.as_millisecond()])
            .unwrap();
    };
    let forget = || forget(folder.path());
    let kept = || {
        let file = Connection::open(folder.path().join("ledger/ledger.sqlite3")).unwrap();
        let mut kept = file
            .prepare("SELECT data FROM events WHERE data IS NOT NULL ORDER BY seq")
            .unwrap();
        let texts = kept.query_map([], |row| row.get::<_, String>(0)).unwrap();
        texts.map(Result::unwrap).collect::<Vec<_>>()
    };
    let shown = |names: &[&str]| -> Vec<_> {
        let text = |name: &&str| format!(r#"{{"text":"{name}"}}"#);
        names.iter().map(text).collect()
    };
    age(4);
    forget();
    assert_eq!(kept(), shown(&["1", "2", "4"]));
    let ledger = open(options(folder.path()));
    let query = EventQuery {
        limit: 10,
        ..EventQuery::default()
    };
    let page = ledger.events(query).await.unwrap();
    assert!(
        matches!(&page, Page::Events { events, next: 4 } if events.is_empty()),
        "{page:?}"
    );
    assert_eq!(turns(&ledger, 0).await, ["1", "4"]);
    // With the last attempt its text goes, and with a consumer all that was kept for it.
    settle(&ledger, "1", Became::Delivered, 0).await;
    let tally = settle(&ledger, "4", Became::Skipped, 0).await;
    assert_eq!((tally.waiting, tally.dead, tally.missed), (0, 1, 0));
    assert_eq!(ledger.redrive(ID, None, second(0)).await.unwrap(), 1);
    assert_eq!(turns(&ledger, 0).await, ["2"]);
    settle(&ledger, "2", dead(), 0).await;
    ledger.close().await;
    assert_eq!(kept(), shown(&["2"]));
    let texts = std::fs::read(folder.path().join("ledger/ledger.sqlite3")).unwrap();
    let is_left = |text: &str| {
        texts
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(is_left(&shown(&["2"])[0]) && !is_left(&shown(&["1"])[0]));

    let ledger = open(options(folder.path()));
    assert!(ledger.remove_consumer(ID).await.unwrap());
    ledger.close().await;
    assert_eq!(kept(), shown(&[]));
}

#[tokio::test]
async fn a_long_backlog_is_taken_in_parts_and_only_what_has_its_turn_is_read() {
    let (_folder, ledger) = with_consumer().await;
    let names: Vec<String> = (0..2500).map(|n| n.to_string()).collect();
    let chats = ["a", "b", "c"];
    for part in names.chunks(500) {
        let events = part
            .iter()
            .zip(chats.iter().cycle())
            .map(|(name, chat)| in_chat(chat, name));
        ledger.append(events.collect()).await.unwrap();
    }
    let parts = [take(&ledger, 0).await, take(&ledger, 0).await];
    assert!(parts.iter().all(|taken| taken.is_not_all), "{parts:?}");
    let last = take(&ledger, 0).await;
    assert_eq!((last.is_not_all, last.tally.waiting), (false, 2500));
    assert_eq!(turns(&ledger, 0).await, ["0", "1", "2"]);
    let mut heard = [0, 1, 2];
    while let Some(delivery) = ledger
        .turns(ID, second(0), 1)
        .await
        .unwrap()
        .now
        .into_iter()
        .next()
    {
        let number: usize = text_of(&delivery).parse().unwrap();
        assert_eq!(heard[number % 3], number);
        heard[number % 3] += 3;
        let settled = Settled {
            seq: delivery.event.seq,
            lane: delivery.lane,
            became: dead(),
        };
        ledger.settle(ID, vec![settled], second(0)).await.unwrap();
        if number > 300 {
            break;
        }
    }
    let dead = last.tally.waiting - ledger.consumers("webhook").await.unwrap()[0].tally.waiting;
    assert!(dead > 300, "{dead}");
    assert_eq!(
        ledger.redrive(ID, None, second(1)).await.unwrap() as u64,
        dead
    );
    assert!(ledger.remove_consumer(ID).await.unwrap());
    assert!(ledger.consumers("webhook").await.unwrap().is_empty());
}

#[tokio::test]
async fn no_question_about_deliveries_goes_through_all_of_them() {
    let (folder, ledger) = with_consumer().await;
    ledger.close().await;
    let file = Connection::open(folder.path().join("ledger/ledger.sqlite3")).unwrap();
    for statement in statements::ALL {
        let plan = plan_of(&file, statement);
        let scans = plan
            .lines()
            .filter(|line| line.contains("SCAN") && !line.contains("SCAN CONSTANT ROW"));
        assert_eq!(scans.count(), 0, "{statement}\n{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{statement}\n{plan}");
    }
}
