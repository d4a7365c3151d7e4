//! The log of events: written once, read in order, forgotten from its beginning.

use rusqlite::Connection;

use super::*;
use crate::{
    heard::Person,
    ledger::{notes::EVENT_CAPACITY, store::events::statements},
};

pub(super) fn event(session: &str, once: &str) -> NewEvent {
    NewEvent {
        session: session.to_owned(),
        kind: EventKind::Message,
        once: once.into(),
        who: None,
        chat: Some("5491158254201@c.us".into()),
        me: Me {
            phone: Some("5491150000001".into()),
            lid: None,
        },
        happened_at: jiff::Timestamp::from_second(1_790_000_000).unwrap(),
        is_late: false,
        data: format!(r#"{{"text":"{once}"}}"#).into(),
        own_key: None,
    }
}

fn all() -> EventQuery {
    EventQuery {
        limit: 1000,
        ..EventQuery::default()
    }
}

async fn read(ledger: &Ledger, query: EventQuery) -> (Vec<Event>, i64) {
    match ledger.events(query).await.unwrap() {
        Page::Events { events, next } => (events, next),
        expired @ Page::Expired { .. } => panic!("{expired:?}"),
    }
}

fn texts(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| &*event.data).collect()
}

#[tokio::test]
async fn an_event_is_written_once_however_often_it_is_heard_and_by_each_session_that_hears_it() {
    let (folder, ledger) = opened();
    let first = ledger
        .append(vec![event("51", "a"), event("51", "b"), event("51", "a")])
        .await
        .unwrap();
    assert_eq!(first, [Some(1), Some(2), None]);
    ledger.close().await;
    let ledger = open(options(folder.path()));
    let second = ledger
        .append(vec![event("51", "b"), event("52", "b"), event("51", "c")])
        .await
        .unwrap();
    assert_eq!(second.iter().flatten().count(), 2, "{second:?}");
    let (events, next) = read(&ledger, all()).await;
    assert_eq!(
        texts(&events),
        [
            r#"{"text":"a"}"#,
            r#"{"text":"b"}"#,
            r#"{"text":"b"}"#,
            r#"{"text":"c"}"#
        ]
    );
    assert!(events.is_sorted_by_key(|event| event.seq));
    assert_eq!(events.last().unwrap().seq, next);
    let mut ids: Vec<_> = events.iter().map(|event| &event.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    assert_eq!(events[0].me.phone.as_deref(), Some("5491150000001"));
    assert!(!format!("{events:?}").contains("5491158254201"));
}

#[tokio::test]
async fn a_reader_goes_on_from_its_cursor_and_sees_what_it_asked_for_only() {
    let (_folder, ledger) = opened();
    let status = |once| NewEvent {
        kind: EventKind::Status,
        ..event("52", once)
    };
    let events = vec![
        event("51", "a"),
        status("b"),
        event("52", "c"),
        event("51", "d"),
    ];
    ledger.append(events).await.unwrap();
    let of_52 = EventQuery {
        sessions: Some(vec!["52".to_owned()]),
        ..all()
    };
    let (found, next) = read(&ledger, of_52.clone()).await;
    assert_eq!(texts(&found), [r#"{"text":"b"}"#, r#"{"text":"c"}"#]);
    // The cursor is past what is of no interest, so that it is not looked at again.
    assert_eq!(next, 4);
    let messages = EventQuery {
        kinds: vec![EventKind::Message],
        limit: 1,
        ..of_52
    };
    let (found, next) = read(&ledger, messages.clone()).await;
    assert_eq!((texts(&found), next), (vec![r#"{"text":"c"}"#], 3));
    let rest = EventQuery {
        after: Some(next),
        ..messages
    };
    assert_eq!(read(&ledger, rest).await, (vec![], 4));
    let of_none = EventQuery {
        sessions: Some(vec![]),
        ..all()
    };
    assert_eq!(read(&ledger, of_none).await, (vec![], 4));
}

#[tokio::test]
async fn who_waits_is_told_of_an_event_that_is_new_and_of_no_other() {
    let (_folder, ledger) = opened();
    let mut news = ledger.event_news();
    ledger.append(vec![event("51", "a")]).await.unwrap();
    assert!(news.has_changed().unwrap());
    assert_eq!(*news.borrow_and_update(), 1);
    ledger.append(vec![event("51", "a")]).await.unwrap();
    assert!(!news.has_changed().unwrap());
    let from_now_on = EventQuery {
        after: Some(ledger.newest_event().await.unwrap()),
        ..all()
    };
    assert_eq!(read(&ledger, from_now_on.clone()).await.0, []);
    ledger.append(vec![event("51", "b")]).await.unwrap();
    assert_eq!(read(&ledger, from_now_on).await.0.len(), 1);
}

#[tokio::test]
async fn a_message_of_this_account_is_told_from_one_that_was_written_by_hand() {
    let (_folder, ledger) = opened();
    accepted(&ledger, send("3EB0A")).await;
    let own = |session, key: &str| NewEvent {
        kind: EventKind::OwnMessage,
        own_key: Some(key.to_owned()),
        ..event(session, key)
    };
    let events = vec![own("51", "3EB0A"), own("51", "3EB0B"), own("52", "3EB0A")];
    ledger.append(events).await.unwrap();
    let (events, _) = read(&ledger, all()).await;
    let sources: Vec<_> = events.iter().map(|event| event.source).collect();
    // Another session's id may be the same: it is the other account's message that came in there.
    assert_eq!(
        sources,
        [Some(Source::Api), Some(Source::Phone), Some(Source::Phone)]
    );
}

#[tokio::test]
async fn what_this_service_sent_has_no_words_in_the_log_where_no_text_of_a_send_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(LedgerOptions {
        retention: Duration::ZERO,
        ..options(folder.path())
    });
    accepted(&ledger, send("3EB0A")).await;
    let said = |kind, key: &str, more: &str| {
        NewEvent {
        kind,
        own_key: (kind == EventKind::OwnMessage).then(|| key.to_owned()),
        data: format!(
            r#"{{"id":"true_1@c.us_{key}","key":"{key}","chat":"1@c.us","is_group":false,"from":{{"phone":"2"}},"kind":"text",{more}}}"#
        )
        .into(),
        ..event("51", &format!("{key}{more}"))
    }
    };
    let kinds = [
        r#""text":"hola""#,
        r#""caption":"hola","media":{"filename":"hola"}"#,
        r#""location":{"latitude":1.0,"longitude":2.0,"name":"hola"}"#,
        r#""contacts":[{"name":"hola","vcard":"hola"}]"#,
        r#""poll":{"question":"hola","options":["hola"]}"#,
    ];
    let sent = kinds.map(|kind| said(EventKind::OwnMessage, "3EB0A", kind));
    ledger.append(sent.to_vec()).await.unwrap();
    let answers = [
        said(
            EventKind::Message,
            "3EB0C",
            r#""quoted":{"key":"3EB0A","text":"hola"}"#,
        ),
        said(
            EventKind::Message,
            "3EB0D",
            r#""quoted":{"key":"3EB0Z","text":"hola"}"#,
        ),
        said(EventKind::OwnMessage, "3EB0B", kinds[0]),
    ];
    ledger.append(answers.to_vec()).await.unwrap();
    let (events, _) = read(&ledger, all()).await;
    let has_words: Vec<_> = events
        .iter()
        .map(|event| (event.data.contains("3EB0"), event.data.contains("hola")))
        .collect();
    let kept = [(true, false), (true, true), (true, true)];
    assert_eq!(has_words, [vec![(true, false); 5], kept.to_vec()].concat());
}

#[tokio::test]
async fn a_text_that_this_service_has_edited_is_not_in_the_log_where_no_text_of_a_send_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(LedgerOptions {
        retention: Duration::ZERO,
        ..options(folder.path())
    });
    accepted(&ledger, send("3EB0A")).await;
    let edited = |key: &str| {
        let data = r#"{"id":"true_1@c.us_3EB07","key":"3EB07","chat":"1@c.us","is_group":false,"from":{"phone":"2"},"is_own":true,"text":"hola"}"#;
        NewEvent {
            kind: EventKind::Edited,
            own_key: Some(key.to_owned()),
            data: data.into(),
            ..event("51", key)
        }
    };
    let by_hand = edited("3EB0B");
    ledger.append(vec![edited("3EB0A"), by_hand]).await.unwrap();
    let (events, _) = read(&ledger, all()).await;
    let has_words: Vec<_> = events
        .iter()
        .map(|event| (event.data.contains("3EB07"), event.data.contains("hola")))
        .collect();
    assert_eq!(has_words, [(true, false), (true, true)]);
}

/// What came in from this person at this second under one id.
fn from(phone: Option<&str>, lid: Option<&str>, second: i64) -> NewEvent {
    NewEvent {
        who: Some(Person {
            phone: phone.map(Into::into),
            lid: lid.map(Into::into),
            name: None,
        }),
        happened_at: jiff::Timestamp::from_second(second).unwrap(),
        ..event("51", "message in person 3A5F")
    }
}

#[tokio::test]
async fn a_message_of_another_person_under_the_same_id_is_another_one_and_that_of_one_person_is_not()
 {
    let (folder, ledger) = opened();
    let places = async |ledger: &Ledger, heard: Vec<NewEvent>| {
        let places = ledger.append(heard).await.unwrap();
        places.iter().map(Option::is_some).collect::<Vec<_>>()
    };
    let ana = || from(Some("1"), Some("1@lid"), 100);
    let first = vec![
        from(None, Some("1@lid"), 100),
        // The same person, by the number as well and then by it alone.
        ana(),
        from(Some("1"), None, 100),
        // Others.
        from(Some("2"), None, 200),
        from(Some("3"), Some("3@lid"), 300),
    ];
    assert_eq!(
        places(&ledger, first).await,
        [true, false, false, true, true]
    );
    ledger.close().await;
    // What is personal of a row is forgotten, and it is still known whose it was.
    let file = Connection::open(folder.path().join("ledger/ledger.sqlite3")).unwrap();
    file.execute("UPDATE events SET data = NULL, chat = NULL", [])
        .unwrap();
    drop(file);
    let ledger = open(options(folder.path()));
    let again = vec![
        ana(),
        from(Some("9"), Some("1@lid"), 100),
        // Nothing that is known of either is known of the other one, but when the message was written.
        from(None, Some("2@lid"), 200),
        from(None, Some("3@lid"), 300),
        from(None, Some("4@lid"), 400),
        from(Some("5"), Some("5@lid"), 100),
    ];
    assert_eq!(
        places(&ledger, again).await,
        [false, false, false, false, true, true]
    );
    // An earlier version has not written down whose its events are; nor is it said of what is heard on the screen.
    let told = |who, once: &str| NewEvent {
        who,
        ..event("51", once)
    };
    let unsaid = vec![
        told(None, "a"),
        told(ana().who, "a"),
        told(None, "message in person 3A5F"),
    ];
    assert_eq!(places(&ledger, unsaid).await, [true, false, false]);
}

#[tokio::test]
async fn an_acknowledgement_whose_chat_has_another_address_by_now_is_the_same_one() {
    let (_folder, ledger) = opened();
    let ack = |heard: NewEvent| NewEvent {
        kind: EventKind::Ack,
        ..heard
    };
    let heard = vec![
        ack(from(Some("1"), None, 100)),
        ack(from(None, Some("1@lid"), 200)),
    ];
    assert_eq!(ledger.append(heard).await.unwrap(), [Some(1), None]);
}

#[tokio::test]
async fn a_forged_id_is_not_kept_without_end() {
    let (_folder, ledger) = opened();
    let names: Vec<String> = (0..100).map(|nth| nth.to_string()).collect();
    let heard = names.iter().map(|name| from(Some(name), None, 100));
    let places = ledger.append(heard.collect()).await.unwrap();
    assert_eq!(places.iter().flatten().count(), 20);
}

#[tokio::test]
async fn a_message_of_a_person_is_found_by_its_inner_id_in_its_own_session_only() {
    let (_folder, ledger) = opened();
    let heard = |once: &str, id: &str| {
        let data = format!(
            r#"{{"id":"{id}","key":"3A5F","chat":"1@c.us","is_group":false,"from":{{"phone":"2"}},"kind":"text","text":"hola"}}"#
        );
        NewEvent {
            data: data.into(),
            ..event("51", once)
        }
    };
    ledger
        .append(vec![
            heard("message in person 3A5F", "false_1@c.us_3A5F"),
            heard(
                "message in 120363@g.us 3A60",
                "false_120363@g.us_3A60_2@c.us",
            ),
        ])
        .await
        .unwrap();
    let of = async |session, key| ledger.heard_id(session, key).await.unwrap();
    assert_eq!(of("51", "3A5F").await.as_deref(), Some("false_1@c.us_3A5F"));
    assert_eq!(of("52", "3A5F").await, None);
    assert_eq!(of("51", "3A60").await, None);

    // Of two persons' messages with one id neither is meant more than the other one.
    let of_person = |number: &str| NewEvent {
        who: from(Some(number), None, 0).who,
        ..heard(
            "message in person 3A61",
            &format!("false_{number}@c.us_3A61"),
        )
    };
    ledger.append(vec![of_person("1")]).await.unwrap();
    assert_eq!(of("51", "3A61").await.as_deref(), Some("false_1@c.us_3A61"));
    ledger.append(vec![of_person("2")]).await.unwrap();
    assert_eq!(of("51", "3A61").await, None);
}

#[tokio::test]
async fn how_far_a_session_has_heard_holds_for_one_link_and_never_goes_back() {
    let (_folder, ledger) = opened();
    let at = |second| jiff::Timestamp::from_second(second).unwrap();
    let heard = async |link, begin| {
        let heard = ledger.heard_until("51", at(link), at(begin)).await.unwrap();
        (heard.begun.as_second(), heard.until.as_second())
    };
    assert_eq!(heard(100, 150).await, (150, 150));
    ledger.note_heard("51", at(300)).await.unwrap();
    ledger.note_heard("51", at(200)).await.unwrap();
    ledger.note_heard("52", at(900)).await.unwrap();
    assert_eq!(heard(100, 999).await, (150, 300));
    // Another link is another account, or a device that has been away.
    assert_eq!(heard(400, 400).await, (400, 400));
}

#[tokio::test]
async fn a_place_in_the_log_is_there_for_the_next_service() {
    let folder = tempfile::tempdir().unwrap();
    for (found, noted) in [(None, 7), (Some(7), 9), (Some(9), 3)] {
        let ledger = open(options(folder.path()));
        assert_eq!(ledger.place("a").await.unwrap(), found);
        ledger.note_place("a", noted).await.unwrap();
        assert_eq!(ledger.place("b").await.unwrap(), None);
        ledger.close().await;
    }
}

#[tokio::test]
async fn a_cursor_that_would_miss_something_has_expired() {
    let (folder, ledger) = opened();
    let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    let events = names.iter().map(|name| event("51", name)).collect();
    ledger.append(events).await.unwrap();
    ledger.close().await;
    let now = jiff::Timestamp::now();
    let age = |seq: i64, age: i64| {
        let file = Connection::open(folder.path().join("ledger/ledger.sqlite3")).unwrap();
        let at = (now - jiff::SignedDuration::from_hours(age)).as_millisecond();
        file.execute(
            "UPDATE events SET written_at = ?1 WHERE seq <= ?2",
            [at, seq],
        )
        .unwrap();
    };
    let forget = || {
        let mut disk = Disk::new(options(folder.path()));
        let settled = Now {
            at: now,
            at_least: now,
        };
        assert!(!disk.forget(settled).unwrap());
    };
    age(6, 73);
    age(4, 24 * 40);
    forget();
    let ledger = open(options(folder.path()));
    let after = |after| EventQuery {
        after: Some(after),
        ..all()
    };
    assert_eq!(read(&ledger, all()).await.0.len(), 4);
    assert_eq!(read(&ledger, after(6)).await.0.len(), 4);
    assert_eq!(read(&ledger, after(10)).await, (vec![], 10));
    for lost in [0, 5, 11, -1] {
        let page = ledger.events(after(lost)).await.unwrap();
        assert_eq!(
            page,
            Page::Expired {
                oldest: 6,
                newest: 10
            },
            "{lost}"
        );
    }
    // Nothing personal is left of the ones that are forgotten, and those that are recognised are not written again.
    let places = ledger
        .append(names.iter().map(|name| event("51", name)).collect())
        .await
        .unwrap();
    let is_new: Vec<_> = places.iter().map(Option::is_some).collect();
    assert_eq!(is_new, [vec![true; 4], vec![false; 6]].concat());
    assert_eq!(places[0], Some(11), "a place is never given twice");
    ledger.close().await;
    let file = Connection::open(folder.path().join("ledger/ledger.sqlite3")).unwrap();
    let personal: i64 = file
        .query_row(
            "SELECT count(*) FROM events WHERE seq <= 6 AND (data || chat || account IS NOT NULL)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(personal, 0);
}

#[tokio::test]
async fn events_are_all_written_or_none_and_a_disk_that_takes_none_says_so() {
    let (folder, ledger) = opened();
    ledger.append(vec![event("51", "a")]).await.unwrap();
    take_away(&folder.path().join("ledger"));
    let refused = ledger
        .append(vec![event("51", "b"), event("51", "c")])
        .await;
    assert!(refused.is_err());
    give_back(&folder.path().join("ledger"));
    let places = ledger
        .append(vec![event("51", "b"), event("51", "c")])
        .await
        .unwrap();
    assert_eq!(places, [Some(2), Some(3)]);
}

/// Noted while the disk fails, in order, with one that its caller waits for behind them.
#[tokio::test]
async fn an_event_that_is_noted_while_the_disk_takes_none_is_written_later_and_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("ledger");
    std::fs::write(&place, "").unwrap();
    let ledger = open(options(folder.path()));
    ledger.note_event(event("51", "a"));
    ledger.note_event(event("51", "b"));
    assert!(ledger.append(vec![event("51", "refused")]).await.is_err());
    ledger.note_event(event("51", "c"));
    assert!(ledger.append(vec![event("51", "refused")]).await.is_err());
    std::fs::remove_file(&place).unwrap();
    let mut news = ledger.event_news();
    let written = news.wait_for(|newest| *newest == 3);
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, written)
        .await
        .unwrap()
        .unwrap();
    let (events, _) = read(&ledger, all()).await;
    let shown = |once| format!(r#"{{"text":"{once}"}}"#);
    assert_eq!(texts(&events), [shown("a"), shown("b"), shown("c")]);
}

#[tokio::test]
async fn of_too_many_events_that_wait_for_the_disk_the_last_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, keeper) = Ledger::new(options(folder.path()));
    for n in 0..=EVENT_CAPACITY {
        ledger.note_event(event("51", &n.to_string()));
    }
    tokio::spawn(keeper.run());
    let places = ledger.append(vec![event("51", "last")]).await.unwrap();
    assert_eq!(
        places,
        [Some(i64::try_from(EVENT_CAPACITY).unwrap() + 1)],
        "they were written before what was asked later"
    );
    let (events, _) = read(&ledger, all()).await;
    assert_eq!(&*events[0].data, r#"{"text":"1"}"#);
}

#[tokio::test]
async fn no_question_goes_through_the_whole_log() {
    let (folder, ledger) = opened();
    ledger.append(vec![event("51", "a")]).await.unwrap();
    ledger.close().await;
    let file = Connection::open(folder.path().join("ledger/ledger.sqlite3")).unwrap();
    for statement in statements::ALL {
        let plan = plan_of(&file, statement);
        assert!(
            !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
            "{statement}\n{plan}"
        );
    }
}

#[tokio::test]
async fn persons_whose_number_is_not_known_are_found_until_it_is() {
    let (folder, ledger) = opened();
    let from = |once: &str, key: &str, from: &str| {
        NewEvent {
        data: format!(
            r#"{{"id":"false_1@lid_{key}","key":"{key}","chat":"1@lid","is_group":false,"from":{from},"kind":"text","text":"hola",
                "quoted":{{"key":"3A0","from":{{"phone":null,"lid":"9@lid","name":null}}}}}}"#
        )
        .into(),
        ..event("51", once)
    }
    };
    let hidden = |lid: &str| format!(r#"{{"phone":null,"lid":"{lid}","name":"Eva"}}"#);
    let events = vec![
        from("a", "3A1", &hidden("1@lid")),
        from("b", "3A2", &hidden("2@lid")),
        from(
            "c",
            "3A3",
            r#"{"phone":"5491150002222","lid":"3@lid","name":null}"#,
        ),
        from("d", "3A4", &hidden("1@lid")),
        NewEvent {
            session: "52".to_owned(),
            ..from("e", "3A5", &hidden("4@lid"))
        },
        NewEvent {
            kind: EventKind::Resolved,
            ..event("51", "number 2@lid 3A2")
        },
    ];
    ledger.append(events).await.unwrap();
    let found = async |ledger: &Ledger, since: i64| {
        let since = jiff::Timestamp::from_second(since).unwrap();
        let found = ledger.numberless("51", since).await.unwrap();
        let shown = found
            .iter()
            .map(|one| format!("{} {} {}", &*one.lid, &*one.chat, one.key));
        shown.collect::<Vec<_>>()
    };
    assert_eq!(found(&ledger, 0).await, ["1@lid 1@lid 3A4"]);
    // After another link the page knows nothing of this person once more.
    let again = from("f", "3A6", &hidden("2@lid"));
    ledger.append(vec![again]).await.unwrap();
    assert_eq!(
        found(&ledger, 0).await,
        ["2@lid 1@lid 3A6", "1@lid 1@lid 3A4"]
    );
    assert_eq!(found(&ledger, 1_790_000_001).await, [""; 0]);
    ledger.close().await;

    // With the event they are forgotten.
    let file = Connection::open(folder.path().join("ledger/ledger.sqlite3")).unwrap();
    file.execute("UPDATE events SET data = NULL WHERE seq = 4", [])
        .unwrap();
    drop(file);
    let ledger = open(options(folder.path()));
    assert_eq!(
        found(&ledger, 0).await,
        ["2@lid 1@lid 3A6", "1@lid 1@lid 3A1"]
    );
}

#[tokio::test]
async fn what_is_heard_again_uses_no_place_up() {
    let (_folder, ledger) = opened();
    ledger.append(vec![event("51", "a")]).await.unwrap();
    let again = vec![event("51", "a"); 500];
    let places = ledger.append(again).await.unwrap();
    assert!(places.iter().all(Option::is_none));
    // How much the log may keep is counted by places.
    let places = ledger.append(vec![event("51", "b")]).await.unwrap();
    assert_eq!(places, [Some(2)]);
}

#[tokio::test]
async fn who_sent_a_message_is_known_of_its_receipts_as_long_as_the_log_knows_it_and_guessed_of_none()
 {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(options(folder.path()));
    accepted(&ledger, send("3EB0A")).await;
    let about = |kind, key: &str, chat: &str| NewEvent {
        kind,
        own_key: Some(key.to_owned()),
        chat: Some(chat.into()),
        happened_at: jiff::Timestamp::now(),
        ..event("51", &format!("{kind:?} {key}"))
    };
    let own = |key: &str, chat: &str| {
        let scope = if chat.ends_with("@g.us") {
            chat
        } else {
            "person"
        };
        NewEvent {
            once: format!("message own {scope} {key}").into(),
            ..about(EventKind::OwnMessage, key, chat)
        }
    };
    let (person, group) = ("5491158254201@c.us", "120363@g.us");
    ledger
        .append(vec![own("3EB0A", person), own("3A0B", group)])
        .await
        .unwrap();
    ledger.close().await;
    // The sends are forgotten sooner than what the log has said.
    let file = Connection::open(folder.path().join("ledger/ledger.sqlite3")).unwrap();
    file.execute("DELETE FROM sends", []).unwrap();
    drop(file);
    let ledger = open(options(folder.path()));
    let receipts = [("3EB0A", person), ("3A0B", group), ("3A0C", person)];
    let receipts = receipts.map(|(key, chat)| about(EventKind::Ack, key, chat));
    ledger.append(receipts.to_vec()).await.unwrap();
    let (events, _) = read(&ledger, all()).await;
    let sources: Vec<_> = events.iter().map(|event| event.source).collect();
    let (api, phone) = (Some(Source::Api), Some(Source::Phone));
    assert_eq!(sources, [api, phone, api, phone, None]);
}

#[test]
fn an_own_message_that_is_older_than_the_sends_may_be_one_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::new(options(folder.path()));
    let now = jiff::Timestamp::now();
    let own = |key: &str, hours: i64| NewEvent {
        kind: EventKind::OwnMessage,
        own_key: Some(key.to_owned()),
        happened_at: now - jiff::SignedDuration::from_hours(hours),
        ..event("51", key)
    };
    let mut jobs = vec![crate::ledger::job::append(
        vec![own("3A0A", 71), own("3A0B", 73)],
        tokio::sync::oneshot::channel().0,
    )];
    let settled = Now {
        at: now,
        at_least: now,
    };
    disk.serve(&VecDeque::new(), &mut jobs, settled).unwrap();
    drop(disk);
    let file = Connection::open(folder.path().join("ledger/ledger.sqlite3")).unwrap();
    let sources: Vec<Option<String>> = file
        .prepare("SELECT source FROM events ORDER BY seq")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(sources, [Some("phone".to_owned()), None]);
}

#[tokio::test]
async fn what_was_written_while_the_clock_was_ahead_keeps_nothing_behind_it() {
    let (folder, ledger) = opened();
    let names = ["old", "ahead", "old too", "new"];
    let events = names.map(|name| event("51", name)).to_vec();
    ledger.append(events).await.unwrap();
    ledger.close().await;
    let now = jiff::Timestamp::now();
    let file = Connection::open(folder.path().join("ledger/ledger.sqlite3")).unwrap();
    for (seq, hours) in [(1, -80), (2, 24 * 30), (3, -79)] {
        let at = (now + jiff::SignedDuration::from_hours(hours)).as_millisecond();
        file.execute(
            "UPDATE events SET written_at = ?1 WHERE seq = ?2",
            [at, seq],
        )
        .unwrap();
    }
    drop(file);
    let settled = Now {
        at: now,
        at_least: now,
    };
    Disk::new(options(folder.path())).forget(settled).unwrap();
    let ledger = open(options(folder.path()));
    let (events, _) = read(&ledger, all()).await;
    assert_eq!(texts(&events), [r#"{"text":"new"}"#]);
}

#[tokio::test]
async fn an_answer_has_no_more_text_than_a_reader_can_take_and_the_next_one_has_the_rest() {
    let (_folder, ledger) = opened();
    let text = "x".repeat(1_000_000);
    let large = |nth: usize| NewEvent {
        data: format!(r#"{{"text":"{text}"}}"#).into(),
        ..event("51", &nth.to_string())
    };
    ledger.append((0..12).map(large).collect()).await.unwrap();
    let (first, next) = read(&ledger, all()).await;
    assert_eq!(first.len(), 8);
    let rest = EventQuery {
        after: Some(next),
        ..all()
    };
    assert_eq!(read(&ledger, rest).await.0.len(), 4);
}
