//! The seam between a session and its page: what a session may ask, and what a page may say.
//!
//! The session's actor drives any [`Driver`]; the real one is [`WhatsAppPage`](super::WhatsAppPage), and the actor's
//! own tests run a scripted one in paused time.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    hearing::{Hear, HearError, HeardBatch},
    media_in::FetchError,
    reading::{Answered, PageReadError, Question},
};
use crate::{
    browser::{BrowserError, Closed, Freezer},
    extras::{Action, Extras},
    masked::{Code, Number, Passkey, Text, WaId},
};

/// Facts that may wait for the actor, which takes each within microseconds; a page that floods is slowed, not heard less.
pub const FACT_CAPACITY: usize = 256;

/// An open page and all that belongs to it. Closed by [`close`](Driver::close); dropping it kills.
pub trait Driver: Send + Sync + Sized + 'static {
    /// What opening needs and all sessions share.
    type Settings: Clone + fmt::Debug + Send + Sync + 'static;

    /// Starts Chrome on `profile`, with a blank page that is ready to load WhatsApp Web.
    ///
    /// When `stop` is cancelled, whatever was started is ended before this returns.
    fn open(
        settings: &Self::Settings,
        profile: &Path,
        facts: mpsc::Sender<Fact>,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<Self, OpenError>> + Send;

    /// Loads WhatsApp Web and waits until it is loaded or cannot be. Meanwhile the page reports its state through the facts.
    /// The session gives up waiting when it wants to.
    fn navigate(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// Loads WhatsApp Web again in a page that has broken: one that hangs, has crashed or has gone elsewhere.
    fn reload(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// Asks page and Chrome for a sign of life. Answers within some seconds in any case.
    fn ping(&self) -> impl Future<Output = Result<(), Silence>> + Send;

    /// The process of its Chrome.
    fn chrome_pid(&self) -> Option<u32>;

    /// What can stop its Chrome for a moment, for a copy of its profile; `None` when it has none. A ping that meets such a moment is
    /// asked again, so that nothing takes it for a hang.
    fn freezer(&self) -> Option<Freezer>;

    /// Asks for a fresh batch of login codes, after the last one has run out.
    fn refresh_codes(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// Asks for a code that links the phone with this number, digits only, in place of any other. The code itself comes
    /// as [`Standing::pairing_code`]. Unless it is a renewal, WhatsApp shows a notification on the phone.
    fn request_pairing_code(
        &self,
        phone: &str,
        is_renewal: bool,
    ) -> impl Future<Output = Result<(), PairingError>> + Send;

    /// Takes a step of linking with a passkey. How far that gets comes as [`Standing::passkey`].
    fn passkey(&self, act: &PasskeyAct) -> impl Future<Output = Result<(), PasskeyFailure>> + Send;

    /// Asks WhatsApp whether a number, digits only, has an account: its chat's address, `None` when it has none.
    fn check_number(
        &self,
        number: &str,
    ) -> impl Future<Output = Result<Option<WaId>, PrepareError>> + Send;

    /// Looks a message up in WhatsApp's own store: how far it has got, `None` when the store does not have it. The same of something
    /// that is done to one: 1 when it is done, `None` when it is not.
    fn look_up(
        &self,
        look_up: &LookUp,
    ) -> impl Future<Output = Result<Option<i32>, LookUpError>> + Send;

    /// Makes ready to send: the recipient is looked up, unless its chat is known, and the message gets its full id. Sends nothing.
    fn prepare(
        &self,
        outgoing: &Outgoing,
    ) -> impl Future<Output = Result<Prepared, PrepareError>> + Send;

    /// Has the page begin new Signal sessions with these devices: it has deleted the present ones, on disk, when this answers.
    /// May be repeated.
    fn reset_sessions(&self, whose: &Whose) -> impl Future<Output = Result<(), ResetError>> + Send;

    /// Hands the message over to WhatsApp's own queue, by the adapter that made it ready and no other: under which id it
    /// goes has been written down. How far it gets from there comes as [`Fact::Ack`].
    fn hand_over(
        &self,
        prepared: &Prepared,
        outgoing: &Outgoing,
    ) -> impl Future<Output = Result<Handed, HandOverError>> + Send;

    /// Fetches what the page has heard, and lets it forget what is on disk. What is not confirmed comes again with the next
    /// question. That something waits comes as [`Fact::Heard`].
    fn hear(&self, ask: &Hear) -> impl Future<Output = Result<HeardBatch, HearError>> + Send;

    /// Has WhatsApp Web bring the file of a message, named by its full id, if it has no more bytes than `most`, and gives its slices to `sink`
    /// in their order. The next one is asked for when the one before was taken.
    fn fetch_media(
        &self,
        message: &WaId,
        most: Option<u64>,
        sink: &mpsc::Sender<Bytes>,
    ) -> impl Future<Output = Result<(), FetchError>> + Send;

    /// Reads out of the page what it has. Nothing is changed by it, and sends go on meanwhile.
    fn read(
        &self,
        question: &Question,
    ) -> impl Future<Output = Result<Answered, PageReadError>> + Send;

    /// Does something in a chat that leaves nothing behind there: marks it as read, shows that the owner types.
    fn in_chat(
        &self,
        to: &Number,
        chat: Option<&WaId>,
        act: ChatAct,
    ) -> impl Future<Output = Result<(), ChatActError>> + Send;

    /// Takes the account over from another window that has it open ("use here").
    fn take_over(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// Unlinks this device on WhatsApp and waits until WhatsApp has done it.
    fn log_out(&self) -> impl Future<Output = Result<(), LogoutError>> + Send;

    /// Presses the only button of the notice with these first words that lies over the chats, and of no other dialog.
    fn dismiss_notice(&self, words: &str) -> impl Future<Output = Result<(), NoticeError>> + Send;

    /// Looks at the page, for evidence of what is wrong with it: a few seconds at most, and nothing that must not be kept.
    fn evidence(&self) -> impl Future<Output = super::PageEvidence> + Send;

    /// Closes page and Chrome and waits until no process is left.
    fn close(self) -> impl Future<Output = Closed> + Send;
}

/// What a page reports by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a session holds one at a time, and few come in a second"
)]
pub enum Fact {
    /// A document of the page has begun, whatever it is; not one that Chrome shows because there is none.
    DocumentBegan,
    /// How the page stands, as a whole. Reported whenever any part of it changes.
    Stands(Standing),
    /// A message that this account sent has got this far. `key` is the inner id, the part that the service chose.
    Ack {
        /// The id that was given in [`Outgoing::key`].
        key: String,
        /// See [`Sent::ack`](crate::session::Sent::ack); below zero WhatsApp gave up on it.
        ack: i32,
    },
    /// WhatsApp has given up a message that this account sent.
    GaveUp {
        /// The id that was given in [`Outgoing::key`].
        key: String,
        /// Its own word for why, such as `ERROR_EXPIRED`.
        word: String,
    },
    /// Something that the page has heard waits to be fetched.
    Heard,
    /// WhatsApp has removed this device from its account, with a reason in its own word. The login screen follows.
    LoggedOut(String),
    /// Chrome has ended or does not talk any more.
    BrowserLost(String),
    /// The page crashed.
    PageLost(String),
    /// Chrome shows its own error page, as without a network.
    ErrorPage,
    /// The page shows something else than WhatsApp Web: what, without anything that may be secret.
    PageElsewhere(String),
}

/// How the page stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the page, in any combination; the states are made of them elsewhere"
)]
pub struct Standing {
    /// Whether anything of WhatsApp Web was recognised at all.
    pub recognised: bool,
    /// The login screen is there.
    pub login: bool,
    /// The code that it shows.
    pub code: Option<Code>,
    /// The codes of this batch have run out: nothing comes until fresh ones are asked for.
    pub codes_ended: bool,
    /// The code that links by phone number, while the page takes it.
    pub pairing_code: Option<Code>,
    /// How far linking with a passkey has got, while the phone wants one; the page shows no code meanwhile.
    pub passkey: Option<PasskeyStanding>,
    /// An account is linked to this profile; it need not be connected.
    pub linked: bool,
    /// The linked account's number, digits only, when the page reports it.
    pub account: Option<Number>,
    /// Connected to WhatsApp's server and done with syncing.
    pub online: bool,
    /// What keeps the page from working, when the page reports it.
    pub trouble: Option<Trouble>,
    /// How far the chats are synced, 0 to 100, while they are.
    pub sync_percent: Option<u8>,
    /// The adapter in use, `None` until one has been chosen.
    pub serving: Option<super::AdapterName>,
    /// The adapters that find everything that a send needs, in the order in which they are tried.
    pub senders: Vec<super::AdapterName>,
    /// Those that find everything and have failed all the same; they come last.
    pub failing: Vec<super::AdapterName>,
    /// An adapter that goes before others has not spoken yet: `senders` may still change for the better.
    pub undecided: bool,
    /// The version of wa-js, once it is loaded.
    pub wa_js_version: Option<String>,
    /// What the adapters lack, as `adapter: name`.
    pub missing: Vec<String>,
    /// The first words of a dialog over the chats that is not known and only wants to be closed.
    pub notice: Option<String>,
    /// A dialog that asks something is in the way of an adapter that works on the screen. It may name a person, so no word of it
    /// is reported.
    pub question: bool,
}

