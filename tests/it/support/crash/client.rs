//! A client that sends to one chat and takes no failure for an answer: it repeats a request under its key until it knows
//! that the message was sent.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    super::{Answer, try_answer},
    World,
    arrivals::Promised,
    attachment::Attachment,
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
    pub(super) promised: Promised,
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
    /// Its text, or the one below its file.
    body: String,
    file: Option<Attachment>,
    /// The id that the service gave to the file, once it was brought.
    file_id: Option<String>,
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
    pub(super) fn new(account: String, to: &'static str) -> Self {
        Self {
            account,
            to,
            promised: Promised::default(),
            requests: 0,
        }
    }

    fn open(&mut self, message: &Message) {
        let body = message.body.clone();
        if let Some(file) = &message.file {
            let medium = file.medium.clone();
            self.promised.media.insert(body.clone(), medium);
        }
        self.promised.open.push(body);
    }

    fn accept(&mut self, body: &str) {
        let accepted = &mut self.promised.accepted;
        accepted.retain(|other| other != body);
        accepted.push(body.to_owned());
    }

    fn give_up(&mut self, body: &str) {
        self.promised.unknown.push(body.to_owned());
    }

    fn close(&mut self, body: &str) {
        self.promised.open.retain(|other| other != body);
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
                let Script { session, to, .. } = self.script;
                let has_media = self.world.plan.has_media;
                let file = has_media.then(|| Attachment::of(self.script.seed, count));
                let mut message = Message {
                    body: format!("{session}/{to}/{count}"),
                    file: file.flatten(),
                    file_id: None,
                    generation: 0,
                };
                self.chat.lock().unwrap().open(&message);
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
                            self.chat.lock().unwrap().give_up(&message.body);
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
                    self.chat.lock().unwrap().give_up(&message.body);
                    return None;
                }
                Word::Anew => message.generation += 1,
                Word::Again => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(BACK_OFF[1]);
        }
    }

    /// One request, after another one that brings its file where that is too large for it. Some clients lose patience before the
    /// service does.
    async fn ask(&mut self, message: &mut Message) -> Option<Answer> {
        let mut body = json!({
            "cliente_id": self.script.session,
            "to": self.script.to,
            "async": self.script.is_async,
        });
        match &message.file {
            None => body["message"] = json!(message.body),
            Some(file) => {
                let mut media = json!({ "kind": file.medium.kind, "caption": message.body });
                if file.is_inline() {
                    media["data"] = json!(BASE64_STANDARD.encode(&file.bytes));
                    media["mimetype"] = json!(file.mimetype);
                } else {
                    if message.file_id.is_none() {
                        message.file_id = self.bring(file).await;
                    }
                    media["id"] = json!(message.file_id.as_ref()?);
                }
                body["media"] = media;
            }
        }
        let key = format!("{} #{}", message.body, message.generation);
        let request = self.request("/send").header("Idempotency-Key", key);
        self.answered(request.json(&body)).await
    }

    /// Brings a file. Its id is good for as long as the test runs, whatever becomes of the service.
    async fn bring(&mut self, file: &Attachment) -> Option<String> {
        let request = self.request("/media").header("content-type", file.mimetype);
        let answer = self.answered(request.body(file.bytes.clone())).await?;
        match answer.status {
            201 => Some(answer.json()["id"].as_str().unwrap().to_owned()),
            503 => None,
            _ => panic!("an answer without a sense: {}", answer.text()),
        }
    }

    fn request(&mut self, path: &str) -> RequestBuilder {
        let patience = self.random.random_range(500..12_000);
        self.chat.lock().unwrap().requests += 1;
        let request = self.world.api().request(Method::POST, path);
        request.timeout(Duration::from_millis(patience))
    }

    async fn answered(&self, request: RequestBuilder) -> Option<Answer> {
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
