//! A caller's side of a send: it is written down once, however often it is asked for, and followed until it is known what
//! became of it.
//!
//! Responsible for repetitions and for the answer to a caller, in time. The session's actor does the sending; a caller
//! that goes away, or is answered while its send is still on its way, changes nothing about it.

use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt as _;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    ledger::{Accepted, Failure, Followed, Idempotency, Ledger, NewSend, Record, SendState, Step},
    session::{
        Addressee, IdempotencyKey, NumberCheck, SendError, SendRequest, Sent, SessionHandle,
        command::{Command, PageCommand},
        error::not_ready,
    },
    whatsapp::ChatAct,
};

/// The actor gives a send up at the same moment as its caller does, and the ledger has that a moment later: the caller waits for it.
const LAST_WORD: Duration = Duration::from_secs(2);

impl SessionHandle {
    /// Sends a text. With [`SendRequest::waits`] answers when WhatsApp's server has it, or after `SEND_WAIT_SECONDS` with
    /// what is known then; else as soon as it is on disk.
    ///
    /// The same request under the same key is one send, and is answered with what became of that. Dropping the returned
    /// future does not take the message back.
    pub async fn send(&self, request: SendRequest) -> Result<Sent, SendError> {
        let accept_by = Instant::now() + self.limits.wait;
        let wait = self.limits.wait + request.message.extras.extra_time();
        let deadline = request.waits.then_some(Instant::now() + wait);
        let new = self.written_down(request, accept_by);
        let accepted = self.accept_once(new, deadline).await?;
        let (followed, is_repeated) = match accepted {
            Accepted::New(followed) => (followed, false),
            Accepted::Known(followed) => (followed, true),
            Accepted::KeyReused => return Err(SendError::KeyReused),
        };
        self.told(followed, deadline, wait, is_repeated).await
    }

    /// The request that was accepted under this key, whatever it was.
    pub async fn accepted_under(
        &self,
        key: &IdempotencyKey,
    ) -> Result<Option<Followed>, SendError> {
        let by = Instant::now() + self.limits.wait + LAST_WORD;
        let found = self.ledger.by_key(self.session.as_str(), key.as_str());
        Ok(Ledger::answered_by(by, found).await?)
    }

    /// What became of a request that was accepted before: as [`send`](Self::send) answers its repetition.
    pub async fn repeated(&self, followed: Followed, waits: bool) -> Result<Sent, SendError> {
        let wait = self.limits.wait + followed.borrow().extras.extra_time();
        let deadline = waits.then_some(Instant::now() + wait);
        self.told(followed, deadline, wait, true).await
    }

    /// The answer to a caller, by its deadline; at once, where it does not wait.
    async fn told(
        &self,
        followed: Followed,
        deadline: Option<Instant>,
        wait: Duration,
        is_repeated: bool,
    ) -> Result<Sent, SendError> {
        let record = if deadline.is_some() || is_awaited(&followed.borrow()) {
            let deadline = deadline.unwrap_or_else(|| Instant::now() + wait);
            self.settled(followed, deadline).await?
        } else {
            Record::clone(&followed.borrow())
        };
        let page_is_open = self.snapshot().state.is_running();
        let outcome = outcome(&record, page_is_open, deadline.is_none(), is_repeated);
        outcome.map_err(|why| self.explained(why))
    }

    /// The ledger does not know why a session ended.
    fn explained(&self, why: SendError) -> SendError {
        let snapshot = self.snapshot();
        if matches!(why, SendError::NotReady { reason: None, .. }) && !snapshot.state.takes_sends()
        {
            not_ready(&snapshot)
        } else {
            why
        }
    }

    /// Whether a number is on WhatsApp, and when a message to it would go out. Sends nothing.
    pub async fn check(&self, to: Addressee) -> Result<NumberCheck, SendError> {
        let (reply, answer) = oneshot::channel();
        self.command(PageCommand::Check { to, reply }).await?;
        timeout(self.limits.wait, answer)
            .await
            .map_err(|_| SendError::Failed("the page did not answer in time".to_owned()))?
            .map_err(|_| not_ready(&self.snapshot()))?
    }

