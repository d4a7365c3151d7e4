//! What the service hears, with real pages: what others and the account's owner do is in the log of events, once, whatever
//! is down meanwhile.

use std::{collections::BTreeMap, time::Duration};

use axum::{http::StatusCode, response::IntoResponse as _};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use crate::{
    adapters::{CURRENT, OLD, bundle},
    bridge::{self, Hub},
    support::{
        Api, Service,
        chrome::{eventually, pid_of},
        disk::Disk,
        sandbox::SharedSandbox,
    },
    webhooks::Target,
};

const FRIEND: &str = "5491150002222";
/// A person whom the account does not know.
const STRANGER: &str = "5491150003333";

/// An event is in the log within tenths of a second; a page that catches up needs some seconds, and on a busy machine more.
const HEARD_TIMEOUT: Duration = Duration::from_secs(60);

impl Api {
    /// Does something on the phone of this account; gives the id of what came of it.
    pub(crate) async fn does(&self, account: &str, act: &str, mut body: Value) -> String {
        body["account"] = json!(account);
        let done = self.phone(&format!("/phone/{act}"), &body).await;
        assert_eq!(done.status, 200, "{act}: {}", done.text());
        done.json()["id"].as_str().unwrap_or_default().to_owned()
    }

    /// The log, but for what the sessions themselves were.
    async fn log_of_events(&self) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("/events?limit=500{after}")).await;
            assert_eq!(page.status, 200, "{}", page.text());
            let page = page.json();
            let events = page["events"].as_array().unwrap();
            if events.is_empty() {
                return all;
            }
            let is_heard = |event: &&Value| event["type"] != "session.status";
            all.extend(events.iter().filter(is_heard).cloned());
            after = format!("&after={}", page["next"]);
        }
    }

    /// Waits until the log is as a test wants it.
    pub(crate) async fn hears(&self, what: &str, is_so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let deadline = Instant::now() + HEARD_TIMEOUT;
        let mut look = interval(Duration::from_millis(100));
        loop {
            look.tick().await;
            let log = self.log_of_events().await;
            if is_so(&log) {
                return log;
            }
            assert!(Instant::now() < deadline, "{what}: {log:#?}");
        }
    }

    /// Waits until hearing stands so.
    pub(crate) async fn hearing_is(&self, state: &str) -> Value {
        let status = self
            .status_when("51", state, |status| status["hearing"]["state"] == state)
            .await;
        status["hearing"].clone()
    }
}

/// The events about a message, by its key.
fn about<'a>(log: &'a [Value], key: &str) -> Vec<&'a Value> {
    log.iter()
        .filter(|event| event["data"]["key"] == key)
        .collect()
}

fn types<'a>(events: &[&'a Value]) -> Vec<&'a str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

/// How often each text came in, and which of them were late.
fn texts(log: &[Value]) -> BTreeMap<String, (usize, bool)> {
    let mut texts = BTreeMap::new();
    for event in log.iter().filter(|event| event["type"] == "message") {
        let text = event["data"]["text"].as_str().unwrap_or_default();
        let entry = texts.entry(text.to_owned()).or_insert((0, true));
        entry.0 += 1;
        entry.1 &= event["late"] == true;
    }
    texts
}

