//! The sends of one session, from their acceptance on: written down for their callers, and queued for the page.
//!
//! Responsible for accepting a send, with a page and without one. Lives as long as the session, and the queue and the pace
//! with it. Whether the session takes a send at all, [`admission`](crate::session::lifecycle) decides before; what the page
//! does with the queue is [`Sending`](super::Sending)'s part.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;

use super::{LedgerCalls, in_flight::InFlight, numbers::Numbers, pace::Pace};
use crate::{
    ledger::{Accepted, Failure, Ledger, LedgerError, NewSend, Record, Step},
    masked::Number,
    session::{
        SendError, SendLimits,
        command::{AcceptReply, answer},
    },
};

/// The sends of one session that do not depend on a page.
#[derive(Debug)]
pub(in crate::session) struct Intake {
    pub(super) ledger: Ledger,
    pub(in crate::session) in_flight: InFlight,
    pub(super) numbers: Numbers,
    /// Sends on their way into the ledger.
    writing: FuturesUnordered<BoxFuture<'static, Written>>,
    /// The account that the page is linked to, once known. A session that hibernates keeps it.
    pub(super) account: Option<Number>,
    pub(super) calls: LedgerCalls,
}

/// What the ledger answered about a send that came.
enum Written {
    Accepted {
        key: String,
        deadline: Option<Instant>,
        reply: AcceptReply,
        result: Result<Accepted, LedgerError>,
    },
    /// There is no room for it: what is known of the same request, if it was made before.
    NoRoom {
        reply: AcceptReply,
        known: Result<Option<Accepted>, LedgerError>,
        why: SendError,
    },
}

impl Intake {
    pub(in crate::session) fn new(ledger: Ledger, limits: SendLimits) -> Self {
        Self {
            ledger,
            numbers: Numbers::default(),
            in_flight: InFlight::new(limits, Pace::per_minute(limits.rate_per_minute)),
            writing: FuturesUnordered::new(),
            account: None,
            calls: LedgerCalls::default(),
        }
    }

    /// Writes a send down, to be sent in its turn, by `deadline` if it has one. When the queue is full, its caller is
    /// refused, with `room_after` as the shortest time to wait.
    pub(in crate::session) fn accept(
        &mut self,
        new: NewSend,
        deadline: Option<Instant>,
        room_after: Duration,
        reply: AcceptReply,
    ) {
        let ledger = self.ledger.clone();
        let now = Instant::now();
        if let Err(mut why) = self.in_flight.reserve(&new.key, &new.to, deadline, now) {
            if let SendError::QueueFull { retry_after } = &mut why {
                *retry_after = (*retry_after).max(room_after);
            }
            // A repetition needs no room, and the first request may have come a moment before it.
            let look_up = async move {
                let known = ledger.known(&new).await;
                Written::NoRoom { reply, known, why }
            };
            self.writing.push(look_up.boxed());
            return;
        }
        let new = NewSend {
            account: self.account.clone(),
            ..new
        };
        let accept = async move {
            let key = new.key.clone();
            let result = ledger.accept(new).await;
            Written::Accepted {
                key,
                deadline,
                reply,
                result,
            }
        };
        self.writing.push(accept.boxed());
    }

    /// Tells the caller of the next send that the ledger has answered. Answers whether there is a new send to be sent; `None` when
    /// no send is on its way into the ledger. Nothing is lost when the future is dropped.
    pub(in crate::session) async fn written(&mut self) -> Option<bool> {
        match self.writing.next().await? {
            Written::NoRoom { reply, known, why } => {
                let known = known.map_err(SendError::from);
                answer(reply, known.and_then(|known| known.ok_or(why)));
                Some(false)
            }
            Written::Accepted {
                key,
                deadline,
                reply,
                result,
            } => {
                self.calls.on_word(&result);
                self.in_flight.queue.release(&key);
                let is_new = if let Ok(Accepted::New(followed)) = &result {
                    let record = Arc::clone(&followed.borrow());
                    self.enqueue(&record, deadline);
                    true
                } else {
                    false
                };
                answer(reply, result.map_err(SendError::from));
                Some(is_new)
            }
        }
    }

