//! What is heard of groups, with real pages: who comes and goes, who is an admin, what a group is called; once each, also what happened
//! while nothing listened.

use serde_json::{Value, json};

use crate::{adapters::served_by, support::Service};

const FRIEND: &str = "5491150002222";
const OTHER: &str = "5491150003333";
const THIRD: &str = "5491150004444";

/// The events of one group, in short: type, what, about whom, and by whom.
fn of_group(log: &[Value], group: &str) -> Vec<(String, String, Vec<String>, Option<String>)> {
    let chat = format!("{group}@g.us");
    let of = |event: &&Value| {
        let is_its = event["data"]["chat"] == chat;
        is_its && event["type"].as_str().unwrap().starts_with("group.")
    };
    let phone = |person: &Value| person["phone"].as_str().map(str::to_owned);
    let shown = |event: &Value| {
        let data = &event["data"];
        let what = [&data["how"], &data["action"], &data["what"]];
        let what = what.iter().find_map(|what| what.as_str()).unwrap();
        let people = data["participants"].as_array().into_iter().flatten();
        (
            event["type"].as_str().unwrap().to_owned(),
            what.to_owned(),
            people.map(|one| phone(one).unwrap()).collect(),
            phone(&data["by"]),
        )
    };
    log.iter().filter(of).map(shown).collect()
}

fn event(
    kind: &str,
    what: &str,
    people: &[&str],
    by: &str,
) -> (String, String, Vec<String>, Option<String>) {
    let people = people.iter().map(|&one| one.to_owned()).collect();
    (
        kind.to_owned(),
        what.to_owned(),
        people,
        Some(by.to_owned()),
    )
}

async fn hears_of_groups(adapter: &'static str, faults: Value) {
    let service = Service::start(served_by(adapter)).await;
    service.faults(faults).await;
    let account = service.link("51").await;
    service.hearing_is("live").await;
    let made = json!({"name": "Equipo", "participants": [FRIEND, OTHER]});
    let group = service.does(&account, "group", made).await;
    let members = |act: &str, people: Value| json!({"group": group, "act": act, "people": people});
    for (act, people) in [
        ("add", json!([THIRD])),
        ("promote", json!([OTHER])),
        ("demote", json!([OTHER])),
        ("leave", json!([OTHER])),
        ("join", json!([OTHER])),
        ("remove", json!([THIRD])),
        ("promote", json!([account])),
    ] {
        service
            .does(&account, "group/members", members(act, people))
            .await;
    }
    let renamed = json!({"group": group, "name": "Familia", "description": "Asados"});
    service.does(&account, "group/change", renamed).await;
    let removed = members("remove", json!([account]));
    service.does(&account, "group/members", removed).await;
    let expected = [
        event("group.joined", "added", &[], FRIEND),
        event("group.participants", "added", &[THIRD], FRIEND),
        event("group.participants", "promoted", &[OTHER], FRIEND),
        event("group.participants", "demoted", &[OTHER], FRIEND),
        event("group.participants", "left", &[OTHER], OTHER),
        event("group.participants", "joined", &[OTHER], OTHER),
        event("group.participants", "removed", &[THIRD], FRIEND),
        event("group.participants", "promoted", &[&account], FRIEND),
        event("group.updated", "subject", &[], FRIEND),
        event("group.updated", "description", &[], FRIEND),
        event("group.left", "removed", &[], FRIEND),
    ];
    let log = service
        .hears("what became of the group", |log| {
            of_group(log, &group).len() >= expected.len()
        })
        .await;
    assert_eq!(of_group(&log, &group), expected);
    let of = |kind: &str, what: &str| {
        let mut found = log.iter().filter(|event| event["type"] == kind);
        let found = found.find(|event| event["data"]["what"] == what);
        found.unwrap()["data"].clone()
    };
    assert_eq!(of("group.updated", "subject")["subject"], "Familia");
    assert_eq!(of("group.updated", "description")["description"], "Asados");
    assert!(log.iter().all(|event| event["late"] == false), "{log:#?}");

    // It cannot be written to, and says so where it is read.
    let read = service.get("/groups?cliente_id=51").await.json();
    assert_eq!(read["groups"][0]["is_member"], false, "{read}");
    assert_eq!(read["groups"][0]["subject"], "Familia");
    let to = json!({"cliente_id": 51, "to": format!("{group}@g.us"), "message": "x"});
    service
        .post("/send", &to)
        .await
        .assert_refused(400, "NOT_IN_GROUP");
    service.stop();
}

#[tokio::test]
async fn what_happens_to_a_group_is_heard_by_the_modules() {
    hears_of_groups("modules", json!({})).await;
}

#[tokio::test]
async fn what_happens_to_a_group_is_heard_by_wa_js_where_chats_go_by_lid() {
    hears_of_groups("wa-js", json!({"lid_chats": true})).await;
}

#[tokio::test]
async fn what_happened_to_a_group_while_the_service_was_away_is_heard_once_afterwards() {
    let (service, account) = Service::linked(&[]).await;
    service.hearing_is("live").await;
    let made = json!({"name": "Equipo", "participants": [FRIEND, OTHER]});
    let group = service.does(&account, "group", made).await;
    service
        .hears("that it was added", |log| !of_group(log, &group).is_empty())
        .await;
    service.disconnect("51").await;
    let renamed = json!({"group": group, "name": "Familia"});
    service.does(&account, "group/change", renamed).await;
    let left = json!({"group": group, "act": "leave", "people": [account]});
    service.does(&account, "group/members", left).await;
    service.connect("51").await;
    let log = service
        .hears("all of it", |log| of_group(log, &group).len() >= 3)
        .await;
    let expected = [
        event("group.joined", "added", &[], FRIEND),
        event("group.updated", "subject", &[], FRIEND),
        event("group.left", "left", &[], &account),
    ];
    assert_eq!(of_group(&log, &group), expected);
    // The next page walks through the same store again.
    service.disconnect("51").await;
    service.connect("51").await;
    let text = json!({"from": FRIEND, "body": "fin"});
    let last = service.does(&account, "receive", text).await;
    let log = service
        .hears("the last text", |log| {
            log.iter().any(|event| event["data"]["key"] == last)
        })
        .await;
    assert_eq!(of_group(&log, &group), expected);
    service.stop();
}