    /// Does something in a chat that is no message, and leaves nothing behind.
    pub async fn in_chat(&self, to: Addressee, act: ChatAct) -> Result<(), SendError> {
        let (reply, answer) = oneshot::channel();
        let command = PageCommand::InChat { to, act, reply };
        self.command(command).await?;
        timeout(self.limits.wait, answer)
            .await
            .map_err(|_| SendError::Failed("the page did not answer in time".to_owned()))?
            .map_err(|_| not_ready(&self.snapshot()))?
    }

    /// Frees the place of a send that has been taken back.
    pub(in crate::session) fn remove(&self, key: &str) {
        let key = key.to_owned();
        // Should the actor have no time for it, the send leaves the queue when its turn comes.
        if self
            .commands
            .try_send(Command::Page(PageCommand::Remove { key }))
            .is_err()
        {
            tracing::debug!("a cancelled send stays in the queue until its turn");
        }
    }

    /// A session that is up finds a repetition out while it writes the send down; for another one it is looked for first,
    /// as it takes nothing new.
    async fn accept_once(
        &self,
        new: NewSend,
        deadline: Option<Instant>,
    ) -> Result<Accepted, SendError> {
        if self.snapshot().state.takes_sends() {
            match self.accept(new.clone(), deadline).await {
                // It has ended in this moment.
                Err(SendError::NotReady { .. } | SendError::ShuttingDown) => {}
                accepted => return accepted,
            }
        }
        match Ledger::answered_by(new.accept_by + LAST_WORD, self.ledger.known(&new)).await? {
            Some(known) => Ok(known),
            None => self.accept(new, deadline).await,
        }
    }

    async fn accept(&self, new: NewSend, deadline: Option<Instant>) -> Result<Accepted, SendError> {
        let (reply, answer) = oneshot::channel();
        let (key, accept_by) = (new.key.clone(), new.accept_by);
        let command = PageCommand::Send {
            new,
            deadline,
            reply,
        };
        self.command(command).await?;
        if let Ok(answer) = answer.await {
            return answer;
        }
        // Dropped without a word: the session ended while the send was being written down, or before.
        let written = Ledger::answered_by(accept_by + LAST_WORD, self.ledger.find(&key)).await?;
        written.map_or_else(
            || Err(not_ready(&self.snapshot())),
            |followed| Ok(Accepted::New(followed)),
        )
    }

    async fn command(&self, command: PageCommand) -> Result<(), SendError> {
        let sent = self.commands.send(Command::Page(command)).await;
        sent.map_err(|_| SendError::ShuttingDown)
    }

    fn written_down(&self, request: SendRequest, accept_by: Instant) -> NewSend {
        let SendRequest {
            message,
            cliente_id,
            idempotency_key,
            waits,
        } = request;
        let by_key = idempotency_key.map(|key| Idempotency::Key(key.as_str().to_owned()));
        // A reaction that was taken back and given again is no repetition.
        let is_message = message.extras.action.is_none();
        let by_content = || {
            self.dedup
                .filter(|_| is_message)
                .map(Idempotency::SameWithin)
        };
        NewSend {
            key: new_key(),
            session: self.session.to_string(),
            cliente_id,
            account: None,
            to: message.to.as_str().into(),
            body: message.body,
            extras: message.extras,
            is_durable: !waits,
            idempotency: by_key.or_else(by_content),
            accept_by,
        }
    }

