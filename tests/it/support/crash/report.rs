//! What a crash test came to: what was accepted against what WhatsApp's server took, and what became of the other direction.

use std::{collections::BTreeMap, fmt, sync::atomic::Ordering, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    World,
    chaos::{Chaos, Strike},
    client::Chat,
    judge::Verdict,
    listener::Mood,
};

/// The figures. A run is good when nothing is in the lists.
#[derive(Debug)]
pub(crate) struct Report {
    seed: u64,
    struck: BTreeMap<Strike, u32>,
    answers: BTreeMap<String, u32>,
    chats: usize,
    sends: usize,
    requests: u32,
    /// Messages that a page handed to the server more than once under one id, of which it keeps one.
    resent: usize,
    took: Duration,
    lost: Vec<String>,
    doubled: Vec<String>,
    disordered: Vec<String>,
    unknown: Vec<String>,
    unfinished: Vec<String>,
    unlinked: bool,
    /// What was heard of what others wrote, where they did, and what the receiver of webhooks did with it.
    pub(super) heard: Option<(Verdict, BTreeMap<Mood, u32>)>,
    /// Processes that the service has not ended when it stopped.
    pub(super) left: usize,
}

impl Report {
    pub(super) async fn of(
        world: &World,
        chats: Vec<Chat>,
        trouble: &mut Chaos,
        is_finished: bool,
        began: Instant,
    ) -> Self {
        let mut report = Self {
            seed: world.plan.seed,
            struck: std::mem::take(&mut trouble.struck),
            answers: world.answers.lock().unwrap().clone(),
            chats: chats.len(),
            sends: chats.iter().map(|chat| chat.accepted.len()).sum(),
            requests: chats.iter().map(|chat| chat.requests).sum(),
            resent: 0,
            took: began.elapsed(),
            lost: Vec::new(),
            doubled: Vec::new(),
            disordered: Vec::new(),
            unknown: Vec::new(),
            unfinished: Vec::new(),
            unlinked: world.unlinked.load(Ordering::Relaxed),
            heard: None,
            left: 0,
        };
        for chat in chats {
            let taken = trouble.taken(&chat.account).await;
            report.count(chat, &taken, is_finished);
        }
        report
    }

    fn count(&mut self, chat: Chat, taken: &[Value], is_finished: bool) {
        let in_chat = taken.iter().filter(|message| message["to"] == chat.to);
        let named = |name| {
            let in_chat = in_chat.clone();
            in_chat.map(move |message: &Value| message[name].as_str().unwrap())
        };
        let arrived: Vec<&str> = named("body").collect();
        // By their ids the log is searched for what became of them.
        let ids: Vec<&str> = named("id").collect();
        self.resent += in_chat
            .clone()
            .filter(|message| message["resent"].as_u64() > Some(0))
            .count();
        let mut times = BTreeMap::<&str, usize>::new();
        for body in &arrived {
            *times.entry(body).or_default() += 1;
        }
        let doubled = times.iter().filter(|(_, times)| **times > 1);
        self.doubled.extend(doubled.map(|(body, times)| {
            let same = arrived.iter().zip(&ids).filter(|(other, _)| *other == body);
            let same: Vec<_> = same.map(|(_, id)| *id).collect();
            format!("{body} ×{times} ({})", same.join(" "))
        }));
        let is_lost = |body: &&String| !times.contains_key(body.as_str());
        let is_certain = |body: &&String| !chat.unknown.contains(*body);
        let lost = chat.accepted.iter().filter(is_certain).filter(is_lost);
        // One that is not finished may still arrive.
        let lost = lost.filter(|body| !chat.open.contains(*body));
        self.lost.extend(lost.cloned());
        let mut place = BTreeMap::new();
        for (at, body) in arrived.iter().enumerate() {
            place.entry(*body).or_insert(at);
        }
        let places = chat.accepted.iter();
        let places: Vec<_> = places
            .filter_map(|body| Some((*place.get(body.as_str())?, body)))
            .collect();
        for pair in places.windows(2) {
            if let [(before, overtaken), (after, body)] = pair
                && after < before
            {
                let (id, other) = (ids[*after], ids[*before]);
                self.disordered
                    .push(format!("{body} ({id}) before {overtaken} ({other})"));
            }
        }
        self.unknown.extend(chat.unknown);
        if !is_finished {
            self.unfinished.extend(chat.open);
        }
    }

    /// Whether every message that was accepted arrived, once and in its place.
    pub(crate) fn is_clean(&self) -> bool {
        !self.unlinked
            && self.left == 0
            && self.faults().all(|(_, messages)| messages.is_empty())
            // A run that sends nothing proves nothing.
            && self.sends > self.chats
            && self.heard.as_ref().is_none_or(|(verdict, _)| verdict.is_clean())
    }

    /// Messages that were accepted.
    pub(crate) const fn sends(&self) -> usize {
        self.sends
    }

    /// Messages that were accepted and never arrived, and those whose end is unknown.
    pub(crate) const fn lost(&self) -> usize {
        self.lost.len() + self.unknown.len() + self.unfinished.len()
    }

    /// Messages that arrived more than once.
    pub(crate) const fn doubled(&self) -> usize {
        self.doubled.len()
    }

    /// Processes that were still there when the service had stopped.
    pub(crate) const fn left(&self) -> usize {
        self.left
    }

    fn faults(&self) -> impl Iterator<Item = (&'static str, &Vec<String>)> {
        [
            ("lost", &self.lost),
            ("doubled", &self.doubled),
            ("out of order", &self.disordered),
            ("unknown", &self.unknown),
            ("unfinished", &self.unfinished),
        ]
        .into_iter()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:24} {}", "seed", self.seed)?;
        writeln!(f, "{:24} {:.0}", "seconds", self.took.as_secs_f64())?;
        for (strike, times) in &self.struck {
            writeln!(f, "{:24} {times}", format!("struck: {strike:?}"))?;
        }
        writeln!(f, "{:24} {}", "chats", self.chats)?;
        writeln!(f, "{:24} {}", "sends accepted", self.sends)?;
        writeln!(f, "{:24} {}", "requests", self.requests)?;
        for (answer, times) in &self.answers {
            writeln!(f, "{:24} {times}", format!("  {answer}"))?;
        }
        writeln!(f, "{:24} {}", "resent under one id", self.resent)?;
        for (fault, messages) in self.faults() {
            let which = messages.join(", ");
            writeln!(f, "{fault:24} {} {which}", messages.len())?;
        }
        if let Some((verdict, moods)) = &self.heard {
            writeln!(f, "--- what came in")?;
            for (mood, times) in moods {
                writeln!(f, "{:24} {times}", format!("receiver: {mood:?}"))?;
            }
            writeln!(f, "{verdict}---")?;
        }
        writeln!(f, "{:24} {}", "processes left", self.left)?;
        if self.unlinked {
            writeln!(f, "a session lost its link")?;
        }
        Ok(())
    }
}
