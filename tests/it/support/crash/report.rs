//! What a crash test came to: what was accepted against what WhatsApp's server took, and what became of the other direction.

use std::{collections::BTreeMap, fmt, sync::atomic::Ordering, time::Duration};

use tokio::time::Instant;

use super::{
    World,
    arrivals::{Arrivals, Arrived},
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
    requests: u32,
    took: Duration,
    arrivals: Arrivals,
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
            requests: chats.iter().map(|chat| chat.requests).sum(),
            took: began.elapsed(),
            arrivals: Arrivals::default(),
            unlinked: world.unlinked.load(Ordering::Relaxed),
            heard: None,
            left: 0,
        };
        for chat in chats {
            let taken = trouble.taken(&chat.account).await;
            let in_chat = taken.iter().filter(|message| message["to"] == chat.to);
            let arrived: Vec<_> = in_chat.map(Arrived::of).collect();
            report.arrivals.count(chat.promised, &arrived, is_finished);
        }
        report
    }

    /// Whether every message that was accepted arrived, once, in its place and as it was.
    pub(crate) fn is_clean(&self) -> bool {
        !self.unlinked
            && self.left == 0
            && self.arrivals.faults().all(|(_, messages)| messages.is_empty())
            // A run that sends nothing proves nothing.
            && self.arrivals.sends > self.chats
            && self.heard.as_ref().is_none_or(|(verdict, _)| verdict.is_clean())
    }

    /// Messages that were accepted.
    pub(crate) const fn sends(&self) -> usize {
        self.arrivals.sends
    }

    /// Messages that were accepted and never arrived, and those whose end is unknown.
    pub(crate) const fn lost(&self) -> usize {
        let Arrivals {
            lost,
            unknown,
            unfinished,
            ..
        } = &self.arrivals;
        lost.len() + unknown.len() + unfinished.len()
    }

    /// Messages that arrived more than once.
    pub(crate) const fn doubled(&self) -> usize {
        self.arrivals.doubled.len()
    }

    /// Processes that were still there when the service had stopped.
    pub(crate) const fn left(&self) -> usize {
        self.left
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
        let Arrivals {
            sends,
            media,
            media_bytes,
            resent,
            ..
        } = &self.arrivals;
        writeln!(f, "{:24} {sends}", "sends accepted")?;
        writeln!(f, "{:24} {media}", "  of them media")?;
        writeln!(f, "{:24} {media_bytes}", "  bytes of media")?;
        writeln!(f, "{:24} {}", "requests", self.requests)?;
        for (answer, times) in &self.answers {
            writeln!(f, "{:24} {times}", format!("  {answer}"))?;
        }
        writeln!(f, "{:24} {resent}", "resent under one id")?;
        for (fault, messages) in self.arrivals.faults() {
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
