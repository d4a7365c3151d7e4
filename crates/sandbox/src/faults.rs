//! The faults that a test or a person can inject, as one typed set.
//!
//! Responsible for: which faults exist, what they are called on the wire, whom they concern.
//! Not responsible for: acting on them (`device` for the server's, `page/` for the page's).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::number::Number;

/// What `POST /faults` takes. Every field is optional; what is absent is healthy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fault of its own, in any combination"
)]
pub(super) struct Faults {
    /// Only this account suffers; absent: all do, pages that are not linked included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<Number>,
    /// What becomes of acknowledgements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ack: Option<AckFault>,
    /// Milliseconds until a stored message is acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ack_delay_ms: Option<u64>,
    /// What becomes of a message that the page is asked to send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) send: Option<SendFault>,
    /// What becomes of what the page stores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) storage: Option<StorageFault>,
    /// What becomes of a page that asks the phone for older messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) older_history: Option<OlderHistoryFault>,
    /// The server does not say which LID a number has.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) no_lids: bool,
    /// What becomes of the question whether a number is on WhatsApp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number_check: Option<NumberCheckFault>,
    /// What becomes of a page that asks for a code to link by phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pairing: Option<PairingFault>,
    /// What becomes of the connection between page and server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) socket: Option<SocketFault>,
    /// Milliseconds of silence after which the page gives its connection up (33,500).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) silence_noticed_ms: Option<u64>,
    /// Something that happens once, when it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) event: Option<Event>,
    /// The page that is served instead of WhatsApp Web.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<PageFault>,
    /// Milliseconds before the page is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) page_delay_ms: Option<u64>,
    /// Milliseconds between the page's load and its first code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code_delay_ms: Option<u64>,
    /// Milliseconds that the page spends syncing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sync_ms: Option<u64>,
    /// Milliseconds after the loader at which the modules arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) modules_delay_ms: Option<u64>,
    /// There is no `require` and no `__d`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) no_registry: bool,
    /// Modules that have another name: old name to new one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) rename_modules: BTreeMap<String, String>,
    /// Modules that have moved and left their old name to a remnant, which has the same exports and throws when called:
    /// old name to new one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) remnants: BTreeMap<String, String>,
    /// Functions that take one object of named arguments instead of positional ones, as `Module.export`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reshape: Vec<String>,
    /// Modules that do nothing, as the real page has thousands of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filler_modules: Option<u32>,
    /// Exports that are gone, as `Module.export`; a bare `Module` is gone as a whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) missing: Vec<String>,
    /// Which WhatsApp Web is shown; absent: that of autumn 2026.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) build: Option<Build>,
    /// Milliseconds after which an account that does not answer the "What's new" dialog is logged out (300,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) whats_new_logout_ms: Option<u64>,
    /// Milliseconds after linking at which the page reloads, once (300,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) self_reload_ms: Option<u64>,
    /// Whether a linked page has its connection in a dedicated worker; absent: it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) comms_in_worker: Option<bool>,
    /// The page draws as in a hidden tab: of an open chat the last message only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) hidden_tab: bool,
    /// Marks of the screen that are gone: attributes by name or by value, and icons by title.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) missing_marks: Vec<String>,
    /// The icon of a message on the server is `wds-ic-delivered`, and that of a delivered one `wds-ic-read`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) coarse_ticks: bool,
    /// The word of the page for what became of each send; nothing is stored by the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) send_result: Option<SendResult>,
    /// A device that has read `status@broadcast` is removed when its page reloads.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) status_read_revokes: bool,
    /// A dialog with one button and this text lies over the chats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) notice: Option<String>,
    /// A dialog with two buttons and this text lies over the chats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) question: Option<String>,
    /// Milliseconds after which a device is removed when another page asks for a pairing code for its number (60,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pairing_revokes_ms: Option<u64>,
    /// What becomes of a signed passkey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) passkey: Option<PasskeyFault>,
    /// Milliseconds for which the page waits for a signature (600,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) passkey_timeout_ms: Option<u64>,
    /// Milliseconds that each stage of linking with a passkey may take (120,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) passkey_stage_ms: Option<u64>,
    /// Milliseconds for which the proof that spares a person the comparison of codes is valid (300,000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) passkey_proof_ms: Option<u64>,
    /// What becomes of messages that come before the page's main part is ready; absent: they go to storage, and no listener
    /// hears of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offline_queue: Option<OfflineQueueFault>,
    /// An open page for which this many things or more waited loads itself again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resume_limit: Option<u64>,
    /// Seconds after which a message cannot be edited any more (1,200).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) edit_window_seconds: Option<u64>,
    /// What becomes of a search in the page's own storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message_search: Option<MessageSearchFault>,
    /// What becomes of a medium that the page uploads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) media_upload: Option<MediaUploadFault>,
    /// What becomes of a medium that the page downloads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) media_download: Option<MediaDownloadFault>,
    /// Chats are addressed by LID. In the early build message keys then keep their text in `$1`, and `Cmd.refreshQR` is
    /// gone, as in all later builds.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) lid_chats: bool,
    /// The page's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) language: Option<Language>,
    /// The page reloads itself while a message is on its way.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) reload_in_send: bool,
    /// Text that stands in the compose box of each chat when it is opened, as a person's draft does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) draft: Option<String>,
    /// What becomes of the address that opens a chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) route: Option<RouteFault>,
    /// Chats are headed by a saved name instead of a number.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) named_chats: bool,
}

