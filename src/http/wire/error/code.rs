//! Every code that an error of this API can have, with its status, how its line is logged, when it is worth another try, and
//! what to do about it.
//!
//! The one table: answers and log lines are made from it, docs/api.md and the `OpenAPI` document are held against it. `/connect`
//! also answers with the reason of a session as its code (docs/reasons.md).

use axum::http::StatusCode;

/// How the line of a failed request is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum LogLevel {
    /// The caller knows all there is to know.
    Usual,
    /// A person should look at a session, a phone or the machine.
    Attention,
    /// A fault of this program. The caller does not learn more than that.
    Bug,
}

/// What is answered and logged of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct ErrorFacts {
    pub(in crate::http) status: StatusCode,
    /// A [`Code`], or the reason of a session.
    pub(in crate::http) code: &'static str,
    pub(in crate::http) level: LogLevel,
    /// After how many seconds another try is worth it: the header `Retry-After`.
    pub(in crate::http) retry_after: Option<u64>,
}

/// Declares the codes. `retry` is the header `Retry-After` of a code for which it is always the same.
macro_rules! codes {
    ($($variant:ident = $status:ident, $level:ident, $code:literal $(, retry $seconds:expr)?, $remedy:literal;)*) => {
        /// The code of an error: stable, for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::http) enum Code {
            $($variant,)*
        }

        impl Code {
            /// Every code, by status.
            #[cfg(test)]
            pub(in crate::http) const ALL: &[Self] = &[$(Self::$variant),*];

            /// What is answered and logged with it.
            pub(in crate::http) const fn facts(self) -> ErrorFacts {
                match self {
                    $(Self::$variant => ErrorFacts {
                        status: StatusCode::$status,
                        code: $code,
                        level: LogLevel::$level,
                        retry_after: first(&[$($seconds)?]),
                    },)*
                }
            }

            /// When it comes, and what its caller does then.
            pub(in crate::http) const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

/// The seconds of a code that has some.
const fn first(seconds: &[u64]) -> Option<u64> {
    seconds.first().copied()
}

/// A list takes milliseconds, and a usual file about a second: a caller that has waited in vain comes back when the others have had their answers.
const BUSY_SECONDS: u64 = 5;

/// A phone that has just been woken uploads a file within this.
const PHONE_SECONDS: u64 = 15;

/// A service that is restarted is back within its stop budget.
const RESTART_SECONDS: u64 = 10;

codes! {
    InvalidJson = BAD_REQUEST, Usual, "INVALID_JSON", "The body is not one JSON object, nor a form: the message says what it is and how to mend it";
    InvalidClienteId = BAD_REQUEST, Usual, "INVALID_CLIENTE_ID", "No session can have this name, it stands in the wrong place, or a field that is not known stands where no session is named: a positive integer, or 1 to 64 of A-Z a-z 0-9 _ -";
    InvalidTo = BAD_REQUEST, Usual, "INVALID_TO", "Not one phone number with its country code, as a string; the message says what was found. Nothing was asked of WhatsApp";
    InvalidMessage = BAD_REQUEST, Usual, "INVALID_MESSAGE", "The text is missing, empty or no string";
    InvalidContent = BAD_REQUEST, Usual, "INVALID_CONTENT", "A field of what is to be sent cannot be taken: the message names it and says what to give; nothing was sent";
    InvalidAsync = BAD_REQUEST, Usual, "INVALID_ASYNC", "Give true or false";
    InvalidDryRun = BAD_REQUEST, Usual, "INVALID_DRY_RUN", "Give true or false; nothing was sent";
    InvalidIdempotencyKey = BAD_REQUEST, Usual, "INVALID_IDEMPOTENCY_KEY", "1 to 255 printable ASCII characters, in the header or in the body, and the same in both";
    InvalidState = BAD_REQUEST, Usual, "INVALID_STATE", "Give a state of a message, or of a delivery, in small letters";
    InvalidParameter = BAD_REQUEST, Usual, "INVALID_PARAMETER", "The query has a parameter that this route does not know, which would be ignored in silence: the message names it and lists those that there are";
    InvalidAfter = BAD_REQUEST, Usual, "INVALID_AFTER", "Give the next of the answer before; to GET /events also latest";
    InvalidLimit = BAD_REQUEST, Usual, "INVALID_LIMIT", "Give a whole number, 1 to 1000, or to as many as the message says";
    InvalidWait = BAD_REQUEST, Usual, "INVALID_WAIT", "Give ready or code; to GET /events whole seconds, 0 to 60";
    InvalidTypes = BAD_REQUEST, Usual, "INVALID_TYPES", "Give types of events, with commas between them; the message lists them";
    InvalidChat = BAD_REQUEST, Usual, "INVALID_CHAT", "The path has no address of a chat: a number with its country code, or what ends in @c.us, @lid or, of a group, @g.us; the message says what was found";
    InvalidFetch = BAD_REQUEST, Usual, "INVALID_FETCH", "Give true or false";
    InvalidPhone = BAD_REQUEST, Usual, "INVALID_PHONE", "Not one phone number with its country code; the message says what was found";
    InvalidForce = BAD_REQUEST, Usual, "INVALID_FORCE", "Give true or false; nothing was done";
    InvalidLogout = BAD_REQUEST, Usual, "INVALID_LOGOUT", "Give true or false; nothing was done";
    InvalidAssertion = BAD_REQUEST, Usual, "INVALID_ASSERTION", "A field of the passkey's assertion cannot be right: the message names it and says what to do. WhatsApp was not asked, and the challenge still waits";
    InvalidWebhook = BAD_REQUEST, Usual, "INVALID_WEBHOOK", "A field of the webhook cannot be taken: the message names it and says what to give; nothing was changed";
    InvalidFormat = BAD_REQUEST, Usual, "INVALID_FORMAT", "Give json, png, svg, ascii or raw";
    InvalidConfig = BAD_REQUEST, Usual, "INVALID_CONFIG", "A field of a session in WAHA's form cannot be taken: the message names it and says what to do; nothing was done";
    PublicUrlUnknown = BAD_REQUEST, Usual, "PUBLIC_URL_UNKNOWN", "The request calls the service by no name that is known to lead here (Host), so a link could lead elsewhere: set PUBLIC_URL";
    NumberNotOnWhatsApp = BAD_REQUEST, Usual, "NUMBER_NOT_ON_WHATSAPP", "The number is not on WhatsApp; nothing was sent: ask its owner";
    NotInGroup = BAD_REQUEST, Usual, "NOT_IN_GROUP", "The account is in no group with this address, or may not write there; nothing was sent: have it added, or look at the address";
    QuoteNotFound = BAD_REQUEST, Usual, "QUOTE_NOT_FOUND", "The message in quote is not in this chat, or cannot be answered; nothing was sent: give the id that GET /events has for it, or leave quote out";
    MediaUnreachable = BAD_REQUEST, Usual, "MEDIA_UNREACHABLE", "The file at media.url was not fetched: the message says why; nothing was sent. Give an address of the public internet that answers with the file, or bring it with POST /media";
    TwoKeys = BAD_REQUEST, Usual, "TWO_KEYS", "The request carries two different keys: send one";
    Unauthorized = UNAUTHORIZED, Usual, "UNAUTHORIZED", "The key is missing, wrong or expired: send it as X-Api-Key or Authorization: Bearer";
    Forbidden = FORBIDDEN, Usual, "FORBIDDEN", "The key is not for this, or not for this session: use another, or have its scope changed";
    OriginNotAllowed = FORBIDDEN, Usual, "ORIGIN_NOT_ALLOWED", "A web page of another origin asks: list it in CORS_ORIGINS if it should, or set PUBLIC_URL if it is the service's own";
    EvidenceOfChatsOff = FORBIDDEN, Usual, "EVIDENCE_OF_CHATS_OFF", "The page may show chats: set EVIDENCE_OF_CHATS=true to look at it nevertheless";
    NotFound = NOT_FOUND, Usual, "NOT_FOUND", "No such path: see the document";
    FileNotFound = NOT_FOUND, Usual, "FILE_NOT_FOUND", "No file has this id (any more), or it is of a session that the key is not for: events have the ids, in data.media.id";
    MediaNotFound = NOT_FOUND, Usual, "MEDIA_NOT_FOUND", "No file has the id in media.id (any more); nothing was sent: bring it again with POST /media";
    MessageNotFound = NOT_FOUND, Usual, "MESSAGE_NOT_FOUND", "No message has this id (any more), or the message is of a session that the key is not for";
    ChatNotFound = NOT_FOUND, Usual, "CHAT_NOT_FOUND", "The account has no chat with this address, or is in no such group: GET /chats and GET /groups list them";
    SessionNotFound = NOT_FOUND, Usual, "SESSION_NOT_FOUND", "There is nothing of such a session to delete";
    WebhookNotFound = NOT_FOUND, Usual, "WEBHOOK_NOT_FOUND", "No webhook has this id, or it is about a session that the key is not for: GET /webhooks lists them";
    NoQr = NOT_FOUND, Usual, "NO_QR", "There is no code to draw; the message says what to wait for or to do";
    NoEvidence = NOT_FOUND, Usual, "NO_EVIDENCE", "The session has left none: POST takes some of a running one";
    LinkNotFound = NOT_FOUND, Usual, "LINK_NOT_FOUND", "No such one-time link: it ended long ago, or with a restart of the service";
    MethodNotAllowed = METHOD_NOT_ALLOWED, Usual, "METHOD_NOT_ALLOWED", "The path has other methods: see the header Allow";
    RequestTimeout = REQUEST_TIMEOUT, Usual, "REQUEST_TIMEOUT", "The body did not arrive within 15 s: send it again";
    NotCancellable = CONFLICT, Usual, "NOT_CANCELLABLE", "The message is on its way or done with already";
    NotEditable = CONFLICT, Usual, "NOT_EDITABLE", "WhatsApp does not let the message be edited: only a text or a caption of this account, within some 15 minutes. Nothing was done: send another message";
    NotRevocable = CONFLICT, Usual, "NOT_REVOCABLE", "WhatsApp does not let the message be deleted for everybody: it is another person's, or older than some two days. Nothing was done: {\"for\": \"me\"} deletes it for this account";
    SessionNotRunning = CONFLICT, Usual, "SESSION_NOT_RUNNING", "Only a running session can be looked at: POST /connect first";
    SessionRunning = CONFLICT, Usual, "SESSION_RUNNING", "Only a session that does not run can be deleted: POST /disconnect first";
    SessionLinked = CONFLICT, Usual, "SESSION_LINKED", "The session has an account, or may have: only a logout deletes that";
    AlreadyLinked = CONFLICT, Usual, "ALREADY_LINKED", "The session has its phone: there is no code for a link to show";
    LinkedToAnotherNumber = CONFLICT, Usual, "LINKED_TO_ANOTHER_NUMBER", "The session has another account: log it out first, or use another cliente_id";
    NumberLinkedElsewhere = CONFLICT, Usual, "NUMBER_LINKED_ELSEWHERE", "Another session has this number, and WhatsApp would remove its device: use that session, scan the QR code, or give \"force\": true";
    WebhookOfSettings = CONFLICT, Usual, "WEBHOOK_OF_SETTINGS", "The webhook is set by WEBHOOK_URL: change it there, and restart the service; here it can be switched on and off, tested and redriven";
    TooManyWebhooks = CONFLICT, Usual, "TOO_MANY_WEBHOOKS", "There are as many webhooks as there may be: remove one, or let one receiver hand events on";
    NotLinked = CONFLICT, Usual, "NOT_LINKED", "Only a session that is up can be logged out: POST /connect first";
    NoNotice = CONFLICT, Usual, "NO_NOTICE", "No notice that only wants to be closed lies over the chats: notice of GET /status has the first words of one";
    NoticeWithChoice = CONFLICT, Usual, "NOTICE_WITH_CHOICE", "The dialog over the chats asks something: look at what the page shows; the service answers no question";
    NoPasskeyPending = CONFLICT, Usual, "NO_PASSKEY_PENDING", "Nothing waits for this: no passkey is wanted, or another step of it is under way. The message says which; GET /sessions/{id}/passkey shows it";
    OtherChallenge = CONFLICT, Usual, "OTHER_CHALLENGE", "The assertion signs another challenge than the one that waits: GET /sessions/{id}/passkey, and sign what it gives now";
    Cancelled = CONFLICT, Usual, "CANCELLED", "The message was taken back; nothing was sent";
    AccountChanged = CONFLICT, Usual, "ACCOUNT_CHANGED", "The session was logged out, or has another account than the one that the message was for; nothing was sent: make the request again if it should go out nevertheless";
    FileGone = GONE, Usual, "FILE_GONE", "Neither WhatsApp's servers nor the phone have the file any more, or its message was deleted";
    CursorExpired = GONE, Usual, "CURSOR_EXPIRED", "Events behind this cursor are no longer kept (EVENT_RETENTION_HOURS), or an older copy of the ledger was put back: go on from oldest, and know that some may be missing";
    LinkOver = GONE, Usual, "LINK_OVER", "The one-time link has been used, or its 10 minutes are over: ask for a new one";
    PayloadTooLarge = PAYLOAD_TOO_LARGE, Usual, "PAYLOAD_TOO_LARGE", "The text is longer than 65,536 characters, or the body larger than such a text, and to /send a file of 10 MiB, can be: send it in parts, and larger files with POST /media";
    MediaTooLarge = PAYLOAD_TOO_LARGE, Usual, "MEDIA_TOO_LARGE", "The file is larger than MEDIA_MAX_MB allows, or than fits into the body of a send: bring large ones with POST /media; nothing was sent";
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, Usual, "UNSUPPORTED_MEDIA_TYPE", "The body is multipart/form-data, or in a character set or Content-Encoding that is not read: send JSON in UTF-8, as it is or with gzip, deflate or br, and files with POST /media";
    RangeNotSatisfiable = RANGE_NOT_SATISFIABLE, Usual, "RANGE_NOT_SATISFIABLE", "Range means no byte of the file: Content-Range says how many it has";
    MisdirectedRequest = MISDIRECTED_REQUEST, Usual, "MISDIRECTED_REQUEST", "Without a key the service answers only to an address, to localhost and to the name in PUBLIC_URL: call it by one of these, set PUBLIC_URL, or make a key";
    PasskeyRefused = UNPROCESSABLE_ENTITY, Usual, "PASSKEY_REFUSED", "WhatsApp refused, with its own word in the message. The next attempt begins by itself, with another challenge, and a code has to be compared then";
    IdempotencyKeyReused = UNPROCESSABLE_ENTITY, Usual, "IDEMPOTENCY_KEY_REUSED", "The key belongs to another request; nothing was sent: use a new one";
    TooManyAttempts = TOO_MANY_REQUESTS, Usual, "TOO_MANY_ATTEMPTS", "Too many wrong keys came from this address: wait as long as Retry-After says";
    QueueFull = TOO_MANY_REQUESTS, Usual, "QUEUE_FULL", "Too many messages wait; nothing was sent: make the request again after Retry-After";
    QueueTimeout = TOO_MANY_REQUESTS, Usual, "QUEUE_TIMEOUT", "Its turn would not come, or has not come, in time; nothing was sent: make the request again after Retry-After, or with async";
    LogoutUnconfirmed = INTERNAL_SERVER_ERROR, Attention, "LOGOUT_UNCONFIRMED", "It is not known whether the device was removed: look at the phone under Linked devices";
    PasskeyFailed = INTERNAL_SERVER_ERROR, Attention, "PASSKEY_FAILED", "The page did not take the step: GET /sessions/{id}/passkey shows how it stands, POST /sessions/{id}/evidence what the page shows";
    SendFailed = INTERNAL_SERVER_ERROR, Attention, "SEND_FAILED", "Nothing was sent: the page did not take it, or the number could not be checked. Make the request again; if that gets the same answer, with a new key";
    SendUnconfirmed = INTERNAL_SERVER_ERROR, Attention, "SEND_UNCONFIRMED", "It may have been sent: ask GET /messages/{message_id}, do not send it again";
    ReadingFailed = INTERNAL_SERVER_ERROR, Usual, "READING_FAILED", "WhatsApp Web did not answer in time, or not as expected; nothing was changed: make the request again, with a smaller limit if it stays so";
    NoticeStays = INTERNAL_SERVER_ERROR, Attention, "NOTICE_STAYS", "The notice was not closed: look at what the page shows, or disconnect and connect the session";
    NotDeleted = INTERNAL_SERVER_ERROR, Attention, "NOT_DELETED", "Something of the session could not be deleted; the message says what: check TOKENS_DIR and DATA_DIR, and delete it again";
    EvidenceUnavailable = INTERNAL_SERVER_ERROR, Attention, "EVIDENCE_UNAVAILABLE", "The evidence cannot be read or written: check the disk of DATA_DIR";
    Internal = INTERNAL_SERVER_ERROR, Bug, "INTERNAL", "A fault of this program: its log says what";
    FileFailed = BAD_GATEWAY, Attention, "FILE_FAILED", "WhatsApp Web could not bring the file, or gave other bytes than the message said: the message says why. Ask again";
    Capacity = SERVICE_UNAVAILABLE, Attention, "CAPACITY", "No room for another session: end one, or see MAX_SESSIONS and MIN_FREE_MEMORY_MB; the figures are in the answer";
    TooManyStreams = SERVICE_UNAVAILABLE, Usual, "TOO_MANY_STREAMS", "64 streams are open, or 16 of this key or address, or 3 of this link: close a page, then try again";
    TooManyLinks = SERVICE_UNAVAILABLE, Usual, "TOO_MANY_LINKS", "Too many one-time links are open: each ends by itself after 10 minutes";
    SessionNotReady = SERVICE_UNAVAILABLE, Usual, "SESSION_NOT_READY", "Nothing was sent; state, reason and detail say why: make the request again once it is READY";
    ProfileStale = SERVICE_UNAVAILABLE, Attention, "PROFILE_STALE", "The profile is a copy older than what was sent to this recipient, and the page could not begin a new Signal session: the recipient would not see the message. Nothing was sent; others can be sent to. The message says what is missing: update the page scripts, or set STALE_SENDS=risk";
    FileAwaitsPhone = SERVICE_UNAVAILABLE, Usual, "FILE_AWAITS_PHONE", retry PHONE_SECONDS, "WhatsApp's servers do not have the file any more, and the phone was asked to upload it again: see that it is on, and ask again after Retry-After";
    FileNotReady = SERVICE_UNAVAILABLE, Usual, "FILE_NOT_READY", "The file is not here yet, and the session that could bring it is not READY: connect it, and ask again";
    FileBusy = SERVICE_UNAVAILABLE, Usual, "FILE_BUSY", retry BUSY_SECONDS, "The file is not here yet, and as many others as the session, or the service, can bring at once are on their way: ask again after Retry-After";
    FileUnavailable = SERVICE_UNAVAILABLE, Attention, "FILE_UNAVAILABLE", "Files cannot be read or written (MEDIA_STORE): the log of the service says why. Check the folder and its disk, or the bucket, the way there, and the key to it";
    MediaUnavailable = SERVICE_UNAVAILABLE, Attention, "MEDIA_UNAVAILABLE", "The file cannot be kept on disk, so nothing is sent: check the disk of DATA_DIR";
    MessagesBusy = SERVICE_UNAVAILABLE, Usual, "MESSAGES_BUSY", retry BUSY_SECONDS, "Too many requests for messages at once; sends go on: make the request again after Retry-After";
    ReadingBusy = SERVICE_UNAVAILABLE, Usual, "READING_BUSY", retry BUSY_SECONDS, "The session is asked for more than it reads at once; one reading at a time, and sends go first: make the request again after Retry-After";
    ReadingUnavailable = SERVICE_UNAVAILABLE, Attention, "READING_UNAVAILABLE", "The page cannot be read: the adapter dom sees the screen only, or WhatsApp Web lacks what the message names. Add modules or wa-js to ADAPTERS, or update the page scripts and wa-js";
    LedgerUnavailable = SERVICE_UNAVAILABLE, Attention, "LEDGER_UNAVAILABLE", "Nothing can be written down, so nothing is sent: the message says what is wrong with the ledger in DATA_DIR and what to do";
    ShuttingDown = SERVICE_UNAVAILABLE, Usual, "SHUTTING_DOWN", retry RESTART_SECONDS, "The service stops or restarts; nothing was done: make the request again after Retry-After";
}
