//! The sends of one session: who waits, which one is on its way into the page, which ones wait for WhatsApp's server.
//!
//! Responsible for order, capacity, deadlines and for answering each caller exactly once. Does nothing itself: the actor
//! calls the page and reports back here. Knows no time but what it is given.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;
use rand::RngExt;
use tokio::{sync::oneshot, time::Instant};

use super::{SendError, Sent, TextMessage};
use crate::whatsapp::{HandOverError, Handed, Outgoing, PrepareError, Prepared};

/// Sends that may wait for their turn. A hand-over takes milliseconds: more than this means that the page is stuck.
const WAITING_CAPACITY: usize = 100;

/// A page loads itself anew once or twice in a row; one that breaks each time would keep a send, and those behind it,
/// for ever.
const MAX_INTERRUPTIONS: u8 = 2;

/// Between two tries: a page that loads itself anew says so within milliseconds, and then is waited for.
const INTERRUPTION_PAUSE: Duration = Duration::from_millis(300);

type Reply = oneshot::Sender<Result<Sent, SendError>>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Entry>,
    /// At most one send is between "taken from the queue" and "handed over": WhatsApp then keeps the order.
    current: Option<Current>,
    handed: Vec<Waiting>,
    /// After an interruption nothing begins before this.
    paused_until: Option<Instant>,
}

/// A send whose caller waits for an answer.
#[derive(Debug)]
struct Entry {
    outgoing: Outgoing,
    reply: Reply,
    deadline: Instant,
    /// How often the page was interrupted while it made this one ready.
    interruptions: u8,
}

#[derive(Debug)]
struct Current {
    entry: Entry,
    /// Known once the recipient is: from then on the message may have left us.
    prepared: Option<Prepared>,
    /// An acknowledgement can overtake the answer to the hand-over.
    early_ack: Option<i32>,
}

#[derive(Debug)]
struct Waiting {
    key: String,
    message_id: String,
    reply: Reply,
    deadline: Instant,
}

impl Outbox {
    /// Takes a send in, to be answered by `deadline`.
    pub(super) fn accept(&mut self, message: TextMessage, reply: Reply, deadline: Instant) {
        if self.waiting.len() >= WAITING_CAPACITY {
            answer(reply, Err(SendError::QueueFull));
            return;
        }
        let outgoing = Outgoing {
            key: new_key(),
            to: message.to.digits().to_owned(),
            body: message.body,
        };
        self.waiting.push_back(Entry {
            outgoing,
            reply,
            deadline,
            interruptions: 0,
        });
    }

    /// Takes the next send from the queue, to be prepared; `None` while another is on its way, or none waits.
    pub(super) fn begin(&mut self, now: Instant) -> Option<(Outgoing, Instant)> {
        if self.current.is_some() || self.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        self.paused_until = None;
        let entry = self.waiting.pop_front()?;
        let next = (entry.outgoing.clone(), entry.deadline);
        self.current = Some(Current {
            entry,
            prepared: None,
            early_ack: None,
        });
        Some(next)
    }

    /// The page has looked the recipient up. Answers what is to be handed over now, if anything is.
    pub(super) fn on_prepared(
        &mut self,
        result: Result<Prepared, PrepareError>,
        now: Instant,
    ) -> Option<(Prepared, Outgoing, Instant)> {
        match result {
            Ok(prepared) => {
                let current = self.current.as_mut()?;
                current.prepared = Some(prepared.clone());
                Some((
                    prepared,
                    current.entry.outgoing.clone(),
                    current.entry.deadline,
                ))
            }
            Err(why) => {
                let mut entry = self.current.take()?.entry;
                let is_interrupted = matches!(why, PrepareError::Interrupted(_));
                if is_interrupted && entry.interruptions < MAX_INTERRUPTIONS {
                    entry.interruptions += 1;
                    self.paused_until = Some(now + INTERRUPTION_PAUSE);
                    self.waiting.push_front(entry);
                } else {
                    tracing::warn!(
                        message.key = entry.outgoing.key,
                        "a message was not sent: {why}"
                    );
                    answer(entry.reply, Err(why.into()));
                }
                None
            }
        }
    }

    /// The page has answered the hand-over.
    pub(super) fn on_handed_over(&mut self, result: Result<Handed, HandOverError>) {
        let Some(Current {
            entry,
            prepared: Some(prepared),
            early_ack,
        }) = self.current.take()
        else {
            return;
        };
        match result {
            Ok(Handed { key, message_id }) => {
                self.handed.push(Waiting {
                    key: key.clone(),
                    message_id,
                    reply: entry.reply,
                    deadline: entry.deadline,
                });
                if let Some(ack) = early_ack {
                    self.on_ack(&key, ack);
                }
            }
            Err(HandOverError::NotHanded(detail)) => {
                tracing::warn!(
                    message.key = entry.outgoing.key,
                    "a message was not sent: {detail}"
                );
                answer(entry.reply, Err(SendError::Failed(detail)));
            }
            Err(HandOverError::Unknown(detail)) => {
                tracing::warn!(
                    message.key = entry.outgoing.key,
                    "it is not known whether a message was sent: {detail}"
                );
                answer(
                    entry.reply,
                    Err(SendError::Unconfirmed {
                        message_id: prepared.message_id,
                        detail,
                    }),
                );
            }
        }
    }