/// What becomes of acknowledgements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AckFault {
    /// The server stores the message and never says so.
    Never,
    /// The server acknowledges, but no receipt follows: delivered and read never come.
    NoReceipts,
}

/// What becomes of a message that the page is asked to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SendFault {
    /// The page's function throws; nothing is queued.
    Throws,
    /// The server refuses: ack -1 and `ERROR_UNKNOWN`; nothing is stored.
    Refused,
    /// The message vanishes between page and server; the page re-sends it when it reconnects.
    Lost,
    /// The page takes the message, and its promise of a result rejects; nothing is sent.
    Rejected,
}

/// What the page says of a send that did not succeed, in its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SendResult {
    /// Not final: the message stays in the page's queue, and is sent again when the page reconnects.
    #[serde(rename = "ERROR_NETWORK")]
    Network,
    #[serde(rename = "ERROR_EXPIRED")]
    Expired,
    /// Comes without an acknowledgement below zero.
    #[serde(rename = "ERROR_CANCELLED")]
    Cancelled,
    #[serde(rename = "ERROR_UPLOAD")]
    Upload,
    #[serde(rename = "ERROR_UNKNOWN")]
    Unknown,
}

/// A build of WhatsApp Web that is not the default one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Build {
    /// As it was before summer 2026.
    #[serde(rename = "early-2026")]
    Early2026,
}

/// What becomes of a signed passkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PasskeyFault {
    /// The server refuses it.
    Refused,
    /// The phone never answers it.
    Unanswered,
}

/// What becomes of what the page stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StorageFault {
    /// There is no room: messages are taken, kept in memory only and never sent, also once there is room again, until
    /// the page is loaded again.
    Full,
}

/// What becomes of messages that come before the page's main part is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OfflineQueueFault {
    /// Listeners hear of them as of any new message.
    Events,
}

/// What becomes of a search for messages in the page's own storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MessageSearchFault {
    /// It never settles.
    Never,
}

/// What becomes of a page that asks the phone for older messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OlderHistoryFault {
    /// The phone is switched off: no answer ever comes.
    Never,
}

/// What becomes of a medium that the page uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MediaUploadFault {
    /// The server refuses it (500).
    Refused,
    /// The server finds it too large (413).
    TooLarge,
    /// The server does not allow it (403).
    Forbidden,
    /// The server does not answer, until the fault is cleared.
    Never,
}

/// What becomes of a medium that the page downloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MediaDownloadFault {
    /// It is no longer on the server (410); a phone uploads it again when the page asks.
    Expired,
    /// It is no longer on the server, and the phone is not there to answer.
    Waiting,
    /// It is no longer on the server, and no phone has it.
    Gone,
    /// Other bytes come.
    Corrupt,
    /// The server does not answer, until the fault is cleared.
    Never,
}

/// What becomes of the question whether a number is on WhatsApp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NumberCheckFault {
    /// The page's function rejects with a network error.
    NetworkError,
    /// No answer ever comes.
    Never,
}

