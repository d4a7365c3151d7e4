//! What callers read out of a session's page: chats, messages that it has stored, groups, numbers.
//!
//! Responsible for whose turn it is and for how long a question waits for its turn. Its work goes on beside the session's own: the actor
//! polls it, and lets it begin ([`go_on`](Reading::go_on)) when no send needs the page. Not responsible for what is read
//! (`whatsapp/page/reading.js`), nor for whether the session can be asked at all (`lifecycle::admission`).
//!
//! Invariants: one reading at a time is under way in a page, and no reading begins while a send has its turn, but for the time in which
//! its file is uploaded. A send does not wait for a reading: it is handed over while that goes on. No question waits for ever: for its
//! turn [`TURN_TIMEOUT`], for the page as long as [`Driver::read`] takes at most.

mod ask;

use std::collections::VecDeque;

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::time::{Duration, Instant};

use super::{
    Addressee, ReadingError, SendError,
    command::{Read, ReadAnswer, ReadReply, answer},
    sending::numbers::Known,
};
use crate::{
    stored::NumberFacts,
    whatsapp::{Driver, PageReadError, PrepareError, Question},
};

/// Questions that wait for the one that is under way. A page that shows chats asks two or three at once.
const MOST_WAITING: usize = 8;

/// So long a question waits for its turn. A send has the page for milliseconds: the upload of its file, which may take minutes, leaves
/// the page to readings. A reading has it for milliseconds too, unless it asks the phone or WhatsApp Web does not answer.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// The readings of one page. See the module.
pub(in crate::session) struct Reading<'a, D> {
    driver: &'a D,
    waiting: VecDeque<Waiting>,
    /// The one that is under way, for the actor to poll.
    pub(in crate::session) current: Option<BoxFuture<'a, Done>>,
}

struct Waiting {
    read: Read,
    /// What is known of a number already.
    known: Option<Known>,
    until: Instant,
    reply: ReadReply,
}

/// A reading that is over.
pub(in crate::session) struct Done {
    result: Result<ReadAnswer, ReadingError>,
    /// What WhatsApp's server has said of a number.
    pub(in crate::session) learned: Option<(Addressee, Known)>,
    reply: ReadReply,
}

impl<'a, D: Driver> Reading<'a, D> {
    pub(in crate::session) const fn new(driver: &'a D) -> Self {
        Self {
            driver,
            waiting: VecDeque::new(),
            current: None,
        }
    }

    /// A caller asks. `known` is what is known of a number already.
    pub(in crate::session) fn ask(
        &mut self,
        read: Read,
        known: Option<Known>,
        reply: ReadReply,
        now: Instant,
    ) {
        if self.waiting.len() >= MOST_WAITING {
            answer(reply, Err(ReadingError::Busy));
            return;
        }
        self.waiting.push_back(Waiting {
            read,
            known,
            until: now + TURN_TIMEOUT,
            reply,
        });
    }

    /// Begins the next reading, if the page is free for it, and gives up what has waited too long.
    pub(in crate::session) fn go_on(&mut self, is_free: bool, now: Instant) {
        // The order is that of their coming, so the first ones are the oldest.
        while let Some(late) = self.waiting.pop_front_if(|waiting| waiting.until <= now) {
            answer(late.reply, Err(ReadingError::Busy));
        }
        if !is_free || self.current.is_some() {
            return;
        }
        // A caller that has gone away wants no answer.
        while let Some(next) = self.waiting.pop_front() {
            if !next.reply.is_closed() {
                self.current = Some(carry_out(self.driver, next).boxed());
                return;
            }
        }
    }

    /// One is over.
    pub(in crate::session) fn on_done(&mut self, done: Done) {
        self.current = None;
        answer(done.reply, done.result);
    }

    /// The session cannot be read now: refuses what waits.
    pub(in crate::session) fn refuse_waiting(&mut self, why: &SendError) {
        for waiting in self.waiting.drain(..) {
            answer(waiting.reply, Err(ReadingError::Session(why.clone())));
        }
    }

    /// When the first question that waits has waited too long.
    pub(in crate::session) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.until)
    }

    /// Whether nothing is asked.
    pub(in crate::session) fn is_idle(&self) -> bool {
        self.current.is_none() && self.waiting.is_empty()
    }
}

async fn carry_out<D: Driver>(driver: &D, asked: Waiting) -> Done {
    let Waiting {
        read, known, reply, ..
    } = asked;
    let mut learned = None;
    let result = match read {
        Read::OfPage(question) => {
            let answered = driver.read(&question).await;
            answered.map(ReadAnswer::OfPage).map_err(ReadingError::from)
        }
        Read::Number(address) => {
            let found = number(driver, &address, known, &mut learned).await;
            found.map(ReadAnswer::Number)
        }
    };
    Done {
        result,
        learned,
        reply,
    }
}

/// What is known of an address. The page is asked first: one that cannot be read is not made to ask WhatsApp's server.
async fn number<D: Driver>(
    driver: &D,
    address: &Addressee,
    known: Option<Known>,
    learned: &mut Option<(Addressee, Known)>,
) -> Result<NumberFacts, ReadingError> {
    let question = Question::Number(address.chat());
    let facts = async || driver.read(&question).await?.read::<NumberFacts>();
    let held = facts().await?;
    let Addressee::Number(number) = address else {
        let is_known = held.phone.is_some() || held.chat.is_some();
        return Ok(NumberFacts {
            exists: is_known.then_some(true),
            ..held
        });
    };
    let known = if let Some(known) = known {
        known
    } else {
        let chat = driver.check_number(number.digits()).await;
        let chat = chat.map_err(|why| not_checked(&why))?;
        let known = chat.map_or(Known::NotOnWhatsApp, Known::At);
        *learned = Some((address.clone(), known.clone()));
        known
    };
    let chat = match known {
        Known::At(chat) => Some(chat),
        Known::NotOnWhatsApp => None,
    };
    // The check may have told the page the LID.
    let held = if chat.is_some() && held.lid.is_none() {
        facts().await?
    } else {
        held
    };
    Ok(NumberFacts {
        exists: Some(chat.is_some()),
        chat,
        ..held
    })
}

fn not_checked(why: &PrepareError) -> ReadingError {
    ReadingError::Read(PageReadError::Failed(format!(
        "the number could not be checked: {why}"
    )))
}
