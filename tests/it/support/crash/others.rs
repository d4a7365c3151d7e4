//! The people who write to the accounts all the time, and the owners who write by hand on their phones, whatever is down.
//!
//! Each chat has one task, which writes one message after another, so it is known in which order WhatsApp's server has them.
//! When the server dies under a request, its journal says whether it had taken the message.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    super::{Api, try_answer},
    World,
    judge::{Author, Written},
};

/// Between two tries while WhatsApp's server is away.
const RETRY: Duration = Duration::from_millis(100);

/// The most messages that are written in a row, and how often that happens.
const BURST: u32 = 6;
const BURST_CHANCE: f64 = 0.1;

/// How often the owner writes, where they do.
const OWNER_CHANCE: f64 = 0.3;

/// The people of a session's chats. The service sends to the first one, too.
const PEOPLE: [&str; 4] = [
    "5491158254201",
    "5491150002222",
    "5491150003333",
    "5491150004444",
];

/// A chat in which others write.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    session: u64,
    account: String,
    place: Place,
    /// Whether the owner of the account writes there, too.
    has_owner: bool,
}

#[derive(Clone, Debug)]
enum Place {
    Person(&'static str),
    Group(String),
}

/// All that was written, of each chat in its order.
pub(super) type Record = Arc<Mutex<Vec<Written>>>;

impl Talk {
    /// The chats of an account: two with one other person, one with a person and the owner, and a group in which all write.
    pub(super) async fn all(api: &Api, session: u64, account: &str) -> [Self; 4] {
        let group = json!({ "account": account, "name": "Equipo", "participants": PEOPLE });
        let made = api.phone("/phone/group", &group).await;
        assert_eq!(made.status, 200, "{}", made.text());
        let group = made.json()["id"].as_str().unwrap().to_owned();
        [
            (Place::Person(PEOPLE[0]), false),
            (Place::Person(PEOPLE[1]), false),
            (Place::Person(PEOPLE[2]), true),
            (Place::Group(group), true),
        ]
        .map(|(place, has_owner)| Self {
            session,
            account: account.to_owned(),
            place,
            has_owner,
        })
    }

    fn chat(&self) -> &str {
        match &self.place {
            Place::Person(number) => number,
            Place::Group(id) => id,
        }
    }
}

/// Writes in one chat until the test is over, and notes what was written.
pub(super) async fn write(
    world: Arc<World>,
    talk: Talk,
    seed: u64,
    pause: Duration,
    record: Record,
) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut count = 0;
    while !world.is_over() {
        let in_a_row = if random.random_bool(BURST_CHANCE) {
            random.random_range(2..=BURST)
        } else {
            1
        };
        for _ in 0..in_a_row {
            count += 1;
            let text = format!("{} in {} {count}", talk.session, talk.chat());
            let (author, path, mut body) = compose(&talk, &mut random);
            body["body"] = json!(text);
            let key = bring(&world.api(), &talk, path, &body).await;
            record.lock().push(Written {
                session: talk.session,
                chat: talk.chat().to_owned(),
                author,
                key,
                text,
            });
        }
        sleep(random.random_range(Duration::ZERO..pause)).await;
    }
}

/// A message without its text: who writes it, and what is asked of the sandbox.
fn compose(talk: &Talk, random: &mut StdRng) -> (Author, &'static str, Value) {
    let mut body = json!({ "account": talk.account });
    let is_own = talk.has_owner && random.random_bool(OWNER_CHANCE);
    match &talk.place {
        Place::Person(number) if is_own => body["to"] = json!(number),
        Place::Person(number) => body["from"] = json!(number),
        Place::Group(id) => {
            body["group"] = json!(id);
            if !is_own {
                body["from"] = json!(PEOPLE[random.random_range(0..PEOPLE.len())]);
            }
        }
    }
    if is_own {
        (Author::Owner, "/phone/write", body)
    } else {
        (Author::Other, "/phone/receive", body)
    }
}

/// Has WhatsApp's server take a message, once, also when it dies meanwhile; answers the message's own id.
async fn bring(api: &Api, talk: &Talk, path: &str, body: &Value) -> String {
    loop {
        // Not remembered for the search of the logs, as other requests are: there are thousands.
        let request = api.sandbox_request(Method::POST, path).json(body);
        if let Ok(answer) = try_answer(request).await {
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            return answer.json()["id"].as_str().unwrap().to_owned();
        }
        if let Some(key) = is_taken(api, &talk.account, &body["body"]).await {
            return key;
        }
    }
}

/// Whether the server that runs now, or will, has this message: those that a dead one has taken are in its journal.
async fn is_taken(api: &Api, account: &str, text: &Value) -> Option<String> {
    loop {
        sleep(RETRY).await;
        let request = api.sandbox_request(Method::GET, "/phone/state");
        let Ok(state) = try_answer(request).await else {
            continue;
        };
        let state = state.json();
        let received = state["received"].as_array().unwrap();
        let is_it = |message: &&Value| message["account"] == account && message["body"] == *text;
        let taken = received.iter().rev().find(is_it)?;
        return Some(taken["id"].as_str().unwrap().to_owned());
    }
}