/// What WhatsApp Web reports when it does not work. docs/whatsapp.md#signals-of-trouble has the signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Trouble {
    /// The account is open in another window, and this one has been put to sleep.
    OpenedElsewhere,
    /// This browser or this build of the page is too old for WhatsApp.
    UpdateRequired,
    /// The account is banned for a while.
    TemporarilyBanned,
    /// WhatsApp's terms, or a breach of them, stand in the way.
    TermsBlocked,
    /// WhatsApp refuses the address that this machine has on the network.
    ProxyBlocked,
    /// Linking asks for the account's passkey, on a page that shows no way to give it.
    PasskeyRequired,
    /// The page cannot use its storage in the profile.
    StorageError,
}

/// How far linking with a passkey has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeyStanding {
    /// Where it stands.
    pub step: PasskeyStep,
    /// What is to be signed, while the page waits for it.
    pub request: Option<PasskeyRequest>,
    /// The code that a person compares with the phone's.
    pub code: Option<Code>,
    /// Why the last attempt failed: WhatsApp's own word, or `TIMEOUT` when no signature came in time. Only with
    /// [`PasskeyStep::Wanted`].
    pub word: Option<String>,
}

/// A step of linking with a passkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PasskeyStep {
    /// No attempt is under way: one has to be begun.
    Wanted,
    /// The page works: it asks for a signature, or hands one in.
    Busy,
    /// WhatsApp has the signature, and waits for the phone.
    Phone,
    /// A person has to say that page and phone show the same code.
    Compare,
    /// The rest happens without a person.
    Linking,
}

