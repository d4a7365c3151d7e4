//! What the page has heard, as the service fetches it from the script `hearing.js`.
//!
//! The service asks, and the page answers with what waits: so a page that hears more than can be written waits for the service, and
//! nothing piles up here. The page keeps what it has answered with until the next question confirms it. Not responsible for
//! when to ask, nor for what becomes of an event.

use std::time::Duration;

use chromiumoxide::Page;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    AdapterName,
    bridge::{self, CallError, NO_SUCH_COMMAND},
};
use crate::{
    heard::{Content, Numberless, Person},
    masked::{Number, Text, WaId},
};

/// A question for what waits.
#[derive(Clone, Debug)]
pub struct Hear {
    /// What is on disk of what the page has answered with before.
    pub confirmed: Option<Confirmed>,
    /// Messages that are older have been heard before: WhatsApp's store is not searched for them.
    pub since: Timestamp,
    /// Events that are older are none of the service's: it did not listen then.
    pub floor: Timestamp,
    /// What became of messages that are not older than this is looked for in WhatsApp's store.
    pub reach: Timestamp,
    /// Grows by one whenever WhatsApp's store is to be searched for what raised no event.
    pub walks: u64,
    /// Persons whose number is to be said once the page knows it.
    pub numberless: Vec<Numberless>,
}

/// What of one document of the page is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// See [`HeardBatch::document`].
    pub document: String,
    /// See [`HeardBatch::upto`].
    pub upto: u64,
}

/// What the page answers.
#[derive(Clone, Debug)]
pub struct HeardBatch {
    /// Names the document: another one knows nothing of what this one was asked.
    pub document: String,
    /// Confirms all of it, and what came before.
    pub upto: u64,
    /// Who hears; `None` while no adapter has found what it takes.
    pub by: Option<AdapterName>,
    /// What that adapter hears by and has not found.
    pub lacks: Vec<String>,
    /// The account's own addresses.
    pub phone: Option<Number>,
    /// See [`phone`](Self::phone).
    pub lid: Option<WaId>,
    /// WhatsApp's store is being searched, or has to be.
    pub is_walking: bool,
    /// Why that did not succeed.
    pub trouble: Option<String>,
    /// What waits, in its order. There may be more.
    pub said: Vec<Said>,
    /// How many events were not understood and are left out.
    pub not_understood: usize,
}

/// One thing that the page says.
#[derive(Clone, Debug)]
pub enum Said {
    /// Something has happened.
    Event(Box<Heard>),
    /// Everything up to this moment, by WhatsApp's clock, has been said.
    Until(Timestamp),
}

/// Something that has happened.
#[derive(Clone, Debug, Deserialize)]
pub struct Heard {
    /// What.
    #[serde(flatten)]
    pub content: Content,
    /// Tells it from everything else that happens in the account, whichever way it is heard, together with [`who`](Self::who).
    pub once: WaId,
    /// See [`NewEvent::who`](crate::ledger::NewEvent::who).
    #[serde(default)]
    pub who: Option<Person>,
    /// The chat that it happened in.
    #[serde(default)]
    pub chat: Option<WaId>,
    /// When, in milliseconds; the page does not know it of everything.
    at: Option<f64>,
    /// It happened while the service could not hear it.
    pub late: bool,
    /// The inner id of the message, if this account sent it.
    #[serde(default)]
    pub own: Option<String>,
    /// How long it has waited in the page until the page answered with it.
    #[serde(skip)]
    pub waited: Option<Duration>,
}

impl Heard {
    /// When it happened, by WhatsApp's clock.
    pub fn at(&self) -> Option<Timestamp> {
        self.at.and_then(moment)
    }

    /// One that happened at this moment.
    pub fn new(content: Content, once: &str, chat: &str, at: Timestamp) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds of this millennium fit"
        )]
        let at = Some(at.as_millisecond() as f64);
        Self {
            content,
            once: once.into(),
            who: None,
            chat: Some(chat.into()),
            at,
            late: false,
            own: None,
            waited: None,
        }
    }
}

/// Why nothing was fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HearError {
    /// The script of an operator has no such part.
    #[error("{0}")]
    Lacking(String),
    /// The page gave no answer, as between two documents.
    #[error("{0}")]
    NoAnswer(String),
}

/// The script's own answer.
#[derive(Deserialize)]
struct Answer {
    document: String,
    upto: u64,
    by: Option<String>,
    #[serde(default)]
    lacks: Vec<String>,
    phone: Option<Number>,
    lid: Option<WaId>,
    trouble: Option<String>,
    is_walking: bool,
    /// As JSON, a line for each: one that is not understood costs no other.
    events: Text,
    /// Milliseconds, one for each of the events.
    #[serde(default)]
    waited: Vec<f64>,
}