fn assert_once(log: &[Value], messages: usize) {
    let texts = texts(log);
    let twice: Vec<_> = texts.iter().filter(|(_, (times, _))| *times != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(texts.len(), messages, "{:?}", texts.keys());
}

#[expect(
    clippy::too_many_lines,
    reason = "one account does all of it: each start of a service costs seconds"
)]
async fn hears_each_kind(adapter: &'static str, package: &str, faults: Value) {
    let service = Service::start(|env| {
        env.insert("ADAPTERS", adapter.into());
        env.insert("WA_JS_PATH", bundle(package).into());
    })
    .await;
    service.faults(faults.clone()).await;
    let history = json!({"account": "5491150000001", "chats": 2, "messages": 60});
    assert_eq!(service.phone("/phone/history", &history).await.status, 200);
    let account = service.link("51").await;
    let hearing = service.hearing_is("live").await;
    assert_eq!(hearing["adapter"], adapter);
    assert!(hearing["heard_until"].is_string(), "{hearing}");
    let phone = |act: &'static str, body: Value| {
        let (service, account) = (&service, &account);
        async move { service.does(account, act, body).await }
    };

    let text = phone(
        "receive",
        json!({"from": FRIEND, "name": "Ana", "body": "Hola"}),
    )
    .await;
    let answer = phone(
        "write",
        json!({"to": FRIEND, "body": "A mano", "quote": text}),
    )
    .await;
    let sent = service.sends(51, FRIEND, "Por la API").await;
    let sent = sent["message_id"].as_str().unwrap();
    let sent = sent.rsplit('_').next().unwrap().to_owned();
    let mut group =
        json!({"account": account, "name": "Equipo", "participants": [FRIEND, STRANGER]});
    let made = service.phone("/phone/group", &group).await.json();
    group = made["id"].clone();
    let picture = phone("receive", json!({"from": FRIEND, "name": "Ana", "group": group, "body": "foto", "mentions": [account], "media": {"kind": "image", "size": 4321}})).await;
    let media = [
        ("ptt", "voice"),
        ("video", "video"),
        ("audio", "audio"),
        ("document", "document"),
        ("sticker", "sticker"),
        ("location", "location"),
        ("vcard", "contact"),
        ("poll_creation", "poll"),
    ];
    let mut keys = Vec::new();
    for (kind, _) in media {
        let body = json!({"from": FRIEND, "body": "pie", "media": {"kind": kind, "seconds": 3, "name": "lista.pdf"}});
        keys.push(phone("receive", body).await);
    }
    phone("edit", json!({"id": text, "body": "Hola!"})).await;
    for emoji in ["👍", ""] {
        phone(
            "react",
            json!({"id": answer, "from": FRIEND, "emoji": emoji}),
        )
        .await;
    }
    phone("delete", json!({"id": picture, "by": STRANGER})).await;
    // The phone reports these by itself, a moment later.
    service
        .hears("that it was read", |log| {
            let of_answer = about(log, &answer);
            of_answer
                .iter()
                .any(|event| event["data"]["state"] == "read")
        })
        .await;
    phone("ack", json!({"id": answer, "ack": "played"})).await;
    let secret = phone(
        "receive",
        json!({"from": STRANGER, "body": "secreto", "waiting": "keys"}),
    )
    .await;
    service
        .hears("what cannot be read", |log| !about(log, &secret).is_empty())
        .await;
    phone("resolve", json!({"id": secret})).await;
    let hidden = phone(
        "receive",
        json!({"from": "5491150004444", "hidden": true, "name": "Eva", "body": "¿Quién soy?"}),
    )
    .await;
    service
        .hears("a person without a number", |log| {
            !about(log, &hidden).is_empty()
        })
        .await;
    phone("reveal", json!({"number": "5491150004444"})).await;
    // None of these is a message of a person.
    phone("post", json!({"from": FRIEND, "body": "mi estado"})).await;
    phone(
        "post",
        json!({"channel": "120363012345678901", "body": "noticia"}),
    )
    .await;
    phone("notice", json!({"from": FRIEND, "kind": "encrypted"})).await;
    let last = phone("receive", json!({"from": FRIEND, "body": "fin"})).await;
    let log = service
        .hears("all of it", |log| {
            let is_resolved = log.iter().any(|event| event["type"] == "message.resolved");
            is_resolved && !about(log, &last).is_empty() && about(log, &sent).len() == 4
        })
        .await;

    assert_eq!(types(&about(&log, &text)), ["message", "message.edited"]);
    let [message, edit] = about(&log, &text)[..] else {
        panic!()
    };
    let by_lid = faults["lid_chats"] == true;
    let chat = message["data"]["chat"].as_str().unwrap();
    assert_eq!(chat.ends_with("@lid"), by_lid, "{chat}");
    let from = &message["data"]["from"];
    assert_eq!(
        (&from["phone"], &from["name"], from["lid"].is_string()),
        (&json!(FRIEND), &json!("Ana"), true)
    );
    assert_eq!(
        (&message["data"]["kind"], &message["data"]["text"]),
        (&json!("text"), &json!("Hola"))
    );
    assert_eq!(message["data"]["to"]["phone"], *account);
    assert_eq!(
        (&message["me"]["phone"], &message["late"]),
        (&json!(account), &json!(false))
    );
    assert_eq!(
        (&edit["data"]["text"], &edit["data"]["is_own"]),
        (&json!("Hola!"), &json!(false))
    );

    let own = about(&log, &answer);
    assert_eq!(own[0]["type"], "message.own");
    assert_eq!(own[0]["data"]["source"], "phone");
    assert_eq!(
        own[0]["data"]["quoted"],
        json!({"key": text, "text": "Hola", "from": own[0]["data"]["quoted"]["from"]})
    );
    assert_eq!(own[0]["data"]["quoted"]["from"]["phone"], FRIEND);
    let acks: Vec<_> = own
        .iter()
        .filter(|event| event["type"] == "message.ack")
        .map(|event| event["data"]["state"].as_str().unwrap())
        .collect();
    // A page that is slow hears that it was delivered and read as one.
    assert!(acks.ends_with(&["read", "played"]), "{acks:?}");
    let reactions: Vec<_> = own
        .iter()
        .filter(|event| event["type"] == "message.reaction")
        .map(|event| (&event["data"]["emoji"], &event["data"]["from"]["phone"]))
        .collect();
    assert_eq!(
        reactions,
        [
            (&json!("👍"), &json!(FRIEND)),
            (&Value::Null, &json!(FRIEND))
        ]
    );

    let by_api = about(&log, &sent);
    assert_eq!(by_api[0]["type"], "message.own");
    assert_eq!(
        by_api
            .iter()
            .filter(|event| event["data"]["source"] == "api")
            .count(),
        4
    );

    assert_eq!(
        types(&about(&log, &picture)),
        ["message", "message.revoked"]
    );
    let [picture, gone] = about(&log, &picture)[..] else {
        panic!()
    };
    assert_eq!(picture["data"]["is_group"], true);
    assert_eq!(picture["data"]["group_name"], "Equipo");
    assert_eq!(picture["data"]["from"]["phone"], FRIEND);
    assert_eq!(picture["data"]["mentions"][0]["phone"], *account);
    assert_eq!(picture["data"]["caption"], "foto");
    let mut file = picture["data"]["media"].clone();
    // How the file is got has tests of its own.
    let [id, url, hash] =
        ["id", "url", "sha256"].map(|name| file.as_object_mut().unwrap().remove(name).unwrap());
    assert_eq!(url, format!("/media/{}", id.as_str().unwrap()));
    assert_eq!(hash.as_str().unwrap().len(), 64);
    assert_eq!(
        file,
        json!({"mimetype": "image/jpeg", "bytes": 4321, "filename": null, "duration_seconds": null, "is_view_once": false})
    );
    assert_eq!(
        (&gone["data"]["is_by_admin"], &gone["data"]["by"]["phone"]),
        (&json!(true), &json!(STRANGER))
    );
    for ((_, kind), key) in media.iter().zip(&keys) {
        let events = about(&log, key);
        assert_eq!(types(&events), ["message"], "{kind}");
        assert_eq!(events[0]["data"]["kind"], *kind, "{}", events[0]);
        assert!(events[0]["data"].get("text").is_none(), "{}", events[0]);
    }
    let of = |key: &str| about(&log, key)[0]["data"].clone();
    assert_eq!(of(&keys[0])["media"]["duration_seconds"], 3);
    assert_eq!(of(&keys[3])["media"]["filename"], "lista.pdf");
    assert!(of(&keys[5])["location"]["latitude"].is_number());
    assert!(
        of(&keys[6])["contacts"][0]["vcard"]
            .as_str()
            .unwrap()
            .starts_with("BEGIN:VCARD")
    );
    assert_eq!(
        of(&keys[7])["poll"],
        json!({"question": "pie", "options": ["sí", "no"], "choices": 1})
    );

    assert_eq!(types(&about(&log, &secret)), ["message.waiting", "message"]);
    assert_eq!(about(&log, &secret)[0]["data"]["kind"], "waiting");
    assert_eq!(about(&log, &secret)[1]["data"]["text"], "secreto");
    assert_eq!(
        types(&about(&log, &hidden)),
        ["message", "message.resolved"]
    );
    let [hidden, known] = about(&log, &hidden)[..] else {
        panic!()
    };
    assert_eq!(hidden["data"]["from"]["phone"], Value::Null);
    assert_eq!(known["data"]["from"]["lid"], hidden["data"]["from"]["lid"]);
    assert_eq!(known["data"]["from"]["phone"], "5491150004444");

    // Nothing of what was said before the link, of status updates, channels and notices.
    let came: Vec<_> = texts(&log).into_keys().collect();
    assert_eq!(came, ["", "Hola", "fin", "secreto", "¿Quién soy?"]);
    assert!(log.iter().all(|event| event["late"] == false), "{log:#?}");
    service.stop();
}

