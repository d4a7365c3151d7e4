//! What is read of a page: whose turn it is, and that no send waits for it.

use super::*;
use crate::{
    session::ReadingError,
    stored::{Chats, NumberFacts},
    whatsapp::{Answered, List, Question},
};

fn list(limit: usize) -> List {
    List { after: None, limit }
}

/// A caller that reads chats; so many of them are asked for, which tells it from another one.
fn reads(session: &Scenario, limit: usize) -> tokio::task::JoinHandle<Result<Chats, ReadingError>> {
    session.asked(move |handle| async move { handle.chats(list(limit)).await })
}

fn none() -> Answered {
    Answered::new(r#"{"chats": []}"#.into())
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_hangs_holds_up_no_send_and_the_next_one_waits_for_its_turn() {
    let mut session = Scenario::ready().await;
    let answers = session.plan.readings.hold();
    let first = reads(&session, 1);
    session.asks(Call::Read(Question::Chats(list(1)))).await;
    session.plan.readings.plan(Ok(none()));
    let second = reads(&session, 2);
    session.sends().await;
    session.has_asked_nothing();
    answers.send(Ok(none())).unwrap();
    session.asks(Call::Read(Question::Chats(list(2)))).await;
    assert_eq!(first.await.unwrap().unwrap().chats, []);
    assert_eq!(second.await.unwrap().unwrap().chats, []);
}

#[tokio::test(start_paused = true)]
async fn no_reading_begins_while_a_send_has_its_turn() {
    let mut session = Scenario::ready().await;
    let handed = session.plan.hand_overs.hold();
    let sent = session.send(TO);
    let key = session.hands_over().await;
    session.plan.readings.plan(Ok(none()));
    let read = reads(&session, 1);
    seconds(1).await;
    session.has_asked_nothing();
    handed.send(Ok(())).unwrap();
    session.asks(Call::Read(Question::Chats(list(1)))).await;
    read.await.unwrap().unwrap();
    session.ack(&key).await;
    sent.sent().await;
}

#[tokio::test(start_paused = true)]
async fn a_reading_whose_turn_does_not_come_and_one_too_many_are_told_to_come_back() {
    let mut session = Scenario::ready().await;
    let _never = session.plan.readings.hold();
    let _hangs = reads(&session, 1);
    session.asks(Call::Read(Question::Chats(list(1)))).await;
    let waiting: Vec<_> = (0..8).map(|_| reads(&session, 2)).collect();
    let too_many = reads(&session, 2).await.unwrap();
    assert_is!(too_many, Err(ReadingError::Busy));
    for waiting in waiting {
        assert_is!(waiting.await.unwrap(), Err(ReadingError::Busy));
    }
    session.has_asked_nothing();
}

#[tokio::test(start_paused = true)]
async fn what_waits_to_be_read_is_refused_when_the_page_goes_away() {
    let mut session = Scenario::ready().await;
    let _never = session.plan.readings.hold();
    let hangs = reads(&session, 1);
    session.asks(Call::Read(Question::Chats(list(1)))).await;
    let waits = reads(&session, 2);
    session.ends().await;
    for read in [hangs, waits] {
        assert_is!(
            read.await.unwrap(),
            Err(ReadingError::Session(SendError::NotReady { .. }))
        );
    }
    let none = reads(&session, 1).await.unwrap();
    assert_is!(
        none,
        Err(ReadingError::Session(SendError::NotReady {
            state: "DISCONNECTED",
            ..
        }))
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_sleeps_wakes_to_be_read() {
    let mut session = Scenario::ready_with(|config| {
        config.hibernate_after = Some(Duration::from_secs(60));
    })
    .await;
    session.asks(Call::Closed).await;
    session.plan.readings.plan(Ok(none()));
    let read = reads(&session, 1);
    session.asks(Call::Opened).await;
    session.says(ready()).await;
    session.asks(Call::Read(Question::Chats(list(1)))).await;
    read.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn whatsapp_is_asked_once_about_a_number() {
    let mut session = Scenario::ready().await;
    let number = |digits: &'static str| {
        session.asked(move |handle| async move { handle.number(digits.parse().unwrap()).await })
    };
    let found = number(TO).await.unwrap().unwrap();
    let chat = format!("{TO}@c.us");
    assert_eq!(
        found,
        NumberFacts {
            exists: Some(true),
            chat: Some(chat.as_str().into()),
            ..NumberFacts::default()
        }
    );
    let none = number("5491158250000").await.unwrap().unwrap();
    assert_eq!((none.exists, none.chat), (Some(false), None));
    let of_lid = number("123456789012345@lid").await.unwrap().unwrap();
    assert_eq!(of_lid, NumberFacts::default());
    // What a send looks up it need not ask again.
    session.sends().await;
}
