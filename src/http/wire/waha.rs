//! The words of WAHA, another WhatsApp API: what its clients put into a body, and what they read of an answer.
//!
//! By WAHA's own `OpenAPI` document of October 2026, as the package `waha-py` 2026.9.2 carries it. WAHA describes these routes;
//! this service's document does not. Each field is named here and nowhere else; what becomes of it, `api::waha` says. docs/waha.md
//! has what differs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::requests::{AnyClienteId, Given, Nested};
use crate::{
    delivery::{ShownWebhook, waha},
    session::{ClienteId, PasskeyStep, Sent, Snapshot},
    stored::Chat,
};

/// The body of every route that sends, or does something in a chat: each reads its own fields of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct WahaSendBody {
    #[serde(default)]
    pub(in crate::http) session: Given<AnyClienteId>,
    #[serde(default)]
    pub(in crate::http) chat_id: Given<String>,
    /// The message that is answered.
    #[serde(default, rename = "reply_to")]
    pub(in crate::http) reply_to: Given<String>,
    /// The id that the message is to have.
    #[serde(default)]
    pub(in crate::http) id: Given<String>,
    #[serde(default)]
    pub(in crate::http) text: Given<String>,
    #[serde(default)]
    pub(in crate::http) mentions: Nested<Value>,
    #[serde(default)]
    pub(in crate::http) latitude: Nested<Value>,
    #[serde(default)]
    pub(in crate::http) longitude: Nested<Value>,
    #[serde(default)]
    pub(in crate::http) title: Nested<Value>,
    #[serde(default)]
    pub(in crate::http) poll: Nested<WahaPoll>,
    #[serde(default)]
    pub(in crate::http) contacts: Nested<Vec<WahaContact>>,
    #[serde(default)]
    pub(in crate::http) file: Nested<WahaFileToSend>,
    #[serde(default)]
    pub(in crate::http) caption: Given<String>,
    /// Whether a video is sent as a round one.
    #[serde(default)]
    pub(in crate::http) as_note: Given<bool>,
}

/// A file to be sent. It is never converted, so what WAHA has for that (`convert`) is not read.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(expecting = "an object that has url or data")]
pub(in crate::http) struct WahaFileToSend {
    pub(in crate::http) mimetype: Option<String>,
    pub(in crate::http) filename: Option<String>,
    /// Where the service fetches it.
    pub(in crate::http) url: Option<String>,
    /// Its bytes in base64.
    pub(in crate::http) data: Option<String>,
    /// The id that `POST /media` has answered, which WAHA does not have.
    pub(in crate::http) id: Option<String>,
}

/// The body of `PUT /api/reaction`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct WahaReactionBody {
    #[serde(default)]
    pub(in crate::http) session: Given<AnyClienteId>,
    #[serde(default)]
    pub(in crate::http) message_id: Given<String>,
    /// One emoji; empty: the reaction is taken back.
    #[serde(default)]
    pub(in crate::http) reaction: Given<String>,
}

/// A poll to be sent.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(
    rename_all = "camelCase",
    expecting = "an object that has name and options"
)]
pub(in crate::http) struct WahaPoll {
    pub(in crate::http) name: String,
    pub(in crate::http) options: Vec<String>,
    #[serde(default)]
    pub(in crate::http) multiple_answers: Option<bool>,
}

/// A contact card to be sent.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(
    rename_all = "camelCase",
    expecting = "an object that has fullName and phoneNumber"
)]
pub(in crate::http) struct WahaContact {
    pub(in crate::http) full_name: Option<String>,
    pub(in crate::http) phone_number: Option<String>,
    pub(in crate::http) whatsapp_id: Option<String>,
    /// A card that is written already.
    pub(in crate::http) vcard: Option<String>,
    pub(in crate::http) organization: Option<String>,
}

/// The body of `POST /api/sessions` and `PUT /api/sessions/{session}`.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct WahaSessionBody {
    #[serde(default)]
    pub(in crate::http) name: Given<AnyClienteId>,
    /// Whether to start it; left out: yes.
    #[serde(default)]
    pub(in crate::http) start: Given<bool>,
    #[serde(default)]
    pub(in crate::http) config: Nested<WahaConfig>,
    #[serde(default)]
    pub(in crate::http) apps: Nested<Vec<Value>>,
}

/// What a session's settings may have here. What WAHA has for its other engines is not looked at.
#[derive(Debug, Default, PartialEq, Deserialize)]
pub(in crate::http) struct WahaConfig {
    pub(in crate::http) webhooks: Option<Vec<WahaWebhook>>,
    pub(in crate::http) proxy: Option<Value>,
    pub(in crate::http) metadata: Option<serde_json::Map<String, Value>>,
    pub(in crate::http) ignore: Option<WahaIgnore>,
}