#[tokio::test]
async fn each_kind_of_event_is_heard_by_the_modules() {
    hears_each_kind("modules", CURRENT, json!({})).await;
}

#[tokio::test]
async fn each_kind_of_event_is_heard_by_wa_js_where_chats_go_by_lid() {
    hears_each_kind("wa-js", CURRENT, json!({"lid_chats": true})).await;
}

#[tokio::test]
async fn each_kind_of_event_is_heard_by_an_older_wa_js_on_an_older_page() {
    hears_each_kind("wa-js", OLD, json!({"build": "early-2026"})).await;
}

#[tokio::test]
async fn a_number_that_became_known_to_another_page_or_while_none_listened_is_said_afterwards() {
    let (service, account) = Service::linked(&[]).await;
    service.hearing_is("live").await;
    let people = ["5491150004444", "5491150005555"];
    let mut keys = Vec::new();
    for person in people {
        let body = json!({"from": person, "hidden": true, "name": "Eva", "body": "¿Quién soy?"});
        keys.push(service.does(&account, "receive", body).await);
    }
    service
        .hears("two persons without a number", |log| log.len() == 2)
        .await;
    let reveal = async |person: &str| {
        service
            .does(&account, "reveal", json!({"number": person}))
            .await;
    };
    // One is learnt while no page listens, the other one by a page that has not heard the message.
    service.disconnect("51").await;
    reveal(people[0]).await;
    service.connect("51").await;
    service.hearing_is("live").await;
    let resolved = |log: &[Value]| -> Vec<Value> {
        let is_resolved = |event: &&Value| event["type"] == "message.resolved";
        log.iter().filter(is_resolved).cloned().collect()
    };
    service
        .hears("the first number", |log| resolved(log).len() == 1)
        .await;
    reveal(people[1]).await;
    let log = service
        .hears("the second number", |log| resolved(log).len() == 2)
        .await;
    for ((event, person), key) in resolved(&log).iter().zip(people).zip(&keys) {
        assert_eq!(event["data"]["from"]["phone"], person, "{event}");
        assert_eq!(event["data"]["key"], **key, "{event}");
        let message = about(&log, key)[0];
        assert_eq!(event["data"]["chat"], message["data"]["chat"], "{event}");
    }
    assert_eq!(resolved(&log)[1]["late"], false);

    // Known now, and not said again by the next page.
    service.disconnect("51").await;
    service.connect("51").await;
    service.hearing_is("live").await;
    assert_eq!(resolved(&service.log_of_events().await).len(), 2);
    service.stop();
}

