//! A client that sends to one chat and takes no failure for an answer: it repeats a request under its key until it knows
//! that the message was sent.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    super::{Answer, try_answer},
    World,
};

/// Between two tries of one request: first, and at most.
const BACK_OFF: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// Messages that a client which does not wait sends in a row.
const BURST: u32 = 4;

/// What one client does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    pub(super) session: u64,
    pub(super) to: &'static str,
    /// Whether it only waits until its message is accepted.
    pub(super) is_async: bool,
    pub(super) seed: u64,
}

/// What a client has sent to its chat.
#[derive(Clone, Debug)]
pub(super) struct Chat {
    pub(super) account: String,
    pub(super) to: &'static str,
    /// The texts, in the order in which they were accepted.
    pub(super) accepted: Vec<String>,
    /// Messages whose end is unknown.
    pub(super) unknown: Vec<String>,
    /// Under way.
    pub(super) open: Vec<String>,
    pub(super) requests: u32,
}

pub(super) struct Client {
    world: Arc<World>,
    script: Script,
    chat: Arc<Mutex<Chat>>,
    random: StdRng,
}

/// A message on its way.
struct Message {
    body: String,
    /// Counts the requests that were certainly not sent, and had to be repeated.
    generation: u32,
}

/// What an answer means to a client.
enum Word {
    Sent,
    /// It is under way, under this id.
    Accepted(String),
    /// Nothing is known: the same request again.
    Again,
    /// Certainly not sent, and the key is used up: a new request.
    Anew,
    /// It is unknown, for good.
    Unknown,
}

impl Chat {
    pub(super) const fn new(account: String, to: &'static str) -> Self {
        Self {
            account,
            to,
            accepted: Vec::new(),
            unknown: Vec::new(),
            open: Vec::new(),
            requests: 0,
        }
    }

    fn accept(&mut self, body: &str) {
        self.accepted.retain(|other| other != body);
        self.accepted.push(body.to_owned());
    }

    fn close(&mut self, body: &str) {
        self.open.retain(|other| other != body);
    }
}

impl Client {
    pub(super) fn new(world: Arc<World>, script: Script, chat: Arc<Mutex<Chat>>) -> Self {
        Self {
            world,
            script,
            chat,
            random: StdRng::seed_from_u64(script.seed),
        }
    }

    pub(super) async fn run(mut self) {
        let mut count = 0;
        while !self.world.is_over() {
            let burst = if self.script.is_async {
                self.random.random_range(1..=BURST)
            } else {
                1
            };
            let mut under_way = Vec::new();
            for _ in 0..burst {
                count += 1;
                let body = format!("{}/{}/{count}", self.script.session, self.script.to);
                self.chat.lock().unwrap().open.push(body.clone());
                let mut message = Message {
                    body,
                    generation: 0,
                };
                let id = self.accepted(&mut message).await;
                under_way.push((message, id));
            }
            for (mut message, mut id) in under_way {
                while let Some(accepted) = id {
                    id = match self.outcome(&accepted).await {
                        Word::Again => self.accepted(&mut message).await,
                        Word::Anew => {
                            message.generation += 1;
                            self.accepted(&mut message).await
                        }
                        Word::Unknown => {
                            let mut chat = self.chat.lock().unwrap();
                            chat.unknown.push(message.body.clone());
                            None
                        }
                        Word::Sent | Word::Accepted(_) => None,
                    };
                }
                self.chat.lock().unwrap().close(&message.body);
            }
            let at_most = self.world.plan.pause;
            let pause = self.random.random_range(Duration::ZERO..at_most);
            sleep(pause).await;
        }
    }

    /// Asks until the message is accepted: the id to follow it by, `None` when nothing more is to come of it.
    async fn accepted(&mut self, message: &mut Message) -> Option<String> {
        let mut pause = BACK_OFF[0];
        loop {
            let word = match self.ask(message).await {
                Some(answer) => self.understood(&answer).await,
                None => Word::Again,
            };
            match word {
                Word::Sent => {
                    self.chat.lock().unwrap().accept(&message.body);
                    return None;
                }
                Word::Accepted(id) => {
                    self.chat.lock().unwrap().accept(&message.body);
                    return Some(id);
                }
                Word::Unknown => {
                    let mut chat = self.chat.lock().unwrap();
                    chat.unknown.push(message.body.clone());
                    return None;
                }
                Word::Anew => message.generation += 1,
                Word::Again => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(BACK_OFF[1]);
        }
    }

    /// One request. Some clients lose patience before the service does.
    async fn ask(&mut self, message: &Message) -> Option<Answer> {
        let patience = self.random.random_range(500..12_000);
        self.chat.lock().unwrap().requests += 1;
        let request = self
            .world
            .api()
            .request(Method::POST, "/send")
            .timeout(Duration::from_millis(patience))
            .header(
                "Idempotency-Key",
                format!("{} #{}", message.body, message.generation),
            )
            .json(&json!({
                "cliente_id": self.script.session,
                "to": self.script.to,
                "message": message.body,
                "async": self.script.is_async,
            }));
        let answer = try_answer(request).await.ok();
        if answer.is_none() {
            self.world.note("no answer");
        }
        answer
    }

    async fn understood(&self, answer: &Answer) -> Word {
        let body = answer.json();
        let id = || body["message_id"].as_str().unwrap().to_owned();
        if answer.status == 200 {
            return Word::Sent;
        }
        let code = body["code"].as_str().unwrap_or_default();
        self.world
            .note(format!("{} {code}", answer.status).trim_end());
        match (answer.status, code) {
            (202, _) => Word::Accepted(id()),
            (500, "SEND_UNCONFIRMED") => match body["message_id"].as_str() {
                Some(id) if self.state(id).await["state"] == "unknown" => Word::Unknown,
                Some(_) | None => Word::Again,
            },
            (500, "SEND_FAILED") => Word::Anew,
            (503 | 429, _) => Word::Again,
            _ => panic!("an answer without a sense: {}", answer.text()),
        }
    }

    /// Follows a message until it is known what became of it.
    async fn outcome(&self, id: &str) -> Word {
        let mut pause = BACK_OFF[0];
        loop {
            let message = self.state(id).await;
            match message["state"].as_str().unwrap() {
                "sent" | "delivered" | "read" => return Word::Sent,
                "unknown" => return Word::Unknown,
                "failed" if message["code"] == "SEND_FAILED" => {
                    self.world.note("failed SEND_FAILED");
                    return Word::Anew;
                }
                "failed" => {
                    let code = message["code"].as_str().unwrap();
                    self.world.note(&format!("failed {code}"));
                    return Word::Again;
                }
                _ => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(BACK_OFF[1]);
        }
    }

    /// What the service says of a message, as soon as there is one to ask.
    async fn state(&self, id: &str) -> Value {
        loop {
            let path = format!("/messages/{id}");
            let asked = try_answer(self.world.api().request(Method::GET, &path)).await;
            if let Ok(answer) = asked
                && !is_away(&answer)
            {
                assert_eq!(answer.status, 200, "{id}: {}", answer.text());
                return answer.json();
            }
            sleep(BACK_OFF[0]).await;
        }
    }
}

/// Whether the ledger cannot be asked, for want of a disk.
fn is_away(answer: &Answer) -> bool {
    answer.status == 503 && answer.json()["code"] == "LEDGER_UNAVAILABLE"
}