/// Which chats WAHA is not to report.
#[derive(Debug, PartialEq, Deserialize)]
pub(in crate::http) struct WahaIgnore {
    pub(in crate::http) groups: Option<bool>,
}

/// A webhook of one session.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct WahaWebhook {
    pub(in crate::http) url: String,
    pub(in crate::http) events: Option<Vec<String>>,
    pub(in crate::http) hmac: Option<WahaHmac>,
    pub(in crate::http) custom_headers: Option<Vec<WahaHeader>>,
}

/// What a webhook signs with.
#[derive(Debug, PartialEq, Deserialize)]
pub(in crate::http) struct WahaHmac {
    pub(in crate::http) key: Option<String>,
}

/// A header of a webhook.
#[derive(Debug, PartialEq, Deserialize)]
pub(in crate::http) struct WahaHeader {
    pub(in crate::http) name: String,
    pub(in crate::http) value: String,
}

/// The body of `POST /api/{session}/auth/request-code`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct WahaCodeBody {
    #[serde(default)]
    pub(in crate::http) phone_number: Given<String>,
}

/// A session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct WahaSession {
    name: String,
    status: &'static str,
    config: Value,
    me: Option<WahaMe>,
    engine: Value,
    presence: (),
    timestamps: Value,
}

/// The account of a session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct WahaMe {
    id: String,
    /// What the person calls themselves: this service does not know it.
    push_name: (),
}

impl WahaSession {
    /// `webhooks`: those that were made for this session alone.
    pub(in crate::http) fn of(
        id: &ClienteId,
        snapshot: &Snapshot,
        webhooks: &[ShownWebhook],
    ) -> Self {
        let shown = |shown: &ShownWebhook| {
            json!({
                "url": &shown.webhook.url,
                "events": waha::events_of(&shown.webhook.types),
                // What signs is a secret, and so are the values of headers.
                "hmac": null,
                "retries": null,
                "customHeaders": null,
            })
        };
        let webhooks: Vec<Value> = webhooks.iter().map(shown).collect();
        Self {
            name: id.to_string(),
            status: status(snapshot),
            config: json!({ "webhooks": webhooks }),
            me: WahaMe::of(snapshot),
            engine: json!({ "engine": waha::ENGINE }),
            presence: (),
            timestamps: json!({ "activity": null }),
        }
    }

    /// Whether WAHA lists it without being asked for all sessions.
    pub(in crate::http) fn is_stopped(&self) -> bool {
        self.status == waha::status("DISCONNECTED")
    }
}

impl WahaMe {
    /// `None`: the session has no account, or its number is not known yet.
    pub(in crate::http) fn of(snapshot: &Snapshot) -> Option<Self> {
        let number = snapshot.linked_account()?;
        Some(Self {
            id: format!("{}@c.us", &**number),
            push_name: (),
        })
    }
}

/// Where a session stands, in WAHA's words.
fn status(snapshot: &Snapshot) -> &'static str {
    match snapshot.passkey.as_ref().map(|passkey| passkey.step) {
        Some(PasskeyStep::Sign) => "PASSKEY_REQUIRED",
        Some(PasskeyStep::Compare) => "PASSKEY_CONFIRMATION_REQUIRED",
        Some(
            PasskeyStep::Preparing
            | PasskeyStep::Sending
            | PasskeyStep::Phone
            | PasskeyStep::Linking,
        )
        | None => waha::status(snapshot.state.name()),
    }
}

/// A message that was accepted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct WahaMessage {
    id: String,
    timestamp: i64,
    from: Option<String>,
    from_me: bool,
    source: &'static str,
    to: String,
    participant: (),
    body: String,
    has_media: bool,
    media: (),
    ack: i32,
    ack_name: &'static str,
    reply_to: Option<Value>,
    /// What whatsapp-web.js calls an id, and how far the message has got in the words of this service.
    #[serde(rename = "_data")]
    data: Value,
}

impl WahaMessage {
    /// `to`: whom it was addressed to; `body`: its text, empty where it has none.
    pub(in crate::http) fn of(
        sent: &Sent,
        account: Option<&str>,
        to: &str,
        body: String,
        quoted: Option<String>,
    ) -> Self {
        // `true_<chat>_<key>`, or the key alone while the rest is not known.
        let mut parts = sent.message_id.splitn(3, '_').skip(1);
        let (chat, key) = (parts.next(), parts.next());
        let to = chat.map_or_else(|| address(to), str::to_owned);
        Self {
            timestamp: sent.at.as_second(),
            from: account.map(address),
            from_me: true,
            source: "api",
            participant: (),
            body,
            has_media: false,
            media: (),
            ack: sent.ack,
            ack_name: waha::ack_name(sent.ack),
            reply_to: quoted.map(|id| json!({ "id": id })),
            data: json!({
                "id": {
                    "fromMe": true,
                    "remote": &to,
                    "id": key.unwrap_or(&sent.message_id),
                    "_serialized": &sent.message_id,
                },
                "state": sent.state.as_str(),
            }),
            to,
            id: sent.message_id.clone(),
        }
    }

