//! What a page and the server say to each other over the WebSocket, one JSON text each.
//!
//! Responsible for: the shape of the frames. Not responsible for: when they are sent.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    after::{Act, Doing},
    code::DeviceKeys,
    extras::ExtrasOfPage,
    faults::Faults,
    ratchets::Envelope,
};

/// From the page.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum FromPage {
    /// The first frame: who is there.
    Hello {
        /// Differs from tab to tab: two tabs of one device are in conflict.
        tab: String,
        /// The link, when the page has one.
        device: Option<Credentials>,
        /// The keys that its codes carry, when it has none.
        keys: Option<DeviceKeys>,
        /// Sent messages that lack a receipt.
        #[serde(default)]
        awaiting: Vec<Awaiting>,
    },
    /// The keys changed.
    Keys { keys: DeviceKeys },
    /// Fresh codes, please.
    RefreshCodes,
    /// A code by which the phone with this number can link the page.
    PairingCode { request: u64, phone: String },
    /// The page has forgotten its pairing code.
    EndPairing,
    /// Is this number on WhatsApp?
    Exists {
        request: u64,
        user: String,
        server: String,
    },
    /// A message.
    Send {
        id: String,
        user: String,
        server: String,
        body: String,
        /// How the page addressed the sender: `c.us` or `lid`.
        from_server: String,
        /// How it was encrypted for each device that it is for.
        #[serde(default)]
        envelopes: Vec<Envelope>,
        #[serde(default)]
        extras: ExtrasOfPage,
    },
    /// The medium of this message is gone from the server: a phone that has it may upload it again.
    Reupload { request: u64, id: String },
    /// A reaction to a message, another text for it, or its end.
    Change {
        id: String,
        /// The message, by its inner id.
        target: String,
        change: Act,
        #[serde(default)]
        envelopes: Vec<Envelope>,
    },
    /// The chat has been read.
    Seen { user: String, server: String },
    /// The page's owner is typing, recording, or neither.
    ChatState {
        user: String,
        server: String,
        state: Doing,
    },
    /// These things are safe in the page's storage.
    Received { ids: Vec<String> },
    /// The phone is asked for messages of the chat with this person that are older than the one with this id.
    Older {
        user: String,
        server: String,
        oldest: Option<String>,
    },
    /// The page acts on the faults as of this change.
    HeardFaults { change: u64 },
    /// Remove this device from the account.
    Logout,
    /// The phone removes this device, for something that its page did or left undone.
    Revoke,
    /// What is to be signed is wanted again: the challenge before has been used, or its time is over.
    PasskeyOptions,
    /// A signed passkey, as the phone made it.
    Passkey { assertion: String },
    /// The codes have been compared, or need not be.
    PasskeyConfirmed,
    /// Are you there?
    Ping,
}

/// How a linked page proves who it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    pub(super) id: String,
    pub(super) secret: String,
}

/// A sent message whose receipts the page has not all seen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Awaiting {
    pub(super) id: String,
}

/// To the page.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToPage {
    /// The server's part of the code, from now on.
    Reference { reference: String },
    /// No more codes until the page asks for them.
    CodesRanOut,
    /// A code to type on the phone, or the name of the error that the server gave instead.
    PairingCode {
        request: u64,
        code: String,
        error: &'static str,
    },
    /// The pairing code of that request is not valid any more: it has to be renewed.
    PairingCodeExpired { request: u64 },
    /// The phone has linked the page.
    Paired {
        id: String,
        secret: String,
        account: String,
        lid: String,
    },
    /// The phone wants a passkey before it links the page: what is to be signed.
    PasskeyRequest { challenge: String },
    /// What is to be signed instead of what was before.
    PasskeyOptions { challenge: String },
    /// The server has taken the signed passkey; the phone comes next.
    PasskeyTaken,
    /// The phone has answered: the code that it shows as well.
    PasskeyCode { code: String },
    /// The server did not take the signed passkey, or the phone did not confirm the code.
    PasskeyRefused { why: &'static str },
    /// The confirmed code has been taken.
    PasskeyLinked,
    /// The server knows the device.
    Welcome { account: String, lid: String },
    /// The device is not linked any more.
    Removed { reason: RemovedBecause },
    /// Another tab has taken over.
    Conflict,
    /// Whether a number is on WhatsApp; an error when that could not be learnt.
    Exists {
        request: u64,
        found: bool,
        number: String,
        lid: String,
        error: bool,
    },
    /// A sent message came this far (1 server, 2 recipient, 3 read), or was refused (-1).
    Ack { id: String, ack: i8, at: i64 },
    /// Where a phone has uploaded a medium again; absent: no phone has it.
    Reuploaded {
        request: u64,
        direct_path: Option<String>,
    },
    /// What was said before the link, in parts.
    History {
        stanzas: Vec<Value>,
        is_last: bool,
        /// The phone has more of these chats.
        has_more: bool,
    },
    /// Messages of the chat with this person, from the phone.
    Older {
        user: String,
        server: String,
        stanzas: Vec<Value>,
        /// The phone has more before these.
        has_more: bool,
    },
    /// So many things waited while the page was away. They come now, each marked as one of these.
    OfflinePreview { count: usize },
    /// Something for the account.
    Stanza { stanza: Value, offline: bool },
    /// All that waited has been sent.
    OfflineEnd { count: usize },
    /// The faults that concern this page, whenever they change.
    Faults { faults: Box<Faults>, change: u64 },
    /// Something befell the account.
    Event { event: super::faults::Event },
    /// I am here.
    Pong,
}

/// Why a device is not linked any more; the words are the real page's.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RemovedBecause {
    UserInitiated,
    UnknownCompanion,
}