    /// The send once nothing more is to be expected of it: it is no longer open, `deadline` has come, or the session has
    /// ended. One that only waits for this caller is then given up.
    async fn settled(
        &self,
        mut followed: Followed,
        deadline: Instant,
    ) -> Result<Record, SendError> {
        let mut snapshots = self.subscribe();
        let settled = async {
            tokio::select! {
                biased;
                // A ledger that has closed says nothing more.
                settled = followed.wait_for(|record| !record.state.is_open()) => drop(settled),
                ended = snapshots.wait_for(|snapshot| !snapshot.state.is_running()) => drop(ended),
            }
        };
        // A caller whose send is not settled by then is answered with how far it has got.
        let _elapsed = timeout_at(deadline, settled).await;
        let awaits_last_word = if self.snapshot().state.is_running() {
            is_undecided(&followed.borrow())
        } else {
            is_awaited(&followed.borrow())
        };
        if awaits_last_word {
            let decided = followed.wait_for(|record| !is_undecided(record));
            let _elapsed = timeout(LAST_WORD, decided).await;
        }
        let record = Record::clone(&followed.borrow());
        if !is_awaited(&record) {
            return Ok(record);
        }
        // Still queued, and its caller leaves: fail it in the ledger, so that it can never be sent. If the page took it meanwhile,
        // the ledger keeps that.
        let failure = if self.snapshot().state.is_running() {
            Failure::TurnNotCome
        } else {
            Failure::SessionEnded
        };
        let detail = "its turn did not come while its caller waited; nothing was sent";
        let given_up = Step::Failed(failure, detail.to_owned());
        // Should the disk stand still: the actor begins no send whose caller's time is over.
        let by = Instant::now() + LAST_WORD;
        Ledger::answered_by(by, self.ledger.advance(&record.key, given_up)).await?;
        Ok(Record::clone(&followed.borrow()))
    }
}

/// Whether a send is given up when its caller waits no longer: it is queued, was not accepted to outlive its caller,
/// and no page has had it.
fn is_awaited(record: &Record) -> bool {
    record.state == SendState::Queued && !record.outlives_its_caller()
}

/// Whether the actor of a session that runs is about to say more, when the caller's time is over: it gives up what waits for
/// that caller, and what was written down as handed over too late to be handed over; and a hand-over is answered by then.
fn is_undecided(record: &Record) -> bool {
    match record.state {
        SendState::Queued => !record.is_durable,
        SendState::Handed => !record.is_taken,
        SendState::Sent
        | SendState::Delivered
        | SendState::Read
        | SendState::Failed
        | SendState::Unknown
        | SendState::Cancelled => false,
    }
}

/// The answer to the caller of a send. `page_is_open`: WhatsApp's own queue goes on, and what is in doubt is looked up.
fn outcome(
    record: &Record,
    page_is_open: bool,
    is_async: bool,
    is_repeated: bool,
) -> Result<Sent, SendError> {
    let sent = |state, ack| {
        Ok(Sent {
            message_id: record.message_id().to_owned(),
            state,
            ack,
            at: record.sent_at.unwrap_or_else(Timestamp::now),
            is_repeated,
        })
    };
    let unconfirmed = |detail: &str| SendError::Unconfirmed {
        message_id: record.message_id().to_owned(),
        detail: detail.to_owned(),
    };
    match record.state {
        // One that is queued is kept here until it can be sent.
        SendState::Queued => sent(SendState::Queued, 0),
        // However far it has got since: the same request gets the same answer.
        SendState::Sent | SendState::Delivered | SendState::Read => sent(SendState::Sent, 1),
        // WhatsApp's own queue keeps it, or it is about to.
        SendState::Handed if page_is_open && (record.is_taken || is_async) => {
            sent(SendState::Handed, 0)
        }
        SendState::Handed => Err(unconfirmed(
            "the page was lost before WhatsApp confirmed it; it is looked up as soon as the session can send again",
        )),
        SendState::Unknown => Err(unconfirmed(record.detail.as_deref().unwrap_or_default())),
        SendState::Failed => Err(SendError::of_failed(record)),
        SendState::Cancelled => Err(SendError::Cancelled),
    }
}

/// A message id as WhatsApp Web makes them: `3EB0` and 18 hexadecimal digits (`WAWebMsgKey.newId`).
fn new_key() -> String {
    let random: [u8; 9] = rand::rng().random();
    random
        .iter()
        .fold("3EB0".to_owned(), |key, byte| format!("{key}{byte:02X}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_look_like_whatsapps_own_and_differ() {
        let (one, other) = (new_key(), new_key());
        assert_ne!(one, other);
        assert!(
            one.len() == 22
                && one.starts_with("3EB0")
                && one.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{one}"
        );
    }
}