/// What the page wants signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeyRequest {
    /// Names it; no other request has the same.
    pub id: String,
    /// The options of the request, as JSON, bytes as base64url.
    pub options: Passkey,
    /// How long the page waits for the signature.
    pub timeout: Duration,
}

/// A step that is taken by the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasskeyAct {
    /// Begin an attempt: the page asks for a signature then.
    Begin,
    /// Here is the signature for the request `id`.
    Answer {
        /// [`PasskeyRequest::id`].
        id: String,
        /// The assertion as JSON, bytes as base64url.
        assertion: Passkey,
    },
    /// The codes are the same.
    Confirm,
    /// Go back to the codes to scan.
    GiveUp,
}

/// Why a step of linking with a passkey was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyFailure {
    /// The page does not wait for this any more.
    #[error("{0}")]
    Over(String),
    /// WhatsApp refused, in its own word.
    #[error("{0}")]
    Refused(String),
    /// The page broke, has no way to do it, or did not answer.
    #[error("{0}")]
    Failed(String),
}

impl Standing {
    /// Whether a send would work now.
    pub fn is_ready(&self) -> bool {
        self.linked && self.online && self.trouble.is_none() && !self.senders.is_empty()
    }

    /// Whether a send would go to an adapter that has failed, for want of a better one.
    pub(super) fn is_last_resort(&self) -> bool {
        let first = self.senders.first();
        first.is_some_and(|first| self.failing.contains(first))
    }
}

/// A message on its way to the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The inner message id, chosen by the service before anything is sent: `3EB0` and 18 hexadecimal digits.
    pub key: String,
    /// The recipient's number, digits only; of a person who has hidden it, or of a group, the address.
    pub to: Number,
    /// The recipient's chat, where it is known: the number need not be checked then.
    pub chat: Option<WaId>,
    /// The text.
    pub body: Text,
    /// What it says beside it.
    pub extras: Arc<Extras>,
}

impl Outgoing {
    /// What it does to a message that is there, where it is none itself.
    pub fn action(&self) -> Option<&Action> {
        self.extras.action.as_ref()
    }

