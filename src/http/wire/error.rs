//! The one mapping from a cause to its answer.
//!
//! Here is every cause with its sentence and its code; [`code`] has every code with its status, its level in the log and its
//! remedy; [`session`] has the code of each error of the session, [`body`] what a caller reads. Turning an error into a response has no side effect; the response carries it in its extensions, where
//! [`trace`](crate::http::serve::trace) finds it for the log.

mod body;
mod code;
mod session;

use std::{any::Any, io, time::Duration};

use axum::{
    http::Method,
    response::{IntoResponse, Response},
};
pub(in crate::http) use body::ErrorBody;
pub(in crate::http) use code::{Code, ErrorFacts, LogLevel};
pub(in crate::http::wire) use session::Cause;
pub(in crate::http) use session::NotReadyToBeRead;

use super::{
    body::{LARGEST_INLINE, LARGEST_SEND},
    spelling::Misspelt,
};
use crate::{
    delivery::{self, DownloadError, InvalidField, WebhookError},
    keys::Scope,
    ledger::{LedgerError, ReadError},
    media::MediaError,
    qr::QrError,
    received::{FindError, OpenError},
    session::{
        ConnectError, DisconnectError, DismissError, EvidenceError, ForgetError, InvalidClienteId,
        InvalidIdempotencyKey, InvalidRecipient, PasskeyError, ReadingError, SendError,
    },
    telemetry::fixed_text,
    whatsapp::PageReadError,
};

/// [`LONGEST_TEXT`](crate::session::LONGEST_TEXT) for people.
const LONGEST_TEXT_SHOWN: &str = "65,536";