#[derive(Serialize)]
struct Question<'a> {
    document: Option<&'a str>,
    upto: u64,
    since: i64,
    floor: i64,
    reach: i64,
    walks: u64,
    numberless: &'a [Numberless],
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a time that does not fit is none"
)]
fn moment(at: f64) -> Option<Timestamp> {
    Timestamp::from_millisecond(at as i64).ok()
}

/// Asks the page, by the first of its adapters: what is heard is the same for all.
pub(super) async fn hear(
    page: &Page,
    adapters: &[AdapterName],
    ask: &Hear,
) -> Result<HeardBatch, HearError> {
    let lacking = || HearError::Lacking("no adapter is in use".to_owned());
    let adapter = *adapters.first().ok_or_else(lacking)?;
    let question = Question {
        document: ask
            .confirmed
            .as_ref()
            .map(|confirmed| confirmed.document.as_str()),
        upto: ask.confirmed.as_ref().map_or(0, |confirmed| confirmed.upto),
        since: ask.since.as_millisecond(),
        floor: ask.floor.as_millisecond(),
        reach: ask.reach.as_millisecond(),
        walks: ask.walks,
        numberless: &ask.numberless,
    };
    let answered = bridge::call::<Answer>(page, adapter, "hear", &question).await;
    answered.map(HeardBatch::of).map_err(error_of)
}

fn error_of(why: CallError) -> HearError {
    if why.code == NO_SUCH_COMMAND {
        HearError::Lacking(why.detail)
    } else {
        HearError::NoAnswer(why.detail)
    }
}

impl HeardBatch {
    /// Whether nothing waited in the page. What was not understood did, and has to be confirmed like the rest.
    pub fn is_empty(&self) -> bool {
        self.said.is_empty() && self.not_understood == 0
    }

    fn of(answer: Answer) -> Self {
        let mut not_understood = 0;
        let mut waited = answer.waited.into_iter();
        let said = answer
            .events
            .lines()
            .filter_map(|raw| {
                let waited = waited.next().map(|waited| waited / 1000.0);
                let waited = waited.and_then(|waited| Duration::try_from_secs_f64(waited).ok());
                let said = Said::read(raw, waited);
                not_understood += usize::from(said.is_none());
                said
            })
            .collect();
        Self {
            document: answer.document,
            upto: answer.upto,
            by: answer.by.and_then(|by| by.parse().ok()),
            lacks: answer.lacks,
            phone: answer.phone,
            lid: answer.lid,
            is_walking: answer.is_walking,
            trouble: answer.trouble,
            said,
            not_understood,
        }
    }
}

impl Said {
    fn read(raw: &str, waited: Option<Duration>) -> Option<Self> {
        let value: Value = serde_json::from_str(raw).ok()?;
        if value["kind"] == "until" {
            return value["at"].as_f64().and_then(moment).map(Self::Until);
        }
        let heard: Heard = serde_json::from_value(value).ok()?;
        Some(Self::Event(Box::new(Heard { waited, ..heard })))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn batch(events: &[&str]) -> HeardBatch {
        HeardBatch::of(Answer {
            document: "1".to_owned(),
            upto: 2,
            by: Some("modules".to_owned()),
            lacks: Vec::new(),
            phone: None,
            lid: None,
            trouble: None,
            is_walking: false,
            events: events.join("\n").into(),
            waited: vec![250.0, 1.5],
        })
    }

    #[test]
    fn what_is_not_understood_of_a_batch_is_counted_and_the_rest_is_taken() {
        let ack = json!({"id": "true_1@c.us_3A", "key": "3A", "chat": "1@c.us", "is_group": false, "ack": 2, "state": "delivered"});
        let events = [
            json!({"n": 1, "kind": "message.ack", "once": "ack", "chat": "1@c.us", "at": null, "late": true, "own": "3A", "data": ack}),
            json!({"n": 2, "kind": "message", "once": "broken", "chat": "1@c.us", "at": 1, "late": false, "own": null, "data": {}}),
            json!({"n": 3, "kind": "until", "at": 1_800_000_000_000_u64}),
        ]
        .map(|event| event.to_string());
        // Half of a pair of surrogates is no text of Rust's.
        let half = r#"{"n": 4, "kind": "message", "once": "\ud83d"}"#;
        let read = batch(&[&events[0], &events[1], half, &events[2]]);
        assert_eq!((read.said.len(), read.not_understood), (2, 2));
        assert!(
            matches!(&read.said[0], Said::Event(heard) if heard.late && heard.at().is_none() && matches!(heard.content, Content::Ack(_)))
        );
        assert!(
            matches!(&read.said[0], Said::Event(heard) if heard.waited == Some(Duration::from_millis(250)))
        );
        assert!(matches!(read.said[1], Said::Until(at) if at.as_second() == 1_800_000_000));
        assert!(!batch(&[half]).is_empty() && batch(&[]).is_empty());
    }
}