    /// The same with one kind of line break. WhatsApp knows only `\n`: its composer makes it of the other two, while a
    /// message that its modules are handed keeps a `\r` that phones show in different ways.
    pub(super) fn with_one_line_break(&self) -> Self {
        let body = self.body.replace("\r\n", "\n").replace('\r', "\n");
        Self {
            body: body.into(),
            ..self.clone()
        }
    }
}

/// A message whose recipient is known to WhatsApp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The adapter that did it, and that is to hand the message over.
    pub adapter: super::AdapterName,
    /// WhatsApp's full id of the message to be, `true_<chat>_<key>`; `None` where the page chooses it.
    pub message_id: Option<WaId>,
    /// The chat's address as WhatsApp has it, `…@c.us` or `…@lid`.
    pub chat: WaId,
}

/// Whose Signal sessions are reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// All devices of the recipient that this message was made ready for.
    Recipient(Prepared),
    /// The account's own other devices, its phone among them.
    OwnDevices,
}

/// Why Signal sessions were not reset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResetError {
    /// The page lacks what does it, or refused.
    #[error("{0}")]
    Lacking(String),
    /// The page gave no answer, as when it reloads itself: the same may work in a moment.
    #[error("{0}")]
    NoAnswer(String),
}

/// A message that WhatsApp's own queue has; or something that is done to one, which WhatsApp's server has then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// Its inner id, by which acknowledgements name it: the one in [`Outgoing::key`], unless the page chose another.
    pub key: String,
    /// Its full id.
    pub message_id: WaId,
}

/// What is to be looked up in WhatsApp's own store.
#[derive(Clone, Debug)]
pub enum LookUp {
    /// A message that may be there.
    Message {
        /// Its full id, as it was handed over. A chat that moves to another address changes it.
        message_id: WaId,
        /// Its inner id, which stays.
        key: String,
    },
    /// Something that may have been done to a message.
    Action(Outgoing),
}

impl LookUp {
    /// The inner id of the message; of something that is done to one, that of its send.
    pub fn key(&self) -> &str {
        match self {
            Self::Message { key, .. } => key,
            Self::Action(outgoing) => &outgoing.key,
        }
    }
}

/// Something that is done in a chat, and is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatAct {
    /// Marks what has come in as read; its writers see that.
    Seen,
    /// Shows the chat's other members that the owner is writing.
    Typing,
    /// Shows them that the owner is recording a voice message.
    Recording,
    /// Shows neither any more.
    Paused,
}

/// Why something was not done in a chat.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatActError {
    /// There is no such chat.
    #[error("the account has no chat with this address")]
    NoChat,
    /// No adapter that serves can do it, or the page broke.
    #[error("{0}")]
    Failed(String),
}

/// Why a message could not be looked up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookUpError {
    /// The page did not answer: the same question may be answered in a moment.
    #[error("{0}")]
    NoAnswer(String),
    /// No adapter that serves can see the store.
    #[error("{0}")]
    NoAdapter(String),
}

/// Why a page could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Chrome did not start, or its profile cannot be used.
    #[error(transparent)]
    Browser(#[from] BrowserError),
    /// A page script cannot be read.
    #[error("{0}")]
    Scripts(String),
    /// Chrome runs, but its page could not be made ready.
    #[error("the page could not be made ready: {0}")]
    Setup(String),
    /// `stop` was cancelled; nothing is left running.
    #[error("the start was called off")]
    Cancelled,
}

impl OpenError {
    /// The last lines that Chrome printed, when it did not come up.
    pub fn chrome_output(self) -> Vec<String> {
        if let Self::Browser(
            BrowserError::ExitedEarly { output, .. }
            | BrowserError::NotReady { output, .. }
            | BrowserError::Undriveable { output, .. },
        ) = self
        {
            output
        } else {
            Vec::new()
        }
    }
}

/// Why there is no code that links by phone number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairingError {
    /// WhatsApp gives none for this number, or to this account.
    #[error("{0}")]
    Refused(String),
    /// WhatsApp has been asked too often.
    #[error("too many pairing codes were asked for")]
    RateLimited,
    /// The page broke, or has no way to ask.
    #[error("{0}")]
    Failed(String),
    /// The page was not there, as when it reloads itself: the same may work in a moment.
    #[error("{0}")]
    Interrupted(String),
}