/// wa-js #3580.
#[tokio::test]
async fn a_page_whose_search_never_ends_hears_what_comes_says_what_it_misses_and_finds_it_later() {
    let (service, account) = Service::linked(&[]).await;
    service.hearing_is("live").await;
    service.disconnect("51").await;
    let receives = async |text: &str| {
        let body = json!({"from": FRIEND, "body": text});
        service.does(&account, "receive", body).await;
    };
    receives("mientras nadie escucha").await;
    service.faults(json!({"message_search": "never"})).await;
    service.connect("51").await;
    let hearing = service.hearing_is("limited").await;
    let detail = hearing["detail"].as_str().unwrap();
    assert!(
        detail.contains("what came while the session was away is not found")
            && detail.contains("does not answer"),
        "{detail}"
    );
    receives("en directo").await;
    service
        .hears("what comes", |log| texts(log).contains_key("en directo"))
        .await;
    // It is tried again by itself.
    service.faults(json!({})).await;
    service.hearing_is("live").await;
    let log = service.log_of_events().await;
    assert_once(&log, 2);
    assert!(texts(&log)["mientras nadie escucha"].1, "it is late");
    service.stop();
}

async fn burst(service: &Api, account: &str, messages: usize) {
    service
        .does(account, "burst", json!({"chats": 5, "messages": messages}))
        .await;
}