    /// WhatsApp reports how far a message has got. Zero is no news; below zero it gave the message up.
    pub(super) fn on_ack(&mut self, key: &str, ack: i32) {
        if let Some(current) = self
            .current
            .as_mut()
            .filter(|current| current.entry.outgoing.key == key)
        {
            if ack != 0 {
                current.early_ack = Some(ack);
            }
            return;
        }
        let Some(at) = self
            .handed
            .iter()
            .position(|handed| handed.key == key)
            .filter(|_| ack != 0)
        else {
            return;
        };
        let Waiting {
            message_id, reply, ..
        } = self.handed.swap_remove(at);
        let outcome = if ack > 0 {
            Ok(Sent {
                message_id,
                ack,
                at: Timestamp::now(),
            })
        } else {
            Err(SendError::Failed(format!(
                "WhatsApp gave the message up (ack {ack})"
            )))
        };
        answer(reply, outcome);
    }

    /// Answers everything whose deadline has passed.
    pub(super) fn expire(&mut self, now: Instant) {
        // A pause that is over wakes the session once, also while the page is not ready for the next send.
        self.paused_until = self.paused_until.filter(|until| now < *until);
        let (late, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|entry| entry.deadline <= now);
        self.waiting = waiting;
        let late: VecDeque<Entry> = late;
        for entry in late {
            answer(entry.reply, Err(SendError::TurnNotCome));
        }
        for handed in self.handed.extract_if(.., |handed| handed.deadline <= now) {
            answer(
                handed.reply,
                Ok(Sent {
                    message_id: handed.message_id,
                    ack: 0,
                    at: Timestamp::now(),
                }),
            );
        }
    }

    /// When [`expire`](Self::expire) has something to do next. The send on its way has its deadline with the page call.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().map(|entry| entry.deadline);
        waiting
            .chain(self.handed.iter().map(|handed| handed.deadline))
            .chain(self.paused_until)
            .min()
    }

    /// The session cannot send any more: those that only wait are told so. What the page has, it keeps.
    pub(super) fn refuse_waiting(&mut self, not_ready: &SendError) {
        for entry in self.waiting.drain(..) {
            answer(entry.reply, Err(not_ready.clone()));
        }
    }

    /// A send whose recipient is still being looked up has not left us: it is told so.
    pub(super) fn refuse_unprepared(&mut self, not_ready: &SendError) {
        if let Some(current) = self.current.take_if(|current| current.prepared.is_none()) {
            answer(current.entry.reply, Err(not_ready.clone()));
        }
    }

    /// Whether anything is on its way into the page or to WhatsApp's server.
    pub(super) fn is_busy(&self) -> bool {
        self.current.is_some() || !self.handed.is_empty()
    }

    /// The page is gone: nothing further will be heard of any message.
    pub(super) fn end(&mut self, why: &str, not_ready: &SendError) {
        self.refuse_waiting(not_ready);
        if let Some(Current {
            entry, prepared, ..
        }) = self.current.take()
        {
            let outcome = match prepared {
                None => SendError::Failed(format!("{why}; nothing was sent")),
                Some(prepared) => SendError::Unconfirmed {
                    message_id: prepared.message_id,
                    detail: why.to_owned(),
                },
            };
            answer(entry.reply, Err(outcome));
        }
        for handed in self.handed.drain(..) {
            answer(
                handed.reply,
                Err(SendError::Unconfirmed {
                    message_id: Some(handed.message_id),
                    detail: why.to_owned(),
                }),
            );
        }
    }
}

impl From<PrepareError> for SendError {
    fn from(why: PrepareError) -> Self {
        match why {
            PrepareError::NotOnWhatsApp => Self::NotOnWhatsApp,
            PrepareError::Failed(_) | PrepareError::Interrupted(_) => Self::Failed(why.to_string()),
        }
    }
}

fn answer(reply: Reply, outcome: Result<Sent, SendError>) {
    // A caller that has gone away wants no answer.
    drop(reply.send(outcome));
}

/// A message id as WhatsApp Web makes them: `3EB0` and 18 hexadecimal digits (`WAWebMsgKey.newId`).
fn new_key() -> String {
    let random: [u8; 9] = rand::rng().random();
    random
        .iter()
        .fold("3EB0".to_owned(), |key, byte| format!("{key}{byte:02X}"))
}

#[cfg(test)]
mod tests;
