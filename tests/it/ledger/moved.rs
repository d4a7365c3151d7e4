//! Chats that move from a number to a LID while messages to them are under way.

use super::*;

/// How often pages have handed each message to the server beyond the first time.
async fn resent(service: &Service, account: &str) -> Vec<u64> {
    let taken = service.taken(account).await;
    let resent = taken.iter().map(|message| message["resent"].as_u64());
    resent.map(Option::unwrap_or_default).collect()
}

#[tokio::test]
async fn a_chat_that_moves_in_the_middle_of_a_send_gets_that_message_once_and_the_next_one_too() {
    let (service, account) = Service::linked(&[]).await;
    for text in ["a", "b"] {
        let id = id_of(&service.send(51, TO, text).await);
        assert!(id.contains("@c.us_"), "{id}");
    }
    // The page stores it, and comes back as another build before it travels.
    service
        .faults(json!({ "lid_chats": true, "reload_in_send": true }))
        .await;
    service.sends(51, TO, "c").await;
    service.faults(json!({ "lid_chats": true })).await;
    let next = service.send(51, TO, "d").await;
    assert_eq!(next.status, 200, "{}", next.text());
    assert!(id_of(&next).contains("@lid_"), "{}", next.text());
    assert_eq!(service.messages(&account).await, ["a", "b", "c", "d"]);
    assert_eq!(resent(&service, &account).await, [0; 4]);
    let taken = service.taken(&account).await;
    assert_eq!(taken[3]["mixed_addressing"], Value::Null, "{taken:?}");
    service.stop();
}

#[tokio::test]
async fn a_message_whose_chat_has_moved_since_the_service_was_killed_is_found_by_its_inner_id() {
    let (service, account) = Service::linked(&[]).await;
    // So that the acknowledgements are the one thing that the ledger does not hear of.
    service.faults(json!({ "ack_delay_ms": 1500 })).await;
    let folder = service.home().ledger();
    let aside = service.home().data().join("aside");
    let phone_has = async |count: usize| {
        service
            .phone_shows("as many messages", |state| {
                state["sent"][count - 1].is_object()
            })
            .await;
    };
    let (sent, last, ()) = tokio::join!(
        keyed(&service, "order-7", TO, "a"),
        async {
            // A page that is loaded has the last message of each chat at hand, and has to look for the one before.
            phone_has(1).await;
            keyed(&service, "order-8", TO, "b").await
        },
        async {
            phone_has(2).await;
            std::fs::rename(&folder, &aside).unwrap();
            std::fs::write(&folder, "").unwrap();
        }
    );
    assert_eq!((sent.status, last.status), (200, 200), "{}", sent.text());
    let home = service.kill();
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();

    // No session starts before the page is one that has moved its chats.
    let service = Service::start_in(home, |env| {
        env.insert("RESTORE_SESSIONS", "false".into());
    })
    .await;
    let id = id_of(&sent);
    assert_eq!(message(&service, &id).await["state"], "handed");
    let again = keyed(&service, "order-7", TO, "a").await;
    again.assert_refused(500, "SEND_UNCONFIRMED");
    assert_eq!(again.json()["message_id"], id);
    service.faults(json!({ "lid_chats": true })).await;
    service.connect(51).await;
    // Asked while the session starts, it waits for what the page knows.
    let again = keyed(&service, "order-7", TO, "a").await;
    assert_eq!((again.status, id_of(&again)), (200, id));
    assert_eq!(service.messages(&account).await, ["a", "b"]);
    assert_eq!(resent(&service, &account).await[0], 0);
    service.stop();
}