#[tokio::test]
async fn what_comes_while_service_chrome_or_network_is_down_is_in_the_log_once_and_late() {
    const EACH: usize = 40;
    for build in [json!({}), json!({"build": "early-2026"})] {
        // It goes on while the service is down.
        let sandbox = SharedSandbox::start().await;
        let service = Service::start(|env| sandbox.apply(env)).await;
        service.faults(build.clone()).await;
        let account = service.link("51").await;
        service.hearing_is("live").await;
        let first = service
            .does(
                &account,
                "receive",
                json!({"from": FRIEND, "body": "antes"}),
            )
            .await;
        service
            .hears("what comes before", |log| log.len() == 1)
            .await;

        // The network.
        let mut refused = build.clone();
        refused["socket"] = json!("refuse");
        service.faults(refused).await;
        burst(&service, &account, EACH).await;
        service.faults(build.clone()).await;
        service
            .hears("what came without a network", |log| {
                texts(log).len() == EACH + 1
            })
            .await;

        // Chrome.
        for pid in service.home().processes() {
            // One that has ended by itself is as good.
            let _ended = kill_process(pid_of(pid), Signal::KILL);
        }
        burst(&service, &account, EACH + 1).await;
        let gone = service
            .does(
                &account,
                "receive",
                json!({"from": FRIEND, "body": "se va"}),
            )
            .await;
        service
            .does(&account, "edit", json!({"id": first, "body": "después"}))
            .await;
        service.does(&account, "delete", json!({"id": gone})).await;
        service
            .does(
                &account,
                "react",
                json!({"id": first, "from": FRIEND, "emoji": "👍"}),
            )
            .await;
        let log = service
            .hears("what came without Chrome", |log| {
                texts(log).len() == 2 * EACH + 2 && about(log, &first).len() == 3
            })
            .await;
        let mut of_first = types(&about(&log, &first));
        of_first.sort_unstable();
        assert_eq!(of_first, ["message", "message.edited", "message.reaction"]);
        assert_eq!(types(&about(&log, &gone)), ["message.revoked"]);
        service.hearing_is("live").await;

        // The service.
        let home = service.kill();
        burst(&sandbox.api(), &account, EACH + 2).await;
        let service = Service::start_in(home, |env| sandbox.apply(env)).await;
        let log = service
            .hears("what came without a service", |log| {
                texts(log).len() == 3 * EACH + 4
            })
            .await;
        assert_once(&log, 3 * EACH + 4);
        for (text, (_, is_late)) in texts(&log) {
            assert_eq!(is_late, text != "antes", "{text}");
        }
        // Nothing comes a second time.
        let is_new = service
            .does(
                &account,
                "receive",
                json!({"from": FRIEND, "body": "al final"}),
            )
            .await;
        service.hearing_is("live").await;
        let log = service
            .hears("what comes at last", |log| !about(log, &is_new).is_empty())
            .await;
        assert_once(&log, 3 * EACH + 5);
        assert_eq!(about(&log, &is_new)[0]["late"], false);
        service.stop();
        sandbox.stop();
    }
}

#[tokio::test]
async fn what_comes_while_a_session_may_sleep_is_heard_when_it_wakes_and_given_to_the_webhook_and_the_bridge()
 {
    const MEANWHILE: [&str; 3] = ["uno", "dos", "tres"];
    let target = Target::open(|_| StatusCode::OK.into_response()).await;
    let hub = Hub::default();
    let (_life, addr) = hub.lives("127.0.0.1:0".parse().unwrap()).await;
    let service = Service::start(|env| {
        env.extend([
            ("HIBERNATE_AFTER_SECONDS", "1".into()),
            ("HIBERNATE_LISTENING", "true".into()),
            ("WEBHOOK_ALLOW_PRIVATE", "true".into()),
            ("WEBHOOK_URL", target.url.clone().into()),
            (
                "WEBHOOK_SECRET",
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(),
            ),
            ("WEBHOOK_TYPES", "message".into()),
        ]);
        env.extend(bridge::settings(addr).map(|(name, value)| (name, value.into())));
    })
    .await;
    let account = service.link("51").await;
    let is_asleep =
        |status: &Value| status["hibernating"] == true && status.get("chrome_pid").is_none();
    for round in 1..=2 {
        service.status_when("51", "its sleep", is_asleep).await;
        for (nth, text) in MEANWHILE.iter().enumerate() {
            let from = if nth == 1 { STRANGER } else { FRIEND };
            let message = json!({"from": from, "body": format!("{text} {round}")});
            service.does(&account, "receive", message).await;
        }
        let status = service.status("51").await;
        assert_eq!(status["hibernating"], true, "{status}");
        let known = texts(&service.log_of_events().await).len();
        assert_eq!(known, (round - 1) * MEANWHILE.len(), "nothing hears yet");

        service
            .sends(51, FRIEND, &format!("despertate {round}"))
            .await;
        let all = round * MEANWHILE.len();
        let log = service
            .hears("what came meanwhile", |log| texts(log).len() == all)
            .await;
        assert_once(&log, all);
        assert!(texts(&log).values().all(|(_, is_late)| *is_late), "{log:?}");
        let wanted = log.iter().filter(|event| event["type"] == "message");
        let mut wanted: Vec<_> = wanted.map(|event| event["id"].as_str().unwrap()).collect();
        wanted.sort_unstable();
        eventually("the webhook has each of them once", || {
            let mut taken = target.ids();
            taken.sort_unstable();
            taken == wanted
        })
        .await;
        // What the API has sent is recorded as well.
        hub.has_recorded(all + round).await;
    }
    service.status_when("51", "its sleep", is_asleep).await;
    assert_eq!(hub.recorded(), 2 * (MEANWHILE.len() + 1));
    service.stop();
}

