//! Questions about what the page has: its chats, the messages that it has stored, its groups, who has an address.
//!
//! Responsible for putting a question to the script `reading.js` and for what an answer of it is. Not responsible for when to ask
//! (`session::reading`), nor for the shapes of answers ([`stored`](crate::stored)).

use std::time::Duration;

use chromiumoxide::Page;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    AdapterName,
    bridge::{self, CallError, NO_SUCH_COMMAND},
};
use crate::masked::{Text, WaId};

/// The script ends each question by itself: one for messages four seconds after it began, with a search of ten seconds on top of it, and
/// one for the members of a group within eight.
const READ_TIMEOUT: Duration = Duration::from_secs(15);

/// The phone is waited for twenty seconds, between two readings of the store.
const FETCH_TIMEOUT: Duration = Duration::from_secs(45);

/// What is asked of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Its chats.
    Chats(List),
    /// Messages of a chat.
    Messages {
        /// The chat's address.
        chat: WaId,
        /// Those before this one, by its id; `None`: the latest.
        before: Option<WaId>,
        /// At most so many.
        limit: usize,
        /// Whether the phone is asked for older ones, when the page has no more.
        fetch: bool,
    },
    /// Its groups.
    Groups(List),
    /// One group with its members, by its address.
    Group(WaId),
    /// What the page knows of a person's address; WhatsApp's server is not asked.
    Number(WaId),
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// What is behind this place; `None`: from the beginning.
    pub after: Option<WaId>,
    /// At most so many.
    pub limit: usize,
}

/// What the page answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered(Text);

/// Why nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageReadError {
    /// No adapter that reads serves this page, or WhatsApp Web lacks what it needs.
    #[error("{0}")]
    Lacking(String),
    /// The account has no such chat.
    #[error("the account has no such chat")]
    NoChat,
    /// The message to begin before is not stored.
    #[error("WhatsApp Web has stored no such message of this chat")]
    NoMessage,
    /// The page did not answer in time, or not in an order that is understood.
    #[error("{0}")]
    Failed(String),
}

impl Question {
    /// The script's command for it, and what that gets.
    fn command(&self) -> (&'static str, Value) {
        let of_list = |List { after, limit }: &List| json!({ "after": after, "limit": limit });
        match self {
            Self::Chats(list) => ("readChats", of_list(list)),
            Self::Groups(list) => ("readGroups", of_list(list)),
            Self::Messages {
                chat,
                before,
                limit,
                fetch,
            } => (
                "readMessages",
                json!({ "chat": chat, "before": before, "limit": limit, "fetch": fetch }),
            ),
            Self::Group(chat) => ("readGroup", json!({ "chat": chat })),
            Self::Number(address) => ("readNumber", json!({ "address": address })),
        }
    }

    const fn within(&self) -> Duration {
        match self {
            Self::Messages { fetch: true, .. } => FETCH_TIMEOUT,
            Self::Messages { fetch: false, .. }
            | Self::Chats(_)
            | Self::Groups(_)
            | Self::Group(_)
            | Self::Number(_) => READ_TIMEOUT,
        }
    }
}

impl Answered {
    /// An answer in the page's words, as JSON.
    pub fn new(json: Text) -> Self {
        Self(json)
    }

    /// What it says.
    ///
    /// # Errors
    ///
    /// It is not in the shape of this question. What does not fit is not named: it may be a text.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, PageReadError> {
        serde_json::from_str(&self.0)
            .map_err(|_| PageReadError::Failed("the page's answer was not understood".to_owned()))
    }
}

/// Asks the page, by the first of its adapters: all of them read by the same script.
pub(super) async fn read(
    page: &Page,
    adapters: &[AdapterName],
    question: &Question,
) -> Result<Answered, PageReadError> {
    #[derive(Deserialize)]
    struct Answer {
        answer: Text,
    }
    let lacking = || PageReadError::Lacking("no adapter is in use".to_owned());
    let adapter = *adapters.first().ok_or_else(lacking)?;
    let (command, argument) = question.command();
    let read = bridge::call_within(page, adapter, command, &argument, question.within());
    let Answer { answer } = read.await.map_err(error_of)?;
    Ok(Answered(answer))
}

fn error_of(why: CallError) -> PageReadError {
    match why.code.as_str() {
        NO_SUCH_COMMAND | "NO_READING" | "NO_FETCH" => PageReadError::Lacking(why.detail),
        "NO_CHAT" => PageReadError::NoChat,
        "NO_ANCHOR" => PageReadError::NoMessage,
        _ => PageReadError::Failed(why.detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::NumberFacts;

    #[test]
    fn an_answer_that_is_not_understood_names_nothing_of_itself() {
        let answered = Answered::new(r#"{"exists": "hola secreta"}"#.into());
        let why = answered.read::<NumberFacts>().unwrap_err().to_string();
        assert!(!why.contains("secreta"), "{why}");
        let fine = Answered::new(r#"{"phone": "5491150002222"}"#.into());
        let fine: NumberFacts = fine.read().unwrap();
        assert_eq!(fine.phone.as_deref(), Some("5491150002222"));
    }
}