    /// The same of one that carries a file.
    pub(in crate::http) const fn with_media(mut self, has_media: bool) -> Self {
        self.has_media = has_media;
        self
    }
}

/// A chat, as WAHA's engine WEBJS gives it: but for `isMuted` and `muteExpiration`, which this service does not know.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "WAHA's words for a chat, each a fact of its own"
)]
pub(in crate::http) struct WahaChat {
    id: Value,
    name: Option<String>,
    is_group: bool,
    is_read_only: bool,
    unread_count: u64,
    timestamp: Option<i64>,
    archived: bool,
    pinned: bool,
    last_message: Option<Value>,
}

impl WahaChat {
    /// `me`: the address of the account.
    pub(in crate::http) fn of(chat: &Chat, me: Option<&str>) -> Self {
        let address = address_of(chat);
        let (user, server) = address.split_once('@').unwrap_or((&address, ""));
        Self {
            id: json!({ "server": server, "user": user, "_serialized": &address }),
            name: chat.name.as_deref().map(str::to_owned),
            is_group: chat.is_group,
            is_read_only: chat.is_read_only,
            unread_count: chat.unread_count,
            timestamp: chat.last_at.map(Timestamp::as_second),
            archived: chat.is_archived,
            pinned: chat.is_pinned,
            last_message: last_message(chat, me),
        }
    }
}

/// A chat in an overview.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct WahaChatSummary {
    id: String,
    name: Option<String>,
    picture: (),
    last_message: Option<Value>,
    #[serde(rename = "_chat")]
    chat: WahaChat,
}

impl WahaChatSummary {
    /// `me`: the address of the account.
    pub(in crate::http) fn of(chat: &Chat, me: Option<&str>) -> Self {
        let shown = WahaChat::of(chat, me);
        Self {
            id: address_of(chat),
            name: shown.name.clone(),
            picture: (),
            last_message: shown.last_message.clone(),
            chat: shown,
        }
    }
}

fn address_of(chat: &Chat) -> String {
    waha::chat_of(&chat.chat, chat.is_group, chat.person.as_ref())
}

fn last_message(chat: &Chat, me: Option<&str>) -> Option<Value> {
    waha::stored_message(chat.last_message.as_deref()?, me)
}

/// What came of marking a chat as read: which messages were meant is not said, as WAHA's engine WEBJS does.
#[derive(Debug, Default, Serialize)]
pub(in crate::http) struct WahaSeen {
    ids: (),
}

/// Done.
#[derive(Debug, Serialize)]
pub(in crate::http) struct WahaDone {
    pub(in crate::http) result: bool,
}

/// The address of a chat: digits alone are a number.
pub(in crate::http) fn address(to: &str) -> String {
    if to.contains('@') {
        to.to_owned()
    } else {
        format!("{to}@c.us")
    }
}

/// `GET /api/contacts/check-exists`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct WahaNumber {
    number_exists: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    chat_id: Option<String>,
    /// The same by the number: null where WhatsApp has only said the LID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pn: Option<Value>,
}

impl WahaNumber {
    /// `chat`: the address that WhatsApp knows, `None` when it has no account of this number.
    pub(in crate::http) fn of(chat: Option<String>) -> Self {
        let by_number = |chat: &String| {
            let number = chat.ends_with("@c.us").then(|| chat.clone());
            Value::from(number)
        };
        Self {
            number_exists: chat.is_some(),
            pn: chat.as_ref().map(by_number),
            chat_id: chat,
        }
    }
}

/// A picture as text.
#[derive(Serialize)]
pub(in crate::http) struct WahaFile {
    pub(in crate::http) mimetype: &'static str,
    pub(in crate::http) data: String,
}

/// What a code says. It is a secret, so it has no `Debug`.
#[derive(Serialize)]
pub(in crate::http) struct WahaCode {
    pub(in crate::http) value: String,
}

/// The eight characters to type on the phone: `ABCD-EFGH`. They are a secret, so it has no `Debug`.
#[derive(Serialize)]
pub(in crate::http) struct WahaPairingCode {
    pub(in crate::http) code: String,
}

/// `GET /api/server/version`.
#[derive(Debug, Serialize)]
pub(in crate::http) struct WahaVersion {
    version: &'static str,
    engine: &'static str,
    tier: &'static str,
    browser: (),
    platform: String,
    worker: Value,
}

impl Default for WahaVersion {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            engine: waha::ENGINE,
            tier: waha::TIER,
            browser: (),
            platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
            worker: json!({ "id": null }),
        }
    }
}