/// Why a notice over the chats was not closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// None is there, or another one than was meant.
    #[error("there is no such notice over the chats")]
    None,
    /// The dialog asks something, which is a person's to answer.
    #[error("the dialog over the chats asks something")]
    WithChoice,
    /// The page did not do it.
    #[error("{0}")]
    Stays(String),
}

/// Why a message could not be made ready. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// WhatsApp knows no such number.
    #[error("the number is not on WhatsApp")]
    NotOnWhatsApp,
    /// The account is in no such group.
    #[error("the account is in no group with this address, or may not write there")]
    NotInGroup,
    /// The message that it is about is not there, or WhatsApp does not allow it.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The page refused or broke.
    #[error("{0}")]
    Failed(String),
    /// Nothing is known about the number: the page did not answer, or could not learn it from WhatsApp's server. That
    /// says nothing about the message either.
    #[error("{0}; nothing was sent, and the same request can be made again")]
    Unanswered(String),
    /// Neither page nor Chrome give a sign of life.
    #[error("{0}; nothing was sent")]
    Silent(String),
    /// The page gave no answer, as when it reloads itself: the same may work in a moment.
    #[error("{0}; nothing was sent")]
    Interrupted(String),
    /// The file of the message did not reach WhatsApp's server, which says nothing about the message.
    #[error("{0}; nothing was sent, and the same request can be made again")]
    NotUploaded(String),
    /// WhatsApp does not take the file of the message: too large, or forbidden. It will not take it the next time either.
    #[error("{0}")]
    MediaRefused(String),
    /// The profile is older than what was sent to this recipient, who would not see the message, and the page cannot begin a new
    /// Signal session.
    #[error("{0}")]
    Stale(String),
}

impl PrepareError {
    /// Whether the page has answered about the message.
    pub(crate) const fn is_an_answer(&self) -> bool {
        match self {
            Self::NotOnWhatsApp
            | Self::NotInGroup
            | Self::Target(_)
            | Self::Failed(_)
            | Self::MediaRefused(_)
            | Self::Stale(_) => true,
            Self::Unanswered(_) | Self::NotUploaded(_) | Self::Silent(_) | Self::Interrupted(_) => {
                false
            }
        }
    }
}

/// Why nothing was done to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It is not in the chat, any more or at all.
    #[error("the message is not in WhatsApp's own store, or was deleted")]
    NoMessage,
    /// It is another person's, too old, or nothing that has a text.
    #[error(
        "WhatsApp does not let this message be edited: it is too old, or no text of this account"
    )]
    NotEditable,
    /// It is another person's, or too old.
    #[error(
        "WhatsApp does not let this message be deleted for everybody: it is too old, or another person's"
    )]
    NotRevocable,
}

/// Why a hand-over did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandOverError {
    /// The page answers that it took nothing.
    #[error("{0}")]
    NotHanded(String),
    /// The message that it was to answer is not there, or cannot be answered; the page took nothing.
    #[error("the message to quote is not in this chat, or cannot be answered")]
    NoQuote,
    /// The message that it is about is not there, or WhatsApp does not allow it; nothing was done.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// What was to be done to a message was refused by WhatsApp, and is not done.
    #[error("{0}")]
    GivenUp(String),
    /// The page is between two documents, and took nothing: the same may go well in a moment.
    #[error("{0}; nothing was sent")]
    Interrupted(String),
    /// The page took nothing, and the message has been made ready again: by another adapter, or for another address.
    #[error("it has been made ready again")]
    Passed(Prepared),
    /// No answer, or one that leaves it open.
    #[error("{0}")]
    Unknown(String),
}

/// What gave no sign of life.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// The page, while Chrome answers: its script hangs.
    #[error("{0}")]
    Page(String),
    /// Chrome itself.
    #[error("{0}")]
    Chrome(String),
}

/// Why the device is not known to be unlinked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LogoutError(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_break_becomes_one() {
        let outgoing = |body: &str| Outgoing {
            key: "3EB0".to_owned(),
            to: "5491158254201".into(),
            chat: None,
            body: body.into(),
            extras: Arc::default(),
        };
        for (given, sent) in [
            ("a\nb", "a\nb"),
            ("a\r\nb", "a\nb"),
            ("a\rb", "a\nb"),
            ("\r\n\r\r\n", "\n\n\n"),
            ("a\n\rb", "a\n\nb"),
        ] {
            assert_eq!(
                outgoing(given).with_one_line_break(),
                outgoing(sent),
                "{given:?}"
            );
        }
    }
}