/// Declares each cause with its sentence and its code. The first ones are types of their own, each a [`Cause`] that knows its code.
macro_rules! causes {
    (
        [$($name:ident($error:ty)),*]
        $($(#[$($attribute:tt)*])* $variant:ident $(($($field:tt)*))? $({$($named:tt)*})? = $code:ident,)*
    ) => {
        /// Why a request was not served.
        #[derive(Debug, thiserror::Error)]
        pub(in crate::http) enum ApiError {
            $($(#[$($attribute)*])* $variant $(($($field)*))? $({$($named)*})?,)*
            $(#[error(transparent)] $name(#[from] $error),)*
        }

        impl ApiError {
            /// What is answered and logged of it.
            pub(in crate::http) fn facts(&self) -> ErrorFacts {
                match self {
                    $(Self::$variant { .. } => Code::$code.facts(),)*
                    $(Self::$name(why) => why.facts(),)*
                }
            }
        }
    };
}

causes! {
    [
        Misspelt(Misspelt),
        Connect(ConnectError),
        Disconnect(DisconnectError),
        Forget(ForgetError),
        Send(SendError),
        Evidence(EvidenceError),
        Dismiss(DismissError),
        Passkey(PasskeyError),
        Received(OpenError),
        NotReadyToBeRead(NotReadyToBeRead)
    ]

    #[error("no such path: GET /docs lists all of them")]
    UnknownPath = NotFound,
    #[error("{method} is not allowed here: the path takes {allowed}{hint}")]
    WrongMethod {
        /// What was asked.
        method: Method,
        /// The methods that the path has.
        allowed: String,
        /// What else may have been meant.
        hint: &'static str,
    } = MethodNotAllowed,
    #[error("the key is missing: send it as X-Api-Key, or as Authorization: Bearer")]
    KeyMissing = Unauthorized,
    #[error("the key is wrong: the service has none like it, or it was revoked")]
    Unauthorized = Unauthorized,
    #[error("the key has expired: ask the person who made it for a new one")]
    KeyExpired = Unauthorized,
    #[error(
        "the request carries two different keys: send one, as X-Api-Key or as Authorization: Bearer"
    )]
    TwoKeys = TwoKeys,
    #[error("this key may not do that: it takes one with the scope {0}")]
    ScopeMissing(Scope) = Forbidden,
    #[error("this key is for other sessions: name one of them in cliente_id")]
    OtherSession = Forbidden,
    #[error("too many wrong keys came from this address: try again in a few seconds")]
    TooManyAttempts(Duration) = TooManyAttempts,
    #[error(
        "web pages of this origin may not call: list it if it should (CORS_ORIGINS=local,https://app.example), or set PUBLIC_URL if it is the service's own"
    )]
    OriginNotAllowed = OriginNotAllowed,
    #[error(
        "without a key the service answers only to an address, to localhost and to the name in PUBLIC_URL, and the request calls it by another name (Host): call it by one of these, set PUBLIC_URL, or make a key with `session-manager key add`"
    )]
    HostNotKnown = MisdirectedRequest,
    #[error(
        "cliente_id belongs in the body of a POST, or in the header X-Cliente-Id, not in its query"
    )]
    ClienteIdInQuery = InvalidClienteId,
    #[error(
        "the body is larger than a text of {LONGEST_TEXT_SHOWN} characters can be, which is the most that WhatsApp takes: send it in parts, and a file with POST /media"
    )]
    TooLarge = PayloadTooLarge,
    #[error(
        "the body is larger than {} MB: a text has at most {LONGEST_TEXT_SHOWN} characters, and media.data at most {} MiB; bring a larger file with POST /media, and give its id",
        LARGEST_SEND / 1_000_000,
        LARGEST_INLINE / 1024 / 1024
    )]
    SendTooLarge = PayloadTooLarge,
    #[error(
        "the text has {0} characters, and WhatsApp takes {LONGEST_TEXT_SHOWN} (counted as JavaScript does: an emoji is two): send it in parts"
    )]
    TextTooLong(usize) = PayloadTooLarge,
    #[error("the body did not arrive in time")]
    TooSlow = RequestTimeout,
    #[error("the body is not a JSON object: {0}")]
    InvalidJson(String) = InvalidJson,
    #[error(
        "the body is neither JSON nor a form: it begins with {0:?}; write {{\"cliente_id\": 51}} or cliente_id=51; in cmd.exe use double quotes around it, and \\\" inside"
    )]
    NeitherJsonNorForm(String) = InvalidJson,
    #[error(
        "the body is not UTF-8: send it in UTF-8, or name its character set in Content-Type, such as charset=utf-16"
    )]
    NotUtf8 = InvalidJson,
    #[error("the body is said to be UTF-16, and has half a character at its end: send it whole")]
    NotUtf16 = InvalidJson,
    #[error(
        "the body looks like UTF-16, and its Content-Type does not say so: add charset=utf-16, or send UTF-8"
    )]
    UnnamedUtf16 = InvalidJson,
    #[error("the body is said to be {0}, and cannot be unpacked as such: send it as it is")]
    NotUnpacked(&'static str) = InvalidJson,
    #[error(
        "multipart/form-data is not read; send JSON; a file goes as a form to POST /media, whose answer has the id for media.id"
    )]
    Multipart = UnsupportedMediaType,
    #[error("the character set {0:?} is not read; send UTF-8")]
    UnknownCharset(String) = UnsupportedMediaType,
    #[error("the Content-Encoding {0:?} is not read; send gzip, deflate, br or none")]
    UnknownEncoding(String) = UnsupportedMediaType,
    /// A caller that names no session means the default one only when all that it says is understood.
    #[error(
        "the {place} has {name:?}, which is not known here, and no cliente_id: write cliente_id for the session{}; nothing was done",
        or_none(.name, *.may_name_none)
    )]
    NamesNothingKnown {
        /// Where it stands.
        place: &'static str,
        /// The begin of its name.
        name: String,
        /// The same request without it means the default session.
        may_name_none: bool,
    } = InvalidClienteId,
    #[error("cliente_id is required")]
    ClienteIdRequired = InvalidClienteId,
    #[error("{0}")]
    InvalidClienteId(#[from] InvalidClienteId) = InvalidClienteId,
    /// `/send` says it in the words of the contract.
    #[error("cliente_id must be a number")]
    ClienteIdNotANumber = InvalidClienteId,
    /// The same where the words are not fixed.
    #[error(
        "cliente_id must be a number; a session with another name is named in the header X-Cliente-Id, and one of both is needed"
    )]
    ClienteIdNotANumberNorHeader = InvalidClienteId,
    #[error("cliente_id must be a positive integer")]
    ClienteIdNotPositive = InvalidClienteId,
    #[error("to must be a string")]
    ToNotAString = InvalidTo,
    #[error("to is not a phone number: {0}")]
    InvalidTo(InvalidRecipient) = InvalidTo,
    #[error("message must be a non-empty string")]
    InvalidMessage = InvalidMessage,
    #[error(
        "message must be a non-empty string; the body has {0:?}, which is not known here: give one of message, media, location, contact and poll"
    )]
    NothingKnownToSend(String) = InvalidMessage,
    #[error("give one of message, media, location, contact and poll: each is a message of its own; the text below a medium is its caption")]
    MoreThanOneContent = InvalidContent,
    #[error("{field}: {why}")]
    InvalidContent {
        field: &'static str,
        why: String,
    } = InvalidContent,
    #[error("media: no file has this id: POST /media answers ids, and files are kept for a day")]
    UnknownMedia = MediaNotFound,
    #[error("media: {0}")]
    MediaTooLarge(String) = MediaTooLarge,
    #[error("media: the url was not fetched: {0}")]
    MediaUnreachable(#[from] DownloadError) = MediaUnreachable,
    /// The same in WAHA's words.
    #[error("file: the url was not fetched: {0}")]
    WahaFileUnreachable(DownloadError) = MediaUnreachable,
    #[error("file: {0}")]
    WahaFileTooLarge(String) = MediaTooLarge,
    #[error("file: no file has this id: POST /media answers ids, and files are kept for a day")]
    WahaFileUnknown = MediaNotFound,
    #[error("media: {0}")]
    MediaUnavailable(MediaError) = MediaUnavailable,
    #[error("quote must be the id of a message, as GET /events has it (data.id, or data.key)")]
    InvalidQuote = InvalidContent,
    #[error("{0} is required: name the session that is meant; nothing was done")]
    WahaSessionMissing(&'static str) = InvalidClienteId,
    #[error("{0} must be a positive integer, or 1 to 64 letters, digits, '-' or '_'; nothing was done")]
    WahaSessionInvalid(&'static str) = InvalidClienteId,
    #[error("there is no such session: POST /api/sessions makes one")]
    WahaSessionUnknown = SessionNotFound,
    #[error("{0} must be a string that is not empty")]
    WahaChatMissing(&'static str) = InvalidTo,
    #[error("{field} is neither a phone number nor the address of a chat that can be written to: {why}")]
    InvalidWahaChat {
        field: &'static str,
        why: InvalidRecipient,
    } = InvalidTo,
    #[error("text must be a non-empty string")]
    WahaTextMissing = InvalidMessage,
    #[error("phoneNumber must be a string, with the country code, such as \"5491158254201\"")]
    WahaPhoneMissing = InvalidPhone,
    #[error("phoneNumber is not a phone number: {0}")]
    InvalidWahaPhone(InvalidRecipient) = InvalidPhone,
    #[error("format must be image or raw")]
    InvalidWahaFormat = InvalidFormat,
    #[error("{field}: {why}; nothing was done")]
    InvalidConfig {
        field: &'static str,
        why: String,
    } = InvalidConfig,
    #[error("async must be true or false")]
    InvalidAsync = InvalidAsync,
    #[error("dry_run must be true or false; nothing was sent")]
    InvalidDryRun = InvalidDryRun,
    #[error("{0}")]
    InvalidIdempotencyKey(#[from] InvalidIdempotencyKey) = InvalidIdempotencyKey,
    #[error("the header Idempotency-Key and the field idempotency_key differ: give one of them")]
    TwoIdempotencyKeys = InvalidIdempotencyKey,
    #[error("{0}")]
    InvalidWebhook(#[from] InvalidField) = InvalidWebhook,
    #[error("no webhook has this id: GET /webhooks lists them")]
    UnknownWebhook = WebhookNotFound,
    #[error("{0}")]
    WebhookOfSettings(WebhookError) = WebhookOfSettings,
    #[error("{0}")]
    TooManyWebhooks(WebhookError) = TooManyWebhooks,
    #[error("nothing can be said of webhooks, nor changed, now: the ledger in DATA_DIR cannot be used: {0}")]
    WebhooksUnavailable(LedgerError) = LedgerUnavailable,
    #[error("this key is for some sessions: name them in cliente_ids, and no others")]
    OtherSessionsOfWebhook = Forbidden,
    #[error("the bridge is about all sessions, and this key is for some of them: use one without a limit")]
    BridgeIsOfAll = Forbidden,
    #[error("state must be waiting or dead")]
    InvalidDeliveryState = InvalidState,
    #[error("no file has this id; files are forgotten after MEDIA_RETENTION_HOURS, and what is known of them with their events")]
    UnknownFile = FileNotFound,
    #[error("no message has this id; ids are forgotten after IDEMPOTENCY_HOURS")]
    UnknownMessage = MessageNotFound,
    #[error(
        "no message of this session has this id: give the whole id that GET /events has for it (data.id), or the message_id of a send"
    )]
    UnknownTarget = MessageNotFound,
    #[error("this message was not sent, so nothing can be done to it: it is {0}")]
    TargetNotSent(&'static str) = MessageNotFound,
    #[error("this id names what was done to a message: give the id of the message")]
    TargetIsAnAction = MessageNotFound,
    #[error(
        "cliente_id is required: no session that you reach has sent this message, so name the one that has got it"
    )]
    ClienteIdRequiredForTarget = InvalidClienteId,
    #[error("the message cannot be taken back: it is {0}")]
    NotCancellable(&'static str) = NotCancellable,
    #[error(
        "state must be one of queued, handed, sent, delivered, read, failed, unknown, cancelled"
    )]
    InvalidMessageState = InvalidState,
    #[error("after must be a whole number: the next of the answer before")]
    InvalidAfter = InvalidAfter,
    #[error("limit must be a whole number, 1 to {0}")]
    InvalidLimit(usize) = InvalidLimit,
    #[error("after must be a whole number from 0 on, the next of the answer before, or latest")]
    InvalidCursor = InvalidAfter,
    #[error("types has {word:?}, which is none: give of {}, with commas between them; message.any is message and message.own", delivery::all_types())]
    InvalidEventTypes {
        /// The begin of the word.
        word: String,
    } = InvalidTypes,
    #[error("wait must be a whole number of seconds, 0 to 60")]
    InvalidEventWait = InvalidWait,
    /// With the oldest cursor that misses nothing of what is left.
    #[error(
        "events behind this cursor are no longer there: go on with after={0}; what was before that cannot be had here any more"
    )]
    CursorExpired(i64) = CursorExpired,
    #[error(
        "the log ends before this cursor, at {newest}: an older copy of the ledger was put back, or the number is of another service; go on with after={oldest}, and skip events whose id you have already"
    )]
    CursorAhead {
        /// The oldest cursor that misses nothing of what is left.
        oldest: i64,
        /// The cursor behind the last event.
        newest: i64,
    } = CursorExpired,
    #[error("the query has {name:?}, which is not known here: give {}", .known.join(", "))]
    UnknownParameter {
        /// The begin of its name.
        name: String,
        /// What may be given.
        known: &'static [&'static str],
    } = InvalidParameter,
    #[error("the path has no address of a chat: {0}; a group is named by its address, which ends in @g.us")]
    InvalidChatInPath(InvalidRecipient) = InvalidChat,
    #[error("the path has no address of a group: it ends in @g.us, as GET /groups has it")]
    NotAGroup = InvalidChat,
    #[error("the path has the address of a group, which has no number: give a person's number, or a LID")]
    NotAPerson = InvalidChat,
    #[error("after must be the next of the answer before")]
    InvalidPlace = InvalidAfter,
    #[error("fetch must be true or false")]
    InvalidFetch = InvalidFetch,
    #[error("before must be the id of a message of this chat that WhatsApp Web has stored, such as the next of the answer before")]
    UnknownBefore = MessageNotFound,
    #[error("the account has no such chat, or is in no such group: GET /chats and GET /groups list them")]
    UnknownChat = ChatNotFound,
    #[error("{0}")]
    ReadingBusy(ReadingError) = ReadingBusy,
    #[error("it could not be read: {0}")]
    ReadingFailed(String) = ReadingFailed,
    #[error("the session's page cannot be read ({0}): add modules or wa-js to ADAPTERS, or update the page scripts and wa-js")]
    ReadingUnavailable(String) = ReadingUnavailable,
    #[error("wait must be \"ready\" or \"code\"")]
    InvalidWait = InvalidWait,
    #[error("phone is not a phone number: {0}; leave phone out to scan a QR code")]
    InvalidPhone(InvalidRecipient) = InvalidPhone,
    #[error(
        "phone must be a string, with the country code, such as \"+54 9 11 5825-4201\"; leave it out to scan a QR code"
    )]
    PhoneNotAString = InvalidPhone,
    #[error("force must be true or false; nothing was done")]
    InvalidForce = InvalidForce,
    #[error("logout must be true or false")]
    InvalidLogout = InvalidLogout,
    #[error(
        "logout needs cliente_id: name the session whose device is to be unlinked; nothing was done"
    )]
    LogoutOfNoSession = InvalidClienteId,
    #[error("format must be json, png, svg, ascii or raw")]
    InvalidFormat = InvalidFormat,
    #[error("{reason}")]
    NoQr { state: &'static str, reason: String } = NoQr,
    #[error("this session has left no evidence; POST here takes some of a running one")]
    NoEvidence = NoEvidence,
    #[error("too many streams are open: close a page that shows sessions, then try again")]
    TooManyStreams = TooManyStreams,
    #[error("this session is linked already: there is no code to show")]
    AlreadyLinked = AlreadyLinked,
    #[error("too many links are open: each ends by itself after 10 minutes")]
    TooManyLinks = TooManyLinks,
    #[error("this link is unknown: it may have ended long ago, or with a restart of the service")]
    UnknownLink = LinkNotFound,
    #[error(
        "this link has been used, or its 10 minutes are over: ask the person who sent it for a new one"
    )]
    LinkOver = LinkOver,
    #[error(
        "the link would begin with a name that only the request gives (Host): set PUBLIC_URL to where people reach the service"
    )]
    NoPublicUrl = PublicUrlUnknown,
    #[error("the service is shutting down; nothing was done: try again when it is back")]
    ShuttingDown = ShuttingDown,
    #[error("the evidence cannot be read (DATA_DIR): {0}")]
    EvidenceUnreadable(#[from] io::Error) = EvidenceUnavailable,
    #[error("there is no such session, and nothing of it to delete")]
    UnknownSession = SessionNotFound,
    /// Asked about messages, not for a send: those that were accepted may well have been sent.
    #[error("nothing can be said of messages now: the ledger in DATA_DIR cannot be used: {0}")]
    Ledger(LedgerError) = LedgerUnavailable,
    #[error("{0}")]
    MessagesBusy(ReadError) = MessagesBusy,
    #[error("the code could not be drawn: {0}")]
    Qr(#[from] QrError) = Internal,
    #[error("an answer could not be written as JSON: {0}")]
    Serialize(#[from] serde_json::Error) = Internal,
    #[error("the metrics could not be written")]
    Metrics = Internal,
    #[error("a handler panicked: {0}")]
    Panic(&'static str) = Internal,
    #[error("{0} is not declared in http/routes.rs, and is refused to every caller")]
    NoAccessRule(String) = Internal,
    #[error("a handler asked who called it outside of the guard")]
    NoCaller = Internal,
}

impl From<LedgerError> for ApiError {
    fn from(why: LedgerError) -> Self {
        Self::Ledger(why)
    }
}

impl From<ReadError> for ApiError {
    fn from(why: ReadError) -> Self {
        match why {
            ReadError::Busy => Self::MessagesBusy(why),
            ReadError::Unavailable(why) => Self::Ledger(why),
        }
    }
}

impl From<FindError> for ApiError {
    fn from(why: FindError) -> Self {
        match why {
            FindError::Store(why) => OpenError::Store(why).into(),
            FindError::Ledger(why) => why.into(),
        }
    }
}

impl From<ReadingError> for ApiError {
    fn from(why: ReadingError) -> Self {
        match why {
            ReadingError::Session(why) => Self::Send(why),
            ReadingError::Busy => Self::ReadingBusy(why),
            ReadingError::Read(PageReadError::NoChat) => Self::UnknownChat,
            ReadingError::Read(PageReadError::NoMessage) => Self::UnknownBefore,
            ReadingError::Read(PageReadError::Failed(why)) => Self::ReadingFailed(why),
            ReadingError::Read(PageReadError::Lacking(why)) => Self::ReadingUnavailable(why),
        }
    }
}

impl From<WebhookError> for ApiError {
    fn from(why: WebhookError) -> Self {
        match why {
            WebhookError::Invalid(why) => why.into(),
            WebhookError::Unknown => Self::UnknownWebhook,
            WebhookError::TooMany => Self::TooManyWebhooks(why),
            WebhookError::OfSettings => Self::WebhookOfSettings(why),
            WebhookError::Ledger(why) => Self::WebhooksUnavailable(why),
            WebhookError::Read(why) => why.into(),
        }
    }
}

/// A body is larger than this.
pub(in crate::http) fn too_large(largest: usize) -> ApiError {
    if largest == LARGEST_SEND {
        ApiError::SendTooLarge
    } else {
        ApiError::TooLarge
    }
}

/// What to do with a name that means no session.
fn or_none(name: &str, may_name_none: bool) -> String {
    if may_name_none {
        format!(", or leave {name:?} out for the default one")
    } else {
        ", a positive integer".to_owned()
    }
}

/// Answers a path that no route has.
pub(in crate::http) async fn unknown_path() -> ApiError {
    ApiError::UnknownPath
}

/// Answers a request whose handler panicked.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that CatchPanicLayer takes"
)]
pub(in crate::http) fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    ApiError::Panic(fixed_text(&*cause)).into_response()
}

#[cfg(test)]
mod tests;