/// What becomes of a page that asks for a code to link by phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PairingFault {
    /// The server refuses every number: `IQErrorBadRequest`.
    Refused,
    /// Too many codes have been asked for: `IQErrorRateOverlimit`.
    RateLimited,
    /// The account may not be linked this way: `IQErrorFeatureNotAvailable`.
    NotAvailable,
    /// No answer ever comes.
    Never,
}

/// What becomes of the address that opens a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RouteFault {
    /// The last chat is opened instead of the one that was asked for.
    WrongChat,
    /// The page ignores it and shows its list of chats.
    Ignored,
}

/// What becomes of the connection between page and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SocketFault {
    /// Closed, and refused until the fault is cleared.
    Refuse,
    /// Cut without a word: nothing arrives any more, in either direction, nor on new connections.
    Silent,
}

/// Something that befalls an account once, when it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    /// The connection is closed; the page reconnects as it does on a healthy day.
    SocketClosed,
    /// WhatsApp Web was opened elsewhere.
    Conflict,
    /// The account is banned for a while.
    Ban,
    /// The page cannot use its storage any more.
    StorageError,
    /// The page reloads itself.
    Reload,
    /// The page hears that a newer build of it is there, and goes on working.
    NeedsUpdate,
}

/// The page that is served instead of WhatsApp Web.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PageFault {
    /// "Update your browser", as a refused user agent gets it.
    Update,
    /// Linking stops at a passkey.
    Passkey,
    /// The request is never answered.
    NeverLoads,
    /// The splash stays for ever.
    NeverStarts,
}

/// The page's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Language {
    En,
    Es,
    Pt,
    /// Only the dialog "What's new" is in Arabic, which writes even the name WhatsApp in its own letters.
    Ar,
}

impl Faults {
    /// Reads a set; what is wrong is said with the name of the field.
    pub(super) fn parse(fields: &Map<String, Value>) -> Result<Self, (String, String)> {
        for (name, value) in fields {
            let alone = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
            serde_json::from_value::<Self>(alone).map_err(|why| (name.clone(), why.to_string()))?;
        }
        let whole = Value::Object(fields.clone());
        serde_json::from_value(whole).map_err(|why| (String::new(), why.to_string()))
    }

    /// These faults, and those of `other` where it has any.
    fn overlaid_with(&self, other: &Self) -> Self {
        let both = |ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>| {
            ours.iter()
                .chain(theirs)
                .map(|(name, other)| (name.clone(), other.clone()))
                .collect()
        };
        let listed =
            |ours: &[String], theirs: &[String]| ours.iter().chain(theirs).cloned().collect();
        Self {
            account: other.account.clone(),
            ack: other.ack.or(self.ack),
            ack_delay_ms: other.ack_delay_ms.or(self.ack_delay_ms),
            send: other.send.or(self.send),
            storage: other.storage.or(self.storage),
            older_history: other.older_history.or(self.older_history),
            no_lids: other.no_lids || self.no_lids,
            number_check: other.number_check.or(self.number_check),
            pairing: other.pairing.or(self.pairing),
            socket: other.socket.or(self.socket),
            silence_noticed_ms: other.silence_noticed_ms.or(self.silence_noticed_ms),
            event: None,
            page: other.page.or(self.page),
            page_delay_ms: other.page_delay_ms.or(self.page_delay_ms),
            code_delay_ms: other.code_delay_ms.or(self.code_delay_ms),
            sync_ms: other.sync_ms.or(self.sync_ms),
            modules_delay_ms: other.modules_delay_ms.or(self.modules_delay_ms),
            no_registry: other.no_registry || self.no_registry,
            rename_modules: both(&self.rename_modules, &other.rename_modules),
            remnants: both(&self.remnants, &other.remnants),
            reshape: listed(&self.reshape, &other.reshape),
            filler_modules: other.filler_modules.or(self.filler_modules),
            missing: listed(&self.missing, &other.missing),
            build: other.build.or(self.build),
            whats_new_logout_ms: other.whats_new_logout_ms.or(self.whats_new_logout_ms),
            self_reload_ms: other.self_reload_ms.or(self.self_reload_ms),
            comms_in_worker: other.comms_in_worker.or(self.comms_in_worker),
            hidden_tab: other.hidden_tab || self.hidden_tab,
            missing_marks: listed(&self.missing_marks, &other.missing_marks),
            coarse_ticks: other.coarse_ticks || self.coarse_ticks,
            send_result: other.send_result.or(self.send_result),
            status_read_revokes: other.status_read_revokes || self.status_read_revokes,
            notice: other.notice.clone().or_else(|| self.notice.clone()),
            question: other.question.clone().or_else(|| self.question.clone()),
            pairing_revokes_ms: other.pairing_revokes_ms.or(self.pairing_revokes_ms),
            passkey: other.passkey.or(self.passkey),
            passkey_timeout_ms: other.passkey_timeout_ms.or(self.passkey_timeout_ms),
            passkey_stage_ms: other.passkey_stage_ms.or(self.passkey_stage_ms),
            passkey_proof_ms: other.passkey_proof_ms.or(self.passkey_proof_ms),
            offline_queue: other.offline_queue.or(self.offline_queue),
            resume_limit: other.resume_limit.or(self.resume_limit),
            edit_window_seconds: other.edit_window_seconds.or(self.edit_window_seconds),
            message_search: other.message_search.or(self.message_search),
            media_upload: other.media_upload.or(self.media_upload),
            media_download: other.media_download.or(self.media_download),
            lid_chats: other.lid_chats || self.lid_chats,
            language: other.language.or(self.language),
            reload_in_send: other.reload_in_send || self.reload_in_send,
            draft: other.draft.clone().or_else(|| self.draft.clone()),
            route: other.route.or(self.route),
            named_chats: other.named_chats || self.named_chats,
        }
    }
}