#[tokio::test]
async fn a_message_during_the_page_s_own_reload_is_in_the_log_once() {
    let (service, account) = Service::linked(&[]).await;
    service.hearing_is("live").await;
    for nth in 0..3 {
        let before = json!({"from": FRIEND, "body": format!("antes {nth}")});
        service.does(&account, "receive", before).await;
        service.faults(json!({"event": "reload"})).await;
        let during = json!({"from": FRIEND, "body": format!("durante {nth}")});
        service.does(&account, "receive", during).await;
        burst(&service, &account, 20 + nth).await;
    }
    let log = service
        .hears("all of it", |log| texts(log).len() == 6 + 20 + 21 + 22)
        .await;
    assert_once(&log, 6 + 20 + 21 + 22);
    service.stop();
}

#[tokio::test]
async fn a_burst_that_a_page_cannot_keep_is_found_in_its_store_and_nothing_is_lost() {
    const MESSAGES: usize = 600;
    let scripts = tempfile::TempDir::new().unwrap();
    let script = include_str!("../../src/whatsapp/page/hearing.js");
    let small = script
        .replace("MOST_WAITING = 2000", "MOST_WAITING = 50")
        .replace("BATCH = 200", "BATCH = 20");
    assert_ne!(small, script);
    std::fs::write(scripts.path().join("hearing.js"), small).unwrap();
    let service = Service::start(|env| {
        env.insert("PAGE_SCRIPTS_DIR", scripts.path().into());
    })
    .await;
    let account = service.link("51").await;
    service.hearing_is("live").await;
    burst(&service, &account, MESSAGES).await;
    let log = service
        .hears("the burst", |log| texts(log).len() == MESSAGES)
        .await;
    assert_once(&log, MESSAGES);
    // Sends go on meanwhile.
    service.sends(51, FRIEND, "y sigue").await;
    service.stop();
}

#[tokio::test]
async fn what_is_heard_while_the_disk_is_full_waits_in_the_page_and_is_written_later() {
    const MESSAGES: usize = 300;
    let service = Service::start_on(Disk::small(), |_| {}).await;
    let account = service.link("51").await;
    service.hearing_is("live").await;
    let disk = service.disk().unwrap();
    disk.fill();
    burst(&service, &account, MESSAGES).await;
    let paused = service.hearing_is("paused").await;
    assert!(
        paused["detail"].as_str().unwrap().contains("disk"),
        "{paused}"
    );
    assert_eq!(service.status("51").await["state"], "READY");
    disk.empty();
    let log = service
        .hears("all of it", |log| texts(log).len() == MESSAGES)
        .await;
    assert_once(&log, MESSAGES);
    service.hearing_is("live").await;
    service.stop();
}

#[tokio::test]
async fn the_screen_alone_is_heard_as_far_as_it_shows_and_says_so() {
    let (service, account) = Service::linked(&[("ADAPTERS", "dom")]).await;
    // Opens the chat.
    service.sends(51, FRIEND, "Por la API").await;
    let hearing = service.hearing_is("limited").await;
    assert_eq!(hearing["adapter"], "dom");
    assert!(
        hearing["detail"].as_str().unwrap().contains("screen"),
        "{hearing}"
    );
    service
        .does(&account, "receive", json!({"from": FRIEND, "body": "Hola"}))
        .await;
    service
        .does(
            &account,
            "receive",
            json!({"from": STRANGER, "body": "en otro chat"}),
        )
        .await;
    let log = service
        .hears("what is shown", |log| texts(log).len() == 1)
        .await;
    assert_once(&log, 1);
    let own: Vec<_> = log
        .iter()
        .filter(|event| event["type"] == "message.own")
        .collect();
    assert!(!own.is_empty(), "{log:?}");
    assert!(
        own.iter().all(|event| event["data"]["source"] == "api"),
        "{own:?}"
    );
    service.stop();
}
