//! The caller's side: what can be read of a session, and how long it is waited for.

use serde::de::DeserializeOwned;
use tokio::{
    sync::oneshot,
    time::{Duration, timeout},
};

use crate::{
    masked::WaId,
    session::{
        Addressee, ReadingError, SendError, SessionHandle,
        command::{Command, PageCommand, Read, ReadAnswer},
    },
    stored::{Chats, GroupDetails, Groups, NumberFacts, StoredMessages},
    whatsapp::{List, PageReadError, Question},
};

/// The net below the deadlines of the session: one that hibernates wakes first, then the question waits for its turn and for the page.
const PATIENCE: Duration = Duration::from_secs(120);

impl SessionHandle {
    /// Its chats, the latest first.
    pub async fn chats(&self, list: List) -> Result<Chats, ReadingError> {
        self.read_page(Question::Chats(list)).await
    }

    /// Messages of a chat that the page has stored, the newest first: those before `before`, or the latest. With `fetch` the phone is asked
    /// for older ones when the page has no more.
    pub async fn stored_messages(
        &self,
        chat: &Addressee,
        before: Option<WaId>,
        limit: usize,
        fetch: bool,
    ) -> Result<StoredMessages, ReadingError> {
        self.read_page(Question::Messages {
            chat: chat.chat(),
            before,
            limit,
            fetch,
        })
        .await
    }

    /// Its groups, the latest first.
    pub async fn groups(&self, list: List) -> Result<Groups, ReadingError> {
        self.read_page(Question::Groups(list)).await
    }

    /// A group with its members.
    pub async fn group(&self, group: &Addressee) -> Result<GroupDetails, ReadingError> {
        self.read_page(Question::Group(group.chat())).await
    }

    /// Whom a number or a LID means.
    pub async fn number(&self, address: Addressee) -> Result<NumberFacts, ReadingError> {
        match self.ask_to_read(Read::Number(address)).await? {
            ReadAnswer::Number(facts) => Ok(facts),
            ReadAnswer::OfPage(answered) => Ok(answered.read()?),
        }
    }

    async fn read_page<T: DeserializeOwned>(&self, question: Question) -> Result<T, ReadingError> {
        match self.ask_to_read(Read::OfPage(question)).await? {
            ReadAnswer::OfPage(answered) => Ok(answered.read()?),
            ReadAnswer::Number(_) => {
                let why = "the page answered another question".to_owned();
                Err(PageReadError::Failed(why).into())
            }
        }
    }

    async fn ask_to_read(&self, read: Read) -> Result<ReadAnswer, ReadingError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Page(PageCommand::Read { read, reply });
        let sent = self.commands.send(command).await;
        sent.map_err(|_| ReadingError::Session(SendError::ShuttingDown))?;
        let late = || PageReadError::Failed("the session did not answer in time".to_owned());
        let answered = timeout(PATIENCE, answer).await.map_err(|_| late())?;
        // An actor that drops the reply has closed its page meanwhile.
        answered.map_err(|_| ReadingError::Session(SendError::of_forgotten(&self.snapshot())))?
    }
}