    /// Takes in a send that is on disk, unless the page has come to be that of another account while it was written down.
    fn enqueue(&mut self, record: &Record, deadline: Option<Instant>) {
        let is_of_another = matches!(
            (&record.account, &self.account),
            (Some(meant), Some(present)) if meant != present
        );
        if is_of_another {
            let detail = "the session was linked to another account while it was written down";
            let failed = Step::Failed(Failure::OtherAccount, detail.to_owned());
            self.ledger.note(&record.key, failed);
        } else {
            self.in_flight.enqueue(record, deadline);
        }
    }

    /// A send has been taken back: its place in the queue is free.
    pub(in crate::session) fn remove(&mut self, key: &str) {
        let _has_waited = self.in_flight.queue.remove(key);
    }

    /// The page is closed, and another one goes on with the queue.
    pub(in crate::session) fn on_page_closed(&mut self) {
        // What was asked for the page is not waited for any more.
        self.calls.open = 0;
        self.in_flight.on_page_closed();
    }

    /// There is no page, and no start is planned: refuses the sends whose callers wait. What was accepted to outlive its caller stays in
    /// the ledger, which the next page asks for it.
    pub(in crate::session) fn refuse(&mut self, why: &SendError) {
        // The caller of a send that is still being written down sees a dropped reply, and looks into the ledger.
        self.writing.clear();
        self.calls = LedgerCalls::default();
        self.in_flight.refuse_waiting(&why.to_string());
        self.in_flight.empty();
        self.write_notes();
    }

    /// Nothing of the account is true any more.
    pub(in crate::session) fn forget_account(&mut self) {
        self.account = None;
    }

    /// Writes down what has happened to sends. Waits for no disk.
    pub(super) fn write_notes(&mut self) {
        for (key, step) in self.in_flight.take_notes() {
            self.ledger.note(&key, step);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use tokio::sync::oneshot;

    use super::*;
    use crate::ledger::tests::{options, send};

    const ONE: &str = "5491100000001";
    const OTHER: &str = "5491100000002";

    #[tokio::test]
    async fn a_send_waits_for_its_turn_unless_the_account_changed_while_it_was_written_down() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, keeper) = Ledger::new(options(folder.path()));
        tokio::spawn(keeper.run());
        let limits = SendLimits {
            queue_max: NonZeroUsize::MIN,
            rate_per_minute: None,
            wait: Duration::from_secs(60),
        };
        for (number, (meant, present, failure)) in [
            (Some(ONE), Some(ONE), None),
            (Some(ONE), Some(OTHER), Some(Failure::OtherAccount)),
            // Not known is not another one: what is known later is compared before the send has its turn.
            (Some(ONE), None, None),
            (None, Some(OTHER), None),
        ]
        .into_iter()
        .enumerate()
        {
            let mut intake = Intake::new(ledger.clone(), limits);
            let key = format!("3EB0{number}");
            let (reply, answer) = oneshot::channel();
            intake.account = meant.map(Number::from);
            intake.accept(send(&key), None, Duration::ZERO, reply);
            intake.account = present.map(Number::from);
            intake.written().await.unwrap();

            // It is on disk, so its caller gets a way to follow it.
            let Ok(Ok(Accepted::New(mut followed))) = answer.await else {
                panic!("{meant:?} {present:?}: not accepted");
            };
            let is_waiting = intake.in_flight.queue.has_waiting();
            assert_eq!(is_waiting, failure.is_none(), "{meant:?} {present:?}");
            if failure.is_some() {
                let settled = followed.wait_for(|record| !record.state.is_open());
                let settled = tokio::time::timeout(Duration::from_secs(5), settled).await;
                assert_eq!(settled.unwrap().unwrap().failure, failure);
            }
            assert_eq!(followed.borrow().account.as_deref(), meant);
            // Its place is free again, whatever became of it.
            assert!(!intake.in_flight.queue.is_accepting());
        }
    }
}