/// `GET /ping`.
#[derive(Debug, Serialize)]
pub(in crate::http) struct WahaPong {
    pub(in crate::http) message: &'static str,
}

/// `GET /api/server/status`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct WahaServer {
    start_timestamp: i64,
    /// In milliseconds.
    uptime: u128,
    worker: Value,
}

impl WahaServer {
    pub(in crate::http) fn of(started_at: Timestamp, uptime: std::time::Duration) -> Self {
        Self {
            start_timestamp: started_at.as_millisecond(),
            uptime: uptime.as_millis(),
            worker: json!({ "id": null }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::SendState;

    fn message(id: &str, ack: i32) -> Value {
        let sent = Sent {
            message_id: id.to_owned(),
            state: SendState::Sent,
            ack,
            at: Timestamp::from_second(1_790_000_000).unwrap(),
            is_repeated: false,
        };
        let me = Some("5491150000001");
        let shown = WahaMessage::of(&sent, me, "5491158254201", "hola".to_owned(), None);
        serde_json::to_value(shown).unwrap()
    }

    #[test]
    fn a_message_has_its_id_as_wahas_document_says_and_as_whatsapp_web_js_has_it() {
        let sent = message("true_111@lid_3EB0AB", 1);
        assert_eq!(sent["id"], "true_111@lid_3EB0AB");
        assert_eq!(sent["to"], "111@lid");
        assert_eq!(sent["from"], "5491150000001@c.us");
        assert_eq!(
            sent["_data"]["id"],
            json!({"fromMe": true, "remote": "111@lid", "id": "3EB0AB", "_serialized": "true_111@lid_3EB0AB"})
        );
        assert_eq!(
            (&sent["ack"], &sent["ackName"]),
            (&json!(1), &json!("SERVER"))
        );
        let queued = message("3EB0AB", 0);
        assert_eq!(queued["to"], "5491158254201@c.us");
        assert_eq!(queued["_data"]["id"]["id"], "3EB0AB");
        assert_eq!(queued["ackName"], "PENDING");
    }

    #[test]
    fn a_chat_has_the_address_by_the_number_where_that_is_known_and_its_last_message() {
        let said = |phone: Option<&str>| {
            json!({
                "chat": "111@lid", "is_group": false, "name": "Eva", "person": {"phone": phone, "lid": "111@lid"},
                "unread_count": 2, "is_marked_unread": false, "is_archived": false, "is_pinned": true, "is_read_only": false,
                "last_at": 1_800_000_000_000_u64,
                "last_message": {
                    "id": "true_111@lid_3A", "key": "3A", "chat": "111@lid", "is_group": false,
                    "from": {"phone": "5491150000001"}, "to": {"phone": phone, "lid": "111@lid"},
                    "kind": "image", "caption": "hola", "media": {"mimetype": "image/png"},
                    "timestamp": 1_800_000_000_000_u64, "is_own": true, "ack": 3, "state": "read",
                    "is_edited": false, "is_revoked": false,
                },
            })
        };
        let shown = |phone: Option<&str>| {
            let chat: Chat = serde_json::from_value(said(phone)).unwrap();
            let shown = WahaChatSummary::of(&chat, Some("5491150000001@c.us"));
            serde_json::to_value(shown).unwrap()
        };
        let known = shown(Some("5491158254201"));
        assert_eq!(known["id"], "5491158254201@c.us");
        assert_eq!(
            known["_chat"]["id"],
            json!({"server": "c.us", "user": "5491158254201", "_serialized": "5491158254201@c.us"})
        );
        let chat = &known["_chat"];
        assert_eq!(
            (&chat["pinned"], &chat["unreadCount"], &chat["timestamp"]),
            (&json!(true), &json!(2), &json!(1_800_000_000))
        );
        let last = &known["lastMessage"];
        assert_eq!(
            (&last["from"], &last["to"], &last["body"]),
            (
                &json!("5491150000001@c.us"),
                &json!("5491158254201@c.us"),
                &json!("hola")
            )
        );
        assert_eq!(
            (&last["ackName"], &last["hasMedia"], &last["media"]["url"]),
            (&json!("READ"), &json!(true), &Value::Null)
        );
        assert_eq!(shown(None)["id"], "111@lid");
    }

    #[test]
    fn a_number_of_which_whatsapp_says_the_lid_alone_has_no_address_by_the_number() {
        let shown = |chat: Option<&str>| {
            serde_json::to_value(WahaNumber::of(chat.map(str::to_owned))).unwrap()
        };
        assert_eq!(
            shown(Some("549@c.us")),
            json!({"numberExists": true, "chatId": "549@c.us", "pn": "549@c.us"})
        );
        assert_eq!(
            shown(Some("111@lid")),
            json!({"numberExists": true, "chatId": "111@lid", "pn": null})
        );
        assert_eq!(shown(None), json!({"numberExists": false}));
    }
}