/// All faults that are set: those of everybody and those of single accounts.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct FaultBoard {
    everybody: Faults,
    accounts: BTreeMap<Number, Faults>,
}

impl FaultBoard {
    /// Puts a set in the place of the one with the same scope; an empty one clears everything, one with nothing but an
    /// account that account's.
    /// An event leaves nothing behind, and alone it changes nothing.
    pub(super) fn set(&mut self, mut faults: Faults) {
        let event = faults.event.take();
        let lasting = Faults {
            account: faults.account.clone(),
            ..Faults::default()
        } != faults;
        if faults == Faults::default() && event.is_none() {
            *self = Self::default();
        }
        if !lasting && (event.is_some() || faults.account.is_none()) {
            return;
        }
        match faults.account.clone() {
            Some(account) => {
                self.accounts.insert(account, faults);
            }
            None => self.everybody = faults,
        }
    }

    /// What one account (or a page that is not linked) suffers from.
    pub(super) fn of(&self, account: Option<&Number>) -> Faults {
        match account.and_then(|account| self.accounts.get(account)) {
            Some(own) => self.everybody.overlaid_with(own),
            None => self.everybody.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(value: &Value) -> Result<Faults, (String, String)> {
        Faults::parse(value.as_object().unwrap())
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (value, field) in [
            (json!({"ack": "sometimes"}), "ack"),
            (json!({"acks": "never"}), "acks"),
            (
                json!({"ack": "never", "ack_delay_ms": "long"}),
                "ack_delay_ms",
            ),
        ] {
            assert_eq!(parse(&value).unwrap_err().0, field);
        }
    }

    #[test]
    fn the_faults_of_one_account_leave_the_others_alone() {
        let number = |raw: &str| Number::parse(raw).unwrap();
        let mut board = FaultBoard::default();
        board.set(parse(&json!({"account": "5491150000001", "ack": "never"})).unwrap());
        board.set(parse(&json!({"ack_delay_ms": 5})).unwrap());
        let concerned = board.of(Some(&number("5491150000001")));
        assert_eq!(
            (concerned.ack, concerned.ack_delay_ms),
            (Some(AckFault::Never), Some(5))
        );
        assert_eq!(board.of(Some(&number("5491150000002"))).ack, None);
        board.set(parse(&json!({"account": "5491150000001"})).unwrap());
        let cleared = board.of(Some(&number("5491150000001")));
        assert_eq!((cleared.ack, cleared.ack_delay_ms), (None, Some(5)));
        board.set(Faults::default());
        assert_eq!(board.of(Some(&number("5491150000001"))), Faults::default());
    }
}
